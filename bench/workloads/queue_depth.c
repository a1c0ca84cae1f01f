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

#define SHALLOW 100
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
    const struct queue_operations *operations;
    void **clients;
    size_t client_count;
    size_t held;
    double fill_s;
};

/* Whether all is well so far. */
static bool
depth_check(struct depth *depth, bool good, const char *fault)
{
    if (!good && depth->result.fault == NULL)
        depth->result.fault = fault;
    return depth->result.fault == NULL;
}

/* One pull of a client of its own, of at most QUEUE_PULL_MOST jobs. */
static void
depth_claim(struct depth *depth, size_t count, struct tally *out)
{
    static struct queue_job jobs[QUEUE_PULL_MOST];
    void *client = depth->operations->attach(depth->store.handle);

    if (!depth_check(depth, client != NULL, "out of memory"))
        return;
    depth->clients[depth->client_count++] = client;
    count = count < QUEUE_PULL_MOST ? count : QUEUE_PULL_MOST;
    size_t got = depth->operations->pull(client, jobs, count);
    if (!depth_check(depth, got != 0 && got <= count, "a pull failed"))
        return;
    for (size_t i = 0; i < got; i++)
        depth->result.counts.wrong += !job_count(&jobs[i], out);
    depth->held += got;
}

/* Opens a queue, pushes `count` jobs and claims them all; a pull may bring fewer than it wants. */
static void
depth_open(struct depth *depth, const struct bench_contender *contender,
           const struct queue_setup *setup, size_t count)
{
    size_t pulls_most = 4 * (count / QUEUE_PULL_MOST + 1);
    struct tally in = {0}, out = {0};
    uint64_t start = bench_now_ns();

    depth->store.contender = contender;
    depth->operations = contender->queue;
    depth->result.store = &depth->store;
    depth->store.handle = contender->queue->open(setup);
    depth->clients = calloc(pulls_most, sizeof *depth->clients);
    if (!depth_check(depth, depth->store.handle != NULL && depth->clients != NULL,
                     "the queue could not be opened"))
        return;
    void *pusher = depth->operations->attach(depth->store.handle);
    depth_check(depth, pusher != NULL && jobs_push(depth->operations, pusher, 0, count, &in),
                "a push failed");
    if (pusher != NULL)
        depth->operations->detach(pusher);
    while (depth->held < count && depth->client_count < pulls_most && depth->result.fault == NULL)
        depth_claim(depth, count - depth->held, &out);
    depth_check(depth, tallies_fault(in, out) == NULL, tallies_fault(in, out));
    depth->fill_s = (double)(bench_now_ns() - start) / 1e9;
}

