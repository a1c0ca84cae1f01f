/* SPDX-License-Identifier: MIT
 *
 * The histogram: the first 256 buckets hold one value each, then 128 equal steps for every power
 * of two.
 */
#include "record/histogram.h"

#include <math.h>

static size_t
bucket_of(uint64_t value)
{
    if (value >> HISTOGRAM_VALUE_BITS != 0)
        value = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;
    if (value < HISTOGRAM_STEPS)
        return (size_t)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return (size_t)(shift * HISTOGRAM_STEPS + (value >> shift));
}

/* The lowest value of a bucket, and the number of its values. */
static uint64_t
bucket_lowest(size_t bucket, uint64_t *width)
{
    if (bucket < 2 * HISTOGRAM_STEPS) {
        *width = 1;
        return bucket;
    }
    unsigned shift = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    *width = UINT64_C(1) << shift;
    return (uint64_t)(bucket - shift * HISTOGRAM_STEPS) << shift;
}

uint64_t
histogram_value(size_t bucket)
{
    uint64_t width, lowest = bucket_lowest(bucket, &width);

    return lowest + width / 2;
}

uint64_t
histogram_value_highest(size_t bucket)
{
    uint64_t width, lowest = bucket_lowest(bucket, &width);

    return lowest + width - 1;
}

void
histogram_add_many(struct histogram *histogram, uint64_t value, uint64_t count)
{
    if (count == 0)
        return;
    histogram->total += count;
    histogram->buckets[bucket_of(value)] += count;
    if (value > histogram->maximum)
        histogram->maximum = value;
}

void
histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram_add_many(histogram, value, 1);
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->total += from->total;
    if (from->maximum > into->maximum)
        into->maximum = from->maximum;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t
histogram_percentile(const struct histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)((double)histogram->total * fraction);
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen <= wanted)
            continue;
        uint64_t value = histogram_value(i);
        return value < histogram->maximum ? value : histogram->maximum;
    }
    return histogram->maximum;
}

void
histogram_moments(const struct histogram *histogram, double *mean, double *deviation)
{
    double count = (double)histogram->total, sum = 0, squares = 0;

    *mean = *deviation = 0;
    if (histogram->total == 0)
        return;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        sum += (double)histogram->buckets[i] * (double)histogram_value(i);
    *mean = sum / count;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        double distance = (double)histogram_value(i) - *mean;
        squares += (double)histogram->buckets[i] * distance * distance;
    }
    *deviation = sqrt(squares / count);
}
