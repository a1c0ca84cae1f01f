/* SPDX-License-Identifier: MIT
 *
 * Concurrency Kit's primitives for instrumented code, in place of its inline assembly, which the
 * compiler does not see. Of each as much order as ck promises on a machine that orders nothing by
 * itself: loads, stores and read-modify-writes none, fences what their names say. Only those that
 * the headers which the library includes need.
 */
#ifndef CK_PR_H
#define CK_PR_H

#include <ck_cc.h>
#include <ck_limits.h>
#include <ck_md.h>
#include <ck_stdbool.h>
#include <ck_stdint.h>

#define CK_F_PR /* there are some */

#define ck_pr_load_ptr(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ck_pr_load_uint(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ck_pr_load_int(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ck_pr_load_64(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ck_pr_load_32(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ck_pr_store_ptr(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ck_pr_store_uint(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ck_pr_store_int(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ck_pr_store_64(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ck_pr_store_32(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

#define ck_pr_fas_uint(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define ck_pr_inc_uint(p) ((void)__atomic_fetch_add((p), 1, __ATOMIC_RELAXED))
#define ck_pr_dec_uint(p) ((void)__atomic_fetch_sub((p), 1, __ATOMIC_RELAXED))
#define ck_pr_add_uint(p, v) ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))

CK_CC_INLINE static void *
ck_pr_fas_ptr(void *p, void *v)
{
    return __atomic_exchange_n((void **)p, v, __ATOMIC_RELAXED);
}

CK_CC_INLINE static bool
ck_pr_cas_ptr_value(void *p, void *expected, void *v, void *found)
{
    *(void **)found = expected;
    return __atomic_compare_exchange_n((void **)p, (void **)found, v, false, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

CK_CC_INLINE static bool
ck_pr_cas_ptr(void *p, void *expected, void *v)
{
    return ck_pr_cas_ptr_value(p, expected, v, &expected);
}

CK_CC_INLINE static bool
ck_pr_cas_uint(unsigned *p, unsigned expected, unsigned v)
{
    return __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

#define CK_PR_FENCE(name, order)                      \
    CK_CC_INLINE static void ck_pr_fence_##name(void) \
    {                                                 \
        __atomic_thread_fence(order);                 \
    }
CK_PR_FENCE(load, __ATOMIC_ACQUIRE)
CK_PR_FENCE(load_store, __ATOMIC_ACQUIRE)
CK_PR_FENCE(load_atomic, __ATOMIC_ACQUIRE)
CK_PR_FENCE(acquire, __ATOMIC_ACQUIRE)
CK_PR_FENCE(lock, __ATOMIC_ACQUIRE)
CK_PR_FENCE(store, __ATOMIC_RELEASE)
CK_PR_FENCE(store_atomic, __ATOMIC_RELEASE)
CK_PR_FENCE(release, __ATOMIC_RELEASE)
CK_PR_FENCE(unlock, __ATOMIC_RELEASE)
CK_PR_FENCE(acqrel, __ATOMIC_ACQ_REL)
CK_PR_FENCE(atomic, __ATOMIC_SEQ_CST)
CK_PR_FENCE(atomic_load, __ATOMIC_SEQ_CST)
CK_PR_FENCE(atomic_store, __ATOMIC_SEQ_CST)
CK_PR_FENCE(store_load, __ATOMIC_SEQ_CST)
CK_PR_FENCE(memory, __ATOMIC_SEQ_CST)
#undef CK_PR_FENCE

CK_CC_INLINE static void
ck_pr_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

CK_CC_INLINE static void
ck_pr_stall(void)
{
    __builtin_ia32_pause(); /* a point: see instead.h */
}

#endif
