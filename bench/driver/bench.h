/* SPDX-License-Identifier: MIT
 *
 * What the rooms of the benchmark share: the operations table of a contender, that of a workload,
 * the data that both work on, and the worker that the driver hands to a workload. A new contender
 * or workload is one file that fills one of these tables and names it with BENCH_CONTENDER or
 * BENCH_WORKLOAD.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "driver/hot_keys.h"
#include "driver/requests.h"

#include <latchkey/latchkey.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_LINE 128 /* two lines: neighbours are prefetched in pairs */
#define BENCH_THREADS_MAX 64
#define BENCH_CONTENDERS_MAX 64
#define BENCH_WORKLOADS_MAX 128
#define BENCH_FIXED_VALUE 64
#define BENCH_GROUP 16 /* keys of one multiple get */
#define BENCH_COUNTERS_MAX 16
#define BENCH_TARGETS_MAX 16
#define BENCH_ATTEMPTS 6 /* classes of attempts at a commit: 1, 2, 3-4, 5-8, 9-16, more */

struct queue_operations;
struct bench_worker;

/* ---- contenders ------------------------------------------------------------------------------ */

enum bench_commit { BENCH_COMMITTED, BENCH_RACED, BENCH_FAILED };

/* Of one store, since it was opened. */
struct bench_counters {
    uint64_t commits, races;
    uint64_t retries; /* inside the store, not seen by the caller */
};

/* One of a store's counters of contention. A total grows from the store's opening on and is shown
 * for each operation; a level is what there is now, and the most of it is shown. */
struct bench_counter {
    const char *name; /* a static text, as is the unit */
    const char *unit;
    bool level;
    uint64_t value;
};

/* Fills at most BENCH_COUNTERS_MAX of them, always the same ones in the same order, and returns how
 * many; called while threads are at work. No counter is shared by threads just for this. */
typedef size_t bench_contention(void *store, struct bench_counter *counters);

/* Sees one item of a scan, in order. */
typedef void bench_visit(void *context, lk_bytes sk, lk_bytes value);

/* What a contender may do with single keys, which lie where they are. A set heeds no expiry. */
typedef bool bench_get(void *client, const lk_key *key, lk_bytes *value);
typedef bool bench_get_many(void *client, const lk_key *keys, size_t count, lk_bytes *values);
typedef bool bench_set(void *client, const lk_item *put);

/* The loops of the point workloads with a contender's functions inside (loops.h): each does so many
 * operations, or groups of BENCH_GROUP keys, with the worker's next requests. */
typedef void bench_loop(struct bench_worker *worker, size_t count);
struct bench_loops {
    bench_loop *get, *get_many, *set50, *set;
};

/* A store under test. A call that is NULL is one that the contender does not have; it then sits
 * out the workloads that need it. `client` is what one thread holds of a store, and no other
 * thread uses it. What a read returns is a copy that the client owns (or a borrowed item, where
 * the contender says so) and holds until the client's next call. */
struct bench_contender {
    const char *name;
    const char *what;     /* one line for --list */
    int order;            /* of the rows in tables; latchkey is 0 */
    const char *store_of; /* works on the store of the contender of this name; NULL: on its own */

    void *(*open)(void);
    void (*close)(void *store);
    void *(*attach)(void *store);
    void (*detach)(void *client);

    bench_get *get;
    bench_get_many *get_many;
    bench_set *set;
    bool (*remove)(void *client, const lk_key *key);

    /* A read-modify-write: reads items with whatever proves later that they did not change, then
     * writes new values for the same keys in one step iff they did not. */
    bool (*read)(void *client, const lk_key *keys, size_t count, lk_bytes *values);
    enum bench_commit (*commit)(void *client, const lk_key *keys, size_t count,
                                const lk_bytes *values);
    void (*backoff)(unsigned attempt); /* after BENCH_RACED; NULL: bench_backoff */

    /* At most `limit` (0: all) items of a partition, ascending, after the given sk and with the
     * given prefix (both may be empty). Returns how many. */
    size_t (*scan)(void *client, const lk_query *query, bench_visit *visit, void *context);

    /* Between begin and end the client alone uses the store, and sets items of it. NULL: it is all
     * the same to it. */
    bool (*bulk_begin)(void *client);
    bool (*bulk_end)(void *client);

    bool (*lock)(void *client, const lk_key *key); /* gives the key an optimistic lock */
    void (*settle)(void *store);                   /* gives free memory back, as far as it can */
    void (*counters)(void *store, struct bench_counters *counters);

