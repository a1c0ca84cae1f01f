/* SPDX-License-Identifier: MIT
 *
 * One run: all threads attach and gather; then each does batches of steps and publishes its count
 * in a line of its own; the main thread reads the counts twice, `duration` apart, and divides. So
 * warm-up is what came before the first look, threads that stop late do not matter, and the loop
 * holds no shared counter and reads no clock, except around one step of each batch, for the
 * latencies. At a fixed rate (--rate) threads keep to a schedule instead, one step at a time.
 *
 * Ordering: counts and phase are relaxed; what a worker leaves in its counters and its histogram is
 * read after the join.
 */
#include "driver/driver.h"

#include "driver/pin.h"
#include "driver/schedule.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STREAM_INDEXES ((size_t)1 << 18)
#define REQUESTS_BYTES ((size_t)1 << 30) /* of all threads */
#define REQUEST_BYTES (sizeof(lk_item) + sizeof(struct request_body))
#define REQUESTS_PER_ITEM 4
#define BATCH_DEFAULT 64
#define NAP_NS 50000000 /* between looks whether somebody wants the end */

enum phase { PHASE_GATHER, PHASE_WARM, PHASE_MEASURE, PHASE_STOP };

/* A moment, by the clock and by the processor time of the thread. */
struct runner_time {
    uint64_t ns, processor_ns;
};

struct runner {
    pthread_t thread;
    _Alignas(BENCH_LINE) _Atomic uint64_t published; /* steps so far; written by the worker only */
    _Alignas(BENCH_LINE) struct bench_worker worker;
    struct histogram latency;
    struct schedule schedule;
    uint64_t late;
    uint64_t operations; /* of a run of a fixed number; 0: of a fixed time */
    struct runner_time begun, ended;
    struct run *run;
};

struct run {
    _Alignas(BENCH_LINE) _Atomic int phase;
    _Alignas(BENCH_LINE) _Atomic unsigned gathered;
    void *store;
    _Atomic bool attached;
};

/* Sequences of new things differ between any two runs and threads. */
static uint64_t run_number;

