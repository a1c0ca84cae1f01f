/* SPDX-License-Identifier: MIT
 *
 * Why a commit does not happen.
 */
#ifndef LKI_STORE_REFUSAL_H
#define LKI_STORE_REFUSAL_H

#include "store/find.h"
#include "store/writes.h"

/* A key of a commit, and where it is to be found. */
typedef struct lki_sought {
    lki_hashed hashed;
    lki_bucket *bucket;
} lki_sought;

/* What has to hold: the locks, then what the first `write_count` writes ask, in the caller's
 * order. */
typedef struct lki_demands {
    const lki_writes *writes;
    size_t write_count;
    const lk_lock *locks;
    size_t lock_count;
} lki_demands;

/* Is a key named twice among the locks, or among the writes? Any other refusal is only told where
 * the call was right. `room` is for as many as there are locks and writes. */
bool lki_demands_repeat(const lki_store *store, const lki_demands *of, lki_sought *room);
/* At one instant of this call. LK_OK: then all held, so it may be tried again. LK_RACE, or what
 * lki_write_outcome says: `conflict` names the first that did not. Caller: in a section. */
lk_status lki_demands_judge(lki_store *store, lki_thread *thread, const lki_demands *of,
                            lki_time *now, lk_conflict *conflict);

#endif
