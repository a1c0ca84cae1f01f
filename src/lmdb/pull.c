/* SPDX-License-Identifier: MIT
 *
 * Jobs are claimed, and waited for. Called through the table of operations.
 *
 *   1. a look (look.h), which writes nothing and waits for no writer: is anything visible? Mostly
 *      that is all an empty pull does
 *   2. what is due goes from due to ready, a portion of it: BATCH jobs, or as many as are wanted if
 *      that is more; in the order of their times, those of one time in the order of their sk
 *   3. the first of ready are claimed, in the last transaction. Jobs that have expired or were
 *      received too often go on the way; of these, too, no more than a portion
 *
 * A transaction is cut at BATCH jobs, or at as many pages of their data. Where more is due than a
 * portion, a job counts as visible once it was noticed. A pull claims nothing that lies behind the
 * next job that is due, unless that is all it could do. After a portion without a job the call is
 * LK_EMPTY, or goes on, if it waits.
 *
 * Waiting sleeps outside of all transactions (wait.c).
 */
#include <stdlib.h>

#include "lmdb/end.h"
#include "lmdb/expire.h"
#include "lmdb/item.h"
#include "lmdb/job.h"
#include "lmdb/look.h"
#include "lmdb/operations.h"
#include "lmdb/push.h"
#include "lmdb/reader.h"
#include "lmdb/tally.h"
#include "lmdb/wait.h"
#include "lmdb/watch.h"

enum { BATCH = 4096, TURNS = 64, PAGE = 4096 };

typedef struct pull {
    lki_lmdb *store;
    const lk_pull_options *options;
    lk_result *result;
    lki_lmdb_key queue; /* the frame of its keys */
    int64_t first_due;  /* as last seen; INT64_MAX: nothing waits for a time */
    bool exists;        /* there was a queue, as last seen */
    size_t wanted, taken;
    size_t noticed, removed;           /* so far: from due to ready; expired or buried */
    size_t turns;                      /* transactions so far */
    size_t batch, now_noticed, buried; /* of this transaction; batch: all its work */
    bool due_is_left;                  /* a portion was noticed, and the next one is due */
    bool more;                         /* a portion was worked off, and there is more */
} pull;

static lk_status
pull_look(pull *p)
{
    lki_lmdb_sight sight;
    lk_status status = lki_lmdb_look(p->store, &p->queue, &sight);
    if (status != LK_EMPTY && status != LK_CLOSED)
        return status;
    p->first_due = sight.first_due;
    p->exists = sight.exists;
    return status;
}

/* ---- what is due ---- */

/* One job whose time has come goes to ready. */
static lk_status
due_notice(lki_lmdb_txn *t, const pull *p, const MDB_val *due)
{
    lki_lmdb_key key = p->queue;
    lki_lmdb_job job;
    size_t front = p->queue.size + LKI_LMDB_TIME;
    lki_lmdb_key_append(&key, (const unsigned char *)due->mv_data + front, due->mv_size - front);
    if (!lki_lmdb_key_fits(&key))
        return LK_UNAVAILABLE; /* damaged */
    lk_status status = lki_lmdb_job_find(t, &key, &job);
    if (status != LK_OK)
        return status;
    if (lki_lmdb_job_is_in_ready(&job) || job.time != p->first_due)
        return LK_UNAVAILABLE; /* I-lmdb4 */
    lki_lmdb_job to = job;
    to.phase = job.phase == LKI_LMDB_CLAIMED ? LKI_LMDB_LAPSED : LKI_LMDB_READY;
    status = lki_lmdb_job_change(t, &key, &job, &to);
    t->queue.lapses += job.phase == LKI_LMDB_CLAIMED;
    return status;
}

/* A portion of these. LK_RACE: that was a batch, and not yet the portion. */
static lk_status
due_notice_some(lki_lmdb_txn *t, pull *p)
{
    size_t portion = p->wanted > BATCH ? p->wanted : BATCH;
    for (;;) {
        MDB_val due;
        lk_status status = lki_lmdb_due_first(t->store, &p->queue, t->txn, &due, &p->first_due);
        p->due_is_left = status == LK_OK && p->first_due <= t->time;
        if (!p->due_is_left || p->noticed == portion)
            return status;
        if (p->batch == BATCH)
            return LK_RACE;
        status = due_notice(t, p, &due);
        if (status != LK_OK)
            return status;
        p->batch++;
        p->noticed++;
        p->now_noticed++;
    }
}

/* Does the next job that is due come before `ready`? */
static lk_status
due_is_before(const lki_lmdb_txn *t, const pull *p, const MDB_val *ready, bool *before)
{
    MDB_val due;
    int64_t time;
    size_t front = p->queue.size + LKI_LMDB_TIME;
    lk_status status = lki_lmdb_due_first(t->store, &p->queue, t->txn, &due, &time);
    *before = false;
    if (status != LK_OK || time > t->time)
        return status;
    lk_bytes first = {(const unsigned char *)due.mv_data + front, due.mv_size - front};
    lk_bytes second = {(const unsigned char *)ready->mv_data + p->queue.size,
                       ready->mv_size - p->queue.size};
    *before = lk_bytes_compare(first, second) < 0;
    return LK_OK;
}

