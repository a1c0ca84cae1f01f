/* SPDX-License-Identifier: MIT
 *
 * Expiry: expired items and locks are replaced by tombstones, a few with each write.
 */
#ifndef LKI_STORE_SWEEP_H
#define LKI_STORE_SWEEP_H

#include "store/store.h"
#include "store/store_thread.h"

/* Called after an item or lock with an expiry was written: lowers earliest_ms, the lower bound of
 * all expiries.
 *
 * P22: the writer swaps the head, then loads the bound; a round of the sweep resets the bound, then
 * loads the heads. Without the order the writer could find the old bound and the round the old
 * head, and no later round would remove what expires. */
LKI_INLINE void
lki_sweep_expect(lki_store *store, int64_t expires_at_ms)
{
    int64_t earliest = lki_load_seq_cst(&store->sweep.earliest_ms); /* P22 */
    while (expires_at_ms < earliest &&
           !lki_cas_seq_cst(&store->sweep.earliest_ms, &earliest, expires_at_ms)) {} /* P22 */
}

/* Puts a tombstone over an expired record on a cell's head. *next_ms: lowered to the expiry that is
 * left there. LK_OK: it had expired. LK_RACE: it had not. LK_NO_MEMORY. */
lk_status lki_sweep_cell(lki_store *store, lki_thread *thread, lki_cell *cell, int64_t now,
                         int64_t *next_ms);

/* A small step of the sweep, with every LKI_WRITES_PER_STEP-th write of a thread. Called by writers
 * outside of their sections. */
void lki_sweep_step_slow(lki_store *store, lki_thread *thread);
enum { LKI_WRITES_PER_STEP = 16 };
LKI_INLINE void
lki_sweep_step(lki_store *store, lki_thread *thread, size_t writes)
{
    lki_store_thread *of = lki_store_thread_of(thread);
    of->sweep_tick += (uint32_t)writes;
    if (LKI_UNLIKELY(of->sweep_tick >= LKI_WRITES_PER_STEP || of->pending != 0))
        lki_sweep_step_slow(store, thread);
}
/* Makes the thread's next step come with its next write, and include what the hooks have. */
void lki_sweep_soon(lki_thread *thread);
/* The next step comes with this write: little memory is left. */
void lki_sweep_now(lki_thread *thread);
lk_status lki_sweep_all(lki_store *store, lki_thread *thread, size_t max_items, size_t *swept);
bool lki_sweeper_start(lki_store *store);
void lki_sweeper_stop(lki_store *store);

#endif
