/* SPDX-License-Identifier: MIT
 *
 * Area: sizes at and above their limits, bad arguments of the calls for items.
 */
#include "suite.h"

/* Larger items than this are not made. */
enum { DATA_MADE_MAX = 64 << 20 };

static char one_byte[1] = {'x'};

/* A key of the sizes given; its bytes, which are not read where it is too big. */
static lk_key
key_sized(unsigned char *bytes, size_t pk_size, size_t sk_size)
{
    return lkc_key(lkc_bytes(bytes, pk_size), lkc_bytes(bytes, sk_size));
}

/* "Limits (options of the store, checked before anything is written)" */
static void
test_sizes_at_their_limits_are_stored(rig *r)
{
    size_t pk_size = r->about.max_pk_size, sk_size = r->about.max_sk_size;
    size_t most = r->about.max_data_size;
    unsigned char *bytes = malloc(pk_size + sk_size);
    unsigned char *data = most <= DATA_MADE_MAX ? calloc(1, most) : NULL;
    assert_non_null(bytes);
    memset(bytes, 0xfe, pk_size + sk_size);
    for (size_t i = 0; i < 4; i++) {
        lk_key key = key_sized(bytes, i % 2 == 0 ? pk_size : 1, i / 2 == 0 ? sk_size : 0);
        lk_item item = {.key = key, .data = lk_string("x")};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
        assert_holds(r, key, "x");
    }
    if (data != NULL) {
        lk_item item = {.key = lk_key_of("a", "large"), .data = {data, most}};
        data[most - 1] = 7;
        assert_status(LK_OK, lk_set(r->db, &item, 1));
        assert_status(LK_OK, lk_get(r->db, item.key, r->result));
        assert_bytes(item.data, lk_result_item(r->result, 0)->data);
    }
    free(bytes);
    free(data);
}

/* One bad key and what it is called. */
typedef struct bad_key {
    lk_key key;
    lk_status wanted;
} bad_key;

enum { BAD_KEYS = 7 };

static void
bad_keys_make(rig *r, unsigned char *bytes, bad_key bad[BAD_KEYS])
{
    size_t pk_size = r->about.max_pk_size, sk_size = r->about.max_sk_size;
    bad[0] = (bad_key){lk_key_of("", "b"), LK_INVALID};
    bad[1] = (bad_key){{{NULL, 0}, {NULL, 0}}, LK_INVALID};
    bad[2] = (bad_key){{{NULL, 3}, {"b", 1}}, LK_INVALID};
    bad[3] = (bad_key){{{"a", 1}, {NULL, 3}}, LK_INVALID};
    bad[4] = (bad_key){key_sized(bytes, pk_size + 1, 1), LK_TOO_BIG};
    bad[5] = (bad_key){key_sized(bytes, 1, sk_size + 1), LK_TOO_BIG};
    bad[6] = (bad_key){key_sized(bytes, SIZE_MAX, 1), LK_TOO_BIG};
}

static unsigned char *
bytes_for_bad_keys(rig *r)
{
    size_t size = r->about.max_pk_size + r->about.max_sk_size + 2;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 'b', size);
    return bytes;
}

/* "no abort on bad input"; "On anything but success, outputs are untouched" */
static void
test_reads_of_bad_keys_say_so_and_touch_nothing(rig *r)
{
    unsigned char *bytes = bytes_for_bad_keys(r), buffer[8];
    bad_key bad[BAD_KEYS];
    bad_keys_make(r, bytes, bad);
    for (size_t i = 0; i < BAD_KEYS; i++) {
        size_t size = 77;
        lk_key keys[] = {lk_key_of("a", "b"), bad[i].key};
        lkc_prime(r->result);
        lkc_fill(buffer, sizeof buffer);
        assert_status(bad[i].wanted, lk_get(r->db, bad[i].key, r->result));
        assert_status(bad[i].wanted, lk_get_into(r->db, bad[i].key, buffer, sizeof buffer, &size));
        assert_true(size == 77 && lkc_is_filled(buffer, sizeof buffer));
        if (lkc_can(r, LK_HAS_GET_MANY))
            assert_status(bad[i].wanted, lk_get_many(r->db, keys, 2, r->result));
        assert_true(lkc_is_primed(r->result));
    }
    free(bytes);
}

