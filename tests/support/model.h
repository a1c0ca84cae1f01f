/* SPDX-License-Identifier: MIT
 *
 * The reference model: what the contract says, in the plainest code. One array of keys in order,
 * one mutex, a clock that is set by hand. Nothing here is fast, and nothing is shared with src/.
 *
 * It differs from the store in one thing: its versions are 1, 2, 3, ... Who compares maps one to
 * the other.
 */
#ifndef LATCHKEY_TESTS_MODEL_H
#define LATCHKEY_TESTS_MODEL_H

#include <latchkey/latchkey.h>

typedef struct model model;

/* Of `options`: the lifetimes and the limits, all given. NULL: no memory. */
model *model_new(const lk_memory_options *options);
void model_free(model *m);
void model_set_clock(model *m, int64_t now_ms);
/* The store is LK_LOCKS_ABSENT. */
void model_set_locks_absent(model *m, bool locks_absent);

/* The calls, as in latchkey.h. What they return points into the model, until its next write. */
lk_status model_get(model *m, lk_key key, lk_item *item);
lk_status model_set(model *m, const lk_item *items, size_t count);
lk_status model_delete(model *m, const lk_key *keys, size_t count);
lk_status model_get_lock(model *m, lk_key key, lk_lock *lock);
/* Of one key; see lk_get_locked. */
lk_status model_get_locked(model *m, lk_key key, lk_lock *lock);
/* Up to `room` of the items that the query asks for; *count: how many there are. */
lk_status model_query(model *m, const lk_query *query, lk_item *items, size_t room, size_t *count);

/* The pks that have a live item, in order, up to `room`; how many that are. */
size_t model_partitions(model *m, lk_bytes *pks, size_t room);

/* How many items are live, and how many keys have an item or a lock, live or not. */
size_t model_live(model *m);
size_t model_keys(model *m);
/* Takes out what has expired or lapsed; how many items and locks that were. */
size_t model_sweep(model *m);

/* The arguments alone are wrong in that a key is named twice. */
bool model_names_twice(const lk_write *writes, size_t write_count, const lk_lock *locks,
                       size_t lock_count);
/* memcmp, the shorter first on a tie. */
int model_compare(lk_bytes left, lk_bytes right);

#endif
