/* SPDX-License-Identifier: MIT
 *
 * Single keys: get, mixtures of get and set, and 16 gets at once. The loops are compiled into the
 * contenders (loops.h); every value that is read proves itself.
 */
#include "workloads/parts/steps.h"

#define POINT_BATCH 512 /* operations between looks at the clock */
#define POINT_LOOKS 256 /* whole values that are looked at after a run */
#define BEST_MAPS "tbb-map,tbb-fixed,libcuckoo,urcu,ck_hs,bound"

/* Whether all bytes of a value are those of data_value: nothing but zeros between its numbers. */
static bool
value_is_whole(lk_bytes value, const char *sk)
{
    const char *bytes = value.data;
    uint64_t number;

    if (!data_proves(value, sk, &number))
        return false;
    for (size_t i = 16; i < value.size - 8; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* The loops look at three numbers of each value; here some values are looked at as a whole. */
static void
point_finish(struct bench_worker *worker)
{
    const struct requests *requests = &worker->requests;

    for (size_t i = 0; i < POINT_LOOKS; i++) {
        size_t place = (requests->at + i) & requests->mask;
        const lk_key *key =
            requests->items != NULL ? &requests->items[place].key : &requests->keys[place];
        lk_bytes value;
        if (!worker->contender->get(worker->client, key, &value))
            worker->counts.failed++;
        else if (!value_is_whole(value, requests->bodies[place].sk))
            worker->counts.wrong++;
    }
}

#define POINT_ALL .threads = "1,2", .distribution = "uniform", .finish = point_finish

static const struct bench_workload workloads[] = {
    {
        .name = "get",
        .what = "point get",
        .order = 10,
        .unit = "M ops/s",
        POINT_ALL,
        .source = &data_source,
        .requests = REQUESTS_READ,
        .contenders = "latchkey,latchkey-into,latchkey-view,striped," BEST_MAPS,
        .batch = POINT_BATCH,
        .targets = {{"tbb-fixed", 2, 0.95, false, NULL},
                    {"tbb-fixed", 2, 1.0, false, "latchkey-into"},
                    {"ck_hs", 2, 1.35, false, "latchkey-into"},
                    {"tbb-map", 2, 1.1, true, NULL},
                    {"libcuckoo", 2, 1.1, true, NULL},
                    {"urcu", 2, 1.1, true, NULL},
                    {"bound", 2, 0.65, true, "latchkey-into"}},
        .needs = NEEDS_GET,
        .reads_only = true,
        .loop = LOOP_GET,
    },
    {
        .name = "get-in-cache",
        .what = "point get of 1,000 items",
        .order = 11,
        .unit = "M ops/s",
        POINT_ALL,
        .source = &data_thousand_source,
        .requests = REQUESTS_READ,
        .contenders = "latchkey,latchkey-into,tbb-fixed,urcu,ck_hs,bound",
        .batch = POINT_BATCH,
        .targets = {{"tbb-fixed", 2, 1.4, false, "latchkey-into"}},
        .needs = NEEDS_GET,
        .reads_only = true,
        .loop = LOOP_GET,
    },
    {
        .name = "get-many",
        .what = "multiple get of 16 keys, counted in keys (ck_hs: 16 single gets)",
        .order = 12,
        .unit = "M keys/s",
        POINT_ALL,
        .source = &data_source,
        .requests = REQUESTS_READ,
        .contenders = "latchkey,ck_hs,bound",
        .weight = BENCH_GROUP,
        .batch = POINT_BATCH / BENCH_GROUP,
        .targets = {{"ck_hs", 2, 4.5, false, NULL}, {"bound", 2, 0.8, true, NULL}},
        .needs = NEEDS_GET,
        .reads_only = true,
        .loop = LOOP_GET_MANY,
    },
    {
        .name = "set50",
        .what = "a set, a get, and so on",
        .order = 13,
        .unit = "M ops/s",
        POINT_ALL,
        .source = &data_source,
        .requests = REQUESTS_WRITE,
        .contenders = "latchkey,striped," BEST_MAPS,
        .batch = POINT_BATCH,
        .targets = {{"tbb-fixed", 2, 0.85, false, NULL},
                    {"ck_hs", 2, 1.6, false, NULL},
                    {"tbb-fixed", 2, 1.0, true, NULL}},
        .needs = NEEDS_GET | NEEDS_SET,
        .loop = LOOP_SET50,
    },
};
BENCH_WORKLOADS(workloads)
