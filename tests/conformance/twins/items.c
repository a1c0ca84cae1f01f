/* SPDX-License-Identifier: MIT
 *
 * Twins that are broken in what they do with items and ordered reads.
 */
#include <pthread.h>
#include <sched.h>

#include "twins.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- outputs ---- */

static void
result_empty(lk_result *result)
{
    lk_result_draft(result);
    lk_result_publish(result);
}

static lk_status
get_that_clears(void *state, lk_key key, lk_result *result)
{
    lk_status status = lk_get(inner_of(state), key, result);
    if (status != LK_OK)
        result_empty(result);
    return status;
}

static lk_status
get_into_that_cuts(void *state, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    lk_result *result = lk_result_new();
    lk_status status = lk_get(inner_of(state), key, result);
    if (status == LK_OK) {
        lk_bytes data = lk_result_item(result, 0)->data;
        size_t part = data.size < capacity ? data.size : capacity;
        if (part != 0)
            memcpy(buffer, data.data, part);
        *size = data.size;
        status = data.size <= capacity ? LK_OK : LK_TOO_SMALL;
    }
    lk_result_free(result);
    return status;
}

/* ---- keys ---- */

/* The answer of a get under another key, told under the one that was asked for. */
static lk_status
get_as(void *state, lk_key key, lk_key other, lk_result *result)
{
    lk_result *found = lk_result_new();
    lk_status status = lk_get(inner_of(state), other, found);
    if (status == LK_OK) {
        lk_item item = *lk_result_item(found, 0);
        item.key = key;
        lk_result_draft(result);
        status = lk_result_add(result, &item);
        if (status == LK_OK)
            lk_result_publish(result);
    }
    lk_result_free(found);
    return status;
}

/* "pk:sk" in one string, as some do. */
static lk_key
key_joined(lk_key key, char *text)
{
    memcpy(text, key.pk.data, key.pk.size);
    text[key.pk.size] = ':';
    if (key.sk.size != 0)
        memcpy(text + key.pk.size + 1, key.sk.data, key.sk.size);
    return (lk_key){{"all", 3}, {text, key.pk.size + 1 + key.sk.size}};
}

static lk_status
get_joined(void *state, lk_key key, lk_result *result)
{
    char text[1000];
    return get_as(state, key, key_joined(key, text), result);
}

static lk_status
set_joined(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        char text[1000];
        lk_item item = items[i];
        item.key = key_joined(item.key, text);
        status = lk_set(inner_of(state), &item, 1);
    }
    return status;
}

/* Keys end at their first zero byte. */
static lk_key
key_cut(lk_key key)
{
    const void *zero = key.sk.size != 0 ? memchr(key.sk.data, 0, key.sk.size) : NULL;
    if (zero != NULL)
        key.sk.size = (size_t)((const char *)zero - (const char *)key.sk.data);
    return key;
}

static lk_status
get_cut(void *state, lk_key key, lk_result *result)
{
    return get_as(state, key, key_cut(key), result);
}

static lk_status
set_cut(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_item item = items[i];
        item.key = key_cut(item.key);
        status = lk_set(inner_of(state), &item, 1);
    }
    return status;
}

/* ---- set, delete ---- */

static lk_status
set_backwards(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = count; status == LK_OK && i > 0; i--)
        status = lk_set(inner_of(state), &items[i - 1], 1);
    return status;
}

static lk_status
set_for_ever(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_item item = items[i];
        item.expires_at_ms = 0;
        status = lk_set(inner_of(state), &item, 1);
    }
    return status;
}

static lk_status
set_cut_at_64k(void *state, const lk_item *items, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_item item = items[i];
        item.data.size &= 0xffff;
        status = lk_set(inner_of(state), &item, 1);
    }
    return status;
}

static lk_status
remove_that_misses(void *state, const lk_key *keys, size_t count)
{
    lk_result *result = lk_result_new();
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = lk_get(inner_of(state), keys[i], result);
        if (status == LK_OK)
            status = lk_delete(inner_of(state), &keys[i], 1);
    }
    lk_result_free(result);
    return status;
}

/* The item goes, the lock stays. */
static lk_status
remove_without_lock(void *state, const lk_key *keys, size_t count)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_item item = {.key = keys[i], .data = lk_string("deleted")};
        status = lk_set(inner_of(state), &item, 1);
    }
    return status;
}

static lk_status
get_but_deleted(void *state, lk_key key, lk_result *result)
{
    lk_status status = lk_get(inner_of(state), key, result);
    if (status == LK_OK &&
        lk_bytes_compare(lk_result_item(result, 0)->data, lk_string("deleted")) == 0)
        return LK_NOT_FOUND;
    return status;
}

