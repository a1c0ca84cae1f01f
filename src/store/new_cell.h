/* SPDX-License-Identifier: MIT
 *
 * Cells for new keys: found, or made and entered into index and set.
 */
#ifndef LKI_STORE_NEW_CELL_H
#define LKI_STORE_NEW_CELL_H

#include "store/store.h"

/* Finds the cell of a key, or makes one with room for an inline record of `data_size` bytes (0: no
 * room). `looked`: the caller has just found none. Caller: in a write section. LK_OK, LK_NO_MEMORY;
 * LK_BUSY: a queue is about to give the key to a job. */
lk_status lki_cell_find_or_create(lki_store *store, lki_thread *thread, const lki_hashed *hashed,
                                  size_t data_size, bool looked, lki_cell **cell);

#endif
