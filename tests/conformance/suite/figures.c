/* SPDX-License-Identifier: MIT
 *
 * Area: figures. What calls count, in which unit, and what they do not count: statistics of a queue, purge, sweep.
 */
#include "suite.h"

static void
push_batch(rig *r, const char *const *sks, size_t count)
{
    lk_item jobs[8];
    for (size_t i = 0; i < count; i++)
        jobs[i] = lkc_item("q", sks[i], "x");
    assert_status(LK_OK, lk_queue_push(r->db, jobs, count, NULL, NULL));
}

/* latchkey.h: "pushes, pulls: in jobs" */
static void
test_statistics_count_pushes_and_pulls_in_jobs(rig *r)
{
    static const char *const generated[] = {NULL, NULL, NULL}, *const own[] = {"a", "b"},
                             *const mixed[] = {NULL, "c"};
    push_batch(r, generated, 3);
    assert_int_equal(lkc_stats(r, "q").pushes, 3);
    push_batch(r, own, 2);
    assert_int_equal(lkc_stats(r, "q").pushes, 5);
    push_batch(r, mixed, 2);
    assert_int_equal(lkc_stats(r, "q").pushes, 7);
    uint64_t pushes = 7;
    if (lkc_can(r, LK_COMMITS_JOBS)) {
        lk_write writes[2] = {{.kind = LK_PUSH, .item = lkc_item("q", "d", "x")},
                              {.kind = LK_PUSH, .item = lkc_item("q", NULL, "x")}};
        assert_status(LK_OK, lk_commit(r->db, writes, 2, NULL, 0, NULL));
        pushes += 2;
        assert_int_equal(lkc_stats(r, "q").pushes, pushes);
    }
    lk_item refused = lkc_item("q", "a", "x");
    assert_status(LK_EXISTS,
                  lk_queue_push(r->db, &refused, 1, &(lk_push_options){.unique = true}, NULL));
    assert_status(LK_BUSY, lk_queue_push(r->db, &(lk_item){.key = lk_key_of("q", "e")}, 1,
                                         &(lk_push_options){.max_depth = 1}, NULL));
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 3, .visibility_ms = VISIBILITY_MS};
    for (uint64_t pulls = 0; pulls < pushes;) {
        assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
        pulls += lk_result_count(r->result);
        lk_queue_statistics s = lkc_stats(r, "q");
        assert_int_equal(s.pulls, pulls);
        assert_int_equal(s.claimed, pulls);
        assert_int_equal(s.ready, pushes - pulls);
        assert_int_equal(s.pushes, pushes);
    }
    lk_queue_statistics other = lkc_stats(r, "other");
    assert_true(other.pushes == 0 && other.pulls == 0 && other.claimed == 0);
}

/* What has expired is no job any more, in whatever state it was. */
static void
test_statistics_do_not_count_what_has_expired(rig *r)
{
    static const char *const sks[] = {NULL, "own"};
    job claimed[2];
    for (size_t i = 0; i < COUNT(sks); i++)
        for (int form = 0; form < 3; form++) { /* claimed, ready, delayed */
            char sk[8] = "own0";
            lk_item item = lkc_item("q", NULL, "x");
            sk[3] = (char)('0' + form);
            if (sks[i] != NULL)
                item.key.sk = lk_string(sk);
            item.expires_at_ms = lkc_now(r) + 100;
            lk_push_options later = {.delay_ms = form == 2 ? 10000 : 0};
            assert_status(LK_OK, lk_queue_push(r->db, &item, 1, &later, NULL));
            if (form == 0)
                assert_pull(r, "q", "x", &claimed[i]);
        }
    lkc_push(r, "q", "~", "stays");
    assert_depths(r, "q", 3, 2, 2);
    lkc_advance(r, 101);
    assert_depths(r, "q", 1, 0, 0);
    assert_pull(r, "q", "stays", NULL);
    lkc_advance(r, 10000);
    assert_depths(r, "q", 0, 1, 0);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 0);
}

