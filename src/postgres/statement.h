/* SPDX-License-Identifier: MIT
 *
 * The statements that the adapter sends, and the tables that they work on. Each has its text once;
 * connections prepare it when they first need it. Where time counts, it is the first parameter.
 */
#ifndef LKI_PG_STATEMENT_H
#define LKI_PG_STATEMENT_H

#include <stdbool.h>

typedef enum lki_pg_statement {
    LKI_PG_BEGIN,
    LKI_PG_COMMIT,
    LKI_PG_ROLLBACK,
    LKI_PG_LIMITS,         /* ms: how long this transaction waits for locks, and is idle */
    LKI_PG_CLOCK,          /* -> Unix ms of the server */
    LKI_PG_GET,            /* now, pk, sk -> data, expires_at */
    LKI_PG_GET_MANY,       /* now, pks, sks -> which (from 1), data, expires_at */
    LKI_PG_PUT,            /* now, pk, sk, data, expires_at */
    LKI_PG_PUT_MANY,       /* now, pks, sks, datas, expires_ats */
    LKI_PG_PUT_IF_ABSENT,  /* as PUT -> a row, if it was written */
    LKI_PG_PUT_IF_PRESENT, /* the same */
    LKI_PG_PUT_IF_EQUAL,   /* as PUT, expected -> the same */
    LKI_PG_TOUCH,          /* now, pk, sk, expires_at -> a row, if there is an item */
    LKI_PG_ADD,            /* now, pk, sk, delta, expires_at -> the sum; no row: another size */
    LKI_PG_REMOVE,         /* pks, sks */
    LKI_PG_QUERY,          /* now, pk, limit, from, until -> sk, data, expires_at */
    LKI_PG_QUERY_REVERSE,
    LKI_PG_QUERY_OPEN, /* now, pk, limit, from: without an end */
    LKI_PG_QUERY_OPEN_REVERSE,
    LKI_PG_PAGE, /* as those of QUERY, and at the end: bytes of data before an item, at most */
    LKI_PG_PAGE_REVERSE,
    LKI_PG_PAGE_OPEN,
    LKI_PG_PAGE_OPEN_REVERSE,
    LKI_PG_COUNT,       /* as QUERY -> how many */
    LKI_PG_COUNT_OPEN,  /* as QUERY_OPEN -> how many */
    LKI_PG_LOCK_READ,   /* now, pks, sks -> which, data, expires_at, version, lock_until */
    LKI_PG_LOCK_MAKE,   /* now, pk, sk, lock_until, renew below -> version, lock_until */
    LKI_PG_ROWS_TAKE,   /* pks, sks: makes rows that are missing, locks all, in order of the keys */
    LKI_PG_ROWS_READ,   /* pks, sks -> as LOCK_READ, then claim_until, token, receives */
    LKI_PG_ROWS_WRITE,  /* pks, sks, then each column */
    LKI_PG_HELD_WRITE,  /* now, pks, sks, datas, expires_ats, versions, new ones, lock_until, count
                          -> a row for each that was written: those with these versions */
    LKI_PG_ROWS_REMOVE, /* pks, sks */
    LKI_PG_VERSIONS,    /* count -> versions that no lock had */
    LKI_PG_LIFE_MAKE,   /* makes the number of the server's life, where there is none */
    LKI_PG_XACT,        /* -> the number of this transaction, and of the server's life */
    LKI_PG_XACT_LOOK,   /* both -> 0: under way, 1: committed, 2: rolled back; NULL, no row: ? */
    LKI_PG_QUEUES_TAKE, /* pks, now: makes rows that are missing, locks all, in order */
    LKI_PG_DEPTHS,      /* now, pks, limit -> which, how many jobs, none behind limit twice */
    LKI_PG_CLOSED_LOOK, /* pks -> those of queues that are closed */
    /* now, pk, sks, datas, expires_ats, visible_at -> a row for each; none: closed, or a key is
     * taken */
    LKI_PG_PUSH,
    LKI_PG_DUE,         /* pk, above, due by, limit -> sk, was claimed: jobs that come due */
    LKI_PG_PULL,        /* now, pk, from, count, until, token -> sk, data, expires_at, receives */
    LKI_PG_GIVE_BACK,   /* pk, until, token, sk: what a pull has claimed, but for one, as before */
    LKI_PG_QUEUE_LOOK,  /* now, pk -> ready, others (0, 1), when one comes due, closed */
    LKI_PG_ACKNOWLEDGE, /* now, pks, sks, tokens -> which, visible_at */
    LKI_PG_ACKNOWLEDGE_ONE, /* now, pk, sk, token -> the same */
    LKI_PG_RELEASE,         /* now, pk, sk, token, visible_at -> before: visible_at */
    LKI_PG_EXTEND,          /* now, pk, sk, token, visible_at -> before: visible_at */
    LKI_PG_INSPECT,         /* now, pks, sks -> which, visible_at, claimed, receives */
    LKI_PG_QUEUE_STATS,     /* now, pk, job now -> ready, claimed, delayed, oldest generated sk */
    LKI_PG_QUEUE_COUNTS,    /* pk -> seven counters */
    LKI_PG_QUEUE_COUNT,     /* pks, seven counters of each, now */
    LKI_PG_QUEUE_PURGE,     /* pk, limit -> expires_at of each */
    LKI_PG_QUEUE_CLOSE,     /* pk, now */
    LKI_PG_WRITERS,         /* -> numbers of the transactions that write, or may */
    LKI_PG_ULID_READ,       /* -> the mark */
    LKI_PG_ULID_MARK,       /* a greater mark */
    LKI_PG_PARTITIONS,      /* now, above, limit, largest size -> pks up to that size */
    LKI_PG_PARTITIONS_LONG, /* now, from, limit, largest size -> larger pks, their hashes */
    LKI_PG_SWEEP,           /* now, limit -> how many */
    LKI_PG_SWEEP_QUEUES,    /* unused since, limit: rows of queues that say nothing */
    LKI_PG_CELLS,           /* -> about how many rows, dead ones */
    LKI_PG_STATEMENTS
} lki_pg_statement;

/* The texts; `@` stands for the schema. */
extern const char *const lki_pg_texts[LKI_PG_STATEMENTS];

/* The same of engines that know neither a row's place nor what became of a transaction; NULL: as
 * above. */
extern const char *const lki_pg_texts_by_keys[LKI_PG_STATEMENTS];

/* Whether it may wait for a row, as a transaction of its own. */
bool lki_pg_text_waits(lki_pg_statement statement);

/* What makes the tables, one statement after the other, and what asks for their version. */
extern const char *const lki_pg_schema_texts[];
extern const char lki_pg_version_text[];
/* What each session begins with; `%lld` ms: how long it waits for locks, and is idle in a
 * transaction. */
extern const char lki_pg_session_text[], lki_pg_session_text_by_keys[];
enum { LKI_PG_SCHEMA_VERSION = 1 };

/* A text with the schema's name, quoted, for each `@`; free it. NULL: no memory. The name has no
 * quotes. */
char *lki_pg_text_make(const char *text, const char *schema);

#endif
