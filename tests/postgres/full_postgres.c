/* SPDX-License-Identifier: MIT
 *
 * No room on the disk: of the tables alone, and of all that the server writes, its log of changes
 * too. Writes are refused, and nothing of them is done; reads go on; with room again, so do writes.
 * The disk is a small file system in memory, for which it takes root; else the test is skipped.
 */
#include <errno.h>
#include <latchkey/postgres.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "parts/server.h"
#include "support/crowd.h"

enum { PATH_ROOM = 256, DATA_SIZE = 100000, ROUNDS_MAX = 100000, SKIPPED = 77 };

static char disk[PATH_ROOM];
static unsigned char *data;

/* ---- a small disk ---- */

static bool
disk_make(const char *size)
{
    const char *temporary = getenv("TMPDIR");
    struct passwd *user = getpwnam("postgres");
    char options[64];
    snprintf(disk, sizeof disk, "%.200s/latchkey-disk-XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    snprintf(options, sizeof options, "size=%s,mode=0777", size);
    if (user == NULL || mkdtemp(disk) == NULL)
        return false;
    if (mount("none", disk, "tmpfs", 0, options) != 0) {
        rmdir(disk);
        return false;
    }
    return true;
}

static void
disk_end(void)
{
    umount2(disk, MNT_DETACH);
    rmdir(disk);
}

static const char *
filler(char path[2 * PATH_ROOM])
{
    snprintf(path, 2 * PATH_ROOM, "%s/filler", disk);
    return path;
}

/* Takes all that is free but so many bytes. */
static void
disk_fill(long long but)
{
    char path[2 * PATH_ROOM];
    struct statfs now;
    EXPECT(statfs(disk, &now) == 0, errno, 0);
    long long left = (long long)now.f_bavail * (long long)now.f_bsize - but;
    FILE *file = fopen(filler(path), "w");
    EXPECT(file != NULL, errno, 0);
    for (; file != NULL && left > 0; left -= DATA_SIZE)
        if (fwrite(data, 1, DATA_SIZE, file) != DATA_SIZE)
            break;
    if (file != NULL)
        fclose(file);
}

static void
disk_clear(void)
{
    char path[2 * PATH_ROOM];
    unlink(filler(path));
}

/* ---- writes until there is no room ---- */

typedef struct figures {
    uint64_t made, refused, unknown;
} figures;

static lk_item
item_of(char sk[32], const char *kind, unsigned n)
{
    snprintf(sk, 32, "%s %u", kind, n);
    return (lk_item){.key = lk_key_of("full", sk), .data = {data, DATA_SIZE}};
}

/* Sets one, and commits two. */
static lk_status
write_one(lk_db *db, unsigned n)
{
    char sks[2][32];
    if (n % 2 == 0) {
        lk_item item = item_of(sks[0], "set", n);
        return lk_set(db, &item, 1);
    }
    lk_write writes[2] = {{.kind = LK_PUT, .item = item_of(sks[0], "one", n)},
                          {.kind = LK_PUT, .item = item_of(sks[1], "two", n)}};
    return lk_commit(db, writes, 2, NULL, 0, NULL);
}

static bool
is_there(lk_db *db, const char *kind, unsigned n, lk_result *result)
{
    char sk[32];
    lk_item item = item_of(sk, kind, n);
    lk_status status = lk_get(db, item.key, result);
    EXPECT(status == LK_OK || status == LK_NOT_FOUND, status, n);
    EXPECT(status != LK_OK || lk_bytes_compare(lk_result_item(result, 0)->data, item.data) == 0, n,
           0);
    return status == LK_OK;
}

static void
write_check(lk_db *db, unsigned n, lk_status status, lk_result *result)
{
    bool set = n % 2 == 0, first = is_there(db, set ? "set" : "one", n, result);
    bool whole = set || is_there(db, "two", n, result) == first;
    EXPECT(whole, n, status);
    EXPECT(status != LK_OK || first, n, 0);
    EXPECT(status == LK_OK || status == LK_UNKNOWN || !first, n, status);
}

/* Until three were refused; statuses of all. */
static unsigned
write_until_full(lk_db *db, lk_status *statuses, figures *sum)
{
    unsigned n = 0;
    for (; n < ROUNDS_MAX && sum->refused + sum->unknown < 3; n++) {
        errno = 0;
        lk_status status = statuses[n] = write_one(db, n);
        EXPECT(errno == 0, errno, n);
        sum->made += status == LK_OK;
        sum->unknown += status == LK_UNKNOWN;
        sum->refused += status != LK_OK && status != LK_UNKNOWN;
        EXPECT(status == LK_OK || status == LK_NO_MEMORY || status == LK_UNAVAILABLE ||
                   status == LK_UNKNOWN,
               status, n);
    }
    EXPECT(n < ROUNDS_MAX, n, 0);
    return n;
}

static void
all_check(lk_db *db, const lk_status *statuses, unsigned count)
{
    lk_result *result = lk_result_new();
    for (unsigned n = 0; n < count; n++)
        write_check(db, n, statuses[n], result);
    lk_result_free(result);
}

static void
figures_note(const figures *sum)
{
    crowd_note("acknowledged", sum->made);
    crowd_note("refused", sum->refused);
    crowd_note("unknown", sum->unknown);
}

static lk_db *
handle_open(const server *s)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    lk_db *db = NULL;
    options.create = true;
    EXPECT_OK(lk_postgres_open(server_conninfo(s), &options, &db));
    return db;
}

