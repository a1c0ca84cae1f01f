/* SPDX-License-Identifier: MIT
 *
 * See end.h.
 */
#include "lmdb/end.h"

#include <errno.h>

#include "lmdb/expire.h"
#include "lmdb/wait.h"
#include "lmdb/watch.h"

enum { EXPIRE_AT_ONCE = 8 };

/* Brings the file into the state that is to be committed, then commits it. */
static lk_status
changes_commit(lki_lmdb_txn *t)
{
    bool more;
    lk_status status = t->tends ? lki_lmdb_expire(t, EXPIRE_AT_ONCE, &more) : LK_OK;
    if (status == LK_OK)
        status = lki_lmdb_queue_flush(t);
    if (status == LK_OK && t->queue_made)
        status = lki_lmdb_queues_tend(t);
    if (status == LK_OK)
        return lki_lmdb_txn_commit(t);
    lki_lmdb_txn_abort(t, status);
    return status;
}

/* After the commit, without the latch: what it means for waiters and descriptors. */
static void
queues_tell(lki_lmdb_txn *t)
{
    lk_bytes pk = t->several ? (lk_bytes){NULL, 0} : lki_lmdb_key_pk(&t->queue_key);
    if (t->is_over)
        lki_lmdb_notify_all(t->store, pk);
    lki_lmdb_watch_refresh(t->store, pk);
}

lk_status
lki_lmdb_end(lki_lmdb_txn *t, lk_status status)
{
    bool good = status == LK_OK || status == LK_LATE, done = false;
    if (good && (t->changed || t->queue_changed)) {
        lk_status committed = changes_commit(t);
        done = committed == LK_OK;
        status = done ? status : committed;
    } else {
        lki_lmdb_txn_abort(t, status);
    }
    lki_lmdb_count(&t->store->busy, status == LK_BUSY);
    pthread_mutex_unlock(&t->store->latch);
    if (done && t->queues)
        queues_tell(t);
    errno = t->saved_errno;
    return status;
}
