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
#include <stdlib.h>

#define LOCKED_STRIPE_BITS 6
#define LOCKED_KEYS_MAX BENCH_GROUP

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
    struct locked_note notes[LOCKED_KEYS_MAX];
    size_t capacity; /* of each buffer */
    char *buffers;   /* one for each key of a group */
};

static void
wait_note(struct locked_client *client)
{
    uint64_t waits = atomic_load_explicit(&client->waits, memory_order_relaxed);

    atomic_store_explicit(&client->waits, waits + 1, memory_order_relaxed);
}

static void
stripe_mutex_take(struct locked_client *client, struct stripe *stripe)
{
    if (pthread_mutex_trylock(&stripe->latch.mutex) == 0)
        return;
    wait_note(client);
    pthread_mutex_lock(&stripe->latch.mutex);
}

static void
stripe_read_begin(struct locked_client *client, struct stripe *stripe)
{
    if (!client->store->shared) {
        stripe_mutex_take(client, stripe);
    } else if (pthread_rwlock_tryrdlock(&stripe->latch.rwlock) != 0) {
        wait_note(client);
        pthread_rwlock_rdlock(&stripe->latch.rwlock);
    }
}

static void
stripe_write_begin(struct locked_client *client, struct stripe *stripe)
{
    if (!client->store->shared) {
        stripe_mutex_take(client, stripe);
    } else if (pthread_rwlock_trywrlock(&stripe->latch.rwlock) != 0) {
        wait_note(client);
        pthread_rwlock_wrlock(&stripe->latch.rwlock);
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
    struct locked_client *client = aligned_alloc(BENCH_LINE, sizeof *client);

    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    client->store = store;
    client->capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    client->buffers = calloc(LOCKED_KEYS_MAX, client->capacity);
    if (client->buffers == NULL) {
        free(client);
        return NULL;
    }
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
    free(client->buffers);
    free(client);
}

/* Copies an entry's value to the client's buffer i. The caller holds the latch. */
BENCH_INLINE bool
value_copy_latched(struct locked_client *client, const struct map_entry *entry, size_t i,
                   lk_bytes *value)
{
    lk_bytes stored = map_entry_value(entry);
    char *buffer = client->buffers + i * client->capacity;

    if (stored.size > client->capacity)
        return false;
    memcpy(buffer, stored.data, stored.size);
    value->data = buffer;
    value->size = stored.size;
    return true;
}

BENCH_INLINE bool
locked_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct locked_client *client = handle;
    uint64_t hash = map_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_read_begin(client, stripe);
    struct map_entry *entry = map_find(&stripe->map, hash, key);
    bool found = entry != NULL && value_copy_latched(client, entry, 0, value);
    stripe_end(client->store, stripe);
    return found;
}

/* One latch for all keys, and their slots on the way to the cache before the first is looked at. */
BENCH_INLINE bool
single_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct locked_client *client = handle;
    struct stripe *stripe = &client->store->stripes[0];
    uint64_t hashes[LOCKED_KEYS_MAX];
    bool found = count <= LOCKED_KEYS_MAX;

    for (size_t i = 0; found && i < count; i++)
        hashes[i] = map_hash(&keys[i]);
    stripe_read_begin(client, stripe);
    for (size_t i = 0; found && i < count; i++)
        __builtin_prefetch(&stripe->map.slots[hashes[i] & stripe->map.mask]);
    for (size_t i = 0; found && i < count; i++) {
        struct map_entry *entry = map_find(&stripe->map, hashes[i], &keys[i]);
        found = entry != NULL && value_copy_latched(client, entry, i, &values[i]);
    }
    stripe_end(client->store, stripe);
    return found;
}

/* No snapshot: key by key. */
BENCH_INLINE bool
striped_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct locked_client *client = handle;

    if (count > LOCKED_KEYS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = map_hash(&keys[i]);
        struct stripe *stripe = stripe_of(client->store, hash);
        stripe_read_begin(client, stripe);
        struct map_entry *entry = map_find(&stripe->map, hash, &keys[i]);
        bool found = entry != NULL && value_copy_latched(client, entry, i, &values[i]);
        stripe_end(client->store, stripe);
        if (!found)
            return false;
    }
    return true;
}

