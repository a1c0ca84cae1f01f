/* SPDX-License-Identifier: MIT
 *
 * What is retired counts with all its bytes; without a reader it comes back at once; with one,
 * writers wait for it a while before they are told LK_BUSY; and nothing is ever too old to go.
 */
#include <pthread.h>
#include <sched.h>

#include "adapter/handle.h"
#include "store/store.h"
#include "support/kit.h"

enum { LIMIT = 4 << 20, SLACK = 1 << 20 };

/* ---- a reader that stays in a section ---- */

typedef struct reader {
    pthread_t thread;
    pthread_barrier_t turn;
    kit *k;
    atomic_bool leaves_when_full; /* as soon as more than the limit is retired */
} reader;

static void *
reader_run(void *context)
{
    reader *r = context;
    lk_read_begin(r->k->db);
    pthread_barrier_wait(&r->turn);
    if (atomic_load(&r->leaves_when_full))
        while (kit_statistics(r->k).retired_bytes <= LIMIT)
            sched_yield();
    else
        pthread_barrier_wait(&r->turn);
    lk_read_end(r->k->db);
    return NULL;
}

static void
reader_start(reader *r, kit *k, bool leaves_when_full)
{
    *r = (reader){.k = k};
    atomic_store(&r->leaves_when_full, leaves_when_full);
    pthread_barrier_init(&r->turn, NULL, 2);
    assert_int_equal(pthread_create(&r->thread, NULL, reader_run, r), 0);
    pthread_barrier_wait(&r->turn);
}

static void
reader_end(reader *r)
{
    if (!atomic_load(&r->leaves_when_full))
        pthread_barrier_wait(&r->turn);
    pthread_join(r->thread, NULL);
    pthread_barrier_destroy(&r->turn);
}

/* ---- what leaves something behind, once each ---- */

typedef struct work {
    kit *k;
    char data[64 * 1024];
    uint64_t i;
} work;

static lk_item
work_item(work *w, size_t size)
{
    lk_item item = {.key = lkc_numbered("p", w->i), .data = {w->data, size}};
    return item;
}

static lk_status
pull(work *w, uint32_t max_receives)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("q");
    options.max_receives = max_receives;
    options.dead_pk = lk_string("dead");
    options.visibility_ms = 1;
    return lk_queue_pull(w->k->db, &options, w->k->result);
}

static lk_status
push_and_pull(work *w, size_t size, bool keyed)
{
    lk_item job = work_item(w, size);
    job.key.pk = lk_string("q");
    if (!keyed)
        job.key.sk = (lk_bytes){NULL, 0};
    lk_status status = lk_queue_push(w->k->db, &job, 1, NULL, NULL);
    return status == LK_OK ? pull(w, 0) : status;
}

static lk_status
acknowledge(work *w, size_t size, bool keyed)
{
    lk_status status = push_and_pull(w, size, keyed);
    return status == LK_OK ? lk_queue_acknowledge(w->k->db, lk_result_claim(w->k->result, 0), 1)
                           : status;
}

static lk_status
small_job_acknowledged(work *w)
{
    return acknowledge(w, 64, false);
}

static lk_status
job_acknowledged(work *w)
{
    return acknowledge(w, 2000, false);
}

static lk_status
big_job_acknowledged(work *w)
{
    return acknowledge(w, sizeof w->data, false);
}

static lk_status
big_job_with_key_acknowledged(work *w)
{
    return acknowledge(w, sizeof w->data, true);
}

static lk_status
big_job_acknowledged_in_a_commit(work *w)
{
    lk_status status = push_and_pull(w, sizeof w->data, false);
    lk_write write = {.kind = LK_ACKNOWLEDGE, .claim = lk_result_claim(w->k->result, 0)};
    return status == LK_OK ? lk_commit(w->k->db, &write, 1, NULL, 0, NULL) : status;
}

static lk_status
big_job_deleted(work *w)
{
    lk_status status = push_and_pull(w, sizeof w->data, false);
    return status == LK_OK ? lk_delete(w->k->db, &lk_result_item(w->k->result, 0)->key, 1) : status;
}

