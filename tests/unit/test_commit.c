/* SPDX-License-Identifier: MIT
 *
 * lk_set_atomic and lk_commit: all or nothing, the first stale lock, bounds, what is named twice, deletes that meet locks.
 */
#include "support/kit.h"

static kit *
kit_of(void **state)
{
    return *state;
}

static lk_write
put(const char *pk, const char *sk, const char *data)
{
    return (lk_write){.kind = LK_PUT, .item = kit_item(pk, sk, data)};
}

static lk_write
removal(const char *pk, const char *sk)
{
    return (lk_write){.kind = LK_DELETE, .item.key = lk_key_of(pk, sk)};
}

static void
test_set_atomic_writes_all_and_bumps_all(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "a", "old");
    lk_lock locks[2] = {kit_lock(k, lk_key_of("p", "a")), kit_lock(k, lk_key_of("q", "z"))},
            before[2];
    memcpy(before, locks, sizeof locks);
    kit_advance(k, 500);
    lk_item items[3] = {kit_item("p", "a", "1"), kit_item("p", "b", "2"), kit_item("r", "", "3")};
    assert_status(LK_OK, lk_set_atomic(k->db, items, 3, locks, 2, NULL));
    for (size_t i = 0; i < 2; i++) {
        assert_true(locks[i].version > before[i].version);
        assert_true(locks[i].expires_at_ms == k->now_ms + LK_HOURS(24));
        assert_true(kit_lock(k, locks[i].key).version == locks[i].version);
    }
    assert_true(kit_holds(k, items[0].key, "1") && kit_holds(k, items[1].key, "2") &&
                kit_holds(k, items[2].key, "3"));
    assert_status(LK_OK, lk_set_atomic(k->db, items, 3, locks, 2, NULL));
    assert_int_equal(kit_statistics(k).commits, 2);
}

static void
test_race_names_the_first_stale_lock_and_writes_nothing(void **state)
{
    kit *k = kit_of(state);
    enum { LOCKS = 40 };
    lk_lock locks[LOCKS], copy[LOCKS];
    char sk[LOCKS][8];
    for (size_t i = 0; i < LOCKS; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        locks[i] = kit_lock(k, lk_key_of("p", sk[i]));
    }
    for (size_t stale = 0; stale < LOCKS; stale++) {
        /* `stale` and some behind it are at another version. */
        memcpy(copy, locks, sizeof copy);
        for (size_t i = stale; i < LOCKS; i += 3)
            assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &locks[i], 1, NULL));
        lk_lock before[LOCKS];
        memcpy(before, copy, sizeof copy);
        lk_item items[2] = {kit_item("new", "a", "x"), kit_item("new", "b", "y")};
        lk_conflict conflict = {99, 99};
        assert_status(LK_RACE, lk_set_atomic(k->db, items, 2, copy, LOCKS, &conflict));
        assert_int_equal(conflict.index, stale);
        assert_true(conflict.current_version == locks[stale].version);
        assert_memory_equal(copy, before, sizeof copy);
        assert_status(LK_RACE, lk_set_atomic(k->db, items, 2, copy, LOCKS, NULL));
        assert_true(kit_holds(k, items[0].key, NULL) && kit_holds(k, items[1].key, NULL));
    }
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, locks, LOCKS, NULL));
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, LOCKS);
    assert_int_equal(kit_statistics(k).races, 2 * LOCKS);
}

static void
test_race_of_a_deleted_lock_says_version_zero(void **state)
{
    kit *k = kit_of(state);
    lk_lock locks[2] = {kit_lock(k, lk_key_of("p", "a")), kit_lock(k, lk_key_of("p", "b"))};
    lk_conflict conflict = {9, 9};
    assert_status(LK_OK, lk_delete(k->db, &locks[1].key, 1));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, locks, 2, &conflict));
    assert_true(conflict.index == 1 && conflict.current_version == 0);
}

static void
test_lock_of_version_zero_is_stale(void **state)
{
    kit *k = kit_of(state);
    lk_lock lock = {.key = lk_key_of("p", "s")};
    lk_conflict conflict = {9, 9};
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.index == 0 && conflict.current_version == 0);
    kit_set(k, "p", "s", "an item, no lock");
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    lk_item item = kit_item("p", "s", "x");
    assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &lock, 1, &conflict));
    assert_true(kit_holds(k, lock.key, "an item, no lock"));
    lk_lock real = kit_lock(k, lock.key);
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
    assert_true(conflict.current_version == real.version);
    assert_status(LK_OK, lk_delete(k->db, &lock.key, 1));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, &conflict));
}

