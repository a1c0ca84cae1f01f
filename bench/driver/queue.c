/* SPDX-License-Identifier: MIT
 *
 * One run of a queue: producers push, consumers pull and acknowledge, the main thread reads twice
 * how many jobs were acknowledged and divides. One thread alone pushes, pulls and acknowledges in
 * turn.
 *
 * The throttle. The backlog stays at about BACKLOG_MOST jobs, for every contender alike: each actor
 * publishes what it pushed or took in a line of its own, a producer adds the lines up after every
 * PUBLISH_EVERY jobs and yields while too much is under way. A consumer that finds nothing yields.
 * So a queue is measured at work, neither growing without bound nor polled by spinning threads.
 *
 * At a fixed rate (--rate) nothing is throttled: producers keep to a schedule, and a job's latency
 * is from when it should have been pushed until it was acknowledged.
 *
 * Ordering: counts and phase are relaxed; a consumer that sees all producers done sees all that
 * they pushed; tallies are read after the join.
 */
#include "driver/queue.h"

#include "driver/driver.h"
#include "driver/pin.h"
#include "driver/schedule.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG_MOST 4096
#define BACKLOG_MOST_RATED ((int64_t)1 << 20) /* at a fixed rate, so that memory has an end */
#define PUBLISH_EVERY 64
#define SAMPLE_EVERY 64 /* calls */
#define ID_RUN_SHIFT 48
#define ID_ACTOR_SHIFT 40

static_assert(sizeof(struct queue_job) == 64, "the job of the tables");

enum phase { PHASE_GATHER, PHASE_WARM, PHASE_MEASURE, PHASE_STOP };

struct actor {
    _Alignas(BENCH_LINE) _Atomic uint64_t pushed; /* written by the actor only, as is `taken` */
    _Alignas(BENCH_LINE) _Atomic uint64_t taken;
    _Alignas(BENCH_LINE) struct run *run;
    void *client;
    bool pushes, pulls;
    uint64_t next_id;
    struct queue_tally in, out;
    uint64_t wrong, failed;
    struct histogram latency;
    struct schedule schedule; /* --rate; of actors that push */
    uint64_t late;
};

struct run {
    _Alignas(BENCH_LINE) _Atomic int phase;
    _Alignas(BENCH_LINE) _Atomic unsigned gathered;
    _Atomic unsigned producing; /* producers that are not done yet */
    _Atomic bool attached;
    const struct queue_operations *operations;
    void *queue;
    size_t batch;
    struct actor *actors;
    unsigned threads;
};

/* Ids differ between any two runs. Run 0 is for the caller. */
static uint64_t run_number;

static int
run_phase(struct run *run)
{
    return atomic_load_explicit(&run->phase, memory_order_relaxed);
}

/* What each actor did: jobs acknowledged, or pushed by one that only pushes. */
static void
run_done(struct run *run, uint64_t *done)
{
    for (unsigned i = 0; i < run->threads; i++)
        done[i] = run->actors[i].pulls
                      ? atomic_load_explicit(&run->actors[i].taken, memory_order_relaxed)
                      : atomic_load_explicit(&run->actors[i].pushed, memory_order_relaxed);
}

static uint64_t
run_taken(struct run *run)
{
    uint64_t taken = 0;

    for (unsigned i = 0; i < run->threads; i++)
        taken += atomic_load_explicit(&run->actors[i].taken, memory_order_relaxed);
    return taken;
}

static void
producer_throttle(struct run *run)
{
    int64_t most = bench_options.rate > 0 ? BACKLOG_MOST_RATED : BACKLOG_MOST;

    for (;;) {
        uint64_t taken = run_taken(run), pushed = 0;
        for (unsigned i = 0; i < run->threads; i++)
            pushed += atomic_load_explicit(&run->actors[i].pushed, memory_order_relaxed);
        if ((int64_t)(pushed - taken) <= most || run_phase(run) == PHASE_STOP)
            return;
        sched_yield();
    }
}

/* One call, of jobs that should have been pushed at `sent_ns`. False: it failed, and the actor is
 * at its end. */
