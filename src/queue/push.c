/* SPDX-License-Identifier: MIT
 *
 * Jobs come.
 *
 *   1. their places, by one compare-and-swap, which fixes their ULIDs 2. their cells, in the memory
 *   that each place of a segment has for one; cells that need more, or
 *      more than those before them, are made first, apart
 *   3. the stamp of all, then each one's sk, and the cell into its slot
 *   4. the words, one behind the other
 *   5. who waits is woken
 *
 * A consumer that finds a place reserved and not published passes it over, after a short wait; so
 * does at once whoever else would say that no job is there. Then the job is published with a ready
 * entry, and stamped after that.
 *
 * Ordering    P2: a place is reserved, then the clock is read, then the word is published (all
 *             seq_cst). A snapshot moves the clock, then looks. If it does not see the reservation,
 *             the stamp is greater than it; if it sees the reservation and no word, it passes the
 *             place over, and the job gets another stamp. So whoever has not seen the job comes
 *             before its stamp (tests/model/push.pml). What breaks otherwise: a snapshot that has
 *             the job and lacks what somebody wrote who then found no job.
 * Progress    lock-free but for the growth of the queue.
 */
#include "queue/push.h"

#include <string.h>

#include "base/pressure.h"
#include "base/result.h"
#include "base/scratch.h"
#include "queue/commit.h"
#include "queue/due.h"
#include "queue/job.h"
#include "queue/job_cell.h"
#include "store/sweep.h"

enum { FEW = 16 };

/* The cells of a push, in scratch where they are many. */
typedef struct push {
    lki_store *store;
    lki_thread *thread;
    lki_queue *queue;
    const lk_item *jobs;
    size_t count;
    size_t cell_size; /* of the largest */
    bool small;       /* they may lie in the segments, if the caller does not want them back */
    lki_cell **cells;
    lki_scratch scratch; /* held where they are more than a few */
    lki_cell *few[FEW];
} push;

static void
cells_discard(push *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lki_cell_destroy(p->store, p->cells[i]);
}

/* A cell apart, with its record. NULL: no memory. */
static lki_cell *
cell_new(push *p, const lk_item *job)
{
    lki_cell *cell = lki_cell_new_in_queue(p->thread, job);
    lki_record *record = cell != NULL ? lki_record_new_value(p->thread, cell, job) : NULL;
    if (record != NULL) {
        lki_store_relaxed(&cell->item, (uintptr_t)record); /* P11: published with the slot's word */
        return cell;
    }
    if (cell != NULL)
        lki_cell_destroy(p->store, cell);
    return NULL;
}

/* Cells apart, before anything can be seen, and the room in `pushed`. */
static bool
cells_make(push *p, lk_result *pushed)
{
    size_t bytes = 0;
    for (size_t i = 0; i < p->count; i++) {
        p->cells[i] = cell_new(p, &p->jobs[i]);
        if (p->cells[i] == NULL) {
            cells_discard(p, i);
            return false;
        }
        bytes += p->jobs[i].key.pk.size + LK_ULID_SIZE + p->jobs[i].data.size;
    }
    if (pushed == NULL || lki_result_widen(pushed, p->count, bytes, false))
        return true;
    cells_discard(p, p->count);
    return false;
}

/* What the cells need. False: a job has an sk of its own. */
static bool
cells_measure(push *p)
{
    size_t largest = 0, long_data = 0;
    for (const lk_item *job = p->jobs, *end = job + p->count; job != end; job++) {
        if (job->key.sk.size != 0)
            return false;
        size_t size = lki_cell_size_in_queue(job);
        largest = size > largest ? size : largest;
        /* Empty data, which have no record inside, are very long here. */
        long_data = job->data.size - 1 > long_data ? job->data.size - 1 : long_data;
    }
    p->small = largest <= LKI_SLAB_CELL_MAX && long_data < LKI_INLINE_MAX - 8;
    p->cell_size = largest <= LKI_SLAB_CELL_MAX ? largest : LKI_SLAB_CELL_MAX;
    return true;
}

