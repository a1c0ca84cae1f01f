/* SPDX-License-Identifier: MIT
 *
 * Queues with many claims. queue-depth: the cycle of one thread beside 100 and beside --keys jobs
 * that are claimed and held; they are acknowledged at the end, so that each is known to have been
 * held throughout. queue-lapse: --keys claims lapse at one instant, then all jobs are pulled again
 * one by one: who pays for the lapses, and how much at once.
 *
 * The longest pull is judged by the processor time of the thread: within a second this machine
 * takes the processor away for milliseconds, and the queue cannot help that. The wall clock's
 * figure stands beside it.
 */
#include "driver/report.h"
#include "record/statistics.h"
#include "workloads/parts/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_SHALLOW 100
#define DEPTH_VISIBILITY_MS 3600000
#define DEPTH_RATIO_MOST 1.3
#define LAPSE_VISIBILITY_MS 1000
#define LAPSE_TARGET_MS 1.0
/* Below so many jobs the targets say nothing. */
#define TARGET_KEYS 1000000

/* A queue with jobs in flight. Each client holds the claims of its one pull. */
struct depth {
    struct driver_store store;
    struct driver_result result;
    void *queue;
    void **clients;
    size_t client_count;
    size_t held;
    double fill_s;
};

static void
depth_fault(struct depth *depth, const char *fault)
{
    if (depth->result.fault == NULL)
        depth->result.fault = fault;
}

/* One pull of a client of its own. Tallies what it brought. */
static size_t
depth_claim(struct depth *depth, struct queue_job *jobs, size_t count, struct tally *out)
{
    const struct queue_operations *operations = depth->store.contender->queue;
    void *client = operations->attach(depth->queue);

    if (client == NULL)
        return QUEUE_FAILED;
    depth->clients[depth->client_count++] = client;
    size_t got = operations->pull(client, jobs, count);
    if (got > count)
        return QUEUE_FAILED;
    for (size_t i = 0; i < got; i++)
        depth->result.counts.wrong += !job_count(&jobs[i], out);
    return got;
}

/* Pushes `count` jobs and claims them all, a thousand to a client; a pull may bring fewer. */
static void
depth_fill(struct depth *depth, size_t count)
{
    const struct queue_operations *operations = depth->store.contender->queue;
    size_t pulls_most = 4 * (count / QUEUE_PULL_MOST + 1);
    struct queue_job *jobs = malloc(QUEUE_PULL_MOST * sizeof *jobs);
    void *pusher = operations->attach(depth->queue);
    struct tally in = {0}, out = {0};
    uint64_t start = bench_now_ns();

    depth->clients = calloc(pulls_most, sizeof *depth->clients);
    if (jobs == NULL || pusher == NULL || depth->clients == NULL)
        depth_fault(depth, "out of memory");
    else if (!jobs_push(operations, pusher, 0, count, &in))
        depth_fault(depth, "a push failed");
    while (depth->result.fault == NULL && depth->held < count) {
        size_t left = count - depth->held;
        size_t got =
            depth->client_count == pulls_most
                ? QUEUE_FAILED
                : depth_claim(depth, jobs, left < QUEUE_PULL_MOST ? left : QUEUE_PULL_MOST, &out);
        if (got == 0 || got == QUEUE_FAILED)
            depth_fault(depth, "a pull failed");
        else
            depth->held += got;
    }
    if (depth->result.fault == NULL && tallies_fault(in, out) != NULL)
        depth_fault(depth, tallies_fault(in, out));
    depth->fill_s = (double)(bench_now_ns() - start) / 1e9;
    if (pusher != NULL)
        operations->detach(pusher);
    free(jobs);
}

/* Acknowledges what is held; nothing may be left after that. */
static void
depth_empty(struct depth *depth)
{
    const struct queue_operations *operations = depth->store.contender->queue;

    for (size_t i = 0; i < depth->client_count; i++)
        if (depth->result.fault == NULL && !operations->acknowledge(depth->clients[i]))
            depth_fault(depth, "a job was not held to the end");
    if (depth->result.fault == NULL && jobs_drain(operations, depth->queue) != 0)
        depth_fault(depth, "jobs are left that were acknowledged");
}

static void
depth_open(struct depth *depth, const struct bench_contender *contender,
           const struct queue_setup *setup, size_t count)
{
    depth->store.contender = contender;
    depth->result.store = &depth->store;
    depth->queue = contender->queue->open(setup, &depth->result.missing);
    depth->store.handle = depth->queue;
    if (depth->queue == NULL && depth->result.missing == NULL)
        depth_fault(depth, "the queue could not be opened");
    if (depth->queue != NULL)
        depth_fill(depth, count);
}

