/* SPDX-License-Identifier: MIT
 *
 * The two kinds of sets of base/ with a few threads. `set`: what is there throughout a look is
 * found (P3), also where a directory grows (`set_double`) and where buckets are full (`set_full`).
 * `order`: walks and searches between insertions and removals (P10).
 *
 * In the swarms each seed draws who calls what. `set_swarm`: two writers, each with the latch of
 * its shard, so that parts double, split, shrink and are cleaned, the directory doubles, and some
 * objects do not fit; two readers look and walk. `order_swarm`: the calls on two neighbouring names
 * have an order in which one thread could have made them; one that has stopped holds up nobody, and
 * what others have removed is not linked any more. What is retired is freed once and not too early:
 * the scheduler's memory sees to that.
 */
#include <stddef.h>
#include <stdlib.h>

#include "base/order.h"
#include "base/part.h"
#include "schedule/domain.h"
#include "schedule/store.h"

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
    domain_open();
    lki_latch_init(&shard, LKI_RANK_SHARD);
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
    domain_open();
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

/* ---- swarms ---- */

/* A set of two shards. Each writer changes the objects of its own, and says before and after what
 * becomes of one. */
enum { SHARDS = 2, MEMBERS = 32, CHANGES = 24, LOOKS = 8 };

enum { ABSENT, COMES, THERE, GOES };

typedef struct member {
    object o;
    uint64_t hash;
    bool stays;     /* once it is there */
    unsigned state; /* four times how often it changed, and where it is */
} member;

static lki_latch latches[SHARDS];
static member members[MEMBERS];

/* From where it is to the other end. */
static void
member_change(lki_thread *thread, member *m)
{
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 4));
    m->state++;
    if (m->state % 4 == GOES)
        lki_set_remove_latched(&set, thread, m);
    else
        SCHEDULE_EXPECT(lki_set_add_latched(&set, thread, m, m->hash) == LKI_SET_ADDED);
    m->state++;
    lki_write_leave(thread);
}

static void
swarm_prepare(void)
{
    domain_open();
    (void)self();
}

static void
set_swarm_setup(void)
{
    SCHEDULE_EXPECT(lki_set_open(&set, &domain.allocator, object_is, 1, 0));
    set.buckets_max = (size_t)1 << schedule_random() % 3;
    uint64_t last = (uint64_t)1 << schedule_random() % 4, tags = 1 + schedule_random() % 40;
    for (size_t i = 0; i < SHARDS; i++)
        lki_latch_init(&latches[i], LKI_RANK_SHARD);
    for (size_t i = 0; i < MEMBERS; i++) {
        member *m = &members[i];
        uint64_t half = (uint64_t)(i % SHARDS) << 31 | schedule_random() % (1 << 10) << 21 |
                        schedule_random() % last;
        m->hash = lki_half_hash((uint32_t)half) | schedule_random() % tags << 24;
        m->o = (object){{(uint32_t)half, sizeof(uint64_t), 0}, i};
        m->stays = schedule_random() % 2 == 0;
        if (schedule_random() % 3 == 0)
            member_change(self(), m);
    }
}

static void
set_swarm_write(void)
{
    size_t its = schedule_self() - 1;
    for (int i = 0; i < CHANGES; i++) {
        member *m = &members[schedule_random() % (MEMBERS / SHARDS) * SHARDS + its];
        lki_thread *thread = self();
        lki_latch_take(&latches[its], thread);
        if (!m->stays || m->state % 4 != THERE)
            member_change(thread, m);
        lki_latch_drop(&latches[its]);
    }
}

/* `state`: as it was when the look began. */
static void
found_check(const member *m, unsigned state, bool found)
{
    if (m->state != state)
        return;
    if (state % 4 == THERE && !found)
        schedule_fail("object %d is not found", (int)m->o.id);
    if (state % 4 == ABSENT && found)
        schedule_fail("object %d is found, and was removed", (int)m->o.id);
}

static void
member_look(lki_thread *thread, const member *m)
{
    unsigned state = m->state;
    const lk_key key = {{&m->o.id, sizeof m->o.id}, {NULL, 0}};
    lki_hashed hashed = {&key, m->hash, lki_key_sizes(&key), false};
    bool final = false;
    void *found = NULL;
    lki_enter(thread);
    if (schedule_random() % 4 != 0) /* as readers do */
        found =
            lki_bucket_find(lki_set_bucket(&set, m->hash), &hashed, offsetof(object, id), &final);
    if (found == NULL && !final)
        found = lki_set_get(&set, &hashed);
    SCHEDULE_EXPECT(found == NULL || found == m);
    found_check(m, state, found != NULL);
    lki_leave(thread);
}

