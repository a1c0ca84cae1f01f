/* SPDX-License-Identifier: MIT
 *
 * Jobs: their rows and where they wait, how they come and how they are done. Called by the other
 * files of the queue, by item.c and by commit.c, inside a write transaction.
 *
 *               push                 pull
 *   (nothing) --------> READY ----------------> CLAIMED ----> (nothing)
 *        \                ^  ^                   |  |  ^ extend
 *         \ delay         |  | a pull notices    |  |__|
 *          `-> DELAYED ---'  '---- LAPSED <------'     time passes; a pull notices
 *                 ^                 | acknowledge (LATE), release (LATE), extend; or claimed anew
 *                 '---- release ----'
 *
 * Invariants  I-lmdb4: a job is in ready (READY, LAPSED) or in due (DELAYED, CLAIMED), once.
 *             I-lmdb5: the depth of a queue is the number of its rows in jobs.
 */
#include "lmdb/store.h"

lk_status
lki_lmdb_job_find(const lki_lmdb *store, MDB_txn *txn, const lki_lmdb_key *key, lki_lmdb_job *job)
{
    return lki_lmdb_row(txn, store->jobs, key, job, sizeof *job);
}

/* It waits in the same place as before. */
static bool
place_is_kept(const lki_lmdb_job *old, const lki_lmdb_job *to)
{
    return old != NULL && to != NULL &&
           lki_lmdb_job_is_in_ready(old) == lki_lmdb_job_is_in_ready(to) &&
           (lki_lmdb_job_is_in_ready(old) || old->time == to->time);
}

static lk_status
place_drop(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *job)
{
    if (lki_lmdb_job_is_in_ready(job))
        return lki_lmdb_del(t, t->store->ready, key);
    lki_lmdb_key due;
    lki_lmdb_key_due(&due, key, job->time);
    return lki_lmdb_del(t, t->store->due, &due);
}

static lk_status
place_add(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *job)
{
    if (lki_lmdb_job_is_in_ready(job))
        return lki_lmdb_put(t, t->store->ready, key, NULL, 0);
    lki_lmdb_key due;
    lki_lmdb_key_due(&due, key, job->time);
    return lki_lmdb_put(t, t->store->due, &due, NULL, 0);
}

lk_status
lki_lmdb_job_change(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *old,
                    const lki_lmdb_job *to)
{
    lk_status status = lki_lmdb_queue_use(t, lki_lmdb_key_pk(key));
    t->queue.depth += (uint64_t)(to != NULL) - (uint64_t)(old != NULL);
    t->queue_changed = true;
    t->is_over |= t->queue.closed != 0 && t->queue.depth == 0;
    if (status == LK_OK && old != NULL && !place_is_kept(old, to))
        status = place_drop(t, key, old);
    if (status == LK_OK && to != NULL && !place_is_kept(old, to))
        status = place_add(t, key, to);
    if (status != LK_OK)
        return status;
    return to != NULL ? lki_lmdb_put(t, t->store->jobs, key, to, sizeof *to)
                      : lki_lmdb_del(t, t->store->jobs, key);
}

lk_status
lki_lmdb_job_drop(lki_lmdb_txn *t, const lki_lmdb_key *key)
{
    lki_lmdb_job job;
    lk_status status = lki_lmdb_job_find(t->store, t->txn, key, &job);
    if (status != LK_OK)
        return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status; /* I-lmdb1 */
    return lki_lmdb_job_change(t, key, &job, NULL);
}

/* ---- push ---- */

/* The next ULID of the queue in use, for which there is no item. */
static lk_status
sk_generate(lki_lmdb_txn *t, lki_lmdb_key *key)
{
    size_t front = key->size;
    for (;;) {
        lki_lmdb_item item;
        lk_ulid_next(t->queue.ulid, t->now_ms);
        key->size = front;
        lki_lmdb_key_append(key, t->queue.ulid, LK_ULID_SIZE);
        lk_status status = lki_lmdb_item_find(t->store, t->txn, key, &item);
        if (status != LK_OK)
            return status == LK_NOT_FOUND ? LK_OK : status;
    }
}

/* What is at the key of a push; if that has expired it goes. *job: the row of the job that is
 * replaced. */
