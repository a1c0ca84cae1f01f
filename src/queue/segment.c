/* SPDX-License-Identifier: MIT
 *
 * Segments of a queue: places are reserved in order, found by number, and given up; segments are
 * made and freed.
 *
 *   lki_places_reserve  one compare-and-swap of the tail's segment word {ms, sealed, slots
 *                       reserved}
 *   queue_grow_latched  under the queue's latch, in this order: make new segments; seal the old
 *                       tail; enter the new ones into their pages and the directory; link them;
 *                       move the tail
 *   lki_slots_finish    the last DONE slot of a sealed segment retires it. Two epochs later it
 *                       leaves its page; two more, and no head segment can point to it; two more,
 *                       and it is freed
 *
 * The segments are a linked list with one compare-and-swap per element, after Michael, Scott,
 * "Simple, Fast, and Practical Non-Blocking and Blocking Concurrent Queue Algorithms", 1996.
 *
 * Progress    Reserving in a segment with room, finding and finishing are lock-free. Growing takes
 *             the queue's latch.
 * Invariants  I-segment1: the ms in a segment word never falls and begins with its predecessor's,
 *             and each place is given out once; so ULIDs strictly increase.
 *             I-segment2: a segment leaves its page two epochs after its last slot was given up; by
 *             then no section has a snapshot that could see a job in it.
 *             I-segment3: the head segment does not stay on a segment that leaves.
 * Ordering    P13, P14 (queue.h).
 */
#include "queue/queue.h"

#include <string.h>

#include "queue/word.h"

enum { SLOTS_FIRST = LKI_OR_SMALL(16, 1), SLOTS_SECOND = LKI_OR_SMALL(128, 2) };

static size_t
segment_head_size(uint32_t capacity)
{
    return sizeof(lki_segment) + capacity * sizeof(lki_slot);
}

static size_t
segment_size(const lki_segment *segment)
{
    return segment_head_size(segment->capacity) + (size_t)segment->capacity * segment->cell_size;
}

void
lki_segment_free(lki_store *store, lki_segment *segment)
{
    lki_free_lines(&store->domain.allocator, segment, segment_size(segment));
}

/* For assertions: has each place been given out, and its job been removed? */
static bool
segment_is_over(lki_segment *segment)
{
    uint64_t word = lki_load_relaxed(&segment->word); /* it does not change any more */
    return (word & LKI_SEALED) != 0 &&
           lki_load_relaxed(&segment->finished) == LKI_RESERVED(word); /* nor does that */
}

static bool
segment_dispose(lki_thread *thread, void *object)
{
    LK_ASSERT(segment_is_over(object));
    lki_segment_free(lki_thread_store(thread), object);
    return true;
}

static bool
page_dispose(lki_thread *thread, void *object)
{
    lki_free(&thread->allocator, object, sizeof(lki_queue_page));
    return true;
}

static size_t
directory_size(size_t count)
{
    return sizeof(lki_directory) + count * sizeof(lki_queue_page *);
}

size_t
lki_segments_size(const lki_directory *directory)
{
    size_t size = directory_size(directory->room);
    for (size_t i = 0; i < directory->count; i++) {
        size += sizeof(lki_queue_page);
        for (size_t k = 0; k < LKI_PAGE_SEGMENTS; k++) {
            const lki_segment *segment =
                lki_load_acquire(&directory->page[i]->segment[k]); /* P13 */
            size += segment != NULL ? segment_size(segment) : 0;
        }
    }
    return size;
}

static bool
directory_dispose(lki_thread *thread, void *object)
{
    lki_free(&thread->allocator, object, directory_size(((lki_directory *)object)->room));
    return true;
}

/* ---- the directory ---- */

/* A page without live segments gets no new ones: the last segment of a queue stays live in its page
 * until its successor is live. */
static bool
page_is_over(lki_queue_page *page)
{
    return lki_load_seq_cst(&page->live) == 0; /* P13 */
}

/* Makes a directory with the pages that are still used and room for `added` more. NULL: no
 * memory. */
static lki_directory *
directory_copy(lki_queue *queue, size_t added)
{
    const lki_directory *old = lki_load_acquire(&queue->directory); /* P13 */
    size_t room = added + (old != NULL ? old->count : 0);
    lki_directory *made = lki_alloc_zeroed(&queue->store->domain.allocator, directory_size(room));
    if (made == NULL)
        return NULL;
    LK_ASSERT(lki_latch_is_held(&queue->latch));
    made->object.dispose = directory_dispose;
    made->room = room;
    for (size_t i = 0; old != NULL && i < old->count; i++)
        if (!page_is_over(old->page[i]))
            made->page[made->count++] = old->page[i];
    return made;
}

