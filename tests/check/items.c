/* SPDX-License-Identifier: MIT
 *
 * See items.h.
 */
#include "check/items.h"

#include <string.h>

static bool
is_past(int64_t expires_ms, int64_t now_ms)
{
    return expires_ms != 0 && now_ms > expires_ms;
}

/* What is there at this time: an item that has expired is over with its lock. Who only looks takes
 * nothing out: a call that read its clock before may still find it. */
static void
cell_age(items_cell *c, int64_t now_ms)
{
    if (c->value != 0 && is_past(c->expires_ms, now_ms)) {
        c->value = c->version = 0;
        c->expires_ms = c->lock_expires_ms = 0;
    }
    if (c->version != 0 && is_past(c->lock_expires_ms, now_ms)) {
        c->version = 0;
        c->lock_expires_ms = 0;
    }
}

/* Is the lock there at this version? One that nobody has seen may be any that is new. */
static bool
cell_is_at(items_cell *c, uint64_t version)
{
    if (c->version == HISTORY_ANY && version > c->highest && version != HISTORY_ANY)
        c->version = c->highest = version; /* until when is not known */
    return c->version == version;
}

static bool
cell_relock(items_cell *c, uint64_t version, int64_t expires_ms, const items_options *o)
{
    if (version == 0 || (version != HISTORY_ANY && version <= c->highest))
        return false;
    c->version = version;
    if (version != HISTORY_ANY)
        c->highest = version;
    c->lock_expires_ms = o->lock_ttl_ms == 0 ? 0 : version != HISTORY_ANY ? expires_ms : INT64_MAX;
    return true;
}

static bool
expiry_is_right(const history_op *op, int64_t expires_ms, const items_options *o)
{
    return o->lock_ttl_ms == 0 || (expires_ms >= op->now_begin + o->lock_ttl_ms &&
                                   expires_ms <= op->now_end + o->lock_ttl_ms);
}

static bool
lock_apply(items_cell *c, const history_op *op, const history_step *s, int64_t now_ms,
           const items_options *o)
{
    bool near_end = o->lock_ttl_ms != 0 && o->lock_refresh_ms >= 0 &&
                    c->lock_expires_ms - now_ms <= o->lock_refresh_ms;
    if (c->version != 0 && !near_end) {
        if (s->after == HISTORY_ANY) /* one that nobody was told of */
            return true;
        bool right = cell_is_at(c, s->after) &&
                     (o->lock_ttl_ms == 0 || c->lock_expires_ms == s->expires_ms ||
                      c->lock_expires_ms == INT64_MAX);
        if (right && o->lock_ttl_ms != 0)
            c->lock_expires_ms = s->expires_ms;
        return right;
    }
    return expiry_is_right(op, s->expires_ms, o) && cell_relock(c, s->after, s->expires_ms, o);
}

/* What was seen, as it is then; nothing changes. */
static bool
step_sees(const items_cell *c, const history_step *s)
{
    switch (s->kind) {
    case STEP_READ:
        return c->value == s->value;
    case STEP_THERE:
        return c->value != 0;
    case STEP_OTHER:
        return c->value != s->value;
    case STEP_NUMBER:
        return c->value == 0 || HISTORY_IS_NUMBER(c->value);
    default: /* STEP_TEXT */
        return c->value != 0 && !HISTORY_IS_NUMBER(c->value);
    }
}

static bool
number_add(items_cell *c, const history_step *s)
{
    if (c->value == 0) {
        c->value = HISTORY_NUMBER(s->before);
        c->expires_ms = s->expires_ms;
    } else if (HISTORY_IS_NUMBER(c->value)) {
        c->value += s->before;
    } else {
        return false;
    }
    return s->value == 0 || s->value == c->value;
}

