/* SPDX-License-Identifier: MIT
 *
 * What happens in the midst of a call on a queue. Each call, and each thing that another thread may
 * do meanwhile; either of the two stops at each of its points in turn, and the other one goes on to
 * its end.
 *
 * `one_*`, `three_*`: a pull of so many. Of jobs of which the smaller was visible before the
 * larger, the smaller comes first. `release_*`, `acknowledge_*`, `commit_*`: by key, LK_OK or
 * LK_LOST while the queue comes to be, or goes for want of use and comes anew; no job is lost.
 * `mixed`: jobs of a batch without an sk are contiguous also where others of the batch have one.
 * `depth_*`: never more jobs than max_depth, and what was refused counts for nothing. `look_*`: a
 * push, a snapshot, and a third thread that sets an item and then looks for the jobs. If it has not
 * found them, its item was there before they were: a snapshot that has them has the item
 * (tests/model/push.pml). And the same of jobs that end.
 */
#include <stdio.h>
#include <string.h>

#include "schedule/one_store.h"

enum { SMALL = 1, LARGE = 2, OTHER = 99, IDLE_MS = 61 * 1000, SK_ROOM = 32 };

static lk_claim claims[2];
static lk_status status_of_call;

static const lk_key plain = {{"q", 1}, {NULL, 0}}, key_b = {{"q", 1}, {"b", 1}};
static const lk_key key_k = {{"q", 1}, {"k", 1}}, key_z = {{"q", 1}, {"z", 1}};

static void
push(lk_key key, uint64_t number)
{
    lk_item job = store_item(key, &number);
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
}

static void
commit_of(lk_key first_key, uint64_t first, lk_key second_key, uint64_t second, size_t count)
{
    lk_write writes[2] = {{.kind = LK_PUSH, .item = store_item(first_key, &first)},
                          {.kind = LK_PUSH, .item = store_item(second_key, &second)}};
    STORE_MUST(lk_commit(db, writes, count, NULL, 0, NULL));
}

static lk_status
pull(const char *queue, size_t max_jobs, lk_result *result)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string(queue);
    options.max_jobs = max_jobs;
    return lk_queue_pull(db, &options, result);
}

/* Claims what is there; their keys point into memory that lasts. */
static void
claim(const char *queue, size_t count)
{
    static char sk[2][SK_ROOM];
    lk_result *result = store_result();
    STORE_MUST(pull(queue, count, result));
    for (size_t i = 0; i < count; i++) {
        claims[i] = *lk_result_claim(result, i);
        memcpy(sk[i], claims[i].key.sk.data, claims[i].key.sk.size);
        claims[i].key = (lk_key){lk_string(queue), {sk[i], claims[i].key.sk.size}};
    }
    lk_result_free(result);
}

/* ---- order ---- */

static void
prepare_claimed(void)
{
    store_prepare();
    push(plain, SMALL);
    claim("q", 1);
}

/* The next pull of the letters moves the small one to the queue. */
static void
prepare_letter(void)
{
    store_prepare();
    push(lk_key_of("letters", "b"), SMALL);
    claim("letters", 1);
    STORE_MUST(lk_queue_release(db, &claims[0], 0));
}

/* What lies in the way, and is nothing. */
static void
prepare_expired(void)
{
    static const char *const sks[2] = {"", "a"};
    uint64_t number = OTHER;
    store_prepare();
    for (int i = 0; i < 2; i++) {
        lk_item job = store_item(lk_key_of("q", sks[i]), &number);
        job.expires_at_ms = schedule_unix_ms() + 1;
        STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
    }
    schedule_time_pass(2);
}

static void
plain_then_key(void)
{
    push(plain, SMALL);
    push(key_z, LARGE);
}

static void
key_then_key(void)
{
    push(key_b, SMALL);
    push(key_z, LARGE);
}

static void
commit_then_key(void)
{
    commit_of(plain, SMALL, plain, 0, 1);
    push(key_z, LARGE);
}

static void
commit_of_both(void)
{
    commit_of(key_z, LARGE, plain, SMALL, 2);
}

static void
batch_of_both(void)
{
    uint64_t numbers[2] = {LARGE, SMALL};
    lk_item jobs[2] = {store_item(key_z, &numbers[0]), store_item(key_b, &numbers[1])};
    STORE_MUST(lk_queue_push(db, jobs, 2, NULL, NULL));
}

static void
release_then_key(void)
{
    STORE_MUST(lk_queue_release(db, &claims[0], 0));
    push(key_z, LARGE);
}

