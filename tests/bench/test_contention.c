/* SPDX-License-Identifier: MIT
 *
 * Hot keys: the bounds of the Space-Saving summary, for one table and for merged ones, against
 * exact counts. The counters of a store: totals as their growth, levels as the most. Classes of
 * attempts. A call that the library refuses for now is made again, with an end.
 */
#include "driver/contention.h"

#include "contenders/latchkey.h"
#include "driver/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define IDS 5000
#define DRAWS 200000
#define TABLES 7

static uint32_t stream[DRAWS];
static uint64_t exact[IDS];

static void
stream_draw(const char *text)
{
    struct distribution distribution;

    assert_true(distribution_parse(text, &distribution));
    distribution_draw(&distribution, 42, IDS, stream, DRAWS);
    memset(exact, 0, sizeof exact);
    for (size_t i = 0; i < DRAWS; i++)
        exact[stream[i]]++;
}

/* I1 and I2 of hot_keys.h. */
static void
hot_check(const struct hot_keys *hot)
{
    assert_int_equal(hot->total, DRAWS);
    for (size_t i = 0; i < HOT_KEYS; i++) {
        const struct hot_key *key = &hot->keys[i];
        if (key->count == 0)
            continue;
        assert_true(key->error <= key->count);
        assert_true(exact[key->id] <= key->count);
        assert_true(exact[key->id] >= key->count - key->error);
        for (size_t j = 0; j < i; j++)
            assert_true(hot->keys[j].count == 0 || hot->keys[j].id != key->id);
    }
    for (uint64_t id = 0; id < IDS; id++) {
        bool found = exact[id] <= DRAWS / HOT_KEYS;
        for (size_t i = 0; i < HOT_KEYS; i++)
            found = found || (hot->keys[i].count != 0 && hot->keys[i].id == id);
        assert_true(found);
    }
}

static void
test_hot_keys_of_any_stream_keep_their_bounds(void **state)
{
    static const char *const texts[] = {"uniform", "zipf:0.9", "zipf:1.3", "hot:2", "hot:40"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct hot_keys one = {0}, tables[TABLES] = {{0}}, merged = {0};
        stream_draw(texts[i]);
        for (size_t j = 0; j < DRAWS; j++) {
            hot_keys_add(&one, stream[j]);
            /* A worker that sees most, and some that see little or nothing. */
            hot_keys_add(&tables[j % 5 != 0 ? 0 : j % (TABLES - 1)], stream[j]);
        }
        hot_check(&one);
        for (size_t j = 0; j < TABLES; j++)
            hot_keys_merge(&merged, &tables[j]);
        hot_check(&merged);
        hot_keys_sort(&merged);
        hot_check(&merged);
        for (size_t j = 1; j < HOT_KEYS; j++)
            assert_true(merged.keys[j - 1].count - merged.keys[j - 1].error >=
                        merged.keys[j].count - merged.keys[j].error);
    }
}

static void
test_hot_keys_that_all_have_room_are_exact(void **state)
{
    struct hot_keys one = {0}, other = {0};

    (void)state;
    for (uint64_t id = 0; id < HOT_KEYS; id++)
        for (uint64_t i = 0; i <= id; i++) {
            hot_keys_add(id % 2 != 0 ? &one : &other, id);
            hot_keys_add(&other, id);
        }
    hot_keys_merge(&one, &other);
    hot_keys_sort(&one);
    for (uint64_t i = 0; i < HOT_KEYS; i++) {
        assert_int_equal(one.keys[i].id, HOT_KEYS - 1 - i);
        assert_int_equal(one.keys[i].count, 2 * (HOT_KEYS - i));
        assert_int_equal(one.keys[i].error, 0);
    }
}

/* A key that one table has exactly, and that the other had and forgot. */
static void
test_hot_keys_merged_keep_room_for_what_was_forgotten(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        struct hot_keys knows = {0}, forgot = {0};
        for (unsigned i = 0; i < 1000; i++)
            hot_keys_add(&knows, 7);
        for (unsigned i = 0; i < 50; i++)
            hot_keys_add(&forgot, 7);
        for (uint64_t i = 0; i < 100 * (uint64_t)HOT_KEYS; i++)
            hot_keys_add(&forgot, 100 + i % HOT_KEYS);
        for (size_t i = 0; i < HOT_KEYS; i++)
            assert_int_not_equal(forgot.keys[i].id, 7);
        struct hot_keys *into = order == 0 ? &knows : &forgot;
        hot_keys_merge(into, order == 0 ? &forgot : &knows);
        hot_keys_sort(into);
        assert_int_equal(into->keys[0].id, 7);
        assert_true(into->keys[0].count >= 1050);
        assert_int_equal(into->keys[0].count - into->keys[0].error, 1000);
    }
}

