/* SPDX-License-Identifier: MIT
 *
 * Heads and records: what is effective, what was at an instant, how a new record gets in. The
 * heart of the store; every room that reads or writes a key comes here.
 *
 * Ordering pairs
 *   P1  head: a record's fields, then the head (compare-and-swap, release); a reader loads the
 *       head (acquire), then the fields.
 *   P2  clock and state. A writer makes its record reachable (swap of the head, or of the commit's
 *       state to READY), then loads the clock. A snapshot moves the clock, fences, then loads
 *       heads and states. All of them sequentially consistent: either the writer's stamp is
 *       greater than the snapshot, or the snapshot sees the record. What breaks otherwise: a stamp
 *       not greater than a snapshot that read the key without it: the snapshot tears.
 *   P20 clock of stamps and epoch. Who seals a batch loads the clock, then the epoch; who takes a
 *       snapshot enters its section first. What breaks otherwise: a record comes home without the
 *       one before it, which a snapshot still needs.
 */
#ifndef LKI_STORE_RECORD_H
#define LKI_STORE_RECORD_H

#include "base/copy.h"
#include "store/find.h"
#include "store/writes.h"

/* A record's word: neither 0 nor a commit? */
LKI_INLINE bool
lki_word_is_stamp(uint64_t word)
{
    return (int64_t)word > 0;
}

/* Slow part of lki_effective: the head is not stamped, or belongs to a commit. */
lki_record *lki_effective_slow(lki_store *store, lki_record *record, lki_commit **blocker);

/* The record that counts now, settled: whoever looked at it has seen a stamp, so later snapshots
 * include it. NULL: none. *blocker (may be NULL): the unfinished commit whose record lies above
 * it. Caller: in a section. */
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

/* Is the head empty, dead, or a stamped record? Then it tells by itself what is effective. */
LKI_INLINE bool
lki_head_is_settled(uintptr_t head)
{
    if (head <= LKI_DEAD)
        return true;
    return lki_word_is_stamp(lki_load_acquire(&((lki_record *)head)->word)); /* P2 */
}

/* Takes a snapshot: whatever is stamped after this call has a greater stamp. Caller: in a section;
 * it lasts no longer. */
uint64_t lki_snapshot(lki_store *store, lki_thread *thread);

/* Slow part of lki_record_at: as of lki_effective, or the record is newer than the snapshot. */
lki_record *lki_record_at_slow(lki_store *store, uintptr_t head, uint64_t snapshot);

/* The record of a head as of a snapshot (UINT64_MAX: as lki_effective), or NULL. */
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

/* A value, neither a tombstone nor nothing, that has not expired. */
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

/* The newest live record of an item. Caller: in a section. */
LKI_INLINE lki_record *
lki_read_cell(lki_store *store, lki_cell *cell, lki_time *now)
{
    lki_record *record = lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
    return LKI_LIKELY(lki_record_is_live(store, record, now)) ? record : NULL;
}

/* The same, if its head alone tells it, as mostly: a settled value that never expires, and no job. *data: its bytes.
 * False: ask lki_read_cell. */
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

/* What is over: a tombstone, an item that has expired, and with it its lock. */
LKI_INLINE bool
lki_record_is_over(const lki_store *store, const lki_record *record, lki_time *now)
{
    if (LKI_UNLIKELY(record->kind == LKI_TOMBSTONE))
        return true;
    return record->kind == LKI_VALUE && !lki_record_is_live(store, record, now);
}

/* What a write changes of a key; the rest stays as it is. */
typedef struct lki_change {
    const lk_item *item; /* the item that comes; NULL: that which is there */
    const lki_state
        *job; /* the state that comes, of the job that the item then is; NULL: as it is */
    const lki_lock *lock; /* the lock that comes; NULL: that which is there */
    bool gone;            /* neither item nor lock: a tombstone */
    lki_time *now; /* the call's; NULL where only a job's state changes, or the key is gone */
} lki_change;

/* The record that has to come over `over` (NULL: nothing): apart; or over nothing inside the cell, if that
 * is free and large enough. What is over is not carried on, nor is its lock; what is put over a live job stays
 * one. NULL: no memory. Caller: in a section. */
lki_record *lki_record_over(lki_store *store, lki_thread *thread, lki_cell *cell,
                            const lki_change *change, lki_record *over);
/* A value of up to LKI_COPY_STEPS_MAX bytes that never expires, apart, from the thread's stock, behind `before`
 * bytes (0, or LKI_FLAG_LOCKED) that the caller fills in, as prev and word. NULL: ask lki_record_over. */
LKI_INLINE lki_record *
lki_record_plain(lki_thread *thread, const lk_item *item, size_t before)
{
    size_t size = item->data.size;
    size_t class = (LKI_RECORD_BEFORE + LKI_RECORD_HEADER + before + size + 15) / 16;
    _Static_assert(LKI_RECORD_BEFORE + LKI_RECORD_HEADER + LKI_FLAG_LOCKED + LKI_COPY_STEPS_MAX +
                           15 <
                       LKI_STOCK_CLASSES * 16,
                   "a class of the stock");
    char *chunk = thread->stock[class];
    if (LKI_UNLIKELY(chunk == NULL))
        return NULL;
    memcpy(&thread->stock[class], chunk, sizeof thread->stock[class]);
    thread->stock_count[class]--;
    lki_record *record = (lki_record *)(void *)(chunk + LKI_RECORD_BEFORE);
    record->size = (uint32_t)size;
    record->kind = LKI_VALUE;
    record->flags = (uint8_t)before;
    lki_copy(record->data + before, item->data.data, size);
    return record;
}

