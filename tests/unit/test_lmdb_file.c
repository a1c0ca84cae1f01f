/* SPDX-License-Identifier: MIT
 *
 * Files of LMDB that are not as they should be: too short, too long, of zeros, half made, damaged
 * at random, with a table of readers that is anything. Each is opened and used in a process of its
 * own, which has to live: each call ends in a status.
 *
 * LATCHKEY_SEED and LATCHKEY_ROUNDS: other damages, and more of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/lmdb_check.h"
#include "support/lmdb_rig.h"

enum { ITEMS = 300, PAGE = 4096, HANG_S = 30 };

/* How a child ends. */
enum outcome { FINE, REFUSED, A_CALL_FAILED, WRONG, CRASHED };

/* ---- a database with something of everything ---- */

static void
rig_fill(lmdb_rig *r)
{
    static char data[9000];
    memset(data, 'd', sizeof data);
    for (uint64_t i = 0; i < ITEMS; i++) {
        size_t size = i % 7 == 0 ? sizeof data : i * 3 % 200;
        lk_item item = {lkc_numbered("p", i), {data, size}, i % 3 == 0 ? KIT_START_MS + 50 : 0};
        assert_status(LK_OK, lk_set(r->k.db, &item, 1));
        kit_lock(&r->k, lkc_numbered("lock", i));
    }
    lk_push_options delayed = {.delay_ms = 20};
    assert_status(LK_OK, jobs_try_push_batch(&r->k, "q", 0, ITEMS, NULL, NULL));
    assert_status(LK_OK, jobs_try_push_batch(&r->k, "q", ITEMS, 50, &delayed, NULL));
    lk_pull_options pull = {.pk = lk_string("q"), .max_jobs = 100, .visibility_ms = 10};
    assert_status(LK_OK, lk_queue_pull(r->k.db, &pull, r->k.result));
    for (uint64_t i = 0; i < ITEMS; i += 4) { /* pages are given back */
        lk_key key = lkc_numbered("p", i);
        assert_status(LK_OK, lk_delete(r->k.db, &key, 1));
    }
    lmdb_close(r);
}

/* ---- use ---- */

static bool
is_status(lk_status status)
{
    return strcmp(lk_status_string(status), lk_status_string((lk_status)12345)) != 0;
}

static void
note(lk_status status, bool *failed)
{
    *failed |= status < LK_OK || !is_status(status);
}

static void
items_use(lmdb_rig *r, lk_db *db, bool *failed)
{
    lk_result *result = r->k.result;
    for (int reverse = 0; reverse < 2; reverse++) {
        lk_query query = {.pk = lk_string(reverse != 0 ? "q" : "p"), .reverse = reverse != 0};
        note(lk_query_items(db, &query, result), failed);
        query.reverse = !query.reverse;
        note(lk_query_items(db, &query, result), failed);
        size_t count;
        note(lk_count(db, &query, &count), failed);
    }
    lk_position position = {{0}};
    lk_status listed = LK_OK;
    for (int pages = 0; pages <= ITEMS && listed == LK_OK; pages++) {
        listed = lk_list_partitions(db, &position, 1, result);
        note(listed, failed);
    }
    for (uint64_t i = 0; i < ITEMS; i++) {
        int64_t value;
        lk_lock lock = {.version = 0};
        lk_item item = {lkc_numbered("p", i), lk_string("again"), KIT_START_MS + 90};
        note(lk_get(db, item.key, result), failed);
        note(lk_get_lock(db, lkc_numbered("lock", i), &lock), failed);
        if (lock.version != 0)
            note(lk_set_atomic(db, &item, 1, &lock, 1, NULL), failed);
        else
            note(lk_set(db, &item, 1), failed);
        note(lk_touch(db, item.key, KIT_START_MS + 80), failed);
        note(lk_add(db, lkc_numbered("number", i), 1, 0, &value), failed);
        if (i % 5 == 0)
            note(lk_delete(db, &item.key, 1), failed);
    }
}

