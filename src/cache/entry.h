/* SPDX-License-Identifier: MIT
 *
 * An entry of a cache: what a database said of one key, the item or that there is none. Used by the
 * whole room and by the cache's adapter, which copies entries into results.
 *
 * An entry never changes but for its mark `stale` and the policy's notes. It lives as long as
 * somebody has a reference: the table has one, and each load or call that keeps the entry has
 * another. A section keeps what the table had when it began.
 */
#ifndef LKI_CACHE_ENTRY_H
#define LKI_CACHE_ENTRY_H

#include "base/set.h"

typedef struct lki_cached lki_cached;
struct lki_cached {
    lki_keyed keyed;
    uint32_t data_size;      /* [const] */
    bool absent;             /* [const] the database has no such item */
    uint8_t list;            /* [latch] the policy's list that holds it */
    _Atomic(uint8_t) stale;  /* [P17] a write has begun since: not valid any more */
    _Atomic(uint8_t) hits;   /* [stat] as many of the lowest bits as there were hits, up to two */
    int64_t expires_at_ms;   /* [const] of the item */
    int64_t read_at_ms;      /* [const] monotonic clock; only in a cache with a max_age_ms */
    uint64_t partition_word; /* [const] the partition's window when the database was asked */
    uint16_t partition;      /* [const] number of that window */
    bool plain;              /* [const] an item that neither expires nor grows too old */
    _Atomic(uint32_t) references;
    union {
        struct {
            lki_cached *newer, *older; /* [latch] neighbours in the policy's list */
        };
        struct {                    /* exact LRU */
            _Atomic(uint64_t) used; /* [stat] when it was found last */
            uint64_t place;         /* [latch] in the heap */
        };
    };
    uint64_t ranked; /* [latch] exact LRU: `used` as the heap knows it */
    /* pk, sk, data */
    unsigned char bytes[];
};
enum { LKI_CACHED_HEADER = 72 };
_Static_assert(sizeof(lki_cached) == LKI_CACHED_HEADER, "bytes begin behind the header");

LKI_INLINE const unsigned char *
lki_cached_data(const lki_cached *entry)
{
    return entry->bytes + entry->keyed.pk_size + entry->keyed.sk_size;
}

/* Bytes of the whole entry, as they count for max_bytes. */
LKI_INLINE size_t
lki_cached_size(const lki_cached *entry)
{
    return LKI_CACHED_HEADER + (size_t)entry->keyed.pk_size + entry->keyed.sk_size +
           entry->data_size;
}

LKI_INLINE lk_key
lki_cached_key(const lki_cached *entry)
{
    return (lk_key){{entry->bytes, entry->keyed.pk_size},
                    {entry->bytes + entry->keyed.pk_size, entry->keyed.sk_size}};
}

/* Takes a reference, so that the entry lives on after the section in which it was found. The
 * table's lki_cached_release gives it back. */
LKI_INLINE void
lki_cached_hold(lki_cached *entry)
{
    uint32_t before = lki_add_relaxed(&entry->references, 1); /* in a section: the table has one */
    LK_ASSERT(before != 0);
    (void)before;
}

#endif
