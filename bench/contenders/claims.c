/* SPDX-License-Identifier: MIT
 *
 * Claims by hand: what a careful programmer writes who needs that no job is lost with its worker.
 * One mutex over a ring of ready jobs, a hash table from id to claimed job, and the claimed jobs in
 * a list by deadline, to which a pull appends, for all visibility timeouts are equal. A pull looks
 * at the head of that list, by the coarse clock, and gives lapsed jobs back to the front. An
 * acknowledgement proves itself by id and number of receipts. Jobs are allocated and freed outside
 * of the mutex.
 *
 * The list is doubly linked: a queue of {deadline, id} entries would keep those of acknowledged
 * jobs until their time has passed, which at millions of jobs a second is gigabytes.
 */
#include "driver/contender.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define READY_START 1024
#define TABLE_START 1024

struct job {
    struct queue_job bytes;
    uint64_t id; /* the queue's, not that in the bytes */
    uint32_t receives;
    int64_t deadline_ms;
    struct job *before, *after; /* among the claimed ones */
};

/* With the id, so that a search touches no other job. */
struct place {
    uint64_t id;
    struct job *job; /* NULL: empty */
};

struct claims {
    _Alignas(BENCH_LINE) pthread_mutex_t latch;
    struct job **ready; /* a ring */
    size_t ready_mask;
    size_t head, tail;
    struct place *table; /* open addressing by id, linear; at most half full */
    size_t table_mask;
    size_t claimed;
    struct job *oldest, *newest;
    uint64_t next_id;
    int64_t visibility_ms;
};

struct claim {
    uint64_t id;
    uint32_t receives;
};

struct client {
    struct claims *queue;
    size_t count; /* of the last pull */
    size_t capacity;
    struct claim *claims;
    struct job **done; /* to be freed after an acknowledgement */
};

static int64_t
now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the table of claimed jobs ---- */

static size_t
table_home(const struct claims *queue, uint64_t id)
{
    return (size_t)random_mix(id) & queue->table_mask;
}

/* Where the job of that id is, or the empty place where it would be. */
static size_t
table_find(const struct claims *queue, uint64_t id)
{
    size_t at = table_home(queue, id);

    while (queue->table[at].job != NULL && queue->table[at].id != id)
        at = (at + 1) & queue->table_mask;
    return at;
}

static bool
table_reserve(struct claims *queue, size_t count)
{
    size_t size = queue->table_mask + 1, wanted = size;
    struct place *old = queue->table;

    while ((queue->claimed + count) * 2 > wanted)
        wanted *= 2;
    if (wanted == size)
        return true;
    struct place *table = calloc(wanted, sizeof *table);
    if (table == NULL)
        return false;
    queue->table = table;
    queue->table_mask = wanted - 1;
    for (size_t i = 0; i < size; i++)
        if (old[i].job != NULL)
            table[table_find(queue, old[i].id)] = old[i];
    free(old);
    return true;
}

/* Closes the gap, so that no search ends before its job. */
static void
table_remove(struct claims *queue, size_t gap)
{
    size_t at = gap;

    for (;;) {
        at = (at + 1) & queue->table_mask;
        if (queue->table[at].job == NULL)
            break;
        size_t home = table_home(queue, queue->table[at].id);
        if (((at - home) & queue->table_mask) < ((at - gap) & queue->table_mask))
            continue;
        queue->table[gap] = queue->table[at];
        gap = at;
    }
    queue->table[gap].job = NULL;
    queue->claimed--;
}

/* ---- the list of claimed jobs, by deadline ---- */

static void
list_append(struct claims *queue, struct job *job)
{
    job->after = NULL;
    job->before = queue->newest;
    if (queue->newest != NULL)
        queue->newest->after = job;
    else
        queue->oldest = job;
    queue->newest = job;
}

static void
list_remove(struct claims *queue, struct job *job)
{
    if (job->before != NULL)
        job->before->after = job->after;
    else
        queue->oldest = job->after;
    if (job->after != NULL)
        job->after->before = job->before;
    else
        queue->newest = job->before;
}

/* ---- the ring of ready jobs ---- */

static bool
ready_reserve(struct claims *queue, size_t count)
{
    size_t size = queue->ready_mask + 1, wanted = size;

    while (queue->tail - queue->head + count > wanted)
        wanted *= 2;
    if (wanted == size)
        return true;
    struct job **ready = malloc(wanted * sizeof(struct job *));
    if (ready == NULL)
        return false;
    for (size_t i = queue->head; i != queue->tail; i++)
        ready[i & (wanted - 1)] = queue->ready[i & queue->ready_mask];
    free(queue->ready);
    queue->ready = ready;
    queue->ready_mask = wanted - 1;
    return true;
}

static void
lapsed_give_back(struct claims *queue, int64_t now)
{
    struct job *job;

    while ((job = queue->oldest) != NULL && job->deadline_ms < now && ready_reserve(queue, 1)) {
        list_remove(queue, job);
        table_remove(queue, table_find(queue, job->id));
        queue->ready[--queue->head & queue->ready_mask] = job;
    }
}

/* ---- the operations ---- */

