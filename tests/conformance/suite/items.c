/* SPDX-License-Identifier: MIT
 *
 * Area: items one by one. get, get_into, set, delete, expiry.
 */
#include "suite.h"

/* ---- what was set is read ---- */

static void
bytes_make(unsigned char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(lkc_random(&seed) >> 32);
}

/* "set replaces"; "binary, any length within the limits" */
static void
test_set_of_each_size_is_read_back(rig *r)
{
    static const size_t sizes[] = {0,   1,   2,   15,  16,  17,   63,   64,   65,    127,    128,
                                   255, 256, 257, 511, 512, 1000, 4095, 4096, 70000, 300000, 3};
    unsigned char *bytes = malloc(300000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        size_t size = sizes[i % COUNT(sizes)];
        lk_key key = i % 2 == 0 ? lkc_numbered("a", i) : lk_key_of("a", "one");
        if (size > r->about.max_data_size)
            continue;
        bytes_make(bytes, size, i);
        lk_item item = {
            .key = key, .data = {bytes, size}, .expires_at_ms = lkc_now(r) + (int64_t)i};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
        assert_status(LK_OK, lk_get(r->db, key, r->result));
        assert_int_equal(lk_result_count(r->result), 1);
        const lk_item *got = lk_result_item(r->result, 0);
        assert_bytes(key.pk, got->key.pk);
        assert_bytes(key.sk, got->key.sk);
        assert_bytes(item.data, got->data);
        assert_int_equal(got->expires_at_ms, item.expires_at_ms);
    }
    free(bytes);
}

/* ---- keys ---- */

#define KEY(pk, sk)           \
    {                         \
        {pk, sizeof pk - 1},  \
        {                     \
            sk, sizeof sk - 1 \
        }                     \
    }

/* "("a:b","c") and ("a","b:c") are different keys; so are all others that differ in any byte or in
 * where pk ends." */
static void
test_keys_that_differ_in_a_byte_or_in_the_border_are_apart(rig *r)
{
    static const lk_key keys[] = {
        KEY("a:b", "c"),     KEY("a", "b:c"),      KEY("a", ":bc"),      KEY("a:", "bc"),
        KEY("abc", ""),      KEY("ab", "c"),       KEY("a", "bc"),       KEY("A", "bc"),
        KEY("a", ""),        KEY("a\0", ""),       KEY("a", "\0"),       KEY("a\0\0", ""),
        KEY("a\0", "\0"),    KEY("a", "\0\0"),     KEY("\0", ""),        KEY("\0", "\0"),
        KEY("\0\0", ""),     KEY("\xff", ""),      KEY("\xff", "\xff"),  KEY("\xff\xff", ""),
        KEY("a", "\xff"),    KEY("a\xff", ""),     KEY("a", "\xff\xff"), KEY("a", "\x01"),
        KEY("a\x01", ""),    KEY("a", "\x80"),     KEY("a", "\x7f"),     KEY("#a", "b"),
        KEY("#", "ab"),      KEY("'", "\""),       KEY("a|b", "c"),      KEY("a", "b|c"),
        KEY("a%", "c"),      KEY("a_", "c"),       KEY("a\\", "c"),      KEY("a\n", "c"),
        KEY("\xc3\xa9", ""), KEY("e\xcc\x81", ""), KEY("1", "01"),       KEY("1", "1"),
        KEY("a", "b "),      KEY("a", "b"),        KEY("a", " b"),       KEY("a ", "b")};
    char data[16];
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_holds(r, keys[i], NULL);
        snprintf(data, sizeof data, "%zu", i);
        lk_item item = {.key = keys[i], .data = lk_string(data)};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        snprintf(data, sizeof data, "%zu", i);
        assert_holds(r, keys[i], data);
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_status(LK_OK, lk_delete(r->db, &keys[i], 1));
        assert_holds(r, keys[i], NULL);
        for (size_t j = i + 1; j < COUNT(keys); j++) {
            snprintf(data, sizeof data, "%zu", j);
            assert_holds(r, keys[j], data);
        }
    }
}

/* ---- ownership ---- */

/* "every pointer in a lk_result is valid until that result is used for another call or freed";
 * "the bytes of a stored item never change, a write replaces it" */
