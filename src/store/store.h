/* SPDX-License-Identifier: MIT
 *
 * A store: its tables, its clocks, its options. One struct, set up by open.c and shared by all
 * files of this room; and the one `now` of a call.
 */
#ifndef LKI_STORE_STORE_H
#define LKI_STORE_STORE_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/latch.h"
#include "base/reclaim.h"
#include "base/set.h"
#include "store/cell.h"

typedef struct lki_shard lki_shard;
typedef struct lki_store lki_store;
typedef struct lki_hooks lki_hooks;

enum { LKI_PARTITION_LATCHES = 256 };

/* The state of the sweep; see sweep.c. */
typedef struct lki_sweep_state {
    _Atomic(int64_t) earliest_ms; /* [P22] no expiry before this is left from earlier rounds */
    _Atomic(uint32_t) active;     /* [stat] a round is running */
    _Atomic(uint64_t) expiring __attribute__((
        aligned(LKI_LINE))); /* [stat] about how many expiring writes since the round began */
    _Atomic(int64_t) lag_ms; /* [stat] of the last complete round */
    lki_latch latch;         /* its holder sweeps */
    lki_set_position at;     /* [latch] */
    bool running;            /* [latch] a round is running */
    int64_t round_lag_ms;    /* [latch] */
    int64_t round_began_ms;  /* [latch] */
} lki_sweep_state;

struct lki_store {
    lki_domain domain;
    /* [const] from here */
    lki_secret secret;
    unsigned shard_bits;
    size_t max_pk_size, max_sk_size, max_data_size;
    lk_clock realtime_ms;
    lk_clock precise_ms; /* if realtime_ms lags, by up to LKI_COARSE_LAG_MS; else NULL */
    lk_clock monotonic_ms, monotonic_precise_ms; /* the same for the monotonic clock */
    int64_t monotonic_base_ms;                   /* two before the store was opened */
    void *clock_context;
    unsigned char ulid_mark[3]; /* in every sk that this store generates */
    int64_t lock_ttl_ms, lock_refresh_ms;
    int64_t sweep_interval_ms;
    lki_shard *shards;
    lki_latch partition_latch[LKI_PARTITION_LATCHES]; /* by hash of the pk */
    void *sweeper;                                    /* the background thread; NULL: none */
    bool closing;                                     /* no other thread uses the store */
    const lki_hooks *hooks;                           /* never NULL */
    lki_sweep_state sweep;
    _Atomic(uint32_t) has_locks; /* [stat] a lock was made: new cells get room for one */
    lki_set cells __attribute__((aligned(LKI_LINE))), partitions;
    /* The clock of stamps. Only snapshots advance it. */
    _Atomic(uint64_t) clock __attribute__((aligned(LKI_LINE))); /* [P2] */
};

LKI_INLINE lki_store *
lki_thread_store(lki_thread *thread)
{
    return thread->domain->store;
}

LKI_INLINE int64_t
lki_now(const lki_store *store)
{
    return store->realtime_ms(store->clock_context);
}

LKI_INLINE int64_t
lki_now_precise(const lki_store *store)
{
    return (store->precise_ms != NULL ? store->precise_ms
                                      : store->realtime_ms)(store->clock_context);
}

/* Remembers that the store makes locks: new cells get room for one. */
LKI_INLINE void
lki_locks_expect(lki_store *store)
{
    if (LKI_UNLIKELY(lki_load_relaxed(&store->has_locks) == 0)) /* only a hint */
        lki_store_relaxed(&store->has_locks, 1);
}

/* The one `now` of a call; zeroed: not read yet. If a read returns several items, it must read the
 * time after it has chosen their records. Otherwise the sweep could bury one of two items that
 * expire together, while the other still counts. An item that has expired by this time may have
 * been replaced in between: lki_record_is_gone (head.h). */
typedef struct lki_time {
    int64_t ms;
    bool read, precise;
} lki_time;

/* Has a deadline passed? The precise clock is read, once, if the coarse one is too near to tell. */
LKI_INLINE bool
lki_is_past(const lki_store *store, lki_time *now, int64_t deadline)
{
    if (!now->read)
        *now = (lki_time){lki_now(store), true, store->precise_ms == NULL};
    if (LKI_UNLIKELY(!now->precise && now->ms <= deadline &&
                     deadline - LKI_COARSE_LAG_MS < now->ms))
        *now = (lki_time){store->precise_ms(store->clock_context), true, true};
    return now->ms > deadline;
}

#endif
