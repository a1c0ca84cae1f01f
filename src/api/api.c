/* SPDX-License-Identifier: MIT
 *
 * The public calls. Each checks its arguments as a whole and against the handle's limits, then
 * calls the handle's operation: one indirect call, no policy. What some databases lack is put
 * together from other calls (compose.c).
 *
 * Only reads of one key know what may stand behind a handle. If it is the embedded store or a
 * cache, and the key is short, they go on inline there (memory_db.h, cache_db.h) without a look at
 * the operations.
 */
#include "adapter/cache_db.h"
#include "adapter/memory_db.h"
#include "api/check.h"
#include "api/compose.h"
#include "base/hash.h"
#include "base/reclaim.h"
#include "base/step.h"

void
lk_thread_detach(void)
{
    lki_thread_detach_all();
}

/* These two are here, and not in check.c, so that the compiler knows in lk_set which registers they
 * leave alone: 6 instructions of 499. */

lk_status
lki_key_fault(const lk_db *db, const lk_key *key)
{
    if (key->pk.size == 0)
        return LK_INVALID;
    lk_status status = lki_check_bytes(key->pk, db->max_pk_size);
    return status != LK_OK ? status : lki_check_sk(db, key->sk);
}

lk_status
lki_item_fault(const lk_db *db, const lk_item *item)
{
    lk_status status = lki_check_key(db, &item->key);
    if (status != LK_OK)
        return status;
    return item->expires_at_ms < 0 ? LK_INVALID : lki_check_bytes(item->data, db->max_data_size);
}

/* Is the handle of that kind, and has this thread a record there that it found last? */
LKI_INLINE bool
db_is_known(const lk_db *db, enum lki_known_kind kind)
{
    return LKI_LIKELY(lki_self.id == db->known[kind].domain);
}

/* ---- items ---- */

/* The general way: another database, a key that is not short, or a fault. */
static LKI_APART lk_status
get_otherwise(lk_db *db, const lk_key *key, lk_result *result)
{
    if (LKI_UNLIKELY(key == NULL || result == NULL))
        return LK_INVALID;
    lk_status status = lki_check_key(db, key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_LIKELY(db->operations.get_at != NULL))
        return db->operations.get_at(db->state, key, result);
    return db->operations.get == NULL ? lki_db_lacks(db)
                                      : db->operations.get(db->state, *key, result);
}

/* A cache, or the general way. */
static LKI_APART lk_status
get_cached(lk_db *db, const lk_key *key, lk_result *result)
{
    if (db_is_known(db, LKI_KNOWN_CACHE) && LKI_LIKELY(key != NULL) && lki_key_is_good_short(key)) {
        LKI_RELOAD();
        if (LKI_LIKELY(result != NULL))
            return lki_cache_get_short(db->known[LKI_KNOWN_CACHE].state, key, result);
    }
    return get_otherwise(db, key, result);
}

lk_status
lk_get_at(lk_db *db, const lk_key *key, lk_result *result)
{
    if (LKI_UNLIKELY(db == NULL))
        return LK_INVALID;
    if (db_is_known(db, LKI_KNOWN_STORE) && LKI_LIKELY(key != NULL) && lki_key_is_good_short(key)) {
        LKI_RELOAD();
        if (LKI_LIKELY(result != NULL))
            return lki_memory_get_short(db->known[LKI_KNOWN_STORE].state, key, result);
    }
    return get_cached(db, key, result);
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
    if (status != LK_OK)
        return status;
    if (LKI_UNLIKELY(db->operations.get_many == NULL))
        return lki_db_lacks(db);
    return db->operations.get_many(db->state, keys, count, result);
}

