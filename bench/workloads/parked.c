/* SPDX-License-Identifier: MIT
 *
 * What a thread that is stopped inside an operation does to the others. A processor that is taken
 * away, a page that has to be read, a debugger: here a signal handler that does not return, at
 * random points of a get, a set or a commit. Each trial measures the others twice: while the thread
 * sleeps between two operations, and while it is stopped inside one. Who lets the others go on has
 * 100 %; who holds a mutex meanwhile has "stopped" trials, in which the others did nothing at all
 * for a quarter of a second. Stores that wait for readers to free memory may refuse writes, which
 * is counted.
 *
 * The thread is always let go again, so the run ends by itself, whatever the contender. It may be
 * stopped inside jemalloc, too, whose locks are then held: the table says how many of the trials
 * that stopped all others were of that kind.
 *
 * Invariants, after all threads went on: all items prove themselves, and the sum of those that only
 * transfers write is what it was.
 */
#include "driver/report.h"
#include "record/statistics.h"
#include "workloads/parts/steps.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRIALS_PER_REPEAT 4
#define TRIALS_MOST (RECORD_REPEATS_MAX * TRIALS_PER_REPEAT)
#define SETTLE_S 0.002    /* for others to run into what is held */
#define PARK_TRIES 100000 /* signals until one comes at the right time */
#define PARK_FRAMES 32
#define PATIENCE_NS UINT64_C(10000000000) /* for a thread that is let go to come back */
#define STOPPED_S 0.25                    /* without any operation of the others */

enum kind { KIND_GET, KIND_SET, KIND_COMMIT, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"get", "set", "commit"};

/* ---- the signal ------------------------------------------------------------------------------ */

static _Atomic bool park_wanted, park_parked;
static volatile sig_atomic_t park_inside; /* the victim's own; its handler looks */
static int park_pipe[2];
static void *park_frames[PARK_FRAMES]; /* where it was stopped; written before park_parked */
static int park_frame_count;

/* The handler does not return until a byte comes. */
static void
park_handle(int signal)
{
    int error = errno;
    char byte;

    (void)signal;
    if (park_inside && atomic_exchange(&park_wanted, false)) {
        park_frame_count = backtrace(park_frames, PARK_FRAMES);
        atomic_store(&park_parked, true);
        while (read(park_pipe[0], &byte, 1) != 1)
            continue;
        atomic_store(&park_parked, false);
    }
    errno = error;
}

/* Whether the thread that is stopped is inside jemalloc. */
static bool
park_allocates(void)
{
    for (int i = 0; i < park_frame_count; i++) {
        Dl_info place;
        if (dladdr(park_frames[i], &place) != 0 && place.dli_fname != NULL &&
            strstr(place.dli_fname, "jemalloc") != NULL)
            return true;
    }
    return false;
}

/* ---- the threads ----------------------------------------------------------------------------- */

struct actor {
    _Alignas(BENCH_LINE) _Atomic uint64_t done, refused; /* written by the actor only */
    struct bench_worker worker;
    struct scene *scene;
};

struct scene {
    const struct bench_contender *contender;
    void *store;
    struct actor *actors; /* the first is the one that is stopped */
    pthread_t *threads;
    unsigned count, started;
    _Atomic bool stop;
    _Atomic unsigned attached, failed;
    _Atomic bool pause, paused; /* the victim shall wait between two operations; it does */
    _Atomic int kind;           /* of its operations */
};

/* Sets go to odd indexes, commits to even ones. */
static void
act(struct bench_worker *worker, enum kind kind)
{
    uint32_t items = (uint32_t)data_count(&data_few_source), index = worker_next(worker);
    uint32_t pair[2] = {index & ~1U, worker_next(worker) & ~1U};
    const uint64_t amount = (index & 7) + 1, numbers[2] = {(uint64_t)0 - amount, amount};

    if (pair[0] == pair[1])
        pair[1] = pair[0] != 0 ? pair[0] - 2 : 2;
    if (kind == KIND_COMMIT)
        step_commit(worker, NULL, pair, numbers, 2);
    else if (kind == KIND_SET)
        step_set(worker, (index | 1) < items ? index | 1 : 1);
    else
        step_get(worker, index);
}

