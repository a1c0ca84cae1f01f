/* SPDX-License-Identifier: MIT
 *
 * The end of a call that writes. Called by every operation that began a transaction.
 */
#ifndef LKI_LMDB_END_H
#define LKI_LMDB_END_H

#include "lmdb/txn.h"

/* If `status` is LK_OK or LK_LATE: sweeps a few expired entries, commits, and returns `status`, or
 * what the commit failed with. Else aborts and returns `status`. Then drops the latch and tells
 * waiters and descriptors what a commit means for them. */
lk_status lki_lmdb_end(lki_lmdb_txn *t, lk_status status);

#endif
