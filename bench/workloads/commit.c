/* SPDX-License-Identifier: MIT
 *
 * Read-modify-write under locks: a transfer among two or more items, in which one more arrives than
 * is given. So the sum of all numbers grows by the number of commits, whichever of them was torn or
 * lost; the driver checks that after the runs.
 */
#include "driver/driver.h"
#include "workloads/parts/steps.h"

#include <stdlib.h>

#define DRAWS_MOST 10000 /* a stream may be short of different indexes, for a while */

/* Between neighbours of the requests, whose indexes lie at the same places of the stream. */
static void
transfer_step(struct bench_worker *worker, size_t count)
{
    struct requests *requests = &worker->requests;

    for (size_t i = 0; i < count; i++) {
        size_t place = requests->at & requests->mask;
        uint64_t amount = worker->sequence++ % 100;
        uint64_t numbers[2] = {(uint64_t)0 - amount, amount + 1};
        requests->at += 2;
        step_commit(worker, &requests->keys[place], &worker->stream[place], numbers, 2);
    }
}

/* Whether an index is among the first `count`. */
static bool
index_taken(const uint32_t *indexes, size_t count, uint32_t index)
{
    for (size_t i = 0; i < count; i++)
        if (indexes[i] == index)
            return true;
    return false;
}

/* All of --locks-per-commit different items but the last get something, which the last gives, less
 * one. */
static void
ring_step(struct bench_worker *worker, size_t count)
{
    uint32_t indexes[BENCH_GROUP];
    uint64_t numbers[BENCH_GROUP];
    size_t locks = bench_options.locks_per_commit;

    for (size_t i = 0; i < count; i++) {
        uint64_t amount = worker->sequence++ % 100;
        for (size_t j = 0; j < locks; j++) {
            unsigned draws = 0;
            do
                indexes[j] = worker_next(worker);
            while (index_taken(indexes, j, indexes[j]) && ++draws < DRAWS_MOST);
            while (index_taken(indexes, j, indexes[j]))
                indexes[j] = (uint32_t)((indexes[j] + 1) % bench_options.keys);
            numbers[j] = j + 1 < locks ? amount : 1 - amount * (locks - 1);
        }
        step_commit(worker, NULL, indexes, numbers, locks);
    }
}

/* ---- commits under locks that are held ------------------------------------------------------- */

#define SAME_MOST 64 /* commits of a thread to the same items */

/* The items of a thread, and what their values say. */
struct held {
    unsigned left; /* commits, before others are taken; 0: none are held */
    lk_key keys[BENCH_GROUP];
    struct data_text texts[BENCH_GROUP];
    uint64_t numbers[BENCH_GROUP];
};

static bool
held_begin(struct bench_run *run)
{
    run->own = calloc(run->threads, sizeof(struct held));
    if (run->own == NULL)
        run->result->fault = "out of memory";
    return run->own != NULL;
}

static void
held_end(struct bench_run *run)
{
    free(run->own);
}

/* Neighbours, of which each thread has its own. */
static void
held_take(struct bench_worker *worker, struct held *held, size_t locks)
{
    lk_bytes values[BENCH_GROUP];
    size_t groups = bench_options.keys / locks / worker->run->threads;
    size_t first = (worker_next(worker) % groups * worker->run->threads + worker->number) * locks;

    for (size_t i = 0; i < locks; i++)
        held->keys[i] = data_key(first + i, &held->texts[i]);
    if (!worker->contender->read(worker->client, held->keys, locks, values)) {
        worker->counts.failed++;
        return;
    }
    held->left = SAME_MOST;
    for (size_t i = 0; i < locks; i++)
        if (!data_proves(values[i], held->texts[i].sk, &held->numbers[i]))
            worker->counts.wrong++;
}

/* One more for the first item: the others are written as they are. A contender whose proof is spent
 * by a commit races, and reads again. */
static void
held_commit(struct bench_worker *worker, struct held *held, size_t locks)
{
    static _Thread_local char buffers[BENCH_GROUP * DATA_VALUE_MAX];
    lk_bytes values[BENCH_GROUP];

    for (size_t i = 0; i < locks; i++)
        values[i] = data_value(buffers + i * bench_options.value_size, held->texts[i].sk,
                               held->numbers[i] + (i == 0));
    enum bench_commit outcome =
        worker->contender->commit(worker->client, held->keys, locks, values);
    bool raced = worker_raced(worker, outcome, 0, NULL, 0);
    held->left = raced || outcome == BENCH_FAILED ? 0 : held->left - 1;
    held->numbers[0] += outcome == BENCH_COMMITTED;
    worker->done += outcome == BENCH_COMMITTED;
}

static void
held_step(struct bench_worker *worker, size_t count)
{
    struct held *held = (struct held *)worker->run->own + worker->number;
    size_t locks = bench_options.locks_per_commit;

    for (; count > 0; count--) {
        if (held->left == 0)
            held_take(worker, held, locks);
        if (held->left != 0)
            held_commit(worker, held, locks);
    }
}

/* ---- the tables ------------------------------------------------------------------------------ */

/* What these workloads have in common. */
#define COMMIT_ALL                                                                               \
    .unit = "M commits/s", .source = &data_source,                                               \
    .contenders = "latchkey,latchkey-locks,striped,versions", .transacts = true, .increment = 1, \
    .needs = NEEDS_GET | NEEDS_COMMIT

static const struct bench_workload workloads[] = {
    {
        .name = "commit2",
        .what = "transfer: 2 items written under 2 locks",
        .order = 20,
        .threads = "1,2",
        .distribution = "uniform",
        .requests = REQUESTS_PAIRS,
        .targets = {{"striped", 2, 1.15, false, NULL}, {"versions", 2, 1.0, true, NULL}},
        COMMIT_ALL,
        .step = transfer_step,
    },
    {
        .name = "commit",
        .what = "transfer among --locks-per-commit items (4), as many locks",
        .order = 22,
        .threads = "1,2,8",
        .distribution = "uniform",
        .on_request = true,
        COMMIT_ALL,
        .step = ring_step,
    },
    {
        .name = "commit-held",
        .what =
            "--locks-per-commit items (4) written under locks that are held, 64 times, then others",
        .order = 23,
        .threads = "1,2",
        .distribution = "uniform",
        .batch = 8,
        .on_request = true,
        .counts_itself = true,
        COMMIT_ALL,
        .begin = held_begin,
        .end = held_end,
        .step = held_step,
    },
    {
        .name = "commit2-zipf",
        .what = "transfer: 2 items written under 2 locks",
        .order = 21,
        .threads = "1,2",
        .distribution = "zipf:0.99",
        .requests = REQUESTS_PAIRS,
        .targets = {{"striped", 2, 1.0, false, NULL}, {"versions", 2, 1.0, true, NULL}},
        COMMIT_ALL,
        .step = transfer_step,
    },
    {
        .name = "commit2-hot",
        .what = "transfer between the same 2 items by all threads, with back-off after a race",
        .order = 25,
        .threads = "1,2",
        .distribution = "hot:2",
        .requests = REQUESTS_PAIRS,
        .targets = {{"striped", 2, 0.9, false, NULL}, {"versions", 2, 1.0, true, NULL}},
        COMMIT_ALL,
        .step = transfer_step,
    },
};
BENCH_WORKLOADS(workloads)
