/* SPDX-License-Identifier: MIT
 *
 * How the benchmark opens this library's cache: the contender `cache` and the workloads that put
 * one in front of a database of their own.
 */
#ifndef BENCH_CONTENDER_CACHE_H
#define BENCH_CONTENDER_CACHE_H

#include "driver/bench.h"

/* NULL: it failed. */
lk_db *cache_open(lk_db *inner, lk_cache_policy policy, size_t max_items);

#endif
