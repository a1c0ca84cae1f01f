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

/* ---- pages ---- */

enum { ITEMS = 80, ITEM_SIZE = 1 << 16 };

static void
items_set(lk_db *db)
{
    static char data[ITEM_SIZE];
    for (int i = 0; i < ITEMS; i++) {
        char sk[8];
        snprintf(sk, sizeof sk, "%04d", i);
        lk_item item = {.key = lk_key_of("page", sk), .data = {data, ITEM_SIZE - (size_t)i}};
        EXPECT_OK(lk_set(db, &item, 1));
    }
}

/* How many rows the server has sent; a look at its clock may be among them. */
enum { CLOCK_ROWS = 6 };

static int
rows_sent(proxy *p)
{
    static proxy_talk talk;
    int rows = 0;
    proxy_settle(p, &talk);
    for (int i = 0; i < talk.count[PROXY_SERVER]; i++)
        rows += talk.said[PROXY_SERVER][i].type == 'D';
    return rows;
}

/* A page of at most so many bytes before its last item. */
static void
page_check(lk_db *db, proxy *p, const lk_query *query, size_t max_bytes, size_t wanted)
{
    lk_result *result = lk_result_new();
    lk_page page = {query, query->after.size != 0, SIZE_MAX, max_bytes};
    lk_bytes behind = {NULL, 0};
    EXPECT_OK(lk_query_page(db, &page, result)); /* it is prepared, and the connection there */
    proxy_watch(p, PROXY_NONE, PROXY_CLIENT, 0);
    EXPECT_OK(lk_query_page(db, &page, result));
    int rows = rows_sent(p);
    size_t count = lk_result_count(result);
    bool more = lk_result_has_more(result, &behind);
    EXPECT(count == wanted && (size_t)rows <= wanted + CLOCK_ROWS, count, rows);
    EXPECT(more == (wanted < ITEMS), more, 0);
    if (more && count != 0)
        EXPECT(lk_bytes_compare(behind, lk_result_item(result, count - 1)->key.sk) == 0, 0, 0);
    lk_result_free(result);
}

static void
stream_check(lk_db *db, bool reverse)
{
    lk_query query = {.pk = lk_string("page"), .reverse = reverse};
    lk_stream *stream = NULL;
    lk_item item;
    int seen = 0;
    EXPECT_OK(lk_stream_open(db, &query, &stream));
    for (; lk_stream_next(stream, &item) == LK_OK; seen++) {
        int i = reverse ? ITEMS - 1 - seen : seen;
        EXPECT(item.data.size == (size_t)(ITEM_SIZE - i), item.data.size, i);
    }
    EXPECT(seen == ITEMS, seen, reverse);
    lk_stream_close(stream);
}

static void
pages(void)
{
    proxy *p = proxy_new(server_conninfo(s), server_directory(s));
    lk_db *db = handle_open(proxy_conninfo(p));
    items_set(db);
    for (int way = 0; way < 4; way++) {
        lk_query query = {.pk = lk_string("page"), .reverse = way % 2 != 0};
        if (way >= 2)
            query.until = lk_string("9");
        page_check(db, p, &query, 1, 1);
        page_check(db, p, &query, ITEM_SIZE, way % 2 == 0 ? 1 : 2);
        page_check(db, p, &query, 3 * ITEM_SIZE + 1, 4);
        page_check(db, p, &query, (size_t)ITEMS * ITEM_SIZE, ITEMS);
        page_check(db, p, &query, SIZE_MAX, ITEMS);
    }
    stream_check(db, false);
    stream_check(db, true);
    lk_close(db);
    proxy_free(p);
}

/* ---- sets ---- */

enum { PARTS = 66, PART_SIZE = 1 << 20, LONG_MS = 300000 };

