/* SPDX-License-Identifier: MIT
 *
 * For scenarios of what happens in the midst of a call on two keys: all schedules in which the
 * call, or what another thread does meanwhile, stops at one of its points, and the other one goes
 * on to its end there, or to where it gives way.
 */
#ifndef LKI_SCHEDULE_MIDST_H
#define LKI_SCHEDULE_MIDST_H

#include "adapter/handle.h"
#include "schedule/one_store.h"
#include "store/find.h"
#include "store/head.h"
#include "store/store.h"

enum { KEYS = 2, LONG = 50, OLD = 1, MINE, ITS, SET, SWEEPS = 4 };

static const lk_key keys[KEYS] = {{{"partition", 9}, {"sort-key-a", 10}},
                                  {{"partition", 9}, {"sort-key-b", 10}}};
static lk_lock locks[KEYS];
static lk_status status;   /* of a commit */
static void (*call)(void); /* in whose midst something happens */
static bool over;          /* it is */

static inline void
call_run(void)
{
    call();
    over = true;
}

static inline void
sweep(void)
{
    for (int i = 0; i < SWEEPS; i++)
        STORE_MUST(lk_sweep(db, 0, NULL));
}

/* 0: no item. */
static inline uint64_t
number_of(lk_key key)
{
    uint64_t number = 0;
    size_t size = 0;
    lk_status found = lk_get_into(db, key, &number, sizeof number, &size);
    if (found != LK_NOT_FOUND)
        STORE_MUST(found);
    return number;
}

static inline bool
hold(uint64_t first, uint64_t second)
{
    return number_of(keys[0]) == first && number_of(keys[1]) == second;
}

static inline lk_lock
lock_of(lk_key key)
{
    lk_lock lock;
    STORE_MUST(lk_get_lock(db, key, &lock));
    return lock;
}

static inline void
set_long(lk_key key)
{
    static const char bytes[LONG];
    lk_item item = {.key = key, .data = {bytes, sizeof bytes}};
    STORE_MUST(lk_set(db, &item, 1));
}

static inline lk_status
set_under(lk_lock *lock, size_t lock_count, uint64_t number, lk_conflict *conflict)
{
    lk_item items[KEYS] = {store_item(keys[0], &number), store_item(keys[1], &number)};
    return lk_set_atomic(db, items, KEYS, lock, lock_count, conflict);
}

static inline void
commit_mine(void)
{
    status = set_under(locks, KEYS, MINE, NULL);
}

static inline void
push_mine(void)
{
    uint64_t number = MINE;
    lk_item items[KEYS] = {store_item(keys[0], &number), store_item(keys[1], &number)};
    STORE_MUST(lk_queue_push(db, items, KEYS, NULL, NULL));
}

static inline void
call_set(void)
{
    store_set(db, keys[0], SET);
}

static inline void
call_delete(void)
{
    STORE_MUST(lk_delete(db, &keys[0], 1));
}

/* Caller: in a section. */
static inline lki_cell *
cell_of(lk_key key)
{
    lki_store *store = db->state;
    lki_hashed hashed = lki_hashed_of(&store->secret, &key);
    return lki_find(store, &hashed);
}

/* One call, and all draws of `begin`. */
#define ALONE(title, begin, first, after)                                                         \
    {                                                                                             \
        .name = title, .prepare = store_prepare, .setup = begin, .body = {first}, .check = after, \
        .teardown = store_teardown, .all = 1, .memory = SCHEDULE_SC                               \
    }

#endif
