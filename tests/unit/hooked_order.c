/* SPDX-License-Identifier: MIT
 *
 * The ordered set under many schedules. Three actors make a few calls on two neighbouring names;
 * one of them runs at a time, and at each access to a shared word it may hand on, by the schedule's
 * number. So a schedule repeats: LK_TEST_SEED is the first one's number. Each run's calls must have
 * an order in which one thread could have made them; what was removed is disposed of, and nothing
 * that is linked. In the second test one actor stops in the middle of a call until all others are
 * through: they get through, and trip over nothing that it left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/order.h"
#include "support/scale.h"

enum {
    ACTORS = 3,
    CALLS = 4,
    NAMES = 2,
    FIXED = 3, /* entries around the names that are never removed */
    TALLEST = 3,
    SCHEDULES = 12000,
    STEPS_MAX = 100000, /* of one schedule: more is no progress */
    HANG_SECONDS = 280
};

typedef enum kind { INSERT, REMOVE, WALK } kind;

typedef struct call {
    kind kind;
    unsigned name;    /* not of a walk */
    lki_entry *entry; /* of an insertion */
    unsigned start, end;
    unsigned result; /* of a walk: a bit for each name that it saw */
} call;

typedef struct actor {
    pthread_t thread;
    lki_thread *record;
    sem_t go;
    call calls[CALLS];
    bool done, stopped;
    unsigned steps, stop_at; /* 0: does not stop */
} actor;

/* Whoever runs has all of it: the semaphores hand it on. */
static struct {
    lki_domain domain;
    lki_order order;
    lki_thread *record; /* of the main thread */
    actor actors[ACTORS];
    sem_t back; /* to the main thread */
    uint64_t schedule, random;
    unsigned every; /* one access in so many hands on */
    unsigned clock, steps, inserted, removed, disposals;
    bool over;
} test;

static __thread actor *self;

static void
require(bool condition, const char *what, unsigned number)
{
    if (condition)
        return;
    fprintf(stderr, "hooked_order: %s, %u, in schedule %llu\n", what, number,
            (unsigned long long)test.schedule);
    abort();
}

static uint64_t
random_below(uint64_t below)
{
    test.random ^= test.random << 13;
    test.random ^= test.random >> 7;
    test.random ^= test.random << 17;
    return (test.random * 0x2545f4914f6cdd1dU >> 11) % below;
}

/* ---- who runs ---- */

/* The next one to run; NULL: all others are done, or stopped. */
static actor *
actor_pick(void)
{
    actor *ready[ACTORS];
    unsigned count = 0;
    for (unsigned i = 0; i < ACTORS; i++)
        if (!test.actors[i].done && !test.actors[i].stopped)
            ready[count++] = &test.actors[i];
    return count > 0 ? ready[random_below(count)] : NULL;
}

static void
hand_on(sem_t *to, sem_t *mine)
{
    sem_post(to);
    while (sem_wait(mine) != 0) {}
}

static void
yield_hook(void)
{
    actor *me = self;
    if (me == NULL)
        return;
    test.steps++;
    require(test.steps < STEPS_MAX, "no progress", test.steps);
    me->stopped = ++me->steps == me->stop_at;
    if (!me->stopped && random_below(test.every) != 0)
        return;
    actor *next = actor_pick();
    if (next != me)
        hand_on(next != NULL ? &next->go : &test.back, &me->go);
}

/* ---- calls ---- */

/* The names 0 and 1 are neighbours, between the fixed entries -1, -2 and -3. */
static lki_entry *
entry_make(int number, unsigned height)
{
    static const char bytes[] = "ab";
    const lk_bytes key = {bytes, number < 0 ? 0 : (size_t)number + 1};
    uint64_t rank = number < 0 ? (uint64_t)(-number - 1) : 1;
    for (;;) {
        lki_entry *entry = lki_entry_new(test.record, rank, key, 0, 5);
        require(entry != NULL, "no memory", 0);
        if (entry->height == height)
            return entry;
        lki_entry_discard(test.record, entry);
    }
}

static bool
name_remove(lki_thread *thread, unsigned name)
{
    const lk_bytes key = {"ab", name + 1};
    return lki_order_remove(&test.order, thread, 1, key, 5);
}

static unsigned
walk(void)
{
    unsigned seen = 0, fixed = 0;
    size_t last = 0;
    const lki_entry *entry = lki_order_first(&test.order);
    for (; entry != NULL; entry = lki_order_next(entry)) {
        size_t place = (size_t)entry->rank * 10 + entry->size + 1;
        require(place > last, "out of order", (unsigned)place);
        last = place;
        if (entry->size > 0)
            seen |= 1U << (entry->size - 1);
        else
            fixed++;
    }
    require(fixed == FIXED, "a fixed entry was missed", fixed);
    return seen;
}

