/* SPDX-License-Identifier: MIT
 *
 * What the files of the contenders that go through latchkey's calls share.
 */
#ifndef BENCH_CONTENDER_LATCHKEY_H
#define BENCH_CONTENDER_LATCHKEY_H

#include "queue.h"

extern const struct queue_operations latchkey_queue;
/* All but `open` is the same for any database behind a lk_db. */
extern const struct bench_contender contender_latchkey;

#endif
