/* SPDX-License-Identifier: MIT
 *
 * The queue of a partition: made, found, counted, and taken out when it is not needed.
 *
 * A partition points to its queue, and a queue keeps its partition. A queue is taken out when it is
 * empty, was not used for a minute, and is not pinned. Jobs with keys, waiting threads, a
 * descriptor and closing pin it. The list of queues is in the order of their last check, so a look
 * at the first one tells whether any minute is over. Making a queue brings a few such checks, so
 * queues are removed as fast as they are made. Taking out swaps the pins from 0 to DEAD and seals
 * the tail by a compare-and-swap of the segment word that was empty, so that no push, with or
 * without a key, comes in between.
 *
 * Progress    Finding never waits. Making and taking out take latches.
 * Ordering    P13 (queue.h).
 */
#include "queue/queue.h"

#include <string.h>

#include "queue/keyed_position.h"
#include "queue/word.h"
#include "store/record.h"
#include "store/shard.h"
#include "store/sweep.h"

enum { IDLE_MS = 60 * 1000 };

lki_queue *
lki_queue_find(lki_store *store, lk_bytes pk)
{
    const lki_partition *partition = lki_partition_find(store, pk);
    return partition == NULL ? NULL : lki_load_acquire(&partition->queue); /* P13 */
}

lki_queue *
lki_queue_find_slow(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    uint64_t gone = lki_load_seq_cst(&lki_queues_of(store)->gone); /* P13: before the search */
    LK_ASSERT(lki_is_entered(thread) && pk.size != 0);
    const unsigned char *name = pk.data;
    lki_queue_thread *of = lki_queue_thread_of(thread);
    if (of->queues_gone != gone) {
        memset(of->queues, 0, sizeof of->queues);
        of->queues_gone = gone;
    }
    lki_queue *queue = lki_queue_find(store, pk);
    of->queues[name[pk.size - 1] % LKI_QUEUES_KNOWN] = queue;
    return queue;
}

/* ---- made and freed ---- */

static void
queue_free(lki_store *store, lki_queue *queue)
{
    const lki_allocator *allocator = &store->domain.allocator;
    lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    for (size_t i = 0; directory != NULL && i < directory->count; i++) {
        lki_queue_page *page = directory->page[i];
        for (size_t k = 0; k < LKI_PAGE_SEGMENTS; k++) {
            lki_segment *segment = lki_load_acquire(&page->segment[k]); /* P13 */
            if (segment != NULL)
                lki_segment_free(store, segment);
        }
        lki_free(allocator, page, sizeof *page);
    }
    if (directory != NULL)
        lki_free(allocator, directory,
                 sizeof *directory + directory->room * sizeof *directory->page);
    for (size_t i = 0; i < LKI_QUEUE_LINES; i++) {
        lki_queue_line *line = lki_load_acquire(&queue->lines[i]); /* P13 */
        if (line != NULL)
            lki_free_lines(allocator, line, sizeof *line);
    }
    lki_keyed_position_free(store, lki_load_acquire(&queue->keyed_position)); /* P13 */
    lki_order_close(&queue->ready, allocator);
    lki_order_close(&queue->later, allocator);
    lki_order_close(&queue->avoided, allocator);
    lki_wait_close(&queue->wait);
    lki_latch_destroy(&queue->latch);
    lki_free_lines(allocator, queue, sizeof *queue);
}

static bool
queue_dispose(lki_thread *thread, void *object)
{
    LK_ASSERT(((lki_queue *)object)->dead);
    queue_free(lki_thread_store(thread), object);
    return true;
}

