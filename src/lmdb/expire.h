/* SPDX-License-Identifier: MIT
 *
 * What a write transaction takes out by itself: what has expired or lapsed, and queues that nobody
 * uses any more. Called by the end of each write (a few at a time, and only if something is due),
 * by lk_sweep, by a push that finds its queue full, and by a pull that finds nothing in a closed
 * queue.
 */
#ifndef LKI_LMDB_EXPIRE_H
#define LKI_LMDB_EXPIRE_H

#include "lmdb/txn.h"

/* Takes out what has expired, at most so many entries. *more: there are others. */
lk_status lki_lmdb_expire(lki_lmdb_txn *t, size_t most, bool *more);
/* Looks at so many queues from `from` on, and forgets those that are empty, not closed and unused
 * for a minute. *more: there are others, behind `from`. */
lk_status lki_lmdb_queues_visit(lki_lmdb_txn *t, lki_lmdb_key *from, int count, bool *more);
/* Looks at two queues, from where the last call stopped. */
lk_status lki_lmdb_queues_tend(lki_lmdb_txn *t);

#endif
