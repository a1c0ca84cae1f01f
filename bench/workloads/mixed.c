/* SPDX-License-Identifier: MIT
 *
 * A server's load: gets, sets, transfers between two accounts, scans, and jobs that are pushed,
 * pulled and acknowledged. The first item of each partition is an account and written by transfers
 * only.
 *
 * Contenders without a queue use mutex-deque, as their users would; those that cannot scan get the
 * next 20 keys one by one.
 *
 * Invariants of each run: the sum of all accounts is what it was before; each job that was pushed
 * came out once.
 */
#include "workloads/parts/jobs.h"
#include "workloads/parts/steps.h"

#include <stdlib.h>

#define SCAN_ITEMS 20

/* What the threads of a run share. */
struct site {
    const struct queue_operations *operations;
    void *queue;
    uint64_t sum;
    struct site_hand {
        _Alignas(BENCH_LINE) void *client; /* of the queue; NULL: it has not come to a job yet */
        struct tally in, out;
    } hands[BENCH_THREADS_MAX];
};

static uint64_t
accounts_sum(struct bench_run *run)
{
    uint64_t wrong = 0, sum = data_sum(run->contender, run->store, 0, DATA_PARTITION_ITEMS,
                                       bench_options.keys, &wrong);

    if (wrong != 0)
        run->result->fault = "accounts that do not prove themselves";
    return sum;
}

static bool
site_begin(struct bench_run *run)
{
    static const struct queue_setup setup = {.visibility_ms = JOBS_VISIBILITY_MS};
    const struct bench_contender *of =
        run->contender->queue != NULL ? run->contender : bench_contender_find("mutex-deque");
    struct site *site = aligned_alloc(BENCH_LINE, sizeof *site);

    if (site == NULL) {
        run->result->fault = "out of memory";
        return false;
    }
    memset(site, 0, sizeof *site);
    site->operations = of->queue;
    site->queue = of->queue->open(&setup);
    site->sum = accounts_sum(run);
    run->own = site;
    return true;
}

static void
site_end(struct bench_run *run)
{
    struct site *site = run->own;
    struct tally in = {0}, out = {0};

    for (unsigned i = 0; i < run->threads; i++) {
        tally_add(&in, site->hands[i].in);
        tally_add(&out, site->hands[i].out);
    }
    if (run->result->fault == NULL)
        run->result->fault = tallies_fault(in, out);
    if (accounts_sum(run) != site->sum)
        run->result->fault = "the sum of the accounts is not what it was";
    if (site->queue != NULL)
        site->operations->close(site->queue);
    free(site);
}

/* Pulls a job and acknowledges it. A queue without order may show a job late. */
static bool
job_pull(struct bench_worker *worker, const struct queue_operations *operations,
         struct site_hand *hand)
{
    struct queue_job job;
    size_t got = operations->pull(hand->client, &job, 1);

    if (got == 0)
        return false;
    if (got != 1 || !operations->acknowledge(hand->client)) {
        worker->counts.failed++;
        return false;
    }
    worker->counts.wrong += !job_count(&job, &hand->out);
    return true;
}

static void
job_cycle(struct bench_worker *worker, uint32_t index)
{
    struct site *site = worker->run->own;
    struct site_hand *hand = &site->hands[worker->number];
    struct queue_job job;

    (void)index;
    if (hand->client == NULL && site->queue != NULL)
        hand->client = site->operations->attach(site->queue);
    if (hand->client == NULL) {
        worker->counts.failed++;
        return;
    }
    job_make(&job, worker->sequence++, 0, &hand->in);
    worker->counts.failed += !site->operations->push(hand->client, &job, 1);
    job_pull(worker, site->operations, hand);
}

/* Takes what is left: whoever is last finds what others pushed. */
static void
site_leave(struct bench_worker *worker)
{
    struct site *site = worker->run->own;
    struct site_hand *hand = &site->hands[worker->number];

    if (hand->client == NULL)
        return;
    while (job_pull(worker, site->operations, hand))
        continue;
    site->operations->detach(hand->client);
}

static void
transfer(struct bench_worker *worker, uint32_t index)
{
    uint32_t from = index - index % DATA_PARTITION_ITEMS, to = worker_next(worker);
    uint64_t amount = (index & 7) + 1;
    const uint64_t numbers[2] = {(uint64_t)0 - amount, amount};

    to -= to % DATA_PARTITION_ITEMS;
    if (to == from)
        to = from != 0 ? from - DATA_PARTITION_ITEMS : DATA_PARTITION_ITEMS;
    if (to >= bench_options.keys)
        return; /* one partition has one account */
    const uint32_t indexes[2] = {from, to};
    step_commit(worker, NULL, indexes, numbers, 2);
}

static void
set_no_account(struct bench_worker *worker, uint32_t index)
{
    step_set(worker, index % DATA_PARTITION_ITEMS != 0 ? index : index + 1);
}

static void
scan_or_get(struct bench_worker *worker, uint32_t index)
{
    if (worker->contender->scan != NULL) {
        step_scan(worker, index, SCAN_ITEMS, false);
        return;
    }
    for (uint32_t i = 0; i < SCAN_ITEMS && index + i < bench_options.keys; i++)
        step_get(worker, index + i);
}

/* The last partition must not be one account alone: its set would be of a key that is not
 * loaded. */
static bool
can_serve(const struct bench_contender *contender)
{
    return bench_options.keys % DATA_PARTITION_ITEMS != 1 &&
           (contender->scan == NULL || step_can_scan(contender));
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
    .needs = NEEDS_GET | NEEDS_SET | NEEDS_COMMIT,
    .can = can_serve,
    .begin = site_begin,
    .end = site_end,
    .mix = {{70, step_get},
            {10, step_get_many},
            {10, set_no_account},
            {5, transfer},
            {3, scan_or_get},
            {2, job_cycle}},
    .finish = site_leave,
};
BENCH_WORKLOAD(workload_mixed)
