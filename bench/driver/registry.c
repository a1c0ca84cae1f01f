/* SPDX-License-Identifier: MIT
 *
 * What all rooms use: the registry of contenders and workloads, the clock, the pause after a race,
 * and whether somebody wants the program to end.
 */
#include "driver/workload.h"

#include <assert.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>

const struct bench_contender *bench_contenders[BENCH_CONTENDERS_MAX];
size_t bench_contender_count;
const struct bench_workload *bench_workloads[BENCH_WORKLOADS_MAX];
size_t bench_workload_count;
struct bench_expected bench_expected;

/* Both tables are kept sorted by `order`. Called before main. */
void
bench_contender_add(const struct bench_contender *contender)
{
    assert(bench_contender_find(contender->name) == NULL && "two contenders of one name");
    size_t at = bench_contender_count++;
    assert(at < BENCH_CONTENDERS_MAX);
    for (; at > 0 && bench_contenders[at - 1]->order > contender->order; at--)
        bench_contenders[at] = bench_contenders[at - 1];
    bench_contenders[at] = contender;
}

void
bench_workload_add(const struct bench_workload *workload)
{
    size_t at = bench_workload_count++;
    unsigned percent = 0;

    for (size_t i = 0; i < BENCH_MIX_MAX; i++)
        percent += workload->mix[i].percent;
    assert(at < BENCH_WORKLOADS_MAX);
    assert((percent == 100 || workload->loop != LOOP_NONE || workload->step != NULL ||
            workload->run != NULL) &&
           "a mix is one of all operations");
    for (; at > 0 && bench_workloads[at - 1]->order > workload->order; at--)
        bench_workloads[at] = bench_workloads[at - 1];
    bench_workloads[at] = workload;
}

const struct bench_contender *
bench_contender_find(const char *name)
{
    for (size_t i = 0; i < bench_contender_count; i++)
        if (strcmp(bench_contenders[i]->name, name) == 0)
            return bench_contenders[i];
    return NULL;
}

bool
bench_has(const struct bench_contender *contender, unsigned needs)
{
    const struct queue_operations *queue = contender->queue;
    const struct {
        enum bench_needs what;
        bool has;
    } all[] = {{NEEDS_GET, contender->get != NULL},
               {NEEDS_SET, contender->set != NULL},
               {NEEDS_REMOVE, contender->remove != NULL},
               {NEEDS_COMMIT, contender->read != NULL && contender->commit != NULL},
               {NEEDS_SCAN, contender->scan != NULL},
               {NEEDS_COUNT, contender->count != NULL},
               {NEEDS_ADD, contender->add != NULL},
               {NEEDS_PUT_NEW, contender->put_new != NULL},
               {NEEDS_MISSES, contender->misses != NULL},
               {NEEDS_QUEUE, queue != NULL},
               {NEEDS_BATCHES, queue != NULL && queue->batch_most == 0},
               {NEEDS_CLAIMS, queue != NULL && queue->claims},
               {NEEDS_WAIT, queue != NULL && queue->pull_wait != NULL},
               {NEEDS_ADVANCE, queue != NULL && queue->advance != NULL}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if ((needs & all[i].what) != 0 && !all[i].has)
            return false;
    return true;
}

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t
bench_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
bench_processor_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* A random pause out of a span that doubles with each attempt, then the processor for somebody
 * else. */
void
bench_backoff(unsigned attempt)
{
    static _Thread_local uint64_t state;
    unsigned span = 32u << (attempt < 5 ? attempt : 5);

    if (state == 0)
        state = (uint64_t)(uintptr_t)&state;
    state = random_mix(state);
    if (attempt >= 6) {
        sched_yield();
        return;
    }
    for (unsigned pause = span / 2 + (unsigned)(state % span); pause > 0; pause--) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
    }
}

/* ---- the wish to end ------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void
interrupt_note(int number)
{
    (void)number;
    interrupted = 1;
}

void
bench_interrupt_begin(void)
{
    struct sigaction action = {.sa_handler = interrupt_note, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool
bench_interrupted(void)
{
    return interrupted != 0;
}
