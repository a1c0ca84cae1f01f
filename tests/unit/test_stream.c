/* SPDX-License-Identifier: MIT
 *
 * Streams: what a query returns, one by one, in pages; items that come and go meanwhile; what a stream holds back: nothing.
 */
#include "support/kit.h"

enum { COUNT = 10000 };

static kit *
kit_of(void **state)
{
    return *state;
}

static void
fill(kit *k, uint64_t count, uint64_t stride)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = i * stride;
        lk_item item = {.key = kit_numbered("p", n), .data = {&n, sizeof n}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
}

static lk_stream *
stream_of(kit *k, const lk_query *query)
{
    lk_stream *stream = NULL;
    assert_status(LK_OK, lk_stream_open(k->db, query, &stream));
    assert_non_null(stream);
    return stream;
}

static uint64_t
number_of(const lk_item *item)
{
    uint64_t n;
    assert_int_equal(item->data.size, sizeof n);
    memcpy(&n, item->data.data, sizeof n);
    assert_true(kit_bytes_equal(item->key.sk, kit_numbered("p", n).sk));
    return n;
}

static void
ends(lk_stream *stream)
{
    lk_item item;
    kit_fill(&item, sizeof item);
    for (int i = 0; i < 5; i++)
        assert_status(LK_END, lk_stream_next(stream, &item));
    assert_true(kit_is_filled(&item, sizeof item));
    lk_stream_close(stream);
}

static void
test_stream_of_ten_thousand_returns_each_in_order(void **state)
{
    kit *k = kit_of(state);
    fill(k, COUNT, 1);
    for (int shape = 0; shape < 4; shape++) {
        bool reverse = shape % 2 != 0;
        lk_query query = {.pk = lk_string("p"), .reverse = reverse, .relaxed = shape >= 2};
        lk_stream *stream = stream_of(k, &query);
        lk_item item;
        for (uint64_t i = 0; i < COUNT; i++) {
            assert_status(LK_OK, lk_stream_next(stream, &item));
            assert_int_equal(number_of(&item), reverse ? COUNT - 1 - i : i);
        }
        ends(stream);
    }
}

static void
test_stream_with_limit_cursor_and_prefix_equals_the_query(void **state)
{
    static const size_t limits[] = {0, 1, 2, 255, 256, 257, 511, 512, 513, 5000, COUNT, COUNT + 1};
    kit *k = kit_of(state);
    fill(k, COUNT, 1);
    for (size_t i = 0; i < KIT_COUNT(limits) * 8; i++) {
        lk_query query = {.pk = lk_string("p"), .limit = limits[i / 8], .reverse = (i & 1) != 0};
        query.sk_prefix = (i & 2) != 0 ? lk_string("00003") : lk_string("");
        query.after = (i & 4) != 0 ? lk_string("00003456") : lk_string("");
        lk_stream *stream = stream_of(k, &query);
        lk_item item;
        assert_status(LK_OK, lk_query_items(k->db, &query, k->result));
        for (size_t j = 0; j < lk_result_count(k->result); j++) {
            assert_status(LK_OK, lk_stream_next(stream, &item));
            assert_true(kit_bytes_equal(item.key.sk, lk_result_item(k->result, j)->key.sk));
        }
        ends(stream);
    }
}

static void
test_stream_with_an_empty_sk_returns_it_once(void **state)
{
    kit *k = kit_of(state);
    fill(k, 600, 1);
    kit_set(k, "p", "", "empty");
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0};
        lk_stream *stream = stream_of(k, &query);
        lk_item item;
        for (int i = 0; i < 601; i++) {
            assert_status(LK_OK, lk_stream_next(stream, &item));
            assert_true((item.key.sk.size == 0) == (i == (reverse ? 600 : 0)));
        }
        ends(stream);
    }
}

