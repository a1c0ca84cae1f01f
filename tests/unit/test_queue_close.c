/* SPDX-License-Identifier: MIT
 *
 * A closed queue is over when its last job is gone, whatever took it: then, and not before, pulls are LK_CLOSED, waiters wake and the
 * descriptor is readable.
 */
#include "support/jobs.h"

#include <poll.h>
#include <pthread.h>

typedef struct waiter {
    kit *k;
    pthread_t thread;
    lk_status status;
} waiter;

static void *
waiter_main(void *argument)
{
    waiter *w = argument;
    lk_pull_options options = {.pk = lk_string("q"), .wait_ms = -1};
    lk_result *result = lk_result_new();
    w->status = result == NULL ? LK_NO_MEMORY : lk_queue_pull(w->k->db, &options, result);
    lk_result_free(result);
    return NULL;
}

static bool
is_readable(kit *k)
{
    int fd;
    assert_status(LK_OK, lk_queue_fd(k->db, lk_string("q"), &fd));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* ---- what takes the last job out ---- */

static void
by_claim(kit *k, job *j)
{
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j->claim, 1));
}

static void
by_key(kit *k, job *j)
{
    lk_claim claim = {.key = j->claim.key};
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &claim, 1));
}

static void
by_commit(kit *k, job *j)
{
    lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = &j->claim},
                          {.kind = LK_PUT, .item = kit_item("done", "x", "x")}};
    assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
}

static void
by_delete(kit *k, job *j)
{
    assert_status(LK_OK, lk_delete(k->db, &j->claim.key, 1));
}

static void
by_delete_in_commit(kit *k, job *j)
{
    lk_write write = {.kind = LK_DELETE, .item = {.key = j->claim.key}};
    assert_status(LK_OK, lk_commit(k->db, &write, 1, NULL, 0, NULL));
}

static void
by_purge(kit *k, job *j)
{
    (void)j;
    assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
}

static void
by_death(kit *k, job *j)
{
    assert_status(LK_OK, lk_queue_release(k->db, &j->claim, 0));
    (void)jobs_try_pull_limited(k, "q", 1, "dead", NULL);
    assert_depths(k, "dead", 1, 0, 0);
}

static void
by_expiry(kit *k, job *j)
{
    lk_item item = {.key = j->claim.key, .data = lk_string("x"), .expires_at_ms = k->now_ms + 5};
    assert_status(LK_OK, lk_set(k->db, &item, 1)); /* it stays a job */
    assert_empty(k, "q");
    kit_advance(k, 6);
}

/* As good as deleted. */
static void
by_past_expiry(kit *k, job *j)
{
    lk_item item = {.key = j->claim.key, .data = lk_string("x"), .expires_at_ms = k->now_ms - 1};
    assert_status(LK_OK, lk_set(k->db, &item, 1));
}

static void
by_past_expiry_in_commit(kit *k, job *j)
{
    lk_item item = {.key = j->claim.key, .data = lk_string("x"), .expires_at_ms = k->now_ms - 1};
    lk_write write = {.kind = LK_PUT, .item = item};
    assert_status(LK_OK, lk_commit(k->db, &write, 1, NULL, 0, NULL));
}

static void
by_expiry_and_sweep(kit *k, job *j)
{
    by_expiry(k, j);
    assert_status(LK_OK, lk_sweep(k->db, 0, NULL));
}

static const struct way {
    const char *name;
    void (*end)(kit *k, job *j);
    bool tells; /* also who only polls */
} ways[] = {
    {"acknowledge", by_claim, true},
    {"acknowledge by key", by_key, true},
    {"acknowledge in a commit", by_commit, true},
    {"delete", by_delete, true},
    {"delete in a commit", by_delete_in_commit, true},
    {"purge", by_purge, true},
    {"death", by_death, true},
    {"expiry", by_expiry, false},
    {"set to a past expiry", by_past_expiry, true},
    {"set to a past expiry in a commit", by_past_expiry_in_commit, true},
    {"expiry and sweep", by_expiry_and_sweep, true},
};

