/* SPDX-License-Identifier: MIT
 *
 * What the library does for adapters: it puts calls together from others, and checks for keys that
 * a call names twice. Called by api.c and queue.c. A call is put together only where that is
 * exactly what the contract says: a snapshot cannot be made of single reads.
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
        status = lki_check_duplicates(&(lki_named){.items = items, .count = item_count}, locks,
                                      lock_count);
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

/* The key of write `i`; NULL: it has none yet. */
static const lk_key *
write_key(const lki_named *named, size_t i)
{
    if (named->writes == NULL) {
        const lk_key *key = &named->items[i].key;
        return named->jobs && key->sk.size == 0 ? NULL : key;
    }
    const lk_write *write = &named->writes[i];
    const lk_key *key = write->kind == LK_ACKNOWLEDGE ? &write->claim->key : &write->item.key;
    return write->kind == LK_PUSH && key->sk.size == 0 ? NULL : key;
}

lk_status
lki_check_duplicates(const lki_named *named, const lk_lock *locks, size_t lock_count)
{
    if (named->count < 2 && lock_count < 2)
        return LK_OK;
    size_t room = named->count > lock_count ? named->count : lock_count; /* at most LK_COMMIT_MAX */
    size_t count = 0;
    const lk_key **keys = lki_alloc(NULL, room * sizeof *keys);
    if (keys == NULL)
        return LK_NO_MEMORY;
    for (size_t i = 0; i < named->count; i++)
        if (write_key(named, i) != NULL)
            keys[count++] = write_key(named, i);
    bool duplicates = keys_have_duplicates(keys, count);
    for (size_t i = 0; i < lock_count; i++)
        keys[i] = &locks[i].key;
    duplicates = duplicates || keys_have_duplicates(keys, lock_count);
    lki_free(NULL, keys, room * sizeof *keys);
    return duplicates ? LK_INVALID : LK_OK;
}
