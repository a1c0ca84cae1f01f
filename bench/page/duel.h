/* SPDX-License-Identifier: MIT
 *
 * Who is ahead: a workload's subject against one rival with the same number of threads, and what
 * that adds up to over all of them. Words are made of it in verdict.c.
 */
#ifndef BENCH_REPORT_DUEL_H
#define BENCH_REPORT_DUEL_H

#include "page/page.h"

enum standing {
    STANDING_NONE,
    STANDING_AHEAD,
    STANDING_LEVEL,
    STANDING_BEHIND,
    STANDING_UNCLEAR, /* too few repeats, or such as differ too much among themselves */
    STANDINGS
};

struct duel {
    const struct record_row *own, *rival;
    double ratio; /* how many times as good the subject is; of p99, lower is better */
    enum standing standing;
    bool tested; /* enough repeats for a verdict */
};

/* False: one of them has no figure or answered wrongly, or the rival is the subject itself. */
bool duel_fight(const struct page *page, const struct view *view, size_t contender,
                unsigned threads, struct duel *duel);

/* The duel of all numbers of threads that has the least ratio. False: there is none. */
bool duel_worst(const struct page *page, const struct view *view, size_t contender,
                struct duel *duel);

/* A workload at all its numbers of threads, rivals only. */
struct match {
    unsigned counts[STANDINGS]; /* of duels: of each rival at each number of threads */
    struct duel worst;          /* that with the least ratio */
    struct duel behind;         /* the same of those that are lost for sure; no rival: none is */
    enum standing standing;     /* ahead or level: in all duels, at least */
};

void match_play(const struct page *page, const struct view *view, struct match *match);

/* What is compared: the median rate, or one over the median p99. 0: there is none. */
double row_score(const struct page *page, const struct record_row *row);

#endif
