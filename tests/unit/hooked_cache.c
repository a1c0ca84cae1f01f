/* SPDX-License-Identifier: MIT
 *
 * Hits of a cache wait for nobody. For each operation and each n, a thread runs the operation through the cache and stops at its n-th access
 * to a shared word, in the cache or in the store behind it, for as long as it likes. Meanwhile the main thread reads what is
 * cached, in every way; it must get through, within a bounded number of accesses, without asking the database. All keys are in one
 * shard. A hang is ended by an alarm that names operation and n.
 *
 * What shows that the test can fail: at some points the stopped thread holds the latch of that shard, so a hit that
 * wanted it would hang; each operation says whether there are such points.
 */
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "adapter/cache_db.h"
#include "support/counted_db.h"
#include "support/crowd.h"
#include "support/kit.h"

enum {
    HOT = 3,
    GROWTH = 40,
    CAPACITY = 4,
    YIELDS_MAX = 1000,
    HANG_SECONDS = 30,
    POINTS_DENSE = 300
};

typedef struct operation {
    const char *name;
    void (*prepare)(void); /* by the thread that will be stopped */
    void (*run)(void);
    bool latches; /* it is stopped with the latch of the shard now and then */
    size_t max_items;
} operation;

static struct {
    kit k;
    counted_db counted;
    lk_db *cache;
    const operation *op;
    unsigned long stop_at; /* yield of the thread that is stopped */
    sem_t stopped, go_on;
    lk_result *its;
    unsigned long latched; /* points with the latch held */
    bool failed;           /* the operation, not as it should */
} test;

static __thread bool is_worker;
static __thread unsigned long yields;
static _Atomic(bool) counting;
static char hang_message[160];

static void
hang(int signal)
{
    (void)signal;
    ssize_t ignored = write(2, hang_message, strlen(hang_message));
    (void)ignored;
    _exit(1);
}

static void
yield_hook(void)
{
    yields++;
    if (is_worker && yields == test.stop_at) {
        sem_post(&test.stopped);
        while (sem_wait(&test.go_on) != 0) {}
    }
    if (counting && !is_worker && yields > YIELDS_MAX)
        hang(0);
}

static void
must(lk_status wanted, lk_status status)
{
    test.failed |= status != wanted;
}

/* ---- keys ---- */

static lk_key
key_of(const char *sk)
{
    return lk_key_of("p", sk);
}

static const char *const hot[HOT] = {"hot0", "hot1", "hot2"};

/* Read three times, so that the policy keeps it. */
static void
warm(lk_key key)
{
    for (int i = 0; i < 3; i++)
        must(LK_OK, lk_get(test.cache, key, test.its));
}

/* ---- the operations; "hot" keys stay what they are ---- */

static void
prepare_cached(void)
{
    must(LK_OK, lk_get(test.cache, key_of("key"), test.its));
}

static void
prepare_nothing(void)
{
}

static void
run_hit(void)
{
    must(LK_OK, lk_get(test.cache, key_of("hot0"), test.its));
}

static void
run_hit_into(void)
{
    char buffer[16];
    size_t size;
    must(LK_OK, lk_get_into(test.cache, key_of("hot0"), buffer, sizeof buffer, &size));
}

static void
run_hits(void)
{
    lk_key keys[HOT] = {key_of("hot1"), key_of("hot0"), key_of("hot2")};
    must(LK_OK, lk_get_many(test.cache, keys, HOT, test.its));
}

static void
run_miss(void)
{
    must(LK_OK, lk_get(test.cache, key_of("key"), test.its));
}

static void
run_missing(void)
{
    must(LK_NOT_FOUND, lk_get(test.cache, key_of("none"), test.its));
}

static void
run_miss_many(void)
{
    lk_key keys[5] = {key_of("hot1"), key_of("key"), key_of("none"), key_of("key"),
                      key_of("other")};
    must(LK_OK, lk_get_many(test.cache, keys, 5, test.its));
}

/* In a cache that is full: "key" goes. */
static void
run_miss_and_evict(void)
{
    must(LK_OK, lk_get(test.cache, key_of("other"), test.its));
}

static void
run_set(void)
{
    lk_item item = kit_item("p", "key", "some more data than there was");
    must(LK_OK, lk_set(test.cache, &item, 1));
}

static void
run_delete(void)
{
    lk_key key = key_of("key");
    must(LK_OK, lk_delete(test.cache, &key, 1));
}

