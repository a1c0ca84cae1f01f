/* SPDX-License-Identifier: MIT
 *
 * cache: this library's cache in front of its embedded store. cache-lru: the same with exact LRU.
 * no cache: the store alone. Loading writes to the store, so that a cache has nothing until it is
 * asked.
 */
#include "contenders/latchkey.h"
#include "contenders/parts/wrapper.h"

#include <stdlib.h>
#include <string.h>

struct store {
    struct database database;
    lk_db *front; /* the cache, or the database itself */
};

struct client {
    struct store *store;
    lk_result *result;
    lk_db *writes; /* where a set goes */
};

static void *
store_open(lk_cache_policy policy, bool cached)
{
    struct store *store = malloc(sizeof *store);
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;

    if (store == NULL || !database_open(&store->database)) {
        free(store);
        return NULL;
    }
    store->front = store->database.db;
    options.max_items = bench_expected.cache_items;
    options.policy = policy;
    if (!cached || lk_cache_open(store->database.db, &options, &store->front) == LK_OK)
        return store;
    database_close(&store->database);
    free(store);
    return NULL;
}

static void *
store_open_cache(void)
{
    return store_open(LK_CACHE_S3_FIFO, true);
}

static void *
store_open_lru(void)
{
    return store_open(LK_CACHE_LRU, true);
}

static void *
store_open_plain(void)
{
    return store_open(LK_CACHE_LRU, false);
}

static void
store_close(void *handle)
{
    struct store *store = handle;

    if (store->front != store->database.db)
        lk_close(store->front);
    database_close(&store->database);
    free(store);
}

static void *
client_attach(void *store)
{
    struct client *client = malloc(sizeof *client);

    if (client == NULL)
        return NULL;
    *client = (struct client){store, lk_result_new(), ((struct store *)store)->front};
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

    if (lk_get_at(client->store->front, key, client->result) != LK_OK)
        return false;
    *value = lk_result_item(client->result, 0)->data;
    return true;
}

static bool
client_set(void *handle, const lk_item *put)
{
    struct client *client = handle;
    lk_status status;

    LATCHKEY_CALL(status, lk_set(client->writes, put, 1));
    return status == LK_OK;
}

static bool
client_bulk_begin(void *handle)
{
    struct client *client = handle;

    client->writes = client->store->database.memory;
    return true;
}

static bool
client_bulk_end(void *handle)
{
    struct client *client = handle;

    client->writes = client->store->front;
    return true;
}

/* Those of the store behind it, and its own. */
static size_t
store_contention(void *handle, struct bench_counter *counters)
{
    struct store *store = handle;
    lk_statistics s;
    size_t count = latchkey_contention(store->database.memory, counters);

    if (count == 0 || store->front == store->database.db ||
        lk_statistics_read(store->front, &s) != LK_OK)
        return count;
    const struct bench_counter own[] = {
        {"cache hits", "", false, s.cache_hits},     {"cache misses", "", false, s.cache_misses},
        {"joined reads", "", false, s.cache_joined}, {"dropped reads", "", false, s.cache_dropped},
        {"evictions", "", false, s.cache_evictions},
    };
    memcpy(counters + count, own, sizeof own);
    return count + sizeof own / sizeof *own;
}

#define CACHE_CALLS                                                                            \
    .close = store_close, .attach = client_attach, .detach = client_detach, .get = client_get, \
    .set = client_set, .bulk_begin = client_bulk_begin, .bulk_end = client_bulk_end,           \
    .misses = wrapper_reads, .contention = store_contention

static const struct bench_contender contender_cache = {
    .name = "cache",
    .what = "this library's cache in front of its embedded store",
    .order = 2,
    .ours = true,
    .open = store_open_cache,
    CACHE_CALLS,
};
BENCH_CONTENDER(contender_cache)

static const struct bench_contender contender_cache_lru = {
    .name = "cache-lru",
    .what = "the same with LK_CACHE_LRU",
    .order = 3,
    .ours = true,
    .open = store_open_lru,
    CACHE_CALLS,
};
BENCH_CONTENDER(contender_cache_lru)

static const struct bench_contender contender_no_cache = {
    .name = "no cache",
    .what = "the store that caches stand before",
    .order = 8,
    .open = store_open_plain,
    CACHE_CALLS,
};
BENCH_CONTENDER(contender_no_cache)
