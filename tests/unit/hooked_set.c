/* SPDX-License-Identifier: MIT
 *
 * The set under many schedules (P3). Two writers, each with the latch of its shard, add and remove objects
 * of few buckets, so that parts double, split, shrink and are cleaned, the directory doubles, and some
 * objects do not fit; two readers look all the while. One of them runs at a time, and at each access to a
 * shared word it may hand on, by the schedule's number. So a schedule repeats: LK_TEST_SEED is the first
 * one's number. An object that was there throughout a look is found by each way of finding, and comes in
 * each walk; one that was not there in any of it is not found. What is retired while a reader may have it
 * is not freed: the sanitizers' builds see to that.
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
#include "base/part.h"
#include "support/scale.h"

enum {
    WRITERS = 2, /* the first two actors, one for each shard */
    READERS = 2,
    ACTORS = WRITERS + READERS,
    OBJECTS = 96, /* half of them in each shard */
    CHANGES = 60, /* of each writer */
    LOOKS = 12,   /* of each reader */
    SCHEDULES = 12000,
    STEPS_MAX = 1000000, /* of one schedule: more is no progress */
    HANG_SECONDS = 280
};

typedef enum where { ABSENT, COMES, THERE, GOES } where;

typedef struct object {
    lki_keyed keyed;
    uint64_t id;
    uint64_t hash;
    bool stays;
    where where;
    unsigned changes;
} object;

typedef struct actor {
    pthread_t thread;
    lki_thread *record;
    sem_t go;
    bool done;
} actor;

/* Whoever runs has all of it: the semaphores hand it on. */
static struct {
    lki_domain domain;
    lki_set set;
    lki_thread *record; /* of the main thread */
    object objects[OBJECTS];
    actor actors[ACTORS];
    sem_t back; /* to the main thread */
    uint64_t schedule, random;
    unsigned every; /* one access in so many hands on */
    unsigned steps;
    actor
        *holder; /* of the directory's latch, stopped with it; the other writer does not run then */
    bool over;
} test;

static __thread actor *self;

