/* SPDX-License-Identifier: MIT
 *
 * The embedded store behind a lk_db. Called through the table of operations; arguments are valid.
 * Each call finds this thread's record, lets store or queue find or change what it is asked for,
 * and copies the answer into the caller's result. Progress as theirs.
 *
 * SECTIONS  Of a read this file is the owner: it opens the section, and ends it once the answer is
 * copied. Of a write the operation in store or queue is the owner: it leaves its section to wait
 * for memory, or to sleep. (The queue's goes around a commit of the store's, so that the queues
 * that it found stay.) So each operation begins inside of no section but those of lk_read_begin.
 */
#include "adapter/memory_db.h"

#include "base/pressure.h"
#include "base/result.h"
#include "base/scratch.h"
#include "base/step.h"
#include "queue/claim.h"
#include "queue/commit.h"
#include "queue/hooks.h"
#include "queue/manage.h"
#include "queue/pull.h"
#include "queue/push.h"
#include "store/commit.h"
#include "store/list.h"
#include "store/lock.h"
#include "store/open.h"
#include "store/query.h"
#include "store/read.h"
#include "store/sweep.h"
#include "store/write.h"

/* This thread's record of the store; NULL with *why set. */
LKI_INLINE lki_thread *
self_of(void *state, lk_status *why)
{
    lki_store *store = state;
    lki_thread *thread = lki_thread_self(&store->domain, why);
    LK_ASSERT(thread == NULL || thread->epoch.active == thread->pins); /* SECTIONS, above */
    return thread;
}

static size_t
found_size(const lki_found *found)
{
    return (size_t)found->cell->pk_size + found->cell->sk_size + found->record->size;
}

static int64_t
found_expires(const lki_found *found)
{
    return lki_record_expires(found->record);
}

static inline void
result_put(lk_result *result, const lki_found *found)
{
    lki_result_put(result, found->cell->bytes, found->cell->pk_size, found->cell->sk_size,
                   lki_record_data(found->record), found->record->size, found_expires(found));
}

/* ---- reads of one key; their straight way is in memory_db.h ---- */

/* Finds the live record of a key, or of *cell if that is known already. NULL: there is none. */
static const lki_record *
read_rest(lki_store *store, const lk_key *key, lki_cell **cell)
{
    lki_time now = {0, false, false};
    if (*cell == NULL) {
        lki_hashed hashed = lki_hashed_of(&store->secret, key);
        *cell = lki_find(store, &hashed);
    }
    return *cell == NULL ? NULL : lki_read_cell(store, *cell, &now);
}

lk_status
lki_memory_get_into_rest(lki_thread *thread, const lk_key *key, lki_cell *cell, void *buffer,
                         size_t capacity, size_t *size)
{
    lk_status status = LK_NOT_FOUND;
    const lki_record *record = read_rest(lki_thread_store(thread), key, &cell);
    if (record != NULL)
        status = lki_copy_into((lk_bytes){lki_record_data(record), record->size}, buffer, capacity,
                               size);
    lki_read_end(thread, record != NULL);
    return status;
}

lk_status
lki_memory_get_into(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    lk_status why;
    lki_thread *thread = self_of(state, &why);
    if (LKI_UNLIKELY(thread == NULL))
        return why;
    lki_enter(thread);
    return lki_memory_get_into_rest(thread, key, NULL, buffer, capacity, size);
}

lk_status
lki_memory_get_rest(lki_thread *thread, const lk_key *key, lki_cell *cell, lk_result *result)
{
    lk_status status = LK_NOT_FOUND;
    const lki_record *record = read_rest(lki_thread_store(thread), key, &cell);
    if (record != NULL) {
        lki_found found = {cell, record};
        status = LK_NO_MEMORY;
        if (lki_result_begin(result, 1, found_size(&found))) {
            result_put(result, &found);
            status = LK_OK;
        }
    }
    lki_read_end(thread, record != NULL);
    return status;
}

lk_status
lki_memory_get(void *state, const lk_key *key, lk_result *result)
{
    lk_status why;
    lki_thread *thread = self_of(state, &why);
    if (LKI_UNLIKELY(thread == NULL))
        return why;
    lki_enter(thread);
    return lki_memory_get_rest(thread, key, NULL, result);
}

static void
memory_read_begin(void *state)
{
    lk_status why;
    lki_thread *thread = self_of(state, &why);
    if (thread == NULL)
        return;
    lki_enter(thread);
    thread->pins++;
}

