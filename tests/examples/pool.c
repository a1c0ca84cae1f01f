/* SPDX-License-Identifier: MIT
 *
 * A pool of threads: they sleep until there is work, and put each result down in the same step that
 * takes the job out. Whatever happens to a worker, a job is done once: if it died half-way, the
 * claim lapses and another takes over.
 */
#include <latchkey/latchkey.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { WORKERS = 4, JOBS = 1000 };

static lk_db *db;

/* The work: how many steps until n is 1. */
static unsigned
collatz(unsigned long long n)
{
    unsigned steps = 0;
    for (; n > 1; steps++)
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

/* Does one job, and writes its result under the number that it is about. */
static lk_status
handle(const lk_item *job, const lk_claim *claim)
{
    unsigned long long n = 0;
    char sk[24];
    memcpy(&n, job->data.data, sizeof n);
    unsigned steps = collatz(n);
    snprintf(sk, sizeof sk, "%llu", n);
    lk_write writes[] = {
        {.kind = LK_ACKNOWLEDGE, .claim = claim},
        {.kind = LK_PUT, .item = {.key = lk_key_of("steps", sk), .data = {&steps, sizeof steps}}},
    };
    lk_status status = lk_commit(db, writes, 2, NULL, 0, NULL);
    /* Late is well done; lost: it took us too long, and somebody else does it. */
    return status == LK_LATE || status == LK_LOST ? LK_OK : status;
}

static void *
work(void *unused)
{
    (void)unused;
    lk_result *result = lk_result_new();
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string("numbers");
    options.wait_ms = -1;
    lk_status status = result == NULL ? LK_NO_MEMORY : LK_OK;
    while (status == LK_OK) {
        status = lk_queue_pull(db, &options, result);
        if (status == LK_OK)
            status = handle(lk_result_item(result, 0), lk_result_claim(result, 0));
    }
    lk_result_free(result);
    return status == LK_CLOSED ? NULL : &db; /* closed and drained: all is done */
}

int
main(void)
{
    pthread_t workers[WORKERS];
    int failures = 0;
    if (lk_memory_open(NULL, &db) != LK_OK)
        return 1;
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&workers[i], NULL, work, NULL) != 0)
            return 1;
    for (unsigned long long n = 1; n <= JOBS; n++) {
        lk_item job = {.key = lk_key_of("numbers", NULL), .data = {&n, sizeof n}};
        failures += lk_queue_push(db, &job, 1, NULL, NULL) != LK_OK;
    }
    /* No more jobs: the workers finish what is there, and end. */
    failures += lk_queue_close(db, lk_string("numbers")) != LK_OK;
    for (int i = 0; i < WORKERS; i++) {
        void *failed = NULL;
        pthread_join(workers[i], &failed);
        failures += failed != NULL;
    }

    lk_query query = {.pk = lk_string("steps")};
    lk_result *result = lk_result_new();
    unsigned most = 0;
    if (result == NULL || lk_query_items(db, &query, result) != LK_OK)
        return 1;
    for (size_t i = 0; i < lk_result_count(result); i++) {
        unsigned steps = 0;
        memcpy(&steps, lk_result_item(result, i)->data.data, sizeof steps);
        most = steps > most ? steps : most;
    }
    printf("%zu results, at most %u steps\n", lk_result_count(result), most);
    failures += lk_result_count(result) != JOBS || most != 178;
    lk_result_free(result);
    lk_close(db);
    return failures == 0 ? 0 : 1;
}