static lki_queue *
queue_new(lki_store *store, lki_partition *partition)
{
    lki_queue *queue = lki_alloc_lines(&store->domain.allocator, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->object.dispose = queue_dispose;
    queue->store = store;
    queue->partition = partition;
    /* An ULID's owner: 15 bits of the store, 25 of the queue. */
    uint64_t number = lki_add_seq_cst(&lki_queues_of(store)->count, 1);
    lki_ulid_write(queue->owner, number & 0x1ffffff);
    memcpy(queue->owner, store->ulid_mark, sizeof store->ulid_mark);
    lki_latch_init(&queue->latch, LKI_RANK_INNER);
    lki_store_relaxed(&queue->due, LKI_NEVER);
    lki_store_relaxed(&queue->expires, LKI_NEVER);
    lki_store_relaxed(&queue->keyed_expires, LKI_NEVER);
    queue->used_ms = (int64_t)lki_tick(store);
    return queue;
}

/* Appends to the list: it was checked last. */
static void
queue_append_latched(lki_queues *queues, lki_queue *queue)
{
    LK_ASSERT(lki_latch_is_held(&queues->latch) && !queue->dead);
    queue->next = NULL;
    queue->link = queues->first != NULL ? queues->end : &queues->first;
    *queue->link = queue;
    queues->end = &queue->next;
    lki_store_relaxed(&queues->listed, lki_load_relaxed(&queues->listed) + 1); /* a counter */
}

static void
queue_unlink_latched(lki_queues *queues, lki_queue *queue)
{
    LK_ASSERT(lki_latch_is_held(&queues->latch) && *queue->link == queue);
    LK_ASSERT(lki_load_relaxed(&queues->listed) != 0);
    lki_store_relaxed(&queues->listed, lki_load_relaxed(&queues->listed) - 1); /* a counter */
    *queue->link = queue->next;
    if (queue->next != NULL)
        queue->next->link = queue->link;
    else
        queues->end = queue->link;
    if (queues->next_visit == queue)
        queues->next_visit = queue->next;
}

static void
queue_link(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    lki_queues *queues = lki_queues_of(store);
    lki_latch_take(&queues->latch, thread);
    queue_append_latched(queues, queue);
    lki_latch_drop(&queues->latch);
    lki_sweep_soon(thread); /* so that queues are removed as fast as they are made */
}

lk_status
lki_queue_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk, lki_queue **found)
{
    LK_ASSERT(lki_is_writing(thread));
    for (;;) {
        *found = lki_queue_find_known(store, thread, pk);
        if (LKI_LIKELY(*found != NULL))
            return LK_OK;
        lki_partition *partition =
            lki_reserve(thread, 8) ? lki_partition_find_or_create(store, thread, pk) : NULL;
        if (partition == NULL)
            return LK_NO_MEMORY;
        lki_queue *made = queue_new(store, partition);
        if (made == NULL) {
            lki_partition_bury_if_empty(store, thread, partition);
            return LK_NO_MEMORY;
        }
        lki_latch *latch = lki_partition_latch(store, partition);
        lki_latch_take(latch, thread);
        bool dead = partition->dead, first = false;
        if (!dead && lki_load_acquire(&partition->queue) == NULL) { /* P13 */
            lki_store_release(&partition->queue, made);             /* P13 */
            first = true;
        }
        lki_latch_drop(latch);
        if (first) {
            LK_ASSERT(partition->pk_size == pk.size); /* its key, and not dead */
            queue_link(store, thread, made);
            *found = made;
            return LK_OK;
        }
        queue_free(store, made);
        if (dead)
            lki_shard_wait(store, thread, lki_hash_bytes(&store->secret, pk));
    }
}

lk_status
lki_queue_find_or_create_pinned(lki_store *store, lki_thread *thread, lk_bytes pk, uint64_t pin,
                                lki_queue **queue)
{
    LK_ASSERT(pin == LKI_QUEUE_KEYED || pin == LKI_QUEUE_PIN);
    for (;;) {
        lk_status status = lki_queue_find_or_create(store, thread, pk, queue);
        if (status != LK_OK)
            return status;
        if ((lki_add_seq_cst(&(*queue)->pins, pin) & LKI_QUEUE_DEAD) == 0) /* P16, P21 */
            return LK_OK;
        lki_queue_unpin(*queue, pin); /* it is being taken out; wait for the latch of the shard */
        lki_shard_wait(store, thread, lki_hash_bytes(&store->secret, pk));
    }
}

void
lki_queue_unpin(lki_queue *queue, uint64_t pin)
{
    uint64_t before =
        lki_add_seq_cst(&queue->pins, (uint64_t)0 - pin); /* P16: after the other count */
    LK_ASSERT(before >= pin && (uint32_t)before >= (uint32_t)pin);
    (void)before;
}

/* ---- counters ---- */

lki_queue_line *
lki_queue_line_slow(lki_queue *queue, lki_thread *thread)
{
    if (thread->slot >= LKI_QUEUE_LINES)
        return &queue->shared;
    lki_queue_line *line = lki_alloc_lines(&queue->store->domain.allocator, sizeof *line);
    if (line == NULL)
        return &queue->shared;
    LK_ASSERT(lki_load_relaxed(&queue->lines[thread->slot]) == NULL); /* else counts are lost */
    lki_store_release(&queue->lines[thread->slot], line); /* P13; only this thread writes it */
    return line;
}