/* One section for each run, as the sweep does. */
static void
members_walk(lki_thread *thread)
{
    unsigned states[MEMBERS];
    bool seen[MEMBERS] = {false};
    lki_set_position at = {0};
    for (size_t i = 0; i < MEMBERS; i++)
        states[i] = members[i].state;
    while (!lki_set_is_end(&at)) {
        void *found[LKI_BUCKET_SLOTS];
        lki_enter(thread);
        size_t count = lki_set_walk(&set, &at, found, LKI_BUCKET_SLOTS);
        for (size_t i = 0; i < count; i++)
            seen[(member *)found[i] - members] = true;
        lki_leave(thread);
    }
    for (size_t i = 0; i < MEMBERS; i++)
        found_check(&members[i], states[i], seen[i]);
}

static void
set_swarm_read(void)
{
    for (int i = 0; i < LOOKS; i++)
        if (schedule_random() % 8 == 0)
            members_walk(self());
        else
            member_look(self(), &members[schedule_random() % MEMBERS]);
}

static void
set_swarm_check(void)
{
    size_t there = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        there += members[i].state % 4 == THERE;
        member_look(self(), &members[i]);
    }
    SCHEDULE_EXPECT(lki_set_check(&set) == there);
}

/* An ordered set, two names in it that are neighbours, and entries around them that stay. */
enum { ACTORS = 3, CALLS = 4, NAMES = 2, FIXED = 3 };

#define EVER UINT64_MAX

typedef enum kind { INSERT, REMOVE, WALK } kind;

typedef struct call {
    kind kind;
    unsigned name;       /* not of a walk */
    uint64_t start, end; /* points of the schedule */
    unsigned result;     /* of a walk: a bit for each name that it saw */
} call;

static call calls[ACTORS][CALLS];
static unsigned actors_done;

static lki_entry *
name_entry(lki_thread *thread, unsigned name)
{
    lki_entry *entry = lki_entry_new(thread, 1, (lk_bytes){"ab", name + 1}, 0, 1);
    SCHEDULE_EXPECT(entry != NULL);
    return entry;
}

static unsigned
names_walk(void)
{
    unsigned seen = 0, fixed = 0;
    uint64_t last = 0;
    for (const lki_entry *entry = lki_order_first(&ordered); entry != NULL;
         entry = lki_order_next(entry)) {
        uint64_t place = entry->rank * 10 + entry->size + 1;
        if (place <= last)
            schedule_fail("%d after %d", (int)place, (int)last);
        last = place;
        seen |= entry->size > 0 ? 1U << (entry->size - 1) : 0;
        fixed += entry->size == 0;
    }
    SCHEDULE_EXPECT(fixed == FIXED);
    return seen;
}

static void
call_make(call *c)
{
    lki_thread *thread = self();
    lki_entry *entry = c->kind == INSERT ? name_entry(thread, c->name) : NULL;
    c->end = EVER;
    c->start = schedule_step();
    lki_write_enter(thread);
    SCHEDULE_EXPECT(lki_reserve(thread, 1));
    if (c->kind == INSERT)
        c->result = lki_order_insert(&ordered, thread, entry);
    else if (c->kind == REMOVE)
        c->result = lki_order_remove(&ordered, thread, 1, (lk_bytes){"ab", c->name + 1}, 1);
    else
        c->result = names_walk();
    if (c->kind == INSERT && c->result == 0)
        lki_entry_discard(thread, entry);
    c->end = schedule_step();
    lki_write_leave(thread);
}

/* How many removals have begun and not come back; so many calls have begun, or ended. */
static unsigned
removals_open(unsigned *moves)
{
    unsigned open = 0;
    *moves = 0;
    for (size_t i = 0; i < (size_t)ACTORS * CALLS; i++) {
        uint64_t end = calls[0][i].end;
        open += calls[0][i].kind == REMOVE && end == EVER;
        *moves += end == 0 ? 0 : end == EVER ? 1 : 2;
    }
    return open;
}

