/* SPDX-License-Identifier: MIT
 *
 * Opening and closing: every option at, below and above its bounds; several stores; limits up to
 * the hard caps.
 */
#include "support/kit.h"

typedef struct option_case {
    const char *what;
    lk_memory_options options;
    lk_status wanted;
} option_case;

static void *
allocate_never(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}

static void
deallocate_never(void *context, void *memory, size_t size)
{
    (void)context;
    (void)memory;
    (void)size;
}

/* Weak, as in the library: is jemalloc linked here? */
__attribute__((weak)) extern void *mallocx(size_t size, int flags);

static const option_case cases[] = {
    {"all defaults", LK_MEMORY_OPTIONS_INIT, LK_OK},
    {"1 shard", {.shards = 1}, LK_OK},
    {"2 shards", {.shards = 2}, LK_OK},
    {"3 shards", {.shards = 3}, LK_INVALID},
    {"63 shards", {.shards = 63}, LK_INVALID},
    {"4,096 shards", {.shards = 4096}, LK_OK},
    {"8,192 shards", {.shards = 8192}, LK_INVALID},
    {"2^63 shards", {.shards = (size_t)1 << 63}, LK_INVALID},
    {"allocate alone", {.allocate = allocate_never}, LK_INVALID},
    {"deallocate alone", {.deallocate = deallocate_never}, LK_INVALID},
    {"1 expected item", {.expected_items = 1}, LK_OK},
    {"100,000 expected items", {.expected_items = 100000}, LK_OK},
    {"the same in 1 shard", {.shards = 1, .expected_items = 100000}, LK_OK},
    {"the same in 4,096", {.shards = 4096, .expected_items = 100000}, LK_OK},
    {"more expected items than any machine holds",
     {.expected_items = (uint64_t)1 << 36},
     LK_NO_MEMORY},
    {"2^36 + 1 expected items", {.expected_items = ((uint64_t)1 << 36) + 1}, LK_TOO_BIG},
    {"any number of expected items", {.expected_items = UINT64_MAX}, LK_TOO_BIG},
    {"no memory for what is expected",
     {.expected_items = 1000, .allocate = allocate_never, .deallocate = deallocate_never},
     LK_NO_MEMORY},
    {"no memory", {.allocate = allocate_never, .deallocate = deallocate_never}, LK_NO_MEMORY},
    {"negative ttl", {.lock_ttl_ms = -1}, LK_INVALID},
    {"least ttl", {.lock_ttl_ms = INT64_MIN}, LK_INVALID},
    {"refresh -1", {.lock_refresh_ms = -1}, LK_OK},
    {"refresh -1 and a short ttl", {.lock_ttl_ms = 1, .lock_refresh_ms = -1}, LK_OK},
    {"refresh -2", {.lock_refresh_ms = -2}, LK_INVALID},
    {"least refresh", {.lock_refresh_ms = INT64_MIN}, LK_INVALID},
    {"refresh below ttl", {.lock_ttl_ms = 1000, .lock_refresh_ms = 999}, LK_OK},
    {"refresh of ttl", {.lock_ttl_ms = 1000, .lock_refresh_ms = 1000}, LK_INVALID},
    {"refresh above ttl", {.lock_ttl_ms = 1000, .lock_refresh_ms = 1001}, LK_INVALID},
    {"refresh of the default ttl", {.lock_refresh_ms = LK_HOURS(24)}, LK_INVALID},
    {"refresh below the default ttl", {.lock_refresh_ms = LK_HOURS(24) - 1}, LK_OK},
    {"greatest ttl", {.lock_ttl_ms = INT64_MAX}, LK_OK},
    {"pk of 65,535", {.max_pk_size = 65535}, LK_OK},
    {"pk of 65,536", {.max_pk_size = 65536}, LK_TOO_BIG},
    {"pk of anything", {.max_pk_size = SIZE_MAX}, LK_TOO_BIG},
    {"sk of 65,535", {.max_sk_size = 65535}, LK_OK},
    {"sk of 65,536", {.max_sk_size = 65536}, LK_TOO_BIG},
    {"data of 4 GiB - 1", {.max_data_size = UINT32_MAX}, LK_OK},
    {"data of 4 GiB", {.max_data_size = (size_t)UINT32_MAX + 1}, LK_TOO_BIG},
    {"bad and too big", {.shards = 3, .max_pk_size = 65536}, LK_INVALID},
    {"negative sweep interval", {.sweep_interval_ms = -1}, LK_INVALID},
    {"a sweeper", {.sweep_interval_ms = LK_HOURS(1)}, LK_OK},
    {"a sweeper that never comes", {.sweep_interval_ms = INT64_MAX}, LK_OK},
    {"little garbage", {.max_retired_bytes = 1}, LK_OK},
};

