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

enum { POINTS = 1000, SEEDS_COUNTED = 8, PHASE = 50 /* points; what is shorter has no phases */ };
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

/* The liveness phase: from some point on nothing new goes wrong, each fiber gets its turns, and all
 * have to end within a budget. In each fourth schedule that point is drawn, in the others it comes
 * late; in each fourth a fiber is stopped before, and stays so until nobody else can go on. As
 * TigerBeetle's simulator does it: first safety, then liveness. */
static void
faults_draw(const run_start *start, policy_kind kind, uint32_t fibers)
{
    uint64_t points = start->points;
    engine.freeze_fiber = start->stop_fiber;
    engine.freeze_count = start->stop_count;
    engine.freeze_kills = start->scenario->kills;
    engine.freeze_yields = start->stop_fiber == 0 || start->scenario->waits;
    engine.heal_at = ENGINE_NEVER;
    if (kind == POLICY_BYTES)
        return; /* they are the caller's */
    uint64_t draw = policy_random();
    uint64_t most = points >> policy_random() % 4; /* schedules differ in length */
    if (start->stop_fiber != 0 || kind == POLICY_ALL || kind == POLICY_NONE || points < PHASE)
        return;
    engine.heal_at = draw % 4 == 0 ? (draw >> 32) % most : 2 * points;
    if (draw / 4 % 4 == 0 && !start->scenario->spins) {
        engine.freeze_fiber = 1 + (uint32_t)(draw / 16 % fibers);
        engine.freeze_count = 1 + (uint32_t)((draw >> 40) % (most / fibers + 1));
    }
}

static uint32_t
fibers_count(const schedule_scenario *scenario)
{
    uint32_t fibers = 0;
    while (fibers < SCHEDULE_FIBERS && scenario->body[fibers] != NULL)
        fibers++;
    return fibers;
}

void
run_once(const run_start *start, policy_kind kind, uint64_t seed, bool weak)
{
    const schedule_scenario *scenario = start->scenario;
    uint64_t points = start->points;
    run_restore(start);
    report->seed = seed;
    uint32_t fibers = fibers_count(scenario);
    policy_begin(kind, seed, points);
    faults_draw(start, kind, fibers);
    engine.weak = weak;
    engine.plain_points = kind != POLICY_ALL && scenario->all == 0 && /* nor when it is replayed */
                          seed / 2 % (engine.weak ? 4 : 2) == 0;
    engine.hash = engine.switches = engine.count = 0;
    engine.slice = (uint32_t)(points * 4 + 500);
    engine.limit = scenario->limit != 0 ? scenario->limit : points * 100 + 20000;
    engine.budget = scenario->limit != 0 ? scenario->limit : points * 10 + 20000;
    if (engine.weak)
        memory_reset();
    if (scenario->setup != NULL)
        scenario->setup();
    engine_run_all(scenario->body, fibers);
    engine.weak = false; /* nobody else is there any more, and memory holds what is newest */
    if (scenario->check != NULL)
        scenario->check();
    if (scenario->teardown != NULL && !(engine.frozen && engine.freeze_kills)) {
        scenario->teardown();
        threads_exit(); /* of the thread that prepared */
        if (heap_live() != 0)
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

bool
schedule_is_weak(void)
{
    return engine.weak;
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
