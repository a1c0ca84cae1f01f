/* SPDX-License-Identifier: MIT
 *
 * The keyed hash against families of keys that defeat hashes without a key, or with key zero: they
 * must spread like random ones under every secret that is not zero. And the twin: under the zero
 * secret one of the families collapses, so the check can fail. And the comparisons and copies of
 * bytes that go with it, at every size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/copy.h"
#include "base/hash.h"
#include "support/scale.h"

enum { KEYS = 1 << 20, BUCKETS = 1 << 16, SECRETS = 4, LOAD_MAX = 3 * (KEYS / BUCKETS) };

static uint64_t
splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void
secret_make(lki_secret *secret, uint64_t seed)
{
    unsigned char *to = (unsigned char *)secret;
    for (size_t i = 0; i < sizeof *secret; i += 8) {
        uint64_t word = splitmix(&seed);
        memcpy(to + i, &word, 8);
    }
}

/* pk of 16 bytes and sk of 16; `family` says where the number i goes. */
static void
key_make(unsigned family, uint64_t i, unsigned char pk[16], unsigned char sk[16])
{
    uint64_t words[4] = {0, 0, 0, 0};
    if (family < 4)
        words[family] = i; /* the other word of that half is zero: its product with key zero, too */
    else if (family == 4)
        words[0] = words[1] = words[2] = words[3] = i;
    else if (family == 5) {
        words[1] = i << 48; /* high bits only */
        words[3] = i << 32;
    } else {
        words[0] = i & 0xff; /* what one half gains the other loses */
        words[2] = i >> 8;
    }
    memcpy(pk, words, 16);
    memcpy(sk, words + 2, 16);
}

static int
hash_compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* How many hashes are repeated, and the fullest bucket. */
static size_t
family_hash(const lki_secret *secret, unsigned family, unsigned *fullest)
{
    static uint64_t hash[KEYS];
    static unsigned load[BUCKETS];
    memset(load, 0, sizeof load);
    *fullest = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        unsigned char pk[16], sk[16];
        key_make(family, i, pk, sk);
        hash[i] = lki_hash_key(secret, &(lk_key){{pk, 16}, {sk, 16}});
        unsigned *at = &load[hash[i] % BUCKETS];
        if (++*at > *fullest)
            *fullest = *at;
    }
    qsort(hash, KEYS, sizeof *hash, hash_compare);
    size_t repeated = 0;
    for (size_t i = 1; i < KEYS; i++)
        repeated += hash[i] == hash[i - 1];
    return repeated;
}

static void
test_hash_of_hostile_families_spreads_under_any_secret(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= test_scaled(SECRETS); seed++) {
        lki_secret secret;
        secret_make(&secret, seed);
        for (unsigned family = 0; family < 7; family++) {
            unsigned fullest;
            assert_int_equal(family_hash(&secret, family, &fullest), 0);
            assert_true(fullest <= LOAD_MAX);
        }
    }
}

static void
test_hash_under_the_zero_secret_collapses(void **unused)
{
    (void)unused;
    lki_secret zero;
    unsigned fullest;
    memset(&zero, 0, sizeof zero);
    assert_true(family_hash(&zero, 0, &fullest) > KEYS / 2);
    assert_true(fullest > LOAD_MAX);
}

static void
test_hash_of_moved_boundaries_and_lengths_differs(void **unused)
{
    (void)unused;
    lki_secret secret;
    secret_make(&secret, 7);
    static const unsigned char text[48] = {0};
    uint64_t hash[48 * 24];
    size_t count = 0;
    for (size_t pk = 1; pk <= 24; pk++)
        for (size_t sk = 0; sk <= 24; sk++)
            hash[count++] = lki_hash_key(&secret, &(lk_key){{text, pk}, {text + pk, sk}});
    qsort(hash, count, sizeof *hash, hash_compare);
    for (size_t i = 1; i < count; i++)
        assert_true(hash[i] != hash[i - 1]);
}

/* The ways that are for keys of some sizes only give what the general one gives. */
static void
test_hash_of_a_short_key_is_that_of_any_key(void **unused)
{
    (void)unused;
    lki_secret secret;
    unsigned char bytes[LKI_SHORT];
    uint64_t seed = 11;
    secret_make(&secret, 11);
    for (size_t pk = 8; pk <= LKI_SHORT; pk++)
        for (size_t sk = 8; sk <= LKI_SHORT; sk++) {
            uint64_t words[2] = {splitmix(&seed), splitmix(&seed)};
            memcpy(bytes, words, sizeof bytes);
            lk_key key = {{bytes, pk}, {bytes + LKI_SHORT - sk, sk}};
            assert_true(lki_key_is_short(&key));
            assert_true(lki_hashed_of_short(&secret, &key).hash == lki_hash_any(&secret, &key));
            assert_true(lki_hash_key(&secret, &key) == lki_hash_any(&secret, &key));
        }
}

enum { BYTES = 300 };

static void
test_bytes_are_equal_where_each_is_at_every_size(void **unused)
{
    (void)unused;
    unsigned char left[BYTES], right[BYTES];
    uint64_t seed = 12;
    for (size_t size = 0; size < BYTES; size++) {
        for (size_t i = 0; i < BYTES; i++)
            left[i] = right[i] = (unsigned char)splitmix(&seed);
        for (size_t at = 0; at < BYTES; at++) {
            right[at] ^= (unsigned char)(1 << at % 8);
            assert_true(lki_bytes_equal(left, right, size) == (at >= size));
            assert_true(lki_bytes_equal_any(left, right, size) == (at >= size));
            right[at] = left[at];
        }
    }
    assert_true(lki_bytes_equal(left, NULL, 0) && lki_bytes_equal_any(NULL, right, 0));
}

static void
test_copies_write_their_bytes_and_no_other_at_every_size(void **unused)
{
    (void)unused;
    unsigned char from[BYTES], to[BYTES + 2];
    uint64_t seed = 13;
    for (size_t size = 0; size <= BYTES; size++) {
        for (size_t i = 0; i < BYTES; i++)
            from[i] = (unsigned char)splitmix(&seed);
        memset(to, 0x5a, sizeof to);
        if (size >= 16 && size <= 32)
            lki_copy_pair(to + 1, from, size);
        else
            lki_copy(to + 1, size == 0 ? NULL : from, size);
        assert_memory_equal(to + 1, from, size);
        lki_copy(to + 1, from, size);
        assert_memory_equal(to + 1, from, size);
        assert_int_equal(to[0], 0x5a);
        for (size_t i = size + 1; i < sizeof to; i++)
            assert_int_equal(to[i], 0x5a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_of_hostile_families_spreads_under_any_secret),
        cmocka_unit_test(test_hash_under_the_zero_secret_collapses),
        cmocka_unit_test(test_hash_of_moved_boundaries_and_lengths_differs),
        cmocka_unit_test(test_hash_of_a_short_key_is_that_of_any_key),
        cmocka_unit_test(test_bytes_are_equal_where_each_is_at_every_size),
        cmocka_unit_test(test_copies_write_their_bytes_and_no_other_at_every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
