/* SPDX-License-Identifier: MIT
 *
 * Area: "A job is an item: get, query and delete see it."
 */
#include "suite.h"

static const char *const sks[] = {NULL, "own"};

/* Every kind of read that the adapter has finds `data`, or nothing. */
static void
assert_seen(rig *r, lk_key key, const char *data)
{
    assert_holds(r, key, data);
    if (lkc_can(r, LK_HAS_GET_MANY)) {
        assert_status(LK_OK, lk_get_many(r->db, &key, 1, r->result));
        const lk_item *item = lk_result_item(r->result, 0);
        assert_true(data == NULL ? item == NULL : item != NULL && lkc_is(item->data, data));
        assert_null(lk_result_claim(r->result, 0));
    }
    if (lkc_can(r, LK_HAS_QUERY)) {
        lk_query query = {.pk = key.pk, .sk_prefix = key.sk};
        lk_stream *stream = NULL;
        lk_item item;
        assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
        assert_int_equal(lk_result_count(r->result), data != NULL);
        assert_true(data == NULL || lkc_is(lk_result_item(r->result, 0)->data, data));
        assert_status(LK_OK, lk_stream_open(r->db, &query, &stream));
        assert_status(data != NULL ? LK_OK : LK_END, lk_stream_next(stream, &item));
        assert_true(data == NULL || lkc_is(item.data, data));
        lk_stream_close(stream);
    }
    if (lkc_can(r, LK_HAS_VIEWS)) {
        lk_item item;
        lk_read_begin(r->db);
        assert_status(data != NULL ? LK_OK : LK_NOT_FOUND, lk_view(r->db, key, &item));
        assert_true(data == NULL || lkc_is(item.data, data));
        lk_read_end(r->db);
    }
}

/* latchkey.h: "whoever holds them" */
static void
test_reads_see_a_job_through_its_whole_life(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j;
        lk_item item = lkc_item("q", sks[i], "x");
        lk_push_options delayed = {.delay_ms = 10};
        assert_status(LK_OK, lk_queue_push(r->db, &item, 1, &delayed, r->result));
        char sk[JOB_ROOM] = {0};
        lk_bytes stored = lk_result_item(r->result, 0)->key.sk;
        memcpy(sk, stored.data, stored.size);
        lk_key key = lk_key_of("q", sk);
        assert_seen(r, key, "x"); /* delayed */
        lkc_advance(r, 11);
        assert_seen(r, key, "x"); /* visible */
        assert_pull(r, "q", "x", &j);
        assert_seen(r, key, "x"); /* claimed */
        lkc_advance(r, VISIBILITY_MS + 1);
        assert_seen(r, key, "x"); /* lapsed */
        assert_status(LK_LATE, lk_queue_release(r->db, &j.claim, 10));
        assert_seen(r, key, "x"); /* released */
        lkc_advance(r, 11);
        assert_pull(r, "q", "x", &j);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
        assert_seen(r, key, NULL);
    }
}

static void
test_queries_merge_jobs_and_items(rig *r)
{
    lkc_set(r, "q", "", "item");
    lkc_set(r, "q", "a", "item");
    lkc_push(r, "q", "b", "job");
    lkc_push(r, "q", "0", "job");
    for (int i = 0; i < 50; i++) {
        lkc_push(r, "q", NULL, "job");
        if (i % 3 == 0)
            assert_pull(r, "q", "job", NULL);
    }
    lkc_set(r, "q", "c", "item");
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("q"), .reverse = reverse != 0};
        assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
        assert_int_equal(lk_result_count(r->result), 55);
        for (size_t i = 1; i < 55; i++) {
            int order = lk_bytes_compare(lk_result_item(r->result, i - 1)->key.sk,
                                         lk_result_item(r->result, i)->key.sk);
            assert_true(reverse != 0 ? order > 0 : order < 0);
        }
    }
}

/* latchkey.h: "An item that was only put is no job and is never pulled." */
static void
test_items_are_never_pulled(rig *r)
{
    lkc_set(r, "q", "a", "item");
    assert_empty(r, "q");
    lkc_push(r, "q", "b", "job");
    assert_pull(r, "q", "job", NULL);
    assert_empty(r, "q");
    lkc_delete(r, "q", "b"); /* once deleted, the key is no job's */
    lkc_set(r, "q", "b", "item");
    lkc_advance(r, VISIBILITY_MS + 1);
    assert_empty(r, "q");
    assert_depths(r, "q", 0, 0, 0);
    lk_claim by_key = {.key = lk_key_of("q", "a")};
    assert_status(LK_LOST, lk_queue_acknowledge(r->db, &by_key, 1));
    assert_holds(r, by_key.key, "item");
}

/* latchkey.h: "lk_set and LK_PUT replace the bytes of a job and leave its place, its delay and its
 * claim as they are." */
