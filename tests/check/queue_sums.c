/* SPDX-License-Identifier: MIT
 *
 * See queue.h: Q8, Q9, Q10, and what purges and other jobs of the same key take out. A job is
 * surely there from the end of its push to the beginning of the first call that may have taken it
 * out, and perhaps from the beginning of its push to the first end of a call that surely has.
 */
#include "check/queue_inside.h"

#include <stdlib.h>

enum { IN_VAIN_MOST = 1024 }; /* where it is not known */

typedef struct turn {
    uint64_t stamp;
    int64_t change, sum; /* of this turn; of all up to it */
} turn;

typedef struct sums {
    job_life **by_rank; /* that were pushed */
    size_t count;
    turn *sure, *maybe; /* how many jobs are there; two turns for each */
} sums;

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- who takes out what ---- */

static int
rank_order(const void *left, const void *right)
{
    const job_life *a = *(const job_life *const *)left, *b = *(const job_life *const *)right;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static void
by_rank_make(const queue_view *q, sums *s)
{
    s->by_rank = check_memory(q->job_count, sizeof(job_life *));
    for (uint32_t j = 0; j < q->job_count; j++)
        if (q->jobs[j].pushed != NULL)
            s->by_rank[s->count++] = &q->jobs[j];
    qsort(s->by_rank, s->count, sizeof(job_life *), rank_order);
}

/* The first job of that rank. */
static size_t
rank_first(const sums *s, uint64_t rank)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->by_rank[middle]->rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* After `op` the job is not there any more, if it was pushed before. `did`: it is op that has taken
 * it out, if anybody. */
static void
life_end(job_life *j, const history_op *op, bool did)
{
    if (did && j->pushed->begin < op->end) {
        j->gone_from = least(j->gone_from, op->begin);
        j->takers++;
        j->gone_last = op->end > j->gone_last ? op->end : j->gone_last;
    }
    if (op->end != HISTORY_NEVER && j->pushed->end < op->begin)
        j->gone_to = least(j->gone_to, op->end);
}

/* A push takes out the other job of its key, but for one that is unique: then it was out before. So
 * does a call by key. */
static void
same_key_note(const sums *s, const history_op *op, uint64_t rank, bool unique)
{
    for (size_t i = rank_first(s, rank); i < s->count && s->by_rank[i]->rank == rank; i++)
        if (s->by_rank[i]->pushed != op)
            life_end(s->by_rank[i], op, !unique);
}

static void
step_note(const queue_view *q, const sums *s, const history_op *op, const history_step *step)
{
    if (step->kind == STEP_PUSH && step->before != 0)
        same_key_note(s, op, step->before, (step->after & STEP_UNIQUE) != 0);
    if (step->kind == STEP_TAKE_OUT && q->jobs[step->key].rank != 0)
        same_key_note(s, op, q->jobs[step->key].rank, false);
    if (step->kind == STEP_PURGE)
        for (size_t i = 0; i < s->count; i++) {
            uint64_t to = s->by_rank[i]->gone_to;
            life_end(s->by_rank[i], op, true);
            if (step->before == 0) /* it has not come to its end */
                s->by_rank[i]->gone_to = to;
        }
}

void
queue_others_note(queue_view *q)
{
    const history *h = q->history;
    sums s = {.count = 0};
    by_rank_make(q, &s);
    for (size_t i = 0; i < h->count; i++)
        for (uint32_t k = 0; k < h->ops[i].count; k++)
            step_note(q, &s, &h->ops[i], &h->steps[h->ops[i].first + k]);
    free(s.by_rank);
}

/* ---- how many are there ---- */

/* The first beginning and the first end of an acknowledgement that was good; *last: the last end.
 * HISTORY_NEVER: none. */
static uint64_t
ended_from(const job_life *j, uint64_t *to, uint64_t *last)
{
    uint64_t from = *to = HISTORY_NEVER;
    *last = 0;
    for (size_t i = 0; i < j->count; i++) {
        const history_op *op = j->events[i].op;
        history_kind kind = j->events[i].step->kind;
        if (kind != STEP_ACKNOWLEDGE && kind != STEP_LATE)
            continue;
        from = least(from, op->begin);
        *to = least(*to, op->end);
        *last = op->end > *last ? op->end : *last;
    }
    return from;
}

static uint64_t
sure_until(const job_life *j)
{
    uint64_t to, last;
    return least(j->gone_from, ended_from(j, &to, &last));
}

static uint64_t
maybe_until(const job_life *j)
{
    uint64_t to, last;
    (void)ended_from(j, &to, &last);
    return least(j->gone_to, to);
}

/* It is gone, but who has taken it out may not have counted that yet. */
static bool
counts_still(const job_life *j, const history_op *op)
{
    uint64_t to, last;
    (void)ended_from(j, &to, &last);
    last = j->gone_last > last ? j->gone_last : last;
    return maybe_until(j) < op->begin && last > op->begin;
}

static int
turn_order(const void *left, const void *right)
{
    const turn *a = left, *b = right;
    return a->stamp != b->stamp ? (a->stamp < b->stamp ? -1 : 1) : (int)(a->change - b->change);
}

static void
turns_make(sums *s)
{
    s->sure = check_memory(2 * s->count, sizeof *s->sure);
    s->maybe = check_memory(2 * s->count, sizeof *s->maybe);
    for (size_t i = 0; i < s->count; i++) {
        const job_life *j = s->by_rank[i];
        uint64_t until = sure_until(j);
        bool sure = j->pushed->end < until;
        s->sure[2 * i] = (turn){j->pushed->end, sure, 0};
        s->sure[2 * i + 1] = (turn){sure ? until : j->pushed->end, -sure, 0};
        s->maybe[2 * i] = (turn){j->pushed->begin, 1, 0};
        s->maybe[2 * i + 1] = (turn){maybe_until(j), -1, 0};
    }
    for (int which = 0; which < 2; which++) {
        turn *turns = which == 0 ? s->sure : s->maybe;
        qsort(turns, 2 * s->count, sizeof *turns, turn_order);
        for (size_t i = 0; i < 2 * s->count; i++)
            turns[i].sum = turns[i].change + (i > 0 ? turns[i - 1].sum : 0);
    }
}

/* The least sum (way -1) or the greatest (1) while `op` runs, both ends included. */
static int64_t
extreme_within(const turn *turns, size_t count, const history_op *op, int way)
{
    size_t low = 0, high = count;
    while (low < high) { /* the first turn that is not before op */
        size_t middle = (low + high) / 2;
        if (turns[middle].stamp < op->begin)
            low = middle + 1;
        else
            high = middle;
    }
    int64_t best = low > 0 ? turns[low - 1].sum : 0;
    for (; low < count && turns[low].stamp <= op->end; low++)
        if ((turns[low].sum - best) * way > 0)
            best = turns[low].sum;
    return best;
}

/* How many jobs did it want to push? A commit counts twice what it pushes without a key. */
static int64_t
vain_of(const history_step *step)
{
    return step->kind == STEP_FULL     ? 2 * (int64_t)step->before
           : step->kind == STEP_EXISTS ? 1
                                       : IN_VAIN_MOST;
}

/* What may have counted meanwhile and is no job: of pushes that were refused, of those that
 * replaced another or count twice as yet, and what others are taking out. */
static int64_t
jobs_in_vain(const queue_view *q, const history_op *op)
{
    int64_t count = 0;
    for (uint32_t j = 0; j < q->job_count; j++)
        count += q->jobs[j].pushed != NULL && counts_still(&q->jobs[j], op);
    for (size_t i = 0; i < q->history->count; i++) {
        const history_op *o = &q->history->ops[i];
        if (o == op || o->begin >= op->end || o->end <= op->begin)
            continue;
        if (queue_is_in_vain(q->history, o))
            count += o->count == 0 ? IN_VAIN_MOST : vain_of(&q->history->steps[o->first]);
        for (uint32_t k = 0; k < o->count; k++) {
            const history_step *step = &q->history->steps[o->first + k];
            count += step->kind == STEP_PUSH;
            count += step->kind == STEP_LOST ? 2 * (int64_t)step->before : 0;
        }
    }
    return count;
}

/* ---- the laws ---- */

/* Q8. */
static bool
key_holds(const queue_view *q, const sums *s, const history_op *op, const history_step *step)
{
    bool may_be = false;
    for (size_t i = rank_first(s, step->before);
         i < s->count && s->by_rank[i]->rank == step->before; i++) {
        const job_life *j = s->by_rank[i];
        if (step->kind == STEP_PUSH && j->pushed->end < op->begin && sure_until(j) > op->end)
            return queue_broken(q, "Q8: a unique job came in beside another one of its key", op,
                                j->pushed);
        may_be = may_be || (j->pushed->begin < op->end && maybe_until(j) > op->begin);
    }
    return step->kind == STEP_PUSH || step->before == 0 || may_be ||
           queue_broken(q, "Q8: a job of that key is there, it was said, and there was none", op,
                        NULL);
}

/* Of the jobs that `op` pushes, how many may have come in place of others? */
static int64_t
replacing(const queue_view *q, const sums *s, const history_op *op)
{
    int64_t count = 0;
    for (uint32_t k = 0; k < op->count; k++) {
        const history_step *step = &q->history->steps[op->first + k];
        bool replaces = false;
        for (size_t i = step->kind == STEP_PUSH && step->before != 0 ? rank_first(s, step->before)
                                                                     : s->count;
             i < s->count && s->by_rank[i]->rank == step->before; i++)
            replaces = replaces ||
                       (s->by_rank[i]->pushed != op && s->by_rank[i]->pushed->begin < op->end &&
                        maybe_until(s->by_rank[i]) > op->begin);
        count += replaces;
    }
    return count;
}

/* Q9. */
static bool
depth_holds(const queue_view *q, const sums *s, const history_op *op, const history_step *step)
{
    int64_t most = (int64_t)step->value, wanted = (int64_t)step->before;
    if (step->kind == STEP_ROOM) { /* what replaces others may come in however many there are */
        wanted -= replacing(q, s, op);
        return wanted == 0 || extreme_within(s->sure, 2 * s->count, op, -1) + wanted <= most ||
               queue_broken(q, "Q9: more jobs came in than the push wanted in the queue", op, NULL);
    }
    int64_t there = extreme_within(s->maybe, 2 * s->count, op, 1);
    return there + wanted > most || there + wanted + jobs_in_vain(q, op) > most ||
           queue_broken(q, "Q9: too many jobs, it was said, and there were fewer", op, NULL);
}

/* How many of the steps that a figure counts lie before the end of `op`; surely: before its
 * beginning. */
static uint64_t
steps_before(const queue_view *q, const history_op *op, uint32_t figure, bool surely)
{
    static const history_kind kinds[FIGURE_DONE] = {STEP_PUSH, STEP_PULL, STEP_LATE, STEP_LOST,
                                                    STEP_EMPTY};
    const history *h = q->history;
    uint64_t count = 0;
    for (size_t i = 0; i < h->count; i++) {
        const history_op *o = &h->ops[i];
        if (surely ? o->end >= op->begin : o->begin >= op->end)
            continue;
        for (uint32_t k = 0; k < o->count; k++) {
            const history_step *step = &h->steps[o->first + k];
            count += step->kind == kinds[figure] ||
                     (figure == FIGURE_LATE && step->kind == STEP_RELEASE && step->before != 0) ||
                     (figure == FIGURE_EMPTY && step->kind == STEP_OVER);
        }
    }
    /* Before the queue is there, an empty pull is not counted; by key, a call is lost without a
     * trace in the history. */
    if (surely)
        return figure == FIGURE_EMPTY ? 0 : count;
    return figure == FIGURE_LOST ? UINT64_MAX : count;
}

/* Of the jobs, how many are there all the time, or at some time of it? Ready ones: visible all the
 * time. */
static uint64_t
jobs_there(const queue_view *q, const sums *s, const history_op *op, uint32_t figure, bool surely)
{
    uint64_t count = 0;
    if (figure == FIGURE_READY) {
        for (size_t i = 0; i < q->sure_count; i++)
            count += q->sure[i].from < op->begin && q->sure[i].to > op->end;
        return surely ? count : UINT64_MAX;
    }
    for (size_t i = 0; i < s->count; i++) {
        const job_life *j = s->by_rank[i];
        count += surely ? j->pushed->end < op->begin && sure_until(j) > op->end
                        : j->pushed->begin < op->end && maybe_until(j) > op->begin;
    }
    return count;
}

/* Q10, and of a purge that came to its end: how many it has taken out. */
static bool
figure_holds(const queue_view *q, const sums *s, const history_op *op, const history_step *step)
{
    bool purge = step->kind == STEP_PURGE, counted = !purge && step->key < FIGURE_DONE;
    uint64_t least_sum = counted ? steps_before(q, op, step->key, true)
                         : purge ? 0
                                 : jobs_there(q, s, op, step->key, true);
    uint64_t most_sum = counted ? steps_before(q, op, step->key, false)
                                : jobs_there(q, s, op, purge ? FIGURE_JOBS : step->key, false);
    for (size_t i = 0; i < s->count && purge; i++) { /* what it alone can have taken out */
        const job_life *j = s->by_rank[i];
        uint64_t to, last;
        least_sum += j->takers == 1 && j->gone_from == op->begin && j->push->value == 0 &&
                     j->pushed->end < op->begin && ended_from(j, &to, &last) > op->end;
    }
    if (step->value >= least_sum && step->value <= most_sum)
        return true;
    (void)queue_broken(q, purge ? "Q10: a purge miscounts" : "Q10: a figure is wrong", op, NULL);
    report_add(q->report, " it is between %llu and %llu\n", (unsigned long long)least_sum,
               (unsigned long long)most_sum);
    return false;
}

bool
queue_sums_hold(queue_view *q)
{
    const history *h = q->history;
    sums s = {.count = 0};
    bool holds = true;
    by_rank_make(q, &s);
    turns_make(&s);
    for (size_t i = 0; i < h->count && holds; i++)
        for (uint32_t k = 0; k < h->ops[i].count && holds; k++) {
            const history_op *op = &h->ops[i];
            const history_step *step = &h->steps[op->first + k];
            if (step->kind == STEP_EXISTS ||
                (step->kind == STEP_PUSH && (step->after & STEP_UNIQUE) != 0))
                holds = key_holds(q, &s, op, step);
            else if (step->kind == STEP_FULL || step->kind == STEP_ROOM)
                holds = depth_holds(q, &s, op, step);
            else if (step->kind == STEP_FIGURE || (step->kind == STEP_PURGE && step->before != 0))
                holds = figure_holds(q, &s, op, step);
        }
    free(s.by_rank);
    free(s.sure);
    free(s.maybe);
    return holds;
}
