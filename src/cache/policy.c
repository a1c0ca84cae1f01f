/* SPDX-License-Identifier: MIT
 *
 * S3-FIFO and exact LRU, for one shard; see policy.h. No function here is called by two threads at
 * once: the shard's latch is held.
 *
 * The ghosts are the remembered hashes: a table in buckets of four, each hash with the time when it
 * was thrown out, counted in such hashes. A ghost that is older than nine tenths of the entries
 * does not count. A ghost that was overwritten only costs a little of the policy's judgement, as do
 * two keys of one hash.
 *
 * Measured in bench/workloads/cache_rate.c: `sh bench/run --workload cache-rate`.
 */
#include "cache/policy.h"

#include "base/alloc.h"

enum { GHOST_WAYS = 4, GHOST_ROOM_MIN = 64, HEAP_ROOM_MIN = 16 };

/* ---- lists ---- */

static void
list_push(lki_policy *policy, int which, lki_cached *entry)
{
    lki_cached_list *list = &policy->lists[which];
    entry->list = (uint8_t)which;
    entry->newer = NULL;
    entry->older = list->newest;
    if (list->newest != NULL)
        list->newest->newer = entry;
    else
        list->oldest = entry;
    list->newest = entry;
    list->count++;
    list->bytes += lki_cached_size(entry);
}

static void
list_take(lki_policy *policy, lki_cached *entry)
{
    lki_cached_list *list = &policy->lists[entry->list];
    LK_ASSERT(list->count != 0 && list->bytes >= lki_cached_size(entry));
    LK_ASSERT((entry->newer != NULL ? entry->newer->older : list->newest) == entry);
    LK_ASSERT((entry->older != NULL ? entry->older->newer : list->oldest) == entry);
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        list->newest = entry->older;
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        list->oldest = entry->newer;
    list->count--;
    list->bytes -= lki_cached_size(entry);
}

/* ---- ghosts ---- */

static lki_ghost *
ghost_bucket(const lki_policy *policy, uint32_t hash)
{
    return &policy->ghosts[(hash * UINT32_C(0x9e3779b1) >> 3 & (policy->ghost_room - 1)) &
                           ~(size_t)(GHOST_WAYS - 1)];
}

static bool
ghost_counts(const lki_policy *policy, const lki_ghost *ghost)
{
    return policy->ghost_time - ghost->time <= policy->count * 9 / 10 + 1;
}

static void
ghost_add(lki_policy *policy, uint32_t hash)
{
    if (policy->ghost_room == 0)
        return;
    lki_ghost *bucket = ghost_bucket(policy, hash), *oldest = bucket;
    policy->ghost_time++;
    for (size_t i = 1; i < GHOST_WAYS; i++)
        if (policy->ghost_time - bucket[i].time > policy->ghost_time - oldest->time)
            oldest = &bucket[i];
    *oldest = (lki_ghost){hash, policy->ghost_time};
}

/* Was the hash thrown out of the small queue not long ago? Forgets it. */
static bool
ghost_take(lki_policy *policy, uint32_t hash)
{
    if (policy->ghost_room == 0)
        return false;
    lki_ghost *bucket = ghost_bucket(policy, hash);
    for (size_t i = 0; i < GHOST_WAYS; i++)
        if (bucket[i].hash == hash && ghost_counts(policy, &bucket[i])) {
            bucket[i].time = policy->ghost_time - (UINT32_MAX >> 1);
            return true;
        }
    return false;
}

/* Keeps twice as many places as there are entries. Growing forgets what was remembered. */
static bool
ghosts_reserve(lki_policy *policy, const lki_allocator *allocator)
{
    size_t room = policy->ghost_room != 0 ? policy->ghost_room : GHOST_ROOM_MIN;
    while (room < (policy->count + 1) * 2)
        room *= 2;
    if (room == policy->ghost_room)
        return true;
    lki_ghost *ghosts = lki_alloc_seldom(allocator, room * sizeof *ghosts);
    if (ghosts == NULL)
        return policy->ghost_room != 0; /* the smaller ones do */
    for (size_t i = 0; i < room; i++)
        ghosts[i].time = policy->ghost_time - (UINT32_MAX >> 1);
    lki_free(allocator, policy->ghosts, policy->ghost_room * sizeof *ghosts);
    policy->ghosts = ghosts;
    policy->ghost_room = room;
    return true;
}

