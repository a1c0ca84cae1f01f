/* SPDX-License-Identifier: MIT
 *
 * Opens a store, makes it if it is new, closes it; its options and statistics. Programs call
 * lk_lmdb_open; all else is called through the table of operations.
 *
 * What the files are, and what is done before LMDB opens them: folder.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <latchkey/lmdb.h>

#include "lmdb/check.h"
#include "lmdb/end.h"
#include "lmdb/expiry.h"
#include "lmdb/folder.h"
#include "lmdb/operations.h"
#include "lmdb/reader.h"
#include "lmdb/tally.h"
#include "lmdb/watch.h"

enum { DATABASES = 8, READERS = 126, READERS_MAX = 1 << 16, STRANGERS = 16 };

#define MAP_SIZE (sizeof(void *) >= 8 ? (size_t)64 << 30 : (size_t)1 << 30)
#define PAGE_SIZE_MAX ((size_t)1 << 16)
#define DATA_SIZE_CAP ((size_t)UINT32_MAX - LKI_LMDB_ITEM_HEADER)

/* ---- clocks ---- */

static int64_t
clock_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t
system_realtime_ms(void *unused)
{
    (void)unused;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t
system_monotonic_ms(void *unused)
{
    (void)unused;
    return clock_ms(CLOCK_MONOTONIC);
}

/* ---- statistics ---- */

/* Of jemalloc, where the program has it; only looked for. */
__attribute__((weak)) extern void *mallocx(size_t size, int flags);

static lk_status
cells_count(lki_lmdb *store, lk_statistics *stats)
{
    lki_lmdb_reader *reader;
    MDB_stat items, locks;
    lk_status status = lki_lmdb_read_begin(store, &reader);
    if (status != LK_OK)
        return status;
    int code = mdb_stat(reader->txn, store->in.items, &items);
    if (code == 0)
        code = mdb_stat(reader->txn, store->in.locks, &locks);
    lki_lmdb_read_end(reader);
    if (code != 0)
        return lki_lmdb_status(code);
    stats->cells = items.ms_entries + locks.ms_entries;
    return LK_OK;
}

lk_status
lki_lmdb_statistics(void *state, lk_statistics *stats)
{
    lki_lmdb *store = state;
    for (uint32_t i = 0; i < store->reader_count; i++) {
        lki_lmdb_reader *reader = &store->readers[i];
        stats->gets += lki_lmdb_counted(&reader->gets);
        stats->hits += lki_lmdb_counted(&reader->hits);
        stats->multi_gets += lki_lmdb_counted(&reader->multi_gets);
        stats->queries += lki_lmdb_counted(&reader->queries);
        stats->items_queried += lki_lmdb_counted(&reader->items_queried);
    }
    stats->allocator = mallocx != NULL ? "jemalloc" : "malloc"; /* malloc is jemalloc's then */
    stats->multi_gets += lki_lmdb_counted(&store->multi_gets);
    stats->sets = lki_lmdb_counted(&store->sets);
    stats->deletes = lki_lmdb_counted(&store->deletes);
    stats->commits = lki_lmdb_counted(&store->commits);
    stats->races = lki_lmdb_counted(&store->races);
    stats->locks_created = lki_lmdb_counted(&store->locks_created);
    stats->locks_renewed = lki_lmdb_counted(&store->locks_renewed);
    stats->busy = lki_lmdb_counted(&store->busy);
    stats->expired_swept = lki_lmdb_counted(&store->expired_swept);
    stats->locks_swept = lki_lmdb_counted(&store->locks_swept);
    stats->slots_visited = lki_lmdb_counted(&store->slots_visited);
    pthread_mutex_lock(&store->latch);
    stats->sweep_lag_ms = store->sweep_lag_ms;
    pthread_mutex_unlock(&store->latch);
    return cells_count(store, stats);
}

/* ---- close ---- */

/* Frees a store, also one that is half open. */
static void
store_free(lki_lmdb *store)
{
    lki_lmdb_readers_close(store);
    lki_lmdb_watches_free(store);
    lki_lmdb_tallies_free(store);
    if (store->env != NULL)
        mdb_env_close(store->env);
    if (store->lock_fd >= 0) {
        flock(store->lock_fd, LOCK_UN); /* a forked child has the descriptor too */
        close(store->lock_fd);
    }
    pthread_mutex_destroy(&store->latch);
    pthread_mutex_destroy(&store->wait_latch);
    pthread_mutex_destroy(&store->watch_latch);
    pthread_mutex_destroy(&store->tally_latch);
    free(store);
}

/* Writes the time, if deadlines depend on it. If that fails the time in the file is a second old at
 * most. */
static void
time_keep(lki_lmdb *store)
{
    lki_lmdb_txn t;
    if (!store->time_is_due || lki_lmdb_begin(store, &t) != LK_OK)
        return;
    t.meta.time = t.time > t.meta.time ? t.time : t.meta.time;
    t.changed = true;
    t.tends = false;
    (void)lki_lmdb_end(&t, LK_OK);
}

static void
lmdb_close(void *state)
{
    lki_lmdb *store = state;
    int saved = errno;
    LKI_LMDB_ASSERT(store->writer == NULL && store->first_waiter == NULL);
    time_keep(store);
    (void)lki_lmdb_check(store);
    (void)mdb_env_sync(store->env, 1);
    store_free(store);
    errno = saved;
}

static const lk_operations operations = {
    .size = sizeof operations,
    .close = lmdb_close,
    .get_at = lki_lmdb_get,
    .set = lki_lmdb_set,
    .remove = lki_lmdb_remove,
    .get_into_at = lki_lmdb_get_into,
    .get_many = lki_lmdb_get_many,
    .query = lki_lmdb_query,
    .get_lock_at = lki_lmdb_get_lock,
    .get_locked = lki_lmdb_get_locked,
    .commit = lki_lmdb_commit,
    .set_atomic = lki_lmdb_set_atomic,
    .push = lki_lmdb_queue_push,
    .pull = lki_lmdb_queue_pull,
    .acknowledge = lki_lmdb_queue_acknowledge,
    .release = lki_lmdb_queue_release,
    .extend = lki_lmdb_queue_extend,
    .queue_stats = lki_lmdb_queue_stats,
    .queue_purge = lki_lmdb_queue_purge,
    .queue_close = lki_lmdb_queue_close,
    .queue_fd = lki_lmdb_queue_fd,
    .sweep = lki_lmdb_sweep,
    .statistics = lki_lmdb_statistics,
    .put_if = lki_lmdb_put_if,
    .touch = lki_lmdb_touch,
    .add = lki_lmdb_add,
    .count = lki_lmdb_query_count,
    .list_partitions = lki_lmdb_list_partitions,
    .queue_inspect = lki_lmdb_queue_inspect,
};

/* ---- options ---- */

static lk_status
limits_take(lk_lmdb_options *o)
{
    o->max_pk_size = o->max_pk_size != 0 ? o->max_pk_size : 240;
    o->max_sk_size = o->max_sk_size != 0 ? o->max_sk_size : 256;
    o->max_data_size = o->max_data_size != 0 ? o->max_data_size : (size_t)16 << 20;
    bool keys = o->max_pk_size <= LKI_LMDB_NAMES_MAX &&
                o->max_sk_size <= LKI_LMDB_NAMES_MAX - o->max_pk_size;
    return keys && o->max_data_size <= DATA_SIZE_CAP ? LK_OK : LK_TOO_BIG;
}

/* Fills in the defaults. */
static lk_status
options_take(lk_lmdb_options *o)
{
    bool short_life = o->lock_refresh_ms == 0;
    o->lock_ttl_ms = o->lock_ttl_ms != 0 ? o->lock_ttl_ms : LK_HOURS(24);
    o->lock_refresh_ms = o->lock_refresh_ms != 0 ? o->lock_refresh_ms : LK_HOURS(1);
    if (short_life && o->lock_ttl_ms > 1 && o->lock_refresh_ms >= o->lock_ttl_ms)
        o->lock_refresh_ms = o->lock_ttl_ms / 2;
    bool lifetimes =
        o->lock_ttl_ms > 0 && o->lock_refresh_ms >= -1 && o->lock_refresh_ms < o->lock_ttl_ms;
    bool sync = o->sync == LK_LMDB_SYNC_COMMIT || o->sync == LK_LMDB_SYNC_LATER ||
                o->sync == LK_LMDB_SYNC_NEVER;
    o->map_size = o->map_size != 0 ? o->map_size : MAP_SIZE;
    o->max_readers = o->max_readers != 0 ? o->max_readers : READERS;
    if (!lifetimes || !sync)
        return LK_INVALID;
    if (o->max_readers > READERS_MAX || o->map_size > SIZE_MAX / 2)
        return LK_TOO_BIG;
    return limits_take(o);
}

/* ---- open ---- */

static lk_status
env_open(lki_lmdb *store, const char *path, const lk_lmdb_options *o)
{
    unsigned flags = MDB_NOTLS;
    size_t map_size = (o->map_size + PAGE_SIZE_MAX - 1) & ~(PAGE_SIZE_MAX - 1);
    if (o->sync == LK_LMDB_SYNC_LATER)
        flags |= MDB_NOMETASYNC;
    if (o->sync == LK_LMDB_SYNC_NEVER)
        flags |= MDB_NOSYNC;
    int code = mdb_env_create(&store->env);
    if (code == 0)
        code = mdb_env_set_mapsize(store->env, map_size);
    if (code == 0)
        code = mdb_env_set_maxdbs(store->env, DATABASES);
    if (code == 0)
        code = mdb_env_set_maxreaders(store->env, o->max_readers + STRANGERS);
    if (code == 0)
        code = mdb_env_open(store->env, path, flags, 0600);
    if (code == 0)
        code = mdb_reader_check(store->env, NULL);
    if (code == 0 && mdb_env_get_maxkeysize(store->env) < LKI_LMDB_KEY_MAX)
        return LK_UNSUPPORTED; /* an LMDB that was built for shorter keys */
    return lki_lmdb_status(code);
}

/* Reads the meta row, or makes it in a database that is new. */
static lk_status
meta_open(lki_lmdb *store, MDB_txn *txn)
{
    static const lki_lmdb_key key = {.size = 4, .bytes = "meta"};
    MDB_dbi root;
    MDB_stat stat;
    int code = mdb_dbi_open(txn, "latchkey", 0, &store->in.meta);
    if (code == 0) {
        lk_status status =
            lki_lmdb_row(txn, store->in.meta, &key, &store->meta_row, sizeof store->meta_row);
        if (status == LK_OK && store->meta_row.format != LKI_LMDB_FORMAT)
            status = store->meta_row.format > LKI_LMDB_FORMAT ? LK_UNSUPPORTED : LK_INVALID;
        /* Numbers begin at 1, and no store lives to take half of them. */
        if (status == LK_OK && store->meta_row.version - 1 >= INT64_MAX)
            status = LK_UNAVAILABLE; /* damaged */
        return status == LK_NOT_FOUND ? LK_INVALID : status;
    }
    if (code != MDB_NOTFOUND)
        return lki_lmdb_status(code);
    code = mdb_dbi_open(txn, NULL, 0, &root);
    if (code == 0)
        code = mdb_stat(txn, root, &stat);
    if (code == 0 && stat.ms_entries != 0)
        return LK_INVALID; /* another program's */
    if (code == 0)
        code = mdb_dbi_open(txn, "latchkey", MDB_CREATE, &store->in.meta);
    if (code != 0)
        return lki_lmdb_status(code);
    store->meta_row.format = LKI_LMDB_FORMAT;
    store->meta_row.version = 1;
    memset(store->meta_row.ulid, 0, sizeof store->meta_row.ulid);
    MDB_val k = lki_lmdb_key_value(&key), row = {sizeof store->meta_row, &store->meta_row};
    return lki_lmdb_status(mdb_put(txn, store->in.meta, &k, &row, 0));
}

static lk_status
databases_open(lki_lmdb *store, MDB_txn *txn)
{
    lk_status status = meta_open(store, txn);
    return status == LK_OK ? lki_lmdb_status(lki_lmdb_tables_open(txn, MDB_CREATE, &store->in))
                           : status;
}

/* The first time in expiry, and the store's time: not before any that a deadline was reckoned
 * from. */
static lk_status
times_open(lki_lmdb *store, MDB_txn *txn)
{
    lki_lmdb_key first;
    lk_status status = lki_lmdb_expiry_first(store, txn, &first, &store->first_expiry_ms);
    int64_t now_ms = lki_lmdb_now(store);
    store->monotonic_base = lki_lmdb_monotonic(store);
    store->time_base = now_ms > store->meta_row.time ? now_ms : store->meta_row.time;
    store->version = store->meta_row.version;
    return status == LK_NOT_FOUND ? LK_OK : status;
}

static lk_status
store_open(lki_lmdb *store, const char *path, const lk_lmdb_options *o)
{
    MDB_txn *txn;
    lk_status status = lki_lmdb_folder_take(path, o->max_readers + STRANGERS, &store->lock_fd);
    if (status == LK_OK)
        status = env_open(store, path, o);
    if (status == LK_OK)
        status = lki_lmdb_readers_open(store, o->max_readers);
    if (status == LK_OK)
        status = lki_lmdb_status(mdb_txn_begin(store->env, NULL, 0, &txn));
    if (status != LK_OK)
        return status;
    status = databases_open(store, txn);
    if (status == LK_OK)
        status = times_open(store, txn);
    if (status == LK_OK)
        status = lki_lmdb_check_open(store, txn);
    if (status == LK_OK)
        return lki_lmdb_status(mdb_txn_commit(txn));
    mdb_txn_abort(txn);
    return status;
}

static lki_lmdb *
store_new(const lk_lmdb_options *o)
{
    lki_lmdb *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->lock_fd = -1;
    store->realtime_ms = o->realtime_ms != NULL ? o->realtime_ms : system_realtime_ms;
    store->monotonic_ms = o->monotonic_ms != NULL ? o->monotonic_ms : system_monotonic_ms;
    store->monotonic_is_hooked = o->monotonic_ms != NULL;
    store->clock_context = o->clock_context;
    store->lock_ttl_ms = o->lock_ttl_ms;
    store->lock_refresh_ms = o->lock_refresh_ms;
    pthread_mutex_init(&store->latch, NULL); /* of the default kind: cannot fail on Linux */
    pthread_mutex_init(&store->wait_latch, NULL);
    pthread_mutex_init(&store->watch_latch, NULL);
    pthread_mutex_init(&store->tally_latch, NULL);
    return store;
}

lk_status
lk_lmdb_open(const char *path, const lk_lmdb_options *options, lk_db **db)
{
    lk_lmdb_options o = LK_LMDB_OPTIONS_INIT;
    int saved = errno;
    if (path == NULL || db == NULL)
        return LK_INVALID;
    if (options != NULL)
        o = *options;
    lk_status status = options_take(&o);
    if (status != LK_OK)
        return status;
    lki_lmdb *store = store_new(&o);
    if (store == NULL)
        return LK_NO_MEMORY;
    status = store_open(store, path, &o);
    lk_adapter adapter = LK_ADAPTER_INIT;
    adapter.name = "lmdb";
    adapter.capabilities = LK_HAS_GET_MANY | LK_HAS_QUERY | LK_HAS_LOCKS | LK_HAS_QUEUES |
                           LK_HAS_QUEUE_FD | LK_HAS_SWEEP | LK_HAS_STATISTICS | LK_IS_SNAPSHOT |
                           LK_IS_DURABLE | LK_COMMITS_JOBS | LK_HAS_CONDITIONS | LK_HAS_PARTITIONS |
                           LK_HAS_QUEUE_INSPECT | LK_QUERIES_RANGES | LK_COMMITS_RELEASES |
                           LK_LOCKS_ABSENT;
    adapter.state = store;
    adapter.max_pk_size = o.max_pk_size;
    adapter.max_sk_size = o.max_sk_size;
    adapter.max_data_size = o.max_data_size;
    adapter.realtime_ms = store->realtime_ms;
    adapter.monotonic_ms = store->monotonic_ms;
    adapter.clock_context = store->clock_context;
    if (status == LK_OK)
        status = lk_adapter_open(&operations, &adapter, db);
    if (status != LK_OK)
        store_free(store);
    errno = saved;
    return status;
}
