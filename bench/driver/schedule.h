/* SPDX-License-Identifier: MIT
 *
 * A fixed rate: each thread has times at which its operations should start, whatever became of
 * those before. Latencies are measured from these times, so that an operation that waited for a
 * slow one before it shows that wait too (no coordinated omission). An operation whose time came
 * and that was never begun counts with the time that it had waited at the end.
 */
#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include "record/histogram.h"

#include <stdatomic.h>
#include <stdbool.h>

struct schedule {
    uint64_t start_ns;    /* of the schedule, warm-up included */
    uint64_t measured_ns; /* operations that should start from then on count */
    uint64_t end_ns;      /* and before that */
    double interval_ns;
    double offset_ns; /* of this thread: threads take turns */
    uint64_t begun;
};

/* The schedule of thread `number` of `threads`, which together do `rate` operations a second, each
 * step `weight` of them. */
void schedule_init(struct schedule *schedule, uint64_t start_ns, double rate, double weight,
                   unsigned threads, unsigned number);

/* When the next operation should start. */
uint64_t schedule_next(const struct schedule *schedule);

/* Waits for that time. False: it does not come, because the schedule is at its end or `*phase`
 * became `stop`. True: the operation counts as begun, and `intended` is its time. */
bool schedule_wait(struct schedule *schedule, const _Atomic int *phase, int stop,
                   uint64_t *intended);

/* Adds the latency of an operation that has ended, if it counts. */
void schedule_add(const struct schedule *schedule, struct histogram *latency, uint64_t intended,
                  uint64_t ended);

/* Adds the operations that should have started before the end (or before `now`, where that is
 * earlier) and were not begun. Returns how many. */
uint64_t schedule_late(const struct schedule *schedule, struct histogram *latency, uint64_t now);

#endif
