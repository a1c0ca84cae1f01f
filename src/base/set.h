/* SPDX-License-Identifier: MIT
 *
 * Sets of keyed objects: ck_hs, and in front of it a lookaside that readers probe inline. Used by the
 * store's shards and by the cache. An object begins with the low half of the hash of its key; where
 * there is a lookaside, with an lki_keyed. Each set has one writer at a time, under the latch of its
 * owner (`_latched`); readers are in a section and never wait.
 *
 * Guarantees  An object that was added before a find began, and not removed before it ended, is
 *             found.
 * Ordering    P3: see set.c.
 */
#ifndef LKI_BASE_SET_H
#define LKI_BASE_SET_H

#include <ck_hs.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/hash.h"
#include "base/reclaim.h"

/* A bucket of a lookaside is one line: seven objects, and a word with a tag of 8 bits for each, 0
 * for an empty slot. The top byte says that some object of this bucket is in the set alone. */
enum { LKI_BUCKET_SLOTS = 7 };
#define LKI_BUCKET_FULL ((uint64_t)1 << 56)
#define LKI_BUCKET_TAGS ((uint64_t)0x00ffffffffffffff)
#define LKI_BYTES ((uint64_t)0x0101010101010101)
typedef struct lki_bucket {
    _Atomic(uint64_t) tags;                      /* [P3] */
    _Atomic(uintptr_t) object[LKI_BUCKET_SLOTS]; /* [P3] */
} lki_bucket;
_Static_assert(sizeof(lki_bucket) == LKI_LINE, "one line");

/* How an object with a lookaside begins; pk and sk follow, one behind the other, at an offset that
 * is the same for all objects of the set. */
typedef struct lki_keyed {
    uint32_t hash;             /* [const] low half of the key's hash */
    uint16_t pk_size, sk_size; /* [const] */
} lki_keyed;

/* Is this the object of the key? */
typedef bool (*lki_is)(const void *object, const lki_hashed *hashed);

typedef struct lki_set {
    ck_hs_t hs;
    const lki_allocator *allocator;  /* [const] */
    lki_is is;                       /* [const] */
    _Atomic(uintptr_t) *lookaside;   /* [P3] first bucket | log2 of their number; NULL: none */
    size_t count, capacity, removed; /* [latch] */
    _Atomic(size_t) published_count; /* [stat] */
    _Atomic(size_t) generation;      /* [stat] changes when a walk's positions lose their meaning */
} lki_set;

/* `set` is zeroed memory. `lookaside`: where the word of its lookaside is to be, or NULL. False: no
 * memory; lki_set_close is still called. */
bool lki_set_open(lki_set *set, const lki_allocator *allocator, _Atomic(uintptr_t) *lookaside,
                  lki_is is);
/* Frees the set, not the objects. No other thread is there. */
void lki_set_close(lki_set *set);

/* Caller of these: is in a write section with 4 retirements reserved. Add: the set has no object of
 * this key; false: no memory, nothing changed. Remove: the object is in the set. */
bool lki_set_add_latched(lki_set *set, lki_thread *thread, const void *object, uint64_t hash);
void lki_set_remove_latched(lki_set *set, lki_thread *thread, const void *object);

/* The object of a key, by the set alone; NULL: there is none. */
void *lki_set_get(const lki_set *set, const lki_hashed *hashed);
/* Up to `room` objects from position *offset on; fewer only at the end. */
size_t lki_set_walk(const lki_set *set, size_t *offset, void **objects, size_t room);

/* Never 0: that is an empty slot. */
LKI_INLINE uint64_t
lki_set_tag(uint64_t hash)
{
    uint64_t tag = hash >> 32 & 0xff;
    return tag + (tag == 0);
}

LKI_INLINE lki_bucket *
lki_set_bucket(_Atomic(uintptr_t) *lookaside, uint64_t hash)
{
    uintptr_t word = lki_load_acquire(lookaside); /* P3 */
    /* Shifts take the lowest six bits of their count: the number of buckets is in those of the
     * word. */
    uint64_t mask = ((uint64_t)1 << (word & 63)) - 1;
    return (lki_bucket *)(word & ~(uintptr_t)63) + ((uint32_t)hash & mask);
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

/* The object that a bucket names first for this tag, unverified; for prefetching. */
LKI_INLINE const void *
lki_bucket_guess(lki_bucket *bucket, uint64_t tag)
{
    unsigned matches = lki_bucket_matches(lki_load_relaxed(&bucket->tags),
                                          tag); /* nobody dereferences the guess */
    return matches == 0 ? NULL : (const void *)lki_load_relaxed(lki_bucket_object(bucket, matches));
}

/* The object of a key, if it is the first that the bucket names for its tag, as mostly. NULL: it is not;
 * *matches: of the tag; *final: nor is there one elsewhere. Without a branch that depends on the position
 * in the bucket: a wrong guess there would throw away the next call, which an out-of-order core has begun
 * meanwhile. */
LKI_INLINE void *
lki_bucket_first(lki_bucket *bucket, const lki_hashed *hashed, size_t offset, unsigned *matches,
                 bool *final)
{
    uint64_t tags = lki_load_acquire(&bucket->tags);         /* P3: release in lookaside_put */
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

/* The object of a key. NULL: there is none in the bucket; *final: nor in the set. */
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
