/* SPDX-License-Identifier: MIT
 *
 * The table of a cache. Called by adapter/cache_db.c.
 *
 * A shard is a set of entries with a lookaside (base/set.h), the lists of the policy, the windows of
 * its keys and the loads that are under way, all under one latch that is never held while the
 * database is asked. Entries are thrown out before a new one comes in, so a shard is never above its
 * part.
 *
 * Ordering    P17: stale. A writer marks the entry (seq_cst), then writes to the database; a reader
 *             loads the mark after it found the entry. Without the order a reader could see the new
 *             item in the database and afterwards the old one here.
 *             P18: the window of a partition. Opened (RMW) before the database changes, closed (RMW)
 *             after; each entry has the word from before it was read, and a reader compares. Without
 *             the order: as P17.
 *             P3: base/set.c.
 */
#include "cache/cache.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cache/policy.h"

enum {
    SHARDS_MAX = 64,
    SHARD_ITEMS = 64,        /* at least so many to a shard */
    SHARD_BYTES = 4 << 20,   /* likewise */
    WINDOWS_ALL = 4096,      /* of keys, in all shards together */
    RETIRED_BYTES = 64 << 20 /* of thrown out entries that a stalled reader may hold back */
};

/* Of keys of a like hash. */
typedef struct window {
    uint64_t begun;  /* writes so far */
    uint64_t open;   /* under way */
    lki_load *loads; /* under way; a list of all would be long in a get_many of many keys */
} window;

struct lki_load {
    lki_load *next;                 /* [latch] */
    uint64_t begun, partition_word; /* [const] windows as they were when it began */
    size_t readers;                 /* [latch] who leads it or waits for it */
    bool ended;                     /* [latch] */
    lk_status status;               /* [latch] once it has ended */
    lki_entry *entry;               /* [latch] held; the answer of LK_OK */
    lki_hashed hashed;              /* [const] of the bytes below */
    unsigned char bytes[];          /* [const] pk, sk */
};

struct lki_cache_shard {
    lki_latch latch;
    pthread_cond_t ended; /* a load has */
    lki_set entries;
    lki_policy policy; /* [latch] */
    window *windows;   /* [latch] */
} __attribute__((aligned(LKI_LINE)));

static lki_cache_shard *
shard_of(lki_cache *cache, uint64_t hash)
{
    return &cache->shards[lki_cache_shard_number(cache, hash)];
}

/* ---- windows ---- */

static size_t
windows_each(const lki_cache *cache)
{
    return (size_t)WINDOWS_ALL >> cache->shard_bits;
}

static window *
window_of(const lki_cache *cache, lki_cache_shard *shard, uint64_t hash)
{
    return &shard->windows[hash & (windows_each(cache) - 1)];
}

static uint32_t
partition_number(const lki_cache *cache, lk_bytes pk)
{
    return (uint32_t)(lki_hash_bytes(&cache->secret, pk) & (LKI_CACHE_PARTITIONS - 1));
}

#define PARTITION_BEGUN ((uint64_t)1 << 16)
#define PARTITION_OPEN (PARTITION_BEGUN - 1)

static uint64_t
partition_word(const lki_cache *cache, lk_bytes pk)
{
    return lki_load_seq_cst(&cache->partitions[partition_number(cache, pk)]); /* P18 */
}

uint32_t
lki_partition_begin(lki_cache *cache, lk_bytes pk)
{
    uint32_t number = partition_number(cache, pk);
    lki_add_seq_cst(&cache->partitions[number], PARTITION_BEGUN + 1); /* P18 */
    return number;
}

void
lki_partition_end(lki_cache *cache, uint32_t number)
{
    lki_add_seq_cst(&cache->partitions[number], (uint64_t)-1); /* P18 */
}

/* May what began then become an entry now? */
static bool
windows_are_as(const lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed,
               uint64_t begun, uint64_t word)
{
    const window *w = window_of(cache, shard, hashed->hash);
    return w->open == 0 && w->begun == begun && (word & PARTITION_OPEN) == 0 &&
           partition_word(cache, hashed->key.pk) == word;
}

/* ---- entries ---- */

static bool
entry_is(const void *object, const lki_hashed *hashed)
{
    return lki_keyed_is(object, LKI_ENTRY_HEADER, hashed);
}

void
lki_entry_release(lki_cache *cache, lki_entry *entry)
{
    if (entry != NULL && lki_add_seq_cst(&entry->references, (uint32_t)-1) == 1)
        lki_free(&cache->domain.allocator, entry, lki_entry_size(entry));
}

