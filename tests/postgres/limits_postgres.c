/* SPDX-License-Identifier: MIT
 *
 * Servers that refuse: by their own timeouts, for the state of the tables, for who asks, for want
 * of connections; silent ones, and those that are none. Each call ends in a status of the contract,
 * within its deadline; what is refused is not done; and the handle goes on as soon as the server
 * does.
 */
#include <errno.h>
#include <latchkey/postgres.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "parts/calls.h"
#include "parts/proxy.h"
#include "parts/server.h"
#include "support/crowd.h"

enum { DEADLINE_MS = 20000, SHORT_MS = 300, SLACK_MS = 10000, TEXT_ROOM = 1024, ERRNO = 4711 };

static server *s;
static lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;

static lk_db *
handle_open(const char *conninfo)
{
    lk_db *db = NULL;
    EXPECT_OK(lk_postgres_open(conninfo, &options, &db));
    return db;
}

/* Opens in vain. */
static void
open_fails(lk_status wanted, const char *conninfo)
{
    lk_db *db = NULL;
    errno = ERRNO;
    uint64_t began = crowd_now_ns();
    lk_status status = lk_postgres_open(conninfo, &options, &db);
    uint64_t took_ms = (crowd_now_ns() - began) / 1000000;
    EXPECT(status == wanted && db == NULL, status, wanted);
    EXPECT(errno == ERRNO, errno, 0);
    EXPECT(took_ms < (uint64_t)options.deadline_ms + SLACK_MS, took_ms, 0);
    lk_close(db);
}

static lk_status
set(lk_db *db, const char *sk, const char *text)
{
    lk_item item = {.key = lk_key_of("limits", sk), .data = lk_string(text)};
    return lk_set(db, &item, 1);
}

static lk_status
commit(lk_db *db, const char *sk, const char *text)
{
    lk_write writes[2] = {
        {.kind = LK_PUT, .item = {.key = lk_key_of("limits", sk), .data = lk_string(text)}},
        {.kind = LK_PUT, .item = {.key = lk_key_of("limits", "beside"), .data = lk_string(text)}}};
    return lk_commit(db, writes, 2, NULL, 0, NULL);
}

static bool
holds(lk_db *db, const char *sk, const char *text)
{
    lk_result *result = lk_result_new();
    lk_status status = lk_get(db, lk_key_of("limits", sk), result);
    bool is = status == LK_OK ? text != NULL && lk_bytes_compare(lk_result_item(result, 0)->data,
                                                                 lk_string(text)) == 0
                              : text == NULL && status == LK_NOT_FOUND;
    lk_result_free(result);
    return is;
}

/* ---- somebody else holds a row ---- */

/* With a setting of the server's, calls that wait for a row end; then they are made. A lock that
 * was not there in time is asked for again, up to the deadline: the last try may be under way then.
 */
static void
waits_end(const char *setting)
{
    char text[TEXT_ROOM];
    lk_db *db = handle_open(server_conninfo(s));
    EXPECT_OK(set(db, "held", "old"));
    EXPECT_OK(lk_delete(db, &(lk_key){lk_string("limits"), lk_string("beside")}, 1));
    lk_close(db);
    snprintf(text, sizeof text, "ALTER DATABASE postgres SET %s = '50ms'", setting);
    server_ask(s, text, NULL, 0);
    options.deadline_ms = 2000;
    db = handle_open(server_conninfo(s));
    options.deadline_ms = DEADLINE_MS;
    PGconn *holder = server_row_hold(s, "limits", "held");
    lk_status of_set = set(db, "held", "new"), of_commit = commit(db, "held", "new");
    bool asked_again = strcmp(setting, "lock_timeout") == 0;
    EXPECT(of_set == LK_UNAVAILABLE || (asked_again && of_set == LK_UNKNOWN), of_set, 0);
    EXPECT(of_commit == LK_UNAVAILABLE, of_commit, 0);
    EXPECT(holds(db, "held", "old") && holds(db, "beside", NULL), 0, 0);
    server_row_free(holder);
    EXPECT_OK(set(db, "held", "new"));
    EXPECT_OK(commit(db, "held", "newer"));
    EXPECT(holds(db, "held", "newer") && holds(db, "beside", "newer"), 0, 0);
    lk_close(db);
    snprintf(text, sizeof text, "ALTER DATABASE postgres RESET %s", setting);
    server_ask(s, text, NULL, 0);
}

