/* SPDX-License-Identifier: MIT
 *
 * Writes through a cache; see flight.h.
 *
 * Ordering    P17: the entry is marked, then the database is written to (table.c).
 */
#include "cache/flight.h"

#include "base/pressure.h"
#include "cache/shard.h"

void
lki_flight_begin(lki_cache *cache, lki_thread *thread, lki_flight *flight, const lki_hashed *hashed)
{
    lki_cache_shard *shard = lki_cache_shard_of(cache, hashed->hash);
    flight->hash = hashed->hash;
    flight->partition_word = lki_partition_word(cache, hashed->key->pk);
    lki_enter(thread); /* the latch does not hold the set's directory */
    lki_latch_take(&shard->latch, thread);
    lki_window *w = lki_window_of(cache, shard, hashed->hash);
    flight->begun = ++w->begun;
    flight->alone = ++w->open == 1;
    lki_cached *entry = lki_set_get(&cache->entries, hashed);
    flight->entry = entry;
    if (entry != NULL) {
        lki_cached_hold(entry);
        lki_store_seq_cst(&entry->stale, 1); /* P17: before the database is written to */
    }
    lki_latch_drop(&shard->latch);
    lki_leave(thread);
}

void
lki_flight_end(lki_cache *cache, lki_thread *thread, const lki_flight *flight, const lk_item *item,
               bool in_doubt, int64_t read_at_ms)
{
    lki_cache_shard *shard = lki_cache_shard_of(cache, flight->hash);
    lk_key key = {{NULL, 0}, {NULL, 0}};
    lki_hashed hashed = {&key, flight->hash, 0, false};
    lki_cached *entry = NULL;
    if (flight->entry != NULL)
        key = lki_cached_key(flight->entry);
    hashed.sizes = lki_key_sizes(&key);
    if (item != NULL && flight->entry != NULL && flight->alone && lki_memory_is_bounded_now(thread))
        entry = lki_cached_new(cache, &hashed, item, flight->partition_word, read_at_ms);
    lki_write_enter(thread);
    lki_latch_take(&shard->latch, thread);
    lki_window *w = lki_window_of(cache, shard, flight->hash);
    LK_ASSERT(w->open != 0 && w->begun >= flight->begun);
    w->open--;
    if (in_doubt)
        w->in_doubt_until_ms = lki_cache_in_doubt_until_ms(cache);
    lki_cached *old = flight->entry != NULL ? lki_set_get(&cache->entries, &hashed) : NULL;
    if (old != NULL) {
        bool met =
            !lki_windows_are_as(cache, shard, &hashed, flight->begun, flight->partition_word);
        /* `alone`, above, does not say the same: an earlier write that had no memory to remove the
         * entry left it, and its own change may have come later in the database. */
        if (entry == NULL || met)
            lki_cached_remove_latched(cache, shard, thread, old);
        else
            (void)lki_cached_enter_latched(cache, shard, thread, hashed.hash, entry, old);
    }
    lki_latch_drop(&shard->latch);
    lki_write_leave(thread);
    lki_cached_release(cache, entry); /* the table has its own */
    lki_cached_release(cache, flight->entry);
}
