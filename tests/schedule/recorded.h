/* SPDX-License-Identifier: MIT
 *
 * For scenarios whose histories the checkers of tests/check judge: a recorder for each fiber, a
 * verdict that fails the schedule. The recorders' memory is made before all schedules, as it lies
 * outside of what is brought back.
 *
 * The checkers lean on real time: what ended before a call began, that call has to see. Where
 * stores may be seen late, nobody can tell that one call ended before another began, unless the
 * threads have told each other. So they do: each stamp is a meeting of all fibers (what was done
 * before an earlier stamp happens before what follows a later one), and what is weak is the memory
 * while calls overlap. In some of the schedules a fiber is quiet: it neither tells nor is told, and
 * each of its calls counts as if it had gone on from the first to the last of all. Real time in the
 * sense of: Raad, Doko, Rozic, Lahav, Vafeiadis, "On Library Correctness under Weak Memory
 * Consistency", 2019.
 */
#ifndef LKI_SCHEDULE_RECORDED_H
#define LKI_SCHEDULE_RECORDED_H

#include <assert.h>

#include "check/record_jobs.h"
#include "schedule/data.h"
#include "schedule/store.h"

enum { RECORDED_OPS = 512, RECORDED_STEPS = 1536, RECORDED_NUMBERS = 32 };

static record_world recorded_world;
static recorder recorded[SCHEDULE_FIBERS + 1];
static history recorded_all;

void __tsan_acquire(void *object);
void __tsan_release(void *object);

static uint32_t recorded_quiet; /* a fiber; 0: none */
static uint64_t recorded_first; /* stamp */
static int64_t recorded_first_ms;

static inline uint64_t
recorded_stamp(void)
{
    if (schedule_self() != recorded_quiet) {
        __tsan_acquire(&recorded_all);
        __tsan_release(&recorded_all);
    }
    return history_next_stamp();
}

/* At the end of a setup: whatever fibers do comes after it. */
static inline void
recorded_begin(uint32_t fibers)
{
    recorded_quiet = schedule_is_weak() && schedule_random() % 4 == 0
                         ? 1 + (uint32_t)(schedule_random() % fibers)
                         : 0;
    recorded_first_ms = recorded_world.now_ms();
    recorded_first = history_next_stamp();
}

/* At the beginning of a check. */
static inline void
recorded_end(void)
{
    history *h = &recorded[recorded_quiet].history;
    int64_t last_ms = recorded_world.now_ms();
    uint64_t last = history_next_stamp();
    for (size_t i = 0; i < h->count && recorded_quiet != 0; i++) {
        h->ops[i].begin = recorded_first;
        h->ops[i].now_begin = recorded_first_ms;
        if (h->ops[i].end != HISTORY_NEVER)
            h->ops[i].end = last;
        h->ops[i].now_end = last_ms;
    }
}

static inline void
recorded_prepare(uint32_t fibers)
{
    assert((unsigned char *)recorded > schedule_zero_first && /* else it is not brought back */
           (unsigned char *)recorded < schedule_zero_last);
    recorded_world.stamp = recorded_stamp;
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
    SCHEDULE_EXPECT(*own + 1 < RECORDED_NUMBERS);
    return ++*own + schedule_self() * RECORDED_NUMBERS;
}

/* What each did, where one was wrong whatever the others did; true: go on and judge
 * `recorded_all`. */
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
