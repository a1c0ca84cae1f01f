/* SPDX-License-Identifier: MIT
 *
 * Single operations on the synthetic items, with their checks.
 */
#include "workloads/parts/steps.h"

bool
step_can_scan(const struct bench_contender *contender)
{
    (void)contender;
    return data_order_open();
}

/* ---- one key --------------------------------------------------------------------------------- */

/* Sets an item whose value has the number. */
static void
key_set(struct bench_worker *worker, lk_key key, const char *sk, uint64_t number)
{
    static _Thread_local char value[DATA_VALUE_MAX];
    lk_item put = {key, data_value(value, sk, number), 0};

    if (!worker->contender->set(worker->client, &put))
        worker->counts.failed++;
}

void
step_get(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    lk_key key = data_key(index, &text);
    lk_bytes value;
    uint64_t number;

    if (!worker->contender->get(worker->client, &key, &value))
        worker->counts.failed++;
    else if (!data_proves(value, text.sk, &number))
        worker->counts.wrong++;
}

void
step_set(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    lk_key key = data_key(index, &text);

    key_set(worker, key, text.sk, worker->sequence++);
}

void
step_get_many(struct bench_worker *worker, uint32_t index)
{
    struct data_text texts[BENCH_GROUP];
    lk_key keys[BENCH_GROUP];
    lk_bytes values[BENCH_GROUP];
    uint64_t number;

    if (worker->contender->get_many == NULL) {
        step_get(worker, index);
        for (size_t i = 1; i < BENCH_GROUP; i++)
            step_get(worker, worker_next(worker));
        return;
    }
    for (size_t i = 0; i < BENCH_GROUP; i++)
        keys[i] = data_key(i == 0 ? index : worker_next(worker), &texts[i]);
    if (!worker->contender->get_many(worker->client, keys, BENCH_GROUP, values)) {
        worker->counts.failed++;
        return;
    }
    for (size_t i = 0; i < BENCH_GROUP; i++)
        if (!data_proves(values[i], texts[i].sk, &number))
            worker->counts.wrong++;
}

/* ---- commits --------------------------------------------------------------------------------- */

static enum bench_commit
commit_try(struct bench_worker *worker, const lk_key *keys, const uint64_t *numbers, size_t count)
{
    static _Thread_local char buffers[BENCH_GROUP * DATA_VALUE_MAX];
    lk_bytes values[BENCH_GROUP];
    uint64_t number = 0;

    if (!worker->contender->read(worker->client, keys, count, values))
        return BENCH_FAILED;
    for (size_t i = 0; i < count; i++) {
        const char *sk = keys[i].sk.data;
        if (!data_proves(values[i], sk, &number))
            worker->counts.wrong++;
        values[i] = data_value(buffers + i * bench_options.value_size, sk, number + numbers[i]);
    }
    return worker->contender->commit(worker->client, keys, count, values);
}

void
step_commit(struct bench_worker *worker, const lk_key *keys, const uint32_t *indexes,
            const uint64_t *numbers, size_t count)
{
    struct data_text texts[BENCH_GROUP];
    lk_key made[BENCH_GROUP];

    for (size_t i = 0; keys == NULL && i < count; i++)
        made[i] = data_key(indexes[i], &texts[i]);
    for (unsigned attempt = 0;; attempt++) {
        enum bench_commit outcome = commit_try(worker, keys != NULL ? keys : made, numbers, count);
        if (!worker_raced(worker, outcome, attempt, indexes, count))
            return;
    }
}

/* ---- scans ----------------------------------------------------------------------------------- */

/* An sk as a number, in the order of its bytes. */
struct rank {
    uint64_t high, low;
};

static inline struct rank
rank_of(const char *sk)
{
    struct rank rank;

    memcpy(&rank, sk, sizeof rank);
    return (struct rank){__builtin_bswap64(rank.high), __builtin_bswap64(rank.low)};
}

static inline int
rank_compare(struct rank a, struct rank b)
{
    return a.high != b.high ? (a.high < b.high ? -1 : 1) : a.low < b.low ? -1 : a.low > b.low;
}

struct scan_state {
    struct rank last;
    const uint32_t *loaded, *loaded_end; /* indexes of the items that must come next, in order */
    uint64_t wrong;
};

/* In a few instructions: a hundred of these are between two scans under test. */
static void
scan_visit(void *context, lk_bytes sk, lk_bytes value)
{
    struct scan_state *state = context;
    struct rank last = state->last;
    struct data_text text;
    uint64_t number;

    if (sk.size != BENCH_KEY_SIZE || !data_proves(value, sk.data, &number)) {
        state->wrong++;
        return;
    }
    state->last = rank_of(sk.data);
    state->wrong += rank_compare(state->last, last) <= 0;
    if (state->loaded == state->loaded_end)
        return;
    (void)data_key(*state->loaded, &text);
    int order = rank_compare(state->last, rank_of(text.sk));
    state->wrong += order > 0;
    state->loaded += order >= 0;
}

void
step_scan(struct bench_worker *worker, uint32_t index, size_t limit, bool inserts)
{
    size_t first = index - index % DATA_PARTITION_ITEMS, size = bench_options.keys - first;
    size_t rank = index - first;
    struct data_text text;

    if (size > DATA_PARTITION_ITEMS)
        size = DATA_PARTITION_ITEMS;
    if (rank + limit >= size && size > limit)
        rank = (rank + limit) % (size - limit);
    size_t behind = size - rank - 1, expected = behind < limit ? behind : limit;
    const uint32_t *end = data_order + first + size;
    struct scan_state state = {.loaded = inserts ? data_order + first + rank + 1 : end,
                               .loaded_end = end};
    lk_key key = data_key(data_order[first + rank], &text);
    lk_query query = {.pk = key.pk, .after = key.sk, .limit = limit};
    state.last = rank_of(text.sk);
    size_t got = worker->contender->scan(worker->client, &query, scan_visit, &state);
    if (got < expected || got > (inserts ? limit : expected))
        worker->counts.failed++;
    worker->counts.wrong += state.wrong;
}

/* ---- new keys -------------------------------------------------------------------------------- */

void
step_insert(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    uint64_t id = worker->sequence++;
    lk_key key = data_new_key(id, &text);

    (void)index;
    key_set(worker, key, text.sk, id);
}

bool
step_new_found(struct bench_worker *worker, uint64_t id)
{
    struct data_text text;
    lk_key key = data_new_key(id, &text);
    lk_bytes value;
    uint64_t number;

    if (!worker->contender->get(worker->client, &key, &value))
        return false;
    if (!data_proves(value, text.sk, &number) || number != id)
        worker->counts.wrong++;
    return true;
}

void
step_new_remove(struct bench_worker *worker, uint64_t first)
{
    for (uint64_t id = first; id < worker->sequence; id++) {
        struct data_text text;
        lk_key key = data_new_key(id, &text);
        worker->counts.wrong += !step_new_found(worker, id);
        worker->counts.failed += !worker->contender->remove(worker->client, &key);
    }
}

void
step_new_remove_all(struct bench_worker *worker)
{
    step_new_remove(worker, worker->first_sequence);
}
