/* SPDX-License-Identifier: MIT
 *
 * Area: pull. Order, visibility, claims that lapse, receives, dead letters.
 */
#include "suite.h"

/* "FIFO" */
static void
test_jobs_come_first_in_first_out(rig *r)
{
    char data[16];
    job j;
    for (int i = 0; i < 300; i++) {
        snprintf(data, sizeof data, "%d", i);
        lkc_push(r, "q", NULL, data);
        lkc_advance(r, i % 7);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(data, sizeof data, "%d", i);
        assert_pull(r, "q", data, &j);
        assert_int_equal(j.claim.receives, 1);
        assert_int_equal(j.claim.deadline_ms, atomic_load(&r->monotonic_ms) + VISIBILITY_MS);
    }
    assert_empty(r, "q");
    assert_depths(r, "q", 0, 300, 0);
}

/* "LK_EMPTY immediately otherwise"; outputs are untouched */
static void
test_pull_of_nothing_is_empty_and_leaves_the_result(rig *r)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 5};
    lkc_prime(r->result);
    assert_status(LK_EMPTY, lk_queue_pull(r->db, &options, r->result));
    lkc_push(r, "q", NULL, "x");
    assert_pull(r, "q", "x", NULL);
    lkc_prime(r->result);
    assert_status(LK_EMPTY, lk_queue_pull(r->db, &options, r->result));
    assert_true(lkc_is_primed(r->result));
}

static void
test_pull_of_many_takes_the_first_ones_with_their_claims(rig *r)
{
    static const char *const data[] = {"1", "2", "3", "4", "5"};
    for (size_t i = 0; i < COUNT(data); i++)
        lkc_push(r, "q", NULL, data[i]);
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 3, .visibility_ms = 500};
    job jobs[5];
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    assert_int_equal(lk_result_count(r->result), 3);
    for (size_t i = 0; i < 3; i++)
        lkc_job_keep(&jobs[i], r->result, i);
    options.max_jobs = 9;
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    assert_int_equal(lk_result_count(r->result), 2);
    for (size_t i = 0; i < 2; i++)
        lkc_job_keep(&jobs[3 + i], r->result, i);
    assert_null(lk_result_claim(r->result, 2));
    for (size_t i = 0; i < COUNT(data); i++) {
        assert_string_equal(jobs[i].data, data[i]);
        assert_int_equal(jobs[i].claim.deadline_ms, atomic_load(&r->monotonic_ms) + 500);
        assert_held(r, &jobs[i]);
    }
    assert_status(LK_EMPTY, lk_queue_pull(r->db, &options, r->result));
}

/* "Default visibility 5 minutes."; max_jobs 0: 1 */
static void
test_pull_by_defaults_takes_one_for_five_minutes(rig *r)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("q");
    lkc_push(r, "q", NULL, "1");
    lkc_push(r, "q", NULL, "2");
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    assert_int_equal(lk_result_count(r->result), 1);
    int64_t begin_ms = atomic_load(&r->monotonic_ms);
    assert_int_equal(lk_result_claim(r->result, 0)->deadline_ms, begin_ms + LK_MINUTES(5));
    assert_pull(r, "q", "2", NULL);
    lkc_advance(r, VISIBILITY_MS + 1);
    assert_pull(r, "q", "2", NULL);
    lkc_advance(r, LK_MINUTES(5) - VISIBILITY_MS - 1);
    assert_pull(r, "q", "2", NULL);
    assert_empty(r, "q");
    lkc_advance(r, 1);
    assert_pull(r, "q", "1", NULL);
}

/* Queues whose names are alike are apart. */
static void
test_queues_with_similar_names_are_apart(rig *r)
{
    static const char *const pks[] = {"q", "q1", "Q", "q ", "qq"};
    lk_bytes zero = {"q\0", 2};
    lk_item item = {.key = {zero, {NULL, 0}}, .data = lk_string("zero")};
    for (size_t i = 0; i < COUNT(pks); i++)
        lkc_push(r, pks[i], NULL, pks[i]);
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
    for (size_t i = 0; i < COUNT(pks); i++) {
        assert_pull(r, pks[i], pks[i], NULL);
        assert_empty(r, pks[i]);
    }
    lk_pull_options options = {.pk = zero};
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    assert_true(lkc_is(lk_result_item(r->result, 0)->data, "zero"));
}

static void
test_pull_takes_its_names_from_the_result_that_it_fills(rig *r)
{
    for (int i = 0; i < 4; i++)
        lkc_push(r, "q", NULL, "q");
    assert_pull(r, "q", "q", NULL);
    for (int i = 0; i < 3; i++) {
        lk_pull_options options = {.pk = lk_result_item(r->result, 0)->key.pk};
        assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
        assert_true(lkc_is(lk_result_item(r->result, 0)->key.pk, "q"));
        assert_int_equal(lk_result_claim(r->result, 0)->receives, 1);
    }
}

