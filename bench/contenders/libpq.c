/* SPDX-License-Identifier: MIT
 *
 * PostgreSQL by hand: what a program that knows libpq writes. Statements are prepared, parameters
 * and answers are binary, each call is one statement and one round trip. A commit locks the rows in
 * the order of their keys, compares the versions that it read, writes the rows; a pull claims by
 * FOR UPDATE SKIP LOCKED. Expiry and lapses are heeded, as they are by this library.
 * Needs: target latchkey_postgres_static
 */
#include <endian.h>
#include <time.h>

#include "contenders/parts/item.h"
#include "contenders/parts/postgres.h"

#define PARAMETERS_MOST 5
#define ROW_MOST (1 << 17)

enum statement {
    GET,
    GET_VERSION,
    SET,
    PUT_NEW,
    REMOVE,
    LOCK,
    WRITE,
    SCAN,
    COUNT,
    PUSH,
    PULL,
    ACKNOWLEDGE,
    STATEMENTS
};

#define LIVE " AND (expires_at IS NULL OR expires_at >= $3)"
#define PREFIX " AND sk >= $4 AND substr(sk, 1, octet_length($4::bytea)) = $4"

static const char *const texts[STATEMENTS] = {
    [GET] = "SELECT data, expires_at FROM item WHERE pk = $1 AND sk = $2" LIVE,
    [GET_VERSION] = "SELECT data, version FROM item WHERE pk = $1 AND sk = $2" LIVE,
    [SET] = "INSERT INTO item AS i (pk, sk, data, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT "
            "(pk, sk) DO UPDATE SET data = EXCLUDED.data, expires_at = EXCLUDED.expires_at, "
            "version = i.version + 1",
    [PUT_NEW] = "INSERT INTO item AS i (pk, sk, data, expires_at) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT DO NOTHING",
    [REMOVE] = "DELETE FROM item WHERE pk = $1 AND sk = $2",
    [LOCK] = "SELECT version FROM item WHERE pk = $1 AND sk = $2" LIVE " FOR UPDATE",
    [WRITE] = "UPDATE item SET data = $3, version = $4 WHERE pk = $1 AND sk = $2",
    [SCAN] =
        "SELECT sk, data FROM item WHERE pk = $1 AND sk > $2" LIVE PREFIX " ORDER BY sk LIMIT $5",
    [COUNT] = "SELECT count(*) FROM item WHERE pk = $1 AND sk > $2" LIVE PREFIX,
    [PUSH] = "INSERT INTO job (data) VALUES ($1)",
    [PULL] =
        "UPDATE job SET claimed_until = $1::int8 + $2::int8, token = nextval('token') WHERE id = "
        "(SELECT id FROM job WHERE claimed_until < $1 ORDER BY id LIMIT 1 "
        "FOR UPDATE SKIP LOCKED) RETURNING id, token, data",
    [ACKNOWLEDGE] = "DELETE FROM job WHERE id = $1 AND token = $2",
};

static const char tables[] =
    "CREATE TABLE item (pk bytea NOT NULL, sk bytea NOT NULL, data bytea NOT NULL, "
    "expires_at bigint, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (pk, sk)) "
    "WITH (fillfactor = 70); CREATE SEQUENCE token; "
    "CREATE TABLE job (id bigserial PRIMARY KEY, data bytea NOT NULL, "
    "claimed_until bigint NOT NULL DEFAULT 0, token bigint) WITH (fillfactor = 70)";

struct client {
    PGconn *pg;
    int64_t visibility_ms;
    bool bulk;
    int64_t versions[BENCH_GROUP]; /* of the last read */
    int64_t job, token;            /* of the last pull */
    struct copies copies;
};

/* ---- parameters and answers ------------------------------------------------------------------ */

struct parameters {
    int count;
    const char *values[PARAMETERS_MOST];
    int sizes[PARAMETERS_MOST];
    char numbers[PARAMETERS_MOST][8];
};

static void
bytes_add(struct parameters *p, lk_bytes bytes)
{
    p->values[p->count] = bytes.size != 0 ? bytes.data : "";
    p->sizes[p->count++] = (int)bytes.size;
}

static int64_t
number_get(const char *bytes)
{
    uint64_t number;

    memcpy(&number, bytes, sizeof number);
    return (int64_t)be64toh(number);
}

