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
    CASE(test_calls_with_null_say_invalid, 0),
    CASE(test_empty_bytes_may_be_null, 0),
    CASE(test_calls_with_count_zero_do_nothing, 0),
};
AREA(lkc_items_bad_area, cases);
