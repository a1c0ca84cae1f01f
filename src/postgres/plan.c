/* SPDX-License-Identifier: MIT
 *
 * See plan.h.
 */
#include "postgres/plan.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/queue.h"
#include "postgres/sweep.h"

/* ---- the plan is made ---- */

static int
row_order(const void *left, const void *right)
{
    return lki_pg_key_order(&((const lki_pg_row *)left)->key, &((const lki_pg_row *)right)->key);
}

/* It is there. */
static size_t
row_find(const lki_pg_plan *p, const lk_key *key)
{
    const lki_pg_row wanted = {.key = *key};
    const lki_pg_row *row = bsearch(&wanted, p->rows, p->row_count, sizeof wanted, row_order);
    LKI_PG_ASSERT(row != NULL);
    return (size_t)(row - p->rows);
}

static bool
write_is_of_claim(const lk_write *write)
{
    return write->kind == LK_ACKNOWLEDGE || write->kind == LK_RELEASE;
}

/* The key of each write; jobs without one get a generated sk. */
static lk_status
keys_make(lki_pg_plan *p)
{
    size_t generated = 0;
    for (size_t i = 0; i < p->write_count; i++) {
        const lk_write *write = &p->writes[i];
        p->keys[i] = write_is_of_claim(write) ? write->claim->key : write->item.key;
        p->push_count += write->kind == LK_PUSH;
        generated += write->kind == LK_PUSH && p->keys[i].sk.size == 0;
    }
    if (generated == 0)
        return LK_OK;
    p->sks = malloc(generated * LK_ULID_SIZE);
    lk_status status = p->sks == NULL ? LK_NO_MEMORY : lki_pg_ulids(p->store, p->sks, generated);
    char *next = p->sks;
    for (size_t i = 0; status == LK_OK && i < p->write_count; i++)
        if (p->writes[i].kind == LK_PUSH && p->keys[i].sk.size == 0) {
            p->keys[i].sk = (lk_bytes){next, LK_ULID_SIZE};
            next += LK_ULID_SIZE;
        }
    return status;
}

static size_t
max_depth_of(const lk_write *write)
{
    return write->kind == LK_PUSH && write->push != NULL ? write->push->max_depth : 0;
}

static int
depth_order(const void *left, const void *right)
{
    return lk_bytes_compare(((const lki_pg_depth *)left)->pk, ((const lki_pg_depth *)right)->pk);
}

lki_pg_depth *
lki_pg_depth_find(const lki_pg_plan *p, lk_bytes pk)
{
    const lki_pg_depth key = {.pk = pk};
    if (p->depth_count == 0)
        return NULL;
    return bsearch(&key, p->depths, p->depth_count, sizeof key, depth_order);
}

/* One for each queue with a bound. */
static lk_status
depths_make(lki_pg_plan *p)
{
    size_t most = 0, kept = 0;
    for (size_t i = 0; i < p->write_count; i++)
        most += max_depth_of(&p->writes[i]) != 0;
    if (most == 0)
        return LK_OK;
    p->depths = calloc(most, sizeof *p->depths);
    if (p->depths == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < p->write_count; i++) {
        size_t max_depth = max_depth_of(&p->writes[i]);
        int64_t limit = max_depth < INT64_MAX ? (int64_t)max_depth + 1 : INT64_MAX;
        if (max_depth == 0)
            continue;
        p->depths[kept++].pk = p->keys[i].pk;
        p->depth_limit = p->depth_limit > limit ? p->depth_limit : limit;
    }
    qsort(p->depths, kept, sizeof *p->depths, depth_order);
    for (size_t i = 0; i < kept; i++)
        if (i == 0 || depth_order(&p->depths[i], &p->depths[p->depth_count - 1]) != 0)
            p->depths[p->depth_count++] = p->depths[i];
    return LK_OK;
}

