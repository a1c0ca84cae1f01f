/* SPDX-License-Identifier: MIT
 *
 * The table of a cache; see table.h.
 *
 * Entries lie in a set (base/set.h). A shard is its part of the entries, the lists of the policy,
 * the windows of its keys and the loads that are under way. All of these are under one latch, which
 * is never held while the database is asked. Old entries are thrown out before a new one comes in,
 * so a shard is never above its part.
 *
 * Ordering    P17: stale. A writer marks the entry (seq_cst), then writes to the database; a reader
 *             loads the mark after it found the entry. Without the order a reader could see the new
 *             item in the database and afterwards the old one here.
 *             P18: the window of a partition. A writer opens it (RMW) before the database changes
 *             and closes it (RMW) afterwards. Each entry has the word from before the database was
 *             asked, and a reader compares. Without the order: as P17.
 *             P3: base/set.c.
 */
#include "cache/table.h"

#include "base/clock.h"
#include "cache/shard.h"

#include <time.h>

enum { ENTRY = 1 }; /* what a cache retires */

enum {
    SHARDS_MAX = 64,
    SHARD_ITEMS = 64,        /* at least so many to a shard */
    SHARD_BYTES = 4 << 20,   /* likewise */
    WINDOWS_ALL = 4096,      /* of keys, in all shards together */
    RETIRED_BYTES = 64 << 20 /* of thrown out entries that a stalled reader may hold back */
};

/* ---- windows ---- */

static size_t
windows_each(const lki_cache *cache)
{
    return (size_t)WINDOWS_ALL >> cache->shard_bits;
}

uint64_t
lki_window_number(const lki_cache *cache, uint64_t hash)
{
    return hash & (windows_each(cache) - 1);
}

lki_window *
lki_window_of(const lki_cache *cache, lki_cache_shard *shard, uint64_t hash)
{
    return &shard->windows[lki_window_number(cache, hash)];
}

static uint32_t
partition_number(const lki_cache *cache, lk_bytes pk)
{
    return (uint32_t)(lki_hash_bytes(&cache->secret, pk) & (LKI_CACHE_PARTITIONS - 1));
}

#define PARTITION_BEGUN ((uint64_t)1 << 16)
#define PARTITION_OPEN (PARTITION_BEGUN - 1)

uint64_t
lki_partition_word(const lki_cache *cache, lk_bytes pk)
{
    return lki_load_seq_cst(&cache->partitions[partition_number(cache, pk)]); /* P18 */
}

uint32_t
lki_partition_begin(lki_cache *cache, lk_bytes pk)
{
    uint32_t partition = partition_number(cache, pk);
    lki_add_seq_cst(&cache->partitions[partition], PARTITION_BEGUN + 1); /* P18 */
    return partition;
}

int64_t
lki_cache_in_doubt_until_ms(const lki_cache *cache)
{
    int64_t until_ms = lki_time_after(lki_cache_now_ms(cache), LK_UNKNOWN_SETTLES_MS);
    return until_ms != 0 ? until_ms : 1;
}

void
lki_partition_end(lki_cache *cache, uint32_t partition, bool in_doubt)
{
    if (in_doubt)
        lki_store_relaxed(&cache->in_doubt_until_ms[partition],
                          lki_cache_in_doubt_until_ms(cache)); /* published by P18 */
    uint64_t before = lki_add_seq_cst(&cache->partitions[partition], (uint64_t)-1); /* P18 */
    LK_ASSERT((before & PARTITION_OPEN) != 0);
    (void)before;
}

static bool
doubt_is_over(const lki_cache *cache, int64_t until_ms)
{
    return LKI_LIKELY(until_ms == 0) || lki_cache_now_ms(cache) >= until_ms;
}

bool
lki_windows_are_as(const lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed,
                   uint64_t begun, uint64_t word)
{
    const lki_window *w = lki_window_of(cache, shard, hashed->hash);
    if (w->open != 0 || w->begun != begun || (word & PARTITION_OPEN) != 0 ||
        lki_partition_word(cache, hashed->key->pk) != word)
        return false;
    /* Read after the word: a call that closed the partition had stored it before (P18). */
    uint32_t partition = partition_number(cache, hashed->key->pk);
    return doubt_is_over(cache, w->in_doubt_until_ms) &&
           doubt_is_over(cache, lki_load_relaxed(&cache->in_doubt_until_ms[partition]));
}

