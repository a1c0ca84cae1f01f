/* SPDX-License-Identifier: MIT
 *
 * Few keys and a few calls of three threads, drawn by the seed: transfers between accounts, pairs
 * that are alike or both absent, a key that comes and goes under locks, snapshots of all. Nothing
 * is made or lost, pairs are alike, versions only rise, and what is deleted leaves nothing behind.
 * `mix_memory` lets an allocation fail: then a call that says so has done nothing.
 */
#include <stdatomic.h>

#include "schedule/store.h"

enum { ACCOUNTS = 3, SUM = 300, CALLS_MAX = 4, MEMBERS = 3 };

static lk_db *db;
static lk_key account[ACCOUNTS], left, right, lone;
static _Atomic(uint64_t) highest; /* version of `lone` that somebody has seen */
static uint32_t plan[MEMBERS + 1][CALLS_MAX];
static bool scarce;     /* allocations fail */
static uint32_t pinned; /* whose whole life is one read pair: no epoch moves on meanwhile */
static uint32_t kinds;  /* of calls, a bit for each */

/* True: it is done. */
static bool
done(lk_status status)
{
    if (scarce && status == LK_NO_MEMORY)
        return false;
    STORE_MUST(status);
    return true;
}

static bool
done_or_race(lk_status status)
{
    return status != LK_RACE && done(status);
}

static void
transfer(lk_result *result, uint32_t draw)
{
    uint32_t from = draw % ACCOUNTS, to = (from + 1 + draw / 3 % 2) % ACCOUNTS;
    lk_key keys[2] = {account[from], account[to]};
    lk_lock locks[2];
    if (!done(lk_get_locked(db, keys, 2, locks, result)))
        return;
    uint64_t a = store_number(lk_result_item(result, 0)),
             b = store_number(lk_result_item(result, 1));
    SCHEDULE_EXPECT(a > 0 && b > 0);
    uint64_t amount = draw / 6 % a; /* 0 would be no item */
    a -= amount;
    b += amount;
    lk_item items[2] = {store_item(keys[0], &a), store_item(keys[1], &b)};
    bool moved = done_or_race(lk_set_atomic(db, items, 2, locks, 2, NULL));
    schedule_note("%d from %u to %u: %s", (int)amount, from, to, moved ? "done" : "not");
}

static void
pair_write(lk_result *result, uint32_t draw)
{
    (void)result;
    uint64_t number = draw % 100 + 1;
    lk_write writes[2] = {{.kind = LK_PUT, .item = store_item(left, &number)},
                          {.kind = LK_PUT, .item = store_item(right, &number)}};
    if (draw / 128 % 2 == 0)
        writes[0].kind = writes[1].kind = LK_DELETE;
    bool is_done = done(lk_commit(db, writes, 2, NULL, 0, NULL));
    schedule_note("pair %d: %s", writes[0].kind == LK_DELETE ? 0 : (int)number,
                  is_done ? "done" : "not");
}

static void
version_seen(uint64_t version)
{
    uint64_t seen = atomic_load_explicit(&highest, memory_order_relaxed);
    while (seen < version && !atomic_compare_exchange_strong(&highest, &seen, version)) {}
}

/* The lock's version is not below what somebody had seen before the call. */
static void
lone_churn(lk_result *result, uint32_t draw)
{
    (void)result;
    lk_lock lock;
    uint64_t before = atomic_load(&highest);
    if (!done(lk_get_lock(db, lone, &lock)))
        return;
    SCHEDULE_EXPECT(lock.version >= before);
    uint64_t old = lock.version;
    lk_item item = store_item(lone, &old);
    if (done_or_race(lk_set_atomic(db, &item, 1, &lock, 1, NULL))) {
        SCHEDULE_EXPECT(lock.version > old);
        version_seen(lock.version);
    }
    version_seen(old);
    if (draw % 2 == 0)
        (void)done(lk_delete(db, &lone, 1));
    if (draw / 2 % 4 == 0)
        (void)done(lk_sweep(db, 0, NULL));
    schedule_note("lone: version %d", (int)lock.version);
}

