/* SPDX-License-Identifier: MIT
 *
 * What the queue room keeps of each thread of a store: the queues that it used last, those that its
 * call has changed, and a part of the sk that it generated last. All of it is the thread's own.
 */
#ifndef LKI_QUEUE_QUEUE_THREAD_H
#define LKI_QUEUE_QUEUE_THREAD_H

#include "store/store_thread.h"

enum { LKI_QUEUES_KNOWN = LKI_OR_SMALL(4, 1), LKI_CHANGED_HERE = LKI_OR_SMALL(8, 1) };

typedef struct lki_queue_thread {
    lki_store_thread store;              /* first */
    uint32_t expire_tick;                /* pulls at queues in which something expires */
    uint32_t changed_room;               /* of `changed_more` */
    lki_queue *queues[LKI_QUEUES_KNOWN]; /* used last, as of queues_gone; see queue.c */
    uint64_t queues_gone;
    /* whose descriptors this call has to set right before it ends, store.pending of them: the first
     * few, and an array of those beyond, which grows */
    lki_queue *changed[LKI_CHANGED_HERE];
    lki_queue **changed_more;
    int64_t ulid_ms; /* of ulid_text, which are the characters of an sk for it */
    unsigned char ulid_text[10];
} lki_queue_thread;

LKI_INLINE lki_queue_thread *
lki_queue_thread_of(lki_thread *thread)
{
    LK_ASSERT(thread->domain->thread_size >= sizeof(lki_queue_thread));
    return (lki_queue_thread *)(void *)thread;
}

/* Remembers the queue, once. It has a descriptor, so it stays until the store is closed. False: no
 * memory. */
bool lki_queue_thread_remember(lki_queue_thread *thread, lki_queue *queue);
/* The i-th of those that the call has changed, from 0. */
lki_queue *lki_queue_thread_changed(const lki_queue_thread *thread, uint32_t i);
/* A hook of the store: the thread ends, or the store is closed. */
void lki_queue_thread_end(lki_thread *thread);

#endif
