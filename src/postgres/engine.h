/* SPDX-License-Identifier: MIT
 *
 * What differs between the engines that speak PostgreSQL's protocol.
 */
#ifndef LKI_PG_ENGINE_H
#define LKI_PG_ENGINE_H

#include <libpq-fe.h>

#include <latchkey/postgres.h>

#include "postgres/statement.h"

/* What a server says of itself when a connection begins; never LK_POSTGRES_FOUND_OUT. */
lk_postgres_engine lki_pg_engine_of(const PGconn *pg);
/* Its answer to this says whether a plain one is Citus: a number. */
extern const char lki_pg_engine_citus_text[];

/* The oldest version, as PQserverVersion counts. */
int lki_pg_engine_oldest(lk_postgres_engine engine);
/* Writes what each connection begins with; `limit_ms`: see LKI_PG_LIMITS. */
void lki_pg_engine_begin_text(lk_postgres_engine engine, int64_t limit_ms, char *text, size_t room);
/* A statement as this engine needs it; see statement.h. */
const char *lki_pg_engine_text(lk_postgres_engine engine, lki_pg_statement statement);
/* Whether a transaction can have limits of its own (LKI_PG_LIMITS). */
bool lki_pg_engine_has_limits(lk_postgres_engine engine);
/* Whether one statement sees one instant. */
bool lki_pg_engine_is_snapshot(lk_postgres_engine engine);
/* How often a call is tried that others were in the way of. */
int lki_pg_engine_tries(lk_postgres_engine engine);

#endif
