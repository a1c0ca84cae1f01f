/* SPDX-License-Identifier: MIT
 *
 * The conformance suite on PostgreSQL: the server that LATCHKEY_POSTGRES names (a conninfo of
 * libpq), in a schema of the program's own, which is emptied for each store and goes at the end.
 *
 *     conformance_postgres [pooled|cached|keyed] [CASES...]
 *
 * pooled: through the pooler that LATCHKEY_PGBOUNCER names, without prepared statements.
 * cached: a cache over it. keyed: as YugabyteDB and CockroachDB are spoken to.
 * Without the server that is asked for: 77.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <latchkey/conformance.h>
#include <latchkey/postgres.h>

typedef struct opened {
    bool is_pooled, is_cached, is_keyed;
    lk_db *inner; /* of the cache */
} opened;

static const char *conninfo;
static char schema[32];

static void
notice_ignore(void *context, const char *message)
{
    (void)context;
    (void)message;
}

/* Takes the schema away, by a connection of its own. */
static bool
schema_drop(void)
{
    char text[64];
    PGconn *pg = PQconnectdb(conninfo);
    PQsetNoticeProcessor(pg, notice_ignore, NULL); /* each table that goes */
    snprintf(text, sizeof text, "DROP SCHEMA IF EXISTS %s CASCADE", schema);
    PGresult *done = PQexec(pg, text);
    bool is_done = PQresultStatus(done) == PGRES_COMMAND_OK;
    if (!is_done)
        fprintf(stderr, "%s: %s", text, PQerrorMessage(pg));
    PQclear(done);
    PQfinish(pg);
    return is_done;
}

/* Each call is a round trip: a fifth of the volume that is asked for; a twentieth, where the same
 * was done without what is between. */
static void
volume_reduce(unsigned long divisor)
{
    const char *asked = getenv("LK_TEST_SCALE");
    char text[24];
    unsigned long percent = asked == NULL ? 100 : strtoul(asked, NULL, 10);
    snprintf(text, sizeof text, "%lu", percent < divisor ? 1 : percent / divisor);
    setenv("LK_TEST_SCALE", text, 1);
}

static lk_status
open_postgres(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    opened *o = context;
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    options.schema = schema;
    options.create = true;
    options.never_prepare = o->is_pooled;
    options.engine = o->is_keyed ? LK_POSTGRES_YUGABYTE : LK_POSTGRES_FOUND_OUT;
    options.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = setup->monotonic_ms;
    options.clock_context = setup->clock_context;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    if (!setup->reopen && !schema_drop())
        return LK_UNAVAILABLE;
    if (!o->is_cached)
        return lk_postgres_open(conninfo, &options, db);
    const lk_cache_options cache = {.max_items = 100000, .keep_missing = true};
    lk_status status = lk_postgres_open(conninfo, &options, &o->inner);
    if (status == LK_OK && (status = lk_cache_open(o->inner, &cache, db)) != LK_OK)
        lk_close(o->inner);
    return status;
}

static void
close_postgres(void *context, lk_db *db)
{
    opened *o = context;
    lk_close(db);
    if (o->is_cached)
        lk_close(o->inner);
}

int
main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    opened o = {.is_pooled = strcmp(how, "pooled") == 0,
                .is_cached = strcmp(how, "cached") == 0,
                .is_keyed = strcmp(how, "keyed") == 0};
    lk_conformance postgres = {
        .name = "postgres", .open = open_postgres, .close = close_postgres, .context = &o};
    const char *variable = o.is_pooled ? "LATCHKEY_PGBOUNCER" : "LATCHKEY_POSTGRES";
    if (o.is_pooled)
        postgres.name = "postgres through pgbouncer";
    if (o.is_cached)
        postgres.name = "cache over postgres";
    conninfo = getenv(variable);
    if (conninfo == NULL) {
        printf("skipped: %s names no server\n", variable);
        return 77;
    }
    if (o.is_keyed)
        postgres.name = "postgres, by keys";
    if (o.is_pooled || o.is_cached || o.is_keyed) {
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    volume_reduce(o.is_pooled || o.is_cached ? 20 : 5);
    snprintf(schema, sizeof schema, "latchkey_test_%ld", (long)getpid());
    int status = lk_conformance_main(&postgres, argc, argv);
    return schema_drop() ? status : 1;
}
