/* SPDX-License-Identifier: MIT
 *
 * Whole queues: statistics, purge, close, descriptor; and the state of single jobs.
 */
#ifndef LKI_QUEUE_MANAGE_H
#define LKI_QUEUE_MANAGE_H

#include "store/store.h"

/* Describes the job of each key; zeroed if there is no job. Caller: in a section. */
void lki_queue_inspect(lki_store *store, lki_thread *thread, const lk_key *keys, size_t count,
                       lk_job *jobs);
lk_status lki_queue_stats(lki_store *store, lki_thread *thread, lk_bytes pk,
                          lk_queue_statistics *stats);
lk_status lki_queue_purge(lki_store *store, lki_thread *thread, lk_bytes pk, size_t *purged);
lk_status lki_queue_close(lki_store *store, lki_thread *thread, lk_bytes pk);
lk_status lki_queue_fd(lki_store *store, lki_thread *thread, lk_bytes pk, int *fd);

#endif
