/* SPDX-License-Identifier: MIT
 *
 * A database whose calls take 100 us (wrapper.h), and what stands in front of it. cache-latency:
 * reads of which 95 % ask for a hot item, that is in the cache, and 5 % for one that was not asked
 * for since all others were; each read is timed. cache-miss: all threads ask for one new item at
 * the same time, again and again; how often is the database asked?
 */
#include "driver/report.h"
#include "workloads/parts/steps.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ITEMS 200000
#define HOT 1000
#define COLD_END 100000 /* from there on: items for cache-miss, which nobody else asks for */
#define CAPACITY 10000
#define MEETINGS 200

static const struct bench_source latency_source = {
    .name = "slow", .items = ITEMS, .cache_items = CAPACITY, .slow = true, DATA_CALLS};
static const struct bench_source hot_source = {.items = HOT, DATA_CALLS};

/* Notes whether the database was asked. */
static void
ask(struct bench_worker *worker, uint32_t index)
{
    uint64_t before = worker->contender->misses();

    step_get(worker, index);
    worker->counts.noted += worker->contender->misses() != before;
}

/* ---- 95 % hits ------------------------------------------------------------------------------- */

static void
ask_hot(struct bench_worker *worker, uint32_t index)
{
    ask(worker, index % HOT);
}

/* The next one of the thread's own. */
static void
ask_cold(struct bench_worker *worker, uint32_t index)
{
    uint32_t each = (COLD_END - HOT) / worker->run->threads;

    (void)index;
    ask(worker, HOT + worker->number * each + (uint32_t)(worker->sequence++ % each));
}

/* The hot items, once each: what the measurement expects to find. */
static bool
hot_begin(struct bench_run *run)
{
    uint64_t sum = 0;

    if (driver_look(&hot_source, run->contender, run->store, 0, 1, HOT, &sum) != 0)
        run->result->fault = "the hot items could not be read";
    return run->result->fault == NULL;
}

static void
hits_more(const struct bench_workload *workload, unsigned threads,
          const struct driver_result *result)
{
    double all = (double)result->counts.operations, asked = (double)result->counts.noted;

    if (all > 0)
        record_figure(workload, result->store->contender->name, threads, "hits", "%",
                      100 - 100 * asked / all);
    printf("  hits of %s: %.2f %%\n", result->store->contender->name,
           all > 0 ? 100 - 100 * asked / all : 0);
}

/* ---- one new item for all -------------------------------------------------------------------- */

struct meetings {
    _Atomic unsigned arrived; /* all threads together */
    uint32_t first;
};

static bool
meetings_begin(struct bench_run *run)
{
    static unsigned runs;
    struct meetings *meetings = calloc(1, sizeof *meetings);

    if (meetings != NULL)
        meetings->first = COLD_END + runs++ * MEETINGS % (ITEMS - COLD_END);
    else
        run->result->fault = "out of memory";
    run->own = meetings;
    return meetings != NULL;
}

static void
meetings_end(struct bench_run *run)
{
    free(run->own);
}

static uint64_t
meetings_fixed(struct bench_worker *worker)
{
    (void)worker;
    return MEETINGS;
}

static void
meeting_step(struct bench_worker *worker, size_t count)
{
    struct meetings *meetings = worker->run->own;
    unsigned threads = worker->run->threads;

    for (; count > 0; count--) {
        uint32_t meeting = (uint32_t)(worker->sequence++ - worker->first_sequence);
        atomic_fetch_add(&meetings->arrived, 1);
        while (atomic_load(&meetings->arrived) < threads * (meeting + 1))
            sched_yield();
        ask(worker, meetings->first + meeting);
    }
}

static void
meetings_more(const struct bench_workload *workload, unsigned threads,
              const struct driver_result *result)
{
    const char *name = result->store->contender->name;
    double reads = (double)result->counts.noted / ((double)MEETINGS * result->repeats);

    if (result->repeats == 0)
        return;
    record_figure(workload, name, threads, "reads of a new item", "", reads);
    printf("  %s: the database is asked %.3f times for each", name, reads);
    if (strcmp(name, "cache") == 0)
        report_target("1.000", true, reads <= 1);
    printf("\n");
}

static const struct bench_workload workloads[] = {
    {
        .name = "cache-latency",
        .what = "reads of a database that takes 100 us: 95 % hits",
        .order = 83,
        .unit = "k reads/s",
        .threads = "1,2,4",
        .distribution = "uniform",
        .source = &latency_source,
        .contenders = "no cache,lru-mutex,cache",
        .subject = "cache",
        .batch = 1,
        .least_s = 0.5,
        .reads_only = true,
        .on_request = true,
        .needs = NEEDS_GET | NEEDS_MISSES,
        .begin = hot_begin,
        .mix = {{95, ask_hot}, {5, ask_cold}},
        .more = hits_more,
    },
    {
        .name = "cache-miss",
        .what = "all threads ask for one new item at once; how often the database is asked",
        .order = 84,
        .unit = "k reads/s",
        .threads = "2,4",
        .source = &latency_source,
        .contenders = "lru-mutex,cache",
        .subject = "cache",
        .batch = 1,
        .reads_only = true,
        .on_request = true,
        .own_pace = true,
        .needs = NEEDS_GET | NEEDS_MISSES,
        .begin = meetings_begin,
        .end = meetings_end,
        .fixed = meetings_fixed,
        .step = meeting_step,
        .more = meetings_more,
    },
};
BENCH_WORKLOADS(workloads)
