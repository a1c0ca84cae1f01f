/* SPDX-License-Identifier: MIT
 *
 * Memory runs out at any allocation of the adapter for PostgreSQL (linked statically, with --wrap;
 * libpq's own do not fail): for every n the n-th one fails. The call says LK_NO_MEMORY and has done
 * nothing, and the next one does its work. The server that LATCHKEY_POSTGRES names, in a schema of
 * the program's own.
 */
#include <libpq-fe.h>
#include <unistd.h>

#include <latchkey/postgres.h>

#include "support/kit.h"
#include "support/wrapped.h"

enum { NTH_MAX = 500 };

/* ---- calls ---- */

static char schema[32];
static const char *conninfo;
static lk_db *db;

static lk_status
open_again(void)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    options.schema = schema;
    options.create = true;
    return lk_postgres_open(conninfo, &options, &db);
}

static bool
holds(const char *pk, const char *sk, const char *data)
{
    char read[16];
    size_t size = 0;
    lk_status status = lk_get_into(db, lk_key_of(pk, sk), read, sizeof read, &size);
    if (data == NULL)
        return status == LK_NOT_FOUND;
    return status == LK_OK && size == strlen(data) && memcmp(read, data, size) == 0;
}

static lk_status
call_get(lk_result *out)
{
    return lk_get(db, lk_key_of("p", "old"), out);
}

static lk_status
call_get_many(lk_result *out)
{
    lk_key keys[3] = {lk_key_of("p", "old"), lk_key_of("p", "none"), lk_key_of("p", "other")};
    return lk_get_many(db, keys, 3, out);
}

static lk_status
call_query(lk_result *out)
{
    lk_query query = {.pk = lk_string("p")};
    return lk_query_items(db, &query, out);
}

static lk_status
call_set(lk_result *out)
{
    lk_item items[2] = {{.key = lk_key_of("p", "new"), .data = lk_string("1")},
                        {.key = lk_key_of("p", "newer"), .data = lk_string("2")}};
    (void)out;
    return lk_set(db, items, 2);
}

static lk_status
call_delete(lk_result *out)
{
    lk_key keys[2] = {lk_key_of("p", "new"), lk_key_of("p", "newer")};
    (void)out;
    return lk_delete(db, keys, 2);
}

static lk_status
call_commit(lk_result *out)
{
    lk_write writes[3] = {
        {.kind = LK_PUT, .item = {.key = lk_key_of("p", "new"), .data = lk_string("1")}},
        {.kind = LK_ADD, .item = {.key = lk_key_of("p", "number")}, .delta = 1},
        {.kind = LK_PUSH, .item = {.key = lk_key_of("q", "j"), .data = lk_string("job")}}};
    (void)out;
    return lk_commit(db, writes, 3, NULL, 0, NULL);
}

static lk_status
call_push(lk_result *out)
{
    lk_item jobs[2] = {{.key = lk_key_of("q", "5"), .data = lk_string("job")},
                       {.key = lk_key_of("q", "6"), .data = lk_string("job")}};
    return lk_queue_push(db, jobs, 2, NULL, out);
}

/* The jobs of "w", which nobody has received before: also where a pull before it has failed. */
static lk_status
call_pull(lk_result *out)
{
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = lk_string("w");
    pull.max_jobs = 5;
    lk_status status = lk_queue_pull(db, &pull, out);
    if (status != LK_OK)
        return status;
    assert_int_equal(lk_result_count(out), 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(lk_result_claim(out, i)->receives, 1);
    return LK_OK;
}

static lk_status
call_get_locked(lk_result *out)
{
    lk_key keys[2] = {lk_key_of("p", "old"), lk_key_of("p", "other")};
    lk_lock locks[2];
    return lk_get_locked(db, keys, 2, locks, out);
}

static lk_status
call_touch(lk_result *out)
{
    (void)out;
    return lk_touch(db, lk_key_of("p", "other"), 0);
}

static lk_status
call_count(lk_result *out)
{
    lk_query query = {.pk = lk_string("p"), .from = lk_string("b")};
    size_t count;
    (void)out;
    return lk_count(db, &query, &count);
}

static lk_status
call_partitions(lk_result *out)
{
    lk_position position = {{0}};
    return lk_list_partitions(db, &position, 5000, out);
}

static lk_status
call_close(lk_result *out)
{
    (void)out;
    return lk_queue_close(db, lk_string("closed"));
}

static lk_status
call_purge(lk_result *out)
{
    (void)out;
    return lk_queue_purge(db, lk_string("q"), NULL);
}

static lk_status
call_sweep(lk_result *out)
{
    (void)out;
    return lk_sweep(db, 0, NULL);
}

/* ---- each of them ---- */

static void
start_anew(void)
{
    lk_item items[2] = {{.key = lk_key_of("p", "old"), .data = lk_string("old")},
                        {.key = lk_key_of("p", "other"), .data = lk_string("other")}};
    lk_key gone[6] = {lk_key_of("p", "new"), lk_key_of("p", "newer"), lk_key_of("p", "number"),
                      lk_key_of("q", "j"),   lk_key_of("q", "5"),     lk_key_of("q", "6")};
    lk_item jobs[2] = {{.key = lk_key_of("w", "1"), .data = lk_string("first")},
                       {.key = lk_key_of("w", "2"), .data = lk_string("second")}};
    assert_status(LK_OK, lk_delete(db, gone, 6));
    assert_status(LK_OK, lk_set(db, items, 2));
    assert_status(LK_OK, lk_queue_push(db, jobs, 2, NULL, NULL));
}

/* With the n-th allocation failing. False: it has not so many. */
static bool
call_run(const char *name, lk_status (*call)(lk_result *out), int64_t nth)
{
    lk_result *out = lk_result_new();
    uint64_t failed_before = failed;
    start_anew();
    fail_at = nth;
    lk_status status = call(out);
    fail_at = 0;
    bool ran_out = failed != failed_before;
    if (status != (ran_out ? LK_NO_MEMORY : LK_OK))
        print_error("%s, allocation %lld: %s\n", name, (long long)nth, lk_status_string(status));
    assert_status(ran_out ? LK_NO_MEMORY : LK_OK, status);
    if (ran_out) {
        assert_int_equal(lk_result_count(out), 0);
        if (!holds("p", "new", NULL) || !holds("q", "5", NULL) || !holds("q", "j", NULL))
            print_error("%s, allocation %lld: something was done\n", name, (long long)nth);
        assert_true(holds("p", "old", "old") && holds("p", "new", NULL) &&
                    holds("p", "newer", NULL) && holds("p", "number", NULL) &&
                    holds("q", "j", NULL) && holds("q", "5", NULL) && holds("q", "6", NULL));
        assert_status(LK_OK, call(out));
    }
    lk_result_free(out);
    return ran_out;
}

static void
test_each_call_without_memory_does_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        lk_status (*call)(lk_result *out);
    } calls[] = {
        {"get", call_get},     {"get_many", call_get_many}, {"query", call_query},
        {"set", call_set},     {"delete", call_delete},     {"commit", call_commit},
        {"push", call_push},   {"pull", call_pull},         {"get_locked", call_get_locked},
        {"touch", call_touch}, {"count", call_count},       {"partitions", call_partitions},
        {"close", call_close}, {"purge", call_purge},       {"sweep", call_sweep}};
    assert_status(LK_OK, open_again());
    for (size_t i = 0; i < KIT_COUNT(calls); i++) {
        int64_t nth = 1;
        while (call_run(calls[i].name, calls[i].call, nth))
            nth++;
        assert_true(nth < NTH_MAX);
    }
    lk_close(db);
}

