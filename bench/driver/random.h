/* SPDX-License-Identifier: MIT
 *
 * Seeded random numbers and the distributions of keys. Used by the driver and by every workload;
 * nothing here is shared between threads.
 */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bijection of 64-bit numbers that looks random: the finaliser of splitmix64 (Steele, Lea,
 * Flood, 2014). */
static inline uint64_t
random_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* xoshiro256** (Blackman, Vigna, 2018). */
struct random_state {
    uint64_t s[4];
};

static inline void
random_seed(struct random_state *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        random->s[i] = random_mix(seed + i * UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t
random_rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t
random_next(struct random_state *random)
{
    uint64_t *s = random->s;
    uint64_t result = random_rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = random_rotate(s[3], 45);
    return result;
}

/* A number below `bound`, which is at most 2^32. */
static inline uint32_t
random_below(struct random_state *random, uint64_t bound)
{
    return (uint32_t)(((random_next(random) >> 32) * bound) >> 32);
}

/* In [0, 1). */
static inline double
random_unit(struct random_state *random)
{
    return (double)(random_next(random) >> 11) * 0x1.0p-53;
}

enum distribution_kind {
    DISTRIBUTION_NONE, /* nothing is drawn */
    DISTRIBUTION_UNIFORM,
    DISTRIBUTION_ZIPF,
    DISTRIBUTION_HOT
};

/* How indexes are drawn: each alike; by rank as 1/rank^theta; or each alike out of the first
 * `hot` only. */
struct distribution {
    enum distribution_kind kind;
    double theta;
    size_t hot;
};

/* Reads "uniform", "zipf:0.99" or "hot:2". */
bool distribution_parse(const char *text, struct distribution *distribution);

/* Writes the same text, for tables. Returns `buffer`. */
const char *distribution_text(const struct distribution *distribution, char *buffer, size_t size);

/* Fills `indexes` with draws below `bound`. Zipf ranks are scattered, so that hot keys are not
 * neighbours. */
void distribution_draw(const struct distribution *distribution, uint64_t seed, size_t bound,
                       uint32_t *indexes, size_t count);

/* The i-th of `bound` indexes in a fixed order without any locality: a bijection below `bound`. */
static inline uint32_t
random_scatter(size_t i, size_t bound)
{
    return (uint32_t)((uint64_t)i * UINT64_C(2654435761) % bound);
}

#endif
