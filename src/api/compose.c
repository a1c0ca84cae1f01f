/* SPDX-License-Identifier: MIT
 *
 * What the library does for adapters: calls that are put together from others, and the look for
 * keys that a commit names twice. Called by api.c. Only what is exactly the contract's call is put
 * together: a snapshot cannot be made of single reads.
 */
#include "api/compose.h"

#include <stdlib.h>

#include "api/check.h"
#include "base/alloc.h"
#include "base/result.h"

lk_status
lki_compose_get_into(lk_db *db, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    lk_result *result = lk_result_new();
    if (result == NULL)
        return LK_NO_MEMORY;
    lk_status status = lk_get_at(db, key, result);
    if (status == LK_OK && lk_result_item(result, 0) == NULL)
        status = LK_INVALID; /* an adapter that found nothing and says LK_OK */
    if (status == LK_OK)
        status = lki_copy_into(lk_result_item(result, 0)->data, buffer, capacity, size);
    lk_result_free(result);
    return status;
}

lk_status
lki_compose_get_locked(lk_db *db, const lk_key *keys, size_t count, lk_lock *locks,
                       lk_result *result)
{
    const lk_operations *o = &db->operations;
    if ((o->get_lock_at == NULL && o->get_lock == NULL) || o->get_many == NULL)
        return lki_db_lacks(db);
    size_t size;
    if (__builtin_mul_overflow(count, sizeof *locks, &size))
        return LK_NO_MEMORY;
    lk_lock *read = lki_alloc(NULL, size + (size == 0));
    lk_status status = read == NULL ? LK_NO_MEMORY : LK_OK;
    for (size_t i = 0; status == LK_OK && i < count; i++)
        status = lk_get_lock_at(db, &keys[i], &read[i]);
    if (status == LK_OK)
        status = db->operations.get_many(db->state, keys, count, result);
    if (status == LK_OK && count != 0)
        memcpy(locks, read, size);
    lki_free(NULL, read, size + (size == 0));
    return status;
}

lk_status
lki_compose_set_atomic(lk_db *db, const lk_item *items, size_t item_count, lk_lock *locks,
                       size_t lock_count, lk_conflict *conflict)
{
    if (db->operations.commit == NULL)
        return lki_db_lacks(db);
    size_t size = (item_count + 1) * sizeof(lk_write); /* at most LK_COMMIT_MAX */
    lk_write *writes = lki_alloc(NULL, size);
    if (writes == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < item_count; i++)
        writes[i] = (lk_write){.kind = LK_PUT, .item = items[i]};
    lk_status status = LK_OK;
    if ((db->capabilities & LK_CHECKS_DUPLICATES) == 0)
        status = lki_check_duplicates(writes, item_count, locks, lock_count);
    if (status == LK_OK)
        status = db->operations.commit(db->state, writes, item_count, locks, lock_count, conflict);
    lki_free(NULL, writes, size);
    return status;
}

/* ---- keys that are named twice ---- */

static int
key_compare(const void *left, const void *right)
{
    const lk_key *a = *(const lk_key *const *)left, *b = *(const lk_key *const *)right;
    int order = lk_bytes_compare(a->pk, b->pk);
    return order != 0 ? order : lk_bytes_compare(a->sk, b->sk);
}

static bool
keys_have_duplicates(const lk_key **keys, size_t count)
{
    qsort(keys, count, sizeof *keys, key_compare);
    for (size_t i = 1; i < count; i++)
        if (key_compare(&keys[i - 1], &keys[i]) == 0)
            return true;
    return false;
}

/* Of the keys that are there; `locks` besides. */
static lk_status
duplicates_find(const lk_key **keys, size_t count, size_t room, const lk_lock *locks,
                size_t lock_count)
{
    bool twins = keys_have_duplicates(keys, count);
    for (size_t i = 0; i < lock_count; i++)
        keys[i] = &locks[i].key;
    twins = twins || keys_have_duplicates(keys, lock_count);
    lki_free(NULL, keys, room * sizeof *keys);
    return twins ? LK_INVALID : LK_OK;
}

/* Room for so many keys of one kind, and at least one. NULL: no memory. */
static const lk_key **
keys_room(size_t one, size_t other, size_t *room)
{
    *room = (one > other ? one : other) + 1; /* at most LK_COMMIT_MAX */
    return lki_alloc(NULL, *room * sizeof(const lk_key *));
}

lk_status
lki_check_duplicates(const lk_write *writes, size_t write_count, const lk_lock *locks,
                     size_t lock_count)
{
    size_t room, count = 0;
    if (write_count < 2 && lock_count < 2)
        return LK_OK;
    const lk_key **keys = keys_room(write_count, lock_count, &room);
    if (keys == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < write_count; i++) {
        const lk_write *write = &writes[i];
        const lk_key *key = write->kind == LK_ACKNOWLEDGE ? &write->claim->key : &write->item.key;
        if (write->kind != LK_PUSH || key->sk.size != 0) /* a job without an sk has no key yet */
            keys[count++] = key;
    }
    return duplicates_find(keys, count, room, locks, lock_count);
}

lk_status
lki_check_duplicate_items(const lk_item *items, size_t item_count, bool jobs, const lk_lock *locks,
                          size_t lock_count)
{
    size_t room, count = 0;
    if (item_count < 2 && lock_count < 2)
        return LK_OK;
    const lk_key **keys = keys_room(item_count, lock_count, &room);
    if (keys == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < item_count; i++)
        if (!jobs || items[i].key.sk.size != 0)
            keys[count++] = &items[i].key;
    return duplicates_find(keys, count, room, locks, lock_count);
}
