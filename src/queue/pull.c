/* SPDX-License-Identifier: MIT
 *
 * Pulls: jobs are claimed in the order of their sk.
 *
 * The next job is the smaller of two: the first FRONT job from the head segment on (plain, never
 * received, in the order of places), and the job of the first ready entry (every other visible
 * job). It is claimed by one compare-and-swap from the state that was judged. Room in the caller's
 * result is made before that, so every claimed job can be returned.
 *
 * Why LK_EMPTY is right: the head segment was found empty, then there was no ready entry, then no
 * place had been reserved since. So between the last two steps no job was visible. If there are
 * entries, they are judged one by one; then, besides, no job may have become visible behind that
 * search (ready_was_still).
 *
 * Why the order is right: a claimed job was the smallest of all visible ones at some instant of the
 * call.
 *   By a ready entry: after its job was judged the entry is still the first one, or no job has
 *   become visible behind the search. If the head segment was empty, no place has been reserved
 *   since.
 *   At the head segment: all smaller places had stopped being FRONT before it was found. The ready
 *   entries are searched after that, and no smaller job became visible behind the search.
 * If neither holds, another thread has pushed, claimed or released a job, and the search starts
 * again. All times are judged by one `now` of the pull: a job that comes due later is not visible
 * to it. The jobs of one pull are in order: the pull ends early if the next job belongs before the
 * last one.
 *
 * Progress    lock-free. A place that is reserved but not published is passed over after a short
 *             spin. A pull that waits sleeps outside of sections (base/wait.c).
 * Ordering    P11 to P14, P16 (queue.h); P15 (base/wait.h); P19 (src/README.md).
 */
#include "queue/pull.h"

#include <string.h>

#include "base/pressure.h"
#include "base/result.h"
#include "queue/commit.h"
#include "queue/due.h"
#include "queue/job.h"
#include "store/sweep.h"

enum {
    NEAR = 16,
    RUN = 16,
    PUBLISH_SPINS = LKI_OR_SMALL(200, 2),
    MORE_SPINS = LKI_OR_SMALL(16, 1), /* if jobs were taken already */
    PULLS_PER_EXPIRY = 16,
    HOOKED_SLICE_MS = 5,
    SLICE_MAX_MS = 60 * 1000
};

/* How much one section may remove or move without returning it, in units of one expired plain job
 * (LETTER: a dead letter); and how many sections a pull without wait has. */
enum { PORTION = 256, LETTER = 16, PORTION_BYTES = 4096, PORTION_GARBAGE = 1024, SECTIONS = 64 };

typedef struct pull {
    lki_store *store;
    lki_thread *thread;
    lki_queue *queue;
    const lk_pull_options *options;
    lk_result *result;
    bool waits;
    lki_ticks ticks;
    uint64_t deadline;
    size_t taken, wanted;
    uint32_t visited;
    uint32_t worked;     /* expired jobs removed, dead letters moved, in this section */
    bool again;          /* PORTION was reached: go on in another section */
    bool enough;         /* a reserved place is not published yet: return what was taken */
    lki_segment *front;  /* where the search for FRONT stopped */
    uint64_t front_word; /* its segment word then */
} pull;

/* ---- the head segment ---- */

/* Waits shortly until a reserved place is published. Returns its word; EMPTY: it is not published
 * yet. */
static uint64_t
slot_wait(lki_slot *slot, unsigned spins)
{
    uint64_t word = lki_load_acquire(&slot->word); /* P11 */
    for (unsigned i = 0; word == LKI_JOB_WORD_EMPTY && i < spins; i++) {
        lki_pause();
        word = lki_load_acquire(&slot->word); /* P11 */
    }
    return word;
}

/* The same; then makes the word PASSED. */
static uint64_t
slot_await(lki_slot *slot)
{
    uint64_t word = slot_wait(slot, PUBLISH_SPINS), passed = lki_job_word(LKI_PASSED, 0, 0);
    if (word != LKI_JOB_WORD_EMPTY)
        return word;
    return lki_cas_seq_cst(&slot->word, &word, passed) ? passed : word; /* P11 */
}