static void
test_commit_of_too_much_or_nothing_says_so(void **state)
{
    kit *k = kit_of(state);
    enum { MAX = LK_COMMIT_MAX + 1 };
    static lk_item items[MAX];
    static lk_write writes[MAX];
    static lk_lock locks[MAX];
    static char sk[MAX][8];
    for (size_t i = 0; i < MAX; i++) {
        snprintf(sk[i], sizeof sk[i], "%zu", i);
        items[i] = kit_item("p", sk[i], sk[i]);
        writes[i] = (lk_write){.kind = i % 2 ? LK_PUT : LK_DELETE, .item = items[i]};
        locks[i] = kit_lock(k, lk_key_of("l", sk[i]));
    }
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 1, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 1, locks, 0, NULL));
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 1, NULL, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(k->db, NULL, 1, locks, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(NULL, items, 1, locks, 1, NULL));
    assert_status(LK_INVALID, lk_commit(k->db, NULL, 0, NULL, 0, NULL));
    assert_status(LK_INVALID, lk_commit(k->db, NULL, 1, locks, 1, NULL));
    assert_status(LK_INVALID, lk_commit(k->db, writes, 1, NULL, 1, NULL));
    assert_status(LK_INVALID, lk_commit(NULL, writes, 1, NULL, 0, NULL));
    assert_status(LK_TOO_BIG, lk_set_atomic(k->db, items, MAX, locks, 1, NULL));
    assert_status(LK_TOO_BIG, lk_set_atomic(k->db, items, 1, locks, MAX, NULL));
    assert_status(LK_TOO_BIG, lk_set_atomic(k->db, items, SIZE_MAX, locks, 1, NULL));
    assert_status(LK_TOO_BIG, lk_commit(k->db, writes, MAX, NULL, 0, NULL));
    assert_status(LK_TOO_BIG, lk_commit(k->db, NULL, 0, locks, MAX, NULL));
    assert_true(kit_holds(k, items[0].key, NULL));
    assert_status(LK_OK, lk_commit(k->db, writes, MAX - 1, locks, MAX - 1, NULL));
    assert_status(LK_OK, lk_set_atomic(k->db, items, MAX - 1, locks, MAX - 1, NULL));
    for (size_t i = 0; i < MAX - 1; i++)
        assert_true(kit_holds(k, items[i].key, sk[i]));
    assert_true(kit_holds(k, items[MAX - 1].key, NULL));
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, locks, MAX - 1, NULL));
    /* All that again, the other way round. */
    for (size_t i = 0; i < MAX; i++)
        writes[i].kind = LK_DELETE;
    assert_status(LK_OK, lk_commit(k->db, writes, MAX - 1, NULL, 0, NULL));
    assert_true(kit_holds(k, items[7].key, NULL));
}

static void
test_commit_that_names_a_key_twice_is_invalid(void **state)
{
    kit *k = kit_of(state);
    lk_lock a = kit_lock(k, lk_key_of("p", "a")), b = kit_lock(k, lk_key_of("p", "b"));
    lk_lock twice[3] = {a, b, a};
    lk_item items[3] = {kit_item("p", "a", "1"), kit_item("p", "b", "2"), kit_item("p", "a", "3")};
    lk_write writes[][2] = {{put("p", "x", "1"), put("p", "x", "2")},
                            {put("p", "x", "1"), removal("p", "x")},
                            {removal("p", "x"), put("p", "x", "1")},
                            {removal("p", "x"), removal("p", "x")}};
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 3, &a, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 2, twice, 3, NULL));
    for (size_t i = 0; i < KIT_COUNT(writes); i++) {
        assert_status(LK_INVALID, lk_commit(k->db, writes[i], 2, NULL, 0, NULL));
        assert_status(LK_INVALID, lk_commit(k->db, writes[i], 2, &a, 1, NULL));
    }
    assert_status(LK_INVALID, lk_commit(k->db, NULL, 0, twice, 3, NULL));
    lk_write deletes_a = removal("p", "a");
    assert_status(LK_INVALID, lk_commit(k->db, &deletes_a, 1, twice, 3, NULL));
    assert_true(kit_holds(k, items[0].key, NULL) && kit_holds(k, lk_key_of("p", "x"), NULL));
    assert_status(
        LK_OK, lk_set_atomic(k->db, items, 2, twice, 2, NULL)); /* items and locks may share keys */
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 2);
}

static void
test_commit_that_names_a_key_twice_is_invalid_also_when_stale(void **state)
{
    kit *k = kit_of(state);
    lk_lock a = kit_lock(k, lk_key_of("p", "a")), stale = a;
    lk_lock twice[2] = {stale, stale};
    lk_item items[2] = {kit_item("p", "x", "1"), kit_item("p", "x", "2")};
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &a, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 2, &stale, 1, NULL));
    assert_status(LK_INVALID, lk_set_atomic(k->db, items, 1, twice, 2, NULL));
}

