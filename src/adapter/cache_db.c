/* SPDX-License-Identifier: MIT
 *
 * The cache in front of any handle. Called through the table of operations; arguments are valid.
 *
 * Hits are answered here; misses ask the database once for all who want the key; writes open a
 * window on each key they name, go through, and close it with what the key now holds, or with nothing
 * where that is not known for sure. Locks, queries, streams, views and queues go through; queue calls
 * that take items out open windows too. What the windows are good for: cache/cache.h.
 *
 * Progress: as lk_cache_open says.
 */
#include "adapter/handle.h"
#include "base/result.h"
#include "cache/cache.h"

typedef struct cache_db {
    lki_cache *cache;
    lk_db *inner; /* held */
} cache_db;

/* This thread's record in the cache. NULL with *why: no memory, or the database was closed. */
LKI_INLINE lki_thread *
self_of(const cache_db *c, lk_status *why)
{
    if (LKI_UNLIKELY(c->inner->operations.get == NULL)) {
        *why = LK_INVALID;
        return NULL;
    }
    return lki_thread_self(&c->cache->domain, why);
}

/* ---- one key ---- */

/* May this entry be returned now? */
LKI_INLINE bool
entry_is_good(const cache_db *c, const lki_entry *entry)
{
    return lki_entry_is_valid(c->cache, entry) &&
           (LKI_LIKELY(entry->fresh_until_ms == 0) ||
            !lk_has_expired(entry->fresh_until_ms, lk_realtime_now_ms(c->inner)));
}

LKI_INLINE lk_item
entry_item(const lki_entry *entry)
{
    return (lk_item){
        lki_entry_key(entry), {lki_entry_data(entry), entry->data_size}, entry->expires_at_ms};
}

LKI_INLINE lk_status
entry_copy(const lki_entry *entry, lk_result *result)
{
    size_t size = (size_t)entry->keyed.pk_size + entry->keyed.sk_size + entry->data_size;
    if (entry->absent)
        return LK_NOT_FOUND;
    if (LKI_UNLIKELY(!lki_result_begin(result, 1, size)))
        return LK_NO_MEMORY;
    lki_result_put(result, entry->bytes, entry->keyed.pk_size, entry->keyed.sk_size,
                   lki_entry_data(entry), entry->data_size, entry->expires_at_ms);
    return LK_OK;
}

/* A held entry that was good a moment ago, and is let go. */
static lk_status
entry_hand_over(const cache_db *c, lki_entry *entry, lk_result *result)
{
    lk_status status = lk_has_expired(entry->expires_at_ms, lk_realtime_now_ms(c->inner))
                           ? LK_NOT_FOUND
                           : entry_copy(entry, result);
    lki_entry_release(c->cache, entry);
    return status;
}

static LKI_COLD lk_status
get_missed(const cache_db *c, lki_thread *thread, const lki_hashed *hashed, lk_result *result)
{
    lki_miss miss = {.hashed = *hashed};
    int64_t now_ms = lk_realtime_now_ms(c->inner);
    lki_load_begin(c->cache, thread, &miss, now_ms);
    lk_status status = LK_RACE;
    if (miss.role == LKI_LOAD_JOINED)
        status = lki_load_wait(c->cache, &miss);
    if (miss.entry != NULL)
        return entry_hand_over(c, miss.entry, result);
    if (status != LK_RACE)
        return status;
    status = lk_get(c->inner, hashed->key, result);
    lki_load_end(c->cache, thread, &miss, status, status == LK_OK ? &result->items[0] : NULL,
                 now_ms);
    return status;
}

