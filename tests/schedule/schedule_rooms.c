/* SPDX-License-Identifier: MIT
 *
 * Single rooms of base/ with two or three threads: schedules of a few dozen points, so that a great
 * many run. `wait`: nobody sleeps past what came (P15). `reclaim`: an object that a section may
 * see is not freed (P8 and the epochs). `set`: what is there throughout a look is found (P3), also where a
 * directory grows (`set_double`) and where buckets are full (`set_full`). `order`: walks and searches between
 * insertions and removals (P10). `bound`: it is never above what it bounds (P12).
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/order.h"
#include "base/part.h"
#include "base/reclaim.h"
#include "base/wait.h"
#include "queue/times.h"
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

/* So often that upkeep comes by, which looks at other threads' garbage in turn. */
static void
replace_many(void)
{
    lki_thread *thread = self();
    for (uint64_t number = 2; number < 14; number++) {
        thing *made = thing_new(number);
        lki_write_enter(thread);
        SCHEDULE_EXPECT(lki_reserve(thread, 1));
        thing *old = lki_swap_seq_cst(&current, made);
        lki_retire(thread, LKI_RECORD, old, sizeof *old);
        lki_write_leave(thread);
    }
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

enum { OBJECTS = 10, BELOW = 3 }; /* the first few are there all the time */

typedef struct object {
    lki_keyed keyed;
    uint64_t id;
} object;

static lki_set set;
static lki_latch shard;
static uint64_t hashes[OBJECTS];
static object objects[OBJECTS];
static unsigned all; /* of them are used */

static lki_hashed
hashed_of(unsigned i, uint64_t *id, lk_key *key)
{
    *id = i + 1;
    *key = (lk_key){{id, sizeof *id}, {NULL, 0}};
    return (lki_hashed){key, hashes[i], lki_key_sizes(key), false};
}

static bool
object_is(const void *o, const lki_hashed *hashed)
{
    return lki_keyed_is(o, offsetof(object, id), hashed);
}

static void
object_add(lki_thread *thread, unsigned i)
{
    objects[i] = (object){{lki_half_of(hashes[i]), sizeof(uint64_t), 0}, i + 1};
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 4));
    SCHEDULE_EXPECT(lki_set_add_latched(&set, thread, &objects[i], hashes[i]) == LKI_SET_ADDED);
    lki_write_leave(thread);
}

/* `apart`: factor of the halves, which tell part and bucket; so many tags. */
static void
set_prepare_with(size_t buckets_max, unsigned count, uint32_t apart, unsigned tags)
{
    domain_prepare();
    lki_latch_init(&shard);
    SCHEDULE_EXPECT(lki_set_open(&set, &domain.allocator, object_is, 0, 0));
    set.buckets_max = buckets_max;
    all = count;
    for (unsigned i = all; i-- > 0;) {
        hashes[i] = lki_half_hash(i * apart) | (uint64_t)(i % tags) << 24;
        if (i < BELOW)
            object_add(self(), i);
    }
}

static void
set_prepare(void)
{
    set_prepare_with(2, 6, 0x9e3779b9u, 3);
}

/* All in the first half of the directory, which has to grow. */
static void
set_prepare_double(void)
{
    set_prepare_with(1, 8, (uint32_t)1 << 28, 3);
}

/* All in one bucket. */
static void
set_prepare_full(void)
{
    set_prepare_with(64, OBJECTS, (uint32_t)1 << 12, 3);
}

