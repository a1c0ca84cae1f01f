/* SPDX-License-Identifier: MIT
 *
 * Memory runs out at any allocation of any call: for every n the n-th one fails, once or with all
 * after it, of the store's allocator and of the default one together. The call says LK_NO_MEMORY or
 * does its work; what is in the store is as before or as after, never between; the same call works
 * once there is memory; and lk_close, also without memory, gives all back.
 *
 * Each scenario runs with its thread attached, detached (its record comes back from the heap of
 * used ones), and new (another thread that stays prepared the store, so that the call makes a
 * record).
 */
#ifndef LATCHKEY_TESTS_SCARCE_H
#define LATCHKEY_TESTS_SCARCE_H

#include "support/kit.h"

enum { MANY = 20, GROWTH = 300, WRITES = 60, WRITE_LOCKS = 30 };

typedef struct rig {
    kit k;
    lk_result *out; /* fresh: the call has to make it grow */
    lk_lock locks[WRITE_LOCKS], locks_before[WRITE_LOCKS];
    size_t lock_count;
    char keys[GROWTH][12];
    lk_stream *stream;
    size_t streamed;
} rig;

typedef struct scenario {
    const char *name;
    void (*prepare)(rig *);
    lk_status (*call)(rig *);
    bool (*before)(rig *); /* holds after LK_NO_MEMORY */
    bool (*after)(rig *);
} scenario;

/* The whole plan above, for one scenario; fails the test with its name. */
void scarce_run(const scenario *s);

/* ---- verbs ---- */

lk_key scarce_key(rig *it, size_t i);
/* Items [from, to), one by one. */
void scarce_fill(rig *it, size_t from, size_t to, const char *data, int64_t expires_at_ms);
/* Locks of the first `count` keys. */
void scarce_lock(rig *it, size_t count);
/* All of [from, to) hold `data`; NULL: none is there. */
bool scarce_all_hold(rig *it, size_t from, size_t to, const char *data);
/* The first MANY hold "old". */
void scarce_prepare_old(rig *it);

#endif
