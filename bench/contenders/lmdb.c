/* SPDX-License-Identifier: MIT
 *
 * LMDB by hand, and latchkey's adapter for it: what does a lk_db in front of the database cost? By
 * hand is what a program that knows LMDB writes: named databases for items and for their versions,
 * read transactions that are renewed, values copied out, one write transaction for a commit that
 * compares the versions it read, raises them and writes the items. Both have their files in memory
 * where there is /dev/shm, and wait for no disk.
 * Needs: target latchkey_lmdb_static
 */
#include <latchkey/lmdb.h>
#include <lmdb.h>
#include <stdio.h>
#include <unistd.h>

#include "contenders/latchkey.h"
#include "contenders/parts/item.h"

#define KEY_MAX 256
#define MAP_SIZE ((size_t)1 << 36)

/* ---- a folder -------------------------------------------------------------------------------- */

static bool
folder_make(char *folder, size_t room)
{
    static const char *const parents[] = {"/dev/shm", "/tmp"};

    for (size_t i = 0; i < 2; i++) {
        snprintf(folder, room, "%s/latchkey-bench-XXXXXX", parents[i]);
        if (mkdtemp(folder) != NULL)
            return true;
    }
    return false;
}

/* The files stay until they are closed, and go with the program however it ends. */
static void
folder_remove(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "latchkey.lock"};
    char path[128];

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct raw_store {
    MDB_env *env;
    MDB_dbi items, versions;
};

struct raw_client {
    struct raw_store *store;
    MDB_txn *reader; /* reset between calls */
    MDB_txn *bulk;   /* NULL: each set commits */
    MDB_cursor *cursor;
    uint64_t versions[BENCH_GROUP]; /* of the last read */
    struct copies copies;
};

struct raw_key {
    size_t size;
    unsigned char bytes[KEY_MAX];
};

static bool
store_make(struct raw_store *store, const char *folder)
{
    MDB_txn *txn;

    return mdb_env_create(&store->env) == 0 && mdb_env_set_mapsize(store->env, MAP_SIZE) == 0 &&
           mdb_env_set_maxdbs(store->env, 2) == 0 &&
           mdb_env_open(store->env, folder, MDB_NOTLS | MDB_NOSYNC, 0600) == 0 &&
           mdb_txn_begin(store->env, NULL, 0, &txn) == 0 &&
           mdb_dbi_open(txn, "items", MDB_CREATE, &store->items) == 0 &&
           mdb_dbi_open(txn, "versions", MDB_CREATE, &store->versions) == 0 &&
           mdb_txn_commit(txn) == 0;
}

static void *
raw_open(void)
{
    struct raw_store *store = calloc(1, sizeof *store);
    char folder[64];

    if (store == NULL || !folder_make(folder, sizeof folder)) {
        free(store);
        return NULL;
    }
    bool made = store_make(store, folder);
    folder_remove(folder);
    return made ? store : NULL;
}

static void
raw_close(void *handle)
{
    struct raw_store *store = handle;

    mdb_env_close(store->env);
    free(store);
}

static void *
raw_attach(void *store)
{
    struct raw_client *client = COPIES_CLIENT(client);

    if (client == NULL)
        return NULL;
    client->store = store;
    if (mdb_txn_begin(client->store->env, NULL, MDB_RDONLY, &client->reader) != 0 ||
        mdb_cursor_open(client->reader, client->store->items, &client->cursor) != 0) {
        free(client);
        return NULL;
    }
    mdb_txn_reset(client->reader);
    return client;
}

static void
raw_detach(void *handle)
{
    struct raw_client *client = handle;

    mdb_cursor_close(client->cursor);
    mdb_txn_abort(client->reader);
    free(client);
}

/* pk's size, pk, sk: any bytes, in the order of partitions and sort keys. */
static MDB_val
key_make(struct raw_key *key, const lk_key *of)
{
    MDB_val value = {0, NULL};

    if (of->pk.size + of->sk.size + 2 > KEY_MAX)
        return value;
    key->bytes[0] = (unsigned char)(of->pk.size >> 8);
    key->bytes[1] = (unsigned char)of->pk.size;
    memcpy(key->bytes + 2, of->pk.data, of->pk.size);
    if (of->sk.size != 0)
        memcpy(key->bytes + 2 + of->pk.size, of->sk.data, of->sk.size);
    key->size = 2 + of->pk.size + of->sk.size;
    value.mv_size = key->size;
    value.mv_data = key->bytes;
    return value;
}

