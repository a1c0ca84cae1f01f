/* SPDX-License-Identifier: MIT
 *
 * Several keys through a cache. If the table has all of them, it answers alone. Else one call asks
 * the database for the keys that are missing, but for those that other threads are reading already.
 * Called through the table of operations in cache_db.c.
 */
#include "adapter/cache_db.h"
#include "base/scratch.h"
#include "cache/load.h"

/* A get_many. Each key has an entry, or a miss where there is none. The section protects the
 * entries if all are there; else they are held. Keys that are missing are asked for in one call;
 * then the answers of other threads are waited for; keys for which those have none are asked for in
 * a second call. */
typedef struct many {
    const lki_cache_db *c;
    lki_thread *thread;
    const lk_key *keys;
    size_t count, missing;
    lki_miss *misses;      /* of each key; `entry`: what was found */
    lk_key *asked;         /* keys for the database */
    const lk_item **items; /* the database's answers, of each key that was asked for */
    int64_t now_ms;
} many;

/* Looks all keys up in the table. */
static void
many_find(many *m)
{
    lki_cache *cache = m->c->cache;
    for (size_t i = 0; i < m->count; i++) {
        m->misses[i] = (lki_miss){.hashed = lki_hashed_of(&cache->secret, &m->keys[i])};
        LKI_PREFETCH(lki_cache_bucket(cache, m->misses[i].hashed.hash));
    }
    for (size_t i = 0; i < m->count; i++) {
        uint64_t hash = m->misses[i].hashed.hash;
        LKI_PREFETCH(lki_bucket_guess(lki_cache_bucket(cache, hash), hash));
    }
    m->missing = 0;
    for (size_t i = 0; i < m->count; i++) {
        lki_cached *entry = lki_cache_find(cache, &m->misses[i].hashed);
        if (entry != NULL && lki_cached_is_good(m->c, entry)) {
            m->misses[i].entry = entry;
            lki_cache_hit(cache, entry);
        } else {
            m->misses[i].role = LKI_LOAD_VAIN;
            m->missing++;
        }
    }
}

static lk_status
many_copy(const many *m, lk_result *result)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->count; i++)
        bytes += m->misses[i].entry != NULL ? lki_cached_size(m->misses[i].entry) : 0;
    if (!lki_result_begin(result, m->count, bytes))
        return LK_NO_MEMORY;
    for (size_t i = 0; i < m->count; i++) {
        const lki_cached *entry = m->misses[i].entry;
        if (entry == NULL || entry->absent)
            lki_result_put_hole(result);
        else
            lki_result_put(result, entry->bytes, entry->keyed.pk_size, entry->keyed.sk_size,
                           lki_cached_data(entry), entry->data_size, entry->expires_at_ms);
    }
    return LK_OK;
}

/* Has this read to ask for the key itself? */
static bool
miss_asks(const lki_miss *miss)
{
    return miss->role == LKI_LOAD_LEADS || miss->role == LKI_LOAD_ALONE;
}

/* Asks for all that this read has to ask for itself; ends the loads that it leads. */
static lk_status
many_load(many *m, lk_result *answers)
{
    size_t asked = 0;
    lk_status status = LK_OK;
    for (size_t i = 0; i < m->count; i++)
        if (miss_asks(&m->misses[i]))
            m->asked[asked++] = m->keys[i];
    if (asked != 0)
        LKI_INNER(m->c->self, m->c->inner,
                  status = lki_get_each(m->c->inner, m->asked, asked, answers));
    asked = 0;
    for (size_t i = 0; i < m->count; i++) {
        lki_miss *miss = &m->misses[i];
        if (!miss_asks(miss))
            continue;
        const lk_item *item = status == LK_OK ? lk_result_item(answers, asked++) : NULL;
        /* The fault of a call of several keys is no answer for one of them. */
        lk_status its = status != LK_OK ? LK_RACE : item != NULL ? LK_OK : LK_NOT_FOUND;
        m->items[i] = item;
        lki_load_end(m->c->cache, m->thread, miss, its, item);
    }
    return status;
}

/* Loads the keys that have no answer, but for those that other threads load. `patient`: those may
 * be waited for. */
