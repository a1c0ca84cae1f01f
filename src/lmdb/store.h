/* SPDX-License-Identifier: MIT
 *
 * What the files of the adapter share: the open database, its readers, its write transaction.
 *
 * Reading  a place with a transaction that is renewed, for as long as the call looks.
 * Writing  one at a time, under the latch: begin, the verbs below, then commit or abort. What the
 *          store keeps in memory of the file (numbers, times, bounds) changes only by a commit that
 *          succeeded; until then the transaction has its own.
 *
 * Latches  `latch`: whoever writes. `wait_latch`: waiters. `watch_latch`: descriptors.
 *          `tally_latch`: empty pulls. None is taken while another is held.
 */
#ifndef LKI_LMDB_STORE_H
#define LKI_LMDB_STORE_H

#include <pthread.h>

#include "lmdb/atomic.h"
#include "lmdb/operations.h"
#include "lmdb/row.h"

enum { LKI_LMDB_LINE = 64 };

typedef struct lki_lmdb_reader {
    _Alignas(LKI_LMDB_LINE) lki_lmdb_flag taken; /* L1 */
    MDB_txn *txn;                                /* L1; NULL: not used yet; reset while idle */
    MDB_cursor *cursor;                          /* L1; of items */
    lki_lmdb_counter gets, hits, multi_gets, queries, items_queried;
} lki_lmdb_reader;

typedef struct lki_lmdb_waiter lki_lmdb_waiter;
typedef struct lki_lmdb_tally lki_lmdb_tally;
typedef struct lki_lmdb_watch lki_lmdb_watch;

