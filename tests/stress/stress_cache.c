/* SPDX-License-Identifier: MIT
 *
 * Threads on few keys through a cache that is too small for them, so that fills, evictions, writes, deletes, purges and reads that join
 * others' all meet. Each value carries the number of its write.
 *
 * An owned key has one writer, which writes number after number in every way there is; each sixth number takes the key out. A pair is two
 * keys that commits under a lock raise together. For each read: not less than what had ended before it began, not less
 * than what the same reader has seen, not more than what has begun; of a pair, no side is behind what was seen
 * of the other. That a pair's number is the count of its commits shows that no commit was made upon something old.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "support/counted_db.h"
#include "support/crowd.h"

enum {
    OWNERS = 2,
    OWNED = 4, /* keys, in turn of each owner */
    PAIR_WRITERS = 2,
    PAIRS = 2,
    READERS = 3,
    NOISE = 12, /* keys that are only read */
    CYCLE = 6,
    ABSENT = 3, /* numbers of this remainder take the key out */
    PAIR_NUMBER = 100,
    NOISE_NUMBER = 200,
    MANY = 5,
    MEMORY_MAX = (64 + 16) << 20 /* what stalled readers may hold back, and the rest */
};

static struct {
    lk_db *store, *db;
    counted_db counted;
    bool faults;
    uint64_t writes; /* of each writer */
    char names[OWNED][12];
    lk_key owned[OWNED], pair[PAIRS][2], noise[NOISE];
    /* numbers of writes that have begun, and that have ended */
    atomic_ullong begun[OWNED], ended[OWNED], pair_ended[PAIRS], commits[PAIRS];
    atomic_uint writing;
    atomic_ullong reads, races;
} test;

static void
raise_to(atomic_ullong *number, uint64_t to)
{
    unsigned long long was = atomic_load(number);
    while (was < to && !atomic_compare_exchange_weak(number, &was, to)) {}
}

/* ---- the owner of a key ---- */

static lk_status
put_under_lock(const lk_item *item)
{
    lk_lock lock;
    lk_status status = lk_get_lock(test.db, item->key, &lock);
    return status != LK_OK ? status : lk_set_atomic(test.db, item, 1, &lock, 1, NULL);
}

static lk_status
commit_one(lk_write_kind kind, const lk_item *item)
{
    lk_write write = {.kind = kind, .item = *item};
    return lk_commit(test.db, &write, 1, NULL, 0, NULL);
}

/* The job is received once, and moves at the second pull. */
static lk_status
dead_letter(crowd_member *m, lk_key key)
{
    lk_pull_options options = {.pk = key.pk, .max_receives = 1, .dead_pk = lk_string("dead")};
    lk_status status = lk_queue_pull(test.db, &options, m->result);
    if (status == LK_OK)
        status = lk_queue_release(test.db, lk_result_claim(m->result, 0), 0);
    if (status != LK_OK)
        return status == LK_EMPTY ? LK_UNAVAILABLE : status;
    status = lk_queue_pull(test.db, &options, m->result);
    lk_key dead = {lk_string("dead"), key.sk};
    return status == LK_EMPTY ? lk_delete(test.db, &dead, 1) : LK_UNAVAILABLE;
}

/* What is there is a job: number ABSENT - 1 pushed it. */
static lk_status
take_out(crowd_member *m, lk_key key)
{
    lk_item item = {.key = key};
    lk_claim claim = {.key = key};
    switch (crowd_random(&m->random) % (test.faults ? 3 : 5)) {
    case 0:
        return lk_delete(test.db, &key, 1);
    case 1:
        return commit_one(LK_DELETE, &item);
    case 2:
        return lk_queue_purge(test.db, key.pk, NULL);
    case 3:
        return lk_queue_acknowledge(test.db, &claim, 1);
    default:
        return dead_letter(m, key);
    }
}

static lk_status
owned_write(crowd_member *m, size_t k, uint64_t number)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    lk_item item = {.key = test.owned[k], .data = {bytes[0], crowd_value(bytes[0], k, number)}};
    lk_item two[2] = {{.key = lk_key_of("aside", test.names[k]),
                       .data = {bytes[1], crowd_value(bytes[1], k, number)}},
                      item};
    switch (number % CYCLE) {
    case 0:
        return lk_set(test.db, &item, 1);
    case 1:
        return commit_one(LK_PUT, &item);
    case ABSENT - 1:
        return crowd_random(&m->random) % 2 != 0 ? lk_queue_push(test.db, &item, 1, NULL, m->result)
                                                 : commit_one(LK_PUSH, &item);
    case ABSENT:
        return take_out(m, item.key);
    case 4:
        return put_under_lock(&item);
    default:
        return lk_set(test.db, two, 2);
    }
}

