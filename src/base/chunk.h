/* SPDX-License-Identifier: MIT
 *
 * Small memory in steady use. Each thread keeps free chunks of up to 256 bytes, in size classes of
 * 16 bytes, and returns what is too many to the allocator. Any thread may free a chunk, with the
 * size that it was allocated with.
 */
#ifndef LKI_BASE_CHUNK_H
#define LKI_BASE_CHUNK_H

#include "base/thread.h"

/* Slow paths: no chunk is kept, or enough are. */
void *lki_chunk_alloc_slow(lki_thread *thread, size_t size);
void lki_chunk_free_slow(lki_thread *thread, void *chunk, size_t size);

/* Allocates a chunk. NULL: no memory. */
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

/* Frees a chunk to the allocator, for callers without a thread record. */
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
