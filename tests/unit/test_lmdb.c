/* SPDX-License-Identifier: MIT
 *
 * The adapter for LMDB, where the conformance suite cannot look: options, limits, folders that are
 * somebody's, that are something else or cannot be; readers that are more than places; forks.
 */
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <latchkey/adapter.h>

#include "support/lmdb_rig.h"

/* ---- options, limits ---- */

static void
test_open_with_bad_options_says_so(void **state)
{
    lmdb_rig *r = *state;
    lk_db *db = NULL;
    lmdb_close(r);
    const lk_lmdb_options good = r->options;
    assert_status(LK_INVALID, lk_lmdb_open(NULL, &good, &db));
    assert_status(LK_INVALID, lk_lmdb_open(r->folder, &good, NULL));
    assert_status(LK_INVALID, lk_lmdb_open("", &good, &db));
    const struct {
        lk_lmdb_options options;
        lk_status wanted;
    } bad[] = {
        {{.sync = (lk_lmdb_sync)3}, LK_INVALID},
        {{.lock_ttl_ms = -1}, LK_INVALID},
        {{.lock_refresh_ms = -2}, LK_INVALID},
        {{.lock_ttl_ms = 1000, .lock_refresh_ms = 1000}, LK_INVALID},
        {{.max_pk_size = 501}, LK_TOO_BIG},
        {{.max_pk_size = 500}, LK_TOO_BIG},
        {{.max_sk_size = 261}, LK_TOO_BIG},
        {{.max_pk_size = SIZE_MAX, .max_sk_size = 2}, LK_TOO_BIG},
        {{.max_data_size = UINT32_MAX - 8}, LK_TOO_BIG},
        {{.max_readers = 1u << 20}, LK_TOO_BIG},
        {{.map_size = SIZE_MAX}, LK_TOO_BIG},
    };
    for (size_t i = 0; i < KIT_COUNT(bad); i++)
        assert_status(bad[i].wanted, lk_lmdb_open(r->folder, &bad[i].options, &db));
    assert_null(db);
    assert_status(LK_OK, lmdb_try_open(r));
}

static void
test_open_with_defaults_gives_what_the_header_says(void **state)
{
    lmdb_rig *r = *state;
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_lock lock;
    lmdb_close(r);
    assert_status(LK_OK, lk_lmdb_open(r->folder, NULL, &r->k.db));
    assert_status(LK_OK, lk_adapter_read(r->k.db, &adapter));
    assert_string_equal(adapter.name, "lmdb");
    assert_int_equal(adapter.max_pk_size, 240);
    assert_int_equal(adapter.max_sk_size, 256);
    assert_int_equal(adapter.max_data_size, 16 << 20);
    assert_true((adapter.capabilities & LK_IS_DURABLE) != 0);
    int64_t before = lk_realtime_now_ms(r->k.db);
    assert_status(LK_OK, lk_get_lock(r->k.db, lk_key_of("p", "s"), &lock));
    assert_true(lock.expires_at_ms >= before + LK_HOURS(24));
    struct stat stat_of;
    assert_int_equal(stat(lmdb_path(r->folder, "data.mdb"), &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0600);
    assert_true(stat_of.st_size < 1 << 20); /* of 64 GiB */
}

/* The longest keys go everywhere: the longest key of LMDB is made of one that expires, or waits. */
static void
test_longest_keys_work_everywhere(void **state)
{
    lmdb_rig *r = *state;
    static const size_t sizes[][2] = {{240, 256}, {1, 499}, {499, 1}, {250, 250}};
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        size_t pk_size = sizes[i][0], sk_size = sizes[i][1];
        char *big_pk = malloc(pk_size), *big_sk = malloc(sk_size);
        memset(big_pk, 0xff, pk_size);
        memset(big_sk, 0xff, sk_size);
        lmdb_close(r);
        r->options.max_pk_size = pk_size;
        r->options.max_sk_size = sk_size;
        lmdb_open(r);
        lk_key key = {{big_pk, pk_size}, {big_sk, sk_size}};
        lk_item item = {key, lk_string("x"), atomic_load(&r->k.now_ms) + 50};
        lk_lock lock = kit_lock(&r->k, key);
        assert_status(LK_OK, lk_set_atomic(r->k.db, &item, 1, &lock, 1, NULL));
        lk_push_options push = {.delay_ms = 10};
        assert_status(LK_OK, lk_queue_push(r->k.db, &item, 1, &push, NULL));
        lk_pull_options pull = {.pk = key.pk};
        assert_status(LK_EMPTY, lk_queue_pull(r->k.db, &pull, r->k.result));
        kit_advance(&r->k, 10);
        assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
        lk_query query = {.pk = key.pk, .sk_prefix = key.sk, .reverse = true};
        assert_status(LK_OK, lk_query_items(r->k.db, &query, r->k.result));
        assert_int_equal(lk_result_count(r->k.result), 1);
        kit_advance(&r->k, 50);
        assert_status(LK_NOT_FOUND, lk_get(r->k.db, key, r->k.result));
        size_t swept = 0;
        assert_status(LK_OK, lk_sweep(r->k.db, 0, &swept));
        assert_int_equal(swept, 1);
        key.sk.size++;
        assert_status(LK_TOO_BIG, lk_get(r->k.db, key, r->k.result));
        free(big_pk);
        free(big_sk);
    }
}

