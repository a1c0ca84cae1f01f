/* SPDX-License-Identifier: MIT
 *
 * Area: streams. Partitions of many items, writers in between, ends and limits.
 */
#include "suite.h"

enum { MANY = 2000, LONG = 9000, BATCH = 250 };

/* Items of consecutive numbers, in batches; the expiry of all. */
static void
many_set_until(rig *r, uint64_t from, uint64_t to, const char *data, int64_t expires_at_ms)
{
    lk_item items[BATCH];
    char sk[BATCH][16];
    for (uint64_t i = from, count = 0; i < to; i += count) {
        for (count = 0; count < BATCH && i + count < to; count++) {
            snprintf(sk[count], sizeof sk[count], "%08llu", (unsigned long long)(i + count));
            items[count] = lkc_item("p", sk[count], data);
            items[count].expires_at_ms = expires_at_ms;
        }
        assert_status(LK_OK, lk_set(r->db, items, (size_t)count));
    }
}

static void
many_set(rig *r, uint64_t from, uint64_t to, const char *data)
{
    many_set_until(r, from, to, data, 0);
}

static lk_stream *
stream_open(rig *r, const lk_query *query)
{
    lk_stream *stream = NULL;
    assert_status(LK_OK, lk_stream_open(r->db, query, &stream));
    assert_non_null(stream);
    return stream;
}

static void
assert_next(lk_stream *stream, uint64_t number, const char *data)
{
    lk_item item;
    assert_status(LK_OK, lk_stream_next(stream, &item));
    assert_bytes(lkc_numbered("p", number).sk, item.key.sk);
    assert_true(lkc_is(item.key.pk, "p") && lkc_is(item.data, data));
    assert_int_equal(item.expires_at_ms, 0);
}

/* "the same items one by one", "no item twice, sorted"; LK_END "again and again" */
static void
test_stream_of_thousands_returns_each_in_order(rig *r)
{
    lk_item item;
    many_set(r, 0, MANY, "x");
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0};
        lk_stream *stream = stream_open(r, &query);
        for (uint64_t i = 0; i < MANY; i++)
            assert_next(stream, reverse != 0 ? MANY - 1 - i : i, "x");
        lkc_fill(&item, sizeof item);
        for (int again = 0; again < 3; again++)
            assert_status(LK_END, lk_stream_next(stream, &item));
        assert_true(lkc_is_filled(&item, sizeof item));
        lk_stream_close(stream);
    }
}

static void
test_stream_stops_at_its_limit(rig *r)
{
    static const size_t limits[] = {1, 2, 255, 256, 257, 512, 513, MANY - 1, MANY, MANY + 1};
    lk_item item;
    many_set(r, 0, MANY, "x");
    for (size_t i = 0; i < COUNT(limits); i++) {
        lk_query query = {.pk = lk_string("p"), .limit = limits[i]};
        lk_stream *stream = stream_open(r, &query);
        for (uint64_t j = 0; j < limits[i] && j < MANY; j++)
            assert_next(stream, j, "x");
        assert_status(LK_END, lk_stream_next(stream, &item));
        assert_status(LK_END, lk_stream_next(stream, &item));
        lk_stream_close(stream);
    }
}

static void
test_stream_of_nothing_ends(rig *r)
{
    lk_query query = {.pk = lk_string("p")};
    lk_item item;
    lkc_set(r, "pp", "a", "x");
    lk_stream *stream = stream_open(r, &query);
    assert_status(LK_END, lk_stream_next(stream, &item));
    lk_stream_close(stream);
    lkc_set(r, "p", "", "alone");
    stream = stream_open(r, &query);
    assert_status(LK_OK, lk_stream_next(stream, &item));
    assert_true(item.key.sk.size == 0 && lkc_is(item.data, "alone"));
    assert_status(LK_END, lk_stream_next(stream, &item));
    lkc_set(r, "p", "later", "x");
    assert_status(LK_END, lk_stream_next(stream, &item));
    lk_stream_close(stream);
    stream = stream_open(r, &query);
    assert_status(LK_INVALID, lk_stream_next(NULL, &item));
    assert_status(LK_INVALID, lk_stream_next(stream, NULL));
    lk_stream_close(stream);
    lk_stream_close(NULL);
}

/* latchkey.h: "`query` is copied." */
static void
test_stream_copies_its_query(rig *r)
{
    char pk[] = "p", prefix[] = "0000", after[] = "00000009";
    lk_query query = {
        .pk = lk_string(pk), .sk_prefix = lk_string(prefix), .after = lk_string(after)};
    many_set(r, 0, 600, "x");
    lk_stream *stream = stream_open(r, &query);
    memset(pk, 'z', 1);
    memset(prefix, 'z', 4);
    memset(after, 'z', 8);
    memset(&query, 0, sizeof query);
    for (uint64_t i = 10; i < 600; i++)
        assert_next(stream, i, "x");
    lk_stream_close(stream);
}

/* "never return an expired item"; a long run of them does not end it */
static void
test_stream_goes_on_over_what_has_expired(rig *r)
{
    many_set(r, 0, 1, "x");
    many_set_until(r, 1, LONG, "x", lkc_now(r) + 10);
    many_set(r, LONG, LONG + 1, "x");
    lk_query query = {.pk = lk_string("p")};
    lk_stream *open_before = stream_open(r, &query);
    lkc_advance(r, 11);
    lk_stream *open_after = stream_open(r, &query);
    lk_item item;
    for (int i = 0; i < 2; i++) {
        lk_stream *stream = i == 0 ? open_before : open_after;
        assert_next(stream, 0, "x");
        assert_next(stream, LONG, "x");
        assert_status(LK_END, lk_stream_next(stream, &item));
        lk_stream_close(stream);
    }
}