static void
release_by_commit(void)
{
    lk_write writes[2] = {{.kind = LK_RELEASE, .claim = &claims[0]},
                          {.kind = LK_DELETE, .item.key = lk_key_of("other", "x")}};
    STORE_MUST(lk_commit(db, writes, 2, NULL, 0, NULL));
}

static void
release_by_commit_then_key(void)
{
    release_by_commit();
    push(key_z, LARGE);
}

static void
release_then_plain(void)
{
    STORE_MUST(lk_queue_release(db, &claims[0], 0));
    push(plain, LARGE);
}

static void
letter_then_key(void)
{
    lk_result *result = store_result();
    lk_pull_options options = {
        .pk = lk_string("letters"), .max_receives = 1, .dead_pk = lk_string("q")};
    SCHEDULE_EXPECT(lk_queue_pull(db, &options, result) == LK_EMPTY);
    lk_result_free(result);
    push(key_z, LARGE);
}

static bool small_came, large_came;

static void
order_note(const lk_result *result)
{
    for (size_t i = 0; i < lk_result_count(result); i++) {
        uint64_t number = store_number(lk_result_item(result, i));
        if (number == LARGE && !small_came)
            schedule_fail("the larger comes first");
        small_came |= number == SMALL;
        large_came |= number == LARGE;
    }
}

static void
pull_some(size_t max_jobs)
{
    lk_result *result = store_result();
    lk_status status = pull("q", max_jobs, result);
    if (status != LK_EMPTY)
        STORE_MUST(status);
    order_note(result);
    lk_result_free(result);
}

static void
pull_one(void)
{
    pull_some(1);
}

static void
pull_three(void)
{
    pull_some(3);
}

static void
check_order(void)
{
    lk_result *result = store_result();
    while (pull("q", 1, result) == LK_OK)
        order_note(result);
    SCHEDULE_EXPECT(small_came && large_came);
    lk_result_free(result);
}

/* ---- by key ---- */

/* The queue was used, and is idle. */
static void
prepare_idle(void)
{
    lk_claim by_key = {.key = key_k};
    store_prepare();
    push(key_k, OTHER);
    claim("q", 1);
    STORE_MUST(lk_queue_acknowledge(db, &by_key, 1));
    for (int i = 0; i < 4; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
    schedule_time_pass(IDLE_MS);
}

static void
push_key(void)
{
    push(key_k, SMALL);
}

static void
commit_key(void)
{
    commit_of(key_k, SMALL, plain, 0, 1);
}

static void
anew(void)
{
    STORE_MUST(lk_sweep(db, 0, NULL));
    push_key();
}

static void
call_release(void)
{
    lk_claim by_key = {.key = key_k};
    status_of_call = lk_queue_release(db, &by_key, 0);
}

static void
call_acknowledge(void)
{
    lk_claim by_key = {.key = key_k};
    status_of_call = lk_queue_acknowledge(db, &by_key, 1);
}

static void
commit_by_key(lk_write_kind kind)
{
    lk_claim by_key = {.key = key_k};
    lk_write write = {.kind = kind, .claim = &by_key};
    status_of_call = lk_commit(db, &write, 1, NULL, 0, NULL);
}

static void
call_commit(void)
{
    commit_by_key(LK_ACKNOWLEDGE);
}

static void
call_commit_release(void)
{
    commit_by_key(LK_RELEASE);
}

static void
check_there(bool there)
{
    lk_result *result = store_result();
    if (status_of_call != LK_LOST)
        STORE_MUST(status_of_call);
    if (there) {
        STORE_MUST(pull("q", 1, result));
        SCHEDULE_EXPECT(store_number(lk_result_item(result, 0)) == SMALL);
    }
    SCHEDULE_EXPECT(pull("q", 1, result) == LK_EMPTY);
    lk_result_free(result);
}

static void
check_released(void)
{
    check_there(true);
}

static void
check_ended(void)
{
    check_there(status_of_call == LK_LOST);
}

/* ---- batches in which some jobs have an sk ---- */

enum { MIXED = 20, BEFORE = 20 };

/* Those at every third position, from this one on, have an sk. */
static uint32_t keyed_at;
static char own[MIXED][8];

/* What they need is there before: a stopped push holds no latch then. */
static void
prepare_mixed(void)
{
    store_prepare();
    for (size_t i = 0; i < BEFORE; i++)
        push(plain, OTHER);
    for (size_t i = 0; i < MIXED; i++) {
        snprintf(own[i], sizeof own[i], "own%zu", i);
        push(lk_key_of("q", own[i]), OTHER);
    }
}

static void
setup(void)
{
    keyed_at = (uint32_t)(schedule_random() % 3);
}

static void
mixed_push(void)
{
    uint64_t numbers[MIXED];
    lk_item jobs[MIXED];
    for (size_t i = 0; i < MIXED; i++) {
        numbers[i] = i + 1;
        jobs[i] = store_item(i % 3 == keyed_at ? lk_key_of("q", own[i]) : plain, &numbers[i]);
    }
    STORE_MUST(lk_queue_push(db, jobs, MIXED, NULL, NULL));
}

static void
singles_push(void)
{
    push(plain, OTHER);
    for (int i = 0; i < 3; i++)
        push(lk_key_of("q", own[i]), OTHER);
    push(plain, OTHER);
}

static void
check_mixed(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = plain.pk, .sk_prefix = lk_string("0")};
    uint64_t next = 0;
    STORE_MUST(lk_query_items(db, &query, result));
    for (size_t i = 0; i < lk_result_count(result); i++) {
        uint64_t number = store_number(lk_result_item(result, i));
        next += next % 3 == keyed_at;
        if (number != OTHER && number != next + 1)
            schedule_fail("job %d comes after %d", (int)number, (int)next);
        SCHEDULE_EXPECT(number != OTHER || next <= (keyed_at == 0) || next >= MIXED);
        next += number != OTHER;
    }
    SCHEDULE_EXPECT(next + (next % 3 == keyed_at) >= MIXED);
    lk_result_free(result);
}

