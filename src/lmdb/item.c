/* SPDX-License-Identifier: MIT
 *
 * See item.h.
 *
 * Invariants  I-lmdb1: an item has the flag of a job iff there is a row of its key in jobs.
 *             I-lmdb2: an item that expires has one key in expiry, with exactly its time.
 */
#include "lmdb/item.h"

#include <stdlib.h>

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
lki_lmdb_live_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_item *item, bool *there)
{
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, item);
    *there = status == LK_OK && !lk_has_expired(item->expires_at_ms, t->now_ms);
    if (status == LK_OK && !*there)
        return lki_lmdb_found_remove(t, key, item, NULL);
    return status == LK_NOT_FOUND ? LK_OK : status;
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

lk_status
lki_lmdb_expired_remove(lki_lmdb_txn *t, const lki_lmdb_key *key)
{
    lki_lmdb_item item;
    lk_status status = lki_lmdb_expired_find(t, key, &item);
    if (status == LK_OK)
        return lki_lmdb_found_remove(t, key, &item, NULL);
    return status == LK_NOT_FOUND ? LK_OK : status;
}

/* ---- writes of callers ---- */

void *
lki_lmdb_data_copy(const lki_lmdb_item *item)
{
    void *data = malloc(item->data.size + 1);
    if (data != NULL)
        memcpy(data, item->data.data, item->data.size);
    return data;
}

/* Of an item that expires at another time now: a job, whose queue is closed. Those that wait for
 * its end have to look again. */
static lk_status
job_expiry_note(lki_lmdb_txn *t, const lki_lmdb_key *key)
{
    lk_status status = lki_lmdb_queue_use(t, lki_lmdb_key_pk(key));
    if (status == LK_OK && t->queue.closed != 0)
        t->queues = t->several = t->is_over = true;
    return status;
}

/* As lk_set: a job stays a job. `old` NULL: there is nothing. */
static lk_status
item_put(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old, const lk_item *item)
{
    lk_status status = LK_OK;
    unsigned flags = old != NULL ? old->flags : 0;
    if ((flags & LKI_LMDB_ITEM_IS_JOB) != 0 && old->expires_at_ms != item->expires_at_ms)
        status = job_expiry_note(t, key);
    return status == LK_OK ? lki_lmdb_item_write(t, key, old, item, flags) : status;
}

static lk_status
item_touch(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old, const lk_item *to)
{
    if (old == NULL)
        return LK_NOT_FOUND;
    void *data = lki_lmdb_data_copy(old);
    if (data == NULL)
        return LK_NO_MEMORY;
    lk_item item = {to->key, {data, old->data.size}, to->expires_at_ms};
    lk_status status = item_put(t, key, old, &item);
    free(data);
    return status;
}

static lk_status
item_add(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old, const lk_write *write,
         int64_t *value)
{
    unsigned char bytes[sizeof *value];
    uint64_t number = 0;
    if (old != NULL && old->data.size != sizeof bytes)
        return LK_INVALID;
    for (size_t i = sizeof bytes; old != NULL && i-- != 0;)
        number = number << 8 | ((const unsigned char *)old->data.data)[i];
    if (__builtin_add_overflow((int64_t)number, write->delta, value))
        return LK_TOO_BIG;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)((uint64_t)*value >> 8 * i);
    lk_item item = {write->item.key,
                    {bytes, sizeof bytes},
                    old != NULL ? old->expires_at_ms : write->item.expires_at_ms};
    return item_put(t, key, old, &item);
}

/* Does the condition hold? `old` NULL: there is no live item. */
static lk_status
condition_judge(const lk_write *write, const lki_lmdb_item *old)
{
    switch (write->condition) {
    case LK_ALWAYS:
        return LK_OK;
    case LK_IF_ABSENT:
        return old == NULL ? LK_OK : LK_EXISTS;
    case LK_IF_PRESENT:
        return old != NULL ? LK_OK : LK_NOT_FOUND;
    case LK_IF_EQUAL:
        return old != NULL && lk_bytes_compare(old->data, write->expected) == 0 ? LK_OK : LK_RACE;
    }
    return LK_INVALID;
}

lk_status
lki_lmdb_item_step(lki_lmdb_txn *t, const lk_write *write, uint64_t *version, int64_t *value)
{
    lki_lmdb_key key;
    lki_lmdb_item found;
    bool there;
    lki_lmdb_key_make(&key, write->item.key);
    if (!lki_lmdb_key_fits(&key) && write->kind != LK_DELETE)
        return LK_TOO_BIG;
    lk_status status = lki_lmdb_live_find(t, &key, &found, &there);
    const lki_lmdb_item *old = there ? &found : NULL;
    if (status == LK_OK)
        status = condition_judge(write, old);
    if (status != LK_OK)
        return status;
    switch (write->kind) {
    case LK_PUT:
        return item_put(t, &key, old, &write->item);
    case LK_TOUCH:
        return item_touch(t, &key, old, &write->item);
    case LK_ADD:
        return item_add(t, &key, old, write, value);
    default:
        return lki_lmdb_found_remove(t, &key, old, version);
    }
}
