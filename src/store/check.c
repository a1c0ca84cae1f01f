/* SPDX-License-Identifier: MIT
 *
 * See check.h. Each invariant is named where it is checked; it is stated in the file that keeps
 * it. All accesses are relaxed: no other thread is there.
 */
#include "store/check.h"

#include "store/head.h"
#include "store/hooks.h"
#include "store/partition.h"
#include "store/shard.h"

/* A walk so far. */
typedef struct check {
    lki_store *store;
    size_t cells; /* of the indices, without dead ones */
} check;

/* The record on the head of a cell of the set. The records before it may have been freed. */
static void
head_check(const lki_store *store, lki_cell *cell)
{
    uintptr_t head = lki_load_relaxed(&cell->item);
    lki_record *record = (lki_record *)head;
    if (head == LKI_EMPTY)
        return;
    unsigned flags = lki_load_relaxed(lki_cell_flags(cell));
    bool inlined = (record->flags & LKI_FLAG_INLINE) != 0;
    LK_ASSERT(record->kind <= LKI_LOCK);
    LK_ASSERT(inlined == (record == lki_cell_record(cell)));
    LK_ASSERT(!inlined || (flags & LKI_CELL_ROOM) == 0); /* I-record3 */
    LK_ASSERT(!inlined || lki_record_payload(record) <= lki_room_of(flags));
    if (!inlined && record->kind == LKI_VALUE && !lki_record_is_job(record))
        LK_ASSERT(record->size <= store->max_data_size);
    uint64_t word = lki_load_relaxed(&record->word);
    LK_ASSERT(!lki_word_is_stamp(word) || word <= lki_load_relaxed(&store->clock));
    (void)store;
    (void)flags;
    (void)inlined;
    (void)word;
}

/* A cell of an index: dead, and about to leave it, or the one of its key in the set. */
static void
cell_check(check *c, const lki_partition *partition, lki_cell *cell)
{
    lk_key key = {{cell->bytes, cell->pk_size}, {lki_cell_sk(cell), cell->sk_size}};
    lki_hashed hashed = lki_hashed_of(&c->store->secret, &key);
    LK_ASSERT(cell->pk_size == partition->pk_size);
    LK_ASSERT(memcmp(cell->bytes, partition->pk, cell->pk_size) == 0);
    LK_ASSERT(cell->hash == lki_half_of(hashed.hash));
    if (lki_cell_is_dead(cell))
        return;
    LK_ASSERT(lki_shard_find(c->store, &hashed) == cell); /* I-cell2 */
    LK_ASSERT(!lki_cell_is_in_queue(cell) && !lki_cell_is_in_slab(cell));
    c->cells++;
    head_check(c->store, cell);
    (void)partition;
}

static void
partition_check(void *context, void *object)
{
    check *c = context;
    const lki_partition *partition = object;
    lk_key key = {.pk = {partition->pk, partition->pk_size}};
    lki_cell *cells[LKI_WALK_RUN];
    LK_ASSERT(!partition->dead && lki_partition_find(c->store, key.pk) == partition);
    LK_ASSERT(lki_index_check(&partition->index, NULL, NULL) == partition->index.count);
    lki_index_walk walk;
    lki_index_walk_begin(&walk, &partition->index, NULL, false, false);
    size_t count = lki_index_walk_next(&walk, cells, LKI_WALK_RUN);
    for (; count != 0; count = lki_index_walk_next(&walk, cells, LKI_WALK_RUN))
        for (size_t i = 0; i < count; i++)
            cell_check(c, partition, cells[i]);
}

void
lki_store_check(lki_store *store)
{
    check c = {.store = store};
    if (LKI_CHECK < 2 || !lki_set_is_open(&store->cells) || !lki_set_is_open(&store->partitions))
        return;
    LK_ASSERT(lki_set_check(&store->partitions) != SIZE_MAX);
    LK_ASSERT(lki_set_check(&store->cells) == lki_shard_count(store));
    lki_set_each(&store->partitions, partition_check, &c);
    LK_ASSERT(c.cells == lki_shard_count(store)); /* I-cell1 */
    if (store->hooks->check != NULL)
        store->hooks->check(store);
}
