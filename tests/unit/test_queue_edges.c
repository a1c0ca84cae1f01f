/* SPDX-License-Identifier: MIT
 *
 * Places that a queue seldom comes to: a lapsed claim that is extended to its old deadline, claims
 * of many segments in one call, and of who does nothing else; keys of users' own that almost look
 * like generated ones, tours over keys of all sizes, a clock of the caller's under who waits for
 * the end of a closed queue.
 */
#include "support/jobs.h"

#include <pthread.h>
#include <stdlib.h>

/* Two claims lapse, one job is pulled; the clock is set back, and the other one's holder extends
 * its claim. */
static void
test_lapsed_claim_is_extended_to_its_old_deadline(void **state)
{
    kit *k = *state;
    job first, second, again;
    jobs_push(k, "q", NULL, "first");
    jobs_push(k, "q", NULL, "second");
    assert_pull(k, "q", "first", &first);
    assert_pull(k, "q", "second", &second);
    kit_advance(k, VISIBILITY_MS + 1);
    assert_pull(k, "q", "first", &again); /* both were noticed */
    assert_lost(k, &first);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &again.claim, 1));
    int64_t deadline = second.claim.deadline_ms;
    for (int i = 0; i < 2; i++) { /* once where it has lapsed, once where it is claimed */
        atomic_store(&k->monotonic_ms, deadline - 5000);
        assert_status(LK_OK, lk_queue_extend(k->db, &second.claim, 5000));
        assert_true(second.claim.deadline_ms == deadline);
        assert_empty(k, "q");
    }
    kit_advance(k, 5000);
    assert_empty(k, "q");
    assert_status(LK_OK, jobs_touch(k, &second));
    atomic_store(&k->monotonic_ms, second.claim.deadline_ms + 1);
    assert_pull(k, "q", "second", NULL);
    assert_lost(k, &second);
}

/* Of two segments in turn: each leaves when its own have ended. */
static void
test_one_call_acknowledges_jobs_of_many_segments(void **state)
{
    kit *k = *state;
    enum { JOBS = 3000, ROUNDS = 8 };
    lk_claim *claims = calloc(JOBS, sizeof *claims);
    size_t before = 0;
    assert_non_null(claims);
    for (int round = 0; round < ROUNDS; round++) {
        assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, JOBS, NULL, NULL));
        lk_pull_options all = {.pk = lk_string("q"), .max_jobs = JOBS};
        assert_status(LK_OK, lk_queue_pull(k->db, &all, k->result));
        assert_int_equal(lk_result_count(k->result), JOBS);
        for (size_t i = 0; i < JOBS; i++)
            claims[i] = *lk_result_claim(k->result, i / 2 + i % 2 * (JOBS / 2));
        assert_status(LK_OK, lk_queue_acknowledge(k->db, claims, JOBS));
        assert_depths(k, "q", 0, 0, 0);
        kit_sweep(k);
        if (round == 2)
            before = atomic_load(&k->memory.bytes);
    }
    assert_true(atomic_load(&k->memory.bytes) < before + before / 4);
    free(claims);
}

static void
test_large_job_that_has_ended_counts_as_garbage(void **state)
{
    kit *k = *state;
    enum { LARGE = 100000 };
    char *bytes = calloc(1, LARGE);
    assert_non_null(bytes);
    lk_item item = {lk_key_of("q", NULL), {bytes, LARGE}, 0};
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
    lk_pull_options options = {.pk = lk_string("q")};
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    uint64_t before = kit_statistics(k).retired_bytes;
    assert_status(LK_OK, lk_queue_acknowledge(k->db, lk_result_claim(k->result, 0), 1));
    assert_true(kit_statistics(k).retired_bytes >= before + LARGE);
    free(bytes);
}

/* Beyond what the word of a place can count, too, each claim is another one. */
static void
test_job_is_received_more_often_than_a_word_counts(void **state)
{
    kit *k = *state;
    enum { TIMES = 32768 + 3 };
    job first, j;
    jobs_push(k, "q", NULL, "x");
    assert_pull(k, "q", "x", &first);
    assert_status(LK_OK, lk_queue_release(k->db, &first.claim, 0));
    for (uint32_t i = 2; i <= TIMES; i++) {
        assert_status(LK_OK, lkc_try_pull(k->db, k->result, "q", &j));
        assert_int_equal(j.claim.receives, i);
        assert_status(LK_LOST, lk_queue_release(k->db, &first.claim, 0));
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
    }
}