static void
number_add(struct parameters *p, int64_t number)
{
    uint64_t bytes = htobe64((uint64_t)number);

    p->values[p->count] = memcpy(p->numbers[p->count], &bytes, sizeof bytes);
    p->sizes[p->count++] = sizeof bytes;
}

static void
null_add(struct parameters *p)
{
    p->values[p->count] = NULL;
    p->sizes[p->count++] = 0;
}

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* pk, sk, and the time by which items expire. */
static struct parameters
key_parameters(const lk_key *key)
{
    struct parameters p;

    p.count = 0;
    bytes_add(&p, key->pk);
    bytes_add(&p, key->sk);
    return p;
}

static PGresult *
ask(struct client *client, enum statement statement, const struct parameters *p)
{
    static const int binary[PARAMETERS_MOST] = {1, 1, 1, 1, 1};
    char name[8];

    snprintf(name, sizeof name, "s%d", (int)statement);
    return PQexecPrepared(client->pg, name, p->count, p->values, p->sizes, binary, 1);
}

/* How many rows came, or were written; -1: it failed. */
static int
rows_of(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_TUPLES_OK)
        return PQntuples(result);
    return status == PGRES_COMMAND_OK ? atoi(PQcmdTuples((PGresult *)(uintptr_t)result)) : -1;
}

/* The same, of a statement whose answer nobody needs. */
static int
did(struct client *client, enum statement statement, const struct parameters *p)
{
    PGresult *result = ask(client, statement, p);
    int rows = rows_of(result);

    PQclear(result);
    return rows;
}

/* ---- a store --------------------------------------------------------------------------------- */

/* Items and jobs. */
struct store {
    struct server server; /* comes first */
    int64_t visibility_ms;
};

static void *
store_open(void)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL)
        return NULL;
    if (server_open(&store->server, "libpq") &&
        server_do(store->server.pg, "SET search_path = %s", store->server.schema) &&
        server_do(store->server.pg, "%s", tables))
        return store;
    server_close(&store->server);
    free(store);
    return NULL;
}

static void
store_close(void *handle)
{
    server_close(handle);
    free(handle);
}

static void
store_loaded(void *handle)
{
    struct server *server = handle;

    (void)server_do(server->pg, "VACUUM (ANALYZE) item");
}

static bool
statements_prepare(PGconn *pg)
{
    bool good = true;

    for (int i = 0; good && i < STATEMENTS; i++) {
        char name[8];
        snprintf(name, sizeof name, "s%d", i);
        PGresult *result = PQprepare(pg, name, texts[i], 0, NULL);
        good = PQresultStatus(result) == PGRES_COMMAND_OK;
        if (!good)
            fprintf(stderr, "%s", PQerrorMessage(pg));
        PQclear(result);
    }
    return good;
}

static void
client_detach(void *handle)
{
    struct client *client = handle;

    PQfinish(client->pg);
    free(client);
}

static void *
client_attach(void *handle)
{
    struct store *store = handle;
    struct client *client = COPIES_CLIENT(client);

    if (client == NULL)
        return NULL;
    client->visibility_ms = store->visibility_ms;
    client->pg = server_connect();
    if (client->pg != NULL && server_do(client->pg, "SET search_path = %s", store->server.schema) &&
        statements_prepare(client->pg))
        return client;
    client_detach(client);
    return NULL;
}

static bool
item_read(struct client *client, enum statement statement, const lk_key *key, size_t i,
          lk_bytes *value)
{
    struct parameters p = key_parameters(key);

    number_add(&p, now_ms());
    PGresult *result = ask(client, statement, &p);
    bool found = rows_of(result) == 1 && copies_keep(&client->copies, i, PQgetvalue(result, 0, 0),
                                                     (size_t)PQgetlength(result, 0, 0), value);
    if (found && statement == GET_VERSION)
        client->versions[i] = number_get(PQgetvalue(result, 0, 1));
    PQclear(result);
    return found;
}

static bool
client_get(void *client, const lk_key *key, lk_bytes *value)
{
    return item_read(client, GET, key, 0, value);
}

static bool
client_read(void *client, const lk_key *keys, size_t count, lk_bytes *values)
{
    bool found = count <= BENCH_GROUP;

    for (size_t i = 0; found && i < count; i++)
        found = item_read(client, GET_VERSION, &keys[i], i, &values[i]);
    return found;
}