bool
driver_sleep(double seconds)
{
    uint64_t end = bench_now_ns() + (uint64_t)(seconds * 1e9);

    for (uint64_t now; (now = bench_now_ns()) < end;) {
        if (bench_interrupted())
            return false;
        uint64_t nap = end - now < NAP_NS ? end - now : NAP_NS;
        struct timespec pause = {0, (long)nap};
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

double
driver_others_s(void)
{
    unsigned long long user, nice, system, idle, wait, interrupt, soft, steal;
    FILE *file = fopen("/proc/stat", "r");
    struct timespec own;

    if (file == NULL)
        return 0;
    int found = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
                       &idle, &wait, &interrupt, &soft, &steal);
    fclose(file);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    if (found != 8)
        return 0;
    return (double)(user + nice + system + interrupt + soft + steal) /
               (double)sysconf(_SC_CLK_TCK) -
           (double)own.tv_sec - (double)own.tv_nsec / 1e9;
}

static struct runner_time
runner_now(void)
{
    struct timespec own;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    return (struct runner_time){bench_now_ns(),
                                (uint64_t)own.tv_sec * 1000000000 + (uint64_t)own.tv_nsec};
}

static void
runner_work(struct runner *runner)
{
    struct bench_worker *worker = &runner->worker;
    const struct bench_workload *workload = worker->workload;
    size_t batch = workload->batch != 0 ? workload->batch : BATCH_DEFAULT;
    uint64_t steps = 0;
    int phase;

    while ((phase = atomic_load_explicit(&runner->run->phase, memory_order_relaxed)) !=
           PHASE_STOP) {
        if (batch > 1)
            workload->step(worker, batch - 1);
        uint64_t start = bench_now_ns();
        workload->step(worker, 1);
        if (phase == PHASE_MEASURE)
            histogram_add(&runner->latency, bench_now_ns() - start);
        steps += batch;
        atomic_store_explicit(&runner->published, steps, memory_order_relaxed);
    }
    worker->counts.operations = steps;
}

/* The same at a fixed rate. Every operation is timed, from when it should have started. */
static void
runner_work_scheduled(struct runner *runner)
{
    struct bench_worker *worker = &runner->worker;
    uint64_t steps = 0, intended;

    while (schedule_wait(&runner->schedule, &runner->run->phase, PHASE_STOP, &intended)) {
        worker->workload->step(worker, 1);
        schedule_add(&runner->schedule, &runner->latency, intended, bench_now_ns());
        atomic_store_explicit(&runner->published, ++steps, memory_order_relaxed);
    }
    runner->late = schedule_late(&runner->schedule, &runner->latency, bench_now_ns());
    worker->counts.operations = steps;
}

/* A fixed number of operations. */
static void
runner_work_counted(struct runner *runner)
{
    struct bench_worker *worker = &runner->worker;
    size_t batch = worker->workload->batch != 0 ? worker->workload->batch : BATCH_DEFAULT;
    uint64_t steps = 0, end;

    while (atomic_load(&runner->run->phase) != PHASE_MEASURE)
        sched_yield();
    for (runner->begun = runner_now(); steps < runner->operations && !bench_interrupted();
         steps += batch) {
        if (batch > 1)
            worker->workload->step(worker, batch - 1);
        uint64_t start = bench_now_ns();
        worker->workload->step(worker, 1);
        end = bench_now_ns();
        histogram_add(&runner->latency, end - start);
    }
    runner->ended = runner_now();
    worker->counts.operations = steps;
    atomic_store_explicit(&runner->published, steps, memory_order_relaxed);
}

static void *
runner_main(void *argument)
{
    struct runner *runner = argument;
    struct bench_worker *worker = &runner->worker;
    struct run *run = runner->run;

    pin_settle(worker->number, PIN_NONE);
    worker->client = worker->contender->attach(run->store);
    if (worker->client == NULL)
        atomic_store(&run->attached, false);
    atomic_fetch_add(&run->gathered, 1);
    while (atomic_load(&run->phase) == PHASE_GATHER)
        sched_yield();
    if (atomic_load(&run->attached)) {
        if (bench_options.rate > 0)
            runner_work_scheduled(runner);
        else if (runner->operations != 0)
            runner_work_counted(runner);
        else
            runner_work(runner);
        if (worker->workload->finish != NULL)
            worker->workload->finish(worker);
    }
    if (worker->client != NULL)
        worker->contender->detach(worker->client);
    return NULL;
}

/* What a thread has done so far, and the processor time that it took, in nanoseconds; 0: unknown. */
struct runner_look {
    uint64_t steps, processor_ns;
};

static void
runners_look(struct runner *runners, unsigned threads, struct runner_look *looks)
{
    for (unsigned i = 0; i < threads; i++) {
        struct timespec time = {0};
        clockid_t clock;
        if (bench_options.processor_time && pthread_getcpuclockid(runners[i].thread, &clock) == 0)
            (void)clock_gettime(clock, &time);
        looks[i].processor_ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
        looks[i].steps = atomic_load_explicit(&runners[i].published, memory_order_relaxed);
    }
}

/* Operations per second of all threads together. */
static double
looks_rate(const struct runner_look *before, const struct runner_look *after, unsigned threads,
           uint64_t weight, double elapsed_s)
{
    double rate = 0;

    for (unsigned i = 0; i < threads; i++) {
        double operations = (double)((after[i].steps - before[i].steps) * weight);
        double own_s = (double)(after[i].processor_ns - before[i].processor_ns) / 1e9;
        rate += operations / (own_s > 0 ? own_s : elapsed_s);
    }
    return rate;
}

/* Where a repeat begins in the requests: each elsewhere, at the same place for every contender. */
static size_t
requests_start(const struct requests *requests, unsigned repeat)
{
    return repeat * ((requests->mask + 1) / 7) / BENCH_GROUP * BENCH_GROUP;
}

/* Of each thread in a run of a fixed number, of new items as many as there are, less a batch. */
static uint64_t
operations_each(const struct bench_workload *workload, unsigned threads,
                const struct requests *requests)
{
    uint64_t each = (uint64_t)(workload->fill * bench_options.duration_s) / threads;
    uint64_t most = requests->mask > 2 * BATCH_DEFAULT ? requests->mask - BATCH_DEFAULT : 1;

    if (workload->requests == REQUESTS_NEW && each > most)
        each = most;
    return each != 0 ? each : 1;
}

static void
runners_init(struct runner *runners, unsigned threads, struct run *run,
             const struct bench_workload *workload, const struct driver_streams *streams,
             const struct driver_result *result)
{
    run_number++;
    for (unsigned i = 0; i < threads; i++) {
        struct bench_worker *worker = &runners[i].worker;
        runners[i].run = run;
        worker->workload = workload;
        worker->contender = result->store->contender;
        worker->stream = streams->indexes + i * streams->each;
        worker->stream_mask = streams->each - 1;
        /* Each repeat starts elsewhere, at the same place for every contender. */
        worker->stream_at = result->repeats * (streams->each / 7);
        if (streams->requests != NULL) {
            worker->requests = streams->requests[i];
            if (workload->requests != REQUESTS_NEW)
                worker->requests.at = requests_start(&worker->requests, result->repeats);
        }
        if (workload->fill > 0 && bench_options.rate <= 0)
            runners[i].operations = operations_each(workload, threads, &worker->requests);
        worker->number = i;
        worker->first_sequence = (run_number << 40) + ((uint64_t)i << 32);
        worker->sequence = worker->first_sequence;
    }
}

void
driver_latency_add(struct driver_result *result, const struct histogram *latency)
{
    struct record_latency *repeat = &result->latencies[result->repeats - 1];

    repeat->p50 = histogram_percentile(latency, 0.5);
    repeat->p99 = histogram_percentile(latency, 0.99);
    repeat->p999 = histogram_percentile(latency, 0.999);
    repeat->maximum = latency->maximum;
    histogram_merge(&result->latency, latency);
}

static void
result_count(struct driver_result *result, const struct runner *runner)
{
    const struct bench_counts *counts = &runner->worker.counts;

    result->counts.operations += counts->operations;
    result->counts.wrong += counts->wrong;
    result->counts.failed += counts->failed;
    result->counts.commits += counts->commits;
    result->counts.races += counts->races;
    contention_add_worker(&result->contention, &runner->worker);
}

bool
driver_counts(double elapsed_s, double wanted_s)
{
    return !bench_interrupted() || elapsed_s >= wanted_s / 2;
}

static void
runners_schedule(struct runner *runners, unsigned threads, uint64_t weight)
{
    uint64_t now = bench_now_ns();

    for (unsigned i = 0; i < threads; i++)
        schedule_init(&runners[i].schedule, now, bench_options.rate, (double)weight, threads, i);
}

/* The main thread's part of a run in which all threads are there. */
static void
runners_time(struct runner *runners, unsigned threads, struct run *run,
             struct driver_result *result)
{
    const struct bench_workload *workload = runners[0].worker.workload;
    struct contention_watch watch;
    struct runner_look before[BENCH_THREADS_MAX], after[BENCH_THREADS_MAX];
    uint64_t weight = workload->weight != 0 ? workload->weight : 1, sum = 0;
    double wanted = bench_options.duration_s > workload->least_s || bench_options.rate > 0
                        ? bench_options.duration_s
                        : workload->least_s;

    if (bench_options.rate > 0)
        runners_schedule(runners, threads, weight);
    atomic_store(&run->phase, PHASE_WARM);
    driver_sleep(bench_options.warmup_s);
    atomic_store_explicit(&run->phase, PHASE_MEASURE, memory_order_relaxed);
    contention_begin(&watch, result->store->contender->contention, run->store);
    uint64_t start = bench_now_ns();
    runners_look(runners, threads, before);
    double others = driver_others_s();
    contention_sleep(&watch, wanted);
    uint64_t end = bench_now_ns();
    runners_look(runners, threads, after);
    contention_end(&watch);
    atomic_store_explicit(&run->phase, PHASE_STOP, memory_order_relaxed);
    double elapsed = (double)(end - start) / 1e9;
    if (!driver_counts(elapsed, wanted))
        return;
    result->others_s += driver_others_s() - others;
    result->elapsed_s += elapsed;
    for (unsigned i = 0; i < threads; i++) {
        result->operations[result->repeats][i] = (after[i].steps - before[i].steps) * weight;
        sum += result->operations[result->repeats][i];
    }
    contention_add(&result->contention, &watch, sum);
    result->rates[result->repeats++] = looks_rate(before, after, threads, weight, elapsed);
}

/* What threads that did a fixed number took for it, after they have ended. */
static void
runners_count(struct runner *runners, unsigned threads, struct driver_result *result)
{
    uint64_t begun = runners[0].begun.ns, ended = runners[0].ended.ns, sum = 0;
    double rate = 0;

    if (bench_interrupted())
        return;
    for (unsigned i = 0; i < threads; i++) {
        const struct runner *runner = &runners[i];
        uint64_t operations = runner->worker.counts.operations;
        uint64_t own_ns = runner->ended.processor_ns - runner->begun.processor_ns;
        begun = runner->begun.ns < begun ? runner->begun.ns : begun;
        ended = runner->ended.ns > ended ? runner->ended.ns : ended;
        result->operations[result->repeats][i] = operations;
        sum += operations;
        rate += (double)operations * 1e9 / (double)(own_ns != 0 ? own_ns : 1);
    }
    double elapsed = (double)(ended - begun) / 1e9;
    result->elapsed_s += elapsed;
    result->rates[result->repeats++] = bench_options.processor_time ? rate : (double)sum / elapsed;
}

/* Starts the threads, measures, stops them. False: not all could start and attach. */
static bool
runners_measure(struct runner *runners, unsigned threads, struct run *run,
                struct driver_result *result)
{
    unsigned started = 0;

    while (started < threads &&
           pthread_create(&runners[started].thread, NULL, runner_main, &runners[started]) == 0)
        started++;
    while (atomic_load(&run->gathered) < started)
        sched_yield();
    if (started < threads)
        atomic_store(&run->attached, false);
    bool attached = atomic_load(&run->attached), counted = runners[0].operations != 0;
    if (!attached)
        atomic_store(&run->phase, PHASE_STOP);
    else if (counted)
        atomic_store(&run->phase, PHASE_MEASURE);
    else
        runners_time(runners, threads, run, result);
    for (unsigned i = 0; i < started; i++)
        pthread_join(runners[i].thread, NULL);
    if (attached && counted)
        runners_count(runners, threads, result);
    return attached;
}

void
driver_run(const struct bench_workload *workload, const struct driver_streams *streams,
           unsigned threads, struct driver_result *result)
{
    const struct bench_contender *contender = result->store->contender;
    size_t size = threads * sizeof(struct runner);
    struct runner *runners = aligned_alloc(BENCH_LINE, size);
    struct run run = {.store = result->store->handle, .attached = true};
    struct bench_counters before = {0}, after = {0};
    unsigned repeats = result->repeats;

    if (runners == NULL) {
        result->fault = "out of memory";
        return;
    }
    memset(runners, 0, size);
    runners_init(runners, threads, &run, workload, streams, result);
    if (contender->counters != NULL)
        contender->counters(result->store->handle, &before);
    if (!runners_measure(runners, threads, &run, result))
        result->fault = "threads could not be started";
    if (contender->counters != NULL)
        contender->counters(result->store->handle, &after);

    struct histogram latency = {0};
    uint64_t commits = result->counts.commits, races = result->counts.races, late = 0;
    for (unsigned i = 0; i < threads; i++) {
        result_count(result, &runners[i]);
        histogram_merge(&latency, &runners[i].latency);
        late += runners[i].late * (workload->weight != 0 ? workload->weight : 1);
    }
    if (result->repeats > repeats) {
        driver_latency_add(result, &latency);
        result->late += late;
    }
    commits = result->counts.commits - commits;
    races = result->counts.races - races;
    if (contender->counters != NULL && result->fault == NULL &&
        (after.commits - before.commits != commits || after.races - before.races != races))
        result->fault = "the store counted other commits or races than its callers";
    if (result->counts.wrong != 0)
        result->fault = "answers that nobody wrote";
    else if (result->counts.failed != 0)
        result->fault = "calls that failed";
    result->retries += after.retries - before.retries;
    free(runners);
}

/* So many that an item is not in the cache because its request came a moment ago; few where all
 * items are in it anyway, so that the requests are, too. Of new items as many as a run needs. */
static size_t
requests_count(const struct driver_streams *streams, const struct bench_workload *workload)
{
    size_t bytes = REQUESTS_BYTES / streams->threads;
    size_t most = bytes / (REQUEST_BYTES + bench_options.value_size), count = BENCH_GROUP;
    size_t wanted = REQUESTS_PER_ITEM * workload->source->count();

    if (workload->requests == REQUESTS_NEW)
        wanted = (size_t)(workload->fill * bench_options.duration_s);
    else if (wanted > streams->each)
        wanted = streams->each;
    while (count < wanted && 2 * count <= most)
        count *= 2;
    return count;
}

/* Lets two neighbours be different items, where there are two: the second one is drawn again. */
static void
indexes_pair(uint32_t *indexes, size_t count, size_t bound)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        size_t looks = 0;
        while (indexes[i + 1] == indexes[i] && looks++ < count)
            indexes[i + 1] = indexes[(i + 1 + looks) % count];
        if (indexes[i + 1] == indexes[i])
            indexes[i + 1] = (uint32_t)((indexes[i] + 1) % bound);
    }
}

