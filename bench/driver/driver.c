/* SPDX-License-Identifier: MIT
 *
 * One run: all threads attach and gather; then each does batches of steps and publishes its count
 * in a line of its own; the main thread reads the counts twice, `duration` apart, and divides. So
 * warm-up is what came before the first look, threads that stop late do not matter, and the loop
 * holds no shared counter and reads no clock, except around one step of each batch, for the
 * latencies. At a fixed rate (--rate) threads keep to a schedule instead, one step at a time. A
 * workload that has a fixed number of operations is timed from the first thread's start to the last
 * one's end.
 *
 * Ordering: counts and phase are relaxed; what a worker leaves in its counters and its histogram is
 * read after the join.
 */
#include "driver/driver.h"

#include "driver/loops.h"
#include "driver/options.h"
#include "driver/pin.h"
#include "driver/schedule.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_DEFAULT 64
#define MIX_DRAW (UINT64_C(1) << 40) /* unlike all other draws at a place of the stream */

enum phase { PHASE_GATHER, PHASE_WARM, PHASE_MEASURE, PHASE_STOP };

/* A moment, by the clock and by the processor time of the thread. */
struct moment {
    uint64_t ns, processor_ns;
};

struct runner {
    _Alignas(BENCH_LINE) _Atomic uint64_t published; /* operations; written by the worker only */
    _Alignas(BENCH_LINE) struct bench_worker worker;
    struct histogram latency;
    struct schedule schedule;
    uint64_t late;
    uint64_t fixed; /* operations of a run of a fixed number; 0: of a fixed time */
    struct moment begun, ended;
    pthread_t thread;
};

/* The part of a run that workloads see comes first. */
struct team {
    struct bench_run run;
    bench_loop *step; /* what a thread does, so many times */
    _Alignas(BENCH_LINE) _Atomic int phase;
    _Alignas(BENCH_LINE) _Atomic unsigned gathered;
    _Atomic bool attached;
    bool rated;
    unsigned started;
    struct runner *runners;
};

/* Sequences of new things differ between any two runs and threads. */
static uint64_t run_number;

static struct team *
team_of(const struct bench_run *run)
{
    return (struct team *)(uintptr_t)run;
}

static struct runner *
runner_of(const struct bench_worker *worker)
{
    return &team_of(worker->run)->runners[worker->number];
}

static int
team_phase(struct team *team)
{
    return atomic_load_explicit(&team->phase, memory_order_relaxed);
}

bool
run_stops(const struct bench_run *run)
{
    return team_phase(team_of(run)) == PHASE_STOP || bench_interrupted();
}

uint64_t
run_published(const struct bench_run *run, unsigned thread)
{
    return atomic_load_explicit(&team_of(run)->runners[thread].published, memory_order_acquire);
}

void
worker_took(struct bench_worker *worker, uint64_t from_ns, uint64_t to_ns)
{
    struct runner *runner = runner_of(worker);
    struct team *team = team_of(worker->run);

    if (team->rated)
        schedule_add(&runner->schedule, &runner->latency, from_ns, to_ns);
    else if (team_phase(team) == PHASE_MEASURE)
        histogram_add(&runner->latency, to_ns - from_ns);
}

bool
worker_raced(struct bench_worker *worker, enum bench_commit outcome, unsigned attempt,
             const uint32_t *indexes, size_t count)
{
    const struct bench_contender *contender = worker->contender;

    if (outcome == BENCH_COMMITTED) {
        worker->counts.commits++;
        worker->counts.attempts[worker_attempts_class(attempt + 1)]++;
        return false;
    }
    if (outcome == BENCH_FAILED) {
        worker->counts.failed++;
        return false;
    }
    worker->counts.races++;
    for (size_t i = 0; i < count; i++)
        hot_keys_add(&worker->raced, indexes[i]);
    (contender->backoff != NULL ? contender->backoff : bench_backoff)(attempt);
    return true;
}

/* ---- what a thread does ---------------------------------------------------------------------- */

/* By the mix of a workload: what is drawn for a place of the stream is the same for every
 * contender. */
