/* SPDX-License-Identifier: MIT
 *
 * Partitions: a partition is all cells of one pk, in the order of their sk. It exists as long as a
 * cell is in its index, or it has a queue.
 *
 * Its latch is one of 256, chosen by hash. The holder may change the index and the pointer to the
 * queue, if the partition is not dead.
 */
#ifndef LKI_STORE_PARTITION_H
#define LKI_STORE_PARTITION_H

#include "store/hooks.h"
#include "store/index.h"
#include "store/store.h"

struct lki_partition {
    uint32_t hash;    /* [const] half of the hash of pk */
    uint16_t pk_size; /* [const] */
    bool dead;        /* [latch] of the partition: it is being removed from the set */
    lki_index index;
    _Atomic(lki_queue *) queue; /* [P13] NULL: none. Written under the partition's latch */
    unsigned char pk[];         /* [const] */
};

LKI_INLINE lki_latch *
lki_partition_latch(lki_store *store, const lki_partition *partition)
{
    return &store->partition_latch[partition->hash % LKI_PARTITION_LATCHES];
}

/* Finds a partition. NULL: there is none. Caller: in a section. */
lki_partition *lki_partition_find(lki_store *store, lk_bytes pk);
/* Finds a partition, or makes it. NULL: no memory. Caller: in a write section. */
lki_partition *lki_partition_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk);
/* Removes a partition if it is empty. Caller: in a write section; of the first: holds the latch of
 * the shard of the pk, then that of the partition. */
bool lki_partition_bury_latched(lki_store *store, lki_thread *thread, lki_partition *partition);
void lki_partition_bury_if_empty(lki_store *store, lki_thread *thread, lki_partition *partition);
bool lki_partition_dispose(lki_thread *thread, void *object);

/* Inserts a new cell into the index. LK_OK: *cell is the cell of its key now; if that is another
 * one, the new one was freed. LK_RACE: the partition died, try again; LK_NO_MEMORY. Caller: in a
 * write section. */
lk_status lki_partition_enter(lki_store *store, lki_thread *thread, lki_cell **cell);
/* Removes a dead cell from the index, and the partition with its last cell. False: a latch was
 * held, or no memory. Caller: as above. */
bool lki_partition_leave(lki_store *store, lki_thread *thread, lki_cell *cell);

/* A walk over the cells of a partition in order: those of its index merged with those of the
 * hooks. */
enum { LKI_WALK_RUN = 128 };
typedef struct lki_partition_walk {
    lki_index_walk index;
    lki_hooked_walk hooked; /* .queue NULL: the index alone; the other fields are not set */
    lki_cell *next_hooked;  /* NULL: none */
    lki_cell *indexed[LKI_WALK_RUN];
    size_t indexed_at, indexed_count;
} lki_partition_walk;
/* As lki_index_walk_begin and _next. `from` stays the caller's. Caller: in a section, after the
 * snapshot was taken. */
void lki_partition_walk_begin(lki_partition_walk *walk, lki_store *store, lki_partition *partition,
                              uint64_t snapshot, const lk_bytes *from, bool strict, bool reverse);
size_t lki_partition_walk_next(lki_partition_walk *walk, lki_cell **cells, size_t room);

/* lki_partitions_open: false: no memory. lki_partitions_close frees all partitions with their
 * indices; no other thread uses the store. */
bool lki_partitions_open(lki_store *store);
void lki_partitions_close(lki_store *store);

#endif
