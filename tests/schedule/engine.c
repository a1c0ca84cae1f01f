/* SPDX-License-Identifier: MIT
 *
 * Thread-local variables are copied out of and into the program's own block at each switch: the
 * library's are a few words, and nothing in its code has to know of fibers.
 */
#define _GNU_SOURCE
#include "schedule/engine.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "schedule/clock.h"
#include "schedule/heap.h"
#include "schedule/memory.h"
#include "schedule/policy.h"
#include "schedule/report.h"
#include "schedule/threads.h"

engine_run engine;

static unsigned char pristine[ENGINE_LOCAL]; /* thread-local variables of a new thread */

/* ---- once ---- */

static int
locals_find(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS) {
            engine.local_low = (uintptr_t)info->dlpi_tls_data;
            engine.local_size = info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the first object is the program */
}

void
engine_open(void)
{
    dl_iterate_phdr(locals_find, NULL);
    if (engine.local_size > ENGINE_LOCAL)
        report_misuse("%zu bytes of thread-local variables, at most %d", engine.local_size,
                      ENGINE_LOCAL);
    memcpy(pristine, (void *)engine.local_low, engine.local_size);
    char *stacks = mmap((void *)HEAP_STACKS, ENGINE_STACKS, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (stacks != (char *)HEAP_STACKS)
        report_misuse("no memory for stacks");
    for (uint32_t i = 0; i < ENGINE_FIBERS; i++) {
        engine.fiber[i].stack = (unsigned char *)stacks + i * ENGINE_STACK;
        mprotect(engine.fiber[i].stack, 4096, PROT_NONE);
    }
}

/* ---- to and fro ---- */

uint64_t
engine_steps(void)
{
    return engine.steps + (engine.count - engine.since);
}

void
engine_event_at(uint64_t count)
{
    uint64_t slice = (uint64_t)engine.since + engine.slice;
    if (count > slice)
        count = slice;
    if (engine.current == engine.freeze_fiber && !engine.frozen && count > engine.freeze_count)
        count = engine.freeze_count;
    uint64_t left = engine.heal_at > engine_steps() ? engine.heal_at - engine_steps() : 0;
    if (count > engine.count + left)
        count = engine.count + left;
    engine.event = count > engine.count ? (uint32_t)count : engine.count + 1;
}

static void
engine_switch(uint32_t next)
{
    engine_fiber *from = &engine.fiber[engine.current], *to = &engine.fiber[next];
    report_switch(next);
    if (engine.local_size != 0) {
        memcpy(from->local, (void *)engine.local_low, engine.local_size);
        memcpy((void *)engine.local_low, to->local, engine.local_size);
    }
    engine.steps = engine_steps();
    from->count = engine.count;
    engine.since = engine.count = to->count;
    engine.current = next;
    engine.stack_low = (uintptr_t)to->stack;
    engine.switches++;
    if (next != 0)
        policy_next_event();
    fiber_switch(&from->context, &to->context);
}

static bool
fiber_is_stopped(void)
{
    return engine.frozen && engine.fiber[engine.freeze_fiber].state == ENGINE_FROZEN;
}

/* The running fiber cannot go on, or will not. */
static void
engine_give_way(void)
{
    engine.count++;
    if (engine.runnable == 0 && !(fiber_is_stopped() && engine.freeze_yields))
        clock_jump();
    if (engine.runnable == 0 && fiber_is_stopped() && !engine.freeze_kills) {
        for (uint32_t i = 1; i <= engine.fibers && !engine.freeze_yields; i++)
            if (engine.fiber[i].state == ENGINE_WAITING)
                schedule_fail("fiber %u waits for %p, and cannot go on while fiber %u is stopped",
                              i, engine.fiber[i].waits_for, engine.freeze_fiber);
        engine.fiber[engine.freeze_fiber].state =
            ENGINE_RUNNABLE; /* the others have ended, or wait */
        engine.runnable = 1U << engine.freeze_fiber;
        engine.limit = engine_steps() + engine.budget;
    }
    if (engine.runnable == 0) {
        for (uint32_t i = 1; i <= engine.fibers; i++)
            if (engine.fiber[i].state == ENGINE_WAITING)
                schedule_fail("deadlock: fiber %u waits for %p, and nobody can run", i,
                              engine.fiber[i].waits_for);
        engine_switch(0); /* all have ended */
        return;
    }
    uint32_t next = policy_forced();
    if (next != engine.current)
        engine_switch(next);
    else
        policy_next_event();
}

void
engine_yield(void)
{
    if (engine.current != 0 && (engine.runnable & ~(1U << engine.current)) != 0) {
        engine.runnable &= ~(1U << engine.current);
        uint32_t self = engine.current;
        engine.count++;
        uint32_t next = policy_forced();
        engine.runnable |= 1U << self;
        engine_switch(next);
    }
}

static void
fiber_freeze(void)
{
    engine.frozen = true;
    engine.fiber[engine.current].state = ENGINE_FROZEN;
    engine.runnable &= ~(1U << engine.current);
    engine.limit = engine_steps() + engine.budget;
    engine_give_way();
}

/* The end of the faulty phase: nothing new goes wrong, what has failed for ever stays so, and
 * everybody gets a turn. */
static void
faults_end(void)
{
    engine.healed = true;
    engine.heal_at = ENGINE_NEVER;
    if (!engine.frozen)
        engine.freeze_fiber = 0;
    heap_heal();
    policy_heal();
    engine.limit = engine_steps() + engine.budget;
}

void
engine_event(void)
{
    if (engine_steps() >= engine.limit)
        schedule_fail(
            fiber_is_stopped() ? "fiber %u is stopped, and the others have not ended in time"
            : engine.healed    ? "no end: fiber %u and others go on, and nothing is in the way"
                               : "livelock: fiber %u and others take too many steps",
            fiber_is_stopped() ? engine.freeze_fiber : engine.current);
    if (engine_steps() >= engine.heal_at)
        faults_end();
    if (engine.current == engine.freeze_fiber && !engine.frozen &&
        engine.count >= engine.freeze_count) {
        fiber_freeze();
        return;
    }
    if (engine.count - engine.since >= engine.slice) {
        if ((engine.runnable & ~(1U << engine.current)) != 0) {
            engine_yield();
            return;
        }
        engine.steps = engine_steps(); /* it is alone */
        engine.since = engine.count;
        policy_next_event();
        return;
    }
    uint32_t next = policy_next();
    if (next != engine.current)
        engine_switch(next);
}

/* ---- waiting ---- */

bool
engine_wait(const void *object, int64_t deadline_ns)
{
    engine_fiber *self = &engine.fiber[engine.current];
    if (engine.current == 0) {
        if (deadline_ns == ENGINE_NEVER)
            schedule_fail("deadlock: the program itself waits, outside of all fibers");
        clock_move_to(deadline_ns);
        return false;
    }
    self->waits_for = object;
    self->deadline_ns = deadline_ns;
    self->timed_out = false;
    self->state = ENGINE_WAITING;
    engine.runnable &= ~(1U << engine.current);
    engine_give_way();
    return !self->timed_out;
}

static void
fiber_wake(uint32_t i, bool timed_out)
{
    engine.fiber[i].state = ENGINE_RUNNABLE;
    engine.fiber[i].timed_out = timed_out;
    engine.runnable |= 1U << i;
    policy_woken(i);
}

uint32_t
engine_wake(const void *object, uint32_t most)
{
    uint32_t waiting[ENGINE_FIBERS], count = 0, woken = 0;
    for (uint32_t i = 1; i <= engine.fibers; i++)
        if (engine.fiber[i].state == ENGINE_WAITING && engine.fiber[i].waits_for == object)
            waiting[count++] = i;
    for (; woken < most && count != 0; woken++) {
        uint32_t at = most - woken < count ? schedule_choose(count) : 0;
        fiber_wake(waiting[at], false);
        waiting[at] = waiting[--count];
    }
    return woken;
}

void
engine_wake_due(int64_t now_ns)
{
    for (uint32_t i = 1; i <= engine.fibers; i++)
        if (engine.fiber[i].state == ENGINE_WAITING && engine.fiber[i].deadline_ns <= now_ns)
            fiber_wake(i, true);
}

/* ---- a run ---- */

static void
fiber_main(void)
{
    engine_fiber *self = &engine.fiber[engine.current];
    self->body();
    if (engine.current == engine.freeze_fiber)
        engine.freeze_fiber = 0; /* it has not stopped, or goes on; its exit may take latches */
    threads_exit();
    self->state = ENGINE_DONE;
    engine.runnable &= ~(1U << engine.current);
    engine_give_way();
    abort();
}

void
engine_run_all(void (*const *bodies)(void), uint32_t count)
{
    engine.fibers = count;
    engine.frozen = engine.healed = false;
    engine.count = engine.since = 0;
    engine.steps = 0;
    for (uint32_t i = 1; i <= count; i++) {
        engine_fiber *fiber = &engine.fiber[i];
        fiber->body = bodies[i - 1];
        fiber->state = ENGINE_RUNNABLE;
        fiber->count = 0;
        fiber->keeps_on = false;
        memset(fiber->specific, 0, sizeof fiber->specific);
        memcpy(fiber->local, pristine, engine.local_size);
        fiber_prepare(&fiber->context, fiber->stack, ENGINE_STACK, fiber_main);
        if (engine.weak)
            memory_sync(i, 0);
    }
    engine.runnable = ((1U << count) - 1) << 1;
    policy_started();
    engine_switch(policy_forced());
    for (uint32_t i = 1; engine.weak && i <= count; i++)
        memory_sync(0, i);
}