static bool
entry_dispose(lki_thread *thread, void *object)
{
    lki_entry_release(thread->domain->store, object);
    return true;
}

static int64_t
entry_fresh_until(const lki_cache *cache, int64_t expires_at_ms, int64_t now_ms)
{
    int64_t until = expires_at_ms;
    if (cache->max_age_ms != 0) {
        int64_t aged =
            now_ms > INT64_MAX - cache->max_age_ms ? INT64_MAX : now_ms + cache->max_age_ms;
        until = until == 0 || aged < until ? aged : until;
    }
    return until;
}

/* An entry of the caller's, for an item (NULL: for its absence). NULL: no memory. */
static lki_entry *
entry_new(const lki_cache *cache, const lki_hashed *hashed, const lk_item *item, uint64_t word,
          int64_t now_ms)
{
    const lk_key *key = &hashed->key;
    lk_bytes data = item != NULL ? item->data : (lk_bytes){NULL, 0};
    lki_entry *entry = lki_alloc(&cache->domain.allocator,
                                 LKI_ENTRY_HEADER + key->pk.size + key->sk.size + data.size);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof *entry);
    entry->keyed =
        (lki_keyed){(uint32_t)hashed->hash, (uint16_t)key->pk.size, (uint16_t)key->sk.size};
    entry->data_size = (uint32_t)data.size;
    entry->absent = item == NULL;
    entry->expires_at_ms = item != NULL ? item->expires_at_ms : 0;
    entry->fresh_until_ms = entry_fresh_until(cache, entry->expires_at_ms, now_ms);
    entry->partition_word = word;
    entry->partition = partition_number(cache, key->pk);
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
entry_drop_latched(lki_cache_shard *shard, lki_thread *thread, lki_entry *entry)
{
    lki_set_remove_latched(&shard->entries, thread, entry);
    lki_retire(thread, LKI_CELL, entry, lki_entry_size(entry));
}

/* Out with it. Where there is no memory to retire it, it stays until it is thrown out; the caller has
 * seen to it that it is not valid. */
static void
entry_remove_latched(lki_cache_shard *shard, lki_thread *thread, lki_entry *entry)
{
    if (!lki_reserve(thread, 8))
        return;
    lki_policy_remove(&shard->policy, entry, false);
    entry_drop_latched(shard, thread, entry);
}

/* Throws entries out until there is place. */
static bool
place_make_latched(lki_cache_shard *shard, lki_thread *thread, size_t size)
{
    lki_policy *policy = &shard->policy;
    if (policy->max_items == 0 || size > policy->max_bytes)
        return false;
    while (!lki_policy_has_place(policy, size)) {
        lki_entry *victim = lki_policy_victim(policy);
        if (victim == NULL || !lki_reserve(thread, 8))
            return false;
        lki_policy_remove(policy, victim, true);
        entry_drop_latched(shard, thread, victim);
        lki_count(thread, LKI_EVICTIONS, 1);
    }
    return true;
}

/* Puts an entry in, in place of the one of its key if there is one (which is not valid any more); takes
 * a reference of its own. False: it is not in. */
static bool
entry_enter_latched(lki_cache *cache, lki_cache_shard *shard, lki_thread *thread, uint64_t hash,
                    lki_entry *entry, lki_entry *old)
{
    bool placed = false;
    if (!lki_reserve(thread, 8))
        return false;
    if (old != NULL) {
        placed = lki_policy_replace(&shard->policy, old, entry);
        entry_drop_latched(shard, thread, old);
    }
    if (!placed) {
        if (!place_make_latched(shard, thread, lki_entry_size(entry)) || !lki_reserve(thread, 8) ||
            !lki_policy_reserve(&shard->policy, &cache->domain.allocator))
            return false;
        lki_policy_add(&shard->policy, entry, lki_add_relaxed(&cache->tick, 1)); /* a hint */
    }
    lki_add_relaxed(&entry->references, 1); /* the table's; nobody else has it yet */
    if (lki_set_add_latched(&shard->entries, thread, entry, hash))
        return true;
    lki_policy_remove(&shard->policy, entry, false);
    lki_add_relaxed(&entry->references, (uint32_t)-1);
    return false;
}

LKI_COLD lki_entry *
lki_cache_find_slow(lki_cache *cache, const lki_hashed *hashed)
{
    return lki_set_get(&shard_of(cache, hashed->hash)->entries, hashed);
}

