/* SPDX-License-Identifier: MIT
 *
 * A store without queues: an empty table of hooks. The library is linked statically, so that what
 * nobody calls is left out, and the queue room is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/result.h"
#include "store/commit.h"
#include "store/head.h"
#include "store/hooks.h"
#include "store/lock.h"
#include "store/open.h"
#include "store/query.h"
#include "store/read.h"
#include "store/sweep.h"
#include "store/write.h"

/* One of each file of the queue room that something of the store could draw in. */
extern const char lki_queue_hooks[] __attribute__((weak));
extern const char lki_queue_find[] __attribute__((weak));
extern const char lki_job_read[] __attribute__((weak));
extern const char lki_places_reserve[] __attribute__((weak));
extern const char lki_next_due_begin[] __attribute__((weak));

static const lki_hooks none;
static lki_store *store;
static lki_thread *thread;
static int64_t now_ms;

static int64_t
now(void *context)
{
    (void)context;
    return now_ms;
}

static int
setup(void **state)
{
    (void)state;
    lk_status why;
    const lk_memory_options options = {.realtime_ms = now, .monotonic_ms = now};
    now_ms = 1000;
    assert_int_equal(lki_store_open(&options, &none, &store), LK_OK);
    thread = lki_thread_self(&store->domain, &why);
    assert_non_null(thread);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    lki_store_close(store);
    return 0;
}

/* A key that queues of this store would generate. */
static lk_key
marked_key(char *sk)
{
    memcpy(sk, "01ARZ3NDEKTSV4RRFFQ69G5FAV", LK_ULID_SIZE);
    memcpy(sk + LKI_ULID_OWNER, store->ulid_mark, sizeof store->ulid_mark);
    lk_key key = {lk_string("users"), {sk, LK_ULID_SIZE}};
    assert_true(lki_key_is_generated(store, &key));
    return key;
}

/* The bytes of an item; NULL: there is none. */
static const char *
item_read(lk_key key)
{
    lki_time time = {0, false, false};
    lki_hashed hashed = lki_hashed_of(&store->secret, &key);
    lki_enter(thread);
    lki_cell *cell = lki_find(store, &hashed);
    const lki_record *record = cell != NULL ? lki_read_cell(store, cell, &time) : NULL;
    const char *data = record != NULL ? (const char *)lki_record_data(record) : NULL;
    lki_leave(thread);
    return data;
}

static size_t
items_count(void)
{
    lk_result *result = lk_result_new();
    const lk_query query = {.pk = lk_string("users")};
    lki_page page = {&query, false, 100, 1000, 10000, result, 0};
    lki_enter(thread);
    assert_int_equal(lki_query_page(store, thread, &page), LK_OK);
    lki_leave(thread);
    size_t count = result->count;
    lk_result_free(result);
    return count;
}

static void
test_store_alone_linked_queue_room_is_not_there(void **state)
{
    (void)state;
    const char *const drawn_in[] = {lki_queue_hooks, lki_queue_find, lki_job_read,
                                    lki_places_reserve, lki_next_due_begin};
    for (size_t i = 0; i < sizeof drawn_in / sizeof *drawn_in; i++)
        assert_null(drawn_in[i]);
}

static void
test_store_alone_each_kind_of_key_is_as_others(void **state)
{
    (void)state;
    char sk[LK_ULID_SIZE];
    const lk_key keys[] = {lk_key_of("users", "alice"), marked_key(sk)};
    for (size_t i = 0; i < 2; i++) {
        lk_item item = {.key = keys[i], .data = lk_string("hello")};
        assert_null(item_read(keys[i]));
        assert_int_equal(lki_store_set(store, thread, &item, 1), LK_OK);
        assert_memory_equal(item_read(keys[i]), "hello", 5);
        assert_int_equal(items_count(), i + 1);
    }
    lki_seen seen[2];
    lki_enter(thread);
    lki_read_many(store, thread, keys, seen, 2);
    assert_true(seen[0].record != NULL && seen[1].record != NULL);
    lki_leave(thread);
    assert_int_equal(lki_store_delete(store, thread, keys, 2), LK_OK);
    assert_int_equal(items_count(), 0);
    assert_null(item_read(keys[1]));
}

static void
test_store_alone_commit_under_locks_succeeds_once(void **state)
{
    (void)state;
    char sk[LK_ULID_SIZE];
    const lk_item items[] = {{.key = lk_key_of("users", "alice"), .data = lk_string("1")},
                             {.key = marked_key(sk), .data = lk_string("2")}};
    lk_lock locks[2];
    lk_conflict conflict;
    for (size_t i = 0; i < 2; i++) {
        const lki_seen seen = {.hashed = lki_hashed_of(&store->secret, &items[i].key)};
        locks[i].key = items[i].key;
        assert_int_equal(lki_store_get_locks(store, thread, &seen, 1, &locks[i]), LK_OK);
    }
    lk_lock stale = locks[1];
    const lki_writes writes = {.items = items, .count = 2};
    assert_int_equal(lki_store_commit(store, thread, &writes, locks, 2, &conflict), LK_OK);
    assert_int_equal(items_count(), 2);
    assert_int_equal(lki_store_commit(store, thread, &writes, &stale, 1, &conflict), LK_RACE);
}

static void
test_store_alone_expired_items_are_swept(void **state)
{
    (void)state;
    enum { ITEMS = 100 };
    size_t swept = 0;
    for (int i = 0; i < ITEMS; i++) {
        char sk[16];
        snprintf(sk, sizeof sk, "%d", i);
        lk_item item = {.key = lk_key_of("users", sk), .expires_at_ms = 2000};
        assert_int_equal(lki_store_set(store, thread, &item, 1), LK_OK);
    }
    now_ms = 10000;
    assert_int_equal(lki_sweep_all(store, thread, 0, &swept), LK_OK);
    assert_int_equal(swept, ITEMS);
    assert_int_equal(items_count(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_alone_linked_queue_room_is_not_there),
        cmocka_unit_test_setup_teardown(test_store_alone_each_kind_of_key_is_as_others, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_store_alone_commit_under_locks_succeeds_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_store_alone_expired_items_are_swept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
