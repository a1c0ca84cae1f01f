/* SPDX-License-Identifier: MIT
 *
 * Commits of puts under locks that the caller holds, which are a statement of their own
 * (src/postgres/held.c), and what is counted of locks and claims. A store in memory gets the same
 * calls, on the same clock: both answer alike, and have the same items in the end.
 */
#include <latchkey/postgres.h>
#include <stdio.h>
#include <string.h>

#include "parts/proxy.h"
#include "parts/server.h"
#include "support/crowd.h"

enum { KEYS = 6, MANY = 65, TTL_MS = 1000, REFRESH_MS = 500, DEADLINE_MS = 20000, SHORT_MS = 1000 };

static server *s;
static _Atomic(int64_t) clock_now_ms = INT64_C(1700000000000);
static lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;

static int64_t
clock_read(void *unused)
{
    (void)unused;
    return clock_now_ms;
}

static lk_db *
handle_open(const char *conninfo)
{
    lk_db *db = NULL;
    EXPECT_OK(lk_postgres_open(conninfo, &options, &db));
    return db;
}

static lk_db *
memory_open(void)
{
    lk_db *db = NULL;
    lk_memory_options memory = LK_MEMORY_OPTIONS_INIT;
    memory.realtime_ms = memory.monotonic_ms = clock_read;
    memory.lock_ttl_ms = TTL_MS;
    memory.lock_refresh_ms = REFRESH_MS;
    EXPECT_OK(lk_memory_open(&memory, &db));
    return db;
}

/* ---- the two stores ---- */

enum { SERVER, MEMORY, STORES };

typedef struct pair {
    lk_db *dbs[STORES];
    lk_result *results[STORES];
    char sks[MANY][8];
    lk_lock locks[STORES][MANY]; /* as they were read or bumped last */
} pair;

static void
pair_open(pair *t)
{
    server_ask(s, "TRUNCATE latchkey.lk_item", NULL, 0);
    t->dbs[SERVER] = handle_open(server_conninfo(s));
    t->dbs[MEMORY] = memory_open();
    for (int i = 0; i < MANY; i++)
        snprintf(t->sks[i], sizeof t->sks[i], "%02d", i);
    for (int store = 0; store < STORES; store++)
        t->results[store] = lk_result_new();
    memset(t->locks, 0, sizeof t->locks);
}

static void
pair_close(pair *t)
{
    for (int store = 0; store < STORES; store++) {
        lk_result_free(t->results[store]);
        lk_close(t->dbs[store]);
    }
}

static lk_key
key_of(const pair *t, size_t i)
{
    return lk_key_of("held", t->sks[i]);
}

static void
pair_set(pair *t, size_t i, const char *data, int64_t expires_at_ms)
{
    lk_item item = {key_of(t, i), lk_string(data), expires_at_ms};
    for (int store = 0; store < STORES; store++)
        EXPECT_OK(lk_set(t->dbs[store], &item, 1));
}

static void
pair_delete(pair *t, size_t i)
{
    lk_key key = key_of(t, i);
    for (int store = 0; store < STORES; store++)
        EXPECT_OK(lk_delete(t->dbs[store], &key, 1));
}

static void
pair_lock(pair *t, size_t from, size_t to)
{
    for (int store = 0; store < STORES; store++)
        for (size_t i = from; i < to; i++)
            EXPECT_OK(lk_get_lock(t->dbs[store], key_of(t, i), &t->locks[store][i]));
}

/* All items are the same. */
static void
pair_compare(pair *t)
{
    lk_query query = {.pk = lk_string("held")};
    for (int store = 0; store < STORES; store++)
        EXPECT_OK(lk_query_items(t->dbs[store], &query, t->results[store]));
    size_t count = lk_result_count(t->results[MEMORY]);
    EXPECT(lk_result_count(t->results[SERVER]) == count, count, 0);
    for (size_t i = 0; i < count && crowd_is_well(); i++) {
        const lk_item *a = lk_result_item(t->results[SERVER], i);
        const lk_item *b = lk_result_item(t->results[MEMORY], i);
        EXPECT(lk_bytes_compare(a->key.sk, b->key.sk) == 0, i, 0);
        EXPECT(lk_bytes_compare(a->data, b->data) == 0, i, 0);
        EXPECT(a->expires_at_ms == b->expires_at_ms, i, a->expires_at_ms);
    }
}

