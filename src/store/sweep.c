/* SPDX-License-Identifier: MIT
 *
 * Expiry: the sweep. Readers compare times, so an expired item is invisible at once; the sweep gets
 * its memory back. It is run by writers in small steps (lki_sweep_step), by lk_sweep, and by the
 * background thread.
 *
 * The sweep walks the set of cells in chunks, and puts a tombstone over exactly the record that it
 * saw expired, as a delete would: the item's lock ends with it. It does the same for lapsed locks
 * without an item. Then removal.c buries the cell. There is no list by time. `earliest_ms` is a
 * lower bound of the expiries to come; a round begins only when it has passed, and at most once a
 * second, unless many expiring items were written since. During a round each write visits about
 * four cells, so the expired items that are still there stay in proportion to the live ones.
 *
 * Progress    One thread sweeps at a time, under a latch which steps only try. Each chunk is a
 *             section of its own.
 * Ordering    P22 (sweep.h): the bound is reset, then heads are read.
 */
#include "store/sweep.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/cancel.h"
#include "base/pressure.h"
#include "store/hooks.h"
#include "store/record.h"
#include "store/removal.h"
#include "store/shard.h"

enum { CHUNK = 64, ROUND_MS = 1000, STEPS_PER_HOOKS = 8 };

/* When a record expires or lapses; 0: never. A lapsed lock of a live item stays: it costs 16
 * bytes. */
static int64_t
record_end(lki_record *record)
{
    return record == NULL              ? 0
           : record->kind == LKI_VALUE ? lki_record_expires(record)
           : record->kind == LKI_LOCK  ? lki_record_lock(record)->expires_at_ms
                                       : 0;
}

/* Puts a tombstone over `record`, which has expired or lapsed. LK_RACE: it was replaced. */
static lk_status
record_bury(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record)
{
    bool lock = record->kind == LKI_LOCK;
    const lki_change change = {.gone = true};
    lki_record *tombstone;
    LK_ASSERT(record->kind != LKI_TOMBSTONE);
    if (!lki_reserve(thread, 4))
        return LK_NO_MEMORY;
    lk_status status = lki_head_change_if(store, thread, cell, record, &change, &tombstone);
    if (status == LK_NO_MEMORY)
        return status;
    if (status != LK_OK)
        return LK_RACE;
    lki_removal_schedule(thread, cell, tombstone);
    lki_count(thread, lock ? LKI_LOCKS_SWEPT : LKI_EXPIRED_SWEPT, 1);
    return LK_OK;
}

/* Sweeps one cell. *lag_ms: the longest time from expiry to sweep so far. */
static lk_status
cell_sweep(lki_store *store, lki_thread *thread, lki_cell *cell, int64_t now, int64_t *lag_ms)
{
    lki_record *record = lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
    int64_t expires = record_end(record);
    if (expires == 0)
        return LK_RACE;
    if (now <= expires) { /* a clock that lags only delays the sweep */
        lki_sweep_expect(store, expires);
        return LK_RACE;
    }
    lk_status status = record_bury(store, thread, cell, record);
    if (status == LK_OK && lki_span_ms(expires, now) > *lag_ms)
        *lag_ms = lki_span_ms(expires, now);
    if (status == LK_RACE) /* perhaps by a copy with the same end: another round finds out */
        lki_sweep_expect(store, expires);
    return status;
}

lk_status
lki_sweep_cell(lki_store *store, lki_thread *thread, lki_cell *cell, int64_t now, int64_t *next_ms)
{
    int64_t lag_ms = 0;
    lk_status status = cell_sweep(store, thread, cell, now, &lag_ms);
    if (status == LK_NO_MEMORY)
        return status;
    int64_t expires =
        record_end(lki_effective(store, lki_load_acquire(&cell->item), NULL)); /* P1 */
    if (expires != 0 && expires < *next_ms)
        *next_ms = expires;
    return status;
}

/* Sweeps the chunk at `at` in one section. *full: it has to continue in another section. LK_OK,
 * LK_NO_MEMORY. */
