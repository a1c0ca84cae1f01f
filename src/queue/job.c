/* SPDX-License-Identifier: MIT
 *
 * States of jobs: how they change.
 *
 * A state is changed by one compare-and-swap from exactly the state that was judged: of the slot
 * word for a plain job, of the item's head for a record job. What lets others find the new state is
 * put in before the swap: the ready entry if it is visible, the due entry of a record job, the next
 * due times of a plain one. So a state can be found even if its thread stops right after the swap.
 * Entries that were put in for nothing are stale; any thread that meets them removes them.
 *
 * A plain job becomes a record job in four steps: pin the word, so that only this can happen to it;
 * insert the entry; put a job record with the word's state on the item's head; set the word to
 * HEADED, from when on the record counts. Any thread that meets a pinned word does the steps that
 * are left. The head of a job that is plain and not pinned never changes.
 *
 * Progress    lock-free.
 * Invariants  I-job1: a job never has the same identity twice. Of a plain job `receives` grows, and
 *             while it stays, the time grows until the job waits; any other change makes it a
 *             record job. Identities of record jobs are versions.
 *             I-job2: DONE is final until the segment leaves. The cell of a DONE slot is used only
 *             by sections that have seen an earlier word, or whose snapshot is below its stamp.
 * Ordering    P11, P12 (queue.h).
 */
#include "queue/job.h"

#include "store/sweep.h"

#include <string.h>

/* ---- the sets of entries ---- */

lk_status
lki_job_announce(lki_queue *queue, lki_thread *thread, lk_bytes sk, uint64_t from,
                 const lki_state *to, uint64_t now)
{
    bool visible = to->time < now;
    LK_ASSERT(lki_is_reserved(thread, 1) && to->identity != 0 && to->phase != LKI_NO_JOB);
    lki_entry *entry = lki_entry_new(thread, visible ? 0 : to->time, sk, from, to->identity);
    if (entry == NULL)
        return LK_NO_MEMORY;
    if (!(visible ? lki_ready_insert(queue, thread, entry)
                  : lki_order_insert(&queue->later, thread, entry)))
        lki_entry_discard(thread, entry);
    else if (!visible && lki_order_first(&queue->later) == entry)
        lki_queue_sooner(queue);
    return LK_OK;
}

void
lki_job_forget(lki_queue *queue, lki_thread *thread, lk_bytes sk, const lki_state *state)
{
    LK_ASSERT(lki_is_reserved(thread, 1) && state->identity != 0);
    if (lki_order_first(&queue->later) != NULL &&
        lki_order_remove(&queue->later, thread, state->time, sk, state->identity))
        return;
    if (lki_order_first(&queue->ready) != NULL)
        (void)lki_order_remove(&queue->ready, thread, 0, sk, state->identity);
}

/* ---- next due times ---- */

void
lki_job_cover_slow(lki_segment *segment, uint64_t time)
{
    lki_queue *queue = segment->queue;
    lki_next_due_cover(segment->due, time);
    if (LKI_UNLIKELY(lki_next_due_cover(&queue->due, time)))
        lki_queue_sooner(queue);
}

void
lki_job_cover_expiry(lki_segment *segment, int64_t expires_at_ms)
{
    lki_queue *queue = segment->queue;
    uint64_t time = lki_expiry_time(expires_at_ms);
    LK_ASSERT(expires_at_ms != 0); /* that is never */
    lki_next_due_cover(&segment->page->expires[segment->number % LKI_PAGE_SEGMENTS], time);
    lki_next_due_cover(&queue->expires, time);
}

/* ---- found ---- */

/* Stamps a DONE word; the first thread to try does it. */
LKI_INLINE void
stamp_set(lki_store *store, lki_slot *slot)
{
    uint64_t done = lki_job_word(LKI_DONE, 0, 0);
    uint64_t stamp = lki_load_seq_cst(&store->clock); /* P2: after DONE was seen */
    LK_ASSERT(lki_job_word_may_become(done, done | stamp << 4));
    (void)lki_cas_seq_cst(&slot->word, &done, done | stamp << 4); /* P2 */
    LK_ASSERT(lki_job_word_phase(done) == LKI_DONE); /* I-job2: at most its stamp was set before */
}

uint64_t
lki_done_stamp(lki_store *store, lki_slot *slot, uint64_t word)
{
    if (LKI_UNLIKELY(word >> 4 == 0)) {
        stamp_set(store, slot);
        word = lki_load_acquire(&slot->word); /* P2 */
    }
    LK_ASSERT(lki_job_word_phase(word) == LKI_DONE && word >> 4 != 0);
    return word >> 4;
}