/* A commit: of which keys there are locks, and puts. */
typedef struct commit {
    size_t locks[MANY], lock_count;
    size_t puts[MANY], put_count;
    const char *data;
    int64_t expires_at_ms;
} commit;

static lk_status
commit_make(pair *t, int store, const commit *c, lk_lock *locks, lk_conflict *conflict)
{
    lk_write writes[MANY];
    for (size_t i = 0; i < c->put_count; i++)
        writes[i] = (lk_write){
            .kind = LK_PUT, .item = {key_of(t, c->puts[i]), lk_string(c->data), c->expires_at_ms}};
    for (size_t i = 0; i < c->lock_count; i++)
        locks[i] = t->locks[store][c->locks[i]];
    return lk_commit(t->dbs[store], writes, c->put_count, locks, c->lock_count, conflict);
}

/* In both stores. What they answer is the same, but for the versions: so it is where locks are in
 * the way, and whether there are versions now. */
static lk_status
pair_commit(pair *t, const commit *c)
{
    lk_status status[STORES];
    lk_lock locks[STORES][MANY];
    lk_conflict conflicts[STORES];
    memset(conflicts, 0, sizeof conflicts);
    for (int store = 0; store < STORES; store++) {
        status[store] = commit_make(t, store, c, locks[store], &conflicts[store]);
        for (size_t i = 0; i < c->lock_count; i++) {
            lk_lock *before = &t->locks[store][c->locks[i]];
            if (status[store] == LK_OK)
                EXPECT(locks[store][i].version > before->version, i, store);
            else
                EXPECT(locks[store][i].version == before->version, i, store);
        }
        for (size_t i = 0; i < c->lock_count; i++)
            t->locks[store][c->locks[i]] = locks[store][i];
    }
    EXPECT(status[SERVER] == status[MEMORY], status[SERVER], status[MEMORY]);
    if (status[SERVER] == LK_RACE) {
        EXPECT(conflicts[SERVER].index == conflicts[MEMORY].index, conflicts[SERVER].index, 0);
        EXPECT((conflicts[SERVER].current_version == 0) == (conflicts[MEMORY].current_version == 0),
               conflicts[SERVER].current_version, conflicts[MEMORY].current_version);
    }
    pair_compare(t);
    return status[SERVER];
}

static commit
commit_of(size_t lock_count, size_t put_count, const char *data)
{
    commit c = {.lock_count = lock_count, .put_count = put_count, .data = data};
    for (size_t i = 0; i < MANY; i++)
        c.locks[i] = c.puts[i] = i;
    return c;
}

static void
advance(int64_t ms)
{
    clock_now_ms += ms;
}

/* ---- one after the other ---- */

static void
good(void)
{
    pair t;
    pair_open(&t);
    for (size_t i = 0; i < MANY; i++)
        pair_set(&t, i, "old", 0);
    pair_lock(&t, 0, MANY);
    commit c = commit_of(3, 3, "new");
    EXPECT_OK(pair_commit(&t, &c));
    EXPECT_OK(pair_commit(&t, &c)); /* by the versions that it gave */
    c = commit_of(3, 1, "newer");   /* locks whose items stay */
    EXPECT_OK(pair_commit(&t, &c));
    c = commit_of(3, 0, "none");
    EXPECT_OK(pair_commit(&t, &c));
    c = commit_of(0, 0, "none");
    EXPECT(pair_commit(&t, &c) == LK_INVALID, 0, 0);
    c = commit_of(64, 64, "all of one statement");
    EXPECT_OK(pair_commit(&t, &c));
    c = commit_of(65, 65, "one more");
    EXPECT_OK(pair_commit(&t, &c));
    c = commit_of(2, 2, "");
    c.expires_at_ms = clock_now_ms + 10;
    EXPECT_OK(pair_commit(&t, &c));
    advance(20);
    pair_compare(&t);
    pair_close(&t);
}