static void
mix_step(struct bench_worker *worker, size_t count)
{
    const struct bench_mix *mix = worker->run->workload->mix;

    for (; count > 0; count--) {
        uint64_t mixed = random_mix(worker->stream_at | MIX_DRAW) >> 32;
        unsigned draw = (unsigned)(mixed * 100 >> 32);
        const struct bench_mix *part = mix;
        for (; draw >= part->percent; part++)
            draw -= part->percent;
        part->step(worker, worker_next(worker));
    }
}

static bench_loop *
step_of(const struct bench_workload *workload, const struct bench_contender *contender)
{
    if (workload->step != NULL)
        return workload->step;
    return workload->loop != LOOP_NONE ? loop_of(contender, workload->loop) : mix_step;
}

/* How many operations a step is. */
static size_t
step_weight(const struct bench_workload *workload)
{
    return workload->weight != 0 ? workload->weight : workload->jobs != 0 ? workload->jobs : 1;
}

static void
runner_steps(struct runner *runner, size_t count)
{
    struct bench_worker *worker = &runner->worker;
    const struct bench_workload *workload = worker->run->workload;

    if (count == 0)
        return;
    team_of(worker->run)->step(worker, count);
    if (!workload->counts_itself)
        worker->done += count * step_weight(workload);
}

/* Steps, of which the last one is timed if there is anybody to know; then the count. Release: who
 * sees the count sees what was done. */
static void
runner_batch(struct runner *runner, size_t batch, bool timed)
{
    assert(batch > 0);
    timed = timed && !runner->worker.run->workload->times_itself;
    runner_steps(runner, timed ? batch - 1 : batch);
    if (timed) {
        uint64_t done = runner->worker.done, start = bench_now_ns();
        runner_steps(runner, 1);
        if (runner->worker.done != done)
            histogram_add(&runner->latency, bench_now_ns() - start);
    }
    atomic_store_explicit(&runner->published, runner->worker.done, memory_order_release);
}

/* Until the run is at its end. At a fixed rate only those work so who have no schedule. */
static void
runner_work(struct runner *runner, struct team *team, size_t batch)
{
    bool timed = !team->rated && !worker_is_aside(&runner->worker);

    for (int phase; (phase = team_phase(team)) != PHASE_STOP;)
        runner_batch(runner, batch, timed && phase == PHASE_MEASURE);
}

/* At a fixed rate. Every operation is timed, from when it should have started. */
static void
runner_work_scheduled(struct runner *runner, struct team *team)
{
    struct bench_worker *worker = &runner->worker;
    bool timed = !team->run.workload->times_itself && team->run.workload->jobs == 0;

    while (schedule_wait(&runner->schedule, &team->phase, PHASE_STOP, &worker->intended_ns)) {
        runner_batch(runner, 1, false);
        if (timed)
            worker_took(worker, worker->intended_ns, bench_now_ns());
    }
    runner->late = schedule_late(&runner->schedule, &runner->latency, bench_now_ns());
}

static struct moment
moment_now(void)
{
    return (struct moment){bench_now_ns(), bench_processor_ns()};
}

/* A fixed number of operations. */
static void
runner_work_counted(struct runner *runner, struct team *team, size_t batch)
{
    while (team_phase(team) != PHASE_MEASURE)
        sched_yield();
    runner->begun = moment_now();
    for (uint64_t left = runner->fixed; left > 0 && !bench_interrupted(); left -= batch) {
        batch = left < batch ? left : batch;
        runner_batch(runner, batch, true);
    }
    runner->ended = moment_now();
}

/* With asides, they keep the schedule and the others take what they bring. */
static bool
runner_is_scheduled(const struct runner *runner, const struct team *team)
{
    return team->rated && (team->run.asides == 0 || worker_is_aside(&runner->worker));
}

