/* SPDX-License-Identifier: MIT
 *
 * The database of the adapter for LMDB under a process that is killed. A child's threads write at
 * random: items in pairs, groups of items that must stay equal, jobs that are pushed, pulled,
 * released, acknowledged, and commits that do all of it at once. What they are about to do, and
 * what was acknowledged, they note in memory that outlives them. The parent kills the child after a
 * random number of calls, looks at the file with LMDB alone, opens the database and compares: all
 * that was acknowledged is there; of the call that was under way all is there or nothing. Then a
 * few hours pass, the parent pulls what is left, in order, and the next child goes on.
 */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pthread.h>

#include "support/crowd.h"
#include "support/lmdb_check.h"
#include "support/lmdb_rig.h"

enum {
    WORKERS = 3,
    THINGS = 96, /* items that are set on their own, in neighbours of two */
    GROUPS = 6,  /* of items that are equal */
    MEMBERS = 4,
    JOBS_MAX = 1 << 16,
    HELD_MAX = 8,
    CALLS_MIN = 10,
    CALLS_SPREAD = 600
};

/* The call that is under way. NONE: there is none. DONE: it was acknowledged, and is not in the
 * books yet. */
enum { NONE, TRIED, DONE };

typedef struct attempt {
    atomic_int state;
    /* things and groups that get the value `fresh` */
    uint32_t first_thing, things;
    uint32_t group;
    bool of_group;
    uint64_t fresh;
    /* jobs that come, and one that goes */
    uint32_t first_job, jobs;
    uint32_t gone_job;
    bool goes;
} attempt;

/* What a worker has been told. */
typedef struct books {
    uint64_t thing[THINGS], group[GROUPS]; /* 0: there is none */
    uint64_t sum;                          /* of a number that commits add to */
    uint8_t job[JOBS_MAX];                 /* it is there */
    uint32_t next_job;
    uint64_t last_value;
    uint64_t version; /* the greatest that was handed out */
    attempt now;
} books;

static struct shared {
    _Atomic(int64_t) now_ms;
    atomic_ullong calls;
    atomic_int fault; /* line of what a child found wrong */
    lk_status fault_status;
    books books[WORKERS];
} * shared;

static char folder[LMDB_PATH_ROOM];
static uint64_t dice;

static int64_t
clock_of_the_test(void *unused)
{
    (void)unused;
    return atomic_load_explicit(&shared->now_ms, memory_order_relaxed);
}

static lk_status
database_open(lk_lmdb_sync sync, lk_db **db)
{
    lk_lmdb_options options = LK_LMDB_OPTIONS_INIT;
    options.map_size = (size_t)1 << 28;
    options.sync = sync;
    options.realtime_ms = options.monotonic_ms = clock_of_the_test;
    options.lock_ttl_ms = LK_HOURS(5); /* some lapse between two children */
    return lk_lmdb_open(folder, &options, db);
}

/* ---- names ---- */

typedef struct names {
    char pk[16], sk[16];
} names;

static lk_key
key_of(names *n, char kind, size_t worker, uint32_t thing, uint32_t member)
{
    snprintf(n->pk, sizeof n->pk, "%c%u", kind, (unsigned)worker);
    snprintf(n->sk, sizeof n->sk, "%05u.%u", thing, member);
    return lk_key_of(n->pk, n->sk);
}

/* ---- the child ---- */

typedef struct worker {
    size_t index;
    lk_db *db;
    books *books;
    uint64_t dice;
    lk_result *result, *pulled;
    unsigned char data[CROWD_VALUE_MAX];
    uint32_t held_job[HELD_MAX];
    lk_claim held[HELD_MAX];
    char held_key[HELD_MAX][2][32];
    size_t held_count;
} worker;

#define CHECK(condition, status)                    \
    do {                                            \
        if (!(condition)) {                         \
            shared->fault_status = (status);        \
            atomic_store(&shared->fault, __LINE__); \
            for (;;)                                \
                pause();                            \
        }                                           \
    } while (0)

static uint64_t
roll(worker *w, uint64_t below)
{
    return crowd_random(&w->dice) % below;
}

static attempt *
attempt_begin(worker *w)
{
    attempt *a = &w->books->now;
    a->things = a->jobs = 0;
    a->of_group = a->goes = false;
    a->fresh = ++w->books->last_value;
    return a;
}

