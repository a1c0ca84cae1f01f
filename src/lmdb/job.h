/* SPDX-License-Identifier: MIT
 *
 * The rows of jobs: their phases and where they wait. Called inside a write transaction by items,
 * push, pull and claim.
 */
#ifndef LKI_LMDB_JOB_H
#define LKI_LMDB_JOB_H

#include "lmdb/txn.h"

/* The job of an item that says it is one. LK_UNAVAILABLE: there is no such job, so the file is
 * damaged (I-lmdb1). */
lk_status lki_lmdb_job_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_job *job);
/* `old` NULL: the job is new; `to` NULL: it goes. Afterwards t->queue is that of the job; its depth
 * is kept here. */
lk_status lki_lmdb_job_change(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *old,
                              const lki_lmdb_job *to);
/* The job of an item that goes, or that is no job any more. */
lk_status lki_lmdb_job_drop(lki_lmdb_txn *t, const lki_lmdb_key *key);

#endif
