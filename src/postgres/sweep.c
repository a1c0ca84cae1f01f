/* SPDX-License-Identifier: MIT
 *
 * See sweep.h. lk_sweep is called through the table of operations.
 */
#include "postgres/sweep.h"

#include "postgres/operations.h"
#include "postgres/queue.h"

enum { SWEEP_ONCE = 1000, QUEUE_KEPT_MS = 60000 };
/* One write in so many sweeps; it takes out more than these can have brought. */
enum { TIDY_EVERY = 64, TIDY_ONCE = 256 };

/* At most `limit` rows. What was swept when the answer is lost, is gone all the same. */
static lk_status
rows_sweep(lki_pg *store, size_t limit, size_t *swept)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    lki_pg_add_number(&p, (int64_t)limit);
    lk_status status = lki_pg_call(store, LKI_PG_SWEEP, true, &p, &answer);
    if (status != LK_OK)
        return status;
    *swept = (size_t)PQntuples(answer);
    PQclear(answer);
    return LK_OK;
}

/* Queues that were not used for a minute, and have neither jobs nor an end. */
static lk_status
queues_sweep(lki_pg *store)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_add_number(&p, lki_pg_now_ms(store) - QUEUE_KEPT_MS);
    lki_pg_add_number(&p, SWEEP_ONCE);
    return lki_pg_do(store, LKI_PG_SWEEP_QUEUES, true, &p);
}

lk_status
lki_pg_sweep(void *state, size_t max_items, size_t *swept)
{
    lki_pg *store = state;
    size_t done = 0, wanted = SWEEP_ONCE, one = SWEEP_ONCE;
    lk_status status = LK_OK;
    while (status == LK_OK && one == wanted) {
        size_t left = max_items == 0 ? SWEEP_ONCE : max_items - done;
        wanted = left < SWEEP_ONCE ? left : SWEEP_ONCE;
        if (wanted == 0)
            break;
        status = rows_sweep(store, wanted, &one);
        done += status == LK_OK ? one : 0;
    }
    if (status == LK_OK)
        status = queues_sweep(store);
    if (status == LK_OK)
        *swept = done;
    lki_pg_queues_tell(store);
    return status;
}

void
lki_pg_tidy(lki_pg *store)
{
    uint64_t writes = lki_pg_count_next(&store->writes);
    size_t swept;
    if (writes % TIDY_EVERY == 0)
        (void)rows_sweep(store, TIDY_ONCE, &swept); /* the next one may */
    if (writes % (TIDY_EVERY * TIDY_ONCE) == 0)
        (void)queues_sweep(store);
}
