/* SPDX-License-Identifier: MIT
 *
 * latchkey/types.h: statuses and plain data of latchkey.h, which includes it. What the words mean
 * is said there.
 */
#ifndef LATCHKEY_TYPES_H
#define LATCHKEY_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LK_API __attribute__((visibility("default")))
#define LK_CHECKED __attribute__((warn_unused_result))
#else
#define LK_API
#define LK_CHECKED
#endif

/* ---- status ---- */

typedef enum lk_status {
    LK_OK = 0,
    /* outcomes */
    LK_NOT_FOUND = 1, /* no such item, or it has expired */
    LK_RACE = 2,      /* a lock's version really changed, or it lapsed: read again, try again */
    LK_EMPTY = 3,     /* no visible job */
    LK_LOST = 4,      /* the claim is no longer the caller's; nothing happened */
    LK_LATE = 5,      /* done, though the claim had lapsed */
    LK_TIMED_OUT = 6, /* waited as long as was asked */
    LK_CLOSED = 7,    /* the queue is closed (and empty for good, for a pull) */
    LK_EXISTS = 8,    /* an item, or a job, of that key is there already */
    LK_END = 9,       /* there is no more: of a stream, of partitions; or the caller stopped it */
    /* faults */
    /* a bad argument: empty pk, NULL with a size, duplicates, no locks, bad options, a fork's
     * child */
    LK_INVALID = -1,
    LK_TOO_BIG = -2,   /* a pk, sk, data or count above its limit */
    LK_TOO_SMALL = -3, /* the caller's buffer; the needed size was set */
    LK_NO_MEMORY = -4, /* nothing was written, the store goes on working */
    /* the memory that a reader holds back has reached its limit; or a queue is full; or the key
     * looks generated, and its queue is just giving it to a job of its own */
    LK_BUSY = -5,
    LK_UNSUPPORTED = -6, /* the database behind the handle lacks this call */
    LK_UNAVAILABLE = -7, /* the database behind the handle cannot be reached */
    LK_UNKNOWN = -8      /* a remote commit whose outcome cannot be known */
} lk_status;

/* The name of a status ("LK_RACE"), static; "LK_?" for any other number. Any thread; never
 * waits. */
LK_API const char *lk_status_string(lk_status status);

/* ---- plain data ---- */

/* Lengths of time, in milliseconds: for timeouts, delays and ages. expires_at_ms wants an instant:
 * LK_SECONDS(30) would be one in 1970, lk_expires_in(db, LK_SECONDS(30)) is half a minute from
 * now. */
#define LK_SECONDS(n) ((int64_t)(n)*1000)
#define LK_MINUTES(n) ((int64_t)(n)*60000)
#define LK_HOURS(n) ((int64_t)(n)*3600000)

/* A byte string; binary, not terminated. */
typedef struct lk_bytes {
    const void *data;
    size_t size;
} lk_bytes;

typedef struct lk_key {
    lk_bytes pk; /* never empty */
    lk_bytes sk; /* may be empty */
} lk_key;

typedef struct lk_item {
    lk_key key;
    lk_bytes data;         /* may be empty */
    int64_t expires_at_ms; /* Unix ms, see lk_expires_in; 0: never; negative: LK_INVALID */
} lk_item;

/* What a caller holds of an optimistic lock. `key` borrows the bytes of the caller's key. */
typedef struct lk_lock {
    lk_key key;
    uint64_t version;
    int64_t expires_at_ms;
} lk_lock;

/* Why nothing of a commit happened: the first stale lock, or else the first write that was
 * refused. */
typedef struct lk_conflict {
    size_t index;             /* into the array of locks; SIZE_MAX: no lock was stale */
    uint64_t current_version; /* 0: the lock is gone (deleted, or lapsed) */
    size_t write;             /* into the array of writes; SIZE_MAX: a lock was stale */
} lk_conflict;

/* What has to be so at the instant of a write, else it does not happen. Judges the live item of the
 * write's key: one that has expired is not there. */
typedef enum lk_condition {
    LK_ALWAYS = 0,
    LK_IF_ABSENT,  /* there is no item; else LK_EXISTS */
    LK_IF_PRESENT, /* there is one; else LK_NOT_FOUND */
    LK_IF_EQUAL    /* there is one with just the bytes `expected`; else LK_RACE */
} lk_condition;

/* An ordered read: the items of `pk` whose sk starts with `sk_prefix` and lies within `from` and
 * `until`. */
typedef struct lk_query {
    lk_bytes pk;
    lk_bytes sk_prefix; /* empty: all */
    /* the cursor: only items strictly after this sk in the direction of the query; empty: none */
    lk_bytes after;
    size_t limit; /* at most so many live items; 0: all */
    bool reverse; /* descending by sk */
    /* no snapshot, but sorted, without duplicates, and with every item that is present
     * throughout */
    bool relaxed;
    /* Bounds of the sk, the same in both directions; empty: none. Where `from` is not below `until`
     * there are no such items. */
    lk_bytes from;  /* this one or above */
    lk_bytes until; /* below this one */
} lk_query;