/* ---- whose folder ---- */

static void
test_second_open_is_busy_until_the_first_is_closed(void **state)
{
    lmdb_rig *r = *state;
    lk_db *db = NULL;
    for (int i = 0; i < 3; i++) {
        assert_status(LK_BUSY, lk_lmdb_open(r->folder, &r->options, &db));
        assert_null(db);
    }
    kit_set(&r->k, "p", "s", "still open");
    lmdb_close(r);
    assert_status(LK_OK, lmdb_try_open(r));
    lmdb_open(r);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "still open"));
}

static void
test_child_of_a_fork_cannot_use_it_nor_open_it(void **state)
{
    lmdb_rig *r = *state;
    kit_set(&r->k, "p", "s", "x");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        lk_db *db = NULL;
        bool well = lk_get(r->k.db, lk_key_of("p", "s"), r->k.result) == LK_INVALID;
        lk_item item = kit_item("p", "s", "of the child");
        well = well && lk_set(r->k.db, &item, 1) == LK_INVALID;
        well = well && lk_lmdb_open(r->folder, &r->options, &db) == LK_BUSY;
        lk_close(r->k.db);
        well = well && lk_lmdb_open(r->folder, &r->options, &db) == LK_BUSY;
        _exit(well ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "x"));
    kit_set(&r->k, "p", "s", "y");
}

static void
test_two_folders_are_two_stores(void **state)
{
    lmdb_rig *r = *state;
    char other[LMDB_PATH_ROOM];
    lk_db *db = NULL;
    assert_true(lmdb_folder_make(other));
    assert_status(LK_OK, lk_lmdb_open(other, &r->options, &db));
    kit_set(&r->k, "p", "s", "mine");
    assert_status(LK_NOT_FOUND, lk_get(db, lk_key_of("p", "s"), r->k.result));
    lk_close(db);
    lmdb_folder_remove(other);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "mine"));
}

/* ---- what is in the folder ---- */