static void
memory_read_end(void *state)
{
    lk_status why;
    lki_thread *thread = self_of(state, &why);
    if (thread == NULL || thread->pins == 0)
        return;
    thread->pins--;
    lki_leave(thread);
    if (thread->pins == 0 && thread->epoch.active == 0 && thread->retired_in_pair) {
        /* The upkeep of the writes that were made inside the pair. */
        thread->retired_in_pair = false;
        lki_write_enter(thread);
        lki_write_leave(thread);
        lki_memory_look(thread);
    }
}

lk_status
lki_memory_view(void *state, const lk_key *key, lk_item *item)
{
    lk_status why;
    lki_thread *thread = self_of(state, &why);
    if (LKI_UNLIKELY(thread == NULL))
        return why;
    if (thread->pins == 0)
        return LK_INVALID;
    lki_cell *cell = NULL;
    const lki_record *record = read_rest(state, key, &cell);
    lki_count(thread, record != NULL ? LKI_HITS : LKI_MISSES, 1);
    if (record == NULL)
        return LK_NOT_FOUND;
    lki_item_point(item, cell->bytes, cell->pk_size, cell->sk_size, record->size,
                   lki_record_expires(record));
    item->data.data = lki_record_data(record);
    return LK_OK;
}

/* ---- several keys ---- */

/* Room for the answers, in the scratch. NULL: no memory. */
LKI_INLINE lki_seen *
seen_take(lki_thread *thread, size_t count, lki_scratch *scratch)
{
    size_t size;
    if (__builtin_mul_overflow(count, sizeof(lki_seen), &size) ||
        !lki_scratch_take(thread, scratch, size))
        return NULL;
    return scratch->memory;
}

/* Makes holes of what is no live item. *bytes: what the others have. False: as of
 * lki_record_is_gone. */
LKI_INLINE bool
seen_judge(lki_store *store, lki_seen *seen, size_t count, size_t *bytes, int64_t *before_ms)
{
    lki_time now = {0, false, false};
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        lki_record *record = seen[i].record;
        if (LKI_LIKELY(lki_record_is_live(store, record, &now)))
            sum += lki_hashed_size(&seen[i].hashed) + record->size;
        else if (LKI_LIKELY(lki_record_is_gone(seen[i].cell, record, &now, before_ms)))
            seen[i].record = NULL;
        else
            return false;
    }
    *bytes = sum;
    return true;
}

/* Copies the items into the result. `locked`: all have good locks, which go to `locks`, but for
 * holes. */
LKI_INLINE lk_status
seen_copy(lki_seen *seen, size_t count, size_t bytes, bool locked, lk_lock *locks,
          lk_result *result)
{
    if (LKI_UNLIKELY(!lki_result_begin(result, count, bytes)))
        return LK_NO_MEMORY;
    lk_item *item = result->items;
    unsigned char *to = result->bytes;
    for (size_t i = 0; i < count; i++, item++) {
        lki_record *record = seen[i].record;
        if (LKI_UNLIKELY(record == NULL)) {
            if (locked)
                locks[i].version = 0, locks[i].expires_at_ms = 0;
            lki_item_hole(item);
            continue;
        }
        const lki_lock *lock = (const lki_lock *)(const void *)record->data;
        const unsigned char *data = record->data + (record->flags & LKI_FLAG_LOCKED);
        int64_t expires_at_ms = 0;
        if (LKI_UNLIKELY((record->flags & (LKI_FLAG_JOB | LKI_FLAG_EXPIRES)) != 0)) {
            lock = lki_record_lock(record);
            data = lki_record_data(record);
            expires_at_ms = lki_record_expires(record);
        }
        if (locked) {
            locks[i].version = lock->version;
            locks[i].expires_at_ms = lock->expires_at_ms;
        }
        if (LKI_LIKELY(record->kind == LKI_VALUE))
            to = lki_item_fill(item, to, seen[i].cell->bytes, (uint16_t)seen[i].hashed.sizes,
                               seen[i].hashed.sizes >> 16, data, record->size, expires_at_ms);
        else
            lki_item_hole(item);
    }
    result->count = count;
    result->used = bytes;
    return LK_OK;
}

