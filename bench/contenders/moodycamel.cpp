// SPDX-License-Identifier: MIT
//
// moodycamel::ConcurrentQueue, with tokens, as its manual advises. No claims, and no order between
// producers: the ceiling, not an alternative.
// Needs: header concurrentqueue/concurrentqueue.h concurrentqueue/moodycamel/concurrentqueue.h
#include "driver/contender.h"

#if __has_include(<concurrentqueue/moodycamel/concurrentqueue.h>)
#include <concurrentqueue/moodycamel/concurrentqueue.h>
#else
#include <concurrentqueue/concurrentqueue.h>
#endif

#include <new>
#include <optional>

namespace
{

using Queue = moodycamel::ConcurrentQueue<queue_job>;

// A thread that never pushes gets no producer token: consumers would look at its empty queue too.
struct Client {
    Queue *queue;
    std::optional<moodycamel::ProducerToken> producer;
    std::optional<moodycamel::ConsumerToken> consumer;
};

void *
queue_new(const queue_setup *)
try {
    return new Queue;
} catch (const std::bad_alloc &) {
    return nullptr;
}

void
queue_free(void *queue)
{
    delete static_cast<Queue *>(queue);
}

void *
client_attach(void *queue)
{
    return new (std::nothrow) Client{static_cast<Queue *>(queue), {}, {}};
}

void
client_detach(void *client)
{
    delete static_cast<Client *>(client);
}

bool
client_push(void *handle, const queue_job *jobs, std::size_t count)
{
    Client *client = static_cast<Client *>(handle);
    if (!client->producer)
        client->producer.emplace(*client->queue);
    if (count == 1)
        return client->queue->enqueue(*client->producer, jobs[0]);
    return client->queue->enqueue_bulk(*client->producer, jobs, count);
}

std::size_t
client_pull(void *handle, queue_job *jobs, std::size_t count)
{
    Client *client = static_cast<Client *>(handle);
    if (!client->consumer)
        client->consumer.emplace(*client->queue);
    if (count == 1)
        return client->queue->try_dequeue(*client->consumer, jobs[0]) ? 1 : 0;
    return client->queue->try_dequeue_bulk(*client->consumer, jobs, count);
}

bool
client_acknowledge(void *)
{
    return true;
}

const queue_operations moodycamel_queue = {.open = queue_new,
                                           .close = queue_free,
                                           .attach = client_attach,
                                           .detach = client_detach,
                                           .push = client_push,
                                           .pull = client_pull,
                                           .acknowledge = client_acknowledge};

const bench_contender contender_moodycamel = {
    .name = "moodycamel",
    .what = "queue: moodycamel::ConcurrentQueue; no claims, no order: the ceiling",
    .order = 60,
    .queue = &moodycamel_queue};

} // namespace

BENCH_CONTENDER(contender_moodycamel)
