/* SPDX-License-Identifier: MIT
 *
 * Area: commits with jobs. "acknowledge this job, write its result, push the next one, all or
 * nothing."
 */
#include "suite.h"

static lk_write
put(const char *pk, const char *sk, const char *data)
{
    return (lk_write){.kind = LK_PUT, .item = lkc_item(pk, sk, data)};
}

static lk_write
push(const char *pk, const char *sk, const char *data)
{
    return (lk_write){.kind = LK_PUSH, .item = lkc_item(pk, sk, data)};
}

static lk_write
done(const lk_claim *claim)
{
    return (lk_write){.kind = LK_ACKNOWLEDGE, .claim = claim};
}

static void
test_hand_over_is_one_step(rig *r)
{
    job j, next;
    lk_lock lock = lkc_lock(r, lk_key_of("results", "1"));
    uint64_t version = lock.version;
    for (int form = 0; form < 4; form++) {
        lkc_push(r, "q", form % 2 == 0 ? NULL : "own", "work");
        assert_pull(r, "q", "work", &j);
        lk_write writes[] = {done(&j.claim),
                             put("results", "1", "result"),
                             push("next", form / 2 == 0 ? NULL : "own", "more work"),
                             {.kind = LK_DELETE, .item = {.key = lk_key_of("a", "gone")}}};
        lkc_set(r, "a", "gone", "x");
        assert_status(LK_OK, lk_commit(r->db, writes, 4, &lock, 1, NULL));
        assert_true(lock.version > version);
        version = lock.version;
        assert_lost(r, &j);
        assert_holds(r, j.claim.key, NULL);
        assert_holds(r, lock.key, "result");
        assert_holds(r, lk_key_of("a", "gone"), NULL);
        assert_pull(r, "next", "more work", &next);
        assert_int_equal(next.claim.receives, 1);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &next.claim, 1));
        assert_depths(r, "q", 0, 0, 0);
    }
}

