/* SPDX-License-Identifier: MIT
 *
 * What happens between two accesses of a call that reserves, or goes over, segments: it stops at
 * its n-th access to a shared word, for each n; another thread does its part from the beginning to
 * the end; and the call goes on. Two pushes at the end of a segment make one more, and not two; it
 * goes once. Jobs that come and go meanwhile are not counted. A segment that leaves is not where
 * pulls begin.
 */
#include "adapter/handle.h"
#include "queue/job.h"

#include "support/inside.h"
#include "support/jobs.h" /* its `job` would be hidden by parameters of job.h */
#include "support/meeting.h"

enum { FIRST = 16, SECOND = 128, SWEEPS = 4, POINTS_MAX = 2000 };

static struct {
    kit k;
    lk_result *its;
    enum { LATCH, ROOM, NOTHING } needs; /* the part */
} test;

static lki_queue *
queue_get(void)
{
    return lki_queues_of(test.k.db->state)->first;
}

/* A latch that the stopped thread holds would hold up the other one. */
static bool
latch_is_free(void)
{
    lki_queue *queue = queue_get();
    if (queue == NULL || !lki_latch_try(&queue->latch))
        return queue == NULL;
    lki_latch_drop(&queue->latch);
    return true;
}

static bool
part_can_run(void)
{
    lki_queue *queue = test.needs != NOTHING ? queue_get() : NULL;
    lki_segment *tail = queue != NULL ? lki_load_acquire(&queue->tail) : NULL;
    return test.needs == NOTHING || latch_is_free() ||
           (test.needs == ROOM && tail != NULL &&
            (lki_load_seq_cst(&tail->word) & LKI_SEALED) == 0);
}

static void
part_begin(unsigned long at, void (*part)(void))
{
    assert_in_range(at, 1, POINTS_MAX);
    test.needs = LATCH;
    meeting.stop_at = at;
    meeting_begin(part);
}

static void
push_many(size_t count)
{
    assert_status(LK_OK, jobs_try_push_batch(&test.k, "q", 0, count, NULL, NULL));
}

static void
purge(void)
{
    assert_status(LK_OK, lk_queue_purge(test.k.db, lk_string("q"), NULL));
}

/* ---- two pushes, one segment ---- */

static void
part_push(void)
{
    push_many(1);
}

static void
part_push_all_but_one(void)
{
    push_many(SECOND - 1);
}

static void
test_pushes_that_meet_at_the_end_of_a_segment_share_the_next_one(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++)
        for (unsigned long at = 1;; at++) {
            kit_open(&test.k, NULL);
            push_many(FIRST);
            part_begin(at, full ? part_push_all_but_one : part_push);
            lk_status status = lkc_try_push(test.k.db, "q", NULL, "x", NULL);
            meeting.counts = false;
            assert_status(LK_OK, status);
            const lki_segment *tail = lki_load_acquire(&queue_get()->tail);
            /* Where the one is there first, the many have no room in the small one either. */
            assert_int_equal(tail->number, 1);
            assert_int_equal(LKI_RESERVED(lki_load_seq_cst(&tail->word)), !meeting.met ? 1
                                                                          : full       ? SECOND
                                                                                       : 2);
            kit_close(&test.k);
            if (!meeting.met)
                break;
        }
}

/* Others may take the last place while a segment is sealed. */
static void
test_push_into_a_segment_that_is_being_sealed_counts(void **state)
{
    (void)state;
    for (unsigned long at = 1;; at++) {
        kit_open(&test.k, NULL);
        push_many(FIRST - 1);
        part_begin(at, part_push);
        test.needs = ROOM;
        lk_status status = jobs_try_push_batch(&test.k, "q", 0, 2, NULL, NULL);
        meeting.counts = false;
        assert_status(LK_OK, status);
        assert_int_equal(jobs_items(&test.k, "q"), FIRST + 1 + meeting.met);
        const lki_segment *tail = lki_load_acquire(&queue_get()->tail);
        uint64_t word = lki_load_seq_cst(&tail->word);
        assert_int_equal(tail->number, 1);
        assert_int_equal(tail->before + LKI_RESERVED(word), FIRST + 1 + meeting.met);
        purge();
        for (int i = 0; i < 2 * SWEEPS; i++)
            assert_status(LK_OK, lk_sweep(test.k.db, 0, NULL));
        assert_int_equal(
            lki_load_seq_cst(&lki_load_acquire(&queue_get()->directory)->page[0]->live), 1);
        kit_close(&test.k);
        if (!meeting.met)
            break;
    }
}

