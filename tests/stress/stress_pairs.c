/* SPDX-License-Identifier: MIT
 *
 * Two keys that one commit writes alike. Whoever reads A and then B finds B no older than A; whoever reads both at once finds them
 * equal, or both absent. Values prove themselves, so that a torn one, or memory that was used again, is seen.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "support/crowd.h"

enum { PAIRS = 3, WRITERS = 3, READERS = 3 };

static struct {
    lk_db *db;
    bool one_partition, deletes, expires;
    uint64_t commits; /* of each writer */
    char names[PAIRS][2][2][8];
    lk_key key[PAIRS][2];
    atomic_uint writing;
    atomic_ullong done, races, reads;
} test;

static uint64_t
number_of(size_t pair, size_t side)
{
    return pair * 2 + side;
}

static uint64_t
counter_of(const lk_item *item, size_t pair, size_t side)
{
    uint64_t counter = 0;
    if (item != NULL)
        EXPECT(crowd_value_check(item->data, number_of(pair, side), &counter),
               number_of(pair, side), counter);
    return counter;
}

/* Both to `counter`, by puts or, where it is odd and deletes are on, by deletes. The counter goes on in a third key. */
static lk_status
pair_write(size_t pair, uint64_t counter, lk_key clock, lk_lock *lock)
{
    unsigned char bytes[3][CROWD_VALUE_MAX];
    lk_write writes[3];
    bool deletes = test.deletes && counter % 2 != 0;
    for (size_t side = 0; side < 2; side++) {
        lk_item item = {
            .key = test.key[pair][side],
            .data = {bytes[side], crowd_value(bytes[side], number_of(pair, side), counter)},
            .expires_at_ms = test.expires && counter % 3 == 0 ? INT64_MAX : 0};
        writes[side] = (lk_write){.kind = deletes ? LK_DELETE : LK_PUT, .item = item};
    }
    writes[2] =
        (lk_write){.kind = LK_PUT,
                   .item = {.key = clock, .data = {bytes[2], crowd_value(bytes[2], 99, counter)}}};
    return lk_commit(test.db, writes, 3, lock, 1, NULL);
}

static void
pair_advance(crowd_member *m)
{
    size_t pair = crowd_random(&m->random) % PAIRS;
    char name[CROWD_KEY_ROOM];
    snprintf(name, sizeof name, "clock%zu", pair);
    lk_key clock = lk_key_of("clocks", name);
    for (unsigned attempt = 0; crowd_is_well(); attempt++) {
        lk_lock lock;
        uint64_t counter = 0;
        EXPECT_OK(lk_get_lock(test.db, clock, &lock));
        if (lk_get(test.db, clock, m->result) == LK_OK)
            EXPECT(crowd_value_check(lk_result_item(m->result, 0)->data, 99, &counter), pair,
                   counter);
        if (crowd_random(&m->random) % 4 == 0)
            sched_yield();
        lk_status status = pair_write(pair, counter + 1, clock, &lock);
        EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, pair);
        atomic_fetch_add_explicit(status == LK_OK ? &test.done : &test.races, 1,
                                  memory_order_relaxed);
        if (status == LK_OK)
            return;
        lk_backoff(attempt);
    }
}

/* ---- readers: *a is read before *b, or with it ---- */

static bool
read_singly(crowd_member *m, size_t pair, uint64_t counter[2])
{
    unsigned char buffer[CROWD_VALUE_MAX];
    for (size_t side = 0; side < 2; side++) {
        lk_status status;
        lk_item item = {.data = {buffer, 0}};
        if (crowd_random(&m->random) % 2 == 0) {
            status = lk_get(test.db, test.key[pair][side], m->result);
            if (status == LK_OK)
                item = *lk_result_item(m->result, 0);
        } else {
            status =
                lk_get_into(test.db, test.key[pair][side], buffer, sizeof buffer, &item.data.size);
        }
        EXPECT(status == LK_OK || (status == LK_NOT_FOUND && test.deletes),
               (uint64_t)(unsigned)status, pair);
        counter[side] = status == LK_OK ? counter_of(&item, pair, side) : 0;
        if (crowd_random(&m->random) % 8 == 0)
            sched_yield();
    }
    return false;
}

