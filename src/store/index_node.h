/* SPDX-License-Identifier: MIT
 *
 * Nodes of the ordered index: layout, slices, keys. Private to index*.c; index_change.c describes
 * the whole.
 */
#ifndef LKI_STORE_INDEX_NODE_H
#define LKI_STORE_INDEX_NODE_H

#include <stddef.h>
#include <string.h>

#include "store/index.h"

enum {
    KIND_LEAF,
    KIND_INNER,
    CELL_TAG = 1, /* in the root word: the only cell, not a node */
    TAGS = 15,    /* in a word: bit 0 as above, bits 1 to 3 the size of a leaf; 0: an inner node */
    PREFETCH_UNIT = 152,            /* about this many bytes of a leaf for each step of that size */
    START_ROOM = 24,                /* room for the common prefix in a node */
    LEAF_MAX = LKI_OR_SMALL(62, 6), /* 1,024 bytes */
    INNER_MAX = LKI_OR_SMALL(64, 4)
};
_Static_assert(_Alignof(max_align_t) > TAGS, "words have four bits for tags");

typedef struct node {
    _Alignas(8) uint8_t kind; /* [const] */
    uint8_t closed;           /* [latch] I3 */
    uint16_t capacity;        /* [const] cells or children */
    uint16_t prefix_size;     /* [const] size of the common prefix of all its keys or separators */
    _Atomic(uint16_t) count;  /* [P4b] cells or children, at least 1 */
    /* [const] the prefix, if it fits; else it is read from the first key */
    unsigned char start[START_ROOM];
} node;

/* After the cells: uint64_t slice[capacity]. */
typedef struct leaf {
    node head;
    lki_cell *cell[]; /* [P4b] */
} leaf;

/* After the children: uint64_t slice[capacity]; uint32_t end[capacity], where separator i ends; the
 * bytes of the separators. Separator 0 does not exist: it has no bytes and no slice. */
typedef struct inner {
    node head;
    uint32_t size;              /* [const] bytes of the node */
    uint32_t room;              /* [const] bytes for separators */
    _Atomic(uintptr_t) child[]; /* [P4] */
} inner;

enum { LEAF_HEADER = sizeof(leaf), ENTRY = 16, INNER_ENTRY = 8 + 8 + 4 };
/* Memory is aligned as malloc's: to 16 bytes on all 64-bit machines. */
_Static_assert(LEAF_HEADER == 32 && LEAF_HEADER + LEAF_MAX * ENTRY == LKI_OR_SMALL(1024, 128),
               "a full leaf fills its size class");

/* ---- bytes and keys ---- */

LKI_INLINE size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

LKI_INLINE uint64_t
load_big_endian(const unsigned char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Bytes [from, from + 8) of a key, with zeros after its end. */
LKI_INLINE uint64_t
slice_of(lk_bytes key, size_t from)
{
    const unsigned char *data = key.data;
    uint64_t slice = 0;
    if (LKI_LIKELY(from + 8 <= key.size))
        return load_big_endian(data + from);
    if (from >= key.size)
        return 0;
    size_t size = key.size - from;
    if (key.size >= 8)
        return load_big_endian(data + key.size - 8) << (64 - 8 * size);
    for (size_t i = 0; i < size; i++)
        slice |= (uint64_t)data[from + i] << (56 - 8 * i);
    return slice;
}

/* How many bytes are equal, from the first on, up to `size`? */
LKI_INLINE size_t
common_size(const unsigned char *a, const unsigned char *b, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t difference = load_big_endian(a + i) ^ load_big_endian(b + i);
        if (difference != 0)
            return i + (size_t)__builtin_clzll(difference) / 8;
    }
    while (i < size && a[i] == b[i])
        i++;
    return i;
}

LKI_INLINE size_t
common_of(lk_bytes a, lk_bytes b)
{
    return common_size(a.data, b.data, least(a.size, b.size));
}

LKI_INLINE lk_bytes
cell_key(const lki_cell *cell)
{
    return (lk_bytes){lki_cell_sk(cell), cell->sk_size};
}

/* The order of two keys whose first `skip` bytes are equal. */
LKI_INLINE int
key_order(lk_bytes a, lk_bytes b, size_t skip)
{
    size_t size = least(a.size, b.size);
    int order = size > skip
                    ? memcmp((const char *)a.data + skip, (const char *)b.data + skip, size - skip)
                    : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- nodes ---- */

LKI_INLINE node *
word_node(uintptr_t word)
{
    return (node *)(word & ~(uintptr_t)TAGS);
}

LKI_INLINE lki_cell *
word_cell(uintptr_t word)
{
    return (lki_cell *)(word & ~(uintptr_t)CELL_TAG);
}

LKI_INLINE uint64_t *
leaf_slices(leaf *l)
{
    return (uint64_t *)(void *)(l->cell + l->head.capacity);
}

LKI_INLINE size_t
leaf_size(const leaf *l)
{
    return LEAF_HEADER + (size_t)l->head.capacity * ENTRY;
}

LKI_INLINE uintptr_t
leaf_word(leaf *l)
{
    return (uintptr_t)l | ((leaf_size(l) + 159) / 160) << 1;
}

LKI_INLINE uint64_t *
inner_slices(inner *in)
{
    return (uint64_t *)(uintptr_t)(in->child + in->head.capacity);
}

LKI_INLINE uint32_t *
inner_ends(inner *in)
{
    return (uint32_t *)(void *)(inner_slices(in) + in->head.capacity);
}

LKI_INLINE lk_bytes
inner_separator(inner *in, unsigned i)
{
    uint32_t *end = inner_ends(in);
    const unsigned char *bytes = (const unsigned char *)(end + in->head.capacity);
    return (lk_bytes){bytes + end[i - 1], end[i] - end[i - 1]};
}

LKI_INLINE size_t
node_size(const node *n)
{
    return n->kind == KIND_LEAF ? leaf_size((const leaf *)n) : ((const inner *)n)->size;
}

/* Prefetches a node: all of it if `whole`, else its header and its cells or children, which are in
 * the first half. */
LKI_INLINE void
word_prefetch(uintptr_t word, bool whole)
{
    const char *start = (const char *)word_node(word);
    uintptr_t hint = (word & TAGS) >> 1;
    uintptr_t size = hint == 0 ? 5 * LKI_LINE
                     : whole   ? hint * PREFETCH_UNIT
                               : LEAF_HEADER + hint * PREFETCH_UNIT / 2;
    for (uintptr_t i = 0; i < size; i += LKI_LINE)
        LKI_PREFETCH(start + i);
}

#endif
