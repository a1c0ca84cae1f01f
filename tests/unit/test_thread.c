/* SPDX-License-Identifier: MIT
 *
 * Threads that come, idle, stall and go: their records, their garbage, and what a stalled reader
 * does to writers. What runs at the same time is in tests/stress; here one thread acts at a time,
 * so each test has one outcome.
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/kit.h"

/* ---- a helper thread that runs what it is told, one call at a time, and stays ---- */

typedef struct helper {
    pthread_t thread;
    pthread_barrier_t turn;
    void (*call)(struct helper *); /* NULL: leave */
    kit *k;
    long kernel_id;
    lk_status status;
    uint64_t count;
} helper;

static void *
helper_run(void *context)
{
    helper *h = context;
    h->kernel_id = syscall(SYS_gettid);
    for (;;) {
        pthread_barrier_wait(&h->turn);
        if (h->call == NULL)
            return NULL;
        h->call(h);
        pthread_barrier_wait(&h->turn);
    }
}

static void
helper_start(helper *h, kit *k)
{
    *h = (helper){.k = k};
    pthread_barrier_init(&h->turn, NULL, 2);
    assert_int_equal(pthread_create(&h->thread, NULL, helper_run, h), 0);
}

static void
helper_do(helper *h, void (*call)(helper *))
{
    h->call = call;
    pthread_barrier_wait(&h->turn);
    pthread_barrier_wait(&h->turn);
}

static void
helper_end(helper *h)
{
    h->call = NULL;
    pthread_barrier_wait(&h->turn);
    pthread_join(h->thread, NULL);
    pthread_barrier_destroy(&h->turn);
}

static void
begin_reading(helper *h)
{
    lk_read_begin(h->k->db);
}

static void
end_reading(helper *h)
{
    lk_read_end(h->k->db);
}

/* `count` replacements of one key. */
static void
replace_many(helper *h)
{
    h->status = LK_OK;
    for (uint64_t i = 0; i < h->count && h->status == LK_OK; i++) {
        lk_item item = {.key = lk_key_of("p", "s"), .data = {&i, sizeof i}};
        h->status = lk_set(h->k->db, &item, 1);
    }
}

/* ---- records ---- */

static void *
set_once(void *context)
{
    helper *h = context;
    lk_item item = kit_item("p", "s", "x");
    h->status = lk_set(h->k->db, &item, 1);
    return NULL;
}

static void
test_thousands_of_short_lived_threads_need_few_records(void **state)
{
    kit *k = *state;
    helper h = {.k = k};
    uint64_t threads = test_scaled(10000);
    for (uint64_t i = 0; i < threads; i++) {
        assert_int_equal(pthread_create(&h.thread, NULL, set_once, &h), 0);
        pthread_join(h.thread, NULL);
        assert_status(LK_OK, h.status);
    }
    lk_statistics s = kit_statistics(k);
    assert_true(s.thread_records <= 2);
    assert_int_equal(s.threads, 1);
    assert_int_equal(s.sets, threads);
    /* What they retired did not wait for this thread to do something. */
    assert_true(atomic_load(&k->memory.bytes) < 1000000);
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
}

static void
test_thread_that_detached_comes_back(void **state)
{
    kit *k = *state;
    for (uint64_t i = 0; i < 1000; i++) {
        kit_set(k, "p", "s", i % 2 ? "odd" : "even");
        lk_lock lock = kit_lock(k, lk_key_of("p", "s"));
        lk_thread_detach();
        assert_true(kit_holds(k, lk_key_of("p", "s"), i % 2 ? "odd" : "even"));
        assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
        lk_thread_detach();
        lk_thread_detach();
    }
    assert_int_equal(kit_statistics(k).thread_records, 1);
    lk_statistics s = kit_statistics(k);
    assert_true(s.sets == 1000 && s.threads == 1);
}

static void
test_thread_that_exits_inside_a_pair_holds_back_nothing(void **state)
{
    kit *k = *state;
    helper h;
    helper_start(&h, k);
    helper_do(&h, begin_reading);
    helper_do(&h, begin_reading);
    helper_end(&h);
    for (uint64_t i = 0; i < 1000; i++)
        kit_set(k, "p", "s", "x");
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
    /* Its record is used again, as new. */
    helper_start(&h, k);
    helper_do(&h, end_reading);
    helper_do(&h, begin_reading);
    helper_do(&h, end_reading);
    helper_end(&h);
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
    assert_int_equal(kit_statistics(k).thread_records, 2);
}

