/* SPDX-License-Identifier: MIT
 *
 * What people write first: a mutex, a condition and a ring of jobs that grows. Jobs are copied in
 * and out under the mutex; the condition is signalled only where somebody waits. No claims: a pull
 * takes the job out, and what a worker dies over is lost.
 *
 * Next to it mutex-singles, the same with one job in each call: what the targets of batches are
 * measured against.
 */
#include "driver/contender.h"

#include <pthread.h>
#include <stdlib.h>

#define RING_START 1024

struct deque {
    _Alignas(BENCH_LINE) pthread_mutex_t latch;
    pthread_cond_t arrived;
    struct queue_job *ring;
    size_t mask;
    size_t head, tail; /* of the next pull, of the next push; they only grow */
    size_t waiting;
};

static void *
deque_open(const struct queue_setup *setup)
{
    struct deque *deque = aligned_alloc(BENCH_LINE, sizeof *deque);

    (void)setup;
    if (deque == NULL)
        return NULL;
    deque->ring = malloc(RING_START * sizeof *deque->ring);
    if (deque->ring == NULL) {
        free(deque);
        return NULL;
    }
    pthread_mutex_init(&deque->latch, NULL);
    pthread_cond_init(&deque->arrived, NULL);
    deque->mask = RING_START - 1;
    deque->head = deque->tail = deque->waiting = 0;
    return deque;
}

static void
deque_close(void *handle)
{
    struct deque *deque = handle;

    pthread_cond_destroy(&deque->arrived);
    pthread_mutex_destroy(&deque->latch);
    free(deque->ring);
    free(deque);
}

/* There is nothing to hold: the client is the queue. */
static void *
client_attach(void *queue)
{
    return queue;
}

static void
client_detach(void *client)
{
    (void)client;
}

static bool
ring_reserve_latched(struct deque *deque, size_t count)
{
    size_t size = deque->mask + 1, wanted = size;

    while (deque->tail - deque->head + count > wanted)
        wanted *= 2;
    if (wanted == size)
        return true;
    struct queue_job *ring = malloc(wanted * sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = deque->head; i != deque->tail; i++)
        ring[i & (wanted - 1)] = deque->ring[i & deque->mask];
    free(deque->ring);
    deque->ring = ring;
    deque->mask = wanted - 1;
    return true;
}

static bool
client_push(void *handle, const struct queue_job *jobs, size_t count)
{
    struct deque *deque = handle;

    pthread_mutex_lock(&deque->latch);
    bool good = ring_reserve_latched(deque, count);
    for (size_t i = 0; good && i < count; i++)
        deque->ring[deque->tail++ & deque->mask] = jobs[i];
    size_t waiting = deque->waiting;
    pthread_mutex_unlock(&deque->latch);
    for (size_t i = 0; good && i < count && i < waiting; i++)
        pthread_cond_signal(&deque->arrived);
    return good;
}

static size_t
jobs_take(struct deque *deque, struct queue_job *jobs, size_t count, bool waits)
{
    size_t got = 0;

    pthread_mutex_lock(&deque->latch);
    while (waits && deque->head == deque->tail) {
        deque->waiting++;
        pthread_cond_wait(&deque->arrived, &deque->latch);
        deque->waiting--;
    }
    while (got < count && deque->head != deque->tail)
        jobs[got++] = deque->ring[deque->head++ & deque->mask];
    pthread_mutex_unlock(&deque->latch);
    return got;
}

static size_t
client_pull(void *deque, struct queue_job *jobs, size_t count)
{
    return jobs_take(deque, jobs, count, false);
}

static size_t
client_pull_wait(void *deque, struct queue_job *job)
{
    return jobs_take(deque, job, 1, true);
}

static bool
client_acknowledge(void *client)
{
    (void)client;
    return true;
}

#define DEQUE_CALLS                                                                             \
    .open = deque_open, .close = deque_close, .attach = client_attach, .detach = client_detach, \
    .push = client_push, .pull = client_pull, .pull_wait = client_pull_wait,                    \
    .acknowledge = client_acknowledge

static const struct queue_operations deque_queue = {DEQUE_CALLS};
static const struct queue_operations singles_queue = {.batch_most = 1, DEQUE_CALLS};

static const struct bench_contender contenders[] = {
    {.name = "mutex-deque",
     .what = "queue: a mutex, a condition, a ring that grows; no claims",
     .order = 50,
     .queue = &deque_queue},
    {.name = "mutex-singles",
     .what = "queue: mutex-deque with one job in each call, beside batches of the others",
     .order = 51,
     .queue = &singles_queue},
};
BENCH_CONTENDERS(contenders)
