/* SPDX-License-Identifier: MIT
 *
 * The choices. See policy.h.
 */
#include "schedule/policy.h"

#include <string.h>

#include "schedule/engine.h"
#include "schedule/report.h"

enum { DEPTH_MAX = 5, STACK_MAX = 1 << 16, TURN = 32 /* points */ };

static struct {
    policy_kind kind;
    uint64_t state;  /* of the generator that choices come from */
    uint64_t wishes; /* of the generator of policy_random */
    uint64_t points;
    policy_trace *noted;
    const policy_trace *replayed;
    uint32_t mean; /* random walk: points between switches */
    uint32_t lowest, changes, changed;
    uint64_t change[DEPTH_MAX];  /* PCT: steps, ascending */
    const uint8_t *front, *back; /* bytes: those that are left */
    /* all */
    uint32_t bound, unasked;
    uint32_t depth, known; /* choices of this run so far; those that the last run left */
    uint32_t chosen[STACK_MAX], among[STACK_MAX];
} policy;

static uint64_t
random_of(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static uint32_t
random_below(uint32_t n)
{
    return (uint32_t)((random_of(&policy.state) >> 32) * n >> 32);
}

void
policy_bytes(const uint8_t *bytes, size_t size)
{
    policy.front = bytes;
    policy.back = bytes + size;
}

static uint32_t
byte_chosen(void)
{
    return policy.front < policy.back ? *--policy.back : 0;
}

uint64_t
policy_random(void)
{
    if (policy.kind == POLICY_BYTES)
        return policy.front < policy.back ? *policy.front++ : 0;
    return random_of(&policy.wishes);
}

void
policy_traces(policy_trace *noted, const policy_trace *replayed)
{
    policy.noted = noted;
    policy.replayed = replayed;
}

void
policy_bound(uint32_t switches)
{
    policy.bound = switches;
}

void
policy_heal(void)
{
    policy.kind = POLICY_FAIR;
}

static void
changes_draw(void)
{
    policy.changes = 2 + random_below(DEPTH_MAX - 2); /* depth 3 to 5 */
    policy.changed = 0;
    for (uint32_t i = 0; i < policy.changes; i++) {
        uint64_t at =
            1 + random_below(policy.points < UINT32_MAX ? (uint32_t)policy.points : UINT32_MAX);
        uint32_t j = i;
        for (; j > 0 && policy.change[j - 1] > at; j--)
            policy.change[j] = policy.change[j - 1];
        policy.change[j] = at;
    }
}

void
policy_begin(policy_kind kind, uint64_t seed, uint64_t points)
{
    policy.state = seed * 0xd1342543de82ef95U + 1;
    policy.wishes = seed * 0xaf251af3b0f025b5U + 2;
    policy.points = points > 8 ? points : 8;
    if (kind == POLICY_MIX)
        kind = random_of(&policy.state) & 1 ? POLICY_PCT : POLICY_RANDOM;
    policy.kind = kind;
    policy.noted->count = 0;
    policy.depth = policy.unasked = 0;
    for (uint32_t i = 0; i < ENGINE_FIBERS; i++)
        engine.fiber[i].replayed = 0;
    if (kind == POLICY_RANDOM) {
        uint32_t widths = 1;
        while (widths < 12 && policy.points >> (widths + 1) > 0)
            widths++;
        policy.mean = 1U << random_below(widths);
    } else if (kind == POLICY_PCT) {
        changes_draw();
    }
}

void
policy_started(void)
{
    policy.lowest = 1U << 31;
    if (policy.kind == POLICY_PCT) {
        uint32_t order[ENGINE_FIBERS];
        for (uint32_t i = 1; i <= engine.fibers; i++) {
            uint32_t j = 1 + random_below(i);
            order[i] = order[j < i ? j : i];
            order[j] = i;
            if (j == i)
                order[i] = i;
        }
        for (uint32_t i = 1; i <= engine.fibers; i++)
            engine.fiber[order[i]].priority = policy.lowest + i;
    }
}

/* ---- what is noted ---- */

static void
choice_note(uint32_t value)
{
    policy_trace *noted = policy.noted;
    if (noted->count < POLICY_CHOICES)
        noted->choice[noted->count++] = (policy_choice){engine.current, engine.count, value};
}

/* The running fiber's next choice in the list from `at` on. */
static uint32_t
replay_find(uint32_t at)
{
    const policy_trace *list = policy.replayed;
    while (at < list->count && list->choice[at].fiber != engine.current)
        at++;
    return at;
}

/* What the list says about this point; 0: nothing. */
static uint32_t
replay_take(void)
{
    engine_fiber *self = &engine.fiber[engine.current];
    const policy_trace *list = policy.replayed;
    uint32_t at = replay_find(self->replayed);
    while (at < list->count && list->choice[at].count < engine.count)
        at = replay_find(at + 1);
    self->replayed = at;
    return at < list->count && list->choice[at].count == engine.count ? list->choice[at].value : 0;
}

static uint64_t
replay_event(void)
{
    engine_fiber *self = &engine.fiber[engine.current];
    const policy_trace *list = policy.replayed;
    uint32_t at = replay_find(self->replayed);
    while (at < list->count && list->choice[at].count <= engine.count)
        at = replay_find(at + 1);
    return at < list->count ? list->choice[at].count : UINT64_MAX;
}

/* ---- all runs ---- */

static uint32_t
all_choose(uint32_t n)
{
    uint32_t at = policy.depth++;
    if (at >= STACK_MAX)
        report_misuse("more than %d choices in a run: too many to try all", STACK_MAX);
    if (at >= policy.known) {
        policy.chosen[at] = 0;
        policy.known = at + 1;
    }
    policy.among[at] = n;
    return policy.chosen[at];
}

bool
policy_advance(void)
{
    policy.known = policy.depth;
    while (policy.known > 0 &&
           policy.chosen[policy.known - 1] + 1 >= policy.among[policy.known - 1])
        policy.known--;
    if (policy.known == 0)
        return false;
    policy.chosen[policy.known - 1]++;
    return true;
}

/* ---- choices ---- */

uint32_t
schedule_choose(uint32_t n)
{
    uint32_t value = 0;
    engine.count++;
    if (n > 1) {
        switch (policy.kind) {
        case POLICY_RANDOM:
        case POLICY_PCT:
        case POLICY_MIX:
            value = random_below(2) == 0 ? 0 : random_below(n);
            break;
        case POLICY_BYTES:
            value = byte_chosen() % n;
            break;
        case POLICY_ALL:
            value = all_choose(n);
            break;
        case POLICY_REPLAY:
            value = replay_take() % n;
            break;
        case POLICY_NONE:
        case POLICY_FAIR:
            break;
        }
    }
    if (value != 0)
        choice_note(value);
    return value;
}

/* The first runnable fiber after `from`, in a circle. */
static uint32_t
circle_next(uint32_t from)
{
    uint32_t mask = engine.runnable, above = mask & ~((2U << from) - 1);
    return (uint32_t)__builtin_ctz(above != 0 ? above : mask);
}

static uint32_t
circle_nth(uint32_t from, uint32_t n)
{
    for (from = circle_next(from); n > 0; n--)
        from = circle_next(from);
    return from;
}

static uint32_t
highest(void)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i <= engine.fibers; i++)
        if ((engine.runnable & 1U << i) != 0 &&
            (best == 0 || engine.fiber[i].priority > engine.fiber[best].priority))
            best = i;
    return best;
}

