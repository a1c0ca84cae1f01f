/* SPDX-License-Identifier: MIT
 *
 * What the holder of a claim does: acknowledge, release, extend.
 *
 * Each call looks the job up by its key, judges the claim, and changes the state by a
 * compare-and-swap from exactly the state that it judged. If that fails, it starts again.
 *
 * Progress    lock-free.
 * Ordering    P11 (queue.h).
 */
#include "queue/claim.h"

#include "base/pressure.h"
#include "queue/commit.h"
#include "queue/job.h"
#include "store/sweep.h"

enum { GROUP = 16 };

static void
outcome_count(lki_thread *thread, lki_queue *queue, lk_status status)
{
    if (queue != NULL && LKI_UNLIKELY(status == LK_LATE || status == LK_LOST))
        lki_queue_count(queue, thread, status == LK_LATE ? LKI_QUEUE_LATE : LKI_QUEUE_LOST, 1);
}

/* ---- acknowledge ---- */

/* The acknowledgements of one call. Jobs that lie in one segment are counted as removed
 * together. */
typedef struct acknowledgement {
    lki_store *store;
    lki_thread *thread;
    lki_ticks ticks;
    lki_segment *segment;
    uint32_t ended;
} acknowledgement;

LKI_INLINE void
ended_flush(acknowledgement *a)
{
    LK_ASSERT(a->ended == 0 || (a->segment != NULL && a->ended <= GROUP));
    if (a->ended != 0)
        lki_jobs_ended(a->thread, a->segment, a->ended);
    a->ended = 0;
}

/* Fast path, for nearly all: the claim is the last one of a plain job, and in time. False: use
 * acknowledge_long. */
LKI_INLINE bool
acknowledge_plain(acknowledgement *a, lki_queue *queue, const lk_claim *claim)
{
    enum { CLAIM_BITS = (1 << LKI_TIME_SHIFT) - 1 }; /* all of a word but its time */
    lki_store *store = a->store;
    uint64_t token = claim->token;
    if ((token & ~(LKI_ULID_MASK << 16 | LKI_RECEIVES_MAX)) != LKI_PLAIN_TOKEN ||
        claim->key.sk.size != LK_ULID_SIZE)
        return false;
    lki_found_job job;
    job.slot = lki_queue_slot(queue, token >> 16 & LKI_ULID_MASK, &job.segment);
    uint64_t word = job.slot != NULL ? lki_load_acquire(&job.slot->word) : 0; /* P11 */
    if ((word & CLAIM_BITS) != lki_job_word(LKI_CLAIMED, (uint32_t)token & LKI_RECEIVES_MAX, 0) ||
        lki_ticks_past(store, &a->ticks, word >> LKI_TIME_SHIFT))
        return false;
    job.cell = job.slot->cell;
    if (!lki_bytes_equal(lki_cell_sk(job.cell), claim->key.sk.data, LK_ULID_SIZE))
        return false;
    lki_time now = {0, false, false};
    const lki_record *record =
        lki_effective(store, lki_load_acquire(&job.cell->item), NULL); /* P1 */
    if (LKI_UNLIKELY(!lki_record_is_live(store, record, &now)) || !lki_reserve(a->thread, 8))
        return false;
    job.state.identity = word;
    job.state.phase = LKI_CLAIMED;
    job.pinned = false;
    LK_ASSERT(job.segment->queue == queue && (word & LKI_JOB_WORD_PINNED) == 0);
    if (LKI_UNLIKELY(a->ended != 0 && a->segment != job.segment))
        ended_flush(a);
    a->segment = job.segment;
    if (LKI_UNLIKELY(lki_job_end(store, a->thread, queue, &job) != LK_OK))
        return false;
    a->ended++;
    return true;
}

static LKI_APART lk_status
acknowledge_long(acknowledgement *a, lki_queue *queue, const lk_claim *claim)
{
    lki_store *store = a->store;
    lki_thread *thread = a->thread;
    lk_status judged, status;
    ended_flush(a);
    do {
        lki_found_job job;
        lki_job_find(store, &queue, claim->key, &job);
        judged = lki_claim_judge(store, &job, claim->token, &a->ticks);
        if (judged == LK_LOST)
            break;
        if (!lki_reserve(thread, 8))
            return LK_NO_MEMORY;
        status = lki_job_remove(store, thread, queue, &job);
        if (status == LK_NO_MEMORY || status == LK_BUSY)
            return status;
    } while (status != LK_OK);
    outcome_count(thread, queue, judged);
    return judged;
}

