/* SPDX-License-Identifier: MIT
 *
 * Several keys through a cache: all from the table where they are there; else what is missing is asked
 * of the database in one call, but for keys that other threads are reading already. Called through the
 * table of operations in cache_db.c.
 */
#include "adapter/cache_db.h"
#include "base/scratch.h"

/* A get_many: for each key an entry, which the section protects as long as all are found, and holds
 * after that; where there is none, a miss. */
typedef struct many {
    const lki_cache_db *c;
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
        lki_cached *entry = lki_cache_find(cache, &m->misses[i].hashed);
        if (entry != NULL && lki_cached_is_good(m->c, entry)) {
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

/* Loads of all that is missing, but for what others load. */
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
        const lk_item *item = status == LK_OK ? lk_result_item(m->answers, m->positions[i]) : NULL;
        /* What a call of several keys failed with is no answer for one of them. */
        lk_status its = status != LK_OK ? LK_RACE : item != NULL ? LK_OK : LK_NOT_FOUND;
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
    if (miss->role == LKI_LOAD_JOINED) { /* in vain */
        status = lk_get(m->c->inner, miss->hashed.key, one);
        return status == LK_OK || status == LK_NOT_FOUND
                   ? lk_result_add(result, status == LK_OK ? lk_result_item(one, 0) : NULL)
                   : status;
    }
    if (miss->entry == NULL || miss->entry->absent)
        return lk_result_add(result, NULL);
    lk_item item = lki_cached_item(miss->entry);
    return lk_result_add(result, lk_has_expired(item.expires_at_ms, m->now_ms) ? NULL : &item);
}

static lk_status
many_merge(many *m, lk_result *result)
{
    lk_status status = m->answers == NULL ? LK_NO_MEMORY : many_load(m);
    /* Own loads have ended: two threads that wait for each other's do not exist. */
    int64_t until_ms = status == LK_OK ? lki_load_deadline(m->c->cache) : 0;
    for (size_t i = 0; i < m->count; i++) {
        lki_miss *miss = &m->misses[i];
        if (miss->role != LKI_LOAD_JOINED)
            continue;
        lk_status told = lki_load_wait(m->c->cache, miss, until_ms);
        if (told == LK_OK || told == LK_NOT_FOUND)
            miss->role = LKI_LOAD_FOUND; /* the entry, or that there is none */
    }
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
    if (__builtin_mul_overflow(count, sizeof(lki_miss) + sizeof(lk_key) + sizeof(size_t), &size))
        return LK_NO_MEMORY;
    lki_scratch scratch;
    if (!lki_scratch_take(m.thread, &scratch, size))
        return LK_NO_MEMORY;
    m.misses = scratch.memory;
    m.asked = (lk_key *)(void *)(m.misses + count);
    m.positions = (size_t *)(void *)(m.asked + count);
    lki_enter(m.thread);
    many_find(&m);
    if (m.missing == 0)
        status = many_copy(&m, result);
    else
        for (size_t i = 0; i < count; i++)
            if (m.misses[i].entry != NULL)
                lki_cached_hold(m.misses[i].entry);
    lki_leave(m.thread);
    lki_count(m.thread, LKI_GETS, count);
    lki_count(m.thread, LKI_HITS, count - m.missing);
    if (m.missing != 0) {
        m.now_ms = lk_realtime_now_ms(m.c->inner);
        m.answers = lk_result_new();
        status = many_merge(&m, result);
        lk_result_free(m.answers);
    }
    lki_scratch_give(m.thread, &scratch);
    return status;
}
