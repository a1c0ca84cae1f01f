/* SPDX-License-Identifier: MIT
 *
 * The progress table of the public header, on real threads. For each operation and each n, a thread runs the operation and stops at its
 * n-th access to a shared word, for as long as it likes. Meanwhile the main thread must get through: with reads always, with
 * writes of keys that exist. Then the thread goes on, and what it and the others did must be
 * what some order of them would have done.
 *
 * The stopped thread may well hold latches: neither reads nor writes of keys that exist want one. A hang is ended by an alarm that
 * names operation and n.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "support/crowd.h"

enum { KEYS = 4, YIELDS_MAX = 20000, HANG_SECONDS = 30, POINTS_DENSE = 400 };

typedef struct operation {
    const char *name;
    void (*prepare)(void); /* by the thread that will be stopped; NULL: nothing */
    void (*run)(void);
    uint64_t first,
        second; /* what it leaves of the two keys that all write, where no other wrote */
} operation;

static struct {
    lk_db *db;
    const operation *operation;
    unsigned long stop_at; /* yield of the thread that is stopped */
    sem_t stopped, go_on;
    lk_key key[KEYS];
    lk_lock lock[KEYS];
    lk_result *mine, *its;
    bool main_wrote;
    uint64_t removed; /* cells, by the operation */
} test;

static __thread bool is_worker;
static __thread unsigned long yields;
static _Atomic(bool) counting;
static char hang_message[160];

static void
yield_hook(void)
{
    yields++;
    if (is_worker && yields == test.stop_at) {
        sem_post(&test.stopped);
        while (sem_wait(&test.go_on) != 0) {}
    }
    if (counting && !is_worker && yields > YIELDS_MAX) {
        ssize_t ignored = write(2, hang_message, strlen(hang_message));
        (void)ignored;
        _exit(1);
    }
}

static void
hang(int signal)
{
    (void)signal;
    ssize_t ignored = write(2, hang_message, strlen(hang_message));
    (void)ignored;
    _exit(1);
}

static lk_status
put(size_t key, uint64_t counter)
{
    return crowd_set(test.db, test.key[key], key, counter);
}

/* The counter of a key that was read; 0: absent. */
static uint64_t
counter_of(const lk_item *item, size_t key)
{
    uint64_t counter = 0;
    if (item != NULL)
        assert_true(crowd_value_check(item->data, key, &counter));
    return counter;
}

static uint64_t
get(size_t key)
{
    lk_status status = lk_get(test.db, test.key[key], test.mine);
    assert_true(status == LK_OK || status == LK_NOT_FOUND);
    return status == LK_OK ? counter_of(lk_result_item(test.mine, 0), key) : 0;
}

/* ---- the operations ---- */

static void
must(lk_status status)
{
    if (status != LK_OK)
        crowd_fail(test.operation->name, (int)test.stop_at, "the stopped operation",
                   (uint64_t)(unsigned)status, 0);
}

static void
must_or_race(lk_status status)
{
    if (status != LK_RACE)
        must(status);
}

static lk_item
item_of(size_t key, uint64_t counter, unsigned char *bytes)
{
    return (lk_item){.key = test.key[key], .data = {bytes, crowd_value(bytes, key, counter)}};
}

static void
run_set(void)
{
    must(put(0, 100));
}

static void
run_delete(void)
{
    must(lk_delete(test.db, &test.key[0], 1));
}

static void
run_get_lock(void)
{
    lk_lock lock;
    must(lk_get_lock(test.db, test.key[0], &lock));
}

static void
prepare_locks(void)
{
    for (size_t i = 0; i < 2; i++)
        must(lk_get_lock(test.db, test.key[i], &test.lock[i]));
}

static void
run_set_atomic(void)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    lk_item items[2] = {item_of(0, 100, bytes[0]), item_of(1, 100, bytes[1])};
    must_or_race(lk_set_atomic(test.db, items, 2, test.lock, 2, NULL));
}

static void
run_commit(void)
{
    unsigned char bytes[CROWD_VALUE_MAX];
    lk_write writes[2] = {{.kind = LK_PUT, .item = item_of(0, 100, bytes)},
                          {.kind = LK_DELETE, .item = {.key = test.key[1]}}};
    must(lk_commit(test.db, writes, 2, NULL, 0, NULL));
}

static void
run_get(void)
{
    lk_status status = lk_get(test.db, test.key[0], test.its);
    if (status != LK_NOT_FOUND)
        must(status);
}

static void
run_get_many(void)
{
    must(lk_get_many(test.db, test.key, KEYS, test.its));
}

static void
run_query(void)
{
    lk_query query = {.pk = test.key[0].pk};
    must(lk_query_items(test.db, &query, test.its));
}

static void
run_sweep(void)
{
    must(lk_sweep(test.db, 0, NULL));
}

static void
run_new_key(void)
{
    must(put(3, 100));
}

static void
run_new_lock(void)
{
    lk_lock lock;
    must(lk_get_lock(test.db, test.key[3], &lock));
}

static void
run_new_partition(void)
{
    must(crowd_set(test.db, lk_key_of("new", "x"), 9, 1));
}

