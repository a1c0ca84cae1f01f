/* SPDX-License-Identifier: MIT
 *
 * Reads of several keys as of one instant.
 *
 * The clock of stamps is not touched if possible. First pass: read all heads; each has to be a
 * stamped record, or nothing. Second pass: read them again. If none has changed, all had these
 * records at one instant between the two passes (double collect: Afek and others, 1993). Records
 * never change, and none that was seen in this section is freed or reused before it ends, so an
 * equal head is the same record. Else a snapshot by the clock is taken.
 *
 * Each pass goes through buckets, then cells, then records, so that the cache misses of several
 * keys overlap. No pass stores to a line that others use, or waits.
 *
 * Invariants  I-read1: every returned record is stamped, so no later snapshot is without it.
 * Ordering    P1, P2 (head.h).
 */
#include "store/read.h"

#include "store/head.h"
#include "store/lock.h"

enum { GROUP = 16 };

static void
cell_prefetch(const lki_cell *cell)
{
    LKI_PREFETCH_FAR(cell);
    LKI_PREFETCH_FAR((uintptr_t)cell + LKI_LINE);
}

/* The cell of a key that is not short, or is not the first of its bucket with the tag. */
static LKI_APART lki_cell *
cell_otherwise(lki_store *store, const lki_seen *seen)
{
    if (LKI_UNLIKELY(lki_hashed_is_generated(store, &seen->hashed)))
        return lki_find(store, &seen->hashed);
    return lki_shard_find(store, &seen->hashed);
}

/* Finds the cells of a group, and reads their heads. False: one does not alone tell what is
 * effective. */
LKI_INLINE bool
group_collect(lki_store *store, const lk_key *keys, lki_seen *seen, size_t count)
{
    lki_bucket *bucket[GROUP];
    lki_cell *guess[GROUP];
    bool settled = true;
    for (size_t i = 0; i < count; i++) {
        seen[i].hashed = lki_hashed_of(&store->secret, &keys[i]);
        bucket[i] = lki_shard_bucket(store, seen[i].hashed.hash);
        LKI_PREFETCH(bucket[i]);
    }
    for (size_t i = 0; i < count; i++) {
        guess[i] = lki_bucket_guess(bucket[i], seen[i].hashed.hash);
        cell_prefetch(guess[i]);
    }
    for (size_t i = 0; i < count; i++) {
        lki_cell *cell = guess[i];
        if (LKI_UNLIKELY(!seen[i].hashed.is_short) || LKI_UNLIKELY(cell == NULL) ||
            LKI_UNLIKELY(!lki_keyed_is(cell, LKI_CELL_HEADER, &seen[i].hashed)))
            cell = cell_otherwise(store, &seen[i]);
        uintptr_t head = LKI_EMPTY;
        if (LKI_LIKELY(cell != NULL)) {
            head = lki_load_acquire(&cell->item); /* P1 */
            if (LKI_UNLIKELY(head == LKI_DEAD)) {
                cell = NULL; /* absent; the second pass searches again */
                head = LKI_EMPTY;
            }
        }
        seen[i].cell = cell;
        seen[i].record = (lki_record *)head;
        if (LKI_UNLIKELY(!lki_head_is_stamped(head)))
            settled = false;
    }
    return settled;
}

static LKI_APART bool
groups_collect(lki_store *store, const lk_key *keys, lki_seen *seen, size_t count)
{
    bool settled = true;
    for (; count > GROUP; count -= GROUP, keys += GROUP, seen += GROUP)
        settled &= group_collect(store, keys, seen, GROUP);
    return group_collect(store, keys, seen, count) && settled;
}

/* First pass. False: one head does not alone tell what is effective. */
LKI_INLINE bool
heads_collect(lki_store *store, const lk_key *keys, lki_seen *seen, size_t count)
{
    return LKI_LIKELY(count <= GROUP) ? group_collect(store, keys, seen, count)
                                      : groups_collect(store, keys, seen, count);
}

/* Second pass, for a key without a cell, or one that is not short: a job may have been removed
 * though its head is the same. */
static LKI_APART bool
head_is_unchanged(lki_store *store, const lki_seen *seen)
{
    lki_cell *cell = seen->cell;
    if (cell == NULL || lki_hashed_is_generated(store, &seen->hashed))
        cell = lki_find(store, &seen->hashed);
    if (seen->cell == NULL)
        return cell == NULL || lki_load_acquire(&cell->item) <= LKI_DEAD;                  /* P1 */
    return cell == seen->cell && lki_load_acquire(&cell->item) == (uintptr_t)seen->record; /* P1 */
}

