/* SPDX-License-Identifier: MIT
 *
 * What happens by time alone: claims lapse, delays end, items expire.
 *
 * Plain jobs: each segment has a next due time, a lower bound of the times in its words. Once it
 * has passed, a scan reads the words. It makes due jobs ready: each gets its ready entry and a word
 * that says so. Then it raises the next due time to the least of the times that are left. Segments
 * are scanned in the order of their places, so that the smallest sk is made ready first, and a scan
 * stops when a pull has enough.
 *
 * Record jobs: entries of `later` whose time has passed move to `ready` (later.c).
 *
 * Progress    lock-free. A scan that stops half-way leaves the next due time as it was, so the next
 *             one scans again. A claimer that stops between its swap and its second look at the
 *             next due time is covered, too: a segment in which a job can be claimed is scanned
 *             again after RECHECK_MS.
 * Ordering    P12 (queue.h).
 */
#include "queue/due.h"

#include <stddef.h>
#include <string.h>

#include "base/pressure.h"
#include "queue/job.h"
#include "queue/keyed_position.h"
#include "store/sweep.h"

enum {
    NOTICE = LKI_OR_SMALL(64, 2),
    EXPIRE_SEGMENTS = LKI_OR_SMALL(2, 512), /* small segments */
    KEYED_CELLS = 1024,
    RECHECK_MS = 250
};

/* One scan of a queue. */
typedef struct look {
    lki_store *store;
    lki_thread *thread;
    lki_queue *queue;
    lki_ticks *ticks;
    size_t room;    /* jobs that may still be made ready; of expiry: segments */
    int64_t now_ms; /* of expiry */
    bool needed;    /* of expiry: a push needs room */
    lki_due_rest *rest;
    lk_status status;
} look;

/* Makes the job of a slot ready whose time has passed. */
static lk_status
word_make_ready(look *l, lki_segment *segment, lki_slot *slot)
{
    lki_found_job job;
    lki_job_read(l->store, segment, slot, &job);
    bool lapsed = job.state.phase == LKI_CLAIMED;
    if (job.pinned)
        return lki_job_to_record(l->store, l->thread, l->queue, &job);
    if (!job.plain || !(lapsed || (job.state.phase == LKI_WAITING && job.state.time != 0)) ||
        !lki_ticks_past(l->store, l->ticks, job.state.time))
        return LK_RACE; /* another thread was faster */
    if (!lki_reserve(l->thread, 8))
        return LK_NO_MEMORY;
    lki_state to = job.state;
    to.phase = lapsed ? LKI_LAPSED : LKI_WAITING;
    to.time = lapsed ? to.time : 0;
    lk_status status = lki_job_change(l->store, l->thread, l->queue, &job, &to, l->ticks->now);
    if (status == LK_OK) {
        lki_queue_count(l->queue, l->thread, LKI_QUEUE_LAPSES, lapsed);
        lki_wait_notify(&l->queue->wait, 1);
    }
    if (status != LK_RACE)
        return status;
    /* A thread that has pinned it meanwhile may have stopped before it inserted the entry. */
    lki_job_read(l->store, segment, slot, &job);
    return job.pinned ? lki_job_to_record(l->store, l->thread, l->queue, &job) : LK_RACE;
}

/* Scans the words of a segment. Returns the least time that is left; 0 if it stopped early. */
static uint64_t
segment_look(look *l, lki_segment *segment)
{
    uint32_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
    uint64_t least = LKI_TIME_MAX;
    bool open = false;
    LK_ASSERT(reserved <= segment->capacity && segment->queue == l->queue);
    for (uint32_t i = 0; i < reserved; i++) {
        lki_slot *slot = &segment->slots[i];
        uint64_t word = lki_load_seq_cst(&slot->word); /* P12: after the mark */
        enum lki_phase phase = lki_job_word_phase(word);
        uint64_t time = word >> LKI_TIME_SHIFT;
        if (lki_job_word_is_timed(word)) {
            if ((word & LKI_JOB_WORD_PINNED) != 0 || lki_ticks_past(l->store, l->ticks, time)) {
                if (l->room == 0) {
                    l->rest->more = l->rest->placed = true;
                    return 0;
                }
                lk_status status = word_make_ready(l, segment, slot);
                if (status == LK_NO_MEMORY) {
                    l->status = status;
                    return 0;
                }
                if (status == LK_OK)
                    memcpy(l->rest->last, lki_cell_sk(slot->cell), LK_ULID_SIZE);
                l->room -= status == LK_OK;
                open = true;
            } else if (time < least) {
                least = time;
            }
        } else if (phase != LKI_DONE && phase != LKI_IN_RECORD) {
            open = true;
        }
    }
    lki_count(l->thread, LKI_SLOTS_VISITED, reserved);
    uint64_t again = l->ticks->now + RECHECK_MS;
    return open && again < least ? again : least;
}

