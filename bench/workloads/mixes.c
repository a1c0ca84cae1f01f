/* SPDX-License-Identifier: MIT
 *
 * Workloads that are a mix of steps, on request but for scan and insert.
 *
 * scan, count, insert, put-new: ordered reads, and what keeps order costly. cache-hit: gets that
 * all find their item in a cache. ycsb: the core workloads of YCSB (Cooper et al., "Benchmarking
 * cloud serving systems with YCSB", 2010), with items of this benchmark's size. delete: a loaded
 * item is removed and put back. churn: new keys come, and those of a while ago go, so that a store
 * that keeps something of what it removed gets slower or larger. A key that was removed must not
 * be found, one that was put back must.
 */
#include "workloads/parts/steps.h"

#include <stdatomic.h>

#define CHURN_WINDOW 1024 /* keys of a thread that are there at a time */
#define LOOK_EVERY 16
#define LAST_LOOKS 1024

/* ---- scan, insert ---------------------------------------------------------------------------- */

static void
scan_100(struct bench_worker *worker, uint32_t index)
{
    step_scan(worker, index, STEP_SCAN_MOST, false);
}

/* A partition, which is whole whoever else works on it. */
static void
count_one(struct bench_worker *worker, uint32_t index)
{
    size_t first = index - index % DATA_PARTITION_ITEMS, size = bench_options.keys - first;
    struct data_text text;
    lk_query query = {.pk = data_key(first, &text).pk};

    if (size > DATA_PARTITION_ITEMS)
        size = DATA_PARTITION_ITEMS;
    worker->counts.wrong += worker->contender->count(worker->client, &query) != size;
}

static void
put_new_step(struct bench_worker *worker, size_t count)
{
    struct requests *requests = &worker->requests;

    for (size_t i = 0; i < count; i++) {
        const lk_item *item = &requests->items[requests->at++ & requests->mask];
        worker->counts.failed += !worker->contender->put_new(worker->client, item);
    }
}

#define INSERTS_PER_S 2e6

/* As many as lie ready. */
static uint64_t
insert_fixed(struct bench_worker *worker)
{
    uint64_t each = (uint64_t)(INSERTS_PER_S * bench_options.duration_s) / worker->run->threads;
    uint64_t most = worker->requests.mask + 1;

    return each > most ? most : each != 0 ? each : 1;
}

/* At a fixed rate for a long time the same keys come again. */
static void
insert_finish(struct bench_worker *worker)
{
    const struct requests *requests = &worker->requests;
    size_t count = requests->at < requests->mask + 1 ? requests->at : requests->mask + 1;

    for (size_t i = 0; i < count; i++) {
        const lk_item *item = &requests->items[i];
        lk_bytes value;
        if (!worker->contender->get(worker->client, &item->key, &value) ||
            value.size != item->data.size || memcmp(value.data, item->data.data, value.size) != 0)
            worker->counts.wrong++;
        if (!worker->contender->remove(worker->client, &item->key))
            worker->counts.failed++;
    }
}

/* ---- delete, churn --------------------------------------------------------------------------- */

/* The item near `index` that is this thread's own: nobody else removes it. */
static void
delete_one(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    lk_bytes value;

    index += worker->number - index % BENCH_THREADS_MAX;
    if (index >= bench_options.keys)
        index -= BENCH_THREADS_MAX;
    lk_key key = data_key(index, &text);
    if (!worker->contender->remove(worker->client, &key))
        worker->counts.failed++;
    if (step_draw(worker, 0, LOOK_EVERY) == 0 &&
        worker->contender->get(worker->client, &key, &value))
        worker->counts.wrong++;
    step_set(worker, index);
    if (step_draw(worker, 1, LOOK_EVERY) == 0)
        step_get(worker, index);
}

static void
churn_one(struct bench_worker *worker, uint32_t index)
{
    uint64_t id = worker->sequence, old = id - CHURN_WINDOW;
    struct data_text text;

    step_insert(worker, index);
    if (id < worker->first_sequence + CHURN_WINDOW)
        return;
    lk_key key = data_new_key(old, &text);
    if (!worker->contender->remove(worker->client, &key))
        worker->counts.failed++;
    if (step_draw(worker, 0, LOOK_EVERY) == 0 &&
        (step_new_found(worker, old) ||
         !step_new_found(worker, id - step_draw(worker, 1, CHURN_WINDOW))))
        worker->counts.wrong++;
}

