/* SPDX-License-Identifier: MIT
 *
 * The file of a closed database of the adapter for LMDB, looked at with LMDB alone: does it keep
 * the invariants of src/lmdb? A header, so that only tests that are linked with LMDB see it.
 */
#ifndef LATCHKEY_TESTS_LMDB_CHECK_H
#define LATCHKEY_TESTS_LMDB_CHECK_H

#include <stdbool.h>
#include <stdio.h>

#include "lmdb/row.h"

typedef struct lmdb_check {
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi items, locks, jobs, ready, due, queues, expiry, meta;
    lki_lmdb_meta meta_row;
    uint64_t faults;
    uint64_t item_jobs, item_times, job_readies, job_dues;
} lmdb_check;

static inline void
lmdb_check_fault(lmdb_check *c, const char *what)
{
    if (c->faults++ < 5)
        fprintf(stderr, "the file is damaged: %s\n", what);
}

static inline void
lmdb_check_that(lmdb_check *c, bool condition, const char *what)
{
    if (!condition)
        lmdb_check_fault(c, what);
}

static inline bool
lmdb_check_row(lmdb_check *c, MDB_dbi dbi, const lki_lmdb_key *key, void *row, size_t size)
{
    MDB_val k = lki_lmdb_key_value(key), value;
    if (mdb_get(c->txn, dbi, &k, &value) != 0 || value.mv_size != size)
        return false;
    if (size != 0)
        memcpy(row, value.mv_data, size);
    return true;
}

static inline void
lmdb_check_item(lmdb_check *c, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key key, expiry;
    lki_lmdb_job job;
    int64_t expires;
    if (!lki_lmdb_key_read(&key, k->mv_data, k->mv_size) || value->mv_size < LKI_LMDB_ITEM_HEADER) {
        lmdb_check_fault(c, "an item");
        return;
    }
    memcpy(&expires, value->mv_data, sizeof expires);
    if (((const unsigned char *)value->mv_data)[LKI_LMDB_ITEM_HEADER - 1] != 0) {
        c->item_jobs++;
        lmdb_check_that(c, lmdb_check_row(c, c->jobs, &key, &job, sizeof job),
                        "I-lmdb1: an item that says it is a job has no row");
    }
    if (expires == 0)
        return;
    c->item_times++;
    lki_lmdb_key_expiry(&expiry, &key, expires, LKI_LMDB_OF_ITEM);
    lmdb_check_that(c, lmdb_check_row(c, c->expiry, &expiry, NULL, 0),
                    "I-lmdb2: an item that expires has no key in expiry");
}

static inline void
lmdb_check_lock(lmdb_check *c, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key key, expiry;
    lki_lmdb_lock lock;
    if (!lki_lmdb_key_read(&key, k->mv_data, k->mv_size) || value->mv_size != sizeof lock) {
        lmdb_check_fault(c, "a lock");
        return;
    }
    memcpy(&lock, value->mv_data, sizeof lock);
    lki_lmdb_key_expiry(&expiry, &key, lock.indexed_ms, LKI_LMDB_OF_LOCK);
    lmdb_check_that(
        c, lock.indexed_ms <= lock.expires_at_ms && lmdb_check_row(c, c->expiry, &expiry, NULL, 0),
        "I-lmdb3: a lock has no key in expiry");
    lmdb_check_that(c, lock.version != 0 && lock.version < c->meta_row.version,
                    "a version beyond the stock");
}

static inline void
lmdb_check_job(lmdb_check *c, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key key, due;
    lki_lmdb_job job;
    MDB_val item;
    if (!lki_lmdb_key_read(&key, k->mv_data, k->mv_size) || value->mv_size != sizeof job) {
        lmdb_check_fault(c, "a job");
        return;
    }
    memcpy(&job, value->mv_data, sizeof job);
    MDB_val again = *k;
    lmdb_check_that(c, mdb_get(c->txn, c->items, &again, &item) == 0, "I-lmdb1: a job has no item");
    bool ready = job.phase == LKI_LMDB_READY || job.phase == LKI_LMDB_LAPSED;
    c->job_readies += ready;
    c->job_dues += !ready;
    lki_lmdb_key_due(&due, &key, job.time);
    lmdb_check_that(c,
                    ready ? lmdb_check_row(c, c->ready, &key, NULL, 0)
                          : lmdb_check_row(c, c->due, &due, NULL, 0),
                    "I-lmdb4: a job is neither in ready nor in due");
    bool claimed = job.phase == LKI_LMDB_CLAIMED || job.phase == LKI_LMDB_LAPSED;
    lmdb_check_that(c, claimed == (job.token != 0) && job.token < c->meta_row.version,
                    "a token that cannot be");
}

