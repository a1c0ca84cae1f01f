/* SPDX-License-Identifier: MIT
 *
 * Handles of caches: options, capabilities, what lacks operations, what is closed or forked, caches
 * over caches, statistics.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "support/cached.h"
#include "support/fake.h"

static cached c;

static lk_key
the_key(void)
{
    return lk_key_of("p", "a");
}

/* ---- options and handles ---- */

static void
test_open_with_bad_options_is_invalid(void **state)
{
    const lk_cache_options bad[] = {
        {.max_items = 0},
        {.max_items = 1, .policy = (lk_cache_policy)2},
        {.max_items = 1, .policy = (lk_cache_policy)-1},
        {.max_items = 1, .max_age_ms = -1},
        {.max_items = 1, .load_wait_ms = -2},
    };
    const lk_cache_options good = {.max_items = 1};
    (void)state;
    kit k;
    kit_open(&k, NULL);
    lk_db *untouched = k.db, *db = untouched;
    for (size_t i = 0; i < KIT_COUNT(bad); i++)
        assert_status(LK_INVALID, lk_cache_open(k.db, &bad[i], &db));
    assert_status(LK_INVALID, lk_cache_open(k.db, NULL, &db));
    assert_status(LK_INVALID, lk_cache_open(NULL, &good, &db));
    assert_status(LK_INVALID, lk_cache_open(k.db, &good, NULL));
    assert_ptr_equal(db, untouched);
    lk_db *closed;
    assert_status(LK_OK, lk_memory_open(NULL, &closed));
    assert_status(LK_OK, lk_adapter_hold(closed));
    lk_close(closed);
    assert_status(LK_INVALID, lk_cache_open(closed, &good, &db));
    lk_adapter_release(closed);
    assert_ptr_equal(db, untouched);
    kit_close(&k);
}

static void
test_open_tells_the_capabilities_of_both(void **state)
{
    (void)state;
    lk_adapter adapter = LK_ADAPTER_INIT;
    cached_open(&c, NULL);
    uint64_t inner = lk_capabilities(c.inner.db);
    assert_true((inner & LK_IS_SNAPSHOT) != 0);
    assert_int_equal(lk_capabilities(c.cache) | LK_IS_SNAPSHOT, inner);
    assert_int_equal(lk_capabilities(c.cache) & LK_IS_SNAPSHOT, 0);
    assert_status(LK_OK, lk_adapter_read(c.cache, &adapter));
    assert_string_equal(adapter.name, "cache");
    assert_int_equal(lk_realtime_now_ms(c.cache), KIT_START_MS);
    cached_close(&c);
}

/* Every call of a handle that needs more than `but` ends in `wanted`. */
static void
calls_check(lk_db *db, uint64_t but, lk_status wanted)
{
    lk_pull_options dead = {
        .pk = lk_string("p"), .max_receives = 1, .dead_pk = lk_string("dead letters")};
    fake_rig rig = fake_rig_of(db);
    fake_rig_answers(&rig, but, wanted);
    lk_read_begin(db);
    lk_read_end(db);
    assert_status(wanted, lk_queue_pull(db, &dead, rig.result));
    lk_result_free(rig.result);
}

static void
test_inner_closed_first_makes_all_calls_invalid(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    cached_set(&c, "p", "a", "x");
    cached_warm(&c, the_key(), "x");
    uint64_t lacking = FAKE_ALL & ~lk_capabilities(c.inner.db);
    lk_close(c.inner.db);
    calls_check(c.cache, lacking, LK_INVALID);
    c.inner.db = NULL; /* cached_close closes the cache, and finds that it was */
    cached_close(&c);
}

