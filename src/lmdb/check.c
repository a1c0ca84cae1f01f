/* SPDX-License-Identifier: MIT
 *
 * See check.h.
 */
#include "lmdb/check.h"

#include "lmdb/invariants.h"
#include "lmdb/reader.h"

lk_status
lki_lmdb_check_open(lki_lmdb *store, MDB_txn *txn)
{
    lki_lmdb_walk walk = {.txn = txn, .in = &store->in};
    if (LKI_CHECK < 2)
        return LK_OK;
    lki_lmdb_walk_file(&walk);
    store->was_whole = walk.faults == 0 && !walk.failed;
    return walk.failed ? LK_NO_MEMORY : LK_OK;
}

lk_status
lki_lmdb_check(lki_lmdb *store)
{
    lki_lmdb_reader *reader;
    lk_status status = store->was_whole ? lki_lmdb_read_begin(store, &reader) : LK_OK;
    if (!store->was_whole || status != LK_OK)
        return status;
    lki_lmdb_walk walk = {.txn = reader->txn, .in = &store->in, .says = true};
    lki_lmdb_walk_file(&walk);
    LKI_LMDB_ASSERT(walk.faults == 0 || walk.failed);
    lki_lmdb_read_end(reader);
    return walk.failed ? LK_NO_MEMORY : LK_OK;
}
