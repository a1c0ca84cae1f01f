/* SPDX-License-Identifier: MIT
 *
 * More uses of a store in which its ordering pairs meet, for `audit`: keys with halves of 8 to 16
 * bytes and plain values, which go the shortest ways; records that come home into their cells under
 * readers and writers; commits of two keys; keys and partitions that come; statistics while threads
 * come.
 */
#include "base/chunk.h"
#include "schedule/one_store.h"
#include "store/head.h"

static lk_key keys[2];

static void
plain_prepare(void)
{
    db = store_open();
    keys[0] = lk_key_of("partition", "the first key");
    keys[1] = lk_key_of("partition", "the second");
    for (int i = 0; i < 2; i++)
        store_set(db, keys[i], 1);
}

static void
sweep(void)
{
    for (int i = 0; i < 4; i++) {
        lk_status status = lk_sweep(db, 0, NULL);
        if (status != LK_BUSY)
            STORE_MUST(status);
    }
}

/* The shortest ways of a set and of a commit take their records from what the thread has freed
 * before: this is that. (With the small constants a thread keeps nothing.) */
static void
chunks_fill(void)
{
    enum { RECORDS = 4 };
    char *chunk[2][RECORDS];
    lk_read_begin(db);
    lki_thread *thread = lki_self.thread;
    for (size_t i = 0; i < 2 * RECORDS; i++) {
        size_t size = LKI_RECORD_BEFORE + LKI_RECORD_HEADER + sizeof(uint64_t) +
                      (i % 2) * (size_t)LKI_FLAG_LOCKED;
        chunk[i % 2][i / 2] = lki_chunk_alloc(thread, size);
        SCHEDULE_EXPECT(chunk[i % 2][i / 2] != NULL);
    }
    for (size_t i = 0; i < 2 * RECORDS; i++)
        lki_chunk_free(thread, chunk[i % 2][i / 2],
                       LKI_RECORD_BEFORE + LKI_RECORD_HEADER + sizeof(uint64_t) +
                           (i % 2) * (size_t)LKI_FLAG_LOCKED);
    lk_read_end(db);
}

/* The first key is always as far as the second, or one ahead. */
static void
plain_write(void)
{
    chunks_fill();
    for (uint64_t number = 2; number <= 4; number++)
        for (int i = 0; i < 2; i++)
            store_set(db, keys[i], number);
}

/* The same in one section. */
static void
plain_write_both(void)
{
    chunks_fill();
    for (uint64_t number = 2; number <= 4; number++) {
        lk_item items[2] = {store_item(keys[0], &number), store_item(keys[1], &number)};
        STORE_MUST(lk_set(db, items, 2));
    }
}

static uint64_t
number_into(int i)
{
    uint64_t number = 0;
    size_t size = 0;
    STORE_MUST(lk_get_into(db, keys[i], &number, sizeof number, &size));
    SCHEDULE_EXPECT(size == sizeof number);
    schedule_note("%d is %d", i, (int)number);
    return number;
}

static void
plain_read(void)
{
    uint64_t last = 1;
    for (int i = 0; i < 3; i++) {
        uint64_t second = number_into(1), first = number_into(0);
        if (first < second || second < last)
            schedule_fail("the first is %d, the second was %d, and before that %d", (int)first,
                          (int)second, (int)last);
        last = second;
    }
}

/* Two numbers of one snapshot. */
static void
pair_read(uint64_t *first, uint64_t *second)
{
    lk_result *result = store_result();
    STORE_MUST(lk_get_many(db, keys, 2, result));
    *first = store_number(lk_result_item(result, 0));
    *second = store_number(lk_result_item(result, 1));
    schedule_note("%d and %d", (int)*first, (int)*second);
    lk_result_free(result);
}

static void
plain_many(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t first, second;
        pair_read(&first, &second);
        if (first != second && first != second + 1)
            schedule_fail("one snapshot has %d and %d", (int)first, (int)second);
    }
}

/* By a query, which is always a snapshot. */
static void
pair_queried(lk_result *result, uint64_t *first, uint64_t *second)
{
    lk_query query = {.pk = lk_string("partition")};
    STORE_MUST(lk_query_items(db, &query, result));
    SCHEDULE_EXPECT(lk_result_count(result) == 2);
    *first = store_number(lk_result_item(result, 0));
    *second = store_number(lk_result_item(result, 1));
    schedule_note("%d and %d", (int)*first, (int)*second);
}

static void
pair_query(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < 3; i++) {
        uint64_t first, second;
        pair_queried(result, &first, &second);
        if (first != second && first != second + 1)
            schedule_fail("one snapshot has %d and %d", (int)first, (int)second);
    }
    lk_result_free(result);
}

static void
first_write(void)
{
    chunks_fill();
    for (uint64_t number = 2; number <= 5; number++)
        store_set(db, keys[0], number);
}

