/* SPDX-License-Identifier: MIT
 *
 * Area: set_atomic. All or nothing, stale locks, what it refuses.
 */
#include "suite.h"

/* "else LK_RACE, with the first stale lock's index and its current version"; "or nothing" */
static void
test_race_names_the_first_stale_lock_and_writes_nothing(rig *r)
{
    enum { LOCKS = 12 };
    lk_lock locks[LOCKS], copy[LOCKS], before[LOCKS];
    char sk[LOCKS][8];
    for (size_t i = 0; i < LOCKS; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i * 7 % LOCKS);
        locks[i] = lkc_lock(r, lk_key_of("a", sk[i]));
    }
    lkc_set(r, "new", "old", "stays");
    for (size_t stale = 0; stale < LOCKS; stale++) {
        memcpy(copy, locks, sizeof copy);
        memcpy(before, locks, sizeof before);
        for (size_t i = stale; i < LOCKS; i += 3)
            assert_status(LK_OK, lk_set_atomic(r->db, NULL, 0, &locks[i], 1, NULL));
        lk_item items[] = {lkc_item("new", "a", "x"), lkc_item("new", "old", "y"),
                           lkc_item("a", sk[0], "z")};
        lk_conflict conflict = {99, 99, 99};
        assert_status(LK_RACE, lk_set_atomic(r->db, items, 3, copy, LOCKS, &conflict));
        assert_int_equal(conflict.index, stale);
        assert_true(conflict.current_version == locks[stale].version);
        assert_status(LK_RACE, lk_set_atomic(r->db, items, 3, copy, LOCKS, NULL));
        assert_memory_equal(copy, before, sizeof copy);
        assert_holds(r, items[0].key, NULL);
        assert_holds(r, items[1].key, "stays");
        assert_holds(r, items[2].key, NULL);
        for (size_t i = 0; i < LOCKS; i++)
            assert_true(lkc_lock(r, locks[i].key).version == locks[i].version);
    }
    assert_status(LK_OK, lk_set_atomic(r->db, NULL, 0, locks, LOCKS, NULL));
}

/* Versions are never 0: a lock of version 0 is stale where there is something; where there is
 * nothing, too, unless the handle says otherwise (LK_LOCKS_ABSENT). */
static void
test_lock_of_version_zero_is_stale(rig *r)
{
    lk_item item = lkc_item("a", "b", "x");
    lk_lock lock = {.key = item.key};
    lk_conflict conflict = {9, 9, 9};
    if (!lkc_can(r, LK_LOCKS_ABSENT)) {
        assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &lock, 1, &conflict));
        assert_true(conflict.index == 0 && conflict.current_version == 0);
    }
    lkc_set(r, "a", "b", "an item");
    assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &lock, 1, NULL));
    assert_holds(r, item.key, "an item");
    lk_lock real = lkc_lock(r, item.key);
    assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &lock, 1, &conflict));
    assert_true(conflict.current_version == real.version);
    lock.version = real.version + 1; /* one that nobody was given */
    assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &lock, 1, &conflict));
    assert_true(conflict.current_version == real.version);
}

/* ---- what it refuses ---- */

/* Both commits refuse it, and nothing changes. */
static void
refuse(rig *r, lk_status wanted, const lk_item *items, size_t item_count, const lk_lock *locks,
       size_t lock_count)
{
    enum { MOST = LK_COMMIT_MAX + 1 };
    static lk_lock copy[MOST];
    lk_conflict conflict;
    lkc_fill(&conflict, sizeof conflict);
    if (lock_count != 0)
        memcpy(copy, locks, lock_count * sizeof *locks);
    assert_status(wanted, lk_set_atomic(r->db, items, item_count, lock_count != 0 ? copy : NULL,
                                        lock_count, &conflict));
    assert_true(lkc_is_filled(&conflict, sizeof conflict));
    assert_true(lock_count == 0 || memcmp(copy, locks, lock_count * sizeof *locks) == 0);
    if (lock_count == 0 && item_count != 0)
        return; /* lk_commit needs no locks */
    lk_write *writes = calloc(item_count + 1, sizeof *writes);
    assert_non_null(writes);
    for (size_t i = 0; i < item_count; i++)
        writes[i] = (lk_write){.kind = LK_PUT, .item = items[i]};
    assert_status(wanted, lk_commit(r->db, writes, item_count, lock_count != 0 ? copy : NULL,
                                    lock_count, &conflict));
    assert_true(lkc_is_filled(&conflict, sizeof conflict));
    free(writes);
}

/* "at least one lock; a key named twice among the items, or twice among the locks, is
 * LK_INVALID" */
