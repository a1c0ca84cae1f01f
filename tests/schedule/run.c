/* SPDX-License-Identifier: MIT
 *
 * One schedule. See run.h.
 */
#include "schedule/run.h"

#include <stdlib.h>
#include <string.h>

#include "schedule/clock.h"
#include "schedule/data.h"
#include "schedule/memory.h"
#include "schedule/report.h"
#include "schedule/threads.h"

enum { POINTS = 1000, SEEDS_COUNTED = 8 };
#define START_NS INT64_C(3600000000000)

void
run_open(void)
{
    report_open();
    engine_open();
    heap_open();
}

static size_t
data_size(void)
{
    return (size_t)(schedule_data_last - schedule_data_first);
}

static size_t
zero_size(void)
{
    return (size_t)(schedule_zero_last - schedule_zero_first);
}

void
run_prepare(run_start *start, const schedule_scenario *scenario)
{
    start->scenario = scenario;
    start->points = POINTS;
    if (scenario != NULL) {
        clock_reset(START_NS);
        policy_begin(POLICY_NONE, 0, 0);
        if (scenario->prepare != NULL)
            scenario->prepare();
    }
    heap_keep(&start->heap);
    start->data = malloc(data_size());
    start->zero = malloc(zero_size());
    if (start->data == NULL || start->zero == NULL)
        report_misuse("no memory for copies of variables");
    memcpy(start->data, schedule_data_first, data_size());
    memcpy(start->zero, schedule_zero_first, zero_size());
    memcpy(start->local, (void *)engine.local_low, engine.local_size);
    memcpy(start->specific, engine.fiber[0].specific, sizeof start->specific);
}

void
run_restore(const run_start *start)
{
    heap_reset(&start->heap);
    memcpy(schedule_data_first, start->data, data_size());
    memcpy(schedule_zero_first, start->zero, zero_size());
    memcpy((void *)engine.local_low, start->local, engine.local_size);
    memcpy(engine.fiber[0].specific, start->specific, sizeof start->specific);
    clock_reset(START_NS);
}

void
run_once(const run_start *start, policy_kind kind, uint64_t seed, bool weak)
{
    const schedule_scenario *scenario = start->scenario;
    uint64_t points = start->points;
    run_restore(start);
    report->seed = seed;
    policy_begin(kind, seed, points);
    engine.weak = weak;
    engine.plain_points = kind == POLICY_ALL ? false : seed / 2 % (engine.weak ? 4 : 2) == 0;
    engine.hash = engine.switches = 0;
    engine.slice = (uint32_t)(points * 4 + 500);
    engine.limit = scenario->limit != 0 ? scenario->limit : points * 100 + 20000;
    engine.freeze_budget = engine.limit;
    if (engine.weak)
        memory_reset();
    if (scenario->setup != NULL)
        scenario->setup();
    uint32_t fibers = 0;
    while (fibers < SCHEDULE_FIBERS && scenario->body[fibers] != NULL)
        fibers++;
    engine_run_all(scenario->body, fibers);
    engine.weak = false; /* nobody else is there any more, and memory holds what is newest */
    if (scenario->check != NULL)
        scenario->check();
    if (scenario->teardown != NULL) {
        scenario->teardown();
        threads_exit(); /* of the thread that prepared */
        if (heap_live() != 0 && !(engine.frozen && engine.freeze_kills))
            heap_fail_leaks();
    }
    report->schedules++;
    report->points += engine.steps;
    report->switches += engine.switches;
}

uint64_t
run_count(const run_start *start, bool (*is_weak)(uint64_t seed))
{
    uint64_t most = 0;
    for (uint64_t seed = 2; seed < 2 + SEEDS_COUNTED; seed++) {
        run_once(start, POLICY_NONE, seed, is_weak(seed));
        most = engine.steps > most ? engine.steps : most;
    }
    return most;
}

/* ---- what scenarios see ---- */

uint64_t
schedule_random(void)
{
    return policy_random();
}

uint32_t
schedule_self(void)
{
    return engine.current;
}

uint64_t
schedule_step(void)
{
    return engine_steps();
}

void
schedule_yield(void)
{
    engine_yield();
}

void
schedule_fail_allocation(uint64_t n, bool forever)
{
    heap_fail_at(n, forever);
}

uint64_t
schedule_allocations(void)
{
    return heap_allocations();
}

uint64_t
schedule_live(void)
{
    return heap_live();
}
