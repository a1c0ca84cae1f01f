/* SPDX-License-Identifier: MIT
 *
 * What the contenders on this library share.
 */
#ifndef BENCH_CONTENDER_LATCHKEY_H
#define BENCH_CONTENDER_LATCHKEY_H

#include "driver/contender.h"

extern const struct queue_operations latchkey_queue;

/* All but `open` is the same for any database behind a lk_db. */
extern const struct bench_contender contender_latchkey;

/* Makes a contender that is like `latchkey` on another handle, and adds it. What it opens is not an
 * lk_db of its own, so it comes with `open`, `close` and `attach`, which calls latchkey_attach. */
void latchkey_like(struct bench_contender *contender);
void *latchkey_attach(void *db);
lk_db *latchkey_db(void *client);

/* The queue of latchkey_queue on any handle, which it closes; NULL: out of memory. It has no clock
 * to advance. */
void *latchkey_queue_on(lk_db *db, const struct queue_setup *setup);

/* Whether a call that ended so is to be made again: LK_BUSY, as a reader that was put aside holds
 * memory back, and not too many attempts yet. The pause is over then. */
bool latchkey_again(lk_status status, unsigned *attempt);

/* Makes a call until it is not to be made again. */
#define LATCHKEY_CALL(status, call)                \
    do {                                           \
        unsigned attempt_ = 0;                     \
        do                                         \
            status = call;                         \
        while (latchkey_again(status, &attempt_)); \
    } while (0)

/* The counters of contention in an lk_statistics, of any lk_db. */
bench_contention latchkey_contention;

#endif
