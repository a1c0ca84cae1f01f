/* SPDX-License-Identifier: MIT
 *
 * The invariants of the file, looked for with LMDB alone: I-lmdb1 to I-lmdb5 (README.md), and that
 * no version or token is beyond the reserved numbers. Called at level 2 at the opening, the close
 * and the sweep of a store, and by tests on the files of closed ones. All in the header, so that
 * tests can do without the library.
 */
#ifndef LKI_LMDB_INVARIANTS_H
#define LKI_LMDB_INVARIANTS_H

#include <stdbool.h>
#include <stdio.h>

#include "lmdb/row.h"

typedef struct lki_lmdb_walk {
    MDB_txn *txn;
    const lki_lmdb_tables *in;
    lki_lmdb_meta meta;
    uint64_t faults;
    bool failed; /* something could not be read: nothing is said of it */
    bool says;   /* the first few faults on stderr */
    uint64_t queues, depths, item_jobs, item_times, job_readies, job_dues;
} lki_lmdb_walk;

static inline void
lki_lmdb_walk_that(lki_lmdb_walk *w, bool condition, const char *what)
{
    if (!condition && !w->failed && w->faults++ < 5 && w->says)
        fprintf(stderr, "the file is damaged: %s\n", what);
}

static inline bool
lki_lmdb_walk_row(lki_lmdb_walk *w, MDB_dbi dbi, const lki_lmdb_key *key, void *row, size_t size)
{
    MDB_val k = lki_lmdb_key_value(key), value;
    int code = mdb_get(w->txn, dbi, &k, &value);
    w->failed |= code != 0 && code != MDB_NOTFOUND;
    if (code != 0 || value.mv_size != size)
        return false;
    if (size != 0)
        memcpy(row, value.mv_data, size);
    return true;
}

static inline void
lki_lmdb_walk_item(lki_lmdb_walk *w, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key key, expiry;
    lki_lmdb_job job;
    int64_t expires;
    if (!lki_lmdb_key_read(&key, k->mv_data, k->mv_size) || value->mv_size < LKI_LMDB_ITEM_HEADER) {
        lki_lmdb_walk_that(w, false, "an item");
        return;
    }
    memcpy(&expires, value->mv_data, sizeof expires);
    if (((const unsigned char *)value->mv_data)[LKI_LMDB_ITEM_HEADER - 1] != 0) {
        w->item_jobs++;
        lki_lmdb_walk_that(w, lki_lmdb_walk_row(w, w->in->jobs, &key, &job, sizeof job),
                           "I-lmdb1: an item that says it is a job has no row");
    }
    if (expires == 0)
        return;
    w->item_times++;
    lki_lmdb_key_expiry(&expiry, &key, expires, LKI_LMDB_OF_ITEM);
    lki_lmdb_walk_that(w, lki_lmdb_walk_row(w, w->in->expiry, &expiry, NULL, 0),
                       "I-lmdb2: an item that expires has no key in expiry");
}

static inline void
lki_lmdb_walk_lock(lki_lmdb_walk *w, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key key, expiry;
    lki_lmdb_lock lock;
    if (!lki_lmdb_key_read(&key, k->mv_data, k->mv_size) || value->mv_size != sizeof lock) {
        lki_lmdb_walk_that(w, false, "a lock");
        return;
    }
    memcpy(&lock, value->mv_data, sizeof lock);
    lki_lmdb_key_expiry(&expiry, &key, lock.indexed_ms, LKI_LMDB_OF_LOCK);
    lki_lmdb_walk_that(w,
                       lock.indexed_ms <= lock.expires_at_ms &&
                           lki_lmdb_walk_row(w, w->in->expiry, &expiry, NULL, 0),
                       "I-lmdb3: a lock has no key in expiry");
    lki_lmdb_walk_that(w, lock.version != 0 && lock.version < w->meta.version,
                       "a version beyond the reserved numbers");
}

