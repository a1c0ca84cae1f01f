/* SPDX-License-Identifier: MIT
 *
 * What jobs leave behind: their memory comes back, whatever became of them, and a queue through
 * which they flow needs no more.
 */
#include "support/jobs.h"

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
            lk_item item = {.key = lkc_numbered("q", i),
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
            assert_status(LK_OK, lkc_try_pull(k->db, k->result, "q", &j));
            assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        }
        kit_advance(k, 100);
        if (turn == 9)
            level = atomic_load(&k->memory.bytes);
    }
    assert_true(atomic_load(&k->memory.bytes) < level * 2);
}

/* They have heads, which go two epochs after them, and lie in the memory of segments that end with
 * the last of them. */
static void
test_jobs_that_are_deleted_behind_their_locks_give_back_their_memory(void **state)
{
    kit *k = *state;
    enum { JOBS = 3000 };
    static lk_item jobs[JOBS];
    lk_result *pushed = lk_result_new();
    size_t before = 0;
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = kit_item("q", "", "some bytes");
    for (int round = 0; round < 4; round++) {
        assert_status(LK_OK, lk_queue_push(k->db, jobs, JOBS, NULL, pushed));
        for (size_t i = 0; i < JOBS; i++)
            (void)kit_lock(k, lk_result_item(pushed, i)->key);
        for (size_t i = 0; i < JOBS; i++)
            assert_status(LK_OK, lk_delete(k->db, &lk_result_item(pushed, i)->key, 1));
        kit_sweep(k);
        if (round == 1)
            before = atomic_load(&k->memory.bytes);
    }
    assert_true(atomic_load(&k->memory.bytes) <= before);
    lk_result_free(pushed);
}

static void
test_queue_that_was_empty_for_long_begins_anew(void **state)
{
    kit *k = *state;
    static const lk_queue_statistics zero;
    lk_queue_statistics s;
    job j;
    for (int turn = 0; turn < 3; turn++) {
        assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, 600, NULL, NULL));
        assert_pull(k, "q", "00000000", &j);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
        for (int i = 0; i < 4; i++) {
            kit_advance(k, LK_MINUTES(2));
            kit_sweep(k);
        }
        s = lkc_stats(k->db, "q");
        assert_memory_equal(&s, &zero, sizeof zero);
        assert_int_equal(kit_statistics(k).partitions, 0);
        assert_lost(k, &j);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_sweep_gives_the_memory_of_expired_jobs_back),
        KIT_TEST(test_flow_of_jobs_needs_no_more_memory),
        KIT_TEST(test_jobs_that_are_deleted_behind_their_locks_give_back_their_memory),
        KIT_TEST(test_queue_that_was_empty_for_long_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
