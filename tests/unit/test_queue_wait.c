/* SPDX-License-Identifier: MIT
 *
 * Waiting for jobs, by call and by descriptor, for time to pass: on the machine's clocks, for a few
 * milliseconds. How long a wait took is only ever compared with the least that it may take. A
 * thread that is never woken is ended by the alarm. Waits for what others do stand in the
 * conformance suite.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <latchkey/adapter.h>

#include "support/jobs.h"

enum { HANG_SECONDS = 60, POLL_MS = 30000 };

/* The kit's memory, the machine's clocks. */
static int
wait_setup(void **state)
{
    kit *k = calloc(1, sizeof *k);
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    assert_non_null(k);
    options.allocate = kit_allocate;
    options.deallocate = kit_deallocate;
    options.allocator_context = &k->memory;
    assert_status(LK_OK, lk_memory_open(&options, &k->db));
    k->result = lk_result_new();
    assert_non_null(k->result);
    *state = k;
    alarm(HANG_SECONDS);
    return 0;
}

static int
wait_teardown(void **state)
{
    alarm(0);
    kit_close(*state);
    free(*state);
    return 0;
}

static int64_t
clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static lk_status
pull_waiting(kit *k, const char *pk, int64_t wait_ms, int64_t visibility_ms)
{
    lk_pull_options options = {
        .pk = lk_string(pk), .wait_ms = wait_ms, .visibility_ms = visibility_ms};
    return lk_queue_pull(k->db, &options, k->result);
}

/* ---- threads that wait ---- */

typedef struct waiter {
    pthread_t thread;
    kit *k;
    const char *pk;
    int64_t wait_ms;
    lk_status status;
    uint32_t receives;
    lk_result *result;
} waiter;

static void *
waiter_main(void *argument)
{
    waiter *w = argument;
    lk_pull_options options = {
        .pk = lk_string(w->pk), .wait_ms = w->wait_ms, .visibility_ms = LK_HOURS(1)};
    w->status = lk_queue_pull(w->k->db, &options, w->result);
    w->receives = w->status == LK_OK ? lk_result_claim(w->result, 0)->receives : 0;
    return NULL;
}

static void
waiter_start(waiter *w, kit *k, const char *pk, int64_t wait_ms)
{
    *w = (waiter){.k = k, .pk = pk, .wait_ms = wait_ms, .result = lk_result_new()};
    assert_non_null(w->result);
    assert_int_equal(pthread_create(&w->thread, NULL, waiter_main, w), 0);
}

static void
waiter_join(waiter *w, lk_status wanted)
{
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    lk_result_free(w->result);
    assert_status(wanted, w->status);
}

/* A little time for others to fall asleep; whether they did changes nothing. */
static void
settle(kit *k, int turn)
{
    if (turn % 3 != 0)
        assert_status(LK_TIMED_OUT, pull_waiting(k, "nothing ever", turn % 3 * 3, 0));
}

/* ---- wait ---- */

static void
test_wait_for_nothing_times_out_not_before_its_time(void **state)
{
    kit *k = *state;
    static const int64_t waits[] = {1, 2, 5, 20};
    for (size_t i = 0; i < KIT_COUNT(waits); i++) {
        int64_t begin = clock_ms();
        assert_status(LK_TIMED_OUT, pull_waiting(k, "q", waits[i], 0));
        assert_true(clock_ms() - begin >= waits[i] - 1); /* both ends are cut to milliseconds */
    }
    assert_status(LK_EMPTY, pull_waiting(k, "q", 0, 0));
    lkc_push_delayed(k->db, "q", NULL, "later", LK_HOURS(1));
    assert_status(LK_TIMED_OUT, pull_waiting(k, "q", 3, 0));
    assert_depths(k, "q", 0, 0, 1);
}

