/* SPDX-License-Identifier: MIT
 *
 * Sets of keyed objects, which readers probe inline. Used by the store's shards and by the cache. An
 * object begins with the low half of the hash of its key; where readers probe inline, with an
 * lki_keyed. Whoever adds or removes holds the latch of the object's shard (`_latched`): there is one
 * for each value of the first `bits` bits of a low half. Readers are in a section and never wait.
 *
 * Guarantees  An object that was added before a find began, and not removed before it ended, is
 *             found.
 * Ordering    P3: see set.c.
 */
#ifndef LKI_BASE_SET_H
#define LKI_BASE_SET_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/hash.h"
#include "base/latch.h"

/* A bucket is one line: seven objects, and a word with a tag of 8 bits for each, 0 for an empty slot.
 * The top byte says that some object of this bucket did not fit. */
enum { LKI_BUCKET_SLOTS = 7 };
#define LKI_BUCKET_FULL ((uint64_t)1 << 56)
#define LKI_BUCKET_TAGS ((uint64_t)0x00ffffffffffffff)
#define LKI_BYTES ((uint64_t)0x0101010101010101)
typedef struct lki_bucket {
    _Atomic(uint64_t) tags;                      /* [P3] */
    _Atomic(uintptr_t) object[LKI_BUCKET_SLOTS]; /* [P3] */
} lki_bucket;
_Static_assert(sizeof(lki_bucket) == LKI_LINE, "one line");

/* How an object begins that readers probe inline; pk and sk follow, one behind the other, at an offset that
 * is the same for all objects of the set. */
typedef struct lki_keyed {
    uint32_t hash;             /* [const] low half of the key's hash */
    uint16_t pk_size, sk_size; /* [const] */
} lki_keyed;

/* Is this the object of the key? */
typedef bool (*lki_is)(const void *object, const lki_hashed *hashed);

typedef struct lki_part lki_part;

typedef struct lki_set {
    /* First word of the directory | how far a low half is shifted to be an index. */
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
    uint64_t half;   /* the part that comes next has this low half in it; 2^32: none does */
    uint64_t number; /* of that part: of another one positions mean something else */
    uint64_t map;    /* number of its map of objects that did not fit */
    size_t bucket;   /* the next one of the part */
    size_t offset;   /* in the map */
} lki_set_position;

/* `set` is zeroed memory. Room for `expected` objects is made at once. False: no memory, or it would take
 * more than an eighth of what the machine has, and the objects a multiple of that; it is not open. */
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

/* Caller of these: is in a write section with 4 retirements reserved. Add: the set has no other object
 * of this key, but perhaps this very one; NO_MEMORY: nothing changed. Remove: the object is in the set;
 * it only tries the directory's latch. */
lki_set_added lki_set_add_latched(lki_set *set, lki_thread *thread, const void *object,
                                  uint64_t hash);
void lki_set_remove_latched(lki_set *set, lki_thread *thread, const void *object);

/* The object of a key, by a call; NULL: there is none. */
void *lki_set_get(const lki_set *set, const lki_hashed *hashed);

/* Up to `room` objects from a position on, at least 7; it looks at no more than `room` buckets, so 0
 * objects is not the end. What is in the set throughout a walk comes at least once; where nobody adds
 * or removes, once. */
size_t lki_set_walk(const lki_set *set, lki_set_position *position, void **objects, size_t room);
LKI_INLINE bool
lki_set_is_end(const lki_set_position *position)
{
    return position->half >> 32 != 0;
}

/* For checks at level 2: walks the whole set, verifies its invariants. How many objects there are;
 * SIZE_MAX: one is broken. No other thread is there. */
size_t lki_set_check(lki_set *set);

/* Never 0: that is an empty slot. */
LKI_INLINE uint64_t
lki_set_tag(uint64_t hash)
{
    uint64_t tag = hash >> 32 & 0xff;
    return tag + (tag == 0);
}

LKI_INLINE lki_bucket *
lki_set_bucket(const lki_set *set, uint64_t hash)
{
    /* Shifts take the lowest six bits of their count: the shift, and the logarithm of the number of
     * buckets, are in those of the words. */
    uint32_t half = (uint32_t)hash;
    uintptr_t directory = lki_load_acquire(&set->directory); /* P3 */
    _Atomic(uintptr_t) *words = (_Atomic(uintptr_t) *)(directory & ~(uintptr_t)63);
    uintptr_t word = lki_load_acquire(&words[(uint64_t)half >> (directory & 63)]); /* P3 */
    uint64_t mask = ((uint64_t)1 << (word & 63)) - 1;
    return (lki_bucket *)(word & ~(uintptr_t)63) + (half & mask);
}

