/* SPDX-License-Identifier: MIT
 *
 * Fronts: opening, reading through, counting.
 */
#include "contenders/parts/fronts.h"

#include "contenders/cache.h"
#include "contenders/parts/wrapper.h"
#include "driver/data.h"

#include <stdlib.h>

const char *
front_name(enum front_kind kind)
{
    static const char *const names[FRONT_KINDS] = {"no cache", "lru-mutex", "cache"};

    return names[kind];
}

static bool
memory_fill(lk_db *memory, size_t items)
{
    char *value = calloc(1, bench_options.value_size);
    struct data_text text;
    bool good = value != NULL;

    for (size_t i = 0; i < items && good; i++) {
        lk_item item = {.key = data_key(i, &text)};
        item.data = data_value(value, text.sk, i);
        good = lk_set(memory, &item, 1) == LK_OK;
    }
    free(value);
    return good;
}

lk_db *
front_memory_open(size_t items)
{
    lk_db *memory;

    if (lk_memory_open(NULL, &memory) != LK_OK)
        return NULL;
    if (memory_fill(memory, items))
        return memory;
    lk_close(memory);
    return NULL;
}

bool
front_open(struct front *front, enum front_kind kind, lk_db *memory, bool slow, size_t capacity)
{
    memset(front, 0, sizeof *front);
    front->kind = kind;
    front->capacity = capacity;
    front->db = wrapper_open(memory, slow ? WRAPPER_SLOW : WRAPPER_COUNT);
    if (front->db == NULL)
        return false;
    if (kind == FRONT_CACHE)
        front->cache = cache_open(front->db, LK_CACHE_S3_FIFO, capacity);
    else if (kind == FRONT_LRU)
        front->lru = lru_open(capacity);
    if (kind == FRONT_NONE || front->cache != NULL || front->lru != NULL)
        return true;
    lk_close(front->db);
    return false;
}

void
front_close(struct front *front)
{
    lk_close(front->cache);
    if (front->lru != NULL)
        lru_close(front->lru);
    lk_close(front->db);
}

/* With several threads a miss may get what another has read. */
bool
front_agrees(const struct front *front, uint64_t gets, uint64_t reads, bool alone)
{
    lk_statistics stats;

    if (front->kind != FRONT_CACHE)
        return true;
    return lk_statistics_read(front->cache, &stats) == LK_OK &&
           stats.cache_hits + stats.cache_misses == gets && reads <= stats.cache_misses &&
           (!alone || reads == stats.cache_misses) && stats.cache_items <= front->capacity;
}

bool
front_attach(struct front_client *client, struct front *front)
{
    memset(client, 0, sizeof *client);
    client->front = front;
    client->result = lk_result_new();
    return client->result != NULL;
}

void
front_detach(struct front_client *client)
{
    lk_result_free(client->result);
    free(client->buffer.bytes);
}

static bool
database_get(struct front_client *client, lk_db *db, lk_key key, lk_bytes *value)
{
    if (lk_get(db, key, client->result) != LK_OK)
        return false;
    *value = lk_result_item(client->result, 0)->data;
    return true;
}

static bool
front_read(struct front_client *client, lk_key key, lk_bytes *value)
{
    struct front *front = client->front;

    switch (front->kind) {
    case FRONT_CACHE:
        return database_get(client, front->cache, key, value);
    case FRONT_LRU:
        return lru_get(front->lru, &key, &client->buffer, value) ||
               (database_get(client, front->db, key, value) && lru_set(front->lru, &key, *value));
    default:
        return database_get(client, front->db, key, value);
    }
}

enum front_read
front_get(struct front_client *client, size_t index)
{
    uint64_t reads = wrapper_reads, number;
    struct data_text text;
    lk_key key = data_key(index, &text);
    lk_bytes value;

    if (!front_read(client, key, &value) || !data_proves(value, text.sk, &number) ||
        number != index)
        return FRONT_WRONG;
    return wrapper_reads == reads ? FRONT_HIT : FRONT_MISS;
}
