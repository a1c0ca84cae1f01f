/* SPDX-License-Identifier: MIT
 *
 * Failures of a server under load: its sessions are ended, it is restarted, stopped, killed with
 * all its processes, and followed by a standby that takes over. The books of the load
 * (parts/load.h) are right after each.
 */
#include <errno.h>
#include <latchkey/postgres.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "parts/load.h"
#include "parts/server.h"
#include "support/crowd.h"

enum { DEADLINE_MS = 2000, BETWEEN = 30 };

extern char **environ;

static server *primary, *standby;
static uint64_t harms;

static lk_db *
handle_open(const char *conninfo)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    lk_db *db = NULL;
    options.create = true;
    options.deadline_ms = DEADLINE_MS;
    options.max_connections = 9;
    EXPECT_OK(lk_postgres_open(conninfo, &options, &db));
    return db;
}

/* A load of its own on a server of its own. */
static void
server_harm(const char *const *settings, void (*harm)(void))
{
    load_figures figures;
    harms = 0;
    primary = server_new(settings, NULL);
    lk_db *db = handle_open(server_conninfo(primary));
    if (db != NULL) {
        load_run(db, "load", harm, &figures);
        load_check_accounts(db);
        EXPECT(server_number(primary, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE "
                                      "'idle in%' AND backend_type = 'client backend'") == 0,
               0, 0);
        lk_close(db);
        crowd_note("times", harms);
        load_note(&figures);
    }
    EXPECT(server_log_count(primary, "deadlock detected") == 0, 0, 0);
    server_free(primary);
}

static const char *const careless[] = {"-c", "fsync=off", NULL};
static const char *const careful[] = {"-c", "fsync=on", NULL};

/* ---- sessions ---- */

static void
sessions_end(void)
{
    for (uint64_t left = test_scaled(75); left != 0 && crowd_is_well(); left--) {
        harms += (uint64_t)server_number(
            primary, "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM "
                     "pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client "
                     "backend' ORDER BY random() LIMIT 2) q");
        load_wait(BETWEEN);
    }
}

static void
sessions(void)
{
    server_harm(careless, sessions_end);
}

/* ---- restarts ---- */

static void
restart(int signal_number, uint64_t times)
{
    for (uint64_t left = times; left != 0 && crowd_is_well(); left--) {
        load_wait(BETWEEN * 5);
        server_stop(primary, signal_number);
        load_wait_failures(10);
        server_start(primary);
        load_wait(BETWEEN * 5);
        harms++;
    }
}

static void
restart_fast(void)
{
    restart(SIGINT, test_scaled(2));
}

static void
restart_immediately(void)
{
    restart(SIGQUIT, test_scaled(2));
}

static void
kill_all(void)
{
    restart(SIGKILL, test_scaled(3));
}

static void
restarted(void)
{
    server_harm(careless, restart_fast);
}

static void
restarted_immediately(void)
{
    server_harm(careful, restart_immediately);
}

static void
killed(void)
{
    server_harm(careful, kill_all);
}

/* One process alone: the server ends all others, and starts anew by itself. */
static void
backends_kill(void)
{
    for (uint64_t left = test_scaled(4); left != 0 && crowd_is_well(); left--) {
        long long pid = server_number(
            primary, "SELECT COALESCE(min(pid), 0) FROM pg_stat_activity WHERE pid <> "
                     "pg_backend_pid() AND backend_type = 'client backend'");
        if (pid != 0)
            kill((pid_t)pid, SIGKILL);
        harms += pid != 0;
        load_wait_failures(1);
        load_wait(BETWEEN * 5);
    }
}

static void
backend_killed(void)
{
    server_harm(careful, backends_kill);
}

/* ---- silence ---- */

static void
stop_and_go(void)
{
    for (uint64_t left = test_scaled(1); left != 0 && crowd_is_well(); left--) {
        load_wait(BETWEEN * 5);
        server_signal(primary, SIGSTOP);
        load_wait_failures(8); /* each waits no longer than its deadline */
        server_signal(primary, SIGCONT);
        load_wait(BETWEEN * 5);
        harms++;
    }
}

static void
stopped(void)
{
    server_harm(careless, stop_and_go);
}

/* ---- a standby ---- */

static void
take_over(void)
{
    load_wait(BETWEEN * 10);
    server_stop(primary, SIGKILL);
    load_wait_failures(10);
    server_promote(standby);
    load_wait(BETWEEN * 10);
    harms++;
}

