/* SPDX-License-Identifier: MIT
 *
 * Records: made, put onto a head, replaced, moved inline, freed; and the memory of cells.
 *
 * Progress    Replacing a head is lock-free: if a swap fails, another one has succeeded, and an
 *             unfinished commit is aborted after a bounded wait.
 * Invariants  I-record1: the record before a record is stamped, and its stamp is not greater.
 *             I-record2: the thread that stamped a record's successor retires the record, after
 *             that stamp. So a section that needs it (its snapshot is below the successor's stamp)
 *             began before the retirement.
 *             I-record3: the inline room of a cell is used by one record at a time. A thread that
 *             fills it takes LKI_CELL_ROOM first. When the grace period of the inline record is
 *             over, the thread that counted it gives the room to the record that is effective then,
 *             or sets the flag.
 *             I-record4: a record that moved inline says the same as the one it replaces, and has
 *             its stamp.
 *             I-record5: nobody needs a record older than an inline one: it was the first of its
 *             key, or no snapshot is below its stamp.
 * Ordering    P1, P2, P2b (head.h); P6: the flags of a cell, read-modify-writes on both sides; P7:
 *             the floor of versions is raised before the head is swapped.
 */
#include "store/record.h"

#include "store/hooks.h"
#include "store/shard.h"

/* Takes the room of a cell, if it is free. */
static bool
room_take(lki_cell *cell)
{
    _Atomic(uint16_t) *flags = lki_cell_flags(cell);
    return (lki_load_relaxed(flags) & LKI_CELL_ROOM) != 0 &&
           (lki_and_seq_cst(flags, (uint16_t)~LKI_CELL_ROOM) & LKI_CELL_ROOM) != 0; /* P6 */
}

static lki_record *
record_apart(lki_thread *thread, size_t payload)
{
    char *chunk = lki_chunk_alloc(thread, LKI_RECORD_BEFORE + LKI_RECORD_HEADER + payload);
    if (chunk == NULL)
        return NULL;
    lki_record *record = (lki_record *)(void *)(chunk + LKI_RECORD_BEFORE);
    record->flags = 0;
    *lki_record_before(record) = LKI_EMPTY;
    return record;
}

/* Memory for a record: in the room of `cell` (may be NULL), if that is free and large enough; else
 * apart. */
static lki_record *
record_room(lki_thread *thread, lki_cell *cell, size_t payload)
{
    if (cell == NULL || payload > lki_cell_room(cell) || !room_take(cell))
        return record_apart(thread, payload);
    lki_record *record = lki_cell_record(cell);
    record->flags = LKI_FLAG_INLINE;
    return record;
}

static void
record_begin(lki_record *record, enum lki_record_kind kind, uint32_t size)
{
    lki_store_relaxed(&record->word, 0);
    record->size = size;
    record->kind = (uint8_t)kind;
}

static void
lock_put(lki_record *record, const lki_lock *lock)
{
    if (lock == NULL)
        return;
    record->flags |= LKI_FLAG_LOCKED;
    *lki_record_lock(record) = *lock;
}

/* Sets up a value of `size` bytes, all but its data. */
static void
value_begin(lki_record *record, size_t size, int64_t expires_at_ms, const lki_lock *lock)
{
    record_begin(record, LKI_VALUE, (uint32_t)size);
    if (LKI_UNLIKELY(expires_at_ms != 0)) {
        record->flags |= LKI_FLAG_EXPIRES;
        record->expires_at_ms = expires_at_ms;
    }
    lock_put(record, lock);
}

void
lki_record_fill(lki_record *record, const lk_item *item, const lki_lock *lock)
{
    value_begin(record, item->data.size, item->expires_at_ms, lock);
    lki_copy(record->data + (record->flags & LKI_FLAGS_BEFORE_DATA), item->data.data,
             item->data.size);
}

static size_t
value_payload(size_t size, int64_t expires_at_ms, const lki_lock *lock)
{
    return size + (expires_at_ms != 0 ? LKI_FLAG_EXPIRES : 0) +
           (lock != NULL ? LKI_FLAG_LOCKED : 0);
}

