/* SPDX-License-Identifier: MIT
 *
 * How often each queue was pulled in vain. Called by pulls, by statistics, and when a queue is
 * forgotten.
 */
#ifndef LKI_LMDB_TALLY_H
#define LKI_LMDB_TALLY_H

#include "lmdb/state.h"

/* Where memory has run out the pull is not counted. */
void lki_lmdb_tally_add(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_tally_drop(lki_lmdb *store, lk_bytes pk);
uint64_t lki_lmdb_tally_read(lki_lmdb *store, lk_bytes pk);
void lki_lmdb_tallies_free(lki_lmdb *store);

#endif
