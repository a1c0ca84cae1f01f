/* SPDX-License-Identifier: MIT
 *
 * Opens a handle, makes the tables where that is asked for, closes it; its options, clocks and
 * statistics. Programs call lk_postgres_open; all else is called through the table of operations.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <latchkey/postgres.h>

#include "postgres/connection.h"
#include "postgres/operations.h"
#include "postgres/watch.h"

enum { CONNECTIONS = 8, CONNECTIONS_MAX = 10000, SCHEMA_SIZE = 63, NAMES_MAX = 2600 };
#define DATA_SIZE_CAP ((size_t)256 << 20)

/* The handle's clocks, where the options have none. */
static int64_t
server_realtime_ms(void *store)
{
    return lki_pg_now_ms(store);
}

static int64_t
system_monotonic_ms(void *unused)
{
    (void)unused;
    return lki_pg_clock_ms();
}

/* ---- statistics ---- */

lk_status
lki_pg_statistics(void *state, lk_statistics *stats)
{
    lki_pg *store = state;
    PGresult *answer;
    int64_t cells, dead;
    lk_status status = lki_pg_call(store, LKI_PG_CELLS, true, NULL, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) == 1 && lki_pg_read_number(answer, 0, 0, &cells))
        stats->cells = (uint64_t)cells;
    if (PQntuples(answer) == 1 && lki_pg_read_number(answer, 0, 1, &dead))
        stats->retired_objects = (uint64_t)dead;
    PQclear(answer);
    stats->gets = lki_pg_counted(&store->gets);
    stats->hits = lki_pg_counted(&store->hits);
    stats->multi_gets = lki_pg_counted(&store->multi_gets);
    stats->queries = lki_pg_counted(&store->queries);
    stats->items_queried = lki_pg_counted(&store->items_queried);
    stats->sets = lki_pg_counted(&store->sets);
    stats->deletes = lki_pg_counted(&store->deletes);
    stats->commits = lki_pg_counted(&store->commits);
    stats->races = lki_pg_counted(&store->races);
    stats->locks_created = lki_pg_counted(&store->locks_created);
    stats->locks_renewed = lki_pg_counted(&store->locks_renewed);
    stats->retries = lki_pg_counted(&store->retries);
    return LK_OK;
}

/* ---- the tables ---- */

/* Asks a text outside of the statements. */
static lk_status
text_ask(lki_pg_connection *c, const char *text, const char *schema, PGresult **answer)
{
    char *made = lki_pg_text_make(text, schema);
    *answer = NULL;
    if (made == NULL)
        return LK_NO_MEMORY;
    lk_status status = lki_pg_ask_text(c, made, answer);
    free(made);
    return status;
}

static lk_status
schema_make(lki_pg_connection *c, const char *schema)
{
    lk_status status = LK_OK;
    for (int i = 0; status == LK_OK && lki_pg_schema_texts[i] != NULL; i++) {
        PGresult *answer;
        status = text_ask(c, lki_pg_schema_texts[i], schema, &answer);
        PQclear(answer);
    }
    return status;
}

/* LK_OK: tables of this version. LK_NOT_FOUND: none, or not all. */
static lk_status
schema_look(lki_pg_connection *c, const char *schema)
{
    static const char there[] = "SELECT to_regclass('@.lk_schema') IS NOT NULL";
    PGresult *answer;
    int64_t version = 0;
    lk_status status = text_ask(c, there, schema, &answer);
    bool is_there = status == LK_OK && PQntuples(answer) == 1 && PQgetlength(answer, 0, 0) == 1 &&
                    PQgetvalue(answer, 0, 0)[0] != 0;
    PQclear(answer);
    if (status != LK_OK || !is_there)
        return status != LK_OK ? status : LK_NOT_FOUND;
    status = text_ask(c, lki_pg_version_text, schema, &answer);
    if (status == LK_OK && PQntuples(answer) == 0)
        status = LK_NOT_FOUND; /* whoever makes them has not come to the end */
    else if (status == LK_OK &&
             (PQntuples(answer) != 1 || !lki_pg_read_number(answer, 0, 0, &version)))
        status = LK_INVALID;
    PQclear(answer);
    if (status == LK_OK && version != LKI_PG_SCHEMA_VERSION)
        status = version > LKI_PG_SCHEMA_VERSION ? LK_UNSUPPORTED : LK_INVALID;
    return status;
}

