/* SPDX-License-Identifier: MIT
 *
 * Area: queues under several threads. Each job is done once, has one holder at a time, comes in its
 * place; limits hold for all together.
 */
#include <sched.h>

#include "suite.h"

enum { PRODUCERS = 2, CONSUMERS = 2, BATCH = 4 };

typedef struct factory {
    uint64_t jobs; /* of each producer */
    bool lapses;   /* claims lapse under their holders now and then */
    atomic_int producing;
    atomic_ullong done;
    atomic_int *holder; /* of each job: 0, or a consumer's number */
    atomic_int *times;  /* how often it was done */
} factory;

static void
batch_push(member *m, uint64_t first, size_t count, bool own)
{
    int64_t number[BATCH];
    char sk[BATCH][24];
    lk_item items[BATCH];
    for (size_t i = 0; i < count; i++) {
        number[i] = (int64_t)(first + i);
        snprintf(sk[i], sizeof sk[i], "own%lld", (long long)number[i]);
        items[i] = lkc_number_item(lk_key_of("q", own ? sk[i] : NULL), &number[i]);
    }
    EXPECT_OK(lk_queue_push(m->r->db, items, count, NULL, NULL));
}

static void
produce(member *m)
{
    factory *f = m->context;
    uint64_t first = m->index * f->jobs, made = 0;
    while (made < f->jobs && lkc_is_well()) {
        size_t count = 1 + lkc_random(&m->random) % BATCH;
        if (count > f->jobs - made)
            count = (size_t)(f->jobs - made);
        batch_push(m, first + made, count, lkc_random(&m->random) % 4 == 0);
        made += count;
    }
    atomic_fetch_sub(&f->producing, 1);
}

/* What was done counts once; what was lost is somebody else's. */
static void
job_finish(member *m, const lk_claim *claim, uint64_t number)
{
    factory *f = m->context;
    if (!f->lapses)
        EXPECT(atomic_exchange(&f->holder[number], 0) == (int)m->index, number, m->index);
    if (lkc_random(&m->random) % 8 == 0) {
        lk_status status = lk_queue_release(m->r->db, claim, 0);
        EXPECT(status == LK_OK || (f->lapses && (status == LK_LATE || status == LK_LOST)), status,
               number);
        return;
    }
    lk_status status = lk_queue_acknowledge(m->r->db, claim, 1);
    EXPECT(status == LK_OK || (f->lapses && (status == LK_LATE || status == LK_LOST)), status,
           number);
    if (status == LK_OK || status == LK_LATE) {
        atomic_fetch_add(&f->times[number], 1);
        atomic_fetch_add(&f->done, 1);
    }
}

static void
consume(member *m)
{
    factory *f = m->context;
    uint64_t all = PRODUCERS * f->jobs;
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = 1000};
    while (atomic_load(&f->done) < all && lkc_is_well()) {
        options.max_jobs = 1 + lkc_random(&m->random) % BATCH;
        lk_status status = lk_queue_pull(m->r->db, &options, m->result);
        EXPECT(status == LK_OK || status == LK_EMPTY, status, 0);
        if (status != LK_OK) {
            if (f->lapses)
                lkc_advance(m->r, 400);
            sched_yield();
            continue;
        }
        size_t count = lk_result_count(m->result);
        EXPECT(count <= options.max_jobs, count, options.max_jobs);
        for (size_t i = 0; i < count; i++) {
            uint64_t number = (uint64_t)lkc_number(lk_result_item(m->result, i));
            EXPECT(number < all, number, all);
            if (!f->lapses && number < all)
                EXPECT(atomic_exchange(&f->holder[number], (int)m->index) == 0, number, i);
        }
        if (lkc_random(&m->random) % 4 == 0)
            sched_yield();
        if (f->lapses && lkc_random(&m->random) % 16 == 0)
            lkc_advance(m->r, 1001);
        for (size_t i = 0; i < count && lkc_is_well(); i++)
            job_finish(m, lk_result_claim(m->result, i),
                       (uint64_t)lkc_number(lk_result_item(m->result, i)));
    }
}

static void
factory_member(member *m)
{
    if (m->index < PRODUCERS)
        produce(m);
    else
        consume(m);
}

static void
factory_run(rig *r, bool lapses, uint64_t jobs)
{
    factory f = {.jobs = lkc_scaled(jobs), .lapses = lapses};
    uint64_t all = PRODUCERS * f.jobs;
    f.holder = calloc(all, sizeof *f.holder);
    f.times = calloc(all, sizeof *f.times);
    assert_true(f.holder != NULL && f.times != NULL);
    atomic_store(&f.producing, PRODUCERS);
    lkc_crowd(r, PRODUCERS + CONSUMERS, factory_member, &f);
    for (uint64_t i = 0; i < all; i++)
        assert_int_equal(f.times[i], 1);
    assert_depths(r, "q", 0, 0, 0);
    assert_empty(r, "q");
    free(f.holder);
    free(f.times);
}

