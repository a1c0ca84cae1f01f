/* SPDX-License-Identifier: MIT
 *
 * The queues of Concurrency Kit, without claims and without batches. ck_fifo is ck_fifo_mpmc under
 * an epoch. That of ck 0.7.1 can lose jobs where entries are used again at once, because an enqueue
 * sets the counter back by which a slow thread would notice; so no entry comes back while somebody
 * may still look at it. ck_fifo-locked is ck_fifo_spsc behind the two spinlocks that it brings for
 * this purpose: one for all producers, one for all consumers.
 */
#include "contenders/parts/ck_items.h"
#include "driver/queue.h"

#include <ck_fifo.h>

#ifdef CK_F_FIFO_MPMC

struct mpmc_node {
    ck_fifo_mpmc_entry_t entry;
    ck_epoch_entry_t retired;
    struct queue_job job;
};

struct mpmc_queue {
    _Alignas(BENCH_LINE) ck_fifo_mpmc_t fifo;
    _Alignas(BENCH_LINE) ck_epoch_t epoch;
};

struct mpmc_client {
    struct ck_session session;
    struct mpmc_queue *queue;
};

static void *
mpmc_open(const struct queue_setup *setup, const char **missing)
{
    struct mpmc_queue *queue = aligned_alloc(BENCH_LINE, sizeof *queue);
    struct mpmc_node *stub = malloc(sizeof *stub);

    (void)setup;
    (void)missing;
    if (queue == NULL || stub == NULL) {
        free(queue);
        free(stub);
        return NULL;
    }
    ck_epoch_init(&queue->epoch);
    ck_fifo_mpmc_init(&queue->fifo, &stub->entry);
    return queue;
}

static void
mpmc_close(void *handle)
{
    struct mpmc_queue *queue = handle;
    ck_fifo_mpmc_entry_t *entry;

    ck_fifo_mpmc_deinit(&queue->fifo, &entry);
    while (entry != NULL) {
        ck_fifo_mpmc_entry_t *next = entry->next.pointer;
        free(entry);
        entry = next;
    }
    ck_sessions_free(&queue->epoch);
    free(queue);
}

static void *
mpmc_attach(void *queue)
{
    struct mpmc_client *client = malloc(sizeof *client);

    if (client == NULL)
        return NULL;
    client->queue = queue;
    if (ck_session_open(&client->session, &client->queue->epoch))
        return client;
    free(client);
    return NULL;
}

static void
mpmc_detach(void *handle)
{
    struct mpmc_client *client = handle;

    ck_session_close(&client->session);
    free(client);
}

static bool
mpmc_push(void *handle, const struct queue_job *jobs, size_t count)
{
    struct mpmc_client *client = handle;
    bool good = true;

    for (size_t i = 0; good && i < count; i++) {
        struct mpmc_node *node = malloc(sizeof *node);
        good = node != NULL;
        if (!good)
            break;
        node->job = jobs[i];
        ck_session_enter(&client->session);
        ck_fifo_mpmc_enqueue(&client->queue->fifo, &node->entry, &node->job);
        ck_session_leave(&client->session);
    }
    return good;
}

static void
node_destroy(ck_epoch_entry_t *retired)
{
    free((char *)retired - offsetof(struct mpmc_node, retired));
}

/* The job lies in the entry that is now the queue's stub; the one before it is garbage. */
static size_t
mpmc_pull(void *handle, struct queue_job *jobs, size_t count)
{
    struct mpmc_client *client = handle;
    size_t got = 0;

    ck_session_enter(&client->session);
    while (got < count) {
        ck_fifo_mpmc_entry_t *garbage;
        struct queue_job *job;
        if (!ck_fifo_mpmc_dequeue(&client->queue->fifo, &job, &garbage))
            break;
        jobs[got++] = *job;
        struct mpmc_node *node = (void *)garbage; /* its first field */
        ck_session_retire(&client->session, &node->retired, node_destroy);
    }
    ck_session_leave(&client->session);
    return got;
}

static bool
client_acknowledge(void *client)
{
    (void)client;
    return true;
}

static const struct queue_operations mpmc_operations = {
    .open = mpmc_open,
    .close = mpmc_close,
    .attach = mpmc_attach,
    .detach = mpmc_detach,
    .push = mpmc_push,
    .pull = mpmc_pull,
    .acknowledge = client_acknowledge,
};

static const struct bench_contender contender_ck_fifo = {
    .name = "ck_fifo",
    .what = "queue: ck_fifo_mpmc under an epoch; no claims; ck 0.7.1 needs the epoch",
    .order = 63,
    .queue = &mpmc_operations,
};
BENCH_CONTENDER(contender_ck_fifo)

#endif

/* ---- ck_fifo-locked ---- */

struct spsc_node {
    ck_fifo_spsc_entry_t entry;
    struct queue_job job;
};

static void *
spsc_open(const struct queue_setup *setup, const char **missing)
{
    ck_fifo_spsc_t *fifo =
        aligned_alloc(BENCH_LINE, (sizeof *fifo + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE);
    struct spsc_node *stub = malloc(sizeof *stub);

    (void)setup;
    (void)missing;
    if (fifo == NULL || stub == NULL) {
        free(fifo);
        free(stub);
        return NULL;
    }
    ck_fifo_spsc_init(fifo, &stub->entry);
    return fifo;
}

/* What was used and can be used again, then the stub, then what is still in the queue. */
static void
spsc_close(void *fifo)
{
    ck_fifo_spsc_entry_t *entry;

    ck_fifo_spsc_deinit(fifo, &entry);
    while (entry != NULL) {
        ck_fifo_spsc_entry_t *next = entry->next;
        free(entry);
        entry = next;
    }
    free(fifo);
}

/* There is nothing to hold: the client is the queue. */
static void *
spsc_attach(void *fifo)
{
    return fifo;
}

static void
spsc_detach(void *client)
{
    (void)client;
}

static bool
spsc_push(void *fifo, const struct queue_job *jobs, size_t count)
{
    bool good = true;

    ck_fifo_spsc_enqueue_lock(fifo);
    for (size_t i = 0; good && i < count; i++) {
        struct spsc_node *node = (void *)ck_fifo_spsc_recycle(fifo);
        if (node == NULL)
            node = malloc(sizeof *node);
        good = node != NULL;
        if (!good)
            break;
        node->job = jobs[i];
        ck_fifo_spsc_enqueue(fifo, &node->entry, &node->job);
    }
    ck_fifo_spsc_enqueue_unlock(fifo);
    return good;
}

/* The entry of a job is the stub until the next one is taken, so it is copied under the lock. */
static size_t
spsc_pull(void *fifo, struct queue_job *jobs, size_t count)
{
    size_t got = 0;
    struct queue_job *job;

    ck_fifo_spsc_dequeue_lock(fifo);
    while (got < count && ck_fifo_spsc_dequeue(fifo, &job))
        jobs[got++] = *job;
    ck_fifo_spsc_dequeue_unlock(fifo);
    return got;
}

static bool
spsc_acknowledge(void *client)
{
    (void)client;
    return true;
}

static const struct queue_operations spsc_operations = {
    .open = spsc_open,
    .close = spsc_close,
    .attach = spsc_attach,
    .detach = spsc_detach,
    .push = spsc_push,
    .pull = spsc_pull,
    .acknowledge = spsc_acknowledge,
};

static const struct bench_contender contender_ck_fifo_locked = {
    .name = "ck_fifo-locked",
    .what = "queue: ck_fifo_spsc behind its two spinlocks; no claims",
    .order = 64,
    .queue = &spsc_operations,
};
BENCH_CONTENDER(contender_ck_fifo_locked)
