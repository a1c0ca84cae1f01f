/* SPDX-License-Identifier: MIT
 *
 * An adapter that keeps nothing: it notes which operation was called with what, and answers what it
 * was told. For tests of what the library does before, after and instead of an operation. One
 * thread.
 */
#ifndef LATCHKEY_TESTS_FAKE_H
#define LATCHKEY_TESTS_FAKE_H

#include <latchkey/adapter.h>

#include "support/kit.h"

enum { FAKE_WRITES = 8, FAKE_SCRIPT = 8 };

/* All groups of operations, and jobs in commits. */
#define FAKE_ALL                                                                               \
    (LK_HAS_GET_MANY | LK_HAS_QUERY | LK_HAS_LOCKS | LK_HAS_QUEUES | LK_HAS_QUEUE_FD |         \
     LK_HAS_VIEWS | LK_HAS_SWEEP | LK_HAS_STATISTICS | LK_HAS_CONDITIONS | LK_HAS_PARTITIONS | \
     LK_HAS_QUEUE_INSPECT | LK_COMMITS_JOBS | LK_COMMITS_RELEASES | LK_QUERIES_RANGES)

typedef struct fake {
    /* what it answers */
    lk_status answer;              /* of every operation that has no script */
    lk_status script[FAKE_SCRIPT]; /* of get_lock, one after the other */
    bool scripted;
    lk_bytes data; /* of the items that get and get_many give */
    lk_status (*query)(struct fake *fake, const lk_page *page, lk_result *result);
    void *context; /* of `query` */

    /* what it saw */
    int calls, closes;
    /* a letter per call: of get_lock l, get_many m, get g, commit c, set_atomic a, count n, others
     * x */
    char order[64];
    bool optional_is_null; /* an optional output of any call was NULL */
    size_t write_count, lock_count;
    lk_write writes[FAKE_WRITES]; /* the first of a commit; they borrow from the caller */
    lk_lock *locks;
} fake;

/* Every operation; its state is a fake. */
extern const lk_operations fake_operations;
/* The same without what none of `capabilities` covers, nor anything that may be NULL but close. */
lk_operations fake_operations_of(uint64_t capabilities);

/* An adapter of that state. */
lk_adapter fake_adapter(fake *state, uint64_t capabilities);
/* A handle; fails the test where that fails. */
lk_db *fake_open(fake *state, uint64_t capabilities);
/* The same with these operations. */
lk_db *fake_open_with(fake *state, const lk_operations *operations, uint64_t capabilities);

/* ---- every call of latchkey.h ---- */

typedef struct fake_rig {
    lk_db *db;
    lk_result *result;
    lk_stream *stream; /* of db; NULL: a call that opens one */
    lk_claim claim;
    union {
        unsigned char bytes[512];
        lk_lock lock;
        lk_item item;
        lk_queue_statistics queue;
        lk_statistics statistics;
        lk_job job;
        size_t size;
        int fd;
    } out;
} fake_rig;

typedef struct fake_call {
    const char *name;
    lk_status (*run)(fake_rig *rig); /* with valid arguments, outputs into rig->out */
    uint64_t needs;                  /* capability; 0: every adapter has it */
} fake_call;

/* But those that return nothing. */
extern const fake_call fake_calls[];
extern const size_t fake_call_count;

fake_rig fake_rig_of(lk_db *db);
/* Every call that needs more than the capabilities `but` (0: every call) answers `wanted` and
 * leaves its outputs. */
void fake_rig_answers(fake_rig *rig, uint64_t but, lk_status wanted);

#endif
