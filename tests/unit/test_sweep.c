/* SPDX-License-Identifier: MIT
 *
 * What has expired, and locks that have lapsed, are swept by lk_sweep and by ordinary writes alone;
 * clocks that jump throw none of that off. What is there to be read: the conformance suite.
 */
#include "support/kit.h"

#define TEN_YEARS (LK_HOURS(24) * 3652)

static lk_status
set_expiring(kit *k, lk_key key, int64_t expires_at_ms)
{
    lk_item item = {.key = key, .data = lk_string("x"), .expires_at_ms = expires_at_ms};
    return lk_set(k->db, &item, 1);
}

static void
test_sweep_takes_out_what_expired_and_says_how_much(void **state)
{
    kit *k = *state;
    for (uint64_t i = 0; i < 1000; i++)
        assert_status(LK_OK,
                      set_expiring(k, lkc_numbered("p", i), i % 2 == 0 ? KIT_START_MS + 50 : 0));
    for (uint64_t i = 0; i < 10; i++)
        (void)kit_lock(k, lkc_numbered("l", i));
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
    kit *k = *state;
    for (uint64_t i = 0; i < 5000; i++)
        assert_status(LK_OK, set_expiring(k, lkc_numbered("p", i), KIT_START_MS));
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
        assert_status(LK_OK, set_expiring(k, lkc_numbered("p", i), k->now_ms + 10));
    kit_advance(k, 2000);
    for (uint64_t i = 0; i < 2 * many + 4000; i++)
        kit_set(k, "other", i % 2 ? "a" : "b", "x");
    assert_int_equal(kit_statistics(k).expired_swept, swept + many);
    assert_true(kit_statistics(k).cells < 200);
}

static void
test_expired_items_are_swept_by_ordinary_writes_alone(void **state)
{
    kit *k = *state;
    for (int round = 0; round < 5; round++)
        writes_sweep(k, 5000);
}

static void
test_writes_still_sweep_after_the_clock_jumped_ahead_and_back(void **state)
{
    kit *k = *state;
    writes_sweep(k, 500);
    kit_advance(k, TEN_YEARS);
    writes_sweep(k, 500);
    kit_advance(k, -TEN_YEARS);
    writes_sweep(k, 40);
}

static void
test_memory_of_a_store_whose_items_expire_is_flat(void **state)
{
    kit *k = *state;
    size_t most = 0, early = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        assert_status(LK_OK, set_expiring(k, lkc_numbered("p", i), k->now_ms + 1000));
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
    kit *k = *state;
    for (int form = 0; form < 2; form++)
        for (uint64_t i = 0; i < 50000; i++) {
            lk_write write = {.kind = LK_PUT,
                              .item = {lkc_numbered("p", i), lk_string("x"), k->now_ms + 10}};
            if (form == 0)
                assert_status(LK_OK, lk_set(k->db, &write.item, 1));
            else
                assert_status(LK_OK, lk_commit(k->db, &write, 1, NULL, 0, NULL));
            if (i % 100 == 0)
                kit_advance(k, 1); /* 1,000 are live */
            assert_true(i % 1000 != 0 || kit_statistics(k).cells < 10000);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_sweep_takes_out_what_expired_and_says_how_much),
        KIT_TEST(test_sweep_with_a_limit_stops_and_goes_on_later),
        KIT_TEST(test_expired_items_are_swept_by_ordinary_writes_alone),
        KIT_TEST(test_writes_still_sweep_after_the_clock_jumped_ahead_and_back),
        KIT_TEST(test_many_that_expire_within_a_second_are_swept),
        KIT_TEST(test_memory_of_a_store_whose_items_expire_is_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
