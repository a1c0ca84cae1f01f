/* SPDX-License-Identifier: MIT
 *
 * Pulls: jobs are claimed, and waited for; and what a queue's descriptor shows. Statuses:
 * latchkey.h.
 */
#ifndef LKI_QUEUE_PULL_H
#define LKI_QUEUE_PULL_H

#include "queue/queue.h"

lk_status lki_queue_pull(lki_store *store, lki_thread *thread, const lk_pull_options *options,
                         lk_result *result);

/* Sets a queue's descriptor: readable iff a pull would not be LK_EMPTY. Caller: in a write
 * section. */
void lki_queue_refresh(lki_store *store, lki_thread *thread, lki_queue *queue);
/* The same for all queues whose change the thread remembers. Caller: outside of sections, or in a
 * read pair. */
void lki_queues_refresh(lki_store *store, lki_thread *thread);

#endif
