/* SPDX-License-Identifier: MIT
 *
 * What cache_db.c and cache_many.c share: the handle's state, and entries as items.
 */
#ifndef LKI_ADAPTER_CACHE_DB_H
#define LKI_ADAPTER_CACHE_DB_H

#include "adapter/handle.h"
#include "base/result.h"
#include "cache/cache.h"

typedef struct lki_cache_db {
    lk_db *inner; /* held; first: see lk_adapter_pass */
    lki_cache *cache;
} lki_cache_db;

/* This thread's record in the cache. NULL with *why: no memory, or the database was closed. */
LKI_INLINE lki_thread *
lki_cache_self(const lki_cache_db *c, lk_status *why)
{
    if (LKI_UNLIKELY(c->inner->operations.get == NULL)) {
        *why = LK_INVALID;
        return NULL;
    }
    return lki_thread_self(&c->cache->domain, why);
}

/* May this entry be returned now? */
LKI_INLINE bool
lki_cached_is_good(const lki_cache_db *c, const lki_cached *entry)
{
    return lki_cached_is_valid(c->cache, entry) &&
           (LKI_LIKELY(entry->fresh_until_ms == 0) ||
            !lk_has_expired(entry->fresh_until_ms, lk_realtime_now_ms(c->inner)));
}

LKI_INLINE lk_item
lki_cached_item(const lki_cached *entry)
{
    const unsigned char *bytes = entry->bytes;
    size_t pk_size = entry->keyed.pk_size, sk_size = entry->keyed.sk_size;
    return (lk_item){{{bytes, pk_size}, {bytes + pk_size, sk_size}},
                     {bytes + pk_size + sk_size, entry->data_size},
                     entry->expires_at_ms};
}

LKI_INLINE lk_status
lki_cached_copy(const lki_cached *entry, lk_result *result)
{
    size_t size = (size_t)entry->keyed.pk_size + entry->keyed.sk_size + entry->data_size;
    if (entry->absent)
        return LK_NOT_FOUND;
    if (LKI_UNLIKELY(!lki_result_begin(result, 1, size)))
        return LK_NO_MEMORY;
    lki_result_put(result, entry->bytes, entry->keyed.pk_size, entry->keyed.sk_size,
                   lki_cached_data(entry), entry->data_size, entry->expires_at_ms);
    return LK_OK;
}

lk_status lki_cache_get_many(void *state, const lk_key *keys, size_t count, lk_result *result);

#endif
