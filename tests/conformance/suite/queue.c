/* SPDX-License-Identifier: MIT
 *
 * Area: queues as a whole. close, purge, statistics; what they refuse.
 */
#include "suite.h"

/* "close: pushes are LK_CLOSED. While jobs are claimed or delayed a pull without wait is LK_EMPTY; LK_CLOSED
 * means that the queue is empty for good" */
static void
test_closed_queue_takes_none_and_drains(rig *r)
{
    job claimed;
    lk_item own = lkc_item("q", "own", "x");
    lkc_push(r, "q", NULL, "1");
    assert_pull(r, "q", "1", &claimed);
    lkc_push(r, "q", NULL, "2");
    lkc_push_delayed(r, "q", NULL, "3", 100);
    lkc_push(r, "other", NULL, "not closed");
    for (int again = 0; again < 2; again++) {
        assert_status(LK_OK, lk_queue_close(r->db, lk_string("q")));
        lkc_prime(r->result);
        assert_status(LK_CLOSED, lkc_try_push(r, "q", NULL, "x", NULL));
        assert_status(LK_CLOSED, lk_queue_push(r->db, &own, 1, NULL, r->result));
        assert_true(lkc_is_primed(r->result));
        assert_holds(r, own.key, NULL);
    }
    job second, third;
    assert_pull(r, "q", "2", &second);
    assert_empty(r, "q");     /* one is delayed, two are claimed */
    assert_held(r, &claimed); /* what was claimed stays so */
    lkc_advance(r, 101);
    assert_pull(r, "q", "3", &third); /* what becomes visible later is still pulled */
    assert_empty(r, "q");
    assert_status(LK_OK, lk_queue_release(r->db, &claimed.claim, 0));
    assert_pull(r, "q", "1", &claimed);
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &claimed.claim, 1));
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &second.claim, 1));
    assert_empty(r, "q"); /* the third may still come back */
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &third.claim, 1));
    lkc_prime(r->result);
    lk_pull_options options = {.pk = lk_string("q"), .wait_ms = -1};
    assert_status(LK_CLOSED, lk_queue_pull(r->db, &options, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_status(LK_CLOSED, lkc_try_pull(r, "q", NULL));
    assert_pull(r, "other", "not closed", NULL);
    lkc_push(r, "other", NULL, "x");
}

/* The same of jobs that are delayed, all of them: by their push, and by a release. */
static void
test_closed_queue_is_not_over_while_jobs_are_delayed(rig *r)
{
    job j;
    lkc_push_delayed(r, "q", NULL, "1", 100);
    assert_status(LK_OK, lk_queue_close(r->db, lk_string("q")));
    assert_empty(r, "q");
    lkc_advance(r, 101);
    assert_pull(r, "q", "1", &j);
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 100));
    assert_empty(r, "q");
    lkc_advance(r, 101);
    assert_pull(r, "q", "1", &j);
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
    assert_status(LK_CLOSED, lkc_try_pull(r, "q", NULL));
}

static void
test_close_is_for_good(rig *r)
{
    assert_status(LK_OK, lk_queue_close(r->db, lk_string("q"))); /* before anything was pushed */
    assert_status(LK_CLOSED, lkc_try_pull(r, "q", NULL));
    for (int turn = 0; turn < 4; turn++) {
        lkc_advance(r, LK_HOURS(1));
        if (lkc_can(r, LK_HAS_SWEEP))
            assert_status(LK_OK, lk_sweep(r->db, 0, NULL));
        assert_status(LK_CLOSED, lkc_try_push(r, "q", NULL, "x", NULL));
        assert_status(LK_CLOSED, lkc_try_pull(r, "q", NULL));
    }
    lkc_set(r, "q", "item", "an item is no job"); /* items of the partition are no pushes */
    assert_holds(r, lk_key_of("q", "item"), "an item is no job");
}

/* latchkey.h: "Takes all jobs out that are there, claimed or not; other items of the partition
 * stay. `purged`: how many." */
static void
test_purge_takes_all_jobs_and_no_items(rig *r)
{
    job own, generated;
    size_t purged = 77;
    assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), &purged));
    assert_int_equal(purged, 0);
    lkc_set(r, "q", "plain", "x");
    lkc_set(r, "q", "zz", "y");
    lkc_push(r, "q", "own", "own");
    assert_pull(r, "q", "own", &own);
    lkc_push(r, "q", NULL, "generated");
    assert_pull(r, "q", "generated", &generated);
    for (int i = 0; i < 700; i++)
        lkc_push(r, "q", NULL, "x");
    lkc_push_delayed(r, "q", NULL, "delayed", 100);
    lkc_push_delayed(r, "q", "delayed", "delayed", 100);
    lkc_push(r, "q2", NULL, "in another queue");
    assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), &purged));
    assert_int_equal(purged, 704);
    assert_lost(r, &own);
    assert_lost(r, &generated);
    assert_depths(r, "q", 0, 0, 0);
    lkc_advance(r, LK_HOURS(1));
    assert_empty(r, "q");
    assert_holds(r, lk_key_of("q", "plain"), "x");
    assert_holds(r, lk_key_of("q", "zz"), "y");
    assert_holds(r, lk_key_of("q", "own"), NULL);
    assert_holds(r, lk_key_of("q", "delayed"), NULL);
    assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    lkc_push(r, "q", NULL, "new");
    assert_pull(r, "q", "new", NULL);
    assert_pull(r, "q2", "in another queue", NULL);
}

