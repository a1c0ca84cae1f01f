/* SPDX-License-Identifier: MIT
 *
 * Commits: several keys in one step, for the store's own calls and for steps of queues.
 */
#ifndef LKI_STORE_COMMIT_H
#define LKI_STORE_COMMIT_H

#include "base/pressure.h"
#include "store/writes.h"

/* Runs a commit; statuses as of lk_commit. Caller: has called lki_memory_is_bounded, outside of its
 * section. */
lk_status lki_store_commit(lki_store *store, lki_thread *thread, const lki_writes *writes,
                           lk_lock *locks, size_t lock_count, lk_conflict *conflict);

#endif
