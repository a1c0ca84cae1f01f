/* SPDX-License-Identifier: MIT
 *
 * The state of a job: read, and changed by one compare-and-swap from exactly the state that was
 * read.
 *
 * A plain job has its state in its slot word. A record job has it in a job record on its item's
 * head. Callers see the same lki_found_job for both. How the changes work: job.c.
 */
#ifndef LKI_QUEUE_JOB_H
#define LKI_QUEUE_JOB_H

#include "queue/over.h"
#include "queue/queue.h"
#include "queue/word.h"
#include "store/find.h"
#include "store/head.h"
#include "store/lock.h"

/* A job as it was read. */
typedef struct lki_found_job {
    lk_key key;
    lki_cell *cell; /* NULL: the store has no such key */
    lki_slot *slot; /* NULL: it lies in no slot */
    lki_segment *segment;
    lki_record *record; /* effective on the item's head; NULL: none */
    bool plain, pinned;
    lki_state state; /* NO_JOB: an item that is no job, a reserved place, or nothing */
} lki_found_job;

/* How an entry relates to the state in which its job was found. */
enum lki_verdict {
    LKI_ENTRY_CURRENT, /* the job is in the state that the entry announces */
    LKI_ENTRY_PENDING, /* a thread may be about to make that state: leave the entry */
    LKI_ENTRY_STALE    /* the job will never be in that state again: remove the entry */
};
/* Several threads may be about to make the same state of a plain job, and share the entry of the
 * first. Such an entry is stale only when the job was received again, was removed, or became a
 * record job. */
LKI_INLINE enum lki_verdict
lki_entry_judge(const lki_entry *entry, const lki_found_job *job)
{
    uint64_t now = job->state.identity;
    if (now == entry->to)
        return LKI_ENTRY_CURRENT;
    if (now == entry->from)
        return LKI_ENTRY_PENDING;
    return (entry->to & now & 1) != 0 && lki_job_word_is_plain(now) &&
                   lki_job_word_receives(now) == lki_job_word_receives(entry->to)
               ? LKI_ENTRY_PENDING
               : LKI_ENTRY_STALE;
}

/* lki_job_find looks a job up by its key, lki_job_read reads it in its slot. Caller: in a section.
 * `*queue`: the key's queue as found before, NULL for none. If there is a job, `*queue` is its
 * queue on return, also when the queue was removed or made in between, and stays so until the job's
 * state changes. */
void lki_job_find(lki_store *store, lki_queue **queue, lk_key key, lki_found_job *job);
/* The slot that an sk names, if this queue generated the sk; NULL: none. */
lki_slot *lki_job_slot(lki_queue *queue, lk_bytes sk, lki_segment **segment);
void lki_job_read(lki_store *store, lki_segment *segment, lki_slot *slot, lki_found_job *job);

/* Changes the state of a job. LK_OK; LK_RACE: the state is not the one found any more;
 * LK_NO_MEMORY. On LK_OK of a record job to->identity and, for a claim, to->token are set. `now`:
 * the tick; a state that is visible by it gets its ready entry. Caller: in a write section with 8
 * retirements reserved. */
lk_status lki_job_change(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job, lki_state *to, uint64_t now);
/* Remove a plain job. lki_job_end leaves the counting to lki_jobs_ended, which must follow in the
 * same section, once for all jobs of one segment; lki_job_finish does both. LK_OK, LK_RACE,
 * LK_NO_MEMORY. Caller: as above. */
lk_status lki_job_end(lki_store *store, lki_thread *thread, lki_queue *queue,
                      const lki_found_job *job);
void lki_jobs_ended(lki_thread *thread, lki_segment *segment, uint32_t count);
lk_status lki_job_finish(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job);
/* Removes a job that had expired when it was found; results as of lki_sweep_cell. */
lk_status lki_job_expire(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *found, int64_t now_ms, int64_t *next_ms);
/* Makes a plain job a record job. LK_OK: it is one, or its state has changed: look again.
 * LK_NO_MEMORY. */
