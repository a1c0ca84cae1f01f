/* SPDX-License-Identifier: MIT
 *
 * SQLite: one table, files in memory, a write-ahead log that is not synchronised, a connection and
 * prepared statements for each thread. One writer at a time: a read for a commit begins the writing
 * transaction, as SQLite's manual advises, so that commits never race. Who finds it taken yields
 * and tries again.
 * Needs: pkg-config sqlite3
 */
#include "contenders/parts/scratch.h"

#include "driver/bench.h"

#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUSY_YIELDS 100
#define BUSY_SLEEP_NS 100000

enum statement {
    STATEMENT_GET,
    STATEMENT_SET,
    STATEMENT_UPDATE,
    STATEMENT_REMOVE,
    STATEMENT_SCAN_FROM,
    STATEMENT_SCAN_AFTER,
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_COUNT
};

static const char *const statement_texts[STATEMENT_COUNT] = {
    [STATEMENT_GET] = "SELECT value FROM items WHERE pk = ?1 AND sk = ?2",
    [STATEMENT_SET] = "INSERT INTO items (pk, sk, value) VALUES (?1, ?2, ?3) "
                      "ON CONFLICT (pk, sk) DO UPDATE SET value = excluded.value",
    [STATEMENT_UPDATE] = "UPDATE items SET value = ?3 WHERE pk = ?1 AND sk = ?2",
    [STATEMENT_REMOVE] = "DELETE FROM items WHERE pk = ?1 AND sk = ?2",
    [STATEMENT_SCAN_FROM] = "SELECT sk, value FROM items WHERE pk = ?1 AND sk >= ?2 ORDER BY sk",
    [STATEMENT_SCAN_AFTER] = "SELECT sk, value FROM items WHERE pk = ?1 AND sk > ?2 ORDER BY sk",
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
};

struct sqlite_store {
    struct scratch folder;
    char path[SCRATCH_PATH_MAX + 16];
    sqlite3 *keeper; /* while one connection is open, the log is not taken apart */
};

struct sqlite_client {
    sqlite3 *connection;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool writing;    /* a transaction is open, from a read for a commit */
    size_t capacity; /* of each buffer */
    char buffers[];  /* one for each key of a group */
};

/* Yields, then sleeps, for as long as it takes. */
static int
busy_wait(void *context, int tries)
{
    struct timespec pause = {0, BUSY_SLEEP_NS};

    (void)context;
    if (tries < BUSY_YIELDS)
        sched_yield();
    else
        nanosleep(&pause, NULL);
    return 1;
}

static sqlite3 *
connection_open(const char *path)
{
    sqlite3 *connection = NULL;

    if (sqlite3_open_v2(path, &connection,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) == SQLITE_OK &&
        sqlite3_busy_handler(connection, busy_wait, NULL) == SQLITE_OK &&
        sqlite3_exec(connection,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; "
                     "PRAGMA cache_size = -65536; PRAGMA mmap_size = 1073741824",
                     NULL, NULL, NULL) == SQLITE_OK)
        return connection;
    sqlite3_close(connection);
    return NULL;
}

static void
sqlite_close(void *handle)
{
    struct sqlite_store *store = handle;

    sqlite3_close(store->keeper);
    scratch_remove(&store->folder);
    free(store);
}

static void *
sqlite_open(void)
{
    struct sqlite_store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return NULL;
    if (!scratch_open(&store->folder)) {
        free(store);
        return NULL;
    }
    snprintf(store->path, sizeof store->path, "%s/items", store->folder.path);
    store->keeper = connection_open(store->path);
    if (store->keeper != NULL &&
        sqlite3_exec(store->keeper,
                     "CREATE TABLE items (pk BLOB NOT NULL, sk BLOB NOT NULL, value BLOB NOT NULL, "
                     "PRIMARY KEY (pk, sk)) WITHOUT ROWID",
                     NULL, NULL, NULL) == SQLITE_OK)
        return store;
    sqlite_close(store);
    return NULL;
}

static void
sqlite_detach(void *handle)
{
    struct sqlite_client *client = handle;

    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(client->statements[i]);
    sqlite3_close(client->connection);
    free(client);
}

static void *
sqlite_attach(void *handle)
{
    const struct sqlite_store *store = handle;
    size_t capacity = bench_options.value_size > 64 ? bench_options.value_size : 64;
    struct sqlite_client *client = calloc(1, sizeof *client + BENCH_GROUP * capacity);

    if (client == NULL)
        return NULL;
    client->capacity = capacity;
    client->connection = connection_open(store->path);
    bool good = client->connection != NULL;
    for (size_t i = 0; good && i < STATEMENT_COUNT; i++)
        good = sqlite3_prepare_v3(client->connection, statement_texts[i], -1,
                                  SQLITE_PREPARE_PERSISTENT, &client->statements[i],
                                  NULL) == SQLITE_OK;
    if (good)
        return client;
    sqlite_detach(client);
    return NULL;
}

static void
bytes_bind(sqlite3_stmt *statement, int place, lk_bytes bytes)
{
    /* NULL would be SQL's NULL. */
    sqlite3_bind_blob64(statement, place, bytes.size != 0 ? bytes.data : "", bytes.size,
                        SQLITE_STATIC);
}

