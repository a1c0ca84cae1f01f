/* SPDX-License-Identifier: MIT
 *
 * fork: in the child every call on a store of the parent says LK_INVALID and none hangs, also when
 * other threads were in the middle of calls; a store that the child opens works; the parent notices
 * nothing.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/kit.h"

/* What the child found wrong; its exit status. CHILD_LOST: a signal ended it, alarm's if it
 * hung. */
enum { CHILD_OK = 0, CHILD_OWN_STORE = 100, CHILD_LOST = 255, CHILD_SECONDS = 60 };

/* The sanitizers' allocators do not survive a fork while other threads allocate, and
 * ThreadSanitizer starts no thread after one: there the child makes only calls that do neither. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHILD_ALLOCATES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHILD_ALLOCATES 0
#endif
#endif
#ifndef CHILD_ALLOCATES
#define CHILD_ALLOCATES 1
#endif

static int
child_calls(kit *k, lk_stream *stream, lk_lock lock)
{
    lk_key key = lk_key_of("p", "s");
    lk_item item = kit_item("p", "s", "x");
    lk_write write = {.item = item};
    lk_query query = {.pk = key.pk};
    lk_stream *opened = NULL;
    lk_statistics statistics;
    char buffer[8];
    size_t size;
    lk_item view;
    int call = 1;
#define INVALID(expression)             \
    do {                                \
        if ((expression) != LK_INVALID) \
            return call;                \
        call++;                         \
    } while (0)
    INVALID(lk_get(k->db, key, k->result));
    INVALID(lk_get_many(k->db, &key, 1, k->result));
    INVALID(lk_get_into(k->db, key, buffer, sizeof buffer, &size));
    INVALID(lk_set(k->db, &item, 1));
    INVALID(lk_delete(k->db, &key, 1));
    lk_read_begin(k->db);
    INVALID(lk_view(k->db, key, &view));
    lk_read_end(k->db);
    INVALID(lk_get_lock(k->db, key, &lock));
    INVALID(lk_get_locked(k->db, &key, 1, &lock, k->result));
    INVALID(lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
    INVALID(lk_commit(k->db, &write, 1, NULL, 0, NULL));
    INVALID(lk_query_items(k->db, &query, k->result));
    INVALID(lk_sweep(k->db, 0, NULL));
    INVALID(lk_statistics_read(k->db, &statistics));
    /* A stream may have some items of its last page left, which it has copied. */
    lk_status status = stream != NULL ? LK_OK : LK_INVALID;
    for (int i = 0; status == LK_OK && i < 1000; i++)
        status = lk_stream_next(stream, &view);
    INVALID(status);
    if (CHILD_ALLOCATES && lk_stream_open(k->db, &query, &opened) == LK_OK) {
        INVALID(lk_stream_next(opened, &view));
        lk_stream_close(opened);
    }
#undef INVALID
    if (CHILD_ALLOCATES) { /* or frees */
        lk_stream_close(stream);
        lk_thread_detach();
    }
    if (lk_get(k->db, key, k->result) != LK_INVALID)
        return 50;
    lk_close(k->db); /* does nothing, but returns */
    return CHILD_OK;
}

static void *
child_thread(void *context)
{
    kit *k = context;
    return lk_get(k->db, lk_key_of("p", "s"), k->result) == LK_INVALID ? NULL : k;
}

/* A store of its own, with threads of its own. */
static int
child_store(void)
{
    kit own = {0};
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.sweep_interval_ms = 1000;
    lk_item item = kit_item("p", "s", "mine");
    if (lk_memory_open(&options, &own.db) != LK_OK || (own.result = lk_result_new()) == NULL)
        return CHILD_OWN_STORE;
    if (lk_set(own.db, &item, 1) != LK_OK || lk_get(own.db, item.key, own.result) != LK_OK)
        return CHILD_OWN_STORE + 1;
    lk_close(own.db);
    lk_result_free(own.result);
    return CHILD_OK;
}

/* Forks; the child leaves with what it found, without the parent's exit handlers. alarm() ends one
 * that hangs. */
static int
fork_once(kit *k, lk_stream *stream, lk_lock lock)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return CHILD_LOST;
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        int wrong = child_calls(k, stream, lock);
        pthread_t thread;
        void *bad = NULL;
        if (CHILD_ALLOCATES && wrong == CHILD_OK &&
            pthread_create(&thread, NULL, child_thread, k) == 0)
            pthread_join(thread, &bad);
        if (bad != NULL)
            wrong = 51;
        if (CHILD_ALLOCATES && wrong == CHILD_OK)
            wrong = child_store();
        _exit(wrong);
    }
    int status = -1;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_LOST;
}

static void
test_child_gets_invalid_from_every_call(void **state)
{
    kit *k = *state;
    kit_set(k, "p", "s", "x");
    lk_lock lock = kit_lock(k, lk_key_of("p", "s"));
    assert_int_equal(fork_once(k, NULL, lock), CHILD_OK);
    assert_true(kit_holds(k, lk_key_of("p", "s"), "x"));
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
}

