/* SPDX-License-Identifier: MIT
 *
 * What a write makes of what it finds: does it happen, and which item is there then.
 */
#ifndef LKI_STORE_OUTCOME_H
#define LKI_STORE_OUTCOME_H

#include "base/number.h"
#include "store/store.h"

typedef struct lki_outcome {
    const lk_item *item; /* that is there then, or goes; its key is not looked at */
    lk_item made;        /* by a touch, or an add; borrows from the record that was found */
    unsigned char sum[LKI_NUMBER_SIZE];
    bool kept; /* its expiry, of the item that was there */
} lki_outcome;

/* Bytes that an item takes in a record. */
LKI_INLINE size_t
lki_item_payload(const lk_item *item)
{
    return item->data.size + (item->expires_at_ms != 0 ? sizeof item->expires_at_ms : 0);
}

/* A put, a delete, a touch or an add over `found` (NULL: nothing). LK_EXISTS, LK_NOT_FOUND,
 * LK_RACE: its condition does not hold, or there is nothing to touch. LK_INVALID, LK_TOO_BIG: what
 * is there is no number, or the sum would be none. Caller: in a section. */
lk_status lki_write_outcome(const lki_store *store, const lk_write *write, const lki_record *found,
                            lki_time *now, lki_outcome *outcome);

#endif
