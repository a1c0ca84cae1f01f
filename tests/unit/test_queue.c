/* SPDX-License-Identifier: MIT
 *
 * Queues: order, claims, what becomes of a job. Time is in test_queue_time.c, depth, dead letters, closing and purging in
 * test_queue_rules.c, generated keys in test_queue_ulid.c, jobs as items in test_queue_items.c, wrong arguments in
 * test_queue_bad.c.
 */
#include "support/jobs.h"

/* ---- order ---- */

static void
test_pull_of_unknown_queue_is_empty_and_leaves_no_trace(void **state)
{
    kit *k = *state;
    static const lk_queue_statistics zero;
    kit_set(k, "other", "a", "1");
    assert_true(kit_holds(k, kit_key("other", "a"), "1"));
    assert_status(LK_EMPTY, jobs_try_pull(k, "q", NULL));
    assert_int_equal(lk_result_count(k->result), 1); /* untouched */
    assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "1"));
    lk_queue_statistics statistics = jobs_statistics(k, "q");
    assert_memory_equal(&statistics, &zero, sizeof zero);
}

static void
test_jobs_come_first_in_first_out(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < 100; i++)
        assert_status(LK_OK, jobs_try_push_batch(k, "q", i, 1, NULL, NULL));
    job j;
    for (size_t i = 0; i < 100; i++) {
        assert_status(LK_OK, jobs_try_pull(k, "q", &j));
        assert_int_equal(strtoull(j.data, NULL, 10), i);
        if (i % 2 == 0)
            assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
    assert_empty(k, "q");
    assert_depths(k, "q", 0, 50, 0);
}

static void
test_pull_of_many_takes_the_first_ones_with_their_claims(void **state)
{
    kit *k = *state;
    lk_pull_options options = {
        .pk = lk_string("q"), .visibility_ms = JOB_VISIBILITY_MS, .max_jobs = 4};
    static const size_t wanted[] = {4, 4, 2};
    size_t seen = 0;
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, 10, NULL, NULL));
    for (size_t turn = 0; turn < KIT_COUNT(wanted); turn++) {
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        assert_int_equal(lk_result_count(k->result), wanted[turn]);
        for (size_t i = 0; i < wanted[turn]; i++) {
            job j;
            job_keep(&j, k->result, i);
            assert_int_equal(job_number(lk_result_item(k->result, i)), seen);
            assert_int_equal(j.claim.receives, 1);
            assert_int_equal(j.claim.deadline_ms, k->monotonic_ms + JOB_VISIBILITY_MS);
            assert_true(j.claim.token != 0);
            seen++;
        }
        assert_null(lk_result_claim(k->result, wanted[turn]));
        assert_null(lk_result_item(k->result, wanted[turn]));
    }
    assert_status(LK_EMPTY, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_count(k->result), 2);
}

static void
test_pull_of_more_than_there_is_takes_all(void **state)
{
    kit *k = *state;
    static const size_t counts[] = {3, 600, 1000, SIZE_MAX};
    for (size_t i = 0; i < KIT_COUNT(counts); i++) {
        lk_pull_options options = {.pk = lk_string("q"), .max_jobs = counts[i]};
        size_t wanted = counts[i] < 1500 ? counts[i] : 1500;
        assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, wanted, NULL, NULL));
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        assert_int_equal(lk_result_count(k->result), wanted);
        for (size_t at = 0; at < wanted; at++)
            assert_int_equal(job_number(lk_result_item(k->result, at)), at);
        assert_empty(k, "q");
        assert_status(LK_OK, lk_queue_purge(k->db, options.pk, NULL));
    }
}

static void
test_pull_without_visibility_holds_for_five_minutes(void **state)
{
    kit *k = *state;
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("q");
    jobs_push(k, "q", NULL, "a");
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_claim(k->result, 0)->deadline_ms, k->monotonic_ms + LK_MINUTES(5));
    kit_advance(k, LK_MINUTES(5));
    assert_empty(k, "q");
    kit_advance(k, 1);
    assert_pull(k, "q", "a", NULL);
}

