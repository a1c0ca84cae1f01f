/* SPDX-License-Identifier: MIT
 *
 * Queues, as schedule_orders.c: the smallest uses in which the ordering pairs P11 to P19 meet.
 */
#include <string.h>

#include "schedule/store.h"

static lk_db *db;
static lk_result *held; /* claims that `prepare` has made */
static bool over;

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

/* A job that was received once, and another queue, closed, with one job that is claimed, and an item in the
 * way: so the letter gets a place there. */
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

/* The dead letter comes before the other job goes: there is one at each instant. */
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

#define QUEUE(title, ...)                                \
    {                                                    \
        .name = title, .teardown = teardown, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    QUEUE("letter", .prepare = letter_prepare, .body = {letter_comes, letter_look}),
    QUEUE("close_key", .prepare = close_prepare, .body = {close_push, close_pull},
          .check = close_check),
    {0},
};
