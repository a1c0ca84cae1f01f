/* SPDX-License-Identifier: MIT
 *
 * latchkey through its public API, as a server would call it: one result per thread, used again and
 * again. Next to it latchkey-view, which reads items where they lie.
 */
#include "contenders/latchkey.h"

#include "driver/loops.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MOST 10000 /* attempts at a call that is refused for now */

struct client {
    lk_db *db;
    lk_result *result;
    size_t lock_count;
    lk_lock locks[BENCH_GROUP]; /* of the last read */
    bool reading;               /* a section of latchkey-view is open */
    size_t capacity;
    char buffer[]; /* of latchkey-into */
};

static void *
store_open(void)
{
    lk_db *db;

    return lk_memory_open(NULL, &db) == LK_OK ? db : NULL;
}

static void
store_close(void *store)
{
    lk_close(store);
}

/* A lock has been made before the items come, so their cells have room for theirs. */
static void *
locking_open(void)
{
    lk_lock lock;
    lk_db *db = store_open();

    if (db == NULL || lk_get_lock(db, lk_key_of("locks", "first"), &lock) == LK_OK)
        return db;
    lk_close(db);
    return NULL;
}

bool
latchkey_again(lk_status status, unsigned *attempt)
{
    if (status != LK_BUSY || bench_expected.refusals || *attempt == BUSY_MOST)
        return false;
    lk_backoff((*attempt)++);
    return true;
}

void *
latchkey_attach(void *store)
{
    size_t capacity = bench_expected.value_size;
    struct client *client = calloc(1, sizeof *client + capacity);

    if (client == NULL)
        return NULL;
    client->db = store;
    client->capacity = capacity;
    client->result = lk_result_new();
    if (client->result == NULL) {
        free(client);
        return NULL;
    }
    return client;
}

lk_db *
latchkey_db(void *client)
{
    return ((struct client *)client)->db;
}

static void
client_detach(void *handle)
{
    struct client *client = handle;

    if (client->reading)
        lk_read_end(client->db);
    lk_result_free(client->result);
    free(client);
}

BENCH_INLINE bool
client_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct client *client = handle;

    if (lk_get_at(client->db, key, client->result) != LK_OK)
        return false;
    *value = lk_result_item(client->result, 0)->data;
    return true;
}

/* Into a buffer of the client. */
BENCH_INLINE bool
client_get_into(void *handle, const lk_key *key, lk_bytes *value)
{
    struct client *client = handle;

    value->data = client->buffer;
    return lk_get_into_at(client->db, key, client->buffer, client->capacity, &value->size) == LK_OK;
}

/* The value is borrowed: its section ends when the next call starts. */
BENCH_INLINE bool
client_view(void *handle, const lk_key *key, lk_bytes *value)
{
    struct client *client = handle;
    lk_item item;

    if (client->reading)
        lk_read_end(client->db);
    lk_read_begin(client->db);
    client->reading = true;
    if (lk_view_at(client->db, key, &item) != LK_OK)
        return false;
    *value = item.data;
    return true;
}

BENCH_INLINE bool
result_values(const struct client *client, size_t count, lk_bytes *values)
{
    for (size_t i = 0; i < count; i++) {
        const lk_item *item = lk_result_item(client->result, i);
        if (item == NULL)
            return false;
        values[i] = item->data;
    }
    return true;
}

BENCH_INLINE bool
client_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct client *client = handle;

    return lk_get_many(client->db, keys, count, client->result) == LK_OK &&
           result_values(client, count, values);
}

BENCH_INLINE bool
client_set(void *handle, const lk_item *put)
{
    struct client *client = handle;

    return LATCHKEY_CALL(lk_set(client->db, put, 1)) == LK_OK;
}

static bool
client_remove(void *handle, const lk_key *key)
{
    struct client *client = handle;

    return LATCHKEY_CALL(lk_delete(client->db, key, 1)) == LK_OK;
}

static bool
client_read(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct client *client = handle;

    if (count > BENCH_GROUP)
        return false;
    client->lock_count = count;
    lk_status status =
        LATCHKEY_CALL(lk_get_locked(client->db, keys, count, client->locks, client->result));
    return status == LK_OK && result_values(client, count, values);
}