/* ---- loads ---- */

static lki_load *
load_new(lki_cache *cache, const lki_hashed *hashed)
{
    const lk_key *key = &hashed->key;
    lki_load *load =
        lki_alloc(&cache->domain.allocator, sizeof *load + key->pk.size + key->sk.size);
    if (load == NULL)
        return NULL;
    *load = (lki_load){.readers = 1, .hashed = *hashed};
    memcpy(load->bytes, key->pk.data, key->pk.size);
    if (key->sk.size != 0)
        memcpy(load->bytes + key->pk.size, key->sk.data, key->sk.size);
    load->hashed.key.pk.data = load->bytes;
    load->hashed.key.sk.data = load->bytes + key->pk.size;
    return load;
}

static void
load_free(lki_cache *cache, lki_load *load)
{
    if (load == NULL)
        return;
    const lk_key *key = &load->hashed.key;
    lki_entry_release(cache, load->entry);
    lki_free(&cache->domain.allocator, load, sizeof *load + key->pk.size + key->sk.size);
}

/* Who leads or waits has done so. */
static bool
load_leave_latched(lki_load *load)
{
    return --load->readers == 0;
}

/* The load of a key that a read which begins now may take part in. */
static lki_load *
load_find_latched(lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed)
{
    lki_load *load = window_of(cache, shard, hashed->hash)->loads;
    for (; load != NULL; load = load->next)
        if (load->hashed.hash == hashed->hash &&
            lk_bytes_compare(load->hashed.key.pk, hashed->key.pk) == 0 &&
            lk_bytes_compare(load->hashed.key.sk, hashed->key.sk) == 0 &&
            windows_are_as(cache, shard, hashed, load->begun, load->partition_word))
            return load;
    return NULL;
}

static void
miss_decide_latched(lki_cache *cache, lki_cache_shard *shard, lki_miss *miss, lki_load *fresh,
                    int64_t now_ms)
{
    lki_entry *entry = lki_set_get(&shard->entries, &miss->hashed);
    if (entry != NULL && lki_entry_is_valid(cache, entry) &&
        !lk_has_expired(entry->fresh_until_ms, now_ms)) {
        lki_entry_hold(entry);
        miss->role = LKI_LOAD_FOUND;
        miss->entry = entry;
        return;
    }
    lki_load *running =
        cache->load_wait_ms >= 0 ? load_find_latched(cache, shard, &miss->hashed) : NULL;
    if (running != NULL) {
        running->readers++;
        miss->role = LKI_LOAD_JOINED;
        miss->load = running;
        return;
    }
    window *w = window_of(cache, shard, miss->hashed.hash);
    uint64_t word = partition_word(cache, miss->hashed.key.pk);
    miss->role = LKI_LOAD_ALONE;
    if (fresh == NULL || !windows_are_as(cache, shard, &miss->hashed, w->begun, word))
        return;
    fresh->begun = w->begun;
    fresh->partition_word = word;
    fresh->next = w->loads;
    w->loads = fresh;
    miss->role = LKI_LOAD_LEADS;
    miss->load = fresh;
}

void
lki_load_begin(lki_cache *cache, lki_thread *thread, lki_miss *miss, int64_t now_ms)
{
    lki_cache_shard *shard = shard_of(cache, miss->hashed.hash);
    lki_load *fresh = load_new(cache, &miss->hashed);
    miss->load = NULL;
    miss->entry = NULL;
    lki_latch_take(&shard->latch, thread);
    miss_decide_latched(cache, shard, miss, fresh, now_ms);
    lki_latch_drop(&shard->latch);
    if (miss->role != LKI_LOAD_LEADS)
        load_free(cache, fresh);
    lki_count(thread, LKI_LOADS_JOINED, miss->role == LKI_LOAD_JOINED);
}

/* A queue may yet give such a key to a job that nobody names beforehand: that there is none is not
 * remembered. */
static bool
absence_is_kept(const lki_cache *cache, const lk_key *key)
{
    return cache->keep_missing && key->sk.size != LK_ULID_SIZE;
}

/* What those who wait are told. What one thread lacks memory for, the next may have; and a queue may
 * have given such a key to a job since. They ask for themselves. */
static lk_status
load_answer(const lki_load *load, lk_status status, const lki_entry *entry)
{
    bool ask = status == LK_NO_MEMORY || (status == LK_OK && entry == NULL) ||
               (status == LK_NOT_FOUND && load->hashed.key.sk.size == LK_ULID_SIZE);
    return ask ? LK_RACE : status;
}

