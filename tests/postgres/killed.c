/* SPDX-License-Identifier: MIT
 *
 * Backends of the server are terminated at random while threads move money between accounts and
 * jobs between two queues. What was acknowledged is there, what was refused is not, and only what
 * ended in LK_UNKNOWN may be either: so each transfer leaves a receipt in the same step, and at the
 * end the receipts that are there say what the accounts have to hold. No job is lost or doubled.
 *
 *     killed SECONDS       (LATCHKEY_POSTGRES: conninfo)
 */
#include <latchkey/postgres.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, ACCOUNTS = 10, JOBS = 200 };

static const char *conninfo;
static lk_db *db;
static atomic_bool over;
static atomic_int acknowledged, unknown, unavailable, others, kills;

static int64_t
clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
count(lk_status status)
{
    atomic_int *counter = status == LK_OK || status == LK_LATE ? &acknowledged
                          : status == LK_UNKNOWN               ? &unknown
                          : status == LK_UNAVAILABLE           ? &unavailable
                                                               : &others;
    atomic_fetch_add(counter, 1);
}

/* ---- transfers: each leaves a receipt ---- */

typedef struct mover {
    pthread_t thread;
    unsigned seed, number;
    unsigned done[100000], done_count; /* receipts that must be there */
    unsigned never[100000], never_count;
} mover;

static lk_key
account(unsigned i, char *sk)
{
    snprintf(sk, 16, "%u", i);
    return (lk_key){lk_string("account"), lk_string(sk)};
}

static void *
mover_run(void *context)
{
    mover *m = context;
    for (unsigned n = 0; !atomic_load(&over) && n < 100000; n++) {
        char sks[2][16], receipt[32], text[32];
        unsigned from = (unsigned)rand_r(&m->seed) % ACCOUNTS,
                 to = (from + 1 + (unsigned)rand_r(&m->seed) % (ACCOUNTS - 1)) % ACCOUNTS;
        snprintf(receipt, sizeof receipt, "%u.%u", m->number, n);
        snprintf(text, sizeof text, "%u %u", from, to);
        lk_write writes[3] = {
            {.kind = LK_ADD, .item = {.key = account(from, sks[0])}, .delta = -1},
            {.kind = LK_ADD, .item = {.key = account(to, sks[1])}, .delta = 1},
            {.kind = LK_PUT,
             .item = {{lk_string("receipt"), lk_string(receipt)}, lk_string(text), 0},
             .condition = LK_IF_ABSENT}};
        lk_status status = lk_commit(db, writes, 3, NULL, 0, NULL);
        count(status);
        if (status == LK_OK)
            m->done[m->done_count++] = n;
        else if (status != LK_UNKNOWN)
            m->never[m->never_count++] = n;
    }
    return NULL;
}

/* ---- jobs: handed from one queue to another, and back ---- */

static void *
worker_run(void *context)
{
    lk_result *result = lk_result_new();
    int turn = *(int *)context;
    while (!atomic_load(&over)) {
        lk_pull_options pull = LK_PULL_OPTIONS_INIT;
        turn = !turn;
        pull.pk = lk_string(turn ? "left" : "right");
        pull.visibility_ms = 500;
        lk_status status = lk_queue_pull(db, &pull, result);
        if (status != LK_OK)
            continue;
        lk_item job = *lk_result_item(result, 0);
        job.key.pk = lk_string(turn ? "right" : "left");
        lk_write writes[2] = {{.kind = LK_ACKNOWLEDGE, .claim = lk_result_claim(result, 0)},
                              {.kind = LK_PUSH, .item = job}};
        count(lk_commit(db, writes, 2, NULL, 0, NULL));
    }
    lk_result_free(result);
    return NULL;
}