static void
test_threads_of_closed_stores_go_on_with_others(void **state)
{
    kit *k = *state;
    for (int i = 0; i < 100; i++) {
        kit other;
        kit_open(&other, NULL);
        helper h;
        helper_start(&h, &other);
        h.count = 10;
        helper_do(&h, replace_many);
        assert_status(LK_OK, h.status);
        kit_set(&other, "p", "s", "x");
        kit_close(&other); /* while the helper is attached */
        h.k = k;
        helper_do(&h, replace_many);
        assert_status(LK_OK, h.status);
        helper_end(&h);
        kit_set(k, "p", "s", "x");
    }
    assert_int_equal(kit_statistics(k).thread_records, 2);
}

/* ---- garbage ---- */

static void
test_garbage_of_an_idle_thread_comes_back_when_others_write(void **state)
{
    kit *k = *state;
    helper h;
    char *large = calloc(1, 100000);
    assert_non_null(large);
    memset(large, 'x', 99999);
    helper_start(&h, k);
    kit_set(k, "p", "s", large);
    size_t before = atomic_load(&k->memory.bytes);
    h.count = 50; /* it replaces the large one, then idles with that and more in its hands */
    helper_do(&h, replace_many);
    for (int i = 0; i < 5000; i++)
        kit_set(k, "p", "other", i % 2 ? "odd" : "even");
    assert_true(atomic_load(&k->memory.bytes) < before - 50000);
    assert_status(LK_OK, lk_sweep(k->db, 0, NULL));
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
    helper_end(&h);
    free(large);
}

/* Each has made one write, so that few have looked after their own. */
static void
test_garbage_of_several_idle_threads_comes_back(void **state)
{
    enum { IDLE = 5, SIZE = 100000 };
    kit *k = *state;
    helper h[IDLE];
    char *large = calloc(1, SIZE);
    assert_non_null(large);
    memset(large, 'x', SIZE - 1);
    for (int i = 0; i < IDLE; i++) {
        helper_start(&h[i], k);
        kit_set(k, "p", "s", large);
        h[i].count = 1;
        helper_do(&h[i], replace_many);
        assert_status(LK_OK, h[i].status);
    }
    assert_true(atomic_load(&k->memory.bytes) > (IDLE - 1) * SIZE);
    for (int i = 0; i < 10000; i++)
        kit_set(k, "p", "other", i % 2 ? "odd" : "even");
    assert_true(atomic_load(&k->memory.bytes) < 2 * SIZE); /* the cell has room for the first one */
    for (int i = 0; i < IDLE; i++)
        helper_end(&h[i]);
    free(large);
}

/* ---- stalled readers ---- */

static void
test_stalled_reader_makes_writers_busy_until_it_ends(void **state)
{
    (void)state;
    kit k;
    helper reader;
    lk_memory_options options = {.max_retired_bytes = 20000};
    kit_open(&k, &options);
    helper_start(&reader, &k);
    kit_set(&k, "p", "s", "x");
    kit_set(&k, "p", "no lock", "x");
    lk_lock lock = kit_lock(&k, lk_key_of("p", "s"));
    helper_do(&reader, begin_reading);
    helper writer = {.k = &k, .count = 100000};
    replace_many(&writer);
    assert_status(LK_BUSY, writer.status);
    size_t held = atomic_load(&k.memory.bytes);
    kit_advance(&k, 1234);
    lk_item item = kit_item("p", "new", "x");
    lk_lock fresh = lock;
    for (int i = 0; i < 100; i++) {
        assert_status(LK_BUSY, lk_set(k.db, &item, 1));
        assert_status(LK_BUSY, lk_set_atomic(k.db, &item, 1, &fresh, 1, NULL));
        assert_status(LK_BUSY, lk_delete(k.db, &(lk_key){{"p", 1}, {"s", 1}}, 1));
        assert_status(LK_BUSY, lk_get_lock(k.db, item.key, &fresh));
        lk_key unlocked = lk_key_of("p", "no lock");
        assert_status(LK_BUSY, lk_get_locked(k.db, &unlocked, 1, &fresh, k.result));
        assert_true(fresh.version == lock.version);
    }
    assert_true(atomic_load(&k.memory.bytes) < held + 20000);
    /* Reads go on, of locks too. */
    assert_true(kit_holds(&k, item.key, NULL));
    assert_true(kit_lock(&k, lock.key).version == lock.version);
    lk_statistics s = kit_statistics(&k);
    assert_int_equal(s.busy, 501);
    assert_int_equal(s.oldest_reader_thread, reader.kernel_id);
    assert_int_equal(s.oldest_reader_ms, 1234);
    assert_true(s.retired_bytes >= 20000);
    helper_do(&reader, end_reading);
    assert_status(LK_OK, lk_set(k.db, &item, 1));
    assert_status(LK_OK, lk_set_atomic(k.db, &item, 1, &fresh, 1, NULL));
    kit_sweep(&k);
    s = kit_statistics(&k);
    assert_true(s.retired_bytes == 0 && s.oldest_reader_thread == 0 && s.oldest_reader_ms == 0);
    helper_end(&reader);
    kit_close(&k);
}

