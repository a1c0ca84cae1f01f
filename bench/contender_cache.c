/* SPDX-License-Identifier: MIT
 *
 * cache: this library's cache in front of its embedded store. There is room for all that a workload
 * loads. Sits out everything where this version has no cache.
 */
#include "contender_cache.h"

#include "contender_latchkey.h"
#include "data.h"

#include <stdlib.h>

struct store {
    lk_db *inner, *cache;
};

lk_status
cache_open(lk_db *inner, size_t max_items, lk_db **cache)
{
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;

    options.max_items = max_items;
    return lk_cache_open(inner, &options, cache);
}

bool
cache_is_there(void)
{
    static enum { UNKNOWN, THERE, MISSING } found;
    lk_db *inner, *cache;

    if (found == UNKNOWN && lk_memory_open(NULL, &inner) == LK_OK) {
        lk_status status = cache_open(inner, 1, &cache);
        if (status == LK_OK)
            lk_close(cache);
        lk_close(inner);
        found = status == LK_UNSUPPORTED ? MISSING : THERE;
    }
    return found != MISSING;
}

static void *
store_open(void)
{
    struct store *store = malloc(sizeof *store);

    if (store == NULL || lk_memory_open(NULL, &store->inner) != LK_OK) {
        free(store);
        return NULL;
    }
    if (cache_open(store->inner, 2 * bench_options.keys, &store->cache) != LK_OK) {
        lk_close(store->inner);
        free(store);
        return NULL;
    }
    return store;
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
};
BENCH_CONTENDER(contender_cache)
