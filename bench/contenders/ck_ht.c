/* SPDX-License-Identifier: MIT
 *
 * One ck_ht in the mode of byte strings under an epoch: readers take no latch, writers a spinlock.
 * The value lies in the item behind the key; a write makes a new item and retires the old one. The
 * ck_ht of ck 0.7.1 has wrong results when keys are removed and slots used again beside readers;
 * upstream put that right in June 2026.
 */
#include "contenders/parts/ck_items.h"

#include <ck_ht.h>

#define TABLE_INITIAL_ITEMS 64
#define KEY_MOST 4096

/* Bytes: the key that the table compares, which is {size of pk, pk, sk}; then the value. */
struct ht_item {
    ck_epoch_entry_t retired;
    uint16_t key_size;
    uint32_t value_size;
    char bytes[];
};

struct ht_store {
    _Alignas(BENCH_LINE) ck_ht_t table;
    _Alignas(BENCH_LINE) ck_spinlock_t latch;
    ck_epoch_t epoch;
};

struct ht_client {
    struct ck_session session;
    struct ht_store *store;
    size_t capacity;
    char key[KEY_MOST];
    char buffer[];
};

static void
table_hash(ck_ht_hash_t *hash, const void *key, size_t size, uint64_t seed)
{
    hash->value = XXH3_64bits_withSeed(key, size, seed);
}

static void *
ht_open(void)
{
    struct ht_store *store = aligned_alloc(BENCH_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    ck_epoch_init(&store->epoch);
    ck_spinlock_init(&store->latch);
    if (ck_ht_init(&store->table, CK_HT_MODE_BYTESTRING | CK_HT_WORKLOAD_DELETE, table_hash,
                   &ck_items_allocator, TABLE_INITIAL_ITEMS, 0))
        return store;
    free(store);
    return NULL;
}

static void
ht_close(void *handle)
{
    struct ht_store *store = handle;
    ck_ht_iterator_t iterator = CK_HT_ITERATOR_INITIALIZER;
    ck_ht_entry_t *entry;

    while (ck_ht_next(&store->table, &iterator, &entry))
        free(ck_ht_entry_value(entry));
    ck_ht_destroy(&store->table);
    ck_sessions_free(&store->epoch);
    free(store);
}

static void *
ht_attach(void *store)
{
    size_t capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    struct ht_client *client = malloc(sizeof *client + capacity);

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
ht_detach(void *handle)
{
    struct ht_client *client = handle;

    ck_session_close(&client->session);
    free(client);
}

static size_t
key_size(const lk_key *key)
{
    return sizeof(uint16_t) + key->pk.size + key->sk.size;
}

static void
key_write(char *bytes, const lk_key *key)
{
    uint16_t pk_size = (uint16_t)key->pk.size;

    memcpy(bytes, &pk_size, sizeof pk_size);
    memcpy(bytes + sizeof pk_size, key->pk.data, key->pk.size);
    memcpy(bytes + sizeof pk_size + key->pk.size, key->sk.data, key->sk.size);
}

/* An entry to look for, and its hash. False: the key is too long for this contender. */
static bool
entry_prepare(struct ht_client *client, const lk_key *key, ck_ht_hash_t *hash, ck_ht_entry_t *entry)
{
    size_t size = key_size(key);

    if (size > KEY_MOST)
        return false;
    key_write(client->key, key);
    ck_ht_hash(hash, &client->store->table, client->key, (uint16_t)size);
    ck_ht_entry_key_set(entry, client->key, (uint16_t)size);
    return true;
}

static bool
ht_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct ht_client *client = handle;
    ck_ht_hash_t hash;
    ck_ht_entry_t entry;
    bool found = false;

    if (!entry_prepare(client, key, &hash, &entry))
        return false;
    ck_session_enter(&client->session);
    if (ck_ht_get_spmc(&client->store->table, hash, &entry)) {
        const struct ht_item *item = ck_ht_entry_value(&entry);
        found = item->value_size <= client->capacity;
        if (found) {
            memcpy(client->buffer, item->bytes + item->key_size, item->value_size);
            value->data = client->buffer;
            value->size = item->value_size;
        }
    }
    ck_session_leave(&client->session);
    return found;
}

static void
item_destroy(ck_epoch_entry_t *entry)
{
    free(entry);
}

static bool
ht_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct ht_client *client = handle;
    struct ht_store *store = client->store;
    size_t size = key_size(key);
    struct ht_item *item = size <= KEY_MOST ? malloc(sizeof *item + size + value.size) : NULL;
    ck_ht_hash_t hash;
    ck_ht_entry_t entry;

    if (item == NULL)
        return false;
    item->key_size = (uint16_t)size;
    item->value_size = (uint32_t)value.size;
    key_write(item->bytes, key);
    memcpy(item->bytes + size, value.data, value.size);
    ck_ht_hash(&hash, &store->table, item->bytes, item->key_size);
    ck_ht_entry_set(&entry, hash, item->bytes, item->key_size, item);

    ck_session_enter(&client->session);
    ck_spinlock_lock_eb(&store->latch);
    bool done = ck_ht_set_spmc(&store->table, hash, &entry);
    ck_spinlock_unlock(&store->latch);
    if (done && !ck_ht_entry_empty(&entry)) {
        struct ht_item *old = ck_ht_entry_value(&entry);
        ck_session_retire(&client->session, &old->retired, item_destroy);
    }
    ck_session_leave(&client->session);
    if (!done)
        free(item);
    return done;
}

static bool
ht_remove(void *handle, const lk_key *key)
{
    struct ht_client *client = handle;
    ck_ht_hash_t hash;
    ck_ht_entry_t entry;

    if (!entry_prepare(client, key, &hash, &entry))
        return false;
    ck_session_enter(&client->session);
    ck_spinlock_lock_eb(&client->store->latch);
    bool removed = ck_ht_remove_spmc(&client->store->table, hash, &entry);
    ck_spinlock_unlock(&client->store->latch);
    if (removed) {
        struct ht_item *item = ck_ht_entry_value(&entry);
        ck_session_retire(&client->session, &item->retired, item_destroy);
    }
    ck_session_leave(&client->session);
    return removed;
}

static const struct bench_contender contender_ck_ht = {
    .name = "ck_ht",
    .what =
        "one ck_ht, an epoch, a spinlock for writers; ck 0.7.1 has wrong results after removals",
    .order = 24,
    .open = ht_open,
    .close = ht_close,
    .attach = ht_attach,
    .detach = ht_detach,
    .get = ht_get,
    .set = ht_set,
    .remove = ht_remove,
};
BENCH_CONTENDER(contender_ck_ht)
