/* SPDX-License-Identifier: MIT
 *
 * See search.h. An operation that runs has a slot, and a state has a bit for each slot: has that
 * operation taken effect? One whose outcome is unknown keeps its slot for ever.
 */
#include "check/search.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64, WAYS_MAX = 256, SHOWN_MAX = 24, SEARCH_FEW = 32, SEARCH_LIMIT_FEW = 1 << 12 };

typedef struct event {
    uint64_t at;
    uint32_t op;
    bool returns;
} event;

typedef struct search {
    const history *history;
    const search_spec *spec;
    size_t limit, stride;
    unsigned char *states; /* each: the bits, then the state */
    size_t count;
    uint32_t *table; /* open addressing: 1 + index of the state */
    size_t mask;
    uint32_t running[SLOTS];
    uint64_t taken; /* bit of each slot in use */
    bool overflows;
} search;

static unsigned char *
state_at(const search *s, size_t i)
{
    return s->states + i * s->stride;
}

static uint64_t
state_hash(const unsigned char *state, size_t size)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word;
        memcpy(&word, state + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
    }
    return hash;
}

/* Appends a state unless it is there. */
static void
state_add(search *s, const unsigned char *state)
{
    size_t i = state_hash(state, s->stride) & s->mask;
    for (; s->table[i] != 0; i = (i + 1) & s->mask)
        if (memcmp(state_at(s, s->table[i] - 1), state, s->stride) == 0)
            return;
    if (s->count == s->limit) {
        s->overflows = true;
        return;
    }
    memmove(state_at(s, s->count), state, s->stride);
    s->table[i] = (uint32_t)++s->count;
}

static void
table_clear(search *s)
{
    if (s->count * 8 > s->mask) {
        memset(s->table, 0, (s->mask + 1) * sizeof *s->table);
        return;
    }
    /* Few: each is found where it was put, and the chain behind it is among the few. */
    for (size_t k = 0; k < s->count; k++) {
        size_t i = state_hash(state_at(s, k), s->stride) & s->mask;
        while (s->table[i] != 0) {
            s->table[i] = 0;
            i = (i + 1) & s->mask;
        }
    }
}

/* All states that the running operations lead to from state `from`, one operation further. */
static void
state_expand(search *s, size_t from)
{
    unsigned char next[SEARCH_STATE_MAX + 8];
    uint64_t made;
    memcpy(&made, state_at(s, from), 8);
    for (uint64_t left = s->taken & ~made; left != 0; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(left);
        bool more = true;
        for (unsigned way = 0; more && way < WAYS_MAX && !s->overflows; way++) {
            more = false;
            memcpy(next, state_at(s, from), s->stride);
            if (!s->spec->apply(s->spec, s->history, &s->history->ops[s->running[slot]], way,
                                next + 8, &more))
                continue;
            uint64_t with = made | UINT64_C(1) << slot;
            memcpy(next, &with, 8);
            state_add(s, next);
        }
    }
}

/* The operation in `slot` returned: only states in which it took effect remain. */
static void
slot_return(search *s, unsigned slot)
{
    table_clear(s);
    size_t count = s->count;
    s->count = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned char state[SEARCH_STATE_MAX + 8];
        uint64_t made;
        memcpy(state, state_at(s, i), s->stride);
        memcpy(&made, state, 8);
        if ((made >> slot & 1) == 0)
            continue;
        made &= ~(UINT64_C(1) << slot);
        memcpy(state, &made, 8);
        state_add(s, state); /* never writes over what was not read yet */
    }
    s->taken &= ~(UINT64_C(1) << slot);
}

/* By time; where two are at once, operations begin before others return. */
static int
event_order(const void *left, const void *right)
{
    const event *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->returns != b->returns)
        return (int)a->returns - (int)b->returns;
    return a->op < b->op ? -1 : a->op > b->op;
}

static event *
events_make(const history *h, size_t *count)
{
    event *events = check_memory(2 * h->count, sizeof *events);
    *count = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        events[(*count)++] = (event){h->ops[i].begin, i, false};
        if (h->ops[i].end != HISTORY_NEVER)
            events[(*count)++] = (event){h->ops[i].end, i, true};
    }
    qsort(events, *count, sizeof *events, event_order);
    return events;
}

/* From the last instant at which nothing ran to the operation that nothing explains. */
static void
failure_tell(const search *s, const event *events, size_t at, report *r)
{
    size_t from = at, running = 0, calm = 0, shown = 0;
    for (size_t i = 0; i < at; i++) {
        running = events[i].returns ? running - 1 : running + 1;
        if (running == 0)
            calm = i + 1;
    }
    for (; from > calm && shown < SHOWN_MAX; from--)
        shown += !events[from - 1].returns;
    report_add(r, "%s: no order explains what ended at %llu:\n", s->spec->law,
               (unsigned long long)events[at].at);
    report_op(r, s->history, &s->history->ops[events[at].op]);
    report_add(r, " among%s\n", from > calm ? " (the last ones)" : "");
    for (size_t i = from; i < at; i++)
        if (!events[i].returns)
            report_op(r, s->history, &s->history->ops[events[i].op]);
}

static bool
event_take(search *s, const event *e, unsigned char *slot_of)
{
    if (!e->returns) {
        if (s->taken == UINT64_MAX) {
            s->overflows = true;
            return true;
        }
        unsigned slot = (unsigned)__builtin_ctzll(~s->taken);
        s->running[slot] = e->op;
        s->taken |= UINT64_C(1) << slot;
        slot_of[e->op] = (unsigned char)slot;
        return true;
    }
    for (size_t i = 0; i < s->count && !s->overflows; i++)
        state_expand(s, i);
    if (!s->overflows)
        slot_return(s, slot_of[e->op]);
    return s->count > 0;
}

verdict
search_check(const history *h, const search_spec *spec, size_t limit, report *r)
{
    search s = {.history = h, .spec = spec, .limit = limit};
    if (limit == 0)
        s.limit = h->count < SEARCH_FEW ? SEARCH_LIMIT_FEW : SEARCH_LIMIT;
    size_t count = 0, done = 0;
    event *events = events_make(h, &count);
    unsigned char *slot_of = calloc(h->count + 1, 1);
    s.stride = 8 + (spec->state_size + 7) / 8 * 8;
    for (s.mask = 63; s.mask < 2 * s.limit; s.mask = s.mask * 2 + 1) {}
    s.states = calloc(s.limit, s.stride);
    s.table = calloc(s.mask + 1, sizeof *s.table);
    if (slot_of == NULL || s.states == NULL || s.table == NULL ||
        spec->state_size > SEARCH_STATE_MAX - 8)
        abort();
    unsigned char first[SEARCH_STATE_MAX + 8] = {0};
    memcpy(first + 8, spec->initial, spec->state_size);
    state_add(&s, first);
    while (done < count && event_take(&s, &events[done], slot_of) && !s.overflows)
        done++;
    verdict v = s.overflows ? VERDICT_UNDECIDED : done < count ? VERDICT_BROKEN : VERDICT_HOLDS;
    if (v == VERDICT_BROKEN)
        failure_tell(&s, events, done, r);
    else if (v == VERDICT_UNDECIDED)
        report_add(r, "%s: not decided after %zu of %zu events\n", spec->law, done, count);
    free(events);
    free(slot_of);
    free(s.states);
    free(s.table);
    return v;
}
