/* SPDX-License-Identifier: MIT
 *
 * The full cycle of a job through one queue: push, pull, acknowledge, one job or 16 in each call.
 * The rates are of acknowledged jobs. The latencies are of a pull with its acknowledgement; of the
 * whole cycle where one thread does it all.
 */
#include "workloads/parts/jobs.h"

static const struct bench_workload workloads[] = {
    {
        .name = "queue",
        .what =
            "push, pull, acknowledge jobs of 64 bytes, half of the threads push; for all alike, "
            "these wait at 4,096 jobs",
        .order = 70,
        .threads = "1,2",
        .contenders = "latchkey,mutex-deque,claims-by-hand,moodycamel",
        .targets = {{"mutex-deque", 1, 0.8, false, NULL},
                    {"claims-by-hand", 2, 1.4, false, NULL},
                    {"claims-by-hand", 8, 2.5, false, NULL},
                    {"mutex-deque", 2, 1.0, true, NULL}},
        .needs = NEEDS_BATCHES, /* not mutex-singles: the mutex deque a second time */
        .jobs = 1,
        JOBS_CALLS,
    },
    {
        .name = "queue-batch16",
        .what = "the same, 16 jobs in each call; mutex-singles: the mutex deque, 1 job in each",
        .order = 71,
        .threads = "1,2",
        .contenders = "latchkey,mutex-deque,mutex-singles,claims-by-hand",
        .targets = {{"mutex-deque", 0, 0.8, false, NULL}, {"mutex-singles", 2, 2.0, true, NULL}},
        .needs = NEEDS_QUEUE,
        .jobs = QUEUE_BATCH,
        .batch = 16,
        JOBS_CALLS,
    },
};
BENCH_WORKLOADS(workloads)