/* Of the jobs of one queue. */
static inline void
lmdb_check_queue(lmdb_check *c, const MDB_val *k, const MDB_val *value)
{
    lki_lmdb_key frame;
    lki_lmdb_queue queue;
    MDB_cursor *cursor;
    uint64_t count = 0;
    if (value->mv_size != sizeof queue || mdb_cursor_open(c->txn, c->jobs, &cursor) != 0) {
        lmdb_check_fault(c, "a queue");
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
    lmdb_check_that(c, count == queue.depth, "I-lmdb5: a queue's depth is not that of its jobs");
}

static inline void
lmdb_check_each(lmdb_check *c, MDB_dbi dbi,
                void (*look)(lmdb_check *c, const MDB_val *k, const MDB_val *value))
{
    MDB_cursor *cursor;
    MDB_val key, value;
    if (mdb_cursor_open(c->txn, dbi, &cursor) != 0) {
        lmdb_check_fault(c, "no cursor");
        return;
    }
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
        look(c, &key, &value);
    mdb_cursor_close(cursor);
}

static inline uint64_t
lmdb_check_count(lmdb_check *c, MDB_dbi dbi)
{
    MDB_stat stat;
    return mdb_stat(c->txn, dbi, &stat) == 0 ? stat.ms_entries : UINT64_MAX;
}

static inline bool
lmdb_check_open(lmdb_check *c, const char *folder)
{
    const struct {
        const char *name;
        MDB_dbi *dbi;
    } all[] = {{"items", &c->items},   {"locks", &c->locks},  {"jobs", &c->jobs},
               {"ready", &c->ready},   {"due", &c->due},      {"queues", &c->queues},
               {"expiry", &c->expiry}, {"latchkey", &c->meta}};
    if (mdb_env_create(&c->env) != 0 || mdb_env_set_maxdbs(c->env, 16) != 0 ||
        mdb_env_open(c->env, folder, MDB_RDONLY | MDB_NOLOCK, 0600) != 0 ||
        mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn) != 0)
        return false;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (mdb_dbi_open(c->txn, all[i].name, 0, all[i].dbi) != 0)
            return false;
    static const lki_lmdb_key key = {.size = 4, .bytes = "meta"};
    return lmdb_check_row(c, c->meta, &key, &c->meta_row, sizeof c->meta_row);
}

/* How much is wrong with it; the first few on stderr. */
static inline uint64_t
lmdb_check_file(const char *folder)
{
    lmdb_check c = {.faults = 0};
    if (lmdb_check_open(&c, folder)) {
        lmdb_check_each(&c, c.items, lmdb_check_item);
        lmdb_check_each(&c, c.locks, lmdb_check_lock);
        lmdb_check_each(&c, c.jobs, lmdb_check_job);
        lmdb_check_each(&c, c.queues, lmdb_check_queue);
        lmdb_check_that(&c, lmdb_check_count(&c, c.jobs) == c.item_jobs, "I-lmdb1: counts");
        lmdb_check_that(
            &c, lmdb_check_count(&c, c.expiry) == c.item_times + lmdb_check_count(&c, c.locks),
            "I-lmdb2, I-lmdb3: counts");
        lmdb_check_that(&c, lmdb_check_count(&c, c.ready) == c.job_readies, "I-lmdb4: ready");
        lmdb_check_that(&c, lmdb_check_count(&c, c.due) == c.job_dues, "I-lmdb4: due");
    } else {
        lmdb_check_fault(&c, "it cannot be opened");
    }
    if (c.txn != NULL)
        mdb_txn_abort(c.txn);
    if (c.env != NULL)
        mdb_env_close(c.env);
    return c.faults;
}

#endif
