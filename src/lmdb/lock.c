/* SPDX-License-Identifier: MIT
 *
 * Optimistic locks: made, renewed, checked and bumped by commits. Called through the table of
 * operations, and by commit.c and item.c.
 *
 * A version is a number of the store (txn.c), so what was deleted or has lapsed never comes again.
 *
 * Invariants  I-lmdb3: a lock has one key in expiry, with a time that is at most its own. A commit
 *             moves the lock's end and leaves that key; when its time comes it is put in anew
 *             (sweep.c). Else each commit would write two keys more.
 */
#include "lmdb/store.h"

#include <stdlib.h>

static bool
lock_has_lapsed(const lki_lmdb_lock *lock, int64_t now_ms)
{
    return now_ms > lock->expires_at_ms;
}

/* Neither lapsed, nor so near its end that it is renewed. */
static bool
lock_is_fresh(const lki_lmdb *store, const lki_lmdb_lock *lock, int64_t now_ms)
{
    return !lock_has_lapsed(lock, now_ms) &&
           (store->lock_refresh_ms < 0 ||
            lock->expires_at_ms > lki_lmdb_after(now_ms, store->lock_refresh_ms));
}

/* An item that has expired, and with it its lock. LK_OK; LK_NOT_FOUND: mostly without a look, since
 * nothing in the store has expired before its first time. */
static lk_status
expired_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_item *item)
{
    if (t->now_ms <= t->first_expiry_ms)
        return LK_NOT_FOUND;
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, item);
    return status == LK_OK && !lk_has_expired(item->expires_at_ms, t->now_ms) ? LK_NOT_FOUND
                                                                              : status;
}

lk_status
lki_lmdb_lock_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_lock *lock)
{
    lki_lmdb_item item;
    lk_status status = expired_find(t, key, &item);
    if (status != LK_NOT_FOUND)
        return status == LK_OK ? LK_NOT_FOUND : status;
    status = lki_lmdb_row(t->txn, t->store->locks, key, lock, sizeof *lock);
    return status == LK_OK && lock_has_lapsed(lock, t->now_ms) ? LK_NOT_FOUND : status;
}

lk_status
lki_lmdb_lock_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_lock *old,
                    uint64_t version)
{
    int64_t expires = lki_lmdb_after(t->now_ms, t->store->lock_ttl_ms);
    lki_lmdb_lock lock = {version, expires, old != NULL ? old->indexed_ms : expires};
    lk_status status = LK_OK;
    if (old != NULL && expires < old->indexed_ms) { /* the clock went back, or locks live shorter */
        lock.indexed_ms = expires;
        status = lki_lmdb_expiry_drop(t, key, old->indexed_ms, LKI_LMDB_OF_LOCK);
    }
    if (status == LK_OK && (old == NULL || lock.indexed_ms != old->indexed_ms))
        status = lki_lmdb_expiry_add(t, key, expires, LKI_LMDB_OF_LOCK);
    return status == LK_OK ? lki_lmdb_put(t, t->store->locks, key, &lock, sizeof lock) : status;
}

lk_status
lki_lmdb_lock_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version)
{
    lki_lmdb_lock lock;
    lk_status status = lki_lmdb_row(t->txn, t->store->locks, key, &lock, sizeof lock);
    if (version != NULL)
        *version = status == LK_OK ? lock.version : 0;
    if (status == LK_NOT_FOUND)
        return LK_OK;
    if (status == LK_OK)
        status = lki_lmdb_expiry_drop(t, key, lock.indexed_ms, LKI_LMDB_OF_LOCK);
    return status == LK_OK ? lki_lmdb_del(t, t->store->locks, key) : status;
}

/* ---- get_lock ---- */

/* As it is, without writing, and its item. LK_OK: it is fresh. LK_NOT_FOUND: it has to be written.
 */
static lk_status
lock_read(const lki_lmdb *store, MDB_txn *txn, const lk_key *of, int64_t now_ms, lk_lock *lock,
          lki_lmdb_item *item, bool *there)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_key_make(&key, *of);
    lk_status status = lki_lmdb_row(txn, store->locks, &key, &row, sizeof row);
    if (status != LK_OK || !lock_is_fresh(store, &row, now_ms))
        return status == LK_OK ? LK_NOT_FOUND : status;
    *lock = (lk_lock){*of, row.version, row.expires_at_ms};
    status = lki_lmdb_item_find(store, txn, &key, item);
    *there = status == LK_OK;
    if (*there && lk_has_expired(item->expires_at_ms, now_ms))
        return LK_NOT_FOUND;
    return status == LK_NOT_FOUND ? LK_OK : status;
}

/* What the locks that a call makes are counted as, once it has committed. */
typedef struct made_locks {
    uint64_t created, renewed;
} made_locks;

