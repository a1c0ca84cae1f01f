/* SPDX-License-Identifier: MIT
 *
 * Expiry under a clock that is set by hand: exact everywhere, swept by lk_sweep and by ordinary
 * writes alone, and not thrown off by clocks that jump.
 */
#include "support/kit.h"

#define TEN_YEARS (LK_HOURS(24) * 3652)

static kit *
kit_of(void **state)
{
    return *state;
}

static lk_status
set_expiring(kit *k, lk_key key, int64_t expires_at_ms)
{
    lk_item item = {.key = key, .data = lk_string("x"), .expires_at_ms = expires_at_ms};
    return lk_set(k->db, &item, 1);
}

/* Every read agrees on whether the item of `key`, alone in its partition, is there. */
static bool
all_reads_find(kit *k, lk_key key)
{
    char buffer[4];
    size_t size, found = 0;
    lk_item item;
    lk_lock lock;
    lk_stream *stream = NULL;
    lk_query query = {.pk = key.pk};
    found += lk_get(k->db, key, k->result) == LK_OK;
    found += lk_get_into(k->db, key, buffer, sizeof buffer, &size) == LK_OK;
    assert_status(LK_OK, lk_get_many(k->db, &key, 1, k->result));
    found += lk_result_item(k->result, 0) != NULL;
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    found += lk_result_count(k->result) == 1;
    query.relaxed = query.reverse = true;
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    found += lk_result_count(k->result) == 1;
    assert_status(LK_OK, lk_stream_open(k->db, &query, &stream));
    found += lk_stream_next(stream, &item) == LK_OK;
    lk_stream_close(stream);
    lk_read_begin(k->db);
    found += lk_view(k->db, key, &item) == LK_OK;
    lk_read_end(k->db);
    assert_status(LK_OK, lk_get_locked(k->db, &key, 1, &lock, k->result));
    found += lk_result_item(k->result, 0) != NULL;
    assert_true(found == 0 || found == 8);
    return found == 8;
}

static void
test_clock_that_goes_back_expires_nothing_early(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    assert_status(LK_OK, set_expiring(k, key, KIT_START_MS + 100));
    lk_lock lock = kit_lock(k, key);
    kit_advance(k, -TEN_YEARS);
    assert_true(all_reads_find(k, key));
    assert_true(kit_lock(k, key).version == lock.version);
    kit_sweep(k);
    assert_true(all_reads_find(k, key));
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    assert_true(lock.expires_at_ms == k->now_ms + LK_HOURS(24));
    kit_advance(k, TEN_YEARS + 100);
    assert_true(all_reads_find(k, key));
    kit_advance(k, 1);
    assert_false(all_reads_find(k, key));
}

static void
test_clock_that_stands_or_is_before_1970_works(void **state)
{
    static const int64_t times[] = {0, 1, -1, INT64_MIN / 4, 0};
    kit *k = kit_of(state);
    for (size_t i = 0; i < KIT_COUNT(times); i++) {
        lk_key key = kit_numbered("p", i);
        lk_key alone = {key.sk, key.pk};
        atomic_store(&k->now_ms, times[i]);
        assert_status(LK_OK, set_expiring(k, alone, times[i] > 0 ? times[i] : 1));
        assert_true(all_reads_find(k, alone));
        lk_lock lock = kit_lock(k, alone);
        assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
        assert_status(LK_OK, lk_delete(k->db, &alone, 1));
        kit_sweep(k);
    }
}

static void
test_sweep_takes_out_what_expired_and_says_how_much(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t i = 0; i < 1000; i++)
        assert_status(LK_OK,
                      set_expiring(k, kit_numbered("p", i), i % 2 == 0 ? KIT_START_MS + 50 : 0));
    for (uint64_t i = 0; i < 10; i++)
        (void)kit_lock(k, kit_numbered("l", i));
    size_t swept = 77;
    assert_status(LK_OK, lk_sweep(k->db, 0, &swept));
    assert_int_equal(swept, 0);
    kit_advance(k, 50);
    assert_status(LK_OK, lk_sweep(k->db, 0, &swept));
    assert_int_equal(swept, 0);
    kit_advance(k, 5);
    assert_status(LK_OK, lk_sweep(k->db, 0, &swept));
    assert_int_equal(swept, 500);
    assert_true(kit_statistics(k).sweep_lag_ms == 5);
    kit_advance(k, LK_HOURS(24));
    assert_status(LK_OK, lk_sweep(k->db, 0, &swept));
    assert_int_equal(swept, 10);
    kit_sweep(k);
    lk_statistics statistics = kit_statistics(k);
    assert_int_equal(statistics.cells, 500);
    assert_int_equal(statistics.expired_swept, 500);
    assert_int_equal(statistics.locks_swept, 10);
    assert_int_equal(statistics.cells_removed, 510);
    assert_int_equal(statistics.retired_bytes, 0);
    assert_status(LK_INVALID, lk_sweep(NULL, 0, &swept));
}

