/* SPDX-License-Identifier: MIT
 *
 * Ordered reads, and what keeps order costly: scans of 100 items from a random place of a
 * partition, and new keys at random places. A scan must give exactly 100 items, ascending, each
 * proving itself. New keys are looked up and taken out again after each run, so that every run
 * finds the same store.
 */
#include "driver/data.h"
#include "driver/loops.h"

#define SCAN_ITEMS 100

static bool
can_scan(const struct bench_contender *contender)
{
    return contender->scan != NULL && data_order_open();
}

static bool
can_insert(const struct bench_contender *contender)
{
    return contender->scan != NULL && contender->set != NULL && contender->get != NULL &&
           contender->remove != NULL;
}

/* An sk as a number, in the order of its bytes. */
struct scan_rank {
    uint64_t high, low;
};

static inline struct scan_rank
scan_rank_of(const char *sk)
{
    struct scan_rank rank;

    memcpy(&rank, sk, sizeof rank);
    rank.high = __builtin_bswap64(rank.high);
    rank.low = __builtin_bswap64(rank.low);
    return rank;
}

struct scan_state {
    struct scan_rank last;
    uint64_t wrong;
};

/* In a few instructions: a hundred of these are between two scans under test. */
static void
scan_visit(void *context, lk_bytes sk, lk_bytes value)
{
    struct scan_state *state = context;
    struct scan_rank last = state->last;
    uint64_t number;

    if (sk.size != DATA_KEY_SIZE || !data_proves(value, sk.data, &number)) {
        state->wrong++;
        return;
    }
    state->last = scan_rank_of(sk.data);
    state->wrong += state->last.high < last.high ||
                    (state->last.high == last.high && state->last.low <= last.low);
}

static void
scan_step(struct bench_worker *worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t place = worker_next(worker);
        size_t first = place - place % DATA_PARTITION_ITEMS;
        size_t size = bench_options.keys - first;
        if (size > DATA_PARTITION_ITEMS)
            size = DATA_PARTITION_ITEMS;
        size_t rank = place - first, expected = size - rank - 1;
        if (rank + SCAN_ITEMS >= size && size > SCAN_ITEMS)
            rank = (rank + SCAN_ITEMS) % (size - SCAN_ITEMS);
        expected = size - rank - 1;

        struct data_text text;
        struct scan_state state = {.wrong = 0};
        lk_key key = data_key(data_order[first + rank], &text);
        lk_query query = {.pk = key.pk, .after = key.sk, .limit = SCAN_ITEMS};
        state.last = scan_rank_of(text.sk);
        size_t got = worker->contender->scan(worker->client, &query, scan_visit, &state);
        if (got != (expected < SCAN_ITEMS ? expected : SCAN_ITEMS))
            worker->counts.failed++;
        worker->counts.wrong += state.wrong;
    }
}

static void
insert_step(struct bench_worker *worker, size_t count)
{
    loops_of(worker->contender)->set(worker, count);
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

static const struct bench_workload workload_scan = {
    .name = "scan",
    .what = "scan of 100 items from a random sk, partitions of 1,000",
    .order = 30,
    .unit = "M scans/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .contenders = "latchkey,std::map,lmdb",
    .batch = 4,
    .targets = {{"lmdb", 0, 1.2, false, NULL}},
    .can = can_scan,
    .reads_only = true,
    .step = scan_step,
};
BENCH_WORKLOAD(workload_scan)

static const struct bench_workload workload_insert = {
    .name = "insert",
    .what = "new keys at random places of ordered partitions of 1,000",
    .order = 31,
    .unit = "M keys/s",
    .threads = "1,2",
    .distribution = "uniform",
    .source = &data_source,
    .requests = REQUESTS_NEW,
    .contenders = "latchkey,std::map",
    .fill = 2e6,
    .targets = {{"std::map", 2, 1.2, false, NULL}},
    .can = can_insert,
    .step = insert_step,
    .finish = insert_finish,
};
BENCH_WORKLOAD(workload_insert)