/* The first FRONT slot of a segment from its cursor on. NULL: none; *over: there will be none. */
static lki_slot *
segment_front(pull *p, lki_segment *segment, bool *over)
{
    uint32_t began = lki_load_relaxed(&segment->cursor), i = began, reserved = 0;
    lki_slot *found = NULL;
    LK_ASSERT(i <= segment->capacity);
    *over = false;
    for (; found == NULL; i++) {
        if (i == segment->capacity) {
            p->front_word = lki_load_seq_cst(&segment->word); /* P14 */
            *over = (p->front_word & LKI_SEALED) != 0;
            break;
        }
        uint64_t word = lki_load_acquire(&segment->slots[i].word); /* P11 */
        if (LKI_UNLIKELY(word == LKI_JOB_WORD_EMPTY)) {
            if (i >= reserved) {
                p->front_word = lki_load_seq_cst(&segment->word); /* P14 */
                reserved = LKI_RESERVED(p->front_word);
                if (i >= reserved) {
                    *over = (p->front_word & LKI_SEALED) != 0;
                    break;
                }
            }
            word = p->taken == 0 ? slot_await(&segment->slots[i])
                                 : slot_wait(&segment->slots[i], MORE_SPINS);
            if (word == LKI_JOB_WORD_EMPTY) {
                p->enough = true;
                break;
            }
        }
        if (lki_job_word_phase(word) == LKI_FRONT) {
            found = &segment->slots[i];
            break;
        }
    }
    p->visited += i - began + 1;
    if (i > began)
        lki_store_relaxed(&segment->cursor, i); /* no slot below will be FRONT again */
    return found;
}

/* Finds the first FRONT job, and moves the head segment on past segments that have none. False:
 * none. */
static bool
front_find(pull *p, lki_found_job *job)
{
    lki_segment *segment = lki_load_acquire(&p->queue->head_segment); /* P13 */
    while (segment != NULL) {
        bool over;
        p->front = segment;
        lki_slot *slot = segment_front(p, segment, &over);
        if (slot != NULL) {
            lki_job_read(p->store, segment, slot, job);
            if (LKI_LIKELY(job->plain && job->state.phase == LKI_FRONT))
                return true;
            continue; /* another thread was faster */
        }
        if (!over)
            return false;
        lki_segment *next = lki_segment_next(segment);
        if (next == NULL)
            return false; /* the last one of a closed queue, or the next is not linked yet */
        LK_ASSERT(next->number > segment->number);
        lki_cas_seq_cst(&p->queue->head_segment, &segment, next); /* P13 */
        segment = lki_load_acquire(&p->queue->head_segment);      /* P13 */
    }
    return false;
}

/* Has a place been reserved since no FRONT job was found? */
static bool
front_has_moved(const pull *p)
{
    lki_segment *segment = lki_load_acquire(&p->queue->head_segment); /* P13 */
    if (segment == NULL || segment != p->front)
        return segment != p->front;
    return lki_load_seq_cst(&segment->word) != p->front_word || /* P14 */
           ((p->front_word & LKI_SEALED) != 0 && lki_segment_next(segment) != NULL);
}

/* ---- the ready entries ---- */

/* May this section remove or move one more job? `size`: bytes that are retired with it. */
static bool
portion_goes_on(pull *p, uint32_t work, size_t size)
{
    p->again |= p->worked >= PORTION;
    p->worked += work + (uint32_t)(size / PORTION_BYTES);
    return !p->again;
}

/* Removes an expired job. LK_EMPTY: not in this section. */
static lk_status
job_expire(pull *p, const lki_found_job *job)
{
    int64_t next_ms = INT64_MAX;
    LK_ASSERT(job->cell != NULL && job->state.phase != LKI_NO_JOB);
    /* The record was read after the state: it may be a tombstone by now, which has no size. */
    bool value = job->record != NULL && job->record->kind == LKI_VALUE;
    if (!portion_goes_on(p, job->plain ? 1 : 6, value ? job->record->size : 0))
        return LK_EMPTY;
    return lki_job_expire(p->store, p->thread, p->queue, job, lki_now_precise(p->store), &next_ms);
}

/* One search of the ready entries. */
typedef struct ready_look {
    uint32_t announced; /* `announced` of the queue when it began */
    bool first;         /* the entry found was still the first after its job was judged */
    uint64_t left; /* sum of the addresses of entries whose jobs are not visible yet; 0: none */
} ready_look;

