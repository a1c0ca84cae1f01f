/* SPDX-License-Identifier: MIT
 *
 * Single rooms of base/ with two or three threads: schedules of a few dozen points, so that a great
 * many run. `wait`: nobody sleeps past what came (P15). `reclaim`: an object that a section may see
 * is not freed, whoever has the bag it lies in (P8, P8b and the epochs); `bags` change hands, and
 * nothing is lost or goes twice. `bound`: it is never above what it bounds (P12). Sets:
 * schedule_sets.c.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/wait.h"
#include "queue/times.h"
#include "schedule/domain.h"
#include "schedule/store.h"

/* ---- wait ---- */

static lki_wait place;
static _Atomic(uint32_t) brought;

static void
bring(void)
{
    lki_add_seq_cst(&brought, 1);
    lki_wait_notify(&place, 1);
}

static bool
take(void)
{
    uint32_t there = lki_load_seq_cst(&brought);
    while (there != 0 && !lki_cas_seq_cst(&brought, &there, there - 1)) {}
    return there != 0;
}

static void
wait_for_it(void)
{
    lki_wait_begin(&place);
    for (;;) {
        uint32_t seen = lki_wait_signal(&place);
        if (take())
            break;
        lki_wait_sleep(&place, seen, -1);
    }
    lki_wait_end(&place);
}

/* Looks first, and counts itself after that. */
static void
wait_wrongly(void)
{
    uint32_t seen = lki_wait_signal(&place);
    while (!take()) {
        lki_wait_begin(&place);
        lki_wait_sleep(&place, seen, -1);
        lki_wait_end(&place);
        seen = lki_wait_signal(&place);
    }
}

static void
check_nothing_left(void)
{
    SCHEDULE_EXPECT(lki_load_relaxed(&brought) == 0);
    SCHEDULE_EXPECT(lki_load_relaxed(&place.waiters) == 0);
}

/* ---- reclaim ---- */

typedef struct thing {
    uint64_t first, second; /* equal */
} thing;

enum { THING = 1 }; /* what is retired */
static _Atomic(thing *) current;

static bool
thing_dispose(lki_thread *thread, void *object)
{
    lki_free(&thread->domain->allocator, object, sizeof(thing));
    return true;
}

static thing *
thing_new(uint64_t number)
{
    thing *made = lki_alloc(&domain.allocator, sizeof *made);
    SCHEDULE_EXPECT(made != NULL);
    *made = (thing){number, number};
    return made;
}

static void
reclaim_prepare(void)
{
    domain.dispose[THING] = thing_dispose;
    domain_open();
    atomic_store_explicit(&current, thing_new(1), memory_order_relaxed);
}

static void
thing_read(void)
{
    const thing *found = lki_load_acquire(&current);
    uint64_t first = found->first;
    SCHEDULE_EXPECT(first == found->second);
}

static void
read_in_sections(void)
{
    lki_thread *thread = self();
    for (int i = 0; i < 2; i++) {
        lki_enter(thread);
        thing_read();
        lki_leave(thread);
    }
}

static void
read_outside(void)
{
    (void)self();
    thing_read();
}

static void
replace_and_reclaim(void)
{
    lki_thread *thread = self();
    thing *made = thing_new(2);
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 1));
    thing *old = lki_swap_seq_cst(&current, made);
    lki_retire(thread, THING, old, sizeof *old);
    lki_write_leave(thread);
    (void)lki_reclaim_now(thread);
}

/* So often that upkeep comes by, which takes other threads' bags. */
static void
replace_many(void)
{
    lki_thread *thread = self();
    for (uint64_t number = 2; number < 14; number++) {
        thing *made = thing_new(number);
        lki_write_enter(thread);
        SCHEDULE_EXPECT(lki_reserve(thread, 1));
        thing *old = lki_swap_seq_cst(&current, made);
        lki_retire(thread, THING, old, sizeof *old);
        lki_write_leave(thread);
    }
}

static void
reclaim_others(void)
{
    (void)lki_reclaim_now(self());
}

/* Bags change hands, whatever their owner does meanwhile: it retires, seals, comes or leaves. */
static void
some_retire(lki_thread *thread, bool seals)
{
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 2));
    for (uint64_t number = 0; number < 2; number++)
        lki_retire(thread, THING, thing_new(number), sizeof(thing));
    if (seals)
        lki_seal(thread);
    lki_leave(thread);
}

