/* SPDX-License-Identifier: MIT
 *
 * Area: all of a store. Its partitions, and copies of it into the embedded store and back.
 */
#include "suite.h"

/* ---- lk_list_partitions ---- */

enum { MANY = 1100, PK_ROOM = 24 };

static const char *
pk_name(size_t i, char name[PK_ROOM])
{
    snprintf(name, PK_ROOM, "partition %zu", i);
    return name;
}

/* Lists what is behind `position` on pages of `limit`; how many that are. Of those of pk_name,
 * `seen` counts. */
static size_t
pages_list(rig *r, lk_position position, size_t limit, unsigned char seen[MANY])
{
    size_t count = 0, at;
    lk_status status;
    while (lkc_prime(r->result),
           (status = lk_list_partitions(r->db, &position, limit, r->result)) == LK_OK)
        for (size_t i = 0; i < lk_result_count(r->result); i++, count++) {
            char name[PK_ROOM];
            lk_bytes pk = lk_result_item(r->result, i)->key.pk;
            assert_true(pk.size < sizeof name && count < MANY);
            memcpy(name, pk.data, pk.size);
            name[pk.size] = '\0';
            assert_int_equal(sscanf(name, "partition %zu", &at), 1);
            assert_in_range(at, 0, MANY - 1);
            seen[at]++;
        }
    assert_status(LK_END, status);
    assert_true(lkc_is_primed(r->result));
    return count;
}

static void
test_list_of_many_partitions_has_each_once(rig *r)
{
    static const size_t limits[] = {0, 40, SIZE_MAX / 2};
    char name[PK_ROOM];
    for (size_t i = 0; i < MANY; i++)
        lkc_set(r, pk_name(i, name), "", "x");
    for (size_t i = 0; i < COUNT(limits); i++) {
        unsigned char seen[MANY] = {0};
        assert_int_equal(pages_list(r, (lk_position){{0}}, limits[i], seen), MANY);
        for (size_t j = 0; j < MANY; j++)
            assert_int_equal(seen[j], 1);
    }
}

/* latchkey.h: "A plain value, which may be copied, and kept for as long as the handle is open." */
static void
test_position_of_a_list_may_be_kept(rig *r)
{
    enum { FEW = 20 };
    char name[PK_ROOM];
    unsigned char seen[MANY] = {0};
    lk_position position = {{0}}, kept;
    for (size_t i = 0; i < FEW; i++)
        lkc_set(r, pk_name(i, name), "", "x");
    assert_status(LK_OK, lk_list_partitions(r->db, &position, 5, r->result));
    kept = position;
    size_t first = lk_result_count(r->result);
    assert_int_equal(pages_list(r, position, 3, seen), FEW - first);
    assert_int_equal(pages_list(r, kept, 0, seen), FEW - first);
    assert_int_equal(pages_list(r, (lk_position){{0}}, 4, seen), FEW);
    /* One that no call gave: whatever it is, it does no harm. */
    lkc_fill(&position, sizeof position);
    lk_status status = lk_list_partitions(r->db, &position, 5, r->result);
    assert_true(status == LK_OK || status == LK_END || status == LK_INVALID);
}

static void
test_list_with_bad_arguments_touches_nothing(rig *r)
{
    lk_position position = {{0}};
    lkc_set(r, "p", "", "x");
    lkc_prime(r->result);
    assert_status(LK_INVALID, lk_list_partitions(NULL, &position, 5, r->result));
    assert_status(LK_INVALID, lk_list_partitions(r->db, NULL, 5, r->result));
    assert_status(LK_INVALID, lk_list_partitions(r->db, &position, 5, NULL));
    assert_true(lkc_is_primed(r->result) && position.opaque[0] == 0);
}

/* ---- lk_copy ---- */

static lk_db *
memory_open(rig *r)
{
    lk_db *db = NULL;
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    options.realtime_ms = r->setup.realtime_ms;
    options.monotonic_ms = r->setup.monotonic_ms;
    options.clock_context = r->setup.clock_context;
    assert_status(LK_OK, lk_memory_open(&options, &db));
    const uint64_t whole = LK_HAS_PARTITIONS | LK_HAS_QUEUE_INSPECT;
    if ((lk_capabilities(db) & whole) != whole) {
        lk_close(db);
        skip();
    }
    return db;
}

/* Each item of the one is in the other, with its bytes and its expiry; how many that are. */
static uint64_t
items_compare(lk_db *left, lk_db *right, uint64_t *partitions)
{
    lk_result *page = lk_result_new(), *one = lk_result_new(), *other = lk_result_new();
    lk_position position = {{0}};
    uint64_t count = 0;
    assert_true(page != NULL && one != NULL && other != NULL);
    while (lk_list_partitions(left, &position, 0, page) == LK_OK)
        for (size_t i = 0; i < lk_result_count(page); i++) {
            lk_query query = {.pk = lk_result_item(page, i)->key.pk};
            assert_status(LK_OK, lk_query_items(left, &query, one));
            assert_status(LK_OK, lk_query_items(right, &query, other));
            assert_int_equal(lk_result_count(one), lk_result_count(other));
            for (size_t j = 0; j < lk_result_count(one); j++) {
                const lk_item *a = lk_result_item(one, j), *b = lk_result_item(other, j);
                assert_bytes(a->key.sk, b->key.sk);
                assert_bytes(a->data, b->data);
                assert_int_equal(a->expires_at_ms, b->expires_at_ms);
            }
            count += lk_result_count(one);
            ++*partitions;
        }
    lk_result_free(page);
    lk_result_free(one);
    lk_result_free(other);
    return count;
}

