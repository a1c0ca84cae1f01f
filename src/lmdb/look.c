/* SPDX-License-Identifier: MIT
 *
 * See look.h.
 */
#include "lmdb/look.h"

#include "lmdb/expiry.h"
#include "lmdb/reader.h"

lk_status
lki_lmdb_due_first(const lki_lmdb *store, const lki_lmdb_key *queue, MDB_txn *txn, MDB_val *key,
                   int64_t *time)
{
    *time = INT64_MAX;
    lk_status status = lki_lmdb_seek(txn, store->in.due, queue, key);
    if (status != LK_OK || !lki_lmdb_begins_with(key, queue))
        return status == LK_NOT_FOUND ? LK_OK : status;
    if (key->mv_size < queue->size + LKI_LMDB_TIME)
        return LK_UNAVAILABLE; /* damaged */
    *time = lki_lmdb_time_read((const unsigned char *)key->mv_data + queue->size);
    return LK_OK;
}

lk_status
lki_lmdb_ready_first(const lki_lmdb *store, const lki_lmdb_key *queue, MDB_txn *txn, MDB_val *key)
{
    lk_status status = lki_lmdb_seek(txn, store->in.ready, queue, key);
    return status == LK_OK && !lki_lmdb_begins_with(key, queue) ? LK_NOT_FOUND : status;
}

int64_t
lki_lmdb_expiry_as_due(int64_t time, int64_t now_ms, int64_t first_expiry_ms)
{
    if (first_expiry_ms == INT64_MAX)
        return INT64_MAX;
    int64_t in_ms = first_expiry_ms < now_ms ? 0 : lki_lmdb_span(now_ms, first_expiry_ms);
    return lki_lmdb_after(time, lki_lmdb_after(in_ms, 1));
}

/* Nothing is visible in a closed queue. LK_CLOSED: it has no job. LK_OK: perhaps its jobs have
 * expired. */
static lk_status
closed_look(const lki_lmdb *store, MDB_txn *txn, uint64_t depth, lki_lmdb_sight *sight)
{
    int64_t first_ms, now_ms = lki_lmdb_now(store);
    lki_lmdb_key first;
    if (depth == 0)
        return LK_CLOSED;
    lk_status status = lki_lmdb_expiry_first(store, txn, &first, &first_ms);
    if (status == LK_NOT_FOUND || (status == LK_OK && now_ms <= first_ms))
        status = LK_EMPTY;
    int64_t due = lki_lmdb_expiry_as_due(sight->time, now_ms, first_ms);
    if (due < sight->first_due)
        sight->first_due = due;
    return status;
}

lk_status
lki_lmdb_look(lki_lmdb *store, const lki_lmdb_key *queue, lki_lmdb_sight *sight)
{
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    /* Read after the snapshot was taken: what is due in the snapshot is due by this time. */
    sight->time = lki_lmdb_time(store, lki_lmdb_monotonic(store));
    sight->first_due = INT64_MAX;
    lki_lmdb_queue row;
    lki_lmdb_key name;
    MDB_val key;
    lki_lmdb_key_name(&name, lki_lmdb_key_pk(queue));
    status = lki_lmdb_row(reader->txn, store->in.queues, &name, &row, sizeof row);
    sight->exists = status == LK_OK;
    if (status == LK_OK)
        status = lki_lmdb_due_first(store, queue, reader->txn, &key, &sight->first_due);
    if (status == LK_OK && sight->first_due > sight->time)
        status = lki_lmdb_ready_first(store, queue, reader->txn, &key);
    if (status == LK_NOT_FOUND)
        status = sight->exists && row.closed != 0
                     ? closed_look(store, reader->txn, row.depth, sight)
                     : LK_EMPTY;
    lki_lmdb_read_end(reader);
    return status;
}
