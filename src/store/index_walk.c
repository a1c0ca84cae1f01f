/* SPDX-License-Identifier: MIT
 *
 * Ordered walks over the index, and the check of the whole tree. index_change.c describes the
 * whole.
 */
#include "store/index_search.h"

static void
walk_push(lki_index_walk *walk, node *n, unsigned slot, unsigned count)
{
    LK_ASSERT(walk->depth < LKI_INDEX_DEPTH);
    walk->node[walk->depth] = n;
    walk->slot[walk->depth] = slot;
    walk->count[walk->depth++] = count;
}

/* Descends from `word` to a leaf: to `from`, or to the end at which the walk begins. The slot of a
 * leaf is the next entry (ascending), or the number of entries left (descending). */
static void
walk_descend(lki_index_walk *walk, uintptr_t word, const lk_bytes *from, bool strict)
{
    word_prefetch(word, from != NULL);
    for (;;) {
        node *n = word_node(word);
        /* P4b, with leaf_push and inner_append: the first `count` entries are written. Read once:
         * what is appended later was not in the index when the walk began. */
        unsigned count = lki_load_acquire(&n->count), slot = walk->reverse ? count : 0;
        if (n->kind == KIND_LEAF) {
            if (from != NULL) {
                place at = leaf_find((leaf *)n, count, *from);
                slot = at.index + (at.found && strict && !walk->reverse);
            }
            walk_push(walk, n, slot, count);
            return;
        }
        inner *in = (inner *)n;
        if (from != NULL)
            slot = inner_find(in, count, *from);
        else
            slot -= walk->reverse;
        walk_push(walk, n, slot, count);
        word = lki_load_acquire(&in->child[slot]); /* P4, with edit_commit */
        word_prefetch(word, from != NULL);
    }
}

/* The next slot in an inner node. False: there is none. */
LKI_INLINE bool
walk_slot_after(const lki_index_walk *walk, unsigned level, unsigned *slot)
{
    *slot = walk->slot[level] + (walk->reverse ? -1U : 1U);
    return *slot < walk->count[level]; /* -1 is above all */
}

/* Goes on to the next leaf; depth is 0 at the end of the index. */
static void
walk_next_leaf(lki_index_walk *walk)
{
    while (--walk->depth > 0) {
        unsigned level = walk->depth - 1, slot;
        if (!walk_slot_after(walk, level, &slot))
            continue;
        walk->slot[level] = slot;
        inner *in = walk->node[level];
        /* P4, with edit_commit */
        walk_descend(walk, lki_load_acquire(&in->child[slot]), NULL, false);
        return;
    }
}

void
lki_index_walk_begin(lki_index_walk *walk, const lki_index *index, const lk_bytes *from,
                     bool strict, bool reverse)
{
    /* P4, with edit_commit and the first insertion */
    uintptr_t word = lki_load_acquire(&index->root);
    walk->depth = 0;
    walk->reverse = reverse;
    walk->only = NULL;
    if (word == LKI_EMPTY)
        return;
    if ((word & CELL_TAG) == 0) {
        walk_descend(walk, word, from, strict);
        return;
    }
    int order = from != NULL ? key_order(cell_key(word_cell(word)), *from, 0) : 0;
    if (from == NULL || (reverse ? order < 0 : order > 0 || (order == 0 && !strict)))
        walk->only = word_cell(word);
}

/* Prefetches the next leaf, if it has the same parent. Relaxed: only a hint. */
LKI_INLINE void
walk_prefetch(const lki_index_walk *walk, unsigned top)
{
    unsigned slot;
    if (top > 0 && walk_slot_after(walk, top - 1, &slot))
        word_prefetch(lki_load_relaxed(&((inner *)walk->node[top - 1])->child[slot]), false);
}

