/* SPDX-License-Identifier: MIT
 *
 * Keyed hashing of keys, under a secret of the store's own, drawn at open. Each half of a key is
 * hashed for itself, so that the two do not wait for each other: up to 16 bytes by one folded wide
 * multiplication of its keyed words (the round of wyhash, Wang), longer ones by XXH3 (Collet) with
 * the secret; a last multiplication folds the two. Sizes go in, so keys that differ in where pk
 * ends differ. A partition is found by XXH3 of its pk alone.
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
    uint64_t fold[6];
} lki_secret;

/* From the kernel's random numbers; false: it has none. */
bool lki_secret_draw(lki_secret *secret);

LKI_INLINE uint64_t
lki_hash_bytes(const lki_secret *secret, lk_bytes bytes)
{
    return XXH3_64bits_withSecret(bytes.data, bytes.size, secret->bytes, LKI_SECRET_SIZE);
}

LKI_INLINE uint64_t
lki_hash_fold(uint64_t left, uint64_t right)
{
    unsigned __int128 product = (unsigned __int128)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* A short string as two words: its first and its last eight bytes, which overlap. */
LKI_INLINE void
lki_hash_words(lk_bytes bytes, uint64_t word[2])
{
    const unsigned char *at = bytes.data;
    if (LKI_LIKELY(bytes.size >= 8)) {
        memcpy(&word[0], at, 8);
        memcpy(&word[1], at + bytes.size - 8, 8);
        return;
    }
    word[0] = word[1] = 0;
    for (size_t i = 0; i < bytes.size; i++)
        word[0] |= (uint64_t)at[i] << 8 * i;
}

LKI_INLINE uint64_t
lki_hash_key(const lki_secret *secret, const lk_key *key)
{
    const uint64_t *fold = secret->fold;
    uint64_t sizes = key->pk.size << 8 ^ key->sk.size, pk, sk;
    if (LKI_LIKELY(key->pk.size <= 16 && key->sk.size <= 16)) {
        uint64_t p[2], s[2];
        lki_hash_words(key->pk, p);
        lki_hash_words(key->sk, s);
        pk = lki_hash_fold(p[0] ^ fold[0], p[1] ^ fold[1]);
        sk = lki_hash_fold(s[0] ^ fold[2], s[1] ^ fold[3]);
    } else {
        pk = lki_hash_bytes(secret, key->pk);
        sk = lki_hash_bytes(secret, key->sk);
    }
    return lki_hash_fold(pk ^ fold[4] ^ sizes, sk ^ fold[5]);
}

/* A key with its hash, for the time of a call. The key stays where it is: 32 bytes that a caller has just
 * stored word by word are not copied, see lki_key_copy. */
typedef struct lki_hashed {
    const lk_key *key;
    uint64_t hash;
} lki_hashed;

LKI_INLINE lki_hashed
lki_hashed_of(const lki_secret *secret, const lk_key *key)
{
    return (lki_hashed){key, lki_hash_key(secret, key)};
}

/* Word by word: a caller has often just stored the words, and a vector that is loaded over them would wait
 * until they have reached the cache. */
LKI_INLINE void
lki_key_copy(lk_key *to, const lk_key *from)
{
    const void *pk = from->pk.data, *sk = from->sk.data;
    size_t pk_size = from->pk.size, sk_size = from->sk.size;
    __asm__("" : "+r"(pk), "+r"(sk), "+r"(pk_size), "+r"(sk_size)); /* no vectors */
    *to = (lk_key){{pk, pk_size}, {sk, sk_size}};
}

/* Equal bytes? Short keys without a call. */
LKI_INLINE bool
lki_bytes_equal(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;
    uint64_t x[2], y[2], difference = 0;
    if (LKI_LIKELY(size >= 16)) {
        size_t last = size - 16;
        for (size_t i = 0; i < last; i += 16) {
            memcpy(x, a + i, 16);
            memcpy(y, b + i, 16);
            difference |= (x[0] ^ y[0]) | (x[1] ^ y[1]);
        }
        memcpy(x, a + last, 16);
        memcpy(y, b + last, 16);
        return (difference | (x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    if (size >= 8) {
        memcpy(&x[0], a, 8);
        memcpy(&y[0], b, 8);
        memcpy(&x[1], a + size - 8, 8);
        memcpy(&y[1], b + size - 8, 8);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    if (size >= 4) {
        uint32_t p[2], q[2];
        memcpy(&p[0], a, 4);
        memcpy(&q[0], b, 4);
        memcpy(&p[1], a + size - 4, 4);
        memcpy(&q[1], b + size - 4, 4);
        return ((p[0] ^ q[0]) | (p[1] ^ q[1])) == 0;
    }
    for (size_t i = 0; i < size; i++)
        difference |= (uint64_t)(a[i] ^ b[i]);
    return difference == 0;
}

#endif
