/* SPDX-License-Identifier: MIT
 *
 * Changes of the ordered index: leaves and inner nodes are built, and one store makes them visible.
 * index_change.c describes structure, invariants I1 to I4, and pairs P4 and P4b.
 */
#include "store/index_edit.h"

enum {
    LEAF_FIRST = LKI_OR_SMALL(14, 2), /* room of a leaf that begins with one appended key */
    RECUT = 4,                        /* a split computes slices anew if so many bytes are common */
    INNER_BYTES = 16384,              /* more bytes of separators split a node, if it has .. */
    INNER_SPLIT = LKI_OR_SMALL(8, 4), /* .. so many children */
    INNER_SMALL =
        LKI_OR_SMALL(16, 1), /* an inner node that shrinks to this merges with a neighbour, .. */
    INNER_MERGED = LKI_OR_SMALL(32, 3) /* .. if both together have at most this */
};

/* Rounds up to jemalloc's size class, so that all allocated bytes are used. */
static size_t
size_class(size_t size)
{
    size_t step = 16;
    if (size > 128)
        step = (size_t)1 << (61 - __builtin_clzll(size - 1));
    return (size + step - 1) & ~(step - 1);
}

/* The shortest separator that is greater than `low` and not greater than `high`; points into
 * `high`. */
static lk_bytes
separator_between(lk_bytes low, lk_bytes high)
{
    return (lk_bytes){high.data, common_of(low, high) + 1};
}

/* ---- edits ---- */

static void
node_init(node *n, uint8_t kind, size_t capacity, lk_bytes prefix)
{
    n->kind = kind;
    n->closed = 0;
    n->capacity = (uint16_t)capacity;
    n->prefix_size = (uint16_t)prefix.size;
    if (prefix.size > 0 && prefix.size <= START_ROOM)
        memcpy(n->start, prefix.data, prefix.size);
    /* Relaxed: not published yet. */
    lki_store_relaxed(&n->count, 0);
}

void
lki_index_edit_begin(edit *e, lki_index *index, lki_thread *thread)
{
    e->index = index;
    e->thread = thread;
    e->path.depth = 0;
    e->path.slot[0] = 0;
    e->made_count = 0;
    e->gone_count = 0;
}

/* The relaxed loads here and below read words that only the holder of the latch stores. */
leaf *
lki_index_edit_descend(edit *e, lk_bytes key)
{
    uintptr_t word = lki_load_relaxed(&e->index->root);
    path *p = &e->path;
    for (;;) {
        word_prefetch(word, true);
        node *n = word_node(word);
        if (n->kind == KIND_LEAF)
            return (leaf *)n;
        inner *in = (inner *)n;
        unsigned slot = inner_find(in, lki_load_relaxed(&in->head.count), key);
        LK_ASSERT(p->depth < LKI_INDEX_DEPTH && slot < lki_load_relaxed(&in->head.count));
        p->node[p->depth] = in;
        p->slot[p->depth++] = slot;
        word = lki_load_relaxed(&in->child[slot]);
    }
}

/* An empty node; NULL: no memory. */
static void *
edit_make(edit *e, uint8_t kind, size_t size, size_t capacity, lk_bytes prefix)
{
    node *n = lki_alloc(&e->thread->allocator, size);
    if (n == NULL)
        return NULL;
    LK_ASSERT(((uintptr_t)n & TAGS) == 0 && e->made_count < EDIT_NODES);
    e->made[e->made_count++] = n;
    node_init(n, kind, capacity, prefix);
    return n;
}

void
lki_index_edit_gone(edit *e, void *n)
{
    LK_ASSERT(e->gone_count < EDIT_NODES);
    e->gone[e->gone_count++] = n;
}

change
lki_index_edit_change(const edit *e)
{
    unsigned depth = e->path.depth;
    return (change){e->path.slot[depth > 0 ? depth - 1 : 0], 1, 1, {0, 0}, {NULL, 0}};
}

void
lki_index_edit_abandon(edit *e)
{
    for (unsigned i = 0; i < e->made_count; i++)
        lki_free(&e->thread->allocator, e->made[i], node_size(e->made[i]));
}

