/* SPDX-License-Identifier: MIT
 *
 * Descriptors of queues. A thread of the handle, the watcher, looks at the queues that have one; it
 * begins with the first descriptor and ends when the handle is closed.
 *
 * Latch  `queues_latch` of the store guards all of it.
 */
#ifndef LKI_PG_WATCH_H
#define LKI_PG_WATCH_H

#include "postgres/queue.h"

/* What a look found. */
typedef struct lki_pg_sight {
    bool ready; /* a pull without wait would not be LK_EMPTY now */
    bool closed;
    bool over;      /* for good: closed, and no job is left */
    int64_t due_ms; /* when a job comes due, in job time; INT64_MAX: none does */
} lki_pg_sight;

lk_status lki_pg_look(lki_pg *store, lk_bytes pk, lki_pg_sight *sight);

/* Waits until all have ended that write now: then what they have read of closed queues counts no
 * more. Anything but LK_OK: not all within the time of the call. */
lk_status lki_pg_writers_wait(lki_pg *store);

/* [latch] The queue has changed. `now`: something is ready, or may be over. `soon`: else it is
 * looked at in a moment. */
void lki_pg_watch_news(lki_pg *store, const lki_pg_queue *queue, bool now, bool soon);
/* [latch] A look begins: its end is told with this number. */
uint64_t lki_pg_watch_begin_latched(const lki_pg_queue *queue);
void lki_pg_watch_tell(lki_pg *store, lki_pg_queue *queue, uint64_t begun,
                       const lki_pg_sight *sight);
/* Ends the watcher, and frees all. Nobody else is there. */
void lki_pg_watches_free(lki_pg *store);

#endif
