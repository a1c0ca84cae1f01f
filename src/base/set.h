/* SPDX-License-Identifier: MIT
 *
 * Sets of keyed objects, which readers probe inline. Used by the store's shards and by the cache.
 * An object begins with half of the hash of its key (lki_half_of); where readers probe inline, with
 * an lki_keyed. Whoever adds or removes holds the latch of the object's shard (`_latched`): there
 * is one for each value of the first `bits` bits of a hash. Readers are in a section and never
 * wait.
 *
 * Guarantees  An object that was added before a find began, and not removed before it ended, is
 *             found.
 * Ordering    P3: see set.c.
 */
#ifndef LKI_BASE_SET_H
#define LKI_BASE_SET_H

#include "base/bucket.h"
#include "base/latch.h"

/* Is this the object of the key? */
typedef bool (*lki_is)(const void *object, const lki_hashed *hashed);

typedef struct lki_part lki_part;

typedef struct lki_set {
    /* First word of the directory | how far a hash is shifted to be an index. */
    _Atomic(uintptr_t) directory;   /* [P3] */
    const lki_allocator *allocator; /* [const] */
    lki_is is;                      /* [const] */
    size_t buckets_max; /* [const] of a part; beyond that it becomes two. Tests make it less */
    size_t buckets_min; /* [const] of a part */
    lki_latch latch __attribute__((aligned(LKI_LINE))); /* who writes to the directory */
    _Atomic(uint64_t) number; /* [stat] of what was made last and has a number */
} lki_set;

/* Where a walk stands. Zeroed: at the beginning. */
typedef struct lki_set_position {
    uint64_t half;   /* the part that comes next has this half in it; 2^32: none does */
    uint64_t number; /* of that part: of another one positions mean something else */
    uint64_t map;    /* number of its map of objects that did not fit */
    size_t bucket;   /* the next one of the part */
    size_t offset;   /* in the map */
} lki_set_position;

/* `set` is zeroed memory. Room for `expected` objects is made at once. False: no memory, or it
 * would take more than an eighth of what the machine has, and the objects a multiple of that; it is
 * not open. */
bool lki_set_open(lki_set *set, const lki_allocator *allocator, lki_is is, unsigned bits,
                  uint64_t expected);
/* Frees the set, if it is open, not the objects. No other thread is there. */
void lki_set_close(lki_set *set);
LKI_INLINE bool
lki_set_is_open(const lki_set *set)
{
    return lki_load_relaxed(&set->directory) != 0; /* of those who open and close */
}

typedef enum lki_set_added { LKI_SET_ADDED, LKI_SET_HAS_IT, LKI_SET_NO_MEMORY } lki_set_added;

/* Caller of these: is in a write section with 4 retirements reserved. Add: the set has no other
 * object of this key, but perhaps this very one; NO_MEMORY: nothing changed. Remove: the object is
 * in the set; it only tries the directory's latch. */
lki_set_added lki_set_add_latched(lki_set *set, lki_thread *thread, const void *object,
                                  uint64_t hash);
void lki_set_remove_latched(lki_set *set, lki_thread *thread, const void *object);

/* The object of a key, by a call; NULL: there is none. */
void *lki_set_get(const lki_set *set, const lki_hashed *hashed);

/* Up to `room` objects from a position on, at least 7; it looks at no more than `room` buckets, so
 * 0 objects is not the end. What is in the set throughout a walk comes at least once; where nobody
 * adds or removes, once. */
size_t lki_set_walk(const lki_set *set, lki_set_position *position, void **objects, size_t room);
LKI_INLINE bool
lki_set_is_end(const lki_set_position *position)
{
    return position->half >> 32 != 0;
}
/* Visits each object of a set that nobody changes meanwhile; `visit` may free it. */
void lki_set_each(const lki_set *set, void (*visit)(void *context, void *object), void *context);

/* For checks at level 2: walks the whole set, verifies its invariants. How many objects there are;
 * SIZE_MAX: one is broken. No other thread is there. */
size_t lki_set_check(lki_set *set);

/* A word of the directory: {first bucket, in 48 bits | the last one's distance in bytes, which is a
 * mask of hashes}. */
LKI_INLINE uintptr_t
lki_word_of(const lki_bucket *first, size_t buckets)
{
    return (uintptr_t)first << 16 | (buckets - 1) * sizeof(lki_bucket);
}
LKI_INLINE lki_bucket *
lki_word_bucket(uintptr_t word, uint64_t hash)
{
    uint64_t mask = (uint16_t)word;
    __asm__("" : "+r"(mask)); /* here: not of what it has masked */
    return (lki_bucket *)((word >> 16) + (hash & mask));
}

LKI_INLINE lki_bucket *
lki_set_bucket(const lki_set *set, uint64_t hash)
{
    /* Shifts take the lowest six bits of their count: that of the directory is in those of its
     * word. */
    uintptr_t directory = lki_load_acquire(&set->directory); /* P3 */
    _Atomic(uintptr_t) *words = (_Atomic(uintptr_t) *)(directory & ~(uintptr_t)63);
    uintptr_t word = lki_load_acquire(&words[hash >> (directory & 63)]); /* P3 */
    return lki_word_bucket(word, hash);
}

#endif
