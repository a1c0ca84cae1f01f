/* SPDX-License-Identifier: MIT
 *
 * Queues, as schedule_orders.c: the smallest uses in which the ordering pairs
 * P11 to P19 meet.
 */
#include <string.h>

#include "schedule/store.h"

static lk_db *db;
static lk_result *held; /* claims that `prepare` has made */
static bool over, pushed[SCHEDULE_FIBERS + 1];
static int64_t began_ms;

static lk_status
pull_from(const char *pk, lk_result *result, const char *dead_pk)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string(pk);
    if (dead_pk != NULL) {
        options.dead_pk = lk_string(dead_pk);
        options.max_receives = 1;
    }
    lk_status status = lk_queue_pull(db, &options, result);
    schedule_note("pull %s: %s", pk, lk_status_string(status));
    return status;
}

static void
push_to(const char *pk)
{
    lk_item job = {.key = {.pk = lk_string(pk)}, .data = lk_string("job")};
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
}

static void
teardown(void)
{
    lk_result_free(held);
    lk_close(db);
}

/* ---- the end of a closed queue: P16 ---- */

/* A job that was received once, and another queue, closed, with one job that is
 * claimed, and an item in the way: so the letter gets a place there. */
static void
letter_prepare(void)
{
    db = store_open();
    held = store_result();
    push_to("a");
    STORE_MUST(pull_from("a", held, NULL));
    lk_item item = {.key = lk_result_claim(held, 0)->key, .data = lk_string("item")};
    item.key.pk = lk_string("b");
    STORE_MUST(lk_set(db, &item, 1));
    STORE_MUST(lk_queue_release(db, lk_result_claim(held, 0), 0));
    push_to("b");
    STORE_MUST(pull_from("b", held, NULL));
    STORE_MUST(lk_queue_close(db, lk_string("b")));
}

/* The dead letter comes before the other job goes: there is one at each
 * instant. */
static void
letter_comes(void)
{
    lk_result *result = store_result();
    SCHEDULE_EXPECT(pull_from("a", result, "b") == LK_EMPTY);
    STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(held, 0), 1));
    lk_result_free(result);
}

static void
letter_look(void)
{
    lk_result *result = store_result();
    if (pull_from("b", result, NULL) == LK_CLOSED)
        schedule_fail("a closed queue is over, though a job was there at each instant");
    lk_result_free(result);
}

/* A push by a commit, of a job with a key. */
static void
close_prepare(void)
{
    db = store_open();
    push_to("a");
    held = store_result();
    STORE_MUST(pull_from("a", held, NULL));
    STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(held, 0), 1));
}

static void
close_push(void)
{
    lk_write write = {.kind = LK_PUSH,
                      .item = {.key = lk_key_of("a", "key"), .data = lk_string("job")}};
    lk_status status = lk_commit(db, &write, 1, NULL, 0, NULL);
    schedule_note("push: %s", lk_status_string(status));
    SCHEDULE_EXPECT(status == LK_OK || status == LK_CLOSED);
}

static void
close_pull(void)
{
    lk_result *result = store_result();
    STORE_MUST(lk_queue_close(db, lk_string("a")));
    over = pull_from("a", result, NULL) == LK_CLOSED;
    lk_result_free(result);
}

static void
close_check(void)
{
    lk_result *result = store_result();
    if (pull_from("a", result, NULL) == LK_OK && over)
        schedule_fail("a job after the last pull was told that none will come");
    lk_result_free(result);
}

/* A job that is claimed gets an expiry, and is the last. */
static void
expiry_prepare(void)
{
    db = store_open();
    held = store_result();
    lk_item job = {.key = lk_key_of("a", "key"), .data = lk_string("job")};
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
    STORE_MUST(pull_from("a", held, NULL));
    began_ms = schedule_monotonic_ms();
}

static void
expiry_set(void)
{
    lk_item job = {lk_key_of("a", "key"), lk_string("job"), schedule_unix_ms() + 50};
    STORE_MUST(lk_set(db, &job, 1));
}

static void
expiry_close(void)
{
    STORE_MUST(lk_queue_close(db, lk_string("a")));
}

static void
expiry_wait(void)
{
    lk_result *result = store_result();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("a");
    options.wait_ms = -1;
    SCHEDULE_EXPECT(lk_queue_pull(db, &options, result) == LK_CLOSED);
    if (schedule_monotonic_ms() - began_ms > 1000)
        schedule_fail("a waiting pull slept past the expiry of the last job");
    lk_result_free(result);
}

