/* SPDX-License-Identifier: MIT
 *
 * One run of a queue: producers push, consumers pull and acknowledge.
 *
 * At a fixed rate producers keep to a schedule, and a job's latency is from when it should have
 * been pushed until it was acknowledged.
 *
 * Ordering: a consumer that sees all producers done sees all that they pushed; tallies are read
 * after the join.
 */
#include "workloads/parts/jobs.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG_MOST 4096
#define BACKLOG_MOST_RATED ((int64_t)1 << 20) /* at a fixed rate, so that memory has an end */

static_assert(sizeof(struct queue_job) == 64, "the job of the tables");

const char *
tallies_fault(struct tally in, struct tally out)
{
    return in.count == out.count && in.sum == out.sum && in.mixed == out.mixed
               ? NULL
               : "what came out is not, each job once, what went in";
}

size_t
jobs_drain(const struct queue_operations *operations, void *queue)
{
    struct queue_job job;
    void *client = operations->attach(queue);
    size_t total = 0, got = QUEUE_FAILED;

    if (client == NULL)
        return QUEUE_FAILED;
    while ((got = operations->pull(client, &job, 1)) == 1)
        total++;
    operations->detach(client);
    return got == QUEUE_FAILED ? QUEUE_FAILED : total;
}

bool
jobs_push(const struct queue_operations *operations, void *client, uint64_t first, size_t count,
          struct tally *in)
{
    struct queue_job jobs[QUEUE_BATCH];
    size_t most = operations->batch_most != 0 ? operations->batch_most : QUEUE_BATCH;

    for (size_t done = 0; done < count;) {
        size_t batch = count - done < most ? count - done : most;
        for (size_t i = 0; i < batch; i++)
            job_make(&jobs[i], first + done + i, 0, in);
        if (!operations->push(client, jobs, batch))
            return false;
        done += batch;
    }
    return true;
}

/* ---- a run ----------------------------------------------------------------------------------- */

struct jobs_actor *
jobs_actor(const struct bench_worker *worker)
{
    return &((struct jobs_run *)worker->run->own)->actors[worker->number];
}

bool
jobs_begin(struct bench_run *run)
{
    static const struct queue_setup setup = {.visibility_ms = JOBS_VISIBILITY_MS};
    const struct queue_operations *operations = run->contender->queue;
    struct jobs_run *jobs = calloc(1, sizeof *jobs);
    size_t size = run->threads * sizeof *jobs->actors;
    struct jobs_actor *actors = aligned_alloc(BENCH_LINE, size);

    run->attach = operations->attach;
    run->detach = operations->detach;
    run->contention = operations->contention;
    if (jobs != NULL && actors != NULL && run->store == NULL) {
        run->store = operations->open(&setup);
        jobs->opened = true;
    }
    if (jobs == NULL || actors == NULL || run->store == NULL) {
        run->result->fault = "the queue could not be opened";
        free(actors);
        free(jobs);
        return false;
    }
    memset(actors, 0, size);
    if (run->asides == 0)
        run->asides = run->threads / 2;
    assert(run->asides < run->threads && run->workload->jobs <= QUEUE_BATCH);
    jobs->actors = actors;
    jobs->producing = run->asides;
    jobs->batch = run->workload->jobs;
    if (operations->batch_most != 0 && jobs->batch > operations->batch_most)
        jobs->batch = operations->batch_most;
    run->own = jobs;
    return true;
}

void
jobs_end(struct bench_run *run)
{
    const struct queue_operations *operations = run->contender->queue;
    struct jobs_run *jobs = run->own;
    struct tally in = {0}, out = {0};

    for (unsigned i = 0; i < run->threads; i++) {
        tally_add(&in, jobs->actors[i].in);
        tally_add(&out, jobs->actors[i].out);
    }
    if (run->result->fault == NULL)
        run->result->fault = tallies_fault(in, out);
    if (run->result->fault == NULL && jobs->opened && jobs_drain(operations, run->store) != 0)
        run->result->fault = "jobs are left that were acknowledged";
    if (jobs->opened)
        operations->close(run->store);
    free(jobs->actors);
    free(jobs);
}

