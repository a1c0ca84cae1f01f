/* SPDX-License-Identifier: MIT
 *
 * Jobs: their rows and where they wait; see job.h.
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
#include "lmdb/job.h"

#include "lmdb/reader.h"

lk_status
lki_lmdb_job_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_job *job)
{
    lk_status status = lki_lmdb_row(t->txn, t->store->in.jobs, key, job, sizeof *job);
    return status == LK_NOT_FOUND ? LK_UNAVAILABLE : status;
}

/* Does the job wait in the same place as before? */
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
        return lki_lmdb_del(t, t->store->in.ready, key);
    lki_lmdb_key due;
    lki_lmdb_key_due(&due, key, job->time);
    return lki_lmdb_del(t, t->store->in.due, &due);
}

static lk_status
place_add(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *job)
{
    if (lki_lmdb_job_is_in_ready(job))
        return lki_lmdb_put(t, t->store->in.ready, key, NULL, 0);
    lki_lmdb_key due;
    lki_lmdb_key_due(&due, key, job->time);
    return lki_lmdb_put(t, t->store->in.due, &due, NULL, 0);
}

lk_status
lki_lmdb_job_change(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *old,
                    const lki_lmdb_job *to)
{
    lk_status status = lki_lmdb_queue_use(t, lki_lmdb_key_pk(key));
    LKI_LMDB_ASSERT(old != NULL || to != NULL);
    LKI_LMDB_ASSERT(to == NULL || (to->phase >= LKI_LMDB_READY && to->phase <= LKI_LMDB_LAPSED));
    t->queue.depth += (uint64_t)(to != NULL) - (uint64_t)(old != NULL);
    t->queue_changed = true;
    t->is_over |= t->queue.closed != 0 && t->queue.depth == 0;
    if (status == LK_OK && old != NULL && !place_is_kept(old, to))
        status = place_drop(t, key, old);
    if (status == LK_OK && to != NULL && !place_is_kept(old, to))
        status = place_add(t, key, to);
    if (status != LK_OK)
        return status;
    return to != NULL ? lki_lmdb_put(t, t->store->in.jobs, key, to, sizeof *to)
                      : lki_lmdb_del(t, t->store->in.jobs, key);
}

lk_status
lki_lmdb_job_drop(lki_lmdb_txn *t, const lki_lmdb_key *key)
{
    lki_lmdb_job job;
    lk_status status = lki_lmdb_job_find(t, key, &job);
    return status == LK_OK ? lki_lmdb_job_change(t, key, &job, NULL) : status;
}
