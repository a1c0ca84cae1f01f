/* SPDX-License-Identifier: MIT
 *
 * See connection.h: connections are opened, kept, and lent to calls.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/connection.h"

/* ---- the pool ---- */

/* libpq would print them. The server's last word, where it comes between two statements, is one of
 * them: what is asked after it is not done. */
static void
notice_take(void *connection, const PGresult *notice)
{
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity != NULL && strcmp(severity, "FATAL") == 0)
        ((lki_pg_connection *)connection)->ended = true;
}

/* The part of a list with commas that is behind the first `skipped` ones; a list of one is of all.
 * NULL: there is none. */
static const char *
list_behind(const char *list, size_t skipped)
{
    const char *at = list;
    if (list == NULL || strchr(list, ',') == NULL)
        return list;
    while (skipped-- != 0 && (at = strchr(at, ',')) != NULL)
        at++;
    return at;
}

static size_t
list_count(const char *list)
{
    size_t count = 1;
    while (list != NULL && (list = strchr(list, ',')) != NULL) {
        list++;
        count++;
    }
    return count;
}

static const char *
option_find(const PQconninfoOption *options, const char *name)
{
    for (; options != NULL && options->keyword != NULL; options++)
        if (strcmp(options->keyword, name) == 0 && options->val != NULL && options->val[0] != '\0')
            return options->val;
    return NULL;
}

