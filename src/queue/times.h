/* SPDX-License-Identifier: MIT
 *
 * Times of jobs, in 44 bits, and the lower bounds by which a thread finds out cheaply whether any
 * job is due.
 *
 *   tick           monotonic clock, in milliseconds since two before the store was opened: so tick
 *                  0 is no time, and tick 1 has always passed
 *   expiry time    Unix milliseconds
 *   next due time  a lower bound: no job that it covers is due earlier. A thread that adds a job
 *                  lowers it. A thread that scans all the jobs it covers may raise it (P12)
 *
 * The clocks may be the caller's and may return any value.
 */
#ifndef LKI_QUEUE_TIMES_H
#define LKI_QUEUE_TIMES_H

#include "store/store.h"

/* The last time; it never passes. */
#define LKI_TIME_MAX (((uint64_t)1 << 44) - 1)

/* The tick of a time of the monotonic clock. A clock that stepped back gives tick 1. */
LKI_INLINE uint64_t
lki_tick_of(const lki_store *store, int64_t monotonic_ms)
{
    if (LKI_UNLIKELY(monotonic_ms <= store->monotonic_base_ms))
        return 1;
    uint64_t since = (uint64_t)monotonic_ms - (uint64_t)store->monotonic_base_ms;
    return since < LKI_TIME_MAX ? since : LKI_TIME_MAX;
}

/* The time of the monotonic clock for a tick. */
LKI_INLINE int64_t
lki_tick_to_ms(const lki_store *store, uint64_t tick)
{
    int64_t base = store->monotonic_base_ms;
    return base > INT64_MAX - (int64_t)tick ? INT64_MAX : base + (int64_t)tick;
}

/* The tick now. It may lag by up to LKI_COARSE_LAG_MS where the store has a separate precise
 * clock. */
LKI_INLINE uint64_t
lki_tick(const lki_store *store)
{
    return lki_tick_of(store, store->monotonic_ms(store->clock_context));
}

LKI_INLINE uint64_t
lki_tick_precise(const lki_store *store)
{
    lk_clock clock =
        store->monotonic_precise_ms != NULL ? store->monotonic_precise_ms : store->monotonic_ms;
    return lki_tick_of(store, clock(store->clock_context));
}

/* Unix milliseconds, of an expiry or of the clock, as a next due time stores them: order is kept
 * for any value. Exact up to the year 2527; all later times are one value. */
LKI_INLINE uint64_t
lki_expiry_time(int64_t ms)
{
    return ms < 0 ? 0 : (uint64_t)ms < LKI_TIME_MAX ? (uint64_t)ms : LKI_TIME_MAX - 1;
}

/* May a job covered by the next due time `time` have expired? `now` comes from lki_expiry_time. The
 * last value stands for many times, so it counts as passed, and the scan decides. */
LKI_INLINE bool
lki_expiry_is_past(uint64_t time, uint64_t now)
{
    return time < now || (time == now && now == LKI_TIME_MAX - 1);
}

/* A next due time: time << 20 | version << 1 | mark. The mark says that a thread is scanning the
 * jobs it covers. The scan may end by raising the time, unless a job was added meanwhile. */
typedef _Atomic(uint64_t) lki_next_due; /* [P12] */
#define LKI_TIME_SHIFT 20
#define LKI_VERSION_MASK ((uint64_t)0xffffe)
#define LKI_NEVER (LKI_TIME_MAX << LKI_TIME_SHIFT)

LKI_INLINE uint64_t
lki_next_due_time(lki_next_due *bound)
{
    return lki_load_seq_cst(bound) >> LKI_TIME_SHIFT; /* P12 */
}

/* Does it cover `time` already, with no scan under way? */
LKI_INLINE bool
lki_next_due_covers(lki_next_due *bound, uint64_t time)
{
    uint64_t seen = lki_load_seq_cst(bound); /* P12 */
    return (seen & 1) == 0 && seen >> LKI_TIME_SHIFT <= time;
}

bool lki_next_due_cover_slow(lki_next_due *bound, uint64_t time);
/* A job with this time was added, or is about to be. Returns true if that lowered the time. */
LKI_INLINE bool
lki_next_due_cover(lki_next_due *bound, uint64_t time)
{
    return LKI_LIKELY(lki_next_due_covers(bound, time)) ? false
                                                        : lki_next_due_cover_slow(bound, time);
}
/* A scan of all that it covers: begin sets the mark; end sets `time`, the least that the scan has
 * found. End returns false if a job was added meanwhile: then the time stays as low as it was. */
uint64_t lki_next_due_begin(lki_next_due *bound);
bool lki_next_due_end(lki_next_due *bound, uint64_t begun, uint64_t time);

/* A reading of the clock: coarse first, precise only where the difference matters. */
typedef struct lki_ticks {
    uint64_t now;
    bool precise;
} lki_ticks;

LKI_INLINE lki_ticks
lki_ticks_read(const lki_store *store)
{
    return (lki_ticks){lki_tick(store), store->monotonic_precise_ms == NULL};
}

/* Has `time` passed? Reads the precise clock if the coarse one cannot tell. */
LKI_INLINE bool
lki_ticks_past(const lki_store *store, lki_ticks *ticks, uint64_t time)
{
    if (LKI_UNLIKELY(!ticks->precise && ticks->now <= time &&
                     time < ticks->now + LKI_COARSE_LAG_MS))
        *ticks = (lki_ticks){lki_tick_precise(store), true};
    return time < ticks->now;
}

/* The tick at which `ms` from now have passed; never too early. */
uint64_t lki_ticks_after(const lki_store *store, lki_ticks *ticks, int64_t ms);

#endif
