/* SPDX-License-Identifier: MIT
 *
 * The state of an open store: what all files of the adapter share. open.c makes and frees it.
 *
 * Reading  A call takes a reader's place, with a transaction that is renewed, and gives it back
 *          (reader.h).
 * Writing  One call at a time, under the latch: begin, verbs, end (txn.h, end.h). What is kept in
 *          memory of the file (numbers, times, bounds) changes only when a commit has succeeded;
 *          until then the transaction has its own.
 *
 * Latches  `latch`: whoever writes. `wait_latch`: waiters. `watch_latch`: descriptors.
 *          `tally_latch`: empty pulls. None is taken while another is held.
 */
#ifndef LKI_LMDB_STATE_H
#define LKI_LMDB_STATE_H

#include <pthread.h>

#include "lmdb/assert.h"
#include "lmdb/atomic.h"
#include "lmdb/row.h"
#include "lmdb/status.h"

typedef struct lki_lmdb_reader lki_lmdb_reader;
typedef struct lki_lmdb_txn lki_lmdb_txn;
typedef struct lki_lmdb_waiter lki_lmdb_waiter;
typedef struct lki_lmdb_tally lki_lmdb_tally;
typedef struct lki_lmdb_watch lki_lmdb_watch;

typedef struct lki_lmdb {
    /* [const] */
    MDB_env *env;
    lki_lmdb_tables in;
    lk_clock realtime_ms, monotonic_ms;
    void *clock_context;
    bool monotonic_is_hooked;
    bool was_whole; /* for checks at level 2: the file kept the invariants when it was opened */
    int64_t lock_ttl_ms, lock_refresh_ms;
    int64_t time_base, monotonic_base; /* the store's time was this when the clock was that */
    int lock_fd;
    lki_lmdb_reader *readers;
    uint32_t reader_count;

    pthread_mutex_t latch;
    /* [latch] */
    const lki_lmdb_txn *writer;     /* the transaction that runs; NULL: none */
    lki_lmdb_meta meta_row;         /* as it lies in the file */
    uint64_t version;               /* the next one; at most meta_row.version */
    int64_t first_expiry_ms;        /* nothing in expiry is earlier */
    size_t readers_seen_at;         /* the last page when dead readers were looked for */
    lki_lmdb_key tended;            /* queues are looked at from here on, two for each new one */
    bool time_is_due;               /* queues were written: lk_close keeps the time */
    lk_bytes sorted[LK_COMMIT_MAX]; /* of a push, to find duplicates */
    lki_lmdb_counter sets, deletes, multi_gets, commits, races, locks_created, locks_renewed, busy;
    lki_lmdb_counter expired_swept, locks_swept, slots_visited;
    int64_t sweep_lag_ms;

    pthread_mutex_t wait_latch;
    lki_lmdb_waiter *first_waiter, *last_waiter; /* [wait_latch] */

    pthread_mutex_t watch_latch;
    lki_lmdb_watch *watches; /* [watch_latch] */

    pthread_mutex_t tally_latch;
    lki_lmdb_tally **tallies; /* [tally_latch] a table of lists; NULL: none is counted yet */
    size_t tally_count, tally_buckets; /* [tally_latch] a power of two */
} lki_lmdb;

/* ---- times ---- */

/* Clocks are anybody's, and times in the file are not trusted: sums and differences end where the
 * numbers do. */
static inline int64_t
lki_lmdb_after(int64_t time, int64_t ms)
{
    int64_t sum;
    if (__builtin_add_overflow(time, ms, &sum))
        return ms > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static inline int64_t
lki_lmdb_span(int64_t from, int64_t to)
{
    int64_t span;
    if (__builtin_sub_overflow(to, from, &span))
        return to > from ? INT64_MAX : INT64_MIN;
    return span;
}

static inline int64_t
lki_lmdb_now(const lki_lmdb *store)
{
    return store->realtime_ms(store->clock_context);
}

static inline int64_t
lki_lmdb_monotonic(const lki_lmdb *store)
{
    return store->monotonic_ms(store->clock_context);
}

/* The store's time, which deadlines and delays are measured with. Never INT64_MAX, which stands for
 * a time that does not come. */
static inline int64_t
lki_lmdb_time(const lki_lmdb *store, int64_t monotonic_ms)
{
    int64_t passed_ms = lki_lmdb_span(store->monotonic_base, monotonic_ms);
    int64_t time = lki_lmdb_after(store->time_base, passed_ms);
    return time < INT64_MAX ? time : INT64_MAX - 1;
}

/* What the monotonic clock shows at a time of the store. */
static inline int64_t
lki_lmdb_clock_of(const lki_lmdb *store, int64_t time)
{
    return time == INT64_MAX
               ? time
               : lki_lmdb_after(store->monotonic_base, lki_lmdb_span(store->time_base, time));
}

#endif