/* ---- counters -------------------------------------------------------------------------------- */

static uint64_t total = 1000, level;
static const uint64_t levels[] = {5, 30, 7, 9}; /* the last look is at no high one */
static size_t looks;

static size_t
store_read(void *store, struct bench_counter *counters)
{
    level = levels[looks++ % (sizeof levels / sizeof *levels)];
    total += 100;
    assert_ptr_equal(store, &total);
    counters[0] = (struct bench_counter){"total", "", false, total};
    counters[1] = (struct bench_counter){"level", "bytes", true, level};
    return 2;
}

static void
test_contention_totals_are_growth_and_levels_the_most(void **state)
{
    struct contention contention = {0};
    struct contention_watch watch;

    (void)state;
    for (unsigned repeat = 0; repeat < 3; repeat++) {
        contention_begin(&watch, store_read, &total);
        contention_end(&watch);
        contention_add(&contention, &watch, 50);
    }
    /* Looks 0 to 5: the growth between two of them is 100, each time. */
    assert_int_equal(contention.count, 2);
    assert_true(contention_value(&contention, 0) == 300.0 / 150);
    assert_true(contention_value(&contention, 1) == 30);
    looks = 0;
    contention_begin(&watch, store_read, &total);
    contention_sleep(&watch, 0);
    contention_end(&watch);
    memset(&contention, 0, sizeof contention);
    contention_add(&contention, &watch, 1);
    assert_true(looks > 3);
    assert_true(contention_value(&contention, 0) == 100.0 * (double)(looks - 1));
    assert_true(contention_value(&contention, 1) == 30);
}

static void
test_contention_of_a_store_that_counts_nothing_is_empty(void **state)
{
    struct contention contention = {0};
    struct contention_watch watch;

    (void)state;
    contention_begin(&watch, NULL, NULL);
    contention_sleep(&watch, 0);
    contention_end(&watch);
    contention_add(&contention, &watch, 7);
    assert_int_equal(contention.count, 0);
}

static void
test_attempts_have_their_classes(void **state)
{
    static const struct {
        unsigned attempts;
        size_t class_of;
    } cases[] = {{1, 0}, {2, 1},  {3, 2},  {4, 2},    {5, 3},  {8, 3},
                 {9, 4}, {16, 4}, {17, 5}, {1000, 5}, {~0u, 5}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(worker_attempts_class(cases[i].attempts), cases[i].class_of);
}

/* ---- calls that are refused for now ---------------------------------------------------------- */

static void
test_refused_call_is_made_again_until_it_is_enough(void **state)
{
    unsigned attempt = 0, times = 0;

    (void)state;
    assert_false(latchkey_again(LK_OK, &attempt));
    assert_false(latchkey_again(LK_RACE, &attempt));
    assert_false(latchkey_again(LK_NO_MEMORY, &attempt));
    assert_int_equal(attempt, 0);
    while (times <= 10000 && latchkey_again(LK_BUSY, &attempt))
        times++;
    assert_int_equal(times, 10000);
    attempt = 0;
    bench_expected.refusals = true;
    assert_false(latchkey_again(LK_BUSY, &attempt));
    bench_expected.refusals = false;
    assert_true(latchkey_again(LK_BUSY, &attempt));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hot_keys_of_any_stream_keep_their_bounds),
        cmocka_unit_test(test_hot_keys_that_all_have_room_are_exact),
        cmocka_unit_test(test_hot_keys_merged_keep_room_for_what_was_forgotten),
        cmocka_unit_test(test_contention_totals_are_growth_and_levels_the_most),
        cmocka_unit_test(test_contention_of_a_store_that_counts_nothing_is_empty),
        cmocka_unit_test(test_attempts_have_their_classes),
        cmocka_unit_test(test_refused_call_is_made_again_until_it_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
