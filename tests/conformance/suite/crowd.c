/* SPDX-License-Identifier: MIT
 *
 * Threads: see suite.h. What a thread notes fails the case on the main thread, once all have ended.
 */
#include "suite.h"

#include <sched.h>
#include <time.h>

enum { HANG_SECONDS = 60, NAP_US = 500 };

static struct {
    atomic_uint notes;
    pthread_barrier_t start;
    void (*body)(member *m);
} crowd;

void
lkc_note(const char *file, int line, const char *what, int64_t a, int64_t b)
{
    if (atomic_fetch_add(&crowd.notes, 1) < 4)
        fprintf(stderr, "%s:%d: %s (%lld, %lld); LK_TEST_SEED=%llu\n", file, line, what,
                (long long)a, (long long)b, (unsigned long long)lkc_seed());
}

bool
lkc_is_well(void)
{
    return atomic_load(&crowd.notes) == 0;
}

bool
lkc_goes_on(uint64_t writes, const atomic_ullong *reads, uint64_t wanted)
{
    return lkc_is_well() && (writes < wanted || atomic_load(reads) < wanted);
}

static void *
member_main(void *argument)
{
    member *m = argument;
    pthread_barrier_wait(&crowd.start);
    crowd.body(m);
    if (m->index % 2 != 0)
        lk_thread_detach(); /* "optional; thread exit does it" */
    return NULL;
}

void
lkc_crowd(rig *r, size_t count, void (*body)(member *m), void *context)
{
    pthread_t threads[CROWD_MAX];
    member members[CROWD_MAX];
    assert_true(count <= CROWD_MAX);
    crowd.body = body;
    atomic_store(&crowd.notes, 0);
    assert_int_equal(pthread_barrier_init(&crowd.start, NULL, (unsigned)count), 0);
    for (size_t i = 0; i < count; i++) {
        members[i] = (member){r, i, lkc_seed() * 1000003 + i, lk_result_new(), context};
        if (members[i].result == NULL ||
            pthread_create(&threads[i], NULL, member_main, &members[i]) != 0)
            abort(); /* the others wait for it */
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        lk_result_free(members[i].result);
    }
    pthread_barrier_destroy(&crowd.start);
    assert_int_equal(atomic_load(&crowd.notes), 0);
}

/* ---- waiting ---- */

static pthread_mutex_t ended = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended_news;
static pthread_once_t ended_once = PTHREAD_ONCE_INIT;

/* Waits are bounded by the machine's monotonic clock: nothing but a hang depends on it. */
static void
ended_begin(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&ended_news, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void
flag_raise(atomic_bool *flag)
{
    pthread_mutex_lock(&ended);
    atomic_store(flag, true);
    pthread_cond_broadcast(&ended_news);
    pthread_mutex_unlock(&ended);
}

static struct timespec
after_us(long us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += us * 1000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

void
lkc_await(rig *r, const atomic_bool *done, int64_t step_ms, const char *what)
{
    time_t begin = after_us(0).tv_sec;
    pthread_mutex_lock(&ended);
    while (!atomic_load(done)) {
        struct timespec until = after_us(NAP_US);
        pthread_cond_timedwait(&ended_news, &ended, &until);
        lkc_advance(r, step_ms);
        if (until.tv_sec - begin > HANG_SECONDS) {
            fprintf(stderr, "hangs: %s\n", what);
            abort();
        }
    }
    pthread_mutex_unlock(&ended);
}

static void *
waiter_main(void *argument)
{
    waiter *w = argument;
    flag_raise(&w->started);
    w->status = lk_queue_pull(w->r->db, &w->options, w->result);
    flag_raise(&w->done);
    return NULL;
}

void
lkc_wait_begin(waiter *w, rig *r, const char *pk, int64_t wait_ms)
{
    *w = (waiter){.r = r, .result = lk_result_new()};
    w->options =
        (lk_pull_options){.pk = lk_string(pk), .wait_ms = wait_ms, .visibility_ms = VISIBILITY_MS};
    assert_non_null(w->result);
    pthread_once(&ended_once, ended_begin);
    assert_int_equal(pthread_create(&w->thread, NULL, waiter_main, w), 0);
    lkc_await(r, &w->started, 0, "a new thread");
    sched_yield();
}

lk_status
lkc_wait_end(waiter *w, int64_t step_ms)
{
    lkc_await(w->r, &w->done, step_ms, "a pull that waits");
    pthread_join(w->thread, NULL);
    return w->status;
}
