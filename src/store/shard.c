/* SPDX-License-Identifier: MIT
 *
 * The sets of cells and partitions, in shards. Called by cell.c, removal.c, sweep.c, query.c, store.c.
 *
 * Invariants  those of base/set.c.
 * Ordering    P3 (base/set.c); P7: the floor is raised to a tombstone's version before the tombstone is
 *             replaced, or its cell leaves the set; who makes a lock looks at the head first, then at
 *             the floor.
 */
#include "store/shard.h"

#include "store/record.h"

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

static bool
partition_is(const void *object, const lki_hashed *hashed)
{
    const lki_partition *partition = object;
    const lk_bytes *pk = &hashed->key->pk;
    return partition->pk_size == pk->size && lki_bytes_equal(partition->pk, pk->data, pk->size);
}

/* ---- for the other rooms ---- */

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

LKI_COLD lki_cell *
lki_shard_get_slow(lki_store *store, const lki_hashed *hashed)
{
    return lki_set_get(&store->cells, hashed);
}

lki_set_added
lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    lki_set_added added = lki_set_add_latched(&store->cells, thread, cell, hash);
    _Atomic(size_t) *cells = &shard_of(store, hash)->cells;
    if (added == LKI_SET_ADDED)
        lki_store_relaxed(cells, lki_load_relaxed(cells) + 1); /* a counter */
    return added;
}

void
lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    lki_set_remove_latched(&store->cells, thread, cell);
    _Atomic(size_t) *cells = &shard_of(store, hash)->cells;
    lki_store_relaxed(cells, lki_load_relaxed(cells) - 1); /* a counter */
}

lki_partition *
lki_shard_partition(lki_store *store, lk_bytes pk, uint64_t hash)
{
    lk_key key = {.pk = pk};
    lki_hashed hashed = {&key, hash, lki_key_sizes(&key), false};
    return lki_set_get(&store->partitions, &hashed);
}

bool
lki_shard_add_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition,
                                uint64_t hash)
{
    return lki_set_add_latched(&store->partitions, thread, partition, hash) == LKI_SET_ADDED;
}

void
lki_shard_remove_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition)
{
    lki_set_remove_latched(&store->partitions, thread, partition);
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
        lki_latch_init(&store->shards[i].latch);
    if (!lki_set_open(&store->cells, allocator, cell_is, store->shard_bits, expected) ||
        !lki_set_open(&store->partitions, allocator, partition_is, store->shard_bits, 0))
        return LK_NO_MEMORY;
    return LK_OK;
}

void
lki_shard_cell_free(lki_store *store, lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    if (head > LKI_DEAD)
        lki_record_free(&store->domain.allocator, (lki_record *)head);
    lki_cell_free(&store->domain.allocator, cell);
}

static void
cell_prefetch_head(lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    if (head != (uintptr_t)lki_cell_record(cell))
        LKI_PREFETCH(head);
}

static void
cells_free(lki_store *store)
{
    enum { ROOM = 64 };
    void *objects[ROOM];
    lki_set_position at = {0};
    while (!lki_set_is_end(&at)) {
        size_t count = lki_set_walk(&store->cells, &at, objects, ROOM);
        /* Each run of cells is under way; now what lies on their head, so that these misses overlap,
         * too. */
        for (size_t i = 0; i < count; i++)
            cell_prefetch_head(objects[i]);
        for (size_t i = 0; i < count; i++)
            lki_shard_cell_free(store, objects[i]);
    }
}

static void
partitions_free(lki_store *store)
{
    enum { ROOM = 64 };
    void *objects[ROOM];
    lki_set_position at = {0};
    while (!lki_set_is_end(&at)) {
        size_t count = lki_set_walk(&store->partitions, &at, objects, ROOM);
        for (size_t i = 0; i < count; i++) {
            lki_partition *partition = objects[i];
            lki_index_destroy(&partition->index, &store->domain.allocator);
            lki_free(&store->domain.allocator, partition, sizeof *partition + partition->pk_size);
        }
    }
}

void
lki_shards_close(lki_store *store)
{
    size_t shards = (size_t)1 << store->shard_bits;
    if (lki_set_is_open(&store->cells))
        cells_free(store);
    if (lki_set_is_open(&store->partitions))
        partitions_free(store);
    lki_set_close(&store->cells);
    lki_set_close(&store->partitions);
    lki_free_lines(&store->domain.allocator, store->shards, shards * sizeof *store->shards);
}
