/* SPDX-License-Identifier: MIT
 *
 * Assertions and branch hints. LKI_CHECK 0: none; 1: LK_ASSERT; 2: also the lki_<thing>_check()
 * walks of whole structures. A programmer's error aborts in checked builds only; a user's error is
 * always a status.
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

/* A constant; in builds that make rare branches common (LKI_SMALL, for tests) another one. */
#ifdef LKI_SMALL
#define LKI_OR_SMALL(usual, small) (small)
#else
#define LKI_OR_SMALL(usual, small) (usual)
#endif

#define LKI_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define LKI_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define LKI_PREFETCH(address) __builtin_prefetch((const void *)(uintptr_t)(address), 0, 3)
/* Into the second cache, for what is needed a while later: a core has few places for lines that are
 * on their way into the first, and who waits for one of these waits with all that it does. */
#define LKI_PREFETCH_FAR(address) __builtin_prefetch((const void *)(uintptr_t)(address), 0, 2)
/* For who is going to write there, and to whom the line has to come for itself alone. */
#ifdef __x86_64__
#define LKI_PREFETCH_TO_WRITE(address) \
    __asm__ volatile("prefetchw %0" : : "m"(*(const volatile char *)(address)))
#else
#define LKI_PREFETCH_TO_WRITE(address) __builtin_prefetch((address), 1, 3)
#endif
/* `offset` bytes behind a pointer that may be NULL, to which nothing may be added. */
#define LKI_PREFETCH_AT(address, offset) LKI_PREFETCH((uintptr_t)(address) + (offset))
/* What is needed behind this is loaded again, by the instruction that needs it, and does not keep a
 * register till then: where there are too few, the function saves and restores its caller's. */
#define LKI_RELOAD() __asm__ volatile("" ::: "memory")
#define LKI_COLD __attribute__((cold, noinline))
#define LKI_APART __attribute__((noinline)) /* its registers are not its caller's */
/* Where coverage is measured: a function is one, not as many as there are calls of it. */
#ifndef LKI_INLINE
#define LKI_INLINE static inline __attribute__((always_inline))
#endif
#define LKI_LINE 64 /* bytes of a cache line */

#endif