static void
last_job_check(const struct way *way, const char *sk, bool polls, size_t waiters)
{
    kit k;
    job j;
    waiter w[3];
    kit_open(&k, NULL);
    print_message("%s, %s\n", way->name, sk != NULL ? "with a key" : "without");
    jobs_push(&k, "q", sk, "x");
    jobs_push(&k, "q", NULL, "y");
    for (int i = 0; i < 2; i++) {
        assert_status(LK_OK, jobs_try_pull(&k, "q", &j));
        if (strcmp(j.data, "y") == 0) /* the other one is done at once */
            assert_status(LK_OK, lk_queue_acknowledge(k.db, &j.claim, 1));
    }
    lk_query query = {.pk = lk_string("q")};
    assert_status(LK_OK, lk_query_items(k.db, &query, k.result));
    assert_int_equal(lk_result_count(k.result), 1);
    if (strcmp(j.data, "y") == 0) { /* the claim of the one that is left */
        lk_claim by_its_key = {.key = lk_result_item(k.result, 0)->key};
        assert_status(LK_OK, lk_queue_release(k.db, &by_its_key, 0));
        assert_pull(&k, "q", "x", &j);
    }
    assert_status(LK_OK, lk_queue_close(k.db, lk_string("q")));
    assert_empty(&k, "q");
    assert_true(!polls || !is_readable(&k));
    for (size_t i = 0; i < waiters; i++) {
        w[i] = (waiter){.k = &k};
        assert_int_equal(pthread_create(&w[i].thread, NULL, waiter_main, &w[i]), 0);
    }
    way->end(&k, &j);
    assert_true(!polls || !way->tells || is_readable(&k));
    for (size_t i = 0; i < waiters; i++) {
        pthread_join(w[i].thread, NULL);
        assert_true(w[i].status == LK_CLOSED || (way->end == by_death && w[i].status == LK_OK));
    }
    if (waiters == 0 || way->end != by_death) {
        assert_status(LK_CLOSED, jobs_try_pull(&k, "q", NULL));
        assert_true(!polls || is_readable(&k));
    }
    assert_status(LK_CLOSED, jobs_try_push(&k, "q", NULL, "x", NULL));
    kit_close(&k);
}

static void
test_whatever_takes_the_last_job_out_ends_a_closed_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(ways); i++)
        for (int sk = 0; sk < 2; sk++) {
            last_job_check(&ways[i], sk != 0 ? "key" : NULL, false, 0);
            last_job_check(&ways[i], sk != 0 ? "key" : NULL, true, 0);
            if (ways[i].end != by_death) /* a waiter may get it first */
                last_job_check(&ways[i], sk != 0 ? "key" : NULL, false, 3);
        }
}

static void
test_closed_queue_with_delayed_jobs_is_not_over(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "key"};
    for (size_t i = 0; i < 2; i++)
        jobs_push_delayed(k, "q", sks[i], "x", 1000);
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("q")));
    assert_empty(k, "q");
    assert_false(is_readable(k));
    kit_advance(k, 1001);
    job j[2];
    for (size_t i = 0; i < 2; i++)
        assert_pull(k, "q", "x", &j[i]);
    for (size_t i = 0; i < 2; i++) {
        assert_empty(k, "q");
        assert_false(is_readable(k));
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j[i].claim, 1));
    }
    assert_true(is_readable(k));
    assert_status(LK_CLOSED, jobs_try_pull(k, "q", NULL));
    assert_true(is_readable(k));
}

/* A claim that has lapsed, and is good again. */
static void
test_descriptor_follows_a_late_extension(void **state)
{
    kit *k = *state;
    job j[2];
    for (size_t i = 0; i < 2; i++)
        jobs_push(k, "q", NULL, "x");
    assert_false(!is_readable(k));
    for (size_t i = 0; i < 2; i++)
        assert_pull(k, "q", "x", &j[i]);
    assert_false(is_readable(k));
    kit_advance(k, JOB_VISIBILITY_MS + 1);
    assert_pull(k, "q", "x", &j[0]);
    assert_true(is_readable(k));
    assert_status(LK_OK, lk_queue_extend(k->db, &j[1].claim, JOB_VISIBILITY_MS));
    assert_false(is_readable(k));
    assert_empty(k, "q");
    kit_advance(k, JOB_VISIBILITY_MS + 1);
    assert_pull(k, "q", "x", &j[0]);
    assert_true(is_readable(k));
    lk_claim claim = {.key = j[1].claim.key};
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &claim, 1));
    assert_false(is_readable(k));
}

