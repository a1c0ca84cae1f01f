/* SPDX-License-Identifier: MIT
 *
 * See engine.h.
 *
 * Citus is PostgreSQL; but a statement that reaches several of its machines sees each at an instant
 * of its own.
 */
#include "postgres/engine.h"

#include <stdio.h>
#include <string.h>

static bool
is_by_keys(lk_postgres_engine engine)
{
    return engine == LK_POSTGRES_YUGABYTE || engine == LK_POSTGRES_COCKROACH;
}

lk_postgres_engine
lki_pg_engine_of(const PGconn *pg)
{
    const char *version = PQparameterStatus(pg, "server_version");
    if (PQparameterStatus(pg, "crdb_version") != NULL)
        return LK_POSTGRES_COCKROACH;
    if (version != NULL && strstr(version, "-YB-") != NULL)
        return LK_POSTGRES_YUGABYTE;
    return LK_POSTGRES_PLAIN;
}

const char lki_pg_engine_citus_text[] =
    "SELECT count(*)::int8 FROM pg_extension WHERE extname = 'citus'";

int
lki_pg_engine_oldest(lk_postgres_engine engine)
{
    return engine == LK_POSTGRES_YUGABYTE ? 110000 : 130000;
}

void
lki_pg_engine_begin_text(lk_postgres_engine engine, int64_t limit_ms, char *text, size_t room)
{
    snprintf(text, room, is_by_keys(engine) ? lki_pg_session_text_by_keys : lki_pg_session_text,
             (long long)limit_ms);
}

const char *
lki_pg_engine_text(lk_postgres_engine engine, lki_pg_statement statement)
{
    bool is_own = is_by_keys(engine) && lki_pg_texts_by_keys[statement] != NULL;
    return is_own ? lki_pg_texts_by_keys[statement] : lki_pg_texts[statement];
}

bool
lki_pg_engine_has_limits(lk_postgres_engine engine)
{
    return !is_by_keys(engine);
}

bool
lki_pg_engine_is_snapshot(lk_postgres_engine engine)
{
    return engine != LK_POSTGRES_CITUS;
}

int
lki_pg_engine_tries(lk_postgres_engine engine)
{
    return is_by_keys(engine) ? 100 : 20;
}