lk_status lki_job_to_record(lki_store *store, lki_thread *thread, lki_queue *queue,
                            const lki_found_job *job);

/* Puts an entry into `ready`, before its job becomes visible; result as of lki_order_insert. It is
 * announced also if it was there already: the thread that inserted it may not have announced it
 * yet. */
LKI_INLINE bool
lki_ready_insert(lki_queue *queue, lki_thread *thread, lki_entry *entry)
{
    LK_ASSERT(entry->rank == 0 && lki_is_reserved(thread, 1));
    bool inserted = lki_order_insert(&queue->ready, thread, entry);
    lki_add_seq_cst(&queue->announced, 1); /* P19: after the entry, before the state */
    return inserted;
}

/* Insert and remove the entry of a state. Removing an entry that is not there does nothing. */
lk_status lki_job_announce(lki_queue *queue, lki_thread *thread, lk_bytes sk, uint64_t from,
                           const lki_state *to, uint64_t now);
void lki_job_forget(lki_queue *queue, lki_thread *thread, lk_bytes sk, const lki_state *state);

/* Moves the cursor past a slot that will never be FRONT again, if it stands there: so no pull walks
 * over many of them. */
LKI_INLINE void
lki_slot_pass(lki_segment *segment, const lki_slot *slot)
{
    uint32_t at = (uint32_t)(slot - segment->slots);
    LK_ASSERT(at < segment->capacity);
    if (lki_load_relaxed(&segment->cursor) == at) /* a hint: true at any later time */
        lki_store_relaxed(&segment->cursor, at + 1);
}

/* ---- next due times ---- */

/* Lowers the next due times to cover a time of a plain job, or its expiry. */
void lki_job_cover_slow(lki_segment *segment, uint64_t time);
LKI_INLINE void
lki_job_cover(lki_segment *segment, uint64_t time)
{
    if (LKI_UNLIKELY(!lki_next_due_covers(segment->due, time) ||
                     !lki_next_due_covers(&segment->queue->due, time)))
        lki_job_cover_slow(segment, time);
}
void lki_job_cover_expiry(lki_segment *segment, int64_t expires_at_ms);
/* A new identity of a record job. */
LKI_INLINE uint64_t
lki_identity_new(lki_thread *thread)
{
    return lki_version_above(thread, 0) << 1;
}

/* The token of a claim on a record job: its version, with the store's number in the upper bits, as
 * versions are the same in all stores. A token of a plain job needs no such mark: its key says
 * which store it is from. */
LKI_INLINE uint64_t
lki_token_of(const lki_store *store, uint64_t identity)
{
    return (identity >> 1) ^ lki_queues_of(store)->token_mark;
}

/* The stamp of a DONE word; sets it if it has none. */
uint64_t lki_done_stamp(lki_store *store, lki_slot *slot, uint64_t word);

/* Is this a job whose item has not expired? */
LKI_INLINE bool
lki_job_is_live(const lki_store *store, const lki_found_job *job)
{
    lki_time now = {0, false, false};
    return job->state.phase != LKI_NO_JOB && lki_record_is_live(store, job->record, &now);
}

/* Does the claim with this token still hold the job? LK_OK; LK_LATE: yes, but its deadline has
 * passed; LK_LOST. Token 0: any job, and never late. */
LKI_INLINE lk_status
lki_claim_judge(const lki_store *store, const lki_found_job *job, uint64_t token, lki_ticks *ticks)
{
    bool claimed = job->state.phase == LKI_CLAIMED || job->state.phase == LKI_LAPSED;
    if ((token != 0 && !(claimed && job->state.token == token)) || !lki_job_is_live(store, job))
        return LK_LOST;
    return token != 0 && lki_ticks_past(store, ticks, job->state.time) ? LK_LATE : LK_OK;
}

#endif