lki_slot *
lki_job_slot(lki_queue *queue, lk_bytes sk, lki_segment **segment)
{
    const unsigned char *text = sk.data;
    uint64_t place;
    if (sk.size != LK_ULID_SIZE ||
        memcmp(text + LKI_ULID_OWNER, queue->owner, LKI_ULID_WORD) != 0 ||
        !lki_ulid_read(text + LKI_ULID_PLACE, &place))
        return NULL;
    lki_slot *slot = lki_queue_slot(queue, place, segment);
    if (slot != NULL)
        (void)lki_slot_look(*segment, slot);
    return slot;
}

void
lki_job_read(lki_store *store, lki_segment *segment, lki_slot *slot, lki_found_job *job)
{
    uint64_t word = lki_load_acquire(&slot->word); /* P11 */
    enum lki_phase phase = lki_job_word_phase(word);
    *job = (lki_found_job){.slot = slot, .segment = segment};
    if (LKI_UNLIKELY(word == LKI_JOB_WORD_EMPTY || phase == LKI_PASSED || phase == LKI_DONE)) {
        if (phase == LKI_DONE)
            (void)lki_done_stamp(store, slot, word);
        job->state.identity = word;
        return;
    }
    job->cell = slot->cell;
    LK_ASSERT(job->cell != NULL && lki_cell_is_in_queue(job->cell)); /* P11 */
    job->key = (lk_key){{job->cell->bytes, job->cell->pk_size},
                        {lki_cell_sk(job->cell), job->cell->sk_size}};
    job->record = lki_effective(store, lki_load_acquire(&job->cell->item), NULL); /* P1 */
    job->plain = phase != LKI_IN_RECORD;
    job->pinned = job->plain && (word & LKI_JOB_WORD_PINNED) != 0;
    if (job->plain)
        job->state = lki_job_word_state(word, lki_slot_place(segment, slot));
    else if (lki_record_is_job(job->record))
        job->state = *lki_record_state(job->record);
}

/* Was the queue taken out, or is a thread trying to? */
static bool
queue_is_dead(lki_queue *queue)
{
    return (lki_load_seq_cst(&queue->pins) & LKI_QUEUE_DEAD) != 0;
}

/* Finds a key in the set: a job with an sk of its own, or an item. */
static void
keyed_find(lki_store *store, const lki_hashed *hashed, lki_found_job *job)
{
    *job = (lki_found_job){.key = *hashed->key, .cell = lki_shard_find(store, hashed)};
    if (job->cell == NULL)
        return;
    job->record = lki_effective(store, lki_load_acquire(&job->cell->item), NULL); /* P1 */
    if (lki_record_is_job(job->record))
        job->state = *lki_record_state(job->record);
}

/* A job with a key pins its queue for as long as it exists. So a queue that is found after the job
 * is the job's; if the job was removed by then, changing its state fails. */
void
lki_job_find(lki_store *store, lki_queue **queue, lk_key key, lki_found_job *job)
{
    lki_segment *segment;
    lki_slot *slot = *queue != NULL ? lki_job_slot(*queue, key.sk, &segment) : NULL;
    uint64_t unpublished = 0;
    if (slot != NULL) {
        lki_job_read(store, segment, slot, job);
        if (job->cell != NULL && memcmp(job->key.sk.data, key.sk.data, LK_ULID_SIZE) == 0) {
            job->key = key;
            return;
        }
        if (job->cell == NULL && lki_job_word_phase(job->state.identity) != LKI_DONE)
            unpublished = job->state.identity;
    }
    /* A user's own sk may look like a generated one: only the place tells. */
    lki_hashed hashed = lki_hashed_of(&store->secret, &key);
    do {
        keyed_find(store, &hashed, job);
        if (job->state.phase == LKI_NO_JOB) {
            job->state.identity = unpublished; /* for an entry made before its job is published */
            return;
        }
        if (*queue == NULL || queue_is_dead(*queue))
            *queue = lki_queue_find(store, key.pk);
        LK_ASSERT(*queue == NULL || (*queue)->partition->pk_size == key.pk.size);
    } while (LKI_UNLIKELY(*queue == NULL)); /* the job went meanwhile, and its queue with it */
}

/* ---- changed ---- */