/* A key that is named twice is refused; one that is written without a lock is not. */
static void
duplicates(void)
{
    pair t;
    pair_open(&t);
    for (size_t i = 0; i < KEYS; i++)
        pair_set(&t, i, "old", 0);
    pair_lock(&t, 0, KEYS);
    commit c = commit_of(3, 3, "twice written");
    c.puts[2] = 1;
    EXPECT(pair_commit(&t, &c) == LK_INVALID, 0, 0);
    c = commit_of(3, 4, "beside a lock"); /* the last key has none */
    EXPECT_OK(pair_commit(&t, &c));
    pair_lock(&t, 0, KEYS);
    c = commit_of(3, 3, "twice locked");
    c.locks[2] = 1;
    EXPECT(pair_commit(&t, &c) == LK_INVALID, 0, 0);
    pair_close(&t);
}

/* Each is refused, and then nothing of it is there; the other locks are as good as before. */
static void
refused(void)
{
    enum { STALE, DELETED, EXPIRED, LAPSED, NOBODYS, WAYS };
    for (int way = 0; way < WAYS; way++) {
        pair t;
        pair_open(&t);
        for (size_t i = 0; i < KEYS; i++)
            pair_set(&t, i, "old", way == EXPIRED && i == 1 ? clock_now_ms + 10 : 0);
        pair_lock(&t, 0, KEYS);
        lk_lock before[STORES] = {t.locks[SERVER][1], t.locks[MEMORY][1]};
        commit one = commit_of(1, 1, "another's"), all = commit_of(3, 3, "new");
        one.locks[0] = one.puts[0] = 1;
        if (way == STALE)
            EXPECT_OK(pair_commit(&t, &one));
        else if (way == DELETED)
            pair_delete(&t, 1);
        else if (way == EXPIRED || way == LAPSED)
            advance(way == EXPIRED ? 20 : TTL_MS + 1);
        for (int store = 0; store < STORES; store++) {
            t.locks[store][1] = before[store];
            if (way == NOBODYS)
                t.locks[store][1].version += 1000000;
        }
        EXPECT(pair_commit(&t, &all) == LK_RACE, way, 0);
        pair_lock(&t, way == LAPSED ? 0 : 1, way == LAPSED ? KEYS : 2);
        EXPECT_OK(pair_commit(&t, &all));
        pair_close(&t);
    }
}

/* Anything, with a clock that goes on now and then. */
static void
at_random(void)
{
    enum { STEPS = 400 };
    static const char *const texts[] = {"a", "b", "", "longer"};
    crowd_member m = {.random = crowd_seed()};
    uint64_t done = 0, raced = 0;
    pair t;
    pair_open(&t);
    for (uint64_t step = 0; step < test_scaled(STEPS) && crowd_is_well(); step++) {
        size_t key = crowd_pick(&m, KEYS);
        int64_t expires_at_ms = crowd_pick(&m, 4) == 0 ? clock_now_ms + 300 : 0;
        switch (crowd_pick(&m, 10)) {
        case 0:
            advance((int64_t)crowd_pick(&m, 700));
            break;
        case 1:
            pair_delete(&t, key);
            break;
        case 2:
            pair_set(&t, key, texts[crowd_pick(&m, 4)], expires_at_ms);
            break;
        case 3:
        case 4:
        case 5:
            pair_lock(&t, key, KEYS);
            break;
        default: {
            commit c = commit_of(crowd_pick(&m, 4), crowd_pick(&m, 4), texts[crowd_pick(&m, 4)]);
            c.expires_at_ms = expires_at_ms;
            for (size_t i = 0; i < c.lock_count; i++)
                c.locks[i] = (key + i) % KEYS;
            for (size_t i = 0; i < c.put_count; i++)
                c.puts[i] = (key + crowd_pick(&m, 4)) % KEYS;
            lk_status status = pair_commit(&t, &c);
            done += status == LK_OK;
            raced += status == LK_RACE;
        }
        }
    }
    EXPECT(done != 0 && raced != 0, done, raced);
    crowd_note("committed", done);
    crowd_note("raced", raced);
    pair_close(&t);
}

/* ---- the statement ---- */

/* What was sent: writes of a held commit (UPDATE), of a plan (INSERT). */
static void
sent_count(proxy *p, char statement, int wanted)
{
    static proxy_talk talk;
    int count = 0;
    proxy_settle(p, &talk);
    for (int i = 0; i < talk.count[PROXY_CLIENT]; i++)
        count +=
            talk.said[PROXY_CLIENT][i].type == 'B' && talk.said[PROXY_CLIENT][i].tag == statement;
    EXPECT(wanted == 0 ? count == 0 : count >= wanted, count, wanted);
}

