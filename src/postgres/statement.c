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
 * An item has expired iff now ($1) > expires_at; what is written over it begins anew (OVER).
 *
 * What takes rows out of a queue finds them by ctid: by pk and sk the server may choose to look at
 * all that the partition ever had.
 */
#include "postgres/statement.h"

#include <stdlib.h>
#include <string.h>

#define LIVE "i.data IS NOT NULL AND (i.expires_at IS NULL OR i.expires_at >= $1)"
/* Is what the row says over? */
#define OVER "i.data IS NOT NULL AND i.expires_at < $1"
/* What of the row is no item's is kept, unless it is over. */
#define KEEP_LOCK                                                 \
    "version = CASE WHEN " OVER " THEN NULL ELSE i.version END, " \
    "lock_until = CASE WHEN " OVER " THEN NULL ELSE i.lock_until END"
#define KEEP_JOB                                                          \
    "claim_until = CASE WHEN " OVER " THEN NULL ELSE i.claim_until END, " \
    "token = CASE WHEN " OVER " THEN NULL ELSE i.token END, "             \
    "receives = CASE WHEN " OVER " THEN 0 ELSE i.receives END"
#define PUT_OVER                                                \
    " ON CONFLICT (pk, sk) DO UPDATE SET data = EXCLUDED.data," \
    " expires_at = EXCLUDED.expires_at, " KEEP_LOCK ", " KEEP_JOB

/* Each has an index. */
#define IS_READY "i.claim_until = 0"
#define IS_CLAIMED "i.claim_until > 0"
/* A job by its key and token; 0: by its key. */
#define JOB_OF_CLAIM                                                                   \
    "WITH k AS (SELECT pk, sk, claim_until FROM @.lk_item i WHERE pk = $2 AND sk = $3" \
    " AND i.claim_until IS NOT NULL AND ($4::int8 = 0 OR i.token = $4) AND " LIVE " FOR UPDATE) "

/* A number as an item has it, the lowest byte first; and the bytes of one. */
#define NUMBER                                                                 \
    "(get_byte(i.data, 0)::int8 | (get_byte(i.data, 1)::int8 << 8)"            \
    " | (get_byte(i.data, 2)::int8 << 16) | (get_byte(i.data, 3)::int8 << 24)" \
    " | (get_byte(i.data, 4)::int8 << 32) | (get_byte(i.data, 5)::int8 << 40)" \
    " | (get_byte(i.data, 6)::int8 << 48) | (get_byte(i.data, 7)::int8 << 56))"
#define BYTES_OF                                                                       \
    "(SELECT substr(b, 8, 1) || substr(b, 7, 1) || substr(b, 6, 1) || substr(b, 5, 1)" \
    " || substr(b, 4, 1) || substr(b, 3, 1) || substr(b, 2, 1) || substr(b, 1, 1)"     \
    " FROM int8send("
#define BYTES_END ") AS b)"

/* Keys as two arrays: where time counts, and where it does not. */
#define KEYS "unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS k (pk, sk, n) "
#define KEYS_ALONE "unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS k (pk, sk, n) "
#define OF_KEYS "JOIN @.lk_item i ON i.pk = k.pk AND i.sk = k.sk "
/* The same, one look into the index for each key whatever the planner thinks of the table. */
#define LOOK_AT_KEYS                                                                             \
    "CROSS JOIN LATERAL (SELECT * FROM @.lk_item AS r WHERE r.pk = k.pk AND r.sk = k.sk OFFSET " \
    "0) i "
#define SAME_KEY "i.pk = k.pk AND i.sk = k.sk"

#define EXPIRY "COALESCE(i.expires_at, 0::int8)"

/* A number that changes when the server loses what it had not written yet: when it crashed, or when
 * a standby takes over. Then a table that is not logged is empty. The numbers of transactions that
 * were lost are given to others. */
#define LIFE "COALESCE((SELECT l.id FROM @.lk_life l), 0::int8)"

#define QUERY_COLUMNS "SELECT i.sk, i.data, " EXPIRY " FROM @.lk_item i "
#define QUERY_OPEN "WHERE i.pk = $2 AND i.sk >= $4 AND " LIVE
#define QUERY_RANGE QUERY_OPEN " AND i.sk < $5"