BENCH_INLINE bool
locked_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct locked_client *client = handle;
    uint64_t hash = map_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_write_begin(client, stripe);
    bool done = map_set(&stripe->map, hash, key, value);
    stripe_end(client->store, stripe);
    return done;
}

static bool
locked_remove(void *handle, const lk_key *key)
{
    struct locked_client *client = handle;
    uint64_t hash = map_hash(key);
    struct stripe *stripe = stripe_of(client->store, hash);

    stripe_write_begin(client, stripe);
    bool done = map_remove(&stripe->map, hash, key);
    stripe_end(client->store, stripe);
    return done;
}

static bool
locked_read(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct locked_client *client = handle;

    if (count > LOCKED_KEYS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t hash = map_hash(&keys[i]);
        client->notes[i].hash = hash;
        struct stripe *stripe = stripe_of(client->store, hash);
        stripe_read_begin(client, stripe);
        struct map_entry *entry = map_find(&stripe->map, hash, &keys[i]);
        bool found = entry != NULL && value_copy_latched(client, entry, i, &values[i]);
        if (found)
            client->notes[i].version = entry->version;
        stripe_end(client->store, stripe);
        if (!found)
            return false;
    }
    return true;
}

/* Compares all versions, then writes all values. The caller holds the latches. */
static enum bench_commit
commit_latched(struct locked_client *client, const lk_key *keys, size_t count,
               const lk_bytes *values)
{
    struct map_entry *entries[LOCKED_KEYS_MAX];

    for (size_t i = 0; i < count; i++) {
        const struct locked_note *note = &client->notes[i];
        entries[i] = map_find(&stripe_of(client->store, note->hash)->map, note->hash, &keys[i]);
        if (entries[i] == NULL || entries[i]->version != note->version)
            return BENCH_RACED;
        if (values[i].size > entries[i]->capacity)
            return BENCH_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        struct map_entry *entry = entries[i];
        memcpy(entry->bytes + entry->pk_size + entry->sk_size, values[i].data, values[i].size);
        entry->value_size = (uint32_t)values[i].size;
        entry->version++;
    }
    return BENCH_COMMITTED;
}

static enum bench_commit
locked_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct locked_client *client = handle;
    struct stripe *latched[LOCKED_KEYS_MAX];
    size_t stripes = 0;

    if (count > LOCKED_KEYS_MAX)
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
        stripe_write_begin(client, latched[i]);
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

static const struct bench_contender contender_mutex = {
    .name = "mutex",
    .what = "one mutex over a hash map",
    .order = 10,
    .open = mutex_open,
    .close = locked_close,
    .attach = locked_attach,
    .detach = locked_detach,
    .get = locked_get,
    .get_many = single_get_many,
    .set = locked_set,
    .remove = locked_remove,
    .read = locked_read,
    .commit = locked_commit,
    .loops = &single_loops,
    .contention = locked_contention,
};
BENCH_CONTENDER(contender_mutex)

static const struct bench_contender contender_rwlock = {
    .name = "rwlock",
    .what = "one reader-writer lock over a hash map",
    .order = 11,
    .open = rwlock_open,
    .close = locked_close,
    .attach = locked_attach,
    .detach = locked_detach,
    .get = locked_get,
    .get_many = single_get_many,
    .set = locked_set,
    .remove = locked_remove,
    .read = locked_read,
    .commit = locked_commit,
    .loops = &single_loops,
    .contention = locked_contention,
};
BENCH_CONTENDER(contender_rwlock)

static const struct bench_contender contender_striped = {
    .name = "striped",
    .what = "64 striped mutexes over hash maps; commits by versions",
    .order = 12,
    .open = striped_open,
    .close = locked_close,
    .attach = locked_attach,
    .detach = locked_detach,
    .get = locked_get,
    .get_many = striped_get_many,
    .set = locked_set,
    .remove = locked_remove,
    .read = locked_read,
    .commit = locked_commit,
    .loops = &striped_loops,
    .contention = locked_contention,
};
BENCH_CONTENDER(contender_striped)
