/* SPDX-License-Identifier: MIT
 *
 * cache: this library's cache in front of its embedded store. cache-lru: the same with exact LRU.
 * no cache: the store alone.
 */
#include "contenders/latchkey.h"
#include "contenders/parts/wrapper.h"

#include <stdlib.h>
#include <string.h>

struct store {
    struct database database;
    lk_db *front; /* the cache, or the database itself */
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
    return latchkey_attach(((struct store *)store)->front);
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

#define NO_CACHE 2 /* its place */

static struct bench_contender contenders[] = {
    {.name = "cache",
     .what = "this library's cache in front of its embedded store",
     .order = 2,
     .ours = true,
     .open = store_open_cache},
    {.name = "cache-lru",
     .what = "the same with LK_CACHE_LRU",
     .order = 3,
     .ours = true,
     .open = store_open_lru},
    {.name = "no cache",
     .what = "the store that caches stand before",
     .order = 8,
     .open = store_open_plain},
};

__attribute__((constructor)) static void
contenders_add(void)
{
    for (size_t i = 0; i < sizeof contenders / sizeof *contenders; i++) {
        contenders[i].close = store_close;
        contenders[i].attach = client_attach;
        contenders[i].misses = wrapper_reads;
        contenders[i].contention = store_contention;
        latchkey_like(&contenders[i]);
        latchkey_behind_wrapper(&contenders[i]);
    }
    contenders[NO_CACHE].get_many = NULL; /* a cache has it from single gets */
    contenders[NO_CACHE].loops = NULL;
}
