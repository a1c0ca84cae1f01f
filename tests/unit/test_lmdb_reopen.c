/* SPDX-License-Identifier: MIT
 *
 * A database of LMDB that is opened again: the time that deadlines are measured with, the order of
 * generated keys, other limits. The clocks are set by hand. What is there again: the conformance
 * suite; what a killed process leaves: stress_lmdb_crash.
 */
#include <sys/wait.h>
#include <unistd.h>

#include <latchkey/adapter.h>

#include "support/lmdb_checked.h"

static void
test_deadlines_go_on_while_it_is_closed(void **state)
{
    lmdb_rig *r = *state;
    job j;
    jobs_push(&r->k, "q", NULL, "x");
    assert_pull(&r->k, "q", "x", &j); /* VISIBILITY_MS */
    kit_advance(&r->k, 10000);
    lmdb_reopen(r, VISIBILITY_MS - 10000);
    assert_empty(&r->k, "q"); /* its deadline is now */
    kit_advance(&r->k, 1);
    assert_pull(&r->k, "q", "x", NULL);
    assert_lost(&r->k, &j);
}

/* The realtime clock says nothing of deadlines while the database is open; gone back while it was
 * closed, the time that deadlines are measured with stands still. */
static void
test_realtime_jumps_move_no_deadline(void **state)
{
    lmdb_rig *r = *state;
    job j;
    jobs_push(&r->k, "q", NULL, "x");
    assert_pull(&r->k, "q", "x", &j);
    atomic_fetch_add(&r->k.now_ms, LK_HOURS(1000));
    assert_empty(&r->k, "q");
    atomic_fetch_sub(&r->k.now_ms, LK_HOURS(3000));
    atomic_fetch_add(&r->k.monotonic_ms, VISIBILITY_MS - 10);
    assert_empty(&r->k, "q");
    assert_status(LK_OK, lk_queue_extend(r->k.db, &j.claim, VISIBILITY_MS));
    lmdb_reopen(r, -LK_HOURS(2));
    assert_empty(&r->k, "q");
    assert_status(LK_OK, lk_queue_extend(r->k.db, &j.claim, VISIBILITY_MS));
    assert_true(j.claim.deadline_ms == 77 + VISIBILITY_MS);
    atomic_fetch_add(&r->k.monotonic_ms, VISIBILITY_MS);
    assert_empty(&r->k, "q");
    atomic_fetch_add(&r->k.monotonic_ms, 1);
    assert_pull(&r->k, "q", "x", NULL);
}

/* A process that dies without closing leaves a time that is at most a second old. */
static void
test_time_of_a_process_that_died_is_a_second_old_at_most(void **state)
{
    lmdb_rig *r = *state;
    lmdb_close(r);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lmdb_open(r);
        lkc_push_delayed(r->k.db, "q", "1", "x", 20000);
        kit_advance(&r->k, 10000);
        jobs_push(&r->k, "other", "1", "x");
        kit_advance(&r->k, 900);
        jobs_push(&r->k, "other", "2", "x");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_fetch_sub(&r->k.now_ms, LK_HOURS(1));
    lmdb_open(r);
    atomic_fetch_add(&r->k.monotonic_ms, 9099);
    assert_empty(&r->k, "q"); /* 20,000 - 10,900 - 1 */
    atomic_fetch_add(&r->k.monotonic_ms, 901);
    assert_pull(&r->k, "q", "x", NULL); /* not more than a second late */
}

/* Other limits, another size of the map, other lives of locks: what is there stays readable. */
static void
test_options_may_differ_each_time(void **state)
{
    lmdb_rig *r = *state;
    char data[5000];
    memset(data, 'd', sizeof data);
    lk_item item = {lk_key_of("some pk", "some sk"), {data, sizeof data}, 0};
    assert_status(LK_OK, lk_set(r->k.db, &item, 1));
    lk_lock lock = kit_lock(&r->k, item.key);
    lmdb_close(r);
    r->options.map_size = 65536; /* less than there is */
    r->options.max_data_size = 10;
    r->options.sync = LK_LMDB_SYNC_LATER;
    r->options.lock_ttl_ms = 1000;
    lmdb_open(r);
    assert_status(LK_OK, lk_get(r->k.db, item.key, r->k.result));
    assert_true(lkc_equal(lk_result_item(r->k.result, 0)->data, item.data));
    assert_status(LK_TOO_BIG, lk_set(r->k.db, &item, 1));
    lmdb_close(r);
    r->options.map_size = (size_t)64 << 20;
    r->options.max_data_size = 0;
    r->options.sync = LK_LMDB_SYNC_COMMIT;
    lmdb_open(r);
    assert_status(LK_OK, lk_set_atomic(r->k.db, &item, 1, &lock, 1, NULL));
    assert_true(lock.expires_at_ms == KIT_START_MS + 1000);
    /* Its end came nearer: it goes when it has come. */
    kit_advance(&r->k, 1001);
    size_t swept = 0;
    assert_status(LK_OK, lk_sweep(r->k.db, 0, &swept));
    assert_int_equal(swept, 1);
    assert_status(LK_RACE, lk_set_atomic(r->k.db, &item, 1, &lock, 1, NULL));
}

