/* SPDX-License-Identifier: MIT
 *
 * Whole queues: statistics, purge, close, descriptor; and the state of single jobs.
 *
 * Statistics and purge go through all jobs of a queue, in many short sections.
 *
 * Progress    Inspect and statistics never wait; purge is as lk_delete; close and the first call
 *             for a descriptor take the queue's latch.
 * Ordering    P15, P16 (queue.h).
 */
#include "queue/manage.h"

#include <string.h>

#include "base/pressure.h"
#include "queue/commit.h"
#include "queue/job.h"
#include "queue/pull.h"
#include "store/sweep.h"

enum { RUN = 64 };

/* A walk over all jobs of a queue, those with a place first. */
typedef struct tour {
    lki_store *store;
    lki_thread *thread;
    lki_queue *queue;
    lk_status (*visit)(struct tour *tour, const lki_found_job *job);
    void *context;
} tour;

/* Visits a segment's jobs from slot *at on, to its end (*at is 0 then) or until the section is
 * full. */
static lk_status
segment_tour(tour *t, lki_segment *segment, uint32_t *at)
{
    uint32_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
    LK_ASSERT(*at <= reserved && lki_is_writing(t->thread));
    while (*at < reserved) {
        lki_found_job job;
        lki_job_read(t->store, segment, &segment->slots[(*at)++], &job);
        if (job.cell == NULL || job.state.phase == LKI_NO_JOB)
            continue;
        lk_status status = t->visit(t, &job);
        if (status != LK_OK)
            return status;
        if (lki_section_is_full(t->thread) && *at < reserved)
            return LK_OK;
    }
    *at = 0;
    return LK_OK;
}

/* Visits all jobs with places. Each segment has one section or several, so that no memory is held
 * back for long. */
static lk_status
places_tour(tour *t)
{
    lk_status status = LK_OK;
    uint64_t number = 0, last = UINT64_MAX;
    uint32_t at = 0; /* the slot at which a segment goes on */
    LK_ASSERT((lki_load_relaxed(&t->queue->pins) & ~LKI_QUEUE_DEAD) >= LKI_QUEUE_PIN);
    for (bool more = true; status == LK_OK && more;) {
        if (!lki_memory_is_bounded(t->thread))
            return LK_BUSY;
        lki_write_enter(t->thread);
        const lki_directory *directory = lki_load_acquire(&t->queue->directory); /* P13 */
        lki_segment *segment = lki_queue_segment_from(directory, number, false);
        if (last == UINT64_MAX) {
            lki_segment *tail = lki_load_acquire(&t->queue->tail); /* P13 */
            last = tail != NULL ? tail->number : 0;
        }
        more = segment != NULL && segment->number <= last;
        if (more) {
            at = segment->number == number ? at : 0;
            number = segment->number;
            status = segment_tour(t, segment, &at);
            number += at == 0;
        }
        lki_write_leave(t->thread);
    }
    return status;
}

/* Visits up to RUN cells of the partition's index. *sk: the last key visited, of *size bytes in a
 * buffer of *room. */
static lk_status
index_tour(tour *t, unsigned char **sk, size_t *room, size_t *size, bool *more)
{
    lki_cell *cells[RUN];
    lki_index_walk walk;
    lk_bytes after = {*sk, *size};
    lk_status status = LK_OK;
    lki_index_walk_begin(&walk, &t->queue->partition->index, *sk != NULL ? &after : NULL, true,
                         false);
    size_t count = lki_index_walk_next(&walk, cells, RUN), i = 0;
    while (status == LK_OK && i < count) {
        lki_cell *cell = cells[i++];
        lki_found_job job = {.cell = cell};
        job.key = (lk_key){{cell->bytes, cell->pk_size}, {lki_cell_sk(cell), cell->sk_size}};
        job.record = lki_effective(t->store, lki_load_acquire(&cell->item), NULL); /* P1 */
        if (!lki_record_is_job(job.record))
            continue;
        job.state = *lki_record_state(job.record);
        status = t->visit(t, &job);
        if (lki_section_is_full(t->thread))
            break;
    }
    *more = count == RUN || i < count;
    if (status != LK_OK || !*more)
        return status;
    const lki_cell *last = cells[i - 1];
    if (*sk == NULL || last->sk_size > *room) {
        lki_free(&t->thread->allocator, *sk, *room);
        *room = (size_t)last->sk_size * 2 + 64;
        *sk = lki_alloc(&t->thread->allocator, *room);
        if (*sk == NULL)
            return LK_NO_MEMORY;
    }
    *size = last->sk_size;
    memcpy(*sk, lki_cell_sk(last), last->sk_size);
    return LK_OK;
}

