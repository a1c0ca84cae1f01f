/* SPDX-License-Identifier: MIT
 *
 * Recorded histories of single keys against what a key with a lock may do (check/items.h). Threads
 * read, write, delete, lock and commit few keys; in one scenario items expire and locks lapse, are
 * renewed and go with their items, while a clock is moved by all; in another allocations fail, and
 * a call that says so has done nothing; in two more all of them go through a cache that is too
 * small, whose reads of several keys are linearizable for each key. In the last two the database
 * fails at random: LK_UNAVAILABLE has done nothing, of LK_UNKNOWN nobody knows, and what a cache in
 * front of it says stays true.
 */
#include <latchkey/adapter.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "check/items.h"
#include "check/record.h"
#include "support/counted_db.h"
#include "support/crowd.h"

enum {
    THREADS = 5,
    KEYS = 3,
    TTL_MS = 40,
    REFRESH_MS = 10,
    LIFE_MS = 12,
    SCARCE = 40,
    FAULTS = 40
};

static struct {
    bool expires, scarce, cached, faults;
    bool asks; /* the handle has conditions, touch and add */
    atomic_ullong written[KEYS];
    bool absent;  /* LK_LOCKS_ABSENT */
    size_t calls; /* of each thread in a round */
    uint64_t round;
    lk_key keys[KEYS];
    record_world world;
    recorder recorders[THREADS];
    counted_db counted; /* what fails */
    atomic_ullong values, failed;
    _Atomic(int64_t) now_ms;
    atomic_uint allocations;
} test;

static int64_t
test_now(void)
{
    return atomic_load(&test.now_ms);
}

static int64_t
clock_now(void *unused)
{
    (void)unused;
    return test_now();
}

/* Nothing fails before the threads run: the store is open then. */
static void *
scarce_allocate(void *unused, size_t size)
{
    (void)unused;
    unsigned turn = atomic_fetch_add_explicit(&test.allocations, 1, memory_order_relaxed);
    return turn >= 1U << 20 && turn % SCARCE == 0 ? NULL : malloc(size);
}

static void
scarce_deallocate(void *unused, void *memory, size_t size)
{
    (void)unused;
    (void)size;
    free(memory);
}

static void
commit(recorder *r, uint32_t key, uint64_t version, uint64_t value, int64_t expires_ms,
       uint64_t *after)
{
    lk_lock lock = {test.keys[key], version, 0};
    record_write write = {.key = key, .value = value, .expires_ms = expires_ms};
    if (value % 8 == 0)
        write.value = 0; /* a delete under its own lock */
    lk_status status = record_commit(r, &write, 1, &lock, &key, 1);
    *after = status == LK_OK ? lock.version : 0;
}

/* A write that asks what is there; `seen`: the last value that somebody has written to the key,
 * perhaps. */
static lk_status
ask(recorder *r, uint32_t key, uint64_t random, uint64_t value, int64_t expires_ms)
{
    static const lk_write_kind kinds[] = {LK_PUT, LK_PUT, LK_TOUCH, LK_ADD};
    record_write w = {.key = key,
                      .kind = kinds[random % 4],
                      .value = value,
                      .expires_ms = expires_ms,
                      .expected = atomic_load(&test.written[key])};
    if (w.kind == LK_PUT)
        w.condition = (lk_condition)(random / 4 % 4);
    else if (w.kind == LK_ADD)
        w.value = 1 + random / 4 % 4;
    if (w.expected == 0) /* nobody has written: any value will do, but the one that means none */
        w.expected = 1;
    lk_status status = record_ask(r, &w);
    if (status == LK_OK && w.kind == LK_PUT)
        atomic_store(&test.written[key], value);
    return status;
}

/* One call; `versions`: what this thread knows of locks. */
static lk_status
call_make(crowd_member *m, recorder *r, uint64_t *versions)
{
    uint64_t random = crowd_random(&m->random), what = random / KEYS % 16;
    uint32_t key = (uint32_t)(random % KEYS);
    uint64_t value = atomic_fetch_add_explicit(&test.values, 1, memory_order_relaxed) + 1;
    bool mortal = test.expires && random >> 40 & 1;
    int64_t expires_ms = mortal ? test_now() + (int64_t)(random >> 41) % LIFE_MS : 0;
    lk_lock lock = {0};
    lk_status status;
    if (what < 3 && test.cached && random >> 60 == 0) {
        const uint32_t all[KEYS] = {0, 1, 2};
        return record_get_many(r, all, KEYS);
    }
    if (what < 3)
        return record_get(r, key);
    if (what < 5)
        return record_get_into(r, key);
    if (what < 8 && test.asks && random >> 61 != 0)
        return ask(r, key, random >> 20, value, expires_ms);
    if (what < 8)
        return record_set(r, key, value, expires_ms);
    if (what < 9)
        return record_delete(r, key, 0);
    if (what < 12 || (versions[key] == 0 && !test.absent)) {
        status = record_get_lock(r, key, &lock);
        if (status == LK_OK)
            versions[key] = lock.version;
        return status;
    }
    commit(r, key, versions[key], value, expires_ms, &versions[key]);
    return LK_OK;
}

