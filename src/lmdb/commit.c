/* SPDX-License-Identifier: MIT
 *
 * Writes of one or several keys in one step, under conditions, with or without locks: set, delete,
 * put_if, touch, add, set_atomic, commit, release. Each is one transaction, so that whatever was
 * judged holds at its commit. Called through the table of operations.
 *
 * All locks of a commit get numbers in a row, so what the caller is told afterwards follows from
 * the first of them; and a lock that the same commit deletes is known by its number.
 */
#include "lmdb/claim.h"
#include "lmdb/end.h"
#include "lmdb/item.h"
#include "lmdb/lock.h"
#include "lmdb/operations.h"
#include "lmdb/push.h"
#include "lmdb/reader.h"
#include "lmdb/wait.h"

/* One of writes, items to put, keys to remove. */
typedef struct change {
    const lk_write *writes;
    const lk_item *items;
    const lk_key *keys;
    size_t count;
    lk_lock *locks;
    size_t lock_count;
    lk_conflict *conflict;             /* may be NULL, if there is no lock */
    lki_lmdb_counter *counter;         /* of what is done in this way */
    size_t counts;                     /* as so many */
    int portions;                      /* as of a push */
    uint64_t first;                    /* of the versions */
    uint64_t created;                  /* locks */
    int64_t value;                     /* of the last add */
    uint64_t gone[LK_COMMIT_MAX / 64]; /* a bit for each lock that was deleted */
    bool is_late;
    lk_bytes lost; /* the queue of the claim that was lost */
} change;

/* ---- locks ---- */

/* What the lock's version is; 0: there is none. LK_EXISTS: but an item. */
static lk_status
lock_look(lki_lmdb_txn *t, const lk_lock *lock, uint64_t *current)
{
    lki_lmdb_key key;
    lki_lmdb_lock row;
    lki_lmdb_item item;
    lki_lmdb_key_make(&key, lock->key);
    lk_status status = lki_lmdb_lock_find(t, &key, &row);
    *current = status == LK_OK ? row.version : 0;
    if (status != LK_NOT_FOUND)
        return status;
    status = lki_lmdb_item_find(t->store, t->txn, &key, &item);
    if (status == LK_OK)
        return lk_has_expired(item.expires_at_ms, t->now_ms) ? LK_OK : LK_EXISTS;
    return status == LK_NOT_FOUND ? LK_OK : status;
}

/* Judges them in the caller's order; LK_RACE sets the conflict. One of version 0 is good where
 * there is neither lock nor item. */
static lk_status
locks_check(lki_lmdb_txn *t, const change *c)
{
    for (size_t i = 0; i < c->lock_count; i++) {
        uint64_t current;
        lk_status status = lock_look(t, &c->locks[i], &current);
        if (status < LK_OK)
            return status;
        if (status == LK_OK && current == c->locks[i].version)
            continue;
        *c->conflict = (lk_conflict){i, current, SIZE_MAX};
        return LK_RACE;
    }
    return LK_OK;
}

static lk_status
locks_bump(lki_lmdb_txn *t, change *c)
{
    lk_status status = LK_OK;
    c->first = lki_lmdb_numbers(t, c->lock_count);
    for (size_t i = 0; status == LK_OK && i < c->lock_count; i++) {
        lki_lmdb_key key;
        lki_lmdb_lock row;
        lki_lmdb_key_make(&key, c->locks[i].key);
        status = lki_lmdb_expired_remove(t, &key);
        if (status == LK_OK)
            status = lki_lmdb_row(t->txn, t->store->in.locks, &key, &row, sizeof row);
        bool there = status == LK_OK;
        if (there || status == LK_NOT_FOUND)
            status = lki_lmdb_lock_write(t, &key, there ? &row : NULL, c->first + i);
        c->created += c->locks[i].version == 0;
    }
    return status;
}

/* A lock with this version was deleted. */
static void
lock_note_gone(change *c, uint64_t version)
{
    uint64_t i = version - c->first;
    if (version >= c->first && i < c->lock_count)
        c->gone[i / 64] |= (uint64_t)1 << i % 64;
}

/* ---- writes ---- */

static lk_write
write_at(const change *c, size_t i)
{
    if (c->writes != NULL)
        return c->writes[i];
    if (c->items != NULL)
        return (lk_write){.kind = LK_PUT, .item = c->items[i]};
    return (lk_write){.kind = LK_DELETE, .item = {.key = c->keys[i]}};
}

static lk_status
push_do(lki_lmdb_txn *t, const change *c, const lk_write *write)
{
    lki_lmdb_push push = {.portions = c->portions};
    if (write->push != NULL) {
        push.delay_ms = write->push->delay_ms;
        push.max_depth = write->push->max_depth;
        push.unique = write->push->unique;
    }
    lk_status status = lki_lmdb_job_push(t, &write->item, &push);
    return status == LK_OK ? lki_lmdb_depth_check(t, write->item.key.pk, &push) : status;
}

static lk_status
write_do(lki_lmdb_txn *t, change *c, const lk_write *write)
{
    uint64_t version = 0;
    lk_status status;
    switch (write->kind) {
    case LK_PUSH:
        return push_do(t, c, write);
    case LK_ACKNOWLEDGE:
        status = lki_lmdb_job_acknowledge(t, write->claim, &version);
        break;
    case LK_RELEASE:
        status = lki_lmdb_job_release(t, write->claim, write->delay_ms);
        break;
    default:
        status = lki_lmdb_item_step(t, write, &version, &c->value);
        break;
    }
    if (status == LK_LOST)
        c->lost = write->claim->key.pk;
    c->is_late |= status == LK_LATE;
    if (version != 0)
        lock_note_gone(c, version);
    return status == LK_LATE ? LK_OK : status;
}

