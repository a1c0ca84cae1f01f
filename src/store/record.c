/* SPDX-License-Identifier: MIT
 *
 * Heads and records. Called by read.c, write.c, commit.c, lock.c, query.c, removal.c, sweep.c.
 *
 * Progress    resolving is wait-free; replacing a head is lock-free (a failed swap means that
 *             another one succeeded, and an unfinished commit in the way is aborted after a
 *             bounded wait).
 * Invariants  I-record1: prev is settled and its stamp is not greater than its successor's.
 *             I-record2: a record is retired by whoever stamped its successor, after that stamp;
 *             so a section that needs it (its snapshot is below the successor's stamp) began
 *             before the retirement. I-record3: the record inside a cell is used by one record at
 *             a time: LKI_CELL_ROOM is taken by who fills it and given back when its grace period
 *             is over.
 * Ordering    P1, P2 (record.h); P6: the flags of a cell, read-modify-writes on both sides.
 */
#include "base/result.h"
#include "store/job.h"

#include <string.h>

enum { RESOLVE_SPINS = 400 };

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
    lki_cas_seq_cst(&commit->state, &ready, stamp << 2);
}

void
lki_record_stamp(lki_store *store, lki_record *record)
{
    uint64_t none = 0;
    uint64_t stamp = lki_load_seq_cst(&store->clock); /* P2: after the swap of the head */
    lki_cas_seq_cst(&record->word, &none, stamp << 1);
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
        return (lki_record *)record->prev;
    return record;
}

/* Of a record that is settled: effective once, or below one that was. */
static uint64_t
record_stamp(lki_record *record)
{
    uint64_t word = lki_load_acquire(&record->word); /* P2 */
    if ((word & LKI_WORD_COMMIT) == 0)
        return word >> 1;
    lki_commit *commit = (lki_commit *)(uintptr_t)(word & ~LKI_WORD_COMMIT);
    return commit_stamp(lki_load_seq_cst(&commit->state));
}

uint64_t
lki_snapshot(lki_store *store, lki_thread *thread)
{
    lki_count(thread, LKI_SNAPSHOTS, 1);
    uint64_t snapshot = lki_load_seq_cst(&store->clock);
    uint64_t expected = snapshot;
    /* Where this fails, somebody else has moved the clock past the snapshot. */
    lki_cas_seq_cst(&store->clock, &expected, snapshot + 1); /* P2 */
    lki_fence_seq_cst();                                     /* P2: before the loads of heads */
    return snapshot;
}

lki_record *
lki_record_at(lki_store *store, uintptr_t head, uint64_t snapshot)
{
    lki_record *record = lki_effective(store, head, NULL);
    while (record != NULL && record_stamp(record) > snapshot)
        record = (lki_record *)record->prev;
    return record;
}

/* ---- making and unmaking ---- */

static lki_record *
record_room(lki_thread *thread, lki_cell *cell, size_t payload)
{
    if (payload <= cell->room && (lki_load_relaxed(&cell->flags) & LKI_CELL_ROOM) != 0 &&
        (lki_and_seq_cst(&cell->flags, ~(uint32_t)LKI_CELL_ROOM) & LKI_CELL_ROOM) !=
            0) { /* P6: to dispose_inline */
        lki_record *record = lki_cell_record(cell);
        record->flags = LKI_FLAG_INLINE;
        return record;
    }
    lki_record *record = lki_chunk_alloc(thread, LKI_RECORD_HEADER + payload);
    if (record != NULL)
        record->flags = 0;
    return record;
}

void
lki_record_fill(lki_record *record, const lk_item *item)
{
    bool expires = item->expires_at_ms != 0;
    record->prev = LKI_EMPTY;
    lki_store_relaxed(&record->word, 0);
    record->size = (uint32_t)item->data.size;
    record->kind = LKI_VALUE;
    if (LKI_UNLIKELY(expires)) {
        record->flags |= LKI_FLAG_EXPIRES;
        record->expires_at_ms = item->expires_at_ms;
    }
    lki_copy(record->data + (expires ? 8 : 0), item->data.data, item->data.size);
}

