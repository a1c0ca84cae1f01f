/* SPDX-License-Identifier: MIT
 *
 * Very many jobs at once: they come due, lapse, expire, or have been received too often. A pull
 * works off a bounded part, hands out the smallest sk all the same, and no job is lost or comes
 * twice. Work is counted in places and entries looked at.
 */
#include <inttypes.h>
#include <pthread.h>

#include "support/jobs.h"

enum { BATCH = 100, FEW = 500, MANY = 20000 };

/* In no order, each once. */
static uint64_t
scrambled(uint64_t i)
{
    return i * UINT64_C(2654435761) & 0xffffffff;
}

/* `count` jobs; `keyed`: of scrambled keys, else generated ones. */
static void
jobs_fill(kit *k, size_t count, bool keyed, const lk_push_options *options, int64_t expires_at_ms)
{
    char keys[BATCH][16];
    lk_item jobs[BATCH];
    for (size_t i = 0; i < count; i += BATCH) {
        for (size_t at = 0; at < BATCH; at++) {
            keys[at][0] = '\0';
            if (keyed)
                snprintf(keys[at], sizeof keys[at], "%08" PRIx64, scrambled(i + at));
            jobs[at] = kit_item("q", keys[at], "x");
            jobs[at].expires_at_ms = expires_at_ms;
        }
        assert_status(LK_OK, lk_queue_push(k->db, jobs, BATCH, options, NULL));
    }
}

static void
jobs_claim(kit *k, size_t count, int64_t visibility_ms)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .visibility_ms = visibility_ms, .max_jobs = BATCH};
    for (size_t taken = 0; taken < count; taken += lk_result_count(k->result))
        assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
}

/* Pulls all that is there; in ascending order if so asked. *most: what the dearest pull has looked
 * at. */
static size_t
jobs_drain(kit *k, size_t batch, bool ordered, uint64_t *most)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .visibility_ms = LK_HOURS(1), .max_jobs = batch};
    char last[64] = "";
    size_t count = 0;
    *most = 0;
    for (;;) {
        uint64_t before = kit_statistics(k).slots_visited;
        lk_status status = lk_queue_pull(k->db, &options, k->result);
        uint64_t visits = kit_statistics(k).slots_visited - before;
        *most = visits > *most ? visits : *most;
        if (status == LK_EMPTY)
            return count;
        assert_status(LK_OK, status);
        for (size_t i = 0; i < lk_result_count(k->result); i++) {
            lk_bytes sk = lk_result_item(k->result, i)->key.sk;
            assert_true(!ordered || lk_bytes_compare(lk_string(last), sk) < 0);
            memcpy(last, sk.data, sk.size);
            last[sk.size] = '\0';
        }
        count += lk_result_count(k->result);
    }
}

/* ---- due, lapsed ---- */

static uint64_t
due_run(size_t jobs, bool keyed, bool lapse, size_t batch)
{
    kit k;
    uint64_t most;
    kit_open(&k, NULL);
    lk_push_options delayed = {.delay_ms = lapse ? 0 : 1000};
    jobs_fill(&k, jobs, keyed, &delayed, 0);
    if (lapse)
        jobs_claim(&k, jobs, 1000);
    assert_empty(&k, "q");
    kit_advance(&k, 1001);
    assert_int_equal(jobs_drain(&k, batch, true, &most), jobs);
    kit_close(&k);
    return most;
}

static void
test_pull_works_off_a_bounded_part_of_what_is_due(void **state)
{
    (void)state;
    for (int shape = 0; shape < 4; shape++) {
        bool keyed = shape & 1, lapse = shape & 2;
        uint64_t few = due_run(FEW, keyed, lapse, 1), many = due_run(MANY, keyed, lapse, 1);
        print_message("the dearest pull: %" PRIu64 " and %" PRIu64 " visits\n", few, many);
        assert_true(many < 2000);
        (void)due_run(FEW, keyed, lapse, 7);
    }
}

/* Claims and delays of many lengths end in another order than that of the keys. What is due at one
 * moment comes in order. */
static void
test_jobs_that_are_due_come_in_order_whenever_they_came_due(void **state)
{
    (void)state;
    for (int times = 1; times <= 900; times += times < 10 ? 3 : 223) {
        kit k;
        uint64_t most;
        kit_open(&k, NULL);
        size_t jobs = 0;
        for (int i = 0; i < times; i++) {
            char sk[16];
            for (int each = 0; each < 1 + 2000 / times / 2; each++, jobs++) {
                snprintf(sk, sizeof sk, "%08" PRIx64, scrambled(jobs));
                lkc_push_delayed(k.db, "q", sk, "x", 1 + (int64_t)(scrambled((uint64_t)i) % 5000));
            }
        }
        kit_advance(&k, 5001);
        assert_int_equal(jobs_drain(&k, times % 2 == 0 ? 1 : 13, true, &most), jobs);
        kit_close(&k);
    }
}

/* More different times than one look moves: they come in order all the same. More than it goes
 * over: all come, once. */
static void
very_many_times(size_t jobs, bool in_order)
{
    kit kept, *k = &kept;
    uint64_t most;
    kit_open(k, NULL);
    for (size_t i = 0; i < jobs; i++) {
        char sk[16];
        snprintf(sk, sizeof sk, "%08" PRIx64, scrambled(i));
        lkc_push_delayed(k->db, "q", sk, "x", 1 + (int64_t)i);
    }
    kit_advance(k, (int64_t)jobs + 1);
    assert_int_equal(jobs_drain(k, 7, in_order, &most), jobs);
    print_message("%zu times: %" PRIu64 " visits in the dearest pull\n", jobs, most);
    assert_true(most < 2 * 16384);
    kit_close(k);
}

