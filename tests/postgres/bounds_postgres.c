/* SPDX-License-Identifier: MIT
 *
 * What a handle keeps, reads and sends at once has bounds: of queues it knows a thousand or so,
 * however many it has used, and loses none of their counters; a page of a stream ends where its
 * bytes do, already at the server; a large lk_set is written in the order of its items.
 */
#include <latchkey/adapter.h>
#include <latchkey/postgres.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/proxy.h"
#include "parts/server.h"
#include "support/crowd.h"

static server *s;
static lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;

static lk_db *
handle_open(const char *conninfo)
{
    lk_db *db = NULL;
    EXPECT_OK(lk_postgres_open(conninfo, &options, &db));
    return db;
}

/* ---- queues ---- */

enum { QUEUES = 4000, NAME_SIZE = 1000, KEPT_MOST = 2000 };

int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
    __attribute__((weak)); /* jemalloc's, where that is what the tests run with */

/* Bytes that are allocated; 0 where nobody says so, as under a sanitizer. */
static size_t
allocated(void)
{
    uint64_t epoch = 1;
    size_t bytes = 0, size = sizeof bytes;
    if (mallctl == NULL)
        return mallinfo2().uordblks;
    (void)mallctl("epoch", NULL, NULL, &epoch, sizeof epoch);
    (void)mallctl("stats.allocated", &bytes, &size, NULL, 0);
    return bytes;
}

/* One push to each of many queues. */
static void
queues(void)
{
    char name[NAME_SIZE + 1];
    lk_db *db = handle_open(server_conninfo(s));
    size_t before = allocated();
    memset(name, 'n', NAME_SIZE);
    for (int i = 0; i < QUEUES && crowd_is_well(); i++) {
        snprintf(name + NAME_SIZE - 10, 11, "%010d", i);
        lk_item job = {.key = {lk_string(name), lk_string("")}, .data = lk_string("job")};
        EXPECT_OK(lk_queue_push(db, &job, 1, NULL, NULL));
    }
    size_t grown = allocated() - before;
    EXPECT((int64_t)grown < (int64_t)KEPT_MOST * NAME_SIZE, grown, 0);
    long long sent = server_number(s, "SELECT sum(pushes) FROM latchkey.lk_queue");
    EXPECT(sent >= QUEUES - KEPT_MOST, sent, 0);
    lk_close(db);
    EXPECT(server_number(s, "SELECT count(*) FROM latchkey.lk_queue WHERE pushes = 1") == QUEUES, 0,
           0);
    EXPECT(server_number(s, "SELECT sum(pushes) FROM latchkey.lk_queue") == QUEUES, 0, 0);
}

/* The server is away when it is time to forget some: their counters stay, and are sent later. */
static void
queues_without_server(void)
{
    char name[32];
    lk_db *db = handle_open(server_conninfo(s));
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    lk_result *result = lk_result_new();
    server_ask(s, "TRUNCATE latchkey.lk_queue", NULL, 0);
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "away %d", i);
        pull.pk = lk_string(name);
        EXPECT(lk_queue_pull(db, &pull, result) == LK_EMPTY, i, 0);
    }
    server_stop(s, SIGINT);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "other %d", i);
        pull.pk = lk_string(name);
        EXPECT(lk_queue_pull(db, &pull, result) == LK_UNAVAILABLE, i, 0);
    }
    server_start(s);
    for (int i = 0; i < 1100; i++) {
        snprintf(name, sizeof name, "back %d", i);
        pull.pk = lk_string(name);
        EXPECT(lk_queue_pull(db, &pull, result) == LK_EMPTY, i, 0);
    }
    lk_result_free(result);
    lk_close(db);
    long long sent = server_number(s, "SELECT sum(empty_pulls) FROM latchkey.lk_queue");
    EXPECT(sent == 2200, sent, 0);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"queues", queues},
                                               {"queues_without_server", queues_without_server}};
    static const char *const settings[] = {"-c", "fsync=off", NULL};
    s = server_new(settings, NULL);
    options.create = true;
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    server_free(s);
    return failed;
}