static void
jobs_use(lmdb_rig *r, lk_db *db, bool *failed)
{
    lk_queue_statistics stats;
    lk_pull_options pull = {.pk = lk_string("q"), .visibility_ms = 1000, .max_jobs = 20};
    lk_push_options deep = {.max_depth = 10};
    note(lk_queue_stats(db, pull.pk, &stats), failed);
    for (int i = 0; i < 12; i++) {
        pull.max_receives = i % 2 == 0 ? 0 : 1;
        pull.dead_pk = lk_string(i % 2 == 0 ? "" : "dead");
        lk_status status = lk_queue_pull(db, &pull, r->k.result);
        note(status, failed);
        for (size_t j = 0; status == LK_OK && j < lk_result_count(r->k.result); j++) {
            lk_claim claim = *lk_result_claim(r->k.result, j);
            note(lk_queue_extend(db, &claim, 5), failed);
            note(j % 2 == 0 ? lk_queue_release(db, &claim, (int64_t)j)
                            : lk_queue_acknowledge(db, &claim, 1),
                 failed);
        }
        lk_item pushed = {{pull.pk, lk_string(i % 3 == 0 ? "own" : "")}, lk_string("new"), 0};
        status = lk_queue_push(db, &pushed, 1, i % 4 == 0 ? &deep : NULL, NULL);
        note(status == LK_BUSY ? LK_OK : status, failed);
        kit_advance(&r->k, 7);
    }
}

static void
store_use(lmdb_rig *r, lk_db *db, bool *failed)
{
    lk_statistics stats;
    size_t count;
    items_use(r, db, failed);
    jobs_use(r, db, failed);
    note(lk_statistics_read(db, &stats), failed);
    note(lk_sweep(db, 10, &count), failed);
    note(lk_queue_close(db, lk_string("dead")), failed);
    note(lk_queue_purge(db, lk_string("q"), &count), failed);
    note(lk_sweep(db, 0, &count), failed);
}

/* Opens, uses and closes the database, twice. */
static int
child_run(lmdb_rig *r)
{
    bool failed = false;
    alarm(HANG_S);
    for (int round = 0; round < 2; round++) {
        lk_db *db = NULL;
        lk_status status = lk_lmdb_open(r->folder, &r->options, &db);
        if (status != LK_OK)
            return status == LK_UNAVAILABLE || status == LK_INVALID || status == LK_UNSUPPORTED
                       ? (round == 0 ? REFUSED : A_CALL_FAILED)
                       : WRONG;
        store_use(r, db, &failed);
        lk_close(db);
    }
    return failed ? A_CALL_FAILED : FINE;
}

static enum outcome
used(lmdb_rig *r)
{
    int code;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(child_run(r));
    assert_int_equal(waitpid(child, &code, 0), child);
    return WIFEXITED(code) ? (enum outcome)WEXITSTATUS(code) : CRASHED;
}

/* ---- files ---- */

typedef struct image {
    unsigned char *bytes;
    size_t size;
} image;

static image
image_read(const char *path)
{
    struct stat about;
    image i;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &about), 0);
    i.size = (size_t)about.st_size;
    i.bytes = malloc(i.size + 1);
    assert_int_equal(read(fd, i.bytes, i.size), (ssize_t)i.size);
    close(fd);
    return i;
}