static lk_status
cache_get(void *state, lk_key key, lk_result *result)
{
    const cache_db *c = state;
    lk_status status = LK_OK;
    lki_hashed hashed = {key, lki_hash_key(&c->cache->secret, key)};
    LKI_PREFETCH(
        lki_cache_bucket(c->cache, hashed.hash)); /* a stale bucket is only a wasted hint */
    lki_thread *thread = self_of(c, &status);
    if (LKI_UNLIKELY(thread == NULL))
        return status;
    lki_enter(thread);
    lki_entry *entry = lki_cache_find(c->cache, &hashed);
    bool hit = entry != NULL && entry_is_good(c, entry);
    if (LKI_LIKELY(hit)) {
        status = entry_copy(entry, result);
        lki_cache_hit(c->cache, entry);
    }
    lki_leave(thread);
    lki_count(thread, LKI_GETS, 1);
    lki_count(thread, LKI_HITS, hit);
    return LKI_LIKELY(hit) ? status : get_missed(c, thread, &hashed, result);
}

static lk_status
data_copy(lk_bytes data, void *buffer, size_t capacity, size_t *size)
{
    *size = data.size;
    if (data.size > capacity)
        return LK_TOO_SMALL;
    if (data.size != 0)
        memcpy(buffer, data.data, data.size);
    return LK_OK;
}

static lk_status
cache_get_into(void *state, lk_key key, void *buffer, size_t capacity, size_t *size)
{
    const cache_db *c = state;
    lk_status status = LK_OK;
    lki_hashed hashed = {key, lki_hash_key(&c->cache->secret, key)};
    lki_thread *thread = self_of(c, &status);
    if (thread == NULL)
        return status;
    lki_enter(thread);
    lki_entry *entry = lki_cache_find(c->cache, &hashed);
    bool hit = entry != NULL && entry_is_good(c, entry);
    if (hit) {
        status = entry->absent ? LK_NOT_FOUND
                               : data_copy(entry_item(entry).data, buffer, capacity, size);
        lki_cache_hit(c->cache, entry);
    }
    lki_leave(thread);
    lki_count(thread, LKI_GETS, 1);
    lki_count(thread, LKI_HITS, hit);
    if (hit)
        return status;
    lk_result *result = lk_result_new();
    if (result == NULL)
        return LK_NO_MEMORY;
    status = get_missed(c, thread, &hashed, result);
    if (status == LK_OK)
        status = data_copy(result->items[0].data, buffer, capacity, size);
    lk_result_free(result);
    return status;
}

/* ---- several keys ---- */

/* A get_many: for each key an entry, which the section protects as long as all are found, and holds
 * after that; where there is none, a miss. */
typedef struct many {
    const cache_db *c;
    lki_thread *thread;
    const lk_key *keys;
    size_t count, missing;
    lki_miss *misses;  /* of each key; `entry`: what was found */
    lk_key *asked;     /* keys for the database */
    size_t *positions; /* of these */
    lk_result *answers;
    int64_t now_ms;
} many;

/* All keys by the table alone. */
static void
many_find(many *m)
{
    lki_cache *cache = m->c->cache;
    for (size_t i = 0; i < m->count; i++) {
        m->misses[i] = (lki_miss){.hashed = {m->keys[i], lki_hash_key(&cache->secret, m->keys[i])}};
        LKI_PREFETCH(lki_cache_bucket(cache, m->misses[i].hashed.hash));
    }
    for (size_t i = 0; i < m->count; i++) {
        uint64_t hash = m->misses[i].hashed.hash;
        LKI_PREFETCH(lki_bucket_guess(lki_cache_bucket(cache, hash), lki_set_tag(hash)));
    }
    m->missing = 0;
    for (size_t i = 0; i < m->count; i++) {
        lki_entry *entry = lki_cache_find(cache, &m->misses[i].hashed);
        if (entry != NULL && entry_is_good(m->c, entry)) {
            m->misses[i].entry = entry;
            lki_cache_hit(cache, entry);
        } else {
            m->missing++;
        }
    }
}

static lk_status
many_copy(const many *m, lk_result *result)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->count; i++)
        bytes += m->misses[i].entry != NULL ? lki_entry_size(m->misses[i].entry) : 0;
    if (!lki_result_begin(result, m->count, bytes))
        return LK_NO_MEMORY;
    for (size_t i = 0; i < m->count; i++) {
        const lki_entry *entry = m->misses[i].entry;
        if (entry == NULL || entry->absent)
            lki_result_put_hole(result);
        else
            lki_result_put(result, entry->bytes, entry->keyed.pk_size, entry->keyed.sk_size,
                           lki_entry_data(entry), entry->data_size, entry->expires_at_ms);
    }
    return LK_OK;
}

