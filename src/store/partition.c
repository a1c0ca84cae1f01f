/* SPDX-License-Identifier: MIT
 *
 * Walks over a partition: the cells of its index and those that the hooks have, as one order.
 *
 * Progress    a walk never waits.
 */
#include "store/partition.h"

static lk_bytes
cell_sk(const lki_cell *cell)
{
    return (lk_bytes){lki_cell_sk(cell), cell->sk_size};
}

void
lki_partition_walk_begin(lki_partition_walk *w, lki_store *store, lki_partition *partition,
                         uint64_t snapshot, const lk_bytes *from, bool strict, bool reverse)
{
    lki_queue *queue = lki_load_acquire(&partition->queue); /* P13 */
    lki_index_walk_begin(&w->index, &partition->index, from, strict, reverse);
    w->hooked.queue = queue;
    if (LKI_LIKELY(queue == NULL))
        return;
    w->hooked = (lki_hooked_walk){.store = store,
                                  .queue = queue,
                                  .snapshot = snapshot,
                                  .from = from != NULL ? *from : (lk_bytes){NULL, 0},
                                  .bounded = from != NULL,
                                  .strict = strict,
                                  .reverse = reverse};
    w->next_hooked = store->hooks->walk(&w->hooked);
    w->indexed_at = w->indexed_count = 0;
}

static lki_cell *
indexed_peek(lki_partition_walk *w)
{
    if (w->indexed_at == w->indexed_count) {
        w->indexed_count = lki_index_walk_next(&w->index, w->indexed, LKI_WALK_RUN);
        w->indexed_at = 0;
    }
    return w->indexed_count == 0 ? NULL : w->indexed[w->indexed_at];
}

size_t
lki_partition_walk_next(lki_partition_walk *w, lki_cell **cells, size_t room)
{
    if (LKI_LIKELY(w->hooked.queue == NULL))
        return lki_index_walk_next(&w->index, cells, room);
    size_t count = 0;
    while (count < room) {
        lki_cell *indexed = indexed_peek(w), *hooked = w->next_hooked;
        if (indexed == NULL && hooked == NULL)
            break;
        int order = indexed == NULL  ? -1
                    : hooked == NULL ? 1
                                     : lk_bytes_compare(cell_sk(hooked), cell_sk(indexed));
        if (w->hooked.reverse && indexed != NULL && hooked != NULL)
            order = -order;
        if (order >= 0)
            w->indexed_at++; /* of two with one key the job's is the one that was asked for */
        if (order <= 0)
            w->next_hooked = w->hooked.store->hooks->walk(&w->hooked);
        cells[count++] = order <= 0 ? hooked : indexed;
    }
    return count;
}