static bool
read_together(crowd_member *m, size_t pair, uint64_t counter[2])
{
    if (test.one_partition && crowd_random(&m->random) % 2 == 0) {
        lk_query query = {.pk = test.key[pair][0].pk, .reverse = crowd_random(&m->random) % 2 != 0};
        EXPECT_OK(lk_query_items(test.db, &query, m->result));
        size_t count = lk_result_count(m->result);
        EXPECT(count == 2 || (count == 0 && test.deletes), count, pair);
        for (size_t side = 0; side < 2; side++)
            counter[side] =
                count == 2 ? counter_of(lk_result_item(m->result, query.reverse ? 1 - side : side),
                                        pair, side)
                           : 0;
        return true;
    }
    lk_key keys[2] = {test.key[pair][1], test.key[pair][0]};
    EXPECT_OK(lk_get_many(test.db, keys, 2, m->result));
    for (size_t side = 0; side < 2; side++)
        counter[side] = counter_of(lk_result_item(m->result, 1 - side), pair, side);
    return true;
}

/* What was seen stays where it is, and as it is, until the end of the section. */
static bool
read_views(crowd_member *m, size_t pair, uint64_t counter[2])
{
    lk_item item[2];
    bool found[2];
    lk_read_begin(test.db);
    for (size_t side = 0; side < 2; side++) {
        lk_status status = lk_view(test.db, test.key[pair][side], &item[side]);
        EXPECT(status == LK_OK || (status == LK_NOT_FOUND && test.deletes),
               (uint64_t)(unsigned)status, pair);
        found[side] = status == LK_OK;
        counter[side] = counter_of(found[side] ? &item[side] : NULL, pair, side);
    }
    for (uint64_t again = crowd_random(&m->random) % 4; again > 0; again--) {
        sched_yield();
        for (size_t side = 0; side < 2; side++)
            EXPECT(counter_of(found[side] ? &item[side] : NULL, pair, side) == counter[side], pair,
                   counter[side]);
    }
    lk_read_end(test.db);
    return false;
}

static void
pair_read(crowd_member *m, uint64_t latest[PAIRS])
{
    static bool (*const reads[])(crowd_member *, size_t, uint64_t[2]) = {read_singly, read_together,
                                                                         read_views};
    size_t pair = crowd_random(&m->random) % PAIRS;
    uint64_t counter[2] = {0, 0};
    bool together = reads[crowd_random(&m->random) % 3](m, pair, counter);
    EXPECT(!together || counter[0] == counter[1], counter[0], counter[1]);
    EXPECT(counter[1] >= counter[0] || (test.deletes && counter[1] == 0), counter[0], counter[1]);
    EXPECT(counter[0] >= latest[pair] || counter[0] == 0, counter[0], latest[pair]);
    EXPECT(test.deletes || counter[0] != 0, pair, 0);
    for (size_t side = 0; side < 2; side++)
        if (counter[side] > latest[pair])
            latest[pair] = counter[side];
    atomic_fetch_add_explicit(&test.reads, 1, memory_order_relaxed);
}

static void
member(crowd_member *m)
{
    uint64_t latest[PAIRS] = {0};
    if (m->index < WRITERS) {
        for (uint64_t i = 0; i < test.commits && crowd_is_well(); i++)
            pair_advance(m);
        atomic_fetch_sub(&test.writing, 1);
        return;
    }
    while (atomic_load(&test.writing) > 0 && crowd_is_well())
        pair_read(m, latest);
}

static void
run(bool one_partition, bool deletes, bool expires)
{
    test.one_partition = one_partition;
    test.deletes = deletes;
    test.expires = expires;
    test.commits = test_scaled(60000);
    atomic_store(&test.writing, WRITERS);
    atomic_store(&test.done, 0);
    atomic_store(&test.races, 0);
    atomic_store(&test.reads, 0);
    EXPECT_OK(lk_memory_open(NULL, &test.db));
    for (size_t pair = 0; pair < PAIRS; pair++)
        for (size_t side = 0; side < 2; side++) {
            char(*name)[8] = test.names[pair][side];
            snprintf(name[0], sizeof name[0], "p%zu%s", pair,
                     one_partition || side == 0 ? "" : "'");
            snprintf(name[1], sizeof name[1], "%c", "ab"[side]);
            test.key[pair][side] = lk_key_of(name[0], name[1]);
            EXPECT_OK(
                crowd_set(test.db, test.key[pair][side], number_of(pair, side), deletes ? 0 : 1));
        }
    crowd_run(WRITERS + READERS, member, NULL);
    crowd_note("commits", test.done);
    crowd_note("races", test.races);
    crowd_note("reads", test.reads);
    lk_close(test.db);
}

static void
run_one_partition(void)
{
    run(true, false, false);
}

static void
run_two_partitions(void)
{
    run(false, false, true);
}

static void
run_deletes(void)
{
    run(true, true, true);
}

static void
run_deletes_apart(void)
{
    run(false, true, false);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"one_partition", run_one_partition},
                                               {"two_partitions", run_two_partitions},
                                               {"deletes", run_deletes},
                                               {"deletes_apart", run_deletes_apart}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
