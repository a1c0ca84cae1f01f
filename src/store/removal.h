/* SPDX-License-Identifier: MIT
 *
 * Cells whose item is gone leave the tables, two grace periods later.
 */
#ifndef LKI_STORE_REMOVAL_H
#define LKI_STORE_REMOVAL_H

#include "store/store.h"

/* The tombstone of `cell` was installed and stamped: notes from when on it may be buried, and sees
 * to it that somebody does. NULL: the cell was made in vain. Caller: in the write section that
 * installed it, with 1 retirement reserved. */
void lki_removal_schedule(lki_thread *thread, lki_cell *cell, lki_record *tombstone);
/* The same for a cell that was perhaps made in vain: if there is nothing in it. Where there is no
 * memory for that, an lk_sweep finds the cell. Caller: in a write section. */
void lki_removal_if_void(lki_thread *thread, lki_cell *cell);
bool lki_removal_ticket(lki_thread *thread, void *cell);

#endif
