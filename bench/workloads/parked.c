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
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIALS_PER_REPEAT 4
#define STREAM_INDEXES ((size_t)1 << 16)
#define SETTLE_S 0.002    /* for others to run into what is held */
#define PARK_TRIES 100000 /* signals until one comes at the right time */
#define PARK_FRAMES 32
#define STOPPED_S 0.25 /* without any operation of the others */
#define PATIENCE_S 10  /* for a thread that is let go to come back */

enum kind { KIND_GET, KIND_SET, KIND_COMMIT, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"get", "set", "commit"};

/* ---- the signal ---- */

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

/* ---- the threads ---- */

struct actor {
    _Alignas(BENCH_LINE) _Atomic uint64_t done; /* written by the actor only */
    struct bench_worker worker;
    uint32_t *stream;
    _Atomic uint64_t refused;
    struct scene *scene;
    pthread_t thread;
    bool started;
};

struct scene {
    const struct bench_contender *contender;
    void *store;
    struct actor *actors; /* the first is the one that is stopped */
    unsigned threads;
    _Atomic bool stop, attached;
    _Atomic unsigned gathered;
    _Atomic bool pause; /* the victim sleeps between two operations */
    _Atomic int kind;   /* of its operations */
    sem_t paused, go;
};

struct figures {
    double base[RECORD_REPEATS_MAX * TRIALS_PER_REPEAT];
    double kept[RECORD_REPEATS_MAX * TRIALS_PER_REPEAT]; /* share of it while one is stopped */
    unsigned trials, stopped, allocating; /* all; that stopped all others; of these, in malloc */
    uint64_t refused;
};

/* Sets go to odd indexes, commits to even ones. */
static uint32_t
index_odd(struct bench_worker *worker)
{
    uint32_t index = worker_next(worker) | 1;

    return index < data_count(&data_few_source) ? index : 1;
}

static void
act_commit(struct bench_worker *worker)
{
    uint32_t indexes[2] = {worker_next(worker) & ~1U, worker_next(worker) & ~1U};
    uint64_t amount = (indexes[0] & 7) + 1;
    uint64_t numbers[2] = {(uint64_t)0 - amount, amount};

    if (indexes[0] == indexes[1])
        indexes[1] = indexes[0] != 0 ? indexes[0] - 2 : 2;
    step_commit(worker, NULL, indexes, numbers, 2);
}

static void
act(struct bench_worker *worker, enum kind kind)
{
    if (kind == KIND_COMMIT)
        act_commit(worker);
    else if (kind == KIND_SET)
        step_set(worker, index_odd(worker));
    else
        step_get(worker, worker_next(worker));
}