static void
test_lapse_of_anothers_claim_wakes_a_waiter(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    for (int turn = 0; turn < 6; turn++) {
        waiter w;
        jobs_push(k, "q", sks[turn % 2], "x");
        if (turn < 4) { /* the claim is there before the waiter comes */
            assert_status(LK_OK, pull_waiting(k, "q", 0, 5));
            waiter_start(&w, k, "q", -1);
        } else { /* or after it: it waits for a lapse in an hour, and then for one that is near */
            assert_status(LK_OK, pull_waiting(k, "q", 0, LK_HOURS(1)));
            waiter_start(&w, k, "q", -1);
            settle(k, 2);
            lk_claim claim = *lk_result_claim(k->result, 0);
            assert_status(LK_OK, lk_queue_extend(k->db, &claim, 4));
        }
        waiter_join(&w, LK_OK);
        assert_int_equal(w.receives, 2);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

static void
test_end_of_a_delay_wakes_a_waiter(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    for (int turn = 0; turn < 6; turn++) {
        waiter w;
        int64_t begin = clock_ms();
        if (turn < 4)
            lkc_push_delayed(k->db, "q", sks[turn % 2], "x", 6);
        waiter_start(&w, k, "q", -1);
        if (turn >= 4) { /* pushed while it waits */
            settle(k, turn);
            begin = clock_ms();
            lkc_push_delayed(k->db, "q", sks[turn % 2], "x", 6);
        }
        waiter_join(&w, LK_OK);
        assert_true(clock_ms() - begin >= 5);
        assert_int_equal(w.receives, 1);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    }
}

/* ---- descriptors ---- */

static int
queue_fd(kit *k, const char *pk)
{
    int fd = -1;
    assert_status(LK_OK, lk_queue_fd(k->db, lk_string(pk), &fd));
    assert_true(fd >= 0);
    return fd;
}

static bool
is_readable(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int count = poll(&p, 1, wait_ms);
    assert_true(count >= 0);
    return count == 1 && (p.revents & POLLIN) != 0;
}

/* Who pulls until LK_EMPTY may sleep: what comes then makes it readable again. */
static void
test_descriptor_after_a_partial_drain_stays_readable(void **state)
{
    kit *k = *state;
    int fd = queue_fd(k, "q");
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, 5, NULL, NULL));
    for (int i = 0; i < 5; i++) {
        assert_true(is_readable(fd, 0));
        assert_status(LK_OK, pull_waiting(k, "q", 0, 0));
    }
    assert_empty(k, "q");
    assert_false(is_readable(fd, 0));
    jobs_push(k, "q", NULL, "x");
    assert_true(is_readable(fd, 0));
    lk_queue_statistics s = lkc_stats(k->db, "q");
    assert_int_equal(s.ready, 1);
    assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
    assert_empty(k, "q");
    assert_false(is_readable(fd, 0));
}

/* Sleeps on the descriptor until the job comes. It comes soon after the descriptor says so. */
static void
poll_and_pull(kit *k, int fd, uint32_t receives, job *j)
{
    for (int spins = 0; lkc_try_pull(k->db, k->result, "q", j) == LK_EMPTY; spins++) {
        assert_true(spins < 20);
        assert_true(is_readable(fd, POLL_MS));
    }
    assert_string_equal(j->data, "x");
    assert_int_equal(j->claim.receives, receives);
}

static void
test_descriptor_becomes_readable_when_time_passes(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    int fd = queue_fd(k, "q");
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        lkc_push_delayed(k->db, "q", sks[i], "x", 4); /* the end of a delay */
        assert_true(is_readable(fd, POLL_MS));
        assert_status(LK_OK, pull_waiting(k, "q", -1, 4));
        poll_and_pull(k, fd, 2, &j); /* a lapse */
        assert_empty(k, "q");
        assert_false(is_readable(fd, 0));
        assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 4)); /* released with delay */
        poll_and_pull(k, fd, 3, &j);
        assert_empty(k, "q");
        assert_status(LK_OK, lk_queue_extend(k->db, &j.claim, 3)); /* a claim cut short */
        poll_and_pull(k, fd, 4, &j);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        assert_empty(k, "q");
        assert_false(is_readable(fd, 0));
    }
}