static bool
due_is_past(look *l, uint64_t time)
{
    return time < LKI_TIME_MAX && lki_ticks_past(l->store, l->ticks, time);
}

/* Goes through the next due times of all segments, which lie at `offset` in their pages, and visits
 * segments whose time has passed while there is room. It begins with the lowest segment, or at
 * `position`, where the last scan stopped. `visit` returns the least time that is left. */
static void
queue_look(look *l, lki_next_due *of_queue, size_t offset, _Atomic(uint32_t) *position,
           bool (*is_past)(look *, uint64_t), uint64_t (*visit)(look *, lki_segment *))
{
    LK_ASSERT(lki_is_writing(l->thread) && l->room != 0);
    uint64_t begun = lki_next_due_begin(of_queue);                           /* P12 */
    const lki_directory *directory = lki_load_acquire(&l->queue->directory); /* P13 */
    uint64_t least = LKI_TIME_MAX;
    size_t count = directory != NULL ? directory->count * LKI_PAGE_SEGMENTS : 0;
    size_t first =
        position != NULL && count != 0 ? lki_load_relaxed(position) % count : 0; /* a hint */
    for (size_t done = 0; done < count; done++) {
        size_t i = first + done < count ? first + done : first + done - count;
        lki_queue_page *page = directory->page[i / LKI_PAGE_SEGMENTS];
        size_t at = i % LKI_PAGE_SEGMENTS;
        lki_next_due *bound = (lki_next_due *)(void *)((char *)page + offset) + at;
        uint64_t time = lki_next_due_time(bound); /* P12 */
        bool past = is_past(l, time);
        if (LKI_UNLIKELY(past && l->room == 0)) { /* the next scan does the rest */
            l->rest->more = l->rest->placed = true;
            if (position != NULL)
                lki_store_relaxed(position, (uint32_t)i); /* a hint */
            least = begun >> LKI_TIME_SHIFT;
            break;
        }
        if (LKI_UNLIKELY(past)) {
            lki_segment *segment = lki_load_acquire(&page->segment[at]); /* P13 */
            uint64_t mark = lki_next_due_begin(bound);                   /* P12 */
            uint64_t left = segment != NULL ? visit(l, segment) : LKI_TIME_MAX;
            if (lki_next_due_end(bound, mark, left)) /* P12 */
                time = left;
        }
        if (time < least)
            least = time;
    }
    (void)lki_next_due_end(of_queue, begun, least); /* P12 */
}

lk_status
lki_due_make_ready(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks,
                   size_t least, lki_due_rest *rest)
{
    look l = {.store = store,
              .thread = thread,
              .queue = queue,
              .ticks = ticks,
              .rest = rest,
              .status = LK_OK};
    LK_ASSERT(lki_is_writing(thread));
    *rest = (lki_due_rest){.more = false};
    /* While there are ready entries, no more are made than are taken: entries cost memory. */
    l.room = least > NOTICE || lki_order_first(&queue->ready) != NULL ? least : NOTICE;
    l.room += l.room == 0;
    if (LKI_UNLIKELY(due_is_past(&l, lki_next_due_time(&queue->due)))) /* P12 */
        queue_look(&l, &queue->due, offsetof(lki_queue_page, due), NULL, due_is_past, segment_look);
    if (LKI_UNLIKELY(lki_order_first(&queue->later) != NULL) && l.status == LK_OK)
        l.status = lki_later_make_ready(store, thread, queue, ticks, least, rest);
    return l.status;
}