static lk_status
keys_tour(tour *t)
{
    unsigned char *sk = NULL;
    size_t room = 0, size = 0;
    lk_status status = LK_OK;
    for (bool more = true; status == LK_OK && more;) {
        if (!lki_memory_is_bounded(t->thread)) {
            status = LK_BUSY;
            break;
        }
        lki_write_enter(t->thread);
        status = index_tour(t, &sk, &room, &size, &more);
        lki_write_leave(t->thread);
    }
    lki_free(&t->thread->allocator, sk, room);
    return status;
}

/* Visits all jobs. The queue is pinned; the caller unpins it. LK_NOT_FOUND: there is no queue. */
static lk_status
queue_tour(tour *t, lk_bytes pk)
{
    lk_status status = LK_NOT_FOUND;
    lki_write_enter(t->thread);
    if (lki_queue_find(t->store, pk) != NULL)
        status = lki_queue_find_or_create_pinned(t->store, t->thread, pk, LKI_QUEUE_PIN, &t->queue);
    lki_write_leave(t->thread);
    if (status != LK_OK)
        return status;
    status = places_tour(t);
    if (status == LK_OK)
        status = keys_tour(t);
    return status;
}

/* ---- what a job is like ---- */

/* Describes a job; all 0 if it has expired. */
static lk_job
job_describe(const lki_store *store, const lki_found_job *job, lki_ticks *ticks)
{
    const lki_state *state = &job->state;
    lk_job described = {.receives = state->receives};
    if (!lki_job_is_live(store, job))
        return (lk_job){0};
    described.state = LK_JOB_READY;
    if (state->phase != LKI_FRONT && state->time != 0)
        (void)lki_ticks_past(store, ticks, state->time); /* reads the precise clock if needed */
    if (!lki_state_is_visible(state, ticks->now)) {
        described.state = state->phase == LKI_CLAIMED ? LK_JOB_CLAIMED : LK_JOB_DELAYED;
        described.changes_at_ms = lki_tick_to_ms(store, state->time + 1);
    }
    return described;
}

void
lki_queue_inspect(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count,
                  lk_job *jobs)
{
    lki_ticks ticks = lki_ticks_read(store);
    for (size_t i = 0; i < count; i++) {
        lki_queue *queue = lki_queue_find_known(store, thread, keys[i].pk);
        lki_found_job job;
        lki_job_find(store, &queue, keys[i], &job);
        jobs[i] = job_describe(store, &job, &ticks);
    }
}

/* ---- statistics ---- */

typedef struct census {
    lk_queue_statistics *stats;
    lki_ticks ticks;
    int64_t oldest_ms;
} census;

/* Is the sk an ULID, of whatever origin? A dead letter keeps that of another queue, and programs
 * may use their own. An ms of 0 is more likely a number with leading zeros. */
static bool
sk_is_ulid(lk_bytes sk, int64_t *ms)
{
    const unsigned char *text = sk.data;
    uint64_t ignored;
    return sk.size == LK_ULID_SIZE && lki_ulid_read_ms(text, ms) && *ms > 0 &&
           lki_ulid_read(text + LKI_ULID_OWNER, &ignored) &&
           lki_ulid_read(text + LKI_ULID_PLACE, &ignored);
}

static lk_status
job_count(tour *t, const lki_found_job *job)
{
    census *c = t->context;
    lk_job_state state = job_describe(t->store, job, &c->ticks).state;
    c->stats->ready += state == LK_JOB_READY;
    c->stats->delayed += state == LK_JOB_DELAYED;
    c->stats->claimed += state == LK_JOB_CLAIMED;
    int64_t ms;
    if (state == LK_JOB_READY && sk_is_ulid(job->key.sk, &ms) && ms < c->oldest_ms)
        c->oldest_ms = ms;
    return LK_OK;
}

lk_status
lki_queue_stats(lki_store *store, lki_thread *thread, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_queue_statistics counted = {0};
    census c = {.stats = &counted, .ticks = lki_ticks_read(store), .oldest_ms = INT64_MAX};
    tour t = {.store = store, .thread = thread, .visit = job_count, .context = &c};
    lk_status status = queue_tour(&t, pk);
    if (t.queue != NULL && status == LK_OK) {
        counted.pushes = lki_queue_sum(t.queue, LKI_QUEUE_PUSHES);
        counted.pulls = lki_queue_sum(t.queue, LKI_QUEUE_PULLS);
        counted.empty_pulls = lki_queue_sum(t.queue, LKI_QUEUE_EMPTY);
        counted.lapses = lki_queue_sum(t.queue, LKI_QUEUE_LAPSES);
        counted.late = lki_queue_sum(t.queue, LKI_QUEUE_LATE);
        counted.lost = lki_queue_sum(t.queue, LKI_QUEUE_LOST);
        counted.dead = lki_queue_sum(t.queue, LKI_QUEUE_DEADS);
        int64_t now_ms = lki_now(store);
        if (c.oldest_ms < now_ms)
            counted.oldest_age_ms = now_ms - c.oldest_ms;
    }
    if (t.queue != NULL)
        lki_queue_unpin(t.queue, LKI_QUEUE_PIN);
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    *stats = counted;
    return LK_OK;
}

