/* SPDX-License-Identifier: MIT
 *
 * What a queue costs stays in proportion: queues that are used once go as they come, a refused push
 * and a query behind a cursor do not depend on how much lies there, and what expires does so
 * whatever the clock says. Costs are counted.
 */
#include <inttypes.h>

#include "support/jobs.h"

/* ---- queues that are used once ---- */

typedef enum use { BY_PUSH, BY_KEY, BY_COMMIT, BY_DEAD_LETTER, BY_PURGE, USES } use;

/* Jobs that are to be pulled again, and are not: one was released, one has lapsed, and one that had
 * lapsed is held. */
static void
queue_purge_once(kit *k, const char *pk)
{
    job j[3];
    for (size_t i = 0; i < 3; i++)
        jobs_push(k, pk, NULL, "x");
    for (size_t i = 0; i < 3; i++)
        assert_pull(k, pk, "x", &j[i]);
    assert_status(LK_OK, lk_queue_release(k->db, &j[2].claim, 0));
    kit_advance(k, VISIBILITY_MS + 1);
    assert_pull(k, pk, "x", &j[0]);
    size_t purged = 0;
    assert_status(LK_OK, lk_queue_purge(k->db, lk_string(pk), &purged));
    assert_int_equal(purged, 3);
}

/* The life of a queue: a job comes and goes. */
static void
queue_use_once(kit *k, size_t i, use how)
{
    char pk[32];
    job j;
    snprintf(pk, sizeof pk, "reply-%zu", i);
    const char *sk = how == BY_KEY ? "own" : NULL;
    lk_write write = {.kind = LK_PUSH, .item = kit_item(pk, "", "x")};
    switch (how) {
    case BY_COMMIT:
        assert_status(LK_OK, lk_commit(k->db, &write, 1, NULL, 0, NULL));
        break;
    case BY_DEAD_LETTER:
        jobs_push(k, "work", NULL, "x");
        assert_pull(k, "work", "x", NULL);
        kit_advance(k, VISIBILITY_MS + 1);
        assert_status(LK_EMPTY, jobs_pull_once(k, "work", pk));
        break;
    case BY_PURGE:
        queue_purge_once(k, pk);
        return;
    default:
        jobs_push(k, pk, sk, "x");
        break;
    }
    assert_pull(k, pk, "x", &j);
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
}

static void
test_queues_used_once_go_as_fast_as_they_come(void **state)
{
    (void)state;
    enum { PER_MINUTE = 200, MINUTES = 15 };
    for (use how = 0; how < USES; how++) {
        kit k;
        kit_open(&k, NULL);
        size_t half_way = 0;
        for (size_t i = 0; i < PER_MINUTE * MINUTES; i++) {
            queue_use_once(&k, i, how);
            if (i == PER_MINUTE * MINUTES / 2)
                half_way = atomic_load(&k.memory.bytes);
            kit_advance(&k, LK_MINUTES(1) / PER_MINUTE);
        }
        assert_true(kit_statistics(&k).partitions <= 4 * PER_MINUTE);
        assert_true(atomic_load(&k.memory.bytes) < half_way * 2);
        kit_close(&k);
    }
}

/* Whoever holds a job, or was used within the last minute, stays, however many come and go beside
 * it. */
static void
test_queues_in_use_stay_while_others_go(void **state)
{
    kit *k = *state;
    jobs_push(k, "holds", NULL, "kept");
    jobs_push(k, "keyed", "own", "kept");
    for (size_t i = 0; i < 1000; i++) {
        job j;
        queue_use_once(k, i, BY_PUSH);
        jobs_push(k, "busy", NULL, "x");
        assert_pull(k, "busy", "x", &j);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        kit_advance(k, 1000);
    }
    assert_int_equal(lkc_stats(k->db, "busy").pushes, 1000);
    assert_pull(k, "holds", "kept", NULL);
    assert_pull(k, "keyed", "kept", NULL);
}

/* ---- pushes that are refused ---- */

static const char *const sks[] = {NULL, "%06zu"};

static void
jobs_fill(kit *k, size_t count, const char *sk, int64_t first_expiry_ms, int64_t step_ms)
{
    char keys[100][16];
    lk_item jobs[100];
    for (size_t i = 0; i < count; i += KIT_COUNT(jobs)) {
        for (size_t at = 0; at < KIT_COUNT(jobs); at++) {
            keys[at][0] = '\0';
            if (sk != NULL)
                snprintf(keys[at], sizeof keys[at], "%06zu", i + at);
            jobs[at] = kit_item("q", keys[at], "x");
            jobs[at].expires_at_ms = first_expiry_ms + (int64_t)(i + at) * step_ms;
        }
        assert_status(LK_OK, lk_queue_push(k->db, jobs, KIT_COUNT(jobs), NULL, NULL));
    }
}

