/* SPDX-License-Identifier: MIT
 *
 * The two round trips of a plan. See plan.h.
 */
#include <stdlib.h>

#include "postgres/plan.h"
#include "postgres/queue.h"

/* ---- the first round trip ---- */

static bool
number_or_zero(const PGresult *answer, int at, int column, int64_t *number)
{
    *number = 0;
    return lki_pg_is_null(answer, at, column) || lki_pg_read_number(answer, at, column, number);
}

/* Reads what ROWS_READ says of a key. An item that has expired is not there, nor its lock, nor its
 * job. */
static lk_status
row_read(lki_pg_row *r, const PGresult *answer, int at, int64_t now_ms)
{
    r->has_data = !lki_pg_is_null(answer, at, 1);
    r->data = lki_pg_read_bytes(answer, at, 1);
    r->has_job = r->has_data && !lki_pg_is_null(answer, at, 5);
    if (!lki_pg_read_number(answer, at, 2, &r->expires_at_ms) ||
        !number_or_zero(answer, at, 3, &r->version) ||
        !number_or_zero(answer, at, 4, &r->lock_until_ms) ||
        !number_or_zero(answer, at, 5, &r->visible_at_ms) ||
        !number_or_zero(answer, at, 6, &r->token) ||
        !lki_pg_read_number(answer, at, 7, &r->receives))
        return LK_UNAVAILABLE;
    if (r->has_data && lk_has_expired(r->expires_at_ms, now_ms))
        *r = (lki_pg_row){.key = r->key};
    if (!r->has_data && lk_has_expired(r->lock_until_ms, now_ms))
        r->version = 0;
    if (!r->has_data)
        r->expires_at_ms = 0; /* it was the lock's */
    return LK_OK;
}

enum { TAKES = 8 };

typedef struct taking {
    lki_pg_step steps[TAKES];
    int count;
    lki_pg_array pks, sks, queues, bounded;
} taking;

static lki_pg_step *
step_add(taking *t, lki_pg_statement statement)
{
    LKI_PG_ASSERT(t->count < TAKES);
    lki_pg_step *step = &t->steps[t->count++];
    *step = (lki_pg_step){.statement = statement};
    return step;
}

static bool
arrays_fill(const lki_pg_plan *p, taking *t)
{
    bool whole = lki_pg_keys_begin(&t->pks, &t->sks, p->row_count);
    lki_pg_array_begin(&t->queues, LKI_PG_OF_BYTES, p->push_count);
    lki_pg_array_begin(&t->bounded, LKI_PG_OF_BYTES, p->depth_count);
    for (size_t i = 0; whole && i < p->row_count; i++)
        whole = lki_pg_keys_add(&t->pks, &t->sks, &p->rows[i].key);
    for (size_t i = 0; i < p->write_count; i++)
        if (p->writes[i].kind == LK_PUSH)
            lki_pg_array_bytes(&t->queues, p->keys[i].pk);
    for (size_t i = 0; i < p->depth_count; i++)
        lki_pg_array_bytes(&t->bounded, p->depths[i].pk);
    return whole && !t->queues.failed && !t->bounded.failed;
}

/* The answers that are to be kept. */
enum { READ, DEPTHS, CLOSED, VERSIONS, XACT, ANSWERS };

/* The order says who waits for whom, and what is seen: rows of queues are locked, then those of
 * keys, then they are read; then versions are drawn, so each is above what its row had; and closed
 * queues are looked at, as who closes one waits for all that have begun to write. */
static bool
steps_fill(const lki_pg_plan *p, taking *t, lki_pg_step *kept[ANSWERS])
{
    bool whole = arrays_fill(p, t);
    (void)step_add(t, LKI_PG_BEGIN);
    if (p->depth_count != 0) {
        lki_pg_step *step = step_add(t, LKI_PG_QUEUES_TAKE);
        whole = whole && lki_pg_add_array(&step->parameters, &t->bounded);
        lki_pg_add_number(&step->parameters, p->now_ms);
    }
    lki_pg_step *take = step_add(t, LKI_PG_ROWS_TAKE);
    kept[READ] = step_add(t, LKI_PG_ROWS_READ);
    whole = whole && lki_pg_add_array(&take->parameters, &t->pks) &&
            lki_pg_add_array(&take->parameters, &t->sks) &&
            lki_pg_add_array(&kept[READ]->parameters, &t->pks) &&
            lki_pg_add_array(&kept[READ]->parameters, &t->sks);
    if (p->depth_count != 0) {
        kept[DEPTHS] = step_add(t, LKI_PG_DEPTHS);
        lki_pg_add_number(&kept[DEPTHS]->parameters, p->now_ms);
        whole = whole && lki_pg_add_array(&kept[DEPTHS]->parameters, &t->bounded);
        lki_pg_add_number(&kept[DEPTHS]->parameters, p->depth_limit);
    }
    if (p->push_count != 0) {
        kept[CLOSED] = step_add(t, LKI_PG_CLOSED_LOOK);
        whole = whole && lki_pg_add_array(&kept[CLOSED]->parameters, &t->queues);
    }
    if (p->lock_count != 0) {
        kept[VERSIONS] = step_add(t, LKI_PG_VERSIONS);
        lki_pg_add_number(&kept[VERSIONS]->parameters, (int64_t)p->lock_count);
    }
    kept[XACT] = step_add(t, LKI_PG_XACT);
    return whole;
}