typedef enum holder { ACKNOWLEDGES, RELEASES, EXTENDS, HOLDERS } holder;

/* Upkeep falls due in whatever is called. */
static void
test_calls_of_holders_take_out_what_has_expired(void **state)
{
    (void)state;
    enum { JOBS = 2000 };
    for (holder how = 0; how < HOLDERS; how++) {
        kit k;
        kit_open(&k, NULL);
        for (size_t i = 0; i < JOBS; i++) {
            lk_item item = {lkc_numbered("items", i), lk_string("x"), k.now_ms + 1};
            assert_status(LK_OK, lk_set(k.db, &item, 1));
        }
        assert_status(LK_OK, jobs_try_push_batch(&k, "q", 0, JOBS, NULL, NULL));
        lk_pull_options all = {.pk = lk_string("q"), .max_jobs = JOBS};
        assert_status(LK_OK, lk_queue_pull(k.db, &all, k.result));
        kit_advance(&k, 1000);
        uint64_t before = kit_statistics(&k).expired_swept;
        for (size_t i = 0; i < JOBS; i++) {
            lk_claim claim = *lk_result_claim(k.result, i);
            assert_status(LK_OK, how == ACKNOWLEDGES ? lk_queue_acknowledge(k.db, &claim, 1)
                                 : how == RELEASES   ? lk_queue_release(k.db, &claim, 0)
                                                     : lk_queue_extend(k.db, &claim, LK_HOURS(1)));
        }
        assert_true(kit_statistics(&k).expired_swept > before);
        kit_close(&k);
    }
}

/* ---- keys that almost look like generated ones ---- */

static void
ulid_push(kit *k, char sk[JOB_ROOM])
{
    lk_item item = kit_item("q", NULL, "job");
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, k->result));
    memcpy(sk, lk_result_item(k->result, 0)->key.sk.data, ULID_SIZE);
    sk[ULID_SIZE] = '\0';
}

static void
test_keys_that_almost_look_generated_are_keys_like_others(void **state)
{
    kit *k = *state;
    char last[JOB_ROOM], sk[JOB_ROOM];
    ulid_push(k, last);
    static const struct {
        size_t at;
        const char *with;
    } changes[] = {
        {0, "8"},          /* more than 48 bits of milliseconds */
        {0, "7ZZZZZZZZZ"}, /* the last millisecond of all */
        {3, "u"},          /* no digit of base 32 */
        {10, "0"},         /* another queue's */
        {25, "!"},         /* no place */
        {18, "ZZZZZZZZ"},  /* a place that never was */
    };
    for (size_t i = 0; i < KIT_COUNT(changes); i++)
        for (int as_job = 0; as_job < 2; as_job++) {
            memcpy(sk, last, sizeof sk);
            memcpy(sk + changes[i].at, changes[i].with, strlen(changes[i].with));
            if (strcmp(sk, last) == 0)
                continue;
            if (as_job)
                jobs_push(k, "q", sk, "mine");
            else
                kit_set(k, "q", sk, "mine");
            assert_true(kit_holds(k, kit_key("q", sk), "mine"));
            char next[JOB_ROOM];
            ulid_push(k, next);
            assert_true(strcmp(last, next) < 0);
            assert_true(kit_holds(k, kit_key("q", sk), "mine"));
            memcpy(last, next, sizeof last);
        }
}

/* There the last segment gives out nothing any more, but to dead letters. */
static void
test_key_of_a_closed_queue_stays_free_of_letters(void **state)
{
    kit *k = *state;
    char sk[JOB_ROOM];
    job j;
    ulid_push(k, sk);
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("q")));
    sk[9] = sk[9] == 'Z' ? 'Y' : 'Z'; /* the end of this 32 ms */
    kit_set(k, "q", sk, "mine");
    for (int i = 0; i < 40; i++) {
        jobs_push(k, "source", NULL, "letter");
        assert_pull(k, "source", "letter", &j);
        kit_set(k, "q", j.sk, "taken"); /* so that it gets a key of the closed queue's */
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
        assert_status(LK_EMPTY, jobs_pull_once(k, "source", "q"));
        kit_advance(k, 1);
    }
    assert_true(kit_holds(k, kit_key("q", sk), "mine"));
    assert_int_equal(jobs_items(k, "q"), 82);
}

