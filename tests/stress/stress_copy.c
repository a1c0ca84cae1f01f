/* SPDX-License-Identifier: MIT
 *
 * lk_copy of a live store: writers replace what stays, set and delete what comes and goes, push,
 * pull, acknowledge and release jobs, while one thread copies all of it, again and again, each time
 * into an empty store. What stays is there, and no older than when the copy began. Values are
 * whole. What was a job is a job, and what was none is none.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include <latchkey/adapter.h>

#include "support/crowd.h"

enum {
    WRITERS = 3,
    PARTITIONS = 40,
    KEYS = 20,
    STAY = PARTITIONS * KEYS,
    COME = 300,
    JOBS = 50,
    DEPTH = 150
};

static struct {
    lk_db *db;
    size_t copies;
    uint64_t items, jobs; /* copied */
    atomic_bool over;
    _Atomic(uint64_t) counters[STAY]; /* of what stays; each has one writer */
    char pk[PARTITIONS][CROWD_KEY_ROOM], sk[COME][CROWD_KEY_ROOM];
} test;

/* ---- writers ---- */

static lk_key
key_that_stays(size_t number)
{
    return lk_key_of(test.pk[number / KEYS], test.sk[number % KEYS]);
}

static void
replace(crowd_member *m)
{
    size_t number = crowd_pick(m, STAY / WRITERS) * WRITERS + m->index;
    uint64_t counter = atomic_load(&test.counters[number]) + 1;
    EXPECT_OK(crowd_set(test.db, key_that_stays(number), number, counter));
    atomic_store(&test.counters[number], counter);
}

static void
come_or_go(crowd_member *m)
{
    size_t number = crowd_pick(m, COME);
    lk_key key = lk_key_of(test.pk[number % 7], test.sk[number]);
    if (number % 3 == 0)
        key.pk = lk_string(test.sk[number]); /* a partition of its own */
    if (number < KEYS)
        return; /* stays */
    if (crowd_pick(m, 2) == 0)
        EXPECT_OK(lk_delete(test.db, &key, 1));
    else
        EXPECT_OK(crowd_set(test.db, key, number, 1));
}

static void
push(crowd_member *m)
{
    unsigned char value[CROWD_VALUE_MAX];
    size_t number = crowd_pick(m, JOBS);
    lk_item job = {.key = lk_key_of("jobs", crowd_pick(m, 2) == 0 ? test.sk[number] : NULL),
                   .data = {value, crowd_value(value, STAY, number)}};
    const lk_push_options options = {.max_depth = DEPTH};
    lk_status status = lk_queue_push(test.db, &job, 1, &options, NULL);
    EXPECT(status == LK_OK || status == LK_BUSY, status, 0);
}

static void
pull(crowd_member *m)
{
    lk_pull_options options = {.pk = lk_string("jobs"), .max_jobs = 1 + crowd_pick(m, 3)};
    lk_status status = lk_queue_pull(test.db, &options, m->result);
    EXPECT(status == LK_OK || status == LK_EMPTY, status, 0);
    for (size_t i = 0; status == LK_OK && i < lk_result_count(m->result); i++) {
        const lk_claim *claim = lk_result_claim(m->result, i);
        lk_status its = crowd_pick(m, 4) == 0 ? lk_queue_release(test.db, claim, 0)
                                              : lk_queue_acknowledge(test.db, claim, 1);
        EXPECT(its == LK_OK || its == LK_LOST, its, 0); /* pushed anew meanwhile */
    }
}

static void
write_one(crowd_member *m)
{
    uint64_t what = crowd_pick(m, 10);
    if (what < 3)
        replace(m);
    else if (what < 5)
        come_or_go(m);
    else if (what < 9)
        push(m);
    else
        pull(m);
    if (crowd_pick(m, 64) == 0)
        sched_yield();
}

/* ---- copies ---- */

