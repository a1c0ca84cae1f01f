/* SPDX-License-Identifier: MIT
 *
 * Streams over adapters of all kinds: those that keep the bounds of a page, ignore them, end pages
 * early, find nothing but what has expired; and over those that answer nonsense, which is a status
 * and no loop.
 */
#include "support/fake.h"

enum { SHELF = 700, LONG_SK = 2000 };

typedef enum shelf_habit {
    KEEPS_BOUNDS,
    IGNORES_BOUNDS,     /* but the limit */
    IGNORES_LIMIT,      /* and gives everything */
    ENDS_EARLY,         /* looks at one to three keys, live or not */
    SAYS_MORE_ALWAYS,   /* also behind the last one */
    IGNORES_THE_CURSOR, /* the same page again and again */
    STAYS_WHERE_IT_IS,  /* no item, and no step */
    GOES_BACK,
    HAS_A_LONG_SK
} shelf_habit;

/* A partition in order. */
typedef struct shelf {
    shelf_habit habit;
    kit_random random;
    size_t count;
    char sks[SHELF][12];
    bool expired[SHELF];
    int pages;
    int fails_at; /* the page that fails once; 0: none */
    bool bounded; /* every page had bounds */
} shelf;

static lk_item
shelf_item(const shelf *s, size_t i)
{
    return (lk_item){.key = lk_key_of("p", s->sks[i]), .data = lk_string(s->sks[i])};
}

static bool
query_wants(const lk_query *query, bool has_after, lk_bytes sk)
{
    lk_bytes prefix = query->sk_prefix;
    if (sk.size < prefix.size ||
        (prefix.size != 0 && memcmp(sk.data, prefix.data, prefix.size) != 0))
        return false;
    int order = lk_bytes_compare(sk, query->after);
    return !has_after || (query->reverse ? order < 0 : order > 0);
}

static lk_status
shelf_walk(shelf *s, const lk_page *page, lk_result *result)
{
    const lk_query *query = page->query;
    size_t visits = 0, most = s->habit == ENDS_EARLY     ? 1 + kit_draw(&s->random, 3)
                              : s->habit == KEEPS_BOUNDS ? page->max_visits
                                                         : SIZE_MAX;
    size_t live = 0,
           limit = s->habit == IGNORES_LIMIT || query->limit == 0 ? SIZE_MAX : query->limit;
    lk_status status = LK_OK;
    for (size_t n = 0; status == LK_OK && n < s->count; n++) {
        size_t i = query->reverse ? s->count - 1 - n : n;
        lk_item item = shelf_item(s, i);
        if (!query_wants(query, page->has_after && s->habit != IGNORES_THE_CURSOR, item.key.sk))
            continue;
        if (!s->expired[i]) {
            status = lk_result_add(result, &item);
            live++;
        }
        if (status == LK_OK && (++visits == most || s->habit == SAYS_MORE_ALWAYS))
            status = lk_result_more(result, item.key.sk);
        if (visits == most || live == limit)
            break;
    }
    return status;
}