static void
test_open_with_each_option_says_what_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(cases); i++) {
        lk_db *const untouched = (lk_db *)(uintptr_t)0x1234;
        lk_db *db = untouched;
        lk_status status = lk_memory_open(&cases[i].options, &db);
        if (status != cases[i].wanted)
            print_error("%s\n", cases[i].what);
        assert_status(cases[i].wanted, status);
        assert_true((status == LK_OK) == (db != untouched));
        if (status == LK_OK)
            lk_close(db);
    }
}

static void
test_open_without_options_or_handle(void **state)
{
    (void)state;
    lk_db *db = NULL;
    assert_status(LK_INVALID, lk_memory_open(NULL, NULL));
    assert_status(LK_OK, lk_memory_open(NULL, &db));
    lk_close(db);
    lk_close(NULL);
}

static void
test_open_of_a_short_life_renews_within_its_half(void **state)
{
    (void)state;
    kit k;
    lk_memory_options options = {.lock_ttl_ms = 1000};
    kit_open(&k, &options);
    lk_lock lock = kit_lock(&k, lk_key_of("p", "s"));
    assert_int_equal(lock.expires_at_ms, k.now_ms + 1000);
    kit_advance(&k, 499);
    assert_true(kit_lock(&k, lock.key).version == lock.version);
    kit_close(&k);
}

/* What is exactly at a limit is taken, one more is not; nothing is written then. */
static void
limits_hold(kit *k, size_t pk, size_t sk, size_t data)
{
    char *bytes = calloc(1, (pk > data ? pk : data) + sk + 2);
    assert_non_null(bytes);
    lk_item item = {.key = {{bytes, pk}, {bytes, sk}}, .data = {bytes, data}};
    lk_lock lock;
    assert_status(LK_OK, lk_set(k->db, &item, 1));
    assert_status(LK_OK, lk_get(k->db, item.key, k->result));
    const lk_item *found = lk_result_item(k->result, 0);
    assert_true(lkc_equal(found->key.pk, item.key.pk) && lkc_equal(found->key.sk, item.key.sk));
    assert_true(lkc_equal(found->data, item.data));
    assert_status(LK_OK, lk_get_lock(k->db, item.key, &lock));
    assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
    lk_query query = {.pk = item.key.pk, .sk_prefix = item.key.sk};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 1);
    query.after = query.sk_prefix;
    query.reverse = true;
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 0);
    for (int which = 0; which < 3; which++) {
        lk_item over = {.key = {{bytes, pk + (which == 0)}, {bytes, sk + (which == 1)}},
                        .data = {bytes, data + (which == 2)}};
        lk_item both[2] = {{.key = lk_key_of("first", "")}, over};
        assert_status(LK_TOO_BIG, lk_set(k->db, both, 2));
        assert_status(LK_TOO_BIG, lk_set_atomic(k->db, both, 2, &lock, 1, NULL));
        assert_true(kit_holds(k, both[0].key, NULL));
        if (which < 2) {
            assert_status(LK_TOO_BIG, lk_get(k->db, over.key, k->result));
            assert_status(LK_TOO_BIG, lk_get_lock(k->db, over.key, &lock));
            assert_status(LK_TOO_BIG, lk_delete(k->db, &over.key, 1));
        }
    }
    assert_status(LK_OK, lk_delete(k->db, &item.key, 1));
    free(bytes);
}

static void
test_limits_by_default_are_those_of_the_contract(void **state)
{
    (void)state;
    kit k;
    kit_open(&k, NULL);
    limits_hold(&k, 2048, 1024, 16 << 20);
    limits_hold(&k, 2048, 1024, 16 << 20); /* and again, after the delete */
    kit_close(&k);
}