lk_status
lki_queue_acknowledge(lki_store *store, lki_thread *thread, const lk_claim *claims, size_t count)
{
    lk_status first = LK_OK, status = LK_OK;
    for (size_t i = 0; i < count && status >= LK_OK;) {
        size_t began = i, end = count - i < GROUP ? count : i + GROUP;
        acknowledgement a = {.store = store, .thread = thread, .ticks = lki_ticks_read(store)};
        if (!lki_memory_is_bounded(thread))
            return LK_BUSY;
        lki_write_enter(thread);
        do {
            const lk_claim *claim = &claims[i++];
            lki_queue *queue = lki_queue_find_known(store, thread, claim->key.pk);
            if (LKI_UNLIKELY(queue == NULL || !acknowledge_plain(&a, queue, claim))) {
                status = acknowledge_long(&a, queue, claim);
                first = first == LK_OK ? status : first;
            }
        } while (LKI_UNLIKELY(i < end) && status >= LK_OK && !lki_section_is_full(thread));
        ended_flush(&a);
        lki_write_leave(thread);
        lki_sweep_step(store, thread, i - began);
    }
    return status < LK_OK ? status : first;
}

/* ---- release, extend ---- */

/* Would the change break an invariant of plain words? A word must not have the same value twice
 * (I-job1), and a time must not move to an earlier one: the next due times may have been raised
 * above it. */
static bool
is_unsteady(const lki_state *state, const lki_state *to)
{
    if (state->phase == LKI_FRONT)
        return false;
    if (state->phase == LKI_WAITING)
        return true; /* released by its key while it waits */
    return to->time != 0 &&
           (to->time < state->time || (state->phase == LKI_LAPSED && to->time == state->time));
}

/* Changes the state of the claimed job to `change`; *to is the state that was made. */
static lk_status
claim_change(lki_store *store, lki_thread *thread, const lk_claim *claim, lki_ticks *ticks,
             const lki_state *change, lki_state *to)
{
    lki_queue *queue = lki_queue_find_known(store, thread, claim->key.pk);
    lk_status judged, status;
    LK_ASSERT(lki_is_writing(thread));
    do {
        lki_found_job job;
        lki_job_find(store, &queue, claim->key, &job);
        judged = lki_claim_judge(store, &job, claim->token, ticks);
        if (judged == LK_LOST)
            break;
        if (!lki_reserve(thread, 8))
            return LK_NO_MEMORY;
        *to = *change;
        to->receives = job.state.receives;
        to->token = job.state.token;
        LK_ASSERT(queue != NULL && job.cell != NULL);
        if (job.plain && to->phase == LKI_CLAIMED && to->time == job.state.time &&
            job.state.phase == LKI_CLAIMED)
            return judged; /* it is in that state already */
        if (job.plain && is_unsteady(&job.state, to))
            status =
                lki_job_to_record(store, thread, queue, &job) == LK_OK ? LK_RACE : LK_NO_MEMORY;
        else
            status = lki_job_change(store, thread, queue, &job, to, ticks->now);
        if (status == LK_NO_MEMORY)
            return status;
    } while (status != LK_OK);
    if (judged != LK_LOST && to->phase == LKI_WAITING && to->time == 0)
        lki_wait_notify(&queue->wait, 1);
    if (judged != LK_LATE || to->phase == LKI_WAITING) /* an extension is never late */
        outcome_count(thread, queue, judged);
    return judged;
}

lk_status
lki_queue_release(lki_store *store, lki_thread *thread, const lk_claim *claim, int64_t delay_ms)
{
    lki_ticks ticks = lki_ticks_read(store);
    lki_state to, change = {.phase = LKI_WAITING};
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    if (delay_ms > 0)
        change.time = lki_ticks_after(store, &ticks, delay_ms) - 1;
    LK_ASSERT(change.time == 0 || change.time >= ticks.now);
    lki_write_enter(thread);
    lk_status status = claim_change(store, thread, claim, &ticks, &change, &to);
    lki_write_leave(thread);
    lki_sweep_step(store, thread, 1);
    return status;
}

lk_status
lki_queue_extend(lki_store *store, lki_thread *thread, lk_claim *claim, int64_t visibility_ms)
{
    lki_ticks ticks = lki_ticks_read(store);
    lki_state to, change = {.phase = LKI_CLAIMED};
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    change.time =
        lki_ticks_after(store, &ticks, visibility_ms != 0 ? visibility_ms : LK_MINUTES(5));
    LK_ASSERT(change.time >= ticks.now);
    lki_write_enter(thread);
    lk_status status = claim_change(store, thread, claim, &ticks, &change, &to);
    lki_write_leave(thread);
    lki_sweep_step(store, thread, 1);
    if (status == LK_LATE)
        status = LK_OK;
    if (status == LK_OK)
        claim->deadline_ms = lki_tick_to_ms(store, to.time);
    return status;
}
