/* SPDX-License-Identifier: MIT
 *
 * Cells of jobs that lie in slots (job_cell.h).
 */
#include "queue/job_cell.h"

#include "store/record.h"

static void
cell_fill_in_queue(lki_cell *cell, const lk_item *item, unsigned flags)
{
    LK_ASSERT(item->key.pk.size != 0 && item->key.pk.size <= UINT16_MAX);
    *cell = (lki_cell){.pk_size = (uint16_t)item->key.pk.size, .sk_size = LK_ULID_SIZE};
    lki_cell_set_flags(cell, LKI_CELL_QUEUE | flags, lki_cell_room_in_queue(item));
    lki_copy(cell->bytes, item->key.pk.data, item->key.pk.size);
}

void
lki_cell_make_in_slab(lki_cell *cell, const lk_item *item)
{
    cell_fill_in_queue(cell, item, LKI_CELL_SLAB);
    lki_record *record = lki_cell_record(cell);
    record->flags = LKI_FLAG_INLINE;
    lki_record_fill(record, item, NULL);
    LK_ASSERT(lki_record_payload(record) <= lki_cell_room(cell));
    lki_store_relaxed(&cell->item, (uintptr_t)record); /* P11: published with the slot's word */
}

lki_cell *
lki_cell_new_in_queue(lki_thread *thread, const lk_item *item)
{
    lki_cell *cell = lki_chunk_alloc(thread, lki_cell_size_in_queue(item));
    if (cell == NULL)
        return NULL;
    cell_fill_in_queue(cell, item, LKI_CELL_ROOM);
    return cell;
}
