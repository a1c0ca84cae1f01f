/* SPDX-License-Identifier: MIT
 *
 * Medians, spreads, and the test whether two groups of repeats differ. Knows numbers only.
 */
#ifndef BENCH_STATISTICS_H
#define BENCH_STATISTICS_H

#include <stddef.h>

#define STATISTICS_MOST 64          /* numbers of one group */
#define STATISTICS_SIGNIFICANT 0.05 /* a p below it: the groups differ */

/* 0 of no numbers. */
double statistics_median(const double *numbers, size_t count);

/* The distance of the outermost numbers over the median; 0 where the median is 0. */
double statistics_spread(const double *numbers, size_t count);

/* Mann-Whitney U-test: the probability, two-sided, that two groups of the same distribution are at
 * least as far apart as these. Exact, ties included, up to 40 numbers in all; the normal
 * approximation with a correction for ties above. 1 where a group is empty. */
double statistics_u_test(const double *left, size_t left_count, const double *right,
                         size_t right_count);

/* The least p that groups of these sizes can give. */
double statistics_u_test_least(size_t left_count, size_t right_count);

#endif
