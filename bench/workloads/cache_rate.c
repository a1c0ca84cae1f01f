/* SPDX-License-Identifier: MIT
 *
 * cache-rate: the hit rates of this library's cache and of the hand-written LRU on the same traces,
 * with 1 thread and with 4, which take a part of the trace each. Its own table.
 *
 * A "zipf" request asks for a key by rank. Scan requests, a quarter of all where there are any,
 * walk over keys in order. The rate is over the zipf requests after the warm-up: how many of them
 * did not make their thread ask the database. Who gets what another thread has just read counts as
 * a hit; with a database in memory that is rare.
 */
#include "driver/report.h"
#include "workloads/parts/steps.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 100000
#define REQUESTS 600000
#define SCAN_POINTS 5             /* that the cache is to be better with scans */
#define SCAN UINT32_C(0x80000000) /* marks a request of a scan */
#define BURST (KEYS / 50)
#define FAULT (-1.0)

static const struct {
    const char *name;
    double theta;
    bool scans;
    uint32_t burst; /* so many requests of a scan come at once */
    bool table;     /* the scan goes round and round over the zipf's own keys; else over new ones */
} traces[] = {
    {"zipf", 0.8, false, 1, false},
    {"zipf", 0.9, false, 1, false},
    {"zipf", 1.0, false, 1, false},
    {"zipf", 1.1, false, 1, false},
    {"zipf", 1.2, false, 1, false},
    {"+ scan, mixed", 0.99, true, 1, false},
    {"+ scan, bursts", 0.99, true, BURST, false},
    {"+ scan, table", 0.99, true, BURST, true},
};

static const unsigned thread_counts[] = {1, 4};
static const uint32_t shares[] = {100, 10}; /* one item of so many fits */

static uint32_t trace[REQUESTS];
static _Atomic uint64_t asks, hits,
    reads; /* of a run; the first two after the warm-up, of the zipf */

/* False: out of memory. */
static bool
trace_make(size_t kind)
{
    struct distribution zipf = {DISTRIBUTION_ZIPF, traces[kind].theta, 0};
    uint32_t *draws = malloc(REQUESTS * sizeof *draws), asked = 0, scanned = 0;

    if (draws == NULL)
        return false;
    distribution_draw(&zipf, bench_options.seed, KEYS, draws, REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        bool scan = traces[kind].scans && i / traces[kind].burst % 4 == 3;
        if (!scan)
            trace[i] = draws[asked++];
        else
            trace[i] = (traces[kind].table ? scanned++ % KEYS : KEYS + scanned++) | SCAN;
    }
    free(draws);
    return true;
}

/* ---- one run --------------------------------------------------------------------------------- */

static uint64_t
part_fixed(struct bench_worker *worker)
{
    return REQUESTS / worker->run->threads;
}

static void
part_step(struct bench_worker *worker, size_t count)
{
    uint64_t each = REQUESTS / worker->run->threads, first = worker->number * each;
    uint64_t zipf = 0, hit = 0, all = worker->contender->misses();

    for (; count > 0; count--) {
        uint64_t at = worker->sequence++ - worker->first_sequence,
                 before = worker->contender->misses();
        uint32_t request = trace[first + at];
        step_get(worker, request & ~SCAN);
        if (at < each / 3 || (request & SCAN) != 0)
            continue;
        zipf++;
        hit += worker->contender->misses() == before;
    }
    atomic_fetch_add(&asks, zipf);
    atomic_fetch_add(&hits, hit);
    atomic_fetch_add(&reads, worker->contender->misses() - all);
}

/* What the driver is given: not in the registry. */
static const struct bench_workload part_of_trace = {
    .name = "cache-rate", .own_pace = true, .batch = 10000, .fixed = part_fixed, .step = part_step};

/* The counters of the cache must say what its callers saw: with several threads a miss may get what
 * another has read. */
