/* SPDX-License-Identifier: MIT
 *
 * The write transaction: begun under the store's latch, and the rows that it writes. It ends by
 * lki_lmdb_end (end.h).
 */
#ifndef LKI_LMDB_TXN_H
#define LKI_LMDB_TXN_H

#include "lmdb/state.h"

struct lki_lmdb_txn {
    lki_lmdb *store;
    MDB_txn *txn;
    int64_t now_ms;          /* realtime, of the whole call */
    int64_t monotonic_ms;    /* of the whole call */
    int64_t time;            /* the store's, of the whole call */
    uint64_t version;        /* the next one */
    int64_t first_expiry_ms; /* of the store, if this commits */
    lki_lmdb_meta meta;      /* the row, if this commits */
    bool changed;            /* something was written */
    bool queues;             /* some of it is of queues */
    int saved_errno;
    /* the queue that is in use; written back when another one is, and by the commit */
    lki_lmdb_key queue_key; /* size 0: none */
    lki_lmdb_queue queue;
    bool queue_exists, queue_changed;
    bool queue_made;                /* a row of queues is new */
    bool several;                   /* more than one queue was changed */
    bool is_over;                   /* a closed queue may have no job any more */
    bool tends;                     /* the commit sweeps a few */
    bool is_full;                   /* map or disk had no room for it */
    bool is_crowded;                /* a queue is too deep, but more has expired */
    uint64_t expired, locks_lapsed; /* swept in this transaction */
    int64_t lag_ms;                 /* the longest time that one of them was late */
};

/* LK_OK: the caller has the latch, until the end. */
lk_status lki_lmdb_begin(lki_lmdb *store, lki_lmdb_txn *t);
lk_status lki_lmdb_put(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key, const void *row,
                       size_t size);
/* Deletes a row. LK_UNAVAILABLE: it is not there, so the file is damaged. */
lk_status lki_lmdb_del(lki_lmdb_txn *t, MDB_dbi dbi, const lki_lmdb_key *key);
/* The first of `count` numbers in a row that were never handed out: versions and tokens. */
uint64_t lki_lmdb_numbers(lki_lmdb_txn *t, size_t count);

/* ---- queues ---- */

/* t->queue becomes that of `pk`; zeros where there is none. */
lk_status lki_lmdb_queue_use(lki_lmdb_txn *t, lk_bytes pk);
/* Writes the queue in use back, if it was changed. */
lk_status lki_lmdb_queue_flush(lki_lmdb_txn *t);

/* ---- the end ---- */

/* Commits, or aborts and says why. Either way the transaction is over; the latch is still held. */
lk_status lki_lmdb_txn_commit(lki_lmdb_txn *t);
void lki_lmdb_txn_abort(lki_lmdb_txn *t, lk_status why);
/* After the end of a transaction that took out a batch. Where it had no room there may be room for
 * a smaller one, which gives pages back: true, and *batch is smaller. */
bool lki_lmdb_batch_shrink(const lki_lmdb_txn *t, size_t *batch);

#endif