/* Finds the first ready entry whose job may be claimed. LK_OK, LK_EMPTY, LK_NO_MEMORY. */
static lk_status
ready_find(pull *p, lki_found_job *job, ready_look *look)
{
    lk_bytes pk = {p->queue->partition->pk, p->queue->partition->pk_size};
    *look = (ready_look){.announced = lki_load_seq_cst(&p->queue->announced)}; /* P19 */
    const lki_entry *entry = lki_order_first(&p->queue->ready), *next;
    for (; entry != NULL; entry = next) {
        next = lki_order_next(entry);
        lk_bytes sk = {lki_entry_key(entry), entry->size};
        p->visited++;
        LK_ASSERT(entry->rank == 0);
        lki_queue *queue = p->queue;
        lki_job_find(p->store, &queue, (lk_key){pk, sk}, job);
        enum lki_verdict verdict = lki_entry_judge(entry, job);
        if (LKI_LIKELY(verdict == LKI_ENTRY_CURRENT && job->state.phase != LKI_NO_JOB)) {
            /* The clock may lag: by the precise one the job may be visible. */
            if (job->state.time != 0)
                (void)lki_ticks_past(p->store, &p->ticks, job->state.time);
            if (!lki_state_is_visible(&job->state, p->ticks.now)) {
                look->left += (uintptr_t)entry;
                continue;
            }
            if (LKI_LIKELY(lki_job_is_live(p->store, job))) {
                look->first = lki_order_first(&p->queue->ready) == entry;
                return LK_OK;
            }
            lk_status status = job_expire(p, job);
            if (status == LK_NO_MEMORY || status == LK_EMPTY)
                return status;
            if (status == LK_RACE) {
                next = entry; /* its state has changed */
                continue;
            }
        } else if (verdict == LKI_ENTRY_PENDING) {
            look->left += (uintptr_t)entry;
            continue; /* the thread that made it has not swapped the state yet */
        }
        if (!portion_goes_on(p, 1, 0))
            return LK_EMPTY;
        if (!lki_reserve(p->thread, 8))
            return LK_NO_MEMORY;
        (void)lki_order_remove(&p->queue->ready, p->thread, entry->rank, sk, entry->to);
    }
    return LK_EMPTY;
}

/* Was there an instant in this search at which no job was visible behind it? A job that is visible
 * at the end of the search has an entry. If the entry was inserted during the search, `announced`
 * has grown. If it was there before, its job was not visible yet when it was judged, and the entry
 * is among those left: two searches in a row that leave the same entries show that none of these
 * jobs became visible. (The section keeps the address of an entry from being used again.) */
static bool
ready_was_still(pull *p, const ready_look *look, const ready_look *before)
{
    if (lki_load_seq_cst(&p->queue->announced) != look->announced) /* P19 */
        return false;
    return look->left == 0 || (before->left == look->left && before->announced == look->announced);
}

/* ---- one job ---- */

/* Finds the next job: the head segment first, the ready entries second; then checks that nothing
 * came before it at some instant. LK_OK, LK_EMPTY, LK_NO_MEMORY. */
static lk_status
next_find(pull *p, lki_found_job *job)
{
    ready_look before = {.left = 0};
    for (;;) {
        lki_found_job ready;
        ready_look look = {.left = 0};
        p->front = NULL;
        bool at_front = front_find(p, job), still = lki_order_first(&p->queue->ready) == NULL;
        lk_status status = still ? LK_EMPTY : ready_find(p, &ready, &look);
        if (status == LK_NO_MEMORY || p->again || p->enough)
            return status;
        still = still || (status == LK_OK && look.first) || ready_was_still(p, &look, &before);
        before = look;
        if (LKI_UNLIKELY(!still) || (!at_front && LKI_UNLIKELY(front_has_moved(p))))
            continue;
        if (status == LK_OK && (!at_front || lk_bytes_compare(ready.key.sk, job->key.sk) < 0)) {
            *job = ready;
            return LK_OK;
        }
        if (!at_front)
            return LK_EMPTY;
        if (LKI_LIKELY(lki_job_is_live(p->store, job)))
            return LK_OK;
        status = job_expire(p, job);
        if (status == LK_NO_MEMORY || status == LK_EMPTY)
            return status;
    }
}

