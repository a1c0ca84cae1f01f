/* SPDX-License-Identifier: MIT
 *
 * The cache in front of a store: hits, ages, absence, jobs whose keys lie in the result that is
 * filled. Writes: test_cache_writes.c; reads that meet: test_cache_loads.c; who has to go:
 * test_cache_policy.c.
 */
#include "support/cached.h"

static cached c;

static lk_key
the_key(void)
{
    return lk_key_of("p", "a");
}

/* ---- hits ---- */

static void
test_get_of_a_cached_key_asks_nothing(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    lk_item item = kit_item("p", "a", "x");
    item.expires_at_ms = KIT_START_MS + 50;
    assert_status(LK_OK, lk_set(c.k.db, &item, 1));
    assert_true(cached_asks(&c, the_key(), "x"));
    for (int i = 0; i < 3; i++) {
        assert_true(cached_hits(&c, the_key(), "x"));
        assert_int_equal(lk_result_item(c.k.result, 0)->expires_at_ms, KIT_START_MS + 50);
    }
    kit_set(&c.k, "p", "a", "behind");
    assert_true(cached_hits(&c, the_key(), "x"));
    cached_close(&c);
}

static void
test_what_is_no_read_goes_through(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    cached_set(&c, "p", "a", "old");
    cached_warm(&c, the_key(), "old");
    kit_set(&c.k, "p", "a", "new");
    lk_query query = {.pk = lk_string("p")};
    assert_status(LK_OK, lk_query_items(c.cache, &query, c.k.result));
    assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "new"));
    lk_item item;
    lk_read_begin(c.cache);
    assert_status(LK_OK, lk_view(c.cache, the_key(), &item));
    assert_true(lkc_is(item.data, "new"));
    lk_read_end(c.cache);
    lk_lock lock;
    lk_key key = the_key();
    assert_status(LK_OK, lk_get_locked(c.cache, &key, 1, &lock, c.k.result));
    assert_true(lkc_is(lk_result_item(c.k.result, 0)->data, "new"));
    lk_stream *stream;
    assert_status(LK_OK, lk_stream_open(c.cache, &query, &stream));
    assert_status(LK_OK, lk_stream_next(stream, &item));
    assert_true(lkc_is(item.data, "new"));
    lk_stream_close(stream);
    assert_true(cached_hits(&c, the_key(), "old"));
    cached_close(&c);
}

/* ---- time ---- */

static void
test_max_age_ends_hits(void **state)
{
    lk_cache_options options = {.max_items = 10, .max_age_ms = 100, .keep_missing = true};
    (void)state;
    for (int written = 0; written < 2; written++) {
        cached_open(&c, &options);
        cached_set(&c, "p", "a", "x");
        cached_warm(&c, the_key(), "x");
        cached_warm(&c, lk_key_of("p", "b"), NULL);
        if (written != 0)
            cached_set(&c, "p", "a", "x");
        kit_set(&c.k, "p", "a", "behind");
        kit_set(&c.k, "p", "b", "behind");
        kit_advance(&c.k, 100);
        assert_true(cached_hits(&c, the_key(), "x"));
        assert_true(cached_hits(&c, lk_key_of("p", "b"), NULL));
        kit_advance(&c.k, 1);
        assert_true(cached_asks(&c, the_key(), "behind"));
        assert_true(cached_asks(&c, lk_key_of("p", "b"), "behind"));
        kit_advance(&c.k, 100);
        assert_true(cached_hits(&c, the_key(), "behind"));
        kit_advance(&c.k, INT64_MAX / 2); /* ages do not overflow */
        assert_true(cached_asks(&c, the_key(), "behind"));
        cached_close(&c);
    }
}

/* The age counts from before the database was asked, or written to. */
static void
test_max_age_counts_from_before_the_call(void **state)
{
    lk_cache_options options = {.max_items = 10, .max_age_ms = 100};
    (void)state;
    for (int written = 0; written < 2; written++) {
        later call;
        enum counted_call gate = written != 0 ? COUNTED_SET : COUNTED_GET;
        cached_open(&c, &options);
        cached_set(&c, "p", "a", "x");
        if (written != 0)
            cached_warm(&c, the_key(), "x");
        counted_shut(&c.inner, gate, COUNTED_AFTER);
        later_start(&call, &c, written != 0 ? later_set : later_get, the_key(), "x");
        counted_wait(&c.inner, gate);
        kit_set(&c.k, "p", "a", "behind");
        kit_advance(&c.k, 60);
        counted_go(&c.inner, gate);
        assert_status(LK_OK, later_join(&call));
        later_free(&call);
        kit_advance(&c.k, 40);
        assert_true(cached_hits(&c, the_key(), "x"));
        kit_advance(&c.k, 1);
        assert_true(cached_asks(&c, the_key(), "behind"));
        cached_close(&c);
    }
}

/* ---- absence ---- */

