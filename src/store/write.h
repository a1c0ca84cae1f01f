/* SPDX-License-Identifier: MIT
 *
 * Set and delete.
 */
#ifndef LKI_STORE_WRITE_H
#define LKI_STORE_WRITE_H

#include "store/store.h"

lk_status lki_store_set(lki_store *store, lki_thread *thread, const lk_item *items, size_t count);
lk_status lki_store_delete(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count);

#endif
