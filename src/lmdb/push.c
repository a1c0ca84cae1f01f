/* SPDX-License-Identifier: MIT
 *
 * Pushes and acknowledgements, releases, extensions: what producers and holders of claims call.
 * Through the table of operations.
 *
 * Each is one transaction. What is visible now, or will be, is called out after the commit: a
 * waiting pull that looked before it is woken, one that looks later sees it.
 */
#include <stdlib.h>

#include "lmdb/store.h"

enum { EXPIRE_AT_ONCE = 512, PORTIONS = 16 };

/* ---- push ---- */

static int
sk_compare(const void *left, const void *right)
{
    return lk_bytes_compare(*(const lk_bytes *)left, *(const lk_bytes *)right);
}

/* LK_INVALID: a key is named twice. LK_TOO_BIG: more jobs than a commit has, with keys. */
static lk_status
jobs_check(lki_lmdb *store, const lk_item *jobs, size_t count)
{
    size_t named = 0;
    for (size_t i = 0; i < count; i++)
        named += jobs[i].key.sk.size != 0;
    if (named != 0 && count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    if (named < 2)
        return LK_OK;
    named = 0;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].key.sk.size != 0)
            store->sorted[named++] = jobs[i].key.sk;
    qsort(store->sorted, named, sizeof *store->sorted, sk_compare);
    for (size_t i = 1; i < named; i++)
        if (sk_compare(&store->sorted[i - 1], &store->sorted[i]) == 0)
            return LK_INVALID;
    return LK_OK;
}

/* Is the queue too deep with what was added? What has expired does not count: some of it goes
 * first. LK_RACE: it is, but more has expired, and there are portions left. */
static lk_status
depth_check(lki_lmdb_txn *t, lk_bytes pk, size_t max_depth, size_t added, int portions)
{
    if (max_depth == 0 || added == 0 || t->queue.depth <= max_depth)
        return LK_OK;
    bool more;
    lk_status status = lki_lmdb_expire(t, EXPIRE_AT_ONCE, &more);
    if (status == LK_OK)
        status = lki_lmdb_queue_use(t, pk);
    if (status != LK_OK || t->queue.depth <= max_depth)
        return status;
    return more && portions > 0 ? LK_RACE : LK_BUSY;
}

/* All in one transaction, or nothing. LK_RACE: as depth_check. */
static lk_status
jobs_push(lki_lmdb_txn *t, const lk_item *jobs, size_t count, size_t max_depth, int portions,
          lki_lmdb_push *push)
{
    lki_lmdb *store = t->store;
    push->added = 0;
    if (push->pushed != NULL)
        lk_result_draft(push->pushed);
    lk_status status = jobs_check(store, jobs, count);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lki_lmdb_job_push(t, &jobs[i], push);
    return status == LK_OK ? depth_check(t, jobs[0].key.pk, max_depth, push->added, portions)
                           : status;
}

/* Takes out a portion of what has expired. Between portions others come to write. */
static lk_status
expired_drop(lki_lmdb *store)
{
    lki_lmdb_txn t;
    bool more;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    t.tends = false;
    return lki_lmdb_end(&t, lki_lmdb_expire(&t, EXPIRE_AT_ONCE, &more));
}

lk_status
lki_lmdb_queue_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                    lk_result *pushed)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    lki_lmdb_push push = {
        .delay_ms = options->delay_ms, .unique = options->unique, .pushed = pushed};
    lk_status status;
    for (int portions = PORTIONS;; portions--) {
        status = lki_lmdb_begin(store, &t);
        if (status != LK_OK)
            return status;
        status = jobs_push(&t, jobs, count, options->max_depth, portions, &push);
        status = lki_lmdb_end(&t, status);
        if (status != LK_RACE)
            break;
        status = expired_drop(store);
        if (status != LK_OK)
            break;
    }
    if (status != LK_OK)
        return status;
    if (options->delay_ms == 0)
        lki_lmdb_call(store, jobs[0].key.pk, count);
    else
        lki_lmdb_call_at(store, jobs[0].key.pk, lki_lmdb_after(t.time, options->delay_ms));
    if (pushed != NULL)
        lk_result_publish(pushed); /* from here on the jobs may be gone: they may lie in it */
    return LK_OK;
}

/* ---- acknowledge ---- */

/* A claim that is lost changes nothing but the queue's count, if that is there. */
static lk_status
lost_count(lki_lmdb_txn *t, lk_bytes pk)
{
    lk_status status = lki_lmdb_queue_use(t, pk);
    if (status == LK_OK && t->queue_exists) {
        t->queue.lost++;
        t->queue_changed = true;
    }
    return status;
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
            status = lost_count(&t, claims[i].key.pk);
    }
    status = lki_lmdb_end(&t, status < LK_OK ? status : LK_OK);
    return status != LK_OK ? status : first;
}

/* ---- release, extend ---- */

/* Judges a claim and makes of its job what `to` says: phase, and after how long. */
static lk_status
claim_change(lki_lmdb *store, const lk_claim *claim, int64_t after_ms, uint8_t phase,
             lki_lmdb_txn *t)
{
    lki_lmdb_key key;
    lki_lmdb_job job;
    lk_status status = lki_lmdb_begin(store, t);
    if (status != LK_OK)
        return status;
    lki_lmdb_key_make(&key, claim->key);
    lk_status judged = lki_lmdb_claim_judge(t, &key, claim->token, &job);
    if (judged == LK_OK || judged == LK_LATE) {
        lki_lmdb_job to = job;
        to.phase = phase;
        to.time = phase == LKI_LMDB_READY ? 0 : lki_lmdb_after(t->time, after_ms);
        to.token = phase == LKI_LMDB_CLAIMED ? job.token : 0;
        status = lki_lmdb_job_change(t, &key, &job, &to);
        t->queue.late += judged == LK_LATE && phase != LKI_LMDB_CLAIMED;
    } else {
        status = judged == LK_LOST ? lost_count(t, claim->key.pk) : judged;
    }
    status = lki_lmdb_end(t, status);
    return status != LK_OK ? status : judged;
}

lk_status
lki_lmdb_queue_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    lk_status status =
        claim_change(store, claim, delay_ms, delay_ms > 0 ? LKI_LMDB_DELAYED : LKI_LMDB_READY, &t);
    if (status != LK_OK && status != LK_LATE)
        return status;
    if (delay_ms == 0)
        lki_lmdb_call(store, claim->key.pk, 1);
    else
        lki_lmdb_call_at(store, claim->key.pk, lki_lmdb_after(t.time, delay_ms));
    return status;
}

lk_status
lki_lmdb_queue_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    if (visibility_ms == 0)
        visibility_ms = LK_MINUTES(5);
    int64_t after_ms = lki_lmdb_after(visibility_ms, 1); /* lapsed iff now > deadline */
    lk_status status = claim_change(store, claim, after_ms, LKI_LMDB_CLAIMED, &t);
    if (status != LK_OK && status != LK_LATE)
        return status;
    lki_lmdb_call_at(store, claim->key.pk, lki_lmdb_after(t.time, after_ms));
    claim->deadline_ms = lki_lmdb_after(t.monotonic_ms, visibility_ms);
    return LK_OK;
}
