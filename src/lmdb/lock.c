/* SPDX-License-Identifier: MIT
 *
 * See lock.h.
 *
 * A version is a number of the store (txn.c), so the version of a lock that was deleted or has
 * lapsed never comes again.
 *
 * Invariants  I-lmdb3: a lock has one key in expiry, with a time that is at most its own. A commit
 *             moves the lock's end and leaves that key; when its time comes it is put in anew
 *             (expire.c). Else each commit would write two keys more.
 */
#include "lmdb/lock.h"

#include "lmdb/expiry.h"
#include "lmdb/reader.h"

bool
lki_lmdb_lock_has_lapsed(const lki_lmdb_lock *lock, int64_t now_ms)
{
    return now_ms > lock->expires_at_ms;
}

bool
lki_lmdb_lock_is_fresh(const lki_lmdb *store, const lki_lmdb_lock *lock, int64_t now_ms)
{
    return !lki_lmdb_lock_has_lapsed(lock, now_ms) &&
           (store->lock_refresh_ms < 0 ||
            lock->expires_at_ms > lki_lmdb_after(now_ms, store->lock_refresh_ms));
}

lk_status
lki_lmdb_expired_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_item *item)
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
    lk_status status = lki_lmdb_expired_find(t, key, &item);
    if (status != LK_NOT_FOUND)
        return status == LK_OK ? LK_NOT_FOUND : status;
    status = lki_lmdb_row(t->txn, t->store->in.locks, key, lock, sizeof *lock);
    return status == LK_OK && lki_lmdb_lock_has_lapsed(lock, t->now_ms) ? LK_NOT_FOUND : status;
}

lk_status
lki_lmdb_lock_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_lock *old,
                    uint64_t version)
{
    int64_t expires = lki_lmdb_after(t->now_ms, t->store->lock_ttl_ms);
    lki_lmdb_lock lock = {version, expires, old != NULL ? old->indexed_ms : expires};
    lk_status status = LK_OK;
    LKI_LMDB_ASSERT(version != 0 && version < t->version); /* one of lki_lmdb_numbers */
    if (old != NULL && expires < old->indexed_ms) { /* the clock went back, or locks live shorter */
        lock.indexed_ms = expires;
        status = lki_lmdb_expiry_drop(t, key, old->indexed_ms, LKI_LMDB_OF_LOCK);
    }
    if (status == LK_OK && (old == NULL || lock.indexed_ms != old->indexed_ms))
        status = lki_lmdb_expiry_add(t, key, expires, LKI_LMDB_OF_LOCK);
    return status == LK_OK ? lki_lmdb_put(t, t->store->in.locks, key, &lock, sizeof lock) : status;
}

lk_status
lki_lmdb_lock_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version)
{
    lki_lmdb_lock lock;
    lk_status status = lki_lmdb_row(t->txn, t->store->in.locks, key, &lock, sizeof lock);
    if (version != NULL)
        *version = status == LK_OK ? lock.version : 0;
    if (status == LK_NOT_FOUND)
        return LK_OK;
    if (status == LK_OK)
        status = lki_lmdb_expiry_drop(t, key, lock.indexed_ms, LKI_LMDB_OF_LOCK);
    return status == LK_OK ? lki_lmdb_del(t, t->store->in.locks, key) : status;
}