static void
victim_work(struct actor *actor)
{
    struct scene *scene = actor->scene;

    while (!atomic_load(&scene->stop)) {
        if (atomic_load(&scene->pause)) {
            atomic_store(&scene->paused, true);
            while (atomic_load(&scene->pause))
                usleep(100);
            atomic_store(&scene->paused, false);
        }
        enum kind kind = (enum kind)atomic_load(&scene->kind);
        park_inside = 1;
        atomic_signal_fence(memory_order_seq_cst);
        act(&actor->worker, kind);
        atomic_signal_fence(memory_order_seq_cst);
        park_inside = 0;
    }
}

/* Gets, sets and, where there are such, commits. A call that is refused does not count. */
static void
other_work(struct actor *actor)
{
    struct bench_worker *worker = &actor->worker;
    unsigned kinds = bench_has(worker->contender, NEEDS_COMMIT) ? KIND_COUNT : KIND_COMMIT;

    for (unsigned turn = worker->number; !atomic_load(&actor->scene->stop); turn++) {
        enum kind kind = (enum kind)(turn % kinds);
        uint64_t failed = worker->counts.failed;
        act(worker, kind);
        if (worker->counts.failed == failed)
            atomic_fetch_add_explicit(&actor->done, 1, memory_order_relaxed);
        else if (kind == KIND_GET)
            worker->counts.wrong++;
        else
            atomic_fetch_add_explicit(&actor->refused, 1, memory_order_relaxed);
    }
}

static void *
actor_main(void *argument)
{
    struct actor *actor = argument;
    struct scene *scene = actor->scene;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(actor == scene->actors ? SIG_UNBLOCK : SIG_BLOCK, &signals, NULL);
    actor->worker.client = scene->contender->attach(scene->store);
    atomic_fetch_add(actor->worker.client != NULL ? &scene->attached : &scene->failed, 1);
    if (actor->worker.client == NULL)
        return NULL;
    (actor == scene->actors ? victim_work : other_work)(actor);
    scene->contender->detach(actor->worker.client);
    return NULL;
}

/* ---- trials ---------------------------------------------------------------------------------- */

static uint64_t
others_sum(const struct scene *scene, bool refused)
{
    uint64_t sum = 0;

    for (unsigned i = 1; i < scene->count; i++)
        sum += atomic_load_explicit(refused ? &scene->actors[i].refused : &scene->actors[i].done,
                                    memory_order_relaxed);
    return sum;
}

static double
others_rate(const struct scene *scene)
{
    double window = bench_options.duration_s > 0.02 ? bench_options.duration_s : 0.02;
    uint64_t start = bench_now_ns(), before = others_sum(scene, false);

    driver_sleep(window);
    return (double)(others_sum(scene, false) - before) * 1e9 / (double)(bench_now_ns() - start);
}

/* Whether the others do nothing, though they have had the time. */
static bool
others_stopped(const struct scene *scene, uint64_t before)
{
    for (double waited = 0; waited < STOPPED_S; waited += STOPPED_S / 10) {
        if (others_sum(scene, false) != before)
            return false;
        driver_sleep(STOPPED_S / 10);
    }
    return others_sum(scene, false) == before;
}

static void
victim_pause(struct scene *scene, bool pause)
{
    uint64_t start = bench_now_ns();

    atomic_store(&scene->pause, pause);
    while (atomic_load(&scene->paused) != pause) {
        if (bench_now_ns() - start > PATIENCE_NS)
            driver_give_up(scene->contender->name);
        usleep(100);
    }
}

/* Sends signals until one finds the victim inside an operation. False: none did. */
static bool
victim_park(struct scene *scene)
{
    atomic_store(&park_wanted, true);
    for (unsigned tries = 0; tries < PARK_TRIES; tries++) {
        pthread_kill(scene->threads[0], SIGUSR1);
        for (unsigned look = 0; look < 100; look++) {
            if (atomic_load(&park_parked))
                return true;
            sched_yield();
        }
    }
    return !atomic_exchange(&park_wanted, false);
}

