/* SPDX-License-Identifier: MIT
 *
 * From push to pulled: consumers sleep until there is a job, one producer brings them, one at a
 * time. queue-wait: the next one as soon as the last one was acknowledged, so that its consumer may
 * still be awake. queue-wait-paced: one every 200 us, when all are asleep. The end of a run is a
 * last job for each consumer.
 *
 * Ordering: a consumer's count is released after its acknowledgement, and the producer acquires it.
 */
#include "driver/driver.h"
#include "driver/pin.h"
#include "driver/queue.h"
#include "driver/report.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PACE_NS 200000
#define PATIENCE_S 10
#define LAST_ID (UINT64_C(1) << 60) /* from here on: the last jobs */

struct waiter {
    _Alignas(BENCH_LINE) _Atomic uint64_t done;
    _Alignas(BENCH_LINE) struct wait_run *run;
    struct queue_tally out;
    uint64_t wrong, failed;
    struct histogram latency;
};

struct wait_run {
    _Alignas(BENCH_LINE) _Atomic unsigned gathered;
    _Atomic bool attached;
    _Atomic uint64_t measured_ns; /* jobs that were sent from then on count; 0: not yet */
    const struct queue_operations *operations;
    void *queue;
    struct waiter *waiters;
    unsigned count;
    uint64_t next_id;
    struct queue_tally in;
    bool failed;
};

static void
waiter_work(struct waiter *waiter, void *client)
{
    struct wait_run *run = waiter->run;
    struct queue_job job;
    uint64_t done = 0;

    do {
        if (run->operations->pull_wait(client, &job) != 1) {
            waiter->failed++;
            return;
        }
        uint64_t now = bench_now_ns();
        uint64_t measured = atomic_load_explicit(&run->measured_ns, memory_order_relaxed);
        waiter->failed += !run->operations->acknowledge(client);
        waiter->wrong += !queue_job_count(&job, &waiter->out);
        if (measured != 0 && job.sent_ns >= measured && job.id < LAST_ID)
            histogram_add(&waiter->latency, now - job.sent_ns);
        atomic_store_explicit(&waiter->done, ++done, memory_order_release);
    } while (job.id < LAST_ID);
}

static void *
waiter_main(void *argument)
{
    struct waiter *waiter = argument;
    struct wait_run *run = waiter->run;
    pin_settle((unsigned)(waiter - run->waiters), PIN_NONE);
    void *client = run->operations->attach(run->queue);
    if (client == NULL)
        atomic_store(&run->attached, false);
    atomic_fetch_add(&run->gathered, 1);
    if (client == NULL)
        return NULL;
    waiter_work(waiter, client);
    run->operations->detach(client);
    return NULL;
}

static bool
job_send(struct wait_run *run, void *client, uint64_t id)
{
    struct queue_job job;

    queue_job_make(&job, id, &run->in);
    job.sent_ns = bench_now_ns();
    return run->operations->push(client, &job, 1);
}

/* False: nobody acknowledged for too long. */
static bool
all_done_await(struct wait_run *run)
{
    uint64_t end = bench_now_ns() + PATIENCE_S * UINT64_C(1000000000);

    for (;;) {
        uint64_t done = 0;
        for (unsigned i = 0; i < run->count; i++)
            done += atomic_load_explicit(&run->waiters[i].done, memory_order_acquire);
        if (done >= run->in.count)
            return true;
        if (bench_now_ns() > end)
            return false;
        sched_yield();
    }
}