static void
test_jobs_with_keys_come_in_their_order(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {"b", "a", "ab", "aa", "c", "B", "bb"};
    static const char *const wanted[] = {"B", "a", "aa", "ab", "b", "bb", "c"};
    for (size_t i = 0; i < KIT_COUNT(sks); i++)
        jobs_push(k, "q", sks[i], sks[i]);
    for (size_t i = 0; i < KIT_COUNT(wanted); i++)
        assert_pull(k, "q", wanted[i], NULL);
    assert_empty(k, "q");
}

static void
test_jobs_with_binary_keys_come_in_their_order(void **state)
{
    kit *k = *state;
    static const lk_bytes sks[] = {{"\xff", 1}, {"\0", 1}, {"\0\0", 2}, {"\x7f", 1}, {"\x80", 1}};
    static const size_t wanted[] = {1, 2, 3, 4, 0};
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        lk_item item = {.key = {lk_string("q"), sks[i]}};
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
    }
    lk_pull_options options = {.pk = lk_string("q")};
    for (size_t i = 0; i < KIT_COUNT(wanted); i++) {
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        lk_bytes sk = lk_result_claim(k->result, 0)->key.sk;
        assert_true(kit_bytes_equal(sk, sks[wanted[i]]));
        assert_int_equal(lk_result_item(k->result, 0)->data.size, 0);
    }
}

static void
test_jobs_with_and_without_keys_share_one_order(void **state)
{
    kit *k = *state;
    jobs_push(k, "q", NULL, "generated 1");
    jobs_push(k, "q", "zz", "last");
    jobs_push(k, "q", "!", "first");
    jobs_push(k, "q", NULL, "generated 2");
    jobs_push(k, "q", "0", "second"); /* ULIDs of our time begin with 01 */
    assert_pull(k, "q", "first", NULL);
    assert_pull(k, "q", "second", NULL);
    assert_pull(k, "q", "generated 1", NULL);
    jobs_push(k, "q", "\"", "in between");
    assert_pull(k, "q", "in between", NULL);
    assert_pull(k, "q", "generated 2", NULL);
    assert_pull(k, "q", "last", NULL);
    assert_empty(k, "q");
}

static void
test_batch_with_and_without_keys_is_pushed_whole(void **state)
{
    kit *k = *state;
    lk_item items[] = {kit_item("q", NULL, "g1"), kit_item("q", "~", "own 2"),
                       kit_item("q", NULL, "g2"), kit_item("q", "#", "own 1")};
    lk_result *pushed = lk_result_new();
    assert_status(LK_OK, lk_queue_push(k->db, items, 4, NULL, pushed));
    assert_int_equal(lk_result_count(pushed), 4);
    for (size_t i = 0; i < 4; i++) {
        const lk_item *item = lk_result_item(pushed, i);
        assert_true(kit_bytes_equal(item->data, items[i].data));
        assert_true(i % 2 == 0 ? jobs_is_ulid(item->key.sk)
                               : kit_bytes_equal(item->key.sk, items[i].key.sk));
    }
    lk_result_free(pushed);
    assert_pull(k, "q", "own 1", NULL);
    assert_pull(k, "q", "g1", NULL);
    assert_pull(k, "q", "g2", NULL);
    assert_pull(k, "q", "own 2", NULL);
}

static void
test_queues_with_similar_names_are_apart(void **state)
{
    kit *k = *state;
    static const lk_bytes names[] = {{"q", 1}, {"q\0", 2}, {"qq", 2}, {"\0", 1}, {"q\xff", 2}};
    for (size_t i = 0; i < KIT_COUNT(names); i++) {
        lk_item items[2] = {{.key = {.pk = names[i]}, .data = {&names[i], sizeof names[i]}},
                            {.key = {.pk = names[i], .sk = {"~", 1}}, .data = {"x", 1}}};
        assert_status(LK_OK, lk_queue_push(k->db, items, 1, NULL, NULL));
        assert_status(LK_OK, lk_queue_push(k->db, items + 1, 1, NULL, NULL));
    }
    for (size_t i = 0; i < KIT_COUNT(names); i++) {
        lk_pull_options options = {.pk = names[i], .max_jobs = 5};
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        assert_int_equal(lk_result_count(k->result), 2);
        assert_memory_equal(lk_result_item(k->result, 0)->data.data, &names[i], sizeof names[i]);
        assert_true(kit_bytes_equal(lk_result_item(k->result, 0)->key.pk, names[i]));
    }
}

