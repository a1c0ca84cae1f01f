/* SPDX-License-Identifier: MIT
 *
 * Memory stays flat under everything at once: keys and partitions that come and go, items that
 * expire and locks that lapse, jobs that are claimed, released, delayed, left to lapse, and readers
 * that stay in a section while others write. After each round the store is brought to the same
 * contents, and what it has allocated then is noted: the second half of the rounds has no more than
 * 1 percent above the first.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/crowd.h"

enum {
    THREADS = 4,
    ROUNDS = 12,
    WARM = 2, /* rounds that do not count: what is reused has to be made first */
    KEYS = 400,
    QUEUES = 3,
    DEPTH = 200,
    LIFE_MS = 40,
    STALL = 64 /* steps of all */
};

static struct {
    lk_db *db;
    uint64_t steps, round;
    _Atomic(int64_t) now_ms;
    atomic_ullong done, pulled, stalled;
} test;

static int64_t
clock_read(void *unused)
{
    (void)unused;
    return atomic_load(&test.now_ms);
}

static lk_key
key_of(char *text, size_t room, const char *pk, uint64_t number)
{
    snprintf(text, room, "%llu", (unsigned long long)number);
    return lk_key_of(pk, text);
}

/* ---- steps ---- */

static void
item_step(crowd_member *m)
{
    char text[CROWD_KEY_ROOM];
    unsigned char bytes[CROWD_VALUE_MAX];
    lk_key key = key_of(text, sizeof text, "items", crowd_pick(m, KEYS));
    lk_item item = {.key = key, .data = {bytes, crowd_value(bytes, 1, crowd_pick(m, 1000))}};
    lk_lock lock;
    switch (crowd_pick(m, 6)) {
    case 0:
        EXPECT_OK(lk_delete(test.db, &key, 1));
        break;
    case 1:
        if (lk_get_lock(test.db, key, &lock) == LK_OK)
            (void)!lk_set_atomic(test.db, &item, 1, &lock, 1, NULL);
        break;
    case 2:
        item.expires_at_ms = clock_read(NULL) + 1 + (int64_t)crowd_pick(m, LIFE_MS);
        EXPECT_OK(lk_set(test.db, &item, 1));
        break;
    default:
        EXPECT_OK(lk_set(test.db, &item, 1));
    }
}

/* A partition that nobody else ever names. Every other one goes by expiry. */
static void
partition_step(crowd_member *m, uint64_t step)
{
    char pk[CROWD_KEY_ROOM];
    snprintf(pk, sizeof pk, "%zu-%llu-%llu", m->index, (unsigned long long)test.round,
             (unsigned long long)step);
    lk_item item = {.key = lk_key_of(pk, "x"), .data = lk_string("x")};
    if (step % 2 == 0)
        item.expires_at_ms = clock_read(NULL) + 1;
    EXPECT_OK(lk_set(test.db, &item, 1));
    if (step % 2 != 0)
        EXPECT_OK(lk_delete(test.db, &item.key, 1));
}

/* A claim is acknowledged, given back, or left to lapse. */
static void
job_step(crowd_member *m)
{
    char pk[CROWD_KEY_ROOM];
    snprintf(pk, sizeof pk, "queue%u", (unsigned)crowd_pick(m, QUEUES));
    lk_item job = {.key.pk = lk_string(pk), .data = lk_string("job")};
    lk_push_options push = {.max_depth = DEPTH,
                            .delay_ms = crowd_pick(m, 4) == 0 ? (int64_t)crowd_pick(m, 8) : 0};
    lk_pull_options pull = {.pk = job.key.pk, .visibility_ms = 1 + (int64_t)crowd_pick(m, 8)};
    lk_status status = lk_queue_push(test.db, &job, 1, &push, NULL);
    EXPECT(status == LK_OK || status == LK_BUSY, (uint64_t)(unsigned)status, m->index);
    for (int i = 0; i < 2 && lk_queue_pull(test.db, &pull, m->result) == LK_OK; i++) {
        uint64_t kind = crowd_pick(m, 8);
        if (kind < 6)
            (void)!lk_queue_acknowledge(test.db, lk_result_claim(m->result, 0), 1);
        else if (kind == 6)
            (void)!lk_queue_release(test.db, lk_result_claim(m->result, 0),
                                    (int64_t)crowd_pick(m, 4));
        atomic_fetch_add_explicit(&test.pulled, 1, memory_order_relaxed);
    }
}

