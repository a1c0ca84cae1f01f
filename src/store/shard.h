/* SPDX-License-Identifier: MIT
 *
 * Shards: a shard is a part of all keys, by hash. It has a latch, for adding and removing cells and
 * partitions, and a floor of versions. The set of cells is one for all shards.
 *
 * Finding never waits; adding and removing take the shard's latch.
 */
#ifndef LKI_STORE_SHARD_H
#define LKI_STORE_SHARD_H

#include "base/set.h"
#include "store/store.h"

/* `expected`: number of cells for which room is made. */
lk_status lki_shards_open(lki_store *store, size_t shards, uint64_t expected);
/* The cells were freed before; no other thread uses the store. */
void lki_shards_close(lki_store *store);

/* The latch of the shard of a hash (its first bits). */
lki_latch *lki_shard_latch(lki_store *store, uint64_t hash);
lki_cell *lki_shard_get_slow(lki_store *store, const lki_hashed *hashed);

/* Add and remove a cell. Caller: holds the shard's latch, is in a write section with 4 retirements
 * reserved. */
lki_set_added lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell,
                                    uint64_t hash);
void lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash);
/* Waits until a thread that is removing an object of this hash has finished, by taking the
 * latch. */
void lki_shard_wait(lki_store *store, lki_thread *thread, uint64_t hash);

/* The full hash of a cell's key. */
uint64_t lki_cell_hash(lki_store *store, const lki_cell *cell);

/* The floor of versions: new locks of this shard's keys exceed it. A key whose lock is gone, and
 * that has no tombstone any more, never had a greater version. */
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

/* The cell of a key in the set; NULL: none. Caller: in a section. */
LKI_INLINE lki_cell *
lki_shard_find_in(lki_store *store, lki_bucket *bucket, const lki_hashed *hashed)
{
    bool final;
    lki_cell *cell = lki_bucket_find(bucket, hashed, LKI_CELL_HEADER, &final);
    if (LKI_LIKELY(cell != NULL || final))
        return cell;
    const lki_hashed copy = *hashed; /* so that the caller's can stay in registers */
    return lki_shard_get_slow(store, &copy);
}

LKI_INLINE lki_cell *
lki_shard_find(lki_store *store, const lki_hashed *hashed)
{
    return lki_shard_find_in(store, lki_shard_bucket(store, hashed->hash), hashed);
}

#endif