/* A cache that is never told of writes. */
static lk_status
get_stale(void *state, lk_key key, lk_result *result)
{
    pass *p = state;
    static pthread_mutex_t latch = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&latch);
    const lk_item *seen = lk_result_item(p->seen, 0);
    lk_status status = LK_OK;
    bool again = seen != NULL && lk_bytes_compare(seen->key.sk, key.sk) == 0 &&
                 lk_bytes_compare(seen->key.pk, key.pk) == 0;
    if (!again || atomic_fetch_add(&p->calls, 1) % 3 == 0)
        status = lk_get(inner_of(state), key, p->seen);
    if (status == LK_OK) {
        lk_result_draft(result);
        status = lk_result_add(result, lk_result_item(p->seen, 0));
        if (status == LK_OK)
            lk_result_publish(result);
    }
    pthread_mutex_unlock(&latch);
    return status;
}

/* ---- several at once ---- */

static lk_status
many_read(void *state, const lk_key *keys, size_t count, lk_result *result, bool holes)
{
    lk_result *one = lk_result_new();
    lk_status status = LK_OK;
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = lk_get(inner_of(state), keys[i], one);
        sched_yield();
        if (status == LK_OK)
            status = lk_result_add(result, lk_result_item(one, 0));
        else if (status == LK_NOT_FOUND)
            status = holes ? lk_result_add(result, NULL) : LK_OK;
    }
    if (status == LK_OK)
        lk_result_publish(result);
    lk_result_free(one);
    return status;
}

static lk_status
get_many_one_by_one(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    return many_read(state, keys, count, result, true);
}

static lk_status
get_many_without_holes(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    return many_read(state, keys, count, result, false);
}

/* ---- queries ---- */

/* The same page, of another query. */
static lk_status
page_of(void *state, const lk_page *page, lk_query query, lk_result *result)
{
    lk_page other = *page;
    other.query = &query;
    return lk_query_page(inner_of(state), &other, result);
}

static lk_status
query_from_the_start(void *state, const lk_page *page, lk_result *result)
{
    lk_page other = *page;
    other.has_after = false;
    return lk_query_page(inner_of(state), &other, result);
}

static lk_status
query_forwards(void *state, const lk_page *page, lk_result *result)
{
    lk_query query = *page->query;
    query.reverse = false;
    return page_of(state, page, query, result);
}

static lk_status
query_of_all(void *state, const lk_page *page, lk_result *result)
{
    lk_query query = *page->query;
    query.sk_prefix = (lk_bytes){NULL, 0};
    return page_of(state, page, query, result);
}

static lk_status
query_without_limit(void *state, const lk_page *page, lk_result *result)
{
    lk_query query = *page->query;
    query.limit = 0;
    return page_of(state, page, query, result);
}

/* Stops at `limit` keys, live or not. */
static lk_status
query_that_counts_the_dead(void *state, const lk_page *page, lk_result *result)
{
    lk_page other = *page;
    if (page->query->limit != 0)
        other.max_visits = page->query->limit;
    return lk_query_page(inner_of(state), &other, result);
}

/* Begins at the cursor, not behind it. */
static lk_status
query_with_the_cursor(void *state, const lk_page *page, lk_result *result)
{
    lk_result *found = lk_result_new(), *first = lk_result_new();
    lk_key key = {page->query->pk, page->query->after};
    lk_bytes sk;
    lk_status status = lk_query_page(inner_of(state), page, found);
    if (status == LK_OK) {
        lk_result_draft(result);
        if (page->has_after && lk_get(inner_of(state), key, first) == LK_OK)
            status = lk_result_add(result, lk_result_item(first, 0));
        for (size_t i = 0; status == LK_OK && i < lk_result_count(found); i++)
            status = lk_result_add(result, lk_result_item(found, i));
        if (status == LK_OK && lk_result_has_more(found, &sk))
            status = lk_result_more(result, sk);
        if (status == LK_OK)
            lk_result_publish(result);
    }
    lk_result_free(found);
    lk_result_free(first);
    return status;
}

/* One item at a time, each time another instant. */
static lk_status
query_in_pieces(void *state, const lk_page *page, lk_result *result)
{
    lk_result *piece = lk_result_new();
    lk_query query = *page->query;
    lk_page part = {&query, page->has_after, SIZE_MAX, SIZE_MAX};
    char after[1024];
    size_t left = query.limit != 0 ? query.limit : SIZE_MAX, count = 1;
    lk_status status = LK_OK;
    lk_result_draft(result);
    while (status == LK_OK && left != 0 && count == 1) {
        query.limit = 1;
        status = lk_query_page(inner_of(state), &part, piece);
        count = status == LK_OK ? lk_result_count(piece) : 0;
        if (count == 1) {
            lk_bytes sk = lk_result_item(piece, 0)->key.sk;
            status = lk_result_add(result, lk_result_item(piece, 0));
            memcpy(after, sk.data, sk.size);
            query.after = (lk_bytes){after, sk.size};
            part.has_after = true;
            left--;
        }
        sched_yield();
    }
    if (status == LK_OK)
        lk_result_publish(result);
    lk_result_free(piece);
    return status;
}

