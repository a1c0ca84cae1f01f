/* SPDX-License-Identifier: MIT
 *
 * See serial.h. The graph has a node for each operation, and one for each moment at which one
 * begins or ends: the moments are a chain, so that "ended before another began" takes two edges for
 * each operation and not one for each pair.
 */
#include "check/serial.h"

#include <stdlib.h>
#include <string.h>

enum { SEARCHED_MAX = 2000, TOLD_MAX = 24 };

typedef struct graph {
    size_t nodes, edges, room;
    uint32_t *from, *to;
    uint32_t *first,
        *next; /* of each node: its edges lie in next[first[n]] to next[first[n + 1]] */
} graph;

/* A value of a key: item and lock of a key are two keys here. */
typedef struct place {
    uint64_t key, version;
    uint32_t op;
} place;

typedef struct places {
    place *all;
    size_t count;
} places;

typedef struct moment {
    uint64_t at;
    uint32_t op;
    bool ends;
} moment;

static void
edge_add(graph *g, size_t from, size_t to)
{
    if (from == to)
        return;
    if (g->edges == g->room) {
        g->room = g->room * 2 + 1024;
        g->from = realloc(g->from, g->room * sizeof *g->from);
        g->to = realloc(g->to, g->room * sizeof *g->to);
        if (g->from == NULL || g->to == NULL)
            abort();
    }
    g->from[g->edges] = (uint32_t)from;
    g->to[g->edges++] = (uint32_t)to;
}

/* ---- edges of time ---- */

static int
moment_order(const void *left, const void *right)
{
    const moment *a = left, *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->ends != b->ends)
        return (int)a->ends - (int)b->ends;
    return a->op < b->op ? -1 : a->op > b->op;
}

static void
time_edges(graph *g, const history *h)
{
    moment *moments = check_memory(2 * h->count, sizeof *moments);
    for (uint32_t i = 0; i < h->count; i++) {
        moments[2 * i] = (moment){h->ops[i].begin, i, false};
        moments[2 * i + 1] = (moment){h->ops[i].end, i, true};
    }
    qsort(moments, 2 * h->count, sizeof *moments, moment_order);
    for (size_t i = 0; i < 2 * h->count; i++) {
        size_t node = h->count + i;
        if (i > 0)
            edge_add(g, node - 1, node);
        if (!moments[i].ends)
            edge_add(g, node, moments[i].op);
        else if (moments[i].at != HISTORY_NEVER)
            edge_add(g, moments[i].op, node);
    }
    free(moments);
}

/* ---- edges of data ---- */

static int
place_order(const void *left, const void *right)
{
    const place *a = left, *b = right;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->version != b->version)
        return a->version < b->version ? -1 : 1;
    return a->op < b->op ? -1 : a->op > b->op;
}

/* Each of `places` with this key and version comes before `op`, or after it. */
static void
place_edges(graph *g, const places *p, place wanted, bool before)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool less = p->all[middle].key != wanted.key ? p->all[middle].key < wanted.key
                                                     : p->all[middle].version < wanted.version;
        if (less)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < p->count && p->all[low].key == wanted.key && p->all[low].version == wanted.version;
         low++)
        edge_add(g, before ? p->all[low].op : wanted.op, before ? wanted.op : p->all[low].op);
}

/* What a step saw and replaced, and what it left. */
typedef struct reading {
    uint64_t key, seen, left;
    bool sees, replaces, reads_only;
} reading;

static reading
step_reading(const history_step *s)
{
    reading r = {.key = (uint64_t)s->key * 2};
    switch (s->kind) {
    case STEP_READ:
        r.seen = s->value;
        r.sees = true;
        break;
    case STEP_WRITE:
    case STEP_ERASE:
        r.replaces = s->value != 0;
        r.seen = s->value - 1;
        r.left = s->value;
        break;
    case STEP_LOCK:
        r.key++;
        r.seen = s->after;
        r.sees = true;
        break;
    case STEP_BUMP:
        r.key++;
        r.seen = s->before;
        r.left = s->after;
        r.sees = r.replaces = true;
        break;
    default:
        break;
    }
    return r;
}

