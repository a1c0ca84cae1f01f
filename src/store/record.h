/* SPDX-License-Identifier: MIT
 *
 * Records, made and unmade: which one a write puts over which, and where it lies. What it is made
 * of is chain.h, how it gets in head.h.
 */
#ifndef LKI_STORE_RECORD_H
#define LKI_STORE_RECORD_H

#include "base/chunk.h"
#include "base/copy.h"
#include "store/head.h"
#include "store/outcome.h"

/* What a write changes of a key; the rest stays as it is. */
typedef struct lki_change {
    const lk_item *item; /* the item that comes; NULL: that which is there */
    const lki_state
        *job; /* the state that comes, of the job that the item then is; NULL: as it is */
    const lki_lock *lock; /* the lock that comes; NULL: that which is there */
    bool gone;            /* neither item nor lock: a tombstone */
    lki_time *now; /* the call's; NULL where only a job's state changes, or the key is gone */
} lki_change;

/* The record that has to come over `over` (NULL: nothing): apart; or over nothing inside the cell,
 * if that is free and large enough. What is over is not carried on, nor is its lock; what is put
 * over a live job stays one. NULL: no memory. Caller: in a section. */
lki_record *lki_record_over(lki_store *store, lki_thread *thread, lki_cell *cell,
                            const lki_change *change, lki_record *over);
/* A value of up to LKI_COPY_STEPS_MAX bytes, apart, from the thread's free list, behind what the
 * caller fills in: `before` of LKI_FLAGS_BEFORE_DATA, prev and word. NULL: ask lki_record_over. */
LKI_INLINE lki_record *
lki_record_plain(lki_thread *thread, const lk_item *item, size_t before)
{
    size_t size = item->data.size;
    size_t class = (LKI_RECORD_BEFORE + LKI_RECORD_HEADER + before + size + 15) / 16;
    _Static_assert(LKI_RECORD_BEFORE + LKI_RECORD_HEADER + LKI_FLAGS_BEFORE_DATA +
                           LKI_COPY_STEPS_MAX + 15 <
                       LKI_CHUNK_CLASSES * 16,
                   "a class of free chunks");
    char *chunk = thread->chunks[class];
    if (LKI_UNLIKELY(chunk == NULL))
        return NULL;
    memcpy(&thread->chunks[class], chunk, sizeof thread->chunks[class]);
    thread->chunk_count[class]--;
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

/* A value of up to LKI_COPY_STEPS_MAX bytes over a live value, no job, whose lock it takes over.
 * NULL: ask lki_record_over. */
LKI_INLINE lki_record *
lki_record_over_live(lki_thread *thread, const lk_item *item, lki_record *over)
{
    size_t locked = over->flags & LKI_FLAG_LOCKED;
    size_t expires = item->expires_at_ms != 0 ? LKI_FLAG_EXPIRES : 0;
    lki_record *record = lki_record_plain(thread, item, locked | expires);
    if (LKI_UNLIKELY(record == NULL))
        return NULL;
    if (expires != 0)
        record->expires_at_ms = item->expires_at_ms;
    if (locked != 0)
        memcpy(record->data + expires, over->data + (over->flags & LKI_FLAG_EXPIRES),
               sizeof(lki_lock));
    return record;
}

/* The record of a set where nothing is unusual: such a value that never expires over one that does
 * not. */
LKI_INLINE lki_record *
lki_record_over_plain(lki_thread *thread, const lk_item *item, lki_record *over)
{
    if (LKI_UNLIKELY(over->kind != LKI_VALUE) ||
        LKI_UNLIKELY((over->flags & (LKI_FLAG_EXPIRES | LKI_FLAG_JOB)) != 0) ||
        LKI_UNLIKELY(!lki_item_is_plain(item)))
        return NULL;
    return lki_record_over_live(thread, item, over);
}

/* A value alone, in a cell that nobody knows yet. NULL: no memory. */
lki_record *lki_record_new_value(lki_thread *thread, lki_cell *cell, const lk_item *item);
/* The same in memory of the caller's; its flags are set. */
void lki_record_fill(lki_record *record, const lk_item *item, const lki_lock *lock);

/* Of a record that no other thread ever saw. NULL is allowed. */
void lki_record_discard(lki_thread *thread, lki_cell *cell, lki_record *record);

/* The room of a cell is free though a record lies apart: two epochs later another one may come
 * home. */
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

bool lki_commit_dispose(lki_thread *thread, void *object);

/* The memory of a cell alone. */
LKI_INLINE void
lki_cell_free(const lki_allocator *allocator, lki_cell *cell)
{
    unsigned flags = lki_load_relaxed(lki_cell_flags(cell)); /* these two never change */
    if ((flags & LKI_CELL_SLAB) != 0)
        return;
    if ((flags & LKI_CELL_QUEUE) != 0)
        lki_chunk_release(allocator, cell, lki_cell_size(cell));
    else
        lki_free(allocator, cell, lki_cell_size(cell));
}
/* One cell, with what is on its head, which nobody else knows. */
void lki_cell_destroy(lki_store *store, lki_cell *cell);
bool lki_cell_dispose(lki_thread *thread, void *object);

/* Of a record that others saw and that never came to be effective. */
void lki_record_retire_undone(lki_thread *thread, lki_cell *cell, lki_record *record);
/* `record` is not effective any more: `by` is. Where a job's state was replaced, its entries go;
 * where a job is gone, it is counted. NULL is allowed. Retires up to 4 objects. */
void lki_record_replaced(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                         lki_record *by);
/* Of the record inside a cell, whose room is free again: what is effective comes home. */
bool lki_record_dispose_inline(lki_thread *thread, void *object);

/* Changes what is effective on the head of a cell, whatever it is, stamps it, retires what it
 * replaces. LK_OK: *made (may be NULL) is the record that is effective now. LK_NOT_FOUND: the cell
 * is dead; LK_NO_MEMORY. Caller: in a write section with 4 retirements reserved. */
lk_status lki_head_change(lki_store *store, lki_thread *thread, lki_cell *cell,
                          const lki_change *change, lki_record **made);

/* The same of a write that asks what is there: of what is effective at that instant. What comes is
 * `outcome`, on LK_OK, and change->item, which this sets. Also the other statuses of
 * lki_write_outcome: LK_NOT_FOUND does not say then that the cell is dead. */
lk_status lki_head_write(lki_store *store, lki_thread *thread, lki_cell *cell, lki_change *change,
                         const lk_write *write, lki_outcome *outcome);

/* As lki_head_change, only if exactly `expected` (NULL: nothing) is effective at that instant.
 * LK_RACE: another one is. */
lk_status lki_head_change_if(lki_store *store, lki_thread *thread, lki_cell *cell,
                             lki_record *expected, const lki_change *change, lki_record **made);

#endif
