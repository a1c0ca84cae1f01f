/* SPDX-License-Identifier: MIT
 *
 * Which keys are named most often, out of any number of them, in a table of fixed size: the
 * Space-Saving summary (Metwally, Agrawal, El Abbadi, 2005). Each worker has one of its own, for
 * the keys of commits that lost a race; they are merged after the run.
 *
 * Invariants
 *   I1 a key was named at least `count` - `error` times, and at most `count` times.
 *   I2 a key that was named more than `total` / HOT_KEYS times is in the table, for one table and
 *      for merged ones.
 */
#ifndef BENCH_HOT_KEYS_H
#define BENCH_HOT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define HOT_KEYS 32

struct hot_key {
    uint64_t id; /* whatever the caller tells keys by */
    uint64_t count;
    uint64_t error;
};

struct hot_keys {
    uint64_t total;                /* of all keys that were named, those left out included */
    struct hot_key keys[HOT_KEYS]; /* those with count 0 are free */
};

#ifdef __cplusplus
extern "C" {
#endif

void hot_keys_add(struct hot_keys *hot, uint64_t id);

/* Adds what the other has seen. */
void hot_keys_merge(struct hot_keys *hot, const struct hot_keys *other);

/* Sorts by how often a key was named at least, most first. */
void hot_keys_sort(struct hot_keys *hot);

#ifdef __cplusplus
}
#endif

#endif
