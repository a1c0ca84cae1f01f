/* SPDX-License-Identifier: MIT
 *
 * Queues that come and go, and jobs that change their form, with two to four threads. `idle`: a
 * queue that nobody has used for a minute is taken out while others push to it, look at it, close
 * it and pull: no job is lost, none comes twice, and a closed queue takes none. `headed`: a job in
 * a place is set, locked, moved forward in time and deleted by its key while others claim and end
 * it: it has one holder, and ends once. `pages`: segments and pages of a queue leave while others
 * look for old jobs by their keys, and from them on, in both directions: what is there is found,
 * and nothing else. `flat`: however many jobs have passed through, also through a closed queue as
 * dead letters, they leave nothing.
 */
#include <stdatomic.h>
#include <string.h>

#include "schedule/one_store.h"

enum { ULID = 26, IDLE_MS = 61 * 1000, VISIBLE_MS = 1000, JOBS_MAX = 8 };

static _Atomic(uint32_t) pushed[JOBS_MAX + 1], done[JOBS_MAX + 1];
static _Atomic(bool) is_closed, is_over;
static char sk[ULID + 1];
static _Atomic(uint32_t) ended;

static lk_status
push(const char *key, uint64_t job)
{
    lk_item item = store_item(lk_key_of("queue", key), &job);
    lk_status status = lk_queue_push(db, &item, 1, NULL, NULL);
    if (status == LK_OK)
        pushed[job]++;
    else
        SCHEDULE_EXPECT(status == LK_CLOSED && is_closed);
    return status;
}

/* One job; false: there is none. */
static bool
work_one(lk_result *result)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("queue");
    bool was_over = is_over;
    lk_status status = lk_queue_pull(db, &options, result);
    if (status == LK_CLOSED)
        is_over = true;
    if (status == LK_EMPTY || status == LK_CLOSED)
        return false;
    STORE_MUST(status);
    if (was_over)
        schedule_fail("a job comes after the queue was over");
    uint64_t job = store_number(lk_result_item(result, 0));
    STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(result, 0), 1));
    done[job]++;
    return true;
}

static void
work_some(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < 3; i++)
        (void)work_one(result);
    lk_result_free(result);
}

static void
check_all_done(void)
{
    lk_result *result = store_result();
    while (work_one(result)) {}
    for (uint64_t job = 1; job <= JOBS_MAX; job++)
        if (pushed[job] != done[job])
            schedule_fail("job %d was pushed %u times and done %u times", (int)job,
                          (unsigned)pushed[job], (unsigned)done[job]);
    lk_queue_statistics s;
    STORE_MUST(lk_queue_stats(db, lk_string("queue"), &s));
    SCHEDULE_EXPECT(s.ready + s.claimed + s.delayed == 0);
    lk_result_free(result);
}

/* ---- a queue that goes ---- */

static void
prepare_idle(void)
{
    db = store_open();
    lk_result *result = store_result();
    STORE_MUST(push(NULL, 1));
    SCHEDULE_EXPECT(work_one(result));
    lk_result_free(result);
}

/* From the first sweep on it is not used. */
static void
setup_idle(void)
{
    schedule_time_pass(IDLE_MS);
    STORE_MUST(lk_sweep(db, 0, NULL));
    schedule_time_pass(IDLE_MS);
}

static void
sweep(void)
{
    STORE_MUST(lk_sweep(db, 0, NULL));
}

static void
push_plain(void)
{
    (void)push(NULL, 2);
    (void)push(NULL, 3);
}

static void
push_keyed(void)
{
    (void)push("key", 4);
}

static void
push_by_commit(void)
{
    uint64_t first = 5, second = 6;
    lk_write writes[] = {
        {.kind = LK_PUSH, .item = store_item(lk_key_of("queue", NULL), &first)},
        {.kind = LK_PUSH, .item = store_item(lk_key_of("queue", "other"), &second)}};
    lk_status status = lk_commit(db, writes, 2, NULL, 0, NULL);
    if (status == LK_OK) {
        pushed[5]++;
        pushed[6]++;
    } else {
        SCHEDULE_EXPECT(status == LK_CLOSED && is_closed);
    }
}

static void
push_many(void)
{
    uint64_t numbers[] = {7, 7, 7, 7, 8};
    lk_item items[5];
    for (int i = 0; i < 5; i++)
        items[i] = store_item(lk_key_of("queue", NULL), &numbers[i]);
    lk_status status = lk_queue_push(db, items, 5, NULL, NULL);
    if (status == LK_OK) {
        pushed[7] += 4;
        pushed[8]++;
    } else {
        SCHEDULE_EXPECT(status == LK_CLOSED && is_closed);
    }
}

