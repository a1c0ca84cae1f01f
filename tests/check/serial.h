/* SPDX-License-Identifier: MIT
 *
 * Strict serializability of transactions, from versions. Where each value of a key is numbered and
 * each version of a lock is known, a history gives exact edges: who wrote what another read or
 * replaced, who replaced what another read, who ended before another began. An order exists iff
 * there is no cycle (Adya, "Weak Consistency", 1999): no search. Cycles are found by Tarjan's
 * algorithm ("Depth-First Search and Linear Graph Algorithms", 1972); the shortest is told.
 *
 * Steps: STEP_READ of number n. STEP_WRITE of number n, which replaced n - 1. STEP_ERASE likewise,
 * if it has a number. STEP_LOCK reads a version, STEP_BUMP reads and replaces one. STEP_READ of 0
 * is the beginning; where keys are erased, leave such reads out. Operations whose end is
 * HISTORY_NEVER count as done if somebody saw what they wrote: record those that did something
 * only.
 */
#ifndef LATCHKEY_TESTS_CHECK_SERIAL_H
#define LATCHKEY_TESTS_CHECK_SERIAL_H

#include "check/history.h"

verdict serial_check(const history *h, report *r);

#endif
