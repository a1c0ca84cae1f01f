/* SPDX-License-Identifier: MIT
 *
 * What the store asks the queue room (store/hooks.h): the cell of a job by its key, and what to do
 * when a job's item is replaced or removed.
 *
 * Progress    lock-free.
 * Ordering    P11 to P16 (queue.h).
 */
#include "queue/hooks.h"

#include <string.h>

#include "queue/check.h"
#include "queue/due.h"
#include "queue/job.h"
#include "queue/pull.h"
#include "queue/queue_walk.h"

/* ---- cells by their keys ---- */

static lki_slot *
key_slot(lki_store *store, const lk_key *key, lki_queue **queue, lki_segment **segment)
{
    *queue = lki_queue_find(store, key->pk);
    return *queue != NULL ? lki_job_slot(*queue, key->sk, segment) : NULL;
}

static bool
slot_is(const lki_slot *slot, lk_bytes sk)
{
    return memcmp(lki_cell_sk(slot->cell), sk.data, LK_ULID_SIZE) == 0;
}

static lki_cell *
key_find(lki_store *store, const lk_key *key, uint64_t snapshot)
{
    lki_queue *queue;
    lki_segment *segment;
    lki_slot *slot = key_slot(store, key, &queue, &segment);
    uint64_t word = slot != NULL ? lki_load_acquire(&slot->word) : LKI_JOB_WORD_EMPTY; /* P11 */
    if (word == LKI_JOB_WORD_EMPTY || lki_job_word_phase(word) == LKI_PASSED)
        return NULL;
    if (lki_job_word_phase(word) == LKI_DONE && lki_done_stamp(store, slot, word) <= snapshot)
        return NULL;
    return slot_is(slot, key->sk) ? slot->cell : NULL;
}

/* Finds the cell of a job in a slot and makes the job a record job. LK_OK: *cell, or NULL. */
static lk_status
key_find_record_job(lki_store *store, lki_thread *thread, const lk_key *key, lki_cell **cell)
{
    lki_queue *queue = lki_queue_find(store, key->pk);
    lki_segment *segment;
    lki_slot *slot;
    *cell = NULL;
    while (queue != NULL && (slot = lki_job_slot(queue, key->sk, &segment)) != NULL) {
        lki_found_job job;
        lki_job_read(store, segment, slot, &job);
        if (job.cell == NULL || !slot_is(slot, key->sk))
            return LK_OK;
        if (!job.plain) {
            *cell = job.cell;
            return LK_OK;
        }
        lk_status status = lki_job_to_record(store, thread, queue, &job);
        if (status != LK_OK)
            return status;
    }
    return LK_OK;
}

/* Is the place of the key reserved, with no job published yet? The job that comes may have this
 * very key. */
static bool
place_is_coming(lki_store *store, const lk_key *key)
{
    lki_queue *queue;
    lki_segment *segment;
    lki_slot *slot = key_slot(store, key, &queue, &segment); /* an empty word becomes PASSED */
    return slot != NULL &&
           lki_job_word_phase(lki_load_acquire(&slot->word)) == LKI_PASSED; /* P11 */
}

/* Ensures that no place reserved from now on has this ms or a smaller one. False: there is no
 * segment yet, or the queue is just growing. */
static bool
ms_pass(lki_queue *queue, int64_t ms)
{
    lki_segment *tail = lki_load_acquire(&queue->tail); /* P13 */
    while (tail != NULL) {
        uint64_t word = lki_load_seq_cst(&tail->word); /* P14 */
        if ((int64_t)(word >> 16) > ms)
            return true;
        uint64_t above = (uint64_t)(ms + 1) << 16 | (word & 0xffff);
        if ((word & LKI_SEALED) == 0 && lki_cas_seq_cst(&tail->word, &word, above)) /* P14 */
            return true;
        if ((word & LKI_SEALED) != 0)
            tail = lki_load_acquire(&tail->next); /* P13 */
    }
    return false;
}

/* A user writes a key that the queue could generate later. Its ms is skipped at once if it is near,
 * else when the clock comes there (segment.c). */
static lk_status
key_avoid(lki_store *store, lki_thread *thread, const lk_key *key)
{
    enum { NEAR_MS = 24 * 3600 * 1000 };
    lki_queue *queue = lki_queue_find(store, key->pk);
    const unsigned char *sk = key->sk.data;
    int64_t ms;
    if (queue == NULL || memcmp(sk + LKI_ULID_OWNER, queue->owner, LKI_ULID_WORD) != 0 ||
        !lki_ulid_read_ms(sk, &ms) || ms >= LKI_ULID_MS_MAX)
        return LK_OK;
    if (ms <= lki_now(store) + NEAR_MS && ms_pass(queue, ms))
        return LK_OK;
    const lk_bytes none = {"", 0};
    lki_entry *entry = NULL;
    if (lki_reserve(thread, 8))
        entry = lki_entry_new(thread, (uint64_t)ms, none, 0, 0);
    if (entry == NULL)
        return LK_NO_MEMORY;
    if (!lki_order_insert(&queue->avoided, thread, entry))
        lki_entry_discard(thread, entry);
    lki_segment *tail = lki_load_acquire(&queue->tail);                       /* P13 */
    if (tail != NULL && (int64_t)(lki_load_seq_cst(&tail->word) >> 16) >= ms) /* P14 */
        (void)ms_pass(queue, ms); /* the clock may have come there before the entry */
    return LK_OK;
}

