/* SPDX-License-Identifier: MIT
 *
 * Area: push. Generated keys and keys of one's own, batches, unique, depth, delay.
 */
#include "suite.h"

/* `count` jobs without sk, whose data is their number. */
static lk_status
batch_push(rig *r, const char *pk, size_t count, const lk_push_options *options, lk_result *pushed)
{
    lk_item *items = calloc(count + 1, sizeof *items);
    char(*data)[16] = calloc(count + 1, sizeof *data);
    assert_true(items != NULL && data != NULL);
    for (size_t i = 0; i < count; i++) {
        snprintf(data[i], sizeof data[i], "%zu", i);
        items[i] = lkc_item(pk, NULL, data[i]);
    }
    lk_status status = lk_queue_push(r->db, items, count, options, pushed);
    free(items);
    free(data);
    return status;
}

/* ---- generated keys ---- */

/* "Push without sk generates a ULID (26 characters, Crockford base 32)"; latchkey.h: "`pushed`
 * receives the jobs as they are stored" */
static void
test_push_gives_the_jobs_as_they_are_stored(rig *r)
{
    lk_item items[] = {lkc_item("q", NULL, "1"), lkc_item("q", NULL, "")};
    items[1].expires_at_ms = lkc_now(r) + 5000;
    lkc_prime(r->result);
    assert_status(LK_OK, lk_queue_push(r->db, items, 2, NULL, r->result));
    assert_int_equal(lk_result_count(r->result), 2);
    for (size_t i = 0; i < 2; i++) {
        const lk_item *item = lk_result_item(r->result, i);
        assert_true(lkc_is(item->key.pk, "q") && lkc_is_ulid(item->key.sk));
        assert_bytes(items[i].data, item->data);
        assert_int_equal(item->expires_at_ms, items[i].expires_at_ms);
        assert_null(lk_result_claim(r->result, i));
        assert_true(lkc_ulid_ms(item->key.sk) >= lkc_now(r));
        assert_true(lkc_ulid_ms(item->key.sk) <= lkc_now(r) + 1);
    }
    lk_item own = lkc_item("q", "own", "x");
    assert_status(LK_OK, lk_queue_push(r->db, &own, 1, NULL, r->result));
    assert_int_equal(lk_result_count(r->result), 1);
    assert_true(lkc_is(lk_result_item(r->result, 0)->key.sk, "own"));
    assert_status(LK_OK, lk_queue_push(r->db, NULL, 0, NULL, r->result));
    assert_int_equal(lk_result_count(r->result), 0);
    assert_depths(r, "q", 3, 0, 0);
}

/* "strictly increasing in push order per queue, across threads and clock steps" */
static void
test_ulids_grow_whatever_the_clock_does(rig *r)
{
    static const int64_t steps_ms[] = {0, 0, 1, -1, -5000, 3, 0, LK_HOURS(9), -LK_HOURS(10), 1, 7};
    char last[ULID_SIZE] = {0};
    for (size_t turn = 0; turn < 8 * COUNT(steps_ms); turn++) {
        atomic_fetch_add(&r->now_ms, steps_ms[turn % COUNT(steps_ms)]);
        size_t count = 1 + turn % 3;
        assert_status(LK_OK, batch_push(r, "q", count, NULL, r->result));
        for (size_t i = 0; i < count; i++) {
            lk_bytes sk = lk_result_item(r->result, i)->key.sk;
            assert_true(lkc_is_ulid(sk));
            assert_true(memcmp(sk.data, last, ULID_SIZE) > 0);
            memcpy(last, sk.data, ULID_SIZE);
        }
        if (turn % 4 == 3) /* also when the queue is empty in between */
            assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    }
}

