/* SPDX-License-Identifier: MIT
 *
 * Three fibers over one store, under the scheduler of tests/schedule: the input says what they call
 * and where they give way. The swarms of schedule_laws.c and schedule_queue_laws.c, whose draws are
 * the bytes from the front, whose switches are those from the back (POLICY_BYTES); their checkers
 * judge each history. The first byte says which swarm, and whether plain accesses are points, too.
 * An input that reaches code in a new way is kept, so that schedules grow out of those that reached
 * what only a race reaches.
 *
 * This file is the runtime's: no access of it is a point. `fuzz_schedules FILE` tells the history
 * of an input that fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"
#include "schedule/report.h"
#include "schedule/run.h"

enum { SWARMS = 4 };

/* Of schedule_laws.c, schedule_queue_laws.c, which are compiled for this with names of their
 * own. */
extern const schedule_scenario schedule_laws_scenarios[], schedule_queue_laws_scenarios[];

static const struct {
    const schedule_scenario *list;
    const char *name;
} swarms[SWARMS] = {{schedule_laws_scenarios, "items"},
                    {schedule_laws_scenarios, "items_cached"},
                    {schedule_laws_scenarios, "snapshots"},
                    {schedule_queue_laws_scenarios, "queue_laws"}};

static run_start starts[SWARMS];
static const char *program;
static bool tells;

static void
failed(void)
{
    fprintf(stderr, "FAILED: %s\n", report->message);
    if (tells)
        report_print(program);
    fflush(stdout);
    abort(); /* libFuzzer keeps the input */
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* libFuzzer calls it first. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct stat status;
    program = (*argv)[0];
    for (int i = 1; i < *argc; i++)
        tells |= stat((*argv)[i], &status) == 0 && S_ISREG(status.st_mode);
    return 0;
}

static bool
never_weak(uint64_t seed)
{
    (void)seed;
    return false;
}

/* Not before the first input: libFuzzer has thread-local variables, too, and they are brought back
 * with all others. */
static void
swarms_prepare(void)
{
    static run_start none;
    run_open();
    policy_traces(&report->noted, &report->replayed);
    report_ended = failed;
    run_prepare(&none, NULL);
    for (int i = 0; i < SWARMS; i++) {
        const schedule_scenario *scenario = swarms[i].list;
        while (strcmp(scenario->name, swarms[i].name) != 0)
            scenario++;
        run_restore(&none);
        run_prepare(&starts[i], scenario);
        starts[i].points = run_count(&starts[i], never_weak);
    }
    report_records = tells;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (starts[0].scenario == NULL)
        swarms_prepare();
    if (size == 0)
        return 0;
    policy_bytes(data + 1, size - 1);
    run_once(&starts[data[0] % SWARMS], POLICY_BYTES, data[0] / SWARMS, false);
    return 0;
}
