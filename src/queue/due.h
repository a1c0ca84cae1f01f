/* SPDX-License-Identifier: MIT
 *
 * What happens by time alone. A job is *made ready* when its claim has lapsed or its delay is over:
 * it gets its ready entry. A job whose item has expired is removed. No thread does this on its own:
 * pulls, pushes to a full queue, and upkeep call here.
 */
#ifndef LKI_QUEUE_DUE_H
#define LKI_QUEUE_DUE_H

#include "queue/later.h"

/* Makes due jobs ready, a bounded number of them: 64 of either kind (1 if there are ready entries),
 * or `least` if that is more, or as many as different times had to be looked at. LK_OK,
 * LK_NO_MEMORY. Caller: in a write section. */
lk_status lki_due_make_ready(lki_store *store, lki_thread *thread, lki_queue *queue,
                             lki_ticks *ticks, size_t least, lki_due_rest *rest);
/* The tick from which on there may be a due job; LKI_TIME_MAX: none by time alone. */
uint64_t lki_due_next(lki_queue *queue);
/* Removes expired jobs that have places, a few segments at a time. Caller: in a write section. */
void lki_due_expire(lki_store *store, lki_thread *thread, lki_queue *queue);
/* Removes expired jobs of all kinds for a push that was refused, as they do not count against
 * max_depth. The more `jobs` are to be pushed, the more it removes. What is left is for the next
 * push. Caller: in a write section. */
void lki_due_make_room(lki_store *store, lki_thread *thread, lki_queue *queue, size_t jobs);
/* Upkeep of the next queue, or of all: removes expired jobs with places, and idle queues. Returns
 * the number of jobs. Caller: outside of sections. */
size_t lki_queues_upkeep(lki_store *store, lki_thread *thread, bool all);

#endif
