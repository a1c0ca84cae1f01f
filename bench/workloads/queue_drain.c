/* SPDX-License-Identifier: MIT
 *
 * Jobs that lie ready are pulled and acknowledged, by all threads at once: --keys of them, pushed
 * before the clock starts. What the pushes cost does not count, nor whether they keep up.
 */
#include "workloads/parts/jobs.h"

/* The first thread's tally has what was pushed. */
static bool
drain_begin(struct bench_run *run)
{
    const struct queue_operations *operations = run->contender->queue;

    if (!jobs_begin(run))
        return false;
    struct jobs_run *jobs = run->own;
    void *client = operations->attach(run->store);
    run->asides = 0;
    jobs->producing = 0;
    jobs->ready = true;
    if (client == NULL ||
        !jobs_push(operations, client, 0, bench_options.keys, &jobs->actors[0].in))
        run->result->fault = "jobs that could not be pushed";
    if (client != NULL)
        operations->detach(client);
    if (run->result->fault == NULL)
        return true;
    jobs_end(run);
    return false;
}

static uint64_t
drain_fixed(struct bench_worker *worker)
{
    const struct jobs_run *jobs = worker->run->own;
    size_t each = bench_options.keys / worker->run->threads / jobs->batch;

    return each != 0 ? each : 1;
}

static const struct bench_workload workload_queue_drain = {
    .name = "queue-drain",
    .what = "--keys jobs lie ready and are pulled and acknowledged, 16 in each call",
    .order = 72,
    .threads = "1,2",
    .contenders = "latchkey,claims-by-hand",
    .jobs = QUEUE_BATCH,
    .batch = 16,
    .on_request = true,
    .own_pace = true,
    .needs = NEEDS_QUEUE,
    .unit = "M jobs/s",
    .counts_itself = true,
    .begin = drain_begin,
    .end = jobs_end,
    .fixed = drain_fixed,
    .step = jobs_step,
    .finish = jobs_finish,
};
BENCH_WORKLOAD(workload_queue_drain)
