/* SPDX-License-Identifier: MIT
 *
 * lk_query_items: order, prefix, cursor, limit, both directions; keys of 0x00 and 0xff; bad queries; a cursor that lies in the
 * result that is filled.
 */
#include "support/kit.h"

static kit *
kit_of(void **state)
{
    return *state;
}

/* The result holds exactly these sks, separated by blanks. */
static void
expect_sks(kit *k, const char *wanted)
{
    char all[4096] = "";
    for (size_t i = 0; i < lk_result_count(k->result); i++) {
        const lk_item *item = lk_result_item(k->result, i);
        assert_non_null(item);
        strncat(all, i == 0 ? "" : " ", sizeof all - strlen(all) - 1);
        strncat(all, item->key.sk.data, item->key.sk.size);
    }
    assert_string_equal(all, wanted);
}

static lk_query
query_of(const char *prefix, const char *after, size_t limit, bool reverse)
{
    return (lk_query){.pk = lk_string("p"),
                      .sk_prefix = lk_string(prefix),
                      .after = lk_string(after),
                      .limit = limit,
                      .reverse = reverse};
}

static void
fill(kit *k)
{
    static const char *sks[] = {"b", "a", "ab", "abc", "ac", "ca", "c", "bb"};
    for (size_t i = 0; i < KIT_COUNT(sks); i++)
        kit_set(k, "p", sks[i], sks[i]);
    kit_set(k, "o", "abz", "another partition");
    kit_set(k, "pp", "aby", "another partition");
}

static void
test_query_of_each_shape_returns_what_it_asks_for(void **state)
{
    static const struct {
        const char *prefix, *after;
        size_t limit;
        const char *ascending, *descending;
    } cases[] = {
        {"", "", 0, "a ab abc ac b bb c ca", "ca c bb b ac abc ab a"},
        {"", "", 3, "a ab abc", "ca c bb"},
        {"", "", 8, "a ab abc ac b bb c ca", "ca c bb b ac abc ab a"},
        {"", "", 9, "a ab abc ac b bb c ca", "ca c bb b ac abc ab a"},
        {"", "ac", 0, "b bb c ca", "abc ab a"},
        {"", "abz", 0, "ac b bb c ca", "abc ab a"},
        {"", "zz", 0, "", "ca c bb b ac abc ab a"},
        {"", "A", 0, "a ab abc ac b bb c ca", ""},
        {"", "a", 2, "ab abc", ""},
        {"a", "", 0, "a ab abc ac", "ac abc ab a"},
        {"ab", "", 0, "ab abc", "abc ab"},
        {"abc", "", 0, "abc", "abc"},
        {"abcd", "", 0, "", ""},
        {"x", "", 0, "", ""},
        {"a", "ab", 0, "abc ac", "a"},
        {"a", "ab", 1, "abc", "a"},
        {"b", "a", 0, "b bb", ""},
        {"b", "c", 0, "", "bb b"},
        {"b", "bb", 0, "", "b"},
        {"b", "b", 0, "bb", ""},
        {"ab", "a", 0, "ab abc", ""},
    };
    kit *k = kit_of(state);
    fill(k);
    for (size_t i = 0; i < KIT_COUNT(cases); i++) {
        for (int relaxed = 0; relaxed < 2; relaxed++) {
            lk_query query = query_of(cases[i].prefix, cases[i].after, cases[i].limit, false);
            query.relaxed = relaxed != 0;
            assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
            expect_sks(k, cases[i].ascending);
            query.reverse = true;
            assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
            expect_sks(k, cases[i].descending);
        }
    }
}

static void
test_query_that_is_bad_says_so_and_leaves_the_result(void **state)
{
    kit *k = kit_of(state);
    static const struct {
        lk_query query;
        lk_status wanted;
    } cases[] = {
        {{.pk = {"", 0}}, LK_INVALID},
        {{.pk = {NULL, 0}}, LK_INVALID},
        {{.pk = {NULL, 1}}, LK_INVALID},
        {{.pk = {"p", 1}, .sk_prefix = {NULL, 1}}, LK_INVALID},
        {{.pk = {"p", 1}, .after = {NULL, 1}}, LK_INVALID},
        {{.pk = {"p", 2049}}, LK_TOO_BIG},
        {{.pk = {"p", 1}, .sk_prefix = {"s", 1025}}, LK_TOO_BIG},
        {{.pk = {"p", 1}, .after = {"s", 1025}}, LK_TOO_BIG},
    };
    fill(k);
    lk_stream *stream = (lk_stream *)k;
    assert_true(kit_holds(k, lk_key_of("p", "ab"), "ab"));
    for (size_t i = 0; i < KIT_COUNT(cases); i++) {
        assert_status(cases[i].wanted, lk_query_items(k->db, &cases[i].query, k->result));
        assert_status(cases[i].wanted, lk_stream_open(k->db, &cases[i].query, &stream));
    }
    lk_query good = {.pk = {"p", 1}};
    assert_status(LK_INVALID, lk_query_items(NULL, &good, k->result));
    assert_status(LK_INVALID, lk_query_items(k->db, NULL, k->result));
    assert_status(LK_INVALID, lk_query_items(k->db, &good, NULL));
    assert_status(LK_INVALID, lk_stream_open(NULL, &good, &stream));
    assert_status(LK_INVALID, lk_stream_open(k->db, NULL, &stream));
    assert_status(LK_INVALID, lk_stream_open(k->db, &good, NULL));
    assert_ptr_equal(stream, k);
    expect_sks(k, "ab");
}

