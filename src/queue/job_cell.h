/* SPDX-License-Identifier: MIT
 *
 * Cells of jobs that lie in slots, that is, of jobs without an sk of their own. They are in neither
 * the set nor the index of the store.
 */
#ifndef LKI_QUEUE_JOB_CELL_H
#define LKI_QUEUE_JOB_CELL_H

#include "base/ulid.h"
#include "store/store.h"

/* Two ways to make one. In memory of the caller's, of at least lki_cell_size_in_queue, with the
 * item's record inside; or allocated apart, with room for a record (NULL: no memory). The sk, of
 * the size of an ULID, is left for the caller to fill in. */
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