static lk_status
big_job_purged(work *w)
{
    lk_status status = push_and_pull(w, sizeof w->data, false);
    return status == LK_OK ? lk_queue_purge(w->k->db, lk_string("q"), NULL) : status;
}

static lk_status
item_set_and_deleted(work *w)
{
    lk_item item = work_item(w, 64);
    lk_status status = lk_set(w->k->db, &item, 1);
    return status == LK_OK ? lk_delete(w->k->db, &item.key, 1) : status;
}

static lk_status
partition_set_and_deleted(work *w)
{
    char pk[24];
    snprintf(pk, sizeof pk, "p%d", (int)w->i);
    lk_item item = work_item(w, 64);
    item.key.pk = lk_string(pk);
    lk_status status = lk_set(w->k->db, &item, 1);
    return status == LK_OK ? lk_delete(w->k->db, &item.key, 1) : status;
}

static lk_status
lock_made_and_deleted(work *w)
{
    lk_lock lock;
    lk_key key = lkc_numbered("p", w->i);
    lk_status status = lk_get_lock(w->k->db, key, &lock);
    return status == LK_OK ? lk_delete(w->k->db, &key, 1) : status;
}

static lk_status
item_replaced(work *w)
{
    w->i = 0;
    lk_item item = work_item(w, 2000);
    return lk_set(w->k->db, &item, 1);
}

static const struct {
    const char *name;
    lk_status (*once)(work *);
} kinds[] = {
    {"a small job, acknowledged", small_job_acknowledged},
    {"a job of 2,000 bytes, acknowledged", job_acknowledged},
    {"a big job, acknowledged", big_job_acknowledged},
    {"a big job with a key, acknowledged", big_job_with_key_acknowledged},
    {"a big job, acknowledged in a commit", big_job_acknowledged_in_a_commit},
    {"a big job, deleted", big_job_deleted},
    {"a big job, purged", big_job_purged},
    {"an item, deleted", item_set_and_deleted},
    {"an item of its own partition, deleted", partition_set_and_deleted},
    {"a lock, deleted", lock_made_and_deleted},
    {"an item, replaced", item_replaced},
};

/* A status of `once`, until it is not LK_OK. */
static lk_status
work_until_refused(work *w, lk_status (*once)(work *), uint64_t most)
{
    lk_status status = LK_OK;
    for (uint64_t i = 0; i < most && status == LK_OK; i++, w->i++)
        status = once(w);
    return status;
}

static void
test_all_that_a_reader_holds_back_is_counted(void **state)
{
    (void)state;
    work *w = calloc(1, sizeof *w);
    for (size_t i = 0; i < KIT_COUNT(kinds); i++) {
        kit k;
        reader r;
        kit_open(&k, &(lk_memory_options){.max_retired_bytes = LIMIT});
        *w = (work){.k = &k};
        assert_status(LK_OK, kinds[i].once(w));
        reader_start(&r, &k, false);
        size_t before = atomic_load(&k.memory.bytes);
        lk_status status = work_until_refused(w, kinds[i].once, 200000);
        size_t held = atomic_load(&k.memory.bytes) - before;
        uint64_t said = kit_statistics(&k).retired_bytes;
        reader_end(&r);
        if (status != LK_BUSY || held > LIMIT + LIMIT / 2 + SLACK || said + SLACK < held - held / 3)
            fail_msg("%s: %s after %d, %zu bytes held, %zu said", kinds[i].name,
                     lk_status_string(status), (int)w->i, held, (size_t)said);
        kit_sweep(&k);
        assert_int_equal(kit_statistics(&k).retired_bytes, 0);
        kit_close(&k);
    }
    free(w);
}

