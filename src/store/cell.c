/* SPDX-License-Identifier: MIT
 *
 * Making cells for new keys. Called by write.c, commit.c, lock.c, when a key is not in the set.
 *
 * A new cell enters the partition's index first and the shard's set second, and only then does its
 * first record go in: the other way round a get could return an item that a later query misses.
 * What decides which of two new cells of one key lives is the index, under the partition's latch.
 * A dead cell that is still in the index is replaced; a cell that died before it reached the set
 * is not put there (DEAD is only ever stored under the shard's latch).
 *
 * Progress    takes the shard's and the partition's latch, one after the other.
 * Invariants  I-cell1: a cell that is in the set and not dead is in the index. I-cell2: at most
 *             one cell of a key is not dead.
 */
#include <string.h>

#include "base/result.h"
#include "store/record.h"

bool
lki_cell_is_dead(const lki_cell *cell)
{
    return lki_load_acquire(&cell->item) == LKI_DEAD; /* P1 */
}

uint64_t
lki_cell_hash(lki_store *store, const lki_cell *cell)
{
    lk_key key = {{cell->bytes, cell->pk_size}, {lki_cell_sk(cell), cell->sk_size}};
    return lki_hash_key(&store->secret, &key);
}

/* What is on the head of a plain job's cell, which nobody retires. True: it lies inside the cell. */
static bool
cell_head_free(const lki_allocator *allocator, lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    if (head <= LKI_DEAD)
        return false;
    lki_record *record = (lki_record *)head;
    bool inside = (lki_record_value(record)->flags & LKI_FLAG_INLINE) != 0;
    lki_record_free(allocator, record);
    return inside;
}

bool
lki_cell_dispose(lki_thread *thread, void *object)
{
    lki_cell *cell = object;
    /* P6: the record inside may still wait for its own grace period, counted by another thread:
     * the last frees. */
    _Atomic(uint16_t) *flags = lki_cell_flags(cell);
    if (lki_cell_is_in_slab(cell))
        return true;
    if (lki_cell_is_in_queue(cell)) {
        if (cell_head_free(&thread->domain->allocator, cell) ||
            (lki_or_seq_cst(flags, LKI_CELL_GONE) & LKI_CELL_ROOM) != 0) /* P6: as below */
            lki_chunk_free(thread, cell, lki_cell_size(cell));
        return true;
    }
    if ((lki_or_seq_cst(flags, LKI_CELL_GONE) & LKI_CELL_ROOM) != 0)
        lki_free(&thread->domain->allocator, cell, lki_cell_size(cell));
    return true;
}

bool
lki_partition_dispose(lki_thread *thread, void *object)
{
    lki_partition *partition = object;
    lki_free(&thread->domain->allocator, partition, sizeof *partition + partition->pk_size);
    return true;
}

void
lki_shard_wait(lki_store *store, lki_thread *thread, uint64_t hash)
{
    lki_latch *latch = lki_shard_latch(store, hash);
    lki_latch_take(latch, thread);
    lki_latch_drop(latch);
}

static void
cell_fill_in_queue(lki_cell *cell, const lk_item *item, unsigned flags)
{
    *cell = (lki_cell){.pk_size = (uint16_t)item->key.pk.size, .sk_size = LK_ULID_SIZE};
    lki_cell_set_flags(cell, LKI_CELL_QUEUE | flags, lki_cell_room_in_queue(item));
    lki_copy(cell->bytes, item->key.pk.data, item->key.pk.size);
}

void
lki_cell_make_in_slab(lki_cell *cell, const lk_item *item)
{
    cell_fill_in_queue(cell, item, LKI_CELL_SLAB);
    lki_record *record = lki_cell_record(cell);
    record->flags = LKI_FLAG_INLINE;
    lki_record_fill(record, item, NULL);
    lki_store_relaxed(&cell->item, (uintptr_t)record); /* P11: published with the slot's word */
}

lki_cell *
lki_cell_new_in_queue(lki_thread *thread, const lk_item *item)
{
    lki_cell *cell = lki_chunk_alloc(thread, lki_cell_size_in_queue(item));
    if (cell == NULL)
        return NULL;
    cell_fill_in_queue(cell, item, LKI_CELL_ROOM);
    return cell;
}

static lki_cell *
cell_new(lki_store *store, const lki_hashed *hashed, size_t data_size)
{
    const lk_key *key = hashed->key;
    size_t room = data_size <= LKI_INLINE_MAX ? (data_size + 7) & ~(size_t)7 : 0;
    if (lki_load_relaxed(&store->has_locks) != 0 && room != 0)
        room += sizeof(lki_lock);
    size_t size = lki_cell_size_of(key->pk.size, key->sk.size, room);
    size_t rounded = lki_alloc_rounded(size); /* what an allocator rounds up to is room, too */
    lki_cell *cell = lki_alloc(&store->domain.allocator, rounded);
    if (cell == NULL)
        return NULL;
    *cell = (lki_cell){.hash = lki_half_of(hashed->hash),
                       .pk_size = (uint16_t)key->pk.size,
                       .sk_size = (uint16_t)key->sk.size};
    lki_cell_set_flags(cell, LKI_CELL_ROOM, room + (rounded - size));
    lki_copy(cell->bytes, key->pk.data, key->pk.size);
    lki_copy(cell->bytes + key->pk.size, key->sk.data, key->sk.size);
    return cell;
}