/* "nothing was written (unless said otherwise)"; latchkey.h: "The arguments are checked as a whole
 * before the first is written." */
static void
test_writes_of_bad_items_write_nothing(rig *r)
{
    unsigned char *bytes = bytes_for_bad_keys(r);
    bad_key bad[BAD_KEYS];
    bad_keys_make(r, bytes, bad);
    lkc_set(r, "a", "old", "x");
    for (size_t i = 0; i < BAD_KEYS; i++) {
        lk_item items[] = {lkc_item("a", "b", "y"),
                           lkc_item("a", "old", "y"),
                           {.key = bad[i].key, .data = lk_string("y")}};
        lk_key keys[] = {lk_key_of("a", "old"), bad[i].key};
        assert_status(bad[i].wanted, lk_set(r->db, items, 3));
        assert_status(bad[i].wanted, lk_delete(r->db, keys, 2));
    }
    lk_item items[] = {lkc_item("a", "b", "y"), lkc_item("a", "old", "y")};
    items[1].expires_at_ms = -1;
    assert_status(LK_INVALID, lk_set(r->db, items, 2));
    items[1].expires_at_ms = INT64_MIN;
    assert_status(LK_INVALID, lk_set(r->db, items, 2));
    items[1].expires_at_ms = 0;
    items[1].data = lkc_bytes(NULL, 1);
    assert_status(LK_INVALID, lk_set(r->db, items, 2));
    items[1].data = lkc_bytes(one_byte, r->about.max_data_size + 1);
    assert_status(LK_TOO_BIG, lk_set(r->db, items, 2));
    items[1].data = lkc_bytes(one_byte, SIZE_MAX);
    assert_status(LK_TOO_BIG, lk_set(r->db, items, 2));
    assert_holds(r, lk_key_of("a", "b"), NULL);
    assert_holds(r, lk_key_of("a", "old"), "x");
    free(bytes);
}

/* ---- conditional writes ---- */

static void
test_conditional_writes_of_bad_keys_write_nothing(rig *r)
{
    unsigned char *bytes = bytes_for_bad_keys(r);
    bad_key bad[BAD_KEYS];
    int64_t value = 77;
    bad_keys_make(r, bytes, bad);
    for (size_t i = 0; i < BAD_KEYS; i++) {
        lk_status wanted = bad[i].wanted;
        lk_item item = {.key = bad[i].key, .data = lk_string("y")};
        for (int condition = LK_ALWAYS; condition <= LK_IF_EQUAL; condition++)
            assert_status(wanted, lk_put_if(r->db, &item, (lk_condition)condition, item.data));
        assert_status(wanted, lk_touch(r->db, bad[i].key, 0));
        assert_status(wanted, lk_add(r->db, bad[i].key, 1, 0, &value));
    }
    assert_int_equal(value, 77);
    free(bytes);
}

/* Each is as good as an argument that is wrong of lk_set; besides the condition, and what it
 * expects. */