static void
timeouts(void)
{
    waits_end("statement_timeout");
    waits_end("lock_timeout");
}

/* The session ends between the two round trips of a commit: it is made anew. */
static void
idle_session(void)
{
    proxy *p = proxy_new(server_conninfo(s), server_directory(s));
    proxy_talk talk;
    server_ask(s, "ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '50ms'", NULL,
               0);
    lk_db *db = handle_open(proxy_conninfo(p));
    EXPECT_OK(commit(db, "idle", "first"));
    proxy_watch(p, PROXY_NONE, PROXY_CLIENT, 0);
    EXPECT_OK(commit(db, "idle", "second"));
    proxy_settle(p, &talk);
    int at = 0; /* the first message of the second round trip */
    while (at < talk.count[PROXY_CLIENT] && talk.said[PROXY_CLIENT][at].exchange == 0)
        at++;
    proxy_watch(p, PROXY_HOLD, PROXY_CLIENT, at);
    EXPECT_OK(commit(db, "idle", "third"));
    proxy_settle(p, &talk);
    EXPECT(talk.harmed, at, talk.count[PROXY_CLIENT]);
    EXPECT(holds(db, "idle", "third"), 0, 0);
    lk_close(db);
    proxy_free(p);
    server_ask(s, "ALTER DATABASE postgres RESET idle_in_transaction_session_timeout", NULL, 0);
    EXPECT(server_log_count(s, "idle-in-transaction timeout") == 1, 0, 0);
}

/* A commit that is refused after its statement was answered. */
static void
refused_at_the_end(void)
{
    lk_db *db = handle_open(server_conninfo(s));
    server_ask(s,
               "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
               "NEW.sk = 'refused' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$;"
               "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON latchkey.lk_item "
               "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.refuse()",
               NULL, 0);
    lk_status of_set = set(db, "refused", "x"), of_commit = commit(db, "refused", "x");
    EXPECT(of_set == LK_UNAVAILABLE, of_set, 0);
    EXPECT(of_commit == LK_UNAVAILABLE, of_commit, 0);
    EXPECT(holds(db, "refused", NULL), 0, 0);
    EXPECT_OK(set(db, "taken", "x"));
    server_ask(s, "DROP TRIGGER refuse ON latchkey.lk_item", NULL, 0);
    EXPECT_OK(set(db, "refused", "x"));
    lk_close(db);
}

/* ---- silence ---- */

static void
silence(void)
{
    lk_result *result = lk_result_new();
    options.deadline_ms = SHORT_MS;
    lk_db *db = handle_open(server_conninfo(s));
    EXPECT_OK(set(db, "silent", "old"));
    server_signal(s, SIGSTOP);
    for (int i = 0; i < 3; i++) {
        uint64_t began = crowd_now_ns();
        lk_status status = i == 0   ? lk_get(db, lk_key_of("limits", "silent"), result)
                           : i == 1 ? commit(db, "silent", "new")
                                    : set(db, "silent", "new");
        uint64_t took_ms = (crowd_now_ns() - began) / 1000000;
        EXPECT(took_ms < SHORT_MS + SLACK_MS, took_ms, i);
        EXPECT(status == LK_UNAVAILABLE || (i == 2 && status == LK_UNKNOWN), status, i);
    }
    lk_db *none = NULL;
    EXPECT(lk_postgres_open(server_conninfo(s), &options, &none) == LK_UNAVAILABLE, 0, 0);
    server_signal(s, SIGCONT);
    lk_status status;
    while ((status = set(db, "silent", "last")) != LK_OK && crowd_is_well())
        EXPECT(status == LK_UNAVAILABLE || status == LK_UNKNOWN, status, 0);
    EXPECT(holds(db, "silent", "last"), 0, 0);
    lk_close(db);
    options.deadline_ms = DEADLINE_MS;
    lk_result_free(result);
}