/* The database's answers to keys[0] to keys[count - 1], with holes. */
static lk_status
many_ask(const many *m, const lk_key *keys, size_t count, lk_result *answers)
{
    if ((lk_capabilities(m->c->inner) & LK_HAS_GET_MANY) != 0)
        return lk_get_many(m->c->inner, keys, count, answers);
    lk_result *one = lk_result_new();
    lk_status status = one == NULL ? LK_NO_MEMORY : LK_OK;
    lk_result_draft(answers);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        status = lk_get(m->c->inner, keys[i], one);
        if (status == LK_OK || status == LK_NOT_FOUND)
            status = lk_result_add(answers, status == LK_OK ? lk_result_item(one, 0) : NULL);
    }
    if (status == LK_OK)
        lk_result_publish(answers);
    lk_result_free(one);
    return status;
}

/* Loads of all that is missing, then what others load. */
static lk_status
many_load(many *m)
{
    lki_cache *cache = m->c->cache;
    size_t asked = 0;
    for (size_t i = 0; i < m->count; i++) {
        lki_miss *miss = &m->misses[i];
        if (miss->entry != NULL)
            continue;
        lki_load_begin(cache, m->thread, miss, m->now_ms);
        if (miss->role != LKI_LOAD_LEADS && miss->role != LKI_LOAD_ALONE)
            continue;
        m->asked[asked] = m->keys[i];
        m->positions[i] = asked++;
    }
    lk_status status = asked != 0 ? many_ask(m, m->asked, asked, m->answers) : LK_OK;
    for (size_t i = 0; i < m->count; i++) {
        lki_miss *miss = &m->misses[i];
        if (miss->role != LKI_LOAD_LEADS)
            continue;
        /* What a call of several keys failed with is no answer for one of them: LK_RACE. */
        const lk_item *item = status == LK_OK ? lk_result_item(m->answers, m->positions[i]) : NULL;
        lk_status its = status != LK_OK ? LK_RACE : item == NULL ? LK_NOT_FOUND : LK_OK;
        lki_load_end(cache, m->thread, miss, its, item, m->now_ms);
    }
    return status;
}

/* Adds position i to the draft. */
static lk_status
many_add(const many *m, size_t i, lk_result *one, lk_result *result)
{
    lki_miss *miss = &m->misses[i];
    lk_status status = LK_OK;
    if (miss->role == LKI_LOAD_LEADS || miss->role == LKI_LOAD_ALONE)
        return lk_result_add(result, lk_result_item(m->answers, m->positions[i]));
    if (miss->role == LKI_LOAD_JOINED && miss->entry == NULL) {
        status = miss->status == LK_NOT_FOUND ? LK_NOT_FOUND
                                              : lk_get(m->c->inner, miss->hashed.key, one);
        return status == LK_OK || status == LK_NOT_FOUND
                   ? lk_result_add(result, status == LK_OK ? lk_result_item(one, 0) : NULL)
                   : status;
    }
    lk_item item = entry_item(miss->entry);
    bool there = !miss->entry->absent && !lk_has_expired(item.expires_at_ms, m->now_ms);
    return lk_result_add(result, there ? &item : NULL);
}

static lk_status
many_merge(many *m, lk_result *result)
{
    lk_status status = m->answers == NULL ? LK_NO_MEMORY : many_load(m);
    /* Own loads have ended: two threads that wait for each other's do not exist. */
    for (size_t i = 0; i < m->count; i++)
        if (m->misses[i].role == LKI_LOAD_JOINED)
            m->misses[i].status = lki_load_wait(m->c->cache, &m->misses[i]);
    m->now_ms = lk_realtime_now_ms(m->c->inner);
    lk_result *one = status == LK_OK ? lk_result_new() : NULL;
    if (status == LK_OK && one == NULL)
        status = LK_NO_MEMORY;
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < m->count; i++)
        status = many_add(m, i, one, result);
    if (status == LK_OK)
        lk_result_publish(result);
    lk_result_free(one);
    for (size_t i = 0; i < m->count; i++)
        lki_entry_release(m->c->cache, m->misses[i].entry);
    return status;
}

