/* SPDX-License-Identifier: MIT
 *
 * Each call of the library, broken at each message of its conversation with the server, of either
 * side: the connection breaks before it, or in the middle of it; the server ends the session; it
 * falls silent; what comes is not the protocol.
 *
 * What was acknowledged is there, and once. What was refused is not. LK_UNKNOWN comes only from
 * what writes, and only where the answer to its commit was on its way. A connection that breaks
 * once costs a call nothing else: it is made again. No connection stays behind, and errno stays.
 */
#include <errno.h>
#include <latchkey/postgres.h>
#include <stdio.h>
#include <string.h>

#include "parts/calls.h"
#include "parts/proxy.h"
#include "parts/server.h"
#include "support/crowd.h"

enum { DEADLINE_MS = 10000, SHORT_MS = 100, SLACK_MS = 10000, ERRNO = 4711 };

typedef struct figures {
    uint64_t points, done, unknown, unavailable, others;
} figures;

static server *the_server;
static proxy *the_proxy;
static lk_db *direct;
static lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
static unsigned runs;

/* A deadline that is too short for what the machine is busy with becomes longer. False: it is as
 * long as it may be. */
static bool
deadline_grow(void)
{
    if (options.deadline_ms >= DEADLINE_MS)
        return false;
    options.deadline_ms =
        options.deadline_ms * 2 < DEADLINE_MS ? options.deadline_ms * 2 : DEADLINE_MS;
    return true;
}

static lk_db *
handle_open(const char *conninfo)
{
    lk_db *db = NULL;
    lk_status status = lk_postgres_open(conninfo, &options, &db);
    while (status == LK_UNAVAILABLE && deadline_grow())
        status = lk_postgres_open(conninfo, &options, &db);
    EXPECT(status == LK_OK, status, options.deadline_ms);
    return db;
}

/* ---- one run ---- */

static void
run_begin(run *r, const call *c, lk_db *db)
{
    r->db = db;
    r->direct = direct;
    snprintf(r->pk, sizeof r->pk, "run%u", ++runs);
    snprintf(r->other, sizeof r->other, "run%u other", runs);
    if (c->prepare != NULL)
        c->prepare(r);
}

typedef struct point {
    const call *call;
    proxy_harm harm;
    proxy_side side;
    int at;
    bool connects; /* on a new connection, which is part of it */
} point;

/* Does what the client asked in that exchange commit something? A transaction that it has begun
 * does so with COMMIT; a statement outside of one by itself. */
static bool
exchange_commits(const proxy_talk *talk, int exchange)
{
    bool begun = false, commits = false;
    for (int i = 0; i < talk->count[PROXY_CLIENT]; i++) {
        const proxy_message *m = &talk->said[PROXY_CLIENT][i];
        if (m->type != 'B' || m->exchange > exchange)
            continue;
        if (m->tag == 'B')
            begun = true;
        else if (m->exchange == exchange && (!begun || m->tag == 'C'))
            commits = true;
        if (m->tag == 'C' || m->tag == 'R')
            begun = false;
    }
    return commits;
}

/* May a call that broke there not know whether it was done? `talk`: up to there, and what the
 * client had sent behind it. */
static bool
is_in_doubt(const point *p, const proxy_talk *talk)
{
    int exchange = talk->said[p->side][p->at].exchange;
    if (!p->call->may_be_unknown || !exchange_commits(talk, exchange))
        return false;
    for (int i = 0; i < p->at && p->side == PROXY_SERVER; i++) {
        const proxy_message *m = &talk->said[PROXY_SERVER][i];
        if (m->exchange == exchange && m->type == 'C' && m->tag == 'C')
            return false; /* COMMIT was answered */
    }
    return true;
}

static bool
may_be_unavailable(const point *p)
{
    return p->harm == PROXY_STALL || p->harm == PROXY_GARBAGE;
}

static void
run_judge(const point *p, const proxy_talk *talk, const run *r, lk_status status, figures *sum)
{
    const call *c = p->call;
    bool refused = c->wanted == LK_EXISTS || c->wanted == LK_RACE;
    trace left = c->look != NULL ? c->look(r) : status == c->wanted ? DONE : NOTHING;
    bool told = p->harm == PROXY_TERMINATE; /* the server said what became of it */
    bool well = left != TORN;
    if (status == c->wanted && left == DONE && !refused)
        sum->done++;
    else if (status == c->wanted && refused)
        sum->done++, well = well && left == NOTHING;
    else if (status == LK_UNKNOWN)
        sum->unknown++, well = well && !told && is_in_doubt(p, talk);
    else if (status == LK_UNAVAILABLE)
        sum->unavailable++,
            well = well && (left == NOTHING || c->may_be_empty) && may_be_unavailable(p);
    else if (status == LK_EMPTY && c->may_be_empty)
        sum->others++;
    else
        well = false;
    if (!well)
        fprintf(stderr, "%s: harm %d at message %d of %s: %s, %s\n", c->name, (int)p->harm, p->at,
                p->side == PROXY_CLIENT ? "the client" : "the server", lk_status_string(status),
                left == DONE   ? "done"
                : left == TORN ? "torn"
                               : "not done");
    EXPECT(well, p->at, status);
}

