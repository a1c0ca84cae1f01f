/* SPDX-License-Identifier: MIT
 *
 * Changes of the ordered index: new nodes are built, one store makes them visible, then the
 * replaced nodes are retired. Private to index*.c. The caller of all of these holds the latch and
 * is in a write section.
 */
#ifndef LKI_STORE_INDEX_EDIT_H
#define LKI_STORE_INDEX_EDIT_H

#include "store/index_search.h"

enum { EDIT_NODES = 2 * LKI_INDEX_DEPTH + 4 };
_Static_assert(EDIT_NODES < (int)LKI_BAG_ROOM, "one reservation holds all that an edit retires");

typedef struct path {
    inner *node[LKI_INDEX_DEPTH];
    unsigned slot[LKI_INDEX_DEPTH];
    unsigned depth;
} path;

typedef struct edit {
    lki_index *index;
    lki_thread *thread;
    path path;
    unsigned made_count, gone_count;
    node *made[EDIT_NODES];
    node *gone[EDIT_NODES];
} edit;

/* What replaces `width` slots of an inner node (or the root word): up to two children. */
typedef struct change {
    unsigned slot, width, count;
    uintptr_t child[2];
    lk_bytes between; /* separator of the two */
} change;

void lki_index_edit_begin(edit *e, lki_index *index, lki_thread *thread);
/* Descends to the leaf in whose range `key` is, and fills the path. */
leaf *lki_index_edit_descend(edit *e, lk_bytes key);
/* A change that replaces the lowest slot of the path by one child, which the caller enters. */
change lki_index_edit_change(const edit *e);
/* Applies the change at the lower end of the path, and the changes that follow from it above, up to
 * the one store that is visible. False: no memory; then call lki_index_edit_abandon, which frees
 * what the edit built. */
bool lki_index_edit_apply(edit *e, change *c);
void lki_index_edit_abandon(edit *e);
/* Node `n` will not be reachable after the edit. */
void lki_index_edit_gone(edit *e, void *n);

/* Leaves for a change; NULL or false: no memory. An empty one with room for at least `room`
 * entries: */
leaf *lki_index_leaf_make(edit *e, size_t room, lk_bytes prefix);
void lki_index_leaf_push_all(leaf *l, leaf *from, unsigned first, unsigned end);
/* A copy of `from` with `cell` at the place where its key was searched: */
leaf *lki_index_leaf_make_with(edit *e, leaf *from, place at, lki_cell *cell);
/* Splits a full leaf that gets one more cell: */
bool lki_index_leaf_split(edit *e, leaf *l, unsigned index, lki_cell *cell, change *c);

/* Appends a cell. The caller has checked that there is room, and that the key has the leaf's
 * prefix. */
LKI_INLINE void
leaf_push(leaf *l, lki_cell *cell)
{
    unsigned count = lki_load_relaxed(&l->head.count);
    LK_ASSERT(count < l->head.capacity && cell->sk_size >= l->head.prefix_size);
    LK_ASSERT(count == 0 ||
              key_order(cell_key(l->cell[count - 1]), cell_key(cell), 0) < 0); /* I1 */
    l->cell[count] = cell;
    leaf_slices(l)[count] = slice_of(cell_key(cell), l->head.prefix_size);
    /* P4b, with the acquire load of the count: a reader that counts the entry finds it, and the
     * cell. */
    lki_store_release(&l->head.count, (uint16_t)(count + 1));
}

#endif
