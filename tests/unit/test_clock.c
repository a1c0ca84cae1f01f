/* SPDX-License-Identifier: MIT
 *
 * The time as a handle tells it, and times of expiry made from it, by clocks of any value: through
 * the embedded store, a cache, a pass-through, and where no clock is hooked. What is added to a
 * clock stops at the ends of int64_t.
 */
#include <time.h>

#include <latchkey/adapter.h>

#include "support/kit.h"

static void
assert_times(lk_db *db, int64_t now_ms, int64_t monotonic_ms)
{
    assert_int_equal(lk_now_ms(db), now_ms);
    assert_int_equal(lk_monotonic_ms(db), monotonic_ms);
    assert_int_equal(lk_realtime_now_ms(db), now_ms);
    assert_int_equal(lk_monotonic_now_ms(db), monotonic_ms);
}

static void
test_handles_tell_the_time_of_their_clocks(void **state)
{
    kit *k = *state;
    lk_cache_options options = {.max_items = 10};
    lk_db *cache;
    assert_status(LK_OK, lk_cache_open(k->db, &options, &cache));
    assert_times(k->db, k->now_ms, k->monotonic_ms);
    assert_times(cache, k->now_ms, k->monotonic_ms);
    kit_advance(k, 12345);
    k->now_ms -= 99;
    assert_times(k->db, k->now_ms, k->monotonic_ms);
    assert_times(cache, k->now_ms, k->monotonic_ms);
    lk_close(cache);
}

static void
test_time_without_a_handle_is_the_systems(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        lk_db *db = NULL;
        if (i == 1)
            assert_status(LK_OK, lk_memory_open(NULL, &db));
        int64_t before = (int64_t)time(NULL) * 1000 - 1000, now = lk_now_ms(db);
        int64_t monotonic = lk_monotonic_ms(db);
        assert_true(now >= before && now < before + LK_HOURS(1));
        assert_true(lk_monotonic_ms(db) >= monotonic);
        assert_true(lk_expires_in(db, LK_SECONDS(30)) >= now + 30000);
        lk_close(db);
    }
}

static void
test_expires_in_lives_for_so_long(void **state)
{
    kit *k = *state;
    lk_item item = kit_item("p", "k", "x");
    item.expires_at_ms = lk_expires_in(k->db, LK_SECONDS(30));
    assert_int_equal(item.expires_at_ms, k->now_ms + 30000);
    assert_status(LK_OK, lk_set(k->db, &item, 1));
    kit_advance(k, 30000);
    assert_status(LK_OK, lk_get(k->db, item.key, k->result));
    kit_advance(k, 1);
    assert_status(LK_NOT_FOUND, lk_get(k->db, item.key, k->result));
    static const int64_t over[] = {0, -1, -LK_HOURS(1), INT64_MIN};
    for (size_t i = 0; i < KIT_COUNT(over); i++) {
        item.expires_at_ms = lk_expires_in(k->db, over[i]);
        assert_status(LK_OK, lk_set(k->db, &item, 1));
        kit_advance(k, 1);
        assert_status(LK_NOT_FOUND, lk_get(k->db, item.key, k->result));
    }
}