static lki_record *
value_new(lki_thread *thread, lki_cell *cell, const lk_item *item, const lki_lock *lock)
{
    lki_record *record =
        record_room(thread, cell, value_payload(item->data.size, item->expires_at_ms, lock));
    if (LKI_LIKELY(record != NULL))
        lki_record_fill(record, item, lock);
    return record;
}

lki_record *
lki_record_new_value(lki_thread *thread, lki_cell *cell, const lk_item *item)
{
    return value_new(thread, cell, item, NULL);
}

/* A value with the bytes and the expiry of `over`, and another lock. */
static lki_record *
value_copy(lki_thread *thread, const lki_record *over, const lki_lock *lock)
{
    lk_item item = {.data = {lki_record_data(over), over->size},
                    .expires_at_ms = lki_record_expires(over)};
    return value_new(thread, NULL, &item, lock);
}

/* A job record. `borrowed`: its source belongs to the record that it is to replace. */
static lki_record *
job_new(lki_thread *thread, lki_record *source, bool borrowed, const lki_state *state,
        const lki_lock *lock)
{
    lki_record *record = record_apart(thread, sizeof(lki_job) - LKI_RECORD_HEADER +
                                                  (lock != NULL ? (size_t)LKI_FLAG_LOCKED : 0));
    if (record == NULL)
        return NULL;
    LK_ASSERT(source->kind == LKI_VALUE && !lki_record_is_job(source));
    LK_ASSERT(state->phase != LKI_NO_JOB && state->identity != 0);
    record->flags = LKI_FLAG_JOB | (borrowed ? LKI_FLAG_BORROWED : 0);
    record_begin(record, LKI_VALUE, source->size);
    record->source = source;
    ((lki_job *)(void *)record)->state = *state;
    lock_put(record, lock);
    return record;
}

static lki_record *
tombstone_new(lki_thread *thread, uint64_t version)
{
    lki_record *record = record_apart(thread, sizeof record->version);
    if (record == NULL)
        return NULL;
    record_begin(record, LKI_TOMBSTONE, 0); /* also sets its tag to 0 */
    record->version = version;
    return record;
}

static lki_record *
lock_new(lki_thread *thread, const lki_lock *lock)
{
    lki_record *record = record_apart(thread, sizeof *lock);
    if (record == NULL)
        return NULL;
    record_begin(record, LKI_LOCK, 0);
    lock_put(record, lock);
    return record;
}

/* A record that keeps the item of `over`: as a job, if it is one or becomes one, or as a value. */
static lki_record *
item_kept(lki_thread *thread, const lki_state *job, lki_record *over, const lki_lock *lock)
{
    if (job == NULL && lki_record_is_job(over))
        job = lki_record_state(over);
    if (job != NULL)
        return job_new(thread, lki_record_value(over), true, job, lock);
    if (over != NULL && over->kind == LKI_VALUE)
        return value_copy(thread, over, lock);
    LK_ASSERT(lock != NULL); /* else nothing is to be written */
    return lock_new(thread, lock);
}

/* A job record with a new item. */
static lki_record *
job_put(lki_thread *thread, lki_cell *cell, const lk_item *item, const lki_state *state,
        const lki_lock *lock)
{
    lki_record *value = value_new(thread, cell, item, NULL);
    lki_record *job = value != NULL ? job_new(thread, value, false, state, lock) : NULL;
    if (job == NULL)
        lki_record_discard(thread, cell, value);
    return job;
}

/* The version of `over` will be lost with it: the floor keeps it. */
static LKI_COLD void
version_keep(lki_store *store, lki_cell *cell, lki_record *over)
{
    uint64_t version = lki_record_version(over);
    if (version != 0)
        lki_shard_raise_floor(store, lki_cell_hash(store, cell), version); /* P7: before the swap */
}

