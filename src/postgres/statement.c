/* SPDX-License-Identifier: MIT
 *
 * See statement.h.
 *
 * One row has all that its key has: an item (data is not NULL), its lock, its job. A row without
 * data is a lock alone, and expires when the lock lapses. So one lookup finds all, one row lock
 * guards all, and what ends an item ends its lock and its job with it.
 *
 * Rows are locked in the order of their keys, by every statement that locks several: so two calls
 * never wait for one another. An INSERT with ON CONFLICT locks the row that is there also where its
 * WHERE is false.
 *
 * An item has expired iff now > expires_at; what is written over it begins anew (LEFTOVER).
 */
#include "postgres/statement.h"

#include <stdlib.h>
#include <string.h>

#define LIVE(row, now) \
    row "data IS NOT NULL AND (" row "expires_at IS NULL OR " row "expires_at >= " now ")"
/* Is what a row says over? */
#define LEFTOVER(now) "i.data IS NOT NULL AND i.expires_at < " now
#define KEPT(column, now) column " = CASE WHEN " LEFTOVER(now) " THEN NULL ELSE i." column " END"
/* What a put leaves of the row that was there. */
#define PUT_OVER(now)                                                                    \
    " ON CONFLICT (pk, sk) DO UPDATE SET data = EXCLUDED.data, expires_at = "            \
    "EXCLUDED.expires_at, " KEPT("version", now) ", " KEPT("lock_until", now) ", " KEPT( \
        "claim_until",                                                                   \
        now) ", " KEPT("token",                                                          \
                       now) ", receives = CASE WHEN " LEFTOVER(now) " THEN 0 ELSE i.receives END"
/* What a push leaves of it: a job that nobody has received yet. */
#define PUT_OVER_JOB(now)                                                     \
    " ON CONFLICT (pk, sk) DO UPDATE SET data = EXCLUDED.data, expires_at = " \
    "EXCLUDED.expires_at, " KEPT("version", now) ", " KEPT(                   \
        "lock_until", now) ", claim_until = EXCLUDED.claim_until, "           \
                           "token = NULL, receives = 0"
/* A job by its key and token; 0: by its key. */
#define JOB_OF_CLAIM                                                                 \
    "k AS (SELECT pk, sk, claim_until FROM @.lk_item WHERE pk = $1 AND sk = $2 AND " \
    "claim_until IS NOT NULL AND ($3::int8 = 0 OR token = $3) AND " LIVE("", "$5") " FOR UPDATE) "
#define INSERT_ONE "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) VALUES ($1, $2, $3, $4)"

/* A number as an item has it, the lowest byte first. */
#define NUMBER_BYTE(n, shift) "(get_byte(i.data, " n ")::int8 << " shift ")"
#define NUMBER                                                                                       \
    "(" NUMBER_BYTE("0", "0") "|" NUMBER_BYTE("1", "8") "|" NUMBER_BYTE("2", "16") "|" NUMBER_BYTE(  \
        "3",                                                                                         \
        "24") "|" NUMBER_BYTE("4",                                                                   \
                              "32") "|" NUMBER_BYTE("5",                                             \
                                                    "40") "|" NUMBER_BYTE("6",                       \
                                                                          "48") "|" NUMBER_BYTE("7", \
                                                                                                "56") ")"
#define TURNED(number)                                                                    \
    "(SELECT substr(b,8,1)||substr(b,7,1)||substr(b,6,1)||substr(b,5,1)||substr(b,4,1)||" \
    "substr(b,3,1)||substr(b,2,1)||substr(b,1,1) FROM int8send(" number ") AS b)"

/* The pks from the first one that is `behind` $1 on, each found by one look into the index. */
#define EACH_PK(behind)                                                                           \
    "t (pk) AS ((SELECT pk FROM @.lk_item WHERE pk " behind " $1 ORDER BY pk LIMIT 1) UNION ALL " \
    "SELECT (SELECT i.pk FROM @.lk_item i WHERE i.pk > t.pk ORDER BY i.pk LIMIT 1) FROM t "       \
    "WHERE t.pk IS NOT NULL) "
#define PK_LIVES "EXISTS (SELECT 1 FROM @.lk_item i WHERE i.pk = t.pk AND " LIVE("i.", "$4") ")"

#define KEYS "unnest($1::bytea[], $2::bytea[])"
#define NUMBERED KEYS " WITH ORDINALITY AS k (pk, sk, n)"

#define QUERY_COLUMNS "SELECT sk, data, COALESCE(expires_at, 0::int8) FROM @.lk_item "
#define QUERY_WHERE "WHERE pk = $1 AND sk >= $2 AND sk < $3 AND " LIVE("", "$4")
#define QUERY_WHERE_OPEN "WHERE pk = $1 AND sk >= $2 AND " LIVE("", "$3")

