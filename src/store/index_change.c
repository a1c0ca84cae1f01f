/* SPDX-License-Identifier: MIT
 *
 * The ordered index of a partition: a B+tree of cells by sk.
 * Layout: index_node.h; search: index_search.h; changes: index_edit.c; walks: index_walk.c.
 *
 * Structure  The root word is EMPTY, a single cell (tagged), or a node. A leaf is {cells, slices}.
 *            A slice is the 8 bytes of a key after the prefix that all keys of the leaf share, as a
 *            big-endian number padded with zeros. Slices alone decide most searches; only if two
 *            are equal the keys in the cells are compared. An inner node is {children, slices of
 *            separators, separators}. Separator i is greater than all keys of child i - 1 and not
 *            greater than those of child i, and the shortest such string. It is a copy, so no node
 *            needs a cell to stay.
 * Readers    Descend from the root and keep a stack of (node, slot), as leaves have no links. They
 *            write nothing.
 * Writers    One at a time, under the partition's latch. A change builds new nodes and makes them
 *            visible by one store: a child pointer, the root, or the count of a node that was
 *            appended to. A leaf has the size class that fits it, or twice that if keys are
 *            appended to it. Keys that come in order leave full leaves behind.
 *
 * Guarantees A reader that follows a pointer finds a node whose keys do not change, except for keys
 * appended after those that it counted.
 * Progress   Readers: wait-free. Writers: as the latch, the allocator, and lki_reserve.
 * Invariants I1 Keys ascend strictly, over all leaves; leaves are equally deep; no node is empty.
 *            I2 A node that was replaced is never written again: a walk that is in it sees its last
 *            children, which are at least as new as the walk's beginning.
 *            I3 No node gets a key outside of the range that it has according to any node that
 *            points to it. If a child's range grows because its neighbour was removed, the parents
 *            before and after the change share that child: it and the nodes below it along that
 *            edge are `closed`, and the next writer copies a closed node instead of changing it. If
 *            it was changed, a walk in the old parent could meet a key of the removed neighbour's
 *            range, and then that neighbour: keys out of order, or twice.
 *            I4 All memory, and all room for what is retired, is there before the store that others
 *            can see.
 * Pairs      P4  a word that leads to a node or a cell: published by a full swap, or by the count;
 *            read with acquire.
 *            P4b the count of a node: stored with release after what it counts; read with acquire.
 */
#include "store/index_edit.h"

enum {
    LEAF_SMALL = LKI_OR_SMALL(15, 2), /* a leaf that shrinks to this merges with a neighbour, .. */
    LEAF_MERGED = LKI_OR_SMALL(30, 4) /* .. if both together have at most this */
};

/* ---- insertion ---- */

/* Inserts into an index of one cell, which is in the root word. */
static lki_index_found
insert_second(edit *e, lki_cell *cell, bool (*replace)(const lki_cell *), lki_cell **existing)
{
    lki_cell *first = word_cell(lki_load_relaxed(&e->index->root));
    int order = key_order(cell_key(first), cell_key(cell), 0);
    change c = lki_index_edit_change(e);
    LK_ASSERT(e->index->count == 1);
    if (order == 0 && (replace == NULL || !replace(first))) {
        *existing = first;
        return LKI_INDEX_EXISTS;
    }
    if (order == 0) {
        c.child[0] = (uintptr_t)cell | CELL_TAG;
    } else {
        lk_bytes prefix = {lki_cell_sk(cell), common_of(cell_key(first), cell_key(cell))};
        leaf *l = lki_index_leaf_make(e, 2, prefix);
        if (l == NULL)
            return LKI_INDEX_NO_MEMORY;
        leaf_push(l, order < 0 ? first : cell);
        leaf_push(l, order < 0 ? cell : first);
        c.child[0] = leaf_word(l);
    }
    if (!lki_index_edit_apply(e, &c)) {
        lki_index_edit_abandon(e);
        return LKI_INDEX_NO_MEMORY;
    }
    e->index->count += order != 0;
    return LKI_INDEX_ADDED;
}

lki_index_found
lki_index_insert_latched(lki_index *index, lki_thread *thread, lki_cell *cell,
                         bool (*replace)(const lki_cell *existing), lki_cell **existing)
{
    uintptr_t root = lki_load_relaxed(&index->root);
    edit e;
    LK_ASSERT(lki_is_writing(thread) && (root == LKI_EMPTY) == (index->count == 0));
    lki_index_edit_begin(&e, index, thread);
    if (root == LKI_EMPTY) {
        lki_store_release(&index->root, (uintptr_t)cell | CELL_TAG); /* P4 */
        index->count = 1;
        return LKI_INDEX_ADDED;
    }
    if ((root & CELL_TAG) != 0)
        return insert_second(&e, cell, replace, existing);
    leaf *l = lki_index_edit_descend(&e, cell_key(cell));
    unsigned count = lki_load_relaxed(&l->head.count);
    place at = leaf_find(l, count, cell_key(cell));
    if (at.found && (replace == NULL || !replace(l->cell[at.index]))) {
        *existing = l->cell[at.index];
        return LKI_INDEX_EXISTS;
    }
    if (at.index == count && at.begins && count < l->head.capacity && !l->head.closed) {
        leaf_push(l, cell);
        index->count++;
        return LKI_INDEX_ADDED;
    }
    change c = lki_index_edit_change(&e);
    bool built;
    if (count == LEAF_MAX && !at.found) {
        built = lki_index_leaf_split(&e, l, at.index, cell, &c);
    } else {
        leaf *made = lki_index_leaf_make_with(&e, l, at, cell);
        built = made != NULL;
        c.child[0] = built ? leaf_word(made) : 0;
    }
    if (!built || !lki_index_edit_apply(&e, &c)) {
        lki_index_edit_abandon(&e);
        return LKI_INDEX_NO_MEMORY;
    }
    index->count += !at.found;
    return LKI_INDEX_ADDED;
}

