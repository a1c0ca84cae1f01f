/* SPDX-License-Identifier: MIT
 *
 * What a GLib program has: a GHashTable behind one GRWLock. Values are written where they lie, and
 * copied out under the lock. Commits are optimistic, by a version in each entry. GAsyncQueue is in
 * glib.c.
 * Needs: pkg-config glib-2.0
 */
#include "driver/bench.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* What the table hashes and compares: a key to look for, or the front of an entry. */
struct gmap_key {
    guint hash;
    lk_key key;
};

struct gmap_entry {
    struct gmap_key own; /* points to the bytes below */
    uint64_t version;
    size_t value_size, capacity;
    char bytes[]; /* pk, sk, value */
};

struct gmap_store {
    _Alignas(BENCH_LINE) GRWLock latch;
    GHashTable *table;
};

struct gmap_client {
    struct gmap_store *store;
    uint64_t versions[BENCH_GROUP]; /* of the keys of the last read */
    size_t capacity;                /* of each buffer */
    char buffers[];                 /* one for each key of a group */
};

static struct gmap_key
key_of(const lk_key *key)
{
    uint64_t hash =
        XXH3_64bits_withSeed(key->sk.data, key->sk.size, XXH3_64bits(key->pk.data, key->pk.size));
    struct gmap_key own = {(guint)hash, *key};

    return own;
}

static guint
key_hash(gconstpointer key)
{
    return ((const struct gmap_key *)key)->hash;
}

static bool
bytes_equal(lk_bytes a, lk_bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static gboolean
key_equal(gconstpointer left, gconstpointer right)
{
    const struct gmap_key *a = left, *b = right;

    return bytes_equal(a->key.pk, b->key.pk) && bytes_equal(a->key.sk, b->key.sk);
}

static void *
gmap_open(void)
{
    struct gmap_store *store = aligned_alloc(BENCH_LINE, sizeof *store);

    if (store == NULL)
        return NULL;
    g_rw_lock_init(&store->latch);
    store->table = g_hash_table_new_full(key_hash, key_equal, NULL, free);
    return store;
}

static void
gmap_close(void *handle)
{
    struct gmap_store *store = handle;

    g_hash_table_destroy(store->table);
    g_rw_lock_clear(&store->latch);
    free(store);
}

static void *
gmap_attach(void *store)
{
    size_t capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    struct gmap_client *client = calloc(1, sizeof *client + BENCH_GROUP * capacity);

    if (client == NULL)
        return NULL;
    client->store = store;
    client->capacity = capacity;
    return client;
}

static void
gmap_detach(void *client)
{
    free(client);
}

static const char *
entry_value(const struct gmap_entry *entry)
{
    return entry->bytes + entry->own.key.pk.size + entry->own.key.sk.size;
}

static void
entry_write_latched(struct gmap_entry *entry, lk_bytes value)
{
    memcpy(entry->bytes + entry->own.key.pk.size + entry->own.key.sk.size, value.data, value.size);
    entry->value_size = value.size;
    entry->version++;
}

static struct gmap_entry *
entry_new(struct gmap_key own, lk_bytes value)
{
    size_t pk = own.key.pk.size, sk = own.key.sk.size;
    struct gmap_entry *entry = malloc(sizeof *entry + pk + sk + value.size);

    if (entry == NULL)
        return NULL;
    memcpy(entry->bytes, own.key.pk.data, pk);
    memcpy(entry->bytes + pk, own.key.sk.data, sk);
    entry->own = own;
    entry->own.key.pk.data = entry->bytes;
    entry->own.key.sk.data = entry->bytes + pk;
    entry->capacity = value.size;
    entry->version = 0;
    entry_write_latched(entry, value);
    return entry;
}

/* Keys are hashed before the lock is taken. */
static bool
gmap_read(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct gmap_client *client = handle;
    struct gmap_key probes[BENCH_GROUP];
    bool found = count <= BENCH_GROUP;

    for (size_t i = 0; found && i < count; i++)
        probes[i] = key_of(&keys[i]);
    g_rw_lock_reader_lock(&client->store->latch);
    for (size_t i = 0; found && i < count; i++) {
        const struct gmap_entry *entry = g_hash_table_lookup(client->store->table, &probes[i]);
        char *buffer = client->buffers + i * client->capacity;
        found = entry != NULL && entry->value_size <= client->capacity;
        if (!found)
            break;
        memcpy(buffer, entry_value(entry), entry->value_size);
        client->versions[i] = entry->version;
        values[i].data = buffer;
        values[i].size = entry->value_size;
    }
    g_rw_lock_reader_unlock(&client->store->latch);
    return found;
}

static bool
gmap_get(void *handle, const lk_key *key, lk_bytes *value)
{
    return gmap_read(handle, key, 1, value);
}

static bool
gmap_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct gmap_store *store = ((struct gmap_client *)handle)->store;
    struct gmap_key probe = key_of(key);
    bool done = true;

    g_rw_lock_writer_lock(&store->latch);
    struct gmap_entry *entry = g_hash_table_lookup(store->table, &probe);
    if (entry != NULL && value.size <= entry->capacity) {
        entry_write_latched(entry, value);
    } else {
        uint64_t version = entry != NULL ? entry->version : 0;
        entry = entry_new(probe, value);
        done = entry != NULL;
        if (done) {
            entry->version += version;
            g_hash_table_replace(store->table, &entry->own, entry);
        }
    }
    g_rw_lock_writer_unlock(&store->latch);
    return done;
}

static bool
gmap_remove(void *handle, const lk_key *key)
{
    struct gmap_store *store = ((struct gmap_client *)handle)->store;
    struct gmap_key probe = key_of(key);

    g_rw_lock_writer_lock(&store->latch);
    bool removed = g_hash_table_remove(store->table, &probe);
    g_rw_lock_writer_unlock(&store->latch);
    return removed;
}

static enum bench_commit
commit_latched(struct gmap_client *client, const struct gmap_key *probes, size_t count,
               const lk_bytes *values)
{
    struct gmap_entry *entries[BENCH_GROUP];

    for (size_t i = 0; i < count; i++) {
        entries[i] = g_hash_table_lookup(client->store->table, &probes[i]);
        if (entries[i] == NULL || entries[i]->version != client->versions[i])
            return BENCH_RACED;
        if (values[i].size > entries[i]->capacity)
            return BENCH_FAILED;
    }
    for (size_t i = 0; i < count; i++)
        entry_write_latched(entries[i], values[i]);
    return BENCH_COMMITTED;
}

static enum bench_commit
gmap_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct gmap_client *client = handle;
    struct gmap_key probes[BENCH_GROUP];

    if (count > BENCH_GROUP)
        return BENCH_FAILED;
    for (size_t i = 0; i < count; i++)
        probes[i] = key_of(&keys[i]);
    g_rw_lock_writer_lock(&client->store->latch);
    enum bench_commit outcome = commit_latched(client, probes, count, values);
    g_rw_lock_writer_unlock(&client->store->latch);
    return outcome;
}

static const struct bench_contender contender_glib_map = {
    .name = "glib-map",
    .what = "GHashTable of GLib behind one GRWLock",
    .order = 13,
    .open = gmap_open,
    .close = gmap_close,
    .attach = gmap_attach,
    .detach = gmap_detach,
    .get = gmap_get,
    .get_many = gmap_read,
    .set = gmap_set,
    .remove = gmap_remove,
    .read = gmap_read,
    .commit = gmap_commit,
};
BENCH_CONTENDER(contender_glib_map)
