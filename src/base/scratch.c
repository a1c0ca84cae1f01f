/* SPDX-License-Identifier: MIT
 *
 * The slow paths of scratch.h, which allocate and free.
 *
 * Invariants  I-scratch1: memory is either in its thread or in one owner's lki_scratch.
 *             I-scratch2: a thread keeps at most LKI_SCRATCH_KEPT bytes.
 */
#include "base/scratch.h"

enum { SCRATCH_FIRST = 2048 };

static size_t
size_beyond(size_t size, size_t before)
{
    size_t wanted = before <= SIZE_MAX / 2 && before * 2 > size ? before * 2 : size;
    return wanted < SCRATCH_FIRST ? SCRATCH_FIRST : wanted;
}

bool
lki_scratch_take_slow(lki_thread *thread, lki_scratch *scratch, size_t size)
{
    *scratch = (lki_scratch){NULL, 0};
    if (thread->scratch != NULL && size <= thread->scratch_size) {
        *scratch = (lki_scratch){thread->scratch, thread->scratch_size};
        thread->scratch = NULL;
        thread->scratch_size = 0;
        return true;
    }
    size_t grown = size_beyond(size, size <= LKI_SCRATCH_KEPT / 2 ? thread->scratch_size : 0);
    void *memory = lki_alloc(&thread->allocator, grown);
    if (memory == NULL)
        return false;
    *scratch = (lki_scratch){memory, grown};
    return true;
}

void
lki_scratch_give_slow(lki_thread *thread, const lki_scratch *scratch)
{
    if (scratch->size > LKI_SCRATCH_KEPT || scratch->size <= thread->scratch_size) {
        lki_free(&thread->allocator, scratch->memory, scratch->size);
        return;
    }
    lki_scratch_free(thread); /* frees the smaller one */
    thread->scratch = scratch->memory;
    thread->scratch_size = scratch->size;
}

void
lki_scratch_free(lki_thread *thread)
{
    lki_free(&thread->allocator, thread->scratch, thread->scratch_size);
    thread->scratch = NULL;
    thread->scratch_size = 0;
}