static inline void
lki_lmdb_walk_job(lki_lmdb_walk *w, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key key, due;
    lki_lmdb_job job;
    MDB_val item;
    if (!lki_lmdb_key_read(&key, k->mv_data, k->mv_size) || value->mv_size != sizeof job) {
        lki_lmdb_walk_that(w, false, "a job");
        return;
    }
    memcpy(&job, value->mv_data, sizeof job);
    MDB_val again = *k;
    lki_lmdb_walk_that(w, mdb_get(w->txn, w->in->items, &again, &item) == 0,
                       "I-lmdb1: a job has no item");
    bool ready = lki_lmdb_job_is_in_ready(&job);
    w->job_readies += ready;
    w->job_dues += !ready;
    lki_lmdb_key_due(&due, &key, job.time);
    lki_lmdb_walk_that(w,
                       ready ? lki_lmdb_walk_row(w, w->in->ready, &key, NULL, 0)
                             : lki_lmdb_walk_row(w, w->in->due, &due, NULL, 0),
                       "I-lmdb4: a job is neither in ready nor in due");
    lki_lmdb_walk_that(w,
                       job.phase >= LKI_LMDB_READY && job.phase <= LKI_LMDB_LAPSED &&
                           lki_lmdb_job_has_claim(&job) == (job.token != 0) &&
                           job.token < w->meta.version,
                       "a phase or a token that cannot be");
}

static inline void
lki_lmdb_walk_queue(lki_lmdb_walk *w, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key frame;
    lki_lmdb_queue queue;
    MDB_cursor *cursor;
    uint64_t count = 0;
    w->queues++;
    if (value->mv_size != sizeof queue) {
        lki_lmdb_walk_that(w, false, "a queue");
        return;
    }
    if (mdb_cursor_open(w->txn, w->in->jobs, &cursor) != 0) {
        w->failed = true;
        return;
    }
    memcpy(&queue, value->mv_data, sizeof queue);
    lki_lmdb_key_frame(&frame, (lk_bytes){k->mv_data, k->mv_size});
    MDB_val key = lki_lmdb_key_value(&frame), row;
    for (int code = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE);
         code == 0 && lki_lmdb_begins_with(&key, &frame);
         code = mdb_cursor_get(cursor, &key, &row, MDB_NEXT))
        count++;
    mdb_cursor_close(cursor);
    w->depths += count;
    lki_lmdb_walk_that(w, count == queue.depth, "I-lmdb5: a queue's depth is not that of its jobs");
}

static inline void
lki_lmdb_walk_each(lki_lmdb_walk *w, MDB_dbi dbi,
                   void (*look)(lki_lmdb_walk *w, const MDB_val *k, const MDB_val *value))
{
    MDB_cursor *cursor;
    MDB_val key, value;
    if (mdb_cursor_open(w->txn, dbi, &cursor) != 0) {
        w->failed = true;
        return;
    }
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
        look(w, &key, &value);
    mdb_cursor_close(cursor);
}

static inline uint64_t
lki_lmdb_walk_count(lki_lmdb_walk *w, MDB_dbi dbi)
{
    MDB_stat stat;
    return mdb_stat(w->txn, dbi, &stat) == 0 ? stat.ms_entries : UINT64_MAX;
}

/* Walks the whole file as the transaction sees it; counts faults in w->faults. Begin with txn, in
 * and says. */
static inline void
lki_lmdb_walk_file(lki_lmdb_walk *w)
{
    static const lki_lmdb_key meta = {.size = 4, .bytes = "meta"};
    const lki_lmdb_tables *in = w->in;
    lki_lmdb_walk_that(w, lki_lmdb_walk_row(w, in->meta, &meta, &w->meta, sizeof w->meta), "meta");
    lki_lmdb_walk_each(w, in->items, lki_lmdb_walk_item);
    lki_lmdb_walk_each(w, in->locks, lki_lmdb_walk_lock);
    lki_lmdb_walk_each(w, in->jobs, lki_lmdb_walk_job);
    lki_lmdb_walk_each(w, in->queues, lki_lmdb_walk_queue);
    uint64_t locks = lki_lmdb_walk_count(w, in->locks);
    lki_lmdb_walk_that(w, lki_lmdb_walk_count(w, in->jobs) == w->item_jobs, "I-lmdb1: counts");
    lki_lmdb_walk_that(w, lki_lmdb_walk_count(w, in->jobs) == w->depths, "I-lmdb5: no queue");
    lki_lmdb_walk_that(w, lki_lmdb_walk_count(w, in->expiry) == w->item_times + locks,
                       "I-lmdb2, I-lmdb3: counts");
    lki_lmdb_walk_that(w, lki_lmdb_walk_count(w, in->ready) == w->job_readies, "I-lmdb4: ready");
    lki_lmdb_walk_that(w, lki_lmdb_walk_count(w, in->due) == w->job_dues, "I-lmdb4: due");
}

#endif
