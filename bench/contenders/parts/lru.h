/* SPDX-License-Identifier: MIT
 *
 * The cache that people write by hand: a hash map with chains, sized beforehand, a doubly linked
 * list from the newest to the oldest, one mutex over both. Values are copied out under the mutex;
 * memory is allocated and freed outside of it, and on a hit not at all.
 */
#ifndef BENCH_LRU_H
#define BENCH_LRU_H

#include "driver/bench.h"

struct lru;

/* What one thread's values are copied to. Begins zeroed; grows to fit. */
struct lru_buffer {
    char *bytes;
    size_t capacity;
};

/* NULL: out of memory. */
struct lru *lru_open(size_t capacity);
void lru_close(struct lru *lru);

/* False: it is not there, or there is no memory for the buffer. */
bool lru_get(struct lru *lru, const lk_key *key, struct lru_buffer *buffer, lk_bytes *value);

/* Puts or replaces a value; the oldest leaves where there are too many. */
bool lru_set(struct lru *lru, const lk_key *key, lk_bytes value);

bool lru_remove(struct lru *lru, const lk_key *key);

#endif
