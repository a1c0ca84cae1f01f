/* SPDX-License-Identifier: MIT
 *
 * See queue.h: Q4 and Q5. At each instant there is a smallest job that is surely visible. A pull is
 * right if at one instant of its call that job is not smaller than what it got, or if there was
 * none. Instants are numbered: each stamp an even number, what lies between two an odd one. What
 * time made visible counts for calls that began afterwards: such a call has to be right at an
 * instant at which all of these that are smaller are gone. O(n log n).
 */
#include "check/queue_inside.h"

#include <stdlib.h>
#include <string.h>

typedef struct line {
    uint64_t *stamps; /* sorted, distinct */
    size_t count;
    uint64_t *least; /* at each instant: the rank of the smallest job; HISTORY_NEVER: none */
    size_t instants;
    uint64_t *most; /* a tree over `least`: the greatest of each part */
    size_t leaves;
} line;

static int
stamp_order(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void
stamps_make(line *l, const queue_view *q)
{
    const history *h = q->history;
    l->stamps = check_memory(2 * h->count + 1, sizeof *l->stamps);
    size_t count = 0;
    for (size_t i = 0; i < h->count; i++) {
        l->stamps[count++] = h->ops[i].begin;
        l->stamps[count++] = h->ops[i].end;
    }
    l->stamps[count++] = HISTORY_NEVER;
    qsort(l->stamps, count, sizeof *l->stamps, stamp_order);
    for (size_t i = 0; i < count; i++)
        if (l->count == 0 || l->stamps[l->count - 1] != l->stamps[i])
            l->stamps[l->count++] = l->stamps[i];
    l->instants = 2 * l->count;
}

static size_t
instant_of(const line *l, uint64_t stamp)
{
    const uint64_t *at = bsearch(&stamp, l->stamps, l->count, sizeof stamp, stamp_order);
    return at == NULL ? 0 : 2 * (size_t)(at - l->stamps);
}

/* ---- the smallest job at each instant: a heap of what is visible, whose dead are thrown out at
 * the top ---- */

typedef struct visible {
    size_t from, to; /* instants, inclusive */
    uint64_t rank;
} visible;

static int
visible_order(const void *left, const void *right)
{
    const visible *a = left, *b = right;
    return a->from < b->from ? -1 : a->from > b->from;
}

static void
heap_push(visible *heap, size_t *count, visible v)
{
    size_t i = (*count)++;
    for (; i > 0 && heap[(i - 1) / 2].rank > v.rank; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = v;
}

static void
heap_pop(visible *heap, size_t *count)
{
    visible last = heap[--*count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *count; i = child) {
        if (child + 1 < *count && heap[child + 1].rank < heap[child].rank)
            child++;
        if (heap[child].rank >= last.rank)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
}

static void
least_make(line *l, const queue_view *q)
{
    visible *all = check_memory(q->sure_count, sizeof *all),
            *heap = check_memory(q->sure_count, sizeof *heap);
    size_t count = 0, next = 0, held = 0;
    for (size_t i = 0; i < q->sure_count; i++) {
        size_t from = instant_of(l, q->sure[i].from) + 1, to = instant_of(l, q->sure[i].to);
        if (from < to && !q->sure[i].by_time)
            all[count++] = (visible){from, to - 1, q->sure[i].rank};
    }
    qsort(all, count, sizeof *all, visible_order);
    l->least = check_memory(l->instants, sizeof *l->least);
    for (size_t at = 0; at < l->instants; at++) {
        while (next < count && all[next].from <= at)
            heap_push(heap, &held, all[next++]);
        while (held > 0 && heap[0].to < at)
            heap_pop(heap, &held);
        l->least[at] = held > 0 ? heap[0].rank : HISTORY_NEVER;
    }
    free(all);
    free(heap);
}

static void
most_make(line *l)
{
    for (l->leaves = 1; l->leaves < l->instants; l->leaves *= 2) {}
    l->most = check_memory(2 * l->leaves, sizeof *l->most);
    memcpy(l->most + l->leaves, l->least, l->instants * sizeof *l->most);
    for (size_t i = l->leaves - 1; i > 0; i--)
        l->most[i] = l->most[2 * i] > l->most[2 * i + 1] ? l->most[2 * i] : l->most[2 * i + 1];
}

/* The greatest of `least` from `from` to `to`, both included. */
static uint64_t
most_within(const line *l, size_t from, size_t to)
{
    uint64_t most = 0;
    for (from += l->leaves, to += l->leaves + 1; from < to; from /= 2, to /= 2) {
        if (from & 1) {
            most = l->most[from] > most ? l->most[from] : most;
            from++;
        }
        if (to & 1) {
            to--;
            most = l->most[to] > most ? l->most[to] : most;
        }
    }
    return most;
}

/* ---- what time made visible: for each pull, the instant from which on none of these that are
 * smaller is there ---- */

typedef struct asking {
    uint64_t begin, rank;
    const history_op *op;
    const history_step *step;
    size_t free_from; /* an instant */
} asking;

static int
asking_order(const void *left, const void *right)
{
    const asking *a = left, *b = right;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static int
span_order(const void *left, const void *right)
{
    const sure_span *a = left, *b = right;
    return a->from < b->from ? -1 : a->from > b->from;
}

/* How many of the sorted ranks are below `rank`. */
static size_t
ranks_below(const uint64_t *ranks, size_t count, uint64_t rank)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranks[middle] < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A tree of greatest instants over ranks (Fenwick, 1994): the spans that began before each pull, by
 * their ends. */
static void
free_from_find(const line *l, const queue_view *q, asking *all, size_t count)
{
    sure_span *spans = check_memory(q->sure_count, sizeof *spans);
    uint64_t *ranks = check_memory(q->sure_count, sizeof *ranks);
    size_t made = 0, next = 0;
    for (size_t i = 0; i < q->sure_count; i++)
        if (q->sure[i].by_time)
            spans[made++] = q->sure[i];
    qsort(spans, made, sizeof *spans, span_order);
    for (size_t i = 0; i < made; i++)
        ranks[i] = spans[i].rank;
    qsort(ranks, made, sizeof *ranks, stamp_order);
    size_t *tree = check_memory(made + 1, sizeof *tree);
    for (size_t i = 0; i < count; i++) {
        for (; next < made && spans[next].from <= all[i].begin; next++) {
            size_t to = instant_of(l, spans[next].to);
            for (size_t at = ranks_below(ranks, made, spans[next].rank) + 1; at <= made;
                 at += at & -at)
                tree[at] = to > tree[at] ? to : tree[at];
        }
        for (size_t at = ranks_below(ranks, made, all[i].rank); at > 0; at -= at & -at)
            all[i].free_from = tree[at] > all[i].free_from ? tree[at] : all[i].free_from;
    }
    free(spans);
    free(ranks);
    free(tree);
}

/* ---- the laws ---- */

/* Whose job of a smaller rank was there all the time? Any that overlaps will do. */
static void
failure_tell(const queue_view *q, const char *what, const history_op *op, uint64_t rank)
{
    report_add(q->report, "queue: %s:\n", what);
    report_op(q->report, q->history, op);
    for (uint32_t j = 0, told = 0; j < q->job_count && told < 4; j++) {
        const job_life *life = &q->jobs[j];
        bool overlaps = false;
        for (size_t i = 0; i < q->sure_count && !overlaps; i++)
            overlaps = q->sure[i].rank == life->rank && q->sure[i].from < op->end &&
                       q->sure[i].to > op->begin;
        if (life->pushed == NULL || life->rank >= rank || !overlaps)
            continue;
        told++;
        report_add(q->report, " job %u was there:\n", j);
        report_op(q->report, q->history, life->pushed);
    }
}

static bool
pull_holds(const queue_view *q, const line *l, const asking *a)
{
    const history_step *s = a->step;
    uint64_t from = a->begin;
    if (s->kind == STEP_PULL && s->value == 1) {
        const job_life *j = &q->jobs[s->key];
        from = j->pushed != NULL && j->pushed->begin > from ? j->pushed->begin : from;
    }
    size_t first = instant_of(l, from), last = instant_of(l, a->op->end);
    first = a->free_from > first ? a->free_from : first;
    if (first <= last && most_within(l, first, last) >= a->rank)
        return true;
    failure_tell(q,
                 s->kind == STEP_PULL ? "Q4: a job came before a smaller one that was visible"
                                      : "Q5: empty, though at each instant a job was visible",
                 a->op, a->rank);
    return false;
}

static bool
pulls_hold(const queue_view *q, const line *l)
{
    const history *h = q->history;
    asking *all = check_memory(h->step_count, sizeof *all);
    size_t count = 0;
    bool holds = true;
    for (size_t i = 0; i < h->count; i++)
        for (uint32_t k = 0; k < h->ops[i].count; k++) {
            const history_op *op = &h->ops[i];
            const history_step *s = &h->steps[op->first + k];
            uint64_t rank = s->kind == STEP_PULL ? q->jobs[s->key].rank : HISTORY_NEVER;
            if (s->kind == STEP_PULL || s->kind == STEP_EMPTY)
                all[count++] = (asking){op->begin, rank, op, s, 0};
        }
    qsort(all, count, sizeof *all, asking_order);
    free_from_find(l, q, all, count);
    for (size_t i = 0; i < count && holds; i++)
        holds = pull_holds(q, l, &all[i]);
    free(all);
    return holds;
}

/* The jobs of one pull come in order. */
static bool
batch_holds(const queue_view *q, const history_op *op)
{
    const history_step *steps = &q->history->steps[op->first];
    for (uint32_t k = 1; k < op->count; k++)
        if (steps[k].kind == STEP_PULL && steps[k - 1].kind == STEP_PULL &&
            q->jobs[steps[k].key].rank <= q->jobs[steps[k - 1].key].rank) {
            report_add(q->report, "queue: Q4: the jobs of one pull are not in order:\n");
            report_op(q->report, q->history, op);
            return false;
        }
    return true;
}

static int
pushed_order(const void *left, const void *right)
{
    const job_life *a = *(const job_life *const *)left, *b = *(const job_life *const *)right;
    return a->pushed->end < b->pushed->end ? -1 : a->pushed->end > b->pushed->end;
}

static int
begun_order(const void *left, const void *right)
{
    const job_life *a = *(const job_life *const *)left, *b = *(const job_life *const *)right;
    return a->pushed->begin < b->pushed->begin ? -1 : a->pushed->begin > b->pushed->begin;
}

/* Of generated keys: whose push had ended before another began has the smaller one. */
static bool
keys_hold(const queue_view *q)
{
    const job_life **ended = check_memory(q->job_count, sizeof *ended);
    const job_life **begun = check_memory(q->job_count, sizeof *begun), *greatest = NULL;
    size_t count = 0, next = 0;
    bool holds = true;
    for (uint32_t j = 0; j < q->job_count; j++)
        if (q->jobs[j].pushed != NULL && q->jobs[j].generated)
            ended[count++] = &q->jobs[j];
    memcpy(begun, ended, count * sizeof *begun);
    qsort(ended, count, sizeof *ended, pushed_order);
    qsort(begun, count, sizeof *begun, begun_order);
    for (size_t i = 0; i < count && holds; i++) {
        for (; next < count && ended[next]->pushed->end < begun[i]->pushed->begin; next++)
            if (greatest == NULL || ended[next]->rank > greatest->rank)
                greatest = ended[next];
        if (greatest == NULL || greatest->rank < begun[i]->rank)
            continue;
        report_add(q->report, "queue: Q4: a later push got a smaller key:\n");
        report_op(q->report, q->history, begun[i]->pushed);
        report_op(q->report, q->history, greatest->pushed);
        holds = false;
    }
    free(ended);
    free(begun);
    return holds;
}

bool
queue_order_holds(queue_view *q)
{
    const history *h = q->history;
    line l = {0};
    bool holds = keys_hold(q);
    stamps_make(&l, q);
    least_make(&l, q);
    most_make(&l);
    for (size_t i = 0; i < h->count && holds; i++)
        holds = batch_holds(q, &h->ops[i]);
    holds = holds && pulls_hold(q, &l);
    free(l.stamps);
    free(l.least);
    free(l.most);
    return holds;
}