/* ---- a segment that is done with while it is sealed ---- */

static job mine;

static void
part_acknowledge(void)
{
    assert_status(LK_OK, lk_queue_acknowledge(test.k.db, &mine.claim, 1));
}

/* Both see it: one of them sends it off. */
static void
test_segment_that_ends_while_the_next_one_comes_goes_once(void **state)
{
    (void)state;
    for (unsigned long at = 1;; at++) {
        kit_open(&test.k, NULL);
        jobs_push(&test.k, "q", NULL, "x");
        assert_status(LK_OK, lkc_try_pull(test.k.db, test.k.result, "q", &mine));
        push_many(FIRST - 1);
        lk_pull_options options = {.pk = lk_string("q"), .max_jobs = FIRST};
        assert_status(LK_OK, lk_queue_pull(test.k.db, &options, test.k.result));
        assert_int_equal(lk_result_count(test.k.result), FIRST - 1);
        for (size_t i = 0; i < FIRST - 1; i++)
            assert_status(LK_OK,
                          lk_queue_acknowledge(test.k.db, lk_result_claim(test.k.result, i), 1));
        part_begin(at, part_acknowledge);
        test.needs = NOTHING;
        lk_status status = lkc_try_push(test.k.db, "q", NULL, "x", NULL);
        meeting.counts = false;
        assert_status(LK_OK, status);
        if (!meeting.met)
            part_acknowledge();
        for (int i = 0; i < 2 * SWEEPS; i++)
            assert_status(LK_OK, lk_sweep(test.k.db, 0, NULL));
        lki_queue_page *page = lki_load_acquire(&queue_get()->directory)->page[0];
        assert_null(lki_load_acquire(&page->segment[0]));
        assert_int_equal(lki_load_seq_cst(&page->live), 1);
        kit_close(&test.k);
        if (!meeting.met)
            break;
    }
}

/* ---- a look at a place whose job comes ---- */

static lki_segment *looked_at;
static uint64_t was;

static void
part_publish(void)
{
    was = lki_swap_seq_cst(&looked_at->slots[0].word, lki_job_word(LKI_WAITING, 0, 0));
}

/* It is passed over, or it is there. */
static void
test_look_says_of_a_job_that_comes_what_its_place_says(void **state)
{
    (void)state;
    looked_at = calloc(1, sizeof *looked_at + sizeof *looked_at->slots + LKI_LINE);
    assert_non_null(looked_at);
    looked_at->capacity = 1;
    test.k.db = NULL;
    for (unsigned long at = 1;; at++) {
        lki_store_relaxed(&looked_at->word, 1);
        lki_store_relaxed(&looked_at->slots[0].word, LKI_JOB_WORD_EMPTY);
        part_begin(at, part_publish);
        test.needs = NOTHING;
        uint64_t word = lki_slot_look(looked_at, &looked_at->slots[0]);
        meeting.counts = false;
        if (meeting.met && was == LKI_JOB_WORD_EMPTY)
            assert_true(word == lki_job_word(LKI_WAITING, 0, 0));
        else
            assert_true(word == lki_job_word(LKI_PASSED, 0, 0));
        if (!meeting.met)
            break;
    }
    free(looked_at);
}

/* ---- depth ---- */

static void
part_come_and_go(void)
{
    lk_pull_options options = {.pk = lk_string("q")};
    for (int i = 0; i < 3; i++) {
        jobs_push(&test.k, "q", NULL, "x");
        assert_status(LK_OK, lk_queue_pull(test.k.db, &options, test.its));
        assert_status(LK_OK, lk_queue_acknowledge(test.k.db, lk_result_claim(test.its, 0), 1));
    }
}

