/* SPDX-License-Identifier: MIT
 *
 * The store: what its rooms share. One struct, set up by store.c, read by all.
 *
 *   shard.c      sets of cells and of partitions, and their latches
 *   cell.c       makes a cell for a new key and enters it, index first
 *   record.c     heads and records: resolve, install, stamp
 *   read.c       get, get_into, view, get_many, get_locked
 *   write.c      set, delete
 *   commit.c     several keys in one step
 *   lock.c       get_lock
 *   query.c      ordered reads over index.c
 *   removal.c    burial of cells in two grace periods
 *   sweep.c      expiry
 */
#ifndef LKI_STORE_STORE_H
#define LKI_STORE_STORE_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/latch.h"
#include "base/reclaim.h"
#include "base/scratch.h"
#include "base/set.h"
#include "base/stock.h"
#include "base/ulid.h"
#include "store/cell.h"
#include "store/hooks.h"
#include "store/index.h"

typedef struct lki_shard lki_shard;

enum { LKI_PARTITION_LATCHES = 256, LKI_INLINE_MAX = 256 };

struct lki_partition {
    uint32_t hash;    /* [const] half of the hash of pk */
    uint16_t pk_size; /* [const] */
    bool dead;        /* [latch] of the partition: out of use, on its way out of the set */
    lki_index index;
    _Atomic(lki_queue *)
        queue;          /* [P13] of its queue; NULL: none. Written under the partition's latch */
    unsigned char pk[]; /* [const] */
};

/* What a sweep knows; see sweep.c. */
typedef struct lki_sweep_state {
    _Atomic(int64_t)
        earliest_ms;          /* [stat] no expiry before this is left over from earlier rounds */
    _Atomic(uint32_t) active; /* [stat] a round is under way */
    _Atomic(uint64_t) expiring __attribute__((
        aligned(LKI_LINE))); /* [stat] expiring writes since the round began, roughly */
    _Atomic(int64_t) lag_ms; /* [stat] of the last whole round */
    lki_latch latch;         /* who holds it sweeps */
    lki_set_position at;     /* [latch] */
    bool running;            /* [latch] a round is under way */
    int64_t round_lag_ms;    /* [latch] */
    int64_t round_began_ms;  /* [latch] */
} lki_sweep_state;

struct lki_store {
    lki_domain domain;
    /* [const] from here */
    lki_secret secret;
    unsigned shard_bits;
    size_t max_pk_size, max_sk_size, max_data_size;
    lk_clock realtime_ms;
    lk_clock precise_ms; /* where realtime_ms lags by up to LKI_COARSE_LAG_MS; NULL: it does not */
    lk_clock monotonic_ms, monotonic_precise_ms; /* the same for the monotonic clock */
    int64_t monotonic_base_ms;                   /* two before the store was opened */
    void *clock_context;
    unsigned char ulid_mark[3]; /* in every sk that this store generates */
    int64_t lock_ttl_ms, lock_refresh_ms;
    int64_t sweep_interval_ms;
    lki_shard *shards;
    lki_latch partition_latch[LKI_PARTITION_LATCHES]; /* by hash of the pk: guards index writers */
    void *sweeper;                                    /* of the background thread; NULL: none */
    bool closing;                                     /* no other thread is there any more */
    const lki_hooks *hooks;                           /* never NULL */
    lki_sweep_state sweep;
    _Atomic(uint32_t) has_locks; /* [stat] one was made: cells that come have room for theirs */
    lki_set cells __attribute__((aligned(LKI_LINE))), partitions;
    /* The clock of stamps. Advanced only by those who take a snapshot. */
    _Atomic(uint64_t) clock __attribute__((aligned(LKI_LINE))); /* [P2] */
};

LKI_INLINE lki_store *
lki_thread_store(lki_thread *thread)
{
    return thread->domain->store;
}

LKI_INLINE int64_t
lki_now(const lki_store *store)
{
    return store->realtime_ms(store->clock_context);
}

LKI_INLINE int64_t
lki_now_precise(const lki_store *store)
{
    return (store->precise_ms != NULL ? store->precise_ms
                                      : store->realtime_ms)(store->clock_context);
}

/* The one `now` of a call; zero: not read yet. What a read returns is one instant also as to
 * expiry only if this is read after the records were chosen: else the sweep may bury one of two
 * items that expire together, and the other still counts. */
typedef struct lki_time {
    int64_t ms;
    bool read, precise;
} lki_time;

/* Is a deadline behind us? Near it a clock that lags is not enough; the precise one is read
 * once. */
LKI_INLINE bool
lki_is_past(const lki_store *store, lki_time *now, int64_t deadline)
{
    if (!now->read)
        *now = (lki_time){lki_now(store), true, store->precise_ms == NULL};
    if (LKI_UNLIKELY(!now->precise && now->ms <= deadline &&
                     deadline - LKI_COARSE_LAG_MS < now->ms))
        *now = (lki_time){store->precise_ms(store->clock_context), true, true};
    return now->ms > deadline;
}