static const char *const settings[] = {"-c", "fsync=off",         "-c", "max_wal_size=32MB",
                                       "-c", "min_wal_size=32MB", NULL};

/* The tables lie on the small disk, and nothing else does. */
static void
tables(void)
{
    lk_status *statuses = calloc(ROUNDS_MAX, sizeof *statuses);
    figures sum = {0};
    char text[2 * PATH_ROOM];
    server *s = server_new(settings, NULL);
    struct passwd *user = getpwnam("postgres");
    snprintf(text, sizeof text, "%s/space", disk);
    EXPECT(mkdir(text, 0700) == 0 && chown(text, user->pw_uid, user->pw_gid) == 0, errno, 0);
    snprintf(text, sizeof text, "CREATE TABLESPACE small LOCATION '%s/space'", disk);
    server_ask(s, text, NULL, 0);
    server_ask(s, "ALTER DATABASE postgres SET default_tablespace = small", NULL, 0);
    lk_db *db = handle_open(s);
    disk_fill(4 << 20);
    unsigned count = write_until_full(db, statuses, &sum);
    EXPECT(statuses[count - 1] == LK_NO_MEMORY && sum.unknown == 0, statuses[count - 1], 0);
    all_check(db, statuses, count);
    disk_clear();
    EXPECT_OK(write_one(db, count));
    EXPECT_OK(write_one(db, count + 1));
    lk_close(db);
    server_free(s);
    figures_note(&sum);
    free(statuses);
}

/* Where the server cannot write its log it goes down, and does not come back until there is
 * room. */
static void
server_fill(server *s, long long but)
{
    lk_status *statuses = calloc(ROUNDS_MAX, sizeof *statuses);
    figures sum = {0};
    lk_db *db = handle_open(s);
    disk_fill(but);
    unsigned count = write_until_full(db, statuses, &sum);
    disk_clear();
    server_stop(s, SIGQUIT);
    server_start(s);
    all_check(db, statuses, count);
    EXPECT_OK(write_one(db, count));
    EXPECT_OK(write_one(db, count + 1));
    lk_close(db);
    figures_note(&sum);
    free(statuses);
}

/* All of the server lies on the small disk. */
static void
cluster(void)
{
    server *s = server_new(settings, disk);
    server_fill(s, 6 << 20);
    server_free(s);
}

/* Its log of changes does, and nothing else. */
static void
changes(void)
{
    char command[4 * PATH_ROOM];
    server *s = server_new(settings, NULL);
    server_stop(s, SIGINT);
    snprintf(command, sizeof command,
             "cp -a %s/data/pg_wal %s/wal && rm -r %s/data/pg_wal && ln -s %s/wal %s/data/pg_wal",
             server_directory(s), disk, server_directory(s), disk, server_directory(s));
    EXPECT(system(command) == 0, 0, 0);
    server_start(s);
    server_fill(s, 8 << 20);
    EXPECT(server_log_count(s, "PANIC") != 0, 0, 0);
    server_free(s);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {
        {"tables", tables}, {"cluster", cluster}, {"changes", changes}};
    uint64_t state = crowd_seed();
    if (!disk_make("120m")) {
        printf("no small file system can be made here\n");
        return SKIPPED;
    }
    atexit(disk_end);
    data = malloc(DATA_SIZE); /* which does not get smaller */
    for (unsigned i = 0; data != NULL && i < DATA_SIZE; i++)
        data[i] = (unsigned char)crowd_random(&state);
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    free(data);
    return failed;
}
