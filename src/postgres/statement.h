/* SPDX-License-Identifier: MIT
 *
 * The statements that the adapter sends, and the tables that they work on. Each has its text once;
 * connections prepare it when they first need it.
 */
#ifndef LKI_PG_STATEMENT_H
#define LKI_PG_STATEMENT_H

typedef enum lki_pg_statement {
    LKI_PG_BEGIN,
    LKI_PG_COMMIT,
    LKI_PG_ROLLBACK,
    LKI_PG_CLOCK,          /* -> Unix ms of the server */
    LKI_PG_GET,            /* pk, sk, now -> data, expires_at */
    LKI_PG_GET_MANY,       /* pks, sks, now -> which (from 1), data, expires_at */
    LKI_PG_PUT,            /* pk, sk, data, expires_at, now */
    LKI_PG_PUT_MANY,       /* pks, sks, datas, expires_ats, now */
    LKI_PG_PUT_IF_ABSENT,  /* as PUT -> a row, if it was written */
    LKI_PG_PUT_IF_PRESENT, /* the same */
    LKI_PG_PUT_IF_EQUAL,   /* as PUT, expected -> the same */
    LKI_PG_TOUCH,          /* pk, sk, expires_at, now -> a row, if there is an item */
    LKI_PG_ADD,            /* pk, sk, delta, expires_at, now -> the sum; no row: another size */
    LKI_PG_REMOVE,         /* pks, sks */
    LKI_PG_QUERY,          /* pk, from, until, now, limit -> sk, data, expires_at */
    LKI_PG_QUERY_REVERSE,
    LKI_PG_QUERY_OPEN, /* pk, from, now, limit: without an end */
    LKI_PG_QUERY_OPEN_REVERSE,
    LKI_PG_COUNT,       /* as QUERY -> how many */
    LKI_PG_COUNT_OPEN,  /* as QUERY_OPEN -> how many */
    LKI_PG_LOCK_READ,   /* pks, sks, now -> which, data, expires_at, version, lock_until */
    LKI_PG_LOCK_MAKE,   /* pk, sk, now, lock_until, renew below -> version, lock_until */
    LKI_PG_ROWS_TAKE,   /* pks, sks: makes rows that are missing, locks all, in order of the keys */
    LKI_PG_ROWS_READ,   /* as LOCK_READ, without time */
    LKI_PG_VERSIONS,    /* count -> versions that no lock had */
    LKI_PG_ROWS_WRITE,  /* pks, sks, datas, expires_ats, versions, lock_untils, kinds */
    LKI_PG_ROWS_REMOVE, /* pks, sks */
    LKI_PG_CLOSED_LOOK, /* pks -> those of queues that are closed */
    LKI_PG_PUSH, /* pk, sks, datas, expires_ats, visible_at, now -> a row for each, or none: closed */
    LKI_PG_DUE,          /* pk, above, now, limit -> sk, was claimed: jobs that come due */
    LKI_PG_PULL,         /* pk, from, now, until, count -> sk, data, expires_at, token, receives */
    LKI_PG_QUEUE_LOOK,   /* pk, now -> jobs there, first time at which one comes due, closed */
    LKI_PG_ACKNOWLEDGE,  /* pks, sks, tokens, now -> which, visible_at */
    LKI_PG_RELEASE,      /* pk, sk, token, visible_at, now -> before: visible_at */
    LKI_PG_EXTEND,       /* pk, sk, token, until, now -> before: visible_at */
    LKI_PG_INSPECT,      /* pks, sks, now -> which, visible_at, claimed, receives */
    LKI_PG_QUEUE_STATS,  /* pk, now -> ready, claimed, delayed, oldest generated sk */
    LKI_PG_QUEUE_COUNTS, /* pk -> seven counters */
    LKI_PG_QUEUE_COUNT,  /* pk, seven counters, now */
    LKI_PG_QUEUE_PURGE,  /* pk, limit -> expires_at of each */
    LKI_PG_QUEUE_CLOSE,  /* pk, now */
    LKI_PG_QUEUE_TAKE,   /* pk: its row is made, and locked */
    LKI_PG_DEPTH,        /* pk, limit, now -> how many jobs, at most limit */
    LKI_PG_WRITERS_WAIT, /* all that write have ended */
    LKI_PG_ULID_READ,    /* -> the mark */
    LKI_PG_ULID_MARK,    /* a greater mark */
    LKI_PG_PARTITIONS,   /* above, limit, largest size, now -> pks up to that size */
    LKI_PG_PARTITIONS_LONG, /* from, limit, largest size, now -> larger pks, their hashes */
    LKI_PG_SWEEP,           /* now, limit -> how many */
    LKI_PG_CELLS,           /* -> about how many rows */
    LKI_PG_STATEMENTS
} lki_pg_statement;

/* The texts; `@` stands for the schema. */
extern const char *const lki_pg_texts[LKI_PG_STATEMENTS];

/* What makes the tables, one statement after the other, and what asks for their version. */
extern const char *const lki_pg_schema_texts[];
extern const char lki_pg_version_text[];
enum { LKI_PG_SCHEMA_VERSION = 1 };

/* A text with the schema's name, quoted, for each `@`; free it. NULL: no memory. The name has no
 * quotes. */
char *lki_pg_text_make(const char *text, const char *schema);

#endif
