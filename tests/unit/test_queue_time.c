/* SPDX-License-Identifier: MIT
 *
 * Queues and time: deadlines, delays and expiry to the millisecond, on clocks that are set by hand and jump.
 */
#include "support/jobs.h"

static const char *const sks[] = {NULL, "own"};

/* The wall clock alone. */
static void
realtime_step(kit *k, int64_t ms)
{
    atomic_fetch_add(&k->now_ms, ms);
}

static void
monotonic_step(kit *k, int64_t ms)
{
    atomic_fetch_add(&k->monotonic_ms, ms);
}

/* ---- deadlines ---- */

static void
test_claim_lapses_after_its_deadline_not_at_it(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job first, second;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &first);
        kit_advance(k, JOB_VISIBILITY_MS);
        assert_empty(k, "q");
        assert_depths(k, "q", 0, 1, 0);
        kit_advance(k, 1);
        assert_depths(k, "q", 1, 0, 0);
        assert_pull(k, "q", "a", &second);
        assert_int_equal(second.claim.receives, 2);
        assert_int_equal(second.claim.deadline_ms, first.claim.deadline_ms + JOB_VISIBILITY_MS + 1);
        assert_lost(k, &first);
        kit_advance(k, JOB_VISIBILITY_MS);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &second.claim, 1));
    }
}

static void
test_acknowledge_after_the_deadline_is_late(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        kit_advance(k, LK_HOURS(100));
        assert_status(LK_LATE, lk_queue_acknowledge(k->db, &j.claim, 1));
        assert_true(kit_holds(k, j.claim.key, NULL));
        assert_lost(k, &j);
        assert_empty(k, "q");
    }
}

static void
test_release_after_the_deadline_is_late(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        assert_status(LK_LATE, lk_queue_release(k->db, &j.claim, 500));
        assert_lost(k, &j);
        assert_depths(k, "q", 0, 0, 1);
        kit_advance(k, 499);
        assert_empty(k, "q");
        kit_advance(k, 1);
        assert_pull(k, "q", "a", &j);
        assert_int_equal(j.claim.receives, 2);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
}

static void
test_extend_after_the_deadline_is_ok_until_somebody_else_claims(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j, other;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        assert_depths(k, "q", 1, 0, 0);
        assert_status(LK_OK, lk_queue_extend(k->db, &j.claim, 100));
        assert_int_equal(j.claim.deadline_ms, k->monotonic_ms + 100);
        assert_depths(k, "q", 0, 1, 0);
        assert_empty(k, "q");
        kit_advance(k, 101);
        assert_pull(k, "q", "a", &other);
        assert_int_equal(other.claim.receives, 2);
        assert_lost(k, &j);
        assert_held(k, &other);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &other.claim, 1));
    }
}

static void
test_lapsed_jobs_come_again_at_their_place(void **state)
{
    kit *k = *state;
    enum { COUNT = 1300 };
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = 10, .max_jobs = COUNT};
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, COUNT, NULL, NULL));
    jobs_push(k, "q", "!", "!first");
    for (uint32_t turn = 1; turn <= 3; turn++) {
        size_t seen = 0;
        assert_status(LK_OK, jobs_try_push_batch(k, "q", COUNT + turn - 1, 1, NULL, NULL));
        assert_pull(k, "q", "!first", NULL);
        for (lk_status status = LK_OK; status == LK_OK;) {
            status = lk_queue_pull(k->db, &options, k->result);
            for (size_t i = 0; status == LK_OK && i < lk_result_count(k->result); i++)
                assert_int_equal(job_number(lk_result_item(k->result, i)), seen++);
        }
        assert_int_equal(seen, COUNT + turn);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
    }
}

