/* SPDX-License-Identifier: MIT
 *
 * Cells for new keys.
 *
 * A new cell first enters the partition's index, then the set; only then it gets its first record.
 * In another order a get could return an item that a later query misses. If two threads make a cell
 * of one key, the index decides which one lives, under the partition's latch. A dead cell that is
 * still in the index is replaced there. A cell that died before it reached the set is not added to
 * it (DEAD is only ever stored under the shard's latch).
 *
 * Progress    takes the partition's and the shard's latch, one after the other.
 * Invariants  I-cell1: a cell that is in the set and not dead is in the index.
 *             I-cell2: at most one cell of a key is not dead.
 */
#include "store/new_cell.h"

#include "base/copy.h"
#include "store/find.h"
#include "store/partition.h"
#include "store/removal.h"

static lki_cell *
cell_new(lki_store *store, lki_thread *thread, const lki_hashed *hashed, size_t data_size)
{
    const lk_key *key = hashed->key;
    size_t room = data_size <= LKI_INLINE_MAX ? (data_size + 7) & ~(size_t)7 : 0;
    if (lki_load_relaxed(&store->has_locks) != 0 && room != 0)
        room += sizeof(lki_lock);
    size_t size = lki_cell_size_of(key->pk.size, key->sk.size, room);
    size_t rounded = lki_alloc_rounded(size); /* what the allocator rounds up to becomes room */
    lki_cell *cell = lki_alloc(&thread->allocator, rounded);
    if (cell == NULL)
        return NULL;
    LK_ASSERT(key->pk.size != 0 && key->pk.size <= UINT16_MAX && key->sk.size <= UINT16_MAX);
    *cell = (lki_cell){.hash = lki_half_of(hashed->hash),
                       .pk_size = (uint16_t)key->pk.size,
                       .sk_size = (uint16_t)key->sk.size};
    lki_cell_set_flags(cell, LKI_CELL_ROOM, room + (rounded - size));
    lki_copy(cell->bytes, key->pk.data, key->pk.size);
    lki_copy(cell->bytes + key->pk.size, key->sk.data, key->sk.size);
    return cell;
}

/* Frees a cell that was not published. NULL is allowed. */
static LKI_COLD void
cell_unmake(lki_thread *thread, lki_cell *made)
{
    if (made != NULL)
        lki_free(&thread->allocator, made, lki_cell_size(made));
}

/* Adds a cell, which is in the index, to the set. LK_RACE: it has died meanwhile. */
static lk_status
set_enter(lki_store *store, lki_thread *thread, const lki_hashed *hashed, lki_cell *cell)
{
    lk_status status = LK_OK;
    lki_latch *latch = lki_shard_latch(store, hashed->hash);
    LK_ASSERT(cell->hash == lki_half_of(hashed->hash));
    lki_latch_take(latch, thread);
    if (lki_cell_is_dead(cell)) {
        status = LK_RACE;
    } else { /* no other live cell of the key: I-cell2 */
        lki_set_added added = lki_shard_add_latched(store, thread, cell, hashed->hash);
        lki_count(thread, LKI_CELLS_ADDED, added == LKI_SET_ADDED);
        if (added == LKI_SET_NO_MEMORY) {
            /* It stays in the index for now, without a record. It is not in the set, so no thread
             * can give it one. */
            LK_ASSERT(lki_load_relaxed(&cell->item) == LKI_EMPTY);
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
    LK_ASSERT(lki_is_writing(thread));
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
        if (*cell != NULL) { /* it is being removed */
            lki_shard_wait(store, thread, hashed->hash);
            continue;
        }
        lki_cell *made = cell_new(store, thread, hashed, data_size);
        if (made == NULL || !lki_reserve(thread, 8)) {
            cell_unmake(thread, made);
            return LK_NO_MEMORY;
        }
        *cell = made;
        status = lki_partition_enter(store, thread, cell);
        if (status != LK_OK)
            cell_unmake(thread, made);
        else
            status = set_enter(store, thread, hashed, *cell);
        if (status != LK_RACE)
            return status;
    }
}
