/* SPDX-License-Identifier: MIT
 *
 * Pushes of jobs without an sk of their own. (Jobs with an sk: commit.c.)
 *
 *   1. One compare-and-swap reserves the places and thereby fixes the ULIDs.
 *   2. The cells are made in the memory that a segment has for each place. If the cells are too
 *      large for that, or the caller wants the jobs back, they are made before step 1, apart.
 *   3. The stamp is read, the same for all; each cell gets its sk and goes into its slot.
 *   4. The slot words are stored, one after the other.
 *   5. Waiting threads are woken.
 *
 * A pull that finds a place reserved but not published makes its word PASSED, after a short wait.
 * Any other call that would report that no job is there does so at once. The push then publishes
 * that job with a ready entry and a later stamp.
 *
 * Ordering    P2: a place is reserved, then the clock is read, then the word is published (all
 *             seq_cst); a snapshot moves the clock, then looks. If the snapshot does not see the
 *             reservation, the stamp is above it. If it sees the reservation and no word, it makes
 *             the word PASSED, and the job gets another stamp. So every call that has not seen the
 *             job comes before its stamp (tests/model/push.pml). What breaks otherwise: a snapshot
 *             contains the job, but not what another thread wrote after it found no job.
 * Progress    lock-free, except where the queue grows.
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

/* A running push. Many cells are listed in scratch memory. */
typedef struct push {
    lki_store *store;
    lki_thread *thread;
    lki_queue *queue;
    const lk_item *jobs;
    size_t count;
    size_t cell_size; /* of the largest cell */
    bool small;       /* they fit into segments */
    lki_cell **cells;
    lki_scratch scratch; /* taken if count > FEW */
    lki_cell *few[FEW];
} push;

static void
cells_discard(push *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lki_cell_destroy(p->store, p->cells[i]);
}

/* Makes a cell apart, with its record. NULL: no memory. */
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

/* Makes all cells apart, and room in `pushed`, before anything can be seen. */
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

/* Measures the cells. False: a job has an sk of its own. */
static bool
cells_measure(push *p)
{
    size_t largest = 0, long_data = 0;
    for (const lk_item *job = p->jobs, *end = job + p->count; job != end; job++) {
        if (job->key.sk.size != 0)
            return false;
        size_t size = lki_cell_size_in_queue(job);
        largest = size > largest ? size : largest;
        /* Size 0 wraps to the largest value: empty data have no record inside the cell. */
        long_data = job->data.size - 1 > long_data ? job->data.size - 1 : long_data;
    }
    p->small = largest <= LKI_SLAB_CELL_MAX && long_data < LKI_INLINE_MAX - 8;
    p->cell_size = largest <= LKI_SLAB_CELL_MAX ? largest : LKI_SLAB_CELL_MAX;
    return true;
}

/* May the cells lie in the segments, as nearly always? No, if the jobs are too large, or larger
 * than those before them, or the caller wants them back: then they may point into `pushed`. */
static bool
cells_fit(const push *p, const lk_result *pushed)
{
    const lki_segment *tail = lki_load_acquire(&p->queue->tail); /* P13 */
    return p->small && pushed == NULL && (tail == NULL || p->cell_size <= tail->cell_size);
}

/* Makes the cells in the reserved places. False: a segment with smaller cells was added in between,
 * and memory ran out; cells that are missing are NULL. */
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

/* Gives up reserved places without publishing them. */
static void
cells_give_up(push *p, lki_places places)
{
    for (size_t i = 0; i < p->count; i++) {
        lki_slot *slot = &places.segment->slots[places.slot];
        LK_ASSERT(!lki_job_word_is_settled(lki_load_relaxed(&slot->word))); /* its own place */
        if (p->cells[i] != NULL)
            lki_cell_destroy(p->store, p->cells[i]); /* its stamp is below any snapshot */
        lki_store_seq_cst(&slot->word, lki_job_word(LKI_DONE, 0, 0) | (uint64_t)1 << 4); /* P11 */
        lki_queue_place_left(p->queue, p->thread);
        lki_segment *segment = places.segment;
        lki_places_next(&places);
        if (lki_reserve(p->thread, 2)) /* else the segment stays until the queue is freed */
            lki_slots_finish(segment, p->thread, 1);
    }
}

/* Publishes a job whose word is PASSED. The job still has to be visible when the push returns: by a
 * ready entry, or, without memory for one, by a time that has just passed. Only this thread changes
 * a PASSED word. */