/* Each claim of its own length; the earliest ones come back first, and only they. */
static void
test_claims_of_different_lengths_lapse_each_at_its_time(void **state)
{
    kit *k = *state;
    enum { COUNT = 700 };
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, COUNT, NULL, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = (int64_t)(COUNT - i)};
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        assert_int_equal(job_number(lk_result_item(k->result, 0)), i);
    }
    assert_empty(k, "q");
    kit_advance(k, 1);
    for (size_t i = COUNT; i-- > 0;) {
        assert_empty(k, "q");
        kit_advance(k, 1);
        lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = LK_HOURS(1)};
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        assert_int_equal(job_number(lk_result_item(k->result, 0)), i);
        assert_int_equal(lk_result_claim(k->result, 0)->receives, 2);
    }
    assert_depths(k, "q", 0, COUNT, 0);
}

static void
test_times_of_any_length_do_not_overflow(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = INT64_MAX};
        jobs_push(k, "q", sks[i], "a");
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        job_keep(&j, k->result, 0);
        assert_true(j.claim.deadline_ms > k->monotonic_ms + LK_HOURS(1000000));
        kit_advance(k, LK_HOURS(1000000));
        assert_empty(k, "q");
        assert_status(LK_OK, lk_queue_extend(k->db, &j.claim, INT64_MAX));
        kit_advance(k, LK_HOURS(100000));
        assert_empty(k, "q");
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, INT64_MAX));
        assert_depths(k, "q", 0, 0, 1);
        jobs_push_delayed(k, "q", sks[i] != NULL ? "own 2" : NULL, "b", INT64_MAX);
        kit_advance(k, LK_HOURS(100000));
        assert_empty(k, "q");
        assert_depths(k, "q", 0, 0, 2);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

/* ---- delays ---- */

static void
test_delayed_job_is_visible_when_its_delay_is_over(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        jobs_push_delayed(k, "q", sks[i], "a", 100);
        assert_int_equal(jobs_items(k, "q"), 1); /* an item at once */
        assert_empty(k, "q");
        kit_advance(k, 99);
        assert_empty(k, "q");
        assert_depths(k, "q", 0, 0, 1);
        kit_advance(k, 1);
        assert_depths(k, "q", 1, 0, 0);
        job j;
        assert_pull(k, "q", "a", &j);
        assert_int_equal(j.claim.receives, 1);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
}

static void
test_delayed_jobs_hold_up_none_and_keep_their_place(void **state)
{
    kit *k = *state;
    jobs_push_delayed(k, "q", NULL, "delayed", 100);
    jobs_push(k, "q", NULL, "first");
    jobs_push(k, "q", NULL, "second");
    jobs_push_delayed(k, "q", "!", "delayed, own", 200);
    assert_pull(k, "q", "first", NULL);
    kit_advance(k, 100);
    assert_pull(k, "q", "delayed", NULL);
    kit_advance(k, 100);
    assert_pull(k, "q", "delayed, own", NULL);
    assert_pull(k, "q", "second", NULL);
    assert_empty(k, "q");
}

static void
test_batch_is_delayed_as_a_whole(void **state)
{
    kit *k = *state;
    enum { COUNT = 1100 };
    lk_push_options options = {.delay_ms = 1000};
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, COUNT, &options, NULL));
    assert_depths(k, "q", 0, 0, COUNT);
    kit_advance(k, 999);
    assert_empty(k, "q");
    kit_advance(k, 1);
    assert_depths(k, "q", COUNT, 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        job j;
        assert_status(LK_OK, jobs_try_pull(k, "q", &j));
        assert_int_equal(strtoull(j.data, NULL, 10), i);
    }
    assert_empty(k, "q");
}

static void
test_release_with_delay_is_visible_when_it_is_over(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 100));
        assert_lost(k, &j);
        kit_advance(k, 99);
        assert_empty(k, "q");
        kit_advance(k, 1);
        assert_pull(k, "q", "a", &j);
        assert_int_equal(j.claim.receives, 2);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
}

