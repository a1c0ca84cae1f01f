/* SPDX-License-Identifier: MIT
 *
 * Sets of keyed objects, which readers probe inline: a concurrent hash table. It does not own its
 * objects. An object begins with half of the hash of its key (lki_half_of), or, if readers probe
 * inline, with an lki_keyed.
 *
 * Threads      A thread that adds or removes holds the latch of the object's shard (`_latched`);
 *              there is one for each value of the first `bits` bits of a hash. Readers are in a
 *              section and never wait.
 * Guarantees   A find returns each object that was added before it began and not removed before it
 *              ended.
 * Ordering     P3: see set.c.
 */
#ifndef LKI_BASE_SET_H
#define LKI_BASE_SET_H

#include "base/bucket.h"
#include "base/latch.h"

/* Is this the object of the key? */
typedef bool (*lki_is)(const void *object, const lki_hashed *hashed);

typedef struct lki_part lki_part;

typedef struct lki_set {
    /* Address of the directory | how far a hash is shifted to give an index. */
    _Atomic(uintptr_t) directory;   /* [P3] */
    const lki_allocator *allocator; /* [const] */
    lki_is is;                      /* [const] */
    size_t buckets_max; /* [const] of a part; a larger one becomes two. Tests lower it */
    size_t buckets_min; /* [const] of a part */
    lki_latch latch __attribute__((aligned(LKI_LINE))); /* held by writers of the directory */
    _Atomic(uint64_t) number; /* [stat] the last number given to a part or map */
} lki_set;

/* The position of a walk. Zeroed: at the beginning. */
typedef struct lki_set_position {
    uint64_t half;   /* the next part contains this half; 2^32: there is none */
    uint64_t number; /* number of that part: in another one the rest means nothing */
    uint64_t map;    /* number of its ck_hs map */
    size_t bucket;   /* next bucket of the part */
    size_t offset;   /* next word of the map */
} lki_set_position;

/* Opens a set in zeroed memory, with room for `expected` objects. False: no memory, or the room
 * would take more than an eighth of the machine's memory (the objects would take a multiple of
 * that); the set is not open. */
bool lki_set_open(lki_set *set, const lki_allocator *allocator, lki_is is, unsigned bits,
                  uint64_t expected);
/* Frees the set, if it is open, but not the objects. No other thread uses it. */
void lki_set_close(lki_set *set);
LKI_INLINE bool
lki_set_is_open(const lki_set *set)
{
    return lki_load_relaxed(&set->directory) != 0; /* asked by open and close only */
}

typedef enum lki_set_added { LKI_SET_ADDED, LKI_SET_HAS_IT, LKI_SET_NO_MEMORY } lki_set_added;

/* Add and remove. Caller: in a write section with 4 retirements reserved. Add: the set has no other
 * object of this key, but may have this one; NO_MEMORY: nothing changed. Remove: the object is in
 * the set; only tries the directory's latch. */
lki_set_added lki_set_add_latched(lki_set *set, lki_thread *thread, const void *object,
                                  uint64_t hash);
void lki_set_remove_latched(lki_set *set, lki_thread *thread, const void *object);

/* The object of a key, not inline; NULL: none. */
void *lki_set_get(const lki_set *set, const lki_hashed *hashed);

/* Up to `room` objects, at least 7, from a position on. It looks at no more than `room` buckets, so
 * 0 objects is not the end. An object that is in the set during the whole walk comes at least once;
 * exactly once if no thread adds or removes. */
size_t lki_set_walk(const lki_set *set, lki_set_position *position, void **objects, size_t room);
LKI_INLINE bool
lki_set_is_end(const lki_set_position *position)
{
    return position->half >> 32 != 0;
}
/* Visits each object of a set that no thread changes meanwhile; `visit` may free it. */
void lki_set_each(const lki_set *set, void (*visit)(void *context, void *object), void *context);

/* For checks at level 2: verifies the invariants of the whole set. Returns the number of objects;
 * SIZE_MAX: an invariant is broken. No other thread uses the set. */
size_t lki_set_check(lki_set *set);

/* A directory word: {address of the first bucket, in 48 bits | distance of the last one in bytes,
 * which is a mask for hashes}. */
LKI_INLINE uintptr_t
lki_word_of(const lki_bucket *first, size_t buckets)
{
    return (uintptr_t)first << 16 | (buckets - 1) * sizeof(lki_bucket);
}
LKI_INLINE lki_bucket *
lki_word_bucket(uintptr_t word, uint64_t hash)
{
    uint64_t mask = (uint16_t)word;
    __asm__("" : "+r"(mask)); /* mask now, not after the addition */
    return (lki_bucket *)((word >> 16) + (hash & mask));
}

LKI_INLINE lki_bucket *
lki_set_bucket(const lki_set *set, uint64_t hash)
{
    /* A shift uses the lowest six bits of its count: the directory keeps its count there. */
    uintptr_t directory = lki_load_acquire(&set->directory); /* P3 */
    _Atomic(uintptr_t) *words = (_Atomic(uintptr_t) *)(directory & ~(uintptr_t)63);
    uintptr_t word = lki_load_acquire(&words[hash >> (directory & 63)]); /* P3 */
    return lki_word_bucket(word, hash);
}

#endif
