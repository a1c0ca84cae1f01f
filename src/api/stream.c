/* SPDX-License-Identifier: MIT
 *
 * Streams: a query in pages, each one snapshot, over any database that can query. Between two
 * pages a stream holds nothing but its own copy of the last page. A stream belongs to one thread
 * at a time.
 */
#include "api/check.h"
#include "base/alloc.h"

enum { PAGE_ITEMS = 256, PAGE_CELLS = 4096, PAGE_BYTES = 1 << 20 };

struct lk_stream {
    lk_db *db;
    lk_result *page;
    size_t next; /* item of the page */
    size_t left; /* items that the query's limit still allows; 0 with `limited` */
    bool limited, started;
    bool done;      /* there is nothing behind the page */
    lk_query query; /* its bytes are `keys` */
    size_t keys_size;
    unsigned char *after; /* in `keys`: room for a cursor */
    unsigned char keys[]; /* pk, prefix, bounds, cursor */
};

/* Copies bytes to `*end`, which moves behind them. */
static lk_bytes
bytes_keep(unsigned char **end, lk_bytes bytes)
{
    lk_bytes kept = {*end, bytes.size};
    if (bytes.size != 0)
        memcpy(*end, bytes.data, bytes.size);
    *end += bytes.size;
    return kept;
}

lk_status
lk_stream_open(lk_db *db, const lk_query *query, lk_stream **stream)
{
    lk_status status = stream == NULL ? LK_INVALID : lki_check_query(db, query);
    if (status != LK_OK)
        return status;
    size_t size = query->pk.size + query->sk_prefix.size + query->from.size + query->until.size +
                  lki_sk_room(db);
    lk_stream *s = lki_alloc(NULL, sizeof *s + size);
    lk_result *page = lk_result_new();
    if (s == NULL || page == NULL) {
        lki_free(NULL, s, sizeof *s + size);
        lk_result_free(page);
        return LK_NO_MEMORY;
    }
    *s = (lk_stream){.db = db, .page = page, .query = *query, .keys_size = size};
    s->limited = query->limit != 0;
    s->left = query->limit;
    s->started = query->after.size != 0;
    unsigned char *end = s->keys;
    s->query.pk = bytes_keep(&end, query->pk);
    s->query.sk_prefix = bytes_keep(&end, query->sk_prefix);
    s->query.from = bytes_keep(&end, query->from);
    s->query.until = bytes_keep(&end, query->until);
    s->after = end;
    s->query.after = bytes_keep(&end, query->after);
    *stream = s;
    return LK_OK;
}

/* May the next page begin behind `resume`? If not, the adapter errs, and the stream would never
 * end. */
static bool
resume_is_sane(const lk_stream *s, lk_bytes resume)
{
    size_t room = (size_t)(s->keys + s->keys_size - s->after);
    int order = lk_bytes_compare(resume, s->query.after);
    return resume.size <= room && (!s->started || (s->query.reverse ? order < 0 : order > 0));
}

/* A page has no holes. */
static bool
page_is_sane(const lk_result *page)
{
    for (size_t i = 0; i < lk_result_count(page); i++)
        if (lk_result_item(page, i) == NULL)
            return false;
    return true;
}

static lk_status
page_read(lk_stream *s)
{
    s->query.limit = s->limited && s->left < PAGE_ITEMS ? s->left : PAGE_ITEMS;
    lk_page page = {&s->query, s->started, PAGE_CELLS, PAGE_BYTES};
    lk_status status = lk_query_page(s->db, &page, s->page);
    if (status != LK_OK)
        return status;
    size_t count = lk_result_count(s->page);
    lk_bytes resume = {NULL, 0};
    s->next = count; /* a page that is not sane gives no items */
    if (!page_is_sane(s->page))
        return LK_INVALID;
    s->done = !lk_result_has_more(s->page, &resume);
    if (s->done && count == s->query.limit) {
        s->done = false; /* as many as were asked for */
        resume = lk_result_item(s->page, count - 1)->key.sk;
    }
    if (!s->done && !resume_is_sane(s, resume))
        return LK_INVALID;
    s->next = 0;
    if (!s->done) {
        /* Behind what was looked at, whether or not it was live; an empty sk counts too. */
        unsigned char *end = s->after;
        s->query.after = bytes_keep(&end, resume);
        s->started = true;
    }
    return LK_OK;
}

lk_status
lk_stream_next(lk_stream *stream, lk_item *item)
{
    if (stream == NULL || item == NULL)
        return LK_INVALID;
    if (stream->limited && stream->left == 0)
        return LK_END;
    while (stream->next == lk_result_count(stream->page)) {
        if (stream->done)
            return LK_END;
        lk_status status = page_read(stream);
        if (status != LK_OK)
            return status;
    }
    *item = *lk_result_item(stream->page, stream->next++);
    if (stream->limited)
        stream->left--;
    return LK_OK;
}

void
lk_stream_close(lk_stream *stream)
{
    if (stream == NULL)
        return;
    lk_result_free(stream->page);
    lki_free(NULL, stream, sizeof *stream + stream->keys_size);
}
