/* SPDX-License-Identifier: MIT
 *
 * Why a commit did not happen: which demand of the caller failed.
 */
#ifndef LKI_STORE_REFUSAL_H
#define LKI_STORE_REFUSAL_H

#include "store/find.h"
#include "store/writes.h"

/* A key of a commit, and its bucket. */
typedef struct lki_sought {
    lki_hashed hashed;
    lki_bucket *bucket;
} lki_sought;

/* What must hold: the locks, then the conditions of the first `write_count` writes, in the caller's
 * order. */
typedef struct lki_demands {
    const lki_writes *writes;
    size_t write_count;
    const lk_lock *locks;
    size_t lock_count;
} lki_demands;

/* Is a key named twice among the locks, or among the writes? Then the call was wrong, which is
 * reported before any other refusal. `room`: for as many as there are locks and writes. */
bool lki_demands_repeat(const lki_store *store, const lki_demands *of, lki_sought *room);
/* Judges the demands as of one instant of this call. LK_OK: all held, so the commit may be tried
 * again. LK_RACE, or a status of lki_write_outcome: `conflict` names the first that did not.
 * Caller: in a section. */
lk_status lki_demands_judge(lki_store *store, lki_thread *thread, const lki_demands *of,
                            lki_time *now, lk_conflict *conflict);

#endif
