/* SPDX-License-Identifier: MIT
 *
 * Locks: created, renewed exactly at the border, lapsed exactly, stale for ever after a delete,
 * versions that nobody else has.
 */
#include <pthread.h>

#include "support/crowd.h"
#include "support/kit.h"

#define TTL LK_HOURS(24)

static lk_status
use(kit *k, lk_lock *lock)
{
    return lk_set_atomic(k->db, NULL, 0, lock, 1, NULL);
}

static void
test_lock_that_is_never_renewed_lives_to_its_end(void **state)
{
    (void)state;
    kit k;
    lk_memory_options options = {.lock_ttl_ms = 100, .lock_refresh_ms = -1};
    kit_open(&k, &options);
    lk_lock lock = kit_lock(&k, lk_key_of("p", "s"));
    kit_advance(&k, 100);
    assert_true(kit_lock(&k, lock.key).version == lock.version);
    kit_advance(&k, 1);
    assert_true(kit_lock(&k, lock.key).version > lock.version);
    kit_close(&k);
}

static void
test_lock_of_the_longest_life_does_not_overflow(void **state)
{
    (void)state;
    kit k;
    lk_memory_options options = {.lock_ttl_ms = INT64_MAX, .lock_refresh_ms = -1};
    kit_open(&k, &options);
    lk_lock lock = kit_lock(&k, lk_key_of("p", "s"));
    assert_true(lock.expires_at_ms > k.now_ms);
    kit_advance(&k, LK_HOURS(24) * 366 * 1000);
    assert_true(kit_lock(&k, lock.key).version == lock.version);
    assert_status(LK_OK, use(&k, &lock));
    kit_close(&k);
}

static void
test_lapsed_locks_of_a_store_that_only_locks_come_back(void **state)
{
    kit *k = *state;
    for (uint64_t round = 0; round < 40; round++) {
        for (uint64_t i = 0; i < 500; i++) {
            lk_lock lock = kit_lock(k, lkc_numbered("p", round * 500 + i));
            assert_status(LK_OK, use(k, &lock));
        }
        kit_advance(k, TTL + 1);
    }
    /* Of 20,000 locks all but 500 have lapsed; nobody swept. */
    assert_true(kit_statistics(k).cells < 5000);
}

/* ---- locks of nothing ---- */

static void
test_locked_read_of_nothing_creates_nothing(void **state)
{
    kit *k = *state;
    lk_key keys[40];
    lk_lock locks[40];
    char sk[40][8];
    for (size_t i = 0; i < KIT_COUNT(keys); i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        keys[i] = lk_key_of(i % 2 == 0 ? "p" : sk[i], sk[i]);
    }
    for (size_t count = 1; count <= KIT_COUNT(keys); count *= 3) {
        memset(locks, 0x5a, sizeof locks);
        assert_status(LK_OK, lk_get_locked(k->db, keys, count, locks, k->result));
        assert_int_equal(lk_result_count(k->result), count);
        for (size_t i = 0; i < count; i++)
            assert_true(locks[i].version == 0 && locks[i].expires_at_ms == 0 &&
                        lk_result_item(k->result, i) == NULL);
    }
    lk_statistics statistics = kit_statistics(k);
    assert_true(statistics.cells == 0 && statistics.partitions == 0 &&
                statistics.locks_created == 0);
}

/* What has expired or lapsed is nothing; what is there gets its lock as before. */
static void
test_locked_read_of_several_keys_makes_the_locks_of_items_alone(void **state)
{
    kit *k = *state;
    enum { ITEM, NONE, EXPIRED, LAPSED, GONE, LOCK, KEYS };
    static const char *const sk[] = {"item", "none", "expired", "lapsed", "gone", "lock"};
    lk_key keys[KEYS];
    lk_lock locks[KEYS], old[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = lk_key_of("p", sk[i]);
    lk_item expires = {.key = keys[EXPIRED], .expires_at_ms = k->now_ms + 1};
    assert_status(LK_OK, lk_set(k->db, &expires, 1));
    kit_set(k, "p", "gone", "x");
    for (size_t i = EXPIRED; i <= GONE; i++)
        old[i] = kit_lock(k, keys[i]);
    assert_status(LK_OK, lk_delete(k->db, &keys[GONE], 1));
    kit_advance(k, TTL + 1);
    old[LOCK] = kit_lock(k, keys[LOCK]);
    kit_set(k, "p", "item", "x");
    assert_status(LK_OK, lk_get_locked(k->db, keys, KEYS, locks, k->result));
    for (size_t i = 0; i < KEYS; i++) {
        assert_true((locks[i].version != 0) == (i == ITEM || i == LOCK));
        assert_true((lk_result_item(k->result, i) != NULL) == (i == ITEM));
    }
    assert_true(locks[LOCK].version == old[LOCK].version);
    /* All in one commit; the new versions are above those that the keys had. */
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, locks, KEYS, NULL));
    for (size_t i = EXPIRED; i <= LOCK; i++) {
        assert_true(locks[i].version > old[i].version);
        assert_status(LK_RACE, use(k, &old[i]));
        assert_true(kit_lock(k, keys[i]).version == locks[i].version);
    }
}

