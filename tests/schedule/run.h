/* SPDX-License-Identifier: MIT
 *
 * One schedule of a scenario: memory, variables and time as its `prepare` left them, its fibers,
 * its verdict. Who makes many of them - the program around scenarios (main.c), a fuzz target -
 * keeps what has been prepared, and asks for one after the other. A schedule that fails ends the
 * process (schedule_fail).
 */
#ifndef LKI_SCHEDULE_RUN_H
#define LKI_SCHEDULE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schedule/engine.h"
#include "schedule/heap.h"
#include "schedule/policy.h"
#include "schedule/schedule.h"

/* A scenario that has been prepared. */
typedef struct run_start {
    const schedule_scenario *scenario;
    uint64_t points;                 /* of a run without switches, about */
    uint32_t stop_fiber, stop_count; /* who has to stop, and at which of its points; 0: nobody */
    heap_copy heap;
    unsigned char *data, *zero; /* variables */
    unsigned char local[ENGINE_LOCAL];
    void *specific[ENGINE_KEYS];
} run_start;

/* Once in a program, before all. */
void run_open(void);
/* `scenario` NULL: what is kept is the program as it is. */
void run_prepare(run_start *start, const schedule_scenario *scenario);
/* Memory, variables and time are those of then. */
void run_restore(const run_start *start);
/* One schedule. What is weak or plain about it follows from `seed`, and so does what is drawn, but
 * for POLICY_BYTES. */
void run_once(const run_start *start, policy_kind kind, uint64_t seed, bool weak);
/* How many points a run has in which nobody gives way; of some seeds, the most. */
uint64_t run_count(const run_start *start, bool (*is_weak)(uint64_t seed));

#endif