/* The same of a page whose bytes end it, as the server reads no item behind that, nor sends it. */
#define PAGE_COLUMNS(order)                                                \
    "SELECT q.sk, q.data, q.expires_at FROM (SELECT i.sk, i.data, " EXPIRY \
    " AS expires_at, sum(octet_length(i.data)) OVER (ORDER BY i.sk" order  \
    " ROWS UNBOUNDED PRECEDING) - octet_length(i.data) AS bytes FROM @.lk_item i "
#define PAGE_END(order, bytes) \
    " ORDER BY i.sk" order " LIMIT $3) q WHERE q.bytes < " bytes " ORDER BY q.sk" order

/* The pks, each found by one look into the index, from the first one that is behind $2 on. */
#define EACH_PK_FROM "WITH RECURSIVE t (pk) AS ((SELECT i.pk FROM @.lk_item i WHERE i.pk "
#define EACH_PK                                                                       \
    " $2 ORDER BY i.pk LIMIT 1) UNION ALL SELECT (SELECT i.pk FROM @.lk_item i WHERE" \
    " i.pk > t.pk ORDER BY i.pk LIMIT 1) FROM t WHERE t.pk IS NOT NULL) "
#define PK_LIVES \
    "(SELECT true FROM @.lk_item i WHERE i.pk = t.pk AND " LIVE " ORDER BY i.sk LIMIT 1)"

/* What this end has given up the server does not go on with for long: neither with a statement that
 * waits for a row, nor with a transaction that nobody ends. The user's own limits stay. */
#define LIMITS(ms, is_local)                                                         \
    "SELECT set_config(n, CASE current_setting(n) WHEN '0' THEN " ms                 \
    " ELSE current_setting(n) END, " is_local ") FROM unnest(ARRAY['lock_timeout', " \
    "'idle_in_transaction_session_timeout']) AS n"

