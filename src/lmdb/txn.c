/* SPDX-License-Identifier: MIT
 *
 * The write transaction; see txn.h.
 *
 * Numbers (versions, tokens) come from a range that is reserved in the file ahead of use, so that
 * most commits need not write the meta row. A transaction that is aborted gives its numbers back:
 * nobody has seen them.
 */
#include "lmdb/txn.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lmdb/reader.h"

enum {
    RESERVED = 4096,
    TIME_LAG_MS = 1000,
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
    LKI_LMDB_ASSERT(store->writer == NULL && store->version <= store->meta_row.version);
    store->writer = t;
    t->store = store;
    t->txn = txn;
    t->now_ms = lki_lmdb_now(store);
    t->monotonic_ms = lki_lmdb_monotonic(store);
    t->time = lki_lmdb_time(store, t->monotonic_ms);
    t->version = store->version;
    t->first_expiry_ms = store->first_expiry_ms;
    t->meta = store->meta_row;
    t->changed = t->queues = t->queue_changed = t->queue_exists = t->queue_made = false;
    t->several = t->is_over = t->is_full = t->is_crowded = false;
    t->saved_errno = saved;
    t->queue_key.size = 0;
    t->tends = true;
    t->expired = t->locks_lapsed = 0;
    t->lag_ms = 0;
    return LK_OK;
}

/* ---- rows ---- */

/* The status of a write; notes whether map or disk are full. */
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
    LKI_LMDB_ASSERT(t->store->writer == t);
    t->changed = true;
    return write_judge(t, mdb_put(t->txn, dbi, &k, &value, 0));
}

lk_status
lki_lmdb_del(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key)
{
    MDB_val k = lki_lmdb_key_value(key);
    LKI_LMDB_ASSERT(t->store->writer == t);
    lk_status status = write_judge(t, mdb_del(t->txn, dbi, &k, NULL));
    t->changed = true;
    return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status;
}

uint64_t
lki_lmdb_numbers(lki_lmdb_txn *t, size_t count)
{
    uint64_t first = t->version;
    LKI_LMDB_ASSERT(t->store->writer == t && first >= t->store->version);
    t->version += count;
    t->changed |= count != 0;
    return first;
}

/* ---- queues ---- */

lk_status
lki_lmdb_queue_flush(lki_lmdb_txn *t)
{
    if (!t->queue_changed)
        return LK_OK;
    t->queue_changed = false;
    t->queues = true;
    t->queue.used = t->time;
    lk_bytes pk = lki_lmdb_key_pk(&t->queue_key);
    lki_lmdb_key key;
    t->queue_made |= !t->queue_exists;
    t->queue_exists = true;
    lki_lmdb_key_name(&key, pk);
    return lki_lmdb_put(t, t->store->in.queues, &key, &t->queue, sizeof t->queue);
}

lk_status
lki_lmdb_queue_use(lki_lmdb_txn *t, lk_bytes pk)
{
    if (t->queue_key.size != 0 && lk_bytes_compare(pk, lki_lmdb_key_pk(&t->queue_key)) == 0)
        return LK_OK;
    lki_lmdb_key key;
    lki_lmdb_key_name(&key, pk); /* now: pk may be that of the queue in use */
    t->several |= t->queue_changed;
    lk_status status = lki_lmdb_queue_flush(t);
    if (status != LK_OK)
        return status;
    lki_lmdb_queue queue;
    status = lki_lmdb_row(t->txn, t->store->in.queues, &key, &queue, sizeof queue);
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

/* Writes the meta row if numbers were taken beyond the reserved ones, or if the time is far ahead
 * of that in the file. */
static lk_status
meta_flush(lki_lmdb_txn *t)
{
    const lki_lmdb *store = t->store;
    bool number = t->version > t->meta.version;
    bool time = t->queues && lki_lmdb_span(t->meta.time, t->time) > TIME_LAG_MS;
    if (number)
        t->meta.version = t->version + RESERVED;
    if (time)
        t->meta.time = t->time;
    if (!number && !time && memcmp(&t->meta, &store->meta_row, sizeof t->meta) == 0)
        return LK_OK;
    static const lki_lmdb_key key = {.size = 4, .bytes = "meta"};
    return lki_lmdb_put(t, store->in.meta, &key, &t->meta, sizeof t->meta);
}

/* What a commit that failed means. The commit may be there only if LMDB could not write the page
 * that makes it valid, and exactly then LMDB lets nobody in any more. Any other failure came before
 * that page. */
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

/* Gives back to the disk what a transaction has written that found no room: the file ends with the
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

/* Readers of a process that was killed hold pages back, so the file grows. Looks for them where it
 * does. */
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

/* Lets go of the transaction, which has ended; the latch is the caller's still. */
static void
txn_leave(lki_lmdb_txn *t, lk_status status)
{
    lki_lmdb *store = t->store;
    LKI_LMDB_ASSERT(store->version <= store->meta_row.version);
    store->writer = NULL;
    t->txn = NULL;
    if (status == LK_NO_MEMORY)
        file_trim(store);
}

lk_status
lki_lmdb_txn_commit(lki_lmdb_txn *t)
{
    LKI_LMDB_ASSERT(t->store->writer == t && !t->queue_changed);
    lk_status status = meta_flush(t);
    if (status != LK_OK) {
        lki_lmdb_txn_abort(t, status);
        return status;
    }
    errno = 0;
    int code = mdb_txn_commit(t->txn);
    if (code == 0) {
        commit_note(t->store, t);
        dead_readers_clear(t->store);
    } else {
        (void)write_judge(t, code);
        status = commit_failed(t->store, code);
    }
    txn_leave(t, status);
    return status;
}

void
lki_lmdb_txn_abort(lki_lmdb_txn *t, lk_status why)
{
    LKI_LMDB_ASSERT(t->store->writer == t);
    mdb_txn_abort(t->txn);
    txn_leave(t, why);
}

bool
lki_lmdb_batch_shrink(const lki_lmdb_txn *t, size_t *batch)
{
    LKI_LMDB_ASSERT(t->txn == NULL && *batch != 0);
    if (!t->is_full || *batch == 1)
        return false;
    *batch = *batch > 8 ? *batch / 8 : 1;
    return true;
}