static void
victim_unpark(void)
{
    while (!atomic_load(&park_parked))
        sched_yield();
    while (write(park_pipe[1], "", 1) != 1)
        continue;
    while (atomic_load(&park_parked))
        sched_yield();
}

struct figures {
    double base[TRIALS_MOST];
    double kept[TRIALS_MOST];             /* share of it while one is stopped */
    unsigned trials, stopped, allocating; /* all; that stopped all others; of these, in malloc */
};

/* The victim is asleep before and after. False: it could not be stopped. */
static bool
trial_run(struct scene *scene, enum kind kind, struct figures *figures, uint64_t random)
{
    double base = others_rate(scene);

    atomic_store(&scene->kind, kind);
    victim_pause(scene, false);
    driver_sleep(0.0002 + (double)(random % 2000) / 1e6);
    bool parked = victim_park(scene);
    if (parked) {
        driver_sleep(SETTLE_S);
        uint64_t before = others_sum(scene, false);
        double rate = others_rate(scene);
        if (others_stopped(scene, before)) {
            figures->stopped++;
            figures->allocating += park_allocates();
        }
        victim_unpark();
        figures->base[figures->trials] = base;
        figures->kept[figures->trials++] = base > 0 ? rate / base : 0;
    }
    victim_pause(scene, true);
    return parked;
}

static void
figures_print(const struct scene *scene, enum kind kind, struct figures *figures, uint64_t refused)
{
    unsigned trials = figures->trials;

    printf("%7u  %-14s %-7s", scene->count, scene->contender->name, kind_names[kind]);
    if (trials == 0) {
        printf(" %7s  (no signal came inside an operation)\n", "missing");
        return;
    }
    qsort(figures->base, trials, sizeof *figures->base, statistics_order);
    qsort(figures->kept, trials, sizeof *figures->kept, statistics_order);
    printf(" %7.3f", figures->base[trials / 2] / 1e6);
    if (figures->stopped > trials / 2)
        printf(" %8s", "stopped");
    else
        printf(" %6.0f %%", figures->kept[trials / 2] * 100);
    printf(" %5.0f %% %4u/%-3u %6u %7llu\n", figures->kept[0] * 100, figures->stopped, trials,
           figures->allocating, (unsigned long long)refused);
}

static void
scene_trials(struct scene *scene)
{
    struct random_state random;

    random_seed(&random, bench_options.seed);
    victim_pause(scene, true);
    driver_sleep(bench_options.warmup_s);
    for (enum kind kind = KIND_GET; kind < KIND_COUNT; kind++) {
        struct figures figures = {.trials = 0};
        uint64_t refused = others_sum(scene, true);
        if (kind == KIND_COMMIT && !bench_has(scene->contender, NEEDS_COMMIT))
            continue;
        progress_show("parked", scene->contender->name, scene->count);
        for (unsigned i = 0; i < bench_options.repeats * TRIALS_PER_REPEAT; i++)
            if (!trial_run(scene, kind, &figures, random_next(&random)))
                break;
        progress_clear();
        figures_print(scene, kind, &figures, others_sum(scene, true) - refused);
    }
    atomic_store(&scene->stop, true);
    victim_pause(scene, false);
}

/* ---- a contender ----------------------------------------------------------------------------- */

/* False: not all threads are there. */
static bool
scene_start(struct scene *scene, const struct driver_streams *streams)
{
    for (; scene->started < scene->count; scene->started++) {
        struct actor *actor = &scene->actors[scene->started];
        actor->scene = scene;
        actor->worker.contender = scene->contender;
        actor->worker.number = scene->started;
        actor->worker.stream = streams->indexes + scene->started * streams->each;
        actor->worker.stream_mask = streams->each - 1;
        actor->worker.sequence = ((uint64_t)scene->started + 1) << 32;
        if (pthread_create(&scene->threads[scene->started], NULL, actor_main, actor) != 0)
            break;
    }
    while (atomic_load(&scene->attached) + atomic_load(&scene->failed) < scene->started)
        sched_yield();
    return atomic_load(&scene->attached) == scene->count;
}

