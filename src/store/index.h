/* SPDX-License-Identifier: MIT
 *
 * The ordered index of a partition: its cells by sk. It holds cells, not values: replacing a value
 * does not touch it.
 *
 * It is a B+tree of immutable leaves. One thread writes at a time (the caller holds the partition's
 * latch); readers take no latch and never wait. A cell is in the index from before its first record
 * can be seen until no snapshot can need it.
 */
#ifndef LKI_STORE_INDEX_H
#define LKI_STORE_INDEX_H

#include "base/reclaim.h"
#include "store/cell.h"

typedef struct lki_index {
    _Atomic(uintptr_t) root; /* [P4] LKI_EMPTY, the only cell, or a node */
    size_t count;            /* [latch] cells */
} lki_index;

/* Outcome of an insertion. */
typedef enum lki_index_found {
    LKI_INDEX_ADDED,
    LKI_INDEX_EXISTS,
    LKI_INDEX_NO_MEMORY
} lki_index_found;

/* Inserts `cell` by its sk. If a cell with this sk is there: it is replaced if `replace` says so
 * (ADDED), else *existing receives it (EXISTS) and nothing changes. Allocates everything, and
 * reserves room for what it retires, before the first visible store: NO_MEMORY leaves the index as
 * it was. Caller: holds the latch, is in a write section. */
lki_index_found lki_index_insert_latched(lki_index *index, lki_thread *thread, lki_cell *cell,
                                         bool (*replace)(const lki_cell *existing),
                                         lki_cell **existing);

/* Removes `cell`, if the entry of its sk is this cell. True: it is not in the index; false: no
 * memory, nothing changed, may be tried again. Nodes that become empty or small are unlinked or
 * merged, so the index shrinks with its cells, down to EMPTY. Caller: holds the latch, is in a
 * write section. */
bool lki_index_remove_latched(lki_index *index, lki_thread *thread, lki_cell *cell);

/* Frees all nodes at once, but no cells; no other thread uses the index. */
void lki_index_destroy(lki_index *index, const lki_allocator *allocator);

/* The dispose function of LKI_NODE. */
bool lki_index_dispose(lki_thread *thread, void *node);

/* An ordered walk inside one section: a stack of (node, slot), the leaf last. The caller keeps it
 * on its own stack. */
enum { LKI_INDEX_DEPTH = 16 };
typedef struct lki_index_walk {
    lki_cell *only; /* the index had this cell only */
    void *node[LKI_INDEX_DEPTH];
    uint32_t slot[LKI_INDEX_DEPTH];
    uint32_t count[LKI_INDEX_DEPTH];
    unsigned depth;
    bool reverse;
} lki_index_walk;

/* Starts a walk at the first cell, in its direction, whose sk is >= `from` (ascending) or < `from`
 * (descending). `from` NULL: at the very end of that direction. `strict` (ascending only): >
 * instead of >=. Caller: in a section. */
void lki_index_walk_begin(lki_index_walk *walk, const lki_index *index, const lk_bytes *from,
                          bool strict, bool reverse);

/* The next cells, up to `room`, in order; fewer only at the end of the index, then 0. A cell that
 * was in the index when the walk began, and still is when its leaf is reached, is returned once; no
 * cell is returned twice. Prefetches the first line of the cells that it returns. */
size_t lki_index_walk_next(lki_index_walk *walk, lki_cell **cells, size_t room);

/* For checks at level 2 and for statistics: verifies the invariants of the whole tree. Returns the
 * number of cells; SIZE_MAX: an invariant is broken. nodes and bytes (of the nodes, without cells)
 * may be NULL. Caller: holds the latch. */
size_t lki_index_check(const lki_index *index, size_t *nodes, size_t *bytes);

#endif