static void
snapshot_check(lk_result *result, uint32_t draw)
{
    lk_key keys[5] = {account[0], left, account[1], right, account[2]};
    if (!done(lk_get_many(db, keys, 5, result)))
        return;
    uint64_t sum = 0;
    for (size_t i = 0; i < ACCOUNTS; i++)
        sum += store_number(lk_result_item(result, 2 * i));
    if (sum != SUM)
        schedule_fail("the accounts of one snapshot are %d", (int)sum);
    SCHEDULE_EXPECT(store_number(lk_result_item(result, 1)) ==
                    store_number(lk_result_item(result, 3)));
    lk_query query = {.pk = left.pk, .reverse = draw % 2 == 0};
    if (!done(lk_query_items(db, &query, result)))
        return;
    size_t count = lk_result_count(result);
    SCHEDULE_EXPECT(count == 0 || count == 2);
    if (count == 2)
        SCHEDULE_EXPECT(store_number(lk_result_item(result, 0)) ==
                        store_number(lk_result_item(result, 1)));
    if (done(lk_count(db, &query, &count)))
        SCHEDULE_EXPECT(count == 0 || count == 2);
}

static void
member(void)
{
    static void (*const calls[])(lk_result *, uint32_t) = {transfer, pair_write, lone_churn,
                                                           snapshot_check};
    lk_result *result = lk_result_new();
    if (result == NULL)
        return;
    if (pinned == schedule_self())
        lk_read_begin(db);
    for (int i = 0; i < CALLS_MAX; i++) {
        uint32_t draw = plan[schedule_self()][i];
        if ((kinds >> draw % 8 & 1) != 0)
            calls[draw % 4](result, draw / 8);
    }
    if (pinned == schedule_self())
        lk_read_end(db);
    lk_result_free(result);
}

static void
prepare(void)
{
    static const char *const names[ACCOUNTS] = {"a", "b", "c"};
    db = store_open();
    left = lk_key_of("pair", "left");
    right = lk_key_of("pair", "right");
    lone = lk_key_of("lone", "");
    for (size_t i = 0; i < ACCOUNTS; i++) {
        account[i] = lk_key_of(i == 0 ? "one" : "two", names[i]);
        store_set(db, account[i], SUM / ACCOUNTS);
    }
}

static void
setup(void)
{
    for (int i = 1; i <= MEMBERS; i++)
        for (int j = 0; j < CALLS_MAX; j++)
            plan[i][j] = (uint32_t)(schedule_random() >> 32);
    pinned = (uint32_t)(schedule_random() % 8);
    kinds = (uint32_t)(schedule_random() >> 32);
}

static void
setup_scarce(void)
{
    setup();
    scarce = true;
    schedule_fail_allocation(1 + schedule_random() % 40, schedule_random() % 4 == 0);
}

static void
check(void)
{
    schedule_fail_allocation(0, false);
    scarce = false;
    lk_result *result = store_result();
    snapshot_check(result, 0);
    lk_result_free(result);
}

static void
teardown(void)
{
    lk_statistics statistics = {.cells = 1};
    lk_key all[ACCOUNTS + 3] = {account[0], account[1], account[2], left, right, lone};
    STORE_MUST(lk_delete(db, all, ACCOUNTS + 3));
    for (int i = 0;
         i < 8 && statistics.cells + statistics.partitions + statistics.retired_bytes != 0; i++) {
        STORE_MUST(lk_sweep(db, 0, NULL));
        STORE_MUST(lk_statistics_read(db, &statistics));
    }
    SCHEDULE_EXPECT(statistics.cells == 0 && statistics.partitions == 0 &&
                    statistics.retired_bytes == 0);
    lk_close(db);
}

const schedule_scenario schedule_scenarios[] = {
    {.name = "mix",
     .prepare = prepare,
     .setup = setup,
     .body = {member, member, member},
     .check = check,
     .teardown = teardown,
     .count = 10000,
     .limit = 200000},
    {.name = "mix_memory",
     .prepare = prepare,
     .setup = setup_scarce,
     .body = {member, member, member},
     .check = check,
     .teardown = teardown,
     .count = 5000,
     .limit = 200000},
    {0},
};
