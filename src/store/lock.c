/* SPDX-License-Identifier: MIT
 *
 * The life of an optimistic lock. Called by memory_db.c, read.c.
 *
 * A lock is a record on the lock's head of a cell: {version, expiry}. It is made where there is
 * none, where a tombstone lies, or where the old one has lapsed; renewed, with a new version, near
 * its end; bumped by commits; killed by deletes. Each of these installs a new record over exactly
 * the one that was looked at, so of several callers one succeeds and the others read what it made.
 *
 * Progress    reading a lock never waits; making one for a key that exists is lock-free.
 * Invariants  I-lock1: a version is greater than every earlier one of its key: it exceeds the
 *             record that it replaces, tombstones carry the last version, and where the cell is
 *             new the shard's floor does (P7).
 */
#include "store/record.h"

/* But for the key, which is its caller's. */
static void
lock_fill(lk_lock *lock, const lki_record *record)
{
    lock->version = record->version;
    lock->expires_at_ms = lki_lock_expires(record);
}

/* Good, and not so near its end that it is to be renewed. */
static bool
lock_is_fresh(const lki_store *store, const lki_record *record, lki_time *now)
{
    if (!lki_lock_is_good(store, record, now))
        return false;
    int64_t expires = lki_lock_expires(record);
    return store->lock_refresh_ms < 0 || expires == INT64_MAX ||
           lki_span_ms(now->ms, expires) > store->lock_refresh_ms;
}

static lk_status
lock_make(lki_store *store, lki_thread *thread, const lki_hashed *hashed, lki_cell *cell,
          lki_record *old, lki_time *now, lk_lock *lock)
{
    uint64_t above = lki_shard_floor(store, hashed->hash); /* P7: after the cell was found */
    if (old != NULL && old->version > above)
        above = old->version;
    bool renewed = lki_lock_is_good(store, old, now);
    int64_t expires = lki_lock_deadline(store, now->ms);
    lki_record *record = lki_record_new_lock(thread, lki_version_above(thread, above), expires);
    if (record == NULL)
        return LK_NO_MEMORY;
    lk_lock made; /* read before another thread can replace and retire the record */
    lock_fill(&made, record);
    lk_status status = lki_head_replace_if(store, thread, cell, &cell->lock, old, record);
    if (status != LK_OK) {
        lki_record_discard(thread, cell, record);
        return status;
    }
    thread->sweep_tick++;
    lki_expiry_note(store, cell, made.expires_at_ms);
    lki_count(thread, renewed ? LKI_LOCKS_RENEWED : LKI_LOCKS_CREATED, 1);
    lock->version = made.version;
    lock->expires_at_ms = made.expires_at_ms;
    return LK_OK;
}

lk_status
lki_store_get_lock(lki_store *store, lki_thread *thread, const lki_hashed *hashed, lki_cell *cell,
                   bool judged, lki_time *now, lk_lock *lock)
{
    if (cell == NULL || lki_key_is_generated(store, hashed->key)) {
        lk_status status = lki_find_headed(store, thread, hashed, &cell);
        if (status != LK_OK)
            return status;
    }
    for (;;) {
        if (cell == NULL) {
            if (!judged && !lki_memory_is_bounded(thread))
                return LK_BUSY;
            if (!lki_reserve(thread, 4))
                return LK_NO_MEMORY;
            lk_status status = lki_cell_obtain(store, thread, hashed, 0, &cell);
            if (status != LK_OK)
                return status;
        }
        lki_record *record = lki_effective(store, lki_load_acquire(&cell->lock), NULL); /* P1 */
        if (LKI_LIKELY(lock_is_fresh(store, record, now))) {
            lock_fill(lock, record);
            return LK_OK;
        }
        bool reserved = lki_reserve(thread, 4);
        lk_status status = !reserved                                 ? LK_NO_MEMORY
                           : judged || lki_memory_is_bounded(thread) ? LK_OK
                                                                     : LK_BUSY;
        if (status == LK_OK)
            status = lock_make(store, thread, hashed, cell, record, now, lock);
        if (status != LK_RACE && status != LK_NOT_FOUND) {
            if (status != LK_OK && reserved && record == NULL)
                lki_removal_schedule(thread, cell, NULL,
                                     NULL); /* perhaps the cell was made in vain */
            return status;
        }
        if (status == LK_NOT_FOUND)
            cell = NULL;
    }
}