static void
data_edges(graph *g, const history *h)
{
    places made = {check_memory(h->step_count, sizeof(place)), 0};
    places replaced = {check_memory(h->step_count, sizeof(place)), 0};
    for (uint32_t i = 0; i < h->count; i++)
        for (uint32_t k = 0; k < h->ops[i].count; k++) {
            reading r = step_reading(&h->steps[h->ops[i].first + k]);
            if (!r.replaces)
                continue;
            if (r.left != 0)
                made.all[made.count++] = (place){r.key, r.left, i};
            replaced.all[replaced.count++] = (place){r.key, r.seen, i};
        }
    qsort(made.all, made.count, sizeof *made.all, place_order);
    qsort(replaced.all, replaced.count, sizeof *replaced.all, place_order);
    for (uint32_t i = 0; i < h->count; i++)
        for (uint32_t k = 0; k < h->ops[i].count; k++) {
            reading r = step_reading(&h->steps[h->ops[i].first + k]);
            if (r.sees || r.replaces) /* write to read, write to write */
                place_edges(g, &made, (place){r.key, r.seen, i}, true);
            if (r.sees) /* read to the next write */
                place_edges(g, &replaced, (place){r.key, r.seen, i}, false);
        }
    free(made.all);
    free(replaced.all);
}

static void
graph_index(graph *g)
{
    g->first = check_memory(g->nodes + 1, sizeof *g->first);
    g->next = check_memory(g->edges, sizeof *g->next);
    for (size_t e = 0; e < g->edges; e++)
        g->first[g->from[e] + 1]++;
    for (size_t n = 0; n < g->nodes; n++)
        g->first[n + 1] += g->first[n];
    uint32_t *at = check_memory(g->nodes + 1, sizeof *at);
    memcpy(at, g->first, (g->nodes + 1) * sizeof *at);
    for (size_t e = 0; e < g->edges; e++)
        g->next[at[g->from[e]]++] = g->to[e];
    free(at);
}

/* ---- cycles ---- */

typedef struct tarjan {
    uint32_t *index, *low, *stack, *path, *at; /* index 0: not seen */
    uint32_t *component;                       /* 0: none yet */
    uint32_t components, smallest_of,
        smallest; /* the smallest component that is a cycle, and its size */
} tarjan;

/* Takes the component of root `n` off the stack. */
static void
component_close(tarjan *t, uint32_t n, size_t *stacked)
{
    uint32_t size = 0, member;
    t->components++;
    do {
        member = t->stack[--*stacked];
        t->component[member] = t->components;
        size++;
    } while (member != n);
    if (size > 1 && (t->smallest == 0 || size < t->smallest)) {
        t->smallest = size;
        t->smallest_of = t->components;
    }
}

static void
tarjan_from(const graph *g, tarjan *t, uint32_t root, uint32_t *clock)
{
    size_t depth = 0, stacked = 0;
    t->path[depth++] = root;
    t->index[root] = t->low[root] = ++*clock;
    t->stack[stacked++] = root;
    t->at[root] = g->first[root];
    while (depth > 0) {
        uint32_t n = t->path[depth - 1];
        if (t->at[n] < g->first[n + 1]) {
            uint32_t m = g->next[t->at[n]++];
            if (t->index[m] == 0) {
                t->index[m] = t->low[m] = ++*clock;
                t->at[m] = g->first[m];
                t->stack[stacked++] = m;
                t->path[depth++] = m;
            } else if (t->component[m] == 0 && t->index[m] < t->low[n]) {
                t->low[n] = t->index[m];
            }
            continue;
        }
        if (t->low[n] == t->index[n])
            component_close(t, n, &stacked);
        depth--;
        if (depth > 0 && t->low[n] < t->low[t->path[depth - 1]])
            t->low[t->path[depth - 1]] = t->low[n];
    }
}

