/* SPDX-License-Identifier: MIT
 *
 * The hash map that the hand-written contenders guard with their mutexes: open addressing, linear
 * probing, stored hashes, key and value in one block. Without any thread safety of its own.
 */
#ifndef BENCH_STRING_MAP_H
#define BENCH_STRING_MAP_H

#include "contenders/parts/item.h"

struct map_entry {
    uint64_t version;  /* bumped by every write */
    uint64_t capacity; /* of the value; a counter lies aligned behind it and a synthetic key */
    struct item item;
};

struct map_slot {
    uint64_t hash;
    struct map_entry *entry; /* NULL: free */
};

struct string_map {
    struct map_slot *slots;
    size_t mask;
    size_t count;
};

/* The slot of a key: its own, or the free one where it would be. */
static inline struct map_slot *
map_slot(const struct string_map *map, uint64_t hash, const lk_key *key)
{
    size_t i = hash & map->mask;

    while (map->slots[i].entry != NULL &&
           (map->slots[i].hash != hash || !item_is(&map->slots[i].entry->item, key)))
        i = (i + 1) & map->mask;
    return &map->slots[i];
}

static inline struct map_entry *
map_find(const struct string_map *map, uint64_t hash, const lk_key *key)
{
    return map_slot(map, hash, key)->entry;
}

bool map_init(struct string_map *map);
void map_free(struct string_map *map);
bool map_set(struct string_map *map, uint64_t hash, const lk_key *key, lk_bytes value);
bool map_remove(struct string_map *map, uint64_t hash, const lk_key *key);

#endif
