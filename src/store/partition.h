/* SPDX-License-Identifier: MIT
 *
 * Partitions: all cells of one pk, in the order of their sk.
 */
#ifndef LKI_STORE_PARTITION_H
#define LKI_STORE_PARTITION_H

#include "store/hooks.h"
#include "store/index.h"
#include "store/store.h"

enum { LKI_WALK_RUN = 128 };

/* The cells of a partition in order: those of its index, and between them those that the hooks have. */
typedef struct lki_partition_walk {
    lki_index_walk index;
    /* Where there is a queue: */
    lki_hooked_walk hooked;
    lki_cell *next_hooked; /* NULL: none */
    lki_cell *indexed[LKI_WALK_RUN];
    size_t indexed_at, indexed_count;
} lki_partition_walk;

/* As lki_index_walk_begin and _next. `from` stays the caller's. Caller: in a section, after the snapshot was taken. */
void lki_partition_walk_begin(lki_partition_walk *walk, lki_store *store, lki_partition *partition,
                              uint64_t snapshot, const lk_bytes *from, bool strict, bool reverse);
size_t lki_partition_walk_next(lki_partition_walk *walk, lki_cell **cells, size_t room);

#endif