/* A section that lasts while others go on: what they retire waits. */
static void
reader_step(crowd_member *m)
{
    unsigned long long until = atomic_load(&test.done) + STALL;
    lk_item item;
    char text[CROWD_KEY_ROOM];
    lk_read_begin(test.db);
    lk_status status =
        lk_view(test.db, key_of(text, sizeof text, "items", crowd_pick(m, KEYS)), &item);
    for (int i = 0; i < 4 * STALL && atomic_load(&test.done) < until; i++)
        sched_yield();
    if (status == LK_OK) {
        uint64_t counter;
        EXPECT(crowd_value_check(item.data, 1, &counter), m->index, item.data.size);
    }
    lk_read_end(test.db);
    atomic_fetch_add_explicit(&test.stalled, 1, memory_order_relaxed);
}

static void
member(crowd_member *m)
{
    m->random += test.round << 32;
    for (uint64_t i = 0; i < test.steps && crowd_is_well(); i++) {
        uint64_t kind = crowd_pick(m, 256);
        if (kind == 0)
            reader_step(m);
        else if (kind < 96)
            item_step(m);
        else if (kind < 160)
            partition_step(m, i);
        else
            job_step(m);
        if (atomic_fetch_add(&test.done, 1) % 16 == 0)
            atomic_fetch_add(&test.now_ms, 1);
    }
}

/* ---- between rounds ---- */

/* The same contents each time; nothing that could go is held back. */
static uint64_t
settled_bytes(void)
{
    char text[CROWD_KEY_ROOM], pk[CROWD_KEY_ROOM];
    lk_statistics s = {.cells = 0};
    for (int i = 0; i < QUEUES; i++) {
        snprintf(pk, sizeof pk, "queue%d", i);
        EXPECT_OK(lk_queue_purge(test.db, lk_string(pk), NULL));
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        lk_key key = key_of(text, sizeof text, "items", i);
        EXPECT_OK(lk_delete(test.db, &key, 1));
        EXPECT_OK(crowd_set(test.db, key, 1, 0));
    }
    atomic_fetch_add(&test.now_ms, LIFE_MS + 1);
    do
        EXPECT_OK(lk_sweep(test.db, 0, NULL));
    while (lk_statistics_read(test.db, &s) == LK_OK && s.retired_bytes != 0 && crowd_is_well());
    EXPECT(s.cells <= KEYS + QUEUES, s.cells, test.round);
    return crowd_allocated();
}

static void
run_all(void)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    uint64_t half[2] = {0, 0};
    options.realtime_ms = options.monotonic_ms = clock_read;
    options.lock_ttl_ms = LIFE_MS;
    crowd_allocator(&options);
    test.steps = test_scaled(40000);
    atomic_store(&test.now_ms, 1000000);
    EXPECT_OK(lk_memory_open(&options, &test.db));
    for (test.round = 0; test.round < WARM + ROUNDS && crowd_is_well(); test.round++) {
        crowd_run(THREADS, member, NULL);
        uint64_t bytes = settled_bytes();
        if (test.round >= WARM)
            half[(test.round - WARM) / (ROUNDS / 2)] += bytes;
    }
    EXPECT(half[1] <= half[0] + half[0] / 100, half[1] / (ROUNDS / 2), half[0] / (ROUNDS / 2));
    crowd_note("steps", test.done);
    crowd_note("pulled", test.pulled);
    crowd_note("readers that stayed", test.stalled);
    crowd_note("bytes", half[1] / (ROUNDS / 2));
    lk_close(test.db);
    EXPECT(crowd_allocated() == 0, crowd_allocated(), 0);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"all", run_all}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
