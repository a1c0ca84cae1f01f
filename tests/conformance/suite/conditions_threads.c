/* SPDX-License-Identifier: MIT
 *
 * Area: conditional writes, touch and add under several threads: each is judged in the instant in
 * which it is done. The list of partitions beside threads that make and remove some.
 */
#include <sched.h>

#include "suite.h"

enum { THREADS = 4, ROUNDS_MAX = 20000 };

typedef struct race {
    pthread_barrier_t turn;
    uint64_t rounds;
    atomic_ullong wins;
    atomic_bool stops;
    atomic_uchar given[THREADS * ROUNDS_MAX + 1]; /* values of the counter, by how many */
} race;

static race *
race_begin(uint64_t rounds)
{
    race *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->rounds = lkc_scaled(rounds);
    assert_true(t->rounds <= ROUNDS_MAX);
    assert_int_equal(pthread_barrier_init(&t->turn, NULL, THREADS), 0);
    return t;
}

/* Do the others make their next call beside the one thread that counts? Not for ever: where all
 * writers meet at one latch, it would hardly get there. */
static bool
others_go_on(race *t, uint64_t made)
{
    return made < 4 * t->rounds && !atomic_load(&t->stops) && lkc_is_well();
}

static void
race_end(race *t)
{
    pthread_barrier_destroy(&t->turn);
    free(t);
}

/* ---- add ---- */

/* Adds of one, whose values are told; and of any number, as commits where there are some. */
static void
add_member(member *m)
{
    race *t = m->context;
    lk_key one = lk_key_of("sum", "one"), any = lk_key_of("sum", "any");
    for (uint64_t i = 0; i < t->rounds && lkc_is_well(); i++) {
        int64_t value = 0, delta = (int64_t)(lkc_random(&m->random) % 1000) - 300;
        EXPECT_OK(lk_add(m->r->db, one, 1, 0, &value));
        EXPECT(value > 0 && value <= (int64_t)(THREADS * t->rounds), value, i);
        if (lkc_is_well())
            atomic_fetch_add(&t->given[value], 1);
        lk_write write = {.kind = LK_ADD, .item = {.key = any}, .delta = delta};
        if (i % 2 == 0 && lkc_can(m->r, LK_HAS_LOCKS))
            EXPECT_OK(lk_commit(m->r->db, &write, 1, NULL, 0, NULL));
        else
            EXPECT_OK(lk_add(m->r->db, any, delta, 0, &value));
        atomic_fetch_add(&t->wins, (unsigned long long)delta);
    }
}

/* Nothing is added twice or lost, and nobody is told what another was. */
static void
test_adds_of_several_threads_sum_exactly(rig *r)
{
    race *t = race_begin(250);
    int64_t value = 0;
    lkc_crowd(r, THREADS, add_member, t);
    for (uint64_t i = 1; i <= THREADS * t->rounds; i++)
        assert_int_equal(t->given[i], 1);
    assert_status(LK_OK, lk_add(r->db, lk_key_of("sum", "one"), 0, 0, &value));
    assert_int_equal(value, THREADS * t->rounds);
    assert_status(LK_OK, lk_add(r->db, lk_key_of("sum", "any"), 0, 0, &value));
    assert_int_equal(value, (int64_t)t->wins);
    race_end(t);
}

/* ---- put_if ---- */

static void
absent_member(member *m)
{
    race *t = m->context;
    int64_t own = (int64_t)m->index;
    for (uint64_t i = 0; i < t->rounds; i++) {
        lk_item item = lkc_number_item(lkc_numbered("absent", i), &own);
        pthread_barrier_wait(&t->turn);
        lk_status status = lk_put_if(m->r->db, &item, LK_IF_ABSENT, (lk_bytes){NULL, 0});
        EXPECT(status == LK_OK || status == LK_EXISTS, status, i);
        if (status == LK_OK)
            atomic_fetch_add(&t->wins, 1);
        EXPECT_OK(lk_get(m->r->db, item.key, m->result)); /* it is there, whoever wrote it */
        if (status == LK_OK && lkc_is_well())
            EXPECT(lkc_number(lk_result_item(m->result, 0)) == own, own, i);
    }
}

static void
test_one_of_several_puts_if_absent_wins(rig *r)
{
    race *t = race_begin(250);
    lkc_crowd(r, THREADS, absent_member, t);
    assert_int_equal(t->wins, t->rounds);
    race_end(t);
}

/* Counts two items up together, each under the condition that it is as it was read; one of them
 * alone by lk_put_if where there are no commits. */
static void
equal_member(member *m)
{
    race *t = m->context;
    static const char *const sks[] = {"left", "right"};
    bool commits = lkc_can(m->r, LK_HAS_LOCKS);
    for (uint64_t i = 0; i < t->rounds && lkc_is_well(); i++)
        for (unsigned attempt = 0; lkc_is_well(); attempt++) {
            int64_t was[2], next[2];
            lk_write writes[2];
            for (size_t j = 0; j < 2; j++) {
                lk_key key = lk_key_of("equal", sks[j]);
                EXPECT_OK(lk_get(m->r->db, key, m->result));
                was[j] = lkc_number(lk_result_item(m->result, 0));
                next[j] = was[j] + 1;
                writes[j] = (lk_write){.kind = LK_PUT,
                                       .item = lkc_number_item(key, &next[j]),
                                       .condition = LK_IF_EQUAL,
                                       .expected = {&was[j], sizeof was[j]}};
            }
            lk_conflict conflict = {9, 9, 9};
            lk_status status =
                commits ? lk_commit(m->r->db, writes, 2, NULL, 0, &conflict)
                        : lk_put_if(m->r->db, &writes[0].item, LK_IF_EQUAL, writes[0].expected);
            EXPECT(status == LK_OK || status == LK_RACE, status, 0);
            if (status == LK_OK)
                break;
            EXPECT(!commits || conflict.write < 2, conflict.write, conflict.index);
            lk_backoff(attempt);
        }
}

