/* SPDX-License-Identifier: MIT
 *
 * What the tests of the cache share: a kit's store, a counted database in front of it, a cache in
 * front of that. All memory comes from the kit, which counts it. Calls that are to overlap run in
 * threads of their own.
 */
#ifndef LATCHKEY_TESTS_CACHED_H
#define LATCHKEY_TESTS_CACHED_H

#include "support/counted_db.h"
#include "support/kit.h"

typedef struct cached {
    kit k;
    counted_db inner;
    lk_db *cache;
    uint64_t keys_seen; /* inner.keys when it was looked at last */
    bool open;          /* still, after a test that failed: threads may stand at its gates */
} cached;

/* NULL: 100 items. Fails where a test before this one failed half-way, instead of waiting for its
 * threads. */
void cached_open(cached *c, const lk_cache_options *options);
/* The same over a database that lacks some capabilities. */
void cached_open_without(cached *c, const lk_cache_options *options, uint64_t without);
/* Closes all, and sees that all memory came back. */
void cached_close(cached *c);

/* How many keys the database was asked for since the last call of this. */
uint64_t cached_asked(cached *c);
/* Does a get through the cache give exactly `data`? NULL: LK_NOT_FOUND. */
bool cached_holds(cached *c, lk_key key, const char *data);
/* The same; and does it not ask the database? */
bool cached_hits(cached *c, lk_key key, const char *data);
/* The same; and does it ask the database for that key once? */
bool cached_asks(cached *c, lk_key key, const char *data);
/* Reads a key until it is a hit. */
void cached_warm(cached *c, lk_key key, const char *data);
void cached_set(cached *c, const char *pk, const char *sk, const char *data);
lk_statistics cached_statistics(cached *c);

/* A call in a thread of its own. */
typedef struct later {
    pthread_t thread;
    cached *c;
    lk_status (*call)(cached *c, struct later *self);
    lk_key key;
    const char *data; /* what a set writes */
    lk_status status;
    lk_result *result;
} later;
void later_start(later *l, cached *c, lk_status (*call)(cached *c, later *self), lk_key key,
                 const char *data);
/* Waits for its end; `status` and `result` are there then. */
lk_status later_join(later *l);
void later_free(later *l);
/* The item of `result` has exactly this data. */
bool later_read(const later *l, const char *data);

/* A get of `key` that stands at the gate before or after the database was asked. */
void later_start_leader(later *l, cached *c, lk_key key, enum counted_when when);
/* Opens that gate; the get ends in `wanted`. */
void later_end_leader(later *l, lk_status wanted);
/* Until so many reads have joined others'. */
void cached_await_joined(cached *c, uint64_t count);

lk_status later_get(cached *c, later *self);
lk_status later_set(cached *c, later *self);
lk_status later_delete(cached *c, later *self);

#endif
