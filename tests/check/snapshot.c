/* SPDX-License-Identifier: MIT
 *
 * See snapshot.h.
 */
#include "check/snapshot.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SPANS_MAX = 1024 };

/* A write of a key. */
typedef struct write_span {
    uint64_t begin, end;
    uint32_t op;
    bool erases, known;
} write_span;

typedef struct timeline {
    write_span *writes; /* number n at n - 1 */
    size_t count;
} timeline;

typedef struct span {
    uint64_t from, to; /* inclusive */
} span;

/* Instants at which all that was looked at so far can be seen. */
typedef struct spans {
    span all[SPANS_MAX];
    size_t count;
    bool full;
} spans;

/* When number n of a key, 0 for the beginning, can be seen. */
static span
number_span(const timeline *t, uint64_t number)
{
    span s = {0, HISTORY_NEVER};
    if (number > 0)
        s.from = t->writes[number - 1].begin;
    if (number < t->count)
        s.to = t->writes[number].end;
    return s;
}

static void
spans_add(spans *out, span a, span b)
{
    span both = {a.from > b.from ? a.from : b.from, a.to < b.to ? a.to : b.to};
    if (both.from > both.to)
        return;
    if (out->count == SPANS_MAX)
        out->full = true;
    else
        out->all[out->count++] = both;
}

/* The first write of a key that may end at or after `at`: those before it are replaced by then. */
static size_t
timeline_from(const timeline *t, uint64_t at)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->writes[middle].end < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Leaves of `s` what agrees with the reading of a key. */
static void
spans_narrow(spans *s, const timeline *t, uint64_t value)
{
    static spans narrowed; /* checkers have one thread */
    narrowed.count = 0;
    narrowed.full = s->full;
    if (value > t->count || (value != 0 && !t->writes[value - 1].known)) {
        s->count = 0; /* nobody wrote it */
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        if (value != 0) {
            spans_add(&narrowed, s->all[i], number_span(t, value));
            continue;
        }
        for (size_t n = timeline_from(t, s->all[i].from); n <= t->count; n++) {
            if (n > 0 && t->writes[n - 1].begin > s->all[i].to)
                break;
            if (n == 0 || (t->writes[n - 1].known && t->writes[n - 1].erases))
                spans_add(&narrowed, s->all[i], number_span(t, n));
        }
    }
    *s = narrowed;
}

/* Write n + 1 may end before write n does; but number n can be seen by then no more, and not before
 * any of those before it began. */
static void
timeline_order(timeline *t)
{
    for (size_t i = 1; i < t->count; i++)
        if (t->writes[i].begin < t->writes[i - 1].begin)
            t->writes[i].begin = t->writes[i - 1].begin;
    for (size_t i = t->count; i-- > 0;) {
        if (!t->writes[i].known)
            t->writes[i].end = HISTORY_NEVER;
        if (i + 1 < t->count && t->writes[i].end > t->writes[i + 1].end)
            t->writes[i].end = t->writes[i + 1].end;
    }
}

static timeline *
timelines_make(const history *h, uint32_t keys)
{
    timeline *all = check_memory(keys, sizeof *all);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < h->step_count && pass == 0; i++) {
            const history_step *s = &h->steps[i];
            if ((s->kind == STEP_WRITE || s->kind == STEP_ERASE) && s->key < keys &&
                s->value > all[s->key].count)
                all[s->key].count = s->value;
        }
        for (uint32_t key = 0; key < keys && pass == 0; key++)
            all[key].writes = check_memory(all[key].count, sizeof(write_span));
        for (uint32_t i = 0; i < h->count && pass == 1; i++)
            for (uint32_t k = 0; k < h->ops[i].count; k++) {
                const history_step *s = &h->steps[h->ops[i].first + k];
                if ((s->kind == STEP_WRITE || s->kind == STEP_ERASE) && s->key < keys &&
                    s->value != 0)
                    all[s->key].writes[s->value - 1] = (write_span){h->ops[i].begin, h->ops[i].end,
                                                                    i, s->kind == STEP_ERASE, true};
            }
    }
    for (uint32_t key = 0; key < keys; key++)
        timeline_order(&all[key]);
    return all;
}

/* Where no instant is left: what the reader saw, and the write that is in the way of each key. */
static void
failure_tell(const history *h, const history_op *op, const timeline *all, uint32_t keys, report *r)
{
    report_add(r, "snapshot: there is no instant at which all this was so:\n");
    report_op(r, h, op);
    for (uint32_t k = 0; k < op->count; k++) {
        const history_step *s = &h->steps[op->first + k];
        if (s->kind != STEP_READ || s->key >= keys || s->value > all[s->key].count)
            continue;
        span seen = s->value != 0 ? number_span(&all[s->key], s->value) : (span){0, HISTORY_NEVER};
        if (s->value != 0)
            report_add(r, "  key %u was %" PRIu64 " within [%" PRIu64 ", %" PRIu64 "]\n", s->key,
                       s->value, seen.from, seen.to);
    }
}

verdict
snapshot_check(const history *h, uint32_t keys, report *r)
{
    static spans left;
    timeline *all = timelines_make(h, keys);
    verdict v = VERDICT_HOLDS;
    for (size_t i = 0; i < h->count && v == VERDICT_HOLDS; i++) {
        const history_op *op = &h->ops[i];
        left.count = 1;
        left.full = false;
        left.all[0] = (span){op->begin, op->end};
        for (unsigned absent = 0; absent < 2; absent++) /* these last: they may be many */
            for (uint32_t k = 0; k < op->count; k++) {
                const history_step *s = &h->steps[op->first + k];
                if (s->kind == STEP_READ && s->key < keys && (s->value == 0) == (absent == 1))
                    spans_narrow(&left, &all[s->key], s->value);
            }
        if (left.count == 0 && left.full)
            v = VERDICT_UNDECIDED;
        else if (left.count == 0)
            v = VERDICT_BROKEN;
        if (v == VERDICT_BROKEN)
            failure_tell(h, op, all, keys, r);
        else if (v == VERDICT_UNDECIDED)
            report_add(r, "snapshot: not decided\n");
    }
    for (uint32_t key = 0; key < keys; key++)
        free(all[key].writes);
    free(all);
    return v;
}