static struct parameters
item_parameters(const lk_item *put)
{
    struct parameters p = key_parameters(&put->key);

    bytes_add(&p, put->data);
    null_add(&p);
    return p;
}

static bool
client_put_new(void *client, const lk_item *put)
{
    struct parameters p = item_parameters(put);

    return did(client, PUT_NEW, &p) == 1;
}

static bool
client_remove(void *client, const lk_key *key)
{
    struct parameters p = key_parameters(key);

    return did(client, REMOVE, &p) >= 0;
}

/* ---- all items at once: COPY ----------------------------------------------------------------- */

static char *
field_put(char *to, lk_bytes bytes)
{
    uint32_t size = htobe32((uint32_t)bytes.size);

    memcpy(to, &size, sizeof size);
    memcpy(to + sizeof size, bytes.data, bytes.size);
    return to + sizeof size + bytes.size;
}

static bool
bulk_set(struct client *client, const lk_item *put)
{
    static _Thread_local char row[ROW_MOST];
    char *to = row;

    if (put->key.pk.size + put->key.sk.size + put->data.size + 16 > sizeof row)
        return false;
    *to++ = 0;
    *to++ = 3; /* fields */
    to = field_put(to, put->key.pk);
    to = field_put(to, put->key.sk);
    to = field_put(to, put->data);
    return PQputCopyData(client->pg, row, (int)(to - row)) == 1;
}

static bool
client_set(void *handle, const lk_item *put)
{
    struct client *client = handle;
    struct parameters p = item_parameters(put);

    return client->bulk ? bulk_set(client, put) : did(client, SET, &p) == 1;
}

