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

/* "lk_get: LK_NOT_FOUND or one item"; "On anything but success, outputs are untouched" */
static void
test_get_of_a_missing_item_leaves_the_result(rig *r)
{
    lkc_prime(r->result);
    assert_status(LK_NOT_FOUND, lk_get(r->db, lk_key_of("a", "b"), r->result));
    assert_true(lkc_is_primed(r->result));
    lkc_set(r, "a", "b", "x");
    lkc_prime(r->result);
    assert_status(LK_NOT_FOUND, lk_get(r->db, lk_key_of("a", "c"), r->result));
    assert_status(LK_NOT_FOUND, lk_get(r->db, lk_key_of("b", "b"), r->result));
    assert_true(lkc_is_primed(r->result));
}

/* "one item at a time": the last of a key that is named twice wins */
static void
test_set_of_one_key_twice_in_a_batch_keeps_the_last(rig *r)
{
    lk_item items[] = {lkc_item("a", "1", "first"), lkc_item("a", "2", "x"),
                       lkc_item("a", "1", "second"), lkc_item("a", "1", "third")};
    assert_status(LK_OK, lk_set(r->db, items, COUNT(items)));
    assert_holds(r, lk_key_of("a", "1"), "third");
    assert_holds(r, lk_key_of("a", "2"), "x");
}

static void
test_set_of_many_writes_all(rig *r)
{
    enum { MANY = 3000 };
    lk_item *items = calloc(MANY, sizeof *items);
    char(*sk)[16] = calloc(MANY, sizeof *sk);
    assert_true(items != NULL && sk != NULL);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(sk[i], sizeof sk[i], "%08zu", i);
        items[i] = lkc_item("many", sk[i], sk[i]);
    }
    assert_status(LK_OK, lk_set(r->db, items, MANY));
    for (size_t i = 0; i < MANY; i += 7)
        assert_holds(r, items[i].key, sk[i]);
    free(items);
    free(sk);
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

/* "Input is copied before the call returns." */
static void
test_set_copies_its_input(rig *r)
{
    char pk[] = "part", sk[] = "sort", data[] = "data";
    lk_item item = lkc_item(pk, sk, data);
    assert_status(LK_OK, lk_set(r->db, &item, 1));
    memset(pk, 'x', 4);
    memset(sk, 'x', 4);
    memset(data, 'x', 4);
    assert_holds(r, lk_key_of("part", "sort"), "data");
    assert_holds(r, item.key, NULL);
}

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

/* ---- delete ---- */

/* "Deleting what is not there is LK_OK." */
static void
test_delete_of_missing_and_repeated_keys_is_ok(rig *r)
{
    lk_key keys[] = {lk_key_of("a", "1"), lk_key_of("a", "no"), lk_key_of("a", "1"),
                     lk_key_of("none", ""), lk_key_of("a", "3")};
    lkc_set(r, "a", "1", "x");
    lkc_set(r, "a", "2", "x");
    lkc_set(r, "a", "3", "x");
    for (int turn = 0; turn < 2; turn++) {
        assert_status(LK_OK, lk_delete(r->db, keys, COUNT(keys)));
        assert_holds(r, lk_key_of("a", "1"), NULL);
        assert_holds(r, lk_key_of("a", "2"), "x");
        assert_holds(r, lk_key_of("a", "3"), NULL);
    }
}

static void
test_item_deleted_and_set_again_many_times_is_there(rig *r)
{
    for (int turn = 0; turn < 100; turn++) {
        lkc_set(r, "a", "b", "x");
        assert_holds(r, lk_key_of("a", "b"), "x");
        lkc_delete(r, "a", "b");
        assert_holds(r, lk_key_of("a", "b"), NULL);
    }
}

/* ---- expiry ---- */

/* "An item is expired iff now > expires_at_ms"; "expired items are invisible at once everywhere" */
static void
test_item_is_there_until_its_end_and_not_after(rig *r)
{
    lk_key key = lk_key_of("a", "b");
    int64_t end_ms = lkc_now(r) + 1000;
    unsigned char buffer[8];
    size_t size = 77;
    lkc_set(r, "a", "never", "x");
    lkc_set_until(r, "a", "b", "x", end_ms);
    assert_holds(r, key, "x");
    lkc_advance(r, 999);
    assert_holds(r, key, "x");
    lkc_advance(r, 1);
    assert_int_equal(lkc_now(r), end_ms);
    assert_holds(r, key, "x");
    assert_status(LK_OK, lk_get_into(r->db, key, buffer, sizeof buffer, &size));
    lkc_advance(r, 1);
    size = 77;
    lkc_prime(r->result);
    assert_status(LK_NOT_FOUND, lk_get(r->db, key, r->result));
    assert_true(lkc_is_primed(r->result));
    assert_status(LK_NOT_FOUND, lk_get_into(r->db, key, buffer, sizeof buffer, &size));
    assert_int_equal(size, 77);
    lkc_advance(r, LK_HOURS(24 * 365 * 20));
    assert_holds(r, lk_key_of("a", "never"), "x");
}

