/* SPDX-License-Identifier: MIT
 *
 * Operations that pass every call on to another handle: what wrappers, inside and outside of the
 * library, begin with. Called through the table of operations of a wrapper.
 */
#include "adapter/pass.h"

#include <stddef.h>
#include <string.h>

__thread lki_inner_call lki_inner_now __attribute__((tls_model("initial-exec")));

/* A wrapper's state begins with the handle that it stands in front of. */
static lk_db *
inner_of(void *state)
{
    return *(lk_db *const *)state;
}

/* Makes a call to the handle behind, `inner`. Caches pass it on, too, so it is marked (pass.h). */
#define PASS(state_, call_)                        \
    do {                                           \
        lk_db *inner = inner_of(state_);           \
        lk_status status_;                         \
        LKI_INNER(NULL, inner, status_ = (call_)); \
        return status_;                            \
    } while (0)

static lk_status
pass_get(void *state, lk_key key, lk_result *result)
{
    return lk_get(inner_of(state), key, result);
}

static lk_status
pass_get_at(void *state, const lk_key *key, lk_result *result)
{
    return lk_get_at(inner_of(state), key, result);
}

static lk_status
pass_set(void *state, const lk_item *items, size_t count)
{
    return lk_set(inner_of(state), items, count);
}

static lk_status
pass_remove(void *state, const lk_key *keys, size_t count)
{
    return lk_delete(inner_of(state), keys, count);
}

static lk_status
pass_get_into(void *state, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    return lk_get_into(inner_of(state), key, buffer, capacity, size);
}

static lk_status
pass_get_into_at(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    return lk_get_into_at(inner_of(state), key, buffer, capacity, size);
}

static lk_status
pass_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    return lk_get_many(inner_of(state), keys, count, result);
}

static lk_status
pass_query(void *state, const lk_page *page, lk_result *result)
{
    PASS(state, lk_query_page(inner, page, result));
}

static lk_status
pass_get_lock(void *state, lk_key key, lk_lock *lock)
{
    PASS(state, lk_get_lock(inner, key, lock));
}

static lk_status
pass_get_lock_at(void *state, const lk_key *key, lk_lock *lock)
{
    PASS(state, lk_get_lock_at(inner, key, lock));
}

static lk_status
pass_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    PASS(state, lk_get_locked(inner, keys, count, locks, result));
}

static lk_status
pass_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
            size_t lock_count, lk_conflict *conflict)
{
    return lk_commit(inner_of(state), writes, write_count, locks, lock_count, conflict);
}

static lk_status
pass_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                size_t lock_count, lk_conflict *conflict)
{
    return lk_set_atomic(inner_of(state), items, item_count, locks, lock_count, conflict);
}

static lk_status
pass_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
          lk_result *pushed)
{
    return lk_queue_push(inner_of(state), jobs, count, options, pushed);
}

static lk_status
pass_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    return lk_queue_pull(inner_of(state), options, result);
}

static lk_status
pass_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    return lk_queue_acknowledge(inner_of(state), claims, count);
}

static lk_status
pass_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    PASS(state, lk_queue_release(inner, claim, delay_ms));
}

static lk_status
pass_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    PASS(state, lk_queue_extend(inner, claim, visibility_ms));
}

static lk_status
pass_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    PASS(state, lk_queue_stats(inner, pk, stats));
}

static lk_status
pass_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    return lk_queue_purge(inner_of(state), pk, purged);
}

static lk_status
pass_queue_close(void *state, lk_bytes pk)
{
    PASS(state, lk_queue_close(inner, pk));
}

static lk_status
pass_queue_fd(void *state, lk_bytes pk, int *fd)
{
    PASS(state, lk_queue_fd(inner, pk, fd));
}

static lk_status
pass_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    PASS(state, lk_put_if(inner, item, condition, expected));
}

static lk_status
pass_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    PASS(state, lk_touch_at(inner, key, expires_at_ms));
}

