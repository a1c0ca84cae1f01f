/* SPDX-License-Identifier: MIT
 *
 * The outcome of a write over what it finds: does it happen, and which item results?
 */
#ifndef LKI_STORE_OUTCOME_H
#define LKI_STORE_OUTCOME_H

#include "base/number.h"
#include "store/store.h"

typedef struct lki_outcome {
    const lk_item *item; /* the resulting item, or the one to delete; its key is not used */
    lk_item made;        /* made by a touch or an add; points into the record that was found */
    unsigned char sum[LKI_NUMBER_SIZE];
    bool kept; /* the item keeps the expiry that it had */
} lki_outcome;

/* Bytes of an item in a record. */
LKI_INLINE size_t
lki_item_payload(const lk_item *item)
{
    return item->data.size + (item->expires_at_ms != 0 ? sizeof item->expires_at_ms : 0);
}

/* The outcome of a put, a delete, a touch or an add over `found` (NULL: nothing). LK_EXISTS,
 * LK_NOT_FOUND, LK_RACE: its condition does not hold, or there is nothing to touch. LK_INVALID,
 * LK_TOO_BIG: the item is no number, or the sum would be none. Caller: in a section. */
lk_status lki_write_outcome(const lki_store *store, const lk_write *write, const lki_record *found,
                            lki_time *now, lki_outcome *outcome);

#endif
