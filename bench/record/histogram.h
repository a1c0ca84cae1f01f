/* SPDX-License-Identifier: MIT
 *
 * A log-linear histogram of nanoseconds: 128 steps for every power of two. A value is told apart
 * exactly below 256, and is at most 1/256 of itself (0.4 %) off above: HISTOGRAM_ERROR. Each worker
 * fills its own; the driver merges them.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEP_BITS 7
#define HISTOGRAM_STEPS (1 << HISTOGRAM_STEP_BITS)
/* A bucket is as wide as its lower end over 128, and its middle stands for it. */
#define HISTOGRAM_ERROR (0.5 / HISTOGRAM_STEPS)
/* Values up to 2^40 ns, 18 minutes; longer ones count as that. */
#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t total;
    uint64_t maximum; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_add_many(struct histogram *histogram, uint64_t value, uint64_t count);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that `fraction` (0 to 1) of all samples do not exceed; 0 where there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);

/* The value that stands for a bucket; added again, it is counted in the same bucket. */
uint64_t histogram_value(size_t bucket);

/* The highest value that is counted in a bucket. */
uint64_t histogram_value_highest(size_t bucket);

/* Mean and standard deviation, of the values that stand for the buckets. */
void histogram_moments(const struct histogram *histogram, double *mean, double *deviation);

#endif