/* How many places and entries a push looks at that is refused, while one job expires between two of
 * them. */
static uint64_t
refusal_visits(size_t count, const char *sk)
{
    enum { PUSHES = 50 };
    kit k;
    kit_open(&k, NULL);
    jobs_fill(&k, count, sk, KIT_START_MS + 1, 1);
    lk_push_options limit = {.max_depth = count / 2};
    uint64_t before = kit_statistics(&k).slots_visited;
    for (size_t i = 0; i < PUSHES; i++) {
        kit_advance(&k, 1);
        assert_status(LK_BUSY, lkc_try_push(k.db, "q", NULL, "x", &limit));
    }
    uint64_t visits = kit_statistics(&k).slots_visited - before;
    kit_advance(&k, (int64_t)count / 2 + 10);
    lk_status status = LK_BUSY;
    for (size_t tries = 0; status == LK_BUSY && tries < count / 200; tries++)
        status = lkc_try_push(k.db, "q", NULL, "x", &limit);
    assert_status(LK_OK, status); /* each try has brought the next one nearer */
    kit_close(&k);
    return visits / PUSHES;
}

static void
test_refused_push_looks_at_no_more_in_a_fuller_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        uint64_t few = refusal_visits(1000, sks[i]), many = refusal_visits(40000, sks[i]);
        print_message("a refused push: %" PRIu64 " and %" PRIu64 " visits\n", few, many);
        assert_true(few > 0 && many <= 3 * few);
    }
}

/* What has expired does not count, whichever jobs these are and whichever comes. */
static void
test_push_is_accepted_where_all_but_one_have_expired(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * KIT_COUNT(sks); i++) {
        kit k;
        kit_open(&k, NULL);
        jobs_fill(&k, 2000, sks[i / 2], KIT_START_MS + 1, 0);
        jobs_push(&k, "q", "zz", "lives");
        kit_advance(&k, 2);
        lk_push_options limit = {.max_depth = 2};
        assert_status(LK_OK, lkc_try_push(k.db, "q", i % 2 == 0 ? NULL : "zzz", "x", &limit));
        assert_status(LK_BUSY, lkc_try_push(k.db, "q", i % 2 == 0 ? NULL : "zzzz", "x", &limit));
        kit_close(&k);
    }
}

/* Expiry in an order that has nothing to do with the order of places: all of it comes back by pulls
 * alone. */
static void
test_jobs_that_expire_at_random_times_go_by_pulls(void **state)
{
    kit *k = *state;
    kit_random random = kit_random_of(4);
    enum { JOBS = 5000 };
    for (size_t i = 0; i < JOBS; i++)
        jobs_push_expiring(k, "q", NULL, "x", KIT_START_MS + 1 + (int64_t)kit_draw(&random, 1000));
    for (size_t i = 0; i < 1100; i++) {
        kit_advance(k, 1);
        (void)lkc_try_pull(k->db, k->result, "other", NULL);
        (void)lkc_try_pull(k->db, k->result, "q", NULL);
    }
    assert_empty(k, "q");
    size_t left = jobs_items(k, "q");
    kit_sweep(k);
    assert_int_equal(left, 0);
    assert_int_equal(kit_statistics(k).cells, 0);
}

/* ---- clocks ---- */

typedef struct odd_clock {
    _Atomic(int64_t) realtime_ms, monotonic_ms;
} odd_clock;

static int64_t
odd_realtime(void *context)
{
    return atomic_load(&((odd_clock *)context)->realtime_ms);
}

static int64_t
odd_monotonic(void *context)
{
    return atomic_load(&((odd_clock *)context)->monotonic_ms);
}

/* Items, jobs and a lock that live for 1,000 ms, on a clock that stands at `start_ms` when the
 * store opens and at `then_ms` when they come. */
