/* SPDX-License-Identifier: MIT
 *
 * The conformance suite on PostgreSQL: the server that LATCHKEY_POSTGRES names (a conninfo of
 * libpq), in a schema of the program's own, which is emptied for each store and goes at the end.
 *
 *     conformance_postgres [pooled|cached|keyed|part] [CASES...]
 *
 * pooled: through the pooler that LATCHKEY_PGBOUNCER names, without prepared statements.
 * cached: a cache over it. keyed: as YugabyteDB and CockroachDB are spoken to. part: as without a
 * word, for builds in which all of it takes too long. These four run a part of the suite where no
 * cases are named, and all of it at night.
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
    int way;
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

/* Sends what has the schema's name in it, by a connection of the program's own. */
static bool
server_does(const char *format)
{
    static PGconn *pg;
    char text[256];
    if (pg == NULL) {
        pg = PQconnectdb(conninfo);
        PQsetNoticeProcessor(pg, notice_ignore, NULL); /* each table that goes */
    }
    snprintf(text, sizeof text, format, schema, schema, schema);
    PGresult *done = PQexec(pg, text);
    bool is_done = PQresultStatus(done) == PGRES_COMMAND_OK;
    if (!is_done)
        fprintf(stderr, "%s: %s", text, PQerrorMessage(pg));
    PQclear(done);
    return is_done;
}

static bool
schema_drop(void)
{
    return server_does("DROP SCHEMA IF EXISTS %s CASCADE");
}

/* The first store of all finds no tables; others find them empty, which is sooner done. */
static bool
schema_empty(void)
{
    static bool made;
    if (made)
        return server_does("TRUNCATE %s.lk_item, %s.lk_queue; UPDATE %s.lk_schema SET ulid_ms = 0");
    made = true;
    return schema_drop();
}

enum { PLAIN, POOLED, CACHED, KEYED, PART, WAYS, CASES = 5 };

static const struct {
    const char *argument, *name, *variable;
    unsigned long divisor; /* of the volume that is asked for: each call is a round trip */
    const char *cases[CASES];
} ways[WAYS] = {
    [PLAIN] = {"", "postgres", "LATCHKEY_POSTGRES", 10, {NULL}},
    [POOLED] = {"pooled",
                "postgres through pgbouncer",
                "LATCHKEY_PGBOUNCER",
                50,
                {"test_c*", "test_p*", "test_l*"}},
    [CACHED] = {"cached",
                "cache over postgres",
                "LATCHKEY_POSTGRES",
                50,
                {"test_g*", "test_s*", "test_d*", "test_p*"}},
    [KEYED] = {"keyed", "postgres by keys", "LATCHKEY_POSTGRES", 50, {"test_p*", "test_j*"}},
    [PART] =
        {"part", "postgres, a part", "LATCHKEY_POSTGRES", 50, {"test_p*", "test_l*", "test_s*"}},
};

/* The percentage that is asked for. */
static unsigned long
volume(void)
{
    const char *asked = getenv("LK_TEST_SCALE");
    return asked == NULL ? 100 : strtoul(asked, NULL, 10);
}

static void
volume_reduce(unsigned long divisor)
{
    char text[24];
    snprintf(text, sizeof text, "%lu", volume() < divisor ? 1 : volume() / divisor);
    setenv("LK_TEST_SCALE", text, 1);
}

static lk_status
open_postgres(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    opened *o = context;
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    options.schema = schema;
    options.create = true;
    options.never_prepare = o->way == POOLED;
    options.engine = o->way == KEYED ? LK_POSTGRES_YUGABYTE : LK_POSTGRES_FOUND_OUT;
    options.realtime_ms = setup->realtime_ms;
    options.monotonic_ms = setup->monotonic_ms;
    options.clock_context = setup->clock_context;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    if (!setup->reopen && !schema_empty())
        return LK_UNAVAILABLE;
    if (o->way != CACHED)
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
    if (o->way == CACHED)
        lk_close(o->inner);
}

int
main(int argc, char **argv)
{
    opened o = {.way = PLAIN};
    char *arguments[CASES + 1] = {argv[0]};
    for (int i = 1; argc > 1 && i < WAYS; i++)
        if (strcmp(argv[1], ways[i].argument) == 0)
            o.way = i;
    conninfo = getenv(ways[o.way].variable);
    if (conninfo == NULL) {
        printf("skipped: %s names no server\n", ways[o.way].variable);
        return 77;
    }
    if (o.way != PLAIN) {
        argv[1] = argv[0];
        argc--;
        argv++;
    }
    if (argc == 1 && volume() <= 100) {
        for (; ways[o.way].cases[argc - 1] != NULL; argc++)
            arguments[argc] = (char *)(uintptr_t)ways[o.way].cases[argc - 1];
        argv = arguments;
    }
    volume_reduce(ways[o.way].divisor);
    snprintf(schema, sizeof schema, "latchkey_test_%ld", (long)getpid());
    const lk_conformance postgres = {
        .name = ways[o.way].name, .open = open_postgres, .close = close_postgres, .context = &o};
    int status = lk_conformance_main(&postgres, argc, argv);
    return schema_drop() ? status : 1;
}