static void
absence(void)
{
    lk_result *result = lk_result_new();
    lk_db *db = handle_open(server_conninfo(s));
    EXPECT_OK(set(db, "absent", "old"));
    server_stop(s, SIGINT);
    EXPECT(lk_get(db, lk_key_of("limits", "absent"), result) == LK_UNAVAILABLE, 0, 0);
    EXPECT(set(db, "absent", "new") == LK_UNAVAILABLE, 0, 0);
    EXPECT(commit(db, "absent", "new") == LK_UNAVAILABLE, 0, 0);
    open_fails(LK_UNAVAILABLE, server_conninfo(s));
    server_start(s);
    EXPECT(holds(db, "absent", "old"), 0, 0);
    EXPECT_OK(set(db, "absent", "new"));
    lk_close(db);
    lk_result_free(result);
}

/* A descriptor hears of jobs again, once the server is back. */
static void
descriptor(void)
{
    lk_result *result = lk_result_new();
    lk_item job = {.key = {lk_string("watched"), {NULL, 0}}, .data = lk_string("x")};
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    struct pollfd fd = {.events = POLLIN};
    lk_db *db = handle_open(server_conninfo(s)), *other = handle_open(server_conninfo(s));
    pull.pk = job.key.pk;
    EXPECT_OK(lk_queue_fd(db, job.key.pk, &fd.fd));
    server_stop(s, SIGQUIT);
    EXPECT(lk_queue_push(other, &job, 1, NULL, NULL) == LK_UNAVAILABLE, 0, 0);
    server_start(s);
    EXPECT_OK(lk_queue_push(other, &job, 1, NULL, NULL));
    EXPECT(poll(&fd, 1, SLACK_MS) == 1, errno, 0);
    EXPECT_OK(lk_queue_pull(db, &pull, result));
    lk_close(other);
    lk_close(db);
    lk_result_free(result);
}

/* ---- the pool ---- */

static void
pool_member(crowd_member *m)
{
    lk_db *db = m->context;
    lk_status status = m->index == 0 ? set(db, "pool", "new") : set(db, "other", "new");
    /* The server gives the row up when this end does. Who gets the connection then, at the end of
     * its own time, may have no answer any more. */
    bool in_time = status == LK_UNAVAILABLE || status == LK_UNKNOWN;
    EXPECT(in_time || (m->index != 0 && status == LK_OK), status, m->index);
}

/* One connection, and a call on it that waits for a row: others end in time. */
static void
exhausted(void)
{
    options.deadline_ms = SHORT_MS;
    options.max_connections = 1;
    lk_db *db = handle_open(server_conninfo(s));
    EXPECT_OK(set(db, "pool", "old"));
    PGconn *holder = server_row_hold(s, "limits", "pool");
    uint64_t began = crowd_now_ns();
    crowd_run(1, pool_member, db); /* perhaps in doubt, where the server still waits */
    crowd_run(3, pool_member, db);
    EXPECT((crowd_now_ns() - began) / 1000000 < 2 * SHORT_MS + SLACK_MS, 0, 0);
    server_row_free(holder);
    options.deadline_ms = DEADLINE_MS;
    lk_close(db);
    options.max_connections = 0;
}

static void
adders_run(crowd_member *m)
{
    for (int i = 0; i < 20; i++)
        EXPECT_OK(lk_add(m->context, lk_key_of("limits", "sum"), 1, 0, NULL));
}

/* The server lets this user have two connections; the handle would have eight. */
static void
too_many(void)
{
    int64_t sum = 0;
    char conninfo[TEXT_ROOM];
    lk_close(handle_open(server_conninfo(s)));
    server_ask(s,
               "CREATE ROLE little LOGIN CONNECTION LIMIT 2; GRANT ALL ON SCHEMA latchkey TO "
               "little; GRANT ALL ON ALL TABLES IN SCHEMA latchkey TO little; GRANT ALL ON ALL "
               "SEQUENCES IN SCHEMA latchkey TO little",
               NULL, 0);
    snprintf(conninfo, sizeof conninfo, "host=%s user=little dbname=postgres", server_directory(s));
    lk_db *db = handle_open(conninfo);
    crowd_run(8, adders_run, db);
    EXPECT_OK(lk_add(db, lk_key_of("limits", "sum"), 0, 0, &sum));
    EXPECT(sum == 160, sum, 0);
    lk_close(db);
}

