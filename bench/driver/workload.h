/* SPDX-License-Identifier: MIT
 *
 * What a workload is: a table that says what a worker does again and again, on which data, with
 * which contenders, and what is wanted of them. A new workload is one file that fills such a table
 * and ends with BENCH_WORKLOAD. It says its steps, or a mix of steps in percent; threads, time,
 * latencies, repeats, checks and reports are the driver's.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "driver/contender.h"
#include "driver/hot_keys.h"
#include "driver/requests.h"
#include "record/histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_THREADS_MAX 64
#define BENCH_CONTENDERS_MAX 64
#define BENCH_WORKLOADS_MAX 128
#define BENCH_TARGETS_MAX 8
#define BENCH_MIX_MAX 6
#define BENCH_ATTEMPTS 6 /* classes of attempts at a commit: 1, 2, 3-4, 5-8, 9-16, more */

struct driver_result;

/* ---- data ------------------------------------------------------------------------------------ */

/* What stores are loaded with before a workload runs. A store is loaded once for each source. */
struct bench_source {
    const char *name;
    size_t items;       /* of the synthetic data; 0: --keys */
    size_t most;        /* of them; 0: no limit */
    size_t cache_items; /* that a cache in front of it has room for; 0: for all, twice */
    bool slow;          /* a database that takes its time, behind a cache */
    bool any_sizes;     /* of keys and values */
    bool read_once;     /* each item is read after loading, so that a cache has it */
    /* Makes the data ready. False: there is none, and `why` says so. */
    bool (*open)(const char **why);
    /* Writes all of it. Returns the number of items, 0 on failure. */
    size_t (*load)(const struct bench_source *source, const struct bench_contender *contender,
                   void *client);
    size_t (*count)(const struct bench_source *source);
    /* Reads the item with an index, and adds the number of its value to `sum`. False: it cannot be
     * read, or does not prove itself. */
    bool (*read)(const struct bench_contender *contender, void *client, size_t index,
                 uint64_t *sum);
    /* The key with an index, for people. */
    void (*key_name)(size_t index, char *text, size_t size);
};

/* ---- workers --------------------------------------------------------------------------------- */

/* What one thread counts; the driver adds them up. */
struct bench_counts {
    uint64_t operations;
    uint64_t wrong;                    /* answers that are not what was written */
    uint64_t failed;                   /* calls that failed */
    uint64_t commits;                  /* that succeeded, warm-up included */
    uint64_t races;                    /* commits that have to be tried again */
    uint64_t attempts[BENCH_ATTEMPTS]; /* commits that succeeded, by how often they were tried */
    uint64_t noted;                    /* whatever the workload counts besides */
};

/* One measurement of a workload on a contender: what its threads share. */
struct bench_run {
    const struct bench_workload *workload;
    const struct bench_contender *contender;
    struct driver_result *result;
    void *store; /* or the queue */
    void *(*attach)(void *store);
    void (*detach)(void *client);
    bench_contention *contention;
    unsigned threads; /* all of them */
    unsigned asides;  /* the last so many: what they do is no operation, and has no latency */
    void *own;        /* the workload's, from begin to end */
};

struct bench_worker {
    struct bench_run *run;
    const struct bench_contender *contender;
    void *client;
    const uint32_t *stream; /* indexes of items, drawn before the clock starts */
    size_t stream_at;
    size_t stream_mask;
    struct requests requests; /* of workloads that say so; made before the clock starts */
    unsigned number;          /* of this thread, from 0 */
    uint64_t sequence; /* the workload's; starts at `first_sequence`, unlike in any other run */
    uint64_t first_sequence;
    uint64_t done;        /* operations so far */
    uint64_t intended_ns; /* when this step should have started, at a fixed rate; else 0 */
    struct bench_counts counts;
    struct hot_keys raced; /* indexes of the keys of commits that raced */
};

/* The index of the next item to work on. */
static inline uint32_t
worker_next(struct bench_worker *worker)
{
    return worker->stream[worker->stream_at++ & worker->stream_mask];
}

static inline size_t
worker_attempts_class(unsigned attempts)
{
    size_t class_of = 0;

    for (unsigned most = 1; class_of + 1 < BENCH_ATTEMPTS && attempts > most; most *= 2)
        class_of++;
    return class_of;
}

/* Counts how an attempt at a commit of items with these indexes ended; the first attempt is 0.
 * True: it raced and is to be tried again, and the pause is over. */
bool worker_raced(struct bench_worker *worker, enum bench_commit outcome, unsigned attempt,
                  const uint32_t *indexes, size_t count);

/* Whether the worker is one of the run's asides. */
static inline bool
worker_is_aside(const struct bench_worker *worker)
{
    return worker->number >= worker->run->threads - worker->run->asides;
}

/* For workloads that time themselves: something took from one moment to another, if that is within
 * what is measured. */
void worker_took(struct bench_worker *worker, uint64_t from_ns, uint64_t to_ns);

/* Whether the run is at its end. A step that waits looks now and then, and returns. */
bool run_stops(const struct bench_run *run);

/* How many operations a thread of the run has published. */
uint64_t run_published(const struct bench_run *run, unsigned thread);

/* ---- workloads ------------------------------------------------------------------------------- */

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
    REQUESTS_NEW, /* items that are not loaded; those of a run are `requests.at` many */
    REQUESTS_ALL, /* sets of all items in an order without locality, the same for all threads */
    REQUESTS_ALL_ORDERED /* the same, one partition after the other */
};

