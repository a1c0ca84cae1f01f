/* SPDX-License-Identifier: MIT
 *
 * Scratch memory, which a call needs only while it runs. Each thread keeps some between its calls,
 * so that a call in the steady state allocates nothing.
 *
 * Guarantees  Memory that was taken has one owner until it is given back. A call inside a call (a
 *             wrapper's inner call, a database that calls back) takes memory of its own. A thread
 *             keeps at most LKI_SCRATCH_KEPT bytes; larger memory is freed when it is given back.
 * Progress    the allocator's, if the kept memory is too small.
 */
#ifndef LKI_BASE_SCRATCH_H
#define LKI_BASE_SCRATCH_H

#include "base/thread.h"

enum { LKI_SCRATCH_KEPT = 256 * 1024 };

/* What an owner holds. The bytes do not move until they are given back. */
typedef struct lki_scratch {
    void *memory; /* NULL: nothing is held */
    size_t size;
} lki_scratch;

bool lki_scratch_take_slow(lki_thread *thread, lki_scratch *scratch, size_t size);
void lki_scratch_give_slow(lki_thread *thread, const lki_scratch *scratch);

/* Takes at least `size` bytes, undefined, aligned as malloc's. False: no memory, nothing is
 * held. */
LKI_INLINE bool
lki_scratch_take(lki_thread *thread, lki_scratch *scratch, size_t size)
{
    if (LKI_UNLIKELY(size >= thread->scratch_size)) /* also if none is kept */
        return lki_scratch_take_slow(thread, scratch, size);
    /* The thread keeps none meanwhile: a nested call takes its own. */
    scratch->memory = thread->scratch;
    scratch->size = thread->scratch_size;
    thread->scratch = NULL;
    thread->scratch_size = 0;
    return true;
}

/* Gives back what is held, if anything. */
LKI_INLINE void
lki_scratch_give(lki_thread *thread, lki_scratch *scratch)
{
    LK_ASSERT((scratch->memory == NULL) == (scratch->size == 0));
    LK_ASSERT(scratch->memory == NULL || scratch->memory != thread->scratch); /* one owner */
    if (LKI_LIKELY(thread->scratch == NULL && scratch->size <= LKI_SCRATCH_KEPT)) {
        thread->scratch = scratch->memory;
        thread->scratch_size = scratch->size;
    } else {
        lki_scratch_give_slow(thread, scratch);
    }
    scratch->memory = NULL; /* a second call does nothing */
    scratch->size = 0;
}

/* Frees what the thread keeps; at its exit. */
void lki_scratch_free(lki_thread *thread);

#endif
