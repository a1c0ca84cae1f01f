/* SPDX-License-Identifier: MIT
 *
 * latchkey's adapter for PostgreSQL, on the server that LATCHKEY_POSTGRES names. Beside it:
 *
 * postgres-singles  the same with one key, or one job, in each call
 * postgres-cached   the same behind this library's cache
 * postgres-held     its queue beside 100,000 dead rows of jobs that are done, which a session with
 *                   an old snapshot holds back
 * Needs: target latchkey_postgres_static
 */
#include <latchkey/postgres.h>
#include <string.h>
#include <time.h>

#include "contenders/latchkey.h"
#include "contenders/parts/postgres.h"
#include "contenders/parts/wrapper.h"

#define BULK 500
#define CONNECTIONS 64
#define DEAD_ROWS 100000
#define DEAD_ONCE 1000

struct store {
    struct latchkey_queue queue; /* comes first; also the handle of a store of items */
    struct server server;
    lk_db *counted, *cache; /* in front of it; NULL: nothing is */
    PGconn *holder;         /* whose snapshot holds dead rows back; NULL: there is none */
};

static void
store_close(void *handle)
{
    struct store *store = handle;

    PQfinish(store->holder);
    lk_close(store->cache);
    lk_close(store->counted);
    lk_close(store->queue.db);
    server_close(&store->server);
    free(store);
}

static struct store *
store_open_with(bool manual_clock)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return NULL;
    options.create = true;
    options.schema = store->server.schema;
    options.max_connections = CONNECTIONS;
    if (manual_clock) {
        atomic_store(&store->queue.now_ms, (int64_t)time(NULL) * 1000);
        options.realtime_ms = options.monotonic_ms = latchkey_clock;
        options.clock_context = store;
    }
    if (server_open(&store->server, "latchkey") &&
        lk_postgres_open(getenv("LATCHKEY_POSTGRES"), &options, &store->queue.db) == LK_OK)
        return store;
    server_close(&store->server);
    free(store);
    return NULL;
}

static void *
store_open(void)
{
    return store_open_with(false);
}

static void *
store_open_cached(void)
{
    lk_cache_options options = LK_CACHE_OPTIONS_INIT;
    struct store *store = store_open_with(false);

    if (store == NULL)
        return NULL;
    options.max_items = bench_expected.cache_items;
    store->counted = wrapper_open(store->queue.db, WRAPPER_COUNT);
    if (store->counted != NULL && lk_cache_open(store->counted, &options, &store->cache) == LK_OK)
        return store;
    store_close(store);
    return NULL;
}

static void
store_loaded(void *handle)
{
    struct store *store = handle;

    (void)server_do(store->server.pg, "VACUUM (ANALYZE) %s.lk_item", store->server.schema);
}

static void *
store_attach(void *handle)
{
    struct store *store = handle;

    return latchkey_attach(store->cache != NULL ? store->cache : store->queue.db);
}

/* Without a cache each read asks the server. */
static uint64_t
reads_ask(void)
{
    static _Thread_local uint64_t reads;

    return ++reads;
}

/* ---- all items at once ----------------------------------------------------------------------- */

/* Of the thread that loads a store, and of no other: items, and their bytes one after the other. */
static _Thread_local struct bulk {
    size_t count;
    lk_item items[BULK];
    size_t used, room;
    char bytes[];
} * bulk;

static bool
bulk_begin(void *client)
{
    size_t room = BULK * (2 * BENCH_KEY_SIZE + bench_expected.value_size);

    (void)client;
    bulk = calloc(1, sizeof *bulk + room);
    if (bulk != NULL)
        bulk->room = room;
    return bulk != NULL;
}

static bool
bulk_send(void *client)
{
    bool good = bulk->count == 0 || lk_set(latchkey_db(client), bulk->items, bulk->count) == LK_OK;
    bulk->count = bulk->used = 0;
    return good;
}

static bool
bulk_keep(lk_bytes *into, lk_bytes bytes)
{
    if (bytes.size > bulk->room - bulk->used)
        return false;
    *into = (lk_bytes){memcpy(bulk->bytes + bulk->used, bytes.data, bytes.size), bytes.size};
    bulk->used += bytes.size;
    return true;
}

