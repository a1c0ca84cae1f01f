/* SPDX-License-Identifier: MIT
 *
 * Listings of partitions while others write. `moved`: the only item of a pk moves to another key by
 * a commit, so that there is one at each instant. `churn`: partitions come and go, and the parts of
 * their set double, split and shrink between pages and during one. What is there throughout comes
 * once, and nothing twice.
 */
#include "adapter/handle.h"
#include "schedule/one_store.h"
#include "store/store.h"

enum { STAYING = 24, OTHERS = 24, ALL = STAYING + OTHERS, MOVES = 3 };

static char names[ALL][4];
static unsigned turn; /* of the others, who comes first */

static lk_key
key_of(unsigned i)
{
    return lk_key_of(names[i], "");
}

/* Lists all, in pages of at most `limit`, and counts how often each came. */
static void
list(size_t limit, unsigned seen[ALL])
{
    lk_result *result = store_result();
    lk_position position = {{0}};
    lk_status status;
    while ((status = lk_list_partitions(db, &position, limit, result)) == LK_OK)
        for (size_t i = 0; i < lk_result_count(result); i++) {
            const char *pk = lk_result_item(result, i)->key.pk.data;
            unsigned number = (unsigned)(pk[0] - 'a') * 8 + (unsigned)(pk[1] - '0');
            SCHEDULE_EXPECT(number < ALL);
            if (++seen[number] > 1)
                schedule_fail("partition %u comes twice", number);
        }
    SCHEDULE_EXPECT(status == LK_END);
    lk_result_free(result);
}

static void
names_make(void)
{
    for (unsigned i = 0; i < ALL; i++) {
        names[i][0] = (char)('a' + i / 8);
        names[i][1] = (char)('0' + i % 8);
    }
}

static void
list_expect(size_t limit, unsigned staying)
{
    unsigned seen[ALL] = {0};
    list(limit, seen);
    for (unsigned i = 0; i < staying; i++)
        if (seen[i] == 0)
            schedule_fail("partition %u does not come", i);
}

/* ---- an item that moves ---- */

static void
moved_prepare(void)
{
    names_make();
    db = store_open();
    store_set(db, lk_key_of(names[0], "b"), 1);
    store_set(db, key_of(1), 1);
}

static void
moved_write(void)
{
    uint64_t number = 1;
    for (unsigned i = 0; i < MOVES; i++) {
        lk_key from = lk_key_of(names[0], i % 2 == 0 ? "b" : "a");
        lk_key to = lk_key_of(names[0], i % 2 == 0 ? "a" : "b");
        lk_write both[2] = {{.kind = LK_DELETE, .item = {.key = from}},
                            {.kind = LK_PUT, .item = store_item(to, &number)}};
        STORE_MUST(lk_commit(db, both, 2, NULL, 0, NULL));
    }
}

static void
moved_list(void)
{
    for (unsigned i = 0; i < MOVES; i++)
        list_expect(1, 2);
}

/* ---- partitions that come and go ---- */

static void
churn_prepare(void)
{
    names_make();
    db = store_open();
    ((lki_store *)db->state)->partitions.buckets_max = 8; /* so that parts split early */
    for (unsigned i = 0; i < STAYING; i++)
        store_set(db, key_of(i), 1);
}

static void
churn_setup(void)
{
    turn = (unsigned)schedule_random();
}

static unsigned
other_of(unsigned i)
{
    return STAYING + (i + turn) % OTHERS;
}

static void
churn_come(void)
{
    for (unsigned i = 0; i < OTHERS; i++)
        store_set(db, key_of(other_of(i)), 1);
}

static void
churn_go(void)
{
    for (unsigned i = 0; i < OTHERS; i++) {
        lk_key key = key_of(other_of(i));
        STORE_MUST(lk_delete(db, &key, 1));
        if (i % 8 == 7)
            STORE_MUST(lk_sweep(db, 0, NULL));
    }
}

static void
churn_list(void)
{
    for (unsigned i = 0; i < 2; i++)
        list_expect(1 + turn % 7, STAYING);
}

const schedule_scenario schedule_scenarios[] = {{.name = "moved",
                                                 .prepare = moved_prepare,
                                                 .body = {moved_write, moved_list},
                                                 .teardown = store_teardown,
                                                 .count = 3000},
                                                {.name = "churn",
                                                 .prepare = churn_prepare,
                                                 .setup = churn_setup,
                                                 .body = {churn_come, churn_go, churn_list},
                                                 .teardown = store_teardown,
                                                 .count = 2000},
                                                {.name = NULL}};
