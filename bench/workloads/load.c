/* SPDX-License-Identifier: MIT
 *
 * Loading: an empty store takes all items. load: its rate, with the loop compiled into the
 * contender, in an order without locality. load-ordered: one partition after the other, each in an
 * order of its own, as items come out of a copy. load-latency: how long each set took, growth of
 * tables included. Every load is in a process of its own, so that the memory is as new as the
 * store, and nothing is closed. The requests are made before, and the processes share them.
 */
#include "driver/loops.h"
#include "driver/report.h"
#include "workloads/parts/steps.h"

#include <stdio.h>
#include <sys/resource.h>

#define LOAD_LOOKS 100000 /* items that are read after a load */
#define LOAD_BATCH 512
#define STALL_NS 1000000 /* a set that stops its caller */

static bool
load_begin(struct bench_run *run)
{
    run->store = run->contender->open();
    if (run->store == NULL)
        run->result->fault = "the store could not be opened";
    return run->store != NULL;
}

/* Each thread has its part of the requests, which are those of all items. */
static uint64_t
load_fixed(struct bench_worker *worker)
{
    size_t count = data_source.count(&data_source);
    size_t first = count * worker->number / worker->run->threads;

    worker->requests.at = first;
    return count * (worker->number + 1) / worker->run->threads - first;
}

static long
own_switches(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

/* A set that was long because the thread had to leave the processor is in the histogram, and is no
 * stall. */
static void
load_step_timed(struct bench_worker *worker, size_t count)
{
    bench_loop *set = loop_of(worker->contender, LOOP_SET);
    long switches = own_switches();
    uint64_t stalls = 0, last = bench_now_ns();

    for (; count > 0; count--) {
        set(worker, 1);
        uint64_t now = bench_now_ns();
        worker_took(worker, last, now);
        stalls += now - last >= STALL_NS;
        last = now;
    }
    if (own_switches() == switches)
        worker->counts.noted += stalls;
}

/* Looks at some of the items, from all of them. */
static void
load_end(struct bench_run *run)
{
    size_t count = data_source.count(&data_source), step = count / LOAD_LOOKS + 1;
    uint64_t sum = 0;

    if (driver_look(&data_source, run->contender, run->store, 0, step, count, &sum) != 0)
        run->result->fault = "items that were loaded and are not there";
    if (run->contender->outlives)
        run->contender->close(run->store);
}

static void
latency_more(const struct bench_workload *workload, unsigned threads,
             const struct driver_result *result)
{
    const char *name = result->store->contender->name;
    double p999 = (double)histogram_percentile(&result->latency, 0.999) / 1e3;
    double p9999 = (double)histogram_percentile(&result->latency, 0.9999) / 1e3;
    unsigned long long stalls = result->counts.noted;

    record_figure(workload, name, threads, "p99.9 of a set", "us", p999);
    record_figure(workload, name, threads, "p99.99 of a set", "us", p9999);
    record_figure(workload, name, threads, "stalls of 1 ms and more", "", (double)stalls);
    printf("  %s: p99.9 %.1f us, p99.99 %.1f us, sets of 1 ms and more: %llu of %llu", name, p999,
           p9999, stalls, (unsigned long long)result->latency.total);
    if (strcmp(name, "latchkey") == 0)
        report_target("no set of 1 ms", result->repeats != 0, stalls == 0);
    printf("\n");
}

#define LOAD_ALL                                                                         \
    .unit = "M items/s", .threads = "1,2", .source = &data_source, .batch = LOAD_BATCH,  \
    .on_request = true, .forks = true, .own_pace = true, .needs = NEEDS_GET | NEEDS_SET, \
    .begin = load_begin, .fixed = load_fixed, .end = load_end
#define LOAD_RATE                                                                     \
    .contenders = "latchkey,std::map",                                                \
    .targets = {{"std::map", 0, 0.5, false, NULL}, {"std::map", 1, 1.0, true, NULL}}, \
    .loop = LOOP_SET

static const struct bench_workload workloads[] = {
    {
        .name = "load",
        .what = "an empty store takes all items (--keys); a process each",
        .order = 2,
        .requests = REQUESTS_ALL,
        LOAD_ALL,
        LOAD_RATE,
    },
    {
        .name = "load-ordered",
        .what = "the same, one partition after the other",
        .order = 3,
        .requests = REQUESTS_ALL_ORDERED,
        LOAD_ALL,
        LOAD_RATE,
    },
    {
        .name = "load-latency",
        .what = "an empty store takes all items (--keys), each set timed",
        .order = 3,
        .requests = REQUESTS_ALL,
        LOAD_ALL,
        .contenders = "latchkey,std::map",
        .times_itself = true,
        .step = load_step_timed,
        .more = latency_more,
    },
};
BENCH_WORKLOADS(workloads)
