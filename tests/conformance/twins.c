/* SPDX-License-Identifier: MIT
 *
 * Does the conformance suite have teeth? A pass-through over the embedded store has to pass all of
 * it, also as if it were durable: what stands behind it stays open while it is closed and opened
 * again. And each broken twin (twins/) has to fail each of the cases that its line names. Every run
 * is a child, whose output nobody wants, but for the failures of the honest one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "twins/twins.h"

/* What a child runs with. */
typedef struct stage {
    const twin *played; /* NULL: the honest one */
    lk_db *inner;       /* stays open between two openings */
    const lk_conformance_setup *setup;
    lk_clock realtime_ms, monotonic_ms;
    void *clock_context;
} stage;

static int64_t
late_realtime(void *context)
{
    const stage *s = context;
    int64_t late_ms = s->played != NULL ? s->played->late_ms : 0;
    return s->realtime_ms(s->clock_context) - late_ms;
}

static int64_t
late_monotonic(void *context)
{
    const stage *s = context;
    return s->monotonic_ms(s->clock_context);
}

static lk_status
inner_open(stage *s, const lk_conformance_setup *setup)
{
    lk_memory_options options = LK_MEMORY_OPTIONS_INIT;
    s->realtime_ms = setup->realtime_ms;
    s->monotonic_ms = setup->monotonic_ms;
    s->clock_context = setup->clock_context;
    options.realtime_ms = late_realtime;
    options.monotonic_ms = late_monotonic;
    options.clock_context = s;
    options.lock_ttl_ms = setup->lock_ttl_ms;
    options.lock_refresh_ms = setup->lock_refresh_ms;
    return lk_memory_open(&options, &s->inner);
}

/* Broken operations, in the places of honest ones. */
static void
operations_break(lk_operations *all, const twin *played)
{
    unsigned char *to = (unsigned char *)all;
    const unsigned char *from = (const unsigned char *)&played->broken;
    static const unsigned char none[sizeof(void (*)(void))];
    for (size_t i = offsetof(lk_operations, close); i < sizeof *all; i += sizeof none)
        if (memcmp(from + i, none, sizeof none) != 0)
            memcpy(to + i, from + i, sizeof none);
}

static void
pass_close(void *state)
{
    pass *p = state;
    lk_result_free(p->seen);
    free(p);
}

static lk_status
twin_open(void *context, const lk_conformance_setup *setup, lk_db **db)
{
    stage *s = context;
    if (!setup->reopen || (s->played != NULL && s->played->forgets)) {
        lk_close(s->inner);
        s->inner = NULL;
        lk_status status = inner_open(s, setup);
        if (status != LK_OK)
            return status;
    }
    lk_adapter adapter = LK_ADAPTER_INIT;
    lk_operations operations;
    lk_status status = lk_adapter_pass(s->inner, &operations, &adapter);
    pass *p = calloc(1, sizeof *p);
    if (p == NULL || status != LK_OK)
        return LK_NO_MEMORY;
    *p = (pass){.inner = s->inner, .seen = lk_result_new()};
    adapter.name = s->played != NULL ? s->played->name : "pass-through";
    adapter.capabilities |= LK_IS_DURABLE;
    adapter.state = p;
    adapter.realtime_ms = setup->realtime_ms;
    adapter.monotonic_ms = setup->monotonic_ms;
    adapter.clock_context = setup->clock_context;
    if (s->played != NULL)
        operations_break(&operations, s->played);
    operations.close = pass_close;
    status = lk_adapter_open(&operations, &adapter, db);
    if (status != LK_OK)
        pass_close(p);
    return status;
}

/* Runs the suite, or one pattern of it, in a child; its exit status, or -1. */
static int
suite_run(const twin *played, const char *pattern, bool aloud)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        if (!aloud && null >= 0) {
            dup2(null, STDOUT_FILENO);
            dup2(null, STDERR_FILENO);
        }
        if (played != NULL)
            setenv("LK_TEST_SCALE", "100", 1); /* it ends as soon as it fails */
        stage s = {.played = played};
        const lk_conformance adapter = {.name = "twin", .open = twin_open, .context = &s};
        char program[] = "twins", names[128];
        char *arguments[] = {program, names, NULL};
        snprintf(names, sizeof names, "%s", pattern != NULL ? pattern : "");
        int status = lk_conformance_main(&adapter, pattern != NULL ? 2 : 1, arguments);
        lk_close(s.inner);
        fflush(NULL);
        _exit(status);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

enum { RUNS_MAX = 20 }; /* of a case: what only a meeting of threads shows may need some */

/* Each case has to pass with the honest one, and to fail with the twin. */
static int
twin_judge(const twin *played)
{
    int failures = 0;
    for (size_t i = 0; i < CASES_MAX && played->cases[i] != NULL; i++) {
        int status = 0;
        for (int run = 0; run < RUNS_MAX && status == 0; run++)
            status = suite_run(played, played->cases[i], false);
        if (status == 1)
            continue;
        printf("FAILED: %s: %s ends with %d\n", played->name, played->cases[i], status);
        failures++;
    }
    return failures;
}

static int
twins_judge(const twin *twins, size_t count)
{
    int failures = 0;
    for (size_t i = 0; i < count; i++) {
        if (twins[i].cases[0] == NULL)
            failures++;
        failures += twin_judge(&twins[i]);
    }
    return failures;
}

int
main(void)
{
    int failures = 0;
    if (suite_run(NULL, NULL, true) != 0) {
        printf("FAILED: the pass-through\n");
        failures++;
    }
    failures += twins_judge(twins_of_items, twins_of_items_count);
    failures += twins_judge(twins_of_conditions, twins_of_conditions_count);
    failures += twins_judge(twins_of_commits, twins_of_commits_count);
    failures += twins_judge(twins_of_queues, twins_of_queues_count);
    failures += twins_judge(twins_of_figures, twins_of_figures_count);
    size_t count = twins_of_items_count + twins_of_conditions_count + twins_of_commits_count +
                   twins_of_queues_count + twins_of_figures_count;
    printf("%zu broken twins, %d failures\n", count, failures);
    return failures != 0;
}