static void
test_sweep_with_a_limit_stops_and_goes_on_later(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t i = 0; i < 5000; i++)
        assert_status(LK_OK, set_expiring(k, kit_numbered("p", i), KIT_START_MS));
    kit_advance(k, 1);
    size_t swept = 0, sum = 0;
    int calls = 0;
    do {
        assert_status(LK_OK, lk_sweep(k->db, 100, &swept));
        sum += swept;
        calls++;
    } while (swept != 0);
    /* "After so many" may be a little more: what one step takes. */
    assert_int_equal(sum, 5000);
    assert_true(calls > 20);
}

/* Nobody calls lk_sweep: writes of other keys take the expired ones out. */
static void
writes_sweep(kit *k, uint64_t many)
{
    uint64_t swept = kit_statistics(k).expired_swept;
    for (uint64_t i = 0; i < many; i++)
        assert_status(LK_OK, set_expiring(k, kit_numbered("p", i), k->now_ms + 10));
    kit_advance(k, 2000);
    for (uint64_t i = 0; i < 2 * many + 4000; i++)
        kit_set(k, "other", i % 2 ? "a" : "b", "x");
    assert_int_equal(kit_statistics(k).expired_swept, swept + many);
    assert_true(kit_statistics(k).cells < 200);
}

static void
test_expired_items_are_swept_by_ordinary_writes_alone(void **state)
{
    kit *k = kit_of(state);
    for (int round = 0; round < 5; round++)
        writes_sweep(k, 5000);
}

static void
test_writes_still_sweep_after_the_clock_jumped_ahead_and_back(void **state)
{
    kit *k = kit_of(state);
    writes_sweep(k, 500);
    kit_advance(k, TEN_YEARS);
    writes_sweep(k, 500);
    kit_advance(k, -TEN_YEARS);
    writes_sweep(k, 40);
}

static void
test_memory_of_a_store_whose_items_expire_is_flat(void **state)
{
    kit *k = kit_of(state);
    size_t most = 0, early = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        assert_status(LK_OK, set_expiring(k, kit_numbered("p", i), k->now_ms + 1000));
        if (i % 10 == 0)
            kit_advance(k, 10); /* 1,000 are live */
        size_t bytes = atomic_load(&k->memory.bytes);
        if (i < 20000)
            early = bytes > early ? bytes : early;
        most = bytes > most ? bytes : most;
    }
    assert_true(kit_statistics(k).cells < 10000);
    assert_true(most <= early + early / 4);
}

/* A second is long: where much expires in it, its end is not waited for, whoever wrote it. */
static void
test_many_that_expire_within_a_second_are_swept(void **state)
{
    kit *k = kit_of(state);
    for (int form = 0; form < 2; form++)
        for (uint64_t i = 0; i < 50000; i++) {
            lk_write write = {.kind = LK_PUT,
                              .item = {kit_numbered("p", i), lk_string("x"), k->now_ms + 10}};
            if (form == 0)
                assert_status(LK_OK, lk_set(k->db, &write.item, 1));
            else
                assert_status(LK_OK, lk_commit(k->db, &write, 1, NULL, 0, NULL));
            if (i % 100 == 0)
                kit_advance(k, 1); /* 1,000 are live */
            assert_true(i % 1000 != 0 || kit_statistics(k).cells < 10000);
        }
}

