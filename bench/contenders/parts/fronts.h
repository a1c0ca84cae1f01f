/* SPDX-License-Identifier: MIT
 *
 * What stands in front of a database in the workloads cache-rate and cache-latency: nothing, the
 * hand-written LRU, this library's cache. Each reads through; whether it was a hit is seen by
 * whether the database was asked.
 */
#ifndef BENCH_FRONTS_H
#define BENCH_FRONTS_H

#include "contenders/parts/lru.h"

enum front_kind { FRONT_NONE, FRONT_LRU, FRONT_CACHE, FRONT_KINDS };

struct front {
    enum front_kind kind;
    lk_db *db;    /* the database: a wrapper around it that counts */
    lk_db *cache; /* FRONT_CACHE */
    size_t capacity;
    struct lru *lru; /* FRONT_LRU */
};

struct front_client {
    struct front *front;
    lk_result *result;
    struct lru_buffer buffer;
};

const char *front_name(enum front_kind kind);

/* Opens an embedded store with the first `items` items of the synthetic data. NULL: it failed. */
lk_db *front_memory_open(size_t items);

/* Puts a front with room for so many items before an embedded store that outlives it; `slow`: with
 * a delay at each call of the database. False: it failed. */
bool front_open(struct front *front, enum front_kind kind, lk_db *memory, bool slow,
                size_t capacity);
void front_close(struct front *front);

bool front_attach(struct front_client *client, struct front *front);
void front_detach(struct front_client *client);

/* Whether the statistics of FRONT_CACHE say what its callers saw: so many gets, so many reads of
 * the database, by one thread `alone` or by several; and it holds no more than it may. True for the
 * others. */
bool front_agrees(const struct front *front, uint64_t gets, uint64_t reads, bool alone);

/* What became of a read. */
enum front_read { FRONT_HIT, FRONT_MISS, FRONT_WRONG };

/* Reads the item of an index and checks that the value is its own. FRONT_MISS: the database was
 * asked by this thread. */
enum front_read front_get(struct front_client *client, size_t index);

#endif
