/* SPDX-License-Identifier: MIT
 *
 * See server.h. The first process of the server is a child of the test; its own children become the
 * test's when it is killed. A keeper, a process of its own, hears of each start and stop through a
 * pipe; when that closes, with the test at the latest, it ends the server and removes all of it.
 */
#define _GNU_SOURCE
#include "server.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_ROOM = 256, ARGUMENTS = 64, PROCESSES = 256, SKIPPED = 77, START_MS = 60000 };

struct server {
    char programs[PATH_ROOM], directory[PATH_ROOM], conninfo[2 * PATH_ROOM];
    const char *settings[ARGUMENTS];
    uid_t user;
    gid_t group;
    pid_t pid; /* 0: it does not run */
    pid_t keeper;
    int keeper_pipe;
};

static void
give_up(const char *what, const char *which)
{
    fprintf(stderr, "%s: %s\n", what, which);
    exit(1);
}

/* ---- programs ---- */

/* The directory with initdb and postgres: the newest one. */
static void
programs_find(char path[PATH_ROOM])
{
    const char *wanted = getenv("LATCHKEY_POSTGRES_BIN");
    FILE *list =
        popen("ls -d /usr/lib/postgresql/*/bin /usr/local/pgsql/bin 2>/dev/null | sort -V | tail "
              "-n 1; pg_config --bindir 2>/dev/null",
              "r");
    path[0] = '\0';
    if (wanted != NULL)
        snprintf(path, PATH_ROOM, "%s", wanted);
    else if (list != NULL && fgets(path, PATH_ROOM, list) != NULL)
        path[strcspn(path, "\n")] = '\0';
    if (list != NULL)
        pclose(list);
    char program[2 * PATH_ROOM];
    snprintf(program, sizeof program, "%s/initdb", path);
    if (access(program, X_OK) == 0)
        return;
    printf("no PostgreSQL server is installed\n");
    exit(SKIPPED);
}

/* Starts a program as the server's user. Its output goes to the log. */
static pid_t
program_start(const server *s, const char *name, const char *const *arguments)
{
    char path[2 * PATH_ROOM], log[2 * PATH_ROOM];
    const char *all[ARGUMENTS + 2] = {path};
    snprintf(path, sizeof path, "%s/%s", s->programs, name);
    snprintf(log, sizeof log, "%s/log", s->directory);
    for (int i = 0; i < ARGUMENTS && arguments[i] != NULL; i++)
        all[i + 1] = arguments[i];
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        give_up("fork", name);
    if (pid != 0)
        return pid;
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (out < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || setgid(s->group) != 0 ||
        setuid(s->user) != 0 || chdir(s->directory) != 0)
        _exit(126);
    execv(path, (char *const *)(void *)all);
    _exit(127);
}

void
server_log_show(const server *s)
{
    char command[2 * PATH_ROOM];
    snprintf(command, sizeof command, "tail -n 40 %s/log >&2", s->directory);
    if (system(command) != 0)
        perror(command);
}

static void
program_run(const server *s, const char *name, const char *const *arguments)
{
    int status;
    pid_t pid = program_start(s, name, arguments);
    if (waitpid(pid, &status, 0) == pid && status == 0)
        return;
    server_log_show(s);
    give_up("failed", name);
}

/* ---- the keeper ---- */

static void
keeper_run(const server *s, int pipe_end)
{
    char command[2 * PATH_ROOM];
    pid_t pid = 0, heard;
    while (read(pipe_end, &heard, sizeof heard) == (ssize_t)sizeof heard)
        pid = heard;
    if (pid != 0) {
        kill(pid, SIGCONT);
        kill(pid, SIGQUIT);
    }
    for (int waited_ms = 0; pid != 0 && kill(pid, 0) == 0 && waited_ms < 10000; waited_ms += 10)
        poll(NULL, 0, 10);
    snprintf(command, sizeof command, "rm -rf '%s'", s->directory);
    _exit(system(command) != 0);
}

