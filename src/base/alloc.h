/* SPDX-License-Identifier: MIT
 *
 * Memory. All memory of the library comes from here, so that a test can fail the n-th allocation,
 * and an account can count it.
 *
 * The default allocator is jemalloc with sized frees if the program links it, else malloc. The
 * choice is made once, and the two are never mixed. Any thread may call; progress is the
 * allocator's.
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
    lki_purse *purse;    /* pays for allocations; NULL: nothing is counted */
    lki_purse *straight; /* the same if memory is jemalloc's; else lki_purse_none */
} lki_allocator;

/* The allocator for objects of no store (results, threads). A test may replace it before other
 * threads run. */
extern lki_allocator lki_default_allocator;

/* jemalloc's functions, NULL if the program does not link it. The references are weak: Debian's
 * libjemalloc cannot be loaded late (static TLS), so the library must not need it. */
__attribute__((weak)) extern void *mallocx(size_t size, int flags);
__attribute__((weak)) extern void sdallocx(void *memory, size_t size, int flags);

/* This thread's flags for jemalloc: an arena of the library's, whose memory lies in huge pages, and
 * a cache for it. 0 before lki_alloc_thread_begin, and without jemalloc. */
extern __thread int lki_alloc_flags __attribute__((tls_model("initial-exec")));
enum { LKI_ALLOC_CACHE = 0xfff00 }; /* the bits of the cache in the flags; a free names no arena */

/* Where memory comes from: "jemalloc", "malloc" or "caller" (the caller's own functions). */
const char *lki_alloc_name(const lki_allocator *allocator);

/* At a thread's first call, and at its exit. May be repeated. */
void lki_alloc_thread_begin(void);
void lki_alloc_thread_end(void);
/* Called when the library may be unloaded: removes all pointers to its code and data from jemalloc.
 * Memory that was allocated stays valid. */
void lki_alloc_end(void);

void *lki_alloc_slow(const lki_allocator *allocator, size_t size);
void lki_free_slow(const lki_allocator *allocator, void *memory, size_t size);

LKI_INLINE bool
lki_alloc_is_jemalloc(const lki_allocator *allocator)
{
    return allocator != NULL && allocator->allocate == NULL && mallocx != NULL &&
           lki_default_allocator.allocate == NULL;
}

/* Allocates memory with undefined contents, aligned as malloc's. NULL: no memory. */
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
/* Zeroed memory that is large and rarely read. Not in huge pages, which would make its unused parts
 * resident. */
void *lki_alloc_seldom(const lki_allocator *allocator, size_t size);

/* Frees memory. `size`: as it was allocated with. NULL is allowed. */
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

/* The same in whole cache lines, zeroed: `size` is rounded up. Such memory is freed by
 * lki_free_lines only. */
void *lki_alloc_lines(const lki_allocator *allocator, size_t size);
/* Only the first `zeroed` bytes are zeroed. */
void *lki_alloc_lines_partly(const lki_allocator *allocator, size_t size, size_t zeroed);
void lki_free_lines(const lki_allocator *allocator, void *memory, size_t size);
/* Bytes that such memory takes from the allocator. */
size_t lki_lines_bytes(const lki_allocator *allocator, size_t size);

/* The size class of jemalloc for sizes up to 512; larger sizes are returned as they are. */
LKI_INLINE size_t
lki_alloc_rounded(size_t size)
{
    size_t step = size <= 128 ? 16 : size <= 256 ? 32 : size <= 512 ? 64 : 1;
    return (size + step - 1) & ~(step - 1);
}

/* Bytes of the machine's memory. */
uint64_t lki_alloc_machine_size(void);

#endif
