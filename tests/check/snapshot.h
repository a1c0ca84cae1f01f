/* SPDX-License-Identifier: MIT
 *
 * Snapshots: what lk_get_many and lk_query_items saw was the state at one instant between their
 * stamps. Every write of a key has a number, 1, 2, 3, ..., in the order of its writes (STEP_WRITE;
 * STEP_ERASE too: what is absent is one of these). Number n can be seen from the beginning of its
 * write to the end of write n + 1; a snapshot needs an instant at which all that it saw can be
 * seen. No search. It is necessary, and not sufficient: serial.h judges readers against each other.
 */
#ifndef LATCHKEY_TESTS_CHECK_SNAPSHOT_H
#define LATCHKEY_TESTS_CHECK_SNAPSHOT_H

#include "check/history.h"

/* Key numbers below `keys`. STEP_READ of 0: absent, as before the first write and after each
 * erasure. */
verdict snapshot_check(const history *h, uint32_t keys, report *r);

#endif
