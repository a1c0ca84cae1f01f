/* SPDX-License-Identifier: MIT
 *
 * A look at a queue, which writes nothing and waits for no writer. Called by pulls before they
 * write, and by descriptors.
 */
#ifndef LKI_LMDB_LOOK_H
#define LKI_LMDB_LOOK_H

#include "lmdb/state.h"

/* What a look at a queue has seen. */
typedef struct lki_lmdb_sight {
    int64_t time;      /* the store's, after the snapshot */
    int64_t first_due; /* at this time the sight may be another; INT64_MAX: not by time */
    bool exists;
} lki_lmdb_sight;

/* `queue`: its frame. LK_OK: there may be something to pull. LK_EMPTY. LK_CLOSED: and no job. */
lk_status lki_lmdb_look(lki_lmdb *store, const lki_lmdb_key *queue, lki_lmdb_sight *sight);

/* For pulls, in a transaction of theirs. */

/* The first key of due, and its time; LK_OK with INT64_MAX: there is none. */
lk_status lki_lmdb_due_first(const lki_lmdb *store, const lki_lmdb_key *queue, MDB_txn *txn,
                             MDB_val *key, int64_t *time);
/* The first key of ready. LK_NOT_FOUND: there is none. */
lk_status lki_lmdb_ready_first(const lki_lmdb *store, const lki_lmdb_key *queue, MDB_txn *txn,
                               MDB_val *key);
/* Of a closed queue that has jobs: the time of the store at which one of them may have expired.
 * Jobs expire by the realtime clock, whose time is now_ms; any item's first_expiry_ms will do. */
int64_t lki_lmdb_expiry_as_due(int64_t time, int64_t now_ms, int64_t first_expiry_ms);

#endif
