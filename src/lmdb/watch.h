/* SPDX-License-Identifier: MIT
 *
 * Descriptors of queues. Called after every commit that changed queues.
 */
#ifndef LKI_LMDB_WATCH_H
#define LKI_LMDB_WATCH_H

#include "lmdb/state.h"

/* Makes the descriptor of a queue readable, if it has one. */
void lki_lmdb_watch_raise(lki_lmdb *store, lk_bytes pk);
/* Looks at the queue anew and sets its descriptor accordingly; pk of size 0: those of all
 * queues. */
void lki_lmdb_watch_refresh(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_watches_free(lki_lmdb *store);

#endif