/* ---- one job ---- */

/* Moves a job that was received often enough: in one step with the rest of the pull it becomes a
 * fresh job of the dead queue. */
static lk_status
job_bury(lki_lmdb_txn *t, pull *p, const lki_lmdb_key *key, const lki_lmdb_item *found)
{
    void *data = lki_lmdb_data_copy(found);
    if (data == NULL)
        return LK_NO_MEMORY;
    lk_item item = {{p->options->dead_pk, lki_lmdb_key_sk(key)},
                    {data, found->data.size},
                    found->expires_at_ms};
    lki_lmdb_push push = {.even_closed = true, .unique = true};
    if (item.key.sk.size > LKI_LMDB_NAMES_MAX - item.key.pk.size)
        item.key.sk.size = 0; /* it does not fit to that pk: one is generated */
    lk_status status = lki_lmdb_key_remove(t, key, NULL);
    t->queue.dead++; /* its queue is in use: the job was taken out of it */
    if (status == LK_OK)
        status = lki_lmdb_job_push(t, &item, &push);
    if (status == LK_EXISTS) { /* it overwrites nothing */
        item.key.sk.size = 0;
        status = lki_lmdb_job_push(t, &item, &push);
    }
    free(data);
    p->buried++;
    return status;
}

static lk_status
job_claim(lki_lmdb_txn *t, pull *p, const lki_lmdb_key *key, const lki_lmdb_item *found,
          const lki_lmdb_job *job)
{
    int64_t visibility_ms =
        p->options->visibility_ms != 0 ? p->options->visibility_ms : LK_MINUTES(5);
    lki_lmdb_job to = *job;
    to.phase = LKI_LMDB_CLAIMED;
    to.time = lki_lmdb_after(t->time, lki_lmdb_after(visibility_ms, 1));
    to.token = lki_lmdb_numbers(t, 1);
    to.receives += to.receives != UINT32_MAX;
    lk_item item = {lki_lmdb_key_names(key), found->data, found->expires_at_ms};
    lk_claim claim = {item.key, to.token, lki_lmdb_after(t->monotonic_ms, visibility_ms),
                      to.receives};
    /* Before anything is written: the data lie in the map. */
    lk_status status = lk_result_add_claimed(p->result, &item, &claim);
    if (status == LK_OK)
        status = lki_lmdb_job_change(t, key, job, &to);
    t->queue.pulls++;
    p->taken++;
    if (to.time < p->first_due)
        p->first_due = to.time;
    return status;
}

/* Claims the first of ready, or takes it out of the way. LK_NOT_FOUND: there is none, or what is
 * due comes first. */
static lk_status
job_next(lki_lmdb_txn *t, pull *p)
{
    MDB_val first;
    lki_lmdb_key key;
    lki_lmdb_item item;
    lki_lmdb_job job;
    lk_status status = lki_lmdb_ready_first(t->store, &p->queue, t->txn, &first);
    bool is_behind = false;
    if (status == LK_OK && p->due_is_left && p->taken + p->removed != 0)
        status = due_is_before(t, p, &first, &is_behind);
    if (status != LK_OK || is_behind)
        return status != LK_OK ? status : LK_NOT_FOUND;
    if (!lki_lmdb_key_read(&key, first.mv_data, first.mv_size) ||
        key.size == p->queue.size) /* a job has an sk */
        return LK_UNAVAILABLE;     /* damaged */
    status = lki_lmdb_job_find(t, &key, &job);
    if (status == LK_OK)
        status = lki_lmdb_item_find(t->store, t->txn, &key, &item);
    if (status == LK_NOT_FOUND || (status == LK_OK && !lki_lmdb_job_is_in_ready(&job)))
        return LK_UNAVAILABLE; /* I-lmdb1, I-lmdb4 */
    if (status != LK_OK)
        return status;
    lki_lmdb_count(&p->store->slots_visited, 1);
    bool expired = lk_has_expired(item.expires_at_ms, t->now_ms);
    if (!expired && (p->options->max_receives == 0 || job.receives < p->options->max_receives))
        return job_claim(t, p, &key, &item, &job);
    p->removed++;
    p->batch += 1 + item.data.size / PAGE;
    if (!expired)
        return job_bury(t, p, &key, &item);
    t->expired++;
    return lki_lmdb_found_remove(t, &key, &item, NULL);
}

/* ---- a pull without waiting ---- */

/* The work of one transaction. LK_RACE: that was a batch of what had to go out of the way, and not
 * yet the portion. */
