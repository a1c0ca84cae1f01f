/* SPDX-License-Identifier: MIT
 *
 * latchkey-bench: the command line and the registry of contenders and workloads. What is run
 * follows in plan.c.
 */
#include "bench.h"
#include "data.h"
#include "driver.h"
#include "plan.h"

#include <argp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench_options bench_options = {
    .duration_s = 0.08,
    .warmup_s = 0.02,
    .repeats = 3,
    .hurried = true,
    .keys = 1000000,
    .value_size = 64,
    .seed = 1,
};

const struct bench_contender *bench_contenders[BENCH_CONTENDERS_MAX];
size_t bench_contender_count;
const struct bench_workload *bench_workloads[BENCH_WORKLOADS_MAX];
size_t bench_workload_count;

/* Both tables are kept sorted by `order`. Called before main. */
void
bench_contender_add(const struct bench_contender *contender)
{
    size_t at = bench_contender_count;

    if (at == BENCH_CONTENDERS_MAX)
        abort();
    for (; at > 0 && bench_contenders[at - 1]->order > contender->order; at--)
        bench_contenders[at] = bench_contenders[at - 1];
    bench_contenders[at] = contender;
    bench_contender_count++;
}

void
bench_workload_add(const struct bench_workload *workload)
{
    size_t at = bench_workload_count;

    if (at == BENCH_WORKLOADS_MAX)
        abort();
    for (; at > 0 && bench_workloads[at - 1]->order > workload->order; at--)
        bench_workloads[at] = bench_workloads[at - 1];
    bench_workloads[at] = workload;
    bench_workload_count++;
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
bench_list_has(const char *list, const char *name)
{
    size_t size = strlen(name);

    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return false;
}

size_t
bench_threads_parse(const char *text, unsigned *threads)
{
    size_t count = 0;
    char *end;

    for (; count < BENCH_THREADS_MAX; text = end + 1) {
        unsigned long number = strtoul(text, &end, 10);
        if (end == text || number < 1 || number > BENCH_THREADS_MAX)
            return 0;
        threads[count++] = (unsigned)number;
        if (*end != ',')
            return *end == '\0' ? count : 0;
    }
    return 0;
}

uint64_t
bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
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

enum option_key {
    OPTION_WORKLOAD = 'w',
    OPTION_CONTENDER = 'c',
    OPTION_THREADS = 't',
    OPTION_DURATION = 'd',
    OPTION_REPEAT = 'r',
    OPTION_KEYS = 'k',
    OPTION_WARMUP = 256,
    OPTION_VALUE_SIZE,
    OPTION_DISTRIBUTION,
    OPTION_SEED,
    OPTION_LIST,
    OPTION_QUICK,
    OPTION_JSON,
};

static const struct argp_option option_table[] = {
    {"workload", OPTION_WORKLOAD, "NAME,..", 0, "Run these only", 0},
    {"contender", OPTION_CONTENDER, "NAME,..", 0, "Compare these only", 0},
    {"threads", OPTION_THREADS, "N,..", 0, "Numbers of threads (default: the workload's)", 0},
    {"duration", OPTION_DURATION, "SECONDS", 0, "Of each measurement (default 0.08)", 0},
    {"warmup", OPTION_WARMUP, "SECONDS", 0, "Before each measurement (default 0.02)", 0},
    {"repeat", OPTION_REPEAT, "N", 0, "Measurements, contenders in turn (default 3)", 0},
    {"keys", OPTION_KEYS, "N", 0, "Items in the store (default 1000000)", 0},
    {"value-size", OPTION_VALUE_SIZE, "BYTES", 0, "Of a value (default 64; 24 to 65536)", 0},
    {"distribution", OPTION_DISTRIBUTION, "HOW", 0,
     "Of keys: uniform, zipf:THETA, hot:KEYS (default: the workload's)", 0},
    {"seed", OPTION_SEED, "N", 0, "Of all that is random (default 1)", 0},
    {"json", OPTION_JSON, "FILE", 0, "Write the record", 0},
    {"list", OPTION_LIST, NULL, 0, "List workloads and contenders", 0},
    {"quick", OPTION_QUICK, NULL, 0, "All that can be run, as briefly as possible", 0},
    {0},
};

/* A number within bounds, or the end of the program with a word why. */
static double
option_number(struct argp_state *state, const char *text, double least, double most)
{
    char *end;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !(number >= least && number <= most))
        argp_error(state, "'%s' is not a number from %g to %g", text, least, most);
    return number;
}

static error_t
option_parse(int key, char *argument, struct argp_state *state)
{
    struct bench_options *options = state->input;
    struct distribution distribution;

    switch (key) {
    case OPTION_WORKLOAD:
        options->workloads = argument;
        return 0;
    case OPTION_CONTENDER:
        options->contenders = argument;
        return 0;
    case OPTION_THREADS:
        options->threads = argument;
        return 0;
    case OPTION_DURATION:
        options->duration_s = option_number(state, argument, 0.001, 3600);
        options->hurried = false;
        return 0;
    case OPTION_WARMUP:
        options->warmup_s = option_number(state, argument, 0, 3600);
        return 0;
    case OPTION_REPEAT:
        options->repeats = (unsigned)option_number(state, argument, 1, DRIVER_REPEATS_MAX);
        options->hurried = false;
        return 0;
    case OPTION_KEYS:
        options->keys = (size_t)option_number(state, argument, 1000, 1e9);
        return 0;
    case OPTION_VALUE_SIZE:
        options->value_size = (size_t)option_number(state, argument, DATA_VALUE_MIN, 65536);
        return 0;
    case OPTION_DISTRIBUTION:
        if (!distribution_parse(argument, &distribution))
            argp_error(state, "'%s' is not uniform, zipf:0.01 to zipf:4, or hot:KEYS", argument);
        options->distribution = argument;
        return 0;
    case OPTION_SEED:
        options->seed = strtoull(argument, NULL, 0);
        return 0;
    case OPTION_JSON:
        options->json = argument;
        return 0;
    case OPTION_LIST:
        options->command = BENCH_LIST;
        return 0;
    case OPTION_QUICK:
        options->keys = 50000;
        options->repeats = 1;
        options->duration_s = 0.02;
        options->warmup_s = 0.005;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp option_parser = {
    option_table,
    option_parse,
    NULL,
    "latchkey-bench -- latchkey against what people write by hand\v"
    "Without options it runs all workloads, in little more than a minute. It exits with 1 if an "
    "invariant was broken.",
    NULL,
    NULL,
    NULL};

static void
list_print(void)
{
    printf("workloads\n");
    for (size_t i = 0; i < bench_workload_count; i++)
        printf("  %-18s %s%s%s%s\n", bench_workloads[i]->name, bench_workloads[i]->what,
               bench_workloads[i]->distribution != NULL ? "; " : "",
               bench_workloads[i]->distribution != NULL ? bench_workloads[i]->distribution : "",
               bench_workloads[i]->on_request ? "; only when named" : "");
    printf("contenders\n");
    for (size_t i = 0; i < bench_contender_count; i++)
        printf("  %-18s %s\n", bench_contenders[i]->name, bench_contenders[i]->what);
}

int
main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    argp_parse(&option_parser, argc, argv, 0, NULL, &bench_options);
    if (bench_options.command == BENCH_LIST) {
        list_print();
        return EXIT_SUCCESS;
    }
    record_begin(&record_current, argc, argv);
    return plan_run();
}
