/* SPDX-License-Identifier: MIT
 *
 * Times of jobs: ticks of the monotonic clock, Unix milliseconds of expiry, and lower bounds of
 * either. All have 44 bits. The clocks may be the caller's, and have any value.
 */
#ifndef LKI_QUEUE_TIMES_H
#define LKI_QUEUE_TIMES_H

#include "store/store.h"

/* Times of jobs have 44 bits; the last one never passes. */
#define LKI_TIME_MAX (((uint64_t)1 << 44) - 1)

/* Of the monotonic clock: milliseconds since the store was opened, plus 2: so that there is one
 * that has passed. */
LKI_INLINE uint64_t
lki_tick_of(const lki_store *store, int64_t monotonic_ms)
{
    if (LKI_UNLIKELY(monotonic_ms <= store->monotonic_base_ms))
        return 1;
    uint64_t since = (uint64_t)monotonic_ms - (uint64_t)store->monotonic_base_ms;
    return since < LKI_TIME_MAX ? since : LKI_TIME_MAX;
}

/* The other way round. */
LKI_INLINE int64_t
lki_tick_to_ms(const lki_store *store, uint64_t tick)
{
    int64_t base = store->monotonic_base_ms;
    return base > INT64_MAX - (int64_t)tick ? INT64_MAX : base + (int64_t)tick;
}

/* The time now; lags where the precise clock is another one. */
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

/* Unix ms of an expiry, which is above 0, or of the clock, as bounds have them: in their order,
 * however the clock is set. Exact up to the year 2527; all that lies beyond is one value. */
LKI_INLINE uint64_t
lki_expiry_time(int64_t ms)
{
    return ms < 0 ? 0 : (uint64_t)ms < LKI_TIME_MAX ? (uint64_t)ms : LKI_TIME_MAX - 1;
}

/* May something that is bounded by `time` have expired? `now`: as lki_expiry_time has it. At the
 * end nobody knows before he has looked. */
LKI_INLINE bool
lki_expiry_is_past(uint64_t time, uint64_t now)
{
    return time < now || (time == now && now == LKI_TIME_MAX - 1);
}

/* A lower bound of times: time << 20 | version << 1 | somebody is looking at what it bounds. Who
 * adds something lowers it; who looks at all that it bounds may raise it, unless something was
 * added meanwhile. */
typedef _Atomic(uint64_t) lki_next_due; /* [P12] */
#define LKI_TIME_SHIFT 20
#define LKI_VERSION_MASK ((uint64_t)0xffffe)
#define LKI_NEVER (LKI_TIME_MAX << LKI_TIME_SHIFT)

LKI_INLINE uint64_t
lki_next_due_time(lki_next_due *bound)
{
    return lki_load_seq_cst(bound) >> LKI_TIME_SHIFT; /* P12 */
}

/* Is it low enough, and nobody looking? */
LKI_INLINE bool
lki_next_due_covers(lki_next_due *bound, uint64_t time)
{
    uint64_t seen = lki_load_seq_cst(bound); /* P12 */
    return (seen & 1) == 0 && seen >> LKI_TIME_SHIFT <= time;
}

bool lki_next_due_cover_slow(lki_next_due *bound, uint64_t time);
/* Something with this time was added, or is about to be. True: that was news. */
LKI_INLINE bool
lki_next_due_cover(lki_next_due *bound, uint64_t time)
{
    return LKI_LIKELY(lki_next_due_covers(bound, time)) ? false
                                                        : lki_next_due_cover_slow(bound, time);
}
/* Looking at all that it bounds: the mark first, then the look, then the end with the time found:
 * false: something was added meanwhile, the bound stays as low as it was. */
uint64_t lki_next_due_begin(lki_next_due *bound);
bool lki_next_due_end(lki_next_due *bound, uint64_t begun, uint64_t time);

/* The time as of the last tick; the precise one where that matters. */
typedef struct lki_ticks {
    uint64_t now;
    bool precise;
} lki_ticks;

LKI_INLINE lki_ticks
lki_ticks_read(const lki_store *store)
{
    return (lki_ticks){lki_tick(store), store->monotonic_precise_ms == NULL};
}

/* Has `time` passed? */
LKI_INLINE bool
lki_ticks_past(const lki_store *store, lki_ticks *ticks, uint64_t time)
{
    if (LKI_UNLIKELY(!ticks->precise && ticks->now <= time &&
                     time < ticks->now + LKI_COARSE_LAG_MS))
        *ticks = (lki_ticks){lki_tick_precise(store), true};
    return time < ticks->now;
}

/* When `ms` from now will have passed; never earlier. */
uint64_t lki_ticks_after(const lki_store *store, lki_ticks *ticks, int64_t ms);

#endif