static bool
counters_agree(const struct driver_store *store, unsigned threads)
{
    struct bench_counter counters[BENCH_COUNTERS_MAX];
    uint64_t hit = 0, missed = 0;

    if (store->contender->contention == NULL)
        return true;
    size_t count = store->contender->contention(store->handle, counters);
    for (size_t i = 0; i < count; i++) {
        hit += strcmp(counters[i].name, "cache hits") == 0 ? counters[i].value : 0;
        missed += strcmp(counters[i].name, "cache misses") == 0 ? counters[i].value : 0;
    }
    return hit + missed == REQUESTS && reads <= missed && (threads > 1 || reads == missed);
}

/* In percent, or FAULT. */
static double
cell_run(const char *contender, unsigned threads)
{
    struct driver_store store = {.contender = bench_contender_find(contender)};
    struct driver_result *result = calloc(1, sizeof *result);
    const struct driver_streams streams = {0};
    double rate = FAULT;

    store.handle = store.contender->open();
    if (result != NULL && store.handle != NULL) {
        asks = hits = reads = 0;
        result->store = &store;
        driver_run(&part_of_trace, &streams, threads, result);
        if (result->fault == NULL && (bench_interrupted() || counters_agree(&store, threads)))
            rate = 100.0 * (double)hits / (double)(asks != 0 ? asks : 1);
    }
    if (store.handle != NULL)
        store.contender->close(store.handle);
    free(result);
    return rate;
}

/* ---- the table ------------------------------------------------------------------------------- */

static bool
row_run(const struct bench_workload *workload, size_t kind, uint32_t capacity)
{
    double wanted = traces[kind].scans ? SCAN_POINTS : 0;
    bool good = true, met = true;
    char text[48];

    bench_expected.cache_items = capacity;
    printf("  %-14s %4.2f %6u", traces[kind].name, traces[kind].theta, capacity);
    for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++) {
        double lru = cell_run("lru-mutex", thread_counts[i]);
        double cache = cell_run("cache", thread_counts[i]);
        good = good && lru >= 0 && cache >= 0;
        snprintf(text, sizeof text, "%s %.2f, %u items", traces[kind].name, traces[kind].theta,
                 capacity);
        record_figure(workload, "lru-mutex", thread_counts[i], text, "%", lru);
        record_figure(workload, "cache", thread_counts[i], text, "%", cache);
        printf("  %8.2f %7.2f %+7.2f", lru, cache, cache - lru);
        met = met && cache - lru >= wanted;
    }
    snprintf(text, sizeof text, "%+.0f", wanted);
    report_target(text, true, met);
    printf("\n");
    if (!good)
        printf("  WRONG: a read failed or gave another value, or the statistics disagree\n");
    fflush(stdout);
    return good;
}

static bool
cache_rate_run(const struct bench_workload *workload,
               const struct bench_contender *const *contenders, size_t count)
{
    /* The items of scans are behind the others. */
    static const struct bench_source items = {.items = KEYS + REQUESTS / 4, DATA_CALLS};
    struct driver_store *stores[BENCH_CONTENDERS_MAX];
    const struct bench_contender *memory = bench_contender_find("latchkey");
    const char *why = NULL;

    (void)contenders;
    (void)count;
    if (!data_source.open(&why))
        return false;
    printf("\n");
    report_words("cache-rate: zipf requests that were hits, in percent, %d keys, %d requests, a "
                 "third of them warm-up",
                 KEYS, REQUESTS);
    printf("  %26s %25s %25s\n", "", "1 thread", "4 threads");
    printf("  %-14s %4s %6s  %8s %7s %7s  %8s %7s %7s\n", "trace", "skew", "items", "lru", "cache",
           "points", "lru", "cache", "points");
    driver_stores_load(&items, &memory, 1, stores);
    bench_expected.database = stores[0]->handle;
    bool good = !stores[0]->failed;
    for (size_t i = 0; i < sizeof traces / sizeof *traces && good && !bench_interrupted(); i++) {
        progress_show("cache-rate", traces[i].name, 0);
        good = trace_make(i);
        progress_clear();
        for (size_t j = 0; j < sizeof shares / sizeof *shares && good; j++)
            good = row_run(workload, i, KEYS / shares[j]);
    }
    bench_expected.database = NULL;
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
    .contenders = "cache",
    .can = can_cache_rate,
    .run = cache_rate_run,
};
BENCH_WORKLOAD(workload_cache_rate)
