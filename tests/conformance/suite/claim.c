/* SPDX-License-Identifier: MIT
 *
 * Area: claims. acknowledge, release, extend; good, late, lost; by key.
 */
#include "suite.h"

static const char *const sks[] = {NULL, "own"};

/* "deletes the job iff the claim is still good: LK_OK" */
static void
test_acknowledge_takes_the_job_out_for_good(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lkc_advance(r, VISIBILITY_MS);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
        assert_holds(r, j.claim.key, NULL);
        assert_lost(r, &j);
        lkc_advance(r, LK_HOURS(1));
        assert_empty(r, "q");
        assert_depths(r, "q", 0, 0, 0);
    }
    assert_status(LK_OK, lk_queue_acknowledge(r->db, NULL, 0));
}

/* "lapsed but claimed by nobody since: LK_LATE (deleted all the same)" */
static void
test_acknowledge_after_the_deadline_is_late_and_done(rig *r)
{
    for (size_t i = 0; i < 2 * COUNT(sks); i++) {
        job j;
        lkc_push(r, "q", sks[i / 2], "x");
        assert_pull(r, "q", "x", &j);
        lkc_advance(r, VISIBILITY_MS + 1);
        if (i % 2 != 0) /* others have seen that it lapsed */
            assert_depths(r, "q", 1, 0, 0);
        assert_status(LK_LATE, lk_queue_acknowledge(r->db, &j.claim, 1));
        assert_holds(r, j.claim.key, NULL);
        assert_empty(r, "q");
        assert_lost(r, &j);
    }
}

/* "claimed by another, released, deleted or never there: LK_LOST, and nothing happens" */
static void
test_claims_that_are_lost_change_nothing(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job old, holder;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &old);
        lkc_advance(r, VISIBILITY_MS + 1);
        assert_pull(r, "q", "x", &holder); /* claimed by another */
        assert_lost(r, &old);
        assert_held(r, &holder);
        assert_status(LK_OK, lk_queue_release(r->db, &holder.claim, 0)); /* released */
        assert_lost(r, &holder);
        assert_lost(r, &old);
        assert_depths(r, "q", 1, 0, 0);
        assert_pull(r, "q", "x", &holder);
        assert_int_equal(holder.claim.receives, 3);
        lkc_delete(r, holder.pk, holder.sk); /* deleted */
        assert_lost(r, &holder);
        lkc_set(r, holder.pk, holder.sk, "an item of that key");
        assert_lost(r, &holder);
        assert_holds(r, holder.claim.key, "an item of that key");
        job never = {.claim = {.key = lk_key_of("q", "never there"), .token = 7}};
        assert_lost(r, &never);
        never.claim.key.pk = lk_string("no queue");
        assert_lost(r, &never);
        lkc_delete(r, holder.pk, holder.sk);
    }
}

/* A claim of one job is none on another. */
static void
test_claims_of_other_jobs_are_lost(rig *r)
{
    job a, b;
    lkc_push(r, "q", NULL, "a");
    lkc_push(r, "q", NULL, "b");
    assert_pull(r, "q", "a", &a);
    assert_pull(r, "q", "b", &b);
    uint64_t token = a.claim.token;
    a.claim.token++;
    assert_lost(r, &a);
    if (token != b.claim.token) {
        a.claim.token = b.claim.token;
        assert_lost(r, &a);
    }
    a.claim.token = token;
    assert_held(r, &a);
    assert_held(r, &b);
}

/* "Of several claims each is judged on its own; the status is that of the first that was not
 * LK_OK." */
static void
test_acknowledge_of_several_judges_each_on_its_own(rig *r)
{
    job j[4];
    lk_claim claims[4];
    for (size_t i = 0; i < 4; i++) {
        lkc_push(r, "q", i % 2 == 0 ? NULL : i == 1 ? "x" : "y", "x");
        assert_pull(r, "q", "x", &j[i]);
        claims[i] = j[i].claim;
    }
    lkc_delete(r, j[1].pk, j[1].sk);
    assert_status(LK_LOST, lk_queue_acknowledge(r->db, claims, 4));
    assert_depths(r, "q", 0, 0, 0);
}

