/* SPDX-License-Identifier: MIT
 *
 * Searches in the nodes of the ordered index, for walks and for writers. Private to index*.c.
 */
#ifndef LKI_STORE_INDEX_SEARCH_H
#define LKI_STORE_INDEX_SEARCH_H

#include "store/index_node.h"

/* How many are less than `slice`? Without branches: for random keys each would be mispredicted half
 * the time. */
LKI_INLINE unsigned
slices_below(const uint64_t *slices, unsigned count, uint64_t slice)
{
    const uint64_t *base = slices;
    if (count == 0)
        return 0;
    while (count > 1) {
        unsigned half = count / 2;
        base += half & (0U - (unsigned)(base[half - 1] < slice));
        count -= half;
    }
    return (unsigned)(base - slices) + (*base < slice);
}

/* The order of `key` and all keys of a node, as far as their prefix decides it; 0: `key` has the
 * same prefix. */
LKI_INLINE int
prefix_order(const node *n, const unsigned char *prefix, lk_bytes key)
{
    size_t size = least(n->prefix_size, key.size);
    size_t same = common_size(key.data, prefix, size);
    if (LKI_LIKELY(same == n->prefix_size))
        return 0;
    return same == size || ((const unsigned char *)key.data)[same] < prefix[same] ? -1 : 1;
}

LKI_INLINE const unsigned char *
leaf_prefix(leaf *l)
{
    return LKI_LIKELY(l->head.prefix_size <= START_ROOM) ? l->head.start : lki_cell_sk(l->cell[0]);
}

typedef struct place {
    unsigned index; /* of the first key that is not less */
    bool found;     /* that key is equal */
    bool begins;    /* the searched key has the leaf's prefix */
} place;

/* The place among keys with equal slices, by the keys themselves. */
static inline unsigned
leaf_find_equal(leaf *l, unsigned count, place *at, lk_bytes key, uint64_t slice)
{
    unsigned low = at->index, high = low;
    while (high < count && leaf_slices(l)[high] == slice)
        high++;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = key_order(cell_key(l->cell[middle]), key, l->head.prefix_size);
        if (order == 0) {
            at->found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

LKI_INLINE place
leaf_find(leaf *l, unsigned count, lk_bytes key)
{
    place at = {0, false, false};
    int order = prefix_order(&l->head, leaf_prefix(l), key);
    if (LKI_UNLIKELY(order != 0)) {
        at.index = order < 0 ? 0 : count;
        return at;
    }
    uint64_t slice = slice_of(key, l->head.prefix_size);
    at.begins = true;
    at.index = slices_below(leaf_slices(l), count, slice);
    if (at.index < count && leaf_slices(l)[at.index] == slice)
        at.index = leaf_find_equal(l, count, &at, key, slice);
    return at;
}

/* The slot of the child in whose range `key` is: the number of separators that are not greater. */
LKI_INLINE unsigned
inner_find(inner *in, unsigned count, lk_bytes key)
{
    if (count == 1)
        return 0;
    const unsigned char *prefix =
        in->head.prefix_size <= START_ROOM ? in->head.start : inner_separator(in, 1).data;
    int order = prefix_order(&in->head, prefix, key);
    if (LKI_UNLIKELY(order != 0))
        return order < 0 ? 0 : count - 1;
    const uint64_t *slices = inner_slices(in) + 1;
    uint64_t slice = slice_of(key, in->head.prefix_size);
    unsigned low = slices_below(slices, count - 1, slice), high = low;
    while (high < count - 1 && slices[high] == slice)
        high++;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (key_order(inner_separator(in, middle + 1), key, in->head.prefix_size) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

#endif
