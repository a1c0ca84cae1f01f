/* SPDX-License-Identifier: MIT
 *
 * Area: what is there when the database is opened again.
 */
#include "suite.h"

static void
test_items_are_there_after_a_reopening(rig *r)
{
    size_t size = r->about.max_data_size < 200000 ? r->about.max_data_size : 200000;
    char *data = malloc(size);
    assert_non_null(data);
    memset(data, 'x', size);
    lk_item large = {.key = {{"a\0", 2}, {"\xff", 1}}, .data = {data, size}};
    for (int turn = 0; turn < 3; turn++) {
        assert_status(LK_OK, lk_set(r->db, &large, 1));
        lkc_set(r, "a", "", turn == 1 ? "1" : "0");
        lkc_set(r, "a", "deleted", "x");
        lkc_delete(r, "a", "deleted");
        lkc_set_until(r, "a", "brief", "x", lkc_now(r) + 10);
        lkc_reopen(r);
        assert_status(LK_OK, lk_get(r->db, large.key, r->result));
        assert_bytes(large.data, lk_result_item(r->result, 0)->data);
        assert_holds(r, lk_key_of("a", ""), turn == 1 ? "1" : "0");
        assert_holds(r, lk_key_of("a", "deleted"), NULL);
        assert_holds(r, lk_key_of("a", "brief"), "x");
        assert_int_equal(lk_result_item(r->result, 0)->expires_at_ms, lkc_now(r) + 10);
        lkc_advance(r, 11);
        assert_holds(r, lk_key_of("a", "brief"), NULL);
        lkc_reopen(r);
        assert_holds(r, lk_key_of("a", "brief"), NULL);
    }
    free(data);
}

/* "unique in the store and never reused, strictly increasing per key" */
static void
test_versions_never_go_back_over_a_reopening(rig *r)
{
    uint64_t last = 0;
    lk_lock stale[6];
    for (size_t turn = 0; turn < COUNT(stale); turn++) {
        lk_lock lock = lkc_lock(r, lk_key_of("a", "b")), other = lkc_lock(r, lk_key_of("a", "c"));
        assert_true(lock.version > last);
        stale[turn] = lock;
        lkc_reopen(r);
        assert_true(lkc_lock(r, lock.key).version == lock.version); /* the lock is still there */
        lk_item item = lkc_item("a", "b", "x");
        assert_status(LK_OK, lk_set_atomic(r->db, &item, 1, &lock, 1, NULL));
        assert_status(LK_RACE, lk_set_atomic(r->db, &item, 1, &stale[turn], 1, NULL));
        last = lock.version;
        lkc_reopen(r);
        assert_true(lkc_lock(r, lock.key).version == last);
        if (turn % 3 == 0)
            lkc_delete(r, "a", "b");
        else if (turn % 3 == 1)
            lkc_advance(r, LK_HOURS(TTL_HOURS) + 1);
        lkc_reopen(r);
        lk_lock anew = lkc_lock(r, lk_key_of("a", "b"));
        assert_true(turn % 3 == 2 ? anew.version == last : anew.version > last);
        last = anew.version;
        assert_status(LK_OK, lk_set_atomic(r->db, NULL, 0, &anew, 1, NULL));
        last = anew.version;
        for (size_t i = 0; i <= turn; i++)
            assert_status(LK_RACE, lk_set_atomic(r->db, NULL, 0, &stale[i], 1, NULL));
        assert_true(other.version != last);
        lkc_delete(r, "a", "b");
        lkc_reopen(r);
    }
}

/* "What ended in LK_OK is there": all of a commit */
static void
test_commits_are_there_after_a_reopening(rig *r)
{
    lkc_set(r, "a", "gone", "x");
    lk_lock lock = lkc_lock(r, lk_key_of("a", "lock"));
    lk_write writes[] = {{.kind = LK_PUT, .item = lkc_item("a", "1", "x")},
                         {.kind = LK_PUT, .item = lkc_item("b", "2", "y")},
                         {.kind = LK_DELETE, .item = {.key = lk_key_of("a", "gone")}}};
    assert_status(LK_OK, lk_commit(r->db, writes, 3, &lock, 1, NULL));
    lkc_reopen(r);
    assert_holds(r, lk_key_of("a", "1"), "x");
    assert_holds(r, lk_key_of("b", "2"), "y");
    assert_holds(r, lk_key_of("a", "gone"), NULL);
    assert_true(lkc_lock(r, lock.key).version == lock.version);
    assert_status(LK_OK, lk_set_atomic(r->db, NULL, 0, &lock, 1, NULL));
}

static const lkc_case cases[] = {
    CASE(test_items_are_there_after_a_reopening, LK_IS_DURABLE),
    CASE(test_versions_never_go_back_over_a_reopening, LK_IS_DURABLE | LK_HAS_LOCKS),
    CASE(test_commits_are_there_after_a_reopening, LK_IS_DURABLE | LK_HAS_LOCKS),
};
AREA(lkc_durable_area, cases);