static lk_status
chunk_section(lki_store *store, lki_thread *thread, lki_set_position *at, int64_t now,
              int64_t *lag_ms, size_t *swept, bool *full)
{
    lki_cell *cells[CHUNK];
    lk_status status = LK_OK;
    *full = false;
    lki_write_enter(thread);
    size_t count = lki_set_walk(&store->cells, at, (void **)cells, CHUNK);
    for (size_t i = 0; i < count && status != LK_NO_MEMORY && !*full; i++) {
        size_t before = *swept;
        lki_removal_if_void(thread, cells[i]); /* left when memory was out */
        status = cell_sweep(store, thread, cells[i], now, lag_ms);
        *swept += status == LK_OK;
        *full = *swept != before && lki_section_is_full(thread);
    }
    lki_write_leave(thread);
    return status == LK_NO_MEMORY ? LK_NO_MEMORY : LK_OK;
}

/* Sweeps one chunk, or a part of it at the limit of retired memory. *at moves on. */
static lk_status
chunk_sweep(lki_store *store, lki_thread *thread, lki_set_position *at, int64_t now,
            int64_t *lag_ms, size_t *swept)
{
    lk_status status;
    const lki_set_position began = *at;
    bool full;
    do {
        *at = began; /* cells already swept are passed over */
        status = chunk_section(store, thread, at, now, lag_ms, swept, &full);
    } while (full && lki_memory_has_room(thread));
    if (full || status == LK_NO_MEMORY)
        *at = began; /* again, when there is memory */
    return status;
}

static void
round_begin_latched(lki_store *store, int64_t now)
{
    lki_sweep_state *sweep = &store->sweep;
    LK_ASSERT(lki_latch_is_held(&sweep->latch));
    sweep->running = true;
    sweep->at = (lki_set_position){0};
    sweep->round_lag_ms = 0;
    sweep->round_began_ms = now;
    lki_store_relaxed(&sweep->expiring, 0);
    /* P22: before the section in which heads are read, which begins with a fence. Each expiry that
     * is met, or written, lowers the bound again. */
    lki_store_seq_cst(&sweep->earliest_ms, INT64_MAX);
}

/* Sweeps the next chunk of the running round. */
static lk_status
round_step_latched(lki_store *store, lki_thread *thread, int64_t now, size_t *swept)
{
    lki_sweep_state *sweep = &store->sweep;
    LK_ASSERT(lki_latch_is_held(&sweep->latch) && sweep->running && !lki_set_is_end(&sweep->at));
    lk_status status = chunk_sweep(store, thread, &sweep->at, now, &sweep->round_lag_ms, swept);
    if (status == LK_OK && lki_set_is_end(&sweep->at)) {
        sweep->running = false;
        lki_store_relaxed(&sweep->lag_ms, sweep->round_lag_ms);
    }
    return status;
}

void
lki_sweep_soon(lki_thread *thread)
{
    lki_store_thread *of = lki_store_thread_of(thread);
    of->sweep_tick += LKI_WRITES_PER_STEP;
    of->hooks_tick |= STEPS_PER_HOOKS - 1;
}

void
lki_sweep_now(lki_thread *thread)
{
    lki_store_thread_of(thread)->sweep_tick = LKI_WRITES_PER_STEP;
}

static LKI_COLD void
sweep_step(lki_store *store, lki_thread *thread)
{
    lki_sweep_state *sweep = &store->sweep;
    lki_store_thread *of = lki_store_thread_of(thread);
    LK_ASSERT(!lki_is_entered(thread));
    of->sweep_tick = 0;
    if (store->hooks->upkeep != NULL && ++of->hooks_tick % STEPS_PER_HOOKS == 0)
        (void)store->hooks->upkeep(store, thread, false);
    if (of->expiring_writes != 0)
        lki_add_relaxed(&sweep->expiring, of->expiring_writes);
    of->expiring_writes = 0;
    int64_t earliest = lki_load_relaxed(&sweep->earliest_ms);
    bool idle = earliest == INT64_MAX; /* nothing will expire, or a round has just begun */
    if ((idle && lki_load_relaxed(&sweep->active) == 0) || !lki_memory_has_room(thread) ||
        !lki_latch_try(&sweep->latch))
        return; /* nothing to do, too much retired, or another thread sweeps */
    int64_t now = lki_now(store);
    if (!sweep->running && now > earliest &&
        (lki_span_ms(sweep->round_began_ms, now) >= ROUND_MS || now < sweep->round_began_ms ||
         lki_load_relaxed(&sweep->expiring) > lki_shard_count(store) / 4 + CHUNK))
        round_begin_latched(store, now);
    size_t swept = 0;
    if (sweep->running)
        (void)round_step_latched(store, thread, now,
                                 &swept); /* without memory the next step tries again */
    lki_store_relaxed(&sweep->active, sweep->running);
    lki_latch_drop(&sweep->latch);
}