static LKI_APART lk_status
get_into_otherwise(lk_db *db, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    if (LKI_UNLIKELY(key == NULL || size == NULL) || LKI_UNLIKELY(buffer == NULL && capacity != 0))
        return LK_INVALID;
    lk_status status = lki_check_key(db, key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_LIKELY(db->operations.get_into_at != NULL))
        return db->operations.get_into_at(db->state, key, buffer, capacity, size);
    return db->operations.get_into == NULL
               ? lki_compose_get_into(db, key, buffer, capacity, size)
               : db->operations.get_into(db->state, *key, buffer, capacity, size);
}

static LKI_APART lk_status
get_into_cached(lk_db *db, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    if (db_is_known(db, LKI_KNOWN_CACHE) && LKI_LIKELY(key != NULL) && lki_key_is_good_short(key) &&
        LKI_LIKELY(buffer != NULL)) {
        LKI_RELOAD();
        if (LKI_LIKELY(size != NULL))
            return lki_cache_get_into_short(db->known[LKI_KNOWN_CACHE].state, key, buffer, capacity,
                                            size);
    }
    return get_into_otherwise(db, key, buffer, capacity, size);
}

lk_status
lk_get_into_at(lk_db *db, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    if (LKI_UNLIKELY(db == NULL))
        return LK_INVALID;
    if (db_is_known(db, LKI_KNOWN_STORE) && LKI_LIKELY(key != NULL) && lki_key_is_good_short(key) &&
        LKI_LIKELY(buffer != NULL)) {
        LKI_RELOAD();
        if (LKI_LIKELY(size != NULL))
            return lki_memory_get_into_short(db->known[LKI_KNOWN_STORE].state, key, buffer,
                                             capacity, size);
    }
    return get_into_cached(db, key, buffer, capacity, size);
}

LKI_INLINE lk_status
items_check(const lk_db *db, const lk_item *items, size_t count)
{
    if (LKI_UNLIKELY(db == NULL) || (LKI_UNLIKELY(items == NULL) && count != 0))
        return LK_INVALID;
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_item(db, &items[i]);
        if (LKI_UNLIKELY(status != LK_OK))
            return status;
    }
    return LK_OK;
}

lk_status
lk_set(lk_db *db, const lk_item *items, size_t count)
{
    lk_status status = items_check(db, items, count);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_UNLIKELY(db->operations.set == NULL))
        return lki_db_lacks(db);
    return db->operations.set(db->state, items, count);
}

lk_status
lk_delete(lk_db *db, const lk_key *keys, size_t count)
{
    lk_status status = keys_check(db, keys, count);
    if (status != LK_OK)
        return status;
    if (LKI_UNLIKELY(db->operations.remove == NULL))
        return lki_db_lacks(db);
    return db->operations.remove(db->state, keys, count);
}

/* Is it a condition, and `expected` good where that is looked at? */
static lk_status
condition_check(const lk_db *db, lk_condition condition, lk_bytes expected)
{
    if (LKI_UNLIKELY((unsigned)condition > LK_IF_EQUAL))
        return LK_INVALID;
    return condition == LK_IF_EQUAL ? lki_check_bytes(expected, db->max_data_size) : LK_OK;
}

lk_status
lk_put_if(lk_db *db, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    if (LKI_UNLIKELY(db == NULL || item == NULL))
        return LK_INVALID;
    lk_status status = lki_check_item(db, item);
    if (LKI_LIKELY(status == LK_OK))
        status = condition_check(db, condition, expected);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_UNLIKELY(db->operations.put_if == NULL))
        return lki_compose_put_if(db, item, condition, expected);
    return db->operations.put_if(db->state, item, condition, expected);
}

lk_status
lk_touch_at(lk_db *db, const lk_key *key, int64_t expires_at_ms)
{
    if (LKI_UNLIKELY(db == NULL || key == NULL || expires_at_ms < 0))
        return LK_INVALID;
    lk_status status = lki_check_key(db, key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_UNLIKELY(db->operations.touch == NULL))
        return lki_compose_touch(db, key, expires_at_ms);
    return db->operations.touch(db->state, key, expires_at_ms);
}

