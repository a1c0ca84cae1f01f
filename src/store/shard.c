/* SPDX-License-Identifier: MIT
 *
 * Shards (shard.h): latches, floors, and the set of cells.
 *
 * Invariants  those of base/set.c.
 * Ordering    P3 (base/set.c); P7: the floor is raised to a tombstone's version before the
 *             tombstone is replaced, or its cell leaves the set. A thread that makes a lock loads
 *             the head first, then the floor. Else a version could be used again.
 */
#include "store/shard.h"

struct lki_shard {
    lki_latch latch;
    _Atomic(size_t) cells;   /* [stat] written under the latch */
    _Atomic(uint64_t) floor; /* [P7] */
} __attribute__((aligned(LKI_LINE)));

static bool
cell_is(const void *object, const lki_hashed *hashed)
{
    return lki_keyed_is(object, LKI_CELL_HEADER, hashed);
}

uint64_t
lki_cell_hash(lki_store *store, const lki_cell *cell)
{
    lk_key key = {{cell->bytes, cell->pk_size}, {lki_cell_sk(cell), cell->sk_size}};
    return lki_hash_key(&store->secret, &key);
}

static lki_shard *
shard_of(lki_store *store, uint64_t hash)
{
    return &store->shards[lki_shard_number(store, hash)];
}

lki_latch *
lki_shard_latch(lki_store *store, uint64_t hash)
{
    return &shard_of(store, hash)->latch;
}

void
lki_shard_wait(lki_store *store, lki_thread *thread, uint64_t hash)
{
    lki_latch *latch = lki_shard_latch(store, hash);
    lki_latch_take(latch, thread);
    lki_latch_drop(latch);
}

LKI_COLD lki_cell *
lki_shard_get_slow(lki_store *store, const lki_hashed *hashed)
{
    return lki_set_get(&store->cells, hashed);
}

lki_set_added
lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    LK_ASSERT(lki_latch_is_held(lki_shard_latch(store, hash)) && lki_is_reserved(thread, 4));
    lki_set_added added = lki_set_add_latched(&store->cells, thread, cell, hash);
    _Atomic(size_t) *cells = &shard_of(store, hash)->cells;
    if (added == LKI_SET_ADDED)
        lki_store_relaxed(cells, lki_load_relaxed(cells) + 1); /* a counter */
    return added;
}

void
lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    LK_ASSERT(lki_latch_is_held(lki_shard_latch(store, hash)) && lki_is_reserved(thread, 4));
    LK_ASSERT(lki_load_relaxed(&cell->item) == LKI_DEAD && cell->hash == lki_half_of(hash));
    lki_set_remove_latched(&store->cells, thread, cell);
    _Atomic(size_t) *cells = &shard_of(store, hash)->cells;
    LK_ASSERT(lki_load_relaxed(cells) != 0);
    lki_store_relaxed(cells, lki_load_relaxed(cells) - 1); /* a counter */
}

uint64_t
lki_shard_floor(lki_store *store, uint64_t hash)
{
    return lki_load_acquire(&shard_of(store, hash)->floor); /* P7 */
}

void
lki_shard_raise_floor(lki_store *store, uint64_t hash, uint64_t version)
{
    _Atomic(uint64_t) *floor = &shard_of(store, hash)->floor;
    uint64_t seen = lki_load_relaxed(floor);
    while (seen < version && !lki_cas_seq_cst(floor, &seen, version)) {} /* P7 */
}

size_t
lki_shard_count(const lki_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < (size_t)1 << store->shard_bits; i++)
        count += lki_load_relaxed(&store->shards[i].cells);
    return count;
}

/* ---- open and close ---- */

lk_status
lki_shards_open(lki_store *store, size_t shards, uint64_t expected)
{
    const lki_allocator *allocator = &store->domain.allocator;
    store->shard_bits = (unsigned)__builtin_ctzll(shards);
    store->shards = lki_alloc_lines(allocator, shards * sizeof *store->shards);
    if (store->shards == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < shards; i++)
        lki_latch_init(&store->shards[i].latch, LKI_RANK_SHARD);
    return lki_set_open(&store->cells, allocator, cell_is, store->shard_bits, expected)
               ? LK_OK
               : LK_NO_MEMORY;
}

void
lki_shards_close(lki_store *store)
{
    size_t shards = (size_t)1 << store->shard_bits;
    lki_set_close(&store->cells);
    lki_free_lines(&store->domain.allocator, store->shards, shards * sizeof *store->shards);
}