/* A holder's lock is stale once its item has expired, and for ever: `then` is what happens next. */
static void
lock_of_expired_is_gone(kit *k, const char *sk, void (*then)(kit *k, lk_key key))
{
    lk_key key = lk_key_of("p", sk);
    lk_lock lock = kit_lock(k, key), held = lock;
    lk_conflict conflict;
    assert_status(LK_OK, set_expiring(k, key, k->now_ms + 10));
    assert_int_equal(kit_lock(k, key).version, lock.version);
    kit_advance(k, 10);
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &held, 1, NULL));
    lock = held;
    kit_advance(k, 1);
    then(k, key);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &held, 1, &conflict));
    lk_lock fresh = kit_lock(k, key);
    assert_true(fresh.version > lock.version);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &held, 1, &conflict));
    assert_true(conflict.current_version == fresh.version);
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &fresh, 1, NULL));
}

static void
then_nothing(kit *k, lk_key key)
{
    (void)k;
    (void)key;
}

static void
then_swept(kit *k, lk_key key)
{
    (void)key;
    kit_sweep(k);
}

static void
then_set(kit *k, lk_key key)
{
    lk_item item = {key, lk_string("again"), 0};
    assert_status(LK_OK, lk_set(k->db, &item, 1));
}

static void
then_pushed(kit *k, lk_key key)
{
    lk_item item = {key, lk_string("job"), 0};
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
}

static void
test_lock_goes_with_its_expired_item(void **state)
{
    kit *k = kit_of(state);
    lock_of_expired_is_gone(k, "nothing", then_nothing);
    lock_of_expired_is_gone(k, "swept", then_swept);
    lock_of_expired_is_gone(k, "set", then_set);
    lock_of_expired_is_gone(k, "pushed", then_pushed);
}

/* An item that is expired when it comes is as good as deleted: its lock with it, also the one under
 * which it was written. */
static void
test_lock_goes_with_an_item_that_comes_expired(void **state)
{
    kit *k = kit_of(state);
    lk_item item = kit_item("p", "s", "y");
    kit_set(k, "p", "s", "x");
    lk_lock lock = kit_lock(k, item.key);
    item.expires_at_ms = k->now_ms - 1;
    assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
    assert_true(kit_holds(k, item.key, NULL));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    assert_true(kit_lock(k, item.key).version > lock.version);
}

/* It costs nothing, so nobody takes it out; but nobody can use it either. */
static void
test_lock_that_lapses_under_a_live_item_is_stale(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    kit_set(k, "p", "s", "lives");
    lk_lock lock = kit_lock(k, key);
    kit_advance(k, LK_HOURS(24) + 1);
    kit_sweep(k);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    kit_set(k, "p", "s", "written");
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    assert_true(kit_holds(k, key, "written"));
    assert_true(kit_lock(k, key).version > lock.version);
    assert_true(kit_holds(k, key, "written"));
}

static void
test_item_that_is_written_again_before_the_sweep_stays(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t i = 0; i < 300; i++)
        assert_status(LK_OK, set_expiring(k, kit_numbered("p", i), KIT_START_MS));
    kit_advance(k, 1);
    for (uint64_t i = 0; i < 300; i += 2)
        assert_status(LK_OK, set_expiring(k, kit_numbered("p", i), i % 4 == 0 ? 0 : k->now_ms + 5));
    kit_sweep(k);
    lk_query query = {.pk = lk_string("p")};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 150);
    assert_int_equal(kit_statistics(k).cells, 150);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_clock_that_goes_back_expires_nothing_early),
        TEST(test_clock_that_stands_or_is_before_1970_works),
        TEST(test_sweep_takes_out_what_expired_and_says_how_much),
        TEST(test_sweep_with_a_limit_stops_and_goes_on_later),
        TEST(test_expired_items_are_swept_by_ordinary_writes_alone),
        TEST(test_writes_still_sweep_after_the_clock_jumped_ahead_and_back),
        TEST(test_many_that_expire_within_a_second_are_swept),
        TEST(test_memory_of_a_store_whose_items_expire_is_flat),
        TEST(test_lock_goes_with_its_expired_item),
        TEST(test_lock_goes_with_an_item_that_comes_expired),
        TEST(test_lock_that_lapses_under_a_live_item_is_stale),
        TEST(test_item_that_is_written_again_before_the_sweep_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
