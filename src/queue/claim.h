/* SPDX-License-Identifier: MIT
 *
 * What the holder of a claim does: acknowledge, release, extend. Statuses: latchkey.h.
 */
#ifndef LKI_QUEUE_CLAIM_H
#define LKI_QUEUE_CLAIM_H

#include "store/store.h"

lk_status lki_queue_acknowledge(lki_store *store, lki_thread *thread, const lk_claim *claims,
                                size_t count);
lk_status lki_queue_release(lki_store *store, lki_thread *thread, const lk_claim *claim,
                            int64_t delay_ms);
lk_status lki_queue_extend(lki_store *store, lki_thread *thread, lk_claim *claim,
                           int64_t visibility_ms);

#endif
