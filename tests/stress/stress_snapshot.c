/* SPDX-License-Identifier: MIT
 *
 * Snapshots of keys that come and go: each key has one writer, who numbers its writes and its
 * deletes (check/snapshot.h). Writers set, delete and commit; readers ask for several keys, for
 * whole partitions, for prefixes and pages, up and down. What they saw was so at one instant of
 * their call, complete, in order and without anything that nobody wrote.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "check/record.h"
#include "check/snapshot.h"
#include "support/crowd.h"

enum { WRITERS = 3, READERS = 2, THREADS = WRITERS + READERS, KEYS_MAX = 240, ROUNDS = 4 };

static struct {
    size_t writes, reads; /* of each thread */
    uint32_t key_count;
    uint64_t round;
    char name[KEYS_MAX][CROWD_KEY_ROOM];
    lk_key keys[KEYS_MAX]; /* a writer's are every third */
    record_world world;
    recorder recorders[THREADS];
} test;

/* One to three of the writer's own keys, each written or deleted. */
static void
commit(crowd_member *m, recorder *r, uint64_t *numbers)
{
    record_write writes[3];
    uint32_t first = (uint32_t)crowd_pick(m, test.key_count / WRITERS),
             count = 1 + (uint32_t)crowd_pick(m, 3);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t own = (first + i) % (test.key_count / WRITERS);
        uint64_t number = ++numbers[own];
        writes[i] = (record_write){.key = own * WRITERS + (uint32_t)m->index, .number = number};
        writes[i].value = crowd_pick(m, 3) == 0 ? 0 : number;
    }
    EXPECT_OK(record_commit(r, writes, count, NULL, NULL, 0));
}

static void
write_one(crowd_member *m, recorder *r, uint64_t *numbers)
{
    uint32_t own = (uint32_t)crowd_pick(m, test.key_count / WRITERS);
    uint32_t key = own * WRITERS + (uint32_t)m->index;
    uint64_t what = crowd_pick(m, 4);
    if (what == 0)
        EXPECT_OK(record_set(r, key, ++numbers[own], 0));
    else if (what == 1)
        EXPECT_OK(record_delete(r, key, ++numbers[own]));
    else
        commit(m, r, numbers);
}

static void
read_one(crowd_member *m, recorder *r)
{
    uint32_t keys[RECORD_MANY];
    if (crowd_pick(m, 3) == 0) {
        for (uint32_t i = 0; i < RECORD_MANY; i++)
            keys[i] = (uint32_t)crowd_pick(m, test.key_count);
        EXPECT_OK(record_get_many(r, keys, 2 + (uint32_t)crowd_pick(m, RECORD_MANY - 1)));
        return;
    }
    lk_query query = {.pk = lk_string("keys"),
                      .reverse = crowd_pick(m, 2) == 0,
                      .limit = crowd_pick(m, 3) == 0 ? 1 + crowd_pick(m, 4) : 0};
    if (crowd_pick(m, 3) == 0)
        query.sk_prefix = lk_string("00");
    if (crowd_pick(m, 3) == 0)
        query.after = test.keys[crowd_pick(m, test.key_count)].sk;
    EXPECT_OK(record_query(r, &query));
}

static void
member(crowd_member *m)
{
    uint64_t numbers[KEYS_MAX] = {0};
    recorder *r = &test.recorders[m->index];
    bool writes = m->index < WRITERS;
    size_t count = writes ? test.writes : test.reads;
    m->random += test.round << 32;
    record_begin(r, &test.world, (uint32_t)m->index, m->result);
    history_reserve(&r->history, count, count * (writes ? 2 : test.key_count));
    for (size_t i = 0; i < count && crowd_is_well(); i++) {
        if (writes)
            write_one(m, r, numbers);
        else
            read_one(m, r);
        if (crowd_pick(m, 64) == 0)
            sched_yield();
    }
}

static void
round_judge(history *all)
{
    report r = {.size = 0};
    const recorder *wrong = record_merge(test.recorders, THREADS, all);
    if (wrong != NULL)
        fprintf(stderr, "thread %u: %s\n", wrong->thread, wrong->wrong);
    EXPECT(wrong == NULL, test.round, 0);
    verdict v = snapshot_check(all, test.key_count, &r);
    fputs(r.text, stderr);
    EXPECT(v == VERDICT_HOLDS, v, test.round);
}

static void
run(uint32_t key_count, uint64_t writes, uint64_t reads)
{
    history all = {0};
    test.key_count = key_count;
    test.writes = test_scaled(writes);
    test.reads = test_scaled(reads);
    for (size_t key = 0; key < key_count; key++) {
        snprintf(test.name[key], sizeof test.name[key], "%03zu", key);
        test.keys[key] = lk_key_of("keys", test.name[key]);
    }
    test.world = (record_world){
        .keys = test.keys, .key_count = key_count, .stamp = crowd_now_ns, .spread = 200};
    for (test.round = 0; test.round < ROUNDS && crowd_is_well(); test.round++) {
        EXPECT_OK(lk_memory_open(NULL, &test.world.db));
        crowd_run(THREADS, member, NULL);
        lk_close(test.world.db);
        round_judge(&all);
    }
    for (size_t t = 0; t < THREADS; t++)
        record_free(&test.recorders[t]);
    history_free(&all);
    crowd_note("writes", ROUNDS * test.writes * WRITERS);
    crowd_note("snapshots", ROUNDS * test.reads * READERS);
}

static void
run_store(void)
{
    run(12, 50000, 50000);
}

/* More than a leaf of the index has. */
static void
run_large(void)
{
    run(KEYS_MAX, 10000, 1500);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"store", run_store}, {"large", run_large}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
