/* SPDX-License-Identifier: MIT
 *
 * What the contenders on this library share.
 */
#ifndef BENCH_CONTENDER_LATCHKEY_H
#define BENCH_CONTENDER_LATCHKEY_H

#include "driver/contender.h"

/* A queue on a handle, of which the calls of latchkey_queue are. A contender that opens one itself
 * has it in front of what else it holds, and comes with `open` and `close` alone. */
struct latchkey_queue {
    lk_db *db;
    int64_t visibility_ms;
    _Atomic int64_t now_ms; /* the manual clock; threads of the store may read it */
};
extern const struct queue_operations latchkey_queue;
int64_t latchkey_clock(void *queue); /* an lk_clock, of a queue */

/* All but `open` is the same for any database behind a lk_db. */
extern const struct bench_contender contender_latchkey;

/* Makes a contender that is like `latchkey` on another handle, and adds it. One whose `open` gives
 * something else than an lk_db comes with its `close`, `contention` and `attach`, which calls
 * latchkey_attach. */
void latchkey_like(struct bench_contender *contender);
/* Takes from one that was made so what a wrapper (parts/wrapper.h) cannot do: all but single
 * keys. */
void latchkey_behind_wrapper(struct bench_contender *contender);
void *latchkey_attach(void *db);
lk_db *latchkey_db(void *client);

/* Whether a call that ended so is to be made again: LK_BUSY, as a reader that was put aside holds
 * memory back, and not too many attempts yet. The pause is over then. */
bool latchkey_again(lk_status status, unsigned *attempt);

/* Makes a call until it is not to be made again; its status. */
#define LATCHKEY_CALL(call)                         \
    ({                                              \
        unsigned attempt_ = 0;                      \
        lk_status status_;                          \
        do                                          \
            status_ = call;                         \
        while (latchkey_again(status_, &attempt_)); \
        status_;                                    \
    })

/* The counters of contention in an lk_statistics, of any lk_db. */
bench_contention latchkey_contention;

#endif