static lk_status
jobs_claim(lki_lmdb_txn *t, pull *p)
{
    lk_status status = due_notice_some(t, p);
    if (status == LK_OK)
        p->batch = 0;
    while (status == LK_OK && p->taken < p->wanted && p->batch < BATCH)
        status = job_next(t, p);
    bool cut = status == LK_OK && p->taken == 0;
    if (cut && p->removed < BATCH && p->turns < TURNS)
        return LK_RACE;
    p->more = cut || (p->due_is_left && p->taken == 0);
    return status == LK_NOT_FOUND ? LK_OK : status;
}

/* Nothing was found. LK_EMPTY. LK_CLOSED: the queue is closed, and once what has expired is out it
 * has no job. */
static lk_status
nothing_judge(lki_lmdb_txn *t, pull *p)
{
    bool more;
    lk_status status = lki_lmdb_queue_use(t, p->options->pk);
    p->exists = t->queue_exists;
    if (status != LK_OK || t->queue.closed == 0)
        return status == LK_OK ? LK_EMPTY : status;
    status = lki_lmdb_expire(t, BATCH, &more);
    if (status == LK_OK)
        status = lki_lmdb_queue_use(t, p->options->pk);
    int64_t due = lki_lmdb_expiry_as_due(t->time, t->now_ms, t->first_expiry_ms);
    if (due < p->first_due)
        p->first_due = due;
    return status != LK_OK ? status : t->queue.depth == 0 ? LK_CLOSED : LK_EMPTY;
}

/* One transaction. LK_OK, LK_EMPTY, LK_CLOSED; LK_RACE: once more. */
static lk_status
pull_try(pull *p)
{
    lki_lmdb_txn t;
    lk_status status = lki_lmdb_begin(p->store, &t);
    if (status != LK_OK)
        return status;
    p->taken = p->batch = p->now_noticed = p->buried = 0;
    p->more = false;
    p->turns++;
    lk_result_draft(p->result);
    status = jobs_claim(&t, p);
    lk_status found = status;
    if (status == LK_OK && p->taken == 0)
        found = p->more ? LK_EMPTY : nothing_judge(&t, p);
    p->exists |= p->more;
    status = lki_lmdb_end(&t, found < LK_OK ? found : LK_OK);
    if (status == LK_OK && p->buried != 0)
        lki_lmdb_notify(p->store, p->options->dead_pk, p->buried);
    if (status == LK_OK && p->now_noticed > p->taken) /* they are visible, and not this one's */
        lki_lmdb_notify(p->store, p->options->pk, p->now_noticed - p->taken);
    return status != LK_OK || p->taken != 0 ? status : found;
}

static lk_status
pull_once(pull *p)
{
    p->noticed = p->removed = p->turns = 0;
    p->more = false;
    lk_status status = pull_look(p);
    if (status != LK_OK)
        return status;
    do
        status = pull_try(p);
    while (status == LK_RACE);
    return status;
}

/* ---- waiting ---- */

static lk_status
pull_wait(pull *p)
{
    lki_lmdb *store = p->store;
    lki_lmdb_waiter waiter;
    lk_status status = lki_lmdb_waiter_join(store, &waiter, &p->queue);
    if (status != LK_OK)
        return status;
    int64_t wait_ms = p->options->wait_ms;
    int64_t begin = lki_lmdb_time(store, lki_lmdb_monotonic(store));
    int64_t end = wait_ms < 0 ? INT64_MAX : lki_lmdb_after(begin, wait_ms);
    for (;;) {
        lki_lmdb_waiter_look(store, &waiter);
        status = pull_once(p);
        if (status != LK_EMPTY)
            break;
        if (lki_lmdb_time(store, lki_lmdb_monotonic(store)) >= end) {
            status = LK_TIMED_OUT;
            break;
        }
        if (!p->more)
            lki_lmdb_waiter_sleep(store, &waiter, p->first_due, end);
    }
    lki_lmdb_waiter_leave(store, &waiter, p->first_due);
    if (status < LK_OK) /* perhaps it was woken for a job, which another one can take */
        lki_lmdb_notify(store, p->options->pk, 1);
    return status;
}

lk_status
lki_lmdb_queue_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    pull p = {.store = state,
              .options = options,
              .result = result,
              .wanted = options->max_jobs != 0 ? options->max_jobs : 1};
    if (options->max_receives != 0 && options->dead_pk.size > LKI_LMDB_QUEUE_MAX)
        return LK_TOO_BIG; /* a dead letter may need a generated sk */
    lki_lmdb_key_frame(&p.queue, options->pk);
    lk_status status = pull_once(&p);
    if (status == LK_EMPTY && options->wait_ms != 0)
        status = pull_wait(&p);
    if (p.exists && (status == LK_EMPTY || status == LK_CLOSED || status == LK_TIMED_OUT))
        lki_lmdb_tally_add(p.store, options->pk); /* once, however often it has looked */
    /* Nobody is woken for the deadline of the claim: the waiter that was woken for the job looks,
     * and then watches over it. */
    lki_lmdb_watch_refresh(p.store, options->pk);
    if (status == LK_OK)
        lk_result_publish(result);
    return status;
}
