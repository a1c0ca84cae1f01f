/* SPDX-License-Identifier: MIT
 *
 * The verbs of scripts for items and time. A read is made in every way that the handle has, and all
 * of them have to agree. See scripts/README.md.
 */
#include "script.h"

/* The data of an item, and when it ends: `DATA, until +5m`. */
static void
data_check(script_run *run, span wanted, lk_key key, const lk_item *got)
{
    span data = lkc_span_cut(&wanted, ',');
    if (got == NULL)
        lkc_script_fail(run, "there is no item");
    word whole = *lkc_word(run, data, 0);
    whole.equals = SIZE_MAX;
    whole.at = SIZE_MAX;
    if (!lkc_equal(key.pk, got->key.pk) || !lkc_equal(key.sk, got->key.sk))
        lkc_script_fail(run, "an item of another key");
    lk_item data_alone = {.key = {.sk = whole.bytes}, .data = got->data};
    lkc_item_check(run, &whole, &data_alone);
    if (wanted.count == 0)
        return;
    if (!lkc_word_is(wanted.words, "until"))
        lkc_script_fail(run, "an item has data, and `until`");
    wanted.words++;
    wanted.count--;
    if (lkc_moment(run, wanted) != got->expires_at_ms)
        lkc_script_fail(run, "it expires %lld ms later",
                        (long long)(got->expires_at_ms - lkc_moment(run, wanted)));
}

/* ---- set, delete ---- */

static lk_status
write_alone(script_run *run, const lk_write *write)
{
    return lk_commit(run->r->db, write, 1, NULL, 0, NULL);
}

/* `set a 1=x 2=y, b 3=z, until +5` */
static void
set_run(script_run *run, span words, span wanted)
{
    lk_item *items = lkc_input_room(run, words.count * sizeof *items);
    size_t count = 0;
    int64_t until_ms = 0;
    while (words.count != 0) {
        span part = lkc_span_cut(&words, ',');
        if (lkc_word_is(lkc_word(run, part, 0), "until")) {
            until_ms = lkc_moment(run, (span){part.words + 1, part.count - 1});
            continue;
        }
        (void)lkc_word(run, part, 1);
        for (size_t i = 1; i < part.count; i++)
            items[count++] = lkc_input_item(run, part.words, &part.words[i]);
    }
    for (size_t i = 0; i < count; i++)
        items[i].expires_at_ms = until_ms;
    lkc_prime(run->r->result);
    if (run->by_commits && count == 1)
        lkc_answer_check(run, wanted,
                         write_alone(run, &(lk_write){.kind = LK_PUT, .item = items[0]}));
    else
        lkc_answer_check(run, wanted, lk_set(run->r->db, items, count));
}

/* `a 1 2, b 3`: keys. */
static size_t
keys_read(script_run *run, span words, lk_key *keys)
{
    size_t count = 0;
    while (words.count != 0) {
        span part = lkc_span_cut(&words, ',');
        (void)lkc_word(run, part, 1);
        for (size_t i = 1; i < part.count; i++)
            keys[count++] =
                (lk_key){lkc_input(run, part.words->bytes), lkc_input(run, part.words[i].bytes)};
    }
    return count;
}

static void
delete_run(script_run *run, span words, span wanted)
{
    lk_key *keys = lkc_input_room(run, words.count * sizeof *keys);
    size_t count = keys_read(run, words, keys);
    lkc_prime(run->r->result);
    if (run->by_commits && count == 1)
        lkc_answer_check(
            run, wanted,
            write_alone(run, &(lk_write){.kind = LK_DELETE, .item = {.key = keys[0]}}));
    else
        lkc_answer_check(run, wanted, lk_delete(run->r->db, keys, count));
}

/* ---- get ---- */

/* By lk_get_into, with as much room as it takes, and with less. */
static void
get_into_check(script_run *run, lk_status status, lk_key key, lk_bytes data)
{
    lk_db *db = run->r->db;
    size_t size = 77, room = status == LK_OK ? data.size : 16;
    unsigned char *buffer = malloc(room + 1);
    assert_non_null(buffer);
    lkc_fill(buffer, room + 1);
    if (lk_get_into(db, key, buffer, room, &size) != status ||
        size != (status == LK_OK ? data.size : 77) ||
        (status == LK_OK && data.size != 0 && memcmp(buffer, data.data, size) != 0) ||
        buffer[room] != 0xa5)
        lkc_script_fail(run, "lk_get_into says something else");
    lkc_fill(buffer, room + 1);
    if (status == LK_OK && size != 0 &&
        (lk_get_into(db, key, buffer, size - 1, &size) != LK_TOO_SMALL || size != data.size ||
         !lkc_is_filled(buffer, room + 1)))
        lkc_script_fail(run, "lk_get_into with too small a buffer says something else");
    free(buffer);
}

static void
view_check(script_run *run, lk_status status, lk_key key, span wanted)
{
    lk_item item;
    lkc_fill(&item, sizeof item);
    lk_read_begin(run->r->db);
    if (lk_view(run->r->db, key, &item) != status ||
        (status != LK_OK && !lkc_is_filled(&item, sizeof item)))
        lkc_script_fail(run, "lk_view says something else");
    if (status == LK_OK)
        data_check(run, wanted, key, &item);
    lk_read_end(run->r->db);
}

