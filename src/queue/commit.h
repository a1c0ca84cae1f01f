/* SPDX-License-Identifier: MIT
 *
 * Pushes, acknowledgements and releases inside a commit, and what is built on that: pushes of jobs
 * with keys, dead letters, removal of a job in any form.
 */
#ifndef LKI_QUEUE_COMMIT_H
#define LKI_QUEUE_COMMIT_H

#include "queue/job.h"

/* lki_store_commit, for writes of which some are pushes, acknowledgements or releases. */
lk_status lki_queue_commit(lki_store *store, lki_thread *thread, const lk_write *writes,
                           size_t count, lk_lock *locks, size_t lock_count, lk_conflict *conflict);

/* Moves a job to another queue in one commit. LK_OK; LK_LOST: its state has changed. */
lk_status lki_job_move(lki_store *store, lki_thread *thread, const lki_found_job *job,
                       lk_bytes to_pk);
/* Removes a job, if it is still in the state that was found. LK_OK; LK_LOST: it is not. Caller: in
 * a write section. */
lk_status lki_job_remove(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job);
/* Pushes jobs of which some have an sk, in one commit. */
lk_status lki_push_commit(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                          const lk_push_options *options, lk_result *pushed);

#endif
