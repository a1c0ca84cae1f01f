/* SPDX-License-Identifier: MIT
 *
 * Segments of a queue from the inside: what the directory finds, against a look at all of it; how a
 * queue grows, and what is left when its jobs are gone; depth to the exact job; ULIDs where the
 * clock, or the numbers of places, come to their ends.
 */
#include "adapter/handle.h"
#include "queue/job.h"

#include "support/inside.h"
#include "support/jobs.h" /* its `job` would be hidden by parameters of job.h */

enum { FIRST = 16, SECOND = 128, FULL = LKI_SEGMENT_SLOTS, OF_PAGE = LKI_PAGE_SEGMENTS };
static const uint64_t number_mask = LKI_ULID_MASK >> LKI_SEGMENT_BITS;

/* ---- a directory that is made by hand ---- */

enum { PAGES = 4, ROUNDS = 40, SHIFT = 3 };
static const uint64_t page_numbers[PAGES] = {2, 3, 7, 8};

typedef struct made {
    lki_queue queue;
    lki_directory *directory;
} made;

static lki_segment *
made_segment(uint64_t number, uint32_t capacity)
{
    size_t size = sizeof(lki_segment) + capacity * sizeof(lki_slot);
    size = (size + LKI_LINE - 1) / LKI_LINE * LKI_LINE;
    lki_segment *segment = aligned_alloc(LKI_LINE, size);
    assert_non_null(segment);
    memset(segment, 0, size);
    segment->number = number;
    segment->capacity = capacity;
    return segment;
}

/* Pages with holes, from number `base` on; in the last one there is a segment. Behind the last page
 * lies what nobody may follow. */
static void
made_fill(made *m, kit_random *random, uint64_t base)
{
    lki_directory *directory =
        calloc(1, sizeof *directory + (PAGES + 1) * sizeof(lki_queue_page *));
    assert_non_null(directory);
    memset(&m->queue, 0, sizeof m->queue);
    m->directory = directory;
    directory->room = directory->count = PAGES;
    directory->page[PAGES] = (lki_queue_page *)8;
    uint64_t density = 1 + kit_draw(random, 40), last = kit_draw(random, OF_PAGE);
    for (size_t i = 0; i < PAGES; i++) {
        lki_queue_page *page = calloc(1, sizeof *page);
        assert_non_null(page);
        directory->page[i] = page;
        page->first = base + page_numbers[i] * OF_PAGE;
        for (size_t k = 0; k < (i < PAGES - 1 ? OF_PAGE : last + 1); k++)
            if ((i == PAGES - 1 && k == last) || kit_draw(random, density) == 0)
                lki_store_relaxed(&page->segment[k],
                                  made_segment(page->first + k, 1 + (uint32_t)kit_draw(random, 3)));
    }
    lki_store_relaxed(&m->queue.directory, directory);
    lki_store_relaxed(&m->queue.tail, lki_load_relaxed(&directory->page[PAGES - 1]->segment[last]));
}

static void
made_free(made *m)
{
    for (size_t i = 0; i < PAGES; i++) {
        for (size_t k = 0; k < OF_PAGE; k++)
            free(lki_load_relaxed(&m->directory->page[i]->segment[k]));
        free(m->directory->page[i]);
    }
    free(m->directory);
}

/* By a look at all of them. */
static lki_segment *
made_find(const made *m, uint64_t number, bool reverse)
{
    lki_segment *found = NULL;
    for (size_t i = 0; i < PAGES; i++)
        for (size_t k = 0; k < OF_PAGE; k++) {
            lki_segment *segment = lki_load_relaxed(&m->directory->page[i]->segment[k]);
            if (segment == NULL || (reverse ? segment->number > number : segment->number < number))
                continue;
            if (reverse || found == NULL)
                found = segment;
        }
    return found;
}

static void
expect_place(made *m, uint64_t number, uint32_t index)
{
    lki_segment *tail = lki_load_relaxed(&m->queue.tail), *segment = made_find(m, number, false);
    bool is = number <= tail->number && segment != NULL && segment->number == number &&
              index < segment->capacity;
    lki_segment *found = NULL;
    lki_slot *slot = lki_queue_slot_slow(
        &m->queue, (number << LKI_SEGMENT_BITS | index) & LKI_ULID_MASK, &found);
    assert_ptr_equal(slot, is ? &segment->slots[index] : NULL);
    assert_true(!is || found == segment);
}

