/* SPDX-License-Identifier: MIT
 *
 * Single keys: get, mixtures of get and set, and 16 gets at once. Every value that is read proves
 * itself.
 */
#include "data.h"

#define VALUE_SIZE_MAX (64 * 1024)

static bool
can_get(const struct bench_contender *contender)
{
    return contender->get != NULL;
}

static bool
can_set(const struct bench_contender *contender)
{
    return contender->get != NULL && contender->set != NULL;
}

static inline void
one_get(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    lk_key key = data_key(index, &text);
    lk_bytes value;
    uint64_t number;

    if (!worker->contender->get(worker->client, key, &value))
        worker->counts.failed++;
    else if (!data_proves(value, text.sk, &number))
        worker->counts.wrong++;
}

static inline void
one_set(struct bench_worker *worker, uint32_t index, char *value)
{
    struct data_text text;
    lk_key key = data_key(index, &text);
    lk_bytes bytes = data_value(value, text.sk, worker->sequence++);

    if (!worker->contender->set(worker->client, key, bytes))
        worker->counts.failed++;
}

static void
get_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++)
        one_get(worker, worker_next(worker));
}

/* Which operation is a set follows from the count, mixed, so that it is the same for every
 * contender. */
static inline void
mixed_step(struct bench_worker *worker, size_t count, unsigned sets_percent)
{
    static _Thread_local char value[VALUE_SIZE_MAX];

    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        uint64_t draw = random_mix(worker->stream_at) >> 32;
        if (draw * 100 >> 32 < sets_percent)
            one_set(worker, index, value);
        else
            one_get(worker, index);
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
    struct data_text texts[BENCH_GROUP];
    lk_key keys[BENCH_GROUP];
    lk_bytes values[BENCH_GROUP];
    uint64_t number;

    for (size_t i = 0; i < count; i++) {
        if (worker->contender->get_many == NULL) {
            for (size_t j = 0; j < BENCH_GROUP; j++)
                one_get(worker, worker_next(worker));
            continue;
        }
        for (size_t j = 0; j < BENCH_GROUP; j++)
            keys[j] = data_key(worker_next(worker), &texts[j]);
        if (!worker->contender->get_many(worker->client, keys, BENCH_GROUP, values)) {
            worker->counts.failed++;
            continue;
        }
        for (size_t j = 0; j < BENCH_GROUP; j++)
            if (!data_proves(values[j], texts[j].sk, &number))
                worker->counts.wrong++;
    }
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
    .can = can_get,
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
    .can = can_get,
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
    .can = can_set,
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
    .can = can_set,
    .step = set5_step,
};
BENCH_WORKLOAD(workload_set5)
