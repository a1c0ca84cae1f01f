/* SPDX-License-Identifier: MIT
 *
 * Calls of the contract that this version does not have.
 */
#include "api/check.h"

static lk_status
unsupported(const void *handle)
{
    return handle == NULL ? LK_INVALID : LK_UNSUPPORTED;
}

lk_status
lk_cache_open(lk_db *inner, const lk_cache_options *options, lk_db **db)
{
    (void)options;
    return db == NULL ? LK_INVALID : unsupported(inner);
}

lk_status
lk_postgres_open(const char *conninfo, const lk_postgres_options *options, lk_db **db)
{
    (void)options;
    return db == NULL ? LK_INVALID : unsupported(conninfo);
}

lk_status
lk_queue_push(lk_db *db, const lk_item *jobs, size_t count, const lk_push_options *options,
              lk_result *pushed)
{
    (void)jobs, (void)count, (void)options, (void)pushed;
    return unsupported(db);
}

lk_status
lk_queue_pull(lk_db *db, const lk_pull_options *options, lk_result *result)
{
    (void)options, (void)result;
    return unsupported(db);
}

lk_status
lk_queue_acknowledge(lk_db *db, const lk_claim *claims, size_t count)
{
    (void)claims, (void)count;
    return unsupported(db);
}

lk_status
lk_queue_release(lk_db *db, const lk_claim *claim, int64_t delay_ms)
{
    (void)claim, (void)delay_ms;
    return unsupported(db);
}

lk_status
lk_queue_extend(lk_db *db, lk_claim *claim, int64_t visibility_ms)
{
    (void)claim, (void)visibility_ms;
    return unsupported(db);
}

lk_status
lk_queue_stats(lk_db *db, lk_bytes pk, lk_queue_statistics *stats)
{
    (void)pk, (void)stats;
    return unsupported(db);
}

lk_status
lk_queue_purge(lk_db *db, lk_bytes pk, size_t *purged)
{
    (void)pk, (void)purged;
    return unsupported(db);
}

lk_status
lk_queue_close(lk_db *db, lk_bytes pk)
{
    (void)pk;
    return unsupported(db);
}

lk_status
lk_queue_fd(lk_db *db, lk_bytes pk, int *fd)
{
    (void)pk, (void)fd;
    return unsupported(db);
}
