/* SPDX-License-Identifier: MIT
 *
 * Transactions of several keys, strictly serializable? Every value tells who wrote it and the how manieth of its key it is, so a history gives exact
 * edges: write to write, write to read, read to next write, and end to begin in time. An order exists iff there is no cycle
 * (Adya, "Weak Consistency", 1999). Two twins must show one: commits without locks, and reads key by key.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support/crowd.h"

enum { THREADS = 5, KEYS = 6, TOUCHED_MAX = 3, ROUNDS = 6 };

typedef struct access {
    uint32_t transaction;
    uint32_t key;
    uint64_t number; /* of the key's values; 0: the first, nobody's */
} access;

typedef struct transaction {
    int64_t begin, end;
    access read[TOUCHED_MAX];
    access write[TOUCHED_MAX];
    size_t reads, writes;
} transaction;

enum twin { TWIN_NONE, TWIN_NO_LOCKS, TWIN_SINGLE_READS };

static struct {
    lk_db *db;
    enum twin twin;
    size_t each; /* transactions of a thread */
    uint64_t round;
    transaction *log; /* of all threads, one after the other */
    char name[KEYS][CROWD_KEY_ROOM];
    atomic_ullong races;
} test;

static int64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static lk_key
key_of(size_t key)
{
    return lk_key_of(key % 2 == 0 ? "even" : "odd", test.name[key]);
}

static uint64_t
number_of(const lk_item *item, size_t key)
{
    uint64_t number = 0;
    EXPECT(item != NULL && crowd_value_check(item->data, key, &number), key, number);
    return number;
}

/* ---- transactions ---- */

static void
keys_pick(crowd_member *m, uint32_t *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool again;
        do {
            again = false;
            keys[i] = (uint32_t)(crowd_random(&m->random) % KEYS);
            for (size_t j = 0; j < i; j++)
                again |= keys[j] == keys[i];
        } while (again);
    }
}

/* The numbers of all keys: with the locks, at one instant, or (a twin) one after the other. */
static void
keys_read(crowd_member *m, const uint32_t *picked, size_t count, lk_lock *locks, transaction *t)
{
    lk_key keys[TOUCHED_MAX];
    for (size_t i = 0; i < count; i++)
        keys[i] = key_of(picked[i]);
    if (test.twin != TWIN_SINGLE_READS && locks != NULL)
        EXPECT_OK(lk_get_locked(test.db, keys, count, locks, m->result));
    else if (test.twin != TWIN_SINGLE_READS)
        EXPECT_OK(lk_get_many(test.db, keys, count, m->result));
    for (size_t i = 0; i < count; i++) {
        size_t position = i;
        if (test.twin == TWIN_SINGLE_READS) {
            if (locks != NULL)
                EXPECT_OK(lk_get_lock(test.db, keys[i], &locks[i]));
            EXPECT_OK(lk_get(test.db, keys[i], m->result));
            position = 0;
            if (crowd_random(&m->random) % 4 == 0)
                sched_yield();
        }
        t->read[i] =
            (access){0, picked[i], number_of(lk_result_item(m->result, position), picked[i])};
    }
    t->reads = count;
}

static lk_status
keys_write(transaction *t, lk_lock *locks)
{
    unsigned char bytes[TOUCHED_MAX][CROWD_VALUE_MAX];
    lk_write writes[TOUCHED_MAX];
    for (size_t i = 0; i < t->writes; i++) {
        uint64_t number = t->read[i].number + 1;
        lk_item item = {.key = key_of(t->read[i].key),
                        .data = {bytes[i], crowd_value(bytes[i], t->read[i].key, number)}};
        t->write[i] = (access){0, t->read[i].key, number};
        writes[i] = (lk_write){.kind = LK_PUT, .item = item};
    }
    bool checked = test.twin != TWIN_NO_LOCKS;
    return lk_commit(test.db, writes, t->writes, checked ? locks : NULL, checked ? t->reads : 0,
                     NULL);
}