static void
member(crowd_member *m)
{
    uint64_t versions[KEYS] = {0};
    recorder *r = &test.recorders[m->index];
    m->random += test.round << 32;
    record_begin(r, &test.world, (uint32_t)m->index, m->result);
    history_reserve(&r->history, test.calls, test.calls * 2);
    for (size_t i = 0; i < test.calls; i++) {
        lk_status status = call_make(m, r, versions);
        if (status == LK_NO_MEMORY || status == LK_UNAVAILABLE || status == LK_UNKNOWN)
            atomic_fetch_add_explicit(&test.failed, 1, memory_order_relaxed);
        EXPECT(status != LK_NO_MEMORY || test.scarce, i, 0);
        uint64_t random = crowd_random(&m->random);
        if (test.expires && random % 16 == 0)
            atomic_fetch_add(&test.now_ms, (int64_t)(random >> 8) % 4);
        if ((random >> 32) % 64 == 0)
            sched_yield();
    }
}

static void
round_judge(history *all, const items_options *options)
{
    report r = {.size = 0};
    const recorder *wrong = record_merge(test.recorders, THREADS, all);
    if (wrong != NULL)
        fprintf(stderr, "thread %u: %s (%s)\n", wrong->thread, wrong->wrong,
                lk_status_string(wrong->wrong_status));
    EXPECT(wrong == NULL, test.round, 0);
    verdict v = items_check_each(all, KEYS, options, &r);
    fputs(r.text, stderr);
    EXPECT(v == VERDICT_HOLDS, v, test.round);
}

/* Too small for the keys, by items and by bytes, and not; each round another one. */
static const lk_cache_options caches[] = {
    {.max_items = 2, .keep_missing = true},
    {.max_items = 2, .policy = LK_CACHE_LRU},
    {.max_bytes = 200, .keep_missing = true, .load_wait_ms = -1},
    {.max_items = 100, .policy = LK_CACHE_LRU, .keep_missing = true, .max_age_ms = 1},
    {.max_items = 100},
};
enum { CACHES = sizeof caches / sizeof *caches };

static void
rounds_run(size_t rounds, size_t calls)
{
    static const char *const names[KEYS] = {"x", "y", "z"};
    items_options judged = {.lock_ttl_ms = test.expires ? TTL_MS : 0,
                            .lock_refresh_ms = REFRESH_MS};
    history all = {0};
    test.calls = calls;
    for (size_t i = 0; i < KEYS; i++)
        test.keys[i] = lk_key_of("linear", names[i]);
    for (test.round = 0; test.round < rounds && crowd_is_well(); test.round++) {
        lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
        test.world = (record_world){.keys = test.keys, .key_count = KEYS, .stamp = crowd_now_ns};
        test.world.spread = 600;
        atomic_store(&test.now_ms, INT64_C(1700000000000));
        if (test.expires) {
            options.realtime_ms = options.monotonic_ms = clock_now;
            options.lock_ttl_ms = TTL_MS;
            options.lock_refresh_ms = REFRESH_MS;
            test.world.now_ms = test_now;
        }
        if (test.scarce) {
            options.allocate = scarce_allocate;
            options.deallocate = scarce_deallocate;
        }
        lk_db *store;
        atomic_store(&test.allocations, 0);
        EXPECT_OK(lk_memory_open(&options, &store));
        test.world.db = store;
        if (test.faults) {
            EXPECT_OK(counted_open(&test.counted, store, 0));
            test.world.db = test.counted.db;
            atomic_store(&test.counted.fail_one_in, FAULTS);
        }
        if (test.cached)
            EXPECT_OK(lk_cache_open(test.world.db, &caches[test.round % CACHES], &test.world.db));
        test.asks = (lk_capabilities(test.world.db) & LK_HAS_CONDITIONS) != 0;
        test.absent = (lk_capabilities(test.world.db) & LK_LOCKS_ABSENT) != 0;
        atomic_store(&test.allocations, 1U << 20);
        crowd_run(THREADS, member, NULL);
        if (test.cached)
            lk_close(test.world.db);
        if (test.faults)
            counted_close(&test.counted);
        lk_close(store);
        round_judge(&all, &judged);
    }
    for (size_t t = 0; t < THREADS; t++)
        record_free(&test.recorders[t]);
    history_free(&all);
    crowd_note("calls", rounds * calls * THREADS);
}

static void
run(bool expires, bool scarce, bool cached, size_t rounds, uint64_t calls)
{
    test.expires = expires;
    test.scarce = scarce;
    test.cached = cached;
    atomic_store(&test.failed, 0);
    rounds_run(rounds, test_scaled(calls));
    if (scarce)
        crowd_note("failed", test.failed);
}

static void
run_store(void)
{
    run(false, false, false, 8, 40000);
}

static void
run_expiry(void)
{
    run(true, false, false, 4, 20000);
}

static void
run_memory_out(void)
{
    run(false, true, false, 2, 20000);
}

static void
run_cache(void)
{
    run(false, false, true, CACHES, 20000);
}

static void
run_cache_expiry(void)
{
    run(true, false, true, CACHES, 20000);
}

/* Short rounds: each call whose outcome nobody knows may have happened at any time after it. */
static void
run_faults(void)
{
    test.faults = true;
    test.expires = test.scarce = false;
    atomic_store(&test.failed, 0);
    rounds_run(test_scaled(250), 120);
    test.faults = false;
    crowd_note("failed", test.failed);
}

static void
run_faults_behind(void)
{
    test.cached = false;
    run_faults();
}

static void
run_faults_behind_cache(void)
{
    test.cached = true;
    run_faults();
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"store", run_store},
                                               {"expiry", run_expiry},
                                               {"memory_out", run_memory_out},
                                               {"cache", run_cache},
                                               {"cache_expiry", run_cache_expiry},
                                               {"faults", run_faults_behind},
                                               {"faults_cache", run_faults_behind_cache}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