/* The database of the rig is this, without a table of readers. */
static void
image_write(const lmdb_rig *r, const char *name, const void *bytes, size_t size)
{
    int fd = open(lmdb_path(r->folder, name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
    if (strcmp(name, "data.mdb") == 0)
        unlink(lmdb_path(r->folder, "lock.mdb"));
}

static image
rig_image(lmdb_rig *r)
{
    rig_fill(r);
    image i = image_read(lmdb_path(r->folder, "data.mdb"));
    assert_true(i.size > (size_t)50 * PAGE);
    return i;
}

/* ---- tests ---- */

static void
test_good_file_opens_also_where_it_is_longer(void **state)
{
    lmdb_rig *r = *state;
    image good = rig_image(r);
    for (size_t more = 0; more <= 2 * PAGE; more += 1000) {
        unsigned char *bytes = calloc(1, good.size + more);
        memcpy(bytes, good.bytes, good.size);
        image_write(r, "data.mdb", bytes, good.size + more);
        assert_int_equal(used(r), FINE);
        free(bytes);
    }
    free(good.bytes);
}

static void
test_file_that_is_cut_is_a_status(void **state)
{
    lmdb_rig *r = *state;
    image good = rig_image(r);
    static const size_t cuts[] = {1, 100, 151, 152, 4095, 4096, 4097, 8191, 8192, 8193, 12288};
    for (size_t i = 0; i < KIT_COUNT(cuts); i++) {
        image_write(r, "data.mdb", good.bytes, cuts[i]);
        assert_int_equal(used(r), REFUSED);
        struct stat about; /* it is kept */
        assert_int_equal(stat(lmdb_path(r->folder, "data.mdb"), &about), 0);
        assert_int_equal(about.st_size, cuts[i]);
    }
    for (size_t size = 3 * PAGE; size < good.size; size += good.size / 40) {
        image_write(r, "data.mdb", good.bytes, size);
        assert_in_range(used(r), FINE, A_CALL_FAILED); /* its last pages may be free ones */
    }
    image_write(r, "data.mdb", good.bytes, good.size / 2);
    assert_int_equal(used(r), REFUSED);
    free(good.bytes);
}

/* What a full disk, or a kill, leaves of the first two pages. */
static void
test_file_that_was_half_made_is_made_anew(void **state)
{
    lmdb_rig *r = *state;
    lmdb_close(r);
    MDB_env *env;
    unlink(lmdb_path(r->folder, "data.mdb"));
    unlink(lmdb_path(r->folder, "lock.mdb"));
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, r->folder, 0, 0600), 0);
    mdb_env_close(env);
    image fresh = image_read(lmdb_path(r->folder, "data.mdb"));
    assert_int_equal(fresh.size, 2 * PAGE);
    static const size_t cuts[] = {0, 152, 1000, 4095, 4096, 4097, 8191, 8192};
    for (size_t i = 0; i < KIT_COUNT(cuts); i++) {
        image_write(r, "data.mdb", fresh.bytes, cuts[i]);
        assert_int_equal(used(r), FINE);
    }
    memset(fresh.bytes + PAGE, 0, PAGE);
    image_write(r, "data.mdb", fresh.bytes, fresh.size);
    assert_int_equal(used(r), FINE);
    memset(fresh.bytes, 0, PAGE);
    for (size_t i = 0; i < KIT_COUNT(cuts); i++) {
        image_write(r, "data.mdb", fresh.bytes, cuts[i]);
        assert_int_equal(used(r), FINE);
    }
    free(fresh.bytes);
}

static void
test_file_of_zeros_is_refused_and_kept(void **state)
{
    lmdb_rig *r = *state;
    image good = rig_image(r);
    unsigned char *zeros = calloc(1, good.size);
    image_write(r, "data.mdb", zeros, good.size);
    assert_int_equal(used(r), REFUSED);
    for (size_t page = 0; page < 2; page++) { /* one of the meta pages, or both */
        image_write(r, "data.mdb", good.bytes, good.size);
        int fd = open(lmdb_path(r->folder, "data.mdb"), O_RDWR | O_CLOEXEC);
        assert_int_equal(pwrite(fd, zeros, PAGE, (off_t)(page * PAGE)), PAGE);
        close(fd);
        assert_int_equal(used(r), REFUSED);
    }
    image_write(r, "data.mdb", good.bytes, good.size);
    assert_int_equal(used(r), FINE);
    free(zeros);
    free(good.bytes);
}

static void
test_other_things_than_files_are_refused(void **state)
{
    lmdb_rig *r = *state;
    static const char *const names[] = {"data.mdb", "lock.mdb", "latchkey.lock"};
    lmdb_close(r);
    for (size_t i = 0; i < KIT_COUNT(names); i++) {
        for (int fifo = 0; fifo < 2; fifo++) {
            const char *path = lmdb_path(r->folder, names[i]);
            unlink(path);
            assert_int_equal(fifo != 0 ? mkfifo(path, 0600) : mkdir(path, 0700), 0);
            assert_status(LK_UNAVAILABLE, lmdb_try_open(r));
            assert_int_equal(fifo != 0 ? unlink(path) : rmdir(path), 0);
        }
    }
    lmdb_open(r);
}

/* lock.mdb is LMDB's table of readers; nobody uses it, so whatever it is it is made anew. All of it
 * is on the disk before LMDB writes to it through a map. */