static void *
runner_main(void *argument)
{
    struct runner *runner = argument;
    struct bench_worker *worker = &runner->worker;
    struct team *team = team_of(worker->run);
    const struct bench_workload *workload = team->run.workload;
    size_t batch = workload->batch != 0 ? workload->batch : BATCH_DEFAULT;

    /* Else the scheduler puts a producer and its consumer now on one processor, where they take
     * turns and a mutex is free, now on two: rates that differ by a factor of five. */
    pin_settle(worker->number,
               workload->jobs != 0 && workload->beside == 0 ? PIN_SPREAD : PIN_NONE);
    worker->client = team->run.attach(team->run.store);
    if (worker->client == NULL)
        atomic_store(&team->attached, false);
    atomic_fetch_add(&team->gathered, 1);
    while (team_phase(team) == PHASE_GATHER)
        sched_yield();
    if (atomic_load(&team->attached)) {
        if (runner_is_scheduled(runner, team))
            runner_work_scheduled(runner, team);
        else if (runner->fixed != 0)
            runner_work_counted(runner, team, batch);
        else
            runner_work(runner, team, batch);
        if (workload->finish != NULL)
            workload->finish(worker);
    }
    if (worker->client != NULL)
        team->run.detach(worker->client);
    return NULL;
}

/* ---- what the main thread does --------------------------------------------------------------- */

/* Where a repeat begins in the requests: each elsewhere, at the same place for every contender. */
static size_t
requests_start(const struct requests *requests, unsigned repeat)
{
    return repeat * ((requests->mask + 1) / 7) / BENCH_GROUP * BENCH_GROUP;
}

static void
runner_init(struct runner *runner, struct team *team, const struct driver_streams *streams,
            unsigned number)
{
    struct bench_worker *worker = &runner->worker;
    const struct bench_workload *workload = team->run.workload;
    unsigned repeat = team->run.result->repeats;

    worker->run = &team->run;
    worker->contender = team->run.contender;
    if (streams->indexes != NULL) {
        worker->stream = streams->indexes + number * streams->each;
        worker->stream_mask = streams->each - 1;
        worker->stream_at = repeat * (streams->each / 7);
    }
    if (streams->requests != NULL) {
        worker->requests = streams->requests[streams->shared ? 0 : number];
        if (workload->requests < REQUESTS_NEW)
            worker->requests.at = requests_start(&worker->requests, repeat);
    }
    worker->number = number;
    worker->first_sequence = (run_number << 40) + ((uint64_t)number << 32);
    worker->sequence = worker->first_sequence;
    if (workload->fixed != NULL && !team->rated)
        runner->fixed = workload->fixed(worker);
}

static void
team_schedule(struct team *team)
{
    const struct bench_workload *workload = team->run.workload;
    unsigned threads = team->run.threads, asides = team->run.asides;
    unsigned first = asides != 0 ? threads - asides : 0;
    double weight = (double)step_weight(workload);
    uint64_t now = bench_now_ns();

    for (unsigned i = 0; i < threads; i++)
        schedule_init(&team->runners[i].schedule, now, bench_options.rate, weight, threads - first,
                      i < first ? 0 : i - first);
}

/* Not of queues, in which some wait for others. */
static bool
by_processor_time(const struct bench_workload *workload)
{
    return bench_options.processor_time && workload->jobs == 0;
}

/* What a thread has done so far, and the processor time that it took, in nanoseconds; 0: unknown.
 * */
struct look {
    uint64_t done, processor_ns;
};

static void
team_look(const struct team *team, struct look *looks)
{
    for (unsigned i = 0; i < team->run.threads; i++) {
        struct timespec time = {0};
        clockid_t clock;
        if (by_processor_time(team->run.workload) &&
            pthread_getcpuclockid(team->runners[i].thread, &clock) == 0)
            (void)clock_gettime(clock, &time);
        looks[i].processor_ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
        looks[i].done = run_published(&team->run, i);
    }
}

/* Enters one repeat: what each thread did, and in what time of its own; 0: in all of it. */
static void
repeat_enter(const struct team *team, const struct look *spent, double elapsed_s)
{
    struct driver_result *result = team->run.result;
    double rate = 0;

    assert(result->repeats < RECORD_REPEATS_MAX);
    for (unsigned i = 0; i < team->run.threads; i++) {
        double own_s = (double)spent[i].processor_ns / 1e9;
        if (i < BENCH_THREADS_MAX)
            result->operations[result->repeats][i] = spent[i].done;
        if (!worker_is_aside(&team->runners[i].worker))
            rate += (double)spent[i].done / (own_s > 0 ? own_s : elapsed_s);
    }
    result->elapsed_s += elapsed_s;
    result->rates[result->repeats++] = rate;
}

