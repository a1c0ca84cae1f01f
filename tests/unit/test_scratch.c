/* SPDX-License-Identifier: MIT
 *
 * The memory that a call works in: one owner at a time, little of it kept afterwards, and a call
 * inside a call has its own. The allocator wipes at once what was freed, so that a pointer into
 * memory that moved shows.
 */
#include <latchkey/adapter.h>

#include "base/scratch.h"
#include "support/kit.h"

static void
wipe_and_free(void *memory, void *block, size_t size)
{
    if (block != NULL)
        memset(block, 0x5a, size);
    kit_deallocate(memory, block, size);
}

static int
wiping_setup(void **state)
{
    kit *k = calloc(1, sizeof *k);
    assert_non_null(k);
    atomic_store(&k->now_ms, KIT_START_MS);
    lk_memory_options options = kit_options(k, NULL);
    options.deallocate = wipe_and_free;
    assert_status(LK_OK, lk_memory_open(&options, &k->db));
    k->result = lk_result_new();
    *state = k;
    return 0;
}

/* ---- the verbs ---- */

static void
test_scratch_has_one_owner_at_a_time(void **state)
{
    kit *k = *state;
    lki_thread thread = {
        .allocator = {kit_allocate, wipe_and_free, &k->memory, NULL, &lki_purse_none}};
    size_t before = atomic_load(&k->memory.bytes);
    lki_scratch outer, inner;
    for (int round = 0; round < 3; round++) {
        assert_true(lki_scratch_take(&thread, &outer, 100));
        assert_true(lki_scratch_take(&thread, &inner, 100));
        assert_ptr_not_equal(outer.memory, inner.memory);
        memset(outer.memory, 1, outer.size);
        memset(inner.memory, 2, inner.size);
        assert_int_equal(((unsigned char *)outer.memory)[outer.size - 1], 1);
        lki_scratch_give(&thread, round % 2 == 0 ? &inner : &outer);
        lki_scratch_give(&thread, round % 2 == 0 ? &outer : &inner);
    }
    assert_true(lki_scratch_take(&thread, &outer, LKI_SCRATCH_KEPT + 1));
    lki_scratch_give(&thread, &outer);
    assert_true(thread.scratch_size <= LKI_SCRATCH_KEPT);
    assert_true(atomic_load(&k->memory.bytes) - before <= LKI_SCRATCH_KEPT);
    lki_scratch_free(&thread);
    assert_int_equal(atomic_load(&k->memory.bytes), before);
}

/* ---- queries ---- */

static void
test_query_with_prefix_of_many_jobs_survives_wiped_memory(void **state)
{
    kit *k = *state;
    enum { JOBS = 1000 };
    for (uint32_t i = 0; i < JOBS; i++) {
        lk_item job = {.key = lk_key_of("q", NULL), .data = {&i, sizeof i}};
        assert_status(LK_OK, lk_queue_push(k->db, &job, 1, NULL, NULL));
    }
    for (int kind = 0; kind < 4; kind++) {
        lk_thread_detach(); /* nothing is kept: the memory grows inside the query */
        lk_query query = {.pk = lk_string("q"),
                          .sk_prefix = kind % 2 == 0 ? lk_string("0") : lk_string(""),
                          .reverse = kind >= 2};
        assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
        assert_int_equal(lk_result_count(k->result), JOBS);
        for (size_t i = 0; i < JOBS; i++) {
            uint32_t number;
            memcpy(&number, lk_result_item(k->result, i)->data.data, sizeof number);
            assert_int_equal(number, query.reverse ? JOBS - 1 - i : i);
        }
    }
}

static void
test_query_with_a_long_prefix_needs_its_own_memory(void **state)
{
    kit *k = *state;
    enum { PREFIX = 1000, ITEMS = 500 };
    char sk[PREFIX + 8];
    memset(sk, 'a', PREFIX);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(sk + PREFIX, 8, "%04d", i);
        kit_set(k, "p", sk, "x");
    }
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_thread_detach();
        lk_query query = {.pk = lk_string("p"), .sk_prefix = {sk, PREFIX}, .reverse = reverse != 0};
        assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
        assert_int_equal(lk_result_count(k->result), ITEMS);
    }
}

