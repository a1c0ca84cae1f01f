/* SPDX-License-Identifier: MIT
 *
 * One more job, inside a write transaction. Called by push, by commits, and by a pull that moves a
 * job to the dead queue.
 */
#ifndef LKI_LMDB_PUSH_H
#define LKI_LMDB_PUSH_H

#include "lmdb/txn.h"

typedef struct lki_lmdb_push {
    int64_t delay_ms;
    bool unique, even_closed;
    lk_result *pushed; /* gets the job; may be NULL */
    size_t added;      /* out: jobs that were not there */
} lki_lmdb_push;

/* Adds the job, over whatever is at its key. Statuses as those of lk_queue_push. */
lk_status lki_lmdb_job_push(lki_lmdb_txn *t, const lk_item *item, lki_lmdb_push *push);

#endif