lki_record *
lki_record_new_value(lki_thread *thread, lki_cell *cell, const lk_item *item)
{
    lki_record *record =
        record_room(thread, cell, item->data.size + (item->expires_at_ms != 0 ? 8 : 0));
    if (record != NULL)
        lki_record_fill(record, item);
    return record;
}

static lki_record *
record_new_versioned(lki_thread *thread, enum lki_record_kind kind, uint64_t version)
{
    lki_record *record = lki_chunk_alloc(thread, sizeof *record);
    if (record == NULL)
        return NULL;
    record->prev = LKI_EMPTY;
    lki_store_relaxed(&record->word, 0);
    lki_store_relaxed(&record->tag, 0);
    record->kind = (uint8_t)kind;
    record->flags = 0;
    record->expires_high = 0;
    record->version = version;
    return record;
}

lki_record *
lki_record_new_lock(lki_thread *thread, uint64_t version, int64_t expires_at_ms)
{
    lki_record *record = record_new_versioned(thread, LKI_LOCK, version);
    if (record == NULL)
        return NULL;
    /* 48 bits with a sign: up to the year 6429. The last value is never, as is what they do not hold. */
    if (expires_at_ms > LKI_LOCK_NEVER || expires_at_ms < -LKI_LOCK_NEVER)
        expires_at_ms = LKI_LOCK_NEVER;
    record->expires_low = (uint32_t)expires_at_ms;
    record->expires_high = (uint16_t)(expires_at_ms >> 32);
    return record;
}

lki_record *
lki_record_new_tombstone(lki_thread *thread, enum lki_record_kind kind, uint64_t version)
{
    return record_new_versioned(thread, kind, version);
}

lki_record *
lki_record_new_job(lki_thread *thread, lki_record *source, bool borrowed, const lki_state *state)
{
    lki_job *job = lki_chunk_alloc(thread, sizeof *job);
    if (job == NULL)
        return NULL;
    lki_record *record = &job->record;
    record->prev = LKI_EMPTY;
    lki_store_relaxed(&record->word, 0);
    record->size = source->size;
    record->kind = LKI_VALUE;
    record->flags = LKI_FLAG_JOB | (borrowed ? LKI_FLAG_BORROWED : 0);
    record->source = source;
    job->state = *state;
    return record;
}

bool
lki_record_adapt(lki_store *store, lki_thread *thread, lki_record **record, const lki_record *over)
{
    lki_time now = {0, false, false};
    lki_record *value = lki_record_value(*record);
    bool is_job = *record != value;
    bool over_job = lki_record_is_job(over) && lki_record_is_live(store, over, &now);
    if (over_job && is_job) {
        ((lki_job *)(void *)*record)->state = *lki_record_state(over);
    } else if (over_job) {
        lki_record *job = lki_record_new_job(thread, value, false, lki_record_state(over));
        if (job == NULL)
            return false;
        lki_store_relaxed(&job->word, lki_load_relaxed(&value->word)); /* a commit's, perhaps */
        *record = job;
    } else if (is_job) {
        lki_store_relaxed(&value->word, lki_load_relaxed(&(*record)->word));
        lki_record_dispose(thread, *record);
        *record = value;
    }
    return true;
}

void
lki_record_discard(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    if (record == NULL)
        return;
    if (lki_record_is_job(record) && (record->flags & LKI_FLAG_BORROWED) == 0)
        lki_record_discard(thread, cell, record->source);
    if ((record->flags & LKI_FLAG_INLINE) != 0)
        lki_or_seq_cst(&cell->flags, LKI_CELL_ROOM); /* P6 */
    else
        lki_record_dispose(thread, record);
}

static void
record_retire(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    if ((record->flags & LKI_FLAG_INLINE) != 0) {
        if (!lki_cell_is_in_slab(cell))
            lki_retire(thread, LKI_INLINE_RECORD, cell, 0);
    } else
        lki_retire(thread, LKI_RECORD, record, lki_record_size(record));
}

void
lki_record_retire_undone(lki_thread *thread, lki_cell *cell, lki_record *record)
{
    if (lki_record_is_job(record) && (record->flags & LKI_FLAG_BORROWED) == 0)
        record_retire(thread, cell, record->source);
    record_retire(thread, cell, record);
}

