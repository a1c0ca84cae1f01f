/* SPDX-License-Identifier: MIT
 *
 * lk_copy from any kind of handle into any other: the embedded store, a cache over it, LMDB, a
 * wrapper of a program. What comes back is the same, byte for byte: at a push 50,000 items, at
 * night a million.
 */
#include "support/counted_db.h"
#include "support/lmdb_rig.h"

enum kind { MEMORY, CACHE, WRAPPER, LMDB, KINDS };

/* A handle, and what stands behind it. */
typedef struct place {
    lmdb_rig *rig; /* of LMDB */
    lk_db *behind, *db;
    counted_db wrapper;
} place;

static int64_t
clock_read(void *now_ms)
{
    return *(const int64_t *)now_ms;
}

static int64_t now_ms = KIT_START_MS;

static void
place_open(place *p, enum kind kind)
{
    lk_memory_options options = {
        .realtime_ms = clock_read, .monotonic_ms = clock_read, .clock_context = &now_ms};
    const lk_cache_options cache = {.max_items = 500};
    memset(p, 0, sizeof *p);
    if (kind == LMDB) {
        void *rig;
        assert_int_equal(lmdb_setup(&rig), 0);
        p->rig = rig;
        lmdb_close(p->rig);
        p->rig->options.map_size = (size_t)4 << 30;
        lmdb_open(p->rig);
        p->db = p->rig->k.db;
        return;
    }
    assert_status(LK_OK, lk_memory_open(&options, &p->behind));
    p->db = p->behind;
    if (kind == CACHE)
        assert_status(LK_OK, lk_cache_open(p->behind, &cache, &p->db));
    if (kind == WRAPPER) {
        assert_status(LK_OK, counted_open(&p->wrapper, p->behind, 0));
        p->db = p->wrapper.db;
    }
}

static void
place_close(place *p)
{
    if (p->rig != NULL) {
        void *rig = p->rig;
        lmdb_teardown(&rig);
        return;
    }
    if (p->wrapper.db != NULL)
        counted_close(&p->wrapper);
    else if (p->db != p->behind)
        lk_close(p->db);
    lk_close(p->behind);
}

/* Can it be copied from? */
static bool
place_lists(const place *p)
{
    const uint64_t wanted = LK_HAS_PARTITIONS | LK_HAS_QUEUE_INSPECT;
    return (lk_capabilities(p->db) & wanted) == wanted;
}

/* ---- what is in it ---- */

/* Partitions of one item, of a few, and of many; keys and data of any bytes; some expire. */
static void
place_fill(place *p, uint64_t count)
{
    kit_random random = kit_random_of(1);
    unsigned char pk[40], sk[60], data[200];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t partition = i % 4 == 0 ? i : i % 8 == 1 ? i % 97 : 1000 + i % 3;
        size_t pk_size = 1 + (size_t)(partition % 30), sk_size = (size_t)kit_draw(&random, 50);
        size_t data_size = (size_t)kit_draw(&random, sizeof data);
        for (size_t b = 0; b < sizeof data; b++)
            data[b] = (unsigned char)kit_draw(&random, 256);
        memset(pk, (int)(partition % 251), sizeof pk);
        memcpy(pk + pk_size, &partition, sizeof partition);
        memset(sk, (int)(i % 256), sizeof sk);
        memcpy(sk + sk_size, &i, sizeof i);
        lk_item item = {{{pk, pk_size + sizeof partition}, {sk, sk_size + sizeof i}},
                        {data, data_size},
                        i % 5 == 0 ? KIT_START_MS + (int64_t)i : 0};
        assert_status(LK_OK, lk_set(p->db, &item, 1));
    }
}

static void
place_push(place *p, uint64_t count)
{
    lk_result *pulled = lk_result_new();
    for (uint64_t i = 0; i < count; i++) {
        lk_item pushed = {.key = lk_key_of(i % 2 == 0 ? "queue" : "other queue", NULL),
                          .data = {&i, sizeof i},
                          .expires_at_ms = i % 7 == 0 ? KIT_START_MS + 50 : 0};
        if (i % 3 == 0)
            pushed.key.sk = lkc_numbered("", i).sk;
        lk_push_options options = {.delay_ms = i % 5 == 0 ? 1000 : 0};
        assert_status(LK_OK, lk_queue_push(p->db, &pushed, 1, &options, NULL));
    }
    lk_pull_options pull = {.pk = lk_string("queue"), .max_jobs = count / 10 + 1};
    assert_status(LK_OK, lk_queue_pull(p->db, &pull, pulled));
    lk_item item = {.key = lk_key_of("queue", "an item"), .data = {"x", 1}};
    assert_status(LK_OK, lk_set(p->db, &item, 1));
    lk_result_free(pulled);
}

