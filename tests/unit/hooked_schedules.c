/* SPDX-License-Identifier: MIT
 *
 * Small workloads under many schedules: at each access to a shared word a thread may give way to another, by the seed. Few keys and
 * few calls, so that each run is mostly meetings: commits over commits, deletes under locks, keys that come and go. Each run ends
 * with what must hold of any order: nothing made or lost, pairs equal, and an empty store that holds nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/atomic.h"
#include "support/crowd.h"

enum { MEMBERS = 4, CALLS = 24, SCHEDULES = 800, HANG_SECONDS = 240, SUM = 300 };

static struct {
    lk_db *db;
    uint64_t schedule;
    lk_key account[3], left, right, lone;
    atomic_ullong versions;
} test;

static __thread uint64_t hook_random;
static uint64_t hook_every; /* one access in so many gives way */

static void
yield_hook(void)
{
    if (hook_random != 0 && crowd_random(&hook_random) % hook_every == 0)
        sched_yield();
}

static uint64_t
counter_of(const lk_item *item, uint64_t number)
{
    uint64_t counter = 0;
    if (item != NULL)
        EXPECT(crowd_value_check(item->data, number, &counter), test.schedule, number);
    return counter;
}

static lk_item
item_of(lk_key key, uint64_t number, uint64_t counter, unsigned char *bytes)
{
    return (lk_item){.key = key, .data = {bytes, crowd_value(bytes, number, counter)}};
}

static void
transfer(crowd_member *m)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    size_t from = crowd_random(&m->random) % 3, to = (from + 1 + crowd_random(&m->random) % 2) % 3;
    lk_key keys[2] = {test.account[from], test.account[to]};
    lk_lock locks[2];
    EXPECT_OK(lk_get_locked(test.db, keys, 2, locks, m->result));
    uint64_t a = counter_of(lk_result_item(m->result, 0), from),
             b = counter_of(lk_result_item(m->result, 1), to);
    uint64_t amount = crowd_random(&m->random) % (a + 1);
    lk_item items[2] = {item_of(keys[0], from, a - amount, bytes[0]),
                        item_of(keys[1], to, b + amount, bytes[1])};
    lk_status status = lk_set_atomic(test.db, items, 2, locks, 2, NULL);
    EXPECT(status == LK_OK || status == LK_RACE, test.schedule, (uint64_t)(unsigned)status);
}

/* Left and right are alike, or both absent. */
static void
pair_write(crowd_member *m)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    uint64_t counter = crowd_random(&m->random) >> 8;
    lk_write writes[2] = {{.kind = LK_PUT, .item = item_of(test.left, 10, counter, bytes[0])},
                          {.kind = LK_PUT, .item = item_of(test.right, 11, counter, bytes[1])}};
    if (counter % 2 == 0)
        writes[0].kind = writes[1].kind = LK_DELETE;
    EXPECT_OK(lk_commit(test.db, writes, 2, NULL, 0, NULL));
}

static void
lone_churn(crowd_member *m)
{
    unsigned char bytes[CROWD_VALUE_MAX];
    lk_lock lock;
    uint64_t before = atomic_load(&test.versions);
    EXPECT_OK(lk_get_lock(test.db, test.lone, &lock));
    EXPECT(lock.version >= before, lock.version, before);
    uint64_t old = lock.version;
    lk_item item = item_of(test.lone, 12, old, bytes);
    lk_status status = lk_set_atomic(test.db, &item, 1, &lock, 1, NULL);
    EXPECT(status == LK_OK || status == LK_RACE, test.schedule, (uint64_t)(unsigned)status);
    EXPECT(status != LK_OK || lock.version > old, test.schedule, old);
    unsigned long long highest = atomic_load(&test.versions),
                       mine = status == LK_OK ? lock.version : old;
    while (highest < mine && !atomic_compare_exchange_weak(&test.versions, &highest, mine)) {}
    if (crowd_random(&m->random) % 2 == 0)
        EXPECT_OK(lk_delete(test.db, &test.lone, 1));
    if (crowd_random(&m->random) % 4 == 0)
        EXPECT_OK(lk_sweep(test.db, 0, NULL));
}

static void
snapshot_check(crowd_member *m)
{
    lk_key keys[5] = {test.account[0], test.left, test.account[1], test.right, test.account[2]};
    EXPECT_OK(lk_get_many(test.db, keys, 5, m->result));
    uint64_t sum = 0;
    for (size_t i = 0; i < 3; i++)
        sum += counter_of(lk_result_item(m->result, 2 * i), i);
    EXPECT(sum == SUM, test.schedule, sum);
    uint64_t left = counter_of(lk_result_item(m->result, 1), 10),
             right = counter_of(lk_result_item(m->result, 3), 11);
    EXPECT(left == right, test.schedule, left);
    lk_query query = {.pk = test.left.pk};
    EXPECT_OK(lk_query_items(test.db, &query, m->result));
    size_t count = lk_result_count(m->result);
    EXPECT(count == 0 || count == 2, test.schedule, count);
    if (count == 2)
        EXPECT(counter_of(lk_result_item(m->result, 0), 10) ==
                   counter_of(lk_result_item(m->result, 1), 11),
               test.schedule, 0);
}

static void
member(crowd_member *m)
{
    static void (*const calls[])(crowd_member *) = {transfer, pair_write, lone_churn,
                                                    snapshot_check};
    m->random += test.schedule << 20;
    hook_random = m->random | 1;
    for (unsigned i = 0; i < CALLS; i++)
        calls[crowd_random(&m->random) % 4](m);
    hook_random = 0;
}

static void
schedule_run(uint64_t schedule)
{
    static const char *const names[3] = {"a", "b", "c"};
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    lk_statistics s = {.cells = 1};
    options.shards = 1U << schedule % 3;
    crowd_allocator(&options);
    test.schedule = schedule;
    hook_every = 1 + schedule % 40;
    atomic_store(&test.versions, 0);
    EXPECT_OK(lk_memory_open(&options, &test.db));
    test.left = lk_key_of("pair", "left");
    test.right = lk_key_of("pair", "right");
    test.lone = lk_key_of("lone", "");
    for (size_t i = 0; i < 3; i++) {
        test.account[i] = lk_key_of(i == 0 ? "one" : "two", names[i]);
        EXPECT_OK(crowd_set(test.db, test.account[i], i, SUM / 3));
    }
    crowd_run(MEMBERS, member, NULL);
    lk_key all[6] = {test.account[0], test.account[1], test.account[2],
                     test.left,       test.right,      test.lone};
    EXPECT_OK(lk_delete(test.db, all, 6));
    for (int i = 0; i < 8 && s.cells + s.partitions + s.retired_bytes != 0; i++) {
        EXPECT_OK(lk_sweep(test.db, 0, NULL));
        EXPECT_OK(lk_statistics_read(test.db, &s));
    }
    EXPECT(s.cells == 0 && s.partitions == 0 && s.retired_bytes == 0, test.schedule, s.cells);
    lk_close(test.db);
    EXPECT(crowd_allocated() == 0, test.schedule, crowd_allocated());
}

static void
test_schedules_any_of_them_invariants_hold(void **state)
{
    uint64_t schedules = test_scaled(SCHEDULES), first = crowd_seed() % 1000000;
    (void)state;
    alarm(test_scaled(100) > 100 ? 0 : HANG_SECONDS);
    lki_yield_hook = yield_hook;
    for (uint64_t i = 0; i < schedules && crowd_is_well(); i++)
        schedule_run(first + i);
    lki_yield_hook = NULL;
    alarm(0);
    assert_true(crowd_is_well());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedules_any_of_them_invariants_hold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
