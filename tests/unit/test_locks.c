/* SPDX-License-Identifier: MIT
 *
 * Locks: created, renewed exactly at the border, lapsed exactly, stale for ever after a delete, versions that nobody else has.
 */
#include <pthread.h>

#include "support/kit.h"

#define TTL LK_HOURS(24)
#define REFRESH LK_HOURS(1)

static kit *
kit_of(void **state)
{
    return *state;
}

static lk_status
use(kit *k, lk_lock *lock)
{
    return lk_set_atomic(k->db, NULL, 0, lock, 1, NULL);
}

static void
test_lock_of_a_new_key_is_created_and_is_no_item(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_lock lock = kit_lock(k, key), same = kit_lock(k, key);
    assert_true(lock.expires_at_ms == KIT_START_MS + TTL);
    assert_true(same.version == lock.version && same.expires_at_ms == lock.expires_at_ms);
    assert_ptr_equal(lock.key.pk.data, key.pk.data);
    assert_ptr_equal(lock.key.sk.data, key.sk.data);
    assert_true(kit_holds(k, key, NULL));
    lk_query query = {.pk = key.pk};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 0);
    kit_set(k, "p", "s", "an item does not touch the lock");
    assert_true(kit_lock(k, key).version == lock.version);
    assert_int_equal(kit_statistics(k).locks_created, 1);
}

static void
test_get_lock_with_null_says_invalid(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_lock lock;
    assert_status(LK_INVALID, lk_get_lock(NULL, key, &lock));
    assert_status(LK_INVALID, lk_get_lock(k->db, key, NULL));
    assert_status(LK_INVALID, lk_get_locked(NULL, &key, 1, &lock, k->result));
    assert_status(LK_INVALID, lk_get_locked(k->db, NULL, 1, &lock, k->result));
    assert_status(LK_INVALID, lk_get_locked(k->db, &key, 1, NULL, k->result));
    assert_status(LK_INVALID, lk_get_locked(k->db, &key, 1, &lock, NULL));
}

static void
test_lock_is_renewed_exactly_at_the_border(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_lock lock = kit_lock(k, key);
    kit_advance(k, TTL - REFRESH - 1);
    assert_true(kit_lock(k, key).version == lock.version);
    kit_advance(k, 1);
    lk_lock renewed = kit_lock(k, key);
    assert_true(renewed.version > lock.version);
    assert_true(renewed.expires_at_ms == k->now_ms + TTL);
    assert_status(LK_RACE, use(k, &lock));
    assert_status(LK_OK, use(k, &renewed));
    assert_int_equal(kit_statistics(k).locks_renewed, 1);
}

static void
test_lock_lapses_only_after_its_end(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_lock lock = kit_lock(k, key);
    kit_advance(k, TTL);
    assert_status(LK_OK, use(k, &lock));
    assert_true(lock.expires_at_ms == k->now_ms + TTL);
    kit_advance(k, TTL + 1);
    lk_conflict conflict = {9, 9};
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.index == 0 && conflict.current_version == 0);
    lk_lock anew = kit_lock(k, key);
    assert_true(anew.version > lock.version);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.current_version == anew.version);
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

/* The versions of a key that comes and goes in every way only grow, and no old lock is ever good again. */
static void
test_version_of_a_key_that_comes_and_goes_only_grows(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_lock old[60];
    uint64_t last = 0;
    for (size_t i = 0; i < KIT_COUNT(old); i++) {
        old[i] = kit_lock(k, key);
        assert_true(old[i].version > last);
        last = old[i].version;
        switch (i % 4) {
        case 0:
            assert_status(LK_OK, lk_delete(k->db, &key, 1));
            break;
        case 1:
            kit_advance(k, TTL + 1);
            break;
        case 2:
            assert_status(LK_OK, lk_commit(k->db, &(lk_write){.kind = LK_DELETE, .item.key = key},
                                           1, NULL, 0, NULL));
            break;
        default:
            break;
        }
        if (i % 3 != 0)
            kit_sweep(k);
        if (i % 3 == 1 && i % 4 != 3)
            assert_int_equal(kit_statistics(k).cells, 0);
        if (i % 4 == 3)
            assert_status(LK_OK, lk_delete(k->db, &key, 1));
        for (size_t j = 0; j <= i; j++)
            assert_status(LK_RACE, use(k, &old[j]));
    }
}

static void
test_delete_makes_a_lock_stale_also_after_its_cell_has_gone(void **state)
{
    kit *k = kit_of(state);
    lk_key key = lk_key_of("p", "s");
    lk_lock lock = kit_lock(k, key);
    lk_conflict conflict;
    assert_status(LK_OK, lk_delete(k->db, &key, 1));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.current_version == 0);
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.current_version == 0);
    kit_set(k, "p", "s", "an item, no lock");
    assert_status(LK_RACE, use(k, &lock));
    lk_lock anew = kit_lock(k, key);
    assert_true(anew.version > lock.version);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.current_version == anew.version);
}