static void
test_conditional_writes_of_bad_arguments_write_nothing(rig *r)
{
    lk_item good = lkc_item("a", "old", "y"), bad[] = {good, good, good, good};
    lk_bytes none = {NULL, 0}, nowhere = {NULL, 1};
    lk_bytes large = {one_byte, r->about.max_data_size + 1};
    int64_t value = 77;
    bad[0].expires_at_ms = -1;
    bad[1].data = nowhere;
    bad[2].data = large;
    bad[3].data.size = SIZE_MAX;
    lkc_set(r, "a", "old", "x");
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_status(i < 2 ? LK_INVALID : LK_TOO_BIG,
                      lk_put_if(r->db, &bad[i], LK_IF_PRESENT, none));
    assert_status(LK_INVALID, lk_put_if(r->db, &good, (lk_condition)4, none));
    assert_status(LK_INVALID, lk_put_if(r->db, &good, (lk_condition)-1, none));
    assert_status(LK_INVALID, lk_put_if(r->db, &good, LK_IF_EQUAL, nowhere));
    assert_status(LK_TOO_BIG, lk_put_if(r->db, &good, LK_IF_EQUAL, large));
    assert_status(LK_INVALID, lk_put_if(r->db, NULL, LK_IF_PRESENT, none));
    assert_status(LK_INVALID, lk_put_if(NULL, &good, LK_IF_PRESENT, none));
    assert_status(LK_INVALID, lk_touch(NULL, good.key, 0));
    assert_status(LK_INVALID, lk_touch_at(r->db, NULL, 0));
    assert_status(LK_INVALID, lk_touch(r->db, good.key, -1));
    assert_status(LK_INVALID, lk_touch(r->db, good.key, INT64_MIN));
    assert_status(LK_INVALID, lk_add(NULL, good.key, 1, 0, &value));
    assert_status(LK_INVALID, lk_add_at(r->db, NULL, 1, 0, &value));
    assert_status(LK_INVALID, lk_add(r->db, lk_key_of("a", "new"), 1, -1, &value));
    assert_status(LK_INVALID, lk_add(r->db, lk_key_of("a", "new"), 1, INT64_MIN, &value));
    assert_int_equal(value, 77);
    assert_holds(r, good.key, "x");
    assert_holds(r, lk_key_of("a", "new"), NULL);
    /* "`expected` is looked at for LK_IF_EQUAL only"; "`value` (may be NULL)" */
    assert_status(LK_OK, lk_put_if(r->db, &good, LK_IF_PRESENT, nowhere));
    assert_status(LK_OK, lk_put_if(r->db, &good, LK_ALWAYS, large));
    assert_status(LK_OK, lk_add(r->db, lk_key_of("a", "new"), 1, 0, NULL));
    lk_item empty = {.key = good.key};
    assert_status(LK_OK, lk_put_if(r->db, &empty, LK_IF_EQUAL, good.data));
    assert_status(LK_OK, lk_put_if(r->db, &good, LK_IF_EQUAL, none)); /* the empty string */
}

static void
test_commit_of_bad_conditional_writes_changes_nothing(rig *r)
{
    lk_item old = lkc_item("a", "old", "y"), late = old;
    lk_bytes nowhere = {NULL, 1}, large = {one_byte, r->about.max_data_size + 1};
    late.expires_at_ms = -1;
    const lk_write bad[] = {
        {.kind = LK_PUT, .item = old, .condition = (lk_condition)4},
        {.kind = LK_DELETE, .item = old, .condition = (lk_condition)-1},
        {.kind = LK_DELETE, .item = old, .condition = LK_IF_EQUAL, .expected = nowhere},
        {.kind = LK_TOUCH, .item = late},
        {.kind = LK_ADD, .item = late, .delta = 1},
        {.kind = (lk_write_kind)7, .item = old},
        {.kind = (lk_write_kind)-1, .item = old},
        {.kind = LK_TOUCH},
        {.kind = LK_ADD},
        {.kind = LK_PUT, .item = old, .condition = LK_IF_EQUAL, .expected = large},
        {.kind = LK_TOUCH, .item = {.key = {{"a", 1}, {one_byte, r->about.max_sk_size + 1}}}},
    };
    lkc_set(r, "a", "old", "x");
    for (size_t i = 0; i < COUNT(bad); i++) {
        lk_write writes[] = {{.kind = LK_PUT, .item = lkc_item("a", "new", "z")}, bad[i]};
        lk_conflict conflict;
        lkc_fill(&conflict, sizeof conflict);
        assert_status(i < 9 ? LK_INVALID : LK_TOO_BIG,
                      lk_commit(r->db, writes, 2, NULL, 0, &conflict));
        assert_true(lkc_is_filled(&conflict, sizeof conflict));
    }
    assert_holds(r, old.key, "x");
    assert_holds(r, lk_key_of("a", "new"), NULL);
    /* "What a kind does not use is not looked at", and the conflict "may be NULL". */
    lk_write unused[] = {
        {.kind = LK_PUT, .item = old, .expected = nowhere, .delta = 5, .delay_ms = -1},
        {.kind = LK_DELETE, .item = {.key = lk_key_of("a", "new"), .expires_at_ms = -1}},
        {.kind = LK_TOUCH, .item = {.key = lk_key_of("a", "none"), .data = nowhere}}};
    assert_status(LK_NOT_FOUND, lk_commit(r->db, unused, 3, NULL, 0, NULL));
    assert_status(LK_OK, lk_commit(r->db, unused, 2, NULL, 0, NULL));
    assert_holds(r, old.key, "y");
}

