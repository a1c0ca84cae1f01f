/* SPDX-License-Identifier: MIT
 *
 * Reads of items. Called through the table of operations.
 */
#include "lmdb/operations.h"
#include "lmdb/reader.h"

/* The realtime clock, read once and only if something expires. */
typedef struct lazy_now {
    const lki_lmdb *store;
    int64_t now_ms;
    bool is_read;
} lazy_now;

static bool
item_is_live(const lki_lmdb_item *item, lazy_now *now)
{
    if (item->expires_at_ms == 0)
        return true;
    if (!now->is_read)
        now->now_ms = lki_lmdb_now(now->store);
    now->is_read = true;
    return !lk_has_expired(item->expires_at_ms, now->now_ms);
}

/* LK_OK: a live item. LK_NOT_FOUND. */
static lk_status
item_look(const lki_lmdb *store, MDB_txn *txn, const lk_key *key, lazy_now *now,
          lki_lmdb_item *item)
{
    lki_lmdb_key framed;
    lki_lmdb_key_make(&framed, *key);
    lk_status status = lki_lmdb_item_find(store, txn, &framed, item);
    return status == LK_OK && !item_is_live(item, now) ? LK_NOT_FOUND : status;
}

/* A read of one key begins; one_end ends it, whatever the status is. LK_OK: `item` lies in the file
 * until then. *reader: NULL where not even the reader was to be had. */
static lk_status
one_begin(lki_lmdb *store, const lk_key *key, lki_lmdb_reader **reader, lki_lmdb_item *item)
{
    *reader = NULL;
    lk_status status = lki_lmdb_read_begin(store, reader);
    if (status != LK_OK)
        return status;
    lazy_now now = {store, 0, false};
    return item_look(store, (*reader)->txn, key, &now, item);
}

static void
one_end(lki_lmdb_reader *reader, bool hit)
{
    if (reader == NULL)
        return;
    lki_lmdb_count(&reader->gets, 1);
    lki_lmdb_count(&reader->hits, hit);
    lki_lmdb_read_end(reader);
}

lk_status
lki_lmdb_get(void *state, const lk_key *key, lk_result *result)
{
    lki_lmdb_reader *reader;
    lki_lmdb_item item;
    lk_status status = one_begin(state, key, &reader, &item);
    if (status == LK_OK) {
        lk_result_draft(result);
        status = lki_lmdb_found_add(result, key, &item);
    }
    one_end(reader, status == LK_OK);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

lk_status
lki_lmdb_get_into(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    lki_lmdb_reader *reader;
    lki_lmdb_item item;
    lk_status status = one_begin(state, key, &reader, &item);
    if (status == LK_OK) {
        *size = item.data.size;
        if (item.data.size > capacity)
            status = LK_TOO_SMALL;
        else if (item.data.size != 0)
            memcpy(buffer, item.data.data, item.data.size);
    }
    one_end(reader, status == LK_OK || status == LK_TOO_SMALL);
    return status;
}

lk_status
lki_lmdb_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    lki_lmdb *store = state;
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    lazy_now now = {store, 0, false};
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lki_lmdb_item item;
        status = item_look(store, reader->txn, &keys[i], &now, &item);
        if (status == LK_OK || status == LK_NOT_FOUND)
            status = lki_lmdb_found_add(result, &keys[i], status == LK_OK ? &item : NULL);
    }
    lki_lmdb_count(&reader->multi_gets, count);
    lki_lmdb_read_end(reader);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}
