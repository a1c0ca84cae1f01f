/* SPDX-License-Identifier: MIT
 *
 * Results, the names of statuses, statistics, and the calls that this version does not have.
 */
#include <limits.h>

#include "base/alloc.h"
#include "support/kit.h"

static void
test_result_that_is_new_or_null_is_empty(void **state)
{
    (void)state;
    lk_result *result = lk_result_new();
    assert_non_null(result);
    assert_int_equal(lk_result_count(result), 0);
    assert_null(lk_result_item(result, 0));
    assert_null(lk_result_claim(result, 0));
    lk_result_free(result);
    lk_result_free(NULL);
    assert_int_equal(lk_result_count(NULL), 0);
    assert_null(lk_result_item(NULL, 0));
    assert_null(lk_result_claim(NULL, 0));
}

static void
test_result_that_has_grown_allocates_no_more(void **state)
{
    kit *k = *state;
    lk_key keys[20];
    char sk[20][4];
    for (size_t i = 0; i < KIT_COUNT(keys); i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        keys[i] = lk_key_of("p", sk[i]);
        kit_set(k, "p", sk[i], "some bytes of data");
    }
    lk_query query = {.pk = lk_string("p")};
    lk_lock locks[20];
    for (int round = 0; round < 3; round++) {
        if (round == 2) { /* nothing may be asked for now, of either allocator */
            kit_memory_fail(&k->memory, 1, true);
            lki_default_allocator =
                (lki_allocator){kit_allocate, kit_deallocate, &k->memory, NULL, NULL};
        }
        lk_status status[5] = {
            lk_get(k->db, keys[3], k->result), lk_get_many(k->db, keys, 20, k->result),
            lk_query_items(k->db, &query, k->result),
            lk_get_locked(k->db, keys, 20, locks, k->result), lk_get_lock(k->db, keys[0], locks)};
        kit_memory_fail(&k->memory, 0, false);
        lki_default_allocator = (lki_allocator){0};
        for (size_t i = 0; i < KIT_COUNT(status); i++)
            assert_status(LK_OK, status[i]);
    }
    assert_int_equal(atomic_load(&k->memory.failed), 0);
}

static void
test_status_string_names_each(void **state)
{
    (void)state;
    static const struct {
        lk_status status;
        int number;
        const char *name;
    } names[] = {
        {LK_OK, 0, "LK_OK"},
        {LK_NOT_FOUND, 1, "LK_NOT_FOUND"},
        {LK_RACE, 2, "LK_RACE"},
        {LK_EMPTY, 3, "LK_EMPTY"},
        {LK_LOST, 4, "LK_LOST"},
        {LK_LATE, 5, "LK_LATE"},
        {LK_TIMED_OUT, 6, "LK_TIMED_OUT"},
        {LK_CLOSED, 7, "LK_CLOSED"},
        {LK_EXISTS, 8, "LK_EXISTS"},
        {LK_END, 9, "LK_END"},
        {LK_INVALID, -1, "LK_INVALID"},
        {LK_TOO_BIG, -2, "LK_TOO_BIG"},
        {LK_TOO_SMALL, -3, "LK_TOO_SMALL"},
        {LK_NO_MEMORY, -4, "LK_NO_MEMORY"},
        {LK_BUSY, -5, "LK_BUSY"},
        {LK_UNSUPPORTED, -6, "LK_UNSUPPORTED"},
        {LK_UNAVAILABLE, -7, "LK_UNAVAILABLE"},
        {LK_UNKNOWN, -8, "LK_UNKNOWN"},
        {(lk_status)10, 10, "LK_?"},
        {(lk_status)-9, -9, "LK_?"},
        {(lk_status)12345, 12345, "LK_?"},
    };
    for (size_t i = 0; i < KIT_COUNT(names); i++) {
        assert_int_equal((int)names[i].status, names[i].number);
        assert_string_equal(lk_status_string(names[i].status), names[i].name);
    }
}

