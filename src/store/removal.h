/* SPDX-License-Identifier: MIT
 *
 * Removal of cells whose item is gone: they leave the tables after one grace period and are freed
 * after a second one.
 */
#ifndef LKI_STORE_REMOVAL_H
#define LKI_STORE_REMOVAL_H

#include "store/store.h"

/* Called after the tombstone of `cell` was installed and stamped: tags it with the epoch and makes
 * a ticket for the cell. NULL: the cell was made but not used. Caller: in the write section that
 * installed it, with 1 retirement reserved. */
void lki_removal_schedule(lki_thread *thread, lki_cell *cell, lki_record *tombstone);
/* The same for a cell that may have been made in vain, if its head is EMPTY. Without memory for
 * that, an lk_sweep finds the cell. Caller: in a write section. */
void lki_removal_if_void(lki_thread *thread, lki_cell *cell);
bool lki_removal_ticket(lki_thread *thread, void *cell);

#endif