static void
test_set_of_a_job_leaves_its_place_and_its_claim(rig *r)
{
    for (size_t i = 0; i < 2 * COUNT(sks); i++) {
        job first, again;
        bool puts = i % 2 != 0 && lkc_can(r, LK_HAS_LOCKS);
        lkc_push(r, "q", sks[i / 2], "1");
        assert_pull(r, "q", "1", &first);
        lkc_push(r, "q", sks[i / 2] == NULL ? NULL : "own 2", "2");
        lk_write put = {.kind = LK_PUT,
                        .item = {.key = first.claim.key, .data = lk_string("a longer value")}};
        if (puts)
            assert_status(LK_OK, lk_commit(r->db, &put, 1, NULL, 0, NULL));
        else
            assert_status(LK_OK, lk_set(r->db, &put.item, 1));
        assert_held(r, &first);
        assert_depths(r, "q", 1, 1, 0);
        assert_holds(r, first.claim.key, "a longer value");
        assert_status(LK_OK, lk_queue_release(r->db, &first.claim, 0));
        assert_pull(r, "q", "a longer value", &again); /* before "2" */
        assert_int_equal(again.claim.receives, 2);
        assert_status(LK_OK, lk_queue_release(r->db, &again.claim, 50));
        put.item.data = lk_string("again");
        assert_status(LK_OK, lk_set(r->db, &put.item, 1));
        assert_depths(r, "q", 1, 0, 1); /* still delayed */
        assert_pull(r, "q", "2", NULL);
        lkc_advance(r, 51);
        assert_pull(r, "q", "again", NULL);
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    }
}

static void
test_set_of_a_job_replaces_its_expiry(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lkc_set_until(r, "q", j.sk, "y", lkc_now(r) + 10);
        lkc_advance(r, 10);
        assert_held(r, &j);
        lkc_advance(r, 1);
        assert_lost(r, &j); /* "A job that expires is gone, claimed or not." */
        assert_depths(r, "q", 0, 0, 0);
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lkc_set_until(r, "q", j.sk, "y", lkc_now(r) - 1); /* as good as deleted */
        assert_lost(r, &j);
        assert_holds(r, j.claim.key, NULL);
    }
}

/* latchkey.h: "lk_delete takes the job out and makes every claim on it LK_LOST." */
static void
test_delete_takes_a_job_out_in_every_state(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++)
        for (int form = 0; form < 4; form++) { /* visible, claimed, lapsed, delayed */
            job j;
            lkc_push(r, "q", sks[i], "x");
            assert_pull(r, "q", "x", &j);
            if (form == 0)
                assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
            if (form == 2)
                lkc_advance(r, VISIBILITY_MS + 1);
            if (form == 3)
                assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 50));
            lk_write gone = {.kind = LK_DELETE, .item = {.key = j.claim.key}};
            if (form % 2 != 0 && lkc_can(r, LK_HAS_LOCKS))
                assert_status(LK_OK, lk_commit(r->db, &gone, 1, NULL, 0, NULL));
            else
                assert_status(LK_OK, lk_delete(r->db, &j.claim.key, 1));
            assert_lost(r, &j);
            assert_depths(r, "q", 0, 0, 0);
            lkc_advance(r, 51);
            assert_empty(r, "q");
            assert_holds(r, j.claim.key, NULL);
        }
}

/* Locks guard the key of a job as that of any item. */
static void
test_lock_of_a_job_guards_its_key(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lk_lock lock = lkc_lock(r, j.claim.key), stale = lock;
        assert_held(r, &j);
        lk_item item = {.key = j.claim.key, .data = lk_string("y")};
        assert_status(LK_OK, lk_set_atomic(r->db, &item, 1, &lock, 1, NULL));
        assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &stale, 1, NULL));
        assert_held(r, &j);
        lkc_delete(r, "q", j.sk);
        assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &lock, 1, NULL));
        assert_holds(r, j.claim.key, NULL);
        assert_empty(r, "q");
    }
}

static const lkc_case cases[] = {
    CASE(test_reads_see_a_job_through_its_whole_life, LK_HAS_QUEUES),
    CASE(test_queries_merge_jobs_and_items, LK_HAS_QUEUES | LK_HAS_QUERY),
    CASE(test_items_are_never_pulled, LK_HAS_QUEUES),
    CASE(test_set_of_a_job_leaves_its_place_and_its_claim, LK_HAS_QUEUES),
    CASE(test_set_of_a_job_replaces_its_expiry, LK_HAS_QUEUES),
    CASE(test_delete_takes_a_job_out_in_every_state, LK_HAS_QUEUES),
    CASE(test_lock_of_a_job_guards_its_key, LK_HAS_QUEUES | LK_HAS_LOCKS),
};
AREA(lkc_job_items_area, cases);
