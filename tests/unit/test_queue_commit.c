/* SPDX-License-Identifier: MIT
 *
 * Commits that push and acknowledge: a hand-over is one step, all of it or nothing.
 */
#include "support/jobs.h"

static const char *const sks[] = {NULL, "own"};

static lk_write
write_push(const char *pk, const char *sk, const char *data)
{
    return (lk_write){.kind = LK_PUSH, .item = kit_item(pk, sk, data)};
}

static lk_write
write_put(const char *pk, const char *sk, const char *data)
{
    return (lk_write){.kind = LK_PUT, .item = kit_item(pk, sk, data)};
}

static lk_write
write_acknowledge(const lk_claim *claim)
{
    return (lk_write){.kind = LK_ACKNOWLEDGE, .claim = claim};
}

static void
test_hand_over_is_one_step(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks) * 2; i++) {
        job j, next;
        jobs_push(k, "q", sks[i % 2], "a");
        assert_pull(k, "q", "a", &j);
        lk_write writes[] = {write_acknowledge(&j.claim), write_put("results", "a", "done"),
                             write_push("next", sks[i / 2], "b")};
        assert_status(LK_OK, lk_commit(k->db, writes, 3, NULL, 0, NULL));
        assert_true(kit_holds(k, j.claim.key, NULL));
        assert_true(kit_holds(k, kit_key("results", "a"), "done"));
        assert_depths(k, "q", 0, 0, 0);
        assert_depths(k, "next", 1, 0, 0);
        assert_lost(k, &j);
        assert_status(LK_LOST, lk_commit(k->db, writes, 3, NULL, 0, NULL));
        assert_depths(k, "next", 1, 0, 0);
        assert_pull(k, "next", "b", &next);
        assert_int_equal(next.claim.receives, 1);
        assert_true(sks[i / 2] != NULL || jobs_is_ulid(next.claim.key.sk));
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &next.claim, 1));
        assert_empty(k, "q");
        assert_empty(k, "next");
    }
}

static void
test_hand_over_within_one_queue(void **state)
{
    kit *k = *state;
    job j;
    jobs_push(k, "q", NULL, "0");
    for (unsigned i = 0; i < 1200; i++) {
        char text[2][12];
        snprintf(text[0], sizeof text[0], "%u", i);
        snprintf(text[1], sizeof text[1], "%u", i + 1);
        assert_pull(k, "q", text[0], &j);
        lk_write writes[] = {write_push("q", i % 3 == 0 ? text[1] : NULL, text[1]),
                             write_acknowledge(&j.claim)};
        assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_depths(k, "q", 1, 0, 0);
    }
    assert_int_equal(jobs_items(k, "q"), 1);
}

/* ---- all or nothing ---- */

/* Commits with something in it that cannot be: nothing of it happens. */
static void
nothing_happens(kit *k, lk_status wanted, const lk_write *writes, size_t count, lk_lock *locks,
                size_t lock_count)
{
    static const char *const pks[] = {"q", "q2", "items", "closed"};
    static picture before, after;
    lk_queue_statistics lost;
    lk_lock copies[4];
    for (size_t i = 0; i < lock_count; i++)
        copies[i] = locks[i];
    picture_take(k, pks, KIT_COUNT(pks), &before);
    lost = jobs_statistics(k, "q");
    lk_conflict conflict = {77, 77};
    assert_status(wanted, lk_commit(k->db, writes, count, locks, lock_count, &conflict));
    assert_true(wanted == LK_RACE || (conflict.index == 77 && conflict.current_version == 77));
    for (size_t i = 0; i < lock_count; i++)
        assert_memory_equal(&copies[i], &locks[i], sizeof *locks);
    picture_take(k, pks, KIT_COUNT(pks), &after);
    if (wanted == LK_LOST) { /* which is counted */
        assert_int_equal(jobs_statistics(k, "q").lost, lost.lost + 1);
        assert_int_equal(before.size, after.size);
        return;
    }
    assert_true(picture_equals(&before, &after));
}