/* Until it is done for sure: a database that fails may have done it. */
static void
owned_advance(crowd_member *m, size_t k)
{
    uint64_t number = atomic_load(&test.begun[k]) + 1, found = 0;
    lk_status status;
    atomic_store(&test.begun[k], number);
    do {
        status = owned_write(m, k, number);
        EXPECT(status == LK_OK || (test.faults && (status == LK_UNAVAILABLE ||
                                                   status == LK_UNKNOWN || status == LK_RACE)),
               (uint64_t)(unsigned)status, number);
    } while (status != LK_OK && crowd_is_well());
    atomic_store(&test.ended[k], number);
    do
        status = lk_get(test.db, test.owned[k], m->result);
    while (test.faults && status == LK_UNAVAILABLE);
    EXPECT(status == (number % CYCLE == ABSENT ? LK_NOT_FOUND : LK_OK), (uint64_t)(unsigned)status,
           number);
    if (status == LK_OK)
        EXPECT(crowd_value_check(lk_result_item(m->result, 0)->data, k, &found) && found == number,
               found, number);
}

/* ---- pairs ---- */

static lk_status
pair_write(size_t p, uint64_t number, lk_lock *lock)
{
    unsigned char bytes[2][CROWD_VALUE_MAX];
    lk_item items[2];
    for (size_t side = 0; side < 2; side++)
        items[side] = (lk_item){
            .key = test.pair[p][side],
            .data = {bytes[side], crowd_value(bytes[side], PAIR_NUMBER + p * 2 + side, number)}};
    return lk_set_atomic(test.db, items, 2, lock, 1, NULL);
}

/* One attempt after the other, each from a read through the cache. */
static void
pair_advance(crowd_member *m)
{
    size_t p = crowd_random(&m->random) % PAIRS;
    for (unsigned attempt = 0; crowd_is_well(); attempt++) {
        lk_lock lock;
        uint64_t number = 0;
        lk_status status = lk_get_lock(test.db, test.pair[p][0], &lock);
        if (status == LK_OK)
            status = lk_get(test.db, test.pair[p][0], m->result);
        if (status == LK_OK) {
            EXPECT(
                crowd_value_check(lk_result_item(m->result, 0)->data, PAIR_NUMBER + p * 2, &number),
                p, number);
            status = pair_write(p, number + 1, &lock);
        }
        if (status == LK_OK) {
            atomic_fetch_add(&test.commits[p], 1);
            raise_to(&test.pair_ended[p], number + 1);
            return;
        }
        EXPECT(status == LK_RACE || test.faults, (uint64_t)(unsigned)status, p);
        atomic_fetch_add_explicit(&test.races, status == LK_RACE, memory_order_relaxed);
        lk_backoff(attempt);
    }
}

/* ---- readers ---- */

typedef struct reader {
    crowd_member *m;
    uint64_t owned[OWNED], pair[PAIRS]; /* what it has seen */
} reader;

/* What is read, and what had ended when it began. */
typedef struct question {
    lk_key key;
    uint64_t number; /* of the key */
    uint64_t least;
} question;

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static question
question_draw(reader *r)
{
    uint64_t i = crowd_random(&r->m->random) % (2 * OWNED + 2 * PAIRS + NOISE);
    if (i < 2 * OWNED) {
        i /= 2;
        return (question){test.owned[i], i, larger(atomic_load(&test.ended[i]), r->owned[i])};
    }
    i -= 2 * OWNED;
    if (i < 2 * PAIRS)
        return (question){test.pair[i / 2][i % 2], PAIR_NUMBER + i,
                          larger(atomic_load(&test.pair_ended[i / 2]), r->pair[i / 2])};
    i -= 2 * PAIRS;
    return (question){test.noise[i], NOISE_NUMBER + i, 1};
}

/* `data` NULL: there was none. */
static void
answer_judge(reader *r, const question *q, const lk_bytes *data)
{
    uint64_t found = 0;
    if (data != NULL)
        EXPECT(crowd_value_check(*data, q->number, &found), q->number, found);
    if (q->number < OWNED) {
        if (data == NULL) /* the least number that it may have been */
            for (found = q->least; found % CYCLE != ABSENT;)
                found++;
        else
            EXPECT(found % CYCLE != ABSENT, q->number, found);
        EXPECT(found <= atomic_load(&test.begun[q->number]), q->number, found);
        r->owned[q->number] = larger(r->owned[q->number], found);
    } else {
        EXPECT(data != NULL, q->number, q->least);
        if (q->number < NOISE_NUMBER) {
            size_t p = (size_t)(q->number - PAIR_NUMBER) / 2;
            r->pair[p] = larger(r->pair[p], found);
        } else {
            EXPECT(found == 1, q->number, found);
        }
    }
    EXPECT(found >= q->least, found, q->least);
}

