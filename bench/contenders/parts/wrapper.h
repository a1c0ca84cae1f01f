/* SPDX-License-Identifier: MIT
 *
 * Small adapters in front of another handle, written with latchkey/adapter.h alone: to see what one
 * more handle costs, to count what a cache asks its database for, and to be a slow database. And
 * the database that caches stand before, which is an embedded store behind such an adapter.
 */
#ifndef BENCH_WRAPPER_H
#define BENCH_WRAPPER_H

#include "driver/contender.h"

#define WRAPPER_DELAY_US 100

enum wrapper_kind {
    WRAPPER_PASS,  /* each call is the same call on the inner handle */
    WRAPPER_EMPTY, /* get finds nothing, and asks nobody */
    WRAPPER_COUNT, /* as PASS, and counts reads of the thread (wrapper_reads) */
    WRAPPER_SLOW   /* as COUNT, and a get sleeps for WRAPPER_DELAY_US first */
};

/* Reads that this thread has made through WRAPPER_COUNT and WRAPPER_SLOW. */
uint64_t wrapper_reads(void);

/* `inner` outlives it. NULL: out of memory. */
lk_db *wrapper_open(lk_db *inner, enum wrapper_kind kind);

/* What a cache of bench_expected stands before. */
struct database {
    lk_db *memory; /* the store itself */
    lk_db *db;     /* the wrapper in front of it */
};

bool database_open(struct database *database);
void database_close(struct database *database);

#endif