static void
test_commit_that_fails_in_one_thing_does_nothing(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job good, gone;
        jobs_push(k, "q", "a", "good");
        jobs_push(k, "q", sks[i], "gone");
        assert_status(LK_OK, jobs_try_pull(k, "q", &good));
        assert_status(LK_OK, jobs_try_pull(k, "q", &gone));
        if (strcmp(good.data, "good") != 0) { /* a generated key comes first */
            job swap;
            memcpy(&swap, &good, sizeof swap);
            memcpy(&good, &gone, sizeof good);
            memcpy(&gone, &swap, sizeof gone);
            good.claim.key = kit_key(good.pk, good.sk);
            gone.claim.key = kit_key(gone.pk, gone.sk);
        }
        kit_set(k, "items", "old", "old");
        kit_set(k, "items", "deleted", "old");
        lk_lock locks[2] = {kit_lock(k, kit_key("items", "old")),
                            kit_lock(k, kit_key("items", "b"))};
        lk_write writes[8] = {write_push("q2", NULL, "x"),
                              write_push("q2", "own", "x"),
                              write_push("q", NULL, "x"),
                              write_acknowledge(&good.claim),
                              write_put("items", "n", "n"),
                              write_put("items", "old", "new"),
                              {.kind = LK_DELETE, .item = kit_item("items", "deleted", NULL)}};
        writes[7] = write_acknowledge(&gone.claim);
        assert_status(LK_OK, lk_queue_release(k->db, &gone.claim, LK_HOURS(1)));
        nothing_happens(k, LK_LOST, writes, 8, locks, 2);
        nothing_happens(k, LK_LOST, writes, 8, NULL, 0);
        assert_status(LK_OK, lk_queue_close(k->db, lk_string("closed")));
        writes[7] = write_push("closed", sks[i], "x");
        nothing_happens(k, LK_CLOSED, writes, 8, locks, 2);
        lk_lock stale[2] = {locks[0], locks[1]};
        stale[1].version++;
        nothing_happens(k, LK_RACE, writes, 7, stale, 2);
        assert_held(k, &good);
        assert_status(LK_OK, lk_commit(k->db, writes, 7, locks, 2, NULL));
        assert_lost(k, &good);
        assert_true(kit_holds(k, kit_key("items", "old"), "new"));
        assert_true(kit_holds(k, kit_key("items", "deleted"), NULL));
        assert_depths(k, "q2", 2, 0, 0);
        assert_depths(k, "q", 1, 0, 1);
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q"), NULL));
        assert_status(LK_OK, lk_queue_purge(k->db, lk_string("q2"), NULL));
    }
}

/* ---- late, lost, by key ---- */

static void
test_commit_of_a_lapsed_claim_is_late_and_done(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        lk_lock lock = kit_lock(k, kit_key("items", "l")), before = lock;
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        lk_write writes[] = {write_put("items", "r", "done"), write_acknowledge(&j.claim),
                             write_push("next", sks[i], "b")};
        assert_status(LK_LATE, lk_commit(k->db, writes, 3, &lock, 1, NULL));
        assert_true(lock.version > before.version); /* outputs are set, as with LK_OK */
        assert_true(kit_lock(k, lock.key).version == lock.version);
        assert_true(kit_holds(k, kit_key("items", "r"), "done"));
        assert_lost(k, &j);
        assert_int_equal(jobs_items(k, "q"), 0);
        assert_pull(k, "next", "b", &j);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
        assert_int_equal(jobs_statistics(k, "q").late, i + 1);
    }
}

static void
test_commit_of_a_claim_that_another_holds_is_lost(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j, other;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        kit_advance(k, JOB_VISIBILITY_MS + 1);
        assert_pull(k, "q", "a", &other);
        lk_write writes[] = {write_acknowledge(&j.claim), write_put("items", "r", "done")};
        assert_status(LK_LOST, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_true(kit_holds(k, kit_key("items", "r"), NULL));
        assert_held(k, &other);
        writes[0].claim = &other.claim;
        assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_status(LK_OK, lk_delete(k->db, &writes[1].item.key, 1));
    }
}

static void
test_commit_acknowledges_by_key(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks) * 3; i++) { /* ready, claimed, delayed */
        job j;
        lk_push_options options = {.delay_ms = i / 2 == 2 ? LK_HOURS(1) : 0};
        lk_item item = kit_item("q", sks[i % 2], "a");
        lk_result *pushed = lk_result_new();
        assert_status(LK_OK, lk_queue_push(k->db, &item, 1, &options, pushed));
        if (i / 2 == 1)
            assert_pull(k, "q", "a", &j);
        lk_claim by_key = {.key = lk_result_item(pushed, 0)->key};
        lk_write writes[] = {write_put("items", "r", "done"), write_acknowledge(&by_key)};
        assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_int_equal(jobs_items(k, "q"), 0);
        assert_depths(k, "q", 0, 0, 0);
        if (i / 2 == 1)
            assert_lost(k, &j);
        assert_status(LK_OK, lk_delete(k->db, &writes[0].item.key, 1));
        assert_status(LK_LOST, lk_commit(k->db, writes, 2, NULL, 0, NULL));
        assert_true(kit_holds(k, writes[0].item.key, NULL));
        by_key.key = kit_key("items", "r");
        kit_set(k, "items", "r", "no job");
        assert_status(LK_LOST, lk_commit(k->db, &writes[1], 1, NULL, 0, NULL));
        assert_true(kit_holds(k, kit_key("items", "r"), "no job"));
        assert_status(LK_OK, lk_delete(k->db, &by_key.key, 1));
        lk_result_free(pushed);
    }
}

