/* SPDX-License-Identifier: MIT
 *
 * The end of a closed queue; what the descriptor of a queue is told.
 */
#ifndef LKI_QUEUE_OVER_H
#define LKI_QUEUE_OVER_H

#include "queue/queue.h"

/* ---- the end of a closed queue ---- */

/* Is it closed, and nothing left that could still be pulled, nor on its way? What has expired and
 * was not taken out yet counts as there. */
bool lki_queue_is_over(lki_queue *queue);
void lki_queue_tell_over(lki_queue *queue);
/* A job has left, and was counted (P16): who waits at a closed queue learns that it was the
 * last. */
LKI_INLINE void
lki_queue_left(lki_queue *queue)
{
    if (LKI_UNLIKELY(lki_load_seq_cst(&queue->closed) != 0)) /* P16 */
        lki_queue_tell_over(queue);
}
/* A job in a place has left: counts it, and tells. */
void lki_queue_place_left(lki_queue *queue, lki_thread *thread);
/* One with a key has, or one that was on its way. */
LKI_INLINE void
lki_queue_key_left(lki_queue *queue)
{
    lki_queue_unpin(queue, LKI_QUEUE_KEYED); /* P16 */
    lki_queue_left(queue);
}

/* What the descriptor of a queue says may not be true any more: the call that finds out sets it
 * right before it ends, by the store's `refresh`. */
void lki_queue_note_change_slow(lki_queue *queue, lki_thread *thread);
LKI_INLINE void
lki_queue_note_change(lki_queue *queue, lki_thread *thread)
{
    if (lki_wait_is_polled(&queue->wait))
        lki_queue_note_change_slow(queue, thread);
}
/* The next time at which something may happen to the queue is an earlier one. */
void lki_queue_sooner(lki_queue *queue);

#endif