/* ---- purge ---- */

static lk_status
job_purge(tour *t, const lki_found_job *found)
{
    lki_found_job job = *found;
    for (;;) {
        if (!lki_reserve(t->thread, 8))
            return LK_NO_MEMORY;
        if (!lki_job_is_live(t->store, &job)) { /* it had expired before */
            int64_t next_ms;
            return lki_job_expire(t->store, t->thread, t->queue, &job, lki_now_precise(t->store),
                                  &next_ms) == LK_NO_MEMORY
                       ? LK_NO_MEMORY
                       : LK_OK;
        }
        lk_status status = lki_job_remove(t->store, t->thread, t->queue, &job);
        if (status == LK_OK)
            ++*(size_t *)t->context;
        if (status != LK_LOST)
            return status;
        /* Its state has changed: try again, if it still exists. */
        if (job.slot != NULL)
            lki_job_read(t->store, job.segment, job.slot, &job);
        else
            lki_job_find(t->store, &t->queue, job.key, &job);
        if (job.cell == NULL || job.state.phase == LKI_NO_JOB)
            return LK_OK;
    }
}

lk_status
lki_queue_purge(lki_store *store, lki_thread *thread, lk_bytes pk, size_t *purged)
{
    size_t count = 0;
    tour t = {.store = store, .thread = thread, .visit = job_purge, .context = &count};
    lk_status status = queue_tour(&t, pk);
    if (t.queue != NULL)
        lki_queue_unpin(t.queue, LKI_QUEUE_PIN);
    lki_sweep_step(store, thread, count); /* also sets the descriptor */
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    *purged = count;
    return LK_OK;
}

/* ---- close, descriptor ---- */

/* A thread that removes a job counts it by a plain store, adds to `finished` of the segment, then
 * loads `closed`. If its addition comes after the one here, it sees `closed`. If it comes before,
 * we see the count, and so do the threads that we wake. Without this a waiting thread could miss
 * the count of the last job, and the thread that removed the job miss `closed`: in C11 one addition
 * alone orders no other words. */
static void
finishers_meet(lki_queue *queue)
{
    const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    lki_segment *segment = lki_queue_segment_from(directory, 0, false);
    LK_ASSERT(lki_latch_is_held(&queue->latch) && lki_load_relaxed(&queue->closed) != 0);
    for (; segment != NULL; segment = lki_segment_next(segment))
        lki_add_seq_cst(&segment->finished, 0); /* P16: to lki_slots_finish */
    /* P15: before the load of `waiters`, as in lki_queue_tell_over: a thread that goes to sleep and
     * is not counted there yet will see what was seen here. */
    lki_fence_seq_cst();
}

lk_status
lki_queue_close(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    lki_queue *queue;
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    lki_write_enter(thread);
    /* The pin stays: a closed queue is never removed. */
    lk_status status = lki_queue_find_or_create_pinned(store, thread, pk, LKI_QUEUE_PIN, &queue);
    if (status == LK_OK) {
        lki_latch_take(&queue->latch, thread);
        bool first = lki_load_seq_cst(&queue->closed) == 0; /* P16 */
        if (first) {
            /* First the seal, then `closed`: a thread that reads `closed` may count the places. */
            lki_queue_seal_latched(queue);
            lki_store_seq_cst(&queue->closed, 1); /* P16 */
            finishers_meet(queue);
        }
        lki_latch_drop(&queue->latch);
        if (!first)
            lki_queue_unpin(queue, LKI_QUEUE_PIN);
        lki_wait_look_again(&queue->wait); /* it is over now or by time */
        lki_queue_remember_change(queue, thread);
    }
    lki_write_leave(thread);
    lki_sweep_step(store, thread, 0);
    return status;
}

lk_status
lki_queue_fd(lki_store *store, lki_thread *thread, lk_bytes pk, int *fd)
{
    lki_queue *queue;
    if (!lki_memory_is_bounded(thread))
        return LK_BUSY;
    lki_write_enter(thread);
    lk_status status = lki_queue_find_or_create_pinned(store, thread, pk, LKI_QUEUE_PIN, &queue);
    if (status == LK_OK) {
        lki_latch_take(&queue->latch, thread);
        bool there = lki_wait_is_polled(&queue->wait);
        status = lki_wait_open_latched(&queue->wait, fd);
        lki_latch_drop(&queue->latch);
        LK_ASSERT(status != LK_OK || lki_wait_is_polled(&queue->wait));
        if (there || status != LK_OK)
            lki_queue_unpin(queue, LKI_QUEUE_PIN); /* the pin of the first call stays */
        if (status == LK_OK && !there)
            lki_queue_refresh(store, thread, queue);
    }
    lki_write_leave(thread);
    return status;
}
