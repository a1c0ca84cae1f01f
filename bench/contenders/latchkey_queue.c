/* SPDX-License-Identifier: MIT
 *
 * latchkey's queue through its public API, as a worker would call it: jobs without an sk, one
 * result per thread, claims acknowledged in one call for each pull.
 */
#include "contenders/latchkey.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_START_MS 1000000

struct client {
    struct latchkey_queue *queue;
    lk_result *result;
    size_t count; /* jobs of the last pull */
    size_t capacity;
    lk_claim *claims; /* of a pull of several, in one piece */
};

static const lk_bytes queue_pk = {"jobs", 4};

int64_t
latchkey_clock(void *queue)
{
    return atomic_load(&((struct latchkey_queue *)queue)->now_ms);
}

static void *
queue_new(const struct queue_setup *setup)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    struct latchkey_queue *queue = calloc(1, sizeof *queue);

    if (queue == NULL)
        return NULL;
    queue->visibility_ms = setup->visibility_ms;
    atomic_store(&queue->now_ms, CLOCK_START_MS);
    if (setup->manual_clock) {
        options.monotonic_ms = latchkey_clock;
        options.clock_context = queue;
    }
    if (lk_memory_open(&options, &queue->db) == LK_OK)
        return queue;
    free(queue);
    return NULL;
}

static void
queue_free(void *handle)
{
    struct latchkey_queue *queue = handle;

    lk_close(queue->db);
    free(queue);
}

static void
queue_advance(void *queue, int64_t ms)
{
    atomic_fetch_add(&((struct latchkey_queue *)queue)->now_ms, ms);
}

static void *
client_attach(void *queue)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->queue = queue;
    client->result = lk_result_new();
    if (client->result == NULL) {
        free(client);
        return NULL;
    }
    return client;
}

static void
client_detach(void *handle)
{
    struct client *client = handle;

    lk_result_free(client->result);
    free(client->claims);
    free(client);
}

static bool
client_push(void *handle, const struct queue_job *jobs, size_t count)
{
    struct client *client = handle;
    lk_item items[QUEUE_BATCH];

    if (count > QUEUE_BATCH)
        return false;
    for (size_t i = 0; i < count; i++)
        items[i] = (lk_item){{queue_pk, {NULL, 0}}, {&jobs[i], sizeof jobs[i]}, 0};
    return LATCHKEY_CALL(lk_queue_push(client->queue->db, items, count, NULL, NULL)) == LK_OK;
}

static size_t
pull_up_to(struct client *client, struct queue_job *jobs, size_t count, int64_t wait_ms)
{
    lk_pull_options options = LK_PULL_OPTIONS_INIT;

    options.pk = queue_pk;
    options.visibility_ms = client->queue->visibility_ms;
    options.max_jobs = count;
    options.wait_ms = wait_ms;
    client->count = 0;
    lk_status status = LATCHKEY_CALL(lk_queue_pull(client->queue->db, &options, client->result));
    if (status == LK_EMPTY)
        return 0;
    if (status != LK_OK)
        return QUEUE_FAILED;
    client->count = lk_result_count(client->result);
    if (client->count > count)
        return QUEUE_FAILED;
    for (size_t i = 0; i < client->count; i++) {
        lk_bytes data = lk_result_item(client->result, i)->data;
        if (data.size != sizeof *jobs)
            return QUEUE_FAILED;
        memcpy(&jobs[i], data.data, sizeof *jobs);
    }
    return client->count;
}

static size_t
client_pull(void *handle, struct queue_job *jobs, size_t count)
{
    return pull_up_to(handle, jobs, count, 0);
}

static size_t
client_pull_wait(void *handle, struct queue_job *job)
{
    return pull_up_to(handle, job, 1, -1);
}

static bool
claims_reserve(struct client *client)
{
    if (client->count <= client->capacity)
        return true;
    lk_claim *claims = realloc(client->claims, client->count * sizeof *claims);
    if (claims == NULL)
        return false;
    client->claims = claims;
    client->capacity = client->count;
    return true;
}

static bool
client_acknowledge(void *handle)
{
    struct client *client = handle;
    const lk_claim *claims = client->claims;

    if (client->count == 1) {
        claims = lk_result_claim(client->result, 0);
    } else {
        if (!claims_reserve(client))
            return false;
        for (size_t i = 0; i < client->count; i++)
            client->claims[i] = *lk_result_claim(client->result, i);
        claims = client->claims;
    }
    return LATCHKEY_CALL(lk_queue_acknowledge(client->queue->db, claims, client->count)) == LK_OK;
}

static size_t
queue_contention(void *queue, struct bench_counter *counters)
{
    return latchkey_contention(((struct latchkey_queue *)queue)->db, counters);
}

const struct queue_operations latchkey_queue = {
    .claims = true,
    .open = queue_new,
    .close = queue_free,
    .attach = client_attach,
    .detach = client_detach,
    .push = client_push,
    .pull = client_pull,
    .pull_wait = client_pull_wait,
    .acknowledge = client_acknowledge,
    .advance = queue_advance,
    .contention = queue_contention,
};