/* A copy of the item, in the client's buffer `i`. */
static bool
item_read(struct raw_client *client, const lk_key *key, size_t i, lk_bytes *value)
{
    struct raw_key framed;
    MDB_val k = key_make(&framed, key), found;

    return mdb_get(client->reader, client->store->items, &k, &found) == 0 &&
           copies_keep(&client->copies, i, found.mv_data, found.mv_size, value);
}

static bool
raw_get_many(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct raw_client *client = handle;
    bool found = count <= BENCH_GROUP && mdb_txn_renew(client->reader) == 0;

    for (size_t i = 0; found && i < count; i++)
        found = item_read(client, &keys[i], i, &values[i]);
    mdb_txn_reset(client->reader);
    return found;
}

static bool
raw_get(void *handle, const lk_key *key, lk_bytes *value)
{
    return raw_get_many(handle, key, 1, value);
}

/* Commits what went well. False: it did not, or it could not be committed. */
static bool
txn_end(MDB_txn *txn, bool good)
{
    if (good)
        return mdb_txn_commit(txn) == 0;
    mdb_txn_abort(txn);
    return false;
}

static bool
raw_set(void *handle, const lk_item *put)
{
    struct raw_client *client = handle;
    struct raw_store *store = client->store;
    struct raw_key framed;
    MDB_val k = key_make(&framed, &put->key);
    MDB_val data = {put->data.size, (void *)(uintptr_t)put->data.data};
    MDB_txn *txn;

    if (client->bulk != NULL)
        return mdb_put(client->bulk, store->items, &k, &data, 0) == 0;
    return mdb_txn_begin(store->env, NULL, 0, &txn) == 0 &&
           txn_end(txn, mdb_put(txn, store->items, &k, &data, 0) == 0);
}

static bool
raw_bulk_begin(void *handle)
{
    struct raw_client *client = handle;

    return mdb_txn_begin(client->store->env, NULL, 0, &client->bulk) == 0;
}

static bool
raw_bulk_end(void *handle)
{
    struct raw_client *client = handle;
    MDB_txn *txn = client->bulk;

    client->bulk = NULL;
    return mdb_txn_commit(txn) == 0;
}

static bool
raw_remove(void *handle, const lk_key *key)
{
    struct raw_client *client = handle;
    struct raw_key framed;
    MDB_val k = key_make(&framed, key);
    MDB_txn *txn;

    if (mdb_txn_begin(client->store->env, NULL, 0, &txn) != 0)
        return false;
    int items = mdb_del(txn, client->store->items, &k, NULL);
    int versions = mdb_del(txn, client->store->versions, &k, NULL);
    return txn_end(txn, (items == 0 || items == MDB_NOTFOUND) &&
                            (versions == 0 || versions == MDB_NOTFOUND));
}

/* 0: it has none yet. False: an error. */
static bool
version_read(struct raw_client *client, MDB_txn *txn, MDB_val *key, uint64_t *version)
{
    MDB_val found;
    int code = mdb_get(txn, client->store->versions, key, &found);

    *version = 0;
    if (code == 0)
        memcpy(version, found.mv_data, sizeof *version);
    return code == 0 || code == MDB_NOTFOUND;
}

static bool
raw_read(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct raw_client *client = handle;
    bool found = count <= BENCH_GROUP && mdb_txn_renew(client->reader) == 0;

    for (size_t i = 0; found && i < count; i++) {
        struct raw_key framed;
        MDB_val k = key_make(&framed, &keys[i]);
        found = version_read(client, client->reader, &k, &client->versions[i]) &&
                item_read(client, &keys[i], i, &values[i]);
    }
    mdb_txn_reset(client->reader);
    return found;
}

