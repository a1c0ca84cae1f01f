/* SPDX-License-Identifier: MIT
 *
 * Locks for callers: read as they are, else made or renewed. Called through the table of
 * operations.
 */
#include <stdlib.h>

#include "lmdb/end.h"
#include "lmdb/item.h"
#include "lmdb/lock.h"
#include "lmdb/operations.h"
#include "lmdb/reader.h"

/* What is read with a lock: its item, if it is there and live. */
typedef struct beside {
    lki_lmdb_item item;
    bool there;
} beside;

/* Reads a lock and its item. LK_OK: the lock is fresh, or, unless it has to be made, there is
 * neither lock nor item, and the version is 0. LK_NOT_FOUND: it has to be written. What has expired
 * is not there, nor is its lock. */
static lk_status
lock_read(const lki_lmdb *store, MDB_txn *txn, int64_t now_ms, bool makes, lk_lock *lock, beside *b)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_key_make(&key, lock->key);
    lk_status status = lki_lmdb_row(txn, store->in.locks, &key, &row, sizeof row);
    bool good = status == LK_OK && !lki_lmdb_lock_has_lapsed(&row, now_ms);
    if (status == LK_OK || status == LK_NOT_FOUND)
        status = lki_lmdb_item_find(store, txn, &key, &b->item);
    b->there = status == LK_OK && !lk_has_expired(b->item.expires_at_ms, now_ms);
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    good = good && (b->there || status == LK_NOT_FOUND);
    lock->version = good ? row.version : 0;
    lock->expires_at_ms = good ? row.expires_at_ms : 0;
    if (good ? lki_lmdb_lock_is_fresh(store, &row, now_ms) : !b->there && !makes)
        return LK_OK;
    return LK_NOT_FOUND;
}

/* How many locks a call has made. Counted once it has committed. */
typedef struct made_locks {
    uint64_t created, renewed;
} made_locks;

/* Makes or renews a lock. An item that has expired goes first. */
static lk_status
lock_make(lki_lmdb_txn *t, lk_lock *lock, made_locks *made)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_key_make(&key, lock->key);
    lk_status status = lki_lmdb_expired_remove(t, &key);
    if (status == LK_OK)
        status = lki_lmdb_row(t->txn, t->store->in.locks, &key, &row, sizeof row);
    bool there = status == LK_OK;
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    if (there && !lki_lmdb_lock_has_lapsed(&row, t->now_ms))
        made->renewed++;
    else
        made->created++;
    lock->version = lki_lmdb_numbers(t, 1);
    lock->expires_at_ms = lki_lmdb_after(t->now_ms, t->store->lock_ttl_ms);
    return lki_lmdb_lock_write(t, &key, there ? &row : NULL, lock->version);
}

/* Reads all from one snapshot. LK_NOT_FOUND: a lock has to be written, as one that is not there has
 * to if there is no result. */
static lk_status
locked_read(lki_lmdb *store, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    int64_t now_ms = lki_lmdb_now(store);
    if (result != NULL)
        lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        beside b;
        locks[i].key = keys[i];
        status = lock_read(store, reader->txn, now_ms, result == NULL, &locks[i], &b);
        if (status == LK_OK && result != NULL)
            status = lki_lmdb_found_add(result, &keys[i], b.there ? &b.item : NULL);
    }
    lki_lmdb_count(&reader->multi_gets, status == LK_OK && result != NULL ? count : 0);
    lki_lmdb_read_end(reader);
    return status;
}

/* The same in a transaction that writes the locks which have to be. */
static lk_status
locked_write(lki_lmdb *store, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lki_lmdb_txn t;
    made_locks made = {0, 0};
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    if (result != NULL)
        lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        beside b;
        locks[i].key = keys[i];
        status = lock_read(store, t.txn, t.now_ms, result == NULL, &locks[i], &b);
        bool makes = status == LK_NOT_FOUND;
        status = makes ? LK_OK : status;
        if (status == LK_OK && result != NULL) /* before a write, which may move the data */
            status = lki_lmdb_found_add(result, &keys[i], b.there ? &b.item : NULL);
        if (status == LK_OK && makes)
            status = lock_make(&t, &locks[i], &made);
    }
    if (status == LK_OK) {
        lki_lmdb_count(&store->locks_created, made.created);
        lki_lmdb_count(&store->locks_renewed, made.renewed);
        lki_lmdb_count(&store->multi_gets, result != NULL ? count : 0);
    }
    return lki_lmdb_end(&t, status);
}

/* Locks of `count` keys, and their items if there is a result, all at one instant. */
static lk_status
locked_get(lki_lmdb *store, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lk_status status = locked_read(store, keys, count, locks, result);
    return status == LK_NOT_FOUND ? locked_write(store, keys, count, locks, result) : status;
}

lk_status
lki_lmdb_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    lk_lock got;
    lk_status status = locked_get(state, key, 1, &got, NULL);
    if (status == LK_OK) {
        lock->version = got.version;
        lock->expires_at_ms = got.expires_at_ms;
    }
    return status;
}

lk_status
lki_lmdb_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks,
                    lk_result *result)
{
    enum { FEW = 16 };
    lk_lock few[FEW], *read = few;
    if (count > FEW)
        read = count <= SIZE_MAX / sizeof *read ? malloc(count * sizeof *read) : NULL;
    if (read == NULL)
        return LK_NO_MEMORY;
    lk_status status = locked_get(state, keys, count, read, result);
    if (status == LK_OK) {
        if (count != 0)
            memcpy(locks, read, count * sizeof *read);
        lk_result_publish(result);
    }
    if (read != few)
        free(read);
    return status;
}