/* The store that makes the edit visible, and the retirement of what it replaced. False: no
 * memory. */
static bool
edit_commit(edit *e, _Atomic(uintptr_t) *where, uintptr_t word)
{
    LK_ASSERT(lki_is_writing(e->thread));
    if (e->gone_count > 0 && !lki_reserve(e->thread, e->gone_count))
        return false;
    /* P4, with the acquire loads of walks. It is a read-modify-write because what it unlinks is
     * retired now: if the store was still in the store buffer when the epoch is read, a section
     * could begin after that and still find the old node. */
    (void)lki_swap_seq_cst(where, word);
    for (unsigned i = 0; i < e->gone_count; i++)
        lki_retire(e->thread, LKI_NODE, e->gone[i], node_size(e->gone[i]));
    return true;
}

/* ---- building leaves ---- */

/* Copies entries [first, end). If the new leaf's prefix is shorter, its slices are computed from
 * the old prefix and the old slices; if it is longer, from the keys. */
void
lki_index_leaf_push_all(leaf *l, leaf *from, unsigned first, unsigned end)
{
    unsigned count = lki_load_relaxed(&l->head.count);
    const uint64_t *old = leaf_slices(from) + first;
    uint64_t *slices = leaf_slices(l) + count;
    size_t prefix_size = l->head.prefix_size, old_size = from->head.prefix_size;
    unsigned more = end - first;
    LK_ASSERT(first <= end && end <= lki_load_relaxed(&from->head.count));
    LK_ASSERT(count + more <= l->head.capacity);
    memcpy(l->cell + count, from->cell + first, more * sizeof l->cell[0]);
    if (LKI_LIKELY(prefix_size == old_size)) {
        memcpy(slices, old, more * sizeof slices[0]);
    } else if (prefix_size < old_size) {
        uint64_t lead = slice_of((lk_bytes){leaf_prefix(from), old_size}, prefix_size);
        size_t shift = old_size - prefix_size;
        for (unsigned i = 0; i < more; i++)
            slices[i] = lead | (shift < 8 ? old[i] >> (8 * shift) : 0);
    } else {
        for (unsigned i = 0; i < more; i++)
            LKI_PREFETCH(from->cell[first + i]->bytes);
        for (unsigned i = 0; i < more; i++)
            slices[i] = slice_of(cell_key(from->cell[first + i]), prefix_size);
    }
    /* Relaxed: the leaf is not published yet. */
    lki_store_relaxed(&l->head.count, (uint16_t)(count + more));
}

leaf *
lki_index_leaf_make(edit *e, size_t room, lk_bytes prefix)
{
    size_t size = size_class(LEAF_HEADER + room * ENTRY);
    return edit_make(e, KIND_LEAF, size, (size - LEAF_HEADER) / ENTRY, prefix);
}

/* A leaf for `cell` alone, which is expected to get keys like that of `neighbour`. Its prefix
 * leaves out the last byte that both share, because the next keys would most likely differ
 * there. */
static leaf *
leaf_make_single(edit *e, lki_cell *cell, lki_cell *neighbour, size_t room)
{
    lk_bytes prefix = cell_key(cell);
    prefix.size = common_of(prefix, cell_key(neighbour));
    if (prefix.size > 0)
        prefix.size--;
    leaf *l = lki_index_leaf_make(e, room, prefix);
    if (l != NULL)
        leaf_push(l, cell);
    return l;
}

/* The common prefix of leaf `l` and `key`. */
static lk_bytes
leaf_prefix_with(leaf *l, lk_bytes key)
{
    key.size = common_size(key.data, leaf_prefix(l), least(key.size, l->head.prefix_size));
    return key;
}

/* Copies all entries of `from`, with `cell` in the place of `width` (0 or 1) of them. */
static void
leaf_push_with(leaf *to, leaf *from, unsigned index, unsigned width, lki_cell *cell)
{
    lki_index_leaf_push_all(to, from, 0, index);
    leaf_push(to, cell);
    lki_index_leaf_push_all(to, from, index + width, lki_load_relaxed(&from->head.count));
}