static enum bench_commit
client_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct client *client = handle;
    lk_item items[BENCH_GROUP];

    if (count > BENCH_GROUP)
        return BENCH_FAILED;
    for (size_t i = 0; i < count; i++) {
        items[i].key = keys[i];
        items[i].data = values[i];
        items[i].expires_at_ms = 0;
    }
    lk_status status = LATCHKEY_CALL(
        lk_set_atomic(client->db, items, count, client->locks, client->lock_count, NULL));
    return status == LK_OK ? BENCH_COMMITTED : status == LK_RACE ? BENCH_RACED : BENCH_FAILED;
}

static size_t
client_scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
{
    struct client *client = handle;

    if (lk_query_items(client->db, query, client->result) != LK_OK)
        return 0;
    size_t count = lk_result_count(client->result);
    for (size_t i = 0; i < count; i++) {
        const lk_item *item = lk_result_item(client->result, i);
        visit(context, item->key.sk, item->data);
    }
    return count;
}

static bool
client_put_new(void *handle, const lk_item *put)
{
    struct client *client = handle;

    return LATCHKEY_CALL(lk_put_if(client->db, put, LK_IF_ABSENT, (lk_bytes){NULL, 0})) == LK_OK;
}

static bool
client_add(void *handle, const lk_key *key, int64_t delta)
{
    struct client *client = handle;

    return LATCHKEY_CALL(lk_add_at(client->db, key, delta, 0, NULL)) == LK_OK;
}

static size_t
client_count(void *handle, const lk_query *query)
{
    struct client *client = handle;
    size_t count = 0;

    return lk_count(client->db, query, &count) == LK_OK ? count : 0;
}

/* ---- the same without the calls for it ------------------------------------------------------- */

static bool
rmw_put_new(void *handle, const lk_item *put)
{
    struct client *client = handle;
    lk_bytes none;

    return !client_read(client, &put->key, 1, &none) &&
           client_commit(client, &put->key, 1, &put->data) == BENCH_COMMITTED;
}

static bool
rmw_add(void *handle, const lk_key *key, int64_t delta)
{
    enum bench_commit outcome = BENCH_RACED;
    lk_bytes value;
    int64_t sum;

    for (unsigned attempt = 0; outcome == BENCH_RACED; attempt++) {
        if (attempt > 0)
            lk_backoff(attempt - 1);
        if (!client_read(handle, key, 1, &value) || value.size != sizeof sum)
            return false;
        memcpy(&sum, value.data, sizeof sum);
        sum += delta;
        value.data = &sum;
        outcome = client_commit(handle, key, 1, &value);
    }
    return outcome == BENCH_COMMITTED;
}

static size_t
query_count(void *handle, const lk_query *query)
{
    struct client *client = handle;

    if (lk_query_items(client->db, query, client->result) != LK_OK)
        return 0;
    return lk_result_count(client->result);
}

static bool
client_lock(void *handle, const lk_key *key)
{
    struct client *client = handle;
    lk_lock lock;

    return LATCHKEY_CALL(lk_get_lock_at(client->db, key, &lock)) == LK_OK;
}

/* What is retired becomes free once all readers have moved on, which a few rounds show. */
static void
store_settle(void *store)
{
    for (int round = 0; round < 8; round++)
        if (lk_sweep(store, 0, NULL) != LK_OK)
            return;
}

size_t
latchkey_contention(void *db, struct bench_counter *counters)
{
    lk_statistics s;

    if (lk_statistics_read(db, &s) != LK_OK)
        return 0;
    const struct bench_counter all[] = {
        {"head conflicts", "", false, s.head_conflicts},
        {"aborts of others", "", false, s.aborts},
        {"retries inside", "", false, s.retries},
        {"helped commits", "", false, s.helped},
        {"latch waits", "", false, s.latch_waits},
        {"snapshots", "", false, s.snapshots},
        {"claim collisions", "", false, s.claim_collisions},
        {"empty pulls", "", false, s.empty_pulls},
        {"places looked at", "", false, s.slots_visited},
        {"busy", "", false, s.busy},
        {"retired bytes", "bytes", true, s.retired_bytes},
    };
    memcpy(counters, all, sizeof all);
    return sizeof all / sizeof *all;
}

