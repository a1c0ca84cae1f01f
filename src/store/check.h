/* SPDX-License-Identifier: MIT
 *
 * Check level 2: a walk over a whole store, its hooks' part included. Called when the store is
 * closed, and by tests after each step of a differential test.
 */
#ifndef LKI_STORE_CHECK_H
#define LKI_STORE_CHECK_H

#include "store/store.h"

/* Asserts the invariants of all tables, and that they agree with each other. Below level 2 it does
 * nothing, nor where the store could not be opened as a whole. No other thread uses the store; this
 * one is outside of sections. */
void lki_store_check(lki_store *store);

#endif
