/* SPDX-License-Identifier: MIT
 *
 * Keyed hashing of keys: XXH3 (Collet) of pk and of sk under a secret of the store's own, drawn at open, folded together
 * by one wide multiplication. The two halves do not wait for each other, and the hash of pk alone finds the partition.
 */
#ifndef LKI_BASE_HASH_H
#define LKI_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <latchkey/latchkey.h>

#include "base/check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LKI_SECRET_SIZE = 192 };

typedef struct lki_secret {
    unsigned char bytes[LKI_SECRET_SIZE];
    uint64_t fold[2];
} lki_secret;

/* From the kernel's random numbers; false: it has none. */
bool lki_secret_draw(lki_secret *secret);

LKI_INLINE uint64_t
lki_hash_bytes(const lki_secret *secret, lk_bytes bytes)
{
    return XXH3_64bits_withSecret(bytes.data, bytes.size, secret->bytes, LKI_SECRET_SIZE);
}

LKI_INLINE uint64_t
lki_hash_key(const lki_secret *secret, lk_key key)
{
    uint64_t pk = lki_hash_bytes(secret, key.pk), sk = lki_hash_bytes(secret, key.sk);
    unsigned __int128 product = (unsigned __int128)(pk ^ secret->fold[0]) * (sk ^ secret->fold[1]);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Equal bytes? Short keys without a call. */
LKI_INLINE bool
lki_bytes_equal(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;
    uint64_t x, y, difference = 0;
    if (LKI_LIKELY(size >= 8)) {
        size_t last = size - 8;
        for (size_t i = 0; i < last; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            difference |= x ^ y;
        }
        memcpy(&x, a + last, 8);
        memcpy(&y, b + last, 8);
        return (difference | (x ^ y)) == 0;
    }
    for (size_t i = 0; i < size; i++)
        difference |= (uint64_t)(a[i] ^ b[i]);
    return difference == 0;
}

#endif