static void
test_limits_that_were_set_hold(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {
        {1, 1, 1}, {3, 5, 7}, {65535, 65535, 100}, {65535, 1, 17 << 20}, {8, 65535, 256}};
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        kit k;
        lk_memory_options options = {
            .max_pk_size = sizes[i][0], .max_sk_size = sizes[i][1], .max_data_size = sizes[i][2]};
        if (options.max_pk_size < 5)
            options.max_pk_size = 5; /* limits_hold writes "first" */
        kit_open(&k, &options);
        limits_hold(&k, options.max_pk_size, sizes[i][1], sizes[i][2]);
        kit_close(&k);
    }
}

static void
test_stores_side_by_side_share_nothing(void **state)
{
    (void)state;
    enum { STORES = 20 };
    static kit k[STORES];
    char data[STORES][8];
    for (int i = 0; i < STORES; i++) {
        kit_open(&k[i], NULL);
        snprintf(data[i], sizeof data[i], "%d", i);
        kit_set(&k[i], "p", "s", data[i]);
    }
    for (int i = 0; i < STORES; i++) {
        lk_lock lock = kit_lock(&k[i], lk_key_of("p", "s"));
        assert_true(kit_holds(&k[i], lk_key_of("p", "s"), data[i]));
        assert_true(kit_holds(&k[(i + 1) % STORES], lk_key_of("p", "s"), data[(i + 1) % STORES]));
        assert_status(LK_RACE, lk_set_atomic(k[(i + 1) % STORES].db, NULL, 0,
                                             &(lk_lock){lock.key, lock.version + 1, 0}, 1, NULL));
    }
    for (int i = 0; i < STORES; i += 2)
        kit_close(&k[i]);
    for (int i = 1; i < STORES; i += 2) {
        assert_true(kit_holds(&k[i], lk_key_of("p", "s"), data[i]));
        kit_close(&k[i]);
    }
}

static void
test_sweeper_that_runs_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        kit k;
        lk_memory_options options = {.sweep_interval_ms = 1};
        kit_open(&k, &options);
        for (uint64_t n = 0; n < 200; n++) {
            lk_item item = {.key = lkc_numbered("p", n), .expires_at_ms = KIT_START_MS};
            assert_status(LK_OK, lk_set(k.db, &item, 1));
        }
        kit_advance(&k, 1);
        /* It comes by itself; the next store is not opened before it did in half of the rounds. */
        while (i % 2 == 0 && kit_statistics(&k).expired_swept < 200) {}
        kit_close(&k);
    }
}

static void
allocator_expect(lk_db *db, const char *name)
{
    lk_statistics stats;
    assert_status(LK_OK, lk_statistics_read(db, &stats));
    assert_string_equal(stats.allocator, name);
}

static void
test_statistics_say_which_allocator_it_is(void **state)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    lk_cache_options cached = LK_CACHE_OPTIONS_INIT;
    kit_memory memory = {0};
    lk_db *db, *cache;
    (void)state;
    assert_status(LK_OK, lk_memory_open(NULL, &db));
    allocator_expect(db, mallocx != NULL ? "jemalloc" : "malloc");
    lk_close(db);
    options.allocate = kit_allocate;
    options.deallocate = kit_deallocate;
    options.allocator_context = &memory;
    assert_status(LK_OK, lk_memory_open(&options, &db));
    allocator_expect(db, "caller");
    cached.max_items = 10;
    assert_status(LK_OK, lk_cache_open(db, &cached, &cache));
    allocator_expect(cache, "caller");
    lk_close(cache);
    lk_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_with_each_option_says_what_it_should),
        cmocka_unit_test(test_open_without_options_or_handle),
        cmocka_unit_test(test_open_of_a_short_life_renews_within_its_half),
        cmocka_unit_test(test_limits_by_default_are_those_of_the_contract),
        cmocka_unit_test(test_limits_that_were_set_hold),
        cmocka_unit_test(test_stores_side_by_side_share_nothing),
        cmocka_unit_test(test_statistics_say_which_allocator_it_is),
        cmocka_unit_test(test_sweeper_that_runs_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
