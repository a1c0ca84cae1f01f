/* SPDX-License-Identifier: MIT
 *
 * Memory runs out at any allocation of any call on the adapter for LMDB: for every n the n-th one
 * fails, of the adapter, of LMDB (both linked statically, with --wrap) and of the results. The call
 * says LK_NO_MEMORY and has done nothing, and the next one does its work. Opening too.
 */
#include <unistd.h>

#include "support/lmdb_check.h"
#include "support/lmdb_rig.h"
#include "support/wrapped.h"

enum { NTH_MAX = 2000 };

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *
__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* ---- calls ---- */

static const char *const pks[] = {"p", "q", "dead"};
static char large[6000];
static lk_lock lock;
static job held;

static lk_item
item_of(const char *sk, size_t size)
{
    return (lk_item){lk_key_of("p", sk), {large, size}, KIT_START_MS + 50};
}

static lk_status
call_get(lmdb_rig *r, lk_result *out)
{
    return lk_get(r->k.db, lk_key_of("p", "old"), out);
}

static lk_status
call_get_many(lmdb_rig *r, lk_result *out)
{
    lk_key keys[3] = {lk_key_of("p", "old"), lk_key_of("p", "none"), lk_key_of("p", "big")};
    return lk_get_many(r->k.db, keys, 3, out);
}

static lk_status
call_get_locked(lmdb_rig *r, lk_result *out)
{
    lk_key keys[20];
    lk_lock locks[20];
    for (size_t i = 0; i < 20; i++)
        keys[i] = lk_key_of("p", i % 2 == 0 ? "old" : "big"); /* their locks are there */
    return lk_get_locked(r->k.db, keys, 20, locks, out);
}

static lk_status
call_query(lmdb_rig *r, lk_result *out)
{
    lk_query query = {.pk = lk_string("p"), .reverse = true};
    return lk_query_items(r->k.db, &query, out);
}

static lk_status
call_count(lmdb_rig *r, lk_result *out)
{
    lk_query query = {.pk = lk_string("p"), .from = lk_string("b")};
    size_t count;
    (void)out;
    return lk_count(r->k.db, &query, &count);
}

static lk_status
call_partitions(lmdb_rig *r, lk_result *out)
{
    lk_position position = {{0}};
    lk_status status = lk_list_partitions(r->k.db, &position, 5000, out);
    assert_true((status == LK_OK) == (position.opaque[0] != 0));
    return status;
}

static lk_status
call_inspect(lmdb_rig *r, lk_result *out)
{
    lk_job seen = {.receives = 77};
    (void)out;
    lk_status status = lk_queue_inspect(r->k.db, held.claim.key, &seen);
    assert_int_equal(seen.receives, status == LK_OK ? 1 : 77);
    return status;
}

static lk_status
call_put_if(lmdb_rig *r, lk_result *out)
{
    lk_item item = item_of("old", sizeof large);
    (void)out;
    return lk_put_if(r->k.db, &item, LK_IF_EQUAL, lk_string("old"));
}

static lk_status
call_touch(lmdb_rig *r, lk_result *out)
{
    (void)out;
    return lk_touch(r->k.db, lk_key_of("p", "big"), KIT_START_MS + 50);
}

static lk_status
call_add(lmdb_rig *r, lk_result *out)
{
    int64_t value = 77;
    (void)out;
    lk_status status = lk_add(r->k.db, lk_key_of("p", "new"), 5, KIT_START_MS + 50, &value);
    assert_int_equal(value, status == LK_OK ? 5 : 77);
    return status;
}

static lk_status
call_stats(lmdb_rig *r, lk_result *out)
{
    lk_queue_statistics stats;
    (void)out;
    return lk_queue_stats(r->k.db, lk_string("q"), &stats);
}

static lk_status
call_set(lmdb_rig *r, lk_result *out)
{
    lk_item items[2] = {item_of("new", 10), item_of("new too", sizeof large)};
    (void)out;
    return lk_set(r->k.db, items, 2);
}