lki_record *
lki_record_over(lki_store *store, lki_thread *thread, lki_cell *cell, const lki_change *change,
                lki_record *over)
{
    LK_ASSERT(lki_is_entered(thread));
    if (LKI_UNLIKELY(change->gone))
        return tombstone_new(thread, over != NULL ? lki_record_version(over) : 0);
    LK_ASSERT(change->item != NULL || change->job != NULL || change->lock != NULL);
    const lki_lock *lock = change->lock;
    lki_cell *inlined = over == NULL ? cell : NULL; /* an inline record has none before it */
    bool all = change->job == NULL || change->item != NULL; /* not only a job's state changes */
    if (LKI_UNLIKELY(over != NULL && all && lki_record_is_over(store, over, change->now))) {
        if (lock == NULL)
            version_keep(store, cell, over);
        over = NULL;
    }
    if (over != NULL && lock == NULL)
        lock = lki_record_lock(over);
    if (LKI_UNLIKELY(change->item == NULL))
        return item_kept(thread, change->job, over, lock);
    const lki_state *state = change->job;
    if (LKI_UNLIKELY(state == NULL && lki_record_is_job(over)))
        state = lki_record_state(over);
    if (LKI_UNLIKELY(state != NULL))
        return job_put(thread, cell, change->item, state, lock);
    return value_new(thread, inlined, change->item, lock);
}

void
lki_record_discard(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    if (record == NULL)
        return;
    if (lki_record_is_job(record) && (record->flags & LKI_FLAG_BORROWED) == 0)
        lki_record_discard(thread, cell, record->source);
    if ((record->flags & LKI_FLAG_INLINE) != 0) {
        unsigned before = lki_or_seq_cst(lki_cell_flags(cell), LKI_CELL_ROOM); /* P6 */
        LK_ASSERT(record == lki_cell_record(cell) && (before & LKI_CELL_ROOM) == 0);
        (void)before;
    } else {
        lki_record_dispose(thread, record);
    }
}

void
lki_record_free(const lki_allocator *allocator, lki_record *record)
{
    if (lki_record_is_job(record))
        lki_record_free(allocator, record->source);
    if ((record->flags & LKI_FLAG_INLINE) == 0)
        lki_chunk_release(allocator, lki_record_before(record), lki_record_size(record));
}

bool
lki_record_dispose(lki_thread *thread, void *object)
{
    lki_chunk_free(thread, lki_record_before(object), lki_record_size(object));
    return true;
}

bool
lki_commit_dispose(lki_thread *thread, void *object)
{
    lki_chunk_free(thread, object, sizeof(lki_commit));
    return true;
}

LKI_COLD void
lki_record_leave_room(lki_thread *thread, lki_cell *cell)
{
    if (room_take(cell)) /* P6 */
        lki_retire(thread, LKI_INLINE_RECORD, cell, 0);
}

/* ---- records move inline ---- */

/* Moves the effective record into the room of the cell, which is free and owned by this thread.
 * Reading it then costs no line more than before it was replaced, and the record apart can be
 * freed.
 *
 * The copy has the stamp of what it replaces: for a reader at any snapshot they are the same. It
 * has no record before it: no snapshot is below the clock as it was when the bag was sealed whose
 * grace period is over (P20), so none is below a stamp that is not above that. */
