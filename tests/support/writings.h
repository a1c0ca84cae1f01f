/* SPDX-License-Identifier: MIT
 *
 * For test_cache_writes.c and test_cache_meetings.c: each call that writes, through a cache, as a
 * table. All are about the key ("q", "1"), which holds "old item" before.
 */
#ifndef LATCHKEY_TESTS_WRITINGS_H
#define LATCHKEY_TESTS_WRITINGS_H

#include "support/cached.h"

static cached c;
static lk_lock lock;
static lk_claim claim;

static lk_key
the_key(void)
{
    return lk_key_of("q", "1");
}

/* ---- what there is before ---- */

static void
prepare_item(void)
{
    kit_set(&c.k, "q", "1", "old item");
}

static void
prepare_locked(void)
{
    prepare_item();
    lock = kit_lock(&c.k, the_key());
}

static void
prepare_job(void)
{
    lk_item job = kit_item("q", "1", "old item");
    assert_status(LK_OK, lk_queue_push(c.k.db, &job, 1, NULL, NULL));
}

static void
prepare_claimed(void)
{
    lk_pull_options options = {.pk = lk_string("q")};
    prepare_job();
    assert_status(LK_OK, lk_queue_pull(c.k.db, &options, c.k.result));
    claim = *lk_result_claim(c.k.result, 0);
    claim.key = the_key();
}

/* The next pull with max_receives 1 moves it. */
static void
prepare_received(void)
{
    prepare_claimed();
    assert_status(LK_OK, lk_queue_release(c.k.db, &claim, 0));
}

/* ---- the writes ---- */

static lk_status
write_set(void)
{
    lk_item item = kit_item("q", "1", "new");
    return lk_set(c.cache, &item, 1);
}

static lk_status
write_set_several(void)
{
    lk_item items[3] = {kit_item("q", "0", "x"), kit_item("q", "1", "new"),
                        kit_item("r", "1", "x")};
    return lk_set(c.cache, items, 3);
}

static lk_status
write_set_twice(void)
{
    lk_item items[2] = {kit_item("q", "1", "between"), kit_item("q", "1", "new")};
    return lk_set(c.cache, items, 2);
}

static lk_status
write_delete(void)
{
    lk_key keys[2] = {lk_key_of("q", "0"), the_key()};
    return lk_delete(c.cache, keys, 2);
}

static lk_status
write_set_atomic(void)
{
    lk_item items[2] = {kit_item("r", "1", "x"), kit_item("q", "1", "new")};
    return lk_set_atomic(c.cache, items, 2, &lock, 1, NULL);
}

static lk_status
commit_one(lk_write_kind kind)
{
    lk_write writes[2] = {
        {.kind = LK_PUT, .item = kit_item("r", "1", "x")},
        {.kind = kind, .item = kit_item("q", "1", "new"), .claim = &claim, .delta = 1}};
    return lk_commit(c.cache, writes, 2, NULL, 0, NULL);
}

static lk_status
write_commit_put(void)
{
    return commit_one(LK_PUT);
}

static lk_status
write_commit_delete(void)
{
    return commit_one(LK_DELETE);
}

static lk_status
write_commit_push(void)
{
    return commit_one(LK_PUSH);
}

static lk_status
write_commit_acknowledge(void)
{
    return commit_one(LK_ACKNOWLEDGE);
}

static lk_status
write_commit_touch(void)
{
    return commit_one(LK_TOUCH);
}

static lk_status
write_commit_add(void)
{
    return commit_one(LK_ADD);
}

static lk_status
write_commit_release(void)
{
    return commit_one(LK_RELEASE);
}

static lk_status
commit_if_equal(lk_write_kind kind)
{
    lk_write write = {.kind = kind,
                      .item = kit_item("q", "1", "new"),
                      .condition = LK_IF_EQUAL,
                      .expected = lk_string("old item")};
    return lk_commit(c.cache, &write, 1, NULL, 0, NULL);
}

static lk_status
write_commit_put_if(void)
{
    return commit_if_equal(LK_PUT);
}

static lk_status
write_commit_delete_if(void)
{
    return commit_if_equal(LK_DELETE);
}

static lk_status
write_put_if(void)
{
    lk_item item = kit_item("q", "1", "new");
    return lk_put_if(c.cache, &item, LK_IF_PRESENT, (lk_bytes){NULL, 0});
}

static lk_status
write_touch(void)
{
    return lk_touch(c.cache, the_key(), lk_expires_in(c.cache, LK_HOURS(1)));
}

static lk_status
write_add(void)
{
    int64_t value;
    return lk_add(c.cache, the_key(), 1, 0, &value);
}

static lk_status
write_push(void)
{
    lk_item jobs[2] = {kit_item("q", "0", "x"), kit_item("q", "1", "new")};
    return lk_queue_push(c.cache, jobs, 2, NULL, NULL);
}

static lk_status
write_acknowledge(void)
{
    return lk_queue_acknowledge(c.cache, &claim, 1);
}