/* Second pass. True: no head has changed. */
LKI_INLINE bool
heads_are_unchanged(lki_store *store, const lki_seen *seen, size_t count)
{
    /* The loads of the first pass were acquire, so none of these moves before them. */
    for (size_t i = 0; i < count; i++) {
        const lki_cell *cell = seen[i].cell;
        if (LKI_LIKELY(cell != NULL) && LKI_LIKELY(seen[i].hashed.is_short)) {
            if (LKI_UNLIKELY(lki_load_acquire(&cell->item) != (uintptr_t)seen[i].record)) /* P1 */
                return false;
        } else if (!head_is_unchanged(store, &seen[i])) {
            return false;
        }
    }
    return true;
}

/* The record of a key as of a snapshot that was taken before. */
static lki_record *
record_at_snapshot(lki_store *store, lki_seen *seen, uint64_t snapshot)
{
    if (LKI_UNLIKELY(lki_hashed_is_generated(store, &seen->hashed)))
        seen->cell = lki_find_at(store, &seen->hashed, snapshot);
    uintptr_t head = seen->cell == NULL ? LKI_DEAD : lki_load_acquire(&seen->cell->item); /* P1 */
    if (head == LKI_DEAD) {
        /* The cell has left the table, perhaps before the snapshot: another one may be there. */
        seen->cell = lki_find_at(store, &seen->hashed, snapshot);
        head = seen->cell == NULL ? LKI_EMPTY : lki_load_acquire(&seen->cell->item); /* P1 */
    }
    return lki_record_at(store, head, snapshot);
}

static LKI_APART void
heads_at_snapshot(lki_store *store, lki_thread *thread, lki_seen *seen, size_t count)
{
    uint64_t snapshot = lki_snapshot(store, thread);
    for (size_t i = 0; i < count; i++)
        seen[i].record = record_at_snapshot(store, &seen[i], snapshot);
}

/* Makes the second pass, and takes a snapshot if that fails. */
LKI_INLINE void
heads_confirm(lki_store *store, lki_thread *thread, lki_seen *seen, size_t count, bool settled)
{
    if (LKI_UNLIKELY(!settled) || LKI_UNLIKELY(!heads_are_unchanged(store, seen, count)))
        heads_at_snapshot(store, thread, seen, count);
}

void
lki_read_many(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
              size_t count)
{
    bool settled = heads_collect(store, keys, seen, count);
    heads_confirm(store, thread, seen, count, settled);
}

/* The general path of lki_read_locked. The time is read after the records were chosen. */
static LKI_APART bool
locked_rest(lki_store *store, lki_thread *thread, lki_seen *seen, size_t count, bool settled,
            size_t *bytes)
{
    lki_time now = {0, false, false};
    size_t sum = 0;
    heads_confirm(store, thread, seen, count, settled);
    for (size_t i = 0; i < count; i++) {
        const lki_record *record = seen[i].record;
        if (lki_fresh_lock(store, seen[i].record, &now) == NULL) {
            int64_t before_ms = 0;
            if (!lki_lock_is_at(store, seen[i].record, 0, &now) ||
                !lki_record_is_gone(seen[i].cell, record, &now, &before_ms))
                return false;
            seen[i].record = NULL;
        } else if (record->kind == LKI_VALUE) {
            sum += lki_hashed_size(&seen[i].hashed) + record->size;
        }
    }
    *bytes = sum;
    return true;
}

/* Fast path: the second pass judges the locks as well. */
bool
lki_read_locked(lki_store *store, lki_thread *thread, const lk_key *keys, lki_seen *seen,
                size_t count, size_t *bytes)
{
    lki_time now = {0, false, false};
    size_t sum = 0;
    if (LKI_UNLIKELY(!heads_collect(store, keys, seen, count)))
        return locked_rest(store, thread, seen, count, false, bytes);
    int64_t horizon_ms = lki_lock_horizon(store, &now, store->lock_refresh_ms);
    for (size_t i = 0; i < count; i++) {
        const lki_cell *cell = seen[i].cell;
        const lki_record *record = seen[i].record;
        if (LKI_UNLIKELY(lki_plain_lock(record, horizon_ms) == NULL) ||
            LKI_UNLIKELY(lki_load_acquire(&cell->item) != (uintptr_t)record) || /* P1 */
            lki_hashed_is_generated(store, &seen[i].hashed))
            return locked_rest(store, thread, seen, count, true, bytes);
        if (LKI_LIKELY(record->kind == LKI_VALUE))
            sum += lki_hashed_size(&seen[i].hashed) + record->size;
    }
    lki_cells_remember(thread, seen, count, now.ms);
    *bytes = sum;
    return true;
}