/* One row for each key that is named. */
static lk_status
plan_make(lki_pg_plan *p)
{
    size_t most = p->write_count + p->lock_count, kept = 0;
    p->keys = calloc(p->write_count + 1, sizeof *p->keys);
    p->rows = calloc(most + 1, sizeof *p->rows);
    p->of_writes = calloc(most + 1, sizeof *p->of_writes);
    p->sums = calloc(p->write_count + 1, sizeof *p->sums);
    p->late = calloc(p->write_count + 1, sizeof *p->late);
    p->bumped = calloc(p->lock_count + 1, sizeof *p->bumped);
    if (p->keys == NULL || p->rows == NULL || p->of_writes == NULL || p->sums == NULL ||
        p->late == NULL || p->bumped == NULL)
        return LK_NO_MEMORY;
    lk_status status = keys_make(p);
    if (status == LK_OK)
        status = depths_make(p);
    if (status != LK_OK)
        return status;
    p->of_locks = p->of_writes + p->write_count;
    for (size_t i = 0; i < most; i++)
        p->rows[i].key = i < p->write_count ? p->keys[i] : p->locks[i - p->write_count].key;
    qsort(p->rows, most, sizeof *p->rows, row_order);
    for (size_t i = 0; i < most; i++)
        if (kept == 0 || row_order(&p->rows[i], &p->rows[kept - 1]) != 0)
            p->rows[kept++] = p->rows[i];
    p->row_count = kept;
    for (size_t i = 0; i < p->write_count; i++)
        p->of_writes[i] = row_find(p, &p->keys[i]);
    for (size_t i = 0; i < p->lock_count; i++)
        p->of_locks[i] = row_find(p, &p->locks[i].key);
    return LK_OK;
}

static void
answers_clear(lki_pg_plan *p)
{
    PQclear(p->read);
    PQclear(p->closed);
    PQclear(p->versions);
    p->read = p->closed = p->versions = NULL;
}

void
lki_pg_plan_free(lki_pg_plan *p)
{
    free(p->keys);
    free(p->rows);
    free(p->of_writes);
    free(p->sums);
    free(p->sks);
    free(p->late);
    free(p->bumped);
    free(p->depths);
    p->depths = NULL;
    p->depth_count = p->push_count = 0;
    p->depth_limit = 0;
    p->keys = NULL;
    p->rows = NULL;
    p->of_writes = NULL;
    p->sums = NULL;
    p->sks = NULL;
    p->late = NULL;
    p->bumped = NULL;
    answers_clear(p);
}

/* ---- it is done ---- */

void
lki_pg_plan_time(lki_pg_plan *p)
{
    p->now_ms = lki_pg_now_ms(p->store);
    p->job_now_ms = lki_pg_job_now_ms(p->store);
}

/* One attempt, on a connection. *in_doubt: it may have happened. */
static lk_status
plan_try(lki_pg_plan *p, lki_pg_connection *c, bool *in_doubt)
{
    *in_doubt = false;
    lki_pg_plan_time(p);
    lk_status status = lki_pg_rows_take(p, c);
    if (status == LK_OK)
        status = lki_pg_plan_judge(p);
    if (status == LK_OK) {
        status = lki_pg_rows_write(p, c);
        *in_doubt = c->broken && c->in_doubt;
    }
    lki_pg_rollback(c);
    answers_clear(p);
    return status;
}

/* What became of a transaction whose commit was not answered: LK_OK, or LKI_PG_AGAIN if it was
 * rolled back. LK_UNKNOWN: the server cannot be asked within the time, or has crashed since, so
 * that the number may be another transaction's, or has forgotten it. */