/* The shortest way from `start` back to it inside of a component; moments cost nothing. 0: longer
 * than `bound`. */
static size_t
cycle_from(const graph *g, const tarjan *t, size_t ops, uint32_t start, size_t bound,
           uint32_t *parent, uint32_t *distance, uint32_t *queue)
{
    size_t middle = g->nodes, head = middle, tail = middle; /* a deque: 0 in front, 1 behind */
    memset(distance, 0xff, g->nodes * sizeof *distance);
    queue[tail++] = start;
    distance[start] = 0;
    bool begun = false;
    while (head < tail) {
        uint32_t n = queue[head++];
        if (n == start && begun)
            return distance[start];
        if (distance[n] >= bound && n != start)
            continue;
        uint32_t so_far = n == start ? 0 : distance[n];
        if (n == start) {
            begun = true;
            distance[start] = UINT32_MAX;
        }
        for (uint32_t e = g->first[n]; e < g->first[n + 1]; e++) {
            uint32_t m = g->next[e], far = so_far + (m < ops ? 1 : 0);
            if (t->component[m] != t->component[start] || distance[m] <= far)
                continue;
            distance[m] = far;
            parent[m] = n;
            if (m < ops && tail < 2 * g->nodes)
                queue[tail++] = m;
            else if (m >= ops && head > 0)
                queue[--head] = m;
        }
    }
    return 0;
}

static void
cycle_tell(const graph *g, const tarjan *t, const history *h, report *r)
{
    uint32_t *parent = check_memory(g->nodes, sizeof *parent);
    uint32_t *distance = check_memory(g->nodes, sizeof *distance);
    uint32_t *queue = check_memory(2 * g->nodes + 1, sizeof *queue);
    uint32_t best = 0;
    size_t shortest = SIZE_MAX;
    for (uint32_t n = 0, searched = 0; n < h->count && searched < SEARCHED_MAX; n++) {
        if (t->component[n] != t->smallest_of)
            continue;
        searched++;
        size_t length = cycle_from(g, t, h->count, n, shortest, parent, distance, queue);
        if (length != 0 && length < shortest) {
            shortest = length;
            best = n;
        }
        if (shortest == 2)
            break;
    }
    cycle_from(g, t, h->count, best, SIZE_MAX, parent, distance, queue);
    report_add(r, "serializability: a cycle of %zu transactions, each before the one above it:\n",
               shortest);
    uint32_t n = best;
    for (size_t told = 0; told < TOLD_MAX; told++) {
        report_op(r, h, &h->ops[n]);
        bool by_time = false;
        for (n = parent[n]; n >= h->count; n = parent[n])
            by_time = true;
        report_add(r, "%s",
                   by_time ? "   after the end of\n" : "   by what it read or wrote, after\n");
        if (n == best)
            break;
    }
    report_op(r, h, &h->ops[best]);
    free(parent);
    free(distance);
    free(queue);
}

verdict
serial_check(const history *h, report *r)
{
    graph g = {.nodes = 3 * h->count};
    time_edges(&g, h);
    data_edges(&g, h);
    graph_index(&g);
    uint32_t *memory = check_memory(6 * g.nodes, sizeof *memory), clock = 0;
    tarjan t = {.index = memory,
                .low = memory + g.nodes,
                .stack = memory + 2 * g.nodes,
                .path = memory + 3 * g.nodes,
                .at = memory + 4 * g.nodes,
                .component = memory + 5 * g.nodes};
    for (uint32_t n = 0; n < g.nodes; n++)
        if (t.index[n] == 0)
            tarjan_from(&g, &t, n, &clock);
    if (t.smallest != 0)
        cycle_tell(&g, &t, h, r);
    free(memory);
    free(g.from);
    free(g.to);
    free(g.first);
    free(g.next);
    return t.smallest != 0 ? VERDICT_BROKEN : VERDICT_HOLDS;
}
