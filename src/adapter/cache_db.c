/* SPDX-License-Identifier: MIT
 *
 * The cache in front of any handle. Called through the table of operations; arguments are valid.
 *
 * A hit is answered here. A miss asks the database once, for all threads that want the key. A write
 * opens a window on each key that it names, goes through, and closes the window with what the key
 * now holds, or with nothing where that is not known for sure. Locks, queries, streams, views and
 * queues go through (pass.c); queue calls that take items out open windows too. What windows are
 * for: cache/table.h.
 *
 * Progress: as lk_cache_open says.
 */
#include "adapter/cache_db.h"
#include "base/scratch.h"
#include "base/step.h"
#include "cache/flight.h"
#include "cache/load.h"

/* ---- one key ---- */

static const lki_cache_db *
owner_of(const lki_thread *thread)
{
    return ((const lki_cache *)thread->domain->store)->owner;
}

/* Copies an entry that was good a moment ago and is held, and releases it. */
static lk_status
entry_hand_over(const lki_cache_db *c, lki_cached *entry, lk_result *result)
{
    lk_status status = lk_has_expired(entry->expires_at_ms, lk_realtime_now_ms(c->inner))
                           ? LK_NOT_FOUND
                           : lki_cached_copy(entry, result);
    lki_cached_release(c->cache, entry);
    return status;
}

static LKI_COLD lk_status
get_missed(const lki_cache_db *c, lki_thread *thread, const lki_hashed *hashed, lk_result *result)
{
    lki_miss miss = {.hashed = *hashed};
    int64_t now_ms = lk_realtime_now_ms(c->inner);
    lki_loads_begin(thread);
    lki_load_begin(c->cache, thread, &miss, lki_inner_is_patient(c->self), now_ms);
    lk_status status = LK_RACE;
    if (miss.role == LKI_LOAD_JOINED) {
        status = lki_load_wait(c->cache, &miss, lki_load_deadline(c->cache));
        if (miss.role == LKI_LOAD_VAIN) {
            now_ms = lk_realtime_now_ms(c->inner);
            lki_loads_begin(thread);
            lki_load_begin(c->cache, thread, &miss, false, now_ms);
        }
    }
    if (miss.entry != NULL)
        return entry_hand_over(c, miss.entry, result);
    if (status != LK_RACE)
        return status;
    LK_ASSERT(miss.role == LKI_LOAD_LEADS || miss.role == LKI_LOAD_ALONE);
    LKI_INNER(c->self, c->inner, status = lk_get_at(c->inner, hashed->key, result));
    const lk_item *item = status == LK_OK ? lk_result_item(result, 0) : NULL;
    if (status == LK_OK && item == NULL)
        status = LK_INVALID; /* an adapter that says LK_OK without an item */
    lki_load_end(c->cache, thread, &miss, status, item);
    return status;
}

lk_status
lki_cache_get_rest(lki_thread *thread, const lk_key *key, lk_result *result)
{
    const lki_cache_db *c = owner_of(thread);
    lk_status status = LK_OK;
    lki_hashed hashed = lki_hashed_of(&c->cache->secret, key);
    lki_cached *entry = lki_cache_find(c->cache, &hashed);
    bool hit = entry != NULL && lki_cached_is_good(c, entry);
    if (hit) {
        status = lki_cached_copy(entry, result);
        lki_cache_hit(c->cache, entry);
    }
    lki_read_end(thread, hit);
    return hit ? status : get_missed(c, thread, &hashed, result);
}

static lk_status
cache_get(void *state, const lk_key *key, lk_result *result)
{
    const lki_cache_db *c = state;
    lk_status why;
    lki_thread *thread = lki_cache_self(c, &why);
    if (thread == NULL)
        return why;
    lki_enter(thread);
    return lki_cache_get_rest(thread, key, result);
}

static LKI_COLD lk_status
get_into_missed(const lki_cache_db *c, lki_thread *thread, const lki_hashed *hashed, void *buffer,
                size_t capacity, size_t *size)
{
    lk_result *result = lk_result_new();
    if (result == NULL)
        return LK_NO_MEMORY;
    lk_status status = get_missed(c, thread, hashed, result);
    if (status == LK_OK)
        status = lki_copy_into(result->items[0].data, buffer, capacity, size);
    lk_result_free(result);
    return status;
}