uint64_t
lki_queue_sum(lki_queue *queue, enum lki_queue_counter which)
{
    uint64_t sum = lki_load_acquire(&queue->shared.counter[which]); /* P23 */
    for (size_t i = 0; i < LKI_QUEUE_LINES; i++) {
        lki_queue_line *line = lki_load_acquire(&queue->lines[i]); /* P13 */
        if (line != NULL)
            sum += lki_load_acquire(&line->counter[which]); /* P23 */
    }
    return sum;
}

/* ---- taken out ---- */

/* Is only the tail left, if anything, and no entry? */
static bool
queue_is_empty(lki_queue *queue)
{
    const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    const lki_segment *tail = lki_load_acquire(&queue->tail);             /* P13 */
    uint32_t live = 0;
    for (size_t i = 0; directory != NULL && i < directory->count; i++)
        live += lki_load_seq_cst(&directory->page[i]->live); /* P13 */
    return live == (tail != NULL ? 1 : 0) && lki_order_first(&queue->ready) == NULL &&
           lki_order_first(&queue->later) == NULL;
}

/* Ends an unused queue: no thread can reserve a place or pin it afterwards. False: it is needed. */
static bool
queue_end_latched(lki_queue *queue)
{
    uint64_t none = 0;
    LK_ASSERT(lki_latch_is_held(&queue->latch) && !queue->dead);
    if (!queue_is_empty(queue) || !lki_cas_seq_cst(&queue->pins, &none, LKI_QUEUE_DEAD))
        return false;
    lki_segment *tail = lki_load_acquire(&queue->tail);               /* P13 */
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P14 */
    bool ended =
        tail == NULL || (LKI_RESERVED(word) == lki_load_seq_cst(&tail->finished) && /* P14 */
                         lki_swap_seq_cst(&tail->leaving, 1) == 0 &&                /* P14 */
                         lki_cas_seq_cst(&tail->word, &word, word | LKI_SEALED));   /* P14 */
    if (!ended) {
        if (tail != NULL)
            lki_store_seq_cst(&tail->leaving, 0); /* P14: it is not sealed: no ticket is missed */
        lki_queue_unpin(queue, LKI_QUEUE_DEAD);
        return false;
    }
    LK_ASSERT(lki_load_relaxed(&queue->closed) == 0); /* else it was pinned */
    queue->dead = true;
    int64_t last = (int64_t)(word >> 16),
            floor = lki_load_seq_cst(&lki_queues_of(queue->store)->ulid_floor_ms);
    while (floor < last &&
           !lki_cas_seq_cst(&lki_queues_of(queue->store)->ulid_floor_ms, &floor, last)) {}
    return true;
}

/* Bytes of the queue and of all that is freed with it. */
static size_t
queue_size(lki_queue *queue)
{
    const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    size_t size = sizeof *queue + (directory != NULL ? lki_segments_size(directory) : 0);
    for (size_t i = 0; i < LKI_QUEUE_LINES; i++)
        size += lki_load_acquire(&queue->lines[i]) != NULL ? sizeof(lki_queue_line) : 0; /* P13 */
    return size;
}

/* Caller: holds the latches of the queues, of the pk's shard and of the partition, and has reserved
 * retirements. */
static bool
queue_take_out_latched(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    lki_partition *partition = queue->partition;
    LK_ASSERT(lki_latch_is_held(&lki_queues_of(store)->latch));
    LK_ASSERT(lki_latch_is_held(lki_shard_latch(store, lki_half_hash(partition->hash))));
    LK_ASSERT(lki_latch_is_held(lki_partition_latch(store, partition)) && !partition->dead);
    LK_ASSERT(lki_load_relaxed(&partition->queue) == queue && lki_is_reserved(thread, 8));
    if (!lki_latch_try(&queue->latch))
        return false;
    bool ended = queue_end_latched(queue);
    lki_latch_drop(&queue->latch);
    if (!ended)
        return false;
    lki_store_seq_cst(&partition->queue, NULL);      /* P13 */
    lki_add_seq_cst(&lki_queues_of(store)->gone, 1); /* P13: before it is retired */
    queue_unlink_latched(lki_queues_of(store), queue);
    lki_partition_bury_latched(store, thread, partition);
    lki_retire(thread, LKI_OBJECT, queue, queue_size(queue));
    return true;
}

