/* SPDX-License-Identifier: MIT
 *
 * Rare meetings of threads, each made to happen: corners that stress alone would take too long to
 * find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapter/handle.h"
#include "store/partition.h"
#include "store/shard.h"
#include "support/crowd.h"

enum { HANG_SECONDS = 60, IDLERS = 40, SETS_MAX = 10000 };

static struct {
    lk_db *db;
    lki_store *store;
    sem_t ready, go, leave;
} test;

static int
corner_open(void **state)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    (void)state;
    options.max_retired_bytes = 1 << 20;
    if (lk_memory_open(&options, &test.db) != LK_OK)
        return -1;
    test.store = test.db->state;
    sem_init(&test.ready, 0, 0);
    sem_init(&test.go, 0, 0);
    sem_init(&test.leave, 0, 0);
    alarm(HANG_SECONDS);
    return 0;
}

static int
corner_close(void **state)
{
    (void)state;
    lk_close(test.db);
    alarm(0);
    return 0;
}

static lk_status
put(const char *pk, const char *sk)
{
    return crowd_set(test.db, lk_key_of(pk, sk), 1, 1);
}

static uint64_t
cells_removed(void)
{
    lk_statistics statistics = {0};
    (void)!lk_statistics_read(test.db, &statistics);
    return statistics.cells_removed;
}

/* Sets of another key until a cell has been removed. */
static void
sets_until_removal(void)
{
    uint64_t before = cells_removed();
    for (unsigned i = 0; i < SETS_MAX && cells_removed() == before; i++)
        EXPECT_OK(put("other", "x"));
    EXPECT(cells_removed() > before, before, 0);
}

/* ---- a dead cell outlives its partition ---- */

/* Gcc must not see the key's bytes: it would warn of the branches that the hash has for longer
 * ones. */
#ifdef __clang__
#define OPAQUE __attribute__((noinline))
#else
#define OPAQUE __attribute__((noinline, noclone))
#endif
static OPAQUE lki_partition *
partition_find(lk_bytes pk)
{
    return lki_partition_find(test.store, pk);
}

static void *
killer_main(void *unused)
{
    lk_key key = lk_key_of("doomed", "a");
    (void)unused;
    EXPECT_OK(put("doomed", "a"));
    EXPECT_OK(lk_delete(test.db, &key, 1));
    sem_post(&test.ready);
    sem_wait(&test.go); /* the latch of the partition is held by another now */
    sets_until_removal();
    sem_post(&test.ready);
    sem_wait(&test.leave);
    return NULL;
}

/* Many who hold a little, so that nobody soon looks at what the killer holds. */
static void *
idler_main(void *unused)
{
    (void)unused;
    EXPECT_OK(put("idle", "x"));
    EXPECT_OK(put("idle", "x"));
    sem_post(&test.ready);
    sem_wait(&test.leave);
    return NULL;
}

/* The cell dies while the partition's latch is held, so it stays in the index and its ticket in the
 * bag of a thread that goes to sleep. A new cell of its key takes its place in the index, dies too,
 * and the partition with it. Then the ticket comes. */
static void
test_removal_ticket_of_dead_cell_comes_after_its_partition_is_freed(void **state)
{
    pthread_t killer, idler[IDLERS];
    lk_bytes pk = lk_string("doomed");
    lk_key key = lk_key_of("doomed", "a");
    lk_statistics statistics;
    (void)state;
    for (size_t i = 0; i < IDLERS; i++) {
        assert_int_equal(pthread_create(&idler[i], NULL, idler_main, NULL), 0);
        sem_wait(&test.ready);
    }
    assert_int_equal(pthread_create(&killer, NULL, killer_main, NULL), 0);
    sem_wait(&test.ready);
    lki_partition *partition = partition_find(pk);
    assert_non_null(partition);
    lki_latch *latch = lki_partition_latch(test.store, partition);
    lki_latch_take(latch, NULL);
    sem_post(&test.go);
    sem_wait(&test.ready);
    lki_latch_drop(latch);

    assert_int_equal(put("doomed", "a"), LK_OK);
    assert_int_equal(lk_delete(test.db, &key, 1), LK_OK);
    sets_until_removal();
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(put("other", "x"), LK_OK);
    assert_null(partition_find(pk));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(lk_sweep(test.db, 0, NULL), LK_OK); /* takes the ticket over */
    for (size_t i = 0; i < IDLERS + 1; i++)
        sem_post(&test.leave);
    pthread_join(killer, NULL);
    for (size_t i = 0; i < IDLERS; i++)
        pthread_join(idler[i], NULL);
    assert_int_equal(lk_statistics_read(test.db, &statistics), LK_OK);
    assert_int_equal(statistics.partitions, 2); /* other, idle */
    assert_true(crowd_is_well());
}

/* ---- after a stall ---- */

static void *
stalled_main(void *unused)
{
    (void)unused;
    lk_read_begin(test.db);
    sem_post(&test.ready);
    sem_wait(&test.go);
    lk_read_end(test.db);
    sem_post(&test.ready);
    sem_wait(&test.leave);
    return NULL;
}

static void *
flood_main(void *unused)
{
    static char big[4000];
    lk_item item = {.key = lk_key_of("flood", "a"), .data = {big, sizeof big}};
    lk_status status = LK_OK;
    (void)unused;
    for (unsigned i = 0; i < SETS_MAX && status == LK_OK; i++)
        status = lk_set(test.db, &item, 1);
    EXPECT(status == LK_BUSY, (uint64_t)(unsigned)status, 0);
    sem_post(&test.ready);
    sem_wait(&test.leave);
    return NULL;
}

/* Memory was short because of a reader; the reader has left, and who holds the garbage sleeps. New
 * locks must come. */
static void
test_get_lock_of_new_key_after_a_stall_recovers(void **state)
{
    pthread_t stalled, flood;
    lk_lock lock;
    lk_key keys[2] = {lk_key_of("new", "a"), lk_key_of("new", "b")};
    (void)state;
    assert_int_equal(pthread_create(&stalled, NULL, stalled_main, NULL), 0);
    sem_wait(&test.ready);
    assert_int_equal(pthread_create(&flood, NULL, flood_main, NULL), 0);
    sem_wait(&test.ready);
    assert_int_equal(lk_get_lock(test.db, keys[0], &lock), LK_BUSY);
    sem_post(&test.go);
    sem_wait(&test.ready);
    assert_int_equal(lk_get_lock(test.db, keys[0], &lock), LK_OK);
    sem_post(&test.leave);
    sem_post(&test.leave);
    pthread_join(stalled, NULL);
    pthread_join(flood, NULL);
    assert_true(crowd_is_well());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_removal_ticket_of_dead_cell_comes_after_its_partition_is_freed, corner_open,
            corner_close),
        cmocka_unit_test_setup_teardown(test_get_lock_of_new_key_after_a_stall_recovers,
                                        corner_open, corner_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
