/* SPDX-License-Identifier: MIT
 *
 * Two processes name the same few keys in all orders, in every call that takes several or that
 * picks them itself. The server never has to break a deadlock, and no call fails.
 */
#include <errno.h>
#include <latchkey/postgres.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "parts/server.h"
#include "support/crowd.h"

enum { KEYS = 6, THREADS = 6, SK_ROOM = 8 };

extern char **environ;

static lk_db *db;

/* ---- the calls ---- */

typedef struct choice {
    char sks[KEYS][SK_ROOM];
    lk_key keys[KEYS];
    size_t count;
} choice;

/* Some of the keys, in any order. */
static void
choice_make(crowd_member *m, choice *c)
{
    unsigned order[KEYS];
    for (unsigned i = 0; i < KEYS; i++)
        order[i] = i;
    for (unsigned i = KEYS - 1; i > 0; i--) {
        unsigned j = (unsigned)crowd_pick(m, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    c->count = 2 + crowd_pick(m, KEYS - 1);
    for (size_t i = 0; i < c->count; i++) {
        snprintf(c->sks[i], SK_ROOM, "%u", order[i]);
        c->keys[i] = lk_key_of("orders", c->sks[i]);
    }
}

static lk_status
set_many(crowd_member *m, const choice *c)
{
    lk_item items[KEYS];
    for (size_t i = 0; i < c->count; i++)
        items[i] = (lk_item){.key = c->keys[i],
                             .data = lk_string("x"),
                             .expires_at_ms = crowd_pick(m, 3) == 0 ? 1 : 0};
    return lk_set(db, items, c->count);
}

static lk_status
push_many(crowd_member *m, const choice *c)
{
    lk_item items[KEYS];
    lk_push_options options = {.max_depth = crowd_pick(m, 2) * 5};
    for (size_t i = 0; i < c->count; i++)
        items[i] = (lk_item){.key = c->keys[i], .data = lk_string("job")};
    return lk_queue_push(db, items, c->count, &options, NULL);
}

static lk_status
commit(crowd_member *m, const choice *c)
{
    lk_write writes[KEYS] = {{.kind = LK_PUT}};
    lk_lock locks[KEYS];
    for (size_t i = 0; i < c->count; i++) {
        static const lk_write_kind kinds[] = {LK_PUT, LK_DELETE, LK_PUSH};
        writes[i].kind = kinds[crowd_pick(m, 3)];
        writes[i].item = (lk_item){.key = c->keys[i], .data = lk_string("x")};
    }
    size_t count = crowd_pick(m, 2) == 0 ? 0 : c->count;
    lk_status status = count == 0 ? LK_OK : lk_get_locked(db, c->keys, count, locks, m->result);
    return status != LK_OK
               ? status
               : lk_commit(db, writes, c->count, count != 0 ? locks : NULL, count, NULL);
}

static lk_status
acknowledge(crowd_member *m, const choice *c)
{
    lk_claim claims[KEYS];
    (void)m;
    for (size_t i = 0; i < c->count; i++)
        claims[i] = (lk_claim){.key = c->keys[i]};
    return lk_queue_acknowledge(db, claims, c->count);
}

static lk_status
pull_some(crowd_member *m, const choice *c)
{
    lk_pull_options pull = LK_PULL_OPTIONS_INIT;
    pull.pk = lk_string("orders");
    pull.max_jobs = c->count;
    pull.visibility_ms = 1;
    pull.max_receives = 2;
    pull.dead_pk = lk_string("orders dead");
    return lk_queue_pull(db, &pull, m->result);
}

static lk_status
other(crowd_member *m, const choice *c)
{
    lk_lock lock;
    switch (crowd_pick(m, 6)) {
    case 0:
        return lk_queue_purge(db, lk_string("orders"), NULL);
    case 1:
        return lk_sweep(db, 0, NULL);
    case 2:
        return lk_touch(db, c->keys[0], crowd_pick(m, 2) == 0 ? 1 : 0);
    case 3:
        return lk_get_lock(db, c->keys[0], &lock);
    case 4:
        return lk_queue_purge(db, lk_string("orders dead"), NULL);
    default:
        return lk_queue_release(db, &(lk_claim){.key = c->keys[0]}, 1);
    }
}

static lk_status
delete_many(crowd_member *m, const choice *c)
{
    (void)m;
    return lk_delete(db, c->keys, c->count);
}

static void
member_run(crowd_member *m)
{
    static lk_status (*const all[])(crowd_member *, const choice *) = {
        set_many, push_many, commit, acknowledge, pull_some, delete_many, other};
    for (uint64_t left = test_scaled(200); left != 0 && crowd_is_well(); left--) {
        choice c;
        size_t which = crowd_pick(m, sizeof all / sizeof *all);
        choice_make(m, &c);
        lk_status status = all[which](m, &c);
        EXPECT(status >= 0 || status == LK_BUSY, -status, which);
    }
}

/* ---- both processes ---- */

static lk_db *
handle_open(const char *conninfo)
{
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    lk_db *opened = NULL;
    options.create = true;
    EXPECT_OK(lk_postgres_open(conninfo, &options, &opened));
    return opened;
}

static void
orders(void)
{
    static const char *const settings[] = {"-c", "fsync=off", "-c", "deadlock_timeout=200ms", NULL};
    server *s = server_new(settings, NULL);
    char *arguments[] = {(char *)(uintptr_t) "orders_postgres",
                         (char *)(uintptr_t)server_conninfo(s), NULL};
    pid_t pid = 0;
    int status = 1;
    db = handle_open(server_conninfo(s));
    EXPECT(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) == 0, errno, 0);
    if (db != NULL)
        crowd_run(THREADS, member_run, NULL);
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0, status, 0);
    lk_close(db);
    unsigned deadlocks = server_log_count(s, "deadlock detected");
    EXPECT(deadlocks == 0, deadlocks, 0);
    EXPECT(server_log_count(s, "ERROR") == 0, server_log_count(s, "ERROR"), 0);
    if (!crowd_is_well())
        server_log_show(s);
    server_free(s);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"orders", orders}};
    if (argc == 2 && strchr(argv[1], '=') != NULL) {
        db = handle_open(argv[1]);
        if (db != NULL)
            crowd_run(THREADS, member_run, NULL);
        lk_close(db);
        return !crowd_is_well();
    }
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
