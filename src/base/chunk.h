/* SPDX-License-Identifier: MIT
 *
 * Memory in steady use: each thread keeps free chunks of up to 256 bytes, in classes of 16, and
 * gives back to the allocator what it has too many of. A chunk is freed with the size that it was
 * asked for with, by whichever thread.
 */
#ifndef LKI_BASE_CHUNK_H
#define LKI_BASE_CHUNK_H

#include "base/thread.h"

/* Where none is kept, or enough are. */
void *lki_chunk_alloc_slow(lki_thread *thread, size_t size);
void lki_chunk_free_slow(lki_thread *thread, void *chunk, size_t size);

/* NULL: no memory. */
LKI_INLINE void *
lki_chunk_alloc(lki_thread *thread, size_t size)
{
    size_t class = (size + 15) / 16;
    if (LKI_UNLIKELY(class >= LKI_CHUNK_CLASSES) || LKI_UNLIKELY(thread->chunks[class] == NULL))
        return lki_chunk_alloc_slow(thread, size);
    void *chunk = thread->chunks[class];
    memcpy(&thread->chunks[class], chunk, sizeof chunk);
    thread->chunk_count[class]--;
    return chunk;
}

/* Frees a chunk at once, for want of a thread. */
LKI_INLINE void
lki_chunk_release(const lki_allocator *allocator, void *chunk, size_t size)
{
    size_t class = (size + 15) / 16;
    lki_free(allocator, chunk, class >= LKI_CHUNK_CLASSES ? size : class * 16);
}

LKI_INLINE void
lki_chunk_free(lki_thread *thread, void *chunk, size_t size)
{
    size_t class = (size + 15) / 16;
    if (!LKI_KEEPS_CHUNKS || LKI_UNLIKELY(class >= LKI_CHUNK_CLASSES) ||
        LKI_UNLIKELY(thread->chunk_count[class] == LKI_CHUNKS_KEPT)) {
        lki_chunk_free_slow(thread, chunk, size);
        return;
    }
    memcpy(chunk, &thread->chunks[class], sizeof chunk);
    thread->chunks[class] = chunk;
    thread->chunk_count[class]++;
}

#endif