/* The right to work on a job. `key` borrows from the result of the pull. */
typedef struct lk_claim {
    lk_key key;
    uint64_t token;      /* 0: the job is named by its key, whatever its state */
    int64_t deadline_ms; /* monotonic clock */
    uint32_t receives;   /* how often the job was pulled, this time included */
} lk_claim;

typedef struct lk_pull_options {
    lk_bytes pk;           /* the queue */
    int64_t visibility_ms; /* 0: 5 minutes */
    size_t max_jobs;       /* 0: 1 */
    int64_t wait_ms;       /* 0: LK_EMPTY at once; -1: for ever */
    uint32_t max_receives; /* 0: no limit; beyond it a job moves to dead_pk */
    lk_bytes dead_pk;
} lk_pull_options;
#define LK_PULL_OPTIONS_INIT   \
    {                          \
        {NULL, 0}, 0, 0, 0, 0, \
        {                      \
            NULL, 0            \
        }                      \
    }

typedef struct lk_push_options {
    int64_t delay_ms; /* the jobs are invisible for so long */
    size_t max_depth; /* more jobs than that in the queue: LK_BUSY; 0: no limit */
    bool unique;      /* where the key is taken: LK_EXISTS, nothing is replaced */
} lk_push_options;
#define LK_PUSH_OPTIONS_INIT \
    {                        \
        0, 0, false          \
    }

typedef enum lk_write_kind {
    LK_PUT = 0,
    LK_DELETE = 1,
    LK_PUSH = 2,
    LK_ACKNOWLEDGE = 3,
    LK_TOUCH = 4,  /* as lk_touch */
    LK_ADD = 5,    /* as lk_add */
    LK_RELEASE = 6 /* as lk_queue_release */
} lk_write_kind;

/* One step of lk_commit. What a kind does not use is not looked at. */
typedef struct lk_write {
    lk_write_kind kind;
    lk_item item;          /* PUT, PUSH; DELETE: its key; TOUCH, ADD: key and expires_at_ms */
    const lk_claim *claim; /* ACKNOWLEDGE, RELEASE */
    /* PUT, DELETE, TOUCH, ADD; of other kinds only LK_ALWAYS */
    lk_condition condition;
    lk_bytes expected;           /* of LK_IF_EQUAL: the bytes that the item has now */
    int64_t delta;               /* ADD */
    int64_t delay_ms;            /* RELEASE */
    const lk_push_options *push; /* PUSH; NULL: defaults */
} lk_write;

/* What becomes of a job next. */
typedef enum lk_job_state {
    LK_JOB_READY = 1, /* a pull may take it */
    LK_JOB_DELAYED,   /* it is not visible yet */
    LK_JOB_CLAIMED    /* somebody holds it, and the deadline has not passed */
} lk_job_state;
typedef struct lk_job {
    lk_job_state state;
    uint32_t receives; /* how often it was pulled */
    /* when it becomes ready by itself: the end of the delay, or the first instant at which the
     * claim has lapsed; monotonic clock, 0: it is ready */
    int64_t changes_at_ms;
} lk_job;

/* How far lk_list_partitions has come. Zeroed: the start. A plain value, which may be copied, and
 * kept for as long as the handle is open. */
typedef struct lk_position {
    uint64_t opaque[4];
} lk_position;

/* What lk_copy has written so far. */
typedef struct lk_copy_report {
    uint64_t items; /* without jobs */
    uint64_t jobs;
    uint64_t bytes;      /* of keys and data, of items and jobs */
    uint64_t partitions; /* that were read to their end */
} lk_copy_report;

/* Options of lk_copy. A field that is 0 or NULL stands for its default. */
typedef struct lk_copy_options {
    /* Called after each batch, in the thread of the call; false stops it. */
    bool (*progress)(void *context, const lk_copy_report *so_far);
    void *context;
    size_t batch; /* so many items are written at once; default 256, at most LK_COMMIT_MAX */
} lk_copy_options;

typedef struct lk_queue_statistics {
    uint64_t ready, claimed, delayed; /* now */
    uint64_t dead;                    /* moved to a dead_pk */
    /* of the ready job with the oldest ULID, by the realtime clock; 0: none */
    int64_t oldest_age_ms;
    uint64_t pushes, pulls; /* in jobs */
    uint64_t empty_pulls;
    uint64_t lapses; /* claims that others noticed to have lapsed */
    uint64_t late;   /* acknowledged or released after their deadline */
    uint64_t lost;   /* calls with a claim that was lost */
} lk_queue_statistics;

/* At most so many items, and so many locks, in one commit. */
#define LK_COMMIT_MAX 1024

typedef struct lk_db lk_db;
typedef struct lk_result lk_result;
typedef struct lk_stream lk_stream;

#ifdef __cplusplus
}
#endif
#endif