/* ---- all points of a call ---- */

static void
handle_renew(const call *c, lk_db **db, bool connects)
{
    if (c->wants_new_handle) {
        lk_close(*db);
        *db = handle_open(proxy_conninfo(the_proxy));
    }
    if (connects)
        proxy_drop(the_proxy);
}

static lk_status
call_make(const call *c, run *r)
{
    uint64_t began = crowd_now_ns();
    errno = ERRNO;
    lk_status status = c->make(r);
    EXPECT(errno == ERRNO, errno, 0);
    uint64_t took_ms = (crowd_now_ns() - began) / 1000000;
    EXPECT(took_ms < (uint64_t)options.deadline_ms + SLACK_MS, took_ms, options.deadline_ms);
    return status;
}

/* The call without any harm, on a connection that knows it. Where it comes to its deadline in vain,
 * it is made again with a longer one. */
static void
call_clean(const call *c, lk_db **db, run *r, bool connects, int times, proxy_talk *clean)
{
    for (int done = 0; done < times && crowd_is_well();) {
        handle_renew(c, db, connects);
        run_begin(r, c, *db);
        proxy_watch(the_proxy, PROXY_NONE, PROXY_CLIENT, 0);
        lk_status status = call_make(c, r);
        proxy_settle(the_proxy, clean);
        done = status == c->wanted ? done + 1 : 0;
        if (done == 0 && deadline_grow()) {
            lk_close(*db);
            *db = handle_open(proxy_conninfo(the_proxy));
        } else {
            EXPECT(done != 0, status, c - calls);
        }
    }
}

/* `warm`: is there a connection that knows the call? */
static void
point_break(const point *p, lk_db **db, run *r, bool *warm, figures *sum)
{
    static proxy_talk clean, talk;
    call_clean(p->call, db, r, p->connects, *warm ? 1 : 2, &clean);
    handle_renew(p->call, db, p->connects);
    run_begin(r, p->call, *db);
    if (p->at >= clean.count[p->side])
        return; /* this time there were fewer of them */
    proxy_watch(the_proxy, p->harm, p->side, p->at);
    lk_status status = call_make(p->call, r);
    proxy_settle(the_proxy, &talk);
    *warm = status == p->call->wanted;
    sum->points += talk.harmed;
    run_judge(p, &talk, r, status, sum);
    EXPECT(proxy_open(the_proxy, 1) <= 1, p->at, 0);
}

/* Of messages that are broken one after the other: a push tries every third, a night each. */
static bool
is_third(int at)
{
    return at % 3 == 0 || test_scaled(1) > 1;
}

/* Is it one of those that each harm is tried at for every push: the first of an exchange of the
 * client's, and the last of one of the server's? */
static bool
is_corner(const proxy_talk *talk, proxy_side side, int at)
{
    int beside = side == PROXY_CLIENT ? at - 1 : at + 1;
    return beside < 0 || beside >= talk->count[side] ||
           talk->said[side][beside].exchange != talk->said[side][at].exchange;
}

static void
call_break(const call *c, lk_db **db, proxy_harm harm, bool connects, figures *sum)
{
    proxy_talk clean;
    run r = {.result = lk_result_new(), .seen = lk_result_new()};
    bool warm = true, plain = harm == PROXY_CUT && !connects && !options.never_prepare;
    bool many = (plain && test_scaled(100) >= 100) || test_scaled(1) > 1;
    server_ask(the_server, "TRUNCATE latchkey.lk_item, latchkey.lk_queue", NULL, 0);
    call_clean(c, db, &r, connects, 2, &clean);
    for (int side = PROXY_CLIENT; side <= PROXY_SERVER; side++)
        for (int at = 0; at < clean.count[side] && crowd_is_well(); at++)
            if ((many && is_third(at)) || is_corner(&clean, (proxy_side)side, at))
                point_break(&(point){c, harm, (proxy_side)side, at, connects}, db, &r, &warm, sum);
    lk_result_free(r.result);
    lk_result_free(r.seen);
}

static void
figures_note(const figures *sum)
{
    crowd_note("points", sum->points);
    crowd_note("acknowledged", sum->done);
    crowd_note("unknown", sum->unknown);
    crowd_note("unavailable", sum->unavailable);
    crowd_note("empty", sum->others);
}

