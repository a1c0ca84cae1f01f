/* SPDX-License-Identifier: MIT
 *
 * Area: tokens. A claim is of one job: when that is gone, however it went, its token is good for nothing that comes later, least of all for
 * a job of the same key.
 */
#include "suite.h"

static void
go_deleted(rig *r, job *j)
{
    assert_status(LK_OK, lk_delete(r->db, &j->claim.key, 1));
}

static void
go_acknowledged(rig *r, job *j)
{
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &j->claim, 1));
}

static void
go_acknowledged_by_key(rig *r, job *j)
{
    lk_claim by_key = {.key = j->claim.key};
    assert_status(LK_OK, lk_queue_acknowledge(r->db, &by_key, 1));
}

static void
go_purged(rig *r, job *j)
{
    size_t purged = 0;
    assert_status(LK_OK, lk_queue_purge(r->db, j->claim.key.pk, &purged));
    assert_int_equal(purged, 1);
}

static void
go_expired(rig *r, job *j)
{
    lkc_set_until(r, j->pk, j->sk, "x", lkc_now(r) + 5);
    lkc_advance(r, 6);
}

static void
go_replaced_by_an_item(rig *r, job *j)
{
    go_expired(r, j);
    lkc_set(r, j->pk, j->sk, "item");
    assert_lost(r, j);
    assert_holds(r, j->claim.key, "item");
}

static void
go_to_the_dead(rig *r, job *j)
{
    assert_status(LK_OK, lk_queue_release(r->db, &j->claim, 0));
    assert_status(LK_EMPTY, lkc_try_pull_limited(r, j->pk, 1, "dead", NULL));
    assert_holds(r, j->claim.key, NULL);
}

static void
go_in_a_commit(rig *r, job *j)
{
    lk_write gone = {.kind = LK_DELETE, .item = {.key = j->claim.key}};
    if (!lkc_can(r, LK_HAS_LOCKS)) {
        go_deleted(r, j);
        return;
    }
    assert_status(LK_OK, lk_commit(r->db, &gone, 1, NULL, 0, NULL));
}

/* The new job itself takes its place. */
static void
go_replaced_by_a_push(rig *r, job *j)
{
    (void)r;
    (void)j;
}

static void
go_with_its_queue(rig *r, job *j)
{
    go_deleted(r, j);
    for (int i = 0; i < 4; i++) { /* a queue that is not used goes */
        lkc_advance(r, LK_MINUTES(5));
        if (lkc_can(r, LK_HAS_SWEEP))
            assert_status(LK_OK, lk_sweep(r->db, 0, NULL));
    }
}

static void (*const ways[])(rig *r, job *j) = {
    go_deleted,        go_acknowledged,      go_acknowledged_by_key, go_purged,
    go_expired,        go_in_a_commit,       go_replaced_by_an_item, go_to_the_dead,
    go_with_its_queue, go_replaced_by_a_push};

enum { LIVES = 6 };

/* A job of that key again, by a push or in a commit. */
static void
push_again(rig *r, const char *sk, size_t life)
{
    lk_write write = {.kind = LK_PUSH, .item = lkc_item("q", sk, "x")};
    if (life % 2 != 0 && lkc_can(r, LK_COMMITS_JOBS))
        assert_status(LK_OK, lk_commit(r->db, &write, 1, NULL, 0, NULL));
    else
        lkc_push(r, "q", sk, "x");
}

static void
assert_old_tokens_are_lost(rig *r, job *old, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_lost(r, &old[i]);
}

/* "claimed by another, released, deleted or never there: LK_LOST, and nothing happens" */
static void
test_token_of_a_job_that_is_gone_is_none_of_a_new_one(rig *r)
{
    for (size_t way = 0; way < COUNT(ways); way++) {
        job old[LIVES], holder;
        for (size_t life = 0; life < LIVES; life++) {
            push_again(r, "own", life);
            assert_old_tokens_are_lost(r, old, life); /* while it is visible */
            assert_depths(r, "q", 1, 0, 0);
            assert_pull(r, "q", "x", &old[life]);
            assert_int_equal(old[life].claim.receives, 1);
            assert_old_tokens_are_lost(r, old, life); /* and claimed */
            assert_held(r, &old[life]);
            ways[way](r, &old[life]);
        }
        push_again(r, "own", 0);
        assert_pull(r, "q", "x", &holder);
        assert_old_tokens_are_lost(r, old, LIVES);
        assert_held(r, &holder);
        assert_depths(r, "q", 0, 1, 0);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &holder.claim, 1));
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("dead"), NULL));
    }
}

