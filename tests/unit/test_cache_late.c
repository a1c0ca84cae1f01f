/* SPDX-License-Identifier: MIT
 *
 * Reads of the database through a cache that hang, take too long, or whose thread ends inside:
 * others wait for such a read once, what they read then is kept, and what it brings at last is kept
 * only if nothing newer was. Leaders are held at gates.
 */
#include <pthread.h>
#include <sched.h>

#include "support/cached.h"

enum { OTHERS = 5 };

static cached c;

static lk_key
the_key(void)
{
    return lk_key_of("q", "1");
}

static lk_key
other_key(void)
{
    return lk_key_of("q", "2");
}

static uint64_t
joined(void)
{
    return cached_statistics(&c).cache_joined;
}

static void
open_waiting(int64_t load_wait_ms, int64_t max_age_ms)
{
    lk_cache_options options = {.max_items = 100,
                                .load_wait_ms = load_wait_ms,
                                .max_age_ms = max_age_ms,
                                .keep_missing = true};
    cached_open(&c, &options);
    kit_set(&c.k, "q", "1", "old");
    kit_set(&c.k, "q", "2", "two");
}

static lk_status
read_get(lk_key key)
{
    return lk_get(c.cache, key, c.k.result);
}

static lk_status
read_get_into(lk_key key)
{
    char buffer[8];
    size_t size;
    return lk_get_into(c.cache, key, buffer, sizeof buffer, &size);
}

static lk_status
read_get_many(lk_key key)
{
    lk_key keys[3] = {other_key(), key, key};
    lk_status status = lk_get_many(c.cache, keys, 3, c.k.result);
    return status == LK_OK && lk_result_item(c.k.result, 1) == NULL ? LK_NOT_FOUND : status;
}

static lk_status (*const reads[])(lk_key key) = {read_get, read_get_into, read_get_many};

/* ---- one wait ---- */

static void
test_hung_read_is_waited_for_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * KIT_COUNT(reads); i++) {
        lk_status (*read)(lk_key key) = reads[i / 2];
        lk_status wanted = i % 2 != 0 ? LK_NOT_FOUND : LK_OK;
        later leader;
        open_waiting(1, 0);
        if (wanted == LK_NOT_FOUND)
            assert_status(LK_OK, lk_delete(c.k.db, (lk_key[]){the_key()}, 1));
        later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
        assert_status(wanted, read(the_key()));
        uint64_t waits = joined();
        assert_true(waits > 0);
        (void)cached_asked(&c);
        for (size_t again = 0; again < KIT_COUNT(reads); again++)
            assert_status(wanted, reads[again](the_key()));
        assert_int_equal(joined(), waits);
        assert_true(cached_asked(&c) <= 1); /* the other key of a get_many */
        later_end_leader(&leader, wanted);
        assert_true(cached_hits(&c, the_key(), wanted == LK_OK ? "old" : NULL));
        cached_close(&c);
    }
}

static lk_status
later_get_two(cached *it, later *self)
{
    lk_key keys[2] = {other_key(), lk_key_of("q", "3")};
    return lk_get_many(it->cache, keys, 2, self->result);
}

/* One call that hangs is one wait, not one for each of its keys: whoever reads them one by one. */
static void
test_hung_get_many_is_waited_for_once_for_all_its_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) { /* get, get_into */
        later several;
        open_waiting(1, 0);
        counted_shut(&c.inner, COUNTED_GET_MANY, COUNTED_BEFORE);
        later_start(&several, &c, later_get_two, other_key(), NULL);
        counted_wait(&c.inner, COUNTED_GET_MANY);
        const lk_key keys[2] = {other_key(), lk_key_of("q", "3")};
        assert_status(LK_OK, reads[i](keys[0]));
        uint64_t waits = joined();
        assert_true(waits > 0);
        assert_status(LK_NOT_FOUND, reads[i](keys[1]));
        assert_int_equal(joined(), waits);
        counted_go(&c.inner, COUNTED_GET_MANY);
        assert_status(LK_OK, later_join(&several));
        later_free(&several);
        cached_close(&c);
    }
}