/* By lk_get_many, beside a key that is not there; by a query whose first item it has to be. */
static void
other_reads_check(script_run *run, lk_status status, lk_key key, span wanted)
{
    rig *r = run->r;
    lk_key keys[] = {key, {lk_string("no such partition"), {NULL, 0}}, key};
    lk_query query = {.pk = key.pk, .sk_prefix = key.sk, .limit = 1};
    if (lkc_can(r, LK_HAS_GET_MANY)) {
        if (lk_get_many(r->db, keys, 3, r->result) != LK_OK || lk_result_count(r->result) != 3 ||
            lk_result_item(r->result, 1) != NULL ||
            (lk_result_item(r->result, 0) != NULL) != (status == LK_OK))
            lkc_script_fail(run, "lk_get_many says something else");
        if (status == LK_OK)
            data_check(run, wanted, key, lk_result_item(r->result, 2));
    }
    if (lkc_can(r, LK_HAS_QUERY)) {
        if (lk_query_items(r->db, &query, r->result) != LK_OK)
            lkc_script_fail(run, "lk_query_items says something else");
        const lk_item *first = lk_result_item(r->result, 0);
        if ((first != NULL && lkc_equal(first->key.sk, key.sk)) != (status == LK_OK))
            lkc_script_fail(run, "lk_query_items says something else");
        if (status == LK_OK)
            data_check(run, wanted, key, first);
    }
}

/* `get PK SK -> DATA, until T` */
static void
get_run(script_run *run, span words, span wanted)
{
    rig *r = run->r;
    lk_key key = {lkc_input(run, lkc_word(run, words, 0)->bytes),
                  lkc_input(run, lkc_word(run, words, 1)->bytes)};
    lk_status status = lkc_wanted_status(&wanted);
    lkc_prime(r->result);
    lkc_status_check(run, status, lk_get(r->db, key, r->result));
    const lk_item *item = status == LK_OK ? lk_result_item(r->result, 0) : NULL;
    if (status == LK_OK) {
        data_check(run, wanted, key, item);
        if (lk_result_count(r->result) != 1 || lk_result_item(r->result, 1) != NULL ||
            lk_result_claim(r->result, 0) != NULL)
            lkc_script_fail(run, "lk_get gives more than an item");
    }
    get_into_check(run, status, key, item != NULL ? item->data : (lk_bytes){NULL, 0});
    if (lkc_can(r, LK_HAS_VIEWS))
        view_check(run, status, key, wanted);
    if (status == LK_OK || status == LK_NOT_FOUND)
        other_reads_check(run, status, key, wanted);
}

/* `many a 1 2, b 3 -> DATA - DATA`; - is a hole. */
static void
many_run(script_run *run, span words, span wanted)
{
    rig *r = run->r;
    lk_key *keys = lkc_input_room(run, words.count * sizeof *keys);
    size_t count = keys_read(run, words, keys);
    lk_status status = lkc_wanted_status(&wanted);
    lkc_prime(r->result);
    lkc_status_check(run, status, lk_get_many(r->db, keys, count, r->result));
    if (status != LK_OK)
        return;
    if (lk_result_count(r->result) != count || wanted.count != count)
        lkc_script_fail(run, "%zu answers", lk_result_count(r->result));
    for (size_t i = 0; i < count; i++)
        if (!lkc_word_is(&wanted.words[i], "-"))
            data_check(run, (span){wanted.words + i, 1}, keys[i], lk_result_item(r->result, i));
        else if (lk_result_item(r->result, i) != NULL)
            lkc_script_fail(run, "answer %zu is an item", i + 1);
}

/* ---- query ---- */

static lk_query
query_read(script_run *run, span words)
{
    lk_query query = {.pk = lkc_input(run, lkc_word(run, lkc_span_cut(&words, ','), 0)->bytes)};
    lkc_options_read(run, words,
                     (const option[]){{"reverse", OPTION_FLAG, &query.reverse},
                                      {"prefix", OPTION_INPUT, &query.sk_prefix},
                                      {"after", OPTION_INPUT, &query.after},
                                      {"from", OPTION_INPUT, &query.from},
                                      {"until", OPTION_INPUT, &query.until},
                                      {"limit", OPTION_NUMBER, &query.limit},
                                      {NULL, OPTION_FLAG, NULL}});
    return query;
}

static void
stream_check(script_run *run, const lk_query *query, span wanted)
{
    lk_stream *stream = NULL;
    lk_item item;
    if (lk_stream_open(run->r->db, query, &stream) != LK_OK)
        lkc_script_fail(run, "lk_stream_open says something else");
    for (size_t i = 0; i < wanted.count; i++) {
        if (lk_stream_next(stream, &item) != LK_OK)
            lkc_script_fail(run, "the stream has ended after %zu", i);
        lkc_item_check(run, &wanted.words[i], &item);
    }
    if (lk_stream_next(stream, &item) != LK_END)
        lkc_script_fail(run, "the stream has more than %zu", wanted.count);
    lk_stream_close(stream);
}