static void
test_jobs_of_all_sizes_come_as_they_went(rig *r)
{
    static const size_t sizes[] = {0, 1, 100, 511, 513, 4000, 70000};
    char *data = malloc(70000);
    assert_non_null(data);
    for (int own = 0; own < 2; own++)
        for (size_t i = 0; i < COUNT(sizes); i++) {
            size_t size = sizes[i] <= r->about.max_data_size ? sizes[i] : r->about.max_data_size;
            memset(data, 'a' + (int)i, size);
            lk_item item = {.key = lk_key_of("q", own != 0 ? "own" : NULL), .data = {data, size}};
            item.expires_at_ms = lkc_now(r) + 100 + (int64_t)i;
            assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
            lk_pull_options options = {.pk = lk_string("q")};
            assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
            assert_bytes(item.data, lk_result_item(r->result, 0)->data);
            assert_int_equal(lk_result_item(r->result, 0)->expires_at_ms, item.expires_at_ms);
        }
    free(data);
}

/* ---- time ---- */

/* latchkey.h: "A claim has lapsed iff now > deadline_ms."; "Jobs whose deadline passes are visible
 * again, at their own place. receives counts the pulls" */
static void
test_lapsed_jobs_come_again_at_their_place(rig *r)
{
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < COUNT(sks); i++) {
        job first, again;
        lkc_push(r, "q", sks[i], "1");
        assert_pull(r, "q", "1", &first);
        lkc_push(r, "q", sks[i] == NULL ? NULL : "own 2", "2");
        for (uint32_t receives = 2; receives < 5; receives++) {
            lkc_advance(r, VISIBILITY_MS);
            lk_key key = first.claim.key;
            assert_holds(r, key, "1");
            assert_depths(r, "q", 1, 1, 0); /* not at its deadline */
            lkc_advance(r, 1);
            assert_depths(r, "q", 2, 0, 0);
            assert_pull(r, "q", "1", &again);
            assert_int_equal(again.claim.receives, receives);
            assert_string_equal(again.sk, first.sk);
            assert_true(again.claim.token != first.claim.token);
            assert_lost(r, &first);
            lkc_job_keep(&first, r->result, 0);
        }
        assert_pull(r, "q", "2", NULL);
        assert_empty(r, "q");
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    }
}

/* "Visibility timeouts, delays and waits are measured on the monotonic clock." */
static void
test_deadlines_and_delays_do_not_heed_the_wall_clock(rig *r)
{
    job j;
    lkc_push(r, "q", "a", "claimed");
    assert_pull(r, "q", "claimed", &j);
    lkc_push_delayed(r, "q", "b", "delayed", 100);
    atomic_fetch_add(&r->now_ms, LK_HOURS(100));
    assert_empty(r, "q");
    assert_held(r, &j);
    atomic_fetch_sub(&r->now_ms, LK_HOURS(200));
    atomic_fetch_add(&r->monotonic_ms, 101);
    assert_pull(r, "q", "delayed", NULL);
    atomic_fetch_add(&r->monotonic_ms, VISIBILITY_MS);
    assert_pull(r, "q", "claimed", NULL);
}

/* "and not expired": a job that expires is gone, claimed or not */
static void
test_jobs_expire_in_every_state(rig *r)
{
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < COUNT(sks); i++)
        for (int form = 0; form < 4; form++) {
            job j;
            lk_item item = lkc_item("q", sks[i], "brief");
            lk_push_options options = {.delay_ms = form == 2 ? 3 : 0};
            item.expires_at_ms = lkc_now(r) + 10;
            assert_status(LK_OK, lk_queue_push(r->db, &item, 1, &options, r->result));
            if (form == 1 || form == 3)
                assert_pull(r, "q", "brief", &j);
            if (form == 3)
                assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 5));
            lkc_push(r, "q", "~", "behind it");
            lkc_advance(r, 11);
            assert_pull(r, "q", "behind it", NULL);
            assert_empty(r, "q");
            if (form == 1)
                assert_lost(r, &j);
            assert_depths(r, "q", 0, 1, 0);
            assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
        }
    lk_item item = lkc_item("q", NULL, "expired already");
    item.expires_at_ms = lkc_now(r) - 1;
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
    assert_empty(r, "q");
}

/* ---- dead letters ---- */

/* "a job that would exceed max_receives moves to dead_pk in one atomic step instead of being
 * returned"; latchkey.h: "it keeps its sk, data and expiry, and is a fresh job there" */