/* One key, twice in one snapshot. */
static void
twice_read(void)
{
    lk_result *result = store_result();
    lk_key same[3] = {keys[0], keys[1], keys[0]};
    for (int i = 0; i < 3; i++) {
        STORE_MUST(lk_get_many(db, same, 3, result));
        uint64_t before = store_number(lk_result_item(result, 0));
        uint64_t behind = store_number(lk_result_item(result, 2));
        schedule_note("%d and %d", (int)before, (int)behind);
        if (before != behind)
            schedule_fail("one snapshot has %d, and then %d", (int)before, (int)behind);
    }
    lk_result_free(result);
}

/* ---- two who write ---- */

static void
set_odd(void)
{
    chunks_fill();
    for (uint64_t number = 3; number < 9; number += 2)
        store_set(db, keys[0], number);
}

static void
set_even(void)
{
    chunks_fill();
    for (uint64_t number = 2; number < 8; number += 2)
        store_set(db, keys[0], number);
}

/* Of each writer's numbers none after a later one. */
static void
both_read(void)
{
    uint64_t last[2] = {0, 0};
    for (int i = 0; i < 4; i++) {
        uint64_t number = number_into(0);
        SCHEDULE_EXPECT(number >= last[number % 2]);
        last[number % 2] = number;
    }
}

/* ---- commits ---- */

static void
transfer(void)
{
    chunks_fill();
    lk_lock locks[2];
    lk_result *result = store_result();
    for (int tries = 0; tries < 3; tries++) {
        STORE_MUST(lk_get_locked(db, keys, 2, locks, result));
        uint64_t first = store_number(lk_result_item(result, 0)) + 1;
        uint64_t second = store_number(lk_result_item(result, 1)) - 1;
        lk_item items[2] = {store_item(keys[0], &first), store_item(keys[1], &second)};
        lk_status status = lk_set_atomic(db, items, 2, locks, 2, NULL);
        if (status == LK_OK)
            break;
        if (status != LK_RACE)
            STORE_MUST(status);
    }
    lk_result_free(result);
}

static void
transfer_prepare(void)
{
    plain_prepare();
    for (int i = 0; i < 2; i++)
        store_set(db, keys[i], 10);
    transfer();
}

static void
sum_read(void)
{
    for (int i = 0; i < 2; i++) {
        uint64_t first, second;
        pair_read(&first, &second);
        if (first + second != 20)
            schedule_fail("a commit is torn: %d and %d", (int)first, (int)second);
    }
}

static void
transfers(void)
{
    for (int i = 0; i < 3; i++)
        transfer();
}

static void
sum_query(void)
{
    lk_result *result = store_result();
    for (int i = 0; i < 3; i++) {
        uint64_t first, second;
        pair_queried(result, &first, &second);
        if (first + second != 20)
            schedule_fail("a commit is torn: %d and %d", (int)first, (int)second);
    }
    lk_result_free(result);
}

/* Both keys get the same number at once. Who has read the new one of either reads no older one of
 * the other, also in one section, which has one fence. */
static void
commits(void)
{
    lk_lock locks[2];
    lk_result *result = store_result();
    chunks_fill();
    for (uint64_t number = 2; number <= 4; number++) {
        lk_item items[2] = {store_item(keys[0], &number), store_item(keys[1], &number)};
        STORE_MUST(lk_get_locked(db, keys, 2, locks, result));
        STORE_MUST(lk_set_atomic(db, items, 2, locks, 2, NULL));
    }
    lk_result_free(result);
}

static uint64_t
number_got(int i)
{
    lk_result *result = store_result();
    STORE_MUST(lk_get(db, keys[i], result));
    uint64_t number = store_number(lk_result_item(result, 0));
    schedule_note("%d is %d", i, (int)number);
    lk_result_free(result);
    return number;
}

static void
numbers_rise(uint64_t (*read)(int), int i)
{
    uint64_t last = 0;
    lk_read_begin(db);
    for (int n = 0; n < 6; n++, i = 1 - i) {
        uint64_t number = read(i);
        if (number < last)
            schedule_fail("%d after %d", (int)number, (int)last);
        last = number;
    }
    lk_read_end(db);
}

static void
commits_read_into(void)
{
    numbers_rise(number_into, 0);
}

static void
commits_read(void)
{
    numbers_rise(number_got, 1);
}

/* ---- keys that come and go ---- */

static void
one_delete(void)
{
    lk_status status = lk_delete(db, &keys[0], 1);
    if (status != LK_NOT_FOUND)
        STORE_MUST(status);
}

static void
delete_and_set(void)
{
    one_delete();
    store_set(db, keys[0], 2);
}

static void
sweep_once(void)
{
    schedule_time_pass(2000);
    STORE_MUST(lk_sweep(db, 0, NULL));
}

static void
delete_and_sweep(void)
{
    one_delete();
    sweep();
}

/* ---- records that come home ---- */

/* The records lie apart, and what lay inside the cells waits for its grace period. */
static void
home_prepare(void)
{
    plain_prepare();
    for (int i = 0; i < 2; i++)
        store_set(db, keys[i], 1);
}

static void
home_prepare_locked(void)
{
    transfer_prepare();
    store_set(db, keys[0], 10);
    store_set(db, keys[1], 10);
}

static void
many_read(void)
{
    uint64_t first, second;
    pair_read(&first, &second);
}

