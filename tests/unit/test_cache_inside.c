/* SPDX-License-Identifier: MIT
 *
 * A database that uses the cache in front of it inside its operations, on the same thread: what is
 * read is right and kept, and nobody waits for a read that is his own, or waits for him. All waits
 * here are as good as for ever: a read that waits where it must not hangs the test.
 */
#include <sched.h>

#include "support/cached.h"

static cached c;
static lk_db *calling,
    *outer; /* a database that calls back, in front of the counted one; a cache in front of it */
static void (*inside)(void); /* what its operations do before they pass the call on */
static _Thread_local bool is_inside;

static void
call_back(void)
{
    if (inside == NULL || is_inside)
        return;
    is_inside = true;
    inside();
    is_inside = false;
}

static lk_db *
behind(void *state)
{
    call_back();
    return *(lk_db **)state;
}

static lk_status
back_get(void *state, lk_key key, lk_result *result)
{
    return lk_get(behind(state), key, result);
}

static lk_status
back_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    return lk_get_many(behind(state), keys, count, result);
}

static lk_status
back_set(void *state, const lk_item *items, size_t count)
{
    return lk_set(behind(state), items, count);
}

static lk_status
back_remove(void *state, const lk_key *keys, size_t count)
{
    return lk_delete(behind(state), keys, count);
}

static lk_status
back_get_lock(void *state, lk_key key, lk_lock *lock)
{
    return lk_get_lock(behind(state), key, lock);
}

static lk_status
back_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    return lk_get_locked(behind(state), keys, count, locks, result);
}

static lk_status
back_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
            size_t lock_count, lk_conflict *conflict)
{
    return lk_commit(behind(state), writes, write_count, locks, lock_count, conflict);
}

static lk_status
back_query(void *state, const lk_page *page, lk_result *result)
{
    return lk_query_page(behind(state), page, result);
}

static lk_status
back_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
          lk_result *pushed)
{
    return lk_queue_push(behind(state), jobs, count, options, pushed);
}

static lk_status
back_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    return lk_queue_pull(behind(state), options, result);
}

static lk_status
back_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    return lk_queue_release(behind(state), claim, delay_ms);
}

static lk_status
back_sweep(void *state, size_t max_items, size_t *swept)
{
    return lk_sweep(behind(state), max_items, swept);
}

static void
inside_open(int64_t load_wait_ms)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations o;
    inside = NULL;
    cached_open(&c, NULL);
    kit_set(&c.k, "q", "1", "one");
    kit_set(&c.k, "q", "2", "two");
    assert_status(LK_OK, lk_adapter_pass(c.inner.db, &o, &adapter));
    o.get = back_get;
    o.get_into = NULL;
    o.get_many = back_get_many;
    o.set = back_set;
    o.remove = back_remove;
    o.get_lock = back_get_lock;
    o.get_locked = back_get_locked;
    o.commit = back_commit;
    o.set_atomic = NULL;
    o.query = back_query;
    o.push = back_push;
    o.pull = back_pull;
    o.release = back_release;
    o.sweep = back_sweep;
    adapter.state = &c.inner.db;
    assert_status(LK_OK, lk_adapter_open(&o, &adapter, &calling));
    lk_cache_options options = {.max_items = 1000, .load_wait_ms = load_wait_ms};
    assert_status(LK_OK, lk_cache_open(calling, &options, &outer));
    lk_close(c.cache);
    c.cache = outer;
}

static void
inside_close(void)
{
    inside = NULL;
    lk_close(outer);
    lk_close(calling);
    c.cache = NULL;
    cached_close(&c);
}

static lk_key
one(void)
{
    return lk_key_of("q", "1");
}

static lk_key
two(void)
{
    return lk_key_of("q", "2");
}

static bool
reads(lk_key key, const char *data)
{
    lk_result *result = lk_result_new();
    lk_status status = lk_get(outer, key, result);
    bool right = status == LK_OK && lkc_is(lk_result_item(result, 0)->data, data);
    lk_result_free(result);
    return right;
}

/* ---- what they do inside ---- */

static void
read_one(void)
{
    assert_true(reads(one(), "one"));
}

static void
read_two(void)
{
    assert_true(reads(two(), "two"));
}