static void
stayed_check(lk_db *copy, const uint64_t *before, lk_result *result)
{
    for (size_t i = 0; i < STAY; i++) {
        uint64_t counter = 0;
        EXPECT_OK(lk_get(copy, key_that_stays(i), result));
        const lk_item *item = lk_result_item(result, 0);
        EXPECT(item != NULL && crowd_value_check(item->data, i, &counter), i, 0);
        EXPECT(counter >= before[i], counter, before[i]);
    }
}

/* Each item of the queue is a job, that nobody has, and no other item is one. */
static void
jobs_check(lk_db *copy, lk_result *result)
{
    uint64_t number;
    lk_job job;
    lk_query query = {.pk = lk_string("jobs")};
    EXPECT_OK(lk_query_items(copy, &query, result));
    for (size_t i = 0; i < lk_result_count(result); i++) {
        const lk_item *item = lk_result_item(result, i);
        EXPECT(crowd_value_check(item->data, STAY, &number), i, number);
        EXPECT_OK(lk_queue_inspect(copy, item->key, &job));
        EXPECT(job.state == LK_JOB_READY && job.receives == 0, job.state, job.receives);
    }
    for (size_t i = 0; i < STAY; i++)
        EXPECT(lk_queue_inspect(copy, key_that_stays(i), &job) == LK_NOT_FOUND, i, 0);
}

static void
copy_one(crowd_member *m)
{
    uint64_t before[STAY];
    lk_copy_report report = {0};
    const lk_copy_options options = {.batch = 1 + crowd_pick(m, 300)};
    lk_db *copy;
    EXPECT_OK(lk_memory_open(NULL, &copy));
    for (size_t i = 0; i < STAY; i++)
        before[i] = atomic_load(&test.counters[i]);
    EXPECT_OK(lk_copy(test.db, copy, &options, &report));
    EXPECT(report.items >= STAY && report.partitions >= PARTITIONS, report.items,
           report.partitions);
    test.items += report.items;
    test.jobs += report.jobs;
    stayed_check(copy, before, m->result);
    jobs_check(copy, m->result);
    lk_close(copy);
}

static void
member(crowd_member *m)
{
    if (m->index < WRITERS) {
        while (!atomic_load(&test.over) && crowd_is_well())
            write_one(m);
        return;
    }
    for (size_t i = 0; i < test.copies && crowd_is_well(); i++)
        copy_one(m);
    atomic_store(&test.over, true);
}

static void
run(lk_db *db)
{
    const uint64_t wanted = LK_HAS_PARTITIONS | LK_HAS_QUEUE_INSPECT;
    test.db = db;
    test.copies = test_scaled(300);
    test.items = test.jobs = 0;
    atomic_store(&test.over, (lk_capabilities(db) & wanted) != wanted);
    for (size_t i = 0; i < PARTITIONS; i++)
        snprintf(test.pk[i], sizeof test.pk[i], "partition %zu", i);
    for (size_t i = 0; i < COME; i++)
        snprintf(test.sk[i], sizeof test.sk[i], "%04zu", i);
    for (size_t i = 0; i < STAY; i++) {
        atomic_store(&test.counters[i], 1);
        EXPECT_OK(crowd_set(db, key_that_stays(i), i, 1));
    }
    if (!atomic_load(&test.over))
        crowd_run(WRITERS + 1, member, NULL);
    crowd_note("items copied", test.items);
    crowd_note("jobs copied", test.jobs);
}

static void
run_store(void)
{
    lk_db *db;
    EXPECT_OK(lk_memory_open(NULL, &db));
    run(db);
    lk_close(db);
}

static void
run_cache(void)
{
    const lk_cache_options options = {.max_items = 300};
    lk_db *db, *cache;
    EXPECT_OK(lk_memory_open(NULL, &db));
    EXPECT_OK(lk_cache_open(db, &options, &cache));
    run(cache);
    lk_close(cache);
    lk_close(db);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"store", run_store}, {"cache", run_cache}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
