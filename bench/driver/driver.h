/* SPDX-License-Identifier: MIT
 *
 * The driver: opens and loads stores, runs one workload on one contender with some threads for a
 * fixed time, and adds up what the threads counted. Knows neither tables nor options of the command
 * line.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "driver/bench.h"
#include "driver/contention.h"
#include "driver/random.h"
#include "record/histogram.h"
#include "record/record.h"

#define DRIVER_REPEATS_MAX RECORD_REPEATS_MAX

_Static_assert(BENCH_THREADS_MAX == RECORD_THREADS_MAX, "a record has room for all threads");

/* A contender's store with the data of a source in it. */
struct driver_store {
    const struct bench_contender *contender;
    const struct bench_source *source;
    void *handle;
    size_t items;
    double load_s;
    bool failed;
    size_t seen;  /* the last look was at so many ranks, nobody wrote since; 0: somebody did */
    uint64_t sum; /* of the numbers that it saw */
};

/* What some runs of one workload on one contender with one number of threads gave. */
struct driver_result {
    struct driver_store *store;
    double rates[DRIVER_REPEATS_MAX]; /* operations per second, one for each repeat */
    uint64_t operations[DRIVER_REPEATS_MAX][BENCH_THREADS_MAX]; /* measured, of each thread */
    struct record_latency latencies[DRIVER_REPEATS_MAX];        /* of each repeat */
    unsigned repeats;
    unsigned planned; /* repeats; 0: as many as the options say */
    struct histogram latency;
    struct bench_counts counts;
    struct contention contention;
    uint64_t retries; /* inside the store */
    uint64_t late;    /* scheduled by --rate, and not begun in time */
    double elapsed_s;
    double others_s;     /* processor time of other processes meanwhile */
    const char *fault;   /* what was wrong; NULL: nothing */
    const char *missing; /* why there is no figure, which is no fault; NULL: there is one */
};

/* Streams of indexes for so many threads, from the workload's source; and the requests for them,
 * where the workload wants these. */
struct driver_streams {
    uint32_t *indexes;
    size_t each; /* a power of two */
    unsigned threads;
    struct requests *requests; /* of each thread; NULL: none */
};

/* The store of a contender for a source, loaded if it is not yet; several at once, as many as
 * there are processors. A store that could not be loaded has `failed` set. */
void driver_stores_load(const struct bench_source *source,
                        const struct bench_contender *const *contenders, size_t count,
                        struct driver_store **stores);

/* Closes what is small; the system takes the rest faster, at the end of the process. */
void driver_stores_close(void);

/* The i-th store that was asked for; NULL: no more. */
struct driver_store *driver_store_at(size_t i);

bool driver_streams_open(struct driver_streams *streams, const struct bench_workload *workload,
                         const struct distribution *distribution, unsigned threads);
void driver_streams_close(struct driver_streams *streams);

/* One run: threads attach, wait for each other, warm up, are measured, check. Adds to `result`. */
void driver_run(const struct bench_workload *workload, const struct driver_streams *streams,
                unsigned threads, struct driver_result *result);

/* Looks at the items of a store before the rank `end` with all processors. Sets what was seen and
 * its sum; returns the number of wrong items. */
uint64_t driver_verify(struct driver_store *store, size_t end);

/* Adds the latencies of one repeat, which is the one that `result->repeats` counted last. */
void driver_latency_add(struct driver_result *result, const struct histogram *latency);

size_t driver_processors(void);

/* False: interrupted before the time was over. */
bool driver_sleep(double seconds);

/* Whether a measurement of so many seconds is one: it was not interrupted, or late in it. */
bool driver_counts(double elapsed_s, double wanted_s);

/* Processor time that other processes, and other guests of the host, have used so far; 0: it is
 * unknown. */
double driver_others_s(void);

#endif