static void
test_compare_and_set_of_several_threads_loses_nothing(rig *r)
{
    race *t = race_begin(250);
    int64_t zero = 0;
    lk_item items[] = {lkc_number_item(lk_key_of("equal", "left"), &zero),
                       lkc_number_item(lk_key_of("equal", "right"), &zero)};
    assert_status(LK_OK, lk_set(r->db, items, 2));
    lkc_crowd(r, THREADS, equal_member, t);
    for (size_t i = 0; i < (lkc_can(r, LK_HAS_LOCKS) ? 2 : 1); i++) {
        assert_status(LK_OK, lk_get(r->db, items[i].key, r->result));
        assert_int_equal(lkc_number(lk_result_item(r->result, 0)), THREADS * t->rounds);
    }
    race_end(t);
}

/* ---- touch, and writes of what has to be there ---- */

/* The first thread alone makes the item, and takes it out; the others only write what is there. */
static void
back_member(member *m)
{
    race *t = m->context;
    lk_key key = lk_key_of("back", "one");
    int64_t number = 1;
    lk_item item = lkc_number_item(key, &number);
    if (m->index != 0) {
        for (uint64_t i = 0; others_go_on(t, i); i++) {
            lk_status status = m->index == 1 ? lk_touch(m->r->db, key, 0)
                                             : lk_put_if(m->r->db, &item, LK_IF_PRESENT, key.sk);
            EXPECT(status == LK_OK || status == LK_NOT_FOUND, status, m->index);
        }
        return;
    }
    for (uint64_t i = 0; i < t->rounds && lkc_is_well(); i++) {
        EXPECT_OK(lk_set(m->r->db, &item, 1));
        if (i % 3 == 0)
            sched_yield();
        EXPECT_OK(lk_delete(m->r->db, &key, 1));
        lk_status status = lk_get(m->r->db, key, m->result);
        EXPECT(status == LK_NOT_FOUND, status, i);
    }
    atomic_store(&t->stops, true);
}

static void
test_touch_and_put_if_present_bring_nothing_back(rig *r)
{
    race *t = race_begin(200);
    lkc_crowd(r, 3, back_member, t);
    assert_holds(r, lk_key_of("back", "one"), NULL);
    race_end(t);
}

/* ---- lk_list_partitions ---- */

enum { STAY = 60, PK_ROOM = 24 };

static const char *
partition_name(uint64_t i, char name[PK_ROOM])
{
    snprintf(name, PK_ROOM, "partition %llu", (unsigned long long)i);
    return name;
}

/* One thread lists, the others make partitions and remove them. */
static void
partitions_member(member *m)
{
    race *t = m->context;
    char name[PK_ROOM];
    if (m->index != 0) {
        for (uint64_t i = 0; others_go_on(t, i); i++) {
            lk_item item =
                lkc_item(partition_name(STAY + lkc_random(&m->random) % 300, name), "sk", "x");
            if (lkc_random(&m->random) % 2 == 0)
                EXPECT_OK(lk_set(m->r->db, &item, 1));
            else
                EXPECT_OK(lk_delete(m->r->db, &item.key, 1));
        }
        return;
    }
    for (uint64_t turn = 0; turn < t->rounds / 10 && lkc_is_well(); turn++) {
        unsigned seen[STAY] = {0};
        lk_position position = {{0}};
        lk_status status;
        while ((status = lk_list_partitions(m->r->db, &position, turn % 7, m->result)) == LK_OK &&
               lkc_is_well())
            for (size_t i = 0; i < lk_result_count(m->result); i++)
                for (size_t j = 0; j < STAY; j++) {
                    seen[j] +=
                        lkc_is(lk_result_item(m->result, i)->key.pk, partition_name(j, name));
                    EXPECT(seen[j] <= 1, seen[j], j);
                }
        EXPECT(status == LK_END, status, turn);
        for (size_t j = 0; j < STAY; j++)
            EXPECT(seen[j] == 1, seen[j], j);
    }
    atomic_store(&t->stops, true);
}

/* "a pk that is there throughout comes exactly once" */
static void
test_partition_that_stays_is_listed_once(rig *r)
{
    race *t = race_begin(100);
    char name[PK_ROOM];
    for (uint64_t i = 0; i < STAY; i++)
        lkc_set(r, partition_name(i, name), "", "x");
    lkc_crowd(r, 3, partitions_member, t);
    race_end(t);
}

static const lkc_case cases[] = {
    CASE(test_adds_of_several_threads_sum_exactly, LKC_CONDITIONS),
    CASE(test_one_of_several_puts_if_absent_wins, LKC_CONDITIONS),
    CASE(test_compare_and_set_of_several_threads_loses_nothing, LKC_CONDITIONS),
    CASE(test_touch_and_put_if_present_bring_nothing_back, LKC_CONDITIONS),
    CASE(test_partition_that_stays_is_listed_once, LK_HAS_PARTITIONS),
};
AREA(lkc_conditions_threads_area, cases);