static void
test_stream_of_items_with_an_empty_sk_alone(void **state)
{
    kit *k = kit_of(state);
    kit_set(k, "p", "", "empty");
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0, .limit = (size_t)reverse};
        lk_stream *stream = stream_of(k, &query);
        lk_item item;
        assert_status(LK_OK, lk_stream_next(stream, &item));
        assert_true(item.key.sk.size == 0 && kit_bytes_are(item.data, "empty"));
        ends(stream);
    }
    lk_query none = {.pk = lk_string("none")};
    ends(stream_of(k, &none));
}

static void
test_stream_over_a_long_run_of_expired_items_goes_on(void **state)
{
    kit *k = kit_of(state);
    for (uint64_t i = 0; i < 12000; i++) {
        bool live = i < 3 || i >= 11998 || i == 6000;
        lk_item item = {.key = kit_numbered("p", i),
                        .data = {&i, sizeof i},
                        .expires_at_ms = live ? 0 : KIT_START_MS};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    kit_advance(k, 1);
    for (int reverse = 0; reverse < 2; reverse++) {
        static const uint64_t wanted[] = {0, 1, 2, 6000, 11998, 11999};
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0};
        lk_stream *stream = stream_of(k, &query);
        lk_item item;
        for (size_t i = 0; i < KIT_COUNT(wanted); i++) {
            assert_status(LK_OK, lk_stream_next(stream, &item));
            assert_int_equal(number_of(&item), wanted[reverse ? KIT_COUNT(wanted) - 1 - i : i]);
        }
        ends(stream);
    }
}

/* Even numbers stay, odd ones come and go while the stream is open. */
static void
test_stream_open_while_items_come_and_go_returns_what_stays(void **state)
{
    kit *k = kit_of(state);
    fill(k, 3000, 2);
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0};
        lk_stream *stream = stream_of(k, &query);
        kit_random random = kit_random_of(5);
        lk_item item;
        uint64_t even = 0, last = 0;
        for (bool first = true; lk_stream_next(stream, &item) == LK_OK; first = false) {
            uint64_t n = number_of(&item);
            assert_true(first || (reverse ? n < last : n > last));
            last = n;
            if (n % 2 == 0) {
                assert_int_equal(n, reverse ? 2 * (2999 - even) : 2 * even);
                even++;
            }
            for (int i = 0; i < 4; i++) {
                uint64_t odd = 2 * kit_draw(&random, 3000) + 1;
                lk_item other = {.key = kit_numbered("p", odd), .data = {&odd, sizeof odd}};
                if (i % 2 == 0)
                    assert_status(LK_OK, lk_set(k->db, &other, 1));
                else
                    assert_status(LK_OK, lk_delete(k->db, &other.key, 1));
            }
            if (even % 500 == 0)
                kit_sweep(k);
        }
        assert_int_equal(even, 3000);
        ends(stream);
    }
}

static void
test_stream_whose_partition_goes_ends(void **state)
{
    kit *k = kit_of(state);
    fill(k, 1000, 1);
    lk_query query = {.pk = lk_string("p")};
    lk_stream *stream = stream_of(k, &query);
    lk_item item;
    assert_status(LK_OK, lk_stream_next(stream, &item));
    for (uint64_t i = 0; i < 1000; i++) {
        lk_key key = kit_numbered("p", i);
        assert_status(LK_OK, lk_delete(k->db, &key, 1));
    }
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).partitions, 0);
    uint64_t rest = 0;
    assert_int_equal(number_of(&item), 0); /* valid until the next call */
    while (lk_stream_next(stream, &item) == LK_OK)
        rest++;
    assert_true(rest < 1000);
    ends(stream);
}

static void
test_stream_that_ended_sees_no_items_added_later(void **state)
{
    kit *k = kit_of(state);
    fill(k, 10, 1);
    lk_query query = {.pk = lk_string("p")};
    lk_stream *stream = stream_of(k, &query);
    lk_item item;
    for (int i = 0; i < 10; i++)
        assert_status(LK_OK, lk_stream_next(stream, &item));
    assert_status(LK_END, lk_stream_next(stream, &item));
    fill(k, 20, 1);
    ends(stream);
}