/* Acknowledges what is held, if somebody asks for it; nothing may be left after that. */
static void
depth_close(struct depth *depth, bool acknowledges)
{
    for (size_t i = 0; i < depth->client_count; i++) {
        if (acknowledges && depth->result.fault == NULL)
            depth_check(depth, depth->operations->acknowledge(depth->clients[i]),
                        "a job was not held to the end");
        depth->operations->detach(depth->clients[i]);
    }
    if (acknowledges && depth->result.fault == NULL)
        depth_check(depth, jobs_drain(depth->operations, depth->store.handle) == 0,
                    "jobs are left that were acknowledged");
    free(depth->clients);
    if (depth->store.handle != NULL)
        depth->operations->close(depth->store.handle);
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

/* ---- queue-depth ----------------------------------------------------------------------------- */

/* What the driver is given: the cycle of a job through a queue that is open. */
static const struct bench_workload depth_cycle = {
    .name = "queue-depth", .jobs = 1, .own_pace = true, JOBS_CALLS};

/* The ns of a cycle, and a column with their spread. */
static double
cycle_print(const struct bench_workload *workload, const struct depth *depth, const char *figure)
{
    const struct driver_result *result = &depth->result;
    double rate = statistics_median(result->rates, result->repeats);

    if (!(rate > 0))
        return 0;
    record_figure(workload, depth->store.contender->name, 1, figure, "ns", 1e9 / rate);
    printf(" %9.0f %6.0f%%", 1e9 / rate, statistics_spread(result->rates, result->repeats) * 100);
    return 1e9 / rate;
}

static bool
depth_row_print(const struct bench_workload *workload, const struct depth *pair)
{
    const char *name = pair[0].store.contender->name;

    printf("  %-14s", name);
    double shallow = cycle_print(workload, &pair[0], "cycle beside 100");
    double deep = cycle_print(workload, &pair[1], "cycle beside --keys");
    bool known = shallow > 0 && deep > 0;
    if (known)
        printf(" %8.2f x %9.2f", deep / shallow, (double)pair[1].held / pair[1].fill_s / 1e6);
    if (strcmp(name, "latchkey") == 0 && (!known || bench_options.keys >= TARGET_KEYS))
        report_target("at most 1.30 x", known, deep <= DEPTH_RATIO_MOST * shallow);
    bool good = depth_report(&pair[0]);
    good = depth_report(&pair[1]) && good;
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
    printf("  %-14s %9d %7s %9zu %7s %10s %9s\n", "contender, ns", SHALLOW, "spread",
           (size_t)bench_options.keys, "spread", "ratio", "fill M/s");
    for (size_t i = 0; i < 2 * count; i++) {
        progress_show("queue-depth", contenders[i / 2]->name, 0);
        depth_open(&depths[i], contenders[i / 2], &setup,
                   i % 2 == 0 ? SHALLOW : bench_options.keys);
    }
    for (unsigned repeat = 0; repeat < bench_options.repeats && !bench_interrupted(); repeat++)
        for (size_t i = 0; i < 2 * count; i++)
            if (depths[i].result.fault == NULL)
                driver_run(&depth_cycle, &streams, 1, &depths[i].result);
    for (size_t i = 0; i < 2 * count; i++)
        depth_close(&depths[i], true);
    progress_clear();
    for (size_t i = 0; i < count; i++)
        good = depth_row_print(workload, &depths[2 * i]) && good;
    free(depths);
    return good;
}

/* ---- queue-lapse ----------------------------------------------------------------------------- */

/* Lets the claims lapse, and pulls until there is nothing more. Returns the longest pull by the
 * thread's own time. */
static uint64_t
lapse_measure(struct depth *depth)
{
    struct tally in = {0}, out = {0};
    uint64_t longest_ns = 0;
    struct queue_job job;
    void *client = depth->operations->attach(depth->store.handle);
    size_t got = client != NULL ? 1 : 0;

    depth->operations->advance(depth->store.handle, LAPSE_VISIBILITY_MS + 1);
    for (size_t pulls = 0; got == 1 && pulls <= depth->held; pulls++) {
        uint64_t processor = bench_processor_ns(), start = bench_now_ns();
        got = depth->operations->pull(client, &job, 1);
        uint64_t took = bench_now_ns() - start;
        processor = bench_processor_ns() - processor;
        if (got != 1)
            break;
        histogram_add(&depth->result.latency, took);
        longest_ns = processor > longest_ns ? processor : longest_ns;
        depth->result.counts.wrong += !job_count(&job, &out);
    }
    for (size_t id = 0; id < depth->held; id++)
        job_make(&job, id, 0, &in);
    depth_check(depth, depth->result.counts.wrong == 0 && tallies_fault(in, out) == NULL,
                "the jobs that lapsed did not come again, each once");
    if (client != NULL)
        depth->operations->detach(client);
    return longest_ns;
}

static bool
lapse_row_print(const struct bench_workload *workload, const struct depth *depth,
                uint64_t longest_ns)
{
    const char *name = depth->store.contender->name;
    const struct histogram *latency = &depth->result.latency;
    const struct {
        const char *name;
        uint64_t ns;
    } figures[] = {{"p50", histogram_percentile(latency, 0.5)},
                   {"p99.9", histogram_percentile(latency, 0.999)},
                   {"longest", latency->maximum},
                   {"longest, processor time", longest_ns}};
    double longest_ms = (double)longest_ns / 1e6;
    bool known = latency->total != 0;

    for (size_t i = 0; known && i < sizeof figures / sizeof *figures; i++)
        record_figure(workload, name, 1, figures[i].name, "ns", (double)figures[i].ns);
    printf("  %-14s", name);
    if (known)
        printf(" %10.1f %10.1f %12.3f %12.3f", (double)figures[0].ns / 1e3,
               (double)figures[1].ns / 1e3, (double)figures[2].ns / 1e6, longest_ms);
    if (!known || bench_options.keys >= TARGET_KEYS)
        report_target("at most 1 ms", known, longest_ms <= LAPSE_TARGET_MS);
    bool good = depth_report(depth);
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
        struct depth *depth = calloc(1, sizeof *depth);
        uint64_t longest_ns = 0;
        if (depth == NULL)
            return false;
        progress_show("queue-lapse", contenders[i]->name, 0);
        depth_open(depth, contenders[i], &setup, bench_options.keys);
        if (depth->result.fault == NULL)
            longest_ns = lapse_measure(depth);
        progress_clear();
        good = lapse_row_print(workload, depth, longest_ns) && good;
        depth_close(depth, false);
        free(depth);
    }
    return good;
}

static const struct bench_workload workloads[] = {
    {
        .name = "queue-depth",
        .on_request = true,
        .what = "a cycle of one thread beside 100 and beside --keys jobs in flight",
        .order = 72,
        .contenders = "latchkey,claims-by-hand",
        .needs = NEEDS_CLAIMS,
        .run = depth_run,
    },
    {
        .name = "queue-lapse",
        .on_request = true,
        .what = "--keys claims lapse at once, then single pulls: the longest one",
        .order = 73,
        .contenders = "latchkey",
        .needs = NEEDS_ADVANCE,
        .run = lapse_run,
    },
};
BENCH_WORKLOADS(workloads)