/* The write of a key is one with its lock wherever it stands, however many there are; and a key that is named twice is found. */
static void
test_writes_find_their_locks_in_any_order(void **state)
{
    kit *k = kit_of(state);
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
    kit *k = kit_of(state);
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
    kit *k = kit_of(state);
    lk_key keys[2] = {lk_key_of("partition", "sort-key-a"), lk_key_of("partition", "sort-key-b")};
    lk_lock locks[2], forged[2];
    lk_item item = kit_item("partition", "sort-key-c", "x");
    kit_set(k, "partition", "sort-key-c", "old");
    for (size_t i = 0; i < 2; i++) {
        for (int twice = 0; twice < 2; twice++)
            assert_status(LK_OK, lk_get_locked(k->db, keys, 2, locks, k->result));
        memcpy(forged, locks, sizeof forged);
        forged[i].key = item.key;
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, forged, 2, NULL));
        assert_true(kit_lock(k, keys[i]).version == locks[i].version);
        assert_true(kit_holds(k, item.key, "old"));
    }
}

/* Each commit begins the time of its locks anew, and says so. */
static void
test_locks_that_are_used_do_not_lapse(void **state)
{
    kit *k = kit_of(state);
    lk_lock locks[3];
    static const char *const sk[3] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        locks[i] = kit_lock(k, lk_key_of("p", sk[i]));
    for (int round = 0; round < 40; round++) {
        lk_item items[2] = {kit_item("p", "a", "x"), kit_item("p", "b", "y")};
        kit_advance(k, LK_HOURS(20));
        size_t count = (size_t)round % 4 == 3 ? 3 : 2;
        assert_status(LK_OK, lk_set_atomic(k->db, items, 2, locks, count, NULL));
        for (size_t i = 0; i < count; i++)
            assert_true(locks[i].expires_at_ms == k->now_ms + LK_HOURS(24));
        if (count == 2) /* of this one nothing is written but the lock */
            assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &locks[2], 1, NULL));
        assert_true(locks[2].expires_at_ms == k->now_ms + LK_HOURS(24));
    }
    kit_advance(k, LK_HOURS(25));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, locks, 1, NULL));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &locks[2], 1, NULL));
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 2);
}

/* Its cell is there, made for a commit that failed. */
static void
test_version_of_a_key_that_never_was_is_stale(void **state)
{
    kit *k = kit_of(state);
    lk_lock stale = kit_lock(k, lk_key_of("p", "a")), now = stale, forged = stale;
    lk_item item = kit_item("p", "new", "x");
    lk_conflict conflict = {9, 9};
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
    kit *k = kit_of(state);
    lk_lock stale = kit_lock(k, lk_key_of("p", "a")), now = stale;
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &now, 1, NULL));
    for (uint64_t i = 0; i < 2000; i++) {
        lk_item item = {.key = kit_numbered("new", i), .data = lk_string("x")};
        assert_status(LK_RACE, lk_set_atomic(k->db, &item, 1, &stale, 1, NULL));
    }
    for (int i = 0; i < 2000; i++)
        kit_set(k, "p", "b", "x");
    assert_true(kit_statistics(k).cells < 200);
}

/* A push whose sk is to be generated is not the item whose sk is empty. */
static void
test_generated_key_is_no_key_twice(void **state)
{
    kit *k = kit_of(state);
    lk_lock stale = kit_lock(k, lk_key_of("p", "a")), now = stale;
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &now, 1, NULL));
    for (int form = 0; form < 3; form++) {
        lk_write writes[2] = {put("q", "", "item"), put("q", "", "job")};
        if (form != 1)
            writes[0].kind = LK_PUSH;
        if (form != 0)
            writes[1].kind = LK_PUSH;
        assert_status(LK_RACE, lk_commit(k->db, writes, 2, &stale, 1, NULL));
        assert_status(LK_OK, lk_commit(k->db, writes, 2, &now, 1, NULL));
    }
    lk_write puts[2] = {put("q", "", "a"), put("q", "", "b")};
    lk_write pushes[2] = {put("q", "own", "a"), put("q", "own", "b")};
    pushes[0].kind = pushes[1].kind = LK_PUSH;
    lk_lock never = {.key = lk_key_of("p", "never"), .version = now.version};
    for (int form = 0; form < 2; form++) {
        assert_status(LK_INVALID, lk_commit(k->db, puts, 2, form ? &never : &stale, 1, NULL));
        assert_status(LK_INVALID, lk_commit(k->db, pushes, 2, form ? &never : &stale, 1, NULL));
    }
    puts[1].kind = LK_PUSH;
    assert_status(LK_RACE, lk_commit(k->db, puts, 2, &never, 1, NULL));
    puts[0].kind = LK_PUSH;
    assert_status(LK_RACE, lk_commit(k->db, puts, 2, &never, 1, NULL));
}

