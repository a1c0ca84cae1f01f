/* SPDX-License-Identifier: MIT
 *
 * What the contenders on this library share: the queue of `latchkey`, which its table names, and a
 * thread's client, which works on any lk_db.
 */
#ifndef BENCH_CONTENDER_LATCHKEY_H
#define BENCH_CONTENDER_LATCHKEY_H

#include "queue.h"

extern const struct queue_operations latchkey_queue;
/* All but `open` is the same for any database behind a lk_db. */
extern const struct bench_contender contender_latchkey;

void *latchkey_attach(void *db);
void latchkey_detach(void *client);
bool latchkey_get(void *client, lk_key key, lk_bytes *value);
bool latchkey_set(void *client, lk_key key, lk_bytes value);

#endif