/* Its last segment, pages, directory, and counters. */
static void
test_queue_that_goes_counts_with_all_it_has(void **state)
{
    (void)state;
    enum { QUEUES = 8, JOBS = 700, IDLE_MS = 61 * 1000 };
    kit k;
    reader r;
    kit_open(&k, NULL);
    lk_pull_options options = {.max_jobs = JOBS};
    static lk_item items[JOBS];
    static lk_claim claims[JOBS];
    for (uint64_t q = 0; q < QUEUES; q++) {
        options.pk = lkc_numbered("q", q).sk;
        for (size_t i = 0; i < JOBS; i++)
            items[i] = (lk_item){.key.pk = options.pk, .data = lk_string("sixteen bytes...")};
        assert_status(LK_OK, lk_queue_push(k.db, items, JOBS, NULL, NULL));
        assert_status(LK_OK, lk_queue_pull(k.db, &options, k.result));
        for (size_t i = 0; i < JOBS; i++)
            claims[i] = *lk_result_claim(k.result, i);
        assert_status(LK_OK, lk_queue_acknowledge(k.db, claims, JOBS));
    }
    for (int i = 0; i < 2; i++) { /* looked at once as used */
        kit_sweep(&k);
        kit_advance(&k, IDLE_MS);
    }
    reader_start(&r, &k, false);
    size_t before = atomic_load(&k.memory.bytes);
    assert_status(LK_OK, lk_sweep(k.db, 0, NULL));
    size_t said = kit_statistics(&k).retired_bytes;
    reader_end(&r);
    kit_sweep(&k);
    size_t freed = before - atomic_load(&k.memory.bytes);
    if (freed < QUEUES * 8000 || said < freed / 20 * 19 || said > freed / 20 * 23)
        fail_msg("%zu bytes were said to be retired, %zu were freed", said, freed);
    kit_close(&k);
}

static void
test_big_jobs_come_back_at_once_without_a_reader(void **state)
{
    (void)state;
    enum { BIG = 2 << 20 };
    kit k;
    kit_open(&k, NULL);
    work w = {.k = &k};
    char *data = calloc(1, BIG);
    size_t before = 0;
    for (int i = 0; i < 50; i++) {
        lk_item job = {.key = lk_key_of("q", NULL), .data = {data, BIG}};
        assert_status(LK_OK, lk_queue_push(k.db, &job, 1, NULL, NULL));
        assert_status(LK_OK, pull(&w, 0));
        assert_status(LK_OK, lk_queue_acknowledge(k.db, lk_result_claim(k.result, 0), 1));
        if (i == 0)
            before = atomic_load(&k.memory.bytes);
        assert_true(atomic_load(&k.memory.bytes) < before + 2 * BIG);
    }
    free(data);
    kit_close(&k);
}

/* ---- calls that take out, or replace, more than the limit ---- */

enum { MANY = 128 }; /* of 64 KiB each: twice the limit */

typedef struct many {
    kit k;
    lk_item items[MANY];
    lk_key keys[MANY];
    char names[MANY][8];
    char data[64 * 1024];
} many;

static lk_status
many_acknowledged(many *m)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("q");
    options.max_jobs = MANY;
    lk_claim claims[MANY];
    assert_status(LK_OK, lk_queue_pull(m->k.db, &options, m->k.result));
    assert_int_equal(lk_result_count(m->k.result), MANY);
    for (size_t i = 0; i < MANY; i++)
        claims[i] = *lk_result_claim(m->k.result, i);
    return lk_queue_acknowledge(m->k.db, claims, MANY);
}

static lk_status
many_purged(many *m)
{
    return lk_queue_purge(m->k.db, lk_string("q"), NULL);
}

static lk_status
many_deleted(many *m)
{
    return lk_delete(m->k.db, m->keys, MANY);
}

static lk_status
many_replaced(many *m)
{
    return lk_set(m->k.db, m->items, MANY);
}

static lk_status
many_swept(many *m)
{
    atomic_fetch_add(&m->k.now_ms, 10000);
    return lk_sweep(m->k.db, 0, NULL);
}