/* latchkey.h: "of the ready job with the oldest ULID" */
static void
test_statistics_take_the_age_from_ready_jobs_only(rig *r)
{
    job j;
    lk_item item = lkc_item("q", NULL, "expires");
    lkc_push_delayed(r, "q", NULL, "delayed", 5000);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 0);
    lkc_push(r, "q", NULL, "claimed");
    assert_pull(r, "q", "claimed", &j);
    item.expires_at_ms = lkc_now(r) + 10;
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
    lkc_push(r, "q", "own", "no ULID");
    lkc_set(r, "q", j.sk, "claimed all the same");
    lkc_advance(r, 1000);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 0); /* a job with a key has none */
    lkc_push(r, "q", NULL, "ready");
    lkc_advance(r, 300);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 300);
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 100)); /* delayed now */
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 300);
    lkc_advance(r, 101);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 1401); /* ready */
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &(lk_claim){.key = j.claim.key}, 1));
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 401);
    lkc_advance(r, 3600);
    assert_int_equal(lkc_stats(r, "q").oldest_age_ms, 5001); /* the delay is over */
}

/* latchkey.h: "acknowledged or released after their deadline"; "calls with a claim that was lost" */
static void
test_statistics_count_late_and_lost_where_they_happen(rig *r)
{
    job late, good, lost;
    lkc_push(r, "q", NULL, "late");
    assert_pull(r, "q", "late", &late);
    lkc_advance(r, VISIBILITY_MS + 1);
    lkc_push(r, "q", "own", "good");
    assert_status(LK_OK, lk_queue_extend(r->db, &late.claim, 0)); /* after the lapse, but neither */
    assert_pull(r, "q", "good", &good);
    lk_queue_statistics s = lkc_stats(r, "q");
    assert_true(s.late == 0 && s.lost == 0);
    assert_status(LK_OK, lk_queue_release(r->db, &good.claim, 0));
    assert_pull(r, "q", "good", &lost);
    assert_status(LK_LOST, lk_queue_extend(r->db, &good.claim, 0));
    assert_int_equal(lkc_stats(r, "q").lost, 1);
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &lost.claim, 1));
    assert_status(LK_LOST, lk_queue_acknowledge(r->db, &lost.claim, 1));
    s = lkc_stats(r, "q");
    assert_true(s.late == 0 && s.lost == 2);
    lkc_advance(r, LK_MINUTES(5) + 1);
    if (lkc_can(r, LK_COMMITS_JOBS)) {
        lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &late.claim};
        assert_status(LK_LATE, lk_commit(r->db, &write, 1, NULL, 0, NULL));
    } else {
        assert_status(LK_LATE, lk_queue_acknowledge(r->db, &late.claim, 1));
    }
    s = lkc_stats(r, "q");
    assert_int_equal(s.late, 1);
    assert_int_equal(s.lost, 2);
    assert_int_equal(lkc_stats(r, "other").lost, 0);
}

/* Of a commit that is lost nothing happens, but that the claim was lost is counted. */
static void
test_statistics_count_a_lost_commit(rig *r)
{
    job j;
    lkc_push(r, "q", NULL, "x");
    assert_pull(r, "q", "x", &j);
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &j.claim};
    assert_status(LK_LOST, lk_commit(r->db, &write, 1, NULL, 0, NULL));
    lk_queue_statistics s = lkc_stats(r, "q");
    assert_true(s.lost == 1 && s.late == 0);
}

/* latchkey.h: "claims that others noticed to have lapsed" */
static void
test_statistics_count_no_release_as_a_lapse(rig *r)
{
    job j;
    lkc_push(r, "q", NULL, "x");
    assert_pull(r, "q", "x", &j);
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
    assert_pull(r, "q", "x", &j);
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 100));
    lkc_advance(r, 101);
    assert_pull(r, "q", "x", NULL);
    assert_int_equal(lkc_stats(r, "q").lapses, 0);
    lkc_advance(r, VISIBILITY_MS + 1);
    assert_pull(r, "q", "x", NULL);
    assert_int_equal(lkc_stats(r, "q").lapses, 1);
}