static void
test_commit_that_names_a_key_twice_is_invalid(rig *r)
{
    lk_lock lock = lkc_lock(r, lk_key_of("a", "1")), other = lkc_lock(r, lk_key_of("a", "2"));
    lk_item items[] = {lkc_item("a", "1", "x"), lkc_item("a", "2", "y"), lkc_item("a", "1", "z")};
    lk_lock twice[] = {lock, other, lock}, stale[] = {other, lock, lock};
    stale[2].version++;
    refuse(r, LK_INVALID, items, 3, &lock, 1);
    refuse(r, LK_INVALID, items, 2, twice, 3);
    refuse(r, LK_INVALID, items, 2, stale, 3);
    refuse(r, LK_INVALID, NULL, 0, twice, 3);
    refuse(r, LK_INVALID, items, 2, NULL, 0);
    refuse(r, LK_INVALID, NULL, 0, NULL, 0);
    assert_holds(r, items[0].key, NULL);
    assert_holds(r, items[1].key, NULL);
    /* Among the items and among the locks is not twice; nor are keys that only look alike. */
    lk_item alike[] = {lkc_item("a", "1", "x"), lkc_item("a1", "", "y"), lkc_item("a", "", "z")};
    assert_status(LK_OK, lk_set_atomic(r->db, alike, 3, &lock, 1, NULL));
    assert_holds(r, alike[1].key, "y");
}

static void
test_commit_of_bad_arguments_changes_nothing(rig *r)
{
    lk_lock good = lkc_lock(r, lk_key_of("a", "1")), bad = good;
    lk_item items[] = {lkc_item("a", "1", "x"), lkc_item("", "2", "y")};
    refuse(r, LK_INVALID, items, 2, &good, 1);
    items[1] = (lk_item){.key = lk_key_of("a", "2"), .data = {NULL, 4}};
    refuse(r, LK_INVALID, items, 2, &good, 1);
    items[1] = (lk_item){.key = lk_key_of("a", "2"), .expires_at_ms = -1};
    refuse(r, LK_INVALID, items, 2, &good, 1);
    items[1] = (lk_item){.key = lk_key_of("a", "2"), .data = {"x", r->about.max_data_size + 1}};
    refuse(r, LK_TOO_BIG, items, 2, &good, 1);
    items[1] = (lk_item){.key = {{"a", 1}, {"x", r->about.max_sk_size + 1}}};
    refuse(r, LK_TOO_BIG, items, 2, &good, 1);
    bad.key = lk_key_of("", "1");
    refuse(r, LK_INVALID, items, 1, &bad, 1);
    bad.key = (lk_key){{"x", r->about.max_pk_size + 1}, {NULL, 0}};
    refuse(r, LK_TOO_BIG, items, 1, &bad, 1);
    assert_status(LK_INVALID, lk_set_atomic(NULL, items, 1, &good, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(r->db, NULL, 1, &good, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(r->db, items, 1, NULL, 1, NULL));
    assert_status(LK_INVALID, lk_commit(NULL, NULL, 0, &good, 1, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, NULL, 1, &good, 1, NULL));
    assert_status(LK_INVALID, lk_commit(r->db, NULL, 0, NULL, 1, NULL));
    assert_holds(r, items[0].key, NULL);
    assert_status(LK_OK, lk_set_atomic(r->db, items, 1, &good, 1, NULL));
}

/* "Up to 1,024 of each." */
static void
test_commit_of_1024_is_done_and_of_more_is_too_big(rig *r)
{
    enum { MOST = LK_COMMIT_MAX };
    static char sk[MOST + 1][12];
    lk_item *items = calloc(MOST + 1, sizeof *items);
    lk_lock *locks = calloc(MOST + 1, sizeof *locks);
    assert_true(items != NULL && locks != NULL);
    for (size_t i = 0; i <= MOST; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        items[i] = lkc_item("a", sk[i], sk[i]);
        locks[i] = lkc_lock(r, lk_key_of("lock", sk[i]));
    }
    refuse(r, LK_TOO_BIG, items, MOST + 1, locks, 1);
    refuse(r, LK_TOO_BIG, items, 1, locks, MOST + 1);
    assert_holds(r, items[0].key, NULL);
    lk_lock last = locks[MOST - 1];
    assert_status(LK_OK, lk_set_atomic(r->db, items, MOST, locks, MOST, NULL));
    for (size_t i = 0; i < MOST; i += 11)
        assert_holds(r, items[i].key, sk[i]);
    assert_holds(r, items[MOST].key, NULL);
    assert_true(locks[MOST - 1].version > last.version);
    lk_conflict conflict = {0, 0, 0};
    locks[MOST - 1].version = last.version;
    assert_status(LK_RACE, lk_set_atomic(r->db, items, 1, locks, MOST, &conflict));
    assert_int_equal(conflict.index, MOST - 1);
    free(items);
    free(locks);
}

static const lkc_case cases[] = {
    CASE(test_race_names_the_first_stale_lock_and_writes_nothing, LK_HAS_LOCKS),
    CASE(test_lock_of_version_zero_is_stale, LK_HAS_LOCKS),
    CASE(test_commit_that_names_a_key_twice_is_invalid, LK_HAS_LOCKS),
    CASE(test_commit_of_bad_arguments_changes_nothing, LK_HAS_LOCKS),
    CASE(test_commit_of_1024_is_done_and_of_more_is_too_big, LK_HAS_LOCKS),
};
AREA(lkc_set_atomic_area, cases);