static bool
is_fault(lk_status status)
{
    return test.faults && status == LK_UNAVAILABLE;
}

static void
read_one(reader *r)
{
    unsigned char buffer[CROWD_VALUE_MAX];
    question q = question_draw(r);
    lk_bytes data = {buffer, 0};
    lk_status status;
    if (crowd_random(&r->m->random) % 3 == 0) {
        status = lk_get_into(test.db, q.key, buffer, sizeof buffer, &data.size);
    } else {
        status = lk_get(test.db, q.key, r->m->result);
        if (status == LK_OK)
            data = lk_result_item(r->m->result, 0)->data;
    }
    if (is_fault(status))
        return;
    EXPECT(status == LK_OK || status == LK_NOT_FOUND, (uint64_t)(unsigned)status, q.number);
    answer_judge(r, &q, status == LK_OK ? &data : NULL);
}

/* No snapshot: each key is judged by itself. One key twice now and then. */
static void
read_many(reader *r)
{
    question q[MANY];
    lk_key keys[MANY];
    for (size_t i = 0; i < MANY; i++) {
        q[i] = i > 0 && crowd_random(&r->m->random) % 4 == 0 ? q[i - 1] : question_draw(r);
        keys[i] = q[i].key;
    }
    lk_status status = lk_get_many(test.db, keys, MANY, r->m->result);
    if (is_fault(status))
        return;
    EXPECT_OK(status);
    for (size_t i = 0; i < MANY && status == LK_OK; i++) {
        const lk_item *item = lk_result_item(r->m->result, i);
        answer_judge(r, &q[i], item != NULL ? &item->data : NULL);
    }
}

static void
reader_run(crowd_member *m)
{
    reader r = {.m = m};
    for (size_t k = 0; k < OWNED; k++)
        r.owned[k] = ABSENT;
    for (uint64_t turn = 0; atomic_load(&test.writing) > 0 && crowd_is_well(); turn++) {
        if (crowd_random(&m->random) % 4 == 0)
            read_many(&r);
        else
            read_one(&r);
        if (turn % 1024 == 0) {
            lk_statistics s;
            EXPECT(crowd_allocated() < MEMORY_MAX, crowd_allocated(), turn);
            EXPECT_OK(lk_statistics_read(test.db, &s));
            EXPECT(s.cache_misses < (uint64_t)1 << 40, s.cache_misses, s.cache_hits);
        }
        atomic_fetch_add_explicit(&test.reads, 1, memory_order_relaxed);
    }
}

static void
member(crowd_member *m)
{
    if (m->index >= OWNERS + PAIR_WRITERS) {
        reader_run(m);
        return;
    }
    for (uint64_t i = 0; i < test.writes && crowd_is_well(); i++) {
        if (m->index >= OWNERS)
            pair_advance(m);
        else
            owned_advance(m, m->index + OWNERS * (crowd_random(&m->random) % (OWNED / OWNERS)));
    }
    atomic_fetch_sub(&test.writing, 1);
}

/* ---- one scenario ---- */

static void
keys_make(void)
{
    static char names[PAIRS * 2 + NOISE][12];
    for (size_t k = 0; k < OWNED; k++) {
        snprintf(test.names[k], sizeof test.names[k], "owned%zu", k);
        test.owned[k] = lk_key_of(test.names[k], test.names[k]);
        atomic_store(&test.begun[k], ABSENT);
        atomic_store(&test.ended[k], ABSENT);
    }
    for (size_t i = 0; i < PAIRS * 2 + NOISE; i++) {
        snprintf(names[i], sizeof names[i], "%zu", i);
        lk_key key;
        uint64_t number = NOISE_NUMBER + i - PAIRS * 2;
        if (i < PAIRS * 2) {
            key = lk_key_of(i % 2 == 0 ? "a" : "b", names[i / 2]);
            number = PAIR_NUMBER + i;
            test.pair[i / 2][i % 2] = key;
        } else {
            key = lk_key_of("noise", names[i]);
            test.noise[i - PAIRS * 2] = key;
        }
        EXPECT_OK(crowd_set(test.store, key, number, 1));
    }
    for (size_t p = 0; p < PAIRS; p++) {
        atomic_store(&test.pair_ended[p], 1);
        atomic_store(&test.commits[p], 1);
    }
}