static void
close_it(void)
{
    is_closed = true;
    STORE_MUST(lk_queue_close(db, lk_string("queue")));
    work_some();
}

static void
look(void)
{
    lk_queue_statistics s;
    STORE_MUST(lk_queue_stats(db, lk_string("queue"), &s));
    lk_claim claim = {.key = lk_key_of("queue", "key")};
    lk_status status = lk_queue_release(db, &claim, 0);
    SCHEDULE_EXPECT(status == LK_OK || status == LK_LOST);
}

/* A call by key while its queue goes and comes anew, with a job of that key. */
static void
sweep_and_push(void)
{
    sweep();
    push_keyed();
}

/* The last job of the queue, which somebody holds. */
static lk_claim last;

static void
prepare_last(void)
{
    db = store_open();
    lk_result *result = store_result();
    lk_pull_options options = {.pk = lk_string("queue"), .visibility_ms = VISIBLE_MS};
    STORE_MUST(push("key", 4));
    STORE_MUST(lk_queue_pull(db, &options, result));
    last = *lk_result_claim(result, 0);
    last.key = lk_key_of("queue", "key");
    lk_result_free(result);
}

static void
extend_last(void)
{
    lk_status status = lk_queue_extend(db, &last, 2 * VISIBLE_MS);
    SCHEDULE_EXPECT(status == LK_OK || status == LK_LOST);
}

static void
set_last(void)
{
    uint64_t job = 4;
    lk_item item = store_item(last.key, &job);
    item.expires_at_ms = schedule_unix_ms() + VISIBLE_MS;
    STORE_MUST(lk_set(db, &item, 1));
}

static void
delete_last(void)
{
    STORE_MUST(lk_delete(db, &last.key, 1));
    done[4]++;
    schedule_time_pass(4 * VISIBLE_MS);
    work_some(); /* what its states have left behind goes */
    setup_idle();
    sweep();
}

/* ---- a job that changes its form ---- */

static void
prepare_headed(void)
{
    db = store_open();
    lk_result *result = store_result();
    uint64_t number = 1;
    lk_item item = store_item(lk_key_of("queue", NULL), &number);
    STORE_MUST(lk_queue_push(db, &item, 1, NULL, result));
    lk_key key = lk_result_item(result, 0)->key;
    memcpy(sk, key.sk.data, ULID);
    lk_result_free(result);
}

static lk_key
its_key(void)
{
    return (lk_key){lk_string("queue"), {sk, ULID}};
}

static void
set_it(void)
{
    uint64_t number = 2;
    lk_item item = store_item(its_key(), &number);
    STORE_MUST(lk_set(db, &item, 1));
}

static void
lock_it(void)
{
    lk_lock lock;
    STORE_MUST(lk_get_lock(db, its_key(), &lock));
}

static void
delete_it(void)
{
    lk_key key = its_key();
    STORE_MUST(lk_delete(db, &key, 1));
}

/* Claims it, moves its deadline, and ends it, or gives it back. */
static void
hold_it(void)
{
    lk_result *result = store_result();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("queue");
    options.visibility_ms = VISIBLE_MS;
    if (lk_queue_pull(db, &options, result) == LK_OK) {
        lk_claim claim = *lk_result_claim(result, 0);
        lk_status status =
            lk_queue_extend(db, &claim, schedule_choose(2) == 0 ? VISIBLE_MS / 2 : 2 * VISIBLE_MS);
        SCHEDULE_EXPECT(status == LK_OK || status == LK_LOST);
        if (schedule_choose(2) == 0) {
            status = lk_queue_release(db, &claim, schedule_choose(2) == 0 ? 0 : VISIBLE_MS / 4);
        } else {
            status = lk_queue_acknowledge(db, &claim, 1);
            ended += status == LK_OK;
        }
        SCHEDULE_EXPECT(status == LK_OK || status == LK_LOST);
    }
    lk_result_free(result);
}

/* By its key, whoever holds it. */
static void
end_by_key(void)
{
    lk_claim claim = {.key = its_key()};
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = &claim};
    lk_status status = lk_commit(db, &write, 1, NULL, 0, NULL);
    SCHEDULE_EXPECT(status == LK_OK || status == LK_LOST);
    ended += status == LK_OK;
}

static void
check_headed(void)
{
    SCHEDULE_EXPECT(ended <= 1);
    schedule_time_pass(4 * VISIBLE_MS);
    lk_result *result = store_result();
    lk_queue_statistics s;
    STORE_MUST(lk_queue_stats(db, lk_string("queue"), &s));
    SCHEDULE_EXPECT(s.ready <= 1 && s.claimed == 0 && s.delayed == 0);
    uint64_t taken = 0;
    while (work_one(result))
        taken++;
    if (taken != s.ready)
        schedule_fail("%d jobs are there, and %d come", (int)s.ready, (int)taken);
    SCHEDULE_EXPECT(taken + ended <= 1);
    lk_result_free(result);
}