uint32_t
policy_forced(void)
{
    uint32_t usual = circle_next(engine.current), next = usual;
    uint32_t n = (uint32_t)__builtin_popcount(engine.runnable);
    switch (policy.kind) {
    case POLICY_RANDOM:
    case POLICY_MIX:
        next = n > 1 ? circle_nth(engine.current, random_below(n)) : usual;
        break;
    case POLICY_BYTES:
        next = n > 1 ? circle_nth(engine.current, byte_chosen() % n) : usual;
        break;
    case POLICY_PCT:
        if (engine.current != 0) /* who gives way stays behind */
            engine.fiber[engine.current].priority = --policy.lowest;
        next = highest();
        break;
    case POLICY_ALL:
        if (engine.current == 0 && engine.freeze_fiber != 0)
            next = engine.freeze_fiber; /* where others end first, it stops for nobody */
        else
            next = n > 1 ? circle_nth(engine.current, all_choose(n)) : usual;
        break;
    case POLICY_REPLAY: {
        uint32_t wanted = replay_take();
        if (wanted < ENGINE_FIBERS && (engine.runnable & 1U << wanted) != 0)
            next = wanted;
        break;
    }
    case POLICY_NONE:
    case POLICY_FAIR:
        break;
    }
    if (next != usual)
        choice_note(next);
    return next;
}

