/* SPDX-License-Identifier: MIT
 *
 * Pushes: new jobs get their places, or their keys, and become visible. Statuses: latchkey.h.
 */
#ifndef LKI_QUEUE_PUSH_H
#define LKI_QUEUE_PUSH_H

#include "store/store.h"

lk_status lki_queue_push(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                         const lk_push_options *options, lk_result *pushed);

#endif
