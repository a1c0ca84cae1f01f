/* SPDX-License-Identifier: MIT
 *
 * What changes the store: writes, and the upkeep that follows them.
 */
#ifndef LKI_STORE_WRITES_H
#define LKI_STORE_WRITES_H

#include "store/store.h"

/* ---- write.c, commit.c, lock.c ---- */

lk_status lki_store_set(lki_store *store, lki_thread *thread, const lk_item *items, size_t count);
lk_status lki_store_delete(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count);
/* Caller: in a write section. `cell`: where known. `judged`: lki_memory_is_bounded, before it; else that
 * decides where a lock is made: LK_BUSY. */
lk_status lki_store_get_lock(lki_store *store, lki_thread *thread, const lki_hashed *hashed,
                             lki_cell *cell, bool judged, lki_time *now, lk_lock *lock);
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
typedef lk_status (*lki_job_plan)(void *context, struct lki_store *store, lki_thread *thread,
                                  size_t write, lki_job_step *step);
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

/* ---- removal.c, sweep.c ---- */

/* The tombstone of `cell` was installed and stamped: notes from when on it may be buried, and sees to
 * it that somebody does. NULL: the cell was made in vain. Caller: in the write section that installed
 * it, with 1 retirement reserved. */
void lki_removal_schedule(lki_thread *thread, lki_cell *cell, lki_record *tombstone);
/* The same for a cell that was perhaps made in vain: if there is nothing in it. Where there is no memory
 * for that, an lk_sweep finds the cell. Caller: in a write section. */
void lki_removal_if_void(lki_thread *thread, lki_cell *cell);
bool lki_removal_ticket(lki_thread *thread, void *cell);
/* Takes a partition out if its index is empty. Caller: in a write section, holds the latch of the
 * shard of the pk, then that of the partition (the one place where two are held). */
bool lki_partition_bury_latched(lki_store *store, lki_thread *thread, lki_partition *partition);

/* An item or lock that expires was written.
 *
 * P22: its head was swapped, then the bound is loaded; a round of the sweep takes the bound away, then loads the
 * heads. Without the order the writer could find the old bound, the round the old head, and nobody would ever
 * come for what expires. */
LKI_INLINE void
lki_sweep_note(lki_store *store, int64_t expires_at_ms)
{
    int64_t earliest = lki_load_seq_cst(&store->sweep.earliest_ms); /* P22 */
    while (expires_at_ms < earliest &&
           !lki_cas_seq_cst(&store->sweep.earliest_ms, &earliest, expires_at_ms)) {} /* P22 */
}

/* Puts a tombstone over what has expired on a cell's head; *next_ms: the expiry that is left there, if
 * it is earlier. LK_OK: it had. LK_RACE: it had not. LK_NO_MEMORY. */
lk_status lki_sweep_cell(lki_store *store, lki_thread *thread, lki_cell *cell, int64_t now,
                         int64_t *next_ms);

/* A little of a sweep, now and then; writers call it outside of their sections. */
void lki_sweep_step_slow(lki_store *store, lki_thread *thread);
enum { LKI_WRITES_PER_STEP = 16 };
LKI_INLINE void
lki_sweep_step(lki_store *store, lki_thread *thread, size_t writes)
{
    thread->sweep_tick += (uint32_t)writes;
    if (LKI_UNLIKELY(thread->sweep_tick >= LKI_WRITES_PER_STEP || thread->noted_count != 0))
        lki_sweep_step_slow(store, thread);
}
/* The thread's next step comes with its next write, and looks at queues. */
void lki_sweep_soon(lki_thread *thread);
lk_status lki_sweep_all(lki_store *store, lki_thread *thread, size_t max_items, size_t *swept);
bool lki_sweeper_start(lki_store *store);
void lki_sweeper_stop(lki_store *store);

#endif
