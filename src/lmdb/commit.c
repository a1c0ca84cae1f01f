/* SPDX-License-Identifier: MIT
 *
 * Writes of several keys in one step, with or without locks: set, delete, set_atomic, commit. Each
 * is one transaction. Called through the table of operations.
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
    lk_conflict *conflict;
    uint64_t first;                    /* of the versions */
    uint64_t gone[LK_COMMIT_MAX / 64]; /* a bit for each lock that was deleted */
    bool is_late;
    lk_bytes lost; /* the queue of the claim that was lost */
} change;

/* ---- locks ---- */

/* Judges them in the caller's order; LK_RACE sets the conflict. */
static lk_status
locks_check(lki_lmdb_txn *t, const change *c)
{
    for (size_t i = 0; i < c->lock_count; i++) {
        lki_lmdb_key key;
        lki_lmdb_lock row;
        lki_lmdb_key_make(&key, c->locks[i].key);
        lk_status status = lki_lmdb_lock_find(t, &key, &row);
        if (status != LK_OK && status != LK_NOT_FOUND)
            return status;
        uint64_t current = status == LK_OK ? row.version : 0;
        if (current != 0 && current == c->locks[i].version)
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
        status = lki_lmdb_row(t->txn, t->store->in.locks, &key, &row, sizeof row);
        if (status == LK_OK)
            status = lki_lmdb_lock_write(t, &key, &row, c->first + i);
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

static lk_status
write_do(lki_lmdb_txn *t, change *c, const lk_write *write)
{
    lki_lmdb_key key;
    lki_lmdb_push push = {.delay_ms = 0};
    uint64_t version = 0;
    lk_status status = LK_INVALID;
    switch (write->kind) {
    case LK_PUT:
        lki_lmdb_key_make(&key, write->item.key);
        return lki_lmdb_item_put(t, &key, &write->item);
    case LK_PUSH:
        return lki_lmdb_job_push(t, &write->item, &push);
    case LK_DELETE:
        lki_lmdb_key_make(&key, write->item.key);
        status = lki_lmdb_key_remove(t, &key, &version);
        break;
    case LK_ACKNOWLEDGE:
        status = lki_lmdb_job_acknowledge(t, write->claim, &version);
        c->is_late |= status == LK_LATE;
        if (status == LK_LOST)
            c->lost = write->claim->key.pk;
        status = status == LK_LATE ? LK_OK : status;
        break;
    case LK_TOUCH: /* not without the capabilities of these */
    case LK_ADD:
    case LK_RELEASE:
        break;
    }
    if (status == LK_OK && version != 0)
        lock_note_gone(c, version);
    return status;
}

static lk_status
writes_do(lki_lmdb_txn *t, change *c)
{
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < c->count; i++) {
        lki_lmdb_key key;
        if (c->writes != NULL) {
            status = write_do(t, c, &c->writes[i]);
        } else if (c->items != NULL) {
            lki_lmdb_key_make(&key, c->items[i].key);
            status = lki_lmdb_item_put(t, &key, &c->items[i]);
        } else {
            lki_lmdb_key_make(&key, c->keys[i]);
            status = lki_lmdb_key_remove(t, &key, NULL);
        }
    }
    return status;
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

static void
pushes_notify(lki_lmdb *store, const change *c)
{
    for (size_t i = 0; c->writes != NULL && i < c->count; i++)
        if (c->writes[i].kind == LK_PUSH)
            lki_lmdb_notify(store, c->writes[i].item.key.pk, 1);
}

/* Counts a claim for whose loss a commit came to nothing. Where that fails it is not counted. */
static void
loss_count(lki_lmdb *store, lk_bytes pk)
{
    lki_lmdb_txn t;
    if (lki_lmdb_begin(store, &t) != LK_OK)
        return;
    (void)lki_lmdb_end(&t, lki_lmdb_lost_count(&t, pk));
}

static lk_status
change_do(lki_lmdb *store, change *c)
{
    lki_lmdb_txn t;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    status = locks_check(&t, c);
    if (status == LK_OK)
        status = locks_bump(&t, c);
    if (status == LK_OK)
        status = writes_do(&t, c);
    if (status == LK_OK && c->is_late)
        status = LK_LATE;
    bool done = status == LK_OK || status == LK_LATE;
    lki_lmdb_count(&store->commits, done); /* the latch is held until the end */
    lki_lmdb_count(&store->races, status == LK_RACE);
    status = lki_lmdb_end(&t, status);
    if (status == LK_OK || status == LK_LATE) {
        locks_tell(&t, c);
        pushes_notify(store, c);
    } else if (status == LK_LOST) {
        loss_count(store, c->lost);
    }
    return status;
}

/* ---- operations ---- */

/* A set or a delete. */
static lk_status
few_do(lki_lmdb *store, change *c, lki_lmdb_counter *counter)
{
    lki_lmdb_txn t;
    if (c->count == 0)
        return LK_OK;
    lk_status status = lki_lmdb_begin(store, &t);
    if (status != LK_OK)
        return status;
    status = writes_do(&t, c);
    lki_lmdb_count(counter, status == LK_OK ? c->count : 0);
    return lki_lmdb_end(&t, status);
}

lk_status
lki_lmdb_set(void *state, const lk_item *items, size_t count)
{
    lki_lmdb *store = state;
    change c = {.items = items, .count = count};
    return few_do(store, &c, &store->sets);
}

lk_status
lki_lmdb_remove(void *state, const lk_key *keys, size_t count)
{
    lki_lmdb *store = state;
    change c = {.keys = keys, .count = count};
    return few_do(store, &c, &store->deletes);
}

lk_status
lki_lmdb_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
                size_t lock_count, lk_conflict *conflict)
{
    change c = {.writes = writes,
                .count = write_count,
                .locks = locks,
                .lock_count = lock_count,
                .conflict = conflict};
    return change_do(state, &c);
}

lk_status
lki_lmdb_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                    size_t lock_count, lk_conflict *conflict)
{
    change c = {.items = items,
                .count = item_count,
                .locks = locks,
                .lock_count = lock_count,
                .conflict = conflict};
    return change_do(state, &c);
}