/* Pulls that found no job, each once: without a wait, with one, and at the end of a closed queue. */
static void
test_statistics_count_each_empty_pull_once(rig *r)
{
    waiter w;
    lkc_push_delayed(r, "q", NULL, "much later", LK_HOURS(24000));
    assert_empty(r, "q");
    assert_int_equal(lkc_stats(r, "q").empty_pulls, 1);
    lkc_wait_begin(&w, r, "q", 20);
    assert_status(LK_TIMED_OUT, lkc_wait_end(&w, 6));
    lk_result_free(w.result);
    assert_int_equal(lkc_stats(r, "q").empty_pulls, 2);
    assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    assert_status(LK_OK, lk_queue_close(r->db, lk_string("q")));
    assert_status(LK_CLOSED, lkc_try_pull(r, "q", NULL));
    assert_int_equal(lkc_stats(r, "q").empty_pulls, 3);
}

/* latchkey.h: "Takes all jobs out that are there. `purged`: how many." What has expired is not there. */
static void
test_purge_counts_the_jobs_that_are_there(rig *r)
{
    static const char *const sks[] = {NULL, "own"};
    size_t purged = 77;
    for (size_t i = 0; i < COUNT(sks); i++) {
        job claimed;
        lk_item gone = lkc_item("q", sks[i], "gone");
        gone.expires_at_ms = lkc_now(r) + 10;
        assert_status(LK_OK, lk_queue_push(r->db, &gone, 1, NULL, NULL));
        assert_pull(r, "q", "gone", NULL);
        lkc_push(r, "q", NULL, "claimed");
        assert_pull(r, "q", "claimed", &claimed);
        lkc_push_delayed(r, "q", "delayed", "x", 1000);
        lkc_push(r, "q", NULL, "ready");
        lkc_advance(r, 11);
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), &purged));
        assert_int_equal(purged, 3);
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), &purged));
        assert_int_equal(purged, 0);
        assert_lost(r, &claimed);
    }
}

/* latchkey.h: "stops soon after `max_items` were taken out. `swept`: how many." */
static void
test_sweep_says_how_many_it_took_out(rig *r)
{
    enum { COUNT_EXPIRED = 10 };
    size_t swept = 77, all = 0;
    for (uint64_t i = 0; i < COUNT_EXPIRED; i++) {
        lk_item item = {.key = lkc_numbered("a", i), .data = lk_string("x")};
        item.expires_at_ms = lkc_now(r) + 1000;
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    lkc_set(r, "a", "stays", "x");
    assert_status(LK_OK, lk_sweep(r->db, 0, &swept));
    assert_int_equal(swept, 0);
    lkc_advance(r, 1001);
    for (int turn = 0; turn < 100 && swept + all < COUNT_EXPIRED; turn++) {
        assert_status(LK_OK, lk_sweep(r->db, 0, &swept));
        all += swept;
        swept = 0;
    }
    assert_int_equal(all,
                     COUNT_EXPIRED); /* nothing was written meanwhile, so nobody else took them */
    assert_status(LK_OK, lk_sweep(r->db, 0, &swept));
    assert_int_equal(swept, 0);
    assert_holds(r, lk_key_of("a", "stays"), "x");
}

static const lkc_case cases[] = {
    CASE(test_statistics_count_pushes_and_pulls_in_jobs, LK_HAS_QUEUES),
    CASE(test_statistics_do_not_count_what_has_expired, LK_HAS_QUEUES),
    CASE(test_statistics_take_the_age_from_ready_jobs_only, LK_HAS_QUEUES),
    CASE(test_statistics_count_late_and_lost_where_they_happen, LK_HAS_QUEUES),
    CASE(test_statistics_count_a_lost_commit, LK_HAS_QUEUES | LK_COMMITS_JOBS),
    CASE(test_statistics_count_no_release_as_a_lapse, LK_HAS_QUEUES),
    CASE(test_statistics_count_each_empty_pull_once, LK_HAS_QUEUES),
    CASE(test_purge_counts_the_jobs_that_are_there, LK_HAS_QUEUES),
    CASE(test_sweep_says_how_many_it_took_out, LK_HAS_SWEEP),
};
AREA(lkc_figures_area, cases);
