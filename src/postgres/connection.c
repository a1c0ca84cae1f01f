/* SPDX-License-Identifier: MIT
 *
 * See connection.h.
 */
#include "postgres/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Waits for the socket. False: the time is over. */
static bool
socket_wait(lki_pg_connection *c, short events)
{
    struct pollfd socket = {.fd = PQsocket(c->pg), .events = events};
    for (;;) {
        int64_t left_ms = c->until_ms - lki_pg_clock_ms();
        if (left_ms <= 0 || socket.fd < 0)
            return fails(c);
        int ready = poll(&socket, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return fails(c);
    }
}

/* Sends what waits to be sent. Reads meanwhile: the server may wait for that. */
static bool
flush(lki_pg_connection *c)
{
    int left;
    while ((left = PQflush(c->pg)) > 0)
        if (!socket_wait(c, POLLIN | POLLOUT) || PQconsumeInput(c->pg) == 0)
            return fails(c);
    return left == 0 || fails(c);
}

/* The next result; NULL: the end of a statement's, or c->broken. */
static PGresult *
result_next(lki_pg_connection *c)
{
    while (PQisBusy(c->pg) != 0)
        if (!socket_wait(c, POLLIN) || PQconsumeInput(c->pg) == 0) {
            (void)fails(c);
            return NULL;
        }
    PGresult *result = PQgetResult(c->pg);
    if (PQstatus(c->pg) != CONNECTION_OK) {
        (void)fails(c);
        PQclear(result);
        return NULL;
    }
    return result;
}

/* Reads one statement's answer to its end. */
static lk_status
answer_read(lki_pg_connection *c, PGresult **answer)
{
    *answer = result_next(c);
    for (PGresult *more; !c->broken && *answer != NULL && (more = result_next(c)) != NULL;)
        PQclear(more);
    lk_status status = c->broken || *answer == NULL ? LK_UNAVAILABLE : lki_pg_status(*answer);
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
    *answer = NULL;
    if (queued == 0 || !flush(c)) {
        (void)fails(c);
        return LK_UNAVAILABLE;
    }
    return answer_read(c, answer);
}

lk_status
lki_pg_ask_text(lki_pg_connection *c, const char *text, PGresult **answer)
{
    return sent(c, PQsendQueryParams(c->pg, text, 0, NULL, NULL, NULL, NULL, 1), answer);
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
    status =
        sent(c, statement_queue(c, statement, parameters != NULL ? parameters : &none), answer);
    c->in_doubt = c->broken;
    return status;
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

/* Reads the answers of a pipeline up to its mark. */
static lk_status
answers_read(lki_pg_connection *c, lki_pg_step *steps, int count)
{
    lk_status status = LK_OK;
    for (int i = 0; i < count && !c->broken; i++) {
        lk_status one = answer_read(c, &steps[i].answer);
        status = status == LK_OK ? one : status;
    }
    PGresult *mark = c->broken ? NULL : result_next(c);
    if (mark == NULL || PQresultStatus(mark) != PGRES_PIPELINE_SYNC)
        (void)fails(c);
    PQclear(mark);
    return c->broken ? LK_UNAVAILABLE : status;
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
        queued = statement_queue(c, steps[i].statement, &steps[i].parameters);
    if (queued == 0 || PQpipelineSync(c->pg) == 0 || !flush(c)) {
        (void)fails(c);
        status = LK_UNAVAILABLE;
    } else {
        status = answers_read(c, steps, count);
    }
    c->in_doubt = c->broken;
    if (!c->broken && PQexitPipelineMode(c->pg) == 0)
        (void)fails(c);
    if (status != LK_OK)
        lki_pg_clear(steps, count);
    return status;
}

/* ---- the pool ---- */

static void
notice_drop(void *unused, const char *message)
{
    (void)unused, (void)message; /* libpq prints it otherwise */
}

static bool
connect_wait(lki_pg_connection *c)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED ||
            !socket_wait(c, next == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            return false;
        next = PQconnectPoll(c->pg);
    }
    return true;
}

/* How far the server's clock is ahead of this machine's monotonic one: by the shortest of five
 * round trips. */
static lk_status
clock_measure(lki_pg_connection *c)
{
    int64_t shortest = INT64_MAX, ahead = 0, now_ms = 0;
    for (int i = 0; i < 5; i++) {
        PGresult *answer;
        int64_t sent_ms = lki_pg_clock_ms(), server_ms;
        lk_status status = lki_pg_ask(c, LKI_PG_CLOCK, NULL, &answer);
        now_ms = lki_pg_clock_ms();
        if (status == LK_OK &&
            (PQntuples(answer) != 1 || !lki_pg_read_number(answer, 0, 0, &server_ms)))
            status = LK_UNAVAILABLE;
        PQclear(answer);
        if (status != LK_OK)
            return status;
        if (now_ms - sent_ms < shortest) {
            shortest = now_ms - sent_ms;
            ahead = server_ms - (sent_ms + shortest / 2);
        }
    }
    lki_pg_ms_set(&c->store->ahead_ms, ahead);
    lki_pg_ms_set(&c->store->measured_at_ms, now_ms);
    return LK_OK;
}

static lk_status
connection_open(lki_pg_connection *c)
{
    /* What the user says in the conninfo counts, as it comes last. */
    static const char *const names[] = {"connect_timeout",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "client_encoding",
                                        "dbname",
                                        NULL};
    const char *const values[] = {"5", "15", "5", "3", "20000", "UTF8", c->store->conninfo, NULL};
    c->pg = PQconnectStartParams(names, values, 1);
    if (c->pg == NULL)
        return LK_NO_MEMORY;
    PQsetNoticeProcessor(c->pg, notice_drop, NULL);
    if (PQstatus(c->pg) == CONNECTION_BAD || !connect_wait(c) || PQsetnonblocking(c->pg, 1) != 0)
        return LK_UNAVAILABLE;
    return c->store->monotonic_ms == NULL ? clock_measure(c) : LK_OK;
}

static lki_pg_connection *
connection_new(lki_pg *store, int64_t until_ms, lk_status *status)
{
    lki_pg_connection *c = calloc(1, sizeof *c);
    *status = LK_NO_MEMORY;
    if (c == NULL)
        return NULL;
    c->store = store;
    c->until_ms = until_ms;
    *status = connection_open(c);
    if (*status == LK_OK)
        return c;
    PQfinish(c->pg);
    free(c);
    *status = *status == LKI_PG_AGAIN || *status == LK_UNKNOWN ? LK_UNAVAILABLE : *status;
    return NULL;
}

/* Did the server close it while it was idle? Then there is something to read: its end. */
static bool
connection_is_there(lki_pg_connection *c)
{
    struct pollfd socket = {.fd = PQsocket(c->pg), .events = POLLIN};
    if (socket.fd < 0 || PQstatus(c->pg) != CONNECTION_OK)
        return false;
    if (poll(&socket, 1, 0) == 0)
        return true;
    return PQconsumeInput(c->pg) != 0 && PQstatus(c->pg) == CONNECTION_OK;
}

/* Measures it anew once a minute. False: the connection is lost. */
static bool
clock_is_fresh(lki_pg_connection *c)
{
    int64_t measured_ms = lki_pg_ms_read(&c->store->measured_at_ms);
    if (c->store->monotonic_ms != NULL || lki_pg_clock_ms() - measured_ms < 60000)
        return true;
    return clock_measure(c) == LK_OK;
}

static void
connection_close(lki_pg_connection *c)
{
    PQfinish(c->pg);
    free(c);
}

/* An idle connection, or leave to open one (NULL), within the time. False: neither. */
static bool
pool_wait(lki_pg *store, int64_t until_ms, lki_pg_connection **c)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    bool in_time = true;
    pthread_mutex_lock(&store->latch);
    while (in_time && store->idle == NULL && store->open == store->max_connections)
        in_time = pthread_cond_timedwait(&store->freed, &store->latch, &until) == 0;
    *c = store->idle;
    bool may = *c != NULL || store->open < store->max_connections;
    if (*c != NULL)
        store->idle = (*c)->next;
    else if (may)
        store->open++;
    pthread_mutex_unlock(&store->latch);
    return may;
}

