/* SPDX-License-Identifier: MIT
 *
 * Claims, inside a write transaction. Called by acknowledge, release and extend, and by commits.
 */
#ifndef LKI_LMDB_CLAIM_H
#define LKI_LMDB_CLAIM_H

#include "lmdb/txn.h"

/* Takes a job out whose claim is good. LK_OK, LK_LATE, LK_LOST. *version: what the lock's was. */
lk_status lki_lmdb_job_acknowledge(lki_lmdb_txn *t, const lk_claim *claim, uint64_t *version);
/* Counts a claim that was lost, in its queue, if that is there. */
lk_status lki_lmdb_lost_count(lki_lmdb_txn *t, lk_bytes pk);

#endif