/* As it is, or made, or renewed. */
static lk_status
lock_find_or_create(lki_lmdb_txn *t, const lk_key *of, lk_lock *lock, made_locks *made)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_item item;
    lki_lmdb_key_make(&key, *of);
    lk_status status = expired_find(t, &key, &item);
    if (status == LK_OK)
        status = lki_lmdb_found_remove(t, &key, &item, NULL);
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    status = lki_lmdb_row(t->txn, t->store->locks, &key, &row, sizeof row);
    bool there = status == LK_OK;
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    if (there && lock_is_fresh(t->store, &row, t->now_ms)) {
        *lock = (lk_lock){*of, row.version, row.expires_at_ms};
        return LK_OK;
    }
    if (there && !lock_has_lapsed(&row, t->now_ms))
        made->renewed++;
    else
        made->created++;
    uint64_t version = lki_lmdb_numbers(t, 1);
    status = lki_lmdb_lock_write(t, &key, there ? &row : NULL, version);
    *lock = (lk_lock){*of, version, lki_lmdb_after(t->now_ms, t->store->lock_ttl_ms)};
    return status;
}

static void
made_count(lki_lmdb *store, const made_locks *made)
{
    lki_lmdb_count(&store->locks_created, made->created);
    lki_lmdb_count(&store->locks_renewed, made->renewed);
}

lk_status
lki_lmdb_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    lki_lmdb *store = state;
    lki_lmdb_reader *reader;
    lki_lmdb_txn t;
    lki_lmdb_item item;
    bool there;
    lk_lock got;
    made_locks made = {0, 0};
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    status = lock_read(store, reader->txn, key, lki_lmdb_now(store), &got, &item, &there);
    lki_lmdb_read_end(reader);
    if (status == LK_NOT_FOUND) {
        status = lki_lmdb_begin(store, &t);
        if (status != LK_OK)
            return status;
        status = lock_find_or_create(&t, key, &got, &made);
        if (status == LK_OK)
            made_count(store, &made);
        status = lki_lmdb_end(&t, status);
    }
    if (status == LK_OK) {
        lock->version = got.version;
        lock->expires_at_ms = got.expires_at_ms;
    }
    return status;
}

/* ---- get_locked ---- */

static lk_status
item_add(lk_result *result, const lk_key *key, const lki_lmdb_item *found, bool there)
{
    lk_item item = {*key, found->data, found->expires_at_ms};
    return lk_result_add(result, there ? &item : NULL);
}

/* Locks and items from one snapshot. LK_NOT_FOUND: a lock has to be written. */
static lk_status
locked_read(lki_lmdb *store, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    int64_t now_ms = lki_lmdb_now(store);
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lki_lmdb_item item = {.expires_at_ms = 0};
        bool there;
        status = lock_read(store, reader->txn, &keys[i], now_ms, &locks[i], &item, &there);
        if (status == LK_OK)
            status = item_add(result, &keys[i], &item, there);
    }
    lki_lmdb_count(&reader->multi_gets, status == LK_OK ? count : 0);
    lki_lmdb_read_end(reader);
    return status;
}

/* The same from the transaction that writes the locks. */
static lk_status
locked_write(lki_lmdb *store, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lki_lmdb_txn t;
    made_locks made = {0, 0};
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lock_find_or_create(&t, &keys[i], &locks[i], &made);
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lki_lmdb_key key;
        lki_lmdb_item item = {.expires_at_ms = 0};
        lki_lmdb_key_make(&key, keys[i]);
        status = lki_lmdb_item_find(store, t.txn, &key, &item); /* none that has expired */
        if (status == LK_OK || status == LK_NOT_FOUND)
            status = item_add(result, &keys[i], &item, status == LK_OK);
    }
    if (status == LK_OK)
        made_count(store, &made);
    lki_lmdb_count(&store->multi_gets, status == LK_OK ? count : 0);
    return lki_lmdb_end(&t, status);
}

lk_status
lki_lmdb_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks,
                    lk_result *result)
{
    lki_lmdb *store = state;
    enum { FEW = 16 };
    lk_lock few[FEW], *read = few;
    if (count > FEW)
        read = count <= SIZE_MAX / sizeof *read ? malloc(count * sizeof *read) : NULL;
    if (read == NULL)
        return LK_NO_MEMORY;
    lk_status status = locked_read(store, keys, count, read, result);
    if (status == LK_NOT_FOUND)
        status = locked_write(store, keys, count, read, result);
    if (status == LK_OK) {
        if (count != 0)
            memcpy(locks, read, count * sizeof *read);
        lk_result_publish(result);
    }
    if (read != few)
        free(read);
    return status;
}
