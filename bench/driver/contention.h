/* SPDX-License-Identifier: MIT
 *
 * What the threads of a measurement do to each other: a store's own counters, read by the main
 * thread when the measurement begins and when it ends, and its levels now and then in between; the
 * keys of commits that lost; how many attempts a commit took. The driver and the queue's runs fill
 * it, the record takes it over.
 */
#ifndef BENCH_CONTENTION_H
#define BENCH_CONTENTION_H

#include "driver/workload.h"

/* Of all measurements of one row. */
struct contention {
    /* Totals: their growth. Levels: the most that was seen. */
    struct bench_counter counters[BENCH_COUNTERS_MAX];
    size_t count;
    uint64_t operations; /* in which the totals grew */
    /* Of the callers, warm-up included. */
    struct hot_keys raced;
    uint64_t attempts[BENCH_ATTEMPTS];
};

/* One measurement. */
struct contention_watch {
    bench_contention *read; /* NULL: the store counts nothing */
    void *store;
    struct bench_counter before[BENCH_COUNTERS_MAX];
    struct bench_counter now[BENCH_COUNTERS_MAX]; /* totals: as last read; levels: the most */
    size_t count;
};

void contention_begin(struct contention_watch *watch, bench_contention *read, void *store);

/* Sleeps as driver_sleep does, and looks at the levels meanwhile. */
void contention_sleep(struct contention_watch *watch, double seconds);

/* The last look. What is added with contention_add is of the time from begin until here. */
void contention_end(struct contention_watch *watch);
void contention_add(struct contention *contention, const struct contention_watch *watch,
                    uint64_t operations);

/* What one worker saw. */
void contention_add_worker(struct contention *contention, const struct bench_worker *worker);

/* The value of a counter, for each operation if it is a total. */
double contention_value(const struct contention *contention, size_t counter);

#endif
