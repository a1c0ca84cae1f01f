/* SPDX-License-Identifier: MIT
 *
 * Area: waiting for jobs. Whether a thread sleeps already when what it
 * waits for comes changes nothing; one that never wakes ends the program.
 */
#include <sched.h>

#include "suite.h"

enum { WAITERS = 4, TURNS = 6 };

/* Ends a wait that had to find one job; says how often that was received. */
static uint32_t
wait_found(waiter *w, int64_t step_ms)
{
    assert_status(LK_OK, lkc_wait_end(w, step_ms));
    assert_int_equal(lk_result_count(w->result), 1);
    uint32_t receives = lk_result_claim(w->result, 0)->receives;
    lk_result_free(w->result);
    return receives;
}

static void
turn_end(rig *r)
{
    assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
}

/* "wait_ms > 0 blocks until a job is there" */
static void
test_wait_with_a_job_there_does_not_wait(rig *r)
{
    lk_pull_options options = {.pk = lk_string("q"), .wait_ms = -1};
    lkc_push(r->db, "q", NULL, "1");
    lkc_push(r->db, "q", NULL, "2");
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    options.wait_ms = LK_HOURS(1);
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    assert_true(lkc_is(lk_result_item(r->result, 0)->data, "2"));
}

/* "LK_TIMED_OUT after the wait"; outputs are untouched */
static void
test_wait_for_nothing_times_out_not_before_its_time(rig *r)
{
    static const int64_t waits_ms[] = {1, 20, LK_MINUTES(10)};
    lkc_push_delayed(r->db, "q", NULL, "much later", LK_HOURS(24000));
    for (size_t i = 0; i < COUNT(waits_ms); i++) {
        waiter w;
        int64_t begin_ms = atomic_load(&r->monotonic_ms);
        lkc_wait_begin(&w, r, "q", waits_ms[i]);
        assert_status(LK_TIMED_OUT, lkc_wait_end(&w, waits_ms[i] / 4 + 1));
        assert_true(atomic_load(&r->monotonic_ms) >= begin_ms + waits_ms[i]);
        assert_int_equal(lk_result_count(w.result), 0);
        lk_result_free(w.result);
    }
    assert_depths(r, "q", 0, 0, 1);
}

static void
test_push_wakes_a_waiter(rig *r)
{
    for (int turn = 0; turn < TURNS; turn++) {
        waiter w;
        lkc_wait_begin(&w, r, "q", turn % 3 == 0 ? LK_HOURS(1) : -1);
        lkc_push(r->db, "other", NULL, "wakes nobody here");
        lkc_push(r->db, "q", turn % 2 == 0 ? NULL : "own", "x");
        assert_int_equal(wait_found(&w, 0), 1);
        assert_depths(r, "q", 0, 1, 0);
        turn_end(r);
    }
}

/* latchkey.h: "a push wakes as many as it brings jobs" */
static void
test_push_of_many_wakes_as_many(rig *r)
{
    lk_item items[WAITERS];
    for (size_t i = 0; i < WAITERS; i++)
        items[i] = lkc_item("q", NULL, "x");
    for (int turn = 0; turn < TURNS; turn++) {
        waiter w[WAITERS];
        for (size_t i = 0; i < WAITERS; i++)
            lkc_wait_begin(&w[i], r, "q", -1);
        assert_status(LK_OK, lk_queue_push(r->db, items, WAITERS, NULL, NULL));
        for (size_t i = 0; i < WAITERS; i++)
            assert_int_equal(wait_found(&w[i], 0), 1);
        assert_depths(r, "q", 0, WAITERS, 0);
        turn_end(r);
    }
}

static void
test_release_wakes_a_waiter(rig *r)
{
    for (int turn = 0; turn < TURNS; turn++) {
        waiter w;
        job j;
        lkc_push(r->db, "q", turn % 2 == 0 ? NULL : "own", "x");
        assert_pull(r, "q", "x", &j);
        lkc_wait_begin(&w, r, "q", -1);
        if (turn % 3 == 2)
            j.claim.token = 0;
        assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
        assert_int_equal(wait_found(&w, 0), 2);
        turn_end(r);
    }
}