/* However many queues one call changes. */
static void
test_commit_sets_all_descriptors_right(void **state)
{
    kit *k = *state;
    enum { QUEUES = 100 };
    int fds[QUEUES];
    char pk[QUEUES][8];
    lk_write writes[QUEUES];
    lk_claim claims[QUEUES];
    for (int way = 0; way < 2; way++) {
        for (size_t i = 0; i < QUEUES; i++) {
            snprintf(pk[i], sizeof pk[i], "q%zu", i);
            jobs_push(k, pk[i], "own", "x");
            fds[i] = queue_fd(k, pk[i]);
            assert_true(is_readable(fds[i], 0));
            claims[i] = (lk_claim){.key = kit_key(pk[i], "own")};
            writes[i] = (lk_write){.kind = LK_ACKNOWLEDGE, .claim = &claims[i]};
            if (way != 0)
                writes[i] = (lk_write){.kind = LK_DELETE, .item = {.key = claims[i].key}};
        }
        assert_status(LK_OK, lk_commit(k->db, writes, QUEUES, NULL, 0, NULL));
        for (size_t i = 0; i < QUEUES; i++)
            assert_false(is_readable(fds[i], 0));
    }
}

static void *
push_main(void *argument)
{
    kit *k = argument;
    lk_item item = kit_item("q", NULL, "x");
    return (void *)(intptr_t)lk_queue_push(k->db, &item, 1, NULL, NULL);
}

static void
test_descriptors_wake_poll_and_epoll(void **state)
{
    kit *k = *state;
    int fds[2] = {queue_fd(k, "other"), queue_fd(k, "q")}, epoll = epoll_create1(EPOLL_CLOEXEC);
    assert_true(epoll >= 0);
    for (int i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
        assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), 0);
    }
    for (int turn = 0; turn < 6; turn++) {
        struct epoll_event event;
        pthread_t thread;
        void *status = NULL;
        job j;
        assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
        assert_int_equal(pthread_create(&thread, NULL, push_main, k), 0);
        if (turn % 2 == 0) {
            assert_int_equal(epoll_wait(epoll, &event, 1, POLL_MS), 1);
            assert_int_equal(event.data.fd, fds[1]);
        } else {
            assert_true(is_readable(fds[1], POLL_MS));
        }
        assert_int_equal(pthread_join(thread, &status), 0);
        assert_true((lk_status)(intptr_t)status == LK_OK);
        assert_pull(k, "q", "x", &j);
        assert_empty(k, "q");
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
    close(epoll);
}

/* Nobody calls when the job expires. Who waits at the closed queue has gone to sleep before it was
 * known that it will. */
static void
test_expiry_that_is_set_later_ends_a_closed_queue(void **state)
{
    kit *k = *state;
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < KIT_COUNT(sks) * 2; i++) {
        char pk[] = {'q', (char)('0' + i), '\0'};
        job j;
        waiter w;
        jobs_push(k, pk, sks[i / 2], "x");
        assert_pull(k, pk, "x", &j);
        assert_status(LK_OK, lk_queue_close(k->db, lk_string(pk)));
        assert_false(is_readable(queue_fd(k, pk), 0));
        waiter_start(&w, k, pk, -1);
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        lk_item item = {.key = j.claim.key, .data = lk_string("y")};
        item.expires_at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 20;
        lk_write write = {.kind = LK_PUT, .item = item};
        assert_status(LK_OK, i % 2 == 0 ? lk_set(k->db, &item, 1)
                                        : lk_commit(k->db, &write, 1, NULL, 0, NULL));
        assert_true(is_readable(queue_fd(k, pk), POLL_MS));
        waiter_join(&w, LK_CLOSED);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, wait_setup, wait_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_wait_for_nothing_times_out_not_before_its_time),
        TEST(test_lapse_of_anothers_claim_wakes_a_waiter),
        TEST(test_end_of_a_delay_wakes_a_waiter),
        TEST(test_descriptor_after_a_partial_drain_stays_readable),
        TEST(test_descriptor_becomes_readable_when_time_passes),
        TEST(test_expiry_that_is_set_later_ends_a_closed_queue),
        TEST(test_commit_sets_all_descriptors_right),
        TEST(test_descriptors_wake_poll_and_epoll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