/* What the connection could not tell. */
static lk_status
engine_find(lki_pg *store, lki_pg_connection *c)
{
    PGresult *answer;
    int64_t citus = 0;
    if (PQserverVersion(c->pg) < lki_pg_engine_oldest(store->engine))
        return LK_UNSUPPORTED;
    if (store->engine != LK_POSTGRES_PLAIN)
        return LK_OK;
    lk_status status = lki_pg_ask_text(c, lki_pg_engine_citus_text, &answer);
    if (status == LK_OK && (!lki_pg_read_number(answer, 0, 0, &citus)))
        status = LK_UNAVAILABLE;
    PQclear(answer);
    if (citus != 0)
        store->engine = LK_POSTGRES_CITUS;
    return status;
}

static lk_status
schema_open(lki_pg *store, const lk_postgres_options *o)
{
    lki_pg_connection *c;
    lk_status status = lki_pg_take(store, &c);
    if (status != LK_OK)
        return status;
    status = engine_find(store, c);
    if (status == LK_OK)
        status = schema_look(c, o->schema);
    for (int tries = 0; status == LK_NOT_FOUND && o->create && tries < LKI_PG_TRIES; tries++) {
        /* Another process may be making them: then one of the two fails, and finds them. */
        status = schema_make(c, o->schema);
        if (!c->broken && status != LK_NO_MEMORY)
            status = schema_look(c, o->schema);
    }
    if (status == LK_OK)
        status = lki_pg_life_make(c);
    store->has_tables = status == LK_OK;
    lki_pg_give(c);
    return status == LK_NOT_FOUND ? LK_INVALID : status;
}

/* Where the clocks stand when the handle begins. */
static lk_status
times_open(lki_pg *store)
{
    PGresult *answer;
    int64_t mark_ms;
    lk_status status = lki_pg_call(store, LKI_PG_ULID_READ, true, NULL, &answer);
    if (status != LK_OK)
        return status;
    if (PQntuples(answer) != 1 || !lki_pg_read_number(answer, 0, 0, &mark_ms))
        status = LK_UNAVAILABLE;
    PQclear(answer);
    if (status == LK_OK && lki_pg_now_ms(store) <= mark_ms)
        store->ulid_from_ms = mark_ms + 1;
    if (store->monotonic_ms != NULL)
        store->job_base_ms = lki_pg_now_ms(store) - lki_pg_monotonic_ms(store);
    return status;
}

/* ---- options ---- */

static lk_status
limits_take(lk_postgres_options *o)
{
    o->max_pk_size = o->max_pk_size != 0 ? o->max_pk_size : 1024;
    o->max_sk_size = o->max_sk_size != 0 ? o->max_sk_size : 1024;
    o->max_data_size = o->max_data_size != 0 ? o->max_data_size : (size_t)16 << 20;
    bool keys = o->max_pk_size <= NAMES_MAX && o->max_sk_size <= NAMES_MAX - o->max_pk_size;
    bool pool = o->max_connections <= CONNECTIONS_MAX;
    return keys && pool && o->max_data_size <= DATA_SIZE_CAP ? LK_OK : LK_TOO_BIG;
}

/* Fills in the defaults. */
static lk_status
options_take(lk_postgres_options *o)
{
    bool short_life = o->lock_refresh_ms == 0;
    o->max_connections = o->max_connections != 0 ? o->max_connections : CONNECTIONS;
    o->schema = o->schema != NULL ? o->schema : "latchkey";
    o->deadline_ms = o->deadline_ms != 0 ? o->deadline_ms : LK_SECONDS(20);
    o->lock_ttl_ms = o->lock_ttl_ms != 0 ? o->lock_ttl_ms : LK_HOURS(24);
    o->lock_refresh_ms = o->lock_refresh_ms != 0 ? o->lock_refresh_ms : LK_HOURS(1);
    if (short_life && o->lock_ttl_ms > 1 && o->lock_refresh_ms >= o->lock_ttl_ms)
        o->lock_refresh_ms = o->lock_ttl_ms / 2;
    bool lifetimes =
        o->lock_ttl_ms > 0 && o->lock_refresh_ms >= -1 && o->lock_refresh_ms < o->lock_ttl_ms;
    bool clocks = (o->realtime_ms == NULL) == (o->monotonic_ms == NULL);
    size_t name = strlen(o->schema);
    bool plain = name != 0 && strpbrk(o->schema, "'\"\\@") == NULL;
    if ((unsigned)o->engine > LK_POSTGRES_COCKROACH || !lifetimes || !clocks || !plain ||
        o->deadline_ms < 0)
        return LK_INVALID;
    return name > SCHEMA_SIZE ? LK_TOO_BIG : limits_take(o);
}

/* ---- open and close ---- */

static void
store_free(lki_pg *store)
{
    lki_pg_watches_free(store);
    lki_pg_queues_free(store);
    lki_pg_pool_free(store);
    for (int i = 0; i < LKI_PG_STATEMENTS; i++)
        free(store->texts[i]);
    pthread_cond_destroy(&store->freed);
    pthread_cond_destroy(&store->watcher_wake);
    pthread_mutex_destroy(&store->queues_latch);
    pthread_mutex_destroy(&store->ulid_latch);
    pthread_mutex_destroy(&store->latch);
    free(store->conninfo);
    free(store);
}

