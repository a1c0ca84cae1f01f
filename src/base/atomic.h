/* SPDX-License-Identifier: MIT
 *
 * Atomic accesses. Every access to a variable that threads share goes through here. The verb's name
 * says its memory order, so a search for a name finds every use of an order.
 */
#ifndef LKI_BASE_ATOMIC_H
#define LKI_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Relaxed: for counters, for variables that a latch guards, and where a later access gives the
 * order. */
#define lki_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define lki_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define lki_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define lki_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)

#define lki_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define lki_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)

/* Sequentially consistent: all accesses of this kind have one order, so a store is also seen by a
 * later load of another variable. */
#define lki_load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define lki_store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define lki_swap_seq_cst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define lki_or_seq_cst(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define lki_and_seq_cst(p, v) atomic_fetch_and_explicit((p), (v), memory_order_seq_cst)
#define lki_add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
/* If the swap fails, *expected receives the value that was found. */
#define lki_cas_seq_cst(p, expected, desired)                                                 \
    atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_seq_cst, \
                                            memory_order_seq_cst)

/* A pause inside a spin. */
static inline void
lki_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Annotations where memory passes to or from Concurrency Kit: ThreadSanitizer cannot see its inline
 * assembly. */
#if defined(__SANITIZE_THREAD__)
#define LKI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LKI_TSAN 1
#endif
#endif
#ifdef LKI_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define LKI_TSAN_ACQUIRE(p) __tsan_acquire((void *)(uintptr_t)(p))
#define LKI_TSAN_RELEASE(p) __tsan_release((void *)(uintptr_t)(p))
#else
#define LKI_TSAN_ACQUIRE(p) ((void)0)
#define LKI_TSAN_RELEASE(p) ((void)0)
#endif

/* Adds to a counter that one thread writes and others read: it orders nothing, and no thread waits
 * for it. On x86-64 it is one instruction without a lock prefix: aligned words are stored at
 * once. */
static inline void
lki_stat_add(_Atomic(uint64_t) *counter, uint64_t n)
{
#if defined(__x86_64__) && !defined(LKI_TSAN)
    __asm__("addq %1, %0" : "+m"(*counter) : "er"(n) : "cc");
#else
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
#endif
}

/* Reads such a counter, from any thread. */
#define lki_stat_load(p) atomic_load_explicit((p), memory_order_relaxed)

/* A full fence. ThreadSanitizer does not model fences: there it is a read-modify-write of a
 * variable of its own. (tests/schedule is instrumented for it, and models fences.) */
#if defined(LKI_TSAN) && !defined(LKI_SCHEDULE)
extern _Atomic(uint32_t) lki_fence_word;
#define lki_fence_seq_cst() ((void)lki_add_seq_cst(&lki_fence_word, 1))
#else
#define lki_fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)
#endif

#endif
