/* SPDX-License-Identifier: MIT
 *
 * The sets of cells and partitions, in shards. Called by cell.c, removal.c, sweep.c, query.c, store.c.
 *
 * Invariants  those of base/set.c.
 * Ordering    P3 (base/set.c); P7: the floor is raised before a cell leaves its set.
 */
#include "store/shard.h"

#include "store/record.h"

struct lki_shard {
    lki_latch latch;
    lki_set cells, partitions;
    _Atomic(uint64_t) floor; /* [latch] to write; [P7] */
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
    return partition->hash == (uint32_t)hashed->hash && partition->pk_size == pk->size &&
           lki_bytes_equal(partition->pk, pk->data, pk->size);
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
    return lki_set_get(&shard_of(store, hashed->hash)->cells, hashed);
}

bool
lki_shard_add_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    return lki_set_add_latched(&shard_of(store, hash)->cells, thread, cell, hash);
}

void
lki_shard_remove_latched(lki_store *store, lki_thread *thread, lki_cell *cell, uint64_t hash)
{
    lki_set_remove_latched(&shard_of(store, hash)->cells, thread, cell);
}

lki_partition *
lki_shard_partition(lki_store *store, lk_bytes pk, uint64_t hash)
{
    lk_key key = {.pk = pk};
    lki_hashed hashed = {&key, hash, lki_key_sizes(&key), false};
    return lki_set_get(&shard_of(store, hash)->partitions, &hashed);
}

bool
lki_shard_add_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition,
                                uint64_t hash)
{
    return lki_set_add_latched(&shard_of(store, hash)->partitions, thread, partition, hash);
}

void
lki_shard_remove_partition_latched(lki_store *store, lki_thread *thread, lki_partition *partition,
                                   uint64_t hash)
{
    lki_set_remove_latched(&shard_of(store, hash)->partitions, thread, partition);
}

uint64_t
lki_shard_floor(lki_store *store, uint64_t hash)
{
    return lki_load_acquire(&shard_of(store, hash)->floor); /* P7 */
}

void
lki_shard_raise_floor_latched(lki_store *store, uint64_t hash, uint64_t version)
{
    _Atomic(uint64_t) *floor = &shard_of(store, hash)->floor;
    if (lki_load_relaxed(floor) < version)
        lki_store_release(
            floor,
            version); /* P7: before the cell leaves the set; its successor's lock reads it after */
}

size_t
lki_shard_walk(lki_store *store, size_t shard, size_t *offset, lki_cell **cells, size_t room)
{
    return lki_set_walk(&store->shards[shard].cells, offset, (void **)cells, room);
}

size_t
lki_shard_generation(const lki_store *store, size_t shard)
{
    return lki_load_acquire(&store->shards[shard].cells.generation);
}

size_t
lki_shard_count(const lki_store *store)
{
    size_t count = 0;
    for (size_t i = 0; i < (size_t)1 << store->shard_bits; i++)
        count += lki_load_relaxed(&store->shards[i].cells.published_count);
    return count;
}

/* ---- open and close ---- */

lk_status
lki_shards_open(lki_store *store, size_t shards)
{
    const lki_allocator *allocator = &store->domain.allocator;
    store->shard_bits = (unsigned)__builtin_ctzll(shards);
    store->shards = lki_alloc_lines(allocator, shards * sizeof *store->shards);
    store->lookaside = lki_alloc_lines(allocator, shards * sizeof *store->lookaside);
    if (store->shards == NULL || store->lookaside == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < shards; i++) {
        lki_shard *shard = &store->shards[i];
        lki_latch_init(&shard->latch);
        if (!lki_set_open(&shard->cells, allocator, &store->lookaside[i], cell_is) ||
            !lki_set_open(&shard->partitions, allocator, NULL, partition_is))
            return LK_NO_MEMORY;
    }
    return LK_OK;
}

void
lki_shard_cell_free(lki_store *store, lki_cell *cell)
{
    uintptr_t heads[2] = {lki_load_relaxed(&cell->item), lki_load_relaxed(&cell->lock)};
    for (size_t i = 0; i < 2; i++) {
        lki_record *record = heads[i] <= LKI_DEAD ? NULL : (lki_record *)heads[i];
        if (record != NULL)
            lki_record_free(&store->domain.allocator, record);
    }
    lki_cell_free(&store->domain.allocator, cell);
}

static void
cell_prefetch_heads(lki_cell *cell)
{
    uintptr_t item = lki_load_relaxed(&cell->item), lock = lki_load_relaxed(&cell->lock);
    if (item != (uintptr_t)lki_cell_record(cell))
        LKI_PREFETCH(item);
    if (lock > LKI_DEAD)
        LKI_PREFETCH(lock);
}

static void
shard_close(lki_store *store, lki_shard *shard)
{
    enum { ROOM = 64 };
    void *objects[ROOM];
    size_t offset = 0, count;
    while ((count = lki_set_walk(&shard->cells, &offset, objects, ROOM)) != 0) {
        /* Each run of cells is under way; now what lies on their heads, so that these misses overlap,
         * too. */
        for (size_t i = 0; i < count; i++)
            cell_prefetch_heads(objects[i]);
        for (size_t i = 0; i < count; i++)
            lki_shard_cell_free(store, objects[i]);
    }
    offset = 0;
    while ((count = lki_set_walk(&shard->partitions, &offset, objects, ROOM)) != 0)
        for (size_t i = 0; i < count; i++) {
            lki_partition *partition = objects[i];
            lki_index_destroy(&partition->index, &store->domain.allocator);
            lki_free(&store->domain.allocator, partition, sizeof *partition + partition->pk_size);
        }
    lki_set_close(&shard->cells);
    lki_set_close(&shard->partitions);
}

void
lki_shards_close(lki_store *store)
{
    size_t shards = (size_t)1 << store->shard_bits;
    for (size_t i = 0; store->shards != NULL && store->lookaside != NULL && i < shards; i++)
        shard_close(store, &store->shards[i]);
    lki_free_lines(&store->domain.allocator, store->shards, shards * sizeof *store->shards);
    lki_free_lines(&store->domain.allocator, store->lookaside, shards * sizeof *store->lookaside);
}