static void
bags_own(void)
{
    uint32_t does = schedule_choose(4);
    lki_thread *thread = self();
    for (int i = 0; i < 3; i++)
        some_retire(thread, i == 1);
    if (does == 3)
        lki_enter(thread);
    schedule_yield();
    if (does < 2)
        some_retire(thread, does == 1);
    else if (does == 2)
        lki_enter(thread);
    if (does == 2)
        schedule_yield();
    if (does >= 2)
        lki_leave(thread);
}

static void
bags_check(void)
{
    for (int again = 0; again < 2; again++)
        (void)lki_reclaim_now(self());
    SCHEDULE_EXPECT(lki_load_relaxed(&domain.retired_bytes) == 0);
    for (lki_thread *t = lki_load_acquire(&domain.threads); t != NULL; t = t->next)
        SCHEDULE_EXPECT(lki_load_relaxed(&t->open_bytes) == 0);
}

static void
reclaim_teardown(void)
{
    lki_domain_close(&domain);
    lki_free(&domain.allocator, atomic_load_explicit(&current, memory_order_relaxed),
             sizeof(thing));
}

/* ---- bound ---- */

enum { CLAIMS = 3, CLAIMED_MS = 10 }; /* the later ones lapse earlier */

static lki_next_due due;
static _Atomic(uint64_t) lapses[CLAIMS];

static void
bound_prepare(void)
{
    for (uint64_t i = 0; i < CLAIMS; i++)
        atomic_store_explicit(&lapses[i], LKI_TIME_MAX, memory_order_relaxed);
    uint64_t begin = schedule_random() % 2 == 0 ? LKI_NEVER : 0;
    atomic_store_explicit(&due, begin, memory_order_relaxed);
}

static void
bound_claim_with(bool again)
{
    uint64_t i = schedule_self() - 1, time = CLAIMED_MS - i;
    lki_next_due_cover(&due, time);
    (void)lki_swap_seq_cst(&lapses[i], time);
    if (again)
        lki_next_due_cover(&due, time);
}

static void
bound_claim(void)
{
    bound_claim_with(true);
}

/* A tender may have reset the bound in between. */
static void
bound_claim_once(void)
{
    bound_claim_with(false);
}

static void
bound_tend(void)
{
    uint64_t begun = lki_next_due_begin(&due), least = LKI_TIME_MAX;
    for (uint64_t i = 0; i < CLAIMS; i++) {
        uint64_t time = lki_load_seq_cst(&lapses[i]);
        least = time < least ? time : least;
    }
    (void)lki_next_due_end(&due, begun, least);
}

static void
bound_check(void)
{
    for (uint64_t i = 0; i < CLAIMS; i++) {
        uint64_t time = lki_load_relaxed(&lapses[i]);
        if (lki_next_due_time(&due) > time)
            schedule_fail("a claim until %d, and the bound is above", (int)time);
    }
}

#define WAIT(title, ...)                                                                 \
    {                                                                                    \
        .name = title, .check = check_nothing_left, .memory = SCHEDULE_BOTH, __VA_ARGS__ \
    }
#define RECLAIM(title, ...)                                                                  \
    {                                                                                        \
        .name = title, .prepare = reclaim_prepare, .teardown = reclaim_teardown, __VA_ARGS__ \
    }

#define BOUND(title, ...)                                                        \
    {                                                                            \
        .name = title, .setup = bound_prepare, .check = bound_check, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    WAIT("wait", .body = {wait_for_it, bring}, .count = 200000),
    WAIT("wait_two", .body = {wait_for_it, wait_for_it, bring, bring}, .count = 50000),
    WAIT("wait_all", .body = {wait_for_it, bring}, .all = 5),
    WAIT("wait_uncounted", .body = {wait_wrongly, bring}, .fails = "deadlock"),
    RECLAIM("reclaim", .body = {read_in_sections, replace_and_reclaim}, .count = 20000),
    RECLAIM("reclaim_others", .body = {read_in_sections, replace_and_reclaim, reclaim_others},
            .count = 20000),
    RECLAIM("reclaim_turns", .body = {replace_many, replace_many, replace_many}, .count = 3000),
    RECLAIM("bags", .body = {bags_own, reclaim_others}, .check = bags_check, .all = 2,
            .memory = SCHEDULE_SC),
    RECLAIM("reclaim_outside", .body = {read_outside, replace_and_reclaim}, .fails = "freed",
            .memory = SCHEDULE_SC),
    BOUND("bound", .body = {bound_claim, bound_claim, bound_claim, bound_tend}, .count = 20000),
    BOUND("bound_two", .body = {bound_claim, bound_tend, bound_tend}, .count = 20000),
    BOUND("bound_once", .body = {bound_claim_once, bound_tend}, .fails = "and the bound is above"),
    {0},
};