/* Which of several hosts libpq is at. */
static size_t
host_index(const lki_pg_connection *c, const char *hosts)
{
    const char *now = PQhost(c->pg), *at = hosts;
    size_t index = 0, size = now != NULL ? strlen(now) : 0;
    for (; at != NULL && size != 0; index++) {
        if (strncmp(at, now, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return index;
        at = strchr(at, ',');
        at = at != NULL ? at + 1 : NULL;
    }
    return 0;
}

/* How long the host that libpq is at may take: connect_timeout, and a fair part of what is left, so
 * that those behind it get their turn. libpq itself heeds neither where it does not wait. */
static int64_t
host_until_ms(const lki_pg_connection *c, const PQconninfoOption *options, size_t hosts_left)
{
    int64_t now_ms = lki_pg_clock_ms(), left_ms = c->until_ms - now_ms;
    const char *timeout = option_find(options, "connect_timeout");
    int64_t most_ms = timeout != NULL ? (int64_t)strtol(timeout, NULL, 10) * 1000 : 0;
    int64_t part_ms = left_ms / (int64_t)(hosts_left != 0 ? hosts_left : 1);
    return now_ms + (most_ms > 0 && most_ms < part_ms ? most_ms : part_ms);
}

/* False: it failed, or one host is silent; *skip: so many are not to be tried again, where there
 * are others behind them. */
static bool
connect_wait(lki_pg_connection *c, const PQconninfoOption *options, size_t *skip)
{
    const char *host = NULL, *hosts = option_find(options, "host");
    hosts = hosts != NULL ? hosts : option_find(options, "hostaddr");
    size_t count = list_count(hosts), index = 0;
    int64_t until_ms = 0;
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        if (PQhost(c->pg) != host) {
            host = PQhost(c->pg);
            index = host_index(c, hosts);
            until_ms = host_until_ms(c, options, count - index);
        }
        if (next == PGRES_POLLING_FAILED)
            return false;
        if (!lki_pg_socket_wait(c, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms)) {
            *skip += index + 1 < count ? index + 1 : 0;
            return false;
        }
        next = PQconnectPoll(c->pg);
    }
    return true;
}

/* ---- the server's clock ---- */

enum { MEASURED_MS = 60000, LOOK_MS = 5000, SLACK_MS = 10, STEP_MS = 100 };

/* One round trip: between what times of this machine's the server's clock was read. */
typedef struct clock_trip {
    int64_t sent_ms, server_ms, heard_ms;
} clock_trip;

static lk_status
clock_ask(lki_pg_connection *c, clock_trip *trip)
{
    PGresult *answer;
    trip->sent_ms = lki_pg_clock_ms();
    lk_status status = lki_pg_ask(c, LKI_PG_CLOCK, NULL, &answer);
    trip->heard_ms = lki_pg_clock_ms();
    if (status == LK_OK &&
        (PQntuples(answer) != 1 || !lki_pg_read_number(answer, 0, 0, &trip->server_ms)))
        status = LK_UNAVAILABLE;
    PQclear(answer);
    return status;
}

/* How far the server's clock is ahead of this machine's monotonic one: by the shortest of five
 * round trips. */
static lk_status
clock_measure(lki_pg_connection *c)
{
    int64_t shortest = INT64_MAX, ahead = 0, own_ahead_ms = lki_pg_clock_own_ahead_ms();
    clock_trip trip = {0, 0, 0};
    for (int i = 0; i < 5; i++) {
        lk_status status = clock_ask(c, &trip);
        if (status != LK_OK)
            return status;
        if (trip.heard_ms - trip.sent_ms < shortest) {
            shortest = trip.heard_ms - trip.sent_ms;
            ahead = trip.server_ms - (trip.sent_ms + shortest / 2);
        }
    }
    lki_pg_ms_set(&c->store->ahead_ms, ahead);
    lki_pg_ms_set(&c->store->own_ahead_ms, own_ahead_ms);
    lki_pg_ms_set(&c->store->looked_at_ms, trip.heard_ms);
    lki_pg_ms_set(&c->store->measured_at_ms, trip.heard_ms);
    return LK_OK;
}

/* Asks the server whether its clock is where it is taken to be. A machine that was halted, and
 * knows nothing of that, is behind. */
static lk_status
clock_look(lki_pg_connection *c)
{
    int64_t ahead_ms = lki_pg_ms_read(&c->store->ahead_ms);
    clock_trip trip;
    lki_pg_ms_set(&c->store->looked_at_ms, lki_pg_clock_ms()); /* others need not */
    lk_status status = clock_ask(c, &trip);
    if (status != LK_OK)
        return status;
    bool well = trip.server_ms >= trip.sent_ms + ahead_ms - SLACK_MS &&
                trip.server_ms <= trip.heard_ms + ahead_ms + SLACK_MS;
    return well ? LK_OK : clock_measure(c);
}

/* Is it to be measured anew: once a minute, and where this machine's own time has jumped? */
static bool
clock_is_old(const lki_pg *store, int64_t now_ms)
{
    int64_t step_ms = lki_pg_clock_own_ahead_ms() - lki_pg_ms_read(&store->own_ahead_ms);
    return now_ms - lki_pg_ms_read(&store->measured_at_ms) >= MEASURED_MS || step_ms > STEP_MS ||
           step_ms < -STEP_MS;
}

typedef lk_status clock_work(lki_pg_connection *c);

/* What is to be done for the server's clock; NULL: nothing. */
static clock_work *
clock_task(const lki_pg *store)
{
    int64_t now_ms = lki_pg_clock_ms();
    if (store->monotonic_ms != NULL)
        return NULL;
    if (clock_is_old(store, now_ms))
        return clock_measure;
    return now_ms - lki_pg_ms_read(&store->looked_at_ms) >= LOOK_MS ? clock_look : NULL;
}

/* False: the connection is lost. */
static bool
clock_is_fresh(lki_pg_connection *c)
{
    clock_work *task = clock_task(c->store);
    return task == NULL || task(c) == LK_OK;
}

void
lki_pg_call_begin(lki_pg *store)
{
    lki_pg_connection *c;
    lki_pg_time_begin(store);
    /* Who takes a connection does it; where there is none, the call finds out by itself. */
    if (clock_task(store) != NULL && lki_pg_take(store, &c) == LK_OK)
        lki_pg_give(c);
}

/* ---- connections ---- */

/* One attempt, without the first `skipped` hosts. LK_UNAVAILABLE with a greater *skip: one of those
 * behind them is silent. */
static lk_status
connection_start(lki_pg_connection *c, const PQconninfoOption *before, size_t *skip)
{
    /* What the user says in the conninfo counts, as it comes last. */
    const char *const names[] = {"connect_timeout",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "client_encoding",
                                 "dbname",
                                 "host",
                                 "hostaddr",
                                 "port",
                                 NULL};
    const char *const values[] = {"5",
                                  "15",
                                  "5",
                                  "3",
                                  "20000",
                                  "UTF8",
                                  c->store->conninfo,
                                  list_behind(option_find(before, "host"), *skip),
                                  list_behind(option_find(before, "hostaddr"), *skip),
                                  list_behind(option_find(before, "port"), *skip),
                                  NULL};
    c->broken = false;
    pthread_mutex_lock(&c->store->latch);
    c->store->version_count = 0; /* the server may be another one, which has not drawn them */
    pthread_mutex_unlock(&c->store->latch);
    c->pg = PQconnectStartParams(names, values, 1);
    if (c->pg == NULL)
        return LK_NO_MEMORY;
    PQsetNoticeReceiver(c->pg, notice_take, c);
    if (PQstatus(c->pg) == CONNECTION_BAD)
        return LK_UNAVAILABLE;
    PQconninfoOption *options = PQconninfo(c->pg);
    bool connected = connect_wait(c, options, skip) && PQsetnonblocking(c->pg, 1) == 0;
    PQconninfoFree(options);
    return connected ? LK_OK : LK_UNAVAILABLE;
}

/* Plans are made anew now and then, as the table grows. */
enum { PLANS_LAST_MS = 5000 };

/* What a session begins with, in one round trip. */
static lk_status
session_begin(lki_pg_connection *c)
{
    char text[640];
    lki_pg_engine_begin_text(c->store->engine, lki_pg_limit_ms(c->store), text, sizeof text);
    c->planned_at_ms = lki_pg_clock_ms();
    return lki_pg_do_text(c, text);
}

/* False: the connection is lost. */
static bool
plans_are_fresh(lki_pg_connection *c)
{
    if (c->store->never_prepare || lki_pg_clock_ms() - c->planned_at_ms < PLANS_LAST_MS)
        return true;
    (void)lki_pg_do_text(c, "DISCARD PLANS"); /* not every engine knows that */
    c->planned_at_ms = lki_pg_clock_ms();
    return !c->broken;
}

static lk_status
connection_open(lki_pg_connection *c)
{
    PQconninfoOption *all = NULL; /* of the first attempt: with all hosts */
    size_t skip = 0, before;
    lk_status status;
    do {
        before = skip;
        status = connection_start(c, all, &skip);
        if (status == LK_OK || skip == before)
            break;
        if (all == NULL)
            all = PQconninfo(c->pg);
        PQfinish(c->pg);
        c->pg = NULL;
        status = all == NULL ? LK_NO_MEMORY : LK_UNAVAILABLE;
    } while (all != NULL);
    PQconninfoFree(all);
    if (status == LK_OK && c->store->engine == LK_POSTGRES_FOUND_OUT)
        c->store->engine = lki_pg_engine_of(c->pg); /* the handle is not open yet */
    if (status == LK_OK && !c->store->never_prepare)
        status = session_begin(c);
    if (status == LK_OK && c->store->monotonic_ms == NULL)
        status = clock_measure(c);
    return status == LK_OK && c->store->has_tables ? lki_pg_life_make(c) : status;
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

static void
connection_close(lki_pg_connection *c)
{
    PQfinish(c->pg);
    free(c);
}

/* An idle connection, or leave to open one (NULL), within the time. False: neither. `may_open`:
 * else it waits for one of those that calls have, as long as there are such. */
static bool
pool_wait(lki_pg *store, int64_t until_ms, bool may_open, lki_pg_connection **c)
{
    bool in_time = true;
    pthread_mutex_lock(&store->latch);
    while (in_time && store->idle == NULL &&
           (may_open ? store->open == store->max_connections : store->lent != 0))
        in_time = lki_pg_cond_wait(&store->freed, &store->latch, until_ms);
    *c = store->idle;
    bool may = *c != NULL || (may_open && store->open < store->max_connections);
    if (*c != NULL)
        store->idle = (*c)->next;
    else if (may)
        store->open++;
    pthread_mutex_unlock(&store->latch);
    return may;
}

/* One connection less; `was_lent`: a call had it. */
static void
pool_shrink(lki_pg *store, bool was_lent)
{
    pthread_mutex_lock(&store->latch);
    LKI_PG_ASSERT(store->open != 0);
    store->open--;
    store->lent -= was_lent;
    pthread_cond_broadcast(&store->freed); /* they wait for different things */
    pthread_mutex_unlock(&store->latch);
}

lk_status
lki_pg_take(lki_pg *store, lki_pg_connection **connection)
{
    int64_t until_ms = lki_pg_until_ms();
    lki_pg_connection *c;
    for (int failures = 0;;) {
        lk_status status = LK_OK;
        if (!pool_wait(store, until_ms, failures < 2, &c))
            return LK_UNAVAILABLE;
        if (c == NULL)
            c = connection_new(store, until_ms, &status);
        if (c != NULL)
            c->until_ms = until_ms;
        if (c != NULL && connection_is_there(c) && clock_is_fresh(c) && plans_are_fresh(c))
            break;
        if (c != NULL)
            connection_close(c);
        pool_shrink(store, false);
        /* It may have broken while it began, so it is tried twice; then, as the server may let in
         * so many and no more, another call's is waited for. */
        failures += status == LK_UNAVAILABLE;
        if (status != LK_OK && (status != LK_UNAVAILABLE || lki_pg_clock_ms() >= until_ms))
            return status;
    }
    pthread_mutex_lock(&store->latch);
    store->lent++;
    pthread_mutex_unlock(&store->latch);
    c->in_doubt = false;
    *connection = c;
    return LK_OK;
}

void
lki_pg_give(lki_pg_connection *c)
{
    lki_pg *store = c->store;
    if (c->broken || PQtransactionStatus(c->pg) != PQTRANS_IDLE) {
        connection_close(c);
        pool_shrink(store, true);
    } else {
        pthread_mutex_lock(&store->latch);
        store->lent--;
        c->next = store->idle;
        store->idle = c;
        pthread_cond_signal(&store->freed);
        pthread_mutex_unlock(&store->latch);
    }
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

bool
lki_pg_try_again(lki_pg *store, int tries)
{
    if (tries >= lki_pg_engine_tries(store->engine) || lki_pg_clock_ms() >= lki_pg_until_ms())
        return false;
    lki_pg_count(&store->retries, 1);
    lki_pg_pause(tries);
    return true;
}

/* Where the session has no limits the statement is in a transaction that has. */
static lk_status
call_ask(lki_pg_connection *c, lki_pg_statement statement, const lki_pg_parameters *parameters,
         PGresult **answer)
{
    lki_pg_step steps[3] = {
        {.statement = LKI_PG_BEGIN}, {.statement = statement}, {.statement = LKI_PG_COMMIT}};
    if (!lki_pg_sets_limits(c->store) || !lki_pg_text_waits(statement))
        return lki_pg_ask(c, statement, parameters, answer);
    if (parameters != NULL)
        steps[1].parameters = *parameters;
    lk_status status = lki_pg_ask_many(c, steps, 3);
    *answer = steps[1].answer;
    steps[1].answer = NULL;
    lki_pg_clear(steps, 3);
    lki_pg_rollback(c);
    return status;
}

lk_status
lki_pg_call(lki_pg *store, lki_pg_statement statement, bool reads,
            const lki_pg_parameters *parameters, PGresult **answer)
{
    for (int tries = 0;; tries++) {
        lki_pg_connection *c;
        lk_status status = lki_pg_take(store, &c);
        if (status != LK_OK)
            return status;
        status = call_ask(c, statement, parameters, answer);
        bool broke = c->broken, in_doubt = c->in_doubt;
        lki_pg_give(c);
        if (status == LK_OK) /* also where it broke behind the answer to its COMMIT */
            return LK_OK;
        if (broke && in_doubt && !reads)
            return LK_UNKNOWN;
        status = status == LK_UNKNOWN ? LK_UNAVAILABLE : status; /* a read, or nothing happened */
        if ((status != LKI_PG_AGAIN && !broke) || !lki_pg_try_again(store, tries))
            return status == LKI_PG_AGAIN ? LK_UNAVAILABLE : status;
    }
}

lk_status
lki_pg_do(lki_pg *store, lki_pg_statement statement, bool reads,
          const lki_pg_parameters *parameters)
{
    PGresult *answer = NULL;
    lk_status status = lki_pg_call(store, statement, reads, parameters, &answer);
    PQclear(answer);
    return status;
}
