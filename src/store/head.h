/* SPDX-License-Identifier: MIT
 *
 * Heads: which record of a key is effective now, and which was at a snapshot. Every read and every
 * write of a key comes here. How a record gets onto a head: record.h.
 *
 * Ordering pairs
 *   P1  head: a record's fields, then the head (compare-and-swap, release); a reader loads the head
 *       (acquire), then the fields.
 *   P2  clock and state. A writer makes its record reachable (swap of the head, or of the commit
 *       word to READY), then loads the clock. A snapshot moves the clock, fences, then loads heads
 *       and states. All are sequentially consistent: either the writer's stamp is greater than the
 *       snapshot, or the snapshot sees the record. What breaks otherwise: a stamp not greater than
 *       a snapshot that read the key without the record: the snapshot is torn.
 *   P20 clock of stamps and epoch. A thread that seals a bag loads the clock, then the epoch; a
 *   thread that takes a snapshot enters its section first. What breaks otherwise: a record moves
 *   inline without the one before it, which a snapshot still needs.
 */
#ifndef LKI_STORE_HEAD_H
#define LKI_STORE_HEAD_H

#include "store/store.h"

/* Is a record's word a stamp, neither 0 nor a commit? */
LKI_INLINE bool
lki_word_is_stamp(uint64_t word)
{
    return (int64_t)word > 0;
}

/* Slow path of lki_effective: the record is not stamped yet, or belongs to a commit. */
lki_record *lki_effective_slow(lki_store *store, lki_record *record, lki_commit **blocker);

/* The record that counts now; NULL: none. It is stamped on return (if need be by its commit), so
 * that later snapshots include it. *blocker (may be NULL): the unfinished commit whose record lies
 * above it. Caller: in a section. */
LKI_INLINE lki_record *
lki_effective(lki_store *store, uintptr_t head, lki_commit **blocker)
{
    if (LKI_UNLIKELY(head <= LKI_DEAD))
        return NULL;
    lki_record *record = (lki_record *)head;
    if (LKI_LIKELY(lki_word_is_stamp(lki_load_acquire(&record->word)))) /* P2 */
        return record;
    return lki_effective_slow(store, record, blocker);
}

/* Is the head empty, dead, or a stamped record? Then it alone tells what is effective. */
LKI_INLINE bool
lki_head_is_stamped(uintptr_t head)
{
    if (head <= LKI_DEAD)
        return true;
    return lki_word_is_stamp(lki_load_acquire(&((lki_record *)head)->word)); /* P2 */
}

/* Takes a snapshot: every stamp given after this call is greater. Caller: in a section; the
 * snapshot ends with it. */
uint64_t lki_snapshot(lki_store *store, lki_thread *thread);

/* Slow path of lki_record_at: as for lki_effective, or the record is newer than the snapshot. */
lki_record *lki_record_at_slow(lki_store *store, uintptr_t head, uint64_t snapshot);

/* The record of a head as of a snapshot (UINT64_MAX: as lki_effective); NULL: none. */
LKI_INLINE lki_record *
lki_record_at(lki_store *store, uintptr_t head, uint64_t snapshot)
{
    if (LKI_UNLIKELY(head <= LKI_DEAD))
        return NULL;
    lki_record *record = (lki_record *)head;
    uint64_t word = lki_load_acquire(&record->word); /* P2 */
    if (LKI_LIKELY(lki_word_is_stamp(word)) && LKI_LIKELY(word <= snapshot))
        return record;
    return lki_record_at_slow(store, head, snapshot);
}

/* Is it a value that has not expired? */
LKI_INLINE bool
lki_record_is_live(const lki_store *store, const lki_record *record, lki_time *now)
{
    if (LKI_UNLIKELY(record == NULL))
        return false;
    if (LKI_UNLIKELY(record->kind != LKI_VALUE))
        return false;
    if (LKI_LIKELY((record->flags & (LKI_FLAG_EXPIRES | LKI_FLAG_JOB)) == 0))
        return true;
    int64_t expires_at_ms = lki_record_expires(record);
    return expires_at_ms == 0 || !lki_is_past(store, now, expires_at_ms);
}

/* Is it over: a tombstone, or an item that has expired, and its lock with it? */
LKI_INLINE bool
lki_record_is_over(const lki_store *store, const lki_record *record, lki_time *now)
{
    if (LKI_UNLIKELY(record->kind == LKI_TOMBSTONE))
        return true;
    return record->kind == LKI_VALUE && !lki_record_is_live(store, record, now);
}

/* A reader has chosen a record that is not live by `now`, which was read later. Was there an
 * instant at which the cell had nothing live? Yes, if the record had expired before it was chosen
 * (*before_ms), or is still on the head. If not, it may have been replaced in time: the reader
 * chooses again, and *before_ms is set for that. */
LKI_INLINE bool
lki_record_is_gone(const lki_cell *cell, const lki_record *record, const lki_time *now,
                   int64_t *before_ms)
{
    if (record == NULL || record->kind != LKI_VALUE || lki_record_expires(record) < *before_ms ||
        (uintptr_t)record == lki_load_acquire(&cell->item)) /* P1 */
        return true;
    *before_ms = now->ms;
    return false;
}

/* The live record of an item; NULL: none. Caller: in a section. */
LKI_INLINE lki_record *
lki_read_cell(lki_store *store, lki_cell *cell, lki_time *now)
{
    lki_record *record;
    int64_t before_ms = 0;
    do {
        record = lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
        if (LKI_LIKELY(lki_record_is_live(store, record, now)))
            return record;
    } while (!lki_record_is_gone(cell, record, now, &before_ms));
    return NULL;
}

/* The same on the fast path: the head is a stamped value that never expires, and no job. *data: its
 * bytes. False: use lki_read_cell. */
LKI_INLINE bool
lki_read_plain(const lki_cell *cell, const lki_record **record, const unsigned char **data)
{
    uintptr_t head = lki_load_acquire(&cell->item); /* P1 */
    *record = (const lki_record *)head;
    if (LKI_UNLIKELY(head <= LKI_DEAD) ||
        LKI_UNLIKELY(!lki_word_is_stamp(lki_load_acquire(&(*record)->word)))) /* P2 */
        return false;
    uint32_t shape = lki_record_shape(*record);
    if (LKI_UNLIKELY((shape & ~(uint32_t)(LKI_FLAG_INLINE | LKI_FLAG_LOCKED)) != 0))
        return false;
    *data = (*record)->data + (shape & LKI_FLAG_LOCKED); /* flags are sizes */
    return true;
}

/* Waits shortly for a commit that is being installed, then aborts it. On return the commit is not
 * INSTALLING. */
void lki_commit_resolve(lki_thread *thread, lki_commit *commit);

/* Gives a record that has just become reachable its stamp, unless another thread has. */
LKI_INLINE void
lki_record_stamp(lki_store *store, lki_record *record)
{
    uint64_t none = 0;
    uint64_t stamp = lki_load_seq_cst(&store->clock); /* P2: after the swap of the head */
    LK_ASSERT(lki_word_is_stamp(stamp));
    lki_cas_seq_cst(&record->word, &none, stamp);
    LK_ASSERT(none == 0 || lki_word_is_stamp(none)); /* of another thread, not of a commit */
}

#endif
