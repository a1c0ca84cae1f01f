/* SPDX-License-Identifier: MIT
 *
 * Loading: an empty store takes all items. load: its rate, with the loop compiled into the
 * contender, in an order without locality. load-ordered: one partition after the other, each in an
 * order of its own, as items come out of a copy. load-latency: how long each set took, growth of tables
 * included. Every load is in a process of its own, so that the memory is as new as the store, and
 * nothing is closed. The requests are made before, and the processes share them.
 */
#include "driver/data.h"
#include "driver/driver.h"
#include "driver/loops.h"
#include "driver/pin.h"
#include "driver/report.h"
#include "workloads/parts/steps.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOAD_LOOKS 100000 /* items that are read after a load */
#define LATENCY_BATCH 256 /* sets between looks at what the scheduler did */
#define STALL_NS 1000000  /* a set that stops its caller */

/* What one thread of a load finds. */
struct loader {
    _Alignas(BENCH_LINE) struct bench_worker worker;
    struct load_run *run;
    size_t count;
    uint64_t ended_ns, processor_ns;
    uint64_t stalls; /* sets of STALL_NS or more in batches that no scheduler cut short */
    struct histogram latency;
};

/* In memory that the child shares with its parent. */
struct load_report {
    bool good; /* the child came to its end */
    uint64_t elapsed_ns;
    double processor_rate; /* sets per second of processor, of all threads together */
    uint64_t wrong, failed, stalls;
    uint64_t operations[BENCH_THREADS_MAX];
    struct histogram latency;
};

struct load_run {
    const struct bench_contender *contender;
    void *store;
    bool timed; /* each set */
    _Atomic unsigned gathered;
    _Atomic bool started;
};

static struct requests load_requests; /* of all items */