static void
test_jobs_that_came_due_at_very_many_times_come_once(void **state)
{
    (void)state;
    very_many_times(1025, true);
    very_many_times(5000, true);
    very_many_times(16384, true);
    very_many_times(20000, false);
}

/* ---- dead letters ---- */

static void
letters_fill(kit *k, size_t count, bool keyed)
{
    lk_memory_options base = LK_MEMORY_OPTIONS_INIT;
    base.max_retired_bytes = 1 << 20;
    kit_open(k, &base);
    jobs_fill(k, count, keyed, NULL, 0);
    jobs_claim(k, count, 1000);
    kit_advance(k, 1001);
    jobs_push(k, "q", "zz", "good");
}

static void
test_dead_letters_move_in_bounded_parts_and_are_never_busy(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        kit k;
        letters_fill(&k, MANY, keyed);
        uint64_t dead = 0;
        lk_status status = LK_EMPTY;
        while (status == LK_EMPTY) {
            status = jobs_pull_once(&k, "q", "dead");
            uint64_t now = lkc_stats(k.db, "q").dead;
            assert_true(now - dead <= 2100); /* a part */
            assert_true(now > dead || status == LK_OK);
            dead = now;
        }
        assert_status(LK_OK, status);
        assert_true(lkc_is(lk_result_item(k.result, 0)->data, "good"));
        assert_int_equal(lkc_stats(k.db, "q").dead, MANY);
        assert_int_equal(lkc_stats(k.db, "dead").ready, MANY);
        kit_close(&k);
    }
}

/* Who waits does not get less because dead letters are in front. */
static void
test_waiting_pull_goes_on_until_a_job_is_there(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        kit k;
        letters_fill(&k, MANY, keyed);
        lk_pull_options options = {
            .pk = lk_string("q"), .wait_ms = -1, .max_receives = 1, .dead_pk = lk_string("dead")};
        assert_status(LK_OK, lk_queue_pull(k.db, &options, k.result));
        assert_true(lkc_is(lk_result_item(k.result, 0)->data, "good"));
        assert_int_equal(lkc_stats(k.db, "dead").ready, MANY);
        kit_close(&k);
    }
}

/* ---- expired ---- */

static void
test_expired_jobs_in_front_go_in_bounded_parts(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        kit k;
        lk_memory_options base = LK_MEMORY_OPTIONS_INIT;
        base.max_retired_bytes = 1 << 20;
        kit_open(&k, &base);
        jobs_fill(&k, 3 * MANY, keyed, NULL, KIT_START_MS + 1);
        jobs_push(&k, "q", "zz", "good");
        kit_advance(&k, 2);
        lk_status status = LK_EMPTY;
        size_t pulls = 0;
        for (uint64_t swept = 0; status == LK_EMPTY; pulls++) {
            status = lkc_try_pull(k.db, k.result, "q", NULL);
            uint64_t now = kit_statistics(&k).expired_swept;
            assert_true(now - swept <= 22000); /* a part */
            assert_true(now > swept || status == LK_OK);
            swept = now;
        }
        assert_status(LK_OK, status);
        assert_true(lkc_is(lk_result_item(k.result, 0)->data, "good"));
        assert_true(pulls > 1 && pulls <= 3 * MANY / 2000);
        kit_close(&k);
    }
}

/* ---- several consumers ---- */

typedef struct crew {
    kit *k;
    atomic_size_t taken;
} crew;

static void *
consumer_run(void *context)
{
    crew *c = context;
    lk_result *result = lk_result_new();
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = LK_HOURS(1), .max_jobs = 3};
    lk_status status;
    while ((status = lk_queue_pull(c->k->db, &options, result)) == LK_OK)
        atomic_fetch_add(&c->taken, lk_result_count(result));
    assert_status(LK_EMPTY, status);
    lk_result_free(result);
    return NULL;
}

static void
test_consumers_share_what_is_due(void **state)
{
    (void)state;
    enum { CONSUMERS = 4 };
    for (int shape = 0; shape < 4; shape++) {
        kit k;
        kit_open(&k, NULL);
        crew c = {.k = &k};
        const size_t jobs = test_scaled(50) * BATCH;
        lk_push_options delayed = {.delay_ms = shape & 1 ? 1000 : 0};
        jobs_fill(&k, jobs, shape & 2, &delayed, 0);
        if ((shape & 1) == 0)
            jobs_claim(&k, jobs, 1000);
        kit_advance(&k, 1001);
        pthread_t threads[CONSUMERS];
        for (size_t i = 0; i < CONSUMERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, consumer_run, &c), 0);
        for (size_t i = 0; i < CONSUMERS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(c.taken, jobs);
        kit_close(&k);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull_works_off_a_bounded_part_of_what_is_due),
        cmocka_unit_test(test_jobs_that_are_due_come_in_order_whenever_they_came_due),
        cmocka_unit_test(test_jobs_that_came_due_at_very_many_times_come_once),
        cmocka_unit_test(test_dead_letters_move_in_bounded_parts_and_are_never_busy),
        cmocka_unit_test(test_waiting_pull_goes_on_until_a_job_is_there),
        cmocka_unit_test(test_expired_jobs_in_front_go_in_bounded_parts),
        cmocka_unit_test(test_consumers_share_what_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