/* Takes the queue out, if it is not needed. Only tries the latches, in the order of their ranks. */
static bool
queue_take_out(lki_store *store, lki_thread *thread, lki_queue *queue)
{
    lki_latch *shard = lki_shard_latch(store, lki_half_hash(queue->partition->hash));
    lki_latch *partition = lki_partition_latch(store, queue->partition);
    bool gone = false;
    if (!lki_reserve(thread, 8) || !lki_latch_try(shard))
        return false;
    if (lki_latch_try(partition)) {
        gone = queue_take_out_latched(store, thread, queue);
        lki_latch_drop(partition);
    }
    lki_latch_drop(shard);
    return gone;
}

/* Checks the queue whose last check is the oldest. If it was used or is needed, its next check is
 * in a minute. False: no queue's minute is over. */
static bool
queue_oldest_look_latched(lki_store *store, lki_thread *thread)
{
    lki_queues *queues = lki_queues_of(store);
    lki_queue *queue = queues->first;
    int64_t now = (int64_t)lki_tick(store);
    LK_ASSERT(lki_latch_is_held(&queues->latch) && lki_is_writing(thread));
    if (queue == NULL || now - queue->used_ms <= IDLE_MS)
        return false;
    bool used = lki_load_relaxed(&queue->used) != 0;
    if (!used && queue_take_out(store, thread, queue))
        return true;
    lki_store_relaxed(&queue->used, 0);
    queue->used_ms = now;
    queue_unlink_latched(queues, queue);
    queue_append_latched(queues, queue);
    return true;
}

size_t
lki_queues_remove_idle(lki_store *store, lki_thread *thread, size_t count)
{
    size_t looks = 0;
    LK_ASSERT(!lki_is_entered(thread));
    for (bool more = true; more && looks < count; looks += more) {
        lki_write_enter(thread);
        more = lki_latch_try(&lki_queues_of(store)->latch);
        if (more) {
            more = queue_oldest_look_latched(store, thread);
            lki_latch_drop(&lki_queues_of(store)->latch);
        }
        lki_write_leave(thread);
    }
    return looks;
}

/* Pins the next queue to visit. NULL: there is none, or another thread holds the latch. */
static lki_queue *
queue_next_pinned(lki_store *store)
{
    lki_queues *queues = lki_queues_of(store);
    if (!lki_latch_try(&queues->latch))
        return NULL;
    lki_queue *queue = queues->next_visit != NULL ? queues->next_visit : queues->first;
    queues->next_visit = queue != NULL ? queue->next : NULL;
    uint64_t pins = queue != NULL ? lki_add_seq_cst(&queue->pins, LKI_QUEUE_PIN) : 0;
    LK_ASSERT((pins & LKI_QUEUE_DEAD) == 0); /* the list has no queue that was taken out */
    (void)pins;
    lki_latch_drop(&queues->latch);
    return queue;
}

void
lki_queues_visit(lki_store *store, lki_thread *thread, size_t count, bool whole,
                 lki_queue_visit visit)
{
    LK_ASSERT(!lki_is_entered(thread));
    for (size_t i = 0; i < count; i++) {
        lki_queue *queue = queue_next_pinned(store);
        if (queue == NULL)
            return;
        bool more = true;
        while (more) {
            lki_write_enter(thread);
            more = visit(store, thread, queue) && whole;
            lki_write_leave(thread);
        }
        lki_queue_unpin(queue, LKI_QUEUE_PIN);
    }
}

static void
segment_empty(lki_store *store, lki_segment *segment)
{
    for (uint32_t i = 0; i < segment->capacity; i++) {
        lki_slot *slot = &segment->slots[i];
        uint64_t word = lki_load_relaxed(&slot->word); /* no other thread is there */
        if (lki_job_word_is_plain(word) || lki_job_word_phase(word) == LKI_IN_RECORD)
            lki_cell_destroy(store, slot->cell);
    }
}

/* A number below 2^15, different from that of the store opened before. */
static uint64_t
store_number(void)
{
    static _Atomic(uint64_t) last;
    return (lki_add_relaxed(&last, 1) + 1) & 0x7fff;
}

void
lki_queues_open(lki_store *store)
{
    lki_queues *queues = lki_queues_of(store);
    lki_latch_init(&queues->latch, LKI_RANK_QUEUES);
    queues->token_mark = store_number() << 48;
}

void
lki_queues_close(lki_store *store)
{
    lki_queues *queues = lki_queues_of(store);
    for (lki_queue *queue = queues->first, *next; queue != NULL; queue = next) {
        next = queue->next;
        const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
        for (lki_segment *segment = lki_queue_segment_from(directory, 0, false); segment != NULL;
             segment = lki_segment_next(segment))
            segment_empty(store, segment);
        queue_free(store, queue);
    }
    lki_latch_destroy(&queues->latch);
}