/* `offset`: of the bytes of the key in the object. */
LKI_INLINE bool
lki_keyed_is(const void *object, size_t offset, const lki_hashed *hashed)
{
    const lk_key *key = hashed->key;
    const lki_keyed *keyed = object;
    const unsigned char *pk = (const unsigned char *)object + offset, *sk = pk + key->pk.size;
    /* The hash is not compared: the tag was, and the bytes tell. */
    if (LKI_UNLIKELY((keyed->pk_size | (uint32_t)keyed->sk_size << 16) != hashed->sizes))
        return false;
    if (LKI_LIKELY(hashed->is_short))
        return lki_bytes_equal_short(pk, key->pk.data, key->pk.size) &&
               lki_bytes_equal_short(sk, key->sk.data, key->sk.size);
    return lki_bytes_equal_any(pk, key->pk.data, key->pk.size) &&
           lki_bytes_equal_any(sk, key->sk.data, key->sk.size);
}

/* Some bit for each slot whose tag is the lowest byte of `tag` (0 stands for 1), in their order, by
 * lki_bucket_object; without SSE2 perhaps also for others above the first of these. */
LKI_INLINE unsigned
lki_bucket_matches(uint64_t tags, uint64_t tag)
{
#ifdef __SSE2__
    __m128i wanted = _mm_cvtsi64_si128((long long)tag);
    wanted = _mm_shufflelo_epi16(_mm_unpacklo_epi8(wanted, wanted), 0);
    wanted = _mm_max_epu8(wanted, _mm_set1_epi8(1));
    __m128i equal = _mm_cmpeq_epi8(wanted, _mm_cvtsi64_si128((long long)tags));
    return (unsigned)_mm_movemask_epi8(equal) & ((1U << LKI_BUCKET_SLOTS) - 1);
#else
    tag = (tag & 0xff) + ((tag & 0xff) == 0);
    uint64_t x =
        (tags & LKI_BUCKET_TAGS) ^ (tag * (LKI_BYTES & LKI_BUCKET_TAGS)) ^ ((uint64_t)0xff << 56);
    x = (x - LKI_BYTES) & ~x & (LKI_BYTES << 7);
    return (unsigned)(x * UINT64_C(0x0002040810204081) >> 56); /* the high bits side by side */
#endif
}

/* Where the object of the first of some matches is named. */
LKI_INLINE _Atomic(uintptr_t) *
lki_bucket_object(lki_bucket *bucket, unsigned matches)
{
    size_t slot = (unsigned)__builtin_ctz(matches);
    return (_Atomic(uintptr_t) *)((uintptr_t)bucket->object + slot * sizeof bucket->object[0]);
}

/* The object that a bucket names first for this tag; the caller asks lki_keyed_is whether it is the one, or
 * only prefetches. */
LKI_INLINE void *
lki_bucket_guess(lki_bucket *bucket, uint64_t tag)
{
    unsigned matches = lki_bucket_matches(lki_load_acquire(&bucket->tags), tag); /* P3 */
    return matches == 0 ? NULL
                        : (void *)lki_load_acquire(lki_bucket_object(bucket, matches)); /* P3 */
}

/* The object of a key, if it is the first that the bucket names for its tag, as mostly. NULL: it is not;
 * *matches: of the tag; *final: nor is there one elsewhere. Without a branch that depends on the position
 * in the bucket: a wrong guess there would throw away the next call, which an out-of-order core has begun
 * meanwhile. */
LKI_INLINE void *
lki_bucket_first(lki_bucket *bucket, const lki_hashed *hashed, size_t offset, unsigned *matches,
                 bool *final)
{
    uint64_t tags = lki_load_acquire(&bucket->tags);         /* P3: release in lki_part_put */
    *matches = lki_bucket_matches(tags, hashed->hash >> 32); /* lki_set_tag */
    *final = false;
    if (LKI_UNLIKELY(*matches == 0)) {
        *final = (tags & LKI_BUCKET_FULL) == 0;
        return NULL;
    }
    void *object = (void *)lki_load_acquire(lki_bucket_object(bucket, *matches)); /* P3 */
    /* What lies behind the key is found late: without these its lines would be fetched after the
     * first. */
    LKI_PREFETCH_AT(object, LKI_LINE);
    LKI_PREFETCH_AT(object, 2 * LKI_LINE);
    if (LKI_LIKELY(object != NULL) && LKI_LIKELY(lki_keyed_is(object, offset, hashed)))
        return object;
    return NULL;
}

/* The object of a key. NULL: there is none in the bucket; *final: nor elsewhere. */
LKI_INLINE void *
lki_bucket_find(lki_bucket *bucket, const lki_hashed *hashed, size_t offset, bool *final)
{
    unsigned matches;
    void *object = lki_bucket_first(bucket, hashed, offset, &matches, final);
    while (LKI_UNLIKELY(object == NULL) && !*final) {
        matches &= matches - 1;
        if (matches == 0) {
            *final = (lki_load_acquire(&bucket->tags) & LKI_BUCKET_FULL) == 0; /* P3 */
            return NULL;
        }
        object = (void *)lki_load_acquire(lki_bucket_object(bucket, matches)); /* P3 */
        if (object != NULL && !lki_keyed_is(object, offset, hashed))
            object = NULL;
    }
    return object;
}

#endif
