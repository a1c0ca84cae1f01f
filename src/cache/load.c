/* SPDX-License-Identifier: MIT
 *
 * Reads of a cache that missed: one asks the database for all who want the key. Called by
 * adapter/cache_db.c and cache_many.c.
 *
 * A load is listed in its shard while the database works. Who joins it counts itself; the last reader
 * frees it, and with it the reference to the answer.
 */
#include "cache/shard.h"

#include <time.h>

struct lki_load {
    lki_load *next;                 /* [latch] of its window */
    uint64_t begun, partition_word; /* [const] windows as they were when it began */
    size_t readers;                 /* [latch] who leads it or waits for it */
    bool ended;                     /* [latch] */
    lk_status status;               /* [latch] once it has ended */
    lki_cached *entry;              /* [latch] held; the answer of LK_OK */
    lki_hashed hashed;              /* [const] of the bytes below */
    unsigned char bytes[];          /* [const] pk, sk */
};

static lki_load *
load_new(lki_cache *cache, const lki_hashed *hashed)
{
    const lk_key *key = &hashed->key;
    lki_load *load =
        lki_alloc(&cache->domain.allocator, sizeof *load + key->pk.size + key->sk.size);
    if (load == NULL)
        return NULL;
    *load = (lki_load){.readers = 1, .hashed = *hashed};
    memcpy(load->bytes, key->pk.data, key->pk.size);
    if (key->sk.size != 0)
        memcpy(load->bytes + key->pk.size, key->sk.data, key->sk.size);
    load->hashed.key.pk.data = load->bytes;
    load->hashed.key.sk.data = load->bytes + key->pk.size;
    return load;
}

static void
load_free(lki_cache *cache, lki_load *load)
{
    if (load == NULL)
        return;
    const lk_key *key = &load->hashed.key;
    lki_cached_release(cache, load->entry);
    lki_free(&cache->domain.allocator, load, sizeof *load + key->pk.size + key->sk.size);
}

/* Who leads or waits has done so. */
static bool
load_leave_latched(lki_load *load)
{
    return --load->readers == 0;
}

/* The load of a key that a read which begins now may take part in. */
static lki_load *
load_find_latched(lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed)
{
    lki_load *load = lki_window_of(cache, shard, hashed->hash)->loads;
    for (; load != NULL; load = load->next)
        if (load->hashed.hash == hashed->hash &&
            lk_bytes_compare(load->hashed.key.pk, hashed->key.pk) == 0 &&
            lk_bytes_compare(load->hashed.key.sk, hashed->key.sk) == 0 &&
            lki_windows_are_as(cache, shard, hashed, load->begun, load->partition_word))
            return load;
    return NULL;
}

static void
miss_decide_latched(lki_cache *cache, lki_cache_shard *shard, lki_miss *miss, lki_load *fresh,
                    int64_t now_ms)
{
    lki_cached *entry = lki_set_get(&shard->entries, &miss->hashed);
    if (entry != NULL && lki_cached_is_valid(cache, entry) &&
        !lk_has_expired(entry->fresh_until_ms, now_ms)) {
        lki_cached_hold(entry);
        miss->role = LKI_LOAD_FOUND;
        miss->entry = entry;
        return;
    }
    lki_load *running =
        cache->load_wait_ms >= 0 ? load_find_latched(cache, shard, &miss->hashed) : NULL;
    if (running != NULL) {
        running->readers++;
        miss->role = LKI_LOAD_JOINED;
        miss->load = running;
        return;
    }
    lki_window *w = lki_window_of(cache, shard, miss->hashed.hash);
    uint64_t word = lki_partition_word(cache, miss->hashed.key.pk);
    miss->role = LKI_LOAD_ALONE;
    if (fresh == NULL || !lki_windows_are_as(cache, shard, &miss->hashed, w->begun, word))
        return;
    fresh->begun = w->begun;
    fresh->partition_word = word;
    fresh->next = w->loads;
    w->loads = fresh;
    miss->role = LKI_LOAD_LEADS;
    miss->load = fresh;
}

