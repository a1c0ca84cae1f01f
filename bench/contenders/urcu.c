/* SPDX-License-Identifier: MIT
 *
 * rculfhash of userspace-rcu, flavour memb: readers take no latch and write nothing shared, writers
 * are lock-free. A write makes a new item and replaces the old one, which call_rcu frees. The table
 * is made for what it will be loaded with, and grows by itself after that: a thread of the library
 * lets it grow, and does not keep up with a loader on a busy machine. No commits.
 * Needs: pkg-config liburcu-memb liburcu-cds
 */
#include "driver/loops.h"

#include <stdlib.h>
#include <string.h>

#define URCU_API_MAP
#define _LGPL_SOURCE /* read sections inline */
#include <urcu/urcu-memb.h>

#include <urcu/rculfhash.h> /* after the flavour */

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TABLE_LEAST_BUCKETS 64

struct urcu_item {
    struct cds_lfht_node node;
    struct rcu_head retired;
    uint64_t hash;
    uint16_t pk_size, sk_size;
    uint32_t value_size;
    char bytes[]; /* pk, sk, value */
};

struct urcu_probe {
    uint64_t hash;
    const lk_key *key;
};

struct urcu_client {
    struct cds_lfht *table;
    size_t capacity; /* of each buffer */
    char buffers[];  /* one for each key of a group */
};

/* A thread may hold several clients, and registers once. */
static _Thread_local unsigned registered;

static void
thread_register(void)
{
    if (registered++ == 0)
        rcu_register_thread();
}

static void
thread_unregister(void)
{
    if (--registered == 0)
        rcu_unregister_thread();
}

static struct urcu_item *
item_of(struct cds_lfht_node *node)
{
    return caa_container_of(node, struct urcu_item, node);
}

static void *
urcu_open(void)
{
    unsigned long buckets = TABLE_LEAST_BUCKETS;

    while (buckets < bench_items_expected)
        buckets *= 2;
    return cds_lfht_new(buckets, TABLE_LEAST_BUCKETS, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING,
                        NULL);
}

static void
item_destroy(struct rcu_head *head)
{
    free(caa_container_of(head, struct urcu_item, retired));
}

static void
urcu_close(void *table)
{
    struct cds_lfht_iter iterator;
    struct urcu_item *item;

    thread_register();
    rcu_read_lock();
    cds_lfht_for_each_entry(table, &iterator, item, node) if (cds_lfht_del(table, &item->node) == 0)
        call_rcu(&item->retired, item_destroy);
    rcu_read_unlock();
    rcu_barrier();
    (void)cds_lfht_destroy(table, NULL);
    thread_unregister();
}

static void *
urcu_attach(void *table)
{
    size_t capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    struct urcu_client *client = malloc(sizeof *client + BENCH_GROUP * capacity);

    if (client == NULL)
        return NULL;
    client->table = table;
    client->capacity = capacity;
    thread_register();
    return client;
}

static void
urcu_detach(void *client)
{
    thread_unregister();
    free(client);
}

static struct urcu_probe
probe_of(const lk_key *key)
{
    struct urcu_probe probe = {
        XXH3_64bits_withSeed(key->sk.data, key->sk.size, XXH3_64bits(key->pk.data, key->pk.size)),
        key};

    return probe;
}

static int
probe_matches(struct cds_lfht_node *node, const void *wanted)
{
    const struct urcu_item *item = item_of(node);
    const struct urcu_probe *probe = wanted;

    return item->hash == probe->hash && item->pk_size == probe->key->pk.size &&
           item->sk_size == probe->key->sk.size &&
           memcmp(item->bytes, probe->key->pk.data, item->pk_size) == 0 &&
           memcmp(item->bytes + item->pk_size, probe->key->sk.data, item->sk_size) == 0;
}

/* Copies a value to the client's buffer i. Inside a read section. */
BENCH_INLINE bool
value_copy_entered(struct urcu_client *client, const lk_key *key, size_t i, lk_bytes *value)
{
    struct urcu_probe probe = probe_of(key);
    char *buffer = client->buffers + i * client->capacity;
    struct cds_lfht_iter iterator;

    cds_lfht_lookup(client->table, probe.hash, probe_matches, &probe, &iterator);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iterator);
    if (node == NULL || item_of(node)->value_size > client->capacity)
        return false;
    const struct urcu_item *item = item_of(node);
    memcpy(buffer, item->bytes + item->pk_size + item->sk_size, item->value_size);
    value->data = buffer;
    value->size = item->value_size;
    return true;
}

BENCH_INLINE bool
urcu_get(void *handle, const lk_key *key, lk_bytes *value)
{
    rcu_read_lock();
    bool found = value_copy_entered(handle, key, 0, value);
    rcu_read_unlock();
    return found;
}

/* One read section for all keys, which is no snapshot. */
BENCH_INLINE bool
urcu_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    bool found = count <= BENCH_GROUP;

    rcu_read_lock();
    for (size_t i = 0; found && i < count; i++)
        found = value_copy_entered(handle, &keys[i], i, &values[i]);
    rcu_read_unlock();
    return found;
}

BENCH_INLINE bool
urcu_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct urcu_client *client = handle;
    struct urcu_probe probe = probe_of(key);
    struct urcu_item *item = malloc(sizeof *item + key->pk.size + key->sk.size + value.size);

    if (item == NULL)
        return false;
    cds_lfht_node_init(&item->node);
    item->hash = probe.hash;
    item->pk_size = (uint16_t)key->pk.size;
    item->sk_size = (uint16_t)key->sk.size;
    item->value_size = (uint32_t)value.size;
    memcpy(item->bytes, key->pk.data, key->pk.size);
    memcpy(item->bytes + key->pk.size, key->sk.data, key->sk.size);
    memcpy(item->bytes + key->pk.size + key->sk.size, value.data, value.size);

    rcu_read_lock();
    struct cds_lfht_node *old =
        cds_lfht_add_replace(client->table, probe.hash, probe_matches, &probe, &item->node);
    if (old != NULL)
        call_rcu(&item_of(old)->retired, item_destroy);
    rcu_read_unlock();
    return true;
}

static bool
urcu_remove(void *handle, const lk_key *key)
{
    struct urcu_client *client = handle;
    struct urcu_probe probe = probe_of(key);
    struct cds_lfht_iter iterator;

    rcu_read_lock();
    cds_lfht_lookup(client->table, probe.hash, probe_matches, &probe, &iterator);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iterator);
    bool removed = node != NULL && cds_lfht_del(client->table, node) == 0;
    if (removed)
        call_rcu(&item_of(node)->retired, item_destroy);
    rcu_read_unlock();
    return removed;
}

/* What call_rcu was given so far is free. */
static void
urcu_settle(void *table)
{
    (void)table;
    rcu_barrier();
}

BENCH_LOOPS(urcu_loops, urcu_get, urcu_get_many, urcu_set)

static const struct bench_contender contender_urcu = {
    .name = "urcu",
    .what = "rculfhash of userspace-rcu (memb), values replaced; no commits",
    .order = 23,
    .open = urcu_open,
    .close = urcu_close,
    .attach = urcu_attach,
    .detach = urcu_detach,
    .get = urcu_get,
    .get_many = urcu_get_many,
    .set = urcu_set,
    .remove = urcu_remove,
    .settle = urcu_settle,
    .loops = &urcu_loops,
};
BENCH_CONTENDER(contender_urcu)