const char *const lki_pg_texts[LKI_PG_STATEMENTS] = {
    [LKI_PG_BEGIN] = "BEGIN ISOLATION LEVEL READ COMMITTED",
    [LKI_PG_COMMIT] = "COMMIT",
    [LKI_PG_ROLLBACK] = "ROLLBACK",
    [LKI_PG_LIMITS] = LIMITS("$1::int8::text", "true"),
    [LKI_PG_CLOCK] = "SELECT (extract(epoch from clock_timestamp()) * 1000)::int8",

    /* reads */
    [LKI_PG_GET] = "SELECT i.data, " EXPIRY " FROM @.lk_item i "
                   "WHERE i.pk = $2 AND i.sk = $3 AND " LIVE,
    [LKI_PG_GET_MANY] = "SELECT k.n, i.data, " EXPIRY " FROM " KEYS LOOK_AT_KEYS "WHERE " LIVE,
    [LKI_PG_QUERY] = QUERY_COLUMNS QUERY_RANGE " ORDER BY i.sk LIMIT $3",
    [LKI_PG_QUERY_REVERSE] = QUERY_COLUMNS QUERY_RANGE " ORDER BY i.sk DESC LIMIT $3",
    [LKI_PG_QUERY_OPEN] = QUERY_COLUMNS QUERY_OPEN " ORDER BY i.sk LIMIT $3",
    [LKI_PG_QUERY_OPEN_REVERSE] = QUERY_COLUMNS QUERY_OPEN " ORDER BY i.sk DESC LIMIT $3",
    [LKI_PG_PAGE] = PAGE_COLUMNS("") QUERY_RANGE PAGE_END("", "$6"),
    [LKI_PG_PAGE_REVERSE] = PAGE_COLUMNS(" DESC") QUERY_RANGE PAGE_END(" DESC", "$6"),
    [LKI_PG_PAGE_OPEN] = PAGE_COLUMNS("") QUERY_OPEN PAGE_END("", "$5"),
    [LKI_PG_PAGE_OPEN_REVERSE] = PAGE_COLUMNS(" DESC") QUERY_OPEN PAGE_END(" DESC", "$5"),
    [LKI_PG_COUNT] = "SELECT count(*) FROM "
                     "(SELECT 1 FROM @.lk_item i " QUERY_RANGE " ORDER BY i.sk LIMIT $3) q",
    [LKI_PG_COUNT_OPEN] = "SELECT count(*) FROM "
                          "(SELECT 1 FROM @.lk_item i " QUERY_OPEN " ORDER BY i.sk LIMIT $3) q",
    [LKI_PG_PARTITIONS] =
        EACH_PK_FROM ">" EACH_PK "SELECT t.pk FROM t WHERE octet_length(t.pk) <= $4::int8 "
                     "AND " PK_LIVES " LIMIT $3",
    [LKI_PG_PARTITIONS_LONG] = EACH_PK_FROM
    ">=" EACH_PK "SELECT t.pk, ('x' || substr(md5(t.pk), 1, 16))::bit(64)::int8 FROM t "
    "WHERE octet_length(t.pk) > $4::int8 AND " PK_LIVES " LIMIT $3",

    /* writes of items */
    [LKI_PG_PUT] = "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) "
                   "VALUES ($2, $3, $4, $5)" PUT_OVER,
    [LKI_PG_PUT_MANY] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) "
        "SELECT * FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::int8[]) AS k (pk, sk) "
        "ORDER BY pk, sk" PUT_OVER,
    [LKI_PG_PUT_IF_ABSENT] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) "
        "VALUES ($2, $3, $4, $5)" PUT_OVER " WHERE NOT (" LIVE ") RETURNING 1::int8",
    [LKI_PG_PUT_IF_PRESENT] = "UPDATE @.lk_item i SET data = $4, expires_at = $5 "
                              "WHERE i.pk = $2 AND i.sk = $3 AND " LIVE " RETURNING 1::int8",
    [LKI_PG_PUT_IF_EQUAL] =
        "UPDATE @.lk_item i SET data = $4, expires_at = $5 "
        "WHERE i.pk = $2 AND i.sk = $3 AND i.data = $6 AND " LIVE " RETURNING 1::int8",
    [LKI_PG_TOUCH] = "UPDATE @.lk_item i SET expires_at = $4 "
                     "WHERE i.pk = $2 AND i.sk = $3 AND " LIVE " RETURNING 1::int8",
    [LKI_PG_ADD] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at) "
        "VALUES ($2, $3, " BYTES_OF "$4::int8" BYTES_END ", $5) ON CONFLICT (pk, sk) DO UPDATE "
        "SET data = CASE WHEN " LIVE " THEN " BYTES_OF NUMBER " + $4::int8" BYTES_END
        " ELSE EXCLUDED.data END, expires_at = CASE WHEN " LIVE " THEN i.expires_at "
        "ELSE EXCLUDED.expires_at END, " KEEP_LOCK ", " KEEP_JOB " WHERE NOT (" LIVE
        ") OR octet_length(i.data) = 8 RETURNING i.data",
    [LKI_PG_REMOVE] = "WITH k AS (SELECT i.pk, i.sk FROM " KEYS_ALONE OF_KEYS
                      "ORDER BY i.pk, i.sk FOR UPDATE OF i) "
                      "DELETE FROM @.lk_item i USING k WHERE " SAME_KEY,
    [LKI_PG_SWEEP] = "DELETE FROM @.lk_item WHERE ctid = ANY(ARRAY(SELECT ctid FROM @.lk_item "
                     "WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 "
                     "FOR UPDATE SKIP LOCKED)) RETURNING 1::int8",

    /* locks */
    [LKI_PG_LOCK_READ] =
        "SELECT k.n, CASE WHEN " LIVE " THEN i.data END, " EXPIRY
        ", i.version, i.lock_until FROM " KEYS LOOK_AT_KEYS "WHERE (" OVER ") IS NOT TRUE",
    /* Its row is there, and locked: so the version is above all that the key has had. */
    [LKI_PG_LOCK_MAKE] =
        "UPDATE @.lk_item i SET version = nextval('@.lk_version'), lock_until = $4, "
        "expires_at = CASE WHEN " LIVE " THEN i.expires_at ELSE $4 END, "
        "data = CASE WHEN " OVER " THEN NULL ELSE i.data END, " KEEP_JOB
        " WHERE i.pk = $2 AND i.sk = $3 AND (i.version IS NULL OR i.lock_until < $5 "
        "OR (" OVER ")) RETURNING i.version, i.lock_until",

    /* a plan */
    [LKI_PG_ROWS_TAKE] = "INSERT INTO @.lk_item AS i (pk, sk) SELECT pk, sk FROM " KEYS_ALONE
                         "ORDER BY pk, sk ON CONFLICT (pk, sk) DO UPDATE "
                         "SET receives = 0 WHERE false",
    [LKI_PG_ROWS_READ] = "SELECT k.n, i.data, " EXPIRY ", i.version, i.lock_until, "
                         "i.claim_until, i.token, i.receives FROM " KEYS_ALONE LOOK_AT_KEYS,
    [LKI_PG_ROWS_WRITE] = /* they are there, and locked: so they are found without a join */
    "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at, version, lock_until, claim_until, "
    "token, receives) SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], "
    "$4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[]) "
    "ON CONFLICT (pk, sk) DO UPDATE SET data = EXCLUDED.data, "
    "expires_at = EXCLUDED.expires_at, version = EXCLUDED.version, "
    "lock_until = EXCLUDED.lock_until, claim_until = EXCLUDED.claim_until, "
    "token = EXCLUDED.token, receives = EXCLUDED.receives",
    /* One series and places in arrays cost less than an unnest of each. */
    [LKI_PG_HELD_WRITE] =
        "UPDATE @.lk_item i SET data = COALESCE(($4::bytea[])[k.n], i.data), expires_at = CASE "
        "WHEN ($4::bytea[])[k.n] IS NOT NULL THEN ($5::int8[])[k.n] "
        "WHEN i.data IS NOT NULL THEN i.expires_at ELSE $8::int8 END, "
        "version = ($7::int8[])[k.n], lock_until = $8::int8 "
        "FROM generate_series(1, $9::int8::int4) AS k (n) "
        "WHERE i.pk = ($2::bytea[])[k.n] AND i.sk = ($3::bytea[])[k.n] "
        "AND i.version = ($6::int8[])[k.n] AND i.lock_until >= $1 "
        "AND (" OVER ") IS NOT TRUE RETURNING 1::int8",
    [LKI_PG_ROWS_REMOVE] = "DELETE FROM @.lk_item i USING " KEYS_ALONE "WHERE " SAME_KEY,
    [LKI_PG_VERSIONS] = "SELECT nextval('@.lk_version') FROM generate_series(1, $1::int8)",
    [LKI_PG_LIFE_MAKE] = "INSERT INTO @.lk_life SELECT 1, ('x' || substr(md5("
                         "gen_random_uuid()::text), 1, 16))::bit(64)::int8 ON CONFLICT DO NOTHING",
    [LKI_PG_XACT] = "SELECT pg_current_xact_id()::text::int8, " LIFE,
    [LKI_PG_XACT_LOOK] = "SELECT CASE pg_xact_status($1::int8::text::xid8) "
                         "WHEN 'in progress' THEN 0::int8 WHEN 'aborted' THEN 2 WHEN 'committed' "
                         "THEN CASE WHEN $2 <> 0::int8 AND $2 = " LIFE " THEN 1 END END",
    [LKI_PG_QUEUES_TAKE] =
        "INSERT INTO @.lk_queue AS q (pk, used_at) SELECT pk, $2::int8 "
        "FROM unnest($1::bytea[]) AS k (pk) ORDER BY pk ON CONFLICT (pk) DO UPDATE "
        "SET used_at = 0 WHERE false",
    [LKI_PG_DEPTHS] = "SELECT k.n, (SELECT count(*) FROM ("
                      "(SELECT 1 FROM @.lk_item i WHERE i.pk = k.pk AND " IS_READY " AND " LIVE
                      " ORDER BY i.sk LIMIT $3) UNION ALL "
                      "(SELECT 1 FROM @.lk_item i WHERE i.pk = k.pk AND " IS_CLAIMED " AND " LIVE
                      " ORDER BY i.claim_until LIMIT $3)) q) "
                      "FROM unnest($2::bytea[]) WITH ORDINALITY AS k (pk, n)",

    /* queues */
    [LKI_PG_CLOSED_LOOK] = "SELECT pk FROM @.lk_queue WHERE closed AND pk = ANY($1::bytea[])",
    [LKI_PG_PUSH] =
        "INSERT INTO @.lk_item AS i (pk, sk, data, expires_at, claim_until) "
        "SELECT $2::bytea, k.sk, k.data, k.expires_at, $6::int8 "
        "FROM unnest($3::bytea[], $4::bytea[], $5::int8[]) AS k (sk, data, expires_at) "
        "WHERE NOT EXISTS (SELECT 1 FROM @.lk_queue WHERE pk = $2 AND closed) "
        "AND NOT EXISTS (SELECT 1 FROM unnest($3::bytea[]) AS s (sk) "
        "CROSS JOIN LATERAL (SELECT * FROM @.lk_item AS r WHERE r.pk = $2 AND r.sk = s.sk OFFSET "
        "0) "
        "i WHERE " LIVE ") ORDER BY k.sk "
        "ON CONFLICT (pk, sk) DO UPDATE SET data = EXCLUDED.data, "
        "expires_at = EXCLUDED.expires_at, " KEEP_LOCK
        ", claim_until = EXCLUDED.claim_until, token = NULL, receives = 0 RETURNING 1::int8",
    [LKI_PG_DUE] = "UPDATE @.lk_item SET claim_until = 0 WHERE ctid = ANY(ARRAY(SELECT ctid "
                   "FROM @.lk_item WHERE pk = $1 AND claim_until > $2 AND claim_until > 0 "
                   "AND claim_until <= $3 ORDER BY claim_until LIMIT $4 FOR UPDATE SKIP LOCKED)) "
                   "RETURNING sk, token IS NOT NULL",
    [LKI_PG_PULL] =
        "UPDATE @.lk_item i SET claim_until = $5, token = $6, receives = receives + 1 "
        "WHERE ctid = ANY(ARRAY(SELECT ctid FROM @.lk_item i WHERE i.pk = $2 AND i.sk >= $3 "
        "AND i.claim_until = 0 AND " LIVE " ORDER BY i.sk LIMIT $4 FOR UPDATE SKIP LOCKED)) "
        "RETURNING i.sk, i.data, " EXPIRY ", i.receives",
    [LKI_PG_GIVE_BACK] =
        "WITH c AS (SELECT i.sk FROM @.lk_item i WHERE i.pk = $1 AND " IS_CLAIMED
        " AND i.claim_until = $2 AND i.token = $3 AND i.sk IS DISTINCT FROM $4::bytea), "
        "k AS (SELECT i.pk, i.sk FROM (SELECT sk FROM c ORDER BY sk OFFSET 0) s CROSS JOIN "
        "LATERAL (SELECT r.pk, r.sk FROM @.lk_item AS r WHERE r.pk = $1 AND r.sk = s.sk "
        "AND r.claim_until = $2 AND r.token = $3 FOR UPDATE) i) "
        "UPDATE @.lk_item i SET claim_until = 0, token = NULL, receives = i.receives - 1 "
        "FROM k WHERE " SAME_KEY,
    [LKI_PG_QUEUE_LOOK] =
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM @.lk_item i WHERE i.pk = $2 "
        "AND " IS_READY " AND " LIVE " ORDER BY i.sk LIMIT 1) q), (SELECT count(*) FROM (SELECT 1 "
        "FROM @.lk_item i WHERE i.pk = $2 AND " IS_CLAIMED " AND " LIVE
        " ORDER BY i.claim_until LIMIT 1) q), "
        "(SELECT claim_until FROM @.lk_item WHERE pk = $2 AND claim_until > 0 "
        "ORDER BY claim_until LIMIT 1), "
        "(SELECT count(*) FROM @.lk_queue WHERE pk = $2 AND closed)",
    [LKI_PG_ACKNOWLEDGE] =
        "WITH k AS (SELECT i.pk, i.sk, k.n FROM unnest($2::bytea[], $3::bytea[], $4::int8[]) "
        "WITH ORDINALITY AS k (pk, sk, token, n) " OF_KEYS "WHERE i.claim_until IS NOT NULL "
        "AND (k.token = 0 OR i.token = k.token) AND " LIVE " ORDER BY i.pk, i.sk "
        "FOR UPDATE OF i) DELETE FROM @.lk_item i USING k WHERE " SAME_KEY
        " RETURNING k.n, i.claim_until",
    [LKI_PG_ACKNOWLEDGE_ONE] =
        "DELETE FROM @.lk_item i WHERE i.pk = $2 AND i.sk = $3 AND i.claim_until IS NOT NULL "
        "AND ($4::int8 = 0 OR i.token = $4) AND " LIVE " RETURNING 1::int8, i.claim_until",
    [LKI_PG_RELEASE] = JOB_OF_CLAIM "UPDATE @.lk_item i SET claim_until = $5, token = NULL "
                                    "FROM k WHERE " SAME_KEY " RETURNING k.claim_until",
    [LKI_PG_EXTEND] = JOB_OF_CLAIM "UPDATE @.lk_item i SET claim_until = $5 "
                                   "FROM k WHERE " SAME_KEY " RETURNING k.claim_until",
    [LKI_PG_INSPECT] = "SELECT k.n, i.claim_until, (i.token IS NOT NULL)::int4, i.receives "
                       "FROM " KEYS LOOK_AT_KEYS "WHERE i.claim_until IS NOT NULL AND " LIVE,
    [LKI_PG_QUEUE_STATS] =
        "SELECT count(*) FILTER (WHERE j.claim_until <= $3), "
        "count(*) FILTER (WHERE j.claim_until > $3 AND j.token IS NOT NULL), "
        "count(*) FILTER (WHERE j.claim_until > $3 AND j.token IS NULL), "
        "LEAST((SELECT i.sk FROM @.lk_item i WHERE i.pk = $2 AND " IS_READY
        " AND octet_length(i.sk) = 26 AND " LIVE " ORDER BY i.sk LIMIT 1), "
        "(SELECT i.sk FROM @.lk_item i WHERE i.pk = $2 AND " IS_CLAIMED
        " AND i.claim_until <= $3 AND octet_length(i.sk) = 26 AND " LIVE
        " ORDER BY i.sk LIMIT 1)) FROM ("
        "SELECT i.claim_until, i.token FROM @.lk_item i WHERE i.pk = $2 AND " IS_READY " AND " LIVE
        " UNION ALL SELECT i.claim_until, i.token FROM @.lk_item i WHERE i.pk = $2 AND " IS_CLAIMED
        " AND " LIVE ") j",
    [LKI_PG_QUEUE_COUNTS] = "SELECT dead, pushes, pulls, empty_pulls, lapses, late, lost "
                            "FROM @.lk_queue WHERE pk = $1",
    [LKI_PG_QUEUE_COUNT] =
        "INSERT INTO @.lk_queue AS q (pk, dead, pushes, pulls, empty_pulls, lapses, late, lost, "
        "used_at) SELECT k.*, $9::int8 FROM unnest($1::bytea[], $2::int8[], $3::int8[], "
        "$4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[]) AS k (pk) ORDER BY k.pk "
        "ON CONFLICT (pk) DO UPDATE SET "
        "dead = q.dead + EXCLUDED.dead, pushes = q.pushes + EXCLUDED.pushes, "
        "pulls = q.pulls + EXCLUDED.pulls, empty_pulls = q.empty_pulls + EXCLUDED.empty_pulls, "
        "lapses = q.lapses + EXCLUDED.lapses, late = q.late + EXCLUDED.late, "
        "lost = q.lost + EXCLUDED.lost, used_at = GREATEST(q.used_at, EXCLUDED.used_at)",
    [LKI_PG_QUEUE_PURGE] =
        "WITH c AS ((SELECT i.sk FROM @.lk_item i WHERE i.pk = $1 AND " IS_READY
        " ORDER BY i.sk LIMIT $2) UNION ALL (SELECT i.sk FROM @.lk_item i WHERE i.pk = $1 "
        "AND " IS_CLAIMED " ORDER BY i.claim_until LIMIT $2)), "
        "k AS (SELECT i.pk, i.sk FROM (SELECT sk FROM c ORDER BY sk OFFSET 0) s CROSS JOIN "
        "LATERAL (SELECT r.pk, r.sk FROM @.lk_item AS r WHERE r.pk = $1 AND r.sk = s.sk "
        "AND r.claim_until IS NOT NULL FOR UPDATE) i) "
        "DELETE FROM @.lk_item i USING k WHERE " SAME_KEY " RETURNING " EXPIRY,
    [LKI_PG_QUEUE_CLOSE] =
        "INSERT INTO @.lk_queue AS q (pk, closed, used_at) VALUES ($1, true, $2) "
        "ON CONFLICT (pk) DO UPDATE SET closed = true",
    [LKI_PG_WRITERS] =
        "SELECT split_part(virtualtransaction, '/', 1)::int8 * 4294967296 + "
        "split_part(virtualtransaction, '/', 2)::int8 FROM pg_locks WHERE locktype = 'relation' "
        "AND relation = '@.lk_item'::regclass AND mode = 'RowExclusiveLock' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND pid IS DISTINCT FROM pg_backend_pid()",
    [LKI_PG_ULID_READ] = "SELECT ulid_ms FROM @.lk_schema",
    [LKI_PG_ULID_MARK] = "UPDATE @.lk_schema SET ulid_ms = GREATEST(ulid_ms, $1)",
    [LKI_PG_SWEEP_QUEUES] =
        "DELETE FROM @.lk_queue WHERE pk IN (SELECT q.pk FROM @.lk_queue q WHERE NOT q.closed "
        "AND q.used_at < $1 AND NOT EXISTS (SELECT 1 FROM @.lk_item i WHERE i.pk = q.pk "
        "AND " IS_READY ") AND NOT EXISTS (SELECT 1 FROM @.lk_item i WHERE i.pk = q.pk "
        "AND " IS_CLAIMED ") LIMIT $2 FOR UPDATE SKIP LOCKED)",

    [LKI_PG_CELLS] = "SELECT GREATEST(c.reltuples, 0)::int8, pg_stat_get_dead_tuples(c.oid) "
                     "FROM pg_class c WHERE c.oid = '@.lk_item'::regclass",
};

