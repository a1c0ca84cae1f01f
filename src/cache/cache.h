/* SPDX-License-Identifier: MIT
 *
 * The table of a cache: entries that stand for what a database said of their keys, found without
 * waiting, thrown out by a policy, and never older than a write that went through the cache. Called
 * by adapter/cache_db.c, which knows the database; nothing here does.
 *
 * ENTRIES are immutable but for a mark and two counters. Whoever finds one in a section may copy it
 * if lki_cached_is_valid says so.
 *
 * WINDOWS keep reads and writes of one key apart. A write opens the key's window before it goes to
 * the database and closes it afterwards; opening also marks the entry stale, so from before the write
 * until after it all reads go to the database. What was read from the database, and what was written,
 * becomes an entry only if its own time in the database met no write's: no window was open when it
 * began, and none has been opened until it is entered. Windows are shared by keys of a like hash: a
 * stranger's write costs an entry, never a wrong one. A partition has a window too, for calls that
 * change items that they do not name; its word is remembered by each entry of the partition.
 *
 * LOADS A read that misses leads the load of its key: others that miss meanwhile wait for its answer,
 * unless a write came in between. A load that somebody has waited for in vain is late: nobody joins it
 * any more, and who waited leads one of his own. Of several loads of a key the first answer is kept;
 * what began before that is not. Ages count on the monotonic clock, from before the database was asked.
 *
 * RE-ENTRANCE A database may use the cache in front of it inside its operations. Such a read is not
 * patient: the load that it would wait for may be its own thread's, or wait for it.
 *
 * Guarantees  With all writes through the cache a find is linearizable for each key: it never returns
 *             less than a write that had ended before it began, and two finds never go back in time.
 * Progress    lki_cache_find: wait-free, no latch; it stores at most one bit, and only into a byte of
 *             the entry (exact LRU: a time). All else takes the latch of one shard, briefly, and
 *             never while the database is asked. Waiting for another's load ends after load_wait_ms.
 * Invariants  I-cache1: what is valid in the table was the database's answer at some instant after
 *             the last closed window of its key. I-cache2: a shard holds at most its part of items
 *             and bytes. I-cache3: each entry of the set is in one list of the policy.
 * Ordering    P17, P18: see table.c. Model: tests/model/cache.pml.
 */
#ifndef LKI_CACHE_CACHE_H
#define LKI_CACHE_CACHE_H

#include <latchkey/adapter.h>

#include "base/clock.h"
#include "base/latch.h"
#include "base/set.h"

typedef struct lki_cached lki_cached;
struct lki_cached {
    lki_keyed keyed;
    uint32_t data_size;      /* [const] */
    bool absent;             /* [const] the database has no such item */
    uint8_t list;            /* [latch] which one of the policy; see policy.h */
    _Atomic(uint8_t) stale;  /* [P17] */
    _Atomic(uint8_t) hits;   /* [stat] the lower bits: as many as there were hits, up to two */
    int64_t expires_at_ms;   /* [const] of the item */
    int64_t read_at_ms;      /* [const] monotonic; where there is a max_age_ms */
    uint64_t partition_word; /* [const] of its partition's window when it was read */
    uint16_t partition;      /* [const] number of that window */
    bool plain; /* [const] an item of which time tells nothing: no expiry, no max_age_ms */
    _Atomic(uint32_t) references; /* the table's, and one for each load or read that keeps it */
    union {
        struct {
            lki_cached *newer, *older; /* [latch] */
        };
        struct {                    /* exact LRU */
            _Atomic(uint64_t) used; /* [stat] when it was found last */
            uint64_t place;         /* [latch] in the heap */
        };
    };
    uint64_t ranked; /* [latch] exact LRU: `used` as the heap knows it */
    /* pk, sk, data */
    unsigned char bytes[];
};
enum { LKI_CACHED_HEADER = 72 };
_Static_assert(sizeof(lki_cached) == LKI_CACHED_HEADER, "bytes begin behind the header");

typedef struct lki_cache_shard lki_cache_shard;
enum { LKI_CACHE_PARTITIONS = 4096 };

typedef struct lki_cache {
    lki_domain domain;
    /* [const] from here */
    lki_secret secret;
    void *owner; /* who made it */
    unsigned shard_bits;
    bool keep_missing, exact_lru;
    int64_t max_age_ms;
    int64_t load_wait_ms;
    lki_cache_shard *shards;
    _Atomic(int64_t) *unsettled_until_ms; /* of partitions: a call may take effect until then */
    lki_set entries __attribute__((aligned(LKI_LINE)));
    _Atomic(uint64_t) tick __attribute__((aligned(LKI_LINE))); /* [stat] exact LRU: of finds */
    /* [P18] windows of partitions: begun << 16 | open */
    _Atomic(uint64_t) partitions[LKI_CACHE_PARTITIONS] __attribute__((aligned(LKI_LINE)));
} lki_cache;