static bool
actor_push(struct actor *actor, uint64_t sent_ns)
{
    struct queue_job jobs[QUEUE_BATCH];
    size_t batch = actor->run->batch;

    for (size_t i = 0; i < batch; i++) {
        queue_job_make(&jobs[i], actor->next_id++, &actor->in);
        jobs[i].sent_ns = sent_ns;
    }
    if (actor->run->operations->push(actor->client, jobs, batch))
        return true;
    actor->failed++;
    return false;
}

/* One pull and the acknowledgement of what it brought. */
static size_t
actor_pull(struct actor *actor, size_t count)
{
    const struct queue_operations *operations = actor->run->operations;
    struct queue_job jobs[QUEUE_BATCH];
    size_t got = operations->pull(actor->client, jobs, count);

    if (got == 0)
        return 0;
    if (got > count || !operations->acknowledge(actor->client)) {
        actor->failed++;
        return QUEUE_FAILED;
    }
    for (size_t i = 0; i < got; i++)
        actor->wrong += !queue_job_count(&jobs[i], &actor->out);
    if (bench_options.rate > 0) {
        /* The window is the same in all schedules. */
        uint64_t now = bench_now_ns();
        for (size_t i = 0; i < got; i++)
            schedule_add(&actor->run->actors[0].schedule, &actor->latency, jobs[i].sent_ns, now);
    }
    return got;
}

static void
producer_work_scheduled(struct actor *actor)
{
    struct run *run = actor->run;
    uint64_t intended;

    while (schedule_wait(&actor->schedule, &run->phase, PHASE_STOP, &intended) &&
           actor_push(actor, intended)) {
        atomic_store_explicit(&actor->pushed, actor->in.count, memory_order_relaxed);
        producer_throttle(run);
    }
    actor->late = run->batch * schedule_late(&actor->schedule, &actor->latency, bench_now_ns());
}

static void
producer_work(struct actor *actor)
{
    size_t since = 0;

    while (run_phase(actor->run) != PHASE_STOP && actor_push(actor, 0)) {
        since += actor->run->batch;
        if (since < PUBLISH_EVERY)
            continue;
        since = 0;
        atomic_store_explicit(&actor->pushed, actor->in.count, memory_order_relaxed);
        producer_throttle(actor->run);
    }
}

static void
consumer_work(struct actor *actor)
{
    struct run *run = actor->run;
    uint64_t calls = 0, published = 0;

    for (;;) {
        bool done = atomic_load(&run->producing) == 0;
        bool sampled = calls++ % SAMPLE_EVERY == 0 && run_phase(run) == PHASE_MEASURE;
        uint64_t start = sampled ? bench_now_ns() : 0;
        size_t got = actor_pull(actor, run->batch);
        if (got == QUEUE_FAILED)
            return;
        if (sampled && got != 0 && !(bench_options.rate > 0))
            histogram_add(&actor->latency, bench_now_ns() - start);
        if (got == 0 || actor->out.count - published >= PUBLISH_EVERY) {
            published = actor->out.count;
            atomic_store_explicit(&actor->taken, published, memory_order_relaxed);
        }
        if (got == 0 && done)
            return;
        if (got == 0)
            sched_yield();
    }
}

/* Push, pull, acknowledge, without anybody else. False: this actor is at its end. */
static bool
solo_cycle(struct actor *actor, uint64_t sent_ns)
{
    if (!actor_push(actor, sent_ns))
        return false;
    for (size_t left = actor->run->batch; left > 0;) {
        size_t got = actor_pull(actor, left);
        /* Its own jobs must be there. Where they are not, the tallies will show it. */
        if (got == QUEUE_FAILED || got == 0)
            return false;
        left -= got;
    }
    atomic_store_explicit(&actor->taken, actor->out.count, memory_order_relaxed);
    return true;
}

static void
solo_work(struct actor *actor)
{
    struct run *run = actor->run;

    for (uint64_t cycles = 0; run_phase(run) != PHASE_STOP; cycles++) {
        bool sampled = cycles % SAMPLE_EVERY == 0 && run_phase(run) == PHASE_MEASURE;
        uint64_t start = sampled ? bench_now_ns() : 0;
        if (!solo_cycle(actor, 0))
            return;
        if (sampled)
            histogram_add(&actor->latency, bench_now_ns() - start);
    }
}

