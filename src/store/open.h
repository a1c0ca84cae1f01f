/* SPDX-License-Identifier: MIT
 *
 * A store, opened and closed, and its statistics.
 */
#ifndef LKI_STORE_OPEN_H
#define LKI_STORE_OPEN_H

#include "store/hooks.h"

/* `options` are checked, and their defaults filled in. `hooks` outlives the store. */
lk_status lki_store_open(const lk_memory_options *options, const lki_hooks *hooks,
                         lki_store **store);
void lki_store_close(lki_store *store);
void lki_store_statistics(lki_store *store, lk_statistics *statistics);

#endif
