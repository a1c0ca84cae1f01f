/* SPDX-License-Identifier: MIT
 *
 * The queues that a call has changed and whose descriptors it sets right before it ends.
 *
 * Progress    the thread's own memory.
 */
#include "queue/queue_thread.h"

#include <string.h>

#include "queue/queue.h"

lki_queue *
lki_queue_thread_noted(const lki_queue_thread *thread, uint32_t i)
{
    LK_ASSERT(i < thread->store.noted);
    return i < LKI_NOTED_HERE ? thread->noted[i] : thread->noted_more[i - LKI_NOTED_HERE];
}

static bool
has_room(lki_queue_thread *thread)
{
    uint32_t room = thread->noted_room;
    if (thread->store.noted < LKI_NOTED_HERE + room)
        return true;
    const lki_allocator *allocator = &thread->store.thread.allocator;
    uint32_t wider = room == 0 ? 8 * LKI_NOTED_HERE : 2 * room;
    lki_queue **more = lki_alloc(allocator, wider * sizeof(lki_queue *));
    if (more == NULL)
        return false;
    if (room != 0) {
        memcpy(more, thread->noted_more, room * sizeof *more);
        lki_free(allocator, thread->noted_more, room * sizeof *more);
    }
    thread->noted_more = more;
    thread->noted_room = wider;
    return true;
}

bool
lki_queue_thread_note(lki_queue_thread *thread, lki_queue *queue)
{
    uint32_t count = thread->store.noted;
    for (uint32_t i = 0; i < count; i++)
        if (lki_queue_thread_noted(thread, i) == queue)
            return true;
    if (!has_room(thread))
        return false;
    if (count < LKI_NOTED_HERE)
        thread->noted[count] = queue;
    else
        thread->noted_more[count - LKI_NOTED_HERE] = queue;
    thread->store.noted++;
    return true;
}

/* A thread may end in the middle of a call, by a signal. What it noted is then looked at by who
 * sees the descriptor. */
void
lki_queue_thread_end(lki_thread *thread)
{
    lki_queue_thread *of = lki_queue_thread_of(thread);
    for (uint32_t i = 0; i < of->store.noted; i++)
        lki_wait_raise(&lki_queue_thread_noted(of, i)->wait);
    of->store.noted = 0;
    lki_free(&thread->allocator, of->noted_more, of->noted_room * sizeof *of->noted_more);
    of->noted_more = NULL;
    of->noted_room = 0;
}