static const struct {
    const char *name;
    lk_status (*call)(many *);
    bool keyed;
    bool touched; /* by a set: their heads are in use */
    bool expires;
} calls[] = {
    {"jobs, acknowledged", many_acknowledged, false, false, false},
    {"jobs that were set, acknowledged", many_acknowledged, false, true, false},
    {"jobs with keys, acknowledged", many_acknowledged, true, false, false},
    {"jobs, purged", many_purged, false, false, false},
    {"jobs that were set, purged", many_purged, false, true, false},
    {"jobs with keys, purged", many_purged, true, false, false},
    {"jobs, deleted", many_deleted, false, false, false},
    {"jobs with keys, deleted", many_deleted, true, false, false},
    {"jobs with keys, replaced", many_replaced, true, false, false},
    {"jobs with keys that have expired, swept", many_swept, true, false, true},
};

static void
many_begin(many *m, size_t i)
{
    kit_open(&m->k, &(lk_memory_options){.max_retired_bytes = LIMIT});
    int64_t expires = calls[i].expires ? atomic_load(&m->k.now_ms) + 5000 : 0;
    for (size_t n = 0; n < MANY; n++) {
        snprintf(m->names[n], sizeof m->names[n], "%03zu", n);
        m->items[n] = (lk_item){lk_key_of("q", calls[i].keyed ? m->names[n] : NULL),
                                {m->data, sizeof m->data},
                                expires};
    }
    assert_status(LK_OK, lk_queue_push(m->k.db, m->items, MANY, NULL, m->k.result));
    static char sk[MANY][LK_ULID_SIZE];
    for (size_t n = 0; n < MANY; n++) {
        lk_key key = lk_result_item(m->k.result, n)->key;
        memcpy(sk[n], key.sk.data, key.sk.size);
        m->keys[n] = m->items[n].key = (lk_key){lk_string("q"), {sk[n], key.sk.size}};
    }
    if (calls[i].touched)
        assert_status(LK_OK, lk_set(m->k.db, m->items, MANY));
}

static void
test_no_call_is_busy_by_its_own_garbage(void **state)
{
    (void)state;
    many *m = calloc(1, sizeof *m);
    for (size_t i = 0; i < KIT_COUNT(calls); i++) {
        many_begin(m, i);
        lk_status status = calls[i].call(m);
        if (status != LK_OK)
            fail_msg("%s: %s", calls[i].name, lk_status_string(status));
        kit_close(&m->k);
    }
    free(m);
}

static void
test_a_call_of_many_stops_at_the_limit_while_a_reader_stays(void **state)
{
    (void)state;
    many *m = calloc(1, sizeof *m);
    for (size_t i = 0; i < KIT_COUNT(calls); i++) {
        reader r;
        many_begin(m, i);
        reader_start(&r, &m->k, false);
        lk_status status = calls[i].call(m);
        uint64_t said = kit_statistics(&m->k).retired_bytes;
        reader_end(&r);
        if (status != LK_BUSY || said > LIMIT + SLACK)
            fail_msg("%s: %s, %zu said", calls[i].name, lk_status_string(status), (size_t)said);
        kit_close(&m->k);
    }
    free(m);
}

static void
test_what_expires_goes_beyond_the_limit_by_no_more_than_a_step(void **state)
{
    (void)state;
    many *m = calloc(1, sizeof *m);
    for (int kind = 0; kind < 3; kind++) { /* plain jobs, jobs with keys, items */
        reader r;
        kit_open(&m->k, &(lk_memory_options){.max_retired_bytes = LIMIT});
        for (uint64_t i = 0; i < MANY; i++) {
            lk_item item = {.key = lkc_numbered("q", i), .data = {m->data, sizeof m->data}};
            item.expires_at_ms = atomic_load(&m->k.now_ms) + 5000;
            if (kind == 0)
                item.key.sk = (lk_bytes){NULL, 0};
            assert_status(LK_OK, kind == 2 ? lk_set(m->k.db, &item, 1)
                                           : lk_queue_push(m->k.db, &item, 1, NULL, NULL));
        }
        reader_start(&r, &m->k, false);
        kit_advance(&m->k, 10000);
        lk_item item = kit_item("p", "0", "x");
        for (lk_status status = LK_OK; status == LK_OK;)
            status = lk_set(m->k.db, &item, 1);
        assert_true(kit_statistics(&m->k).retired_bytes < LIMIT + SLACK);
        reader_end(&r);
        kit_sweep(&m->k);
        assert_int_equal(kit_statistics(&m->k).cells, 1);
        kit_close(&m->k);
    }
    free(m);
}