static void
test_query_of_a_missing_partition_is_ok_and_empty(void **state)
{
    kit *k = kit_of(state);
    fill(k);
    lk_query query = {.pk = lk_string("none")};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 0);
}

/* Pages by a cursor that points into the result. */
static void
test_query_pages_by_a_cursor_in_the_result(void **state)
{
    kit *k = kit_of(state);
    enum { COUNT = 997 };
    for (uint64_t i = 0; i < COUNT; i++) {
        lk_item item = {.key = kit_numbered("p", i), .data = {&i, sizeof i}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0, .limit = 1};
        uint64_t seen = 0;
        for (;;) {
            assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
            size_t count = lk_result_count(k->result);
            if (count == 0)
                break;
            for (size_t i = 0; i < count; i++, seen++) {
                uint64_t wanted = reverse ? COUNT - 1 - seen : seen, found;
                memcpy(&found, lk_result_item(k->result, i)->data.data, sizeof found);
                assert_int_equal(found, wanted);
            }
            const lk_item *last = lk_result_item(k->result, count - 1);
            query.pk = last->key.pk;
            query.after = last->key.sk;
            query.sk_prefix = (lk_bytes){last->key.sk.data, 3}; /* "000": all of them */
            query.limit = query.limit * 3 + 1; /* the result grows under its own cursor */
        }
        assert_int_equal(seen, COUNT);
    }
}

static void
test_query_of_extreme_bytes_is_in_order(void **state)
{
    kit *k = kit_of(state);
    static const lk_bytes sks[] = {
        {"", 0},  {"\0", 1},   {"\0\0", 2},   {"\0\xff", 2},   {"\x01", 1},
        {"a", 1}, {"a\0", 2},  {"a\xff", 2},  {"a\xff\0", 3},  {"a\xff\xff", 3},
        {"b", 1}, {"\xff", 1}, {"\xff\0", 2}, {"\xff\xff", 2}, {"\xff\xff\xff", 3}};
    static const struct {
        lk_bytes prefix;
        size_t from, count;
    } prefixes[] = {{{"", 0}, 0, 15},         {{"\0", 1}, 1, 3},
                    {{"a", 1}, 5, 5},         {{"a\xff", 2}, 7, 3},
                    {{"a\xff\xff", 3}, 9, 1}, {{"\xff", 1}, 11, 4},
                    {{"\xff\xff", 2}, 13, 2}, {{"\xff\xff\xff\xff", 4}, 15, 0},
                    {{"\x01", 1}, 4, 1}};
    for (size_t i = KIT_COUNT(sks); i-- > 0;) {
        lk_item item = {.key = {lk_string("p"), sks[i]}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    for (size_t i = 0; i < KIT_COUNT(prefixes); i++) {
        for (int reverse = 0; reverse < 2; reverse++) {
            lk_query query = {
                .pk = lk_string("p"), .sk_prefix = prefixes[i].prefix, .reverse = reverse != 0};
            assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
            size_t count = prefixes[i].count;
            assert_int_equal(lk_result_count(k->result), count);
            for (size_t j = 0; j < count; j++)
                assert_true(kit_bytes_equal(lk_result_item(k->result, j)->key.sk,
                                            sks[prefixes[i].from + (reverse ? count - 1 - j : j)]));
        }
    }
}

static void
test_query_limit_counts_live_items_only(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t i = 0; i < 1000; i++) {
        lk_item item = {.key = kit_numbered("p", i), .expires_at_ms = i % 10 == 3 ? 0 : k->now_ms};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    kit_advance(k, 1);
    lk_query query = {.pk = lk_string("p"), .limit = 5};
    for (int reverse = 0; reverse < 2; reverse++) {
        query.reverse = reverse != 0;
        assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
        expect_sks(k, reverse ? "00000993 00000983 00000973 00000963 00000953"
                              : "00000003 00000013 00000023 00000033 00000043");
    }
    query.limit = 0;
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), 100);
}

static void
test_query_of_long_prefix_and_many_items_survives_growth(void **state)
{
    kit *k = kit_of(state);
    enum { COUNT = 3000 };
    char sk[1024];
    memset(sk, 0xff, sizeof sk);
    for (unsigned i = 0; i < COUNT; i++) {
        sk[1022] = (char)(i / 100);
        sk[1023] = (char)(i % 100);
        lk_item item = {.key = {lk_string("p"), {sk, sizeof sk}}, .data = {&i, sizeof i}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    lk_query query = {.pk = lk_string("p"), .sk_prefix = {sk, 1022}, .reverse = true};
    assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
    assert_int_equal(lk_result_count(k->result), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned wanted = COUNT - 1 - i;
        assert_memory_equal(lk_result_item(k->result, i)->data.data, &wanted, sizeof wanted);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_query_of_each_shape_returns_what_it_asks_for),
        TEST(test_query_that_is_bad_says_so_and_leaves_the_result),
        TEST(test_query_of_a_missing_partition_is_ok_and_empty),
        TEST(test_query_pages_by_a_cursor_in_the_result),
        TEST(test_query_of_extreme_bytes_is_in_order),
        TEST(test_query_limit_counts_live_items_only),
        TEST(test_query_of_long_prefix_and_many_items_survives_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