/* Finds a cell for a write. `make`: the caller makes a cell if there is none, so the queue must
 * never generate this key. */
static lk_status
key_find_to_write(lki_store *store, lki_thread *thread, const lk_key *key, bool make,
                  lki_cell **cell)
{
    bool coming = false;
    LK_ASSERT(lki_is_writing(thread) && key->sk.size == LK_ULID_SIZE);
    *cell = NULL;
    if (make) {
        lk_status status = key_avoid(store, thread, key);
        if (status != LK_OK)
            return status;
        coming =
            place_is_coming(store, key); /* before the search, which finds a job published since */
    }
    lk_status status = key_find_record_job(store, thread, key, cell);
    return status == LK_OK && *cell == NULL && coming ? LK_BUSY : status;
}

/* ---- jobs whose items are replaced ---- */

/* The cell of a job in a slot died: its slot is DONE. Caller: holds the latch of the key's
 * shard. */
static void
slot_bury_latched(lki_store *store, lki_thread *thread, lki_queue *queue, const lki_cell *cell)
{
    lki_segment *segment;
    lki_slot *slot =
        queue != NULL ? lki_job_slot(queue, (lk_bytes){lki_cell_sk(cell), cell->sk_size}, &segment)
                      : NULL;
    uint64_t headed = lki_job_word(LKI_IN_RECORD, 0, 0);
    LK_ASSERT(slot != NULL && slot->cell == cell);
    LK_ASSERT(lki_latch_is_held(lki_shard_latch(store, lki_cell_hash(store, cell))));
    if (slot == NULL)
        return;
    uint64_t stamp = lki_load_seq_cst(&store->clock);
    if (lki_cas_seq_cst(&slot->word, &headed, lki_job_word(LKI_DONE, 0, 0) | stamp << 4)) /* P11 */
        lki_slots_finish(segment, thread, 1);
    LK_ASSERT(lki_job_word_phase(headed) == LKI_IN_RECORD); /* a cell dies once */
}

/* A state of a record job was replaced by another one (`stays`), or the job was removed. */
static void
state_left(lki_thread *thread, lki_queue *queue, const lki_cell *cell, const lki_state *state,
           bool stays)
{
    LK_ASSERT(state->phase != LKI_NO_JOB && queue->partition->pk_size == cell->pk_size);
    lki_job_forget(queue, thread, (lk_bytes){lki_cell_sk(cell), cell->sk_size}, state);
    lki_queue_remember_change(queue, thread);
    if (stays)
        return;
    if (lki_cell_is_in_queue(cell))
        lki_queue_place_left(queue, thread);
    else
        lki_queue_key_left(queue);
}

/* A job now has an item that expires. */
static void
expiry_cover(lki_queue *queue, const lki_cell *cell, int64_t expires_at_ms)
{
    lki_segment *segment;
    LK_ASSERT(expires_at_ms != 0); /* that is never */
    if (!lki_cell_is_in_queue(cell))
        lki_next_due_cover(&queue->keyed_expires, lki_expiry_time(expires_at_ms));
    else if (lki_job_slot(queue, (lk_bytes){lki_cell_sk(cell), cell->sk_size}, &segment) != NULL)
        lki_job_cover_expiry(segment, expires_at_ms);
    /* Threads that wait at a closed queue sleep no longer than to the next expiry, and the
     * descriptor shows it. */
    if (lki_load_seq_cst(&queue->closed) != 0 || lki_wait_is_polled(&queue->wait)) /* P16 */
        lki_queue_sooner(queue);
}

static void
job_replaced(lki_store *store, lki_thread *thread, lki_cell *cell, lki_record *record,
             lki_record *by)
{
    LK_ASSERT(lki_is_writing(thread));
    LK_ASSERT(by == NULL || by != record);
    LK_ASSERT(by != NULL ||
              (lki_load_relaxed(&cell->item) == LKI_DEAD && lki_cell_is_in_queue(cell)));
    bool stays = lki_record_is_job(by);
    bool left = lki_record_is_job(record) &&
                (!stays || lki_record_state(by)->identity != lki_record_state(record)->identity);
    bool comes = stays && (record == NULL || lki_record_value(record) != by->source);
    int64_t expires = comes ? lki_record_expires(by) : 0;
    if (by != NULL && !left && expires == 0)
        return;
    lki_queue *queue = lki_queue_find(store, (lk_bytes){cell->bytes, cell->pk_size});
    if (by == NULL)
        slot_bury_latched(store, thread, queue, cell);
    if (queue != NULL && left)
        state_left(thread, queue, cell, lki_record_state(record), stays);
    if (queue != NULL && expires != 0)
        expiry_cover(queue, cell, expires);
}

const lki_hooks lki_queue_hooks = {
    .thread_size = sizeof(lki_queue_thread),
    .thread_end = lki_queue_thread_end,
    .room = sizeof(lki_queues),
    .open = lki_queues_open,
    .close = lki_queues_close,
    .check = lki_queues_check,
    .find = key_find,
    .find_to_write = key_find_to_write,
    .walk = lki_queue_walk_next,
    .replaced = job_replaced,
    .upkeep = lki_queues_upkeep,
    .refresh = lki_queues_refresh,
};
