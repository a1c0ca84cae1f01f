/* SPDX-License-Identifier: MIT
 *
 * What workloads on the synthetic items are made of: one get, one set, one commit, one scan, and
 * new keys, each with its checks. A mix names these; `index` is that of an item.
 */
#ifndef BENCH_STEPS_H
#define BENCH_STEPS_H

#include "driver/data.h"

#define STEP_SCAN_MOST 100

/* For the `can` of a workload with step_scan: makes the order of the items ready. */
bool step_can_scan(const struct bench_contender *contender);

/* The value that is found must prove itself. */
void step_get(struct bench_worker *worker, uint32_t index);

/* Writes the worker's next number. */
void step_set(struct bench_worker *worker, uint32_t index);

/* The item and the next ones of the stream, BENCH_GROUP in one call; one by one where the contender
 * has no such call. */
void step_get_many(struct bench_worker *worker, uint32_t index);

/* Adds `numbers` to those of different items, at most BENCH_GROUP of them, again and again until it
 * succeeds. The keys are those of the indexes, or lie ready. */
void step_commit(struct bench_worker *worker, const lk_key *keys, const uint32_t *indexes,
                 const uint64_t *numbers, size_t count);

/* At most `limit` items (at most STEP_SCAN_MOST) behind an item of its partition, or behind another
 * one where it is among the last. They must be ascending, prove themselves, and be all that there
 * are; with `inserts` all that were loaded must be among them. step_can_scan comes first. */
void step_scan(struct bench_worker *worker, uint32_t index, size_t limit, bool inserts);

/* A new key out of the worker's sequence (data_new_key). */
void step_insert(struct bench_worker *worker, uint32_t index);
/* Whether the key of an id is there; another value than its own is wrong. */
bool step_new_found(struct bench_worker *worker, uint64_t id);
/* Takes out the keys from an id on, up to the worker's sequence; they must be there. */
void step_new_remove(struct bench_worker *worker, uint64_t first);
/* For `finish`: all that the worker inserted. */
void step_new_remove_all(struct bench_worker *worker);

/* A number below `below`, the same for every contender. `which` tells draws at one place of the
 * stream from each other. */
static inline unsigned
step_draw(const struct bench_worker *worker, uint64_t which, unsigned below)
{
    uint64_t mixed = random_mix(worker->stream_at + (which << 32)) >> 32;

    return (unsigned)(mixed * below >> 32);
}

#endif
