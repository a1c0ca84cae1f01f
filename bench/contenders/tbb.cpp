// SPDX-License-Identifier: MIT
//
// tbb::concurrent_queue of oneTBB. It has neither batches nor claims: the ceiling, not an
// alternative.
// Needs: pkg-config tbb
#include "driver/queue.h"

#include <new>
#include <tbb/concurrent_queue.h>

namespace
{

using Queue = tbb::concurrent_queue<queue_job>;

void *
queue_new(const queue_setup *, const char **)
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

// There is nothing to hold: the client is the queue.
void *
client_attach(void *queue)
{
    return queue;
}

void
client_detach(void *)
{
}

bool
client_push(void *client, const queue_job *jobs, std::size_t count)
try {
    for (std::size_t i = 0; i < count; i++)
        static_cast<Queue *>(client)->push(jobs[i]);
    return true;
} catch (const std::bad_alloc &) {
    return false;
}

std::size_t
client_pull(void *client, queue_job *jobs, std::size_t count)
{
    std::size_t got = 0;
    while (got < count && static_cast<Queue *>(client)->try_pop(jobs[got]))
        got++;
    return got;
}

bool
client_acknowledge(void *)
{
    return true;
}

constexpr queue_operations
operations_make()
{
    queue_operations operations{};
    operations.open = queue_new;
    operations.close = queue_free;
    operations.attach = client_attach;
    operations.detach = client_detach;
    operations.push = client_push;
    operations.pull = client_pull;
    operations.acknowledge = client_acknowledge;
    return operations;
}

const queue_operations tbb_queue = operations_make();

constexpr bench_contender
contender_make()
{
    bench_contender contender{};
    contender.name = "tbb";
    contender.what = "queue: tbb::concurrent_queue; no claims, no batches: the ceiling";
    contender.order = 61;
    contender.queue = &tbb_queue;
    return contender;
}

const bench_contender contender_tbb = contender_make();

} // namespace

BENCH_CONTENDER(contender_tbb)