static lk_status
cache_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    lk_status status = LK_OK;
    many m = {.c = state, .keys = keys, .count = count};
    m.thread = self_of(m.c, &status);
    if (m.thread == NULL)
        return status;
    size_t size;
    if (__builtin_mul_overflow(count, sizeof(lki_miss) + sizeof(lk_key) + sizeof(size_t), &size))
        return LK_NO_MEMORY;
    m.misses = lki_scratch(m.thread, size);
    if (m.misses == NULL && count != 0)
        return LK_NO_MEMORY;
    m.asked = (lk_key *)(void *)(m.misses + count);
    m.positions = (size_t *)(void *)(m.asked + count);
    lki_enter(m.thread);
    many_find(&m);
    if (m.missing == 0)
        status = many_copy(&m, result);
    else
        for (size_t i = 0; i < count; i++)
            if (m.misses[i].entry != NULL)
                lki_entry_hold(m.misses[i].entry);
    lki_leave(m.thread);
    lki_count(m.thread, LKI_GETS, count);
    lki_count(m.thread, LKI_HITS, count - m.missing);
    if (m.missing == 0)
        return status;
    m.now_ms = lk_realtime_now_ms(m.c->inner);
    m.answers = lk_result_new();
    status = many_merge(&m, result);
    lk_result_free(m.answers);
    return status;
}

/* ---- writes ---- */

/* The keys that a call writes to, one way or the other. */
typedef struct writing {
    const cache_db *c;
    lki_thread *thread;
    lki_flight *flights;
    size_t count;
    int64_t now_ms; /* from before the database is written to: ages count from then */
} writing;

/* Room for `count` keys. LK_OK, LK_INVALID, LK_NO_MEMORY: nothing was begun. */
static lk_status
writing_open(writing *w, void *state, size_t count)
{
    lk_status status = LK_OK;
    size_t size;
    *w = (writing){.c = state, .thread = self_of(state, &status)};
    if (w->thread == NULL)
        return status;
    if (__builtin_mul_overflow(count, sizeof *w->flights, &size))
        return LK_NO_MEMORY;
    w->now_ms = lk_realtime_now_ms(w->c->inner);
    w->flights = lki_scratch(w->thread, size);
    return w->flights != NULL || count == 0 ? LK_OK : LK_NO_MEMORY;
}

static void
writing_begin(writing *w, lk_key key)
{
    lki_hashed hashed = {key, lki_hash_key(&w->c->cache->secret, key)};
    lki_flight_begin(w->c->cache, w->thread, &w->flights[w->count++], &hashed);
}

/* In the order of their beginning. */
static void
writing_end(writing *w, size_t *at, const lk_item *item)
{
    lki_flight_end(w->c->cache, w->thread, &w->flights[(*at)++], item, w->now_ms);
}

/* All of them: what the keys hold is not known, or nothing. */
static void
writing_drop(writing *w)
{
    for (size_t at = 0; at < w->count;)
        writing_end(w, &at, NULL);
}

static lk_status
cache_set(void *state, const lk_item *items, size_t count)
{
    writing w;
    lk_status status = writing_open(&w, state, count);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        writing_begin(&w, items[i].key);
    status = lk_set(w.c->inner, items, count);
    for (size_t i = 0, at = 0; i < count; i++)
        writing_end(&w, &at, status == LK_OK ? &items[i] : NULL);
    return status;
}

static lk_status
cache_remove(void *state, const lk_key *keys, size_t count)
{
    writing w;
    lk_status status = writing_open(&w, state, count);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        writing_begin(&w, keys[i]);
    status = lk_delete(w.c->inner, keys, count);
    writing_drop(&w);
    return status;
}