/* Also where the numbers of places begin anew among them. */
static void
test_directory_finds_what_is_there_and_nothing_else(void **state)
{
    (void)state;
    made m;
    kit_random random = kit_random_of(1);
    assert_null(lki_queue_segment_from(NULL, 0, false));
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t base = round % 2 == 0 ? 0 : SHIFT * (number_mask + 1) - 3 * OF_PAGE;
        made_fill(&m, &random, base);
        for (uint64_t i = OF_PAGE; i < 11 * OF_PAGE; i++) {
            uint64_t number = base + i;
            for (int reverse = 0; reverse < 2; reverse++)
                assert_ptr_equal(lki_queue_segment_from(m.directory, number, reverse),
                                 made_find(&m, number, reverse));
            for (uint32_t index = 0; index < 5; index++)
                expect_place(&m, number, index);
            expect_place(&m, number, (1U << LKI_SEGMENT_BITS) - 1);
        }
        assert_null(lki_queue_segment_from(m.directory, UINT64_MAX, false));
        assert_ptr_equal(lki_queue_segment_from(m.directory, UINT64_MAX, true), m.queue.tail);
        made_free(&m);
    }
    lki_queue empty;
    lki_segment *found;
    memset(&empty, 0, sizeof empty);
    assert_null(lki_queue_slot_slow(&empty, 0, &found));
}

static void
test_look_at_a_slot_passes_it_over_only_where_it_is_reserved(void **state)
{
    (void)state;
    const uint64_t passed = lki_job_word(LKI_PASSED, 0, 0),
                   waiting = lki_job_word(LKI_WAITING, 0, 0);
    lki_segment *segment = made_segment(0, 4);
    lki_store_relaxed(&segment->word, (uint64_t)1 << 16 | LKI_SEALED | 2);
    lki_store_relaxed(&segment->slots[0].word, waiting);
    lki_store_relaxed(&segment->slots[3].word, waiting);
    const uint64_t wanted[] = {waiting, passed, LKI_JOB_WORD_EMPTY, waiting};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < KIT_COUNT(wanted); i++) {
            assert_true(lki_slot_look(segment, &segment->slots[i]) == wanted[i]);
            assert_true(lki_load_relaxed(&segment->slots[i].word) == wanted[i]);
        }
    free(segment);
}

/* ---- a queue of a store ---- */

static lki_queue *
queue_of(kit *k, const char *pk)
{
    lki_queue *queue = lki_queues_of(k->db->state)->first;
    while (queue != NULL &&
           !lkc_is((lk_bytes){queue->partition->pk, queue->partition->pk_size}, pk))
        queue = queue->next;
    return queue;
}

/* The last segment, as it has to be. */
static lki_segment *
expect_tail(lki_queue *queue, uint64_t number, uint32_t capacity, uint32_t reserved)
{
    lki_segment *tail = lki_load_acquire(&queue->tail);
    assert_int_equal(tail->number, number);
    assert_int_equal(tail->capacity, capacity);
    assert_int_equal(LKI_RESERVED(lki_load_seq_cst(&tail->word)), reserved);
    return tail;
}

static void
push_many(kit *k, const char *pk, size_t count)
{
    assert_status(LK_OK, jobs_try_push_batch(k, pk, 0, count, NULL, NULL));
}

static void
purge(kit *k, const char *pk)
{
    size_t purged;
    assert_status(LK_OK, lk_queue_purge(k->db, lk_string(pk), &purged));
}

/* Pages that follow each other from `first` on, and so many segments in them. Their sizes are the
 * directory's. */
static void
expect_pages(lki_queue *queue, uint64_t first, size_t count, size_t segments)
{
    const lki_directory *directory = lki_load_acquire(&queue->directory);
    size_t live = 0, size = sizeof *directory + directory->room * sizeof(lki_queue_page *);
    assert_int_equal(directory->count, count);
    for (size_t i = 0; i < count; i++) {
        lki_queue_page *page = directory->page[i];
        size_t here = 0;
        assert_int_equal(page->first, first + i * OF_PAGE);
        size += sizeof *page;
        for (size_t k = 0; k < OF_PAGE; k++) {
            const lki_segment *segment = lki_load_acquire(&page->segment[k]);
            if (segment == NULL)
                continue;
            assert_int_equal(segment->number, page->first + k);
            here++;
            size += sizeof *segment + segment->capacity * (sizeof(lki_slot) + segment->cell_size);
        }
        assert_int_equal(lki_load_seq_cst(&page->live), here);
        live += here;
    }
    assert_int_equal(live, segments);
    assert_int_equal(lki_segments_size(directory), size);
}