static lk_status
memory_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    lki_store *store = state;
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_scratch scratch;
    lki_seen *seen = seen_take(thread, count, &scratch);
    if (seen == NULL)
        return LK_NO_MEMORY;
    lki_enter(thread);
    size_t bytes;
    int64_t before_ms = 0;
    do
        lki_read_many(store, thread, keys, seen, count);
    while (!seen_judge(store, seen, count, &bytes, &before_ms));
    status = seen_copy(seen, count, bytes, false, NULL, result);
    lki_leave(thread);
    lki_scratch_give(thread, &scratch);
    lki_count(thread, LKI_MULTI_GETS, count);
    return status;
}

enum { FEW = 4 };

/* Items and locks at one instant: a record says both, and what has a good lock is no expired
 * item. A key with neither gets no lock. */
static lk_status
memory_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    lki_store *store = state;
    lk_status status;
    lki_thread *thread = self_of(state, &status);
    if (LKI_UNLIKELY(thread == NULL))
        return status;
    lki_scratch scratch = {NULL, 0};
    lki_seen few[FEW], *seen = few;
    if (LKI_UNLIKELY(count > FEW) && (seen = seen_take(thread, count, &scratch)) == NULL)
        return LK_NO_MEMORY;
    for (;;) {
        size_t bytes;
        lki_enter(thread);
        bool locked = lki_read_locked(store, thread, keys, seen, count, &bytes);
        if (LKI_LIKELY(locked))
            status = seen_copy(seen, count, bytes, true, locks, result);
        lki_leave(thread);
        if (LKI_LIKELY(locked))
            break;
        status = lki_store_get_locks(store, thread, seen, count, NULL);
        if (status != LK_OK)
            break; /* else they are read with their items; unless one has gone again meanwhile */
    }
    if (LKI_UNLIKELY(seen != few))
        lki_scratch_give(thread, &scratch);
    lki_count(thread, LKI_MULTI_GETS, count);
    if (LKI_UNLIKELY(status == LK_BUSY))
        lki_count(thread, LKI_BUSY_CALLS, 1);
    return status;
}

static lk_status
memory_get_lock(void *state, const lk_key *key, lk_lock *lock)
{
    lki_store *store = state;
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    const lki_seen seen = {.hashed = lki_hashed_of(&store->secret, key)};
    status = lki_store_get_locks(store, thread, &seen, 1, lock);
    lki_count(thread, LKI_BUSY_CALLS, status == LK_BUSY);
    return status;
}

/* ---- writes ---- */

static lk_status
memory_set(void *state, const lk_item *items, size_t count)
{
    lki_store *store = state;
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    status = lki_store_set(store, thread, items, count);
    lki_count(thread, LKI_BUSY_CALLS, status == LK_BUSY);
    return status;
}

static lk_status
write_one(void *state, const lk_write *write, lki_outcome *outcome)
{
    lki_store *store = state;
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    status = lki_store_write(store, thread, write, outcome);
    lki_count(thread, LKI_BUSY_CALLS, status == LK_BUSY);
    return status;
}

static lk_status
memory_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    const lk_write write = {
        .kind = LK_PUT, .item = *item, .condition = condition, .expected = expected};
    lki_outcome outcome;
    return write_one(state, &write, &outcome);
}

static lk_status
memory_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    const lk_write write = {.kind = LK_TOUCH,
                            .item = {.key = *key, .expires_at_ms = expires_at_ms}};
    lki_outcome outcome;
    return write_one(state, &write, &outcome);
}

static lk_status
memory_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    const lk_write write = {
        .kind = LK_ADD, .item = {.key = *key, .expires_at_ms = expires_at_ms}, .delta = delta};
    lki_outcome outcome;
    lk_status status = write_one(state, &write, &outcome);
    if (LKI_LIKELY(status == LK_OK))
        *value = lki_number_read(outcome.sum);
    return status;
}

static lk_status
memory_remove(void *state, const lk_key *keys, size_t count)
{
    lki_store *store = state;
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    status = lki_store_delete(store, thread, keys, count);
    lki_count(thread, LKI_BUSY_CALLS, status == LK_BUSY);
    return status;
}

static lk_status
commit_count(lki_thread *thread, lk_status status)
{
    if (LKI_LIKELY(status == LK_OK)) {
        lki_count(thread, LKI_COMMITS, 1);
        return LK_OK;
    }
    lki_count(thread, LKI_COMMITS, status == LK_LATE);
    lki_count(thread, LKI_RACES, status == LK_RACE);
    lki_count(thread, LKI_BUSY_CALLS, status == LK_BUSY);
    return status;
}

static lk_status
memory_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                  size_t lock_count, lk_conflict *conflict)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_writes all = {.items = items, .count = item_count};
    status = LK_BUSY;
    if (lki_memory_is_bounded(thread))
        status = lki_store_commit(state, thread, &all, locks, lock_count, conflict);
    return commit_count(thread, status);
}

