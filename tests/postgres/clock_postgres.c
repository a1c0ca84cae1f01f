/* SPDX-License-Identifier: MIT
 *
 * The machine was suspended, or halted, and its monotonic clock knows nothing of that: what a
 * handle takes for the server's time is right again with the next call, or within seconds.
 *
 * Both clocks are turned: the server's by a function that is found before its own, this machine's
 * by one in place of libc's.
 */
#include <latchkey/postgres.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "parts/server.h"
#include "support/crowd.h"

enum { GONE_MS = 3600000, LOOK_MS = 6000, SLACK_MS = 2000, TEXT_ROOM = 1024 };

static server *s;

/* ---- clocks ---- */

static _Atomic(int64_t) monotonic_ahead_ms, realtime_ahead_ms;
static int64_t server_ahead_ms;

/* In place of libc's, for all of the program. */
int
clock_gettime(clockid_t id, struct timespec *now)
{
    int64_t ahead_ms = id == CLOCK_MONOTONIC  ? monotonic_ahead_ms
                       : id == CLOCK_REALTIME ? realtime_ahead_ms
                                              : 0;
    int status = (int)syscall(SYS_clock_gettime, id, now);
    now->tv_sec += (time_t)(ahead_ms / 1000);
    return status;
}

/* So much later: by the server's clock, by this machine's monotonic one, by its own time. */
static void
pass(int64_t server_ms, int64_t monotonic_ms, int64_t realtime_ms)
{
    char text[TEXT_ROOM];
    server_ahead_ms += server_ms;
    snprintf(text, sizeof text, "UPDATE turned.by SET ms = %lld", (long long)server_ahead_ms);
    server_ask(s, text, NULL, 0);
    monotonic_ahead_ms += monotonic_ms;
    realtime_ahead_ms += realtime_ms;
}

/* How far a handle is behind the server. */
static int64_t
behind_ms(lk_db *db)
{
    int64_t server_ms =
        server_number(s, "SELECT (extract(epoch from clock_timestamp()) * 1000)::int8");
    return server_ms + server_ahead_ms - lk_now_ms(db);
}

static bool
is_right(lk_db *db)
{
    int64_t ms = behind_ms(db);
    return ms < SLACK_MS && ms > -SLACK_MS;
}

/* ---- handles ---- */

static lk_db *
handle_open(void)
{
    char conninfo[TEXT_ROOM];
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    lk_db *db = NULL;
    options.create = true;
    snprintf(conninfo, sizeof conninfo, "%s options='-c search_path=turned,pg_catalog'",
             server_conninfo(s));
    EXPECT_OK(lk_postgres_open(conninfo, &options, &db));
    EXPECT(is_right(db), behind_ms(db), 0);
    return db;
}

static lk_status
item_get(lk_db *db)
{
    char byte;
    size_t size;
    return lk_get_into(db, lk_key_of("clock", "item"), &byte, 1, &size);
}

/* An item that expires while nobody is there. */
static void
item_set(lk_db *db)
{
    lk_item item = {.key = lk_key_of("clock", "item"),
                    .data = lk_string("x"),
                    .expires_at_ms = lk_now_ms(db) + GONE_MS / 2};
    EXPECT_OK(lk_set(db, &item, 1));
    EXPECT_OK(item_get(db));
}

/* The machine wakes up, and sets its own time: so the first call is right. */
static void
suspended(void)
{
    lk_db *db = handle_open();
    item_set(db);
    pass(GONE_MS, 0, GONE_MS);
    EXPECT(item_get(db) == LK_NOT_FOUND, 0, 0);
    EXPECT(is_right(db), behind_ms(db), 0);
    lk_close(db);
}

/* Its own time has stood still, too. */
static void
halted(void)
{
    lk_db *db = handle_open();
    item_set(db);
    pass(GONE_MS, 0, 0);
    pass(LOOK_MS, LOOK_MS, LOOK_MS);
    EXPECT(item_get(db) == LK_NOT_FOUND, 0, 0);
    EXPECT(is_right(db), behind_ms(db), 0);
    lk_close(db);
}

/* Somebody sets this machine's time, or the server's. */
static void
stepped(void)
{
    lk_db *db = handle_open();
    item_set(db);
    pass(0, 0, GONE_MS);
    EXPECT_OK(item_get(db));
    EXPECT(is_right(db), behind_ms(db), 0);
    pass(-GONE_MS + LOOK_MS, LOOK_MS, LOOK_MS);
    EXPECT_OK(item_get(db));
    EXPECT(is_right(db), behind_ms(db), 0);
    lk_close(db);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {
        {"suspended", suspended}, {"halted", halted}, {"stepped", stepped}};
    static const char *const settings[] = {"-c", "fsync=off", NULL};
    s = server_new(settings, NULL);
    server_ask(s,
               "CREATE SCHEMA turned; CREATE TABLE turned.by AS SELECT 0::int8 AS ms; "
               "CREATE FUNCTION turned.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
               "'SELECT pg_catalog.clock_timestamp() + ms * interval ''1 ms'' FROM turned.by'",
               NULL, 0);
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    server_free(s);
    return failed;
}
