/* SPDX-License-Identifier: MIT
 *
 * A lock of your own in the benchmark: a ticket lock (Mellor-Crummey, Scott, "Algorithms for
 * Scalable Synchronization on Shared-Memory Multiprocessors", 1991) over one hash map. Copy it, put
 * your lock in place of what is marked, and run
 *
 *     sh bench/run bench/examples/ticket.c --contender latchkey,mutex,ticket --workload get,set50
 *
 * The benchmark loads the store, runs the threads, and checks that every value proves itself: a
 * lock that lets two writers in ends the run with 1.
 */
#include "contenders/parts/string_map.h"

#include <sched.h>
#include <stdatomic.h>

enum {
    SPINS = 1000
}; /* then the processor is somebody else's: there may be more threads than these */

struct ticket_store {
    _Alignas(BENCH_LINE) atomic_uint next; /* your lock: these two */
    _Alignas(BENCH_LINE) atomic_uint served;
    _Alignas(BENCH_LINE) struct string_map map;
};

/* What one thread holds: the store, and room for the values that it read last. */
struct ticket_client {
    struct ticket_store *store;
    struct copies copies;
};

static void
ticket_take(struct ticket_store *store)
{
    unsigned mine = atomic_fetch_add(&store->next, 1); /* your lock: taken */
    for (unsigned spins = 0; atomic_load(&store->served) != mine; spins++)
        if (spins > SPINS)
            sched_yield();
}

static void
ticket_drop(struct ticket_store *store)
{
    atomic_fetch_add(&store->served, 1); /* your lock: released */
}

static void *
ticket_open(void)
{
    struct ticket_store *store = aligned_alloc(BENCH_LINE, sizeof *store);
    if (store == NULL)
        return NULL;
    atomic_init(&store->next, 0);
    atomic_init(&store->served, 0);
    if (map_init(&store->map))
        return store;
    free(store);
    return NULL;
}

static void
ticket_close(void *handle)
{
    struct ticket_store *store = handle;
    map_free(&store->map);
    free(store);
}

static void *
ticket_attach(void *store)
{
    struct ticket_client *client = COPIES_CLIENT(client);

    if (client != NULL)
        client->store = store;
    return client;
}

static bool
ticket_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct ticket_client *client = handle;
    uint64_t hash = item_hash(key);
    ticket_take(client->store);
    struct map_entry *entry = map_find(&client->store->map, hash, key);
    bool found = entry != NULL && copies_keep(&client->copies, 0, item_value(&entry->item),
                                              entry->item.value_size, value);
    ticket_drop(client->store);
    return found;
}

static bool
ticket_set(void *handle, const lk_item *put)
{
    struct ticket_client *client = handle;
    uint64_t hash = item_hash(&put->key);
    ticket_take(client->store);
    bool done = map_set(&client->store->map, hash, &put->key, put->data);
    ticket_drop(client->store);
    return done;
}

static bool
ticket_remove(void *handle, const lk_key *key)
{
    struct ticket_client *client = handle;
    uint64_t hash = item_hash(key);
    ticket_take(client->store);
    bool done = map_remove(&client->store->map, hash, key);
    ticket_drop(client->store);
    return done;
}

static const struct bench_contender contender_ticket = {
    .name = "ticket",
    .what = "an example: one ticket lock over a hash map",
    .order = 99,
    .open = ticket_open,
    .close = ticket_close,
    .attach = ticket_attach,
    .detach = free,
    .get = ticket_get,
    .set = ticket_set,
    .remove = ticket_remove,
};
BENCH_CONTENDER(contender_ticket)