/* ---- who is let in ---- */

static void
strangers(void)
{
    char conninfo[TEXT_ROOM];
    snprintf(conninfo, sizeof conninfo, "host=%s user=nobody dbname=postgres", server_directory(s));
    open_fails(LK_UNAVAILABLE, conninfo);
    snprintf(conninfo, sizeof conninfo, "host=%s user=latchkey dbname=none", server_directory(s));
    open_fails(LK_UNAVAILABLE, conninfo);
    snprintf(conninfo, sizeof conninfo, "host=%s/none user=latchkey", server_directory(s));
    open_fails(LK_UNAVAILABLE, conninfo);
    server_ask(s, "CREATE ROLE guest LOGIN", NULL, 0);
    snprintf(conninfo, sizeof conninfo, "host=%s user=guest dbname=postgres", server_directory(s));
    lk_close(handle_open(server_conninfo(s)));
    open_fails(LK_UNAVAILABLE, conninfo); /* may not look at the tables */
    open_fails(LK_INVALID, "this is no conninfo");
}

static void
passwords(void)
{
    char text[TEXT_ROOM], conninfo[TEXT_ROOM];
    lk_close(handle_open(server_conninfo(s)));
    server_ask(s,
               "CREATE ROLE secret LOGIN PASSWORD 'right'; GRANT ALL ON SCHEMA latchkey TO secret; "
               "GRANT ALL ON ALL TABLES IN SCHEMA latchkey TO secret; GRANT ALL ON ALL SEQUENCES "
               "IN SCHEMA latchkey TO secret",
               NULL, 0);
    server_stop(s, SIGINT);
    snprintf(text, sizeof text, "sed -i '1i local all secret scram-sha-256' %s/data/pg_hba.conf",
             server_directory(s));
    EXPECT(system(text) == 0, errno, 0);
    server_start(s);
    for (int right = 0; right < 3; right++) {
        static const char *const passwords[] = {"", "password=wrong", "password=right"};
        snprintf(conninfo, sizeof conninfo, "host=%s user=secret dbname=postgres %s",
                 server_directory(s), passwords[right]);
        if (right == 2)
            lk_close(handle_open(conninfo));
        else
            open_fails(LK_UNAVAILABLE, conninfo);
    }
}

/* ---- those that are no servers ---- */

typedef struct impostor {
    int listener;
    const char *says;
} impostor;

static void *
impostor_run(void *context)
{
    impostor *i = context;
    int client;
    while ((client = accept(i->listener, NULL, NULL)) >= 0) {
        char heard[512];
        if (i->says != NULL && recv(client, heard, sizeof heard, 0) > 0)
            (void)!send(client, i->says, strlen(i->says), MSG_NOSIGNAL);
        if (i->says == NULL || i->says[0] == '\0')
            close(client); /* else it is kept: nothing more comes */
    }
    return NULL;
}

static void
impostors(void)
{
    static const char *const all[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                      "R",
                                      "E\xff\xff\xff\xff",
                                      "R\x7f\x7f\x7f\x7f"
                                      "a lot is to come",
                                      "",
                                      NULL};
    options.deadline_ms = SHORT_MS;
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) {
        char conninfo[TEXT_ROOM];
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        impostor i = {socket(AF_UNIX, SOCK_STREAM, 0), all[n]};
        pthread_t thread;
        snprintf(address.sun_path, sizeof address.sun_path, "%.80s/.s.PGSQL.%u",
                 server_directory(s), 6000 + n);
        EXPECT(bind(i.listener, (struct sockaddr *)&address, sizeof address) == 0, errno, n);
        EXPECT(listen(i.listener, 8) == 0, errno, n);
        if (pthread_create(&thread, NULL, impostor_run, &i) != 0)
            abort();
        snprintf(conninfo, sizeof conninfo, "host=%s port=%u user=latchkey", server_directory(s),
                 6000 + n);
        open_fails(LK_UNAVAILABLE, conninfo);
        shutdown(i.listener, SHUT_RDWR);
        pthread_join(thread, NULL);
        close(i.listener);
    }
    options.deadline_ms = DEADLINE_MS;
}