static void
test_helpers_of_the_header(void **state)
{
    (void)state;
    assert_int_equal(lk_string(NULL).size, 0);
    assert_int_equal(lk_string("").size, 0);
    assert_int_equal(lk_string("four").size, 4);
    lk_key key = lk_key_of("pk", NULL);
    assert_true(key.pk.size == 2 && key.sk.size == 0 && key.sk.data == NULL);
    assert_true(LK_SECONDS(2) == 2000 && LK_MINUTES(2) == 120000 && LK_HOURS(2) == 7200000);
    assert_true(LK_HOURS(1000000) == INT64_C(3600000000000));
}

static void
test_cache_of_no_handle_is_invalid_and_touches_nothing(void **state)
{
    kit *k = *state;
    lk_db *db = NULL;
    lk_cache_options cache = {.max_items = 1};
    kit_set(k, "p", "s", "x");
    assert_true(kit_holds(k, lk_key_of("p", "s"), "x"));
    assert_status(LK_INVALID, lk_cache_open(NULL, &cache, &db));
    assert_status(LK_INVALID, lk_cache_open(k->db, &cache, NULL));
    assert_null(db);
    assert_int_equal(lk_result_count(k->result), 1);
    assert_int_equal(kit_statistics(k).cells, 1);
}

static void
test_statistics_count_what_was_done(void **state)
{
    kit *k = *state;
    lk_key keys[3] = {lk_key_of("p", "a"), lk_key_of("p", "b"), lk_key_of("q", "none")};
    lk_lock locks[3];
    char buffer[4];
    size_t size;
    lk_item view;
    kit_set(k, "p", "a", "data");
    kit_set(k, "p", "b", "data");
    (void)kit_holds(k, keys[0], "data");
    (void)kit_holds(k, keys[2], NULL);
    assert_status(LK_OK, lk_get_into(k->db, keys[0], buffer, sizeof buffer, &size));
    assert_status(LK_TOO_SMALL, lk_get_into(k->db, keys[0], buffer, 1, &size)); /* it was found */
    lk_read_begin(k->db);
    assert_status(LK_OK, lk_view(k->db, keys[1], &view));
    assert_status(LK_NOT_FOUND, lk_view(k->db, keys[2], &view));
    lk_read_end(k->db);
    (void)kit_lock(k, keys[2]);
    assert_status(LK_OK, lk_get_many(k->db, keys, 3, k->result));
    assert_status(LK_OK, lk_get_locked(k->db, keys, 3, locks, k->result));
    lk_query query = {.pk = lk_string("p")};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, locks, 2, NULL));
    locks[0].version--;
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, locks, 2, NULL));
    assert_status(LK_OK, lk_delete(k->db, keys, 2));
    lk_statistics s = kit_statistics(k);
    assert_true(s.gets == 6 && s.hits == 4);
    assert_true(s.multi_gets == 6 && s.queries == 1 && s.items_queried == 2);
    assert_true(s.sets == 2 && s.deletes == 2);
    assert_true(s.commits == 1 && s.races == 1);
    assert_true(s.locks_created == 3 && s.locks_renewed == 0);
    assert_true(s.threads == 1 && s.thread_records == 1);
    assert_true(s.busy == 0 && s.oldest_reader_ms == 0 && s.oldest_reader_thread == 0);
    kit_sweep(k);
    s = kit_statistics(k);
    assert_true(s.cells == 1 && s.partitions == 1 &&
                s.cells_removed == 2); /* the third's lock lives */
    assert_true(s.retired_bytes == 0 && s.retired_objects == s.freed_objects);
    assert_status(LK_INVALID, lk_statistics_read(NULL, &s));
    assert_status(LK_INVALID, lk_statistics_read(k->db, NULL));
}

static void
test_backoff_of_any_attempt_returns(void **state)
{
    (void)state;
    for (unsigned attempt = 0; attempt < 40; attempt++)
        lk_backoff(attempt);
    lk_backoff(UINT_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_that_is_new_or_null_is_empty),
        KIT_TEST(test_result_that_has_grown_allocates_no_more),
        cmocka_unit_test(test_status_string_names_each),
        cmocka_unit_test(test_helpers_of_the_header),
        KIT_TEST(test_cache_of_no_handle_is_invalid_and_touches_nothing),
        KIT_TEST(test_statistics_count_what_was_done),
        cmocka_unit_test(test_backoff_of_any_attempt_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
