/* SPDX-License-Identifier: MIT
 *
 * Jobs come.
 */
#ifndef LKI_QUEUE_PUSH_H
#define LKI_QUEUE_PUSH_H

#include "store/store.h"

lk_status lki_queue_push(lki_store *store, lki_thread *thread, const lk_item *jobs, size_t count,
                         const lk_push_options *options, lk_result *pushed);

#endif