lk_status
lki_cache_get_into_rest(lki_thread *thread, const lk_key *key, void *buffer, size_t capacity,
                        size_t *size)
{
    const lki_cache_db *c = owner_of(thread);
    lk_status status = LK_OK;
    lki_hashed hashed = lki_hashed_of(&c->cache->secret, key);
    lki_cached *entry = lki_cache_find(c->cache, &hashed);
    bool hit = entry != NULL && lki_cached_is_good(c, entry);
    if (hit) {
        status = entry->absent ? LK_NOT_FOUND
                               : lki_copy_into(lki_cached_item(entry).data, buffer, capacity, size);
        lki_cache_hit(c->cache, entry);
    }
    lki_read_end(thread, hit);
    return hit ? status : get_into_missed(c, thread, &hashed, buffer, capacity, size);
}

static lk_status
cache_get_into(void *state, const lk_key *key, void *buffer, size_t capacity, size_t *size)
{
    const lki_cache_db *c = state;
    lk_status why;
    lki_thread *thread = lki_cache_self(c, &why);
    if (thread == NULL)
        return why;
    lki_enter(thread);
    return lki_cache_get_into_rest(thread, key, buffer, capacity, size);
}

/* ---- writes ---- */

/* A call that writes, and the keys that it writes to. */
typedef struct writing {
    const lki_cache_db *c;
    lki_thread *thread;
    lki_scratch scratch; /* given back by writing_close */
    lki_flight *flights; /* in it */
    size_t begun, ended;
    int64_t read_at_ms; /* from before the write */
    bool in_doubt;      /* it may yet take effect */
} writing;

/* Room for `count` keys. LK_OK, LK_INVALID, LK_NO_MEMORY: nothing was begun. */
static lk_status
writing_open(writing *w, void *state, size_t count)
{
    lk_status status = LK_OK;
    size_t size;
    *w = (writing){.c = state, .thread = lki_cache_self(state, &status)};
    if (w->thread == NULL)
        return status;
    if (__builtin_mul_overflow(count, sizeof *w->flights, &size))
        return LK_NO_MEMORY;
    if (!lki_scratch_take(w->thread, &w->scratch, size))
        return LK_NO_MEMORY;
    w->flights = w->scratch.memory;
    w->read_at_ms = lki_cache_read_at_ms(w->c->cache);
    return LK_OK;
}

static void
writing_begin(writing *w, const lk_key *key)
{
    lki_hashed hashed = lki_hashed_of(&w->c->cache->secret, key);
    LK_ASSERT((w->begun + 1) * sizeof *w->flights <= w->scratch.size);
    lki_flight_begin(w->c->cache, w->thread, &w->flights[w->begun++], &hashed);
}

/* For a write of one key, whose flight is begun. As writing_open. */
static lk_status
writing_open_key(writing *w, void *state, const lk_key *key)
{
    lk_status status = writing_open(w, state, 1);
    if (status == LK_OK)
        writing_begin(w, key);
    return status;
}

/* Ends the flight of the next key, in the order in which they began. */
static void
writing_end(writing *w, const lk_item *item)
{
    LK_ASSERT(w->ended < w->begun);
    lki_flight_end(w->c->cache, w->thread, &w->flights[w->ended++], item, w->in_doubt,
                   w->read_at_ms);
}

/* Ends the flights that are left: what their keys hold is not known. Passes the status of the write
 * on. */
static lk_status
writing_forget(writing *w, lk_status status)
{
    w->in_doubt = status == LK_UNKNOWN;
    while (w->ended < w->begun)
        writing_end(w, NULL);
    return status;
}

/* The last step of every write that was opened. */
static lk_status
writing_close(writing *w, lk_status status)
{
    (void)writing_forget(w, status);
    lki_scratch_give(w->thread, &w->scratch);
    return status;
}

static lk_status
cache_set(void *state, const lk_item *items, size_t count)
{
    writing w;
    lk_status status = writing_open(&w, state, count);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        writing_begin(&w, &items[i].key);
    LKI_INNER(w.c->self, w.c->inner, status = lk_set(w.c->inner, items, count));
    for (size_t i = 0; status == LK_OK && i < count; i++)
        writing_end(&w, &items[i]);
    return writing_close(&w, status);
}

static lk_status
cache_remove(void *state, const lk_key *keys, size_t count)
{
    writing w;
    lk_status status = writing_open(&w, state, count);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        writing_begin(&w, &keys[i]);
    LKI_INNER(w.c->self, w.c->inner, status = lk_delete(w.c->inner, keys, count));
    return writing_close(&w, status);
}