static void *
killer_run(void *context)
{
    PGconn *pg = PQconnectdb(conninfo);
    (void)context;
    while (!atomic_load(&over)) {
        PGresult *done = PQexec(
            pg, "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' "
                "ORDER BY random() LIMIT 1) q");
        atomic_fetch_add(&kills, PQntuples(done) == 1 ? atoi(PQgetvalue(done, 0, 0)) : 0);
        PQclear(done);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    PQfinish(pg);
    return NULL;
}

/* ---- the reckoning ---- */

static int faults;

static void
expect(bool holds, const char *what, long long seen, long long wanted)
{
    if (holds)
        return;
    printf("%s: %lld, not %lld\n", what, seen, wanted);
    faults++;
}

static bool
receipt_is_there(unsigned number, unsigned n, lk_result *result)
{
    char receipt[32];
    snprintf(receipt, sizeof receipt, "%u.%u", number, n);
    return lk_get(db, lk_key_of("receipt", receipt), result) == LK_OK;
}

static void
accounts_check(mover *movers)
{
    long long wanted[ACCOUNTS] = {0};
    lk_result *result = lk_result_new();
    lk_stream *stream;
    lk_item item;
    lk_query query = {.pk = lk_string("receipt")};
    if (lk_stream_open(db, &query, &stream) != LK_OK)
        abort();
    while (lk_stream_next(stream, &item) == LK_OK) {
        char text[32] = {0};
        unsigned from, to;
        memcpy(text, item.data.data, item.data.size);
        if (sscanf(text, "%u %u", &from, &to) != 2)
            abort();
        wanted[from]--;
        wanted[to]++;
    }
    lk_stream_close(stream);
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char sk[16];
        int64_t value = 0;
        if (lk_add(db, account(i, sk), 0, 0, &value) != LK_OK)
            abort();
        expect(value == wanted[i], "an account holds", value, wanted[i]);
    }
    for (int t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < movers[t].done_count; i++)
            expect(receipt_is_there(movers[t].number, movers[t].done[i], result),
                   "an acknowledged transfer is there", 0, 1);
        for (unsigned i = 0; i < movers[t].never_count; i++)
            expect(!receipt_is_there(movers[t].number, movers[t].never[i], result),
                   "a refused transfer is there", 1, 0);
    }
    lk_result_free(result);
}

static void
jobs_check(void)
{
    size_t left, right;
    lk_query queries[2] = {{.pk = lk_string("left")}, {.pk = lk_string("right")}};
    if (lk_count(db, &queries[0], &left) != LK_OK || lk_count(db, &queries[1], &right) != LK_OK)
        abort();
    expect(left + right == JOBS, "jobs", (long long)(left + right), JOBS);
}

int
main(int argc, char **argv)
{
    static mover movers[THREADS];
    pthread_t workers[THREADS], killer;
    int turns[2] = {0, 1};
    lk_postgres_options options = LK_POSTGRES_OPTIONS_INIT;
    conninfo = getenv("LATCHKEY_POSTGRES");
    if (conninfo == NULL)
        return 77;
    options.create = true;
    options.schema = "latchkey_killed";
    lk_status status = lk_postgres_open(conninfo, &options, &db);
    if (status != LK_OK) {
        printf("open: %s\n", lk_status_string(status));
        return 1;
    }
    for (int i = 0; i < JOBS; i++) {
        char sk[16];
        snprintf(sk, sizeof sk, "job%d", i);
        lk_item job = {.key = lk_key_of("left", sk)};
        if (lk_queue_push(db, &job, 1, NULL, NULL) != LK_OK)
            return 1;
    }
    for (int t = 0; t < THREADS; t++) {
        movers[t].number = (unsigned)t;
        movers[t].seed = (unsigned)t + 1;
        pthread_create(&movers[t].thread, NULL, mover_run, &movers[t]);
        pthread_create(&workers[t], NULL, worker_run, &turns[t % 2]);
    }
    pthread_create(&killer, NULL, killer_run, NULL);
    int64_t until_ms = clock_ms() + (argc > 1 ? atoi(argv[1]) : 5) * 1000;
    while (clock_ms() < until_ms)
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    atomic_store(&over, true);
    pthread_join(killer, NULL);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(movers[t].thread, NULL);
        pthread_join(workers[t], NULL);
    }
    accounts_check(movers);
    jobs_check();
    printf("%d backends killed; %d calls done, %d unknown, %d unavailable, %d others\n", kills,
           acknowledged, unknown, unavailable, others);
    lk_close(db);
    return faults != 0;
}
