/* SPDX-License-Identifier: MIT
 *
 * Medians and the U-test. The exact test counts, among all ways to choose which of the pooled
 * numbers are the left group's, those whose sum of ranks is as far from the expected sum as the one
 * seen. Equal numbers share their mean rank; ranks are counted in halves, so that all are whole.
 */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MOST 40 /* numbers in all */
#define EXACT_SUMS (EXACT_MOST * (EXACT_MOST + 1) + 1)

struct pooled {
    double number;
    unsigned halves; /* twice the rank */
    size_t left;     /* 1: of the left group */
};

static int
number_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

static int
pooled_compare(const void *left, const void *right)
{
    const struct pooled *a = left, *b = right;

    return a->number < b->number ? -1 : a->number > b->number;
}

static void
numbers_sort(const double *numbers, size_t count, double *sorted)
{
    memcpy(sorted, numbers, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, number_compare);
}

double
statistics_median(const double *numbers, size_t count)
{
    double sorted[STATISTICS_MOST];

    if (count == 0 || count > STATISTICS_MOST)
        return 0;
    numbers_sort(numbers, count, sorted);
    return count % 2 != 0 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

double
statistics_spread(const double *numbers, size_t count)
{
    double sorted[STATISTICS_MOST], median = statistics_median(numbers, count);

    if (!(median > 0))
        return 0;
    numbers_sort(numbers, count, sorted);
    return (sorted[count - 1] - sorted[0]) / median;
}

/* Pools both groups by number and gives out ranks. Returns the sum over all groups of t equal
 * numbers of t^3 - t. */
static double
pool_rank(struct pooled *pool, size_t count)
{
    double ties = 0;

    qsort(pool, count, sizeof *pool, pooled_compare);
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        while (end < count && !(pool[end].number > pool[first].number))
            end++;
        double equal = (double)(end - first);
        ties += equal * equal * equal - equal;
        /* Ranks first + 1 to end; their mean, twice. */
        for (size_t i = first; i < end; i++)
            pool[i].halves = (unsigned)(first + 1 + end);
        first = end;
    }
    return ties;
}

/* ways[k * EXACT_SUMS + s]: of choosing k numbers with the sum s. */
static double
exact_p(const struct pooled *pool, size_t count, size_t left_count, double seen, double expected)
{
    double *ways = calloc((left_count + 1) * EXACT_SUMS, sizeof *ways);
    double all = 0, far = 0, distance = fabs(seen - expected);

    if (ways == NULL)
        return 1;
    ways[0] = 1;
    for (size_t i = 0; i < count; i++)
        for (size_t k = left_count; k >= 1; k--)
            for (size_t s = EXACT_SUMS - 1; s >= pool[i].halves; s--)
                ways[k * EXACT_SUMS + s] += ways[(k - 1) * EXACT_SUMS + s - pool[i].halves];
    for (size_t s = 0; s < EXACT_SUMS; s++) {
        double here = ways[left_count * EXACT_SUMS + s];
        all += here;
        if (fabs((double)s - expected) >= distance)
            far += here;
    }
    free(ways);
    return far / all;
}

static double
normal_p(double left, double right, double ties, double seen, double expected)
{
    double all = left + right;
    double variance = left * right / 12 * (all + 1 - ties / (all * (all - 1)));
    double distance = fabs(seen - expected) / 2 - 0.5; /* in ranks, with a correction for steps */

    if (!(variance > 0) || distance <= 0)
        return 1;
    return erfc(distance / sqrt(2 * variance));
}

double
statistics_u_test(const double *left, size_t left_count, const double *right, size_t right_count)
{
    struct pooled pool[2 * STATISTICS_MOST];
    size_t count = left_count + right_count;
    double seen = 0;

    if (left_count == 0 || right_count == 0 || left_count > STATISTICS_MOST ||
        right_count > STATISTICS_MOST)
        return 1;
    for (size_t i = 0; i < count; i++) {
        pool[i].number = i < left_count ? left[i] : right[i - left_count];
        pool[i].left = i < left_count;
    }
    double ties = pool_rank(pool, count);
    for (size_t i = 0; i < count; i++)
        seen += pool[i].left ? pool[i].halves : 0;
    double expected = (double)(left_count * (count + 1));
    if (count <= EXACT_MOST)
        return exact_p(pool, count, left_count, seen, expected);
    return normal_p((double)left_count, (double)right_count, ties, seen, expected);
}

double
statistics_u_test_least(size_t left_count, size_t right_count)
{
    double ways = 1;

    if (left_count == 0 || right_count == 0)
        return 1;
    for (size_t i = 1; i <= left_count; i++)
        ways *= (double)(right_count + i) / (double)i;
    return ways > 2 ? 2 / ways : 1;
}