/* YugabyteDB and CockroachDB have no ctid, their SKIP LOCKED has open faults, and there is neither
 * a lock of a table nor an answer to what became of a transaction. So there jobs are found by their
 * keys, and taken if they are still ready; and every transaction is serializable, which does the
 * rest: of two that are in each other's way one is done again. */
const char *const lki_pg_texts_by_keys[LKI_PG_STATEMENTS] = {
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

/* The server keeps a plan for as long as the connection. One that was made while the table was
 * empty would read all of it once it is full, until somebody analyzes it. So no plan reads all of a
 * table or joins by hashes, as each statement has an index that serves it. A plan is not made for
 * one call, either, which the server thinks worth its while where arrays are short: that costs more
 * than the call. */
const char lki_pg_session_text[] =
    LIMITS("'%lld'",
           "false") " UNION ALL SELECT set_config(n, 'off', false) FROM unnest(ARRAY["
                    "'enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', "
                    "'jit']) AS n "
                    "UNION ALL SELECT set_config('plan_cache_mode', 'force_generic_plan', false)";
const char lki_pg_session_text_by_keys[] = LIMITS(
    "'%lld'", "false") " UNION ALL "
                       "SELECT set_config('default_transaction_isolation', 'serializable', false)";

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
    "CREATE TABLE IF NOT EXISTS @.lk_queue (pk bytea PRIMARY KEY, "
    "closed boolean NOT NULL DEFAULT false, dead bigint NOT NULL DEFAULT 0, "
    "pushes bigint NOT NULL DEFAULT 0, pulls bigint NOT NULL DEFAULT 0, "
    "empty_pulls bigint NOT NULL DEFAULT 0, lapses bigint NOT NULL DEFAULT 0, "
    "late bigint NOT NULL DEFAULT 0, lost bigint NOT NULL DEFAULT 0, used_at bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS @.lk_schema (one bigint PRIMARY KEY, version bigint NOT NULL, "
    "ulid_ms bigint NOT NULL DEFAULT 0)",
    "CREATE UNLOGGED TABLE IF NOT EXISTS @.lk_life (one bigint PRIMARY KEY, id bigint NOT NULL)",
    "INSERT INTO @.lk_schema VALUES (1, 1) ON CONFLICT DO NOTHING",
    NULL,
};

bool
lki_pg_text_waits(lki_pg_statement statement)
{
    switch (statement) {
    case LKI_PG_PUT:
    case LKI_PG_PUT_MANY:
    case LKI_PG_PUT_IF_ABSENT:
    case LKI_PG_PUT_IF_PRESENT:
    case LKI_PG_PUT_IF_EQUAL:
    case LKI_PG_TOUCH:
    case LKI_PG_ADD:
    case LKI_PG_REMOVE:
    case LKI_PG_PUSH:
    case LKI_PG_GIVE_BACK:
    case LKI_PG_ACKNOWLEDGE:
    case LKI_PG_ACKNOWLEDGE_ONE:
    case LKI_PG_RELEASE:
    case LKI_PG_EXTEND:
    case LKI_PG_QUEUE_COUNT:
    case LKI_PG_QUEUE_PURGE:
    case LKI_PG_QUEUE_CLOSE:
    case LKI_PG_ULID_MARK:
        return true;
    default:
        return false;
    }
}

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
