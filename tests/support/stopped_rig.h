/* SPDX-License-Identifier: MIT
 *
 * For hooked_queue.c: a thread that stops at its n-th access to a shared word, and a main thread
 * that uses the queue "q" meanwhile. It keeps accounts of all jobs by their numbers, counts the
 * accesses of each of its calls, and checks what it sees on the way.
 */
#ifndef LATCHKEY_TESTS_STOPPED_RIG_H
#define LATCHKEY_TESTS_STOPPED_RIG_H

#include "support/jobs.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "base/atomic.h"

enum {
    NUMBERS = 32,
    NUMBER_ITS = 24, /* of the first job that the stopped thread pushes */
    BATCH = 8,
    YIELDS_MAX = 3000,
    HANG_SECONDS = 30,
    POINTS_DENSE = 80,
    LAPSE_MS = VISIBILITY_MS + 1000,
    RECHECK_MS = 250,
    PULLS_MAX = 5,
    SHORT_MS = 15000,
    LONG_MS = 900000,
    NUMBER_DECOY = NUMBERS - 1
};

enum company { BESIDE, LAPSE, MEDDLE, PURGE, TEND, COMPANIES };
static const char *const company_names[COMPANIES] = {"beside", "lapse", "meddle", "purge", "tend"};

#define BIT(status) (1U << (status))
#define HOLDER (BIT(LK_OK) | BIT(LK_LATE) | BIT(LK_LOST))

typedef struct operation {
    const char *name;
    void (*prepare)(void);
    lk_status (*run)(void);
    lk_status alone;   /* its status where nobody was at its jobs */
    unsigned together; /* and where somebody was */
    size_t hands;      /* the jobs from 0 on that it is about */
    bool ends, pulls;  /* it takes job 0 out; it claims jobs */
    size_t adds;
} operation;

typedef struct entry {
    job claim; /* of the main thread */
    bool held, known, present;
    unsigned pulled, ended;
} entry;

static struct {
    kit k;
    const operation *op;
    enum company company;
    unsigned long stop_at; /* yield of the thread that is stopped */
    unsigned stops;
    sem_t stopped, go_on;
    pthread_t worker;
    bool at_work;
    entry jobs[NUMBERS];
    size_t count; /* pushed by the main thread */
    lk_result *its;
    job mine; /* claimed for the operation */
    lk_status status;
    unsigned long most; /* yields of one call of the main thread */
    int again;          /* most looks that a lapse took */
} test;

static __thread bool is_worker;
static __thread unsigned long yields;
static _Atomic(bool) counting;
static char where[200];

static void
where_write(void)
{
    ssize_t ignored = write(2, where, strlen(where));
    (void)ignored;
}

static void
give_up(int signal)
{
    (void)signal;
    where_write();
    _exit(1);
}

static void
yield_hook(void)
{
    yields++;
    if (is_worker &&
        (yields == test.stop_at || (test.company == TEND && yields == test.stop_at + 1))) {
        test.stops++;
        sem_post(&test.stopped);
        while (sem_wait(&test.go_on) != 0) {}
    }
    if (counting && !is_worker && yields > YIELDS_MAX)
        give_up(0);
}

/* A call of the main thread: its accesses are counted anew. */
#define STEP(call) (step_begin(), step_end(call))

static void
step_begin(void)
{
    yields = 0;
}

static lk_status
step_end(lk_status status)
{
    if (counting && yields > test.most)
        test.most = yields;
    return status;
}

static lk_bytes
text_of(size_t number)
{
    static __thread char text[4][16];
    static __thread unsigned next;
    char *to = text[next++ % 4];
    snprintf(to, sizeof text[0], "%08zu", number);
    return lk_string(to);
}

/* ---- what the main thread does ---- */

static void
push(const char *sk)
{
    assert_true(test.count < NUMBER_ITS);
    lk_item item = {.key = lk_key_of("q", sk), .data = text_of(test.count)};
    assert_status(LK_OK, STEP(lk_queue_push(test.k.db, &item, 1, NULL, NULL)));
    test.jobs[test.count++].known = true;
}

static void
push_plain(size_t count)
{
    for (size_t i = 0; i < count; i++)
        push(NULL);
}

/* Where others look for what is due their own claims are no reason to look again. */
static int64_t
main_ms(void)
{
    return test.company == TEND ? LONG_MS : VISIBILITY_MS;
}

/* One pull; false: nothing there. A job has one holder. */
static bool
pull(size_t *number, int64_t visibility_ms)
{
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = visibility_ms};
    lk_status status = STEP(lk_queue_pull(test.k.db, &options, test.k.result));
    if (status == LK_EMPTY)
        return false;
    assert_int_equal(status, LK_OK);
    *number = job_number(lk_result_item(test.k.result, 0));
    assert_true(*number < NUMBERS);
    entry *e = &test.jobs[*number];
    assert_true(!e->held || e->claim.claim.deadline_ms < test.k.monotonic_ms);
    assert_int_equal(e->ended, 0);
    lkc_job_keep(&e->claim, test.k.result, 0);
    e->held = true;
    e->pulled++;
    return true;
}

/* All that is visible, in order. */
static void
pull_all(void)
{
    char last[JOB_ROOM] = "";
    for (size_t number; pull(&number, main_ms());) {
        assert_true(strcmp(last, test.jobs[number].claim.sk) < 0);
        memcpy(last, test.jobs[number].claim.sk, sizeof last);
    }
}