static void
transaction_run(crowd_member *m, transaction *t)
{
    uint32_t picked[TOUCHED_MAX];
    lk_lock locks[TOUCHED_MAX];
    size_t count = 2 + crowd_random(&m->random) % (TOUCHED_MAX - 1);
    keys_pick(m, picked, count);
    bool reads_only = crowd_random(&m->random) % 3 == 0;
    for (unsigned attempt = 0; crowd_is_well(); attempt++) {
        t->begin = now_ns();
        keys_read(m, picked, count, reads_only ? NULL : locks, t);
        if (crowd_random(&m->random) % 16 == 0)
            sched_yield();
        t->writes = reads_only ? 0 : 1 + crowd_random(&m->random) % count;
        lk_status status = reads_only ? LK_OK : keys_write(t, locks);
        t->end = now_ns();
        EXPECT(status == LK_OK || status == LK_RACE, (uint64_t)(unsigned)status, 0);
        if (status == LK_OK)
            return;
        atomic_fetch_add(&test.races, 1);
        lk_backoff(attempt);
    }
}

static void
member(crowd_member *m)
{
    m->random += test.round << 32;
    for (size_t i = 0; i < test.each && crowd_is_well(); i++)
        transaction_run(m, &test.log[m->index * test.each + i]);
}

/* ---- the graph: a node for each transaction, and for each moment at which one begins or ends ---- */

typedef struct graph {
    size_t nodes, edges, room;
    uint32_t *from, *to;
} graph;

static void
edge_add(graph *g, size_t from, size_t to)
{
    if (g->edges == g->room) {
        g->room = g->room * 2 + 1024;
        g->from = realloc(g->from, g->room * sizeof *g->from);
        g->to = realloc(g->to, g->room * sizeof *g->to);
        if (g->from == NULL || g->to == NULL)
            abort();
    }
    g->from[g->edges] = (uint32_t)from;
    g->to[g->edges++] = (uint32_t)to;
}

typedef struct moment {
    int64_t at;
    uint32_t transaction;
    bool ends;
} moment;

static int
moment_order(const void *left, const void *right)
{
    const moment *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    return (int)a->ends - (int)b->ends;
}

/* Who ended before another began came before it: by a chain of moments. */
static void
time_edges(graph *g, size_t count)
{
    moment *moments = calloc(2 * count, sizeof *moments);
    for (uint32_t i = 0; i < count; i++) {
        moments[2 * i] = (moment){test.log[i].begin, i, false};
        moments[2 * i + 1] = (moment){test.log[i].end, i, true};
    }
    qsort(moments, 2 * count, sizeof *moments, moment_order);
    for (size_t i = 0; i < 2 * count; i++) {
        size_t node = count + i;
        if (i > 0)
            edge_add(g, node - 1, node);
        if (moments[i].ends)
            edge_add(g, moments[i].transaction, node);
        else
            edge_add(g, node, moments[i].transaction);
    }
    free(moments);
}

static int
access_order(const void *left, const void *right)
{
    const access *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return 0;
}