static bool
bulk_set(void *client, const lk_item *put)
{
    if (bulk == NULL)
        return contender_latchkey.set(client, put);
    lk_item *item = &bulk->items[bulk->count++];
    return bulk_keep(&item->key.pk, put->key.pk) && bulk_keep(&item->key.sk, put->key.sk) &&
           bulk_keep(&item->data, put->data) && (bulk->count < BULK || bulk_send(client));
}

static bool
bulk_end(void *client)
{
    bool good = bulk_send(client);

    free(bulk);
    bulk = NULL;
    return good;
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void *
queue_open(const struct queue_setup *setup)
{
    struct store *store = store_open_with(setup->manual_clock);

    if (store != NULL)
        store->queue.visibility_ms = setup->visibility_ms;
    return store;
}

/* Jobs are pushed, pulled and acknowledged while somebody's snapshot may still need them. */
static bool
rows_die(struct store *store)
{
    struct queue_job jobs[DEAD_ONCE] = {{0}};
    void *client = latchkey_queue.attach(store);
    bool good = client != NULL;

    for (size_t done = 0; good && done < DEAD_ROWS; done += DEAD_ONCE) {
        for (size_t i = 0; good && i < DEAD_ONCE; i += QUEUE_BATCH)
            good = latchkey_queue.push(client, jobs, QUEUE_BATCH);
        for (size_t got = 0; good && (got = latchkey_queue.pull(client, jobs, DEAD_ONCE)) != 0;)
            good = got <= DEAD_ONCE && latchkey_queue.acknowledge(client);
    }
    if (client != NULL)
        latchkey_queue.detach(client);
    return good;
}

static void *
queue_open_held(const struct queue_setup *setup)
{
    struct store *store = queue_open(setup);

    if (store == NULL)
        return NULL;
    store->holder = server_connect();
    if (store->holder != NULL &&
        server_do(store->holder, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1") &&
        rows_die(store))
        return store;
    store_close(store);
    return NULL;
}

static struct queue_operations queues[3]; /* that of latchkey; singles; held */

/* ---- the tables ------------------------------------------------------------------------------ */

static struct bench_contender contenders[] = {
    {.name = "latchkey-postgres",
     .what = "this library on PostgreSQL",
     .order = 42,
     .open = store_open,
     .misses = reads_ask},
    {.name = "postgres-singles",
     .what = "the same, one key or job in each call",
     .order = 43,
     .open = store_open,
     .misses = reads_ask},
    {.name = "postgres-cached",
     .what = "the same behind this library's cache",
     .order = 44,
     .open = store_open_cached,
     .misses = wrapper_reads},
    {.name = "postgres-held",
     .what = "queue: latchkey-postgres beside 100,000 dead rows that a snapshot holds back",
     .order = 45},
};

enum { PLAIN, SINGLES, CACHED, HELD, CONTENDERS };

static void
queues_fill(void)
{
    for (int i = 0; i < 3; i++) {
        queues[i] = latchkey_queue;
        queues[i].open = i == 2 ? queue_open_held : queue_open;
        queues[i].close = store_close;
    }
    queues[1].batch_most = 1;
}

__attribute__((constructor)) static void
contenders_add(void)
{
    queues_fill();
    for (int i = 0; i < CONTENDERS; i++) {
        struct bench_contender *contender = &contenders[i];
        contender->ours = true;
        contender->close = store_close;
        contender->attach = store_attach;
        contender->contention = latchkey_queue.contention;
        if (i == HELD)
            bench_contender_add(contender);
        else
            latchkey_like(contender);
        contender->outlives = true;
        contender->missing = server_missing;
        contender->loaded = store_loaded;
        contender->set = i == HELD ? NULL : bulk_set;
        contender->bulk_begin = bulk_begin;
        contender->bulk_end = bulk_end;
    }
    contenders[SINGLES].get_many = NULL;
    contenders[SINGLES].loops = NULL;
    latchkey_behind_wrapper(&contenders[CACHED]);
    contenders[PLAIN].queue = &queues[0];
    contenders[SINGLES].queue = &queues[1];
    contenders[HELD].queue = &queues[2];
}