static void
test_large_calls_leave_little_with_the_thread(void **state)
{
    kit *k = *state;
    enum { KEYS = 20000 };
    kit_set(k, "p", "s", "x");
    size_t before = atomic_load(&k->memory.bytes);
    lk_key *keys = malloc(KEYS * sizeof *keys);
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = lk_key_of("p", "s");
    assert_status(LK_OK, lk_get_many(k->db, keys, KEYS, k->result));
    free(keys);
    assert_true(atomic_load(&k->memory.bytes) <= before + LKI_SCRATCH_KEPT);
}

/* ---- a database that calls back ---- */

typedef struct caller_back {
    lk_db *inner, *cache; /* inner first: lk_adapter_pass */
    size_t calls;
    bool inside;
} caller_back;

enum { OTHERS = 300 };

/* The same call on other keys, through the cache in front. */
static void
call_back(caller_back *c, bool read)
{
    if (c->inside)
        return;
    c->inside = true;
    c->calls++;
    static char names[OTHERS][8];
    static lk_key keys[OTHERS];
    static lk_item items[OTHERS];
    for (int i = 0; i < OTHERS; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        keys[i] = lk_key_of("others", names[i]);
        items[i] = (lk_item){.key = keys[i], .data = lk_string("log")};
    }
    lk_result *result = lk_result_new();
    if (read)
        assert_status(LK_OK, lk_get_many(c->cache, keys, OTHERS, result));
    else
        assert_status(LK_OK, lk_set(c->cache, items, OTHERS));
    lk_result_free(result);
    c->inside = false;
}

static lk_status
back_set(void *state, const lk_item *items, size_t count)
{
    caller_back *c = state;
    call_back(c, false);
    lk_status status = lk_set(c->inner, items, count);
    call_back(c, true);
    return status;
}

static lk_status
back_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    caller_back *c = state;
    call_back(c, true);
    lk_status status = lk_get_many(c->inner, keys, count, result);
    call_back(c, false);
    return status;
}

static lk_status
back_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
            size_t lock_count, lk_conflict *conflict)
{
    caller_back *c = state;
    call_back(c, false);
    return lk_commit(c->inner, writes, write_count, locks, lock_count, conflict);
}

static void
test_cache_called_from_inside_its_database_stays_right(void **state)
{
    kit *k = *state;
    caller_back c = {.inner = k->db};
    lk_operations operations;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_db *db;
    assert_status(LK_OK, lk_adapter_pass(k->db, &operations, &adapter));
    operations.set = back_set;
    operations.get_many = back_get_many;
    operations.commit = back_commit;
    adapter.name = "back";
    adapter.state = &c;
    assert_status(LK_OK, lk_adapter_open(&operations, &adapter, &db));
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    options.max_items = 10000;
    assert_status(LK_OK, lk_cache_open(db, &options, &c.cache));
    for (int round = 0; round < 4; round++) {
        lk_key keys[3] = {lk_key_of("p", "a"), lk_key_of("p", "b"), lk_key_of("p", "c")};
        lk_write writes[3];
        lk_item items[3];
        char data[3][16];
        for (int i = 0; i < 3; i++) {
            snprintf(data[i], sizeof data[i], "%d of round %d", i, round);
            items[i] = (lk_item){.key = keys[i], .data = lk_string(data[i])};
            writes[i] = (lk_write){.kind = LK_PUT, .item = items[i]};
        }
        assert_status(LK_OK, round % 2 == 0 ? lk_set(c.cache, items, 3)
                                            : lk_commit(c.cache, writes, 3, NULL, 0, NULL));
        assert_status(LK_OK, lk_get_many(c.cache, keys, 3, k->result));
        for (size_t i = 0; i < 3; i++) {
            assert_non_null(lk_result_item(k->result, i));
            assert_true(lkc_is(lk_result_item(k->result, i)->data, data[i]));
        }
    }
    assert_true(c.calls >= 4);
    lk_close(c.cache);
    lk_close(db);
}

int
main(void)
{
#define WIPED(test) cmocka_unit_test_setup_teardown(test, wiping_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        WIPED(test_scratch_has_one_owner_at_a_time),
        WIPED(test_query_with_prefix_of_many_jobs_survives_wiped_memory),
        WIPED(test_query_with_a_long_prefix_needs_its_own_memory),
        WIPED(test_large_calls_leave_little_with_the_thread),
        WIPED(test_cache_called_from_inside_its_database_stays_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
