/* SPDX-License-Identifier: MIT
 *
 * The ordered index of a partition: its cells by sk. Membership only, never values: replacing a
 * value never comes here. A B+tree of immutable leaves; one writer at a time (the caller holds the
 * partition's latch), readers take no latch and never wait. A cell is in the index before its first
 * record can be seen, and until no snapshot can need it.
 */
#ifndef LKI_STORE_INDEX_H
#define LKI_STORE_INDEX_H

#include "base/reclaim.h"
#include "store/cell.h"

typedef struct lki_index {
    _Atomic(uintptr_t) root; /* [P4] LKI_EMPTY, the only cell, or a node */
    size_t count;            /* [latch] cells */
} lki_index;

/* What an insertion found. */
typedef enum lki_index_found {
    LKI_INDEX_ADDED,
    LKI_INDEX_EXISTS,
    LKI_INDEX_NO_MEMORY
} lki_index_found;

/* Inserts `cell` under its sk. Where a cell of the same sk stands already: if `replace` says so
 * of it, it is replaced (ADDED), else *existing receives it (EXISTS) and nothing changes.
 * Caller: holds the latch, is in a write section. Allocates everything, and reserves room for
 * what it retires, before the first visible store: NO_MEMORY leaves the index as it was. */
lki_index_found lki_index_insert_latched(lki_index *index, lki_thread *thread, lki_cell *cell,
                                         bool (*replace)(const lki_cell *existing),
                                         lki_cell **existing);

/* Takes out `cell` if the entry of its sk is this very cell. False: no memory, nothing changed
 * (try again later); true: it is not in the index any more. Caller: holds the latch, is in a
 * write section. Nodes that became empty or small are unlinked or merged, so that an index
 * shrinks with its cells, down to EMPTY. */
bool lki_index_remove_latched(lki_index *index, lki_thread *thread, lki_cell *cell);

/* Frees all nodes at once, without looking at cells; no other thread is there. */
void lki_index_destroy(lki_index *index, const lki_allocator *allocator);

/* The dispose function of LKI_NODE. */
bool lki_index_dispose(lki_thread *thread, void *node);

/* An ordered walk inside one section: a stack of (node, slot), the leaf last. The caller keeps
 * it on its own stack. */
enum { LKI_INDEX_DEPTH = 16 };
typedef struct lki_index_walk {
    lki_cell *only; /* the index was this one cell */
    void *node[LKI_INDEX_DEPTH];
    uint32_t slot[LKI_INDEX_DEPTH];
    uint32_t count[LKI_INDEX_DEPTH];
    unsigned depth;
    bool reverse;
} lki_index_walk;

/* Starts at the first cell in the direction of the walk whose sk is >= `from` (ascending) or <
 * `from` (descending); a NULL `from` is the very end of that direction. `strict` (ascending
 * only): > instead of >=. Caller: in a section. */
void lki_index_walk_begin(lki_index_walk *walk, const lki_index *index, const lk_bytes *from,
                          bool strict, bool reverse);

/* The next up to `room` cells, in order; fewer only at the end of the index, 0 when there is no
 * more. Every cell that was in the index when the walk began and still is when its leaf is
 * reached is returned once, and none twice. Prefetches the cells that it returns (first line). */
size_t lki_index_walk_next(lki_index_walk *walk, lki_cell **cells, size_t room);

/* For checks at level 2 and for statistics: walks the whole tree, verifies its invariants;
 * returns the number of cells, or SIZE_MAX if an invariant is broken. nodes and bytes (of the
 * nodes, without cells) may be NULL. Caller: holds the latch. */
size_t lki_index_check(const lki_index *index, size_t *nodes, size_t *bytes);

#endif