/* "an item present throughout is returned"; the stream's own thread writes meanwhile */
static void
test_stream_open_while_items_come_and_go_returns_what_stays(rig *r)
{
    lk_query query = {.pk = lk_string("p")};
    lk_item item;
    many_set(r, 0, MANY, "x");
    lk_stream *stream = stream_open(r, &query);
    lk_bytes last = {NULL, 0};
    char kept[16];
    uint64_t stayed = 0;
    for (uint64_t turn = 0; lk_stream_next(stream, &item) == LK_OK; turn++) {
        assert_true(last.size == 0 || lk_bytes_compare(last, item.key.sk) < 0);
        snprintf(kept, sizeof kept, "%.*s", (int)item.key.sk.size, (const char *)item.key.sk.data);
        last = lk_string(kept);
        stayed += strtoull(kept, NULL, 10) % 3 != 0 && item.key.sk.size == 8;
        /* Those of every third number go, and others come beside all. */
        lk_key gone = lkc_numbered("p", (turn * 389 % MANY) / 3 * 3);
        assert_status(LK_OK, lk_delete(r->db, &gone, 1));
        char sk[24];
        snprintf(sk, sizeof sk, "%08llux", (unsigned long long)(turn * 997 % MANY));
        lkc_set(r, "p", sk, "new");
    }
    lk_stream_close(stream);
    assert_int_equal(stayed, MANY - (MANY + 2) / 3);
}

/* "A stream that is left open holds back no memory between pages": whatever is written meanwhile,
 * and for however long, it goes on and nobody gets LK_BUSY. */
static void
test_streams_that_are_left_open_stay_usable(rig *r)
{
    enum { OPEN = 8 };
    lk_query query = {.pk = lk_string("p")};
    lk_stream *streams[OPEN];
    many_set(r, 0, 600, "old");
    for (size_t i = 0; i < OPEN; i++) {
        streams[i] = stream_open(r, &query);
        assert_next(streams[i], 0, "old");
    }
    for (int turn = 0; turn < 10; turn++)
        many_set(r, 0, 600, turn == 9 ? "new" : "between");
    lkc_advance(r, LK_HOURS(24));
    for (size_t i = 0; i < OPEN; i++) {
        lk_item item;
        uint64_t count = 1;
        bool is_new = false;
        while (lk_stream_next(streams[i], &item) == LK_OK) {
            assert_bytes(lkc_numbered("p", count++).sk, item.key.sk);
            is_new = lkc_is(item.data, "new");
        }
        assert_int_equal(count, 600);
        assert_true(is_new); /* pages that were read later show what was written before */
        lk_stream_close(streams[i]);
    }
}

/* latchkey.h: items "are valid until the stream's next call" */
static void
test_stream_item_keeps_its_bytes_while_the_database_changes(rig *r)
{
    lk_query query = {.pk = lk_string("p")};
    lk_item item;
    many_set(r, 0, 3, "old");
    lk_stream *stream = stream_open(r, &query);
    assert_status(LK_OK, lk_stream_next(stream, &item));
    many_set(r, 0, 3, "new");
    lkc_delete(r, "p", "00000000");
    assert_true(lkc_is(item.data, "old") && lkc_is(item.key.sk, "00000000"));
    lk_stream_close(stream);
}

/* "for partitions of any size": pages of large items too */
static void
test_stream_of_large_items_reads_all(rig *r)
{
    size_t size = r->about.max_data_size < 300000 ? r->about.max_data_size : 300000;
    char *data = malloc(size);
    assert_non_null(data);
    for (uint64_t i = 0; i < 24; i++) {
        memset(data, 'a' + (int)i, size);
        lk_item item = {.key = lkc_numbered("p", i), .data = {data, size}};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    lk_query query = {.pk = lk_string("p")};
    lk_stream *stream = stream_open(r, &query);
    lk_item item;
    for (uint64_t i = 0; i < 24; i++) {
        assert_status(LK_OK, lk_stream_next(stream, &item));
        memset(data, 'a' + (int)i, size);
        assert_bytes(lkc_numbered("p", i).sk, item.key.sk);
        assert_bytes(lkc_bytes(data, size), item.data);
    }
    assert_status(LK_END, lk_stream_next(stream, &item));
    lk_stream_close(stream);
    free(data);
}

static const lkc_case cases[] = {
    CASE(test_stream_of_thousands_returns_each_in_order, LK_HAS_QUERY),
    CASE(test_stream_stops_at_its_limit, LK_HAS_QUERY),
    CASE(test_stream_of_nothing_ends, LK_HAS_QUERY),
    CASE(test_stream_copies_its_query, LK_HAS_QUERY),
    CASE(test_stream_goes_on_over_what_has_expired, LK_HAS_QUERY),
    CASE(test_stream_open_while_items_come_and_go_returns_what_stays, LK_HAS_QUERY),
    CASE(test_streams_that_are_left_open_stay_usable, LK_HAS_QUERY),
    CASE(test_stream_item_keeps_its_bytes_while_the_database_changes, LK_HAS_QUERY),
    CASE(test_stream_of_large_items_reads_all, LK_HAS_QUERY),
};
AREA(lkc_stream_area, cases);
