/* SPDX-License-Identifier: MIT
 *
 * The conformance suite on PostgreSQL: the server that LATCHKEY_POSTGRES names (a conninfo of
 * libpq), in a schema of the program's own, which is emptied for each store and goes at the end.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <latchkey/conformance.h>
#include <latchkey/postgres.h>

static const char *conninfo;
static char schema[32];

/* Sends a statement by a connection of its own. */
static bool
server_does(const char *format)
{
    char text[256];
    PGconn *pg = PQconnectdb(conninfo);
    snprintf(text, sizeof text, format, schema);
    PGresult *done = PQexec(pg, text);
    bool is_done = PQresultStatus(done) == PGRES_COMMAND_OK;
    if (!is_done)
        fprintf(stderr, "%s: %s", text, PQerrorMessage(pg));
    PQclear(done);
    PQfinish(pg);
    return is_done;
}

static lk_status
open_postgres(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    (void)context;
    options.schema = schema;
    options.create = true;
    options.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = setup->monotonic_ms;
    options.clock_context = setup->clock_context;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    if (!setup->reopen && !server_does("DROP SCHEMA IF EXISTS %s CASCADE"))
        return LK_UNAVAILABLE;
    return lk_postgres_open(conninfo, &options, db);
}

int
main(int argc, char **argv)
{
    const lk_conformance postgres = {.name = "postgres", .open = open_postgres};
    conninfo = getenv("LATCHKEY_POSTGRES");
    if (conninfo == NULL) {
        puts("skipped: LATCHKEY_POSTGRES names no server");
        return 77;
    }
    snprintf(schema, sizeof schema, "latchkey_test_%ld", (long)getpid());
    int status = lk_conformance_main(&postgres, argc, argv);
    return server_does("DROP SCHEMA IF EXISTS %s CASCADE") ? status : 1;
}
