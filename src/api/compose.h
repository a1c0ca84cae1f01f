/* SPDX-License-Identifier: MIT
 *
 * Calls that are put together from others where an adapter does not bring them. Called by api.c
 * with arguments that were checked.
 */
#ifndef LKI_API_COMPOSE_H
#define LKI_API_COMPOSE_H

#include "adapter/handle.h"

lk_status lki_compose_get_into(lk_db *db, const lk_key *key, void *buffer, size_t capacity,
                               size_t *size);
lk_status lki_compose_get_locked(lk_db *db, const lk_key *keys, size_t count, lk_lock *locks,
                                 lk_result *result);
lk_status lki_compose_set_atomic(lk_db *db, const lk_item *items, size_t item_count, lk_lock *locks,
                                 size_t lock_count, lk_conflict *conflict);

#endif