/* May the cells lie in the segments? Nearly always; not where the jobs are large, or larger than
 * those before them, or may point into what the caller wants filled. */
static bool
cells_fit(const push *p, const lk_result *pushed)
{
    const lki_segment *tail = lki_load_acquire(&p->queue->tail); /* P13 */
    return p->small && pushed == NULL && (tail == NULL || p->cell_size <= tail->cell_size);
}

/* The cells in the places that were reserved. False: a segment has come in between whose cells are
 * smaller, and memory ran out: the cells that are missing are NULL. */
static bool
cells_place(push *p, lki_places places)
{
    bool made = true;
    for (size_t i = 0; i < p->count; i++) {
        if (LKI_LIKELY(p->cell_size <= places.segment->cell_size)) {
            p->cells[i] = lki_slab_cell(places.segment, places.slot);
            lki_cell_make_in_slab(p->cells[i], &p->jobs[i]);
        } else {
            p->cells[i] = made ? cell_new(p, &p->jobs[i]) : NULL;
            made = p->cells[i] != NULL;
        }
        lki_places_next(&places);
    }
    return made;
}

/* The places are nobody's. */
static void
cells_give_up(push *p, lki_places places)
{
    for (size_t i = 0; i < p->count; i++) {
        lki_slot *slot = &places.segment->slots[places.slot];
        if (p->cells[i] != NULL)
            lki_cell_destroy(
                p->store, p->cells[i]); /* Gone before any snapshot: nobody looks for its cell. */
        lki_store_seq_cst(&slot->word, lki_job_word(LKI_DONE, 0, 0) | (uint64_t)1 << 4); /* P11 */
        lki_queue_place_left(p->queue, p->thread);
        lki_segment *segment = places.segment;
        lki_places_next(&places);
        if (lki_reserve(p->thread, 2)) /* else the segment stays with its queue */
            lki_slots_finish(segment, p->thread, 1);
    }
}

/* A consumer has passed the place over. The job is visible when the push returns all the same: by a
 * ready entry, or, where there is no memory for one, by its time, which has just passed. Nobody
 * else changes a word that is PASSED. */
static LKI_COLD void
slot_publish_late(push *p, lki_segment *segment, lki_slot *slot, uint64_t time)
{
    lki_state to = {.phase = LKI_WAITING, .time = time};
    lki_record *record = (lki_record *)lki_load_relaxed(&slot->cell->item); /* ours as yet */
    lk_bytes sk = {lki_cell_sk(slot->cell), LK_ULID_SIZE};
    to.identity = lki_job_word(LKI_WAITING, 0, time);
    if (time == 0 && (!lki_reserve(p->thread, 8) ||
                      lki_job_announce(p->queue, p->thread, sk, lki_job_word(LKI_PASSED, 0, 0), &to,
                                       lki_tick(p->store)) != LK_OK)) {
        uint64_t now = lki_tick(p->store);
        time = now > 1 ? now - 1 : 1; /* 0 would be no time */
    }
    if (time != 0)
        lki_job_cover(segment, time);                                   /* P12: before, and after */
    lki_store_relaxed(&record->word, 0);                                /* nobody looks at it yet */
    lki_store_seq_cst(&slot->word, lki_job_word(LKI_WAITING, 0, time)); /* P11, P15 */
    lki_record_stamp(p->store, record);                                 /* P2: after the word */
    if (time != 0)
        lki_job_cover(segment, time); /* P12 */
}

