/* SPDX-License-Identifier: MIT
 *
 * Keys and partitions that come and go. Versions of a key only grow, over deletions, lapses and new
 * beginnings; a lock that was read before a delete is stale for ever; who deletes a key of his own
 * finds it gone; what has expired is not seen. In the end all is deleted, and neither cells nor
 * partitions nor memory remain. Exercises P5, P6, P7.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "support/crowd.h"

enum { THREADS = 6, KEYS = 5, ROUNDS = 6, SWEEPS = 12, BYTES_MAX = 1 << 20 };

static struct {
    lk_db *db;
    uint64_t steps; /* of each thread in a round */
    uint64_t round;
    atomic_llong now_ms;
    atomic_ullong highest[KEYS];           /* version of a lock that anybody has seen */
    atomic_ullong begun[KEYS], done[KEYS]; /* deletes */
    atomic_uint working;
    atomic_ullong operations, stale;
    char name[KEYS][8];
} test;

static int64_t
clock_read(void *context)
{
    (void)context;
    return atomic_load(&test.now_ms);
}

static lk_key
shared_key(size_t key)
{
    return lk_key_of(key < 3 ? "shared" : test.name[key],
                     test.name[key]); /* three of one partition, each other alone */
}

static void
version_seen(size_t key, uint64_t before, uint64_t version)
{
    unsigned long long highest = atomic_load(&test.highest[key]);
    EXPECT(version != 0 && version >= before, version, before);
    while (highest < version &&
           !atomic_compare_exchange_weak(&test.highest[key], &highest, version)) {}
}

static void
shared_delete(size_t key)
{
    lk_key its = shared_key(key);
    atomic_fetch_add(&test.begun[key], 1);
    EXPECT_OK(lk_delete(test.db, &its, 1));
    atomic_fetch_add(&test.done[key], 1);
}

/* Lock, then perhaps others' deletes, then a commit: never over a delete that came between. */
static void
shared_commit(crowd_member *m, size_t key)
{
    unsigned char bytes[CROWD_VALUE_MAX];
    uint64_t before = atomic_load(&test.highest[key]), random = crowd_random(&m->random);
    lk_key its = shared_key(key);
    lk_lock lock, old;
    EXPECT_OK(lk_get_lock(test.db, its, &lock));
    version_seen(key, before, lock.version);
    old = lock;
    uint64_t begun = atomic_load(&test.begun[key]);
    if (random % 4 == 0)
        sched_yield();
    if (random % 16 == 1)
        shared_delete(key);
    bool stale = atomic_load(&test.done[key]) > begun;
    before = atomic_load(&test.highest[key]);
    lk_item item = {.key = its, .data = {bytes, crowd_value(bytes, key, random >> 8)}};
    lk_conflict conflict = {0, 0, 0};
    lk_status status = lk_set_atomic(test.db, &item, 1, &lock, 1, &conflict);
    EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, key);
    EXPECT(!stale || status == LK_RACE, key, old.version);
    EXPECT(status == LK_OK || conflict.current_version != old.version, key, old.version);
    if (status == LK_OK) {
        EXPECT(lock.version > old.version, lock.version, old.version);
        version_seen(key, before, lock.version);
    }
    atomic_fetch_add_explicit(&test.stale, status == LK_RACE, memory_order_relaxed);
}

static void
shared_step(crowd_member *m)
{
    uint64_t random = crowd_random(&m->random), counter;
    size_t key = random % KEYS;
    lk_key its = shared_key(key);
    switch (random / KEYS % 8) {
    case 0:
    case 1:
        EXPECT_OK(crowd_set(test.db, its, key, random));
        break;
    case 2:
        shared_delete(key);
        break;
    case 3:
        if (lk_get(test.db, its, m->result) == LK_OK)
            EXPECT(crowd_value_check(lk_result_item(m->result, 0)->data, key, &counter), key,
                   counter);
        break;
    default:
        shared_commit(m, key);
    }
}

/* A key, and mostly a partition, of this thread's alone, which live for this call. */
static void
private_step(crowd_member *m, uint64_t step)
{
    char pk[CROWD_KEY_ROOM], sk[3][CROWD_KEY_ROOM];
    uint64_t random = crowd_random(&m->random), number = m->index << 40 | step, counter = 0;
    size_t count = 1 + random % 3;
    lk_key keys[3];
    lk_lock lock;
    snprintf(pk, sizeof pk, "private%zu-%llu", m->index,
             random % 4 == 0 ? 0 : (unsigned long long)step);
    for (size_t i = 0; i < count; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        keys[i] = lk_key_of(pk, sk[i]);
        EXPECT_OK(crowd_set(test.db, keys[i], number + i, step));
    }
    lk_query query = {.pk = lk_string(pk)};
    EXPECT_OK(lk_query_items(test.db, &query, m->result));
    EXPECT(lk_result_count(m->result) == count, lk_result_count(m->result), count);
    EXPECT_OK(lk_get(test.db, keys[0], m->result));
    EXPECT(crowd_value_check(lk_result_item(m->result, 0)->data, number, &counter) &&
               counter == step,
           counter, step);
    if (random / 4 % 2 == 0)
        EXPECT_OK(lk_get_lock(test.db, keys[0], &lock));
    EXPECT_OK(lk_delete(test.db, keys, count));
    EXPECT(lk_get(test.db, keys[0], m->result) == LK_NOT_FOUND, m->index, step);
    if (random / 4 % 2 == 0)
        EXPECT(lk_commit(test.db, NULL, 0, &lock, 1, NULL) == LK_RACE, m->index, step);
    EXPECT_OK(lk_query_items(test.db, &query, m->result));
    EXPECT(lk_result_count(m->result) == 0, lk_result_count(m->result), step);
}

