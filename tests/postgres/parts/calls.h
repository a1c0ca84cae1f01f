/* SPDX-License-Identifier: MIT
 *
 * Every call of the library, each with what it needs and with a look at what it did: for tests that
 * break it at some point. What was done is judged by another handle, of which nothing breaks.
 */
#ifndef LATCHKEY_TESTS_CALLS_H
#define LATCHKEY_TESTS_CALLS_H

#include <latchkey/latchkey.h>

typedef enum trace { NOTHING, DONE, TORN } trace; /* what a call left */

enum { NAME_ROOM = 40, CLAIMS = 3 };

/* One call on partitions of its own. */
typedef struct run {
    lk_db *db;     /* the call's */
    lk_db *direct; /* who prepares, and looks */
    char pk[NAME_ROOM], other[NAME_ROOM];
    lk_result *result, *seen;
    lk_lock locks[CLAIMS];
    lk_claim claims[CLAIMS];
    char sks[CLAIMS][NAME_ROOM]; /* of the claims */
} run;

typedef struct call {
    const char *name;
    void (*prepare)(run *r);     /* may be NULL */
    lk_status (*make)(run *r);   /* LK_INVALID: it read something else than was there */
    trace (*look)(const run *r); /* NULL: it writes nothing that could be seen */
    lk_status wanted;
    /* Where it breaks in its last exchange with the server, nobody may know. */
    bool may_be_unknown;
    /* Jobs that it claimed in vain come back at their deadline: it may find none. */
    bool may_be_empty;
    bool wants_new_handle;
} call;

extern const call calls[];
extern const unsigned call_count;

#endif