void
policy_next_event(void)
{
    uint64_t at = UINT64_MAX;
    switch (policy.kind) {
    case POLICY_RANDOM:
    case POLICY_MIX:
        at = (uint64_t)engine.count + 1 + random_below(2 * policy.mean);
        break;
    case POLICY_BYTES: /* 1 to 4,096 points, small ones exactly */
        if (policy.front < policy.back) {
            uint32_t byte = byte_chosen();
            at = (uint64_t)engine.count + ((1 + byte % 32) << byte / 32);
        }
        break;
    case POLICY_PCT: {
        uint64_t steps = engine_steps();
        if (policy.changed < policy.changes) {
            uint64_t change = policy.change[policy.changed];
            at = engine.count + (change > steps ? change - steps : 1);
        }
        break;
    }
    case POLICY_ALL:
        if (policy.unasked < policy.bound)
            at = (uint64_t)engine.count + 1;
        break;
    case POLICY_REPLAY:
        at = replay_event();
        break;
    case POLICY_FAIR:
        at = (uint64_t)engine.count + TURN;
        break;
    case POLICY_NONE:
        break;
    }
    engine_event_at(at);
}

void
policy_woken(uint32_t fiber)
{
    if (policy.kind == POLICY_PCT && engine.current != 0 &&
        engine.fiber[fiber].priority > engine.fiber[engine.current].priority)
        engine_event_at((uint64_t)engine.count + 1);
}

/* At an event of PCT: the highest, after a change if one is due. */
static uint32_t
pct_next(void)
{
    if (policy.changed < policy.changes && engine_steps() >= policy.change[policy.changed]) {
        policy.changed++;
        engine.fiber[engine.current].priority = --policy.lowest;
    }
    return highest();
}

uint32_t
policy_next(void)
{
    uint32_t self = engine.current, next = self, n = (uint32_t)__builtin_popcount(engine.runnable);
    switch (policy.kind) {
    case POLICY_RANDOM:
    case POLICY_MIX:
        if (n > 1)
            next = circle_nth(self, random_below(n - 1));
        break;
    case POLICY_BYTES:
        if (n > 1)
            next = circle_nth(self, byte_chosen() % (n - 1));
        break;
    case POLICY_PCT:
        next = pct_next();
        break;
    case POLICY_ALL:
        if (n > 1 && policy.unasked < policy.bound) {
            uint32_t value = all_choose(n);
            if (value != 0) {
                policy.unasked++;
                next = circle_nth(self, value - 1);
            }
        }
        break;
    case POLICY_REPLAY: {
        uint32_t wanted = replay_take();
        if (wanted != 0 && wanted < ENGINE_FIBERS && (engine.runnable & 1U << wanted) != 0)
            next = wanted;
        break;
    }
    case POLICY_FAIR:
        next = circle_next(self);
        break;
    case POLICY_NONE:
        break;
    }
    if (next != self && policy.kind != POLICY_FAIR)
        choice_note(next);
    if (next == self)
        policy_next_event();
    return next;
}