typedef struct lki_lmdb {
    /* [const] */
    MDB_env *env;
    MDB_dbi meta, items, locks, jobs, ready, due, queues, expiry;
    lk_clock realtime_ms, monotonic_ms;
    void *clock_context;
    bool monotonic_is_hooked;
    int64_t lock_ttl_ms, lock_refresh_ms;
    int64_t time_base, monotonic_base; /* the store's time was this when the clock was that */
    int lock_fd;
    lki_lmdb_reader *readers;
    uint32_t reader_count;

    pthread_mutex_t latch;
    /* [latch] */
    lki_lmdb_meta meta_row;         /* as it lies in the file */
    uint64_t version;               /* the next one; at most meta_row.version */
    int64_t first_expiry_ms;        /* nothing in expiry is earlier */
    size_t readers_seen_at;         /* the last page when dead readers were looked for */
    lki_lmdb_key tended;            /* queues are looked at from here on, two for each new one */
    bool time_is_due;               /* queues were written: lk_close keeps the time */
    lk_bytes sorted[LK_COMMIT_MAX]; /* of a push, to find twins */
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

/* ---- statuses, clocks: store.c ---- */

/* Of a code of LMDB, or of an errno. */
lk_status lki_lmdb_status(int code);
/* Of a write's. LMDB says EIO, too, where fewer bytes were written than it gave: then the disk is
 * full, and errno, which was 0 before, is not EIO. */
lk_status lki_lmdb_write_status(int code);
int64_t lki_lmdb_now(const lki_lmdb *store);
int64_t lki_lmdb_monotonic(const lki_lmdb *store);
/* The store's time, which deadlines and delays are measured with. */
int64_t lki_lmdb_time(const lki_lmdb *store, int64_t monotonic_ms);

/* ---- reading: reader.c ---- */

lk_status lki_lmdb_readers_open(lki_lmdb *store, uint32_t count);
void lki_lmdb_readers_close(lki_lmdb *store);
lk_status lki_lmdb_read_begin(lki_lmdb *store, lki_lmdb_reader **reader);
void lki_lmdb_read_end(lki_lmdb_reader *reader);
/* The first key that is not before `from`. LK_OK; LK_NOT_FOUND: none. */
lk_status lki_lmdb_seek(MDB_txn *txn, MDB_dbi dbi, const lki_lmdb_key *from, MDB_val *key);
/* A row of a fixed size. LK_OK, LK_NOT_FOUND. */
lk_status lki_lmdb_row(MDB_txn *txn, MDB_dbi dbi, const lki_lmdb_key *key, void *row, size_t size);
/* LK_OK, LK_NOT_FOUND; expired or not. */
lk_status lki_lmdb_item_find(const lki_lmdb *store, MDB_txn *txn, const lki_lmdb_key *key,
                             lki_lmdb_item *item);
lk_status lki_lmdb_item_parse(const MDB_val *value, lki_lmdb_item *item);

/* ---- writing: txn.c ---- */

typedef struct lki_lmdb_txn {
    lki_lmdb *store;
    MDB_txn *txn;
    int64_t now_ms;          /* realtime, of the whole call */
    int64_t monotonic_ms;    /* likewise */
    int64_t time;            /* the store's, likewise */
    uint64_t version;        /* the next one */
    int64_t first_expiry_ms; /* of the store, if this commits */
    lki_lmdb_meta meta;      /* likewise */
    bool changed;            /* something was written */
    bool queues;             /* some of it is of queues */
    int saved_errno;
    /* the queue that is in use; written back when another one is, and by the commit */
    lki_lmdb_key queue_key; /* size 0: none */
    lki_lmdb_queue queue;
    bool queue_exists, queue_changed;
    bool queue_made;       /* a row of queues is new */
    bool several, is_over; /* not only it was changed; a closed queue may have no job any more */
    bool tends;            /* the commit sweeps a few */
    bool is_full;          /* map or disk had no room for it */
    uint64_t expired, locks_lapsed; /* swept in this transaction */
    int64_t lag_ms;                 /* the longest time that one of them was late */
} lki_lmdb_txn;

/* LK_OK: the caller has the latch, until commit or abort. */
lk_status lki_lmdb_begin(lki_lmdb *store, lki_lmdb_txn *t);
/* Ends the transaction: commits it if `status` is LK_OK or LK_LATE, and returns that; else aborts
 * it. */
lk_status lki_lmdb_end(lki_lmdb_txn *t, lk_status status);
/* `count` numbers in a row that were never handed out; versions and tokens. */
uint64_t lki_lmdb_numbers(lki_lmdb_txn *t, size_t count);
lk_status lki_lmdb_put(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key, const void *row,
                       size_t size);
/* A row that is there; LK_UNAVAILABLE: it is not, so the file is damaged. */
lk_status lki_lmdb_del(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key);
/* t->queue becomes that of `pk`; zeros where there is none. */
lk_status lki_lmdb_queue_use(lki_lmdb_txn *t, lk_bytes pk);

/* ---- items and locks: item.c, lock.c ---- */

lk_status lki_lmdb_item_put(lki_lmdb_txn *t, const lki_lmdb_key *key, const lk_item *item);
/* Over `old` (NULL: nothing), with flags. */
lk_status lki_lmdb_item_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *old,
                              const lk_item *item, unsigned flags);
/* Item, job and lock. *version: what the lock's was, 0: none; may be NULL. */
lk_status lki_lmdb_key_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version);
/* The same of an item that was found; NULL: there is none. */
lk_status lki_lmdb_found_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_item *item,
                                uint64_t *version);
/* A lock that is good: it has not lapsed, nor has its item expired. LK_OK, LK_NOT_FOUND. */
lk_status lki_lmdb_lock_find(lki_lmdb_txn *t, const lki_lmdb_key *key, lki_lmdb_lock *lock);
lk_status lki_lmdb_lock_write(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_lock *old,
                              uint64_t version);
lk_status lki_lmdb_lock_remove(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t *version);

/* ---- expiry: sweep.c ---- */

lk_status lki_lmdb_expiry_add(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time,
                              unsigned char kind);
lk_status lki_lmdb_expiry_drop(lki_lmdb_txn *t, const lki_lmdb_key *key, int64_t time,
                               unsigned char kind);
/* Forgets queues that nobody uses any more: looks at the next two. */
lk_status lki_lmdb_queues_tend(lki_lmdb_txn *t);
/* After the end of a transaction that took out a batch. Where there was no room for it there may be
 * for a smaller one, which gives pages back: true, and *batch is smaller. */
