/* SPDX-License-Identifier: MIT
 *
 * The end of a closed queue, and changes that its descriptor has to show.
 *
 * A closed queue is over when it holds no job and no push is under way. Threads that wait for a job
 * are then woken, and pulls return LK_CLOSED. Pairs P15, P16: queue.h.
 */
#ifndef LKI_QUEUE_OVER_H
#define LKI_QUEUE_OVER_H

#include "queue/queue.h"

/* ---- the end of a closed queue ---- */

/* Is it closed, with no job left and no push under way? An expired job counts until it is taken
 * out. */
bool lki_queue_is_over(lki_queue *queue);
void lki_queue_tell_over(lki_queue *queue);
/* Called after a removed job was counted (P16): if the queue is closed and this was its last job,
 * wakes all waiting threads. */
LKI_INLINE void
lki_queue_left(lki_queue *queue)
{
    if (LKI_UNLIKELY(lki_load_seq_cst(&queue->closed) != 0)) /* P16 */
        lki_queue_tell_over(queue);
}
/* Counts a removed job that had a place, then as above. */
void lki_queue_place_left(lki_queue *queue, lki_thread *thread);
/* The same for a job with a key, or for a push that does not need its pin any more. */
LKI_INLINE void
lki_queue_key_left(lki_queue *queue)
{
    lki_queue_unpin(queue, LKI_QUEUE_KEYED); /* P16 */
    lki_queue_left(queue);
}

/* Something changed that a descriptor may have to show. The thread remembers the queue, and the
 * call sets the descriptor right before it ends (`refresh` of lki_hooks). */
void lki_queue_remember_change_slow(lki_queue *queue, lki_thread *thread);
LKI_INLINE void
lki_queue_remember_change(lki_queue *queue, lki_thread *thread)
{
    if (lki_wait_is_polled(&queue->wait))
        lki_queue_remember_change_slow(queue, thread);
}
/* The next time at which something may happen in the queue is now earlier: sleeping threads and the
 * descriptor learn it. */
void lki_queue_sooner(lki_queue *queue);

#endif
