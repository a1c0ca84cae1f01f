/* SPDX-License-Identifier: MIT
 *
 * What happens in the midst of a call that reserves, or goes over, segments: all schedules in which
 * it, or what another thread does meanwhile, stops at one of its points, and the other one goes on
 * to its end there, or to where it gives way. `shared`, `sealed`: two pushes at the end of a
 * segment make one more, and not two. `done`: it goes once. `looked_at`: a place whose job comes is
 * passed over, or the job is there. `come_and_go`: jobs that do meanwhile are not counted. `front`:
 * a segment that leaves is not where pulls begin.
 */
#include "adapter/handle.h"
#include "queue/job.h"
#include "schedule/one_store.h"

enum { FIRST = LKI_OR_SMALL(16, 1), SECOND = LKI_OR_SMALL(128, 2), SWEEPS = 4, SK_ROOM = 32 };

static uint32_t full;
static lk_claim claim;
static char names[SECOND][SK_ROOM];

static lki_queue *
queue_get(void)
{
    return lki_queues_of(db->state)->first;
}

static lki_segment *
tail_get(void)
{
    return lki_load_acquire(&queue_get()->tail);
}

static void
push_into(size_t count, lk_result *result)
{
    lk_item jobs[SECOND];
    for (size_t i = 0; i < count; i++)
        jobs[i] = (lk_item){.key = {.pk = lk_string("q")}, .data = lk_string("x")};
    STORE_MUST(lk_queue_push(db, jobs, count, NULL, result));
}

static void
push_many(size_t count)
{
    if (count > 0)
        push_into(count, NULL);
}

static void
pull_into(size_t count, lk_result *result)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = count};
    STORE_MUST(lk_queue_pull(db, &options, result));
    SCHEDULE_EXPECT(lk_result_count(result) == count);
}

static void
push_one(void)
{
    push_many(1);
}

static void
sweep(void)
{
    STORE_MUST(lk_sweep(db, 0, NULL));
}

static void
sweep_all(void)
{
    for (int i = 0; i < 2 * SWEEPS; i++)
        sweep();
}

/* The one in the directory; NULL: none. */
static const lki_segment *
segment_numbered(uint64_t number)
{
    const lki_directory *directory = lki_load_acquire(&queue_get()->directory);
    for (size_t i = 0; i < directory->count; i++)
        for (size_t k = 0; k < LKI_PAGE_SEGMENTS; k++) {
            const lki_segment *segment = lki_load_acquire(&directory->page[i]->segment[k]);
            if (segment != NULL && segment->number == number)
                return segment;
        }
    return NULL;
}

/* Only one is left, and its page says so. */
static void
check_last(void)
{
    const lki_directory *directory = lki_load_acquire(&queue_get()->directory);
    SCHEDULE_EXPECT(lki_load_seq_cst(&directory->page[directory->count - 1]->live) == 1);
    for (uint64_t number = 0; number < tail_get()->number; number++)
        SCHEDULE_EXPECT(segment_numbered(number) == NULL);
}

/* ---- two pushes, one segment ---- */

static void
shared_setup(void)
{
    push_many(FIRST);
    full = schedule_choose(2);
}

static void
shared_push(void)
{
    push_many(full ? SECOND - 1 : 1);
}

/* Where the one is there first, the many have no room in the small one either. */
static void
shared_check(void)
{
    SCHEDULE_EXPECT(tail_get()->number == 1);
    SCHEDULE_EXPECT(LKI_RESERVED(lki_load_seq_cst(&tail_get()->word)) == (full ? SECOND : 2));
}

/* Others may take the last place while a segment is sealed. */
static void
sealed_setup(void)
{
    push_many(FIRST - 1);
}

static void
sealed_push(void)
{
    push_many(2);
}

static void
sealed_check(void)
{
    size_t purged = 0;
    SCHEDULE_EXPECT(tail_get()->number <= 1);
    SCHEDULE_EXPECT(tail_get()->before + LKI_RESERVED(lki_load_seq_cst(&tail_get()->word)) ==
                    FIRST + 2);
    STORE_MUST(lk_queue_purge(db, lk_string("q"), &purged));
    SCHEDULE_EXPECT(purged == FIRST + 2);
    sweep_all();
    check_last();
}

/* ---- a segment that is done with while it is sealed ---- */

