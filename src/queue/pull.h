/* SPDX-License-Identifier: MIT
 *
 * Jobs are claimed, and waited for; what a queue's descriptor says.
 */
#ifndef LKI_QUEUE_PULL_H
#define LKI_QUEUE_PULL_H

#include "queue/queue.h"

lk_status lki_queue_pull(lki_store *store, lki_thread *thread, const lk_pull_options *options,
                         lk_result *result);

/* Sets the descriptor to what it has to say. Caller: in a write section. */
void lki_queue_refresh(lki_store *store, lki_thread *thread, lki_queue *queue);
/* The same for all queues that the thread's call has noted. Caller: outside of sections, or in a
 * read pair. */
void lki_queues_refresh(lki_store *store, lki_thread *thread);

#endif
