/* SPDX-License-Identifier: MIT
 *
 * Reads of a cache that missed; see load.h.
 *
 * A load is listed in its window while the database works. Each reader that joins it counts itself;
 * the last one frees the load, and with it the reference to the answer.
 *
 * LATE  Nobody says that a leader hangs, or that its thread has ended. What others know is that
 * they waited in vain. From then on nobody joins that load, nor another load of the same call to
 * the database, nor one of a call around it: so a call that hangs costs the others one wait, not
 * one for each read or key. Where the database is merely slow its late answer is still kept, unless
 * another load of the key that began later was answered first: answers enter the table in the order
 * in which they were asked for, also where others write past the cache.
 */
#include "cache/load.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/pressure.h"
#include "cache/shard.h"

#include <time.h>

struct lki_load {
    lki_load *next;                 /* [latch] of its window */
    uint64_t begun, partition_word; /* [const] windows as they were when it began */
    size_t readers;                 /* [latch] that lead it or wait for it */
    int64_t read_at_ms;             /* [const] when it began, for the age */
    lki_cache_thread *leader;       /* [const] asks; its record lives as long as the cache */
    uint64_t ask;                   /* [const] its number of the call that asks */
    bool overtaken;                 /* [latch] another answer was kept since it began */
    bool ended;                     /* [latch] */
    lk_status status;               /* [latch] once it has ended */
    lki_cached *entry;              /* [latch] held; the answer of LK_OK */
    lki_hashed hashed;              /* [const] of `key` */
    lk_key key;                     /* [const] of the bytes below */
    unsigned char bytes[];          /* [const] pk, sk */
};

static lki_load *
load_new(lki_cache *cache, lki_thread *thread, const lki_hashed *hashed)
{
    const lk_key *key = hashed->key;
    lki_load *load =
        lki_alloc(&cache->domain.allocator, sizeof *load + key->pk.size + key->sk.size);
    if (load == NULL)
        return NULL;
    *load = (lki_load){.readers = 1,
                       .hashed = *hashed,
                       .read_at_ms = lki_cache_read_at_ms(cache),
                       .leader = lki_cache_thread_of(thread),
                       .ask = lki_cache_thread_of(thread)->asks};
    memcpy(load->bytes, key->pk.data, key->pk.size);
    if (key->sk.size != 0)
        memcpy(load->bytes + key->pk.size, key->sk.data, key->sk.size);
    load->key = (lk_key){{load->bytes, key->pk.size}, {load->bytes + key->pk.size, key->sk.size}};
    load->hashed.key = &load->key;
    return load;
}

static void
load_free(lki_cache *cache, lki_load *load)
{
    if (load == NULL)
        return;
    const lk_key *key = &load->key;
    lki_cached_release(cache, load->entry);
    lki_free(&cache->domain.allocator, load, sizeof *load + key->pk.size + key->sk.size);
}

/* One reader less. True: that was the last one. */
static bool
load_leave_latched(lki_load *load)
{
    LK_ASSERT(load->readers != 0);
    return --load->readers == 0;
}

static bool
load_is_of(const lki_load *load, const lki_hashed *hashed)
{
    return load->hashed.hash == hashed->hash &&
           lk_bytes_compare(load->key.pk, hashed->key->pk) == 0 &&
           lk_bytes_compare(load->key.sk, hashed->key->sk) == 0;
}

/* Has somebody waited in vain for the call to the database that this load is part of, or for a call
 * that was made inside that one? Calls of a thread end in the reverse order of their numbers. */
static bool
load_is_late(const lki_load *load)
{
    return load->ask <= lki_load_relaxed(&load->leader->asks_late);
}

static void
load_is_waited_for_in_vain(lki_load *load)
{
    _Atomic(uint64_t) *late = &load->leader->asks_late;
    uint64_t known = lki_load_relaxed(late);
    while (known < load->ask && !lki_cas_seq_cst(late, &known, load->ask)) {}
}

/* A load of the key that a read may join which begins now. NULL: there is none. */
static lki_load *
load_find_latched(lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed)
{
    lki_load *load = lki_window_of(cache, shard, hashed->hash)->loads;
    for (; load != NULL; load = load->next)
        if (load_is_of(load, hashed) && !load_is_late(load) && !load->overtaken &&
            lki_cache_is_young(cache, load->read_at_ms) &&
            lki_windows_are_as(cache, shard, hashed, load->begun, load->partition_word))
            return load;
    return NULL;
}

/* An answer was kept: what the key's other loads bring is older, or may be. */
static void
loads_overtake_latched(lki_cache *cache, lki_cache_shard *shard, const lki_hashed *hashed)
{
    lki_load *load = lki_window_of(cache, shard, hashed->hash)->loads;
    for (; load != NULL; load = load->next)
        if (load_is_of(load, hashed))
            load->overtaken = true;
}

