/* SPDX-License-Identifier: MIT
 *
 * Which entry of a shard goes when there is no place for a new one. Called by table.c, under the
 * shard's latch.
 *
 * S3-FIFO: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO Queues are All You Need for Cache Eviction", 2023.
 * New entries go through a small queue (a tenth of the capacity). An entry that was found there
 * meanwhile moves on to the main queue. One that was not found is thrown out, and its hash is
 * remembered for a while; a new entry whose hash is remembered goes to the main queue at once. The
 * main queue gives a second chance for each hit, up to two. Here hits are counted in unary, so that
 * a hit writes at most one bit, and one hit in the small queue is enough.
 *
 * Exact LRU: a heap over the times of use as it last saw them. Hits touch no list. Times only grow,
 * so an entry whose time is up to date, and the least in the heap, is the least of all.
 */
#ifndef LKI_CACHE_POLICY_H
#define LKI_CACHE_POLICY_H

#include "cache/entry.h"

enum { LKI_LIST_SMALL, LKI_LIST_MAIN, LKI_LISTS };

typedef struct lki_cached_list {
    lki_cached *newest, *oldest;
    size_t count, bytes;
} lki_cached_list;

/* A hash that was thrown out of the small queue, and when, counted in such hashes. */
typedef struct lki_ghost {
    uint32_t hash, time;
} lki_ghost;

typedef struct lki_policy {
    bool exact_lru;
    size_t max_items, max_bytes; /* SIZE_MAX: no limit */
    size_t count, bytes;
    lki_cached_list lists[LKI_LISTS];
    lki_ghost *ghosts;
    size_t ghost_room;   /* 0, or a power of two */
    uint32_t ghost_time; /* hashes thrown out so far */
    lki_cached **heap;
    size_t heap_room;
} lki_policy;

void lki_policy_close(lki_policy *policy, const lki_allocator *allocator);

/* Makes room for the policy's own notes on one more entry. False: no memory. */
bool lki_policy_reserve(lki_policy *policy, const lki_allocator *allocator);
/* Is there place for one more entry of so many bytes? */
bool lki_policy_has_place(const lki_policy *policy, size_t bytes);
/* The entry that goes next; it is not taken out. NULL: there is none. */
lki_cached *lki_policy_victim(lki_policy *policy);
/* Adds a new entry, for which there is place. `now`: the cache's tick, for exact LRU. */
void lki_policy_add(lki_policy *policy, lki_cached *entry, uint64_t now);
/* Takes an entry out. `thrown_out`: by the policy's own choice. */
void lki_policy_remove(lki_policy *policy, lki_cached *entry, bool thrown_out);
/* Puts `entry` in the place of `old`, if there is place for its bytes. False: `old` is out and
 * `entry` is not in. */
bool lki_policy_replace(lki_policy *policy, lki_cached *old, lki_cached *entry);
/* For checks at level 2: asserts that lists or heap, counts and bytes agree, and that the shard
 * keeps to its part. Calls `look` for each entry. */
void lki_policy_check(const lki_policy *policy, void (*look)(void *context, lki_cached *entry),
                      void *context);

#endif