/* ---- acknowledge, release, extend ---- */

static void
acknowledge_takes_out(kit *k, const char *sk)
{
    job j;
    jobs_push(k, "q", sk, "a");
    assert_pull(k, "q", "a", &j);
    assert_true(kit_holds(k, j.claim.key, "a"));
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    assert_true(kit_holds(k, j.claim.key, NULL));
    assert_lost(k, &j);
    assert_empty(k, "q");
    assert_depths(k, "q", 0, 0, 0);
    assert_int_equal(jobs_items(k, "q"), 0);
}

static void
test_acknowledge_takes_the_job_out_for_good(void **state)
{
    acknowledge_takes_out(*state, NULL);
    acknowledge_takes_out(*state, "own");
}

static void
test_acknowledge_of_several_judges_each_on_its_own(void **state)
{
    kit *k = *state;
    job j[4];
    lk_claim claims[4];
    for (size_t i = 0; i < 4; i++)
        jobs_push(k, "q", i == 2 ? "own" : NULL, i == 2 ? "own" : "generated");
    for (size_t i = 0; i < 4; i++) {
        assert_status(LK_OK, jobs_try_pull(k, "q", &j[i]));
        claims[i] = j[i].claim;
    }
    assert_status(LK_OK, lk_queue_release(k->db, &claims[1], LK_HOURS(1)));
    assert_status(LK_LOST, lk_queue_acknowledge(k->db, claims, 4));
    assert_int_equal(jobs_items(k, "q"), 1);
    assert_depths(k, "q", 0, 0, 1);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, claims, 0));
    assert_status(LK_OK, lk_queue_acknowledge(k->db, NULL, 0));
}

static void
test_acknowledge_of_several_says_the_first_that_was_not_ok(void **state)
{
    kit *k = *state;
    for (int late_first = 0; late_first < 2; late_first++) {
        job late, lost;
        jobs_push(k, "q", NULL, "1");
        jobs_push(k, "q", NULL, "2");
        assert_pull(k, "q", "1", &late);
        assert_pull(k, "q", "2", &lost);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        lk_claim claims[2] = {lost.claim, late.claim};
        claims[late_first != 0].token ^= UINT64_C(1) << 63;
        assert_status(late_first != 0 ? LK_LATE : LK_LOST, lk_queue_acknowledge(k->db, claims, 2));
        assert_depths(k, "q", 1, 0, 0);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

static void
test_acknowledge_of_one_claim_named_twice_is_lost_the_second_time(void **state)
{
    kit *k = *state;
    job j;
    jobs_push(k, "q", NULL, "a");
    assert_pull(k, "q", "a", &j);
    lk_claim claims[2] = {j.claim, j.claim};
    assert_status(LK_LOST, lk_queue_acknowledge(k->db, claims, 2));
    assert_int_equal(jobs_items(k, "q"), 0);
}

static void
release_gives_back(kit *k, const char *sk0, const char *sk1, const char *sk2)
{
    job a, b;
    jobs_push(k, "q", sk0, "0");
    jobs_push(k, "q", sk1, "1");
    jobs_push(k, "q", sk2, "2");
    assert_pull(k, "q", "0", &a);
    assert_pull(k, "q", "1", &b);
    assert_status(LK_OK, lk_queue_release(k->db, &b.claim, 0));
    assert_lost(k, &b);
    assert_status(LK_OK, lk_queue_release(k->db, &a.claim, 0));
    assert_lost(k, &a);
    assert_depths(k, "q", 3, 0, 0);
    for (uint32_t receives = 2; receives < 6; receives++) {
        assert_pull(k, "q", "0", &a);
        assert_int_equal(a.claim.receives, receives);
        assert_status(LK_OK, lk_queue_release(k->db, &a.claim, 0));
    }
    assert_pull(k, "q", "0", &a);
    assert_pull(k, "q", "1", &b);
    assert_int_equal(b.claim.receives, 2);
    assert_pull(k, "q", "2", &b);
    assert_int_equal(b.claim.receives, 1);
    assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
}

static void
test_release_gives_the_job_back_at_its_place(void **state)
{
    release_gives_back(*state, NULL, NULL, NULL);
    release_gives_back(*state, "a", "b", "c");
    release_gives_back(*state, "!", NULL, "x");
}

static void
test_release_of_all_in_any_order_keeps_the_order(void **state)
{
    kit *k = *state;
    enum { COUNT = 1200 };
    static job jobs[COUNT];
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, COUNT, NULL, NULL));
    for (size_t i = 0; i < COUNT; i++)
        assert_status(LK_OK, jobs_try_pull(k, "q", &jobs[i]));
    assert_empty(k, "q");
    for (size_t i = 0; i < COUNT; i++)
        assert_status(LK_OK, lk_queue_release(k->db, &jobs[i * 7 % COUNT].claim, 0));
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = COUNT};
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_count(k->result), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(job_number(lk_result_item(k->result, i)), i);
        assert_int_equal(lk_result_claim(k->result, i)->receives, 2);
    }
}

