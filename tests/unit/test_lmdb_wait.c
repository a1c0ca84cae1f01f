/* SPDX-License-Identifier: MIT
 *
 * Which waiter is notified, and which one watches over what is due (src/lmdb/wait.c): the list, in
 * one thread, step by step. The waiters 0, 2 and 3 wait for one queue, 1 for another. No database
 * is open.
 */
#include "lmdb/tally.h"
#include "lmdb/wait.h"
#include "support/kit.h"

enum { WAITERS = 4 };

typedef struct rig {
    lki_lmdb store;
    lki_lmdb_key queue, other;
    lki_lmdb_waiter waiters[WAITERS];
    int64_t time;
} rig;

static int64_t
clock_of_the_rig(void *context)
{
    return ((rig *)context)->time;
}

static int
rig_setup(void **state)
{
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    pthread_mutex_init(&r->store.wait_latch, NULL);
    pthread_mutex_init(&r->store.watch_latch, NULL);
    r->store.monotonic_ms = clock_of_the_rig;
    r->store.monotonic_is_hooked = true;
    r->store.clock_context = r;
    lki_lmdb_key_frame(&r->queue, lk_string("q"));
    lki_lmdb_key_frame(&r->other, lk_string("qq"));
    for (size_t i = 0; i < WAITERS; i++)
        assert_status(
            LK_OK, lki_lmdb_waiter_join(&r->store, &r->waiters[i], i == 1 ? &r->other : &r->queue));
    *state = r;
    return 0;
}

static int
rig_teardown(void **state)
{
    rig *r = *state;
    assert_null(r->store.first_waiter);
    assert_null(r->store.last_waiter);
    pthread_mutex_destroy(&r->store.wait_latch);
    pthread_mutex_destroy(&r->store.watch_latch);
    free(r);
    return 0;
}

static void
waiter_leave(rig *r, size_t i, int64_t due)
{
    lki_lmdb_waiter_leave(&r->store, &r->waiters[i], due);
}

static void
all_leave(rig *r, size_t from)
{
    for (size_t i = from; i < WAITERS; i++)
        waiter_leave(r, i, INT64_MAX);
}

/* A bit for each waiter that was called. */
static unsigned
called(const rig *r)
{
    unsigned bits = 0;
    for (size_t i = 0; i < WAITERS; i++)
        bits |= (unsigned)r->waiters[i].notified << i;
    return bits;
}

static void
test_call_goes_to_those_of_the_queue_who_waited_longest(void **state)
{
    rig *r = *state;
    assert_int_equal(called(r), 0);
    lki_lmdb_notify(&r->store, lk_string("nobody's"), 5);
    assert_int_equal(called(r), 0);
    lki_lmdb_notify(&r->store, lk_string("q"), 1);
    assert_int_equal(called(r), 1);
    lki_lmdb_notify(&r->store, lk_string("q"), 1); /* the first one was called */
    assert_int_equal(called(r), 1 | 4);
    lki_lmdb_notify(&r->store, lk_string("qq"), 7);
    assert_int_equal(called(r), 1 | 2 | 4);
    lki_lmdb_waiter_look(&r->store, &r->waiters[0]);
    assert_int_equal(called(r), 2 | 4);
    lki_lmdb_notify(&r->store, lk_string("q"), SIZE_MAX);
    assert_int_equal(called(r), 15);
    for (size_t i = 0; i < WAITERS; i++)
        lki_lmdb_waiter_look(&r->store, &r->waiters[i]);
    all_leave(r, 0);
}

static void
test_sleep_ends_with_a_call_or_its_time(void **state)
{
    rig *r = *state;
    lki_lmdb_waiter *w = &r->waiters[0];
    lki_lmdb_notify(&r->store, lk_string("q"), 1);
    lki_lmdb_waiter_sleep(&r->store, w, INT64_MAX, INT64_MAX);
    assert_true(w->notified);
    lki_lmdb_waiter_look(&r->store, w);
    r->time = 100;
    lki_lmdb_waiter_sleep(&r->store, w, 100, INT64_MAX);
    lki_lmdb_waiter_sleep(&r->store, w, INT64_MAX, 100);
    lki_lmdb_waiter_sleep(&r->store, w, 100, 5);
    all_leave(r, 0);
}

/* It was called for a job, and leaves without having looked since. */
static void
test_waiter_that_leaves_hands_its_call_on(void **state)
{
    rig *r = *state;
    lki_lmdb_notify(&r->store, lk_string("q"), 1);
    waiter_leave(r, 0, INT64_MAX);
    assert_true(r->waiters[2].notified);
    assert_false(r->waiters[1].notified || r->waiters[3].notified);
    waiter_leave(r, 2, INT64_MAX);
    assert_true(r->waiters[3].notified);
    lki_lmdb_waiter_look(&r->store, &r->waiters[3]);
    waiter_leave(r, 3, INT64_MAX); /* it has looked: there is nothing to hand on */
    assert_false(r->waiters[1].notified);
    waiter_leave(r, 1, INT64_MAX);
}

