/* SPDX-License-Identifier: MIT
 *
 * A database in front of another one that counts what it is asked, stops calls at gates, and fails
 * where it is told to. For tests of what stands in front of a database. Any thread may call it.
 */
#ifndef LATCHKEY_TESTS_COUNTED_DB_H
#define LATCHKEY_TESTS_COUNTED_DB_H

#include <pthread.h>
#include <stdatomic.h>

#include <latchkey/adapter.h>

/* What is told apart. lk_set_atomic comes as a commit; put_if, touch and add are one kind. */
enum counted_call {
    COUNTED_GET,
    COUNTED_GET_MANY,
    COUNTED_SET,
    COUNTED_REMOVE,
    COUNTED_COMMIT,
    COUNTED_CONDITION,
    COUNTED_PUSH,
    COUNTED_PULL,
    COUNTED_ACKNOWLEDGE,
    COUNTED_PURGE,
    COUNTED_CALLS
};

enum counted_when { COUNTED_BEFORE, COUNTED_AFTER }; /* the database behind was called */

typedef struct counted_gate {
    enum counted_when when;
    bool shut;    /* the next call stops here, */
    bool reached; /* and stands here now */
} counted_gate;

typedef struct counted_failure {
    enum counted_when when;
    uint64_t left; /* the n-th call from now; 0: none */
    lk_status status;
} counted_failure;

typedef struct counted_db {
    lk_db *inner; /* first: lk_adapter_pass */
    lk_db *db;
    _Atomic(uint64_t) calls[COUNTED_CALLS];
    _Atomic(uint64_t) keys; /* that reads have asked for, by either call */
    /* For crowds: one call in so many gives the processor away, or fails (LK_UNAVAILABLE before the
     * database behind was called, LK_UNKNOWN after); 0: none does. */
    _Atomic(uint32_t) yield_one_in, fail_one_in;
    _Atomic(bool)
        watched; /* there has been a gate or a failure; a crowd shall not meet at the latch */
    pthread_mutex_t latch;
    pthread_cond_t moved;
    counted_gate gates[COUNTED_CALLS];       /* [latch] */
    counted_failure failures[COUNTED_CALLS]; /* [latch] */
} counted_db;

/* `without`: capabilities of `inner` that it is not to have, nor those that need them. */
lk_status counted_open(counted_db *c, lk_db *inner, uint64_t without);
void counted_close(counted_db *c);

/* The next such call stops before or after the database behind is called, until the gate is
 * opened. */
void counted_shut(counted_db *c, enum counted_call call, enum counted_when when);
/* Until a call stands at the gate. */
void counted_wait(counted_db *c, enum counted_call call);
/* Opens it; it may not have been reached yet. */
void counted_go(counted_db *c, enum counted_call call);
/* The n-th such call from now ends in `status`. */
void counted_fail(counted_db *c, enum counted_call call, enum counted_when when, uint64_t nth,
                  lk_status status);

#endif