void
lki_load_end(lki_cache *cache, lki_thread *thread, lki_miss *miss, lk_status status,
             const lk_item *item, int64_t now_ms)
{
    lki_load *load = miss->load;
    if (miss->role != LKI_LOAD_LEADS)
        return;
    const lki_hashed *hashed = &load->hashed;
    lki_cache_shard *shard = shard_of(cache, hashed->hash);
    bool wanted =
        status == LK_OK || (status == LK_NOT_FOUND && absence_is_kept(cache, &load->hashed.key));
    lki_entry *entry = wanted ? entry_new(cache, hashed, status == LK_OK ? item : NULL,
                                          load->partition_word, now_ms)
                              : NULL;
    bool bounded = lki_memory_is_bounded(thread), kept = false;
    lki_write_enter(thread);
    lki_latch_take(&shard->latch, thread);
    lki_load **link = &window_of(cache, shard, hashed->hash)->loads;
    while (*link != load)
        link = &(*link)->next;
    *link = load->next;
    lki_entry *old = lki_set_get(&shard->entries, hashed);
    if (entry != NULL && bounded &&
        windows_are_as(cache, shard, hashed, load->begun, load->partition_word))
        kept = entry_enter_latched(cache, shard, thread, hashed->hash, entry, old);
    load->status = load_answer(load, status, entry);
    load->entry = entry;
    load->ended = true;
    bool last = load_leave_latched(load);
    if (!last)
        pthread_cond_broadcast(&shard->ended);
    lki_latch_drop(&shard->latch);
    lki_write_leave(thread);
    lki_count(thread, LKI_FILLS_DROPPED, wanted && !kept);
    if (last)
        load_free(cache, load);
}

static struct timespec
moment_after(int64_t ms)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    moment.tv_sec += (time_t)(ms / 1000);
    moment.tv_nsec += (long)(ms % 1000) * 1000000;
    if (moment.tv_nsec >= 1000000000) {
        moment.tv_sec++;
        moment.tv_nsec -= 1000000000;
    }
    return moment;
}

lk_status
lki_load_wait(lki_cache *cache, lki_miss *miss)
{
    lki_cache_shard *shard = shard_of(cache, miss->hashed.hash);
    lki_load *load = miss->load;
    struct timespec until = moment_after(cache->load_wait_ms);
    lk_status status = LK_RACE;
    pthread_mutex_lock(&shard->latch);
    while (!load->ended && pthread_cond_timedwait(&shard->ended, &shard->latch, &until) == 0)
        ;
    if (load->ended) {
        status = load->status;
        miss->entry = status == LK_OK ? load->entry : NULL;
        if (miss->entry != NULL)
            lki_entry_hold(miss->entry);
    }
    bool last = load_leave_latched(load);
    pthread_mutex_unlock(&shard->latch);
    if (last)
        load_free(cache, load);
    return status;
}

/* ---- writes ---- */

void
lki_flight_begin(lki_cache *cache, lki_thread *thread, lki_flight *flight, const lki_hashed *hashed)
{
    lki_cache_shard *shard = shard_of(cache, hashed->hash);
    flight->hash = hashed->hash;
    flight->partition_word = partition_word(cache, hashed->key.pk);
    lki_latch_take(&shard->latch, thread);
    window *w = window_of(cache, shard, hashed->hash);
    flight->begun = ++w->begun;
    flight->alone = ++w->open == 1;
    flight->entry = lki_set_get(&shard->entries, hashed);
    if (flight->entry != NULL) {
        lki_entry_hold(flight->entry);
        lki_store_seq_cst(&flight->entry->stale, 1); /* P17: before the database is written to */
    }
    lki_latch_drop(&shard->latch);
}

