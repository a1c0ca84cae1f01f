/* SPDX-License-Identifier: MIT
 *
 * Queues as a whole: statistics, purge, close. Called through the table of operations.
 */
#include "lmdb/end.h"
#include "lmdb/item.h"
#include "lmdb/operations.h"
#include "lmdb/reader.h"
#include "lmdb/tally.h"
#include "lmdb/wait.h"

enum { BATCH = 512 };

/* ---- statistics ---- */

/* The milliseconds of an sk that is a ULID (Crockford base 32), whoever has made it: a dead letter
 * keeps that of another queue. INT64_MAX: the sk is no ULID, or is one of 1970, which is a number
 * with zeros before it. */
static int64_t
ulid_ms(lk_bytes sk)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    const char *text = sk.data;
    int64_t ms = 0;
    if (sk.size != LK_ULID_SIZE || text[0] > '7')
        return INT64_MAX;
    for (size_t i = 0; i < LK_ULID_SIZE; i++) {
        const char *digit = memchr(digits, text[i], sizeof digits - 1);
        if (digit == NULL)
            return INT64_MAX;
        ms = i < 10 ? ms * 32 + (digit - digits) : ms;
    }
    return ms != 0 ? ms : INT64_MAX;
}

typedef struct census {
    lk_queue_statistics stats;
    int64_t now_ms, time, oldest_ms;
} census;

/* The time after a snapshot was taken: what is due in the snapshot is due by this time. */
static void
census_begin(const lki_lmdb *store, census *c)
{
    *c = (census){.oldest_ms = INT64_MAX};
    c->now_ms = lki_lmdb_now(store);
    c->time = lki_lmdb_time(store, lki_lmdb_monotonic(store));
}

static lk_job_state
job_state(const census *c, const lki_lmdb_job *job)
{
    if (lki_lmdb_job_is_in_ready(job) || c->time >= job->time)
        return LK_JOB_READY;
    return job->phase == LKI_LMDB_CLAIMED ? LK_JOB_CLAIMED : LK_JOB_DELAYED;
}

static void
job_count(census *c, const lki_lmdb_key *key, const lki_lmdb_job *job)
{
    lk_job_state state = job_state(c, job);
    c->stats.claimed += state == LK_JOB_CLAIMED;
    c->stats.delayed += state == LK_JOB_DELAYED;
    if (state != LK_JOB_READY)
        return;
    c->stats.ready++;
    int64_t ms = ulid_ms(lki_lmdb_key_sk(key));
    if (ms < c->oldest_ms)
        c->oldest_ms = ms;
}

/* Jobs and items side by side: both cursors mostly go on to a neighbour. */
static lk_status
jobs_count(const lki_lmdb *store, lki_lmdb_reader *reader, const lki_lmdb_key *queue, census *c)
{
    MDB_cursor *jobs;
    MDB_val k = lki_lmdb_key_value(queue), row;
    int code = mdb_cursor_renew(reader->txn, reader->cursor);
    if (code == 0)
        code = mdb_cursor_open(reader->txn, store->in.jobs, &jobs);
    if (code != 0)
        return lki_lmdb_status(code);
    lk_status status = LK_OK;
    code = mdb_cursor_get(jobs, &k, &row, MDB_SET_RANGE);
    for (; code == 0 && lki_lmdb_begins_with(&k, queue) && status == LK_OK;
         code = mdb_cursor_get(jobs, &k, &row, MDB_NEXT)) {
        lki_lmdb_key key;
        lki_lmdb_job job;
        lki_lmdb_item item;
        MDB_val item_key = k, value;
        code = mdb_cursor_get(reader->cursor, &item_key, &value, MDB_SET);
        if (code != 0 || row.mv_size != sizeof job ||
            !lki_lmdb_key_read(&key, k.mv_data, k.mv_size))
            status = code == 0 || code == MDB_NOTFOUND ? LK_UNAVAILABLE : lki_lmdb_status(code);
        else
            status = lki_lmdb_item_parse(&value, &item);
        if (status != LK_OK || lk_has_expired(item.expires_at_ms, c->now_ms))
            continue;
        memcpy(&job, row.mv_data, sizeof job);
        job_count(c, &key, &job);
    }
    mdb_cursor_close(jobs);
    return status != LK_OK || code == 0 || code == MDB_NOTFOUND ? status : lki_lmdb_status(code);
}

lk_status
lki_lmdb_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lki_lmdb *store = state;
    lki_lmdb_reader *reader;
    lki_lmdb_queue queue;
    lki_lmdb_key key;
    census c;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    census_begin(store, &c);
    lki_lmdb_key_name(&key, pk);
    status = lki_lmdb_row(reader->txn, store->in.queues, &key, &queue, sizeof queue);
    bool there = status == LK_OK;
    lki_lmdb_key_frame(&key, pk);
    if (there)
        status = jobs_count(store, reader, &key, &c);
    lki_lmdb_read_end(reader);
    if (there && status == LK_OK) {
        c.stats.pushes = queue.pushes;
        c.stats.pulls = queue.pulls;
        c.stats.lapses = queue.lapses;
        c.stats.late = queue.late;
        c.stats.lost = queue.lost;
        c.stats.dead = queue.dead;
        c.stats.empty_pulls = lki_lmdb_tally_read(store, pk);
        c.stats.oldest_age_ms = c.oldest_ms < c.now_ms ? lki_lmdb_span(c.oldest_ms, c.now_ms) : 0;
    }
    if (status != LK_OK && status != LK_NOT_FOUND)
        return status;
    *stats = c.stats;
    return LK_OK;
}

