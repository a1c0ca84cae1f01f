/* SPDX-License-Identifier: MIT
 *
 * The laws of a queue over recorded histories (check/queue.h): producers push singly, in batches,
 * by commits, delayed, some with keys of their own, which others may have had (unique, or in place
 * of those), some only where there is room; consumers pull one or several, acknowledge, release,
 * extend, let claims lapse, delete, hand over by a commit with an item beside it, purge, ask for
 * statistics, while all of them move the monotonic clock. Then the queue is closed, and drained
 * until it is over: what was lost would be missed. Where nothing takes jobs out but who holds them,
 * holders read and rewrite theirs, and all are queried, meanwhile.
 */
#include <latchkey/adapter.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "check/queue.h"
#include "check/record_jobs.h"
#include "support/crowd.h"

enum {
    PRODUCERS = 2,
    CONSUMERS = 3,
    THREADS = PRODUCERS + CONSUMERS,
    ROUNDS = 6,
    VISIBILITY_MS = 6,
    EMPTY_MAX = 20000,
    BATCH_LARGE = 700, /* more than a segment */
    DEPTH = 40,
    RARE = 3000
};

static struct {
    uint32_t jobs; /* pushed by producers, in all */
    uint64_t round;
    bool timely;      /* nothing lapses, nothing is delayed, keys are generated: the plain path */
    uint64_t keys_in; /* one of so many single pushes has a key */
    record_world world;
    recorder recorders[THREADS];
    atomic_uint next, handed, producing, over;
    _Atomic(int64_t) now_ms;
    atomic_ullong calls;
} test;

static int64_t
test_now(void)
{
    return atomic_load(&test.now_ms);
}

static int64_t
clock_now(void *unused)
{
    (void)unused;
    return test_now();
}

/* ---- producers ---- */

static void
push_some(crowd_member *m, recorder *r)
{
    bool large = crowd_pick(m, 256) == 0;
    uint32_t count = test.keys_in == 1 || crowd_pick(m, 2) == 0
                         ? 1
                         : 1 + (uint32_t)crowd_pick(m, large ? BATCH_LARGE : RECORD_MANY);
    uint32_t first = atomic_fetch_add(&test.next, count);
    lk_push_options options = {
        .delay_ms =
            !test.timely && crowd_pick(m, 6) == 0 ? 1 + (int64_t)crowd_pick(m, VISIBILITY_MS) : 0,
        .max_depth = !test.timely && crowd_pick(m, 8) == 0 ? 1 + (size_t)crowd_pick(m, DEPTH) : 0,
        .unique = crowd_pick(m, 2) == 0};
    lk_status status;
    char sk[RECORD_SK_ROOM];
    if (first >= test.jobs)
        return;
    count = count < test.jobs - first ? count : test.jobs - first;
    if (!test.timely && count == 1 && crowd_pick(m, test.keys_in) == 0) {
        snprintf(sk, sizeof sk, "%c%03u-%u", "0Z"[first % 2], (unsigned)crowd_pick(m, 1000),
                 crowd_pick(m, 2) == 0 ? 0 : first);
        status = record_push(r, first, 1, sk, &options, 0);
        EXPECT(status == LK_OK || (status == LK_EXISTS && options.unique) ||
                   (status == LK_BUSY && options.max_depth != 0),
               (unsigned)status, 0);
    } else if (count <= RECORD_MANY && crowd_pick(m, 4) == 0) {
        EXPECT_OK(record_push_commit(r, first, count, NULL, NULL, NULL));
    } else {
        status = record_push(r, first, count, NULL, &options, 0);
        EXPECT(status == LK_OK || (status == LK_BUSY && options.max_depth != 0), (unsigned)status,
               0);
    }
}

static void
produce(crowd_member *m, recorder *r)
{
    while (atomic_load(&test.next) < test.jobs && crowd_is_well()) {
        push_some(m, r);
        if (crowd_pick(m, 32) == 0)
            sched_yield();
    }
    if (atomic_fetch_sub(&test.producing, 1) == 1)
        EXPECT_OK(record_close(r));
}