#ifdef BENCH_NO_COUNTERS
#define COUNTERS .counters = NULL
#else /* the library counts, as always but in one measurement of its own */
#define COUNTERS .counters = store_counters
static void
store_counters(void *store, struct bench_counters *counters)
{
    lk_statistics statistics;

    memset(counters, 0, sizeof *counters);
    if (lk_statistics_read(store, &statistics) != LK_OK)
        return;
    counters->commits = statistics.commits;
    counters->races = statistics.races;
    counters->retries = statistics.retries;
}
#endif

BENCH_LOOPS(latchkey_loops, client_get, client_get_many, client_set)
BENCH_LOOPS(into_loops, client_get_into, NULL, client_set)
BENCH_LOOPS(view_loops, client_view, NULL, NULL)

#define CLIENT_CALLS                                                                        \
    .close = store_close, .attach = latchkey_attach, .detach = client_detach, .ours = true, \
    .contention = latchkey_contention
#define STORE_CALLS                                                                      \
    CLIENT_CALLS, .get = client_get, .get_many = client_get_many, .set = client_set,     \
                  .remove = client_remove, .read = client_read, .commit = client_commit, \
                  .backoff = lk_backoff, .scan = client_scan, .lock = client_lock,       \
                  .settle = store_settle, .loops = &latchkey_loops, COUNTERS,            \
                  .put_new = client_put_new, .add = client_add, .count = client_count

const struct bench_contender contender_latchkey = {
    .name = "latchkey",
    .what = "this library",
    .order = 0,
    .open = store_open,
    .queue = &latchkey_queue,
    STORE_CALLS,
};
BENCH_CONTENDER(contender_latchkey)

static const struct bench_contender contenders[] = {
    {
        .name = "latchkey-into",
        .what = "this library, items copied into the caller's buffer",
        .order = 1,
        .store_of = "latchkey",
        .open = store_open,
        .get = client_get_into,
        .set = client_set,
        .loops = &into_loops,
        CLIENT_CALLS,
    },
    {
        .name = "latchkey-view",
        .what = "this library, items read where they lie",
        .order = 1,
        .store_of = "latchkey",
        .open = store_open,
        .get = client_view,
        .loops = &view_loops,
        CLIENT_CALLS,
    },
    {
        .name = "latchkey-locks",
        .what = "this library, where a lock was made before the items came",
        .order = 1,
        .open = locking_open,
        STORE_CALLS,
    },
    {
        .name = "latchkey-rmw",
        .what = "this library, adds and new items by get_locked and set_atomic",
        .order = 1,
        .open = store_open,
        .get = client_get,
        .set = client_set,
        .remove = client_remove,
        .put_new = rmw_put_new,
        .add = rmw_add,
        CLIENT_CALLS,
    },
    {
        .name = "latchkey-query",
        .what = "this library, counts by a query",
        .order = 1,
        .store_of = "latchkey",
        .open = store_open,
        .count = query_count,
        CLIENT_CALLS,
    },
};
BENCH_CONTENDERS(contenders)

void
latchkey_like(struct bench_contender *contender)
{
    const struct bench_contender own = *contender;

    *contender = contender_latchkey;
    contender->name = own.name;
    contender->what = own.what;
    contender->order = own.order;
    contender->ours = own.ours;
    contender->open = own.open;
    if (own.close != NULL) {
        contender->close = own.close;
        contender->attach = own.attach;
        contender->contention = own.contention;
    }
    contender->misses = own.misses;
    contender->settle = NULL;
    contender->counters = NULL;
    contender->queue = NULL;
    bench_contender_add(contender);
}

void
latchkey_behind_wrapper(struct bench_contender *contender)
{
    contender->read = NULL;
    contender->commit = NULL;
    contender->scan = NULL;
    contender->add = NULL;
    contender->put_new = NULL;
    contender->count = NULL;
    contender->lock = NULL;
}