LKI_INLINE int64_t
lki_lock_deadline(const lki_store *store, int64_t now_ms)
{
    return now_ms > INT64_MAX - store->lock_ttl_ms ? INT64_MAX : now_ms + store->lock_ttl_ms;
}

LKI_INLINE lki_latch *
lki_partition_latch(lki_store *store, const lki_partition *partition)
{
    return &store->partition_latch[partition->hash % LKI_PARTITION_LATCHES];
}

/* `options` are checked, and their defaults filled in. `hooks` outlives the store. */
lk_status lki_store_open(const lk_memory_options *options, const lki_hooks *hooks,
                         lki_store **store);
void lki_store_close(lki_store *store);
void lki_store_statistics(lki_store *store, lk_statistics *statistics);

/* ---- cell.c ---- */

/* The cell of a key, made where there is none; room for `data_size` bytes of record inside a new
 * one (0: none). `looked`: the caller has just found none. Caller: in a write section. LK_OK, LK_NO_MEMORY;
 * LK_BUSY: a queue is about to give the key to a job of its own. */
lk_status lki_cell_find_or_create(lki_store *store, lki_thread *thread, const lki_hashed *hashed,
                                  size_t data_size, bool looked, lki_cell **cell);
/* Is the cell out of the table? */
bool lki_cell_is_dead(const lki_cell *cell);
bool lki_cell_dispose(lki_thread *thread, void *object);
/* The memory of a cell alone. */
LKI_INLINE void
lki_cell_free(const lki_allocator *allocator, lki_cell *cell)
{
    unsigned flags = lki_load_relaxed(lki_cell_flags(cell)); /* these two never change */
    if ((flags & LKI_CELL_SLAB) != 0)
        return;
    if ((flags & LKI_CELL_QUEUE) != 0)
        lki_chunk_release(allocator, cell, lki_cell_size(cell));
    else
        lki_free(allocator, cell, lki_cell_size(cell));
}
uint64_t lki_cell_hash(lki_store *store, const lki_cell *cell);
/* Cells that enter neither the set nor the index; the sk, of the size of an ULID, is left to be filled
 * in. In memory of the caller's, of at least that size, with the record for the item inside; or apart,
 * with room for a record: NULL: no memory. */
LKI_INLINE size_t
lki_cell_room_in_queue(const lk_item *item)
{
    size_t payload = item->data.size + (item->expires_at_ms != 0 ? 8 : 0);
    return payload <= LKI_INLINE_MAX ? (payload + 7) & ~(size_t)7 : 0;
}
LKI_INLINE size_t
lki_cell_size_in_queue(const lk_item *item)
{
    return lki_cell_size_of(item->key.pk.size, LK_ULID_SIZE, lki_cell_room_in_queue(item));
}
void lki_cell_make_in_slab(lki_cell *cell, const lk_item *item);
lki_cell *lki_cell_new_in_queue(lki_thread *thread, const lk_item *item);
/* The partition of a pk, made where there is none. NULL: no memory. Caller: in a write section. */
void lki_partition_bury_if_empty(lki_store *store, lki_thread *thread, lki_partition *partition);
/* Waits until whoever is taking something of this hash out of a set has done so. */
void lki_shard_wait(lki_store *store, lki_thread *thread, uint64_t hash);
lki_partition *lki_partition_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk);
bool lki_partition_dispose(lki_thread *thread, void *object);

/* ---- read.c, query.c ---- */

/* Where a read found an item: valid in the section. */
typedef struct lki_found {
    const lki_cell *cell;
    const lki_record *record; /* NULL: no item */
} lki_found;

/* The records of `count` keys at one instant; see read.c. Caller: in a section. */
typedef struct lki_seen {
    lki_hashed hashed;
    lki_cell *cell;     /* NULL: there is none */
    lki_record *record; /* which counts, be it a live item or not; NULL: none */
} lki_seen;
void lki_read_many(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                   size_t count);
/* The same of keys that have fresh locks, whose items do not expire before; *bytes: of the items and their
 * keys. False: one has none. */
bool lki_read_locked(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                     size_t count, size_t *bytes);

/* One page of a query: up to `limit` live items from about `max_cells` cells, and up to the
 * one that exceeds `max_bytes` of data, at the end of `into`, which is empty; all share one copy of the
 * pk. Where there may be more, the sk to go on behind. Caller: in a section. LK_OK, LK_NO_MEMORY. */
typedef struct lki_page {
    const lk_query *query;
    bool has_after; /* query->after counts, be it empty */
    size_t limit, max_cells, max_bytes;
    lk_result *into;
} lki_page;
lk_status lki_query_page(lki_store *store, lki_thread *thread, lki_page *page);

#endif
