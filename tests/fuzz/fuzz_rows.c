/* SPDX-License-Identifier: MIT
 *
 * The adapter for LMDB over a file that it did not write. The input's rows are put into a good
 * environment by LMDB alone: keys and rows as src/lmdb/row.h has them with fields of the input's,
 * or any bytes. If the input's last byte says so, pages of the file are damaged then: the adapter
 * looks at what LMDB would trust in a small file before LMDB maps it (src/lmdb/pages.h). Then the
 * database is opened, any calls are made on it, it is closed, and perhaps all again. Whatever lies
 * there, a call ends, within bounded work, with a status that the headers have, and what it gives
 * out can be read to the last byte.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "lmdb/row.h"
#include "support/lmdb_rig.h"

enum { ROWS_MAX = 24, CALLS_MAX = 160, NAMES = 6, DATABASES = 8 };

static const char *const databases[DATABASES] = {"items", "locks",  "jobs",   "ready",
                                                 "due",   "queues", "expiry", "latchkey"};
static const char *const names[NAMES] = {"",   "a",        "b",
                                         "ab", "\x01\x01", "0123456789ABCDEFGHJKMNPQRS"};

static struct {
    lmdb_rig rig;
    kit_random random;
    void *files[2]; /* of an empty database: data.mdb, lock.mdb */
    size_t sizes[2];
    lk_lock lock;
    lk_position position;
    lk_claim claim;
    char claim_pk[512], claim_sk[512];
} t;

static const char *const file_names[2] = {"data.mdb", "lock.mdb"};

static uint64_t
draw(uint64_t below)
{
    return kit_draw(&t.random, below);
}

static void
must(bool condition)
{
    if (!condition)
        abort();
}

/* ---- files ---- */

static void
file_take(size_t i)
{
    struct stat status;
    FILE *file = fopen(lmdb_path(t.rig.folder, file_names[i]), "r");
    must(file != NULL && fstat(fileno(file), &status) == 0);
    t.sizes[i] = (size_t)status.st_size;
    t.files[i] = malloc(t.sizes[i]);
    must(t.files[i] != NULL && fread(t.files[i], 1, t.sizes[i], file) == t.sizes[i]);
    fclose(file);
}

static void
file_put(size_t i)
{
    FILE *file = fopen(lmdb_path(t.rig.folder, file_names[i]), "w");
    must(file != NULL && fwrite(t.files[i], 1, t.sizes[i], file) == t.sizes[i]);
    must(fclose(file) == 0);
}

static void
folder_end(void)
{
    lmdb_folder_remove(t.rig.folder);
}

/* A good database without a row but its own. */
static void
folder_begin(void)
{
    t.rig.options =
        (lk_lmdb_options){.map_size = 8 << 20, .sync = LK_LMDB_SYNC_NEVER, .max_readers = 4};
    t.rig.options.realtime_ms = kit_options(&t.rig.k, NULL).realtime_ms;
    t.rig.options.monotonic_ms = kit_options(&t.rig.k, NULL).monotonic_ms;
    t.rig.options.clock_context = kit_options(&t.rig.k, NULL).clock_context;
    t.rig.k.result = lk_result_new();
    must(lmdb_folder_make(t.rig.folder));
    atexit(folder_end);
    lmdb_open(&t.rig);
    lmdb_close(&t.rig);
    for (size_t i = 0; i < 2; i++)
        file_take(i);
}

/* ---- rows ---- */

static size_t
bytes_draw(unsigned char *into, size_t room)
{
    size_t size = draw(room + 1);
    for (size_t i = 0; i < size; i++)
        into[i] = (unsigned char)draw(256);
    return size;
}

/* Small, at the ends of its type, near the clock, or any. */
static int64_t
number_draw(void)
{
    static const int64_t ends[] = {INT64_MIN,     -1,         INT64_MAX,
                                   INT64_MAX - 1, UINT32_MAX, INT64_C(1) << 48};
    int64_t any = 0;
    switch (draw(4)) {
    case 0:
        return (int64_t)draw(4);
    case 1:
        return ends[draw(KIT_COUNT(ends))];
    case 2:
        return KIT_START_MS - 8 + (int64_t)draw(16);
    default:
        for (size_t i = 0; i < sizeof any; i++)
            any = (int64_t)((uint64_t)any << 8 | draw(256));
        return any;
    }
}

static lk_key
names_draw(void)
{
    return (lk_key){lk_string(names[1 + draw(NAMES - 1)]), lk_string(names[draw(NAMES)])};
}

