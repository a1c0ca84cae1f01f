/* SPDX-License-Identifier: MIT
 *
 * The hash map of the hand-written contenders: growth at three quarters, removal by shifting back,
 * no tombstones.
 */
#include "contenders/parts/string_map.h"

#include <stdlib.h>

#define MAP_INITIAL_SLOTS 64

bool
map_init(struct string_map *map)
{
    map->slots = calloc(MAP_INITIAL_SLOTS, sizeof *map->slots);
    map->mask = MAP_INITIAL_SLOTS - 1;
    map->count = 0;
    return map->slots != NULL;
}

void
map_free(struct string_map *map)
{
    if (map->slots == NULL)
        return;
    for (size_t i = 0; i <= map->mask; i++)
        free(map->slots[i].entry);
    free(map->slots);
}

static bool
map_grow(struct string_map *map)
{
    size_t mask = map->mask * 2 + 1;
    struct map_slot *slots = calloc(mask + 1, sizeof *slots);

    if (slots == NULL)
        return false;
    for (size_t i = 0; i <= map->mask; i++) {
        if (map->slots[i].entry == NULL)
            continue;
        size_t j = map->slots[i].hash & mask;
        while (slots[j].entry != NULL)
            j = (j + 1) & mask;
        slots[j] = map->slots[i];
    }
    free(map->slots);
    map->slots = slots;
    map->mask = mask;
    return true;
}

static struct map_entry *
entry_new(const lk_key *key, lk_bytes value)
{
    struct map_entry *entry = malloc(sizeof *entry + key->pk.size + key->sk.size + value.size);

    if (entry == NULL)
        return NULL;
    entry->version = 1;
    entry->pk_size = (uint16_t)key->pk.size;
    entry->sk_size = (uint16_t)key->sk.size;
    entry->value_size = (uint32_t)value.size;
    entry->capacity = (uint32_t)value.size;
    memcpy(entry->bytes, key->pk.data, key->pk.size);
    memcpy(entry->bytes + key->pk.size, key->sk.data, key->sk.size);
    memcpy(entry->bytes + key->pk.size + key->sk.size, value.data, value.size);
    return entry;
}

bool
map_set(struct string_map *map, uint64_t hash, const lk_key *key, lk_bytes value)
{
    size_t i = hash & map->mask;

    while (map->slots[i].entry != NULL &&
           (map->slots[i].hash != hash || !map_entry_is(map->slots[i].entry, key)))
        i = (i + 1) & map->mask;

    struct map_entry *entry = map->slots[i].entry;
    if (entry != NULL && value.size <= entry->capacity) {
        memcpy(entry->bytes + entry->pk_size + entry->sk_size, value.data, value.size);
        entry->value_size = (uint32_t)value.size;
        entry->version++;
        return true;
    }

    struct map_entry *fresh = entry_new(key, value);
    if (fresh == NULL)
        return false;
    if (entry != NULL) {
        fresh->version = entry->version + 1;
        free(entry);
        map->slots[i].entry = fresh;
        return true;
    }
    map->slots[i].hash = hash;
    map->slots[i].entry = fresh;
    map->count++;
    return map->count * 4 <= (map->mask + 1) * 3 || map_grow(map);
}

bool
map_remove(struct string_map *map, uint64_t hash, const lk_key *key)
{
    size_t hole = hash & map->mask;

    while (map->slots[hole].entry != NULL &&
           (map->slots[hole].hash != hash || !map_entry_is(map->slots[hole].entry, key)))
        hole = (hole + 1) & map->mask;
    if (map->slots[hole].entry == NULL)
        return false;
    free(map->slots[hole].entry);
    map->count--;
    for (size_t i = (hole + 1) & map->mask; map->slots[i].entry != NULL; i = (i + 1) & map->mask) {
        size_t home = map->slots[i].hash & map->mask;
        /* Entry i may fill the hole unless its home lies after the hole. */
        if (((i - home) & map->mask) >= ((i - hole) & map->mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].entry = NULL;
    return true;
}
