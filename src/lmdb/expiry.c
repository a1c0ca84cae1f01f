/* SPDX-License-Identifier: MIT
 *
 * See expiry.h.
 */
#include "lmdb/expiry.h"

#include "lmdb/reader.h"

lk_status
lki_lmdb_expiry_add(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time, unsigned char kind)
{
    lki_lmdb_key expiry;
    lki_lmdb_key_expiry(&expiry, key, time, kind);
    if (time < t->first_expiry_ms)
        t->first_expiry_ms = time;
    return lki_lmdb_put(t, t->store->in.expiry, &expiry, NULL, 0);
}

lk_status
lki_lmdb_expiry_drop(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time, unsigned char kind)
{
    lki_lmdb_key expiry;
    lki_lmdb_key_expiry(&expiry, key, time, kind);
    return lki_lmdb_del(t, t->store->in.expiry, &expiry);
}

lk_status
lki_lmdb_expiry_first(const lki_lmdb *store, MDB_txn *txn, lki_lmdb_key *expiry, int64_t *first_ms)
{
    MDB_val key;
    expiry->bytes[0] = 0;
    expiry->size = 1;
    *first_ms = INT64_MAX;
    lk_status status = lki_lmdb_seek(txn, store->in.expiry, expiry, &key);
    if (status != LK_OK)
        return status;
    if (key.mv_size <= LKI_LMDB_TIME + 1 || key.mv_size > LKI_LMDB_KEY_MAX)
        return LK_UNAVAILABLE; /* damaged */
    memcpy(expiry->bytes, key.mv_data, key.mv_size);
    expiry->size = key.mv_size;
    *first_ms = lki_lmdb_time_read(expiry->bytes);
    return LK_OK;
}