/* Is all of `left` in `right`, as it is? How many items. */
static uint64_t
all_is_in(lk_db *left, lk_db *right)
{
    lk_result *pks = lk_result_new(), *found = lk_result_new();
    lk_position position = {{0}};
    lk_status status;
    uint64_t count = 0;
    while ((status = lk_list_partitions(left, &position, 0, pks)) == LK_OK)
        for (size_t i = 0; i < lk_result_count(pks); i++) {
            lk_query query = {.pk = lk_result_item(pks, i)->key.pk};
            lk_stream *stream;
            lk_item item;
            assert_status(LK_OK, lk_stream_open(left, &query, &stream));
            for (; (status = lk_stream_next(stream, &item)) == LK_OK; count++) {
                assert_status(LK_OK, lk_get(right, item.key, found));
                const lk_item *its = lk_result_item(found, 0);
                assert_true(lkc_equal(its->data, item.data) &&
                            its->expires_at_ms == item.expires_at_ms);
            }
            assert_status(LK_END, status);
            lk_stream_close(stream);
        }
    assert_status(LK_END, status);
    lk_result_free(pks);
    lk_result_free(found);
    return count;
}

/* The jobs of both queues, none of which has been received; `done`: they are acknowledged. How
 * many. */
static uint64_t
fresh_jobs(lk_db *db, bool done)
{
    static const char *const pks[] = {"queue", "other queue"};
    lk_result *pulled = lk_result_new();
    uint64_t count = 0;
    for (size_t q = 0; q < KIT_COUNT(pks); q++) {
        lk_pull_options pull = {.pk = lk_string(pks[q]), .max_jobs = 100000};
        assert_status(LK_OK, lk_queue_pull(db, &pull, pulled));
        for (size_t i = 0; i < lk_result_count(pulled); i++, count++) {
            assert_int_equal(lk_result_claim(pulled, i)->receives, 1);
            if (done)
                assert_status(LK_OK, lk_queue_acknowledge(db, lk_result_claim(pulled, i), 1));
        }
    }
    lk_result_free(pulled);
    return count;
}

/* Gets back what it was copied into, when some of it is gone and some has changed. */
static void
restore_check(place *first, place *second, uint64_t items, uint64_t jobs)
{
    lk_item changed = {.key = lk_key_of("queue", "an item"), .data = {"changed", 7}};
    lk_claim claims[3];
    lk_pull_options pull = {.pk = lk_string("other queue"), .max_jobs = 3};
    lk_result *pulled = lk_result_new();
    assert_status(LK_OK, lk_queue_pull(first->db, &pull, pulled));
    for (size_t i = 0; i < 3; i++)
        claims[i] = *lk_result_claim(pulled, i);
    assert_status(LK_OK, lk_queue_acknowledge(first->db, claims, 3));
    assert_status(LK_OK, lk_set(first->db, &changed, 1));
    assert_status(LK_OK, lk_copy(second->db, first->db, NULL, NULL));
    assert_int_equal(all_is_in(second->db, first->db), items + 1 + jobs);
    assert_int_equal(all_is_in(first->db, second->db), items + 1 + jobs);
    assert_int_equal(fresh_jobs(first->db, true), jobs);
    lk_result_free(pulled);
}

static void
copy_check(enum kind from, enum kind to, uint64_t items, uint64_t jobs)
{
    place first, second, back;
    lk_copy_report there, again;
    place_open(&first, from);
    place_open(&second, to);
    place_open(&back, MEMORY);
    if (place_lists(&first) && place_lists(&second) && place_lists(&back)) {
        place_fill(&first, items);
        place_push(&first, jobs);
        assert_status(LK_OK, lk_copy(first.db, second.db, NULL, &there));
        assert_int_equal(there.items, items + 1);
        assert_int_equal(there.jobs, jobs);
        assert_status(LK_OK, lk_copy(second.db, back.db, NULL, &again));
        assert_memory_equal(&there, &again, sizeof there);
        assert_int_equal(all_is_in(first.db, back.db), items + 1 + jobs);
        assert_int_equal(all_is_in(back.db, first.db), items + 1 + jobs);
        assert_int_equal(fresh_jobs(back.db, false), jobs);
        assert_int_equal(fresh_jobs(second.db, false), jobs);
        restore_check(&first, &second, items, jobs);
    }
    place_close(&first);
    place_close(&second);
    place_close(&back);
}

static void
test_copy_from_any_kind_into_any_other_and_back_is_the_same(void **state)
{
    (void)state;
    for (int from = 0; from < KINDS; from++)
        for (int to = 0; to < KINDS; to++)
            copy_check((enum kind)from, (enum kind)to, 700, 100);
}

static void
test_copy_of_many_into_lmdb_and_back_is_the_same(void **state)
{
    (void)state;
    copy_check(MEMORY, LMDB, test_scaled(50000), test_scaled(2000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_from_any_kind_into_any_other_and_back_is_the_same),
        cmocka_unit_test(test_copy_of_many_into_lmdb_and_back_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