static void
test_locks_that_are_made_and_renewed_are_counted(void **state)
{
    kit *k = *state;
    lk_key key = lk_key_of("p", "a");
    lk_lock none = {.key = lk_key_of("p", "none")};
    kit_lock(k, key);
    kit_lock(k, key); /* as it is */
    assert_status(LK_OK, use(k, &none));
    assert_int_equal(kit_statistics(k).locks_created, 2);
    assert_int_equal(kit_statistics(k).locks_renewed, 0);
    kit_advance(k, TTL - LK_HOURS(1) + 1); /* less than an hour of it is left */
    kit_lock(k, key);
    assert_int_equal(kit_statistics(k).locks_created, 2);
    assert_int_equal(kit_statistics(k).locks_renewed, 1);
    kit_advance(k, TTL + 1);
    kit_lock(k, key);
    assert_int_equal(kit_statistics(k).locks_created, 3);
    assert_int_equal(kit_statistics(k).locks_renewed, 1);
}

/* ---- several threads ---- */

enum { THREADS = 6, EACH = 4000 };

typedef struct numbering {
    lk_db *db;
    uint64_t versions[THREADS][EACH];
} numbering;

static void
numbering_member(crowd_member *m)
{
    numbering *n = m->context;
    for (uint64_t i = 0; i < EACH; i++) {
        lk_lock lock;
        lk_key key = lkc_numbered("p", m->index * EACH + i % 500);
        EXPECT_OK(lk_get_lock(n->db, key, &lock));
        EXPECT_OK(lk_set_atomic(n->db, NULL, 0, &lock, 1, NULL));
        n->versions[m->index][i] = lock.version;
        if (i % 50 == 0)
            lk_thread_detach();
        if (i % 7 == 0)
            EXPECT_OK(lk_delete(n->db, &key, 1));
    }
}

static int
compare(const void *left, const void *right)
{
    uint64_t l = *(const uint64_t *)left, r = *(const uint64_t *)right;
    return (l > r) - (l < r);
}

static void
test_versions_of_many_locks_and_threads_are_unique(void **state)
{
    static numbering n;
    kit *k = *state;
    n.db = k->db;
    crowd_run(THREADS, numbering_member, &n);
    assert_true(crowd_is_well());
    uint64_t *all = n.versions[0];
    qsort(all, THREADS * EACH, sizeof *all, compare);
    for (size_t i = 1; i < (size_t)THREADS * EACH; i++)
        assert_true(all[i] != all[i - 1]);
}

/* Of those who found nothing one makes the item, and its lock is good until it takes the item
 * out. */
static void
makers_member(crowd_member *m)
{
    lk_db *db = *(lk_db **)m->context;
    for (uint64_t i = 0; i < EACH; i++) {
        lk_item item = {.key = lkc_numbered("p", i % 3), .data = lk_string("x")};
        lk_lock lock;
        EXPECT_OK(lk_get_locked(db, &item.key, 1, &lock, m->result));
        bool none = lk_result_item(m->result, 0) == NULL;
        EXPECT(none || lock.version != 0, i, lock.version);
        if (!none || lock.version != 0)
            continue;
        lk_status status = lk_set_atomic(db, &item, 1, &lock, 1, NULL);
        EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, i);
        lk_write gone = {.kind = LK_DELETE, .item.key = item.key};
        if (status == LK_OK)
            EXPECT_OK(lk_commit(db, &gone, 1, &lock, 1, NULL));
    }
}

static void
test_of_those_who_make_a_lock_from_nothing_one_has_it(void **state)
{
    kit *k = *state;
    crowd_run(THREADS, makers_member, &k->db);
    assert_true(crowd_is_well());
}

/* A thread whose record gets no memory must not spoil the numbering of the others: while its
 * allocation fails, another thread comes and stays, then a third comes. */
typedef struct late {
    kit *k;
    pthread_t second;
    pthread_barrier_t attached, leave;
    bool armed;
    lk_lock lock;
} late;