/* An edge from (or to) each writer of a number of a key. */
static void
writer_edges(graph *g, const access *writes, size_t count, uint32_t key, uint64_t number,
             uint32_t other, bool to_writer)
{
    size_t low = 0, high = count;
    const access wanted = {0, key, number};
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (access_order(&writes[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && access_order(&writes[low], &wanted) == 0; low++)
        if (writes[low].transaction != other)
            edge_add(g, to_writer ? other : writes[low].transaction,
                     to_writer ? writes[low].transaction : other);
}

static void
data_edges(graph *g, size_t count)
{
    access *writes = calloc(count * TOUCHED_MAX + 1, sizeof *writes);
    size_t written = 0;
    for (uint32_t i = 0; i < count; i++)
        for (size_t j = 0; j < test.log[i].writes; j++) {
            writes[written] = test.log[i].write[j];
            writes[written++].transaction = i;
        }
    qsort(writes, written, sizeof *writes, access_order);
    for (uint32_t i = 0; i < count; i++) {
        const transaction *t = &test.log[i];
        for (size_t j = 0; j < t->reads; j++) {
            writer_edges(g, writes, written, t->read[j].key, t->read[j].number, i, false);
            writer_edges(g, writes, written, t->read[j].key, t->read[j].number + 1, i, true);
        }
        for (size_t j = 0; j < t->writes; j++)
            writer_edges(g, writes, written, t->write[j].key, t->write[j].number + 1, i, true);
    }
    free(writes);
}

/* Takes away what nothing comes before, again and again; a cycle stays. (Kahn, 1962) */
static size_t
graph_rest(const graph *g)
{
    uint32_t *before = calloc(g->nodes, sizeof *before),
             *first = calloc(g->nodes + 1, sizeof *first);
    uint32_t *next = calloc(g->edges + 1, sizeof *next), *ready = calloc(g->nodes, sizeof *ready);
    size_t taken = 0, count = 0;
    for (size_t e = 0; e < g->edges; e++) {
        before[g->to[e]]++;
        first[g->from[e] + 1]++;
    }
    for (size_t n = 0; n < g->nodes; n++)
        first[n + 1] += first[n];
    for (size_t e = g->edges; e-- > 0;)
        next[--first[g->from[e] + 1]] = g->to[e];
    /* first[n + 1] has moved to the start of n's edges; they end where n + 1's start. */
    for (size_t n = 0; n < g->nodes; n++)
        if (before[n] == 0)
            ready[count++] = (uint32_t)n;
    while (taken < count) {
        size_t n = ready[taken++], end = n + 1 < g->nodes ? first[n + 2] : g->edges;
        for (size_t e = first[n + 1]; e < end; e++)
            if (--before[next[e]] == 0)
                ready[count++] = next[e];
    }
    free(before);
    free(first);
    free(next);
    free(ready);
    return g->nodes - count;
}

/* The number of nodes in or behind cycles. */
static size_t
history_check(size_t count)
{
    graph g = {.nodes = 3 * count};
    time_edges(&g, count);
    data_edges(&g, count);
    size_t rest = graph_rest(&g);
    free(g.from);
    free(g.to);
    return rest;
}

static size_t
rounds_run(enum twin twin, size_t rounds, size_t each)
{
    size_t cycles = 0;
    test.twin = twin;
    test.each = each;
    atomic_store(&test.races, 0);
    for (size_t key = 0; key < KEYS; key++)
        snprintf(test.name[key], sizeof test.name[key], "key%zu", key);
    for (test.round = 0; test.round < rounds && crowd_is_well(); test.round++) {
        test.log = calloc(THREADS * each, sizeof *test.log);
        EXPECT_OK(lk_memory_open(NULL, &test.db));
        for (size_t key = 0; key < KEYS; key++)
            EXPECT_OK(crowd_set(test.db, key_of(key), key, 0));
        crowd_run(THREADS, member, NULL);
        lk_close(test.db);
        cycles += history_check(THREADS * each) != 0;
        free(test.log);
    }
    return cycles;
}

static void
run_twins(void)
{
    EXPECT(rounds_run(TWIN_NO_LOCKS, 1, 6000) == 1, 0, 0);
    EXPECT(rounds_run(TWIN_SINGLE_READS, 1, 6000) == 1, 0, 0);
    crowd_note("twins refused", 2);
}

static void
run_store(void)
{
    size_t each = test_scaled(30000);
    EXPECT(rounds_run(TWIN_NONE, ROUNDS, each) == 0, 0, 0);
    crowd_note("transactions", ROUNDS * each * THREADS);
    crowd_note("races", test.races);
}

int
main(int argc, char **argv)
{
    static const crowd_scenario scenarios[] = {{"twins", run_twins}, {"store", run_store}};
    return crowd_main(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
