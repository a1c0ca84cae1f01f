/* SPDX-License-Identifier: MIT
 *
 * A queue in trouble: consumers acknowledge, release, extend, come late, stop working on jobs, hand them over to a second queue; others
 * read and delete beside them. Each job is done exactly once, each receive is counted once, and no two hold a job at a time. The
 * monotonic clock is the members' own, so that claims lapse at any speed of the machine.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/crowd.h"

enum {
    PRODUCERS = 2,
    CONSUMERS = 5,
    READERS = 1,
    JOBS_MAX = 1 << 20,
    VISIBILITY_MAX_MS = 60,
    BATCH_MAX = 7,
    SK_ROOM = 32
};

/* Who holds a job, as far as they said so: its receives, index + 1, the deadline. */
#define RECEIVES_SHIFT 48
#define MEMBER_SHIFT 42
#define DEADLINE_MASK ((UINT64_C(1) << MEMBER_SHIFT) - 1)

typedef struct fate {
    _Atomic(uint64_t) owner;
    _Atomic(uint64_t) receives; /* one bit for each */
    atomic_bool published;      /* its key stands in `sk` */
    atomic_bool touched;        /* somebody began to take it out */
    atomic_bool deleted;        /* by lk_delete, or about to be */
    atomic_uint done;           /* acknowledged: never more than once */
    atomic_bool handed_over;
    char sk[SK_ROOM];
    size_t sk_size;
} fate;

static struct {
    lk_db *db;
    uint64_t
        jobs; /* of the first queue; those of the second have the same numbers, from `jobs` on */
    unsigned keyed; /* of 16 jobs */
    fate *fates;
    _Atomic(int64_t) monotonic_ms;
    atomic_uint producing;
    atomic_ullong next, done, late, lost, released, abandoned, reads, deletes, handed;
} line;

static int64_t
line_monotonic(void *unused)
{
    (void)unused;
    return atomic_load(&line.monotonic_ms);
}

