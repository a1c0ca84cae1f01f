/* SPDX-License-Identifier: MIT
 *
 * The driver: opens and loads stores, runs one workload on one contender with some threads, and
 * adds up what the threads counted. Knows neither tables nor which workloads run.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "driver/contention.h"
#include "driver/random.h"
#include "record/record.h"

#include <pthread.h>

_Static_assert(BENCH_THREADS_MAX == RECORD_THREADS_MAX, "a record has room for all threads");

/* A contender's store with the data of a source in it. */
struct driver_store {
    const struct bench_contender *contender;
    const struct bench_source *source;
    void *handle; /* NULL: it is opened anew for each run */
    size_t items;
    bool failed;
    size_t seen;  /* the last look was at so many ranks, nobody wrote since; 0: somebody did */
    uint64_t sum; /* of the numbers that it saw */
};

/* What some runs of one workload on one contender with one number of threads gave. */
struct driver_result {
    struct driver_store *store;
    double rates[RECORD_REPEATS_MAX]; /* operations per second, one for each repeat */
    uint64_t operations[RECORD_REPEATS_MAX][BENCH_THREADS_MAX]; /* measured, of each thread */
    struct record_latency latencies[RECORD_REPEATS_MAX];        /* of each repeat */
    unsigned repeats;
    unsigned planned;
    struct histogram latency;
    struct bench_counts counts;
    struct contention contention;
    uint64_t retries; /* inside the store */
    uint64_t late;    /* scheduled by --rate, and not begun in time */
    double elapsed_s;
    double others_s;   /* processor time of other processes meanwhile */
    const char *fault; /* what was wrong, a static text; NULL: nothing */
};

/* ---- stores ---------------------------------------------------------------------------------- */

/* Stores that are opened next should be ready for that source. The next two do so. */
void driver_expect(const struct bench_source *source);

/* The store of a contender for a source, loaded if it is not yet; several at once, as many as
 * there are processors. A store that could not be loaded has `failed` set. */
void driver_stores_load(const struct bench_source *source,
                        const struct bench_contender *const *contenders, size_t count,
                        struct driver_store **stores);

/* The same without a store in it: each run opens its own. */
void driver_stores_name(const struct bench_source *source,
                        const struct bench_contender *const *contenders, size_t count,
                        struct driver_store **stores);

/* Closes what is small; the system takes the rest faster, at the end of the process. */
void driver_stores_close(void);

/* The i-th store that was asked for; NULL: no more. */
struct driver_store *driver_store_at(size_t i);

/* Looks at items of a store with a client of its own, as data_verify does. Returns how many are
 * wrong; one, where there is no client. */
uint64_t driver_look(const struct bench_source *source, const struct bench_contender *contender,
                     void *store, size_t first, size_t step, size_t end, uint64_t *sum);

/* Looks at the items of a store before the rank `end` with all processors. Sets what was seen and
 * its sum; returns the number of wrong items. */
uint64_t driver_verify(struct driver_store *store, size_t end);

/* ---- runs ------------------------------------------------------------------------------------ */

/* Streams of indexes for so many threads, from a source; and the requests for them, where the
 * workload wants these. */
struct driver_streams {
    uint32_t *indexes; /* NULL: the workload draws none */
    size_t each;       /* a power of two */
    unsigned threads;
    struct requests *requests; /* of each thread; NULL: none */
    bool shared;               /* the first are those of all threads */
};

bool driver_streams_open(struct driver_streams *streams, const struct bench_workload *workload,
                         const struct bench_source *source, const struct distribution *distribution,
                         unsigned threads);
void driver_streams_close(struct driver_streams *streams);

/* One run: threads attach, wait for each other, warm up, are measured, check. Adds to `result`. In
 * a process of its own, if the workload wants that. */
void driver_run(const struct bench_workload *workload, const struct driver_streams *streams,
                unsigned threads, struct driver_result *result);

/* Calls a function in a child process, which ends with it. False: there was none, or it did not
 * come to its end. What the function leaves has to lie in memory that is shared. */
bool driver_fork(void (*child)(void *context), void *context);

/* Memory that a child shares with its parent, zeroed; NULL: there is none. */
void *driver_shared_open(size_t size);
void driver_shared_close(void *memory, size_t size);

/* A thread that does not come back cannot be stopped: the program says whose it is, and ends as
 * broken. */
__attribute__((noreturn)) void driver_give_up(const char *contender);

/* Waits for threads to end, up to a minute. */
void driver_join(const pthread_t *threads, unsigned count, const char *contender);

size_t driver_processors(void);

/* False: interrupted before the time was over. */
bool driver_sleep(double seconds);

/* Processor time that other processes, and other guests of the host, have used so far; 0: it is
 * unknown. */
double driver_others_s(void);

#endif