/* Puts `made` in place and retires the pages that it lacks. Caller: has reserved the
 * retirements. */
static void
directory_replace_latched(lki_queue *queue, lki_thread *thread, lki_directory *made)
{
    lki_directory *old = lki_load_acquire(&queue->directory); /* P13 */
    LK_ASSERT(lki_latch_is_held(&queue->latch));
    LK_ASSERT(old == NULL || lki_is_reserved(thread, old->count + 1));
    lki_store_seq_cst(&queue->directory, made); /* P13 */
    for (size_t i = 0, kept = 0; old != NULL && i < old->count; i++)
        if (made->page[kept] == old->page[i]) /* same order, and there is room */
            kept++;
        else
            lki_retire(thread, LKI_OBJECT, old->page[i], sizeof(lki_queue_page));
    if (old != NULL)
        lki_retire(thread, LKI_OBJECT, old, directory_size(old->room));
}

static void
directory_trim_latched(lki_queue *queue, lki_thread *thread)
{
    const lki_directory *old = lki_load_acquire(&queue->directory); /* P13 */
    if (!lki_reserve(thread, old->count + 4))
        return; /* the next new page will trim */
    lki_directory *made = directory_copy(queue, 0);
    if (made != NULL)
        directory_replace_latched(queue, thread, made);
}

