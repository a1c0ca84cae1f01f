/* SPDX-License-Identifier: MIT
 *
 * Linearizability: is there an order of the operations, each between its stamps, that a sequential
 * specification explains? Just in time, with a set of what was reached before (Wing, Gong, "Testing
 * and Verifying Concurrent Objects", 1993; Lowe, "Testing for Linearizability", 2017). Exact, for
 * any specification; exponential only in how many operations run at once.
 */
#ifndef LATCHKEY_TESTS_CHECK_SEARCH_H
#define LATCHKEY_TESTS_CHECK_SEARCH_H

#include "check/history.h"

enum { SEARCH_STATE_MAX = 512, SEARCH_LIMIT = 1 << 16 };

typedef struct search_spec {
    const char *law;   /* the first words of a report */
    size_t state_size; /* a state is so many bytes, compared by memcmp: no padding that varies */
    const void *initial;
    const void *context;
    /* Can the operation take effect in `state`, in its way number `way`? Then `state` is changed,
     * and it is true. `*more`: there may be further ways, with larger numbers. */
    bool (*apply)(const struct search_spec *spec, const history *h, const history_op *op,
                  unsigned way, void *state, bool *more);
} search_spec;

/* `limit`: states held at once, at most; 0: SEARCH_LIMIT. More, or more than 64 operations at once:
 * VERDICT_UNDECIDED. */
verdict search_check(const history *h, const search_spec *spec, size_t limit, report *r);

#endif