static lk_status
push_look(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_item *item, bool *there,
          lki_lmdb_job *job)
{
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, item);
    *there = status == LK_OK && !lk_has_expired(item->expires_at_ms, t->now_ms);
    if (status == LK_OK && !*there)
        return lki_lmdb_found_remove(t, key, item, NULL);
    if (status == LK_NOT_FOUND)
        return LK_OK;
    if (status == LK_OK && (item->flags & LKI_LMDB_ITEM_IS_JOB) != 0) {
        status = lki_lmdb_job_find(t->store, t->txn, key, job);
        status = status == LK_NOT_FOUND ? LK_UNAVAILABLE : status; /* I-lmdb1 */
    }
    return status;
}

lk_status
lki_lmdb_job_push(lki_lmdb_txn *t, const lk_item *item, lki_lmdb_push *push)
{
    lki_lmdb_key key;
    lki_lmdb_item old;
    lki_lmdb_job old_job, job = {.phase = LKI_LMDB_READY};
    bool there = false, generated = item->key.sk.size == 0;
    if (generated && item->key.pk.size > LKI_LMDB_QUEUE_MAX)
        return LK_TOO_BIG;
    lki_lmdb_key_make(&key, item->key);
    if (!lki_lmdb_key_fits(&key))
        return LK_TOO_BIG;
    lk_status status = lki_lmdb_queue_use(t, item->key.pk);
    if (status == LK_OK && t->queue.closed != 0 && !push->even_closed)
        return LK_CLOSED;
    if (status == LK_OK)
        status = generated ? sk_generate(t, &key) : push_look(t, &key, &old, &there, &old_job);
    if (status != LK_OK)
        return status;
    if (there && push->unique)
        return LK_EXISTS;
    bool replaces = there && (old.flags & LKI_LMDB_ITEM_IS_JOB) != 0;
    job.generated = generated;
    if (push->delay_ms > 0) {
        job.phase = LKI_LMDB_DELAYED;
        job.time = lki_lmdb_after(t->time, push->delay_ms);
    }
    status = lki_lmdb_item_write(t, &key, there ? &old : NULL, item, LKI_LMDB_ITEM_IS_JOB);
    if (status == LK_OK)
        status = lki_lmdb_job_change(t, &key, replaces ? &old_job : NULL, &job);
    if (status == LK_OK && push->pushed != NULL) {
        lk_item stored = {lki_lmdb_key_names(&key), item->data, item->expires_at_ms};
        status = lk_result_add(push->pushed, &stored);
    }
    push->added += !replaces;
    t->queue.pushes++;
    return status;
}

/* ---- claims ---- */

lk_status
lki_lmdb_claim_judge(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t token, lki_lmdb_job *job)
{
    lki_lmdb_item item;
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, &item);
    bool is_job = status == LK_OK && (item.flags & LKI_LMDB_ITEM_IS_JOB) != 0 &&
                  !lk_has_expired(item.expires_at_ms, t->now_ms);
    if (!is_job)
        return status == LK_OK || status == LK_NOT_FOUND ? LK_LOST : status;
    status = lki_lmdb_job_find(t->store, t->txn, key, job);
    if (status != LK_OK)
        return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status; /* I-lmdb1 */
    if (token == 0)
        return LK_OK;
    bool claimed = job->phase == LKI_LMDB_CLAIMED || job->phase == LKI_LMDB_LAPSED;
    if (!claimed || job->token != token)
        return LK_LOST;
    return t->time >= job->time ? LK_LATE : LK_OK;
}

lk_status
lki_lmdb_job_acknowledge(lki_lmdb_txn *t, const lk_claim *claim, uint64_t *version)
{
    lki_lmdb_key key;
    lki_lmdb_job job;
    lki_lmdb_key_make(&key, claim->key);
    lk_status judged = lki_lmdb_claim_judge(t, &key, claim->token, &job);
    if (judged != LK_OK && judged != LK_LATE)
        return judged;
    lk_status status = lki_lmdb_key_remove(t, &key, version);
    if (status != LK_OK)
        return status;
    t->queue.late += judged == LK_LATE; /* its queue is in use: the job was taken out of it */
    return judged;
}