static void
test_calls_with_null_say_invalid(rig *r)
{
    lk_item item = lkc_item("a", "b", "x");
    unsigned char buffer[4];
    size_t size = 77;
    assert_status(LK_INVALID, lk_get(NULL, item.key, r->result));
    assert_status(LK_INVALID, lk_get(r->db, item.key, NULL));
    assert_status(LK_INVALID, lk_get_into(r->db, item.key, buffer, 4, NULL));
    assert_status(LK_INVALID, lk_get_into(r->db, item.key, NULL, 4, &size));
    assert_status(LK_INVALID, lk_get_into(NULL, item.key, buffer, 4, &size));
    assert_int_equal(size, 77);
    assert_status(LK_INVALID, lk_set(r->db, NULL, 1));
    assert_status(LK_INVALID, lk_set(NULL, &item, 1));
    assert_status(LK_INVALID, lk_delete(r->db, NULL, 1));
    assert_status(LK_INVALID, lk_delete(NULL, &item.key, 1));
    assert_status(LK_INVALID, lk_get_many(NULL, &item.key, 1, r->result));
    assert_status(LK_INVALID, lk_get_many(r->db, NULL, 1, r->result));
    assert_status(LK_INVALID, lk_get_many(r->db, &item.key, 1, NULL));
    assert_holds(r, item.key, NULL);
}

/* A NULL pointer is allowed with size 0, and is the empty string. */
static void
test_empty_bytes_may_be_null(rig *r)
{
    lk_item item = {.key = {{"a", 1}, {NULL, 0}}, .data = {NULL, 0}};
    assert_status(LK_OK, lk_set(r->db, &item, 1));
    assert_holds(r, lk_key_of("a", ""), "");
    assert_status(LK_OK, lk_get(r->db, item.key, r->result));
    assert_status(LK_OK, lk_delete(r->db, &item.key, 1));
    assert_holds(r, lk_key_of("a", ""), NULL);
}

static void
test_calls_with_count_zero_do_nothing(rig *r)
{
    assert_status(LK_OK, lk_set(r->db, NULL, 0));
    assert_status(LK_OK, lk_delete(r->db, NULL, 0));
    assert_holds(r, lk_key_of("a", "b"), NULL);
}

static const lkc_case cases[] = {
    CASE(test_sizes_at_their_limits_are_stored, 0),
    CASE(test_reads_of_bad_keys_say_so_and_touch_nothing, 0),
    CASE(test_writes_of_bad_items_write_nothing, 0),
    CASE(test_conditional_writes_of_bad_keys_write_nothing, LKC_CONDITIONS),
    CASE(test_conditional_writes_of_bad_arguments_write_nothing, LKC_CONDITIONS),
    CASE(test_commit_of_bad_conditional_writes_changes_nothing, LKC_CONDITIONS | LK_HAS_LOCKS),
    CASE(test_calls_with_null_say_invalid, 0),
    CASE(test_empty_bytes_may_be_null, 0),
    CASE(test_calls_with_count_zero_do_nothing, 0),
};
AREA(lkc_items_bad_area, cases);