/* ---- keys ---- */

static void
test_commits_generate_keys_in_order_with_pushes(void **state)
{
    kit *k = *state;
    unsigned pushed = 0;
    char text[4][12];
    for (unsigned turn = 0; turn < 400; turn++) {
        atomic_fetch_add(&k->now_ms, turn % 5 == 0 ? -3 : 1);
        if (turn % 3 == 0) {
            snprintf(text[0], sizeof text[0], "%u", pushed++);
            jobs_push(k, "q", NULL, text[0]);
            continue;
        }
        lk_write writes[4];
        for (size_t i = 0; i < 4; i++) {
            snprintf(text[i], sizeof text[i], "%u", pushed++);
            writes[i] = write_push("q", NULL, text[i]);
        }
        assert_status(LK_OK, lk_commit(k->db, writes, 4, NULL, 0, NULL));
    }
    assert_depths(k, "q", pushed, 0, 0);
    char last[JOB_ROOM] = "";
    for (unsigned i = 0; i < pushed; i++) {
        job j;
        snprintf(text[0], sizeof text[0], "%u", i);
        assert_pull(k, "q", text[0], &j);
        assert_true(jobs_is_ulid(j.claim.key.sk) && strcmp(last, j.sk) < 0);
        memcpy(last, j.sk, sizeof last);
    }
    assert_empty(k, "q");
}

/* Without an sk a push names no key: several in one commit, beside the item of the empty sk. */
static void
test_commit_pushes_without_sk_name_no_key(void **state)
{
    kit *k = *state;
    lk_write writes[] = {write_push("q", NULL, "1"), write_put("q", "", "item"),
                         write_push("q2", NULL, "x"), write_push("q", NULL, "2"),
                         write_push("q", "zz", "3")};
    assert_status(LK_OK, lk_commit(k->db, writes, 5, NULL, 0, NULL));
    assert_true(kit_holds(k, kit_key("q", ""), "item"));
    assert_int_equal(jobs_items(k, "q"), 4);
    assert_pull(k, "q", "1", NULL);
    assert_pull(k, "q", "2", NULL);
    assert_pull(k, "q", "3", NULL);
    assert_pull(k, "q2", "x", NULL);
    assert_empty(k, "q");
}

static void
test_commit_push_replaces_what_is_there(void **state)
{
    kit *k = *state;
    job j, fresh;
    kit_set(k, "q", "item", "1");
    jobs_push(k, "q", "job", "1");
    assert_pull(k, "q", "1", &j);
    lk_write writes[] = {write_push("q", "item", "2"), write_push("q", "job", "2")};
    assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
    assert_lost(k, &j);
    assert_depths(k, "q", 2, 0, 0);
    for (int i = 0; i < 2; i++) {
        assert_pull(k, "q", "2", &fresh);
        assert_int_equal(fresh.claim.receives, 1);
    }
    writes[1] = write_put("q", "job", "3"); /* a put keeps the claim */
    assert_status(LK_OK, lk_commit(k->db, &writes[1], 1, NULL, 0, NULL));
    assert_held(k, &fresh);
}

