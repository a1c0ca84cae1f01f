/* SPDX-License-Identifier: MIT
 *
 * Items, as a write transaction changes them: with their jobs, their locks and their keys in
 * expiry. Called by every operation that writes.
 */
#ifndef LKI_LMDB_ITEM_H
#define LKI_LMDB_ITEM_H

#include "lmdb/txn.h"

/* As lk_set: a job stays a job. */
lk_status lki_lmdb_item_put(lki_lmdb_txn *t, const lki_lmdb_key *key, const lk_item *item);
/* Over `old` (NULL: nothing), with flags. */
lk_status lki_lmdb_item_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old,
                              const lk_item *item, unsigned flags);
/* Removes item, job and lock. *version: what the lock's was; 0: there was none; may be NULL. */
lk_status lki_lmdb_key_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version);
/* Removes an item that was found (NULL: there is none), with its job and its lock. */
lk_status lki_lmdb_found_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *item,
                                uint64_t *version);

#endif