/* ---- S3-FIFO ---- */

static bool
small_is_full(const lki_policy *policy)
{
    const lki_cached_list *small = &policy->lists[LKI_LIST_SMALL];
    size_t items = policy->max_items / 10 + (policy->max_items % 10 >= 5 || policy->max_items < 10);
    return small->count >= items || small->bytes > policy->max_bytes / 10;
}

/* Each turn takes a hit away or moves an entry on, so it ends; hits that come meanwhile are few. */
static lki_cached *
fifo_victim(lki_policy *policy)
{
    lki_cached_list *small = &policy->lists[LKI_LIST_SMALL], *main = &policy->lists[LKI_LIST_MAIN];
    for (size_t turns = policy->count * 4;; turns--) {
        lki_cached *entry = small->oldest != NULL && (small_is_full(policy) || main->oldest == NULL)
                                ? small->oldest
                                : main->oldest;
        uint8_t hits = 0;
        if (entry != NULL)
            hits = lki_load_relaxed(&entry->hits); /* a hint */
        if (hits == 0 || turns == 0)
            return entry;
        bool was_small = entry->list == LKI_LIST_SMALL;
        list_take(policy, entry);
        lki_store_relaxed(&entry->hits, was_small ? 0 : (uint8_t)(hits >> 1)); /* a hint */
        list_push(policy, LKI_LIST_MAIN, entry);
    }
}

/* ---- exact LRU ---- */

static void
heap_put(lki_policy *policy, size_t place, lki_cached *entry)
{
    LK_ASSERT(place < policy->heap_room);
    policy->heap[place] = entry;
    entry->place = place;
}