static void
pairs_check(void)
{
    uint64_t number = 0;
    lk_result *result = lk_result_new();
    for (size_t i = 0; i < PAIRS * 2; i++) {
        EXPECT_OK(lk_get(test.store, test.pair[i / 2][i % 2], result));
        EXPECT(crowd_value_check(lk_result_item(result, 0)->data, PAIR_NUMBER + i, &number), i, 0);
        uint64_t commits = atomic_load(&test.commits[i / 2]);
        EXPECT(number == commits || (test.faults && number > commits), number, commits);
    }
    lk_result_free(result);
}

static void
run(const lk_cache_options *options, unsigned yield_one_in, unsigned fail_one_in)
{
    lk_memory_options memory = LK_MEMORY_OPTIONS_INIT;
    crowd_allocator(&memory);
    memory.shards = 4;
    lki_default_allocator = (lki_allocator){memory.allocate, memory.deallocate, NULL};
    test.faults = fail_one_in != 0;
    test.writes = test_scaled(25000);
    atomic_store(&test.writing, OWNERS + PAIR_WRITERS);
    atomic_store(&test.reads, 0);
    atomic_store(&test.races, 0);
    EXPECT_OK(lk_memory_open(&memory, &test.store));
    keys_make();
    EXPECT_OK(counted_open(&test.counted, test.store, 0));
    atomic_store(&test.counted.yield_one_in, yield_one_in);
    atomic_store(&test.counted.fail_one_in, fail_one_in);
    EXPECT_OK(lk_cache_open(test.counted.db, options, &test.db));
    crowd_run(OWNERS + PAIR_WRITERS + READERS, member, NULL);
    atomic_store(&test.counted.fail_one_in, 0);
    lk_statistics s = {0};
    EXPECT_OK(lk_statistics_read(test.db, &s));
    crowd_note("reads", atomic_load(&test.reads));
    crowd_note("hits", s.cache_hits);
    crowd_note("joined", s.cache_joined);
    crowd_note("dropped", s.cache_dropped);
    crowd_note("evictions", s.cache_evictions);
    EXPECT(s.cache_hits > 0 && s.cache_misses > 0, s.cache_hits, s.cache_misses);
    EXPECT(options->max_items == 0 || s.cache_items <= options->max_items, s.cache_items, 0);
    EXPECT(options->max_bytes == 0 || s.cache_bytes <= options->max_bytes, s.cache_bytes, 0);
    pairs_check();
    lk_close(test.db);
    counted_close(&test.counted);
    lk_close(test.store);
    lk_thread_detach();
    EXPECT(crowd_allocated() == 0, crowd_allocated(), 0);
    lki_default_allocator = (lki_allocator){NULL, NULL, NULL};
}

static void
run_tiny(void)
{
    run(&(lk_cache_options){.max_items = 3}, 8, 0);
}

static void
run_tiny_lru(void)
{
    run(&(lk_cache_options){.max_items = 3, .policy = LK_CACHE_LRU, .keep_missing = true}, 8, 0);
}

static void
run_bytes(void)
{
    run(&(lk_cache_options){.max_bytes = 1500, .keep_missing = true}, 8, 0);
}

static void
run_bytes_lru(void)
{
    run(&(lk_cache_options){.max_bytes = 1500, .policy = LK_CACHE_LRU}, 8, 0);
}

static void
run_roomy(void)
{
    run(&(lk_cache_options){.max_items = 100000, .keep_missing = true}, 16, 0);
}

static void
run_roomy_lru(void)
{
    run(&(lk_cache_options){.max_items = 100000, .policy = LK_CACHE_LRU}, 16, 0);
}

static void
run_apart(void)
{
    run(&(lk_cache_options){.max_items = 12, .load_wait_ms = -1, .max_age_ms = 1}, 8, 0);
}

static void
run_faults(void)
{
    run(&(lk_cache_options){.max_items = 12, .keep_missing = true}, 8, 10);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"tiny", run_tiny},   {"tiny_lru", run_tiny_lru},
                                               {"bytes", run_bytes}, {"bytes_lru", run_bytes_lru},
                                               {"roomy", run_roomy}, {"roomy_lru", run_roomy_lru},
                                               {"apart", run_apart}, {"faults", run_faults}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
