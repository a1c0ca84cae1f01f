/* SPDX-License-Identifier: MIT
 *
 * The conformance suite against a cache over the embedded store: once roomy, once so small that
 * nearly everything is thrown out, once with exact LRU.
 */
#include "memory_options.h"

typedef struct cached {
    lk_cache_options options;
    lk_db *inner;
} cached;

static lk_status
cached_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    cached *c = context;
    lk_memory_options options = memory_options(setup);
    lk_status status = lk_memory_open(&options, &c->inner);
    if (status != LK_OK)
        return status;
    status = lk_cache_open(c->inner, &c->options, db);
    if (status != LK_OK)
        lk_close(c->inner);
    return status;
}

static void
cached_close(void *context, lk_db *db)
{
    lk_close(db);
    lk_close(((cached *)context)->inner);
}

int
main(int argc, char **argv)
{
    cached roomy = {.options = {.max_items = 100000, .keep_missing = true}};
    cached tiny = {.options = {.max_items = 2}};
    cached lru = {.options = {.max_bytes = 1000, .policy = LK_CACHE_LRU}};
    const lk_conformance caches[] = {
        {.name = "cache", .open = cached_open, .close = cached_close, .context = &roomy},
        {.name = "cache of 2 items", .open = cached_open, .close = cached_close, .context = &tiny},
        {.name = "LRU of 1,000 bytes", .open = cached_open, .close = cached_close, .context = &lru},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++)
        failed |= lk_conformance_main(&caches[i], argc, argv);
    return failed;
}