static void
count_check(script_run *run, const lk_query *query, lk_status status, size_t wanted)
{
    size_t count = 77;
    if (lk_count(run->r->db, query, &count) != status || count != (status == LK_OK ? wanted : 77))
        lkc_script_fail(run, "lk_count says something else: %zu", count);
}

/* `query PK, prefix a, after b, from c, until d, limit 3, reverse -> ITEM...`: by a query and by a
 * stream, relaxed and not; and counted. */
static void
query_run(script_run *run, span words, span wanted)
{
    rig *r = run->r;
    lk_query query = query_read(run, words);
    lk_status status = lkc_wanted_status(&wanted);
    for (int relaxed = 0; relaxed < 2; relaxed++) {
        query.relaxed = relaxed != 0;
        lkc_prime(r->result);
        lkc_status_check(run, status, lk_query_items(r->db, &query, r->result));
        if (status != LK_OK)
            continue;
        if (lk_result_count(r->result) != wanted.count)
            lkc_script_fail(run, "%zu items, not %zu", lk_result_count(r->result), wanted.count);
        for (size_t i = 0; i < wanted.count; i++) {
            lkc_item_check(run, &wanted.words[i], lk_result_item(r->result, i));
            int order = i == 0 ? 0
                               : lk_bytes_compare(lk_result_item(r->result, i - 1)->key.sk,
                                                  lk_result_item(r->result, i)->key.sk);
            if (i != 0 && (query.reverse ? order <= 0 : order >= 0))
                lkc_script_fail(run, "item %zu is not in order", i + 1);
        }
        stream_check(run, &query, wanted);
    }
    count_check(run, &query, status, wanted.count);
}

/* ---- partitions ---- */

/* On pages of `limit`: each of `wanted` once, in any order; LK_END and an untouched result behind
 * them. */
static void
pages_check(script_run *run, size_t limit, span wanted)
{
    enum { MOST = 64 };
    lk_result *result = run->r->result;
    lk_position position = {{0}};
    bool seen[MOST] = {false};
    size_t count = 0;
    lk_status status;
    if (wanted.count > MOST)
        lkc_script_fail(run, "there are too many");
    while (lkc_prime(result),
           (status = lk_list_partitions(run->r->db, &position, limit, result)) == LK_OK) {
        size_t got = lk_result_count(result);
        if (got == 0 || (limit != 0 && got > limit))
            lkc_script_fail(run, "a page of %zu", got);
        for (size_t i = 0; i < got; i++, count++) {
            const lk_item *item = lk_result_item(result, i);
            size_t at = 0;
            while (at < wanted.count && !lkc_equal(wanted.words[at].bytes, item->key.pk))
                at++;
            if (at == wanted.count || seen[at] || item->key.sk.size != 0 || item->data.size != 0)
                lkc_script_fail(run, "%.*s is not asked for, or comes again",
                                (int)item->key.pk.size, (const char *)item->key.pk.data);
            seen[at] = true;
        }
    }
    lkc_status_check(run, LK_END, status);
    if (count != wanted.count)
        lkc_script_fail(run, "%zu partitions, not %zu", count, wanted.count);
}

/* `partitions -> PK...` */
static void
partitions_run(script_run *run, span words, span wanted)
{
    static const size_t limits[] = {0, 1, 2, 5, SIZE_MAX};
    (void)words;
    for (size_t i = 0; i < COUNT(limits); i++)
        pages_check(run, limits[i], wanted);
}

/* ---- time, upkeep ---- */

static void
after_run(script_run *run, span words, span wanted)
{
    (void)wanted;
    lkc_advance(run->r, lkc_duration(run, words));
}

/* The realtime clock alone, which may step back. */
static void
wall_run(script_run *run, span words, span wanted)
{
    (void)wanted;
    atomic_fetch_add(&run->r->now_ms, lkc_duration(run, words));
}

static void
monotonic_run(script_run *run, span words, span wanted)
{
    (void)wanted;
    atomic_fetch_add(&run->r->monotonic_ms, lkc_duration(run, words));
}

static void
reopen_run(script_run *run, span words, span wanted)
{
    (void)words;
    (void)wanted;
    lkc_reopen(run->r);
}

/* Where there is one: for others it is nothing. */
static void
sweep_run(script_run *run, span words, span wanted)
{
    (void)words;
    size_t swept = 0;
    if (!lkc_can(run->r, LK_HAS_SWEEP))
        return;
    lkc_status_check(run, LK_OK, lk_sweep(run->r->db, 0, &swept));
    if (wanted.count != 0 && lkc_word_number(run, wanted.words) != swept)
        lkc_script_fail(run, "%zu", swept);
}

const verb lkc_item_verbs[] = {
    {"set", set_run},       {"delete", delete_run}, {"get", get_run},
    {"many", many_run},     {"query", query_run},   {"partitions", partitions_run},
    {"after", after_run},   {"wall", wall_run},     {"monotonic", monotonic_run},
    {"reopen", reopen_run}, {"sweep", sweep_run},   {NULL, NULL}};
