/* SPDX-License-Identifier: MIT
 *
 * What people write by hand: hash maps with string keys under one mutex, under one reader-writer
 * lock, and under 64 striped mutexes. Values are copied out under the latch. Commits are
 * optimistic: a read notes the version of each entry, a commit latches the stripes in order,
 * compares, writes and bumps.
 *
 * Invariants
 *   I1 an entry belongs to the stripe that the top bits of its hash name; only its latch guards it.
 *   I2 stripes are latched in ascending order: no deadlock.
 */
#include "contenders/parts/string_map.h"
#include "driver/loops.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOCKED_STRIPE_BITS 6

struct stripe {
    _Alignas(BENCH_LINE) union {
        pthread_mutex_t mutex;
        pthread_rwlock_t rwlock;
    } latch;
    struct string_map map;
};

/* A latch that was held when wanted is noted by the client, in a line of its own; the store adds
 * them up when it is asked. */
struct locked_store {
    bool shared; /* reader-writer lock */
    pthread_mutex_t clients_latch;
    struct locked_client *clients;
    uint64_t waits; /* of clients that are gone; under clients_latch */
    unsigned shift; /* of the hash, to get the stripe's number */
    size_t count;
    struct stripe stripes[];
};

/* What a client noted about one key of its last read. */
struct locked_note {
    uint64_t hash;
    uint64_t version;
};

struct locked_client {
    _Alignas(BENCH_LINE) struct locked_store *store;
    struct locked_client *next; /* under clients_latch */
    _Atomic uint64_t waits;
    struct locked_note notes[BENCH_GROUP];
    struct copies copies;
};

static void
wait_note(struct locked_client *client)
{
    uint64_t waits = atomic_load_explicit(&client->waits, memory_order_relaxed);

    atomic_store_explicit(&client->waits, waits + 1, memory_order_relaxed);
}

static void
stripe_begin(struct locked_client *client, struct stripe *stripe, bool writes)
{
    pthread_rwlock_t *rwlock = &stripe->latch.rwlock;

    if (!client->store->shared) {
        if (pthread_mutex_trylock(&stripe->latch.mutex) == 0)
            return;
        wait_note(client);
        pthread_mutex_lock(&stripe->latch.mutex);
    } else if ((writes ? pthread_rwlock_trywrlock : pthread_rwlock_tryrdlock)(rwlock) != 0) {
        wait_note(client);
        (writes ? pthread_rwlock_wrlock : pthread_rwlock_rdlock)(rwlock);
    }
}

static void
stripe_end(const struct locked_store *store, struct stripe *stripe)
{
    if (store->shared)
        pthread_rwlock_unlock(&stripe->latch.rwlock);
    else
        pthread_mutex_unlock(&stripe->latch.mutex);
}

/* The shift is split in two, because by 64 at once C does not shift. */
static struct stripe *
stripe_of(struct locked_store *store, uint64_t hash)
{
    return &store->stripes[hash >> 1 >> store->shift];
}

static void *
locked_open(unsigned stripe_bits, bool shared)
{
    size_t count = (size_t)1 << stripe_bits;
    struct locked_store *store = aligned_alloc(
        BENCH_LINE, sizeof(struct locked_store) + BENCH_LINE + count * sizeof(struct stripe));
    if (store == NULL)
        return NULL;
    store->shared = shared;
    store->clients = NULL;
    store->waits = 0;
    pthread_mutex_init(&store->clients_latch, NULL);
    store->shift = 63 - stripe_bits;
    store->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!map_init(&store->stripes[i].map))
            return NULL;
        if (shared)
            pthread_rwlock_init(&store->stripes[i].latch.rwlock, NULL);
        else
            pthread_mutex_init(&store->stripes[i].latch.mutex, NULL);
    }
    return store;
}

static void *
mutex_open(void)
{
    return locked_open(0, false);
}

static void *
rwlock_open(void)
{
    return locked_open(0, true);
}

static void *
striped_open(void)
{
    return locked_open(LOCKED_STRIPE_BITS, false);
}

static void *
shared_open(void)
{
    return locked_open(LOCKED_STRIPE_BITS, true);
}

