/* SPDX-License-Identifier: MIT
 *
 * For scenarios whose histories the checkers of tests/check judge: a recorder for each fiber, a verdict that fails the schedule. The recorders' memory is made before all schedules (record_all_prepare), as it lies outside of what is brought back.
 *
 * Real time counts here, so these are schedules of sequentially consistent memory: where stores may be seen late, who ended
 * before another began need not have been seen by it.
 */
#ifndef LKI_SCHEDULE_RECORDED_H
#define LKI_SCHEDULE_RECORDED_H

#include "check/record_jobs.h"
#include "schedule/store.h"

enum { RECORDED_OPS = 512, RECORDED_STEPS = 1536, RECORDED_NUMBERS = 100 };

static record_world recorded_world;
static recorder recorded[SCHEDULE_FIBERS + 1];
static history recorded_all;

static inline void
recorded_prepare(uint32_t fibers)
{
    recorded_world.stamp = history_next_stamp;
    for (uint32_t i = 0; i <= fibers; i++) {
        record_begin(&recorded[i], &recorded_world, i, store_result());
        record_reserve(&recorded[i], RECORDED_OPS, RECORDED_STEPS);
    }
    history_reserve(&recorded_all, (SCHEDULE_FIBERS + 1) * RECORDED_OPS,
                    (SCHEDULE_FIBERS + 1) * RECORDED_STEPS);
}

static inline recorder *
recorded_mine(void)
{
    return &recorded[schedule_self()];
}

/* Numbers that no other fiber has, from 1 on: of values and jobs. `own` counts the fiber's. */
static inline uint32_t
recorded_number(uint32_t *own)
{
    return ++*own + schedule_self() * RECORDED_NUMBERS;
}

/* What each did, where one was wrong whatever the others did; true: go on and judge `recorded_all`. */
static inline void
recorded_merge(uint32_t fibers)
{
    for (uint32_t i = 0; i <= fibers; i++) /* else it has moved, which is not brought back */
        if (recorded[i].history.count > RECORDED_OPS || recorded[i].name_count > RECORDED_OPS ||
            recorded[i].history.step_count > RECORDED_STEPS)
            schedule_fail("the room of a recorder is too small");
    const recorder *wrong = record_merge(recorded, fibers + 1, &recorded_all);
    if (wrong != NULL)
        schedule_fail("fiber %u: %s (%s)", wrong->thread, wrong->wrong,
                      lk_status_string(wrong->wrong_status));
}

/* The history, for who reads of a failure. */
static inline void
recorded_tell(uint32_t fibers)
{
    (void)record_merge(recorded, fibers + 1, &recorded_all);
    for (size_t i = 0; i < recorded_all.count; i++) {
        char text[256];
        history_tell(&recorded_all, &recorded_all.ops[i], text, sizeof text);
        schedule_note("%s", text);
    }
}

static inline void
recorded_verdict(verdict v, const report *r, uint32_t fibers)
{
    if (v == VERDICT_HOLDS)
        return;
    recorded_tell(fibers);
    schedule_fail("%s", r->text);
}

static inline void
recorded_teardown(uint32_t fibers)
{
    for (uint32_t i = 0; i <= fibers; i++)
        lk_result_free(recorded[i].result);
}

#endif