static lk_status
memory_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
              size_t lock_count, lk_conflict *conflict)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    bool jobs = false, brings = write_count == 0;
    for (size_t i = 0; i < write_count; i++) {
        jobs |= lki_write_is_of_queue(&writes[i]);
        brings |= lki_write_brings(&writes[i]);
    }
    if (!brings)
        lki_exempt_begin(thread);
    lki_writes all = {.writes = writes, .count = write_count};
    status = LK_BUSY;
    if (jobs)
        status = lki_queue_commit(state, thread, writes, write_count, locks, lock_count, conflict);
    else if (lki_memory_is_bounded(thread))
        status = lki_store_commit(state, thread, &all, locks, lock_count, conflict);
    if (!brings)
        lki_exempt_end(thread);
    return commit_count(thread, status);
}

/* ---- ordered reads ---- */

static lk_status
memory_query(void *state, const lk_page *asked, lk_result *result)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lk_result *draft = lki_result_draft(result);
    if (draft == NULL)
        return LK_NO_MEMORY;
    size_t limit = asked->query->limit;
    lki_page page = {.query = asked->query,
                     .has_after = asked->has_after,
                     .limit = limit != 0 ? limit : SIZE_MAX,
                     .max_cells = asked->max_visits,
                     .max_bytes = asked->max_bytes,
                     .into = draft};
    lki_enter(thread);
    status = lki_query_page(state, thread, &page);
    lki_leave(thread);
    lki_count(thread, LKI_QUERIES, 1);
    if (status != LK_OK)
        return status;
    lki_count(thread, LKI_ITEMS_QUERIED, draft->count);
    lk_result_publish(result);
    return LK_OK;
}

static lk_status
memory_count(void *state, const lk_query *query, size_t *count)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_page page = {.query = query,
                     .has_after = query->after.size != 0,
                     .limit = query->limit != 0 ? query->limit : SIZE_MAX,
                     .max_cells = SIZE_MAX,
                     .max_bytes = SIZE_MAX};
    lki_enter(thread);
    status = lki_query_page(state, thread, &page);
    lki_leave(thread);
    lki_count(thread, LKI_QUERIES, 1);
    if (status == LK_OK)
        *count = page.count;
    return status;
}

static lk_status
memory_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    lki_store *store = state;
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_list_place place;
    if (!lki_list_place_read(store, position, &place))
        return LK_INVALID;
    lk_result *draft = lki_result_draft(result);
    if (draft == NULL)
        return LK_NO_MEMORY;
    lki_time now = {lki_now_precise(store), true, true};
    while (status == LK_OK && draft->count == 0) {
        lki_enter(thread);
        status = lki_list_some(store, thread, &place, &now, limit, draft);
        lki_leave(thread);
    }
    if (status != LK_OK)
        return status;
    lki_list_place_write(store, &place, position);
    lk_result_publish(result);
    return LK_OK;
}

/* ---- queues ---- */

static lk_status
memory_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
            lk_result *pushed)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (LKI_UNLIKELY(thread == NULL))
        return status;
    status = lki_queue_push(state, thread, jobs, count, options, pushed);
    if (LKI_UNLIKELY(status == LK_BUSY))
        lki_count(thread, LKI_BUSY_CALLS, 1);
    return status;
}

static lk_status
memory_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (LKI_UNLIKELY(thread == NULL))
        return status;
    lki_exempt_begin(thread);
    status = lki_queue_pull(state, thread, options, result);
    lki_exempt_end(thread);
    if (LKI_UNLIKELY(status != LK_OK)) {
        lki_count(thread, LKI_EMPTY_PULLS, status > LK_OK);
        lki_count(thread, LKI_BUSY_CALLS, status == LK_BUSY);
    }
    return status;
}

static lk_status
memory_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (LKI_UNLIKELY(thread == NULL))
        return status;
    lki_exempt_begin(thread);
    status = lki_queue_acknowledge(state, thread, claims, count);
    lki_exempt_end(thread);
    if (LKI_UNLIKELY(status == LK_BUSY))
        lki_count(thread, LKI_BUSY_CALLS, 1);
    return status;
}

static lk_status
memory_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_exempt_begin(thread);
    status = lki_queue_release(state, thread, claim, delay_ms);
    lki_exempt_end(thread);
    return status;
}

