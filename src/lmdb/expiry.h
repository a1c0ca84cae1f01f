/* SPDX-License-Identifier: MIT
 *
 * The index of expiry: a key for each item that expires and for each lock, in the order of time.
 * Kept by the verbs of items and locks; read by whatever looks for what has expired.
 */
#ifndef LKI_LMDB_EXPIRY_H
#define LKI_LMDB_EXPIRY_H

#include "lmdb/txn.h"

lk_status lki_lmdb_expiry_add(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time,
                              unsigned char kind);
lk_status lki_lmdb_expiry_drop(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time,
                               unsigned char kind);
/* The first key, as it lies, and its time. LK_NOT_FOUND: there is none, and *first_ms is
 * INT64_MAX. */
lk_status lki_lmdb_expiry_first(const lki_lmdb *store, MDB_txn *txn, lki_lmdb_key *expiry,
                                int64_t *first_ms);

#endif