/* Tokens that go by the number of receives meet again after as many pulls. */
static void
test_token_of_an_older_claim_is_lost_after_any_number_of_pulls(rig *r)
{
    job old[LIVES], j;
    for (size_t life = 0; life < LIVES; life++) {
        lkc_push(r, "q", "own", "x");
        for (size_t receives = 1; receives <= LIVES; receives++) {
            assert_pull(r, "q", "x", &j);
            assert_old_tokens_are_lost(r, old, life);
            assert_held(r, &j);
            if (receives == life + 1) {
                memcpy(&old[life], &j, sizeof j);
                old[life].claim.key = lk_key_of(old[life].pk, old[life].sk);
            }
            if (receives % 2 != 0)
                assert_status(LK_OK, lk_queue_release(r->db, &j.claim, 0));
            else
                lkc_advance(r, VISIBILITY_MS + 1);
        }
        lkc_delete(r, "q", "own");
    }
}

/* A job that has another's generated key: it was acknowledged, and somebody pushes that key. */
static void
test_token_of_a_generated_key_is_none_of_a_job_pushed_there(rig *r)
{
    for (size_t way = 0; way < COUNT(ways); way++) {
        job first, again;
        lkc_push(r, "q", NULL, "x");
        assert_pull(r, "q", "x", &first);
        ways[way](r, &first);
        lkc_push(r, "q", first.sk, "y");
        assert_lost(r, &first);
        assert_pull(r, "q", "y", &again);
        assert_lost(r, &first);
        assert_held(r, &again);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &again.claim, 1));
        assert_holds(r, first.claim.key, NULL);
        assert_status(LK_OK, lk_queue_purge(r->db, lk_string("dead"), NULL));
    }
}

/* A dead letter is a fresh job: the claim that it died under is none on it, under either name. */
static void
test_token_of_a_job_that_died_is_none_of_the_dead_letter(rig *r)
{
    job j, dead;
    char pk[] = "dead";
    lkc_push(r, "q", "own", "x");
    assert_pull(r, "q", "x", &j);
    go_to_the_dead(r, &j);
    assert_lost(r, &j);
    j.claim.key.pk = lk_string(pk);
    assert_lost(r, &j);
    assert_pull(r, "dead", "x", &dead);
    assert_lost(r, &j);
    assert_held(r, &dead);
}

/* A count that begins anew with each opening would give the same token twice. */
static void
test_token_is_not_used_again_after_a_reopening(rig *r)
{
    static const char *const sks[] = {"own", "other", "a third"};
    job old[2 * COUNT(sks)];
    for (size_t life = 0; life < 2; life++) {
        for (size_t i = 0; i < COUNT(sks); i++) {
            lkc_push(r, "q", sks[i], sks[i]);
            assert_status(LK_OK, lkc_try_pull(r, "q", &old[life * COUNT(sks) + i]));
            assert_old_tokens_are_lost(r, old, life * COUNT(sks));
            assert_held(r, &old[life * COUNT(sks) + i]);
        }
        for (size_t i = 0; i < COUNT(sks); i++)
            lkc_delete(r, "q", sks[i]);
        lkc_reopen(r);
    }
}

static const lkc_case cases[] = {
    CASE(test_token_of_a_job_that_is_gone_is_none_of_a_new_one, LK_HAS_QUEUES),
    CASE(test_token_of_an_older_claim_is_lost_after_any_number_of_pulls, LK_HAS_QUEUES),
    CASE(test_token_of_a_generated_key_is_none_of_a_job_pushed_there, LK_HAS_QUEUES),
    CASE(test_token_of_a_job_that_died_is_none_of_the_dead_letter, LK_HAS_QUEUES),
    CASE(test_token_is_not_used_again_after_a_reopening, LK_IS_DURABLE | LK_HAS_QUEUES),
};
AREA(lkc_tokens_area, cases);