/* Pages end where the hints say, and do not tell. */
static lk_status
query_that_hides_more(void *state, const lk_page *page, lk_result *result)
{
    lk_result *found = lk_result_new();
    lk_status status = lk_query_page(inner_of(state), page, found);
    if (status == LK_OK) {
        lk_result_draft(result);
        for (size_t i = 0; status == LK_OK && i < lk_result_count(found); i++)
            status = lk_result_add(result, lk_result_item(found, i));
        if (status == LK_OK)
            lk_result_publish(result);
    }
    lk_result_free(found);
    return status;
}

/* ---- views ---- */

/* One buffer for all views. */
static lk_status
view_of_a_buffer(void *state, lk_key key, lk_item *item)
{
    static char buffer[4096];
    lk_status status = lk_view(inner_of(state), key, item);
    if (status == LK_OK && item->data.size <= sizeof buffer) {
        memcpy(buffer, item->data.data, item->data.size);
        item->data.data = buffer;
    }
    return status;
}

const twin twins_of_items[] = {
    {"items expire late", .late_ms = 1, .cases = {"test_item_is_there_until*"}},
    {"items expire early", .late_ms = -1, .cases = {"test_item_is_there_until*"}},
    {"a reopening finds nothing", .forgets = true,
     .cases = {"test_items_are_there_after*", "test_jobs_and_claims_are_there*",
               "test_closed_queue_stays*", "test_versions_never_go_back*"}},
    {"get clears the result", {.get = get_that_clears}, .cases = {"test_get_of_a_missing*"}},
    {"get_into fills a small buffer",
     {.get_into = get_into_that_cuts},
     .cases = {"test_get_into_of_each*"}},
    {"keys are joined with a colon",
     {.get = get_joined, .set = set_joined},
     .cases = {"test_keys_that_differ*"}},
    {"keys end at a zero byte",
     {.get = get_cut, .set = set_cut},
     .cases = {"test_keys_that_differ*"}},
    {"set goes backwards", {.set = set_backwards}, .cases = {"test_set_of_one_key_twice*"}},
    {"set forgets the expiry",
     {.set = set_for_ever},
     .cases = {"test_item_is_there_until*", "test_set_of_each_size*", "test_set_of_an_expired*"}},
    {"data is cut at 64 KiB",
     {.set = set_cut_at_64k},
     .cases = {"test_set_of_each_size*", "test_sizes_at_their_limits*"}},
    {"delete of a missing item fails",
     {.remove = remove_that_misses},
     .cases = {"test_delete_of_missing*"}},
    {"delete leaves the lock",
     {.remove = remove_without_lock, .get = get_but_deleted},
     .cases = {"test_delete_makes_a_lock_stale*", "test_versions_only_grow*"}},
    {"get is stale",
     {.get = get_stale},
     .cases = {"test_single_keys_are*", "test_item_deleted_and*"}},
    {"get_many reads one by one",
     {.get_many = get_many_one_by_one},
     .cases = {"test_get_many_never_shows_half*", "test_get_many_shows_one_instant*",
               "test_reads_of_several*"}},
    {"get_many leaves no holes",
     {.get_many = get_many_without_holes},
     .cases = {"test_get_many_with_holes*", "test_get_many_that_finds_nothing*"}},
    {"query ignores the cursor",
     {.query = query_from_the_start},
     .cases = {"test_query_of_each*", "test_query_pages_by*", "test_stream_of_thousands*"}},
    {"query ignores the direction",
     {.query = query_forwards},
     .cases = {"test_query_of_each*", "test_stream_of_each*"}},
    {"query ignores the prefix", {.query = query_of_all}, .cases = {"test_query_of_each*"}},
    {"query ignores the limit", {.query = query_without_limit}, .cases = {"test_query_of_each*"}},
    {"query counts the dead",
     {.query = query_that_counts_the_dead},
     .cases = {"test_query_limit_counts*"}},
    {"query repeats the cursor's item",
     {.query = query_with_the_cursor},
     .cases = {"test_query_of_each*", "test_stream_of_thousands*", "test_ordered_reads_return*"}},
    {"query is no snapshot",
     {.query = query_in_pieces},
     .cases = {"test_query_never_shows_half*", "test_query_shows_what_a_commit*"}},
    {"pages hide that there is more",
     {.query = query_that_hides_more},
     .cases = {"test_pages_of_any_size*", "test_stream_goes_on_over*"}},
    {"views share a buffer", {.view = view_of_a_buffer}, .cases = {"test_view_inside_a_pair*"}},
};
const size_t twins_of_items_count = COUNT(twins_of_items);
