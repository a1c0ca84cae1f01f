/* SPDX-License-Identifier: MIT
 *
 * set and delete. Called by memory_db.c.
 *
 * A set is one record over whatever is effective: the table is not touched where the key exists. A
 * batch goes in groups, whose cache misses are overlapped; each item is atomic, the batch is not.
 * A delete is a commit of two tombstones, on the item's and on the lock's head, also where there
 * is no lock: a lock that was made between the two would survive the delete of what it guards.
 *
 * Progress    lock-free on keys that exist; else the latches of cell.c.
 */
#include "store/record.h"

enum { GROUP = 16 };

static lk_status
set_one(lki_store *store, lki_thread *thread, const lki_hashed *hashed, const lk_item *item)
{
    size_t payload = item->data.size + (item->expires_at_ms != 0 ? 8 : 0);
    lki_cell *cell = NULL;
    if (LKI_UNLIKELY(lki_key_is_generated(store, hashed->key))) {
        lk_status status = lki_find_headed(store, thread, hashed, &cell);
        if (status != LK_OK)
            return status;
    } else {
        cell = lki_shard_find(store, hashed);
    }
    for (;;) {
        bool fresh = cell == NULL;
        if (!lki_reserve(thread, 4))
            return LK_NO_MEMORY;
        if (fresh) {
            lk_status status = lki_cell_obtain(store, thread, hashed, payload, &cell);
            if (status != LK_OK)
                return status;
        }
        uintptr_t old = lki_load_relaxed(&cell->item); /* only a hint for the cache */
        LKI_PREFETCH(old);
        lki_record *record = lki_record_new_value(thread, cell, item);
        if (record == NULL) {
            if (fresh)
                lki_removal_schedule(thread, cell, NULL, NULL);
            return LK_NO_MEMORY;
        }
        lk_status status = lki_head_replace(store, thread, cell, &cell->item, &record);
        if (LKI_LIKELY(status == LK_OK))
            break;
        lki_record_discard(thread, cell, record);
        if (status != LK_NOT_FOUND)
            return status;
        cell = NULL; /* it has died: look the key up again, or make it anew */
    }
    if (item->expires_at_ms != 0) {
        thread->expiring_writes++;
        lki_expiry_note(store, cell, item->expires_at_ms);
    }
    return LK_OK;
}

/* *done: how many, at least one but for a fault; fewer where the section is full. */
static lk_status
set_group(lki_store *store, lki_thread *thread, const lk_item *items, size_t count, size_t *done)
{
    lki_hashed hashed[GROUP];
    for (size_t i = 0; i < count; i++) {
        hashed[i] = lki_hashed_of(&store->secret, &items[i].key);
        if (count > 1)
            LKI_PREFETCH(lki_shard_bucket(store, hashed[i].hash));
    }
    for (size_t i = 0; count > 1 && i < count; i++) {
        const lki_cell *guess =
            lki_bucket_guess(lki_shard_bucket(store, hashed[i].hash), lki_set_tag(hashed[i].hash));
        LKI_PREFETCH(guess);
        LKI_PREFETCH_AT(guess, LKI_LINE);
    }
    for (*done = 0; *done < count;) {
        lk_status status = set_one(store, thread, &hashed[*done], &items[*done]);
        if (status != LK_OK)
            return status;
        lki_count(thread, LKI_SETS, 1);
        if (++*done < count && lki_section_is_full(thread))
            break;
    }
    return LK_OK;
}

lk_status
lki_store_set(lki_store *store, lki_thread *thread, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0, done; status == LK_OK && i < count; i += done) {
        size_t group = count - i < GROUP ? count - i : GROUP;
        if (!lki_memory_is_bounded(thread))
            return LK_BUSY;
        lki_write_enter(thread);
        status = set_group(store, thread, items + i, group, &done);
        lki_write_leave(thread);
        lki_sweep_step(store, thread, done);
    }
    return status;
}

/* Neither an item nor a lock: nothing to delete. */
static bool
cell_is_void(lki_store *store, lki_cell *cell)
{
    uintptr_t head = lki_load_acquire(&cell->lock); /* P1 */
    const lki_record *lock = lki_effective(store, head, NULL);
    const lki_record *item = lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
    return (lock == NULL || lock->kind != LKI_LOCK) && (item == NULL || item->kind != LKI_VALUE) &&
           lki_load_acquire(&cell->lock) == head; /* P1: both at one instant */
}

lk_status
lki_store_delete(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!lki_memory_is_bounded(thread))
            return LK_BUSY;
        lki_hashed hashed = lki_hashed_of(&store->secret, &keys[i]);
        lki_enter(thread);
        lki_cell *cell = lki_find(store, &hashed);
        bool nothing = cell == NULL || cell_is_void(store, cell);
        lki_leave(thread);
        lki_count(thread, LKI_DELETES, 1);
        if (nothing)
            continue;
        lk_write write = {.kind = LK_DELETE, .item = {.key = keys[i]}};
        lki_writes writes = {.writes = &write, .count = 1};
        lk_status status = lki_store_commit(store, thread, &writes, NULL, 0, NULL);
        if (status != LK_OK)
            return status;
    }
    return LK_OK;
}
