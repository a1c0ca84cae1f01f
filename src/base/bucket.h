/* SPDX-License-Identifier: MIT
 *
 * Buckets of sets, as readers probe them, inline. A bucket has the size of a cache line, so most
 * look-ups miss once for it and once for the object. Writers are in part.c.
 *
 * Ordering    P3: see set.c.
 */
#ifndef LKI_BASE_BUCKET_H
#define LKI_BASE_BUCKET_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/atomic.h"
#include "base/hash.h"

/* A bucket: one line with pointers to seven objects, and a word with a tag of 8 bits for each; tag
 * 0 is an empty slot. The top byte (FULL) says that some object of this bucket did not fit and lies
 * in the part's ck_hs. */
enum { LKI_BUCKET_SLOTS = 7 };
#define LKI_BUCKET_FULL ((uint64_t)1 << 56)
#define LKI_BUCKET_TAGS ((uint64_t)0x00ffffffffffffff)
#define LKI_BYTES ((uint64_t)0x0101010101010101)
typedef struct lki_bucket {
    _Atomic(uint64_t) tags;                      /* [P3] */
    _Atomic(uintptr_t) object[LKI_BUCKET_SLOTS]; /* [P3] */
} lki_bucket;
_Static_assert(sizeof(lki_bucket) == LKI_LINE, "one line");

/* How an object begins if readers probe it inline. pk and sk follow, without a gap, at an offset
 * that is the same for all objects of the set. */
typedef struct lki_keyed {
    uint32_t hash;             /* [const] half of the key's hash */
    uint16_t pk_size, sk_size; /* [const] */
} lki_keyed;

/* The half of a hash that places an object: its first 23 bits choose the part, the other 9 the
 * bucket. In the hash the bucket's bits stand where they give its distance in bytes. */
enum { LKI_HALF_BUCKET_BITS = 9, LKI_HALF_BUCKETS = 1 << LKI_HALF_BUCKET_BITS };
LKI_INLINE uint32_t
lki_half_of(uint64_t hash)
{
    uint32_t last = LKI_HALF_BUCKETS - 1;
    return ((uint32_t)(hash >> 32) & ~last) | ((uint32_t)(hash / LKI_LINE) & last);
}
/* A hash that has this half. */
LKI_INLINE uint64_t
lki_half_hash(uint32_t half)
{
    uint32_t last = LKI_HALF_BUCKETS - 1;
    return (uint64_t)(half & ~last) << 32 | (half & last) * LKI_LINE;
}

/* The tag of a hash; never 0. */
LKI_INLINE uint64_t
lki_set_tag(uint64_t hash)
{
    uint64_t tag = hash >> 24 & 0xff;
    return tag + (tag == 0);
}

/* Is this the object of a short key? `offset`: of the key's bytes in the object. The hash need not
 * be compared: the tag matched, and the bytes decide. */
LKI_INLINE bool
lki_keyed_is_short(const void *object, size_t offset, const lk_key *key)
{
    const lki_keyed *keyed = object;
    size_t pk_size = keyed->pk_size;
    if (LKI_UNLIKELY(keyed->sk_size != key->sk.size) || LKI_UNLIKELY(pk_size != key->pk.size))
        return false;
    /* Each pk and sk is compared by its first and its last eight bytes, which overlap. */
    const unsigned char *end = object, *half = key->pk.data;
    if (LKI_UNLIKELY(lki_word_at(end + offset) != lki_word_at(half)))
        return false;
    end += pk_size;
    if (LKI_UNLIKELY(lki_word_at(end + offset - 8) != lki_word_at(half + pk_size - 8)))
        return false;
    LKI_RELOAD();
    half = key->sk.data;
    if (LKI_UNLIKELY(lki_word_at(end + offset) != lki_word_at(half)))
        return false;
    LKI_RELOAD();
    end += key->sk.size;
    return LKI_LIKELY(lki_word_at(end + offset - 8) == lki_word_at(half + key->sk.size - 8));
}