static void
read_many(void)
{
    enum { COUNT = 300 };
    char names[COUNT][8];
    lk_key keys[COUNT + 2] = {one(), two()};
    lk_result *result = lk_result_new();
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "no%zu", i);
        keys[2 + i] = lk_key_of("q", names[i]);
    }
    assert_status(LK_OK, lk_get_many(outer, keys, COUNT + 2, result));
    assert_true(lkc_is(lk_result_item(result, 0)->data, "one"));
    assert_true(lkc_is(lk_result_item(result, 1)->data, "two"));
    assert_null(lk_result_item(result, 2));
    lk_result_free(result);
}

static void
write_log(void)
{
    enum { COUNT = 200 };
    char names[COUNT][8];
    lk_item items[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        items[i] = kit_item("log", names[i], "entry");
    }
    assert_status(LK_OK, lk_set(outer, items, COUNT));
    assert_status(LK_OK, lk_delete(outer, &items[0].key, 1));
}

static void
write_two(void)
{
    cached_set(&c, "q", "2", "two");
    read_two();
}

static void (*const steps[])(void) = {read_one, read_two, read_many, write_log, write_two};

/* ---- and in which calls ---- */

static void
call_all(void)
{
    lk_item items[2] = {kit_item("q", "1", "one"), kit_item("q", "2", "two")};
    lk_key keys[2] = {one(), two()};
    lk_lock locks[2];
    lk_query query = {.pk = lk_string("q")};
    size_t swept;
    assert_true(reads(one(), "one"));
    assert_status(LK_OK, lk_get_many(outer, keys, 2, c.k.result));
    assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "one"));
    assert_true(lkc_is(lk_result_item(c.k.result, 1)->data, "two"));
    assert_status(LK_OK, lk_set(outer, items, 2));
    assert_true(reads(one(), "one"));
    assert_status(LK_OK, lk_get_lock(outer, one(), &locks[0]));
    assert_status(LK_OK, lk_get_locked(outer, keys, 2, locks, c.k.result));
    assert_status(LK_OK, lk_set_atomic(outer, items, 2, locks, 2, NULL));
    assert_status(LK_OK, lk_query_items(outer, &query, c.k.result));
    assert_int_equal(lk_result_count(c.k.result), 2);
    lk_item job = kit_item("jobs", NULL, "x");
    lk_pull_options options = {
        .pk = lk_string("jobs"), .max_receives = 5, .dead_pk = lk_string("dead")};
    assert_status(LK_OK, lk_queue_push(outer, &job, 1, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(outer, &options, c.k.result));
    assert_status(LK_OK, lk_queue_release(outer, lk_result_claim(c.k.result, 0), 0));
    assert_status(LK_OK, lk_queue_pull(outer, &options, c.k.result));
    assert_status(LK_OK, lk_queue_acknowledge(outer, lk_result_claim(c.k.result, 0), 1));
    assert_status(LK_OK, lk_sweep(outer, 0, &swept));
}

static void
test_database_that_calls_back_is_read_right(void **state)
{
    static const int64_t waits[] = {0, -1, INT64_MAX};
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(steps) * KIT_COUNT(waits); i++) {
        inside_open(waits[i / KIT_COUNT(steps)]);
        inside = steps[i % KIT_COUNT(steps)];
        for (int turn = 0; turn < 3; turn++)
            call_all();
        inside = NULL;
        assert_true(cached_holds(&c, one(), "one"));
        assert_true(cached_hits(&c, one(), "one"));
        assert_true(cached_holds(&c, two(), "two"));
        assert_true(cached_hits(&c, two(), "two"));
        inside_close();
    }
}

/* The write inside is the newer one: what the read outside brings is not kept. */
static void
write_one_new(void)
{
    kit_set(&c.k, "q", "1", "old");
    cached_set(&c, "q", "1", "new");
}

static void
test_write_inside_a_read_of_the_same_key_wins(void **state)
{
    (void)state;
    inside_open(INT64_MAX);
    inside = write_one_new;
    assert_true(reads(one(), "new")); /* asked after the write */
    inside = NULL;
    assert_true(reads(one(), "new"));
    inside_close();
}

/* ---- two threads ---- */

static _Atomic int arrived;
static _Thread_local int which; /* 1, 2 */

static void
meet(void)
{
    arrived++;
    while (arrived < 2)
        sched_yield();
}

/* Both lead a read, and each reads what the other one leads. */
static void
cross(void)
{
    meet();
    assert_true(which == 1 ? reads(two(), "two") : reads(one(), "one"));
}

