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

/* Reads a lock and its item. LK_OK: the lock is fresh. LK_NOT_FOUND: it has to be written. */
static lk_status
lock_read(const lki_lmdb *store, MDB_txn *txn, const lk_key *of, int64_t now_ms, lk_lock *lock,
          lki_lmdb_item *item, bool *there)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_key_make(&key, *of);
    lk_status status = lki_lmdb_row(txn, store->in.locks, &key, &row, sizeof row);
    if (status != LK_OK || !lki_lmdb_lock_is_fresh(store, &row, now_ms))
        return status == LK_OK ? LK_NOT_FOUND : status;
    *lock = (lk_lock){*of, row.version, row.expires_at_ms};
    status = lki_lmdb_item_find(store, txn, &key, item);
    *there = status == LK_OK;
    if (*there && lk_has_expired(item->expires_at_ms, now_ms))
        return LK_NOT_FOUND;
    return status == LK_NOT_FOUND ? LK_OK : status;
}

/* How many locks a call has made. Counted once it has committed. */
typedef struct made_locks {
    uint64_t created, renewed;
} made_locks;

/* Reads a lock, or makes or renews it. An item that has expired goes first. */
static lk_status
lock_find_or_create(lki_lmdb_txn *t, const lk_key *of, lk_lock *lock, made_locks *made)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_item item;
    lki_lmdb_key_make(&key, *of);
    lk_status status = lki_lmdb_expired_find(t, &key, &item);
    if (status == LK_OK)
        status = lki_lmdb_found_remove(t, &key, &item, NULL);
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    status = lki_lmdb_row(t->txn, t->store->in.locks, &key, &row, sizeof row);
    bool there = status == LK_OK;
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    if (there && lki_lmdb_lock_is_fresh(t->store, &row, t->now_ms)) {
        *lock = (lk_lock){*of, row.version, row.expires_at_ms};
        return LK_OK;
    }
    if (there && !lki_lmdb_lock_has_lapsed(&row, t->now_ms))
        made->renewed++;
    else
        made->created++;
    uint64_t version = lki_lmdb_numbers(t, 1);
    status = lki_lmdb_lock_write(t, &key, there ? &row : NULL, version);
    *lock = (lk_lock){*of, version, lki_lmdb_after(t->now_ms, t->store->lock_ttl_ms)};
    return status;
}

/* Reads all from one snapshot. LK_NOT_FOUND: a lock has to be written. */
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
        lki_lmdb_item item = {.expires_at_ms = 0};
        bool there;
        status = lock_read(store, reader->txn, &keys[i], now_ms, &locks[i], &item, &there);
        if (status == LK_OK && result != NULL)
            status = lki_lmdb_found_add(result, &keys[i], there ? &item : NULL);
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
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lock_find_or_create(&t, &keys[i], &locks[i], &made);
    if (result != NULL)
        lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && result != NULL && i < count; i++) {
        lki_lmdb_key key;
        lki_lmdb_item item = {.expires_at_ms = 0};
        lki_lmdb_key_make(&key, keys[i]);
        status = lki_lmdb_item_find(store, t.txn, &key, &item); /* none that has expired */
        if (status == LK_OK || status == LK_NOT_FOUND)
            status = lki_lmdb_found_add(result, &keys[i], status == LK_OK ? &item : NULL);
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