static void
path(void)
{
    pair t;
    proxy *p = proxy_new(server_conninfo(s), server_directory(s));
    pair_open(&t);
    lk_close(t.dbs[SERVER]);
    t.dbs[SERVER] = handle_open(proxy_conninfo(p));
    for (size_t i = 0; i < MANY; i++)
        pair_set(&t, i, "old", 0);
    pair_lock(&t, 0, MANY);
    commit c = commit_of(64, 64, "held");
    proxy_watch(p, PROXY_NONE, PROXY_CLIENT, 0);
    EXPECT_OK(pair_commit(&t, &c));
    sent_count(p, 'U', 1);
    proxy_watch(p, PROXY_NONE, PROXY_CLIENT, 0);
    EXPECT_OK(pair_commit(&t, &c));
    sent_count(p, 'I', 0);
    c = commit_of(65, 65, "planned");
    proxy_watch(p, PROXY_NONE, PROXY_CLIENT, 0);
    EXPECT_OK(pair_commit(&t, &c));
    sent_count(p, 'I', 2);
    pair_close(&t);
    proxy_free(p);
}

/* Somebody else has a row locked: the commit ends with its time, and nothing of it is there. */
static void
row_locked(void)
{
    pair t;
    options.deadline_ms = SHORT_MS;
    pair_open(&t);
    options.deadline_ms = DEADLINE_MS;
    for (size_t i = 0; i < KEYS; i++)
        pair_set(&t, i, "old", 0);
    pair_lock(&t, 0, KEYS);
    PGconn *holder = server_row_hold(s, "held", "02");
    commit c = commit_of(KEYS, KEYS, "new");
    lk_lock locks[MANY];
    lk_conflict conflict;
    lk_status status = commit_make(&t, SERVER, &c, locks, &conflict);
    EXPECT(status == LK_UNAVAILABLE, status, 0);
    pair_compare(&t);
    server_row_free(holder);
    do /* the server may be at the one that was given up */
        status = commit_make(&t, SERVER, &c, locks, &conflict);
    while (status == LK_UNAVAILABLE && crowd_is_well());
    EXPECT_OK(status);
    EXPECT_OK(commit_make(&t, MEMORY, &c, locks, &conflict));
    pair_compare(&t);
    pair_close(&t);
}

/* ---- several at once ---- */

enum { ACCOUNTS = 4, THREADS = 4, EACH = 100 };

static void
transfer(crowd_member *m)
{
    pair *t = m->context;
    lk_db *db = t->dbs[SERVER];
    for (uint64_t done = 0; done < test_scaled(EACH) && crowd_is_well();) {
        size_t from = crowd_pick(m, ACCOUNTS), to = (from + 1 + crowd_pick(m, ACCOUNTS - 1));
        lk_key keys[2] = {key_of(t, from), key_of(t, to % ACCOUNTS)};
        lk_lock locks[2];
        int64_t sums[2];
        EXPECT_OK(lk_get_locked(db, keys, 2, locks, m->result));
        for (size_t i = 0; i < 2; i++) {
            memcpy(&sums[i], lk_result_item(m->result, i)->data.data, sizeof sums[i]);
            sums[i] += i == 0 ? -1 : 1;
        }
        lk_write writes[2] = {{.kind = LK_PUT, .item = {keys[0], {&sums[0], 8}, 0}},
                              {.kind = LK_PUT, .item = {keys[1], {&sums[1], 8}, 0}}};
        lk_status status = lk_commit(db, writes, 2, locks, 2, NULL);
        EXPECT(status == LK_OK || status == LK_RACE, status, 0);
        done += status == LK_OK;
    }
}

static void
transfers(void)
{
    pair t;
    int64_t sum = 0, one;
    size_t size;
    pair_open(&t);
    for (size_t i = 0; i < ACCOUNTS; i++)
        EXPECT_OK(lk_add(t.dbs[SERVER], key_of(&t, i), 1000, 0, NULL));
    crowd_run(THREADS, transfer, &t);
    for (size_t i = 0; i < ACCOUNTS; i++) {
        EXPECT_OK(lk_get_into(t.dbs[SERVER], key_of(&t, i), &one, sizeof one, &size));
        sum += one;
    }
    EXPECT(sum == ACCOUNTS * 1000, sum, 0);
    pair_close(&t);
}

