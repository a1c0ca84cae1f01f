/* SPDX-License-Identifier: MIT
 *
 * Partitions: found, made, buried; cells enter and leave; walks.
 *
 * If two threads make a cell of one key, the index decides which one lives, under the partition's
 * latch: a dead cell that is still in it is replaced.
 *
 * A partition is removed from its set when its index is empty and it has no queue. A thread that
 * found it before sees, once it has the latch, that it is dead; it waits until it is removed, and
 * searches again.
 *
 * Progress    Finding and walking never wait; the rest takes latches, or tries them.
 * Ordering    P13: the pointer to the queue is loaded with acquire.
 */
#include "store/partition.h"

#include <string.h>

#include "store/hooks.h"
#include "store/shard.h"

static bool
partition_is(const void *object, const lki_hashed *hashed)
{
    const lki_partition *partition = object;
    const lk_bytes *pk = &hashed->key->pk;
    return partition->pk_size == pk->size && lki_bytes_equal(partition->pk, pk->data, pk->size);
}

/* ---- found, made, buried ---- */

static LKI_APART uint64_t
pk_hash(const lki_store *store, lk_bytes pk)
{
    return lki_hash_bytes(&store->secret, pk);
}

LKI_INLINE lki_partition *
partition_look(lki_store *store, lk_bytes pk, uint64_t hash)
{
    lk_key key = {.pk = pk};
    lki_hashed hashed = {&key, hash, lki_key_sizes(&key), false};
    return lki_set_get(&store->partitions, &hashed);
}

lki_partition *
lki_partition_find(lki_store *store, lk_bytes pk)
{
    return partition_look(store, pk, pk_hash(store, pk));
}

static LKI_APART lki_partition *
partition_make(lki_store *store, lki_thread *thread, lk_bytes pk, uint64_t hash)
{
    lki_partition *made = lki_alloc_zeroed(&thread->allocator, sizeof *made + pk.size);
    if (made == NULL)
        return NULL;
    made->hash = lki_half_of(hash);
    made->pk_size = (uint16_t)pk.size;
    memcpy(made->pk, pk.data, pk.size);
    lki_latch *latch = lki_shard_latch(store, hash);
    lki_latch_take(latch, thread);
    lki_partition *partition = partition_look(store, pk, hash);
    if (partition == NULL &&
        lki_set_add_latched(&store->partitions, thread, made, hash) == LKI_SET_ADDED) {
        partition = made;
        made = NULL;
        lki_count(thread, LKI_PARTITIONS_ADDED, 1);
    }
    lki_latch_drop(latch);
    lki_free(&thread->allocator, made, sizeof *made + pk.size);
    return partition;
}

lki_partition *
lki_partition_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk)
{
    uint64_t hash = pk_hash(store, pk);
    lki_partition *partition = partition_look(store, pk, hash);
    return LKI_LIKELY(partition != NULL) ? partition : partition_make(store, thread, pk, hash);
}

bool
lki_partition_dispose(lki_thread *thread, void *object)
{
    lki_partition *partition = object;
    lki_free(&thread->allocator, partition, sizeof *partition + partition->pk_size);
    return true;
}

bool
lki_partition_bury_latched(lki_store *store, lki_thread *thread, lki_partition *partition)
{
    if (partition->dead || partition->index.count != 0 ||
        lki_load_acquire(&partition->queue) != NULL) /* P13 */
        return false;
    LK_ASSERT(lki_is_reserved(thread, 4));
    LK_ASSERT(lki_latch_is_held(lki_shard_latch(store, lki_half_hash(partition->hash))));
    LK_ASSERT(lki_latch_is_held(lki_partition_latch(store, partition)));
    partition->dead = true;
    lki_set_remove_latched(&store->partitions, thread, partition);
    lki_retire(thread, LKI_PARTITION, partition, sizeof *partition + partition->pk_size);
    lki_count(thread, LKI_PARTITIONS_REMOVED, 1);
    return true;
}

void
lki_partition_bury_if_empty(lki_store *store, lki_thread *thread, lki_partition *partition)
{
    lki_latch *outer = lki_shard_latch(store, lki_half_hash(partition->hash));
    lki_latch *inner = lki_partition_latch(store, partition);
    lki_latch_take(outer, thread);
    lki_latch_take(inner, thread);
    lki_partition_bury_latched(store, thread, partition);
    lki_latch_drop(inner);
    lki_latch_drop(outer);
}