static void *
late_second(void *context)
{
    late *l = context;
    l->lock.version = 0;
    (void)!lk_get_lock(l->k->db, lk_key_of("second", ""), &l->lock);
    pthread_barrier_wait(&l->attached);
    pthread_barrier_wait(&l->leave);
    return NULL;
}

static void *
late_allocate(void *context, size_t size)
{
    late *l = context;
    if (!l->armed)
        return malloc(size);
    l->armed = false;
    pthread_create(&l->second, NULL, late_second, l);
    pthread_barrier_wait(&l->attached);
    return NULL;
}

static void
late_deallocate(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static void
test_versions_are_unique_when_a_thread_failed_to_attach(void **state)
{
    kit k = {0};
    late l = {.k = &k};
    lk_lock mine;
    (void)state;
    pthread_barrier_init(&l.attached, NULL, 2);
    pthread_barrier_init(&l.leave, NULL, 2);
    lk_memory_options options = {
        .allocate = late_allocate, .deallocate = late_deallocate, .allocator_context = &l};
    assert_status(LK_OK, lk_memory_open(&options, &k.db));
    l.armed = true;
    assert_status(LK_NO_MEMORY, lk_get_lock(k.db, lk_key_of("first", ""), &mine));
    assert_status(LK_OK, lk_get_lock(k.db, lk_key_of("first", ""), &mine));
    assert_true(l.lock.version != 0 && mine.version != l.lock.version);
    pthread_barrier_wait(&l.leave);
    pthread_join(l.second, NULL);
    lk_close(k.db);
    pthread_barrier_destroy(&l.attached);
    pthread_barrier_destroy(&l.leave);
}

/* ---- commits behind a locked read, which knows the cells of their keys ---- */

/* Short keys, so that cells are known. */
static const char *const read_sk[] = {"number-0001", "number-0002", "number-0003", "number-0004"};
enum { READ = KIT_COUNT(read_sk) };

static void
keys_read(kit *k, lk_key keys[READ], lk_item items[READ], lk_lock locks[READ])
{
    for (size_t i = 0; i < READ; i++) {
        items[i] = kit_item("partition", read_sk[i], "value");
        keys[i] = items[i].key;
    }
    assert_status(LK_OK, lk_set(k->db, items, READ));
    assert_status(LK_OK, lk_get_locked(k->db, keys, READ, locks, k->result));
}

/* Their cells are freed: under AddressSanitizer nobody may look at them any more. */
static void
test_commit_under_locks_read_before_their_keys_went_and_cells_were_freed_is_a_race(void **state)
{
    kit *k = *state;
    lk_key keys[READ];
    lk_item items[READ];
    lk_lock locks[READ];
    lk_conflict conflict = {99, 99, 99};
    keys_read(k, keys, items, locks);
    assert_status(LK_OK, lk_delete(k->db, keys, READ));
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_status(LK_RACE, lk_set_atomic(k->db, items, READ, locks, READ, &conflict));
    assert_int_equal(conflict.index, 0);
    assert_true(conflict.current_version == 0);
}

static void
test_commit_under_locks_read_before_their_keys_came_anew_names_the_new_version(void **state)
{
    kit *k = *state;
    lk_key keys[READ];
    lk_item items[READ];
    lk_lock locks[READ];
    lk_conflict conflict = {99, 99, 99};
    keys_read(k, keys, items, locks);
    assert_status(LK_OK, lk_delete(k->db, &keys[2], 1));
    assert_status(LK_OK, lk_set(k->db, &items[2], 1));
    lk_lock anew = kit_lock(k, keys[2]);
    assert_status(LK_RACE, lk_set_atomic(k->db, items, READ, locks, READ, &conflict));
    assert_int_equal(conflict.index, 2);
    assert_true(conflict.current_version == anew.version && anew.version > locks[2].version);
}

static void
test_commit_under_locks_in_another_order_than_they_were_read_in_finds_each_key(void **state)
{
    kit *k = *state;
    lk_key keys[READ];
    lk_item items[READ];
    lk_lock locks[READ], turned[READ + 1];
    keys_read(k, keys, items, locks);
    for (size_t i = 0; i < READ; i++)
        turned[i] = locks[READ - 1 - i];
    turned[READ] = kit_lock(k, kit_key("partition", "number-0005"));
    items[1].data = lk_string("other");
    assert_status(LK_OK, lk_set_atomic(k->db, items, READ, turned, READ + 1, NULL));
    assert_true(kit_holds(k, keys[1], "other") && kit_holds(k, keys[0], "value"));
    for (size_t i = 0; i < READ; i++)
        assert_true(kit_lock(k, turned[i].key).version == turned[i].version);
    assert_status(LK_RACE, lk_set_atomic(k->db, items, READ, locks, READ, NULL));
}

/* The same keys, at the same time, in two stores. */
static void
test_commit_behind_a_locked_read_of_another_store_writes_to_its_own(void **state)
{
    kit *k = *state, other;
    lk_key keys[READ];
    lk_item items[READ];
    lk_lock locks[READ], of_other[READ];
    kit_open(&other, NULL);
    keys_read(&other, keys, items, of_other);
    keys_read(k, keys, items, locks);
    items[0].data = lk_string("here");
    assert_status(LK_OK, lk_get_locked(other.db, keys, READ, of_other, other.result));
    assert_status(LK_OK, lk_set_atomic(k->db, items, READ, locks, READ, NULL));
    assert_true(kit_holds(k, keys[0], "here") && kit_holds(&other, keys[0], "value"));
    kit_close(&other);
}

/* ---- time passes once a commit has read it ---- */

static struct {
    lk_db *db;
    int64_t now_ms;
    bool passes; /* when it is read next, it passes, and what has expired is swept */
} clock_of;

static void *
sweep_all(void *unused)
{
    for (int i = 0; i < 10; i++)
        assert_status(LK_OK, lk_sweep(clock_of.db, 0, NULL));
    return unused;
}

static int64_t
clock_read(void *unused)
{
    int64_t read_ms = clock_of.now_ms;
    pthread_t sweeper;
    (void)unused;
    if (clock_of.passes) {
        clock_of.passes = false;
        clock_of.now_ms++;
        assert_int_equal(pthread_create(&sweeper, NULL, sweep_all, NULL), 0);
        pthread_join(sweeper, NULL);
    }
    return read_ms;
}

/* At no instant is there nothing of the one key, and the lock of the other still good: it lapses
 * when the item ends. */
static void
test_commit_under_version_zero_and_a_lock_that_lapses_meanwhile_is_a_race(void **state)
{
    const lk_memory_options options = {.realtime_ms = clock_read,
                                       .monotonic_ms = clock_read,
                                       .lock_ttl_ms = 100,
                                       .lock_refresh_ms = -1};
    (void)state;
    for (int written = 0; written < 4; written++) {
        lk_item items[2] = {{.key = lk_key_of("p", "goes"), .data = lk_string("x")},
                            {.key = lk_key_of("p", "stays"), .data = lk_string("x")}};
        lk_lock locks[2] = {{.key = items[0].key}};
        clock_of.now_ms = KIT_START_MS;
        clock_of.passes = false;
        assert_status(LK_OK, lk_memory_open(&options, &clock_of.db));
        items[0].expires_at_ms = KIT_START_MS + 100;
        assert_status(LK_OK, lk_set(clock_of.db, items, 2));
        assert_status(LK_OK, lk_get_lock(clock_of.db, items[1].key, &locks[1]));
        items[0].expires_at_ms = 0;
        clock_of.now_ms += 100;
        clock_of.passes = true;
        size_t count = (size_t)(written & 1) + (size_t)(written >> 1);
        assert_status(LK_RACE, lk_set_atomic(clock_of.db, &items[written == 2], count, locks, 2,
                                             &(lk_conflict){.index = 0}));
        assert_false(clock_of.passes);
        lk_close(clock_of.db);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_that_is_never_renewed_lives_to_its_end),
        cmocka_unit_test(test_lock_of_the_longest_life_does_not_overflow),
        KIT_TEST(test_lapsed_locks_of_a_store_that_only_locks_come_back),
        KIT_TEST(test_locked_read_of_nothing_creates_nothing),
        KIT_TEST(test_locked_read_of_several_keys_makes_the_locks_of_items_alone),
        KIT_TEST(test_locks_that_are_made_and_renewed_are_counted),
        cmocka_unit_test(test_commit_under_version_zero_and_a_lock_that_lapses_meanwhile_is_a_race),
        KIT_TEST(test_versions_of_many_locks_and_threads_are_unique),
        KIT_TEST(test_of_those_who_make_a_lock_from_nothing_one_has_it),
        cmocka_unit_test(test_versions_are_unique_when_a_thread_failed_to_attach),
        KIT_TEST(
            test_commit_under_locks_read_before_their_keys_went_and_cells_were_freed_is_a_race),
        KIT_TEST(test_commit_under_locks_read_before_their_keys_came_anew_names_the_new_version),
        KIT_TEST(test_commit_under_locks_in_another_order_than_they_were_read_in_finds_each_key),
        KIT_TEST(test_commit_behind_a_locked_read_of_another_store_writes_to_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