static void
test_table_of_readers_may_be_anything_and_has_no_holes(void **state)
{
    lmdb_rig *r = *state;
    static const size_t sizes[] = {0, 1, 64, 100, 4096, 8192, 9000, 1 << 20};
    unsigned char *bytes = malloc((size_t)1 << 20);
    lmdb_close(r);
    for (size_t i = 0; i < KIT_COUNT(sizes); i++) {
        for (int fill = 0; fill < 2; fill++) {
            struct stat about;
            memset(bytes, fill != 0 ? 0xa5 : 0, sizes[i]);
            image_write(r, "lock.mdb", bytes, sizes[i]);
            lmdb_open(r);
            kit_set(&r->k, "p", "s", "x");
            assert_true(kit_holds(&r->k, lk_key_of("p", "s"), "x"));
            assert_int_equal(stat(lmdb_path(r->folder, "lock.mdb"), &about), 0);
            assert_true((about.st_blocks * 512) >= about.st_size);
            assert_in_range(about.st_size, (126 + 16) * 64, 16384);
            lmdb_close(r);
        }
    }
    free(bytes);
}

/* ---- damages ---- */

static uint64_t
next(uint64_t *random, uint64_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (*random * 0x2545f4914f6cdd1dU >> 11) % below;
}

static void
damage(unsigned char *bytes, size_t size, uint64_t *random)
{
    size_t pages = size / PAGE, page = next(random, pages), at = next(random, size), run;
    switch (next(random, 6)) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << next(random, 8));
        break;
    case 1: /* where LMDB keeps what it trusts */
        bytes[page * PAGE + next(random, 160)] ^= (unsigned char)(1u << next(random, 8));
        break;
    case 2:
        bytes[page * PAGE + next(random, 160)] = (unsigned char)next(random, 256);
        break;
    case 3:
        run = 1 + next(random, 64);
        for (size_t i = at; i < at + run && i < size; i++)
            bytes[i] = (unsigned char)next(random, 256);
        break;
    case 4:
        memset(bytes + page * PAGE, 0, PAGE);
        break;
    default:
        memcpy(bytes + page * PAGE, bytes + next(random, pages) * PAGE, PAGE);
        break;
    }
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void
test_file_that_is_damaged_ends_no_process(void **state)
{
    lmdb_rig *r = *state;
    image good = rig_image(r);
    unsigned char *bytes = malloc(good.size);
    uint64_t seed = setting("LATCHKEY_SEED", 1),
             rounds = setting("LATCHKEY_ROUNDS", test_scaled(60));
    unsigned crashed = 0, refused = 0, failed = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t random = (seed + i) * 0x9e3779b97f4a7c15U | 1;
        memcpy(bytes, good.bytes, good.size);
        for (uint64_t n = 1 + next(&random, 3); n > 0; n--)
            damage(bytes, good.size, &random);
        image_write(r, "data.mdb", bytes, good.size);
        enum outcome outcome = used(r);
        if (outcome > A_CALL_FAILED)
            fprintf(stderr, "seed %llu: %s\n", (unsigned long long)(seed + i),
                    outcome == WRONG ? "the wrong status" : "ended by a signal");
        crashed += outcome > A_CALL_FAILED;
        refused += outcome == REFUSED;
        failed += outcome == A_CALL_FAILED;
    }
    print_message("%u refused, %u failed later\n", refused, failed);
    assert_int_equal(crashed, 0);
    free(bytes);
    free(good.bytes);
}

/* ---- rows ---- */

/* The nth row of a database of a transaction. */
static void
row_find(MDB_txn *txn, MDB_dbi dbi, uint64_t n, MDB_val *key, MDB_val *row)
{
    MDB_cursor *cursor;
    assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
    for (uint64_t i = 0; i <= n; i++)
        assert_int_equal(mdb_cursor_get(cursor, key, row, MDB_NEXT), 0);
    mdb_cursor_close(cursor);
}

/* Takes a row out, and mostly puts it in again with another key or other bytes. All pages are good
 * afterwards. */
static void
row_damage(MDB_txn *txn, MDB_dbi dbi, uint64_t *random)
{
    MDB_stat stat;
    MDB_val key, row;
    unsigned char name[LKI_LMDB_KEY_MAX] = {0}, bytes[9100] = {0};
    assert_int_equal(mdb_stat(txn, dbi, &stat), 0);
    if (stat.ms_entries == 0)
        return;
    row_find(txn, dbi, next(random, stat.ms_entries), &key, &row);
    memcpy(name, key.mv_data, key.mv_size);
    if (row.mv_size != 0)
        memcpy(bytes, row.mv_data, row.mv_size);
    key.mv_data = name;
    row.mv_data = bytes;
    assert_int_equal(mdb_del(txn, dbi, &key, NULL), 0);
    switch (next(random, 6)) {
    case 0:
        return;
    case 1:
        name[next(random, key.mv_size)] = (unsigned char)next(random, 256);
        break;
    case 2:
        name[next(random, key.mv_size)] ^= (unsigned char)(1u << next(random, 8));
        break;
    case 3:
        key.mv_size = 1 + next(random, LKI_LMDB_KEY_MAX);
        break;
    case 4:
        row.mv_size = next(random, 100);
        break;
    default:
        if (row.mv_size != 0)
            bytes[next(random, row.mv_size)] = (unsigned char)next(random, 256);
        break;
    }
    assert_int_equal(mdb_put(txn, dbi, &key, &row, 0), 0);
}