/* The sum of the items that transfers write; the others only have to prove themselves. */
static uint64_t
items_sum(const struct scene *scene, uint64_t *wrong)
{
    size_t items = data_count(&data_few_source);

    (void)data_sum(scene->contender, scene->store, 1, 2, items, wrong);
    return data_sum(scene->contender, scene->store, 0, 2, items, wrong);
}

static bool
scene_run(struct scene *scene, const struct driver_streams *streams)
{
    uint64_t wrong = 0, before = items_sum(scene, &wrong);

    if (scene_start(scene, streams))
        scene_trials(scene);
    else
        wrong++;
    atomic_store(&scene->stop, true);
    driver_join(scene->threads, scene->started, scene->contender->name);
    for (unsigned i = 0; i < scene->started; i++)
        wrong += scene->actors[i].worker.counts.wrong;
    bool kept = items_sum(scene, &wrong) == before;
    if (wrong != 0 || !kept)
        printf("  WRONG: %s: %llu answers that nobody wrote%s\n", scene->contender->name,
               (unsigned long long)wrong, kept ? "" : "; the sum of the transfers is not 0");
    return wrong == 0 && kept;
}

/* All contenders with some threads. */
static bool
scenes_run(struct driver_store *const *stores, size_t count, unsigned threads)
{
    const struct distribution uniform = {.kind = DISTRIBUTION_UNIFORM};
    static const struct bench_workload draws; /* that nothing but indexes are wanted */
    struct driver_streams streams;
    bool good = driver_streams_open(&streams, &draws, &data_few_source, &uniform, threads);

    for (size_t i = 0; i < count && good && !bench_interrupted(); i++) {
        size_t size = threads * sizeof(struct actor);
        pthread_t handles[BENCH_THREADS_MAX];
        struct scene scene = {.contender = stores[i]->contender,
                              .store = stores[i]->handle,
                              .actors = aligned_alloc(BENCH_LINE, size),
                              .threads = handles,
                              .count = threads};
        good = scene.actors != NULL && !stores[i]->failed;
        if (good) {
            memset(scene.actors, 0, size);
            good = scene_run(&scene, &streams);
        }
        free(scene.actors);
    }
    driver_streams_close(&streams);
    return good;
}

static bool
parked_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
           size_t count)
{
    struct sigaction action = {.sa_handler = park_handle, .sa_flags = SA_RESTART}, before;
    struct driver_store *stores[BENCH_CONTENDERS_MAX];
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts = list_numbers(
        bench_options.threads != NULL ? bench_options.threads : workload->threads, threads);
    const char *why = NULL;
    bool good = data_few_source.open(&why);

    /* The first call loads what it needs, which a handler must not. */
    (void)backtrace(park_frames, PARK_FRAMES);
    if (!good || pipe(park_pipe) != 0 || sigaction(SIGUSR1, &action, &before) != 0)
        return false;
    driver_stores_load(&data_few_source, contenders, count, stores);
    printf("\n");
    report_words(
        "parked: one thread is stopped inside an operation, the others get, set and commit");
    printf("threads  %-14s %-7s %7s %8s %7s %8s %6s %7s\n", "contender", "in", "M ops/s", "keeps",
           "worst", "stopped", "malloc", "refused");
    bench_expected.refusals = true;
    for (size_t i = 0; i < thread_counts; i++)
        good = scenes_run(stores, count, threads[i] < 2 ? 2 : threads[i]) && good;
    bench_expected.refusals = false;
    sigaction(SIGUSR1, &before, NULL);
    close(park_pipe[0]);
    close(park_pipe[1]);
    return good;
}

static bool
can_park(const struct bench_contender *contender)
{
    return contender->store_of == NULL;
}

static const struct bench_workload workload_parked = {
    .name = "parked",
    .what = "one thread is stopped inside an operation; what the others still do",
    .order = 61,
    .threads = "3",
    .contenders = "latchkey,mutex,rwlock,striped,ck_hs,versions",
    .on_request = true,
    .needs = NEEDS_GET | NEEDS_SET,
    .can = can_park,
    .run = parked_run,
};
BENCH_WORKLOAD(workload_parked)
