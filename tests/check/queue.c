/* SPDX-License-Identifier: MIT
 *
 * See queue.h. Here: each job's life, and the end of the queue.
 */
#include "check/queue_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool
queue_broken(const queue_view *q, const char *what, const history_op *one, const history_op *other)
{
    report_add(q->report, "queue: %s:\n", what);
    report_op(q->report, q->history, one);
    if (other != NULL)
        report_op(q->report, q->history, other);
    return false;
}

/* ---- the order of keys ---- */

typedef struct ranked {
    const char *key;
    size_t room;
    uint32_t job;
} ranked;

static int
ranked_order(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    int order = memcmp(a->key, b->key, a->room);
    return order != 0 ? order : a->job < b->job ? -1 : a->job > b->job;
}

void
queue_rank(history *h, const char *keys, size_t room, uint32_t jobs)
{
    ranked *all = check_memory(jobs, sizeof *all);
    uint64_t *rank = check_memory(jobs, sizeof *rank);
    uint32_t known = 0;
    for (uint32_t i = 0; i < jobs; i++)
        if (keys[i * room] != 0)
            all[known++] = (ranked){keys + i * room, room, i};
    qsort(all, known, sizeof *all, ranked_order);
    for (uint32_t i = 0; i < known; i++) {
        bool same = i > 0 && memcmp(all[i - 1].key, all[i].key, room) == 0;
        rank[all[i].job] = same ? rank[all[i - 1].job] : i + 1;
    }
    for (size_t i = 0; i < h->step_count; i++)
        if (h->steps[i].kind == STEP_PUSH || h->steps[i].kind == STEP_EXISTS)
            h->steps[i].before = rank[h->steps[i].key];
    free(all);
    free(rank);
}

/* ---- time ---- */

static int
sample_order(const void *left, const void *right)
{
    const clock_sample *a = left, *b = right;
    return a->stamp < b->stamp ? -1 : a->stamp > b->stamp;
}

static void
clock_make(queue_view *q)
{
    const history *h = q->history;
    q->clock = check_memory(2 * h->count, sizeof *q->clock);
    for (size_t i = 0; i < h->count; i++) {
        q->clock[q->samples++] = (clock_sample){h->ops[i].begin, h->ops[i].now_begin};
        if (h->ops[i].end != HISTORY_NEVER)
            q->clock[q->samples++] = (clock_sample){h->ops[i].end, h->ops[i].now_end};
    }
    qsort(q->clock, q->samples, sizeof *q->clock, sample_order);
    for (size_t i = 1; i < q->samples; i++)
        if (q->clock[i].now_ms < q->clock[i - 1].now_ms)
            q->clock[i].now_ms = q->clock[i - 1].now_ms;
}

