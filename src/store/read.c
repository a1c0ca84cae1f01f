/* SPDX-License-Identifier: MIT
 *
 * Reads by key. Called by memory_db.c, in a section.
 *
 * One key: hash, bucket, head, record; no store to a line that others use, no wait. Several
 * keys are one snapshot, without touching the clock where possible: collect all heads, all of them
 * settled; collect again; unchanged means that all of them were so at one instant between the two
 * passes (double collect: Afek and others, 1993). Records never change, and none that was seen in
 * this section is freed or used again before it ends, so an equal head is the same record. Else a
 * snapshot by the clock.
 *
 * The passes over several keys are apart so that their cache misses overlap: buckets, cells,
 * records.
 *
 * Invariants  I-read1: whatever is returned was settled, so no later snapshot is without it.
 * Ordering    P1, P2 (record.h).
 */
#include "store/record.h"

enum { GROUP = 16 };

lki_cell *
lki_find_any(lki_store *store, const lki_hashed *hashed)
{
    if (LKI_UNLIKELY(lki_hashed_is_generated(store, hashed))) {
        lki_cell *cell = lki_lane_cell(store, hashed->key);
        if (cell != NULL)
            return cell;
    }
    return lki_shard_find(store, hashed);
}

static void
cell_prefetch(const lki_cell *cell)
{
    LKI_PREFETCH_FAR(cell);
    LKI_PREFETCH_FAR((uintptr_t)cell + LKI_LINE);
    LKI_PREFETCH_FAR((uintptr_t)cell + 2 * LKI_LINE);
}

/* The cells of a group, and their heads. */
static void
group_collect(lki_store *store, lki_seen *seen, size_t count)
{
    lki_bucket *bucket[GROUP];
    lki_cell *guess[GROUP];
    for (size_t i = 0; i < count; i++) {
        bucket[i] = lki_shard_bucket(store, seen[i].hashed.hash);
        LKI_PREFETCH(bucket[i]);
    }
    for (size_t i = 0; i < count; i++) {
        guess[i] = lki_bucket_guess(bucket[i], lki_set_tag(seen[i].hashed.hash));
        cell_prefetch(guess[i]);
    }
    for (size_t i = 0; i < count; i++) {
        lki_cell *cell = guess[i];
        if (LKI_UNLIKELY(lki_hashed_is_generated(store, &seen[i].hashed)))
            cell = lki_find(store, &seen[i].hashed);
        else if (LKI_UNLIKELY(cell == NULL) ||
                 LKI_UNLIKELY(!lki_keyed_is(cell, LKI_CELL_HEADER, &seen[i].hashed)))
            cell = lki_shard_find_in(store, bucket[i], &seen[i].hashed);
        uintptr_t head = cell == NULL ? LKI_EMPTY : lki_load_acquire(&cell->item); /* P1 */
        if (LKI_UNLIKELY(head == LKI_DEAD)) {
            cell = NULL; /* absent; the second pass looks the key up again */
            head = LKI_EMPTY;
        }
        LKI_PREFETCH(head);
        seen[i].cell = cell;
        seen[i].record = (lki_record *)head;
    }
}

/* First pass. False: something is not settled. */
static bool
heads_collect(lki_store *store, lki_seen *seen, size_t count)
{
    bool settled = true;
    for (size_t i = 0; i < count; i += GROUP) {
        size_t group = count - i < GROUP ? count - i : GROUP;
        group_collect(store, seen + i, group);
        for (size_t j = i; j < i + group; j++)
            settled &= lki_head_is_settled((uintptr_t)seen[j].record);
    }
    return settled;
}

/* Second pass. */
static bool
heads_are_unchanged(lki_store *store, const lki_seen *seen, size_t count)
{
    /* The loads of the first pass were acquire: none of these can be done before them. */
    for (size_t i = 0; i < count; i++) {
        const lki_cell *cell = seen[i].cell;
        if (cell != NULL) {
            /* A job may be gone though its head is as it was. */
            if (LKI_UNLIKELY(lki_hashed_is_generated(store, &seen[i].hashed)) &&
                lki_find(store, &seen[i].hashed) != cell)
                return false;
            if (LKI_UNLIKELY(lki_load_acquire(&cell->item) != (uintptr_t)seen[i].record)) /* P1 */
                return false;
            continue;
        }
        cell = lki_find(store, &seen[i].hashed);
        if (cell != NULL && lki_load_acquire(&cell->item) > LKI_DEAD) /* P1 */
            return false;
    }
    return true;
}

/* One key as of a snapshot that was taken before this call. */
static lki_record *
record_at_snapshot(lki_store *store, lki_seen *seen, uint64_t snapshot)
{
    if (LKI_UNLIKELY(lki_hashed_is_generated(store, &seen->hashed)))
        seen->cell = lki_find_at(store, &seen->hashed, snapshot);
    uintptr_t head = seen->cell == NULL ? LKI_DEAD : lki_load_acquire(&seen->cell->item); /* P1 */
    if (head == LKI_DEAD) {
        /* The cell that was seen left the table, perhaps before the snapshot: another one may have
         * come. */
        seen->cell = lki_find_at(store, &seen->hashed, snapshot);
        head = seen->cell == NULL ? LKI_EMPTY : lki_load_acquire(&seen->cell->item); /* P1 */
    }
    return lki_record_at(store, head, snapshot);
}

void
lki_read_many(lki_store *store, lki_thread *thread, lki_seen *seen, size_t count)
{
    if (LKI_LIKELY(heads_collect(store, seen, count)) &&
        LKI_LIKELY(heads_are_unchanged(store, seen, count)))
        return;
    uint64_t snapshot = lki_snapshot(store, thread);
    for (size_t i = 0; i < count; i++)
        seen[i].record = record_at_snapshot(store, &seen[i], snapshot);
}
