/* SPDX-License-Identifier: MIT
 *
 * Pulls that wait, and whom a commit wakes. Called by pulls, and by every operation that makes a
 * job visible, after its commit.
 */
#ifndef LKI_LMDB_WAIT_H
#define LKI_LMDB_WAIT_H

#include "lmdb/state.h"

/* On the stack of a pull. */
struct lki_lmdb_waiter {
    lki_lmdb_waiter *next, *previous;
    const lki_lmdb_key *queue; /* its frame */
    pthread_cond_t wake;
    bool notified;   /* [wait_latch] there may be something for it */
    int64_t wake_at; /* [wait_latch] store's time at which it looks by itself */
};

lk_status lki_lmdb_waiter_join(lki_lmdb *store, lki_lmdb_waiter *waiter, const lki_lmdb_key *queue);
/* Before each look: what comes from now on notifies it. */
void lki_lmdb_waiter_look(lki_lmdb *store, lki_lmdb_waiter *waiter);
/* Until it is notified, or the store's time is `due` or `end`. */
void lki_lmdb_waiter_sleep(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t due, int64_t end);
/* Leaves the list. A notification that it had, and its watch over `due`, become another
 * waiter's. */
void lki_lmdb_waiter_leave(lki_lmdb *store, lki_lmdb_waiter *waiter, int64_t due);

/* `count` jobs are visible: wakes as many waiters. */
void lki_lmdb_notify(lki_lmdb *store, lk_bytes pk, size_t count);
/* A job will be visible at `time`: wakes one waiter, if none would look by then. */
void lki_lmdb_notify_at(lki_lmdb *store, lk_bytes pk, int64_t time);
/* `count` jobs are visible from `delay_ms` after `time` on. */
void lki_lmdb_notify_after(lki_lmdb *store, lk_bytes pk, size_t count, int64_t time,
                           int64_t delay_ms);
/* All waiters look again; pk of size 0: those of all queues. */
void lki_lmdb_notify_all(lki_lmdb *store, lk_bytes pk);

#endif
