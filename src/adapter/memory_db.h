/* SPDX-License-Identifier: MIT
 *
 * The reads of one key of the embedded store, for the api to call where it has seen that the key is short
 * (lki_key_is_short) and good, and that the handle is the embedded store's (lk_db.embedded). What the
 * operations do for other keys they do for these too; this spares a look at the key and the table.
 */
#ifndef LKI_ADAPTER_MEMORY_DB_H
#define LKI_ADAPTER_MEMORY_DB_H

#include "adapter/handle.h"

struct lki_store;
lk_status lki_memory_get_short(struct lki_store *store, const lk_key *key, lk_result *result);
lk_status lki_memory_get_into_short(struct lki_store *store, const lk_key *key, void *buffer,
                                    size_t capacity, size_t *size);
lk_status lki_memory_view_short(struct lki_store *store, const lk_key *key, lk_item *item);

#endif
