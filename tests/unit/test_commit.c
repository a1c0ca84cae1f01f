/* SPDX-License-Identifier: MIT
 *
 * Commits, inside: writes that find their locks, whoever knows the cells; versions that were never
 * given; what is left of a commit, or of a write that asks, which is refused. What they return: the
 * conformance suite.
 */
#include "support/kit.h"

/* The write of a key is one with its lock wherever it stands, however many there are; and a key
 * that is named twice is found. */
static void
test_writes_find_their_locks_in_any_order(void **state)
{
    kit *k = *state;
    static const size_t counts[] = {2, 3, 8, 15, 16, 17, 18, 31, 64, 200};
    enum { MAX = 200, ROUNDS = 10 };
    static lk_item items[MAX + 1];
    static lk_lock locks[MAX];
    static char sk[MAX][8];
    kit_random random = kit_random_of(1);
    for (size_t i = 0; i < MAX; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        locks[i] = kit_lock(k, lk_key_of("p", sk[i]));
    }
    for (size_t c = 0; c < ROUNDS * KIT_COUNT(counts); c++) {
        size_t count = counts[c % KIT_COUNT(counts)];
        for (size_t i = 0; i < count; i++) {
            size_t other = kit_draw(&random, i + 1);
            items[i] = items[other];
            items[other] = kit_item("p", sk[i], sk[i]);
        }
        uint64_t before = locks[0].version;
        assert_status(LK_OK, lk_set_atomic(k->db, items, count, locks, count, NULL));
        assert_true(locks[0].version > before);
        items[count] = items[kit_draw(&random, count)];
        assert_status(LK_INVALID, lk_set_atomic(k->db, items, count + 1, locks, count, NULL));
        for (size_t i = 0; i < count; i++)
            assert_true(kit_holds(k, locks[i].key, sk[i]) &&
                        kit_lock(k, locks[i].key).version == locks[i].version);
    }
}

/* One that begins where the other does, and ends before it. */
static void
test_keys_in_the_same_bytes_are_not_the_same(void **state)
{
    kit *k = *state;
    for (int form = 0; form < 2; form++) {
        lk_key longer = lk_key_of("pp", "ss"), shorter = longer;
        if (form == 0)
            shorter.pk.size = 1;
        else
            shorter.sk.size = 1;
        lk_lock lock = kit_lock(k, longer);
        lk_item item = {.key = shorter, .data = lk_string("shorter")};
        assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
        assert_true(kit_holds(k, longer, NULL) && kit_holds(k, shorter, "shorter"));
        assert_true(kit_lock(k, longer).version == lock.version);
    }
}

/* Also where the thread has just read that one, and knows its place. */
static void
test_version_of_another_key_is_stale(void **state)
{
    kit *k = *state;
    lk_key keys[2] = {lk_key_of("partition", "sort-key-a"), lk_key_of("partition", "sort-key-b")};
    lk_lock locks[2], forged[2];
    lk_item item = kit_item("partition", "sort-key-c", "x");
    kit_set(k, "partition", "sort-key-c", "old");
    for (size_t i = 0; i < 2; i++) {
        (void)kit_lock(k, keys[i]);
        for (int twice = 0; twice < 2; twice++)
            assert_status(LK_OK, lk_get_locked(k->db, keys, 2, locks, k->result));
        memcpy(forged, locks, sizeof forged);
        forged[i].key = item.key;
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, forged, 2, NULL));
        assert_true(kit_lock(k, keys[i]).version == locks[i].version);
        assert_true(kit_holds(k, item.key, "old"));
    }
}

/* Its cell is there, made for a commit that failed. */
static void
test_version_of_a_key_that_never_was_is_stale(void **state)
{
    kit *k = *state;
    lk_lock stale = kit_lock(k, lk_key_of("p", "a")), now = stale, forged = stale;
    lk_item item = kit_item("p", "new", "x");
    lk_conflict conflict = {9, 9, 9};
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &now, 1, NULL));
    assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &stale, 1, NULL));
    forged.key = item.key;
    assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &forged, 1, &conflict));
    assert_true(conflict.index == 0 && conflict.current_version == 0);
    assert_true(kit_holds(k, item.key, NULL));
}

/* Without a sweep: what a commit makes for its keys goes, where it fails. */
static void
test_commits_that_fail_leave_no_cells(void **state)
{
    kit *k = *state;
    lk_lock stale = kit_lock(k, lk_key_of("p", "a")), now = stale;
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &now, 1, NULL));
    for (uint64_t i = 0; i < 2000; i++) {
        lk_item item = {.key = lkc_numbered("new", i), .data = lk_string("x")};
        lk_lock locks[2] = {{.key = lkc_numbered("of nothing", i)}, stale};
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, locks, 2, NULL));
    }
    for (int i = 0; i < 2000; i++)
        kit_set(k, "p", "b", "x");
    assert_true(kit_statistics(k).cells < 200);
}

/* A refused write of a key that nobody has leaves nothing behind, and a lock is not made. */
static void
test_refusals_make_no_cells(void **state)
{
    kit *k = *state;
    for (uint64_t i = 0; i < 1000; i++) {
        lk_key key = lkc_numbered("new", i);
        lk_item item = {.key = key, .data = lk_string("x")};
        lk_write writes[2] = {
            {.kind = LK_TOUCH, .item = {.key = key}},
            {.kind = LK_DELETE, .item = {.key = key}, .condition = LK_IF_PRESENT}};
        assert_status(LK_NOT_FOUND, lk_put_if(k->db, &item, LK_IF_PRESENT, (lk_bytes){NULL, 0}));
        assert_status(LK_RACE, lk_put_if(k->db, &item, LK_IF_EQUAL, (lk_bytes){NULL, 0}));
        assert_status(LK_NOT_FOUND, lk_touch(k->db, key, 0));
        for (int w = 0; w < 2; w++)
            assert_status(LK_NOT_FOUND, lk_commit(k->db, &writes[w], 1, NULL, 0, NULL));
    }
    assert_int_equal(kit_statistics(k).cells, 0);
    assert_int_equal(kit_statistics(k).sets, 0);
}

static void
test_commits_without_rivals_never_race_or_retry(void **state)
{
    kit *k = *state;
    lk_lock lock = kit_lock(k, lk_key_of("p", "counter"));
    for (uint64_t i = 0; i < 20000; i++) {
        lk_item item = {.key = lock.key, .data = {&i, sizeof i}};
        assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
    }
    lk_statistics statistics = kit_statistics(k);
    assert_int_equal(statistics.commits, 20000);
    assert_int_equal(statistics.races + statistics.retries + statistics.aborts, 0);
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_writes_find_their_locks_in_any_order),
        KIT_TEST(test_keys_in_the_same_bytes_are_not_the_same),
        KIT_TEST(test_version_of_another_key_is_stale),
        KIT_TEST(test_version_of_a_key_that_never_was_is_stale),
        KIT_TEST(test_commits_that_fail_leave_no_cells),
        KIT_TEST(test_refusals_make_no_cells),
        KIT_TEST(test_commits_without_rivals_never_race_or_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