static void
test_commit_of_unknown_kinds_is_invalid(void **state)
{
    kit *k = kit_of(state);
    static const int kinds[] = {4, 17, -1};
    for (size_t i = 0; i < KIT_COUNT(kinds); i++) {
        lk_write writes[2] = {put("p", "a", "1"), put("p", "b", "1")};
        writes[1].kind = (lk_write_kind)kinds[i];
        assert_status(LK_INVALID, lk_commit(k->db, writes, 2, NULL, 0, NULL));
    }
    assert_true(kit_holds(k, lk_key_of("p", "a"), NULL));
}

static void
test_commit_without_locks_writes_all(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "gone", "x");
    lk_lock lock = kit_lock(k, lk_key_of("p", "gone"));
    lk_write writes[4] = {put("p", "a", "1"), removal("p", "gone"), removal("p", "never was"),
                          put("q", "b", "2")};
    assert_status(LK_OK, lk_commit(k->db, writes, 4, NULL, 0, NULL));
    assert_true(kit_holds(k, lk_key_of("p", "a"), "1") && kit_holds(k, lk_key_of("q", "b"), "2"));
    assert_true(kit_holds(k, lk_key_of("p", "gone"), NULL));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).cells, 2);
}

static void
test_commit_that_deletes_the_key_of_its_lock_checks_it_and_makes_it_zero(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "s", "x");
    lk_lock lock = kit_lock(k, lk_key_of("p", "s")), stale = lock,
            other = kit_lock(k, lk_key_of("p", "t"));
    assert_status(LK_OK, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    lk_write writes[2] = {put("p", "made", "y"), removal("p", "s")};
    lk_lock both[2] = {other, stale};
    lk_conflict conflict = {9, 9};
    assert_status(LK_RACE, lk_commit(k->db, writes, 2, both, 2, &conflict));
    assert_true(conflict.index == 1 && conflict.current_version == lock.version);
    assert_true(kit_holds(k, lock.key, "x") && kit_holds(k, writes[0].item.key, NULL));
    both[1] = lock;
    assert_status(LK_OK, lk_commit(k->db, writes, 2, both, 2, &conflict));
    assert_true(both[1].version == 0 && both[1].expires_at_ms == 0 &&
                both[0].version > other.version);
    assert_true(kit_holds(k, lock.key, NULL) && kit_holds(k, writes[0].item.key, "y"));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL));
    assert_status(LK_RACE,
                  lk_set_atomic(k->db, NULL, 0, &both[1], 1, NULL)); /* version 0 is no version */
    assert_true(kit_lock(k, lock.key).version > lock.version);
}

static void
test_commit_of_an_expired_item_is_as_good_as_a_delete(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "s", "x");
    lk_lock lock = kit_lock(k, lk_key_of("p", "s"));
    lk_item item = kit_item("p", "s", "y");
    item.expires_at_ms = k->now_ms - 1;
    assert_status(LK_OK, lk_set_atomic(k->db, &item, 1, &lock, 1, NULL));
    assert_true(kit_holds(k, item.key, NULL));
    assert_status(LK_RACE, lk_set_atomic(k->db, NULL, 0, &lock, 1, NULL)); /* of its lock too */
    assert_true(kit_lock(k, item.key).version > lock.version);
}

static void
test_commits_without_rivals_never_race_or_retry(void **state)
{
    kit *k = kit_of(state);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_set_atomic_writes_all_and_bumps_all),
        TEST(test_race_names_the_first_stale_lock_and_writes_nothing),
        TEST(test_race_of_a_deleted_lock_says_version_zero),
        TEST(test_lock_of_version_zero_is_stale),
        TEST(test_commit_of_too_much_or_nothing_says_so),
        TEST(test_commit_that_names_a_key_twice_is_invalid),
        TEST(test_commit_that_names_a_key_twice_is_invalid_also_when_stale),
        TEST(test_writes_find_their_locks_in_any_order),
        TEST(test_keys_in_the_same_bytes_are_not_the_same),
        TEST(test_version_of_another_key_is_stale),
        TEST(test_locks_that_are_used_do_not_lapse),
        TEST(test_version_of_a_key_that_never_was_is_stale),
        TEST(test_commits_that_fail_leave_no_cells),
        TEST(test_generated_key_is_no_key_twice),
        TEST(test_commit_of_unknown_kinds_is_invalid),
        TEST(test_commit_without_locks_writes_all),
        TEST(test_commit_that_deletes_the_key_of_its_lock_checks_it_and_makes_it_zero),
        TEST(test_commit_of_an_expired_item_is_as_good_as_a_delete),
        TEST(test_commits_without_rivals_never_race_or_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
