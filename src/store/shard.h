/* SPDX-License-Identifier: MIT
 *
 * Shards: the sets of cells and of partitions (ck_hs, one writer each, under the shard's latch),
 * and in front of the cells a lookaside that readers probe inline. Finding never waits; adding and
 * removing take the shard's latch.
 */
#ifndef LKI_STORE_SHARD_H
#define LKI_STORE_SHARD_H

#include "store/store.h"

/* A bucket of the lookaside is one line: seven cells, and a word with a tag of 8 bits for each, 0
 * for an empty slot. The top byte says that some cell of this bucket is in the set alone. */
enum { LKI_BUCKET_SLOTS = 7 };
#define LKI_BUCKET_FULL ((uint64_t)1 << 56)
#define LKI_BUCKET_TAGS ((uint64_t)0x00ffffffffffffff)
#define LKI_BYTES ((uint64_t)0x0101010101010101)
typedef struct lki_bucket {
    _Atomic(uint64_t) tags;                    /* [P3] */
    _Atomic(uintptr_t) cell[LKI_BUCKET_SLOTS]; /* [P3] */
} lki_bucket;
_Static_assert(sizeof(lki_bucket) == LKI_LINE, "one line");

lk_status lki_shards_open(lki_store *store, size_t shards);
/* Frees all cells, records, partitions and sets; no other thread is there. */
void lki_shards_close(lki_store *store);
/* One cell, with what is on its heads. */
void lki_shard_cell_free(lki_store *store, lki_cell *cell);

lki_latch *lki_shard_latch(lki_store *store, uint64_t hash);
lki_cell *lki_shard_get_slow(lki_store *store, const lki_hashed *hashed);

/* Caller of these: holds the shard's latch, is in a write section with 4 retirements reserved.
 * Add: false: no memory, nothing changed. */
bool lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash);
void lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash);
lki_partition *lki_shard_partition(lki_store *store, lk_bytes pk, uint64_t hash);
bool lki_shard_add_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition,
                                     uint64_t hash);
void lki_shard_remove_partition_latched(lki_store *store, lki_thread *thread,
                                        lki_partition *partition, uint64_t hash);

/* The highest version that a lock of a removed cell of this shard ever had; versions of new locks
 * exceed it. */
uint64_t lki_shard_floor(lki_store *store, uint64_t hash);
void lki_shard_raise_floor_latched(lki_store *store, uint64_t hash, uint64_t version);

/* Up to `room` cells of shard `shard` from position *offset on; fewer only at its end. Caller: in
 * a section. */
size_t lki_shard_walk(lki_store *store, size_t shard, size_t *offset, lki_cell **cells,
                      size_t room);
size_t lki_shard_count(const lki_store *store);
/* Changes when a walk's positions lose their meaning. */
size_t lki_shard_generation(const lki_store *store, size_t shard);

LKI_INLINE size_t
lki_shard_number(const lki_store *store, uint64_t hash)
{
    return (size_t)(hash >> 1 >> (63 - store->shard_bits));
}

/* Never 0: that is an empty slot. */
LKI_INLINE uint64_t
lki_shard_tag(uint64_t hash)
{
    uint64_t tag = hash >> 32 & 0xff;
    return tag + (tag == 0);
}

LKI_INLINE lki_bucket *
lki_shard_bucket(const lki_store *store, uint64_t hash)
{
    uintptr_t word = lki_load_acquire(&store->lookaside[lki_shard_number(store, hash)]); /* P3 */
    /* Shifts take the lowest six bits of their count: the number of buckets is in those of the
     * word. */
    uint64_t mask = ((uint64_t)1 << (word & 63)) - 1;
    return (lki_bucket *)(word & ~(uintptr_t)63) + ((uint32_t)hash & mask);
}

/* Hash and sizes of a key, as the first eight bytes of its cell are. */
LKI_INLINE uint64_t
lki_cell_signature(const lki_hashed *hashed)
{
    return (uint32_t)hashed->hash | (uint64_t)hashed->key.pk.size << 32 |
           (uint64_t)hashed->key.sk.size << 48;
}

LKI_INLINE bool
lki_cell_is(const lki_cell *cell, const lki_hashed *hashed)
{
    const lk_key *key = &hashed->key;
    uint64_t signature;
    memcpy(&signature, cell, sizeof signature);
    return signature == lki_cell_signature(hashed) &&
           lki_bytes_equal(cell->bytes, key->pk.data, key->pk.size) &&
           lki_bytes_equal(cell->bytes + key->pk.size, key->sk.data, key->sk.size);
}

/* The high bit of each byte of `tags` that is equal to `tag`, and perhaps of some above the lowest
 * one of these. */
LKI_INLINE uint64_t
lki_bucket_matches(uint64_t tags, uint64_t tag)
{
    uint64_t x =
        (tags & LKI_BUCKET_TAGS) ^ (tag * (LKI_BYTES & LKI_BUCKET_TAGS)) ^ ((uint64_t)0xff << 56);
    return (x - LKI_BYTES) & ~x & (LKI_BYTES << 7);
}

/* The cell that a bucket names first for this tag, unverified; for prefetching. */
LKI_INLINE const lki_cell *
lki_bucket_guess(lki_bucket *bucket, uint64_t tag)
{
    uint64_t matches = lki_bucket_matches(lki_load_relaxed(&bucket->tags),
                                          tag); /* nobody dereferences the guess */
    return matches == 0
               ? NULL
               : (const lki_cell *)lki_load_relaxed(&bucket->cell[__builtin_ctzll(matches) >> 3]);
}

/* The cell of a key, or NULL. Caller: in a section. Without a branch that depends on the position
 * in the bucket: a wrong guess there would throw away the next call, which an out-of-order core
 * has begun meanwhile. */
LKI_INLINE lki_cell *
lki_shard_find_in(lki_store *store, lki_bucket *bucket, const lki_hashed *hashed)
{
    uint64_t tags = lki_load_acquire(&bucket->tags); /* P3: release in lookaside_put */
    uint64_t matches = lki_bucket_matches(tags, lki_shard_tag(hashed->hash));
    while (LKI_LIKELY(matches != 0)) {
        lki_cell *cell =
            (lki_cell *)lki_load_acquire(&bucket->cell[__builtin_ctzll(matches) >> 3]); /* P3 */
        /* The record inside is found through the cell's head: without these its lines would be
         * fetched after the first. */
        LKI_PREFETCH((const char *)cell + LKI_LINE);
        LKI_PREFETCH((const char *)cell + 2 * LKI_LINE);
        if (LKI_LIKELY(cell != NULL && lki_cell_is(cell, hashed)))
            return cell;
        matches &= matches - 1;
    }
    return LKI_LIKELY((tags & LKI_BUCKET_FULL) == 0) ? NULL : lki_shard_get_slow(store, hashed);
}

LKI_INLINE lki_cell *
lki_shard_find(lki_store *store, const lki_hashed *hashed)
{
    return lki_shard_find_in(store, lki_shard_bucket(store, hashed->hash), hashed);
}

#endif