/* The first job of "w" was received already. */
static void
first_receive(void)
{
    lk_result *out = lk_result_new();
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = lk_string("w");
    start_anew();
    assert_status(LK_OK, lk_queue_pull(db, &pull, out));
    assert_status(LK_OK, lk_queue_release(db, lk_result_claim(out, 0), 0));
    lk_result_free(out);
}

/* A pull that cannot bury the first job fails, and the second one is there for the next pull. */
static void
test_pull_that_buries_without_memory_gives_the_others_back(void **state)
{
    (void)state;
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = lk_string("w");
    pull.max_jobs = 5;
    pull.max_receives = 1;
    pull.dead_pk = lk_string("dead");
    assert_status(LK_OK, open_again());
    int64_t nth = 1;
    for (bool ran_out = true; ran_out; nth++) {
        lk_result *out = lk_result_new();
        first_receive();
        uint64_t before = failed;
        fail_at = nth;
        lk_status status = lk_queue_pull(db, &pull, out);
        fail_at = 0;
        ran_out = failed != before;
        assert_status(ran_out ? LK_NO_MEMORY : LK_OK, status);
        if (ran_out)
            assert_status(LK_OK, lk_queue_pull(db, &pull, out));
        assert_int_equal(lk_result_count(out), 1);
        assert_int_equal(lk_result_claim(out, 0)->receives, 1);
        assert_true(lk_bytes_compare(lk_result_item(out, 0)->key.sk, lk_string("2")) == 0);
        lk_result_free(out);
    }
    assert_true(nth > 5 && nth < NTH_MAX);
    lk_close(db);
}

static void
test_open_without_memory_leaves_what_is_there(void **state)
{
    (void)state;
    assert_status(LK_OK, open_again());
    start_anew();
    lk_close(db);
    int64_t nth = 1;
    for (bool ran_out = true; ran_out; nth++) {
        uint64_t before = failed;
        fail_at = nth;
        lk_status status = open_again();
        fail_at = 0;
        ran_out = failed != before;
        assert_status(ran_out ? LK_NO_MEMORY : LK_OK, status);
        if (ran_out)
            assert_status(LK_OK, open_again());
        assert_true(holds("p", "old", "old"));
        lk_close(db);
    }
    assert_true(nth > 5 && nth < NTH_MAX);
}

static int
schema_drop(void **state)
{
    char text[64];
    (void)state;
    PGconn *pg = PQconnectdb(conninfo);
    snprintf(text, sizeof text, "DROP SCHEMA IF EXISTS %s CASCADE", schema);
    PGresult *done = PQexec(pg, text);
    int status = PQresultStatus(done) == PGRES_COMMAND_OK ? 0 : 1;
    PQclear(done);
    PQfinish(pg);
    return status;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_call_without_memory_does_nothing),
        cmocka_unit_test(test_pull_that_buries_without_memory_gives_the_others_back),
        cmocka_unit_test(test_open_without_memory_leaves_what_is_there),
    };
    conninfo = getenv("LATCHKEY_POSTGRES");
    if (conninfo == NULL) {
        puts("skipped: LATCHKEY_POSTGRES names no server");
        return 77;
    }
    snprintf(schema, sizeof schema, "latchkey_scarce_%ld", (long)getpid());
    wrapped_begin();
    return cmocka_run_group_tests(tests, NULL, schema_drop);
}