/* ---- "stats: ready, claimed, delayed, dead, oldest age, pushes, pulls, empty pulls, lapses, late
 * and lost acks" ---- */

static void
test_statistics_of_a_missing_queue_are_zero(rig *r)
{
    static const lk_queue_statistics zero;
    lk_queue_statistics s = lkc_stats(r, "q");
    assert_true(s.ready + s.claimed + s.delayed + s.dead + s.pushes + s.pulls == 0);
    assert_true(s.empty_pulls + s.lapses + s.late + s.lost == 0 && s.oldest_age_ms == 0);
    lkc_set(r, "q", "item", "no job");
    s = lkc_stats(r, "q");
    assert_memory_equal(&s, &zero, sizeof s);
}

static void
test_statistics_count_what_was_done(rig *r)
{
    job a, b, c;
    lkc_push(r, "q", NULL, "a");
    lkc_push(r, "q", NULL, "b");
    lkc_push(r, "q", "own", "c");
    lkc_push_delayed(r, "q", NULL, "d", LK_HOURS(1));
    lk_queue_statistics s = lkc_stats(r, "q");
    assert_true(s.ready == 3 && s.delayed == 1 && s.pushes == 4 && s.pulls == 0);
    assert_pull(r, "q", "a", &a);
    assert_pull(r, "q", "b", &b);
    assert_pull(r, "q", "c", &c);
    assert_empty(r, "q");
    s = lkc_stats(r, "q");
    assert_true(s.claimed == 3 && s.pulls == 3 && s.empty_pulls == 1 && s.lapses == 0);
    lkc_advance(r, VISIBILITY_MS + 1);
    assert_status(LK_LATE, lk_queue_acknowledge(r->db, &a.claim, 1));
    assert_status(LK_LATE, lk_queue_release(r->db, &b.claim, LK_HOURS(1)));
    assert_pull(r, "q", "c", NULL);
    assert_status(LK_LOST, lk_queue_acknowledge(r->db, &a.claim, 1));
    assert_status(LK_LOST, lk_queue_release(r->db, &b.claim, 0));
    assert_status(LK_LOST, lk_queue_extend(r->db, &c.claim, 0));
    s = lkc_stats(r, "q");
    assert_int_equal(s.ready, 0);
    assert_int_equal(s.claimed, 1);
    assert_int_equal(s.delayed, 2);
    assert_int_equal(s.pulls, 4);
    assert_int_equal(s.late, 2);
    assert_int_equal(s.lost, 3);
    assert_in_range(s.lapses, 1, 3); /* those that somebody has noticed */
}

/* "oldest age" */
static void
test_statistics_tell_the_age_of_the_oldest_ready_job(rig *r)
{
    job a;
    lkc_push(r, "q", NULL, "a");
    lkc_advance(r, 1000);
    lkc_push(r, "q", NULL, "b");
    lkc_advance(r, 500);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 1500);
    assert_pull(r, "q", "a", &a);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 500);
    assert_pull(r, "q", "b", NULL);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 0);
    assert_status(LK_OK, lk_queue_release(r->db, &a.claim, 0));
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 1500);
    atomic_fetch_sub(&r->now_ms, LK_HOURS(1));
    assert_true(lkc_stats(r, "q").oldest_age_ms >= 0);
}

static const lkc_case cases[] = {
    CASE(test_closed_queue_takes_none_and_drains, LK_HAS_QUEUES),
    CASE(test_closed_queue_is_not_over_while_jobs_are_delayed, LK_HAS_QUEUES),
    CASE(test_close_is_for_good, LK_HAS_QUEUES),
    CASE(test_purge_takes_all_jobs_and_no_items, LK_HAS_QUEUES),
    CASE(test_statistics_of_a_missing_queue_are_zero, LK_HAS_QUEUES),
    CASE(test_statistics_count_what_was_done, LK_HAS_QUEUES),
    CASE(test_statistics_tell_the_age_of_the_oldest_ready_job, LK_HAS_QUEUES),
};
AREA(lkc_queue_area, cases);
