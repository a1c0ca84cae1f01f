/* SPDX-License-Identifier: MIT
 *
 * What the contenders on this library share: the queue of `latchkey`, which its table names, and a
 * thread's client, which works on any lk_db.
 */
#ifndef BENCH_CONTENDER_LATCHKEY_H
#define BENCH_CONTENDER_LATCHKEY_H

#include "driver/queue.h"

extern const struct queue_operations latchkey_queue;
/* All but `open` is the same for any database behind a lk_db. */
extern const struct bench_contender contender_latchkey;

void *latchkey_attach(void *db);
void latchkey_detach(void *client);
bool latchkey_get(void *client, const lk_key *key, lk_bytes *value);
bool latchkey_set(void *client, const lk_item *put);

/* Whether a call that ended so is to be made again: LK_BUSY, as a reader that was put aside holds
 * memory back, and not too many attempts yet. The pause is over then. */
bool latchkey_again(lk_status status, unsigned *attempt);

/* The counters of contention in an lk_statistics, of any lk_db. */
bench_contention latchkey_contention;

#endif
