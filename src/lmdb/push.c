/* SPDX-License-Identifier: MIT
 *
 * Pushes. Called through the table of operations; lki_lmdb_job_push by others, too (push.h).
 *
 * A push is one transaction. Waiters hear of what is visible now, or will be, after the commit: a
 * waiting pull that looked before the commit is woken, one that looks later sees the job.
 */
#include "lmdb/push.h"

#include <stdlib.h>

#include "lmdb/end.h"
#include "lmdb/expire.h"
#include "lmdb/item.h"
#include "lmdb/job.h"
#include "lmdb/operations.h"
#include "lmdb/reader.h"
#include "lmdb/wait.h"

enum { EXPIRE_AT_ONCE = 512 };

/* ---- one job ---- */

/* Completes the key of a job without an sk: the next ULID of the queue in use that no item has. */
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
        status = generated ? sk_generate(t, &key) : lki_lmdb_live_find(t, &key, &old, &there);
    if (status == LK_OK && there && push->unique)
        status = LK_EXISTS;
    bool replaces = there && (old.flags & LKI_LMDB_ITEM_IS_JOB) != 0;
    if (status == LK_OK && replaces)
        status = lki_lmdb_job_find(t, &key, &old_job);
    if (status != LK_OK)
        return status;
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

/* ---- depth ---- */

lk_status
lki_lmdb_depth_check(lki_lmdb_txn *t, lk_bytes pk, const lki_lmdb_push *push)
{
    if (push->max_depth == 0 || push->added == 0 || t->queue.depth <= push->max_depth)
        return LK_OK;
    bool more;
    lk_status status = lki_lmdb_expire(t, EXPIRE_AT_ONCE, &more);
    if (status == LK_OK)
        status = lki_lmdb_queue_use(t, pk);
    if (status != LK_OK || t->queue.depth <= push->max_depth)
        return status;
    t->is_crowded = more && push->portions > 0;
    return t->is_crowded ? LK_RACE : LK_BUSY;
}

/* Other writers come in between portions. */
lk_status
lki_lmdb_expired_drop(lki_lmdb *store)
{
    lki_lmdb_txn t;
    bool more;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    t.tends = false;
    return lki_lmdb_end(&t, lki_lmdb_expire(&t, EXPIRE_AT_ONCE, &more));
}

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

/* All in one transaction, or nothing. LK_RACE: as lki_lmdb_depth_check. */
static lk_status
jobs_push(lki_lmdb_txn *t, const lk_item *jobs, size_t count, lki_lmdb_push *push)
{
    push->added = 0;
    if (push->pushed != NULL)
        lk_result_draft(push->pushed);
    lk_status status = jobs_check(t->store, jobs, count);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lki_lmdb_job_push(t, &jobs[i], push);
    return status == LK_OK ? lki_lmdb_depth_check(t, jobs[0].key.pk, push) : status;
}

lk_status
lki_lmdb_queue_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
                    lk_result *pushed)
{
    lki_lmdb *store = state;
    lki_lmdb_txn t;
    lki_lmdb_push push = {.delay_ms = options->delay_ms,
                          .max_depth = options->max_depth,
                          .unique = options->unique,
                          .portions = LKI_LMDB_PORTIONS,
                          .pushed = pushed};
    lk_status status;
    for (;; push.portions--) {
        status = lki_lmdb_begin(store, &t);
        if (status != LK_OK)
            return status;
        status = jobs_push(&t, jobs, count, &push);
        status = lki_lmdb_end(&t, status);
        if (status != LK_RACE)
            break;
        status = lki_lmdb_expired_drop(store);
        if (status != LK_OK)
            break;
    }
    if (status != LK_OK)
        return status;
    lki_lmdb_notify_after(store, jobs[0].key.pk, count, t.time, options->delay_ms);
    if (pushed != NULL)
        lk_result_publish(pushed); /* from here on the jobs may be gone: they may lie in it */
    return LK_OK;
}
