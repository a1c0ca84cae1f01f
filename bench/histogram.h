/* SPDX-License-Identifier: MIT
 *
 * A log-linear histogram of nanoseconds: 32 steps for every power of two, so that a percentile is
 * at most 3 % off. Each worker fills its own; the driver merges them.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 5
#define HISTOGRAM_STEPS (1 << HISTOGRAM_STEP_BITS)
/* Values up to 2^40 ns, 18 minutes; longer ones count as that. */
#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t total;
    uint64_t maximum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that `fraction` (0 to 1) of all samples do not exceed; 0 where there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);

#endif
