/* SPDX-License-Identifier: MIT
 *
 * Items, as a write transaction changes them: with their jobs, their locks and their keys in
 * expiry. Called by every operation that writes.
 */
#ifndef LKI_LMDB_ITEM_H
#define LKI_LMDB_ITEM_H

#include "lmdb/txn.h"

/* Finds the live item of a key; one that has expired is taken out, with its job and its lock. LK_OK
 * also where there is none (*there). */
lk_status lki_lmdb_live_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_item *item,
                             bool *there);
/* A put, a delete, a touch or an add, if its condition holds. *version: as of lki_lmdb_key_remove,
 * if it is a delete. *value: the new one, if it is an add. */
lk_status lki_lmdb_item_step(lki_lmdb_txn *t, const lk_write *write, uint64_t *version,
                             int64_t *value);
/* Over `old` (NULL: nothing), with flags. */
lk_status lki_lmdb_item_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old,
                              const lk_item *item, unsigned flags);
/* Removes item, job and lock. *version: what the lock's was; 0: there was none; may be NULL. */
lk_status lki_lmdb_key_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version);
/* Takes out what has expired at a key, if there is something. */
lk_status lki_lmdb_expired_remove(lki_lmdb_txn *t, const lki_lmdb_key *key);
/* Removes an item that was found (NULL: there is none), with its job and its lock. */
lk_status lki_lmdb_found_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *item,
                                uint64_t *version);
/* A copy of an item's data, which outlives the next write of the transaction: the caller's, for
 * free(). NULL: no memory. */
void *lki_lmdb_data_copy(const lki_lmdb_item *item);

#endif