/* TLS is asked for: it is refused, or what follows is none. */
static void
no_tls(void)
{
    static const char *const all[] = {"N", "S", "Sthis is no handshake"};
    options.deadline_ms = SHORT_MS;
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) {
        char conninfo[TEXT_ROOM];
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof address;
        impostor i = {socket(AF_INET, SOCK_STREAM, 0), all[n]};
        pthread_t thread;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT(bind(i.listener, (struct sockaddr *)&address, size) == 0, errno, n);
        EXPECT(listen(i.listener, 8) == 0, errno, n);
        EXPECT(getsockname(i.listener, (struct sockaddr *)&address, &size) == 0, errno, n);
        if (pthread_create(&thread, NULL, impostor_run, &i) != 0)
            abort();
        snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%u user=latchkey sslmode=require",
                 ntohs(address.sin_port));
        open_fails(LK_UNAVAILABLE, conninfo);
        shutdown(i.listener, SHUT_RDWR);
        pthread_join(thread, NULL);
        close(i.listener);
    }
    options.deadline_ms = DEADLINE_MS;
}

/* The first of two hosts takes connections, and says nothing: the second one has its turn. */
static void
silent_host(void)
{
    char conninfo[TEXT_ROOM];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/.s.PGSQL.7000", server_directory(s));
    EXPECT(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, errno, 0);
    EXPECT(listen(listener, 8) == 0, errno, 0);
    snprintf(conninfo, sizeof conninfo,
             "host=%s,%s port=7000,5432 user=latchkey dbname=postgres connect_timeout=1",
             server_directory(s), server_directory(s));
    lk_db *db = handle_open(conninfo);
    if (db != NULL)
        EXPECT_OK(set(db, "second host", "x"));
    lk_close(db);
    close(listener);
}

static void
old_server(void)
{
    proxy *p = proxy_new(server_conninfo(s), server_directory(s));
    proxy_fake_version(p, "9.6.24");
    open_fails(LK_UNSUPPORTED, proxy_conninfo(p));
    proxy_fake_version(p, "12.22");
    open_fails(LK_UNSUPPORTED, proxy_conninfo(p));
    proxy_fake_version(p, "nonsense");
    open_fails(LK_UNSUPPORTED, proxy_conninfo(p));
    proxy_fake_version(p, NULL);
    lk_close(handle_open(proxy_conninfo(p)));
    proxy_free(p);
}

/* ---- tables ---- */

static void
versions(void)
{
    static const struct {
        const char *change;
        lk_status wanted;
    } all[] = {{"UPDATE v.lk_schema SET version = 0", LK_INVALID},
               {"UPDATE v.lk_schema SET version = -1", LK_INVALID},
               {"UPDATE v.lk_schema SET version = 99", LK_UNSUPPORTED},
               {"INSERT INTO v.lk_schema VALUES (2, 1)", LK_INVALID},
               {"ALTER TABLE v.lk_schema ALTER version DROP NOT NULL; UPDATE v.lk_schema SET "
                "version = NULL",
                LK_INVALID},
               {"ALTER TABLE v.lk_schema DROP COLUMN version", LK_UNAVAILABLE},
               {"ALTER TABLE v.lk_schema ALTER version TYPE text", LK_OK},
               {"ALTER TABLE v.lk_schema DROP COLUMN ulid_ms", LK_UNAVAILABLE},
               {"DROP TABLE v.lk_schema; CREATE VIEW v.lk_schema AS SELECT 1", LK_UNAVAILABLE}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        options.schema = "v";
        lk_close(handle_open(server_conninfo(s)));
        server_ask(s, all[i].change, NULL, 0);
        if (all[i].wanted == LK_OK)
            lk_close(handle_open(server_conninfo(s)));
        else
            open_fails(all[i].wanted, server_conninfo(s));
        server_ask(s, "DROP SCHEMA v CASCADE", NULL, 0);
    }
    options.schema = "none";
    options.create = false;
    open_fails(LK_INVALID, server_conninfo(s));
    options.create = true;
    options.schema = NULL;
}

