/* SPDX-License-Identifier: MIT
 *
 * The queue part of the benchmark: the operations table of a queue under test, the job that goes
 * through it, and one run of producers and consumers. A contender with a queue points to such a
 * table from its `struct bench_contender`.
 *
 * Invariant of every run: each job that was pushed comes out exactly once, with the bytes that
 * went in. Both sides tally what they saw, and the tallies must agree.
 */
#ifndef BENCH_QUEUE_H
#define BENCH_QUEUE_H

#include "driver/bench.h"
#include "driver/random.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QUEUE_BATCH 16       /* jobs of one call in the workloads with batches */
#define QUEUE_PULL_MOST 1000 /* a contender copes with pulls of so many */
#define QUEUE_VISIBILITY_MS 30000
#define QUEUE_FAILED SIZE_MAX

struct queue_job {
    uint64_t id;
    uint64_t sent_ns; /* of the workloads that wait; 0 in others */
    uint64_t fill[5];
    uint64_t check; /* random_mix(id): a torn job shows */
};

struct queue_setup {
    int64_t visibility_ms;
    bool manual_clock; /* deadlines count on a clock that only `advance` moves */
};

/* A queue of jobs. `client` is what one thread holds of it. */
struct queue_operations {
    bool claims;       /* a pull claims; without: it takes out, and `acknowledge` does nothing */
    size_t batch_most; /* jobs that one call takes; 0: any number */

    /* NULL on failure; with *missing set (a static text) where the contender has no such queue. */
    void *(*open)(const struct queue_setup *setup, const char **missing);
    void (*close)(void *queue);
    void *(*attach)(void *queue);
    void (*detach)(void *client);

    bool (*push)(void *client, const struct queue_job *jobs, size_t count);
    /* Copies up to `count` jobs out. Returns how many, 0 where there is none, or QUEUE_FAILED. */
    size_t (*pull)(void *client, struct queue_job *jobs, size_t count);
    /* The same for one job, asleep until there is one. NULL: cannot wait. */
    size_t (*pull_wait)(void *client, struct queue_job *job);
    /* The jobs of the client's last pull, all of them. */
    bool (*acknowledge)(void *client);
    /* Moves the manual clock. NULL: has none. */
    void (*advance)(void *queue, int64_t ms);
    bench_contention *contention; /* of a queue; NULL: counts nothing */
};

/* What went in or came out. Two tallies agree iff the same jobs were counted (but for chance, one
 * in 2^64). */
struct queue_tally {
    uint64_t count, sum, mixed;
};

static inline void
queue_job_make(struct queue_job *job, uint64_t id, struct queue_tally *tally)
{
    job->id = id;
    job->sent_ns = 0;
    for (size_t i = 0; i < sizeof job->fill / sizeof *job->fill; i++)
        job->fill[i] = id;
    job->check = random_mix(id);
    tally->count++;
    tally->sum += id;
    tally->mixed += job->check;
}

/* False: the job is not one that queue_job_make made. */
static inline bool
queue_job_count(const struct queue_job *job, struct queue_tally *tally)
{
    uint64_t mixed = random_mix(job->id);

    tally->count++;
    tally->sum += job->id;
    tally->mixed += mixed;
    return job->check == mixed && job->fill[0] == job->id && job->fill[4] == job->id;
}

static inline void
queue_tally_add(struct queue_tally *into, struct queue_tally from)
{
    into->count += from.count;
    into->sum += from.sum;
    into->mixed += from.mixed;
}

static inline bool
queue_tally_agrees(struct queue_tally a, struct queue_tally b)
{
    return a.count == b.count && a.sum == b.sum && a.mixed == b.mixed;
}

struct driver_result;

/* One run on an open queue: `threads` / 2 producers and as many consumers, or one thread that does
 * both in turn. Adds to `result`. */
void queue_measure(void *queue, size_t batch, unsigned threads, struct driver_result *result);

/* The same on a queue of its own, which must be empty at the end. */
void queue_run(size_t batch, unsigned threads, struct driver_result *result);

/* Opens a queue of the result's contender. NULL: the result says why, as a fault or as missing. */
void *queue_open(const struct queue_setup *setup, struct driver_result *result);

/* Pulls until there is nothing more; returns how many jobs came, QUEUE_FAILED on failure. */
size_t queue_drain(const struct queue_operations *operations, void *queue);

/* Pushes jobs with the ids from `first` on. */
bool queue_push_ids(const struct queue_operations *operations, void *client, uint64_t first,
                    size_t count, struct queue_tally *tally);

#ifdef __cplusplus
}
#endif
#endif