static lk_status
pass_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    PASS(state, lk_add_at(inner, key, delta, expires_at_ms, value));
}

static lk_status
pass_count(void *state, const lk_query *query, size_t *count)
{
    PASS(state, lk_count(inner, query, count));
}

static lk_status
pass_list_partitions(void *state, lk_position *position, size_t limit, lk_result *result)
{
    PASS(state, lk_list_partitions(inner, position, limit, result));
}

static lk_status
pass_queue_inspect(void *state, const lk_key *keys, size_t count, lk_job *jobs)
{
    PASS(state, lk_queue_inspect_many(inner, keys, count, jobs));
}

static void
pass_read_begin(void *state)
{
    lk_read_begin(inner_of(state));
}

static void
pass_read_end(void *state)
{
    lk_read_end(inner_of(state));
}

static lk_status
pass_view(void *state, lk_key key, lk_item *item)
{
    PASS(state, lk_view(inner, key, item));
}

static lk_status
pass_view_at(void *state, const lk_key *key, lk_item *item)
{
    PASS(state, lk_view_at(inner, key, item));
}

static lk_status
pass_sweep(void *state, size_t max_items, size_t *swept)
{
    PASS(state, lk_sweep(inner, max_items, swept));
}

static lk_status
pass_statistics(void *state, lk_statistics *stats)
{
    return lk_statistics_read(inner_of(state), stats);
}

lk_status
lki_get_each(lk_db *db, const lk_key *keys, size_t count, lk_result *result)
{
    if ((lk_capabilities(db) & LK_HAS_GET_MANY) != 0)
        return lk_get_many(db, keys, count, result);
    lk_result *one = lk_result_new();
    lk_status status = one == NULL ? LK_NO_MEMORY : LK_OK;
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = lk_get_at(db, &keys[i], one);
        if (status == LK_OK || status == LK_NOT_FOUND)
            status = lk_result_add(result, status == LK_OK ? lk_result_item(one, 0) : NULL);
    }
    if (status == LK_OK)
        lk_result_publish(result);
    lk_result_free(one);
    return status;
}

void
lki_operations_trim(lk_operations *o, uint64_t capabilities)
{
    if ((capabilities & LK_HAS_GET_MANY) == 0)
        o->get_many = NULL;
    if ((capabilities & LK_HAS_QUERY) == 0)
        o->query = NULL;
    if ((capabilities & LK_HAS_LOCKS) == 0) {
        o->get_lock = NULL;
        o->get_lock_at = NULL;
        o->get_locked = NULL;
        o->commit = NULL;
        o->set_atomic = NULL;
    }
    if ((capabilities & LK_HAS_QUEUES) == 0) {
        o->push = NULL;
        o->pull = NULL;
        o->acknowledge = NULL;
        o->release = NULL;
        o->extend = NULL;
        o->queue_stats = NULL;
        o->queue_purge = NULL;
        o->queue_close = NULL;
    }
    if ((capabilities & LK_HAS_QUEUE_FD) == 0)
        o->queue_fd = NULL;
    if ((capabilities & LK_HAS_VIEWS) == 0) {
        o->read_begin = NULL;
        o->read_end = NULL;
        o->view = NULL;
        o->view_at = NULL;
    }
    if ((capabilities & LK_HAS_SWEEP) == 0)
        o->sweep = NULL;
    if ((capabilities & LK_HAS_STATISTICS) == 0)
        o->statistics = NULL;
    if ((capabilities & LK_HAS_CONDITIONS) == 0) {
        o->put_if = NULL;
        o->touch = NULL;
        o->add = NULL;
    }
    if ((capabilities & LK_HAS_QUERY) == 0)
        o->count = NULL;
    if ((capabilities & LK_HAS_PARTITIONS) == 0)
        o->list_partitions = NULL;
    if ((capabilities & LK_HAS_QUEUE_INSPECT) == 0)
        o->queue_inspect = NULL;
}