/* The word goes in. */
static void
slot_publish(push *p, lki_segment *segment, lki_slot *slot, uint64_t time)
{
    uint64_t empty = LKI_JOB_WORD_EMPTY;
    uint64_t word =
        LKI_LIKELY(time == 0) ? lki_job_word(LKI_FRONT, 0, 0) : lki_job_word(LKI_WAITING, 0, time);
    if (LKI_UNLIKELY(time != 0))
        lki_job_cover(segment, time);                                /* P12: before, and after */
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&slot->word, &empty, word))) { /* P11, P2, P15 */
        slot_publish_late(p, segment, slot, time);
        return;
    }
    if (LKI_UNLIKELY(time != 0)) {
        lki_job_cover(segment, time); /* P12 */
        lki_slot_pass(segment, slot);
    }
}

/* What the places tell: the sk, the stamp; each cell into its slot. */
static void
cells_finish(push *p, lki_places places, lk_result *pushed)
{
    lki_thread *thread = p->thread;
    uint64_t stamp = lki_load_seq_cst(&p->store->clock); /* P2: after the places */
    if (LKI_UNLIKELY(thread->ulid_ms != places.ms || places.ms == 0)) {
        lki_ulid_write_ms(thread->ulid_text, places.ms);
        thread->ulid_ms = places.ms;
    }
    for (size_t i = 0; i < p->count; i++) {
        lki_cell *cell = p->cells[i];
        lki_record *record = (lki_record *)lki_load_relaxed(&cell->item); /* ours as yet */
        unsigned char *sk = cell->bytes + cell->pk_size;
        memcpy(sk, thread->ulid_text, sizeof thread->ulid_text);
        lki_sk_write_place(sk, places.segment, places.slot);
        lki_store_relaxed(&record->word, stamp); /* P11: published with the slot's word */
        int64_t expires = lki_record_expires(record);
        if (LKI_UNLIKELY(expires != 0))
            lki_job_cover_expiry(places.segment, expires);
        if (LKI_UNLIKELY(pushed != NULL))
            lki_result_put(pushed, cell->bytes, cell->pk_size, cell->sk_size,
                           lki_record_data(record), record->size, expires);
        places.segment->slots[places.slot].cell = cell;
        lki_places_next(&places);
    }
}

/* The cells of the batch that comes after this one, if it is like it: their lines were a
 * consumer's, and its stores would wait for them one by one. */
static void
cells_prefetch(const push *p, lki_places places)
{
    const lki_segment *segment = places.segment;
    size_t count = p->count < FEW ? p->count : FEW, from = places.slot + p->count;
    if (from + count > segment->capacity)
        return;
    const unsigned char *line = segment->cells + from * segment->cell_size;
    for (const unsigned char *end = line + count * segment->cell_size; line < end; line += LKI_LINE)
        LKI_PREFETCH_TO_WRITE(line);
}

/* All words in a row, so that a consumer who has caught up finds most of a batch at once. */
static void
cells_publish(push *p, lki_places places, uint64_t time)
{
    for (size_t i = 0; i < p->count; i++) {
        slot_publish(p, places.segment, &places.segment->slots[places.slot], time);
        lki_places_next(&places);
    }
}

/* Places; what has expired does not count against `max_depth`. */
static lk_status
places_reserve(push *p, lk_bytes pk, size_t max_depth, lki_places *places)
{
    int64_t ms = lki_now(p->store);
    for (;;) {
        if (LKI_UNLIKELY(lki_load_acquire(&p->queue->closed) != 0)) /* P16 */
            return LK_CLOSED;
        lk_status status;
        status =
            lki_places_reserve(p->queue, p->thread, p->count, ms, max_depth, p->cell_size, places);
        if (LKI_UNLIKELY(status == LK_BUSY)) {
            lki_due_make_room(p->store, p->thread, p->queue, p->count);
            status = lki_places_reserve(p->queue, p->thread, p->count, ms, max_depth, p->cell_size,
                                        places);
        }
        if (LKI_LIKELY(status != LK_NOT_FOUND))
            return status;
        /* It is being taken out, under the latch of the shard. */
        lki_shard_wait(p->store, p->thread, lki_hash_bytes(&p->store->secret, pk));
        status = lki_queue_find_or_create(p->store, p->thread, pk, &p->queue);
        if (status != LK_OK)
            return status;
    }
}