const char *const lki_pg_texts[LKI_PG_STATEMENTS] = {
    [LKI_PG_BEGIN] = "BEGIN ISOLATION LEVEL READ COMMITTED",
    [LKI_PG_COMMIT] = "COMMIT",
    [LKI_PG_ROLLBACK] = "ROLLBACK",
    [LKI_PG_CLOCK] = "SELECT (extract(epoch from clock_timestamp()) * 1000)::int8",
    [LKI_PG_GET] = "SELECT data, COALESCE(expires_at, 0::int8) FROM @.lk_item "
                   "WHERE pk = $1 AND sk = $2 AND " LIVE("", "$3"),
    [LKI_PG_GET_MANY] = "SELECT k.n, i.data, COALESCE(i.expires_at, 0::int8) FROM " NUMBERED
                        " JOIN @.lk_item i ON i.pk = k.pk AND i.sk = k.sk WHERE " LIVE("i.", "$3"),
    [LKI_PG_PUT] = INSERT_ONE PUT_OVER("$5"),
    [LKI_PG_PUT_MANY] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) "
        "SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::int8[]) AS k (pk, sk) "
        "ORDER BY pk, sk" PUT_OVER("$5"),
    [LKI_PG_PUT_IF_ABSENT] =
        INSERT_ONE PUT_OVER("$5") " WHERE NOT (" LIVE("i.", "$5") ") RETURNING 1::int8",
    [LKI_PG_PUT_IF_PRESENT] =
        "UPDATE @.lk_item i SET data = $3, expires_at = $4 "
        "WHERE pk = $1 AND sk = $2 AND " LIVE("i.", "$5") " RETURNING 1::int8",
    [LKI_PG_PUT_IF_EQUAL] = "UPDATE @.lk_item i SET data = $3, expires_at = $4 WHERE pk = $1 AND "
                            "sk = $2 AND data = $6 AND " LIVE("i.", "$5") " RETURNING 1::int8",
    [LKI_PG_TOUCH] = "UPDATE @.lk_item i SET expires_at = $3 WHERE pk = $1 AND sk = $2 AND " LIVE(
        "i.", "$4") " RETURNING 1::int8",
    [LKI_PG_ADD] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) VALUES ($1, $2, " TURNED("$3::int8") ", $4) ON CONFLICT (pk, sk) DO UPDATE SET data = CASE WHEN " LIVE(
            "i.", "$5") " THEN " TURNED(NUMBER
                                        " + $3::int8") " ELSE EXCLUDED.data END, "
                                                       "expires_at = CASE WHEN " LIVE("i.", "$5") " THEN i.expires_at ELSE EXCLUDED.expires_at END, " KEPT(
                                                           "version",
                                                           "$5") ", " KEPT("lock_until",
                                                                           "$5") ", " KEPT("claim_"
                                                                                           "until",
                                                                                           "$5") ","
                                                                                                 " " KEPT("token", "$5") " WHERE NOT (" LIVE(
                                                                                                     "i.",
                                                                                                     "$5") ") OR octet_length(i.data) = 8 "
                                                                                                           "RETURNING data",
    [LKI_PG_REMOVE] = "WITH k AS (SELECT i.pk, i.sk FROM " KEYS " AS k (pk, sk) JOIN @.lk_item i "
                      "ON i.pk = k.pk AND i.sk = k.sk ORDER BY i.pk, i.sk FOR UPDATE OF i) "
                      "DELETE FROM @.lk_item i USING k WHERE i.pk = k.pk AND i.sk = k.sk",
    [LKI_PG_QUERY] = QUERY_COLUMNS QUERY_WHERE " ORDER BY sk LIMIT $5",
    [LKI_PG_QUERY_REVERSE] = QUERY_COLUMNS QUERY_WHERE " ORDER BY sk DESC LIMIT $5",
    [LKI_PG_QUERY_OPEN] = QUERY_COLUMNS QUERY_WHERE_OPEN " ORDER BY sk LIMIT $4",
    [LKI_PG_QUERY_OPEN_REVERSE] = QUERY_COLUMNS QUERY_WHERE_OPEN " ORDER BY sk DESC LIMIT $4",
    [LKI_PG_COUNT] = "SELECT count(*) FROM (SELECT 1 FROM @.lk_item " QUERY_WHERE " LIMIT $5) q",
    [LKI_PG_COUNT_OPEN] =
        "SELECT count(*) FROM (SELECT 1 FROM @.lk_item " QUERY_WHERE_OPEN " LIMIT $4) q",
    [LKI_PG_LOCK_READ] = "SELECT k.n, CASE WHEN " LIVE(
        "i.", "$3") " THEN i.data END, COALESCE(i.expires_at, "
                    "0::int8), i.version, i.lock_until FROM " NUMBERED
                    " JOIN @.lk_item i ON i.pk = k.pk AND "
                    "i.sk = k.sk WHERE (" LEFTOVER("$3") ") IS NOT TRUE",
    [LKI_PG_LOCK_MAKE] =
        "INSERT INTO @.lk_item AS i (pk, sk, version, lock_until, expires_at) "
        "VALUES ($1, $2, nextval('@.lk_version'), $4, $4) ON CONFLICT (pk, sk) DO UPDATE SET "
        "version = nextval('@.lk_version'), lock_until = EXCLUDED.lock_until, "
        "expires_at = CASE WHEN " LIVE(
            "i.",
            "$3") " THEN i.expires_at ELSE EXCLUDED.expires_at END, "
                  "data = CASE WHEN " LEFTOVER("$3") " THEN NULL ELSE i.data END, " KEPT(
                      "claim_until",
                      "$3") ", " KEPT("token",
                                      "$3") " WHERE i.version IS NULL OR i.lock_until < $5 OR "
                                            "(" LEFTOVER("$3") ") "
                                                               "RETURNING version, lock_until",
    [LKI_PG_ROWS_TAKE] = "INSERT INTO @.lk_item AS i (pk, sk) SELECT pk, sk FROM " KEYS
                         " AS k (pk, sk) ORDER BY pk, sk ON CONFLICT (pk, sk) DO UPDATE "
                         "SET receives = 0 WHERE false",
    [LKI_PG_ROWS_READ] = "SELECT k.n, i.data, COALESCE(i.expires_at, 0::int8), i.version, "
                         "i.lock_until, i.claim_until, i.token, i.receives FROM " NUMBERED
                         " JOIN @.lk_item i ON i.pk = k.pk AND i.sk = k.sk",
    [LKI_PG_VERSIONS] = "SELECT nextval('@.lk_version') FROM generate_series(1, $1::int8)",
    [LKI_PG_ROWS_WRITE] =
        "UPDATE @.lk_item i SET data = k.data, expires_at = k.expires_at, version = k.version, "
        "lock_until = k.lock_until, claim_until = k.claim_until, token = k.token, "
        "receives = k.receives FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::int8[], "
        "$5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[]) AS k (pk, sk, data, "
        "expires_at, version, lock_until, claim_until, token, receives) "
        "WHERE i.pk = k.pk AND i.sk = k.sk",
    [LKI_PG_ROWS_REMOVE] =
        "DELETE FROM @.lk_item i USING " KEYS " AS k (pk, sk) WHERE i.pk = k.pk AND i.sk = k.sk",
    [LKI_PG_CLOSED_LOOK] = "SELECT pk FROM @.lk_queue WHERE closed AND pk = ANY($1::bytea[])",
    [LKI_PG_PUSH] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at, claim_until) "
        "SELECT $1::bytea, k.sk, k.data, k.expires_at, $5::int8 FROM "
        "unnest($2::bytea[], $3::bytea[], $4::int8[]) AS k (sk, data, expires_at) WHERE NOT EXISTS "
        "(SELECT 1 FROM @.lk_queue WHERE pk = $1 AND closed) AND NOT EXISTS (SELECT 1 FROM "
        "unnest($2::bytea[]) AS s (sk) JOIN @.lk_item i ON i.pk = $1 AND i.sk = s.sk WHERE " LIVE(
            "i.", "$6") ") ORDER BY k.sk" PUT_OVER_JOB("$6") " RETURNING 1::int8",
    [LKI_PG_DUE] =
        "UPDATE @.lk_item SET claim_until = 0 WHERE ctid = ANY(ARRAY(SELECT ctid FROM @.lk_item "
        "WHERE pk = $1 AND claim_until > $2 AND claim_until > 0 AND claim_until <= $3 "
        "ORDER BY claim_until LIMIT $4 FOR UPDATE SKIP LOCKED)) RETURNING sk, token IS NOT NULL",
    [LKI_PG_PULL] =
        "UPDATE @.lk_item SET claim_until = $4, token = nextval('@.lk_version'), "
        "receives = receives + 1 WHERE ctid = ANY(ARRAY(SELECT ctid FROM @.lk_item "
        "WHERE pk = $1 AND sk >= $2 AND claim_until = 0 AND " LIVE(
            "", "$3") " ORDER BY sk LIMIT $5 FOR UPDATE SKIP LOCKED)) "
                      "RETURNING sk, data, COALESCE(expires_at, 0::int8), token, receives",
    [LKI_PG_QUEUE_LOOK] =
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM @.lk_item WHERE pk = $1 AND claim_until = 0 "
        "AND " LIVE(
            "", "$2") " LIMIT 1) q) + (SELECT count(*) FROM (SELECT 1 FROM @.lk_item WHERE "
                      "pk = $1 AND claim_until > 0 AND " LIVE(
                          "", "$2") " LIMIT 1) q), (SELECT claim_until FROM "
                                    "@.lk_item WHERE pk = $1 AND claim_until > 0 ORDER BY "
                                    "claim_until LIMIT 1), "
                                    "(SELECT count(*) FROM @.lk_queue WHERE pk = $1 AND closed)",
    [LKI_PG_ACKNOWLEDGE] =
        "WITH k AS (SELECT i.pk, i.sk, k.n FROM unnest($1::bytea[], $2::bytea[], $3::int8[]) "
        "WITH ORDINALITY AS k (pk, sk, token, n) JOIN @.lk_item i ON i.pk = k.pk AND i.sk = k.sk "
        "WHERE i.claim_until IS NOT NULL AND (k.token = 0 OR i.token = k.token) AND " LIVE(
            "i.", "$4") " ORDER BY i.pk, i.sk FOR UPDATE OF i) "
                        "DELETE FROM @.lk_item i USING k WHERE i.pk = k.pk AND i.sk = k.sk "
                        "RETURNING k.n, i.claim_until",
    [LKI_PG_RELEASE] = "WITH " JOB_OF_CLAIM "UPDATE @.lk_item i SET claim_until = $4, token = NULL "
                       "FROM k WHERE i.pk = k.pk AND i.sk = k.sk RETURNING k.claim_until",
    [LKI_PG_EXTEND] = "WITH " JOB_OF_CLAIM "UPDATE @.lk_item i SET claim_until = $4 "
                      "FROM k WHERE i.pk = k.pk AND i.sk = k.sk RETURNING k.claim_until",
    [LKI_PG_INSPECT] =
        "SELECT k.n, i.claim_until, (i.token IS NOT NULL)::int4, i.receives FROM " NUMBERED
        " JOIN @.lk_item i ON i.pk = k.pk AND i.sk = k.sk "
        "WHERE i.claim_until IS NOT NULL AND " LIVE("i.", "$3"),
    [LKI_PG_QUEUE_STATS] =
        "SELECT count(*) FILTER (WHERE claim_until <= $2), "
        "count(*) FILTER (WHERE claim_until > $2 AND token IS NOT NULL), "
        "count(*) FILTER (WHERE claim_until > $2 AND token IS NULL), "
        "(SELECT sk FROM @.lk_item WHERE pk = $1 AND claim_until <= $2 AND octet_length(sk) = 26 "
        "AND " LIVE("", "$3") " ORDER BY sk LIMIT 1) "
                              "FROM @.lk_item WHERE pk = $1 AND claim_until IS NOT NULL AND " LIVE(
                                  "", "$3"),
    [LKI_PG_QUEUE_COUNTS] = "SELECT dead, pushes, pulls, empty_pulls, lapses, late, lost "
                            "FROM @.lk_queue WHERE pk = $1",
    [LKI_PG_QUEUE_COUNT] =
        "INSERT INTO @.lk_queue AS q (pk, dead, pushes, pulls, empty_pulls, lapses, late, lost, "
        "used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (pk) DO UPDATE SET "
        "dead = q.dead + EXCLUDED.dead, pushes = q.pushes + EXCLUDED.pushes, "
        "pulls = q.pulls + EXCLUDED.pulls, empty_pulls = q.empty_pulls + EXCLUDED.empty_pulls, "
        "lapses = q.lapses + EXCLUDED.lapses, late = q.late + EXCLUDED.late, "
        "lost = q.lost + EXCLUDED.lost, used_at = GREATEST(q.used_at, EXCLUDED.used_at)",
    [LKI_PG_QUEUE_PURGE] =
        "DELETE FROM @.lk_item WHERE ctid = ANY(ARRAY(SELECT ctid FROM @.lk_item WHERE pk = $1 AND "
        "claim_until IS NOT NULL LIMIT $2 FOR UPDATE)) RETURNING COALESCE(expires_at, 0::int8)",
    [LKI_PG_QUEUE_CLOSE] =
        "INSERT INTO @.lk_queue AS q (pk, closed, used_at) VALUES ($1, true, $2) "
        "ON CONFLICT (pk) DO UPDATE SET closed = true",
    [LKI_PG_QUEUE_TAKE] = "INSERT INTO @.lk_queue AS q (pk, used_at) VALUES ($1, $2) ON CONFLICT "
                          "(pk) DO UPDATE SET used_at = 0 WHERE false",
    [LKI_PG_DEPTH] = "SELECT count(*) FROM (SELECT 1 FROM @.lk_item WHERE pk = $1 AND "
                     "claim_until IS NOT NULL AND " LIVE("", "$3") " LIMIT $2) q",
    [LKI_PG_WRITERS_WAIT] = "LOCK TABLE @.lk_item IN SHARE MODE",
    [LKI_PG_ULID_READ] = "SELECT ulid_ms FROM @.lk_schema",
    [LKI_PG_ULID_MARK] = "UPDATE @.lk_schema SET ulid_ms = GREATEST(ulid_ms, $1)",
    [LKI_PG_PARTITIONS] = "WITH RECURSIVE " EACH_PK(
        ">") "SELECT t.pk FROM t WHERE octet_length(t.pk) <= $3::int8 AND " PK_LIVES " LIMIT $2",
    [LKI_PG_PARTITIONS_LONG] = "WITH RECURSIVE " EACH_PK(
        ">=") "SELECT t.pk, ('x' || substr(md5(t.pk), 1, 16))::bit(64)::int8 "
              "FROM t WHERE octet_length(t.pk) > $3::int8 AND " PK_LIVES " LIMIT $2",
    [LKI_PG_SWEEP] =
        "WITH k AS (SELECT pk, sk FROM @.lk_item WHERE expires_at < $1 ORDER BY expires_at "
        "LIMIT $2 FOR UPDATE SKIP LOCKED) DELETE FROM @.lk_item i USING k "
        "WHERE i.pk = k.pk AND i.sk = k.sk RETURNING i.data IS NULL",
    [LKI_PG_CELLS] = "SELECT GREATEST(reltuples, 0)::int8 FROM pg_class "
                     "WHERE oid = '@.lk_item'::regclass",
};