static void
keeper_start(server *s)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        give_up("pipe", s->directory);
    fflush(NULL);
    s->keeper = fork();
    if (s->keeper == 0) {
        setsid();
        close(ends[1]);
        keeper_run(s, ends[0]);
    }
    close(ends[0]);
    s->keeper_pipe = ends[1];
}

static void
keeper_tell(server *s)
{
    if (write(s->keeper_pipe, &s->pid, sizeof s->pid) != (ssize_t)sizeof s->pid)
        give_up("no keeper", s->directory);
}

/* ---- processes ---- */

/* The children of the server's first process. */
static int
children_list(const server *s, pid_t *list)
{
    DIR *processes = opendir("/proc");
    int count = 0;
    for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
        char path[PATH_ROOM + 32];
        int pid, parent;
        snprintf(path, sizeof path, "/proc/%.200s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        if (fscanf(file, "%d (%*[^)]) %*c %d", &pid, &parent) == 2 && parent == s->pid &&
            count < PROCESSES)
            list[count++] = pid;
        fclose(file);
    }
    if (processes != NULL)
        closedir(processes);
    return count;
}

void
server_signal(const server *s, int signal_number)
{
    pid_t list[PROCESSES];
    if (signal_number == SIGSTOP)
        kill(s->pid, signal_number); /* so that it starts no more of them */
    int count = children_list(s, list);
    for (int i = 0; i < count; i++)
        kill(list[i], signal_number);
    kill(s->pid, signal_number);
}

void
server_stop(server *s, int signal_number)
{
    pid_t list[PROCESSES];
    int count = 0;
    if (s->pid == 0)
        return;
    if (signal_number == SIGKILL) {
        kill(s->pid, SIGSTOP);
        count = children_list(s, list);
    }
    kill(s->pid, signal_number);
    for (int i = 0; i < count; i++)
        kill(list[i], signal_number);
    waitpid(s->pid, NULL, 0);
    for (int i = 0; i < count; i++)
        waitpid(list[i], NULL, 0); /* they are the test's now */
    s->pid = 0;
    keeper_tell(s);
}

void
server_start_with(server *s, const char *const *settings)
{
    static const char *const own[] = {"-c", "listen_addresses=",   "-c", "shared_buffers=16MB",
                                      "-c", "max_connections=60",  "-c", "log_min_messages=warning",
                                      "-c", "log_checkpoints=off", NULL};
    char data[2 * PATH_ROOM];
    const char *arguments[ARGUMENTS + 1] = {"-D", data, "-k", s->directory};
    int count = 4;
    snprintf(data, sizeof data, "%s/data", s->directory);
    for (int i = 0; own[i] != NULL; i++)
        arguments[count++] = own[i];
    for (int i = 0; settings != NULL && settings[i] != NULL && count < ARGUMENTS - 1; i++)
        arguments[count++] = settings[i];
    memset(s->settings, 0, sizeof s->settings);
    for (int i = 0; settings != NULL && settings[i] != NULL && i < ARGUMENTS - 1; i++)
        s->settings[i] = settings[i];
    s->pid = program_start(s, "postgres", arguments);
    keeper_tell(s);
    for (int waited_ms = 0; PQping(s->conninfo) != PQPING_OK; waited_ms += 5) {
        if (waited_ms > START_MS || waitpid(s->pid, NULL, WNOHANG) != 0)
            give_up("the server does not start", s->directory);
        poll(NULL, 0, 5);
    }
}

void
server_start(server *s)
{
    const char *settings[ARGUMENTS];
    memcpy(settings, s->settings, sizeof settings);
    server_start_with(s, settings);
}

/* ---- a cluster ---- */

