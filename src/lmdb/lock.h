/* SPDX-License-Identifier: MIT
 *
 * Optimistic locks, as a write transaction sees them. Called by the operations that make and check
 * them, and by the verbs of items.
 */
#ifndef LKI_LMDB_LOCK_H
#define LKI_LMDB_LOCK_H

#include "lmdb/txn.h"

bool lki_lmdb_lock_has_lapsed(const lki_lmdb_lock *lock, int64_t now_ms);
/* Has it neither lapsed, nor come so near its end that it is renewed? */
bool lki_lmdb_lock_is_fresh(const lki_lmdb *store, const lki_lmdb_lock *lock, int64_t now_ms);
/* Finds an item that has expired, and with it its lock. LK_NOT_FOUND: there is none, which mostly
 * shows without a look: nothing expires before the first time in expiry. */
lk_status lki_lmdb_expired_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_item *item);
/* Finds a lock that is good: it has not lapsed, nor has its item expired. LK_OK, LK_NOT_FOUND. */
lk_status lki_lmdb_lock_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_lock *lock);
/* Writes a lock with a new version and a whole life, over `old` (NULL: there is none). */
lk_status lki_lmdb_lock_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_lock *old,
                              uint64_t version);
/* Removes a lock, if there is one. *version: what it was; 0: there was none; may be NULL. */
lk_status lki_lmdb_lock_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version);

#endif
