/* SPDX-License-Identifier: MIT
 *
 * Writes that are one statement: set, delete, writes of one item under a condition, touch, add.
 * Called through the table of operations.
 *
 * What is written may be a job, and may expire at once: so queues hear of each write.
 */
#include <stdlib.h>
#include <string.h>

#include "postgres/many.h"
#include "postgres/operations.h"
#include "postgres/queue.h"
#include "postgres/sweep.h"

static void
add_expiry(lki_pg_parameters *p, int64_t expires_at_ms)
{
    if (expires_at_ms == 0)
        lki_pg_add_null(p);
    else
        lki_pg_add_number(p, expires_at_ms);
}

static void
add_item(lki_pg_parameters *p, const lki_pg *store, const lk_item *item)
{
    lki_pg_add_number(p, lki_pg_now_ms(store));
    lki_pg_add_bytes(p, item->key.pk);
    lki_pg_add_bytes(p, item->key.sk);
    lki_pg_add_bytes(p, item->data);
    add_expiry(p, item->expires_at_ms);
}

/* Asks a statement that writes. `rows`: how many its answer has. */
static lk_status
write_ask(lki_pg *store, lki_pg_statement statement, const lki_pg_parameters *p, int *rows)
{
    PGresult *answer;
    lk_status status = lki_pg_call(store, statement, false, p, &answer);
    if (status != LK_OK)
        return status;
    *rows = PQntuples(answer);
    PQclear(answer);
    lki_pg_tidy(store);
    return LK_OK;
}

/* ---- set, delete ---- */

static int
item_order(const void *left, const void *right)
{
    const lk_item *a = *(const lk_item *const *)left, *b = *(const lk_item *const *)right;
    int order = lki_pg_key_order(&a->key, &b->key);
    return order != 0 ? order : (a > b) - (a < b); /* the last of a key is behind the others */
}

/* The items in the order of their keys, the last one of each key only. NULL: no memory. */
static const lk_item **
items_sort(const lk_item *items, size_t *count)
{
    const lk_item **sorted = malloc(*count * sizeof *sorted);
    size_t kept = 0;
    if (sorted == NULL)
        return NULL;
    for (size_t i = 0; i < *count; i++)
        sorted[i] = &items[i];
    qsort(sorted, *count, sizeof *sorted, item_order);
    for (size_t i = 0; i < *count; i++) {
        if (kept != 0 && lki_pg_key_order(&sorted[kept - 1]->key, &sorted[i]->key) == 0)
            kept--;
        sorted[kept++] = sorted[i];
    }
    *count = kept;
    return sorted;
}

static lk_status
set_many(lki_pg *store, const lk_item *unsorted, size_t count)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array pks, sks, datas, times;
    int rows;
    lk_status status = LK_NO_MEMORY;
    const lk_item **items = items_sort(unsorted, &count);
    if (items == NULL)
        return LK_NO_MEMORY;
    bool whole = lki_pg_keys_begin(&pks, &sks, count);
    lki_pg_array_begin(&datas, LKI_PG_OF_BYTES, count);
    lki_pg_array_begin(&times, LKI_PG_OF_NUMBERS, count);
    for (size_t i = 0; whole && i < count; i++) {
        whole = lki_pg_keys_add(&pks, &sks, &items[i]->key);
        lki_pg_array_bytes(&datas, items[i]->data);
        lki_pg_array_number_if(&times, items[i]->expires_at_ms != 0, items[i]->expires_at_ms);
    }
    free(items);
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    if (whole && lki_pg_add_array(&p, &pks) && lki_pg_add_array(&p, &sks) &&
        lki_pg_add_array(&p, &datas) && lki_pg_add_array(&p, &times))
        status = write_ask(store, LKI_PG_PUT_MANY, &p, &rows);
    lki_pg_array_free(&pks);
    lki_pg_array_free(&sks);
    lki_pg_array_free(&datas);
    lki_pg_array_free(&times);
    return status;
}

static lk_status
set_one(lki_pg *store, const lk_item *item)
{
    lki_pg_parameters p = {.count = 0};
    int rows;
    add_item(&p, store, item);
    return write_ask(store, LKI_PG_PUT, &p, &rows);
}

/* Bytes of one statement at most; the one item that exceeds it is still part of it. */
enum { SET_BYTES = 64 << 20 };

