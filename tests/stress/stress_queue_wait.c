/* SPDX-License-Identifier: MIT
 *
 * Threads that wait for jobs: none sleeps through a push, a release, a lapse, the end of a delay or
 * the close of its queue; none is done twice. On the machine's clocks: a thread that is never woken
 * hangs, and the test runs into its time limit.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support/crowd.h"

enum { PRODUCERS = 2, WORKERS = 8, JOBS_MAX = 1 << 20 };

static struct {
    lk_db *db;
    uint64_t jobs; /* of all producers */
    int64_t visibility_ms;
    bool keyed, troubled;
    atomic_uint *done;
    atomic_ullong next, finished, closed, timed_out, lost;
    atomic_uint producing;
} pool;

static void
pause_a_little(crowd_member *m)
{
    struct timespec pause = {0, (long)crowd_pick(m, 300000)};
    nanosleep(&pause, NULL);
}

static void
pool_open(uint64_t jobs, bool keyed, bool troubled)
{
    memset(&pool, 0, sizeof pool);
    pool.jobs = test_scaled(jobs);
    pool.jobs = pool.jobs < JOBS_MAX ? pool.jobs : JOBS_MAX;
    pool.keyed = keyed;
    pool.troubled = troubled;
    pool.visibility_ms = troubled ? 3 : 0;
    pool.done = calloc(pool.jobs, sizeof *pool.done);
    atomic_store(&pool.producing, PRODUCERS);
    EXPECT_OK(lk_memory_open(NULL, &pool.db));
}

static void
pool_close(void)
{
    for (uint64_t i = 0; i < pool.jobs && crowd_is_well(); i++)
        EXPECT(pool.done[i] == 1, i, pool.done[i]);
    EXPECT(pool.closed == WORKERS, pool.closed, WORKERS);
    crowd_note("jobs", pool.finished);
    crowd_note("timed out", pool.timed_out);
    crowd_note("lost", pool.lost);
    lk_close(pool.db);
    free(pool.done);
}

static void
produce(crowd_member *m)
{
    for (;;) {
        uint64_t numbers[8], size = 1 + crowd_pick(m, 8),
                             first = atomic_fetch_add(&pool.next, size);
        char sk[8][24];
        lk_item items[8];
        lk_push_options options = {.delay_ms = pool.troubled && crowd_pick(m, 4) == 0 ? 2 : 0};
        if (first >= pool.jobs || !crowd_is_well())
            break;
        size = size < pool.jobs - first ? size : pool.jobs - first;
        for (uint64_t i = 0; i < size; i++) {
            numbers[i] = first + i;
            snprintf(sk[i], sizeof sk[i], "%llu", (unsigned long long)numbers[i]);
            items[i] = (lk_item){.key = lk_key_of("pool", pool.keyed ? sk[i] : NULL),
                                 .data = {&numbers[i], sizeof numbers[i]}};
        }
        EXPECT_OK(lk_queue_push(pool.db, items, size, &options, NULL));
        if (crowd_pick(m, 8) == 0)
            pause_a_little(m); /* the workers fall asleep */
    }
    /* Once all is done, by workers that nobody but time wakes any more, the queue is closed. */
    if (atomic_fetch_sub(&pool.producing, 1) != 1)
        return;
    while (pool.troubled && atomic_load(&pool.finished) < pool.jobs && crowd_is_well())
        pause_a_little(m);
    EXPECT_OK(lk_queue_close(pool.db, lk_string("pool")));
}

static void
finish(crowd_member *m, size_t i)
{
    uint64_t number = 0;
    memcpy(&number, lk_result_item(m->result, i)->data.data, sizeof number);
    EXPECT(number < pool.jobs, number, pool.jobs);
    if (number >= pool.jobs)
        return;
    if (pool.troubled && crowd_pick(m, 16) == 0)
        return; /* it lapses, and wakes another */
    if (pool.troubled && crowd_pick(m, 16) == 0) {
        lk_status status =
            lk_queue_release(pool.db, lk_result_claim(m->result, i), (int64_t)crowd_pick(m, 3));
        EXPECT(status == LK_OK || status == LK_LATE || status == LK_LOST, (unsigned)status, number);
        return;
    }
    lk_status status = lk_queue_acknowledge(pool.db, lk_result_claim(m->result, i), 1);
    EXPECT(status == LK_OK || (pool.troubled && (status == LK_LATE || status == LK_LOST)),
           (unsigned)status, number);
    if (status == LK_LOST) {
        atomic_fetch_add(&pool.lost, 1);
        return;
    }
    EXPECT(atomic_fetch_add(&pool.done[number], 1) == 0, number, 0);
    atomic_fetch_add(&pool.finished, 1);
}