size_t
lki_index_walk_next(lki_index_walk *walk, lki_cell **cells, size_t room)
{
    size_t taken = 0;
    if (walk->only != NULL && room > 0) {
        cells[taken++] = walk->only;
        walk->only = NULL;
    }
    while (walk->depth > 0 && taken < room) {
        unsigned top = walk->depth - 1, slot = walk->slot[top];
        leaf *l = walk->node[top];
        if (slot == (walk->reverse ? 0 : walk->count[top])) {
            walk_next_leaf(walk);
            continue;
        }
        unsigned left = walk->reverse ? slot : walk->count[top] - slot;
        unsigned more = (unsigned)least(left, room - taken);
        if (left < room - taken)
            walk_prefetch(walk, top);
        walk->slot[top] = walk->reverse ? slot - more : slot + more;
        for (unsigned i = 0; i < more; i++) {
            cells[taken++] = l->cell[walk->reverse ? slot - 1 - i : slot + i];
        }
    }
    return taken;
}

/* ---- check ---- */

typedef struct census {
    size_t cells, nodes, bytes;
    unsigned leaf_depth; /* of all leaves; 0: none seen yet */
    bool broken;
} census;

static void
census_expect(census *s, bool holds)
{
    LK_ASSERT(holds);
    s->broken |= !holds;
}

/* Checks a key or separator: its prefix, its slice, and `low` <= `key` < `high` (NULL: no
 * limit). */
static void
census_key(census *s, node *n, const unsigned char *prefix, lk_bytes key, uint64_t slice,
           const lk_bytes *low, const lk_bytes *high)
{
    census_expect(s, key.size >= n->prefix_size && memcmp(key.data, prefix, n->prefix_size) == 0);
    census_expect(s, slice_of(key, n->prefix_size) == slice);
    census_expect(s, low == NULL || key_order(*low, key, 0) <= 0);
    census_expect(s, high == NULL || key_order(key, *high, 0) < 0);
}

static void
census_take(census *s, uintptr_t word, unsigned depth, const lk_bytes *low, const lk_bytes *high)
{
    node *n = word_node(word);
    unsigned count = lki_load_acquire(&n->count); /* P4b */
    census_expect(s, count >= 1 && count <= n->capacity && depth <= LKI_INDEX_DEPTH);
    s->nodes++;
    s->bytes += node_size(n);
    if (n->kind == KIND_LEAF) {
        leaf *l = (leaf *)n;
        census_expect(s, s->leaf_depth == 0 || s->leaf_depth == depth);
        s->leaf_depth = depth;
        s->cells += count;
        for (unsigned i = 0; i < count; i++) {
            lk_bytes key = cell_key(l->cell[i]);
            census_key(s, n, leaf_prefix(l), key, leaf_slices(l)[i], low, high);
            census_expect(s, i == 0 || key_order(cell_key(l->cell[i - 1]), key, 0) < 0);
        }
        return;
    }
    inner *in = (inner *)n;
    census_expect(s, inner_ends(in)[count - 1] <= in->room);
    for (unsigned i = 0; i < count; i++) {
        lk_bytes from = i > 0 ? inner_separator(in, i) : (lk_bytes){NULL, 0};
        lk_bytes to = i + 1 < count ? inner_separator(in, i + 1) : (lk_bytes){NULL, 0};
        const unsigned char *prefix =
            n->prefix_size <= START_ROOM || count == 1 ? n->start : inner_separator(in, 1).data;
        if (i > 0)
            census_key(s, n, prefix, from, inner_slices(in)[i], low, high);
        census_take(s, lki_load_acquire(&in->child[i]), depth + 1, i > 0 ? &from : low,
                    i + 1 < count ? &to : high);
    }
}

size_t
lki_index_check(const lki_index *index, size_t *nodes, size_t *bytes)
{
    census s = {0, 0, 0, 0, false};
    uintptr_t root = lki_load_acquire(&index->root); /* P4 */
    if ((root & CELL_TAG) != 0)
        s.cells = 1;
    else if (root != LKI_EMPTY)
        census_take(&s, root, 1, NULL, NULL);
    census_expect(&s, s.cells == index->count);
    if (nodes != NULL)
        *nodes = s.nodes;
    if (bytes != NULL)
        *bytes = s.bytes;
    return s.broken ? SIZE_MAX : s.cells;
}