static void
call_make(lki_thread *thread, call *c)
{
    c->start = ++test.clock;
    lki_write_enter(thread);
    require(lki_reserve(thread, 1), "no memory", 0);
    if (c->kind == INSERT)
        c->result = lki_order_insert(&test.order, thread, c->entry);
    else if (c->kind == REMOVE)
        c->result = name_remove(thread, c->name);
    else
        c->result = walk();
    require(thread->retired_in_call <= 1, "more retired than reserved", thread->retired_in_call);
    if (c->kind == INSERT && c->result == 0)
        lki_entry_discard(thread, c->entry);
    c->end = ++test.clock;
    lki_write_leave(thread);
}

static void *
actor_main(void *argument)
{
    actor *me = argument;
    lk_status why;
    me->record = lki_thread_self(&test.domain, &why);
    require(me->record != NULL, "no thread", 0);
    hand_on(&test.back, &me->go);
    while (!test.over) {
        self = me;
        for (unsigned i = 0; i < CALLS; i++)
            call_make(me->record, &me->calls[i]);
        self = NULL;
        me->done = true;
        actor *next = actor_pick();
        hand_on(next != NULL ? &next->go : &test.back, &me->go);
    }
    return NULL;
}

/* ---- what must hold ---- */

/* Is there an order of these calls on one name in which each returns what it did? A call may come
 * next if none of the others ended before it began. */
static bool
history_orders(call *const *calls, unsigned count, unsigned name, unsigned left, bool there)
{
    unsigned first_end = UINT32_MAX;
    for (unsigned i = 0; i < count; i++)
        if ((left >> i & 1) != 0 && calls[i]->end < first_end)
            first_end = calls[i]->end;
    for (unsigned i = 0; i < count; i++) {
        const call *c = calls[i];
        if ((left >> i & 1) == 0 || c->start > first_end)
            continue;
        bool result = c->kind == WALK ? (c->result >> name & 1) != 0 : c->result != 0;
        if (result != (c->kind == INSERT ? !there : there))
            continue;
        bool then = c->kind == INSERT || (c->kind == WALK && there);
        if (history_orders(calls, count, name, left & ~(1U << i), then))
            return true;
    }
    return left == 0;
}

static void
history_check(unsigned name)
{
    call *calls[ACTORS * CALLS + 1], last = {.kind = WALK, .start = UINT32_MAX, .end = UINT32_MAX};
    unsigned count = 0;
    for (unsigned i = 0; i < ACTORS * CALLS; i++) {
        call *c = &test.actors[i / CALLS].calls[i % CALLS];
        if (c->kind == WALK || c->name == name)
            calls[count++] = c;
    }
    last.result = walk();
    calls[count++] = &last;
    require(history_orders(calls, count, name, (1U << count) - 1, false), "no order of the calls",
            name);
}

/* A removal that has returned has left nothing for walks to step over, whoever is stopped; one that
 * is stopped may have left its own entry. */
static void
stopped_check(const actor *a)
{
    unsigned marked = 0, allowed = 0;
    for (unsigned i = 0; i < CALLS; i++)
        allowed += a->calls[i].kind == REMOVE && a->calls[i].start > a->calls[i].end;
    uintptr_t link = lki_load_acquire(&test.order.head[0]);
    while (link != 0) {
        uintptr_t next = lki_load_acquire(&((const lki_entry *)link)->next[0]);
        marked += (next & 1) != 0;
        link = next - (next & 1);
    }
    require(marked <= allowed, "removed and still linked", marked);
}

/* Nobody can find what is disposed of, at any level. */
static bool
object_dispose(lki_thread *thread, void *object)
{
    const lki_entry *gone = object;
    const uintptr_t mark = 1;
    for (unsigned level = 0; level < gone->height; level++) {
        uintptr_t link = lki_load_relaxed(&test.order.head[level]);
        while (link != 0) {
            const lki_entry *entry = (const lki_entry *)link;
            require(entry != gone, "disposed of while linked", level);
            link = lki_load_relaxed(&entry->next[level]) & ~mark;
        }
    }
    test.disposals++;
    return gone->object.dispose(thread, object);
}

/* ---- a schedule ---- */

