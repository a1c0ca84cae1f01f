/* SPDX-License-Identifier: MIT
 *
 * The program around scenarios: runs schedules in a process of their own, and when one fails finds
 * the shortest list of choices that still does, and tells its story.
 *
 * The process of a scenario prepares once. Each job (count the points, run all seeds, try a shorter
 * list) is a child of it, so that a crash ends no more than that, and the next begins with the same
 * memory.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "schedule/audit.h"
#include "schedule/engine.h"
#include "schedule/report.h"
#include "schedule/run.h"
#include "support/scale.h"

enum {
    COUNT = 10000,
    TWICE = 100, /* so many seeds run twice, and have to be the same */
    ATTEMPTS = 600,
    SHRINK_S = 20,
    CHOICES_SHOWN = 400,
};

static struct {
    const char *scenario, *program;
    uint64_t seed, count, bound;
    bool count_given, expect_failure, verbose;
    policy_kind policy;
    int memory; /* -1: as the scenario says */
    const char *replay;
    const char *stopped;
} options = {.seed = 1, .memory = -1};

static const schedule_scenario *scenario;
static run_start start;

static bool
memory_is_weak(uint64_t seed)
{
    int memory = options.memory >= 0 ? options.memory : (int)scenario->memory;
    return memory == SCHEDULE_WEAK || (memory == SCHEDULE_BOTH && seed % 2 == 1);
}

static void
schedule_run(policy_kind kind, uint64_t seed)
{
    run_once(&start, kind, seed, memory_is_weak(seed));
}

/* ---- jobs: each in a process of its own ---- */

