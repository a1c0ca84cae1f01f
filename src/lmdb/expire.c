/* SPDX-License-Identifier: MIT
 *
 * See expire.h.
 */
#include "lmdb/expire.h"

#include "lmdb/expiry.h"
#include "lmdb/item.h"
#include "lmdb/lock.h"
#include "lmdb/reader.h"
#include "lmdb/tally.h"

enum { FORGET_AFTER_MS = 60000 };

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

/* Takes a lock out that has lapsed. If the lock's end was moved, its key is put in anew
 * (I-lmdb3). */
static lk_status
lock_expire(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time)
{
    lki_lmdb_lock lock;
    lk_status status = lki_lmdb_row(t->txn, t->store->in.locks, key, &lock, sizeof lock);
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
    return status == LK_OK ? lki_lmdb_put(t, t->store->in.locks, key, &lock, sizeof lock) : status;
}

lk_status
lki_lmdb_expire(lki_lmdb_txn *t, size_t most, bool *more)
{
    *more = false;
    while (t->now_ms > t->first_expiry_ms) {
        lki_lmdb_key expiry, key;
        int64_t first_ms;
        lk_status status = lki_lmdb_expiry_first(t->store, t->txn, &expiry, &first_ms);
        if (status != LK_OK && status != LK_NOT_FOUND)
            return status;
        LKI_LMDB_ASSERT(t->store->writer == t);
        t->first_expiry_ms = first_ms;
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

/* ---- queues that nobody uses any more ---- */

/* Takes a queue out that is empty, not closed, and was not used for a minute. Its last ULID is
 * remembered: if the queue comes again it goes on from there. */
static lk_status
queue_forget(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_queue *queue)
{
    if (queue->depth != 0 || queue->closed != 0 ||
        lki_lmdb_span(queue->used, t->time) < FORGET_AFTER_MS)
        return LK_OK;
    if (memcmp(queue->ulid, t->meta.ulid, LK_ULID_SIZE) > 0)
        memcpy(t->meta.ulid, queue->ulid, LK_ULID_SIZE);
    lki_lmdb_tally_drop(t->store, (lk_bytes){key->bytes, key->size});
    return lki_lmdb_del(t, t->store->in.queues, key);
}

lk_status
lki_lmdb_queues_visit(lki_lmdb_txn *t, lki_lmdb_key *from, int count, bool *more)
{
    for (int i = 0; i < count; i++) {
        lki_lmdb_queue queue;
        MDB_val key;
        lk_status status = lki_lmdb_seek(t->txn, t->store->in.queues, from, &key);
        *more = status == LK_OK;
        if (status != LK_OK)
            return status == LK_NOT_FOUND ? LK_OK : status;
        if (key.mv_size > LKI_LMDB_NAMES_MAX)
            return LK_UNAVAILABLE; /* damaged */
        memcpy(from->bytes, key.mv_data, key.mv_size);
        from->size = key.mv_size;
        status = lki_lmdb_row(t->txn, t->store->in.queues, from, &queue, sizeof queue);
        if (status == LK_OK)
            status = queue_forget(t, from, &queue);
        if (status != LK_OK)
            return status;
        from->bytes[from->size++] = 0; /* the least key behind it */
    }
    return LK_OK;
}

/* Each queue that is made pays for two looks. So queues that are used once do not pile up, and
 * nobody has to sweep. */
lk_status
lki_lmdb_queues_tend(lki_lmdb_txn *t)
{
    lki_lmdb_key *from = &t->store->tended;
    bool more;
    if (from->size == 0)
        from->bytes[from->size++] = 0;
    lk_status status = lki_lmdb_queues_visit(t, from, 2, &more);
    if (status == LK_OK && !more)
        from->size = 0; /* from the first one again */
    return status;
}
