/* SPDX-License-Identifier: MIT
 *
 * The driver: opens and loads stores, runs one workload on one contender with some threads for a fixed time, and adds up
 * what the threads counted. Knows neither tables nor options of the command line.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "bench.h"
#include "histogram.h"
#include "random.h"

/* A contender's store with the data of a source in it. */
struct driver_store {
    const struct bench_contender *contender;
    const struct bench_source *source;
    void *handle;
    size_t items;
    double load_s;
    bool failed;
};

/* What some runs of one workload on one contender with one number of threads gave. */
struct driver_result {
    struct driver_store *store;
    double rates[64]; /* operations per second, one for each repeat */
    unsigned repeats;
    struct histogram latency;
    struct bench_counts counts;
    uint64_t retries; /* inside the store */
    const char *fault; /* what was wrong; NULL: nothing */
};

#define DRIVER_REPEATS_MAX 64

/* Streams of indexes for so many threads, from the workload's source. */
struct driver_streams {
    uint32_t *indexes;
    size_t each; /* a power of two */
};

/* The store of a contender for a source, loaded if it is not yet; several at once, as many as there are processors. A
 * store that could not be loaded has `failed` set. */
void driver_stores_load(const struct bench_source *source,
                        const struct bench_contender *const *contenders, size_t count,
                        struct driver_store **stores);
void driver_stores_close(void);

bool driver_streams_open(struct driver_streams *streams, const struct distribution *distribution,
                         size_t bound, unsigned threads);
void driver_streams_close(struct driver_streams *streams);

/* One run: threads attach, wait for each other, warm up, are measured, check. Adds to `result`. */
void driver_run(const struct bench_workload *workload, const struct driver_streams *streams,
                unsigned threads, struct driver_result *result);

/* Looks at every item of a store with all processors. Returns the sum of the numbers; sets `*wrong`. */
uint64_t driver_verify(struct driver_store *store, uint64_t *wrong);

#endif
