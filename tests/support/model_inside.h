/* SPDX-License-Identifier: MIT
 *
 * What the two halves of the reference model share: model.c has the items, model_queue.c the jobs.
 * The mutex is held by who calls.
 */
#ifndef LATCHKEY_TESTS_MODEL_INSIDE_H
#define LATCHKEY_TESTS_MODEL_INSIDE_H

#include <pthread.h>

#include "support/model.h"

typedef struct model_entry {
    lk_key key; /* of its own memory */
    bool has_item;
    lk_bytes data;
    int64_t expires_at_ms;
    uint64_t version; /* of the lock; 0: none */
    int64_t lock_expires_at_ms;
    bool is_job;    /* and then: */
    bool claimed;   /* else it waits */
    int64_t due_ms; /* monotonic: the deadline, or the end of the delay */
    uint32_t receives;
    uint64_t token;
} model_entry;

struct model {
    pthread_mutex_t mutex;
    model_entry *entries; /* by pk, then sk */
    size_t count, room;
    int64_t now_ms, monotonic_ms;
    int64_t lock_ttl_ms, lock_refresh_ms;
    size_t max_pk_size, max_sk_size, max_data_size;
    bool locks_absent;
    uint64_t last_version, last_token;
    lk_bytes closed[8]; /* queues */
    size_t closed_count;
    /* the keys that the next letters get whose own is taken; of their own memory */
    lk_bytes displaced[64];
    size_t displaced_at, displaced_count;
};

int model_key_compare(lk_key left, lk_key right);
lk_bytes model_bytes_copy(lk_bytes bytes);
/* The first entry that is not before `key`. */
size_t model_entry_position(const model *m, lk_key key);
model_entry *model_entry_find(model *m, lk_key key); /* NULL: none */
model_entry *model_entry_obtain(model *m, lk_key key);
bool model_item_is_live(const model *m, const model_entry *e);

lk_status model_bytes_check(lk_bytes bytes, size_t max);
lk_status model_key_check(const model *m, lk_key key);
lk_status model_item_check(const model *m, const lk_item *item);
lk_status model_locks_check(model *m, const lk_lock *locks, size_t count, lk_conflict *conflict);

/* LK_OK, or what the write of a put, delete, touch or add is refused with. */
lk_status model_write_judge(model *m, const lk_write *write);
/* Of an add that was judged. */
void model_number_add(model *m, const lk_write *write);

/* An item that has expired goes, and its lock with it. */
void model_expired_drop(const model *m, model_entry *e);
/* A job that is there stays one. */
void model_item_put(model *m, const lk_item *item);
void model_key_delete(model *m, lk_key key);
void model_lock_renew(model *m, model_entry *e);

#endif