leaf *
lki_index_leaf_make_with(edit *e, leaf *from, place at, lki_cell *cell)
{
    unsigned count = lki_load_relaxed(&from->head.count);
    /* One append is usually followed by more. */
    size_t room = at.found ? count : at.index < count ? count + 1 : least(2 * count, LEAF_MAX);
    leaf *l = lki_index_leaf_make(e, room, leaf_prefix_with(from, cell_key(cell)));
    if (l == NULL)
        return NULL;
    leaf_push_with(l, from, at.index, at.found, cell);
    lki_index_edit_gone(e, from);
    return l;
}

/* Copies entries [first, end) of `from` into a leaf of their own, with a longer prefix if that is
 * worth while. */
static leaf *
leaf_cut(edit *e, leaf *from, unsigned first, unsigned end)
{
    lk_bytes prefix = cell_key(from->cell[first]);
    uint64_t difference = leaf_slices(from)[first] ^ leaf_slices(from)[end - 1];
    if (difference >> (64 - 8 * RECUT) == 0)
        prefix.size = common_of(prefix, cell_key(from->cell[end - 1]));
    else
        prefix.size = from->head.prefix_size;
    leaf *l = lki_index_leaf_make(e, end - first, prefix);
    if (l != NULL)
        lki_index_leaf_push_all(l, from, first, end);
    return l;
}

/* An appended key leaves a full leaf behind; any other splits the leaf in halves. */
bool
lki_index_leaf_split(edit *e, leaf *l, unsigned index, lki_cell *cell, change *c)
{
    leaf *left = l, *right = l;
    LK_ASSERT(lki_load_relaxed(&l->head.count) == LEAF_MAX && index <= LEAF_MAX);
    lki_cell *low = cell, *high = cell;
    if (index == LEAF_MAX) {
        low = l->cell[LEAF_MAX - 1];
        right = leaf_make_single(e, cell, low, LEAF_FIRST);
    } else if (index == 0) {
        high = l->cell[0];
        left = leaf_make_single(e, cell, high, 1);
    } else {
        union {
            leaf all;
            unsigned char bytes[LEAF_HEADER + (LEAF_MAX + 1) * ENTRY];
        } whole;
        node_init(&whole.all.head, KIND_LEAF, LEAF_MAX + 1, leaf_prefix_with(l, cell_key(cell)));
        leaf_push_with(&whole.all, l, index, 0, cell);
        enum { HALF = (LEAF_MAX + 1) / 2 };
        left = leaf_cut(e, &whole.all, 0, HALF);
        right = leaf_cut(e, &whole.all, HALF, LEAF_MAX + 1);
        low = whole.all.cell[HALF - 1];
        high = whole.all.cell[HALF];
        lki_index_edit_gone(e, l);
    }
    if (left == NULL || right == NULL)
        return false;
    c->count = 2;
    c->child[0] = leaf_word(left);
    c->child[1] = leaf_word(right);
    c->between = separator_between(cell_key(low), cell_key(high));
    LK_ASSERT(key_order(cell_key(low), cell_key(high), 0) < 0); /* I1 */
    return true;
}

/* ---- building inner nodes ---- */

typedef struct item {
    lk_bytes separator; /* left of the child */
    uintptr_t child;
} item;

static unsigned
items_take(item *items, inner *in, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++, items++) {
        items->separator = i == 0 ? (lk_bytes){NULL, 0} : inner_separator(in, i);
        items->child = lki_load_relaxed(&in->child[i]);
    }
    return end - first;
}

/* The children that `in` has after `c`. */
static unsigned
items_change(item *items, inner *in, const change *c)
{
    unsigned count = items_take(items, in, 0, c->slot);
    if (c->count > 0) {
        (void)items_take(items + count, in, c->slot, c->slot + 1);
        items[count++].child = c->child[0];
    }
    if (c->count > 1)
        items[count++] = (item){c->between, c->child[1]};
    return count +
           items_take(items + count, in, c->slot + c->width, lki_load_relaxed(&in->head.count));
}

static size_t
items_size(const item *items, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 1; i < count; i++)
        size += items[i].separator.size;
    return size;
}

