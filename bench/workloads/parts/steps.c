/* SPDX-License-Identifier: MIT
 *
 * Single operations on the synthetic items, with their checks.
 */
#include "workloads/parts/steps.h"

_Thread_local char step_value[STEP_VALUE_MAX];

bool
step_can_get(const struct bench_contender *contender)
{
    return contender->get != NULL;
}

bool
step_can_set(const struct bench_contender *contender)
{
    return contender->get != NULL && contender->set != NULL;
}

bool
step_can_commit(const struct bench_contender *contender)
{
    return contender->read != NULL && contender->commit != NULL && contender->get != NULL;
}

bool
step_can_remove(const struct bench_contender *contender)
{
    return step_can_set(contender) && contender->remove != NULL;
}

void
step_get_many(struct bench_worker *worker)
{
    struct data_text texts[BENCH_GROUP];
    lk_key keys[BENCH_GROUP];
    lk_bytes values[BENCH_GROUP];
    uint64_t number;

    if (worker->contender->get_many == NULL) {
        for (size_t i = 0; i < BENCH_GROUP; i++)
            step_get(worker, worker_next(worker));
        return;
    }
    for (size_t i = 0; i < BENCH_GROUP; i++)
        keys[i] = data_key(worker_next(worker), &texts[i]);
    if (!worker->contender->get_many(worker->client, keys, BENCH_GROUP, values)) {
        worker->counts.failed++;
        return;
    }
    for (size_t i = 0; i < BENCH_GROUP; i++)
        if (!data_proves(values[i], texts[i].sk, &number))
            worker->counts.wrong++;
}

/* ---- commits ---- */

static enum bench_commit
commit_try(struct bench_worker *worker, const lk_key *keys, const uint64_t *numbers, size_t count)
{
    static _Thread_local char buffers[BENCH_GROUP * STEP_VALUE_MAX];
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
step_commit_keys(struct bench_worker *worker, const lk_key *keys, const uint32_t *indexes,
                 const uint64_t *numbers, size_t count)
{
    for (unsigned attempt = 0;; attempt++) {
        enum bench_commit outcome = commit_try(worker, keys, numbers, count);
        if (!worker_raced(worker, outcome, attempt, indexes, count))
            return;
    }
}

void
step_commit(struct bench_worker *worker, const uint32_t *indexes, const uint64_t *numbers,
            size_t count)
{
    struct data_text texts[BENCH_GROUP];
    lk_key keys[BENCH_GROUP];

    for (size_t i = 0; i < count; i++)
        keys[i] = data_key(indexes[i], &texts[i]);
    step_commit_keys(worker, keys, indexes, numbers, count);
}

/* ---- scans ---- */

struct scan_state {
    char last[DATA_KEY_SIZE];
    const uint32_t *loaded, *loaded_end; /* indexes of the items that must come next, in order */
    uint64_t wrong;
};

static void
scan_visit(void *context, lk_bytes sk, lk_bytes value)
{
    struct scan_state *state = context;
    struct data_text text;
    uint64_t number;

    if (sk.size != DATA_KEY_SIZE || memcmp(sk.data, state->last, DATA_KEY_SIZE) <= 0 ||
        !data_proves(value, sk.data, &number)) {
        state->wrong++;
        return;
    }
    memcpy(state->last, sk.data, DATA_KEY_SIZE);
    if (state->loaded == state->loaded_end)
        return;
    (void)data_key(*state->loaded, &text);
    int order = memcmp(sk.data, text.sk, DATA_KEY_SIZE);
    if (order > 0)
        state->wrong++;
    if (order >= 0)
        state->loaded++;
}

void
step_scan(struct bench_worker *worker, uint32_t index, size_t limit)
{
    size_t first = index - index % DATA_PARTITION_ITEMS, size = bench_options.keys - first;
    size_t rank = index - first;
    struct data_text text;

    if (size > DATA_PARTITION_ITEMS)
        size = DATA_PARTITION_ITEMS;
    size_t loaded = size - rank - 1;
    struct scan_state state = {.loaded = data_order + first + rank + 1,
                               .loaded_end = data_order + first + size};
    lk_key key = data_key(data_order[first + rank], &text);
    lk_query query = {.pk = key.pk, .after = key.sk, .limit = limit};
    memcpy(state.last, text.sk, DATA_KEY_SIZE);
    size_t got = worker->contender->scan(worker->client, &query, scan_visit, &state);
    if (got > limit || got < (loaded < limit ? loaded : limit))
        worker->counts.failed++;
    worker->counts.wrong += state.wrong;
}

/* ---- new keys ---- */

lk_key
step_new_key(uint64_t id, struct data_text *text)
{
    size_t partitions = data_partition(bench_options.keys - 1) + 1;

    return data_key_in((size_t)((random_mix(~id) >> 32) * partitions >> 32), id, text);
}

void
step_new_set(struct bench_worker *worker, uint64_t id)
{
    struct data_text text;
    lk_item put = {step_new_key(id, &text), {NULL, 0}, 0};

    put.data = data_value(step_value, text.sk, id);
    if (!worker->contender->set(worker->client, &put))
        worker->counts.failed++;
}

bool
step_new_found(struct bench_worker *worker, uint64_t id)
{
    struct data_text text;
    lk_key key = step_new_key(id, &text);
    lk_bytes value;
    uint64_t number;

    if (!worker->contender->get(worker->client, &key, &value))
        return false;
    if (!data_proves(value, text.sk, &number) || number != id)
        worker->counts.wrong++;
    return true;
}

void
step_new_remove_all(struct bench_worker *worker, uint64_t first)
{
    for (uint64_t id = first; id < worker->sequence; id++) {
        struct data_text text;
        lk_key key = step_new_key(id, &text);
        if (!step_new_found(worker, id))
            worker->counts.wrong++;
        if (!worker->contender->remove(worker->client, &key))
            worker->counts.failed++;
    }
}
