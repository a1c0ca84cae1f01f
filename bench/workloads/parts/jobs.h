/* SPDX-License-Identifier: MIT
 *
 * What the workloads on queues share: the job that goes through a queue, tallies of jobs, and a run
 * of producers and consumers on one queue.
 *
 * Invariant of every run: each job that was pushed comes out exactly once, with the bytes that
 * went in. Both sides tally what they saw, and the tallies must agree.
 */
#ifndef BENCH_JOBS_H
#define BENCH_JOBS_H

#include "driver/driver.h"
#include "driver/options.h"

#define JOBS_VISIBILITY_MS 30000

/* What went in or came out. Two tallies agree iff the same jobs were counted (but for chance, one
 * in 2^64). */
struct tally {
    uint64_t count, sum, mixed;
};

static inline void
tally_add(struct tally *into, struct tally from)
{
    into->count += from.count;
    into->sum += from.sum;
    into->mixed += from.mixed;
}

static inline void
job_make(struct queue_job *job, uint64_t id, uint64_t sent_ns, struct tally *in)
{
    *job = (struct queue_job){id, sent_ns, {id, id, id, id, id}, random_mix(id)};
    tally_add(in, (struct tally){1, id, job->check});
}

/* False: the job is not one that job_make made. */
static inline bool
job_count(const struct queue_job *job, struct tally *out)
{
    uint64_t mixed = random_mix(job->id);

    tally_add(out, (struct tally){1, job->id, mixed});
    return job->check == mixed && job->fill[0] == job->id && job->fill[4] == job->id;
}

/* NULL: they agree; else what is wrong. */
const char *tallies_fault(struct tally in, struct tally out);

/* Pulls until there is nothing more; returns how many jobs came, QUEUE_FAILED on failure. */
size_t jobs_drain(const struct queue_operations *operations, void *queue);

/* Pushes jobs with the ids from `first` on. */
bool jobs_push(const struct queue_operations *operations, void *client, uint64_t first,
               size_t count, struct tally *in);

/* ---- a run ----------------------------------------------------------------------------------- */

/* What one thread of a run has. */
struct jobs_actor {
    _Alignas(BENCH_LINE) uint64_t next_id;
    struct tally in, out;
    bool last; /* it has seen the last job that is for it */
};

/* What the threads of a run share: run->own. */
struct jobs_run {
    _Atomic unsigned producing; /* producers that are not done yet */
    bool opened;                /* the queue, for this run alone */
    bool ready;                 /* all jobs are there, nobody pushes */
    size_t batch;
    struct jobs_actor *actors; /* one for each thread */
};

struct jobs_actor *jobs_actor(const struct bench_worker *worker);

/* The calls of a workload in which half of the threads push, the last ones; an odd one pulls. With
 * one thread that does both in turn. Opens a queue for each run, unless the store of the result has
 * one already; it must be empty at the end. The throttle: a producer waits while more than 4,096
 * jobs are under way, whatever the contender; a consumer that finds nothing yields. So a queue is
 * measured at work, neither growing without bound nor polled by spinning threads. */
#define JOBS_CALLS                                                                   \
    .unit = "M jobs/s", .counts_itself = true, .begin = jobs_begin, .end = jobs_end, \
    .step = jobs_step, .finish = jobs_finish
bool jobs_begin(struct bench_run *run);
void jobs_end(struct bench_run *run);
void jobs_step(struct bench_worker *worker, size_t count);
void jobs_finish(struct bench_worker *worker);

#endif