/* What is done by a loop that is compiled into the contender (loops.h). */
enum bench_loop_kind { LOOP_NONE, LOOP_GET, LOOP_GET_MANY, LOOP_SET50, LOOP_SET };

/* What a contender must have for a workload to run on it, added up. */
enum bench_needs {
    NEEDS_GET = 1,
    NEEDS_SET = 2,
    NEEDS_REMOVE = 4,
    NEEDS_COMMIT = 8, /* and read */
    NEEDS_SCAN = 16,
    NEEDS_COUNT = 32,
    NEEDS_ADD = 64,
    NEEDS_PUT_NEW = 128,
    NEEDS_MISSES = 256,
    NEEDS_QUEUE = 512,
    NEEDS_BATCHES = 1024, /* a queue whose calls take any number of jobs */
    NEEDS_CLAIMS = 2048,
    NEEDS_WAIT = 4096,
    NEEDS_ADVANCE = 8192
};

/* A part of a mix: so many percent of all operations are this step, on the item with an index. */
struct bench_mix {
    unsigned percent;
    void (*step)(struct bench_worker *worker, uint32_t index);
};

struct bench_workload {
    const char *name;
    const char *what;         /* one line for tables and --list */
    int order;                /* of the tables */
    const char *unit;         /* of one operation in tables: "M ops/s" */
    const char *threads;      /* by default: "1,2" */
    const char *distribution; /* by default; NULL: it draws no items */
    const struct bench_source *source;
    const char *contenders; /* by default */
    const char *subject;    /* whom the others are compared with; NULL: latchkey */
    unsigned weight;        /* operations that one step counts for; 0: 1 */
    unsigned batch;         /* steps between looks at the clock; 0: 64 */
    unsigned beside;        /* threads more than are asked for, which are asides */
    size_t jobs;            /* in each call, of workloads on queues; 0: it works on stores */
    double fill;            /* so many new items are ready for each second of --duration */
    double least_s;         /* a run lasts at least so long, because its costs come in bursts */
    bool reads_only;
    bool on_request;    /* runs only when it is named */
    bool transacts;     /* commits: the table shows races, the check sums up */
    bool single;        /* a store does not count what this one commits */
    bool forks;         /* each run is in a process of its own, on a store that is empty */
    bool own_pace;      /* --rate means nothing to it */
    bool counts_itself; /* the step adds to worker->done */
    bool times_itself;  /* the step calls worker_took */
    unsigned increment; /* of the sum of all numbers by one commit */
    enum bench_requests requests;
    struct bench_target targets[BENCH_TARGETS_MAX];

    unsigned needs;                                       /* of enum bench_needs */
    bool (*can)(const struct bench_contender *contender); /* NULL: who has these can */
    enum bench_loop_kind loop;                            /* what is done, or: */
    struct bench_mix mix[BENCH_MIX_MAX];                  /* or: */
    /* Does `count` operations. Called again and again until the driver has enough. */
    void (*step)(struct bench_worker *worker, size_t count);

    /* In the main thread before the threads of a run start, and after they have ended. The first
     * may set what the run shares; false: it cannot be, and result->fault says why. */
    bool (*begin)(struct bench_run *run);
    void (*end)(struct bench_run *run);
    /* How many operations a worker does, of a workload that takes the time for a number. */
    uint64_t (*fixed)(struct bench_worker *worker);
    /* In the worker's thread after each run: checks and undoes what the run left. */
    void (*finish)(struct bench_worker *worker);
    /* Below the rows of one number of threads: figures of a row besides its rate. */
    void (*more)(const struct bench_workload *workload, unsigned threads,
                 const struct driver_result *result);
    /* Instead of all that: a workload that needs no driver. It prints its own table, enters its
     * figures into the record and returns false if something was wrong. */
    bool (*run)(const struct bench_workload *workload,
                const struct bench_contender *const *contenders, size_t count);
};

void bench_workload_add(const struct bench_workload *workload);

#define BENCH_WORKLOAD(table)                                  \
    __attribute__((constructor)) static void table##_add(void) \
    {                                                          \
        bench_workload_add(&table);                            \
    }

/* The same for an array of them. */
#define BENCH_WORKLOADS(tables)                                     \
    __attribute__((constructor)) static void tables##_add(void)     \
    {                                                               \
        for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) \
            bench_workload_add(&tables[i]);                         \
    }

/* ---- the registry ---------------------------------------------------------------------------- */

extern const struct bench_contender *bench_contenders[BENCH_CONTENDERS_MAX];
extern size_t bench_contender_count;
extern const struct bench_workload *bench_workloads[BENCH_WORKLOADS_MAX];
extern size_t bench_workload_count;

/* Whether a contender has all of these, of enum bench_needs. */
bool bench_has(const struct bench_contender *contender, unsigned needs);

/* Monotonic nanoseconds; and the processor time of the calling thread. */
uint64_t bench_now_ns(void);
uint64_t bench_processor_ns(void);

/* From now on the first SIGINT or SIGTERM is noted, and the second ends the program. */
void bench_interrupt_begin(void);

/* Whether it came. Workloads of their own look between two measurements, and return. */
bool bench_interrupted(void);

#ifdef __cplusplus
}
#endif
#endif