static server *
server_make(const char *parent)
{
    server *s = calloc(1, sizeof *s);
    const char *temporary = getenv("TMPDIR");
    if (s == NULL)
        give_up("no memory", "");
    programs_find(s->programs);
    parent = parent != NULL ? parent : temporary != NULL ? temporary : "/tmp";
    snprintf(s->directory, sizeof s->directory, "%.200s/latchkey-XXXXXX", parent);
    if (mkdtemp(s->directory) == NULL)
        give_up("mkdtemp", s->directory);
    s->user = getuid();
    s->group = getgid();
    if (s->user == 0) { /* a server does not run as root */
        struct passwd *user = getpwnam("postgres");
        if (user == NULL || chown(s->directory, user->pw_uid, user->pw_gid) != 0)
            give_up("no user", "postgres");
        s->user = user->pw_uid;
        s->group = user->pw_gid;
    }
    snprintf(s->conninfo, sizeof s->conninfo, "host=%s user=latchkey dbname=postgres",
             s->directory);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    keeper_start(s);
    return s;
}

server *
server_new(const char *const *settings, const char *parent)
{
    server *s = server_make(parent);
    char data[2 * PATH_ROOM];
    const char *arguments[] = {"-D", data,   "-A",         "trust",     "-U", "latchkey",
                               "-E", "UTF8", "--locale=C", "--no-sync", NULL};
    snprintf(data, sizeof data, "%s/data", s->directory);
    program_run(s, "initdb", arguments);
    server_start_with(s, settings);
    return s;
}

/* A cluster that has stopped may just be copied. */
server *
server_new_standby(server *primary, const char *const *settings)
{
    server *s = server_make(NULL);
    char command[8 * PATH_ROOM];
    server_stop(primary, SIGINT);
    snprintf(command, sizeof command,
             "cp -a %s/data %s/data && : >%s/data/standby.signal && echo \"primary_conninfo = "
             "'host=%s user=latchkey application_name=standby'\" >>%s/data/postgresql.auto.conf",
             primary->directory, s->directory, s->directory, primary->directory, s->directory);
    if (system(command) != 0)
        give_up("a copy", s->directory);
    server_start(primary);
    server_start_with(s, settings);
    return s;
}

void
server_promote(server *s)
{
    server_ask(s, "SELECT pg_promote(true, 60)", NULL, 0);
}

void
server_free(server *s)
{
    if (s == NULL)
        return;
    if (s->pid != 0) {
        server_signal(s, SIGCONT);
        server_stop(s, SIGQUIT);
    }
    close(s->keeper_pipe);
    waitpid(s->keeper, NULL, 0);
    free(s);
}

const char *
server_directory(const server *s)
{
    return s->directory;
}

const char *
server_conninfo(const server *s)
{
    return s->conninfo;
}

/* ---- questions ---- */

static void
notice_drop(void *unused, const char *message)
{
    (void)unused, (void)message;
}

void
server_ask(const server *s, const char *text, char *answer, size_t room)
{
    PGconn *pg = PQconnectdb(s->conninfo);
    PQsetNoticeProcessor(pg, notice_drop, NULL);
    PGresult *result = PQexec(pg, text);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        give_up(text, PQerrorMessage(pg));
    if (answer != NULL)
        snprintf(answer, room, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(pg);
}

long long
server_number(const server *s, const char *text)
{
    char answer[64];
    server_ask(s, text, answer, sizeof answer);
    return strtoll(answer, NULL, 10);
}

PGconn *
server_row_hold(const server *s, const char *pk, const char *sk)
{
    char text[256];
    PGconn *pg = PQconnectdb(s->conninfo);
    snprintf(text, sizeof text,
             "BEGIN; SELECT 1 FROM latchkey.lk_item WHERE pk = '%s' AND sk = '%s' FOR UPDATE", pk,
             sk);
    PGresult *result = PQexec(pg, text);
    if (PQntuples(result) != 1)
        give_up(text, PQerrorMessage(pg));
    PQclear(result);
    return pg;
}

void
server_row_free(PGconn *holder)
{
    PQclear(PQexec(holder, "COMMIT"));
    PQfinish(holder);
}

unsigned
server_log_count(const server *s, const char *text)
{
    char path[2 * PATH_ROOM], line[4096];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/log", s->directory);
    FILE *log = fopen(path, "r");
    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        count += strstr(line, text) != NULL;
    if (log != NULL)
        fclose(log);
    return count;
}
