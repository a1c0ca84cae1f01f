/* SPDX-License-Identifier: MIT
 *
 * What a contender is: a table of calls on a store, or on a queue, and how it enters the registry.
 * A new contender is one file that fills such a table and ends with BENCH_CONTENDER. It needs
 * nothing else of the benchmark, but loops.h where its calls are to be inlined into the loops that
 * measure.
 */
#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H

#include "driver/random.h"

#include <latchkey/latchkey.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_LINE 128       /* two lines: neighbours are prefetched in pairs */
#define BENCH_FIXED_VALUE 64 /* size of the values of contenders with fixed sizes */
#define BENCH_KEY_SIZE 16    /* of their pks and sks, as of all that are synthetic */
#define BENCH_GROUP 16       /* keys of one multiple get, or of one commit, at most */
#define BENCH_COUNTERS_MAX 16

/* What a store that is opened now should be ready for. The driver sets it before `open`. */
struct bench_expected {
    size_t items;       /* that it will be loaded with, for contenders that do not grow */
    size_t value_size;  /* of most values */
    size_t cache_items; /* that a cache has room for */
    bool slow;          /* the database behind a cache sleeps before it answers */
    lk_db *database;    /* that a cache stands before; NULL: an empty one of its own */
    bool refusals;      /* the workload counts what a store refuses for now (LK_BUSY); else the
                           contender tries such a call again, and fails it only after a while */
};
extern struct bench_expected bench_expected;

/* ---- a store --------------------------------------------------------------------------------- */

static inline int
bench_key_compare(const lk_key *left, const lk_key *right)
{
    int order = lk_bytes_compare(left->pk, right->pk);

    return order != 0 ? order : lk_bytes_compare(left->sk, right->sk);
}

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
struct bench_worker;
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
    bool ours;            /* this library under some name or in front of it: no rival in reports */
    bool fixed_sizes;     /* of keys (16 and 16 bytes) and values (BENCH_FIXED_VALUE) */
    bool outlives;        /* what it opens outlives the program: it is closed in any case */
    /* What it needs and is not here, as a server: it is left out, and a line says so. NULL, also
     * what it returns: nothing. */
    const char *(*missing)(void);

    void *(*open)(void);
    void (*close)(void *store);
    void *(*attach)(void *store);
    void (*detach)(void *client);

    bench_get *get;
    bench_get_many *get_many;
    bench_set *set;
    bool (*remove)(void *client, const lk_key *key);
    bench_set *put_new; /* only where there is no such item; false: there is one, or it failed */
    /* Adds to a counter that is there: an item of 8 bytes, a number of this machine. */
    bool (*add)(void *client, const lk_key *key, int64_t delta);

    /* A read-modify-write: reads items with whatever proves later that they did not change, then
     * writes new values for the same keys in one step iff they did not. At most BENCH_GROUP. */
    bool (*read)(void *client, const lk_key *keys, size_t count, lk_bytes *values);
    enum bench_commit (*commit)(void *client, const lk_key *keys, size_t count,
                                const lk_bytes *values);
    void (*backoff)(unsigned attempt); /* after BENCH_RACED; NULL: bench_backoff */

    /* At most `limit` (0: all) items of a partition, ascending, after the given sk and with the
     * given prefix (both may be empty). Returns how many. */
    size_t (*scan)(void *client, const lk_query *query, bench_visit *visit, void *context);
    size_t (*count)(void *client, const lk_query *query); /* what a scan returns, and no item */

    /* Between begin and end the client alone uses the store, and sets items of it. NULL: it is all
     * the same to it. */
    bool (*bulk_begin)(void *client);
    bool (*bulk_end)(void *client);
    /* After a store was loaded: brings about what time would, as a vacuum. */
    void (*loaded)(void *store);

    bool (*lock)(void *client, const lk_key *key); /* gives the key an optimistic lock */
    /* Of a cache: how often this thread has asked the database so far. */
    uint64_t (*misses)(void);
    void (*settle)(void *store); /* gives free memory back, as far as it can */
    void (*counters)(void *store, struct bench_counters *counters);
    bench_contention *contention;         /* NULL: counts nothing */
    const struct bench_loops *loops;      /* NULL: the loops call the functions above */
    const struct queue_operations *queue; /* NULL: has none */
};

void bench_contender_add(const struct bench_contender *contender);

#define BENCH_CONTENDER(table)                                 \
    __attribute__((constructor)) static void table##_add(void) \
    {                                                          \
        bench_contender_add(&table);                           \
    }

/* The same for an array of them. */
#define BENCH_CONTENDERS(tables)                                    \
    __attribute__((constructor)) static void tables##_add(void)     \
    {                                                               \
        for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) \
            bench_contender_add(&tables[i]);                        \
    }

/* The contender of a name; NULL: there is none. */
const struct bench_contender *bench_contender_find(const char *name);

/* Waits a little, the longer the more often the caller has tried: the pause of contenders that
 * bring none. */
void bench_backoff(unsigned attempt);

/* ---- a queue --------------------------------------------------------------------------------- */

#define QUEUE_BATCH 16       /* jobs of one call in the workloads with batches */
#define QUEUE_PULL_MOST 1000 /* a contender copes with pulls of so many */
#define QUEUE_FAILED SIZE_MAX

struct queue_job {
    uint64_t id;
    uint64_t sent_ns; /* when it was pushed, or should have been; 0: nobody asks */
    uint64_t fill[5];
    uint64_t check; /* random_mix(id): a torn job shows */
};

struct queue_setup {
    int64_t visibility_ms;
    bool manual_clock; /* deadlines count on a clock that only `advance` moves */
};

/* A queue of jobs. `client` is what one thread holds of it. */
struct queue_operations {
    bool claims;       /* a pull claims; without: it takes out, and `acknowledge` does nothing */
    size_t batch_most; /* jobs that one call takes; 0: any number */

    void *(*open)(const struct queue_setup *setup); /* NULL on failure */
    void (*close)(void *queue);
    void *(*attach)(void *queue);
    void (*detach)(void *client);

    bool (*push)(void *client, const struct queue_job *jobs, size_t count);
    /* Copies up to `count` jobs out. Returns how many, 0 where there is none, or QUEUE_FAILED. */
    size_t (*pull)(void *client, struct queue_job *jobs, size_t count);
    /* The same for one job, asleep until there is one. NULL: cannot wait. */
    size_t (*pull_wait)(void *client, struct queue_job *job);
    /* The jobs of the client's last pull, all of them. */
    bool (*acknowledge)(void *client);
    /* Moves the manual clock. NULL: has none. */
    void (*advance)(void *queue, int64_t ms);
    bench_contention *contention; /* of a queue; NULL: counts nothing */
};

#ifdef __cplusplus
}
#endif
#endif
