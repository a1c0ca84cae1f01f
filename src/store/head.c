/* SPDX-License-Identifier: MIT
 *
 * Heads: the slow paths of head.h, snapshots, and waiting for a commit.
 *
 * Progress    wait-free, except for the bounded wait for a commit.
 * Ordering    P1, P2, P2b (head.h).
 */
#include "store/head.h"

enum { RESOLVE_SPINS = LKI_OR_SMALL(400, 2) };

static uint64_t
commit_stamp(uint64_t state)
{
    return state >> 2;
}

static void
commit_stamp_now(lki_store *store, lki_commit *commit)
{
    uint64_t ready = LKI_READY;
    uint64_t stamp = lki_load_seq_cst(&store->clock); /* P2: after READY was seen */
    LK_ASSERT(lki_word_is_stamp(stamp));
    lki_cas_seq_cst(&commit->state, &ready, stamp << 2);
    LK_ASSERT(ready == LKI_READY || commit_stamp(ready) != 0); /* I-commit3: never ABORTED */
}

LKI_COLD lki_record *
lki_effective_slow(lki_store *store, lki_record *record, lki_commit **blocker)
{
    uint64_t word = lki_load_acquire(&record->word); /* P2 */
    if (word == 0) {
        lki_record_stamp(store, record);
        return record;
    }
    if ((word & LKI_WORD_COMMIT) == 0)
        return record;
    lki_commit *commit = (lki_commit *)(uintptr_t)(word & ~LKI_WORD_COMMIT);
    uint64_t state = lki_load_seq_cst(&commit->state); /* P2 */
    if (state == LKI_READY) {
        commit_stamp_now(store, commit);
        return record;
    }
    if (state == LKI_INSTALLING && blocker != NULL)
        *blocker = commit;
    if (state == LKI_INSTALLING || state == LKI_ABORTED)
        return lki_record_prev(record);
    return record;
}

/* The stamp of a record that is, or once was, effective. */
static uint64_t
record_stamp(lki_record *record)
{
    uint64_t word = lki_load_acquire(&record->word); /* P2 */
    if ((word & LKI_WORD_COMMIT) == 0)
        return word;
    lki_commit *commit = (lki_commit *)(uintptr_t)(word & ~LKI_WORD_COMMIT);
    return commit_stamp(lki_load_seq_cst(&commit->state));
}

uint64_t
lki_snapshot(lki_store *store, lki_thread *thread)
{
    LK_ASSERT(lki_is_entered(thread)); /* it ends with the section */
    lki_count(thread, LKI_SNAPSHOTS, 1);
    uint64_t snapshot = lki_load_seq_cst(&store->clock);
    uint64_t expected = snapshot;
    /* If this fails, another thread has moved the clock past the snapshot. */
    lki_cas_seq_cst(&store->clock, &expected, snapshot + 1); /* P2 */
    LK_ASSERT(snapshot != 0 && expected >= snapshot);
    lki_fence_seq_cst(); /* P2, P2b: before the loads of heads, and of what leads to them */
    return snapshot;
}

LKI_COLD lki_record *
lki_record_at_slow(lki_store *store, uintptr_t head, uint64_t snapshot)
{
    lki_record *record = lki_effective(store, head, NULL);
    while (record != NULL && record_stamp(record) > snapshot) {
        LK_ASSERT(lki_record_prev(record) == NULL ||
                  record_stamp(lki_record_prev(record)) <= record_stamp(record)); /* I-record1 */
        record = lki_record_prev(record);
    }
    return record;
}

void
lki_commit_resolve(lki_thread *thread, lki_commit *commit)
{
    /* A running owner needs far less time from one record to the next. So wait as long as it makes
     * progress, then assume that it has stopped. Two commits cannot abort each other for ever, as
     * both install in address order. */
    uint64_t seen = lki_load_relaxed(&commit->installed);
    for (unsigned i = 0; i < RESOLVE_SPINS; i++) {
        if (lki_load_acquire(&commit->state) != LKI_INSTALLING) /* P2 */
            return;
        uint64_t installed = lki_load_relaxed(&commit->installed);
        if (installed != seen)
            i = 0;
        seen = installed;
        lki_pause();
    }
    uint64_t installing = LKI_INSTALLING;
    if (lki_cas_seq_cst(&commit->state, &installing, LKI_ABORTED))
        lki_count(thread, LKI_ABORTS, 1);
}
