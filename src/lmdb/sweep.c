/* SPDX-License-Identifier: MIT
 *
 * lk_sweep: takes out all that has expired, and queues that nobody uses any more, in portions.
 * Called through the table of operations.
 */
#include "lmdb/check.h"
#include "lmdb/end.h"
#include "lmdb/expire.h"
#include "lmdb/operations.h"

enum { BATCH = 512 };

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
        status = lki_lmdb_queues_visit(&t, &from, BATCH, &more);
        status = lki_lmdb_end(&t, status);
    }
    return status;
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
        status = lki_lmdb_check(store);
    if (status == LK_OK)
        *swept = count;
    return status;
}
