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