/* One thing is wrong with it, and nothing of it happens. */
static void
test_commit_that_fails_in_one_thing_does_nothing(rig *r)
{
    job good, lost;
    lkc_push(r, "q", NULL, "good");
    assert_pull(r, "q", "good", &good);
    lkc_push(r, "q", "lost", "lost");
    assert_pull(r, "q", "lost", &lost);
    assert_status(LK_OK, lk_queue_release(r->db, &lost.claim, LK_HOURS(1)));
    assert_status(LK_OK, lk_queue_close(r->db, lk_string("closed")));
    lk_lock lock = lkc_lock(r, lk_key_of("a", "1")), stale = lock;
    stale.version--;
    lk_write writes[] = {done(&good.claim), put("a", "1", "x"), push("next", NULL, "x"),
                         push("next", "own", "x"), put("a", "2", "x")};
    lk_conflict conflict = {9, 9};
    lk_lock used = stale;
    assert_status(LK_RACE, lk_commit(r->db, writes, 4, &used, 1, &conflict));
    assert_true(conflict.index == 0 && conflict.current_version == lock.version);
    used = lock;
    writes[4] = done(&lost.claim);
    assert_status(LK_LOST, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = push("closed", NULL, "x");
    assert_status(LK_CLOSED, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = push("closed", "own", "x");
    assert_status(LK_CLOSED, lk_commit(r->db, writes, 5, NULL, 0, NULL));
    writes[4] = done(NULL);
    assert_status(LK_INVALID, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = put("a", "1", "the same key");
    assert_status(LK_INVALID, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = put("next", "own", "the key of the push");
    assert_status(LK_INVALID, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = done(&good.claim);
    assert_status(LK_INVALID, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = (lk_write){.kind = LK_DELETE, .item = {.key = good.claim.key}};
    assert_status(LK_INVALID, lk_commit(r->db, writes, 5, &used, 1, NULL));
    writes[4] = push("", NULL, "x");
    assert_status(LK_INVALID, lk_commit(r->db, writes, 5, &used, 1, NULL));
    assert_memory_equal(&used, &lock, sizeof lock);
    assert_held(r, &good);
    assert_depths(r, "q", 0, 1, 1);
    assert_depths(r, "next", 0, 0, 0);
    assert_holds(r, lk_key_of("a", "1"), NULL);
    assert_true(lkc_lock(r, lock.key).version == lock.version);
    assert_status(LK_OK, lk_commit(r->db, writes, 4, &used, 1, NULL));
    assert_depths(r, "next", 2, 0, 0);
}

/* latchkey.h: "LK_LATE: all of it is done, though that claim had lapsed"; outputs count then */
static void
test_commit_of_a_lapsed_claim_is_late_and_done(rig *r)
{
    static const char *const sks[] = {NULL, "own"};
    for (size_t i = 0; i < COUNT(sks); i++) {
        job j, other;
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lkc_advance(r, VISIBILITY_MS + 1);
        lk_lock lock = lkc_lock(r, lk_key_of("a", "1"));
        uint64_t version = lock.version;
        lk_write writes[] = {put("a", "1", sks[i] == NULL ? "first" : "second"), done(&j.claim)};
        assert_status(LK_LATE, lk_commit(r->db, writes, 2, &lock, 1, NULL));
        assert_true(lock.version > version);
        assert_holds(r, lock.key, sks[i] == NULL ? "first" : "second");
        assert_empty(r, "q");
        assert_lost(r, &j);
        lkc_push(r, "q", sks[i], "x");
        assert_pull(r, "q", "x", &j);
        lkc_advance(r, VISIBILITY_MS + 1);
        assert_pull(r, "q", "x", &other); /* now another one has claimed it */
        version = lock.version;
        writes[0] = put("a", "1", "never");
        assert_status(LK_LOST, lk_commit(r->db, writes, 2, &lock, 1, NULL));
        assert_true(lock.version == version);
        assert_holds(r, lock.key, sks[i] == NULL ? "first" : "second");
        assert_held(r, &other);
        assert_status(LK_OK, lk_queue_acknowledge(r->db, &other.claim, 1));
    }
}

/* Token 0: by key, whatever the state. */
static void
test_commit_acknowledges_by_key(rig *r)
{
    job j;
    lkc_push(r, "q", NULL, "claimed");
    assert_pull(r, "q", "claimed", &j);
    lkc_push_delayed(r, "q", "own", "delayed", 100);
    lk_claim by_key[] = {{.key = j.claim.key}, {.key = lk_key_of("q", "own")}};
    lk_write writes[] = {done(&by_key[0]), done(&by_key[1]), put("a", "1", "x")};
    assert_status(LK_OK, lk_commit(r->db, writes, 3, NULL, 0, NULL));
    assert_depths(r, "q", 0, 0, 0);
    assert_lost(r, &j);
    lkc_set(r, "q", "own", "no job");
    assert_status(LK_LOST, lk_commit(r->db, writes + 1, 1, NULL, 0, NULL));
    assert_holds(r, lk_key_of("q", "own"), "no job");
}

/* "strictly increasing in push order per queue", whichever call pushes; several jobs without an sk
 * name no key twice */
static void
test_commits_generate_keys_in_order_with_pushes(rig *r)
{
    char data[8], last[JOB_ROOM] = {0};
    job j;
    for (int i = 0; i < 40; i += 4) {
        char text[4][8];
        for (int k = 0; k < 4; k++)
            snprintf(text[k], sizeof text[k], "%d", i + k);
        lkc_push(r, "q", NULL, text[0]);
        lk_write writes[] = {push("q", NULL, text[1]), push("other", NULL, "x"),
                             push("q", NULL, text[2]), push("q", NULL, text[3])};
        assert_status(LK_OK, lk_commit(r->db, writes, 4, NULL, 0, NULL));
        atomic_fetch_sub(&r->now_ms, 3);
    }
    for (int i = 0; i < 40; i++) {
        snprintf(data, sizeof data, "%d", i);
        assert_pull(r, "q", data, &j);
        assert_true(lkc_is_ulid(j.claim.key.sk) && strcmp(j.sk, last) > 0);
        strcpy(last, j.sk);
    }
    assert_depths(r, "other", 10, 0, 0);
}

/* latchkey.h: LK_PUSH "replaces one of its key" */
static void
test_commit_push_replaces_what_is_there(rig *r)
{
    job j;
    lkc_push(r, "q", "own", "old");
    assert_pull(r, "q", "old", &j);
    lk_write write = push("q", "own", "new");
    assert_status(LK_OK, lk_commit(r->db, &write, 1, NULL, 0, NULL));
    assert_lost(r, &j);
    assert_pull(r, "q", "new", &j);
    assert_int_equal(j.claim.receives, 1);
    assert_depths(r, "q", 0, 1, 0);
}

/* Input is copied, that of a claim too. */
static void
test_commit_with_jobs_copies_its_input(rig *r)
{
    char pk[] = "q", sk[] = "own", data[] = "data";
    job j;
    lk_write write = push(pk, sk, data);
    assert_status(LK_OK, lk_commit(r->db, &write, 1, NULL, 0, NULL));
    memset(pk, 'x', 1);
    memset(sk, 'x', 3);
    memset(data, 'x', 4);
    assert_pull(r, "q", "data", &j);
    assert_string_equal(j.sk, "own");
}

static const lkc_case cases[] = {
    CASE(test_hand_over_is_one_step, LK_COMMITS_JOBS),
    CASE(test_commit_that_fails_in_one_thing_does_nothing, LK_COMMITS_JOBS),
    CASE(test_commit_of_a_lapsed_claim_is_late_and_done, LK_COMMITS_JOBS),
    CASE(test_commit_acknowledges_by_key, LK_COMMITS_JOBS),
    CASE(test_commits_generate_keys_in_order_with_pushes, LK_COMMITS_JOBS),
    CASE(test_commit_push_replaces_what_is_there, LK_COMMITS_JOBS),
    CASE(test_commit_with_jobs_copies_its_input, LK_COMMITS_JOBS),
};
AREA(lkc_job_commit_area, cases);
