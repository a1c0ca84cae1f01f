/* SPDX-License-Identifier: MIT
 *
 * Who has to go: the lists of one shard of a cache. Called by table.c, under the shard's latch.
 *
 * S3-FIFO: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO Queues are All You Need for Cache Eviction", 2023.
 * New entries go through a small queue (a tenth of the capacity); who was found there meanwhile goes
 * on to the main queue, who was not is thrown out and its hash remembered for a while; whose hash is
 * remembered goes to the main queue at once. The main queue gives a second chance for each hit, up
 * to two. Here hits are counted in unary, so that a hit writes at most one bit, and one hit in the
 * small queue is enough.
 *
 * Exact LRU: a heap over the times of use as it last saw them. Times only grow, so the least one that
 * is up to date is the least of all (lazily; hits touch no list).
 */
#ifndef LKI_CACHE_POLICY_H
#define LKI_CACHE_POLICY_H

#include "cache/cache.h"

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

/* Room for one more entry in the lists. False: no memory. */
bool lki_policy_reserve(lki_policy *policy, const lki_allocator *allocator);
/* Is there place for so many bytes more? */
bool lki_policy_has_place(const lki_policy *policy, size_t bytes);
/* The next to go: found in the lists, not taken out. NULL: there is none. */
lki_cached *lki_policy_victim(lki_policy *policy);
/* A new entry; there is place for it. `now`: the cache's tick, for exact LRU. */
void lki_policy_add(lki_policy *policy, lki_cached *entry, uint64_t now);
/* `thrown_out`: by the policy's own choice. */
void lki_policy_remove(lki_policy *policy, lki_cached *entry, bool thrown_out);
/* `entry` takes the place of `old`, wherever that was, if there is place for it; false: `old` is out
 * and `entry` not in. */
bool lki_policy_replace(lki_policy *policy, lki_cached *old, lki_cached *entry);

#endif