static lk_status
writes_do(lki_lmdb_txn *t, change *c)
{
    for (size_t i = 0; i < c->count; i++) {
        lk_write write = write_at(c, i);
        lk_status status = write_do(t, c, &write);
        bool refused =
            status > LK_OK || status == LK_INVALID || status == LK_TOO_BIG || status == LK_BUSY;
        if (refused && c->conflict != NULL && !t->is_crowded)
            *c->conflict = (lk_conflict){SIZE_MAX, 0, i};
        if (status != LK_OK)
            return status;
    }
    return c->is_late ? LK_LATE : LK_OK;
}

/* ---- after the commit ---- */

static void
locks_tell(const lki_lmdb_txn *t, const change *c)
{
    int64_t expires = lki_lmdb_after(t->now_ms, t->store->lock_ttl_ms);
    for (size_t i = 0; i < c->lock_count; i++) {
        bool gone = (c->gone[i / 64] >> i % 64 & 1) != 0;
        c->locks[i].version = gone ? 0 : c->first + i;
        c->locks[i].expires_at_ms = gone ? 0 : expires;
    }
}

/* Waiters hear of a job that is visible, or will be, after the commit, as with a push. */
static void
jobs_notify(lki_lmdb *store, const change *c, int64_t time)
{
    for (size_t i = 0; c->writes != NULL && i < c->count; i++) {
        const lk_write *write = &c->writes[i];
        if (write->kind == LK_PUSH)
            lki_lmdb_notify_after(store, write->item.key.pk, 1, time,
                                  write->push != NULL ? write->push->delay_ms : 0);
        else if (write->kind == LK_RELEASE)
            lki_lmdb_notify_after(store, write->claim->key.pk, 1, time, write->delay_ms);
    }
}

static lk_status
change_try(lki_lmdb *store, change *c, lki_lmdb_txn *t)
{
    lk_status status = lki_lmdb_begin(store, t);
    if (status != LK_OK)
        return status;
    memset(c->gone, 0, sizeof c->gone);
    c->created = 0;
    c->is_late = false;
    status = locks_check(t, c);
    if (status == LK_OK)
        status = locks_bump(t, c);
    if (status == LK_OK)
        status = writes_do(t, c);
    bool done = status == LK_OK || status == LK_LATE;
    lki_lmdb_count(c->counter, done ? c->counts : 0); /* the latch is held until the end */
    lki_lmdb_count(&store->locks_created, done ? c->created : 0);
    lki_lmdb_count(&store->races, status == LK_RACE && !t->is_crowded);
    return lki_lmdb_end(t, status);
}

static lk_status
change_do(lki_lmdb *store, change *c)
{
    lki_lmdb_txn t;
    lk_status status;
    for (c->portions = LKI_LMDB_PORTIONS;; c->portions--) {
        status = change_try(store, c, &t);
        if (status != LK_RACE || !t.is_crowded)
            break;
        status = lki_lmdb_expired_drop(store);
        if (status != LK_OK)
            return status;
    }
    if (status == LK_OK || status == LK_LATE) {
        locks_tell(&t, c);
        jobs_notify(store, c, t.time);
    } else if (status == LK_LOST) {
        lki_lmdb_loss_note(store, c->lost);
    }
    return status;
}

/* ---- operations ---- */

lk_status
lki_lmdb_set(void *state, const lk_item *items, size_t count)
{
    lki_lmdb *store = state;
    change c = {.items = items, .count = count, .counter = &store->sets, .counts = count};
    return count != 0 ? change_do(store, &c) : LK_OK;
}

lk_status
lki_lmdb_remove(void *state, const lk_key *keys, size_t count)
{
    lki_lmdb *store = state;
    change c = {.keys = keys, .count = count, .counter = &store->deletes, .counts = count};
    return count != 0 ? change_do(store, &c) : LK_OK;
}

/* A call that is one write; a release counts as no set. */
static lk_status
one_do(lki_lmdb *store, change *c, const lk_write *write)
{
    *c = (change){
        .writes = write, .count = 1, .counter = &store->sets, .counts = write->kind != LK_RELEASE};
    return change_do(store, c);
}

lk_status
lki_lmdb_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    change c;
    lk_write write = {.kind = LK_PUT, .item = *item, .condition = condition, .expected = expected};
    return one_do(state, &c, &write);
}

lk_status
lki_lmdb_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    change c;
    lk_write write = {.kind = LK_TOUCH, .item = {.key = *key, .expires_at_ms = expires_at_ms}};
    return one_do(state, &c, &write);
}

lk_status
lki_lmdb_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    change c;
    lk_write write = {
        .kind = LK_ADD, .item = {.key = *key, .expires_at_ms = expires_at_ms}, .delta = delta};
    lk_status status = one_do(state, &c, &write);
    if (status == LK_OK)
        *value = c.value;
    return status;
}

lk_status
lki_lmdb_queue_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    change c;
    lk_write write = {.kind = LK_RELEASE, .claim = claim, .delay_ms = delay_ms};
    return one_do(state, &c, &write);
}

lk_status
lki_lmdb_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                size_t lock_count, lk_conflict *conflict)
{
    lki_lmdb *store = state;
    change c = {.writes = writes,
                .count = write_count,
                .locks = locks,
                .lock_count = lock_count,
                .conflict = conflict,
                .counter = &store->commits,
                .counts = 1};
    return change_do(store, &c);
}

lk_status
lki_lmdb_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                    size_t lock_count, lk_conflict *conflict)
{
    lki_lmdb *store = state;
    change c = {.items = items,
                .count = item_count,
                .locks = locks,
                .lock_count = lock_count,
                .conflict = conflict,
                .counter = &store->commits,
                .counts = 1};
    return change_do(store, &c);
}
