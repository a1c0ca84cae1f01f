/* SPDX-License-Identifier: MIT
 *
 * Partitions: all cells of one pk, in the order of their sk. A partition is there as long as a cell
 * is in its index, or it has a queue.
 *
 * Its latch is one of 256, by hash. Who holds a partition's latch may write to its index and to its
 * pointer to the queue, if it is not dead.
 */
#ifndef LKI_STORE_PARTITION_H
#define LKI_STORE_PARTITION_H

#include "store/hooks.h"
#include "store/index.h"
#include "store/store.h"

struct lki_partition {
    uint32_t hash;    /* [const] half of the hash of pk */
    uint16_t pk_size; /* [const] */
    bool dead;        /* [latch] of the partition: out of use, on its way out of the set */
    lki_index index;
    _Atomic(lki_queue *)
        queue;          /* [P13] of its queue; NULL: none. Written under the partition's latch */
    unsigned char pk[]; /* [const] */
};

LKI_INLINE lki_latch *
lki_partition_latch(lki_store *store, const lki_partition *partition)
{
    return &store->partition_latch[partition->hash % LKI_PARTITION_LATCHES];
}

/* NULL: there is none. Caller: in a section. */
lki_partition *lki_partition_find(lki_store *store, lk_bytes pk);
/* Made where there is none. NULL: no memory. Caller: in a write section. */
lki_partition *lki_partition_find_or_create(lki_store *store, lki_thread *thread, lk_bytes pk);
/* Takes a partition out if nothing is in it. Caller: in a write section; of the first: holds the
 * latch of the shard of the pk, then that of the partition. */
bool lki_partition_bury_latched(lki_store *store, lki_thread *thread, lki_partition *partition);
void lki_partition_bury_if_empty(lki_store *store, lki_thread *thread, lki_partition *partition);
bool lki_partition_dispose(lki_thread *thread, void *object);

/* Puts a new cell into the index. LK_OK: *cell is what is there for its key now, perhaps another
 * one; then the new one is freed. LK_RACE: the partition died, again; LK_NO_MEMORY. Caller: in a
 * write section. */
lk_status lki_partition_enter(lki_store *store, lki_thread *thread, lki_cell **cell);
/* Takes a dead cell out, and with the last one the partition. False: a latch was held, or no
 * memory. Caller: as above. */
bool lki_partition_leave(lki_store *store, lki_thread *thread, lki_cell *cell);

/* The cells of a partition in order: those of its index, and between them those that the hooks
 * have. */
enum { LKI_WALK_RUN = 128 };
typedef struct lki_partition_walk {
    lki_index_walk index;
    lki_hooked_walk hooked; /* .queue NULL: the index alone, and nothing else is set */
    lki_cell *next_hooked;  /* NULL: none */
    lki_cell *indexed[LKI_WALK_RUN];
    size_t indexed_at, indexed_count;
} lki_partition_walk;
/* As lki_index_walk_begin and _next. `from` stays the caller's. Caller: in a section, after the
 * snapshot was taken. */
void lki_partition_walk_begin(lki_partition_walk *walk, lki_store *store, lki_partition *partition,
                              uint64_t snapshot, const lk_bytes *from, bool strict, bool reverse);
size_t lki_partition_walk_next(lki_partition_walk *walk, lki_cell **cells, size_t room);

/* Open: false: no memory. Close frees all partitions with their indices; no other thread is
 * there. */
bool lki_partitions_open(lki_store *store);
void lki_partitions_close(lki_store *store);
/* All of them, as they have to be. Caller: nobody else is there; nothing that was retired has been
 * freed since. */
void lki_partitions_check(lki_store *store);

#endif