/* Copies a claimed job into the result, which has room. `claim`: all but its key. */
LKI_INLINE void
job_put(pull *p, const lki_cell *cell, const lki_record *record, lk_claim claim)
{
    lk_result *result = p->result;
    lki_result_put(result, cell->bytes, cell->pk_size, cell->sk_size, lki_record_data(record),
                   record->size, lki_record_expires(record));
    LK_ASSERT(result->claim_count + 1 == result->count && result->count <= result->claim_room);
    LK_ASSERT(claim.token != 0 && claim.receives != 0);
    claim.key = result->items[result->count - 1].key;
    LK_ASSERT(result->count < 2 || lk_bytes_compare(result->items[result->count - 2].key.sk,
                                                    claim.key.sk) < 0); /* in order */
    result->claims[result->claim_count++] = claim;
}

/* Claims a job, or moves it to dead_pk. LK_OK: claimed. LK_RACE: look again. LK_EMPTY: not in this
 * section. */
static lk_status
job_claim(pull *p, const lki_found_job *job)
{
    const lki_cell *cell = job->cell;
    LK_ASSERT(p->taken < p->wanted &&
              lki_state_is_visible(&job->state, p->ticks.now)); /* I-queue1 */
    if (LKI_UNLIKELY(p->options->max_receives != 0 &&
                     job->state.receives >= p->options->max_receives)) {
        if (!portion_goes_on(p, LETTER, job->record->size))
            return LK_EMPTY;
        lk_status moved = lki_job_move(p->store, p->thread, job, p->options->dead_pk);
        if (moved == LK_OK)
            lki_queue_count(p->queue, p->thread, LKI_QUEUE_DEADS, 1);
        return moved == LK_OK || moved == LK_LOST ? LK_RACE : moved;
    }
    size_t bytes = (size_t)cell->pk_size + cell->sk_size + job->record->size;
    if (!lki_reserve(p->thread, 8) || !lki_result_widen(p->result, 1, bytes, p->taken != 0))
        return LK_NO_MEMORY;
    lki_state to = {.phase = LKI_CLAIMED, .receives = job->state.receives + 1, .time = p->deadline};
    if (LKI_UNLIKELY(to.receives == 0))
        to.receives = UINT32_MAX; /* it wrapped */
    lk_status status = lki_job_change(p->store, p->thread, p->queue, job, &to, p->ticks.now);
    if (LKI_UNLIKELY(status != LK_OK)) {
        lki_count(p->thread, LKI_CLAIM_COLLISIONS, status == LK_RACE);
        return status;
    }
    if (p->taken++ == 0)
        (void)lki_result_begin(p->result, 0, 0);
    job_put(p, cell, job->record,
            (lk_claim){.token = to.token,
                       .deadline_ms = lki_tick_to_ms(p->store, to.time),
                       .receives = to.receives});
    return status;
}

/* ---- a pull without waiting ---- */

/* No job was found. Is the queue closed, and empty for good? */
static bool
queue_is_over(pull *p)
{
    if (LKI_LIKELY(lki_load_seq_cst(&p->queue->closed) == 0)) /* P16 */
        return false;
    lki_due_make_room(p->store, p->thread, p->queue, 0);
    return lki_queue_is_over(p->queue);
}

/* The jobs in a row that lie at `slot`, up to `count`: all FRONT, and live. How many; *bytes: what
 * they take in a result. */
LKI_INLINE size_t
front_look(pull *p, lki_slot *slot, size_t count, lki_record **record, size_t *bytes)
{
    lki_time now = {0, false, false};
    size_t found = 0;
    while (found < count &&
           lki_load_acquire(&slot[found].word) == lki_job_word(LKI_FRONT, 0, 0)) { /* P11 */
        lki_cell *cell = slot[found].cell;
        lki_record *live = lki_effective(p->store, lki_load_acquire(&cell->item), NULL); /* P1 */
        if (LKI_UNLIKELY(!lki_record_is_live(p->store, live, &now)))
            break;
        *bytes += (size_t)cell->pk_size + cell->sk_size + live->size;
        record[found++] = live;
    }
    return found;
}

/* Fast path, for nearly all: there is no ready entry, and several jobs in a row from the cursor on
 * are claimed. LK_OK: some; LK_EMPTY: none is published yet; LK_NO_MEMORY; LK_RACE: use
 * pull_long. */