static void
ended(entry *e)
{
    assert_int_equal(e->ended, 0);
    e->ended = 1;
    e->held = false;
}

static void
acknowledge(entry *e)
{
    assert_status(LK_OK, STEP(lk_queue_acknowledge(test.k.db, &e->claim.claim, 1)));
    ended(e);
    assert_status(LK_LOST, STEP(lk_queue_acknowledge(test.k.db, &e->claim.claim, 1)));
}

static void
acknowledge_all(void)
{
    for (size_t i = 0; i < NUMBERS; i++)
        if (test.jobs[i].held)
            acknowledge(&test.jobs[i]);
}

static void
acknowledge_in_commit(entry *e)
{
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = &e->claim.claim},
                         {.kind = LK_PUT, .item = kit_item("items", "b", "new")},
                         {.kind = LK_PUSH, .item = kit_item("mail", "n", "new")}};
    assert_status(LK_OK, STEP(lk_commit(test.k.db, writes, 3, NULL, 0, NULL)));
    assert_true(kit_holds(&test.k, kit_key("items", "b"), "new"));
    ended(e);
}

static void
lock_and_set(lk_key key, size_t number)
{
    lk_lock lock;
    lk_item item = {.key = key, .data = text_of(number)};
    assert_status(LK_OK, STEP(lk_get_lock(test.k.db, key, &lock)));
    assert_status(LK_OK, STEP(lk_set(test.k.db, &item, 1)));
    assert_status(LK_OK, STEP(lk_get_lock(test.k.db, key, &lock)));
    assert_status(LK_OK, STEP(lk_set_atomic(test.k.db, &item, 1, &lock, 1, NULL)));
}

/* Each kind of thing that a holder does, to one job or another. */
static void
work_on(size_t number, unsigned kind)
{
    entry *e = &test.jobs[number];
    lk_claim *claim = &e->claim.claim;
    switch (kind % 7) {
    case 0:
        assert_status(LK_OK, STEP(lk_queue_extend(test.k.db, claim, VISIBILITY_MS + 10)));
        acknowledge(e);
        break;
    case 1:
        assert_status(LK_OK, STEP(lk_queue_release(test.k.db, claim, 0)));
        e->held = false;
        break;
    case 2:
        acknowledge_in_commit(e);
        break;
    case 3:
        lock_and_set(claim->key, number); /* and keep it */
        break;
    case 4:
        assert_status(LK_OK, STEP(lk_delete(test.k.db, &claim->key, 1)));
        ended(e);
        assert_status(LK_LOST, STEP(lk_queue_extend(test.k.db, claim, VISIBILITY_MS)));
        break;
    case 5:
        assert_status(LK_OK, STEP(lk_queue_release(test.k.db, claim, 10)));
        e->held = false;
        break;
    default:
        assert_status(LK_OK, STEP(lk_queue_extend(test.k.db, claim, 10)));
        break;
    }
}

/* ---- what there is ---- */

static bool
is_in_hands(size_t number)
{
    return number < test.op->hands;
}

/* Who is there, by a query. */
static size_t
query_present(void)
{
    lk_query query = {.pk = lk_string("q")};
    for (size_t i = 0; i < NUMBERS; i++)
        test.jobs[i].present = false;
    assert_status(LK_OK, STEP(lk_query_items(test.k.db, &query, test.k.result)));
    size_t count = lk_result_count(test.k.result);
    for (size_t i = 0; i < count; i++) {
        size_t number = job_number(lk_result_item(test.k.result, i));
        assert_true(number < NUMBERS && !test.jobs[number].present);
        test.jobs[number].present = true;
    }
    return count;
}

/* The statistics, and who is there: what they have counted stays. */
static size_t
census(void)
{
    lk_queue_statistics stats;
    assert_status(LK_OK, STEP(lk_queue_stats(test.k.db, lk_string("q"), &stats)));
    size_t count = query_present();
    assert_int_equal(stats.ready + stats.claimed + stats.delayed, count);
    for (size_t i = 0; i < NUMBERS; i++) {
        const entry *e = &test.jobs[i];
        bool doubtful = test.at_work && test.op->ends && is_in_hands(i);
        assert_true(e->ended == 0 || !e->present);
        assert_true(e->ended != 0 || e->present || !(e->known || e->held) ||
                    (doubtful && !e->held));
    }
    return count;
}

/* Pulls until it holds all that are there; what lapses may have to be looked for again. */
static void
pull_until_all(void)
{
    for (int looks = 0;; looks++) {
        bool all = true;
        pull_all();
        (void)census();
        for (size_t i = 0; i < NUMBERS; i++) {
            const entry *e = &test.jobs[i];
            all &= !e->present || (e->held && e->claim.claim.deadline_ms >= test.k.monotonic_ms);
        }
        if (looks > test.again)
            test.again = looks;
        if (all)
            return;
        assert_true(looks + 1 < PULLS_MAX);
        kit_advance(&test.k, RECHECK_MS + 1);
    }
}

static void
purge_all(void)
{
    size_t count = census(), purged;
    assert_status(LK_OK, STEP(lk_queue_purge(test.k.db, lk_string("q"), &purged)));
    assert_int_equal(purged, count);
    for (size_t i = 0; i < NUMBERS; i++) {
        test.jobs[i].ended += test.jobs[i].present;
        test.jobs[i].held &= !test.jobs[i].present;
    }
    assert_int_equal(census(), 0);
}

#endif
