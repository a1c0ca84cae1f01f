/* SPDX-License-Identifier: MIT
 *
 * GAsyncQueue of GLib, with an allocated copy of each job. Batches go in and out under one lock. No
 * claims: the ceiling for a queue under one mutex.
 * Needs: pkg-config glib-2.0
 */
#include "driver/queue.h"

#include <glib.h>
#include <stdlib.h>

static void *
glib_open(const struct queue_setup *setup, const char **missing)
{
    (void)setup;
    (void)missing;
    return g_async_queue_new_full(free);
}

static void
glib_close(void *queue)
{
    g_async_queue_unref(queue);
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
client_push(void *client, const struct queue_job *jobs, size_t count)
{
    struct queue_job *copies[QUEUE_BATCH];

    if (count > QUEUE_BATCH)
        return false;
    for (size_t i = 0; i < count; i++) {
        copies[i] = malloc(sizeof **copies);
        if (copies[i] == NULL) {
            while (i > 0)
                free(copies[--i]);
            return false;
        }
        *copies[i] = jobs[i];
    }
    g_async_queue_lock(client);
    for (size_t i = 0; i < count; i++)
        g_async_queue_push_unlocked(client, copies[i]);
    g_async_queue_unlock(client);
    return true;
}

static size_t
client_pull(void *client, struct queue_job *jobs, size_t count)
{
    struct queue_job *taken[QUEUE_BATCH];
    size_t got = 0;

    if (count > QUEUE_BATCH)
        count = QUEUE_BATCH;
    g_async_queue_lock(client);
    while (got < count && (taken[got] = g_async_queue_try_pop_unlocked(client)) != NULL)
        got++;
    g_async_queue_unlock(client);
    for (size_t i = 0; i < got; i++) {
        jobs[i] = *taken[i];
        free(taken[i]);
    }
    return got;
}

static size_t
client_pull_wait(void *client, struct queue_job *job)
{
    struct queue_job *taken = g_async_queue_pop(client);

    *job = *taken;
    free(taken);
    return 1;
}

static bool
client_acknowledge(void *client)
{
    (void)client;
    return true;
}

static const struct queue_operations glib_queue = {
    .open = glib_open,
    .close = glib_close,
    .attach = client_attach,
    .detach = client_detach,
    .push = client_push,
    .pull = client_pull,
    .pull_wait = client_pull_wait,
    .acknowledge = client_acknowledge,
};

static const struct bench_contender contender_glib = {
    .name = "glib",
    .what = "queue: GAsyncQueue of GLib; no claims: the ceiling under one mutex",
    .order = 62,
    .queue = &glib_queue,
};
BENCH_CONTENDER(contender_glib)