static lk_status
outcome_ask(const lki_pg_plan *p)
{
    static const lk_status outcomes[] = {LK_BUSY, LK_OK, LKI_PG_AGAIN};
    lki_pg_parameters parameters = {.count = 0};
    lki_pg_add_number(&parameters, p->xact);
    lki_pg_add_number(&parameters, p->life);
    for (int tries = 0; p->xact != 0 && lki_pg_clock_ms() < lki_pg_until_ms(); tries++) {
        PGresult *answer = NULL;
        int64_t is = 0;
        lk_status status = lki_pg_call(p->store, LKI_PG_XACT_LOOK, true, &parameters, &answer);
        bool told = status == LK_OK && lki_pg_read_number(answer, 0, 0, &is);
        PQclear(answer);
        if (status == LK_OK && (!told || is < 0 || is > 2))
            return LK_UNKNOWN;
        if (status == LK_OK && outcomes[is] != LK_BUSY)
            return outcomes[is];
        lki_pg_pause(tries);
    }
    return LK_UNKNOWN;
}

static lk_status
plan_commit(lki_pg_plan *p)
{
    for (int tries = 0;; tries++) {
        lki_pg_connection *c;
        bool in_doubt;
        lk_status status = lki_pg_take(p->store, &c);
        if (status != LK_OK)
            return status;
        status = plan_try(p, c, &in_doubt);
        bool again = status == LKI_PG_AGAIN || (status != LK_OK && c->broken);
        lki_pg_give(c);
        if (in_doubt) {
            status = outcome_ask(p);
            again = status == LKI_PG_AGAIN;
        }
        if (!again)
            return status;
        if (!lki_pg_try_again(p->store, tries))
            return LK_UNAVAILABLE;
    }
}

static lki_pg_news
write_news(const lki_pg_plan *p, size_t i)
{
    const lk_write *write = &p->writes[i];
    if (write->kind != LK_PUSH && write->kind != LK_RELEASE)
        return LKI_PG_GONE;
    if (p->rows[p->of_writes[i]].visible_at_ms != 0)
        return LKI_PG_LATER;
    return write->kind == LK_PUSH && write->item.key.sk.size == 0 ? LKI_PG_READY : LKI_PG_FRONT;
}

/* Whom it concerns hears of it. */
static void
plan_tell(const lki_pg_plan *p)
{
    for (size_t i = 0; i < p->write_count; i++) {
        lk_bytes pk = p->keys[i].pk;
        if (p->writes[i].kind == LK_PUSH)
            lki_pg_queue_add_to(p->store, pk, LKI_PG_PUSHES, 1);
        lki_pg_queue_tell(p->store, pk, write_news(p, i), p->rows[p->of_writes[i]].visible_at_ms);
        if (p->late[i])
            lki_pg_queue_add_to(p->store, pk, LKI_PG_LATE, 1);
    }
}

/* Drafts the jobs as they will be stored. */
static lk_status
pushed_draft(lki_pg_plan *p)
{
    lk_status status = LK_OK;
    if (p->pushed == NULL)
        return LK_OK;
    lk_result_draft(p->pushed);
    for (size_t i = 0; status == LK_OK && i < p->write_count; i++) {
        lk_item job = p->writes[i].item;
        job.key = p->keys[i];
        status = lk_result_add(p->pushed, &job);
    }
    return status;
}

lk_status
lki_pg_plan_run(lki_pg_plan *p)
{
    lk_status status = LKI_PG_TAKEN;
    for (int tries = 0; status == LKI_PG_TAKEN && tries < LKI_PG_TRIES; tries++) {
        lki_pg_plan_free(p);
        status = plan_make(p);
        if (status == LK_OK) /* nothing may be missing once they are there */
            status = pushed_draft(p);
        if (status == LK_OK)
            status = plan_commit(p);
    }
    if (status == LKI_PG_TAKEN)
        return LK_BUSY;
    if (status == LK_LOST)
        lki_pg_queue_add_to(p->store, p->keys[p->conflict->write].pk, LKI_PG_LOST, 1);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < p->lock_count; i++)
        lki_pg_count(&p->store->locks_created,
                     p->locks[i].version == 0 && p->bumped[i].version != 0);
    if (p->lock_count != 0)
        memcpy(p->locks, p->bumped, p->lock_count * sizeof *p->locks);
    plan_tell(p);
    lki_pg_tidy(p->store);
    return p->is_late ? LK_LATE : LK_OK;
}