    const struct bench_loops *loops;      /* NULL: the loops call the functions above */
    const struct queue_operations *queue; /* NULL: has none; see queue.h */
    bench_contention *contention;         /* NULL: counts nothing */
    bool
        fixed_sizes; /* of keys (16 and 16 bytes) and values (BENCH_FIXED_VALUE); others are refused */
    bool ours;       /* this library under some name or in front of it: no rival in reports */
};

/* For `open`: how many items the store will be loaded with, for contenders that do not grow. */
extern size_t bench_items_expected;

void bench_contender_add(const struct bench_contender *contender);

#define BENCH_CONTENDER(table)                                 \
    __attribute__((constructor)) static void table##_add(void) \
    {                                                          \
        bench_contender_add(&table);                           \
    }

/* Waits a little, the longer the more often the caller has tried: the pause of contenders that
 * bring none. */
void bench_backoff(unsigned attempt);

/* Set by a workload that counts what a store refuses for now (LK_BUSY). Else a contender tries such
 * a call again, and fails it only after a while. */
extern bool bench_refusals;

/* ---- data ------------------------------------------------------------------------------------ */

/* What stores are loaded with before a workload runs. A store is loaded once for each source. */
struct bench_source {
    const char *name;
    bool any_sizes; /* of keys and values */
    /* Makes the data ready. False: there is none, and `why` says so. */
    bool (*open)(const char **why);
    /* Writes all of it. Returns the number of items, 0 on failure. */
    size_t (*load)(const struct bench_contender *contender, void *client);
    size_t (*count)(void);
    /* Looks at items from the rank `first` on in steps of `step`, before the rank `end`; ranks are
     * those of distributions. Adds the items' numbers to `sum`. Returns how many are wrong. */
    uint64_t (*verify)(const struct bench_contender *contender, void *client, size_t first,
                       size_t step, size_t end, uint64_t *sum);
    /* The key with an index, for people. */
    void (*key_name)(size_t index, char *text, size_t size);
};

/* ---- workloads ------------------------------------------------------------------------------- */

struct bench_workload;

/* What one thread counts; the driver adds them up. */
struct bench_counts {
    uint64_t operations;
    uint64_t wrong;                    /* answers that are not what was written */
    uint64_t failed;                   /* calls that failed */
    uint64_t commits;                  /* that succeeded, warm-up included */
    uint64_t races;                    /* commits that have to be tried again */
    uint64_t attempts[BENCH_ATTEMPTS]; /* commits that succeeded, by how often they were tried */
};

struct bench_worker {
    const struct bench_workload *workload;
    const struct bench_contender *contender;
    void *client;
    const uint32_t *stream; /* indexes of items, drawn before the clock starts */
    size_t stream_at;
    size_t stream_mask;
    struct requests requests; /* of workloads that say so; made before the clock starts */
    unsigned number;          /* of this thread, from 0 */
    uint64_t sequence; /* the workload's; starts at `first_sequence`, unlike in any other run */
    uint64_t first_sequence;
    struct bench_counts counts;
    struct hot_keys raced; /* indexes of the keys of commits that raced */
};

/* The index of the next item to work on. */
static inline uint32_t
worker_next(struct bench_worker *worker)
{
    return worker->stream[worker->stream_at++ & worker->stream_mask];
}

/* The pause between two attempts at the same commit. */
static inline void
worker_backoff(const struct bench_worker *worker, unsigned attempt)
{
    if (worker->contender->backoff != NULL)
        worker->contender->backoff(attempt);
    else
        bench_backoff(attempt);
}

static inline size_t
worker_attempts_class(unsigned attempts)
{
    size_t class_of = 0;

    for (unsigned most = 1; class_of + 1 < BENCH_ATTEMPTS && attempts > most; most *= 2)
        class_of++;
    return class_of;
}

/* Counts how an attempt at a commit of items with these indexes ended; the first attempt is 0. True:
 * it raced and is to be tried again, and the pause is over. */
static inline bool
worker_raced(struct bench_worker *worker, enum bench_commit outcome, unsigned attempt,
             const uint32_t *indexes, size_t count)
{
    if (outcome == BENCH_COMMITTED) {
        worker->counts.commits++;
        worker->counts.attempts[worker_attempts_class(attempt + 1)]++;
        return false;
    }
    if (outcome == BENCH_FAILED) {
        worker->counts.failed++;
        return false;
    }
    worker->counts.races++;
    for (size_t i = 0; i < count; i++)
        hot_keys_add(&worker->raced, indexes[i]);
    worker_backoff(worker, attempt);
    return true;
}

/* What the reader may expect: the workload's subject at least `ratio` times as fast as `contender`
 * at `threads`. */
struct bench_target {
    const char *contender;
    unsigned threads; /* 0: at any number */
    double ratio;
    bool aim;            /* shown, and not counted among those missed */
    const char *subject; /* another one than the workload's; NULL: that one */
};