/* ---- what is counted ---- */

static void
locks_counted(void)
{
    pair t;
    lk_lock lock;
    lk_statistics counted[STORES];
    pair_open(&t);
    lk_key keys[3] = {key_of(&t, 0), key_of(&t, 1), key_of(&t, 2)};
    pair_set(&t, 0, "x", 0);
    pair_set(&t, 1, "x", 0);
    for (int store = 0; store < STORES; store++)
        EXPECT_OK(lk_get_lock(t.dbs[store], keys[0], &lock)); /* created */
    for (int times = 0; times < 3; times++) { /* renewed, and one created; renewed; created anew */
        advance(times < 2 ? TTL_MS - REFRESH_MS + 1 : TTL_MS + 1);
        for (int store = 0; store < STORES; store++)
            EXPECT_OK(lk_get_locked(t.dbs[store], keys, 2, t.locks[store], t.results[store]));
    }
    commit c = commit_of(1, 1, "new"); /* of a key that has neither item nor lock */
    c.locks[0] = c.puts[0] = 2;
    t.locks[SERVER][2] = t.locks[MEMORY][2] = (lk_lock){.key = keys[2]};
    EXPECT_OK(pair_commit(&t, &c));
    for (int store = 0; store < STORES; store++)
        EXPECT_OK(lk_statistics_read(t.dbs[store], &counted[store]));
    EXPECT(counted[SERVER].locks_created == 5, counted[SERVER].locks_created, 0);
    EXPECT(counted[SERVER].locks_renewed == 3, counted[SERVER].locks_renewed, 0);
    EXPECT(counted[MEMORY].locks_created == 5, counted[MEMORY].locks_created, 0);
    EXPECT(counted[MEMORY].locks_renewed == 3, counted[MEMORY].locks_renewed, 0);
    pair_close(&t);
}

/* Of two claims that one commit ends, one is late. */
static void
late_counted(void)
{
    pair t;
    pair_open(&t);
    for (int store = 0; store < STORES; store++) {
        lk_item jobs[2] = {{.key = lk_key_of("late", "1"), .data = lk_string("1")},
                           {.key = lk_key_of("late", "2"), .data = lk_string("2")}};
        lk_pull_options pull = LK_PULL_OPTIONS_INIT;
        lk_result *second = lk_result_new();
        lk_queue_statistics stats;
        pull.pk = lk_string("late");
        pull.visibility_ms = 10;
        EXPECT_OK(lk_queue_push(t.dbs[store], jobs, 2, NULL, NULL));
        EXPECT_OK(lk_queue_pull(t.dbs[store], &pull, t.results[store]));
        pull.visibility_ms = 1000;
        EXPECT_OK(lk_queue_pull(t.dbs[store], &pull, second));
        advance(20);
        lk_write writes[2] = {
            {.kind = LK_ACKNOWLEDGE, .claim = lk_result_claim(t.results[store], 0)},
            {.kind = LK_ACKNOWLEDGE, .claim = lk_result_claim(second, 0)}};
        lk_status status = lk_commit(t.dbs[store], writes, 2, NULL, 0, NULL);
        EXPECT(status == LK_LATE, status, store);
        EXPECT_OK(lk_queue_stats(t.dbs[store], lk_string("late"), &stats));
        EXPECT(stats.late == 1, stats.late, store);
        lk_result_free(second);
    }
    pair_close(&t);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"good", good},
                                               {"duplicates", duplicates},
                                               {"refused", refused},
                                               {"at_random", at_random},
                                               {"path", path},
                                               {"row_locked", row_locked},
                                               {"transfers", transfers},
                                               {"locks_counted", locks_counted},
                                               {"late_counted", late_counted}};
    static const char *const settings[] = {"-c", "fsync=off", NULL};
    s = server_new(settings, NULL);
    options.create = true;
    options.deadline_ms = DEADLINE_MS;
    options.realtime_ms = options.monotonic_ms = clock_read;
    options.lock_ttl_ms = TTL_MS;
    options.lock_refresh_ms = REFRESH_MS;
    lk_close(handle_open(server_conninfo(s)));
    int failed = crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
    server_free(s);
    return failed;
}