/* An item that expires: there until then, and not a millisecond longer. */
static void
expiring_step(crowd_member *m, uint64_t step)
{
    char sk[CROWD_KEY_ROOM];
    unsigned char bytes[CROWD_VALUE_MAX];
    snprintf(sk, sizeof sk, "%zu-%llu", m->index, (unsigned long long)(step % 64));
    lk_key key = lk_key_of("expiring", sk);
    int64_t expires = clock_read(NULL) + (int64_t)(crowd_random(&m->random) % 4);
    lk_item item = {
        .key = key, .data = {bytes, crowd_value(bytes, m->index, step)}, .expires_at_ms = expires};
    EXPECT_OK(lk_set(test.db, &item, 1));
    for (int i = 0; i < 2; i++) {
        int64_t before = clock_read(NULL);
        lk_status status = lk_get(test.db, key, m->result);
        int64_t after = clock_read(NULL);
        EXPECT(before <= expires || status == LK_NOT_FOUND, before, expires);
        EXPECT(after > expires || status == LK_OK, after, expires);
        sched_yield();
    }
}

static void
member(crowd_member *m)
{
    m->random += test.round << 32;
    if (m->index == 0) {
        while (atomic_load(&test.working) > 0 && crowd_is_well()) {
            atomic_fetch_add(&test.now_ms, 1);
            sched_yield();
        }
        return;
    }
    for (uint64_t i = 0; i < test.steps && crowd_is_well(); i++) {
        uint64_t kind = crowd_random(&m->random) % 16;
        if (kind < 10)
            shared_step(m);
        else if (kind < 13)
            private_step(m, test.round * test.steps + i);
        else
            expiring_step(m, i);
        if (kind == 15 && crowd_random(&m->random) % 64 == 0)
            EXPECT_OK(lk_sweep(test.db, 0, NULL));
        atomic_fetch_add_explicit(&test.operations, 1, memory_order_relaxed);
    }
    atomic_fetch_sub(&test.working, 1);
}

/* All threads are gone: nothing may remain. */
static void
empty_check(void)
{
    lk_statistics s = {.cells = 1};
    for (size_t i = 0; i < KEYS; i++)
        shared_delete(i);
    atomic_fetch_add(&test.now_ms, 10);
    for (int i = 0; i < SWEEPS && s.cells + s.partitions + s.retired_bytes != 0; i++) {
        EXPECT_OK(lk_sweep(test.db, 0, NULL));
        EXPECT_OK(lk_statistics_read(test.db, &s));
    }
    EXPECT(s.cells == 0, s.cells, test.round);
    EXPECT(s.partitions == 0, s.partitions, test.round);
    EXPECT(s.retired_bytes == 0, s.retired_bytes, s.retired_objects - s.freed_objects);
    EXPECT(crowd_allocated() < BYTES_MAX, crowd_allocated(), test.round);
}

static void
run(size_t shards, int64_t lock_ttl_ms)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    uint64_t first_bytes = 0;
    options.shards = shards;
    options.realtime_ms = clock_read;
    options.lock_ttl_ms = lock_ttl_ms;
    crowd_allocator(&options);
    test.steps = test_scaled(6000);
    atomic_store(&test.now_ms, 1000000);
    atomic_store(&test.operations, 0);
    atomic_store(&test.stale, 0);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(test.name[i], sizeof test.name[i], "key%zu", i);
        atomic_store(&test.highest[i], 0);
    }
    EXPECT_OK(lk_memory_open(&options, &test.db));
    for (test.round = 0; test.round < ROUNDS && crowd_is_well(); test.round++) {
        atomic_store(&test.working, THREADS - 1);
        crowd_run(THREADS, member, NULL);
        empty_check();
        if (test.round == 0)
            first_bytes = crowd_allocated();
    }
    EXPECT(crowd_allocated() <= first_bytes + first_bytes / 2, crowd_allocated(), first_bytes);
    crowd_note("steps", test.operations);
    crowd_note("races", test.stale);
    crowd_note("bytes", crowd_allocated());
    lk_statistics s;
    EXPECT_OK(lk_statistics_read(test.db, &s));
    crowd_note("removed", s.cells_removed);
    crowd_note("swept", s.expired_swept + s.locks_swept);
    lk_close(test.db);
    EXPECT(crowd_allocated() == 0, crowd_allocated(), 0);
}

static void
run_one_shard(void)
{
    run(1, 0);
}

static void
run_many_shards(void)
{
    run(64, 0);
}

static void
run_locks_lapse(void)
{
    run(4, 20);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"one_shard", run_one_shard},
                                               {"many_shards", run_many_shards},
                                               {"locks_lapse", run_locks_lapse}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