/* ---- removal ---- */

/* A copy of the leaf without entry `index`, which is not its only one; merged with a neighbour if
 * both together are small. */
static leaf *
leaf_make_without(edit *e, leaf *l, unsigned index, change *c)
{
    unsigned count = lki_load_relaxed(&l->head.count), depth = e->path.depth, others = 0;
    LK_ASSERT(count > 1 && index < count);
    leaf *other = NULL;
    int side = 1;
    if (depth > 0 && count - 1 <= LEAF_SMALL) {
        inner *parent = e->path.node[depth - 1];
        unsigned slot = e->path.slot[depth - 1], siblings = lki_load_relaxed(&parent->head.count);
        for (side = -1; side <= 1 && other == NULL; side += 2) {
            if (side < 0 ? slot == 0 : slot + 1 == siblings)
                continue;
            leaf *near = (leaf *)word_node(lki_load_relaxed(&parent->child[slot + (unsigned)side]));
            others = lki_load_relaxed(&near->head.count);
            if (count - 1 + others <= LEAF_MERGED)
                other = near;
        }
        side -= 2;
    }
    lk_bytes prefix = {leaf_prefix(l), l->head.prefix_size};
    if (other != NULL)
        prefix.size = common_of(prefix, (lk_bytes){leaf_prefix(other), other->head.prefix_size});
    leaf *made = lki_index_leaf_make(e, count - 1 + (other != NULL ? others : 0), prefix);
    if (made == NULL)
        return NULL;
    if (other != NULL && side < 0)
        lki_index_leaf_push_all(made, other, 0, others);
    lki_index_leaf_push_all(made, l, 0, index);
    lki_index_leaf_push_all(made, l, index + 1, count);
    if (other != NULL && side > 0)
        lki_index_leaf_push_all(made, other, 0, others);
    lki_index_edit_gone(e, l);
    if (other != NULL) {
        lki_index_edit_gone(e, other);
        c->width = 2;
        c->slot -= side < 0;
    }
    return made;
}

bool
lki_index_remove_latched(lki_index *index, lki_thread *thread, lki_cell *cell)
{
    uintptr_t root = lki_load_relaxed(&index->root);
    edit e;
    LK_ASSERT(lki_is_writing(thread) && (root == LKI_EMPTY) == (index->count == 0));
    lki_index_edit_begin(&e, index, thread);
    change c = lki_index_edit_change(&e);
    c.count = 0;
    if (root == LKI_EMPTY)
        return true;
    if ((root & CELL_TAG) != 0) {
        if (word_cell(root) != cell)
            return true;
    } else {
        leaf *l = lki_index_edit_descend(&e, cell_key(cell));
        unsigned count = lki_load_relaxed(&l->head.count);
        place at = leaf_find(l, count, cell_key(cell));
        if (!at.found || l->cell[at.index] != cell)
            return true;
        c = lki_index_edit_change(&e);
        if (count > 1) {
            leaf *made = leaf_make_without(&e, l, at.index, &c);
            if (made == NULL)
                return false;
            c.child[0] = leaf_word(made);
        } else {
            c.count = 0;
            lki_index_edit_gone(&e, l);
        }
    }
    if (!lki_index_edit_apply(&e, &c)) {
        lki_index_edit_abandon(&e);
        return false;
    }
    index->count--;
    LK_ASSERT((lki_load_relaxed(&index->root) == LKI_EMPTY) == (index->count == 0));
    return true;
}

/* ---- the end of nodes ---- */

static void
word_destroy(uintptr_t word, const lki_allocator *allocator)
{
    node *n = word_node(word);
    if (n->kind == KIND_INNER) {
        for (unsigned i = 0; i < lki_load_relaxed(&n->count); i++)
            word_destroy(lki_load_relaxed(&((inner *)n)->child[i]), allocator);
    }
    lki_free(allocator, n, node_size(n));
}

void
lki_index_destroy(lki_index *index, const lki_allocator *allocator)
{
    uintptr_t root = lki_load_relaxed(&index->root);
    if (root != LKI_EMPTY && (root & CELL_TAG) == 0)
        word_destroy(root, allocator);
    lki_store_relaxed(&index->root, LKI_EMPTY);
    index->count = 0;
}

bool
lki_index_dispose(lki_thread *thread, void *n)
{
    lki_free(&thread->allocator, n, node_size(n));
    return true;
}
