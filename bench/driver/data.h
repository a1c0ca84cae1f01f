/* SPDX-License-Identifier: MIT
 *
 * The synthetic data: N items in partitions of 1,000, 16 bytes of pk, 16 bytes of sk, and values
 * that prove themselves. Keys are text of fixed width, made from an index in a few instructions, so
 * that no table of keys competes for the cache with the store under test.
 *
 * Invariants
 *   I1 sk = 16 hexadecimal digits of a bijection of the index: no two alike, no order among
 *      neighbours.
 *   I2 value = {check, number, filler, number}: `check` is the number exclusive-or what follows
 *      from the sk; the number is there twice, first and last, so that a torn value shows.
 */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include "driver/options.h"
#include "driver/workload.h"

#include <string.h>

#define DATA_PARTITION_ITEMS 1000
#define DATA_PARTITION_LEAST 10 /* there are pks for partitions so small */
#define DATA_VALUE_MIN 24
#define DATA_VALUE_MAX (64 * 1024)
#define DATA_LEAST 1000000 /* keys can be made for so many indexes, however few are loaded */

extern const struct bench_source data_source;
/* The first thousand of them: what fits into a cache of a processor. */
extern const struct bench_source data_thousand_source;
/* The first 100,000 of them, each read once after loading: what fits into a cache. */
extern const struct bench_source data_few_source;

/* What a source of synthetic data is made of, beside its name and its number of items. */
#define DATA_CALLS                                                                \
    .open = data_open, .load = data_load, .count = data_count, .read = data_read, \
    .key_name = data_key_name
bool data_open(const char **why);
size_t data_load(const struct bench_source *source, const struct bench_contender *contender,
                 void *client);
size_t data_count(const struct bench_source *source);
bool data_read(const struct bench_contender *contender, void *client, size_t index, uint64_t *sum);
void data_key_name(size_t index, char *text, size_t size);

/* Looks at items of any source from the rank `first` on in steps of `step`, before the rank `end`;
 * ranks are those of distributions. Adds the items' numbers to `sum`. Returns how many are wrong.
 */
uint64_t data_verify(const struct bench_source *source, const struct bench_contender *contender,
                     void *client, size_t first, size_t step, size_t end, uint64_t *sum);

/* The numbers of every `step`-th item below `end`, from the first index on, as a client of its own
 * reads them. Adds to `wrong` those that cannot be read or do not prove themselves. */
uint64_t data_sum(const struct bench_contender *contender, void *store, size_t first, size_t step,
                  size_t end, uint64_t *wrong);

/* The text of all pks, one after the other. [const] after data_source.open */
extern const char (*data_pks)[BENCH_KEY_SIZE];

/* The index of the item with the given rank by sk in its partition: ranks of partition p start
 * at p * 1,000. NULL until data_order_open. */
extern const uint32_t *data_order;
bool data_order_open(void);

/* The bytes of one key. */
struct data_text {
    char sk[BENCH_KEY_SIZE];
};

static inline uint64_t
data_hex(uint32_t number)
{
    uint64_t x = number;

    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x | x << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t letters = ((x + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
    return __builtin_bswap64(x + UINT64_C(0x3030303030303030) + letters * 39);
}

static inline size_t
data_partition(size_t index)
{
    return index / DATA_PARTITION_ITEMS;
}

/* The key of number `id` in a partition; ids of items that are loaded are their indexes. */
static inline lk_key
data_key_in(size_t partition, uint64_t id, struct data_text *text)
{
    uint64_t mixed = random_mix(id);
    uint64_t high = data_hex((uint32_t)(mixed >> 32)), low = data_hex((uint32_t)mixed);

    memcpy(text->sk, &high, 8);
    memcpy(text->sk + 8, &low, 8);
    lk_key key = {{data_pks[partition], BENCH_KEY_SIZE}, {text->sk, BENCH_KEY_SIZE}};
    return key;
}

static inline lk_key
data_key(size_t index, struct data_text *text)
{
    return data_key_in(data_partition(index), index, text);
}

/* A key that is not loaded, in the partition that its id's mix names. Ids are numbers out of a
 * worker's sequence, which no other worker or run has. */
static inline lk_key
data_new_key(uint64_t id, struct data_text *text)
{
    size_t partitions = data_partition(bench_options.keys - 1) + 1;

    return data_key_in((size_t)((random_mix(~id) >> 32) * partitions >> 32), id, text);
}

/* What tells the values of one key from those of another. */
static inline uint64_t
data_proof(const char *sk)
{
    uint64_t high, low;

    memcpy(&high, sk, 8);
    memcpy(&low, sk + 8, 8);
    return high * UINT64_C(0x9e3779b97f4a7c15) ^ low;
}

static inline uint64_t
data_check(const char *sk, uint64_t number)
{
    return number ^ data_proof(sk);
}

/* Writes what proves a value; the filler stays as it is. */
static inline lk_bytes
data_value(char *value, const char *sk, uint64_t number)
{
    uint64_t check = data_check(sk, number);
    size_t size = bench_options.value_size;

    memcpy(value, &check, 8);
    memcpy(value + 8, &number, 8);
    memcpy(value + size - 8, &number, 8);
    lk_bytes bytes = {value, size};
    return bytes;
}

/* Whether the value is one that somebody wrote for this key; `number` is what it says. */
static inline bool
data_proves(lk_bytes value, const char *sk, uint64_t *number)
{
    const char *bytes = value.data;
    uint64_t check, last;

    if (value.size != bench_options.value_size)
        return false;
    memcpy(&check, bytes, 8);
    memcpy(number, bytes + 8, 8);
    memcpy(&last, bytes + value.size - 8, 8);
    return *number == last && check == data_check(sk, *number);
}

#endif