static void
test_call_for_a_time_wakes_one_if_none_would(void **state)
{
    rig *r = *state;
    r->waiters[2].wake_at = 100;
    lki_lmdb_notify_at(&r->store, lk_string("q"), 100);
    lki_lmdb_notify_at(&r->store, lk_string("q"), 200);
    lki_lmdb_notify_at(&r->store, lk_string("q"), INT64_MAX);
    assert_int_equal(called(r), 0);
    lki_lmdb_notify_at(&r->store, lk_string("q"), 99);
    assert_int_equal(called(r), 1); /* it looks, and then watches */
    lki_lmdb_notify_at(&r->store, lk_string("q"), 50);
    assert_int_equal(called(r), 1);
    lki_lmdb_notify_at(&r->store, lk_string("qq"), 100); /* the watch is another queue's */
    assert_int_equal(called(r), 1 | 2);
    for (size_t i = 0; i < WAITERS; i++)
        lki_lmdb_waiter_look(&r->store, &r->waiters[i]);
    all_leave(r, 0);
}

/* While it looks it watches over nothing: what comes meanwhile may be missing in what it sees. */
static void
test_waiter_that_looks_is_called_for_what_comes_meanwhile(void **state)
{
    rig *r = *state;
    r->time = 100;
    lki_lmdb_waiter_sleep(&r->store, &r->waiters[0], 90, INT64_MAX); /* it watched over that */
    lki_lmdb_waiter_look(&r->store, &r->waiters[0]);
    lki_lmdb_notify_at(&r->store, lk_string("q"), 95);
    assert_int_equal(called(r), 1);
    lki_lmdb_waiter_look(&r->store, &r->waiters[0]);
    all_leave(r, 0);
}

static void
test_waiter_that_leaves_hands_its_watch_on(void **state)
{
    rig *r = *state;
    waiter_leave(r, 0, 100);
    assert_int_equal(called(r), 4);
    lki_lmdb_waiter_look(&r->store, &r->waiters[2]);
    r->waiters[3].wake_at = 100;
    waiter_leave(r, 2, 100); /* another one watches already */
    assert_int_equal(called(r), 0);
    waiter_leave(r, 3, 100);
    assert_int_equal(called(r), 0);
    waiter_leave(r, 1, 100);
}

/* From the middle, the front and the end; the list stays whole. */
static void
test_waiters_leave_in_any_order(void **state)
{
    rig *r = *state;
    waiter_leave(r, 2, INT64_MAX);
    waiter_leave(r, 0, INT64_MAX);
    lki_lmdb_notify(&r->store, lk_string("q"), SIZE_MAX);
    lki_lmdb_notify(&r->store, lk_string("qq"), SIZE_MAX);
    assert_true(r->waiters[1].notified && r->waiters[3].notified);
    waiter_leave(r, 3, INT64_MAX);
    assert_status(LK_OK, lki_lmdb_waiter_join(&r->store, &r->waiters[0], &r->queue));
    lki_lmdb_notify(&r->store, lk_string("q"), 1);
    assert_true(r->waiters[0].notified);
    waiter_leave(r, 1, INT64_MAX);
    waiter_leave(r, 0, INT64_MAX);
}

/* Empty pulls: each queue its own count, names that share a bucket included. */
static void
test_tally_counts_each_queue_apart(void **state)
{
    rig *r = *state;
    char name[16];
    pthread_mutex_init(&r->store.tally_latch, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        for (unsigned k = 0; k < i % 3; k++)
            lki_lmdb_tally_add(&r->store, lk_string(name));
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_int_equal(lki_lmdb_tally_read(&r->store, lk_string(name)), i % 3);
    }
    lki_lmdb_tallies_free(&r->store);
    assert_int_equal(lki_lmdb_tally_read(&r->store, lk_string("1")), 0);
    pthread_mutex_destroy(&r->store.tally_latch);
    all_leave(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_call_goes_to_those_of_the_queue_who_waited_longest),
        TEST(test_sleep_ends_with_a_call_or_its_time),
        TEST(test_waiter_that_leaves_hands_its_call_on),
        TEST(test_call_for_a_time_wakes_one_if_none_would),
        TEST(test_waiter_that_looks_is_called_for_what_comes_meanwhile),
        TEST(test_waiter_that_leaves_hands_its_watch_on),
        TEST(test_waiters_leave_in_any_order),
        TEST(test_tally_counts_each_queue_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