static void
test_acknowledge_of_several_says_the_first_that_was_not_ok(rig *r)
{
    for (int order = 0; order < 2; order++) {
        job good, late, lost;
        lkc_push(r, "q", "a", "late");
        assert_pull(r, "q", "late", &late);
        lkc_advance(r, VISIBILITY_MS + 1);
        lkc_push(r, "r", "b", "good");
        assert_pull(r, "r", "good", &good);
        lkc_push(r, "r", "c", "lost");
        assert_pull(r, "r", "lost", &lost);
        lkc_delete(r, "r", "c");
        lk_claim claims[] = {good.claim, order == 0 ? late.claim : lost.claim,
                             order == 0 ? lost.claim : late.claim};
        assert_status(order == 0 ? LK_LATE : LK_LOST, lk_queue_acknowledge(r->db, claims, 3));
        assert_holds(r, late.claim.key, NULL);
        assert_holds(r, good.claim.key, NULL);
        lkc_push(r, "q", NULL, "x"); /* named twice: lost the second time */
        assert_pull(r, "q", "x", &good);
        claims[0] = claims[1] = good.claim;
        assert_status(LK_LOST, lk_queue_acknowledge(r->db, claims, 2));
        assert_depths(r, "q", 0, 0, 0);
    }
}

/* ---- release ---- */

/* "makes it visible again, at its own place in the order, at once" */
static void
test_release_gives_the_job_back_at_its_place(rig *r)
{
    job j[3];
    for (size_t form = 0; form < 2; form++) {
        static const char *const data[] = {"1", "2", "3"};
        for (size_t i = 0; i < 3; i++)
            lkc_push(r, "q", form == 0 ? NULL : data[i], data[i]);
        for (size_t i = 0; i < 3; i++)
            assert_pull(r, "q", data[i], &j[i]);
        assert_status(LK_OK, lk_queue_release(r->db, &j[2].claim, 0));
        assert_status(LK_OK, lk_queue_release(r->db, &j[0].claim, 0));
        assert_status(LK_OK, lk_queue_release(r->db, &j[1].claim, 0));
        assert_depths(r, "q", 3, 0, 0);
        lkc_push(r, "q", form == 0 ? NULL : "4", "4");
        for (size_t i = 0; i < 3; i++) {
            assert_lost(r, &j[i]);
            assert_pull(r, "q", data[i], &j[i]);
            assert_int_equal(j[i].claim.receives, 2);
        }
        assert_pull(r, "q", "4", NULL);
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("q"), NULL));
    }
}

/* "or after delay_ms; LK_LATE and LK_LOST as above" */
static void
test_release_with_delay_and_late(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 50));
        assert_empty(r, "q");
        assert_depths(r, "q", 0, 0, 1);
        assert_lost(r, &j);
        lkc_advance(r, 49);
        assert_empty(r, "q");
        lkc_advance(r, 2);
        assert_pull(r, "q", "x", &j);
        lkc_advance(r, VISIBILITY_MS + 1);
        assert_status(LK_LATE, lk_queue_release(r->db, &j.claim, 50));
        assert_empty(r, "q"); /* done all the same */
        assert_lost(r, &j);
        lkc_advance(r, 51);
        assert_pull(r, "q", "x", &j);
        assert_int_equal(j.claim.receives, 3);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
    }
}

/* ---- extend ---- */

