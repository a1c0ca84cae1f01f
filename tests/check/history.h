/* SPDX-License-Identifier: MIT
 *
 * Recorded histories: what was called, when it began and ended, what it gave. The checkers of this
 * folder judge them. Plain C without threads, locks or the library: real threads, fibers of a
 * scheduler and fuzz targets record alike, each into a history of its own, and merge them at the
 * end.
 *
 * An operation is a list of steps that take effect at one instant between its stamps. A step is
 * what the operation saw or did of one key or of one job; all that the checkers know of a call is
 * in its steps. A call that is no one instant (lk_set of several items, lk_get_locked) is recorded
 * as several operations with the same stamps.
 */
#ifndef LATCHKEY_TESTS_CHECK_HISTORY_H
#define LATCHKEY_TESTS_CHECK_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The end of an operation that never ended, and of one whose outcome is not known (LK_UNKNOWN, a
 * fault that may have done a part): it may take effect at any time after its beginning, or
 * never. */
#define HISTORY_NEVER UINT64_MAX
/* A version, or a value, that is not known. */
#define HISTORY_ANY UINT64_MAX
/* The value of an item that is the number `sum`, of 1 or more. */
#define HISTORY_NUMBER(sum) ((uint64_t)1 << 62 | (uint64_t)(sum))
#define HISTORY_IS_NUMBER(value) ((value) >> 62 == 1)

typedef enum history_kind {
    /* of keys: `value` 0 is no item */
    STEP_READ,  /* saw `value` */
    STEP_WRITE, /* put `value`, which expires at `expires_ms`; the lock stays */
    STEP_ERASE, /* took item and lock out; `value`: its number, if these are counted */
    STEP_LOCK,  /* was given the lock at version `after`, until `expires_ms` */
    /* found the lock at `before`, left it at `after` (0: erased with its item) until
     * `expires_ms` */
    STEP_BUMP,
    STEP_STALE, /* expected the lock at `before`, and was told `after` (0: gone) */
    /* of jobs: `key` is the job, `value` the how manieth receive, 0 where no claim is shown */
    STEP_PUSH,        /* visible after `expires_ms`; 0: at once. `value`: expires then; 0: never */
    STEP_PULL,        /* claimed until `expires_ms` */
    STEP_EMPTY,       /* no job (`key` means nothing) */
    STEP_ACKNOWLEDGE, /* taken out by its holder */
    STEP_LATE,        /* the same, after the deadline */
    STEP_RELEASE,     /* given back by its holder, with a delay like a push; `before` 1: late */
    STEP_EXTEND,      /* held until `expires_ms` from now on */
    STEP_LOST,        /* was told that the claim is lost; `before`: jobs that were to be pushed */
    STEP_TAKE_OUT,    /* deleted, purged, expired or acknowledged by key */
    STEP_CLOSE,       /* the queue was closed (`key` means nothing) */
    STEP_REFUSED,     /* a push was told that the queue is closed */
    STEP_OVER,        /* a pull was told that it is closed and empty for good */
    STEP_PURGE,       /* took `value` jobs out; `before` 1: all of them (`key` means nothing) */
    STEP_EXISTS,      /* a push was told that a job of its key is there; `before`: its place */
    STEP_FULL,        /* a push of `before` jobs was told that there are more than `value` */
    STEP_ROOM,        /* such a push came in (`key` means nothing in either) */
    STEP_FIGURE,      /* the statistics say `value` of the figure `key` */
    /* of keys again: what a write asks */
    STEP_THERE,  /* found an item */
    STEP_OTHER,  /* found another one than `value`, or none */
    STEP_NUMBER, /* found a number, or nothing, which counts as 0 */
    STEP_TEXT,   /* found an item that is no number */
    STEP_HELD,   /* found the lock at `before` */
    STEP_TOUCH,  /* gave an item its end at `expires_ms` */
    STEP_ADD,    /* added `before` to a number, `value` then, 0: not known; from nothing: until
                   * `expires_ms` */
    STEP_KINDS
} history_kind;

/* In `after` of a STEP_PUSH. */
enum { STEP_GENERATED = 1, STEP_UNIQUE = 2 };

/* Of a queue's statistics. The last two are sums of what is there, the others of what was done. */
typedef enum history_figure {
    FIGURE_PUSHES,
    FIGURE_PULLS,
    FIGURE_LATE,
    FIGURE_LOST,
    FIGURE_EMPTY,
    FIGURE_DONE, /* how many there are so far */
    FIGURE_JOBS = FIGURE_DONE,
    FIGURE_READY
} history_figure;

typedef struct history_step {
    history_kind kind;
    uint32_t key;
    uint64_t value, before, after;
    int64_t expires_ms;
} history_step;

typedef struct history_op {
    uint64_t begin, end;        /* stamps: a counter or a clock; smaller is earlier */
    int64_t now_begin, now_end; /* the store's clock at these stamps, in ms */
    const char *call;           /* for messages; static */
    uint32_t thread;
    uint32_t first, count; /* its steps */
} history_op;

typedef struct history {
    history_op *ops;
    size_t count, room;
    history_step *steps;
    size_t step_count, step_room;
} history;

/* A zeroed history is empty. `ops` operations and `steps` steps then fit without an allocation. */
void history_reserve(history *h, size_t ops, size_t steps);
void history_free(history *h);
void history_clear(history *h);

/* Opens an operation; the steps that follow are its own, until the next one. */
void history_begin(history *h, const char *call, uint32_t thread, uint64_t stamp, int64_t now_ms);
history_step *history_add(history *h, history_step step);
/* Closes the last one; HISTORY_NEVER: its outcome is not known. */
void history_end(history *h, uint64_t stamp, int64_t now_ms);
/* Takes the last one back. */
void history_drop(history *h);
/* One step, with the stamps of an operation that has ended. */
void history_also(history *h, const history_op *like, history_step step);

/* A stamp for whoever has one thread only, fibers on it included: 1, 2, 3, ... */
uint64_t history_next_stamp(void);

/* Appends all of `from`, which may come from any thread that has stopped. */
void history_append(history *h, const history *from);
/* The operations of one key, with its steps only. `out` is cleared first. */
void history_of_key(const history *h, uint32_t key, history *out);
/* Each step becomes an operation of its own: of calls that promise each key only. */
void history_split(const history *h, history *out);
/* The greatest key named, plus 1. */
uint32_t history_keys(const history *h);

/* "thread 2 [104, 117] get_many: key 3 read 7; key 4 read none", cut to `size`. */
void history_tell(const history *h, const history_op *op, char *text, size_t size);

/* `count` zeroed things of `size` bytes, at least one, for free(); there is no checker without
 * memory. */
void *check_memory(size_t count, size_t size);

/* What a checker says. */
typedef enum verdict {
    VERDICT_HOLDS,
    VERDICT_BROKEN,
    VERDICT_UNDECIDED /* the search ended at its limit */
} verdict;

enum { REPORT_ROOM = 4096 };
typedef struct report {
    char text[REPORT_ROOM]; /* empty where it holds; else the law first, then who broke it */
    size_t size;
} report;

void report_add(report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line for an operation. */
void report_op(report *r, const history *h, const history_op *op);

#endif