static void
test_commit_of_many_pushes_and_acknowledges(void **state)
{
    kit *k = *state;
    enum { HALF = LK_COMMIT_MAX / 2 };
    static lk_write writes[LK_COMMIT_MAX + 1];
    static char texts[HALF + 1][12];
    lk_result *pulled = lk_result_new();
    lk_pull_options options = {.pk = lk_string("q"), .max_jobs = HALF};
    assert_non_null(pulled);
    assert_status(LK_OK, jobs_try_push_batch(k, "q", 0, HALF, NULL, NULL));
    assert_status(LK_OK, lk_queue_pull(k->db, &options, pulled));
    for (size_t i = 0; i <= HALF; i++) {
        snprintf(texts[i], sizeof texts[i], "%08zu", i);
        writes[2 * i] = write_push("q2", i % 4 == 0 ? texts[i] : NULL, texts[i]);
        if (i < HALF)
            writes[2 * i + 1] = write_acknowledge(lk_result_claim(pulled, i));
    }
    assert_status(LK_TOO_BIG, lk_commit(k->db, writes, LK_COMMIT_MAX + 1, NULL, 0, NULL));
    assert_depths(k, "q", 0, HALF, 0);
    assert_status(LK_OK, lk_commit(k->db, writes, LK_COMMIT_MAX, NULL, 0, NULL));
    assert_depths(k, "q", 0, 0, 0);
    assert_depths(k, "q2", HALF, 0, 0);
    lk_result_free(pulled);
}

/* ---- locks ---- */

static void
test_commit_bumps_locks_together_with_jobs(void **state)
{
    kit *k = *state;
    for (size_t i = 0; i < KIT_COUNT(sks); i++) {
        job j;
        jobs_push(k, "q", sks[i], "a");
        assert_pull(k, "q", "a", &j);
        lk_lock locks[3] = {kit_lock(k, kit_key("items", "l")), kit_lock(k, j.claim.key),
                            kit_lock(k, kit_key("next", "own"))};
        lk_lock before[3] = {locks[0], locks[1], locks[2]};
        lk_write writes[] = {write_acknowledge(&j.claim), write_push("next", "own", "b"),
                             write_put("items", "l", "done")};
        assert_status(LK_OK, lk_commit(k->db, writes, 3, locks, 3, NULL));
        assert_true(locks[0].version > before[0].version);
        assert_true(locks[2].version > before[2].version);
        assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &before[1], 1, NULL));
        assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &locks[2], 1, NULL));
        assert_pull(k, "next", "b", &j);
        assert_status(LK_OK, lk_queue_acknowledge(k->db, &j.claim, 1));
    }
}

static void
test_commit_that_races_names_the_lock(void **state)
{
    kit *k = *state;
    job j;
    jobs_push(k, "q", NULL, "a");
    assert_pull(k, "q", "a", &j);
    lk_lock locks[2] = {kit_lock(k, kit_key("items", "a")), kit_lock(k, kit_key("items", "b"))};
    lk_lock mover = locks[1];
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &mover, 1, NULL));
    lk_write writes[] = {write_acknowledge(&j.claim), write_push("next", NULL, "b")};
    lk_conflict conflict;
    assert_status(LK_RACE, lk_commit(k->db, writes, 2, locks, 2, &conflict));
    assert_int_equal(conflict.index, 1);
    assert_true(conflict.current_version == mover.version);
    assert_held(k, &j);
    assert_empty(k, "next");
    locks[1] = mover;
    assert_status(LK_OK, lk_commit(k->db, writes, 2, locks, 2, &conflict));
    assert_pull(k, "next", "b", NULL);
}

static void
test_commit_pushes_expire_like_others(void **state)
{
    kit *k = *state;
    lk_write writes[] = {write_push("q", NULL, "a"), write_push("q", "own", "b")};
    writes[0].item.expires_at_ms = writes[1].item.expires_at_ms = k->now_ms + 100;
    assert_status(LK_OK, lk_commit(k->db, writes, 2, NULL, 0, NULL));
    kit_advance(k, 100);
    job j;
    assert_pull(k, "q", "a", &j);
    assert_true(j.expires_at_ms == k->now_ms);
    kit_advance(k, 1);
    assert_empty(k, "q");
    assert_lost(k, &j);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hand_over_is_one_step),
        TEST(test_hand_over_within_one_queue),
        TEST(test_commit_that_fails_in_one_thing_does_nothing),
        TEST(test_commit_of_a_lapsed_claim_is_late_and_done),
        TEST(test_commit_of_a_claim_that_another_holds_is_lost),
        TEST(test_commit_acknowledges_by_key),
        TEST(test_commits_generate_keys_in_order_with_pushes),
        TEST(test_commit_pushes_without_sk_name_no_key),
        TEST(test_commit_push_replaces_what_is_there),
        TEST(test_commit_of_many_pushes_and_acknowledges),
        TEST(test_commit_bumps_locks_together_with_jobs),
        TEST(test_commit_that_races_names_the_lock),
        TEST(test_commit_pushes_expire_like_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