/* A transaction of LMDB's on the closed database. */
static MDB_env *
file_begin(const lmdb_rig *r, MDB_txn **txn)
{
    MDB_env *env;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 16), 0);
    assert_int_equal(mdb_env_open(env, r->folder, MDB_NOSYNC, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, txn), 0);
    return env;
}

static void
rows_damage(const lmdb_rig *r, uint64_t *random)
{
    static const char *const names[] = {"items", "locks",  "jobs",   "ready",
                                        "due",   "queues", "expiry", "latchkey"};
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_env *env = file_begin(r, &txn);
    for (uint64_t n = 1 + next(random, 3); n > 0; n--) {
        const char *name = names[next(random, KIT_COUNT(names))];
        assert_int_equal(mdb_dbi_open(txn, name, 0, &dbi), 0);
        row_damage(txn, dbi, random);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void
test_rows_that_contradict_each_other_end_no_process(void **state)
{
    lmdb_rig *r = *state;
    image good = rig_image(r);
    uint64_t seed = setting("LATCHKEY_SEED", 1),
             rounds = setting("LATCHKEY_ROUNDS", test_scaled(60));
    unsigned crashed = 0, failed = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t random = (seed + i) * 0x9e3779b97f4a7c15U | 1;
        image_write(r, "data.mdb", good.bytes, good.size);
        rows_damage(r, &random);
        enum outcome outcome = used(r);
        if (outcome > A_CALL_FAILED)
            fprintf(stderr, "seed %llu: %s\n", (unsigned long long)(seed + i),
                    outcome == WRONG ? "the wrong status" : "ended by a signal");
        crashed += outcome > A_CALL_FAILED;
        failed += outcome == REFUSED || outcome == A_CALL_FAILED;
    }
    print_message("%u noticed\n", failed);
    assert_int_equal(crashed, 0);
    free(good.bytes);
}

/* A store would hand out version 0, or, when the numbers have run out, the same one twice. */
static void
test_next_number_that_cannot_be_is_damage(void **state)
{
    lmdb_rig *r = *state;
    const uint64_t numbers[] = {0, (uint64_t)INT64_MAX + 1, UINT64_MAX, INT64_MAX};
    free(rig_image(r).bytes); /* and a database with something of everything is there */
    for (size_t i = 0; i < KIT_COUNT(numbers); i++) {
        MDB_txn *txn;
        lki_lmdb_tables in;
        MDB_val key = {4, (void *)(uintptr_t) "meta"}, row;
        lki_lmdb_meta meta;
        MDB_env *env = file_begin(r, &txn);
        assert_int_equal(lki_lmdb_tables_open(txn, 0, &in), 0);
        assert_int_equal(mdb_get(txn, in.meta, &key, &row), 0);
        assert_int_equal(row.mv_size, sizeof meta);
        memcpy(&meta, row.mv_data, sizeof meta);
        meta.version = numbers[i];
        row.mv_data = &meta;
        assert_int_equal(mdb_put(txn, in.meta, &key, &row, 0), 0);
        assert_int_equal(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        lk_db *db = NULL;
        assert_status(numbers[i] == INT64_MAX ? LK_OK : LK_UNAVAILABLE,
                      lk_lmdb_open(r->folder, NULL, &db));
        lk_close(db);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_setup, lmdb_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_good_file_opens_also_where_it_is_longer),
        TEST(test_file_that_is_cut_is_a_status),
        TEST(test_file_that_was_half_made_is_made_anew),
        TEST(test_file_of_zeros_is_refused_and_kept),
        TEST(test_other_things_than_files_are_refused),
        TEST(test_table_of_readers_may_be_anything_and_has_no_holes),
        TEST(test_file_that_is_damaged_ends_no_process),
        TEST(test_rows_that_contradict_each_other_end_no_process),
        TEST(test_next_number_that_cannot_be_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
