/* SPDX-License-Identifier: MIT
 *
 * What items and locks may do, in sequence: a specification for search.h. Of one key (the
 * operations of history_of_key: each key is linearizable), or of a few keys at once (commits,
 * get_many and queries are one instant). Of a cache: one key, reads of several split by
 * history_split.
 *
 * Time: a call uses one `now` that it read between its stamps, so an operation may judge by any
 * time between now_begin and now_end. Who writes at a time takes out what has expired then.
 */
#ifndef LATCHKEY_TESTS_CHECK_ITEMS_H
#define LATCHKEY_TESTS_CHECK_ITEMS_H

#include "check/search.h"

enum { ITEMS_KEYS_MAX = 8 };

typedef struct items_cell {
    uint64_t value;   /* 0: no item */
    uint64_t version; /* of the lock; 0: none; HISTORY_ANY: one that nobody has seen yet */
    uint64_t highest; /* that it ever was */
    int64_t expires_ms, lock_expires_ms; /* 0: never */
} items_cell;

typedef struct items_options {
    int64_t lock_ttl_ms;     /* 0: expiries of locks are not judged, and no lock lapses */
    int64_t lock_refresh_ms; /* a lock is renewed within so much of its end; -1: never */
} items_options;

/* Keys 0 to keys - 1, all empty. */
verdict items_check(const history *h, uint32_t keys, const items_options *options, report *r);
/* Each key apart: one verdict, the worst. `keys` of any number. */
verdict items_check_each(const history *h, uint32_t keys, const items_options *options, report *r);

#endif