static void
locked_close(void *handle)
{
    struct locked_store *store = handle;

    for (size_t i = 0; i < store->count; i++) {
        map_free(&store->stripes[i].map);
        if (store->shared)
            pthread_rwlock_destroy(&store->stripes[i].latch.rwlock);
        else
            pthread_mutex_destroy(&store->stripes[i].latch.mutex);
    }
    pthread_mutex_destroy(&store->clients_latch);
    free(store);
}

static void *
locked_attach(void *handle)
{
    struct locked_store *store = handle;
    struct locked_client *client = COPIES_CLIENT(client);

    if (client == NULL)
        return NULL;
    client->store = store;
    pthread_mutex_lock(&store->clients_latch);
    client->next = store->clients;
    store->clients = client;
    pthread_mutex_unlock(&store->clients_latch);
    return client;
}

static void
locked_detach(void *handle)
{
    struct locked_client *client = handle;
    struct locked_store *store = client->store;
    struct locked_client **at = &store->clients;

    pthread_mutex_lock(&store->clients_latch);
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    store->waits += atomic_load_explicit(&client->waits, memory_order_relaxed);
    pthread_mutex_unlock(&store->clients_latch);
    free(client);
}

/* Copies the value of a key to the client's place i, and notes what it was. */
BENCH_INLINE bool
key_read(struct locked_client *client, const lk_key *key, size_t i, lk_bytes *value)
{
    uint64_t hash = item_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_begin(client, stripe, false);
    struct map_entry *entry = map_find(&stripe->map, hash, key);
    bool found = entry != NULL && copies_keep(&client->copies, i, item_value(&entry->item),
                                              entry->item.value_size, value);
    if (found)
        client->notes[i] = (struct locked_note){hash, entry->version};
    stripe_end(client->store, stripe);
    return found;
}

BENCH_INLINE bool
locked_get(void *client, const lk_key *key, lk_bytes *value)
{
    return key_read(client, key, 0, value);
}

/* One latch for all keys, and their slots on the way to the cache before the first is looked at. */
BENCH_INLINE bool
single_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct locked_client *client = handle;
    struct stripe *stripe = &client->store->stripes[0];
    uint64_t hashes[BENCH_GROUP];
    bool found = count <= BENCH_GROUP;

    for (size_t i = 0; found && i < count; i++)
        hashes[i] = item_hash(&keys[i]);
    stripe_begin(client, stripe, false);
    for (size_t i = 0; found && i < count; i++)
        __builtin_prefetch(&stripe->map.slots[hashes[i] & stripe->map.mask]);
    for (size_t i = 0; found && i < count; i++) {
        struct map_entry *entry = map_find(&stripe->map, hashes[i], &keys[i]);
        found = entry != NULL && copies_keep(&client->copies, i, item_value(&entry->item),
                                             entry->item.value_size, &values[i]);
    }
    stripe_end(client->store, stripe);
    return found;
}

/* No snapshot: key by key. */
BENCH_INLINE bool
striped_get_many(void *client, const lk_key *keys, size_t count, lk_bytes *values)
{
    bool found = count <= BENCH_GROUP;

    for (size_t i = 0; found && i < count; i++)
        found = key_read(client, &keys[i], i, &values[i]);
    return found;
}

BENCH_INLINE bool
locked_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct locked_client *client = handle;
    uint64_t hash = item_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_begin(client, stripe, true);
    bool done = map_set(&stripe->map, hash, key, value);
    stripe_end(client->store, stripe);
    return done;
}