/* Never 0, which is never, and never negative, which is LK_INVALID. */
static void
test_expires_in_stops_at_the_ends(void **state)
{
    kit *k = *state;
    static const int64_t nows[] = {INT64_MIN,    -30000,        -1,       0, 1,
                                   KIT_START_MS, INT64_MAX - 1, INT64_MAX};
    static const int64_t lengths[] = {INT64_MIN, -30000, -1, 0, 1, 30000, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < KIT_COUNT(nows) * KIT_COUNT(lengths); i++) {
        int64_t now = nows[i / KIT_COUNT(lengths)], ms = lengths[i % KIT_COUNT(lengths)], sum;
        bool fits = !__builtin_add_overflow(now, ms, &sum);
        int64_t wanted = !fits ? ms > 0 ? INT64_MAX : 1 : sum > 0 ? sum : 1;
        k->now_ms = now;
        lk_item item = kit_item("p", "k", "x");
        item.expires_at_ms = lk_expires_in(k->db, ms);
        assert_int_equal(item.expires_at_ms, wanted);
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
}

/* All that adds a length of time to a clock, with clocks near their ends; under UBSan no sum
 * overflows. */
static void
calls_at(int64_t now, int64_t monotonic, int64_t length)
{
    kit k;
    memset(&k, 0, sizeof k);
    lk_memory_options base = {
        .lock_ttl_ms = length, .lock_refresh_ms = length > 2 ? length / 2 : -1, .shards = 4};
    lk_memory_options options = kit_options(&k, &base);
    k.now_ms = now;
    k.monotonic_ms = monotonic;
    k.result = lk_result_new();
    assert_status(LK_OK, lk_memory_open(&options, &k.db));
    lk_cache_options around = {.max_items = 10, .max_age_ms = length, .load_wait_ms = length};
    lk_db *cache;
    assert_status(LK_OK, lk_cache_open(k.db, &around, &cache));
    for (int turn = 0; turn < 3; turn++) {
        lk_item item = kit_item("p", "k", "x"), job = kit_item("q", turn == 1 ? "own" : NULL, "x");
        lk_lock lock;
        lk_queue_statistics stats;
        size_t swept;
        item.expires_at_ms = lk_expires_in(cache, length);
        assert_status(LK_OK, lk_set(cache, &item, 1));
        assert_in_set(lk_get(cache, item.key, k.result),
                      ((LargestIntegralType[]){LK_OK, LK_NOT_FOUND}), 2);
        assert_status(LK_OK, lk_get_lock(cache, item.key, &lock));
        lk_status status = lk_set_atomic(cache, &item, 1, &lock, 1, NULL);
        assert_true(status == LK_OK || status == LK_RACE);
        lk_push_options later = {.delay_ms = length};
        lk_pull_options pull = {.pk = lk_string("q"), .visibility_ms = length};
        assert_status(LK_OK, lk_queue_push(cache, &job, 1, NULL, NULL));
        assert_status(LK_OK, lk_queue_pull(cache, &pull, k.result));
        lk_claim claim = *lk_result_claim(k.result, 0);
        assert_status(LK_OK, lk_queue_extend(cache, &claim, length));
        assert_status(LK_OK, lk_queue_release(cache, &claim, length));
        assert_status(LK_OK, lk_queue_stats(cache, lk_string("q"), &stats));
        job.key.sk.size = 0;
        assert_status(LK_OK, lk_queue_push(cache, &job, 1, &later, NULL));
        assert_status(LK_OK, lk_queue_purge(cache, lk_string("q"), NULL));
        assert_status(LK_OK, lk_sweep(cache, 0, &swept));
        int64_t later_one = k.monotonic_ms > k.now_ms ? k.monotonic_ms : k.now_ms;
        kit_advance(&k, later_one > INT64_MAX - 100 ? 0 : 100);
    }
    lk_close(cache);
    lk_thread_detach();
    kit_close(&k);
}

static void
test_clocks_of_any_value_are_used_without_overflow(void **state)
{
    static const int64_t clocks[] = {INT64_MIN,    INT64_MIN + 1,   -1000,    0,
                                     KIT_START_MS, INT64_MAX - 300, INT64_MAX};
    static const int64_t lengths[] = {1, LK_HOURS(24), INT64_MAX - 1, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(clocks); i++)
        for (size_t j = 0; j < KIT_COUNT(clocks); j++)
            for (size_t l = 0; l < KIT_COUNT(lengths); l++)
                calls_at(clocks[i], clocks[j], lengths[l]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_handles_tell_the_time_of_their_clocks),
        cmocka_unit_test(test_time_without_a_handle_is_the_systems),
        KIT_TEST(test_expires_in_lives_for_so_long),
        KIT_TEST(test_expires_in_stops_at_the_ends),
        cmocka_unit_test(test_clocks_of_any_value_are_used_without_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