static lk_status
call_delete(lmdb_rig *r, lk_result *out)
{
    lk_key keys[2] = {lk_key_of("p", "old"), held.claim.key};
    (void)out;
    return lk_delete(r->k.db, keys, 2);
}

static lk_status
call_commit(lmdb_rig *r, lk_result *out)
{
    static const lk_push_options later = {.delay_ms = 5, .max_depth = 3};
    lk_write writes[6] = {{.kind = LK_ACKNOWLEDGE, .claim = &held.claim},
                          {.kind = LK_PUT, .item = item_of("new", sizeof large)},
                          {.kind = LK_DELETE, .item = {.key = lk_key_of("p", "big")}},
                          {.kind = LK_ADD, .item = item_of("number", 0), .delta = 1},
                          {.kind = LK_TOUCH, .item = item_of("old", 0)},
                          {.kind = LK_PUSH, .item = kit_item("q", NULL, "new"), .push = &later}};
    lk_lock before = lock;
    (void)out;
    lk_status status = lk_commit(r->k.db, writes, 6, &lock, 1, NULL);
    assert_true(status == LK_OK || memcmp(&before, &lock, sizeof lock) == 0);
    return status;
}

static lk_status
call_push(lmdb_rig *r, lk_result *out)
{
    lk_item jobs[3] = {kit_item("q", NULL, "new"),
                       kit_item("q", "5", "new"),
                       {lk_key_of("q", "0"), {large, sizeof large}, 0}};
    return lk_queue_push(r->k.db, jobs, 3, NULL, out);
}

static lk_status
call_pull(lmdb_rig *r, lk_result *out)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 5};
    return lk_queue_pull(r->k.db, &options, out);
}

/* The first one is buried. */
static lk_status
call_pull_limited(lmdb_rig *r, lk_result *out)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .max_jobs = 5, .max_receives = 1, .dead_pk = lk_string("dead")};
    return lk_queue_pull(r->k.db, &options, out);
}

static lk_status
call_release(lmdb_rig *r, lk_result *out)
{
    (void)out;
    return lk_queue_release(r->k.db, &held.claim, 100);
}

static lk_status
call_extend(lmdb_rig *r, lk_result *out)
{
    (void)out;
    return lk_queue_extend(r->k.db, &held.claim, 100);
}

static lk_status
call_purge(lmdb_rig *r, lk_result *out)
{
    (void)out;
    return lk_queue_purge(r->k.db, lk_string("q"), NULL);
}

static lk_status
call_close(lmdb_rig *r, lk_result *out)
{
    (void)out;
    return lk_queue_close(r->k.db, lk_string("q"));
}

static lk_status
call_sweep(lmdb_rig *r, lk_result *out)
{
    (void)out;
    return lk_sweep(r->k.db, 0, NULL);
}

/* ---- each of them ---- */

/* Items with locks, one that has expired; a job that is held, one that was released, one that is
 * ready. */
static void
rig_fill(lmdb_rig *r)
{
    job released;
    lk_item expired = kit_item("p", "expired", "x");
    kit_set(&r->k, "p", "old", "old");
    lk_item big = {lk_key_of("p", "big"), {large, sizeof large}, 0};
    assert_status(LK_OK, lk_set(r->k.db, &big, 1));
    lock = kit_lock(&r->k, lk_key_of("p", "old"));
    (void)kit_lock(&r->k, big.key);
    expired.expires_at_ms = KIT_START_MS + 1;
    assert_status(LK_OK, lk_set(r->k.db, &expired, 1));
    jobs_push(&r->k, "q", "1", "released");
    jobs_push(&r->k, "q", "2", "held");
    jobs_push(&r->k, "q", "3", "ready");
    assert_pull(&r->k, "q", "released", &released);
    assert_pull(&r->k, "q", "held", &held);
    assert_status(LK_OK, lk_queue_release(r->k.db, &released.claim, 0));
    kit_advance(&r->k, 2);
}

