/* SPDX-License-Identifier: MIT
 *
 * Shards: the sets of cells and of partitions (ck_hs, one writer each, under the shard's latch), and in front of the cells a
 * lookaside that readers probe inline. Finding never waits; adding and removing take the shard's latch.
 */
#ifndef LKI_STORE_SHARD_H
#define LKI_STORE_SHARD_H

#include "store/store.h"

/* A word of the lookaside, and of the set: 16 bits of the hash above a pointer of 48. */
#define LKI_POINTER_MASK ((uint64_t)0x0000fffffffffff8)
#define LKI_BUCKET_FULL ((uint64_t)1) /* in the first word: some cell of this bucket is in the set alone */
enum { LKI_BUCKET_WORDS = 8 };

lk_status lki_shards_open(lki_store *store, size_t shards);
/* Frees all cells, records, partitions and sets; no other thread is there. */
void lki_shards_close(lki_store *store);

lki_latch *lki_shard_latch(lki_store *store, uint64_t hash);
lki_cell *lki_shard_get_slow(lki_store *store, const lki_hashed *hashed);

/* Caller of these: holds the shard's latch, is in a write section with 4 retirements reserved. Add: false: no memory,
 * nothing changed. */
bool lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash);
void lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash);
lki_partition *lki_shard_partition(lki_store *store, lk_bytes pk, uint64_t hash);
bool lki_shard_add_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition, uint64_t hash);
void lki_shard_remove_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition, uint64_t hash);

/* The highest version that a lock of a removed cell of this shard ever had; versions of new locks exceed it. */
uint64_t lki_shard_floor(lki_store *store, uint64_t hash);
void lki_shard_raise_floor_latched(lki_store *store, uint64_t hash, uint64_t version);

/* Up to `room` cells of shard `shard` from position *offset on; fewer only at its end. Caller: in a section. */
size_t lki_shard_walk(lki_store *store, size_t shard, size_t *offset, lki_cell **cells, size_t room);
size_t lki_shard_count(const lki_store *store);
/* Changes when a walk's positions lose their meaning. */
size_t lki_shard_generation(const lki_store *store, size_t shard);

LKI_INLINE size_t
lki_shard_number(const lki_store *store, uint64_t hash)
{
    return (size_t)(hash >> 1 >> (63 - store->shard_bits));
}

/* Never 0, so that an empty word matches nothing. */
LKI_INLINE uint64_t
lki_shard_tag(uint64_t hash)
{
    return (hash >> 32 & 0xffff) | 1;
}

LKI_INLINE _Atomic(uint64_t) *
lki_shard_bucket(const lki_store *store, uint64_t hash)
{
    uintptr_t word = lki_load_acquire(&store->lookaside[lki_shard_number(store, hash)]); /* P3 */
    _Atomic(uint64_t) *buckets = (_Atomic(uint64_t) *)(word & ~(uintptr_t)63);
    return buckets + ((hash & 0xffffffff) & (((uint64_t)1 << (word & 63)) - 1)) * LKI_BUCKET_WORDS;
}

LKI_INLINE bool
lki_cell_is(const lki_cell *cell, const lki_hashed *hashed)
{
    const lk_key *key = &hashed->key;
    return cell->hash == (uint32_t)hashed->hash && cell->pk_size == key->pk.size && cell->sk_size == key->sk.size &&
           lki_bytes_equal(cell->bytes, key->pk.data, key->pk.size) &&
           lki_bytes_equal(cell->bytes + key->pk.size, key->sk.data, key->sk.size);
}

/* The cell that a bucket's line names first for this tag, unverified; for prefetching. */
LKI_INLINE lki_cell *
lki_bucket_guess(_Atomic(uint64_t) *bucket, uint64_t tag)
{
    uint64_t guess = 0;
    for (unsigned i = 0; i < LKI_BUCKET_WORDS; i++) {
        uint64_t word = lki_load_relaxed(&bucket[i]); /* dereferenced by no one before P3's load */
        guess = word >> 48 == tag ? word : guess;
    }
    return (lki_cell *)(guess & LKI_POINTER_MASK);
}

/* The cell of a key, or NULL. Caller: in a section. Without a branch that depends on the position in the bucket: a wrong
 * guess there would throw away the next call, which an out-of-order core has begun meanwhile. */
LKI_INLINE lki_cell *
lki_shard_find_in(lki_store *store, _Atomic(uint64_t) *bucket, const lki_hashed *hashed)
{
    uint64_t tag = lki_shard_tag(hashed->hash);
    unsigned matches = 0;
    for (unsigned i = 0; i < LKI_BUCKET_WORDS; i++)
        matches |= (unsigned)(lki_load_acquire(&bucket[i]) >> 48 == tag) << i; /* P3 */
    while (matches != 0) {
        uint64_t word = lki_load_acquire(&bucket[__builtin_ctz(matches)]); /* P3: release in lookaside_put */
        lki_cell *cell = (lki_cell *)(word & LKI_POINTER_MASK);
        if (LKI_LIKELY(cell != NULL && lki_cell_is(cell, hashed)))
            return cell;
        matches &= matches - 1;
    }
    if (LKI_LIKELY((lki_load_acquire(&bucket[0]) & LKI_BUCKET_FULL) == 0))
        return NULL;
    return lki_shard_get_slow(store, hashed);
}

LKI_INLINE lki_cell *
lki_shard_find(lki_store *store, const lki_hashed *hashed)
{
    return lki_shard_find_in(store, lki_shard_bucket(store, hashed->hash), hashed);
}

#endif