static PGresult *
answer_keep(lki_pg_step *step)
{
    if (step == NULL)
        return NULL;
    PGresult *answer = step->answer;
    step->answer = NULL;
    return answer;
}

static lk_status
depths_read(lki_pg_plan *p, const PGresult *answer)
{
    lk_status status = LK_OK;
    int *at = lki_pg_rows_by_key(answer, p->depth_count, &status);
    for (size_t i = 0; status == LK_OK && i < p->depth_count; i++) {
        int64_t jobs;
        if (at[i] < 0 || !lki_pg_read_number(answer, at[i], 1, &jobs) || jobs < 0)
            status = LK_UNAVAILABLE;
        else
            p->depths[i].jobs = (uint64_t)jobs;
    }
    free(at);
    return status;
}

static lk_status
answers_read(lki_pg_plan *p, lki_pg_step *kept[ANSWERS])
{
    lk_status status = LK_OK;
    lki_pg_plan_time(p);
    p->read = answer_keep(kept[READ]);
    p->closed = answer_keep(kept[CLOSED]);
    p->versions = answer_keep(kept[VERSIONS]);
    if (!lki_pg_read_number(kept[XACT]->answer, 0, 0, &p->xact) ||
        !lki_pg_read_number(kept[XACT]->answer, 0, 1, &p->life))
        return LK_UNAVAILABLE;
    if (p->depth_count != 0)
        status = depths_read(p, kept[DEPTHS]->answer);
    int *at = status == LK_OK ? lki_pg_rows_by_key(p->read, p->row_count, &status) : NULL;
    for (size_t i = 0; status == LK_OK && i < p->row_count; i++)
        status = at[i] < 0 ? LK_UNAVAILABLE : row_read(&p->rows[i], p->read, at[i], p->now_ms);
    free(at);
    return status;
}

lk_status
lki_pg_rows_take(lki_pg_plan *p, lki_pg_connection *c)
{
    taking t = {.count = 0};
    lki_pg_step *kept[ANSWERS] = {NULL};
    bool whole = steps_fill(p, &t, kept);
    lk_status status = whole ? lki_pg_ask_many(c, t.steps, t.count) : LK_NO_MEMORY;
    lki_pg_array_free(&t.pks);
    lki_pg_array_free(&t.sks);
    lki_pg_array_free(&t.queues);
    lki_pg_array_free(&t.bounded);
    if (status != LK_OK)
        return status;
    status = answers_read(p, kept);
    lki_pg_clear(t.steps, t.count);
    return status;
}

/* ---- the second round trip ---- */

enum { COLUMNS = 9, BYTES_COLUMNS = 3 };

static void
row_put(lki_pg_array columns[COLUMNS], const lki_pg_row *r)
{
    bool lock = r->version != 0;
    int64_t expires_at_ms = r->has_data ? r->expires_at_ms : r->lock_until_ms;
    lki_pg_array_bytes(&columns[0], r->key.pk);
    lki_pg_array_bytes(&columns[1], r->key.sk);
    lki_pg_array_bytes_if(&columns[2], r->has_data, r->data);
    lki_pg_array_number_if(&columns[3], expires_at_ms != 0, expires_at_ms);
    lki_pg_array_number_if(&columns[4], lock, r->version);
    lki_pg_array_number_if(&columns[5], lock, r->lock_until_ms);
    lki_pg_array_number_if(&columns[6], r->has_job, r->visible_at_ms);
    lki_pg_array_number_if(&columns[7], r->has_job && r->token != 0, r->token);
    lki_pg_array_number(&columns[8], r->receives);
}

static bool
row_stays(const lki_pg_row *r)
{
    return r->has_data || r->version != 0;
}

lk_status
lki_pg_rows_write(lki_pg_plan *p, lki_pg_connection *c)
{
    lki_pg_step steps[3] = {{.statement = LKI_PG_ROWS_REMOVE},
                            {.statement = LKI_PG_ROWS_WRITE},
                            {.statement = LKI_PG_COMMIT}};
    lki_pg_array gone[2], columns[COLUMNS];
    size_t kept = 0;
    for (size_t i = 0; i < p->row_count; i++)
        kept += row_stays(&p->rows[i]);
    bool whole = lki_pg_keys_begin(&gone[0], &gone[1], p->row_count - kept);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_begin(&columns[i], i < BYTES_COLUMNS ? LKI_PG_OF_BYTES : LKI_PG_OF_NUMBERS,
                           kept);
    for (size_t i = 0; i < p->row_count; i++)
        if (row_stays(&p->rows[i]))
            row_put(columns, &p->rows[i]);
        else
            whole = whole && lki_pg_keys_add(&gone[0], &gone[1], &p->rows[i].key);
    for (int i = 0; i < 2; i++)
        whole = whole && lki_pg_add_array(&steps[0].parameters, &gone[i]);
    for (int i = 0; i < COLUMNS; i++)
        whole = whole && lki_pg_add_array(&steps[1].parameters, &columns[i]);
    int skipped = kept == p->row_count ? 1 : 0; /* mostly nothing goes */
    lk_status status = whole ? lki_pg_ask_many(c, steps + skipped, 3 - skipped) : LK_NO_MEMORY;
    for (int i = 0; i < 2; i++)
        lki_pg_array_free(&gone[i]);
    for (int i = 0; i < COLUMNS; i++)
        lki_pg_array_free(&columns[i]);
    lki_pg_clear(steps, 3);
    return status;
}