static void
test_streams_that_are_left_open_hold_back_no_memory(void **state)
{
    kit *k = kit_of(state);
    enum { STREAMS = 50 };
    lk_stream *streams[STREAMS];
    lk_item item;
    fill(k, COUNT, 1);
    for (size_t i = 0; i < STREAMS; i++) {
        lk_query query = {.pk = lk_string("p"), .reverse = i % 2 != 0};
        streams[i] = stream_of(k, &query);
        for (size_t j = 0; j < i * 20; j++)
            assert_status(LK_OK, lk_stream_next(streams[i], &item));
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        lk_key key = kit_numbered("p", i);
        assert_status(LK_OK, lk_delete(k->db, &key, 1));
    }
    kit_sweep(k);
    assert_int_equal(kit_statistics(k).retired_bytes, 0);
    assert_int_equal(kit_statistics(k).cells, 0);
    for (size_t i = 0; i < STREAMS; i++) {
        while (lk_stream_next(streams[i], &item) == LK_OK) {}
        ends(streams[i]);
    }
}

static void
test_stream_copies_its_query(void **state)
{
    kit *k = kit_of(state);
    fill(k, 1000, 1);
    char pk[] = "p", prefix[] = "000", after[] = "00000400";
    lk_query query = {
        .pk = lk_string(pk), .sk_prefix = lk_string(prefix), .after = lk_string(after)};
    lk_stream *stream = stream_of(k, &query);
    kit_fill(pk, sizeof pk);
    kit_fill(prefix, sizeof prefix);
    kit_fill(after, sizeof after);
    lk_item item;
    for (uint64_t i = 401; i < 1000; i++) {
        assert_status(LK_OK, lk_stream_next(stream, &item));
        assert_int_equal(number_of(&item), i);
    }
    ends(stream);
}

static void
test_stream_of_large_items_reads_all(void **state)
{
    kit *k = kit_of(state);
    enum { SIZE = 3 << 20 };
    char *data = calloc(1, SIZE + 8);
    assert_non_null(data);
    for (uint64_t i = 0; i < 5; i++) {
        lk_item item = {.key = kit_numbered("p", i), .data = {data, SIZE + i}};
        assert_status(LK_OK, lk_set(k->db, &item, 1));
    }
    lk_query query = {.pk = lk_string("p")};
    lk_stream *stream = stream_of(k, &query);
    lk_item item;
    for (uint64_t i = 0; i < 5; i++) {
        assert_status(LK_OK, lk_stream_next(stream, &item));
        assert_int_equal(item.data.size, SIZE + i);
    }
    ends(stream);
    free(data);
}

static void
test_stream_calls_with_null(void **state)
{
    kit *k = kit_of(state);
    lk_item item;
    lk_query query = {.pk = lk_string("p")};
    lk_stream *stream = stream_of(k, &query);
    assert_status(LK_INVALID, lk_stream_next(NULL, &item));
    assert_status(LK_INVALID, lk_stream_next(stream, NULL));
    lk_stream_close(NULL);
    ends(stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stream_of_ten_thousand_returns_each_in_order),
        TEST(test_stream_with_limit_cursor_and_prefix_equals_the_query),
        TEST(test_stream_with_an_empty_sk_returns_it_once),
        TEST(test_stream_of_items_with_an_empty_sk_alone),
        TEST(test_stream_over_a_long_run_of_expired_items_goes_on),
        TEST(test_stream_open_while_items_come_and_go_returns_what_stays),
        TEST(test_stream_whose_partition_goes_ends),
        TEST(test_stream_that_ended_sees_no_items_added_later),
        TEST(test_streams_that_are_left_open_hold_back_no_memory),
        TEST(test_stream_copies_its_query),
        TEST(test_stream_of_large_items_reads_all),
        TEST(test_stream_calls_with_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
