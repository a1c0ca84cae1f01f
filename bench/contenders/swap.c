/* SPDX-License-Identifier: MIT
 *
 * 64 shards of ck_hs whose items point to their values: a write to a key that exists is one atomic
 * exchange of that pointer, without any latch; the old value is retired. Items are never removed.
 */
#include "contenders/parts/ck_items.h"
#include "driver/loops.h"

#define SWAP_SHARD_BITS 6
#define SWAP_SHARDS (1 << SWAP_SHARD_BITS)

struct swap_value {
    ck_epoch_entry_t retired;
    size_t size;
    char bytes[];
};

struct swap_store {
    struct ck_shard shards[SWAP_SHARDS];
    ck_epoch_t epoch;
};

struct swap_client {
    struct ck_session session;
    struct swap_store *store;
    size_t capacity;
    char buffer[];
};

static void *
swap_open(void)
{
    struct swap_store *store = aligned_alloc(BENCH_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    ck_epoch_init(&store->epoch);
    for (size_t i = 0; i < SWAP_SHARDS; i++)
        if (!ck_shard_init(&store->shards[i]))
            return NULL;
    return store;
}

static void
swap_item_free(struct ck_item *item)
{
    free(item->own.value);
    free(item);
}

static void
swap_close(void *handle)
{
    struct swap_store *store = handle;

    for (size_t i = 0; i < SWAP_SHARDS; i++)
        ck_shard_free(&store->shards[i], swap_item_free);
    ck_sessions_free(&store->epoch);
    free(store);
}

static void *
swap_attach(void *store)
{
    size_t capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    struct swap_client *client = malloc(sizeof *client + capacity);

    if (client == NULL)
        return NULL;
    client->store = store;
    client->capacity = capacity;
    if (!ck_session_open(&client->session, &client->store->epoch)) {
        free(client);
        return NULL;
    }
    return client;
}

static void
swap_detach(void *handle)
{
    struct swap_client *client = handle;

    ck_session_close(&client->session);
    free(client);
}

static struct ck_shard *
shard_of(struct swap_store *store, uint64_t hash)
{
    return &store->shards[hash >> (64 - SWAP_SHARD_BITS)];
}

BENCH_INLINE bool
swap_get(void *handle, const lk_key *key, lk_bytes *out)
{
    struct swap_client *client = handle;
    uint64_t hash = ck_item_hash(key);
    bool found = false;

    ck_session_enter(&client->session);
    struct ck_item *item = ck_shard_find(shard_of(client->store, hash), hash, key);
    if (item != NULL) {
        const struct swap_value *value = __atomic_load_n(&item->own.value, __ATOMIC_ACQUIRE);
        found = value->size <= client->capacity;
        if (found) {
            memcpy(client->buffer, value->bytes, value->size);
            out->data = client->buffer;
            out->size = value->size;
        }
    }
    ck_session_leave(&client->session);
    return found;
}

static void
swap_value_destroy(ck_epoch_entry_t *entry)
{
    free(entry);
}

/* Finds or makes the item of a key that was not there a moment ago; false: no memory. `*taken`
 * says whether the value is now in a new item. */
static bool
item_insert_entered(struct ck_shard *shard, uint64_t hash, const lk_key *key,
                    struct swap_value *value, struct ck_item **item, bool *taken)
{
    ck_spinlock_lock_eb(&shard->latch);
    *item = ck_shard_find(shard, hash, key);
    *taken = *item == NULL;
    if (*taken) {
        *item = ck_item_new(hash, key, 0);
        if (*item != NULL) {
            (*item)->own.value = value;
            if (!ck_hs_put(&shard->set, hash, *item)) {
                free(*item);
                *item = NULL;
            }
        }
    }
    ck_spinlock_unlock(&shard->latch);
    return *item != NULL;
}

BENCH_INLINE bool
swap_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes bytes = put->data;
    struct swap_client *client = handle;
    uint64_t hash = ck_item_hash(key);
    struct ck_shard *shard = shard_of(client->store, hash);
    struct swap_value *value = malloc(sizeof *value + bytes.size);
    bool taken = false, done = true;

    if (value == NULL)
        return false;
    value->size = bytes.size;
    memcpy(value->bytes, bytes.data, bytes.size);

    ck_session_enter(&client->session);
    struct ck_item *item = ck_shard_find(shard, hash, key);
    if (item == NULL)
        done = item_insert_entered(shard, hash, key, value, &item, &taken);
    if (done && !taken) {
        struct swap_value *old = __atomic_exchange_n(&item->own.value, value, __ATOMIC_ACQ_REL);
        ck_session_retire(&client->session, &old->retired, swap_value_destroy);
    }
    ck_session_leave(&client->session);
    if (!done)
        free(value);
    return done;
}

BENCH_LOOPS(swap_loops, swap_get, NULL, swap_set)

static const struct bench_contender contender_swap = {
    .name = "ck_hs-swap64",
    .what = "64 shards of ck_hs, values swapped by an atomic exchange",
    .order = 21,
    .open = swap_open,
    .close = swap_close,
    .attach = swap_attach,
    .detach = swap_detach,
    .get = swap_get,
    .set = swap_set,
    .loops = &swap_loops,
};
BENCH_CONTENDER(contender_swap)