static sqlite3_stmt *
statement_bind(struct sqlite_client *client, enum statement which, const lk_key *key)
{
    sqlite3_stmt *statement = client->statements[which];

    bytes_bind(statement, 1, key->pk);
    bytes_bind(statement, 2, key->sk);
    return statement;
}

/* For statements without rows. */
static bool
statement_run(sqlite3_stmt *statement)
{
    bool done = sqlite3_step(statement) == SQLITE_DONE;

    return sqlite3_reset(statement) == SQLITE_OK && done;
}

static void
transaction_abandon(struct sqlite_client *client)
{
    if (client->writing)
        (void)statement_run(client->statements[STATEMENT_ROLLBACK]);
    client->writing = false;
}

/* Copies a value to the client's buffer i. */
static bool
value_read(struct sqlite_client *client, const lk_key *key, size_t i, lk_bytes *value)
{
    sqlite3_stmt *statement = statement_bind(client, STATEMENT_GET, key);
    char *buffer = client->buffers + i * client->capacity;
    bool found = false;

    if (sqlite3_step(statement) == SQLITE_ROW) {
        size_t size = (size_t)sqlite3_column_bytes(statement, 0);
        found = size <= client->capacity;
        if (found) {
            memcpy(buffer, sqlite3_column_blob(statement, 0), size);
            value->data = buffer;
            value->size = size;
        }
    }
    return sqlite3_reset(statement) == SQLITE_OK && found;
}

static bool
sqlite_get(void *handle, const lk_key *key, lk_bytes *value)
{
    struct sqlite_client *client = handle;

    transaction_abandon(client);
    return value_read(client, key, 0, value);
}

static bool
sqlite_set(void *handle, const lk_item *put)
{
    const lk_key *key = &put->key;
    lk_bytes value = put->data;
    struct sqlite_client *client = handle;

    transaction_abandon(client);
    sqlite3_stmt *statement = statement_bind(client, STATEMENT_SET, key);
    bytes_bind(statement, 3, value);
    return statement_run(statement);
}

static bool
sqlite_remove(void *handle, const lk_key *key)
{
    struct sqlite_client *client = handle;

    transaction_abandon(client);
    return statement_run(statement_bind(client, STATEMENT_REMOVE, key)) &&
           sqlite3_changes(client->connection) == 1;
}

static bool
sqlite_read(void *handle, const lk_key *keys, size_t count, lk_bytes *values)
{
    struct sqlite_client *client = handle;

    transaction_abandon(client);
    client->writing = count <= BENCH_GROUP && statement_run(client->statements[STATEMENT_BEGIN]);
    bool found = client->writing;
    for (size_t i = 0; found && i < count; i++)
        found = value_read(client, &keys[i], i, &values[i]);
    return found;
}

static enum bench_commit
sqlite_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct sqlite_client *client = handle;

    for (size_t i = 0; client->writing && i < count; i++) {
        sqlite3_stmt *statement = statement_bind(client, STATEMENT_UPDATE, &keys[i]);
        bytes_bind(statement, 3, values[i]);
        if (!statement_run(statement))
            transaction_abandon(client);
    }
    if (!client->writing)
        return BENCH_FAILED;
    if (!statement_run(client->statements[STATEMENT_COMMIT])) {
        transaction_abandon(client);
        return BENCH_FAILED;
    }
    client->writing = false;
    return BENCH_COMMITTED;
}

static size_t
sqlite_scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
{
    struct sqlite_client *client = handle;
    lk_bytes prefix = query->sk_prefix, after = query->after;
    lk_key start = {query->pk, after.size != 0 ? after : prefix};
    size_t count = 0;

    transaction_abandon(client);
    sqlite3_stmt *statement = statement_bind(
        client, after.size != 0 ? STATEMENT_SCAN_AFTER : STATEMENT_SCAN_FROM, &start);
    while ((query->limit == 0 || count < query->limit) && sqlite3_step(statement) == SQLITE_ROW) {
        lk_bytes value = {sqlite3_column_blob(statement, 1),
                          (size_t)sqlite3_column_bytes(statement, 1)};
        lk_bytes sk = {sqlite3_column_blob(statement, 0),
                       (size_t)sqlite3_column_bytes(statement, 0)};
        if (prefix.size != 0 &&
            (sk.size < prefix.size || memcmp(sk.data, prefix.data, prefix.size) != 0))
            break;
        visit(context, sk, value);
        count++;
    }
    sqlite3_reset(statement);
    return count;
}

static const struct bench_contender contender_sqlite = {
    .name = "sqlite",
    .what = "SQLite, files in memory, write-ahead log, a connection for each thread",
    .order = 41,
    .open = sqlite_open,
    .close = sqlite_close,
    .attach = sqlite_attach,
    .detach = sqlite_detach,
    .get = sqlite_get,
    .set = sqlite_set,
    .remove = sqlite_remove,
    .read = sqlite_read,
    .commit = sqlite_commit,
    .scan = sqlite_scan,
};
BENCH_CONTENDER(contender_sqlite)
