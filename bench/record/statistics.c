/* SPDX-License-Identifier: MIT
 *
 * Medians, spreads, and what tells two groups of repeats apart.
 */
#include "record/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int
statistics_order(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

static void
numbers_sort(const double *numbers, size_t count, double *sorted)
{
    memcpy(sorted, numbers, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, statistics_order);
}

double
statistics_median(const double *numbers, size_t count)
{
    double sorted[STATISTICS_MOST];

    assert(count <= STATISTICS_MOST);
    if (count == 0)
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

static bool
ranges_overlap(const double *left, size_t left_count, const double *right, size_t right_count)
{
    double low[STATISTICS_MOST], high[STATISTICS_MOST];

    numbers_sort(left, left_count, low);
    numbers_sort(right, right_count, high);
    return low[0] <= high[right_count - 1] && high[0] <= low[left_count - 1];
}

enum statistics_judgement
statistics_judge(const double *left, size_t left_count, const double *right, size_t right_count,
                 double noise)
{
    if (left_count > STATISTICS_MOST || right_count > STATISTICS_MOST ||
        left_count < STATISTICS_REPEATS || right_count < STATISTICS_REPEATS)
        return STATISTICS_TOO_FEW;
    double mine = statistics_median(left, left_count);
    double theirs = statistics_median(right, right_count);
    if (!(mine > 0) || !(theirs > 0))
        return STATISTICS_UNCLEAR;
    double difference = mine > theirs ? mine / theirs - 1 : theirs / mine - 1;
    double wide = fmax(statistics_spread(left, left_count), statistics_spread(right, right_count));
    if (difference < STATISTICS_LEVEL)
        return wide < 2 * STATISTICS_LEVEL ? STATISTICS_ALIKE : STATISTICS_UNCLEAR;
    if (difference <= wide || difference <= noise ||
        ranges_overlap(left, left_count, right, right_count))
        return STATISTICS_UNCLEAR;
    return mine > theirs ? STATISTICS_MORE : STATISTICS_LESS;
}