/* ---- two pushes, and room for one job ---- */

static void
prepare_depth(void)
{
    store_prepare();
    push(plain, OTHER);
    STORE_MUST(lk_queue_purge(db, plain.pk, NULL));
    store_set(db, key_k, OTHER);
    store_set(db, key_z, OTHER);
}

static void
push_to_one(lk_key key)
{
    uint64_t number = SMALL;
    lk_item job = store_item(key, &number);
    lk_push_options options = {.max_depth = 1};
    lk_status status = lk_queue_push(db, &job, 1, &options, NULL);
    if (status != LK_BUSY)
        STORE_MUST(status);
}

static void
plain_to_one(void)
{
    push_to_one(plain);
}

static void
key_to_one(void)
{
    push_to_one(key_k);
}

static void
other_key_to_one(void)
{
    push_to_one(key_z);
}

static void
prepare_full(void)
{
    prepare_depth();
    push(plain, OTHER);
    claim("q", 1);
}

/* Another job in the place of the one that ends. */
static void
hand_on_to_one(void)
{
    uint64_t number = SMALL;
    lk_push_options options = {.max_depth = 1};
    lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = &claims[0]},
                          {.kind = LK_PUSH, .item = store_item(plain, &number), .push = &options}};
    lk_status status = lk_commit(db, writes, 2, NULL, 0, NULL);
    if (status != LK_BUSY)
        STORE_MUST(status);
}

static void
check_depth(void)
{
    lk_queue_statistics stats;
    STORE_MUST(lk_queue_stats(db, plain.pk, &stats));
    if (stats.ready + stats.claimed > 1)
        schedule_fail("%d jobs, where one has room", (int)(stats.ready + stats.claimed));
    STORE_MUST(lk_queue_purge(db, plain.pk, NULL));
    lk_item job = {.key = plain, .data = {"x", 1}};
    lk_push_options one = {.max_depth = 1};
    STORE_MUST(lk_queue_push(db, &job, 1, &one, NULL));
}

/* ---- a snapshot, and a look behind a write ---- */

static bool ends; /* the jobs; else they come */
static size_t found, seen;
static bool has_set;

/* How many items of the queue are these jobs; was the item "z" set? */
static size_t
look(bool *set)
{
    lk_result *result = store_result();
    lk_query query = {.pk = plain.pk};
    size_t jobs = 0;
    STORE_MUST(lk_query_items(db, &query, result));
    for (size_t i = 0; i < lk_result_count(result); i++) {
        uint64_t number = store_number(lk_result_item(result, i));
        jobs += number == SMALL;
        *set |= number == LARGE;
    }
    lk_result_free(result);
    return jobs;
}

static void
two_push(void)
{
    uint64_t number = SMALL;
    lk_item jobs[2] = {store_item(plain, &number), store_item(plain, &number)};
    STORE_MUST(lk_queue_push(db, jobs, 2, NULL, NULL));
}