/* Waits while too much is under way. */
static void
throttle_await(const struct bench_run *run)
{
    int64_t most = bench_options.rate > 0 ? BACKLOG_MOST_RATED : BACKLOG_MOST;

    for (;;) {
        int64_t under_way = 0;
        for (unsigned i = 0; i < run->threads; i++) {
            int64_t done = (int64_t)run_published(run, i);
            under_way += i >= run->threads - run->asides ? done : -done;
        }
        if (under_way <= most || run_stops(run))
            return;
        sched_yield();
    }
}

static void
batch_push(struct bench_worker *worker, struct jobs_actor *actor, size_t batch)
{
    struct queue_job jobs[QUEUE_BATCH];

    for (size_t i = 0; i < batch; i++)
        job_make(&jobs[i], worker->first_sequence + actor->next_id++, worker->intended_ns,
                 &actor->in);
    if (!worker->contender->queue->push(worker->client, jobs, batch))
        worker->counts.failed++;
}

/* One pull and the acknowledgement of what it brought. */
static size_t
batch_pull(struct bench_worker *worker, struct jobs_actor *actor, size_t most)
{
    const struct queue_operations *operations = worker->contender->queue;
    struct queue_job jobs[QUEUE_BATCH];
    size_t got = operations->pull(worker->client, jobs, most);

    if (got == 0)
        return 0;
    if (got > most || !operations->acknowledge(worker->client)) {
        worker->counts.failed++;
        return QUEUE_FAILED;
    }
    for (size_t i = 0; i < got; i++)
        worker->counts.wrong += !job_count(&jobs[i], &actor->out);
    if (jobs[0].sent_ns != 0) {
        uint64_t now = bench_now_ns();
        for (size_t i = 0; i < got; i++)
            worker_took(worker, jobs[i].sent_ns, now);
    }
    return got;
}

/* Push, pull, acknowledge, without anybody else: its own jobs must be there. Where they are not,
 * the tallies will show it. */
static void
solo_cycle(struct bench_worker *worker, struct jobs_actor *actor, size_t batch)
{
    batch_push(worker, actor, batch);
    for (size_t left = batch; left > 0;) {
        size_t got = batch_pull(worker, actor, left);
        if (got == 0 || got == QUEUE_FAILED)
            return;
        left -= got;
        worker->done += got;
    }
}

void
jobs_step(struct bench_worker *worker, size_t count)
{
    struct jobs_actor *actor = jobs_actor(worker);
    const struct jobs_run *jobs = worker->run->own;
    size_t batch = jobs->batch;

    if (worker->run->threads == 1 && !jobs->ready) {
        for (; count > 0; count--)
            solo_cycle(worker, actor, batch);
        return;
    }
    if (worker_is_aside(worker))
        throttle_await(worker->run);
    for (; count > 0; count--) {
        if (worker_is_aside(worker)) {
            batch_push(worker, actor, batch);
            worker->done += batch;
            continue;
        }
        size_t got = batch_pull(worker, actor, batch);
        if (got == 0)
            sched_yield();
        else if (got != QUEUE_FAILED)
            worker->done += got;
    }
}

/* Consumers take what is left when all producers are done. */
void
jobs_finish(struct bench_worker *worker)
{
    struct jobs_run *jobs = worker->run->own;
    struct jobs_actor *actor = jobs_actor(worker);

    if (worker_is_aside(worker)) {
        atomic_fetch_sub(&jobs->producing, 1);
        return;
    }
    for (;;) {
        bool done = atomic_load(&jobs->producing) == 0;
        size_t got = batch_pull(worker, actor, jobs->batch);
        if (got == QUEUE_FAILED || (got == 0 && done))
            return;
        if (got == 0)
            sched_yield();
    }
}
