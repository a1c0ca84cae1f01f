/* SPDX-License-Identifier: MIT
 *
 * cache-rate: the hit rates of this library's cache and of the hand-written LRU on the same traces
 * (trace.h), with 1 thread and with 4, which take a part of the trace each. Its own table; runs
 * only when asked for.
 *
 * The rate is over the zipf requests after the warm-up: how many of them did not make their thread
 * ask the database. Who gets what another thread has just read counts as a hit; with a database
 * in memory that is rare.
 */
#include "contenders/parts/fronts.h"
#include "driver/data.h"
#include "driver/report.h"
#include "workloads/parts/trace.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RATE_KEYS 100000
#define RATE_REQUESTS 600000
#define RATE_THREADS_MAX 4
#define SCAN_POINTS 5 /* that the cache is to be better with scans */
#define FAULT (-1.0)

static const unsigned rate_threads[] = {1, RATE_THREADS_MAX};
static const size_t rate_shares[] = {100, 10}; /* one item of so many fits */

#define THREAD_COUNTS (sizeof rate_threads / sizeof rate_threads[0])
#define SHARES (sizeof rate_shares / sizeof rate_shares[0])

static const struct {
    enum trace_kind kind;
    double theta;
} rate_rows[] = {
    {TRACE_PLAIN, 0.8},        {TRACE_PLAIN, 0.9},       {TRACE_PLAIN, 1.0},
    {TRACE_PLAIN, 1.1},        {TRACE_PLAIN, 1.2},       {TRACE_SCAN_MIXED, 0.99},
    {TRACE_SCAN_BURSTS, 0.99}, {TRACE_SCAN_TABLE, 0.99},
};

struct rate_worker {
    _Alignas(BENCH_LINE) struct front *front;
    const struct trace *trace;
    size_t first, end;
    uint64_t asks, hits;             /* after the warm-up, of the zipf */
    uint64_t all_asks, reads, wrong; /* of the whole trace */
};

static void *
worker_main(void *argument)
{
    struct rate_worker *worker = argument;
    size_t warmup = (worker->end - worker->first) / 3;
    struct front_client client;

    if (!front_attach(&client, worker->front)) {
        worker->wrong++;
        return NULL;
    }
    for (size_t i = worker->first; i < worker->end; i++) {
        uint32_t ask = worker->trace->asks[i];
        enum front_read read = front_get(&client, ask & ~TRACE_SCAN);
        worker->wrong += read == FRONT_WRONG;
        worker->reads += read == FRONT_MISS;
        worker->all_asks++;
        if (i - worker->first < warmup || (ask & TRACE_SCAN) != 0)
            continue;
        worker->asks++;
        worker->hits += read == FRONT_HIT;
    }
    front_detach(&client);
    return NULL;
}

/* In percent, or FAULT. */
static double
workers_run(struct front *front, const struct trace *trace, unsigned threads)
{
    struct rate_worker workers[RATE_THREADS_MAX];
    pthread_t handles[RATE_THREADS_MAX];
    uint64_t asks = 0, hits = 0, all_asks = 0, reads = 0, wrong = 0;
    unsigned started = 0;

    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].front = front;
        workers[i].trace = trace;
        workers[i].first = trace->count / threads * i;
        workers[i].end = workers[i].first + trace->count / threads;
    }
    while (started < threads &&
           pthread_create(&handles[started], NULL, worker_main, &workers[started]) == 0)
        started++;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(handles[i], NULL);
        asks += workers[i].asks;
        hits += workers[i].hits;
        all_asks += workers[i].all_asks;
        reads += workers[i].reads;
        wrong += workers[i].wrong;
    }
    if (started < threads || wrong != 0 || asks == 0 ||
        !front_agrees(front, all_asks, reads, threads == 1))
        return FAULT;
    return 100.0 * (double)hits / (double)asks;
}

static double
cell_run(enum front_kind kind, lk_db *memory, const struct trace *trace, size_t capacity,
         unsigned threads)
{
    struct front front;

    if (!front_open(&front, kind, memory, false, capacity))
        return FAULT;
    double rate = workers_run(&front, trace, threads);
    front_close(&front);
    return rate;
}

static bool
row_run(lk_db *memory, const struct trace *trace, double theta, size_t capacity)
{
    double wanted = trace_has_scans(trace->kind) ? SCAN_POINTS : 0;
    enum report_outcome outcome = REPORT_MET;
    bool good = true;
    char text[48];

    printf("  %-14s %4.2f %6zu", trace_name(trace->kind), theta, capacity);
    for (size_t i = 0; i < THREAD_COUNTS; i++) {
        double lru = cell_run(FRONT_LRU, memory, trace, capacity, rate_threads[i]);
        double cache = cell_run(FRONT_CACHE, memory, trace, capacity, rate_threads[i]);
        good = good && lru != FAULT && cache != FAULT;
        snprintf(text, sizeof text, "%s %.2f, %zu items", trace_name(trace->kind), theta, capacity);
        record_figure("cache-rate", "lru-mutex", rate_threads[i], text, "%", lru);
        record_figure("cache-rate", "cache", rate_threads[i], text, "%", cache);
        printf("  %8.2f %7.2f %+7.2f", lru, cache, cache - lru);
        if (cache - lru < wanted)
            outcome = REPORT_MISSED;
    }
    snprintf(text, sizeof text, "%+.0f", wanted);
    report_target(text, outcome);
    printf("\n");
    if (!good)
        printf("  WRONG: a read failed or gave another value, or the statistics disagree\n");
    fflush(stdout);
    return good;
}

static bool
rows_run(lk_db *memory)
{
    bool good = true;

    for (size_t i = 0; i < sizeof rate_rows / sizeof rate_rows[0] && !bench_interrupted(); i++) {
        struct trace trace;
        progress_show("cache-rate", trace_name(rate_rows[i].kind), 0);
        if (!trace_open(&trace, rate_rows[i].kind, RATE_KEYS, RATE_REQUESTS, rate_rows[i].theta,
                        bench_options.seed))
            return false;
        progress_clear();
        for (size_t j = 0; j < SHARES; j++)
            good = row_run(memory, &trace, rate_rows[i].theta, RATE_KEYS / rate_shares[j]) && good;
        trace_close(&trace);
    }
    return good;
}

static bool
cache_rate_run(const struct bench_contender *const *contenders, size_t count)
{
    size_t items = RATE_KEYS + RATE_REQUESTS / 4; /* those of the scans are behind the others */
    const char *why = NULL;
    bool good = false;

    (void)contenders;
    (void)count;
    if (!data_source.open(&why))
        return false;
    printf("\n");
    report_words(
        "cache-rate: zipf requests that were hits, in percent, %d keys, %d requests, a third "
        "of them warm-up",
        RATE_KEYS, RATE_REQUESTS);
    printf("  %26s %25s %25s\n", "", "1 thread", "4 threads");
    printf("  %-14s %4s %6s  %8s %7s %7s  %8s %7s %7s\n", "trace", "skew", "items", "lru", "cache",
           "points", "lru", "cache", "points");
    lk_db *memory = front_memory_open(items);
    if (memory != NULL)
        good = rows_run(memory);
    lk_close(memory);
    return good;
}

static bool
can_cache_rate(const struct bench_contender *contender)
{
    return strcmp(contender->name, "cache") == 0;
}

static const struct bench_workload workload_cache_rate = {
    .name = "cache-rate",
    .what = "hit rates of the cache and of lru-mutex on zipf traces, with and without scans",
    .order = 82,
    .on_request = true,
    .can = can_cache_rate,
    .run = cache_rate_run,
};
BENCH_WORKLOAD(workload_cache_rate)