static void
test_commit_wakes_as_many_waiters_as_it_brings_jobs(rig *r)
{
    for (int turn = 0; turn < TURNS; turn++) {
        waiter w[2];
        lkc_wait_begin(&w[0], r, "q", -1);
        lkc_wait_begin(&w[1], r, "q", -1);
        lk_write writes[] = {
            {.kind = LK_PUSH, .item = lkc_item("q", "own", "x")},
            {.kind = LK_PUT, .item = lkc_item("a", "b", "x")},
            {.kind = LK_PUSH, .item = lkc_item("q", turn % 2 == 0 ? NULL : "own 2", "x")}};
        assert_status(LK_OK, lk_commit(r->db, writes, 3, NULL, 0, NULL));
        assert_int_equal(wait_found(&w[0], 0), 1);
        assert_int_equal(wait_found(&w[1], 0), 1);
        turn_end(r);
    }
}

/* "Jobs whose deadline passes are visible again": also for who waits, though nobody calls */
static void
test_lapse_and_delay_wake_a_waiter(rig *r)
{
    for (int turn = 0; turn < TURNS; turn++) {
        waiter w;
        bool lapses = turn % 2 == 0;
        const char *sk = turn % 3 == 0 ? "own" : NULL;
        if (lapses) {
            lkc_push(r->db, "q", sk, "x");
            assert_pull(r, "q", "x", NULL);
        } else if (turn % 4 == 1) {
            lkc_push_delayed(r->db, "q", sk, "x", 500);
        }
        lkc_wait_begin(&w, r, "q", -1);
        if (!lapses && turn % 4 != 1)
            lkc_push_delayed(r->db, "q", sk, "x", 500); /* while it waits */
        int64_t visible_ms = atomic_load(&r->monotonic_ms) + (lapses ? VISIBILITY_MS : 500);
        assert_int_equal(wait_found(&w, 100), lapses ? 2 : 1);
        assert_true(atomic_load(&r->monotonic_ms) >= visible_ms);
        turn_end(r);
    }
}

/* Nobody calls for a time: whoever notices that several jobs are visible by it wakes as many, also
 * where one of the others would look by itself before long. */
static void
test_jobs_that_come_due_together_wake_as_many(rig *r)
{
    lk_push_options options = {.delay_ms = 500};
    lk_item items[WAITERS];
    for (size_t i = 0; i < WAITERS; i++)
        items[i] = lkc_item("q", NULL, "x");
    for (int turn = 0; turn < TURNS; turn++) {
        waiter w[WAITERS];
        for (size_t i = 0; i < WAITERS; i++)
            lkc_wait_begin(&w[i], r, "q", i == WAITERS - 1 ? VISIBILITY_MS / 2 : -1);
        for (int i = 0; i < 200; i++)
            sched_yield();
        assert_status(LK_OK, lk_queue_push(r->db, items, WAITERS, &options, NULL));
        lkc_advance(r, 500);
        for (size_t i = 0; i < WAITERS; i++)
            assert_int_equal(wait_found(&w[i], 0), 1);
        assert_depths(r, "q", 0, WAITERS, 0);
        turn_end(r);
    }
}

/* "every waiter wakes" */
static void
test_close_wakes_all_waiters(rig *r)
{
    waiter w[WAITERS];
    for (size_t i = 0; i < WAITERS; i++)
        lkc_wait_begin(&w[i], r, "q", i % 2 == 0 ? -1 : LK_HOURS(1));
    assert_status(LK_OK, lk_queue_close(r->db, lk_string("q")));
    for (size_t i = 0; i < WAITERS; i++) {
        assert_status(LK_CLOSED, lkc_wait_end(&w[i], 0));
        assert_int_equal(lk_result_count(w[i].result), 0);
        lk_result_free(w[i].result);
    }
}

/* "a waiting one sleeps on (a claim may lapse)", "every waiter wakes" when the last job is gone */
static void
test_waiters_at_a_closed_queue_wait_for_its_last_job(rig *r)
{
    for (int turn = 0; turn < 4; turn++) {
        char name[8] = {'q', (char)('0' + turn), '\0'};
        const char *sk = turn % 2 == 0 ? NULL : "own";
        job held;
        waiter w[WAITERS];
        lkc_push(r->db, name, sk, "last");
        assert_pull(r, name, "last", &held);
        assert_status(LK_OK, lk_queue_close(r->db, lk_string(name)));
        assert_empty(r, name);
        for (size_t i = 0; i < WAITERS; i++)
            lkc_wait_begin(&w[i], r, name, -1);
        if (turn >= 2) /* it comes back: one of them may get it */
            assert_status(LK_OK, lk_queue_release(r->db, &held.claim, 0));
        lk_claim by_key = {.key = held.claim.key};
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &by_key, 1));
        size_t got = 0;
        for (size_t i = 0; i < WAITERS; i++) {
            lk_status status = lkc_wait_end(&w[i], 0);
            got += status == LK_OK;
            assert_true(status == LK_OK || status == LK_CLOSED);
            lk_result_free(w[i].result);
        }
        assert_true(got <= (turn >= 2));
    }
}

