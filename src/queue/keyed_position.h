/* SPDX-License-Identifier: MIT
 *
 * The position of the scan for expired jobs with keys: how far it has come in the partition's
 * index.
 *
 * The scan is done in portions, by any thread. A position is immutable; the next portion replaces
 * it as a whole (P13).
 */
#ifndef LKI_QUEUE_KEYED_POSITION_H
#define LKI_QUEUE_KEYED_POSITION_H

#include "base/reclaim.h"
#include "store/store.h"

typedef struct lki_keyed_position {
    lki_object object;
    uint64_t begun;  /* [const] the mark of lki_next_due_begin at the scan's start */
    int64_t next_ms; /* [const] the least expiry found so far */
    uint32_t size;   /* [const] of the last sk that was scanned */
    unsigned char sk[];
} lki_keyed_position;
/* NULL: no memory. */
lki_keyed_position *lki_keyed_position_new(lki_store *store, const lki_cell *at, uint64_t begun,
                                           int64_t next_ms);
size_t lki_keyed_position_size(const lki_keyed_position *position);
void lki_keyed_position_free(lki_store *store, lki_keyed_position *position); /* NULL is allowed */

#endif
