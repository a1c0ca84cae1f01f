/* SPDX-License-Identifier: MIT
 *
 * Other processes and a database of LMDB: one that was killed while it read, one that looks on
 * with LMDB alone. What is dead holds nothing back: no pages of the file, no places for readers.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/lmdb_checked.h"

enum { SIZE = 3000, ITEMS = 50 };

static int told[2]; /* a child says here that it is where it should be */

static void
tell(void)
{
    char byte = 0;
    if (write(told[1], &byte, 1) != 1)
        _exit(1);
}

static void
wait_told(int count)
{
    char byte;
    for (int i = 0; i < count; i++)
        assert_int_equal(read(told[0], &byte, 1), 1);
}

static _Atomic bool stops;

/* The clock of a process that stops inside a read, where it asks whether an item has expired. */
static int64_t
stopping_ms(void *context)
{
    (void)context;
    if (!atomic_load(&stops))
        return KIT_START_MS;
    for (tell();;)
        pause();
}

static void *
reader(void *argument)
{
    lmdb_rig *r = argument;
    lk_result *result = lk_result_new();
    lk_status status = lk_get(r->k.db, lk_key_of("p", "expires"), result);
    (void)status;
    return NULL;
}

/* A process with so many threads inside of reads; it has the database open. */
static pid_t
readers_start(lmdb_rig *r, int threads)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    r->options.realtime_ms = stopping_ms;
    alarm(60);
    lmdb_open(r);
    atomic_store(&stops, true);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, reader, r) != 0)
            _exit(1);
    }
    for (;;)
        pause();
}

/* A process that has the files open with LMDB alone, and reads nothing. */
static pid_t
onlooker_start(const lmdb_rig *r)
{
    MDB_env *env;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    alarm(60);
    if (mdb_env_create(&env) != 0 || mdb_env_open(env, r->folder, MDB_RDONLY, 0600) != 0)
        _exit(1);
    tell();
    for (;;)
        pause();
}

static void
child_kill(pid_t child)
{
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void
items_write(lmdb_rig *r, int rounds)
{
    static char data[SIZE];
    for (int round = 0; round < rounds; round++)
        for (uint64_t i = 0; i < ITEMS; i++) {
            lk_item item = {lkc_numbered("p", i), {data, sizeof data}, 0};
            assert_status(LK_OK, lk_set(r->k.db, &item, 1));
        }
}

static off_t
file_size(const lmdb_rig *r)
{
    struct stat about;
    assert_int_equal(stat(lmdb_path(r->folder, "data.mdb"), &about), 0);
    return about.st_size;
}

static void
rig_prepare(lmdb_rig *r)
{
    lk_item item = {lk_key_of("p", "expires"), lk_string("x"), KIT_START_MS + LK_HOURS(1)};
    items_write(r, 2);
    assert_status(LK_OK, lk_set(r->k.db, &item, 1));
    lmdb_close(r);
    assert_int_equal(pipe(told), 0);
}

static void
killed_readers_hold_nothing(lmdb_rig *r, bool onlooker, int kills, int threads)
{
    rig_prepare(r);
    pid_t other = onlooker ? onlooker_start(r) : 0;
    wait_told(onlooker);
    for (int i = 0; i < kills; i++) {
        pid_t child = readers_start(r, threads);
        wait_told(threads);
        child_kill(child);
    }
    lmdb_open(r);
    assert_true(kit_holds(&r->k, lk_key_of("p", "expires"), "x"));
    off_t size = file_size(r);
    items_write(r, 40);
    assert_true(file_size(r) <= size + (off_t)200 * 4096);
    if (onlooker)
        child_kill(other);
    close(told[0]);
    close(told[1]);
}

static void
test_killed_readers_hold_nothing_back(void **state)
{
    killed_readers_hold_nothing(*state, false, 2, 20);
}

static void
test_killed_readers_hold_nothing_back_beside_an_onlooker(void **state)
{
    killed_readers_hold_nothing(*state, true, 1, 3);
}

/* More than there are places for. */
static void
test_many_killed_readers_take_no_places(void **state)
{
    killed_readers_hold_nothing(*state, true, 4, 50);
}

/* A reader that dies while the database is open here: it is found where the file grows. */
static void
test_onlooker_that_dies_inside_a_read_holds_nothing_back(void **state)
{
    lmdb_rig *r = *state;
    rig_prepare(r);
    lmdb_open(r);
    pid_t other = fork();
    assert_true(other >= 0);
    if (other == 0) {
        MDB_env *env;
        MDB_txn *txn;
        if (mdb_env_create(&env) != 0 || mdb_env_open(env, r->folder, MDB_RDONLY, 0600) != 0 ||
            mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) != 0)
            _exit(1);
        tell();
        for (;;)
            pause();
    }
    wait_told(1);
    off_t size = file_size(r);
    items_write(r, 10);
    assert_true(file_size(r) > size + (off_t)400 * 4096); /* it does hold pages back */
    size = file_size(r);
    child_kill(other);
    items_write(r, 40);
    assert_true(file_size(r) <= size + (off_t)200 * 4096);
    close(told[0]);
    close(told[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LMDB_TEST(test_killed_readers_hold_nothing_back),
        LMDB_TEST(test_killed_readers_hold_nothing_back_beside_an_onlooker),
        LMDB_TEST(test_many_killed_readers_take_no_places),
        LMDB_TEST(test_onlooker_that_dies_inside_a_read_holds_nothing_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
