/* SPDX-License-Identifier: MIT
 *
 * A part of a set: an array of buckets, and a ck_hs for the objects whose bucket is full. Private
 * to set.c and part.c, the only files that use ck_hs. An object never moves within a part; set.c
 * replaces a part as a whole. One thread changes a part at a time, under the latch of its shard;
 * readers are in a section.
 */
#ifndef LKI_BASE_PART_H
#define LKI_BASE_PART_H

#include <ck_hs.h>

#include "base/set.h"

struct lki_part {
    lki_block block;   /* first; its lines are the buckets */
    uint64_t number;   /* [const] unique among the parts and maps of the set */
    uint32_t buckets;  /* [const] a power of two */
    uint32_t depth;    /* [const] number of first bits that all its objects share */
    size_t count;      /* [latch] */
    size_t taken_out;  /* [latch] removals from the ck_hs so far */
    ck_hs_t unfitting; /* objects that did not fit; has no map while there are none */
};

/* The half of its hash, with which an object begins. */
LKI_INLINE uint32_t
lki_object_half(const void *object)
{
    return *(const uint32_t *)object;
}

LKI_INLINE lki_bucket *
lki_part_bucket(const lki_part *part, uint32_t half)
{
    return (lki_bucket *)part->block.lines + (half & (part->buckets - 1));
}

/* Makes a part. NULL: no memory. */
lki_part *lki_part_new(lki_set *set, const lki_allocator *allocator, unsigned depth,
                       size_t buckets);
/* Frees a part that no other thread knows. NULL is allowed. */
void lki_part_free(lki_set *set, lki_part *part);
/* Retires a part that is not in the directory any more. Uses 2 retirements. */
void lki_part_retire(lki_set *set, lki_thread *thread, lki_part *part);

/* Puts an object into the part. False: no memory, nothing changed. `thread`: NULL if no other
 * thread knows the part; else 1 retirement is reserved. */
bool lki_part_put(lki_set *set, lki_thread *thread, lki_part *part, uint32_t half, uint64_t tag,
                  const void *object);
/* Removes an object, which is in the part. */
void lki_part_take(lki_set *set, lki_thread *thread, lki_part *part, const void *object);
/* Puts all objects of `old` into one new part, or into two by the next bit. False: no memory. */
bool lki_part_spread(lki_set *set, const lki_part *old, lki_part *made[2]);

/* Is this very object in the part? */
bool lki_part_has(lki_part *part, uint32_t half, uint64_t hash, const void *object);
void *lki_part_get(lki_part *part, const lki_hashed *hashed, lki_is is);
/* The objects of one bucket, and those of the ck_hs: up to `room`, fewer only at the end. */
size_t lki_bucket_walk(lki_bucket *bucket, void **objects);
size_t lki_part_walk_unfitting(lki_part *part, lki_set_position *at, void **objects, size_t room);

/* The number of objects; SIZE_MAX: an invariant is broken. */
size_t lki_part_check(lki_part *part);

#endif
