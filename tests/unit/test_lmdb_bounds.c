/* SPDX-License-Identifier: MIT
 *
 * The adapter for LMDB does not pile up, and does not do all at once: queues that are used once go
 * by themselves, and what is kept of them in memory; a push that makes room takes turns with
 * others. And clocks of the caller's, wherever they stand.
 */
#include <unistd.h>

#include "support/lmdb_checked.h"

static uint64_t
queues_count(const lmdb_rig *r)
{
    lki_lmdb_walk walk = lmdb_check_walk(r->folder);
    assert_int_equal(walk.faults, 0);
    return walk.queues;
}

static void
name_make(char *name, int number)
{
    snprintf(name, 24, "reply-%d", number);
}

/* Nobody sweeps. */
static void
test_queues_that_are_used_once_go_by_themselves(void **state)
{
    lmdb_rig *r = *state;
    char name[24], first[24];
    name_make(first, 0);
    for (int i = 0; i < 3000; i++) {
        name_make(name, i);
        jobs_push(&r->k, name, "1", "x");
        assert_status(LK_OK, lkc_try_pull(r->k.db, r->k.result, name, NULL));
        assert_status(LK_OK, lk_delete(r->k.db, &(lk_key){lk_string(name), lk_string("1")}, 1));
        assert_empty(&r->k, name);
        if (i == 0)
            assert_int_equal(lkc_stats(r->k.db, first).empty_pulls, 1);
        kit_advance(&r->k, 1000);
    }
    assert_int_equal(lkc_stats(r->k.db, first).empty_pulls, 0);
    lmdb_close(r);
    assert_true(queues_count(r) < 200); /* 60 of them are younger than a minute */
    lmdb_open(r);
}

/* A limit of rates: keys that come once, looked at under a lock and counted, for 100 ms. Nobody
 * sweeps, and the file does not grow. */
static void
test_numbers_of_strangers_go_by_themselves(void **state)
{
    lmdb_rig *r = *state;
    enum { STRANGERS = 3000, LIVE = 100 };
    for (uint64_t i = 0; i < STRANGERS; i++) {
        lk_key key = lkc_numbered("hits", i);
        lk_lock lock;
        int64_t value = 0;
        assert_status(LK_OK, lk_get_locked(r->k.db, &key, 1, &lock, r->k.result));
        assert_int_equal(lock.version, 0);
        assert_status(LK_OK, lk_add(r->k.db, key, 1, r->k.now_ms + LIVE, &value));
        assert_int_equal(value, 1);
        assert_true(kit_statistics(&r->k).cells <= LIVE + 2);
        kit_advance(&r->k, 1);
    }
    kit_advance(&r->k, LIVE);
    for (int i = 0; i < LIVE / 8 + 1; i++)
        kit_set(&r->k, "p", "s", "x");
    assert_int_equal(kit_statistics(&r->k).cells, 1);
}

static void
test_queues_in_use_stay(void **state)
{
    lmdb_rig *r = *state;
    char name[24];
    jobs_push(&r->k, "has a job", "1", "x");
    jobs_push(&r->k, "closed", "1", "x");
    assert_status(LK_OK, lk_queue_close(r->k.db, lk_string("closed")));
    assert_status(LK_OK, lk_queue_purge(r->k.db, lk_string("closed"), NULL));
    for (int i = 0; i < 500; i++) {
        name_make(name, i);
        jobs_push(&r->k, name, "1", "x");
        assert_status(LK_OK, lk_queue_purge(r->k.db, lk_string(name), NULL));
        kit_advance(&r->k, 1000);
    }
    assert_int_equal(lkc_stats(r->k.db, "has a job").pushes, 1);
    assert_int_equal(lkc_stats(r->k.db, "closed").pushes, 1);
    assert_status(LK_CLOSED, lkc_try_push(r->k.db, "closed", "2", "x", NULL));
    assert_pull(&r->k, "has a job", "x", NULL);
}

static void
test_empty_pulls_are_counted_until_their_queue_goes(void **state)
{
    lmdb_rig *r = *state;
    char name[24];
    enum { QUEUES = 700 };
    for (int i = 0; i < QUEUES; i++) {
        name_make(name, i);
        lkc_push_delayed(r->k.db, name, "1", "x", LK_HOURS(1));
        for (int k = 0; k <= i % 3; k++)
            assert_empty(&r->k, name);
    }
    for (int i = 0; i < QUEUES; i++) {
        name_make(name, i);
        assert_int_equal(lkc_stats(r->k.db, name).empty_pulls, 1 + i % 3);
        assert_status(LK_OK, lk_queue_purge(r->k.db, lk_string(name), NULL));
    }
    kit_advance(&r->k, LK_MINUTES(2));
    assert_status(LK_OK, lk_sweep(r->k.db, 0, NULL));
    for (int i = 0; i < QUEUES; i++) {
        name_make(name, i);
        assert_int_equal(lkc_stats(r->k.db, name).empty_pulls, 0);
    }
}