/* Index of the first page that ends above a segment number. */
static size_t
directory_position(const lki_directory *directory, uint64_t number)
{
    size_t low = 0, high = directory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (directory->page[middle]->first + LKI_PAGE_SEGMENTS <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static lki_segment *
page_segment(lki_queue_page *page, uint64_t number)
{
    return lki_load_acquire(&page->segment[number % LKI_PAGE_SEGMENTS]); /* P13 */
}

lki_segment *
lki_queue_segment_from(const lki_directory *directory, uint64_t number, bool reverse)
{
    if (directory == NULL)
        return NULL;
    size_t at = directory_position(directory, number);
    if (reverse) {
        if (at == directory->count || directory->page[at]->first > number) {
            if (at-- == 0)
                return NULL;
            number = directory->page[at]->first + LKI_PAGE_SEGMENTS - 1;
        }
        for (;;) {
            lki_segment *segment = page_segment(directory->page[at], number);
            if (segment != NULL)
                return segment;
            if (number-- != directory->page[at]->first)
                continue;
            if (at-- == 0)
                return NULL;
            number = directory->page[at]->first + LKI_PAGE_SEGMENTS - 1;
        }
    }
    for (; at < directory->count; at++) {
        if (number < directory->page[at]->first)
            number = directory->page[at]->first;
        for (; number < directory->page[at]->first + LKI_PAGE_SEGMENTS; number++) {
            lki_segment *segment = page_segment(directory->page[at], number);
            if (segment != NULL)
                return segment;
        }
    }
    return NULL;
}

lki_slot *
lki_queue_slot_slow(lki_queue *queue, uint64_t place, lki_segment **found)
{
    uint64_t number = place >> LKI_SEGMENT_BITS;
    uint32_t index = (uint32_t)place & ((1u << LKI_SEGMENT_BITS) - 1);
    const uint64_t mask = LKI_ULID_MASK >> LKI_SEGMENT_BITS;
    lki_segment *segment = lki_load_acquire(&queue->tail); /* P13 */
    if (segment == NULL)
        return NULL;
    const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    number = segment->number - ((segment->number - number) & mask);
    if (number != segment->number) {
        size_t at = directory_position(directory, number);
        if (at == directory->count || number < directory->page[at]->first)
            return NULL;
        segment = page_segment(directory->page[at], number);
    }
    if (segment == NULL || index >= segment->capacity)
        return NULL;
    *found = segment;
    return &segment->slots[index];
}

uint64_t
lki_slot_look(lki_segment *segment, lki_slot *slot)
{
    uint64_t word = lki_load_acquire(&slot->word); /* P11 */
    LK_ASSERT(slot >= segment->slots && slot < segment->slots + segment->capacity);
    if (LKI_LIKELY(word != LKI_JOB_WORD_EMPTY) ||
        slot - segment->slots >=
            (ptrdiff_t)LKI_RESERVED(lki_load_seq_cst(&segment->word))) /* P14 */
        return word;
    uint64_t passed = lki_job_word(LKI_PASSED, 0, 0);
    LK_ASSERT(lki_job_word_may_become(word, passed));
    return lki_cas_seq_cst(&slot->word, &word, passed) ? passed : word; /* P11 */
}

/* ---- the end of a segment ---- */

/* The search goes through the directory, page by page. A large push enters several segments in
 * order, so a search that began before the first was entered may find the second one. If the found
 * number is not the next one, a second search finds those in between, unless they have left. NULL:
 * there is none, or not yet. */
lki_segment *
lki_segment_next(const lki_segment *segment)
{
    const lki_directory *directory = lki_load_acquire(&segment->queue->directory); /* P13 */
    uint64_t number = segment->number + 1;
    lki_segment *next = lki_queue_segment_from(directory, number, false);
    if (LKI_UNLIKELY(next != NULL && next->number != number))
        next = lki_queue_segment_from(directory, number, false);
    return next;
}

/* Moves the head segment on, if it is this one. */
static void
head_segment_pass(lki_segment *segment)
{
    lki_segment *front = segment;
    if (lki_load_seq_cst(&segment->queue->head_segment) == segment)                        /* P13 */
        lki_cas_seq_cst(&segment->queue->head_segment, &front, lki_segment_next(segment)); /* P13 */
}

/* Runs two epochs after the segment left its page. No thread is left that saw it there and could
 * still move the head segment to it. Threads that found it as the head segment are covered by the
 * next two epochs. */
static bool
segment_retire(lki_thread *thread, void *object)
{
    lki_segment *segment = object;
    if (lki_thread_store(thread)->closing)
        return segment_dispose(thread, segment);
    if (!lki_reserve(thread, 4))
        return false;
    LK_ASSERT(segment_is_over(segment) && lki_load_relaxed(&segment->leaving) == 1);
    lki_queue *queue = segment->queue;
    lki_queue_page *page = segment->page;
    head_segment_pass(segment);
    LK_ASSERT(lki_load_relaxed(&queue->head_segment) != segment); /* I-segment3 */
    segment->object.dispose = segment_dispose;
    lki_retire(thread, LKI_OBJECT, segment, segment_size(segment));
    /* P13: the last step: then page and queue may go */
    uint32_t live = lki_add_seq_cst(&page->live, (uint32_t)-1);
    LK_ASSERT(live != 0 && live <= LKI_PAGE_SEGMENTS);
    (void)live;
    if (page_is_over(page) && lki_latch_try(&queue->latch)) {
        directory_trim_latched(queue, thread);
        lki_latch_drop(&queue->latch);
    }
    return true;
}

/* Runs two epochs after its last slot was given up: no snapshot is left that has a job of it. */
static bool
segment_leave(lki_thread *thread, void *object)
{
    lki_segment *segment = object;
    if (lki_thread_store(thread)->closing)
        return true; /* it stays in its page and is freed with the queue */
    if (!lki_reserve(thread, 4))
        return false;
    lki_queue_page *page = segment->page;
    size_t at = segment->number % LKI_PAGE_SEGMENTS;
    LK_ASSERT(segment_is_over(segment));
    LK_ASSERT(lki_load_relaxed(&page->segment[at]) == segment); /* it leaves once */
    lki_store_seq_cst(&page->segment[at], NULL);                /* P13 */
    lki_store_seq_cst(&page->due[at], LKI_NEVER);               /* P12: no word of it is live */
    lki_store_seq_cst(&page->expires[at], LKI_NEVER);           /* P12 */
    head_segment_pass(segment);
    segment->object.dispose = segment_retire;
    lki_retire(thread, LKI_OBJECT, segment, segment_size(segment));
    return true;
}

void
lki_segment_leave(lki_segment *segment, lki_thread *thread)
{
    LK_ASSERT(segment_is_over(segment));
    if (lki_swap_seq_cst(&segment->leaving, 1) == 0) /* P14 */
        lki_retire(thread, LKI_OBJECT, segment, segment_size(segment));
}

/* ---- growth ---- */

/* The objects that a growth makes before any of them can be seen. */
typedef struct growth {
    lki_segment *first, *last;
    lki_directory *directory;
    size_t segments, kept; /* `kept`: pages of the directory that are not new */
} growth;

static lki_queue_page *
page_new(lki_queue *queue, uint64_t first)
{
    lki_queue_page *page = lki_alloc_zeroed(&queue->store->domain.allocator, sizeof *page);
    if (page == NULL)
        return NULL;
    page->object.dispose = page_dispose;
    page->first = first;
    for (size_t i = 0; i < LKI_PAGE_SEGMENTS; i++) {
        lki_store_relaxed(&page->due[i], LKI_NEVER); /* P12: not published yet */
        lki_store_relaxed(&page->expires[i], LKI_NEVER);
    }
    return page;
}

static lki_segment *
segment_new(lki_queue *queue, uint32_t capacity, uint32_t cell_size, uint64_t number)
{
    size_t head = segment_head_size(capacity);
    lki_segment *segment = lki_alloc_lines_partly(&queue->store->domain.allocator,
                                                  head + (size_t)capacity * cell_size, head);
    if (segment == NULL)
        return NULL;
    segment->object.dispose = segment_leave;
    segment->capacity = capacity;
    segment->cell_size = cell_size;
    segment->cells = (unsigned char *)segment + head;
    segment->number = number;
    segment->queue = queue;
    memcpy(segment->text, queue->owner, LKI_ULID_WORD);
    lki_ulid_write(segment->text + LKI_ULID_WORD, (number << LKI_SEGMENT_BITS) & LKI_ULID_MASK);
    return segment;
}

static void
growth_discard(lki_queue *queue, growth *g)
{
    const lki_allocator *allocator = &queue->store->domain.allocator;
    for (lki_segment *s = g->first, *next; s != NULL; s = next) {
        next = lki_load_relaxed(&s->next); /* not published */
        lki_segment_free(queue->store, s);
    }
    for (size_t i = g->kept; g->directory != NULL && i < g->directory->count; i++)
        lki_free(allocator, g->directory->page[i], sizeof(lki_queue_page));
    if (g->directory != NULL)
        lki_free(allocator, g->directory, directory_size(g->directory->room));
}

/* Makes a directory with pages for the segments from `first` up to `end`. */
static bool
growth_pages_latched(lki_queue *queue, growth *g, uint64_t first, uint64_t end)
{
    if (first >= end)
        return true;
    g->directory = directory_copy(queue, (size_t)((end - first) / LKI_PAGE_SEGMENTS) + 1);
    if (g->directory == NULL)
        return false;
    g->kept = g->directory->count;
    for (; first < end; first += LKI_PAGE_SEGMENTS) {
        lki_queue_page *page = page_new(queue, first);
        if (page == NULL)
            return false;
        LK_ASSERT(g->directory->count < g->directory->room && first % LKI_PAGE_SEGMENTS == 0);
        LK_ASSERT(g->directory->count == 0 ||
                  g->directory->page[g->directory->count - 1]->first < first);
        g->directory->page[g->directory->count++] = page;
    }
    return true;
}

/* Makes segments for `count` places behind `tail` (NULL: the first of the queue), and their
 * pages. */
static bool
growth_make_latched(lki_queue *queue, const lki_segment *tail, size_t count, size_t cell_size,
                    growth *g)
{
    uint64_t number = tail != NULL ? tail->number + 1 : 0;
    uint32_t capacity = tail == NULL                    ? SLOTS_FIRST
                        : tail->capacity < SLOTS_SECOND ? SLOTS_SECOND
                                                        : LKI_SEGMENT_SLOTS;
    LK_ASSERT(count != 0 && lki_latch_is_held(&queue->latch));
    if (count > capacity)
        capacity = LKI_SEGMENT_SLOTS;
    g->segments = (count + capacity - 1) / capacity;
    uint64_t have = tail != NULL ? tail->page->first + LKI_PAGE_SEGMENTS : 0;
    if (!growth_pages_latched(queue, g, have, number + g->segments))
        return false;
    for (size_t i = 0; i < g->segments; i++) {
        lki_segment *segment =
            segment_new(queue, capacity, (uint32_t)((cell_size + 15) & ~(size_t)15), number + i);
        if (segment == NULL)
            return false;
        if (g->last != NULL)
            lki_store_relaxed(&g->last->next, segment); /* not published yet */
        else
            g->first = segment;
        g->last = segment;
    }
    return true;
}

/* Publishes the new segments, in which `count` places are reserved. */
static void
growth_plant_latched(lki_queue *queue, lki_thread *thread, lki_segment *tail, growth *g,
                     uint64_t before, int64_t ms, size_t count)
{
    LK_ASSERT(lki_latch_is_held(&queue->latch) && ms <= LKI_ULID_MS_MAX);
    /* I-segment1: the tail is sealed, so its word does not change any more */
    LK_ASSERT(tail == NULL || (uint64_t)ms >= lki_load_relaxed(&tail->word) >> 16);
    LK_ASSERT(tail == NULL || g->first->number == tail->number + 1);
    if (g->directory != NULL)
        directory_replace_latched(queue, thread, g->directory);
    const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    for (lki_segment *s = g->first; s != NULL; s = lki_load_relaxed(&s->next)) {
        size_t here = count < s->capacity ? count : s->capacity;
        bool sealed = s != g->last || lki_load_acquire(&queue->closed) != 0; /* P16 */
        if (sealed && s == g->last)
            lki_store_relaxed(&s->leaving, 1); /* not published yet; it stays with the queue */
        s->before = before;
        s->first_ms = ms;
        s->page = directory->page[directory_position(directory, s->number)];
        s->due = &s->page->due[s->number % LKI_PAGE_SEGMENTS];
        LK_ASSERT(s->page->first == s->number - s->number % LKI_PAGE_SEGMENTS && here != 0);
        LK_ASSERT(lki_load_relaxed(&s->page->segment[s->number % LKI_PAGE_SEGMENTS]) == NULL);
        lki_store_relaxed(&s->word, (uint64_t)ms << 16 | (sealed ? LKI_SEALED : 0) | here);
        lki_add_seq_cst(&s->page->live, 1);                                     /* P13 */
        lki_store_seq_cst(&s->page->segment[s->number % LKI_PAGE_SEGMENTS], s); /* P13 */
        before += here;
        count -= here;
    }
    LK_ASSERT(count == 0);
    if (tail != NULL)
        lki_store_seq_cst(&tail->next, g->first); /* P13 */
    else
        lki_store_seq_cst(&queue->head_segment, g->first); /* P13 */
}

void
lki_queue_seal_latched(lki_queue *queue)
{
    lki_segment *tail = lki_load_acquire(&queue->tail); /* P13 */
    LK_ASSERT(lki_latch_is_held(&queue->latch));
    if (tail == NULL)
        return;
    LK_ASSERT((lki_load_relaxed(&tail->word) & LKI_SEALED) ==
              0);                            /* only the latch's holder seals */
    lki_store_seq_cst(&tail->leaving, 1);    /* P14: no ticket for it */
    lki_or_seq_cst(&tail->word, LKI_SEALED); /* P14 */
}

/* Has the tail room for `count` places? Under the latch of an open queue its tail is not sealed. */
static bool
has_room(lki_segment *tail, size_t count)
{
    return count <= tail->capacity - LKI_RESERVED(lki_load_seq_cst(&tail->word)); /* P14 */
}

/* The first ms from `ms` on that no user key avoids (hooks.c: key_avoid). Avoided times below
 * `passed` are removed, up to AT_ONCE of them. */
static LKI_COLD int64_t
ms_avoid(lki_queue *queue, lki_thread *thread, int64_t ms, int64_t passed)
{
    enum { AT_ONCE = 64 };
    const lk_bytes none = {"", 0};
    const lki_entry *entry = lki_order_first(&queue->avoided);
    for (int i = 0; i < AT_ONCE && entry != NULL && (int64_t)entry->rank < passed; i++) {
        if (!lki_reserve(thread, 8))
            break;
        (void)lki_order_remove(&queue->avoided, thread, entry->rank, none, 0);
        entry = lki_order_next(entry);
    }
    for (; entry != NULL && (int64_t)entry->rank <= ms; entry = lki_order_next(entry))
        ms += (int64_t)entry->rank == ms;
    return ms;
}

/* The ms with which the next segment begins. The ULIDs of a new queue begin above those of earlier
 * queues of that name. */
static int64_t
growth_ms(lki_queue *queue, const lki_segment *tail, uint64_t word, int64_t ms)
{
    int64_t least = tail != NULL
                        ? (int64_t)(word >> 16)
                        : lki_load_seq_cst(&lki_queues_of(queue->store)->ulid_floor_ms) + 1;
    const uint64_t mask = LKI_ULID_MASK >> LKI_SEGMENT_BITS;
    if (tail != NULL && ((tail->number + 1) & mask) == 0)
        least++; /* the place wraps to 0, so ms has to grow */
    if (ms < least)
        ms = least;
    return ms < LKI_ULID_MS_MAX ? ms : LKI_ULID_MS_MAX;
}

static lk_status
queue_grow_latched(lki_queue *queue, lki_thread *thread, size_t count, int64_t ms, size_t max_depth,
                   size_t cell_size, bool even_closed, lki_places *places)
{
    growth g = {NULL, NULL, NULL, 0, 0};
    lki_segment *tail = lki_load_acquire(&queue->tail); /* P13 */
    LK_ASSERT(lki_latch_is_held(&queue->latch) && lki_is_writing(thread));
    if (queue->dead)
        return LK_NOT_FOUND;
    if (lki_load_acquire(&queue->closed) != 0 && !even_closed) /* P13 */
        return LK_CLOSED;
    if (tail != NULL && has_room(tail, count))
        return LK_RACE;
    const lki_directory *directory = lki_load_acquire(&queue->directory); /* P13 */
    bool made = lki_reserve(thread, (directory != NULL ? directory->count : 0) + 8) &&
                growth_make_latched(queue, tail, count, cell_size, &g);
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P14 */
    lk_status status = made ? LK_OK : LK_NO_MEMORY;
    /* Seals the tail, if the depth that was checked has not changed. A thread that finds it sealed
     * without a successor waits for the latch. */
    do
        if (made && max_depth != 0 && lki_queue_depth(queue, tail, word) + count > max_depth)
            status = LK_BUSY;
    while (status == LK_OK && tail != NULL &&
           !lki_cas_seq_cst(&tail->word, &word, word | LKI_SEALED)); /* P14 */
    if (status != LK_OK) {
        growth_discard(queue, &g);
        return status;
    }
    ms = growth_ms(queue, tail, word, ms);
    if (LKI_UNLIKELY(lki_order_first(&queue->avoided) != NULL))
        ms = ms_avoid(queue, thread, ms, (int64_t)(word >> 16));
    growth_plant_latched(queue, thread, tail, &g,
                         tail != NULL ? tail->before + LKI_RESERVED(word) : 0, ms, count);
    *places = (lki_places){g.first, 0, ms};
    lki_store_seq_cst(&queue->tail, g.last); /* P13, P21 */
    if (tail != NULL && even_closed)
        lki_store_seq_cst(&tail->leaving, 0); /* P14: it may leave now */
    if (tail != NULL)
        lki_slots_finish(tail, thread, 0);
    return LK_OK;
}

uint64_t
lki_queue_places(lki_queue *queue, const lki_segment *tail, uint64_t word)
{
    return (tail != NULL ? tail->before + LKI_RESERVED(word) : 0) +
           lki_load_seq_cst(&queue->returned); /* P16: after the pins */
}

uint64_t
lki_queue_depth(lki_queue *queue, const lki_segment *tail, uint64_t word)
{
    uint64_t removed = lki_queue_sum(queue, LKI_QUEUE_REMOVED);
    lki_store_relaxed(&queue->removed_seen, removed);
    uint64_t keyed = (uint32_t)lki_load_seq_cst(&queue->pins); /* the low half */
    uint64_t places = lki_queue_places(queue, tail, word);
    /* Jobs may have been added and removed since the word was read. */
    return (places > removed ? places - removed : 0) + keyed;
}

static uint64_t
places_now(lki_queue *queue)
{
    lki_segment *tail = lki_load_seq_cst(&queue->tail);               /* P21 */
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P21 */
    return lki_queue_places(queue, tail, word);
}

/* Both counts, of places and of removed jobs, only grow. Read before and after the count of jobs
 * with keys, they bound what they were at that instant. Removed jobs are counted before the places
 * (P23). The loop repeats only if jobs that were added or removed meanwhile leave the answer
 * open. */
bool
lki_queue_is_deeper(lki_queue *queue, size_t max_depth, size_t but)
{
    /* Far more than any queue holds, and the sums below cannot overflow. */
    uint64_t most = (max_depth < INT64_MAX ? max_depth : INT64_MAX) + (uint64_t)but;
    uint64_t removed = lki_queue_sum(queue, LKI_QUEUE_REMOVED), places = places_now(queue);
    for (;;) {
        uint64_t keyed = (uint32_t)lki_load_seq_cst(&queue->pins); /* P21: the low half */
        uint64_t places_after = places_now(queue);
        if (places_after + keyed <= most + removed)
            return false;
        uint64_t removed_after = lki_queue_sum(queue, LKI_QUEUE_REMOVED);
        if (places + keyed > most + removed_after)
            return true;
        places = places_after;
        removed = removed_after;
    }
}

/* Would `count` more jobs be too many? The count of removed jobs that was last seen may already
 * tell that they are not. */
static bool
is_too_deep(lki_queue *queue, const lki_segment *tail, uint64_t word, size_t count,
            size_t max_depth)
{
    uint64_t keyed = (uint32_t)lki_load_seq_cst(&queue->pins);
    uint64_t places = lki_queue_places(queue, tail, word);
    if (places - lki_load_relaxed(&queue->removed_seen) + keyed + count <= max_depth)
        return false;
    return lki_queue_depth(queue, tail, word) + count > max_depth;
}

lk_status
lki_places_reserve(lki_queue *queue, lki_thread *thread, size_t count, int64_t ms, size_t max_depth,
                   size_t cell_size, lki_places *places)
{
    LK_ASSERT(count != 0 && lki_is_writing(thread));
    if (LKI_UNLIKELY(ms > LKI_ULID_MS_MAX))
        ms = LKI_ULID_MS_MAX;
    for (;;) {
        lki_segment *tail = lki_load_acquire(&queue->tail);                        /* P13 */
        uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : LKI_SEALED; /* P14 */
        uint32_t slot = LKI_RESERVED(word);
        if (LKI_UNLIKELY((word & LKI_SEALED) != 0 || count > tail->capacity - slot)) {
            lki_latch_take(&queue->latch, thread);
            lk_status status =
                queue_grow_latched(queue, thread, count, ms, max_depth, cell_size, false, places);
            lki_latch_drop(&queue->latch);
            if (status == LK_RACE)
                continue;
            return status;
        }
        if (max_depth != 0 && is_too_deep(queue, tail, word, count, max_depth))
            return LK_BUSY;
        int64_t later = (int64_t)(word >> 16) > ms ? (int64_t)(word >> 16) : ms;
        if (LKI_UNLIKELY(lki_order_first(&queue->avoided) != NULL))
            later = ms_avoid(queue, thread, later, (int64_t)(word >> 16));
        LK_ASSERT(later >= (int64_t)(word >> 16) && later <= LKI_ULID_MS_MAX); /* I-segment1 */
        if (LKI_LIKELY(lki_cas_seq_cst(&tail->word, &word,
                                       (uint64_t)later << 16 | (slot + count)))) { /* P14, P21 */
            *places = (lki_places){tail, slot, later};
            return LK_OK;
        }
    }
}

lk_status
lki_places_reserve_closed(lki_queue *queue, lki_thread *thread, int64_t ms, lki_places *places)
{
    lki_latch_take(&queue->latch, thread);
    lk_status status;
    lki_segment *tail = lki_load_acquire(&queue->tail);               /* P13 */
    uint64_t word = tail != NULL ? lki_load_seq_cst(&tail->word) : 0; /* P14 */
    LK_ASSERT(lki_load_relaxed(&queue->closed) != 0);                 /* written under the latch */
    if (tail != NULL && LKI_RESERVED(word) < tail->capacity) {
        LK_ASSERT((word & LKI_SEALED) != 0 && lki_load_relaxed(&tail->leaving) == 1);
        /* It is sealed: only the latch's owner gives out more of it. */
        ms = growth_ms(queue, tail, word, ms);
        ms = ms_avoid(queue, thread, ms, (int64_t)(word >> 16));
        *places = (lki_places){tail, LKI_RESERVED(word), ms};
        lki_store_seq_cst(&tail->word,
                          (uint64_t)ms << 16 | LKI_SEALED | (LKI_RESERVED(word) + 1)); /* P14 */
        status = LK_OK;
    } else {
        status = queue_grow_latched(queue, thread, 1, ms, 0, 0, true, places);
    }
    lki_latch_drop(&queue->latch);
    return status;
}

void
lki_sk_write(unsigned char *sk, const lki_segment *segment, uint32_t slot, int64_t ms)
{
    lki_ulid_write_ms(sk, ms);
    lki_sk_write_place(sk, segment, slot);
}
