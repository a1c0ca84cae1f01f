/* SPDX-License-Identifier: MIT
 *
 * Calls of items and locks that record themselves: one recorder for each thread, over one world. A
 * call that came to nothing (LK_NO_MEMORY and its kin: "nothing was written") leaves no trace, so
 * that the checkers hold the library to that. What is wrong whatever the others did (a status that
 * cannot be, bytes that are nobody's, a query out of order) is in `wrong`.
 */
#ifndef LATCHKEY_TESTS_CHECK_RECORD_H
#define LATCHKEY_TESTS_CHECK_RECORD_H

#include <latchkey/latchkey.h>

#include "check/history.h"

enum { RECORD_MANY = 8, RECORD_VALUE_MAX = 1024 };

/* What all recorders share; constant while they run. */
typedef struct record_world {
    lk_db *db;
    const lk_key *keys; /* key number i is keys[i]; those of one partition ascend */
    uint32_t key_count;
    lk_bytes queue; /* of record_jobs.h */
    /* a commit that acknowledges job 7 puts item "7" of this partition, too; empty: it does not */
    lk_bytes beside;
    uint64_t (*stamp)(void);
    int64_t (*now_ms)(void); /* the store's clock; NULL: time stands still */
    int64_t unix_ms;         /* what its Unix clock is ahead of that, for jobs that expire */
    size_t spread;           /* values are up to so many bytes longer than 16 */
} record_world;

typedef struct recorder {
    const record_world *world;
    lk_result *result;
    uint32_t thread;
    history history;
    const char *wrong; /* static; NULL: nothing */
    lk_status wrong_status;
    /* of record_jobs.h */
    struct record_name *names;
    size_t name_count, name_room;
    lk_item *batch;
    uint32_t batch_room;
} recorder;

/* One item of a commit, or of a call that asks what is there. */
typedef struct record_write {
    lk_write_kind kind; /* LK_TOUCH, LK_ADD; else a put or a delete */
    uint32_t key;
    uint64_t value;  /* of an add: what is added, 1 or more; of others 0: a delete */
    uint64_t number; /* of the delete, where these are counted */
    int64_t expires_ms;
    lk_condition condition;
    uint64_t expected;
} record_write;

/* The room of `r` is kept from the recorder before, if it is zeroed or was in use. */
void record_begin(recorder *r, const record_world *world, uint32_t thread, lk_result *result);
/* So many operations and steps, and as many jobs' names as operations, then fit without an
 * allocation. */
void record_reserve(recorder *r, size_t ops, size_t steps);
void record_free(recorder *r);
/* All histories, one after the other. The first that was wrong, or NULL. */
const recorder *record_merge(const recorder *all, size_t count, history *out);

lk_status record_get(recorder *r, uint32_t key);
lk_status record_get_into(recorder *r, uint32_t key);
lk_status record_get_many(recorder *r, const uint32_t *keys, uint32_t count);
/* Over the world's keys of the query's partition. */
lk_status record_query(recorder *r, const lk_query *query);
lk_status record_set(recorder *r, uint32_t key, uint64_t value, int64_t expires_ms);
lk_status record_delete(recorder *r, uint32_t key, uint64_t number);
/* lk_put_if, lk_touch, lk_add. */
lk_status record_ask(recorder *r, const record_write *write);
lk_status record_get_lock(recorder *r, uint32_t key, lk_lock *lock);
/* Locks of the keys `locked`. LK_OK: `locks` are as lk_commit left them. */
lk_status record_commit(recorder *r, const record_write *writes, uint32_t write_count,
                        lk_lock *locks, const uint32_t *locked, uint32_t lock_count);

/* For calls that are made by hand: the operation's beginning; its end, or (false) nothing came of
 * it. */
void record_call(recorder *r, const char *call);
void record_done(recorder *r, bool happened);
void record_wrong(recorder *r, const char *what, lk_status status);
/* Values that prove themselves. */
size_t record_value(const record_world *world, unsigned char *buffer, uint32_t key, uint64_t value);
/* 0, and `wrong`: they are nobody's. `item` NULL: 0. */
uint64_t record_value_of(recorder *r, const lk_item *item, uint32_t key);

#endif
