/* SPDX-License-Identifier: MIT
 *
 * The public calls of queues: arguments are checked here, as api.c does for the others.
 */
#include "api/check.h"
#include "base/result.h"

/* A queue's name. */
static lk_status
queue_check(const lk_db *db, lk_bytes pk)
{
    return lki_check_key(db, &(lk_key){.pk = pk});
}

static lk_status
claim_check(const lk_db *db, const lk_claim *claim)
{
    return claim == NULL ? LK_INVALID : lki_check_key(db, &claim->key);
}

static bool
bytes_are_equal(lk_bytes left, lk_bytes right)
{
    return left.size == right.size &&
           (LKI_LIKELY(left.data == right.data) || lk_bytes_compare(left, right) == 0);
}

lk_status
lk_queue_push(lk_db *db, const lk_item *jobs, size_t count, const lk_push_options *options,
              lk_result *pushed)
{
    static const lk_push_options defaults = LK_PUSH_OPTIONS_INIT;
    if (LKI_UNLIKELY(db == NULL || (jobs == NULL && count != 0)))
        return LK_INVALID;
    if (db->operations.push == NULL)
        return lki_db_lacks(db);
    if (options == NULL)
        options = &defaults;
    if (options->delay_ms < 0)
        return LK_INVALID;
    bool named = false;
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_item(db, &jobs[i]);
        if (LKI_UNLIKELY(status != LK_OK))
            return status;
        if (LKI_UNLIKELY(i > 0 && !bytes_are_equal(jobs[i].key.pk, jobs[0].key.pk)))
            return LK_INVALID;
        named |= jobs[i].key.sk.size != 0;
    }
    if (LKI_UNLIKELY(named)) { /* one step, as a commit */
        lk_status status = count > LK_COMMIT_MAX ? LK_TOO_BIG : LK_OK;
        if (status == LK_OK && (db->capabilities & LK_CHECKS_DUPLICATES) == 0)
            status = lki_check_duplicates(&(lki_named){.items = jobs, .count = count, .jobs = true},
                                          NULL, 0);
        if (status != LK_OK)
            return status;
    }
    if (LKI_UNLIKELY(count == 0)) {
        if (pushed != NULL)
            (void)lki_result_begin(pushed, 0, 0);
        return LK_OK;
    }
    return db->operations.push(db->state, jobs, count, options, pushed);
}

lk_status
lk_queue_pull(lk_db *db, const lk_pull_options *options, lk_result *result)
{
    if (LKI_UNLIKELY(db == NULL || options == NULL || result == NULL))
        return LK_INVALID;
    if (db->operations.pull == NULL)
        return lki_db_lacks(db);
    lk_status status = queue_check(db, options->pk);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_UNLIKELY(options->visibility_ms < 0 || options->wait_ms < -1))
        return LK_INVALID;
    if (LKI_UNLIKELY(options->max_receives != 0)) {
        status = queue_check(db, options->dead_pk);
        if (status != LK_OK)
            return status;
        if (bytes_are_equal(options->dead_pk, options->pk))
            return LK_INVALID;
    }
    return db->operations.pull(db->state, options, result);
}

lk_status
lk_queue_acknowledge(lk_db *db, const lk_claim *claims, size_t count)
{
    if (LKI_UNLIKELY(db == NULL || (claims == NULL && count != 0)))
        return LK_INVALID;
    if (db->operations.acknowledge == NULL)
        return lki_db_lacks(db);
    for (const lk_claim *claim = claims, *end = claims + count; claim != end; claim++) {
        lk_status status = lki_check_key(db, &claim->key);
        if (LKI_UNLIKELY(status != LK_OK))
            return status;
    }
    return count == 0 ? LK_OK : db->operations.acknowledge(db->state, claims, count);
}

lk_status
lk_queue_release(lk_db *db, const lk_claim *claim, int64_t delay_ms)
{
    if (db == NULL || delay_ms < 0)
        return LK_INVALID;
    if (db->operations.release == NULL)
        return lki_db_lacks(db);
    lk_status status = claim_check(db, claim);
    return status != LK_OK ? status : db->operations.release(db->state, claim, delay_ms);
}

lk_status
lk_queue_extend(lk_db *db, lk_claim *claim, int64_t visibility_ms)
{
    if (db == NULL || visibility_ms < 0)
        return LK_INVALID;
    if (db->operations.extend == NULL)
        return lki_db_lacks(db);
    lk_status status = claim_check(db, claim);
    if (status == LK_OK && claim->token == 0)
        status = LK_INVALID;
    return status != LK_OK ? status : db->operations.extend(db->state, claim, visibility_ms);
}

lk_status
lk_queue_inspect_many(lk_db *db, const lk_key *keys, size_t count, lk_job *jobs)
{
    if (db == NULL || ((keys == NULL || jobs == NULL) && count != 0))
        return LK_INVALID;
    if (db->operations.queue_inspect == NULL)
        return lki_db_lacks(db);
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_key(db, &keys[i]);
        if (status != LK_OK)
            return status;
    }
    return count == 0 ? LK_OK : db->operations.queue_inspect(db->state, keys, count, jobs);
}

lk_status
lk_queue_inspect_at(lk_db *db, const lk_key *key, lk_job *job)
{
    lk_job found;
    lk_status status =
        key == NULL || job == NULL ? LK_INVALID : lk_queue_inspect_many(db, key, 1, &found);
    if (status != LK_OK)
        return status;
    if (found.state == 0)
        return LK_NOT_FOUND;
    *job = found;
    return LK_OK;
}

lk_status
lk_queue_stats(lk_db *db, lk_bytes pk, lk_queue_statistics *stats)
{
    if (db == NULL || stats == NULL)
        return LK_INVALID;
    if (db->operations.queue_stats == NULL)
        return lki_db_lacks(db);
    lk_status status = queue_check(db, pk);
    return status != LK_OK ? status : db->operations.queue_stats(db->state, pk, stats);
}

lk_status
lk_queue_purge(lk_db *db, lk_bytes pk, size_t *purged)
{
    size_t ignored;
    if (db == NULL)
        return LK_INVALID;
    if (db->operations.queue_purge == NULL)
        return lki_db_lacks(db);
    lk_status status = queue_check(db, pk);
    return status != LK_OK
               ? status
               : db->operations.queue_purge(db->state, pk, purged != NULL ? purged : &ignored);
}

lk_status
lk_queue_close(lk_db *db, lk_bytes pk)
{
    if (db == NULL)
        return LK_INVALID;
    if (db->operations.queue_close == NULL)
        return lki_db_lacks(db);
    lk_status status = queue_check(db, pk);
    return status != LK_OK ? status : db->operations.queue_close(db->state, pk);
}

lk_status
lk_queue_fd(lk_db *db, lk_bytes pk, int *fd)
{
    if (db == NULL || fd == NULL)
        return LK_INVALID;
    if (db->operations.queue_fd == NULL)
        return lki_db_lacks(db);
    lk_status status = queue_check(db, pk);
    return status != LK_OK ? status : db->operations.queue_fd(db->state, pk, fd);
}
