/* SPDX-License-Identifier: MIT
 *
 * Commits of N items under N locks, N = 1, 2, 4, 16. With several, amounts move between neighbours
 * of the group, so that the sum of all numbers stays; with one it grows by the number of commits.
 * The driver checks either. --distribution: uniform, zipf:0.99, or hot:2 for one pair that all
 * fight for; where fewer keys are hot than a commit has locks, it takes as many as there are.
 */
#include "steps.h"

/* Keys that can be drawn. */
static size_t
atomic_keys(void)
{
    struct distribution distribution;

    if (bench_options.distribution != NULL &&
        distribution_parse(bench_options.distribution, &distribution) &&
        distribution.kind == DISTRIBUTION_HOT && distribution.hot < bench_options.keys)
        return distribution.hot;
    return bench_options.keys;
}

static bool
index_drawn(const uint32_t *indexes, size_t count, uint32_t index)
{
    for (size_t i = 0; i < count; i++)
        if (indexes[i] == index)
            return true;
    return false;
}

static inline void
atomic_step(struct bench_worker *worker, size_t count, size_t locks)
{
    size_t keys = atomic_keys(), many = locks < keys ? locks : keys;
    uint32_t indexes[BENCH_GROUP];
    uint64_t numbers[BENCH_GROUP];

    /* An even number: each item that gives has one that takes. */
    if (locks > 1)
        many -= many % 2;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < many; j++) {
            do
                indexes[j] = worker_next(worker);
            while (index_drawn(indexes, j, indexes[j]));
            uint64_t amount = (indexes[j - j % 2] & 7) + 1;
            numbers[j] = j % 2 == 0 && locks > 1 ? (uint64_t)0 - amount : amount;
        }
        if (locks == 1)
            numbers[0] = 1;
        step_commit(worker, indexes, numbers, many);
    }
}

static void
step_1(struct bench_worker *worker, size_t count)
{
    atomic_step(worker, count, 1);
}

static void
step_2(struct bench_worker *worker, size_t count)
{
    atomic_step(worker, count, 2);
}

static void
step_4(struct bench_worker *worker, size_t count)
{
    atomic_step(worker, count, 4);
}

static void
step_16(struct bench_worker *worker, size_t count)
{
    atomic_step(worker, count, 16);
}

/* One hot key alone leaves nothing to move. */
static bool
can_move(const struct bench_contender *contender)
{
    return step_can_commit(contender) && atomic_keys() > 1;
}

#define ATOMIC_CONTENDERS "latchkey,mutex,striped,versions"

static const struct bench_workload workload_set_atomic_1 = {
    .name = "set-atomic-1",
    .what = "commits of 1 item under 1 lock",
    .order = 26,
    .unit = "M commits/s",
    .threads = "1,2,4",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = ATOMIC_CONTENDERS,
    .on_request = true,
    .transacts = true,
    .increment = 1,
    .can = step_can_commit,
    .step = step_1,
};
BENCH_WORKLOAD(workload_set_atomic_1)

static const struct bench_workload workload_set_atomic_2 = {
    .name = "set-atomic-2",
    .what = "commits of 2 items under 2 locks",
    .order = 27,
    .unit = "M commits/s",
    .threads = "1,2,4",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = ATOMIC_CONTENDERS,
    .on_request = true,
    .transacts = true,
    .can = can_move,
    .step = step_2,
};
BENCH_WORKLOAD(workload_set_atomic_2)

static const struct bench_workload workload_set_atomic_4 = {
    .name = "set-atomic-4",
    .what = "commits of 4 items under 4 locks",
    .order = 28,
    .unit = "M commits/s",
    .threads = "1,2,4",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = ATOMIC_CONTENDERS,
    .batch = 16,
    .on_request = true,
    .transacts = true,
    .can = can_move,
    .step = step_4,
};
BENCH_WORKLOAD(workload_set_atomic_4)

static const struct bench_workload workload_set_atomic_16 = {
    .name = "set-atomic-16",
    .what = "commits of 16 items under 16 locks",
    .order = 29,
    .unit = "M commits/s",
    .threads = "1,2,4",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = ATOMIC_CONTENDERS,
    .batch = 8,
    .on_request = true,
    .transacts = true,
    .can = can_move,
    .step = step_16,
};
BENCH_WORKLOAD(workload_set_atomic_16)