/* The same for any key. */
LKI_INLINE bool
lki_keyed_is(const void *object, size_t offset, const lki_hashed *hashed)
{
    const lk_key *key = hashed->key;
    const lki_keyed *keyed = object;
    const unsigned char *pk = (const unsigned char *)object + offset, *sk = pk + key->pk.size;
    if (LKI_UNLIKELY((keyed->pk_size | (uint32_t)keyed->sk_size << 16) != hashed->sizes))
        return false;
    if (LKI_LIKELY(hashed->is_short))
        return lki_bytes_equal_short(pk, key->pk.data, key->pk.size) &&
               lki_bytes_equal_short(sk, key->sk.data, key->sk.size);
    return lki_bytes_equal_any(pk, key->pk.data, key->pk.size) &&
           lki_bytes_equal_any(sk, key->sk.data, key->sk.size);
}

/* A bit for each slot with the tag of a hash, for lki_bucket_object. */
LKI_INLINE unsigned
lki_bucket_matches(uint64_t tags, uint64_t hash)
{
#ifdef __SSE2__
    /* The tag (fourth byte of the hash, 1 for 0) in all bytes. */
    __m128i wanted = _mm_cvtsi64_si128((long long)hash);
    wanted = _mm_shufflelo_epi16(_mm_unpacklo_epi8(wanted, wanted), 0xff);
    wanted = _mm_max_epu8(wanted, _mm_set1_epi8(1));
    __m128i equal = _mm_cmpeq_epi8(wanted, _mm_cvtsi64_si128((long long)tags));
    return (unsigned)_mm_movemask_epi8(equal) & ((1U << LKI_BUCKET_SLOTS) - 1);
#else
    uint64_t wanted = lki_set_tag(hash) * (LKI_BYTES & LKI_BUCKET_TAGS);
    uint64_t x = (tags & LKI_BUCKET_TAGS) ^ wanted ^ ((uint64_t)0xff << 56);
    x = ~(((x & LKI_BYTES * 0x7f) + LKI_BYTES * 0x7f) | x) & LKI_BYTES << 7;
    return (unsigned)((x >> 7) * UINT64_C(0x0102040810204080) >> 56); /* gathers the bits */
#endif
}

/* The slot of the first match. */
LKI_INLINE _Atomic(uintptr_t) *
lki_bucket_object(lki_bucket *bucket, unsigned matches)
{
#ifdef __x86_64__
    size_t slot; /* gcc 12 would extend its sign */
    __asm__("rep bsfl %1, %k0" : "=r"(slot) : "r"(matches) : "cc");
#else
    size_t slot = (size_t)__builtin_ctz(matches);
#endif
    return (_Atomic(uintptr_t) *)((uintptr_t)bucket->object + slot * sizeof bucket->object[0]);
}

/* The first object with the tag of a hash. The caller compares the key, or only prefetches. */
LKI_INLINE void *
lki_bucket_guess(lki_bucket *bucket, uint64_t hash)
{
    unsigned matches = lki_bucket_matches(lki_load_acquire(&bucket->tags), hash); /* P3 */
    return matches == 0 ? NULL
                        : (void *)lki_load_acquire(lki_bucket_object(bucket, matches)); /* P3 */
}

/* The object of a key, if it is the first one with its tag, as nearly always. NULL: it is not;
 * *matches: slots with the tag; *final: the set has no such object. There is no branch that depends
 * on the slot: a misprediction would discard the next call, which an out-of-order core has begun
 * meanwhile. */
LKI_INLINE void *
lki_bucket_first(lki_bucket *bucket, const lki_hashed *hashed, size_t offset, unsigned *matches,
                 bool *final)
{
    uint64_t tags = lki_load_acquire(&bucket->tags); /* P3: release in lki_part_put */
    *matches = lki_bucket_matches(tags, hashed->hash);
    *final = false;
    if (LKI_UNLIKELY(*matches == 0)) {
        *final = (tags & LKI_BUCKET_FULL) == 0;
        return NULL;
    }
    void *object = (void *)lki_load_acquire(lki_bucket_object(bucket, *matches)); /* P3 */
    /* The lines behind the key are needed soon: without these prefetches they would be fetched one
     * after the other. */
    LKI_PREFETCH_AT(object, LKI_LINE);
    LKI_PREFETCH_AT(object, 2 * LKI_LINE);
    bool is = hashed->is_short ? lki_keyed_is_short(object, offset, hashed->key)
                               : lki_keyed_is(object, offset, hashed);
    return LKI_LIKELY(is) ? object : NULL;
}

/* The object of a key in the bucket. NULL: there is none; *final: the set has none. */
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
        if (!lki_keyed_is(object, offset, hashed))
            object = NULL;
    }
    return object;
}

#endif