static LKI_APART lk_status
front_claim(pull *p)
{
    lki_queue *queue = p->queue;
    lki_segment *segment = lki_load_acquire(&queue->head_segment); /* P13 */
    if (segment == NULL || p->options->max_receives != 0)
        return LK_RACE;
    uint32_t at = lki_load_relaxed(&segment->cursor), left = segment->capacity - at;
    lki_slot *slot = &segment->slots[at];
    size_t count = p->wanted - p->taken, bytes = 0, i = 0;
    uint64_t word = LKI_JOB_WORD_EMPTY;
    for (unsigned passed = 0; passed <= NEAR && left != 0; passed++, slot++, left--) {
        word = lki_load_acquire(&slot->word); /* P11 */
        if (LKI_LIKELY(word == lki_job_word(LKI_FRONT, 0, 0) || word == LKI_JOB_WORD_EMPTY))
            break; /* other threads have claimed those before it */
    }
    if (left == 0 || word != lki_job_word(LKI_FRONT, 0, 0))
        return left != 0 && word == LKI_JOB_WORD_EMPTY ? LK_EMPTY : LK_RACE;
    lki_record *record[RUN];
    count = count < left ? count : left;
    count = front_look(p, slot, count < RUN ? count : RUN, record, &bytes);
    if (count == 0 || lki_order_first(&queue->ready) != NULL) /* after the words: see next_find */
        return LK_RACE;
    if (LKI_UNLIKELY(!lki_result_widen(p->result, count, bytes, p->taken != 0)))
        return LK_NO_MEMORY;
    lk_claim claim = {.token = LKI_PLAIN_TOKEN | lki_slot_place(segment, slot) << 16 | 1,
                      .deadline_ms = lki_tick_to_ms(p->store, p->deadline),
                      .receives = 1};
    LK_ASSERT(count <= p->wanted - p->taken && p->deadline >= p->ticks.now);
    lki_job_cover(segment, p->deadline); /* P12: before and after the swaps */
    for (; i < count; i++, claim.token += (uint64_t)1 << 16) {
        word = lki_job_word(LKI_FRONT, 0, 0);
        if (LKI_UNLIKELY(!lki_cas_seq_cst(
                &slot[i].word, &word, lki_job_word(LKI_CLAIMED, 1, p->deadline)))) { /* P11, P12 */
            LK_ASSERT(lki_job_word_is_settled(word));
            lki_count(p->thread, LKI_CLAIM_COLLISIONS, 1);
            break;
        }
        if (i == 0 && p->taken == 0)
            (void)lki_result_begin(p->result, 0, 0);
        job_put(p, slot[i].cell, record[i], claim);
    }
    lki_job_cover(segment, p->deadline); /* P12 */
    /* No slot below will be FRONT again. */
    lki_store_relaxed(&segment->cursor, (uint32_t)(slot - segment->slots + (ptrdiff_t)i));
    p->visited += (uint32_t)i;
    p->taken += i;
    return i == count ? LK_OK : LK_RACE;
}

/* The word at the cursor is EMPTY: waits shortly. LK_OK: it is published now; LK_EMPTY: return what
 * was taken; LK_RACE: use pull_long. */
static LKI_APART lk_status
front_await(pull *p)
{
    lki_segment *segment = lki_load_acquire(&p->queue->head_segment); /* P13 */
    uint64_t word = lki_load_seq_cst(&segment->word);                 /* P14 */
    uint32_t at = lki_load_relaxed(&segment->cursor);
    lk_status none = p->taken != 0 ? LK_EMPTY : LK_RACE;
    if (at >= LKI_RESERVED(word))
        return (word & LKI_SEALED) != 0 ? LK_RACE : none;
    word = slot_wait(&segment->slots[at], p->taken != 0 ? MORE_SPINS : PUBLISH_SPINS);
    return word == lki_job_word(LKI_FRONT, 0, 0) ? LK_OK : none;
}

/* Does the job belong behind a due job that was not made ready yet? */
static bool
is_ahead(const lki_due_rest *rest, const lki_found_job *job)
{
    const lk_bytes last = {rest->last, sizeof rest->last};
    return LKI_UNLIKELY(rest->more) &&
           ((rest->placed && lk_bytes_compare(job->key.sk, last) > 0) ||
            (rest->record_job.data != NULL && lk_bytes_compare(job->key.sk, rest->record_job) > 0));
}

/* Does the job belong before the last one that this pull has taken, or is it the same? Then it
 * became visible meanwhile: a short claim may lapse before the pull has ended. */
static bool
is_behind_time(const pull *p, const lki_found_job *job)
{
    return p->taken != 0 &&
           lk_bytes_compare(job->key.sk, p->result->items[p->result->count - 1].key.sk) <= 0;
}