static void
run_set_fails(void)
{
    lk_item item = kit_item("p", "key", "x");
    counted_fail(&test.counted, COUNTED_SET, COUNTED_AFTER, 1, LK_UNKNOWN);
    must(LK_UNKNOWN, lk_set(test.cache, &item, 1));
}

static void
run_commit(void)
{
    lk_write writes[2] = {{.kind = LK_PUT, .item = kit_item("p", "key", "new")},
                          {.kind = LK_DELETE, .item = kit_item("p", "other", "")}};
    must(LK_OK, lk_commit(test.cache, writes, 2, NULL, 0, NULL));
}

static void
run_race(void)
{
    lk_lock lock = {.key = key_of("key"), .version = 1};
    lk_item item = kit_item("p", "other", "new");
    must(LK_RACE, lk_set_atomic(test.cache, &item, 1, &lock, 1, NULL));
}

static void
run_purge(void)
{
    must(LK_OK, lk_queue_purge(test.cache, lk_string("queue"), NULL));
}

static void
run_pull(void)
{
    lk_pull_options options = {
        .pk = lk_string("queue"), .max_receives = 1, .dead_pk = lk_string("dead")};
    must(LK_EMPTY, lk_queue_pull(test.cache, &options, test.its));
}

static void
run_growth(void)
{
    for (unsigned i = 0; i < GROWTH; i++)
        must(LK_OK, lk_get(test.cache, kit_numbered("p", i), test.its));
}

static void
run_shrinkage(void)
{
    lk_key key;
    for (unsigned i = 0; i < GROWTH; i++) {
        key = kit_numbered("p", i);
        must(LK_OK, lk_delete(test.cache, &key, 1));
    }
}

static void
run_statistics(void)
{
    lk_statistics statistics;
    must(LK_OK, lk_statistics_read(test.cache, &statistics));
}

static void
run_detach(void)
{
    lk_thread_detach();
}

/* ---- one point ---- */

static void
hits_check(void)
{
    lk_key keys[HOT];
    char buffer[16];
    size_t size;
    uint64_t asked = atomic_load(&test.counted.keys);
    for (size_t i = 0; i < HOT; i++) {
        keys[i] = key_of(hot[i]);
        assert_status(LK_OK, lk_get(test.cache, keys[i], test.k.result));
        assert_true(kit_bytes_are(lk_result_item(test.k.result, 0)->data, hot[i]));
        assert_status(LK_OK, lk_get_into(test.cache, keys[i], buffer, sizeof buffer, &size));
        assert_int_equal(size, 4);
    }
    assert_status(LK_OK, lk_get_many(test.cache, keys, HOT, test.k.result));
    for (size_t i = 0; i < HOT; i++)
        assert_true(kit_bytes_are(lk_result_item(test.k.result, i)->data, hot[i]));
    assert_int_equal(atomic_load(&test.counted.keys), asked);
}

/* Is the latch of the one shard held? A cache's state begins with the pointer to its table, a shard with its latch. */
static bool
shard_is_latched(void)
{
    lki_cache *cache = ((const lki_cache_db *)test.cache->state)->cache;
    lki_latch *latch = (lki_latch *)(void *)cache->shards;
    if (!lki_latch_try(latch))
        return true;
    lki_latch_drop(latch);
    return false;
}

/* Purges and pulls end the hits of partitions of a like hash, by the cache's secret: rarely, and then it is another cache. */
static void
cache_open(void)
{
    lk_cache_options options = {.max_items = test.op->max_items};
    for (bool good = false; !good;) {
        assert_status(LK_OK, lk_cache_open(test.counted.db, &options, &test.cache));
        for (size_t i = 0; i < HOT; i++)
            warm(key_of(hot[i]));
        run_purge();
        run_pull();
        uint64_t asked = atomic_load(&test.counted.keys);
        must(LK_OK, lk_get(test.cache, key_of(hot[0]), test.its));
        good = atomic_load(&test.counted.keys) == asked;
        if (!good)
            lk_close(test.cache);
    }
}

static void
point_open(const operation *op)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.shards = 2;
    kit_open(&test.k, &options);
    test.its = lk_result_new();
    assert_non_null(test.its);
    test.op = op;
    test.failed = false;
    for (size_t i = 0; i < HOT; i++)
        kit_set(&test.k, "p", hot[i], hot[i]);
    kit_set(&test.k, "p", "key", "old");
    kit_set(&test.k, "p", "other", "old");
    for (unsigned i = 0; i < GROWTH; i++) {
        lk_item item = {.key = kit_numbered("p", i), .data = lk_string("x")};
        assert_status(LK_OK, lk_set(test.k.db, &item, 1));
    }
    assert_status(LK_OK, counted_open(&test.counted, test.k.db, 0));
    cache_open();
}

