/* SPDX-License-Identifier: MIT
 *
 * See connection.h: waiting, and statements and their answers. The pool is in pool.c.
 */
#include "postgres/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void
lki_pg_pause(int tries)
{
    static _Thread_local uint64_t seed;
    if (seed == 0)
        seed = (uint64_t)lki_pg_clock_ms() ^ (uint64_t)(uintptr_t)&seed;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    long most_us = 200L << (tries < 8 ? tries : 8);
    struct timespec pause = {0, (long)(seed >> 33) % most_us * 1000};
    nanosleep(&pause, NULL);
}

/* ---- waiting ---- */

static bool
fails(lki_pg_connection *c)
{
    c->broken = true;
    return false;
}

bool
lki_pg_socket_wait(lki_pg_connection *c, short events, int64_t until_ms)
{
    struct pollfd socket = {.fd = PQsocket(c->pg), .events = events};
    for (;;) {
        int64_t left_ms = until_ms - lki_pg_clock_ms();
        if (left_ms <= 0 || socket.fd < 0)
            return fails(c);
        int ready = poll(&socket, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return fails(c);
    }
}

/* Sends what waits to be sent. Reads meanwhile: the server may wait for that. Where the connection
 * is lost, what the server said before is still to be read. */
static bool
flush(lki_pg_connection *c)
{
    int left;
    while ((left = PQflush(c->pg)) > 0) {
        if (!lki_pg_socket_wait(c, POLLIN | POLLOUT, c->until_ms))
            return false;
        if (PQconsumeInput(c->pg) == 0)
            return PQstatus(c->pg) == CONNECTION_BAD || fails(c);
    }
    return left == 0 || PQstatus(c->pg) == CONNECTION_BAD || fails(c);
}

/* The next result; NULL: the end of a statement's, or c->broken. */
static PGresult *
result_next(lki_pg_connection *c)
{
    while (PQisBusy(c->pg) != 0 && PQstatus(c->pg) == CONNECTION_OK) {
        if (!lki_pg_socket_wait(c, POLLIN, c->until_ms))
            return NULL;
        if (PQconsumeInput(c->pg) == 0 && PQstatus(c->pg) == CONNECTION_OK) {
            (void)fails(c);
            return NULL;
        }
    }
    PGresult *result = PQgetResult(c->pg); /* which does not wait: it is there, or all is lost */
    if (PQstatus(c->pg) != CONNECTION_OK)
        (void)fails(c);
    return result;
}

/* Notes what a result says. Where neither it was done nor the server says that it was not, libpq
 * has lost its way (no memory, not the protocol), or a pooler the server. */
static lk_status
result_judge(lki_pg_connection *c, const PGresult *result)
{
    lk_status status = lki_pg_status(result);
    if (lki_pg_is_refusal(result))
        c->in_doubt = false;
    else if (status != LK_OK && PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
        (void)fails(c);
    return status;
}

/* Reads one statement's answer to its end. An error behind the answer is that of its commit. */
static lk_status
answer_read(lki_pg_connection *c, PGresult **answer)
{
    *answer = result_next(c);
    lk_status status = *answer == NULL ? LK_UNAVAILABLE : result_judge(c, *answer);
    for (PGresult *more; !c->broken && *answer != NULL && (more = result_next(c)) != NULL;) {
        lk_status behind = result_judge(c, more);
        status = status == LK_OK && lki_pg_is_refusal(more) ? behind : status;
        PQclear(more);
    }
    if (status != LK_OK) {
        PQclear(*answer);
        *answer = NULL;
    }
    return status;
}

/* ---- one statement ---- */

static lk_status
sent(lki_pg_connection *c, int queued, PGresult **answer)
{
    lk_status status = LK_UNAVAILABLE;
    *answer = NULL;
    c->in_doubt = queued != 0 && !c->ended;
    if (queued == 0 || c->ended)
        (void)fails(c);
    else if (flush(c))
        status = answer_read(c, answer);
    c->in_doubt = c->in_doubt && c->broken;
    if (!c->broken || status != LK_OK)
        return status;
    PQclear(*answer); /* it is committed when the server is ready again, and not before */
    *answer = NULL;
    return LK_UNAVAILABLE;
}

lk_status
lki_pg_ask_text(lki_pg_connection *c, const char *text, PGresult **answer)
{
    return sent(c, PQsendQueryParams(c->pg, text, 0, NULL, NULL, NULL, NULL, 1), answer);
}

lk_status
lki_pg_do_text(lki_pg_connection *c, const char *text)
{
    PGresult *answer;
    lk_status status = lki_pg_ask_text(c, text, &answer);
    PQclear(answer);
    return status;
}

static void
statement_name(lki_pg_statement statement, char name[16])
{
    snprintf(name, 16, "lk%d", (int)statement);
}

static lk_status
statement_prepare(lki_pg_connection *c, lki_pg_statement statement)
{
    char name[16];
    PGresult *answer;
    if (c->store->never_prepare || (c->prepared >> statement & 1) != 0)
        return LK_OK;
    statement_name(statement, name);
    lk_status status =
        sent(c, PQsendPrepare(c->pg, name, c->store->texts[statement], 0, NULL), &answer);
    if (status == LK_OK)
        c->prepared |= (uint64_t)1 << statement;
    c->in_doubt = false;
    PQclear(answer);
    return status;
}

static int
statement_queue(lki_pg_connection *c, lki_pg_statement statement, const lki_pg_parameters *p)
{
    static const int binary[LKI_PG_PARAMETERS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    char name[16];
    if (c->store->never_prepare)
        return PQsendQueryParams(c->pg, c->store->texts[statement], p->count, NULL, p->values,
                                 p->sizes, binary, 1);
    statement_name(statement, name);
    return PQsendQueryPrepared(c->pg, name, p->count, p->values, p->sizes, binary, 1);
}

lk_status
lki_pg_ask(lki_pg_connection *c, lki_pg_statement statement, const lki_pg_parameters *parameters,
           PGresult **answer)
{
    static const lki_pg_parameters none;
    *answer = NULL;
    lk_status status = statement_prepare(c, statement);
    if (status != LK_OK)
        return status;
    return sent(c, statement_queue(c, statement, parameters != NULL ? parameters : &none), answer);
}

/* ---- several ---- */

void
lki_pg_clear(lki_pg_step *steps, int count)
{
    for (int i = 0; i < count; i++) {
        PQclear(steps[i].answer);
        steps[i].answer = NULL;
    }
}

bool
lki_pg_sets_limits(const lki_pg *store)
{
    return store->never_prepare && lki_pg_engine_has_limits(store->engine);
}

int64_t
lki_pg_limit_ms(const lki_pg *store)
{
    enum { MOST_MS = 60000 };
    return store->deadline_ms < MOST_MS ? store->deadline_ms : MOST_MS;
}

static bool
has_limits(const lki_pg_connection *c, const lki_pg_step *step)
{
    return step->statement == LKI_PG_BEGIN && lki_pg_sets_limits(c->store);
}

/* Queues a step; behind a begin the limits of the transaction. 0: failed. */
static int
step_queue(lki_pg_connection *c, const lki_pg_step *step)
{
    lki_pg_parameters ms = {.count = 0};
    int queued = statement_queue(c, step->statement, &step->parameters);
    if (queued == 0 || !has_limits(c, step))
        return queued;
    lki_pg_add_number(&ms, lki_pg_limit_ms(c->store));
    return statement_queue(c, LKI_PG_LIMITS, &ms);
}

static lk_status
step_read(lki_pg_connection *c, lki_pg_step *step)
{
    PGresult *limits = NULL;
    lk_status status = answer_read(c, &step->answer);
    if (c->broken || !has_limits(c, step))
        return status;
    lk_status behind = answer_read(c, &limits);
    PQclear(limits);
    return status == LK_OK ? behind : status;
}

/* Reads the answers of a pipeline up to its mark. */
static lk_status
answers_read(lki_pg_connection *c, lki_pg_step *steps, int count)
{
    lk_status status = LK_OK;
    for (int i = 0; i < count && !c->broken; i++) {
        lk_status one = step_read(c, &steps[i]);
        status = status == LK_OK ? one : status;
    }
    PGresult *mark = c->broken ? NULL : result_next(c);
    if (mark == NULL || PQresultStatus(mark) != PGRES_PIPELINE_SYNC)
        (void)fails(c);
    PQclear(mark);
    /* Once COMMIT was answered, it does not matter what became of the connection. */
    bool committed = steps[count - 1].statement == LKI_PG_COMMIT && steps[count - 1].answer != NULL;
    c->in_doubt = c->in_doubt && c->broken && !committed;
    return c->broken && !committed ? LK_UNAVAILABLE : status;
}

lk_status
lki_pg_ask_many(lki_pg_connection *c, lki_pg_step *steps, int count)
{
    lk_status status = LK_OK;
    for (int i = 0; i < count; i++)
        steps[i].answer = NULL;
    for (int i = 0; i < count && status == LK_OK; i++)
        status = statement_prepare(c, steps[i].statement);
    if (status != LK_OK)
        return status;
    int queued = PQenterPipelineMode(c->pg);
    for (int i = 0; i < count && queued != 0; i++)
        queued = step_queue(c, &steps[i]);
    c->in_doubt = queued != 0 && !c->ended;
    if (queued == 0 || c->ended || PQpipelineSync(c->pg) == 0) {
        (void)fails(c);
        status = LK_UNAVAILABLE;
    } else if (!flush(c)) {
        status = LK_UNAVAILABLE;
    } else {
        status = answers_read(c, steps, count);
    }
    if (!c->broken && PQexitPipelineMode(c->pg) == 0)
        (void)fails(c);
    if (status != LK_OK)
        lki_pg_clear(steps, count);
    return status;
}

void
lki_pg_rollback(lki_pg_connection *c)
{
    PGresult *answer;
    if (c->broken || PQtransactionStatus(c->pg) == PQTRANS_IDLE)
        return;
    (void)lki_pg_ask(c, LKI_PG_ROLLBACK, NULL, &answer);
    PQclear(answer);
}

lk_status
lki_pg_life_make(lki_pg_connection *c)
{
    (void)lki_pg_do_text(c, c->store->texts[LKI_PG_LIFE_MAKE]);
    return c->broken ? LK_UNAVAILABLE : LK_OK;
}
