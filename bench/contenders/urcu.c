/* SPDX-License-Identifier: MIT
 *
 * rculfhash of userspace-rcu, flavour memb: readers take no latch and write nothing shared, writers
 * are lock-free. A write makes a new item and replaces the old one, which call_rcu frees. The table
 * is made for what it will be loaded with, and grows by itself after that: a thread of the library
 * lets it grow, and does not keep up with a loader on a busy machine. No commits.
 * Needs: pkg-config liburcu-memb liburcu-cds
 */
#include "contenders/parts/item.h"
#include "driver/loops.h"

#define URCU_API_MAP
#define _LGPL_SOURCE /* read sections inline */
#include <urcu/urcu-memb.h>

#include <urcu/rculfhash.h> /* after the flavour */

#define TABLE_LEAST_BUCKETS 64

struct urcu_item {
    struct cds_lfht_node node;
    struct rcu_head retired;
    uint64_t hash;
    struct item item;
};

struct urcu_probe {
    uint64_t hash;
    const lk_key *key;
};

struct urcu_client {
    struct cds_lfht *table;
    struct copies copies;
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

    while (buckets < bench_expected.items)
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
    struct urcu_client *client = COPIES_CLIENT(client);

    if (client == NULL)
        return NULL;
    client->table = table;
    thread_register();
    return client;
}

static void
urcu_detach(void *client)
{
    thread_unregister();
    free(client);
}

static int
probe_matches(struct cds_lfht_node *node, const void *wanted)
{
    const struct urcu_probe *probe = wanted;

    return item_of(node)->hash == probe->hash && item_is(&item_of(node)->item, probe->key);
}

BENCH_INLINE struct cds_lfht_node *
node_find_entered(struct urcu_client *client, const lk_key *key)
{
    struct urcu_probe probe = {item_hash(key), key};
    struct cds_lfht_iter iterator;

    cds_lfht_lookup(client->table, probe.hash, probe_matches, &probe, &iterator);
    return cds_lfht_iter_get_node(&iterator);
}

/* Copies a value to the client's place i. Inside a read section. */
BENCH_INLINE bool
value_copy_entered(struct urcu_client *client, const lk_key *key, size_t i, lk_bytes *value)
{
    struct cds_lfht_node *node = node_find_entered(client, key);

    return node != NULL && copies_keep(&client->copies, i, item_value(&item_of(node)->item),
                                       item_of(node)->item.value_size, value);
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
    struct urcu_client *client = handle;
    struct urcu_probe probe = {item_hash(&put->key), &put->key};
    struct urcu_item *item = item_new(offsetof(struct urcu_item, item), &put->key, put->data);

    if (item == NULL)
        return false;
    cds_lfht_node_init(&item->node);
    item->hash = probe.hash;
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

    rcu_read_lock();
    struct cds_lfht_node *node = node_find_entered(client, key);
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