LKI_INLINE bool
record_move_inline(lki_thread *thread, lki_cell *cell)
{
    uintptr_t head = lki_load_acquire(&cell->item); /* P1 */
    if (LKI_UNLIKELY(head <= LKI_DEAD))
        return false;
    lki_record *apart = (lki_record *)head, *inlined = lki_cell_record(cell);
    uint64_t word = lki_load_acquire(&apart->word); /* P2 */
    /* Only a stamp, neither 0 nor a commit, that is not above thread->stamp (0 at the close of a
     * store). Only a value apart that is no job. */
    if (LKI_UNLIKELY(word - 1 >= thread->stamp) || /* P20 */
        LKI_UNLIKELY((lki_record_shape(apart) & ~(uint32_t)LKI_FLAGS_BEFORE_DATA) != 0))
        return false;
    size_t payload = (apart->flags & LKI_FLAGS_BEFORE_DATA) + (size_t)apart->size;
    unsigned flags = lki_load_relaxed(&inlined->cell); /* only constant bits are used */
    if (LKI_UNLIKELY((flags & LKI_CELL_QUEUE) != 0) || /* only its job changes the head */
        LKI_UNLIKELY(payload > lki_room_of(flags)) || LKI_UNLIKELY(!lki_reserve(thread, 1)))
        return false;
    LK_ASSERT((flags & LKI_CELL_ROOM) == 0 && apart != inlined);
    lki_store_relaxed(&inlined->word, word); /* published with the head */
    inlined->size = apart->size;
    inlined->kind = LKI_VALUE;
    inlined->flags = apart->flags | LKI_FLAG_INLINE;
    lki_copy(inlined->data, apart->data, payload);
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&cell->item, &head, (uintptr_t)inlined))) /* P1 */
        return false;
    lki_retire(thread, LKI_RECORD, apart, LKI_RECORD_BEFORE + LKI_RECORD_HEADER + payload);
    return true;
}

bool
lki_record_dispose_inline(lki_thread *thread, void *object)
{
    lki_cell *cell = object;
    LK_ASSERT(!lki_cell_is_in_slab(cell));
    if (LKI_LIKELY(record_move_inline(thread, cell)))
        return true;
    /* P6: the cell may have been disposed of before (another thread may count its grace period):
     * the last one frees it. */
    unsigned before = lki_or_seq_cst(lki_cell_flags(cell), LKI_CELL_ROOM);
    LK_ASSERT((before & LKI_CELL_ROOM) == 0); /* I-record3 */
    if ((before & LKI_CELL_GONE) != 0)
        lki_cell_free(&thread->allocator, cell);
    return true;
}

/* ---- replacing ---- */

void
lki_record_retire_undone(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    if (lki_record_is_job(record) && (record->flags & LKI_FLAG_BORROWED) == 0)
        lki_record_retire(thread, cell, record->source);
    lki_record_retire(thread, cell, record);
}

void
lki_record_replaced(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                    lki_record *by)
{
    LK_ASSERT(lki_is_entered(thread) && by != NULL && by != record);
    if (LKI_UNLIKELY(lki_record_is_job(by)) || LKI_UNLIKELY(lki_record_is_job(record)))
        store->hooks->replaced(store, thread, cell, record, by);
    if (record == NULL || (lki_record_is_job(by) && by->source == record))
        return; /* it stays as the source of a job */
    if (LKI_UNLIKELY(lki_record_is_job(record)) &&
        (!lki_record_is_job(by) || by->source != record->source))
        lki_record_retire(thread, cell, record->source);
    lki_record_retire(thread, cell, record);
}

/* Reads a head, without an unfinished commit on it. *seen: the head; *effective: the record that
 * counts. LK_OK; LK_NOT_FOUND: the cell is dead. */
LKI_INLINE lk_status
head_look(lki_store *store, lki_thread *thread, lki_cell *cell, uintptr_t *seen,
          lki_record **effective)
{
    for (;;) {
        *seen = lki_load_acquire(&cell->item); /* P1 */
        if (LKI_UNLIKELY(*seen == LKI_DEAD))
            return LK_NOT_FOUND;
        lki_commit *blocker = NULL;
        *effective = lki_effective(store, *seen, &blocker);
        if (LKI_LIKELY(blocker == NULL))
            return LK_OK;
        lki_commit_resolve(thread, blocker);
    }
}

/* Tries once to put a record over `over`. LK_BUSY: another thread has swapped the head. */
LKI_INLINE lk_status
head_try(lki_store *store, lki_thread *thread, lki_cell *cell, uintptr_t seen, lki_record *over,
         const lki_change *change, lki_record **made)
{
    lki_record *record = lki_record_over(store, thread, cell, change, over);
    if (LKI_UNLIKELY(record == NULL))
        return LK_NO_MEMORY;
    LK_ASSERT(seen != LKI_DEAD && record != over);
    lki_record_put_over(record, over);
    lki_head_before(seen);
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&cell->item, &seen, (uintptr_t)record))) { /* P1, P2 */
        lki_count(thread, LKI_HEAD_CONFLICTS, 1);
        lki_record_discard(thread, cell, record);
        lk_backoff(0); /* the other thread gets several writes done meanwhile */
        return LK_BUSY;
    }
    lki_record_stamp(store, record);
    lki_record_replaced(store, thread, cell, over, record);
    if (made != NULL)
        *made = record;
    return LK_OK;
}