static void
count(atomic_ullong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static const char *
queue_of(uint64_t job)
{
    return job < line.jobs ? "first" : "second";
}

/* ---- producers ---- */

static void
fate_publish(uint64_t job, lk_bytes sk)
{
    fate *f = &line.fates[job];
    EXPECT(sk.size < SK_ROOM, sk.size, job);
    memcpy(f->sk, sk.data, sk.size);
    f->sk_size = sk.size;
    atomic_store(&f->published, true);
}

/* Keys of one's own lie all over the generated ones: 26 characters, some smaller, some greater. */
static lk_item
job_make(crowd_member *m, uint64_t job, char sk[SK_ROOM], unsigned char *value)
{
    bool keyed = crowd_pick(m, 16) < line.keyed;
    uint64_t scrambled = job * UINT64_C(0x9e3779b97f4a7c15) % 1000;
    if (keyed)
        snprintf(sk, SK_ROOM, "%c%03llu-%llu", "0Z"[job % 2], (unsigned long long)scrambled,
                 (unsigned long long)job);
    return (lk_item){.key = lk_key_of(queue_of(job), keyed ? sk : NULL),
                     .data = {value, crowd_value(value, job, 0)}};
}

static void
produce(crowd_member *m)
{
    char sk[BATCH_MAX][SK_ROOM];
    unsigned char values[BATCH_MAX][CROWD_VALUE_MAX];
    lk_item items[BATCH_MAX];
    for (;;) {
        uint64_t batch = 1 + crowd_pick(m, BATCH_MAX), first = atomic_fetch_add(&line.next, batch);
        lk_push_options options = {.delay_ms =
                                       crowd_pick(m, 4) == 0 ? (int64_t)crowd_pick(m, 40) : 0,
                                   .unique = crowd_pick(m, 2) == 0};
        if (first >= line.jobs || !crowd_is_well())
            break;
        batch = batch < line.jobs - first ? batch : line.jobs - first;
        for (uint64_t i = 0; i < batch; i++)
            items[i] = job_make(m, first + i, sk[i], values[i]);
        EXPECT_OK(lk_queue_push(line.db, items, batch, &options, m->result));
        for (uint64_t i = 0; i < batch; i++)
            fate_publish(first + i, lk_result_item(m->result, i)->key.sk);
        if (crowd_pick(m, 8) == 0)
            sched_yield();
    }
    atomic_fetch_sub(&line.producing, 1);
}

/* ---- holding a job ---- */

typedef struct holding {
    uint64_t job;
    fate *f;
    lk_claim claim; /* its key lies in the member's result */
    uint64_t word;
} holding;

static uint64_t
owner_word(const crowd_member *m, const lk_claim *claim)
{
    return (uint64_t)claim->receives << RECEIVES_SHIFT | (uint64_t)(m->index + 1) << MEMBER_SHIFT |
           ((uint64_t)claim->deadline_ms & DEADLINE_MASK);
}

/* Who had it before let it go, or had lapsed when it was claimed. Who is slow to say so finds that others had it since. */
static void
owner_announce(holding *h)
{
    uint64_t before = atomic_load(&h->f->owner);
    do {
        if (before >> RECEIVES_SHIFT > h->word >> RECEIVES_SHIFT) {
            EXPECT(h->claim.deadline_ms < atomic_load(&line.monotonic_ms) ||
                       atomic_load(&h->f->deleted),
                   before, h->word);
            return;
        }
    } while (!atomic_compare_exchange_weak(&h->f->owner, &before, h->word));
    int64_t now_ms = atomic_load(&line.monotonic_ms);
    EXPECT(before == 0 || (int64_t)(before & DEADLINE_MASK) < now_ms, before, now_ms);
}

static void
hold(crowd_member *m, holding *h, size_t i)
{
    uint64_t counter = 1;
    memcpy(&h->job, lk_result_item(m->result, i)->data.data, sizeof h->job);
    EXPECT(h->job < 2 * line.jobs, h->job, i);
    EXPECT(crowd_value_check(lk_result_item(m->result, i)->data, h->job, &counter), h->job,
           counter);
    h->job %= 2 * line.jobs;
    h->f = &line.fates[h->job];
    h->claim = *lk_result_claim(m->result, i);
    h->word = owner_word(m, &h->claim);
    owner_announce(h);
    EXPECT(h->claim.receives >= 1, h->job, 0);
    if (h->claim.receives < 64) {
        uint64_t bit = UINT64_C(1) << h->claim.receives;
        EXPECT((atomic_fetch_or(&h->f->receives, bit) & bit) == 0, h->job, h->claim.receives);
    }
    EXPECT(atomic_load(&h->f->done) == 0 || atomic_load(&line.monotonic_ms) > h->claim.deadline_ms,
           h->job, 0);
}

/* Says that the job is let go, before it is. */
static void
let_go(holding *h)
{
    uint64_t mine = h->word;
    atomic_compare_exchange_strong(&h->f->owner, &mine, 0);
}

/* Was the claim good beyond doubt when the call was made that just returned? */
static bool
was_good(const holding *h)
{
    return atomic_load(&line.monotonic_ms) <= h->claim.deadline_ms && !atomic_load(&h->f->deleted);
}

/* What a call that takes the job out, or gives it back, may have said. */
static bool
outcome_check(const holding *h, lk_status status)
{
    bool good = was_good(h);
    EXPECT(status == LK_OK || status == LK_LATE || status == LK_LOST, (unsigned)status, h->job);
    EXPECT(!good || status == LK_OK, (unsigned)status, h->job);
    if (status == LK_LATE)
        EXPECT(atomic_load(&line.monotonic_ms) > h->claim.deadline_ms, h->job,
               h->claim.deadline_ms);
    if (status != LK_OK)
        count(status == LK_LATE ? &line.late : &line.lost);
    return status == LK_OK || status == LK_LATE;
}

static void
mark_done(const holding *h)
{
    EXPECT(atomic_fetch_add(&h->f->done, 1) == 0, h->job, 0);
    count(&line.done);
}

/* ---- what consumers do ---- */

static void
do_acknowledge(holding *h)
{
    atomic_store(&h->f->touched, true);
    let_go(h);
    if (outcome_check(h, lk_queue_acknowledge(line.db, &h->claim, 1)))
        mark_done(h);
}

static void
do_release(crowd_member *m, holding *h)
{
    let_go(h);
    int64_t delay_ms = crowd_pick(m, 2) == 0 ? 0 : (int64_t)crowd_pick(m, 30);
    if (outcome_check(h, lk_queue_release(line.db, &h->claim, delay_ms)))
        count(&line.released);
    if (crowd_pick(m, 4) == 0)
        EXPECT(lk_queue_acknowledge(line.db, &h->claim, 1) == LK_LOST, h->job, h->claim.token);
}

/* False: it is lost. */
static bool
do_extend(holding *h, int64_t visibility_ms)
{
    lk_claim claim = h->claim;
    /* A shorter claim is announced before it is one. */
    uint64_t mine = h->word, zero = 0;
    if (!atomic_compare_exchange_strong(&h->f->owner, &mine, 0))
        zero = UINT64_MAX; /* another has claimed it since */
    lk_status status = lk_queue_extend(line.db, &claim, visibility_ms);
    bool good = was_good(h);
    EXPECT(status == LK_OK || status == LK_LOST, (unsigned)status, h->job);
    EXPECT(!good || status == LK_OK, (unsigned)status, h->job);
    if (status != LK_OK) {
        EXPECT(claim.deadline_ms == h->claim.deadline_ms, h->job, claim.deadline_ms);
        count(&line.lost);
        return false;
    }
    EXPECT(zero == 0, h->job, 0); /* it was another's, and yet extended */
    h->word = (h->word & ~DEADLINE_MASK) | ((uint64_t)claim.deadline_ms & DEADLINE_MASK);
    h->claim = claim;
    atomic_compare_exchange_strong(&h->f->owner, &zero, h->word);
    return true;
}

/* A claim that will not lapse any more: the holder writes the job anew, reads it, and is done. */
static void
do_rewrite(crowd_member *m, holding *h)
{
    unsigned char value[CROWD_VALUE_MAX];
    uint64_t counter = 0;
    char sk[SK_ROOM];
    if (!do_extend(h, LK_HOURS(100000)))
        return;
    memcpy(sk, h->claim.key.sk.data, h->claim.key.sk.size);
    lk_key key = {lk_string(queue_of(h->job)), {sk, h->claim.key.sk.size}};
    h->claim.key = key; /* the result is used for something else */
    lk_item item = {.key = key, .data = {value, crowd_value(value, h->job, 7)}};
    EXPECT_OK(lk_set(line.db, &item, 1));
    lk_status status = lk_get(line.db, key, m->result);
    if (!atomic_load(&h->f->deleted))
        EXPECT_OK(status);
    if (status == LK_OK)
        EXPECT(crowd_value_check(lk_result_item(m->result, 0)->data, h->job, &counter) &&
                   counter == 7,
               h->job, counter);
    do_acknowledge(h);
}

static void
do_hand_over(crowd_member *m, holding *h)
{
    char sk[SK_ROOM], result_sk[SK_ROOM];
    unsigned char value[CROWD_VALUE_MAX];
    if (h->job >= line.jobs) {
        do_acknowledge(h);
        return;
    }
    snprintf(result_sk, sizeof result_sk, "%llu", (unsigned long long)h->job);
    lk_write writes[3] = {{.kind = LK_ACKNOWLEDGE, .claim = &h->claim},
                          {.kind = LK_PUSH, .item = job_make(m, h->job + line.jobs, sk, value)},
                          {.kind = LK_PUT, .item = {.key = lk_key_of("results", result_sk)}}};
    atomic_store(&h->f->touched, true);
    let_go(h);
    if (!outcome_check(h, lk_commit(line.db, writes, 3, NULL, 0, NULL)))
        return;
    mark_done(h);
    count(&line.handed);
    atomic_store(&h->f->handed_over, true);
}

static void
do_something(crowd_member *m, holding *h)
{
    uint64_t what = crowd_pick(m, 32);
    if (what < 16)
        do_acknowledge(h);
    else if (what < 21)
        do_release(m, h);
    else if (what < 25)
        do_hand_over(m, h);
    else if (what < 27)
        do_rewrite(m, h);
    else if (what < 29 && do_extend(h, 1 + (int64_t)crowd_pick(m, VISIBILITY_MAX_MS)))
        do_acknowledge(h);
    else if (what == 29)
        count(&line.abandoned); /* whoever comes next waits for the deadline */
    else {
        /* Late, as far as the others let it. */
        atomic_fetch_add(&line.monotonic_ms, (int64_t)crowd_pick(m, VISIBILITY_MAX_MS + 2));
        for (uint64_t i = crowd_pick(m, 8); i > 0; i--)
            sched_yield();
        if (what == 30)
            do_acknowledge(h);
        else
            do_release(m, h);
    }
}

static lk_status
consume(crowd_member *m, const char *pk)
{
    holding h[BATCH_MAX];
    int64_t visibility_ms =
        1 + (int64_t)crowd_pick(m, crowd_pick(m, 2) == 0 ? 5 : VISIBILITY_MAX_MS);
    lk_pull_options options = {.pk = lk_string(pk),
                               .visibility_ms = visibility_ms,
                               .max_jobs =
                                   1 + (crowd_pick(m, 4) == 0 ? crowd_pick(m, BATCH_MAX) : 0)};
    lk_status status = lk_queue_pull(line.db, &options, m->result);
    EXPECT(status == LK_OK || status == LK_EMPTY, (unsigned)status, 0);
    if (status != LK_OK)
        return status;
    size_t pulled = lk_result_count(m->result);
    EXPECT(pulled >= 1 && pulled <= options.max_jobs, pulled, options.max_jobs);
    for (size_t i = 0; i < pulled && i < BATCH_MAX; i++)
        hold(m, &h[i], i);
    for (size_t i = 0; i < pulled && i < BATCH_MAX; i++) {
        if (i + 1 < pulled) /* the result lends the keys: it is not used before the last one */
            crowd_pick(m, 8) == 0 ? do_release(m, &h[i]) : do_acknowledge(&h[i]);
        else
            do_something(m, &h[i]);
    }
    return status;
}

static void
consume_all(crowd_member *m)
{
    unsigned empty = 0;
    while (crowd_is_well() && empty < 20) {
        bool producing = atomic_load(&line.producing) > 0;
        lk_status status = consume(m, crowd_pick(m, 3) == 0 ? "second" : "first");
        uint64_t stride = crowd_pick(m, 8);
        if (status == LK_EMPTY)
            atomic_fetch_add(&line.monotonic_ms, (int64_t)crowd_pick(m, 20));
        else if (stride < 3)
            atomic_fetch_add(&line.monotonic_ms, (int64_t)stride);
        empty = status == LK_EMPTY && !producing ? empty + 1 : 0;
        if (status == LK_EMPTY || crowd_pick(m, 16) == 0)
            sched_yield();
    }
}

/* ---- readers ---- */

/* A job is there from its push until somebody takes it out, whoever holds it. */
static void
read_one(crowd_member *m, uint64_t job)
{
    fate *f = &line.fates[job];
    uint64_t counter = 0;
    if (!atomic_load(&f->published))
        return;
    lk_key key = {lk_string(queue_of(job)), {f->sk, f->sk_size}};
    bool done = atomic_load(&f->done) > 0;
    lk_status status = lk_get(line.db, key, m->result);
    EXPECT(status == LK_OK || status == LK_NOT_FOUND, (unsigned)status, job);
    if (status == LK_OK) {
        EXPECT(!done || atomic_load(&f->deleted), job, 0);
        EXPECT(crowd_value_check(lk_result_item(m->result, 0)->data, job, &counter), job, counter);
    } else {
        EXPECT(atomic_load(&f->touched), job, 0);
    }
}

static void
read_all(crowd_member *m)
{
    lk_query query = {.pk = lk_string(crowd_pick(m, 2) == 0 ? "first" : "second"),
                      .limit = crowd_pick(m, 2) == 0 ? 0 : 1 + crowd_pick(m, 100),
                      .reverse = crowd_pick(m, 2) == 0,
                      .relaxed = crowd_pick(m, 2) == 0};
    EXPECT_OK(lk_query_items(line.db, &query, m->result));
    for (size_t i = 0; i < lk_result_count(m->result); i++) {
        const lk_item *item = lk_result_item(m->result, i);
        uint64_t job = 0, counter;
        memcpy(&job, item->data.data, sizeof job);
        EXPECT(job < 2 * line.jobs && crowd_value_check(item->data, job, &counter), job, i);
        if (i == 0)
            continue;
        lk_bytes last = lk_result_item(m->result, i - 1)->key.sk, sk = item->key.sk;
        size_t size = last.size < sk.size ? last.size : sk.size;
        int order = memcmp(last.data, sk.data, size);
        order = order != 0 ? order : last.size < sk.size ? -1 : 1;
        EXPECT(query.reverse ? order > 0 : order < 0, i, lk_result_count(m->result));
    }
}

static void
delete_one(crowd_member *m, uint64_t job)
{
    fate *f = &line.fates[job];
    if (!atomic_load(&f->published))
        return;
    lk_key key = {lk_string(queue_of(job)), {f->sk, f->sk_size}};
    atomic_store(&f->deleted, true);
    atomic_store(&f->touched, true);
    EXPECT_OK(lk_delete(line.db, &key, 1));
    (void)m;
    count(&line.deletes);
}

static void
read_until_done(crowd_member *m)
{
    while (atomic_load(&line.producing) > 0 && crowd_is_well()) {
        uint64_t next = atomic_load(&line.next), job = crowd_pick(m, next + 1) % line.jobs;
        if (crowd_pick(m, 2) == 0 && next > 64) /* one of the last */
            job = (next - 1 - crowd_pick(m, 64)) % line.jobs;
        if (crowd_pick(m, 64) == 0)
            read_all(m);
        else if (crowd_pick(m, 8) == 0)
            delete_one(m, job);
        else
            read_one(m, job);
        count(&line.reads);
        if (crowd_pick(m, 8) == 0)
            sched_yield();
    }
}

/* ---- running ---- */

static void
line_member(crowd_member *m)
{
    if (m->index < PRODUCERS)
        produce(m);
    else if (m->index < PRODUCERS + CONSUMERS)
        consume_all(m);
    else
        read_until_done(m);
}

static void
line_open(uint64_t jobs, unsigned keyed)
{
    memset(&line, 0, sizeof line);
    line.jobs = test_scaled(jobs);
    line.jobs = line.jobs < JOBS_MAX ? line.jobs : JOBS_MAX;
    line.keyed = keyed;
    line.fates = calloc(2 * line.jobs, sizeof *line.fates);
    atomic_store(&line.monotonic_ms, 1000);
    atomic_store(&line.producing, PRODUCERS);
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.monotonic_ms = line_monotonic;
    EXPECT_OK(lk_memory_open(&options, &line.db));
}

/* What is left: abandoned jobs, released with delay. */
static void
line_drain(void)
{
    crowd_member m = {CROWD_MAX, crowd_seed(), NULL, lk_result_new()};
    lk_queue_statistics s;
    static const char *const pks[] = {"first", "second"};
    for (size_t i = 0; i < 2; i++) {
        lk_pull_options options = {.pk = lk_string(pks[i])};
        holding h;
        atomic_fetch_add(&line.monotonic_ms, LK_HOURS(1));
        while (crowd_is_well() && lk_queue_pull(line.db, &options, m.result) == LK_OK) {
            hold(&m, &h, 0);
            do_acknowledge(&h);
        }
        EXPECT_OK(lk_queue_stats(line.db, options.pk, &s));
        EXPECT(s.ready == 0 && s.delayed == 0, s.ready, s.delayed);
        EXPECT(s.claimed == 0, s.claimed, i);
    }
    lk_result_free(m.result);
}

static void
line_check(void)
{
    lk_result *result = lk_result_new();
    for (uint64_t job = 0; job < 2 * line.jobs && crowd_is_well(); job++) {
        fate *f = &line.fates[job];
        bool pushed = job < line.jobs || atomic_load(&line.fates[job - line.jobs].handed_over);
        bool deleted = atomic_load(&f->deleted);
        EXPECT(pushed ? deleted || f->done == 1 : f->done == 0, job, f->done);
        if (job >= line.jobs)
            continue;
        char sk[SK_ROOM];
        snprintf(sk, sizeof sk, "%llu", (unsigned long long)job);
        lk_status status = lk_get(line.db, lk_key_of("results", sk), result);
        EXPECT(status == (f->handed_over ? LK_OK : LK_NOT_FOUND), job, (unsigned)status);
        lk_key key = {lk_string("first"), {f->sk, f->sk_size}};
        status = lk_get(line.db, key, result);
        EXPECT(status == LK_NOT_FOUND || deleted, job, (unsigned)status);
    }
    lk_result_free(result);
}

static void
line_run(uint64_t jobs, unsigned keyed)
{
    line_open(jobs, keyed);
    crowd_run(PRODUCERS + CONSUMERS + READERS, line_member, NULL);
    if (crowd_is_well())
        line_drain();
    line_check();
    crowd_note("done", line.done);
    crowd_note("late", line.late);
    crowd_note("lost", line.lost);
    crowd_note("released", line.released);
    crowd_note("handed over", line.handed);
    crowd_note("deleted", line.deletes);
    lk_close(line.db);
    free(line.fates);
}

static void
run_generated(void)
{
    line_run(150000, 0);
}

static void
run_keyed(void)
{
    line_run(80000, 16);
}

static void
run_mixed(void)
{
    line_run(80000, 4);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {
        {"generated", run_generated}, {"keyed", run_keyed}, {"mixed", run_mixed}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