static lk_status
record_job_change(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *job,
                  lki_state *to, uint64_t now)
{
    LK_ASSERT(!job->plain && lki_record_is_job(job->record));
    LK_ASSERT(to->phase == LKI_WAITING || to->phase == LKI_CLAIMED);
    LK_ASSERT(to->receives >= job->state.receives);
    to->identity = lki_identity_new(thread);
    if (to->token == 0)
        to->token = lki_token_of(store, to->identity);
    LK_ASSERT(to->identity != job->state.identity && to->token != 0);
    lk_status status = lki_job_announce(queue, thread, job->key.sk, job->state.identity, to, now);
    if (status != LK_OK)
        return status;
    const lki_change change = {.job = to};
    status = lki_head_change_if(store, thread, job->cell, job->record, &change, NULL);
    if (status == LK_OK)
        return LK_OK; /* the hook has removed the entry of the old state */
    lki_job_forget(queue, thread, job->key.sk, to);
    return status == LK_NO_MEMORY ? status : LK_RACE;
}

static void
plain_forget(lki_thread *thread, lki_queue *queue, const lki_found_job *job)
{
    const lki_state *state = &job->state;
    LK_ASSERT(lki_is_reserved(thread, 1) && job->segment->queue == queue);
    if (state->phase == LKI_LAPSED || (state->phase == LKI_WAITING && state->time == 0))
        (void)lki_order_remove(&queue->ready, thread, 0, job->key.sk, state->identity);
}

static lk_status
plain_change(lki_thread *thread, lki_queue *queue, const lki_found_job *job, lki_state *to,
             uint64_t now)
{
    uint64_t word = job->state.identity;
    bool visible = to->time < now;
    LK_ASSERT(lki_job_word_is_plain(word) && (word & LKI_JOB_WORD_PINNED) == 0);
    to->identity = lki_job_word(to->phase, to->receives, to->time);
    LK_ASSERT(lki_job_word_may_become(word, to->identity));
    to->token = LKI_PLAIN_TOKEN | lki_slot_place(job->segment, job->slot) << 16 | to->receives;
    if (LKI_UNLIKELY(visible)) {
        lk_status status = lki_job_announce(queue, thread, job->key.sk, word, to, now);
        if (status != LK_OK)
            return status;
    } else {
        lki_job_cover(job->segment, to->time); /* P12: before and after the swap */
    }
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&job->slot->word, &word, to->identity))) { /* P11, P12 */
        LK_ASSERT(lki_job_word_is_settled(word) && word != lki_job_word(LKI_FRONT, 0, 0));
        /* Another thread may share the entry: then it stays, and a pull removes it once it is
         * stale. */
        if (visible &&
            (lki_job_word_phase(word) == LKI_DONE ||
             (lki_job_word_is_plain(word) && lki_job_word_receives(word) != to->receives)))
            (void)lki_order_remove(&queue->ready, thread, 0, job->key.sk, to->identity);
        return LK_RACE;
    }
    if (!visible)
        lki_job_cover(job->segment, to->time); /* P12: a scan may have raised them in between */
    plain_forget(thread, queue, job);
    lki_queue_remember_change(queue, thread);
    return LK_OK;
}

lk_status
lki_job_change(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *job,
               lki_state *to, uint64_t now)
{
    LK_ASSERT(lki_is_reserved(thread, 8) && job->state.phase != LKI_NO_JOB);
    if (LKI_LIKELY(job->plain && !job->pinned) && to->receives <= LKI_RECEIVES_MAX)
        return plain_change(thread, queue, job, to, now);
    if (job->plain) { /* pinned, or received so often that tokens would repeat */
        lk_status status = lki_job_to_record(store, thread, queue, job);
        return status == LK_OK ? LK_RACE : status;
    }
    return record_job_change(store, thread, queue, job, to, now);
}

/* Bytes that are retired with a plain job. Its head never changes, so its record is freed with the
 * cell. */
static size_t
plain_size(lki_cell *cell)
{
    const lki_record *record = (lki_record *)lki_load_acquire(&cell->item); /* P1 */
    size_t size = lki_cell_size(cell);
    LK_ASSERT(record->kind == LKI_VALUE && !lki_record_is_job(record));
    if ((record->flags & LKI_FLAG_INLINE) == 0)
        size += lki_record_size(record);
    return size;
}