static void
solo_work_scheduled(struct actor *actor)
{
    uint64_t intended;

    while (schedule_wait(&actor->schedule, &actor->run->phase, PHASE_STOP, &intended) &&
           solo_cycle(actor, intended))
        continue;
    actor->late =
        actor->run->batch * schedule_late(&actor->schedule, &actor->latency, bench_now_ns());
}

static void
actor_work(struct actor *actor)
{
    bool rated = bench_options.rate > 0;

    if (!actor->pushes)
        consumer_work(actor);
    else if (actor->pulls)
        (rated ? solo_work_scheduled : solo_work)(actor);
    else
        (rated ? producer_work_scheduled : producer_work)(actor);
}

static void *
actor_main(void *argument)
{
    struct actor *actor = argument;
    struct run *run = actor->run;

    /* Threads of one run are spread over the processors and stay there. Else the scheduler puts a
     * producer and its consumer now on one processor, where they take turns and a mutex is free,
     * now on two: rates that differ by a factor of five from one run to the next. */
    pin_settle((unsigned)(actor - run->actors), PIN_SPREAD);
    actor->client = run->operations->attach(run->queue);
    if (actor->client == NULL)
        atomic_store(&run->attached, false);
    atomic_fetch_add(&run->gathered, 1);
    while (atomic_load(&run->phase) == PHASE_GATHER)
        sched_yield();
    if (atomic_load(&run->attached))
        actor_work(actor);
    if (actor->pushes)
        atomic_fetch_sub(&run->producing, 1);
    if (actor->client != NULL)
        run->operations->detach(actor->client);
    return NULL;
}

/* Half of the threads are producers, the others consumers; an odd one is a consumer. */
static unsigned
run_producers(const struct run *run)
{
    return run->threads > 1 ? run->threads / 2 : 1;
}

static void
actors_init(struct run *run)
{
    unsigned producers = run_producers(run);

    run_number++;
    for (unsigned i = 0; i < run->threads; i++) {
        struct actor *actor = &run->actors[i];
        actor->run = run;
        actor->pushes = i < producers;
        actor->pulls = run->threads == 1 || !actor->pushes;
        actor->next_id = (run_number << ID_RUN_SHIFT) + ((uint64_t)i << ID_ACTOR_SHIFT);
    }
    atomic_store(&run->producing, producers);
}

/* The main thread's part between start and end. */
static void
run_measure(struct run *run, struct driver_result *result)
{
    uint64_t before[BENCH_THREADS_MAX], after[BENCH_THREADS_MAX], sum = 0, now = bench_now_ns();
    struct contention_watch watch;

    for (unsigned i = 0; i < run->threads && bench_options.rate > 0; i++)
        schedule_init(&run->actors[i].schedule, now, bench_options.rate, (double)run->batch,
                      run_producers(run), i);
    atomic_store(&run->phase, PHASE_WARM);
    driver_sleep(bench_options.warmup_s);
    atomic_store_explicit(&run->phase, PHASE_MEASURE, memory_order_relaxed);
    contention_begin(&watch, run->operations->contention, run->queue);
    uint64_t start = bench_now_ns();
    run_done(run, before);
    double others = driver_others_s();
    contention_sleep(&watch, bench_options.duration_s);
    uint64_t end = bench_now_ns();
    run_done(run, after);
    contention_end(&watch);
    atomic_store_explicit(&run->phase, PHASE_STOP, memory_order_relaxed);
    double elapsed = (double)(end - start) / 1e9;
    if (!driver_counts(elapsed, bench_options.duration_s))
        return;
    result->others_s += driver_others_s() - others;
    result->elapsed_s += elapsed;
    for (unsigned i = 0; i < run->threads; i++) {
        result->operations[result->repeats][i] = after[i] - before[i];
        sum += run->actors[i].pulls ? after[i] - before[i] : 0;
    }
    contention_add(&result->contention, &watch, sum);
    result->rates[result->repeats++] = (double)sum / elapsed;
}

