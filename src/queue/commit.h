/* SPDX-License-Identifier: MIT
 *
 * Pushes and acknowledgements as steps of a commit, and what is made of that.
 */
#ifndef LKI_QUEUE_COMMIT_H
#define LKI_QUEUE_COMMIT_H

#include "queue/job.h"

/* lki_store_commit, where some writes are pushes or acknowledgements. */
lk_status lki_queue_commit(lki_store *store, lki_thread *thread, const lk_write *writes,
                           size_t count, lk_lock *locks, size_t lock_count, lk_conflict *conflict);

/* Moves a job to another queue in one step. LK_OK; LK_LOST: its state has changed. */
lk_status lki_job_move(lki_store *store, lki_thread *thread, const lki_found_job *job,
                       lk_bytes to_pk);
/* Takes a job out that is in this state, whatever it is. LK_OK; LK_LOST. Caller: in a write
 * section. */
lk_status lki_job_remove(lki_store *store, lki_thread *thread, lki_queue *queue,
                         const lki_found_job *job);
/* A push of jobs of which some have an sk, as one commit. */
lk_status lki_push_commit(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                          const lk_push_options *options, lk_result *pushed);

#endif
