/* SPDX-License-Identifier: MIT
 *
 * One thread serves two queues, and whatever else it has descriptors for, with epoll. A queue's
 * descriptor is readable as long as a job is ready, also when a claim has lapsed or a delay is
 * over, and when the queue is closed: pull until there is nothing.
 */
#include <latchkey/latchkey.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { QUEUES = 2, JOBS = 500 };

static const char *const names[QUEUES] = {"mail", "prints"};
static lk_db *db;

/* Pushes to both, now and then with a delay. */
static void *
produce(void *failed)
{
    for (int i = 0; i < JOBS * QUEUES; i++) {
        lk_item job = {.key = lk_key_of(names[i % QUEUES], NULL), .data = {&i, sizeof i}};
        lk_push_options options = LK_PUSH_OPTIONS_INIT;
        options.delay_ms = i % 100 == 0 ? 3 : 0;
        if (lk_queue_push(db, &job, 1, &options, NULL) != LK_OK)
            return failed;
    }
    return NULL;
}

/* Takes what is ready. LK_EMPTY: wait for the descriptor; LK_CLOSED: for nothing any more. */
static lk_status
drain(const char *name, lk_result *result, int *done)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;
    options.pk = lk_string(name);
    options.max_jobs = 16;
    for (;;) {
        lk_status status = lk_queue_pull(db, &options, result);
        if (status != LK_OK)
            return status;
        for (size_t i = 0; i < lk_result_count(result); i++) {
            if (lk_queue_acknowledge(db, lk_result_claim(result, i), 1) != LK_OK)
                return LK_UNKNOWN;
            *done += 1;
        }
    }
}

/* Until all jobs of both queues are done. */
static int
serve(int epoll, lk_result *result, int done[QUEUES])
{
    while (done[0] < JOBS || done[1] < JOBS) {
        struct epoll_event events[QUEUES];
        int count = epoll_wait(epoll, events, QUEUES, -1);
        for (int i = 0; i < count; i++) {
            unsigned queue = events[i].data.u32;
            lk_status status = drain(names[queue], result, &done[queue]);
            if (status != LK_EMPTY)
                return 1;
        }
    }
    return 0;
}

int
main(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), done[QUEUES] = {0}, failed = 0;
    lk_result *result = lk_result_new();
    pthread_t producer;
    void *producer_failed = NULL;
    if (epoll < 0 || result == NULL || lk_memory_open(NULL, &db) != LK_OK)
        return 1;
    for (unsigned i = 0; i < QUEUES; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        int fd; /* the store's: it is closed with the store */
        if (lk_queue_fd(db, lk_string(names[i]), &fd) != LK_OK ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            return 1;
    }
    if (pthread_create(&producer, NULL, produce, &failed) != 0)
        return 1;
    failed = serve(epoll, result, done);
    pthread_join(producer, &producer_failed);
    printf("%d and %d jobs\n", done[0], done[1]);
    lk_result_free(result);
    close(epoll);
    lk_close(db);
    return failed == 0 && producer_failed == NULL ? 0 : 1;
}
