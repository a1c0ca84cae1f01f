/* SPDX-License-Identifier: MIT
 *
 * latchkey/postgres.h: a store on a PostgreSQL server, for several processes and machines. The
 * library latchkey-postgres, over libpq; every call of latchkey.h works on its handles, but for
 * lk_view (LK_UNSUPPORTED).
 *
 *     lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
 *     options.create = true;
 *     lk_db *db;
 *     if (lk_postgres_open("host=/var/run/postgresql dbname=mine", &options, &db) != LK_OK)
 *         return 1;
 *     ... as with any other lk_db ...
 *     lk_close(db);
 *
 * TIME  Expiry, deadlines and delays count on the clock of the server: it is the one that all
 * processes have in common. A handle knows it as its own monotonic clock and a difference, which it
 * measures when it connects, and again each minute. A call looks every five seconds whether it is
 * still so, and measures anew where this machine's own time has jumped: so a machine that was
 * halted or suspended goes by the old difference for five seconds at most. Where the options have
 * clocks, these count, and the server's is not asked.
 *
 * WAITING  Each call ends. It waits for a connection of the pool, for the server and for the
 * network no longer than deadline_ms in all; a server that is silent is as one that is not there.
 * (A pull that waits for jobs has that long for each look.) Threads that wait sleep. lk_queue_fd
 * begins a thread, which asks for the queues that have descriptors; lk_close waits for it,
 * deadline_ms at most. A descriptor tells of what this handle does at once, and of others' pushes
 * within a second.
 *
 * ORDER  Jobs come in the order of their sk, as this handle sees them. A job that another handle
 * gives back, or pushes with an sk of its own, before jobs that this one has seen already may come
 * up to two seconds late. Several machines know the server's clock to some milliseconds, and so do
 * the sks that they generate.
 *
 * STATISTICS  lk_statistics_read: `cells` is about how many rows there are, and `retired_objects`
 * how many dead ones the server still has, as of its last count. Where that grows, somebody holds
 * a snapshot, or autovacuum does not keep up. Other counters are this handle's.
 *
 * STATUSES, besides those of latchkey.h
 *   LK_UNAVAILABLE  no server; it refuses; no connection of the pool within the deadline; tables
 *                   that are missing or not as this library makes them. From a write: nothing was
 *                   written. (Of lk_set with more than 64 MiB: the first items may be, up to one
 *                   of them; it is a transaction for each 64 MiB. The same of its LK_NO_MEMORY and
 *                   LK_UNKNOWN.)
 *   LK_UNKNOWN      the connection broke, or the deadline passed, between the order to commit and
 *                   the answer, and nobody could say what became of it.
 *   LK_NO_MEMORY    also: the server's memory or disk is full. Nothing was written.
 */
#ifndef LATCHKEY_POSTGRES_H
#define LATCHKEY_POSTGRES_H

#include <latchkey/latchkey.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What speaks PostgreSQL's protocol, and is not quite the same. */
typedef enum lk_postgres_engine {
    LK_POSTGRES_FOUND_OUT = 0, /* the server is asked what it is */
    LK_POSTGRES_PLAIN,
    LK_POSTGRES_CITUS,    /* no LK_IS_SNAPSHOT */
    LK_POSTGRES_YUGABYTE, /* both: transactions are serializable, and done again where they collide;
                             a commit whose answer is lost is LK_UNKNOWN */
    LK_POSTGRES_COCKROACH
} lk_postgres_engine;

/* A field that is 0 or NULL stands for its default. */
typedef struct lk_postgres_options {
    /* Connections that one handle has at most: a call uses one while it runs. Default 8. */
    size_t max_connections;
    /* The schema that the tables are in. Default "latchkey"; at most 63 bytes, without
     * quotes, backslashes and `@`. */
    const char *schema;
    /* Makes the schema and its tables, where they are missing. Else a database without them is
     * LK_INVALID. */
    bool create;
    /* Statements are sent with each call, and not prepared: for poolers that give each transaction
     * another connection, as pgbouncer in transaction mode does. */
    bool never_prepare;
    /* A call gives up on the server after so long. Default 20 s. */
    int64_t deadline_ms;
    lk_clock realtime_ms, monotonic_ms; /* both or neither; default: the server's clock */
    void *clock_context;
    /* As those of lk_memory_options. */
    int64_t lock_ttl_ms, lock_refresh_ms;
    /* Bytes; defaults 1,024, 1,024 and 16 MiB. pk and sk together at most 2,600, since a key of an
     * index has at most a third of a page; data at most 256 MiB. */
    size_t max_pk_size, max_sk_size, max_data_size;
    /* Only for a server that does not say what it is, as behind some poolers. */
    lk_postgres_engine engine;
} lk_postgres_options;
#define LK_POSTGRES_OPTIONS_INIT                                                         \
    {                                                                                    \
        0, NULL, false, false, 0, NULL, NULL, NULL, 0, 0, 0, 0, 0, LK_POSTGRES_FOUND_OUT \
    }

/* Opens the database that `conninfo` names, in the words of libpq: "host=... dbname=...", or a
 * URI. Where it does not say so, connections are given up after 5 s, and are watched by keepalives.
 * `options` may be NULL (defaults); neither need outlive the call. On LK_OK `*db` is the caller's,
 * to be given to lk_close. LK_INVALID: bad options, or a conninfo that libpq does not understand;
 * no tables of latchkey's there, and options->create is not set. LK_TOO_BIG: a limit above its cap.
 * LK_UNSUPPORTED: tables of a newer version of this library, or a server that is too old.
 * LK_UNAVAILABLE. LK_NO_MEMORY. */
LK_API LK_CHECKED lk_status lk_postgres_open(const char *conninfo,
                                             const lk_postgres_options *options, lk_db **db);

#ifdef __cplusplus
}
#endif
#endif