static void
depth_close(struct depth *depth)
{
    const struct queue_operations *operations = depth->store.contender->queue;

    for (size_t i = 0; i < depth->client_count; i++)
        operations->detach(depth->clients[i]);
    free(depth->clients);
    if (depth->queue != NULL)
        operations->close(depth->queue);
}

static bool
depth_report(const struct depth *depth)
{
    const struct driver_result *result = &depth->result;

    if (result->fault != NULL)
        printf("\n  WRONG: %s, %zu in flight: %s (%llu wrong, %llu failed)",
               depth->store.contender->name, depth->held, result->fault,
               (unsigned long long)result->counts.wrong, (unsigned long long)result->counts.failed);
    return result->fault == NULL;
}

/* ---- queue-depth ---- */

/* What the driver is given: the cycle of a job through a queue that is open. */
static const struct bench_workload depth_cycle = {
    .name = "queue-depth", .jobs = 1, .own_pace = true, JOBS_CALLS};

static bool
depth_row_print(const struct bench_workload *workload, const struct depth *shallow,
                const struct depth *deep)
{
    const char *name = deep->store.contender->name;
    const struct driver_result *few = &shallow->result, *many = &deep->result;
    double low = statistics_median(few->rates, few->repeats);
    double high = statistics_median(many->rates, many->repeats);
    bool known = low > 0 && high > 0, own = strcmp(name, "latchkey") == 0;
    double ratio = known ? low / high : 0;

    if (known) {
        record_figure(workload, name, 1, "cycle beside 100", "ns", 1e9 / low);
        record_figure(workload, name, 1, "cycle beside --keys", "ns", 1e9 / high);
    }
    printf("  %-14s", name);
    if (deep->result.missing != NULL || shallow->result.missing != NULL)
        printf(" %12s  (%s)", "missing", deep->result.missing);
    else if (known)
        printf(" %9.0f %6.0f%% %9.0f %6.0f%% %8.2f x %9.2f", 1e9 / low,
               statistics_spread(few->rates, few->repeats) * 100, 1e9 / high,
               statistics_spread(many->rates, many->repeats) * 100, ratio,
               (double)deep->held / deep->fill_s / 1e6);
    if (own && (!known || bench_options.keys >= TARGET_KEYS))
        report_target("at most 1.30 x", !known                      ? REPORT_NO_FIGURE
                                        : ratio <= DEPTH_RATIO_MOST ? REPORT_MET
                                                                    : REPORT_MISSED);
    bool good = depth_report(shallow);
    good = depth_report(deep) && good;
    printf("\n");
    return good;
}

static bool
depth_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
          size_t count)
{
    static const struct queue_setup setup = {.visibility_ms = DEPTH_VISIBILITY_MS};
    static const struct driver_streams streams;
    struct depth *depths = calloc(2 * count, sizeof *depths);
    bool good = true;

    if (depths == NULL)
        return false;
    printf("\nqueue-depth: a cycle of one thread beside so many jobs in flight\n");
    printf("  %-14s %9d %7s %9zu %7s %10s %9s\n", "contender, ns", DEPTH_SHALLOW, "spread",
           (size_t)bench_options.keys, "spread", "ratio", "fill M/s");
    for (size_t i = 0; i < 2 * count; i++) {
        progress_show("queue-depth", contenders[i / 2]->name, 0);
        depth_open(&depths[i], contenders[i / 2], &setup,
                   i % 2 == 0 ? DEPTH_SHALLOW : bench_options.keys);
    }
    for (unsigned repeat = 0; repeat < bench_options.repeats && !bench_interrupted(); repeat++)
        for (size_t i = 0; i < 2 * count; i++)
            if (depths[i].queue != NULL && depths[i].result.fault == NULL)
                driver_run(&depth_cycle, &streams, 1, &depths[i].result);
    for (size_t i = 0; i < 2 * count; i++)
        if (depths[i].queue != NULL)
            depth_empty(&depths[i]);
    progress_clear();
    for (size_t i = 0; i < count; i++)
        good = depth_row_print(workload, &depths[2 * i], &depths[2 * i + 1]) && good;
    for (size_t i = 0; i < 2 * count; i++)
        depth_close(&depths[i]);
    free(depths);
    return good;
}

static bool
can_depth(const struct bench_contender *contender)
{
    return contender->queue != NULL && contender->queue->claims;
}

static const struct bench_workload workload_queue_depth = {
    .name = "queue-depth",
    .on_request = true,
    .what = "a cycle of one thread beside 100 and beside --keys jobs in flight",
    .order = 72,
    .contenders = "latchkey,claims-by-hand",
    .can = can_depth,
    .run = depth_run,
};
BENCH_WORKLOAD(workload_queue_depth)

/* ---- queue-lapse ---- */

struct lapse {
    struct depth depth;
    struct histogram latency;
    uint64_t processor_max_ns;
};