/* Of a key that calls ask for, as database `i` has it. */
static size_t
key_draw(unsigned char *into, size_t i)
{
    lki_lmdb_key key, other;
    lk_key of = names_draw();
    lki_lmdb_key_make(&key, of);
    switch (i) {
    case 4:
        lki_lmdb_key_due(&other, &key, number_draw());
        key = other;
        break;
    case 5:
        memcpy(into, of.pk.data, of.pk.size);
        return of.pk.size;
    case 6:
        lki_lmdb_key_expiry(&other, &key, number_draw(), (unsigned char)draw(3));
        key = other;
        break;
    case 7:
        memcpy(into, "meta", 4);
        return 4;
    default:
        break;
    }
    memcpy(into, key.bytes, key.size);
    return key.size;
}

static size_t
row_draw(unsigned char *into, size_t i)
{
    lki_lmdb_lock lock = {(uint64_t)number_draw(), number_draw(), number_draw()};
    lki_lmdb_job waits = {number_draw(),    (uint64_t)number_draw(), (uint32_t)number_draw(),
                          (uint8_t)draw(6), (uint8_t)draw(3),        {0, 0}};
    lki_lmdb_queue queue = {
        .depth = (uint64_t)number_draw(), .used = number_draw(), .closed = (uint8_t)draw(3)};
    lki_lmdb_meta meta = {
        .format = LKI_LMDB_FORMAT, .version = (uint64_t)number_draw(), .time = number_draw()};
    int64_t expires_at_ms;
    memset(queue.ulid, draw(2) == 0 ? '0' : (int)draw(256), sizeof queue.ulid);
    memset(meta.ulid, draw(2) == 0 ? '7' : (int)draw(256), sizeof meta.ulid);
    switch (i) {
    case 0:
        expires_at_ms = number_draw();
        memcpy(into, &expires_at_ms, sizeof expires_at_ms);
        into[LKI_LMDB_ITEM_HEADER - 1] = (unsigned char)draw(3);
        return LKI_LMDB_ITEM_HEADER + bytes_draw(into + LKI_LMDB_ITEM_HEADER, 16);
    case 1:
        memcpy(into, &lock, sizeof lock);
        return sizeof lock;
    case 2:
        memcpy(into, &waits, sizeof waits);
        return sizeof waits;
    case 5:
        memcpy(into, &queue, sizeof queue);
        return sizeof queue;
    case 7:
        memcpy(into, &meta, sizeof meta);
        return sizeof meta;
    default:
        return 0;
    }
}

static void
rows_put(void)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[DATABASES];
    must(mdb_env_create(&env) == 0 && mdb_env_set_mapsize(env, t.rig.options.map_size) == 0);
    must(mdb_env_set_maxdbs(env, DATABASES) == 0);
    must(mdb_env_open(env, t.rig.folder, MDB_NOSYNC | MDB_NOLOCK, 0600) == 0);
    must(mdb_txn_begin(env, NULL, 0, &txn) == 0);
    for (size_t i = 0; i < DATABASES; i++)
        must(mdb_dbi_open(txn, databases[i], MDB_CREATE, &dbi[i]) == 0);
    for (uint64_t left = draw(ROWS_MAX); left > 0; left--) {
        unsigned char key[LKI_LMDB_KEY_MAX], row[128];
        size_t i = draw(DATABASES);
        bool any_key = draw(8) == 0, any_row = draw(8) == 0;
        MDB_val k = {any_key ? bytes_draw(key, 60) : key_draw(key, i), key};
        MDB_val value = {any_row ? bytes_draw(row, sizeof row) : row_draw(row, i), row};
        if (k.mv_size > 0)
            must(mdb_put(txn, dbi[i], &k, &value, 0) == 0);
    }
    must(mdb_txn_commit(txn) == 0);
    mdb_env_close(env);
}

/* ---- pages ---- */

enum { PAGE = 4096, PAGE_HEADER = 16, DAMAGED = 0xf0, DAMAGE_BYTES = 5 };

/* Five bytes: what, which page, where, what is written. */
static void
page_damage(unsigned char *file, size_t pages, const uint8_t *bytes)
{
    size_t at = bytes[2] | (size_t)bytes[3] << 8;
    unsigned char *page = file + bytes[1] % pages * PAGE;
    uint16_t node;
    switch (bytes[0] % 6) {
    case 0:
        page[at % PAGE] ^= (unsigned char)(1U << bytes[4] % 8);
        break;
    case 1: /* the page's header, and where its nodes are */
        page[at % 64] = bytes[4];
        break;
    case 2: /* a node: sizes and flags, the first bytes of its key */
        memcpy(&node, page + PAGE_HEADER + at % 16 * sizeof node, sizeof node);
        page[(node + at / 16 % 16) % PAGE] = bytes[4];
        break;
    case 3:
        memset(page + at % PAGE, bytes[4], PAGE - at % PAGE);
        break;
    case 4:
        memmove(page, file + bytes[4] % pages * PAGE, PAGE);
        break;
    default:
        memset(page + at % PAGE, bytes[4], at / PAGE < 8 && at % PAGE < PAGE - 8 ? 8 : 1);
        break;
    }
}