static void
heap_rise(lki_policy *policy, lki_cached *entry)
{
    size_t place = entry->place;
    while (place > 0 && policy->heap[(place - 1) / 2]->ranked > entry->ranked) {
        heap_put(policy, place, policy->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(policy, place, entry);
}

static void
heap_sink(lki_policy *policy, lki_cached *entry)
{
    size_t place = entry->place, count = policy->count;
    for (size_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && policy->heap[child + 1]->ranked < policy->heap[child]->ranked)
            child++;
        if (policy->heap[child]->ranked >= entry->ranked)
            break;
        heap_put(policy, place, policy->heap[child]);
    }
    heap_put(policy, place, entry);
}

static bool
heap_reserve(lki_policy *policy, const lki_allocator *allocator)
{
    if (policy->count < policy->heap_room)
        return true;
    size_t room = policy->heap_room != 0 ? policy->heap_room * 2 : HEAP_ROOM_MIN;
    lki_cached **heap = lki_alloc(allocator, room * sizeof(lki_cached *));
    if (heap == NULL)
        return false;
    if (policy->count != 0)
        memcpy(heap, policy->heap, policy->count * sizeof(lki_cached *));
    lki_free(allocator, policy->heap, policy->heap_room * sizeof(lki_cached *));
    policy->heap = heap;
    policy->heap_room = room;
    return true;
}

static lki_cached *
heap_victim(lki_policy *policy)
{
    while (policy->count != 0) {
        lki_cached *least = policy->heap[0];
        uint64_t used = lki_load_relaxed(&least->used); /* a hint: it only grows */
        if (used == least->ranked)
            return least;
        least->ranked = used;
        heap_sink(policy, least);
    }
    return NULL;
}

/* ---- for the table ---- */

bool
lki_policy_reserve(lki_policy *policy, const lki_allocator *allocator)
{
    return policy->exact_lru ? heap_reserve(policy, allocator) : ghosts_reserve(policy, allocator);
}

bool
lki_policy_has_place(const lki_policy *policy, size_t bytes)
{
    return policy->count < policy->max_items && bytes <= policy->max_bytes &&
           policy->bytes <= policy->max_bytes - bytes;
}

lki_cached *
lki_policy_victim(lki_policy *policy)
{
    return policy->exact_lru ? heap_victim(policy) : fifo_victim(policy);
}

void
lki_policy_add(lki_policy *policy, lki_cached *entry, uint64_t now)
{
    LK_ASSERT(lki_policy_has_place(policy, lki_cached_size(entry)));
    if (policy->exact_lru) {
        LK_ASSERT(policy->count < policy->heap_room); /* reserved */
        lki_store_relaxed(&entry->used, now);         /* nobody has found it yet */
        entry->ranked = now;
        entry->place = policy->count;
        policy->heap[policy->count] = entry;
        heap_rise(policy, entry);
    } else {
        bool known = ghost_take(policy, entry->keyed.hash);
        list_push(policy, known ? LKI_LIST_MAIN : LKI_LIST_SMALL, entry);
    }
    policy->count++;
    policy->bytes += lki_cached_size(entry);
}

void
lki_policy_remove(lki_policy *policy, lki_cached *entry, bool thrown_out)
{
    LK_ASSERT(policy->count != 0 && policy->bytes >= lki_cached_size(entry));
    policy->count--;
    policy->bytes -= lki_cached_size(entry);
    if (policy->exact_lru) {
        LK_ASSERT(policy->heap[entry->place] == entry);
        lki_cached *last = policy->heap[policy->count];
        if (last != entry) {
            heap_put(policy, entry->place, last);
            heap_rise(policy, last);
            heap_sink(policy, last);
        }
        return;
    }
    list_take(policy, entry);
    if (thrown_out && entry->list == LKI_LIST_SMALL)
        ghost_add(policy, entry->keyed.hash);
}

bool
lki_policy_replace(lki_policy *policy, lki_cached *old, lki_cached *entry)
{
    size_t was = lki_cached_size(old), size = lki_cached_size(entry);
    if (size > was && size - was > policy->max_bytes - policy->bytes) {
        lki_policy_remove(policy, old, false);
        return false;
    }
    policy->bytes += size - was;
    if (policy->exact_lru) {
        LK_ASSERT(policy->heap[old->place] == old);
        lki_store_relaxed(&entry->used, lki_load_relaxed(&old->used)); /* a hint */
        entry->ranked = old->ranked;
        heap_put(policy, old->place, entry);
        return true;
    }
    lki_store_relaxed(&entry->hits, lki_load_relaxed(&old->hits)); /* a hint */
    entry->list = old->list;
    entry->newer = old->newer;
    entry->older = old->older;
    lki_cached_list *list = &policy->lists[entry->list];
    list->bytes += size - was;
    *(entry->newer != NULL ? &entry->newer->older : &list->newest) = entry;
    *(entry->older != NULL ? &entry->older->newer : &list->oldest) = entry;
    return true;
}

static void
list_check(const lki_cached_list *list, int which, void (*look)(void *context, lki_cached *entry),
           void *context)
{
    size_t count = 0, bytes = 0;
    const lki_cached *newer = NULL;
    for (lki_cached *entry = list->newest; entry != NULL; entry = entry->older) {
        LK_ASSERT(entry->list == which && entry->newer == newer);
        count++;
        bytes += lki_cached_size(entry);
        look(context, entry);
        newer = entry;
    }
    LK_ASSERT(list->oldest == newer && list->count == count && list->bytes == bytes);
}

static void
heap_check(const lki_policy *policy, void (*look)(void *context, lki_cached *entry), void *context)
{
    size_t bytes = 0;
    for (size_t i = 0; i < policy->count; i++) {
        lki_cached *entry = policy->heap[i];
        LK_ASSERT(entry->place == i &&
                  (i == 0 || policy->heap[(i - 1) / 2]->ranked <= entry->ranked));
        bytes += lki_cached_size(entry);
        look(context, entry);
    }
    LK_ASSERT(policy->bytes == bytes);
}

void
lki_policy_check(const lki_policy *policy, void (*look)(void *context, lki_cached *entry),
                 void *context)
{
    const lki_cached_list *lists = policy->lists;
    LK_ASSERT(policy->count <= policy->max_items && policy->bytes <= policy->max_bytes);
    if (policy->exact_lru) {
        heap_check(policy, look, context);
        return;
    }
    for (int which = 0; which < LKI_LISTS; which++)
        list_check(&lists[which], which, look, context);
    LK_ASSERT(lists[LKI_LIST_SMALL].count + lists[LKI_LIST_MAIN].count == policy->count);
    LK_ASSERT(lists[LKI_LIST_SMALL].bytes + lists[LKI_LIST_MAIN].bytes == policy->bytes);
}

void
lki_policy_close(lki_policy *policy, const lki_allocator *allocator)
{
    lki_free(allocator, policy->ghosts, policy->ghost_room * sizeof *policy->ghosts);
    lki_free(allocator, policy->heap, policy->heap_room * sizeof(lki_cached *));
}