static uint64_t
own_processor_ns(void)
{
    struct timespec own;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    return (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec;
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
loader_sets_timed(struct loader *loader)
{
    struct bench_worker *worker = &loader->worker;
    long switches = own_switches();

    for (size_t done = 0; done < loader->count;) {
        uint64_t stalls = 0, last = bench_now_ns();
        for (size_t i = 0; i < LATENCY_BATCH && done < loader->count; i++, done++) {
            loops_of(worker->contender)->set(worker, 1);
            uint64_t now = bench_now_ns();
            histogram_add(&loader->latency, now - last);
            stalls += now - last >= STALL_NS;
            last = now;
        }
        long before = switches;
        switches = own_switches();
        if (switches == before)
            loader->stalls += stalls;
    }
}

static void *
loader_main(void *argument)
{
    struct loader *loader = argument;
    struct bench_worker *worker = &loader->worker;
    struct load_run *run = loader->run;

    pin_settle(worker->number, PIN_NONE);
    worker->client = run->contender->attach(run->store);
    worker->counts.failed = worker->client == NULL;
    atomic_fetch_add(&run->gathered, 1);
    while (!atomic_load(&run->started))
        sched_yield();
    uint64_t processor_ns = own_processor_ns();
    if (worker->client == NULL)
        return NULL;
    if (run->timed)
        loader_sets_timed(loader);
    else
        loops_of(run->contender)->set(worker, loader->count);
    loader->ended_ns = bench_now_ns();
    loader->processor_ns = own_processor_ns() - processor_ns;
    run->contender->detach(worker->client);
    return NULL;
}

/* Some of the items, from all of them. */
static uint64_t
load_verify(const struct load_run *run)
{
    void *client = run->contender->attach(run->store);
    size_t count = data_source.count(), step = count / LOAD_LOOKS + 1;
    uint64_t sum = 0;

    return client == NULL ? 1 : data_source.verify(run->contender, client, 0, step, count, &sum);
}

static void
report_fill(struct load_report *report, const struct loader *loaders, unsigned threads,
            uint64_t begun_ns)
{
    for (unsigned i = 0; i < threads; i++) {
        const struct loader *loader = &loaders[i];
        uint64_t elapsed = loader->ended_ns - begun_ns;
        report->failed += loader->worker.counts.failed;
        report->stalls += loader->stalls;
        report->operations[i] = loader->count;
        histogram_merge(&report->latency, &loader->latency);
        report->elapsed_ns = elapsed > report->elapsed_ns ? elapsed : report->elapsed_ns;
        if (loader->processor_ns != 0)
            report->processor_rate += (double)loader->count * 1e9 / (double)loader->processor_ns;
    }
}

/* What a child does. */
static void
load_once(struct load_run *run, unsigned threads, struct load_report *report)
{
    struct loader *loaders = aligned_alloc(BENCH_LINE, threads * sizeof *loaders);
    pthread_t handles[BENCH_THREADS_MAX];
    size_t count = data_source.count();

    bench_items_expected = count;
    run->store = run->contender->open();
    if (loaders == NULL || run->store == NULL)
        return;
    memset(loaders, 0, threads * sizeof *loaders);
    for (unsigned i = 0; i < threads; i++) {
        struct loader *loader = &loaders[i];
        loader->run = run;
        loader->worker.contender = run->contender;
        loader->worker.number = i;
        loader->worker.requests = load_requests;
        loader->worker.requests.at = count * i / threads;
        loader->count = count * (i + 1) / threads - count * i / threads;
        if (pthread_create(&handles[i], NULL, loader_main, loader) != 0)
            return;
    }
    while (atomic_load(&run->gathered) < threads)
        sched_yield();
    uint64_t begun_ns = bench_now_ns();
    atomic_store(&run->started, true);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    report_fill(report, loaders, threads, begun_ns);
    report->wrong = load_verify(run);
    report->good = true;
}

/* One load in a child; its figures go to the result. */
static void
child_run(const struct bench_contender *contender, bool timed, unsigned threads,
          struct load_report *report, struct driver_result *result, uint64_t *stalls)
{
    int status = 1;

    memset(report, 0, sizeof *report);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct load_run run = {.contender = contender, .timed = timed};
        load_once(&run, threads, report);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !report->good) {
        if (!bench_interrupted())
            result->fault = "a process that loads failed";
        return;
    }
    double elapsed = (double)report->elapsed_ns / 1e9;
    result->counts.wrong += report->wrong;
    result->counts.failed += report->failed;
    if (report->wrong + report->failed != 0)
        result->fault = "items that were loaded and are not there";
    memcpy(result->operations[result->repeats], report->operations, sizeof report->operations);
    result->elapsed_s += elapsed;
    result->rates[result->repeats++] = bench_options.processor_time
                                           ? report->processor_rate
                                           : (double)data_source.count() / elapsed;
    driver_latency_add(result, &report->latency);
    *stalls += report->stalls;
}

/* What load-latency says of a row below it. */
static void
latency_print(const struct bench_workload *workload, unsigned threads,
              const struct driver_result *result, uint64_t stalls)
{
    const char *name = result->store->contender->name;
    double p999 = (double)histogram_percentile(&result->latency, 0.999) / 1e3;
    double p9999 = (double)histogram_percentile(&result->latency, 0.9999) / 1e3;

    record_figure(workload->name, name, threads, "p99.9 of a set", "us", p999);
    record_figure(workload->name, name, threads, "p99.99 of a set", "us", p9999);
    record_figure(workload->name, name, threads, "stalls of 1 ms and more", "", (double)stalls);
    printf("  %s: p99.9 %.1f us, p99.99 %.1f us, sets of 1 ms and more: %llu of %llu", name, p999,
           p9999, (unsigned long long)stalls, (unsigned long long)result->latency.total);
    if (strcmp(name, "latchkey") == 0)
        report_target("no set of 1 ms", result->repeats == 0 ? REPORT_NO_FIGURE
                                        : stalls == 0        ? REPORT_MET
                                                             : REPORT_MISSED);
    printf("\n");
}

/* All repeats with one number of threads, contenders in turn. False: something was wrong. */
static bool
loads_run(const struct bench_workload *workload, bool timed, unsigned threads,
          struct load_report *report, struct driver_result *results, size_t count)
{
    bool good = true;
    unsigned repeats = bench_options.repeats;
    uint64_t stalls[BENCH_CONTENDERS_MAX] = {0};

    for (unsigned repeat = 0; repeat < repeats; repeat++)
        for (size_t i = 0; i < count && !bench_interrupted(); i++) {
            progress_show(workload->name, results[i].store->contender->name, threads);
            if (results[i].fault == NULL)
                child_run(results[i].store->contender, timed, threads, report, &results[i],
                          &stalls[i]);
            progress_step();
        }
    progress_clear();
    report_rows(workload, threads, results, count);
    for (size_t i = 0; i < count; i++) {
        good = good && results[i].fault == NULL;
        if (timed)
            latency_print(workload, threads, &results[i], stalls[i]);
    }
    return good;
}

static bool
requests_ready(bool ordered)
{
    size_t count = data_source.count();
    uint32_t *indexes = malloc(count * sizeof *indexes);
    const char *why;

    if (indexes == NULL || !data_source.open(&why)) {
        free(indexes);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        indexes[i] = ordered ? (uint32_t)i : random_scatter(i, count);
    bool made = requests_open(&load_requests, indexes, count, true, 0);
    free(indexes);
    return made;
}

static bool
table_run(const struct bench_workload *workload, bool timed, bool ordered,
          const struct bench_contender *const *contenders, size_t count)
{
    struct driver_store stores[BENCH_CONTENDERS_MAX] = {0};
    struct driver_result *results = malloc(sizeof *results * BENCH_CONTENDERS_MAX);
    struct load_report *report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts = bench_threads_parse(
        bench_options.threads != NULL ? bench_options.threads : workload->threads, threads);
    bool good = results != NULL && report != MAP_FAILED && requests_ready(ordered);

    report_workload(workload, NULL);
    for (size_t i = 0; i < thread_counts && good && !bench_interrupted(); i++) {
        memset(results, 0, sizeof *results * BENCH_CONTENDERS_MAX);
        for (size_t j = 0; j < count; j++) {
            stores[j].contender = contenders[j];
            results[j].store = &stores[j];
        }
        good = loads_run(workload, timed, threads[i], report, results, count);
    }
    requests_close(&load_requests);
    if (report != MAP_FAILED)
        munmap(report, sizeof *report);
    free(results);
    return good;
}

static bool load_rate_run(const struct bench_contender *const *contenders, size_t count);
static bool load_ordered_run(const struct bench_contender *const *contenders, size_t count);
static bool load_latency_run(const struct bench_contender *const *contenders, size_t count);

static const struct bench_workload workload_load = {
    .name = "load",
    .what = "an empty store takes all items (--keys); a process each",
    .order = 2,
    .unit = "M items/s",
    .threads = "1,2",
    .contenders = "latchkey,std::map,std::map-one",
    .on_request = true,
    .targets = {{"std::map", 1, 0.5, false, NULL},
                {"std::map", 2, 0.5, false, NULL},
                {"std::map", 1, 1.0, true, NULL}},
    .can = step_can_set,
    .run = load_rate_run,
};
BENCH_WORKLOAD(workload_load)

static const struct bench_workload workload_load_ordered = {
    .name = "load-ordered",
    .what = "the same, one partition after the other",
    .order = 3,
    .unit = "M items/s",
    .threads = "1,2",
    .contenders = "latchkey,std::map,std::map-one",
    .on_request = true,
    .targets = {{"std::map", 1, 0.5, false, NULL},
                {"std::map", 2, 0.5, false, NULL},
                {"std::map", 1, 1.0, true, NULL}},
    .can = step_can_set,
    .run = load_ordered_run,
};
BENCH_WORKLOAD(workload_load_ordered)

static const struct bench_workload workload_load_latency = {
    .name = "load-latency",
    .what = "an empty store takes all items (--keys), each set timed",
    .order = 3,
    .unit = "M items/s",
    .threads = "1,2",
    .contenders = "latchkey,std::map",
    .on_request = true,
    .can = step_can_set,
    .run = load_latency_run,
};
BENCH_WORKLOAD(workload_load_latency)

static bool
load_rate_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_load, false, false, contenders, count);
}

static bool
load_ordered_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_load_ordered, false, true, contenders, count);
}

static bool
load_latency_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_load_latency, true, false, contenders, count);
}