static bool
streams_requests_open(struct driver_streams *streams, const struct bench_workload *workload)
{
    size_t count = requests_count(streams, workload);
    bool writes = workload->requests == REQUESTS_WRITE || workload->requests == REQUESTS_NEW;

    streams->requests = calloc(streams->threads, sizeof *streams->requests);
    if (streams->requests == NULL)
        return false;
    for (unsigned i = 0; i < streams->threads; i++) {
        uint32_t *indexes = streams->indexes + i * streams->each;
        if (workload->requests == REQUESTS_PAIRS)
            indexes_pair(indexes, count, workload->source->count());
        if (workload->requests == REQUESTS_NEW)
            indexes = NULL;
        if (!requests_open(&streams->requests[i], indexes, count, writes, i))
            return false;
    }
    return true;
}

bool
driver_streams_open(struct driver_streams *streams, const struct bench_workload *workload,
                    const struct distribution *distribution, unsigned threads)
{
    *streams = (struct driver_streams){.each = STREAM_INDEXES, .threads = threads};
    if (distribution->kind == DISTRIBUTION_UNIFORM)
        streams->each *= 4;
    streams->indexes = malloc(streams->each * threads * sizeof *streams->indexes);
    if (streams->indexes == NULL)
        return false;
    distribution_draw(distribution, bench_options.seed, workload->source->count(), streams->indexes,
                      streams->each * threads);
    if (workload->requests == REQUESTS_NONE || streams_requests_open(streams, workload))
        return true;
    driver_streams_close(streams);
    return false;
}

void
driver_streams_close(struct driver_streams *streams)
{
    for (unsigned i = 0; streams->requests != NULL && i < streams->threads; i++)
        requests_close(&streams->requests[i]);
    free(streams->requests);
    free(streams->indexes);
    *streams = (struct driver_streams){0};
}
