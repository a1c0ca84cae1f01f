/* SPDX-License-Identifier: MIT
 *
 * What the files of the cache's room share: a shard, its windows, the verbs of the table. Included by
 * table.c, load.c, flight.c.
 */
#ifndef LKI_CACHE_SHARD_H
#define LKI_CACHE_SHARD_H

#include "cache/cache.h"
#include "cache/policy.h"

/* Of keys of a like hash. */
typedef struct lki_window {
    uint64_t begun;  /* writes so far */
    uint64_t open;   /* under way */
    lki_load *loads; /* under way; one list for all would be long in a get_many of many keys */
    int64_t unsettled_until_ms; /* a write may take effect until then; 0: none */
} lki_window;

struct lki_cache_shard {
    lki_latch latch;
    pthread_cond_t ended; /* a load has */
    lki_policy policy;    /* [latch] */
    lki_window *windows;  /* [latch] */
} __attribute__((aligned(LKI_LINE)));

LKI_INLINE lki_cache_shard *
lki_cache_shard_of(lki_cache *cache, uint64_t hash)
{
    return &cache->shards[lki_cache_shard_number(cache, hash)];
}

lki_window *lki_window_of(const lki_cache *cache, lki_cache_shard *shard, uint64_t hash);
/* The word of a partition's window. */
uint64_t lki_partition_word(const lki_cache *cache, lk_bytes pk);
/* May what began with these become an entry now? */
bool lki_windows_are_as(const lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed,
                        uint64_t begun, uint64_t partition_word);

/* An entry of the caller's, for an item (NULL: for its absence). NULL: no memory. */
lki_cached *lki_cached_new(const lki_cache *cache, const lki_hashed *hashed, const lk_item *item,
                           uint64_t partition_word, int64_t read_at_ms);
/* Puts an entry in, in place of the one of its key if there is one; takes a reference of its own. False: it is not in. Caller of both: in a write section, holds the latch. */
bool lki_cached_enter_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread,
                              uint64_t hash, lki_cached *entry, lki_cached *old);
/* Loads that are left when the cache is closed: their threads ended while the database worked. */
void lki_loads_forget(lki_cache *cache, lki_window *window);
/* When nothing is unsettled any more that becomes so now. */
int64_t lki_cache_settles_ms(const lki_cache *cache);
/* Out with it. Where there is no memory to retire it, it stays until it is thrown out; the caller has
 * seen to it that it is not valid. */
void lki_cached_remove_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread,
                               lki_cached *entry);

#endif
