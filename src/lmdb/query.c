/* SPDX-License-Identifier: MIT
 *
 * Ordered reads: one page, or the number of its items, of one snapshot. Called through the table of
 * operations.
 */
#include "lmdb/operations.h"
#include "lmdb/reader.h"

/* What a query asks for is one range of keys: from `lower` on, before `upper`; none where these are
 * not in that order. */
typedef struct walk {
    lki_lmdb *store;
    const lk_page *page;
    lk_result *result; /* NULL: the items are only counted */
    lki_lmdb_key lower, upper;
    int64_t now_ms;
    size_t visits, items, bytes;
    lki_lmdb_key last; /* looked at; not set where items are counted */
} walk;

/* ---- the range ---- */

static void
lower_raise(walk *w, const lki_lmdb_key *to)
{
    if (lk_bytes_compare(lki_lmdb_key_bytes(to), lki_lmdb_key_bytes(&w->lower)) > 0)
        w->lower = *to;
}

static void
upper_reduce(walk *w, const lki_lmdb_key *to)
{
    if (lk_bytes_compare(lki_lmdb_key_bytes(to), lki_lmdb_key_bytes(&w->upper)) < 0)
        w->upper = *to;
}

static void
range_make(walk *w)
{
    const lk_query *query = w->page->query;
    lki_lmdb_key key;
    lki_lmdb_key_make(&w->lower, (lk_key){query->pk, query->sk_prefix});
    w->upper = w->lower;
    lki_lmdb_key_behind(&w->upper);
    lki_lmdb_key_make(&key, (lk_key){query->pk, query->from});
    lower_raise(w, &key);
    if (query->until.size != 0) {
        lki_lmdb_key_make(&key, (lk_key){query->pk, query->until});
        upper_reduce(w, &key);
    }
    if (!w->page->has_after)
        return;
    lki_lmdb_key_make(&key, (lk_key){query->pk, query->after});
    if (query->reverse) {
        upper_reduce(w, &key);
    } else {
        lki_lmdb_key_append(&key, "", 1); /* the least key behind it */
        lower_raise(w, &key);
    }
}

/* The first key in the direction of the query; perhaps beyond the range. */
static int
range_first(const walk *w, MDB_cursor *cursor, MDB_val *key, MDB_val *row)
{
    bool reverse = w->page->query->reverse;
    *key = lki_lmdb_key_value(reverse ? &w->upper : &w->lower);
    int code = mdb_cursor_get(cursor, key, row, MDB_SET_RANGE);
    if (reverse)
        code = mdb_cursor_get(cursor, key, row, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    return code;
}

/* Has a walk that came to this key not left the range? */
static bool
range_goes_on(const walk *w, const MDB_val *key)
{
    lk_bytes at = {key->mv_data, key->mv_size};
    return w->page->query->reverse ? lk_bytes_compare(at, lki_lmdb_key_bytes(&w->lower)) >= 0
                                   : lk_bytes_compare(at, lki_lmdb_key_bytes(&w->upper)) < 0;
}

/* ---- the walk ---- */

/* Adds one key of the page, if its item is live. */
static lk_status
item_visit(walk *w, const MDB_val *key, const MDB_val *row)
{
    lki_lmdb_item item;
    if (w->result != NULL && !lki_lmdb_key_read(&w->last, key->mv_data, key->mv_size))
        return LK_UNAVAILABLE; /* damaged */
    lk_status status = lki_lmdb_item_parse(row, &item);
    w->visits++;
    if (status != LK_OK || lk_has_expired(item.expires_at_ms, w->now_ms))
        return status;
    w->items++;
    w->bytes += item.data.size;
    if (w->result == NULL)
        return LK_OK;
    lk_key key_of = lki_lmdb_key_names(&w->last);
    return lki_lmdb_found_add(w->result, &key_of, &item);
}

static lk_status
page_walk(walk *w, MDB_cursor *cursor)
{
    const lk_query *query = w->page->query;
    MDB_val key, row;
    int code = range_first(w, cursor, &key, &row);
    while (code == 0 && range_goes_on(w, &key)) {
        lk_status status = item_visit(w, &key, &row);
        if (status != LK_OK || (query->limit != 0 && w->items == query->limit))
            return status;
        if (w->visits >= w->page->max_visits || w->bytes >= w->page->max_bytes)
            return lk_result_more(w->result, lki_lmdb_key_sk(&w->last));
        code = mdb_cursor_get(cursor, &key, &row, query->reverse ? MDB_PREV : MDB_NEXT);
    }
    return code == MDB_NOTFOUND ? LK_OK : lki_lmdb_status(code);
}

/* Begin with store, page and result. */
static lk_status
walk_do(walk *w)
{
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(w->store, &reader);
    if (status != LK_OK)
        return status;
    range_make(w);
    w->visits = w->items = w->bytes = 0;
    w->now_ms = lki_lmdb_now(w->store);
    status = lki_lmdb_status(mdb_cursor_renew(reader->txn, reader->cursor));
    if (status == LK_OK)
        status = page_walk(w, reader->cursor);
    lki_lmdb_count(&reader->queries, 1);
    lki_lmdb_count(&reader->items_queried, status == LK_OK ? w->items : 0);
    lki_lmdb_read_end(reader);
    return status;
}

lk_status
lki_lmdb_query(void *state, const lk_page *page, lk_result *result)
{
    walk w;
    w.store = state;
    w.page = page;
    w.result = result;
    lk_result_draft(result);
    lk_status status = walk_do(&w);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

lk_status
lki_lmdb_query_count(void *state, const lk_query *query, size_t *count)
{
    const lk_page page = {query, query->after.size != 0, SIZE_MAX, SIZE_MAX};
    walk w;
    w.store = state;
    w.page = &page;
    w.result = NULL;
    lk_status status = walk_do(&w);
    if (status == LK_OK)
        *count = w.items;
    return status;
}