static void
two_end(void)
{
    STORE_MUST(lk_queue_acknowledge(db, claims, 2));
}

static void
prepare_look(void)
{
    store_prepare();
    store_set(db, key_z, OTHER);
    push(plain, OTHER);
}

static void
prepare_look_at_ends(void)
{
    store_prepare();
    store_set(db, key_z, OTHER);
    two_push();
    claim("q", 2);
    push(plain, OTHER);
    ends = true;
}

static void
snapshot_take(void)
{
    seen = look(&has_set);
}

static void
set_and_look(void)
{
    bool set = false;
    store_set(db, key_z, LARGE);
    found = look(&set);
    SCHEDULE_EXPECT(set);
}

static void
check_look(void)
{
    bool set = false;
    if ((ends ? seen < found : seen > found) && !has_set)
        schedule_fail("a snapshot has %d jobs and not the item, after which %d were there",
                      (int)seen, (int)found);
    SCHEDULE_EXPECT(look(&set) == (ends ? 0 : 2));
}

/* `most`: who is stopped at each of its points. */
#define MEET_UP_TO(most, title, before, call, step, after)                                      \
    {                                                                                           \
        .name = title, .prepare = before, .setup = setup, .body = {call, step}, .check = after, \
        .teardown = store_teardown, .count = 300, .limit = 40000, .stops = most                 \
    }
#define MEET(title, before, call, step, after) MEET_UP_TO(2, title, before, call, step, after)
#ifdef LKI_SMALL /* a push that has to make a segment holds up others that do */
enum { PUSHES_STOP = 0 };
#else
enum { PUSHES_STOP = 2 };
#endif
#define ORDER(title, before, step)                           \
    MEET("one_" title, before, pull_one, step, check_order), \
        MEET("three_" title, before, pull_three, step, check_order)

const schedule_scenario schedule_scenarios[] = {
    ORDER("plain_then_key", store_prepare, plain_then_key),
    ORDER("plain_then_key_behind_expired", prepare_expired, plain_then_key),
    ORDER("key_then_key", store_prepare, key_then_key),
    ORDER("key_then_key_behind_expired", prepare_expired, key_then_key),
    ORDER("commit_then_key", store_prepare, commit_then_key),
    ORDER("commit_of_both", store_prepare, commit_of_both),
    ORDER("batch_of_both", store_prepare, batch_of_both),
    ORDER("release_then_key", prepare_claimed, release_then_key),
    ORDER("release_then_plain", prepare_claimed, release_then_plain),
    ORDER("release_by_commit_then_key", prepare_claimed, release_by_commit_then_key),
    ORDER("letter_then_key", prepare_letter, letter_then_key),
    MEET("release_while_pushed", store_prepare, call_release, push_key, check_released),
    MEET("release_while_committed", store_prepare, call_release, commit_key, check_released),
    MEET("release_while_anew", prepare_idle, call_release, anew, check_released),
    MEET("acknowledge_while_pushed", store_prepare, call_acknowledge, push_key, check_ended),
    MEET("acknowledge_while_anew", prepare_idle, call_acknowledge, anew, check_ended),
    MEET("commit_while_pushed", store_prepare, call_commit, push_key, check_ended),
    MEET("commit_while_anew", prepare_idle, call_commit, anew, check_ended),
    MEET("commit_release_while_pushed", store_prepare, call_commit_release, push_key,
         check_released),
    MEET("commit_release_while_anew", prepare_idle, call_commit_release, anew, check_released),
    MEET_UP_TO(PUSHES_STOP, "mixed", prepare_mixed, mixed_push, singles_push, check_mixed),
    MEET("depth_of_plain_and_key", prepare_depth, plain_to_one, key_to_one, check_depth),
    MEET_UP_TO(PUSHES_STOP, "depth_of_plain", prepare_depth, plain_to_one, plain_to_one,
               check_depth),
    MEET("depth_of_hand_on_and_key", prepare_full, hand_on_to_one, key_to_one, check_depth),
    MEET("depth_of_keys", prepare_depth, other_key_to_one, key_to_one, check_depth),
    {.name = "look_for_pushes",
     .prepare = prepare_look,
     .body = {two_push, snapshot_take, set_and_look},
     .check = check_look,
     .teardown = store_teardown,
     .stops = 2},
    {.name = "look_for_ends",
     .prepare = prepare_look_at_ends,
     .body = {two_end, snapshot_take, set_and_look},
     .check = check_look,
     .teardown = store_teardown,
     .stops = 2},
    {0},
};