/* A run of a fixed time in which all threads are there. */
static void
team_time(struct team *team)
{
    const struct bench_workload *workload = team->run.workload;
    struct driver_result *result = team->run.result;
    struct contention_watch watch;
    struct look before[BENCH_THREADS_MAX + 1], after[BENCH_THREADS_MAX + 1];
    double wanted = bench_options.duration_s > workload->least_s || team->rated
                        ? bench_options.duration_s
                        : workload->least_s;
    uint64_t sum = 0;

    if (team->rated)
        team_schedule(team);
    atomic_store(&team->phase, PHASE_WARM);
    driver_sleep(bench_options.warmup_s);
    atomic_store_explicit(&team->phase, PHASE_MEASURE, memory_order_relaxed);
    contention_begin(&watch, team->run.contention, team->run.store);
    uint64_t start = bench_now_ns();
    team_look(team, before);
    double others = driver_others_s();
    contention_sleep(&watch, wanted);
    double elapsed = (double)(bench_now_ns() - start) / 1e9;
    team_look(team, after);
    contention_end(&watch);
    atomic_store_explicit(&team->phase, PHASE_STOP, memory_order_relaxed);
    if (bench_interrupted() && elapsed < wanted / 2)
        return;
    result->others_s += driver_others_s() - others;
    for (unsigned i = 0; i < team->run.threads; i++) {
        after[i].done -= before[i].done;
        after[i].processor_ns -= before[i].processor_ns;
        sum += worker_is_aside(&team->runners[i].worker) ? 0 : after[i].done;
    }
    contention_add(&result->contention, &watch, sum);
    repeat_enter(team, after, elapsed);
}

/* What threads that did a fixed number took for it, after they have ended. */
static void
team_count(const struct team *team)
{
    uint64_t begun = UINT64_MAX, ended = 0;
    struct look spent[BENCH_THREADS_MAX + 1];

    if (bench_interrupted())
        return;
    for (unsigned i = 0; i < team->run.threads; i++) {
        const struct runner *runner = &team->runners[i];
        begun = runner->begun.ns < begun ? runner->begun.ns : begun;
        ended = runner->ended.ns > ended ? runner->ended.ns : ended;
        spent[i].done = runner->worker.done;
        spent[i].processor_ns = by_processor_time(team->run.workload)
                                    ? runner->ended.processor_ns - runner->begun.processor_ns
                                    : 0;
    }
    repeat_enter(team, spent, (double)(ended - begun) / 1e9);
}

/* Starts the threads, measures, stops them. */
static void
team_measure(struct team *team)
{
    struct runner *runners = team->runners;
    pthread_t threads[BENCH_THREADS_MAX + 1];
    bool counted = runners[0].fixed != 0;

    while (team->started < team->run.threads &&
           pthread_create(&runners[team->started].thread, NULL, runner_main,
                          &runners[team->started]) == 0) {
        threads[team->started] = runners[team->started].thread;
        team->started++;
    }
    while (atomic_load(&team->gathered) < team->started)
        sched_yield();
    if (team->started < team->run.threads || !atomic_load(&team->attached)) {
        atomic_store(&team->attached, false);
        atomic_store(&team->phase, PHASE_STOP);
        team->run.result->fault = "threads could not be started";
    } else if (counted) {
        atomic_store(&team->phase, PHASE_MEASURE);
    } else {
        team_time(team);
    }
    driver_join(threads, team->started, team->run.contender->name);
    if (atomic_load(&team->attached) && counted)
        team_count(team);
}

