/* SPDX-License-Identifier: MIT
 *
 * Single rooms of base/ with two or three threads: schedules of a few dozen points, so that a great
 * many run. `wait`: nobody sleeps past what came (P15). `reclaim`: an object that a section may
 * see is not freed (P8 and the epochs). `set`: what is there throughout a look is found (P3).
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/part.h"
#include "base/reclaim.h"
#include "base/wait.h"
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

static lki_domain domain;
static _Atomic(thing *) current;
static uint64_t disposed;

static bool
thing_dispose(lki_thread *thread, void *object)
{
    disposed++;
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

static lki_thread *
self(void)
{
    lk_status why = LK_OK;
    lki_thread *thread = lki_thread_self(&domain, &why);
    SCHEDULE_EXPECT(thread != NULL);
    return thread;
}

static void
domain_prepare(void)
{
    domain.monotonic_ms = lki_monotonic_ms;
    domain.max_retired_bytes = 1 << 20;
    domain.dispose[LKI_RECORD] = thing_dispose;
    lki_domain_open(&domain);
}

static void
reclaim_prepare(void)
{
    domain_prepare();
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
    lki_retire(thread, LKI_RECORD, old, sizeof *old);
    lki_write_leave(thread);
    (void)lki_reclaim_now(thread);
}

static void
reclaim_others(void)
{
    (void)lki_reclaim_now(self());
}

static void
reclaim_teardown(void)
{
    lki_domain_close(&domain);
    lki_free(&domain.allocator, atomic_load_explicit(&current, memory_order_relaxed),
             sizeof(thing));
}

/* ---- set ---- */

enum { OBJECTS = 6, BELOW = 3 }; /* the first few are there all the time */

typedef struct object {
    lki_keyed keyed;
    uint64_t id;
    uint64_t hash;
} object;

static lki_set set;
static lki_latch shard;
static object objects[OBJECTS];

static lki_hashed
hashed_of(const object *o, lk_key *key)
{
    *key = (lk_key){{&o->id, sizeof o->id}, {NULL, 0}};
    return (lki_hashed){key, o->hash, lki_key_sizes(key), false};
}

static bool
object_is(const void *o, const lki_hashed *hashed)
{
    return lki_keyed_is(o, offsetof(object, id), hashed);
}

static void
object_add(lki_thread *thread, object *o)
{
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 4));
    SCHEDULE_EXPECT(lki_set_add_latched(&set, thread, o, o->hash) == LKI_SET_ADDED);
    lki_write_leave(thread);
}

static void
set_prepare(void)
{
    domain_prepare();
    lki_latch_init(&shard);
    SCHEDULE_EXPECT(lki_set_open(&set, &domain.allocator, object_is, 0, 0));
    set.buckets_max = 2;
    for (uint64_t i = 0; i < OBJECTS; i++) {
        object *o = &objects[i];
        o->id = i + 1;
        uint32_t half = (uint32_t)(i * 0x9e3779b9u);
        o->hash = lki_half_hash(half) | (i % 3) << 24; /* three tags */
        lk_key key = {{&o->id, sizeof o->id}, {NULL, 0}};
        o->keyed = (lki_keyed){half, (uint16_t)key.pk.size, 0};
        if (i < BELOW)
            object_add(self(), o);
    }
}

static void
set_add(void)
{
    lki_thread *thread = self();
    for (int i = BELOW; i < OBJECTS; i++) {
        lki_latch_take(&shard, thread);
        object_add(thread, &objects[i]);
        lki_latch_drop(&shard);
    }
}

static void
set_remove_one(void)
{
    lki_thread *thread = self();
    lki_latch_take(&shard, thread);
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 4));
    lki_set_remove_latched(&set, thread, &objects[0]);
    lki_write_leave(thread);
    lki_latch_drop(&shard);
}

/* As readers do. */
static bool
object_is_found(const object *o)
{
    lk_key key;
    bool final;
    lki_hashed hashed = hashed_of(o, &key);
    void *found =
        lki_bucket_find(lki_set_bucket(&set, o->hash), &hashed, offsetof(object, id), &final);
    if (found == NULL && !final)
        found = lki_set_get(&set, &hashed);
    SCHEDULE_EXPECT(found == NULL || found == o);
    return found != NULL;
}

static void
set_look(void)
{
    lki_thread *thread = self();
    for (int i = 1; i < BELOW; i++) {
        lki_enter(thread);
        if (!object_is_found(&objects[i]))
            schedule_fail("object %d is not found", i);
        lki_leave(thread);
    }
}

static void
set_look_for_new(void)
{
    lki_thread *thread = self();
    lki_enter(thread);
    if (!object_is_found(&objects[OBJECTS - 1]))
        schedule_fail("object %d is not found", OBJECTS - 1);
    lki_leave(thread);
}

static void
set_check(void)
{
    SCHEDULE_EXPECT(!object_is_found(&objects[0]));
    for (int i = 1; i < OBJECTS; i++)
        SCHEDULE_EXPECT(object_is_found(&objects[i]));
}

static void
set_teardown(void)
{
    lki_set_close(&set);
    lki_domain_close(&domain);
}

#define WAIT(title, ...)                                                                 \
    {                                                                                    \
        .name = title, .check = check_nothing_left, .memory = SCHEDULE_BOTH, __VA_ARGS__ \
    }
#define RECLAIM(title, ...)                                                                  \
    {                                                                                        \
        .name = title, .prepare = reclaim_prepare, .teardown = reclaim_teardown, __VA_ARGS__ \
    }
#define SET(title, ...)                                                              \
    {                                                                                \
        .name = title, .prepare = set_prepare, .teardown = set_teardown, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
    WAIT("wait", .body = {wait_for_it, bring}, .count = 200000),
    WAIT("wait_two", .body = {wait_for_it, wait_for_it, bring, bring}, .count = 50000),
    WAIT("wait_all", .body = {wait_for_it, bring}, .all = 5),
    WAIT("wait_uncounted", .body = {wait_wrongly, bring}, .fails = "deadlock"),
    RECLAIM("reclaim", .body = {read_in_sections, replace_and_reclaim}, .count = 20000),
    RECLAIM("reclaim_theft", .body = {read_in_sections, replace_and_reclaim, reclaim_others},
            .count = 20000),
    RECLAIM("reclaim_outside", .body = {read_outside, replace_and_reclaim}, .fails = "freed",
            .memory = SCHEDULE_SC),
    SET("set", .body = {set_add, set_remove_one, set_look}, .check = set_check, .count = 20000),
    SET("set_too_early", .body = {set_add, set_remove_one, set_look_for_new},
        .fails = "object 5 is not found"),
    {0},
};
