/* SPDX-License-Identifier: MIT
 *
 * The life of an optimistic lock.
 *
 * A lock is a part of the key's record: {version, expiry}. It is made if there is none, or if the
 * old one has lapsed; renewed, with a new version, near its end; given a new version by commits;
 * kept by plain sets; ended by deletes, and with its item when that has expired. To make a lock, a
 * copy of the item with the lock is put over exactly the record that was read. So one of several
 * callers succeeds, and the others read the lock that it made.
 *
 * Progress    Reading a lock never waits; making one for a key that exists is lock-free.
 * Invariants  I-lock1: a version is greater than every earlier one of its key. It exceeds that of
 *             the record that it replaces, and the shard's floor, which covers versions whose
 *             records are gone (P7).
 */
#include "store/lock.h"

#include "base/pressure.h"
#include "store/find.h"
#include "store/new_cell.h"
#include "store/record.h"
#include "store/removal.h"
#include "store/sweep.h"

/* Fills a lock, all but its key. */
static void
lock_fill(lk_lock *lock, const lki_lock *made)
{
    if (lock == NULL)
        return;
    lock->version = made->version;
    lock->expires_at_ms = made->expires_at_ms;
}

uint64_t
lki_version_below(lki_store *store, const lki_cell *cell, lki_record *over)
{
    uint64_t version = over != NULL ? lki_record_version(over) : 0;
    uint64_t floor = lki_shard_floor(store, lki_cell_hash(store, cell)); /* P7: after the head */
    return floor > version ? floor : version;
}

static lk_status
lock_make(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *old, lki_time *now,
          lk_lock *lock)
{
    uint64_t above = lki_version_below(store, cell, old);
    bool renewed = lki_good_lock(store, old, now) != NULL;
    const lki_lock made = {lki_version_above(thread, above), lki_lock_deadline(store, now->ms)};
    LK_ASSERT(made.version > above);
    const lki_change change = {.lock = &made, .now = now};
    lki_record *record;
    lk_status status = lki_head_change_if(store, thread, cell, old, &change, &record);
    if (status != LK_OK)
        return status;
    lki_locks_expect(store);
    lki_store_thread_of(thread)->sweep_tick++;
    if (record->kind == LKI_LOCK)
        lki_sweep_expect(store, made.expires_at_ms);
    lki_count(thread, renewed ? LKI_LOCKS_RENEWED : LKI_LOCKS_CREATED, 1);
    lock_fill(lock, &made);
    return LK_OK;
}

/* Gets the lock of one key, or makes it. `lock` NULL: makes none if there is no item. `judged`:
 * lki_memory_is_bounded has returned true; else it is asked before a lock is made: LK_BUSY. Caller:
 * in a write section. */
static lk_status
lock_get(lki_store *store, lki_thread *thread, const lki_hashed *hashed, bool judged, lki_time *now,
         lk_lock *lock)
{
    lki_cell *cell;
    lk_status found = lki_find_to_write(store, thread, hashed, &cell);
    if (found != LK_OK)
        return found;
    for (;;) {
        uintptr_t head = cell != NULL ? lki_load_acquire(&cell->item) : LKI_EMPTY; /* P1 */
        lki_record *record = lki_effective(store, head, NULL);
        const lki_lock *there = lki_fresh_lock(store, record, now);
        if (LKI_LIKELY(there != NULL)) {
            lock_fill(lock, there);
            return LK_OK;
        }
        if (lock == NULL && lki_lock_is_at(store, record, 0, now))
            return LK_OK;
        if (!judged && !lki_memory_is_bounded(thread))
            return LK_BUSY;
        if (!lki_reserve(thread, 4))
            return LK_NO_MEMORY;
        lk_status status;
        if (cell == NULL) {
            status = lki_cell_find_or_create(store, thread, hashed, 0, false, &cell);
            if (status != LK_OK)
                return status;
            continue;
        }
        status = lock_make(store, thread, cell, record, now, lock);
        if (status == LK_NOT_FOUND) {
            cell = NULL;
        } else if (status != LK_RACE) {
            if (status != LK_OK && record == NULL)
                lki_removal_schedule(thread, cell, NULL); /* the cell may have been made in vain */
            return status;
        }
    }
}

/* Reading a lock needs no memory. To make one does, and whether memory is bounded is decided
 * outside of the section, once. True: try again. */
static bool
memory_is_judged(lki_thread *thread, lk_status *status, bool *judged)
{
    if (LKI_LIKELY(*status != LK_BUSY) || *judged)
        return false;
    *judged = lki_memory_is_bounded(thread);
    if (*judged)
        *status = LK_OK;
    return *judged;
}

lk_status
lki_store_get_locks(lki_store *store, lki_thread *thread, const lki_seen *seen, size_t count,
                    lk_lock *last)
{
    lk_status status = LK_OK;
    lki_memory_look(thread); /* asked again if a lock has to be made */
    bool judged = false;
    do {
        lki_time now = {lki_now(store), true, store->precise_ms == NULL};
        lki_write_enter(thread);
        for (size_t i = 0; status == LK_OK && i < count; i++)
            status = lock_get(store, thread, &seen[i].hashed, judged, &now, last);
        lki_write_leave(thread);
    } while (memory_is_judged(thread, &status, &judged));
    lki_sweep_step(store, thread, 0);
    return status;
}