/* ---- entries ---- */

static bool
entry_is(const void *object, const lki_hashed *hashed)
{
    return lki_keyed_is(object, LKI_CACHED_HEADER, hashed);
}

void
lki_cached_release(lki_cache *cache, lki_cached *entry)
{
    if (entry == NULL)
        return;
    uint32_t before = lki_add_seq_cst(&entry->references, (uint32_t)-1);
    LK_ASSERT(before != 0);
    if (before == 1)
        lki_free(&cache->domain.allocator, entry, lki_cached_size(entry));
}

static bool
entry_dispose(lki_thread *thread, void *object)
{
    lki_cached_release(thread->domain->store, object);
    return true;
}

lki_cached *
lki_cached_new(const lki_cache *cache, const lki_hashed *hashed, const lk_item *item, uint64_t word,
               int64_t read_at_ms)
{
    const lk_key *key = hashed->key;
    lk_bytes data = item != NULL ? item->data : (lk_bytes){NULL, 0};
    lki_cached *entry = lki_alloc(&cache->domain.allocator,
                                  LKI_CACHED_HEADER + key->pk.size + key->sk.size + data.size);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof *entry);
    entry->keyed =
        (lki_keyed){lki_half_of(hashed->hash), (uint16_t)key->pk.size, (uint16_t)key->sk.size};
    entry->data_size = (uint32_t)data.size;
    entry->absent = item == NULL;
    entry->expires_at_ms = item != NULL ? item->expires_at_ms : 0;
    entry->read_at_ms = read_at_ms;
    entry->partition_word = word;
    entry->partition = (uint16_t)partition_number(cache, key->pk);
    entry->plain = item != NULL && item->expires_at_ms == 0 && cache->max_age_ms == 0;
    lki_store_relaxed(&entry->references, 1); /* nobody else has it yet */
    memcpy(entry->bytes, key->pk.data, key->pk.size);
    if (key->sk.size != 0)
        memcpy(entry->bytes + key->pk.size, key->sk.data, key->sk.size);
    if (data.size != 0)
        memcpy(entry->bytes + key->pk.size + key->sk.size, data.data, data.size);
    return entry;
}

/* ---- the table, latched ---- */

static void
entry_drop_latched(lki_cache *cache, lki_thread *thread, lki_cached *entry)
{
    lki_set_remove_latched(&cache->entries, thread, entry);
    lki_retire(thread, ENTRY, entry, lki_cached_size(entry));
}

void
lki_cached_remove_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread,
                          lki_cached *entry)
{
    if (!lki_reserve(thread, 8))
        return;
    lki_policy_remove(&shard->policy, entry, false);
    entry_drop_latched(cache, thread, entry);
}

/* Throws entries out until there is place for so many bytes more. */
static bool
place_make_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread, size_t size)
{
    lki_policy *policy = &shard->policy;
    if (policy->max_items == 0 || size > policy->max_bytes)
        return false; /* not even in an empty shard */
    while (!lki_policy_has_place(policy, size)) {
        lki_cached *victim = lki_policy_victim(policy);
        if (victim == NULL || !lki_reserve(thread, 8))
            return false;
        lki_policy_remove(policy, victim, true);
        entry_drop_latched(cache, thread, victim);
        lki_count(thread, LKI_EVICTIONS, 1);
    }
    return true;
}

bool
lki_cached_enter_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread,
                         uint64_t hash, lki_cached *entry, lki_cached *old)
{
    bool placed = false;
    LK_ASSERT(lki_cache_shard_of(cache, hash) == shard && old != entry);
    if (!lki_reserve(thread, 8))
        return false;
    if (old != NULL) {
        placed = lki_policy_replace(&shard->policy, old, entry);
        entry_drop_latched(cache, thread, old);
    }
    if (!placed) {
        if (!place_make_latched(cache, shard, thread, lki_cached_size(entry)) ||
            !lki_reserve(thread, 8) ||
            !lki_policy_reserve(&shard->policy, &cache->domain.allocator))
            return false;
        lki_policy_add(&shard->policy, entry, lki_add_relaxed(&cache->tick, 1)); /* a hint */
    }
    lki_add_relaxed(&entry->references, 1); /* the table's; nobody else has it yet */
    if (lki_set_add_latched(&cache->entries, thread, entry, hash) == LKI_SET_ADDED)
        return true;
    lki_policy_remove(&shard->policy, entry, false);
    lki_add_relaxed(&entry->references, (uint32_t)-1);
    return false;
}

