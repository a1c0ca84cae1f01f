/* SPDX-License-Identifier: MIT
 *
 * The histogram: buckets 0 to 31 hold one value each, then 32 equal steps for every power of two.
 */
#include "histogram.h"

#include <stddef.h>

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

/* The middle of a bucket. */
static uint64_t
bucket_value(size_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    uint64_t low = (uint64_t)(bucket - shift * HISTOGRAM_STEPS) << shift;
    return low + (UINT64_C(1) << shift) / 2;
}

void
histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->total++;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->maximum)
        histogram->maximum = value;
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
        if (seen > wanted)
            return bucket_value(i);
    }
    return histogram->maximum;
}
