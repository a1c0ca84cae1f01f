/* SPDX-License-Identifier: MIT
 *
 * Cells and commits: layout and accessors. With records (chain.h) they are what the store consists
 * of.
 *
 * A cell is one key. Its address is stable as long as a section may see it. Its head is EMPTY,
 * DEAD, or the newest record of a chain. With headers of 16 bytes a key of 32 bytes and 64 bytes of
 * data fill two cache lines.
 */
#ifndef LKI_STORE_CELL_H
#define LKI_STORE_CELL_H

#include <stddef.h>

#include "store/chain.h"

typedef struct lki_commit lki_commit;
typedef struct lki_cell lki_cell;
typedef struct lki_partition lki_partition;
typedef struct lki_queue lki_queue;

/* Kinds of objects that the store retires (reclaim.h), besides those that begin with a
 * lki_object. */
enum lki_kind {
    LKI_RECORD = 1, /* a record apart */
    LKI_CELL,
    LKI_NODE,          /* of an index */
    LKI_TICKET,        /* a ticket: a cell whose removal may be due, see removal.c */
    LKI_INLINE_RECORD, /* the inline record of the cell that the pointer names */
    LKI_PARTITION,
    LKI_COMMIT
};

/* A head: LKI_EMPTY; LKI_DEAD: the cell has left the table; else a lki_record *. */
typedef _Atomic(uintptr_t) lki_head;
#define LKI_DEAD ((uintptr_t)1)

/* A commit word, shared by all records of the commit: one of these, or its stamp << 2. */
enum { LKI_INSTALLING = 1, LKI_READY = 2, LKI_ABORTED = 3 };
struct lki_commit {
    _Atomic(uint64_t) state; /* [P2] */
    _Atomic(uint64_t)
        installed; /* [stat] records so far: shows waiting threads that the owner runs */
};

/* Flags of a cell; the bits above are its room [const]: how many bytes fit after the header of the
 * inline record, in units of 8. */
enum {
    LKI_CELL_PENDING = 1, /* a ticket for this cell exists */
    LKI_CELL_ROOM = 2,    /* the room of the inline record is free */
    LKI_CELL_GONE = 4,
    /* GONE: the cell was disposed of before its inline record, which then frees the cell */
    LKI_CELL_QUEUE = 8, /* [const] lies in a slot of a queue; in neither the set nor the index */
    LKI_CELL_SLAB = 16, /* [const] its memory, with the inline record, belongs to the segment */
    LKI_CELL_ROOM_SHIFT = 5,
    LKI_CELL_ROOM_UNIT = 8
};

struct lki_cell {
    uint32_t hash;             /* [const] half of the key's hash: lki_half_of */
    uint16_t pk_size, sk_size; /* [const] */
    lki_head item;             /* [P1] */
    unsigned char bytes[];     /* pk, sk, padding to 8, the inline record: header and room */
};
enum { LKI_CELL_HEADER = 16, LKI_INLINE_MAX = 256 };
_Static_assert(sizeof(struct lki_cell) == LKI_CELL_HEADER, "keys begin behind two words");

LKI_INLINE const unsigned char *
lki_cell_sk(const lki_cell *cell)
{
    return cell->bytes + cell->pk_size;
}

LKI_INLINE size_t
lki_keys_size(size_t pk_size, size_t sk_size)
{
    return (pk_size + sk_size + 7) & ~(size_t)7;
}

/* The inline record. */
LKI_INLINE lki_record *
lki_cell_record(lki_cell *cell)
{
    return (lki_record *)(void *)(cell->bytes + lki_keys_size(cell->pk_size, cell->sk_size));
}

LKI_INLINE _Atomic(uint16_t) *
lki_cell_flags(const lki_cell *cell)
{
    const unsigned char *inlined = cell->bytes + lki_keys_size(cell->pk_size, cell->sk_size);
    return (_Atomic(uint16_t) *)(uintptr_t)(inlined + offsetof(lki_record, cell));
}

/* Sets flags and room of a cell that is not published. */
LKI_INLINE void
lki_cell_set_flags(lki_cell *cell, unsigned flags, size_t room)
{
    LK_ASSERT(room % LKI_CELL_ROOM_UNIT == 0 && flags >> LKI_CELL_ROOM_SHIFT == 0);
    LK_ASSERT(room / LKI_CELL_ROOM_UNIT <= UINT16_MAX >> LKI_CELL_ROOM_SHIFT);
    room = room / LKI_CELL_ROOM_UNIT << LKI_CELL_ROOM_SHIFT;
    lki_store_relaxed(lki_cell_flags(cell), (uint16_t)(room | flags)); /* published with the cell */
}

LKI_INLINE size_t
lki_room_of(unsigned flags)
{
    return (size_t)(flags >> LKI_CELL_ROOM_SHIFT) * LKI_CELL_ROOM_UNIT;
}

LKI_INLINE size_t
lki_cell_room(const lki_cell *cell)
{
    return lki_room_of(lki_load_relaxed(lki_cell_flags(cell))); /* never changes */
}

/* These two never change. */
LKI_INLINE bool
lki_cell_is_in_queue(const lki_cell *cell)
{
    return (lki_load_relaxed(lki_cell_flags(cell)) & LKI_CELL_QUEUE) != 0;
}

LKI_INLINE bool
lki_cell_is_in_slab(const lki_cell *cell)
{
    return (lki_load_relaxed(lki_cell_flags(cell)) & LKI_CELL_SLAB) != 0;
}

LKI_INLINE size_t
lki_cell_size_of(size_t pk_size, size_t sk_size, size_t room)
{
    return LKI_CELL_HEADER + lki_keys_size(pk_size, sk_size) + LKI_RECORD_HEADER + room;
}

LKI_INLINE size_t
lki_cell_size(const lki_cell *cell)
{
    return lki_cell_size_of(cell->pk_size, cell->sk_size, lki_cell_room(cell));
}

/* Is the cell out of the table? */
LKI_INLINE bool
lki_cell_is_dead(const lki_cell *cell)
{
    return lki_load_acquire(&cell->item) == LKI_DEAD; /* P1 */
}

/* Called before the first record goes into a cell whose head was `seen`.
 *
 * P2b: what leads to a cell, and the clock of stamps. A thread that puts the first record into a
 * cell has found the cell (by set or index, whichever thread put it there), then fences, then swaps
 * the head. A snapshot moves the clock, fences, then looks the cell up. What breaks otherwise: the
 * snapshot has half of a commit, as it does not find the cell of the other half. */
LKI_INLINE void
lki_head_before(uintptr_t seen)
{
    if (LKI_UNLIKELY(seen == LKI_EMPTY))
        lki_fence_seq_cst(); /* P2b: after the search, before the swap */
}

#endif
