/* SPDX-License-Identifier: MIT
 *
 * lk_commit, and lk_set_atomic by way of the library. Called through the table of operations.
 */
#include "postgres/operations.h"
#include "postgres/plan.h"

lk_status
lki_pg_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
              size_t lock_count, lk_conflict *conflict)
{
    lki_pg_plan p = {.store = state,
                     .writes = writes,
                     .write_count = write_count,
                     .locks = locks,
                     .lock_count = lock_count,
                     .conflict = conflict};
    lk_status status = lki_pg_held_commit(&p);
    lki_pg_plan_free(&p);
    lki_pg_count(&p.store->commits, status == LK_OK || status == LK_LATE);
    lki_pg_count(&p.store->races, status == LK_RACE);
    return status;
}
