/* SPDX-License-Identifier: MIT
 *
 * Records: made, put onto a head in place of another one, and freed; and the memory of cells.
 * Layout: chain.h; which record counts: head.h.
 */
#ifndef LKI_STORE_RECORD_H
#define LKI_STORE_RECORD_H

#include "base/chunk.h"
#include "base/copy.h"
#include "store/head.h"
#include "store/outcome.h"

/* What a write changes of a key; the rest stays as it is. */
typedef struct lki_change {
    const lk_item *item;  /* the new item; NULL: it stays */
    const lki_state *job; /* the new state of the job that the item then is; NULL: it stays */
    const lki_lock *lock; /* the new lock; NULL: it stays */
    bool gone;            /* delete item and lock: a tombstone */
    lki_time *now;        /* the call's time; NULL if only a job's state changes, or for `gone` */
} lki_change;

/* Makes the record that is to replace `over` (NULL: nothing). It lies apart; or inline, if it
 * replaces nothing and the room is free and large enough. An item that has expired is not kept, nor
 * is its lock; an item that replaces a live job stays a job. NULL: no memory. Caller: in a
 * section. */
lki_record *lki_record_over(lki_store *store, lki_thread *thread, lki_cell *cell,
                            const lki_change *change, lki_record *over);
/* Fast path: a value of up to LKI_COPY_STEPS_MAX bytes, apart, from the thread's free list.
 * `before`: of LKI_FLAGS_BEFORE_DATA; the caller fills these bytes in, and the word, and the record
 * before. NULL: use lki_record_over. */
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
    LK_ASSERT(thread->chunk_count[class] != 0 && size <= LKI_COPY_STEPS_MAX);
    memcpy(&thread->chunks[class], chunk, sizeof thread->chunks[class]);
    thread->chunk_count[class]--;
    lki_record *record = (lki_record *)(void *)(chunk + LKI_RECORD_BEFORE);
    record->size = (uint32_t)size;
    record->kind = LKI_VALUE;
    record->flags = (uint8_t)before;
    lki_copy(record->data + before, item->data.data, size);
    return record;
}

/* May an item be such a value? */
LKI_INLINE bool
lki_item_is_plain(const lk_item *item)
{
    return LKI_LIKELY(item->expires_at_ms == 0) &&
           LKI_LIKELY(item->data.size <= LKI_COPY_STEPS_MAX);
}

/* The same, for a value that replaces a live value, which is no job, and keeps its lock. NULL: use
 * lki_record_over. */
LKI_INLINE lki_record *
lki_record_over_live(lki_thread *thread, const lk_item *item, lki_record *over)
{
    LK_ASSERT(over->kind == LKI_VALUE && !lki_record_is_job(over));
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

/* The record of the most common set: such a value that never expires replaces one that does not.
 * NULL: it is not such a case. */
LKI_INLINE lki_record *
lki_record_over_plain(lki_thread *thread, const lk_item *item, lki_record *over)
{
    if (LKI_UNLIKELY(over->kind != LKI_VALUE) ||
        LKI_UNLIKELY((over->flags & (LKI_FLAG_EXPIRES | LKI_FLAG_JOB)) != 0) ||
        LKI_UNLIKELY(!lki_item_is_plain(item)))
        return NULL;
    return lki_record_over_live(thread, item, over);
}

/* A value without a lock, for a cell that is not published. NULL: no memory. */
lki_record *lki_record_new_value(lki_thread *thread, lki_cell *cell, const lk_item *item);
/* The same in the caller's memory, whose flags are set. */
void lki_record_fill(lki_record *record, const lk_item *item, const lki_lock *lock);

/* Frees a record that no other thread ever saw. NULL is allowed. */
void lki_record_discard(lki_thread *thread, lki_cell *cell, lki_record *record);

/* The room of a cell is free, though the record lies apart: takes it, so that two epochs later a
 * record may move inline. */
void lki_record_leave_room(lki_thread *thread, lki_cell *cell);
/* Retires a replaced record; neither it nor the new one is a job. Retires up to 2 objects. */
LKI_INLINE void
lki_record_retire(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    LK_ASSERT((record->flags & LKI_FLAG_INLINE) == 0 || record == lki_cell_record(cell));
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
/* Frees the record of a head at once: no other thread can see it. */
void lki_record_free(const lki_allocator *allocator, lki_record *record);
bool lki_record_dispose(lki_thread *thread, void *object);

bool lki_commit_dispose(lki_thread *thread, void *object);

/* Frees the memory of a cell, not its record. */
LKI_INLINE void
lki_cell_free(const lki_allocator *allocator, lki_cell *cell)
{
    unsigned flags = lki_load_relaxed(lki_cell_flags(cell)); /* constant flags */
    if ((flags & LKI_CELL_SLAB) != 0)
        return;
    if ((flags & LKI_CELL_QUEUE) != 0)
        lki_chunk_release(allocator, cell, lki_cell_size(cell));
    else
        lki_free(allocator, cell, lki_cell_size(cell));
}
/* Frees a cell that no other thread knows, with its record. */
void lki_cell_destroy(lki_store *store, lki_cell *cell);
bool lki_cell_dispose(lki_thread *thread, void *object);

/* Retires a record that others may have seen, and that never was effective. */
void lki_record_retire_undone(lki_thread *thread, lki_cell *cell, lki_record *record);
/* Retires `record`, which `by` has replaced. Tells the hooks if one of them is a job: the entries
 * of a replaced state are removed, a removed job is counted. NULL is allowed. Retires up to 4
 * objects. */
void lki_record_replaced(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                         lki_record *by);
/* Disposes of the inline record of a cell: its room is free again, and the effective record may
 * move inline. */
bool lki_record_dispose_inline(lki_thread *thread, void *object);

/* Puts a record that makes `change` over whatever is effective on the head of a cell, stamps it,
 * retires what it replaces. LK_OK: *made (may be NULL) is the effective record. LK_NOT_FOUND: the
 * cell is dead; LK_NO_MEMORY. Caller: in a write section with 4 retirements reserved. */
lk_status lki_head_change(lki_store *store, lki_thread *thread, lki_cell *cell,
                          const lki_change *change, lki_record **made);

/* The same for a write whose outcome depends on what is there at that instant. On LK_OK `outcome`
 * is what was written; change->item is set from it. Also the other statuses of lki_write_outcome:
 * LK_NOT_FOUND then does not mean that the cell is dead. */
lk_status lki_head_write(lki_store *store, lki_thread *thread, lki_cell *cell, lki_change *change,
                         const lk_write *write, lki_outcome *outcome);

/* As lki_head_change, if exactly `expected` (NULL: nothing) is effective at that instant. LK_RACE:
 * another one is. */
lk_status lki_head_change_if(lki_store *store, lki_thread *thread, lki_cell *cell,
                             lki_record *expected, const lki_change *change, lki_record **made);

#endif
