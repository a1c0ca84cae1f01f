/* SPDX-License-Identifier: MIT
 *
 * Ordered reads: one page, one snapshot. Called through the table of operations.
 */
#include "lmdb/operations.h"
#include "lmdb/reader.h"

typedef struct walk {
    const lki_lmdb *store;
    const lk_page *page;
    lk_result *result;
    lki_lmdb_key prefix; /* what all keys of the page begin with */
    lki_lmdb_key after;  /* the cursor's key, if the page has one */
    int64_t now_ms;
    size_t visits, items, bytes;
    lki_lmdb_key last; /* looked at */
} walk;

static bool
is_behind(const MDB_val *key, const lki_lmdb_key *other)
{
    return lk_bytes_compare((lk_bytes){key->mv_data, key->mv_size}, lki_lmdb_key_bytes(other)) > 0;
}

/* The first key of a walk upwards. */
static int
first_upwards(const walk *w, MDB_cursor *cursor, MDB_val *key, MDB_val *row)
{
    bool after = w->page->has_after && lk_bytes_compare(lki_lmdb_key_bytes(&w->after),
                                                        lki_lmdb_key_bytes(&w->prefix)) >= 0;
    *key = lki_lmdb_key_value(after ? &w->after : &w->prefix);
    int code = mdb_cursor_get(cursor, key, row, MDB_SET_RANGE);
    if (code == 0 && after && !is_behind(key, &w->after))
        code = mdb_cursor_get(cursor, key, row, MDB_NEXT);
    return code;
}

/* The first key of a walk downwards: the last before the cursor, or before what lies behind all
 * keys with the prefix. */
static int
first_downwards(const walk *w, MDB_cursor *cursor, MDB_val *key, MDB_val *row)
{
    lki_lmdb_key bound = w->prefix;
    lki_lmdb_key_behind(&bound);
    if (w->page->has_after &&
        lk_bytes_compare(lki_lmdb_key_bytes(&w->after), lki_lmdb_key_bytes(&bound)) < 0)
        bound = w->after;
    *key = lki_lmdb_key_value(&bound);
    int code = mdb_cursor_get(cursor, key, row, MDB_SET_RANGE);
    return mdb_cursor_get(cursor, key, row, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
}

/* Adds one key of the page, if its item is live. */
static lk_status
item_visit(walk *w, const MDB_val *key, const MDB_val *row)
{
    lki_lmdb_item item;
    if (!lki_lmdb_key_read(&w->last, key->mv_data, key->mv_size))
        return LK_UNAVAILABLE; /* damaged */
    lk_status status = lki_lmdb_item_parse(row, &item);
    w->visits++;
    if (status != LK_OK || lk_has_expired(item.expires_at_ms, w->now_ms))
        return status;
    w->items++;
    w->bytes += item.data.size;
    lk_item found = {lki_lmdb_key_names(&w->last), item.data, item.expires_at_ms};
    return lk_result_add(w->result, &found);
}

static lk_status
page_walk(walk *w, MDB_cursor *cursor)
{
    const lk_query *query = w->page->query;
    MDB_val key, row;
    lk_status status = LK_OK;
    int code = query->reverse ? first_downwards(w, cursor, &key, &row)
                              : first_upwards(w, cursor, &key, &row);
    while (code == 0 && lki_lmdb_begins_with(&key, &w->prefix)) {
        status = item_visit(w, &key, &row);
        if (status != LK_OK || (query->limit != 0 && w->items == query->limit))
            return status;
        if (w->visits >= w->page->max_visits || w->bytes >= w->page->max_bytes)
            return lk_result_more(w->result, lki_lmdb_key_sk(&w->last));
        code = mdb_cursor_get(cursor, &key, &row, query->reverse ? MDB_PREV : MDB_NEXT);
    }
    return code == MDB_NOTFOUND ? LK_OK : lki_lmdb_status(code);
}

lk_status
lki_lmdb_query(void *state, const lk_page *page, lk_result *result)
{
    lki_lmdb *store = state;
    const lk_query *query = page->query;
    lki_lmdb_reader *reader;
    walk w;
    w.store = store;
    w.page = page;
    w.result = result;
    w.visits = w.items = w.bytes = 0;
    lki_lmdb_key_make(&w.prefix, (lk_key){query->pk, query->sk_prefix});
    lki_lmdb_key_make(&w.after,
                      (lk_key){query->pk, page->has_after ? query->after : (lk_bytes){NULL, 0}});
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    w.now_ms = lki_lmdb_now(store);
    lk_result_draft(result);
    status = lki_lmdb_status(mdb_cursor_renew(reader->txn, reader->cursor));
    if (status == LK_OK)
        status = page_walk(&w, reader->cursor);
    lki_lmdb_count(&reader->queries, 1);
    lki_lmdb_count(&reader->items_queried, status == LK_OK ? w.items : 0);
    lki_lmdb_read_end(reader);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}