/* `options` checked; `of`: whose clocks are used. LK_OK, LK_NO_MEMORY. */
lk_status lki_cache_open(const lk_cache_options *options, const lk_adapter *of, lki_cache **cache);
void lki_cache_close(lki_cache *cache); /* no other thread is there */
void lki_cache_statistics(lki_cache *cache, lk_statistics *statistics);

/* ---- finding ---- */

LKI_INLINE const unsigned char *
lki_cached_data(const lki_cached *entry)
{
    return entry->bytes + entry->keyed.pk_size + entry->keyed.sk_size;
}

LKI_INLINE size_t
lki_cached_size(const lki_cached *entry)
{
    return LKI_CACHED_HEADER + (size_t)entry->keyed.pk_size + entry->keyed.sk_size +
           entry->data_size;
}

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

/* For the age of what is read or written from now on. */
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

/* Not overtaken by a write? Its time is the caller's to judge. */
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

/* It was found: tells the policy. Lost updates cost a little of its judgement. */
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

/* Keeps an entry beyond the section in which it was found. */
LKI_INLINE void
lki_cached_hold(lki_cached *entry)
{
    lki_add_relaxed(&entry->references, 1); /* in a section: it has at least the table's */
}
void lki_cached_release(lki_cache *cache, lki_cached *entry);

/* ---- reading from the database ---- */

enum lki_load_role {
    LKI_LOAD_FOUND,  /* `entry` has come meanwhile; held */
    LKI_LOAD_LEADS,  /* ask the database, then lki_load_end */
    LKI_LOAD_ALONE,  /* the same; a write is under way, or there was no memory: it is not kept */
    LKI_LOAD_JOINED, /* another one asks: lki_load_wait, after all own loads have ended */
    LKI_LOAD_VAIN,   /* it has no answer: lki_load_begin again, but not patient */
    LKI_LOAD_ENDED   /* this read has asked */
};

typedef struct lki_load lki_load;

/* A read of one key that missed; on the stack of a call. */
typedef struct lki_miss {
    lki_hashed hashed;
    enum lki_load_role role;
    lki_load *load;    /* LEADS, JOINED */
    lki_cached *entry; /* FOUND; the caller releases it */
} lki_miss;

/* Of miss->hashed: sets the rest. `patient`: it may join another's load. `now_ms`: of the database's
 * realtime clock. Loads that one call of the database answers have one thread->asks.
 * Caller: not in a section. */
void lki_load_begin(lki_cache *cache, lki_thread *thread, lki_miss *miss, bool patient,
                    int64_t now_ms);
/* The database's answer: LK_OK with the item, LK_NOT_FOUND, or a fault; LK_RACE: there is none, who waits
 * asks himself. Wakes who waits; keeps it if it may. The role is ENDED. */
void lki_load_end(lki_cache *cache, lki_thread *thread, lki_miss *miss, lk_status status,
                  const lk_item *item);
/* The answer to another's question, waited for until then (of the system's monotonic clock). LK_OK:
 * miss->entry, which the caller releases. LK_NOT_FOUND, or the fault. LK_RACE: there is none, and the
 * role is VAIN. until_ms 0: only leaves the load. No point of cancellation: it holds the latch. */
lk_status lki_load_wait(lki_cache *cache, lki_miss *miss, int64_t until_ms);
/* Until when a call that begins to wait now waits, for all its loads. */
int64_t lki_load_deadline(const lki_cache *cache);

/* ---- writing to the database ---- */

/* A write of one key; on the stack of a call. Holds what it needs: the key's bytes may change while
 * the database works. */
typedef struct lki_flight {
    uint64_t hash;
    uint64_t begun, partition_word; /* windows as they were then */
    lki_cached *entry;              /* the key's, stale now; held. NULL: there was none */
    bool alone;                     /* no other write was under way */
} lki_flight;

void lki_flight_begin(lki_cache *cache, lki_thread *thread, lki_flight *flight,
                      const lki_hashed *hashed);
/* `item`: what the key now holds; NULL: unknown, or nothing. `unsettled`: the write may yet take effect
 * (LK_UNKNOWN): nothing of the key is kept for LK_UNKNOWN_SETTLES_MS. `read_at_ms`: from before the
 * write. */
void lki_flight_end(lki_cache *cache, lki_thread *thread, const lki_flight *flight,
                    const lk_item *item, bool unsettled, int64_t read_at_ms);
/* Around a call that changes items of a partition without naming them. Begin returns what end wants;
 * `unsettled` as above. */
uint32_t lki_partition_begin(lki_cache *cache, lk_bytes pk);
void lki_partition_end(lki_cache *cache, uint32_t partition, bool unsettled);

#endif