/* Damage that a handle finds later; all calls end in statuses of the contract. */
static const char *const damages[] = {
    "DROP TABLE d.lk_item",
    "DROP TABLE d.lk_queue",
    "DROP TABLE d.lk_life",
    "DROP TABLE d.lk_schema",
    "DROP SEQUENCE d.lk_version",
    "DROP SCHEMA d CASCADE",
    "ALTER TABLE d.lk_item DROP COLUMN data",
    "ALTER TABLE d.lk_item DROP COLUMN token",
    "ALTER TABLE d.lk_item DROP COLUMN receives",
    "ALTER TABLE d.lk_item DROP COLUMN lock_until",
    "ALTER TABLE d.lk_item ALTER expires_at TYPE text",
    "ALTER TABLE d.lk_item ALTER data TYPE text USING 'text'",
    "ALTER TABLE d.lk_item ALTER version TYPE int",
    "ALTER TABLE d.lk_item ALTER receives DROP NOT NULL; UPDATE d.lk_item SET receives = NULL",
    "ALTER TABLE d.lk_item DROP CONSTRAINT lk_item_pkey",
    "UPDATE d.lk_item SET receives = -1",
    "UPDATE d.lk_item SET receives = 9223372036854775807",
    "UPDATE d.lk_item SET claim_until = -5, token = NULL WHERE claim_until IS NOT NULL",
    "UPDATE d.lk_item SET claim_until = 9223372036854775807 WHERE claim_until IS NOT NULL",
    "UPDATE d.lk_item SET data = NULL",
    "UPDATE d.lk_item SET data = ''",
    "UPDATE d.lk_item SET expires_at = -1",
    "UPDATE d.lk_item SET version = -1, lock_until = NULL",
    "UPDATE d.lk_item SET version = NULL, lock_until = 5",
    "UPDATE d.lk_item SET version = 0, lock_until = -1",
    "UPDATE d.lk_item SET token = -1",
    "ALTER TABLE d.lk_queue ALTER pushes DROP NOT NULL; INSERT INTO d.lk_queue (pk, pushes, "
    "used_at) SELECT DISTINCT pk, NULL::bigint, 0 FROM d.lk_item ON CONFLICT (pk) DO UPDATE SET "
    "pushes = NULL",
    "UPDATE d.lk_schema SET ulid_ms = 9223372036854775807",
    "DELETE FROM d.lk_schema",
    "SELECT setval('d.lk_version', 9223372036854775807)",
    "CREATE RULE nothing AS ON INSERT TO d.lk_item DO INSTEAD NOTHING",
};

static bool
is_of_the_contract(lk_status status)
{
    return status >= LK_UNKNOWN && status <= LK_END;
}

static void
damage(const char *change, run *runs)
{
    lk_db *db = handle_open(server_conninfo(s)), *direct = handle_open(server_conninfo(s));
    for (unsigned i = 0; i < call_count; i++) {
        runs[i].db = db;
        runs[i].direct = direct;
        if (calls[i].prepare != NULL)
            calls[i].prepare(&runs[i]);
    }
    server_ask(s, change, NULL, 0);
    for (unsigned i = 0; i < call_count; i++) {
        errno = ERRNO;
        lk_status status = calls[i].make(&runs[i]);
        EXPECT(is_of_the_contract(status), status, i);
        EXPECT(errno == ERRNO, errno, i);
    }
    lk_close(direct);
    lk_close(db);
}

static void
damaged(void)
{
    run *runs = calloc(call_count, sizeof *runs);
    for (unsigned i = 0; i < call_count; i++) {
        runs[i].result = lk_result_new();
        runs[i].seen = lk_result_new();
        snprintf(runs[i].pk, sizeof runs[i].pk, "run%u", i);
        snprintf(runs[i].other, sizeof runs[i].other, "other%u", i);
    }
    options.schema = "d";
    options.deadline_ms = 3000;
    for (unsigned i = 0; i < sizeof damages / sizeof *damages && crowd_is_well(); i++) {
        damage(damages[i], runs);
        server_ask(s, "DROP SCHEMA IF EXISTS d CASCADE", NULL, 0);
    }
    options.schema = NULL;
    options.deadline_ms = DEADLINE_MS;
    for (unsigned i = 0; i < call_count; i++) {
        lk_result_free(runs[i].result);
        lk_result_free(runs[i].seen);
    }
    free(runs);
    crowd_note("damages", sizeof damages / sizeof *damages);
}

