/* SPDX-License-Identifier: MIT
 *
 * Memory runs out at any allocation of any call through a cache: for every n the n-th one fails,
 * once or with all after it, of the cache, of the store behind it and of the results together. The
 * call does its work, kept or not, or says LK_NO_MEMORY; either way the cache says what the store
 * says; the same call works once there is memory; closing needs none, and gives all back.
 *
 * Each call runs by the thread that prepared, by the same detached, and by a new one.
 */
#include "support/cached.h"

enum { KEYS = 30, NTH_MAX = 5000 };
enum mode { ATTACHED, DETACHED, NEW, MODES };

typedef struct scenario {
    const char *name;
    void (*prepare)(void);
    lk_status (*call)(lk_result *fresh);
    const lk_cache_options options;
    uint64_t without; /* capabilities of the database behind */
} scenario;

static cached c;
static lk_lock lock;

static lk_key
key_of(uint64_t i)
{
    return lkc_numbered("q", i);
}

/* ---- before ---- */

static void
prepare_store(void)
{
    for (uint64_t i = 0; i < KEYS / 2; i++) {
        lk_item item = {.key = key_of(i), .data = lk_string("old")};
        assert_status(LK_OK, lk_set(c.k.db, &item, 1));
    }
}

static void
prepare_cached(void)
{
    prepare_store();
    for (uint64_t i = 0; i < KEYS; i++)
        assert_true(cached_holds(&c, key_of(i), i < KEYS / 2 ? "old" : NULL));
    lock = kit_lock(&c.k, key_of(0));
}

static void
prepare_jobs(void)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 2};
    for (uint64_t i = 0; i < 4; i++) {
        lk_item job = {.key = key_of(i), .data = lk_string("old")};
        assert_status(LK_OK, lk_queue_push(c.k.db, &job, 1, NULL, NULL));
        assert_true(cached_holds(&c, key_of(i), "old"));
    }
    assert_status(LK_OK, lk_queue_pull(c.k.db, &options, c.k.result));
    for (size_t i = 0; i < 2; i++)
        assert_status(LK_OK, lk_queue_release(c.k.db, lk_result_claim(c.k.result, i), 0));
}

/* ---- the calls ---- */

static lk_status
call_get(lk_result *fresh)
{
    return lk_get(c.cache, key_of(1), fresh);
}

static lk_status
call_get_missing(lk_result *fresh)
{
    lk_status status = lk_get(c.cache, key_of(KEYS - 1), fresh);
    return status == LK_NOT_FOUND ? LK_OK : status;
}

static lk_status
call_get_into(lk_result *fresh)
{
    char buffer[3];
    size_t size = 0;
    (void)fresh;
    return lk_get_into(c.cache, key_of(1), buffer, sizeof buffer, &size);
}

static lk_status
call_get_all(lk_result *fresh)
{
    for (uint64_t i = 0; i < KEYS; i++) {
        lk_status status = lk_get(c.cache, key_of(i), fresh);
        if (status != LK_OK && status != LK_NOT_FOUND)
            return status;
    }
    return LK_OK;
}

/* With holes, with a key twice, some of them cached. */
static lk_status
call_get_many(lk_result *fresh)
{
    lk_key keys[7];
    static const uint64_t numbers[7] = {KEYS - 1, 3, 5, 3, 7, KEYS - 2, 3};
    for (size_t i = 0; i < 7; i++)
        keys[i] = key_of(numbers[i]);
    lk_status status = lk_get_many(c.cache, keys, 7, fresh);
    if (status != LK_OK)
        return lk_result_count(fresh) == 0 ? status : LK_INVALID; /* untouched */
    for (size_t i = 0; i < 7; i++) {
        const lk_item *item = lk_result_item(fresh, i);
        if ((item != NULL) != (numbers[i] < KEYS / 2) ||
            (item != NULL && !lkc_is(item->data, "old")))
            return LK_INVALID;
    }
    return LK_OK;
}

static lk_status
call_set(lk_result *fresh)
{
    lk_item items[3];
    (void)fresh;
    for (size_t i = 0; i < 3; i++)
        items[i] = (lk_item){.key = key_of(i * 7), .data = lk_string("new, and longer")};
    return lk_set(c.cache, items, 3);
}

static lk_status
call_delete(lk_result *fresh)
{
    lk_key keys[2] = {key_of(1), key_of(4)};
    (void)fresh;
    return lk_delete(c.cache, keys, 2);
}

static lk_status
call_delete_all(lk_result *fresh)
{
    lk_key key;
    (void)fresh;
    for (uint64_t i = 0; i < KEYS; i++) {
        key = key_of(i);
        lk_status status = lk_delete(c.cache, &key, 1);
        if (status != LK_OK)
            return status;
    }
    return LK_OK;
}