void
lki_record_replaced(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
                    const lki_record *by)
{
    if (record == NULL)
        return;
    if (LKI_UNLIKELY(lki_record_is_job(record))) {
        if (!lki_record_is_job(by) || by->source != record->source)
            record_retire(thread, cell, record->source);
        if (!lki_record_is_job(by) ||
            lki_record_state(by)->identity != lki_record_state(record)->identity)
            lki_job_replaced(store, thread, cell, lki_record_state(record), lki_record_is_job(by));
    } else if (lki_record_is_job(by) && by->source == record) {
        return; /* it lives on as the bytes of a job */
    }
    record_retire(thread, cell, record);
}

void
lki_record_free(const lki_allocator *allocator, lki_record *record)
{
    if (lki_record_is_job(record))
        lki_record_free(allocator, record->source);
    if ((record->flags & LKI_FLAG_INLINE) == 0)
        lki_chunk_release(allocator, record, lki_record_size(record));
}

bool
lki_record_dispose(lki_thread *thread, void *object)
{
    lki_chunk_free(thread, object, lki_record_size(object));
    return true;
}

bool
lki_commit_dispose(lki_thread *thread, void *object)
{
    lki_chunk_free(thread, object, sizeof(lki_commit));
    return true;
}

bool
lki_record_dispose_inline(lki_thread *thread, void *object)
{
    lki_cell *cell = object;
    /* P6: the cell may have been disposed of before (its grace period can be counted by another
     * thread): the last frees. */
    if ((lki_or_seq_cst(&cell->flags, LKI_CELL_ROOM) & LKI_CELL_GONE) != 0)
        lki_cell_free(&thread->domain->allocator, cell);
    return true;
}

/* ---- replacing ---- */

void
lki_commit_resolve(lki_thread *thread, lki_commit *commit)
{
    /* A running owner needs far less from one record to the next: wait as long as it gets on, then
     * take it to have stopped. Two that abort each other for ever do not exist: both install in
     * address order. */
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

/* One attempt. LK_OK; LK_NOT_FOUND: dead; LK_RACE: `*effective` is not `expected` (when asked);
 * LK_BUSY: try again. */
static lk_status
head_try(lki_store *store, lki_thread *thread, lki_head *head, lki_record **effective,
         bool conditional, const lki_record *expected, lki_record **adapted)
{
    uintptr_t seen = lki_load_acquire(head); /* P1 */
    if (seen == LKI_DEAD)
        return LK_NOT_FOUND;
    lki_commit *blocker = NULL;
    *effective = lki_effective(store, seen, &blocker);
    if (conditional && *effective != expected)
        return LK_RACE;
    if (blocker != NULL) {
        lki_commit_resolve(thread, blocker);
        return LK_BUSY;
    }
    if (!conditional && !lki_record_adapt(store, thread, adapted, *effective))
        return LK_NO_MEMORY;
    lki_record *record = *adapted;
    record->prev = (uintptr_t)*effective;
    if (lki_cas_seq_cst(head, &seen, (uintptr_t)record)) /* P1, P2 */
        return LK_OK;
    lki_count(thread, LKI_HEAD_CONFLICTS, 1);
    return LK_BUSY;
}

static lk_status
head_replace(lki_store *store, lki_thread *thread, lki_cell *cell, lki_head *head, bool conditional,
             const lki_record *expected, lki_record **record)
{
    lki_record *effective = NULL;
    lk_status status;
    do
        status = head_try(store, thread, head, &effective, conditional, expected, record);
    while (status == LK_BUSY);
    if (status != LK_OK)
        return status;
    lki_record_stamp(store, *record);
    lki_record_replaced(store, thread, cell, effective, *record);
    return LK_OK;
}

lk_status
lki_head_replace(lki_store *store, lki_thread *thread, lki_cell *cell, lki_head *head,
                 lki_record **record)
{
    return head_replace(store, thread, cell, head, false, NULL, record);
}

lk_status
lki_head_replace_if(lki_store *store, lki_thread *thread, lki_cell *cell, lki_head *head,
                    const lki_record *expected, lki_record *record)
{
    return head_replace(store, thread, cell, head, true, expected, &record);
}