/* Removals that are soon due, and something that has expired. */
static void
prepare_removals(void)
{
    char pk[CROWD_KEY_ROOM];
    lk_item expired = {
        .key = lk_key_of("expired", "x"), .data = lk_string("x"), .expires_at_ms = 1};
    must(lk_set(test.db, &expired, 1));
    for (unsigned i = 0; i < 6; i++) {
        snprintf(pk, sizeof pk, "gone%u", i);
        lk_key key = lk_key_of(pk, "x");
        must(crowd_set(test.db, key, 9, i));
        must(lk_delete(test.db, &key, 1));
    }
    must(put(3, 100));
    must(lk_delete(test.db, &test.key[3], 1));
}

static void
prepare_upkeep(void)
{
    prepare_removals();
    for (unsigned i = 0; i < 40; i++)
        must(put(2, 1));
}

static void
run_upkeep(void)
{
    for (unsigned i = 0; i < 60; i++)
        must(put(2, 1));
}

/* ---- what the main thread does meanwhile ---- */

static void
read_with_view(void)
{
    lk_item item;
    lk_read_begin(test.db);
    for (size_t i = 0; i < KEYS; i++)
        if (lk_view(test.db, test.key[i], &item) == LK_OK)
            (void)counter_of(&item, i);
    lk_read_end(test.db);
}

/* Every kind of read; 0 and 1 are one snapshot where one commit writes both. */
static void
read_all(void)
{
    lk_query query = {.pk = test.key[0].pk};
    lk_stream *stream = NULL;
    lk_item item;
    for (size_t i = 0; i < KEYS; i++)
        (void)get(i);
    assert_int_equal(lk_get_many(test.db, test.key, KEYS, test.mine), LK_OK);
    uint64_t first = counter_of(lk_result_item(test.mine, 0), 0),
             second = counter_of(lk_result_item(test.mine, 1), 1);
    if (test.operation->run == run_set_atomic && !test.main_wrote)
        assert_int_equal(first, second);
    if (test.operation->run == run_commit && !test.main_wrote)
        assert_true((first == 1 && second == 1) || (first == 100 && second == 0));
    /* What was seen once stays, for every kind of read. */
    if (!test.main_wrote) {
        assert_int_equal(lk_query_items(test.db, &query, test.mine), LK_OK);
        assert_int_equal(counter_of(lk_result_item(test.mine, 0), first != 0 ? 0 : 1),
                         first != 0 ? first : second);
        assert_int_equal(get(0), first);
        assert_int_equal(get(1), second);
    }
    query.relaxed = true;
    assert_int_equal(lk_query_items(test.db, &query, test.mine), LK_OK);
    assert_int_equal(lk_stream_open(test.db, &query, &stream), LK_OK);
    while (lk_stream_next(stream, &item) == LK_OK) {}
    lk_stream_close(stream);
    read_with_view();
}

/* Every kind of write of the keys that exist. */
static void
write_all(void)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    lk_lock locks[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(put(i, 7), LK_OK);
        assert_int_equal(get(i), 7);
        assert_int_equal(lk_get_lock(test.db, test.key[i], &locks[i]), LK_OK);
    }
    lk_item items[2] = {item_of(0, 8, bytes[0]), item_of(1, 8, bytes[1])};
    assert_int_equal(lk_set_atomic(test.db, items, 2, locks, 2, NULL), LK_OK);
    assert_int_equal(get(0), 8);
    lk_write writes[2] = {{.kind = LK_PUT, .item = item_of(0, 9, bytes[0])},
                          {.kind = LK_PUT, .item = item_of(1, 9, bytes[1])}};
    assert_int_equal(lk_commit(test.db, writes, 2, locks, 2, NULL), LK_OK);
    assert_int_equal(get(0), 9);
    assert_int_equal(get(1), 9);
    test.main_wrote = true;
    read_all();
}

/* ---- one point ---- */

static uint64_t
cells_removed(void)
{
    lk_statistics statistics;
    must(lk_statistics_read(test.db, &statistics));
    return statistics.cells_removed;
}

static void *
worker_main(void *unused)
{
    (void)unused;
    if (test.operation->prepare != NULL)
        test.operation->prepare();
    run_get(); /* attached before it counts */
    uint64_t removed = cells_removed();
    yields = 0;
    is_worker = true;
    test.operation->run();
    is_worker = false;
    test.removed = cells_removed() - removed;
    sem_post(&test.stopped);
    return NULL;
}

static void
point_open(const operation *op)
{
    static const char *const names[KEYS] = {"a", "b", "c", "d"};
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 2;
    assert_int_equal(lk_memory_open(&options, &test.db), LK_OK);
    test.operation = op;
    test.main_wrote = false;
    for (size_t i = 0; i < KEYS; i++)
        test.key[i] = lk_key_of("pk", names[i]);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(put(i, 1), LK_OK);
}