/* Small ones first; a batch that is larger has full ones, no more than it needs; a page is made
 * when one is full. */
static void
test_queue_grows_by_what_it_needs(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < FIRST; i++)
        jobs_push(k, "q", NULL, "x");
    lki_queue *queue = queue_of(k, "q");
    (void)expect_tail(queue, 0, FIRST, FIRST);
    for (uint32_t i = 1; i <= SECOND; i++) {
        jobs_push(k, "q", NULL, "x");
        (void)expect_tail(queue, 1, SECOND, i);
    }
    jobs_push(k, "q", NULL, "x");
    (void)expect_tail(queue, 2, FULL, 1);
    push_many(k, "q", 2 * FULL);
    (void)expect_tail(queue, 4, FULL, FULL);
    const lki_directory *before = lki_load_acquire(&queue->directory);
    push_many(k, "q", (OF_PAGE - 5) * FULL);
    (void)expect_tail(queue, OF_PAGE - 1, FULL, FULL);
    assert_ptr_equal(lki_load_acquire(&queue->directory), before);
    expect_pages(queue, 0, 1, OF_PAGE);
    push_many(k, "q", OF_PAGE * FULL);
    (void)expect_tail(queue, 2 * OF_PAGE - 1, FULL, FULL);
    expect_pages(queue, 0, 2, 2 * OF_PAGE);
    push_many(k, "one", FIRST);
    (void)expect_tail(queue_of(k, "one"), 0, FIRST, FIRST);
    push_many(k, "more", FIRST + 1);
    (void)expect_tail(queue_of(k, "more"), 0, FULL, FIRST + 1);
}

/* All segments but the last go, and their pages: at once, or, where memory ran out on the way, with
 * the next page. */
static void
test_pages_go_with_their_jobs(void **state)
{
    (void)state;
    enum { FAILURES = 30, FILLED = FIRST + (OF_PAGE - 1) * FULL };
    for (int64_t nth = 0; nth < FAILURES; nth++) {
        kit k;
        kit_open(&k, NULL);
        push_many(&k, "q", FIRST);
        push_many(&k, "q", FILLED - FIRST);
        lki_queue *queue = queue_of(&k, "q");
        expect_pages(queue, 0, 1, OF_PAGE);
        push_many(&k, "q", FULL);
        expect_pages(queue, 0, 2, OF_PAGE + 1);
        purge(&k, "q");
        kit_memory_fail(&k.memory, nth, true);
        for (int i = 0; i < 6; i++) {
            lk_status status = lk_sweep(k.db, 0, NULL);
            assert_true(status == LK_OK || (nth != 0 && status == LK_NO_MEMORY));
        }
        kit_memory_fail(&k.memory, 0, false);
        kit_sweep(&k);
        if (nth != 0) {
            push_many(&k, "q", OF_PAGE * FULL);
            assert_int_equal(lki_load_acquire(&queue->directory)->count, 2);
            purge(&k, "q");
            kit_sweep(&k);
        }
        expect_pages(queue, nth == 0 ? OF_PAGE : 2 * OF_PAGE, 1, 1);
        jobs_push(&k, "q", NULL, "x");
        assert_pull(&k, "q", "x", NULL);
        kit_close(&k);
    }
}

/* Others have the queue's latch: the page goes with the next one. */
static void
test_page_that_is_over_stays_while_others_have_the_latch(void **state)
{
    kit *k = *state;
    push_many(k, "q", FIRST);
    push_many(k, "q", (OF_PAGE - 1) * FULL);
    push_many(k, "q", FULL);
    purge(k, "q");
    lki_queue *queue = queue_of(k, "q");
    pthread_mutex_lock(&queue->latch.mutex); /* as another thread does */
    kit_sweep(k);
    expect_pages(queue, 0, 2, 1);
    assert_false(lki_latch_try(&queue->latch));
    pthread_mutex_unlock(&queue->latch.mutex);
    push_many(k, "q", OF_PAGE * FULL);
    expect_pages(queue, OF_PAGE, 2, OF_PAGE + 1);
    purge(k, "q");
    kit_sweep(k);
    expect_pages(queue, 2 * OF_PAGE, 1, 1);
}