/* Sends jobs until a time; returns how many. */
static uint64_t
jobs_send(struct wait_run *run, void *client, bool paced, uint64_t end)
{
    uint64_t next = bench_now_ns(), sent = 0;

    for (; bench_now_ns() < end && !run->failed && !bench_interrupted(); sent++) {
        run->failed = !job_send(run, client, run->next_id++);
        if (!paced) {
            run->failed = run->failed || !all_done_await(run);
            continue;
        }
        next += PACE_NS;
        struct timespec until = {(time_t)(next / 1000000000), (long)(next % 1000000000)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
            continue;
    }
    return sent;
}

static void
producer_work(struct wait_run *run, bool paced, struct driver_result *result)
{
    void *client = run->operations->attach(run->queue);

    if (client == NULL) {
        run->failed = true;
        return;
    }
    uint64_t start = bench_now_ns() + (uint64_t)(bench_options.warmup_s * 1e9);
    jobs_send(run, client, paced, start);
    start = bench_now_ns();
    atomic_store_explicit(&run->measured_ns, start, memory_order_relaxed);
    double others = driver_others_s();
    uint64_t sent =
        jobs_send(run, client, paced, start + (uint64_t)(bench_options.duration_s * 1e9));
    double elapsed = (double)(bench_now_ns() - start) / 1e9;
    if (driver_counts(elapsed, bench_options.duration_s)) {
        result->others_s += driver_others_s() - others;
        result->elapsed_s += elapsed;
        result->rates[result->repeats++] = (double)sent / elapsed;
    }
    for (unsigned i = 0; i < run->count; i++)
        run->failed = !job_send(run, client, LAST_ID + i) || run->failed;
    run->operations->detach(client);
}

/* A thread that nobody wakes cannot be stopped: then the program ends, as broken. */
static void
waiters_join(const pthread_t *handles, unsigned count, const char *name)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    for (unsigned i = 0; i < count; i++) {
        if (pthread_timedjoin_np(handles[i], NULL, &until) == 0)
            continue;
        printf("  WRONG: %s: a consumer waits though there is a job for it\n", name);
        fflush(NULL);
        _exit(EXIT_FAILURE);
    }
}

static void
waiters_collect(struct wait_run *run, unsigned repeats, struct driver_result *result)
{
    struct queue_tally out = {0};
    struct histogram latency = {0};

    for (unsigned i = 0; i < run->count; i++) {
        struct waiter *waiter = &run->waiters[i];
        queue_tally_add(&out, waiter->out);
        result->counts.wrong += waiter->wrong;
        result->counts.failed += waiter->failed;
        histogram_merge(&latency, &waiter->latency);
    }
    if (result->repeats > repeats)
        driver_latency_add(result, &latency);
    result->counts.failed += run->failed;
    if (result->counts.failed != 0)
        result->fault = "calls that failed";
    else if (result->counts.wrong != 0)
        result->fault = "jobs that nobody pushed";
    else if (!queue_tally_agrees(run->in, out))
        result->fault = "what came out is not, each job once, what went in";
}

static void
wait_measure(void *queue, bool paced, unsigned consumers, struct driver_result *result)
{
    const struct bench_contender *contender = result->store->contender;
    size_t size = consumers * sizeof(struct waiter);
    pthread_t handles[BENCH_THREADS_MAX];
    unsigned started = 0, repeats = result->repeats;
    struct wait_run run = {
        .attached = true, .operations = contender->queue, .queue = queue, .count = consumers};

    run.waiters = aligned_alloc(BENCH_LINE, size);
    if (run.waiters == NULL) {
        result->fault = "out of memory";
        return;
    }
    memset(run.waiters, 0, size);
    for (unsigned i = 0; i < consumers; i++)
        run.waiters[i].run = &run;
    while (started < consumers &&
           pthread_create(&handles[started], NULL, waiter_main, &run.waiters[started]) == 0)
        started++;
    while (atomic_load(&run.gathered) < started)
        sched_yield();
    if (started < consumers || !atomic_load(&run.attached))
        run.failed = true;
    producer_work(&run, paced, result);
    waiters_join(handles, started, contender->name);
    waiters_collect(&run, repeats, result);
    free(run.waiters);
}

static void
wait_run(bool paced, unsigned consumers, struct driver_result *result)
{
    static const struct queue_setup setup = {.visibility_ms = QUEUE_VISIBILITY_MS};
    void *queue = queue_open(&setup, result);

    if (queue == NULL)
        return;
    wait_measure(queue, paced, consumers, result);
    result->store->contender->queue->close(queue);
}

