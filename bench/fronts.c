/* SPDX-License-Identifier: MIT
 *
 * Fronts: opening, reading through, counting.
 */
#include "fronts.h"

#include "contender_cache.h"
#include "data.h"
#include "wrapper.h"

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

lk_status
front_open(struct front *front, enum front_kind kind, lk_db *memory, bool slow, size_t capacity)
{
    lk_status status = LK_OK;

    memset(front, 0, sizeof *front);
    front->kind = kind;
    front->db = wrapper_open(memory, slow ? WRAPPER_SLOW : WRAPPER_COUNT);
    if (front->db == NULL)
        return LK_NO_MEMORY;
    if (kind == FRONT_CACHE)
        status = cache_open(front->db, capacity, &front->cache);
    else if (kind == FRONT_LRU && (front->lru = lru_open(capacity)) == NULL)
        status = LK_NO_MEMORY;
    if (status != LK_OK)
        lk_close(front->db);
    return status;
}

void
front_close(struct front *front)
{
    lk_close(front->cache);
    if (front->lru != NULL)
        lru_close(front->lru);
    lk_close(front->db);
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
        return lru_get(front->lru, key, &client->buffer, value) ||
               (database_get(client, front->db, key, value) && lru_set(front->lru, key, *value));
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