/* After all: each key is what one order of all calls gives. */
static void
point_verify(void)
{
    const operation *op = test.operation;
    uint64_t first = get(0), second = get(1);
    assert_int_equal(get(2), 1);
    if (!test.main_wrote) {
        assert_int_equal(first, op->first);
        assert_int_equal(second, op->second);
        return;
    }
    /* It took effect before the last writes of the main thread, which left 9, or after them. With locks: never after. */
    uint64_t its_first = op->first != 1 ? op->first : 9,
             its_second = op->second != 1 ? op->second : 9;
    bool before = first == 9 && second == 9, after = first == its_first && second == its_second;
    assert_true(before || (after && op->run != run_set_atomic));
}

/* True: the operation ended before its n-th yield. */
static bool
point_run(const operation *op, unsigned long n, bool writes)
{
    pthread_t worker;
    snprintf(hang_message, sizeof hang_message,
             "hooked_progress: others stand still while %s is stopped at its yield %lu\n", op->name,
             n);
    alarm(HANG_SECONDS);
    point_open(op);
    test.stop_at = n;
    sem_init(&test.stopped, 0, 0);
    sem_init(&test.go_on, 0, 0);
    lki_yield_hook = yield_hook;
    assert_int_equal(pthread_create(&worker, NULL, worker_main, NULL), 0);
    sem_wait(&test.stopped);
    yields = 0;
    counting = true;
    read_all();
    yields = 0;
    if (writes)
        write_all();
    counting = false;
    sem_post(&test.go_on);
    pthread_join(worker, NULL);
    bool ended = sem_trywait(&test.stopped) != 0; /* posted once: it was never stopped */
    lki_yield_hook = NULL;
    read_all();
    point_verify();
    assert_true(crowd_is_well());
    lk_close(test.db);
    alarm(0);
    return ended;
}

/* All points of short operations, a part of the many of long ones; at night all. */
static unsigned long
step_after(unsigned long n, uint64_t *random)
{
    return n < POINTS_DENSE || test_scaled(100) > 100 ? 1 : 1 + crowd_random(random) % 16;
}

static void
operation_check(const operation *op)
{
    uint64_t random = crowd_seed();
    unsigned long n = 1, points = 0;
    test.mine = lk_result_new();
    test.its = lk_result_new();
    signal(SIGALRM, hang);
    for (bool ended = false; !ended; n += step_after(n, &random), points++) {
        ended = point_run(op, n, false);
        if (!ended)
            ended = point_run(op, n, true);
    }
    print_message("%s: stopped at %lu points\n", op->name, points - 1);
    if (op->run == run_upkeep || op->run == run_sweep)
        assert_true(test.removed > 0); /* the last run, which nobody stopped */
    lk_result_free(test.mine);
    lk_result_free(test.its);
}

#define OPERATION_TEST(title, before, body, first, second)                 \
    static void test_progress_##title##_stopped_others_go_on(void **state) \
    {                                                                      \
        static const operation op = {#title, before, body, first, second}; \
        (void)state;                                                       \
        operation_check(&op);                                              \
    }

OPERATION_TEST(set, NULL, run_set, 100, 1)
OPERATION_TEST(delete, NULL, run_delete, 0, 1)
OPERATION_TEST(delete_locked, prepare_locks, run_delete, 0, 1)
OPERATION_TEST(get_lock_new, NULL, run_get_lock, 1, 1)
OPERATION_TEST(get_lock, prepare_locks, run_get_lock, 1, 1)
OPERATION_TEST(set_atomic, prepare_locks, run_set_atomic, 100, 100)
OPERATION_TEST(commit, prepare_locks, run_commit, 100, 0)
OPERATION_TEST(get, NULL, run_get, 1, 1)
OPERATION_TEST(get_many, NULL, run_get_many, 1, 1)
OPERATION_TEST(query, NULL, run_query, 1, 1)
OPERATION_TEST(new_key, NULL, run_new_key, 1, 1)
OPERATION_TEST(new_lock, NULL, run_new_lock, 1, 1)
OPERATION_TEST(new_partition, NULL, run_new_partition, 1, 1)
OPERATION_TEST(sweep, prepare_removals, run_sweep, 1, 1)
OPERATION_TEST(upkeep, prepare_upkeep, run_upkeep, 1, 1)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress_set_stopped_others_go_on),
        cmocka_unit_test(test_progress_delete_stopped_others_go_on),
        cmocka_unit_test(test_progress_delete_locked_stopped_others_go_on),
        cmocka_unit_test(test_progress_get_lock_new_stopped_others_go_on),
        cmocka_unit_test(test_progress_get_lock_stopped_others_go_on),
        cmocka_unit_test(test_progress_set_atomic_stopped_others_go_on),
        cmocka_unit_test(test_progress_commit_stopped_others_go_on),
        cmocka_unit_test(test_progress_get_stopped_others_go_on),
        cmocka_unit_test(test_progress_get_many_stopped_others_go_on),
        cmocka_unit_test(test_progress_query_stopped_others_go_on),
        cmocka_unit_test(test_progress_new_key_stopped_others_go_on),
        cmocka_unit_test(test_progress_new_lock_stopped_others_go_on),
        cmocka_unit_test(test_progress_new_partition_stopped_others_go_on),
        cmocka_unit_test(test_progress_sweep_stopped_others_go_on),
        cmocka_unit_test(test_progress_upkeep_stopped_others_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