static lk_status
shelf_query(fake *f, const lk_page *page, lk_result *result)
{
    static const char long_sk[LONG_SK];
    shelf *s = f->context;
    lk_status status = LK_OK;
    s->bounded = s->bounded && page->max_visits != SIZE_MAX && page->max_bytes != SIZE_MAX &&
                 page->query->limit != 0;
    lk_result_draft(result);
    if (++s->pages == s->fails_at)
        return LK_UNAVAILABLE;
    if (s->habit == STAYS_WHERE_IT_IS)
        status = lk_result_more(result, page->query->after);
    else if (s->habit == GOES_BACK)
        status = lk_result_more(result, lk_string(s->pages % 2 != 0 ? "5" : "4"));
    else if (s->habit == HAS_A_LONG_SK)
        status = lk_result_more(result, (lk_bytes){long_sk, LONG_SK});
    else
        status = shelf_walk(s, page, result);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

/* ---- a handle over a shelf ---- */

typedef struct rig {
    fake f;
    shelf s;
    lk_db *db;
    lk_result *result;
} rig;

/* `live`: one of so many is; the others have expired. */
static rig *
rig_open(shelf_habit habit, size_t count, unsigned live)
{
    static rig r;
    memset(&r, 0, sizeof r);
    r.s.habit = habit;
    r.s.random = kit_random_of(21);
    r.s.bounded = true;
    r.s.count = count;
    for (size_t i = 0; i < count; i++) { /* the first one has the empty sk */
        if (i > 0)
            snprintf(r.s.sks[i], sizeof r.s.sks[i], "%05zu", i * 7);
        r.s.expired[i] = kit_draw(&r.s.random, live) != 0;
    }
    r.f.query = shelf_query;
    r.f.context = &r.s;
    r.db = fake_open(&r.f, LK_HAS_QUERY);
    r.result = lk_result_new();
    assert_non_null(r.result);
    return &r;
}

static void
rig_close(rig *r)
{
    lk_close(r->db);
    lk_result_free(r->result);
}

/* The stream returns what the shelf has for the query, then ends. */
static void
stream_equals(rig *r, const lk_query *query)
{
    lk_stream *stream = NULL;
    lk_item item;
    size_t found = 0;
    assert_status(LK_OK, lk_stream_open(r->db, query, &stream));
    for (size_t n = 0; n < r->s.count && (query->limit == 0 || found < query->limit); n++) {
        size_t i = query->reverse ? r->s.count - 1 - n : n;
        lk_item wanted = shelf_item(&r->s, i);
        if (r->s.expired[i] || !query_wants(query, query->after.size != 0, wanted.key.sk))
            continue;
        found++;
        assert_status(LK_OK, lk_stream_next(stream, &item));
        assert_true(lkc_equal(item.key.sk, wanted.key.sk));
        assert_true(lkc_equal(item.data, wanted.data));
    }
    for (int i = 0; i < 3; i++)
        assert_status(LK_END, lk_stream_next(stream, &item));
    lk_stream_close(stream);
}

static void
shelf_equals(shelf_habit habit, size_t count, unsigned live)
{
    static const size_t limits[] = {0, 1, 2, 255, 256, 257, 600};
    rig *r = rig_open(habit, count, live);
    for (size_t i = 0; i < KIT_COUNT(limits) * 8; i++) {
        lk_query query = {.pk = lk_string("p"), .limit = limits[i / 8], .reverse = (i & 1) != 0};
        query.sk_prefix = (i & 2) != 0 ? lk_string("00") : lk_string("");
        query.after = (i & 4) != 0 ? lk_string("00700") : lk_string("");
        stream_equals(r, &query);
    }
    assert_true(r->s.bounded); /* streams always ask for so much at the most */
    rig_close(r);
}

static void
test_stream_over_any_adapter_returns_each_item_once_in_order(void **state)
{
    (void)state;
    for (int habit = KEEPS_BOUNDS; habit <= SAYS_MORE_ALWAYS; habit++)
        for (size_t count = 0; count <= SHELF; count = count * 3 + 1)
            for (unsigned live = 1; live <= 16; live *= 4)
                shelf_equals((shelf_habit)habit, count, live);
}

static void
test_stream_over_nothing_but_expired_items_ends(void **state)
{
    (void)state;
    rig *r = rig_open(ENDS_EARLY, SHELF, 1);
    memset(r->s.expired, 1, sizeof r->s.expired);
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0};
        stream_equals(r, &query);
        assert_true(r->s.pages >= SHELF / 3);
        r->s.pages = 0;
    }
    rig_close(r);
}