/* A push that came to nothing leaves nothing behind that would be waited for. */
static void
test_refused_pushes_do_not_keep_a_closed_queue_open(void **state)
{
    kit *k = *state;
    lk_push_options limited = {.max_depth = 1}, unique = {.unique = true};
    jobs_push(k, "q", "key", "x");
    lk_item mixed[2] = {kit_item("q", "other", "y"), kit_item("q", NULL, "y")};
    assert_status(LK_BUSY, lk_queue_push(k->db, mixed, 2, &limited, NULL));
    mixed[0] = kit_item("q", "key", "y");
    assert_status(LK_EXISTS, lk_queue_push(k->db, mixed, 2, &unique, NULL));
    lk_lock lock = kit_lock(k, kit_key("locks", "l"));
    lk_lock stale = lock;
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    lk_write push = {.kind = LK_PUSH, .item = kit_item("q", NULL, "y")};
    assert_status(LK_RACE, lk_commit(k->db, &push, 1, &stale, 1, NULL));
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("q")));
    assert_status(LK_CLOSED, lk_commit(k->db, &push, 1, NULL, 0, NULL));
    job j;
    assert_pull(k, "q", "x", &j);
    assert_empty(k, "q");
    assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    assert_status(LK_CLOSED, jobs_try_pull(k, "q", NULL));
}

/* Many segments, with jobs that stay in some of them. */
static void
test_closed_queue_of_many_jobs_is_over_after_the_last(void **state)
{
    kit *k = *state;
    enum { JOBS = 3000 };
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, JOBS, NULL, NULL));
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("q")));
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = JOBS};
    assert_status(LK_OK, lk_queue_pull(k->db, &options, k->result));
    assert_int_equal(lk_result_count(k->result), JOBS);
    lk_result *other = lk_result_new();
    for (size_t i = 0; i < JOBS; i++) {
        options.max_jobs = 1;
        assert_status(LK_EMPTY, lk_queue_pull(k->db, &options, other));
        assert_status(LK_OK,
                      lk_queue_acknowledge(k->db, lk_result_claim(k->result, i * 7 % JOBS), 1));
    }
    assert_status(LK_CLOSED, lk_queue_pull(k->db, &options, other));
    lk_result_free(other);
}

/* By the system's clocks: nobody calls when the job expires. Who waits has gone to sleep before it was known
 * that the job will. */
static void
test_expiry_that_is_set_later_ends_a_closed_queue(void **state)
{
    (void)state;
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < KIT_COUNT(sks) * 2; i++) {
        kit k = {.result = lk_result_new()};
        lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
        assert_status(LK_OK, lk_memory_open(&options, &k.db));
        job j;
        waiter w = {.k = &k};
        jobs_push(&k, "q", sks[i / 2], "x");
        assert_pull(&k, "q", "x", &j);
        assert_status(LK_OK, lk_queue_close(k.db, lk_string("q")));
        assert_false(is_readable(&k));
        assert_int_equal(pthread_create(&w.thread, NULL, waiter_main, &w), 0);
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        lk_item item = {.key = j.claim.key, .data = lk_string("y")};
        item.expires_at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 20;
        lk_write write = {.kind = LK_PUT, .item = item};
        assert_status(LK_OK, i % 2 == 0 ? lk_set(k.db, &item, 1)
                                        : lk_commit(k.db, &write, 1, NULL, 0, NULL));
        int fd;
        assert_status(LK_OK, lk_queue_fd(k.db, lk_string("q"), &fd));
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, LK_MINUTES(1)), 1);
        pthread_join(w.thread, NULL);
        assert_status(LK_CLOSED, w.status);
        lk_result_free(k.result);
        lk_close(k.db);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whatever_takes_the_last_job_out_ends_a_closed_queue),
        TEST(test_closed_queue_with_delayed_jobs_is_not_over),
        TEST(test_descriptor_follows_a_late_extension),
        TEST(test_refused_pushes_do_not_keep_a_closed_queue_open),
        TEST(test_closed_queue_of_many_jobs_is_over_after_the_last),
        cmocka_unit_test(test_expiry_that_is_set_later_ends_a_closed_queue),
    };
    return cmocka_run_group_tests_name("queue_close", tests, NULL, NULL);
}
