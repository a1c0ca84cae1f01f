/* SPDX-License-Identifier: MIT
 *
 * The hash map that the hand-written contenders guard with their mutexes: open addressing, linear
 * probing, stored hashes, key and value in one block. Without any thread safety of its own.
 */
#ifndef BENCH_STRING_MAP_H
#define BENCH_STRING_MAP_H

#include "driver/bench.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* One item: the bytes of pk and sk, then `capacity` bytes of value. */
struct map_entry {
    uint64_t version; /* bumped by every write */
    uint16_t pk_size, sk_size;
    uint32_t value_size;
    uint32_t capacity;
    char bytes[];
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

static inline uint64_t
map_hash(const lk_key *key)
{
    return XXH3_64bits_withSeed(key->sk.data, key->sk.size,
                                XXH3_64bits(key->pk.data, key->pk.size));
}

static inline lk_bytes
map_entry_value(const struct map_entry *entry)
{
    lk_bytes value = {entry->bytes + entry->pk_size + entry->sk_size, entry->value_size};
    return value;
}

static inline bool
map_entry_is(const struct map_entry *entry, const lk_key *key)
{
    return entry->pk_size == key->pk.size && entry->sk_size == key->sk.size &&
           memcmp(entry->bytes, key->pk.data, key->pk.size) == 0 &&
           memcmp(entry->bytes + key->pk.size, key->sk.data, key->sk.size) == 0;
}

static inline struct map_entry *
map_find(const struct string_map *map, uint64_t hash, const lk_key *key)
{
    for (size_t i = hash & map->mask; map->slots[i].entry != NULL; i = (i + 1) & map->mask)
        if (map->slots[i].hash == hash && map_entry_is(map->slots[i].entry, key))
            return map->slots[i].entry;
    return NULL;
}

bool map_init(struct string_map *map);
void map_free(struct string_map *map);
bool map_set(struct string_map *map, uint64_t hash, const lk_key *key, lk_bytes value);
bool map_remove(struct string_map *map, uint64_t hash, const lk_key *key);

#endif