/* "Different consumers get different jobs: at any instant a job has at most one holder whose
 * deadline has not passed." */
static void
test_each_job_has_one_holder_and_is_done_once(rig *r)
{
    factory_run(r, false, 4000);
}

/* With claims that lapse: who acknowledges last is LK_LOST, never two are told that it is done. */
static void
test_each_job_is_done_once_though_claims_lapse(rig *r)
{
    factory_run(r, true, 2000);
}

/* ---- order ---- */

enum { PUSHERS = 4, WHOLE = 5 };

static void
pusher_member(member *m)
{
    char last[ULID_SIZE] = {0};
    for (int64_t i = 0; i < (int64_t)lkc_scaled(300) && lkc_is_well(); i++) {
        int64_t number[WHOLE];
        lk_item items[WHOLE];
        for (size_t j = 0; j < WHOLE; j++) {
            number[j] = ((int64_t)m->index << 32 | i) * WHOLE + (int64_t)j;
            items[j] = lkc_number_item(lk_key_of("q", NULL), &number[j]);
        }
        EXPECT_OK(lk_queue_push(m->r->db, items, WHOLE, NULL, m->result));
        EXPECT(lk_result_count(m->result) == WHOLE, lk_result_count(m->result), i);
        if (!lkc_is_well())
            return;
        for (size_t j = 0; j < WHOLE; j++) {
            lk_bytes sk = lk_result_item(m->result, j)->key.sk;
            EXPECT(lkc_is_ulid(sk) && memcmp(sk.data, last, ULID_SIZE) > 0, i, j);
            memcpy(last, sk.data, ULID_SIZE);
        }
        if (lkc_random(&m->random) % 8 == 0)
            atomic_fetch_sub(&m->r->now_ms, 3); /* the clock steps back */
    }
}

/* "strictly increasing in push order per queue, across threads"; "A batch push is in order and
 * contiguous." */
static void
test_batches_of_many_threads_are_contiguous_and_in_order(rig *r)
{
    lkc_crowd(r, PUSHERS, pusher_member, NULL);
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = WHOLE};
    int64_t last[PUSHERS] = {0}, batches = 0;
    while (lk_queue_pull(r->db, &options, r->result) == LK_OK) {
        assert_int_equal(lk_result_count(r->result), WHOLE);
        int64_t first = lkc_number(lk_result_item(r->result, 0));
        assert_int_equal(first % WHOLE, 0);
        for (size_t i = 1; i < WHOLE; i++)
            assert_int_equal(lkc_number(lk_result_item(r->result, i)), first + (int64_t)i);
        int64_t pusher = first / WHOLE >> 32;
        assert_true(first >= last[pusher]);
        last[pusher] = first + 1;
        batches++;
    }
    assert_int_equal(batches, PUSHERS * lkc_scaled(300));
}

/* ---- limits for all together ---- */

enum { DEPTH = 50, NAMES = 60 };

static void
depth_member(member *m)
{
    atomic_ullong *pushed = m->context;
    lk_push_options options = {.max_depth = DEPTH};
    for (uint64_t i = 0; i < DEPTH && lkc_is_well(); i++) {
        char sk[24];
        snprintf(sk, sizeof sk, "%zu-%llu", m->index, (unsigned long long)i);
        lk_item item = lkc_item("q", i % 3 == 0 ? sk : NULL, "x");
        lk_status status = lk_queue_push(m->r->db, &item, 1, &options, NULL);
        EXPECT(status == LK_OK || status == LK_BUSY, status, 0);
        if (status == LK_OK)
            atomic_fetch_add(pushed, 1);
    }
}

/* "More than max_depth jobs: LK_BUSY": as many as fit, whoever pushes. */
static void
test_max_depth_holds_for_all_threads_together(rig *r)
{
    for (int turn = 0; turn < 5; turn++) {
        atomic_ullong pushed = 0;
        lkc_crowd(r, 3, depth_member, &pushed);
        assert_int_equal(pushed, DEPTH);
        assert_depths(r, "q", DEPTH, 0, 0);
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    }
}

static void
unique_member(member *m)
{
    atomic_ullong *pushed = m->context;
    lk_push_options options = {.unique = true};
    for (uint64_t i = 0; i < NAMES && lkc_is_well(); i++) {
        lk_item item = {.key = lkc_numbered("q", i), .data = lk_string("x")};
        lk_status status = lk_queue_push(m->r->db, &item, 1, &options, NULL);
        EXPECT(status == LK_OK || status == LK_EXISTS, status, 0);
        if (status == LK_OK)
            atomic_fetch_add(pushed, 1);
    }
}

