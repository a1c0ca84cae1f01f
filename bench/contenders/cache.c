/* SPDX-License-Identifier: MIT
 *
 * cache: this library's cache in front of its embedded store. There is room for all that a workload
 * loads. cache-lru: the same with exact LRU.
 */
#include "contenders/cache.h"

#include "contenders/latchkey.h"

#include <stdlib.h>
#include <string.h>

struct store {
    lk_db *inner, *cache;
};

lk_db *
cache_open(lk_db *inner, lk_cache_policy policy, size_t max_items)
{
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    lk_db *cache;

    options.max_items = max_items;
    options.policy = policy;
    return lk_cache_open(inner, &options, &cache) == LK_OK ? cache : NULL;
}

static void *
store_open_with(lk_cache_policy policy)
{
    struct store *store = malloc(sizeof *store);

    if (store == NULL || lk_memory_open(NULL, &store->inner) != LK_OK) {
        free(store);
        return NULL;
    }
    store->cache = cache_open(store->inner, policy, 2 * bench_options.keys);
    if (store->cache == NULL) {
        lk_close(store->inner);
        free(store);
        return NULL;
    }
    return store;
}

static void *
store_open(void)
{
    return store_open_with(LK_CACHE_S3_FIFO);
}

static void *
store_open_lru(void)
{
    return store_open_with(LK_CACHE_LRU);
}

static void
store_close(void *handle)
{
    struct store *store = handle;

    lk_close(store->cache);
    lk_close(store->inner);
    free(store);
}

static void *
client_attach(void *handle)
{
    struct store *store = handle;

    return latchkey_attach(store->cache);
}

/* Those of the store behind it, and its own. */
static size_t
store_contention(void *handle, struct bench_counter *counters)
{
    struct store *store = handle;
    lk_statistics s;
    size_t count = latchkey_contention(store->cache, counters);

    if (count == 0 || lk_statistics_read(store->cache, &s) != LK_OK)
        return 0;
    const struct bench_counter own[] = {
        {"joined reads", "", false, s.cache_joined},
        {"dropped reads", "", false, s.cache_dropped},
        {"evictions", "", false, s.cache_evictions},
    };
    memcpy(counters + count, own, sizeof own);
    return count + sizeof own / sizeof *own;
}

static const struct bench_contender contender_cache = {
    .name = "cache",
    .what = "this library's cache in front of its embedded store",
    .order = 2,
    .open = store_open,
    .close = store_close,
    .attach = client_attach,
    .detach = latchkey_detach,
    .get = latchkey_get,
    .set = latchkey_set,
    .contention = store_contention,
    .ours = true,
};
BENCH_CONTENDER(contender_cache)

static const struct bench_contender contender_cache_lru = {
    .name = "cache-lru",
    .what = "the same with LK_CACHE_LRU",
    .order = 3,
    .open = store_open_lru,
    .close = store_close,
    .attach = client_attach,
    .detach = latchkey_detach,
    .get = latchkey_get,
    .set = latchkey_set,
    .contention = store_contention,
    .ours = true,
};
BENCH_CONTENDER(contender_cache_lru)