/* ---- tours ---- */

/* More than one run of keys, each longer than those before. */
static void
test_statistics_and_purge_go_over_keys_of_all_sizes(void **state)
{
    kit *k = *state;
    enum { KEYS = 300 };
    char sk[KEYS + 8];
    for (int i = 0; i < KEYS; i++) {
        int size = snprintf(sk, sizeof sk, "%03d", i);
        memset(sk + size, 'x', (size_t)(i % 250));
        lk_item item = {.key = {lk_string("q"), {sk, (size_t)(size + i % 250)}},
                        .data = lk_string("x")};
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, NULL));
    }
    static const char *const no_ulids[] = {"00000000000000000000000000",  /* of 1970 */
                                           "01HF7YAT00u000000000000000",  /* no digit */
                                           "01HF7YAT000000000u00000000",  /* nor here */
                                           "01HF7YAT00000000000000000!",  /* nor here */
                                           "81HF7YAT000000000000000000"}; /* too late */
    for (size_t i = 0; i < KIT_COUNT(no_ulids); i++)
        jobs_push(k, "q", no_ulids[i], "x");
    kit_advance(k, 1000);
    lk_queue_statistics s = lkc_stats(k->db, "q");
    assert_int_equal(s.ready, KEYS + KIT_COUNT(no_ulids));
    assert_int_equal(s.oldest_age_ms, 0);
    size_t purged = 0;
    assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), &purged));
    assert_int_equal(purged, KEYS + KIT_COUNT(no_ulids));
}

/* ---- a clock of the caller's ---- */

static _Atomic(int64_t) now_ms = KIT_START_MS;

static int64_t
own_clock(void *context)
{
    (void)context;
    return atomic_load(&now_ms);
}

static void *
wait_run(void *context)
{
    lk_db *db = context;
    lk_result *result = lk_result_new();
    lk_pull_options options = {.pk = lk_string("q"), .wait_ms = -1};
    lk_status status = lk_queue_pull(db, &options, result);
    lk_result_free(result);
    return status == LK_CLOSED ? db : NULL;
}

/* The last job is in somebody's hands, and expires by a clock that is set. */
static void
test_waiting_at_a_closed_queue_ends_when_the_clock_is_set(void **state)
{
    (void)state;
    lk_db *db = NULL;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.realtime_ms = own_clock;
    assert_status(LK_OK, lk_memory_open(&options, &db));
    lk_result *result = lk_result_new();
    lk_item item = {lk_key_of("q", NULL), lk_string("x"), KIT_START_MS + LK_HOURS(1)};
    assert_status(LK_OK, lk_queue_push(db, &item, 1, NULL, NULL));
    lk_pull_options pull = {.pk = lk_string("q"), .visibility_ms = LK_HOURS(2)};
    assert_status(LK_OK, lk_queue_pull(db, &pull, result));
    assert_status(LK_OK, lk_queue_close(db, lk_string("q")));
    pthread_t thread;
    void *closed = NULL;
    assert_int_equal(pthread_create(&thread, NULL, wait_run, db), 0);
    atomic_store(&now_ms, KIT_START_MS + LK_HOURS(1) + 1);
    pthread_join(thread, &closed);
    assert_true(closed == db);
    lk_result_free(result);
    lk_close(db);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_lapsed_claim_is_extended_to_its_old_deadline),
        KIT_TEST(test_one_call_acknowledges_jobs_of_many_segments),
        KIT_TEST(test_large_job_that_has_ended_counts_as_garbage),
        KIT_TEST(test_job_is_received_more_often_than_a_word_counts),
        cmocka_unit_test(test_calls_of_holders_take_out_what_has_expired),
        KIT_TEST(test_keys_that_almost_look_generated_are_keys_like_others),
        KIT_TEST(test_key_of_a_closed_queue_stays_free_of_letters),
        KIT_TEST(test_statistics_and_purge_go_over_keys_of_all_sizes),
        cmocka_unit_test(test_waiting_at_a_closed_queue_ends_when_the_clock_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