/* ---- a queue that comes to be, and grows: P11, P13 ---- */

static void
item_prepare(void)
{
    db = store_open();
    held = store_result();
    lk_item item = {.key = lk_key_of("a", "item"), .data = lk_string("item")};
    STORE_MUST(lk_set(db, &item, 1)); /* so that the partition is there */
}

enum { FIRST_SEGMENT = 16 };

/* Of the first segment one place is left; a claim has lapsed, and nobody has
 * noticed. */
static void
grow_prepare(void)
{
    item_prepare();
    for (int i = 0; i < FIRST_SEGMENT - 1; i++)
        push_to("a");
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("a");
    options.visibility_ms = 10;
    STORE_MUST(lk_queue_pull(db, &options, held));
}

static void
grow_setup(void)
{
    schedule_time_pass(100);
}

static void
push_more(void)
{
    for (int i = 0; i < 3; i++)
        push_to("a");
}

static void
commit_more(void)
{
    lk_write writes[2] = {
        {.kind = LK_PUSH, .item = {.key = lk_key_of("a", ""), .data = lk_string("job")}},
        {.kind = LK_PUSH, .item = {.key = lk_key_of("a", ""), .data = lk_string("job")}}};
    for (int i = 0; i < 2; i++)
        STORE_MUST(lk_commit(db, writes, 2, NULL, 0, NULL));
}

/* One of the ways to come to places. */
static void
look(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = lk_string("a")};
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    lk_queue_statistics statistics;
    lk_status status;
    switch (schedule_random() % 6) {
    case 0:
        STORE_MUST(lk_query_items(db, &query, result));
        break;
    case 1:
        STORE_MUST(lk_queue_stats(db, lk_string("a"), &statistics));
        break;
    case 2:
        STORE_MUST(lk_queue_purge(db, lk_string("a"), NULL));
        break;
    case 3:
        options.pk = lk_string("a");
        options.max_jobs = 2;
        status = lk_queue_pull(db, &options, result);
        SCHEDULE_EXPECT(status == LK_OK || status == LK_EMPTY);
        if (status == LK_OK) /* unless it was purged meanwhile */
            status = lk_queue_acknowledge(db, lk_result_claim(result, 0), 1);
        break;
    case 4:
        query.reverse = true;
        STORE_MUST(lk_query_items(db, &query, result));
        break;
    default:
        if (lk_result_count(held) == 0)
            break;
        status = lk_queue_acknowledge(db, lk_result_claim(held, 0), 1);
        SCHEDULE_EXPECT(status == LK_LATE || status == LK_LOST);
    }
    lk_result_free(result);
}

/* ---- the end of a segment: P14 ---- */

/* All places of the first segment are given out, and one job is left. */
static void
seal_prepare(void)
{
    db = store_open();
    held = store_result();
    for (int i = 0; i < FIRST_SEGMENT; i++) {
        push_to("a");
        STORE_MUST(pull_from("a", held, NULL));
        if (i < FIRST_SEGMENT - 1)
            STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(held, 0), 1));
    }
}

static void
seal_finish(void)
{
    STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(held, 0), 1));
}

static void
seal_grow(void)
{
    push_to("a");
}

/* A queue goes if it is idle and empty, and its old segments have left. */
static void
seal_check(void)
{
    lk_queue_statistics statistics;
    STORE_MUST(pull_from("a", held, NULL));
    STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(held, 0), 1));
    for (int i = 0; i < 4; i++) {
        schedule_time_pass(100000);
        for (int k = 0; k < 4; k++)
            STORE_MUST(lk_sweep(db, 0, NULL));
    }
    STORE_MUST(lk_queue_stats(db, lk_string("a"), &statistics));
    if (statistics.pushes != 0)
        schedule_fail("an empty queue stays: a segment has not left");
}

/* ---- one that has a place, and one that has a key: the pins and the places ---- */

static void
push_deep(const char *sk)
{
    lk_item job = {.key = lk_key_of("a", sk), .data = lk_string("job")};
    lk_push_options options = LK_PUSH_OPTIONS_INIT;
    options.max_depth = 1;
    lk_status status = lk_queue_push(db, &job, 1, &options, NULL);
    SCHEDULE_EXPECT(status == LK_OK || status == LK_BUSY);
    pushed[schedule_self()] = status == LK_OK;
}

static void
depth_place(void)
{
    push_deep("");
}

static void
depth_key(void)
{
    push_deep("key");
}

static void
depth_check(void)
{
    if (pushed[1] && pushed[2])
        schedule_fail("two jobs where one is the most");
}

