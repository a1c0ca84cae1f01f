/* SPDX-License-Identifier: MIT
 *
 * Reading: snapshots of the file, and rows as they are read. Called by whatever reads.
 */
#ifndef LKI_LMDB_READER_H
#define LKI_LMDB_READER_H

#include "lmdb/state.h"

enum { LKI_LMDB_LINE = 64 };

/* A place for one read at a time. */
struct lki_lmdb_reader {
    _Alignas(LKI_LMDB_LINE) lki_lmdb_flag taken; /* L1 */
    MDB_txn *txn;                                /* L1; NULL: not used yet; reset while idle */
    MDB_cursor *cursor;                          /* L1; of items */
    lki_lmdb_counter gets, hits, multi_gets, queries, items_queried;
};

lk_status lki_lmdb_readers_open(lki_lmdb *store, uint32_t count);
void lki_lmdb_readers_close(lki_lmdb *store);
/* LK_OK: *reader is the caller's until the end, and its transaction is one snapshot. */
lk_status lki_lmdb_read_begin(lki_lmdb *store, lki_lmdb_reader **reader);
void lki_lmdb_read_end(lki_lmdb_reader *reader);
/* To a draft: the item that was found for a key, or a hole (NULL). As lk_result_add. */
lk_status lki_lmdb_found_add(lk_result *result, const lk_key *key, const lki_lmdb_item *found);

/* Of these, in any transaction: LK_OK, LK_NOT_FOUND; LK_UNAVAILABLE: the file is damaged. */

/* The first key that is not before `from`. */
lk_status lki_lmdb_seek(MDB_txn *txn, MDB_dbi dbi, const lki_lmdb_key *from, MDB_val *key);
/* A row of a fixed size. */
lk_status lki_lmdb_row(MDB_txn *txn, MDB_dbi dbi, const lki_lmdb_key *key, void *row, size_t size);
/* An item, expired or not. */
lk_status lki_lmdb_item_find(const lki_lmdb *store, MDB_txn *txn, const lki_lmdb_key *key,
                             lki_lmdb_item *item);
lk_status lki_lmdb_item_parse(const MDB_val *value, lki_lmdb_item *item);

#endif
