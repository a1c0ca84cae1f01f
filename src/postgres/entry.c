/* SPDX-License-Identifier: MIT
 *
 * The table of operations: where a call enters the adapter. Each begins the time that the call has
 * (lki_pg_call_begin), and leaves errno as it was.
 */
#include <errno.h>

#include "postgres/connection.h"
#include "postgres/operations.h"

#define ENTRY(name, parameters, arguments)          \
    static lk_status enter_##name parameters        \
    {                                               \
        int saved = errno;                          \
        lki_pg_call_begin(state);                   \
        lk_status status = lki_pg_##name arguments; \
        errno = saved;                              \
        return status;                              \
    }

ENTRY(get, (void *state, const lk_key *key, lk_result *result), (state, key, result))
ENTRY(get_into, (void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size),
      (state, key, buffer, capacity, size))
ENTRY(get_many, (void *state, const lk_key *keys, size_t count, lk_result *result),
      (state, keys, count, result))
ENTRY(query, (void *state, const lk_page *page, lk_result *result), (state, page, result))
ENTRY(count_items, (void *state, const lk_query *query, size_t *count), (state, query, count))
ENTRY(set, (void *state, const lk_item *items, size_t count), (state, items, count))
ENTRY(remove, (void *state, const lk_key *keys, size_t count), (state, keys, count))
ENTRY(put_if, (void *state, const lk_item *item, lk_condition condition, lk_bytes expected),
      (state, item, condition, expected))
ENTRY(touch, (void *state, const lk_key *key, int64_t expires_at_ms), (state, key, expires_at_ms))
ENTRY(add, (void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value),
      (state, key, delta, expires_at_ms, value))
ENTRY(get_lock, (void *state, const lk_key *key, lk_lock *lock), (state, key, lock))
ENTRY(get_locked,
      (void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result),
      (state, keys, count, locks, result))
ENTRY(commit,
      (void *state, const lk_write *writes, size_t write_count, lk_lock *locks, size_t lock_count,
       lk_conflict *conflict),
      (state, writes, write_count, locks, lock_count, conflict))
ENTRY(push,
      (void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
       lk_result *pushed),
      (state, jobs, count, options, pushed))
ENTRY(pull, (void *state, const lk_pull_options *options, lk_result *result),
      (state, options, result))
ENTRY(acknowledge, (void *state, const lk_claim *claims, size_t count), (state, claims, count))
ENTRY(release, (void *state, const lk_claim *claim, int64_t delay_ms), (state, claim, delay_ms))
ENTRY(extend, (void *state, lk_claim *claim, int64_t visibility_ms), (state, claim, visibility_ms))
ENTRY(queue_stats, (void *state, lk_bytes pk, lk_queue_statistics *stats), (state, pk, stats))
ENTRY(queue_purge, (void *state, lk_bytes pk, size_t *purged), (state, pk, purged))
ENTRY(queue_close, (void *state, lk_bytes pk), (state, pk))
ENTRY(queue_fd, (void *state, lk_bytes pk, int *fd), (state, pk, fd))
ENTRY(queue_inspect, (void *state, const lk_key *keys, size_t count, lk_job *jobs),
      (state, keys, count, jobs))
ENTRY(list_partitions, (void *state, lk_position *position, size_t limit, lk_result *result),
      (state, position, limit, result))
ENTRY(sweep, (void *state, size_t max_items, size_t *swept), (state, max_items, swept))
ENTRY(statistics, (void *state, lk_statistics *stats), (state, stats))

static void
enter_close(void *state)
{
    int saved = errno;
    lki_pg_time_begin(state);
    lki_pg_close(state);
    errno = saved;
}

const lk_operations lki_pg_operations = {
    .size = sizeof lki_pg_operations,
    .close = enter_close,
    .get_at = enter_get,
    .set = enter_set,
    .remove = enter_remove,
    .get_into_at = enter_get_into,
    .get_many = enter_get_many,
    .query = enter_query,
    .get_lock_at = enter_get_lock,
    .get_locked = enter_get_locked,
    .commit = enter_commit,
    .push = enter_push,
    .pull = enter_pull,
    .acknowledge = enter_acknowledge,
    .release = enter_release,
    .extend = enter_extend,
    .queue_stats = enter_queue_stats,
    .queue_purge = enter_queue_purge,
    .queue_close = enter_queue_close,
    .queue_fd = enter_queue_fd,
    .queue_inspect = enter_queue_inspect,
    .list_partitions = enter_list_partitions,
    .sweep = enter_sweep,
    .statistics = enter_statistics,
    .put_if = enter_put_if,
    .touch = enter_touch,
    .add = enter_add,
    .count = enter_count_items,
};
