/* SPDX-License-Identifier: MIT
 *
 * All memory of the library comes from here, so that a test can fail the n-th allocation. The
 * default allocator is jemalloc with sized frees where the program links it, else malloc; the
 * choice is made once and the two are never mixed. Any thread; progress as the allocator's.
 */
#ifndef LKI_BASE_ALLOC_H
#define LKI_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <latchkey/latchkey.h>

#include "base/account.h"
#include "base/check.h"

typedef struct lki_allocator {
    lk_allocate allocate; /* NULL: the default one */
    lk_deallocate deallocate;
    void *context;
    lki_purse *purse;    /* what it is paid from; NULL: nobody counts */
    lki_purse *straight; /* the same, where memory is jemalloc's; else lki_purse_none */
} lki_allocator;

/* The allocator of what belongs to no store (results, threads). Replaced by tests before any
 * thread runs. */
extern lki_allocator lki_default_allocator;

/* jemalloc's, where the program links it. Debian's libjemalloc cannot be loaded late (static TLS),
 * so the library must not need it: weak references. */
__attribute__((weak)) extern void *mallocx(size_t size, int flags);
__attribute__((weak)) extern void sdallocx(void *memory, size_t size, int flags);

/* What this thread passes to jemalloc: an arena of ours, whose memory lies in huge pages, and a
 * cache for it. 0 before lki_alloc_thread_begin, and where there is no jemalloc. */
extern __thread int lki_alloc_flags __attribute__((tls_model("initial-exec")));
enum { LKI_ALLOC_CACHE = 0xfff00 }; /* the bits of the cache in the flags; a free names no arena */

/* What memory comes from: "jemalloc", "malloc", or "caller" (functions of the caller's). */
const char *lki_alloc_name(const lki_allocator *allocator);

/* A thread's first call and its exit. May be repeated. */
void lki_alloc_thread_begin(void);
void lki_alloc_thread_end(void);
/* The library is being unloaded, perhaps: no pointer to its code or data stays with jemalloc. What
 * was allocated stays good. */
void lki_alloc_end(void);

void *lki_alloc_slow(const lki_allocator *allocator, size_t size);
void lki_free_slow(const lki_allocator *allocator, void *memory, size_t size);

LKI_INLINE bool
lki_alloc_is_jemalloc(const lki_allocator *allocator)
{
    return allocator != NULL && allocator->allocate == NULL && mallocx != NULL &&
           lki_default_allocator.allocate == NULL;
}

/* NULL: no memory. Aligned like malloc's. Contents undefined. */
LKI_INLINE void *
lki_alloc(const lki_allocator *allocator, size_t size)
{
    lki_purse *purse = allocator != NULL ? allocator->straight : &lki_purse_none;
    if (LKI_UNLIKELY(!lki_purse_has(purse, size)))
        return lki_alloc_slow(allocator, size);
    void *memory = mallocx(size, lki_alloc_flags);
    if (LKI_LIKELY(memory != NULL))
        lki_stat_add(&purse->left, -(uint64_t)size);
    return memory;
}
void *lki_alloc_zeroed(const lki_allocator *allocator, size_t size);
/* Zeroed; for what is large and seldom read: huge pages would only make its slack resident. */
void *lki_alloc_seldom(const lki_allocator *allocator, size_t size);

/* `size` as it was asked for. NULL is allowed. */
LKI_INLINE void
lki_free(const lki_allocator *allocator, void *memory, size_t size)
{
    lki_purse *purse = allocator != NULL ? allocator->straight : &lki_purse_none;
    if (LKI_UNLIKELY(memory == NULL) || LKI_UNLIKELY(!lki_purse_has_room(purse, size))) {
        lki_free_slow(allocator, memory, size);
        return;
    }
    lki_stat_add(&purse->left, size);
    sdallocx(memory, size, lki_alloc_flags & LKI_ALLOC_CACHE);
}

/* The same, on a cache line of its own; `size` is rounded up to whole lines. Zeroed. Only with
 * each other. */
void *lki_alloc_lines(const lki_allocator *allocator, size_t size);
/* Only the first `zeroed` bytes are. */
void *lki_alloc_lines_partly(const lki_allocator *allocator, size_t size, size_t zeroed);
void lki_free_lines(const lki_allocator *allocator, void *memory, size_t size);
/* What they take of the allocator. */
size_t lki_lines_bytes(const lki_allocator *allocator, size_t size);

/* The size that jemalloc makes of up to 512 bytes; more is left as it is. */
LKI_INLINE size_t
lki_alloc_rounded(size_t size)
{
    size_t step = size <= 128 ? 16 : size <= 256 ? 32 : size <= 512 ? 64 : 1;
    return (size + step - 1) & ~(step - 1);
}

/* Bytes of memory that the machine has. */
uint64_t lki_alloc_machine_size(void);

#endif