/* What was removed last is gone; what is left is there, and goes. */
static void
churn_finish(struct bench_worker *worker)
{
    uint64_t inserted = worker->sequence - worker->first_sequence;
    uint64_t removed = inserted > CHURN_WINDOW ? inserted - CHURN_WINDOW : 0;
    uint64_t first_left = worker->first_sequence + removed;

    for (uint64_t i = 1; i <= removed && i <= LAST_LOOKS; i++)
        worker->counts.wrong += step_new_found(worker, first_left - i);
    step_new_remove(worker, first_left);
}

/* ---- ycsb ------------------------------------------------------------------------------------ */

/* Reads, adds one, commits. */
static void
increment_one(struct bench_worker *worker, uint32_t index)
{
    static const uint64_t one = 1;

    step_commit(worker, NULL, &index, &one, 1);
}

static void
scan_some(struct bench_worker *worker, uint32_t index)
{
    step_scan(worker, index, 1 + step_draw(worker, 1, STEP_SCAN_MOST), true);
}

/* D: each thread publishes how many keys it has inserted; a reader takes the newest of all threads
 * as one list, from the newest on, and draws a place in it by about zipf 1. Behind the oldest come
 * loaded items. What is published must be found, until its thread takes it out again. */
struct latest {
    _Alignas(BENCH_LINE) _Atomic uint64_t count; /* inserted so far; the owner writes it */
    uint64_t first;                              /* id; written while `count` is 0 */
    _Atomic bool leaving;                        /* keys are being taken out */
};

static struct latest latests[BENCH_THREADS_MAX];

static void
latest_insert(struct bench_worker *worker, uint32_t index)
{
    struct latest *own = &latests[worker->number];

    if (worker->sequence == worker->first_sequence) {
        own->first = worker->first_sequence;
        atomic_store(&own->leaving, false);
    }
    step_insert(worker, index);
    /* Release: with the count, a reader sees `first`; and the item, for the store's own sake. */
    atomic_store_explicit(&own->count, worker->sequence - worker->first_sequence,
                          memory_order_release);
}

static void
latest_read(struct bench_worker *worker, uint32_t loaded)
{
    /* Zipf of about 1: each octave of ranks alike. */
    unsigned octaves = 64 - (unsigned)__builtin_clzll(bench_options.keys);
    unsigned octave = step_draw(worker, 1, octaves), threads = worker->run->threads;
    uint64_t rank = (UINT64_C(1) << octave) - 1 + step_draw(worker, 2, 1U << octave);
    struct latest *of = &latests[rank % threads];
    uint64_t count = atomic_load_explicit(&of->count, memory_order_acquire);

    rank /= threads;
    if (rank >= count)
        step_get(worker, loaded);
    else if (!step_new_found(worker, of->first + count - 1 - rank) && !atomic_load(&of->leaving))
        worker->counts.wrong++;
}

static void
latest_finish(struct bench_worker *worker)
{
    struct latest *own = &latests[worker->number];

    atomic_store(&own->leaving, true);
    atomic_store(&own->count, 0);
    step_new_remove_all(worker);
}

/* ---- the tables ------------------------------------------------------------------------------ */

#define MIX_UNIFORM .threads = "1,2", .distribution = "uniform", .source = &data_source
#define MIX_YCSB                                                                              \
    .unit = "M ops/s", .threads = "1,2", .distribution = "zipf:0.99", .source = &data_source, \
    .on_request = true
#define MIX_MAPS "latchkey,mutex,striped,ck_hs"