/* ---- pages that leave ---- */

enum { OLD = 14, NEW = 6, ALL = OLD + NEW, BATCH = 5 };

static char sks[ALL + 1][ULID];
static _Atomic(bool) gone[ALL + 1];

static lk_key
key_of(uint64_t job)
{
    return (lk_key){lk_string("queue"), {sks[job], ULID}};
}

static void
prepare_pages(void)
{
    db = store_open();
    lk_result *result = store_result();
    for (uint64_t job = 1; job <= ALL; job += BATCH) {
        uint64_t numbers[BATCH];
        lk_item items[BATCH];
        for (uint64_t i = 0; i < BATCH; i++) {
            numbers[i] = job + i;
            items[i] = store_item(lk_key_of("queue", NULL), &numbers[i]);
        }
        STORE_MUST(lk_queue_push(db, items, BATCH, NULL, result));
        for (uint64_t i = 0; i < BATCH; i++)
            memcpy(sks[job + i], lk_result_item(result, i)->key.sk.data, ULID);
    }
    lk_result_free(result);
}

/* Half of the old ones, each by its key. */
static void
end_old(uint64_t first)
{
    for (uint64_t job = first; job <= OLD; job += 2) {
        lk_claim claim = {.key = key_of(job)};
        STORE_MUST(lk_queue_acknowledge(db, &claim, 1));
        gone[job] = true;
    }
}

static void
end_odd(void)
{
    end_old(1);
}

static void
end_even(void)
{
    end_old(2);
    for (int i = 0; i < 4; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
}

/* What was gone before the call is not found; what is never taken out is. */
static void
look_at(uint64_t job, lk_result *result)
{
    bool was_gone = gone[job];
    lk_status status = lk_get(db, key_of(job), result);
    SCHEDULE_EXPECT(status == LK_OK || status == LK_NOT_FOUND);
    SCHEDULE_EXPECT(status != LK_OK ||
                    (!was_gone && store_number(lk_result_item(result, 0)) == job));
    SCHEDULE_EXPECT(status == LK_OK || job <= OLD);
}

/* From a job on, behind it or before it: in order, without duplicates, all that stay. */
static void
walk_from(uint64_t job, bool reverse, lk_result *result)
{
    bool was_gone[ALL + 1];
    for (uint64_t i = 1; i <= ALL; i++)
        was_gone[i] = gone[i];
    lk_query query = {.pk = lk_string("queue"), .after = key_of(job).sk, .reverse = reverse};
    STORE_MUST(lk_query_items(db, &query, result));
    uint64_t before = 0, stay = 0;
    for (size_t i = 0; i < lk_result_count(result); i++) {
        uint64_t number = store_number(lk_result_item(result, i));
        SCHEDULE_EXPECT(i == 0 || (reverse ? number < before : number > before));
        SCHEDULE_EXPECT(reverse ? number < job : number > job);
        SCHEDULE_EXPECT(!was_gone[number]);
        stay += number > OLD;
        before = number;
    }
    uint64_t behind = job > OLD ? ALL - job : NEW;
    SCHEDULE_EXPECT(stay == (!reverse ? behind : job > OLD ? job - OLD - 1 : 0));
}

static void
look_around(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < 3; i++) {
        uint64_t job = 1 + schedule_random() % ALL;
        look_at(job, result);
        walk_from(job, schedule_random() % 2 == 0, result);
    }
    lk_result_free(result);
}

static void
check_pages(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < 12; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
    for (uint64_t job = 1; job <= ALL; job++) {
        look_at(job, result);
        walk_from(job, true, result);
        walk_from(job, false, result);
    }
    lk_queue_statistics s;
    STORE_MUST(lk_queue_stats(db, lk_string("queue"), &s));
    SCHEDULE_EXPECT(s.ready == NEW);
    lk_result_free(result);
}

/* ---- what passed through leaves nothing ---- */

enum { ROUNDS = 12, MUCH = 4 };