static void
last_job_end(rig *r, job *j, int way)
{
    lk_claim by_key = {.key = j->claim.key};
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = &j->claim},
                         {.kind = LK_PUT, .item = lkc_item("done", "x", "x")}};
    if (way == 0)
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &j->claim, 1));
    else if (way == 1)
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &by_key, 1));
    else if (way == 2)
        assert_status(LK_OK, lk_queue_purge(r->db, j->claim.key.pk, NULL));
    else if (way == 3)
        lkc_delete(r, j->pk, j->sk);
    else if (way == 4)
        lkc_set_until(r, j->pk, j->sk, "x", lkc_now(r) - 1); /* as good as deleted */
    else if (way == 5)
        lkc_set_until(r, j->pk, j->sk, "x", lkc_now(r) + 5); /* it stays a job until then */
    else if (lkc_can(r, LK_COMMITS_JOBS))
        assert_status(LK_OK, lk_commit(r->db, writes, 2, NULL, 0, NULL));
    else
        lkc_delete(r, j->pk, j->sk);
}

static void
test_waiters_at_a_closed_queue_wake_whatever_takes_its_last_job(rig *r)
{
    for (int turn = 0; turn < 14; turn++) {
        char name[8] = {'q', (char)('a' + turn), '\0'};
        job j;
        waiter w[2];
        lkc_push(r->db, name, turn % 2 == 0 ? NULL : "own", "last");
        assert_pull(r, name, "last", &j);
        assert_status(LK_OK, lk_queue_close(r->db, lk_string(name)));
        for (size_t i = 0; i < COUNT(w); i++)
            lkc_wait_begin(&w[i], r, name, -1);
        last_job_end(r, &j, turn / 2);
        for (size_t i = 0; i < COUNT(w); i++) {
            assert_status(LK_CLOSED, lkc_wait_end(&w[i], turn / 2 == 5));
            lk_result_free(w[i].result);
        }
    }
}

/* latchkey.h: "Inside a read pair it does not wait." */
static void
test_pull_inside_a_read_pair_does_not_wait(rig *r)
{
    lk_pull_options options = {.pk = lk_string("q"), .wait_ms = -1};
    lk_read_begin(r->db);
    lk_status status = lk_queue_pull(r->db, &options, r->result);
    assert_true(status == LK_EMPTY || status == LK_TIMED_OUT);
    lkc_push(r->db, "q", NULL, "x");
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    lk_read_end(r->db);
}

static const lkc_case cases[] = {
    CASE(test_wait_with_a_job_there_does_not_wait, LK_HAS_QUEUES),
    CASE(test_wait_for_nothing_times_out_not_before_its_time, LK_HAS_QUEUES),
    CASE(test_push_wakes_a_waiter, LK_HAS_QUEUES),
    CASE(test_push_of_many_wakes_as_many, LK_HAS_QUEUES),
    CASE(test_release_wakes_a_waiter, LK_HAS_QUEUES),
    CASE(test_commit_wakes_as_many_waiters_as_it_brings_jobs, LK_HAS_QUEUES | LK_COMMITS_JOBS),
    CASE(test_lapse_and_delay_wake_a_waiter, LK_HAS_QUEUES),
    CASE(test_jobs_that_come_due_together_wake_as_many, LK_HAS_QUEUES),
    CASE(test_close_wakes_all_waiters, LK_HAS_QUEUES),
    CASE(test_waiters_at_a_closed_queue_wait_for_its_last_job, LK_HAS_QUEUES),
    CASE(test_waiters_at_a_closed_queue_wake_whatever_takes_its_last_job, LK_HAS_QUEUES),
    CASE(test_pull_inside_a_read_pair_does_not_wait, LK_HAS_QUEUES | LK_HAS_VIEWS),
};
AREA(lkc_wait_area, cases);