/* Slow path: makes due jobs ready, and claims one job after the other, from wherever it lies.
 * `before`: taken in earlier sections. LK_OK, LK_EMPTY, LK_NO_MEMORY, LK_BUSY. */
static LKI_APART lk_status
pull_long(pull *p, size_t before)
{
    lki_due_rest rest = {.more = true};
    lk_status status = LK_RACE;
    do {
        lki_found_job job;
        if (status == LK_EMPTY || LKI_LIKELY(p->taken == before && status == LK_RACE))
            status = lki_due_make_ready(p->store, p->thread, p->queue, &p->ticks, p->wanted, &rest);
        else
            status = LK_OK;
        if (status == LK_OK)
            status = next_find(p, &job);
        if (p->enough || (status == LK_OK && LKI_UNLIKELY(is_behind_time(p, &job))))
            break;
        if (status == LK_OK)
            status = LKI_UNLIKELY(is_ahead(&rest, &job)) ? LK_EMPTY : job_claim(p, &job);
    } while (p->taken < p->wanted && !p->again &&
             (status == LK_OK || status == LK_RACE || (status == LK_EMPTY && rest.more)));
    return p->taken != 0 ? LK_OK : status;
}

/* Claims jobs until max_jobs are taken, those of earlier sections included, or no more are
 * visible. */
LKI_INLINE lk_status
pull_jobs(pull *p)
{
    lk_status status = LK_OK;
    size_t before = p->taken;
    if (LKI_UNLIKELY(lki_next_due_time(&p->queue->expires) < LKI_TIME_MAX) && /* P12 */
        lki_queue_thread_of(p->thread)->expire_tick++ % PULLS_PER_EXPIRY == 0)
        lki_due_expire(p->store, p->thread, p->queue);
    /* Judged once per pull: what comes due during the pull was not due when it began. */
    if (LKI_LIKELY(before == 0 && /* else the next job may belong before the last one */
                   lki_next_due_time(&p->queue->due) > p->ticks.now + LKI_COARSE_LAG_MS && /* P12 */
                   lki_order_first(&p->queue->later) == NULL))
        do {
            status = front_claim(p);
            if (LKI_UNLIKELY(status == LK_EMPTY))
                status = front_await(p);
        } while (status == LK_OK && p->taken < p->wanted);
    if (p->taken == p->wanted || (p->taken != before && status == LK_EMPTY))
        return LK_OK;
    return pull_long(p, before);
}

/* Would a pull return a job, or LK_CLOSED? */
static bool
queue_is_ready(pull *p)
{
    lki_found_job job;
    p->ticks = lki_ticks_read(p->store);
    p->worked = 0;
    p->again = p->enough = false;
    bool found = false;
    lki_due_rest rest = {.more = true};
    while (!found && rest.more) {
        if (lki_due_make_ready(p->store, p->thread, p->queue, &p->ticks, 0, &rest) != LK_OK)
            return true;                                 /* the pull will tell */
        found = next_find(p, &job) == LK_OK || p->again; /* let the pull tell */
    }
    return found || queue_is_over(p);
}

/* Of a closed queue: milliseconds until a job expires, which may be its last; LKI_TIME_MAX:
 * never. */
static uint64_t
expiry_in_ms(pull *p)
{
    uint64_t next = lki_next_due_time(&p->queue->expires);        /* P12 */
    uint64_t keyed = lki_next_due_time(&p->queue->keyed_expires); /* P12 */
    next = keyed < next ? keyed : next;
    if (lki_load_seq_cst(&p->queue->closed) == 0 || next >= LKI_TIME_MAX) /* P16 */
        return LKI_TIME_MAX;
    uint64_t now = lki_expiry_time(lki_now(p->store));
    return next < now ? 0 : next - now + LKI_COARSE_LAG_MS;
}

/* Milliseconds until time alone may make a job visible or end the queue; -1: never. */
static int64_t
due_in_ms(pull *p)
{
    uint64_t next = lki_due_next(p->queue), now = lki_tick_precise(p->store);
    uint64_t in_ms = next >= LKI_TIME_MAX ? LKI_TIME_MAX : next < now ? 0 : next - now;
    uint64_t expiry_ms = expiry_in_ms(p);
    in_ms = in_ms < expiry_ms ? in_ms : expiry_ms;
    return in_ms >= LKI_TIME_MAX ? -1 : (int64_t)in_ms + 1;
}

