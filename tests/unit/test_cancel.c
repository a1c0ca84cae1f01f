/* SPDX-License-Identifier: MIT
 *
 * A thread that is to be cancelled makes calls: each of them runs to its end. What it leaves is
 * what a thread leaves that exits.
 */
#include <pthread.h>
#include <unistd.h>

#include "support/kit.h"

typedef struct doomed {
    kit *k;
    lk_db *cache;
    int step, reached; /* calls begun, calls that came back */
} doomed;

/* After each call one more was reached. */
static void
call_returned(doomed *d, lk_status status)
{
    if (status < LK_OK)
        d->step = -1000;
    d->reached++;
}

/* Every call that sleeps, or wakes somebody, or opens or closes something. */
static void *
doomed_run(void *context)
{
    doomed *d = context;
    lk_db *db = d->k->db, *other = NULL;
    lk_item job = {.key = lk_key_of("q", NULL), .data = lk_string("job")};
    lk_item item = kit_item("p", "s", "x");
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    int fd;
    pthread_cancel(pthread_self()); /* from here on any point of cancellation is the end */
    options.sweep_interval_ms = 1000000;
    pull.pk = lk_string("q");
    lk_result *result = lk_result_new();
    call_returned(d, lk_set(db, &item, 1));
    call_returned(d, lk_queue_fd(db, lk_string("q"), &fd));
    call_returned(d, lk_queue_push(db, &job, 1, NULL, NULL));
    call_returned(d, lk_queue_pull(db, &pull, result));
    call_returned(d, lk_queue_acknowledge(db, lk_result_claim(result, 0), 1));
    call_returned(d, lk_queue_push(db, &job, 1, NULL, NULL));
    call_returned(d, lk_queue_close(db, lk_string("q")));
    call_returned(d, lk_get(d->cache, item.key, result));
    call_returned(d, lk_set(d->cache, &item, 1));
    call_returned(d, lk_delete(d->cache, &item.key, 1));
    call_returned(d, lk_memory_open(&options, &other));
    pull.wait_ms = 1;
    call_returned(d, lk_queue_pull(other, &pull, result)); /* by the system's clock */
    lk_close(other);
    call_returned(d, lk_set(db, &item, 1));
    for (unsigned i = 0; i < 20; i++)
        lk_backoff(i);
    lk_result_free(result);
    lk_read_begin(db); /* the exit ends it */
    d->step++;
    pthread_testcancel();
    d->step = -1000;
    return NULL;
}

static void
test_calls_of_a_cancelled_thread_run_to_their_end(void **state)
{
    kit *k = *state;
    doomed d = {.k = k};
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    options.max_items = 100;
    assert_status(LK_OK, lk_cache_open(k->db, &options, &d.cache));
    pthread_t thread;
    void *result = NULL;
    assert_int_equal(pthread_create(&thread, NULL, doomed_run, &d), 0);
    pthread_join(thread, &result);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_int_equal(d.step, 1);
    assert_int_equal(d.reached, 13);
    /* Nothing is held, nobody reads. */
    for (int i = 0; i < 1000; i++)
        kit_set(k, "p", "s", "y");
    assert_true(kit_holds(k, lk_key_of("p", "s"), "y"));
    kit_sweep(k);
    lk_statistics s = kit_statistics(k);
    assert_int_equal(s.retired_bytes, 0);
    assert_int_equal(s.threads, 1);
    lk_close(d.cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_calls_of_a_cancelled_thread_run_to_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