/* The groups that a table of that size has no room for. */
static uint64_t
capabilities_beyond(size_t size)
{
    uint64_t beyond = 0;
    if (size < offsetof(lk_operations, count))
        beyond |= LK_HAS_CONDITIONS;
    if (size < offsetof(lk_operations, queue_inspect))
        beyond |= LK_HAS_PARTITIONS;
    if (size < offsetof(lk_operations, queue_inspect) + sizeof(void *))
        beyond |= LK_HAS_QUEUE_INSPECT;
    return beyond;
}

lk_status
lk_adapter_pass_sized(const lk_db *inner, lk_operations *operations, size_t size,
                      lk_adapter *adapter)
{
    if (operations == NULL || !lki_operations_size_is_known(size))
        return LK_INVALID;
    lk_status status = lk_adapter_read(inner, adapter);
    if (status != LK_OK)
        return status;
    adapter->capabilities |= LK_CHECKS_DUPLICATES; /* the inner handle looks */
    adapter->capabilities &= ~capabilities_beyond(size);
    lk_operations passing = {
        .size = size,
        .get = pass_get,
        .set = pass_set,
        .remove = pass_remove,
        .get_into = pass_get_into,
        .get_many = pass_get_many,
        .query = pass_query,
        .get_lock = pass_get_lock,
        .get_locked = pass_get_locked,
        .commit = pass_commit,
        .set_atomic = pass_set_atomic,
        .push = pass_push,
        .pull = pass_pull,
        .acknowledge = pass_acknowledge,
        .release = pass_release,
        .extend = pass_extend,
        .queue_stats = pass_queue_stats,
        .queue_purge = pass_queue_purge,
        .queue_close = pass_queue_close,
        .queue_fd = pass_queue_fd,
        .read_begin = pass_read_begin,
        .read_end = pass_read_end,
        .view = pass_view,
        .sweep = pass_sweep,
        .statistics = pass_statistics,
        .get_at = pass_get_at,
        .get_into_at = pass_get_into_at,
        .get_lock_at = pass_get_lock_at,
        .view_at = pass_view_at,
        .put_if = pass_put_if,
        .touch = pass_touch,
        .add = pass_add,
        .count = pass_count,
        .list_partitions = pass_list_partitions,
        .queue_inspect = pass_queue_inspect,
    };
    lki_operations_trim(&passing, adapter->capabilities);
    if (size > sizeof passing)
        memset((char *)operations + sizeof passing, 0, size - sizeof passing);
    memcpy(operations, &passing, size < sizeof passing ? size : sizeof passing);
    return LK_OK;
}

/* Does the wrapper do writes in its own way, and knows nothing of the newer ones? */
static bool
writes_are_of_another(const lk_operations *o)
{
    return (o->set != pass_set || (o->commit != NULL && o->commit != pass_commit)) &&
           o->put_if == pass_put_if && o->touch == pass_touch && o->add == pass_add;
}

uint64_t
lki_pass_give_way(lk_operations *o)
{
    uint64_t left_out = 0;
    if (o->get_lock == pass_get_lock && o->get_locked == NULL)
        left_out = LK_LOCKS_ABSENT; /* get_lock is called instead */
    if (o->get_at == pass_get_at && o->get != pass_get)
        o->get_at = NULL;
    if (o->get_into_at == pass_get_into_at && o->get_into != pass_get_into)
        o->get_into_at = NULL;
    if (o->get_lock_at == pass_get_lock_at && o->get_lock != pass_get_lock)
        o->get_lock_at = NULL;
    if (o->view_at == pass_view_at && o->view != pass_view)
        o->view_at = NULL;
    if (o->count == pass_count && o->query != pass_query)
        o->count = NULL;
    if (writes_are_of_another(o)) {
        left_out |= LK_HAS_CONDITIONS | LK_COMMITS_RELEASES;
        lki_operations_trim(o, ~left_out);
    }
    return left_out;
}
