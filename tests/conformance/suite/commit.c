/* SPDX-License-Identifier: MIT
 *
 * Area: lk_commit with puts and deletes. With jobs: job_commit.c.
 */
#include "suite.h"

static lk_write
put(const char *pk, const char *sk, const char *data)
{
    return (lk_write){.kind = LK_PUT, .item = lkc_item(pk, sk, data)};
}

static lk_write
gone(const char *pk, const char *sk)
{
    return (lk_write){.kind = LK_DELETE, .item = {.key = lk_key_of(pk, sk)}};
}

/* "commit is set_atomic with any mix of put, delete [...], and with no locks at all if you like" */
static void
test_commit_without_locks_writes_all(rig *r)
{
    lkc_set(r, "a", "2", "old");
    lkc_set(r, "a", "3", "old");
    lk_write writes[] = {put("a", "1", "x"), gone("a", "2"), put("b", "", "y"),
                         put("a", "3", "new"), gone("a", "never there")};
    for (int turn = 0; turn < 2; turn++) {
        assert_status(LK_OK, lk_commit(r->db, writes, COUNT(writes), NULL, 0, NULL));
        assert_holds(r, lk_key_of("a", "1"), "x");
        assert_holds(r, lk_key_of("a", "2"), NULL);
        assert_holds(r, lk_key_of("b", ""), "y");
        assert_holds(r, lk_key_of("a", "3"), "new");
    }
    assert_status(LK_INVALID, lk_commit(r->db, NULL, 0, NULL, 0, NULL));
}

/* "All or nothing": one stale lock, and no put and no delete happens. */
static void
test_commit_that_races_does_nothing(rig *r)
{
    lkc_set(r, "a", "2", "old");
    lk_lock locks[] = {lkc_lock(r, lk_key_of("a", "1")), lkc_lock(r, lk_key_of("a", "2"))};
    lk_lock newer = locks[1], before[2] = {locks[0], locks[1]};
    lk_conflict conflict = {9, 9};
    assert_status(LK_OK, lk_set_atomic(r->db, NULL, 0, &newer, 1, NULL));
    lk_write writes[] = {put("a", "1", "x"), gone("a", "2"), put("b", "", "y")};
    assert_status(LK_RACE, lk_commit(r->db, writes, 3, locks, 2, &conflict));
    assert_true(conflict.index == 1 && conflict.current_version == newer.version);
    assert_memory_equal(before, locks, sizeof locks);
    assert_holds(r, lk_key_of("a", "1"), NULL);
    assert_holds(r, lk_key_of("a", "2"), "old");
    assert_holds(r, lk_key_of("b", ""), NULL);
    locks[1] = newer; /* the deleted key loses its lock, and that one becomes 0 */
    assert_status(LK_OK, lk_commit(r->db, writes, 3, locks, 2, NULL));
    assert_holds(r, lk_key_of("a", "2"), NULL);
    assert_holds(r, lk_key_of("b", ""), "y");
    assert_true(locks[0].version > before[0].version && locks[1].version == 0);
}

/* latchkey.h: "A deleted key loses its lock as with lk_delete; where `locks` names that lock too,
 * its version is checked and becomes 0." */
static void
test_commit_that_deletes_makes_the_lock_stale_for_ever(rig *r)
{
    lk_key key = lk_key_of("a", "b");
    lk_write write = gone("a", "b");
    for (int named = 0; named < 2; named++) {
        lkc_set(r, "a", "b", "x");
        lk_lock lock = lkc_lock(r, key), old = lock;
        assert_status(LK_OK, lk_commit(r->db, &write, 1, &lock, named != 0 ? 1 : 0, NULL));
        assert_true(lock.version == (named != 0 ? 0 : old.version));
        assert_holds(r, key, NULL);
        lk_conflict conflict = {9, 9};
        lk_lock stale = old;
        assert_status(LK_RACE, lk_set_atomic(r->db, NULL, 0, &stale, 1, &conflict));
        assert_true(conflict.current_version == 0);
        lk_lock anew = lkc_lock(r, key);
        assert_true(anew.version > old.version);
        assert_status(LK_RACE, lk_set_atomic(r->db, NULL, 0, &stale, 1, &conflict));
        assert_true(conflict.current_version == anew.version);
    }
}

/* As lk_set: "An item that is expired already is as good as deleted." */
static void
test_commit_of_an_expired_item_is_as_good_as_a_delete(rig *r)
{
    lkc_set(r, "a", "b", "x");
    lk_write writes[] = {put("a", "b", "y"), put("a", "c", "y")};
    writes[0].item.expires_at_ms = lkc_now(r) - 1;
    writes[1].item.expires_at_ms = lkc_now(r);
    assert_status(LK_OK, lk_commit(r->db, writes, 2, NULL, 0, NULL));
    assert_holds(r, lk_key_of("a", "b"), NULL);
    assert_holds(r, lk_key_of("a", "c"), "y");
    lkc_advance(r, 1);
    assert_holds(r, lk_key_of("a", "c"), NULL);
}

/* latchkey.h: "A key is named by at most one write." */
static void
test_commit_with_bad_writes_changes_nothing(rig *r)
{
    lk_write twice[] = {put("a", "1", "x"), put("a", "2", "x"), gone("a", "1")};
    lk_write both[] = {gone("a", "1"), gone("a", "1")};
    lk_write unknown[] = {put("a", "1", "x"), put("a", "2", "x")};
    lk_write nameless[] = {put("a", "1", "x"), gone("", "2")};
    unknown[1].kind = (lk_write_kind)7;
    assert_status(LK_INVALID, lk_commit(r->db, twice, 3, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, both, 2, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, unknown, 2, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, nameless, 2, NULL, 0, NULL));
    assert_holds(r, lk_key_of("a", "1"), NULL);
    assert_holds(r, lk_key_of("a", "2"), NULL);
}

/* "A RACE means that a version really changed": alone, nothing ever races. */
static void
test_commits_without_rivals_never_race(rig *r)
{
    lk_lock lock = lkc_lock(r, lk_key_of("a", "lock"));
    for (int i = 0; i < 300; i++) {
        lk_write writes[] = {put("a", i % 2 == 0 ? "1" : "2", "x"),
                             gone("a", i % 2 == 0 ? "2" : "1")};
        lkc_set(r, "a", "lock", "an item that others write");
        assert_status(LK_OK, lk_commit(r->db, writes, 2, &lock, 1, NULL));
    }
}

static const lkc_case cases[] = {
    CASE(test_commit_without_locks_writes_all, LK_HAS_LOCKS),
    CASE(test_commit_that_races_does_nothing, LK_HAS_LOCKS),
    CASE(test_commit_that_deletes_makes_the_lock_stale_for_ever, LK_HAS_LOCKS),
    CASE(test_commit_of_an_expired_item_is_as_good_as_a_delete, LK_HAS_LOCKS),
    CASE(test_commit_with_bad_writes_changes_nothing, LK_HAS_LOCKS),
    CASE(test_commits_without_rivals_never_race, LK_HAS_LOCKS),
};
AREA(lkc_commit_area, cases);