bool lki_lmdb_batch_shrink(const lki_lmdb_txn *t, size_t *batch);
/* Takes out what has expired, at most so many entries. *more: there are others. */
lk_status lki_lmdb_expire(lki_lmdb_txn *t, size_t most, bool *more);

/* ---- jobs: job.c ---- */

lk_status lki_lmdb_job_find(const lki_lmdb *store, MDB_txn *txn, const lki_lmdb_key *key,
                            lki_lmdb_job *job);
/* `old` NULL: it is new; `to` NULL: it goes. t->queue is that of the job; depth is kept here. */
lk_status lki_lmdb_job_change(lki_lmdb_txn *t, const lki_lmdb_key *key, const lki_lmdb_job *old,
                              const lki_lmdb_job *to);
/* The job of an item that goes, or is none any more. */
lk_status lki_lmdb_job_drop(lki_lmdb_txn *t, const lki_lmdb_key *key);
/* LK_OK, LK_LATE or LK_LOST, and the job. */
lk_status lki_lmdb_claim_judge(lki_lmdb_txn *t, const lki_lmdb_key *key, uint64_t token,
                               lki_lmdb_job *job);
/* One job more, over what is at its key. `pushed` (may be NULL) gets it. */
typedef struct lki_lmdb_push {
    int64_t delay_ms;
    bool unique, even_closed;
    lk_result *pushed;
    size_t added; /* out: jobs that were not there */
} lki_lmdb_push;
lk_status lki_lmdb_job_push(lki_lmdb_txn *t, const lk_item *item, lki_lmdb_push *push);
/* Takes a job out whose claim is good. LK_OK, LK_LATE, LK_LOST. */
lk_status lki_lmdb_job_acknowledge(lki_lmdb_txn *t, const lk_claim *claim, uint64_t *version);

/* What a look at a queue has seen. */
typedef struct lki_lmdb_sight {
    int64_t time;      /* the store's, after the snapshot */
    int64_t first_due; /* then it may be another; INT64_MAX: not by time */
    bool exists;
} lki_lmdb_sight;

/* Without writing. LK_OK: there may be something. LK_EMPTY; LK_CLOSED: and no job. pull.c */
lk_status lki_lmdb_look(lki_lmdb *store, const lki_lmdb_key *queue, lki_lmdb_sight *sight);

/* ---- waiting: wait.c, watch.c ---- */

struct lki_lmdb_waiter {
    lki_lmdb_waiter *next, *previous;
    const lki_lmdb_key *queue; /* its frame */
    pthread_cond_t called_up;
    bool called;     /* [wait_latch] there may be something for it */
    int64_t wake_at; /* [wait_latch] store's time at which it looks by itself */
};

lk_status lki_lmdb_waiter_join(lki_lmdb *store, lki_lmdb_waiter *waiter, const lki_lmdb_key *queue);
/* Before each look: what comes from now on calls it. */
void lki_lmdb_waiter_look(lki_lmdb *store, lki_lmdb_waiter *waiter);
/* Until it is called, or the store's time is `due` or `end`. */
void lki_lmdb_waiter_sleep(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t due, int64_t end);
/* Its calls, and its watch over `due`, become another's. */
void lki_lmdb_waiter_leave(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t due);
/* `count` jobs are visible. */
void lki_lmdb_call(lki_lmdb *store, lk_bytes pk, size_t count);
/* Something will be, at `time`. */
void lki_lmdb_call_at(lki_lmdb *store, lk_bytes pk, int64_t time);

/* All waiters look again; pk of size 0: those of all queues. */
void lki_lmdb_call_all(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_watch_raise(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_watch_settle(lki_lmdb *store, lk_bytes pk); /* likewise */
void lki_lmdb_watches_free(lki_lmdb *store);

/* Empty pulls: tally.c. */
void lki_lmdb_tally_add(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_tally_drop(lki_lmdb *store, lk_bytes pk);
uint64_t lki_lmdb_tally_read(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_tallies_free(lki_lmdb *store);

#endif