/* Adds up what the threads counted in a run, whether it was measured whole or not. */
static void
team_collect(const struct team *team, unsigned repeats, const struct bench_counters *before,
             const struct bench_counters *after)
{
    struct driver_result *result = team->run.result;
    const struct bench_workload *workload = team->run.workload;
    uint64_t commits = 0, races = 0, late = 0;
    struct histogram latency = {0};

    for (unsigned i = 0; i < team->run.threads; i++) {
        const struct runner *runner = &team->runners[i];
        const struct bench_counts *counts = &runner->worker.counts;
        result->counts.operations += runner->worker.done;
        result->counts.wrong += counts->wrong;
        result->counts.failed += counts->failed;
        result->counts.noted += counts->noted;
        commits += counts->commits;
        races += counts->races;
        late += runner->late;
        contention_add_worker(&result->contention, &runner->worker);
        histogram_merge(&latency, &runner->latency);
    }
    result->counts.commits += commits;
    result->counts.races += races;
    result->retries += after->retries - before->retries;
    if (result->repeats > repeats) {
        struct record_latency *repeat = &result->latencies[repeats];
        *repeat = record_latency_of(&latency);
        histogram_merge(&result->latency, &latency);
        result->late += late * step_weight(workload);
    }
    if (team->run.contender->counters != NULL && workload->jobs == 0 && !workload->single &&
        result->fault == NULL &&
        (after->commits - before->commits != commits || after->races - before->races != races))
        result->fault = "the store counted other commits or races than its callers";
    if (result->counts.wrong != 0)
        result->fault =
            workload->jobs != 0 ? "jobs that nobody pushed" : "answers that nobody wrote";
    else if (result->counts.failed != 0)
        result->fault = "calls that failed";
}

static void
counters_read(const struct team *team, struct bench_counters *counters)
{
    if (team->run.contender->counters != NULL && team->run.workload->jobs == 0)
        team->run.contender->counters(team->run.store, counters);
}

static void
run_here(const struct bench_workload *workload, const struct driver_streams *streams,
         unsigned threads, struct driver_result *result)
{
    assert(threads > 0 && threads <= BENCH_THREADS_MAX);
    const struct bench_contender *contender = result->store->contender;
    struct bench_counters before = {0}, after = {0};
    struct team team = {.run = {.workload = workload,
                                .contender = contender,
                                .result = result,
                                .store = result->store->handle,
                                .attach = contender->attach,
                                .detach = contender->detach,
                                .contention = contender->contention,
                                .threads = threads + workload->beside,
                                .asides = workload->beside},
                        .step = step_of(workload, contender),
                        .attached = true,
                        .rated = bench_options.rate > 0 && !workload->own_pace};
    size_t size = team.run.threads * sizeof(struct runner);
    unsigned repeats = result->repeats;

    team.runners = aligned_alloc(BENCH_LINE, size);
    if (team.runners == NULL) {
        result->fault = "out of memory";
        return;
    }
    memset(team.runners, 0, size);
    run_number++;
    if (workload->begin == NULL || workload->begin(&team.run)) {
        for (unsigned i = 0; i < team.run.threads; i++)
            runner_init(&team.runners[i], &team, streams, i);
        counters_read(&team, &before);
        team_measure(&team);
        counters_read(&team, &after);
        team_collect(&team, repeats, &before, &after);
        if (workload->end != NULL)
            workload->end(&team.run);
    }
    free(team.runners);
}

/* ---- in a process of its own ----------------------------------------------------------------- */

struct fork_run {
    const struct bench_workload *workload;
    const struct driver_streams *streams;
    unsigned threads;
    struct driver_result *result; /* in shared memory; its texts are static, so the same in both */
};

static void
run_in_child(void *context)
{
    struct fork_run *fork_run = context;

    run_here(fork_run->workload, fork_run->streams, fork_run->threads, fork_run->result);
}

void
driver_run(const struct bench_workload *workload, const struct driver_streams *streams,
           unsigned threads, struct driver_result *result)
{
    if (!workload->forks) {
        run_here(workload, streams, threads, result);
        return;
    }
    struct driver_result *shared = driver_shared_open(sizeof *shared);
    struct fork_run fork_run = {workload, streams, threads, shared};
    if (shared == NULL) {
        result->fault = "out of memory";
        return;
    }
    *shared = *result;
    bool ended = driver_fork(run_in_child, &fork_run);
    *result = *shared;
    if (!ended && !bench_interrupted())
        result->fault = "a process of its own failed";
    driver_shared_close(shared, sizeof *shared);
    run_number++;
}