static enum bench_commit
items_write(struct raw_client *client, MDB_txn *txn, const lk_key *keys, size_t count,
            const lk_bytes *values)
{
    for (size_t i = 0; i < count; i++) {
        struct raw_key framed;
        uint64_t version;
        MDB_val k = key_make(&framed, &keys[i]);
        if (!version_read(client, txn, &k, &version))
            return BENCH_FAILED;
        if (version != client->versions[i])
            return BENCH_RACED;
    }
    for (size_t i = 0; i < count; i++) {
        struct raw_key framed;
        uint64_t version = client->versions[i] + 1;
        MDB_val k = key_make(&framed, &keys[i]), row = {sizeof version, &version};
        MDB_val data = {values[i].size, (void *)(uintptr_t)values[i].data};
        if (mdb_put(txn, client->store->versions, &k, &row, 0) != 0 ||
            mdb_put(txn, client->store->items, &k, &data, 0) != 0)
            return BENCH_FAILED;
    }
    return BENCH_COMMITTED;
}

static enum bench_commit
raw_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct raw_client *client = handle;
    MDB_txn *txn;

    if (mdb_txn_begin(client->store->env, NULL, 0, &txn) != 0)
        return BENCH_FAILED;
    enum bench_commit outcome = items_write(client, txn, keys, count, values);
    bool committed = txn_end(txn, outcome == BENCH_COMMITTED);
    return committed || outcome != BENCH_COMMITTED ? outcome : BENCH_FAILED;
}

/* The items are handed on where they lie. */
static size_t
raw_scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
{
    struct raw_client *client = handle;
    struct raw_key frame, from;
    size_t count = 0;
    MDB_val data, k = key_make(&frame, &(lk_key){query->pk, query->sk_prefix});

    if (query->after.size != 0)
        k = key_make(&from, &(lk_key){query->pk, query->after});
    if (mdb_txn_renew(client->reader) != 0 || mdb_cursor_renew(client->reader, client->cursor) != 0)
        return 0;
    int code = mdb_cursor_get(client->cursor, &k, &data, MDB_SET_RANGE);
    if (code == 0 && query->after.size != 0 && k.mv_size == from.size &&
        memcmp(k.mv_data, from.bytes, from.size) == 0)
        code = mdb_cursor_get(client->cursor, &k, &data, MDB_NEXT);
    while (code == 0 && k.mv_size >= frame.size &&
           memcmp(k.mv_data, frame.bytes, frame.size) == 0) {
        size_t front = 2 + query->pk.size;
        visit(context, (lk_bytes){(const char *)k.mv_data + front, k.mv_size - front},
              (lk_bytes){data.mv_data, data.mv_size});
        if (++count == query->limit)
            break;
        code = mdb_cursor_get(client->cursor, &k, &data, MDB_NEXT);
    }
    mdb_txn_reset(client->reader);
    return count;
}

static const struct bench_contender contender_raw = {
    .name = "lmdb",
    .what = "LMDB by hand, no wait for the disk",
    .order = 41,
    .open = raw_open,
    .close = raw_close,
    .attach = raw_attach,
    .detach = raw_detach,
    .get = raw_get,
    .get_many = raw_get_many,
    .set = raw_set,
    .remove = raw_remove,
    .bulk_begin = raw_bulk_begin,
    .bulk_end = raw_bulk_end,
    .read = raw_read,
    .commit = raw_commit,
    .scan = raw_scan,
};
BENCH_CONTENDER(contender_raw)

/* ---- the adapter ----------------------------------------------------------------------------- */

static void *
adapter_open(void)
{
    lk_lmdb_options options = LK_LMDB_OPTIONS_INIT;
    char folder[64];
    lk_db *db = NULL;

    options.map_size = MAP_SIZE;
    options.sync = LK_LMDB_SYNC_NEVER;
    if (!folder_make(folder, sizeof folder))
        return NULL;
    lk_status status = lk_lmdb_open(folder, &options, &db);
    folder_remove(folder);
    return status == LK_OK ? db : NULL;
}

static struct bench_contender contender_adapter = {
    .name = "latchkey-lmdb",
    .what = "this library on LMDB, no wait for the disk",
    .order = 40,
    .ours = true,
    .open = adapter_open,
};

__attribute__((constructor)) static void
contender_adapter_add(void)
{
    latchkey_like(&contender_adapter);
    contender_adapter.counters = contender_latchkey.counters; /* an lk_db as any other */
}
