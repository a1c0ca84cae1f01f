/* SPDX-License-Identifier: MIT
 *
 * The points. What lies on the running fiber's own stack, or is thread-local, is its own: plain
 * accesses to it are no points, and nobody's business.
 */
#include "schedule/points.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "schedule/audit.h"
#include "schedule/data.h"
#include "schedule/engine.h"
#include "schedule/heap.h"
#include "schedule/instead.h"
#include "schedule/memory.h"
#include "schedule/report.h"

#define POINT_INLINE static inline __attribute__((always_inline))
#define HERE __builtin_return_address(0)

/* One more point; false: outside of fibers. */
POINT_INLINE bool
point(enum report_kind kind, const volatile void *p, size_t size, const void *where)
{
    heap_check(p, size);
    if (engine.current == 0)
        return false;
    engine.hash = (engine.hash ^ (uintptr_t)where ^ (uintptr_t)p << 24 ^ engine.current) *
                  0x9e3779b97f4a7c15U;
    engine.hash ^= engine.hash >> 32;
    if (__builtin_expect(engine.verbose, 0))
        report_point(kind, p, size, where);
    if (__builtin_expect(++engine.count >= engine.event, 0)) {
        engine_event();
        heap_check(p, size); /* others have run meanwhile */
    }
    return true;
}

/* May another fiber know the address? The arena and others' stacks, variables; not errno, say. */
POINT_INLINE bool
is_shared(const volatile void *p)
{
    uintptr_t at = (uintptr_t)p;
    if (at - HEAP_BASE < HEAP_SIZE + ENGINE_STACKS)
        return at - engine.stack_low >= ENGINE_STACK;
    return at - (uintptr_t)schedule_data_first <
           (uintptr_t)(schedule_zero_last - schedule_data_first);
}

POINT_INLINE void
plain(bool writes, const volatile void *p, size_t size, const void *where)
{
    if (!is_shared(p) || size == 0)
        return;
    if (engine.plain_points)
        point(writes ? REPORT_WRITE : REPORT_READ, p, size, where);
    else
        heap_check(p, size);
    if (engine.weak && engine.current != 0) {
        report_at(where);
        if (writes)
            memory_write(engine.current, (volatile void *)(uintptr_t)p, size);
        else
            memory_read(engine.current, p, size);
    }
}

void
points_read(const volatile void *p, size_t size)
{
    plain(false, p, size, HERE);
}

void
points_write(volatile void *p, size_t size)
{
    plain(true, p, size, HERE);
}

void
points_sync(const volatile void *object)
{
    point(REPORT_SYNC, object, 1, HERE);
}

/* ---- plain accesses ---- */

#define PLAIN(n)                                      \
    void __tsan_read##n(void *p);                     \
    void __tsan_read##n(void *p)                      \
    {                                                 \
        plain(false, p, n, HERE);                     \
    }                                                 \
    void __tsan_write##n(void *p);                    \
    void __tsan_write##n(void *p)                     \
    {                                                 \
        plain(true, p, n, HERE);                      \
    }                                                 \
    void __tsan_read_write##n(void *p);               \
    void __tsan_read_write##n(void *p)                \
    {                                                 \
        plain(false, p, n, HERE);                     \
        plain(true, p, n, HERE);                      \
    }                                                 \
    void __tsan_unaligned_read##n(void *p);           \
    void __tsan_unaligned_read##n(void *p)            \
    {                                                 \
        plain(false, p, n, HERE);                     \
    }                                                 \
    void __tsan_unaligned_write##n(void *p);          \
    void __tsan_unaligned_write##n(void *p)           \
    {                                                 \
        plain(true, p, n, HERE);                      \
    }                                                 \
    void __tsan_volatile_read##n(void *p);            \
    void __tsan_volatile_read##n(void *p)             \
    {                                                 \
        plain(false, p, n, HERE);                     \
    }                                                 \
    void __tsan_volatile_write##n(void *p);           \
    void __tsan_volatile_write##n(void *p)            \
    {                                                 \
        plain(true, p, n, HERE);                      \
    }                                                 \
    void __tsan_unaligned_volatile_read##n(void *p);  \
    void __tsan_unaligned_volatile_read##n(void *p)   \
    {                                                 \
        plain(false, p, n, HERE);                     \
    }                                                 \
    void __tsan_unaligned_volatile_write##n(void *p); \
    void __tsan_unaligned_volatile_write##n(void *p)  \
    {                                                 \
        plain(true, p, n, HERE);                      \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *p, size_t size);
void
__tsan_read_range(void *p, size_t size)
{
    plain(false, p, size, HERE);
}

void __tsan_write_range(void *p, size_t size);
void
__tsan_write_range(void *p, size_t size)
{
    plain(true, p, size, HERE);
}

void __tsan_vptr_update(void **p, void *value);
void
__tsan_vptr_update(void **p, void *value)
{
    (void)value;
    plain(true, p, sizeof *p, HERE);
}

void __tsan_vptr_read(void **p);
void
__tsan_vptr_read(void **p)
{
    plain(false, p, sizeof *p, HERE);
}

void *
schedule_memcpy(void *to, const void *from, size_t size)
{
    plain(false, from, size, HERE);
    plain(true, to, size, HERE);
    return memcpy(to, from, size);
}

void *
schedule_memmove(void *to, const void *from, size_t size)
{
    plain(false, from, size, HERE);
    plain(true, to, size, HERE);
    return memmove(to, from, size);
}

