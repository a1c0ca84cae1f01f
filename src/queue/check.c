/* SPDX-License-Identifier: MIT
 *
 * See check.h. All accesses are relaxed: no other thread is there.
 */
#include "queue/check.h"

#include "queue/job.h"
#include "queue/queue.h"
#include "queue/word.h"

/* What the slots of a queue ask of its set of ready entries. */
typedef struct check {
    lki_queue *queue;
    size_t made_ready; /* jobs in slots that need a ready entry */
} check;

/* Is a plain job visible without being FRONT? Then only a ready entry leads to it. */
static bool
word_needs_entry(uint64_t word)
{
    return lki_job_word_is_plain(word) && !lki_job_word_is_timed(word) &&
           lki_job_word_phase(word) != LKI_FRONT;
}

static void
slot_check(check *c, const lki_segment *segment, uint32_t i, uint64_t word)
{
    const lki_cell *cell = segment->slots[i].cell;
    uint64_t time = word >> LKI_TIME_SHIFT;
    unsigned char text[LK_ULID_SIZE];
    if (!lki_job_word_is_plain(word) && lki_job_word_phase(word) != LKI_IN_RECORD)
        return;
    lki_sk_write_place(text, segment, i);
    LK_ASSERT(lki_cell_is_in_queue(cell) && cell->sk_size == LK_ULID_SIZE);
    LK_ASSERT(memcmp(lki_cell_sk(cell) + LKI_ULID_OWNER, text + LKI_ULID_OWNER,
                     LK_ULID_SIZE - LKI_ULID_OWNER) == 0); /* I-segment1 */
    LK_ASSERT(lki_job_word_phase(word) != LKI_FRONT || i >= lki_load_relaxed(&segment->cursor));
    if (lki_job_word_is_timed(word)) {
        LK_ASSERT(lki_next_due_time(segment->due) <= time);   /* P12 */
        LK_ASSERT(lki_next_due_time(&c->queue->due) <= time); /* P12 */
    }
    c->made_ready += word_needs_entry(word);
    (void)cell;
    (void)time;
}

static void
segment_check(check *c, const lki_segment *segment)
{
    uint32_t reserved = LKI_RESERVED(lki_load_relaxed(&segment->word)), done = 0;
    LK_ASSERT(segment->queue == c->queue && reserved <= segment->capacity);
    for (uint32_t i = 0; i < segment->capacity; i++) {
        uint64_t word = lki_load_relaxed(&segment->slots[i].word);
        LK_ASSERT(i < reserved || word == LKI_JOB_WORD_EMPTY);
        done += lki_job_word_phase(word) == LKI_DONE;
        slot_check(c, segment, i, word);
    }
    LK_ASSERT(lki_load_relaxed(&segment->finished) <= done);
    (void)done;
}

/* Segments in the order of their numbers, so of their places and times. */
static void
segments_check(check *c)
{
    const lki_directory *directory = lki_load_relaxed(&c->queue->directory);
    const lki_segment *last = NULL;
    lki_segment *segment = lki_queue_segment_from(directory, 0, false);
    for (; segment != NULL; last = segment, segment = lki_segment_next(segment)) {
        LK_ASSERT(last == NULL || last->number < segment->number);
        LK_ASSERT(last == NULL || last->before < segment->before);
        LK_ASSERT(last == NULL || last->first_ms <= segment->first_ms); /* I-segment1 */
        segment_check(c, segment);
    }
}

/* Each job that needs a ready entry has one. Other entries may be stale. */
static void
ready_check(const check *c)
{
    size_t found = 0;
    const lki_entry *entry = lki_order_first(&c->queue->ready);
    for (; entry != NULL; entry = lki_order_next(entry)) {
        lk_bytes sk = {lki_entry_key(entry), entry->size};
        lki_segment *segment;
        lki_slot *slot = lki_job_slot(c->queue, sk, &segment);
        if (slot == NULL)
            continue;
        uint64_t word = lki_load_relaxed(&slot->word) & ~LKI_JOB_WORD_PINNED;
        found += word_needs_entry(word) && word == entry->to;
    }
    LK_ASSERT(found == c->made_ready);
    (void)found;
}

static void
queue_check(lki_queue *queue)
{
    check c = {.queue = queue};
    LK_ASSERT(!queue->dead && *queue->link == queue);
    LK_ASSERT(!queue->partition->dead);
    LK_ASSERT(lki_load_relaxed(&queue->partition->queue) == queue);
    LK_ASSERT((lki_load_relaxed(&queue->pins) & LKI_QUEUE_DEAD) == 0);
    LK_ASSERT(lki_order_check(&queue->ready) != SIZE_MAX);
    LK_ASSERT(lki_order_check(&queue->later) != SIZE_MAX);
    LK_ASSERT(lki_order_check(&queue->avoided) != SIZE_MAX);
    const lki_segment *tail = lki_load_relaxed(&queue->tail);
    LK_ASSERT(lki_queue_sum(queue, LKI_QUEUE_REMOVED) <=
              lki_queue_places(queue, tail, tail != NULL ? lki_load_relaxed(&tail->word) : 0));
    (void)tail;
    segments_check(&c);
    ready_check(&c);
}

void
lki_queues_check(lki_store *store)
{
    const lki_queues *queues = lki_queues_of(store);
    size_t count = 0;
    for (lki_queue *queue = queues->first; queue != NULL; queue = queue->next, count++)
        queue_check(queue);
    LK_ASSERT(count == lki_load_relaxed(&queues->listed));
    (void)count;
}