static void
test_inner_that_can_little_leaves_the_rest_unsupported(void **state)
{
    const uint64_t all = FAKE_ALL;
    (void)state;
    cached_open_without(&c, NULL, all);
    assert_int_equal(lk_capabilities(c.cache) & all, LK_HAS_GET_MANY | LK_HAS_STATISTICS);
    calls_check(c.cache, LK_HAS_GET_MANY | LK_HAS_STATISTICS, LK_UNSUPPORTED);
    cached_set(&c, "p", "a", "x");
    cached_warm(&c, the_key(), "x");
    lk_key keys[3] = {lk_key_of("p", "no"), the_key(), lk_key_of("p", "b")};
    cached_set(&c, "p", "b", "y");
    for (int i = 0; i < 2; i++) {
        (void)cached_asked(&c);
        assert_status(LK_OK, lk_get_many(c.cache, keys, 3, c.k.result));
        assert_int_equal(cached_asked(&c), i == 0 ? 2 : 1);
        assert_int_equal(lk_result_count(c.k.result), 3);
        assert_null(lk_result_item(c.k.result, 0));
        assert_true(lkc_is(lk_result_item(c.k.result, 1)->data, "x"));
        assert_true(lkc_is(lk_result_item(c.k.result, 2)->data, "y"));
    }
    lk_statistics statistics = cached_statistics(&c);
    assert_int_equal(statistics.sets, 0);
    assert_int_equal(statistics.cache_items, 2);
    assert_status(LK_OK, lk_delete(c.cache, &keys[1], 1));
    assert_true(cached_holds(&c, the_key(), NULL));
    cached_close(&c);
}

static void
test_cache_over_a_cache_is_a_cache(void **state)
{
    lk_cache_options options = {.max_items = 2};
    lk_db *outer;
    (void)state;
    cached_open(&c, NULL);
    assert_status(LK_OK, lk_cache_open(c.cache, &options, &outer));
    for (unsigned i = 0; i < 5; i++) {
        lk_item item = {.key = lkc_numbered("p", i), .data = lk_string("x")};
        assert_status(LK_OK, lk_set(outer, &item, 1));
        assert_status(LK_OK, lk_get(outer, item.key, c.k.result));
    }
    assert_int_equal(cached_asked(&c), 5);
    for (unsigned i = 0; i < 5; i++)
        assert_status(LK_OK, lk_get(outer, lkc_numbered("p", i), c.k.result));
    assert_int_equal(cached_asked(&c), 0);
    lk_statistics statistics;
    assert_status(LK_OK, lk_statistics_read(outer, &statistics));
    assert_int_equal(statistics.cache_items, 2); /* its own */
    assert_int_equal(statistics.cache_bytes, 2 * (72 + 1 + 8 + 1));
    assert_int_equal(statistics.sets, 5);
    lk_key key = lkc_numbered("p", 4);
    assert_status(LK_OK, lk_delete(outer, &key, 1));
    assert_status(LK_NOT_FOUND, lk_get(outer, key, c.k.result));
    assert_status(LK_NOT_FOUND, lk_get(c.cache, key, c.k.result));
    lk_close(outer);
    cached_close(&c);
}

static void
test_statistics_count_what_was_done(void **state)
{
    (void)state;
    lk_cache_options options = {.max_items = 2, .policy = LK_CACHE_LRU};
    cached_open(&c, &options);
    for (unsigned i = 0; i < 3; i++)
        cached_set(&c, "p", (const char[]){(char)('a' + i), 0}, "data");
    lk_key keys[3] = {the_key(), lk_key_of("p", "b"), lk_key_of("p", "c")};
    assert_true(cached_asks(&c, keys[0], "data"));
    assert_true(cached_asks(&c, keys[1], "data"));
    assert_true(cached_hits(&c, keys[0], "data"));
    assert_true(cached_asks(&c, keys[2], "data"));                   /* b goes */
    assert_status(LK_OK, lk_get_many(c.cache, keys, 3, c.k.result)); /* a, c: hits; a goes */
    lk_statistics s = cached_statistics(&c);
    assert_int_equal(s.cache_hits, 3);
    assert_int_equal(s.cache_misses, 4);
    assert_int_equal(s.cache_evictions, 2);
    assert_int_equal(s.cache_items, 2);
    assert_int_equal(s.cache_bytes, 2 * (72 + 1 + 1 + 4));
    assert_int_equal(s.cache_joined, 0);
    assert_int_equal(s.cache_dropped, 0);
    assert_int_equal(s.sets, 3);
    cached_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_with_bad_options_is_invalid),
        cmocka_unit_test(test_open_tells_the_capabilities_of_both),
        cmocka_unit_test(test_inner_closed_first_makes_all_calls_invalid),
        cmocka_unit_test(test_inner_that_can_little_leaves_the_rest_unsupported),
        cmocka_unit_test(test_cache_over_a_cache_is_a_cache),
        cmocka_unit_test(test_statistics_count_what_was_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