/* Only the deadline of the caller's claim moves: a copy of the claim is as good. */
static void
test_extend_moves_the_deadline_and_leaves_the_token(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        lk_claim copy = j.claim;
        assert_status(LK_OK, lk_queue_extend(k->db, &j.claim, 70000));
        assert_int_equal(j.claim.deadline_ms, k->monotonic_ms + 70000);
        assert_true(j.claim.token == copy.token && j.claim.receives == 1);
        assert_status(LK_OK, lk_queue_extend(k->db, &copy, 0));
        assert_int_equal(copy.deadline_ms, k->monotonic_ms + LK_MINUTES(5));
        assert_status(LK_OK, lk_queue_extend(k->db, &j.claim, 10));
        kit_advance(k, 10);
        assert_empty(k, "q");
        kit_advance(k, 1);
        assert_pull(k, "q", "a", NULL);
        assert_lost(k, &j);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

/* ---- claims that are none ---- */

static void
job_forge(job *j, const char *pk, const char *sk, uint64_t token)
{
    snprintf(j->sk, sizeof j->sk, "%s", sk);
    j->claim = (lk_claim){.key = kit_key(pk, j->sk), .token = token, .receives = 1};
}

static void
test_claims_of_others_are_lost(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job a, b, forged;
        jobs_push(k, "a", sks[i], "a");
        jobs_push(k, "b", sks[i], "b");
        assert_pull(k, "a", "a", &a);
        assert_pull(k, "b", "b", &b);
        job_forge(&forged, "b", a.sk, a.claim.token);
        if (sks[i] == NULL || a.claim.token != b.claim.token)
            assert_lost(k, &forged);
        job_forge(&forged, "b", b.sk, 0);
        for (unsigned bit = 0; bit < 64; bit++) {
            forged.claim.token = b.claim.token ^ UINT64_C(1) << bit;
            if (forged.claim.token != 0)
                assert_lost(k, &forged);
        }
        assert_held(k, &a);
        assert_held(k, &b);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &a.claim, 1));
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &b.claim, 1));
    }
}

static void
test_claims_on_what_is_no_job_are_lost(void **state)
{
    kit *k = *state;
    kit_set(k, "q", "plain", "x");
    jobs_push(k, "q", "job", "y");
    static const char *const pks[] = {"q", "q", "q", "q", "none", "q"};
    static const char *const sks[] = {"plain", "job",  "none",
                                      "",      "none", "01HF7YAT00AAAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < KIT_COUNT(pks); i++) {
        job j = {.claim = {.key = kit_key(pks[i], sks[i]), .token = 12345, .receives = 1}};
        assert_lost(k, &j);
        j.claim.token = 0;
        if (strcmp(sks[i], "job") == 0)
            continue;
        assert_status(LK_LOST, lk_queue_acknowledge(k->db, &j.claim, 1));
        assert_status(LK_LOST, lk_queue_release(k->db, &j.claim, 0));
    }
    assert_true(kit_holds(k, kit_key("q", "plain"), "x"));
    assert_depths(k, "q", 1, 0, 0);
    assert_pull(k, "q", "y", NULL);
}