static lk_status
memory_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_exempt_begin(thread);
    status = lki_queue_extend(state, thread, claim, visibility_ms);
    lki_exempt_end(thread);
    return status;
}

static lk_status
memory_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    return thread == NULL ? status : lki_queue_stats(state, thread, pk, stats);
}

static lk_status
memory_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_exempt_begin(thread);
    status = lki_queue_purge(state, thread, pk, purged);
    lki_exempt_end(thread);
    return status;
}

static lk_status
memory_queue_close(void *state, lk_bytes pk)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    return thread == NULL ? status : lki_queue_close(state, thread, pk);
}

static lk_status
memory_queue_fd(void *state, lk_bytes pk, int *fd)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    return thread == NULL ? status : lki_queue_fd(state, thread, pk, fd);
}

static lk_status
memory_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    lki_enter(thread);
    lki_queue_inspect(state, thread, keys, count, jobs);
    lki_leave(thread);
    return LK_OK;
}

/* ---- upkeep ---- */

static lk_status
memory_sweep(void *state, size_t max_items, size_t *swept)
{
    lk_status status = LK_OK;
    lki_thread *thread = self_of(state, &status);
    if (thread == NULL)
        return status;
    return lki_sweep_all(state, thread, max_items, swept);
}

static lk_status
memory_statistics(void *state, lk_statistics *statistics)
{
    lk_status status = LK_OK;
    if (self_of(state, &status) == NULL)
        return status;
    lki_store_statistics(state, statistics);
    return LK_OK;
}

static void
memory_close(void *state)
{
    lki_store_close(state);
}

static const lk_operations memory_operations = {
    .size = sizeof memory_operations,
    .close = memory_close,
    .get_at = lki_memory_get,
    .set = memory_set,
    .remove = memory_remove,
    .get_into_at = lki_memory_get_into,
    .get_many = memory_get_many,
    .query = memory_query,
    .get_lock_at = memory_get_lock,
    .get_locked = memory_get_locked,
    .commit = memory_commit,
    .set_atomic = memory_set_atomic,
    .push = memory_push,
    .pull = memory_pull,
    .acknowledge = memory_acknowledge,
    .release = memory_release,
    .extend = memory_extend,
    .queue_stats = memory_queue_stats,
    .queue_purge = memory_queue_purge,
    .queue_close = memory_queue_close,
    .queue_fd = memory_queue_fd,
    .read_begin = memory_read_begin,
    .read_end = memory_read_end,
    .view_at = lki_memory_view,
    .sweep = memory_sweep,
    .statistics = memory_statistics,
    .put_if = memory_put_if,
    .touch = memory_touch,
    .add = memory_add,
    .count = memory_count,
    .list_partitions = memory_list_partitions,
    .queue_inspect = memory_queue_inspect,
};

lk_status
lk_memory_open(const lk_memory_options *options, lk_db **db)
{
    if (db == NULL)
        return LK_INVALID;
    lki_store *store = NULL;
    lk_status status = lki_store_open(options, &lki_queue_hooks, &store);
    if (status != LK_OK)
        return status;
    lk_adapter adapter = LK_ADAPTER_INIT;
    adapter.name = "memory";
    adapter.capabilities = LK_HAS_GET_MANY | LK_HAS_QUERY | LK_HAS_LOCKS | LK_HAS_QUEUES |
                           LK_HAS_QUEUE_FD | LK_HAS_VIEWS | LK_HAS_SWEEP | LK_HAS_STATISTICS |
                           LK_HAS_CONDITIONS | LK_HAS_PARTITIONS | LK_HAS_QUEUE_INSPECT |
                           LK_IS_SNAPSHOT | LK_COMMITS_JOBS | LK_CHECKS_DUPLICATES |
                           LK_QUERIES_RANGES | LK_COMMITS_RELEASES | LK_LOCKS_ABSENT;
    adapter.state = store;
    adapter.max_pk_size = store->max_pk_size;
    adapter.max_sk_size = store->max_sk_size;
    adapter.max_data_size = store->max_data_size;
    adapter.realtime_ms = store->precise_ms != NULL ? store->precise_ms : store->realtime_ms;
    adapter.monotonic_ms = store->domain.monotonic_ms;
    adapter.clock_context = store->clock_context;
    status = lk_adapter_open(&memory_operations, &adapter, db);
    if (status != LK_OK)
        lki_store_close(store);
    else
        lki_handle_know(*db, LKI_KNOWN_STORE, store, store->domain.id, NULL);
    return status;
}
