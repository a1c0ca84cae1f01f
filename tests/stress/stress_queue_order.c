/* SPDX-License-Identifier: MIT
 *
 * Generated keys grow with time, over all threads, and batches of them are contiguous, whatever the
 * wall clock does. (The order of pulls, LK_EMPTY, the depth: stress_queue_laws.c.)
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "support/crowd.h"

enum { PRODUCERS = 6, ULID = 26, BATCH_MAX = 40, BATCH_LARGE = 700 };

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
    uint64_t jobs; /* of each producer */
    source sources[PRODUCERS];
    _Atomic(int64_t) realtime_ms;
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
test_open(uint64_t jobs)
{
    memset(&test, 0, sizeof test);
    test.jobs = test_scaled(jobs);
    atomic_store(&test.realtime_ms, INT64_C(1700000000000));
    for (size_t i = 0; i < PRODUCERS; i++) {
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
    for (size_t i = 0; i < PRODUCERS; i++) {
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
    for (size_t i = 0; i < PRODUCERS; i++) {
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
        uint64_t size = 1 + crowd_pick(m, crowd_pick(m, 64) == 0 ? BATCH_LARGE : BATCH_MAX);
        size = size < test.jobs - first ? size : test.jobs - first;
        push_batch(m, first, size, batch);
        first += size;
        if (crowd_pick(m, 8) == 0)
            atomic_fetch_add(&test.realtime_ms, (int64_t)crowd_pick(m, 20) - 9);
        if (crowd_pick(m, 16) == 0)
            sched_yield();
    }
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

/* All keys differ, no batch has another's job in it, and the partition holds exactly these, in
 * order. */
static void
keys_check(origin *all, uint64_t count)
{
    uint64_t made = 0;
    for (size_t p = 0; p < PRODUCERS; p++)
        for (uint64_t i = 0; i < test.jobs; i++, made++)
            all[made] = (origin){test.sources[p].keys[i], (uint32_t)p, test.sources[p].batch[i]};
    qsort(all, count, sizeof *all, origin_compare);
    uint32_t batches[PRODUCERS] = {0}; /* begun */
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
    test_open(30000);
    crowd_run(PRODUCERS, produce, NULL);
    uint64_t count = PRODUCERS * test.jobs;
    origin *all = calloc(count, sizeof *all);
    if (crowd_is_well())
        keys_check(all, count);
    free(all);
    crowd_note("keys", count);
    test_close();
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"keys", run_keys}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
