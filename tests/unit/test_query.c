/* SPDX-License-Identifier: MIT
 *
 * Queries and streams, inside: results that grow under a long prefix; a stream whose partition
 * goes; what streams that are left open hold back: nothing. What they return: the conformance
 * suite; pages: test_adapter_stream.c.
 */
#include "support/kit.h"

static void
fill(kit *k, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        lk_item item = {.key = lkc_numbered("p", i), .data = {&i, sizeof i}};
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
    assert_true(lkc_equal(item->key.sk, lkc_numbered("p", n).sk));
    return n;
}

static void
ends(lk_stream *stream)
{
    lk_item item;
    lkc_fill(&item, sizeof item);
    for (int i = 0; i < 5; i++)
        assert_status(LK_END, lk_stream_next(stream, &item));
    assert_true(lkc_is_filled(&item, sizeof item));
    lk_stream_close(stream);
}

static void
test_stream_whose_partition_goes_ends(void **state)
{
    kit *k = *state;
    fill(k, 1000);
    lk_query query = {.pk = lk_string("p")};
    lk_stream *stream = stream_of(k, &query);
    lk_item item;
    assert_status(LK_OK, lk_stream_next(stream, &item));
    for (uint64_t i = 0; i < 1000; i++) {
        lk_key key = lkc_numbered("p", i);
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
test_streams_that_are_left_open_hold_back_no_memory(void **state)
{
    kit *k = *state;
    enum { STREAMS = 50, ITEMS = 10000 };
    lk_stream *streams[STREAMS];
    lk_item item;
    fill(k, ITEMS);
    for (size_t i = 0; i < STREAMS; i++) {
        lk_query query = {.pk = lk_string("p"), .reverse = i % 2 != 0};
        streams[i] = stream_of(k, &query);
        for (size_t j = 0; j < i * 20; j++)
            assert_status(LK_OK, lk_stream_next(streams[i], &item));
    }
    for (uint64_t i = 0; i < ITEMS; i++) {
        lk_key key = lkc_numbered("p", i);
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
test_query_of_long_prefix_and_many_items_survives_growth(void **state)
{
    kit *k = *state;
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_query_of_long_prefix_and_many_items_survives_growth),
        KIT_TEST(test_stream_whose_partition_goes_ends),
        KIT_TEST(test_streams_that_are_left_open_hold_back_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