static void
set_add(void)
{
    lki_thread *thread = self();
    for (unsigned i = BELOW; i < all; i++) {
        lki_latch_take(&shard, thread);
        object_add(thread, i);
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

/* The same place and the same tag, again and again. */
static void
set_prepare_reuse(void)
{
    set_prepare_with(64, 6, (uint32_t)1 << 12, 1);
}

static void
set_reuse(void)
{
    lki_thread *thread = self();
    for (unsigned i = BELOW; i < all; i++) {
        lki_latch_take(&shard, thread);
        lki_write_enter(thread);
        SCHEDULE_EXPECT(lki_reserve(thread, 4));
        lki_set_remove_latched(&set, thread, &objects[i == BELOW ? 0 : i - 1]);
        lki_write_leave(thread);
        object_add(thread, i);
        lki_latch_drop(&shard);
    }
}

/* As readers do. */
static bool
object_is_found(unsigned i)
{
    uint64_t id;
    lk_key key;
    bool final;
    lki_hashed hashed = hashed_of(i, &id, &key);
    void *found =
        lki_bucket_find(lki_set_bucket(&set, hashes[i]), &hashed, offsetof(object, id), &final);
    if (found == NULL && !final)
        found = lki_set_get(&set, &hashed);
    SCHEDULE_EXPECT(found == NULL || found == &objects[i]);
    return found != NULL;
}

static void
object_expect(lki_thread *thread, unsigned i)
{
    lki_enter(thread);
    if (!object_is_found(i))
        schedule_fail("object %u is not found", i);
    lki_leave(thread);
}

static void
set_look(void)
{
    for (unsigned i = 1; i < BELOW; i++)
        object_expect(self(), i);
}

/* Among others of the same tag, which may come and go. */
static void
set_look_for_last(void)
{
    for (int i = 0; i < 2; i++) {
        lki_thread *thread = self();
        uint64_t id;
        lk_key key;
        lki_enter(thread);
        (void)object_is_found(all - 1);
        lki_hashed hashed = hashed_of(all - 1, &id, &key);
        (void)lki_set_get(&set, &hashed);
        lki_leave(thread);
    }
    set_look();
}

static void
set_look_for_new(void)
{
    object_expect(self(), all - 1);
}

/* Those that may be there, from the last one on: who sees one sees those before it. */
static void
set_look_for_all(void)
{
    lki_thread *thread = self();
    bool there = false;
    lki_enter(thread);
    for (unsigned i = all; i-- > 1;) {
        bool found = object_is_found(i);
        if (!found && (there || i < BELOW))
            schedule_fail("object %u is not found", i);
        there |= found;
    }
    lki_leave(thread);
}

static void
set_walk(void)
{
    lki_thread *thread = self();
    lki_set_position at = {0};
    unsigned seen = 0;
    lki_enter(thread);
    while (!lki_set_is_end(&at)) {
        void *found[LKI_BUCKET_SLOTS];
        size_t count = lki_set_walk(&set, &at, found, LKI_BUCKET_SLOTS);
        for (size_t i = 0; i < count; i++)
            seen |= 1U << ((object *)found[i])->id;
    }
    lki_leave(thread);
    for (unsigned i = 1; i < BELOW; i++)
        if ((seen >> (i + 1) & 1) == 0)
            schedule_fail("a walk does not find object %u", i);
}

static void
set_check(void)
{
    SCHEDULE_EXPECT(!object_is_found(0));
    for (unsigned i = 1; i < all; i++)
        SCHEDULE_EXPECT(object_is_found(i));
}

static void
set_teardown(void)
{
    lki_set_close(&set);
    lki_domain_close(&domain);
}

/* ---- order ---- */

enum { ENTRIES = 12 };
static lki_order ordered;

static void
entry_add(uint64_t rank)
{
    lki_thread *thread = self();
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 1));
    lki_entry *entry = lki_entry_new(thread, rank, (lk_bytes){NULL, 0}, 0, rank);
    SCHEDULE_EXPECT(entry != NULL && lki_order_insert(&ordered, thread, entry));
    lki_write_leave(thread);
}

static void
entry_remove(uint64_t rank)
{
    lki_thread *thread = self();
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 1));
    SCHEDULE_EXPECT(lki_order_remove(&ordered, thread, rank, (lk_bytes){NULL, 0}, rank));
    lki_write_leave(thread);
}

/* The odd ones stay; of the even ones the lower half is there. */
static void
order_prepare(void)
{
    domain_prepare();
    for (uint64_t rank = 1; rank <= ENTRIES; rank++)
        if (rank % 2 == 1 || rank <= ENTRIES / 2)
            entry_add(rank);
}

static void
order_remove(void)
{
    for (uint64_t rank = 2; rank <= ENTRIES / 2; rank += 2)
        entry_remove(rank);
    (void)lki_reclaim_now(self());
}

static void
order_insert(void)
{
    for (uint64_t rank = ENTRIES; rank > ENTRIES / 2; rank -= 2)
        entry_add(rank);
}