static bool
items_are_too_many(const item *items, unsigned count)
{
    return count > INNER_MAX || (count >= INNER_SPLIT && items_size(items, count) > INNER_BYTES);
}

/* Writes child i, behind the last one. Publishing the node or its count makes it visible. */
static void
inner_put(inner *in, unsigned i, const item *it)
{
    uint32_t *end = inner_ends(in);
    uint32_t start = i == 0 ? 0 : end[i - 1];
    size_t size = i == 0 ? 0 : it->separator.size;
    LK_ASSERT(i < in->head.capacity && start + size <= in->room);
    if (size > 0)
        memcpy((unsigned char *)(end + in->head.capacity) + start, it->separator.data, size);
    end[i] = start + (uint32_t)size;
    inner_slices(in)[i] = i == 0 ? 0 : slice_of(it->separator, in->head.prefix_size);
    lki_store_relaxed(&in->child[i], it->child);
}

static inner *
inner_make(edit *e, const item *items, unsigned count)
{
    lk_bytes prefix = {NULL, 0};
    if (count > 1) {
        prefix = items[1].separator;
        prefix.size = common_of(prefix, items[count - 1].separator);
    }
    size_t used = items_size(items, count);
    size_t capacity = least(count + count / 2 + 2, count > INNER_MAX ? count : INNER_MAX);
    size_t fixed = sizeof(inner) + capacity * INNER_ENTRY;
    size_t size = size_class(fixed + used + least(used / 2, 1024) + 16);
    inner *in = edit_make(e, KIND_INNER, size, capacity, prefix);
    if (in == NULL)
        return NULL;
    in->size = (uint32_t)size;
    in->room = (uint32_t)(size - fixed);
    for (unsigned i = 0; i < count; i++)
        inner_put(in, i, &items[i]);
    lki_store_relaxed(&in->head.count, (uint16_t)count);
    return in;
}

/* If the last child is split and the other children stay, the change is an append: written in
 * place, made visible by the count. A node of one child has no prefix yet, so it is copied. */
static bool
inner_append(inner *in, unsigned count, const change *c)
{
    const item it = {c->between, c->child[1]};
    if (c->width != 1 || c->count != 2 || c->slot != count - 1 || in->head.closed || count < 2 ||
        count == in->head.capacity || lki_load_relaxed(&in->child[c->slot]) != c->child[0])
        return false;
    if (inner_ends(in)[count - 1] + it.separator.size > in->room ||
        common_of(it.separator, inner_separator(in, 1)) < in->head.prefix_size)
        return false;
    LK_ASSERT(count < 2 || key_order(inner_separator(in, count - 1), it.separator, 0) < 0); /* I1 */
    inner_put(in, count, &it);
    /* P4b, with the acquire loads of walks; also publishes the child's nodes (P4). */
    lki_store_release(&in->head.count, (uint16_t)(count + 1));
    return true;
}

/* I3: closes a node, and those below it along the edge at which its range has grown. */
static void
word_close(uintptr_t word, bool right)
{
    for (;;) {
        node *n = word_node(word);
        n->closed = 1;
        if (n->kind == KIND_LEAF)
            return;
        unsigned slot = right ? lki_load_relaxed(&n->count) - 1U : 0U;
        word = lki_load_relaxed(&((inner *)n)->child[slot]);
    }
}

static bool
inner_split(edit *e, inner *in, const item *items, unsigned count, bool append, change *up)
{
    unsigned half = append ? count - 1 : count / 2;
    inner *left = in, *right = inner_make(e, items + half, count - half);
    if (!append) {
        left = inner_make(e, items, half);
        lki_index_edit_gone(e, in);
    }
    if (left == NULL || right == NULL)
        return false;
    up->count = 2;
    up->child[0] = (uintptr_t)left;
    up->child[1] = (uintptr_t)right;
    up->between = items[half].separator;
    return true;
}