static void
test_own_pair_makes_a_writer_busy_until_it_ends(void **state)
{
    (void)state;
    kit k;
    lk_memory_options options = {.max_retired_bytes = 5000};
    kit_open(&k, &options);
    kit_set(&k, "p", "s", "x");
    lk_read_begin(k.db);
    helper writer = {.k = &k, .count = 100000};
    replace_many(&writer);
    assert_status(LK_BUSY, writer.status);
    lk_read_end(k.db);
    kit_set(&k, "p", "s", "y");
    kit_close(&k);
}

/* Garbage over the limit, but no reader: whoever comes frees it. */
static void
test_garbage_over_the_limit_without_a_reader_makes_nobody_busy(void **state)
{
    (void)state;
    /* Whatever the number of writes: at some of them a batch has just been sealed. */
    for (uint64_t i = 0; i < 4 * 70; i++) {
        uint64_t which = i % 4;
        kit k;
        helper writer;
        lk_memory_options options = {.max_retired_bytes = 1};
        kit_open(&k, &options);
        helper_start(&writer, &k);
        writer.count = 50 + i / 4;
        helper_do(&writer, replace_many);
        assert_status(LK_OK, writer.status);
        lk_item item = kit_item("p", "new", "x");
        lk_lock lock;
        if (which == 0)
            assert_status(LK_OK, lk_set(k.db, &item, 1));
        else if (which == 1)
            assert_status(LK_OK, lk_delete(k.db, &(lk_key){{"p", 1}, {"s", 1}}, 1));
        else if (which == 2)
            assert_status(LK_OK, lk_get_lock(k.db, item.key, &lock));
        else
            assert_status(LK_OK, lk_get_locked(k.db, &item.key, 1, &lock, k.result));
        helper_end(&writer);
        kit_close(&k);
    }
}

static void
test_reader_that_begins_anew_holds_back_little(void **state)
{
    (void)state;
    kit k;
    helper reader;
    lk_memory_options options = {.max_retired_bytes = 100000};
    kit_open(&k, &options);
    helper_start(&reader, &k);
    for (uint64_t i = 0; i < 300; i++) {
        helper_do(&reader, begin_reading);
        helper writer = {.k = &k, .count = 200};
        replace_many(&writer);
        assert_status(LK_OK, writer.status);
        helper_do(&reader, end_reading);
    }
    helper_end(&reader);
    kit_close(&k);
}

/* ---- many stores ---- */

/* What a call costs does not depend on how many stores its thread has used: looked for one by one,
 * with those that are closed, this takes minutes. */
static void
test_thousands_of_stores_are_used_by_one_thread(void **state)
{
    (void)state;
    size_t count = test_scaled(4000);
    lk_db **stores = calloc(count, sizeof(lk_db *));
    assert_non_null(stores);
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 1;
    lk_item item = kit_item("p", "s", "x");
    lk_result *result = lk_result_new();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < count; i++) {
            if (round > 0 && i % 3 == 0) { /* a new one takes its number */
                lk_close(stores[i]);
                stores[i] = NULL;
            }
            if (stores[i] == NULL)
                assert_status(LK_OK, lk_memory_open(&options, &stores[i]));
            assert_status(LK_OK, lk_set(stores[i], &item, 1));
        }
        for (size_t i = 0; i < count; i++)
            assert_status(LK_OK, lk_get(stores[count - 1 - i], item.key, result));
    }
    lk_result_free(result);
    for (size_t i = 0; i < count; i++)
        lk_close(stores[i]);
    free(stores);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_thousands_of_short_lived_threads_need_few_records),
        KIT_TEST(test_thread_that_detached_comes_back),
        KIT_TEST(test_thread_that_exits_inside_a_pair_holds_back_nothing),
        KIT_TEST(test_threads_of_closed_stores_go_on_with_others),
        KIT_TEST(test_garbage_of_an_idle_thread_comes_back_when_others_write),
        KIT_TEST(test_garbage_of_several_idle_threads_comes_back),
        cmocka_unit_test(test_stalled_reader_makes_writers_busy_until_it_ends),
        cmocka_unit_test(test_own_pair_makes_a_writer_busy_until_it_ends),
        cmocka_unit_test(test_garbage_over_the_limit_without_a_reader_makes_nobody_busy),
        cmocka_unit_test(test_reader_that_begins_anew_holds_back_little),
        cmocka_unit_test(test_thousands_of_stores_are_used_by_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