lki_partition *
lki_partition_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    uint64_t hash = lki_hash_bytes(&store->secret, pk);
    lki_partition *partition = lki_shard_partition(store, pk, hash);
    if (partition != NULL)
        return partition;
    lki_partition *made = lki_alloc_zeroed(&store->domain.allocator, sizeof *made + pk.size);
    if (made == NULL)
        return NULL;
    made->hash = lki_half_of(hash);
    made->pk_size = (uint16_t)pk.size;
    memcpy(made->pk, pk.data, pk.size);
    lki_latch *latch = lki_shard_latch(store, hash);
    lki_latch_take(latch, thread);
    partition = lki_shard_partition(store, pk, hash);
    if (partition == NULL && lki_shard_add_partition_latched(store, thread, made, hash)) {
        partition = made;
        made = NULL;
        lki_count(thread, LKI_PARTITIONS_ADDED, 1);
    }
    lki_latch_drop(latch);
    lki_free(&store->domain.allocator, made, sizeof *made + pk.size);
    return partition;
}

void
lki_partition_bury_if_empty(lki_store *store, lki_thread *thread, lki_partition *partition)
{
    lki_latch *outer = lki_shard_latch(store, lki_half_hash(partition->hash));
    lki_latch *inner = lki_partition_latch(store, partition);
    lki_latch_take(outer, thread);
    lki_latch_take(inner, thread);
    lki_partition_bury_latched(store, thread, partition);
    lki_latch_drop(inner);
    lki_latch_drop(outer);
}

/* LK_OK: *cell is what the index has for its key now, perhaps another one. LK_RACE: the partition
 * died, again. */
static lk_status
index_enter(lki_store *store, lki_thread *thread, lki_cell **cell)
{
    lk_bytes pk = {(*cell)->bytes, (*cell)->pk_size};
    lki_partition *partition = lki_partition_find_or_create(store, thread, pk);
    if (partition == NULL)
        return LK_NO_MEMORY;
    lki_cell *existing = NULL;
    lki_index_found found = LKI_INDEX_NO_MEMORY;
    lki_latch *latch = lki_partition_latch(store, partition);
    lki_latch_take(latch, thread);
    bool dead = partition->dead;
    if (!dead)
        found =
            lki_index_insert_latched(&partition->index, thread, *cell, lki_cell_is_dead, &existing);
    lki_latch_drop(latch);
    if (dead) {
        lki_shard_wait(store, thread, lki_half_hash(partition->hash));
        return LK_RACE;
    }
    if (found == LKI_INDEX_EXISTS) {
        lki_free(&store->domain.allocator, *cell, lki_cell_size(*cell));
        *cell = existing;
    }
    if (found != LKI_INDEX_NO_MEMORY)
        return LK_OK;
    lki_partition_bury_if_empty(store, thread, partition);
    return LK_NO_MEMORY;
}

/* Puts a cell that is in the index into the set. LK_RACE: it has died meanwhile. */
static lk_status
set_enter(lki_store *store, lki_thread *thread, const lki_hashed *hashed, lki_cell *cell)
{
    lk_status status = LK_OK;
    lki_latch *latch = lki_shard_latch(store, hashed->hash);
    lki_latch_take(latch, thread);
    if (lki_cell_is_dead(cell)) {
        status = LK_RACE;
    } else { /* no other cell of the key is there: I-cell2 */
        lki_set_added added = lki_shard_add_latched(store, thread, cell, hashed->hash);
        lki_count(thread, LKI_CELLS_ADDED, added == LKI_SET_ADDED);
        if (added == LKI_SET_NO_MEMORY) {
            /* It stays behind in the index, without a record and not in the set: nobody can have
             * one in it. */
            lki_store_release(&cell->item, LKI_DEAD); /* P1 */
            status = LK_NO_MEMORY;
        }
    }
    lki_latch_drop(latch);
    if (status == LK_NO_MEMORY)
        lki_removal_schedule(thread, cell, NULL);
    return status;
}

lk_status
lki_cell_find_or_create(lki_store *store, lki_thread *thread, const lki_hashed *hashed,
                        size_t data_size, bool looked, lki_cell **cell)
{
    const lki_hooks *hooks = store->hooks;
    for (;; looked = false) {
        lk_status status = LK_OK;
        *cell = NULL;
        if (!looked)
            status = lki_find_to_write(store, thread, hashed, cell);
        if (LKI_UNLIKELY(lki_hashed_is_generated(store, hashed)) && status == LK_OK &&
            *cell == NULL && hooks->find_to_write != NULL)
            status = hooks->find_to_write(store, thread, hashed->key, true, cell);
        if (status != LK_OK)
            return status;
        if (*cell != NULL && !lki_cell_is_dead(*cell))
            return LK_OK;
        if (*cell != NULL) { /* somebody is taking it out */
            lki_shard_wait(store, thread, hashed->hash);
            continue;
        }
        lki_cell *made = cell_new(store, hashed, data_size);
        if (made == NULL || !lki_reserve(thread, 8)) {
            lki_free(&store->domain.allocator, made, made != NULL ? lki_cell_size(made) : 0);
            return LK_NO_MEMORY;
        }
        *cell = made;
        status = index_enter(store, thread, cell);
        if (status != LK_OK)
            lki_free(&store->domain.allocator, made, lki_cell_size(made));
        else
            status = set_enter(store, thread, hashed, *cell);
        if (status != LK_RACE)
            return status;
    }
}
