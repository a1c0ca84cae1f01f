/* SPDX-License-Identifier: MIT
 *
 * Several writes in one step, under locks and conditions, in two round trips. The first locks the
 * rows of all keys, those that are missing are made, and reads them: from then on nobody changes
 * them. Then the plan is judged here. The second round trip writes what the rows are to be and
 * commits, or rolls back, so that what is refused leaves nothing.
 *
 * Rows of queues are locked before those of keys, both in the order of their names: so two commits
 * never wait for one another.
 *
 * Where the answer to the commit is lost, another connection asks what became of the transaction.
 */
#ifndef LKI_PG_PLAN_H
#define LKI_PG_PLAN_H

#include "postgres/many.h"

/* What a key has, and is to have. */
typedef struct lki_pg_row {
    lk_key key;
    bool has_data, has_job;
    lk_bytes data;
    int64_t expires_at_ms;                  /* 0: never */
    int64_t version, lock_until_ms;         /* version 0: no lock */
    int64_t visible_at_ms, token, receives; /* of a job; token 0: nobody has claimed it since it was
                                               pushed or given back */
} lki_pg_row;

/* How many jobs a queue has to which something is pushed with a bound: before the plan, and then by
 * what the writes up to one push. */
typedef struct lki_pg_depth {
    lk_bytes pk;
    uint64_t jobs;
} lki_pg_depth;

typedef struct lki_pg_plan {
    lki_pg *store;
    int64_t now_ms, job_now_ms;
    const lk_write *writes;
    size_t write_count;
    lk_lock *locks;
    size_t lock_count;
    lk_conflict *conflict;
    lk_result *pushed; /* NULL; else all writes are pushes, which are drafted into it */
    lk_key *keys;      /* of each write */
    lki_pg_row *rows;
    size_t row_count;
    size_t *of_writes, *of_locks; /* the row of each */
    int64_t *sums;                /* of the writes that add, where their data lie */
    char *sks;                    /* those that are generated */
    bool *late;                   /* of the writes that end a claim: after its deadline */
    lk_lock *bumped;
    size_t push_count;
    lki_pg_depth *depths; /* in the order of their pks */
    size_t depth_count;
    int64_t depth_limit;     /* nobody need count further */
    int64_t xact, life;      /* the transaction, and the server's life that it is of */
    bool is_late, to_closed; /* to_closed: also pushes to queues that are closed */
    PGresult *read, *closed, *versions;
} lki_pg_plan;

/* ---- its parts: rows.c, judge.c ---- */

/* Reads the time; again once the rows are locked, which may have taken long: at that instant holds
 * what is judged. */
void lki_pg_plan_time(lki_pg_plan *plan);

lki_pg_depth *lki_pg_depth_find(const lki_pg_plan *plan, lk_bytes pk);
lk_status lki_pg_rows_take(lki_pg_plan *plan, lki_pg_connection *c);
/* What the rows are to be. LKI_PG_TAKEN. */
lk_status lki_pg_plan_judge(lki_pg_plan *plan);
/* Writes the rows, takes out those that say nothing, and commits. */
lk_status lki_pg_rows_write(lki_pg_plan *plan, lki_pg_connection *c);

/* ---- all of it ---- */

/* Does all of it. LK_OK, LK_LATE: the locks of the caller have their new versions. On anything else
 * nothing was written, but for LK_UNKNOWN. */
lk_status lki_pg_plan_run(lki_pg_plan *plan);
/* The same with fewer statements, where it can be. */
lk_status lki_pg_held_commit(lki_pg_plan *plan);
/* After it in any case. */
void lki_pg_plan_free(lki_pg_plan *plan);

#endif
