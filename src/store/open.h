/* SPDX-License-Identifier: MIT
 *
 * A store: open, close, statistics.
 */
#ifndef LKI_STORE_OPEN_H
#define LKI_STORE_OPEN_H

#include "store/hooks.h"

/* Checks `options` and fills in defaults. `hooks` must outlive the store. */
lk_status lki_store_open(const lk_memory_options *options, const lki_hooks *hooks,
                         lki_store **store);
void lki_store_close(lki_store *store);
void lki_store_statistics(lki_store *store, lk_statistics *statistics);

#endif