/* Pulls until there is nothing more. */
static void
lapse_pull_all(struct lapse *lapse, void *client, struct tally *out)
{
    const struct queue_operations *operations = lapse->depth.store.contender->queue;
    struct queue_job job;

    for (size_t pulls = 0; pulls <= lapse->depth.held; pulls++) {
        uint64_t processor = bench_processor_ns(), start = bench_now_ns();
        size_t got = operations->pull(client, &job, 1);
        uint64_t took = bench_now_ns() - start;
        processor = bench_processor_ns() - processor;
        if (got == 0)
            return;
        if (got != 1) {
            depth_fault(&lapse->depth, "a pull failed");
            return;
        }
        histogram_add(&lapse->latency, took);
        if (processor > lapse->processor_max_ns)
            lapse->processor_max_ns = processor;
        lapse->depth.result.counts.wrong += !job_count(&job, out);
    }
}

static void
lapse_measure(struct lapse *lapse)
{
    const struct queue_operations *operations = lapse->depth.store.contender->queue;
    struct tally in = {0}, out = {0};
    struct queue_job job;
    void *client = operations->attach(lapse->depth.queue);

    if (client == NULL) {
        depth_fault(&lapse->depth, "out of memory");
        return;
    }
    operations->advance(lapse->depth.queue, LAPSE_VISIBILITY_MS + 1);
    lapse_pull_all(lapse, client, &out);
    for (size_t id = 0; id < lapse->depth.held; id++)
        job_make(&job, id, 0, &in);
    if (lapse->depth.result.counts.wrong != 0 || tallies_fault(in, out) != NULL)
        depth_fault(&lapse->depth, "the jobs that lapsed did not come again, each once");
    operations->detach(client);
}

static bool
lapse_row_print(const struct bench_workload *workload, const struct lapse *lapse)
{
    const char *name = lapse->depth.store.contender->name;
    bool known = lapse->latency.total != 0;
    double longest = (double)lapse->processor_max_ns / 1e6;

    if (known) {
        record_figure(workload, name, 1, "p50", "ns",
                      (double)histogram_percentile(&lapse->latency, 0.5));
        record_figure(workload, name, 1, "p99.9", "ns",
                      (double)histogram_percentile(&lapse->latency, 0.999));
        record_figure(workload, name, 1, "longest", "ns", (double)lapse->latency.maximum);
        record_figure(workload, name, 1, "longest, processor time", "ns",
                      (double)lapse->processor_max_ns);
    }
    printf("  %-14s", name);
    if (lapse->depth.result.missing != NULL)
        printf(" %12s  (%s)", "missing", lapse->depth.result.missing);
    else if (known)
        printf(" %10.1f %10.1f %12.3f %12.3f",
               (double)histogram_percentile(&lapse->latency, 0.5) / 1e3,
               (double)histogram_percentile(&lapse->latency, 0.999) / 1e3,
               (double)lapse->latency.maximum / 1e6, longest);
    if (!known || bench_options.keys >= TARGET_KEYS)
        report_target("at most 1 ms", !known                       ? REPORT_NO_FIGURE
                                      : longest <= LAPSE_TARGET_MS ? REPORT_MET
                                                                   : REPORT_MISSED);
    bool good = depth_report(&lapse->depth);
    printf("\n");
    return good;
}

static bool
lapse_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
          size_t count)
{
    static const struct queue_setup setup = {.visibility_ms = LAPSE_VISIBILITY_MS,
                                             .manual_clock = true};
    bool good = true;

    printf("\nqueue-lapse: %zu claims lapse at once, then single pulls\n",
           (size_t)bench_options.keys);
    printf("  %-14s %10s %10s %12s %12s\n", "contender", "p50 us", "p99.9 us", "longest ms",
           "processor ms");
    for (size_t i = 0; i < count && !bench_interrupted(); i++) {
        struct lapse *lapse = calloc(1, sizeof *lapse);
        if (lapse == NULL)
            return false;
        progress_show("queue-lapse", contenders[i]->name, 0);
        depth_open(&lapse->depth, contenders[i], &setup, bench_options.keys);
        if (lapse->depth.queue != NULL && lapse->depth.result.fault == NULL)
            lapse_measure(lapse);
        progress_clear();
        good = lapse_row_print(workload, lapse) && good;
        depth_close(&lapse->depth);
        free(lapse);
    }
    return good;
}

static bool
can_lapse(const struct bench_contender *contender)
{
    return contender->queue != NULL && contender->queue->advance != NULL;
}

static const struct bench_workload workload_queue_lapse = {
    .name = "queue-lapse",
    .on_request = true,
    .what = "--keys claims lapse at once, then single pulls: the longest one",
    .order = 73,
    .contenders = "latchkey",
    .can = can_lapse,
    .run = lapse_run,
};
BENCH_WORKLOAD(workload_queue_lapse)
