/* SPDX-License-Identifier: MIT
 *
 * Transactions of several keys, strictly serializable? Every value is the how manieth of its key,
 * and every lock has a version, so a history gives exact edges (check/serial.h). Who only reads
 * does so by get_many or by a query.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "check/record.h"
#include "check/serial.h"
#include "support/crowd.h"

enum { THREADS = 5, KEYS = 6, EVENS = 3, TOUCHED_MAX = 3, ROUNDS = 6 };

static struct {
    size_t each; /* transactions of a thread */
    uint64_t round;
    char name[KEYS][CROWD_KEY_ROOM];
    lk_key keys[KEYS]; /* three of one partition, three of another */
    record_world world;
    recorder recorders[THREADS];
    atomic_ullong races;
} test;

/* ---- transactions ---- */

static void
keys_pick(crowd_member *m, uint32_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool again;
        do {
            again = false;
            keys[i] = (uint32_t)(crowd_random(&m->random) % KEYS);
            for (size_t j = 0; j < i; j++)
                again |= keys[j] == keys[i];
        } while (again);
    }
}

static void
only_read(crowd_member *m, recorder *r)
{
    uint32_t picked[TOUCHED_MAX];
    if (crowd_random(&m->random) % 2 == 0) {
        lk_query query = {.pk = lk_string(crowd_random(&m->random) % 2 == 0 ? "even" : "odd"),
                          .reverse = crowd_random(&m->random) % 2 == 0};
        EXPECT_OK(record_query(r, &query));
        return;
    }
    uint32_t count = 2 + (uint32_t)(crowd_random(&m->random) % (TOUCHED_MAX - 1));
    keys_pick(m, picked, count);
    EXPECT_OK(record_get_many(r, picked, count));
}

/* The locks were at `versions`; LK_OK: the steps are recorded. */
static lk_status
keys_write(recorder *r, const uint32_t *picked, const uint64_t *numbers, size_t count,
           size_t writes, lk_lock *locks)
{
    unsigned char bytes[TOUCHED_MAX][RECORD_VALUE_MAX];
    lk_item items[TOUCHED_MAX];
    uint64_t versions[TOUCHED_MAX];
    for (size_t i = 0; i < count; i++)
        versions[i] = locks[i].version;
    for (size_t i = 0; i < writes; i++)
        items[i] = (lk_item){
            .key = test.keys[picked[i]],
            .data = {bytes[i], record_value(&test.world, bytes[i], picked[i], numbers[i] + 1)}};
    lk_status status = lk_set_atomic(test.world.db, items, writes, locks, count, NULL);
    for (size_t i = 0; i < count && status == LK_OK; i++) {
        history_step bump = {.kind = STEP_BUMP, .key = picked[i], .before = versions[i]};
        bump.after = locks[i].version;
        history_add(&r->history, bump);
        if (i < writes)
            history_add(
                &r->history,
                (history_step){.kind = STEP_WRITE, .key = picked[i], .value = numbers[i] + 1});
    }
    return status;
}

/* One attempt; a race leaves no trace. */
static lk_status
read_and_write(crowd_member *m, recorder *r, const uint32_t *picked, size_t count)
{
    lk_key keys[TOUCHED_MAX];
    lk_lock locks[TOUCHED_MAX];
    uint64_t numbers[TOUCHED_MAX];
    for (size_t i = 0; i < count; i++)
        keys[i] = test.keys[picked[i]];
    record_call(r, "get_locked, set_atomic");
    EXPECT_OK(lk_get_locked(test.world.db, keys, count, locks, m->result));
    for (size_t i = 0; i < count; i++) {
        numbers[i] = record_value_of(r, lk_result_item(m->result, i), picked[i]);
        history_add(&r->history,
                    (history_step){.kind = STEP_READ, .key = picked[i], .value = numbers[i]});
    }
    if (crowd_random(&m->random) % 16 == 0)
        sched_yield();
    size_t writes = 1 + crowd_random(&m->random) % count;
    lk_status status = keys_write(r, picked, numbers, count, writes, locks);
    record_done(r, status == LK_OK);
    return status;
}

static void
transaction_run(crowd_member *m, recorder *r)
{
    uint32_t picked[TOUCHED_MAX];
    if (crowd_random(&m->random) % 3 == 0) {
        only_read(m, r);
        return;
    }
    size_t count = 2 + crowd_random(&m->random) % (TOUCHED_MAX - 1);
    keys_pick(m, picked, count);
    for (unsigned attempt = 0; crowd_is_well(); attempt++) {
        lk_status status = read_and_write(m, r, picked, count);
        EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, 0);
        if (status == LK_OK)
            return;
        atomic_fetch_add(&test.races, 1);
        lk_backoff(attempt);
    }
}

static void
member(crowd_member *m)
{
    recorder *r = &test.recorders[m->index];
    m->random += test.round << 32;
    record_begin(r, &test.world, (uint32_t)m->index, m->result);
    history_reserve(&r->history, test.each, test.each * 2 * TOUCHED_MAX);
    for (size_t i = 0; i < test.each && crowd_is_well(); i++)
        transaction_run(m, r);
}

static void
round_judge(history *all)
{
    report r = {.size = 0};
    const recorder *wrong = record_merge(test.recorders, THREADS, all);
    if (wrong != NULL)
        fprintf(stderr, "thread %u: %s\n", wrong->thread, wrong->wrong);
    EXPECT(wrong == NULL, test.round, 0);
    verdict v = serial_check(all, &r);
    fputs(r.text, stderr);
    EXPECT(v == VERDICT_HOLDS, v, test.round);
}

static void
run_store(void)
{
    history all = {0};
    test.each = test_scaled(30000);
    for (size_t key = 0; key < KEYS; key++) {
        snprintf(test.name[key], sizeof test.name[key], "key%zu", key);
        test.keys[key] = lk_key_of(key < EVENS ? "even" : "odd", test.name[key]);
    }
    test.world =
        (record_world){.keys = test.keys, .key_count = KEYS, .stamp = crowd_now_ns, .spread = 300};
    for (test.round = 0; test.round < ROUNDS && crowd_is_well(); test.round++) {
        EXPECT_OK(lk_memory_open(NULL, &test.world.db));
        crowd_run(THREADS, member, NULL);
        lk_close(test.world.db);
        round_judge(&all);
    }
    for (size_t t = 0; t < THREADS; t++)
        record_free(&test.recorders[t]);
    history_free(&all);
    crowd_note("transactions", ROUNDS * test.each * THREADS);
    crowd_note("races", test.races);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"store", run_store}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
