/* SPDX-License-Identifier: MIT
 *
 * Time passes: what is due is noticed, what has expired goes.
 */
#ifndef LKI_QUEUE_DUE_H
#define LKI_QUEUE_DUE_H

#include "queue/later.h"

/* Notices what is due, a part of it: up to 64 jobs of either kind (one, if there are ready
 * entries), or `least` if that is more, or as many as different times had to be looked at. LK_OK,
 * LK_NO_MEMORY. Caller: in a write section. */
lk_status lki_due_notice(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks,
                         size_t least, lki_notice *notice);
/* When there may be something to notice; LKI_TIME_MAX: not by time alone. */
uint64_t lki_due_next(lki_queue *queue);
/* Takes out what has expired of the jobs with places, a little at a time. Caller: in a write
 * section. */
void lki_due_expire(lki_store *store, lki_thread *thread, lki_queue *queue);
/* What has expired does not count against max_depth: takes some of it out, of all kinds of jobs,
 * the more the more `jobs` are to come. A push that is refused all the same has brought the next
 * one nearer. Caller: in a write section. */
void lki_due_make_room(lki_store *store, lki_thread *thread, lki_queue *queue, size_t jobs);
/* The same for the next queue in turn, or for all of them: how many jobs. Caller: outside of
 * sections. */
size_t lki_queues_tend(lki_store *store, lki_thread *thread, bool all);

#endif
