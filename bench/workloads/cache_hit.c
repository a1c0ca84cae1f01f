/* SPDX-License-Identifier: MIT
 *
 * cache-hit: gets that all find their item in the cache, against the embedded store itself and
 * against the cache that people write by hand.
 */
#include "driver/data.h"

static bool
can_cache_hit(const struct bench_contender *contender)
{
    return contender->get != NULL && contender->set != NULL;
}

static void
cache_hit_step(struct bench_worker *worker, size_t count)
{
    struct data_text text;
    lk_bytes value;
    uint64_t number;

    for (size_t i = 0; i < count; i++) {
        lk_key key = data_key(worker_next(worker), &text);
        if (!worker->contender->get(worker->client, &key, &value))
            worker->counts.failed++;
        else if (!data_proves(value, text.sk, &number))
            worker->counts.wrong++;
    }
}

static const struct bench_workload workload_cache_hit = {
    .name = "cache-hit",
    .on_request = true,
    .what = "get of 100,000 items that the cache holds",
    .order = 80,
    .unit = "M ops/s",
    .threads = "1,2,4",
    .distribution = "uniform",
    .source = &data_few_source,
    .contenders = "cache,latchkey,lru-mutex",
    .subject = "cache",
    .targets = {{"latchkey", 0, 0.7}, {"lru-mutex", 4, 3.0}},
    .can = can_cache_hit,
    .reads_only = true,
    .step = cache_hit_step,
};
BENCH_WORKLOAD(workload_cache_hit)