/* "A batch push is in order and contiguous." */
static void
test_batches_are_in_order(rig *r)
{
    enum { MANY = 1200 };
    char wanted[16];
    assert_status(LK_OK, batch_push(r, "q", MANY, NULL, NULL));
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = 100};
    for (size_t i = 0; i < MANY; i++) {
        if (i % 100 == 0) {
            assert_status(LK_OK, lk_queue_pull(r->db, &options, r->result));
            assert_int_equal(lk_result_count(r->result), 100);
        }
        snprintf(wanted, sizeof wanted, "%zu", i);
        assert_true(lkc_is(lk_result_item(r->result, i % 100)->data, wanted));
    }
    assert_empty(r, "q");
}

/* "Input is copied before the call returns." */
static void
test_push_copies_its_input(rig *r)
{
    char pk[] = "q", sk[] = "own", data[] = "data";
    lk_item item = lkc_item(pk, NULL, data);
    job j;
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
    item = lkc_item(pk, sk, data);
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, NULL));
    memset(pk, 'x', 1);
    memset(sk, 'x', 3);
    memset(data, 'x', 4);
    assert_pull(r, "q", "data", &j);
    assert_pull(r, "q", "data", &j);
    assert_string_equal(j.sk, "own");
    assert_empty(r, "x");
}

static void
test_push_takes_its_jobs_from_the_result_that_it_fills(rig *r)
{
    lkc_set(r, "q", "own", "the data of an item that is somewhat longer than others");
    assert_status(LK_OK, lk_get(r->db, lk_key_of("q", "own"), r->result));
    for (int turn = 0; turn < 5; turn++) {
        lk_item item = *lk_result_item(r->result, 0);
        assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, r->result));
        assert_true(lkc_is(lk_result_item(r->result, 0)->key.sk, "own"));
    }
    assert_pull(r, "q", "the data of an item that is somewhat longer than others", NULL);
    assert_empty(r, "q");
}

/* ---- keys of one's own ---- */

/* "push with sk keeps it (an explicit order, a priority [...])" */
static void
test_jobs_with_keys_come_in_their_order(rig *r)
{
    static const char *const sks[] = {"5", "1", "a", "3", "ab", "30", "2"};
    static const char *const wanted[] = {"1", "2", "3", "30", "5", "a", "ab"};
    job j;
    for (size_t i = 0; i < COUNT(sks); i++)
        lkc_push(r, "q", sks[i], sks[i]);
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_pull(r, "q", wanted[i], &j);
        assert_string_equal(j.sk, wanted[i]);
    }
    assert_empty(r, "q");
}

/* Keys and generated keys share one order: pull claims "the jobs with the smallest sk". */
static void
test_jobs_with_and_without_keys_share_one_order(rig *r)
{
    lk_item batch[] = {lkc_item("q", NULL, "3"), lkc_item("q", "~ last", "5"),
                       lkc_item("q", " first", "1"), lkc_item("q", NULL, "4")};
    lkc_push(r, "q", NULL, "2");
    assert_status(LK_OK, lk_queue_push(r->db, batch, 4, NULL, r->result));
    assert_int_equal(lk_result_count(r->result), 4);
    assert_true(lkc_is(lk_result_item(r->result, 1)->key.sk, "~ last"));
    assert_true(lkc_is_ulid(lk_result_item(r->result, 3)->key.sk));
    for (char wanted[2] = "1"; wanted[0] <= '5'; wanted[0]++)
        assert_pull(r, "q", wanted, NULL);
    assert_empty(r, "q");
}