void *
schedule_memset(void *to, int byte, size_t size)
{
    plain(true, to, size, HERE);
    return memset(to, byte, size);
}

int
schedule_memcmp(const void *a, const void *b, size_t size)
{
    plain(false, a, size, HERE);
    plain(false, b, size, HERE);
    return memcmp(a, b, size);
}

/* ---- atomic accesses ---- */

/* False: directly. */
POINT_INLINE bool
atomic(enum report_kind kind, const volatile void *p, size_t size, const void *where)
{
    if (!point(kind, p, size, where) || !engine.weak)
        return false;
    report_at(where);
    return true;
}

#define RMW(bits, type, name, op, direct)                                          \
    type __tsan_atomic##bits##_##name(volatile type *p, type value, int order);    \
    type __tsan_atomic##bits##_##name(volatile type *p, type value, int order)     \
    {                                                                              \
        if (atomic(REPORT_CHANGE, p, sizeof *p, HERE))                             \
            return (type)memory_rmw(engine.current, p, sizeof *p, op, (type)value, \
                                    audit_order(REPORT_CHANGE, HERE, order));      \
        return direct(p, value, __ATOMIC_SEQ_CST);                                 \
    }

#define CAS(bits, type, name)                                                                      \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *p, type *expected,            \
                                                      type desired, int success, int failure);     \
    int __tsan_atomic##bits##_compare_exchange_##name(volatile type *p, type *expected,            \
                                                      type desired, int success, int failure)      \
    {                                                                                              \
        if (!atomic(REPORT_CHANGE, p, sizeof *p, HERE))                                            \
            return __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_SEQ_CST,      \
                                               __ATOMIC_SEQ_CST);                                  \
        int weaker = audit_order(REPORT_CHANGE, HERE, success);                                    \
        if (weaker != success)                                                                     \
            failure = weaker == __ATOMIC_ACQ_REL ? __ATOMIC_ACQUIRE : __ATOMIC_RELAXED;            \
        uint64_t found = *expected;                                                                \
        bool swapped = memory_cas(engine.current, p, sizeof *p, &found, desired, weaker, failure); \
        *expected = (type)found;                                                                   \
        return swapped;                                                                            \
    }

#define ATOMIC(bits, type)                                                                         \
    type __tsan_atomic##bits##_load(const volatile type *p, int order);                            \
    type __tsan_atomic##bits##_load(const volatile type *p, int order)                             \
    {                                                                                              \
        if (atomic(REPORT_LOAD, p, sizeof *p, HERE))                                               \
            return (type)memory_load(engine.current, p, sizeof *p,                                 \
                                     audit_order(REPORT_LOAD, HERE, order));                       \
        return __atomic_load_n(p, __ATOMIC_RELAXED);                                               \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile type *p, type value, int order);                     \
    void __tsan_atomic##bits##_store(volatile type *p, type value, int order)                      \
    {                                                                                              \
        if (atomic(REPORT_STORE, p, sizeof *p, HERE))                                              \
            memory_store(engine.current, p, sizeof *p, value,                                      \
                         audit_order(REPORT_STORE, HERE, order));                                  \
        else                                                                                       \
            __atomic_store_n(p, value, __ATOMIC_RELAXED);                                          \
    }                                                                                              \
    RMW(bits, type, exchange, MEMORY_EXCHANGE, __atomic_exchange_n)                                \
    RMW(bits, type, fetch_add, MEMORY_ADD, __atomic_fetch_add)                                     \
    RMW(bits, type, fetch_sub, MEMORY_SUB, __atomic_fetch_sub)                                     \
    RMW(bits, type, fetch_and, MEMORY_AND, __atomic_fetch_and)                                     \
    RMW(bits, type, fetch_or, MEMORY_OR, __atomic_fetch_or)                                        \
    RMW(bits, type, fetch_xor, MEMORY_XOR, __atomic_fetch_xor)                                     \
    RMW(bits, type, fetch_nand, MEMORY_NAND, __atomic_fetch_nand)                                  \
    CAS(bits, type, strong)                                                                        \
    CAS(bits, type, weak)                                                                          \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type desired, \
                                                    int success, int failure);                     \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type expected, type desired, \
                                                    int success, int failure)                      \
    {                                                                                              \
        __tsan_atomic##bits##_compare_exchange_strong(p, &expected, desired, success, failure);    \
        return expected;                                                                           \
    }
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void
__tsan_atomic_thread_fence(int order)
{
    if (atomic(REPORT_FENCE, NULL, 0, HERE))
        memory_fence(engine.current, audit_order(REPORT_FENCE, HERE, order));
}

void __tsan_atomic_signal_fence(int order);
void
__tsan_atomic_signal_fence(int order)
{
    (void)order;
}

/* ---- the rest ---- */

/* Annotations of the borders to code that is not instrumented. */
void __tsan_acquire(void *object);
void
__tsan_acquire(void *object)
{
    if (engine.weak && engine.current != 0)
        memory_acquire(engine.current, object);
}

void __tsan_release(void *object);
void
__tsan_release(void *object)
{
    if (engine.weak && engine.current != 0)
        memory_release(engine.current, object);
}

void __tsan_init(void);
void
__tsan_init(void)
{
}

void __tsan_func_entry(void *caller);
void
__tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void);
void
__tsan_func_exit(void)
{
}