void
lki_pg_close(void *state)
{
    store_free(state);
}

/* Makes what is sent, as the engine needs it. False: no memory. */
static bool
texts_make(lki_pg *store, const char *schema)
{
    for (int i = 0; i < LKI_PG_STATEMENTS; i++) {
        const char *text = lki_pg_engine_text(store->engine, (lki_pg_statement)i);
        free(store->texts[i]);
        store->texts[i] = lki_pg_text_make(text, schema);
        if (store->texts[i] == NULL)
            return false;
    }
    return true;
}

static lki_pg *
store_new(const char *conninfo, const lk_postgres_options *o)
{
    lki_pg *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    lki_pg_cond_init(&store->freed);
    lki_pg_cond_init(&store->watcher_wake);
    pthread_mutex_init(&store->latch, NULL);
    pthread_mutex_init(&store->queues_latch, NULL);
    pthread_mutex_init(&store->ulid_latch, NULL);
    store->conninfo = strdup(conninfo);
    store->engine = o->engine;
    bool whole = store->conninfo != NULL && texts_make(store, o->schema);
    store->never_prepare = o->never_prepare;
    store->deadline_ms = o->deadline_ms;
    store->realtime_ms = o->realtime_ms;
    store->monotonic_ms = o->monotonic_ms;
    store->clock_context = o->clock_context;
    store->lock_ttl_ms = o->lock_ttl_ms;
    store->lock_refresh_ms = o->lock_refresh_ms;
    store->max_connections = o->max_connections;
    if (whole)
        return store;
    store_free(store);
    return NULL;
}

/* Does libpq understand it? */
static lk_status
conninfo_check(const char *conninfo)
{
    char *error = NULL;
    PQconninfoOption *parsed = PQconninfoParse(conninfo, &error);
    lk_status status = parsed != NULL ? LK_OK : error != NULL ? LK_INVALID : LK_NO_MEMORY;
    PQconninfoFree(parsed);
    PQfreemem(error);
    return status;
}

static lk_status
handle_open(lki_pg *store, const lk_postgres_options *o, lk_db **db)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    bool hooked = store->realtime_ms != NULL;
    adapter.name = "postgres";
    adapter.capabilities = LK_HAS_GET_MANY | LK_HAS_QUERY | LK_HAS_LOCKS | LK_HAS_SWEEP |
                           LK_HAS_STATISTICS | LK_HAS_CONDITIONS | LK_QUERIES_RANGES |
                           LK_LOCKS_ABSENT | LK_IS_DURABLE | LK_HAS_QUEUES | LK_HAS_QUEUE_FD |
                           LK_HAS_QUEUE_INSPECT | LK_COMMITS_JOBS | LK_COMMITS_RELEASES |
                           LK_HAS_PARTITIONS;
    if (lki_pg_engine_is_snapshot(store->engine))
        adapter.capabilities |= LK_IS_SNAPSHOT;
    adapter.state = store;
    adapter.max_pk_size = o->max_pk_size;
    adapter.max_sk_size = o->max_sk_size;
    adapter.max_data_size = o->max_data_size;
    adapter.realtime_ms = hooked ? store->realtime_ms : server_realtime_ms;
    adapter.monotonic_ms = hooked ? store->monotonic_ms : system_monotonic_ms;
    adapter.clock_context = hooked ? store->clock_context : store;
    return lk_adapter_open(&lki_pg_operations, &adapter, db);
}

lk_status
lk_postgres_open(const char *conninfo, const lk_postgres_options *options, lk_db **db)
{
    lk_postgres_options o = LK_POSTGRES_OPTIONS_INIT;
    int saved = errno;
    if (conninfo == NULL || db == NULL)
        return LK_INVALID;
    if (options != NULL)
        o = *options;
    lk_status status = options_take(&o);
    if (status == LK_OK)
        status = conninfo_check(conninfo);
    if (status != LK_OK) {
        errno = saved;
        return status;
    }
    lki_pg *store = store_new(conninfo, &o);
    if (store == NULL) {
        errno = saved;
        return LK_NO_MEMORY;
    }
    lki_pg_time_begin(store);
    status = schema_open(store, &o);
    if (status == LK_OK && !texts_make(store, o.schema)) /* it is known what it is only now */
        status = LK_NO_MEMORY;
    if (status == LK_OK)
        status = times_open(store);
    if (status == LK_OK)
        status = handle_open(store, &o, db);
    if (status != LK_OK)
        store_free(store);
    errno = saved;
    return status;
}