static void
rig_limits(lmdb_rig *r, size_t max_pk_size, size_t max_sk_size)
{
    lmdb_close(r);
    r->options.max_pk_size = max_pk_size;
    r->options.max_sk_size = max_sk_size;
    lmdb_open(r);
}

/* A job whose sk was written under larger limits does not fit to a longer dead_pk: it moves with a
 * generated sk, whatever state it was in, and holds up none behind it. */
static void
test_dead_letter_with_a_longer_sk_than_fits_gets_a_generated_one(void **state)
{
    lmdb_rig *r = *state;
    char sk[400], dead[474];
    memset(dead, 'd', sizeof dead);
    rig_limits(r, 100, sizeof sk);
    for (size_t i = 0; i < 3; i++) {
        lk_item item = {{lk_string("q"), {sk, sizeof sk}}, lk_string("long"), 0};
        memset(sk, 'a' + (int)i, sizeof sk);
        assert_status(LK_OK, lk_queue_push(r->k.db, &item, 1, NULL, NULL));
    }
    jobs_push(&r->k, "q", "t", "fits");
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = 4, .visibility_ms = 1000};
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    lk_claim first = *lk_result_claim(r->k.result, 0), second = *lk_result_claim(r->k.result, 1);
    assert_status(LK_OK, lk_queue_release(r->k.db, &first, 0));
    assert_status(LK_OK, lk_queue_release(r->k.db, &second, 500));
    jobs_push(&r->k, "q", "z", "behind");
    rig_limits(r, sizeof dead, 26);
    kit_advance(&r->k, 1001);
    pull.max_receives = 1;
    pull.dead_pk = (lk_bytes){dead, sizeof dead};
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    assert_int_equal(lk_result_count(r->k.result), 1);
    assert_true(lkc_equal(lk_result_item(r->k.result, 0)->data, lk_string("behind")));
    lk_query query = {.pk = pull.dead_pk};
    assert_status(LK_OK, lk_query_items(r->k.db, &query, r->k.result));
    assert_int_equal(lk_result_count(r->k.result), 4);
    pull = (lk_pull_options){.pk = query.pk, .max_jobs = 4};
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    assert_int_equal(lk_result_count(r->k.result), 4);
    for (size_t i = 0; i < 4; i++)
        assert_status(LK_OK, lk_queue_acknowledge(r->k.db, lk_result_claim(r->k.result, i), 1));
}

/* A pk that leaves no room for a generated sk: nothing that needs one is begun. */
static void
test_pk_without_room_for_a_generated_sk_is_too_big(void **state)
{
    lmdb_rig *r = *state;
    char pk[499];
    static const size_t sizes[] = {474, 475, 490, 499};
    memset(pk, 'q', sizeof pk);
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        rig_limits(r, sizes[i], 500 - sizes[i]);
        lk_status wanted = sizes[i] > 474 ? LK_TOO_BIG : LK_OK;
        lk_write write = {.kind = LK_PUSH, .item = {{{pk, sizes[i]}, {NULL, 0}}, {"x", 1}, 0}};
        lk_push_options options = {.delay_ms = 10};
        assert_status(wanted, lk_queue_push(r->k.db, &write.item, 1, NULL, NULL));
        assert_status(wanted, lk_queue_push(r->k.db, &write.item, 1, &options, NULL));
        assert_status(wanted, lk_commit(r->k.db, &write, 1, NULL, 0, NULL));
        lk_pull_options pull = {.pk = write.item.key.pk, .max_jobs = 9};
        assert_status(wanted == LK_OK ? LK_OK : LK_EMPTY,
                      lk_queue_pull(r->k.db, &pull, r->k.result));
        /* Nor has any other key of such a size. */
        lk_item item = {{{pk, sizes[i]}, lk_string("01234567890123456789012345")}, {"x", 1}, 0};
        lk_lock lock;
        assert_status(wanted, lk_set(r->k.db, &item, 1));
        assert_status(wanted, lk_queue_push(r->k.db, &item, 1, NULL, NULL));
        assert_true((lk_get(r->k.db, item.key, r->k.result) == LK_OK) == (wanted == LK_OK));
        assert_status(wanted, lk_get_lock(r->k.db, item.key, &lock));
        kit_set(&r->k, "p", "s", "x");
        jobs_push(&r->k, "q", "s", "x");
        pull = (lk_pull_options){.pk = lk_string("q"), .dead_pk = {pk, sizes[i]}};
        pull.max_receives = 9;
        assert_status(wanted, lk_queue_pull(r->k.db, &pull, r->k.result));
        assert_status(LK_OK, lk_queue_purge(r->k.db, pull.pk, NULL));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LMDB_TEST(test_deadlines_go_on_while_it_is_closed),
        LMDB_TEST(test_realtime_jumps_move_no_deadline),
        LMDB_TEST(test_time_of_a_process_that_died_is_a_second_old_at_most),
        LMDB_TEST(test_options_may_differ_each_time),
        LMDB_TEST(test_dead_letter_with_a_longer_sk_than_fits_gets_a_generated_one),
        LMDB_TEST(test_pk_without_room_for_a_generated_sk_is_too_big),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