void
lki_sweep_step_slow(lki_store *store, lki_thread *thread)
{
    const lki_store_thread *of = lki_store_thread_of(thread);
    lki_exempt_begin(thread);
    if (of->sweep_tick >= LKI_WRITES_PER_STEP && thread->epoch.active == 0)
        sweep_step(store, thread);
    if (of->pending != 0) /* by the call, or by the sweep */
        store->hooks->refresh(store, thread);
    lki_exempt_end(thread);
}

lk_status
lki_sweep_all(lki_store *store, lki_thread *thread, size_t max_items, size_t *swept)
{
    lki_sweep_state *sweep = &store->sweep;
    lk_status status = LK_OK;
    size_t count = 0;
    int64_t now = lki_now(store);
    lki_exempt_begin(thread);
    lki_latch_take(&sweep->latch, thread);
    round_begin_latched(store, now);
    while (status == LK_OK && sweep->running && (max_items == 0 || count < max_items)) {
        size_t before = count;
        status = round_step_latched(store, thread, now, &count);
        if (status != LK_OK || count == before || lki_memory_is_bounded_now(thread))
            continue;
        lki_latch_drop(&sweep->latch); /* so that writers' steps go on meanwhile */
        status = lki_memory_is_bounded(thread) ? LK_OK : LK_BUSY;
        lki_latch_take(&sweep->latch, thread); /* others may have continued the round */
    }
    lki_store_relaxed(&sweep->active, sweep->running);
    lki_latch_drop(&sweep->latch);
    if (status != LK_BUSY && store->hooks->upkeep != NULL && thread->epoch.active == 0)
        count += store->hooks->upkeep(store, thread, true);
    if (status != LK_BUSY && lki_store_thread_of(thread)->pending != 0)
        store->hooks->refresh(store, thread);
    lki_exempt_end(thread);
    if (status == LK_BUSY)
        return status;
    (void)lki_reclaim_now(thread);
    if (status == LK_OK)
        *swept = count;
    return status;
}

/* ---- the background thread ---- */

typedef struct sweeper {
    pthread_t thread;
    pthread_mutex_t latch;
    pthread_cond_t wake;
    bool stop; /* [latch] */
    lki_store *store;
} sweeper;

static void
sweeper_wait_latched(sweeper *s)
{
    struct timespec until;
    int64_t interval = s->store->sweep_interval_ms;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(interval / 1000);
    until.tv_nsec += (long)(interval % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!s->stop && pthread_cond_timedwait(&s->wake, &s->latch, &until) == 0) {}
}

static void *
sweeper_run(void *context)
{
    sweeper *s = context;
    pthread_mutex_lock(&s->latch);
    while (!s->stop) {
        sweeper_wait_latched(s);
        if (s->stop)
            break;
        pthread_mutex_unlock(&s->latch);
        lk_status why = LK_OK;
        lki_thread *thread = lki_thread_self(&s->store->domain, &why);
        size_t swept = 0;
        if (thread != NULL)
            (void)lki_sweep_all(s->store, thread, 0,
                                &swept); /* without memory the next round tries again */
        pthread_mutex_lock(&s->latch);
    }
    pthread_mutex_unlock(&s->latch);
    return NULL;
}

bool
lki_sweeper_start(lki_store *store)
{
    sweeper *s = lki_alloc_zeroed(&store->domain.allocator, sizeof *s);
    if (s == NULL)
        return false;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->latch, NULL);
    pthread_cond_init(&s->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    s->store = store;
    store->sweeper = s;
    int saved = errno;
    bool runs = pthread_create(&s->thread, NULL, sweeper_run, s) == 0;
    errno = saved;
    if (runs)
        return true;
    store->sweeper = NULL;
    lki_free(&store->domain.allocator, s, sizeof *s);
    return false;
}

void
lki_sweeper_stop(lki_store *store)
{
    sweeper *s = store->sweeper;
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->latch);
    s->stop = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->latch);
    int before = lki_cancel_forbid();
    pthread_join(s->thread, NULL);
    lki_cancel_allow(before);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->latch);
    lki_free(&store->domain.allocator, s, sizeof *s);
    store->sweeper = NULL;
}