static void
test_folder_is_made_but_not_its_parents(void **state)
{
    lmdb_rig *r = *state;
    char inner[LMDB_PATH_ROOM + 64];
    lk_db *db = NULL;
    snprintf(inner, sizeof inner, "%s", lmdb_path(r->folder, "inner"));
    assert_status(LK_UNAVAILABLE, lk_lmdb_open(lmdb_path(inner, "deep"), &r->options, &db));
    assert_status(LK_OK, lk_lmdb_open(inner, &r->options, &db));
    lk_close(db);
    struct stat stat_of;
    assert_int_equal(stat(inner, &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 0777, 0700);
    lmdb_folder_remove(inner);
    /* A file where the folder should be. */
    db = NULL;
    assert_status(LK_UNAVAILABLE, lk_lmdb_open(lmdb_path(r->folder, "data.mdb"), &r->options, &db));
    char *longest = malloc(10000);
    memset(longest, 'x', 9999);
    longest[9999] = '\0';
    assert_status(LK_UNAVAILABLE, lk_lmdb_open(longest, &r->options, &db));
    free(longest);
    assert_null(db);
}

static void
file_write(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void
test_file_that_is_no_database_is_refused_and_kept(void **state)
{
    lmdb_rig *r = *state;
    char bytes[8192], kept[8192];
    memset(bytes, 'n', sizeof bytes);
    lmdb_close(r);
    file_write(lmdb_path(r->folder, "data.mdb"), bytes, sizeof bytes);
    assert_status(LK_INVALID, lmdb_try_open(r));
    FILE *file = fopen(lmdb_path(r->folder, "data.mdb"), "rb");
    assert_non_null(file);
    assert_int_equal(fread(kept, 1, sizeof kept, file), sizeof kept);
    fclose(file);
    assert_memory_equal(kept, bytes, sizeof bytes);
}

/* Opens the files with LMDB alone, calls `change`, and closes them. */
static void
raw_change(const lmdb_rig *r, void (*change)(MDB_txn *txn))
{
    MDB_env *env;
    MDB_txn *txn;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
    assert_int_equal(mdb_env_open(env, r->folder, MDB_NOSYNC, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    change(txn);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
put_anything(MDB_txn *txn)
{
    MDB_dbi dbi;
    char k[] = "k", v[] = "v";
    MDB_val key = {1, k}, value = {1, v};
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void
test_database_of_somebody_else_is_refused_and_kept(void **state)
{
    lmdb_rig *r = *state;
    lmdb_close(r);
    unlink(lmdb_path(r->folder, "data.mdb"));
    raw_change(r, put_anything);
    assert_status(LK_INVALID, lmdb_try_open(r));
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_stat entries;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, r->folder, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_stat(txn, dbi, &entries), 0);
    assert_int_equal(entries.ms_entries, 1);
    mdb_txn_abort(txn);
    mdb_env_close(env);
}

static uint32_t new_format;

static void
put_format(MDB_txn *txn)
{
    MDB_dbi dbi;
    char name[] = "meta";
    MDB_val key = {4, name}, value;
    unsigned char row[256];
    assert_int_equal(mdb_dbi_open(txn, "latchkey", 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &key, &value), 0);
    assert_true(value.mv_size <= sizeof row);
    memcpy(row, value.mv_data, value.mv_size);
    memcpy(row, &new_format, sizeof new_format);
    value.mv_data = row;
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
}

static void
test_newer_format_is_refused_and_kept(void **state)
{
    lmdb_rig *r = *state;
    kit_set(&r->k, "p", "s", "x");
    lmdb_close(r);
    new_format = 2;
    raw_change(r, put_format);
    assert_status(LK_UNSUPPORTED, lmdb_try_open(r));
    new_format = 0;
    raw_change(r, put_format);
    assert_status(LK_INVALID, lmdb_try_open(r));
    new_format = 1;
    raw_change(r, put_format);
    lmdb_open(r);
    assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "x"));
}

/* ---- threads ---- */

enum { READERS = 6, READS = 2000 };

typedef struct reader {
    pthread_t thread;
    lmdb_rig *r;
    size_t wrong;
} reader;

static void *
reader_main(void *argument)
{
    reader *me = argument;
    lk_result *result = lk_result_new();
    for (size_t i = 0; result != NULL && i < READS; i++) {
        lk_query query = {.pk = lk_string("p")};
        me->wrong += lk_get(me->r->k.db, lk_key_of("p", "s"), result) != LK_OK;
        me->wrong += lk_query_items(me->r->k.db, &query, result) != LK_OK;
    }
    me->wrong += result == NULL;
    lk_result_free(result);
    return NULL;
}

static void
test_more_readers_than_places_all_read(void **state)
{
    lmdb_rig *r = *state;
    reader readers[READERS];
    kit_set(&r->k, "p", "s", "x");
    lmdb_close(r);
    r->options.max_readers = 2;
    lmdb_open(r);
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = (reader){.r = r};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]), 0);
    }
    for (int i = 0; i < 200; i++)
        kit_set(&r->k, "p", "s", "y");
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
    }
    lk_statistics stats = kit_statistics(&r->k);
    assert_int_equal(stats.gets, READERS * READS);
    assert_int_equal(stats.hits, READERS * READS);
    assert_int_equal(stats.queries, READERS * READS);
    assert_int_equal(stats.sets, 200);
}

/* "jemalloc" or "malloc": that of the program, as the embedded store says it. */
static void
test_allocator_is_that_of_the_program(void **state)
{
    lmdb_rig *r = *state;
    lk_db *memory;
    lk_statistics stats;
    assert_status(LK_OK, lk_memory_open(NULL, &memory));
    assert_status(LK_OK, lk_statistics_read(memory, &stats));
    assert_string_equal(kit_statistics(&r->k).allocator, stats.allocator);
    lk_close(memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_setup, lmdb_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open_with_bad_options_says_so),
        TEST(test_open_with_defaults_gives_what_the_header_says),
        TEST(test_longest_keys_work_everywhere),
        TEST(test_second_open_is_busy_until_the_first_is_closed),
        TEST(test_child_of_a_fork_cannot_use_it_nor_open_it),
        TEST(test_two_folders_are_two_stores),
        TEST(test_folder_is_made_but_not_its_parents),
        TEST(test_file_that_is_no_database_is_refused_and_kept),
        TEST(test_database_of_somebody_else_is_refused_and_kept),
        TEST(test_newer_format_is_refused_and_kept),
        TEST(test_more_readers_than_places_all_read),
        TEST(test_allocator_is_that_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
