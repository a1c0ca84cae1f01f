/* SPDX-License-Identifier: MIT
 *
 * Several keys in one step, for the store's own calls and for pushes and acknowledgements.
 */
#ifndef LKI_STORE_COMMIT_H
#define LKI_STORE_COMMIT_H

#include "base/pressure.h"
#include "store/store.h"

/* What a commit does for a push or an acknowledgement: the record that has to be effective on the
 * item's head of `cell`, and, of a push, the state that comes. */
typedef struct lki_job_step {
    lki_cell *cell;
    const lki_record *expected;
    lki_state to;
} lki_job_step;
/* Called for each such write when a commit is planned, and again when it is planned anew; in the
 * section of the commit. On anything but LK_OK (not LK_RACE, LK_NOT_FOUND, LK_BUSY) the commit ends
 * with that. */
typedef lk_status (*lki_job_plan)(void *context, lki_store *store, lki_thread *thread, size_t write,
                                  lki_job_step *step);
/* What is to be written: `items` (puts), or `writes`. */
typedef struct lki_writes {
    const lk_item *items;
    const lk_write *writes;
    size_t count;
    lki_job_plan plan; /* NULL: no pushes, no acknowledgements */
    void *context;
} lki_writes;
/* Caller: lki_memory_is_bounded before, outside of its section. */
lk_status lki_store_commit(lki_store *store, lki_thread *thread, const lki_writes *writes,
                           lk_lock *locks, size_t lock_count, lk_conflict *conflict);

#endif