static void
job_dies(rig *r, const char *sk, bool lapses)
{
    job j, dead;
    lk_item item = lkc_item("q", sk, "bad");
    item.expires_at_ms = lkc_now(r) + LK_HOURS(9);
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
    for (uint32_t receives = 1; receives <= 3; receives++) {
        assert_status(LK_OK, lkc_try_pull_limited(r, "q", 3, "dead", &j));
        assert_int_equal(j.claim.receives, receives);
        if (lapses)
            lkc_advance(r, VISIBILITY_MS + 1);
        else
            assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
    }
    assert_holds(r, j.claim.key, "bad");
    assert_status(LK_EMPTY, lkc_try_pull_limited(r, "q", 3, "dead", NULL));
    assert_holds(r, j.claim.key, NULL);
    assert_lost(r, &j);
    assert_depths(r, "q", 0, 0, 0);
    assert_depths(r, "dead", 1, 0, 0);
    assert_pull(r, "dead", "bad", &dead);
    assert_int_equal(lk_result_item(r->result, 0)->expires_at_ms, item.expires_at_ms);
    assert_string_equal(dead.sk, j.sk);
    assert_int_equal(dead.claim.receives, 1);
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &dead.claim, 1));
}

static void
test_job_that_was_received_too_often_moves_to_the_dead_ones(rig *r)
{
    job_dies(r, NULL, false);
    job_dies(r, NULL, true);
    job_dies(r, "own", false);
    job_dies(r, "own", true);
    assert_int_equal(lkc_stats(r, "q").dead, 4);
    assert_int_equal(lkc_stats(r, "dead").dead, 0);
}

static void
test_pull_passes_the_dead_and_returns_the_living(rig *r)
{
    job j;
    for (int i = 0; i < 4; i++) {
        lkc_push(r, "q", i % 2 == 0 ? NULL : "own", "bad");
        assert_pull(r, "q", "bad", &j);
        assert_status(LK_OK, lk_queue_release(r->db, &j.claim, LK_HOURS(1)));
    }
    lkc_advance(r, LK_HOURS(1) + 1);
    lkc_push(r, "q", "~", "good");
    assert_status(LK_OK, lkc_try_pull_limited(r, "q", 1, "dead", &j));
    assert_string_equal(j.data, "good");
    assert_depths(r, "q", 0, 1, 0);
    assert_depths(r, "dead", 3, 0, 0); /* the one with the key was replaced by a push */
    assert_int_equal(lkc_stats(r, "q").dead, 3);
}

/* The limit is that of the pull, not of the job. */
static void
test_limit_of_receives_is_the_pulls_own(rig *r)
{
    job j;
    lkc_push(r, "q", NULL, "a");
    for (uint32_t i = 1; i < 5; i++) {
        assert_status(LK_OK, lkc_try_pull_limited(r, "q", 0, i % 2 == 0 ? "dead" : NULL, &j));
        assert_int_equal(j.claim.receives, i);
        assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
    }
    assert_status(LK_OK, lkc_try_pull_limited(r, "q", 5, "dead", &j));
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
    assert_status(LK_EMPTY, lkc_try_pull_limited(r, "q", 5, "dead", NULL));
    assert_depths(r, "dead", 1, 0, 0);
}

static const lkc_case cases[] = {
    CASE(test_jobs_come_first_in_first_out, LK_HAS_QUEUES),
    CASE(test_pull_of_nothing_is_empty_and_leaves_the_result, LK_HAS_QUEUES),
    CASE(test_pull_of_many_takes_the_first_ones_with_their_claims, LK_HAS_QUEUES),
    CASE(test_pull_by_defaults_takes_one_for_five_minutes, LK_HAS_QUEUES),
    CASE(test_queues_with_similar_names_are_apart, LK_HAS_QUEUES),
    CASE(test_pull_takes_its_names_from_the_result_that_it_fills, LK_HAS_QUEUES),
    CASE(test_jobs_of_all_sizes_come_as_they_went, LK_HAS_QUEUES),
    CASE(test_lapsed_jobs_come_again_at_their_place, LK_HAS_QUEUES),
    CASE(test_deadlines_and_delays_do_not_heed_the_wall_clock, LK_HAS_QUEUES),
    CASE(test_jobs_expire_in_every_state, LK_HAS_QUEUES),
    CASE(test_job_that_was_received_too_often_moves_to_the_dead_ones, LK_HAS_QUEUES),
    CASE(test_pull_passes_the_dead_and_returns_the_living, LK_HAS_QUEUES),
    CASE(test_limit_of_receives_is_the_pulls_own, LK_HAS_QUEUES),
};
AREA(lkc_pull_area, cases);