static void
expiry_run(int64_t start_ms, int64_t then_ms, int64_t monotonic_ms)
{
    odd_clock clock = {start_ms, monotonic_ms};
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.realtime_ms = odd_realtime;
    options.monotonic_ms = odd_monotonic;
    options.clock_context = &clock;
    options.lock_ttl_ms = 1000;
    kit k = {0};
    assert_status(LK_OK, lk_memory_open(&options, &k.db));
    k.result = lk_result_new();
    atomic_store(&clock.realtime_ms, then_ms);
    for (size_t i = 0; i < 600; i++) {
        lk_item items[] = {kit_item("q", "", "x"), kit_item("q", "", "x"),
                           kit_item("items", "", "x")};
        items[1].key = lkc_numbered("q", i);
        items[2].key = lkc_numbered("items", i);
        for (size_t at = 0; at < KIT_COUNT(items); at++)
            items[at].expires_at_ms = then_ms + 1000;
        assert_status(LK_OK, lk_queue_push(k.db, items, 2, NULL, NULL));
        assert_status(LK_OK, lk_set(k.db, &items[2], 1));
    }
    lk_lock lock = kit_lock(&k, kit_key("items", "lock"));
    bool far = then_ms > INT64_MAX - 2000; /* never */
    assert_int_equal(lock.expires_at_ms, then_ms > INT64_MAX - 1000 ? INT64_MAX : then_ms + 1000);
    assert_int_equal(kit_lock(&k, kit_key("items", "lock")).version, lock.version);
    assert_pull(&k, "q", "x", NULL);
    jobs_push(&k, "q", "zz", "lives");
    atomic_store(&clock.realtime_ms, then_ms + 1001);
    lk_push_options limit = {.max_depth = 1};
    assert_status(LK_BUSY, lkc_try_push(k.db, "q", NULL, "x", &limit));
    limit.max_depth = 2;
    assert_status(LK_OK, lkc_try_push(k.db, "q", "zzz", "x", &limit));
    assert_int_equal(lkc_stats(k.db, "q").ready, 2);
    kit_sweep(&k);
    assert_true(kit_statistics(&k).cells <= (far ? 4 : 3));
    assert_int_equal(jobs_items(&k, "items"), 0);
    assert_pull(&k, "q", "lives", NULL);
    lk_result_free(k.result);
    lk_close(k.db);
}

static void
test_expiry_holds_for_every_clock(void **state)
{
    (void)state;
    const int64_t now = KIT_START_MS, year = INT64_C(31536000000), end = INT64_MAX - 5000;
    const int64_t times[][2] = {{now, now}, {now, now - 1000}, {now, now - year},
                                {now, 7},   {now, -999},       {0, 0},
                                {-5, -500}, {INT64_MIN, now},  {INT64_MIN, end},
                                {end, end}, {end, 0},          {now, now + 900 * year}};
    const int64_t monotonic[] = {0, INT64_MIN, INT64_MAX - 1, -1};
    for (size_t i = 0; i < KIT_COUNT(times); i++)
        expiry_run(times[i][0], times[i][1], monotonic[i % KIT_COUNT(monotonic)]);
}

/* However many these are: a batch may be as large as the queue. */
static void
test_batch_is_accepted_where_all_have_expired(void **state)
{
    (void)state;
    enum { JOBS = 20000 };
    lk_item *items = calloc(JOBS, sizeof *items);
    lk_push_options limit = {.max_depth = JOBS};
    assert_non_null(items);
    for (int claimed = 0; claimed < 2; claimed++) {
        kit k;
        kit_open(&k, NULL);
        for (size_t i = 0; i < JOBS; i++) {
            items[i] = kit_item("q", "", "x");
            items[i].expires_at_ms = k.now_ms + 1000;
        }
        assert_status(LK_OK, lk_queue_push(k.db, items, JOBS, &limit, NULL));
        assert_status(LK_BUSY, lkc_try_push(k.db, "q", NULL, "x", &limit));
        lk_pull_options all = {.pk = lk_string("q"), .max_jobs = JOBS};
        if (claimed != 0)
            assert_status(LK_OK, lk_queue_pull(k.db, &all, k.result));
        kit_advance(&k, 1001);
        for (size_t i = 0; i < JOBS; i++)
            items[i].expires_at_ms = 0;
        assert_status(LK_OK, lk_queue_push(k.db, items, JOBS, &limit, NULL));
        assert_status(LK_BUSY, lkc_try_push(k.db, "q", NULL, "x", &limit));
        kit_close(&k);
    }
    free(items);
}

/* ---- descriptors ---- */

/* To set a descriptor right is no reason to work off all that has expired. */
static void
test_descriptor_does_not_take_out_all_that_has_expired(void **state)
{
    kit *k = *state;
    enum { MOST = 50000, BATCH = 1000 };
    size_t count = test_scaled(MOST);
    lk_push_options later = {.delay_ms = LK_HOURS(1)};
    for (size_t i = 0; i < count; i += BATCH) {
        lk_item items[BATCH];
        char sk[BATCH][16];
        for (size_t at = 0; at < BATCH; at++) {
            snprintf(sk[at], sizeof sk[at], "%08zu", i + at);
            items[at] = kit_item("q", sk[at], "x");
            items[at].expires_at_ms = k->now_ms + 1000;
        }
        assert_status(LK_OK, lk_queue_push(k->db, items, BATCH, &later, NULL));
    }
    int fd;
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("q")));
    assert_status(LK_OK, lk_queue_fd(k->db, lk_string("q"), &fd));
    kit_advance(k, 1001);
    size_t pulls = 1;
    uint64_t most = 0, before = kit_statistics(k).cells;
    for (; lkc_try_pull(k->db, k->result, "q", NULL) == LK_EMPTY; pulls++) {
        uint64_t cells = kit_statistics(k).cells;
        most = before - cells > most ? before - cells : most;
        before = cells;
    }
    print_message("%zu expired jobs: %zu pulls, at most %zu in one\n", count, pulls, (size_t)most);
    assert_status(LK_CLOSED, lkc_try_pull(k->db, k->result, "q", NULL));
    assert_true(pulls >= count / 16384);
}

