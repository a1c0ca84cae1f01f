/* SPDX-License-Identifier: MIT
 *
 * Headed jobs come due.
 */
#ifndef LKI_QUEUE_LATER_H
#define LKI_QUEUE_LATER_H

#include "queue/queue.h"

/* How far a look for what is due has come. */
typedef struct lki_notice {
    bool more;                        /* it has left something */
    bool placed;                      /* jobs with places, which do not come before `last` */
    unsigned char last[LK_ULID_SIZE]; /* the last one of these that it has noticed */
    lk_bytes
        headed; /* the first headed one that it has left; data NULL: none. Valid in the section */
} lki_notice;
/* As lki_due_notice, of headed jobs. */
lk_status lki_later_notice(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks,
                           size_t least, lki_notice *notice);

#endif
