/* SPDX-License-Identifier: MIT
 *
 * Cells of jobs without a key of their own, which lie in a slot: in neither the set nor the index
 * of the store.
 */
#ifndef LKI_QUEUE_JOB_CELL_H
#define LKI_QUEUE_JOB_CELL_H

#include "base/ulid.h"
#include "store/store.h"

/* Cells that enter neither the set nor the index; the sk, of the size of an ULID, is left to be
 * filled in. In memory of the caller's, of at least that size, with the record for the item inside;
 * or apart, with room for a record: NULL: no memory. */
LKI_INLINE size_t
lki_cell_room_in_queue(const lk_item *item)
{
    size_t payload = item->data.size + (item->expires_at_ms != 0 ? 8 : 0);
    return payload <= LKI_INLINE_MAX ? (payload + 7) & ~(size_t)7 : 0;
}
LKI_INLINE size_t
lki_cell_size_in_queue(const lk_item *item)
{
    return lki_cell_size_of(item->key.pk.size, LK_ULID_SIZE, lki_cell_room_in_queue(item));
}
void lki_cell_make_in_slab(lki_cell *cell, const lk_item *item);
lki_cell *lki_cell_new_in_queue(lki_thread *thread, const lk_item *item);

#endif
