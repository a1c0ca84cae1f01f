/* SPDX-License-Identifier: MIT
 *
 * See engine.h.
 *
 * YugabyteDB and CockroachDB have no ctid, their SKIP LOCKED has open faults, and there is neither
 * a lock of a table nor an answer to what became of a transaction. So there jobs are found by their
 * keys, and taken if they are still ready; and every transaction is serializable, which does the
 * rest: of two that are in each other's way one is done again.
 *
 * Citus is PostgreSQL; but a statement that reaches several of its machines sees each at an instant
 * of its own.
 */
#include "postgres/engine.h"

#include <string.h>

#define LIVE "i.data IS NOT NULL AND (i.expires_at IS NULL OR i.expires_at >= $1)"
#define SAME_KEY "i.pk = k.pk AND i.sk = k.sk"

static const char *const by_keys[LKI_PG_STATEMENTS] = {
    [LKI_PG_BEGIN] = "BEGIN ISOLATION LEVEL SERIALIZABLE",
    [LKI_PG_SWEEP] = "WITH k AS (SELECT pk, sk FROM @.lk_item WHERE expires_at < $1 "
                     "ORDER BY expires_at LIMIT $2) DELETE FROM @.lk_item i USING k "
                     "WHERE " SAME_KEY " AND i.expires_at < $1 RETURNING 1::int8",
    [LKI_PG_LIFE_MAKE] = "SELECT 1",
    [LKI_PG_XACT] = "SELECT 0::int8, 0::int8",
    [LKI_PG_XACT_LOOK] = "SELECT NULL::int8 WHERE $1::int8 <> $2::int8",
    [LKI_PG_DUE] = "WITH k AS (SELECT pk, sk FROM @.lk_item WHERE pk = $1 AND claim_until > $2 "
                   "AND claim_until > 0 AND claim_until <= $3 ORDER BY claim_until LIMIT $4) "
                   "UPDATE @.lk_item i SET claim_until = 0 FROM k WHERE " SAME_KEY
                   " AND i.claim_until > $2 AND i.claim_until > 0 AND i.claim_until <= $3 "
                   "RETURNING i.sk, i.token IS NOT NULL",
    [LKI_PG_PULL] = "WITH k AS (SELECT i.pk, i.sk FROM @.lk_item i WHERE i.pk = $2 AND i.sk >= $3 "
                    "AND i.claim_until = 0 AND " LIVE " ORDER BY i.sk LIMIT $4) "
                    "UPDATE @.lk_item i SET claim_until = $5, token = $6, receives = receives + 1 "
                    "FROM k WHERE " SAME_KEY " AND i.claim_until = 0 AND " LIVE
                    " RETURNING i.sk, i.data, COALESCE(i.expires_at, 0::int8), i.receives",
    [LKI_PG_GIVE_BACK] =
        "UPDATE @.lk_item i SET claim_until = 0, token = NULL, receives = i.receives - 1 "
        "WHERE i.pk = $1 AND i.claim_until = $2 AND i.token = $3 AND i.sk IS DISTINCT FROM "
        "$4::bytea",
    [LKI_PG_QUEUE_PURGE] =
        "WITH k AS (SELECT pk, sk FROM @.lk_item WHERE pk = $1 AND claim_until >= 0 LIMIT $2) "
        "DELETE FROM @.lk_item i USING k WHERE " SAME_KEY " AND i.claim_until IS NOT NULL "
        "RETURNING COALESCE(i.expires_at, 0::int8)",
    [LKI_PG_WRITERS] = "SELECT 1::int8 WHERE false",
    [LKI_PG_SWEEP_QUEUES] =
        "DELETE FROM @.lk_queue WHERE NOT closed AND used_at < $1 AND pk IN (SELECT q.pk "
        "FROM @.lk_queue q WHERE NOT EXISTS (SELECT 1 FROM @.lk_item i WHERE i.pk = q.pk "
        "AND i.claim_until >= 0) LIMIT $2)",
    [LKI_PG_CELLS] = "SELECT 0::int8, 0::int8",
};

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

/* The server keeps a plan for as long as the connection. One that was made while the table was
 * empty would read all of it once it is full, until somebody analyzes it. So no plan reads all of a
 * table or joins by hashes, as each statement has an index that serves it. A plan is not made for
 * one call, either, which the server thinks worth its while where arrays are short: that costs more
 * than the call. */
const char *
lki_pg_engine_begin_text(lk_postgres_engine engine)
{
    if (is_by_keys(engine))
        return "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    return "SELECT set_config(name, 'off', false), "
           "set_config('plan_cache_mode', 'force_generic_plan', false) FROM unnest(ARRAY["
           "'enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'jit']) "
           "AS name";
}

const char *
lki_pg_engine_text(lk_postgres_engine engine, lki_pg_statement statement)
{
    bool is_own = is_by_keys(engine) && by_keys[statement] != NULL;
    return is_own ? by_keys[statement] : lki_pg_texts[statement];
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

bool
lki_pg_engine_pulls_collide(lk_postgres_engine engine)
{
    return is_by_keys(engine);
}

int
lki_pg_engine_tries(lk_postgres_engine engine)
{
    return is_by_keys(engine) ? 100 : 20;
}
