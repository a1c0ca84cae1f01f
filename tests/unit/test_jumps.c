/* SPDX-License-Identifier: MIT
 *
 * Clocks that jump: back, forward, by a millisecond, an hour, ten years, to their ends (that they
 * stand still is what the conformance suite begins with). Expiry of items and locks follows the
 * realtime clock and nothing else, deadlines and delays the monotonic one; nothing is over before
 * its clock says so, and what was made after a jump is newer than what was there. Also over LMDB,
 * and through a cache.
 */
#include "support/jobs.h"

enum { LIFE_MS = 60000 };

static const int64_t jumps[] = {
    INT64_MIN / 2, -LK_HOURS(24 * 3653), -LK_HOURS(1),        -1,           0, 1, LIFE_MS,
    LIFE_MS + 1,   LK_HOURS(1),          LK_HOURS(24 * 3653), INT64_MAX / 2};

static void
clock_jump(_Atomic(int64_t) *clock, int64_t ms)
{
    int64_t now = atomic_load(clock), then;
    if (__builtin_add_overflow(now, ms, &then))
        then = ms > 0 ? INT64_MAX : INT64_MIN;
    atomic_store(clock, then);
}

/* An item and a lock that live for LIFE_MS, an item that lives for ever. */
static void
lives_make(kit *k, lk_db *db, lk_lock *lock)
{
    lk_item item = kit_item("p", "short", "x");
    item.expires_at_ms = atomic_load(&k->now_ms) + LIFE_MS;
    kit_set(k, "p", "long", "y");
    assert_status(LK_OK, lk_set(db, &item, 1));
    assert_status(LK_OK, lk_get_lock(db, kit_key("p", "long"), lock));
}

static void
test_realtime_clock_that_jumps_ends_lives_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(jumps); i++) {
        kit k;
        job held;
        lk_lock lock;
        kit_open(&k, &(lk_memory_options){.lock_ttl_ms = LIFE_MS, .lock_refresh_ms = -1});
        lives_make(&k, k.db, &lock);
        jobs_push(&k, "q", NULL, "claimed");
        assert_pull(&k, "q", "claimed", &held);
        jobs_push(&k, "q", NULL, "ready");
        lkc_push_delayed(k.db, "q", NULL, "delayed", LIFE_MS);

        clock_jump(&k.now_ms, jumps[i]);
        bool lives = jumps[i] <= LIFE_MS;
        assert_true(kit_holds(&k, kit_key("p", "long"), "y"));
        assert_true(kit_holds(&k, kit_key("p", "short"), lives ? "x" : NULL));
        lk_item item = kit_item("p", "long", "z");
        uint64_t version = lock.version;
        assert_status(lives ? LK_OK : LK_RACE, lk_set_atomic(k.db, &item, 1, &lock, 1, NULL));
        lock = kit_lock(&k, item.key);
        assert_true(lock.version > version);

        assert_held(&k, &held);
        assert_depths(&k, "q", 1, 1, 1);
        jobs_push(&k, "q", NULL, "newer");
        assert_pull(&k, "q", "ready", NULL);
        assert_pull(&k, "q", "newer", NULL);
        assert_empty(&k, "q");
        kit_sweep(&k);
        assert_true(kit_holds(&k, kit_key("p", "short"), lives ? "x" : NULL));
        kit_close(&k);
    }
}

static void
test_monotonic_clock_that_jumps_ends_claims_and_delays_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(jumps); i++) {
        kit k;
        job held;
        lk_lock lock;
        kit_open(&k, &(lk_memory_options){.lock_ttl_ms = LIFE_MS, .lock_refresh_ms = -1});
        lives_make(&k, k.db, &lock);
        jobs_push(&k, "q", NULL, "claimed");
        lk_pull_options pull = {.pk = lk_string("q"), .visibility_ms = LIFE_MS};
        assert_status(LK_OK, lk_queue_pull(k.db, &pull, k.result));
        lkc_job_keep(&held, k.result, 0);
        lkc_push_delayed(k.db, "q", NULL, "delayed", LIFE_MS);

        clock_jump(&k.monotonic_ms, jumps[i]);
        bool lapsed = jumps[i] > LIFE_MS, due = jumps[i] >= LIFE_MS;
        assert_depths(&k, "q", (uint64_t)lapsed + due, !lapsed, !due);
        if (lapsed)
            assert_pull(&k, "q", "claimed", NULL);
        if (due)
            assert_pull(&k, "q", "delayed", NULL);
        assert_empty(&k, "q");
        assert_status(lapsed ? LK_LOST : LK_OK, lk_queue_acknowledge(k.db, &held.claim, 1));

        assert_true(kit_holds(&k, kit_key("p", "short"), "x"));
        lk_item item = kit_item("p", "long", "z");
        assert_status(LK_OK, lk_set_atomic(k.db, &item, 1, &lock, 1, NULL));
        kit_close(&k);
    }
}

static void
test_cache_serves_nothing_beyond_its_time_when_the_clock_jumps(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(jumps); i++) {
        kit k;
        lk_db *cache;
        lk_lock lock;
        kit_open(&k, NULL);
        assert_status(LK_OK, lk_cache_open(k.db, &(lk_cache_options){.max_items = 10}, &cache));
        lives_make(&k, cache, &lock);
        assert_status(LK_OK, lk_get(cache, kit_key("p", "short"), k.result));
        clock_jump(&k.now_ms, jumps[i]);
        assert_status(jumps[i] <= LIFE_MS ? LK_OK : LK_NOT_FOUND,
                      lk_get(cache, kit_key("p", "short"), k.result));
        lk_close(cache);
        kit_close(&k);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_realtime_clock_that_jumps_ends_lives_and_nothing_else),
        cmocka_unit_test(test_monotonic_clock_that_jumps_ends_claims_and_delays_and_nothing_else),
        cmocka_unit_test(test_cache_serves_nothing_beyond_its_time_when_the_clock_jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