/* ---- inspect ---- */

static lk_status
job_inspect(const lki_lmdb *store, MDB_txn *txn, const lk_key *of, census *c, lk_job *out)
{
    lki_lmdb_key key;
    lki_lmdb_job job;
    lki_lmdb_item item;
    *out = (lk_job){.receives = 0};
    lki_lmdb_key_make(&key, *of);
    lk_status status = lki_lmdb_row(txn, store->in.jobs, &key, &job, sizeof job);
    if (status == LK_OK)
        status = lki_lmdb_item_find(store, txn, &key, &item);
    if (status != LK_OK)
        return status == LK_NOT_FOUND ? LK_OK : status;
    if (lk_has_expired(item.expires_at_ms, c->now_ms))
        return LK_OK;
    out->receives = job.receives;
    out->state = job_state(c, &job);
    if (out->state != LK_JOB_READY)
        out->changes_at_ms = lki_lmdb_clock_of(store, job.time);
    return LK_OK;
}

lk_status
lki_lmdb_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    lki_lmdb *store = state;
    lki_lmdb_reader *reader;
    census c;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    census_begin(store, &c);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = job_inspect(store, reader->txn, &keys[i], &c, &jobs[i]);
    lki_lmdb_read_end(reader);
    return status;
}

/* ---- purge ---- */

/* The last job of a queue; what comes meanwhile lies behind it. LK_NOT_FOUND: the queue has
 * none. */
static lk_status
job_last(lki_lmdb *store, const lki_lmdb_key *queue, lki_lmdb_key *last)
{
    lki_lmdb_reader *reader;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    lki_lmdb_key behind = *queue;
    lki_lmdb_key_behind(&behind);
    MDB_cursor *cursor;
    MDB_val key = lki_lmdb_key_value(&behind), row;
    int code = mdb_cursor_open(reader->txn, store->in.jobs, &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &row, MDB_SET_RANGE);
        code = mdb_cursor_get(cursor, &key, &row, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
        if (code == 0 && !lki_lmdb_begins_with(&key, queue))
            code = MDB_NOTFOUND;
        if (code == 0 && !lki_lmdb_key_read(last, key.mv_data, key.mv_size))
            code = MDB_CORRUPTED;
        mdb_cursor_close(cursor);
    }
    lki_lmdb_read_end(reader);
    return lki_lmdb_status(code);
}

/* Takes out a batch of jobs that are not behind `last`. *more: there may be others. */
static lk_status
jobs_purge(lki_lmdb_txn *t, const lki_lmdb_key *queue, const lki_lmdb_key *last, size_t batch,
           size_t *count, bool *more)
{
    lk_status status = LK_OK;
    *more = true;
    for (size_t i = 0; status == LK_OK && i < batch; i++) {
        MDB_val first;
        lki_lmdb_key key;
        lki_lmdb_item item;
        status = lki_lmdb_seek(t->txn, t->store->in.jobs, queue, &first);
        if (status == LK_OK && !lki_lmdb_key_read(&key, first.mv_data, first.mv_size))
            return LK_UNAVAILABLE; /* damaged */
        if (status == LK_NOT_FOUND ||
            (status == LK_OK &&
             (!lki_lmdb_begins_with(&first, queue) ||
              lk_bytes_compare(lki_lmdb_key_bytes(&key), lki_lmdb_key_bytes(last)) > 0))) {
            *more = false;
            return LK_OK;
        }
        if (status == LK_OK)
            status = lki_lmdb_item_find(t->store, t->txn, &key, &item);
        if (status != LK_OK)
            return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status; /* I-lmdb1 */
        *count += !lk_has_expired(item.expires_at_ms, t->now_ms);
        status = lki_lmdb_key_remove(t, &key, NULL);
    }
    return status;
}

lk_status
lki_lmdb_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    lki_lmdb *store = state;
    lki_lmdb_key queue, last;
    size_t count = 0, batch = BATCH;
    lki_lmdb_key_frame(&queue, pk);
    lk_status status = job_last(store, &queue, &last);
    bool more = status == LK_OK;
    if (status == LK_NOT_FOUND)
        status = LK_OK;
    while (status == LK_OK && more) {
        lki_lmdb_txn t;
        size_t out = 0;
        status = lki_lmdb_begin(store, &t);
        if (status != LK_OK)
            return status;
        status = jobs_purge(&t, &queue, &last, batch, &out, &more);
        status = lki_lmdb_end(&t, status);
        count += status == LK_OK ? out : 0;
        if (status == LK_NO_MEMORY && lki_lmdb_batch_shrink(&t, &batch)) {
            status = LK_OK;
            more = true;
        }
    }
    if (status == LK_OK)
        *purged = count;
    return status;
}

/* ---- close ---- */

lk_status
lki_lmdb_queue_close(void *state, lk_bytes pk)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    status = lki_lmdb_queue_use(&t, pk);
    if (status == LK_OK && t.queue.closed == 0) {
        t.queue.closed = 1;
        t.queue_changed = true;
    }
    status = lki_lmdb_end(&t, status);
    if (status == LK_OK)
        lki_lmdb_notify_all(store, pk);
    return status;
}
