/* SPDX-License-Identifier: MIT
 *
 * The end of a closed queue; what the descriptor of a queue is told.
 *
 * Progress    lock-free.
 * Ordering    P15, P16 (queue.h).
 */
#include "queue/over.h"

/* A push by a commit, or of a dead letter, holds a pin until its job is counted otherwise; who has
 * not pinned by then finds the queue closed. A job goes from pin to place to what is gone; so these
 * are read the other way, the places last. Then there was nothing when the pins were read
 * (tests/model/close.pml). */
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
    /* P15: before the load of `waiters`. The last job may have been counted by a plain store; a
     * sleeper has a fence between its own count and the look at ours. Without this one both could
     * miss the other, and the sleeper would wait for what has ended. */
    lki_fence_seq_cst();
    if (lki_queue_is_over(queue))
        lki_wait_notify(&queue->wait, SIZE_MAX);
}

void
lki_queue_place_left(lki_queue *queue, lki_thread *thread)
{
    uint32_t slot = thread->slot;
    lki_queue_line *line =
        slot < LKI_QUEUE_LINES ? lki_load_acquire(&queue->lines[slot]) : NULL; /* P13 */
    if (LKI_UNLIKELY(line == NULL))
        line = lki_queue_line_slow(queue, thread);
    lki_add_seq_cst(&line->counter[LKI_QUEUE_REMOVED], 1); /* P16 */
    lki_queue_left(queue);
}

/* Where there is no memory for it, it says that something is there, and a pull will find out. A
 * queue with a descriptor is pinned for good. */
LKI_COLD void
lki_queue_note_change_slow(lki_queue *queue, lki_thread *thread)
{
    uint32_t count = thread->noted_count;
    for (uint32_t i = 0; i < count; i++)
        if (*lki_noted_at(thread, i) == queue)
            return;
    if (lki_noted_has_room(thread)) {
        thread->noted_count++;
        *lki_noted_at(thread, count) = queue;
    } else {
        lki_wait_raise(&queue->wait);
    }
}

LKI_COLD void
lki_queue_sooner(lki_queue *queue)
{
    lk_status why;
    lki_wait_look_again(&queue->wait); /* sleepers sleep until then at most */
    lki_thread *thread =
        lki_wait_is_polled(&queue->wait) ? lki_thread_self(&queue->store->domain, &why) : NULL;
    if (thread != NULL)
        lki_queue_note_change_slow(queue, thread);
}
