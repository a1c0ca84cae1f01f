/* SPDX-License-Identifier: MIT
 *
 * What this process knows of a queue: who waits, when to look for jobs that come due, what was done
 * since the counters went to the server. All of it may be forgotten: jobs lie on the server alone.
 * Beyond a thousand queues those that were used least recently are, and their counters sent.
 *
 * Latch  `queues_latch` of the store guards all of it; never held while the server works.
 */
#ifndef LKI_PG_QUEUE_H
#define LKI_PG_QUEUE_H

#include "postgres/connection.h"

typedef enum lki_pg_counter {
    LKI_PG_DEAD,
    LKI_PG_PUSHES,
    LKI_PG_PULLS,
    LKI_PG_EMPTY_PULLS,
    LKI_PG_LAPSES,
    LKI_PG_LATE,
    LKI_PG_LOST,
    LKI_PG_COUNTERS
} lki_pg_counter;

typedef struct lki_pg_queue {
    struct lki_pg_queue *next;
    struct lki_pg_queue *newer, *older; /* used after it and before it */
    size_t users;                       /* calls that have it */
    uint64_t counts[LKI_PG_COUNTERS];
    /* jobs that come due are to be looked for from then on, in job time */
    int64_t due_at_ms;
    int64_t due_above_ms, due_full_at_ms; /* those of before were found; until a look at all */
    /* pulls look from here on; a full look comes every so often */
    unsigned char from[LK_ULID_SIZE];
    bool has_from;
    uint64_t fronts;    /* counts what came before it */
    int64_t full_at_us; /* a pull looks from the front then, see pull.c */
    /* waiting pulls */
    pthread_cond_t wake;
    size_t waiters;
    uint64_t news;  /* counts what this process did to it, to tell whether to look again */
    uint64_t looks; /* counts those that its descriptor was told of */
    bool has_poller;
    bool closed;  /* somebody here has seen that it is */
    bool is_over; /* and that no job is left, nor one under way */
    size_t pk_size;
    unsigned char pk[];
} lki_pg_queue;

/* LK_OK: the queue, until it is given back. LK_NO_MEMORY. */
lk_status lki_pg_queue_take(lki_pg *store, lk_bytes pk, lki_pg_queue **queue);
void lki_pg_queue_give(lki_pg *store, lki_pg_queue *queue);
void lki_pg_queue_add(lki_pg *store, lki_pg_queue *queue, lki_pg_counter counter, uint64_t n);
/* The same by its name; nothing without memory. */
void lki_pg_queue_add_to(lki_pg *store, lk_bytes pk, lki_pg_counter counter, uint64_t n);
/* What this process has done to a queue, told once it is done: waiters look where it may concern
 * them. */
typedef enum lki_pg_news {
    LKI_PG_GONE,  /* perhaps a job has gone */
    LKI_PG_READY, /* jobs are ready, behind all others */
    LKI_PG_FRONT, /* jobs are ready, anywhere */
    LKI_PG_LATER  /* a job comes due then */
} lki_pg_news;
void lki_pg_queue_tell(lki_pg *store, lk_bytes pk, lki_pg_news what, int64_t due_at_ms);
/* Perhaps jobs of any queue have gone. */
void lki_pg_queues_tell(lki_pg *store);
/* The queue is closed, and perhaps over. */
void lki_pg_queue_seen_closed(lki_pg *store, lk_bytes pk);
/* Sends the counters to the server. */
lk_status lki_pg_queue_flush(lki_pg *store, lki_pg_queue *queue);
/* Sends all, and frees all. */
void lki_pg_queues_free(lki_pg *store);

/* `count` new sks, one behind the other, LK_ULID_SIZE bytes each. */
lk_status lki_pg_ulids(lki_pg *store, char *sks, size_t count);

#endif
