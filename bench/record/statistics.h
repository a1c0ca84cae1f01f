/* SPDX-License-Identifier: MIT
 *
 * Medians, spreads, and the test whether two groups of repeats differ. Knows numbers only.
 */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stddef.h>

#define STATISTICS_MOST 64 /* numbers of one group */

/* For qsort. */
int statistics_order(const void *left, const void *right);

/* 0 of no numbers. */
double statistics_median(const double *numbers, size_t count);

/* The distance of the outermost numbers over the median; 0 where the median is 0. */
double statistics_spread(const double *numbers, size_t count);

#define STATISTICS_REPEATS 4  /* numbers that each of two groups needs to be told apart */
#define STATISTICS_LEVEL 0.05 /* medians closer than that are level */

enum statistics_judgement {
    STATISTICS_TOO_FEW, /* numbers, in one of them or in both */
    STATISTICS_UNCLEAR, /* they may be alike, and may not be */
    STATISTICS_ALIKE,   /* the medians are level, and the spreads are not much wider than that */
    STATISTICS_MORE,    /* left is more than right */
    STATISTICS_LESS
};

/* Whether left is more or less than right. It is where all of its numbers are, and where the
 * medians differ by more than STATISTICS_LEVEL, than the spread of either group, and than `noise`,
 * as parts of the smaller median. */
enum statistics_judgement statistics_judge(const double *left, size_t left_count,
                                           const double *right, size_t right_count, double noise);

#endif
