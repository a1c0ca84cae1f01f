/* SPDX-License-Identifier: MIT
 *
 * cache-latency: a database whose calls take 100 us (wrapper.h) and what stands in front of it. Its
 * own tables; runs only when asked for.
 *
 * First: reads of which 95 % ask for a hot item, that is in the cache, and 5 % for one that was not
 * asked for since all others were; each read is timed. Then: all threads ask for one new item at
 * the same time, again and again; how often is the database asked?
 */
#include "contenders/parts/fronts.h"
#include "contenders/parts/wrapper.h"
#include "driver/data.h"
#include "driver/driver.h"
#include "driver/report.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LATENCY_ITEMS 200000
#define LATENCY_HOT 1000
#define LATENCY_CAPACITY 10000
#define LATENCY_COLD_PERCENT 5
#define DURATION_MIN_S 0.5 /* or --duration; after a tenth of that */
#define MEETINGS 200

enum latency_phase { PHASE_GATHER, PHASE_WORK, PHASE_STOP };

/* One run of some threads on one front. */
struct latency_run {
    _Alignas(BENCH_LINE) _Atomic unsigned arrived; /* at meetings so far, all threads together */
    _Alignas(BENCH_LINE) _Atomic int phase;
    struct front front;
    unsigned threads;
    bool meets; /* else it reads from `measure_ns` until `end_ns` */
    uint64_t measure_ns, end_ns;
};

struct latency_worker {
    _Alignas(BENCH_LINE) struct latency_run *run;
    struct front_client client;
    unsigned number;
    uint64_t reads, misses, wrong;
    struct histogram latency;
};

/* ---- 95 % hits ------------------------------------------------------------------------------- */

static void
worker_read(struct latency_worker *worker)
{
    const struct latency_run *run = worker->run;
    size_t cold_each = (LATENCY_ITEMS - LATENCY_HOT) / run->threads, cold = 0;
    struct random_state random;
    uint64_t start = bench_now_ns();

    random_seed(&random, bench_options.seed + worker->number);
    while (start < run->end_ns) {
        size_t index = random_below(&random, LATENCY_HOT);
        if (random_below(&random, 100) < LATENCY_COLD_PERCENT)
            index = LATENCY_HOT + worker->number * cold_each + cold++ % cold_each;
        start = bench_now_ns();
        enum front_read read = front_get(&worker->client, index);
        uint64_t end = bench_now_ns();
        worker->wrong += read == FRONT_WRONG;
        if (start < run->measure_ns || start >= run->end_ns)
            continue;
        worker->reads++;
        worker->misses += read == FRONT_MISS;
        histogram_add(&worker->latency, end - start);
    }
}

/* ---- one new item for all -------------------------------------------------------------------- */

/* Waits until all threads are at the n-th meeting. */
static void
meeting_await(struct latency_run *run, unsigned meeting)
{
    atomic_fetch_add(&run->arrived, 1);
    while (atomic_load_explicit(&run->arrived, memory_order_acquire) < run->threads * meeting)
        sched_yield();
}

