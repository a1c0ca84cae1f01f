/* SPDX-License-Identifier: MIT
 *
 * Who is ahead: a workload's subject against one rival with the same number of threads, and what
 * that adds up to. Words are made of it in verdict.c.
 */
#ifndef BENCH_REPORT_DUEL_H
#define BENCH_REPORT_DUEL_H

#include "page.h"

#define DUEL_LEVEL 0.05 /* medians closer than that are level */

enum standing {
    STANDING_NONE,
    STANDING_AHEAD,
    STANDING_LEVEL,
    STANDING_BEHIND,
    STANDING_UNCLEAR, /* the medians differ, and the U-test cannot tell the repeats apart */
    STANDINGS
};

struct duel {
    const struct record_row *own, *rival;
    double ratio; /* how many times as good the subject is; of p99, lower is better */
    enum standing standing;
    bool tested; /* enough repeats for the U-test, which then has a say */
};

/* False: one of them has no figure or answered wrongly, or the rival is the subject itself. */
bool duel_fight(const struct page *page, const struct view *view, size_t contender,
                unsigned threads, struct duel *duel);

/* A workload at its main number of threads, rivals only. */
struct match {
    unsigned counts[STANDINGS]; /* of rivals */
    struct duel best;           /* against the best rival */
    enum standing standing;
    unsigned threads;
};

void match_play(const struct page *page, const struct view *view, struct match *match);

/* What is compared: the median rate, or one over the median p99. 0: there is none. */
double row_score(const struct page *page, const struct record_row *row);

#endif