/* `expected`: what must be effective; NULL: anything. */
static lk_status
head_change(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *const *expected,
            const lki_change *change, lki_record **made)
{
    LK_ASSERT(lki_is_reserved(thread, 4));
    for (;;) {
        uintptr_t seen;
        lki_record *over;
        lk_status status = head_look(store, thread, cell, &seen, &over);
        if (LKI_LIKELY(status == LK_OK))
            status = expected != NULL && over != *expected
                         ? LK_RACE
                         : head_try(store, thread, cell, seen, over, change, made);
        if (LKI_LIKELY(status != LK_BUSY))
            return status;
    }
}

lk_status
lki_head_change(lki_store *store, lki_thread *thread, lki_cell *cell, const lki_change *change,
                lki_record **made)
{
    return head_change(store, thread, cell, NULL, change, made);
}

lk_status
lki_head_change_if(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *expected,
                   const lki_change *change, lki_record **made)
{
    return head_change(store, thread, cell, &expected, change, made);
}

lk_status
lki_head_write(lki_store *store, lki_thread *thread, lki_cell *cell, lki_change *change,
               const lk_write *write, lki_outcome *outcome)
{
    LK_ASSERT(lki_is_reserved(thread, 4) && change->job == NULL && !change->gone);
    for (int64_t before_ms = 0;;) {
        uintptr_t seen;
        lki_record *over;
        lk_status status = head_look(store, thread, cell, &seen, &over);
        if (LKI_LIKELY(status == LK_OK)) {
            status = lki_write_outcome(store, write, over, change->now, outcome);
            change->item = outcome->item;
            if (LKI_UNLIKELY(status != LK_OK) && !lki_record_is_live(store, over, change->now) &&
                !lki_record_is_gone(cell, over, change->now, &before_ms))
                continue; /* it may have been replaced before it expired */
        }
        if (LKI_LIKELY(status == LK_OK))
            status = head_try(store, thread, cell, seen, over, change, NULL);
        if (LKI_LIKELY(status != LK_BUSY))
            return status;
    }
}

/* ---- cells ---- */

void
lki_cell_destroy(lki_store *store, lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    if (head > LKI_DEAD)
        lki_record_free(&store->domain.allocator, (lki_record *)head);
    lki_cell_free(&store->domain.allocator, cell);
}

/* Frees the record of a plain job's cell, which nobody else retires. True: it was inline. */
static bool
cell_head_free(const lki_allocator *allocator, lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    if (head <= LKI_DEAD)
        return false;
    lki_record *record = (lki_record *)head;
    bool inside = (lki_record_value(record)->flags & LKI_FLAG_INLINE) != 0;
    lki_record_free(allocator, record);
    return inside;
}

bool
lki_cell_dispose(lki_thread *thread, void *object)
{
    lki_cell *cell = object;
    /* P6: the inline record may still wait for its own grace period, which another thread may
     * count: the last one frees the cell. */
    _Atomic(uint16_t) *flags = lki_cell_flags(cell);
    if (lki_cell_is_in_slab(cell))
        return true;
    if (lki_cell_is_in_queue(cell)) {
        if (cell_head_free(&thread->allocator, cell) ||
            (lki_or_seq_cst(flags, LKI_CELL_GONE) & LKI_CELL_ROOM) != 0) /* P6: as below */
            lki_chunk_free(thread, cell, lki_cell_size(cell));
        return true;
    }
    if ((lki_or_seq_cst(flags, LKI_CELL_GONE) & LKI_CELL_ROOM) != 0)
        lki_free(&thread->allocator, cell, lki_cell_size(cell));
    return true;
}