static void
test_stale_claims_are_lost_whoever_holds_the_job_now(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j[6];
        jobs_push(k, "q", sks[i], "a");
        for (size_t turn = 0; turn < KIT_COUNT(j); turn++) {
            assert_pull(k, "q", "a", &j[turn]);
            assert_int_equal(j[turn].claim.receives, turn + 1);
            for (size_t old = 0; old < turn; old++) {
                assert_true(j[old].claim.token != j[turn].claim.token);
                assert_lost(k, &j[old]);
            }
            assert_held(k, &j[turn]);
            if (turn % 2 == 0)
                assert_status(LK_OK, lk_queue_release(k->db, &j[turn].claim, 0));
            else
                kit_advance(k, JOB_VISIBILITY_MS + 1);
        }
        assert_status(LK_LATE, lk_queue_acknowledge(k->db, &j[5].claim, 1));
    }
}

/* ---- token 0 ---- */

static void
acknowledge_by_key(kit *k, const char *sk)
{
    /* Ready, claimed, delayed, lapsed: all the same. */
    for (int form = 0; form < 4; form++) {
        job j;
        lk_push_options options = {.delay_ms = form == 2 ? LK_HOURS(1) : 0};
        lk_result *pushed = lk_result_new();
        lk_item item = kit_item("q", sk, "a");
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, &options, pushed));
        if (form == 1 || form == 3)
            assert_pull(k, "q", "a", &j);
        if (form == 3)
            kit_advance(k, JOB_VISIBILITY_MS + 1);
        lk_claim claim = {.key = lk_result_item(pushed, 0)->key};
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &claim, 1));
        assert_status(LK_LOST, lk_queue_acknowledge(k->db, &claim, 1));
        if (form == 1 || form == 3)
            assert_lost(k, &j);
        assert_depths(k, "q", 0, 0, 0);
        assert_int_equal(jobs_items(k, "q"), 0);
        lk_result_free(pushed);
    }
}

static void
test_acknowledge_with_token_0_takes_out_by_key(void **state)
{
    acknowledge_by_key(*state, NULL);
    acknowledge_by_key(*state, "own");
}

static void
release_by_key(kit *k, const char *sk)
{
    job j, again;
    jobs_push(k, "q", sk, "a");
    assert_pull(k, "q", "a", &j);
    lk_claim claim = {.key = j.claim.key};
    assert_status(LK_OK, lk_queue_release(k->db, &claim, 0));
    assert_lost(k, &j);
    assert_pull(k, "q", "a", &again);
    assert_int_equal(again.claim.receives, 2);
    assert_status(LK_OK, lk_queue_release(k->db, &claim, 500)); /* claimed: delayed */
    assert_lost(k, &again);
    assert_empty(k, "q");
    assert_depths(k, "q", 0, 0, 1);
    assert_status(LK_OK, lk_queue_release(k->db, &claim, 0)); /* delayed: ready */
    assert_depths(k, "q", 1, 0, 0);
    assert_status(LK_OK, lk_queue_release(k->db, &claim, 700)); /* ready: delayed */
    assert_empty(k, "q");
    kit_advance(k, 701);
    assert_pull(k, "q", "a", &j);
    assert_int_equal(j.claim.receives, 3);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
}

static void
test_release_with_token_0_gives_back_by_key(void **state)
{
    release_by_key(*state, NULL);
    release_by_key(*state, "own");
}

/* ---- results ---- */