static const struct bench_workload workloads[] = {
    {
        .name = "scan",
        .what = "scan of 100 items from a random sk, partitions of 1,000",
        .order = 30,
        .unit = "M scans/s",
        MIX_UNIFORM,
        .contenders = "latchkey,std::map,lmdb",
        .batch = 4,
        .targets = {{"lmdb", 0, 1.2, false, NULL}},
        .needs = NEEDS_SCAN,
        .can = step_can_scan,
        .reads_only = true,
        .mix = {{100, scan_100}},
    },
    {
        .name = "insert",
        .what = "new keys at random places of ordered partitions of 1,000",
        .order = 31,
        .unit = "M keys/s",
        MIX_UNIFORM,
        .requests = REQUESTS_NEW,
        .contenders = "latchkey,std::map",
        .fill = INSERTS_PER_S,
        .targets = {{"std::map", 2, 1.2, false, NULL}},
        .needs = NEEDS_SCAN | NEEDS_GET | NEEDS_SET | NEEDS_REMOVE,
        .loop = LOOP_SET,
        .fixed = insert_fixed,
        .finish = insert_finish,
    },
    {
        .name = "count",
        .what = "the number of items of a partition of 1,000 (latchkey-query: by a query)",
        .order = 34,
        .unit = "M counts/s",
        MIX_UNIFORM,
        .contenders = "latchkey,latchkey-query,std::map",
        .batch = 4,
        .on_request = true,
        .targets = {{"latchkey-query", 0, 1.5, true, NULL}},
        .needs = NEEDS_COUNT,
        .reads_only = true,
        .mix = {{100, count_one}},
    },
    {
        .name = "put-new",
        .what = "new keys, each set if it is not there",
        .order = 35,
        .unit = "M keys/s",
        MIX_UNIFORM,
        .requests = REQUESTS_NEW,
        .contenders = "latchkey,latchkey-rmw,striped",
        .fill = INSERTS_PER_S,
        .on_request = true,
        .needs = NEEDS_PUT_NEW | NEEDS_GET | NEEDS_SET | NEEDS_REMOVE,
        .step = put_new_step,
        .fixed = insert_fixed,
        .finish = insert_finish,
    },
    {
        .name = "delete",
        .what = "an item is deleted and put back, counted as one",
        .order = 32,
        .unit = "M pairs/s",
        MIX_UNIFORM,
        .contenders = MIX_MAPS ",std::map",
        .on_request = true,
        .needs = NEEDS_GET | NEEDS_SET | NEEDS_REMOVE,
        .mix = {{100, delete_one}},
    },
    {
        .name = "churn",
        .what = "a new key is set, one of 1,024 keys ago deleted, counted as one",
        .order = 33,
        .unit = "M pairs/s",
        MIX_UNIFORM,
        .contenders = MIX_MAPS ",std::map",
        .least_s = 0.4, /* tables are cleaned up now and then */
        .on_request = true,
        .needs = NEEDS_GET | NEEDS_SET | NEEDS_REMOVE,
        .mix = {{100, churn_one}},
        .finish = churn_finish,
    },
    {
        .name = "cache-hit",
        .what = "get of 100,000 items that the cache holds",
        .order = 80,
        .unit = "M ops/s",
        .threads = "1,2,4",
        .distribution = "uniform",
        .source = &data_few_source,
        .contenders = "cache,latchkey,lru-mutex",
        .subject = "cache",
        .targets = {{"latchkey", 0, 0.7, false, NULL}, {"lru-mutex", 4, 3.0, false, NULL}},
        .on_request = true,
        .needs = NEEDS_GET | NEEDS_SET,
        .reads_only = true,
        .mix = {{100, step_get}},
    },
    {
        .name = "ycsb-a",
        .what = "50 % read, 50 % update",
        .order = 50,
        .contenders = MIX_MAPS,
        MIX_YCSB,
        .needs = NEEDS_GET | NEEDS_SET,
        .mix = {{50, step_get}, {50, step_set}},
    },
    {
        .name = "ycsb-b",
        .what = "95 % read, 5 % update",
        .order = 51,
        .contenders = MIX_MAPS,
        MIX_YCSB,
        .needs = NEEDS_GET | NEEDS_SET,
        .mix = {{95, step_get}, {5, step_set}},
    },
    {
        .name = "ycsb-c",
        .what = "read only",
        .order = 52,
        .contenders = MIX_MAPS,
        MIX_YCSB,
        .reads_only = true,
        .needs = NEEDS_GET,
        .mix = {{100, step_get}},
    },
    {
        .name = "ycsb-d",
        .what = "95 % read of what was inserted last, 5 % insert; behind the inserted ones, loaded "
                "items",
        .order = 53,
        .contenders = MIX_MAPS,
        MIX_YCSB,
        .needs = NEEDS_GET | NEEDS_SET | NEEDS_REMOVE,
        .mix = {{95, latest_read}, {5, latest_insert}},
        .finish = latest_finish,
    },
    {
        .name = "ycsb-e",
        .what = "95 % scan of 1 to 100 items, 5 % insert",
        .order = 54,
        .contenders = "latchkey,std::map",
        .batch = 4,
        MIX_YCSB,
        .needs = NEEDS_SCAN | NEEDS_GET | NEEDS_SET | NEEDS_REMOVE,
        .can = step_can_scan,
        .mix = {{95, scan_some}, {5, step_insert}},
        .finish = step_new_remove_all,
    },
    {
        .name = "ycsb-f",
        .what = "50 % read, 50 % read-modify-write by a commit",
        .order = 55,
        .contenders = "latchkey,mutex,striped,versions",
        MIX_YCSB,
        .transacts = true,
        .increment = 1,
        .needs = NEEDS_GET | NEEDS_COMMIT,
        .mix = {{50, step_get}, {50, increment_one}},
    },
};
BENCH_WORKLOADS(workloads)