/* "with `unique`, an existing job is LK_EXISTS, otherwise it is replaced" */
static void
test_unique_push_of_what_is_there_exists(rig *r)
{
    lk_push_options unique = {.unique = true};
    job j;
    lkc_set(r, "q", "item", "no job");
    lkc_prime(r->result);
    lk_item batch[] = {lkc_item("q", "new", "x"), lkc_item("q", "own", "y")};
    assert_status(LK_OK, lkc_try_push(r, "q", "own", "x", &unique));
    assert_status(LK_EXISTS, lk_queue_push(r->db, batch, 2, &unique, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_holds(r, lk_key_of("q", "new"), NULL);                         /* "nothing was pushed" */
    assert_status(LK_EXISTS, lkc_try_push(r, "q", "item", "x", &unique)); /* "any item there" */
    assert_pull(r, "q", "x", &j);
    assert_status(LK_EXISTS, lkc_try_push(r, "q", "own", "y", &unique)); /* claimed or not */
    assert_held(r, &j);
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
    assert_status(LK_OK, lkc_try_push(r, "q", "own", "z", &unique));
    assert_status(LK_OK, lkc_try_push(r, "q", NULL, "generated", &unique));
    lk_item item = lkc_item("q", "brief", "x");
    item.expires_at_ms = lkc_now(r) + 5;
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, &unique, NULL));
    lkc_advance(r, 6); /* what has expired is not there */
    assert_status(LK_OK, lkc_try_push(r, "q", "brief", "y", &unique));
    assert_depths(r, "q", 3, 0, 0);
}

/* latchkey.h: "an existing job of that key is replaced, visible again and never received, its
 * claims LK_LOST" */
static void
test_push_of_what_is_there_replaces_it(rig *r)
{
    job j, again;
    lkc_push(r, "q", "own", "1");
    assert_pull(r, "q", "1", &j);
    lkc_push(r, "q", "own", "2");
    assert_lost(r, &j);
    assert_pull(r, "q", "2", &again);
    assert_int_equal(again.claim.receives, 1);
    lkc_push_delayed(r, "q", "own", "3", 100);
    assert_lost(r, &again);
    assert_empty(r, "q");
    lkc_set(r, "q", "item", "was no job");
    lkc_push(r, "q", "item", "is one");
    assert_pull(r, "q", "is one", NULL);
    assert_depths(r, "q", 0, 1, 1);
    lkc_push(r, "q", NULL, "generated");
    assert_pull(r, "q", "generated", &j);
    lkc_push(r, "q", j.sk, "with the key of that one");
    assert_lost(r, &j);
    assert_pull(r, "q", "with the key of that one", &again);
    assert_string_equal(again.sk, j.sk);
}

/* ---- depth ---- */

/* "More than max_depth jobs: LK_BUSY, nothing is pushed." */
static void
test_push_beyond_max_depth_is_busy_and_pushes_nothing(rig *r)
{
    lk_push_options three = {.max_depth = 3}, four = {.max_depth = 4};
    job j;
    lkc_set(r, "q", "plain", "no job, not counted");
    lkc_prime(r->result);
    assert_status(LK_BUSY, batch_push(r, "q", 4, &three, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_status(LK_OK, batch_push(r, "q", 2, &three, NULL));
    assert_status(LK_BUSY, batch_push(r, "q", 2, &three, NULL));
    assert_depths(r, "q", 2, 0, 0);
    assert_status(LK_OK, lkc_try_push(r, "q", NULL, "third", &three));
    assert_status(LK_BUSY, lkc_try_push(r, "q", NULL, "fourth", &three));
    assert_status(LK_BUSY, lkc_try_push(r, "q", "own", "fourth", &three));
    assert_holds(r, lk_key_of("q", "own"), NULL);
    assert_status(LK_OK, lkc_try_push(r, "other", NULL, "x", &three));
    assert_status(LK_OK, lkc_try_pull(r, "q", &j)); /* claimed jobs count */
    assert_status(LK_BUSY, lkc_try_push(r, "q", NULL, "fourth", &three));
    assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 100)); /* delayed ones too */
    assert_status(LK_BUSY, lkc_try_push(r, "q", NULL, "fourth", &three));
    lkc_delete(r, j.pk, j.sk);
    assert_status(LK_OK, lkc_try_push(r, "q", "own", "third", &three));
    assert_status(LK_OK, lkc_try_push(r, "q", "own", "replaces one", &three));
    assert_status(LK_BUSY, lkc_try_push(r, "q", "own 2", "fourth", &three));
    assert_status(LK_OK, lkc_try_push(r, "q", "own 2", "fourth", &four));
    assert_status(LK_OK, lkc_try_push(r, "q", NULL, "without limit", NULL));
    assert_depths(r, "q", 5, 0, 0);
}