static lk_status
cache_put_if(void *state, const lk_item *item, lk_condition condition, lk_bytes expected)
{
    writing w;
    lk_status status = writing_open_key(&w, state, &item->key);
    if (status != LK_OK)
        return status;
    LKI_INNER(w.c->self, w.c->inner, status = lk_put_if(w.c->inner, item, condition, expected));
    if (status == LK_OK)
        writing_end(&w, item);
    return writing_close(&w, status);
}

static lk_status
cache_touch(void *state, const lk_key *key, int64_t expires_at_ms)
{
    writing w;
    lk_status status = writing_open_key(&w, state, key);
    if (status != LK_OK)
        return status;
    LKI_INNER(w.c->self, w.c->inner, status = lk_touch_at(w.c->inner, key, expires_at_ms));
    return writing_close(&w, status);
}

static lk_status
cache_add(void *state, const lk_key *key, int64_t delta, int64_t expires_at_ms, int64_t *value)
{
    writing w;
    lk_status status = writing_open_key(&w, state, key);
    if (status != LK_OK)
        return status;
    LKI_INNER(w.c->self, w.c->inner,
              status = lk_add_at(w.c->inner, key, delta, expires_at_ms, value));
    return writing_close(&w, status);
}

/* Ends a commit. After a race or a fault the keys of its locks go from the cache, too: others have
 * changed them, perhaps not through this cache, or this commit has. */
static lk_status
commit_end(writing *w, lk_status status, const lk_lock *locks, size_t count)
{
    (void)writing_forget(w, status);
    for (size_t i = 0; status != LK_OK && status != LK_LATE && i < count; i++) {
        w->begun = w->ended = 0;
        writing_begin(w, &locks[i].key);
        (void)writing_forget(w, status);
    }
    return writing_close(w, status);
}

static lk_status
cache_set_atomic(void *state, const lk_item *items, size_t item_count, lk_lock *locks,
                 size_t lock_count, lk_conflict *conflict)
{
    writing w;
    lk_status status = writing_open(&w, state, item_count + 1);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < item_count; i++)
        writing_begin(&w, &items[i].key);
    LKI_INNER(w.c->self, w.c->inner,
              status = lk_set_atomic(w.c->inner, items, item_count, locks, lock_count, conflict));
    for (size_t i = 0; status == LK_OK && i < item_count; i++)
        writing_end(&w, &items[i]);
    return commit_end(&w, status, locks, lock_count);
}

static lk_status
cache_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
             size_t lock_count, lk_conflict *conflict)
{
    writing w;
    lk_status status = writing_open(&w, state, write_count + 1);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < write_count; i++)
        if (lki_write_key(&writes[i]) != NULL)
            writing_begin(&w, lki_write_key(&writes[i]));
    LKI_INNER(w.c->self, w.c->inner,
              status = lk_commit(w.c->inner, writes, write_count, locks, lock_count, conflict));
    bool done = status == LK_OK || status == LK_LATE;
    for (size_t i = 0; done && i < write_count; i++)
        if (lki_write_key(&writes[i]) != NULL)
            writing_end(&w, writes[i].kind == LK_PUT ? &writes[i].item : NULL);
    return commit_end(&w, status, locks, lock_count);
}

/* ---- upkeep ---- */

static lk_status
cache_statistics(void *state, lk_statistics *stats)
{
    const lki_cache_db *c = state;
    lk_status status = LK_OK;
    lki_thread *thread = lki_cache_self(c, &status);
    if (thread == NULL)
        return status;
    if ((lk_capabilities(c->inner) & LK_HAS_STATISTICS) != 0)
        LKI_INNER(c->self, c->inner, status = lk_statistics_read(c->inner, stats));
    if (status == LK_OK)
        lki_cache_statistics(c->cache, thread, stats);
    return status;
}

/* ---- queues ---- */

static lk_status
cache_push(void *state, const lk_item *jobs, size_t count, const lk_push_options *options,
           lk_result *pushed)
{
    writing w;
    lk_status status = writing_open(&w, state, count);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        if (jobs[i].key.sk.size != 0)
            writing_begin(&w, &jobs[i].key);
    LKI_INNER(w.c->self, w.c->inner,
              status = lk_queue_push(w.c->inner, jobs, count, options, pushed));
    return writing_close(&w, status);
}

/* Jobs that were received too often leave their partition and enter another one. Which jobs these
 * are, only the database knows: so both partitions get a window. */