static void
done_setup(void)
{
    lk_result *result = store_result();
    push_many(FIRST);
    pull_into(FIRST, result);
    for (size_t i = 1; i < FIRST; i++)
        STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(result, i), 1));
    claim = *lk_result_claim(result, 0);
    __builtin_memcpy(names[0], claim.key.sk.data, claim.key.sk.size);
    claim.key = (lk_key){lk_string("q"), {names[0], claim.key.sk.size}};
    lk_result_free(result);
}

static void
done_acknowledge(void)
{
    STORE_MUST(lk_queue_acknowledge(db, &claim, 1));
}

/* Both see it: one of them sends it off. */
static void
done_check(void)
{
    sweep_all();
    check_last();
}

/* ---- a look at a place whose job comes ---- */

static struct {
    lki_segment segment;
    lki_slot slot;
} looked_at;
static uint64_t was, seen;

static void
looked_at_setup(void)
{
    looked_at.segment.capacity = 1;
    lki_store_relaxed(&looked_at.segment.word, 1);
    lki_store_relaxed(&looked_at.segment.slots[0].word, LKI_JOB_WORD_EMPTY);
}

static void
looked_at_look(void)
{
    seen = lki_slot_look(&looked_at.segment, &looked_at.segment.slots[0]);
}

static void
looked_at_publish(void)
{
    was = lki_swap_seq_cst(&looked_at.segment.slots[0].word, lki_job_word(LKI_WAITING, 0, 0));
}

static void
looked_at_check(void)
{
    SCHEDULE_EXPECT(seen ==
                    lki_job_word(was == LKI_JOB_WORD_EMPTY ? LKI_WAITING : LKI_PASSED, 0, 0));
}

/* ---- depth ---- */

static bool comes, has_gone;

static void
depth_setup(void)
{
    push_many(1);
    STORE_MUST(lk_queue_purge(db, lk_string("q"), NULL));
}

/* There is room for one. A push asks twice before it is refused; here the first answer counts. */
static void
depth_reserve(void)
{
    lki_places places;
    lki_thread *thread = store_self();
    lki_write_enter(thread);
    lk_status status =
        lki_places_reserve(queue_get(), thread, 1, schedule_unix_ms(), 1, 64, &places);
    lki_write_leave(thread);
    SCHEDULE_EXPECT(status == LK_OK || (comes && !has_gone));
}

static void
depth_come_and_go(void)
{
    lk_result *result = store_result();
    comes = true;
    for (int i = 0; i < 3; i++) {
        push_one();
        pull_into(1, result);
        STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(result, 0), 1));
    }
    has_gone = true;
    lk_result_free(result);
}

/* ---- the head segment ---- */

/* The second segment is done with, and on its way out, when a pull goes on from the first. */
static void
front_prepare(void)
{
    store_prepare();
    lk_key keys[SECOND];
    lk_result *result = store_result();
    push_many(FIRST);
    push_into(SECOND, result);
    for (size_t i = 0; i < SECOND; i++) {
        lk_bytes sk = lk_result_item(result, i)->key.sk;
        __builtin_memcpy(names[i], sk.data, sk.size);
        keys[i] = (lk_key){lk_string("q"), {names[i], sk.size}};
    }
    push_one();
    pull_into(FIRST, result);
    lk_result_free(result);
    STORE_MUST(lk_delete(db, keys, SECOND));
}

static void
front_setup(void)
{
    for (uint32_t sweeps = schedule_choose(SWEEPS); sweeps > 0; sweeps--)
        sweep();
}

static void
front_pull(void)
{
    lk_result *result = store_result();
    pull_into(1, result);
    lk_result_free(result);
}

static void
front_check(void)
{
    sweep_all();
    const lki_segment *front = lki_load_acquire(&queue_get()->head_segment);
    SCHEDULE_EXPECT(segment_numbered(front->number) == front);
    SCHEDULE_EXPECT(segment_numbered(1) == NULL);
    push_one();
    front_pull();
}

const schedule_scenario schedule_scenarios[] = {
    STORE_MIDST("shared", store_prepare, shared_setup, push_one, shared_push, shared_check),
    STORE_MIDST("sealed", store_prepare, sealed_setup, sealed_push, push_one, sealed_check),
    STORE_MIDST("done", store_prepare, done_setup, push_one, done_acknowledge, done_check),
    {.name = "looked_at",
     .setup = looked_at_setup,
     .body = {looked_at_look, looked_at_publish},
     .check = looked_at_check,
     .all = 2},
    STORE_MIDST("come_and_go", store_prepare, depth_setup, depth_reserve, depth_come_and_go, NULL),
    STORE_MIDST("front", front_prepare, front_setup, front_pull, sweep, front_check),
    {0},
};
