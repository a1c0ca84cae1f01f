/* SPDX-License-Identifier: MIT
 *
 * Area: reads without a copy.
 */
#include "suite.h"

/* "Views made inside one begin/end pair stay valid until the end of the pair."; "A thread may be
 * inside lk_read_begin and make any call." */
static void
test_view_inside_a_pair_stays_as_it_was(rig *r)
{
    lk_key key = lk_key_of("a", "b");
    lk_item before, after;
    lkc_set(r, "a", "b", "before");
    lk_read_begin(r->db);
    assert_status(LK_OK, lk_view(r->db, key, &before));
    assert_bytes(key.pk, before.key.pk);
    assert_bytes(key.sk, before.key.sk);
    for (int turn = 0; turn < 100; turn++)
        lkc_set(r, "a", "b", "after!");
    assert_status(LK_OK, lk_view(r->db, key, &after));
    assert_true(lkc_is(before.data, "before") && lkc_is(after.data, "after!"));
    lk_read_begin(r->db); /* pairs nest */
    lkc_delete(r, "a", "b");
    for (uint64_t i = 0; i < 100; i++) {
        lk_item item = {.key = lkc_numbered("a", i), .data = lk_string("noise")};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    assert_holds(r, key, NULL);
    lk_read_end(r->db);
    assert_true(lkc_is(before.data, "before") && lkc_is(after.data, "after!"));
    assert_true(lkc_is(before.key.sk, "b") && lkc_is(after.key.pk, "a"));
    lk_read_end(r->db);
}

static void
test_view_that_finds_nothing_leaves_the_item(rig *r)
{
    lk_item item;
    lkc_fill(&item, sizeof item);
    lk_read_begin(r->db);
    assert_status(LK_NOT_FOUND, lk_view(r->db, lk_key_of("a", "b"), &item));
    assert_status(LK_INVALID, lk_view(r->db, lk_key_of("", "b"), &item));
    assert_status(LK_INVALID, lk_view(r->db, lk_key_of("a", "b"), NULL));
    assert_status(LK_INVALID, lk_view(NULL, lk_key_of("a", "b"), &item));
    lk_key large = {{"x", r->about.max_pk_size + 1}, {NULL, 0}};
    assert_status(LK_TOO_BIG, lk_view(r->db, large, &item));
    lk_read_end(r->db);
    lkc_set(r, "a", "b", "x");
    assert_status(LK_INVALID, lk_view(r->db, lk_key_of("a", "b"), &item)); /* outside of a pair */
    assert_true(lkc_is_filled(&item, sizeof item));
}

static const lkc_case cases[] = {
    CASE(test_view_inside_a_pair_stays_as_it_was, LK_HAS_VIEWS),
    CASE(test_view_that_finds_nothing_leaves_the_item, LK_HAS_VIEWS),
};
AREA(lkc_view_area, cases);