/* ---- encodings ---- */

static void
encodings(void)
{
    static const char *const all[] = {"SQL_ASCII", "LATIN1", "EUC_JP"};
    static const char bytes[] = "\x00\xff\xc3\x28 no text \x80";
    for (unsigned i = 0; i < 3; i++) {
        char text[TEXT_ROOM];
        lk_result *result = lk_result_new();
        lk_item item = {.key = {{bytes, sizeof bytes}, {bytes, 3}}, .data = {bytes, sizeof bytes}};
        snprintf(text, sizeof text,
                 "CREATE DATABASE e%u ENCODING '%s' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
                 i, all[i]);
        server_ask(s, text, NULL, 0);
        snprintf(text, sizeof text, "host=%s user=latchkey dbname=e%u", server_directory(s), i);
        lk_db *db = handle_open(text);
        EXPECT_OK(lk_set(db, &item, 1));
        EXPECT_OK(lk_get(db, item.key, result));
        EXPECT(lk_bytes_compare(lk_result_item(result, 0)->data, item.data) == 0, i, 0);
        run r = {.db = db, .direct = db, .result = result, .seen = lk_result_new()};
        for (unsigned n = 0; n < call_count; n++) {
            snprintf(r.pk, sizeof r.pk, "\xc3%u", n);
            snprintf(r.other, sizeof r.other, "\xff%u", n);
            if (calls[n].prepare != NULL)
                calls[n].prepare(&r);
            lk_status status = calls[n].make(&r);
            EXPECT(status == calls[n].wanted, status, n);
        }
        lk_close(db);
        lk_result_free(r.seen);
        lk_result_free(result);
    }
}

/* A snapshot that somebody holds keeps what was replaced: the statistics say so. */
static void
dead_rows(void)
{
    enum { PUTS = 200, WAIT_MS = 30000 };
    lk_db *db = handle_open(server_conninfo(s));
    PGconn *holder = PQconnectdb(server_conninfo(s));
    lk_statistics statistics = {.retired_objects = 0};
    EXPECT_OK(set(db, "dead", "0"));
    PQclear(PQexec(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
    PQclear(PQexec(holder, "SELECT count(*) FROM latchkey.lk_item"));
    for (int i = 0; i < PUTS; i++)
        EXPECT_OK(set(db, "dead", i % 2 == 0 ? "1" : "2"));
    int64_t until_ms = lk_monotonic_ms(db) + WAIT_MS; /* the server counts now and then */
    while (statistics.retired_objects < PUTS / 2 && lk_monotonic_ms(db) < until_ms)
        EXPECT_OK(lk_statistics_read(db, &statistics));
    EXPECT(statistics.retired_objects >= PUTS / 2, statistics.retired_objects, 0);
    server_row_free(holder);
    lk_close(db);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"timeouts", timeouts},
                                               {"idle_session", idle_session},
                                               {"refused_at_the_end", refused_at_the_end},
                                               {"silence", silence},
                                               {"absence", absence},
                                               {"descriptor", descriptor},
                                               {"exhausted", exhausted},
                                               {"too_many", too_many},
                                               {"strangers", strangers},
                                               {"passwords", passwords},
                                               {"no_tls", no_tls},
                                               {"impostors", impostors},
                                               {"silent_host", silent_host},
                                               {"old_server", old_server},
                                               {"versions", versions},
                                               {"damaged", damaged},
                                               {"encodings", encodings},
                                               {"dead_rows", dead_rows}};
    static const char *const settings[] = {"-c", "fsync=off", NULL};
    s = server_new(settings, NULL);
    options.create = true;
    options.deadline_ms = DEADLINE_MS;
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    server_free(s);
    return failed;
}