/* The books, from an attempt that was done. */
static void
attempt_enter(books *b, attempt *a)
{
    for (uint32_t i = 0; i < a->things; i++)
        b->thing[a->first_thing + i] = a->fresh;
    if (a->of_group)
        b->group[a->group] = a->fresh;
    for (uint32_t i = 0; i < a->jobs; i++)
        b->job[a->first_job + i] = 1;
    if (a->goes)
        b->job[a->gone_job] = 0;
    if (a->of_group && a->goes)
        b->sum += a->fresh;
    atomic_store(&a->state, NONE);
}

static void
attempt_end(worker *w, lk_status status)
{
    attempt *a = &w->books->now;
    CHECK(status == LK_OK, status);
    atomic_store(&a->state, DONE);
    attempt_enter(w->books, a);
    atomic_fetch_add(&shared->calls, 1);
}

/* Two neighbours by one lk_set; or both are deleted. */
static void
do_things(worker *w, bool deletes)
{
    names n[2];
    lk_item items[2];
    lk_key keys[2];
    attempt *a = attempt_begin(w);
    a->first_thing = (uint32_t)roll(w, THINGS / 2) * 2;
    a->things = 2;
    if (deletes)
        a->fresh = 0;
    for (uint32_t i = 0; i < 2; i++) {
        keys[i] = key_of(&n[i], 't', w->index, a->first_thing + i, 0);
        size_t size = crowd_value(w->data, a->first_thing / 2, a->fresh);
        items[i] = (lk_item){keys[i], {w->data, size}, 0};
    }
    atomic_store(&a->state, TRIED);
    attempt_end(w, deletes ? lk_delete(w->db, keys, 2) : lk_set(w->db, items, 2));
}

/* Locks, and items that are equal, of a group. */
static void
group_read(worker *w, names *n, lk_lock *locks, uint32_t group)
{
    lk_key keys[MEMBERS];
    for (uint32_t i = 0; i < MEMBERS; i++)
        keys[i] = key_of(&n[i], 'g', w->index, group, i);
    lk_status status = lk_get_locked(w->db, keys, MEMBERS, locks, w->result);
    CHECK(status == LK_OK, status);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const lk_item *item = lk_result_item(w->result, i);
        uint64_t value = 0;
        CHECK(item == NULL || crowd_value_check(item->data, group, &value), LK_OK);
        CHECK(value == w->books->group[group], LK_OK);
    }
}

static void
versions_note(worker *w, const lk_lock *locks)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (locks[i].version > w->books->version)
            w->books->version = locks[i].version;
}

/* A group, and in half of the cases a job that goes, one that comes, one that goes back, and a
 * number that grows, in one step. */
static void
do_group(worker *w, bool jobs)
{
    names n[MEMBERS], queue, number;
    lk_lock locks[MEMBERS];
    lk_write writes[MEMBERS + 4];
    lk_item items[MEMBERS];
    char id[16];
    uint32_t group = (uint32_t)roll(w, GROUPS);
    group_read(w, n, locks, group);
    attempt *a = attempt_begin(w);
    a->of_group = true;
    a->group = group;
    size_t size = crowd_value(w->data, group, a->fresh);
    for (size_t i = 0; i < MEMBERS; i++) {
        items[i] = (lk_item){locks[i].key, {w->data, size}, 0};
        writes[i] = (lk_write){.kind = LK_PUT, .item = items[i]};
    }
    if (!jobs || w->held_count == 0) {
        atomic_store(&a->state, TRIED);
        lk_status status = lk_set_atomic(w->db, items, MEMBERS, locks, MEMBERS, NULL);
        versions_note(w, locks);
        attempt_end(w, status);
        return;
    }
    w->held_count--;
    a->goes = true;
    a->gone_job = w->held_job[w->held_count];
    a->first_job = w->books->next_job++;
    a->jobs = 1;
    snprintf(id, sizeof id, "%08u", a->first_job);
    lk_item next = {{key_of(&queue, 'q', w->index, 0, 0).pk, {NULL, 0}}, lk_string(id), 0};
    lk_push_options options = {.delay_ms = roll(w, 4) == 0 ? 1000 : 0};
    writes[MEMBERS] = (lk_write){.kind = LK_PUSH, .item = next, .push = &options};
    writes[MEMBERS + 1] = (lk_write){.kind = LK_ACKNOWLEDGE, .claim = &w->held[w->held_count]};
    writes[MEMBERS + 2] = (lk_write){.kind = LK_ADD, .delta = (int64_t)a->fresh};
    writes[MEMBERS + 2].item.key = key_of(&number, 'n', w->index, 0, 0);
    size_t releases = w->held_count != 0 && roll(w, 2) == 0;
    w->held_count -= releases;
    writes[MEMBERS + 3] = (lk_write){
        .kind = LK_RELEASE, .claim = &w->held[w->held_count], .delay_ms = (int64_t)roll(w, 500)};
    atomic_store(&a->state, TRIED);
    lk_status status = lk_commit(w->db, writes, MEMBERS + 3 + releases, locks, MEMBERS, NULL);
    versions_note(w, locks);
    attempt_end(w, status);
}