/* One wait for all of a call, one call for all that was waited for in vain. */
static void
test_get_many_waits_once_for_several_hung_reads(void **state)
{
    (void)state;
    later single, several;
    open_waiting(1, 0);
    later_start_leader(&single, &c, the_key(), COUNTED_AFTER);
    counted_shut(&c.inner, COUNTED_GET_MANY, COUNTED_BEFORE);
    later_start(&several, &c, later_get_two, other_key(), NULL);
    counted_wait(&c.inner, COUNTED_GET_MANY);
    (void)cached_asked(&c);
    lk_key keys[4] = {the_key(), other_key(), lk_key_of("q", "3"), lk_key_of("q", "4")};
    uint64_t calls = atomic_load(&c.inner.calls[COUNTED_GET_MANY]);
    for (int i = 0; i < 2; i++) {
        assert_status(LK_OK, lk_get_many(c.cache, keys, 4, c.k.result));
        assert_int_equal(joined(), 3);
        assert_int_equal(cached_asked(&c), i == 0 ? 4 : 0);
        assert_int_equal(atomic_load(&c.inner.calls[COUNTED_GET_MANY]), calls + 2);
        assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "old"));
        assert_true(lkc_is(lk_result_item(c.k.result, 1)->data, "two"));
        assert_null(lk_result_item(c.k.result, 2));
        assert_null(lk_result_item(c.k.result, 3));
    }
    counted_go(&c.inner, COUNTED_GET_MANY);
    assert_status(LK_OK, later_join(&several));
    later_free(&several);
    later_end_leader(&single, LK_OK);
    cached_close(&c);
}

