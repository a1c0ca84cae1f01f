/* SPDX-License-Identifier: MIT
 *
 * See history.h.
 */
#include "check/history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
check_memory(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static void *
room_make(void *memory, size_t count, size_t *room, size_t wanted, size_t size)
{
    if (count + wanted <= *room)
        return memory;
    *room = *room * 2 > count + wanted ? *room * 2 : count + wanted + 16;
    memory = realloc(memory, *room * size);
    if (memory == NULL)
        abort();
    return memory;
}

void
history_reserve(history *h, size_t ops, size_t steps)
{
    h->ops = room_make(h->ops, h->count, &h->room, ops, sizeof *h->ops);
    h->steps = room_make(h->steps, h->step_count, &h->step_room, steps, sizeof *h->steps);
}

void
history_free(history *h)
{
    free(h->ops);
    free(h->steps);
    memset(h, 0, sizeof *h);
}

void
history_clear(history *h)
{
    h->count = h->step_count = 0;
}

void
history_begin(history *h, const char *call, uint32_t thread, uint64_t stamp, int64_t now_ms)
{
    history_reserve(h, 1, 0);
    h->ops[h->count++] = (history_op){.begin = stamp,
                                      .end = HISTORY_NEVER,
                                      .now_begin = now_ms,
                                      .now_end = now_ms,
                                      .call = call,
                                      .thread = thread,
                                      .first = (uint32_t)h->step_count};
}

history_step *
history_add(history *h, history_step step)
{
    history_reserve(h, 0, 1);
    h->ops[h->count - 1].count++;
    h->steps[h->step_count] = step;
    return &h->steps[h->step_count++];
}

void
history_end(history *h, uint64_t stamp, int64_t now_ms)
{
    h->ops[h->count - 1].end = stamp;
    h->ops[h->count - 1].now_end = now_ms;
}

void
history_drop(history *h)
{
    h->step_count -= h->ops[--h->count].count;
}

void
history_also(history *h, const history_op *like, history_step step)
{
    history_op op = *like;
    history_begin(h, op.call, op.thread, op.begin, op.now_begin);
    history_add(h, step);
    history_end(h, op.end, op.now_end);
}

uint64_t
history_next_stamp(void)
{
    static uint64_t stamp;
    return ++stamp;
}

void
history_append(history *h, const history *from)
{
    history_reserve(h, from->count, from->step_count);
    for (size_t i = 0; i < from->count; i++) {
        h->ops[h->count] = from->ops[i];
        h->ops[h->count++].first += (uint32_t)h->step_count;
    }
    if (from->step_count > 0)
        memcpy(h->steps + h->step_count, from->steps, from->step_count * sizeof *from->steps);
    h->step_count += from->step_count;
}

static void
op_open(history *out, const history_op *like)
{
    history_begin(out, like->call, like->thread, like->begin, like->now_begin);
    history_end(out, like->end, like->now_end);
}

void
history_of_key(const history *h, uint32_t key, history *out)
{
    history_clear(out);
    for (size_t i = 0; i < h->count; i++) {
        const history_op *op = &h->ops[i];
        bool opened = false;
        for (uint32_t s = 0; s < op->count; s++) {
            const history_step *step = &h->steps[op->first + s];
            if (step->key != key)
                continue;
            if (!opened)
                op_open(out, op);
            opened = true;
            history_add(out, *step);
        }
    }
}

void
history_split(const history *h, history *out)
{
    history_clear(out);
    for (size_t i = 0; i < h->count; i++)
        for (uint32_t s = 0; s < h->ops[i].count; s++)
            history_also(out, &h->ops[i], h->steps[h->ops[i].first + s]);
}

uint32_t
history_keys(const history *h)
{
    uint32_t keys = 0;
    for (size_t i = 0; i < h->step_count; i++)
        if (h->steps[i].key >= keys)
            keys = h->steps[i].key + 1;
    return keys;
}

/* ---- words ---- */

static int
step_tell(const history_step *s, char *text, size_t size)
{
    static const char *const names[STEP_KINDS] = {
        "read",    "write",       "erase", "lock",    "bump",   "stale", "push",     "pull",
        "empty",   "acknowledge", "late",  "release", "extend", "lost",  "take out", "close",
        "refused", "over",        "purge", "there",   "full",   "room",  "figure",   "there",
        "other",   "number",      "text",  "held",    "touch",  "add"};
    char value[24] = "none";
    if (s->value != 0)
        snprintf(value, sizeof value, "%" PRIu64, s->value);
    switch (s->kind) {
    case STEP_READ:
    case STEP_WRITE:
    case STEP_ERASE:
    case STEP_THERE:
    case STEP_OTHER:
    case STEP_NUMBER:
    case STEP_TEXT:
    case STEP_TOUCH:
    case STEP_ADD:
        return snprintf(text, size, " key %u %s %s%s;", s->key, names[s->kind], value,
                        s->expires_ms != 0 ? " (expires)" : "");
    case STEP_LOCK:
    case STEP_BUMP:
    case STEP_STALE:
    case STEP_HELD:
        return snprintf(text, size, " lock %u %s %" PRIx64 " -> %" PRIx64 ";", s->key,
                        names[s->kind], s->before, s->after);
    case STEP_EMPTY:
    case STEP_CLOSE:
    case STEP_REFUSED:
    case STEP_OVER:
        return snprintf(text, size, " %s;", names[s->kind]);
    case STEP_PURGE:
    case STEP_FULL:
    case STEP_ROOM:
        return snprintf(text, size, " %s: %" PRIu64 ", %" PRIu64 ";", names[s->kind], s->value,
                        s->before);
    case STEP_FIGURE:
        return snprintf(text, size, " %s %u is %" PRIu64 ";", names[s->kind], s->key, s->value);
    default:
        return snprintf(text, size, " job %u %s, receive %" PRIu64 ", time %" PRId64 ";", s->key,
                        names[s->kind], s->value, s->expires_ms);
    }
}

void
history_tell(const history *h, const history_op *op, char *text, size_t size)
{
    char end[24] = "?";
    if (op->end != HISTORY_NEVER)
        snprintf(end, sizeof end, "%" PRIu64, op->end);
    int used = snprintf(text, size,
                        "thread %u [%" PRIu64 ", %s] at %" PRId64 "..%" PRId64 " %s:", op->thread,
                        op->begin, end, op->now_begin, op->now_end, op->call);
    for (uint32_t s = 0; s < op->count && used >= 0 && (size_t)used < size; s++)
        used += step_tell(&h->steps[op->first + s], text + used, size - (size_t)used);
}

void
report_add(report *r, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(r->text + r->size, sizeof r->text - r->size, format, arguments);
    va_end(arguments);
    size_t left = sizeof r->text - 1 - r->size;
    r->size += used < 0 ? 0 : (size_t)used < left ? (size_t)used : left;
}

void
report_op(report *r, const history *h, const history_op *op)
{
    char text[512];
    history_tell(h, op, text, sizeof text);
    report_add(r, "  %s\n", text);
}
