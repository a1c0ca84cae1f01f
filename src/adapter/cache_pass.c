/* SPDX-License-Identifier: MIT
 *
 * Calls that go through a cache as they are: what lk_adapter_pass does, and a mark that this thread
 * is in a call of the database's (LKI_INNER). Called through the table of operations in cache_db.c.
 */
#include "adapter/cache_db.h"

static lk_status
cache_query(void *state, const lk_page *page, lk_result *result)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_query_page(c->inner, page, result));
    return status;
}

static lk_status
cache_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_get_lock_at(c->inner, key, lock));
    return status;
}

static lk_status
cache_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_get_locked(c->inner, keys, count, locks, result));
    return status;
}

static lk_status
cache_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_queue_release(c->inner, claim, delay_ms));
    return status;
}

static lk_status
cache_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_queue_extend(c->inner, claim, visibility_ms));
    return status;
}

static lk_status
cache_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_queue_stats(c->inner, pk, stats));
    return status;
}

static lk_status
cache_queue_close(void *state, lk_bytes pk)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_queue_close(c->inner, pk));
    return status;
}

static lk_status
cache_queue_fd(void *state, lk_bytes pk, int *fd)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_queue_fd(c->inner, pk, fd));
    return status;
}

static lk_status
cache_view(void *state, const lk_key *key, lk_item *item)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_view_at(c->inner, key, item));
    return status;
}

static lk_status
cache_sweep(void *state, size_t max_items, size_t *swept)
{
    const lki_cache_db *c = state;
    lk_status status;
    LKI_INNER(c, status = lk_sweep(c->inner, max_items, swept));
    return status;
}

/* Those that are there; the pairs around views stay as lk_adapter_pass made them. */
void
lki_cache_pass_operations(lk_operations *o)
{
    o->query = o->query != NULL ? cache_query : NULL;
    o->get_lock_at = o->get_lock_at != NULL ? cache_get_lock : NULL;
    o->get_locked = o->get_locked != NULL ? cache_get_locked : NULL;
    o->release = o->release != NULL ? cache_release : NULL;
    o->extend = o->extend != NULL ? cache_extend : NULL;
    o->queue_stats = o->queue_stats != NULL ? cache_queue_stats : NULL;
    o->queue_close = o->queue_close != NULL ? cache_queue_close : NULL;
    o->queue_fd = o->queue_fd != NULL ? cache_queue_fd : NULL;
    o->view_at = o->view_at != NULL ? cache_view : NULL;
    o->sweep = o->sweep != NULL ? cache_sweep : NULL;
}