/* A database that was filled and opened again: no reader has a place yet. */
static lmdb_rig *
rig_open(void)
{
    void *state;
    assert_int_equal(lmdb_setup(&state), 0);
    lmdb_rig *r = state;
    rig_fill(r);
    lmdb_close(r);
    lmdb_open(r);
    return r;
}

static void
rig_close(lmdb_rig *r)
{
    void *state = r;
    lmdb_close(r);
    assert_int_equal(lmdb_check_file(r->folder), 0);
    lmdb_teardown(&state);
}

/* With the n-th allocation failing. False: it has not so many. */
static bool
call_run(const char *name, lk_status (*call)(lmdb_rig *r, lk_result *out), int64_t nth)
{
    static picture before, after;
    lmdb_rig *r = rig_open();
    lk_result *out = lk_result_new();
    uint64_t failed_before = failed;
    fail_at = nth;
    lk_status status = call(r, out);
    fail_at = 0;
    bool ran_out = failed != failed_before;
    if (status != (ran_out ? LK_NO_MEMORY : LK_OK))
        print_error("%s, allocation %lld: %s\n", name, (long long)nth, lk_status_string(status));
    assert_true(status == (ran_out ? LK_NO_MEMORY : LK_OK));
    if (ran_out) {
        assert_int_equal(lk_result_count(out), 0);
        picture_take(&r->k, pks, 3, &after);
        lmdb_rig *fresh = rig_open();
        picture_take(&fresh->k, pks, 3, &before);
        rig_close(fresh);
        assert_true(picture_equals(&before, &after));
        assert_status(LK_OK, call(r, out));
    }
    lk_result_free(out);
    rig_close(r);
    return ran_out;
}

static void
test_each_call_without_memory_does_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        lk_status (*call)(lmdb_rig *r, lk_result *out);
    } calls[] = {{"get", call_get},
                 {"get_many", call_get_many},
                 {"get_locked", call_get_locked},
                 {"query", call_query},
                 {"count", call_count},
                 {"partitions", call_partitions},
                 {"inspect", call_inspect},
                 {"put_if", call_put_if},
                 {"touch", call_touch},
                 {"add", call_add},
                 {"stats", call_stats},
                 {"set", call_set},
                 {"delete", call_delete},
                 {"commit", call_commit},
                 {"push", call_push},
                 {"pull", call_pull},
                 {"pull limited", call_pull_limited},
                 {"release", call_release},
                 {"extend", call_extend},
                 {"purge", call_purge},
                 {"close", call_close},
                 {"sweep", call_sweep}};
    for (size_t i = 0; i < KIT_COUNT(calls); i++) {
        int64_t nth = 1;
        while (call_run(calls[i].name, calls[i].call, nth))
            nth++;
        assert_true(nth > 1 && nth < NTH_MAX); /* each of them needs some */
    }
}

static void
test_open_without_memory_leaves_what_is_there(void **state)
{
    (void)state;
    lmdb_rig *r = rig_open();
    int64_t nth = 1;
    for (bool ran_out = true; ran_out; nth++) {
        lmdb_close(r);
        uint64_t before = failed;
        fail_at = nth;
        lk_status status = lk_lmdb_open(r->folder, &r->options, &r->k.db);
        fail_at = 0;
        ran_out = failed != before;
        assert_status(ran_out ? LK_NO_MEMORY : LK_OK, status);
        if (ran_out)
            lmdb_open(r);
        assert_true(kit_holds(&r->k, lk_key_of("p", "old"), "old"));
    }
    assert_true(nth > 5 && nth < NTH_MAX);
    rig_close(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_without_memory_does_nothing),
        cmocka_unit_test(test_open_without_memory_leaves_what_is_there),
    };
    wrapped_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
