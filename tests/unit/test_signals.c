/* SPDX-License-Identifier: MIT
 *
 * Signals and processors that change beneath a thread: a handler runs in the midst of every call,
 * again and again, without SA_RESTART; the thread is moved from one processor to another. The calls
 * say what they say undisturbed, and who waits goes on waiting.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "support/kit.h"

enum { ROUNDS = 4000 };

static kit k;
static atomic_bool is_over, disturbs_moves;
static atomic_uint handled;

static void
handle(int signal)
{
    (void)signal;
    atomic_fetch_add(&handled, 1);
}

/* Between two processors of those that the process may use; nothing where there is but one. */
static void
thread_move(pthread_t thread, unsigned turn)
{
    cpu_set_t all, one;
    int found[2] = {-1, -1};
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    for (int i = 0; i < CPU_SETSIZE && found[1] < 0; i++)
        if (CPU_ISSET((size_t)i, &all))
            found[found[0] >= 0] = i;
    if (found[1] < 0)
        return;
    CPU_ZERO(&one);
    CPU_SET((size_t)found[turn % 2], &one);
    (void)pthread_setaffinity_np(thread, sizeof one, &one);
}

static void *
disturb_run(void *context)
{
    pthread_t thread = *(pthread_t *)context;
    for (unsigned turn = 0; !atomic_load(&is_over); turn++) {
        pthread_kill(thread, SIGUSR1);
        if (atomic_load(&disturbs_moves))
            thread_move(thread, turn);
        sched_yield();
    }
    return NULL;
}

/* All of a life: items, locks, a commit, a query, a job. */
static void
round_run(uint64_t i)
{
    char sk[24];
    snprintf(sk, sizeof sk, "%d", (int)(i % 64));
    lk_item item = {kit_key("p", sk), {&i, sizeof i}, 0};
    lk_lock lock;
    lk_query query = {.pk = lk_string("p")};
    lk_pull_options pull = {.pk = lk_string("q")};
    assert_status(LK_OK, lk_set(k.db, &item, 1));
    assert_status(LK_OK, lk_get_lock(k.db, item.key, &lock));
    assert_status(LK_OK, lk_set_atomic(k.db, &item, 1, &lock, 1, NULL));
    assert_status(LK_OK, lk_get(k.db, item.key, k.result));
    assert_memory_equal(lk_result_item(k.result, 0)->data.data, &i, sizeof i);
    assert_status(LK_OK, lk_query_items(k.db, &query, k.result));
    assert_int_equal(lk_result_count(k.result), i < 64 ? i + 1 : 64);
    lk_item job = {lk_key_of("q", NULL), {&i, sizeof i}, 0};
    assert_status(LK_OK, lk_queue_push(k.db, &job, 1, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(k.db, &pull, k.result));
    assert_memory_equal(lk_result_item(k.result, 0)->data.data, &i, sizeof i);
    assert_status(LK_OK, lk_queue_acknowledge(k.db, lk_result_claim(k.result, 0), 1));
    if (i % 16 == 15)
        assert_status(LK_OK, lk_sweep(k.db, 0, NULL));
}

static void
disturbed(bool moves, void (*body)(void))
{
    pthread_t self = pthread_self(), disturber;
    struct sigaction action = {.sa_handler = handle}, before;
    cpu_set_t all;
    bool known = sched_getaffinity(0, sizeof all, &all) == 0;
    kit_open(&k, NULL);
    atomic_store(&is_over, false);
    atomic_store(&disturbs_moves, moves);
    atomic_store(&handled, 0);
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pthread_create(&disturber, NULL, disturb_run, &self), 0);
    body();
    atomic_store(&is_over, true);
    pthread_join(disturber, NULL);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    if (known)
        (void)sched_setaffinity(0, sizeof all, &all);
    assert_true(atomic_load(&handled) > 0);
    kit_close(&k);
}

static void
rounds_run(void)
{
    for (uint64_t i = 0; i < test_scaled(ROUNDS) || atomic_load(&handled) == 0; i++)
        round_run(i);
}

static void
test_calls_in_which_signals_arrive_say_the_same(void **state)
{
    (void)state;
    disturbed(false, rounds_run);
}

static void
test_calls_of_a_thread_that_is_moved_say_the_same(void **state)
{
    (void)state;
    disturbed(true, rounds_run);
}

/* The clock is the kit's: the wait ends by the job, not by a signal. */
static void *
push_run(void *context)
{
    lk_item job = {.key = lk_key_of("w", NULL), .data = lk_string("job")};
    (void)context;
    while (atomic_load(&handled) < 200)
        sched_yield();
    return lk_queue_push(k.db, &job, 1, NULL, NULL) == LK_OK ? &k : NULL;
}

static void
wait_run(void)
{
    pthread_t pusher;
    void *pushed;
    lk_pull_options pull = {.pk = lk_string("w"), .wait_ms = -1};
    assert_int_equal(pthread_create(&pusher, NULL, push_run, NULL), 0);
    assert_status(LK_OK, lk_queue_pull(k.db, &pull, k.result));
    assert_true(atomic_load(&handled) >= 200);
    pthread_join(pusher, &pushed);
    assert_ptr_equal(pushed, &k);
}

static void
test_pull_that_waits_goes_on_after_each_signal(void **state)
{
    (void)state;
    disturbed(false, wait_run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_in_which_signals_arrive_say_the_same),
        cmocka_unit_test(test_calls_of_a_thread_that_is_moved_say_the_same),
        cmocka_unit_test(test_pull_that_waits_goes_on_after_each_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
