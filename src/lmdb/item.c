/* SPDX-License-Identifier: MIT
 *
 * Items: reads of them, and what a write transaction does to them. Called through the table of
 * operations, by commit.c, and by the files of the queue.
 *
 * Invariants  I-lmdb1: an item has the flag of a job iff there is a row of its key in jobs.
 *             I-lmdb2: an item that expires has one key in expiry, with exactly its time.
 */
#include "lmdb/store.h"

/* ---- reads ---- */

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

static lk_status
result_add(lk_result *result, const lk_key *key, const lki_lmdb_item *found)
{
    lk_item item = {*key, found->data, found->expires_at_ms};
    return lk_result_add(result, &item);
}

lk_status
lki_lmdb_get(void *state, const lk_key *key, lk_result *result)
{
    lki_lmdb *store = state;
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    lazy_now now = {store, 0, false};
    lki_lmdb_item item;
    status = item_look(store, reader->txn, key, &now, &item);
    if (status == LK_OK) {
        lk_result_draft(result);
        status = result_add(result, key, &item);
    }
    lki_lmdb_count(&reader->gets, 1);
    lki_lmdb_count(&reader->hits, status == LK_OK);
    lki_lmdb_read_end(reader);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

lk_status
lki_lmdb_get_into(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    lki_lmdb *store = state;
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    lazy_now now = {store, 0, false};
    lki_lmdb_item item;
    status = item_look(store, reader->txn, key, &now, &item);
    if (status == LK_OK) {
        *size = item.data.size;
        if (item.data.size > capacity)
            status = LK_TOO_SMALL;
        else if (item.data.size != 0)
            memcpy(buffer, item.data.data, item.data.size);
    }
    lki_lmdb_count(&reader->gets, 1);
    lki_lmdb_count(&reader->hits, status == LK_OK || status == LK_TOO_SMALL);
    lki_lmdb_read_end(reader);
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
        if (status == LK_NOT_FOUND)
            status = lk_result_add(result, NULL);
        else if (status == LK_OK)
            status = result_add(result, &keys[i], &item);
    }
    lki_lmdb_count(&reader->multi_gets, count);
    lki_lmdb_read_end(reader);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}

/* ---- writes ---- */

lk_status
lki_lmdb_item_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old,
                    const lk_item *item, unsigned flags)
{
    lk_status status = LK_OK;
    int64_t from = old != NULL ? old->expires_at_ms : 0, to = item->expires_at_ms;
    if (from != to && from != 0)
        status = lki_lmdb_expiry_drop(t, key, from, LKI_LMDB_OF_ITEM);
    if (status == LK_OK && from != to && to != 0)
        status = lki_lmdb_expiry_add(t, key, to, LKI_LMDB_OF_ITEM);
    if (status != LK_OK)
        return status;
    MDB_val k = lki_lmdb_key_value(key), row = {LKI_LMDB_ITEM_HEADER + item->data.size, NULL};
    t->changed = true;
    int code = mdb_put(t->txn, t->store->items, &k, &row, MDB_RESERVE);
    if (code != 0)
        return lki_lmdb_write_status(code);
    unsigned char *bytes = row.mv_data;
    memcpy(bytes, &to, sizeof to);
    bytes[LKI_LMDB_ITEM_HEADER - 1] = (unsigned char)flags;
    if (item->data.size != 0)
        memcpy(bytes + LKI_LMDB_ITEM_HEADER, item->data.data, item->data.size);
    return LK_OK;
}

/* A job expires at another time now. Who waits for the end of a closed queue has to look again. */
static lk_status
job_expiry_note(lki_lmdb_txn *t, const lki_lmdb_key *key)
{
    lk_status status = lki_lmdb_queue_use(t, lki_lmdb_key_pk(key));
    if (status == LK_OK && t->queue.closed != 0)
        t->queues = t->several = t->is_over = true;
    return status;
}

lk_status
lki_lmdb_item_put(lki_lmdb_txn *t, const lki_lmdb_key *key, const lk_item *item)
{
    lki_lmdb_item old;
    if (!lki_lmdb_key_fits(key))
        return LK_TOO_BIG;
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, &old);
    if (status == LK_NOT_FOUND)
        return lki_lmdb_item_write(t, key, NULL, item, 0);
    if (status != LK_OK)
        return status;
    if (lk_has_expired(old.expires_at_ms, t->now_ms)) { /* with its job and its lock */
        status = lki_lmdb_found_remove(t, key, &old, NULL);
        return status == LK_OK ? lki_lmdb_item_write(t, key, NULL, item, 0) : status;
    }
    if ((old.flags & LKI_LMDB_ITEM_IS_JOB) != 0 && old.expires_at_ms != item->expires_at_ms)
        status = job_expiry_note(t, key);
    return status == LK_OK ? lki_lmdb_item_write(t, key, &old, item, old.flags) : status;
}

static lk_status
item_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *item)
{
    lk_status status = LK_OK;
    if ((item->flags & LKI_LMDB_ITEM_IS_JOB) != 0)
        status = lki_lmdb_job_drop(t, key);
    if (status == LK_OK && item->expires_at_ms != 0)
        status = lki_lmdb_expiry_drop(t, key, item->expires_at_ms, LKI_LMDB_OF_ITEM);
    return status == LK_OK ? lki_lmdb_del(t, t->store->items, key) : status;
}

lk_status
lki_lmdb_found_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *item,
                      uint64_t *version)
{
    lk_status status = item != NULL ? item_remove(t, key, item) : LK_OK;
    return status == LK_OK ? lki_lmdb_lock_remove(t, key, version) : status;
}

lk_status
lki_lmdb_key_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version)
{
    lki_lmdb_item item;
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, &item);
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    return lki_lmdb_found_remove(t, key, status == LK_OK ? &item : NULL, version);
}

/* ---- set, delete ---- */

lk_status
lki_lmdb_set(void *state, const lk_item *items, size_t count)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    if (count == 0)
        return LK_OK;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lki_lmdb_key key;
        lki_lmdb_key_make(&key, items[i].key);
        status = lki_lmdb_item_put(&t, &key, &items[i]);
    }
    lki_lmdb_count(&store->sets, status == LK_OK ? count : 0);
    return lki_lmdb_end(&t, status);
}

lk_status
lki_lmdb_remove(void *state, const lk_key *keys, size_t count)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    if (count == 0)
        return LK_OK;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lki_lmdb_key key;
        lki_lmdb_key_make(&key, keys[i]);
        status = lki_lmdb_key_remove(&t, &key, NULL);
    }
    lki_lmdb_count(&store->deletes, status == LK_OK ? count : 0);
    return lki_lmdb_end(&t, status);
}