/* ---- consumers ---- */

/* A job is an item: who holds it reads it, writes it anew, and reads it again. */
static void
job_rewrite(recorder *r, const record_claim *claim)
{
    lk_item item = {.key = {test.world.queue, {claim->sk, claim->sk_size}},
                    .data = {&claim->job, sizeof claim->job}};
    for (int turn = 0; turn < 2; turn++) {
        lk_status status = lk_get(test.world.db, item.key, r->result);
        EXPECT(status == LK_OK, (unsigned)status, claim->job);
        if (status == LK_OK)
            EXPECT(memcmp(lk_result_item(r->result, 0)->data.data, &claim->job,
                          sizeof claim->job) == 0,
                   claim->job, turn);
        if (turn == 0)
            EXPECT_OK(lk_set(test.world.db, &item, 1));
    }
}

/* All of the partition are jobs that were pushed, in order. */
static void
jobs_read(crowd_member *m, recorder *r)
{
    lk_query query = {.pk = test.world.queue,
                      .limit = crowd_pick(m, 2) == 0 ? 0 : 1 + crowd_pick(m, 100),
                      .reverse = crowd_pick(m, 2) == 0,
                      .relaxed = crowd_pick(m, 2) == 0};
    EXPECT_OK(lk_query_items(test.world.db, &query, r->result));
    for (size_t i = 0; i < lk_result_count(r->result); i++) {
        const lk_item *item = lk_result_item(r->result, i),
                      *last = lk_result_item(r->result, i - 1);
        uint32_t job = UINT32_MAX;
        if (item->data.size == sizeof job)
            memcpy(&job, item->data.data, sizeof job);
        EXPECT(job < 2 * test.jobs, job, i);
        if (i == 0)
            continue;
        int order = lk_bytes_compare(last->key.sk, item->key.sk);
        EXPECT(query.reverse ? order > 0 : order < 0, i, lk_result_count(r->result));
    }
}

/* What becomes of a job. Those that a consumer pushes have numbers above the producers'. */
static void
job_treat(crowd_member *m, recorder *r, record_claim *claim)
{
    uint64_t what = crowd_pick(m, test.timely ? 22 : 32);
    if (test.timely && crowd_pick(m, 8) == 0)
        job_rewrite(r, claim);
    if (what < 18) {
        record_acknowledge(r, claim);
    } else if (what < 22) {
        record_release(r, claim,
                       !test.timely && crowd_pick(m, 2) == 0 ? 1 + (int64_t)crowd_pick(m, 5) : 0);
        if (crowd_pick(m, 4) == 0)
            record_acknowledge(r, claim);
        else if (!test.timely && crowd_pick(m, 8) == 0)
            record_take_out(r, claim, true); /* ready, or another's */
    } else if (what < 25) {
        record_extend(r, claim, 1 + (int64_t)crowd_pick(m, 2 * VISIBILITY_MS));
        if (crowd_pick(m, 2) == 0)
            record_acknowledge(r, claim);
    } else if (what < 27) {
        uint32_t job = atomic_fetch_add(&test.handed, 1);
        bool releases =
            (lk_capabilities(test.world.db) & LK_COMMITS_RELEASES) != 0 && crowd_pick(m, 2) == 0;
        if (job < 2 * test.jobs)
            record_push_commit(r, job, 1, NULL, NULL,
                               &(record_end){claim, releases, releases && !test.timely ? 1 : 0});
    } else if (what < 28) {
        record_take_out(r, claim, crowd_pick(m, 2) == 0);
    }
}

