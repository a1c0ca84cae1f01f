/* SPDX-License-Identifier: MIT
 *
 * Check level 2: a walk over all queues of a store.
 */
#ifndef LKI_QUEUE_CHECK_H
#define LKI_QUEUE_CHECK_H

#include "store/store.h"

/* Asserts the invariants of all queues. No other thread uses the store, and no call was abandoned
 * in it. */
void lki_queues_check(lki_store *store);

#endif
