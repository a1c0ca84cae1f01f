/* SPDX-License-Identifier: MIT
 *
 * The halves of the queue's checker: queue.c follows each job, queue_order.c puts all of them on
 * one line of time.
 */
#ifndef LATCHKEY_TESTS_CHECK_QUEUE_INSIDE_H
#define LATCHKEY_TESTS_CHECK_QUEUE_INSIDE_H

#include "check/queue.h"

/* What happened to one job, in order: by receive, then by time. */
typedef struct job_event {
    const history_op *op;
    const history_step *step;
} job_event;

typedef struct job_life {
    const history_op *pushed; /* NULL: never */
    const history_step *push;
    uint64_t rank;
    bool generated;
    job_event *events;
    size_t count;
    uint64_t gone_from; /* the beginning of what may have taken it out without a claim */
    uint32_t takers;    /* how many other calls may have taken it out, and */
    uint64_t gone_last; /* the last end of them */
    uint64_t gone_to;   /* the earliest end of such; HISTORY_NEVER: none for sure */
} job_life;

/* A job is surely visible between these stamps, both left out; or, where time made it visible, from
 * a stamp on at which the clock had been read: then to calls that began there or later only, as a
 * call judges all by one time. */
typedef struct sure_span {
    uint64_t from, to, rank;
    bool by_time;
} sure_span;

typedef struct clock_sample {
    uint64_t stamp;
    int64_t now_ms; /* at least */
} clock_sample;

typedef struct queue_view {
    const history *history;
    report *report;
    job_life *jobs;
    uint32_t job_count;
    job_event *events;
    clock_sample *clock;
    size_t samples;
    sure_span *sure;
    size_t sure_count, sure_room;
} queue_view;

/* Says what is broken, by which calls; false. `other` may be NULL. */
bool queue_broken(const queue_view *q, const char *what, const history_op *one,
                  const history_op *other);
/* A push of which nothing came: until it is told so, others may count its jobs. */
bool queue_is_in_vain(const history *h, const history_op *op);
/* What calls take out that name no claim: after the lives have been made, before they are
 * judged. */
void queue_others_note(queue_view *q);
/* Q8, Q9, Q10, after all lives have been judged. */
bool queue_sums_hold(queue_view *q);
/* The first stamp at which the clock had surely passed `at_ms`. */
uint64_t queue_past(const queue_view *q, int64_t at_ms);
/* Q4, Q5 over all sure spans. */
bool queue_order_holds(queue_view *q);

#endif