static lk_status
write_acknowledge_by_key(void)
{
    lk_claim by_key = {.key = the_key()};
    return lk_queue_acknowledge(c.cache, &by_key, 1);
}

static lk_status
write_purge(void)
{
    return lk_queue_purge(c.cache, lk_string("q"), NULL);
}

static lk_status
write_dead_letter(void)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .max_receives = 1, .dead_pk = lk_string("dead")};
    lk_result *result = lk_result_new();
    lk_status status = lk_queue_pull(c.cache, &options, result);
    lk_result_free(result);
    return status == LK_EMPTY ? LK_OK : status;
}

typedef struct writing {
    const char *name;
    void (*prepare)(void);
    lk_status (*write)(void);
    enum counted_call call; /* of the database */
    const char *after;      /* NULL: the key is gone */
    bool updates;           /* the cache then has the new item */
    uint64_t group;         /* of operations; conditions can be put together of locks */
} writing;

static const writing writings[] = {
    {"set", prepare_item, write_set, COUNTED_SET, "new", true, 0},
    {"set of several", prepare_item, write_set_several, COUNTED_SET, "new", true, 0},
    {"set twice", prepare_item, write_set_twice, COUNTED_SET, "new", false, 0},
    {"delete", prepare_item, write_delete, COUNTED_REMOVE, NULL, false, 0},
    {"set_atomic", prepare_locked, write_set_atomic, COUNTED_COMMIT, "new", true, 0},
    {"put in a commit", prepare_item, write_commit_put, COUNTED_COMMIT, "new", true, 0},
    {"delete in a commit", prepare_item, write_commit_delete, COUNTED_COMMIT, NULL, false, 0},
    {"push in a commit", prepare_item, write_commit_push, COUNTED_COMMIT, "new", false, 0},
    {"acknowledge in a commit", prepare_claimed, write_commit_acknowledge, COUNTED_COMMIT, NULL,
     false, 0},
    {"push", prepare_item, write_push, COUNTED_PUSH, "new", false, 0},
    {"acknowledge", prepare_claimed, write_acknowledge, COUNTED_ACKNOWLEDGE, NULL, false, 0},
    {"acknowledge by key", prepare_job, write_acknowledge_by_key, COUNTED_ACKNOWLEDGE, NULL, false,
     0},
    {"purge", prepare_job, write_purge, COUNTED_PURGE, NULL, false, 0},
    {"dead letter", prepare_received, write_dead_letter, COUNTED_PULL, NULL, false, 0},
    {"put if present", prepare_item, write_put_if, COUNTED_CONDITION, "new", true,
     LK_HAS_CONDITIONS},
    {"touch", prepare_item, write_touch, COUNTED_CONDITION, "old item", false, LK_HAS_CONDITIONS},
    {"add", prepare_item, write_add, COUNTED_CONDITION, "pld item", false, LK_HAS_CONDITIONS},
    {"put if equal in a commit", prepare_item, write_commit_put_if, COUNTED_COMMIT, "new", true,
     LK_HAS_CONDITIONS},
    {"delete if equal in a commit", prepare_item, write_commit_delete_if, COUNTED_COMMIT, NULL,
     false, LK_HAS_CONDITIONS},
    {"touch in a commit", prepare_item, write_commit_touch, COUNTED_COMMIT, "old item", false,
     LK_HAS_CONDITIONS},
    {"add in a commit", prepare_item, write_commit_add, COUNTED_COMMIT, "pld item", false,
     LK_HAS_CONDITIONS},
    {"release in a commit", prepare_claimed, write_commit_release, COUNTED_COMMIT, "old item",
     false, LK_COMMITS_RELEASES},
};

/* Each writing on fresh stores, with and without memory of what is not there; conditions also over
 * a database that has none. */
static void
each_writing(void (*check)(const writing *w))
{
    for (size_t i = 0; i < KIT_COUNT(writings) * 4; i++) {
        writing w = writings[i / 4];
        bool together = i / 2 % 2 != 0;
        lk_cache_options options = LK_CACHE_OPTIONS_INIT;
        options.max_items = 100;
        options.keep_missing = i % 2 != 0;
        options.load_wait_ms = -1;
        if (together && w.group != LK_HAS_CONDITIONS)
            continue;
        cached_open_without(&c, &options, together ? w.group : 0);
        bool has = (w.group & ~lk_capabilities(c.cache)) == 0;
        if (!has && w.call == COUNTED_CONDITION)
            w.call = COUNTED_COMMIT;
        if (has || w.group == LK_HAS_CONDITIONS) {
            w.prepare();
            check(&w);
        }
        cached_close(&c);
    }
}

/* The test says which writing it was. */
#define HOLDS(condition)                             \
    do {                                             \
        if (!(condition))                            \
            fail_msg("%s: %s", w->name, #condition); \
    } while (0)

static bool
dropped(const char *data)
{
    return cached_asks(&c, the_key(), data);
}

#endif
