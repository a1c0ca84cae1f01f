/* SPDX-License-Identifier: MIT
 *
 * Area: what the calls of queues refuse. Nothing changes, and outputs are untouched.
 */
#include "suite.h"

/* One claimed job, one that is ready. */
static void
queue_begin(rig *r, job *j)
{
    lkc_push(r->db, "q", NULL, "claimed");
    assert_pull(r, "q", "claimed", j);
    lkc_push(r->db, "q", "ready", "ready");
    lkc_prime(r->result);
}

static void
queue_end(rig *r, job *j)
{
    assert_true(lkc_is_primed(r->result));
    assert_depths(r, "q", 1, 1, 0);
    assert_holds(r, lk_key_of("q", "ready"), "ready");
    assert_held(r, j);
    lk_queue_statistics s = lkc_stats(r->db, "q");
    assert_true(s.pushes == 2 && s.pulls == 1 && s.late == 0 && s.lost == 0);
}

static void
test_bad_pushes_change_nothing(rig *r)
{
    job j;
    char *large = calloc(1, r->about.max_pk_size + r->about.max_sk_size + 1);
    assert_non_null(large);
    const lk_item good = lkc_item("q", "new", "x"), plain = lkc_item("q", NULL, "x");
    lk_item bad[] = {good, good, good, good, good, good, plain, plain, good, good, plain};
    bad[0].key.pk.size = 0;
    bad[1].key.pk = lkc_bytes(NULL, 1);
    bad[2].key.sk = lkc_bytes(NULL, 1);
    bad[3].data = lkc_bytes(NULL, 1);
    bad[4].expires_at_ms = -1;
    bad[5].key.pk = lk_string("q2"); /* "All jobs have the same pk, else LK_INVALID" */
    bad[6].key.pk = lk_string("Q");
    bad[7].data = lkc_bytes("x", r->about.max_data_size + 1);
    bad[8].key.sk = lkc_bytes(large, r->about.max_sk_size + 1);
    bad[9].data = lkc_bytes("x", SIZE_MAX);
    bad[10].expires_at_ms = INT64_MIN;
    queue_begin(r, &j);
    for (size_t i = 0; i < COUNT(bad); i++) {
        lk_item own[] = {lkc_item("q", "first", "x"), bad[i]}, generated[] = {plain, bad[i]};
        lk_status wanted = i >= 7 && i < 10 ? LK_TOO_BIG : LK_INVALID;
        assert_status(wanted, lk_queue_push(r->db, own, 2, NULL, r->result));
        assert_status(wanted, lk_queue_push(r->db, generated, 2, NULL, r->result));
    }
    lk_item pk[] = {plain};
    pk[0].key.pk = lkc_bytes(large, r->about.max_pk_size + 1);
    assert_status(LK_TOO_BIG, lk_queue_push(r->db, pk, 1, NULL, r->result));
    lk_item twice[] = {good, plain, good}; /* "no key twice" */
    assert_status(LK_INVALID, lk_queue_push(r->db, twice, 3, NULL, r->result));
    lk_push_options negative = {.delay_ms = -1}, least = {.delay_ms = INT64_MIN};
    assert_status(LK_INVALID, lk_queue_push(r->db, &good, 1, &negative, r->result));
    assert_status(LK_INVALID, lk_queue_push(r->db, &plain, 1, &negative, r->result));
    assert_status(LK_INVALID, lk_queue_push(r->db, &plain, 1, &least, r->result));
    assert_status(LK_INVALID, lk_queue_push(NULL, &plain, 1, NULL, r->result));
    assert_status(LK_INVALID, lk_queue_push(r->db, NULL, 1, NULL, r->result));
    queue_end(r, &j);
    assert_holds(r, good.key, NULL);
    assert_holds(r, lk_key_of("q", "first"), NULL);
    free(large);
}