static void
do_push(worker *w)
{
    names queue;
    lk_item jobs[3];
    char ids[3][16];
    attempt *a = attempt_begin(w);
    a->first_job = w->books->next_job;
    a->jobs = 1 + (uint32_t)roll(w, 3);
    w->books->next_job += a->jobs;
    for (uint32_t i = 0; i < a->jobs; i++) {
        snprintf(ids[i], sizeof ids[i], "%08u", a->first_job + i);
        jobs[i] =
            (lk_item){{key_of(&queue, 'q', w->index, 0, 0).pk, {NULL, 0}}, lk_string(ids[i]), 0};
    }
    lk_push_options options = {.delay_ms = roll(w, 4) == 0 ? 1000 : 0};
    atomic_store(&a->state, TRIED);
    attempt_end(w, lk_queue_push(w->db, jobs, a->jobs, &options, NULL));
}

static void
do_pull(worker *w)
{
    names queue;
    lk_pull_options options = {.pk = key_of(&queue, 'q', w->index, 0, 0).pk,
                               .max_jobs = 1 + roll(w, 2),
                               .visibility_ms = LK_HOURS(1)};
    lk_status status =
        w->held_count + 2 > HELD_MAX ? LK_EMPTY : lk_queue_pull(w->db, &options, w->pulled);
    CHECK(status == LK_OK || status == LK_EMPTY, status);
    for (size_t i = 0; status == LK_OK && i < lk_result_count(w->pulled); i++) {
        const lk_item *item = lk_result_item(w->pulled, i);
        size_t at = w->held_count++;
        w->held[at] = *lk_result_claim(w->pulled, i);
        w->held_job[at] = (uint32_t)job_number(item);
        CHECK(w->books->job[w->held_job[at]] == 1, LK_OK);
        /* The key outlives the result. */
        memcpy(w->held_key[at][0], item->key.pk.data, item->key.pk.size);
        memcpy(w->held_key[at][1], item->key.sk.data, item->key.sk.size);
        w->held[at].key = (lk_key){{w->held_key[at][0], item->key.pk.size},
                                   {w->held_key[at][1], item->key.sk.size}};
    }
    atomic_fetch_add(&shared->calls, 1);
}

static void
do_acknowledge(worker *w)
{
    if (w->held_count == 0)
        return;
    attempt *a = attempt_begin(w);
    w->held_count--;
    a->goes = true;
    a->gone_job = w->held_job[w->held_count];
    atomic_store(&a->state, TRIED);
    attempt_end(w, lk_queue_acknowledge(w->db, &w->held[w->held_count], 1));
}

/* What changes nothing that the books know: a job goes back; an item that expires, at a time that
 * may be moved; a lock. */
static void
do_others(worker *w)
{
    names n;
    lk_lock lock;
    lk_status status;
    lk_item item = {key_of(&n, 'e', w->index, (uint32_t)roll(w, 50), 0), lk_string("e"), 0};
    item.expires_at_ms = clock_of_the_test(NULL) + (int64_t)roll(w, 3) * LK_HOURS(2);
    if (w->held_count != 0 && roll(w, 2) == 0) {
        w->held_count--;
        status = lk_queue_release(w->db, &w->held[w->held_count], roll(w, 2) == 0 ? 0 : 500);
    } else {
        status = roll(w, 2) == 0 ? lk_set(w->db, &item, 1)
                                 : lk_touch(w->db, item.key, item.expires_at_ms);
        status = status == LK_NOT_FOUND ? LK_OK : status;
    }
    CHECK(status == LK_OK, status);
    status = lk_get_lock(w->db, item.key, &lock);
    CHECK(status == LK_OK, status);
    if (lock.version > w->books->version)
        w->books->version = lock.version;
    atomic_fetch_add(&shared->calls, 1);
}