/* What has expired is memory that the reader keeps, swept or not. */
static void
test_items_that_expire_are_bounded_while_a_reader_stays(void **state)
{
    (void)state;
    reader r;
    many *m = calloc(1, sizeof *m);
    kit_open(&m->k, &(lk_memory_options){.max_retired_bytes = LIMIT});
    reader_start(&r, &m->k, false);
    size_t before = atomic_load(&m->k.memory.bytes);
    lk_status status = LK_OK;
    for (uint64_t i = 0; i < 4000 && status == LK_OK; i++) { /* 250 MiB */
        lk_item item = {lkc_numbered("p", i), {m->data, sizeof m->data}, 1};
        status = lk_set(m->k.db, &item, 1);
    }
    size_t held = atomic_load(&m->k.memory.bytes) - before;
    reader_end(&r);
    assert_status(LK_BUSY, status);
    assert_true(held < 10 * LIMIT); /* the sweep is a few hundred behind */
    kit_close(&m->k);
    free(m);
}

/* ---- before LK_BUSY ---- */

static void
test_writer_waits_for_a_reader_that_leaves(void **state)
{
    (void)state;
    work *w = calloc(1, sizeof *w);
    enum { ROUNDS = 8 };
    int refused = 0; /* the reader may lose its processor for longer than a writer waits */
    for (int round = 0; round < ROUNDS; round++) {
        kit k;
        reader r;
        kit_open(&k, &(lk_memory_options){.max_retired_bytes = LIMIT});
        *w = (work){.k = &k};
        kit_set(&k, "p", "0", "x");
        reader_start(&r, &k, true);
        refused += work_until_refused(w, item_replaced, 5000) != LK_OK;
        reader_end(&r);
        kit_close(&k);
    }
    free(w);
    assert_true(refused <= ROUNDS / 2);
}

static void
test_reader_that_is_known_to_stay_costs_later_writers_little(void **state)
{
    (void)state;
    kit k;
    reader r;
    kit_open(&k, &(lk_memory_options){.max_retired_bytes = LIMIT});
    work *w = calloc(1, sizeof *w);
    *w = (work){.k = &k};
    reader_start(&r, &k, false);
    assert_status(LK_BUSY, work_until_refused(w, item_replaced, 10000));
    for (int i = 0; i < 1000; i++) /* the whole bound each would be minutes */
        assert_status(LK_BUSY, item_replaced(w));
    reader_end(&r);
    assert_status(LK_OK, work_until_refused(w, item_replaced, 10000));
    free(w);
    kit_close(&k);
}

/* ---- without a reader ---- */

enum { CROWD = 8, CROWD_ROUNDS = 5000 };

typedef struct crowd {
    kit *k;
    uint64_t number;
    _Atomic(uint64_t) *refused;
    pthread_t thread;
} crowd;

/* Makes and deletes locks; all are near the limit all the time. */
static void *
crowd_run(void *context)
{
    crowd *c = context;
    lk_result *result = lk_result_new();
    for (uint64_t i = 0; i < CROWD_ROUNDS; i++) {
        lk_lock locks[2];
        lk_key keys[2] = {lkc_numbered("p", c->number << 32 | i), lkc_numbered("q", i)};
        lk_status first = lk_get_locked(c->k->db, keys, 2, locks, result);
        lk_status second = lk_get_lock(c->k->db, keys[1], &locks[1]);
        lk_status third = lk_delete(c->k->db, keys, 2);
        atomic_fetch_add(c->refused, (first != LK_OK) + (second != LK_OK) + (third != LK_OK));
    }
    lk_result_free(result);
    return NULL;
}