static void
test_result_keeps_its_bytes_while_the_database_changes(rig *r)
{
    lkc_set(r, "a", "b", "before");
    assert_holds(r, lk_key_of("a", "b"), "before");
    const lk_item *item = lk_result_item(r->result, 0);
    for (int turn = 0; turn < 100; turn++)
        lkc_set(r, "a", "b", "after!");
    assert_true(lkc_is(item->data, "before") && lkc_is(item->key.sk, "b"));
    lkc_delete(r, "a", "b");
    for (uint64_t i = 0; i < 100; i++)
        lkc_set(r, "a", lkc_numbered("a", i).sk.data, "noise");
    assert_true(lkc_is(item->data, "before") && lkc_is(item->key.pk, "a"));
}

/* latchkey.h: "input may point into the very result that a call fills" */
static void
test_calls_take_their_input_from_the_result_that_they_fill(rig *r)
{
    lkc_set(r, "a", "b", "a long value that stands behind the key");
    lkc_set(r, "a", "c", "b");
    assert_holds(r, lk_key_of("a", "c"), "b");
    const lk_item *item = lk_result_item(r->result, 0);
    lk_key other = {item->key.pk, item->data}; /* ("a", "b"), both in the result */
    assert_status(LK_OK, lk_get(r->db, other, r->result));
    item = lk_result_item(r->result, 0);
    assert_true(lkc_is(item->data, "a long value that stands behind the key"));
    for (int turn = 0; turn < 20; turn++) {
        assert_status(LK_OK, lk_get(r->db, lk_result_item(r->result, 0)->key, r->result));
        assert_status(LK_OK, lk_set(r->db, lk_result_item(r->result, 0), 1));
    }
    assert_holds(r, lk_key_of("a", "b"), "a long value that stands behind the key");
    assert_status(LK_OK, lk_delete(r->db, &lk_result_item(r->result, 0)->key, 1));
    assert_holds(r, lk_key_of("a", "b"), NULL);
}

static void
test_result_out_of_range_is_null(rig *r)
{
    lkc_set(r, "a", "b", "x");
    assert_holds(r, lk_key_of("a", "b"), "x");
    assert_null(lk_result_item(r->result, 1));
    assert_null(lk_result_item(r->result, SIZE_MAX));
    assert_null(lk_result_claim(r->result, 0)); /* "after a pull" */
}

/* ---- get_into ---- */

/* latchkey.h: "LK_TOO_SMALL: *size is what is needed and the buffer is untouched." */
static void
test_get_into_of_each_capacity(rig *r)
{
    unsigned char buffer[16];
    lk_key key = lk_key_of("a", "b");
    lkc_set(r, "a", "b", "12345");
    for (size_t capacity = 0; capacity <= 8; capacity++) {
        size_t size = 77;
        lkc_fill(buffer, sizeof buffer);
        lk_status status = lk_get_into(r->db, key, capacity == 0 ? NULL : buffer, capacity, &size);
        assert_status(capacity < 5 ? LK_TOO_SMALL : LK_OK, status);
        assert_int_equal(size, 5);
        assert_true(capacity >= 5 ? memcmp(buffer, "12345", 5) == 0 : lkc_is_filled(buffer, 16));
        assert_true(lkc_is_filled(buffer + 5, sizeof buffer - 5));
    }
    size_t size = 77;
    assert_status(LK_NOT_FOUND, lk_get_into(r->db, lk_key_of("a", "c"), buffer, 16, &size));
    assert_int_equal(size, 77);
    lkc_set(r, "a", "b", "");
    assert_status(LK_OK, lk_get_into(r->db, key, NULL, 0, &size));
    assert_int_equal(size, 0);
}

/* ---- expiry ---- */

static const lkc_case cases[] = {
    CASE(test_set_of_each_size_is_read_back, 0),
    CASE(test_keys_that_differ_in_a_byte_or_in_the_border_are_apart, 0),
    CASE(test_result_keeps_its_bytes_while_the_database_changes, 0),
    CASE(test_calls_take_their_input_from_the_result_that_they_fill, 0),
    CASE(test_result_out_of_range_is_null, 0),
    CASE(test_get_into_of_each_capacity, 0),
};
AREA(lkc_items_area, cases);