static void
harm_all(proxy_harm harm, bool never_prepare, int64_t deadline_ms)
{
    figures sum = {0};
    options.never_prepare = never_prepare;
    options.deadline_ms = deadline_ms;
    lk_db *db = handle_open(proxy_conninfo(the_proxy));
    for (unsigned i = 0; i < call_count && crowd_is_well(); i++) {
        if (options.deadline_ms != deadline_ms) { /* it has grown for the call before */
            lk_close(db);
            options.deadline_ms = deadline_ms;
            db = handle_open(proxy_conninfo(the_proxy));
        }
        call_break(&calls[i], &db, harm, false, &sum);
    }
    lk_close(db);
    EXPECT(proxy_open(the_proxy, 0) == 0, 0, 0);
    figures_note(&sum);
}

static void
cut(void)
{
    harm_all(PROXY_CUT, false, DEADLINE_MS);
}

static void
cut_unprepared(void)
{
    harm_all(PROXY_CUT, true, DEADLINE_MS);
}

static void
truncated(void)
{
    harm_all(PROXY_TRUNCATE, false, DEADLINE_MS);
}

static void
terminated(void)
{
    harm_all(PROXY_TERMINATE, false, DEADLINE_MS);
}

static void
silent(void)
{
    harm_all(PROXY_STALL, false, SHORT_MS);
}

static void
garbled(void)
{
    harm_all(PROXY_GARBAGE, false, SHORT_MS);
}

/* On a new connection, with its start, its first look at the clock and all that is prepared. */
static void
connecting(void)
{
    static const proxy_harm harms[] = {PROXY_CUT, PROXY_TRUNCATE, PROXY_TERMINATE};
    static const char *const names[] = {"commit", "pull", "get", "set", "push planned"};
    size_t name_count = test_scaled(1) > 1 ? sizeof names / sizeof *names : 2;
    figures sum = {0};
    options.never_prepare = false;
    options.deadline_ms = DEADLINE_MS;
    lk_db *db = handle_open(proxy_conninfo(the_proxy));
    for (unsigned i = 0; i < call_count; i++)
        for (unsigned n = 0; n < name_count && crowd_is_well(); n++)
            for (unsigned h = 0; strcmp(calls[i].name, names[n]) == 0 && h < 3; h++)
                call_break(&calls[i], &db, harms[h], true, &sum);
    lk_close(db);
    figures_note(&sum);
}

/* ---- opening ---- */

/* Tables are made: where that breaks, the next one who opens makes what is missing. */
static void
opening(void)
{
    figures sum = {0};
    char schema[32];
    proxy_talk talk;
    options.never_prepare = false;
    options.deadline_ms = DEADLINE_MS;
    options.schema = schema;
    options.create = true;
    for (int side = PROXY_CLIENT; side <= PROXY_SERVER; side++)
        for (int at = 0, harmed = true; harmed && crowd_is_well(); at++) {
            lk_db *db = NULL;
            if (!is_third(at))
                continue;
            snprintf(schema, sizeof schema, "opening %d %d", side, at);
            proxy_watch(the_proxy, PROXY_CUT, (proxy_side)side, at);
            errno = ERRNO;
            lk_status status = lk_postgres_open(proxy_conninfo(the_proxy), &options, &db);
            EXPECT(errno == ERRNO, errno, at);
            proxy_settle(the_proxy, &talk);
            harmed = talk.harmed;
            sum.points += talk.harmed;
            sum.done += status == LK_OK;
            sum.unavailable += status == LK_UNAVAILABLE;
            EXPECT(status == LK_OK || (harmed && status == LK_UNAVAILABLE), status, at);
            EXPECT((db == NULL) == (status != LK_OK), status, at);
            lk_close(db);
            EXPECT(proxy_open(the_proxy, 0) == 0, at, 0);
            db = handle_open(server_conninfo(the_server));
            EXPECT_OK(crowd_set(db, lk_key_of("a", "b"), 1, 1));
            lk_close(db);
        }
    options.schema = NULL;
    figures_note(&sum);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"cut", cut},
                                               {"cut_unprepared", cut_unprepared},
                                               {"truncated", truncated},
                                               {"terminated", terminated},
                                               {"silent", silent},
                                               {"garbled", garbled},
                                               {"connecting", connecting},
                                               {"opening", opening}};
    static const char *const settings[] = {"-c", "fsync=off", NULL};
    the_server = server_new(settings, NULL);
    the_proxy = proxy_new(server_conninfo(the_server), server_directory(the_server));
    options.create = true;
    direct = handle_open(server_conninfo(the_server));
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    lk_close(direct);
    proxy_free(the_proxy);
    server_free(the_server);
    return failed;
}
