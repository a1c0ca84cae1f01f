/* SPDX-License-Identifier: MIT
 *
 * A cell for a new key.
 */
#ifndef LKI_STORE_NEW_CELL_H
#define LKI_STORE_NEW_CELL_H

#include "store/store.h"

/* The cell of a key, made where there is none; room for `data_size` bytes of record inside a new
 * one (0: none). `looked`: the caller has just found none. Caller: in a write section. LK_OK,
 * LK_NO_MEMORY; LK_BUSY: a queue is about to give the key to a job of its own. */
lk_status lki_cell_find_or_create(lki_store *store, lki_thread *thread, const lki_hashed *hashed,
                                  size_t data_size, bool looked, lki_cell **cell);

#endif