/* Items of all kinds; jobs in each state, where there are queues. */
static void
copy_begin(rig *r)
{
    char text[16];
    for (int i = 0; i < 700; i++) {
        snprintf(text, sizeof text, "%d", i);
        lkc_set_until(r, i % 3 == 0 ? "a" : "b", text, text, i % 5 == 0 ? lkc_now(r) + i : 0);
    }
    lkc_set(r, "c", "", "");
    lkc_set_until(r, "gone", "x", "x", lkc_now(r) + 1);
    lkc_advance(r, 2);
    if (!lkc_can(r, LK_HAS_QUEUES))
        return;
    lkc_push(r->db, "q", NULL, "claimed");
    lkc_push(r->db, "q", "own", "ready");
    lkc_push(r->db, "q", NULL, "generated");
    lkc_push_delayed(r->db, "q", "zz", "delayed", 1000);
    lkc_set(r, "q", "item", "an item");
    assert_pull(r, "q", "claimed", NULL);
}

/* "jobs as jobs (visible, receives 0)" */
static void
copied_jobs_check(lk_db *db, rig *r)
{
    static const char *const wanted[] = {"claimed", "generated", "ready", "delayed"};
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 9};
    assert_status(LK_OK, lk_queue_pull(db, &options, r->result));
    assert_int_equal(lk_result_count(r->result), COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_true(lkc_is(lk_result_item(r->result, i)->data, wanted[i]));
        assert_int_equal(lk_result_claim(r->result, i)->receives, 1);
    }
}

/* "all live items with their expiry, and jobs as jobs [...], from any handle into any other" */
static void
test_copy_into_the_embedded_store_and_back(rig *r)
{
    if (lkc_can(r, LK_HAS_QUEUES) && !lkc_can(r, LK_HAS_QUEUE_INSPECT))
        skip();
    lk_db *copy = memory_open(r);
    lk_copy_report report = {0}, back = {0};
    lk_copy_options options = {.batch = 9};
    uint64_t jobs = lkc_can(r, LK_HAS_QUEUES) ? 4 : 0, partitions = 0;
    copy_begin(r);
    assert_status(LK_OK, lk_copy(r->db, copy, NULL, &report));
    uint64_t count = items_compare(r->db, copy, &partitions);
    assert_true(report.items + report.jobs == count && report.jobs == jobs);
    assert_true(report.partitions == partitions && report.bytes > count);
    lkc_close(r);
    lkc_open(r, false);
    lkc_set(r, "b", "1", "is replaced");
    lkc_set(r, "d", "1", "stays");
    assert_status(LK_OK, lk_copy(copy, r->db, &options, &back));
    assert_memory_equal(&back, &report, sizeof back);
    partitions = 0;
    assert_int_equal(items_compare(copy, r->db, &partitions), count);
    assert_holds(r, lk_key_of("d", "1"), "stays");
    if (jobs != 0) {
        copied_jobs_check(r->db, r);
        copied_jobs_check(copy, r);
    }
    lk_close(copy);
}

static bool
copy_stop(void *context, const lk_copy_report *so_far)
{
    *(lk_copy_report *)context = *so_far;
    return so_far->items < 50;
}

/* "with a callback for progress that may stop it" */
static void
test_copy_that_is_stopped_may_be_started_again(rig *r)
{
    lk_db *copy = memory_open(r);
    lk_copy_report report, seen = {0};
    lk_copy_options options = {.progress = copy_stop, .context = &seen, .batch = 20};
    uint64_t partitions = 0;
    for (uint64_t i = 0; i < 200; i++) {
        lk_item item = {.key = lkc_numbered("a", i), .data = lk_string("x")};
        assert_status(LK_OK, lk_set(copy, &item, 1));
    }
    assert_status(LK_END, lk_copy(copy, r->db, &options, &report));
    assert_true(report.items == 60 && seen.items == 60 && report.partitions == 0);
    assert_status(LK_OK, lk_copy(copy, r->db, NULL, NULL));
    assert_int_equal(items_compare(copy, r->db, &partitions), 200);
    lk_close(copy);
}

static void
test_copy_with_bad_arguments_writes_nothing(rig *r)
{
    lk_db *copy = memory_open(r);
    lk_copy_options options = {.batch = LK_COMMIT_MAX + 1};
    lk_item item = lkc_item("a", "b", "x");
    assert_status(LK_OK, lk_set(copy, &item, 1));
    assert_status(LK_INVALID, lk_copy(NULL, r->db, NULL, NULL));
    assert_status(LK_INVALID, lk_copy(copy, NULL, NULL, NULL));
    assert_status(LK_INVALID, lk_copy(copy, copy, NULL, NULL));
    assert_status(LK_INVALID, lk_copy(r->db, r->db, NULL, NULL));
    assert_status(LK_TOO_BIG, lk_copy(copy, r->db, &options, NULL));
    assert_holds(r, item.key, NULL);
    lk_close(copy);
}

enum { WHOLE = LK_HAS_QUERY | LK_HAS_PARTITIONS };

static const lkc_case cases[] = {
    CASE(test_list_of_many_partitions_has_each_once, LK_HAS_PARTITIONS),
    CASE(test_position_of_a_list_may_be_kept, LK_HAS_PARTITIONS),
    CASE(test_list_with_bad_arguments_touches_nothing, LK_HAS_PARTITIONS),
    CASE(test_copy_into_the_embedded_store_and_back, WHOLE),
    CASE(test_copy_that_is_stopped_may_be_started_again, WHOLE),
    CASE(test_copy_with_bad_arguments_writes_nothing, WHOLE),
};
AREA(lkc_whole_area, cases);
