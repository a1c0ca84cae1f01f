/* SPDX-License-Identifier: MIT
 *
 * Policies of eviction, simulated by one thread over numbers: what is in the cache, not what is in
 * its values. Used by the workloads cache-policy*. Each key has a node, found by its number, so
 * that a run costs little more than its lists.
 */
#ifndef BENCH_POLICIES_H
#define BENCH_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_family { POLICY_FIFO, POLICY_LRU, POLICY_CLOCK, POLICY_SIEVE, POLICY_S3_FIFO };

/* What a policy is. The last four are of S3-FIFO. */
struct policy_kind {
    const char *name;
    enum policy_family family;
    unsigned most;    /* hits are counted up to this; 2: two unary bits, 1: one bit */
    unsigned promote; /* hits that bring an item from the small queue to the main one */
    double small;     /* share of the small queue */
    double ghost;     /* keys remembered, per item of the capacity */
    bool kept;        /* an item that is promoted keeps its hits */
};

struct policy;

/* A cache of `capacity` items for keys below `keys`, split by hash over `shards` that know nothing
 * of each other. NULL: out of memory. */
struct policy *policy_open(const struct policy_kind *kind, size_t keys, size_t capacity,
                           unsigned shards);
void policy_close(struct policy *policy);

/* Asks for a key, which is in the cache afterwards. True: it was there before. */
bool policy_ask(struct policy *policy, uint32_t key);

/* Whether the lists hold what they say, and no more than the capacity. */
bool policy_check(const struct policy *policy);

#endif