/* What each thread finds ready before the clock starts. Indexes of items it always does. */
enum bench_requests {
    REQUESTS_NONE,
    REQUESTS_READ,
    REQUESTS_PAIRS, /* the same, and two neighbours are different items */
    REQUESTS_WRITE,
    REQUESTS_NEW /* items that are not loaded; those of a run are `requests.at` many, at most all */
};

struct bench_workload {
    const char *name;
    const char *what;         /* one line for tables and --list */
    int order;                /* of the tables */
    const char *unit;         /* of one operation in tables: "M ops/s" */
    const char *threads;      /* by default: "1,2" */
    const char *distribution; /* by default */
    const struct bench_source *source;
    const char *contenders; /* by default; NULL: all that can */
    const char *subject;    /* whom the others are compared with; NULL: latchkey */
    unsigned weight;        /* operations that one step counts for; 0: 1 */
    unsigned batch;         /* steps between looks at the clock; 0: 64 */
    double fill;            /* a run does so many operations for each second of --duration, without
                               warm-up, and its time is taken; 0: it lasts that long */
    double least_s;         /* a run lasts at least so long, because its costs come in bursts */
    bool reads_only;
    bool on_request;    /* runs only when it is named */
    bool transacts;     /* commits: the table shows races, the check sums up */
    unsigned increment; /* of the sum of all numbers by one commit */
    enum bench_requests requests;
    struct bench_target targets[BENCH_TARGETS_MAX];

    bool (*can)(const struct bench_contender *contender);
    /* Does `count` operations. Called again and again until the driver has enough. */
    void (*step)(struct bench_worker *worker, size_t count);
    /* In the worker's thread after each run: checks and undoes what the run left. May be NULL. */
    void (*finish)(struct bench_worker *worker);
    /* Instead of all that: a workload that needs no driver. It runs before any store is open,
     * prints its own table, enters its figures into the record (record_result, record_figure) and
     * returns false if something was wrong. `threads` may be NULL. */
    bool keeps_rate; /* it heeds bench_options.rate; with the driver all do */
    bool (*run)(const struct bench_contender *const *contenders, size_t count);
};

void bench_workload_add(const struct bench_workload *workload);

#define BENCH_WORKLOAD(table)                                  \
    __attribute__((constructor)) static void table##_add(void) \
    {                                                          \
        bench_workload_add(&table);                            \
    }

/* ---- options and registry -------------------------------------------------------------------- */

enum bench_command { BENCH_RUN, BENCH_COMPARE, BENCH_REPORT, BENCH_LIST };

struct bench_options {
    enum bench_command command;
    const char *workloads;    /* comma separated; NULL: all but those on request */
    const char *contenders;   /* NULL: those of the workload */
    const char *threads;      /* NULL: those of the workload */
    const char *distribution; /* NULL: that of the workload */
    double duration_s;
    double warmup_s;
    unsigned repeats;
    bool repeats_given;
    bool hurried; /* fewer repeats where the machine is too slow for the plan */
    size_t keys;
    size_t value_size;
    uint64_t seed;
    double rate;               /* operations per second of all threads; 0: as fast as they can */
    unsigned locks_per_commit; /* of the workloads that can have any number */
    bool processor_time;       /* rates are per second of processor, not of the clock */
    const char *pin;           /* none, compact or spread; NULL: nothing was asked for */

    const char *json, *csv, *hgrm, *html; /* files to write; NULL: none */
    const char *baseline;                 /* a record to compare with; NULL: none */
    double worse_most;       /* a row worse than that part fails the run; below 0: none does */
    const char *compared[2]; /* of the command compare */
};

/* Set once by options_parse, before anything else runs. */
extern struct bench_options bench_options;

extern const struct bench_contender *bench_contenders[BENCH_CONTENDERS_MAX];
extern size_t bench_contender_count;
extern const struct bench_workload *bench_workloads[BENCH_WORKLOADS_MAX];
extern size_t bench_workload_count;

const struct bench_contender *bench_contender_find(const char *name);

/* Whether a comma separated list holds a name. */
bool bench_list_has(const char *list, const char *name);

/* The numbers of a list like "1,2,4", at most BENCH_THREADS_MAX. Returns how many; 0: the list is
 * bad. */
size_t bench_threads_parse(const char *text, unsigned *threads);

/* Monotonic nanoseconds. */
uint64_t bench_now_ns(void);

/* From now on the first SIGINT or SIGTERM is noted, and the second ends the program. */
void bench_interrupt_begin(void);

/* Whether it came. Workloads of their own look between two measurements, and return. */
bool bench_interrupted(void);

#ifdef __cplusplus
}
#endif
#endif
