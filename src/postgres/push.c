/* SPDX-License-Identifier: MIT
 *
 * Pushes. Called through the table of operations.
 *
 * Jobs without an sk come by one statement, which looks whether their queue is closed: who closes
 * one waits for all that had begun to write. All others are steps of a plan.
 */
#include <stdlib.h>

#include "postgres/operations.h"
#include "postgres/plan.h"
#include "postgres/queue.h"
#include "postgres/sweep.h"

/* Drafts the jobs as they are stored. */
static lk_status
pushed_draft(lk_result *pushed, const lk_item *jobs, size_t count, const char *sks)
{
    lk_status status = LK_OK;
    if (pushed == NULL)
        return LK_OK;
    lk_result_draft(pushed);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        lk_item job = jobs[i];
        job.key.sk = (lk_bytes){sks + i * LK_ULID_SIZE, LK_ULID_SIZE};
        status = lk_result_add(pushed, &job);
    }
    return status;
}

/* ---- as a plan ---- */

static lk_status
push_planned(lki_pg *store, const lk_item *jobs, size_t count, const lk_push_options *options,
             lk_result *pushed)
{
    lk_conflict conflict;
    lk_write *writes = calloc(count, sizeof *writes);
    lki_pg_plan p = {.store = store,
                     .writes = writes,
                     .write_count = count,
                     .conflict = &conflict,
                     .pushed = pushed};
    if (writes == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        writes[i].kind = LK_PUSH;
        writes[i].item = jobs[i];
        writes[i].push = options;
    }
    lk_status status = lki_pg_plan_run(&p);
    if (status == LK_OK && pushed != NULL)
        lk_result_publish(pushed);
    lki_pg_plan_free(&p);
    free(writes);
    return status;
}

/* ---- one statement ---- */

static bool
jobs_fill(lki_pg_parameters *p, lki_pg_array columns[3], const lk_item *jobs, size_t count,
          const char *sks, int64_t now_ms)
{
    for (int i = 0; i < 3; i++)
        lki_pg_array_begin(&columns[i], i < 2 ? LKI_PG_OF_BYTES : LKI_PG_OF_NUMBERS, count);
    for (size_t i = 0; i < count; i++) {
        lki_pg_array_bytes(&columns[0], (lk_bytes){sks + i * LK_ULID_SIZE, LK_ULID_SIZE});
        lki_pg_array_bytes(&columns[1], jobs[i].data);
        lki_pg_array_number_if(&columns[2], jobs[i].expires_at_ms != 0, jobs[i].expires_at_ms);
    }
    lki_pg_add_number(p, now_ms);
    lki_pg_add_bytes(p, jobs[0].key.pk);
    return lki_pg_add_array(p, &columns[0]) && lki_pg_add_array(p, &columns[1]) &&
           lki_pg_add_array(p, &columns[2]);
}

/* Nothing was pushed: is the queue closed, or a key taken? */
static lk_status
why_none(lki_pg *store, lk_bytes pk)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array pks;
    PGresult *answer = NULL;
    lk_status status = LK_NO_MEMORY;
    lki_pg_array_begin(&pks, LKI_PG_OF_BYTES, 1);
    lki_pg_array_bytes(&pks, pk);
    if (lki_pg_add_array(&p, &pks))
        status = lki_pg_call(store, LKI_PG_CLOSED_LOOK, true, &p, &answer);
    if (status == LK_OK)
        status = PQntuples(answer) != 0 ? LK_CLOSED : LKI_PG_TAKEN;
    lki_pg_array_free(&pks);
    PQclear(answer);
    return status;
}

static lk_status
push_ask(lki_pg *store, const lk_item *jobs, size_t count, const char *sks, int64_t visible_at_ms)
{
    lki_pg_parameters p = {.count = 0};
    lki_pg_array columns[3];
    PGresult *answer = NULL;
    lk_status status = LK_NO_MEMORY;
    if (jobs_fill(&p, columns, jobs, count, sks, lki_pg_now_ms(store))) {
        lki_pg_add_number(&p, visible_at_ms);
        status = lki_pg_call(store, LKI_PG_PUSH, false, &p, &answer);
    }
    for (int i = 0; i < 3; i++)
        lki_pg_array_free(&columns[i]);
    if (status == LK_OK && PQntuples(answer) == 0)
        status = why_none(store, jobs[0].key.pk);
    PQclear(answer);
    return status;
}

lk_status
lki_pg_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
            lk_result *pushed)
{
    lki_pg *store = state;
    bool named = options->unique || options->max_depth != 0;
    for (size_t i = 0; i < count; i++)
        named = named || jobs[i].key.sk.size != 0;
    if (named)
        return push_planned(store, jobs, count, options, pushed);
    char *sks = count <= SIZE_MAX / LK_ULID_SIZE ? malloc(count * LK_ULID_SIZE) : NULL;
    if (sks == NULL)
        return LK_NO_MEMORY;
    int64_t visible_at_ms =
        options->delay_ms == 0 ? 0 : lki_pg_time_after(lki_pg_job_now_ms(store), options->delay_ms);
    lk_bytes pk = jobs[0].key.pk;
    lk_status status = LKI_PG_TAKEN;
    for (int tries = 0; status == LKI_PG_TAKEN && tries < LKI_PG_TRIES; tries++) {
        status = lki_pg_ulids(store, sks, count);
        if (status == LK_OK) /* nothing may be missing once they are there */
            status = pushed_draft(pushed, jobs, count, sks);
        if (status == LK_OK)
            status = push_ask(store, jobs, count, sks, visible_at_ms);
    }
    if (status == LKI_PG_TAKEN)
        status = LK_BUSY;
    if (status == LK_OK) {
        lki_pg_queue_add_to(store, pk, LKI_PG_PUSHES, count);
        lki_pg_queue_tell(store, pk, visible_at_ms == 0 ? LKI_PG_READY : LKI_PG_LATER,
                          visible_at_ms);
        if (pushed != NULL)
            lk_result_publish(pushed);
        lki_pg_tidy(store);
    }
    free(sks);
    return status;
}
