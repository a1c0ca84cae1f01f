/* SPDX-License-Identifier: MIT
 *
 * Shared words of the adapter, order in the verb. The adapter sees public headers only, so it has
 * its own few.
 *
 *   pair L1   the flag of a reader's place: a thread leaves the place (release), the next one takes
 *             it (acquire). Without the order the next thread sees half of the last one's
 *             transaction. reader.c
 *
 *   pair L2   LMDB's meta pages: a writer has published commit N + 1 before it overwrites the page
 *             of N; a reader that has copied that page looks at the number of the last commit after
 *             it. Without the fence a processor that is not x86 may look first. reader.c
 *
 * Everything else that is shared is under a mutex, but for counters, which nothing depends on.
 */
#ifndef LKI_LMDB_ATOMIC_H
#define LKI_LMDB_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef _Atomic(uint32_t) lki_lmdb_flag;
typedef _Atomic(uint64_t) lki_lmdb_counter;

/* L1. True: the place is the caller's. */
static inline bool
lki_lmdb_flag_take(lki_lmdb_flag *flag)
{
    uint32_t idle = 0;
    return atomic_load_explicit(flag, memory_order_relaxed) == 0 && /* a look, before the swap */
           atomic_compare_exchange_strong_explicit(flag, &idle, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* L1 */
static inline void
lki_lmdb_flag_drop(lki_lmdb_flag *flag)
{
    atomic_store_explicit(flag, 0, memory_order_release);
}

/* L2: loads before it are not done after it. */
static inline void
lki_lmdb_fence_acquire(void)
{
    atomic_thread_fence(memory_order_acquire);
}

/* A counter with one writer at a time; read by anybody. */
static inline void
lki_lmdb_count(lki_lmdb_counter *counter, uint64_t more)
{
    uint64_t count = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, count + more, memory_order_relaxed);
}

static inline uint64_t
lki_lmdb_counted(lki_lmdb_counter *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* A number that no other call gets; only to spread threads. */
static inline uint32_t
lki_lmdb_number(lki_lmdb_flag *last)
{
    return atomic_fetch_add_explicit(last, 1, memory_order_relaxed);
}

#endif