static void
sweep_all(void)
{
    for (int i = 0; i < 12; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
}

static void
live_check(uint64_t before)
{
    if (schedule_live() > before)
        schedule_fail("%d allocations were live, and %d are", (int)before, (int)schedule_live());
}

/* Batches that come and go; `flood`: they go when the last has come. */
static void
churn(uint64_t rounds, bool flood)
{
    lk_result *result = store_result();
    for (uint64_t i = 0; i < rounds; i++) {
        push_many();
        while (!flood && work_one(result)) {}
    }
    while (work_one(result)) {}
    sweep_all();
    lk_result_free(result);
}

static void
churn_some(void)
{
    churn(ROUNDS, false);
}

/* Through a closed queue: dead letters come, and are taken out. */
static void
letters(uint64_t rounds)
{
    lk_result *result = store_result();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("source");
    options.dead_pk = lk_string("closed");
    options.max_receives = 1;
    for (uint64_t i = 0; i < rounds; i++) {
        lk_item item = store_item(lk_key_of("source", NULL), &i);
        STORE_MUST(lk_queue_push(db, &item, 1, NULL, NULL));
        lk_status status = lk_queue_pull(db, &options, result);
        if (status == LK_OK)
            status = lk_queue_release(db, lk_result_claim(result, 0), 0);
        SCHEDULE_EXPECT(status == LK_OK || status == LK_EMPTY);
        while ((status = lk_queue_pull(db, &options, result)) == LK_OK)
            STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(result, 0), 1));
        SCHEDULE_EXPECT(status == LK_EMPTY);
    }
    lk_result_free(result);
}

static void
letters_purge(uint64_t rounds)
{
    letters(rounds);
    STORE_MUST(lk_queue_purge(db, lk_string("closed"), NULL));
    sweep_all();
}

static void
letters_some(void)
{
    letters(ROUNDS / 2);
}

static void
prepare_closed(void)
{
    db = store_open();
    uint64_t number = 1;
    lk_item item = store_item(lk_key_of("closed", NULL), &number);
    STORE_MUST(lk_queue_push(db, &item, 1, NULL, NULL));
    STORE_MUST(lk_queue_close(db, lk_string("closed")));
}

static void
check_closed(void)
{
    letters_purge(ROUNDS);
    uint64_t before = schedule_live();
    letters_purge(MUCH * ROUNDS);
    live_check(before + 2);
    lk_queue_statistics s;
    STORE_MUST(lk_queue_stats(db, lk_string("closed"), &s));
    SCHEDULE_EXPECT(s.ready == 0);
}

static void
check_flat(void)
{
    churn(ROUNDS, false);
    uint64_t before = schedule_live();
    churn(MUCH * ROUNDS, false);
    live_check(before + 2);
    churn(MUCH * ROUNDS, true);
    live_check(before + 2);
    check_all_done();
}

/* ---- */

#define IDLE(title, ...)                                                                      \
    {                                                                                         \
        .name = title, .prepare = prepare_idle, .setup = setup_idle, .check = check_all_done, \
        .teardown = store_teardown, .count = 800, __VA_ARGS__                                 \
    }
#define LAST(title, how)                                                                     \
    {                                                                                        \
        .name = title, .prepare = prepare_last, .body = {how, delete_last},                  \
        .check = check_all_done, .teardown = store_teardown, .all = 2, .memory = SCHEDULE_SC \
    }
#define HEADED(title, ...)                                                                  \
    {                                                                                       \
        .name = title, .prepare = prepare_headed, .teardown = store_teardown, .count = 800, \
        __VA_ARGS__                                                                         \
    }

const schedule_scenario schedule_scenarios[] = {
    IDLE("idle", .body = {sweep, push_plain, push_keyed, work_some}),
    IDLE("idle_commit", .body = {sweep, push_by_commit, push_many, look}),
    IDLE("idle_close", .body = {sweep, close_it, push_plain, push_by_commit}),
    IDLE("idle_all", .body = {sweep, push_plain}, .all = 2, .memory = SCHEDULE_SC),
    IDLE("idle_key", .body = {look, sweep_and_push}, .all = 2, .memory = SCHEDULE_SC),
    LAST("idle_last", extend_last),
    LAST("idle_last_set", set_last),
    HEADED("headed_set", .body = {set_it, hold_it, hold_it}, .check = check_headed),
    HEADED("headed_lock", .body = {lock_it, hold_it, end_by_key}, .check = check_headed),
    HEADED("headed_delete", .body = {delete_it, hold_it, lock_it}, .check = check_headed),
    {.name = "pages",
     .prepare = prepare_pages,
     .body = {end_odd, end_even, look_around},
     .check = check_pages,
     .teardown = store_teardown,
     .count = 800},
    {.name = "flat",
     .prepare = prepare_idle,
     .body = {churn_some, churn_some},
     .check = check_flat,
     .teardown = store_teardown,
     .count = 20},
    {.name = "flat_closed",
     .prepare = prepare_closed,
     .body = {letters_some, letters_some},
     .check = check_closed,
     .teardown = store_teardown,
     .count = 20},
    {0},
};