/* There is room for one, and one has come and gone before. A push asks twice before it is refused;
 * here the first answer counts. */
static void
test_jobs_that_come_and_go_meanwhile_do_not_count(void **state)
{
    (void)state;
    for (unsigned long at = 1;; at++) {
        lki_places places;
        kit_open(&test.k, NULL);
        push_many(1);
        purge();
        lki_queue *queue = queue_get();
        lki_thread *thread = inside_thread(&test.k);
        lki_write_enter(thread);
        part_begin(at, part_come_and_go);
        lk_status status = lki_places_reserve(queue, thread, 1, test.k.now_ms, 1, 64, &places);
        meeting.counts = false;
        lki_write_leave(thread);
        assert_status(LK_OK, status);
        kit_close(&test.k);
        if (!meeting.met)
            break;
    }
}

/* ---- the head segment ---- */

static void
part_sweep(void)
{
    assert_status(LK_OK, lk_sweep(test.k.db, 0, NULL));
}

/* The second segment is done with, and on its way out, when a pull goes on from the first. */
static void
test_frontier_does_not_stay_on_a_segment_that_leaves(void **state)
{
    (void)state;
    static lk_key keys[SECOND];
    static char names[SECOND][ULID_SIZE + 1];
    for (int sweeps = 0; sweeps < SWEEPS; sweeps++)
        for (unsigned long at = 1;; at++) {
            kit_open(&test.k, NULL);
            push_many(FIRST);
            assert_status(LK_OK, jobs_try_push_batch(&test.k, "q", 0, SECOND, NULL, test.k.result));
            for (size_t i = 0; i < SECOND; i++) {
                lk_bytes sk = lk_result_item(test.k.result, i)->key.sk;
                memcpy(names[i], sk.data, ULID_SIZE);
                keys[i] = kit_key("q", names[i]);
            }
            push_many(1);
            lk_pull_options options = {.pk = lk_string("q"), .max_jobs = FIRST};
            assert_status(LK_OK, lk_queue_pull(test.k.db, &options, test.k.result));
            assert_int_equal(lk_result_count(test.k.result), FIRST);
            assert_status(LK_OK, lk_delete(test.k.db, keys, SECOND));
            for (int i = 0; i < sweeps; i++)
                part_sweep();
            part_begin(at, part_sweep);
            lk_status status = lkc_try_pull(test.k.db, test.k.result, "q", NULL);
            meeting.counts = false;
            assert_status(LK_OK, status);
            for (int i = 0; i < 2 * SWEEPS; i++)
                part_sweep();
            lki_queue *queue = queue_get();
            const lki_directory *directory = lki_load_acquire(&queue->directory);
            const lki_segment *front = lki_load_acquire(&queue->head_segment);
            bool found = false;
            for (size_t i = 0; i < LKI_PAGE_SEGMENTS; i++)
                found |= lki_load_acquire(&directory->page[0]->segment[i]) == front;
            assert_true(found);
            assert_null(lki_load_acquire(&directory->page[0]->segment[1]));
            push_many(1);
            assert_status(LK_OK, lkc_try_pull(test.k.db, test.k.result, "q", NULL));
            kit_close(&test.k);
            if (!meeting.met)
                break;
        }
}

/* ---- */

static int
setup(void **state)
{
    (void)state;
    test.its = lk_result_new();
    if (test.its == NULL)
        return -1;
    meeting.can = part_can_run;
    meeting_open();
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    meeting_close();
    lk_result_free(test.its);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pushes_that_meet_at_the_end_of_a_segment_share_the_next_one),
        cmocka_unit_test(test_push_into_a_segment_that_is_being_sealed_counts),
        cmocka_unit_test(test_segment_that_ends_while_the_next_one_comes_goes_once),
        cmocka_unit_test(test_look_says_of_a_job_that_comes_what_its_place_says),
        cmocka_unit_test(test_jobs_that_come_and_go_meanwhile_do_not_count),
        cmocka_unit_test(test_frontier_does_not_stay_on_a_segment_that_leaves),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
