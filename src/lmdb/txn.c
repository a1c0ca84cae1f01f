/* SPDX-License-Identifier: MIT
 *
 * The write transaction: begun under the store's latch, ended by a commit or an abort. Called by
 * whatever writes.
 *
 * Numbers (versions, tokens) are handed out from a stock that is reserved in the file ahead of use,
 * so that most commits need not write the meta row. A transaction that is aborted gives its numbers
 * back: nobody has seen them.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb/store.h"

enum {
    STOCK = 4096,
    TIME_LAG_MS = 1000,
    EXPIRE_AT_ONCE = 8,
    GROWTH = 64 /* pages, after which dead readers are looked for */
};

lk_status
lki_lmdb_begin(lki_lmdb *store, lki_lmdb_txn *t)
{
    int saved = errno;
    pthread_mutex_lock(&store->latch);
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code != 0) {
        pthread_mutex_unlock(&store->latch);
        errno = saved;
        return lki_lmdb_status(code);
    }
    errno = 0; /* for lki_lmdb_write_status */
    t->store = store;
    t->txn = txn;
    t->now_ms = lki_lmdb_now(store);
    t->monotonic_ms = lki_lmdb_monotonic(store);
    t->time = lki_lmdb_time(store, t->monotonic_ms);
    t->version = store->version;
    t->first_expiry_ms = store->first_expiry_ms;
    t->meta = store->meta_row;
    t->changed = t->queues = t->queue_changed = t->queue_exists = t->queue_made = false;
    t->several = t->is_over = t->is_full = false;
    t->saved_errno = saved;
    t->queue_key.size = 0;
    t->tends = true;
    t->expired = t->locks_lapsed = 0;
    t->lag_ms = 0;
    return LK_OK;
}

/* ---- rows ---- */

/* The status, and whether map or disk are full. */
static lk_status
write_judge(lki_lmdb_txn *t, int code)
{
    lk_status status = lki_lmdb_write_status(code);
    t->is_full |= status == LK_NO_MEMORY && code != ENOMEM;
    return status;
}

lk_status
lki_lmdb_put(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key, const void *row, size_t size)
{
    MDB_val k = lki_lmdb_key_value(key), value = {size, (void *)(uintptr_t)row};
    t->changed = true;
    return write_judge(t, mdb_put(t->txn, dbi, &k, &value, 0));
}

lk_status
lki_lmdb_del(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key)
{
    MDB_val k = lki_lmdb_key_value(key);
    lk_status status = write_judge(t, mdb_del(t->txn, dbi, &k, NULL));
    t->changed = true;
    return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status;
}

uint64_t
lki_lmdb_numbers(lki_lmdb_txn *t, size_t count)
{
    uint64_t first = t->version;
    t->version += count;
    t->changed = true;
    return first;
}

/* ---- queues ---- */

static lk_status
queue_flush(lki_lmdb_txn *t)
{
    if (!t->queue_changed)
        return LK_OK;
    t->queue_changed = false;
    t->queues = true;
    t->queue.used = t->time;
    lk_bytes pk = lki_lmdb_key_pk(&t->queue_key);
    lki_lmdb_key key = {.size = 0};
    t->queue_made |= !t->queue_exists;
    t->queue_exists = true;
    lki_lmdb_key_append(&key, pk.data, pk.size);
    return lki_lmdb_put(t, t->store->queues, &key, &t->queue, sizeof t->queue);
}

lk_status
lki_lmdb_queue_use(lki_lmdb_txn *t, lk_bytes pk)
{
    if (t->queue_key.size != 0 && lk_bytes_compare(pk, lki_lmdb_key_pk(&t->queue_key)) == 0)
        return LK_OK;
    lki_lmdb_key key;
    key.size = 0;
    lki_lmdb_key_append(&key, pk.data, pk.size); /* perhaps of the queue that is in use */
    t->several |= t->queue_changed;
    lk_status status = queue_flush(t);
    if (status != LK_OK)
        return status;
    lki_lmdb_queue queue;
    status = lki_lmdb_row(t->txn, t->store->queues, &key, &queue, sizeof queue);
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    t->queue_exists = status == LK_OK;
    if (t->queue_exists) {
        t->queue = queue;
    } else {
        memset(&t->queue, 0, sizeof t->queue);
        memcpy(t->queue.ulid, t->meta.ulid, sizeof t->queue.ulid);
    }
    lki_lmdb_key_frame(&t->queue_key, (lk_bytes){key.bytes, key.size});
    return LK_OK;
}

/* ---- the end ---- */