/* Sets the descriptor: readable iff a pull would not be LK_EMPTY. */
static void
descriptor_refresh(pull *p)
{
    int64_t due_ms, after_ms;
    if (queue_is_ready(p)) {
        lki_wait_raise(&p->queue->wait);
        return;
    }
    do {
        due_ms = due_in_ms(p);
        lki_wait_lower(&p->queue->wait, due_ms);
        if (queue_is_ready(p)) { /* P15: after it was lowered */
            lki_wait_raise(&p->queue->wait);
            return;
        }
        /* Another thread may have set the timer in between, from an older look. */
        after_ms = due_in_ms(p);
    } while (after_ms >= 0 && (due_ms < 0 || after_ms < due_ms));
}

void
lki_queue_refresh(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    static const lk_pull_options defaults = LK_PULL_OPTIONS_INIT;
    pull p = {.store = store, .thread = thread, .queue = queue, .options = &defaults};
    descriptor_refresh(&p);
}

void
lki_queues_refresh(lki_store *store, lki_thread *thread)
{
    /* The queue stays remembered meanwhile, so that removing an expired job in here does not add it
     * again: else one call would remove all expired jobs. */
    lki_queue_thread *of = lki_queue_thread_of(thread);
    for (uint32_t i = 0; i < of->store.pending; i++) {
        lki_write_enter(thread);
        lki_queue_refresh(store, thread, lki_queue_thread_changed(of, i));
        lki_write_leave(thread);
    }
    of->store.pending = 0;
}

static lk_status
pull_once(pull *p)
{
    int64_t visibility = p->options->visibility_ms != 0 ? p->options->visibility_ms : LK_MINUTES(5);
    size_t before = p->taken; /* taken in other sections */
    p->ticks = lki_ticks_read(p->store);
    if (LKI_LIKELY(before == 0))
        p->deadline = lki_ticks_after(p->store, &p->ticks, visibility);
    p->visited = p->worked = 0;
    p->again = p->enough = false;
    lk_status status = pull_jobs(p);
    if (status == LK_EMPTY && !p->again && queue_is_over(p))
        status = LK_CLOSED;
    LK_ASSERT(p->taken >= before && p->taken <= p->wanted);
    LK_ASSERT(p->taken == 0 || p->result->claim_count == p->taken);
    lki_count(p->thread, LKI_SLOTS_VISITED, p->visited);
    if (LKI_LIKELY(p->taken != 0)) {
        lki_queue_count(p->queue, p->thread, LKI_QUEUE_PULLS, p->taken - before);
        lki_queue_used(p->queue);
    }
    lki_queue_remember_change(p->queue, p->thread);
    return status;
}

/* Counts an empty pull once, however often it looked. The queue exists: it is pinned, or in a
 * section. */
static void
empty_count(pull *p, lk_status status)
{
    if (status == LK_EMPTY || status == LK_CLOSED || status == LK_TIMED_OUT)
        lki_queue_count(p->queue, p->thread, LKI_QUEUE_EMPTY, 1);
}

/* Pulls in one or several sections, one for each portion, so that retired memory can be freed in
 * between. A pull without wait has at most SECTIONS: then it is LK_EMPTY if only expired jobs and
 * dead letters were found. A pull that waits goes on until it has a job or nothing is left.
 * `pinned`: the queue is. */
static lk_status
pull_sections(pull *p, bool pinned)
{
    for (unsigned sections = 1;; sections++) {
        if (!lki_memory_is_bounded(p->thread))
            return p->taken != 0 ? LK_OK : LK_BUSY;
        lk_status status = p->taken != 0 ? LK_OK : LK_EMPTY;
        p->again = false;
        lki_write_enter(p->thread);
        if (!pinned)
            p->queue = lki_queue_find_known(p->store, p->thread, p->options->pk);
        if (LKI_LIKELY(p->queue != NULL))
            status = pull_once(p);
        bool last = !p->again || (status != LK_OK && status != LK_EMPTY) || p->taken == p->wanted ||
                    (sections >= SECTIONS && (p->taken != 0 || !pinned));
        if (LKI_UNLIKELY(status != LK_OK) && last && !pinned && p->queue != NULL &&
            !(status == LK_EMPTY && p->waits))
            empty_count(p, status);
        lki_write_leave(p->thread);
        if (LKI_LIKELY(last))
            return status;
        lki_reclaim_portion(p->thread, PORTION_GARBAGE);
    }
}

/* ---- waiting ---- */