uint64_t
lki_due_next(lki_queue *queue)
{
    uint64_t due = lki_next_due_time(&queue->due); /* P12 */
    const lki_entry *entry = lki_order_first(&queue->later);
    return entry != NULL && entry->rank < due ? entry->rank : due;
}

/* ---- expiry ---- */

/* Removes the expired jobs of a segment. Returns the least expiry time that is left; 0 if it
 * stopped early. */
static uint64_t
segment_expire(look *l, lki_segment *segment)
{
    LK_ASSERT(l->room != 0 && segment->queue == l->queue);
    l->room--;
    uint32_t reserved = LKI_RESERVED(lki_load_seq_cst(&segment->word)); /* P14 */
    int64_t next_ms = INT64_MAX;
    for (uint32_t i = 0; i < reserved; i++) {
        lki_found_job job;
        lki_job_read(l->store, segment, &segment->slots[i], &job);
        if (job.cell == NULL || job.record == NULL)
            continue;
        int64_t expires = lki_record_expires(job.record);
        if (job.plain && expires == 0)
            continue;
        if (job.plain && l->now_ms <= expires) {
            next_ms = expires < next_ms ? expires : next_ms;
            continue;
        }
        if (lki_section_is_full(l->thread)) {
            lki_seal(l->thread);
            if (!l->needed && !lki_memory_has_room(l->thread))
                return 0;
        }
        if (lki_job_expire(l->store, l->thread, l->queue, &job, l->now_ms, &next_ms) ==
            LK_NO_MEMORY)
            return 0;
    }
    lki_count(l->thread, LKI_SLOTS_VISITED, reserved);
    return next_ms == INT64_MAX ? LKI_TIME_MAX : lki_expiry_time(next_ms);
}

static bool
expiry_is_past(look *l, uint64_t time)
{
    return lki_expiry_is_past(time, lki_expiry_time(l->now_ms));
}

static void
queue_expire(lki_store *store, lki_thread *thread, lki_queue *queue, bool needed)
{
    lki_due_rest ignored = {.more = false}; /* the next scan goes on */
    look l = {.store = store,
              .thread = thread,
              .queue = queue,
              .rest = &ignored,
              .room = EXPIRE_SEGMENTS,
              .needed = needed,
              .now_ms = lki_now(store)};
    if (expiry_is_past(&l, lki_next_due_time(&queue->expires))) /* P12 */
        queue_look(&l, &queue->expires, offsetof(lki_queue_page, expires), &queue->expire_position,
                   expiry_is_past, segment_expire);
}

void
lki_due_expire(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    LK_ASSERT(lki_is_writing(thread));
    if (lki_memory_has_room(thread))
        queue_expire(store, thread, queue, false);
}

/* ---- expiry of jobs with keys ---- */

/* Scans up to KEYED_CELLS cells from position `at` on. *last: the last one; NULL: the scan has
 * reached the end. LK_OK, LK_NO_MEMORY. */
static lk_status
keyed_walk(look *l, const lki_keyed_position *at, int64_t *next_ms, const lki_cell **last)
{
    enum { RUN = 64 };
    lki_cell *cells[RUN];
    lki_index_walk walk;
    const lk_bytes from = at != NULL ? (lk_bytes){at->sk, at->size} : (lk_bytes){NULL, 0};
    lki_index_walk_begin(&walk, &l->queue->partition->index, at != NULL ? &from : NULL, true,
                         false);
    *last = NULL;
    for (size_t visited = 0; visited < KEYED_CELLS; visited += RUN) {
        size_t count = lki_index_walk_next(&walk, cells, RUN);
        for (size_t i = 0; i < count; i++) {
            LK_ASSERT(!lki_cell_is_in_queue(cells[i]));         /* those are in no index */
            uintptr_t head = lki_load_acquire(&cells[i]->item); /* P1 */
            if (!lki_record_is_job(lki_effective(l->store, head, NULL)))
                continue;
            if (!lki_reserve(l->thread, 8) ||
                lki_sweep_cell(l->store, l->thread, cells[i], l->now_ms, next_ms) == LK_NO_MEMORY)
                return LK_NO_MEMORY;
        }
        lki_count(l->thread, LKI_SLOTS_VISITED, count);
        *last = count == RUN ? cells[RUN - 1] : NULL;
        if (count < RUN)
            break;
    }
    return LK_OK;
}

