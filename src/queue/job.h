/* SPDX-License-Identifier: MIT
 *
 * States of jobs: read, and changed from exactly the state that was judged. A plain job's is the
 * word of its slot, a headed one's a record on its item's head.
 */
#ifndef LKI_QUEUE_JOB_H
#define LKI_QUEUE_JOB_H

#include "queue/queue.h"
#include "store/lock.h"

/* A plain word: 1 | phase (3 bits) << 1 | receives (15) << 4 | pinned << 19 | time (44) << 20; DONE:
 * stamp << 4. Pinned: it stays as it is until it is HEADED, to which anybody may help it.
 * 0: not published yet. Times are milliseconds of the monotonic clock since the store was opened,
 * plus 1: 0 is always past. */
#define LKI_JOB_WORD_EMPTY ((uint64_t)0)
#define LKI_RECEIVES_MAX ((uint32_t)0x7fff)
#define LKI_JOB_WORD_PINNED ((uint64_t)1 << 19)
/* The token of a plain claim says where the job lies and how often it was received (place << 16 |
 * receives); those of headed ones are versions, which are below. */
#define LKI_PLAIN_TOKEN ((uint64_t)1 << 63)

LKI_INLINE uint64_t
lki_job_word(enum lki_phase phase, uint32_t receives, uint64_t time)
{
    return 1 | (uint64_t)phase << 1 | (uint64_t)receives << 4 | time << LKI_TIME_SHIFT;
}

LKI_INLINE enum lki_phase
lki_job_word_phase(uint64_t word)
{
    return (enum lki_phase)(word >> 1 & 7);
}

LKI_INLINE uint32_t
lki_job_word_receives(uint64_t word)
{
    return (uint32_t)(word >> 4) & LKI_RECEIVES_MAX;
}

LKI_INLINE lki_state
lki_job_word_state(uint64_t word, uint64_t place)
{
    uint32_t receives = lki_job_word_receives(word);
    return (lki_state){word & ~LKI_JOB_WORD_PINNED, LKI_PLAIN_TOKEN | place << 16 | receives,
                       word >> LKI_TIME_SHIFT, receives, lki_job_word_phase(word)};
}

/* Has a plain word a state of its own? */
LKI_INLINE bool
lki_job_word_is_plain(uint64_t word)
{
    enum lki_phase phase = lki_job_word_phase(word);
    return phase == LKI_FRONT || phase == LKI_WAITING || phase == LKI_CLAIMED ||
           phase == LKI_LAPSED;
}

/* May it be claimed? */
LKI_INLINE bool
lki_state_is_visible(const lki_state *state, uint64_t now)
{
    switch (state->phase) {
    case LKI_FRONT:
    case LKI_LAPSED:
        return true;
    case LKI_WAITING:
    case LKI_CLAIMED:
        return state->time < now;
    default:
        return false;
    }
}

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
 * found before, NULL where there was none. Where there is a job, `*queue` is its queue afterwards, and
 * stays so until the job's state changes: the queue may have come, or gone and come anew, between
 * the two looks. */
void lki_job_find(lki_store *store, lki_queue **queue, lk_key key, lki_found_job *job);
/* The slot that an sk names, if this queue generated it; NULL: none. */
lki_slot *lki_job_slot(lki_queue *queue, lk_bytes sk, lki_segment **segment);
void lki_job_read(lki_store *store, lki_segment *segment, lki_slot *slot, lki_found_job *job);

/* Changes the state: LK_OK; LK_RACE: it is not any more what was found; LK_NO_MEMORY. On LK_OK of a
 * headed job to->identity and, for a claim, to->token are set. `now`: of the monotonic clock; what
 * is visible by it gets its ready entry. Caller: in a write section with 8 retirements reserved. */
lk_status lki_job_change(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job, lki_state *to, uint64_t now);
/* Takes a plain job out: as a part of it, which lki_jobs_ended follows in the same section, for all of one
 * segment; or at once. LK_OK, LK_RACE, LK_NO_MEMORY. Caller: as above. */
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

/* Puts an entry into `ready`; what it announces becomes visible afterwards. As lki_order_insert. Also who finds it there
 * says so: whoever put it in may not have come to that yet. */
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

/* ---- the end of a closed queue ---- */

/* Is it closed, and nothing left that could still be pulled, nor on its way? What has expired and was
 * not taken out yet counts as there. */
bool lki_queue_is_over(lki_queue *queue);
void lki_queue_tell_over(lki_queue *queue);
/* A job has left, and was counted (P16): who waits at a closed queue learns that it was the last. */
LKI_INLINE void
lki_queue_left(lki_queue *queue)
{
    if (LKI_UNLIKELY(lki_load_seq_cst(&queue->closed) != 0)) /* P16 */
        lki_queue_tell_over(queue);
}
/* A job in a place has left: counts it, and tells. */
void lki_queue_place_left(lki_queue *queue, lki_thread *thread);
/* One with a key has, or one that was on its way. */
LKI_INLINE void
lki_queue_key_left(lki_queue *queue)
{
    lki_queue_unpin(queue, LKI_QUEUE_KEYED); /* P16 */
    lki_queue_left(queue);
}

/* What the descriptor of a queue says may not be true any more: the call that finds out sets it right
 * before it ends, by the store's `refresh`. */
void lki_queue_note_change_slow(lki_queue *queue, lki_thread *thread);
LKI_INLINE void
lki_queue_note_change(lki_queue *queue, lki_thread *thread)
{
    if (lki_wait_is_polled(&queue->wait))
        lki_queue_note_change_slow(queue, thread);
}
/* The next time at which something may happen to the queue is an earlier one. */
void lki_queue_sooner(lki_queue *queue);

/* The slot's word was made anything but FRONT, and it will not be FRONT: where the cursor stands on it, it
 * goes on, so that no pull walks over many of them. */
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
/* How far a round over the jobs with keys has come that looks for expired ones: an object that is
 * replaced as a whole. */
typedef struct lki_keyed_hand {
    lki_object object;
    uint64_t begun;  /* [const] the mark on the bound when the round began */
    int64_t next_ms; /* [const] the least expiry that the round has met */
    uint32_t size;   /* [const] of the sk that it has come to */
    unsigned char sk[];
} lki_keyed_hand;
/* NULL: no memory. */
lki_keyed_hand *lki_keyed_hand_new(lki_store *store, const lki_cell *at, uint64_t begun,
                                   int64_t next_ms);
size_t lki_keyed_hand_size(const lki_keyed_hand *hand);
void lki_keyed_hand_free(lki_store *store, lki_keyed_hand *hand); /* NULL is allowed */

/* A version that no other state ever had. */
LKI_INLINE uint64_t
lki_identity_new(lki_thread *thread)
{
    return lki_version_above(thread, 0) << 1;
}

/* The token of a headed claim: the version, which stores have in common, and the store's number over its
 * upper bits. A plain one's goes with a key that says whose it is. */
LKI_INLINE uint64_t
lki_token_of(const lki_store *store, uint64_t identity)
{
    return (identity >> 1) ^ lki_queues_of(store)->token_mark;
}

/* The stamp of a DONE word, set if it has none. */
uint64_t lki_done_stamp(lki_store *store, lki_slot *slot, uint64_t word);

#endif
