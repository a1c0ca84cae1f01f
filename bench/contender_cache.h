/* SPDX-License-Identifier: MIT
 *
 * How the benchmark opens this library's cache: the contender `cache` and the workloads that put
 * one in front of a database of their own.
 */
#ifndef BENCH_CONTENDER_CACHE_H
#define BENCH_CONTENDER_CACHE_H

#include "bench.h"

/* What lk_cache_open says. */
lk_status cache_open(lk_db *inner, size_t max_items, lk_db **cache);

/* Whether this version has a cache. */
bool cache_is_there(void);

#endif
