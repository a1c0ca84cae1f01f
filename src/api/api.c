/* SPDX-License-Identifier: MIT
 *
 * The public calls: arguments are checked here, as a whole and against the handle's limits, then
 * the handle's operation runs. No policy, and nothing that knows what stands behind the handle.
 */
#include "api/check.h"

#include "base/reclaim.h"

void
lk_close(lk_db *db)
{
    if (db != NULL)
        db->operations->close(db);
}

void
lk_thread_detach(void)
{
    lki_thread_detach_all();
}

/* ---- items ---- */

lk_status
lk_get(lk_db *db, lk_key key, lk_result *result)
{
    if (LKI_UNLIKELY(db == NULL || result == NULL))
        return LK_INVALID;
    lk_status status = lki_check_key(db, &key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    return db->operations->get(db, key, result);
}

static lk_status
keys_check(const lk_db *db, const lk_key *keys, size_t count)
{
    if (db == NULL || (keys == NULL && count != 0))
        return LK_INVALID;
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_key(db, &keys[i]);
        if (status != LK_OK)
            return status;
    }
    return LK_OK;
}

lk_status
lk_get_many(lk_db *db, const lk_key *keys, size_t count, lk_result *result)
{
    lk_status status = result == NULL ? LK_INVALID : keys_check(db, keys, count);
    return status != LK_OK ? status : db->operations->get_many(db, keys, count, result);
}

lk_status
lk_get_into(lk_db *db, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    if (db == NULL || size == NULL || (buffer == NULL && capacity != 0))
        return LK_INVALID;
    lk_status status = lki_check_key(db, &key);
    return status != LK_OK ? status : db->operations->get_into(db, key, buffer, capacity, size);
}

lk_status
lk_set(lk_db *db, const lk_item *items, size_t count)
{
    if (db == NULL || (items == NULL && count != 0))
        return LK_INVALID;
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_item(db, &items[i]);
        if (LKI_UNLIKELY(status != LK_OK))
            return status;
    }
    return db->operations->set(db, items, count);
}

lk_status
lk_delete(lk_db *db, const lk_key *keys, size_t count)
{
    lk_status status = keys_check(db, keys, count);
    return status != LK_OK ? status : db->operations->remove(db, keys, count);
}

/* ---- zero-copy reads ---- */

void
lk_read_begin(lk_db *db)
{
    if (db != NULL && db->operations->read_begin != NULL)
        db->operations->read_begin(db);
}

void
lk_read_end(lk_db *db)
{
    if (db != NULL && db->operations->read_end != NULL)
        db->operations->read_end(db);
}

lk_status
lk_view(lk_db *db, lk_key key, lk_item *item)
{
    if (db == NULL || item == NULL)
        return LK_INVALID;
    if (db->operations->view == NULL)
        return LK_UNSUPPORTED;
    lk_status status = lki_check_key(db, &key);
    return status != LK_OK ? status : db->operations->view(db, key, item);
}

/* ---- locks ---- */

lk_status
lk_get_lock(lk_db *db, lk_key key, lk_lock *lock)
{
    if (db == NULL || lock == NULL)
        return LK_INVALID;
    lk_status status = lki_check_key(db, &key);
    return status != LK_OK ? status : db->operations->get_lock(db, key, lock);
}

lk_status
lk_get_locked(lk_db *db, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lk_status status =
        result == NULL || (locks == NULL && count != 0) ? LK_INVALID : keys_check(db, keys, count);
    return status != LK_OK ? status : db->operations->get_locked(db, keys, count, locks, result);
}

static lk_status
locks_check(const lk_db *db, const lk_lock *locks, size_t count)
{
    if (locks == NULL && count != 0)
        return LK_INVALID;
    if (count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_key(db, &locks[i].key);
        if (status != LK_OK)
            return status;
    }
    return LK_OK;
}

/* Keys that are named twice are left to the operation, which sorts them anyway. */
lk_status
lk_set_atomic(lk_db *db, const lk_item *items, size_t item_count, lk_lock *locks, size_t lock_count,
              lk_conflict *conflict)
{
    if (db == NULL || lock_count == 0 || (items == NULL && item_count != 0))
        return LK_INVALID;
    if (item_count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    for (size_t i = 0; i < item_count; i++) {
        lk_status status = lki_check_item(db, &items[i]);
        if (status != LK_OK)
            return status;
    }
    lk_status status = locks_check(db, locks, lock_count);
    return status != LK_OK
               ? status
               : db->operations->commit(db, items, NULL, item_count, locks, lock_count, conflict);
}

static lk_status
write_check(const lk_db *db, const lk_write *write)
{
    switch (write->kind) {
    case LK_PUT:
    case LK_PUSH:
        return lki_check_item(db, &write->item);
    case LK_DELETE:
        return lki_check_key(db, &write->item.key);
    case LK_ACKNOWLEDGE:
        return write->claim == NULL ? LK_INVALID : lki_check_key(db, &write->claim->key);
    }
    return LK_INVALID;
}

lk_status
lk_commit(lk_db *db, const lk_write *writes, size_t write_count, lk_lock *locks, size_t lock_count,
          lk_conflict *conflict)
{
    if (db == NULL || write_count + lock_count == 0 || (writes == NULL && write_count != 0))
        return LK_INVALID;
    if (write_count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    for (size_t i = 0; i < write_count; i++) {
        lk_status status = write_check(db, &writes[i]);
        if (status != LK_OK)
            return status;
    }
    lk_status status = locks_check(db, locks, lock_count);
    return status != LK_OK
               ? status
               : db->operations->commit(db, NULL, writes, write_count, locks, lock_count, conflict);
}

/* ---- ordered reads ---- */

lk_status
lki_check_query(const lk_db *db, const lk_query *query)
{
    if (db == NULL || query == NULL || query->pk.size == 0)
        return LK_INVALID;
    lk_status status = lki_check_bytes(query->pk, db->max_pk_size);
    if (status == LK_OK)
        status = lki_check_bytes(query->sk_prefix, db->max_sk_size);
    return status != LK_OK ? status : lki_check_bytes(query->after, db->max_sk_size);
}

lk_status
lk_query_items(lk_db *db, const lk_query *query, lk_result *result)
{
    lk_status status = result == NULL ? LK_INVALID : lki_check_query(db, query);
    if (status != LK_OK)
        return status;
    lki_page_request request = {query, query->after.size != 0, SIZE_MAX, SIZE_MAX};
    lki_page_end end;
    return db->operations->query(db, &request, result, &end);
}

/* ---- upkeep ---- */

lk_status
lk_sweep(lk_db *db, size_t max_items, size_t *swept)
{
    if (db == NULL)
        return LK_INVALID;
    if (db->operations->sweep == NULL)
        return LK_UNSUPPORTED;
    size_t ignored;
    return db->operations->sweep(db, max_items, swept != NULL ? swept : &ignored);
}

lk_status
lk_statistics_read(lk_db *db, lk_statistics *stats)
{
    if (db == NULL || stats == NULL)
        return LK_INVALID;
    if (db->operations->statistics == NULL)
        return LK_UNSUPPORTED;
    return db->operations->statistics(db, stats);
}