/* How much of the input's end says what becomes of the pages: nothing, unless the last byte is 0xf0
 * or more. */
static size_t
damages_size(const uint8_t *data, size_t size)
{
    if (size == 0 || data[size - 1] < DAMAGED)
        return 0;
    size_t taken = 1 + (1 + (size_t)data[size - 1] % 4) * DAMAGE_BYTES;
    return taken <= size ? taken : 1;
}

/* Damages, and whether the file then loses its last page, or gets one more. */
static void
pages_damage(const uint8_t *bytes, size_t size)
{
    const char *path = lmdb_path(t.rig.folder, file_names[0]);
    unsigned last = bytes[size - 1];
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &status) == 0);
    size_t length = (size_t)status.st_size;
    unsigned char *file = malloc(length);
    must(file != NULL && pread(fd, file, length, 0) == (ssize_t)length);
    for (size_t at = 0; at + DAMAGE_BYTES < size; at += DAMAGE_BYTES)
        page_damage(file, length / PAGE, bytes + at);
    must(pwrite(fd, file, length, 0) == (ssize_t)length);
    if ((last & 12) >= 8)
        must(ftruncate(fd, (off_t)((last & 12) == 12 ? length - PAGE : length + PAGE)) == 0);
    must(close(fd) == 0);
    free(file);
}

/* ---- calls ---- */

/* A status that is none, or that no call may end with here. */
static lk_status
said(lk_status status)
{
    must(strcmp(lk_status_string(status), lk_status_string((lk_status)-12345)) != 0);
    return status;
}

static volatile unsigned sum;

static void
bytes_touch(lk_bytes bytes)
{
    const unsigned char *at = bytes.data;
    for (size_t i = 0; i < bytes.size; i++)
        sum += at[i];
}

static void
result_touch(void)
{
    for (size_t i = 0; i < lk_result_count(t.rig.k.result); i++) {
        const lk_item *item = lk_result_item(t.rig.k.result, i);
        if (item == NULL)
            continue;
        bytes_touch(item->key.pk);
        bytes_touch(item->key.sk);
        bytes_touch(item->data);
    }
}

static void
claim_keep(void)
{
    const lk_claim *claim = lk_result_claim(t.rig.k.result, 0);
    if (claim == NULL)
        return;
    t.claim = *claim;
    memcpy(t.claim_pk, claim->key.pk.data, claim->key.pk.size);
    memcpy(t.claim_sk, claim->key.sk.data, claim->key.sk.size);
    t.claim.key = (lk_key){{t.claim_pk, claim->key.pk.size}, {t.claim_sk, claim->key.sk.size}};
}

static lk_status
call_read(lk_db *db)
{
    char buffer[16];
    size_t size;
    lk_key keys[2] = {names_draw(), names_draw()};
    lk_query query = {
        .pk = keys[0].pk, .limit = draw(4), .reverse = draw(2) != 0, .relaxed = draw(2) != 0};
    query.sk_prefix = draw(2) != 0 ? keys[1].sk : (lk_bytes){NULL, 0};
    query.after = draw(2) != 0 ? keys[0].sk : (lk_bytes){NULL, 0};
    query.from = query.limit == 3 ? keys[1].sk : (lk_bytes){NULL, 0};
    query.until = query.limit == 2 ? keys[1].sk : (lk_bytes){NULL, 0};
    switch (draw(5)) {
    case 0:
        return lk_get(db, keys[0], t.rig.k.result);
    case 1:
        return lk_get_many(db, keys, 2, t.rig.k.result);
    case 2:
        return lk_get_into(db, keys[0], buffer, sizeof buffer, &size);
    case 3:
        return lk_query_items(db, &query, t.rig.k.result);
    default:
        return query.relaxed ? lk_count(db, &query, &size)
                             : lk_list_partitions(db, &t.position, query.limit, t.rig.k.result);
    }
}

static lk_status
call_stream(lk_db *db)
{
    lk_stream *stream;
    lk_item item;
    lk_query query = {.pk = names_draw().pk, .reverse = draw(2) != 0};
    lk_status status = lk_stream_open(db, &query, &stream);
    if (status != LK_OK)
        return status;
    for (size_t i = 0; i < 2 * ROWS_MAX && status == LK_OK; i++) {
        status = lk_stream_next(stream, &item);
        if (status == LK_OK)
            bytes_touch(item.data);
    }
    lk_stream_close(stream);
    return status;
}

