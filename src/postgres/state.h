/* SPDX-License-Identifier: MIT
 *
 * The state of an open handle: what all files of the adapter share. open.c makes and frees it.
 *
 * Latches  `latch`: the pool of connections. `queues_latch`: what is known of queues. Both are held
 *          for a few stores, never while the server works. `ulid_latch`: generated sks; over it the
 *          server is asked once a second.
 */
#ifndef LKI_PG_STATE_H
#define LKI_PG_STATE_H

#include <pthread.h>

#include "postgres/atomic.h"
#include "postgres/engine.h"
#include "postgres/statement.h"
#include "postgres/status.h"

typedef struct lki_pg_connection lki_pg_connection;
typedef struct lki_pg_watch lki_pg_watch;
struct lki_pg_queue;

enum { LKI_PG_BUCKETS = 256, LKI_PG_VERSIONS_KEPT = 256 };

typedef struct lki_pg {
    /* [const] */
    char *conninfo;
    char *texts[LKI_PG_STATEMENTS]; /* of the statements, with the schema's name */
    bool never_prepare;
    bool has_tables;           /* was opened */
    lk_postgres_engine engine; /* it may be found out while the handle is opened */
    int64_t deadline_ms;
    lk_clock realtime_ms, monotonic_ms; /* of the options; NULL: the server's time counts */
    void *clock_context;
    int64_t lock_ttl_ms, lock_refresh_ms;
    size_t max_connections;
    int64_t job_base_ms; /* with clocks of the options: job time is the monotonic one and so much */
    /* the server's time is the monotonic clock and so much more; the clock then; how far this
     * machine's own time was ahead of it then; the clock when that was last looked at */
    lki_pg_shared_ms ahead_ms, measured_at_ms, own_ahead_ms, looked_at_ms;
    lki_pg_statistic gets, hits, multi_gets, queries, items_queried, sets, deletes, commits, races,
        locks_created, locks_renewed, retries;
    lki_pg_statistic writes; /* that may have left something behind: see sweep.h */

    pthread_mutex_t latch;
    pthread_cond_t freed;    /* a connection is idle, or another one may be opened */
    lki_pg_connection *idle; /* [latch] the one that was used last is first */
    size_t open;             /* [latch] idle, in use, or being opened */
    size_t lent;             /* [latch] in use */

    int64_t versions[LKI_PG_VERSIONS_KEPT]; /* [latch] that were drawn and no lock has */
    size_t version_count;                   /* [latch] */

    pthread_mutex_t queues_latch;
    struct lki_pg_queue *queues[LKI_PG_BUCKETS]; /* [queues_latch] by hash */
    /* [queues_latch] in the order of their last use; how many; when some are forgotten next */
    struct lki_pg_queue *queue_newest, *queue_oldest;
    size_t queue_count, queues_trim_at;

    lki_pg_watch *watches; /* [queues_latch] */
    pthread_cond_t watcher_wake;
    pthread_t watcher;
    bool has_watcher, watcher_ends; /* [queues_latch] */

    pthread_mutex_t ulid_latch;
    char ulid[LK_ULID_SIZE]; /* [ulid_latch] the last one */
    /* [ulid_latch] generated sks begin there; up to there they are marked; the last try to mark
     * more that failed (lki_pg_clock_ms) */
    int64_t ulid_from_ms, ulid_mark_ms, ulid_failed_at_ms;
} lki_pg;

#endif
