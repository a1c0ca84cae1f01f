/* SPDX-License-Identifier: MIT
 *
 * See item.h.
 *
 * Invariants  I-lmdb1: an item has the flag of a job iff there is a row of its key in jobs.
 *             I-lmdb2: an item that expires has one key in expiry, with exactly its time.
 */
#include "lmdb/item.h"

#include "lmdb/expiry.h"
#include "lmdb/job.h"
#include "lmdb/lock.h"
#include "lmdb/reader.h"

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
    LKI_LMDB_ASSERT(t->store->writer == t && lki_lmdb_key_fits(key));
    t->changed = true;
    int code = mdb_put(t->txn, t->store->in.items, &k, &row, MDB_RESERVE);
    if (code != 0)
        return lki_lmdb_write_status(code);
    unsigned char *bytes = row.mv_data;
    memcpy(bytes, &to, sizeof to);
    bytes[LKI_LMDB_ITEM_HEADER - 1] = (unsigned char)flags;
    if (item->data.size != 0)
        memcpy(bytes + LKI_LMDB_ITEM_HEADER, item->data.data, item->data.size);
    return LK_OK;
}

/* A job expires at another time now: those that wait for the end of a closed queue have to look
 * again. */
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
    return status == LK_OK ? lki_lmdb_del(t, t->store->in.items, key) : status;
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
