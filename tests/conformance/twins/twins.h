/* SPDX-License-Identifier: MIT
 *
 * Twins of the embedded store: an adapter that passes everything on to it, and broken copies of
 * that, each with one operation that does not keep the contract. The conformance suite has to tell
 * them apart. A pass-through is also the least that a wrapper needs.
 */
#ifndef LATCHKEY_CONFORMANCE_TWINS_H
#define LATCHKEY_CONFORMANCE_TWINS_H

#include <stdatomic.h>

#include <latchkey/conformance.h>

enum { CASES_MAX = 4 };

typedef struct twin {
    const char *name;
    lk_operations broken; /* what is not NULL here stands in place of the honest operation */
    int64_t late_ms;      /* of the realtime clock of what stands behind it */
    bool forgets;         /* a reopening finds nothing */
    const char *cases[CASES_MAX]; /* which of the suite's have to fail, each of them */
} twin;

/* State of an adapter. Operations find the store behind it by inner_of. */
typedef struct pass {
    lk_db *inner;
    lk_result *seen; /* for an operation that remembers; one thread at a time */
    atomic_ullong calls;
} pass;

static inline lk_db *
inner_of(void *state)
{
    return ((pass *)state)->inner;
}

extern const twin twins_of_items[], twins_of_conditions[], twins_of_commits[], twins_of_queues[],
    twins_of_figures[];
extern const size_t twins_of_items_count, twins_of_conditions_count, twins_of_commits_count,
    twins_of_queues_count, twins_of_figures_count;

#endif
