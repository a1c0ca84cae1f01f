/* SPDX-License-Identifier: MIT
 *
 * Keys that were made to collide cost a store no more than others: counted, not timed. Families of
 * keys that defeat hashes without a secret, or with the secret zero, and random keys of the same
 * shape: what a set and a get of each cost in accesses to shared words is at most 1.5 times as
 * much, and the memory at most 1.1 times. The twin: with the secret zero, which any of these
 * families knows, it is not so.
 */
#include <sys/random.h>

#include "base/atomic.h"
#include "support/kit.h"

enum { WORDS = 4, IN_ONE = 800000, IN_MANY = 200000, TWIN = 2000 };

static uint64_t accesses;
static bool secret_is_zero;

static void
access_count(void)
{
    accesses++;
}

static uint64_t
mixed(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

/* In place of the system's: a store's secret is the same in each run, or zero. */
ssize_t
getrandom(void *buffer, size_t size, unsigned flags)
{
    unsigned char *bytes = buffer;
    (void)flags;
    for (size_t i = 0; i < size; i++)
        bytes[i] = secret_is_zero ? 0 : (unsigned char)mixed(i);
    return (ssize_t)size;
}

/* ---- families: pk of 16 bytes, sk of 16 ---- */

typedef void family(uint64_t i, uint64_t words[WORDS]);

/* The product of one half with the secret zero is zero, whatever the other is. */
static void
one_hostile(uint64_t i, uint64_t words[WORDS])
{
    words[2 + i % 2] = mixed(i);
}

static void
one_random(uint64_t i, uint64_t words[WORDS])
{
    words[2] = mixed(2 * i);
    words[3] = mixed(2 * i + 1);
}

static void
many_hostile(uint64_t i, uint64_t words[WORDS])
{
    words[i % 2] = mixed(i);
}

static void
many_random(uint64_t i, uint64_t words[WORDS])
{
    words[0] = mixed(2 * i);
    words[1] = mixed(2 * i + 1);
}

/* ---- what they cost ---- */

typedef struct cost {
    uint64_t accesses, bytes;
} cost;

static cost
cost_of(family *make, uint64_t count)
{
    kit k;
    cost of;
    unsigned char value[8];
    size_t size;
    kit_open(&k, NULL);
    accesses = 0;
    lki_yield_hook = access_count;
    for (int reads = 0; reads < 2; reads++)
        for (uint64_t i = 0; i < count; i++) {
            uint64_t words[WORDS] = {0};
            make(i, words);
            lk_key key = {{words, 16}, {words + 2, 16}};
            lk_item item = {.key = key, .data = {&words[3], sizeof words[3]}};
            assert_status(LK_OK, reads ? lk_get_into(k.db, key, value, sizeof value, &size)
                                       : lk_set(k.db, &item, 1));
        }
    lki_yield_hook = NULL;
    of = (cost){accesses, atomic_load(&k.memory.bytes)};
    kit_close(&k);
    return of;
}

static bool
costs_no_more(family *hostile, family *random, uint64_t count)
{
    cost wanted = cost_of(random, count), of = cost_of(hostile, count);
    print_message(
        "%llu keys: %.1f accesses each, random ones %.1f; %.0f bytes each, random ones %.0f\n",
        (unsigned long long)count, (double)of.accesses / (double)count,
        (double)wanted.accesses / (double)count, (double)of.bytes / (double)count,
        (double)wanted.bytes / (double)count);
    return of.accesses * 10 <= wanted.accesses * 15 && of.bytes * 10 <= wanted.bytes * 11;
}

static void
test_flood_of_keys_of_a_partition_costs_no_more_than_random_keys(void **unused)
{
    (void)unused;
    assert_true(costs_no_more(one_hostile, one_random, test_scaled(IN_ONE)));
}

static void
test_flood_of_partitions_costs_no_more_than_random_ones(void **unused)
{
    (void)unused;
    assert_true(costs_no_more(many_hostile, many_random, test_scaled(IN_MANY)));
}

static void
test_flood_that_knows_the_secret_is_noticed(void **unused)
{
    (void)unused;
    secret_is_zero = true;
    assert_false(costs_no_more(one_hostile, one_random, TWIN));
    assert_false(costs_no_more(many_hostile, many_random, TWIN));
    secret_is_zero = false;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_of_keys_of_a_partition_costs_no_more_than_random_keys),
        cmocka_unit_test(test_flood_of_partitions_costs_no_more_than_random_ones),
        cmocka_unit_test(test_flood_that_knows_the_secret_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