/* ---- no room for what is retired ---- */

/* The next reservation fails, and, for ever, all that allocate. */
static uint32_t
room_take(kit *k, lki_thread *thread, bool for_ever)
{
    uint32_t spare = (uint32_t)thread->spare_count;
    thread->spare_count = 0;
    kit_memory_fail(&k->memory, 1, for_ever);
    return spare;
}

static void
room_give(kit *k, lki_thread *thread, uint32_t spare)
{
    kit_memory_fail(&k->memory, 0, false);
    thread->spare_count = spare;
}

/* Makes it one whose jobs have been removed, and whose ticket is out. */
static void
segment_end(lki_segment *segment, uint64_t word)
{
    lki_store_relaxed(&segment->word, word);
    lki_store_relaxed(&segment->finished, LKI_RESERVED(word));
    lki_store_relaxed(&segment->leaving, 1);
}

/* Here by hand what comes two epochs after a segment was done with, and two more: where it cannot
 * go on it changes nothing, and is to come again. */
static void
test_segment_stays_as_it_is_without_room(void **state)
{
    kit *k = *state;
    push_many(k, "q", FIRST);
    jobs_push(k, "q", NULL, "x");
    lki_queue *queue = queue_of(k, "q");
    lki_thread *thread = inside_thread(k);
    lki_queue_page *page = lki_load_acquire(&queue->directory)->page[0];
    lki_segment *segment = lki_load_acquire(&page->segment[0]);
    segment_end(segment, lki_load_relaxed(&segment->word));
    for (int step = 0; step < 2; step++) {
        lki_write_enter(thread);
        uint32_t spare = room_take(k, thread, true);
        assert_false(segment->object.dispose(thread, segment));
        room_give(k, thread, spare);
        assert_ptr_equal(lki_load_acquire(&page->segment[0]), step == 0 ? segment : NULL);
        assert_int_equal(lki_load_seq_cst(&page->live), 2);
        assert_true(step == 1 || segment->object.dispose(thread, segment));
        lki_write_leave(thread);
    }
    assert_ptr_equal(lki_load_acquire(&queue->head_segment), lki_load_acquire(&page->segment[1]));
    lki_store_relaxed(&queue->head_segment, segment); /* as by a pull that saw it in its page */
    kit_sweep(k);
    assert_ptr_equal(lki_load_acquire(&queue->head_segment), lki_load_acquire(&page->segment[1]));
    expect_pages(queue, 0, 1, 1);
    assert_pull(k, "q", "x", NULL);
}

static void
test_queue_does_not_grow_without_room(void **state)
{
    kit *k = *state;
    lki_places places;
    push_many(k, "q", FIRST);
    lki_queue *queue = queue_of(k, "q");
    lki_thread *thread = inside_thread(k);
    lki_write_enter(thread);
    uint32_t spare = room_take(k, thread, false);
    assert_status(LK_NO_MEMORY, lki_places_reserve(queue, thread, 1, k->now_ms, 0, 64, &places));
    room_give(k, thread, spare);
    lki_write_leave(thread);
    lki_segment *tail = expect_tail(queue, 0, FIRST, FIRST);
    assert_int_equal(lki_load_seq_cst(&tail->word) & LKI_SEALED, 0);
}

static bool
nothing_dispose(lki_thread *thread, void *object)
{
    (void)thread;
    (void)object;
    return true;
}

/* Fills the open bag, but for `left`, and leaves one spare; how many there were. */
static size_t
room_leave(lki_thread *thread, size_t left)
{
    static lki_object nothing = {nothing_dispose};
    do {
        assert_true(lki_reserve(thread, 1));
        lki_retire(thread, LKI_OBJECT, &nothing, 0);
    } while (thread->bag == NULL || thread->bag->count != LKI_BAG_ROOM - left);
    size_t spare = thread->spare_count;
    thread->spare_count = 1;
    return spare;
}

/* It makes room for one of each page of the directory, too: where the open bag has none for that
 * one, there is one bag more. */