static void *
worker_main(void *argument)
{
    worker *w = argument;
    w->result = lk_result_new();
    w->pulled = lk_result_new();
    CHECK(w->result != NULL && w->pulled != NULL, LK_NO_MEMORY);
    while (w->books->next_job < JOBS_MAX - 8) {
        switch (roll(w, 10)) {
        case 0:
        case 1:
            do_things(w, roll(w, 6) == 0);
            break;
        case 2:
        case 3:
        case 4:
            do_group(w, roll(w, 2) == 0);
            break;
        case 5:
            do_push(w);
            break;
        case 6:
        case 7:
            do_pull(w);
            break;
        case 8:
            do_acknowledge(w);
            break;
        default:
            do_others(w);
        }
    }
    return NULL;
}

static void
child_main(lk_lmdb_sync sync, uint64_t seed)
{
    static worker workers[WORKERS];
    pthread_t threads[WORKERS];
    lk_db *db;
    lk_status status = database_open(sync, &db);
    CHECK(status == LK_OK, status);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i].index = i;
        workers[i].db = db;
        workers[i].books = &shared->books[i];
        workers[i].dice = seed * WORKERS + i;
        CHECK(pthread_create(&threads[i], NULL, worker_main, &workers[i]) == 0, LK_NO_MEMORY);
    }
    for (;;)
        pause();
}

/* ---- the parent looks ---- */

/* The value of a key of `number`; 0: none. */
static uint64_t
value_read(lk_db *db, lk_result *result, lk_key key, uint64_t number)
{
    uint64_t value = 0;
    lk_status status = lk_get(db, key, result);
    EXPECT(status == LK_OK || status == LK_NOT_FOUND, status, number);
    if (status == LK_OK)
        EXPECT(crowd_value_check(lk_result_item(result, 0)->data, number, &value), number, value);
    return value;
}

static uint64_t
number_read(lk_db *db, lk_key key)
{
    uint64_t number = 0;
    size_t size = 0;
    lk_status status = lk_get_into(db, key, &number, sizeof number, &size);
    EXPECT(status == LK_NOT_FOUND || (status == LK_OK && size == sizeof number), status, size);
    return number;
}

/* The ids of the jobs that are there; they come in the order in which they were pushed. */
static void
jobs_read(lk_db *db, lk_result *result, size_t who, uint8_t *there)
{
    names n;
    lk_query query = {.pk = key_of(&n, 'q', who, 0, 0).pk};
    EXPECT_OK(lk_query_items(db, &query, result));
    uint64_t last = 0;
    for (size_t i = 0; i < lk_result_count(result); i++) {
        uint64_t id = job_number(lk_result_item(result, i));
        EXPECT(id < JOBS_MAX && (i == 0 || id > last), id, last);
        there[id % JOBS_MAX] = 1;
        last = id;
    }
}

/* Of what was under way: was it done? By the first thing that tells; the rest has to agree. */
static bool
attempt_was_done(const attempt *a, const uint64_t *things, const uint64_t *groups,
                 const uint8_t *jobs)
{
    if (a->things != 0)
        return things[a->first_thing] == a->fresh;
    if (a->of_group)
        return groups[a->group] == a->fresh;
    if (a->jobs != 0)
        return jobs[a->first_job] != 0;
    return jobs[a->gone_job] == 0;
}

static void
books_compare(lk_db *db, lk_result *result, size_t who)
{
    static uint64_t things[THINGS], groups[GROUPS];
    static uint8_t jobs[JOBS_MAX];
    books *b = &shared->books[who];
    names n;
    for (uint32_t i = 0; i < THINGS; i++)
        things[i] = value_read(db, result, key_of(&n, 't', who, i, 0), i / 2);
    for (uint32_t i = 0; i < GROUPS; i++) {
        groups[i] = value_read(db, result, key_of(&n, 'g', who, i, 0), i);
        for (uint32_t k = 1; k < MEMBERS; k++)
            EXPECT(value_read(db, result, key_of(&n, 'g', who, i, k), i) == groups[i], i, k);
    }
    memset(jobs, 0, sizeof jobs);
    jobs_read(db, result, who, jobs);
    int state = atomic_load(&b->now.state);
    if (state == DONE || (state == TRIED && attempt_was_done(&b->now, things, groups, jobs)))
        attempt_enter(b, &b->now);
    atomic_store(&b->now.state, NONE);
    for (uint32_t i = 0; i < THINGS; i++)
        EXPECT(things[i] == b->thing[i], things[i], b->thing[i]);
    for (uint32_t i = 0; i < GROUPS; i++)
        EXPECT(groups[i] == b->group[i], groups[i], b->group[i]);
    uint64_t sum = number_read(db, key_of(&n, 'n', who, 0, 0));
    EXPECT(sum == b->sum, sum, b->sum);
    for (uint32_t i = 0; i < JOBS_MAX; i++)
        EXPECT(jobs[i] == b->job[i], i, b->job[i]);
    names fresh;
    lk_lock lock = {.version = 0};
    EXPECT_OK(lk_get_lock(db, key_of(&fresh, 'f', who, (uint32_t)(crowd_random(&dice) % 99999), 1),
                          &lock));
    EXPECT(lock.version > b->version, lock.version, b->version);
    b->version = lock.version;
}