static lk_status
call_set_atomic(lk_result *fresh)
{
    lk_item items[2] = {{.key = key_of(0), .data = lk_string("new")},
                        {.key = key_of(KEYS - 1), .data = lk_string("new")}};
    (void)fresh;
    lock.key = items[0].key;
    return lk_set_atomic(c.cache, items, 2, &lock, 1, NULL);
}

static lk_status
call_commit(lk_result *fresh)
{
    lk_write writes[3] = {
        {.kind = LK_PUT, .item = {.key = key_of(0), .data = lk_string("new")}},
        {.kind = LK_DELETE, .item = {.key = key_of(1)}},
        {.kind = LK_PUSH, .item = {.key = key_of(KEYS - 1), .data = lk_string("new")}}};
    (void)fresh;
    return lk_commit(c.cache, writes, 3, NULL, 0, NULL);
}

static lk_status
call_put_if(lk_result *fresh)
{
    lk_item item = {.key = key_of(1), .data = lk_string("new, and longer")};
    (void)fresh;
    return lk_put_if(c.cache, &item, LK_IF_PRESENT, (lk_bytes){NULL, 0});
}

static lk_status
call_add(lk_result *fresh)
{
    int64_t value = 5;
    (void)fresh;
    lk_status status = lk_add(c.cache, key_of(KEYS - 1), 1, 0, &value);
    return status == LK_OK || value == 5 ? status : LK_INVALID; /* untouched */
}

/* Of a commit that races: the keys of the locks go too. */
static lk_status
call_race(lk_result *fresh)
{
    lk_lock stale = {.key = key_of(0), .version = lock.version - 1};
    lk_item item = {.key = key_of(3), .data = lk_string("new")};
    (void)fresh;
    lk_status status = lk_set_atomic(c.cache, &item, 1, &stale, 1, NULL);
    return status == LK_RACE ? LK_OK : status;
}

static lk_status
call_push(lk_result *fresh)
{
    lk_item jobs[2] = {{.key = key_of(2), .data = lk_string("new")},
                       {.key = key_of(KEYS - 1), .data = lk_string("new")}};
    return lk_queue_push(c.cache, jobs, 2, NULL, fresh);
}

/* Two jobs move, the other two are claimed. */
static lk_status
call_pull(lk_result *fresh)
{
    lk_pull_options options = {
        .pk = lk_string("q"), .max_jobs = 4, .max_receives = 1, .dead_pk = lk_string("dead")};
    lk_status status = lk_queue_pull(c.cache, &options, fresh);
    return status == LK_EMPTY ? LK_OK : status;
}

static lk_status
call_acknowledge(lk_result *fresh)
{
    lk_claim claims[2] = {{.key = key_of(0)}, {.key = key_of(1)}};
    (void)fresh;
    lk_status status = lk_queue_acknowledge(c.cache, claims, 2);
    return status == LK_LOST ? LK_OK : status; /* done at the first attempt */
}

static lk_status
call_purge(lk_result *fresh)
{
    (void)fresh;
    return lk_queue_purge(c.cache, lk_string("q"), NULL);
}

static lk_status
call_statistics(lk_result *fresh)
{
    lk_statistics statistics;
    (void)fresh;
    return lk_statistics_read(c.cache, &statistics);
}

static lk_status
call_open(lk_result *fresh)
{
    lk_cache_options options = {.max_items = 300};
    lk_db *untouched = c.cache, *db = untouched;
    (void)fresh;
    lk_status status = lk_cache_open(c.cache, &options, &db);
    if (status == LK_OK)
        lk_close(db);
    else if (db != untouched)
        return LK_INVALID;
    return status;
}

/* ---- running them ---- */