/* A race: somebody has changed what the locks guard, perhaps not through this cache. */
static void
locks_forget(writing *w, const lk_lock *locks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        w->count = 0;
        writing_begin(w, locks[i].key);
        writing_drop(w);
    }
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
        writing_begin(&w, items[i].key);
    status = lk_set_atomic(w.c->inner, items, item_count, locks, lock_count, conflict);
    for (size_t i = 0, at = 0; i < item_count; i++)
        writing_end(&w, &at, status == LK_OK ? &items[i] : NULL);
    if (status != LK_OK)
        locks_forget(&w, locks, lock_count);
    return status;
}

/* The key of a write; false: it has none yet. */
static bool
write_key(const lk_write *write, lk_key *key)
{
    *key = write->kind == LK_ACKNOWLEDGE ? write->claim->key : write->item.key;
    return write->kind != LK_PUSH || key->sk.size != 0;
}

static lk_status
cache_commit(void *state, const lk_write *writes, size_t write_count, lk_lock *locks,
             size_t lock_count, lk_conflict *conflict)
{
    writing w;
    lk_key key;
    lk_status status = writing_open(&w, state, write_count + 1);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < write_count; i++)
        if (write_key(&writes[i], &key))
            writing_begin(&w, key);
    status = lk_commit(w.c->inner, writes, write_count, locks, lock_count, conflict);
    bool done = status == LK_OK || status == LK_LATE;
    for (size_t i = 0, at = 0; i < write_count; i++) {
        const lk_item *item = done && writes[i].kind == LK_PUT ? &writes[i].item : NULL;
        if (write_key(&writes[i], &key))
            writing_end(&w, &at, item);
    }
    if (!done)
        locks_forget(&w, locks, lock_count);
    return status;
}

/* ---- what goes through ---- */

static lk_db *
inner_of(void *state)
{
    return ((cache_db *)state)->inner;
}

static lk_status
cache_query(void *state, const lk_page *page, lk_result *result)
{
    return lk_query_page(inner_of(state), page, result);
}

static lk_status
cache_get_lock(void *state, lk_key key, lk_lock *lock)
{
    return lk_get_lock(inner_of(state), key, lock);
}

static lk_status
cache_get_locked(void *state, const lk_key *keys, size_t count, lk_lock *locks, lk_result *result)
{
    return lk_get_locked(inner_of(state), keys, count, locks, result);
}

static void
cache_read_begin(void *state)
{
    lk_read_begin(inner_of(state));
}

static void
cache_read_end(void *state)
{
    lk_read_end(inner_of(state));
}

static lk_status
cache_view(void *state, lk_key key, lk_item *item)
{
    return lk_view(inner_of(state), key, item);
}

static lk_status
cache_sweep(void *state, size_t max_items, size_t *swept)
{
    return lk_sweep(inner_of(state), max_items, swept);
}

static lk_status
cache_statistics(void *state, lk_statistics *stats)
{
    const cache_db *c = state;
    lk_status status = LK_OK;
    if (self_of(c, &status) == NULL)
        return status;
    if ((lk_capabilities(c->inner) & LK_HAS_STATISTICS) != 0)
        status = lk_statistics_read(c->inner, stats);
    if (status == LK_OK)
        lki_cache_statistics(c->cache, stats);
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
            writing_begin(&w, jobs[i].key);
    /* Afterwards the jobs may be gone: they may have pointed into `pushed`. */
    status = lk_queue_push(w.c->inner, jobs, count, options, pushed);
    writing_drop(&w);
    return status;
}

/* Jobs that were received too often leave their partition and enter another one: which, only the
 * database knows. */
static lk_status
cache_pull(void *state, const lk_pull_options *options, lk_result *result)
{
    const cache_db *c = state;
    if (options->max_receives == 0)
        return lk_queue_pull(c->inner, options, result);
    uint32_t from = lki_partition_begin(c->cache, options->pk),
             to = lki_partition_begin(c->cache, options->dead_pk);
    lk_status status = lk_queue_pull(c->inner, options, result);
    lki_partition_end(c->cache, to);
    lki_partition_end(c->cache, from);
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
        writing_begin(&w, claims[i].key);
    status = lk_queue_acknowledge(w.c->inner, claims, count);
    writing_drop(&w);
    return status;
}

