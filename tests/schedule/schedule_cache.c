/* SPDX-License-Identifier: MIT
 *
 * A cache over a store: one thread writes 1, 2, 3 to a key through it, others read it through it.
 * Nobody sees a number and then an older one, nor, after a write has ended, one from before it.
 * Misses that meet are one read of the database; what a commit or a delete changed is not read from
 * the cache.
 */
#include <stdatomic.h>

#include "schedule/store.h"

enum { LAST = 3, READS = 4 };

static lk_db *inner, *db;
static lk_key key, other;
static _Atomic(uint64_t) written; /* writes up to this one have ended */

static void
prepare_with(lk_cache_policy policy)
{
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    options.max_items = 4;
    options.policy = policy;
    options.keep_missing = true;
    inner = store_open();
    STORE_MUST(lk_cache_open(inner, &options, &db));
    key = lk_key_of("pk", "a");
    other = lk_key_of("pk", "b");
    store_set(inner, other, 1);
}

static void
prepare(void)
{
    prepare_with(LK_CACHE_S3_FIFO);
}

static void
prepare_lru(void)
{
    prepare_with(LK_CACHE_LRU);
}

static void
teardown(void)
{
    lk_close(db);
    lk_close(inner);
}

static uint64_t
get(lk_db *from, lk_key what)
{
    lk_result *result = store_result();
    lk_status status = lk_get(from, what, result);
    if (status != LK_NOT_FOUND)
        STORE_MUST(status);
    uint64_t number = status == LK_OK ? store_number(lk_result_item(result, 0)) : 0;
    lk_result_free(result);
    schedule_note("read %d", (int)number);
    return number;
}

static void
note_written(uint64_t number)
{
    atomic_store(&written, number);
    schedule_note("written %d", (int)number);
}

static void
write_all(void)
{
    for (uint64_t i = 1; i <= LAST; i++) {
        store_set(db, key, i);
        note_written(i);
    }
}

/* By commits of two keys. */
static void
commit_all(void)
{
    for (uint64_t i = 1; i <= LAST; i++) {
        lk_write writes[2] = {{.kind = LK_PUT, .item = store_item(key, &i)},
                              {.kind = LK_PUT, .item = store_item(other, &i)}};
        STORE_MUST(lk_commit(db, writes, 2, NULL, 0, NULL));
        note_written(i);
    }
}

/* From the database, whatever the cache has. */
static uint64_t
get_past(void)
{
    lk_lock lock;
    lk_result *result = store_result();
    STORE_MUST(lk_get_locked(db, &key, 1, &lock, result));
    uint64_t number = store_number(lk_result_item(result, 0));
    lk_result_free(result);
    schedule_note("read %d past the cache", (int)number);
    return number;
}

static void
read_some(void)
{
    uint64_t last = 0, draw = schedule_random();
    for (int i = 0; i < READS; i++) {
        uint64_t ended = atomic_load(&written);
        uint64_t number = (draw >> i & 1) != 0 ? get_past() : get(db, key);
        if (number < ended)
            schedule_fail("%d is read after %d was written", (int)number, (int)ended);
        if (number < last)
            schedule_fail("%d is read after %d", (int)number, (int)last);
        last = number;
    }
}

/* Another key comes and goes beside it. */
static void
read_others(void)
{
    lk_result *result = store_result();
    lk_key both[2] = {key, other};
    STORE_MUST(lk_get_many(db, both, 2, result));
    (void)get(db, lk_key_of("pk", "c"));
    STORE_MUST(lk_delete(db, &other, 1));
    SCHEDULE_EXPECT(get(db, other) == 0);
    lk_result_free(result);
}

static void
check_same(void)
{
    for (int i = 0; i < 2; i++) {
        SCHEDULE_EXPECT(get(db, key) == get(inner, key));
        SCHEDULE_EXPECT(get(db, other) == get(inner, other));
    }
}

static void
check_last(void)
{
    SCHEDULE_EXPECT(get(db, key) == LAST);
    check_same();
}

/* Past the cache, which cannot know. */
static void
write_past(void)
{
    for (uint64_t i = 1; i <= LAST; i++) {
        store_set(inner, key, i);
        note_written(i);
    }
}

#define CACHE(title, begin, ...)                                           \
    {                                                                      \
        .name = title, .prepare = begin, .teardown = teardown, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    CACHE("cache", prepare, .body = {write_all, read_some, read_some}, .check = check_last,
          .count = 10000),
    CACHE("cache_lru", prepare_lru, .body = {write_all, read_some, read_some}, .check = check_last,
          .count = 5000),
    CACHE("cache_commit", prepare, .body = {commit_all, read_some}, .check = check_last,
          .count = 5000),
    CACHE("cache_others", prepare, .body = {write_all, read_some, read_others}, .check = check_last,
          .count = 5000),
    CACHE("cache_past", prepare, .body = {write_past, read_some}, .fails = "is read after"),
    {0},
};
