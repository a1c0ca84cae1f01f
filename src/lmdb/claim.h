/* SPDX-License-Identifier: MIT
 *
 * Claims, inside a write transaction. Called by acknowledge and extend, and by commits.
 */
#ifndef LKI_LMDB_CLAIM_H
#define LKI_LMDB_CLAIM_H

#include "lmdb/txn.h"

/* Takes a job out whose claim is good. LK_OK, LK_LATE, LK_LOST. *version: what the lock's was. */
lk_status lki_lmdb_job_acknowledge(lki_lmdb_txn *t, const lk_claim *claim, uint64_t *version);
/* Makes a job visible again whose claim is good, at once or later. LK_OK, LK_LATE, LK_LOST. */
lk_status lki_lmdb_job_release(lki_lmdb_txn *t, const lk_claim *claim, int64_t delay_ms);
/* Counts, in a transaction of its own, a claim for whose loss another one came to nothing. Where
 * that fails it is not counted. */
void lki_lmdb_loss_note(lki_lmdb *store, lk_bytes pk);

#endif