static void *
queue_open_by_hand(const struct queue_setup *setup)
{
    struct claims *queue = aligned_alloc(BENCH_LINE, sizeof *queue);

    if (queue == NULL)
        return NULL;
    *queue = (struct claims){.ready = malloc(READY_START * sizeof(struct job *)),
                             .ready_mask = READY_START - 1,
                             .table = calloc(TABLE_START, sizeof(struct place)),
                             .table_mask = TABLE_START - 1,
                             .visibility_ms = setup->visibility_ms};
    pthread_mutex_init(&queue->latch, NULL);
    if (queue->ready != NULL && queue->table != NULL)
        return queue;
    free(queue->ready);
    free(queue->table);
    free(queue);
    return NULL;
}

static void
queue_close_by_hand(void *handle)
{
    struct claims *queue = handle;

    for (size_t i = queue->head; i != queue->tail; i++)
        free(queue->ready[i & queue->ready_mask]);
    for (struct job *job = queue->oldest, *after; job != NULL; job = after) {
        after = job->after;
        free(job);
    }
    pthread_mutex_destroy(&queue->latch);
    free(queue->ready);
    free(queue->table);
    free(queue);
}

static bool
client_reserve(struct client *client, size_t count)
{
    if (count <= client->capacity)
        return true;
    struct claim *claims = realloc(client->claims, count * sizeof *claims);
    if (claims == NULL)
        return false;
    client->claims = claims;
    struct job **done = realloc(client->done, count * sizeof(struct job *));
    if (done == NULL)
        return false;
    client->done = done;
    client->capacity = count;
    return true;
}

static void
client_detach(void *handle)
{
    struct client *client = handle;

    free(client->claims);
    free(client->done);
    free(client);
}

static void *
client_attach(void *queue)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->queue = queue;
    if (client_reserve(client, QUEUE_BATCH))
        return client;
    client_detach(client);
    return NULL;
}

static bool
client_push(void *handle, const struct queue_job *bytes, size_t count)
{
    struct claims *queue = ((struct client *)handle)->queue;
    struct job *jobs[QUEUE_BATCH];
    size_t made = 0;

    if (count > QUEUE_BATCH)
        return false;
    for (; made < count; made++) {
        jobs[made] = malloc(sizeof **jobs);
        if (jobs[made] == NULL)
            break;
        jobs[made]->bytes = bytes[made];
        jobs[made]->receives = 0;
    }
    bool good = made == count;
    if (good) {
        pthread_mutex_lock(&queue->latch);
        good = ready_reserve(queue, count);
        for (size_t i = 0; good && i < count; i++) {
            jobs[i]->id = queue->next_id++;
            queue->ready[queue->tail++ & queue->ready_mask] = jobs[i];
        }
        pthread_mutex_unlock(&queue->latch);
    }
    for (size_t i = 0; !good && i < made; i++)
        free(jobs[i]);
    return good;
}

/* Copies under the mutex: after it the claim may lapse, and another worker free the job. */
static size_t
client_pull(void *handle, struct queue_job *bytes, size_t count)
{
    struct client *client = handle;
    struct claims *queue = client->queue;
    int64_t now = now_ms();
    size_t got = 0;

    if (!client_reserve(client, count))
        return QUEUE_FAILED;
    pthread_mutex_lock(&queue->latch);
    lapsed_give_back(queue, now);
    size_t there = queue->tail - queue->head;
    bool good = table_reserve(queue, there < count ? there : count);
    while (good && got < count && queue->head != queue->tail) {
        struct job *job = queue->ready[queue->head++ & queue->ready_mask];
        job->receives++;
        job->deadline_ms = now + queue->visibility_ms;
        list_append(queue, job);
        queue->table[table_find(queue, job->id)] = (struct place){job->id, job};
        queue->claimed++;
        client->claims[got] = (struct claim){job->id, job->receives};
        bytes[got++] = job->bytes;
    }
    pthread_mutex_unlock(&queue->latch);
    client->count = got;
    return good ? got : QUEUE_FAILED;
}

static bool
client_acknowledge(void *handle)
{
    struct client *client = handle;
    struct claims *queue = client->queue;
    size_t done = 0;

    pthread_mutex_lock(&queue->latch);
    for (size_t i = 0; i < client->count; i++) {
        size_t at = table_find(queue, client->claims[i].id);
        struct job *job = queue->table[at].job;
        if (job == NULL || job->receives != client->claims[i].receives)
            continue;
        table_remove(queue, at);
        list_remove(queue, job);
        client->done[done++] = job;
    }
    pthread_mutex_unlock(&queue->latch);
    for (size_t i = 0; i < done; i++)
        free(client->done[i]);
    bool all = done == client->count;
    client->count = 0;
    return all;
}

static const struct queue_operations claims_queue = {
    .claims = true,
    .open = queue_open_by_hand,
    .close = queue_close_by_hand,
    .attach = client_attach,
    .detach = client_detach,
    .push = client_push,
    .pull = client_pull,
    .acknowledge = client_acknowledge,
};

static const struct bench_contender contender_claims = {
    .name = "claims-by-hand",
    .what = "queue: one mutex over a deque, a table of claimed jobs and a list by deadline",
    .order = 52,
    .queue = &claims_queue,
};
BENCH_CONTENDER(contender_claims)
