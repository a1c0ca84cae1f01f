/* SPDX-License-Identifier: MIT
 *
 * The buckets of sets, and how their objects begin: what readers probe inline. Who changes them is
 * part.c.
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

/* A bucket is one line: seven objects, and a word with a tag of 8 bits for each, 0 for an empty
 * slot. The top byte says that some object of this bucket did not fit. */
enum { LKI_BUCKET_SLOTS = 7 };
#define LKI_BUCKET_FULL ((uint64_t)1 << 56)
#define LKI_BUCKET_TAGS ((uint64_t)0x00ffffffffffffff)
#define LKI_BYTES ((uint64_t)0x0101010101010101)
typedef struct lki_bucket {
    _Atomic(uint64_t) tags;                      /* [P3] */
    _Atomic(uintptr_t) object[LKI_BUCKET_SLOTS]; /* [P3] */
} lki_bucket;
_Static_assert(sizeof(lki_bucket) == LKI_LINE, "one line");

/* How an object begins that readers probe inline; pk and sk follow, one behind the other, at an
 * offset that is the same for all objects of the set. */
typedef struct lki_keyed {
    uint32_t hash;             /* [const] half of the key's hash */
    uint16_t pk_size, sk_size; /* [const] */
} lki_keyed;

/* The half of a hash by which objects are filed: its first 23 bits tell the part, the others the
 * bucket. These stand in the hash where the place of a bucket is in bytes. */
enum { LKI_HALF_BUCKET_BITS = 9, LKI_HALF_BUCKETS = 1 << LKI_HALF_BUCKET_BITS };
LKI_INLINE uint32_t
lki_half_of(uint64_t hash)
{
    uint32_t last = LKI_HALF_BUCKETS - 1;
    return ((uint32_t)(hash >> 32) & ~last) | ((uint32_t)(hash / LKI_LINE) & last);
}
/* A hash with that half. */
LKI_INLINE uint64_t
lki_half_hash(uint32_t half)
{
    uint32_t last = LKI_HALF_BUCKETS - 1;
    return (uint64_t)(half & ~last) << 32 | (half & last) * LKI_LINE;
}

/* Never 0: that is an empty slot. */
LKI_INLINE uint64_t
lki_set_tag(uint64_t hash)
{
    uint64_t tag = hash >> 24 & 0xff;
    return tag + (tag == 0);
}

/* Is this the object of a short key? `offset`: of its bytes in the object. The hash is not
 * compared: the tag was, and the bytes tell. */
LKI_INLINE bool
lki_keyed_is_short(const void *object, size_t offset, const lk_key *key)
{
    const lki_keyed *keyed = object;
    size_t pk_size = keyed->pk_size;
    if (LKI_UNLIKELY(keyed->sk_size != key->sk.size) || LKI_UNLIKELY(pk_size != key->pk.size))
        return false;
    /* The first words of a half lie behind the end of what is before it, the last ones before its
     * own. */
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

/* Of any key. */
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

/* A bit for each slot that has the tag of a hash, in their order, for lki_bucket_object. */
LKI_INLINE unsigned
lki_bucket_matches(uint64_t tags, uint64_t hash)
{
#ifdef __SSE2__
    /* lki_set_tag of each byte: the fourth of the hash, to all places. */
    __m128i wanted = _mm_cvtsi64_si128((long long)hash);
    wanted = _mm_shufflelo_epi16(_mm_unpacklo_epi8(wanted, wanted), 0xff);
    wanted = _mm_max_epu8(wanted, _mm_set1_epi8(1));
    __m128i equal = _mm_cmpeq_epi8(wanted, _mm_cvtsi64_si128((long long)tags));
    return (unsigned)_mm_movemask_epi8(equal) & ((1U << LKI_BUCKET_SLOTS) - 1);
#else
    uint64_t wanted = lki_set_tag(hash) * (LKI_BYTES & LKI_BUCKET_TAGS);
    uint64_t x = (tags & LKI_BUCKET_TAGS) ^ wanted ^ ((uint64_t)0xff << 56);
    x = ~(((x & LKI_BYTES * 0x7f) + LKI_BYTES * 0x7f) | x) & LKI_BYTES << 7;
    return (unsigned)((x >> 7) * UINT64_C(0x0102040810204080) >> 56); /* side by side */
#endif
}

/* Where the object of the first of some matches is named. */
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

/* The object that a bucket names first for the tag of a hash; the caller asks lki_keyed_is whether
 * it is the one, or only prefetches. */
LKI_INLINE void *
lki_bucket_guess(lki_bucket *bucket, uint64_t hash)
{
    unsigned matches = lki_bucket_matches(lki_load_acquire(&bucket->tags), hash); /* P3 */
    return matches == 0 ? NULL
                        : (void *)lki_load_acquire(lki_bucket_object(bucket, matches)); /* P3 */
}

/* The object of a key, if it is the first that the bucket names for its tag, as mostly. NULL: it is
 * not; *matches: of the tag; *final: nor is there one elsewhere. Without a branch that depends on
 * the position in the bucket: a wrong guess there would throw away the next call, which an
 * out-of-order core has begun meanwhile. */
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
    /* What lies behind the key is found late: without these its lines would be fetched after the
     * first. */
    LKI_PREFETCH_AT(object, LKI_LINE);
    LKI_PREFETCH_AT(object, 2 * LKI_LINE);
    bool is = hashed->is_short ? lki_keyed_is_short(object, offset, hashed->key)
                               : lki_keyed_is(object, offset, hashed);
    return LKI_LIKELY(is) ? object : NULL;
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
        if (!lki_keyed_is(object, offset, hashed))
            object = NULL;
    }
    return object;
}

#endif
