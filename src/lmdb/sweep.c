/* SPDX-License-Identifier: MIT
 *
 * Expiry: the keys by time, what takes expired items and lapsed locks out. Called by each commit (a
 * few at a time, and only if something is due), by lk_sweep, and by a push that finds its queue
 * full. Also: queues that are not used any more are forgotten, by lk_sweep and as others are made.
 */
#include "lmdb/store.h"

enum { BATCH = 512, FORGET_AFTER_MS = 60000 };

lk_status
lki_lmdb_expiry_add(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time, unsigned char kind)
{
    lki_lmdb_key expiry;
    lki_lmdb_key_expiry(&expiry, key, time, kind);
    if (time < t->first_expiry_ms)
        t->first_expiry_ms = time;
    return lki_lmdb_put(t, t->store->expiry, &expiry, NULL, 0);
}

lk_status
lki_lmdb_expiry_drop(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time, unsigned char kind)
{
    lki_lmdb_key expiry;
    lki_lmdb_key_expiry(&expiry, key, time, kind);
    return lki_lmdb_del(t, t->store->expiry, &expiry);
}

/* The first key of expiry, as it lies. LK_NOT_FOUND: there is none. */
static lk_status
expiry_first(lki_lmdb_txn *t, lki_lmdb_key *expiry)
{
    MDB_val key;
    expiry->bytes[0] = 0;
    expiry->size = 1;
    lk_status status = lki_lmdb_seek(t->txn, t->store->expiry, expiry, &key);
    if (status != LK_OK)
        return status;
    if (key.mv_size <= LKI_LMDB_TIME + 1 || key.mv_size > LKI_LMDB_KEY_MAX)
        return LK_UNAVAILABLE; /* damaged */
    memcpy(expiry->bytes, key.mv_data, key.mv_size);
    expiry->size = key.mv_size;
    return LK_OK;
}

static lk_status
item_expire(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time)
{
    lki_lmdb_item item;
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, &item);
    if (status != LK_OK)
        return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status; /* I-lmdb2 */
    if (item.expires_at_ms != time)
        return LK_UNAVAILABLE; /* likewise */
    t->expired++;
    return lki_lmdb_found_remove(t, key, &item, NULL);
}

/* A lock that has lapsed goes; of one that was moved the key is put in anew (I-lmdb3). */
static lk_status
lock_expire(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time)
{
    lki_lmdb_lock lock;
    lk_status status = lki_lmdb_row(t->txn, t->store->locks, key, &lock, sizeof lock);
    if (status != LK_OK)
        return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status; /* I-lmdb3 */
    if (lock.indexed_ms != time || lock.expires_at_ms < time)
        return LK_UNAVAILABLE; /* likewise */
    if (t->now_ms > lock.expires_at_ms) {
        t->locks_lapsed++;
        return lki_lmdb_lock_remove(t, key, NULL);
    }
    status = lki_lmdb_expiry_drop(t, key, lock.indexed_ms, LKI_LMDB_OF_LOCK);
    lock.indexed_ms = lock.expires_at_ms;
    if (status == LK_OK)
        status = lki_lmdb_expiry_add(t, key, lock.indexed_ms, LKI_LMDB_OF_LOCK);
    return status == LK_OK ? lki_lmdb_put(t, t->store->locks, key, &lock, sizeof lock) : status;
}

lk_status
lki_lmdb_expire(lki_lmdb_txn *t, size_t most, bool *more)
{
    *more = false;
    while (t->now_ms > t->first_expiry_ms) {
        lki_lmdb_key expiry, key;
        lk_status status = expiry_first(t, &expiry);
        if (status == LK_NOT_FOUND) {
            t->first_expiry_ms = INT64_MAX;
            return LK_OK;
        }
        if (status != LK_OK)
            return status;
        t->first_expiry_ms = lki_lmdb_time_read(expiry.bytes);
        if (t->now_ms <= t->first_expiry_ms)
            return LK_OK;
        if (most-- == 0) {
            *more = true;
            return LK_OK;
        }
        unsigned char kind = expiry.bytes[LKI_LMDB_TIME];
        uint64_t out = t->expired + t->locks_lapsed;
        if (!lki_lmdb_key_read(&key, expiry.bytes + LKI_LMDB_TIME + 1,
                               expiry.size - LKI_LMDB_TIME - 1))
            return LK_UNAVAILABLE; /* damaged */
        status = kind == LKI_LMDB_OF_ITEM ? item_expire(t, &key, t->first_expiry_ms)
                                          : lock_expire(t, &key, t->first_expiry_ms);
        if (status != LK_OK)
            return status;
        int64_t lag_ms = lki_lmdb_span(t->first_expiry_ms, t->now_ms);
        if (t->expired + t->locks_lapsed != out && lag_ms > t->lag_ms)
            t->lag_ms = lag_ms;
    }
    return LK_OK;
}