/* All claims have lapsed, all delays are over: all jobs come, in order. */
static void
jobs_pull(lk_db *db, lk_result *result, size_t who)
{
    names n;
    books *b = &shared->books[who];
    lk_pull_options options = {
        .pk = key_of(&n, 'q', who, 0, 0).pk, .max_jobs = 7, .visibility_ms = LK_MINUTES(10)};
    uint32_t id = 0;
    lk_status status;
    while ((status = lk_queue_pull(db, &options, result)) == LK_OK) {
        for (size_t i = 0; i < lk_result_count(result); i++, id++) {
            while (id < JOBS_MAX && b->job[id] == 0)
                id++;
            EXPECT(job_number(lk_result_item(result, i)) == id, id,
                   job_number(lk_result_item(result, i)));
        }
    }
    EXPECT(status == LK_EMPTY, status, id);
    while (id < JOBS_MAX && b->job[id] == 0)
        id++;
    EXPECT(id == JOBS_MAX, id, who); /* none was left out */
    lk_queue_statistics stats;
    EXPECT_OK(lk_queue_stats(db, options.pk, &stats));
    EXPECT(stats.ready == 0 && stats.delayed == 0, stats.ready, stats.delayed);
}

/* ---- rounds ---- */

static void
child_kill(lk_lmdb_sync sync)
{
    uint64_t seed = crowd_random(&dice);
    uint64_t wanted = atomic_load(&shared->calls) + CALLS_MIN +
                      crowd_random(&dice) % (sync == LK_LMDB_SYNC_NEVER ? CALLS_SPREAD : 60);
    uint64_t spins = crowd_random(&dice) % 20000;
    pid_t child = fork();
    EXPECT(child >= 0, child, 0);
    if (child == 0)
        child_main(sync, seed);
    while (atomic_load(&shared->calls) < wanted && atomic_load(&shared->fault) == 0)
        sched_yield();
    for (volatile uint64_t i = 0; i < spins; i = i + 1) {} /* somewhere inside of the next call */
    kill(child, SIGKILL);
    int status;
    EXPECT(waitpid(child, &status, 0) == child, child, status);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, status, 0);
    EXPECT(atomic_load(&shared->fault) == 0, atomic_load(&shared->fault), shared->fault_status);
}

static void
round_check(lk_result *result)
{
    lk_db *db;
    EXPECT(lmdb_check_file(folder) == 0, 0, 0);
    lk_status status = database_open(LK_LMDB_SYNC_NEVER, &db);
    EXPECT(status == LK_OK, status, 0);
    if (status != LK_OK)
        return;
    for (size_t i = 0; i < WORKERS; i++)
        books_compare(db, result, i);
    atomic_fetch_add(&shared->now_ms, LK_HOURS(2));
    for (size_t i = 0; i < WORKERS; i++)
        jobs_pull(db, result, i);
    atomic_fetch_add(&shared->now_ms, LK_HOURS(1));
    lk_close(db);
    EXPECT(lmdb_check_file(folder) == 0, 1, 0);
}

static void
scenario_kill(void)
{
    lk_result *result = lk_result_new();
    uint64_t rounds = test_scaled(80);
    dice = crowd_seed();
    atomic_store(&shared->now_ms, KIT_START_MS);
    for (uint64_t i = 0; i < rounds && crowd_is_well(); i++) {
        child_kill(i % 4 == 3 ? LK_LMDB_SYNC_COMMIT : LK_LMDB_SYNC_NEVER);
        round_check(result);
    }
    crowd_note("rounds", rounds);
    crowd_note("calls", atomic_load(&shared->calls));
    lk_result_free(result);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"kill", scenario_kill}};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !lmdb_folder_make(folder))
        return 1;
    int status = crowd_main(argc, argv, scenarios, 1);
    lmdb_folder_remove(folder);
    return status;
}