/* ---- cells ---- */

lk_status
lki_partition_enter(lki_store *store, lki_thread *thread, lki_cell **cell)
{
    lk_bytes pk = {(*cell)->bytes, (*cell)->pk_size};
    LK_ASSERT(lki_is_writing(thread) && lki_load_relaxed(&(*cell)->item) == LKI_EMPTY);
    LK_ASSERT(!lki_cell_is_in_queue(*cell));
    lki_partition *partition = lki_partition_find_or_create(store, thread, pk);
    if (partition == NULL)
        return LK_NO_MEMORY;
    lki_cell *existing = NULL;
    lki_index_found found = LKI_INDEX_NO_MEMORY;
    lki_latch *latch = lki_partition_latch(store, partition);
    lki_latch_take(latch, thread);
    bool dead = partition->dead;
    if (!dead)
        found =
            lki_index_insert_latched(&partition->index, thread, *cell, lki_cell_is_dead, &existing);
    lki_latch_drop(latch);
    if (LKI_LIKELY(found == LKI_INDEX_ADDED))
        return LK_OK;
    if (dead) {
        lki_shard_wait(store, thread, lki_half_hash(partition->hash));
        return LK_RACE;
    }
    if (found == LKI_INDEX_EXISTS) {
        lki_free(&thread->allocator, *cell, lki_cell_size(*cell));
        *cell = existing;
        return LK_OK;
    }
    lki_partition_bury_if_empty(store, thread, partition);
    return LK_NO_MEMORY;
}

bool
lki_partition_leave(lki_store *store, lki_thread *thread, lki_cell *cell)
{
    /* The partition is found by its key, never by a pointer in the cell: if an earlier attempt
     * failed, a new cell of the key may have taken this one's place and died, and the partition
     * with it. */
    lk_bytes pk = {cell->bytes, cell->pk_size};
    uint64_t hash = pk_hash(store, pk);
    LK_ASSERT(lki_is_writing(thread) && lki_load_relaxed(&cell->item) == LKI_DEAD);
    LK_ASSERT(!lki_cell_is_in_queue(cell));
    lki_latch *outer = lki_shard_latch(store, hash);
    if (!lki_latch_try(outer))
        return false;
    lki_partition *partition = partition_look(store, pk, hash);
    bool left = partition == NULL;
    lki_latch *inner = partition != NULL ? lki_partition_latch(store, partition) : NULL;
    if (inner != NULL && lki_latch_try(inner)) {
        left = lki_index_remove_latched(&partition->index, thread, cell);
        if (LKI_UNLIKELY(partition->index.count == 0))
            lki_partition_bury_latched(store, thread, partition);
        lki_latch_drop(inner);
    }
    lki_latch_drop(outer);
    return left;
}

/* ---- walks ---- */

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
            w->indexed_at++; /* of two cells with one key the job's counts */
        if (order <= 0)
            w->next_hooked = w->hooked.store->hooks->walk(&w->hooked);
        cells[count++] = order <= 0 ? hooked : indexed;
    }
    return count;
}

/* ---- open and close ---- */

bool
lki_partitions_open(lki_store *store)
{
    for (size_t i = 0; i < LKI_PARTITION_LATCHES; i++)
        lki_latch_init(&store->partition_latch[i], LKI_RANK_PARTITION);
    return lki_set_open(&store->partitions, &store->domain.allocator, partition_is,
                        store->shard_bits, 0);
}

static void
partition_destroy(void *context, void *object)
{
    const lki_allocator *allocator = context;
    lki_partition *partition = object;
    lki_index_destroy(&partition->index, allocator);
    lki_free(allocator, partition, sizeof *partition + partition->pk_size);
}

void
lki_partitions_close(lki_store *store)
{
    if (lki_set_is_open(&store->partitions))
        lki_set_each(&store->partitions, partition_destroy, &store->domain.allocator);
    lki_set_close(&store->partitions);
    for (size_t i = 0; i < LKI_PARTITION_LATCHES; i++)
        lki_latch_destroy(&store->partition_latch[i]);
}