static void
require(bool condition, const char *what, unsigned number)
{
    if (condition)
        return;
    fprintf(stderr, "hooked_set: %s, %u, in schedule %llu\n", what, number,
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

static bool
latch_is_held(void)
{
    if (pthread_mutex_trylock(&test.set.latch) != 0)
        return true;
    pthread_mutex_unlock(&test.set.latch);
    return false;
}

/* The next one to run; NULL: all others are done. */
static actor *
actor_pick(void)
{
    actor *ready[ACTORS];
    unsigned count = 0;
    for (unsigned i = 0; i < ACTORS; i++) {
        actor *a = &test.actors[i];
        if (!a->done && (test.holder == NULL || test.holder == a || i >= WRITERS))
            ready[count++] = a;
    }
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
    if (random_below(test.every) != 0)
        return;
    if (me < test.actors + WRITERS) /* the other one is not within the latch */
        test.holder = latch_is_held() ? me : NULL;
    actor *next = actor_pick();
    if (next != me)
        hand_on(&next->go, &me->go);
}

/* ---- looks and changes ---- */

static bool
object_is(const void *o, const lki_hashed *hashed)
{
    return lki_keyed_is(o, offsetof(object, id), hashed);
}

static void
object_change(lki_thread *thread, object *o)
{
    bool remove = o->where == THERE;
    lki_write_enter(thread);
    require(lki_reserve(thread, 4), "no memory", 0);
    o->changes++;
    o->where = remove ? GOES : COMES;
    if (remove)
        lki_set_remove_latched(&test.set, thread, o);
    else
        require(lki_set_add_latched(&test.set, thread, o, o->hash) == LKI_SET_ADDED, "not added",
                0);
    o->where = remove ? ABSENT : THERE;
    require(thread->retired_in_call <= 4, "more retired than reserved", thread->retired_in_call);
    lki_write_leave(thread);
}

/* `before`: as it was when the look began. */
static void
found_check(const object *o, object before, bool found)
{
    if (o->changes != before.changes || o->where != before.where)
        return;
    if (o->where == THERE)
        require(found, "not found", (unsigned)o->id);
    if (o->where == ABSENT)
        require(!found, "found though it was removed", (unsigned)o->id);
}

static void
object_look(lki_thread *thread, object *o)
{
    const lk_key key = {{&o->id, sizeof o->id}, {NULL, 0}};
    lki_hashed hashed = {&key, o->hash, lki_key_sizes(&key), false};
    const object before = *o;
    bool final;
    lki_enter(thread);
    void *found;
    if (random_below(4) == 0) {
        found = lki_set_get(&test.set, &hashed);
    } else { /* as readers do */
        found = lki_bucket_find(lki_set_bucket(&test.set, o->hash), &hashed, offsetof(object, id),
                                &final);
        if (found == NULL && !final)
            found = lki_set_get(&test.set, &hashed);
    }
    require(found == NULL || found == o, "another object", (unsigned)o->id);
    found_check(o, before, found != NULL);
    lki_leave(thread);
}

/* One section for each run, as the sweep does. */
static void
walk_look(lki_thread *thread)
{
    object before[OBJECTS];
    bool seen[OBJECTS] = {false};
    lki_set_position at = {0};
    void *objects[8];
    memcpy(before, test.objects, sizeof before);
    while (!lki_set_is_end(&at)) {
        lki_enter(thread);
        size_t count = lki_set_walk(&test.set, &at, objects, 8);
        for (size_t i = 0; i < count; i++)
            seen[(object *)objects[i] - test.objects] = true;
        lki_leave(thread);
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        found_check(&test.objects[i], before[i], seen[i]);
}

static void *
actor_main(void *argument)
{
    actor *me = argument;
    unsigned number = (unsigned)(me - test.actors);
    lk_status why;
    me->record = lki_thread_self(&test.domain, &why);
    require(me->record != NULL, "no thread", 0);
    hand_on(&test.back, &me->go);
    while (!test.over) {
        self = me;
        if (number < WRITERS) {
            for (unsigned i = 0; i < CHANGES; i++) {
                object *o = &test.objects[random_below(OBJECTS / 2) * 2 + number];
                if (!o->stays || o->where != THERE)
                    object_change(me->record, o);
            }
        } else {
            for (unsigned i = 0; i < LOOKS; i++) {
                if (random_below(8) == 0)
                    walk_look(me->record);
                else
                    object_look(me->record, &test.objects[random_below(OBJECTS)]);
            }
        }
        self = NULL;
        me->done = true;
        if (test.holder == me) /* it was, when it handed on last */
            test.holder = NULL;
        actor *next = actor_pick();
        hand_on(next != NULL ? &next->go : &test.back, &me->go);
    }
    return NULL;
}

/* ---- a schedule ---- */

static void
schedule_run(uint64_t schedule)
{
    test.schedule = schedule;
    test.random = (schedule + 1) * 0x9e3779b97f4a7c15U;
    test.every = 1 + (unsigned)random_below(60);
    test.steps = 0;
    test.holder = NULL;
    memset(&test.set, 0, sizeof test.set);
    require(lki_set_open(&test.set, &test.domain.allocator, object_is, 1, 0), "no memory", 0);
    test.set.buckets_max = (size_t)1 << random_below(3);
    uint64_t last = (uint64_t)1 << random_below(4), tags = 1 + random_below(40);
    for (unsigned i = 0; i < OBJECTS; i++) {
        object *o = &test.objects[i];
        uint64_t half = (uint64_t)(i % 2) << 31 | random_below(1 << 10) << 21 | random_below(last);
        uint64_t hash = lki_half_hash((uint32_t)half) | random_below(tags) << 24;
        *o = (object){{(uint32_t)half, 8, 0}, i, hash, false, ABSENT, 0};
        o->stays = random_below(2) == 0;
        if (random_below(3) == 0)
            object_change(test.record, o);
    }
    for (unsigned i = 0; i < ACTORS; i++)
        test.actors[i].done = false;
    hand_on(&actor_pick()->go, &test.back);
    size_t there = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        there += test.objects[i].where == THERE;
    require(lki_set_check(&test.set) == there, "a broken set", (unsigned)there);
    for (unsigned i = 0; i < OBJECTS; i++)
        object_look(test.record, &test.objects[i]);
    lki_set_close(&test.set);
    (void)lki_reclaim_now(test.record);
}

static int
test_open(void **state)
{
    lk_status why;
    (void)state;
    alarm(test_scaled(100) > 100 ? 0 : HANG_SECONDS);
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
    lki_domain_close(&test.domain);
    alarm(0);
    return 0;
}

static void
test_set_object_there_throughout_is_found(void **state)
{
    (void)state;
    const char *text = getenv("LK_TEST_SEED");
    uint64_t first = text != NULL ? strtoull(text, NULL, 10) : 20260101;
    uint64_t count = test_scaled(SCHEDULES);
    for (uint64_t i = 0; i < count; i++)
        schedule_run(first + i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_set_object_there_throughout_is_found, test_open,
                                        test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
