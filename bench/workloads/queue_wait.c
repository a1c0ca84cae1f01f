/* SPDX-License-Identifier: MIT
 *
 * From push to pulled: consumers sleep until there is a job, one producer beside them brings jobs,
 * one at a time. queue-wait: the next one as soon as the last one was acknowledged, so that its
 * consumer may still be awake. queue-wait-paced: one every 200 us, when all are asleep. The end of
 * a run is a last job for each consumer; a consumer that nobody wakes ends the program.
 */
#include "workloads/parts/jobs.h"

#include <sched.h>
#include <time.h>

#define PACE_NS 200000
#define LAST_ID (UINT64_C(1) << 60) /* from here on: the last jobs */

static void
job_send(struct bench_worker *worker, struct jobs_actor *actor, uint64_t id)
{
    struct queue_job job;

    job_make(&job, id, bench_now_ns(), &actor->in);
    if (!worker->contender->queue->push(worker->client, &job, 1))
        worker->counts.failed++;
}

/* One job, asleep until it comes. */
static void
job_receive(struct bench_worker *worker, struct jobs_actor *actor)
{
    const struct queue_operations *operations = worker->contender->queue;
    struct queue_job job;

    if (operations->pull_wait(worker->client, &job) != 1) {
        worker->counts.failed++;
        return;
    }
    uint64_t now = bench_now_ns();
    worker->counts.failed += !operations->acknowledge(worker->client);
    worker->counts.wrong += !job_count(&job, &actor->out);
    actor->last = job.id >= LAST_ID;
    if (actor->last)
        return;
    worker->done++;
    worker_took(worker, job.sent_ns, now);
}

static uint64_t
consumers_done(const struct bench_run *run)
{
    uint64_t done = 0;

    for (unsigned i = 0; i + run->asides < run->threads; i++)
        done += run_published(run, i);
    return done;
}

static void
wait_step(struct bench_worker *worker, size_t count)
{
    struct jobs_actor *actor = jobs_actor(worker);

    (void)count;
    if (!worker_is_aside(worker)) {
        job_receive(worker, actor);
        return;
    }
    job_send(worker, actor, worker->sequence++);
    while (consumers_done(worker->run) < actor->in.count && !run_stops(worker->run))
        sched_yield();
}

static void
paced_step(struct bench_worker *worker, size_t count)
{
    struct jobs_actor *actor = jobs_actor(worker);

    if (!worker_is_aside(worker)) {
        wait_step(worker, count);
        return;
    }
    job_send(worker, actor, worker->sequence++);
    actor->next_id += PACE_NS; /* the time of the next one; the first says when now was */
    if (actor->next_id == PACE_NS)
        actor->next_id += bench_now_ns();
    struct timespec until = {(time_t)(actor->next_id / 1000000000),
                             (long)(actor->next_id % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        continue;
}

/* A last job for each consumer, which waits for it. */
static void
wait_finish(struct bench_worker *worker)
{
    struct jobs_actor *actor = jobs_actor(worker);

    if (worker_is_aside(worker)) {
        for (unsigned i = 0; i + worker->run->asides < worker->run->threads; i++)
            job_send(worker, actor, LAST_ID + i);
        return;
    }
    for (uint64_t failed = worker->counts.failed; !actor->last && worker->counts.failed == failed;)
        job_receive(worker, actor);
}

#define WAIT_ALL                                                                                   \
    .on_request = true, .unit = "k jobs/s", .threads = "1,4",                                      \
    .contenders = "latchkey,mutex-deque", .needs = NEEDS_WAIT, .jobs = 1, .beside = 1, .batch = 1, \
    .own_pace = true, .counts_itself = true, .times_itself = true, .begin = jobs_begin,            \
    .end = jobs_end, .finish = wait_finish

static const struct bench_workload workloads[] = {
    {
        .name = "queue-wait",
        .what = "from push to pulled by a waiting consumer, the next job after the acknowledgement",
        .order = 74,
        WAIT_ALL,
        .step = wait_step,
    },
    {
        .name = "queue-wait-paced",
        .what = "the same, one job every 200 us: all consumers are asleep",
        .order = 75,
        WAIT_ALL,
        .step = paced_step,
    },
};
BENCH_WORKLOADS(workloads)