static void
test_get_locked_with_repeated_keys_and_holes_answers_each_position(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "a", "A");
    lk_lock known = kit_lock(k, lk_key_of("p", "b"));
    lk_key keys[] = {lk_key_of("p", "a"), lk_key_of("p", "b"), lk_key_of("p", "c"),
                     lk_key_of("p", "a")};
    lk_lock locks[4];
    assert_status(LK_OK, lk_get_locked(k->db, keys, 4, locks, k->result));
    assert_int_equal(lk_result_count(k->result), 4);
    assert_true(locks[1].version == known.version && locks[0].version == locks[3].version);
    assert_true(locks[2].version != 0 && locks[2].version != locks[0].version);
    assert_ptr_equal(locks[2].key.sk.data, keys[2].sk.data);
    assert_true(kit_bytes_are(lk_result_item(k->result, 0)->data, "A"));
    assert_true(kit_bytes_are(lk_result_item(k->result, 3)->data, "A"));
    assert_null(lk_result_item(k->result, 1));
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, locks, 3, NULL));
}

static void
test_lapsed_locks_of_a_store_that_only_locks_come_back(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t round = 0; round < 40; round++) {
        for (uint64_t i = 0; i < 500; i++) {
            lk_lock lock = kit_lock(k, kit_numbered("p", round * 500 + i));
            assert_status(LK_OK, use(k, &lock));
        }
        kit_advance(k, TTL + 1);
    }
    /* Of 20,000 locks all but 500 have lapsed; nobody swept. */
    assert_true(kit_statistics(k).cells < 5000);
}

/* ---- several threads ---- */

enum { THREADS = 6, EACH = 4000 };

typedef struct worker {
    pthread_t thread;
    kit *k;
    uint64_t number;
    uint64_t versions[EACH];
    uint64_t failures;
    pthread_barrier_t *start;
} worker;

static void *
worker_locks(void *context)
{
    worker *w = context;
    pthread_barrier_wait(w->start);
    for (uint64_t i = 0; i < EACH; i++) {
        lk_lock lock;
        lk_key key = kit_numbered("p", w->number * EACH + i % 500);
        w->failures += lk_get_lock(w->k->db, key, &lock) != LK_OK;
        w->failures += lk_set_atomic(w->k->db, NULL, 0, &lock, 1, NULL) != LK_OK;
        w->versions[i] = lock.version;
        if (i % 50 == 0)
            lk_thread_detach();
        if (i % 7 == 0)
            w->failures += lk_delete(w->k->db, &key, 1) != LK_OK;
    }
    return NULL;
}

static void *
worker_same(void *context)
{
    worker *w = context;
    pthread_barrier_wait(w->start);
    for (uint64_t i = 0; i < EACH; i++) {
        lk_lock lock;
        w->failures += lk_get_lock(w->k->db, kit_numbered("same", i), &lock) != LK_OK;
        w->versions[i] = lock.version;
    }
    return NULL;
}

static void
workers_run(kit *k, worker *workers, void *(*run)(void *))
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, THREADS);
    for (uint64_t i = 0; i < THREADS; i++) {
        workers[i].k = k;
        workers[i].number = i;
        workers[i].failures = 0;
        workers[i].start = &start;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    pthread_barrier_destroy(&start);
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
    static worker workers[THREADS];
    static uint64_t all[THREADS * EACH];
    workers_run(kit_of(state), workers, worker_locks);
    for (size_t i = 0; i < THREADS; i++)
        memcpy(all + i * EACH, workers[i].versions, sizeof workers[i].versions);
    qsort(all, KIT_COUNT(all), sizeof *all, compare);
    for (size_t i = 1; i < KIT_COUNT(all); i++)
        assert_true(all[i] != all[i - 1]);
}

static void
test_concurrent_callers_get_one_version(void **state)
{
    static worker workers[THREADS];
    workers_run(kit_of(state), workers, worker_same);
    for (size_t i = 1; i < THREADS; i++)
        assert_memory_equal(workers[i].versions, workers[0].versions, sizeof workers[0].versions);
}

/* A thread whose record gets no memory must not spoil the numbering of the others: while its allocation fails, another
 * thread comes and stays, then a third comes. */
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
    lk_conflict conflict = {99, 99};
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
    lk_conflict conflict = {99, 99};
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lock_of_a_new_key_is_created_and_is_no_item),
        TEST(test_get_lock_with_null_says_invalid),
        TEST(test_lock_is_renewed_exactly_at_the_border),
        TEST(test_lock_lapses_only_after_its_end),
        cmocka_unit_test(test_lock_that_is_never_renewed_lives_to_its_end),
        cmocka_unit_test(test_lock_of_the_longest_life_does_not_overflow),
        TEST(test_version_of_a_key_that_comes_and_goes_only_grows),
        TEST(test_delete_makes_a_lock_stale_also_after_its_cell_has_gone),
        TEST(test_get_locked_with_repeated_keys_and_holes_answers_each_position),
        TEST(test_lapsed_locks_of_a_store_that_only_locks_come_back),
        TEST(test_versions_of_many_locks_and_threads_are_unique),
        TEST(test_concurrent_callers_get_one_version),
        cmocka_unit_test(test_versions_are_unique_when_a_thread_failed_to_attach),
        TEST(test_commit_under_locks_read_before_their_keys_went_and_cells_were_freed_is_a_race),
        TEST(test_commit_under_locks_read_before_their_keys_came_anew_names_the_new_version),
        TEST(test_commit_under_locks_in_another_order_than_they_were_read_in_finds_each_key),
        TEST(test_commit_behind_a_locked_read_of_another_store_writes_to_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