static void
actors_collect(struct run *run, unsigned repeats, struct driver_result *result)
{
    struct queue_tally in = {0}, out = {0};
    struct histogram latency = {0};
    uint64_t late = 0;

    for (unsigned i = 0; i < run->threads; i++) {
        struct actor *actor = &run->actors[i];
        queue_tally_add(&in, actor->in);
        queue_tally_add(&out, actor->out);
        result->counts.operations += actor->out.count;
        result->counts.wrong += actor->wrong;
        result->counts.failed += actor->failed;
        histogram_merge(&latency, &actor->latency);
        late += actor->late;
    }
    if (result->repeats > repeats) {
        driver_latency_add(result, &latency);
        result->late += late;
    }
    if (result->counts.failed != 0)
        result->fault = "calls that failed";
    else if (result->counts.wrong != 0)
        result->fault = "jobs that nobody pushed";
    else if (!queue_tally_agrees(in, out))
        result->fault = "what came out is not, each job once, what went in";
}

void
queue_measure(void *queue, size_t batch, unsigned threads, struct driver_result *result)
{
    const struct queue_operations *operations = result->store->contender->queue;
    size_t size = threads * sizeof(struct actor);
    pthread_t handles[BENCH_THREADS_MAX];
    unsigned started = 0, repeats = result->repeats;
    struct run run = {.attached = true, .operations = operations, .queue = queue, .batch = batch};

    if (operations->batch_most != 0 && batch > operations->batch_most)
        run.batch = operations->batch_most;
    run.threads = threads;
    run.actors = aligned_alloc(BENCH_LINE, size);
    if (run.actors == NULL) {
        result->fault = "out of memory";
        return;
    }
    memset(run.actors, 0, size);
    actors_init(&run);
    while (started < threads &&
           pthread_create(&handles[started], NULL, actor_main, &run.actors[started]) == 0)
        started++;
    while (atomic_load(&run.gathered) < started)
        sched_yield();
    if (started == threads && atomic_load(&run.attached)) {
        run_measure(&run, result);
    } else {
        atomic_store(&run.attached, false);
        atomic_store(&run.phase, PHASE_STOP);
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    if (atomic_load(&run.attached))
        actors_collect(&run, repeats, result);
    else
        result->fault = "threads could not be started";
    free(run.actors);
}

void *
queue_open(const struct queue_setup *setup, struct driver_result *result)
{
    void *queue = result->store->contender->queue->open(setup, &result->missing);

    if (queue == NULL && result->missing == NULL)
        result->fault = "the queue could not be opened";
    return queue;
}

void
queue_run(size_t batch, unsigned threads, struct driver_result *result)
{
    static const struct queue_setup setup = {.visibility_ms = QUEUE_VISIBILITY_MS};
    const struct queue_operations *operations = result->store->contender->queue;
    void *queue = queue_open(&setup, result);

    if (queue == NULL)
        return;
    queue_measure(queue, batch, threads, result);
    if (result->fault == NULL && queue_drain(operations, queue) != 0)
        result->fault = "jobs are left that were acknowledged";
    operations->close(queue);
}

size_t
queue_drain(const struct queue_operations *operations, void *queue)
{
    struct queue_job job;
    void *client = operations->attach(queue);
    size_t total = 0, got = QUEUE_FAILED;

    if (client == NULL)
        return QUEUE_FAILED;
    while ((got = operations->pull(client, &job, 1)) == 1)
        total++;
    operations->detach(client);
    return got == QUEUE_FAILED ? QUEUE_FAILED : total;
}

bool
queue_push_ids(const struct queue_operations *operations, void *client, uint64_t first,
               size_t count, struct queue_tally *tally)
{
    struct queue_job jobs[QUEUE_BATCH];
    size_t most = operations->batch_most != 0 ? operations->batch_most : QUEUE_BATCH;

    for (size_t done = 0; done < count;) {
        size_t batch = count - done < most ? count - done : most;
        for (size_t i = 0; i < batch; i++)
            queue_job_make(&jobs[i], first + done + i, tally);
        if (!operations->push(client, jobs, batch))
            return false;
        done += batch;
    }
    return true;
}