/* ---- cursors ---- */

/* All sks of "q", as one query gives them. */
typedef struct listing {
    char (*sk)[64];
    size_t count;
} listing;

static listing
listing_of(kit *k)
{
    lk_query query = {.pk = lk_string("q")};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    listing all = {calloc(lk_result_count(k->result) + 1, sizeof *all.sk),
                   lk_result_count(k->result)};
    for (size_t i = 0; i < all.count; i++) {
        lk_bytes sk = lk_result_item(k->result, i)->key.sk;
        memcpy(all.sk[i], sk.data, sk.size);
    }
    return all;
}

/* The query gives what of the listing lies behind the cursor and has the prefix. */
static void
cursor_check(kit *k, const listing *all, lk_bytes after, lk_bytes prefix, bool reverse)
{
    enum { LIMIT = 3 };
    lk_query query = {.pk = lk_string("q"),
                      .after = after,
                      .sk_prefix = prefix,
                      .limit = LIMIT,
                      .reverse = reverse};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    size_t found = 0;
    for (size_t i = 0; i < all->count && found < LIMIT; i++) {
        lk_bytes sk = lk_string(all->sk[reverse ? all->count - 1 - i : i]);
        int order = lk_bytes_compare(sk, after);
        bool wanted = after.size == 0 || (reverse ? order < 0 : order > 0);
        if (!wanted || sk.size < prefix.size || memcmp(sk.data, prefix.data, prefix.size) != 0)
            continue;
        assert_true(found < lk_result_count(k->result));
        assert_true(lkc_equal(lk_result_item(k->result, found)->key.sk, sk));
        found++;
    }
    assert_int_equal(lk_result_count(k->result), found);
}

static void
test_query_begins_at_any_cursor_of_a_deep_queue(void **state)
{
    kit *k = *state;
    kit_random random = kit_random_of(5);
    const size_t jobs = test_scaled(6000);
    for (size_t i = 0; i < jobs; i++) {
        if (kit_draw(&random, 10) == 0)
            kit_advance(k, (int64_t)kit_draw(&random, 5000));
        jobs_push(k, "q", NULL, "x");
    }
    jobs_push(k, "q", "01", "x");
    jobs_push(k, "q", "zz", "x");
    for (int hole = 0; hole < 3;
         hole++) { /* all there; some gone; most gone, whole segments among them */
        listing all = listing_of(k);
        for (size_t i = 0; i < 300; i++) {
            char cursor[64];
            const char *sk = all.sk[kit_draw(&random, all.count)];
            size_t size = strlen(sk),
                   cut = kit_draw(&random, 4) == 0 ? kit_draw(&random, size + 1) : size;
            memcpy(cursor, sk, size);
            if (kit_draw(&random, 3) == 0 && cut > 0) /* no key of a job */
                cursor[cut - 1] = (char)(cursor[cut - 1] + (int)kit_draw(&random, 3) - 1);
            lk_bytes after = {cursor, kit_draw(&random, 8) == 0 ? 0 : cut};
            lk_bytes prefix = {sk, kit_draw(&random, 2) == 0 ? 0 : kit_draw(&random, size)};
            cursor_check(k, &all, after, prefix, i % 2 != 0);
        }
        for (size_t i = 0; i < all.count; i++) {
            bool far = hole == 1 && i > all.count / 4 && i < all.count / 2;
            if (!far && kit_draw(&random, 3) != 0)
                continue;
            lk_key key = {lk_string("q"), lk_string(all.sk[i])};
            assert_status(LK_OK, lk_delete(k->db, &key, 1));
        }
        kit_sweep(k);
        free(all.sk);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queues_used_once_go_as_fast_as_they_come),
        KIT_TEST(test_queues_in_use_stay_while_others_go),
        cmocka_unit_test(test_refused_push_looks_at_no_more_in_a_fuller_queue),
        cmocka_unit_test(test_push_is_accepted_where_all_but_one_have_expired),
        KIT_TEST(test_jobs_that_expire_at_random_times_go_by_pulls),
        cmocka_unit_test(test_expiry_holds_for_every_clock),
        cmocka_unit_test(test_batch_is_accepted_where_all_have_expired),
        KIT_TEST(test_descriptor_does_not_take_out_all_that_has_expired),
        KIT_TEST(test_query_begins_at_any_cursor_of_a_deep_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