/* latchkey.h: "Where a job has an sk [...] at most LK_COMMIT_MAX jobs" */
static void
test_push_of_too_many_with_keys_is_too_big(rig *r)
{
    enum { MOST = LK_COMMIT_MAX };
    lk_item *items = calloc(MOST + 1, sizeof *items);
    assert_non_null(items);
    for (size_t i = 0; i <= MOST; i++)
        items[i] = lkc_item("q", NULL, "x");
    items[0].key.sk = lk_string("own");
    lkc_prime(r->result);
    assert_status(LK_TOO_BIG, lk_queue_push(r->db, items, MOST + 1, NULL, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_depths(r, "q", 0, 0, 0);
    assert_status(LK_OK, lk_queue_push(r->db, items, MOST, NULL, NULL));
    assert_status(LK_OK, lk_queue_push(r->db, items + 1, MOST, NULL, NULL)); /* without keys */
    assert_depths(r, "q", 2 * MOST, 0, 0);
    free(items);
}

/* "Up to 1,024 of each": half of them pushes, half acknowledges. */
static void
test_commit_of_1024_jobs_is_done_and_of_more_is_too_big(rig *r)
{
    enum { MOST = LK_COMMIT_MAX, HALF = MOST / 2 };
    lk_write *writes = calloc(MOST + 1, sizeof *writes);
    lk_item *items = calloc(HALF, sizeof *items);
    lk_result *pulled = lk_result_new();
    assert_true(writes != NULL && items != NULL && pulled != NULL);
    for (size_t i = 0; i < HALF; i++)
        items[i] = lkc_item("q", NULL, "x");
    assert_status(LK_OK, lk_queue_push(r->db, items, HALF, NULL, NULL));
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = HALF};
    assert_status(LK_OK, lk_queue_pull(r->db, &options, pulled));
    for (size_t i = 0; i <= MOST; i++)
        writes[i] = i % 2 == 0 ? (lk_write){.kind = LK_PUSH, .item = lkc_item("q2", NULL, "x")}
                               : (lk_write){.kind = LK_ACKNOWLEDGE,
                                            .claim = lk_result_claim(pulled, i / 2)};
    assert_status(LK_TOO_BIG, lk_commit(r->db, writes, MOST + 1, NULL, 0, NULL));
    assert_depths(r, "q", 0, HALF, 0);
    assert_status(LK_OK, lk_commit(r->db, writes, MOST, NULL, 0, NULL));
    assert_depths(r, "q", 0, 0, 0);
    assert_depths(r, "q2", HALF, 0, 0);
    lk_result_free(pulled);
    free(items);
    free(writes);
}

static void
test_bad_pulls_change_nothing(rig *r)
{
    job j;
    const lk_bytes q = lk_string("q"), long_pk = {"x", r->about.max_pk_size + 1};
    const struct {
        lk_pull_options options;
        lk_status wanted;
    } bad[] = {
        {{.pk = {NULL, 0}}, LK_INVALID},
        {{.pk = {NULL, 1}}, LK_INVALID},
        {{.pk = long_pk}, LK_TOO_BIG},
        {{.pk = q, .visibility_ms = -1}, LK_INVALID},
        {{.pk = q, .visibility_ms = INT64_MIN}, LK_INVALID},
        {{.pk = q, .wait_ms = -2}, LK_INVALID},
        {{.pk = q, .wait_ms = INT64_MIN}, LK_INVALID},
        {{.pk = q, .max_receives = 1}, LK_INVALID}, /* "needs a dead_pk that differs from pk" */
        {{.pk = q, .max_receives = 1, .dead_pk = q}, LK_INVALID},
        {{.pk = q, .max_receives = 1, .dead_pk = {NULL, 1}}, LK_INVALID},
        {{.pk = q, .max_receives = 1, .dead_pk = long_pk}, LK_TOO_BIG},
    };
    queue_begin(r, &j);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_status(bad[i].wanted, lk_queue_pull(r->db, &bad[i].options, r->result));
    lk_pull_options good = {.pk = q};
    assert_status(LK_INVALID, lk_queue_pull(NULL, &good, r->result));
    assert_status(LK_INVALID, lk_queue_pull(r->db, NULL, r->result));
    assert_status(LK_INVALID, lk_queue_pull(r->db, &good, NULL));
    queue_end(r, &j);
}

static void
test_bad_claims_change_nothing(rig *r)
{
    job j;
    queue_begin(r, &j);
    lk_claim bad[] = {j.claim, j.claim, j.claim};
    bad[0].key.pk.size = 0;
    bad[1].key.sk = lkc_bytes(NULL, 1);
    bad[2].key.sk = lkc_bytes("x", r->about.max_sk_size + 1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        lk_claim before = bad[i], claims[] = {j.claim, bad[i]};
        lk_status wanted = i == 2 ? LK_TOO_BIG : LK_INVALID;
        assert_status(wanted, lk_queue_acknowledge(r->db, claims, 2));
        assert_status(wanted, lk_queue_release(r->db, &bad[i], 0));
        assert_status(wanted, lk_queue_extend(r->db, &bad[i], 0));
        assert_memory_equal(&before, &bad[i], sizeof before);
    }
    lk_claim before = j.claim;
    assert_status(LK_INVALID, lk_queue_release(r->db, &j.claim, -1));
    assert_status(LK_INVALID, lk_queue_release(r->db, &j.claim, INT64_MIN));
    assert_status(LK_INVALID, lk_queue_extend(r->db, &j.claim, -1));
    assert_status(LK_INVALID, lk_queue_extend(r->db, &j.claim, INT64_MIN));
    assert_status(LK_INVALID, lk_queue_release(r->db, NULL, 0));
    assert_status(LK_INVALID, lk_queue_extend(r->db, NULL, 0));
    assert_status(LK_INVALID, lk_queue_acknowledge(r->db, NULL, 1));
    assert_status(LK_INVALID, lk_queue_acknowledge(NULL, &j.claim, 1));
    assert_status(LK_INVALID, lk_queue_release(NULL, &j.claim, 0));
    assert_status(LK_INVALID, lk_queue_extend(NULL, &j.claim, 0));
    assert_memory_equal(&before, &j.claim, sizeof before);
    queue_end(r, &j);
}

static void
test_bad_names_of_queues_change_nothing(rig *r)
{
    job j;
    lk_queue_statistics stats;
    size_t purged = 77;
    int fd = 77;
    const lk_bytes bad[] = {{NULL, 0}, {NULL, 1}, {"x", r->about.max_pk_size + 1}};
    queue_begin(r, &j);
    lkc_fill(&stats, sizeof stats);
    for (size_t i = 0; i < COUNT(bad); i++) {
        lk_status wanted = i == 2 ? LK_TOO_BIG : LK_INVALID;
        assert_status(wanted, lk_queue_stats(r->db, bad[i], &stats));
        assert_status(wanted, lk_queue_purge(r->db, bad[i], &purged));
        assert_status(wanted, lk_queue_close(r->db, bad[i]));
        if (lkc_can(r, LK_HAS_QUEUE_FD))
            assert_status(wanted, lk_queue_fd(r->db, bad[i], &fd));
    }
    lk_bytes q = lk_string("q");
    assert_status(LK_INVALID, lk_queue_stats(NULL, q, &stats));
    assert_status(LK_INVALID, lk_queue_stats(r->db, q, NULL));
    assert_status(LK_INVALID, lk_queue_purge(NULL, q, &purged));
    assert_status(LK_INVALID, lk_queue_close(NULL, q));
    assert_status(LK_INVALID, lk_queue_fd(NULL, q, &fd));
    assert_status(LK_INVALID, lk_queue_fd(r->db, q, NULL));
    assert_true(lkc_is_filled(&stats, sizeof stats) && purged == 77 && fd == 77);
    queue_end(r, &j);
}

static void
test_bad_inspections_change_nothing(rig *r)
{
    job j;
    lk_job found[2];
    const lk_key good = lk_key_of("q", "ready"),
                 bad[] = {{{NULL, 0}, {"a", 1}},
                          {{NULL, 1}, {"a", 1}},
                          {{"q", 1}, {NULL, 1}},
                          {{"q", 1}, {"x", r->about.max_sk_size + 1}},
                          {{"x", r->about.max_pk_size + 1}, {NULL, 0}}};
    queue_begin(r, &j);
    lkc_fill(found, sizeof found);
    for (size_t i = 0; i < COUNT(bad); i++) {
        lk_status wanted = i < 3 ? LK_INVALID : LK_TOO_BIG;
        lk_key keys[] = {good, bad[i]};
        assert_status(wanted, lk_queue_inspect(r->db, bad[i], found));
        assert_status(wanted, lk_queue_inspect_many(r->db, keys, 2, found));
    }
    assert_status(LK_INVALID, lk_queue_inspect(NULL, good, found));
    assert_status(LK_INVALID, lk_queue_inspect(r->db, good, NULL));
    assert_status(LK_INVALID, lk_queue_inspect_at(r->db, NULL, found));
    assert_status(LK_INVALID, lk_queue_inspect_many(r->db, NULL, 1, found));
    assert_status(LK_INVALID, lk_queue_inspect_many(r->db, &good, 1, NULL));
    assert_status(LK_OK, lk_queue_inspect_many(r->db, NULL, 0, NULL));
    assert_true(lkc_is_filled(found, sizeof found));
    lk_key keys[] = {lk_key_of("q", "none"), good};
    assert_status(LK_OK, lk_queue_inspect_many(r->db, keys, 2, found));
    assert_true(found[0].state == 0 && found[1].state == LK_JOB_READY && found[1].receives == 0);
    queue_end(r, &j);
}

/* "no abort": times of any length are what they are, and do not wrap. */
static void
test_times_of_any_length_do_not_wrap(rig *r)
{
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = INT64_MAX};
    lk_push_options delay = {.delay_ms = INT64_MAX};
    job j;
    assert_status(LK_OK, lkc_try_push(r->db, "q", "own", "never", &delay));
    assert_status(LK_OK, lkc_try_push(r->db, "q", NULL, "never", &delay));
    lkc_push(r->db, "q", NULL, "x");
    assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
    lkc_job_keep(&j, r->result, 0);
    assert_string_equal(j.data, "x");
    assert_true(j.claim.deadline_ms > atomic_load(&r->monotonic_ms));
    lkc_advance(r, LK_HOURS(24 * 365));
    assert_empty(r, "q");
    assert_status(LK_OK, lk_queue_extend(r->db, &j.claim, INT64_MAX));
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, INT64_MAX));
    assert_empty(r, "q");
    assert_depths(r, "q", 0, 0, 3);
}

static const lkc_case cases[] = {
    CASE(test_bad_pushes_change_nothing, LK_HAS_QUEUES),
    CASE(test_push_of_too_many_with_keys_is_too_big, LK_HAS_QUEUES),
    CASE(test_commit_of_1024_jobs_is_done_and_of_more_is_too_big, LK_COMMITS_JOBS),
    CASE(test_bad_pulls_change_nothing, LK_HAS_QUEUES),
    CASE(test_bad_claims_change_nothing, LK_HAS_QUEUES),
    CASE(test_bad_names_of_queues_change_nothing, LK_HAS_QUEUES),
    CASE(test_bad_inspections_change_nothing, LK_HAS_QUEUE_INSPECT),
    CASE(test_times_of_any_length_do_not_wrap, LK_HAS_QUEUES),
};
AREA(lkc_queue_bad_area, cases);
