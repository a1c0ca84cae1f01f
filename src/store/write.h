/* SPDX-License-Identifier: MIT
 *
 * Writes of single keys: set, conditional put, touch, add, delete. Statuses: latchkey.h.
 */
#ifndef LKI_STORE_WRITE_H
#define LKI_STORE_WRITE_H

#include "store/outcome.h"

lk_status lki_store_set(lki_store *store, lki_thread *thread, const lk_item *items, size_t count);
/* A put, a touch or an add whose outcome depends on what is there. On LK_OK, `outcome` is what was
 * written. */
lk_status lki_store_write(lki_store *store, lki_thread *thread, const lk_write *write,
                          lki_outcome *outcome);
lk_status lki_store_delete(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count);

#endif