lk_status
lki_job_end(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *job)
{
    uint64_t word = job->state.identity, done = lki_job_word(LKI_DONE, 0, 0);
    LK_ASSERT(lki_is_reserved(thread, 8));
    if (LKI_UNLIKELY(job->pinned)) {
        lk_status status = lki_job_to_record(store, thread, queue, job);
        return status == LK_OK ? LK_RACE : status;
    }
    LK_ASSERT(lki_job_word_is_plain(word) && lki_job_word_may_become(word, done));
    if (!lki_cas_seq_cst(&job->slot->word, &word, done)) { /* P11, P2 */
        LK_ASSERT(lki_job_word_is_settled(word));
        return LK_RACE;
    }
    stamp_set(store, job->slot);
    plain_forget(thread, queue, job);
    lki_queue_count(queue, thread, LKI_QUEUE_REMOVED, 1);
    if (!lki_cell_is_in_slab(job->cell))
        lki_retire(thread, LKI_CELL, job->cell, plain_size(job->cell));
    return LK_OK;
}

void
lki_jobs_ended(lki_thread *thread, lki_segment *segment, uint32_t count)
{
    LK_ASSERT(count != 0 && lki_is_reserved(thread, 1));
    lki_slots_finish(segment, thread, count); /* P16: its read-modify-write is between the two */
    lki_queue_left(segment->queue);
    lki_queue_remember_change(segment->queue, thread);
}

lk_status
lki_job_finish(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *job)
{
    lk_status status = lki_job_end(store, thread, queue, job);
    if (status == LK_OK)
        lki_jobs_ended(thread, job->segment, 1);
    return status;
}

/* The head of a plain job never changes: an item that had expired still has, whatever the word is
 * by now. */
lk_status
lki_job_expire(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *found,
               int64_t now_ms, int64_t *next_ms)
{
    lki_found_job job = *found;
    for (;;) {
        if (job.cell == NULL)
            return LK_RACE;
        if (!lki_reserve(thread, 8))
            return LK_NO_MEMORY;
        if (!job.plain)
            return lki_sweep_cell(store, thread, job.cell, now_ms, next_ms);
        lk_status status = lki_job_finish(store, thread, queue, &job);
        lki_count(thread, LKI_EXPIRED_SWEPT, status == LK_OK);
        if (status != LK_RACE)
            return status;
        lki_job_read(store, job.segment, job.slot, &job);
    }
}

/* ---- from a plain job to a record job ---- */

/* The four steps described at the top. */
lk_status
lki_job_to_record(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_found_job *job)
{
    lki_cell *cell = job->cell;
    uint64_t word = job->state.identity, pinned = word | LKI_JOB_WORD_PINNED;
    LK_ASSERT(job->plain && lki_job_word_is_plain(word) && (word & LKI_JOB_WORD_PINNED) == 0);
    LK_ASSERT(job->segment->queue == queue && lki_is_writing(thread));
    if (!lki_reserve(thread, 8))
        return LK_NO_MEMORY;
    if (!job->pinned && !lki_cas_seq_cst(&job->slot->word, &word, pinned) &&
        word != pinned) /* P11 */
        return LK_OK;   /* its state has changed: look again */
    /* The entry goes in first. The clock may lag: a job taken for delayed is looked at again when
     * it is due. */
    lk_status status = lki_job_announce(queue, thread, job->key.sk, job->state.identity,
                                        &job->state, lki_tick(store));
    if (status != LK_OK)
        return status;
    lki_record *over = lki_effective(store, lki_load_acquire(&cell->item), NULL); /* P1 */
    /* The head was loaded before this load of the word: if others have finished these steps and
     * changed the job since, the word shows it. */
    if (lki_load_seq_cst(&job->slot->word) != pinned) /* P11 */
        return LK_OK;
    /* Only these steps have changed the head. */
    LK_ASSERT(over != NULL && over->kind == LKI_VALUE);
    if (over != NULL && !lki_record_is_job(over)) {
        const lki_change change = {.job = &job->state};
        status = lki_head_change_if(store, thread, cell, over, &change, NULL);
        if (status == LK_NO_MEMORY)
            return status; /* on any other status another thread's record is there */
    }
    LK_ASSERT(lki_job_word_may_become(pinned, lki_job_word(LKI_IN_RECORD, 0, 0)));
    (void)lki_cas_seq_cst(&job->slot->word, &pinned, lki_job_word(LKI_IN_RECORD, 0, 0)); /* P11 */
    LK_ASSERT((pinned & LKI_JOB_WORD_PINNED) != 0 || lki_job_word_phase(pinned) == LKI_IN_RECORD ||
              lki_job_word_phase(pinned) == LKI_DONE); /* by another thread */
    return LK_OK;
}
