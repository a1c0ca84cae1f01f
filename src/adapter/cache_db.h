/* SPDX-License-Identifier: MIT
 *
 * What the files of the cache's adapter share: the handle's state, and entries as items. Also the
 * hits that api.c inlines.
 */
#ifndef LKI_ADAPTER_CACHE_DB_H
#define LKI_ADAPTER_CACHE_DB_H

#include "adapter/pass.h"
#include "base/result.h"
#include "cache/table.h"

typedef struct lki_cache_db {
    lk_db *inner; /* held; first: see lk_adapter_pass */
    lki_cache *cache;
    lk_db *self; /* the handle of this cache */
} lki_cache_db;

/* This thread's record in the cache. NULL: *why says whether memory ran out, or the database was
 * closed. */
LKI_INLINE lki_thread *
lki_cache_self(const lki_cache_db *c, lk_status *why)
{
    if (LKI_UNLIKELY(c->inner->operations.set == NULL)) {
        *why = LK_INVALID;
        return NULL;
    }
    return lki_thread_self(&c->cache->domain, why);
}

/* The entry of a short key, if the bucket names it first and it needs no second look: it is valid,
 * an item, and does not expire or grow too old. NULL: ask lki_cache_find. Caller: in a section. */
LKI_INLINE lki_cached *
lki_cache_find_plain(const lki_cache *cache, const lki_hashed *hashed)
{
    unsigned matches;
    bool none;
    lki_cached *entry = lki_bucket_first(lki_cache_bucket(cache, hashed->hash), hashed,
                                         LKI_CACHED_HEADER, &matches, &none);
    if (LKI_UNLIKELY(entry == NULL) || LKI_UNLIKELY(!lki_cached_is_valid(cache, entry)) ||
        LKI_UNLIKELY(!entry->plain))
        return NULL;
    return entry;
}

/* May this entry be returned now? */
LKI_INLINE bool
lki_cached_is_good(const lki_cache_db *c, const lki_cached *entry)
{
    return lki_cached_is_valid(c->cache, entry) &&
           (LKI_LIKELY(entry->expires_at_ms == 0) ||
            !lk_has_expired(entry->expires_at_ms, lk_realtime_now_ms(c->inner))) &&
           lki_cache_is_young(c->cache, entry->read_at_ms);
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

/* Begins a new number for the loads that one call to the database is to answer. */
LKI_INLINE void
lki_loads_begin(lki_thread *thread)
{
    lki_cache_thread_of(thread)->asks++;
}

/* ---- reads of one key: as those of the embedded store, see memory_db.h ---- */

/* In a section that has begun, which they end: from the hash on. */
lk_status lki_cache_get_rest(lki_thread *thread, const lk_key *key, lk_result *result);
lk_status lki_cache_get_into_rest(lki_thread *thread, const lk_key *key, void *buffer,
                                  size_t capacity, size_t *size);

LKI_INLINE lk_status
lki_cache_get_short(lki_cache *cache, const lk_key *key, lk_result *result)
{
    lki_thread *thread = lki_self.thread;
    lki_hashed hashed = lki_hashed_of_short(&cache->secret, key);
    lki_enter(thread);
    lki_cached *entry = lki_cache_find_plain(cache, &hashed);
    if (LKI_UNLIKELY(entry == NULL))
        return lki_cache_get_rest(thread, key, result);
    lki_cache_hit(cache, entry);
    lki_copying copy = {NULL, NULL, entry->data_size}; /* which lie behind the key */
    if (LKI_UNLIKELY(!lki_result_put_short(result, key, entry, LKI_CACHED_HEADER, &copy)))
        return lki_cache_get_rest(thread, key, result);
    if (LKI_UNLIKELY(!lki_copy_short(&copy)))
        return lki_read_end_long(thread, copy.to, copy.from, copy.size);
    lki_read_end(thread, true);
    return LK_OK;
}

LKI_INLINE lk_status
lki_cache_get_into_short(lki_cache *cache, const lk_key *key, void *buffer, size_t capacity,
                         size_t *size)
{
    lki_thread *thread = lki_self.thread;
    lki_hashed hashed = lki_hashed_of_short(&cache->secret, key);
    lki_enter(thread);
    lki_cached *entry = lki_cache_find_plain(cache, &hashed);
    if (LKI_UNLIKELY(entry == NULL) || LKI_UNLIKELY(entry->data_size > capacity))
        return lki_cache_get_into_rest(thread, key, buffer, capacity, size);
    *size = entry->data_size;
    lki_cache_hit(cache, entry);
    lki_copying copy = {buffer, entry->bytes + key->pk.size + key->sk.size, entry->data_size};
    if (LKI_UNLIKELY(!lki_copy_short(&copy)))
        return lki_read_end_long(thread, copy.to, copy.from, copy.size);
    lki_read_end(thread, true);
    return LK_OK;
}

lk_status lki_cache_get_many(void *state, const lk_key *keys, size_t count, lk_result *result);

#endif