static void
schedule_draw(uint64_t schedule, bool stops)
{
    static const kind kinds[9] = {INSERT, INSERT, INSERT, INSERT, REMOVE,
                                  REMOVE, REMOVE, REMOVE, WALK};
    test.schedule = schedule;
    test.random = (schedule + 1) * 0x9e3779b97f4a7c15U;
    test.every = 1 + (unsigned)random_below(12);
    test.clock = test.steps = test.inserted = test.removed = test.disposals = 0;
    unsigned names = 1 + (unsigned)random_below(NAMES);
    for (unsigned i = 0; i < ACTORS; i++) {
        actor *a = &test.actors[i];
        a->done = a->stopped = false;
        a->steps = 0;
        a->stop_at = stops && i == 0 ? 1 + (unsigned)random_below(150) : 0;
        for (unsigned j = 0; j < CALLS; j++) {
            call *c = &a->calls[j];
            *c = (call){.kind = kinds[random_below(9)], .name = (unsigned)random_below(names)};
            if (c->kind == INSERT)
                c->entry = entry_make((int)c->name, 1 + (unsigned)random_below(TALLEST));
        }
    }
}

static void
schedule_run(uint64_t schedule, bool stops)
{
    schedule_draw(schedule, stops);
    hand_on(&actor_pick()->go, &test.back);
    for (unsigned i = 0; i < ACTORS; i++) {
        actor *a = &test.actors[i];
        if (a->stopped) { /* the others are through */
            (void)walk();
            stopped_check(a);
            a->stopped = false;
            hand_on(&a->go, &test.back);
        }
        require(a->done, "an actor is not done", i);
    }
    for (unsigned i = 0; i < ACTORS * CALLS; i++) {
        const call *c = &test.actors[i / CALLS].calls[i % CALLS];
        test.inserted += c->kind == INSERT && c->result != 0;
        test.removed += c->kind == REMOVE && c->result != 0;
    }
    (void)lki_reclaim_now(test.record); /* while everything lies as the actors left it */
    require(test.disposals == test.removed, "not disposed of once each", test.disposals);
    require(lki_order_check(&test.order) == FIXED + test.inserted - test.removed, "a broken set",
            test.inserted - test.removed);
    for (unsigned name = 0; name < NAMES; name++)
        history_check(name);
    lki_write_enter(test.record);
    require(lki_reserve(test.record, NAMES), "no memory", 0);
    for (unsigned name = 0; name < NAMES; name++)
        (void)name_remove(test.record, name);
    lki_write_leave(test.record);
    require(lki_order_check(&test.order) == FIXED, "a broken set", 0);
    (void)lki_reclaim_now(test.record);
    require(test.disposals == test.inserted, "not all disposed of", test.disposals);
}

static int
test_open(void **state)
{
    lk_status why;
    (void)state;
    alarm(test_scaled(100) > 100 ? 0 : HANG_SECONDS);
    test.domain.dispose[LKI_OBJECT] = object_dispose;
    test.domain.max_retired_bytes = 1 << 20;
    test.domain.monotonic_ms = lki_monotonic_ms;
    lki_domain_open(&test.domain);
    test.record = lki_thread_self(&test.domain, &why);
    require(test.record != NULL, "no thread", 0);
    sem_init(&test.back, 0, 0);
    for (unsigned i = 0; i < ACTORS; i++) {
        actor *a = &test.actors[i];
        sem_init(&a->go, 0, 0);
        require(pthread_create(&a->thread, NULL, actor_main, a) == 0, "no thread", i);
        while (sem_wait(&test.back) != 0) {}
    }
    lki_write_enter(test.record);
    require(lki_reserve(test.record, FIXED), "no memory", 0);
    for (int number = -FIXED; number < 0; number++)
        require(lki_order_insert(&test.order, test.record,
                                 entry_make(number, number == -1 ? TALLEST : 1)),
                "no insertion", 0);
    lki_write_leave(test.record);
    lki_yield_hook = yield_hook;
    return 0;
}

static int
test_close(void **state)
{
    (void)state;
    lki_yield_hook = NULL;
    test.over = true;
    for (unsigned i = 0; i < ACTORS; i++) {
        sem_post(&test.actors[i].go);
        pthread_join(test.actors[i].thread, NULL);
    }
    lki_order_close(&test.order, &test.domain.allocator);
    lki_domain_close(&test.domain);
    memset(&test, 0, sizeof test);
    alarm(0);
    return 0;
}

static void
schedules_run(bool stops)
{
    const char *text = getenv("LK_TEST_SEED");
    uint64_t first = text != NULL ? strtoull(text, NULL, 10) : 20260101;
    uint64_t count = test_scaled(SCHEDULES);
    for (uint64_t i = 0; i < count; i++)
        schedule_run(first + i, stops);
}

static void
test_order_any_schedule_is_linearizable(void **state)
{
    (void)state;
    schedules_run(false);
}

static void
test_order_stopped_thread_stops_no_other(void **state)
{
    (void)state;
    schedules_run(true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_any_schedule_is_linearizable, test_open,
                                        test_close),
        cmocka_unit_test_setup_teardown(test_order_stopped_thread_stops_no_other, test_open,
                                        test_close),
    };
    return cmocka_run_group_tests_name("hooked_order", tests, NULL, NULL);
}