static void
test_deadlines_and_delays_do_not_heed_the_wall_clock(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        jobs_push_delayed(k, "q", "b", "b", 50);
        assert_pull(k, "q", "a", &j);
        realtime_step(k, LK_HOURS(100000));
        assert_empty(k, "q");
        realtime_step(k, -LK_HOURS(200000));
        assert_empty(k, "q");
        monotonic_step(k, 50);
        assert_pull(k, "q", "b", NULL);
        monotonic_step(k, JOB_VISIBILITY_MS - 49);
        assert_pull(k, "q", "a", NULL);
        realtime_step(k, LK_HOURS(100000));
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

/* ---- expiry ---- */

static void
test_ready_job_expires(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        jobs_push_expiring(k, "q", sks[i], "a", k->now_ms + 100);
        jobs_push_expiring(k, "q", "~", "b", k->now_ms + 100);
        kit_advance(k, 100);
        assert_depths(k, "q", 2, 0, 0);
        job j;
        assert_pull(k, "q", "a", &j);
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
        kit_advance(k, 1);
        assert_depths(k, "q", 0, 0, 0);
        assert_empty(k, "q");
        assert_int_equal(jobs_items(k, "q"), 0);
        assert_true(kit_holds(k, j.claim.key, NULL));
        lk_claim by_key = {.key = j.claim.key};
        assert_status(LK_LOST, lk_queue_acknowledge(k->db, &by_key, 1));
        assert_status(LK_LOST, lk_queue_release(k->db, &by_key, 0));
        assert_empty(k, "q");
    }
}

static void
test_claimed_job_expires_and_the_claim_is_lost(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push_expiring(k, "q", sks[i], "a", k->now_ms + 100);
        assert_pull(k, "q", "a", &j);
        assert_true(j.expires_at_ms == k->now_ms + 100);
        kit_advance(k, 100);
        assert_held(k, &j);
        kit_advance(k, 1);
        assert_lost(k, &j);
        assert_depths(k, "q", 0, 0, 0);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        assert_empty(k, "q");
        assert_lost(k, &j);
    }
}

static void
test_delayed_job_expires_before_it_is_seen(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        lk_item item = kit_item("q", sks[i], "a");
        lk_push_options options = {.delay_ms = 200};
        item.expires_at_ms = k->now_ms + 100;
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, &options, NULL));
        assert_depths(k, "q", 0, 0, 1);
        kit_advance(k, 101);
        assert_depths(k, "q", 0, 0, 0);
        kit_advance(k, 200);
        assert_empty(k, "q");
    }
}

static void
test_pull_passes_over_what_has_expired(void **state)
{
    kit *k = *state;
    enum { COUNT = 1500 };
    for (size_t i = 0; i < COUNT; i++)
        jobs_push_expiring(k, "q", i % 3 == 0 ? kit_numbered("q", i).sk.data : NULL, "gone",
                           k->now_ms + 10 + (int64_t)i % 5);
    jobs_push(k, "q", NULL, "here");
    jobs_push(k, "q", "~", "here, too");
    kit_advance(k, 15);
    assert_depths(k, "q", 2, 0, 0);
    assert_pull(k, "q", "here", NULL);
    assert_pull(k, "q", "here, too", NULL);
    assert_empty(k, "q");
    assert_int_equal(jobs_items(k, "q"), 2);
}

static void
test_job_pushed_expired_is_gone_at_once(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push_expiring(k, "q", sks[i], "a", k->now_ms - 1);
        assert_empty(k, "q");
        assert_depths(k, "q", 0, 0, 0);
        assert_int_equal(jobs_items(k, "q"), 0);
        jobs_push(k, "q", "own", "b");
        assert_pull(k, "q", "b", &j);
        jobs_push_expiring(k, "q", "own", "c", 1); /* replaces, and is gone */
        assert_lost(k, &j);
        assert_int_equal(jobs_items(k, "q"), 0);
    }
}