static lk_status
call_write(lk_db *db)
{
    lk_item item = {names_draw(), {"data", draw(5)}, draw(2) != 0 ? number_draw() : 0};
    int64_t value;
    switch (draw(3)) {
    case 0:
        return lk_delete(db, &item.key, 1);
    case 1:
        return lk_queue_push(db, &item, 1,
                             &(lk_push_options){.delay_ms = (int64_t)draw(3), .max_depth = draw(3)},
                             t.rig.k.result);
    default:
        if (item.data.size == 0)
            return lk_put_if(db, &item, LK_IF_PRESENT, item.data);
        if (item.data.size == 1)
            return lk_touch(db, item.key, item.expires_at_ms);
        return item.data.size == 2 ? lk_add(db, item.key, INT64_MAX, item.expires_at_ms, &value)
                                   : lk_set(db, &item, 1);
    }
}

static lk_status
call_lock(lk_db *db)
{
    lk_key key = names_draw();
    lk_lock lock;
    lk_status status = draw(2) != 0 ? lk_get_lock(db, key, &lock)
                                    : lk_get_locked(db, &key, 1, &lock, t.rig.k.result);
    if (status == LK_OK) {
        t.lock = lock;
        t.lock.key = key;
    }
    return status;
}

static lk_status
call_commit(lk_db *db)
{
    lk_conflict conflict;
    lk_write writes[2];
    for (size_t i = 0; i < 2; i++)
        writes[i] = (lk_write){.kind = (lk_write_kind)draw(7),
                               .item = {names_draw(), {"x", 1}, 0},
                               .claim = &t.claim,
                               .delta = -1,
                               .delay_ms = (int64_t)i};
    return lk_commit(db, writes, 1 + draw(2), &t.lock, t.lock.version != 0 ? draw(2) : 0,
                     &conflict);
}

static lk_status
call_pull(lk_db *db)
{
    lk_pull_options options = {
        .pk = names_draw().pk, .visibility_ms = (int64_t)draw(4), .max_jobs = draw(4)};
    if (draw(2) != 0) {
        options.max_receives = 1 + (uint32_t)draw(3);
        options.dead_pk = names_draw().pk;
    }
    lk_status status = lk_queue_pull(db, &options, t.rig.k.result);
    if (status == LK_OK)
        claim_keep();
    return status;
}

static lk_status
call_claim(lk_db *db)
{
    lk_claim claim = t.claim;
    if (claim.key.pk.size == 0 || draw(3) == 0)
        claim =
            (lk_claim){.key = names_draw(), .token = draw(2) != 0 ? (uint64_t)number_draw() : 0};
    switch (draw(3)) {
    case 0:
        return lk_queue_acknowledge(db, &claim, 1);
    case 1:
        return lk_queue_release(db, &claim, (int64_t)draw(3));
    default:
        return lk_queue_extend(db, &claim, (int64_t)draw(3));
    }
}

static lk_status
call_queue(lk_db *db)
{
    lk_queue_statistics queue;
    lk_job seen;
    lk_key key = names_draw();
    lk_bytes pk = key.pk;
    switch (draw(8)) {
    case 0:
        return lk_queue_purge(db, pk, NULL);
    case 1:
        return lk_queue_close(db, pk);
    case 2:
        return lk_queue_inspect(db, key, &seen);
    default:
        return lk_queue_stats(db, pk, &queue);
    }
}

static lk_status
call_upkeep(lk_db *db)
{
    lk_statistics statistics;
    if (draw(2) != 0)
        kit_advance(&t.rig.k, (int64_t)draw(draw(4) == 0 ? 100000000 : 20));
    return draw(2) != 0 ? lk_sweep(db, draw(4), NULL) : lk_statistics_read(db, &statistics);
}

static void
calls_make(lk_db *db)
{
    static lk_status (*const calls[])(lk_db *) = {
        call_read, call_read,  call_stream, call_write, call_write, call_lock,  call_commit,
        call_pull, call_claim, call_queue,  call_pull,  call_claim, call_upkeep};
    t.lock = (lk_lock){.version = 0};
    t.position = (lk_position){{0}};
    t.claim = (lk_claim){.token = 0};
    for (int i = 0; i < CALLS_MAX && !kit_random_ended(&t.random); i++)
        if (said(calls[draw(KIT_COUNT(calls))](db)) == LK_OK)
            result_touch();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (t.files[0] == NULL)
        folder_begin();
    atomic_store(&t.rig.k.now_ms, KIT_START_MS);
    atomic_store(&t.rig.k.monotonic_ms, KIT_START_MS);
    for (size_t i = 0; i < 2; i++)
        file_put(i);
    size_t damages = damages_size(data, size);
    t.random = kit_random_bytes(data, size - damages);
    rows_put();
    if (damages > 0)
        pages_damage(data + size - damages, damages);
    for (uint64_t openings = 1 + draw(2); openings > 0; openings--) {
        lk_db *db;
        if (said(lk_lmdb_open(t.rig.folder, &t.rig.options, &db)) != LK_OK)
            return 0;
        calls_make(db);
        lk_close(db);
    }
    return 0;
}
