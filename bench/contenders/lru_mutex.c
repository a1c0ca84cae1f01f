/* SPDX-License-Identifier: MIT
 *
 * lru-mutex: the hand-written cache, as large as all that a workload loads, so that every key that
 * was set is a hit.
 */
#include "contenders/parts/lru.h"

#include <stdlib.h>

struct client {
    struct lru *lru;
    struct lru_buffer buffer;
};

static void *
store_open(void)
{
    return lru_open(2 * bench_options.keys);
}

static void
store_close(void *store)
{
    lru_close(store);
}

static void *
client_attach(void *store)
{
    struct client *client = calloc(1, sizeof *client);

    if (client != NULL)
        client->lru = store;
    return client;
}

static void
client_detach(void *handle)
{
    struct client *client = handle;

    free(client->buffer.bytes);
    free(client);
}

static bool
client_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct client *client = handle;

    return lru_get(client->lru, key, &client->buffer, value);
}

static bool
client_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct client *client = handle;

    return lru_set(client->lru, key, value);
}

static bool
client_remove(void *handle, const lk_key *key)
{
    struct client *client = handle;

    return lru_remove(client->lru, key);
}

static const struct bench_contender contender_lru_mutex = {
    .name = "lru-mutex",
    .what = "cache: a hash map and a list in order of use, one mutex over both",
    .order = 9,
    .open = store_open,
    .close = store_close,
    .attach = client_attach,
    .detach = client_detach,
    .get = client_get,
    .set = client_set,
    .remove = client_remove,
};
BENCH_CONTENDER(contender_lru_mutex)