/* The realtime clock is asked once in each transaction. */
static _Atomic unsigned asked;
static kit *asked_kit;

static int64_t
asked_ms(void *context)
{
    (void)context;
    atomic_fetch_add(&asked, 1);
    return atomic_load(&asked_kit->now_ms);
}

/* As a call of its own, or as the second step of a commit. */
static lk_status
push_by(lmdb_rig *r, bool commits, const char *data, const lk_push_options *options)
{
    lk_write writes[2] = {{.kind = LK_PUT, .item = kit_item("p", "s", data)},
                          {.kind = LK_PUSH, .item = kit_item("q", NULL, data), .push = options}};
    lk_conflict conflict = {77, 77, 77};
    if (!commits)
        return lkc_try_push(r->k.db, "q", NULL, data, options);
    lk_status status = lk_commit(r->k.db, writes, 2, NULL, 0, &conflict);
    assert_int_equal(conflict.write, status == LK_OK ? 77 : 1);
    assert_true(kit_holds(&r->k, writes[0].item.key, status == LK_OK ? data : "new"));
    return status;
}

static void
expired_go_in_portions(lmdb_rig *r, bool commits)
{
    enum { MANY = 6000 };
    asked_kit = &r->k;
    lmdb_close(r);
    r->options.realtime_ms = asked_ms;
    lmdb_open(r);
    static lk_item jobs[MANY];
    for (int i = 0; i < MANY; i++)
        jobs[i] = (lk_item){lk_key_of("q", NULL), lk_string("x"), KIT_START_MS + 10};
    assert_status(LK_OK, lk_queue_push(r->k.db, jobs, MANY, NULL, NULL));
    jobs_push(&r->k, "q", NULL, "stays");
    kit_advance(&r->k, 11);
    lk_push_options options = {.max_depth = 2};
    atomic_store(&asked, 0);
    assert_status(LK_OK, push_by(r, commits, "new", &options));
    assert_true(atomic_load(&asked) >= MANY / 512);
    assert_status(LK_BUSY, push_by(r, commits, "one too many", &options));
    assert_depths(&r->k, "q", 2, 0, 0);
    assert_pull(&r->k, "q", "stays", NULL);
    assert_pull(&r->k, "q", "new", NULL);
}

static void
test_push_takes_out_what_has_expired_in_portions(void **state)
{
    expired_go_in_portions(*state, false);
}

static void
test_push_of_a_commit_takes_out_what_has_expired_in_portions(void **state)
{
    expired_go_in_portions(*state, true);
}

/* No push works off everything; each goes on where the last one ended. */
static void
test_push_takes_out_a_bounded_part_of_what_has_expired(void **state)
{
    lmdb_rig *r = *state;
    enum { MANY = 20000, LEAST = 8000, MOST = 10000 };
    static lk_item jobs[MANY];
    for (int i = 0; i < MANY; i++)
        jobs[i] = (lk_item){lk_key_of("q", NULL), lk_string("x"), KIT_START_MS + 10};
    assert_status(LK_OK, lk_queue_push(r->k.db, jobs, MANY, NULL, NULL));
    kit_advance(&r->k, 11);
    lk_push_options options = {.max_depth = 2};
    for (uint64_t out = 0; out < MANY;) {
        lk_status status = lkc_try_push(r->k.db, "q", NULL, "new", &options);
        uint64_t now = kit_statistics(&r->k).expired_swept;
        assert_true(now - out <= MOST && (now - out >= LEAST || now == MANY));
        assert_status(MANY - now > options.max_depth ? LK_BUSY : LK_OK, status);
        out = now;
    }
    assert_pull(&r->k, "q", "new", NULL);
}