/* "moves the deadline; after a lapse only if nobody has claimed it since, else LK_LOST" */
static void
test_extend_moves_the_deadline(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j, other;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        uint64_t token = j.claim.token;
        lkc_advance(r, VISIBILITY_MS);
        assert_status(LK_OK, lk_queue_extend(r->db, &j.claim, 1000)); /* later */
        assert_int_equal(j.claim.deadline_ms, atomic_load(&r->monotonic_ms) + 1000);
        assert_true(j.claim.token == token && j.claim.receives == 1);
        lkc_advance(r, 1000);
        assert_empty(r, "q");
        assert_status(LK_OK, lk_queue_extend(r->db, &j.claim, 0)); /* 0: 5 minutes */
        assert_int_equal(j.claim.deadline_ms, atomic_load(&r->monotonic_ms) + LK_MINUTES(5));
        assert_status(LK_OK, lk_queue_extend(r->db, &j.claim, 10)); /* earlier */
        lkc_advance(r, 11);
        assert_depths(r, "q", 1, 0, 0);
        assert_status(LK_OK, lk_queue_extend(r->db, &j.claim, 10)); /* after the lapse */
        assert_depths(r, "q", 0, 1, 0);
        assert_empty(r, "q");
        lkc_advance(r, 11);
        assert_pull(r, "q", "x", &other);
        assert_lost(r, &j);
        assert_held(r, &other);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &other.claim, 1));
    }
}

/* ---- by key ---- */

/* "A claim with token 0 acknowledges by key whatever its state" */
static void
test_acknowledge_with_token_0_takes_out_by_key(rig *r)
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
                assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 100));
            lk_claim by_key = {.key = j.claim.key};
            assert_status(LK_OK, lk_queue_acknowledge(r->db, &by_key, 1));
            assert_holds(r, j.claim.key, NULL);
            assert_lost(r, &j);
            assert_status(LK_LOST, lk_queue_acknowledge(r->db, &by_key, 1));
            assert_depths(r, "q", 0, 0, 0);
        }
    lkc_set(r, "q", "item", "no job");
    lk_claim by_key = {.key = lk_key_of("q", "item")};
    assert_status(LK_LOST, lk_queue_acknowledge(r->db, &by_key, 1));
    assert_holds(r, by_key.key, "no job");
}

/* release: "Token 0 likewise."; latchkey.h: "who holds it has lost it" */
static void
test_release_with_token_0_gives_back_by_key(rig *r)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lk_claim by_key = {.key = j.claim.key};
        assert_status(LK_OK, lk_queue_release(r->db, &by_key, 0));
        assert_lost(r, &j);
        assert_depths(r, "q", 1, 0, 0);
        assert_status(LK_OK, lk_queue_release(r->db, &by_key, 50));
        assert_depths(r, "q", 0, 0, 1);
        assert_status(LK_OK, lk_queue_release(r->db, &by_key, 0));
        assert_pull(r, "q", "x", &j);
        assert_status(LK_INVALID, lk_queue_extend(r->db, &by_key, 50));
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &j.claim, 1));
        assert_status(LK_LOST, lk_queue_release(r->db, &by_key, 0));
    }
}

static const lkc_case cases[] = {
    CASE(test_acknowledge_takes_the_job_out_for_good, LK_HAS_QUEUES),
    CASE(test_acknowledge_after_the_deadline_is_late_and_done, LK_HAS_QUEUES),
    CASE(test_claims_that_are_lost_change_nothing, LK_HAS_QUEUES),
    CASE(test_claims_of_other_jobs_are_lost, LK_HAS_QUEUES),
    CASE(test_acknowledge_of_several_judges_each_on_its_own, LK_HAS_QUEUES),
    CASE(test_acknowledge_of_several_says_the_first_that_was_not_ok, LK_HAS_QUEUES),
    CASE(test_release_gives_the_job_back_at_its_place, LK_HAS_QUEUES),
    CASE(test_release_with_delay_and_late, LK_HAS_QUEUES),
    CASE(test_extend_moves_the_deadline, LK_HAS_QUEUES),
    CASE(test_acknowledge_with_token_0_takes_out_by_key, LK_HAS_QUEUES),
    CASE(test_release_with_token_0_gives_back_by_key, LK_HAS_QUEUES),
};
AREA(lkc_claim_area, cases);