/* One connection less. */
static void
pool_shrink(lki_pg *store)
{
    pthread_mutex_lock(&store->latch);
    LKI_PG_ASSERT(store->open != 0);
    store->open--;
    pthread_cond_signal(&store->freed);
    pthread_mutex_unlock(&store->latch);
}

lk_status
lki_pg_take(lki_pg *store, int64_t until_ms, lki_pg_connection **connection)
{
    int saved = errno;
    lki_pg_connection *c;
    lk_status status = LK_OK;
    for (;;) {
        if (!pool_wait(store, until_ms, &c)) {
            status = LK_UNAVAILABLE;
            break;
        }
        if (c == NULL)
            c = connection_new(store, until_ms, &status);
        if (c == NULL) {
            pool_shrink(store);
            break;
        }
        c->until_ms = until_ms;
        if (connection_is_there(c) && clock_is_fresh(c))
            break;
        connection_close(c);
        pool_shrink(store);
    }
    if (status != LK_OK) {
        errno = saved;
        return status;
    }
    c->saved_errno = saved;
    c->in_doubt = false;
    *connection = c;
    return LK_OK;
}

void
lki_pg_give(lki_pg_connection *c)
{
    lki_pg *store = c->store;
    int saved = c->saved_errno;
    if (c->broken || PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
        connection_close(c);
        pool_shrink(store);
    } else {
        pthread_mutex_lock(&store->latch);
        c->next = store->idle;
        store->idle = c;
        pthread_cond_signal(&store->freed);
        pthread_mutex_unlock(&store->latch);
    }
    errno = saved;
}

void
lki_pg_pool_free(lki_pg *store)
{
    while (store->idle != NULL) {
        lki_pg_connection *c = store->idle;
        store->idle = c->next;
        connection_close(c);
        store->open--;
    }
    LKI_PG_ASSERT(store->open == 0);
}

/* ---- a call that is one statement ---- */

lk_status
lki_pg_call_until(lki_pg *store, int64_t until_ms, lki_pg_statement statement, bool reads,
                  const lki_pg_parameters *parameters, PGresult **answer)
{
    for (int tries = 0;; tries++) {
        lki_pg_connection *c;
        lk_status status = lki_pg_take(store, until_ms, &c);
        if (status != LK_OK)
            return status;
        status = lki_pg_ask(c, statement, parameters, answer);
        bool broke = c->broken, in_doubt = c->in_doubt;
        lki_pg_give(c);
        if (broke && in_doubt && !reads)
            return LK_UNKNOWN;
        bool again = (status == LKI_PG_AGAIN || broke) && lki_pg_clock_ms() < until_ms;
        if (!again || tries == LKI_PG_TRIES)
            return status == LKI_PG_AGAIN ? LK_UNAVAILABLE : status;
        lki_pg_count(&store->retries, 1);
        lki_pg_pause(tries);
    }
}

lk_status
lki_pg_call(lki_pg *store, lki_pg_statement statement, bool reads,
            const lki_pg_parameters *parameters, PGresult **answer)
{
    return lki_pg_call_until(store, lki_pg_until_ms(store), statement, reads, parameters, answer);
}
