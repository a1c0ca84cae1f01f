/* SPDX-License-Identifier: MIT
 *
 * One plain ck_hs set under an epoch: readers take no latch, writers a spinlock. The value lies in
 * the item; a write makes a new item and retires the old one.
 */
#include "contenders/parts/ck_items.h"
#include "driver/loops.h"

struct hs_store {
    struct ck_shard shard;
    ck_epoch_t epoch;
};

struct hs_client {
    struct ck_session session;
    struct hs_store *store;
    size_t capacity;
    char buffer[];
};

static void *
hs_open(void)
{
    struct hs_store *store = aligned_alloc(BENCH_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    ck_epoch_init(&store->epoch);
    return ck_shard_init(&store->shard) ? store : NULL;
}

static void
hs_item_free(struct ck_item *item)
{
    free(item);
}

static void
hs_close(void *handle)
{
    struct hs_store *store = handle;

    ck_shard_free(&store->shard, hs_item_free);
    ck_sessions_free(&store->epoch);
    free(store);
}

static void *
hs_attach(void *store)
{
    size_t capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    struct hs_client *client = malloc(sizeof *client + capacity);

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
hs_detach(void *handle)
{
    struct hs_client *client = handle;

    ck_session_close(&client->session);
    free(client);
}

BENCH_INLINE bool
hs_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct hs_client *client = handle;
    uint64_t hash = ck_item_hash(key);

    ck_session_enter(&client->session);
    const struct ck_item *item = ck_shard_find(&client->store->shard, hash, key);
    bool found = item != NULL && item->value_size <= client->capacity;
    if (found) {
        memcpy(client->buffer, item->bytes + item->pk_size + item->sk_size, item->value_size);
        value->data = client->buffer;
        value->size = item->value_size;
    }
    ck_session_leave(&client->session);
    return found;
}

static void
hs_item_destroy(ck_epoch_entry_t *entry)
{
    free((char *)entry - offsetof(struct ck_item, own.retired));
}

BENCH_INLINE bool
hs_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct hs_client *client = handle;
    struct ck_shard *shard = &client->store->shard;
    uint64_t hash = ck_item_hash(key);
    struct ck_item *item = ck_item_new(hash, key, value.size);
    void *previous = NULL;

    if (item == NULL)
        return false;
    item->value_size = (uint32_t)value.size;
    memcpy(item->bytes + key->pk.size + key->sk.size, value.data, value.size);

    ck_session_enter(&client->session);
    ck_spinlock_lock_eb(&shard->latch);
    bool done = ck_hs_set(&shard->set, hash, item, &previous);
    ck_spinlock_unlock(&shard->latch);
    if (done && previous != NULL)
        ck_session_retire(&client->session, &((struct ck_item *)previous)->own.retired,
                          hs_item_destroy);
    ck_session_leave(&client->session);
    if (!done)
        free(item);
    return done;
}

static bool
hs_remove(void *handle, const lk_key *key)
{
    struct hs_client *client = handle;
    struct ck_shard *shard = &client->store->shard;
    uint64_t hash = ck_item_hash(key);
    struct ck_probe probe = {hash, key};

    ck_session_enter(&client->session);
    ck_spinlock_lock_eb(&shard->latch);
    struct ck_item *item = ck_hs_remove(&shard->set, hash, (const char *)&probe + 1);
    ck_spinlock_unlock(&shard->latch);
    if (item != NULL)
        ck_session_retire(&client->session, &item->own.retired, hs_item_destroy);
    ck_session_leave(&client->session);
    return item != NULL;
}

BENCH_LOOPS(hs_loops, hs_get, NULL, hs_set)

/* No get_many: a plain set has none, its users call get in a loop. */
static const struct bench_contender contender_ck_hs = {
    .name = "ck_hs",
    .what = "one plain ck_hs with an epoch, a spinlock for writers",
    .order = 20,
    .open = hs_open,
    .close = hs_close,
    .attach = hs_attach,
    .detach = hs_detach,
    .get = hs_get,
    .set = hs_set,
    .remove = hs_remove,
    .loops = &hs_loops,
};
BENCH_CONTENDER(contender_ck_hs)
