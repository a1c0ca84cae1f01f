/* SPDX-License-Identifier: MIT
 *
 * The PostgreSQL server that contenders are measured on: the one that LATCHKEY_POSTGRES names in
 * the words of libpq, as "host=/var/run/postgresql dbname=mine". Each store has a schema of its
 * own, which goes when the store is closed.
 *
 * Invariant: who has a schema holds the lock of its name as long as its session lives. So one whose
 * lock is free was left by a program that was killed, and the next store takes it away.
 */
#ifndef BENCH_POSTGRES_H
#define BENCH_POSTGRES_H

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct server {
    PGconn *pg;
    char schema[48];
};

static inline const char *
server_missing(void)
{
    return getenv("LATCHKEY_POSTGRES") != NULL ? NULL : "LATCHKEY_POSTGRES names no server";
}

static void
server_notice_drop(void *unused, const char *message)
{
    (void)unused, (void)message; /* what a DROP takes with it */
}

/* Does a statement, in which %s and %d may stand. */
static inline __attribute__((format(printf, 2, 3))) bool
server_do(PGconn *pg, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text)
        return false;
    PGresult *result = PQexec(pg, text);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* NULL: there is no server. */
static inline PGconn *
server_connect(void)
{
    PGconn *pg = PQconnectdb(getenv("LATCHKEY_POSTGRES"));

    if (PQstatus(pg) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(pg));
        PQfinish(pg);
        return NULL;
    }
    PQsetNoticeProcessor(pg, server_notice_drop, NULL);
    return pg;
}

static inline bool
server_sweep(PGconn *pg)
{
    return server_do(
        pg, "%s",
        "DO $$ DECLARE s text; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE "
        "starts_with(nspname, 'latchkey_bench_') LOOP IF pg_try_advisory_lock(hashtext(s)) THEN "
        "EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', s); "
        "PERFORM pg_advisory_unlock(hashtext(s)); END IF; END LOOP; END $$");
}

static inline void
server_close(struct server *server)
{
    if (server->pg != NULL)
        (void)server_do(server->pg, "DROP SCHEMA IF EXISTS %s CASCADE", server->schema);
    PQfinish(server->pg);
    server->pg = NULL;
}

/* `whose` tells the schemas of contenders in one process from each other. */
static inline bool
server_open(struct server *server, const char *whose)
{
    static atomic_uint count;

    snprintf(server->schema, sizeof server->schema, "latchkey_bench_%s_%d_%u", whose, (int)getpid(),
             atomic_fetch_add(&count, 1));
    server->pg = server_connect();
    if (server->pg != NULL && server_sweep(server->pg) &&
        server_do(server->pg, "SELECT pg_advisory_lock(hashtext('%s'))", server->schema) &&
        server_do(server->pg, "CREATE SCHEMA %s", server->schema))
        return true;
    server_close(server);
    return false;
}

#endif
