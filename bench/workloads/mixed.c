/* SPDX-License-Identifier: MIT
 *
 * A server's load: 70 % get, 10 % get_many of 16, 10 % set, 5 % transfers between two accounts, 3 %
 * scan of 20, 2 % a job pushed, one pulled and acknowledged. The first item of each partition is an
 * account and written by transfers only.
 *
 * Contenders without a queue use mutex-deque, as their users would; those that cannot scan get the
 * next 20 keys one by one, those without get_many 16.
 *
 * Invariants, looked at by the last thread of a run: the sum of all accounts is what it was before
 * the first; each job that was pushed came out once.
 */
#include "driver/queue.h"
#include "workloads/parts/steps.h"

#include <pthread.h>
#include <stdlib.h>

#define SCAN_ITEMS 20

/* What the threads of a run share. The first one opens it, the last one closes it. [latch] */
static struct {
    pthread_mutex_t latch;
    unsigned threads; /* that are in */
    void *queue;
    struct queue_tally in, out;
    uint64_t sum;
} site = {.latch = PTHREAD_MUTEX_INITIALIZER};

/* What one thread has of it. */
struct hand {
    uint64_t run; /* the worker's first sequence */
    const struct queue_operations *operations;
    void *client; /* of the queue */
    struct queue_tally in, out;
};

static _Thread_local struct hand hand;

static const struct queue_operations *
queue_of(const struct bench_contender *contender)
{
    return contender->queue != NULL ? contender->queue : bench_contender_find("mutex-deque")->queue;
}

static uint64_t
accounts_sum(struct bench_worker *worker)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < bench_options.keys; i += DATA_PARTITION_ITEMS) {
        struct data_text text;
        lk_key key = data_key(i, &text);
        lk_bytes value;
        uint64_t number = 0;
        if (!worker->contender->get(worker->client, &key, &value) ||
            !data_proves(value, text.sk, &number))
            worker->counts.wrong++;
        sum += number;
    }
    return sum;
}

static void
site_enter(struct bench_worker *worker)
{
    static const struct queue_setup setup = {.visibility_ms = QUEUE_VISIBILITY_MS};
    const struct queue_operations *operations = queue_of(worker->contender);
    const char *missing = NULL;

    hand = (struct hand){.run = worker->first_sequence, .operations = operations};
    pthread_mutex_lock(&site.latch);
    if (site.threads++ == 0) {
        site.in = site.out = (struct queue_tally){0};
        site.sum = accounts_sum(worker);
        site.queue = operations->open(&setup, &missing);
    }
    if (site.queue != NULL)
        hand.client = operations->attach(site.queue);
    pthread_mutex_unlock(&site.latch);
}

/* The jobs that are still there. */
static void
site_drain(const struct queue_operations *operations)
{
    struct queue_job left;

    while (operations->pull(hand.client, &left, 1) == 1) {
        (void)queue_job_count(&left, &site.out);
        (void)operations->acknowledge(hand.client);
    }
}

static void
site_leave(struct bench_worker *worker)
{
    const struct queue_operations *operations = hand.operations;

    if (hand.run != worker->first_sequence)
        return;
    pthread_mutex_lock(&site.latch);
    queue_tally_add(&site.in, hand.in);
    queue_tally_add(&site.out, hand.out);
    bool last = --site.threads == 0;
    if (last && hand.client != NULL)
        site_drain(operations);
    if (hand.client != NULL)
        operations->detach(hand.client);
    if (last) {
        if (site.queue != NULL)
            operations->close(site.queue);
        site.queue = NULL;
        if (!queue_tally_agrees(site.in, site.out) || accounts_sum(worker) != site.sum)
            worker->counts.wrong++;
    }
    pthread_mutex_unlock(&site.latch);
}

static void
transfer(struct bench_worker *worker, uint32_t index)
{
    uint32_t from = index - index % DATA_PARTITION_ITEMS;
    uint32_t to = worker_next(worker);
    uint64_t amount = (index & 7) + 1;
    uint64_t numbers[2] = {(uint64_t)0 - amount, amount};

    to -= to % DATA_PARTITION_ITEMS;
    if (to == from)
        to = from != 0 ? from - DATA_PARTITION_ITEMS : DATA_PARTITION_ITEMS;
    if (to >= bench_options.keys)
        return; /* one partition has one account */
    uint32_t indexes[2] = {from, to};
    step_commit(worker, indexes, numbers, 2);
}

static void
scan_or_get(struct bench_worker *worker, uint32_t index)
{
    if (worker->contender->scan != NULL) {
        step_scan(worker, index, SCAN_ITEMS);
        return;
    }
    for (uint32_t i = 0; i < SCAN_ITEMS && index + i < bench_options.keys; i++)
        step_get(worker, index + i);
}

static void
job(struct bench_worker *worker)
{
    const struct queue_operations *operations = hand.operations;
    struct queue_job pushed, pulled;

    if (hand.client == NULL) {
        worker->counts.failed++;
        return;
    }
    queue_job_make(&pushed, worker->sequence++, &hand.in);
    if (!operations->push(hand.client, &pushed, 1))
        worker->counts.failed++;
    size_t got = operations->pull(hand.client, &pulled, 1);
    if (got == 0) /* a queue without order may show a job late; it is drained at the end */
        return;
    if (got != 1 || !operations->acknowledge(hand.client))
        worker->counts.failed++;
    else if (!queue_job_count(&pulled, &hand.out))
        worker->counts.wrong++;
}

static void
mixed_step(struct bench_worker *worker, size_t count)
{
    if (hand.run != worker->first_sequence)
        site_enter(worker);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = worker_next(worker);
        unsigned draw = step_draw(worker, 0, 100);
        if (draw < 70)
            step_get(worker, index);
        else if (draw < 80)
            step_get_many(worker);
        else if (draw < 90)
            step_set(worker, index % DATA_PARTITION_ITEMS != 0 ? index : index + 1);
        else if (draw < 95)
            transfer(worker, index);
        else if (draw < 98)
            scan_or_get(worker, index);
        else
            job(worker);
    }
}

/* The last partition must not be one account alone: its set would be of a key that is not
 * loaded. */
static bool
can_serve(const struct bench_contender *contender)
{
    return step_can_set(contender) && step_can_commit(contender) &&
           bench_options.keys % DATA_PARTITION_ITEMS != 1 &&
           (contender->scan == NULL || data_order_open());
}

static const struct bench_workload workload_mixed = {
    .name = "mixed",
    .what = "a server: 70 % get, 10 % get-many, 10 % set, 5 % transfer, 3 % scan of 20, 2 % a job",
    .order = 60,
    .unit = "M ops/s",
    .threads = "1,2,4",
    .distribution = "zipf:0.99",
    .source = &data_source,
    .contenders = "latchkey,mutex,rwlock,striped",
    .on_request = true,
    .can = can_serve,
    .step = mixed_step,
    .finish = site_leave,
};
BENCH_WORKLOAD(workload_mixed)