/* The realtime clock was set back to before the opening: what expires by it now does so. */
static void
test_expiry_follows_a_clock_that_was_set_back(void **state)
{
    lmdb_rig *r = *state;
    lk_push_options options = {.max_depth = 1};
    atomic_fetch_sub(&r->k.now_ms, LK_HOURS(48));
    int64_t now_ms = atomic_load(&r->k.now_ms);
    lk_item item = {lk_key_of("p", "s"), lk_string("x"), now_ms + 10};
    lk_item pushed = {lk_key_of("q", NULL), lk_string("x"), now_ms + 10};
    lk_lock lock = kit_lock(&r->k, item.key);
    assert_int_equal(lock.expires_at_ms, now_ms + LK_HOURS(24));
    assert_status(LK_OK, lk_set(r->k.db, &item, 1));
    assert_status(LK_OK, lk_queue_push(r->k.db, &pushed, 1, &options, NULL));
    assert_status(LK_BUSY, lk_queue_push(r->k.db, &pushed, 1, &options, NULL));
    kit_advance(&r->k, 11);
    assert_true(kit_holds(&r->k, item.key, NULL));
    assert_empty(&r->k, "q");
    pushed.expires_at_ms = 0;
    assert_status(LK_OK, lk_queue_push(r->k.db, &pushed, 1, &options, NULL));
    kit_advance(&r->k, LK_HOURS(25));
    assert_status(LK_RACE, lk_set_atomic(r->k.db, &item, 1, &lock, 1, NULL));
    assert_status(LK_OK, lk_sweep(r->k.db, 0, NULL));
    assert_int_equal(kit_statistics(&r->k).cells, 1);
}

/* Everything that reckons with a time, at one pair of times, then at another. */
static void
clocks_use(lmdb_rig *r, int64_t realtime_ms, int64_t monotonic_ms)
{
    static const int64_t lengths[] = {0, 1, 1000, INT64_MAX - 1, INT64_MAX};
    lk_queue_statistics stats;
    lk_lock lock;
    int fd;
    atomic_store(&r->k.now_ms, realtime_ms);
    atomic_store(&r->k.monotonic_ms, monotonic_ms);
    for (size_t i = 0; i < KIT_COUNT(lengths); i++) {
        lk_item item = {lkc_numbered("p", i), lk_string("x"), lengths[i]};
        assert_status(LK_OK, lk_set(r->k.db, &item, 1));
        assert_true(lk_get_lock(r->k.db, item.key, &lock) >= LK_OK);
        item.key.pk = lk_string("q");
        lk_push_options push = {.delay_ms = lengths[i]};
        assert_status(LK_OK, lk_queue_push(r->k.db, &item, 1, &push, NULL));
        jobs_push(&r->k, "q", NULL, "x");
        lk_pull_options pull = {.pk = lk_string("q"), .visibility_ms = lengths[i]};
        assert_true(lk_queue_pull(r->k.db, &pull, r->k.result) >= LK_OK);
        if (lk_result_count(r->k.result) == 1 && lk_result_claim(r->k.result, 0) != NULL) {
            lk_claim claim = *lk_result_claim(r->k.result, 0);
            assert_true(lk_queue_extend(r->k.db, &claim, lengths[i]) >= LK_OK);
            assert_true(lk_queue_release(r->k.db, &claim, lengths[i]) >= LK_OK);
        }
        assert_status(LK_OK, lk_queue_stats(r->k.db, pull.pk, &stats));
        assert_status(LK_OK, lk_queue_fd(r->k.db, pull.pk, &fd));
    }
    assert_status(LK_OK, lk_sweep(r->k.db, 0, NULL));
    kit_statistics(&r->k);
}

static void
test_clocks_at_the_ends_of_their_numbers(void **state)
{
    lmdb_rig *r = *state;
    static const int64_t times[] = {INT64_MIN, INT64_MAX, -1, INT64_MAX - 1000, INT64_MIN + 7, 0};
    for (size_t i = 0; i < KIT_COUNT(times); i++)
        for (size_t k = 0; k < KIT_COUNT(times); k++)
            clocks_use(r, times[i], times[k]);
    for (size_t i = 0; i < KIT_COUNT(times); i++) {
        lmdb_close(r);
        atomic_store(&r->k.now_ms, times[i]);
        atomic_store(&r->k.monotonic_ms, times[KIT_COUNT(times) - 1 - i]);
        lmdb_open(r);
        clocks_use(r, times[i], times[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LMDB_TEST(test_queues_that_are_used_once_go_by_themselves),
        LMDB_TEST(test_numbers_of_strangers_go_by_themselves),
        LMDB_TEST(test_queues_in_use_stay),
        LMDB_TEST(test_empty_pulls_are_counted_until_their_queue_goes),
        LMDB_TEST(test_push_takes_out_what_has_expired_in_portions),
        LMDB_TEST(test_push_of_a_commit_takes_out_what_has_expired_in_portions),
        LMDB_TEST(test_push_takes_out_a_bounded_part_of_what_has_expired),
        LMDB_TEST(test_expiry_follows_a_clock_that_was_set_back),
        LMDB_TEST(test_clocks_at_the_ends_of_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