static void
test_child_of_a_thread_that_reads_gets_invalid(void **state)
{
    kit *k = *state;
    lk_item view;
    kit_set(k, "p", "s", "x");
    lk_lock lock = kit_lock(k, lk_key_of("p", "s"));
    lk_read_begin(k->db);
    assert_status(LK_OK, lk_view(k->db, lk_key_of("p", "s"), &view));
    assert_int_equal(fork_once(k, NULL, lock), CHILD_OK);
    assert_true(lkc_is(view.data, "x"));
    lk_read_end(k->db);
}

static void
test_child_gets_invalid_from_an_open_stream(void **state)
{
    kit *k = *state;
    lk_item item;
    lk_stream *stream = NULL;
    lk_query query = {.pk = lk_string("p")};
    for (uint64_t i = 0; i < 1000; i++) {
        item = (lk_item){.key = lkc_numbered("p", i)};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    assert_status(LK_OK, lk_stream_open(k->db, &query, &stream));
    assert_status(LK_OK, lk_stream_next(stream, &item));
    lk_lock any = {.key = lk_key_of("p", "s"), .version = 1};
    assert_int_equal(fork_once(k, stream, any), CHILD_OK);
    assert_status(LK_OK, lk_stream_next(stream, &item));
    lk_stream_close(stream);
}

static void
test_child_of_a_store_with_a_sweeper_gets_invalid(void **state)
{
    (void)state;
    kit k;
    lk_memory_options options = {.sweep_interval_ms = 1};
    kit_open(&k, &options);
    for (uint64_t i = 0; i < test_scaled(50); i++)
        assert_int_equal(fork_once(&k, NULL, (lk_lock){.key = lk_key_of("p", "s"), .version = 1}),
                         CHILD_OK);
    kit_close(&k);
}

/* ---- forked while others are busy ---- */

enum { BUSY_THREADS = 3, FORKS_AT_NIGHT = 10000 };

typedef struct busy {
    kit *k;
    atomic_bool stop;
    pthread_barrier_t start;
} busy;

static void *
busy_run(void *context)
{
    busy *b = context;
    lk_result *result = lk_result_new();
    pthread_barrier_wait(&b->start);
    for (uint64_t i = 0; !atomic_load(&b->stop); i++) {
        lk_key keys[2] = {lkc_numbered("p", i % 100), lkc_numbered("q", i % 77)};
        lk_item items[2] = {{.key = keys[0], .data = lk_string("x")}, {.key = keys[1]}};
        lk_lock lock;
        (void)!lk_set(b->k->db, items, 2);
        if (lk_get_lock(b->k->db, keys[0], &lock) == LK_OK)
            (void)!lk_set_atomic(b->k->db, items, 2, &lock, 1, NULL);
        (void)!lk_get_many(b->k->db, keys, 2, result);
        (void)!lk_delete(b->k->db, keys, 2);
        if (i % 16 == 0)
            lk_thread_detach();
        if (i % 64 == 0)
            (void)!lk_sweep(b->k->db, 0, NULL);
    }
    lk_result_free(result);
    return NULL;
}

static void
test_child_of_a_busy_process_gets_invalid_and_does_not_hang(void **state)
{
    busy b = {.k = *state};
    pthread_t thread[BUSY_THREADS];
    pthread_barrier_init(&b.start, NULL, BUSY_THREADS + 1);
    for (size_t i = 0; i < BUSY_THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, busy_run, &b), 0);
    pthread_barrier_wait(&b.start);
    int wrong = CHILD_OK;
    uint64_t forks = test_scaled(100) > 100 ? FORKS_AT_NIGHT : test_scaled(100);
    for (uint64_t i = 0; wrong == CHILD_OK && i < forks; i++) {
        if (i % 2 == 0)
            kit_set(b.k, "p", "s", "x"); /* else this thread may be detached */
        wrong = fork_once(b.k, NULL, (lk_lock){.key = lk_key_of("p", "s"), .version = 1});
        if (i % 2 == 0)
            lk_thread_detach();
    }
    atomic_store(&b.stop, true);
    for (size_t i = 0; i < BUSY_THREADS; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&b.start);
    assert_int_equal(wrong, CHILD_OK);
    kit_set(b.k, "p", "s", "after");
    assert_true(kit_holds(b.k, lk_key_of("p", "s"), "after"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_child_gets_invalid_from_every_call),
        KIT_TEST(test_child_of_a_thread_that_reads_gets_invalid),
        KIT_TEST(test_child_gets_invalid_from_an_open_stream),
        cmocka_unit_test(test_child_of_a_store_with_a_sweeper_gets_invalid),
        KIT_TEST(test_child_of_a_busy_process_gets_invalid_and_does_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