static void
test_growth_has_room_for_all_pages(void **state)
{
    kit *k = *state;
    lki_places places;
    push_many(k, "q", FIRST);
    lki_queue *queue = queue_of(k, "q");
    lki_thread *thread = inside_thread(k);
    lki_write_enter(thread);
    size_t spare = room_leave(thread, 9);
    assert_status(LK_OK, lki_places_reserve(queue, thread, 1, k->now_ms, 0, 64, &places));
    assert_int_equal(thread->spare_count, 2);
    thread->spare_count = spare + 1;
    lki_write_leave(thread);
}

/* A segment of a page that is over otherwise, as it is two epochs after it has left. */
static lki_segment *
segment_that_left(kit *k, lki_queue *queue)
{
    lki_thread *thread = inside_thread(k);
    size_t size = sizeof(lki_segment) + sizeof(lki_slot);
    lki_segment *segment = lki_alloc_lines_partly(&queue->store->domain.allocator, size, size);
    assert_non_null(segment);
    segment->capacity = 1;
    segment->queue = queue;
    segment->page = lki_load_acquire(&queue->directory)->page[0];
    segment_end(segment, LKI_SEALED | 1);
    lki_store_relaxed(&segment->page->live, 1);
    push_many(k, "other", FIRST);
    jobs_push(k, "other", NULL, "x");
    lki_segment *other = lki_load_acquire(&queue_of(k, "other")->head_segment);
    segment_end(other, lki_load_relaxed(&other->word));
    lki_write_enter(thread);
    assert_true(other->object.dispose(thread, other)); /* it is what comes then */
    segment->object.dispose = other->object.dispose;
    lki_write_leave(thread);
    return segment;
}

/* With room for all pages, or, where there is none, with the next page. */
static void
page_goes(kit *k, bool scarce)
{
    push_many(k, "q", FIRST);
    push_many(k, "q", (OF_PAGE - 1) * FULL);
    push_many(k, "q", FULL);
    purge(k, "q");
    lki_queue *queue = queue_of(k, "q");
    lki_thread *thread = inside_thread(k);
    pthread_mutex_lock(&queue->latch.mutex); /* as another thread does */
    kit_sweep(k);
    pthread_mutex_unlock(&queue->latch.mutex);
    expect_pages(queue, 0, 2, 1);
    lki_segment *segment = segment_that_left(k, queue);
    lki_write_enter(thread);
    size_t spare = room_leave(thread, 6);
    kit_memory_fail(&k->memory, scarce, false);
    assert_true(segment->object.dispose(thread, segment));
    kit_memory_fail(&k->memory, 0, false);
    assert_int_equal(thread->spare_count, scarce ? 1 : 2);
    thread->spare_count = spare + !scarce;
    lki_write_leave(thread);
    kit_sweep(k);
    expect_pages(queue, scarce ? 0 : OF_PAGE, scarce ? 2 : 1, 1);
    push_many(k, "q", OF_PAGE * FULL);
    expect_pages(queue, OF_PAGE, 2, OF_PAGE + 1);
}

static void
test_page_goes_with_room_for_all_pages(void **state)
{
    page_goes(*state, false);
}

static void
test_page_without_room_goes_with_the_next_one(void **state)
{
    page_goes(*state, true);
}

/* Its jobs were done before it was sealed: whoever seals it sends it off. */
static void
test_segment_that_was_done_before_its_seal_goes(void **state)
{
    kit *k = *state;
    push_many(k, "q", FIRST);
    purge(k, "q");
    jobs_push(k, "q", NULL, "x");
    kit_sweep(k);
    expect_pages(queue_of(k, "q"), 0, 1, 1);
    assert_pull(k, "q", "x", NULL);
}

/* One whose key is taken there: it gets a generated one. */
static void
push_letter(kit *k, const char *to)
{
    job j;
    jobs_push(k, "source", NULL, "letter");
    assert_pull(k, "source", "letter", &j);
    kit_set(k, to, j.sk, "taken");
    assert_status(LK_OK, lk_queue_release(k->db, &j.claim, 0));
    assert_status(LK_EMPTY, jobs_pull_once(k, "source", to));
}

/* Letters come into a closed queue one by one; its last segment is sealed, and stays, and the
 * others go. */
