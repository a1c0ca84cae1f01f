/* SPDX-License-Identifier: MIT
 *
 * Keyed hashing of keys, and comparison of short byte strings. The secret is drawn when a store
 * opens, so that nobody can choose keys that collide.
 *
 * pk and sk are hashed independently, so that neither waits for the other: up to 16 bytes by one
 * folded wide multiplication of the keyed words (the round of wyhash, Wang), longer ones by XXH3
 * (Collet) with the secret. A last multiplication folds the two hashes, each with its size, so that
 * keys that differ only in where pk ends have different hashes. A partition is found by XXH3 of its
 * pk alone.
 */
#ifndef LKI_BASE_HASH_H
#define LKI_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <latchkey/latchkey.h>

#include "base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LKI_SECRET_SIZE = 192 };

typedef struct lki_secret {
    unsigned char bytes[LKI_SECRET_SIZE];
    uint64_t fold[4];
    uint64_t other; /* for other uses than hashing */
} lki_secret;

/* Draws a secret from the kernel's random numbers. False: there are none. */
bool lki_secret_draw(lki_secret *secret);

LKI_INLINE uint64_t
lki_hash_bytes(const lki_secret *secret, lk_bytes bytes)
{
    return XXH3_64bits_withSecret(bytes.data, bytes.size, secret->bytes, LKI_SECRET_SIZE);
}

LKI_INLINE uint64_t
lki_hash_fold(uint64_t left, uint64_t right)
{
#ifdef __x86_64__
    /* gcc 12 would occupy registers for a pair of words. */
    uint64_t high;
    __asm__("mulq %2" : "+a"(left), "=d"(high) : "r"(right) : "cc");
    return left ^ high;
#else
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#endif
}

/* Both sizes of a key in one number; each has at most 16 bits. */
LKI_INLINE uint32_t
lki_key_sizes(const lk_key *key)
{
    return (uint32_t)key->pk.size | (uint32_t)key->sk.size << 16;
}

/* A short key: pk and sk have 8 to 16 bytes each. Each is two words of eight bytes, which may
 * overlap. */
enum { LKI_SHORT = 16 };
LKI_INLINE bool
lki_key_is_short(const lk_key *key)
{
    return LKI_LIKELY(key->pk.size - 8 <= LKI_SHORT - 8) &&
           LKI_LIKELY(key->sk.size - 8 <= LKI_SHORT - 8);
}

/* All bits of a hash; in small test builds only two of those of the tag (lki_set_tag). */
#define LKI_HASH_BITS LKI_OR_SMALL(UINT64_MAX, ~UINT64_C(0xfc000000))

LKI_INLINE uint64_t
lki_hash_halves(const lk_key *key, uint64_t pk, uint64_t sk)
{
    return lki_hash_fold(sk ^ key->sk.size, pk ^ key->pk.size) & LKI_HASH_BITS;
}

/* Folds a short pk or sk: its first eight bytes and its last eight. */
LKI_INLINE uint64_t
lki_hash_half(const uint64_t fold[2], const lk_bytes *half)
{
    const unsigned char *at = half->data;
    uint64_t first, last;
    memcpy(&first, at, 8);
    memcpy(&last, at + half->size - 8, 8);
    uint64_t folded = lki_hash_fold(first ^ fold[0], last ^ fold[1]);
    __asm__("" : "+r"(folded)); /* fold here, so that the product does not occupy two registers */
    return folded;
}

/* The hash of a short key. */
LKI_INLINE uint64_t
lki_hash_short(const lki_secret *secret, const lk_key *key)
{
    uint64_t pk = lki_hash_half(secret->fold, &key->pk);
    return lki_hash_halves(key, pk, lki_hash_half(secret->fold + 2, &key->sk));
}

/* The hash of any key; the same as lki_hash_short for a short one. */
uint64_t lki_hash_any(const lki_secret *secret, const lk_key *key);

LKI_INLINE uint64_t
lki_hash_key(const lki_secret *secret, const lk_key *key)
{
    return lki_key_is_short(key) ? lki_hash_short(secret, key) : lki_hash_any(secret, key);
}

/* A key and its hash, for the duration of a call. It points to the key: 32 bytes that a caller has
 * just stored word by word are not copied, see lki_key_copy. */
typedef struct lki_hashed {
    const lk_key *key;
    uint64_t hash;
    uint32_t sizes; /* lki_key_sizes */
    bool is_short;  /* lki_key_is_short; false may also mean unknown */
} lki_hashed;

/* Bytes of pk and sk. */
LKI_INLINE size_t
lki_hashed_size(const lki_hashed *hashed)
{
    return (uint16_t)hashed->sizes + (hashed->sizes >> 16);
}

LKI_INLINE lki_hashed
lki_hashed_of(const lki_secret *secret, const lk_key *key)
{
    return (lki_hashed){key, lki_hash_key(secret, key), lki_key_sizes(key), lki_key_is_short(key)};
}

/* The same for a key known to be short; needs fewer registers. */
LKI_INLINE lki_hashed
lki_hashed_of_short(const lki_secret *secret, const lk_key *key)
{
    uint64_t pk = lki_hash_half(secret->fold, &key->pk);
    uint64_t sk = lki_hash_half(secret->fold + 2, &key->sk);
    LKI_RELOAD();
    return (lki_hashed){key, lki_hash_halves(key, pk, sk), lki_key_sizes(key), true};
}

/* Copies a key word by word. A caller has often just stored these words; a vector load over them
 * would wait until they have reached the cache. */
LKI_INLINE void
lki_key_copy(lk_key *to, const lk_key *from)
{
    const void *pk = from->pk.data, *sk = from->sk.data;
    size_t pk_size = from->pk.size, sk_size = from->sk.size;
    __asm__("" : "+r"(pk), "+r"(sk), "+r"(pk_size), "+r"(sk_size)); /* no vectors */
    *to = (lk_key){{pk, pk_size}, {sk, sk_size}};
}

LKI_INLINE uint64_t
lki_word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Are the bytes equal? Any size. */
bool lki_bytes_equal_any(const void *left, const void *right, size_t size);

/* The same for 8 to 16 bytes. */
LKI_INLINE bool
lki_bytes_equal_short(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;
    uint64_t x[2], y[2];
    memcpy(&x[0], a, 8);
    memcpy(&y[0], b, 8);
    memcpy(&x[1], a + size - 8, 8);
    memcpy(&y[1], b + size - 8, 8);
    return LKI_LIKELY(x[0] == y[0]) && LKI_LIKELY(x[1] == y[1]);
}

LKI_INLINE bool
lki_bytes_equal(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;
    uint64_t x[4], y[4];
    if (LKI_LIKELY(size - 8 <= 8))
        return lki_bytes_equal_short(a, b, size);
    if (size - 4 < 4) {
        uint32_t p[2], q[2];
        memcpy(&p[0], a, 4);
        memcpy(&q[0], b, 4);
        memcpy(&p[1], a + size - 4, 4);
        memcpy(&q[1], b + size - 4, 4);
        return ((p[0] ^ q[0]) | (p[1] ^ q[1])) == 0;
    }
    if (LKI_UNLIKELY(size - 16 > 16))
        return lki_bytes_equal_any(a, b, size);
    memcpy(x, a, 16);
    memcpy(y, b, 16);
    memcpy(x + 2, a + size - 16, 16);
    memcpy(y + 2, b + size - 16, 16);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

#endif
