/* SPDX-License-Identifier: MIT
 *
 * States of jobs: read, and changed from exactly the state that was judged. A plain job's is the
 * word of its slot, a headed one's a record on its item's head.
 */
#ifndef LKI_QUEUE_JOB_H
#define LKI_QUEUE_JOB_H

#include "queue/over.h"
#include "queue/queue.h"
#include "queue/word.h"
#include "store/find.h"
#include "store/head.h"
#include "store/lock.h"

/* A job as it was found. */
typedef struct lki_found_job {
    lk_key key;
    lki_cell *cell;       /* NULL: no such key */
    lki_slot *slot;       /* NULL: not in the queue */
    lki_segment *segment; /* of the slot */
    lki_record *record;   /* effective on the item's head; NULL: nothing */
    bool plain, pinned;
    lki_state state; /* NO_JOB: an item, a reserved place, or nothing */
} lki_found_job;

/* What an entry says of a job as it was found. */
enum lki_verdict {
    LKI_ENTRY_CURRENT, /* it is in the state that the entry announces */
    LKI_ENTRY_PENDING, /* somebody may be about to put it into that state: leave the entry */
    LKI_ENTRY_STALE    /* it never will be again: the entry may go */
};
/* Of a plain job several may be about to make the same state, and share the entry of the first: it
 * is stale only when the job was received once more, is gone, or headed. */
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

/* Looks a job up, by its key, or by its slot. Caller: in a section. `*queue`: the queue's as it was
 * found before, NULL where there was none. Where there is a job, `*queue` is its queue afterwards,
 * and stays so until the job's state changes: the queue may have come, or gone and come anew,
 * between the two looks. */
void lki_job_find(lki_store *store, lki_queue **queue, lk_key key, lki_found_job *job);
/* The slot that an sk names, if this queue generated it; NULL: none. */
lki_slot *lki_job_slot(lki_queue *queue, lk_bytes sk, lki_segment **segment);
void lki_job_read(lki_store *store, lki_segment *segment, lki_slot *slot, lki_found_job *job);

/* Changes the state: LK_OK; LK_RACE: it is not any more what was found; LK_NO_MEMORY. On LK_OK of a
 * headed job to->identity and, for a claim, to->token are set. `now`: of the monotonic clock; what
 * is visible by it gets its ready entry. Caller: in a write section with 8 retirements reserved. */
lk_status lki_job_change(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job, lki_state *to, uint64_t now);
/* Takes a plain job out: as a part of it, which lki_jobs_ended follows in the same section, for all
 * of one segment; or at once. LK_OK, LK_RACE, LK_NO_MEMORY. Caller: as above. */
lk_status lki_job_end(lki_store *store, lki_thread *thread, lki_queue *queue,
                      const lki_found_job *job);
void lki_jobs_ended(lki_thread *thread, lki_segment *segment, uint32_t count);
lk_status lki_job_finish(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job);
/* Takes a job out that had expired when it was found; as lki_sweep_cell. */
lk_status lki_job_expire(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *found, int64_t now_ms, int64_t *next_ms);
/* Makes a plain job headed. LK_OK: it is, or it was changed: look again. LK_NO_MEMORY. */
lk_status lki_job_head(lki_store *store, lki_thread *thread, lki_queue *queue,
                       const lki_found_job *job);

/* Puts an entry into `ready`; what it announces becomes visible afterwards. As lki_order_insert.
 * Also who finds it there says so: whoever put it in may not have come to that yet. */
LKI_INLINE bool
lki_ready_insert(lki_queue *queue, lki_thread *thread, lki_entry *entry)
{
    bool inserted = lki_order_insert(&queue->ready, thread, entry);
    lki_add_seq_cst(&queue->announced, 1); /* P19: after the entry, before the state */
    return inserted;
}

/* The entries of a state. `remove` of what is not there does nothing. */
lk_status lki_job_announce(lki_queue *queue, lki_thread *thread, lk_bytes sk, uint64_t from,
                           const lki_state *to, uint64_t now);
void lki_job_forget(lki_queue *queue, lki_thread *thread, lk_bytes sk, const lki_state *state);

/* The slot's word was made anything but FRONT, and it will not be FRONT: where the cursor stands on
 * it, it goes on, so that no pull walks over many of them. */
LKI_INLINE void
lki_slot_pass(lki_segment *segment, const lki_slot *slot)
{
    uint32_t at = (uint32_t)(slot - segment->slots);
    if (lki_load_relaxed(&segment->cursor) == at) /* a hint: it is true whenever it is stored */
        lki_store_relaxed(&segment->cursor, at + 1);
}

/* ---- bounds ---- */

/* Covers a plain word, or the expiry of a job of the segment. */
void lki_job_cover_slow(lki_segment *segment, uint64_t time);
LKI_INLINE void
lki_job_cover(lki_segment *segment, uint64_t time)
{
    if (LKI_UNLIKELY(!lki_next_due_covers(segment->due, time) ||
                     !lki_next_due_covers(&segment->queue->due, time)))
        lki_job_cover_slow(segment, time);
}
void lki_job_cover_expiry(lki_segment *segment, int64_t expires_at_ms);
/* A version that no other state ever had. */
LKI_INLINE uint64_t
lki_identity_new(lki_thread *thread)
{
    return lki_version_above(thread, 0) << 1;
}

/* The token of a headed claim: the version, which stores have in common, and the store's number
 * over its upper bits. A plain one's goes with a key that says whose it is. */
LKI_INLINE uint64_t
lki_token_of(const lki_store *store, uint64_t identity)
{
    return (identity >> 1) ^ lki_queues_of(store)->token_mark;
}

/* The stamp of a DONE word, set if it has none. */
uint64_t lki_done_stamp(lki_store *store, lki_slot *slot, uint64_t word);

/* Is the item of a job there, and not expired? */
LKI_INLINE bool
lki_job_is_live(const lki_store *store, const lki_found_job *job)
{
    lki_time now = {0, false, false};
    return job->state.phase != LKI_NO_JOB && lki_record_is_live(store, job->record, &now);
}

/* Is it this claim's job, and still its? LK_OK, LK_LATE: its deadline has passed, LK_LOST. Token 0:
 * any job, never late. */
LKI_INLINE lk_status
lki_claim_judge(const lki_store *store, const lki_found_job *job, uint64_t token, lki_ticks *ticks)
{
    bool claimed = job->state.phase == LKI_CLAIMED || job->state.phase == LKI_LAPSED;
    if ((token != 0 && !(claimed && job->state.token == token)) || !lki_job_is_live(store, job))
        return LK_LOST;
    return token != 0 && lki_ticks_past(store, ticks, job->state.time) ? LK_LATE : LK_OK;
}

#endif
