/* SPDX-License-Identifier: MIT
 *
 * What the files of the cache's room share: a shard, its windows, the verbs of the table. Included
 * by table.c, load.c, flight.c.
 */
#ifndef LKI_CACHE_SHARD_H
#define LKI_CACHE_SHARD_H

#include "cache/load.h"
#include "cache/policy.h"

/* The window of all keys of a like hash. */
typedef struct lki_window {
    uint64_t begun;  /* writes so far */
    uint64_t open;   /* writes under way */
    lki_load *loads; /* under way. One list for each window: a get_many may load many keys */
    int64_t in_doubt_until_ms; /* a write is in doubt until then; 0: none */
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

/* Which of its shard's windows a hash has. */
uint64_t lki_window_number(const lki_cache *cache, uint64_t hash);
lki_window *lki_window_of(const lki_cache *cache, lki_cache_shard *shard, uint64_t hash);
/* The word of a partition's window. */
uint64_t lki_partition_word(const lki_cache *cache, lk_bytes pk);
/* May what began when the windows stood like this become an entry now? */
bool lki_windows_are_as(const lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed,
                        uint64_t begun, uint64_t partition_word);
/* Until when a write is in doubt that ends in LK_UNKNOWN now. Never 0. */
int64_t lki_cache_in_doubt_until_ms(const lki_cache *cache);

/* An entry of the caller's, for an item (NULL: for its absence). NULL: no memory. */
lki_cached *lki_cached_new(const lki_cache *cache, const lki_hashed *hashed, const lk_item *item,
                           uint64_t partition_word, int64_t read_at_ms);
/* Puts an entry in, in place of `old`, the one of its key (NULL: there is none), and takes a
 * reference of its own. False: it is not in; `old` may be out all the same. Caller of this and of
 * the next: in a write section, holds the latch. */
bool lki_cached_enter_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread,
                              uint64_t hash, lki_cached *entry, lki_cached *old);
/* Takes an entry out that is not valid any more. Where there is no memory to retire it, it stays
 * until the policy throws it out. */
void lki_cached_remove_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread,
                               lki_cached *entry);
/* When the cache is closed: frees the loads whose threads ended while the database worked. */
void lki_loads_forget(lki_cache *cache, lki_window *window);
/* For checks at level 2: asserts that the loads of a window are its own, and under way. */
void lki_loads_check(const lki_cache *cache, const lki_window *window, uint64_t number);

#endif