static void
replaced(void)
{
    static const char *const settings[] = {"-c", "fsync=on", NULL};
    char conninfo[1024];
    load_figures figures;
    harms = 0;
    primary = server_new(settings, NULL);
    standby = server_new_standby(primary, settings);
    server_ask(primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'", NULL, 0);
    server_ask(primary, "SELECT pg_reload_conf()", NULL, 0);
    /* From then on a commit waits for it. */
    while (server_number(primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = "
                                  "'sync'") == 0 &&
           crowd_is_well())
        server_ask(primary, "SELECT pg_sleep(0.05)", NULL, 0);
    snprintf(conninfo, sizeof conninfo,
             "host=%s,%s user=latchkey dbname=postgres target_session_attrs=read-write",
             server_directory(primary), server_directory(standby));
    lk_db *db = handle_open(conninfo);
    if (db != NULL) {
        load_run(db, "load", take_over, &figures);
        load_check_accounts(db);
        lk_close(db);
        crowd_note("times", harms);
        load_note(&figures);
    }
    server_free(standby);
    server_free(primary);
}

/* ---- several processes ---- */

static pid_t
process_start(const char *role, const char *name)
{
    char *arguments[] = {(char *)(uintptr_t) "crash_postgres",
                         (char *)(uintptr_t) "--as",
                         (char *)(uintptr_t)role,
                         (char *)(uintptr_t)server_conninfo(primary),
                         (char *)(uintptr_t)name,
                         NULL};
    pid_t pid = 0;
    EXPECT(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) == 0, errno, 0);
    return pid;
}

static void
process_wait(pid_t pid)
{
    int status = 1;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0, status, 0);
}

static void
long_enough(void)
{
    load_wait(test_scaled(1500));
}

static void
processes(void)
{
    load_figures figures;
    primary = server_new(careless, NULL);
    lk_db *db = handle_open(server_conninfo(primary));
    pid_t other = process_start("load", "other");
    load_run(db, "load", long_enough, &figures);
    process_wait(other);
    load_check_accounts(db);
    lk_close(db);
    load_note(&figures);
    EXPECT(figures.unknown + figures.unavailable == 0, figures.unknown, figures.unavailable);
    EXPECT(server_log_count(primary, "deadlock detected") == 0, 0, 0);
    server_free(primary);
}

/* ---- a queue is closed beside those that push to it, in another process ---- */

static void
pushers_run(crowd_member *m)
{
    lk_db *db = m->context;
    lk_item job = {.key = {lk_string("closing"), {NULL, 0}}, .data = lk_string("x")};
    lk_status status;
    while ((status = lk_queue_push(db, &job, 1, NULL, NULL)) == LK_OK)
        EXPECT_OK(lk_add(db, lk_key_of("closing count", "pushed"), 1, 0, NULL));
    EXPECT(status == LK_CLOSED, status, 0);
}

static void
consumers_run(crowd_member *m)
{
    lk_db *db = m->context;
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    int64_t taken = 0;
    lk_status status;
    pull.pk = lk_string("closing");
    pull.wait_ms = 60000;
    while ((status = lk_queue_pull(db, &pull, m->result)) == LK_OK) {
        EXPECT_OK(lk_queue_acknowledge(db, lk_result_claim(m->result, 0), 1));
        EXPECT_OK(lk_add(db, lk_key_of("closing count", "pulled"), 1, 0, &taken));
        if (taken == 200)
            EXPECT_OK(lk_queue_close(db, lk_string("closing")));
    }
    EXPECT(status == LK_CLOSED, status, 0);
}

static void
closed(void)
{
    int64_t pushed = 0, taken = 1;
    primary = server_new(careless, NULL);
    lk_db *db = handle_open(server_conninfo(primary));
    for (uint64_t left = test_scaled(3); left != 0 && crowd_is_well(); left--) {
        pid_t other = process_start("pushers", "");
        crowd_run(3, consumers_run, db);
        process_wait(other);
        EXPECT_OK(lk_add(db, lk_key_of("closing count", "pushed"), 0, 0, &pushed));
        EXPECT_OK(lk_add(db, lk_key_of("closing count", "pulled"), 0, 0, &taken));
        EXPECT(pushed == taken, pushed, taken);
        server_ask(primary, "TRUNCATE latchkey.lk_item, latchkey.lk_queue", NULL, 0);
    }
    lk_close(db);
    crowd_note("jobs", (uint64_t)taken);
    EXPECT(server_log_count(primary, "deadlock detected") == 0, 0, 0);
    server_free(primary);
}

/* Another process of the test. */
static int
process_main(const char *role, const char *conninfo, const char *name)
{
    load_figures figures;
    lk_db *db = handle_open(conninfo);
    if (db == NULL)
        return 1;
    if (strcmp(role, "load") == 0)
        load_run(db, name, long_enough, &figures);
    else
        crowd_run(3, pushers_run, db);
    lk_close(db);
    return !crowd_is_well();
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"sessions", sessions},
                                               {"restarted", restarted},
                                               {"restarted_immediately", restarted_immediately},
                                               {"backend_killed", backend_killed},
                                               {"killed", killed},
                                               {"stopped", stopped},
                                               {"replaced", replaced},
                                               {"processes", processes},
                                               {"closed", closed}};
    if (argc == 5 && strcmp(argv[1], "--as") == 0)
        return process_main(argv[2], argv[3], argv[4]);
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