uint64_t
queue_past(const queue_view *q, int64_t at_ms)
{
    size_t low = 0, high = q->samples;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (q->clock[middle].now_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low < q->samples ? q->clock[low].stamp : HISTORY_NEVER;
}

/* The first beginning of a call that may have judged by a later time. */
static uint64_t
queue_perhaps_past(const queue_view *q, int64_t at_ms)
{
    uint64_t first = HISTORY_NEVER;
    for (size_t i = 0; i < q->history->count; i++) {
        const history_op *op = &q->history->ops[i];
        if (op->begin < first && (op->now_end > at_ms || op->end == HISTORY_NEVER))
            first = op->begin;
    }
    return first;
}

/* ---- lives ---- */

static bool
is_of_job(history_kind kind)
{
    return kind >= STEP_PUSH && kind <= STEP_TAKE_OUT && kind != STEP_EMPTY;
}

static int
event_order(const void *left, const void *right)
{
    const job_event *a = left, *b = right;
    if (a->step->key != b->step->key)
        return a->step->key < b->step->key ? -1 : 1;
    if (a->step->value != b->step->value)
        return a->step->value < b->step->value ? -1 : 1;
    /* The pull is where a receive begins, whatever the stamps say. */
    if ((a->step->kind == STEP_PULL) != (b->step->kind == STEP_PULL))
        return a->step->kind == STEP_PULL ? -1 : 1;
    if (a->op->begin != b->op->begin)
        return a->op->begin < b->op->begin ? -1 : 1;
    return a->step < b->step ? -1 : a->step > b->step;
}

/* Pushes and what has no claim belong to the job; the rest is its events. */
static bool
life_note(queue_view *q, const history_op *op, const history_step *s, size_t *count)
{
    job_life *j = &q->jobs[s->key];
    bool unknown = op->end == HISTORY_NEVER;
    if (s->kind == STEP_PUSH) {
        if (j->pushed != NULL)
            return queue_broken(q, "the history pushes a job twice", op, j->pushed);
        j->pushed = op;
        j->push = s;
        j->rank = s->before;
        j->generated = (s->after & STEP_GENERATED) != 0 && j->rank != 0;
        if (s->value != 0) {
            uint64_t from = queue_perhaps_past(q, (int64_t)s->value);
            j->gone_from = from < j->gone_from ? from : j->gone_from;
        }
        return true;
    }
    if (s->kind == STEP_TAKE_OUT || unknown) {
        j->gone_from = op->begin < j->gone_from ? op->begin : j->gone_from;
        if (!unknown && s->kind == STEP_TAKE_OUT)
            j->gone_to = op->end < j->gone_to ? op->end : j->gone_to;
        return true;
    }
    q->events[(*count)++] = (job_event){op, s};
    return true;
}

static bool
lives_make(queue_view *q)
{
    const history *h = q->history;
    size_t count = 0;
    q->job_count = history_keys(h);
    q->jobs = check_memory(q->job_count, sizeof *q->jobs);
    q->events = check_memory(h->step_count, sizeof *q->events);
    for (uint32_t j = 0; j < q->job_count; j++)
        q->jobs[j].gone_from = q->jobs[j].gone_to = HISTORY_NEVER;
    for (size_t i = 0; i < h->count; i++)
        for (uint32_t k = 0; k < h->ops[i].count; k++) {
            const history_step *s = &h->steps[h->ops[i].first + k];
            if (is_of_job(s->kind) && !life_note(q, &h->ops[i], s, &count))
                return false;
        }
    qsort(q->events, count, sizeof *q->events, event_order);
    for (size_t i = 0; i < count; i++) {
        job_life *j = &q->jobs[q->events[i].step->key];
        if (j->count++ == 0)
            j->events = &q->events[i];
    }
    return true;
}

/* ---- one job ---- */

/* Where the walk through a job's life is. */
typedef struct walk {
    const job_event *pull;     /* the last receive */
    const job_event *ended;    /* how it ended; NULL: it lapses */
    int64_t deadline_ms;       /* of the last receive, as far as is sure */
    int64_t deadline_least_ms; /* with extensions that may not have happened yet */
    uint64_t visible_from;
    bool by_time;
} walk;

static void
sure_add(queue_view *q, const job_life *j, const walk *w, uint64_t to)
{
    to = to < j->gone_from ? to : j->gone_from;
    if (w->visible_from >= to || j->rank == 0)
        return;
    if (q->sure_count == q->sure_room) {
        q->sure_room = q->sure_room * 2 + 64;
        q->sure = realloc(q->sure, q->sure_room * sizeof *q->sure);
        if (q->sure == NULL)
            abort();
    }
    q->sure[q->sure_count++] = (sure_span){w->visible_from, to, j->rank, w->by_time};
}

/* Visible from the end of `op` on, and once the clock has surely passed `at_ms` (0: at once). */
static void
visible_set(const queue_view *q, walk *w, const history_op *op, int64_t at_ms)
{
    uint64_t past = at_ms != 0 ? queue_past(q, at_ms) : 0;
    w->by_time = at_ms != 0;
    w->visible_from = past > op->end ? past : op->end;
}

/* A claim is good until its deadline has passed; a delay is over when its time has come. */
static void
delay_set(const queue_view *q, walk *w, const history_op *op, int64_t delay_ms)
{
    visible_set(q, w, op, delay_ms != 0 ? op->now_end + delay_ms - 1 : 0);
}

/* Q1, Q2. */
static bool
pull_holds(queue_view *q, const job_life *j, walk *w, const job_event *e)
{
    const history_op *op = e->op;
    uint64_t receive = e->step->value, before = w->pull != NULL ? w->pull->step->value : 0;
    if (j->pushed == NULL || j->pushed->begin > op->end)
        return queue_broken(q, "Q1: a job was pulled that nobody had pushed", op, j->pushed);
    if (before == receive)
        return queue_broken(q, "Q1: one receive was given twice", op, w->pull->op);
    if (receive != before + 1 && j->gone_from == HISTORY_NEVER)
        return queue_broken(q, "Q1: a receive was counted that nobody got", op,
                            w->pull != NULL ? w->pull->op : j->pushed);
    if (j->gone_to < op->begin)
        return queue_broken(q, "Q3: a job came after it had been taken out", op, j->pushed);
    if (j->push->value != 0 && op->now_begin > (int64_t)j->push->value)
        return queue_broken(q, "Q6: a job came after it had expired", op, j->pushed);
    if (w->pull == NULL) {
        if (j->push->expires_ms != 0 && op->now_end < j->pushed->now_begin + j->push->expires_ms)
            return queue_broken(q, "Q6: a delayed job came before its time", op, j->pushed);
    } else if (w->ended != NULL && w->ended->step->kind != STEP_RELEASE) {
        return queue_broken(q, "Q3: a job came again after its acknowledgement", op, w->ended->op);
    } else if (w->ended != NULL) {
        if (w->ended->step->expires_ms != 0 &&
            op->now_end < w->ended->op->now_begin + w->ended->step->expires_ms)
            return queue_broken(q, "Q6: a job that was given back came before its time", op,
                                w->ended->op);
    } else if (op->now_end <= w->deadline_least_ms) {
        return queue_broken(q, "Q2: a job has two holders: the claim had not lapsed", op,
                            w->pull->op);
    }
    return true;
}

/* The deadline at the time of a later pull: extensions that overlap it may have happened or not. */
static void
deadline_at(const job_life *j, size_t from, uint64_t receive, walk *w, const history_op *next)
{
    w->deadline_least_ms = w->pull->step->expires_ms;
    for (size_t i = from; i < j->count && j->events[i].step->value == receive; i++) {
        const job_event *e = &j->events[i];
        if (e->step->kind != STEP_EXTEND)
            continue;
        if (e->op->end < next->begin || e->step->expires_ms < w->deadline_least_ms)
            w->deadline_least_ms = e->step->expires_ms;
    }
}

/* Q3, Q6 of a call with a claim. `next`: the pull that gave the job to another; NULL: none. */
static bool
claim_holds(queue_view *q, const job_life *j, walk *w, const job_event *e, const job_event *next)
{
    const history_op *op = e->op;
    if (w->pull == NULL || w->pull->step->value != e->step->value)
        return queue_broken(q, "Q3: a claim that nobody was given was good", op, j->pushed);
    if (w->ended != NULL)
        return queue_broken(q,
                            w->ended->step->kind == STEP_RELEASE
                                ? "Q3: a claim was good after it had been given back"
                                : "Q3: a job was acknowledged, and its claim was good afterwards",
                            op, w->ended->op);
    if (next != NULL && next->op->end < op->begin)
        return queue_broken(q, "Q3: who had lost the job could still change it", op, next->op);
    if (j->gone_to < op->begin)
        return queue_broken(q, "Q3: a job was acknowledged after it had been taken out", op,
                            j->pushed);
    bool late =
        e->step->kind == STEP_LATE || (e->step->kind == STEP_RELEASE && e->step->before != 0);
    bool judged = late || e->step->kind == STEP_ACKNOWLEDGE || e->step->kind == STEP_RELEASE;
    if (judged && !late && op->now_begin > w->deadline_ms)
        return queue_broken(q, "Q6: in time after the deadline", op, w->pull->op);
    if (late && op->now_end <= w->deadline_ms)
        return queue_broken(q, "Q6: late before the deadline", op, w->pull->op);
    return true;
}

static bool
lost_holds(queue_view *q, const job_life *j, const walk *w, const job_event *e,
           const job_event *next)
{
    bool taken = (next != NULL && next->op->begin <= e->op->end) || j->gone_from <= e->op->end ||
                 (w->ended != NULL && w->ended->op->begin <= e->op->end);
    return taken || queue_broken(q, "Q3: lost, though nobody had taken it", e->op,
                                 w->pull != NULL ? w->pull->op : j->pushed);
}

static bool
event_holds(queue_view *q, job_life *j, walk *w, size_t i)
{
    const job_event *e = &j->events[i], *next = NULL;
    uint64_t receive = e->step->value;
    for (size_t k = i + 1; k < j->count && next == NULL; k++)
        if (j->events[k].step->kind == STEP_PULL && j->events[k].step->value > receive)
            next = &j->events[k];
    if (e->step->kind == STEP_LOST)
        return lost_holds(q, j, w, e, next);
    if (e->step->kind == STEP_PULL) {
        if (w->pull != NULL)
            deadline_at(j, (size_t)(w->pull - j->events), w->pull->step->value, w, e->op);
        if (!pull_holds(q, j, w, e))
            return false;
        w->pull = e;
        w->ended = NULL;
    } else if (!claim_holds(q, j, w, e, next)) {
        return false;
    }
    sure_add(q, j, w, e->op->begin);
    if (e->step->kind == STEP_PULL || e->step->kind == STEP_EXTEND) {
        w->deadline_ms = e->step->expires_ms;
        visible_set(q, w, e->op, w->deadline_ms);
        return true;
    }
    w->ended = e;
    w->visible_from = HISTORY_NEVER;
    if (e->step->kind == STEP_RELEASE)
        delay_set(q, w, e->op, e->step->expires_ms);
    return true;
}

static bool
life_holds(queue_view *q, job_life *j)
{
    walk w = {.visible_from = HISTORY_NEVER};
    if (j->pushed != NULL)
        delay_set(q, &w, j->pushed, j->push->expires_ms);
    for (size_t i = 0; i < j->count; i++)
        if (!event_holds(q, j, &w, i))
            return false;
    sure_add(q, j, &w, HISTORY_NEVER);
    return true;
}

/* ---- the end of the queue ---- */

typedef struct ending {
    const history_op *first_close, *sure_close; /* the earliest to begin, and to end */
    const history_op *first_over;               /* the earliest to end */
} ending;

static void
ending_find(const history *h, ending *e)
{
    for (size_t i = 0; i < h->count; i++) {
        const history_op *op = &h->ops[i];
        history_kind kind = op->count > 0 ? h->steps[op->first].kind : STEP_KINDS;
        if (kind == STEP_CLOSE && (e->first_close == NULL || op->begin < e->first_close->begin))
            e->first_close = op;
        if (kind == STEP_CLOSE && (e->sure_close == NULL || op->end < e->sure_close->end))
            e->sure_close = op;
        if (kind == STEP_OVER && (e->first_over == NULL || op->end < e->first_over->end))
            e->first_over = op;
    }
}

/* Was the job there for sure when "over" was said? Who pushed it may not know yet. */
static bool
job_outlives(const job_life *j, const history_op *over)
{
    if (j->pushed == NULL || j->pushed->end >= over->begin || j->gone_from <= over->end)
        return false;
    for (size_t i = 0; i < j->count; i++) {
        history_kind kind = j->events[i].step->kind;
        if ((kind == STEP_ACKNOWLEDGE || kind == STEP_LATE) && j->events[i].op->begin <= over->end)
            return false;
    }
    return true;
}

bool
queue_is_in_vain(const history *h, const history_op *op)
{
    history_kind kind = op->count > 0 ? h->steps[op->first].kind : STEP_REFUSED;
    return kind == STEP_REFUSED || kind == STEP_EXISTS || kind == STEP_FULL;
}

/* Did somebody try to push meanwhile, in vain? Until he is told, it may seem that a job is
 * coming. */
static bool
meets_a_push(const history *h, const history_op *op)
{
    for (size_t i = 0; i < h->count; i++) {
        const history_op *o = &h->ops[i];
        if (queue_is_in_vain(h, o) && o->begin < op->end && o->end > op->begin)
            return true;
    }
    return false;
}

/* Q7. */
static bool
ending_holds(queue_view *q)
{
    const history *h = q->history;
    ending e = {NULL, NULL, NULL};
    ending_find(h, &e);
    for (size_t i = 0; i < h->count; i++) {
        const history_op *op = &h->ops[i];
        history_kind kind = op->count > 0 ? h->steps[op->first].kind : STEP_KINDS;
        if (kind == STEP_PUSH && e.sure_close != NULL && op->begin > e.sure_close->end)
            return queue_broken(q, "Q7: a job was pushed into a closed queue", op, e.sure_close);
        if (kind == STEP_REFUSED && (e.first_close == NULL || op->end < e.first_close->begin))
            return queue_broken(q, "Q7: refused by a queue that nobody had closed", op, NULL);
        if (kind == STEP_OVER && (e.first_close == NULL || op->end < e.first_close->begin))
            return queue_broken(q, "Q7: over, of a queue that nobody had closed", op, NULL);
        if (e.first_over != NULL && op->begin > e.first_over->end &&
            (kind == STEP_PULL || (kind == STEP_EMPTY && !meets_a_push(h, op))))
            return queue_broken(q, "Q7: a pull went on after the queue was over", op, e.first_over);
    }
    for (uint32_t j = 0; j < q->job_count && e.first_over != NULL; j++)
        if (job_outlives(&q->jobs[j], e.first_over))
            return queue_broken(q, "Q7: over, and a job was left", e.first_over, q->jobs[j].pushed);
    return true;
}

verdict
queue_check(const history *h, report *r)
{
    queue_view q = {.history = h, .report = r};
    clock_make(&q);
    bool holds = lives_make(&q);
    if (holds)
        queue_others_note(&q);
    for (uint32_t j = 0; j < q.job_count && holds; j++)
        holds = life_holds(&q, &q.jobs[j]);
    holds = holds && queue_sums_hold(&q) && ending_holds(&q) && queue_order_holds(&q);
    free(q.clock);
    free(q.jobs);
    free(q.events);
    free(q.sure);
    return holds ? VERDICT_HOLDS : VERDICT_BROKEN;
}