/* Removes expired jobs with keys, for a push that needs the depth. Their memory would also come
 * back by the sweep of the store. */
static void
due_expire_keyed(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    look l = {.store = store, .thread = thread, .queue = queue, .now_ms = lki_now(store)};
    if (!lki_expiry_is_past(lki_next_due_time(&queue->keyed_expires), /* P12 */
                            lki_expiry_time(l.now_ms)))
        return;
    lki_keyed_position *at = lki_load_acquire(&queue->keyed_position), *moved = NULL;    /* P13 */
    uint64_t begun = at != NULL ? at->begun : lki_next_due_begin(&queue->keyed_expires); /* P12 */
    int64_t next_ms = at != NULL ? at->next_ms : INT64_MAX;
    LK_ASSERT((begun & 1) != 0 && lki_is_writing(thread));
    const lki_cell *last;
    if (keyed_walk(&l, at, &next_ms, &last) != LK_OK || !lki_reserve(thread, 8))
        return; /* the next scan tries again */
    if (last != NULL) {
        moved = lki_keyed_position_new(store, last, begun, next_ms);
        if (moved == NULL)
            return;
    }
    lki_keyed_position *expected = at;
    if (!lki_cas_seq_cst(&queue->keyed_position, &expected, moved)) { /* P13 */
        lki_keyed_position_free(store, moved); /* another thread has scanned this portion */
        return;
    }
    if (at != NULL)
        lki_retire(thread, LKI_OBJECT, at, lki_keyed_position_size(at));
    if (last == NULL)
        (void)lki_next_due_end(&queue->keyed_expires, begun,
                               next_ms == INT64_MAX ? LKI_TIME_MAX
                                                    : lki_expiry_time(next_ms)); /* P12 */
}

/* Repeats while a portion removes many jobs: so the cost is in proportion to what is removed, which
 * is in proportion to what is pushed. */
void
lki_due_make_room(lki_store *store, lki_thread *thread, lki_queue *queue, size_t jobs)
{
    enum { PORTIONS = 4, MUCH = 128 };
    LK_ASSERT(lki_is_writing(thread));
    for (size_t i = 0; i < PORTIONS + jobs / MUCH; i++) {
        uint64_t before = lki_load_relaxed(&thread->counter[LKI_EXPIRED_SWEPT]); /* its own */
        queue_expire(store, thread, queue, true);
        due_expire_keyed(store, thread, queue);
        if (lki_load_relaxed(&thread->counter[LKI_EXPIRED_SWEPT]) - before < MUCH)
            return;
    }
}

/* ---- the sweep's part ---- */

/* True: there may be more to remove. */
static bool
queue_visit(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    uint64_t before = lki_load_relaxed(&thread->counter[LKI_EXPIRED_SWEPT]); /* of this thread */
    lki_due_expire(store, thread, queue);
    return lki_load_relaxed(&thread->counter[LKI_EXPIRED_SWEPT]) != before;
}

size_t
lki_queues_upkeep(lki_store *store, lki_thread *thread, bool all)
{
    enum { LOOKS = 16 };
    uint64_t before = lki_load_relaxed(&thread->counter[LKI_EXPIRED_SWEPT]); /* of this thread */
    size_t queues = lki_load_relaxed(&lki_queues_of(store)->listed); /* some more or less will do */
    LK_ASSERT(!lki_is_entered(thread));
    if (queues == 0)
        return 0;
    lki_queues_visit(store, thread, all ? queues : 1, all, queue_visit);
    (void)lki_queues_remove_idle(store, thread, all ? queues : LOOKS);
    return (size_t)(lki_load_relaxed(&thread->counter[LKI_EXPIRED_SWEPT]) - before);
}
