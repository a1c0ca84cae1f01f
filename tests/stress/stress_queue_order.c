/* SPDX-License-Identifier: MIT
 *
 * Generated keys grow with time, over all threads, and batches of them are contiguous, whatever the wall clock does; a limit of the
 * depth holds at every instant. (The order of pulls, and LK_EMPTY: stress_queue_laws.c.)
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/crowd.h"

enum { PRODUCERS_MAX = 8, ULID = 26, BATCH_MAX = 40, BATCH_LARGE = 700, DEPTH = 50 };

typedef struct ulid {
    char text[ULID];
} ulid;

/* What one producer pushed. */
typedef struct source {
    ulid *keys;             /* [producer] until `returned` says so */
    uint32_t *batch;        /* the number of the batch of each */
    atomic_ullong begun;    /* jobs of pushes that began */
    atomic_ullong returned; /* .. that have returned */
    pthread_mutex_t mutex;
    ulid last; /* under the mutex */
} source;

static struct {
    lk_db *db;
    size_t producers, consumers;
    uint64_t jobs; /* of each producer */
    uint64_t largest;
    bool keyed;
    source sources[PRODUCERS_MAX];
    _Atomic(int64_t) realtime_ms;
    atomic_uint producing;
    atomic_ullong pulled, empty, busy;
    _Atomic(int64_t) inside; /* at most so many jobs are in the queue as this says, at least */
} test;

typedef struct letter {
    uint64_t producer, number;
} letter;

static int64_t
test_realtime(void *unused)
{
    (void)unused;
    return atomic_load(&test.realtime_ms);
}

static void
test_open(size_t producers, size_t consumers, uint64_t jobs, uint64_t largest)
{
    memset(&test, 0, sizeof test);
    test.producers = producers;
    test.consumers = consumers;
    test.jobs = test_scaled(jobs);
    test.largest = largest;
    atomic_store(&test.producing, (unsigned)producers);
    atomic_store(&test.realtime_ms, INT64_C(1700000000000));
    for (size_t i = 0; i < producers; i++) {
        test.sources[i].keys = calloc(test.jobs + BATCH_LARGE, sizeof(ulid));
        test.sources[i].batch = calloc(test.jobs + BATCH_LARGE, sizeof(uint32_t));
        pthread_mutex_init(&test.sources[i].mutex, NULL);
    }
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.realtime_ms = test_realtime;
    EXPECT_OK(lk_memory_open(&options, &test.db));
}

static void
test_close(void)
{
    lk_close(test.db);
    for (size_t i = 0; i < test.producers; i++) {
        pthread_mutex_destroy(&test.sources[i].mutex);
        free(test.sources[i].keys);
        free(test.sources[i].batch);
    }
}

/* ---- producers ---- */

/* The greatest key that a push which has returned was given. */
static ulid
greatest_key(void)
{
    ulid greatest = {{0}};
    for (size_t i = 0; i < test.producers; i++) {
        source *s = &test.sources[i];
        pthread_mutex_lock(&s->mutex);
        if (memcmp(s->last.text, greatest.text, ULID) > 0)
            greatest = s->last;
        pthread_mutex_unlock(&s->mutex);
    }
    return greatest;
}

/* One batch of the next jobs; its keys are above all that were there before it began. */
static void
push_batch(crowd_member *m, uint64_t first, uint64_t size, uint32_t batch)
{
    source *s = &test.sources[m->index];
    letter letters[BATCH_LARGE];
    lk_item items[BATCH_LARGE];
    ulid floor = greatest_key(), last = floor;
    for (uint64_t i = 0; i < size; i++) {
        letters[i] = (letter){m->index, first + i};
        items[i] = (lk_item){.key = lk_key_of("q", NULL), .data = {&letters[i], sizeof letters[i]}};
    }
    atomic_store(&s->begun, first + size);
    EXPECT_OK(lk_queue_push(test.db, items, size, NULL, m->result));
    EXPECT(lk_result_count(m->result) == size, lk_result_count(m->result), size);
    for (uint64_t i = 0; i < size && crowd_is_well(); i++) {
        lk_bytes sk = lk_result_item(m->result, i)->key.sk;
        EXPECT(sk.size == ULID && memcmp(last.text, sk.data, ULID) < 0, m->index, first + i);
        memcpy(last.text, sk.data, ULID);
        s->keys[first + i] = last;
        s->batch[first + i] = batch;
    }
    pthread_mutex_lock(&s->mutex);
    s->last = last;
    pthread_mutex_unlock(&s->mutex);
    atomic_store(&s->returned, first + size);
}

static void
produce(crowd_member *m)
{
    uint32_t batch = 0;
    for (uint64_t first = 0; first < test.jobs && crowd_is_well(); batch++) {
        uint64_t size = test.largest == 1        ? 1
                        : crowd_pick(m, 64) == 0 ? 1 + crowd_pick(m, test.largest)
                                                 : 1 + crowd_pick(m, BATCH_MAX);
        size = size < test.jobs - first ? size : test.jobs - first;
        push_batch(m, first, size, batch);
        first += size;
        if (crowd_pick(m, 8) == 0)
            atomic_fetch_add(&test.realtime_ms, (int64_t)crowd_pick(m, 20) - 9);
        if (crowd_pick(m, 16) == 0)
            sched_yield();
    }
    atomic_fetch_sub(&test.producing, 1);
}