static void
consume(crowd_member *m, recorder *r)
{
    record_claim claims[4];
    uint32_t count, empty = 0;
    /* A queue that has lost a job is never over; whoever has waited long has shown it. */
    while (crowd_is_well() && empty < EMPTY_MAX) {
        lk_pull_options options = {.pk = test.world.queue,
                                   .max_jobs = crowd_pick(m, 2) == 0 ? 1 : 1 + crowd_pick(m, 4),
                                   .visibility_ms = test.timely ? LK_HOURS(1) : VISIBILITY_MS};
        lk_status status = record_pull(r, &options, claims, &count);
        if (status == LK_CLOSED)
            return;
        EXPECT(status == LK_OK || status == LK_EMPTY, (unsigned)status, 0);
        for (uint32_t i = 0; i < count; i++)
            job_treat(m, r, &claims[i]);
        if (!test.timely && crowd_pick(m, RARE) == 0)
            EXPECT_OK(record_purge(r));
        if (crowd_pick(m, RARE) == 0)
            EXPECT_OK(record_stats(r));
        if (crowd_pick(m, RARE / 8) == 0)
            jobs_read(m, r);
        empty = status == LK_EMPTY && atomic_load(&test.producing) == 0 ? empty + 1 : 0;
        if (status == LK_EMPTY)
            sched_yield();
        if (!test.timely && crowd_pick(m, status == LK_EMPTY ? 2 : 8) == 0)
            atomic_fetch_add(&test.now_ms, (int64_t)crowd_pick(m, 4));
    }
}

static void
member(crowd_member *m)
{
    recorder *r = &test.recorders[m->index];
    m->random += test.round << 32;
    record_begin(r, &test.world, (uint32_t)m->index, m->result);
    if (m->index < PRODUCERS)
        produce(m, r);
    else
        consume(m, r);
    atomic_fetch_add(&test.calls, r->history.count);
}

/* A job of which no key is known was never pulled: "over" was said too early, and that is told. */
static void
round_judge(history *all)
{
    report r = {.size = 0};
    const recorder *wrong = record_merge(test.recorders, THREADS, all);
    if (wrong != NULL)
        fprintf(stderr, "thread %u: %s (%s)\n", wrong->thread, wrong->wrong,
                lk_status_string(wrong->wrong_status));
    EXPECT(wrong == NULL, test.round, 0);
    record_rank(test.recorders, THREADS, all);
    verdict v = queue_check(all, &r);
    fputs(r.text, stderr);
    EXPECT(v == VERDICT_HOLDS, v, test.round);
    uint32_t job = 0;
    test.recorders[0].result = lk_result_new();
    EXPECT(record_beside(all, &test.recorders[0], &job), job, test.round);
    lk_query left = {.pk = test.world.queue};
    EXPECT_OK(lk_query_items(test.world.db, &left, test.recorders[0].result));
    EXPECT(lk_result_count(test.recorders[0].result) == 0, test.round, 0);
    lk_result_free(test.recorders[0].result);
}

static void
rounds_run(bool timely, uint64_t keys_in, uint64_t jobs)
{
    history all = {0};
    test.timely = timely;
    test.keys_in = keys_in;
    test.jobs = (uint32_t)test_scaled(jobs);
    atomic_store(&test.calls, 0);
    for (test.round = 0; test.round < ROUNDS && crowd_is_well(); test.round++) {
        lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
        options.monotonic_ms = clock_now;
        atomic_store(&test.now_ms, 1000);
        atomic_store(&test.next, 0);
        atomic_store(&test.handed, test.jobs);
        atomic_store(&test.producing, PRODUCERS);
        test.world = (record_world){.queue = lk_string("q"),
                                    .beside = lk_string("beside"),
                                    .stamp = crowd_now_ns,
                                    .now_ms = test_now};
        EXPECT_OK(lk_memory_open(&options, &test.world.db));
        crowd_run(THREADS, member, NULL);
        round_judge(&all);
        lk_close(test.world.db);
    }
    for (size_t t = 0; t < THREADS; t++)
        record_free(&test.recorders[t]);
    history_free(&all);
    crowd_note("jobs", ROUNDS * test.jobs);
    crowd_note("calls", test.calls);
}

static void
run_timely(void)
{
    rounds_run(true, 3, 80000);
}

static void
run_troubled(void)
{
    rounds_run(false, 3, 30000);
}

static void
run_keyed(void)
{
    rounds_run(false, 1, 10000);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {
        {"timely", run_timely}, {"troubled", run_troubled}, {"keyed", run_keyed}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