#define HOLDS(condition)                                                                      \
    do {                                                                                      \
        if (!(condition))                                                                     \
            fail_msg("%s, mode %d, allocation %lld, for ever %d: %s: %s", s->name, (int)mode, \
                     (long long)nth, for_ever, #condition, lk_status_string(status));         \
    } while (0)

/* The cache says what the store says, twice. */
static bool
is_coherent(void)
{
    lk_result *result = lk_result_new();
    bool good = result != NULL;
    static const char *const partitions[] = {"q", "dead"};
    for (uint64_t i = 0; i < 4 * KEYS; i++) {
        lk_key key = lkc_numbered(partitions[i / 2 % 2], i / 4);
        lk_status status = lk_get(c.k.db, key, result);
        lk_status its = lk_get(c.cache, key, c.k.result);
        good = good && status == its &&
               (status == LK_NOT_FOUND ||
                lkc_equal(lk_result_item(result, 0)->data, lk_result_item(c.k.result, 0)->data));
    }
    lk_result_free(result);
    return good;
}

typedef struct attempt {
    const scenario *s;
    int64_t nth;
    bool for_ever;
    lk_status status;
} attempt;

static void *
attempt_run(void *context)
{
    attempt *a = context;
    lk_result *fresh = lk_result_new();
    kit_memory_fail(&c.k.memory, a->nth, a->for_ever);
    a->status = a->s->call(fresh);
    kit_memory_fail(&c.k.memory, 0, false);
    lk_result_free(fresh);
    return NULL;
}

/* False: the call did not come to its n-th allocation. */
static bool
scenario_run(const scenario *s, enum mode mode, int64_t nth, bool for_ever)
{
    attempt a = {s, nth, for_ever, LK_OK};
    pthread_t thread;
    cached_open_without(&c, &s->options, s->without);
    s->prepare();
    if (mode == DETACHED)
        lk_thread_detach();
    if (mode == NEW) {
        assert_int_equal(pthread_create(&thread, NULL, attempt_run, &a), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    } else {
        attempt_run(&a);
    }
    lk_status status = a.status;
    bool failed = atomic_load(&c.k.memory.failed) > 0;
    HOLDS(status == LK_OK || (failed && status == LK_NO_MEMORY));
    HOLDS(is_coherent());
    lk_statistics statistics = cached_statistics(&c);
    HOLDS(s->options.max_items == 0 || statistics.cache_items <= s->options.max_items);
    if (status != LK_OK) {
        a.nth = 0;
        attempt_run(&a);
        status = a.status;
        HOLDS(status == LK_OK && is_coherent());
    }
    cached_set(&c, "q", "afterwards", "works");
    HOLDS(cached_holds(&c, lk_key_of("q", "afterwards"), "works"));
    HOLDS(cached_hits(&c, lk_key_of("q", "afterwards"), "works"));
    kit_memory_fail(&c.k.memory, 1, true);
    cached_close(&c);
    return failed;
}

#define KEPT                                   \
    {                                          \
        .max_items = 100, .keep_missing = true \
    }
#define LRU                                                            \
    {                                                                  \
        .max_items = 100, .keep_missing = true, .policy = LK_CACHE_LRU \
    }
#define TIGHT          \
    {                  \
        .max_items = 3 \
    }

static const scenario scenarios[] = {
    {"get", prepare_store, call_get, KEPT, 0},
    {"get of what is cached", prepare_cached, call_get, KEPT, 0},
    {"get, LRU", prepare_store, call_get, LRU, 0},
    {"get of what is missing", prepare_store, call_get_missing, KEPT, 0},
    {"get_into", prepare_store, call_get_into, KEPT, 0},
    {"gets", prepare_store, call_get_all, KEPT, 0},
    {"gets, LRU", prepare_store, call_get_all, LRU, 0},
    {"gets, tight", prepare_store, call_get_all, TIGHT, 0},
    {"get_many", prepare_store, call_get_many, KEPT, 0},
    {"get_many of what is cached", prepare_cached, call_get_many, KEPT, 0},
    {"get_many, tight", prepare_cached, call_get_many, TIGHT, 0},
    {"get_many by single reads", prepare_store, call_get_many, KEPT, LK_HAS_GET_MANY},
    {"set", prepare_cached, call_set, KEPT, 0},
    {"set, LRU", prepare_cached, call_set, LRU, 0},
    {"delete", prepare_cached, call_delete, KEPT, 0},
    {"delete of all", prepare_cached, call_delete_all, KEPT, 0},
    {"set_atomic", prepare_cached, call_set_atomic, KEPT, 0},
    {"commit", prepare_cached, call_commit, KEPT, 0},
    {"put if present", prepare_cached, call_put_if, KEPT, 0},
    {"put if present, together", prepare_cached, call_put_if, KEPT, LK_HAS_CONDITIONS},
    {"add", prepare_cached, call_add, KEPT, 0},
    {"add, together", prepare_cached, call_add, KEPT, LK_HAS_CONDITIONS},
    {"race", prepare_cached, call_race, KEPT, 0},
    {"push", prepare_cached, call_push, KEPT, 0},
    {"pull", prepare_jobs, call_pull, KEPT, 0},
    {"acknowledge", prepare_jobs, call_acknowledge, KEPT, 0},
    {"purge", prepare_jobs, call_purge, KEPT, 0},
    {"statistics", prepare_cached, call_statistics, KEPT, 0},
    {"open", prepare_store, call_open, KEPT, 0},
};

static void
test_memory_that_runs_out_leaves_the_cache_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < KIT_COUNT(scenarios); i++)
        for (int mode = ATTACHED; mode < MODES; mode++)
            for (int for_ever = 0; for_ever < 2; for_ever++) {
                int64_t nth = 1;
                while (scenario_run(&scenarios[i], (enum mode)mode, nth, for_ever != 0))
                    nth++;
                assert_true(nth < NTH_MAX);
            }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_that_runs_out_leaves_the_cache_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
