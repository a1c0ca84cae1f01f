/* SPDX-License-Identifier: MIT
 *
 * Two commits over the same two keys, and a reader of both as one snapshot: the two values are
 * always alike.
 */
#include "schedule/one_store.h"

static lk_key keys[2];

static void
pair_write(uint64_t number)
{
    lk_write writes[2];
    for (int i = 0; i < 2; i++)
        writes[i] = (lk_write){.kind = LK_PUT, .item = store_item(keys[i], &number)};
    schedule_note("commit %d", (int)number);
    STORE_MUST(lk_commit(db, writes, 2, NULL, 0, NULL));
    schedule_note("commit %d ends", (int)number);
}

static void
write_1(void)
{
    pair_write(1);
}

static void
write_2(void)
{
    pair_write(2);
}

static void
read_both(void)
{
    lk_result *result = store_result();
    STORE_MUST(lk_get_many(db, keys, 2, result));
    uint64_t left = store_number(lk_result_item(result, 0)),
             right = store_number(lk_result_item(result, 1));
    schedule_note("read %d %d", (int)left, (int)right);
    if (left != right || left == 0)
        schedule_fail("one snapshot has %d and %d", (int)left, (int)right);
    lk_result_free(result);
}

/* The keys one by one, which are no snapshot. */
static void
read_apart(void)
{
    lk_result *result = store_result();
    uint64_t number[2];
    for (int i = 0; i < 2; i++) {
        STORE_MUST(lk_get(db, keys[i], result));
        number[i] = store_number(lk_result_item(result, 0));
    }
    lk_result_free(result);
    if (number[0] != number[1])
        schedule_fail("two reads see %d and %d", (int)number[0], (int)number[1]);
}

static void
query_both(void)
{
    lk_result *result = store_result();
    lk_query query = {.pk = keys[0].pk};
    STORE_MUST(lk_query_items(db, &query, result));
    if (lk_result_count(result) != 2 ||
        store_number(lk_result_item(result, 0)) != store_number(lk_result_item(result, 1)))
        schedule_fail("a query sees %d items, not two that are alike",
                      (int)lk_result_count(result));
    lk_result_free(result);
}

static void
prepare(void)
{
    db = store_open();
    keys[0] = lk_key_of("pair", "left");
    keys[1] = lk_key_of("pair", "right");
    pair_write(9);
}

#define PAIRS(title, reader, ...)                                                                  \
    {                                                                                              \
        .name = title, .prepare = prepare, .body = {write_1, write_2, reader}, .check = read_both, \
        .teardown = store_teardown, __VA_ARGS__                                                    \
    }

const schedule_scenario schedule_scenarios[] = {
    PAIRS("pairs", read_both, .count = 40000),
    PAIRS("pairs_query", query_both, .count = 20000),
    PAIRS("pairs_all", read_both, .all = 3, .memory = SCHEDULE_SC),
    PAIRS("pairs_apart", read_apart, .fails = "two reads see"),
    {0},
};
