/* SPDX-License-Identifier: MIT
 *
 * The table of a cache: entries that stand for what a database said of their keys. Hits find them
 * without waiting, a policy throws them out, and none is older than a write that went through the
 * cache. Called by adapter/cache_db.c, which knows the database; nothing in this room does. Reads
 * that miss are in load.h, writes in flight.h.
 *
 * WINDOWS keep reads and writes of one key apart. A write opens the key's window before it goes to
 * the database and closes it afterwards. Opening also marks the entry stale, so all reads go to the
 * database from before the write until after it. What the database answered or was given becomes an
 * entry only if no other write ran meanwhile: no window was open when the call to the database
 * began, and none was opened before the entry goes in. Keys of a like hash share a window: a write
 * of another key may cost an entry, and never lets a wrong one in. Each partition has a window too,
 * for calls that change items without naming them; an entry remembers the word of its partition's
 * window.
 *
 * IN DOUBT is a write that ended in LK_UNKNOWN: it may take effect later. For LK_UNKNOWN_SETTLES_MS
 * the cache keeps nothing of its keys.
 *
 * Guarantees  With all writes through the cache a find is linearizable for each key: it never
 *             returns less than a write that had ended before it began, and two finds never go back
 *             in time.
 * Progress    lki_cache_find: wait-free, no latch; a hit stores at most one bit, and only into a
 *             byte of the entry (exact LRU: a time). All else takes the latch of one shard,
 *             briefly, and never while the database is asked.
 * Invariants  I-cache1: what is valid in the table was the database's answer at some instant after
 *             the last closed window of its key. I-cache2: a shard holds at most its part of items
 *             and bytes. I-cache3: each entry of the set is in one list of the policy.
 *             lki_cache_check looks for the last two.
 * Ordering    P17, P18: see table.c. Model: tests/model/cache.pml.
 */
#ifndef LKI_CACHE_TABLE_H
#define LKI_CACHE_TABLE_H

#include <latchkey/adapter.h>

#include "base/clock.h"
#include "cache/entry.h"

/* What a cache keeps of each of its threads. */
typedef struct lki_cache_thread {
    lki_thread thread;           /* first */
    uint64_t asks;               /* [thread] calls of the database for which it began loads */
    _Atomic(uint64_t) asks_late; /* [stat] up to this one they hang; see load.c */
} lki_cache_thread;

LKI_INLINE lki_cache_thread *
lki_cache_thread_of(lki_thread *thread)
{
    LK_ASSERT(thread->domain->thread_size == sizeof(lki_cache_thread));
    return (lki_cache_thread *)(void *)thread;
}

typedef struct lki_cache_shard lki_cache_shard;
enum { LKI_CACHE_PARTITIONS = 4096 };

typedef struct lki_cache {
    lki_domain domain;
    /* [const] from here */
    lki_secret secret;
    void *owner; /* the adapter's state */
    unsigned shard_bits;
    bool keep_missing, exact_lru;
    int64_t max_age_ms;
    int64_t load_wait_ms;
    lki_cache_shard *shards;
    /* [P18] by number of a partition's window: until when a call on it is in doubt; 0: none is */
    _Atomic(int64_t) *in_doubt_until_ms;
    lki_set entries __attribute__((aligned(LKI_LINE)));
    _Atomic(uint64_t) tick __attribute__((aligned(LKI_LINE))); /* [stat] exact LRU: of finds */
    /* [P18] windows of partitions: begun << 16 | open */
    _Atomic(uint64_t) partitions[LKI_CACHE_PARTITIONS] __attribute__((aligned(LKI_LINE)));
} lki_cache;

/* `options` checked; `of`: whose clocks are used. LK_OK, LK_NO_MEMORY. */
lk_status lki_cache_open(const lk_cache_options *options, const lk_adapter *of, lki_cache **cache);
void lki_cache_close(lki_cache *cache); /* no other thread is there */
void lki_cache_statistics(lki_cache *cache, lki_thread *thread, lk_statistics *statistics);
/* For checks at level 2: walks all shards, each under its latch, and asserts the invariants. How
 * many entries there are. `thread` is the caller's; NULL: no other thread is there. */
size_t lki_cache_check(lki_cache *cache, lki_thread *thread);

/* ---- finding ---- */

LKI_INLINE size_t
lki_cache_shard_number(const lki_cache *cache, uint64_t hash)
{
    return (size_t)(hash >> 1 >> (63 - cache->shard_bits));
}

LKI_INLINE lki_bucket *
lki_cache_bucket(const lki_cache *cache, uint64_t hash)
{
    return lki_set_bucket(&cache->entries, hash);
}

LKI_INLINE int64_t
lki_cache_now_ms(const lki_cache *cache)
{
    return cache->domain.monotonic_ms(cache->domain.clock_context);
}

/* From when on the age counts of what is read or written from now on. */
LKI_INLINE int64_t
lki_cache_read_at_ms(const lki_cache *cache)
{
    return cache->max_age_ms != 0 ? lki_cache_now_ms(cache) : 0;
}

/* Not older than max_age_ms? */
LKI_INLINE bool
lki_cache_is_young(const lki_cache *cache, int64_t read_at_ms)
{
    return LKI_LIKELY(cache->max_age_ms == 0) ||
           lki_span_ms(read_at_ms, lki_cache_now_ms(cache)) <= cache->max_age_ms;
}

/* Has no write overtaken it? Whether it has expired or is too old is the caller's to judge. */
LKI_INLINE bool
lki_cached_is_valid(const lki_cache *cache, const lki_cached *entry)
{
    return lki_load_seq_cst(&entry->stale) == 0 && /* P17 */
           lki_load_seq_cst(&cache->partitions[entry->partition]) ==
               entry->partition_word; /* P18 */
}

lki_cached *lki_cache_find_slow(lki_cache *cache, const lki_hashed *hashed);

/* The entry of a key, valid or not; NULL: none. Caller: in a section. */
LKI_INLINE lki_cached *
lki_cache_find(lki_cache *cache, const lki_hashed *hashed)
{
    bool final;
    lki_cached *entry =
        lki_bucket_find(lki_cache_bucket(cache, hashed->hash), hashed, LKI_CACHED_HEADER, &final);
    return LKI_LIKELY(entry != NULL || final) ? entry : lki_cache_find_slow(cache, hashed);
}

/* Tells the policy that an entry was found. A lost update costs a little of its judgement. */
LKI_INLINE void
lki_cache_hit(lki_cache *cache, lki_cached *entry)
{
    uint8_t hits = lki_load_relaxed(&entry->hits); /* a hint; of an exact LRU always 0 */
    if (LKI_LIKELY(hits >= 3))
        return;
    if (LKI_UNLIKELY(cache->exact_lru))
        lki_store_relaxed(&entry->used, lki_add_relaxed(&cache->tick, 1)); /* a hint */
    else
        lki_store_relaxed(&entry->hits, (uint8_t)(hits << 1 | 1)); /* a hint */
}

/* Gives a reference back; the last one frees the entry. NULL is allowed. */
void lki_cached_release(lki_cache *cache, lki_cached *entry);

/* ---- windows of partitions ---- */

/* Around a call that changes items of a partition without naming them. Begin returns what end
 * wants. `in_doubt`: the call ended in LK_UNKNOWN. */
uint32_t lki_partition_begin(lki_cache *cache, lk_bytes pk);
void lki_partition_end(lki_cache *cache, uint32_t partition, bool in_doubt);

#endif