/* Numbers were taken from beyond the stock, or the time is far ahead of that in the file. */
static lk_status
meta_flush(lki_lmdb_txn *t)
{
    const lki_lmdb *store = t->store;
    bool stock = t->version > t->meta.version;
    bool time = t->queues && lki_lmdb_span(t->meta.time, t->time) > TIME_LAG_MS;
    if (stock)
        t->meta.version = t->version + STOCK;
    if (time)
        t->meta.time = t->time;
    if (!stock && !time && memcmp(&t->meta, &store->meta_row, sizeof t->meta) == 0)
        return LK_OK;
    static const lki_lmdb_key key = {.size = 4, .bytes = "meta"};
    return lki_lmdb_put(t, store->meta, &key, &t->meta, sizeof t->meta);
}

/* What a commit that failed means. LMDB lets nobody in any more iff it could not write the page
 * that makes a commit valid; only then may the commit be there. Any other failure came before that
 * page. */
static lk_status
commit_failed(const lki_lmdb *store, int code)
{
    MDB_txn *txn;
    lk_status status = lki_lmdb_write_status(code);
    int probe = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (probe == 0)
        mdb_txn_abort(txn);
    return probe == MDB_PANIC ? LK_UNKNOWN : status;
}

/* What a transaction that found no room has written goes back to the disk: the file ends with the
 * last page of the last commit. */
static void
file_trim(const lki_lmdb *store)
{
    MDB_txn *txn;
    MDB_stat of;
    MDB_envinfo info;
    int fd;
    struct stat about;
    if (mdb_txn_begin(store->env, NULL, 0, &txn) != 0) /* nobody else writes */
        return;
    if (mdb_env_info(store->env, &info) == 0 && mdb_env_stat(store->env, &of) == 0 &&
        mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &about) == 0) {
        size_t size = (info.me_last_pgno + 1) * of.ms_psize;
        if ((size_t)about.st_size > size)
            (void)!ftruncate(fd, (off_t)size);
    }
    mdb_txn_abort(txn);
}

/* Readers of a process that was killed hold pages back, so the file grows. Where it does they are
 * looked for. */
static void
dead_readers_clear(lki_lmdb *store)
{
    MDB_envinfo info;
    if (mdb_env_info(store->env, &info) != 0 || info.me_last_pgno < store->readers_seen_at + GROWTH)
        return;
    store->readers_seen_at = info.me_last_pgno;
    (void)mdb_reader_check(store->env, NULL);
}

static void
commit_note(lki_lmdb *store, const lki_lmdb_txn *t)
{
    store->version = t->version;
    store->meta_row = t->meta;
    store->first_expiry_ms = t->first_expiry_ms;
    store->time_is_due |= t->queues;
    lki_lmdb_count(&store->expired_swept, t->expired);
    lki_lmdb_count(&store->locks_swept, t->locks_lapsed);
}

static lk_status
txn_commit(lki_lmdb_txn *t)
{
    lki_lmdb *store = t->store;
    bool more;
    lk_status status = t->tends ? lki_lmdb_expire(t, EXPIRE_AT_ONCE, &more) : LK_OK;
    if (status == LK_OK)
        status = queue_flush(t);
    if (status == LK_OK && t->queue_made)
        status = lki_lmdb_queues_tend(t);
    if (status == LK_OK)
        status = meta_flush(t);
    if (status != LK_OK) {
        mdb_txn_abort(t->txn);
        return status;
    }
    errno = 0;
    int code = mdb_txn_commit(t->txn);
    if (code != 0) {
        (void)write_judge(t, code);
        return commit_failed(store, code);
    }
    commit_note(store, t);
    dead_readers_clear(store);
    return LK_OK;
}

/* After the commit, without the latch: what it means for who waits or polls. */
static void
queues_tell(lki_lmdb_txn *t)
{
    lk_bytes pk = t->several ? (lk_bytes){NULL, 0} : lki_lmdb_key_pk(&t->queue_key);
    if (t->is_over)
        lki_lmdb_call_all(t->store, pk);
    lki_lmdb_watch_settle(t->store, pk);
}

lk_status
lki_lmdb_end(lki_lmdb_txn *t, lk_status status)
{
    bool done = false;
    if ((status == LK_OK || status == LK_LATE) && (t->changed || t->queue_changed)) {
        lk_status committed = txn_commit(t);
        done = committed == LK_OK;
        status = committed != LK_OK ? committed : status;
    } else {
        mdb_txn_abort(t->txn);
    }
    if (status == LK_NO_MEMORY)
        file_trim(t->store);
    lki_lmdb_count(&t->store->busy, status == LK_BUSY);
    pthread_mutex_unlock(&t->store->latch);
    if (done && t->queues)
        queues_tell(t);
    errno = t->saved_errno;
    return status;
}