static void
row_print(unsigned consumers, const struct driver_result *result, uint64_t own_p50)
{
    uint64_t p50 = histogram_percentile(&result->latency, 0.5);
    const char *name = result->store->contender->name;

    printf("%7u  %-14s", consumers, name);
    if (result->missing != NULL)
        printf(" %12s  (%s)\n", "missing", result->missing);
    else
        printf(" %9.1f %8.1f %9.1f %8.0f", report_summary(result).median / 1e3, (double)p50 / 1e3,
               (double)histogram_percentile(&result->latency, 0.99) / 1e3,
               (double)result->latency.maximum / 1e3);
    if (own_p50 != 0 && p50 != 0 && strcmp(name, "latchkey") != 0)
        printf("  %8.2f x", (double)own_p50 / (double)p50);
    if (result->missing == NULL)
        printf("\n");
    if (result->fault != NULL)
        printf("  WRONG: %s, %u consumers: %s (%llu wrong, %llu failed)\n", name, consumers,
               result->fault, (unsigned long long)result->counts.wrong,
               (unsigned long long)result->counts.failed);
}

/* False: a run went wrong. */
static bool
rows_run(const struct bench_workload *workload, bool paced, unsigned consumers,
         struct driver_result *results, size_t count)
{
    uint64_t own_p50 = 0;
    bool good = true;

    for (unsigned repeat = 0; repeat < bench_options.repeats; repeat++)
        for (size_t i = 0; i < count; i++) {
            progress_show(workload->name, results[i].store->contender->name, consumers);
            if (results[i].fault == NULL && results[i].missing == NULL && !bench_interrupted())
                wait_run(paced, consumers, &results[i]);
            progress_step();
        }
    progress_clear();
    for (size_t i = 0; i < count; i++) {
        good = good && results[i].fault == NULL;
        if (strcmp(results[i].store->contender->name, "latchkey") == 0)
            own_p50 = histogram_percentile(&results[i].latency, 0.5);
    }
    for (size_t i = 0; i < count; i++) {
        record_result(workload, consumers, &results[i]);
        row_print(consumers, &results[i], own_p50);
    }
    fflush(stdout);
    return good;
}

static bool
table_run(const struct bench_workload *workload, bool paced,
          const struct bench_contender *const *contenders, size_t count)
{
    struct driver_store stores[BENCH_CONTENDERS_MAX] = {0};
    struct driver_result *results = malloc(sizeof *results * BENCH_CONTENDERS_MAX);
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts = bench_threads_parse(
        bench_options.threads != NULL ? bench_options.threads : workload->threads, threads);
    bool good = results != NULL;

    printf("\n");
    report_words("%s: %s", workload->name, workload->what);
    printf("waiting  %-14s %9s %8s %9s %8s  %s\n", "contender", "k jobs/s", "p50 us", "p99 us",
           "max us", "latchkey's p50 is");
    for (size_t i = 0; i < thread_counts && results != NULL && !bench_interrupted(); i++) {
        memset(results, 0, sizeof *results * BENCH_CONTENDERS_MAX);
        for (size_t j = 0; j < count; j++) {
            stores[j].contender = contenders[j];
            results[j].store = &stores[j];
        }
        good = rows_run(workload, paced, threads[i], results, count) && good;
    }
    free(results);
    return good;
}

static bool
can_wait(const struct bench_contender *contender)
{
    return contender->queue != NULL && contender->queue->pull_wait != NULL;
}

static bool queue_wait_run(const struct bench_contender *const *contenders, size_t count);
static bool queue_paced_run(const struct bench_contender *const *contenders, size_t count);

static const struct bench_workload workload_queue_wait = {
    .name = "queue-wait",
    .on_request = true,
    .what = "from push to pulled by a waiting consumer, the next job after the acknowledgement",
    .order = 74,
    .unit = "k jobs/s",
    .threads = "1,4",
    .contenders = "latchkey,mutex-deque",
    .can = can_wait,
    .run = queue_wait_run,
};
BENCH_WORKLOAD(workload_queue_wait)

static const struct bench_workload workload_queue_paced = {
    .name = "queue-wait-paced",
    .on_request = true,
    .what = "the same, one job every 200 us: all consumers are asleep",
    .order = 75,
    .unit = "k jobs/s",
    .threads = "1,4",
    .contenders = "latchkey,mutex-deque",
    .can = can_wait,
    .run = queue_paced_run,
};
BENCH_WORKLOAD(workload_queue_paced)

static bool
queue_wait_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_queue_wait, false, contenders, count);
}

static bool
queue_paced_run(const struct bench_contender *const *contenders, size_t count)
{
    return table_run(&workload_queue_paced, true, contenders, count);
}
