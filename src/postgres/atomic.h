/* SPDX-License-Identifier: MIT
 *
 * Shared words of the adapter, order in the verb. The adapter sees public headers only, so it has
 * its own few. All are relaxed: what is shared is under a mutex, but for counters and guesses of
 * the server's time, which nothing else depends on.
 */
#ifndef LKI_PG_ATOMIC_H
#define LKI_PG_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic(int64_t) lki_pg_shared_ms;
typedef _Atomic(uint64_t) lki_pg_statistic;

static inline int64_t
lki_pg_ms_read(const lki_pg_shared_ms *ms)
{
    return atomic_load_explicit(ms, memory_order_relaxed);
}

static inline void
lki_pg_ms_set(lki_pg_shared_ms *ms, int64_t value)
{
    atomic_store_explicit(ms, value, memory_order_relaxed);
}

/* It was the n-th. */
static inline uint64_t
lki_pg_count_next(lki_pg_statistic *statistic)
{
    return atomic_fetch_add_explicit(statistic, 1, memory_order_relaxed) + 1;
}

static inline void
lki_pg_count(lki_pg_statistic *statistic, uint64_t n)
{
    atomic_fetch_add_explicit(statistic, n, memory_order_relaxed);
}

static inline uint64_t
lki_pg_counted(const lki_pg_statistic *statistic)
{
    return atomic_load_explicit(statistic, memory_order_relaxed);
}

#endif