static size_t
set_part(const lk_item *items, size_t count)
{
    size_t part = 0, bytes = 0;
    while (part < count && bytes < SET_BYTES) {
        bytes += items[part].key.pk.size + items[part].key.sk.size + items[part].data.size;
        part++;
    }
    return part;
}

/* Each part is a transaction. They come in the order of the items: so where one fails, those before
 * it are written, as lk_set says. */
lk_status
lki_pg_set(void *state, const lk_item *items, size_t count)
{
    lki_pg *store = state;
    lk_status status = LK_OK;
    for (size_t part; status == LK_OK && count != 0; items += part, count -= part) {
        part = set_part(items, count);
        status = part == 1 ? set_one(store, items) : set_many(store, items, part);
        if (status != LK_OK)
            break;
        lki_pg_count(&store->sets, part);
        for (size_t i = 0; i < part; i++)
            lki_pg_queue_tell(store, items[i].key.pk, LKI_PG_GONE, 0);
    }
    return status;
}

lk_status
lki_pg_remove(void *state, const lk_key *keys, size_t count)
{
    lki_pg *store = state;
    lki_pg_parameters p = {.count = 0};
    lki_pg_array pks, sks;
    int rows;
    lk_status status = LK_NO_MEMORY;
    if (count == 0)
        return LK_OK;
    bool whole = lki_pg_keys_begin(&pks, &sks, count);
    for (size_t i = 0; whole && i < count; i++)
        whole = lki_pg_keys_add(&pks, &sks, &keys[i]);
    if (whole && lki_pg_add_array(&p, &pks) && lki_pg_add_array(&p, &sks))
        status = write_ask(store, LKI_PG_REMOVE, &p, &rows);
    lki_pg_array_free(&pks);
    lki_pg_array_free(&sks);
    if (status == LK_OK)
        lki_pg_count(&store->deletes, count);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        lki_pg_queue_tell(store, keys[i].pk, LKI_PG_GONE, 0);
    return status;
}

/* ---- conditions ---- */

lk_status
lki_pg_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    static const struct {
        lki_pg_statement statement;
        lk_status refused;
    } ways[] = {[LK_IF_ABSENT] = {LKI_PG_PUT_IF_ABSENT, LK_EXISTS},
                [LK_IF_PRESENT] = {LKI_PG_PUT_IF_PRESENT, LK_NOT_FOUND},
                [LK_IF_EQUAL] = {LKI_PG_PUT_IF_EQUAL, LK_RACE}};
    lki_pg *store = state;
    lki_pg_parameters p = {.count = 0};
    int rows;
    if (condition == LK_ALWAYS)
        return lki_pg_set(state, item, 1);
    add_item(&p, store, item);
    if (condition == LK_IF_EQUAL)
        lki_pg_add_bytes(&p, expected);
    lk_status status = write_ask(store, ways[condition].statement, &p, &rows);
    if (status != LK_OK || rows == 0)
        return status != LK_OK ? status : ways[condition].refused;
    lki_pg_count(&store->sets, 1);
    lki_pg_queue_tell(store, item->key.pk, LKI_PG_GONE, 0);
    return LK_OK;
}

lk_status
lki_pg_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    lki_pg *store = state;
    lki_pg_parameters p = {.count = 0};
    int rows;
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, key->pk);
    lki_pg_add_bytes(&p, key->sk);
    add_expiry(&p, expires_at_ms);
    lk_status status = write_ask(store, LKI_PG_TOUCH, &p, &rows);
    lki_pg_queue_tell(store, key->pk, LKI_PG_GONE, 0);
    return status == LK_OK && rows == 0 ? LK_NOT_FOUND : status;
}

lk_status
lki_pg_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    lki_pg *store = state;
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_bytes(&p, key->pk);
    lki_pg_add_bytes(&p, key->sk);
    lki_pg_add_number(&p, delta);
    add_expiry(&p, expires_at_ms);
    lk_status status = lki_pg_call(store, LKI_PG_ADD, false, &p, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) == 0)
        status = LK_INVALID;
    else if (!lki_pg_item_number(lki_pg_read_bytes(answer, 0, 0), value))
        status = LK_UNAVAILABLE;
    PQclear(answer);
    if (status == LK_OK)
        lki_pg_count(&store->sets, 1);
    lki_pg_tidy(store);
    return status;
}
