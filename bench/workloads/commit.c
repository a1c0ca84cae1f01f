/* SPDX-License-Identifier: MIT
 *
 * Read-modify-write under locks: a transfer among two or more items, in which one more arrives than
 * is given. So the sum of all numbers grows by the number of commits, whichever of them was torn or
 * lost; the driver checks that after the runs.
 */
#include "workloads/parts/steps.h"

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

/* What these workloads have in common. */
#define COMMIT_ALL                                                                               \
    .unit = "M commits/s", .source = &data_source,                                               \
    .contenders = "latchkey,latchkey-locks,striped,versions", .transacts = true, .increment = 1, \
    .can = step_can_commit

static const struct bench_workload workload_commit2 = {
    .name = "commit2",
    .what = "transfer: 2 items written under 2 locks",
    .order = 20,
    .threads = "1,2",
    .distribution = "uniform",
    .requests = REQUESTS_PAIRS,
    .targets = {{"striped", 2, 1.15, false, NULL}, {"versions", 2, 1.0, true, NULL}},
    COMMIT_ALL,
    .step = transfer_step,
};
BENCH_WORKLOAD(workload_commit2)

static const struct bench_workload workload_commit = {
    .name = "commit",
    .what = "transfer among --locks-per-commit items (4), as many locks",
    .order = 22,
    .threads = "1,2,8",
    .distribution = "uniform",
    .on_request = true,
    COMMIT_ALL,
    .step = ring_step,
};
BENCH_WORKLOAD(workload_commit)

static const struct bench_workload workload_commit2_zipf = {
    .name = "commit2-zipf",
    .what = "transfer: 2 items written under 2 locks",
    .order = 21,
    .threads = "1,2",
    .distribution = "zipf:0.99",
    .requests = REQUESTS_PAIRS,
    .targets = {{"striped", 2, 1.0, false, NULL}, {"versions", 2, 1.0, true, NULL}},
    COMMIT_ALL,
    .step = transfer_step,
};
BENCH_WORKLOAD(workload_commit2_zipf)

static const struct bench_workload workload_hot_pair = {
    .name = "commit2-hot",
    .what = "transfer between the same 2 items by all threads, with back-off after a race",
    .order = 25,
    .threads = "1,2",
    .distribution = "hot:2",
    .requests = REQUESTS_PAIRS,
    .targets = {{"striped", 2, 0.9, false, NULL}, {"versions", 2, 1.0, true, NULL}},
    COMMIT_ALL,
    .step = transfer_step,
};
BENCH_WORKLOAD(workload_hot_pair)
