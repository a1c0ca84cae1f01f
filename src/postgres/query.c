/* SPDX-License-Identifier: MIT
 *
 * Ordered reads. Called through the table of operations.
 *
 * Prefix, bounds and cursor become one range from a first sk to an end that is not in it. Whether
 * there is an end decides the statement: with a bound that may be NULL the server would read the
 * whole partition.
 */
#include <stdlib.h>
#include <string.h>

#include "postgres/connection.h"
#include "postgres/operations.h"

typedef struct range {
    lk_bytes from, until; /* until.data NULL: no end */
    bool is_open;
    unsigned char *bytes; /* what they borrow, beyond the query */
} range;

/* The first string behind all that begin with `prefix`; false: there is none. */
static bool
prefix_end(lk_bytes prefix, unsigned char *bytes, lk_bytes *end)
{
    size_t size = prefix.size;
    if (size != 0)
        memcpy(bytes, prefix.data, size);
    while (size != 0 && bytes[size - 1] == 0xff)
        size--;
    if (size == 0)
        return false;
    bytes[size - 1]++;
    *end = (lk_bytes){bytes, size};
    return true;
}

static void
range_from(range *r, lk_bytes from)
{
    if (lk_bytes_compare(from, r->from) > 0)
        r->from = from;
}

static void
range_until(range *r, lk_bytes until)
{
    if (r->is_open || lk_bytes_compare(until, r->until) < 0)
        r->until = until;
    r->is_open = false;
}

static bool
range_make(range *r, const lk_query *query, bool has_after)
{
    lk_bytes end;
    r->bytes = malloc(query->sk_prefix.size + query->after.size + 1);
    if (r->bytes == NULL)
        return false;
    unsigned char *behind = r->bytes + query->sk_prefix.size;
    r->from = query->sk_prefix;
    r->is_open = true;
    if (prefix_end(query->sk_prefix, r->bytes, &end))
        range_until(r, end);
    range_from(r, query->from);
    if (query->until.size != 0)
        range_until(r, query->until);
    if (has_after && query->reverse) {
        range_until(r, query->after);
    } else if (has_after) { /* the next string of all */
        if (query->after.size != 0)
            memcpy(behind, query->after.data, query->after.size);
        behind[query->after.size] = 0;
        range_from(r, (lk_bytes){behind, query->after.size + 1});
    }
    return true;
}

typedef lki_pg_statement statements[2]; /* of a range with an end, and without one */

/* Does the page end where its bytes do? */
static bool
is_bounded(const lk_page *page)
{
    return page->max_bytes <= INT64_MAX;
}

static lk_status
range_ask(lki_pg *store, const lk_page *page, const statements of, PGresult **answer)
{
    const lk_query *query = page->query;
    range r;
    if (!range_make(&r, query, page->has_after))
        return LK_NO_MEMORY;
    lki_pg_parameters p = {.count = 0};
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, query->pk);
    if (query->limit != 0 && query->limit <= INT64_MAX)
        lki_pg_add_number(&p, (int64_t)query->limit);
    else
        lki_pg_add_null(&p);
    lki_pg_add_bytes(&p, r.from);
    if (!r.is_open)
        lki_pg_add_bytes(&p, r.until);
    if (is_bounded(page))
        lki_pg_add_number(&p, (int64_t)page->max_bytes);
    lk_status status = lki_pg_call(store, of[r.is_open], true, &p, answer);
    free(r.bytes);
    return status;
}

/* Drafts the items, and whether the page ends for its bytes. */
static lk_status
page_draft(const lk_page *page, const PGresult *answer, lk_result *result)
{
    size_t bytes = 0, rows = (size_t)PQntuples(answer);
    lk_item item = {.key.pk = page->query->pk};
    lk_status status = LK_OK;
    lk_result_draft(result);
    for (int row = 0; status == LK_OK && (size_t)row < rows; row++) {
        item.key.sk = lki_pg_read_bytes(answer, row, 0);
        item.data = lki_pg_read_bytes(answer, row, 1);
        bytes += item.data.size;
        if (lki_pg_is_null(answer, row, 0) || lki_pg_is_null(answer, row, 1) ||
            !lki_pg_read_number(answer, row, 2, &item.expires_at_ms))
            status = LK_UNAVAILABLE;
        else
            status = lk_result_add(result, &item);
    }
    if (status == LK_OK && rows != 0 && bytes >= page->max_bytes)
        status = lk_result_more(result, item.key.sk);
    return status;
}

lk_status
lki_pg_query(void *state, const lk_page *page, lk_result *result)
{
    static const statements all[2][2] = {
        {{LKI_PG_QUERY, LKI_PG_QUERY_OPEN}, {LKI_PG_QUERY_REVERSE, LKI_PG_QUERY_OPEN_REVERSE}},
        {{LKI_PG_PAGE, LKI_PG_PAGE_OPEN}, {LKI_PG_PAGE_REVERSE, LKI_PG_PAGE_OPEN_REVERSE}}};
    lki_pg *store = state;
    PGresult *answer;
    lk_status status = range_ask(store, page, all[is_bounded(page)][page->query->reverse], &answer);
    if (status != LK_OK)
        return status;
    status = page_draft(page, answer, result);
    lki_pg_count(&store->queries, 1);
    lki_pg_count(&store->items_queried, (uint64_t)PQntuples(answer));
    PQclear(answer);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

lk_status
lki_pg_count_items(void *state, const lk_query *query, size_t *count)
{
    static const statements of = {LKI_PG_COUNT, LKI_PG_COUNT_OPEN};
    const lk_page page = {query, query->after.size != 0, SIZE_MAX, SIZE_MAX};
    PGresult *answer;
    int64_t read;
    lk_status status = range_ask(state, &page, of, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) == 1 && lki_pg_read_number(answer, 0, 0, &read) && read >= 0)
        *count = (size_t)read;
    else
        status = LK_UNAVAILABLE;
    PQclear(answer);
    return status;
}
