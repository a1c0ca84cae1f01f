/* SPDX-License-Identifier: MIT
 *
 * The store beside the reference model: streams of all calls of items, locks and commits over few
 * keys that are prefixes of each other, with a clock that steps over expiries, renewals and lapses,
 * and sweeps in between. After each step both have said the same: statuses, items, conflicts,
 * expiries; and their versions have the same structure: equal where the model's are equal, greater
 * where they are later, none twice. What is called is drawn from a kit_random: a seed's numbers, or
 * a fuzzer's bytes.
 */
#ifndef LATCHKEY_TESTS_ITEMS_RIG_H
#define LATCHKEY_TESTS_ITEMS_RIG_H

#include "support/kit.h"
#include "support/model.h"

enum {
    ITEMS_PKS = 3,
    ITEMS_SKS = 40,
    ITEMS_KEYS = ITEMS_PKS * ITEMS_SKS,
    ITEMS_POOL = 48,
    ITEMS_DATA_MAX = 320,
    ITEMS_BATCH = 6,
    ITEMS_REFRESH_MS = 300
};

/* A lock that somebody read some time ago, as both sides gave it. */
typedef struct items_held {
    size_t key;
    lk_lock real, ideal;
} items_held;

typedef struct items_rig {
    kit k;
    model *m;
    kit_random random;
    uint64_t step;
    lk_memory_options options;
    unsigned char sk[ITEMS_SKS][12];
    lk_key keys[ITEMS_KEYS];
    size_t key_count;
    bool hashes_are_equal; /* of several pks, which count as one then (store/list.c): no lists */
    items_held pool[ITEMS_POOL];
    size_t pooled;
    uint64_t *version; /* the store's for each of the model's; 0: not seen */
    size_t version_room, version_count;
    uint64_t last[ITEMS_KEYS]; /* the greatest version that the store gave for a key */
    unsigned char data[ITEMS_BATCH][ITEMS_DATA_MAX], expected[ITEMS_BATCH][ITEMS_DATA_MAX];
    lk_item found[ITEMS_KEYS];
} items_rig;

/* Over so many shards; the limits that the keys need. */
lk_memory_options items_rig_options(size_t shards, int64_t refresh_ms);
void items_rig_open(items_rig *r, kit_random random, const lk_memory_options *options);
/* Other keys than its own, at most ITEMS_KEYS, which are read until the end. Before the first
 * step. */
void items_rig_keys(items_rig *r, const lk_key *keys, size_t count);
/* Sets an item of each key. */
void items_rig_fill(items_rig *r);
/* So many steps, or as far as the bytes go. */
void items_rig_run(items_rig *r, uint64_t steps);
void items_rig_close(items_rig *r);

#endif