/* A node that shrank takes the children of a neighbour, if both together are small. */
static unsigned
inner_merge(edit *e, unsigned level, item *items, unsigned count, change *up)
{
    inner *parent = e->path.node[level - 1];
    unsigned slot = e->path.slot[level - 1], siblings = lki_load_relaxed(&parent->head.count);
    for (int side = -1; side <= 1; side += 2) {
        if (side < 0 ? slot == 0 : slot + 1 == siblings)
            continue;
        inner *other = (inner *)word_node(lki_load_relaxed(&parent->child[slot + (unsigned)side]));
        unsigned others = lki_load_relaxed(&other->head.count);
        if (count + others > INNER_MERGED ||
            items_size(items, count) + inner_ends(other)[others - 1] > INNER_BYTES / 2)
            continue;
        item *from = items;
        if (side < 0) {
            memmove(items + others, items, count * sizeof items[0]);
            items[others].separator = inner_separator(parent, slot);
        } else {
            from = items + count;
        }
        (void)items_take(from, other, 0, others);
        if (side > 0)
            from->separator = inner_separator(parent, slot + 1);
        lki_index_edit_gone(e, other);
        up->slot = side < 0 ? slot - 1 : slot;
        up->width = 2;
        return count + others;
    }
    return count;
}

/* Rebuilds node `level` of the path with the change; *c becomes the change to the node above. */
static bool
inner_rebuild(edit *e, unsigned level, change *c)
{
    item items[INNER_MAX + 2];
    inner *in = e->path.node[level];
    change up = {level > 0 ? e->path.slot[level - 1] : 0, 1, 1, {0, 0}, {NULL, 0}};
    unsigned before = lki_load_relaxed(&in->head.count), count = items_change(items, in, c);
    if (c->count == 0 && count > 0)
        word_close(items[c->slot > 0 ? c->slot - 1 : 0].child, c->slot > 0);
    if (items_are_too_many(items, count) && count > before) {
        bool append = c->slot == before - 1 && lki_load_relaxed(&in->child[c->slot]) == c->child[0];
        if (!inner_split(e, in, items, count, append, &up))
            return false;
        *c = up;
        return true;
    }
    lki_index_edit_gone(e, in);
    if (count == 0) {
        up.count = 0;
    } else if (count == 1 && level == 0) {
        up.child[0] = items[0].child;
    } else {
        if (level > 0 && count < before && count <= INNER_SMALL)
            count = inner_merge(e, level, items, count, &up);
        up.child[0] = (uintptr_t)inner_make(e, items, count);
    }
    *c = up;
    return up.count == 0 || up.child[0] != 0;
}

/* Applies a change to the root, where the tree grows and shrinks: a root with one child is replaced
 * by the child, a leaf with one cell by the cell. */
static bool
edit_apply_root(edit *e, const change *c)
{
    uintptr_t word = c->count == 0 ? LKI_EMPTY : c->child[0];
    if (c->count == 2) {
        const item items[2] = {{{NULL, 0}, c->child[0]}, {c->between, c->child[1]}};
        if (e->path.depth + 2 > LKI_INDEX_DEPTH) /* after (INNER_SPLIT / 2)^14 splits of leaves */
            return false;
        word = (uintptr_t)inner_make(e, items, 2);
        return word != 0 && edit_commit(e, &e->index->root, word);
    }
    while (word != LKI_EMPTY && (word & CELL_TAG) == 0 &&
           lki_load_relaxed(&word_node(word)->count) == 1) {
        node *n = word_node(word);
        lki_index_edit_gone(e, n); /* also a node of this edit, which was not seen */
        word = n->kind == KIND_LEAF ? (uintptr_t)((leaf *)n)->cell[0] | CELL_TAG
                                    : lki_load_relaxed(&((inner *)n)->child[0]);
    }
    return edit_commit(e, &e->index->root, word);
}

bool
lki_index_edit_apply(edit *e, change *c)
{
    for (unsigned level = e->path.depth; level > 0; level--) {
        inner *in = e->path.node[level - 1];
        if (LKI_LIKELY(c->width == 1 && c->count == 1 && !in->head.closed))
            return edit_commit(e, &in->child[c->slot], c->child[0]);
        if (inner_append(in, lki_load_relaxed(&in->head.count), c)) {
            LK_ASSERT(e->gone_count == 0); /* an append replaces nothing */
            return true;
        }
        if (!inner_rebuild(e, level - 1, c))
            return false;
    }
    return edit_apply_root(e, c);
}
