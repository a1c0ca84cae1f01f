/* SPDX-License-Identifier: MIT
 *
 * Calls that are declared, and that this version does not have.
 */
#include <latchkey/latchkey.h>

lk_status
lk_postgres_open(const char *conninfo, const lk_postgres_options *options, lk_db **db)
{
    (void)options;
    return db == NULL || conninfo == NULL ? LK_INVALID : LK_UNSUPPORTED;
}