lk_status
lk_add_at(lk_db *db, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    int64_t ignored;
    if (LKI_UNLIKELY(db == NULL || key == NULL || expires_at_ms < 0))
        return LK_INVALID;
    lk_status status = lki_check_key(db, key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_UNLIKELY(db->operations.add == NULL))
        return lki_compose_add(db, key, delta, expires_at_ms, value);
    return db->operations.add(db->state, key, delta, expires_at_ms,
                              value != NULL ? value : &ignored);
}

/* ---- zero-copy reads ---- */

void
lk_read_begin(lk_db *db)
{
    if (db != NULL && db->operations.read_begin != NULL)
        db->operations.read_begin(db->state);
}

void
lk_read_end(lk_db *db)
{
    if (db != NULL && db->operations.read_end != NULL)
        db->operations.read_end(db->state);
}

static LKI_APART lk_status
view_otherwise(lk_db *db, const lk_key *key, lk_item *item)
{
    if (LKI_UNLIKELY(key == NULL || item == NULL))
        return LK_INVALID;
    const lk_operations *o = &db->operations;
    if (o->view_at == NULL && o->view == NULL)
        return lki_db_lacks(db);
    lk_status status = lki_check_key(db, key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    return o->view_at != NULL ? o->view_at(db->state, key, item) : o->view(db->state, *key, item);
}

lk_status
lk_view_at(lk_db *db, const lk_key *key, lk_item *item)
{
    if (LKI_UNLIKELY(db == NULL))
        return LK_INVALID;
    if (db_is_known(db, LKI_KNOWN_STORE) && LKI_LIKELY(key != NULL) && lki_key_is_good_short(key)) {
        if (LKI_LIKELY(item != NULL))
            return lki_memory_view_short(db->known[LKI_KNOWN_STORE].state, key, item);
    }
    return view_otherwise(db, key, item);
}

/* ---- locks ---- */

/* For an adapter with the form by value, which may write all of `lock`; `key` may be that of
 * `lock`. */
static LKI_COLD lk_status
get_lock_by_value(lk_db *db, const lk_key *key, lk_lock *lock)
{
    if (db->operations.get_lock == NULL)
        return lki_db_lacks(db);
    const lk_key copy = *key;
    lk_status status = db->operations.get_lock(db->state, copy, lock);
    if (status == LK_OK)
        lock->key = copy;
    return status;
}

lk_status
lk_get_lock_at(lk_db *db, const lk_key *key, lk_lock *lock)
{
    if (LKI_UNLIKELY(db == NULL || key == NULL || lock == NULL))
        return LK_INVALID;
    lk_status status = lki_check_key(db, key);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    if (LKI_UNLIKELY(db->operations.get_lock_at == NULL))
        return get_lock_by_value(db, key, lock);
    status = db->operations.get_lock_at(db->state, key, lock);
    if (LKI_LIKELY(status == LK_OK))
        lki_key_copy(&lock->key, key);
    return status;
}

lk_status
lk_get_locked(lk_db *db, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lk_status status =
        result == NULL || (locks == NULL && count != 0) ? LK_INVALID : keys_check(db, keys, count);
    if (status != LK_OK)
        return status;
    if (LKI_UNLIKELY(db->operations.get_locked == NULL))
        return lki_compose_get_locked(db, keys, count, locks, result);
    status = db->operations.get_locked(db->state, keys, count, locks, result);
    for (size_t i = 0; status == LK_OK && i < count; i++)
        lki_key_copy(&locks[i].key, &keys[i]);
    return status;
}

LKI_INLINE lk_status
locks_check(const lk_db *db, const lk_lock *locks, size_t count)
{
    if (LKI_UNLIKELY(locks == NULL) && count != 0)
        return LK_INVALID;
    if (LKI_UNLIKELY(count > LK_COMMIT_MAX))
        return LK_TOO_BIG;
    for (size_t i = 0; i < count; i++) {
        lk_status status = lki_check_key(db, &locks[i].key);
        if (LKI_UNLIKELY(status != LK_OK))
            return status;
    }
    return LK_OK;
}

lk_status
lk_set_atomic(lk_db *db, const lk_item *items, size_t item_count, lk_lock *locks, size_t lock_count,
              lk_conflict *conflict)
{
    lk_conflict ignored;
    if (LKI_UNLIKELY(db == NULL) || LKI_UNLIKELY(lock_count == 0))
        return LK_INVALID;
    if (LKI_UNLIKELY(item_count > LK_COMMIT_MAX))
        return LK_TOO_BIG;
    lk_status status = items_check(db, items, item_count);
    if (LKI_LIKELY(status == LK_OK))
        status = locks_check(db, locks, lock_count);
    if (LKI_UNLIKELY(status != LK_OK))
        return status;
    conflict = conflict != NULL ? conflict : &ignored;
    if (LKI_UNLIKELY(db->operations.set_atomic == NULL))
        return lki_compose_set_atomic(db, items, item_count, locks, lock_count, conflict);
    if (LKI_UNLIKELY((db->capabilities & LK_CHECKS_DUPLICATES) == 0))
        status = lki_check_duplicates(&(lki_named){.items = items, .count = item_count}, locks,
                                      lock_count);
    return LKI_UNLIKELY(status != LK_OK) ? status
                                         : db->operations.set_atomic(db->state, items, item_count,
                                                                     locks, lock_count, conflict);
}

static lk_status
claim_check(const lk_db *db, const lk_write *write)
{
    if (write->claim == NULL || (write->kind == LK_RELEASE && write->delay_ms < 0))
        return LK_INVALID;
    return lki_check_key(db, &write->claim->key);
}

/* Of a step whose condition, if it has one, is good. */
static lk_status
step_check(const lk_db *db, const lk_write *write)
{
    switch (write->kind) {
    case LK_PUT:
        return lki_check_item(db, &write->item);
    case LK_PUSH:
        return write->push != NULL && write->push->delay_ms < 0 ? LK_INVALID
                                                                : lki_check_item(db, &write->item);
    case LK_DELETE:
        return lki_check_key(db, &write->item.key);
    case LK_TOUCH:
    case LK_ADD:
        return write->item.expires_at_ms < 0 ? LK_INVALID : lki_check_key(db, &write->item.key);
    case LK_ACKNOWLEDGE:
    case LK_RELEASE:
        return claim_check(db, write);
    }
    return LK_INVALID;
}

/* The capabilities that a step asks of the handle's commit, besides LK_HAS_LOCKS. */
static uint64_t
step_needs(const lk_write *write)
{
    switch (write->kind) {
    case LK_PUSH:
        return write->push == NULL ? LK_COMMITS_JOBS : LK_COMMITS_RELEASES;
    case LK_ACKNOWLEDGE:
        return LK_COMMITS_JOBS;
    case LK_RELEASE:
        return LK_COMMITS_RELEASES;
    case LK_TOUCH:
    case LK_ADD:
        return LK_HAS_CONDITIONS;
    case LK_PUT:
    case LK_DELETE:
        break;
    }
    return write->condition == LK_ALWAYS ? 0 : LK_HAS_CONDITIONS;
}

static lk_status
write_check(const lk_db *db, const lk_write *write)
{
    if (LKI_UNLIKELY(write->condition != LK_ALWAYS)) {
        lk_status status = lki_write_is_of_queue(write)
                               ? LK_INVALID
                               : condition_check(db, write->condition, write->expected);
        if (status != LK_OK)
            return status;
    }
    return step_check(db, write);
}

/* *judged: the library has to judge conditions for the adapter. */
static lk_status
writes_check(const lk_db *db, const lk_write *writes, size_t count, bool *judged)
{
    uint64_t needs = 0;
    if (writes == NULL && count != 0)
        return LK_INVALID;
    if (count > LK_COMMIT_MAX)
        return LK_TOO_BIG;
    for (size_t i = 0; i < count; i++) {
        lk_status status = write_check(db, &writes[i]);
        if (status != LK_OK)
            return status;
        needs |= step_needs(&writes[i]);
    }
    needs &= ~db->capabilities;
    *judged = needs == LK_HAS_CONDITIONS && db->operations.put_if == NULL;
    return LKI_UNLIKELY((needs & ~LK_HAS_CONDITIONS) != 0) ? lki_db_lacks(db) : LK_OK;
}

lk_status
lk_commit(lk_db *db, const lk_write *writes, size_t write_count, lk_lock *locks, size_t lock_count,
          lk_conflict *conflict)
{
    lk_conflict ignored;
    if (db == NULL || (write_count == 0 && lock_count == 0))
        return LK_INVALID;
    bool judged;
    lk_status status = writes_check(db, writes, write_count, &judged);
    if (status == LK_OK)
        status = locks_check(db, locks, lock_count);
    if (status != LK_OK)
        return status;
    if (LKI_UNLIKELY(db->operations.commit == NULL))
        return lki_db_lacks(db);
    conflict = conflict != NULL ? conflict : &ignored;
    if (LKI_UNLIKELY(judged))
        return lki_compose_commit(db, writes, write_count, locks, lock_count, conflict);
    if (LKI_UNLIKELY((db->capabilities & LK_CHECKS_DUPLICATES) == 0))
        status = lki_check_duplicates(&(lki_named){.writes = writes, .count = write_count}, locks,
                                      lock_count);
    return status != LK_OK
               ? status
               : db->operations.commit(db->state, writes, write_count, locks, lock_count, conflict);
}

/* ---- ordered reads ---- */

lk_status
lk_query_page(lk_db *db, const lk_page *page, lk_result *result)
{
    lk_status status =
        page == NULL || result == NULL ? LK_INVALID : lki_check_query(db, page->query);
    if (status != LK_OK)
        return status;
    return db->operations.query(db->state, page, result);
}

lk_status
lk_query_items(lk_db *db, const lk_query *query, lk_result *result)
{
    if (query == NULL)
        return LK_INVALID;
    lk_page page = {query, query->after.size != 0, SIZE_MAX, SIZE_MAX};
    return lk_query_page(db, &page, result);
}

lk_status
lk_count(lk_db *db, const lk_query *query, size_t *count)
{
    lk_status status = count == NULL ? LK_INVALID : lki_check_query(db, query);
    if (status != LK_OK)
        return status;
    return db->operations.count == NULL ? lki_compose_count(db, query, count)
                                        : db->operations.count(db->state, query, count);
}

/* ---- all of a store ---- */

enum { PARTITIONS_PAGE = 1024 };

lk_status
lk_list_partitions(lk_db *db, lk_position *position, size_t limit, lk_result *result)
{
    if (db == NULL || position == NULL || result == NULL)
        return LK_INVALID;
    if (db->operations.list_partitions == NULL)
        return lki_db_lacks(db);
    return db->operations.list_partitions(db->state, position, limit != 0 ? limit : PARTITIONS_PAGE,
                                          result);
}

/* ---- upkeep ---- */

lk_status
lk_sweep(lk_db *db, size_t max_items, size_t *swept)
{
    size_t ignored;
    if (db == NULL)
        return LK_INVALID;
    if (db->operations.sweep == NULL)
        return lki_db_lacks(db);
    return db->operations.sweep(db->state, max_items, swept != NULL ? swept : &ignored);
}

lk_status
lk_statistics_read(lk_db *db, lk_statistics *stats)
{
    if (db == NULL || stats == NULL)
        return LK_INVALID;
    if (db->operations.statistics == NULL)
        return lki_db_lacks(db);
    lk_statistics read = {0};
    lk_status status = db->operations.statistics(db->state, &read);
    if (status == LK_OK)
        *stats = read;
    return status;
}