/* May it be such a value? */
LKI_INLINE bool
lki_item_is_plain(const lk_item *item)
{
    return LKI_LIKELY(item->expires_at_ms == 0) &&
           LKI_LIKELY(item->data.size <= LKI_COPY_STEPS_MAX);
}

/* The record of a set where nothing is unusual: such a value over a plain one, whose lock it takes over. */
LKI_INLINE lki_record *
lki_record_over_plain(lki_thread *thread, const lk_item *item, lki_record *over)
{
    if (LKI_UNLIKELY(over->kind != LKI_VALUE) ||
        LKI_UNLIKELY((over->flags & (LKI_FLAG_EXPIRES | LKI_FLAG_JOB)) != 0) ||
        LKI_UNLIKELY(!lki_item_is_plain(item)))
        return NULL;
    size_t before = over->flags & LKI_FLAG_LOCKED;
    lki_record *record = lki_record_plain(thread, item, before);
    if (LKI_LIKELY(record != NULL) && before != 0)
        memcpy(record->data, over->data, sizeof(lki_lock));
    return record;
}

/* A value alone, in a cell that nobody knows yet. NULL: no memory. */
lki_record *lki_record_new_value(lki_thread *thread, lki_cell *cell, const lk_item *item);
/* The same in memory of the caller's; its flags are set. */
void lki_record_fill(lki_record *record, const lk_item *item, const lki_lock *lock);

/* Of a record that no other thread ever saw. NULL is allowed. */
void lki_record_discard(lki_thread *thread, lki_cell *cell, lki_record *record);
/* Of a record that others saw and that never came to be effective. */
void lki_record_retire_undone(lki_thread *thread, lki_cell *cell, lki_record *record);
/* `record` is not effective any more: `by` is. Where a job's state was replaced, its entries go;
 * where a job is gone, it is counted. NULL is allowed. Retires up to 4 objects. */
void lki_record_replaced(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                         lki_record *by);
/* The room of a cell is free though a record lies apart: two epochs later another one may come home. */
void lki_record_leave_room(lki_thread *thread, lki_cell *cell);
/* The same of a value that is no job, nor is `by`. Retires up to 2 objects. */
LKI_INLINE void
lki_record_retire(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    if ((record->flags & LKI_FLAG_INLINE) != 0) {
        if (!lki_cell_is_in_slab(cell))
            lki_retire(thread, LKI_INLINE_RECORD, cell, 0);
        return;
    }
    size_t payload = lki_record_payload(record);
    lki_retire(thread, LKI_RECORD, record, LKI_RECORD_BEFORE + LKI_RECORD_HEADER + payload);
    unsigned flags = lki_load_relaxed(lki_cell_flags(cell));
    if (LKI_UNLIKELY((flags & (LKI_CELL_ROOM | LKI_CELL_QUEUE)) == LKI_CELL_ROOM) &&
        payload <= lki_room_of(flags))
        lki_record_leave_room(thread, cell);
}
/* Frees what is on a head at once: nobody can see it. */
void lki_record_free(const lki_allocator *allocator, lki_record *record);
bool lki_record_dispose(lki_thread *thread, void *object);
/* Of the record inside a cell, whose room is free again: what is effective comes home. */
bool lki_record_dispose_inline(lki_thread *thread, void *object);
bool lki_commit_dispose(lki_thread *thread, void *object);

/* Waits a little for a commit that is being installed, then aborts it. Returns when it is not
 * INSTALLING any more. */
void lki_commit_resolve(lki_thread *thread, lki_commit *commit);

/* Gives a record that has just become reachable its stamp, if nobody has. */
LKI_INLINE void
lki_record_stamp(lki_store *store, lki_record *record)
{
    uint64_t none = 0;
    uint64_t stamp = lki_load_seq_cst(&store->clock); /* P2: after the swap of the head */
    lki_cas_seq_cst(&record->word, &none, stamp);
}

/* Changes what is effective on the head of a cell, whatever it is, stamps it, retires what it replaces.
 * LK_OK: *made (may be NULL) is the record that is effective now. LK_NOT_FOUND: the cell is dead;
 * LK_NO_MEMORY. Caller: in a write section with 4 retirements reserved. */
lk_status lki_head_change(lki_store *store, lki_thread *thread, lki_cell *cell,
                          const lki_change *change, lki_record **made);

/* The same, only if exactly `expected` (NULL: nothing) is effective at that instant. LK_RACE: another one
 * is. */
lk_status lki_head_change_if(lki_store *store, lki_thread *thread, lki_cell *cell,
                             lki_record *expected, const lki_change *change, lki_record **made);

#endif
