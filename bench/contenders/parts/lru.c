/* SPDX-License-Identifier: MIT
 *
 * LRU behind one mutex.
 *
 * Invariants
 *   I1 under the mutex: an entry is in the chain of its hash and in the list, or in neither.
 *   I2 `ends` closes the list: its `older` is the newest entry, its `newer` the oldest.
 */
#include "contenders/parts/lru.h"

#include "contenders/parts/string_map.h"

#include <pthread.h>
#include <stdlib.h>

struct lru_link {
    struct lru_link *newer, *older;
};

/* `link` comes first. Bytes: pk, sk, then `capacity` bytes of value. */
struct lru_entry {
    struct lru_link link;
    struct lru_entry *next; /* of its chain */
    uint64_t hash;
    uint16_t pk_size, sk_size;
    uint32_t value_size, capacity;
    char bytes[];
};

struct lru {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    struct lru_link ends;
    struct lru_entry **chains;
    size_t mask, count, capacity;
};

static void
link_remove(struct lru_link *link)
{
    link->newer->older = link->older;
    link->older->newer = link->newer;
}

static void
link_push(struct lru *lru, struct lru_link *link)
{
    link->newer = &lru->ends;
    link->older = lru->ends.older;
    lru->ends.older->newer = link;
    lru->ends.older = link;
}

static void
link_renew(struct lru *lru, struct lru_link *link)
{
    if (lru->ends.older == link)
        return;
    link_remove(link);
    link_push(lru, link);
}

static bool
entry_is(const struct lru_entry *entry, uint64_t hash, const lk_key *key)
{
    return entry->hash == hash && entry->pk_size == key->pk.size &&
           entry->sk_size == key->sk.size &&
           memcmp(entry->bytes, key->pk.data, key->pk.size) == 0 &&
           memcmp(entry->bytes + key->pk.size, key->sk.data, key->sk.size) == 0;
}

static char *
entry_value(struct lru_entry *entry)
{
    return entry->bytes + entry->pk_size + entry->sk_size;
}

/* Where the pointer to the entry of a key is; its target is NULL where there is none. */
static struct lru_entry **
chain_find(struct lru *lru, uint64_t hash, const lk_key *key)
{
    struct lru_entry **place = &lru->chains[hash & lru->mask];

    while (*place != NULL && !entry_is(*place, hash, key))
        place = &(*place)->next;
    return place;
}

static struct lru_entry *
entry_new(uint64_t hash, const lk_key *key, lk_bytes value)
{
    struct lru_entry *entry = malloc(sizeof *entry + key->pk.size + key->sk.size + value.size);

    if (entry == NULL)
        return NULL;
    entry->hash = hash;
    entry->pk_size = (uint16_t)key->pk.size;
    entry->sk_size = (uint16_t)key->sk.size;
    entry->value_size = entry->capacity = (uint32_t)value.size;
    memcpy(entry->bytes, key->pk.data, key->pk.size);
    memcpy(entry->bytes + key->pk.size, key->sk.data, key->sk.size);
    memcpy(entry_value(entry), value.data, value.size);
    return entry;
}

/* Takes the entry at a place out of chain and list. */
static struct lru_entry *
entry_unlink(struct lru *lru, struct lru_entry **place)
{
    struct lru_entry *entry = *place;

    *place = entry->next;
    link_remove(&entry->link);
    lru->count--;
    return entry;
}

static struct lru_entry *
oldest_unlink(struct lru *lru)
{
    struct lru_entry *oldest = (struct lru_entry *)(void *)lru->ends.newer;
    struct lru_entry **place = &lru->chains[oldest->hash & lru->mask];

    while (*place != oldest)
        place = &(*place)->next;
    return entry_unlink(lru, place);
}

struct lru *
lru_open(size_t capacity)
{
    struct lru *lru = aligned_alloc(BENCH_LINE, sizeof *lru);
    size_t chains = 16;

    if (lru == NULL)
        return NULL;
    while (chains < capacity)
        chains *= 2;
    lru->chains = calloc(chains, sizeof(struct lru_entry *));
    if (lru->chains == NULL) {
        free(lru);
        return NULL;
    }
    pthread_mutex_init(&lru->mutex, NULL);
    lru->ends.newer = lru->ends.older = &lru->ends;
    lru->mask = chains - 1;
    lru->count = 0;
    lru->capacity = capacity;
    return lru;
}

void
lru_close(struct lru *lru)
{
    while (lru->count > 0)
        free(oldest_unlink(lru));
    pthread_mutex_destroy(&lru->mutex);
    free(lru->chains);
    free(lru);
}

static bool
buffer_fit(struct lru_buffer *buffer, size_t size)
{
    char *bytes = realloc(buffer->bytes, size);

    if (bytes == NULL)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = size;
    return true;
}

bool
lru_get(struct lru *lru, const lk_key *key, struct lru_buffer *buffer, lk_bytes *value)
{
    uint64_t hash = map_hash(key);

    for (;;) {
        pthread_mutex_lock(&lru->mutex);
        struct lru_entry *entry = *chain_find(lru, hash, key);
        size_t size = entry != NULL ? entry->value_size : 0;
        if (entry != NULL && size <= buffer->capacity) {
            link_renew(lru, &entry->link);
            memcpy(buffer->bytes, entry_value(entry), size);
        }
        pthread_mutex_unlock(&lru->mutex);
        if (entry == NULL)
            return false;
        if (size <= buffer->capacity) {
            value->data = buffer->bytes;
            value->size = size;
            return true;
        }
        if (!buffer_fit(buffer, size))
            return false;
    }
}

/* Writes into the entry that is there. False: there is none, or it has no room. */
static bool
value_replace(struct lru *lru, struct lru_entry *entry, lk_bytes value)
{
    if (entry == NULL || entry->capacity < value.size)
        return false;
    memcpy(entry_value(entry), value.data, value.size);
    entry->value_size = (uint32_t)value.size;
    link_renew(lru, &entry->link);
    return true;
}

bool
lru_set(struct lru *lru, const lk_key *key, lk_bytes value)
{
    uint64_t hash = map_hash(key);
    struct lru_entry *left = NULL;

    pthread_mutex_lock(&lru->mutex);
    bool replaced = value_replace(lru, *chain_find(lru, hash, key), value);
    pthread_mutex_unlock(&lru->mutex);
    if (replaced)
        return true;
    struct lru_entry *entry = entry_new(hash, key, value);
    if (entry == NULL)
        return false;
    pthread_mutex_lock(&lru->mutex);
    struct lru_entry **place = chain_find(lru, hash, key);
    if (*place != NULL)
        left = entry_unlink(lru, place);
    else if (lru->count >= lru->capacity)
        left = oldest_unlink(lru);
    entry->next = lru->chains[hash & lru->mask];
    lru->chains[hash & lru->mask] = entry;
    link_push(lru, &entry->link);
    lru->count++;
    pthread_mutex_unlock(&lru->mutex);
    free(left);
    return true;
}

bool
lru_remove(struct lru *lru, const lk_key *key)
{
    uint64_t hash = map_hash(key);
    struct lru_entry *left = NULL;

    pthread_mutex_lock(&lru->mutex);
    struct lru_entry **place = chain_find(lru, hash, key);
    if (*place != NULL)
        left = entry_unlink(lru, place);
    pthread_mutex_unlock(&lru->mutex);
    free(left);
    return left != NULL;
}
