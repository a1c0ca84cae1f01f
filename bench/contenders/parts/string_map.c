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

bool
map_set(struct string_map *map, uint64_t hash, const lk_key *key, lk_bytes value)
{
    struct map_slot *slot = map_slot(map, hash, key);
    struct map_entry *entry = slot->entry;

    if (entry != NULL && value.size <= entry->capacity) {
        item_write(&entry->item, value);
        entry->version++;
        return true;
    }
    struct map_entry *fresh = item_new(offsetof(struct map_entry, item), key, value);
    if (fresh == NULL)
        return false;
    fresh->version = entry != NULL ? entry->version + 1 : 1;
    fresh->capacity = value.size;
    free(entry);
    *slot = (struct map_slot){hash, fresh};
    if (entry != NULL)
        return true;
    map->count++;
    return map->count * 4 <= (map->mask + 1) * 3 || map_grow(map);
}

bool
map_remove(struct string_map *map, uint64_t hash, const lk_key *key)
{
    struct map_slot *hole = map_slot(map, hash, key);

    if (hole->entry == NULL)
        return false;
    free(hole->entry);
    map->count--;
    for (size_t at = (size_t)(hole - map->slots), i = (at + 1) & map->mask;
         map->slots[i].entry != NULL; i = (i + 1) & map->mask) {
        size_t home = map->slots[i].hash & map->mask;
        /* Entry i may fill the hole unless its home lies after the hole. */
        if (((i - home) & map->mask) >= ((i - at) & map->mask)) {
            *hole = map->slots[i];
            hole = &map->slots[at = i];
        }
    }
    hole->entry = NULL;
    return true;
}
