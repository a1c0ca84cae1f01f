/* SPDX-License-Identifier: MIT
 *
 * What others than producers and consumers call of a queue. Called through the table of operations.
 */
#include <stdlib.h>
#include <string.h>

#include "postgres/many.h"
#include "postgres/operations.h"
#include "postgres/watch.h"

/* ---- statistics ---- */

/* The time of a generated sk; false: it is none. */
static bool
ulid_ms(lk_bytes sk, int64_t *ms)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    *ms = 0;
    for (size_t i = 0; sk.size == LK_ULID_SIZE && i < 10; i++) {
        char c = ((const char *)sk.data)[i];
        const char *at = c != '\0' ? strchr(digits, c) : NULL;
        if (at == NULL)
            return false;
        *ms = *ms << 5 | (at - digits);
    }
    return sk.size == LK_ULID_SIZE;
}

static bool
numbers_read(const PGresult *answer, int columns, int64_t *numbers)
{
    for (int i = 0; i < columns; i++)
        if (!lki_pg_read_number(answer, 0, i, &numbers[i]))
            return false;
    return true;
}

static lk_status
jobs_count(lki_pg *store, lk_bytes pk, lk_queue_statistics *stats)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    int64_t numbers[3], oldest_ms, now_ms = lki_pg_now_ms(store);
    lki_pg_add_number(&p, now_ms);
    lki_pg_add_bytes(&p, pk);
    lki_pg_add_number(&p, lki_pg_job_now_ms(store));
    lk_status status = lki_pg_call(store, LKI_PG_QUEUE_STATS, true, &p, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) != 1 || !numbers_read(answer, 3, numbers)) {
        PQclear(answer);
        return LK_UNAVAILABLE;
    }
    stats->ready = (uint64_t)numbers[0];
    stats->claimed = (uint64_t)numbers[1];
    stats->delayed = (uint64_t)numbers[2];
    if (!lki_pg_is_null(answer, 0, 3) && ulid_ms(lki_pg_read_bytes(answer, 0, 3), &oldest_ms) &&
        oldest_ms < now_ms)
        stats->oldest_age_ms = now_ms - oldest_ms;
    PQclear(answer);
    return LK_OK;
}

static lk_status
counters_read(lki_pg *store, lk_bytes pk, lk_queue_statistics *stats)
{
    lki_pg_parameters p = {.count = 0};
    PGresult *answer;
    int64_t numbers[LKI_PG_COUNTERS] = {0};
    lki_pg_add_bytes(&p, pk);
    lk_status status = lki_pg_call(store, LKI_PG_QUEUE_COUNTS, true, &p, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) != 0 && !numbers_read(answer, LKI_PG_COUNTERS, numbers))
        status = LK_UNAVAILABLE;
    PQclear(answer);
    stats->dead = (uint64_t)numbers[LKI_PG_DEAD];
    stats->pushes = (uint64_t)numbers[LKI_PG_PUSHES];
    stats->pulls = (uint64_t)numbers[LKI_PG_PULLS];
    stats->empty_pulls = (uint64_t)numbers[LKI_PG_EMPTY_PULLS];
    stats->lapses = (uint64_t)numbers[LKI_PG_LAPSES];
    stats->late = (uint64_t)numbers[LKI_PG_LATE];
    stats->lost = (uint64_t)numbers[LKI_PG_LOST];
    return status;
}

lk_status
lki_pg_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lki_pg *store = state;
    lki_pg_queue *queue;
    lk_queue_statistics read = {0};
    lk_status status = lki_pg_queue_take(store, pk, &queue);
    if (status != LK_OK)
        return status;
    status = lki_pg_queue_flush(store, queue);
    lki_pg_queue_give(store, queue);
    if (status == LK_OK)
        status = jobs_count(store, pk, &read);
    if (status == LK_OK)
        status = counters_read(store, pk, &read);
    if (status == LK_OK)
        *stats = read;
    return status;
}

lk_status
lki_pg_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    lki_pg *store = state;
    PGresult *answer;
    int *rows;
    int64_t job_now_ms = lki_pg_job_now_ms(store);
    lk_status status = lki_pg_ask_keys(store, LKI_PG_INSPECT, keys, count, &answer, &rows);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        int64_t visible_at_ms, claimed, receives;
        memset(&jobs[i], 0, sizeof jobs[i]);
        if (rows[i] < 0)
            continue;
        if (!lki_pg_read_number(answer, rows[i], 1, &visible_at_ms) ||
            !lki_pg_read_number(answer, rows[i], 2, &claimed) ||
            !lki_pg_read_number(answer, rows[i], 3, &receives)) {
            status = LK_UNAVAILABLE;
            break;
        }
        jobs[i].receives = (uint32_t)receives;
        jobs[i].state = LK_JOB_READY;
        if (visible_at_ms > job_now_ms) {
            jobs[i].state = claimed != 0 ? LK_JOB_CLAIMED : LK_JOB_DELAYED;
            jobs[i].changes_at_ms = lki_pg_job_as_monotonic(store, visible_at_ms);
        }
    }
    free(rows);
    PQclear(answer);
    return status;
}

/* ---- purge, close ---- */

enum { PURGE_ONCE = 1000 };

lk_status
lki_pg_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    lki_pg *store = state;
    size_t done = 0;
    lk_status status = LK_OK;
    for (int rows = PURGE_ONCE; status == LK_OK && rows != 0;) { /* some may go meanwhile */
        lki_pg_parameters p = {.count = 0};
        PGresult *answer;
        lki_pg_add_bytes(&p, pk);
        lki_pg_add_number(&p, PURGE_ONCE);
        status = lki_pg_call(store, LKI_PG_QUEUE_PURGE, false, &p, &answer);
        rows = status == LK_OK ? PQntuples(answer) : 0;
        for (int row = 0; row < rows; row++) {
            int64_t expires_at_ms = 0;
            (void)lki_pg_read_number(answer, row, 0, &expires_at_ms);
            done += !lk_has_expired(expires_at_ms, lki_pg_now_ms(store));
        }
        if (status == LK_OK)
            PQclear(answer);
    }
    lki_pg_queue_tell(store, pk, LKI_PG_GONE, 0);
    if (status == LK_OK)
        *purged = done;
    return status;
}

/* Marks it. Twice is once, so it is done again where nobody knows whether it was. */
static lk_status
closed_mark(lki_pg *store, lk_bytes pk)
{
    lki_pg_parameters p = {.count = 0};
    bool in_doubt = false;
    lki_pg_add_bytes(&p, pk);
    lki_pg_add_number(&p, lki_pg_now_ms(store));
    for (int tries = 0;; tries++) {
        lk_status status = lki_pg_do(store, LKI_PG_QUEUE_CLOSE, false, &p);
        in_doubt = in_doubt || status == LK_UNKNOWN;
        if (status != LK_UNKNOWN || !lki_pg_try_again(store, tries))
            return status != LK_OK && in_doubt ? LK_UNKNOWN : status;
    }
}

lk_status
lki_pg_queue_close(void *state, lk_bytes pk)
{
    lki_pg *store = state;
    lk_status status = closed_mark(store, pk);
    if (status != LK_OK)
        return status;
    status = lki_pg_writers_wait(store);
    lki_pg_queue_seen_closed(store, pk);
    /* It is closed, but somebody may still be at a push that is not. */
    return status == LK_OK ? LK_OK : LK_UNKNOWN;
}
