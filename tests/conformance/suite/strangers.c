/* SPDX-License-Identifier: MIT
 *
 * Area: strangers. A push replaces nothing that it did not name.
 */
#include "suite.h"

enum { BATCH = 3, PLACES = 6 };

/* The key of the job that a push without sk has made. */
static void
last_ulid(rig *r, char *ulid)
{
    lk_item item = lkc_item("q", NULL, "first");
    assert_status(LK_OK, lk_queue_push(r->db, &item, 1, NULL, r->result));
    lk_bytes sk = lk_result_item(r->result, 0)->key.sk;
    assert_int_equal(sk.size, ULID_SIZE);
    memcpy(ulid, sk.data, ULID_SIZE);
    ulid[ULID_SIZE] = '\0';
    assert_pull(r, "q", "first", NULL);
}

static void
push_three(rig *r, int form)
{
    lk_item jobs[BATCH];
    lk_write writes[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        jobs[i] = lkc_item("q", NULL, "generated");
        writes[i] = (lk_write){.kind = LK_PUSH, .item = jobs[i]};
    }
    if (form == 1 && lkc_can(r, LK_COMMITS_JOBS)) {
        assert_status(LK_OK, lk_commit(r->db, writes, BATCH, NULL, 0, NULL));
    } else if (form == 2) {
        assert_status(LK_OK, lk_queue_push(r->db, jobs, BATCH, NULL, NULL));
    } else {
        for (size_t i = 0; i < BATCH; i++)
            assert_status(LK_OK, lk_queue_push(r->db, &jobs[i], 1, NULL, NULL));
    }
}

static size_t
pull_all(rig *r, const char *data)
{
    job j;
    size_t count = 0;
    while (lkc_try_pull(r->db, r->result, "q", &j) == LK_OK) {
        assert_string_equal(j.data, data);
        count++;
    }
    return count;
}

/* "Push without sk generates a ULID": one that nothing has, be it put there by hand. */
static void
test_generated_keys_replace_no_item(rig *r)
{
    for (int form = 0; form < 3; form++) {
        char ulid[ULID_SIZE + 1], next[PLACES][ULID_SIZE + 1];
        last_ulid(r, ulid);
        for (size_t i = 0; i < PLACES; i++) {
            lk_ulid_next(ulid, lkc_now(r));
            memcpy(next[i], ulid, sizeof ulid);
            if (i % 2 == 0)
                lkc_set(r, "q", next[i], "item");
        }
        push_three(r, form);
        for (size_t i = 0; i < PLACES; i += 2)
            assert_holds(r, lk_key_of("q", next[i]), "item");
        assert_depths(r, "q", BATCH, (uint64_t)(form + 1) + (uint64_t)form * BATCH, 0);
        assert_int_equal(pull_all(r, "generated"), BATCH);
        for (size_t i = 0; i < PLACES; i += 2)
            assert_holds(r, lk_key_of("q", next[i]), "item");
    }
}

/* Nor a job that somebody has given such a key: it is one of the queue's like any other. */
static void
test_generated_keys_replace_no_job(rig *r)
{
    for (int form = 0; form < 3; form++) {
        char ulid[ULID_SIZE + 1];
        last_ulid(r, ulid);
        for (size_t i = 0; i < PLACES; i++) {
            lk_ulid_next(ulid, lkc_now(r));
            if (i % 2 == 0)
                lkc_push(r->db, "q", ulid, "own");
        }
        push_three(r, form);
        size_t own = 0, generated = 0;
        job j;
        while (lkc_try_pull(r->db, r->result, "q", &j) == LK_OK) {
            own += strcmp(j.data, "own") == 0;
            generated += strcmp(j.data, "generated") == 0;
            assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
        }
        assert_int_equal(own, PLACES / 2);
        assert_int_equal(generated, BATCH);
    }
}

static const lkc_case cases[] = {
    CASE(test_generated_keys_replace_no_item, LK_HAS_QUEUES),
    CASE(test_generated_keys_replace_no_job, LK_HAS_QUEUES),
};
AREA(lkc_strangers_area, cases);
