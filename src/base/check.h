/* SPDX-License-Identifier: MIT
 *
 * Assertions, branch hints, prefetching. LKI_CHECK 0: no checks; 1: LK_ASSERT; 2: also the walks of
 * whole structures, lki_<thing>_check(). A programmer's error aborts in checked builds only; a
 * user's error is always a status.
 */
#ifndef LKI_BASE_CHECK_H
#define LKI_BASE_CHECK_H

#include <stdint.h>

#ifndef LKI_CHECK
#define LKI_CHECK 0
#endif

#if LKI_CHECK > 0
#include <stdio.h>
#include <stdlib.h>
#define LK_ASSERT(condition)                                                                  \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                          \
        }                                                                                     \
    } while (0)
#else
#define LK_ASSERT(condition) ((void)sizeof(condition))
#endif

/* A constant; a smaller one in test builds that make rare branches common (LKI_SMALL). */
#ifdef LKI_SMALL
#define LKI_OR_SMALL(usual, small) (small)
#else
#define LKI_OR_SMALL(usual, small) (usual)
#endif

#define LKI_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define LKI_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define LKI_PREFETCH(address) __builtin_prefetch((const void *)(uintptr_t)(address), 0, 3)
/* Prefetches into the second cache, for later use. A core has few buffers for lines on their way
 * into the first cache, and an access that needs one waits. */
#define LKI_PREFETCH_FAR(address) __builtin_prefetch((const void *)(uintptr_t)(address), 0, 2)
/* Prefetches for a write: the line comes exclusively. */
#ifdef __x86_64__
#define LKI_PREFETCH_TO_WRITE(address) \
    __asm__ volatile("prefetchw %0" : : "m"(*(const volatile char *)(address)))
#else
#define LKI_PREFETCH_TO_WRITE(address) __builtin_prefetch((address), 1, 3)
#endif
/* Prefetches `offset` bytes behind a pointer that may be NULL, to which C allows no addition. */
#define LKI_PREFETCH_AT(address, offset) LKI_PREFETCH((uintptr_t)(address) + (offset))
/* Makes the compiler load values again where they are used, instead of keeping them in registers:
 * in a hot function that would have to save its caller's registers. */
#define LKI_RELOAD() __asm__ volatile("" ::: "memory")
#define LKI_COLD __attribute__((cold, noinline))
#define LKI_APART __attribute__((noinline)) /* a call keeps its registers apart from the caller's */
/* Coverage builds define it otherwise, so that a function counts once and not once for each
 * call. */
#ifndef LKI_INLINE
#define LKI_INLINE static inline __attribute__((always_inline))
#endif
#define LKI_LINE 64 /* bytes of a cache line */

#endif