static void
test_many_writers_near_the_limit_are_not_busy(void **state)
{
    (void)state;
    kit k;
    crowd c[CROWD];
    _Atomic(uint64_t) refused = 0;
    kit_open(&k, &(lk_memory_options){.max_retired_bytes = 256 * 1024});
    for (size_t i = 0; i < CROWD; i++) {
        c[i] = (crowd){.k = &k, .number = i, .refused = &refused};
        assert_int_equal(pthread_create(&c[i].thread, NULL, crowd_run, &c[i]), 0);
    }
    for (size_t i = 0; i < CROWD; i++)
        pthread_join(c[i].thread, NULL);
    kit_close(&k);
    assert_in_range(atomic_load(&refused), 0,
                    8); /* who loses its processor for 500 ms looks like who stays */
}

/* ---- epochs wrap ---- */

static void
test_tags_of_any_age_are_past(void **state)
{
    (void)state;
    static const uint32_t starts[] = {0, 1, 5, UINT32_MAX, UINT32_MAX - 1, 1u << 31, 77777};
    static const uint32_t masks[] = {UINT32_MAX, UINT32_MAX >> 1};
    for (size_t m = 0; m < KIT_COUNT(masks); m++) {
        uint32_t mask = masks[m];
        for (size_t s = 0; s < KIT_COUNT(starts); s++) {
            uint32_t tag = starts[s] & mask;
            assert_false(lki_epoch_is_past(tag, tag, mask));
            assert_false(lki_epoch_is_past(tag + 1, tag, mask));
            assert_false(lki_epoch_is_past(tag - 1, tag, mask)); /* an old reading */
            assert_true(lki_epoch_is_past(tag + 2, tag, mask));
            for (unsigned shift = 2; shift < 31; shift++)
                assert_true(lki_epoch_is_past(tag + (1u << shift), tag, mask));
            assert_true(lki_epoch_is_past(tag + (3u << 29), tag, mask));
            assert_true(lki_epoch_is_past(tag + mask - 5000, tag, mask));
        }
        assert_true(lki_epoch_is_past(1u << 31, 0, UINT32_MAX));
        assert_true(lki_epoch_is_past(3u << 30, 0, UINT32_MAX));
    }
}

/* The same in a store: what waits while the epoch goes round goes as soon as somebody looks. */
static void
test_tombstones_older_than_half_a_circle_are_buried(void **state)
{
    (void)state;
    static const uint32_t ages[] = {1u << 20, 1u << 30, 3u << 29, 1u << 31, 3u << 30};
    for (size_t i = 0; i < KIT_COUNT(ages); i++) {
        kit k;
        kit_open(&k, NULL);
        lki_store *store = k.db->state;
        kit_set(&k, "p", "s", "x");
        assert_status(LK_OK, lk_delete(k.db, &(lk_key){{"p", 1}, {"s", 1}}, 1));
        store->domain.epoch.epoch += ages[i]; /* nobody is in a section */
        kit_sweep(&k);
        lk_statistics s = kit_statistics(&k);
        assert_int_equal(s.cells + s.partitions + s.retired_bytes, 0);
        kit_close(&k);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_a_reader_holds_back_is_counted),
        cmocka_unit_test(test_queue_that_goes_counts_with_all_it_has),
        cmocka_unit_test(test_big_jobs_come_back_at_once_without_a_reader),
        cmocka_unit_test(test_no_call_is_busy_by_its_own_garbage),
        cmocka_unit_test(test_a_call_of_many_stops_at_the_limit_while_a_reader_stays),
        cmocka_unit_test(test_what_expires_goes_beyond_the_limit_by_no_more_than_a_step),
        cmocka_unit_test(test_items_that_expire_are_bounded_while_a_reader_stays),
        cmocka_unit_test(test_writer_waits_for_a_reader_that_leaves),
        cmocka_unit_test(test_reader_that_is_known_to_stay_costs_later_writers_little),
        cmocka_unit_test(test_many_writers_near_the_limit_are_not_busy),
        cmocka_unit_test(test_tags_of_any_age_are_past),
        cmocka_unit_test(test_tombstones_older_than_half_a_circle_are_buried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
