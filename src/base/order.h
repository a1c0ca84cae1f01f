/* SPDX-License-Identifier: MIT
 *
 * An ordered set of small entries that any thread may change at any time: a skip list without
 * latches. The queue keeps its ready jobs and its deadlines in such sets. An entry is a byte
 * string with numbers; it is copied in, never changes, and is the set's from its insertion on.
 *
 * Guarantees   Insertion and removal are linearizable. Of all calls that remove an entry exactly
 *              one returns true. A walk goes upwards, finds each entry at most once, and finds
 *              every one that is in the set from the walk's first call to its last.
 * Progress     lki_order_insert, lki_order_remove, lki_order_from: lock-free, also with threads
 *              that stop for ever inside of them. lki_order_first, lki_order_next: they store
 *              nothing and step over at most those entries that are being removed right now.
 * Memory       Nothing is allocated but by lki_entry_new.
 */
#ifndef LKI_BASE_ORDER_H
#define LKI_BASE_ORDER_H

#include "base/reclaim.h"

enum { LKI_ORDER_LEVELS = 16 };

typedef struct lki_entry {
    lki_object object; /* [const] disposes of entries that were retired */
    uint64_t rank;     /* [const] */
    uint64_t from;     /* [const] the caller's; has no part in the order */
    uint64_t to;       /* [const] */
    uint32_t size;     /* [const] of the key */
    uint8_t height;    /* [const] levels that it is linked at: the lowest ones */
    /* [P10b] who is through with it: its inserter, its remover; the second one retires it */
    _Atomic(uint8_t) done;
    /* [P10] the next entry of each level | removal mark; after the last one comes the key */
    _Atomic(uintptr_t) next[];
} lki_entry;

/* Zeroed memory is an empty set. */
typedef struct lki_order {
    _Atomic(uintptr_t) head[LKI_ORDER_LEVELS]; /* [P10] the first entry of each level */
} lki_order;

LKI_INLINE const unsigned char *
lki_entry_key(const lki_entry *entry)
{
    return (const unsigned char *)entry + sizeof *entry + entry->height * sizeof entry->next[0];
}

/* Bytes that the entry takes. */
LKI_INLINE size_t
lki_entry_bytes(const lki_entry *entry)
{
    return sizeof *entry + entry->height * sizeof entry->next[0] + entry->size;
}

/* An entry of the caller's, with a copy of the key, which has at most UINT32_MAX bytes. NULL: no
 * memory. */
lki_entry *lki_entry_new(lki_thread *thread, uint64_t rank, lk_bytes key, uint64_t from,
                         uint64_t to);

/* Frees an entry that was never inserted. NULL is allowed. */
void lki_entry_discard(lki_thread *thread, lki_entry *entry);

/* Puts the entry in its place: by rank, then by key (bytes as memcmp has them; a key stands before
 * those that it begins), then by `to`. True: the entry is the set's, and may be gone already.
 * False: an equal one is there, and the entry is still the caller's.
 * Caller: in a write section, with one retirement reserved. */
bool lki_order_insert(lki_order *order, lki_thread *thread, lki_entry *entry);

/* Takes out the entry that has these. False: there is none, or another call took it.
 * Caller: in a write section, with one retirement reserved. */
bool lki_order_remove(lki_order *order, lki_thread *thread, uint64_t rank, lk_bytes key,
                      uint64_t to);

/* The first entry from this link on that is not being removed. For the two verbs below. */
const lki_entry *lki_order_live(uintptr_t link);

/* The smallest entry; NULL: none. Valid until the caller's section ends. For an empty set this is
 * one load, and a seq_cst one: who announces itself (seq_cst) and then finds nothing here is seen
 * by who inserts and then looks for announcements (seq_cst). Caller: in a section. */
LKI_INLINE const lki_entry *
lki_order_first(const lki_order *order)
{
    uintptr_t link = lki_load_seq_cst(&order->head[0]); /* P10 */
    return LKI_LIKELY(link == 0) ? NULL : lki_order_live(link);
}

/* The smallest entry above this one, which may have been removed since it was found; NULL: none.
 * Caller: still in the section in which it was found. */
LKI_INLINE const lki_entry *
lki_order_next(const lki_entry *entry)
{
    return lki_order_live(lki_load_acquire(&entry->next[0])); /* P10 */
}

/* The smallest entry of at least this rank; NULL: none. Caller: in a write section. */
const lki_entry *lki_order_from(lki_order *order, uint64_t rank);

/* Frees all entries; no other thread is there. The set is empty then. What was retired is the
 * domain's. */
void lki_order_close(lki_order *order, const lki_allocator *allocator);

/* For checks at level 2: walks every level. The number of entries, or SIZE_MAX if an invariant is
 * broken. No call that changes the set is running, or was abandoned. */
size_t lki_order_check(const lki_order *order);

#endif