static bool
step_apply(items_cell *c, const history_op *op, const history_step *s, int64_t now_ms,
           const items_options *o)
{
    switch (s->kind) {
    case STEP_READ:
    case STEP_THERE:
    case STEP_OTHER:
    case STEP_NUMBER:
    case STEP_TEXT: {
        items_cell seen = *c;
        cell_age(&seen, now_ms);
        return step_sees(&seen, s);
    }
    case STEP_TOUCH:
        cell_age(c, now_ms);
        c->expires_ms = s->expires_ms;
        return c->value != 0;
    case STEP_ADD:
        cell_age(c, now_ms);
        return number_add(c, s);
    case STEP_WRITE:
        cell_age(c, now_ms);
        c->value = s->value;
        c->expires_ms = s->expires_ms;
        return true;
    case STEP_ERASE:
        c->value = c->version = 0;
        c->expires_ms = c->lock_expires_ms = 0;
        return true;
    case STEP_LOCK:
        cell_age(c, now_ms);
        return lock_apply(c, op, s, now_ms, o);
    case STEP_BUMP:
        cell_age(c, now_ms);
        if (!cell_is_at(c, s->before) || (s->before == 0 && c->value != 0))
            return false;
        if (s->after != 0)
            return (s->after == HISTORY_ANY || expiry_is_right(op, s->expires_ms, o)) &&
                   cell_relock(c, s->after, s->expires_ms, o);
        c->version = 0;
        c->lock_expires_ms = 0;
        return true;
    case STEP_HELD:
    case STEP_STALE: {
        items_cell seen = *c;
        cell_age(&seen, now_ms);
        bool held = s->kind == STEP_HELD, item = seen.value != 0;
        bool right =
            held ? s->before != 0 || !item : s->before != s->after || (s->after == 0 && item);
        if (!right || !cell_is_at(&seen, held ? s->before : s->after))
            return false;
        if (seen.version != 0) /* perhaps it is known only now */
            *c = seen;
        return true;
    }
    default:
        return false;
    }
}

/* What happens changes only where `now` passes the end of something: way 0 is the beginning, the
 * others the first millisecond after each end that lies inside of the operation, and each beginning
 * of a lock's renewal. */
static bool
way_time(const items_cell *cells, const history_op *op, const items_options *o, unsigned way,
         int64_t *now_ms)
{
    *now_ms = op->now_begin;
    if (way == 0)
        return true;
    const items_cell *c = &cells[(way - 1) / 3];
    int64_t ends = way % 3 == 1 ? (c->value != 0 ? c->expires_ms : 0) : c->lock_expires_ms;
    if (ends == 0 || ends == INT64_MAX || (way % 3 == 0 && o->lock_refresh_ms < 0))
        return false;
    *now_ms = way % 3 == 0 ? ends - o->lock_refresh_ms : ends + 1;
    return *now_ms > op->now_begin && *now_ms <= op->now_end;
}

typedef struct items_context {
    uint32_t keys;
    items_options options;
} items_context;

/* All steps, in the order in which a commit judges: locks and reads before what is written. */
static bool
op_apply(const search_spec *spec, const history *h, const history_op *op, unsigned way, void *state,
         bool *more)
{
    const items_context *context = spec->context;
    items_cell cells[ITEMS_KEYS_MAX];
    int64_t now_ms;
    memcpy(cells, state, context->keys * sizeof *cells);
    *more = op->now_end > op->now_begin && way < 3 * context->keys;
    if (!way_time(cells, op, &context->options, way, &now_ms))
        return false;
    for (unsigned phase = 0; phase < 2; phase++)
        for (uint32_t i = 0; i < op->count; i++) {
            const history_step *s = &h->steps[op->first + i];
            bool changes = s->kind == STEP_WRITE || s->kind == STEP_ERASE ||
                           s->kind == STEP_TOUCH || s->kind == STEP_ADD;
            if (changes != (phase == 1))
                continue;
            if (s->key >= context->keys ||
                !step_apply(&cells[s->key], op, s, now_ms, &context->options))
                return false;
        }
    memcpy(state, cells, context->keys * sizeof *cells);
    return true;
}

static verdict
cells_check(const history *h, uint32_t keys, const items_options *options, report *r)
{
    static const items_cell empty[ITEMS_KEYS_MAX];
    items_context context = {keys, {0, -1}};
    if (options != NULL)
        context.options = *options;
    search_spec spec = {.law = "linearizability",
                        .state_size = keys * sizeof(items_cell),
                        .initial = empty,
                        .context = &context,
                        .apply = op_apply};
    return search_check(h, &spec, 0, r);
}

verdict
items_check(const history *h, uint32_t keys, const items_options *options, report *r)
{
    return cells_check(h, keys, options, r);
}

verdict
items_check_each(const history *h, uint32_t keys, const items_options *options, report *r)
{
    history one = {0};
    verdict worst = VERDICT_HOLDS;
    for (uint32_t key = 0; key < keys && worst != VERDICT_BROKEN; key++) {
        history_of_key(h, key, &one);
        for (size_t i = 0; i < one.step_count; i++)
            one.steps[i].key = 0;
        verdict v = cells_check(&one, 1, options, r);
        if (v == VERDICT_BROKEN)
            report_add(r, " (of key %u)\n", key);
        worst = v == VERDICT_BROKEN || worst == VERDICT_HOLDS ? v : worst;
    }
    history_free(&one);
    return worst;
}