LKI_COLD lki_cached *
lki_cache_find_slow(lki_cache *cache, const lki_hashed *hashed)
{
    return lki_set_get(&cache->entries, hashed);
}

/* ---- life ---- */

static size_t
shards_for(const lk_cache_options *o)
{
    size_t shards = 1;
    while (o->policy != LK_CACHE_LRU && shards < SHARDS_MAX &&
           (o->max_items == 0 || o->max_items / (shards * 2) >= SHARD_ITEMS) &&
           (o->max_bytes == 0 || o->max_bytes / (shards * 2) >= SHARD_BYTES))
        shards *= 2;
    return shards;
}

/* The part of shard `i` in a capacity; the first shards take what is left over. */
static size_t
part_of(size_t all, size_t shards, size_t i)
{
    return all == 0 ? SIZE_MAX : all / shards + (i < all % shards);
}

static bool
shard_open(lki_cache *cache, size_t i, size_t shards, const lk_cache_options *o)
{
    lki_cache_shard *shard = &cache->shards[i];
    pthread_condattr_t attributes;
    lki_latch_init(&shard->latch, LKI_RANK_INNER);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shard->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    shard->policy.exact_lru = cache->exact_lru;
    shard->policy.max_items = part_of(o->max_items, shards, i);
    shard->policy.max_bytes = part_of(o->max_bytes, shards, i);
    shard->windows =
        lki_alloc_zeroed(&cache->domain.allocator, windows_each(cache) * sizeof(lki_window));
    return shard->windows != NULL;
}

lk_status
lki_cache_open(const lk_cache_options *o, const lk_adapter *of, lki_cache **opened)
{
    lki_cache *cache = lki_alloc_lines(NULL, sizeof *cache);
    if (cache == NULL)
        return LK_NO_MEMORY;
    size_t shards = shards_for(o);
    const lki_allocator *allocator = &cache->domain.allocator;
    cache->shard_bits = (unsigned)__builtin_ctzll(shards);
    cache->keep_missing = o->keep_missing;
    cache->exact_lru = o->policy == LK_CACHE_LRU;
    cache->max_age_ms = o->max_age_ms;
    cache->load_wait_ms = o->load_wait_ms != 0 ? o->load_wait_ms : LK_SECONDS(1);
    cache->domain.store = cache;
    cache->domain.thread_size = sizeof(lki_cache_thread);
    cache->domain.dispose[ENTRY] = entry_dispose;
    cache->domain.max_retired_bytes = RETIRED_BYTES;
    cache->domain.monotonic_ms = of->monotonic_ms;
    cache->domain.clock_context = of->clock_context;
    lki_domain_open(&cache->domain);
    cache->shards = lki_alloc_lines(allocator, shards * sizeof *cache->shards);
    cache->in_doubt_until_ms =
        lki_alloc_zeroed(allocator, LKI_CACHE_PARTITIONS * sizeof *cache->in_doubt_until_ms);
    bool whole = cache->shards != NULL && cache->in_doubt_until_ms != NULL &&
                 lki_secret_draw(&cache->secret) &&
                 lki_set_open(&cache->entries, allocator, entry_is, cache->shard_bits, 0);
    for (size_t i = 0; whole && i < shards; i++)
        whole = shard_open(cache, i, shards, o);
    if (!whole) {
        lki_cache_close(cache);
        return LK_NO_MEMORY;
    }
    *opened = cache;
    return LK_OK;
}

