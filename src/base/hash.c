/* SPDX-License-Identifier: MIT
 *
 * The secret of the hash; hashing and comparison of byte strings of any size (hash.h).
 */
#include "base/hash.h"

#include <errno.h>
#include <sys/random.h>

#include "base/cancel.h"

bool
lki_secret_draw(lki_secret *secret)
{
    unsigned char *to = (unsigned char *)secret;
    size_t left = sizeof *secret;
    int saved = errno;
    while (left > 0) {
        int before = lki_cancel_forbid();
        ssize_t got = getrandom(to, left, 0);
        lki_cancel_allow(before);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        to += got;
        left -= (size_t)got;
    }
    errno = saved;
    return left == 0;
}

/* A string of up to 16 bytes as two words, which overlap if it is shorter. Different strings of one
 * size have different words. */
static void
short_words(const lk_bytes *bytes, uint64_t word[2])
{
    const unsigned char *at = bytes->data;
    size_t size = bytes->size;
    word[0] = word[1] = 0;
    if (size >= 8) {
        memcpy(&word[0], at, 8);
        memcpy(&word[1], at + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&word[0], at, 4);
        memcpy(&word[1], at + size - 4, 4);
    } else if (size != 0) {
        word[0] = at[0] | (uint64_t)at[size / 2] << 8 | (uint64_t)at[size - 1] << 16;
    }
}

uint64_t
lki_hash_any(const lki_secret *secret, const lk_key *key)
{
    const uint64_t *fold = secret->fold;
    uint64_t word[4];
    if (key->pk.size > 16 || key->sk.size > 16)
        /* One secret for both; the fold makes an exchange of pk and sk visible. */
        return lki_hash_halves(key, lki_hash_bytes(secret, key->pk) ^ fold[0],
                               lki_hash_bytes(secret, key->sk) ^ fold[2]);
    short_words(&key->pk, word);
    short_words(&key->sk, word + 2);
    return lki_hash_halves(key, lki_hash_fold(word[0] ^ fold[0], word[1] ^ fold[1]),
                           lki_hash_fold(word[2] ^ fold[2], word[3] ^ fold[3]));
}

bool
lki_bytes_equal_any(const void *left, const void *right, size_t size)
{
    const unsigned char *a = left, *b = right;
    if (size >= 4)
        return size <= 32 ? lki_bytes_equal(a, b, size) : memcmp(a, b, size) == 0;
    /* Size 0 reads nothing, as the pointer may be NULL. The three bytes are all the bytes of sizes
     * 1 to 3. */
    return size == 0 || (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}