/* Of 66 MiB the first 64 are one statement, the rest another one, which the server refuses. */
static void
sets(void)
{
    static char data[PART_SIZE], sks[PARTS][8];
    char last[8];
    lk_item items[PARTS];
    lk_statistics before, after;
    options.deadline_ms = LONG_MS; /* a busy machine takes its time */
    lk_db *db = handle_open(server_conninfo(s));
    options.deadline_ms = 0;
    server_ask(s,
               "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
               "NEW.sk = '0000' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;"
               "CREATE TRIGGER refuse BEFORE INSERT ON latchkey.lk_item FOR EACH ROW "
               "WHEN (NEW.pk = 'set') EXECUTE FUNCTION public.refuse()",
               NULL, 0);
    for (int i = 0; i < PARTS; i++) { /* the last one has the least key */
        snprintf(sks[i], sizeof sks[i], "%04d", PARTS - 1 - i);
        items[i] = (lk_item){.key = lk_key_of("set", sks[i]), .data = {data, PART_SIZE}};
    }
    EXPECT_OK(lk_statistics_read(db, &before));
    EXPECT(lk_set(db, items, PARTS) == LK_UNAVAILABLE, 0, 0);
    EXPECT_OK(lk_statistics_read(db, &after));
    long long written = server_number(s, "SELECT count(*) FROM latchkey.lk_item WHERE pk = 'set'");
    EXPECT(written > 0 && written < PARTS, written, 0);
    EXPECT(after.sets - before.sets == (uint64_t)written, after.sets, written);
    server_ask(s, "SELECT min(convert_from(sk, 'UTF8')) FROM latchkey.lk_item WHERE pk = 'set'",
               last, sizeof last);
    EXPECT(written > 0 && strcmp(last, sks[written - 1]) == 0, written,
           0); /* those that come first */
    server_ask(s, "DROP TRIGGER refuse ON latchkey.lk_item", NULL, 0);
    EXPECT_OK(lk_set(db, items + written, (size_t)(PARTS - written)));
    lk_close(db);
}

/* ---- waits ---- */

/* Nobody waits for a lock at the server any more; in vain, for a while. */
static bool
nobody_waits(lk_db *db)
{
    enum { WAIT_MS = 20000 };
    int64_t until_ms = lk_monotonic_ms(db) + WAIT_MS;
    while (lk_monotonic_ms(db) < until_ms)
        if (server_number(s, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = "
                             "'Lock'") == 0)
            return true;
    return false;
}

/* What a call has given up, since somebody else has a row, the server gives up, too: each way of
 * sending it. */
static void
waits(void)
{
    for (int way = 0; way < 2; way++) {
        lk_lock lock;
        lk_item item = {.key = lk_key_of("waits", "held"), .data = lk_string("x")};
        lk_item job = {.key = lk_key_of("waits", "held"), .data = lk_string("x")};
        options.never_prepare = way == 1;
        options.deadline_ms = 500;
        lk_db *db = NULL;
        while (lk_postgres_open(server_conninfo(s), &options, &db) != LK_OK && crowd_is_well())
            ;
        options.deadline_ms = 0;
        options.never_prepare = false;
        lk_status status;
        while ((status = lk_set(db, &item, 1)) != LK_OK && crowd_is_well())
            EXPECT(status == LK_UNAVAILABLE || status == LK_UNKNOWN, status, way);
        PGconn *holder = server_row_hold(s, "waits", "held");
        status = lk_set(db, &item, 1);
        EXPECT(status == LK_UNAVAILABLE || status == LK_UNKNOWN, status, way);
        EXPECT(nobody_waits(db), way, 0);
        status = lk_get_lock(db, item.key, &lock);
        EXPECT(status == LK_UNAVAILABLE, status, way);
        EXPECT(nobody_waits(db), way, 1);
        status = lk_queue_push(db, &job, 1, NULL, NULL);
        EXPECT(status == LK_UNAVAILABLE || status == LK_UNKNOWN, status, way);
        EXPECT(nobody_waits(db), way, 2);
        server_row_free(holder);
        lk_close(db);
    }
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"queues", queues},
                                               {"queues_without_server", queues_without_server},
                                               {"pages", pages},
                                               {"sets", sets},
                                               {"waits", waits}};
    static const char *const settings[] = {"-c", "fsync=off", NULL};
    s = server_new(settings, NULL);
    options.create = true;
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    server_free(s);
    return failed;
}