static void
work(crowd_member *m)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("pool");
    options.visibility_ms = pool.visibility_ms;
    while (crowd_is_well()) {
        options.max_jobs = 1 + crowd_pick(m, 2) * crowd_pick(m, 4);
        options.wait_ms = crowd_pick(m, 8) == 0 ? 1 : -1;
        lk_status status = lk_queue_pull(pool.db, &options, m->result);
        if (status == LK_CLOSED) {
            atomic_fetch_add(&pool.closed, 1);
            return;
        }
        if (status == LK_TIMED_OUT && options.wait_ms == 1) {
            atomic_fetch_add(&pool.timed_out, 1);
            continue;
        }
        EXPECT_OK(status);
        for (size_t i = 0; status == LK_OK && i < lk_result_count(m->result); i++)
            finish(m, i);
    }
}

static void
pool_member(crowd_member *m)
{
    if (m->index < PRODUCERS)
        produce(m);
    else
        work(m);
}

static void
pool_run(uint64_t jobs, bool keyed, bool troubled)
{
    pool_open(jobs, keyed, troubled);
    crowd_run(PRODUCERS + WORKERS, pool_member, NULL);
    pool_close();
}

static void
run_pool(void)
{
    pool_run(80000, false, false);
}

static void
run_pool_keyed(void)
{
    pool_run(30000, true, false);
}

static void
run_troubled(void)
{
    pool_run(8000, false, true);
}

static void
run_troubled_keyed(void)
{
    pool_run(4000, true, true);
}

/* ---- ping-pong: every push finds the other asleep, or about to be ---- */

static struct {
    lk_db *db;
    uint64_t rounds;
} table;

static void
table_member(crowd_member *m)
{
    const char *mine = m->index == 0 ? "ping" : "pong", *other = m->index == 0 ? "pong" : "ping";
    lk_pull_options options = {.pk = lk_string(mine), .wait_ms = -1};
    lk_item ball = {.key = lk_key_of(other, NULL)};
    for (uint64_t i = 0; i < table.rounds && crowd_is_well(); i++) {
        if (m->index == 0)
            EXPECT_OK(lk_queue_push(table.db, &ball, 1, NULL, NULL));
        EXPECT_OK(lk_queue_pull(table.db, &options, m->result));
        const lk_claim *claim = lk_result_claim(m->result, 0);
        lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = claim},
                              {.kind = LK_PUSH, .item = ball}};
        if (m->index == 0)
            EXPECT_OK(lk_queue_acknowledge(table.db, claim, 1));
        else if (i % 2 == 0)
            EXPECT_OK(lk_commit(table.db, writes, 2, NULL, 0, NULL));
        else {
            EXPECT_OK(lk_queue_push(table.db, &ball, 1, NULL, NULL));
            EXPECT_OK(lk_queue_acknowledge(table.db, claim, 1));
        }
    }
}

static void
run_ping_pong(void)
{
    memset(&table, 0, sizeof table);
    table.rounds = test_scaled(20000);
    EXPECT_OK(lk_memory_open(NULL, &table.db));
    crowd_run(2, table_member, NULL);
    crowd_note("rounds", table.rounds);
    lk_close(table.db);
}

/* ---- close against waiters that are just going to sleep ---- */

static struct {
    lk_db *db;
    atomic_uint woken;
} gate;

static void
gate_member(crowd_member *m)
{
    lk_pull_options options = {.pk = lk_string("gate"), .wait_ms = m->index % 2 == 0 ? -1 : 600000};
    if (m->index == 0) {
        for (uint64_t i = crowd_pick(m, 200); i > 0; i--)
            sched_yield();
        EXPECT_OK(lk_queue_close(gate.db, options.pk));
        return;
    }
    lk_status status = lk_queue_pull(gate.db, &options, m->result);
    EXPECT(status == LK_CLOSED, (unsigned)status, m->index);
    atomic_fetch_add(&gate.woken, 1);
}

static void
run_gate(void)
{
    uint64_t rounds = test_scaled(400);
    for (uint64_t i = 0; i < rounds && crowd_is_well(); i++) {
        memset(&gate, 0, sizeof gate);
        EXPECT_OK(lk_memory_open(NULL, &gate.db));
        crowd_run(7, gate_member, NULL);
        EXPECT(gate.woken == 6, gate.woken, i);
        lk_close(gate.db);
    }
    crowd_note("rounds", rounds);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {
        {"pool", run_pool},           {"pool_keyed", run_pool_keyed},
        {"troubled", run_troubled},   {"troubled_keyed", run_troubled_keyed},
        {"ping_pong", run_ping_pong}, {"gate", run_gate}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
