/* SPDX-License-Identifier: MIT
 *
 * The set of cells, and the shards, whose latches cover it, and the set of partitions, by hash.
 * Finding never waits; adding and removing take the shard's latch.
 */
#ifndef LKI_STORE_SHARD_H
#define LKI_STORE_SHARD_H

#include "base/set.h"
#include "store/store.h"

/* `expected`: how many cells. */
lk_status lki_shards_open(lki_store *store, size_t shards, uint64_t expected);
/* All cells are freed; no other thread is there. */
void lki_shards_close(lki_store *store);

/* A shard is found by the first bits of a hash. */
lki_latch *lki_shard_latch(lki_store *store, uint64_t hash);
lki_cell *lki_shard_get_slow(lki_store *store, const lki_hashed *hashed);

/* Caller of these: holds the shard's latch, is in a write section with 4 retirements reserved.
 * Add: false: no memory, nothing changed. */
lki_set_added lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell,
                                    uint64_t hash);
void lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash);
/* Waits until whoever is taking something of this hash out of a set has done so. */
void lki_shard_wait(lki_store *store, lki_thread *thread, uint64_t hash);

/* The whole hash of a cell's key. */
uint64_t lki_cell_hash(lki_store *store, const lki_cell *cell);

/* A version that new locks of this shard's keys exceed: no key whose lock is gone, and of which no
 * tombstone is there any more, ever had a greater one. */
uint64_t lki_shard_floor(lki_store *store, uint64_t hash);
void lki_shard_raise_floor(lki_store *store, uint64_t hash, uint64_t version);

size_t lki_shard_count(const lki_store *store);

LKI_INLINE size_t
lki_shard_number(const lki_store *store, uint64_t hash)
{
    return (size_t)(hash >> 1 >> (63 - store->shard_bits));
}

LKI_INLINE lki_bucket *
lki_shard_bucket(const lki_store *store, uint64_t hash)
{
    return lki_set_bucket(&store->cells, hash);
}

/* The cell of a key, or NULL. Caller: in a section. */
LKI_INLINE lki_cell *
lki_shard_find_in(lki_store *store, lki_bucket *bucket, const lki_hashed *hashed)
{
    bool final;
    lki_cell *cell = lki_bucket_find(bucket, hashed, LKI_CELL_HEADER, &final);
    if (LKI_LIKELY(cell != NULL || final))
        return cell;
    const lki_hashed copy = *hashed; /* so that the caller's is in registers */
    return lki_shard_get_slow(store, &copy);
}

LKI_INLINE lki_cell *
lki_shard_find(lki_store *store, const lki_hashed *hashed)
{
    return lki_shard_find_in(store, lki_shard_bucket(store, hashed->hash), hashed);
}

#endif
