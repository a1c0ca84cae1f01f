/* SPDX-License-Identifier: MIT
 *
 * Counters that all threads add to: one, or 64. A number of 8 bytes is all that an item has, so it
 * proves nothing by itself; but the sum of all grows by one with each add, and the driver checks
 * that after the runs.
 */
#include "driver/data.h"
#include "workloads/parts/steps.h"

#define ADD_COUNTERS 64

static size_t
counters_load(const struct bench_source *source, const struct bench_contender *contender,
              void *client)
{
    const int64_t zero = 0;
    struct data_text text;
    size_t done = 0;

    for (; done < source->items; done++) {
        lk_item put = {data_key(done, &text), {&zero, sizeof zero}, 0};
        if (!contender->set(client, &put))
            break;
    }
    return done == source->items ? done : 0;
}

static bool
counter_read(const struct bench_contender *contender, void *client, size_t index, uint64_t *sum)
{
    struct data_text text;
    lk_key key = data_key(index, &text);
    lk_bytes value;
    uint64_t number;

    if (!contender->get(client, &key, &value) || value.size != sizeof number)
        return false;
    memcpy(&number, value.data, sizeof number);
    *sum += number;
    return true;
}

static const struct bench_source counters_source = {
    .name = "counters",
    .items = ADD_COUNTERS,
    .open = data_open,
    .load = counters_load,
    .count = data_count,
    .read = counter_read,
    .key_name = data_key_name,
};

static void
add_to(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    lk_key key = data_key(index, &text);

    if (worker->contender->add(worker->client, &key, 1))
        worker->counts.commits++;
    else
        worker->counts.failed++;
}

static void
add_to_first(struct bench_worker *worker, uint32_t index)
{
    (void)index;
    add_to(worker, 0);
}

#define ADD_ALL                                                                                    \
    .unit = "M adds/s", .threads = "1,2,8", .distribution = "uniform", .source = &counters_source, \
    .contenders = "latchkey,latchkey-rmw,mutex,striped,striped-rwlock", .on_request = true,        \
    .transacts = true, .single = true, .increment = 1, .needs = NEEDS_ADD | NEEDS_GET | NEEDS_SET

static const struct bench_workload workloads[] = {
    {
        .name = "add-hot",
        .what = "one counter, to which all threads add",
        .order = 26,
        ADD_ALL,
        .targets = {{"striped", 2, 1.0, false, NULL}, {"striped", 8, 1.0, false, NULL}},
        .mix = {{100, add_to_first}},
    },
    {
        .name = "add-64",
        .what = "64 counters, to which all threads add",
        .order = 27,
        ADD_ALL,
        .mix = {{100, add_to}},
    },
};
BENCH_WORKLOADS(workloads)
