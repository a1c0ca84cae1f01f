/* SPDX-License-Identifier: MIT
 *
 * The end of a closed queue, and changes that its descriptor has to show (over.h).
 *
 * Progress    lock-free.
 * Ordering    P15, P16 (queue.h).
 */
#include "queue/over.h"

/* A job is counted in turn by a pin, by its place, and as removed; the counts are read in the
 * opposite order, the places last. If they agree, there was no job when the pins were read
 * (tests/model/close.pml). A push by a commit, or of a dead letter, holds its pin until its job is
 * counted otherwise; a push that pins later finds the queue closed. */
bool
lki_queue_is_over(lki_queue *queue)
{
    if (lki_load_seq_cst(&queue->closed) == 0) /* P16 */
        return false;
    uint64_t removed = lki_queue_sum(queue, LKI_QUEUE_REMOVED);
    lki_fence_seq_cst(); /* P16: these loads before those of the pins */
    if ((uint32_t)lki_load_seq_cst(&queue->pins) != 0) /* P16 */
        return false;
    lki_segment *tail = lki_load_acquire(&queue->tail);               /* P13 */
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P14 */
    return lki_queue_places(queue, tail, word) == removed;
}

LKI_COLD void
lki_queue_tell_over(lki_queue *queue)
{
    /* P15: before the load of `waiters`. The last job may have been counted by a plain store. A
     * thread that is about to sleep has a fence between counting itself and checking our count.
     * Without this fence each could miss the other, and the thread would wait for a job that never
     * comes. */
    lki_fence_seq_cst();
    if (lki_queue_is_over(queue))
        lki_wait_notify(&queue->wait, SIZE_MAX);
}

void
lki_queue_place_left(lki_queue *queue, lki_thread *thread)
{
    uint32_t slot = thread->slot;
    LK_ASSERT(lki_is_writing(thread));
    lki_queue_line *line =
        slot < LKI_QUEUE_LINES ? lki_load_acquire(&queue->lines[slot]) : NULL; /* P13 */
    if (LKI_UNLIKELY(line == NULL))
        line = lki_queue_line_slow(queue, thread);
    lki_add_seq_cst(&line->counter[LKI_QUEUE_REMOVED], 1); /* P16 */
    lki_queue_left(queue);
}

/* Without memory to remember the queue, the descriptor becomes readable, and the next pull finds
 * out. A queue with a descriptor is pinned for good, so the pointer stays valid. */
LKI_COLD void
lki_queue_remember_change_slow(lki_queue *queue, lki_thread *thread)
{
    LK_ASSERT(lki_wait_is_polled(&queue->wait));
    if (!lki_queue_thread_remember(lki_queue_thread_of(thread), queue))
        lki_wait_raise(&queue->wait);
}

LKI_COLD void
lki_queue_sooner(lki_queue *queue)
{
    lk_status why;
    lki_wait_look_again(&queue->wait); /* they sleep until then at most */
    lki_thread *thread =
        lki_wait_is_polled(&queue->wait) ? lki_thread_self(&queue->store->domain, &why) : NULL;
    if (thread != NULL)
        lki_queue_remember_change_slow(queue, thread);
}