static void
test_closed_queue_grows_by_letters_and_keeps_its_last_segment(void **state)
{
    kit *k = *state;
    enum { LETTERS = FIRST + SECOND + 2 };
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("dead")));
    lki_queue *queue = queue_of(k, "dead");
    for (uint32_t i = 1; i <= LETTERS; i++) {
        push_letter(k, "dead");
        assert_status(LK_CLOSED, lkc_try_push(k->db, "dead", NULL, "x", NULL));
        uint32_t first = i <= FIRST ? 0 : i <= FIRST + SECOND ? FIRST : FIRST + SECOND;
        const lki_segment *tail = expect_tail(queue,
                                              i <= FIRST            ? 0
                                              : i <= FIRST + SECOND ? 1
                                                                    : 2,
                                              i <= FIRST            ? FIRST
                                              : i <= FIRST + SECOND ? SECOND
                                                                    : FULL,
                                              i - first);
        assert_true((lki_load_seq_cst(&tail->word) & LKI_SEALED) != 0);
        assert_int_equal(lki_load_seq_cst(&tail->leaving), 1);
    }
    assert_int_equal(jobs_items(k, "dead"), 2 * LETTERS);
    purge(k, "dead");
    kit_sweep(k);
    expect_pages(queue, 0, 1, 1);
    push_letter(k, "dead");
    assert_pull(k, "dead", "letter", NULL);
}

/* ---- depth ---- */

/* At every size of a segment, and where a batch is larger; what is refused leaves the last segment
 * open. */
static void
test_depth_is_kept_to_the_job(void **state)
{
    kit *k = *state;
    static const size_t depths[] = {1,
                                    2,
                                    FIRST - 1,
                                    FIRST,
                                    FIRST + 1,
                                    FIRST + SECOND - 1,
                                    FIRST + SECOND,
                                    FIRST + SECOND + 1,
                                    FIRST + SECOND + FULL,
                                    2000};
    for (size_t i = 0; i < KIT_COUNT(depths); i++)
        for (int batch = 0; batch < 2; batch++) {
            lk_push_options options = {.max_depth = depths[i]};
            char pk[JOB_ROOM];
            snprintf(pk, sizeof pk, "%zu %d", i, batch);
            jobs_push(k, pk, NULL, "first");
            assert_status(LK_BUSY, jobs_try_push_batch(k, pk, 0, depths[i], &options, NULL));
            if (batch && depths[i] > 1)
                assert_status(LK_OK, jobs_try_push_batch(k, pk, 0, depths[i] - 1, &options, NULL));
            else
                for (size_t j = 1; j < depths[i]; j++)
                    assert_status(LK_OK, lkc_try_push(k->db, pk, NULL, "x", &options));
            for (int again = 0; again < 2; again++) {
                job first;
                lki_segment *tail = lki_load_acquire(&queue_of(k, pk)->tail);
                assert_status(LK_BUSY, lkc_try_push(k->db, pk, NULL, "x", &options));
                assert_status(LK_BUSY, lkc_try_push(k->db, pk, "key", "x", &options));
                assert_int_equal(lki_load_seq_cst(&tail->word) & LKI_SEALED, 0);
                assert_status(LK_OK, lkc_try_pull(k->db, k->result, pk, &first));
                assert_status(LK_OK, lk_queue_acknowledge(k->db, &first.claim, 1));
                assert_status(LK_OK, lkc_try_push(k->db, pk, NULL, "x", &options));
            }
        }
}

/* Where jobs have gone since others asked, the first answer is the right one. */
static void
test_jobs_that_are_gone_make_room_at_once(void **state)
{
    kit *k = *state;
    lki_places places;
    push_many(k, "q", 1);
    purge(k, "q");
    lki_queue *queue = queue_of(k, "q");
    lki_thread *thread = inside_thread(k);
    lki_write_enter(thread);
    assert_status(LK_OK, lki_places_reserve(queue, thread, 1, k->now_ms, 1, 64, &places));
    assert_int_equal(places.slot, 1);
    assert_status(LK_BUSY, lki_places_reserve(queue, thread, 1, k->now_ms, 1, 64, &places));
    lki_write_leave(thread);
}

/* ---- ULIDs ---- */

