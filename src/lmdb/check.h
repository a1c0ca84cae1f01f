/* SPDX-License-Identifier: MIT
 *
 * At check level 2: does a file that kept its invariants when it was opened still keep them? Called
 * at the opening, at the end of each sweep, and at the close. Below level 2 both calls do nothing.
 */
#ifndef LKI_LMDB_CHECK_H
#define LKI_LMDB_CHECK_H

#include "lmdb/state.h"

/* In the transaction of the opening. LK_OK; LK_NO_MEMORY for the walk. */
lk_status lki_lmdb_check_open(lki_lmdb *store, MDB_txn *txn);
lk_status lki_lmdb_check(lki_lmdb *store);

#endif