static LKI_COLD void
slot_publish_late(push *p, lki_segment *segment, lki_slot *slot, uint64_t time)
{
    lki_state to = {.phase = LKI_WAITING, .time = time};
    lki_record *record = (lki_record *)lki_load_relaxed(&slot->cell->item); /* not published yet */
    lk_bytes sk = {lki_cell_sk(slot->cell), LK_ULID_SIZE};
    LK_ASSERT(!lki_record_is_job(record) && record->kind == LKI_VALUE);
    to.identity = lki_job_word(LKI_WAITING, 0, time);
    if (time == 0 && (!lki_reserve(p->thread, 8) ||
                      lki_job_announce(p->queue, p->thread, sk, lki_job_word(LKI_PASSED, 0, 0), &to,
                                       lki_tick(p->store)) != LK_OK)) {
        uint64_t now = lki_tick(p->store);
        time = now > 1 ? now - 1 : 1; /* 0 is no time */
    }
    if (time != 0)
        lki_job_cover(segment, time);                                   /* P12: before, and after */
    lki_store_relaxed(&record->word, 0);                                /* no reader uses it yet */
    lki_store_seq_cst(&slot->word, lki_job_word(LKI_WAITING, 0, time)); /* P11, P15 */
    lki_record_stamp(p->store, record);                                 /* P2: after the word */
    if (time != 0)
        lki_job_cover(segment, time); /* P12 */
}

/* Publishes one job. */
static void
slot_publish(push *p, lki_segment *segment, lki_slot *slot, uint64_t time)
{
    uint64_t empty = LKI_JOB_WORD_EMPTY;
    uint64_t word =
        LKI_LIKELY(time == 0) ? lki_job_word(LKI_FRONT, 0, 0) : lki_job_word(LKI_WAITING, 0, time);
    LK_ASSERT(slot->cell != NULL && lki_cell_is_in_queue(slot->cell));
    LK_ASSERT(slot - segment->slots < LKI_RESERVED(lki_load_relaxed(&segment->word)));
    if (LKI_UNLIKELY(time != 0))
        lki_job_cover(segment, time);                                /* P12: before, and after */
    if (LKI_UNLIKELY(!lki_cas_seq_cst(&slot->word, &empty, word))) { /* P11, P2, P15 */
        LK_ASSERT(empty == lki_job_word(LKI_PASSED, 0, 0)); /* nobody else publishes here */
        slot_publish_late(p, segment, slot, time);
        return;
    }
    if (LKI_UNLIKELY(time != 0)) {
        lki_job_cover(segment, time); /* P12 */
        lki_slot_pass(segment, slot);
    }
}

/* Gives each cell its sk and the stamp, and puts it into its slot. */
static void
cells_finish(push *p, lki_places places, lk_result *pushed)
{
    lki_queue_thread *thread = lki_queue_thread_of(p->thread);
    uint64_t stamp = lki_load_seq_cst(&p->store->clock); /* P2: after the places */
    LK_ASSERT(lki_word_is_stamp(stamp));
    if (LKI_UNLIKELY(thread->ulid_ms != places.ms || places.ms == 0)) {
        lki_ulid_write_ms(thread->ulid_text, places.ms);
        thread->ulid_ms = places.ms;
    }
    for (size_t i = 0; i < p->count; i++) {
        lki_cell *cell = p->cells[i];
        lki_record *record = (lki_record *)lki_load_relaxed(&cell->item); /* not published yet */
        unsigned char *sk = cell->bytes + cell->pk_size;
        LK_ASSERT(places.ms >= places.segment->first_ms && places.ms <= LKI_ULID_MS_MAX);
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

/* Prefetches the cells of the next push, in case it is like this one. Their lines were last written
 * by consumers, and each store would wait for its line. */
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

/* Publishes all words one after the other, so that a consumer that has caught up finds most of the
 * jobs at once. */
static void
cells_publish(push *p, lki_places places, uint64_t time)
{
    for (size_t i = 0; i < p->count; i++) {
        slot_publish(p, places.segment, &places.segment->slots[places.slot], time);
        lki_places_next(&places);
    }
}

/* Reserves the places. Expired jobs do not count against `max_depth`. */
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
        /* The queue is being taken out; wait for the latch of the shard. */
        lki_shard_wait(p->store, p->thread, lki_hash_bytes(&p->store->secret, pk));
        status = lki_queue_find_or_create(p->store, p->thread, pk, &p->queue);
        if (status != LK_OK)
            return status;
    }
}

/* Jobs with an sk are not counted by segments: one may have been pushed between the check and the
 * reservation. Its push pins the queue, then loads the tail and its segment word; this one
 * reserves, then loads the pins. So one of the two sees the other. */
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
    LK_ASSERT(p->count != 0 && lki_is_writing(p->thread));
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
        /* The cells are copies: the jobs may lie in `pushed`, which is overwritten below. */
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
        (void)lki_result_begin(pushed, 0, 0); /* room was made before */
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