/* A write replaces the item with its expiry. */
static void
test_set_replaces_the_expiry(rig *r)
{
    lk_key key = lk_key_of("a", "b");
    lkc_set_until(r, "a", "b", "1", lkc_now(r) + 10);
    lkc_set(r, "a", "b", "2");
    lkc_advance(r, 11);
    assert_holds(r, key, "2");
    lkc_set_until(r, "a", "b", "3", lkc_now(r) + 10);
    lkc_set_until(r, "a", "b", "4", lkc_now(r) + 20);
    lkc_advance(r, 11);
    assert_holds(r, key, "4");
    lkc_advance(r, 10);
    assert_holds(r, key, NULL);
    lkc_set_until(r, "a", "b", "5", lkc_now(r));
    assert_holds(r, key, "5");
    lkc_set(r, "a", "b", "6"); /* what has expired is written anew */
    assert_holds(r, key, "6");
    assert_status(LK_OK, lk_get(r->db, key, r->result));
    assert_int_equal(lk_result_item(r->result, 0)->expires_at_ms, 0);
}

/* latchkey.h: "An item that is expired already is as good as deleted." */
static void
test_set_of_an_expired_item_is_as_good_as_a_delete(rig *r)
{
    lkc_set(r, "a", "b", "x");
    assert_holds(r, lk_key_of("a", "b"), "x");
    lkc_set_until(r, "a", "b", "y", lkc_now(r) - 1);
    lkc_set_until(r, "a", "c", "y", 1);
    assert_holds(r, lk_key_of("a", "b"), NULL);
    assert_holds(r, lk_key_of("a", "c"), NULL);
    lkc_set_until(r, "a", "d", "far", INT64_MAX);
    assert_holds(r, lk_key_of("a", "d"), "far");
}

/* Nothing expires early because the clock steps back. */
static void
test_clock_that_steps_back_expires_nothing_early(rig *r)
{
    int64_t begin_ms = lkc_now(r);
    lkc_set_until(r, "a", "b", "x", begin_ms + 10);
    for (int64_t back_ms = 1; back_ms < LK_HOURS(24 * 400); back_ms *= 10) {
        atomic_store(&r->now_ms, begin_ms - back_ms);
        assert_holds(r, lk_key_of("a", "b"), "x");
        lkc_set(r, "a", "c", "y");
    }
    atomic_store(&r->now_ms, begin_ms + 10);
    assert_holds(r, lk_key_of("a", "b"), "x");
    atomic_store(&r->now_ms, begin_ms + 11);
    assert_holds(r, lk_key_of("a", "b"), NULL);
}

static const lkc_case cases[] = {
    CASE(test_set_of_each_size_is_read_back, 0),
    CASE(test_get_of_a_missing_item_leaves_the_result, 0),
    CASE(test_set_of_one_key_twice_in_a_batch_keeps_the_last, 0),
    CASE(test_set_of_many_writes_all, 0),
    CASE(test_keys_that_differ_in_a_byte_or_in_the_border_are_apart, 0),
    CASE(test_set_copies_its_input, 0),
    CASE(test_result_keeps_its_bytes_while_the_database_changes, 0),
    CASE(test_calls_take_their_input_from_the_result_that_they_fill, 0),
    CASE(test_result_out_of_range_is_null, 0),
    CASE(test_get_into_of_each_capacity, 0),
    CASE(test_delete_of_missing_and_repeated_keys_is_ok, 0),
    CASE(test_item_deleted_and_set_again_many_times_is_there, 0),
    CASE(test_item_is_there_until_its_end_and_not_after, 0),
    CASE(test_set_replaces_the_expiry, 0),
    CASE(test_set_of_an_expired_item_is_as_good_as_a_delete, 0),
    CASE(test_clock_that_steps_back_expires_nothing_early, 0),
};
AREA(lkc_items_area, cases);