/* ---- queues that are not used any more ---- */

/* An empty queue that is not closed, and was not used for a minute. Its last ULID is remembered: if
 * it comes again it goes on from there. */
static lk_status
queue_forget(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_queue *queue)
{
    if (queue->depth != 0 || queue->closed != 0 ||
        lki_lmdb_span(queue->used, t->time) < FORGET_AFTER_MS)
        return LK_OK;
    if (memcmp(queue->ulid, t->meta.ulid, LK_ULID_SIZE) > 0)
        memcpy(t->meta.ulid, queue->ulid, LK_ULID_SIZE);
    lki_lmdb_tally_drop(t->store, (lk_bytes){key->bytes, key->size});
    return lki_lmdb_del(t, t->store->queues, key);
}

/* Looks at so many queues from `from` on. *more: there are others, behind `from`. */
static lk_status
queues_visit(lki_lmdb_txn *t, lki_lmdb_key *from, int count, bool *more)
{
    for (int i = 0; i < count; i++) {
        lki_lmdb_queue queue;
        MDB_val key;
        lk_status status = lki_lmdb_seek(t->txn, t->store->queues, from, &key);
        *more = status == LK_OK;
        if (status != LK_OK)
            return status == LK_NOT_FOUND ? LK_OK : status;
        if (key.mv_size > LKI_LMDB_NAMES_MAX)
            return LK_UNAVAILABLE; /* damaged */
        memcpy(from->bytes, key.mv_data, key.mv_size);
        from->size = key.mv_size;
        status = lki_lmdb_row(t->txn, t->store->queues, from, &queue, sizeof queue);
        if (status == LK_OK)
            status = queue_forget(t, from, &queue);
        if (status != LK_OK)
            return status;
        from->bytes[from->size++] = 0; /* the least key behind it */
    }
    return LK_OK;
}

/* Each queue that is made pays for two looks, so queues that are used once do not pile up, and
 * nobody has to sweep. */
lk_status
lki_lmdb_queues_tend(lki_lmdb_txn *t)
{
    lki_lmdb_key *from = &t->store->tended;
    bool more;
    if (from->size == 0)
        from->bytes[from->size++] = 0;
    lk_status status = queues_visit(t, from, 2, &more);
    if (status == LK_OK && !more)
        from->size = 0; /* from the first one again */
    return status;
}

static lk_status
queues_forget(lki_lmdb *store)
{
    lki_lmdb_key from = {.size = 1};
    lk_status status = LK_OK;
    for (bool more = true; status == LK_OK && more;) {
        lki_lmdb_txn t;
        status = lki_lmdb_begin(store, &t);
        if (status != LK_OK)
            return status;
        status = queues_visit(&t, &from, BATCH, &more);
        status = lki_lmdb_end(&t, status);
    }
    return status;
}

/* ---- lk_sweep ---- */

bool
lki_lmdb_batch_shrink(const lki_lmdb_txn *t, size_t *batch)
{
    if (!t->is_full || *batch == 1)
        return false;
    *batch = *batch > 8 ? *batch / 8 : 1;
    return true;
}

lk_status
lki_lmdb_sweep(void *state, size_t max_items, size_t *swept)
{
    lki_lmdb *store = state;
    size_t count = 0;
    lk_status status = LK_OK;
    int64_t lag_ms = 0;
    size_t batch = BATCH;
    for (bool more = true; status == LK_OK && more && (max_items == 0 || count < max_items);) {
        lki_lmdb_txn t;
        size_t most = max_items != 0 && max_items - count < batch ? max_items - count : batch;
        status = lki_lmdb_begin(store, &t);
        if (status != LK_OK)
            break;
        t.tends = false;
        status = lki_lmdb_expire(&t, most, &more);
        lag_ms = t.lag_ms > lag_ms ? t.lag_ms : lag_ms;
        store->sweep_lag_ms = lag_ms;
        status = lki_lmdb_end(&t, status);
        count += status == LK_OK ? (size_t)(t.expired + t.locks_lapsed) : 0;
        if (status == LK_NO_MEMORY && lki_lmdb_batch_shrink(&t, &batch)) {
            status = LK_OK;
            more = true;
        }
    }
    if (status == LK_OK && (max_items == 0 || count < max_items))
        status = queues_forget(store);
    if (status == LK_OK)
        *swept = count;
    return status;
}
