/* SPDX-License-Identifier: MIT
 *
 * Claims: acknowledged, released, extended. Called through the table of operations, and by commits
 * (claim.h).
 */
#include "lmdb/claim.h"

#include "lmdb/end.h"
#include "lmdb/item.h"
#include "lmdb/job.h"
#include "lmdb/operations.h"
#include "lmdb/reader.h"
#include "lmdb/wait.h"

/* LK_OK, LK_LATE or LK_LOST, and the job. */
static lk_status
claim_judge(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t token, lki_lmdb_job *job)
{
    lki_lmdb_item item;
    lk_status status = lki_lmdb_item_find(t->store, t->txn, key, &item);
    bool is_job = status == LK_OK && (item.flags & LKI_LMDB_ITEM_IS_JOB) != 0 &&
                  !lk_has_expired(item.expires_at_ms, t->now_ms);
    if (!is_job)
        return status == LK_OK || status == LK_NOT_FOUND ? LK_LOST : status;
    status = lki_lmdb_job_find(t, key, job);
    if (status != LK_OK)
        return status;
    if (token == 0)
        return LK_OK;
    if (!lki_lmdb_job_has_claim(job) || job->token != token)
        return LK_LOST;
    return t->time >= job->time ? LK_LATE : LK_OK;
}

lk_status
lki_lmdb_job_acknowledge(lki_lmdb_txn *t, const lk_claim *claim, uint64_t *version)
{
    lki_lmdb_key key;
    lki_lmdb_job job;
    lki_lmdb_key_make(&key, claim->key);
    lk_status judged = claim_judge(t, &key, claim->token, &job);
    if (judged != LK_OK && judged != LK_LATE)
        return judged;
    lk_status status = lki_lmdb_key_remove(t, &key, version);
    if (status != LK_OK)
        return status;
    t->queue.late += judged == LK_LATE; /* its queue is in use: the job was taken out of it */
    return judged;
}

/* Counts a claim that was lost, in its queue, if that is there. */
static lk_status
loss_count(lki_lmdb_txn *t, lk_bytes pk)
{
    lk_status status = lki_lmdb_queue_use(t, pk);
    if (status == LK_OK && t->queue_exists) {
        t->queue.lost++;
        t->queue_changed = true;
    }
    return status;
}

void
lki_lmdb_loss_note(lki_lmdb *store, lk_bytes pk)
{
    lki_lmdb_txn t;
    if (lki_lmdb_begin(store, &t) == LK_OK)
        (void)lki_lmdb_end(&t, loss_count(&t, pk));
}

lk_status
lki_lmdb_queue_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    lk_status first = LK_OK, status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; status >= LK_OK && i < count; i++) {
        status = lki_lmdb_job_acknowledge(&t, &claims[i], NULL);
        first = first == LK_OK && status >= LK_OK ? status : first;
        if (status == LK_LOST)
            status = loss_count(&t, claims[i].key.pk);
    }
    status = lki_lmdb_end(&t, status < LK_OK ? status : LK_OK);
    return status != LK_OK ? status : first;
}

/* ---- release, extend ---- */

/* Judges a claim. If it is good, its job gets the phase and is visible after so many
 * milliseconds. */
static lk_status
claim_change(lki_lmdb_txn *t, const lk_claim *claim, int64_t after_ms, uint8_t phase)
{
    lki_lmdb_key key;
    lki_lmdb_job job;
    lki_lmdb_key_make(&key, claim->key);
    lk_status judged = claim_judge(t, &key, claim->token, &job);
    if (judged != LK_OK && judged != LK_LATE)
        return judged;
    lki_lmdb_job to = job;
    to.phase = phase;
    to.time = phase == LKI_LMDB_READY ? 0 : lki_lmdb_after(t->time, after_ms);
    to.token = phase == LKI_LMDB_CLAIMED ? job.token : 0;
    lk_status status = lki_lmdb_job_change(t, &key, &job, &to);
    t->queue.late += judged == LK_LATE && phase != LKI_LMDB_CLAIMED;
    return status == LK_OK ? judged : status;
}

lk_status
lki_lmdb_job_release(lki_lmdb_txn *t, const lk_claim *claim, int64_t delay_ms)
{
    return claim_change(t, claim, delay_ms, delay_ms > 0 ? LKI_LMDB_DELAYED : LKI_LMDB_READY);
}

lk_status
lki_lmdb_queue_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    if (visibility_ms == 0)
        visibility_ms = LK_MINUTES(5);
    int64_t after_ms = lki_lmdb_after(visibility_ms, 1); /* lapsed iff now > deadline */
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    status = lki_lmdb_end(&t, claim_change(&t, claim, after_ms, LKI_LMDB_CLAIMED));
    if (status == LK_LOST)
        lki_lmdb_loss_note(store, claim->key.pk);
    if (status != LK_OK && status != LK_LATE)
        return status;
    lki_lmdb_notify_at(store, claim->key.pk, lki_lmdb_after(t.time, after_ms));
    claim->deadline_ms = lki_lmdb_after(t.monotonic_ms, visibility_ms);
    return LK_OK;
}