static void
worker_meet(struct latency_worker *worker)
{
    for (unsigned i = 0; i < MEETINGS; i++) {
        meeting_await(worker->run, i + 1);
        enum front_read read = front_get(&worker->client, LATENCY_HOT + i);
        worker->wrong += read == FRONT_WRONG;
        worker->reads++;
        worker->misses += read == FRONT_MISS;
    }
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void *
worker_main(void *argument)
{
    struct latency_worker *worker = argument;
    int phase;

    while ((phase = atomic_load(&worker->run->phase)) == PHASE_GATHER)
        sched_yield();
    if (phase == PHASE_WORK && worker->run->meets)
        worker_meet(worker);
    else if (phase == PHASE_WORK)
        worker_read(worker);
    return NULL;
}

/* The hot items, once each: what the measurement expects to find. */
static bool
hot_load(struct latency_run *run, struct latency_worker *worker)
{
    bool good = true;

    for (size_t i = 0; i < LATENCY_HOT && run->front.kind != FRONT_NONE; i++)
        good = front_get(&worker->client, i) != FRONT_WRONG && good;
    return good;
}

static void
workers_start(struct latency_run *run, bool good)
{
    double duration =
        bench_options.duration_s > DURATION_MIN_S ? bench_options.duration_s : DURATION_MIN_S;

    run->measure_ns = bench_now_ns() + (uint64_t)(duration * 1e8);
    run->end_ns = run->measure_ns + (uint64_t)(duration * 1e9);
    atomic_store(&run->phase, good ? PHASE_WORK : PHASE_STOP);
}

/* Adds up all workers in the first. False: something was wrong. */
static bool
workers_run(struct latency_run *run, struct latency_worker *workers)
{
    pthread_t handles[BENCH_THREADS_MAX];
    unsigned started = 0;
    bool good = true;

    for (unsigned i = 0; i < run->threads; i++) {
        workers[i].run = run;
        workers[i].number = i;
        good = front_attach(&workers[i].client, &run->front) && good;
    }
    good = good && (run->meets || hot_load(run, &workers[0]));
    while (good && started < run->threads &&
           pthread_create(&handles[started], NULL, worker_main, &workers[started]) == 0)
        started++;
    good = good && started == run->threads;
    workers_start(run, good);
    for (unsigned i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    for (unsigned i = 0; i < run->threads; i++) {
        front_detach(&workers[i].client);
        good = good && workers[i].wrong == 0;
        if (i == 0)
            continue;
        workers[0].reads += workers[i].reads;
        workers[0].misses += workers[i].misses;
        histogram_merge(&workers[0].latency, &workers[i].latency);
    }
    return good;
}

/* What one run gave. */
struct latency_cell {
    bool good;
    uint64_t reads, misses;
    double seconds;
    struct histogram latency;
};

static void
cell_run(struct latency_cell *cell, enum front_kind kind, lk_db *memory, unsigned threads,
         bool meets)
{
    size_t size = threads * sizeof(struct latency_worker);
    struct latency_worker *workers = aligned_alloc(BENCH_LINE, size);
    struct latency_run run = {.threads = threads, .meets = meets};

    memset(cell, 0, sizeof *cell);
    if (workers != NULL && front_open(&run.front, kind, memory, true, LATENCY_CAPACITY)) {
        memset(workers, 0, size);
        cell->good = workers_run(&run, workers);
        cell->reads = workers[0].reads;
        cell->misses = workers[0].misses;
        cell->latency = workers[0].latency;
        cell->seconds = (double)(run.end_ns - run.measure_ns) / 1e9;
        front_close(&run.front);
    }
    free(workers);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static double
percentile_us(const struct latency_cell *cell, double fraction)
{
    return (double)histogram_percentile(&cell->latency, fraction) / 1e3;
}

static void
cell_record(const char *front, unsigned threads, double rate, const struct latency_cell *cell)
{
    record_figure("cache-latency", front, threads, "rate", "reads/s", rate);
    record_figure("cache-latency", front, threads, "p50", "us", percentile_us(cell, 0.5));
    record_figure("cache-latency", front, threads, "p99", "us", percentile_us(cell, 0.99));
    record_figure("cache-latency", front, threads, "p99.9", "us", percentile_us(cell, 0.999));
    record_figure("cache-latency", front, threads, "hits", "%",
                  100.0 - 100.0 * (double)cell->misses / (double)cell->reads);
}

static bool
reads_table(lk_db *memory, const unsigned *threads, size_t thread_counts, struct latency_cell *cell)
{
    bool good = true;

    printf("\ncache-latency: reads of a database that takes %d us, %d %% of them of hot items\n",
           WRAPPER_DELAY_US, 100 - LATENCY_COLD_PERCENT);
    printf("threads  %-10s %9s %8s %8s %9s %8s %11s\n", "front", "k reads/s", "p50 us", "p99 us",
           "p99.9 us", "hits", "to no cache");
    for (size_t i = 0; i < thread_counts && !bench_interrupted(); i++) {
        double plain = 0;
        for (enum front_kind kind = 0; kind < FRONT_KINDS; kind++) {
            progress_show("cache-latency", front_name(kind), threads[i]);
            cell_run(cell, kind, memory, threads[i], false);
            progress_clear();
            good = good && cell->good;
            printf("%7u  %-10s", threads[i], front_name(kind));
            if (!cell->good || cell->reads == 0) {
                printf(" %10s\n", "WRONG");
                continue;
            }
            double rate = (double)cell->reads / cell->seconds;
            cell_record(front_name(kind), threads[i], rate, cell);
            plain = kind == FRONT_NONE ? rate : plain;
            printf(" %9.1f %8.2f %8.1f %9.1f %7.2f%% %9.1f x\n", rate / 1e3,
                   percentile_us(cell, 0.5), percentile_us(cell, 0.99), percentile_us(cell, 0.999),
                   100.0 - 100.0 * (double)cell->misses / (double)cell->reads, rate / plain);
            fflush(stdout);
        }
    }
    return good;
}

static bool
meetings_table(lk_db *memory, const unsigned *threads, size_t thread_counts,
               struct latency_cell *cell)
{
    bool good = true;

    printf("\n");
    report_words("cache-latency: all threads ask for one new item at once, %d times; how often the "
                 "database is asked for each",
                 MEETINGS);
    printf("threads  %-10s %10s\n", "front", "reads");
    for (size_t i = 0; i < thread_counts && !bench_interrupted(); i++) {
        for (enum front_kind kind = FRONT_LRU; threads[i] > 1 && kind < FRONT_KINDS; kind++) {
            cell_run(cell, kind, memory, threads[i], true);
            good = good && cell->good;
            printf("%7u  %-10s", threads[i], front_name(kind));
            printf(" %10.3f", (double)cell->misses / MEETINGS);
            record_figure("cache-latency", front_name(kind), threads[i], "reads of a new item", "",
                          (double)cell->misses / MEETINGS);
            if (kind == FRONT_CACHE)
                report_target("1.000", cell->misses <= MEETINGS ? REPORT_MET : REPORT_MISSED);
            printf("\n");
            fflush(stdout);
        }
    }
    return good;
}

static bool cache_latency_run(const struct bench_contender *const *contenders, size_t count);

static bool
can_cache_latency(const struct bench_contender *contender)
{
    return strcmp(contender->name, "cache") == 0;
}

static const struct bench_workload workload_cache_latency = {
    .name = "cache-latency",
    .what = "reads of a database that takes 100 us: 95 % hits; loads that threads share",
    .order = 83,
    .threads = "1,2,4",
    .on_request = true,
    .can = can_cache_latency,
    .run = cache_latency_run,
};
BENCH_WORKLOAD(workload_cache_latency)

static bool
cache_latency_run(const struct bench_contender *const *contenders, size_t count)
{
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts = bench_threads_parse(
        bench_options.threads != NULL ? bench_options.threads : workload_cache_latency.threads,
        threads);
    struct latency_cell *cell = malloc(sizeof *cell);
    const char *why = NULL;
    bool good = false;

    (void)contenders;
    (void)count;
    lk_db *memory = data_source.open(&why) ? front_memory_open(LATENCY_ITEMS) : NULL;
    if (cell != NULL && memory != NULL)
        good = reads_table(memory, threads, thread_counts, cell) &&
               meetings_table(memory, threads, thread_counts, cell);
    if (!good)
        printf("  WRONG: a read failed or gave another value\n");
    lk_close(memory);
    free(cell);
    return good;
}
