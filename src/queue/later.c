/* SPDX-License-Identifier: MIT
 *
 * Record jobs that come due: entries of `later`, ordered by {time, sk}, move to `ready`, ordered by
 * sk.
 *
 * One call moves a bounded number of the due entries, the smallest sk first, so that a pull need
 * not wait until all have moved. Entries of one time are in the order of their sk; they are called
 * a *run*. A call finds the first entries of up to RUNS_MOST runs and merges these by a heap. It
 * moves at least as many entries as it found runs, or RUNS. Finding a run is a step along the list,
 * moving an entry takes two searches. So an entry costs two searches and at most RUNS_MOST / RUNS
 * steps, however many are due.
 *
 * If more than RUNS_MOST different times have passed (RUNS without memory), the later ones are left
 * for the next call. A job whose time has passed counts as visible only once it was made ready, and
 * times are taken in their order.
 *
 * Progress    lock-free. Several threads may move the same entry; it is inserted once.
 */
#include "queue/later.h"

#include <string.h>

#include "base/scratch.h"
#include "queue/job.h"

enum { RUNS = 1024, RUNS_MOST = 16 * RUNS, READY_MAX = 64 };

/* The first entries of the runs, as a binary heap by sk. */
typedef struct heap {
    const lki_entry **entry; /* `few`, or in scratch */
    size_t count, room;
    lki_scratch scratch;
    const lki_entry *few[RUNS];
} heap;

/* Is there room for one more entry? At most RUNS_MOST. */
static bool
heap_has_room(lki_thread *thread, heap *h)
{
    if (LKI_LIKELY(h->count < h->room))
        return true;
    if (h->room == RUNS_MOST ||
        !lki_scratch_take(thread, &h->scratch, RUNS_MOST * sizeof *h->entry))
        return false;
    memcpy(h->scratch.memory, h->entry, h->count * sizeof *h->entry);
    h->entry = h->scratch.memory;
    h->room = RUNS_MOST;
    return true;
}

static lk_bytes
entry_sk(const lki_entry *entry)
{
    return (lk_bytes){lki_entry_key(entry), entry->size};
}

static bool
is_less(const lki_entry *left, const lki_entry *right)
{
    return lk_bytes_compare(entry_sk(left), entry_sk(right)) < 0;
}

/* Lets `entry` sink from `at` to where its children are not less. */
static void
heap_sink(heap *h, size_t at, const lki_entry *entry)
{
    for (size_t child; (child = 2 * at + 1) < h->count; at = child) {
        if (child + 1 < h->count && is_less(h->entry[child + 1], h->entry[child]))
            child++;
        if (!is_less(h->entry[child], entry))
            break;
        h->entry[at] = h->entry[child];
    }
    h->entry[at] = entry;
}

/* Replaces the first entry of the heap by the next of its run. */
static void
heap_advance(heap *h)
{
    LK_ASSERT(h->count != 0);
    const lki_entry *done = h->entry[0], *next = lki_order_next(done);
    if (next == NULL || next->rank != done->rank)
        next = h->entry[--h->count];
    if (h->count != 0)
        heap_sink(h, 0, next);
}

/* Finds the due runs, the earliest times first. False: there are more. */
static bool
runs_find(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks, heap *h)
{
    const lki_entry *entry = lki_order_first(&queue->later);
    bool due = entry != NULL && lki_ticks_past(store, ticks, entry->rank);
    while (due && heap_has_room(thread, h)) {
        LK_ASSERT(h->count < h->room && h->room <= RUNS_MOST);
        h->entry[h->count++] = entry;
        const lki_entry *next = lki_order_next(entry);
        if (next != NULL && next->rank == entry->rank) /* else `next` begins the next run */
            next = lki_order_from(&queue->later, entry->rank + 1);
        entry = next;
        due = entry != NULL && lki_ticks_past(store, ticks, entry->rank);
    }
    for (size_t at = h->count / 2; at-- > 0;)
        heap_sink(h, at, h->entry[at]);
    return !due;
}

/* Moves an entry, or removes it if it is stale. LK_OK; LK_RACE: it stays; LK_NO_MEMORY. */
static lk_status
entry_move(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_entry *entry)
{
    const lk_key key = {{queue->partition->pk, queue->partition->pk_size}, entry_sk(entry)};
    LK_ASSERT(entry->rank != 0 && lki_is_writing(thread));
    lki_queue *found = queue;
    lki_found_job job;
    lki_job_find(store, &found, key, &job);
    enum lki_verdict verdict = lki_entry_judge(entry, &job);
    bool due = verdict == LKI_ENTRY_CURRENT;
    if (verdict == LKI_ENTRY_PENDING)
        return LK_RACE;
    lki_entry *ready = due ? lki_entry_new(thread, 0, key.sk, entry->to, entry->to) : NULL;
    if (!lki_reserve(thread, 8) || (due && ready == NULL)) {
        lki_entry_discard(thread, ready);
        return LK_NO_MEMORY;
    }
    if (due && !lki_ready_insert(queue, thread, ready)) {
        lki_entry_discard(thread, ready);
    } else if (due) {
        lki_queue_count(queue, thread, LKI_QUEUE_LAPSES, job.state.phase == LKI_CLAIMED);
        lki_wait_notify(&queue->wait, 1);
    }
    (void)lki_order_remove(&queue->later, thread, entry->rank, key.sk, entry->to);
    return LK_OK;
}

lk_status
lki_later_make_ready(lki_store *store, lki_thread *thread, lki_queue *queue, lki_ticks *ticks,
                     size_t least, lki_due_rest *rest)
{
    heap h;
    LK_ASSERT(lki_is_writing(thread));
    h.entry = h.few;
    h.room = RUNS;
    h.count = 0;
    h.scratch = (lki_scratch){NULL, 0};
    lk_status status = LK_OK;
    bool all = runs_find(store, thread, queue, ticks, &h);
    size_t most = lki_order_first(&queue->ready) != NULL ? 1 : READY_MAX;
    size_t room = least > most ? least : most;
    lki_count(thread, LKI_SLOTS_VISITED, h.count);
    rest->more |= !all;
    if (room < h.count)
        room = h.count < RUNS ? h.count : RUNS > room ? RUNS : room;
    for (; h.count != 0 && room > 0; heap_advance(&h)) {
        status = entry_move(store, thread, queue, h.entry[0]);
        lki_count(thread, LKI_SLOTS_VISITED, 1);
        if (status == LK_NO_MEMORY)
            break;
        room -= status == LK_OK;
    }
    if (h.count != 0) {
        rest->more = true;
        rest->record_job = entry_sk(h.entry[0]);
    }
    if (LKI_UNLIKELY(h.room != RUNS))
        lki_scratch_give(thread, &h.scratch);
    return status == LK_NO_MEMORY ? status : LK_OK;
}