/* Expiry heeds the wall clock, and that may step back before anything was swept. */
static void
test_clock_that_steps_back_never_lets_two_hold_a_job(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push_expiring(k, "q", sks[i], "a", k->now_ms + 100);
        assert_pull(k, "q", "a", &j);
        realtime_step(k, 101);
        assert_empty(k, "q");
        realtime_step(k, -50);
        assert_empty(k, "q"); /* there or not, it is not free */
        monotonic_step(k, JOB_VISIBILITY_MS + 1);
        lk_status status = jobs_try_pull(k, "q", NULL);
        assert_true(status == LK_OK || status == LK_EMPTY);
        assert_true(lk_queue_acknowledge(k->db, &j.claim, 1) == LK_LOST);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

static lk_status
jobs_try_pull_big(kit *k)
{
    lk_pull_options options = {.pk = lk_string("q")};
    return lk_queue_pull(k->db, &options, k->result);
}

static void
test_sweep_gives_the_memory_of_expired_jobs_back(void **state)
{
    kit *k = *state;
    enum { COUNT = 4000 };
    static char bytes[300];
    size_t before = atomic_load(&k->memory.bytes);
    for (int form = 0; form < 4; form++) { /* ready, claimed, delayed, with keys */
        lk_push_options options = {.delay_ms = form == 2 ? LK_HOURS(1) : 0};
        for (size_t i = 0; i < COUNT; i++) {
            lk_item item = {.key = kit_numbered("q", i),
                            .data = {bytes, sizeof bytes},
                            .expires_at_ms = k->now_ms + 1000};
            item.key.sk.size = form == 3 ? item.key.sk.size : 0;
            assert_status(LK_OK, lk_queue_push(k->db, &item, 1, &options, NULL));
        }
        for (size_t i = 0; form == 1 && i < COUNT; i++)
            assert_status(LK_OK, jobs_try_pull_big(k));
        size_t full = atomic_load(&k->memory.bytes);
        assert_true(full > before + COUNT * sizeof bytes);
        kit_advance(k, 1001);
        kit_sweep(k);
        kit_advance(k, LK_MINUTES(2));
        kit_sweep(k);
        kit_advance(k, LK_MINUTES(2));
        kit_sweep(k);
        size_t after = atomic_load(&k->memory.bytes);
        assert_true(after < before + (full - before) / 10);
        assert_depths(k, "q", 0, 0, 0);
        assert_int_equal(kit_statistics(k).retired_bytes, 0);
    }
}

/* A queue through which jobs flow needs no sweep. */
static void
test_flow_of_jobs_needs_no_more_memory(void **state)
{
    kit *k = *state;
    size_t level = 0;
    for (size_t turn = 0; turn < 40; turn++) {
        assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, 1000, NULL, NULL));
        for (size_t i = 0; i < 1000; i++) {
            job j;
            assert_status(LK_OK, jobs_try_pull(k, "q", &j));
            assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        }
        kit_advance(k, 100);
        if (turn == 9)
            level = atomic_load(&k->memory.bytes);
    }
    assert_true(atomic_load(&k->memory.bytes) < level * 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_claim_lapses_after_its_deadline_not_at_it),
        TEST(test_acknowledge_after_the_deadline_is_late),
        TEST(test_release_after_the_deadline_is_late),
        TEST(test_extend_after_the_deadline_is_ok_until_somebody_else_claims),
        TEST(test_lapsed_jobs_come_again_at_their_place),
        TEST(test_claims_of_different_lengths_lapse_each_at_its_time),
        TEST(test_times_of_any_length_do_not_overflow),
        TEST(test_delayed_job_is_visible_when_its_delay_is_over),
        TEST(test_delayed_jobs_hold_up_none_and_keep_their_place),
        TEST(test_batch_is_delayed_as_a_whole),
        TEST(test_release_with_delay_is_visible_when_it_is_over),
        TEST(test_deadlines_and_delays_do_not_heed_the_wall_clock),
        TEST(test_ready_job_expires),
        TEST(test_claimed_job_expires_and_the_claim_is_lost),
        TEST(test_delayed_job_expires_before_it_is_seen),
        TEST(test_pull_passes_over_what_has_expired),
        TEST(test_job_pushed_expired_is_gone_at_once),
        TEST(test_clock_that_steps_back_never_lets_two_hold_a_job),
        TEST(test_sweep_gives_the_memory_of_expired_jobs_back),
        TEST(test_flow_of_jobs_needs_no_more_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
