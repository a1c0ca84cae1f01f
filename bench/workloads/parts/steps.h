/* SPDX-License-Identifier: MIT
 *
 * What workloads on the synthetic items are made of: one get, one set, one commit, one scan, and
 * new keys, each with its checks. The index of an item comes from worker_next.
 */
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include "driver/data.h"

#define STEP_VALUE_MAX (64 * 1024)
#define STEP_SCAN_MOST 100

/* What can be asked of a contender. */
bool step_can_get(const struct bench_contender *contender);
bool step_can_set(const struct bench_contender *contender);    /* and get */
bool step_can_commit(const struct bench_contender *contender); /* and get */
bool step_can_remove(const struct bench_contender *contender); /* and get and set */

/* The thread's value to be written; the filler stays as it is. */
extern _Thread_local char step_value[STEP_VALUE_MAX];

/* The value that is found must prove itself. */
static inline void
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

/* Writes the worker's next number. */
static inline void
step_set(struct bench_worker *worker, uint32_t index)
{
    struct data_text text;
    lk_item put = {data_key(index, &text), {NULL, 0}, 0};

    put.data = data_value(step_value, text.sk, worker->sequence++);
    if (!worker->contender->set(worker->client, &put))
        worker->counts.failed++;
}

/* BENCH_GROUP keys in one call, or one by one where the contender has no such call. */
void step_get_many(struct bench_worker *worker);

/* Adds `numbers` to those of different items, at most BENCH_GROUP of them, again and again until it
 * succeeds. */
void step_commit(struct bench_worker *worker, const uint32_t *indexes, const uint64_t *numbers,
                 size_t count);
/* The same of items whose keys lie ready. */
void step_commit_keys(struct bench_worker *worker, const lk_key *keys, const uint32_t *indexes,
                      const uint64_t *numbers, size_t count);

/* At most `limit` items (at most STEP_SCAN_MOST) behind an item of its partition. They must be
 * ascending, prove themselves, and all that were loaded must be among them. data_order_open comes
 * first. */
void step_scan(struct bench_worker *worker, uint32_t index, size_t limit);

/* A key that is not loaded, in the partition that its id's mix names. Ids are numbers out of the
 * worker's sequence, which no other worker or run has. */
lk_key step_new_key(uint64_t id, struct data_text *text);
void step_new_set(struct bench_worker *worker, uint64_t id);
/* Whether the key is there; another value than its own is wrong. */
bool step_new_found(struct bench_worker *worker, uint64_t id);
/* Those from `first` on, up to the worker's sequence, must be there, and are removed. */
void step_new_remove_all(struct bench_worker *worker, uint64_t first);

/* A number below `below`, the same for every contender. `which` tells draws at one place of the
 * stream from each other. */
static inline unsigned
step_draw(const struct bench_worker *worker, uint64_t which, unsigned below)
{
    uint64_t mixed = random_mix(worker->stream_at + (which << 32)) >> 32;

    return (unsigned)(mixed * below >> 32);
}

#endif