static lk_status
cache_release(void *state, const lk_claim *claim, int64_t delay_ms)
{
    return lk_queue_release(inner_of(state), claim, delay_ms);
}

static lk_status
cache_extend(void *state, lk_claim *claim, int64_t visibility_ms)
{
    return lk_queue_extend(inner_of(state), claim, visibility_ms);
}

static lk_status
cache_queue_stats(void *state, lk_bytes pk, lk_queue_statistics *stats)
{
    return lk_queue_stats(inner_of(state), pk, stats);
}

static lk_status
cache_queue_purge(void *state, lk_bytes pk, size_t *purged)
{
    const cache_db *c = state;
    uint32_t number = lki_partition_begin(c->cache, pk);
    lk_status status = lk_queue_purge(c->inner, pk, purged);
    lki_partition_end(c->cache, number);
    return status;
}

static lk_status
cache_queue_close(void *state, lk_bytes pk)
{
    return lk_queue_close(inner_of(state), pk);
}

static lk_status
cache_queue_fd(void *state, lk_bytes pk, int *fd)
{
    return lk_queue_fd(inner_of(state), pk, fd);
}

/* ---- open and close ---- */

static void
cache_close(void *state)
{
    cache_db *c = state;
    lki_cache_close(c->cache);
    lk_adapter_release(c->inner);
    lki_free(NULL, c, sizeof *c);
}

/* Of all that a cache can; what the database lacks is left out. */
static lk_operations
operations_for(uint64_t capabilities)
{
    lk_operations o = {.size = sizeof o,
                       .close = cache_close,
                       .get = cache_get,
                       .set = cache_set,
                       .remove = cache_remove,
                       .get_into = cache_get_into,
                       .get_many = cache_get_many,
                       .statistics = cache_statistics};
    if ((capabilities & LK_HAS_QUERY) != 0)
        o.query = cache_query;
    if ((capabilities & LK_HAS_LOCKS) != 0) {
        o.get_lock = cache_get_lock;
        o.get_locked = cache_get_locked;
        o.commit = cache_commit;
        o.set_atomic = cache_set_atomic;
    }
    if ((capabilities & LK_HAS_QUEUES) != 0) {
        o.push = cache_push;
        o.pull = cache_pull;
        o.acknowledge = cache_acknowledge;
        o.release = cache_release;
        o.extend = cache_extend;
        o.queue_stats = cache_queue_stats;
        o.queue_purge = cache_queue_purge;
        o.queue_close = cache_queue_close;
    }
    if ((capabilities & LK_HAS_QUEUE_FD) != 0)
        o.queue_fd = cache_queue_fd;
    if ((capabilities & LK_HAS_VIEWS) != 0) {
        o.read_begin = cache_read_begin;
        o.read_end = cache_read_end;
        o.view = cache_view;
    }
    if ((capabilities & LK_HAS_SWEEP) != 0)
        o.sweep = cache_sweep;
    return o;
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
    if (db == NULL || !options_are_good(options) || lk_adapter_read(inner, &adapter) != LK_OK)
        return LK_INVALID;
    cache_db *c = lki_alloc_zeroed(NULL, sizeof *c);
    if (c == NULL)
        return LK_NO_MEMORY;
    lk_operations operations = operations_for(adapter.capabilities);
    adapter.name = "cache";
    /* Keys named twice are looked for by the inner handle. */
    adapter.capabilities |= LK_HAS_GET_MANY | LK_HAS_STATISTICS | LK_FINDS_TWINS;
    adapter.capabilities &= ~LK_IS_SNAPSHOT;
    adapter.state = c;
    lk_status status = lk_adapter_hold(inner);
    if (status == LK_OK) {
        c->inner = inner;
        status = lki_cache_open(options, &c->cache);
    }
    if (status == LK_OK)
        status = lk_adapter_open(&operations, &adapter, db);
    if (status != LK_OK) {
        if (c->cache != NULL)
            lki_cache_close(c->cache);
        lk_adapter_release(c->inner);
        lki_free(NULL, c, sizeof *c);
    }
    return status;
}
