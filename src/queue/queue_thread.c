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
lki_queue_thread_changed(const lki_queue_thread *thread, uint32_t i)
{
    LK_ASSERT(i < thread->store.pending);
    return i < LKI_CHANGED_HERE ? thread->changed[i] : thread->changed_more[i - LKI_CHANGED_HERE];
}

static bool
has_room(lki_queue_thread *thread)
{
    uint32_t room = thread->changed_room;
    if (thread->store.pending < LKI_CHANGED_HERE + room)
        return true;
    const lki_allocator *allocator = &thread->store.thread.allocator;
    uint32_t wider = room == 0 ? 8 * LKI_CHANGED_HERE : 2 * room;
    lki_queue **more = lki_alloc(allocator, wider * sizeof(lki_queue *));
    if (more == NULL)
        return false;
    if (room != 0) {
        memcpy(more, thread->changed_more, room * sizeof *more);
        lki_free(allocator, thread->changed_more, room * sizeof *more);
    }
    thread->changed_more = more;
    thread->changed_room = wider;
    return true;
}

bool
lki_queue_thread_remember(lki_queue_thread *thread, lki_queue *queue)
{
    uint32_t count = thread->store.pending;
    for (uint32_t i = 0; i < count; i++)
        if (lki_queue_thread_changed(thread, i) == queue)
            return true;
    if (!has_room(thread))
        return false;
    if (count < LKI_CHANGED_HERE)
        thread->changed[count] = queue;
    else
        thread->changed_more[count - LKI_CHANGED_HERE] = queue;
    thread->store.pending++;
    LK_ASSERT(thread->store.pending <= LKI_CHANGED_HERE + thread->changed_room);
    return true;
}

/* A thread may end in the middle of a call, in a signal's handler. The descriptors of the queues
 * that it has changed then become readable, so that their readers look. */
void
lki_queue_thread_end(lki_thread *thread)
{
    lki_queue_thread *of = lki_queue_thread_of(thread);
    for (uint32_t i = 0; i < of->store.pending; i++)
        lki_wait_raise(&lki_queue_thread_changed(of, i)->wait);
    of->store.pending = 0;
    lki_free(&thread->allocator, of->changed_more, of->changed_room * sizeof *of->changed_more);
    of->changed_more = NULL;
    of->changed_room = 0;
}