static void
shard_close(lki_cache *cache, lki_cache_shard *shard)
{
    lki_policy_close(&shard->policy, &cache->domain.allocator);
    for (size_t i = 0; shard->windows != NULL && i < windows_each(cache); i++)
        lki_loads_forget(cache, &shard->windows[i]);
    lki_free(&cache->domain.allocator, shard->windows, windows_each(cache) * sizeof(lki_window));
}

static void
entry_release(void *cache, void *entry)
{
    lki_cached_release(cache, entry);
}

void
lki_cache_close(lki_cache *cache)
{
    size_t shards = (size_t)1 << cache->shard_bits;
    const lki_allocator allocator = cache->domain.allocator;
    bool is_whole = lki_set_is_open(&cache->entries) && cache->shards[shards - 1].windows != NULL;
    if (LKI_CHECK > 1 && is_whole)
        LK_ASSERT(lki_cache_check(cache, NULL) == lki_set_check(&cache->entries)); /* I-cache3 */
    lki_domain_close(&cache->domain);
    if (lki_set_is_open(&cache->entries))
        lki_set_each(&cache->entries, entry_release, cache); /* no other thread is there */
    lki_set_close(&cache->entries);
    for (size_t i = 0; cache->shards != NULL && i < shards; i++)
        shard_close(cache, &cache->shards[i]);
    lki_free_lines(&allocator, cache->shards, shards * sizeof *cache->shards);
    lki_free(&allocator, cache->in_doubt_until_ms,
             LKI_CACHE_PARTITIONS * sizeof *cache->in_doubt_until_ms);
    lki_free_lines(NULL, cache, sizeof *cache);
}

/* ---- checking ---- */

/* An entry of a list is the set's of its key, and in the shard of its hash. */
typedef struct entry_look {
    lki_cache *cache;
    lki_cache_shard *shard;
    size_t count;
} entry_look;

static void
entry_check(void *context, lki_cached *entry)
{
    entry_look *look = context;
    lk_key key = lki_cached_key(entry);
    lki_hashed hashed = lki_hashed_of(&look->cache->secret, &key);
    LK_ASSERT(lki_cache_shard_of(look->cache, hashed.hash) == look->shard);
    LK_ASSERT(lki_set_get(&look->cache->entries, &hashed) == entry);
    LK_ASSERT(entry->partition == partition_number(look->cache, key.pk));
    LK_ASSERT(lki_load_relaxed(&entry->references) != 0); /* a look */
    look->count++;
}

size_t
lki_cache_check(lki_cache *cache, lki_thread *thread)
{
    entry_look look = {.cache = cache};
    for (size_t i = 0; i < (size_t)1 << cache->shard_bits; i++) {
        look.shard = &cache->shards[i];
        if (thread != NULL)
            lki_enter(thread); /* the latch does not hold the set's directory */
        lki_latch_take(&look.shard->latch, thread);
        lki_policy_check(&look.shard->policy, entry_check, &look);
        for (size_t w = 0; w < windows_each(cache); w++)
            lki_loads_check(cache, &look.shard->windows[w], w);
        lki_latch_drop(&look.shard->latch);
        if (thread != NULL)
            lki_leave(thread);
    }
    return look.count;
}

void
lki_cache_statistics(lki_cache *cache, lki_thread *thread, lk_statistics *statistics)
{
    lki_reclaim_report report;
    uint64_t items = 0, bytes = 0;
    if (LKI_CHECK > 1)
        (void)lki_cache_check(cache, thread);
    lki_reclaim_read(&cache->domain, &report);
    uint64_t misses = report.counter[LKI_MISSES], hits = report.counter[LKI_HITS];
    for (size_t i = 0; i < (size_t)1 << cache->shard_bits; i++) {
        lki_cache_shard *shard = &cache->shards[i];
        lki_latch_take(&shard->latch, NULL);
        items += shard->policy.count;
        bytes += shard->policy.bytes;
        lki_latch_drop(&shard->latch);
    }
    statistics->cache_hits = hits;
    statistics->cache_misses = misses;
    statistics->cache_evictions = report.counter[LKI_EVICTIONS];
    statistics->cache_joined = report.counter[LKI_LOADS_JOINED];
    statistics->cache_dropped = report.counter[LKI_FILLS_DROPPED];
    statistics->cache_items = items;
    statistics->cache_bytes = bytes;
}
