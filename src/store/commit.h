/* SPDX-License-Identifier: MIT
 *
 * Several keys in one step, for the store's own calls and for pushes and acknowledgements.
 */
#ifndef LKI_STORE_COMMIT_H
#define LKI_STORE_COMMIT_H

#include "base/pressure.h"
#include "store/writes.h"

/* Caller: lki_memory_is_bounded before, outside of its section. */
lk_status lki_store_commit(lki_store *store, lki_thread *thread, const lki_writes *writes,
                           lk_lock *locks, size_t lock_count, lk_conflict *conflict);

#endif
