/* SPDX-License-Identifier: MIT
 *
 * lru-mutex: the cache that people write by hand. A hash map with chains, sized beforehand, a
 * doubly linked list from the newest to the oldest, one mutex over both. Values are copied out
 * under the mutex; memory is allocated and freed outside of it, and on a hit not at all. What it
 * does not have it reads from the database behind it.
 *
 * Invariants
 *   I1 under the mutex: an entry is in the chain of its hash and in the list, or in neither.
 *   I2 `ends` closes the list: its `older` is the newest entry, its `newer` the oldest.
 */
#include "contenders/parts/item.h"
#include "contenders/parts/wrapper.h"

#include <pthread.h>

struct link {
    struct link *newer, *older;
};

struct entry {
    struct link link;   /* comes first */
    struct entry *next; /* of its chain */
    uint64_t hash;
    uint32_t capacity; /* of the value */
    struct item item;
};

struct lru {
    _Alignas(BENCH_LINE) pthread_mutex_t mutex;
    struct link ends;
    struct entry **chains;
    size_t mask, count, capacity;
    struct database database;
};

struct client {
    struct lru *lru;
    lk_result *result;
    struct copies copies;
};

/* ---- the list and the chains ----------------------------------------------------------------- */

static void
link_remove(struct link *link)
{
    link->newer->older = link->older;
    link->older->newer = link->newer;
}

static void
link_push(struct lru *lru, struct link *link)
{
    link->newer = &lru->ends;
    link->older = lru->ends.older;
    lru->ends.older->newer = link;
    lru->ends.older = link;
}

static void
link_renew(struct lru *lru, struct link *link)
{
    if (lru->ends.older == link)
        return;
    link_remove(link);
    link_push(lru, link);
}

/* Where the pointer to the entry of a key is; its target is NULL where there is none. */
static struct entry **
chain_find(struct lru *lru, uint64_t hash, const lk_key *key)
{
    struct entry **place = &lru->chains[hash & lru->mask];

    while (*place != NULL && ((*place)->hash != hash || !item_is(&(*place)->item, key)))
        place = &(*place)->next;
    return place;
}

/* Takes the entry at a place out of chain and list. */
static struct entry *
entry_unlink(struct lru *lru, struct entry **place)
{
    struct entry *entry = *place;

    *place = entry->next;
    link_remove(&entry->link);
    lru->count--;
    return entry;
}

static struct entry *
oldest_unlink(struct lru *lru)
{
    struct entry *oldest = (struct entry *)(void *)lru->ends.newer;
    struct entry **place = &lru->chains[oldest->hash & lru->mask];

    while (*place != oldest)
        place = &(*place)->next;
    return entry_unlink(lru, place);
}

/* ---- the cache ------------------------------------------------------------------------------- */

static bool
lru_get(struct client *client, const lk_key *key, lk_bytes *value)
{
    struct lru *lru = client->lru;
    uint64_t hash = item_hash(key);
    bool found = false;

    pthread_mutex_lock(&lru->mutex);
    struct entry *entry = *chain_find(lru, hash, key);
    if (entry != NULL) {
        link_renew(lru, &entry->link);
        found = copies_keep(&client->copies, 0, item_value(&entry->item), entry->item.value_size,
                            value);
    }
    pthread_mutex_unlock(&lru->mutex);
    return found;
}

/* Writes into the entry that is there. False: there is none, or it has no room. */
static bool
value_replace(struct lru *lru, struct entry *entry, lk_bytes value)
{
    if (entry == NULL || entry->capacity < value.size)
        return false;
    item_write(&entry->item, value);
    link_renew(lru, &entry->link);
    return true;
}

/* Puts or replaces a value; the oldest leaves where there are too many. */
static bool
lru_set(struct lru *lru, const lk_key *key, lk_bytes value)
{
    uint64_t hash = item_hash(key);
    struct entry *left = NULL;

    pthread_mutex_lock(&lru->mutex);
    bool replaced = value_replace(lru, *chain_find(lru, hash, key), value);
    pthread_mutex_unlock(&lru->mutex);
    if (replaced)
        return true;
    struct entry *entry = item_new(offsetof(struct entry, item), key, value);
    if (entry == NULL)
        return false;
    entry->hash = hash;
    entry->capacity = (uint32_t)value.size;
    pthread_mutex_lock(&lru->mutex);
    struct entry **place = chain_find(lru, hash, key);
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

/* ---- the contender --------------------------------------------------------------------------- */

static void *
store_open(void)
{
    struct lru *lru = aligned_alloc(BENCH_LINE, sizeof *lru);
    size_t chains = 16;

    if (lru == NULL || !database_open(&lru->database)) {
        free(lru);
        return NULL;
    }
    while (chains < bench_expected.cache_items)
        chains *= 2;
    lru->chains = calloc(chains, sizeof(struct entry *));
    if (lru->chains == NULL) {
        database_close(&lru->database);
        free(lru);
        return NULL;
    }
    pthread_mutex_init(&lru->mutex, NULL);
    lru->ends.newer = lru->ends.older = &lru->ends;
    lru->mask = chains - 1;
    lru->count = 0;
    lru->capacity = bench_expected.cache_items;
    return lru;
}

static void
store_close(void *handle)
{
    struct lru *lru = handle;

    while (lru->count > 0)
        free(oldest_unlink(lru));
    pthread_mutex_destroy(&lru->mutex);
    database_close(&lru->database);
    free(lru->chains);
    free(lru);
}

static void *
client_attach(void *store)
{
    struct client *client = COPIES_CLIENT(client);

    if (client == NULL)
        return NULL;
    client->lru = store;
    client->result = lk_result_new();
    if (client->result != NULL)
        return client;
    free(client);
    return NULL;
}

static void
client_detach(void *handle)
{
    struct client *client = handle;

    lk_result_free(client->result);
    free(client);
}

static bool
client_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct client *client = handle;

    if (lru_get(client, key, value))
        return true;
    if (lk_get_at(client->lru->database.db, key, client->result) != LK_OK)
        return false;
    *value = lk_result_item(client->result, 0)->data;
    return lru_set(client->lru, key, *value);
}

/* What it does not have it need not have now. */
static bool
client_set(void *handle, const lk_item *put)
{
    struct client *client = handle;
    struct lru *lru = client->lru;
    uint64_t hash = item_hash(&put->key);

    if (lk_set(lru->database.db, put, 1) != LK_OK)
        return false;
    pthread_mutex_lock(&lru->mutex);
    bool there = *chain_find(lru, hash, &put->key) != NULL;
    pthread_mutex_unlock(&lru->mutex);
    return !there || lru_set(lru, &put->key, put->data);
}

static const struct bench_contender contender_lru_mutex = {
    .name = "lru-mutex",
    .what = "cache: a hash map and a list in order of use, one mutex over both",
    .order = 9,
    .open = store_open,
    .close = store_close,
    .attach = client_attach,
    .detach = client_detach,
    .get = client_get,
    .set = client_set,
    .misses = wrapper_reads,
};
BENCH_CONTENDER(contender_lru_mutex)
