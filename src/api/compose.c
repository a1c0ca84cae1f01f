/* SPDX-License-Identifier: MIT
 *
 * See compose.h.
 */
#include "api/compose.h"

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

lk_status
lki_compose_count(lk_db *db, const lk_query *query, size_t *count)
{
    lk_result *result = lk_result_new();
    if (result == NULL)
        return LK_NO_MEMORY;
    lk_status status = lk_query_items(db, query, result);
    if (status == LK_OK)
        *count = lk_result_count(result);
    lk_result_free(result);
    return status;
}