static void
test_max_depth_does_not_count_what_has_gone(rig *r)
{
    lk_push_options two = {.max_depth = 2};
    lk_item items[] = {lkc_item("q", NULL, "x"), lkc_item("q", "own", "x")};
    items[0].expires_at_ms = items[1].expires_at_ms = lkc_now(r) + 5;
    assert_status(LK_OK, lk_queue_push(r->db, items, 2, &two, NULL));
    lkc_advance(r, 5);
    assert_status(LK_BUSY, lkc_try_push(r, "q", NULL, "y", &two));
    lkc_advance(r, 1);
    assert_status(LK_OK, lkc_try_push(r, "q", NULL, "y", &two));
    assert_status(LK_OK, lkc_try_push(r, "q", "own", "y", &two));
    assert_status(LK_BUSY, lkc_try_push(r, "q", NULL, "z", &two));
    for (int turn = 0; turn < 20; turn++) {
        job j;
        char sk[16];
        snprintf(sk, sizeof sk, "own %d", turn);
        assert_status(LK_OK, lkc_try_pull(r, "q", &j));
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
        assert_status(LK_OK, lkc_try_push(r, "q", turn % 2 == 0 ? NULL : sk, "y", &two));
        assert_status(LK_BUSY, lkc_try_push(r, "q", NULL, "z", &two));
    }
}

/* ---- delay ---- */

/* pull: "visible (never claimed, released, lapsed, delay over)" */
static void
test_delayed_jobs_are_visible_when_their_delay_is_over(rig *r)
{
    lk_push_options options = {.delay_ms = 100};
    lkc_push_delayed(r, "q", "b", "second", 100);
    lkc_push_delayed(r, "q", "a", "first", 200);
    assert_status(LK_OK, batch_push(r, "batch", 3, &options, NULL));
    lkc_push(r, "q", "c", "third"); /* holds up none */
    assert_pull(r, "q", "third", NULL);
    assert_empty(r, "q");
    assert_empty(r, "batch");
    assert_holds(r, lk_key_of("q", "b"), "second"); /* jobs are items all the same */
    assert_depths(r, "q", 0, 1, 2);
    lkc_advance(r, 99);
    assert_empty(r, "q");
    lkc_advance(r, 2);
    assert_pull(r, "q", "second", NULL);
    assert_empty(r, "q");
    for (char wanted[2] = "0"; wanted[0] <= '2'; wanted[0]++)
        assert_pull(r, "batch", wanted, NULL);
    lkc_advance(r, 100);
    assert_pull(r, "q", "first", NULL);
}

static const lkc_case cases[] = {
    CASE(test_push_gives_the_jobs_as_they_are_stored, LK_HAS_QUEUES),
    CASE(test_ulids_grow_whatever_the_clock_does, LK_HAS_QUEUES),
    CASE(test_batches_are_in_order, LK_HAS_QUEUES),
    CASE(test_push_copies_its_input, LK_HAS_QUEUES),
    CASE(test_push_takes_its_jobs_from_the_result_that_it_fills, LK_HAS_QUEUES),
    CASE(test_jobs_with_keys_come_in_their_order, LK_HAS_QUEUES),
    CASE(test_jobs_with_and_without_keys_share_one_order, LK_HAS_QUEUES),
    CASE(test_unique_push_of_what_is_there_exists, LK_HAS_QUEUES),
    CASE(test_push_of_what_is_there_replaces_it, LK_HAS_QUEUES),
    CASE(test_push_beyond_max_depth_is_busy_and_pushes_nothing, LK_HAS_QUEUES),
    CASE(test_max_depth_does_not_count_what_has_gone, LK_HAS_QUEUES),
    CASE(test_delayed_jobs_are_visible_when_their_delay_is_over, LK_HAS_QUEUES),
};
AREA(lkc_push_area, cases);