static void
victim_work(struct actor *actor)
{
    struct scene *scene = actor->scene;

    while (!atomic_load(&scene->stop)) {
        if (atomic_load(&scene->pause)) {
            sem_post(&scene->paused);
            while (sem_wait(&scene->go) != 0)
                continue;
            continue;
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
    unsigned kinds = step_can_commit(worker->contender) ? KIND_COUNT : KIND_COMMIT;
    uint64_t done = 0;

    for (unsigned turn = actor->worker.number; !atomic_load(&actor->scene->stop); turn++) {
        enum kind kind = (enum kind)(turn % kinds);
        uint64_t failed = worker->counts.failed;
        act(worker, kind);
        if (worker->counts.failed == failed)
            atomic_store_explicit(&actor->done, ++done, memory_order_relaxed);
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
    if (actor->worker.client == NULL)
        atomic_store(&scene->attached, false);
    atomic_fetch_add(&scene->gathered, 1);
    if (actor->worker.client == NULL)
        return NULL;
    if (actor == scene->actors)
        victim_work(actor);
    else
        other_work(actor);
    scene->contender->detach(actor->worker.client);
    return NULL;
}

/* ---- trials ---- */

static uint64_t
others_done(const struct scene *scene)
{
    uint64_t done = 0;

    for (unsigned i = 1; i < scene->threads; i++)
        done += atomic_load_explicit(&scene->actors[i].done, memory_order_relaxed);
    return done;
}

static double
others_rate(const struct scene *scene)
{
    double window = bench_options.duration_s > 0.02 ? bench_options.duration_s : 0.02;
    uint64_t start = bench_now_ns(), before = others_done(scene);

    driver_sleep(window);
    return (double)(others_done(scene) - before) * 1e9 / (double)(bench_now_ns() - start);
}

/* A thread that does not come back would hold the process up for ever. */
static void
scene_give_up(const struct scene *scene)
{
    printf("  WRONG: %s does not go on after its stopped thread did\n", scene->contender->name);
    fflush(NULL);
    _Exit(EXIT_FAILURE);
}

static struct timespec
patience_end(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    return until;
}

static void
victim_pause(struct scene *scene)
{
    struct timespec until = patience_end();

    atomic_store(&scene->pause, true);
    while (sem_timedwait(&scene->paused, &until) != 0)
        if (errno != EINTR)
            scene_give_up(scene);
}

static void
victim_go(struct scene *scene)
{
    atomic_store(&scene->pause, false);
    sem_post(&scene->go);
}

/* Whether the others do nothing, though they have had the time. */
static bool
others_stopped(const struct scene *scene, uint64_t before)
{
    for (double waited = 0; waited < STOPPED_S; waited += STOPPED_S / 10) {
        if (others_done(scene) != before)
            return false;
        driver_sleep(STOPPED_S / 10);
    }
    return others_done(scene) == before;
}

/* Sends signals until one finds the victim inside an operation. False: none did. */
static bool
victim_park(struct scene *scene)
{
    atomic_store(&park_wanted, true);
    for (unsigned tries = 0; tries < PARK_TRIES; tries++) {
        pthread_kill(scene->actors[0].thread, SIGUSR1);
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

/* The victim is asleep before and after. False: it could not be stopped. */
static bool
trial_run(struct scene *scene, enum kind kind, struct figures *figures, uint64_t random)
{
    double base = others_rate(scene);

    atomic_store(&scene->kind, kind);
    victim_go(scene);
    driver_sleep(0.0002 + (double)(random % 2000) / 1e6);
    if (!victim_park(scene)) {
        victim_pause(scene);
        return false;
    }
    driver_sleep(SETTLE_S);
    uint64_t before = others_done(scene);
    double rate = others_rate(scene);
    if (others_stopped(scene, before)) {
        figures->stopped++;
        figures->allocating += park_allocates();
    }
    victim_unpark();
    victim_pause(scene);
    figures->base[figures->trials] = base;
    figures->kept[figures->trials++] = base > 0 ? rate / base : 0;
    return true;
}

static void
figures_print(const struct scene *scene, enum kind kind, struct figures *figures)
{
    unsigned trials = figures->trials;

    printf("%7u  %-14s %-7s", scene->threads, scene->contender->name, kind_names[kind]);
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
           figures->allocating, (unsigned long long)figures->refused);
}

static uint64_t
sets_refused(const struct scene *scene)
{
    uint64_t refused = 0;

    for (unsigned i = 0; i < scene->threads; i++)
        refused += atomic_load_explicit(&scene->actors[i].refused, memory_order_relaxed);
    return refused;
}

/* ---- a contender ---- */

static bool
scene_threads_start(struct scene *scene)
{
    struct distribution uniform = {.kind = DISTRIBUTION_UNIFORM};
    unsigned started = 0;

    for (unsigned i = 0; i < scene->threads; i++) {
        struct actor *actor = &scene->actors[i];
        actor->scene = scene;
        actor->stream = malloc(STREAM_INDEXES * sizeof *actor->stream);
        if (actor->stream == NULL)
            break;
        distribution_draw(&uniform, bench_options.seed + i, data_count(&data_few_source),
                          actor->stream, STREAM_INDEXES);
        actor->worker.contender = scene->contender;
        actor->worker.number = i;
        actor->worker.stream = actor->stream;
        actor->worker.stream_mask = STREAM_INDEXES - 1;
        actor->worker.sequence = actor->worker.first_sequence = ((uint64_t)i + 1) << 32;
        actor->started = pthread_create(&actor->thread, NULL, actor_main, actor) == 0;
        if (!actor->started)
            break;
        started++;
    }
    while (atomic_load(&scene->gathered) < started)
        sched_yield();
    return started == scene->threads && atomic_load(&scene->attached);
}

static void
scene_threads_join(struct scene *scene)
{
    struct timespec until = patience_end();

    atomic_store(&scene->stop, true);
    victim_go(scene);
    for (unsigned i = 0; i < scene->threads; i++) {
        struct actor *actor = &scene->actors[i];
        if (actor->started && pthread_timedjoin_np(actor->thread, NULL, &until) != 0)
            scene_give_up(scene);
        free(actor->stream);
    }
}

/* The sum of the items that transfers write. */
static uint64_t
items_sum(const struct scene *scene, uint64_t *wrong)
{
    void *client = scene->contender->attach(scene->store);
    uint64_t sum = 0;

    if (client == NULL) {
        (*wrong)++;
        return 0;
    }
    for (size_t i = 0; i < data_count(&data_few_source); i++) {
        struct data_text text;
        lk_key key = data_key(i, &text);
        lk_bytes value;
        uint64_t number = 0;
        if (!scene->contender->get(client, &key, &value) || !data_proves(value, text.sk, &number))
            (*wrong)++;
        if (i % 2 == 0)
            sum += number;
    }
    scene->contender->detach(client);
    return sum;
}

static void
scene_trials(struct scene *scene)
{
    struct random_state random;

    random_seed(&random, bench_options.seed);
    victim_pause(scene);
    driver_sleep(bench_options.warmup_s);
    for (enum kind kind = KIND_GET; kind < KIND_COUNT; kind++) {
        struct figures figures = {.trials = 0};
        uint64_t refused = sets_refused(scene);
        if (kind == KIND_COMMIT && !step_can_commit(scene->contender))
            continue;
        progress_show("parked", scene->contender->name, scene->threads);
        for (unsigned i = 0; i < bench_options.repeats * TRIALS_PER_REPEAT; i++)
            if (!trial_run(scene, kind, &figures, random_next(&random)))
                break;
        figures.refused = sets_refused(scene) - refused;
        progress_clear();
        figures_print(scene, kind, &figures);
    }
}

static bool
scene_run(struct scene *scene)
{
    uint64_t wrong = 0, before = items_sum(scene, &wrong);

    if (scene_threads_start(scene))
        scene_trials(scene);
    else
        wrong++;
    scene_threads_join(scene);
    for (unsigned i = 0; i < scene->threads; i++)
        wrong += scene->actors[i].worker.counts.wrong;
    bool kept = items_sum(scene, &wrong) == before;
    if (wrong != 0 || !kept)
        printf("  WRONG: %s: %llu answers that nobody wrote%s\n", scene->contender->name,
               (unsigned long long)wrong, kept ? "" : "; the sum of the transfers is not 0");
    return wrong == 0 && kept;
}

/* A store of its own, with at most 100,000 items. */
static bool
contender_run(const struct bench_contender *contender, unsigned threads)
{
    struct scene scene = {.contender = contender, .threads = threads, .attached = true};
    size_t size = threads * sizeof *scene.actors;
    bool good = false;

    scene.actors = aligned_alloc(BENCH_LINE, size);
    scene.store = contender->open();
    void *loader = scene.store != NULL ? contender->attach(scene.store) : NULL;
    if (scene.actors != NULL && loader != NULL) {
        memset(scene.actors, 0, size);
        sem_init(&scene.paused, 0, 0);
        sem_init(&scene.go, 0, 0);
        good = data_load(&data_few_source, contender, loader) != 0;
        contender->detach(loader);
        loader = NULL;
        if (good)
            good = scene_run(&scene);
        else
            printf("  WRONG: %s could not be loaded\n", contender->name);
    }
    if (loader != NULL)
        contender->detach(loader);
    if (scene.store != NULL)
        contender->close(scene.store);
    free(scene.actors);
    return good;
}

static bool
can_park(const struct bench_contender *contender)
{
    return step_can_set(contender) && contender->store_of == NULL;
}

static bool
parked_run(const struct bench_workload *workload, const struct bench_contender *const *contenders,
           size_t count)
{
    struct sigaction action = {.sa_handler = park_handle, .sa_flags = SA_RESTART};
    struct sigaction before;
    unsigned threads[BENCH_THREADS_MAX];
    size_t thread_counts = list_numbers(
        bench_options.threads != NULL ? bench_options.threads : workload->threads, threads);
    const char *why = NULL;
    bool good = data_few_source.open(&why);

    /* The first call loads what it needs, which a handler must not. */
    (void)backtrace(park_frames, PARK_FRAMES);
    if (!good || pipe(park_pipe) != 0 || sigaction(SIGUSR1, &action, &before) != 0)
        return false;
    printf("\n");
    report_words(
        "parked: one thread is stopped inside an operation, the others get, set and commit");
    printf("threads  %-14s %-7s %7s %8s %7s %8s %6s %7s\n", "contender", "in", "M ops/s", "keeps",
           "worst", "stopped", "malloc", "refused");
    bench_expected.refusals = true;
    for (size_t i = 0; i < thread_counts; i++)
        for (size_t j = 0; j < count; j++)
            good = contender_run(contenders[j], threads[i] < 2 ? 2 : threads[i]) && good;
    bench_expected.refusals = false;
    sigaction(SIGUSR1, &before, NULL);
    close(park_pipe[0]);
    close(park_pipe[1]);
    return good;
}

static const struct bench_workload workload_parked = {
    .name = "parked",
    .what = "one thread is stopped inside an operation; what the others still do",
    .order = 61,
    .threads = "3",
    .contenders = "latchkey,mutex,rwlock,striped,ck_hs,versions",
    .on_request = true,
    .can = can_park,
    .run = parked_run,
};
BENCH_WORKLOAD(workload_parked)