static lk_status
many_load_vain(many *m, bool patient, lk_result *answers)
{
    m->now_ms = lk_realtime_now_ms(m->c->inner);
    lki_loads_begin(m->thread);
    for (size_t i = 0; i < m->count; i++)
        if (m->misses[i].role == LKI_LOAD_VAIN)
            lki_load_begin(m->c->cache, m->thread, &m->misses[i], patient, m->now_ms);
    return many_load(m, answers);
}

/* Waits for the loads that were joined; after a fault of this call only leaves them. True: some had
 * no answer. */
static bool
many_wait(many *m, lk_status status)
{
    bool in_vain = false;
    int64_t until_ms = status == LK_OK ? lki_load_deadline(m->c->cache) : 0;
    for (size_t i = 0; i < m->count; i++)
        if (m->misses[i].role == LKI_LOAD_JOINED) {
            lk_status told = lki_load_wait(m->c->cache, &m->misses[i], until_ms);
            if (told != LK_OK && told != LK_NOT_FOUND) /* the fault was another call's */
                m->misses[i].role = LKI_LOAD_VAIN;
            in_vain = in_vain || m->misses[i].role == LKI_LOAD_VAIN;
        }
    return in_vain;
}

/* Adds position i to the draft. */
static lk_status
many_add(const many *m, size_t i, lk_result *result)
{
    const lki_miss *miss = &m->misses[i];
    if (miss->role == LKI_LOAD_ENDED)
        return lk_result_add(result, m->items[i]);
    if (miss->entry == NULL || miss->entry->absent)
        return lk_result_add(result, NULL);
    lk_item item = lki_cached_item(miss->entry);
    return lk_result_add(result, lk_has_expired(item.expires_at_ms, m->now_ms) ? NULL : &item);
}

/* `answers`: two results. */
static lk_status
many_merge(many *m, lk_result *const *answers, lk_result *result)
{
    lk_status status = answers[0] != NULL && answers[1] != NULL ? LK_OK : LK_NO_MEMORY;
    if (status == LK_OK)
        status = many_load_vain(m, lki_inner_is_patient(m->c->self), answers[0]);
    /* Own loads have ended: two threads that wait for each other's do not exist. */
    if (many_wait(m, status) && status == LK_OK)
        status = many_load_vain(m, false, answers[1]);
    m->now_ms = lk_realtime_now_ms(m->c->inner);
    for (size_t i = 0; i < m->count; i++) /* whatever came, this call waits for nothing any more */
        LK_ASSERT(m->misses[i].role != LKI_LOAD_JOINED);
    lk_result_draft(result);
    for (size_t i = 0; status == LK_OK && i < m->count; i++)
        status = many_add(m, i, result);
    if (status == LK_OK)
        lk_result_publish(result);
    for (size_t i = 0; i < m->count; i++)
        lki_cached_release(m->c->cache, m->misses[i].entry);
    return status;
}

lk_status
lki_cache_get_many(void *state, const lk_key *keys, size_t count, lk_result *result)
{
    lk_status status = LK_OK;
    many m = {.c = state, .keys = keys, .count = count};
    m.thread = lki_cache_self(m.c, &status);
    if (m.thread == NULL)
        return status;
    size_t size;
    if (__builtin_mul_overflow(count, sizeof(lki_miss) + sizeof(lk_key) + sizeof(lk_item *), &size))
        return LK_NO_MEMORY;
    lki_scratch scratch;
    if (!lki_scratch_take(m.thread, &scratch, size))
        return LK_NO_MEMORY;
    m.misses = scratch.memory;
    m.asked = (lk_key *)(void *)(m.misses + count);
    m.items = (const lk_item **)(void *)(m.asked + count);
    lki_enter(m.thread);
    many_find(&m);
    if (m.missing == 0)
        status = many_copy(&m, result);
    else
        for (size_t i = 0; i < count; i++)
            if (m.misses[i].entry != NULL)
                lki_cached_hold(m.misses[i].entry);
    lki_leave(m.thread);
    lki_count(m.thread, LKI_HITS, count - m.missing);
    lki_count(m.thread, LKI_MISSES, m.missing);
    if (m.missing != 0) {
        lk_result *answers[2] = {lk_result_new(), lk_result_new()};
        status = many_merge(&m, answers, result);
        lk_result_free(answers[0]);
        lk_result_free(answers[1]);
    }
    lki_scratch_give(m.thread, &scratch);
    return status;
}