/* Waits for jobs. The queue is pinned; the thread is outside of sections. */
static lk_status
pull_wait(pull *p)
{
    lki_wait *wait = &p->queue->wait;
    int64_t wait_ms = p->options->wait_ms;
    lki_ticks ticks = {lki_tick_precise(p->store), true};
    uint64_t end = wait_ms < 0 ? LKI_TIME_MAX : lki_ticks_after(p->store, &ticks, wait_ms);
    lk_status status;
    LK_ASSERT(!lki_is_entered(p->thread)); /* nothing is freed while it sleeps in one */
    LK_ASSERT((lki_load_relaxed(&p->queue->pins) & ~LKI_QUEUE_DEAD) >= LKI_QUEUE_PIN);
    lki_wait_begin(wait); /* P15: before the search */
    for (;;) {
        uint32_t signal = lki_wait_signal(wait); /* P15 */
        status = pull_sections(p, true);
        if (status != LK_EMPTY)
            break;
        lki_write_enter(p->thread);
        int64_t sleep_ms = due_in_ms(p);
        lki_write_leave(p->thread);
        uint64_t now = lki_tick_precise(p->store);
        if (now >= end) {
            status = LK_TIMED_OUT;
            break;
        }
        if (sleep_ms < 0 || sleep_ms > (int64_t)(end - now))
            sleep_ms = (int64_t)(end - now);
        /* A clock of the caller's may jump at any time: it is read now and then. */
        bool hooked = p->store->monotonic_precise_ms == NULL ||
                      (p->store->precise_ms == NULL && lki_load_seq_cst(&p->queue->closed) != 0);
        int64_t slice_ms = hooked ? HOOKED_SLICE_MS : SLICE_MAX_MS; /* P16: see expiry_in_ms */
        lki_wait_sleep(wait, signal, sleep_ms < slice_ms ? sleep_ms : slice_ms);
    }
    if (status < LK_OK) /* it may have been woken for a job: wake another thread for it */
        lki_wait_notify(wait, 1);
    lki_wait_end(wait);
    return status;
}

static lk_status
pull_with(lki_store *store, lki_thread *thread, const lk_pull_options *options, lk_result *result)
{
    pull p;
    p.store = store;
    p.thread = thread;
    p.options = options;
    p.result = result;
    p.taken = 0;
    p.wanted = options->max_jobs != 0 ? options->max_jobs : 1;
    p.waits = options->wait_ms != 0 && thread->epoch.active == 0;
    lk_status status = pull_sections(&p, false);
    bool pinned = false;
    if (LKI_UNLIKELY(status == LK_EMPTY && p.waits)) {
        lki_write_enter(thread);
        status =
            lki_queue_find_or_create_pinned(store, thread, options->pk, LKI_QUEUE_PIN, &p.queue);
        pinned = status == LK_OK;
        lki_write_leave(thread);
    }
    lki_sweep_step(store, thread, p.taken);
    if (!pinned)
        return status;
    status = pull_wait(&p);
    empty_count(&p, status);
    lki_queue_unpin(p.queue, LKI_QUEUE_PIN);
    lki_sweep_step(store, thread, p.taken);
    return status;
}

/* Do the bytes lie in the memory that the pull overwrites? */
static bool
is_inside(const lk_result *result, lk_bytes bytes)
{
    uintptr_t at = (uintptr_t)bytes.data, from = (uintptr_t)result->bytes;
    return bytes.size != 0 && at >= from && at < from + result->byte_room;
}

lk_status
lki_queue_pull(lki_store *store, lki_thread *thread, const lk_pull_options *options,
               lk_result *result)
{
    if (LKI_LIKELY(!is_inside(result, options->pk) && !is_inside(result, options->dead_pk)))
        return pull_with(store, thread, options, result);
    lk_pull_options copied = *options;
    size_t size = options->pk.size + options->dead_pk.size;
    unsigned char *names = lki_alloc(&thread->allocator, size);
    if (names == NULL)
        return LK_NO_MEMORY;
    memcpy(names, options->pk.data, options->pk.size);
    if (options->dead_pk.size != 0)
        memcpy(names + options->pk.size, options->dead_pk.data, options->dead_pk.size);
    copied.pk.data = names;
    copied.dead_pk.data = names + options->pk.size;
    lk_status status = pull_with(store, thread, &copied, result);
    lki_free(&thread->allocator, names, size);
    return status;
}
