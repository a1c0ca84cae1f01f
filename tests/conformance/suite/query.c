/* SPDX-License-Identifier: MIT
 *
 * Area: ordered reads. Each shape of a query is compared with what a walk over a sorted array says;
 * then limits, cursors, pages, what writers may not do to a snapshot.
 */
#include "suite.h"

/* ---- every shape ---- */

#define BYTES(text)           \
    {                         \
        text, sizeof text - 1 \
    }

/* Ascending: "compared with memcmp, shorter first on a tie". */
static const lk_bytes sks[] = {
    BYTES(""),         BYTES("\0"),       BYTES("\0\0"),        BYTES("\0\x01"), BYTES("\x01"),
    BYTES("1"),        BYTES("10"),       BYTES("2"),           BYTES("A"),      BYTES("a"),
    BYTES("a\0"),      BYTES("a\0b"),     BYTES("aa"),          BYTES("ab"),     BYTES("abc"),
    BYTES("abd"),      BYTES("a\xff"),    BYTES("a\xff\xff"),   BYTES("b"),      BYTES("ba"),
    BYTES("\x7f"),     BYTES("\x80"),     BYTES("\xfe\xff"),    BYTES("\xff"),   BYTES("\xff\0"),
    BYTES("\xff\xfe"), BYTES("\xff\xff"), BYTES("\xff\xff\xff")};

static const lk_bytes prefixes[] = {BYTES(""),     BYTES("\0"),        BYTES("a"),
                                    BYTES("ab"),   BYTES("abc"),       BYTES("b"),
                                    BYTES("\xff"), BYTES("\xff\xff"),  BYTES("zzzz"),
                                    BYTES("1"),    BYTES("a\xff\xff"), BYTES("\x01")};

static const lk_bytes afters[] = {BYTES(""),
                                  BYTES("\0"),
                                  BYTES("\x02"),
                                  BYTES("a"),
                                  BYTES("aa"),
                                  BYTES("aaa"),
                                  BYTES("abc"),
                                  BYTES("a\xff\xff"),
                                  BYTES("a\xff\xff\xff"),
                                  BYTES("b"),
                                  BYTES("\xff"),
                                  BYTES("\xff\xff\xff"),
                                  BYTES("\xff\xff\xff\xff"),
                                  BYTES("abcd")};

static bool
begins_with(lk_bytes sk, lk_bytes prefix)
{
    return sk.size >= prefix.size &&
           (prefix.size == 0 || memcmp(sk.data, prefix.data, prefix.size) == 0);
}

/* The indices of what `query` asks for, of all of `sks`. */
static size_t
shape_expect(const lk_query *query, size_t wanted[COUNT(sks)])
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT(sks); i++) {
        size_t at = query->reverse ? COUNT(sks) - 1 - i : i;
        int order = lk_bytes_compare(sks[at], query->after);
        if (begins_with(sks[at], query->sk_prefix) &&
            (query->after.size == 0 || (query->reverse ? order < 0 : order > 0)) &&
            lk_bytes_compare(sks[at], query->from) >= 0 &&
            (query->until.size == 0 || lk_bytes_compare(sks[at], query->until) < 0) &&
            (query->limit == 0 || count < query->limit))
            wanted[count++] = at;
    }
    return count;
}