/* Jobs with an sk are not counted by the segments: one may have come between the judgement and the
 * reservation. Such a push pins the queue, then looks at the last segment and its word: it sees
 * these places, or they see it. */
static bool
places_are_too_many(const push *p, size_t max_depth)
{
    if (LKI_LIKELY(max_depth == 0))
        return false;
    return (uint32_t)lki_load_seq_cst(&p->queue->pins) != 0 && /* P21: the low half */
           lki_queue_is_deeper(p->queue, max_depth, 0);
}

static lk_status
push_entered(push *p, const lk_push_options *options, lk_result *pushed)
{
    uint64_t time = 0;
    lk_bytes pk = p->jobs[0].key.pk;
    lki_places places;
    lk_status status = LK_OK;
    if (!lki_reserve(p->thread, 8))
        return LK_NO_MEMORY;
    p->queue = lki_queue_find_known(p->store, p->thread, pk);
    if (LKI_UNLIKELY(p->queue == NULL))
        status = lki_queue_find_or_create(p->store, p->thread, pk, &p->queue);
    if (status != LK_OK)
        return status;
    bool inside = cells_fit(p, pushed);
    if (LKI_UNLIKELY(!inside)) {
        if (!cells_make(p, pushed))
            return LK_NO_MEMORY;
        /* From here on the jobs may be gone: they may have pointed into `pushed`. */
        pk = (lk_bytes){p->cells[0]->bytes, p->cells[0]->pk_size};
    }
    if (LKI_UNLIKELY(options->delay_ms > 0)) {
        lki_ticks ticks = lki_ticks_read(p->store);
        time = lki_ticks_after(p->store, &ticks, options->delay_ms) - 1;
    }
    status = places_reserve(p, pk, options->max_depth, &places);
    if (LKI_UNLIKELY(status != LK_OK)) {
        if (!inside)
            cells_discard(p, p->count);
        return status;
    }
    if (LKI_UNLIKELY(places_are_too_many(p, options->max_depth))) {
        for (size_t i = 0; inside && i < p->count; i++)
            p->cells[i] = NULL;
        cells_give_up(p, places);
        return LK_BUSY;
    }
    if (LKI_LIKELY(inside) && LKI_UNLIKELY(!cells_place(p, places))) {
        cells_give_up(p, places);
        return LK_NO_MEMORY;
    }
    if (LKI_UNLIKELY(pushed != NULL))
        (void)lki_result_begin(pushed, 0, 0); /* there is room */
    cells_finish(p, places, pushed);
    cells_publish(p, places, time);
    if (p->count > 1)
        cells_prefetch(p, places);
    lki_queue_count(p->queue, p->thread, LKI_QUEUE_PUSHES, p->count);
    lki_queue_used(p->queue);
    if (LKI_LIKELY(time == 0))
        lki_wait_notify(&p->queue->wait, p->count);
    return LK_OK;
}

lk_status
lki_queue_push(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
               const lk_push_options *options, lk_result *pushed)
{
    push p;
    p.jobs = jobs;
    p.count = count;
    if (LKI_UNLIKELY(!cells_measure(&p)))
        return lki_push_commit(store, thread, jobs, count, options, pushed);
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    p.store = store;
    p.thread = thread;
    p.cells = p.few;
    if (LKI_UNLIKELY(count > FEW)) {
        if (!lki_scratch_take(thread, &p.scratch, count * sizeof *p.cells))
            return LK_NO_MEMORY;
        p.cells = p.scratch.memory;
    }
    lki_write_enter(thread);
    lk_status status = push_entered(&p, options, pushed);
    lki_write_leave(thread);
    if (LKI_UNLIKELY(count > FEW))
        lki_scratch_give(thread, &p.scratch);
    lki_sweep_step(store, thread, count);
    return status;
}