/* Only these may have left what they removed for walks to step over, whoever is stopped. */
static void
rest_check(void)
{
    unsigned marked = 0, before, after, open = removals_open(&before);
    lki_enter(self());
    uintptr_t link = lki_load_acquire(&ordered.head[0]);
    while (link != 0) {
        uintptr_t next = lki_load_acquire(&((const lki_entry *)link)->next[0]);
        marked += (next & 1) != 0;
        link = next - (next & 1);
    }
    lki_leave(self());
    (void)removals_open(&after);
    if (before == after && marked > open)
        schedule_fail("%u entries are removed and still linked", marked - open);
}

static void
order_swarm_setup(void)
{
    static const kind kinds[9] = {INSERT, INSERT, INSERT, INSERT, REMOVE,
                                  REMOVE, REMOVE, REMOVE, WALK};
    unsigned names = 1 + (unsigned)(schedule_random() % NAMES);
    for (uint64_t rank = 0; rank < FIXED; rank++)
        entry_add(rank);
    for (size_t i = 0; i < ACTORS; i++)
        for (size_t k = 0; k < CALLS; k++)
            calls[i][k] = (call){.kind = kinds[schedule_random() % 9],
                                 .name = (unsigned)(schedule_random() % names)};
}

static void
order_swarm(void)
{
    for (size_t k = 0; k < CALLS; k++)
        call_make(&calls[schedule_self() - 1][k]);
    if (++actors_done == ACTORS - 1)
        rest_check();
}

/* Is there an order of these calls on one name in which each returns what it did? A call may come
 * next if none of the others ended before it began. */
static bool
history_orders(call *const *of, unsigned count, unsigned name, unsigned left, bool there)
{
    uint64_t first_end = EVER;
    for (unsigned i = 0; i < count; i++)
        if ((left >> i & 1) != 0 && of[i]->end < first_end)
            first_end = of[i]->end;
    for (unsigned i = 0; i < count; i++) {
        const call *c = of[i];
        if ((left >> i & 1) == 0 || c->start > first_end)
            continue;
        bool result = c->kind == WALK ? (c->result >> name & 1) != 0 : c->result != 0;
        if (result != (c->kind == INSERT ? !there : there))
            continue;
        bool then = c->kind == INSERT || (c->kind == WALK && there);
        if (history_orders(of, count, name, left & ~(1U << i), then))
            return true;
    }
    return left == 0;
}

static void
order_swarm_check(void)
{
    call last = {.kind = WALK, .start = EVER, .end = EVER};
    size_t there = FIXED;
    last.result = names_walk();
    for (unsigned name = 0; name < NAMES; name++) {
        call *of[ACTORS * CALLS + 1];
        unsigned count = 0;
        for (size_t i = 0; i < (size_t)ACTORS * CALLS; i++)
            if (calls[0][i].kind == WALK || calls[0][i].name == name)
                of[count++] = &calls[0][i];
        of[count++] = &last;
        if (!history_orders(of, count, name, (1U << count) - 1, false))
            schedule_fail("the calls on name %u have no order", name);
        there += last.result >> name & 1;
    }
    SCHEDULE_EXPECT(lki_order_check(&ordered) == there);
}

#define SET(title, how, ...)                                                 \
    {                                                                        \
        .name = title, .prepare = how, .teardown = set_teardown, __VA_ARGS__ \
    }

#define ORDER(title, ...)                                                                \
    {                                                                                    \
        .name = title, .prepare = order_prepare, .teardown = order_teardown, __VA_ARGS__ \
    }

const schedule_scenario schedule_scenarios[] = {
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
    {.name = "set_swarm",
     .prepare = swarm_prepare,
     .setup = set_swarm_setup,
     .body = {set_swarm_write, set_swarm_write, set_swarm_read, set_swarm_read},
     .check = set_swarm_check,
     .teardown = set_teardown,
     .memory = SCHEDULE_SC,
     .count = 12000},
    {.name = "order_swarm",
     .prepare = swarm_prepare,
     .setup = order_swarm_setup,
     .body = {order_swarm, order_swarm, order_swarm},
     .check = order_swarm_check,
     .teardown = order_teardown,
     .memory = SCHEDULE_SC,
     .stops = 1,
     .count = 30000},
    {0},
};