static void
test_stream_whose_page_fails_goes_on_where_it_was(void **state)
{
    (void)state;
    for (int at = 1; at < 4; at++) {
        rig *r = rig_open(KEEPS_BOUNDS, SHELF, 1);
        lk_query query = {.pk = lk_string("p")};
        lk_stream *stream = NULL;
        lk_item item;
        lkc_fill(&item, sizeof item);
        r->s.fails_at = at;
        int failures = 0;
        assert_status(LK_OK, lk_stream_open(r->db, &query, &stream));
        for (size_t i = 0; i < SHELF; i++) {
            lk_status status = lk_stream_next(stream, &item);
            if (status == LK_UNAVAILABLE) {
                assert_int_equal(i, (at - 1) * 256);
                failures++;
                status = lk_stream_next(stream, &item);
            }
            assert_status(LK_OK, status);
            assert_true(lkc_is(item.key.sk, r->s.sks[i]));
        }
        assert_int_equal(failures, 1);
        assert_status(LK_END, lk_stream_next(stream, &item));
        lk_stream_close(stream);
        rig_close(r);
    }
}

static void
test_stream_over_an_adapter_that_gets_nowhere_is_invalid_again_and_again(void **state)
{
    (void)state;
    for (int habit = IGNORES_THE_CURSOR; habit <= HAS_A_LONG_SK; habit++)
        for (int reverse = 0; reverse < 2; reverse++) {
            rig *r = rig_open((shelf_habit)habit, SHELF, 1);
            lk_query query = {.pk = lk_string("p"), .reverse = reverse != 0};
            lk_stream *stream = NULL;
            lk_item item;
            lk_status status = LK_OK;
            size_t found = 0;
            assert_status(LK_OK, lk_stream_open(r->db, &query, &stream));
            while (status == LK_OK && found <= SHELF) {
                status = lk_stream_next(stream, &item);
                found += status == LK_OK;
            }
            assert_status(LK_INVALID, status);
            assert_int_equal(found, habit == IGNORES_THE_CURSOR ? 256 : 0);
            int pages = r->s.pages;
            for (int i = 0; i < 3; i++)
                assert_status(LK_INVALID, lk_stream_next(stream, &item));
            assert_true(r->s.pages <= pages + 3 && pages <= 3);
            lk_stream_close(stream);
            rig_close(r);
        }
}

/* The longest sk that the handle has fits as the cursor. */
static void
test_stream_goes_on_behind_the_longest_sk(void **state)
{
    (void)state;
    static char longest[1024];
    memset(longest, '9', sizeof longest);
    rig *r = rig_open(KEEPS_BOUNDS, SHELF, 1);
    lk_query query = {.pk = lk_string("p"), .after = {longest, sizeof longest}};
    stream_equals(r, &query);
    query.reverse = true;
    stream_equals(r, &query);
    rig_close(r);
}

/* ---- lk_query_items and lk_query_page ---- */

static lk_page seen;

static lk_status
page_noted(fake *f, const lk_page *page, lk_result *result)
{
    (void)f;
    seen = *page;
    lk_result_draft(result);
    lk_result_publish(result);
    return LK_OK;
}

static void
test_query_items_is_one_page_without_bounds_and_query_page_is_passed_on(void **state)
{
    (void)state;
    rig *r = rig_open(KEEPS_BOUNDS, 0, 1);
    lk_query query = {.pk = lk_string("p"), .limit = 7};
    r->f.query = page_noted;
    assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
    assert_true(seen.query == &query && !seen.has_after);
    assert_true(seen.max_visits == SIZE_MAX && seen.max_bytes == SIZE_MAX);
    query.after = lk_string("x");
    assert_status(LK_OK, lk_query_items(r->db, &query, r->result));
    assert_true(seen.has_after);
    lk_page page = {&query, false, 3, 4};
    assert_status(LK_OK, lk_query_page(r->db, &page, r->result));
    assert_true(seen.query == &query && !seen.has_after && seen.max_visits == 3 &&
                seen.max_bytes == 4);
    rig_close(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_over_any_adapter_returns_each_item_once_in_order),
        cmocka_unit_test(test_stream_over_nothing_but_expired_items_ends),
        cmocka_unit_test(test_stream_whose_page_fails_goes_on_where_it_was),
        cmocka_unit_test(test_stream_over_an_adapter_that_gets_nowhere_is_invalid_again_and_again),
        cmocka_unit_test(test_stream_goes_on_behind_the_longest_sk),
        cmocka_unit_test(test_query_items_is_one_page_without_bounds_and_query_page_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
