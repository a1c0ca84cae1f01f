/* SPDX-License-Identifier: MIT
 *
 * A part of a set: an array of buckets, and a ck_hs of the objects whose bucket is full. Private to
 * set.c and part.c, which are the only ones who know ck_hs. Nothing in a part moves: set.c replaces
 * it as a whole. One writer at a time, under the latch of its shard; readers are in a section.
 */
#ifndef LKI_BASE_PART_H
#define LKI_BASE_PART_H

#include <ck_hs.h>

#include "base/set.h"

struct lki_part {
    lki_block block;   /* first: its lines are the buckets */
    uint64_t number;   /* [const] no other part or map of the set has it */
    uint32_t buckets;  /* [const] a power of two */
    uint32_t depth;    /* [const] first bits that the halves of its objects share */
    size_t count;      /* [latch] */
    size_t taken_out;  /* [latch] of the ck_hs, so far */
    ck_hs_t unfitting; /* without a map while there are none */
};

/* Objects begin with the half of their hash. */
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

/* NULL: no memory. */
lki_part *lki_part_new(lki_set *set, const lki_allocator *allocator, unsigned depth,
                       size_t buckets);
/* Of a part that nobody else knows. NULL is allowed. */
void lki_part_free(lki_set *set, lki_part *part);
/* Of one that nobody can find any more: 2 retirements. */
void lki_part_retire(lki_set *set, lki_thread *thread, lki_part *part);

/* False: no memory, nothing changed. `thread`: NULL where nobody else knows the part yet; else 1
 * retirement is reserved. */
bool lki_part_put(lki_set *set, lki_thread *thread, lki_part *part, uint32_t half, uint64_t tag,
                  const void *object);
/* The object is in the part. */
void lki_part_take(lki_set *set, lki_thread *thread, lki_part *part, const void *object);
/* All objects of `old` into its successors, by the bit behind its depth where there are two. False:
 * no memory. */
bool lki_part_spread(lki_set *set, const lki_part *old, lki_part *made[2]);

/* Is this very object in the part? */
bool lki_part_has(lki_part *part, uint32_t half, uint64_t hash, const void *object);
void *lki_part_get(lki_part *part, const lki_hashed *hashed, lki_is is);
/* What is in one bucket, and what is in the ck_hs: up to `room`, fewer only at the end. */
size_t lki_bucket_walk(lki_bucket *bucket, void **objects);
size_t lki_part_walk_unfitting(lki_part *part, lki_set_position *at, void **objects, size_t room);

/* How many objects there are; SIZE_MAX: an invariant is broken. */
size_t lki_part_check(lki_part *part);

#endif