static lk_status
cache_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    const lki_cache_db *c = state;
    lk_status status;
    if (options->max_receives == 0) {
        LKI_INNER(c->self, c->inner, status = lk_queue_pull(c->inner, options, result));
        return status;
    }
    uint32_t from = lki_partition_begin(c->cache, options->pk);
    uint32_t to = lki_partition_begin(c->cache, options->dead_pk);
    LKI_INNER(c->self, c->inner, status = lk_queue_pull(c->inner, options, result));
    lki_partition_end(c->cache, to, status == LK_UNKNOWN);
    lki_partition_end(c->cache, from, status == LK_UNKNOWN);
    return status;
}

static lk_status
cache_acknowledge(void *state, const lk_claim *claims, size_t count)
{
    writing w;
    lk_status status = writing_open(&w, state, count);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        writing_begin(&w, &claims[i].key);
    LKI_INNER(w.c->self, w.c->inner, status = lk_queue_acknowledge(w.c->inner, claims, count));
    return writing_close(&w, status);
}

static lk_status
cache_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    const lki_cache_db *c = state;
    uint32_t partition = lki_partition_begin(c->cache, pk);
    lk_status status;
    LKI_INNER(c->self, c->inner, status = lk_queue_purge(c->inner, pk, purged));
    lki_partition_end(c->cache, partition, status == LK_UNKNOWN);
    return status;
}

/* ---- open and close ---- */

static void
cache_close(void *state)
{
    lki_cache_db *c = state;
    LK_ASSERT(c->cache->owner == c);
    lki_cache_close(c->cache);
    lk_adapter_release(c->inner);
    lki_free(NULL, c, sizeof *c);
}

/* Conditions go through the cache also where the library puts them together from locks: it does so
 * behind the cache, within its windows. */
static void
conditions_pass(lk_operations *o)
{
    o->put_if = cache_put_if;
    o->touch = cache_touch;
    o->add = cache_add;
}

/* Replaces what the cache does itself, of the operations that the database has; all others pass. */
static void
operations_replace(lk_operations *o, uint64_t capabilities)
{
    o->close = cache_close;
    o->get_at = cache_get;
    o->set = cache_set;
    o->remove = cache_remove;
    o->get_into_at = cache_get_into;
    o->get_many = lki_cache_get_many;
    o->statistics = cache_statistics;
    if ((capabilities & LK_HAS_CONDITIONS) != 0)
        conditions_pass(o);
    if ((capabilities & LK_HAS_LOCKS) != 0) {
        o->commit = cache_commit;
        o->set_atomic = cache_set_atomic;
    }
    if ((capabilities & LK_HAS_QUEUES) != 0) {
        o->push = cache_push;
        o->pull = cache_pull;
        o->acknowledge = cache_acknowledge;
        o->queue_purge = cache_queue_purge;
    }
}

static bool
options_are_good(const lk_cache_options *o)
{
    return o != NULL && (o->max_items != 0 || o->max_bytes != 0) &&
           (o->policy == LK_CACHE_S3_FIFO || o->policy == LK_CACHE_LRU) && o->max_age_ms >= 0 &&
           o->load_wait_ms >= -1;
}

lk_status
lk_cache_open(lk_db *inner, const lk_cache_options *options, lk_db **db)
{
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations;
    if (db == NULL || !options_are_good(options) ||
        lk_adapter_pass(inner, &operations, &adapter) != LK_OK)
        return LK_INVALID;
    lki_cache_db *c = lki_alloc_zeroed(NULL, sizeof *c);
    if (c == NULL)
        return LK_NO_MEMORY;
    operations_replace(&operations, adapter.capabilities);
    adapter.name = "cache";
    adapter.capabilities |= LK_HAS_GET_MANY | LK_HAS_STATISTICS;
    adapter.capabilities &= ~LK_IS_SNAPSHOT;
    adapter.state = c;
    lk_status status = lk_adapter_hold(inner);
    if (status == LK_OK) {
        c->inner = inner;
        status = lki_cache_open(options, &adapter, &c->cache);
    }
    if (status == LK_OK)
        c->cache->owner = c;
    if (status == LK_OK)
        status = lk_adapter_open(&operations, &adapter, &c->self);
    if (status == LK_OK && (adapter.capabilities & LK_HAS_LOCKS) != 0)
        conditions_pass(&c->self->operations);
    if (status == LK_OK) {
        lki_handle_know(c->self, LKI_KNOWN_CACHE, c->cache, c->cache->domain.id, inner);
        *db = c->self;
    } else {
        if (c->cache != NULL)
            lki_cache_close(c->cache);
        lk_adapter_release(c->inner);
        lki_free(NULL, c, sizeof *c);
    }
    return status;
}