/* The status of the child: 0, or it failed. */
static int
job_run(void (*job)(void))
{
    report->failed = false;
    report->message[0] = '\0';
    report->where = NULL;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        report_misuse("no process for a schedule");
    if (child == 0) {
        job();
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {}
    if (WIFSIGNALED(status)) {
        snprintf(report->message, sizeof report->message, "crash: %s", strsignal(WTERMSIG(status)));
        report->failed = true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        exit(2);
    return report->failed;
}

static uint64_t
wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
job_count(void)
{
    report->points = run_count(&start, memory_is_weak);
}

static void
job_seeds(void)
{
    uint64_t begun = wall_ns();
    for (uint64_t i = 0; i < options.count; i++) {
        uint64_t seed = options.seed + i;
        schedule_run(options.policy, seed);
        if (i < test_scaled(TWICE)) {
            uint64_t hash = engine.hash;
            schedule_run(options.policy, seed);
            if (hash != engine.hash)
                schedule_fail("the same seed twice, and not the same schedule");
        }
        report->nanoseconds = wall_ns() - begun;
    }
}

static void
job_all(void)
{
    uint64_t begun = wall_ns();
    policy_bound((uint32_t)options.bound);
    do {
        schedule_run(POLICY_ALL, options.seed);
        report->is_complete = true;
        report->nanoseconds = wall_ns() - begun;
        if (report->schedules >= options.count) {
            report->is_complete = false;
            break;
        }
    } while (policy_advance());
}

static bool
tries_all(void)
{
    return scenario->all != 0 || options.policy == POLICY_ALL;
}

/* Each fiber stops at each of its points, for each of the first seeds; or for all choices, without
 * a switch that nobody asked for. */
static void
job_stops(void)
{
    uint64_t begun = wall_ns();
    policy_bound(0);
    for (uint32_t fiber = 1; fiber <= scenario->stops; fiber++) {
        bool frozen = true;
        for (uint32_t count = 1; frozen; count++) {
            start.stop_fiber = fiber;
            start.stop_count = count;
            report->freeze_fiber = fiber;
            report->freeze_count = count;
            frozen = false;
            do {
                if (tries_all())
                    schedule_run(POLICY_ALL, options.seed);
                else
                    schedule_run(options.policy, options.seed + count);
                frozen |= engine.frozen;
                report->nanoseconds = wall_ns() - begun;
            } while (tries_all() && policy_advance());
        }
    }
    start.stop_fiber = 0;
    report->freeze_fiber = 0;
}

static void
job_replay(void)
{
    start.stop_fiber = (uint32_t)report->freeze_fiber;
    start.stop_count = (uint32_t)report->freeze_count;
    schedule_run(POLICY_REPLAY, report->seed);
}

static void
job_story(void)
{
    report_records = true;
    engine.verbose = options.verbose;
    job_replay();
}

/* ---- shrinking ---- */

static policy_trace best;

static void
trace_copy(policy_trace *to, const policy_trace *from)
{
    to->count = from->count;
    memcpy(to->choice, from->choice, from->count * sizeof *from->choice);
}

/* Does it fail without the choices [from, to) of the best list? Then that is the best. */
static bool
shrink_try(uint32_t from, uint32_t to)
{
    policy_trace *list = &report->replayed;
    list->count = best.count - (to - from);
    memcpy(list->choice, best.choice, from * sizeof *best.choice);
    memcpy(list->choice + from, best.choice + to, (best.count - to) * sizeof *best.choice);
    if (!job_run(job_replay))
        return false;
    trace_copy(&best, list);
    return true;
}

/* Leaves out halves, quarters, ... single choices, while it still fails. */
static void
shrink(void)
{
    uint64_t end = wall_ns() + (uint64_t)SHRINK_S * 1000000000;
    trace_copy(&best, &report->noted);
    int attempts = 0;
    for (uint32_t part = best.count; part > 0;) {
        bool shorter = false;
        for (uint32_t at = 0; at < best.count && attempts < ATTEMPTS && wall_ns() < end;) {
            uint32_t to = at + part < best.count ? at + part : best.count;
            attempts++;
            if (shrink_try(at, to))
                shorter = true;
            else
                at = to;
        }
        if (part == 1 && !shorter)
            break;
        if (attempts >= ATTEMPTS || wall_ns() >= end)
            break;
        part = part == 1 ? 1 : (part + 1) / 2;
    }
    trace_copy(&report->replayed, &best);
}

/* ---- a failure ---- */

static const char *
memory_name(void)
{
    return memory_is_weak(report->seed) ? "weak" : "sc";
}

static void
failure_print(void)
{
    char first[sizeof report->message];
    uint64_t seed = report->seed, choices = report->noted.count;
    snprintf(first, sizeof first, "%s", report->message);
    printf("%s: FAILED at seed %llu: %s\n", scenario->name, (unsigned long long)seed, first);
    shrink();
    report->events = 0;
    bool fails = job_run(job_story) != 0;
    printf("  %llu choices, of which these %u are enough%s\n", (unsigned long long)choices,
           report->replayed.count, fails ? ":" : "; but that does not repeat");
    if (strcmp(first, report->message) != 0)
        printf("  then it is: %s\n", report->message);
    report_print(options.program);
    printf("again: %s --scenario %s --seed %llu --memory %s", options.program, scenario->name,
           (unsigned long long)seed, memory_name());
    if (report->freeze_fiber != 0)
        printf(" --stopped %llu:%llu", (unsigned long long)report->freeze_fiber,
               (unsigned long long)report->freeze_count);
    printf(" --replay '");
    for (uint32_t i = 0; i < report->replayed.count && i < CHOICES_SHOWN; i++) {
        const policy_choice *c = &report->replayed.choice[i];
        printf("%s%u:%u:%u", i == 0 ? "" : ",", c->fiber, c->count, c->value);
    }
    puts("'");
}

/* ---- scenarios ---- */

static void
figures_print(const char *what)
{
    double seconds = (double)report->nanoseconds / 1e9;
    printf("%-20s %s: %llu schedules%s, %llu points, %llu switches, %.1f s, %.0f schedules/s\n",
           scenario->name, what, (unsigned long long)report->schedules,
           report->is_complete ? " (all)" : "", (unsigned long long)report->points,
           (unsigned long long)report->switches, seconds,
           seconds > 0 ? (double)report->schedules / seconds : 0.0);
}

/* Does a broken scenario fail as it has to? */
static bool
is_expected(void)
{
    return options.expect_failure &&
           (scenario->fails == NULL || strstr(report->message, scenario->fails) != NULL);
}

static bool
part_run(const char *what, void (*job)(void))
{
    report->schedules = report->points = report->switches = report->nanoseconds = 0;
    report->is_complete = false;
    report->freeze_fiber = 0;
    bool failed = job_run(job) != 0;
    if (job != job_count)
        figures_print(what);
    if (failed && is_expected() && (options.scenario == NULL || audit_is_on))
        printf("%-20s fails, as it has to: %s\n", scenario->name, report->message);
    else if (failed)
        failure_print();
    return failed;
}

static void
replay_parse(const char *text)
{
    policy_trace *list = &report->replayed;
    unsigned fiber, count, value;
    int used = 0;
    for (list->count = 0; sscanf(text, "%u:%u:%u%n", &fiber, &count, &value, &used) == 3;) {
        list->choice[list->count++] = (policy_choice){fiber, count, value};
        text += used + (text[used] == ',');
    }
}

static bool
scenario_replay(void)
{
    replay_parse(options.replay);
    report->seed = options.seed;
    report->freeze_fiber = 0;
    unsigned fiber, count;
    if (options.stopped != NULL && sscanf(options.stopped, "%u:%u", &fiber, &count) == 2) {
        report->freeze_fiber = fiber;
        report->freeze_count = count;
    }
    report->events = 0;
    bool failed = job_run(job_story) != 0;
    printf("%s: %s\n", scenario->name, failed ? report->message : "passes");
    report_print(options.program);
    return failed;
}

/* In the process of the scenario. True: it failed. */
static bool
scenario_run(void)
{
    policy_traces(&report->noted, &report->replayed);
    run_prepare(&start, scenario);
    if (part_run("straight", job_count))
        return true;
    start.points = report->points;
    if (options.replay != NULL)
        return scenario_replay();
    uint64_t count = scenario->count != 0 ? scenario->count : COUNT;
    if (options.count == 0)
        options.count = scenario->fails != NULL ? count : test_scaled(count);
    if (tries_all()) {
        if (options.bound == 0)
            options.bound = scenario->all != 0 ? scenario->all - 1 : 2;
        options.count = options.count_given ? options.count : UINT64_MAX;
    }
    return part_run(tries_all() ? "all" : "seeds", tries_all() ? job_all : job_seeds) ||
           (scenario->stops != 0 && part_run("stops", job_stops));
}

static int
scenario_fork(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        report_misuse("no process for a scenario");
    if (child == 0) {
        options.expect_failure |= scenario->fails != NULL;
        bool failed = scenario_run();
        if (options.expect_failure && !failed)
            printf("%s: FAILED: it is broken, and no schedule shows it\n", scenario->name);
        failed = options.expect_failure ? !failed || !is_expected() : failed;
        fflush(stdout);
        _exit(failed);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static _Noreturn void
usage(void)
{
    puts("[--scenario NAME] [--seed N] [--count N] [--policy mix|random|pct|all] [--bound "
         "SWITCHES]\n"
         "[--memory both|sc|weak] [--replay CHOICES [--stopped FIBER:POINT] [--points]]\n"
         "[--expect-failure]");
    exit(2);
}

static int
word_find(const char *word, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    usage();
}

static void
options_parse(int argc, char **argv)
{
    static const char *const policies[] = {"mix", "random", "pct", "all", NULL};
    static const char *const memories[] = {"both", "sc", "weak", NULL};
    options.program = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--points") == 0) {
            options.verbose = true;
            continue;
        } else if (strcmp(name, "--expect-failure") == 0) {
            options.expect_failure = true;
            continue;
        }
        const char *value = ++i < argc ? argv[i] : NULL;
        if (value == NULL)
            usage();
        if (strcmp(name, "--scenario") == 0) {
            options.scenario = value;
        } else if (strcmp(name, "--seed") == 0) {
            options.seed = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--count") == 0) {
            options.count = strtoull(value, NULL, 10);
            options.count_given = true;
        } else if (strcmp(name, "--bound") == 0) {
            options.bound = strtoull(value, NULL, 10);
        } else if (strcmp(name, "--policy") == 0) {
            options.policy = (policy_kind)word_find(value, policies);
        } else if (strcmp(name, "--memory") == 0) {
            options.memory = word_find(value, memories);
        } else if (strcmp(name, "--replay") == 0) {
            options.replay = value;
        } else if (strcmp(name, "--stopped") == 0) {
            options.stopped = value;
        } else {
            usage();
        }
    }
}

int
main(int argc, char **argv)
{
    options_parse(argc, argv);
    run_open();
    unsigned ran = 0, failed = 0;
    for (scenario = schedule_scenarios; scenario->name != NULL; scenario++) {
        if (options.scenario != NULL && strcmp(options.scenario, scenario->name) != 0)
            continue;
        int status = scenario_fork();
        if (status == 2)
            return 2;
        ran++;
        failed += status != 0;
    }
    if (ran == 0)
        report_misuse("no such scenario");
    return failed != 0;
}