/* "with `unique`, an existing job is LK_EXISTS": of several threads one is first */
static void
test_unique_job_is_pushed_once_by_all_threads_together(rig *r)
{
    atomic_ullong pushed = 0;
    lkc_crowd(r, 4, unique_member, &pushed);
    assert_int_equal(pushed, NAMES);
    assert_depths(r, "q", NAMES, 0, 0);
}

/* ---- threads that end, jobs that move ---- */

static void
ending_member(member *m)
{
    lk_pull_options options = {.pk = lk_string("q"), .visibility_ms = VISIBILITY_MS};
    EXPECT_OK(lk_queue_pull(m->r->db, &options, m->result));
    lk_claim *kept = m->context;
    kept->token = lk_result_claim(m->result, 0) != NULL ? lk_result_claim(m->result, 0)->token : 0;
}

/* "A thread that exits releases nothing by itself; its claims lapse." */
static void
test_thread_that_exits_releases_nothing(rig *r)
{
    lk_claim kept = {.key = lk_key_of("q", "own")};
    lkc_push(r->db, "q", "own", "x");
    lkc_crowd(r, 1, ending_member, &kept);
    assert_empty(r, "q");
    lkc_advance(r, VISIBILITY_MS);
    assert_empty(r, "q");
    assert_status(LK_OK, lk_queue_extend(r->db, &kept, VISIBILITY_MS)); /* anybody may use it */
    lkc_advance(r, VISIBILITY_MS + 1);
    assert_pull(r, "q", "x", NULL);
}

/* One job, which dies into another queue and is handed back by a commit, again and again. */
static void
ferry(member *m)
{
    lk_pull_options first = {.pk = lk_string("q")}, second = first,
                    back = {.pk = lk_string("dead")};
    second.max_receives = 1;
    second.dead_pk = back.pk;
    EXPECT_OK(lk_queue_pull(m->r->db, &first, m->result));
    if (lkc_is_well())
        EXPECT_OK(lk_queue_release(m->r->db, lk_result_claim(m->result, 0), 0));
    lk_status status = lk_queue_pull(m->r->db, &second, m->result);
    EXPECT(status == LK_EMPTY, status, 0);
    EXPECT_OK(lk_queue_pull(m->r->db, &back, m->result));
    if (!lkc_is_well())
        return;
    lk_write writes[] = {{.kind = LK_ACKNOWLEDGE, .claim = lk_result_claim(m->result, 0)},
                         {.kind = LK_PUSH, .item = lkc_item("q", "own", "x")}};
    EXPECT_OK(lk_commit(m->r->db, writes, 2, NULL, 0, NULL));
}

static void
ferry_member(member *m)
{
    factory *f = m->context;
    lk_key keys[2] = {lk_key_of("q", "own"), lk_key_of("dead", "own")};
    if (m->index == 0) {
        for (uint64_t i = 0; lkc_goes_on(i, &f->done, f->jobs); i++)
            ferry(m);
        atomic_store(&f->producing, 0);
        return;
    }
    for (uint64_t i = 0; atomic_load(&f->producing) != 0 && lkc_is_well(); i++) {
        lk_key asked[2] = {keys[i % 2], keys[1 - i % 2]};
        EXPECT_OK(lk_get_many(m->r->db, asked, 2, m->result));
        bool here = lk_result_item(m->result, 0) != NULL;
        bool there = lk_result_item(m->result, 1) != NULL;
        EXPECT(here != there, here, there);
        atomic_fetch_add(&f->done, 1);
    }
}

/* "moves to dead_pk in one atomic step"; "acknowledge this job [...] push the next one, all or
 * nothing": a snapshot has it once. */
static void
test_job_that_moves_is_in_one_queue_at_every_instant(rig *r)
{
    factory f = {.jobs = lkc_scaled(2000)};
    atomic_store(&f.producing, 1);
    lkc_push(r->db, "q", "own", "x");
    lkc_crowd(r, 3, ferry_member, &f);
}

static const lkc_case cases[] = {
    CASE(test_each_job_has_one_holder_and_is_done_once, LK_HAS_QUEUES),
    CASE(test_each_job_is_done_once_though_claims_lapse, LK_HAS_QUEUES),
    CASE(test_batches_of_many_threads_are_contiguous_and_in_order, LK_HAS_QUEUES),
    CASE(test_max_depth_holds_for_all_threads_together, LK_HAS_QUEUES),
    CASE(test_unique_job_is_pushed_once_by_all_threads_together, LK_HAS_QUEUES),
    CASE(test_thread_that_exits_releases_nothing, LK_HAS_QUEUES),
    CASE(test_job_that_moves_is_in_one_queue_at_every_instant,
         LK_COMMITS_JOBS | LK_IS_SNAPSHOT | LK_HAS_GET_MANY),
};
AREA(lkc_queue_threads_area, cases);