const char lki_pg_version_text[] = "SELECT version::int8 FROM @.lk_schema";

const char *const lki_pg_schema_texts[] = {
    "CREATE SCHEMA IF NOT EXISTS @",
    "CREATE TABLE IF NOT EXISTS @.lk_item (pk bytea NOT NULL, sk bytea NOT NULL, data bytea, "
    "expires_at bigint, version bigint, lock_until bigint, claim_until bigint, token bigint, "
    "receives bigint NOT NULL DEFAULT 0, PRIMARY KEY (pk, sk)) "
    "WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01)",
    "CREATE INDEX IF NOT EXISTS lk_item_ready ON @.lk_item (pk, sk) WHERE claim_until = 0",
    "CREATE INDEX IF NOT EXISTS lk_item_claimed ON @.lk_item (pk, claim_until) "
    "WHERE claim_until > 0",
    "CREATE INDEX IF NOT EXISTS lk_item_expiry ON @.lk_item (expires_at) "
    "WHERE expires_at IS NOT NULL",
    "CREATE SEQUENCE IF NOT EXISTS @.lk_version",
    "CREATE TABLE IF NOT EXISTS @.lk_queue (pk bytea PRIMARY KEY, closed boolean NOT NULL DEFAULT "
    "false, dead bigint NOT NULL DEFAULT 0, pushes bigint NOT NULL DEFAULT 0, pulls bigint NOT "
    "NULL "
    "DEFAULT 0, empty_pulls bigint NOT NULL DEFAULT 0, lapses bigint NOT NULL DEFAULT 0, late "
    "bigint "
    "NOT NULL DEFAULT 0, lost bigint NOT NULL DEFAULT 0, used_at bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS @.lk_schema (one bigint PRIMARY KEY, version bigint NOT NULL, "
    "ulid_ms bigint NOT NULL DEFAULT 0)",
    "INSERT INTO @.lk_schema VALUES (1, 1) ON CONFLICT DO NOTHING",
    NULL,
};

char *
lki_pg_text_make(const char *text, const char *schema)
{
    size_t size = strlen(text) + 1, name = strlen(schema);
    for (const char *at = text; (at = strchr(at, '@')) != NULL; at++)
        size += name + 2;
    char *made = malloc(size), *to = made;
    if (made == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        if (*text != '@') {
            *to++ = *text;
            continue;
        }
        *to++ = '"';
        memcpy(to, schema, name);
        to += name;
        *to++ = '"';
    }
    *to = '\0';
    return made;
}