/* One job, whose key has to be above `last`. */
static void
push_above(kit *k, const char *pk, char *last)
{
    lk_item item = kit_item(pk, "", "x");
    assert_status(LK_OK, lk_queue_push(k->db, &item, 1, NULL, k->result));
    lk_bytes sk = lk_result_item(k->result, 0)->key.sk;
    assert_int_equal(sk.size, ULID_SIZE);
    if (memcmp(last, sk.data, ULID_SIZE) >= 0)
        fail_msg("%.26s comes after %s", (const char *)sk.data, last);
    memcpy(last, sk.data, ULID_SIZE);
    last[ULID_SIZE] = 0;
    assert_true(kit_holds(k, kit_key(pk, last), "x"));
}

/* The places of a queue have so many numbers; then they begin anew. The queue is put to the end of
 * them. */
static void
test_ulids_grow_where_the_numbers_of_places_begin_anew(void **state)
{
    kit *k = *state;
    enum { JOBS = 60 };
    char last[ULID_SIZE + 1] = "";
    push_above(k, "q", last);
    purge(k, "q");
    kit_sweep(k);
    lki_segment *segment = lki_load_acquire(&queue_of(k, "q")->tail);
    lki_queue_page *page = segment->page;
    lki_store_relaxed(&page->segment[0], NULL);
    lki_store_relaxed(&page->segment[OF_PAGE - 1], segment);
    page->first = number_mask - (OF_PAGE - 1);
    segment->number = number_mask;
    segment->due = &page->due[OF_PAGE - 1];
    lki_ulid_write(segment->text + LKI_ULID_WORD,
                   (number_mask << LKI_SEGMENT_BITS) & LKI_ULID_MASK);
    for (size_t i = 0; i < JOBS; i++) {
        push_above(k, "q", last);
        assert_int_equal(lkc_ulid_ms(lk_string(last)), k->now_ms + (i >= FIRST - 1));
    }
    assert_int_equal(jobs_items(k, "q"), JOBS);
    expect_pages(queue_of(k, "q"), page->first, 2, 2);
    last[0] = 0;
    for (size_t i = 0; i < JOBS; i++) {
        job j;
        assert_pull(k, "q", "x", &j);
        assert_true(strcmp(last, j.sk) < 0);
        memcpy(last, j.sk, sizeof last);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
    assert_empty(k, "q");
}

/* Takes the queue out, for want of use. */
static void
queue_end(kit *k, const char *pk)
{
    purge(k, pk);
    while (queue_of(k, pk) != NULL) {
        k->monotonic_ms += LK_MINUTES(2);
        kit_sweep(k);
    }
}

/* Over two segments, and in a queue that begins anew, though the clock stands. */
static void
test_ulids_tell_the_time_while_they_can(void **state)
{
    kit *k = *state;
    char last[ULID_SIZE + 1] = "";
    for (int anew = 0; anew < 3; anew++) {
        for (int i = 0; i < FIRST + SECOND + 1; i++) {
            push_above(k, "q", last);
            assert_int_equal(lkc_ulid_ms(lk_string(last)), KIT_START_MS + anew);
        }
        queue_end(k, "q");
    }
}

/* The last millisecond that a ULID has stays; also in a queue that begins anew. A clock may say
 * anything. */
static void
test_ulids_stay_at_the_last_millisecond(void **state)
{
    kit *k = *state;
    static const int64_t clocks[] = {
        INT64_MIN,           -1,        0, 1, LKI_ULID_MS_MAX - 1, LKI_ULID_MS_MAX,
        LKI_ULID_MS_MAX + 1, INT64_MAX, 5};
    char last[ULID_SIZE + 1] = "";
    int64_t most = 1; /* above 0, from which the floor begins */
    for (int anew = 0; anew < 3; anew++) {
        for (size_t i = 0; i < KIT_COUNT(clocks); i++) {
            int64_t ms = clocks[i] < LKI_ULID_MS_MAX ? clocks[i] : LKI_ULID_MS_MAX;
            most = ms > most ? ms : most;
            k->now_ms = clocks[i];
            for (int j = 0; j < 2; j++) {
                push_above(k, "q", last);
                assert_int_equal(lkc_ulid_ms(lk_string(last)), most);
            }
        }
        k->now_ms = KIT_START_MS;
        queue_end(k, "q");
    }
}

static void
test_ulids_of_letters_stay_at_the_last_millisecond(void **state)
{
    kit *k = *state;
    char last[ULID_SIZE + 1] = "";
    jobs_push(k, "dead", NULL, "first");
    assert_status(LK_OK, lk_queue_close(k->db, lk_string("dead")));
    k->now_ms = INT64_MAX;
    for (int i = 0; i < FIRST + 2; i++)
        push_letter(k, "dead");
    assert_pull(k, "dead", "first", NULL);
    for (int i = 0; i < FIRST + 2; i++) {
        job j;
        assert_pull(k, "dead", "letter", &j);
        assert_true(strcmp(last, j.sk) < 0);
        assert_int_equal(lkc_ulid_ms(lk_string(j.sk)), LKI_ULID_MS_MAX);
        memcpy(last, j.sk, sizeof last);
    }
}

/* What was kept of keys to come is given up when their time has passed, a few at once. */
static void
test_keys_to_come_are_forgotten_when_they_have_passed(void **state)
{
    kit *k = *state;
    enum { KEYS = 150, AT_ONCE = 64, LATER = 3 };
    char last[ULID_SIZE + 1] = "", sk[ULID_SIZE + 1];
    for (int i = 0; i < FIRST; i++)
        push_above(k, "q", last);
    lki_queue *queue = queue_of(k, "q");
    int64_t begin_ms = k->now_ms + LK_HOURS(48);
    for (int i = 0; i < KEYS + LATER; i++) {
        memcpy(sk, last, sizeof sk);
        lki_ulid_write_ms((unsigned char *)sk, begin_ms + 2 * i + (i < KEYS ? 0 : LK_HOURS(48)));
        kit_set(k, "q", sk, "own");
    }
    k->now_ms = begin_ms; /* that one is taken, and the next one free; in a new segment */
    push_above(k, "q", last);
    assert_int_equal(lkc_ulid_ms(lk_string(last)), begin_ms + 1);
    k->now_ms = begin_ms + 2 * KEYS - 2;
    push_above(k, "q", last);
    assert_int_equal(lkc_ulid_ms(lk_string(last)), begin_ms + 2 * KEYS - 1);
    lki_thread *thread = inside_thread(k);
    lki_places places;
    lki_write_enter(thread);
    uint32_t spare = room_take(k, thread, true); /* they stay */
    assert_status(LK_OK, lki_places_reserve(queue, thread, 1, k->now_ms, 0, 64, &places));
    room_give(k, thread, spare);
    lki_write_leave(thread);
    for (size_t left = KEYS - 1; left != 0;) {
        size_t now = 0;
        push_above(k, "q", last);
        for (const lki_entry *e = lki_order_first(&queue->avoided); e != NULL;
             e = lki_order_next(e))
            now++;
        left -= left < AT_ONCE ? left : AT_ONCE;
        assert_int_equal(now, left + LATER);
    }
    assert_int_equal(jobs_items(k, "q"), FIRST + KEYS + LATER + 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_directory_finds_what_is_there_and_nothing_else),
        cmocka_unit_test(test_look_at_a_slot_passes_it_over_only_where_it_is_reserved),
        KIT_TEST(test_queue_grows_by_what_it_needs),
        cmocka_unit_test(test_pages_go_with_their_jobs),
        KIT_TEST(test_page_that_is_over_stays_while_others_have_the_latch),
        KIT_TEST(test_segment_stays_as_it_is_without_room),
        KIT_TEST(test_queue_does_not_grow_without_room),
        KIT_TEST(test_growth_has_room_for_all_pages),
        KIT_TEST(test_page_goes_with_room_for_all_pages),
        KIT_TEST(test_page_without_room_goes_with_the_next_one),
        KIT_TEST(test_segment_that_was_done_before_its_seal_goes),
        KIT_TEST(test_closed_queue_grows_by_letters_and_keeps_its_last_segment),
        KIT_TEST(test_depth_is_kept_to_the_job),
        KIT_TEST(test_jobs_that_are_gone_make_room_at_once),
        KIT_TEST(test_ulids_grow_where_the_numbers_of_places_begin_anew),
        KIT_TEST(test_ulids_tell_the_time_while_they_can),
        KIT_TEST(test_ulids_stay_at_the_last_millisecond),
        KIT_TEST(test_ulids_of_letters_stay_at_the_last_millisecond),
        KIT_TEST(test_keys_to_come_are_forgotten_when_they_have_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
