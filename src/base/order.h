/* SPDX-License-Identifier: MIT
 *
 * An ordered set of small entries that any thread may change at any time: a skip list without
 * latches. A queue keeps its ready entries and due entries in such sets. An entry is a byte string
 * with numbers. It is immutable and belongs to the set from its insertion on.
 *
 * Guarantees   Insertion and removal are linearizable. Of all calls that remove one entry exactly
 *              one returns true. A walk goes upwards, finds each entry at most once, and finds
 *              every entry that is in the set from the walk's first call to its last.
 * Progress     lki_order_insert, lki_order_remove, lki_order_from: lock-free, even if threads stop
 *              for ever inside of them. lki_order_first, lki_order_next: store nothing and step
 *              over at most the entries that are being removed at that moment.
 * Memory       Only lki_entry_new allocates.
 */
#ifndef LKI_BASE_ORDER_H
#define LKI_BASE_ORDER_H

#include "base/reclaim.h"

enum { LKI_ORDER_LEVELS = 16 };

typedef struct lki_entry {
    lki_object object; /* [const] frees a retired entry */
    uint64_t rank;     /* [const] */
    uint64_t from;     /* [const] the caller's; not part of the order */
    uint64_t to;       /* [const] */
    uint32_t size;     /* [const] of the key */
    uint8_t height;    /* [const] it is linked at the lowest `height` levels */
    /* [P10b] counts inserter and remover when they have finished; the second one retires the
     * entry */
    _Atomic(uint8_t) done;
    /* [P10] for each level: next entry | removal mark. The key follows the last one. */
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

/* Bytes of the entry. */
LKI_INLINE size_t
lki_entry_bytes(const lki_entry *entry)
{
    return sizeof *entry + entry->height * sizeof entry->next[0] + entry->size;
}

/* Makes an entry, which is the caller's. The key is copied and has at most UINT32_MAX bytes. NULL:
 * no memory. */
lki_entry *lki_entry_new(lki_thread *thread, uint64_t rank, lk_bytes key, uint64_t from,
                         uint64_t to);

/* Frees an entry that was never inserted. NULL is allowed. */
void lki_entry_discard(lki_thread *thread, lki_entry *entry);

/* Inserts the entry in the order of rank, then of key (memcmp; the shorter first on a tie), then of
 * `to`. True: the entry is the set's, and may be freed already. False: an equal entry is there, and
 * this one is still the caller's. Caller: in a write section, with one retirement reserved. */
bool lki_order_insert(lki_order *order, lki_thread *thread, lki_entry *entry);

/* Removes the entry with these values. False: there is none, or another call removed it. Caller: in
 * a write section, with one retirement reserved. */
bool lki_order_remove(lki_order *order, lki_thread *thread, uint64_t rank, lk_bytes key,
                      uint64_t to);

/* The first entry from this link on that is not being removed. For the two functions below. */
const lki_entry *lki_order_live(uintptr_t link);

/* The smallest entry; NULL: none. Valid until the section ends. For an empty set it is one load,
 * seq_cst: if a thread announces itself (seq_cst) and then finds the set empty, a thread that
 * inserts later and then loads announcements (seq_cst) sees it. Caller: in a section. */
LKI_INLINE const lki_entry *
lki_order_first(const lki_order *order)
{
    uintptr_t link = lki_load_seq_cst(&order->head[0]); /* P10 */
    return LKI_LIKELY(link == 0) ? NULL : lki_order_live(link);
}

/* The next entry. This one may have been removed since it was found. NULL: none. Caller: still in
 * the section in which it was found. */
LKI_INLINE const lki_entry *
lki_order_next(const lki_entry *entry)
{
    return lki_order_live(lki_load_acquire(&entry->next[0])); /* P10 */
}

/* The smallest entry of at least this rank; NULL: none. Caller: in a write section. */
const lki_entry *lki_order_from(lki_order *order, uint64_t rank);

/* Frees all entries and empties the set. No other thread uses it. Retired entries belong to the
 * domain. */
void lki_order_close(lki_order *order, const lki_allocator *allocator);

/* For checks at level 2: walks every level. Returns the number of entries; SIZE_MAX: an invariant
 * is broken. No call that changes the set is running or was abandoned. */
size_t lki_order_check(const lki_order *order);

#endif