static void
shapes_set(rig *r, const char *pk)
{
    for (size_t i = 0; i < COUNT(sks); i++) {
        size_t at = i * 11 % COUNT(sks); /* not in their order */
        lk_item item = {.key = {lk_string(pk), sks[at]}, .data = sks[at]};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
}

/* The query of number `shape`. */
static bool
shape_make(size_t shape, lk_query *query)
{
    static const size_t limits[] = {0, 1, 2, 5, COUNT(sks), 1000};
    query->pk = lk_string("p");
    query->reverse = shape % 2 != 0;
    shape /= 2;
    query->relaxed = shape % 2 != 0;
    shape /= 2;
    query->limit = limits[shape % COUNT(limits)];
    shape /= COUNT(limits);
    query->after = afters[shape % COUNT(afters)];
    shape /= COUNT(afters);
    if (shape >= COUNT(prefixes))
        return false;
    query->sk_prefix = prefixes[shape];
    return true;
}

/* "items of pk whose sk starts with sk_prefix, ascending by sk (descending with reverse), at most
 * limit live ones (0 = all), strictly after `after` if its size is not 0" */
static void
test_query_of_each_shape_returns_what_it_asks_for(rig *r)
{
    size_t wanted[COUNT(sks)];
    lk_query query;
    shapes_set(r, "p");
    shapes_set(r, "p\x01"); /* neighbours */
    shapes_set(r, "o");
    shapes_set(r, "pp");
    memset(&query, 0, sizeof query);
    for (size_t shape = 0; shape_make(shape, &query); shape++) {
        size_t count = shape_expect(&query, wanted);
        assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
        assert_int_equal(lk_result_count(r->result), count);
        for (size_t i = 0; i < count; i++) {
            const lk_item *item = lk_result_item(r->result, i);
            assert_bytes(query.pk, item->key.pk);
            assert_bytes(sks[wanted[i]], item->key.sk);
            assert_bytes(sks[wanted[i]], item->data);
            assert_null(lk_result_claim(r->result, i));
        }
    }
}

/* The same shapes one by one: lk_stream returns "the same items". */
static void
test_stream_of_each_shape_equals_the_query(rig *r)
{
    size_t wanted[COUNT(sks)];
    lk_query query;
    shapes_set(r, "p");
    shapes_set(r, "q");
    memset(&query, 0, sizeof query);
    for (size_t shape = 0; shape_make(shape, &query); shape++) {
        size_t count = shape_expect(&query, wanted);
        lk_stream *stream = NULL;
        lk_item item;
        assert_status(LK_OK, lk_stream_open(r->db, &query, &stream));
        for (size_t i = 0; i < count; i++) {
            assert_status(LK_OK, lk_stream_next(stream, &item));
            assert_bytes(query.pk, item.key.pk);
            assert_bytes(sks[wanted[i]], item.key.sk);
            assert_bytes(sks[wanted[i]], item.data);
        }
        assert_status(LK_END, lk_stream_next(stream, &item));
        lk_stream_close(stream);
    }
}

/* The same with each pair of bounds: queries, streams and counts. */
static void
test_query_of_each_pair_of_bounds_returns_what_it_asks_for(rig *r)
{
    size_t wanted[COUNT(sks)];
    shapes_set(r, "p");
    shapes_set(r, "q");
    for (size_t i = 0; i < COUNT(afters) * COUNT(afters) * 2 * COUNT(prefixes); i++) {
        size_t pair = i / 2 % (COUNT(afters) * COUNT(afters)), turn = i * 7;
        lk_query query = {.pk = lk_string("p"),
                          .sk_prefix = prefixes[i / (2 * COUNT(afters) * COUNT(afters))],
                          .after = turn % 3 == 0 ? afters[turn % COUNT(afters)] : afters[0],
                          .limit = turn % 5 == 0 ? turn % 4 : 0,
                          .reverse = i % 2 != 0,
                          .relaxed = turn % 4 == 1,
                          .from = afters[pair % COUNT(afters)],
                          .until = afters[pair / COUNT(afters)]};
        size_t count = shape_expect(&query, wanted), counted = 77;
        lk_stream *stream = NULL;
        lk_item item;
        assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
        assert_int_equal(lk_result_count(r->result), count);
        assert_status(LK_OK, lk_count(r->db, &query, &counted));
        assert_int_equal(counted, count);
        assert_status(LK_OK, lk_stream_open(r->db, &query, &stream));
        for (size_t j = 0; j < count; j++) {
            assert_bytes(sks[wanted[j]], lk_result_item(r->result, j)->key.sk);
            assert_status(LK_OK, lk_stream_next(stream, &item));
            assert_bytes(sks[wanted[j]], item.key.sk);
        }
        assert_status(LK_END, lk_stream_next(stream, &item));
        lk_stream_close(stream);
    }
}

/* ---- nothing there, bad arguments ---- */

static void
test_query_that_is_bad_leaves_the_result(rig *r)
{
    char *large = malloc(r->about.max_pk_size + r->about.max_sk_size + 1);
    assert_non_null(large);
    memset(large, 'b', r->about.max_pk_size + r->about.max_sk_size + 1);
    lk_bytes pk = lk_string("p"), none = {NULL, 3}, empty = {NULL, 0};
    lk_bytes long_pk = {large, r->about.max_pk_size + 1},
             long_sk = {large, r->about.max_sk_size + 1};
    const lk_query bad[] = {{.pk = empty},
                            {.pk = none},
                            {.pk = pk, .sk_prefix = none},
                            {.pk = pk, .after = none},
                            {.pk = pk, .from = none},
                            {.pk = pk, .until = none},
                            {.pk = long_pk},
                            {.pk = pk, .sk_prefix = long_sk},
                            {.pk = pk, .after = long_sk},
                            {.pk = pk, .from = long_sk},
                            {.pk = pk, .until = long_sk}};
    size_t number = 77;
    lkc_set(r, "p", "a", "x");
    lkc_prime(r->result);
    for (size_t i = 0; i < COUNT(bad); i++) {
        lk_status wanted = i < 6 ? LK_INVALID : LK_TOO_BIG;
        lk_stream *stream = NULL;
        assert_status(wanted, lk_query_items(r->db, &bad[i], r->result));
        assert_status(wanted, lk_count(r->db, &bad[i], &number));
        assert_status(wanted, lk_stream_open(r->db, &bad[i], &stream));
        assert_null(stream);
    }
    lk_query good = {.pk = pk};
    lk_stream *stream = NULL;
    assert_status(LK_INVALID, lk_query_items(NULL, &good, r->result));
    assert_status(LK_INVALID, lk_query_items(r->db, NULL, r->result));
    assert_status(LK_INVALID, lk_query_items(r->db, &good, NULL));
    assert_status(LK_INVALID, lk_count(NULL, &good, &number));
    assert_status(LK_INVALID, lk_count(r->db, NULL, &number));
    assert_status(LK_INVALID, lk_count(r->db, &good, NULL));
    assert_int_equal(number, 77);
    assert_status(LK_INVALID, lk_stream_open(r->db, NULL, &stream));
    assert_status(LK_INVALID, lk_stream_open(r->db, &good, NULL));
    assert_null(stream);
    assert_true(lkc_is_primed(r->result));
    free(large);
}

/* ---- limits and cursors ---- */

/* "the cursor: pass the last sk returned"; it may point into the result that is filled. */
static void
test_query_pages_by_a_cursor_in_the_result(rig *r)
{
    enum { MANY = 200 };
    for (uint64_t i = 0; i < MANY; i++) {
        lk_item item = {.key = lkc_numbered("p", i), .data = lk_string("x")};
        assert_status(LK_OK, lk_set(r->db, &item, 1));
    }
    for (size_t limit = 1; limit < 90; limit += 11)
        for (int reverse = 0; reverse < 2; reverse++) {
            lk_query query = {.pk = lk_string("p"), .limit = limit, .reverse = reverse != 0};
            size_t seen = 0;
            for (;;) {
                assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
                size_t count = lk_result_count(r->result);
                for (size_t i = 0; i < count; i++, seen++) {
                    lk_key wanted = lkc_numbered("p", reverse != 0 ? MANY - 1 - seen : seen);
                    assert_bytes(wanted.sk, lk_result_item(r->result, i)->key.sk);
                }
                if (count < limit)
                    break;
                query.after = lk_result_item(r->result, count - 1)->key.sk;
            }
            assert_int_equal(seen, MANY);
        }
}

/* ---- pages (adapter.h) ---- */

/* "A page that ends for one of them says so by lk_result_more." All pages together are the query,
 * whatever the hints; each page gets on. */
static void
pages_read(rig *r, const lk_query *asked, size_t max_visits, size_t max_bytes)
{
    size_t wanted[COUNT(sks)], count = shape_expect(asked, wanted), seen = 0;
    unsigned char after[16];
    lk_query query = *asked;
    lk_page page = {&query, asked->after.size != 0, max_visits, max_bytes};
    for (size_t turn = 0;; turn++) {
        lk_bytes sk;
        assert_true(turn <= 2 * COUNT(sks));
        assert_status(LK_OK, lk_query_page(r->db, &page, r->result));
        size_t got = lk_result_count(r->result);
        for (size_t i = 0; i < got; i++, seen++) {
            assert_true(seen < count);
            assert_bytes(sks[wanted[seen]], lk_result_item(r->result, i)->key.sk);
        }
        if (!lk_result_has_more(r->result, &sk)) {
            if (query.limit == 0 || got < query.limit)
                break;
            sk = lk_result_item(r->result, got - 1)->key.sk;
        }
        assert_true(sk.size <= sizeof after);
        if (sk.size != 0)
            memcpy(after, sk.data, sk.size);
        query.after = lkc_bytes(after, sk.size);
        page.has_after = true; /* "query->after counts, be it empty" */
    }
    assert_int_equal(seen, count);
}

static void
test_pages_of_any_size_are_together_the_query(rig *r)
{
    static const size_t bounds[] = {1, 2, 3, 7, SIZE_MAX};
    shapes_set(r, "p");
    for (size_t i = 0; i < COUNT(bounds) * COUNT(bounds); i++)
        for (size_t j = 0; j < 2 * COUNT(prefixes); j++) {
            size_t max_visits = bounds[i % COUNT(bounds)], max_bytes = bounds[i / COUNT(bounds)];
            lk_query query = {.pk = lk_string("p"), .sk_prefix = prefixes[j / 2], .reverse = j % 2};
            pages_read(r, &query, max_visits, max_bytes);
            query.after = afters[j % COUNT(afters)];
            pages_read(r, &query, max_visits, max_bytes);
            if (!lkc_can(r, LK_QUERIES_RANGES))
                continue;
            query.from = afters[i % COUNT(afters)];
            query.until = afters[(i + j) % COUNT(afters)];
            pages_read(r, &query, max_visits, max_bytes);
        }
    /* By limit: as many pages as it takes, with the limit of each. */
    for (size_t limit = 1; limit < 9; limit++) {
        lk_query query = {.pk = lk_string("p")};
        lk_page page = {&query, false, SIZE_MAX, SIZE_MAX};
        query.limit = limit;
        assert_status(LK_OK, lk_query_page(r->db, &page, r->result));
        assert_int_equal(lk_result_count(r->result), limit);
        page.has_after = true; /* the empty sk was the first */
        assert_status(LK_OK, lk_query_page(r->db, &page, r->result));
        assert_bytes(sks[1], lk_result_item(r->result, 0)->key.sk);
    }
}

static const lkc_case cases[] = {
    CASE(test_query_of_each_shape_returns_what_it_asks_for, LK_HAS_QUERY),
    CASE(test_stream_of_each_shape_equals_the_query, LK_HAS_QUERY),
    CASE(test_query_of_each_pair_of_bounds_returns_what_it_asks_for,
         LK_HAS_QUERY | LK_QUERIES_RANGES),
    CASE(test_query_that_is_bad_leaves_the_result, LK_HAS_QUERY),
    CASE(test_query_pages_by_a_cursor_in_the_result, LK_HAS_QUERY),
    CASE(test_pages_of_any_size_are_together_the_query, LK_HAS_QUERY),
};
AREA(lkc_query_area, cases);
