/* SPDX-License-Identifier: MIT
 *
 * What some databases lack, put together from other operations; but only where that is exactly what
 * the contract says: a snapshot cannot be made of single reads. Called by the public calls, which
 * have checked the arguments.
 */
#ifndef LKI_API_COMPOSE_H
#define LKI_API_COMPOSE_H

#include "adapter/handle.h"

/* For an adapter without get_into: what a get finds. */
LKI_COLD lk_status lki_compose_get_into(lk_db *db, const lk_key *key, void *buffer, size_t capacity,
                                        size_t *size);
/* For an adapter without get_locked: each lock is read before all items. */
LKI_COLD lk_status lki_compose_get_locked(lk_db *db, const lk_key *keys, size_t count,
                                          lk_lock *locks, lk_result *result);
/* For an adapter without set_atomic: a commit of puts. */
LKI_COLD lk_status lki_compose_set_atomic(lk_db *db, const lk_item *items, size_t item_count,
                                          lk_lock *locks, size_t lock_count, lk_conflict *conflict);
/* For an adapter without count: what a query finds. */
LKI_COLD lk_status lki_compose_count(lk_db *db, const lk_query *query, size_t *count);

/* For an adapter with locks, and without LK_HAS_CONDITIONS: commits under the locks of the keys.
 * `value` may be NULL. */
LKI_COLD lk_status lki_compose_commit(lk_db *db, const lk_write *writes, size_t write_count,
                                      lk_lock *locks, size_t lock_count, lk_conflict *conflict);
LKI_COLD lk_status lki_compose_put_if(lk_db *db, const lk_item *item, lk_condition condition,
                                      lk_bytes expected);
LKI_COLD lk_status lki_compose_touch(lk_db *db, const lk_key *key, int64_t expires_at_ms);
LKI_COLD lk_status lki_compose_add(lk_db *db, const lk_key *key, int64_t delta,
                                   int64_t expires_at_ms, int64_t *value);

#endif