static void
test_missing_key_is_asked_for_each_time(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    for (int i = 0; i < 3; i++)
        assert_true(cached_asks(&c, the_key(), NULL));
    cached_close(&c);
}

static void
test_missing_key_with_keep_missing_is_asked_for_once(void **state)
{
    lk_cache_options options = {.max_items = 10, .keep_missing = true};
    (void)state;
    cached_open(&c, &options);
    lk_key keys[2] = {the_key(), lk_key_of("p", "b")};
    assert_true(cached_asks(&c, the_key(), NULL));
    assert_status(LK_OK, lk_get_many(c.cache, keys, 2, c.k.result));
    assert_int_equal(cached_asked(&c), 1);
    assert_true(cached_hits(&c, keys[1], NULL));
    assert_status(LK_OK, lk_get_many(c.cache, keys, 2, c.k.result));
    assert_null(lk_result_item(c.k.result, 0));
    assert_null(lk_result_item(c.k.result, 1));
    size_t size = 9;
    assert_status(LK_NOT_FOUND, lk_get_into(c.cache, the_key(), NULL, 0, &size));
    assert_int_equal(size, 9);
    assert_int_equal(cached_asked(&c), 0);
    cached_close(&c);
}

static void
test_missing_key_that_a_queue_may_generate_is_asked_for(void **state)
{
    lk_cache_options options = {.max_items = 10, .keep_missing = true};
    char ulid[LK_ULID_SIZE + 1] = "", last[LK_ULID_SIZE + 1];
    (void)state;
    cached_open(&c, &options);
    lk_item job = kit_item("p", NULL, "x");
    assert_status(LK_OK, lk_queue_push(c.cache, &job, 1, NULL, c.k.result));
    memcpy(ulid, lk_result_item(c.k.result, 0)->key.sk.data, LK_ULID_SIZE);
    memcpy(last, ulid, sizeof last);
    lk_ulid_next(ulid, KIT_START_MS); /* the next job's, in the same millisecond */
    lk_key next = lk_key_of("p", ulid);
    assert_true(cached_asks(&c, next, NULL));
    assert_true(cached_asks(&c, next, NULL));
    assert_status(LK_OK, lk_queue_push(c.cache, &job, 1, NULL, c.k.result));
    assert_memory_equal(lk_result_item(c.k.result, 0)->key.sk.data, ulid, LK_ULID_SIZE);
    assert_true(cached_holds(&c, next, "x"));
    assert_true(cached_holds(&c, lk_key_of("p", last), "x"));
    cached_close(&c);
}

/* ---- keys in the result that is filled ---- */

static void
test_push_with_the_job_in_pushed_drops_its_key(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    cached_set(&c, "a-queue-with-a-name-that-is-long", "a-job-with-a-name-that-is-long", "old");
    lk_key key = lk_key_of("a-queue-with-a-name-that-is-long", "a-job-with-a-name-that-is-long");
    for (int i = 0; i < 3; i++) {
        cached_warm(&c, key, "old");
        const lk_item *job = lk_result_item(c.k.result, 0);
        assert_status(LK_OK, lk_queue_push(c.cache, job, 1, NULL, c.k.result));
        assert_int_equal(lk_result_count(c.k.result), 1);
        assert_true(cached_asks(&c, key, "old"));
    }
    cached_close(&c);
}

static void
test_pull_with_its_queues_in_the_result_closes_their_windows(void **state)
{
    (void)state;
    cached_open(&c, NULL);
    cached_set(&c, "the-queue", "x", "the-dead-letters");
    cached_set(&c, "the-dead-letters", "y", "kept");
    lk_item job = kit_item("the-queue", "j",
                           "a job with much data, which takes the place of all that was there");
    assert_status(LK_OK, lk_queue_push(c.cache, &job, 1, NULL, NULL));
    assert_true(cached_holds(&c, lk_key_of("the-queue", "x"), "the-dead-letters"));
    const lk_item *item = lk_result_item(c.k.result, 0);
    lk_pull_options options = {.pk = item->key.pk, .max_receives = 3, .dead_pk = item->data};
    assert_status(LK_OK, lk_queue_pull(c.cache, &options, c.k.result));
    cached_warm(&c, lk_key_of("the-queue", "x"), "the-dead-letters");
    cached_warm(&c, lk_key_of("the-dead-letters", "y"), "kept");
    cached_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_of_a_cached_key_asks_nothing),
        cmocka_unit_test(test_what_is_no_read_goes_through),
        cmocka_unit_test(test_max_age_ends_hits),
        cmocka_unit_test(test_max_age_counts_from_before_the_call),
        cmocka_unit_test(test_missing_key_is_asked_for_each_time),
        cmocka_unit_test(test_missing_key_with_keep_missing_is_asked_for_once),
        cmocka_unit_test(test_missing_key_that_a_queue_may_generate_is_asked_for),
        cmocka_unit_test(test_push_with_the_job_in_pushed_drops_its_key),
        cmocka_unit_test(test_pull_with_its_queues_in_the_result_closes_their_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