static void
miss_decide_latched(lki_cache *cache, lki_cache_shard *shard, lki_miss *miss, lki_load *fresh,
                    bool patient, int64_t now_ms)
{
    lki_cached *entry = lki_set_get(&cache->entries, &miss->hashed);
    if (entry != NULL && lki_cached_is_valid(cache, entry) &&
        !lk_has_expired(entry->expires_at_ms, now_ms) &&
        lki_cache_is_young(cache, entry->read_at_ms)) {
        lki_cached_hold(entry);
        miss->role = LKI_LOAD_FOUND;
        miss->entry = entry;
        return;
    }
    lki_load *running =
        patient && cache->load_wait_ms >= 0 ? load_find_latched(cache, shard, &miss->hashed) : NULL;
    if (running != NULL) {
        running->readers++;
        miss->role = LKI_LOAD_JOINED;
        miss->load = running;
        return;
    }
    lki_window *w = lki_window_of(cache, shard, miss->hashed.hash);
    uint64_t word = lki_partition_word(cache, miss->hashed.key->pk);
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
lki_load_begin(lki_cache *cache, lki_thread *thread, lki_miss *miss, bool patient, int64_t now_ms)
{
    lki_cache_shard *shard = lki_cache_shard_of(cache, miss->hashed.hash);
    lki_load *fresh = load_new(cache, thread, &miss->hashed);
    miss->load = NULL;
    miss->entry = NULL;
    lki_enter(thread); /* the latch does not hold the set's directory */
    lki_latch_take(&shard->latch, thread);
    miss_decide_latched(cache, shard, miss, fresh, patient, now_ms);
    lki_latch_drop(&shard->latch);
    lki_leave(thread);
    if (miss->role != LKI_LOAD_LEADS)
        load_free(cache, fresh);
    lki_count(thread, LKI_LOADS_JOINED, miss->role == LKI_LOAD_JOINED);
}

/* May others be told that there is no such item? Not of a key that a queue may generate for a job:
 * nobody names such a key beforehand, so no window would open on it. */
static bool
absence_is_certain(const lk_key *key)
{
    return key->sk.size != LK_ULID_SIZE;
}

/* The answer for the threads that wait for the same key. LK_RACE: they ask for themselves, since
 * one thread may lack memory that the next one has. */
static lk_status
answer_for_others(const lki_load *load, lk_status status, const lki_cached *entry)
{
    bool asked_in_vain = status == LK_NO_MEMORY || (status == LK_OK && entry == NULL) ||
                         (status == LK_NOT_FOUND && !absence_is_certain(&load->key));
    return asked_in_vain ? LK_RACE : status;
}

void
lki_load_end(lki_cache *cache, lki_thread *thread, lki_miss *miss, lk_status status,
             const lk_item *item)
{
    lki_load *load = miss->load;
    bool leads = miss->role == LKI_LOAD_LEADS;
    miss->role = LKI_LOAD_ENDED;
    if (!leads)
        return;
    const lki_hashed *hashed = &load->hashed;
    lki_cache_shard *shard = lki_cache_shard_of(cache, hashed->hash);
    bool wanted = status == LK_OK || (status == LK_NOT_FOUND && cache->keep_missing &&
                                      absence_is_certain(hashed->key));
    lki_cached *entry = wanted ? lki_cached_new(cache, hashed, status == LK_OK ? item : NULL,
                                                load->partition_word, load->read_at_ms)
                               : NULL;
    bool bounded = lki_memory_is_bounded_now(thread), kept = false;
    lki_write_enter(thread);
    lki_latch_take(&shard->latch, thread);
    LK_ASSERT(!load->ended && load->readers != 0 && &load->leader->thread == thread);
    lki_load **link = &lki_window_of(cache, shard, hashed->hash)->loads;
    while (*link != load)
        link = &(*link)->next;
    *link = load->next;
    lki_cached *old = lki_set_get(&cache->entries, hashed);
    if (entry != NULL && bounded && !load->overtaken &&
        lki_cache_is_young(cache, load->read_at_ms) &&
        lki_windows_are_as(cache, shard, hashed, load->begun, load->partition_word))
        kept = lki_cached_enter_latched(cache, shard, thread, hashed->hash, entry, old);
    if (kept)
        loads_overtake_latched(cache, shard, hashed);
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

int64_t
lki_load_deadline(const lki_cache *cache)
{
    return lki_time_after(lki_monotonic_ms(NULL), cache->load_wait_ms);
}

lk_status
lki_load_wait(lki_cache *cache, lki_miss *miss, int64_t until_ms)
{
    lki_cache_shard *shard = lki_cache_shard_of(cache, miss->hashed.hash);
    lki_load *load = miss->load;
    const struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
    lk_status status = LK_RACE;
    int cancel = lki_cancel_forbid();
    lki_latch_take(&shard->latch, NULL);
    while (!load->ended && lki_latch_wait(&shard->latch, &shard->ended, &until))
        ;
    if (load->ended) {
        status = load->status;
        miss->entry = status == LK_OK ? load->entry : NULL;
        if (miss->entry != NULL)
            lki_cached_hold(miss->entry);
    } else if (until_ms != 0) {
        load_is_waited_for_in_vain(load);
    }
    bool last = load_leave_latched(load);
    lki_latch_drop(&shard->latch);
    lki_cancel_allow(cancel);
    miss->role = status == LK_RACE ? LKI_LOAD_VAIN : LKI_LOAD_FOUND;
    if (last)
        load_free(cache, load);
    return status;
}

void
lki_loads_check(const lki_cache *cache, const lki_window *window, uint64_t number)
{
    for (const lki_load *load = window->loads; load != NULL; load = load->next) {
        LK_ASSERT(!load->ended && load->entry == NULL && load->readers != 0);
        LK_ASSERT(load->begun <= window->begun && load->ask <= load->leader->asks);
        LK_ASSERT(lki_hash_key(&cache->secret, &load->key) == load->hashed.hash);
        LK_ASSERT(lki_window_number(cache, load->hashed.hash) == number);
    }
}

void
lki_loads_forget(lki_cache *cache, lki_window *window)
{
    while (window->loads != NULL) {
        lki_load *load = window->loads;
        window->loads = load->next;
        load_free(cache, load);
    }
}
