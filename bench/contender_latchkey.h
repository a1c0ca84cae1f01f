/* SPDX-License-Identifier: MIT
 *
 * What the two files of the contender `latchkey` share: its queue, which its table names.
 */
#ifndef BENCH_CONTENDER_LATCHKEY_H
#define BENCH_CONTENDER_LATCHKEY_H

#include "queue.h"

extern const struct queue_operations latchkey_queue;

#endif