void
lki_load_begin(lki_cache *cache, lki_thread *thread, lki_miss *miss, int64_t now_ms)
{
    lki_cache_shard *shard = lki_cache_shard_of(cache, miss->hashed.hash);
    lki_load *fresh = load_new(cache, &miss->hashed);
    miss->load = NULL;
    miss->entry = NULL;
    lki_latch_take(&shard->latch, thread);
    miss_decide_latched(cache, shard, miss, fresh, now_ms);
    lki_latch_drop(&shard->latch);
    if (miss->role != LKI_LOAD_LEADS)
        load_free(cache, fresh);
    lki_count(thread, LKI_LOADS_JOINED, miss->role == LKI_LOAD_JOINED);
}

/* A queue may yet give such a key to a job, and nobody names it beforehand: that there is none is told to
 * nobody else. */
static bool
absence_is_certain(const lk_key *key)
{
    return key->sk.size != LK_ULID_SIZE;
}

/* What others who wait for the same key are told. What one thread lacks memory for, the next may have:
 * LK_RACE, they ask themselves. */
static lk_status
answer_for_others(const lki_load *load, lk_status status, const lki_cached *entry)
{
    bool asked_in_vain = status == LK_NO_MEMORY || (status == LK_OK && entry == NULL) ||
                         (status == LK_NOT_FOUND && !absence_is_certain(&load->hashed.key));
    return asked_in_vain ? LK_RACE : status;
}

void
lki_load_end(lki_cache *cache, lki_thread *thread, lki_miss *miss, lk_status status,
             const lk_item *item, int64_t now_ms)
{
    lki_load *load = miss->load;
    if (miss->role != LKI_LOAD_LEADS)
        return;
    const lki_hashed *hashed = &load->hashed;
    lki_cache_shard *shard = lki_cache_shard_of(cache, hashed->hash);
    bool wanted = status == LK_OK || (status == LK_NOT_FOUND && cache->keep_missing &&
                                      absence_is_certain(&hashed->key));
    lki_cached *entry = wanted ? lki_cached_new(cache, hashed, status == LK_OK ? item : NULL,
                                                load->partition_word, now_ms)
                               : NULL;
    bool bounded = lki_memory_is_bounded(thread), kept = false;
    lki_write_enter(thread);
    lki_latch_take(&shard->latch, thread);
    lki_load **link = &lki_window_of(cache, shard, hashed->hash)->loads;
    while (*link != load)
        link = &(*link)->next;
    *link = load->next;
    lki_cached *old = lki_set_get(&shard->entries, hashed);
    if (entry != NULL && bounded &&
        lki_windows_are_as(cache, shard, hashed, load->begun, load->partition_word))
        kept = lki_cached_enter_latched(cache, shard, thread, hashed->hash, entry, old);
    load->status = answer_for_others(load, status, entry);
    load->entry = entry;
    load->ended = true;
    bool last = load_leave_latched(load);
    if (!last)
        pthread_cond_broadcast(&shard->ended);
    lki_latch_drop(&shard->latch);
    lki_write_leave(thread);
    lki_count(thread, LKI_FILLS_DROPPED, wanted && !kept);
    if (last)
        load_free(cache, load);
}

static struct timespec
moment_after(int64_t ms)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    moment.tv_sec += (time_t)(ms / 1000);
    moment.tv_nsec += (long)(ms % 1000) * 1000000;
    if (moment.tv_nsec >= 1000000000) {
        moment.tv_sec++;
        moment.tv_nsec -= 1000000000;
    }
    return moment;
}

lk_status
lki_load_wait(lki_cache *cache, lki_miss *miss)
{
    lki_cache_shard *shard = lki_cache_shard_of(cache, miss->hashed.hash);
    lki_load *load = miss->load;
    struct timespec until = moment_after(cache->load_wait_ms);
    lk_status status = LK_RACE;
    pthread_mutex_lock(&shard->latch);
    while (!load->ended && pthread_cond_timedwait(&shard->ended, &shard->latch, &until) == 0)
        ;
    if (load->ended) {
        status = load->status;
        miss->entry = status == LK_OK ? load->entry : NULL;
        if (miss->entry != NULL)
            lki_cached_hold(miss->entry);
    }
    bool last = load_leave_latched(load);
    pthread_mutex_unlock(&shard->latch);
    if (last)
        load_free(cache, load);
    return status;
}