static bool
locked_put_new(void *handle, const lk_item *put)
{
    struct locked_client *client = handle;
    uint64_t hash = item_hash(&put->key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_begin(client, stripe, true);
    bool done = map_find(&stripe->map, hash, &put->key) == NULL &&
                map_set(&stripe->map, hash, &put->key, put->data);
    stripe_end(client->store, stripe);
    return done;
}

/* Those who share the latch add atomically. */
static bool
locked_add(void *handle, const lk_key *key, int64_t delta)
{
    struct locked_client *client = handle;
    uint64_t hash = item_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_begin(client, stripe, false);
    struct map_entry *entry = map_find(&stripe->map, hash, key);
    int64_t *counter = entry != NULL ? (int64_t *)(void *)item_value(&entry->item) : NULL;
    bool done = counter != NULL && entry->item.value_size == sizeof *counter &&
                (uintptr_t)counter % sizeof *counter == 0;
    if (done && client->store->shared)
        __atomic_fetch_add(counter, delta, __ATOMIC_RELAXED);
    else if (done)
        *counter += delta;
    stripe_end(client->store, stripe);
    return done;
}

static bool
locked_remove(void *handle, const lk_key *key)
{
    struct locked_client *client = handle;
    uint64_t hash = item_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_begin(client, stripe, true);
    bool done = map_remove(&stripe->map, hash, key);
    stripe_end(client->store, stripe);
    return done;
}

/* Compares all versions, then writes all values. The caller holds the latches. */
static enum bench_commit
commit_latched(struct locked_client *client, const lk_key *keys, size_t count,
               const lk_bytes *values)
{
    struct map_entry *entries[BENCH_GROUP];

    for (size_t i = 0; i < count; i++) {
        const struct locked_note *note = &client->notes[i];
        entries[i] = map_find(&stripe_of(client->store, note->hash)->map, note->hash, &keys[i]);
        if (entries[i] == NULL || entries[i]->version != note->version)
            return BENCH_RACED;
        if (values[i].size > entries[i]->capacity)
            return BENCH_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        item_write(&entries[i]->item, values[i]);
        entries[i]->version++;
    }
    return BENCH_COMMITTED;
}

static enum bench_commit
locked_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct locked_client *client = handle;
    struct stripe *latched[BENCH_GROUP];
    size_t stripes = 0;

    if (count > BENCH_GROUP)
        return BENCH_FAILED;
    for (size_t i = 0; i < count; i++) {
        struct stripe *stripe = stripe_of(client->store, client->notes[i].hash);
        size_t at = stripes;
        while (at > 0 && latched[at - 1] > stripe)
            at--;
        if (at > 0 && latched[at - 1] == stripe)
            continue;
        memmove(&latched[at + 1], &latched[at], (stripes - at) * sizeof *latched);
        latched[at] = stripe;
        stripes++;
    }
    for (size_t i = 0; i < stripes; i++)
        stripe_begin(client, latched[i], true);
    enum bench_commit outcome = commit_latched(client, keys, count, values);
    for (size_t i = stripes; i > 0; i--)
        stripe_end(client->store, latched[i - 1]);
    return outcome;
}

static size_t
locked_contention(void *handle, struct bench_counter *counters)
{
    struct locked_store *store = handle;
    uint64_t waits;

    pthread_mutex_lock(&store->clients_latch);
    waits = store->waits;
    for (struct locked_client *client = store->clients; client != NULL; client = client->next)
        waits += atomic_load_explicit(&client->waits, memory_order_relaxed);
    pthread_mutex_unlock(&store->clients_latch);
    counters[0] = (struct bench_counter){"latch waits", "", false, waits};
    return 1;
}

BENCH_LOOPS(single_loops, locked_get, single_get_many, locked_set)
BENCH_LOOPS(striped_loops, locked_get, striped_get_many, locked_set)

#define LOCKED_CALLS                                                                               \
    .close = locked_close, .attach = locked_attach, .detach = locked_detach, .get = locked_get,    \
    .set = locked_set, .remove = locked_remove, .read = striped_get_many, .commit = locked_commit, \
    .put_new = locked_put_new, .add = locked_add, .contention = locked_contention

static const struct bench_contender contenders[] = {
    {
        .name = "mutex",
        .what = "one mutex over a hash map",
        .order = 10,
        .open = mutex_open,
        .get_many = single_get_many,
        .loops = &single_loops,
        LOCKED_CALLS,
    },
    {
        .name = "rwlock",
        .what = "one reader-writer lock over a hash map",
        .order = 11,
        .open = rwlock_open,
        .get_many = single_get_many,
        .loops = &single_loops,
        LOCKED_CALLS,
    },
    {
        .name = "striped",
        .what = "64 striped mutexes over hash maps; commits by versions",
        .order = 12,
        .open = striped_open,
        .get_many = striped_get_many,
        .loops = &striped_loops,
        LOCKED_CALLS,
    },
    {
        .name = "striped-rwlock",
        .what = "64 striped reader-writer locks over hash maps; adds share them, and are atomic",
        .order = 13,
        .open = shared_open,
        .get_many = striped_get_many,
        .loops = &striped_loops,
        LOCKED_CALLS,
    },
};
BENCH_CONTENDERS(contenders)
