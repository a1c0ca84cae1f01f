/* SPDX-License-Identifier: MIT
 *
 * One more job, inside a write transaction. Called by push, by commits, and by a pull that moves a
 * job to the dead queue.
 */
#ifndef LKI_LMDB_PUSH_H
#define LKI_LMDB_PUSH_H

#include "lmdb/txn.h"

enum { LKI_LMDB_PORTIONS = 16 };

typedef struct lki_lmdb_push {
    int64_t delay_ms;
    size_t max_depth; /* 0: no limit */
    bool unique, even_closed;
    int portions;      /* how often a queue that is too deep may be tried again */
    lk_result *pushed; /* gets the job; may be NULL */
    size_t added;      /* out: jobs that were not there */
} lki_lmdb_push;

/* Adds the job, over whatever is at its key. Statuses as those of lk_queue_push. */
lk_status lki_lmdb_job_push(lki_lmdb_txn *t, const lk_item *item, lki_lmdb_push *push);
/* After pushes to the queue in use: LK_BUSY where it is too deep with what was added. What has
 * expired does not count: some of it goes first. LK_RACE (and t->is_crowded): it is too deep, but
 * more has expired, and there are portions left. Then the caller ends the transaction, takes out a
 * portion, and tries again. */
lk_status lki_lmdb_depth_check(lki_lmdb_txn *t, lk_bytes pk, const lki_lmdb_push *push);
/* Takes out a portion of what has expired, in a transaction of its own. */
lk_status lki_lmdb_expired_drop(lki_lmdb *store);

#endif
