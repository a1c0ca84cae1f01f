/* SPDX-License-Identifier: MIT
 *
 * Calls that need no memory work where there is none: all allocations fail, of the store and of the
 * library, and each of them does what it always does. Which calls these are, and where the others
 * run out of memory: tests/support/memory_calls.
 */
#include <latchkey/adapter.h>

#include "base/alloc.h"
#include "support/kit.h"

typedef struct rig {
    kit k;
    lk_result *page; /* with an item and a claim */
    lk_stream *stream;
    lk_result *spare;
} rig;

/* All that wants memory, while there is some. */
static void
rig_open(rig *r)
{
    memset(r, 0, sizeof *r);
    lki_default_allocator = (lki_allocator){kit_allocate, kit_deallocate, &r->k.memory, NULL, NULL};
    kit_open(&r->k, NULL);
    kit_set(&r->k, "p", "s", "data");
    lk_item job = {.key = lk_key_of("q", NULL), .data = lk_string("job")};
    lk_pull_options options = {.pk = lk_string("q")};
    lk_item item;
    r->page = lk_result_new();
    r->spare = lk_result_new();
    assert_true(r->page != NULL && r->spare != NULL);
    assert_status(LK_OK, lk_queue_push(r->k.db, &job, 1, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(r->k.db, &options, r->page));
    lk_query query = {.pk = lk_string("p")};
    assert_status(LK_OK, lk_stream_open(r->k.db, &query, &r->stream));
    assert_status(LK_OK, lk_stream_next(r->stream, &item));
    kit_memory_fail(&r->k.memory, 1, true);
}

static void
rig_close(rig *r)
{
    assert_int_equal(atomic_load(&r->k.memory.failed), 0);
    lk_stream_close(r->stream);
    lk_result_free(r->page);
    lk_result_free(r->spare);
    lk_thread_detach();
    kit_close(&r->k);
    lki_default_allocator = (lki_allocator){0};
}

static void
test_what_a_result_holds_is_read_without_memory(void **state)
{
    (void)state;
    rig r;
    lk_bytes sk;
    rig_open(&r);
    assert_int_equal(lk_result_count(r.page), 1);
    assert_true(lkc_is(lk_result_item(r.page, 0)->data, "job"));
    assert_true(lk_result_claim(r.page, 0)->token != 0);
    assert_false(lk_result_has_more(r.page, &sk));
    lk_result_draft(r.page);
    assert_int_equal(lk_result_count(r.page), 1);
    lk_result_publish(r.page);
    assert_int_equal(lk_result_count(r.page), 0);
    rig_close(&r);
}

static void
test_clocks_names_and_numbers_want_no_memory(void **state)
{
    (void)state;
    rig r;
    char ulid[LK_ULID_SIZE + 1] = "", next[LK_ULID_SIZE + 1];
    rig_open(&r);
    assert_int_equal(lk_now_ms(r.k.db), KIT_START_MS);
    assert_int_equal(lk_monotonic_ms(r.k.db), atomic_load(&r.k.monotonic_ms));
    assert_int_equal(lk_expires_in(r.k.db, 5), KIT_START_MS + 5);
    assert_string_equal(lk_status_string(LK_RACE), "LK_RACE");
    lk_ulid_next(ulid, KIT_START_MS);
    memcpy(next, ulid, sizeof next);
    lk_ulid_next(next, KIT_START_MS);
    assert_true(strcmp(ulid, next) < 0);
    lk_backoff(0);
    rig_close(&r);
}

static void
test_handle_is_looked_at_and_held_without_memory(void **state)
{
    (void)state;
    rig r;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations = {.size = sizeof operations};
    rig_open(&r);
    assert_true((lk_capabilities(r.k.db) & LK_HAS_VIEWS) != 0);
    assert_status(LK_OK, lk_adapter_read(r.k.db, &adapter));
    assert_status(LK_OK, lk_adapter_pass_sized(r.k.db, &operations, sizeof operations, &adapter));
    assert_status(LK_OK, lk_adapter_hold(r.k.db));
    lk_adapter_release(r.k.db);
    rig_close(&r);
}

static void
test_jobs_are_inspected_without_memory(void **state)
{
    (void)state;
    rig r;
    lk_job job = {.receives = 77}, jobs[2];
    rig_open(&r);
    lk_key keys[2] = {kit_key("q", "none"), lk_result_item(r.page, 0)->key};
    assert_status(LK_NOT_FOUND, lk_queue_inspect(r.k.db, keys[0], &job));
    assert_int_equal(job.receives, 77);
    assert_status(LK_OK, lk_queue_inspect_many(r.k.db, keys, 2, jobs));
    assert_int_equal(jobs[0].state, 0);
    assert_int_equal(jobs[1].state, LK_JOB_CLAIMED);
    assert_int_equal(jobs[1].changes_at_ms, lk_result_claim(r.page, 0)->deadline_ms + 1);
    rig_close(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_result_holds_is_read_without_memory),
        cmocka_unit_test(test_clocks_names_and_numbers_want_no_memory),
        cmocka_unit_test(test_handle_is_looked_at_and_held_without_memory),
        cmocka_unit_test(test_jobs_are_inspected_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
