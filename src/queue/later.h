/* SPDX-License-Identifier: MIT
 *
 * Record jobs that come due: their due entries move to the ready entries.
 */
#ifndef LKI_QUEUE_LATER_H
#define LKI_QUEUE_LATER_H

#include "queue/queue.h"

/* What making jobs ready has left undone. */
typedef struct lki_due_rest {
    bool more;                        /* due jobs are left */
    bool placed;                      /* jobs with places are left, none of them before `last` */
    unsigned char last[LK_ULID_SIZE]; /* the last of these that was made ready */
    lk_bytes
        record_job; /* the first record job that is left; data NULL: none. Valid in the section */
} lki_due_rest;
/* lki_due_make_ready, for record jobs. */
lk_status lki_later_make_ready(lki_store *store, lki_thread *thread, lki_queue *queue,
                               lki_ticks *ticks, size_t least, lki_due_rest *rest);

#endif