void
lki_flight_end(lki_cache *cache, lki_thread *thread, const lki_flight *flight, const lk_item *item,
               int64_t now_ms)
{
    lki_hashed hashed = {.hash = flight->hash};
    lki_cache_shard *shard = shard_of(cache, hashed.hash);
    lki_entry *entry = NULL;
    if (flight->entry != NULL)
        hashed.key = lki_entry_key(flight->entry);
    if (item != NULL && flight->entry != NULL && flight->alone && lki_memory_is_bounded(thread))
        entry = entry_new(cache, &hashed, item, flight->partition_word, now_ms);
    lki_write_enter(thread);
    lki_latch_take(&shard->latch, thread);
    window_of(cache, shard, hashed.hash)->open--;
    lki_entry *old = flight->entry != NULL ? lki_set_get(&shard->entries, &hashed) : NULL;
    if (old != NULL) {
        bool met = !windows_are_as(cache, shard, &hashed, flight->begun, flight->partition_word);
        if (entry == NULL || met)
            entry_remove_latched(shard, thread, old);
        else
            (void)entry_enter_latched(cache, shard, thread, hashed.hash, entry, old);
    }
    lki_latch_drop(&shard->latch);
    lki_write_leave(thread);
    lki_entry_release(cache, entry); /* the table has its own */
    lki_entry_release(cache, flight->entry);
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

/* The part of shard `i`; the first ones take what is left over. */
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
    lki_latch_init(&shard->latch);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&shard->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    shard->policy.exact_lru = cache->exact_lru;
    shard->policy.max_items = part_of(o->max_items, shards, i);
    shard->policy.max_bytes = part_of(o->max_bytes, shards, i);
    shard->windows =
        lki_alloc_zeroed(&cache->domain.allocator, windows_each(cache) * sizeof(window));
    return lki_set_open(&shard->entries, &cache->domain.allocator, &cache->lookaside[i],
                        entry_is) &&
           shard->windows != NULL;
}

lk_status
lki_cache_open(const lk_cache_options *o, lki_cache **opened)
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
    cache->domain.dispose[LKI_CELL] = entry_dispose;
    cache->domain.max_retired_bytes = RETIRED_BYTES;
    cache->domain.monotonic_ms = lki_monotonic_ms;
    lki_domain_open(&cache->domain);
    cache->lookaside = lki_alloc_lines(allocator, shards * sizeof *cache->lookaside);
    cache->shards = lki_alloc_lines(allocator, shards * sizeof *cache->shards);
    cache->partitions =
        lki_alloc_zeroed(allocator, LKI_CACHE_PARTITIONS * sizeof *cache->partitions);
    bool whole = cache->lookaside != NULL && cache->shards != NULL && cache->partitions != NULL &&
                 lki_secret_draw(&cache->secret);
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
    enum { ROOM = 64 };
    void *objects[ROOM];
    size_t offset = 0, count;
    while ((count = lki_set_walk(&shard->entries, &offset, objects, ROOM)) != 0)
        for (size_t i = 0; i < count; i++)
            lki_entry_release(cache, objects[i]);
    if (shard->entries.allocator != NULL)
        lki_set_close(&shard->entries);
    lki_policy_close(&shard->policy, &cache->domain.allocator);
    lki_free(&cache->domain.allocator, shard->windows, windows_each(cache) * sizeof(window));
}

void
lki_cache_close(lki_cache *cache)
{
    size_t shards = (size_t)1 << cache->shard_bits;
    const lki_allocator allocator = cache->domain.allocator;
    lki_domain_close(&cache->domain);
    for (size_t i = 0; cache->shards != NULL && i < shards; i++)
        shard_close(cache, &cache->shards[i]);
    lki_free_lines(&allocator, cache->lookaside, shards * sizeof *cache->lookaside);
    lki_free_lines(&allocator, cache->shards, shards * sizeof *cache->shards);
    lki_free(&allocator, cache->partitions, LKI_CACHE_PARTITIONS * sizeof *cache->partitions);
    lki_free_lines(NULL, cache, sizeof *cache);
}

void
lki_cache_statistics(lki_cache *cache, lk_statistics *statistics)
{
    lki_reclaim_report report;
    lki_reclaim_read(&cache->domain, &report);
    uint64_t gets = report.counter[LKI_GETS], hits = report.counter[LKI_HITS];
    statistics->cache_hits = hits;
    /* A thread may have counted both between the looks at the one and at the other. */
    statistics->cache_misses = gets > hits ? gets - hits : 0;
    statistics->cache_evictions = report.counter[LKI_EVICTIONS];
    statistics->cache_joined = report.counter[LKI_LOADS_JOINED];
    statistics->cache_dropped = report.counter[LKI_FILLS_DROPPED];
    statistics->cache_items = statistics->cache_bytes = 0; /* those of a cache behind this one */
    for (size_t i = 0; i < (size_t)1 << cache->shard_bits; i++) {
        lki_cache_shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->latch);
        statistics->cache_items += shard->policy.count;
        statistics->cache_bytes += shard->policy.bytes;
        pthread_mutex_unlock(&shard->latch);
    }
}