/* A get_many whose second call fails: its own fault, and nothing of it is left. */
static void
test_get_many_that_fails_after_its_wait_is_nothing(void **state)
{
    (void)state;
    later leader;
    open_waiting(1, 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    lk_key keys[2] = {the_key(), other_key()};
    counted_fail(&c.inner, COUNTED_GET_MANY, COUNTED_BEFORE, 2, LK_BUSY);
    assert_status(LK_BUSY, lk_get_many(c.cache, keys, 2, c.k.result));
    assert_int_equal(lk_result_count(c.k.result), 0);
    assert_true(cached_hits(&c, other_key(), "two"));
    later_end_leader(&leader, LK_OK);
    assert_true(cached_hits(&c, the_key(), "old")); /* late, and the only answer */
    cached_close(&c);
}

static void
test_many_waiters_in_vain_all_read(void **state)
{
    (void)state;
    later leader, others[OTHERS];
    open_waiting(1, 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    for (size_t i = 0; i < OTHERS; i++)
        later_start(&others[i], &c, later_get, the_key(), NULL);
    for (size_t i = 0; i < OTHERS; i++) {
        assert_status(LK_OK, later_join(&others[i]));
        assert_true(later_read(&others[i], "old"));
        later_free(&others[i]);
    }
    assert_true(cached_hits(&c, the_key(), "old"));
    later_end_leader(&leader, LK_OK);
    cached_close(&c);
}

/* The thread that waited in vain hangs in its turn: that is another read, and costs another
 * wait. */
static void
test_second_hung_read_costs_a_second_wait(void **state)
{
    (void)state;
    later first, second;
    open_waiting(1, 0);
    later_start_leader(&first, &c, the_key(), COUNTED_AFTER);
    counted_shut(&c.inner, COUNTED_GET_MANY, COUNTED_AFTER);
    later_start(&second, &c, later_get_two, other_key(), NULL);
    counted_wait(&c.inner, COUNTED_GET_MANY);
    assert_true(cached_holds(&c, the_key(), "old"));
    assert_true(cached_holds(&c, other_key(), "two"));
    assert_int_equal(joined(), 2);
    assert_true(cached_hits(&c, the_key(), "old"));
    assert_true(cached_hits(&c, other_key(), "two"));
    counted_go(&c.inner, COUNTED_GET_MANY);
    assert_status(LK_OK, later_join(&second));
    later_free(&second);
    later_end_leader(&first, LK_OK);
    cached_close(&c);
}

/* ---- what the late one brings ---- */

static void
test_late_answer_is_not_kept_over_a_newer_one(void **state)
{
    (void)state;
    later leader;
    open_waiting(1, 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER); /* has read "old" */
    kit_set(&c.k, "q", "1", "new");
    assert_true(cached_asks(&c, the_key(), "new"));
    uint64_t dropped = cached_statistics(&c).cache_dropped;
    counted_go(&c.inner, COUNTED_GET);
    assert_status(LK_OK, later_join(&leader));
    assert_true(later_read(&leader, "old"));
    later_free(&leader);
    assert_true(cached_hits(&c, the_key(), "new"));
    assert_int_equal(cached_statistics(&c).cache_dropped, dropped + 1);
    cached_close(&c);
}

/* Also where the newer one has been thrown out meanwhile. */
static void
test_late_answer_is_not_kept_after_a_newer_one_went(void **state)
{
    (void)state;
    char name[8];
    later leader;
    open_waiting(1, 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    kit_set(&c.k, "q", "1", "new");
    assert_true(cached_asks(&c, the_key(), "new"));
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "x%d", i);
        kit_set(&c.k, "q", name, "x");
        assert_true(cached_holds(&c, lk_key_of("q", name), "x"));
    }
    later_end_leader(&leader, LK_OK);
    assert_true(cached_asks(&c, the_key(), "new"));
    cached_close(&c);
}

/* A database that is slower than load_wait_ms throughout still fills the cache. */
static void
test_late_answer_is_kept_where_it_is_the_first(void **state)
{
    (void)state;
    later leader;
    open_waiting(1, 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    counted_fail(&c.inner, COUNTED_GET, COUNTED_BEFORE, 1, LK_UNAVAILABLE);
    assert_status(LK_UNAVAILABLE, read_get(the_key()));
    later_end_leader(&leader, LK_OK);
    assert_true(cached_hits(&c, the_key(), "old"));
    cached_close(&c);
}

static void
test_late_answer_is_not_kept_over_a_write(void **state)
{
    (void)state;
    later leader;
    open_waiting(1, 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    assert_true(cached_asks(&c, the_key(), "old"));
    cached_set(&c, "q", "1", "new");
    later_end_leader(&leader, LK_OK);
    assert_true(cached_hits(&c, the_key(), "new"));
    cached_close(&c);
}

/* ---- ages ---- */

static void
test_answer_that_took_longer_than_max_age_is_not_kept(void **state)
{
    (void)state;
    later leader;
    open_waiting(LK_HOURS(1), 100);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    kit_advance(&c.k, 101);
    assert_true(cached_asks(&c, the_key(), "old")); /* nor is it waited for */
    assert_int_equal(joined(), 0);
    later_end_leader(&leader, LK_OK);
    assert_true(cached_hits(&c, the_key(), "old"));
    kit_advance(&c.k, 101);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    kit_advance(&c.k, 101);
    later_end_leader(&leader, LK_OK);
    assert_true(cached_asks(&c, the_key(), "old"));
    cached_close(&c);
}

static void
test_age_does_not_go_by_the_realtime_clock(void **state)
{
    static const int64_t steps[] = {-LK_HOURS(1), -1000, 1000, LK_HOURS(24) * 365};
    (void)state;
    for (size_t i = 0; i < 2 * KIT_COUNT(steps); i++) {
        bool missing = i % 2 != 0;
        lk_key key = missing ? lk_key_of("q", "no") : the_key();
        const char *before = missing ? NULL : "old";
        open_waiting(0, 100);
        cached_warm(&c, key, before);
        c.k.now_ms += steps[i / 2];
        assert_true(cached_hits(&c, key, before));
        kit_set(&c.k, "q", missing ? "no" : "1", "new");
        c.k.monotonic_ms += 101;
        assert_true(cached_asks(&c, key, "new"));
        cached_close(&c);
    }
}

/* Clocks and ages near the ends of int64_t. */
static void
test_age_near_the_ends_of_the_clock(void **state)
{
    static const int64_t starts[] = {INT64_MIN, INT64_MIN + 1, -100, -1, 0, INT64_MAX - 200};
    static const int64_t ages[] = {100, INT64_MAX - 1, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(starts) * KIT_COUNT(ages); i++) {
        int64_t age = ages[i % KIT_COUNT(ages)];
        open_waiting(0, age);
        c.k.monotonic_ms = starts[i / KIT_COUNT(ages)];
        cached_warm(&c, the_key(), "old");
        cached_set(&c, "q", "2", "two");
        c.k.monotonic_ms += 100;
        assert_true(cached_hits(&c, the_key(), "old"));
        kit_set(&c.k, "q", "1", "new");
        c.k.monotonic_ms += 1;
        assert_true(age == 100 ? cached_asks(&c, the_key(), "new")
                               : cached_hits(&c, the_key(), "old"));
        counted_fail(&c.inner, COUNTED_SET, COUNTED_AFTER, 1, LK_UNKNOWN); /* settles later */
        lk_item item = kit_item("q", "1", "newer");
        assert_status(LK_UNKNOWN, lk_set(c.cache, &item, 1));
        assert_true(cached_asks(&c, the_key(), "newer"));
        assert_true(cached_asks(&c, the_key(), "newer"));
        cached_close(&c);
    }
}

/* ---- threads that end ---- */

static _Thread_local bool doomed;

static lk_status
get_and_exit(void *state, lk_key key, lk_result *result)
{
    if (doomed)
        pthread_exit(NULL);
    return lk_get(*(lk_db **)state, key, result);
}

static void *
exit_in_get(void *result)
{
    doomed = true;
    lk_status status = lk_get(c.cache, the_key(), result);
    (void)status;
    abort(); /* it does not come back */
}

/* A cache over a database whose reads end some threads, over the kit's store. */
static void
test_thread_that_ended_inside_is_waited_for_once(void **state)
{
    (void)state;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations;
    lk_db *deadly;
    open_waiting(1, 0);
    lk_db *plain = c.cache;
    lk_db *inner = c.inner.db;
    assert_status(LK_OK, lk_adapter_pass(inner, &operations, &adapter));
    operations.get = get_and_exit;
    operations.get_into = NULL;
    adapter.state = &inner;
    assert_status(LK_OK, lk_adapter_open(&operations, &adapter, &deadly));
    lk_cache_options options = {.max_items = 100, .load_wait_ms = 1};
    assert_status(LK_OK, lk_cache_open(deadly, &options, &c.cache));
    for (int i = 0; i < 3; i++) { /* each of them is a late read, none is freed before the end */
        pthread_t thread;
        lk_result *result = lk_result_new();
        assert_int_equal(pthread_create(&thread, NULL, exit_in_get, result), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        lk_result_free(result);
    }
    lk_key keys[2] = {the_key(), other_key()};
    for (int i = 0; i < 3; i++) {
        assert_status(LK_OK, lk_get_many(c.cache, keys, 2, c.k.result));
        assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "old"));
        assert_int_equal(joined(), 3);
    }
    lk_close(c.cache);
    lk_close(deadly);
    c.cache = plain;
    cached_close(&c);
}

/* Waiting for another's read is no point of cancellation: the latch would stay taken. */
static void
test_cancelled_waiter_leaves_the_cache_usable(void **state)
{
    (void)state;
    later leader, other;
    open_waiting(LK_HOURS(1), 0);
    later_start_leader(&leader, &c, the_key(), COUNTED_AFTER);
    later_start(&other, &c, later_get, the_key(), NULL);
    cached_await_joined(&c, 1);
    assert_int_equal(pthread_cancel(other.thread), 0);
    for (int i = 0; i < 100; i++)
        sched_yield();
    later_end_leader(&leader, LK_OK);
    (void)later_join(&other); /* cancelled behind the call, or not at all */
    later_free(&other);
    assert_true(cached_hits(&c, the_key(), "old"));
    cached_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hung_read_is_waited_for_once),
        cmocka_unit_test(test_hung_get_many_is_waited_for_once_for_all_its_keys),
        cmocka_unit_test(test_get_many_waits_once_for_several_hung_reads),
        cmocka_unit_test(test_get_many_that_fails_after_its_wait_is_nothing),
        cmocka_unit_test(test_many_waiters_in_vain_all_read),
        cmocka_unit_test(test_second_hung_read_costs_a_second_wait),
        cmocka_unit_test(test_late_answer_is_not_kept_over_a_newer_one),
        cmocka_unit_test(test_late_answer_is_not_kept_after_a_newer_one_went),
        cmocka_unit_test(test_late_answer_is_kept_where_it_is_the_first),
        cmocka_unit_test(test_late_answer_is_not_kept_over_a_write),
        cmocka_unit_test(test_answer_that_took_longer_than_max_age_is_not_kept),
        cmocka_unit_test(test_age_does_not_go_by_the_realtime_clock),
        cmocka_unit_test(test_age_near_the_ends_of_the_clock),
        cmocka_unit_test(test_thread_that_ended_inside_is_waited_for_once),
        cmocka_unit_test(test_cancelled_waiter_leaves_the_cache_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