/* ---- a queue that goes: P13 ---- */

/* It was looked at once, and in a minute it may go. Its last key. */
static void
idle_prepare(void)
{
    item_prepare();
    push_to("a");
    STORE_MUST(pull_from("a", held, NULL));
    STORE_MUST(lk_queue_acknowledge(db, lk_result_claim(held, 0), 1));
}

static void
idle_setup(void)
{
    schedule_time_pass(100000);
    STORE_MUST(lk_sweep(db, 0, NULL));
    schedule_time_pass(100000);
}

static void
idle_sweep(void)
{
    for (int i = 0; i < 3; i++) {
        lk_status status = lk_sweep(db, 0, NULL);
        if (status != LK_BUSY)
            STORE_MUST(status);
    }
}

static void
push_two(void)
{
    push_to("a");
    push_to("a");
}

static void
push_key(void)
{
    lk_item job = {.key = lk_key_of("a", "key"), .data = lk_string("job")};
    STORE_MUST(lk_queue_push(db, &job, 1, NULL, NULL));
}

/* All jobs are there, and the generated keys grow. */
static void
idle_check(void)
{
    lk_result *result = store_result();
    lk_bytes last = lk_result_item(held, 0)->key.sk;
    for (int i = 0; i < 3; i++) {
        STORE_MUST(pull_from("a", result, NULL));
        lk_bytes sk = lk_result_item(result, 0)->key.sk;
        if (sk.size == last.size && lk_bytes_compare(sk, last) <= 0)
            schedule_fail("a queue that came anew generates a key as before");
    }
    SCHEDULE_EXPECT(pull_from("a", result, NULL) == LK_EMPTY);
    lk_result_free(result);
}

/* ---- a key that the queue is about to give itself ---- */

static char next_sk[27];

static void
own_prepare(void)
{
    idle_prepare();
    lk_bytes sk = lk_result_item(held, 0)->key.sk;
    memcpy(next_sk, sk.data, 26);
    next_sk[25]++;
}

static void
own_push(void)
{
    lk_item job = {.key = lk_key_of("a", next_sk), .data = lk_string("mine")};
    lk_status status = lk_queue_push(db, &job, 1, NULL, NULL);
    schedule_note("mine %s: %s", next_sk, lk_status_string(status));
    SCHEDULE_EXPECT(status == LK_OK || status == LK_BUSY);
    pushed[schedule_self()] = status == LK_OK;
}

static void
own_check(void)
{
    lk_result *result = store_result();
    bool mine = false;
    while (pull_from("a", result, NULL) == LK_OK) {
        const lk_item *item = lk_result_item(result, 0);
        bool here = memcmp(item->key.sk.data, next_sk, 26) == 0;
        schedule_note("%.*s %.*s", 26, (const char *)item->key.sk.data, (int)item->data.size,
                      (const char *)item->data.data);
        if (here && pushed[2] && (mine || item->data.size != 4))
            schedule_fail("a key of the users' own was given out, too");
        mine |= here;
    }
    if (!mine && pushed[2])
        schedule_fail("a job with a key of the users' own is lost");
    lk_result_free(result);
}

#define QUEUE(title, ...)                                               \
    {                                                                   \
        .name = title, .teardown = teardown, .count = 2000, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    QUEUE("letter", .prepare = letter_prepare, .body = {letter_comes, letter_look}),
    QUEUE("close_key", .prepare = close_prepare, .body = {close_push, close_pull},
          .check = close_check),
    QUEUE("close_expiry", .prepare = expiry_prepare,
          .body = {expiry_set, expiry_wait, expiry_close}),
    QUEUE("first", .prepare = item_prepare, .body = {push_more, push_more, look}),
    QUEUE("first_commit", .prepare = item_prepare, .body = {commit_more, look}),
    QUEUE("grow", .prepare = grow_prepare, .setup = grow_setup, .body = {push_more, look, look}),
    QUEUE("grow_commit", .prepare = grow_prepare, .setup = grow_setup, .body = {commit_more, look}),
    QUEUE("seal", .prepare = seal_prepare, .body = {seal_finish, seal_grow}, .check = seal_check),
    QUEUE("depth", .prepare = close_prepare, .body = {depth_place, depth_key},
          .check = depth_check),
    QUEUE("idle", .prepare = idle_prepare, .setup = idle_setup,
          .body = {idle_sweep, push_two, push_key}, .check = idle_check),
    QUEUE("own", .prepare = own_prepare, .body = {push_two, own_push}, .check = own_check),
    {0},
};
