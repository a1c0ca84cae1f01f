/* SPDX-License-Identifier: MIT
 *
 * The slow paths of chunk.h, which allocate and free.
 */
#include "base/chunk.h"

void *
lki_chunk_alloc_slow(lki_thread *thread, size_t size)
{
    size_t class = (size + 15) / 16;
    return lki_alloc(&thread->allocator, class >= LKI_CHUNK_CLASSES ? size : class * 16);
}

void
lki_chunk_free_slow(lki_thread *thread, void *chunk, size_t size)
{
    lki_chunk_release(&thread->allocator, chunk, size);
}