static void
query_read(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = lk_string("partition")};
    STORE_MUST(lk_query_items(db, &query, result));
    for (size_t i = 0; i < lk_result_count(result); i++)
        SCHEDULE_EXPECT(store_number(lk_result_item(result, i)) != 0);
    lk_result_free(result);
}

static void
one_read(void)
{
    (void)number_into(0);
    (void)number_into(1);
}

static void
both_set(void)
{
    chunks_fill();
    store_set(db, keys[0], 2);
    store_set(db, keys[1], 2);
}

/* A lock that nobody ever gave. */
static void
race(void)
{
    lk_lock lock = {.key = keys[0], .version = 1};
    uint64_t number = 7;
    lk_item item = store_item(keys[0], &number);
    SCHEDULE_EXPECT(lk_set_atomic(db, &item, 1, &lock, 1, NULL) == LK_RACE);
}

/* ---- keys and partitions that come ---- */

static void
new_prepare(void)
{
    db = store_open();
    keys[0] = lk_key_of("partition", "the first key");
    keys[1] = lk_key_of("partition", "the second");
}

static void
new_first(void)
{
    store_set(db, keys[0], 1);
}

static void
new_second(void)
{
    store_set(db, keys[1], 2);
}

static void
new_query(void)
{
    query_read();
    query_read();
}

static void
new_read(void)
{
    many_read();
    many_read();
}

static void
new_get(void)
{
    uint64_t number = 0;
    size_t size = 0;
    for (unsigned i = 0; i < 4; i++) {
        lk_status status = lk_get_into(db, keys[i % 2], &number, sizeof number, &size);
        SCHEDULE_EXPECT(status == LK_NOT_FOUND || (status == LK_OK && number == i % 2 + 1));
    }
}

/* ---- what expires: P21 ---- */

static void
expiring_set(int i, int64_t in_ms)
{
    uint64_t number = 1;
    lk_item item = store_item(keys[i], &number);
    item.expires_at_ms = schedule_unix_ms() + in_ms;
    STORE_MUST(lk_set(db, &item, 1));
}

/* The first expires soon. */
static void
expire_prepare(void)
{
    new_prepare();
    store_set(db, keys[1], 1);
    expiring_set(0, 10);
}

static void
expire_set(void)
{
    expiring_set(1, 3000);
}

/* Writes come by, and nobody calls lk_sweep: the second goes as well. */
static void
expire_check(void)
{
    lk_statistics read = {0};
    schedule_time_pass(10000);
    for (int i = 0; i < 64; i++)
        store_set(db, lk_key_of("another", "key"), 1);
    STORE_MUST(lk_statistics_read(db, &read));
    if (read.expired_swept != 2)
        schedule_fail("of 2 items that have expired %d were swept", (int)read.expired_swept);
}

/* ---- statistics ---- */

static void
one_set(void)
{
    store_set(db, keys[0], 2);
}

static void
statistics(void)
{
    lk_statistics read = {0};
    for (int i = 0; i < 3; i++)
        STORE_MUST(lk_statistics_read(db, &read));
}

#define PLAIN(title, ...)                                                                  \
    {                                                                                      \
        .name = title, .prepare = plain_prepare, .teardown = store_teardown, .count = 500, \
        __VA_ARGS__                                                                        \
    }
#define HOME(title, how, ...)                                                                \
    {                                                                                        \
        .name = title, .prepare = how, .teardown = store_teardown, .count = 500, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    PLAIN("plain", .body = {plain_write, plain_read, plain_many}, .check = plain_many),
    PLAIN("batch", .body = {plain_write_both, pair_query}),
    PLAIN("twice", .body = {first_write, twice_read}),
    PLAIN("plain_two", .body = {set_odd, set_even, both_read}),
    {.name = "transfer",
     .prepare = transfer_prepare,
     .body = {transfer, transfer, sum_read},
     .check = sum_read,
     .teardown = store_teardown,
     .count = 500},
    {.name = "transfers",
     .prepare = transfer_prepare,
     .body = {transfers, sum_query},
     .check = sum_read,
     .teardown = store_teardown,
     .count = 500},
    PLAIN("commits", .body = {commits, commits_read, commits_read_into}),
    PLAIN("come_and_go", .body = {delete_and_set, delete_and_sweep, one_set}, .check = sweep),
    HOME("home_get", home_prepare, .body = {sweep, one_read, one_read}),
    HOME("home_many", home_prepare, .body = {sweep, many_read, many_read}),
    HOME("home_query", home_prepare, .body = {sweep, query_read, many_read}),
    HOME("home_set", home_prepare, .body = {sweep, both_set, one_read}),
    HOME("home_delete", home_prepare, .body = {sweep, one_delete, many_read}),
    HOME("home_commit", home_prepare_locked, .body = {sweep, transfer, race}),
    HOME("new", new_prepare, .body = {new_first, new_read, new_second}),
    HOME("new_get", new_prepare, .body = {new_first, new_get, new_second}),
    HOME("new_query", new_prepare, .body = {new_first, new_query, new_second}),
    HOME("expire", expire_prepare, .body = {sweep_once, expire_set}, .check = expire_check),
    PLAIN("statistics", .body = {one_set, statistics, one_set}),
    {0},
};