static bool
client_bulk_begin(void *handle)
{
    static const char header[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
    struct client *client = handle;
    PGresult *result = PQexec(client->pg, "COPY item (pk, sk, data) FROM STDIN (FORMAT binary)");

    client->bulk = PQresultStatus(result) == PGRES_COPY_IN &&
                   PQputCopyData(client->pg, header, sizeof header) == 1;
    PQclear(result);
    return client->bulk;
}

static bool
client_bulk_end(void *handle)
{
    struct client *client = handle;
    bool good =
        PQputCopyData(client->pg, "\377\377", 2) == 1 && PQputCopyEnd(client->pg, NULL) == 1;

    client->bulk = false;
    for (PGresult *result; (result = PQgetResult(client->pg)) != NULL; PQclear(result))
        good = good && PQresultStatus(result) == PGRES_COMMAND_OK;
    return good;
}

/* ---- commits --------------------------------------------------------------------------------- */

/* The places of the keys in their order. */
static void
keys_order(const lk_key *keys, size_t count, size_t *order)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && bench_key_compare(&keys[order[at - 1]], &keys[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static enum bench_commit
row_lock(struct client *client, const lk_key *key, int64_t version)
{
    struct parameters p = key_parameters(key);

    number_add(&p, now_ms());
    PGresult *result = ask(client, LOCK, &p);
    enum bench_commit outcome = BENCH_FAILED;
    if (rows_of(result) >= 0)
        outcome = rows_of(result) == 1 && number_get(PQgetvalue(result, 0, 0)) == version
                      ? BENCH_COMMITTED
                      : BENCH_RACED;
    PQclear(result);
    return outcome;
}

static enum bench_commit
rows_write(struct client *client, const lk_key *keys, size_t count, const lk_bytes *values)
{
    size_t order[BENCH_GROUP];
    enum bench_commit outcome = BENCH_COMMITTED;

    keys_order(keys, count, order);
    for (size_t i = 0; outcome == BENCH_COMMITTED && i < count; i++)
        outcome = row_lock(client, &keys[order[i]], client->versions[order[i]]);
    for (size_t i = 0; outcome == BENCH_COMMITTED && i < count; i++) {
        size_t at = order[i];
        struct parameters p = key_parameters(&keys[at]);
        bytes_add(&p, values[at]);
        number_add(&p, client->versions[at] + 1);
        if (did(client, WRITE, &p) != 1)
            outcome = BENCH_FAILED;
    }
    return outcome;
}

static enum bench_commit
client_commit(void *handle, const lk_key *keys, size_t count, const lk_bytes *values)
{
    struct client *client = handle;

    if (count > BENCH_GROUP || !server_do(client->pg, "BEGIN ISOLATION LEVEL READ COMMITTED"))
        return BENCH_FAILED;
    enum bench_commit outcome = rows_write(client, keys, count, values);
    bool committed = outcome == BENCH_COMMITTED;
    if (!server_do(client->pg, committed ? "COMMIT" : "ROLLBACK"))
        return BENCH_FAILED;
    for (size_t i = 0; committed && i < count; i++)
        client->versions[i]++;
    return outcome;
}

/* ---- scans ----------------------------------------------------------------------------------- */

static size_t
client_scan(void *handle, const lk_query *query, bench_visit *visit, void *context)
{
    struct parameters p = key_parameters(&(lk_key){query->pk, query->after});

    number_add(&p, now_ms());
    bytes_add(&p, query->sk_prefix);
    number_add(&p, query->limit != 0 ? (int64_t)query->limit : INT64_MAX);
    PGresult *result = ask(handle, SCAN, &p);
    int count = rows_of(result);
    for (int i = 0; i < count; i++)
        visit(context, (lk_bytes){PQgetvalue(result, i, 0), (size_t)PQgetlength(result, i, 0)},
              (lk_bytes){PQgetvalue(result, i, 1), (size_t)PQgetlength(result, i, 1)});
    PQclear(result);
    return count > 0 ? (size_t)count : 0;
}

static size_t
client_count(void *handle, const lk_query *query)
{
    struct parameters p = key_parameters(&(lk_key){query->pk, query->after});

    number_add(&p, now_ms());
    bytes_add(&p, query->sk_prefix);
    PGresult *result = ask(handle, COUNT, &p);
    size_t count = rows_of(result) == 1 ? (size_t)number_get(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    return count;
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void *
queue_open(const struct queue_setup *setup)
{
    struct store *store = setup->manual_clock ? NULL : store_open();

    if (store != NULL)
        store->visibility_ms = setup->visibility_ms;
    return store;
}

static bool
worker_push(void *client, const struct queue_job *jobs, size_t count)
{
    bool good = true;

    for (size_t i = 0; good && i < count; i++) {
        struct parameters p = {.count = 0};
        bytes_add(&p, (lk_bytes){&jobs[i], sizeof jobs[i]});
        good = did(client, PUSH, &p) == 1;
    }
    return good;
}

static size_t
worker_pull(void *handle, struct queue_job *jobs, size_t count)
{
    struct client *client = handle;
    struct parameters p = {.count = 0};

    number_add(&p, now_ms());
    number_add(&p, client->visibility_ms);
    PGresult *result = ask(client, PULL, &p);
    int rows = rows_of(result);
    if (rows == 1 && count != 0 && PQgetlength(result, 0, 2) == sizeof *jobs) {
        client->job = number_get(PQgetvalue(result, 0, 0));
        client->token = number_get(PQgetvalue(result, 0, 1));
        memcpy(jobs, PQgetvalue(result, 0, 2), sizeof *jobs);
    } else if (rows != 0) {
        rows = -1;
    }
    PQclear(result);
    return rows < 0 ? QUEUE_FAILED : (size_t)rows;
}

static bool
worker_acknowledge(void *handle)
{
    struct client *client = handle;
    struct parameters p = {.count = 0};

    number_add(&p, client->job);
    number_add(&p, client->token);
    return did(client, ACKNOWLEDGE, &p) == 1;
}

static const struct queue_operations libpq_queue = {
    .claims = true,
    .batch_most = 1,
    .open = queue_open,
    .close = store_close,
    .attach = client_attach,
    .detach = client_detach,
    .push = worker_push,
    .pull = worker_pull,
    .acknowledge = worker_acknowledge,
};

static const struct bench_contender contender_libpq = {
    .name = "libpq",
    .what = "PostgreSQL by hand, one statement in each call",
    .order = 46,
    .outlives = true,
    .missing = server_missing,
    .open = store_open,
    .close = store_close,
    .attach = client_attach,
    .detach = client_detach,
    .get = client_get,
    .set = client_set,
    .put_new = client_put_new,
    .remove = client_remove,
    .read = client_read,
    .commit = client_commit,
    .scan = client_scan,
    .count = client_count,
    .bulk_begin = client_bulk_begin,
    .bulk_end = client_bulk_end,
    .loaded = store_loaded,
    .queue = &libpq_queue,
};
BENCH_CONTENDER(contender_libpq)
