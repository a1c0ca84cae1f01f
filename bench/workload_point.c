/* SPDX-License-Identifier: MIT
 *
 * Single keys: get, mixtures of get and set, and 16 gets at once. Every value that is read proves
 * itself.
 */
#include "steps.h"

static void
get_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++)
        step_get(worker, worker_next(worker));
}

/* Which operation is a set follows from the count, mixed, so that it is the same for every
 * contender. */
static inline void
mixed_step(struct bench_worker *worker, size_t count, unsigned sets_percent)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        uint64_t draw = random_mix(worker->stream_at) >> 32;
        if (draw * 100 >> 32 < sets_percent)
            step_set(worker, index);
        else
            step_get(worker, index);
    }
}

static void
set50_step(struct bench_worker *worker, size_t count)
{
    mixed_step(worker, count, 50);
}

static void
set5_step(struct bench_worker *worker, size_t count)
{
    mixed_step(worker, count, 5);
}

static void
get_many_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++)
        step_get_many(worker);
}

static const struct bench_workload workload_get = {
    .name = "get",
    .what = "point get",
    .order = 10,
    .unit = "M ops/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,latchkey-view,mutex,rwlock,striped,ck_hs",
    .targets = {{"ck_hs", 0, 1.15}},
    .can = step_can_get,
    .reads_only = true,
    .step = get_step,
};
BENCH_WORKLOAD(workload_get)

static const struct bench_workload workload_get_many = {
    .name = "get-many",
    .what = "multiple get of 16 keys, counted in keys (ck_hs: 16 single gets)",
    .order = 11,
    .unit = "M keys/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,mutex,striped,ck_hs",
    .weight = BENCH_GROUP,
    .batch = 8,
    .targets = {{"ck_hs", 0, 3.0}},
    .can = step_can_get,
    .reads_only = true,
    .step = get_many_step,
};
BENCH_WORKLOAD(workload_get_many)

static const struct bench_workload workload_set50 = {
    .name = "set50",
    .what = "50 % set, 50 % get",
    .order = 12,
    .unit = "M ops/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,mutex,striped,ck_hs,ck_hs-swap64",
    .targets = {{"ck_hs-swap64", 0, 1.1}},
    .can = step_can_set,
    .step = set50_step,
};
BENCH_WORKLOAD(workload_set50)

static const struct bench_workload workload_set5 = {
    .name = "set5",
    .on_request = true,
    .what = "5 % set, 95 % get",
    .order = 13,
    .unit = "M ops/s",
    .threads = "2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,mutex,rwlock,striped,ck_hs,ck_hs-swap64",
    .can = step_can_set,
    .step = set5_step,
};
BENCH_WORKLOAD(workload_set5)