static void
point_close(void)
{
    lk_close(test.cache);
    counted_close(&test.counted);
    lk_result_free(test.its);
    kit_close(&test.k);
}

static void *
worker_main(void *unused)
{
    (void)unused;
    test.op->prepare();
    yields = 0;
    is_worker = true;
    test.op->run();
    yields = 0; /* what the thread's exit does is not counted */
    is_worker = false;
    sem_post(&test.stopped);
    return NULL;
}

/* True: the operation ended before its n-th yield. */
static bool
point_run(const operation *op, unsigned long n)
{
    pthread_t worker;
    snprintf(hang_message, sizeof hang_message,
             "hooked_cache: hits stand still while %s is stopped at its yield %lu\n", op->name, n);
    alarm(HANG_SECONDS);
    point_open(op);
    test.stop_at = n;
    sem_init(&test.stopped, 0, 0);
    sem_init(&test.go_on, 0, 0);
    lki_yield_hook = yield_hook;
    assert_int_equal(pthread_create(&worker, NULL, worker_main, NULL), 0);
    sem_wait(&test.stopped);
    yields = 0;
    counting = true;
    hits_check();
    counting = false;
    test.latched += shard_is_latched();
    sem_post(&test.go_on);
    pthread_join(worker, NULL);
    bool ended = sem_trywait(&test.stopped) != 0; /* posted once: it was never stopped */
    lki_yield_hook = NULL;
    hits_check();
    assert_false(test.failed);
    point_close();
    alarm(0);
    return ended;
}

static unsigned long
step_after(unsigned long n, uint64_t *random)
{
    return n < POINTS_DENSE || test_scaled(100) > 100 ? 1 : 1 + crowd_random(random) % 32;
}

static void
operation_check(const operation *op)
{
    uint64_t random = crowd_seed();
    unsigned long n = 1, points = 0;
    test.latched = 0;
    signal(SIGALRM, hang);
    for (; !point_run(op, n); n += step_after(n, &random))
        points++;
    print_message("%s: stopped at %lu points, at %lu of them with the latch\n", op->name, points,
                  test.latched);
    assert_int_equal(test.latched > 0, op->latches);
}

#define OPERATION_TEST(title, before, latches, items)                              \
    static void test_hits_while_##title##_is_stopped_go_on(void **state)           \
    {                                                                              \
        static const operation op = {#title, before, run_##title, latches, items}; \
        (void)state;                                                               \
        operation_check(&op);                                                      \
    }

static void
prepare_grown(void)
{
    run_growth();
}

OPERATION_TEST(hit, prepare_nothing, false, 100)
OPERATION_TEST(hit_into, prepare_nothing, false, 100)
OPERATION_TEST(hits, prepare_nothing, false, 100)
OPERATION_TEST(miss, prepare_nothing, true, 100)
OPERATION_TEST(missing, prepare_nothing, true, 100)
OPERATION_TEST(miss_many, prepare_nothing, true, 100)
OPERATION_TEST(miss_and_evict, prepare_cached, true, CAPACITY)
OPERATION_TEST(set, prepare_cached, true, 100)
OPERATION_TEST(delete, prepare_cached, true, 100)
OPERATION_TEST(set_fails, prepare_cached, true, 100)
OPERATION_TEST(commit, prepare_cached, true, 100)
OPERATION_TEST(race, prepare_cached, true, 100)
OPERATION_TEST(purge, prepare_nothing, false, 100)
OPERATION_TEST(pull, prepare_nothing, false, 100)
OPERATION_TEST(growth, prepare_nothing, true, 100)
OPERATION_TEST(shrinkage, prepare_grown, true, 100)
OPERATION_TEST(statistics, prepare_cached, LKI_CHECK > 1, 100)
OPERATION_TEST(detach, prepare_cached, false, 100)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hits_while_hit_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_hit_into_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_hits_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_miss_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_missing_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_miss_many_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_miss_and_evict_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_set_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_delete_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_set_fails_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_commit_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_race_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_purge_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_pull_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_growth_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_shrinkage_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_statistics_is_stopped_go_on),
        cmocka_unit_test(test_hits_while_detach_is_stopped_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