/* ---- generated keys of all ---- */

typedef struct origin {
    ulid key;
    uint32_t producer, batch;
} origin;

static int
origin_compare(const void *left, const void *right)
{
    return memcmp(left, right, ULID);
}

/* All keys differ, no batch has another's job in it, and the partition holds exactly these, in order. */
static void
keys_check(origin *all, uint64_t count)
{
    uint64_t made = 0;
    for (size_t p = 0; p < test.producers; p++)
        for (uint64_t i = 0; i < test.jobs; i++, made++)
            all[made] = (origin){test.sources[p].keys[i], (uint32_t)p, test.sources[p].batch[i]};
    qsort(all, count, sizeof *all, origin_compare);
    uint32_t batches[PRODUCERS_MAX] = {0}; /* begun */
    for (uint64_t i = 0; i < count && crowd_is_well(); i++) {
        const origin *o = &all[i], *before = i == 0 ? NULL : &all[i - 1];
        EXPECT(before == NULL || memcmp(before->key.text, o->key.text, ULID) < 0, i, o->producer);
        if (before != NULL && before->producer == o->producer && before->batch == o->batch)
            continue;
        EXPECT(o->batch == batches[o->producer], o->batch, o->producer);
        batches[o->producer] = o->batch + 1;
    }
    lk_stream *stream = NULL;
    lk_query query = {.pk = lk_string("q")};
    lk_item item;
    uint64_t seen = 0;
    EXPECT_OK(lk_stream_open(test.db, &query, &stream));
    for (; lk_stream_next(stream, &item) == LK_OK && crowd_is_well(); seen++)
        EXPECT(seen < count && memcmp(item.key.sk.data, all[seen].key.text, ULID) == 0, seen,
               count);
    EXPECT(seen == count, seen, count);
    lk_stream_close(stream);
}

static void
run_keys(void)
{
    test_open(6, 0, 30000, BATCH_LARGE);
    crowd_run(6, produce, NULL);
    uint64_t count = test.producers * test.jobs;
    origin *all = calloc(count, sizeof *all);
    if (crowd_is_well())
        keys_check(all, count);
    free(all);
    crowd_note("keys", count);
    test_close();
}

/* ---- depth ---- */

static void
depth_produce(crowd_member *m)
{
    lk_push_options options = {.max_depth = DEPTH};
    lk_item items[5];
    char sk[5][24];
    for (uint64_t pushed = 0; pushed < test.jobs && crowd_is_well();) {
        size_t size = 1 + crowd_pick(m, 5);
        for (size_t i = 0; i < size; i++) {
            snprintf(sk[i], sizeof sk[i], "%zu-%llu", m->index, (unsigned long long)(pushed + i));
            items[i] = (lk_item){.key = lk_key_of("q", test.keyed ? sk[i] : NULL)};
        }
        lk_status status = lk_queue_push(test.db, items, size, &options, NULL);
        if (status == LK_BUSY) {
            atomic_fetch_add(&test.busy, 1);
            sched_yield();
            continue;
        }
        EXPECT_OK(status);
        /* Counted after they came, and uncounted before they go: there are at least so many. */
        int64_t inside = atomic_fetch_add(&test.inside, (int64_t)size) + (int64_t)size;
        EXPECT(inside <= DEPTH, inside, DEPTH);
        pushed += size;
    }
    atomic_fetch_sub(&test.producing, 1);
}

/* Not more are uncounted than were counted: a consumer may see a job before its producer has said so. */
static void
depth_consume(crowd_member *m)
{
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 4};
    for (;;) {
        bool producing = atomic_load(&test.producing) > 0;
        lk_status status = lk_queue_pull(test.db, &options, m->result);
        if (status == LK_EMPTY) {
            if (!producing || !crowd_is_well())
                return;
            sched_yield();
            continue;
        }
        EXPECT_OK(status);
        for (size_t i = 0; status == LK_OK && i < lk_result_count(m->result); i++) {
            atomic_fetch_sub(&test.inside, 1);
            EXPECT_OK(lk_queue_acknowledge(test.db, lk_result_claim(m->result, i), 1));
            atomic_fetch_add(&test.pulled, 1);
        }
    }
}

static void
depth_member(crowd_member *m)
{
    if (m->index < test.producers)
        depth_produce(m);
    else
        depth_consume(m);
}

static void
depth_run(bool keyed, uint64_t jobs)
{
    test_open(4, 2, jobs, 1);
    test.keyed = keyed;
    crowd_run(6, depth_member, NULL);
    lk_queue_statistics s;
    EXPECT_OK(lk_queue_stats(test.db, lk_string("q"), &s));
    EXPECT(s.ready + s.claimed + s.delayed == 0, s.ready, s.claimed);
    EXPECT(s.pushes == test.pulled && s.pulls == test.pulled, s.pushes, test.pulled);
    crowd_note("jobs", test.pulled);
    crowd_note("busy", test.busy);
    test_close();
}

static void
run_depth_generated(void)
{
    depth_run(false, 30000);
}

static void
run_depth_keyed(void)
{
    depth_run(true, 10000);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"keys", run_keys},
                                               {"depth_generated", run_depth_generated},
                                               {"depth_keyed", run_depth_keyed}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
