/* SPDX-License-Identifier: MIT
 *
 * A cache over a store: one thread writes 1, 2, 3 to a key through it, others read it through it.
 * Nobody sees a number and then an older one, nor, after a write has ended, one from before it.
 * Misses that meet are one read of the database; what a commit or a delete changed is not read from
 * the cache.
 *
 * `hits_*`: hits wait for nobody. Fiber 1 makes a call through the cache, and stops at each of its
 * points in turn, perhaps with the latch of the only shard; fiber 2 meanwhile reads what is cached,
 * in all ways. The database has other values by then: none of them is read.
 */
#include <stdatomic.h>
#include <stdio.h>

#include <latchkey/adapter.h>

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

/* By writes that depend on what is there. */
static void
ask_all(void)
{
    for (uint64_t i = 1; i <= LAST; i++) {
        uint64_t before = i - 1;
        int64_t sum;
        lk_item item = store_item(key, &i);
        if (i % 2 != 0)
            STORE_MUST(lk_add(db, key, 1, 0, &sum));
        else
            STORE_MUST(lk_put_if(db, &item, LK_IF_EQUAL, store_item(key, &before).data));
        note_written(i);
        STORE_MUST(lk_touch(db, key, 0));
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

/* ---- hits ---- */

enum { HOT = 3, GROWTH = 14, TIGHT = 4, CACHED = 1, BEHIND = 2 };

static lk_db
    *failing; /* the store, whose next set fails when it was done; the cache is in front of it */
static bool set_fails;
static _Atomic(bool) attached; /* fiber 2: the first call of a thread may wait */
static const char *const names[GROWTH] = {"a", "b", "c", "d", "e", "f", "g",
                                          "h", "i", "j", "k", "l", "m", "n"};

/* The first HOT keys are hot. */
static lk_key
nth(size_t i)
{
    return lk_key_of("pk", names[i]);
}

static lk_status
failing_set(void *state, const lk_item *items, size_t count)
{
    lk_status status = lk_set(*(lk_db *const *)state, items, count);
    bool fails = set_fails;
    set_fails = false;
    return fails ? LK_UNKNOWN : status;
}

static void
hits_prepare_with(size_t max_items)
{
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    lk_operations operations;
    lk_adapter adapter = LK_ADAPTER_INIT;
    options.max_items = max_items;
    inner = store_open();
    STORE_MUST(lk_adapter_pass(inner, &operations, &adapter));
    operations.set = failing_set;
    adapter.state = &inner;
    STORE_MUST(lk_adapter_open(&operations, &adapter, &failing));
    STORE_MUST(lk_cache_open(failing, &options, &db));
    for (size_t i = 0; i < GROWTH; i++)
        store_set(inner, nth(i), CACHED);
    for (size_t i = 0; i < HOT; i++)
        for (int times = 0; times < 3; times++) /* so that the policy keeps it */
            SCHEDULE_EXPECT(get(db, nth(i)) == CACHED);
    for (size_t i = 0; i < HOT; i++)
        store_set(inner, nth(i), BEHIND);
}

static void
hits_prepare(void)
{
    hits_prepare_with(100);
}

static void
hits_prepare_cached(void)
{
    hits_prepare();
    (void)get(db, nth(HOT));
}

static void
hits_prepare_tight(void)
{
    hits_prepare_with(TIGHT);
    (void)get(db, nth(HOT));
}

static void
run_hit(void)
{
    SCHEDULE_EXPECT(get(db, nth(0)) == CACHED);
}

static void
run_hit_into(void)
{
    uint64_t number = 0;
    size_t size = 0;
    STORE_MUST(lk_get_into(db, nth(0), &number, sizeof number, &size));
    SCHEDULE_EXPECT(number == CACHED);
}

static void
run_hits(void)
{
    lk_key keys[HOT];
    lk_result *result = store_result();
    for (size_t i = 0; i < HOT; i++)
        keys[i] = nth(HOT - 1 - i);
    STORE_MUST(lk_get_many(db, keys, HOT, result));
    for (size_t i = 0; i < HOT; i++)
        SCHEDULE_EXPECT(store_number(lk_result_item(result, i)) == CACHED);
    lk_result_free(result);
}

static void
run_miss(void)
{
    (void)get(db, nth(HOT + 1));
}

static void
run_missing(void)
{
    SCHEDULE_EXPECT(get(db, lk_key_of("pk", "none")) == 0);
}

static void
run_miss_many(void)
{
    lk_key keys[5] = {nth(1), nth(HOT), lk_key_of("pk", "none"), nth(HOT), nth(HOT + 1)};
    lk_result *result = store_result();
    STORE_MUST(lk_get_many(db, keys, 5, result));
    lk_result_free(result);
}

static void
run_set(void)
{
    store_set(db, nth(HOT), 7);
}

static void
run_set_that_fails(void)
{
    uint64_t number = 7;
    lk_item item = store_item(nth(HOT), &number);
    set_fails = true;
    SCHEDULE_EXPECT(lk_set(db, &item, 1) == LK_UNKNOWN);
}

static void
run_delete(void)
{
    lk_key gone = nth(HOT);
    STORE_MUST(lk_delete(db, &gone, 1));
}

static void
run_commit(void)
{
    uint64_t number = 7;
    lk_write writes[2] = {{.kind = LK_PUT, .item = store_item(nth(HOT), &number)},
                          {.kind = LK_DELETE, .item = {.key = nth(HOT + 1)}}};
    STORE_MUST(lk_commit(db, writes, 2, NULL, 0, NULL));
}

static void
run_race(void)
{
    uint64_t number = 7;
    lk_lock lock = {.key = nth(HOT), .version = 1};
    lk_item item = store_item(nth(HOT + 1), &number);
    SCHEDULE_EXPECT(lk_set_atomic(db, &item, 1, &lock, 1, NULL) == LK_RACE);
}

static void
run_purge(void)
{
    STORE_MUST(lk_queue_purge(db, lk_string("queue"), NULL));
}

static void
run_pull(void)
{
    lk_result *result = store_result();
    lk_pull_options options = {
        .pk = lk_string("queue"), .max_receives = 1, .dead_pk = lk_string("dead")};
    SCHEDULE_EXPECT(lk_queue_pull(db, &options, result) == LK_EMPTY);
    lk_result_free(result);
}

static void
run_growth(void)
{
    for (size_t i = HOT; i < GROWTH; i++)
        (void)get(db, nth(i));
}

static void
hits_prepare_grown(void)
{
    hits_prepare();
    run_growth();
}

static void
run_shrinkage(void)
{
    for (size_t i = HOT; i < GROWTH; i++) {
        lk_key gone = nth(i);
        STORE_MUST(lk_delete(db, &gone, 1));
    }
}

static void
run_statistics(void)
{
    lk_statistics statistics;
    STORE_MUST(lk_statistics_read(db, &statistics));
}

static void
run_detach(void)
{
    run_hit();
    while (!atomic_load(&attached))
        schedule_yield();
    lk_thread_detach();
}

static void
hits(void)
{
    SCHEDULE_EXPECT(get(db, nth(0)) == CACHED);
    atomic_store(&attached, true);
    for (size_t i = 0; i < HOT; i++)
        SCHEDULE_EXPECT(get(db, nth(i)) == CACHED);
    run_hit_into();
    run_hits();
}

static void
hits_teardown(void)
{
    lk_close(db);
    lk_close(failing);
    lk_close(inner);
}

#define CACHE(title, begin, ...)                                           \
    {                                                                      \
        .name = title, .prepare = begin, .teardown = teardown, __VA_ARGS__ \
    }

#ifdef LKI_SMALL /* a thread's first call and its end wait for others that come */
enum { STOPS = 0 };
#else
enum { STOPS = 1 };
#endif
#define HITS_STOPS(title, before, operation, most)                                            \
    {                                                                                         \
        .name = title, .prepare = before, .body = {operation, hits}, .check = hits,           \
        .teardown = hits_teardown, .count = 200, .limit = 20000, .stops = most, .spins = true \
    }
#define HITS(title, before, operation) HITS_STOPS(title, before, operation, STOPS)

const schedule_scenario schedule_scenarios[] = {
    CACHE("cache", prepare, .body = {write_all, read_some, read_some}, .check = check_last,
          .count = 10000),
    CACHE("cache_lru", prepare_lru, .body = {write_all, read_some, read_some}, .check = check_last,
          .count = 5000),
    CACHE("cache_commit", prepare, .body = {commit_all, read_some}, .check = check_last,
          .count = 5000),
    CACHE("cache_ask", prepare, .body = {ask_all, read_some}, .check = check_last, .count = 3000),
    CACHE("cache_others", prepare, .body = {write_all, read_some, read_others}, .check = check_last,
          .count = 5000),
    CACHE("cache_past", prepare, .body = {write_past, read_some}, .fails = "is read after"),
    HITS("hits_hit", hits_prepare, run_hit),
    HITS("hits_hit_into", hits_prepare, run_hit_into),
    HITS("hits_hits", hits_prepare, run_hits),
    HITS("hits_miss", hits_prepare, run_miss),
    HITS("hits_missing", hits_prepare, run_missing),
    HITS("hits_miss_many", hits_prepare, run_miss_many),
    HITS("hits_miss_and_evict", hits_prepare_tight, run_miss),
    HITS("hits_set", hits_prepare_cached, run_set),
    HITS("hits_set_that_fails", hits_prepare_cached, run_set_that_fails),
    HITS("hits_delete", hits_prepare_cached, run_delete),
    HITS("hits_commit", hits_prepare_cached, run_commit),
    HITS("hits_race", hits_prepare_cached, run_race),
    HITS("hits_purge", hits_prepare, run_purge),
    HITS("hits_pull", hits_prepare, run_pull),
    HITS("hits_growth", hits_prepare, run_growth),
    HITS("hits_shrinkage", hits_prepare_grown, run_shrinkage),
    HITS("hits_statistics", hits_prepare_cached, run_statistics),
    /* The end of a thread takes the latch of the process, in which the other one may stand. */
    HITS_STOPS("hits_detach", hits_prepare_cached, run_detach, 0),
#ifndef LKI_SMALL
    /* A miss wants the latch, which the stopped one has at some of its points. */
    {.name = "hits_that_miss",
     .prepare = hits_prepare_cached,
     .body = {run_delete, run_miss},
     .teardown = hits_teardown,
     .count = 10,
     .limit = 20000,
     .stops = 1,
     .fails = "cannot go on while"},
#endif
    {0},
};