static lk_status
later_cross(cached *it, later *self)
{
    which = lkc_is(self->key.sk, "1") ? 1 : 2;
    if (self->data != NULL) { /* as a write, which holds no load */
        lk_item item = {.key = self->key, .data = lk_string(self->data)};
        return lk_set(it->cache, &item, 1);
    }
    lk_key keys[2] = {self->key, lk_key_of("q", "no")};
    return which == 1 ? lk_get(it->cache, self->key, self->result)
                      : lk_get_many(it->cache, keys, 2, self->result);
}

static void
test_threads_inside_do_not_wait_for_each_other(void **state)
{
    (void)state;
    for (int writes = 0; writes < 2; writes++) {
        later first, second;
        inside_open(INT64_MAX);
        arrived = 0;
        inside = cross;
        later_start(&first, &c, later_cross, one(), writes != 0 ? "one" : NULL);
        later_start(&second, &c, later_cross, two(), NULL);
        assert_status(LK_OK, later_join(&first));
        assert_status(LK_OK, later_join(&second));
        later_free(&first);
        later_free(&second);
        inside = NULL;
        assert_true(cached_holds(&c, one(), "one"));
        assert_true(cached_holds(&c, two(), "two"));
        inside_close();
    }
}

/* A thread that stands in the database does not keep the one that reads inside a call of another
 * kind. */
static void
test_read_inside_any_call_does_not_wait(void **state)
{
    (void)state;
    later leader;
    inside_open(INT64_MAX);
    later_start_leader(&leader, &c, two(), COUNTED_AFTER);
    inside = read_two;
    lk_lock lock;
    size_t swept;
    lk_query query = {.pk = lk_string("q")};
    assert_status(LK_OK, lk_get_lock(outer, one(), &lock));
    assert_status(LK_OK, lk_query_items(outer, &query, c.k.result));
    assert_status(LK_OK, lk_sweep(outer, 0, &swept));
    assert_status(LK_OK, lk_set_atomic(outer, NULL, 0, &lock, 1, NULL));
    inside = NULL;
    counted_go(&c.inner, COUNTED_GET);
    assert_status(LK_OK, later_join(&leader));
    later_free(&leader);
    inside_close();
}

/* ---- two caches ---- */

/* A cache directly behind a cache is none that calls back: its reads wait for each other as
 * ever. */
static void
test_cache_behind_a_cache_still_asks_once(void **state)
{
    (void)state;
    later leader, other;
    lk_db *top;
    cached_open(&c, &(lk_cache_options){.max_items = 100, .load_wait_ms = INT64_MAX});
    kit_set(&c.k, "q", "1", "one");
    assert_status(
        LK_OK,
        lk_cache_open(c.cache, &(lk_cache_options){.max_items = 100, .load_wait_ms = -1}, &top));
    lk_db *bottom = c.cache;
    c.cache = top;
    later_start_leader(&leader, &c, one(), COUNTED_AFTER);
    later_start(&other, &c, later_get, one(), NULL);
    lk_statistics statistics = {0};
    while (statistics.cache_joined == 0) {
        sched_yield();
        assert_status(LK_OK, lk_statistics_read(bottom, &statistics));
    }
    counted_go(&c.inner, COUNTED_GET);
    assert_status(LK_OK, later_join(&leader));
    assert_status(LK_OK, later_join(&other));
    assert_true(later_read(&other, "one"));
    assert_int_equal(cached_asked(&c), 1);
    later_free(&leader);
    later_free(&other);
    lk_close(top);
    c.cache = bottom;
    cached_close(&c);
}

/* The upper one of two, from below. */
static void
test_database_that_calls_back_through_two_caches(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(steps); i++) {
        lk_db *lower;
        inside_open(INT64_MAX);
        lower = outer;
        assert_status(
            LK_OK,
            lk_cache_open(lower, &(lk_cache_options){.max_items = 1000, .load_wait_ms = INT64_MAX},
                          &outer));
        c.cache = outer;
        inside = steps[i];
        for (int turn = 0; turn < 3; turn++)
            call_all();
        inside = NULL;
        assert_true(cached_holds(&c, one(), "one"));
        assert_true(cached_hits(&c, one(), "one"));
        lk_close(outer);
        outer = lower;
        inside_close();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_database_that_calls_back_is_read_right),
        cmocka_unit_test(test_write_inside_a_read_of_the_same_key_wins),
        cmocka_unit_test(test_threads_inside_do_not_wait_for_each_other),
        cmocka_unit_test(test_read_inside_any_call_does_not_wait),
        cmocka_unit_test(test_cache_behind_a_cache_still_asks_once),
        cmocka_unit_test(test_database_that_calls_back_through_two_caches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