static void
test_push_gives_the_jobs_as_they_are_stored(void **state)
{
    kit *k = *state;
    lk_item items[2] = {kit_item("q", NULL, "one"), kit_item("q", NULL, "")};
    items[0].expires_at_ms = k->now_ms + 5000;
    assert_status(LK_OK, lk_queue_push(k->db, items, 2, NULL, k->result));
    assert_int_equal(lk_result_count(k->result), 2);
    for (size_t i = 0; i < 2; i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_true(kit_bytes_are(item->key.pk, "q") && jobs_is_ulid(item->key.sk));
        assert_true(kit_bytes_equal(item->data, items[i].data));
        assert_true(item->expires_at_ms == items[i].expires_at_ms);
        assert_null(lk_result_claim(k->result, i));
    }
    assert_status(LK_OK, lk_queue_push(k->db, NULL, 0, NULL, k->result));
    assert_int_equal(lk_result_count(k->result), 0);
    assert_status(LK_OK, lk_queue_push(k->db, items, 0, NULL, NULL));
    assert_depths(k, "q", 2, 0, 0);
}

/* Input may lie in the very result that the call fills. */
static void
test_calls_take_their_input_from_the_result_that_they_fill(void **state)
{
    kit *k = *state;
    lk_item item = kit_item("q", NULL, "to and fro");
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, k->result));
    for (int i = 0; i < 3; i++) {
        item = *lk_result_item(k->result, 0);
        item.key.sk.size = 0;
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, k->result));
    }
    for (int i = 0; i < 4; i++) {
        lk_pull_options options = {.pk = lk_result_item(k->result, 0)->key.pk};
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
        assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "to and fro"));
    }
    assert_non_null(lk_result_claim(k->result, 0));
    lk_key key = lk_result_claim(k->result, 0)->key;
    assert_status(LK_OK, lk_get(k->db, key, k->result));
    assert_null(lk_result_claim(k->result, 0));
}

static void
test_jobs_of_all_sizes_come_as_they_went(void **state)
{
    kit *k = *state;
    static const size_t sizes[] = {0, 1, 7, 8, 63, 64, 200, 255, 256, 4000, 70000, 3 << 20};
    unsigned char *bytes = malloc(3 << 20);
    assert_non_null(bytes);
    for (size_t i = 0; i < 3 << 20; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 256);
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        lk_item item = {.key = {.pk = lk_string("q")}, .data = {bytes, sizes[i]}};
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
    }
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 100};
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_count(k->result), KIT_COUNT(sizes));
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_true(kit_bytes_equal(item->data, (lk_bytes){bytes, sizes[i]}));
        assert_status(LK_OK, lk_queue_acknowledge(k->db, lk_result_claim(k->result, i), 1));
    }
    free(bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pull_of_unknown_queue_is_empty_and_leaves_no_trace),
        TEST(test_jobs_come_first_in_first_out),
        TEST(test_pull_of_many_takes_the_first_ones_with_their_claims),
        TEST(test_pull_of_more_than_there_is_takes_all),
        TEST(test_pull_without_visibility_holds_for_five_minutes),
        TEST(test_jobs_with_keys_come_in_their_order),
        TEST(test_jobs_with_binary_keys_come_in_their_order),
        TEST(test_jobs_with_and_without_keys_share_one_order),
        TEST(test_batch_with_and_without_keys_is_pushed_whole),
        TEST(test_queues_with_similar_names_are_apart),
        TEST(test_acknowledge_takes_the_job_out_for_good),
        TEST(test_acknowledge_of_several_judges_each_on_its_own),
        TEST(test_acknowledge_of_several_says_the_first_that_was_not_ok),
        TEST(test_acknowledge_of_one_claim_named_twice_is_lost_the_second_time),
        TEST(test_release_gives_the_job_back_at_its_place),
        TEST(test_release_of_all_in_any_order_keeps_the_order),
        TEST(test_extend_moves_the_deadline_and_leaves_the_token),
        TEST(test_claims_of_others_are_lost),
        TEST(test_claims_on_what_is_no_job_are_lost),
        TEST(test_stale_claims_are_lost_whoever_holds_the_job_now),
        TEST(test_acknowledge_with_token_0_takes_out_by_key),
        TEST(test_release_with_token_0_gives_back_by_key),
        TEST(test_push_gives_the_jobs_as_they_are_stored),
        TEST(test_calls_take_their_input_from_the_result_that_they_fill),
        TEST(test_jobs_of_all_sizes_come_as_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