/* What comes is taken as soon as it is seen. */
static void
order_take(void)
{
    lki_thread *thread = self();
    for (int i = 0; i < 2; i++) {
        lki_write_enter(thread);
        const lki_entry *entry = lki_order_from(&ordered, ENTRIES - 2);
        while (entry != NULL && entry->rank % 2 == 1)
            entry = lki_order_next(entry);
        uint64_t rank = entry != NULL ? entry->rank : 0;
        SCHEDULE_EXPECT(lki_reserve(thread, 1));
        if (rank != 0)
            SCHEDULE_EXPECT(lki_order_remove(&ordered, thread, rank, (lk_bytes){NULL, 0}, rank));
        lki_write_leave(thread);
        (void)lki_reclaim_now(thread);
    }
}

/* One comes right behind one that goes then: who passes over that goes along its last link. */
static void
order_behind(void)
{
    for (uint64_t rank = 1; rank < ENTRIES; rank += 4) {
        lki_thread *thread = self();
        lki_write_enter(thread);
        SCHEDULE_EXPECT(lki_reserve(thread, 1));
        lki_entry *entry = lki_entry_new(thread, rank, (lk_bytes){"a", 1}, 0, rank);
        SCHEDULE_EXPECT(entry != NULL && lki_order_insert(&ordered, thread, entry));
        lki_write_leave(thread);
        entry_remove(rank);
    }
}

static void
order_walk_again(void)
{
    lki_thread *thread = self();
    uint64_t last = 0;
    lki_enter(thread);
    for (const lki_entry *entry = lki_order_first(&ordered); entry != NULL;
         entry = lki_order_next(entry)) {
        if (entry->rank < last || entry->rank != entry->to)
            schedule_fail("%d after %d", (int)entry->rank, (int)last);
        last = entry->rank;
    }
    lki_leave(thread);
}

static void
order_walk(void)
{
    lki_thread *thread = self();
    uint64_t last = 0, odd = 0;
    lki_enter(thread);
    for (const lki_entry *entry = lki_order_first(&ordered); entry != NULL;
         entry = lki_order_next(entry)) {
        if (entry->rank <= last || entry->rank != entry->to)
            schedule_fail("%d after %d", (int)entry->rank, (int)last);
        last = entry->rank;
        odd += last % 2;
    }
    lki_leave(thread);
    SCHEDULE_EXPECT(odd == ENTRIES / 2);
}

static void
order_check(void)
{
    SCHEDULE_EXPECT(lki_order_check(&ordered) != SIZE_MAX);
    order_walk();
}

static void
order_teardown(void)
{
    lki_order_close(&ordered, &domain.allocator);
    lki_domain_close(&domain);
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
#define SET(title, how, ...)                                                 \
    {                                                                        \
        .name = title, .prepare = how, .teardown = set_teardown, __VA_ARGS__ \
    }
#define ORDER(title, ...)                                                                \
    {                                                                                    \
        .name = title, .prepare = order_prepare, .teardown = order_teardown, __VA_ARGS__ \
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
    RECLAIM("reclaim_theft", .body = {read_in_sections, replace_and_reclaim, reclaim_others},
            .count = 20000),
    RECLAIM("reclaim_turns", .body = {replace_many, replace_many, replace_many}, .count = 3000),
    RECLAIM("reclaim_outside", .body = {read_outside, replace_and_reclaim}, .fails = "freed",
            .memory = SCHEDULE_SC),
    SET("set", set_prepare, .body = {set_add, set_remove_one, set_look}, .check = set_check,
        .count = 20000),
    SET("set_double", set_prepare_double, .body = {set_add, set_look_for_all, set_walk},
        .count = 3000),
    SET("set_full", set_prepare_full, .body = {set_add, set_look_for_all, set_walk}, .count = 3000),
    SET("set_reuse", set_prepare_reuse, .body = {set_reuse, set_look_for_last, set_walk},
        .count = 3000),
    SET("set_too_early", set_prepare, .body = {set_add, set_remove_one, set_look_for_new},
        .fails = "object 5 is not found"),
    ORDER("order", .body = {order_insert, order_remove, order_walk}, .check = order_check,
          .count = 3000),
    ORDER("order_take", .body = {order_insert, order_take, order_walk}, .check = order_check,
          .count = 3000),
    ORDER("order_behind", .body = {order_behind, order_walk_again, order_walk_again},
          .check = order_walk_again, .count = 3000),
    BOUND("bound", .body = {bound_claim, bound_claim, bound_claim, bound_tend}, .count = 20000),
    BOUND("bound_two", .body = {bound_claim, bound_tend, bound_tend}, .count = 20000),
    BOUND("bound_once", .body = {bound_claim_once, bound_tend}, .fails = "and the bound is above"),
    {0},
};
